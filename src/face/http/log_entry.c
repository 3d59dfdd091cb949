/* The access log's view of a finished request; see log_entry.h. */
#include "face/http/log_entry.h"

#include "face/http/connection.h"
#include "face/http/loop.h"

void ms_http_log_request(const struct ms_http_request *request, int64_t duration_us) {
    const struct ms_http_options *options = &request->loop->config->options;
    char scratch[MS_HTTP_ID_MAX];
    const struct ms_http_connection *connection = request->connection;
    struct ms_http_log_entry entry = {
        .method = request->method_text,
        .path = request->path,
        .request_id = ms_http_request_id(request, scratch),
        .correlation_id = request->correlation_id,
        .peer = ms_bytes_cstr(connection ? connection->peer : ""),
        .route = request->route ? request->route->pattern : "-",
        .status = request->answer.status,
        .duration_us = duration_us,
        .bytes_in = request->body_len,
        .bytes_out = request->bytes_out,
        .problem = request->answer.problem,
    };
    options->on_request(options->context, &entry);
}
