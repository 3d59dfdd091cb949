/*
 * Bodies of PUT /v1/streams/{stream}/metadata. Asserted: rules are in their ranges and survive
 * being written as a fact; in a store, metadata that was accepted reads back as it was, and what a
 * soft delete makes of it is accepted again, deletes the stream and keeps the other rules.
 */
#include "os/vfs_sim.h"
#include "store/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 0 /* the stream has one event */

static const struct ms_bytes stream = {(const uint8_t *)"a-1", 3};

static void check_rules(const struct ms_stream_rules *rules) {
    struct ms_stream_rules read;
    uint8_t bytes[MS_RULES_BYTES_MAX];
    MS_ASSERT(rules->truncate_before >= 0 && rules->max_count >= 0 && rules->max_age_ms >= 0);
    MS_ASSERT(rules->deleted_head == -1 || rules->deleted_head == HEAD);
    MS_ASSERT(rules->deleted_head == -1 || rules->truncate_before == 0);
    MS_ASSERT(!rules->tombstoned && rules->metadata_version == -1);
    size_t len = ms_rules_write(rules, bytes);
    MS_ASSERT(ms_rules_read(ms_bytes_of(bytes, len), &read) == 0);
    MS_ASSERT(read.deleted_head == rules->deleted_head && read.max_count == rules->max_count &&
              read.truncate_before == rules->truncate_before &&
              read.max_age_ms == rules->max_age_ms);
}

static void done(void *context, const struct ms_append_result *result) {
    *(int *)context = result->code;
}

static void append_event(struct ms_store *store) {
    struct ms_event event = {.type = MS_BYTES_LITERAL("a"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = MS_BYTES_LITERAL("1")};
    struct ms_append_part part = {.stream = stream, .events = &event, .count = 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    int code = 1;
    MS_ASSERT(ms_store_append(store, &request, done, &code, NULL) == 0);
    ms_store_run(store);
    MS_ASSERT(code == 0);
}

static void check_in_store(struct ms_store *store, struct ms_bytes json,
                           const struct ms_stream_rules *before) {
    struct ms_condition any = {MS_EXPECT_ANY, 0};
    struct ms_stream_rules after = MS_STREAM_RULES_NONE;
    struct ms_buf kept;
    struct ms_error err = {0};
    int code = 1;
    int64_t version;
    append_event(store);
    int rc = ms_store_put_metadata(store, stream, any, json, done, &code, &err);
    MS_ASSERT(rc == 0 || err.code == rc); /* more than an event may hold */
    if (rc != 0)
        return;
    ms_store_run(store);
    ms_buf_init(&kept, (size_t)4 << 20);
    MS_ASSERT(code == 0 && ms_store_get_metadata(store, stream, &kept, &version, NULL) == 0);
    MS_ASSERT(ms_bytes_equal(ms_buf_bytes(&kept), json) && version == 0);
    code = 1;
    if (before->deleted_head < 0) {
        MS_ASSERT(ms_store_delete_stream(store, stream, any, false, done, &code, NULL) == 0);
        ms_store_run(store);
        ms_buf_clear(&kept);
        MS_ASSERT(code == 0 && ms_store_get_metadata(store, stream, &kept, &version, NULL) == 0);
    }
    MS_ASSERT(ms_rules_parse(ms_buf_bytes(&kept), HEAD, &after, NULL) == 0);
    MS_ASSERT(after.deleted_head == HEAD && after.truncate_before == 0);
    MS_ASSERT(after.max_count == before->max_count && after.max_age_ms == before->max_age_ms);
    struct ms_stream_read read = {.stream = stream};
    struct ms_stream_read_result result;
    MS_ASSERT(ms_store_read_stream(store, &read, NULL, NULL, &result, NULL) == 0);
    MS_ASSERT(result.state == MS_STREAM_DELETED && result.head == HEAD);
    ms_buf_deinit(&kept);
}

static void with_store(struct ms_bytes json, const struct ms_stream_rules *rules) {
    struct ms_vfs_sim *sim;
    struct ms_clock_manual clock;
    struct ms_random_seeded random;
    struct ms_store_options options;
    struct ms_store *store;
    MS_ASSERT(ms_vfs_sim_new(1, &sim) == 0);
    ms_clock_manual_init(&clock, INT64_C(1700000000000000));
    ms_random_seeded_init(&random, 1);
    struct ms_env env = {ms_vfs_sim_vfs(sim), &clock.clock, &random.random};
    ms_store_options_init(&options);
    options.env = &env;
    options.dir = "data";
    options.manual = options.index_in_memory = true;
    options.segment_bytes = (uint64_t)1 << 20;
    options.head_cache_entries = options.idempotence_window = 1024;
    MS_ASSERT(ms_store_open(&options, &store, NULL) == 0);
    check_in_store(store, json, rules);
    MS_ASSERT(ms_store_close(store, NULL) == 0);
    ms_vfs_sim_free(sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ms_bytes json = ms_bytes_of(data, size);
    struct ms_stream_rules rules = MS_STREAM_RULES_NONE, read;
    struct ms_error err = {0};
    int rc = ms_rules_parse(json, HEAD, &rules, &err);
    MS_ASSERT(rc == 0 || (err.code == rc && err.message[0] != 0));
    MS_ASSERT(rc == 0 || rc == MS_EINVAL || rc == MS_ETOOBIG);
    check_rules(&rules);
    if (rc == 0)
        with_store(json, &rules);
    ms_ignore(ms_rules_read(json, &read)); /* bytes that are no rules */
    return 0;
}
