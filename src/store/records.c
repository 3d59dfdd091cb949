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

static int encode(struct ms_op *op, const struct ms_keyed_record *records, size_t count) {
    struct ms_batch_writer writer;
    int64_t now_ms = ms_clock_now_us(op->store->env->clock) / 1000;
    int rc = ms_batch_begin(&writer, &op->batches, MS_CODEC_NONE, now_ms);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = ms_batch_add(&writer, now_ms, &records[i].key,
                          records[i].tombstone ? NULL : &records[i].value, NULL, 0);
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

static int make_facts(struct ms_op *op, uint32_t number, const struct ms_keyed_record *records,
                      size_t count) {
    op->facts = ms_arena_alloc(&op->arena, count * sizeof *op->facts);
    int rc = op->facts != NULL ? 0 : MS_ENOMEM;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = make_fact(&op->arena, number, &records[i], &op->facts[i]);
    op->fact_count = rc == 0 ? count : 0;
    return rc;
}

static int make_part(struct ms_op *op, struct ms_topic *topic, size_t count) {
    struct ms_term_list terms = {.arena = &op->arena, .untyped = true};
    op->parts = ms_arena_zalloc(&op->arena, sizeof *op->parts);
    op->results = ms_arena_zalloc(&op->arena, sizeof *op->results);
    int rc = op->parts != NULL && op->results != NULL ? 0 : MS_ENOMEM;
    if (rc == 0)
        rc = ms_terms_add_topic(&terms, topic);
    if (rc != 0)
        return rc;
    op->part_count = 1;
    op->parts[0] = (struct ms_op_part){
        .ref.topic = topic,
        .count = (uint32_t)count,
        .batch_len = op->batches.len,
        .terms = terms.terms,
        .term_count = terms.count,
        .first_version = -1,
        .version = -1,
    };
    return 0;
}

int ms_store_append_records(struct ms_store *store, enum ms_records_topic topic,
                            const struct ms_keyed_record *records, size_t count,
                            ms_append_done_fn *done, void *context, struct ms_error *err) {
    uint32_t number = topic_numbers[topic];
    if (store->options.read_only)
        return ms_error_set(err, MS_ECLOSED, "the store is open for reading only");
    if (count == 0 || count > store->options.limits.append_events_max)
        return ms_error_set(err, count == 0 ? MS_EINVAL : MS_ETOOBIG, "%zu records in one append",
                            count);
    for (size_t i = 0; i < count; i++)
        if (records[i].key.len == 0 || records[i].key.len > MS_RECORD_KEY_BYTES_MAX)
            return ms_error_set(err, MS_EINVAL, "a key of %zu bytes", records[i].key.len);
    struct ms_op *op = ms_op_take(&store->op_pool, store->options.limits.append_bytes_max);
    if (op == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for an append");
    op->store = store;
    op->produce = op->wait = true;
    int rc = encode(op, records, count);
    if (rc == 0)
        rc = make_facts(op, number, records, count);
    if (rc == 0)
        rc = make_part(op, ms_topics_at(store, number), count);
    if (rc != 0) {
        ms_op_free(op);
        return ms_error_set(err, rc, "records can't be appended: %s", ms_error_text(rc));
    }
    op->budget = op->batches.len + OP_OVERHEAD_BYTES;
    bool stale;
    return ms_error_settle(err, ms_op_start(op, done, context, true, &stale, err), "records");
}

void ms_records_date(struct ms_op *op) {
    for (size_t i = 0; i < op->fact_count; i++)
        ms_put_be64((uint8_t *)(uintptr_t)op->facts[i].value.data, op->parts[0].position + i);
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
