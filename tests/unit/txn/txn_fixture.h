/*
 * Transactions over a fake log and a clock that moves when told to. The log completes writes at
 * once, when told to, or with a failure; it keeps what became durable, by key, and every end. It
 * knows epochs and partitions as the store does. One thread.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "txn/record.h"
#include "txn/txn.h"

#define TEXT(text) MS_BYTES_LITERAL(text)
#define FAKE_PRODUCERS 4000u
#define FAKE_RECORDS 4000u
#define FAKE_ENDS 20000u
#define FAKE_WRITES 200u

/* ---- the log ---- */

struct fake_record {
    enum ms_records_topic topic;
    struct ms_bytes key, value; /* by malloc: memory that fails is the coordinator's */
    bool tombstone;
};

struct fake_end {
    int64_t producer_id;
    int16_t epoch;
    bool commit;
};

struct fake_write {
    void (*done)(void *context, int code);
    void *context;
    struct fake_record *records;
    size_t count;
    bool ends;
    struct fake_end end;
    uint32_t written; /* what the producer had written before */
};

struct fake_producer {            /* what the store knows */
    int16_t epoch;                /* -1 none */
    uint32_t partitions, written; /* bits, of the topic "t" */
    int16_t written_epoch;
};

struct fake_log {
    bool hold;                                /* writes wait for fake_finish */
    int failure;                              /* of writes from now on */
    bool gone;                                /* the topic "t" */
    struct fake_record records[FAKE_RECORDS]; /* the newest of each key */
    size_t count;
    struct fake_end ends[FAKE_ENDS]; /* durable */
    size_t end_count;
    struct fake_write held[FAKE_WRITES];
    size_t held_count;
    struct fake_producer producers[FAKE_PRODUCERS];
    unsigned told, told_commit;
    size_t appended;                                           /* writes that became durable */
    void (*on_end)(void *context, const struct fake_end *end); /* one did */
    void *end_context;
};

static inline struct ms_bytes fake_copy(struct ms_bytes bytes) {
    uint8_t *copy = malloc(bytes.len + 1);
    assert_non_null(copy);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    return ms_bytes_of(copy, bytes.len);
}

static inline void fake_drop(struct fake_record *record) {
    free((void *)record->key.data);
    free((void *)record->value.data);
}

static inline struct fake_record *fake_find(struct fake_log *log, enum ms_records_topic topic,
                                            struct ms_bytes key) {
    for (size_t i = 0; i < log->count; i++)
        if (log->records[i].topic == topic && ms_bytes_equal(log->records[i].key, key))
            return &log->records[i];
    return NULL;
}

static inline void fake_apply(struct fake_log *log, struct fake_write *write) {
    log->appended++;
    for (size_t i = 0; i < write->count; i++) {
        struct fake_record *record = &write->records[i];
        struct fake_record *old = fake_find(log, record->topic, record->key);
        if (old == NULL) {
            assert_true(log->count < FAKE_RECORDS);
            old = &log->records[log->count++];
        } else {
            fake_drop(old);
        }
        *old = *record;
        if (old->tombstone) {
            fake_drop(old);
            *old = log->records[--log->count];
        }
    }
    if (write->ends) {
        assert_true(log->end_count < FAKE_ENDS);
        log->ends[log->end_count++] = write->end;
        if (log->on_end != NULL)
            log->on_end(log->end_context, &write->end);
    }
    free(write->records);
}

static inline void fake_finish(struct fake_log *log, size_t index, int code) {
    assert_true(index < log->held_count);
    struct fake_write write = log->held[index];
    memmove(&log->held[index], &log->held[index + 1],
            (--log->held_count - index) * sizeof log->held[0]);
    if (code == 0) {
        fake_apply(log, &write);
    } else {
        for (size_t i = 0; i < write.count; i++)
            fake_drop(&write.records[i]);
        free(write.records);
    }
    write.done(write.context, code);
}

/* The process is killed: the first `durable` held writes are in the log, but nobody hears of it. */
static inline void fake_crash(struct fake_log *log, size_t durable) {
    while (log->held_count > 0) {
        struct fake_write write = log->held[0];
        bool lasts = durable > 0;
        durable -= lasts;
        memmove(&log->held[0], &log->held[1], --log->held_count * sizeof log->held[0]);
        if (lasts) {
            fake_apply(log, &write);
        } else {
            if (write.ends)
                log->producers[write.end.producer_id].written = write.written;
            for (size_t i = 0; i < write.count; i++)
                fake_drop(&write.records[i]);
            free(write.records);
        }
        write.done(write.context, MS_EUNKNOWN);
    }
}

static inline void fake_finish_all(struct fake_log *log, int code) {
    while (log->held_count > 0)
        fake_finish(log, 0, code);
}

static inline void fake_take(struct fake_log *log, const struct ms_keyed_records *sets,
                             size_t set_count, const struct ms_txn_end *end,
                             void (*done)(void *, int), void *context) {
    struct fake_write write = {.done = done, .context = context};
    for (size_t s = 0; s < set_count; s++)
        write.count += sets[s].count;
    assert_true(write.count > 0 || end != NULL);
    write.records = malloc((write.count + 1) * sizeof *write.records);
    assert_non_null(write.records);
    size_t n = 0;
    for (size_t s = 0; s < set_count; s++)
        for (size_t i = 0; i < sets[s].count; i++)
            write.records[n++] = (struct fake_record){
                sets[s].topic, fake_copy(sets[s].records[i].key),
                fake_copy(sets[s].records[i].value), sets[s].records[i].tombstone};
    if (end != NULL) {
        write.ends = true;
        write.end = (struct fake_end){end->producer_id, end->epoch, end->commit};
        write.written = log->producers[end->producer_id].written;
    }
    assert_true(log->held_count < FAKE_WRITES);
    log->held[log->held_count++] = write;
    if (end != NULL && log->failure == 0)
        log->producers[end->producer_id].written = 0;
    if (log->failure != 0 || !log->hold)
        fake_finish(log, log->held_count - 1, log->failure);
}

static inline void fake_append(void *context, const struct ms_keyed_records *sets, size_t set_count,
                               void (*done)(void *, int), void *done_context) {
    fake_take(context, sets, set_count, NULL, done, done_context);
}

/* The store goes on with the next transaction at once, if it takes it. */
static inline void fake_end(void *context, const struct ms_txn_end *end, void (*done)(void *, int),
                            void *done_context) {
    struct fake_log *log = context;
    struct fake_producer *producer = &log->producers[end->producer_id];
    if (log->failure == 0) {
        producer->epoch = end->epoch;
        producer->partitions = 0;
    }
    fake_take(log, end->sets, end->set_count, end, done, done_context);
}

static inline int fake_set_epoch(void *context, int64_t producer_id, int16_t epoch) {
    struct fake_log *log = context;
    assert_in_range(producer_id, 0, FAKE_PRODUCERS - 1);
    assert_true(epoch >= log->producers[producer_id].epoch);
    log->producers[producer_id].epoch = epoch;
    return 0;
}

static inline int fake_add(void *context, int64_t producer_id, int16_t epoch, struct ms_bytes topic,
                           int32_t partition) {
    struct fake_log *log = context;
    if (log->gone || !ms_bytes_equal_cstr(topic, "t"))
        return MS_ENOTFOUND;
    if (log->producers[producer_id].epoch != epoch)
        return MS_EFENCED;
    log->producers[producer_id].partitions |= 1u << partition;
    return 0;
}

static inline void fake_forget(void *context, int64_t producer_id) {
    struct fake_log *log = context;
    log->producers[producer_id] = (struct fake_producer){.epoch = -1};
}

static inline void fake_ended(void *context, int64_t producer_id, bool commit) {
    struct fake_log *log = context;
    (void)producer_id;
    log->told++;
    log->told_commit += commit;
}

/* ---- the world ---- */

struct party {
    struct ms_clock_manual clock;
    struct ms_random_seeded random;
    struct ms_env env;
    struct fake_log log;
    struct ms_txns_options options;
    struct ms_txns *txns;
    unsigned wakes;
};

static inline void party_wake(void *context) { ((struct party *)context)->wakes++; }

static inline void party_open(struct party *party) {
    assert_int_equal(ms_txns_new(&party->options, &party->txns), 0);
}

static inline void party_close(struct party *party) {
    ms_txns_stop(party->txns);
    fake_finish_all(&party->log, MS_ECLOSED);
    ms_txns_free(party->txns);
    party->txns = NULL;
}

static inline struct party *party_new_with(const struct ms_txns_options *options) {
    struct party *party = calloc(1, sizeof *party);
    assert_non_null(party);
    ms_clock_manual_init(&party->clock, INT64_C(1700000000000000));
    ms_random_seeded_init(&party->random, 5);
    party->env.clock = &party->clock.clock;
    party->env.random = &party->random.random;
    for (size_t i = 0; i < FAKE_PRODUCERS; i++)
        party->log.producers[i].epoch = -1;
    party->options = *options;
    party->options.env = &party->env;
    party->options.store = (struct ms_txn_store){
        &party->log, fake_append, fake_end, fake_set_epoch, fake_add, fake_forget, fake_ended};
    party->options.wake = party_wake;
    party->options.wake_context = party;
    party_open(party);
    assert_int_equal(ms_txns_loaded(party->txns), 0);
    (void)ms_txns_tick(party->txns);
    return party;
}

static inline struct party *party_new(void) {
    struct ms_txns_options options = {0};
    return party_new_with(&options);
}

static inline void party_free(struct party *party) {
    if (party->txns != NULL)
        party_close(party);
    for (size_t i = 0; i < party->log.count; i++)
        fake_drop(&party->log.records[i]);
    free(party);
}

static inline void party_advance(struct party *party, int64_t ms) {
    ms_clock_manual_advance(&party->clock, ms * 1000);
    (void)ms_txns_tick(party->txns);
}

/* What is durable, in an instance of its own; of what the store knows what was written is left. */
static inline void party_reload(struct party *party) {
    struct fake_log *log = &party->log;
    party_open(party);
    for (size_t i = 0; i < FAKE_PRODUCERS; i++) {
        log->producers[i].partitions = 0;
        log->producers[i].epoch =
            log->producers[i].written != 0 ? log->producers[i].written_epoch : -1;
    }
    for (size_t i = 0; i < log->count; i++) {
        const struct fake_record *r = &log->records[i];
        struct ms_keyed_record record = {r->key, r->value, r->tombstone};
        if (r->topic == MS_RECORDS_TRANSACTION_STATE)
            assert_int_equal(ms_txns_load(party->txns, &record, i), 0);
    }
    for (int64_t i = 0; i < (int64_t)FAKE_PRODUCERS; i++)
        for (int32_t p = 0; p < 32; p++)
            if (log->producers[i].written & 1u << p) {
                struct ms_txn_producer producer = {i, log->producers[i].written_epoch};
                assert_int_equal(ms_txns_load_open(party->txns, producer, TEXT("t"), p, 0), 0);
            }
    assert_int_equal(ms_txns_loaded(party->txns), 0);
    (void)ms_txns_tick(party->txns);
}

static inline void party_restart(struct party *party) {
    party_close(party);
    party_reload(party);
}

static inline struct ms_txns_stats party_stats(struct party *party) {
    struct ms_txns_stats stats;
    ms_txns_stats(party->txns, &stats);
    return stats;
}

/* A transactional batch: 0, MS_EFENCED, MS_ENOTXN. */
static inline int party_write(struct party *party, struct ms_txn_producer producer,
                              int32_t partition) {
    struct fake_producer *known = &party->log.producers[producer.id];
    if (known->epoch != producer.epoch)
        return MS_EFENCED;
    if (!(known->partitions & 1u << partition))
        return MS_ENOTXN;
    known->written |= 1u << partition;
    known->written_epoch = producer.epoch;
    return 0;
}

/* ---- requests ---- */

struct asked {
    struct ms_txn_request request;
    unsigned answers;
};

static inline void asked_done(struct ms_txn_request *request) {
    ((struct asked *)request->context)->answers++;
}

static inline struct ms_txn_request *ask(struct asked *asked) {
    *asked = (struct asked){.request.done = asked_done};
    asked->request.context = asked;
    return &asked->request;
}

static inline enum ms_txn_code answered(const struct asked *asked) {
    assert_int_equal(asked->answers, 1);
    return asked->request.code;
}

#define TIMEOUT_MS 60000

static inline void send_init(struct party *party, struct asked *asked, const char *id,
                             struct ms_txn_producer expected) {
    struct ms_txn_init init = {id != NULL, ms_bytes_cstr(id), TIMEOUT_MS, expected};
    ms_txns_init(party->txns, &init, ask(asked));
}

static inline enum ms_txn_code init_expecting(struct party *party, const char *id,
                                              struct ms_txn_producer expected,
                                              struct ms_txn_producer *ret_producer) {
    struct asked asked;
    send_init(party, &asked, id, expected);
    *ret_producer = asked.request.producer;
    return answered(&asked);
}

static inline struct ms_txn_producer init(struct party *party, const char *id) {
    struct ms_txn_producer producer;
    assert_int_equal(init_expecting(party, id, MS_TXN_NO_PRODUCER, &producer), MS_TXN_OK);
    return producer;
}

static inline struct ms_txn_identity who(const char *id, struct ms_txn_producer producer) {
    return (struct ms_txn_identity){ms_bytes_cstr(id), producer};
}

static inline enum ms_txn_code add(struct party *party, const char *id,
                                   struct ms_txn_producer producer, int32_t partition) {
    struct asked asked;
    struct ms_txn_identity identity = who(id, producer);
    struct ms_txn_partition_name name = {TEXT("t"), partition};
    ms_txns_add_partitions(party->txns, &identity, &name, 1, ask(&asked));
    return answered(&asked);
}

static inline enum ms_txn_code add_offsets(struct party *party, const char *id,
                                           struct ms_txn_producer producer) {
    struct asked asked;
    struct ms_txn_identity identity = who(id, producer);
    ms_txns_add_offsets(party->txns, &identity, ask(&asked));
    return answered(&asked);
}

static inline enum ms_txn_code begin(struct party *party, const char *id,
                                     struct ms_txn_producer producer, int32_t partition) {
    struct ms_txn_identity identity = who(id, producer);
    return ms_txns_begin(party->txns, &identity, TEXT("t"), partition);
}

static inline enum ms_txn_code begin_offsets(struct party *party, const char *id,
                                             struct ms_txn_producer producer, bool implied) {
    struct ms_txn_identity identity = who(id, producer);
    return ms_txns_begin_offsets(party->txns, &identity, implied);
}

static inline void send_end(struct party *party, struct asked *asked, const char *id,
                            struct ms_txn_producer producer, bool commit, bool bumps) {
    struct ms_txn_identity identity = who(id, producer);
    ms_txns_end(party->txns, &identity, commit, bumps, ask(asked));
}

static inline enum ms_txn_code end(struct party *party, const char *id,
                                   struct ms_txn_producer producer, bool commit) {
    struct asked asked;
    send_end(party, &asked, id, producer, commit, false);
    return answered(&asked);
}

/* Of version 5; *producer moves on. */
static inline enum ms_txn_code end_bump(struct party *party, const char *id,
                                        struct ms_txn_producer *producer, bool commit) {
    struct asked asked;
    send_end(party, &asked, id, *producer, commit, true);
    enum ms_txn_code code = answered(&asked);
    if (code == MS_TXN_OK)
        *producer = asked.request.producer;
    return code;
}

static inline void on_offsets(void *context, int code) { *(int *)context = code; }

/* The key and the value of a group's offset are any bytes here. */
static inline void send_offsets(struct party *party, struct ms_txn_producer producer,
                                const char *key, const char *value, int *code) {
    struct ms_group_record record = {ms_bytes_cstr(key), ms_bytes_cstr(value), false};
    *code = 1;
    ms_txns_append_offsets(party->txns, producer, &record, 1, on_offsets, code);
}

static inline int offsets(struct party *party, struct ms_txn_producer producer, const char *key,
                          const char *value) {
    int code;
    send_offsets(party, producer, key, value, &code);
    return code;
}

static inline enum ms_txn_state state_of(struct party *party, const char *id) {
    struct ms_arena arena;
    struct ms_txn_info info = {0};
    ms_arena_init(&arena, 1 << 20);
    assert_int_equal(ms_txns_describe(party->txns, ms_bytes_cstr(id), &arena, &info), MS_TXN_OK);
    ms_arena_deinit(&arena);
    return info.state;
}

static inline void assert_last_end(struct party *party, struct ms_txn_producer producer,
                                   bool commit) {
    assert_true(party->log.end_count > 0);
    const struct fake_end *last = &party->log.ends[party->log.end_count - 1];
    assert_int_equal(last->producer_id, producer.id);
    assert_int_equal(last->epoch, producer.epoch);
    assert_int_equal(last->commit, commit);
}

static inline void assert_producer(struct ms_txn_producer producer, int64_t id, int epoch) {
    assert_int_equal(producer.id, id);
    assert_int_equal(producer.epoch, epoch);
}
