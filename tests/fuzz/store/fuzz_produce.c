/*
 * Produce requests with batches from strangers, into a store.
 *
 *   byte 0   which settings the topic has: bits of enum setting, and its codec
 *   byte 1   what the harness does to the batches, bits of enum mend
 *   byte 2   the request's version
 *   rest     the body of a Produce request; when it is none: one batch for partition 0
 *
 * The harness puts length, magic and checksum right, and may compress the records, so that
 * mutations get to what a validated batch goes through: rules of the topic, splitting into runs of
 * a key, compressing anew, sequences, transactions.
 *
 * Asserted: what is refused leaves nothing behind; what is accepted takes exactly as many offsets
 * as it has records, reads back as valid batches, record by record with the key and value that were
 * sent, and becomes as many events; and all of it is there again after the store was opened anew.
 */
#include <stdlib.h>

#include "base/endian.h"
#include "base/hash.h"
#include "os/vfs_sim.h"
#include "store/partitions.h"
#include "store/store.h"
#include "store/transactions.h"
#include "wire/compress.h"
#include "wire/kafka/messages.h"

#define PARTITIONS 2
#define BATCHES_MAX 8
#define BATCH_BYTES_MAX ((size_t)64 << 10)
#define RECORDS_BYTES_MAX ((size_t)1 << 20)
#define ARENA_MAX ((size_t)1 << 20)
#define VERSION_MIN 3
#define VERSIONS 10
#define CODECS 5
#define ATTRIBUTES_AT 21
#define PRODUCER_AT 43
#define EPOCH_AT 51
#define HEADER_FIELDS 3

enum setting { STREAMS = 1, COMPACT = 2, APPEND_TIME = 4, RECOMPRESS = 8, CODEC_SHIFT = 4 };
enum mend { CHECKSUM = 1, COMPRESS = 2, TRANSACTION = 4, COMMIT = 8, AGAIN = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sent {
    uint32_t partition;
    struct ms_buf batch;
    int64_t first_offset; /* -1: it was refused */
    struct ms_batch_header header;
};

struct world {
    struct ms_vfs_sim *sim;
    struct ms_clock_manual clock;
    struct ms_random_seeded random;
    struct ms_env env;
    struct ms_store_options options;
    struct ms_store *store;
    struct ms_topic *topic;
    unsigned settings, mends;
    struct sent sent[BATCHES_MAX];
    size_t sent_count;
    int64_t ends[PARTITIONS];
    uint64_t events; /* that readers are to see */
};

/* ---- the world ---- */

static void open_store(struct world *w) {
    MS_ASSERT(ms_store_open(&w->options, &w->store, NULL) == 0);
    w->topic = ms_store_topic(w->store, MS_BYTES_LITERAL("t"), false);
}

static void begin_world(struct world *w) {
    MS_ASSERT(ms_vfs_sim_new(1, &w->sim) == 0);
    ms_clock_manual_init(&w->clock, INT64_C(1700000000000000));
    ms_random_seeded_init(&w->random, 1);
    w->env = (struct ms_env){ms_vfs_sim_vfs(w->sim), &w->clock.clock, &w->random.random};
    ms_store_options_init(&w->options);
    w->options.env = &w->env;
    w->options.dir = "data";
    w->options.manual = w->options.index_in_memory = true;
    w->options.segment_bytes = (uint64_t)1 << 20;
    w->options.head_cache_entries = w->options.idempotence_window = 1024;
    w->options.limits.append_bytes_max = RECORDS_BYTES_MAX / 2;
    open_store(w);
    struct ms_topic_settings settings = ms_topic_settings_default(w->store);
    bool created;
    settings.partitions = PARTITIONS;
    settings.streams = (w->settings & STREAMS) != 0;
    settings.compact = (w->settings & COMPACT) != 0 && !settings.streams;
    settings.log_append_time = (w->settings & APPEND_TIME) != 0;
    settings.recompress = (w->settings & RECOMPRESS) != 0;
    settings.compression = (enum ms_codec)((w->settings >> CODEC_SHIFT) % CODECS);
    MS_ASSERT(ms_store_put_topic(w->store, MS_BYTES_LITERAL("t"), &settings, &created, NULL) == 0);
    w->topic = ms_store_topic(w->store, MS_BYTES_LITERAL("t"), false);
}

static void end_world(struct world *w) {
    for (size_t i = 0; i < w->sent_count; i++)
        ms_buf_deinit(&w->sent[i].batch);
    MS_ASSERT(ms_store_close(w->store, NULL) == 0);
    ms_vfs_sim_free(w->sim);
}

/* ---- making batches right ---- */

static void put_checksum(struct ms_buf *batch) {
    ms_put_be32(batch->data + 8, (uint32_t)(batch->len - 12));
    batch->data[16] = 2;
    ms_put_be32(batch->data + MS_BATCH_OFFSET_CRC,
                ms_crc32c(0, batch->data + MS_BATCH_CRC_START, batch->len - MS_BATCH_CRC_START));
}

static void make_batch(const struct world *w, struct ms_bytes bytes, struct ms_buf *out) {
    ms_buf_init(out, RECORDS_BYTES_MAX);
    if (bytes.len < MS_BATCH_HEADER_LEN || !(w->mends & CHECKSUM)) {
        MS_ASSERT(ms_buf_append_bytes(out, bytes) == 0);
        return;
    }
    struct ms_bytes records =
        ms_bytes_of(bytes.data + MS_BATCH_HEADER_LEN, bytes.len - MS_BATCH_HEADER_LEN);
    enum ms_codec codec = (enum ms_codec)(bytes.data[MS_BATCH_OFFSET_CRC] % CODECS);
    MS_ASSERT(ms_buf_append(out, bytes.data, MS_BATCH_HEADER_LEN) == 0);
    if (!(w->mends & COMPRESS) || codec == MS_CODEC_NONE || records.len == 0) {
        MS_ASSERT(ms_buf_append_bytes(out, records) == 0);
    } else {
        MS_ASSERT(ms_compress(codec, 0, records, out) == 0);
        out->data[ATTRIBUTES_AT + 1] =
            (uint8_t)((out->data[ATTRIBUTES_AT + 1] & ~MS_BATCH_CODEC_MASK) | codec);
    }
    put_checksum(out);
}

/* ---- producing ---- */

static void done(void *context, const struct ms_append_result *result) {
    struct sent *sent = context;
    sent->first_offset = result->code == 0 ? result->parts[0].first_offset : -1;
    MS_ASSERT(result->code == 0 || result->code == MS_ESEQUENCE || result->code == MS_EFENCED ||
              result->code == MS_ENOTXN);
}

static void ended(void *context, const struct ms_append_result *result) {
    *(int *)context = result->code;
}

static bool is_transactional(const struct ms_buf *batch) {
    return batch->len >= MS_BATCH_HEADER_LEN &&
           (batch->data[ATTRIBUTES_AT + 1] & MS_BATCH_TRANSACTIONAL) != 0;
}

static struct ms_txn_end producer_of(const struct world *w, const struct ms_buf *batch) {
    return (struct ms_txn_end){
        .producer_id = (int64_t)ms_get_be64(batch->data + PRODUCER_AT),
        .epoch = (int16_t)ms_get_be16(batch->data + EPOCH_AT),
        .commit = (w->mends & COMMIT) != 0,
    };
}

static void note_accepted(struct world *w, struct sent *sent) {
    int64_t *end = &w->ends[sent->partition];
    MS_ASSERT(ms_batch_read_header(ms_buf_bytes(&sent->batch), &sent->header, NULL) == 0);
    if (sent->first_offset < *end) { /* it was there already */
        MS_ASSERT(sent->header.producer_id >= 0);
        sent->first_offset = -1;
        return;
    }
    MS_ASSERT(sent->first_offset == *end);
    *end += sent->header.record_count;
    if (!is_transactional(&sent->batch))
        w->events += (uint64_t)sent->header.record_count;
}

/* A transaction of one batch. */
static void end_transaction(struct world *w, struct sent *sent) {
    struct ms_txn_end end = producer_of(w, &sent->batch);
    int code = 1;
    MS_ASSERT(ms_store_txn_end(w->store, &end, ended, &code, NULL) == 0);
    ms_store_run(w->store);
    MS_ASSERT(code == 0);
    if (sent->first_offset < 0)
        return;
    w->ends[sent->partition]++; /* the marker */
    if (end.commit)
        w->events += (uint64_t)sent->header.record_count;
}

static void send(struct world *w, uint32_t partition, struct ms_bytes bytes) {
    if (w->sent_count == BATCHES_MAX || bytes.len > BATCH_BYTES_MAX)
        return;
    struct sent *sent = &w->sent[w->sent_count++];
    struct ms_error err = {0};
    int32_t index;
    *sent = (struct sent){.partition = partition % PARTITIONS, .first_offset = -1};
    make_batch(w, bytes, &sent->batch);
    bool transactional = is_transactional(&sent->batch) && (w->mends & TRANSACTION);
    if (transactional) {
        struct ms_txn_end who = producer_of(w, &sent->batch);
        transactional = who.producer_id >= 0 && who.epoch >= 0 &&
                        ms_store_txn_set_epoch(w->store, who.producer_id, who.epoch) == 0 &&
                        ms_store_txn_add(w->store, who.producer_id, who.epoch, w->topic,
                                         sent->partition, NULL) == 0;
    }
    struct ms_produce_request request = {
        .topic = w->topic, .partition = sent->partition, .batch = ms_buf_bytes(&sent->batch)};
    int rc = ms_store_produce(w->store, &request, done, sent, &index, &err);
    MS_ASSERT(rc == 0 || (err.code == rc && err.message[0] != 0));
    ms_store_run(w->store);
    if (rc == 0 && sent->first_offset >= 0)
        note_accepted(w, sent);
    if (transactional)
        end_transaction(w, sent);
}

/* ---- what is there ---- */

static int64_t compare_records(const struct world *w, const struct sent *sent,
                               struct ms_batch_reader *stored, struct ms_batch_reader *original) {
    struct ms_record a, b;
    int64_t count = 0;
    while (ms_batch_reader_next(stored, &a, NULL) == 1) {
        MS_ASSERT(ms_batch_reader_next(original, &b, NULL) == 1);
        MS_ASSERT(a.key_is_null == b.key_is_null && ms_bytes_equal(a.key, b.key));
        MS_ASSERT(a.value_is_null == b.value_is_null && ms_bytes_equal(a.value, b.value));
        MS_ASSERT(a.header_count == b.header_count);
        if (w->settings & APPEND_TIME)
            MS_ASSERT(a.timestamp_ms == INT64_C(1700000000000));
        else
            MS_ASSERT(a.timestamp_ms == b.timestamp_ms);
        MS_ASSERT(a.offset >= sent->first_offset);
        count++;
    }
    return count;
}

/* Stored batches, from the first one of what was sent on: its records, and how many bytes of them
 * there are. */
static struct ms_bytes check_sent(const struct world *w, const struct sent *sent,
                                  struct ms_bytes stored) {
    struct ms_batch_reader original = {0}, reader = {0};
    int64_t offset = sent->first_offset;
    MS_ASSERT(
        ms_batch_reader_init(&original, ms_buf_bytes(&sent->batch), RECORDS_BYTES_MAX, NULL) == 0);
    while (offset < sent->first_offset + sent->header.record_count) {
        MS_ASSERT(ms_batch_reader_init(&reader, stored, RECORDS_BYTES_MAX, NULL) == 0);
        struct ms_bytes batch = ms_bytes_of(stored.data, reader.header.length);
        MS_ASSERT(ms_batch_check_crc(batch, NULL) == 0);
        MS_ASSERT(reader.header.base_offset == offset && reader.header.record_count > 0);
        MS_ASSERT(compare_records(w, sent, &reader, &original) == reader.header.record_count);
        offset += reader.header.record_count;
        stored = ms_bytes_of(stored.data + batch.len, stored.len - batch.len);
    }
    ms_batch_reader_deinit(&reader);
    ms_batch_reader_deinit(&original);
    return stored;
}

static struct ms_bytes skip_marker(struct ms_bytes stored, int64_t offset) {
    struct ms_batch_header header;
    MS_ASSERT(ms_batch_read_header(stored, &header, NULL) == 0);
    MS_ASSERT(header.attributes & MS_BATCH_CONTROL);
    MS_ASSERT(header.base_offset == offset && header.record_count == 1);
    return ms_bytes_of(stored.data + header.length, stored.len - header.length);
}

static void read_partition(struct world *w, uint32_t partition, struct ms_buf *out) {
    struct ms_partition_reader *reader;
    struct ms_slice_list slices = {0};
    struct ms_partition_read_result result;
    struct ms_partition_read read = {.topic = w->topic,
                                     .partition = partition,
                                     .bytes_max = BATCHES_MAX * RECORDS_BYTES_MAX,
                                     .oversized = true};
    MS_ASSERT(ms_partition_reader_new(w->store, &reader) == 0);
    MS_ASSERT(ms_store_read_partition(reader, &read, &slices, &result, NULL) == 0);
    MS_ASSERT(result.state.end_offset == w->ends[partition] && !result.more);
    for (size_t i = 0; i < slices.count; i++)
        MS_ASSERT(ms_buf_append_bytes(out, slices.items[i].bytes) == 0);
    ms_slice_list_deinit(&slices);
    ms_partition_reader_free(reader);
}

static void check_partition(struct world *w, uint32_t partition) {
    struct ms_buf bytes;
    ms_buf_init(&bytes, 2 * BATCHES_MAX * RECORDS_BYTES_MAX);
    read_partition(w, partition, &bytes);
    struct ms_bytes stored = ms_buf_bytes(&bytes);
    for (size_t i = 0; i < w->sent_count; i++) {
        const struct sent *sent = &w->sent[i];
        if (sent->partition != partition || sent->first_offset < 0)
            continue;
        stored = check_sent(w, sent, stored);
        if (is_transactional(&sent->batch))
            stored = skip_marker(stored, sent->first_offset + sent->header.record_count);
    }
    MS_ASSERT(stored.len == 0);
    ms_buf_deinit(&bytes);
}

static int count_event(void *context, const struct ms_read_event *event) {
    MS_ASSERT(event->event.type.len > 0);
    (*(uint64_t *)context)++;
    return 0;
}

static void check_all(struct world *w) {
    struct ms_all_read read = {.limit = SIZE_MAX};
    struct ms_all_read_result result;
    uint64_t count = 0;
    for (uint32_t partition = 0; partition < PARTITIONS; partition++)
        check_partition(w, partition);
    MS_ASSERT(ms_store_read_all(w->store, &read, count_event, &count, &result, NULL) == 0);
    MS_ASSERT(count == w->events);
}

/* ---- the input ---- */

static void send_request(struct world *w, const struct ms_kafka_produce_request *body) {
    for (int32_t t = 0; t < body->topic_data_count; t++)
        for (int32_t p = 0; p < body->topic_data[t].partition_data_count; p++)
            send(w, (uint32_t)body->topic_data[t].partition_data[p].index,
                 body->topic_data[t].partition_data[p].records.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct world w;
    if (size < HEADER_FIELDS)
        return 0;
    w = (struct world){.settings = data[0], .mends = data[1]};
    struct ms_bytes rest = ms_bytes_of(data + HEADER_FIELDS, size - HEADER_FIELDS);
    const struct ms_kafka_api *api = ms_kafka_api_find(0);
    struct ms_arena arena;
    void *body;
    begin_world(&w);
    ms_arena_init(&arena, ARENA_MAX);
    bool is_request = ms_kafka_decode(api->request, (int16_t)(VERSION_MIN + data[2] % VERSIONS),
                                      rest, &arena, &body, NULL) == 0;
    for (int again = 0; again <= ((w.mends & AGAIN) != 0); again++) {
        if (is_request)
            send_request(&w, body);
        else
            send(&w, 0, rest);
    }
    check_all(&w);
    MS_ASSERT(ms_store_close(w.store, NULL) == 0);
    open_store(&w);
    check_all(&w);
    ms_arena_deinit(&arena);
    end_world(&w);
    return 0;
}
