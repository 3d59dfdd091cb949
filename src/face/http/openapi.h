/* The routes as an OpenAPI 3.1 document. Sans-I/O; any thread. */
#pragma once

#include "base/bytes.h"

int ms_http_openapi_write(struct ms_buf *out, const char *version) MS_MUST_CHECK;
