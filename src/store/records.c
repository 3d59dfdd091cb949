/* Keyed records of the system's topics; see records.h. A record's fact is named by its topic and
 * key, and holds its position and value. */
#include "store/records.h"

#include "base/alloc.h"
#include "base/endian.h"
#include "store/internal.h"

#define DECOMPRESSED_MAX ((size_t)1 << 30)
#define POSITION_LEN 8u
#define OP_OVERHEAD_BYTES 512u

static const uint32_t topic_numbers[] = {
    [MS_RECORDS_CONSUMER_OFFSETS] = MS_TOPIC_CONSUMER_OFFSETS,
    [MS_RECORDS_TRANSACTION_STATE] = MS_TOPIC_TRANSACTION_STATE,
};

static int write_prefix(struct ms_buf *out, uint32_t number) {
    return ms_buf_printf(out, "r/%08x/", (unsigned)number);
}

/* ---- appending ---- */

static int encode(struct ms_op *op, const struct ms_keyed_records *set) {
    struct ms_batch_writer writer;
    int64_t now_ms = ms_clock_now_us(op->store->env->clock) / 1000;
    int rc = ms_batch_begin(&writer, &op->batches, MS_CODEC_NONE, now_ms);
    for (size_t i = 0; rc == 0 && i < set->count; i++)
        rc = ms_batch_add(&writer, now_ms, &set->records[i].key,
                          set->records[i].tombstone ? NULL : &set->records[i].value, NULL, 0);
    return rc == 0 ? ms_batch_end(&writer) : rc;
}

/* Name and value of a fact, in the arena. */
static int make_fact(struct ms_arena *arena, uint32_t number, const struct ms_keyed_record *record,
                     struct ms_index_fact *ret_fact) {
    struct ms_buf name;
    ms_buf_init(&name, MS_INDEX_FACT_NAME_MAX);
    int rc = write_prefix(&name, number);
    if (rc == 0)
        rc = ms_buf_append_bytes(&name, record->key);
    char *name_copy = rc == 0 ? ms_arena_strdup(arena, ms_buf_bytes(&name)) : NULL;
    uint8_t *value = ms_arena_zalloc(arena, POSITION_LEN + record->value.len);
    size_t name_len = name.len;
    ms_buf_deinit(&name);
    if (rc != 0 || name_copy == NULL || value == NULL)
        return rc != 0 ? rc : MS_ENOMEM;
    if (record->value.len > 0)
        memcpy(value + POSITION_LEN, record->value.data, record->value.len);
    *ret_fact = (struct ms_index_fact){
        .name = ms_bytes_of(name_copy, name_len),
        .value = ms_bytes_of(value, POSITION_LEN + record->value.len),
        .remove = record->tombstone,
    };
    return 0;
}

static int add_set(struct ms_op *op, const struct ms_keyed_records *set) {
    struct ms_op_part *part = &op->parts[op->part_count];
    struct ms_topic *topic = ms_topics_at(op->store, topic_numbers[set->topic]);
    struct ms_term_list terms = {.arena = &op->arena, .untyped = true};
    *part = (struct ms_op_part){
        .ref.topic = topic,
        .count = (uint32_t)set->count,
        .batch_at = op->batches.len,
        .first_version = -1,
        .version = -1,
    };
    int rc = encode(op, set);
    for (size_t i = 0; rc == 0 && i < set->count; i++)
        rc = make_fact(&op->arena, topic->number, &set->records[i], &op->facts[op->fact_count++]);
    if (rc == 0)
        rc = ms_terms_add_topic(&terms, topic);
    part->batch_len = op->batches.len - part->batch_at;
    part->fact_count = set->count;
    part->terms = terms.terms;
    part->term_count = terms.count;
    op->part_count += rc == 0;
    return rc;
}

int ms_records_add(struct ms_op *op, const struct ms_keyed_records *sets, size_t set_count) {
    size_t facts = 0;
    for (size_t i = 0; i < set_count; i++)
        facts += sets[i].count;
    op->facts = ms_arena_alloc(&op->arena, (facts + 1) * sizeof *op->facts);
    int rc = op->facts != NULL ? 0 : MS_ENOMEM;
    for (size_t i = 0; rc == 0 && i < set_count; i++)
        rc = sets[i].count > 0 ? add_set(op, &sets[i]) : 0;
    return rc;
}

static int check_sets(const struct ms_store *store, const struct ms_keyed_records *sets,
                      size_t set_count, struct ms_error *err) {
    size_t count = 0;
    for (size_t s = 0; s < set_count; s++) {
        count += sets[s].count;
        for (size_t i = 0; i < sets[s].count; i++) {
            size_t len = sets[s].records[i].key.len;
            if (len == 0 || len > MS_RECORD_KEY_BYTES_MAX)
                return ms_error_set(err, MS_EINVAL, "a key of %zu bytes", len);
        }
    }
    if (count == 0 || count > store->options.limits.append_events_max)
        return ms_error_set(err, count == 0 ? MS_EINVAL : MS_ETOOBIG, "%zu records in one append",
                            count);
    return 0;
}

int ms_store_append_record_sets(struct ms_store *store, const struct ms_keyed_records *sets,
                                size_t set_count, ms_append_done_fn *done, void *context,
                                struct ms_error *err) {
    if (store->options.read_only)
        return ms_error_set(err, MS_ECLOSED, "the store is open for reading only");
    int rc = check_sets(store, sets, set_count, err);
    if (rc != 0)
        return rc;
    struct ms_op *op = ms_op_take(&store->op_pool, store->options.limits.append_bytes_max);
    if (op == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for an append");
    op->store = store;
    op->produce = op->wait = op->exempt = true;
    op->parts = ms_arena_zalloc(&op->arena, set_count * sizeof *op->parts);
    op->results = ms_arena_zalloc(&op->arena, set_count * sizeof *op->results);
    rc = op->parts != NULL && op->results != NULL ? ms_records_add(op, sets, set_count) : MS_ENOMEM;
    if (rc != 0) {
        ms_op_free(op);
        return ms_error_set(err, rc, "records can't be appended: %s", ms_error_text(rc));
    }
    op->budget = op->batches.len + OP_OVERHEAD_BYTES;
    bool stale;
    return ms_error_settle(err, ms_op_start(op, done, context, true, &stale, err), "records");
}

int ms_store_append_records(struct ms_store *store, enum ms_records_topic topic,
                            const struct ms_keyed_record *records, size_t count,
                            ms_append_done_fn *done, void *context, struct ms_error *err) {
    struct ms_keyed_records set = {topic, records, count};
    return ms_store_append_record_sets(store, &set, 1, done, context, err);
}

void ms_records_date(struct ms_op *op) {
    size_t fact = 0;
    for (size_t p = 0; p < op->part_count; p++)
        for (size_t i = 0; i < op->parts[p].fact_count; i++, fact++)
            ms_put_be64((uint8_t *)(uintptr_t)op->facts[fact].value.data,
                        op->parts[p].position + i);
}

/* ---- folding ---- */

bool ms_records_is_topic(uint32_t number) {
    return number == MS_TOPIC_CONSUMER_OFFSETS || number == MS_TOPIC_TRANSACTION_STATE;
}

int ms_records_fold(struct ms_store *store, const struct ms_log_entry *entry,
                    struct ms_error *err) {
    struct ms_batch_reader batch = {0};
    struct ms_record record;
    struct ms_arena arena;
    ms_arena_init(&arena, DECOMPRESSED_MAX);
    int rc = ms_batch_reader_init(&batch, entry->batch, DECOMPRESSED_MAX, err);
    while (rc == 0 && (rc = ms_batch_reader_next(&batch, &record, err)) > 0) {
        struct ms_keyed_record keyed = {record.key, record.value, record.value_is_null};
        struct ms_index_fact fact;
        uint64_t delta = (uint64_t)(record.offset - entry->first_offset);
        ms_arena_reset(&arena);
        rc = make_fact(&arena, entry->header.topic, &keyed, &fact);
        if (rc == 0) {
            ms_put_be64((uint8_t *)(uintptr_t)fact.value.data,
                        entry->header.first_position + delta);
            rc = ms_index_apply(store->index, NULL, 0, &fact, 1, entry->header.first_position);
        }
    }
    ms_batch_reader_deinit(&batch);
    ms_arena_deinit(&arena);
    return rc;
}

/* ---- reading ---- */

struct listing {
    size_t prefix_len;
    ms_keyed_record_fn *visit;
    void *context;
};

static int visit_fact(void *context, struct ms_bytes name, struct ms_bytes value) {
    const struct listing *listing = context;
    if (value.len < POSITION_LEN)
        return MS_ECORRUPT;
    struct ms_keyed_record record = {
        .key = ms_bytes_of(name.data + listing->prefix_len, name.len - listing->prefix_len),
        .value = ms_bytes_of(value.data + POSITION_LEN, value.len - POSITION_LEN),
    };
    return listing->visit(listing->context, &record, ms_get_be64(value.data));
}

int ms_store_list_records(struct ms_store *store, enum ms_records_topic topic,
                          ms_keyed_record_fn *visit, void *context, struct ms_error *err) {
    struct ms_buf prefix;
    ms_buf_init(&prefix, 64);
    int rc = write_prefix(&prefix, topic_numbers[topic]);
    struct listing listing = {prefix.len, visit, context};
    if (rc == 0)
        rc = ms_index_fact_list(store->index, ms_buf_bytes(&prefix), (struct ms_bytes){0},
                                visit_fact, &listing, err);
    ms_buf_deinit(&prefix);
    return rc;
}
