/*
 * Appends and projections of mode sync: the answer to an append waits until those have applied it.
 *
 * The events are durable by then, so nothing can undo the append any more: a projection that is too
 * slow, or stopped, is named in the answer, "Mainstem-Projection-Pending: name@position", where
 * position is how far it is. The loop's thread.
 */
#pragma once

#include "face/http/request.h"

struct ms_http_sync;

/* Of an append that was made: calls `answer` at once, or when all that read its topics have applied
 * it. */
void ms_http_sync_wait(struct ms_http_request *request,
                       void (*answer)(struct ms_http_request *request));
/* Several times a second: a wait that is over is answered. */
void ms_http_sync_tick(struct ms_http_request *request);
/* The server stops: nobody waits any longer. */
void ms_http_sync_end(struct ms_http_request *request);
/* The request is freed. */
void ms_http_sync_release(struct ms_http_request *request);
