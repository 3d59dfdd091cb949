/*
 * What became of an append, a delete or a put: copied on the committer's thread, answered on the
 * loop's.
 */
#pragma once

#include "face/http/request.h"

/* ms_append_done_fn with the request as context: copies the result and hands the request back. Any
 * thread. */
void ms_http_outcome_done(void *context, const struct ms_append_result *result);
/* The problem document of a refusal: expected and actual, or what the query condition met. Loop
 * thread. */
void ms_http_outcome_answer_refusal(struct ms_http_request *request);
