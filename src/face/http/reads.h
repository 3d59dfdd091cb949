/* Pages of events, as a reader makes them. */
#pragma once

#include "face/http/request.h"

/* Reads the page that the request asks for and fills in its answer. A reader's thread. */
void ms_http_read_page(struct ms_http_request *request);
/* ms_http_request_submit's resume for pages: what was reserved shrinks to what is there. Loop. */
void ms_http_read_resumed(struct ms_http_request *request);
/* The filter that the parameters make; borrows from the request. */
struct ms_filter ms_http_read_filter(const struct ms_http_request *request);
/* Line breaks from `from` on become spaces: between JSON tokens, the only place where they can
 * stand in JSON, nothing else changes. */
void ms_http_flatten_lines(struct ms_buf *out, size_t from);
