/*
 * Bodies of PUT /v1/streams/{stream}/metadata. Asserted: rules are in their ranges; and what a soft
 * delete makes of metadata that was accepted is accepted again, says that the stream is deleted,
 * and keeps the other rules. The writer of that is not visible outside of its file, so the file is
 * taken in whole.
 */
#include "store/metadata.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 41

static void check_rules(const struct ms_stream_rules *rules, int64_t head) {
    MS_ASSERT(rules->truncate_before >= 0 && rules->max_count >= 0 && rules->max_age_ms >= 0);
    MS_ASSERT(rules->deleted_head == -1 || rules->deleted_head == head);
    MS_ASSERT(rules->deleted_head == -1 || rules->truncate_before == 0);
    MS_ASSERT(!rules->tombstoned && rules->metadata_version == -1);
}

static void check_delete(struct ms_bytes json, const struct ms_stream_rules *before) {
    struct ms_stream_rules after;
    struct ms_error err = {0};
    struct ms_buf deleted;
    ms_buf_init(&deleted, METADATA_JSON_MAX + 64);
    MS_ASSERT(delete_json(json, &deleted) == 0);
    MS_ASSERT(ms_rules_parse(ms_buf_bytes(&deleted), HEAD, &after, &err) == 0);
    MS_ASSERT(after.deleted_head == HEAD && after.truncate_before == 0);
    MS_ASSERT(after.max_count == before->max_count && after.max_age_ms == before->max_age_ms);
    ms_buf_deinit(&deleted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ms_bytes json = ms_bytes_of(data, size);
    struct ms_stream_rules rules = MS_STREAM_RULES_NONE, read;
    struct ms_error err = {0};
    uint8_t bytes[MS_RULES_BYTES_MAX];
    int rc = ms_rules_parse(json, HEAD, &rules, &err);
    MS_ASSERT(rc == 0 || (err.code == rc && err.message[0] != 0));
    MS_ASSERT(rc == 0 || rc == MS_EINVAL || rc == MS_ETOOBIG);
    check_rules(&rules, HEAD);
    size_t len = ms_rules_write(&rules, bytes);
    MS_ASSERT(ms_rules_read(ms_bytes_of(bytes, len), &read) == 0);
    MS_ASSERT(read.deleted_head == rules.deleted_head && read.max_count == rules.max_count &&
              read.truncate_before == rules.truncate_before && read.max_age_ms == rules.max_age_ms);
    if (rc == 0 && size + 64 <= METADATA_JSON_MAX)
        check_delete(json, &rules);
    /* What stands for bytes that are no rules. */
    ms_ignore(ms_rules_read(json, &read));
    return 0;
}
