/* Administration of read models: its parts. Readers' jobs. */
#pragma once

#include "face/http/request.h"

/* What its versions can't apply; see projection_errors.c. */
void ms_http_run_projection_errors(struct ms_http_request *request);
