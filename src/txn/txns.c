/* Making, stopping and ticking; the tables of ids; memory that counts; what an id becomes. */
#include "txn/txn.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "txn/internal.h"

/* ---- memory that counts ---- */

/* Before each piece: its size. */
#define SIZE_BYTES MS_ARENA_ALIGNMENT

void *ms_txn_alloc(struct ms_txns *txns, size_t size) {
    if (size > txns->options.bytes_max || txns->bytes > txns->options.bytes_max - size)
        return NULL;
    uint8_t *memory = ms_alloc(SIZE_BYTES + size);
    if (memory == NULL)
        return NULL;
    memcpy(memory, &size, sizeof size);
    txns->bytes += size;
    return memory + SIZE_BYTES;
}

void ms_txn_release(struct ms_txns *txns, void *memory) {
    if (memory == NULL)
        return;
    uint8_t *begin = (uint8_t *)memory - SIZE_BYTES;
    size_t size;
    memcpy(&size, begin, sizeof size);
    MS_ASSERT(txns->bytes >= size);
    txns->bytes -= size;
    ms_free(begin);
}

/* ---- the tables ---- */

static uint64_t hash_of(struct ms_bytes id) { return ms_hash64(id.data, id.len, 0); }

static uint64_t producer_hash(int64_t producer_id) {
    return ms_hash64(&producer_id, sizeof producer_id, 0);
}

struct ms_txnid *ms_txnid_find(const struct ms_txns *txns, struct ms_bytes id) {
    uint64_t hash = hash_of(id);
    struct ms_table_node *node = ms_table_find(&txns->ids, hash);
    for (; node != NULL; node = ms_table_chain(node, hash)) {
        struct ms_txnid *txn = MS_CONTAINER(node, struct ms_txnid, node);
        if (ms_bytes_equal(ms_txnid_name(txn), id))
            return txn;
    }
    return NULL;
}

struct ms_txnid *ms_txnid_find_producer(const struct ms_txns *txns, int64_t producer_id) {
    uint64_t hash = producer_hash(producer_id);
    struct ms_table_node *node = ms_table_find(&txns->producers, hash);
    for (; node != NULL; node = ms_table_chain(node, hash)) {
        struct ms_txnid *txn = MS_CONTAINER(node, struct ms_txnid, by_producer);
        if (txn->facts.producer.id == producer_id)
            return txn;
    }
    return NULL;
}

enum ms_txn_code ms_txnid_make(struct ms_txns *txns, struct ms_bytes id,
                               struct ms_txnid **ret_txn) {
    if (txns->ids.count >= txns->options.ids_max)
        return MS_TXN_POLICY_VIOLATION;
    struct ms_txnid *txn = ms_txn_alloc(txns, sizeof *txn + id.len);
    if (txn == NULL)
        return MS_TXN_NOT_AVAILABLE;
    if (ms_timers_reserve(&txns->timers) != 0) {
        ms_txn_release(txns, txn);
        return MS_TXN_NOT_AVAILABLE;
    }
    *txn = (struct ms_txnid){.txns = txns, .id_len = id.len};
    txn->facts.producer = txn->facts.previous = MS_TXN_NO_PRODUCER;
    txn->facts.started_ms = -1;
    txn->pendings_end = &txn->pendings;
    memcpy(txn->id, id.data, id.len);
    ms_table_put(&txns->ids, &txn->node, hash_of(id));
    *ret_txn = txn;
    return MS_TXN_OK;
}

static void close_open(struct ms_txnid *txn) {
    ms_txn_members_clear(txn);
    ms_txn_offsets_clear(txn);
    txn->has_offsets = false;
}

static void unplace(struct ms_txnid *txn) {
    if (txn->placed)
        ms_table_take(&txn->txns->producers, &txn->by_producer);
    txn->placed = false;
}

void ms_txnid_free(struct ms_txnid *txn) {
    struct ms_txns *txns = txn->txns;
    MS_ASSERT(txn->writes == 0);
    txns->open -= txn->facts.state == MS_TXN_ONGOING;
    close_open(txn);
    unplace(txn);
    ms_table_take(&txns->ids, &txn->node);
    ms_table_deinit(&txn->members);
    ms_timers_release(&txns->timers, &txn->timer);
    ms_txn_release(txns, txn);
}

/* ---- what an id becomes ---- */

void ms_txnid_become(struct ms_txnid *txn, const struct ms_txn_facts *facts) {
    struct ms_txns *txns = txn->txns;
    txns->open -= txn->facts.state == MS_TXN_ONGOING;
    txns->open += facts->state == MS_TXN_ONGOING;
    if (facts->state != MS_TXN_ONGOING)
        close_open(txn);
    if (!ms_txn_producer_equal(txn->facts.producer, facts->producer))
        txn->epoch_told = false;
    if (txn->facts.producer.id != facts->producer.id)
        unplace(txn);
    txn->facts = *facts;
    if (!txn->placed)
        ms_table_put(&txns->producers, &txn->by_producer, producer_hash(facts->producer.id));
    txn->placed = true;
}

void ms_txnid_arm(const struct ms_txn_turn *turn, struct ms_txnid *txn) {
    const struct ms_txn_facts *facts = &txn->facts;
    bool open = facts->state == MS_TXN_ONGOING;
    int64_t lasts_ms = open ? facts->timeout_ms : turn->txns->options.id_retention_ms;
    int64_t passed_ms = turn->wall_ms - (open ? facts->started_ms : facts->changed_ms);
    if (passed_ms < 0) /* the clock was set back */
        passed_ms = 0;
    if (passed_ms > lasts_ms)
        passed_ms = lasts_ms;
    ms_timer_set(&txn->txns->timers, &txn->timer, turn->now_ms + lasts_ms - passed_ms);
}

enum ms_txn_code ms_txnid_tell_epoch(struct ms_txnid *txn) {
    const struct ms_txn_store *store = &txn->txns->options.store;
    struct ms_txn_producer producer = txn->facts.producer;
    if (!txn->epoch_told)
        txn->epoch_told = store->set_epoch(store->context, producer.id, producer.epoch) == 0;
    return txn->epoch_told ? MS_TXN_OK : MS_TXN_NOT_AVAILABLE;
}

/* ---- its record ---- */

static int by_topic_and_partition(const void *a, const void *b) {
    const struct ms_txn_partition_name *one = a, *two = b;
    int order = ms_bytes_compare(one->topic, two->topic);
    return order != 0 ? order
                      : (one->partition > two->partition) - (one->partition < two->partition);
}

static struct ms_txn_partition_name name_of(const struct ms_txn_member *member) {
    return (struct ms_txn_partition_name){ms_bytes_of(member->topic, member->topic_len),
                                          member->partition};
}

/* NULL: memory. */
static struct ms_txn_partition_name *list_members(const struct ms_txnid *txn,
                                                  const struct ms_txn_member *added, bool offsets,
                                                  size_t *ret_count) {
    size_t count = txn->members.count + offsets;
    for (const struct ms_txn_member *m = added; m != NULL; m = m->next)
        count++;
    struct ms_txn_partition_name *names = ms_calloc(count + 1, sizeof *names);
    if (names == NULL)
        return NULL;
    size_t i = 0;
    struct ms_table_node *node = NULL;
    while ((node = ms_table_next(&txn->members, node)) != NULL)
        names[i++] = name_of(MS_CONTAINER(node, struct ms_txn_member, node));
    for (const struct ms_txn_member *m = added; m != NULL; m = m->next)
        names[i++] = name_of(m);
    if (offsets)
        names[i++] = (struct ms_txn_partition_name){MS_TXN_OFFSETS_TOPIC, 0};
    qsort(names, count, sizeof *names, by_topic_and_partition);
    *ret_count = count;
    return names;
}

static int write_topics(struct ms_buf *out, const struct ms_txn_partition_name *names,
                        size_t count) {
    int rc = 0;
    for (size_t i = 0, end; rc == 0 && i < count; i = end) {
        for (end = i + 1; end < count && ms_bytes_equal(names[end].topic, names[i].topic);)
            end++;
        rc = ms_txn_value_topic(out, names[i].topic, (uint32_t)(end - i));
        for (size_t j = i; rc == 0 && j < end; j++)
            rc = ms_txn_value_partition(out, names[j].partition);
        if (rc == 0)
            rc = ms_txn_value_topic_end(out);
    }
    return rc;
}

static int write_value(struct ms_buf *out, const struct ms_txn_facts *facts,
                       const struct ms_txn_partition_name *names, size_t count) {
    struct ms_txn_value value = {.producer_id = facts->producer.id,
                                 .epoch = facts->producer.epoch,
                                 .previous_producer_id = facts->previous.id,
                                 .previous_epoch = facts->previous.epoch,
                                 .timeout_ms = facts->timeout_ms,
                                 .state = (uint8_t)facts->state,
                                 .changed_ms = facts->changed_ms,
                                 .started_ms = facts->started_ms};
    for (size_t i = 0; i < count; i++)
        value.topic_count += i == 0 || !ms_bytes_equal(names[i].topic, names[i - 1].topic);
    int rc = ms_txn_value_begin(out, &value);
    if (rc == 0)
        rc = write_topics(out, names, count);
    return rc != 0 ? rc : ms_txn_value_end(out, &value);
}

static int write_record(struct ms_txn_write *write) {
    const struct ms_txnid *txn = write->txn;
    size_t count = 0;
    struct ms_txn_partition_name *names = NULL;
    if (write->facts.state == MS_TXN_ONGOING) {
        names = list_members(txn, write->added, txn->has_offsets || write->adds_offsets, &count);
        if (names == NULL)
            return MS_ENOMEM;
    }
    ms_txn_write_key_begins(write, MS_RECORDS_TRANSACTION_STATE);
    int rc = ms_txn_id_key_write(&write->bytes, ms_txnid_name(txn));
    ms_txn_write_value_begins(write, MS_RECORDS_TRANSACTION_STATE);
    if (rc == 0)
        rc = write_value(&write->bytes, &write->facts, names, count);
    ms_txn_write_record_ends(write, MS_RECORDS_TRANSACTION_STATE, false);
    ms_free(names);
    return rc;
}

static void drop_members(struct ms_txns *txns, struct ms_txn_member *members) {
    while (members != NULL) {
        struct ms_txn_member *next = members->next;
        ms_txn_release(txns, members);
        members = next;
    }
}

struct ms_txn_write *ms_txn_write_of(struct ms_txnid *txn, const struct ms_txn_facts *facts,
                                     struct ms_txn_member *added, bool adds_offsets,
                                     void (*finish)(struct ms_txn_turn *, struct ms_txn_write *,
                                                    int)) {
    size_t pendings = 0;
    for (const struct ms_txn_offset *p = txn->pendings; p != NULL; p = p->next)
        pendings++;
    struct ms_txn_write *write = ms_txn_write_new(txn->txns, 1 + pendings, pendings, finish);
    if (write == NULL) {
        drop_members(txn->txns, added);
        return NULL;
    }
    write->txn = txn;
    write->exclusive = true;
    write->facts = *facts;
    write->added = added;
    write->adds_offsets = adds_offsets;
    if (write_record(write) == 0)
        return write;
    ms_txn_write_drop(write);
    return NULL;
}

/* ---- making, ending ---- */

#define OR_DEFAULT(field, value)                                                                   \
    do {                                                                                           \
        if (options->field == 0)                                                                   \
            options->field = (value);                                                              \
    } while (0)

static void fill_in(struct ms_txns_options *options) {
    OR_DEFAULT(ids_max, 100000);
    OR_DEFAULT(partitions_max, 10000);
    OR_DEFAULT(bytes_max, (size_t)128 << 20);
    OR_DEFAULT(timeout_ms_max, 15 * 60 * 1000);
    OR_DEFAULT(id_retention_ms, INT64_C(7) * 24 * 3600 * 1000);
}

static bool limits_make_sense(const struct ms_txns_options *o) {
    const struct ms_txn_store *store = &o->store;
    return o->timeout_ms_max > 0 && o->id_retention_ms > 0 && o->env != NULL &&
           store->append != NULL && store->end != NULL && store->set_epoch != NULL &&
           store->add != NULL && store->forget != NULL && store->ended != NULL;
}

int ms_txns_new(const struct ms_txns_options *options, struct ms_txns **ret_txns) {
    struct ms_txns_options filled = *options;
    fill_in(&filled);
    if (!limits_make_sense(&filled))
        return MS_EINVAL;
    struct ms_txns *txns = ms_calloc(1, sizeof *txns);
    if (txns == NULL)
        return MS_ENOMEM;
    txns->options = filled;
    txns->writes_end = &txns->writes;
    txns->waits_end = &txns->waits;
    ms_timers_init(&txns->timers);
    ms_table_init(&txns->ids);
    ms_table_init(&txns->producers);
    ms_table_init(&txns->strays);
    pthread_mutex_init(&txns->mutex, NULL);
    pthread_cond_init(&txns->delivered, NULL);
    *ret_txns = txns;
    return 0;
}

void ms_txns_stop(struct ms_txns *txns) {
    struct ms_txn_turn turn;
    ms_txn_turn_begin(&turn, txns);
    txns->stopped = true;
    ms_txn_answer_waits(txns, MS_TXN_NOT_AVAILABLE);
    ms_txn_turn_end(&turn);
}

void ms_txns_free(struct ms_txns *txns) {
    if (txns == NULL)
        return;
    MS_ASSERT(txns->answers == NULL && txns->writes_in_flight == 0 && txns->deliveries == NULL);
    struct ms_table_node *node;
    while ((node = ms_table_next(&txns->ids, NULL)) != NULL)
        ms_txnid_free(MS_CONTAINER(node, struct ms_txnid, node));
    while ((node = ms_table_next(&txns->strays, NULL)) != NULL) {
        ms_table_take(&txns->strays, node);
        ms_txn_release(txns, node);
    }
    while (txns->orphans != NULL) {
        struct ms_txn_offset *pending = txns->orphans;
        txns->orphans = pending->next;
        ms_txn_release(txns, pending);
        txns->pending_offsets--;
    }
    MS_ASSERT(txns->bytes == 0 && txns->open == 0 && txns->pending_offsets == 0);
    ms_table_deinit(&txns->ids);
    ms_table_deinit(&txns->producers);
    ms_table_deinit(&txns->strays);
    ms_timers_deinit(&txns->timers);
    pthread_cond_destroy(&txns->delivered);
    pthread_mutex_destroy(&txns->mutex);
    ms_free(txns);
}

/* ---- time ---- */

#define IDLE_TICK_MS 60000

int64_t ms_txns_tick(struct ms_txns *txns) {
    struct ms_txn_turn turn;
    ms_txn_turn_begin(&turn, txns);
    if (txns->loaded && !txns->stopped) {
        struct ms_timer *timer;
        while ((timer = ms_timers_pop(&txns->timers, turn.now_ms)) != NULL)
            ms_txn_timer_fired(&turn, MS_CONTAINER(timer, struct ms_txnid, timer));
    }
    int64_t next_ms = ms_timers_next_ms(&txns->timers);
    int64_t idle_ms = turn.now_ms + IDLE_TICK_MS;
    if (!txns->loaded || txns->stopped || next_ms > idle_ms)
        next_ms = idle_ms;
    txns->promised_tick_ms = next_ms;
    ms_txn_turn_end(&turn);
    return next_ms > turn.now_ms ? next_ms - turn.now_ms : 0;
}
