/* Topics that get their streams late, for tests: a history of produced records and a naive model of
 * it, which says what each stream must hold. Include it behind cmocka and produce_world.h. */
#pragma once

#include "store/internal.h"
#include "store/transactions.h"

#define ADOPT_KEYS 5
#define ADOPT_RECORDS_MAX 400
#define ADOPT_TOPIC "t"

struct adopt_record {
    int key; /* ADOPT_KEYS: null */
    unsigned value;
};

/* A producer of the model; the transactional ones have at most one transaction open. */
struct adopt_producer {
    int64_t id;
    int32_t sequence[2]; /* of each partition */
    int16_t epoch;
    bool open;
    struct adopt_record pending[ADOPT_RECORDS_MAX];
    size_t pending_count;
};

struct adopt_world {
    struct store_world w;
    struct ms_random_seeded random;
    struct adopt_record records[ADOPT_RECORDS_MAX]; /* in the order in which they became visible */
    size_t count;
    unsigned next_value;
    struct adopt_producer idempotent, transactional[2];
    bool switched;
    unsigned fillers;
};

static inline unsigned adopt_below(struct adopt_world *a, unsigned n) {
    uint64_t number;
    ms_random_fill(&a->random.random, &number, sizeof number);
    return (unsigned)(number % n);
}

static inline struct ms_topic *adopt_topic(struct adopt_world *a) {
    return ms_store_topic(a->w.store, MS_BYTES_LITERAL(ADOPT_TOPIC), false);
}

static inline int adopt_switch(struct adopt_world *a) {
    struct ms_topic_settings settings = plain(&a->w, 2);
    bool created;
    settings.streams = true;
    int rc = ms_store_put_topic(a->w.store, MS_BYTES_LITERAL(ADOPT_TOPIC), &settings, &created,
                                &a->w.error);
    a->switched |= rc == 0;
    return rc;
}

/* ---- producing ---- */

static inline void adopt_note(struct adopt_world *a, const struct adopt_record *records,
                              size_t count) {
    assert_true(a->count + count <= ADOPT_RECORDS_MAX);
    for (size_t i = 0; i < count; i++)
        a->records[a->count++] = records[i];
}

static inline void adopt_encode(struct adopt_world *a, struct ms_buf *out,
                                struct adopt_producer *producer, uint32_t partition,
                                const struct adopt_record *records, size_t count) {
    static const enum ms_codec codecs[] = {MS_CODEC_NONE, MS_CODEC_LZ4, MS_CODEC_ZSTD};
    struct ms_batch_writer writer;
    assert_int_equal(ms_batch_begin(&writer, out, codecs[adopt_below(a, 3)], 1000), 0);
    if (producer != NULL) {
        writer.producer_id = producer->id;
        writer.producer_epoch = producer->epoch;
        writer.base_sequence = producer->sequence[partition];
        writer.attributes |= producer->open ? MS_BATCH_TRANSACTIONAL : 0;
        producer->sequence[partition] += (int32_t)count;
    }
    for (size_t i = 0; i < count; i++) {
        char key[16], value[16];
        snprintf(key, sizeof key, "k%d", records[i].key);
        snprintf(value, sizeof value, "v%u", records[i].value);
        struct ms_bytes k = ms_bytes_cstr(key), v = ms_bytes_cstr(value);
        bool null = records[i].key == ADOPT_KEYS;
        assert_int_equal(ms_batch_add(&writer, 1000, null ? NULL : &k, &v, NULL, 0), 0);
    }
    assert_int_equal(ms_batch_end(&writer), 0);
}

/* A batch of 1 to 9 records with mixed keys. Returns the code. */
static inline int adopt_produce(struct adopt_world *a, struct adopt_producer *producer) {
    struct adopt_record records[9];
    size_t count = 1 + adopt_below(a, 9);
    uint32_t partition = adopt_below(a, 2);
    struct ms_buf batch;
    for (size_t i = 0; i < count; i++)
        records[i] = (struct adopt_record){(int)adopt_below(a, ADOPT_KEYS + 1), a->next_value++};
    ms_buf_init(&batch, 1 << 20);
    adopt_encode(a, &batch, producer, partition, records, count);
    struct ms_produce_request request = {.topic = adopt_topic(a),
                                         .partition = partition,
                                         .batch = ms_buf_bytes(&batch),
                                         .begins = true};
    struct store_answer answer = {0};
    int32_t index;
    answer.refused =
        ms_store_produce(a->w.store, &request, store_answer_take, &answer, &index, &answer.error);
    ms_buf_deinit(&batch);
    store_wait(&a->w, &answer);
    int code = answer.refused != 0 ? answer.refused : answer.code;
    if (code == 0 && producer != NULL && producer->open) {
        for (size_t i = 0; i < count; i++)
            producer->pending[producer->pending_count++] = records[i];
    } else if (code == 0) {
        adopt_note(a, records, count);
    }
    return code;
}

static inline void adopt_open(struct adopt_world *a, struct adopt_producer *producer) {
    producer->open = true;
    producer->pending_count = 0;
    producer->epoch++;
    producer->sequence[0] = producer->sequence[1] = 0;
    assert_int_equal(ms_store_txn_set_epoch(a->w.store, producer->id, producer->epoch), 0);
}

static inline void adopt_end(struct adopt_world *a, struct adopt_producer *producer, bool commit) {
    struct ms_txn_end end = {
        .producer_id = producer->id, .epoch = producer->epoch, .commit = commit};
    struct store_answer answer = {0};
    assert_int_equal(ms_store_txn_end(a->w.store, &end, store_answer_take, &answer, &a->w.error),
                     0);
    store_wait(&a->w, &answer);
    assert_int_equal(answer.code, 0);
    producer->open = false;
    if (commit)
        adopt_note(a, producer->pending, producer->pending_count);
}

/* An event appended to a stream of the topic, at the version that it must have. */
static inline int64_t adopt_version(const struct adopt_world *a, int key) {
    int64_t version = -1;
    for (size_t i = 0; i < a->count; i++)
        version += a->records[i].key == key;
    return version;
}

static inline void adopt_append(struct adopt_world *a) {
    int key = (int)adopt_below(a, ADOPT_KEYS);
    int64_t version = adopt_version(a, key);
    char stream[32], data[16];
    struct adopt_record record = {key, a->next_value++};
    snprintf(stream, sizeof stream, ADOPT_TOPIC "-k%d", key);
    snprintf(data, sizeof data, "v%u", record.value);
    struct ms_event event = {.type = MS_BYTES_LITERAL("happened"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = ms_bytes_cstr(data)};
    struct ms_append_part part = {ms_bytes_cstr(stream), version < 0 ? NONE : AT(version), &event,
                                  1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    struct store_answer answer = store_request(&a->w, &request);
    if (answer.code != 0)
        fail_msg("%s at %lld: %s", stream, (long long)version, answer.error.message);
    assert_int_equal(answer.parts[0].version, version + 1);
    adopt_note(a, &record, 1);
}

/* ---- comparing ---- */

struct adopt_check {
    struct adopt_world *a;
    int key; /* -1: all events of the topic */
    bool backward, versions;
    size_t at; /* records of the model that were seen, or in backward reads are left */
    uint64_t position;
    int64_t next_version[ADOPT_KEYS];
};

static inline bool adopt_wants(const struct adopt_check *check, size_t at) {
    int key = check->a->records[at].key;
    return check->key < 0 || key == check->key;
}

static inline int adopt_compare(void *context, const struct ms_read_event *event) {
    struct adopt_check *check = context;
    const struct adopt_world *a = check->a;
    if (check->backward) {
        while (check->at > 0 && !adopt_wants(check, check->at - 1))
            check->at--;
        assert_true(check->at > 0);
        check->at--;
        assert_true(event->place.position < check->position);
    } else {
        while (check->at < a->count && !adopt_wants(check, check->at))
            check->at++;
        assert_true(check->at < a->count);
        assert_true(event->place.position + 1 > check->position);
    }
    const struct adopt_record *record = &a->records[check->at];
    char value[16];
    snprintf(value, sizeof value, "v%u", record->value);
    if (!ms_bytes_equal_cstr(event->event.data, value))
        fail_msg("%.*s instead of %s", (int)event->event.data.len,
                 (const char *)event->event.data.data, value);
    assert_int_equal(event->place.key_is_null, record->key == ADOPT_KEYS);
    int64_t version = -1;
    if (record->key < ADOPT_KEYS && check->versions) {
        int64_t *next = &check->next_version[record->key];
        version = check->backward ? --*next : (*next)++;
    }
    assert_int_equal(event->place.version, version);
    check->position = check->backward ? event->place.position : event->place.position + 1;
    check->at += !check->backward;
    return 0;
}

static inline void adopt_check_stream(struct adopt_world *a, int key, bool backward) {
    struct adopt_check check = {.a = a, .key = key, .backward = backward, .versions = true};
    struct ms_stream_read_result result;
    char stream[32];
    int64_t head = adopt_version(a, key);
    check.next_version[key] = backward ? head + 1 : 0;
    check.at = backward ? a->count : 0;
    check.position = backward ? UINT64_MAX : 0;
    snprintf(stream, sizeof stream, ADOPT_TOPIC "-k%d", key);
    struct ms_stream_read read = {.stream = ms_bytes_cstr(stream),
                                  .backward = backward,
                                  .from_end = backward,
                                  .limit = SIZE_MAX};
    if (ms_store_read_stream(a->w.store, &read, adopt_compare, &check, &result, &a->w.error) != 0)
        fail_msg("%s: %s", stream, a->w.error.message);
    assert_int_equal(result.head, head);
    assert_int_equal(check.next_version[key], backward ? 0 : head + 1);
    /* From the middle, one by one. */
    for (int64_t from = head / 2; !backward && from >= 0 && from <= head && from < head / 2 + 3;
         from++) {
        struct event_log one = {0};
        read.from = from;
        read.limit = 1;
        assert_int_equal(
            ms_store_read_stream(a->w.store, &read, event_log_take, &one, &result, NULL), 0);
        assert_int_equal(one.count, 1);
        assert_int_equal(one.events[0].version, from);
        event_log_clear(&one);
    }
}

static inline void adopt_check_all(struct adopt_world *a, bool backward) {
    struct adopt_check check = {.a = a, .key = -1, .backward = backward, .versions = a->switched};
    struct ms_all_read_result result;
    check.at = backward ? a->count : 0;
    check.position = backward ? UINT64_MAX : 0;
    for (int key = 0; backward && key < ADOPT_KEYS; key++)
        check.next_version[key] = adopt_version(a, key) + 1;
    struct ms_bytes topic_name = MS_BYTES_LITERAL(ADOPT_TOPIC);
    struct ms_all_read read = {.backward = backward,
                               .from_end = backward,
                               .limit = SIZE_MAX,
                               .filter = {.topics = &topic_name, .topic_count = 1}};
    if (ms_store_read_all(a->w.store, &read, adopt_compare, &check, &result, &a->w.error) != 0)
        fail_msg("%s", a->w.error.message);
    assert_int_equal(check.at, backward ? 0 : a->count);
}

/* Everything that readers are told is what the model says. */
static inline void adopt_check_world(struct adopt_world *a) {
    adopt_check_all(a, false);
    adopt_check_all(a, true);
    for (int key = 0; key < ADOPT_KEYS && a->switched; key++) {
        adopt_check_stream(a, key, false);
        adopt_check_stream(a, key, true);
    }
}

/* ---- worlds ---- */

static inline void adopt_world_init(struct adopt_world *a, uint64_t seed, bool real) {
    *a = (struct adopt_world){.idempotent.id = 100};
    if (real)
        store_world_init_real(&a->w);
    else
        store_world_init(&a->w, seed);
    ms_random_seeded_init(&a->random, seed);
    a->transactional[0].id = 101;
    a->transactional[1].id = 102;
}

static inline void adopt_world_open(struct adopt_world *a) {
    if (store_world_open(&a->w) != 0)
        fail_msg("opening: %s", a->w.error.message);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            ms_store_txn_set_epoch(a->w.store, a->transactional[i].id, a->transactional[i].epoch),
            0);
}

static inline void adopt_reopen(struct adopt_world *a, bool anew) {
    assert_int_equal(store_world_close(&a->w), 0);
    if (anew && a->w.real)
        store_world_drop_index(&a->w);
    adopt_world_open(a);
}

/* One step of a history. */
static inline void adopt_step(struct adopt_world *a) {
    struct adopt_producer *producer = &a->transactional[adopt_below(a, 2)];
    char stream[32];
    switch (adopt_below(a, 8)) {
    case 0:
    case 1:
        assert_int_equal(adopt_produce(a, NULL), 0);
        break;
    case 2:
        assert_int_equal(adopt_produce(a, &a->idempotent), 0);
        break;
    case 3:
    case 4:
        if (!producer->open)
            adopt_open(a, producer);
        assert_int_equal(adopt_produce(a, producer), 0);
        break;
    case 5:
        if (producer->open)
            adopt_end(a, producer, adopt_below(a, 3) != 0);
        break;
    case 6:
        snprintf(stream, sizeof stream, "other-%u", adopt_below(a, 3));
        char id[24];
        snprintf(id, sizeof id, "f%u", a->fillers++);
        assert_int_equal(store_append(&a->w, stream, ANY, id).code, 0);
        break;
    default:
        if (a->switched)
            adopt_append(a);
        break;
    }
}

static inline void adopt_end_all(struct adopt_world *a) {
    for (int i = 0; i < 2; i++)
        if (a->transactional[i].open)
            adopt_end(a, &a->transactional[i], adopt_below(a, 3) != 0);
}

/* ---- topics without a model ---- */

static inline int switch_on(struct store_world *w, const char *name, uint16_t partitions) {
    struct ms_topic_settings settings = plain(w, partitions);
    bool created;
    settings.streams = true;
    return ms_store_put_topic(w->store, ms_bytes_cstr(name), &settings, &created, &w->error);
}

/* A batch of many runs of records, for several pages. */
#define ADOPT_MANY (3000 / 7 * 7)

static inline void adopt_produce_many(struct store_world *w, struct ms_topic *topic, int count) {
    struct ms_batch_writer writer;
    struct ms_buf batch;
    ms_buf_init(&batch, 1 << 20);
    assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_LZ4, 1000), 0);
    for (int i = 0; i < count; i++) {
        char key[16], value[16];
        snprintf(key, sizeof key, "%d", i % 7);
        snprintf(value, sizeof value, "%d", i / 7);
        struct ms_bytes k = ms_bytes_cstr(key), v = ms_bytes_cstr(value);
        assert_int_equal(ms_batch_add(&writer, 1000, &k, &v, NULL, 0), 0);
    }
    assert_int_equal(ms_batch_end(&writer), 0);
    assert_int_equal(produce_bytes(w, topic, 0, ms_buf_bytes(&batch)).code, 0);
    ms_buf_deinit(&batch);
}

/* Events whose data is their version, counted anew with each batch. */
struct counting {
    int64_t next;
    int batch; /* values start again with each */
};

static inline int count_event(void *context, const struct ms_read_event *event) {
    struct counting *counting = context;
    char value[16];
    snprintf(value, sizeof value, "%lld", (long long)(counting->next % counting->batch));
    assert_int_equal(event->place.version, counting->next);
    assert_true(ms_bytes_equal_cstr(event->event.data, value));
    counting->next++;
    return 0;
}
