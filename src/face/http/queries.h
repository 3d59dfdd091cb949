/* Queries of projections; see queries.c. The loop's thread, except where noted. */
#pragma once

#include "face/http/request.h"

struct ms_http_query;

/* Several times a second: a wait that is over is answered. */
void ms_http_query_tick(struct ms_http_request *request);
/* The server stops: nobody waits any longer. */
void ms_http_query_end(struct ms_http_request *request);
/* The request is freed. */
void ms_http_query_release(struct ms_http_request *request);
