/*
 * Stream metadata and what follows from it: the rules that readers honour at once.
 *
 * The metadata of a stream S is the newest event of the stream "$$S" (topic "$metadata", key S): a
 * JSON object with the rules below and any keys of the user's own. A soft delete is metadata with
 * $tb = the largest integer, as KurrentDB's clients know it; a tombstone is an event of type
 * $streamDeleted at the end of S itself.
 *
 *   $maxAge    seconds; older events are not read      $maxCount  only the newest n are read
 *   $tb        versions below it are not read
 *
 * What users put has at most 1 MiB, and leaves room in the limits of events and appends for the
 * mark of a soft delete, which keeps the rest as it is: so a stream can always be deleted.
 *
 * Rules as an index fact, "m" and the stream's id:
 *
 *     0  1 flags (1 tombstoned)    1  8 deleted head     9  8 truncate before    17  8 max count
 *    25  8 max age ms             33  8 metadata version                  little endian, 41 bytes
 */
#include "base/alloc.h"
#include "base/endian.h"
#include "store/internal.h"
#include "wire/json.h"

#define RULES_LEN 41u
#define METADATA_TYPE "$metadata"
#define METADATA_JSON_MAX ((size_t)1 << 20) /* as put */
#define DELETED_MARK "\"$tb\":9223372036854775807"
#define DELETE_ADDS (sizeof DELETED_MARK) /* and a comma */
#define METADATA_STORED_MAX (METADATA_JSON_MAX + DELETE_ADDS)

size_t ms_rules_fact_name(const struct ms_stream_id *id, char out[MS_FACT_NAME_MAX]) {
    out[0] = 'm';
    memcpy(out + 1, id->bytes, MS_STREAM_ID_LEN);
    return 1 + MS_STREAM_ID_LEN;
}

size_t ms_rules_write(const struct ms_stream_rules *rules, uint8_t out[MS_RULES_BYTES_MAX]) {
    out[0] = rules->tombstoned ? 1 : 0;
    ms_put_le64(out + 1, (uint64_t)rules->deleted_head);
    ms_put_le64(out + 9, (uint64_t)rules->truncate_before);
    ms_put_le64(out + 17, (uint64_t)rules->max_count);
    ms_put_le64(out + 25, (uint64_t)rules->max_age_ms);
    ms_put_le64(out + 33, (uint64_t)rules->metadata_version);
    return RULES_LEN;
}

int ms_rules_read(struct ms_bytes value, struct ms_stream_rules *ret_rules) {
    if (value.len != RULES_LEN)
        return MS_ECORRUPT;
    *ret_rules = (struct ms_stream_rules){
        .tombstoned = (value.data[0] & 1) != 0,
        .deleted_head = (int64_t)ms_get_le64(value.data + 1),
        .truncate_before = (int64_t)ms_get_le64(value.data + 9),
        .max_count = (int64_t)ms_get_le64(value.data + 17),
        .max_age_ms = (int64_t)ms_get_le64(value.data + 25),
        .metadata_version = (int64_t)ms_get_le64(value.data + 33),
    };
    return 0;
}

static int read_rule(struct ms_json_value object, const char *name, int64_t min, int64_t *ret_value,
                     struct ms_error *err) {
    struct ms_json_value value;
    int64_t number;
    if (!ms_json_get(object, name, &value) || value.type == MS_JSON_NULL)
        return 0;
    if (ms_json_i64(value, &number) != 0 || number < min)
        return ms_error_set(err, MS_EINVAL, "metadata: %s must be an integer of at least %lld",
                            name, (long long)min);
    *ret_value = number;
    return 0;
}

static int too_large(size_t len, size_t max, struct ms_error *err) {
    return ms_error_set(err, MS_ETOOBIG, "metadata has %zu bytes, the limit is %zu", len, max);
}

int ms_rules_parse(struct ms_bytes json, int64_t head, struct ms_stream_rules *ret_rules,
                   struct ms_error *err) {
    struct ms_json_value object;
    struct ms_stream_rules rules = MS_STREAM_RULES_NONE;
    int64_t max_age_s = 0;
    if (json.len > METADATA_STORED_MAX)
        return too_large(json.len, METADATA_JSON_MAX, err);
    int rc = ms_json_parse(json, 64, &object, err);
    if (rc == 0 && object.type != MS_JSON_OBJECT)
        rc = ms_error_set(err, MS_EINVAL, "metadata must be a JSON object");
    if (rc == 0)
        rc = read_rule(object, "$maxAge", 1, &max_age_s, err);
    if (rc == 0)
        rc = read_rule(object, "$maxCount", 1, &rules.max_count, err);
    if (rc == 0)
        rc = read_rule(object, "$tb", 0, &rules.truncate_before, err);
    if (rc != 0)
        return rc;
    rules.max_age_ms = max_age_s > INT64_MAX / 1000 ? INT64_MAX : max_age_s * 1000;
    if (rules.truncate_before == INT64_MAX) {
        rules.deleted_head = head;
        rules.truncate_before = 0;
    }
    *ret_rules = rules;
    return 0;
}

/* ---- replay ---- */

static int fold_rules(struct ms_store *store, const struct ms_stream_id *id,
                      const struct ms_stream_rules *rules, uint64_t next_position) {
    char name[MS_FACT_NAME_MAX];
    uint8_t value[MS_RULES_BYTES_MAX];
    struct ms_index_fact fact = {
        .name = ms_bytes_of(name, ms_rules_fact_name(id, name)),
        .value = ms_bytes_of(value, ms_rules_write(rules, value)),
    };
    return ms_index_apply(store->index, NULL, 0, &fact, 1, next_position);
}

/* Under any limit: what was put under a higher one than today's still holds. */
static int find_target(struct ms_store *store, struct ms_bytes name, struct ms_stream_id *ret_id,
                       struct ms_error *err) {
    struct ms_arena arena;
    struct ms_bytes topic_name, key;
    ms_arena_init(&arena, MS_NAME_ARENA_MAX);
    int rc = ms_name_split(name, MS_NAME_TEXT_MAX, &arena, &topic_name, &key, err);
    struct ms_topic *topic = rc == 0 ? ms_topics_find(store, topic_name) : NULL;
    if (topic != NULL)
        *ret_id = ms_stream_id_of(store, topic, key);
    else if (rc == 0)
        rc = MS_ENOTFOUND;
    ms_arena_deinit(&arena);
    return rc;
}

static int fold_metadata_record(struct ms_store *store, const struct ms_record *record,
                                int64_t version, uint64_t next_position, struct ms_error *err) {
    struct ms_stream_id id;
    struct ms_head head;
    struct ms_stream_rules rules;
    int rc = find_target(store, record->key, &id, err);
    if (rc == 0)
        rc = ms_heads_resolve(store, &id, &head, err);
    if (rc == 0)
        rc = ms_rules_parse(record->value, head.version, &rules, err);
    /* Metadata that could never have been put changes nothing: a start must not fail over it. */
    if (rc == MS_ENOTFOUND || rc == MS_EINVAL || rc == MS_ETOOBIG)
        return 0;
    if (rc != 0)
        return rc;
    rules.tombstoned = head.rules.tombstoned;
    rules.metadata_version = version;
    return fold_rules(store, &id, &rules, next_position);
}

int ms_rules_fold(struct ms_store *store, const struct ms_log_entry *entry, struct ms_error *err) {
    uint64_t next = entry->header.first_position; /* the entry itself is folded after it */
    if (entry->header.flags & MS_ENTRY_TOMBSTONE) {
        struct ms_stream_id id;
        struct ms_head head;
        memcpy(id.bytes, entry->header.stream_id, MS_STREAM_ID_LEN);
        int rc = ms_heads_resolve(store, &id, &head, err);
        head.rules.tombstoned = true;
        return rc != 0 ? rc : fold_rules(store, &id, &head.rules, next);
    }
    struct ms_batch_reader batch = {0};
    struct ms_record record;
    int rc = ms_batch_reader_init(&batch, entry->batch, METADATA_JSON_MAX * 2, err);
    while (rc == 0 && (rc = ms_batch_reader_next(&batch, &record, err)) > 0)
        rc = fold_metadata_record(
            store, &record, entry->header.first_version + (record.offset - entry->first_offset),
            next, err);
    ms_batch_reader_deinit(&batch);
    return rc;
}

/* ---- changing ---- */

/* An op with two parts: the event that records the change, and the stream that it is about. */
struct rules_change {
    struct ms_bytes stream, event_stream;
    struct ms_condition condition, event_condition;
    const struct ms_event *event;
    struct ms_stream_rules rules;
    bool tombstone, must_exist;
    bool replaces; /* the event is made from the one before, which event_condition names */
    size_t spare;  /* bytes that the append's limit must have left */
};

/* Rules are those of a topic's stream: a topic that is not there yet is made for them too. */
static void need_topic(struct ms_op *op, const struct ms_op_part *part) {
    for (struct ms_op_topic *new = op->new_topics; new != NULL; new = new->next)
        new->needed = new->needed || new->topic == part->ref.topic;
}

static int submit_once(struct ms_store *store, const struct rules_change *change,
                       ms_append_done_fn *done, void *context, bool *ret_stale,
                       struct ms_error *err) {
    *ret_stale = false;
    struct ms_append_part parts[2] = {
        {change->event_stream, change->event_condition, change->event, 1},
        {change->stream, change->condition, NULL, 0},
    };
    struct ms_append_request request = {
        .parts = parts, .part_count = change->tombstone ? 1 : 2, .system = true};
    struct ms_op *op;
    int rc = ms_op_new(store, &request, &op, err);
    if (rc != 0)
        return rc;
    size_t bytes = op->batches.len, bytes_max = store->options.limits.append_bytes_max;
    if (bytes + change->spare > bytes_max) {
        ms_op_free(op);
        return ms_error_set(err, MS_ETOOBIG,
                            "the append of the metadata has %zu bytes, the limit is %zu", bytes,
                            bytes_max - change->spare);
    }
    uint8_t *value = ms_arena_alloc(&op->arena, MS_RULES_BYTES_MAX);
    char *name = ms_arena_alloc(&op->arena, MS_FACT_NAME_MAX);
    if (value == NULL || name == NULL) {
        ms_op_free(op);
        return ms_error_set(err, MS_ENOMEM, "no memory for stream metadata");
    }
    size_t about = change->tombstone ? 0 : 1;
    need_topic(op, &op->parts[about]);
    op->must_exist = change->must_exist;
    op->replaces = change->replaces;
    op->effect.kind = MS_EFFECT_RULES;
    op->effect.part = about;
    op->effect.rules = change->rules;
    op->effect.name = ms_bytes_of(name, ms_rules_fact_name(&op->parts[about].ref.id, name));
    op->effect.value = ms_bytes_of(value, RULES_LEN);
    if (change->tombstone)
        op->parts[0].entry_flags = MS_ENTRY_TOMBSTONE;
    op->done = done;
    op->context = context;
    op->started_us = (uint64_t)ms_clock_monotonic_us(store->env->clock);
    uint64_t budget = op->budget;
    atomic_fetch_add(&store->inflight, budget);
    rc = ms_op_submit(op, err);
    if (rc != 0) {
        *ret_stale = op->stale;
        ms_op_free(op);
        ms_budget_give_back(store, budget);
        return rc;
    }
    atomic_fetch_add(&store->rule_changes, 1);
    return 0;
}

static int check_target(struct ms_store *store, struct ms_bytes stream, struct ms_error *err) {
    if (store->options.read_only)
        return ms_error_set(err, MS_ECLOSED, "the store is open for reading only");
    return ms_name_check_stream(stream, false, err);
}

/* One place for the metadata, however the stream's name is spelt. */
static int metadata_stream(struct ms_store *store, struct ms_bytes stream, struct ms_buf *out,
                           struct ms_error *err) {
    if (ms_buf_append_cstr(out, "$$") != 0)
        return ms_error_set(err, MS_ENOMEM, "no memory for a stream's name");
    return ms_name_canonical(store, stream, out, err);
}

static int put_metadata(struct ms_store *store, struct rules_change *change, struct ms_bytes json,
                        ms_append_done_fn *done, void *context, bool *ret_stale,
                        struct ms_error *err) {
    struct ms_buf name;
    struct ms_event event = {
        .type = MS_BYTES_LITERAL(METADATA_TYPE),
        .timestamp_ms = MS_TIMESTAMP_NONE,
        .data = json,
    };
    ms_buf_init(&name, MS_NAME_TEXT_MAX);
    int rc = metadata_stream(store, change->stream, &name, err);
    change->event_stream = ms_buf_bytes(&name);
    change->event = &event;
    if (rc == 0)
        rc = ms_rules_parse(json, INT64_MAX, &change->rules, err);
    *ret_stale = false;
    if (rc == 0)
        rc = submit_once(store, change, done, context, ret_stale, err);
    ms_buf_deinit(&name);
    return rc;
}

/* As an event it must still fit when a delete has added its mark. */
static int check_size(struct ms_store *store, struct ms_bytes json, struct ms_error *err) {
    size_t max = METADATA_JSON_MAX, event_max = store->options.limits.event_bytes_max;
    size_t other = sizeof METADATA_TYPE - 1 + DELETE_ADDS;
    if (event_max < max + other)
        max = event_max > other ? event_max - other : 0;
    return json.len > max ? too_large(json.len, max, err) : 0;
}

int ms_store_put_metadata(struct ms_store *store, struct ms_bytes stream,
                          struct ms_condition condition, struct ms_bytes json,
                          ms_append_done_fn *done, void *context, struct ms_error *err) {
    struct rules_change change = {
        .stream = stream, .event_condition = condition, .spare = DELETE_ADDS};
    bool stale = false;
    int rc = check_target(store, stream, err);
    if (rc == 0)
        rc = check_size(store, json, err);
    if (rc == 0)
        do
            rc = put_metadata(store, &change, json, done, context, &stale, err);
        while (stale);
    return ms_error_settle(err, rc, "stream metadata");
}

/* The metadata with another $tb; every other member stays as it is. A name may have been written
 * with escapes. */
static int replace_tb(struct ms_bytes old, int64_t tb, struct ms_buf *out) {
    struct ms_json_value object, name, value;
    struct ms_arena arena;
    struct ms_bytes text;
    size_t at = 0;
    ms_arena_init(&arena, METADATA_JSON_MAX * 4);
    int rc = ms_buf_append_cstr(out, "{");
    if (old.len > 0 && ms_json_parse(old, 64, &object, NULL) == 0 &&
        object.type == MS_JSON_OBJECT) {
        while (rc == 0 && ms_json_next_member(object, &at, &name, &value)) {
            rc = ms_json_string(name, &arena, &text);
            if (rc == 0 && ms_bytes_equal_cstr(text, "$tb"))
                continue;
            if (rc == 0)
                rc = ms_buf_append_bytes(out, name.text);
            if (rc == 0)
                rc = ms_buf_append_cstr(out, ":");
            if (rc == 0)
                rc = ms_buf_append_bytes(out, value.text);
            if (rc == 0)
                rc = ms_buf_append_cstr(out, ",");
        }
    }
    ms_arena_deinit(&arena);
    return rc != 0 ? rc : ms_buf_printf(out, "\"$tb\":%lld}", (long long)tb);
}

/* The metadata as it is with the mark of a delete; when it changed before that is appended, once
 * more. */
static int soft_delete(struct ms_store *store, struct rules_change *change, ms_append_done_fn *done,
                       void *context, bool *ret_stale, struct ms_error *err) {
    struct ms_buf old, json;
    int64_t version = -1;
    *ret_stale = false;
    ms_buf_init(&old, METADATA_STORED_MAX);
    ms_buf_init(&json, METADATA_STORED_MAX);
    int rc = ms_store_get_metadata(store, change->stream, &old, &version, err);
    change->replaces = true;
    change->event_condition = (struct ms_condition){MS_EXPECT_VERSION, version};
    if (rc == MS_ENOTFOUND) {
        change->event_condition = (struct ms_condition){.kind = MS_EXPECT_NONE};
        rc = 0;
    }
    if (rc == 0)
        rc = replace_tb(ms_buf_bytes(&old), INT64_MAX, &json);
    if (rc == 0)
        rc = put_metadata(store, change, ms_buf_bytes(&json), done, context, ret_stale, err);
    if (rc == MS_ETOOBIG) /* the limits were higher when it was put */
        ms_error_prefix(err, "the stream's metadata, which a delete keeps");
    ms_buf_deinit(&old);
    ms_buf_deinit(&json);
    return rc;
}

int ms_store_delete_stream(struct ms_store *store, struct ms_bytes stream,
                           struct ms_condition condition, bool tombstone, ms_append_done_fn *done,
                           void *context, struct ms_error *err) {
    struct rules_change change = {
        .stream = stream, .condition = condition, .tombstone = tombstone, .must_exist = true};
    int rc = check_target(store, stream, err);
    if (rc != 0)
        return rc;
    if (condition.kind == MS_EXPECT_ANY)
        change.condition.kind = MS_EXPECT_EXISTS;
    bool stale = false;
    if (!tombstone) {
        do
            rc = soft_delete(store, &change, done, context, &stale, err);
        while (stale);
        return ms_error_settle(err, rc, "delete");
    }
    struct ms_event event = {
        .type = MS_BYTES_LITERAL("$streamDeleted"),
        .timestamp_ms = MS_TIMESTAMP_NONE,
        .data = MS_BYTES_LITERAL("{}"),
    };
    change.event_stream = stream;
    change.event_condition = change.condition;
    if (condition.kind == MS_EXPECT_ANY)
        change.event_condition.kind = MS_EXPECT_ANY; /* a soft-deleted stream may be tombstoned */
    change.must_exist = condition.kind != MS_EXPECT_ANY;
    change.event = &event;
    change.rules = MS_STREAM_RULES_NONE;
    change.rules.tombstoned = true;
    do
        rc = submit_once(store, &change, done, context, &stale, err);
    while (stale);
    return ms_error_settle(err, rc, "delete");
}

/* ---- reading ---- */

struct metadata_read {
    struct ms_buf *out;
    int64_t version;
    bool found;
    int rc;
};

static int take_metadata(void *context, const struct ms_read_event *event) {
    struct metadata_read *read = context;
    read->found = true;
    read->version = event->place.version;
    read->rc = ms_buf_append_bytes(read->out, event->event.data);
    return read->rc != 0 ? read->rc : 1;
}

/* Of a stream that was deleted and goes on, the metadata still says "deleted". Who reads it to put
 * it back changed would delete the stream again: what is told is where the stream begins now. */
static int tell_where_it_begins(struct ms_store *store, struct ms_bytes stream,
                                struct ms_bytes json, struct ms_buf *out, struct ms_error *err) {
    struct ms_arena arena;
    struct ms_stream_ref ref;
    struct ms_head head = {.version = -1, .rules = MS_STREAM_RULES_NONE};
    ms_arena_init(&arena, MS_NAME_ARENA_MAX);
    int rc = ms_stream_find(store, stream, &arena, &ref, err);
    if (rc == 0)
        rc = ms_heads_resolve(store, &ref.id, &head, err);
    ms_arena_deinit(&arena);
    if (rc != 0 && rc != MS_ENOTFOUND)
        return rc;
    bool goes_on = head.rules.deleted_head >= 0 && head.version > head.rules.deleted_head;
    return goes_on ? replace_tb(json, head.rules.deleted_head + 1, out)
                   : ms_buf_append_bytes(out, json);
}

int ms_store_get_metadata(struct ms_store *store, struct ms_bytes stream, struct ms_buf *out,
                          int64_t *ret_version, struct ms_error *err) {
    struct ms_buf name, json;
    struct metadata_read metadata = {.out = &json};
    ms_buf_init(&json, METADATA_STORED_MAX);
    ms_buf_init(&name, MS_NAME_TEXT_MAX);
    int rc = metadata_stream(store, stream, &name, err);
    struct ms_stream_read read = {
        .stream = ms_buf_bytes(&name), .backward = true, .from_end = true, .limit = 1};
    struct ms_stream_read_result result;
    if (rc == 0)
        rc = ms_store_read_stream(store, &read, take_metadata, &metadata, &result, err);
    if (rc == 0 && !metadata.found)
        rc = ms_error_set(err, MS_ENOTFOUND, "stream '%.*s' has no metadata",
                          (int)(name.len > 202 ? 200 : name.len - 2), name.data + 2);
    ms_buf_deinit(&name);
    if (rc == 0)
        rc = tell_where_it_begins(store, stream, ms_buf_bytes(&json), out, err);
    ms_buf_deinit(&json);
    if (rc == 0)
        *ret_version = metadata.version;
    return ms_error_settle(err, rc, "stream metadata");
}
