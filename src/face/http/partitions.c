/*
 * The partitions of a topic: how far they reach.
 *
 *   GET /v1/topics/{topic}/partitions
 *     {"topic":"order","partitions":[{"partition":0,"start_offset":0,"end_offset":815,"events":815,
 *                                     "newest_timestamp":"2026-11-23T10:52:54.123Z" | null},…]}
 *
 * A reader's job: the newest timestamp is looked for in the log.
 */
#include "face/http/partitions.h"

#include "base/time.h"
#include "face/http/answer.h"
#include "face/http/handlers.h"
#include "face/http/loop.h"
#include "face/http/server.h"
#include "wire/json.h"

static int write_partition(struct ms_buf *out, struct ms_store *store,
                           struct ms_partition_reader *reader, struct ms_topic *topic,
                           uint32_t partition, struct ms_error *err) {
    struct ms_partition_state state;
    int64_t offset, newest_ms;
    char newest[MS_TIME_TEXT_MAX];
    int code = ms_store_partition_state(store, topic, partition, &state);
    if (code == 0)
        code = ms_store_newest_time(reader, topic, partition, &offset, &newest_ms, err);
    if (code == 0)
        code = ms_buf_printf(
            out, "%s{\"partition\":%u,\"start_offset\":%lld,\"end_offset\":%lld,\"events\":%lld,",
            partition > 0 ? ",\n" : "\n", (unsigned)partition, (long long)state.start_offset,
            (long long)state.end_offset, (long long)(state.end_offset - state.start_offset));
    if (code == 0 && offset < 0)
        code = ms_buf_append_cstr(out, "\"newest_timestamp\":null}");
    else if (code == 0) {
        ms_time_format_ms(newest_ms, newest);
        code = ms_buf_printf(out, "\"newest_timestamp\":\"%s\"}", newest);
    }
    return code;
}

int ms_http_partitions_write(struct ms_buf *out, struct ms_store *store, struct ms_bytes name,
                             struct ms_error *err) {
    struct ms_partition_reader *reader;
    struct ms_topic *topic = ms_store_topic(store, name, true);
    if (topic == NULL)
        return ms_error_set(err, MS_ENOTFOUND, "there is no topic '%.*s'", (int)name.len,
                            (const char *)name.data);
    int code = ms_partition_reader_new(store, &reader);
    if (code != 0)
        return ms_error_set(err, code, "no memory to look at the topic's partitions");
    struct ms_topic_info info;
    ms_topic_info_of(store, topic, &info);
    code = ms_buf_append_cstr(out, "{\"topic\":");
    if (code == 0)
        code = ms_json_write_string(out, name);
    if (code == 0)
        code = ms_buf_append_cstr(out, ",\"partitions\":[");
    for (uint32_t i = 0; code == 0 && i < info.settings.partitions; i++)
        code = write_partition(out, store, reader, topic, i, err);
    if (code == 0)
        code = ms_buf_append_cstr(out, "\n]}\n");
    ms_partition_reader_free(reader);
    return code;
}

static void run_list_partitions(struct ms_http_request *request) {
    struct ms_error err = {0};
    int code = ms_http_partitions_write(&request->answer.body, request->loop->http->store,
                                        request->captures[0], &err);
    if (code == 0)
        ms_http_answer(request, 200, "application/json");
    else
        ms_http_answer_error(request, code, &err);
}

void ms_http_list_partitions_start(struct ms_http_request *request) {
    ms_http_request_submit(request, run_list_partitions, ms_http_request_done);
}
