/*
 * Topics and lists.
 *
 *   GET    /v1/topics[?system=true]   {"topics":[{…},…]}
 *   GET    /v1/topics/{topic}         {"name":"order","id":…,"partitions":4,"streams":true,
 *                                      "retention_ms":null,"retention_bytes":null,
 *                                      "retention_count":null,"compact":false,
 *                                      "compression":"none","require":[],
 *                                      "recompress":false,"message_bytes_max":1048588,
 *                                      "log_append_time":false,"retention_ignored":false,
 *                                      "compaction_lag_ms":0,"compaction_lag_max_ms":null,
 *                                      "delete_retention_ms":86400000,"system":false,
 *                                      "events":815,"created_at":…,"streams_prepared":null}
 *   PUT    /v1/topics/{topic}         any of partitions … delete_retention_ms; what is left out
 *                                     stays as it is; with "force":true streams may be compacted
 *                                     (or becomes the default)
 *   DELETE /v1/topics/{topic}         204
 *   GET    /v1/streams?topic=&from=&limit=
 *                                     {"streams":[{"stream":…,"version":…,"first_position":…},…],
 *                                      "next":4711 | null}
 *
 * All of them are readers' jobs: changes wait until they are durable. Only switching "streams" on
 * for a topic with records, which takes as long as reading them does, is for a thread of its own,
 * step by step (ms_store_prepare_streams); "streams_prepared" tells how far it is. It ends with its
 * connection, and whoever asks again goes on with what was done.
 */
#include <jansson.h>

#include "base/time.h"
#include "face/http/answer.h"
#include "face/http/connection.h"
#include "face/http/handlers.h"
#include "face/http/loop.h"
#include "face/http/server.h"
#include "face/http/topic_settings.h"
#include "wire/json.h"

static const char *const codec_names[] = {[MS_CODEC_NONE] = "none",
                                          [MS_CODEC_GZIP] = "gzip",
                                          [MS_CODEC_SNAPPY] = "snappy",
                                          [MS_CODEC_LZ4] = "lz4",
                                          [MS_CODEC_ZSTD] = "zstd"};

static struct ms_store *store_of(const struct ms_http_request *request) {
    return request->loop->http->store;
}

static void answer(struct ms_http_request *request, int code, const struct ms_error *err,
                   int status) {
    if (code == 0) {
        ms_http_answer(request, status, status == 204 ? NULL : "application/json");
        return;
    }
    ms_buf_clear(&request->answer.headers);
    ms_http_answer_error(request, code, err);
}

/* ---- writing a topic ---- */

static int write_bound(struct ms_buf *out, const char *name, int64_t bound) {
    if (bound < 0)
        return ms_buf_printf(out, ",\"%s\":null", name);
    return ms_buf_printf(out, ",\"%s\":%lld", name, (long long)bound);
}

static const char *truth(bool flag) { return flag ? "true" : "false"; }

static int write_of_batches(struct ms_buf *out, const struct ms_topic_settings *settings) {
    int code =
        ms_buf_printf(out, ",\"recompress\":%s,\"message_bytes_max\":%u,\"log_append_time\":%s",
                      truth(settings->recompress), (unsigned)settings->message_bytes_max,
                      truth(settings->log_append_time));
    if (code == 0)
        code = ms_buf_printf(out, ",\"retention_ignored\":%s,\"compaction_lag_ms\":%lld",
                             truth(settings->retention_ignored),
                             (long long)settings->compaction_lag_ms);
    if (code == 0)
        code =
            write_bound(out, "compaction_lag_max_ms",
                        settings->compaction_lag_max_ms > 0 ? settings->compaction_lag_max_ms : -1);
    if (code == 0)
        code = ms_buf_printf(out, ",\"delete_retention_ms\":%lld",
                             (long long)settings->delete_retention_ms);
    return code;
}

int ms_http_topic_settings_write(struct ms_buf *out, const struct ms_topic_settings *settings) {
    int code = ms_buf_printf(out, ",\"partitions\":%u,\"streams\":%s",
                             (unsigned)settings->partitions, settings->streams ? "true" : "false");
    if (code == 0)
        code = write_bound(out, "retention_ms", settings->retention_ms);
    if (code == 0)
        code = write_bound(out, "retention_bytes", settings->retention_bytes);
    if (code == 0)
        code = write_bound(out, "retention_count", settings->retention_count);
    bool both = settings->require_source && settings->require_correlation_id;
    if (code == 0)
        code =
            ms_buf_printf(out, ",\"compact\":%s,\"compression\":\"%s\",\"require\":[%s%s%s]",
                          settings->compact ? "true" : "false", codec_names[settings->compression],
                          settings->require_source ? "\"source\"" : "", both ? "," : "",
                          settings->require_correlation_id ? "\"correlation_id\"" : "");
    return code == 0 ? write_of_batches(out, settings) : code;
}

/* How far records have been made ready for streams. */
static int write_prepared(struct ms_buf *out, const struct ms_topic_info *topic) {
    if (topic->streams_prepared == 0)
        return ms_buf_append_cstr(out, ",\"streams_prepared\":null}");
    return ms_buf_printf(out, ",\"streams_prepared\":{\"position\":%llu,\"end\":%llu}}",
                         (unsigned long long)topic->streams_prepared,
                         (unsigned long long)topic->end);
}

static int write_topic(struct ms_buf *out, const struct ms_topic_info *topic) {
    char id[MS_UUID_TEXT_LEN + 1], created[MS_TIME_TEXT_MAX];
    ms_uuid_format(&topic->id, id);
    ms_time_format_ms(topic->created_at_ms, created);
    int code = ms_buf_append_cstr(out, "{\"name\":");
    if (code == 0)
        code = ms_json_write_string(out, topic->name);
    if (code == 0)
        code = ms_buf_printf(out, ",\"id\":\"%s\"", id);
    if (code == 0)
        code = ms_http_topic_settings_write(out, &topic->settings);
    if (code == 0)
        code = ms_buf_printf(out, ",\"system\":%s,\"events\":%llu,\"created_at\":\"%s\"",
                             topic->system ? "true" : "false", (unsigned long long)topic->events,
                             created);
    return code == 0 ? write_prepared(out, topic) : code;
}

/* ---- reading ---- */

static int visit_topic(void *context, const struct ms_topic_info *topic) {
    struct ms_http_request *request = context;
    struct ms_buf *out = &request->answer.body;
    int code = write_topic(out, topic);
    return code == 0 ? ms_buf_append_u8(out, '\n') : code;
}

static int get_topic(struct ms_http_request *request, struct ms_error *err) {
    return ms_store_get_topic(store_of(request), request->captures[0], visit_topic, request, err);
}

static void run_get_topic(struct ms_http_request *request) {
    struct ms_error err = {0};
    answer(request, get_topic(request, &err), &err, 200);
}

static int visit_listed_topic(void *context, const struct ms_topic_info *topic) {
    struct ms_http_request *request = context;
    struct ms_buf *out = &request->answer.body;
    bool first = out->data[out->len - 1] == '[';
    int code = ms_buf_append_cstr(out, first ? "\n" : ",\n");
    return code == 0 ? write_topic(out, topic) : code;
}

static void run_list_topics(struct ms_http_request *request) {
    struct ms_error err = {0};
    struct ms_buf *out = &request->answer.body;
    int code = ms_buf_append_cstr(out, "{\"topics\":[");
    if (code == 0)
        code = ms_store_list_topics(store_of(request), request->params.include_system,
                                    visit_listed_topic, request, &err);
    if (code == 0)
        code = ms_buf_append_cstr(out, "\n]}\n");
    answer(request, code, &err, 200);
}

/* ---- changing ---- */

static int set_bound(const char *name, const json_t *value, int64_t *ret_bound,
                     struct ms_error *err) {
    if (!json_is_null(value) && (!json_is_integer(value) || json_integer_value(value) < 0))
        return ms_error_set(err, MS_EINVAL, "field \"%s\": expected a number from 0 on, or null",
                            name);
    *ret_bound = json_is_null(value) ? -1 : json_integer_value(value);
    return 0;
}

static int set_flag(const char *name, const json_t *value, bool *ret_flag, struct ms_error *err) {
    if (!json_is_boolean(value))
        return ms_error_set(err, MS_EINVAL, "field \"%s\": expected true or false", name);
    *ret_flag = json_is_true(value);
    return 0;
}

static int set_partitions(const json_t *value, uint16_t *ret_partitions, struct ms_error *err) {
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 1 || number > UINT16_MAX)
        return ms_error_set(err, MS_EINVAL, "field \"partitions\": expected a number from 1 to %d",
                            UINT16_MAX);
    *ret_partitions = (uint16_t)number;
    return 0;
}

static int set_codec(const json_t *value, enum ms_codec *ret_codec, struct ms_error *err) {
    const char *name = json_string_value(value);
    for (size_t i = 0; name && i < sizeof codec_names / sizeof *codec_names; i++) {
        if (strcmp(name, codec_names[i]) == 0) {
            *ret_codec = (enum ms_codec)i;
            return 0;
        }
    }
    return ms_error_set(err, MS_EINVAL,
                        "field \"compression\": expected none, gzip, snappy, lz4 or zstd");
}

static int set_required(const json_t *value, struct ms_topic_settings *settings,
                        struct ms_error *err) {
    settings->require_source = settings->require_correlation_id = false;
    bool good = json_is_array(value);
    for (size_t i = 0; good && i < json_array_size(value); i++) {
        const char *name = json_string_value(json_array_get(value, i));
        if (name && strcmp(name, "source") == 0)
            settings->require_source = true;
        else if (name && strcmp(name, "correlation_id") == 0)
            settings->require_correlation_id = true;
        else
            good = false;
    }
    if (!good)
        return ms_error_set(err, MS_EINVAL,
                            "field \"require\": expected an array of source and correlation_id");
    return 0;
}

static int set_milliseconds(const char *name, const json_t *value, int64_t *ret_ms,
                            struct ms_error *err) {
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return ms_error_set(err, MS_EINVAL, "field \"%s\": expected a number from 0 on", name);
    *ret_ms = json_integer_value(value);
    return 0;
}

static int set_message_bytes(const json_t *value, uint32_t *ret_bytes, struct ms_error *err) {
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < MS_BATCH_HEADER_LEN || number > INT32_MAX)
        return ms_error_set(err, MS_EINVAL,
                            "field \"message_bytes_max\": expected a number from %u to %d",
                            MS_BATCH_HEADER_LEN, INT32_MAX);
    *ret_bytes = (uint32_t)number;
    return 0;
}

static int set_lag_max(const char *name, const json_t *value, int64_t *ret_ms,
                       struct ms_error *err) {
    if (!json_is_null(value) && (!json_is_integer(value) || json_integer_value(value) < 1))
        return ms_error_set(err, MS_EINVAL, "field \"%s\": expected a number from 1 on, or null",
                            name);
    *ret_ms = json_is_null(value) ? 0 : json_integer_value(value);
    return 0;
}

/* Of what comes from Kafka's clients, and of compaction. */
static int set_further_field(const char *name, const json_t *value,
                             struct ms_topic_settings *settings, struct ms_error *err) {
    if (strcmp(name, "recompress") == 0)
        return set_flag(name, value, &settings->recompress, err);
    if (strcmp(name, "message_bytes_max") == 0)
        return set_message_bytes(value, &settings->message_bytes_max, err);
    if (strcmp(name, "log_append_time") == 0)
        return set_flag(name, value, &settings->log_append_time, err);
    if (strcmp(name, "retention_ignored") == 0)
        return set_flag(name, value, &settings->retention_ignored, err);
    if (strcmp(name, "compaction_lag_ms") == 0)
        return set_milliseconds(name, value, &settings->compaction_lag_ms, err);
    if (strcmp(name, "compaction_lag_max_ms") == 0)
        return set_lag_max(name, value, &settings->compaction_lag_max_ms, err);
    if (strcmp(name, "delete_retention_ms") == 0)
        return set_milliseconds(name, value, &settings->delete_retention_ms, err);
    return ms_error_set(err, MS_EINVAL,
                        "unknown field \"%.64s\"; known here: partitions, streams, retention_ms, "
                        "retention_bytes, retention_count, compact, compression, require, "
                        "recompress, message_bytes_max, log_append_time, retention_ignored, "
                        "compaction_lag_ms, compaction_lag_max_ms, delete_retention_ms, force",
                        name);
}

static int set_field(const char *name, const json_t *value, struct ms_topic_settings *settings,
                     struct ms_error *err) {
    if (strcmp(name, "partitions") == 0)
        return set_partitions(value, &settings->partitions, err);
    if (strcmp(name, "streams") == 0)
        return set_flag(name, value, &settings->streams, err);
    if (strcmp(name, "retention_ms") == 0)
        return set_bound(name, value, &settings->retention_ms, err);
    if (strcmp(name, "retention_bytes") == 0)
        return set_bound(name, value, &settings->retention_bytes, err);
    if (strcmp(name, "retention_count") == 0)
        return set_bound(name, value, &settings->retention_count, err);
    if (strcmp(name, "compact") == 0)
        return set_flag(name, value, &settings->compact, err);
    if (strcmp(name, "compression") == 0)
        return set_codec(value, &settings->compression, err);
    if (strcmp(name, "require") == 0)
        return set_required(value, settings, err);
    return set_further_field(name, value, settings, err);
}

int ms_http_topic_settings_parse(struct ms_bytes body, struct ms_topic_settings *settings,
                                 bool *ret_force, struct ms_error *err) {
    *ret_force = false;
    if (body.len == 0)
        return 0;
    json_error_t problem;
    json_t *root = json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES, &problem);
    if (!root)
        return ms_error_set(err, MS_EINVAL, "line %d, column %d: %s", problem.line, problem.column,
                            problem.text);
    int code = json_is_object(root) ? 0 : ms_error_set(err, MS_EINVAL, "expected a JSON object");
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value) {
        if (code == 0)
            code = strcmp(name, "force") == 0 ? set_flag(name, value, ret_force, err)
                                              : set_field(name, value, settings, err);
    }
    json_decref(root);
    return code;
}

static int copy_settings(void *context, const struct ms_topic_info *topic) {
    *(struct ms_topic_settings *)context = topic->settings;
    return 0;
}

/* What the body says, over what the settings are. */
static int put_settings(void *context, struct ms_topic_settings *settings, struct ms_error *err) {
    struct ms_http_request *request = context;
    struct ms_topic_settings before = *settings;
    bool force = false;
    int code = ms_http_topic_settings_parse(ms_buf_bytes(&request->body), settings, &force, err);
    return code == 0 ? ms_topic_settings_check_compaction(&before, settings, force, err) : code;
}

static int put_topic(struct ms_http_request *request, bool there,
                     const struct ms_topic_settings *settings, bool *ret_created,
                     struct ms_error *err) {
    struct ms_bytes name = request->captures[0];
    if (there)
        return ms_store_change_topic(store_of(request), name, put_settings, request, false, err);
    return ms_store_put_topic(store_of(request), name, settings, ret_created, err);
}

static void finish_put_topic(struct ms_http_request *request, bool there,
                             const struct ms_topic_settings *settings) {
    struct ms_error err = {0};
    bool created = false;
    int code = put_topic(request, there, settings, &created, &err);
    if (code == 0)
        code = get_topic(request, &err);
    answer(request, code, &err, created ? 201 : 200);
}

/* Without an answer when streams are to be switched on: that is no reader's job. */
static void run_put_topic(struct ms_http_request *request) {
    struct ms_error err = {0};
    struct ms_store *store = store_of(request);
    struct ms_topic_settings settings = ms_topic_settings_default(store);
    int code = ms_store_get_topic(store, request->captures[0], copy_settings, &settings, &err);
    bool there = code == 0, had_streams = settings.streams;
    if (code == MS_ENOTFOUND)
        code = 0;
    if (code == 0)
        code = put_settings(request, &settings, &err);
    if (code != 0)
        answer(request, code, &err, 200);
    else if (!there || had_streams || !settings.streams)
        finish_put_topic(request, there, &settings);
}

/* A step; without an answer when there are more. */
static void run_switch(struct ms_http_request *request) {
    struct ms_error err = {0};
    bool more = false;
    int code = ms_store_prepare_streams(store_of(request), request->captures[0], &more, &err);
    if (code != 0)
        answer(request, code, &err, 200);
    else if (!more)
        finish_put_topic(request, true, NULL);
}

/* Nobody waits for the answer any more, or the server shall stop. What was done is kept. */
static int give_up(const struct ms_http_request *request, struct ms_error *err) {
    if (request->loop->stopping)
        return ms_error_set(err, MS_ECLOSED, "the server is stopping; ask again when it is back");
    if (ms_http_connection_is_left(request->connection))
        return ms_error_set(err, MS_EAGAIN, "the connection was closed; ask again");
    return 0;
}

static void resume_put_topic(struct ms_http_request *request) {
    struct ms_error err = {0};
    struct ms_http *http = request->loop->http;
    int code = request->answer.status == 0 ? give_up(request, &err) : 0;
    if (code != 0)
        answer(request, code, &err, 200);
    if (request->answer.status != 0)
        ms_http_request_done(request);
    else
        ms_http_request_submit_to(request, &http->switches, run_switch, resume_put_topic);
}

static void run_delete_topic(struct ms_http_request *request) {
    struct ms_error err = {0};
    answer(request, ms_store_delete_topic(store_of(request), request->captures[0], &err), &err,
           204);
}

/* ---- streams of a topic ---- */

static int visit_stream(void *context, struct ms_bytes stream, int64_t head,
                        uint64_t first_position) {
    struct ms_http_request *request = context;
    struct ms_buf *out = &request->answer.body;
    bool first = out->data[out->len - 1] == '[';
    int code = ms_buf_append_cstr(out, first ? "\n{\"stream\":" : ",\n{\"stream\":");
    if (code == 0)
        code = ms_json_write_string(out, stream);
    if (code == 0)
        code = ms_buf_printf(out, ",\"version\":%lld,\"first_position\":%llu}", (long long)head,
                             (unsigned long long)first_position);
    return code;
}

static int finish_streams(struct ms_http_request *request, uint64_t next, bool at_end) {
    struct ms_buf *out = &request->answer.body;
    if (at_end)
        return ms_buf_append_cstr(out, "\n],\"next\":null}\n");
    int code = ms_buf_printf(out, "\n],\"next\":%llu}\n", (unsigned long long)next);
    return code == 0 ? ms_http_answer_next_link(request, next) : code;
}

static void run_list_streams(struct ms_http_request *request) {
    struct ms_error err = {0};
    const struct ms_http_params *params = &request->params;
    uint64_t next = 0;
    bool at_end = true;
    int code = 0;
    if (!params->topic.data)
        code = ms_error_set(&err, MS_EINVAL, "query parameter \"topic\" is needed");
    if (code == 0)
        code = ms_buf_append_cstr(&request->answer.body, "{\"streams\":[");
    if (code == 0)
        code = ms_store_list_streams(store_of(request), params->topic, params->from, params->limit,
                                     visit_stream, request, &next, &at_end, &err);
    if (code == 0)
        code = finish_streams(request, next, at_end);
    answer(request, code, &err, 200);
}

/* ---- the loop's side ---- */

void ms_http_list_topics_start(struct ms_http_request *request) {
    ms_http_request_submit(request, run_list_topics, ms_http_request_done);
}
void ms_http_get_topic_start(struct ms_http_request *request) {
    ms_http_request_submit(request, run_get_topic, ms_http_request_done);
}
void ms_http_put_topic_start(struct ms_http_request *request) {
    ms_http_request_submit(request, run_put_topic, resume_put_topic);
}
void ms_http_delete_topic_start(struct ms_http_request *request) {
    ms_http_request_submit(request, run_delete_topic, ms_http_request_done);
}
void ms_http_list_streams_start(struct ms_http_request *request) {
    ms_http_request_submit(request, run_list_streams, ms_http_request_done);
}
