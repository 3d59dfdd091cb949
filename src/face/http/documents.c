/*
 * What belongs to a stream beside its events, below /v1/streams/{stream} and
 * /v1/topics/{topic}/keys/{key}: deleting, metadata, snapshots.
 *
 *   DELETE [?tombstone=true]     {"stream":…, "position":…}
 *   PUT    /metadata             {"stream":…, "version":…, "position":…}: its own version
 *   GET    /metadata             the JSON as it was put, ETag its version
 *   PUT    /snapshot?version=41  one event; {"stream":…, "version":41, "position":…}
 *   GET    /snapshot             {"stream":…, "snapshot":{…}, "version":41}, ETag "41"
 *
 * Writing goes to the store from the loop (a delete, which reads first, from a reader) and is
 * answered when it is durable; reading is a reader's job.
 */
#include "face/http/answer.h"
#include "face/http/event_body.h"
#include "face/http/handlers.h"
#include "face/http/loop.h"
#include "face/http/outcome.h"
#include "face/http/server.h"
#include "wire/event_json.h"

static struct ms_store *store_of(const struct ms_http_request *request) {
    return request->loop->http->store;
}

static void refuse(struct ms_http_request *request, int code, const struct ms_error *err) {
    ms_http_answer_error(request, code, err);
    ms_http_request_done(request);
}

/* ---- writing ---- */

/* `version` < 0: the answer has none. */
static int write_written(struct ms_http_request *request, int64_t version) {
    struct ms_buf *out = &request->answer.body;
    unsigned long long position = request->outcome.position;
    int code = ms_buf_append_cstr(out, "{\"stream\":");
    if (code == 0)
        code = ms_json_write_string(out, request->stream);
    if (code == 0 && version >= 0)
        code = ms_buf_printf(out, ",\"version\":%lld", (long long)version);
    if (code == 0)
        code = ms_buf_printf(out, ",\"position\":%llu}\n", position);
    if (code == 0 && version >= 0)
        code = ms_http_answer_header(request, "ETag", "\"%lld\"", (long long)version);
    if (code == 0)
        code = ms_http_answer_header(request, "Mainstem-Position", "%llu", position);
    return code;
}

static void written(struct ms_http_request *request, int64_t version) {
    if (request->outcome.code != 0)
        ms_http_outcome_answer_refusal(request);
    else if (write_written(request, version) != 0)
        ms_http_answer_error(request, MS_ENOMEM, NULL);
    else
        ms_http_answer(request, 200, "application/json");
    ms_http_request_done(request);
}

static void deleted(struct ms_http_request *request) { written(request, -1); }
static void metadata_written(struct ms_http_request *request) {
    written(request, request->outcome.version);
}
static void snapshot_written(struct ms_http_request *request) {
    written(request, request->params.version);
}

/* After a call of the store that was announced with ms_http_request_handed_over. */
static void handed(struct ms_http_request *request, int code, const struct ms_error *err) {
    if (code == 0)
        return;
    ms_http_request_kept(request);
    refuse(request, code, err);
}

/* A soft delete reads the metadata that it keeps: a reader's thread. */
static void run_delete(struct ms_http_request *request) {
    struct ms_error err = {0};
    int code =
        ms_store_delete_stream(store_of(request), request->stream, request->condition,
                               request->params.tombstone, ms_http_outcome_done, request, &err);
    if (code == 0)
        return;
    request->outcome.code = code;
    request->error = err;
    ms_http_request_hand_back(request);
}

void ms_http_delete_stream_start(struct ms_http_request *request) {
    ms_http_request_submit_open(request, run_delete, deleted);
}

void ms_http_put_metadata_start(struct ms_http_request *request) {
    struct ms_error err = {0};
    ms_http_request_handed_over(request, metadata_written);
    int code =
        ms_store_put_metadata(store_of(request), request->stream, request->condition,
                              ms_buf_bytes(&request->body), ms_http_outcome_done, request, &err);
    handed(request, code, &err);
}

/* Parsed while the headers are there; begun when the requests before it are answered. */
int ms_http_snapshot_prepare(struct ms_http_request *request, struct ms_error *err) {
    if (!ms_http_param_given(&request->params, MS_HTTP_PARAM_VERSION))
        return ms_error_set(err, MS_EINVAL,
                            "query parameter \"version\" is needed: the stream's version that the "
                            "snapshot stands for");
    int code = ms_http_event_body_parse(request, err);
    if (code == 0 && request->event_count != 1)
        return ms_error_set(err, MS_EINVAL, "a snapshot is one event, not %zu",
                            request->event_count);
    return code;
}

void ms_http_put_snapshot_start(struct ms_http_request *request) {
    struct ms_error err = {0};
    ms_http_request_handed_over(request, snapshot_written);
    int code = ms_store_put_snapshot(store_of(request), request->stream, request->params.version,
                                     request->events, ms_http_outcome_done, request, &err);
    handed(request, code, &err);
}

/* ---- reading; a reader's thread ---- */

static void run_get_metadata(struct ms_http_request *request) {
    struct ms_error err = {0};
    struct ms_buf *out = &request->answer.body;
    int64_t version;
    int code = ms_store_get_metadata(store_of(request), request->stream, out, &version, &err);
    if (code == 0)
        code = ms_buf_append_u8(out, '\n');
    if (code == 0)
        code = ms_http_answer_etag(request, version);
    if (code == 0)
        ms_http_answer(request, 200, "application/json");
    else
        ms_http_answer_error(request, code, &err);
}

static int visit_snapshot(void *context, const struct ms_read_event *read) {
    struct ms_http_request *request = context;
    return ms_event_write_json(&request->answer.body, MS_FORMAT_JSON, &read->event, &read->place);
}

/* The version comes after the event was visited, so it stands behind it in the document. */
static void run_get_snapshot(struct ms_http_request *request) {
    struct ms_error err = {0};
    struct ms_buf *out = &request->answer.body;
    int64_t version = -1;
    int code = ms_buf_append_cstr(out, "{\"stream\":");
    if (code == 0)
        code = ms_json_write_string(out, request->stream);
    if (code == 0)
        code = ms_buf_append_cstr(out, ",\"snapshot\":");
    if (code == 0)
        code = ms_store_get_snapshot(store_of(request), request->stream, visit_snapshot, request,
                                     &version, &err);
    if (code == 0)
        code = ms_buf_printf(out, ",\"version\":%lld}\n", (long long)version);
    if (code == 0)
        code = ms_http_answer_etag(request, version);
    if (code == 0)
        ms_http_answer(request, 200, "application/json");
    else
        ms_http_answer_error(request, code, &err);
}

void ms_http_get_metadata_start(struct ms_http_request *request) {
    ms_http_request_submit(request, run_get_metadata, ms_http_request_done);
}

void ms_http_get_snapshot_start(struct ms_http_request *request) {
    ms_http_request_submit(request, run_get_snapshot, ms_http_request_done);
}
