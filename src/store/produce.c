/*
 * A producer's batch becomes entries of the log.
 *
 *   without streams  one entry: the producer's bytes, borrowed until they are packed into the
 *                    block; with log append time, or compressed with another codec than the topic
 *                    wants, a copy of them
 *   with streams     one entry for each run of records with the same key, re-encoded as a batch of
 *                    its stream (or of the partition only, when the key is null): versions are
 *                    counted per entry, so an entry has one stream (docs/decisions/0011)
 *
 * The records are walked once: validated, their terms gathered, the topic's rules asked. On the
 * caller's thread, before anything is locked.
 */
#include "base/alloc.h"
#include "base/endian.h"
#include "store/internal.h"
#include "wire/compress.h"

#define OP_OVERHEAD_BYTES 512u
#define BATCH_AT_LENGTH 8
#define BATCH_AT_ATTRIBUTES 21
#define BATCH_AT_MAX_TIMESTAMP 35
#define RUN_HEADERS_MAX 1024u
#define NO_TIMESTAMP (-1)

struct producing {
    struct ms_store *store;
    const struct ms_produce_request *request;
    struct ms_topic *topic;
    struct ms_topic_settings settings;
    struct ms_op *op;
    int64_t now_ms;
    struct ms_batch_header header;
    struct ms_arena scratch;
    struct ms_term_list terms; /* of the whole batch, without streams; else of the run */
    /* with streams: */
    size_t part_capacity;
    struct ms_batch_writer writer;
    struct ms_op_part *run; /* the part being written, NULL: none */
    bool run_keyed;
};

/* ---- runs of a key ---- */

static int end_run(struct producing *p) {
    struct ms_op_part *run = p->run;
    if (run == NULL)
        return 0;
    p->run = NULL;
    int rc = ms_batch_end(&p->writer);
    if (rc == 0)
        rc = ms_terms_add_topic(&p->terms, p->topic);
    if (rc != 0)
        return rc;
    ms_terms_distinct(&p->terms);
    run->terms = p->terms.terms;
    run->term_count = p->terms.count;
    run->batch_len = p->op->batches.len - run->batch_at;
    p->terms = (struct ms_term_list){.arena = &p->op->arena};
    return 0;
}

static int new_part(struct producing *p, struct ms_op_part **ret_part) {
    struct ms_op *op = p->op;
    if (op->part_count == p->part_capacity) {
        size_t capacity = p->part_capacity == 0 ? 4 : p->part_capacity * 2;
        struct ms_op_part *parts = ms_arena_zalloc(&op->arena, capacity * sizeof *parts);
        if (parts == NULL)
            return MS_ENOMEM;
        if (op->part_count > 0)
            memcpy(parts, op->parts, op->part_count * sizeof *parts);
        op->parts = parts;
        p->part_capacity = capacity;
    }
    *ret_part = &op->parts[op->part_count++];
    **ret_part = (struct ms_op_part){
        .ref.topic = p->topic,
        .partition = (uint16_t)p->request->partition,
        .condition.kind = MS_EXPECT_ANY,
        .first_version = -1,
        .version = -1,
    };
    return 0;
}

static int begin_run(struct producing *p, const struct ms_record *record) {
    int rc = new_part(p, &p->run);
    if (rc != 0)
        return rc;
    struct ms_op_part *run = p->run;
    run->batch_at = p->op->batches.len;
    p->run_keyed = !record->key_is_null;
    if (p->header.attributes & MS_BATCH_TRANSACTIONAL)
        run->pending_stream = p->run_keyed; /* its commit will be of the stream */
    else
        run->of_stream = p->run_keyed;
    if (p->run_keyed) {
        char *key = ms_arena_strdup(&p->op->arena, record->key);
        if (key == NULL)
            return MS_ENOMEM;
        run->ref.key = ms_bytes_of(key, record->key.len);
        run->ref.id = run->cold.id = ms_stream_id_of(p->store, p->topic, run->ref.key);
        ms_heads_prefetch(&p->store->heads, &run->ref.id);
    }
    rc = ms_batch_begin(&p->writer, &p->op->batches, p->settings.compression, record->timestamp_ms);
    if (rc != 0)
        return rc;
    p->writer.attributes |= p->header.attributes & MS_BATCH_TRANSACTIONAL;
    p->writer.producer_id = p->header.producer_id;
    p->writer.producer_epoch = p->header.producer_epoch;
    if (p->header.base_sequence >= 0) /* wraps from 2^31 - 1 to 0 */
        p->writer.base_sequence =
            (int32_t)(((int64_t)p->header.base_sequence + record->offset) & INT32_MAX);
    return 0;
}

static int add_to_run(struct producing *p, const struct ms_record *record) {
    struct ms_record_header_in *headers = NULL;
    size_t at = 0, count = 0;
    int rc = 0;
    if (record->header_count > 0) {
        headers = ms_arena_alloc(&p->scratch, (size_t)record->header_count * sizeof *headers);
        if (headers == NULL)
            return MS_ENOMEM;
    }
    struct ms_record_header header;
    while (rc == 0 && (rc = ms_record_next_header(record, &at, &header)) > 0) {
        headers[count++] = (struct ms_record_header_in){header.key, header.value};
        rc = 0;
    }
    if (rc == 0)
        rc = ms_batch_add(&p->writer, record->timestamp_ms,
                          record->key_is_null ? NULL : &record->key,
                          record->value_is_null ? NULL : &record->value, headers, count);
    p->run->count += rc == 0;
    return rc;
}

static bool is_transactional(const struct producing *p) {
    return (p->header.attributes & MS_BATCH_TRANSACTIONAL) != 0;
}

static bool continues_run(const struct producing *p, const struct ms_record *record) {
    if (p->run == NULL || p->run_keyed == record->key_is_null)
        return false;
    return record->key_is_null || ms_bytes_equal(record->key, p->run->ref.key);
}

/* ---- the records ---- */

static int check_rules(const struct producing *p, const struct ms_record *record,
                       struct ms_error *err) {
    if (p->settings.compact && record->key_is_null)
        return ms_error_set(err, MS_EINVAL, "topic '%s' is compacted: its records need keys",
                            p->topic->name);
    size_t name_max = ms_name_bytes_max(p->store);
    if (p->settings.streams && record->key.len > name_max)
        return ms_error_set(err, MS_EINVAL,
                            "topic '%s' has streams: a key of %zu bytes is longer than %zu",
                            p->topic->name, record->key.len, name_max);
    return 0;
}

/* A record without a timestamp (-1) has none that could be wrong. */
static int check_timestamp(const struct producing *p, const struct ms_record *record,
                           struct ms_error *err) {
    int64_t at = record->timestamp_ms, early, late;
    if (p->settings.log_append_time || at == NO_TIMESTAMP)
        return 0;
    if (__builtin_sub_overflow(p->now_ms, p->settings.timestamp_before_ms, &early))
        early = INT64_MIN;
    if (__builtin_add_overflow(p->now_ms, p->settings.timestamp_after_ms, &late))
        late = INT64_MAX;
    if (at >= early && at <= late)
        return 0;
    return ms_error_set(err, MS_ETIMESTAMP,
                        "topic '%s' takes timestamps from %lld to %lld ms now, and the record's is "
                        "%lld",
                        p->topic->name, (long long)early, (long long)late, (long long)at);
}

static int visit_record(void *context, const struct ms_record *record, struct ms_error *err) {
    struct producing *p = context;
    int rc = check_rules(p, record, err);
    if (rc == 0)
        rc = check_timestamp(p, record, err);
    if (rc != 0)
        return rc;
    struct ms_record own = *record;
    if (p->settings.log_append_time)
        own.timestamp_ms = p->op->result.log_append_time_ms;
    own.offset = (int64_t)((uint64_t)record->offset - (uint64_t)p->header.base_offset);
    ms_arena_reset(&p->scratch);
    if (p->settings.streams && !continues_run(p, record)) {
        rc = end_run(p);
        if (rc == 0)
            rc = begin_run(p, &own);
    }
    if (rc == 0)
        rc = ms_terms_add_record(&p->terms, record, &p->scratch);
    if (rc == 0 && p->settings.streams)
        rc = add_to_run(p, &own);
    return rc != 0 ? ms_error_set(err, rc, "a batch for topic '%s' can't be encoded: %s",
                                  p->topic->name, ms_error_text(rc))
                   : 0;
}

/* ---- a batch as it came ---- */

/* The records, byte for byte, compressed with the topic's codec. */
static int recompress(struct producing *p) {
    struct ms_batch_reader reader = {0};
    struct ms_buf *out = &p->op->batches;
    enum ms_codec codec = p->settings.compression;
    int rc = ms_batch_reader_init(&reader, p->request->batch,
                                  p->store->options.limits.append_bytes_max, NULL);
    if (rc == 0)
        rc = ms_buf_append(out, p->request->batch.data, MS_BATCH_HEADER_LEN);
    if (rc == 0)
        rc = codec == MS_CODEC_NONE ? ms_buf_append_bytes(out, reader.records)
                                    : ms_compress(codec, 0, reader.records, out);
    ms_batch_reader_deinit(&reader);
    return rc;
}

/* Length, attributes and checksum of the copy in op->batches; log append time lies inside the
 * checksum. */
static void close_copy(struct producing *p, unsigned attributes) {
    struct ms_op *op = p->op;
    uint8_t *batch = op->batches.data;
    size_t len = op->batches.len;
    if (p->settings.log_append_time) {
        attributes |= MS_BATCH_LOG_APPEND_TIME;
        ms_put_be64(batch + BATCH_AT_MAX_TIMESTAMP, (uint64_t)op->result.log_append_time_ms);
    }
    ms_put_be32(batch + BATCH_AT_LENGTH, (uint32_t)(len - 12));
    ms_put_be16(batch + BATCH_AT_ATTRIBUTES, (uint16_t)attributes);
    ms_put_be32(batch + MS_BATCH_OFFSET_CRC,
                ms_crc32c(0, batch + MS_BATCH_CRC_START, len - MS_BATCH_CRC_START));
    op->parts[0].batch_len = len;
}

static bool wants_another_codec(const struct producing *p) {
    return p->settings.recompress &&
           (p->header.attributes & MS_BATCH_CODEC_MASK) != (unsigned)p->settings.compression;
}

static int copy_batch(struct producing *p) {
    unsigned attributes = p->header.attributes;
    bool other = wants_another_codec(p);
    int rc = other ? recompress(p) : ms_buf_append_bytes(&p->op->batches, p->request->batch);
    if (rc != 0)
        return rc;
    if (other)
        attributes =
            (attributes & ~(unsigned)MS_BATCH_CODEC_MASK) | (unsigned)p->settings.compression;
    close_copy(p, attributes);
    return 0;
}

static int keep_batch(struct producing *p) {
    struct ms_op_part *part;
    int rc = new_part(p, &part);
    if (rc == 0)
        rc = ms_terms_add_topic(&p->terms, p->topic);
    if (rc != 0)
        return rc;
    ms_terms_distinct(&p->terms);
    part->terms = p->terms.terms;
    part->term_count = p->terms.count;
    part->count = (uint32_t)p->header.record_count;
    if (p->settings.log_append_time || wants_another_codec(p))
        return copy_batch(p);
    part->batch = p->request->batch;
    return 0;
}

/* ---- producers and transactions ---- */

/* Memory that is needed once the batch is sequenced, where nothing may fail. */
static int prepare_producer(struct producing *p) {
    struct ms_op *op = p->op;
    op->header = p->header;
    op->by_producer = p->header.producer_id >= 0;
    op->begins = p->request->begins;
    if (!op->by_producer)
        return 0;
    struct ms_op_part *last = &op->parts[op->part_count - 1];
    last->producer = ms_arena_zalloc(&op->arena, sizeof *last->producer);
    if (last->producer == NULL)
        return MS_ENOMEM;
    if (!is_transactional(p))
        return 0;
    for (size_t i = 0; i < op->part_count; i++) {
        op->parts[i].kind = MS_PART_PENDING;
        op->parts[i].pending = ms_txn_pending_new(&op->parts[i]);
        if (op->parts[i].pending == NULL)
            return MS_ENOMEM;
    }
    if (op->begins)
        op->spare_place = ms_txn_place_new(p->topic, p->request->partition, p->header.producer_id);
    return op->begins && op->spare_place == NULL ? MS_ENOMEM : 0;
}

/* ---- the whole ---- */

static int check_request(const struct producing *p, struct ms_error *err) {
    const struct ms_produce_request *request = p->request;
    if (p->store->options.read_only)
        return ms_error_set(err, MS_ECLOSED, "the store is open for reading only");
    if (atomic_load(&p->topic->deleted) || request->partition >= p->settings.partitions)
        return ms_error_set(err, MS_ENOTFOUND, "there is no partition %u of topic '%s'",
                            (unsigned)request->partition, p->topic->name);
    if (p->topic->system)
        return ms_error_set(err, MS_ERESERVED, "topic '%s' is the system's", p->topic->name);
    if (request->batch.len > p->settings.message_bytes_max)
        return ms_error_set(
            err, MS_ETOOBIG, "a batch of %zu bytes; max.message.bytes of topic '%s' is %u",
            request->batch.len, p->topic->name, (unsigned)p->settings.message_bytes_max);
    return 0;
}

static int encode(struct producing *p, int32_t *ret_index, struct ms_error *err) {
    struct ms_op *op = p->op;
    p->now_ms = ms_clock_now_us(p->store->env->clock) / 1000;
    if (p->settings.log_append_time)
        op->result.log_append_time_ms = p->now_ms;
    p->terms.arena = &op->arena;
    int rc = ms_batch_read_header(p->request->batch, &p->header, err);
    if (rc == MS_ENEEDMORE)
        return ms_error_set(err, MS_EINVAL, "record batch: truncated to %zu bytes",
                            p->request->batch.len);
    if (rc == 0)
        rc = ms_batch_validate_each(p->request->batch, p->store->options.limits.append_bytes_max,
                                    visit_record, p, &p->header, ret_index, err);
    if (rc == 0) {
        rc = p->settings.streams ? end_run(p) : keep_batch(p);
        if (rc == 0)
            rc = prepare_producer(p);
        if (rc == 0) {
            op->results = ms_arena_zalloc(&op->arena, op->part_count * sizeof *op->results);
            rc = op->results != NULL ? 0 : MS_ENOMEM;
        }
        if (rc != 0)
            rc = ms_error_set(err, rc, "a batch for topic '%s' can't be encoded: %s",
                              p->topic->name, ms_error_text(rc));
    }
    if (p->run != NULL)
        ms_batch_abort(&p->writer);
    return rc;
}

static int make_op(struct ms_store *store, const struct ms_produce_request *request,
                   struct ms_op **ret_op, int32_t *ret_index, struct ms_error *err) {
    struct producing p = {.store = store, .request = request, .topic = request->topic};
    p.settings = ms_topics_settings(store, p.topic);
    *ret_index = -1;
    int rc = check_request(&p, err);
    if (rc != 0)
        return rc;
    p.op = ms_op_take(&store->op_pool, store->options.limits.append_bytes_max * 2);
    if (p.op == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for an append");
    p.op->store = store;
    p.op->produce = true;
    p.op->streams = p.settings.streams;
    p.op->wait = request->wait;
    ms_arena_init(&p.scratch, (size_t)1 << 26);
    rc = encode(&p, ret_index, err);
    ms_arena_deinit(&p.scratch);
    if (rc != 0) {
        ms_op_free(p.op);
        return rc;
    }
    p.op->budget = request->batch.len + p.op->batches.len + OP_OVERHEAD_BYTES;
    *ret_op = p.op;
    return 0;
}

/* A transaction that has written to the topic may go on, in any partition: else it couldn't end. */
static bool begins_there(const struct ms_op *op) {
    const struct ms_topic *topic = op->parts[0].ref.topic;
    if ((op->header.attributes & MS_BATCH_TRANSACTIONAL) == 0)
        return false;
    const struct ms_txn *txn = ms_txn_find(&op->store->txns, op->header.producer_id);
    for (const struct ms_txn_place *place = txn != NULL ? txn->places : NULL; place != NULL;
         place = place->next)
        if (place->topic == topic && place->first_offset >= 0)
            return false;
    return true;
}

static bool is_kept_out(const struct ms_op *op) {
    const struct ms_topic *topic = op->parts[0].ref.topic;
    if (!topic->system && topic->streams != op->streams)
        return true;
    switch (topic->gate) {
    case MS_GATE_OPEN:
        return false;
    case MS_GATE_NO_BEGINNING:
        return begins_there(op);
    case MS_GATE_SHUT:
        return true;
    }
    return true;
}

bool ms_op_judge_produce(struct ms_op *op) {
    if (op->ends)
        return true;
    if (is_kept_out(op)) {
        op->outcome = MS_OP_REFUSED; /* and is tried again by the client */
        op->result.code = ms_error_set(&op->error, MS_EAGAIN, "topic '%s' is being changed",
                                       op->parts[0].ref.topic->name);
        return false;
    }
    for (size_t i = 0; i < op->part_count; i++) {
        const struct ms_head *head = op->parts[i].head;
        if (head != NULL && head->rules.tombstoned) {
            ms_op_refuse_conflict(op, i, head);
            return false;
        }
    }
    return ms_txn_judge(op);
}

int ms_store_produce(struct ms_store *store, const struct ms_produce_request *request,
                     ms_append_done_fn *done, void *context, int32_t *ret_index,
                     struct ms_error *err) {
    struct ms_op *op;
    bool stale = false;
    int rc = make_op(store, request, &op, ret_index, err);
    if (rc == 0)
        rc = ms_op_start(op, done, context, request->wait, &stale, err);
    if (stale) /* the topic is being deleted */
        rc = ms_error_set(err, MS_ENOTFOUND, "topic '%s' was deleted", request->topic->name);
    return ms_error_settle(err, rc, "produce");
}
