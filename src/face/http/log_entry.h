/* The access log's view of a finished request. Loop thread. */
#pragma once

#include "face/http/request.h"

/* Calls options.on_request, which is set. */
void ms_http_log_request(const struct ms_http_request *request, int64_t duration_us);
