/*
 * The end of every call: answers and writes leave without the lock, writes one at a time and in
 * order. One thread may hand out what another one queued; a callback that calls in again leaves
 * its answers to the call it was made from, so that nothing recurses. The thread that tells of a
 * write's outcome is the log's own, which must not wait for the log: what it has to write is left
 * to the tick.
 */
#include "base/alloc.h"
#include "txn/internal.h"

void ms_txn_turn_begin(struct ms_txn_turn *turn, struct ms_txns *txns) {
    pthread_mutex_lock(&txns->mutex);
    turn->txns = txns;
    turn->now_ms = ms_clock_monotonic_us(txns->options.env->clock) / 1000;
    turn->wall_ms = ms_clock_now_us(txns->options.env->clock) / 1000;
}

enum ms_txn_code ms_txn_turn_check(const struct ms_txn_turn *turn, struct ms_bytes id) {
    if (turn->txns->stopped)
        return MS_TXN_NOT_AVAILABLE;
    if (!turn->txns->loaded)
        return MS_TXN_LOADING;
    return id.len == 0 || id.len > MS_TXN_ID_BYTES_MAX ? MS_TXN_INVALID_REQUEST : MS_TXN_OK;
}

/* ---- answers ---- */

void ms_txn_request_wait(struct ms_txn_request *request, struct ms_txn_request **place) {
    if (request == NULL)
        return;
    MS_ASSERT(request->phase == MS_TXN_NEW || request->phase == MS_TXN_WAITING);
    request->phase = MS_TXN_WAITING;
    request->place = place;
    *place = request;
}

void ms_txn_request_answer(struct ms_txns *txns, struct ms_txn_request *request,
                           enum ms_txn_code code, struct ms_txn_producer producer) {
    if (request == NULL)
        return;
    MS_ASSERT(request->phase == MS_TXN_NEW || request->phase == MS_TXN_WAITING);
    request->phase = MS_TXN_QUEUED;
    request->code = code;
    request->producer = code == MS_TXN_OK ? producer : MS_TXN_NO_PRODUCER;
    request->next = NULL;
    request->previous = txns->answers_last;
    if (txns->answers_last != NULL)
        txns->answers_last->next = request;
    else
        txns->answers = request;
    txns->answers_last = request;
}

static void unlink_answer(struct ms_txns *txns, struct ms_txn_request *request) {
    if (request->previous != NULL)
        request->previous->next = request->next;
    else
        txns->answers = request->next;
    if (request->next != NULL)
        request->next->previous = request->previous;
    else
        txns->answers_last = request->previous;
    request->next = request->previous = NULL;
}

static bool is_delivering(const struct ms_txns *txns) {
    for (struct ms_txn_delivery *d = txns->deliveries; d != NULL; d = d->next)
        if (pthread_equal(d->thread, pthread_self()))
            return true;
    return false;
}

/* The lock is released while the callback runs, which may free the request. */
static void deliver_one(struct ms_txns *txns) {
    struct ms_txn_request *request = txns->answers;
    unlink_answer(txns, request);
    request->phase = MS_TXN_DONE;
    struct ms_txn_delivery delivery = {txns->deliveries, request, pthread_self()};
    txns->deliveries = &delivery;
    pthread_mutex_unlock(&txns->mutex);
    request->done(request);
    pthread_mutex_lock(&txns->mutex);
    struct ms_txn_delivery **place = &txns->deliveries;
    while (*place != &delivery)
        place = &(*place)->next;
    *place = delivery.next;
    pthread_cond_broadcast(&txns->delivered);
}

/* A callback for it is running in another thread. */
static bool is_running_elsewhere(const struct ms_txns *txns, const struct ms_txn_request *request) {
    for (struct ms_txn_delivery *d = txns->deliveries; d != NULL; d = d->next)
        if (d->request == request)
            return !pthread_equal(d->thread, pthread_self());
    return false;
}

void ms_txns_forget(struct ms_txns *txns, struct ms_txn_request *request) {
    struct ms_txn_turn turn;
    ms_txn_turn_begin(&turn, txns);
    if (request->phase == MS_TXN_WAITING) {
        request->phase = MS_TXN_DONE;
        *request->place = NULL;
    } else if (request->phase == MS_TXN_QUEUED) {
        request->phase = MS_TXN_DONE;
        unlink_answer(txns, request);
    } else {
        while (is_running_elsewhere(txns, request))
            pthread_cond_wait(&txns->delivered, &txns->mutex);
    }
    ms_txn_turn_end(&turn);
}

/* ---- writes ---- */

static int places_init(struct ms_txn_spans *places, size_t capacity) {
    places->capacity = capacity;
    places->items = ms_calloc(capacity + 1, sizeof *places->items);
    places->records = ms_calloc(capacity + 1, sizeof *places->records);
    return places->items != NULL && places->records != NULL ? 0 : MS_ENOMEM;
}

struct ms_txn_write *ms_txn_write_new(struct ms_txns *txns, size_t states, size_t offsets,
                                      void (*finish)(struct ms_txn_turn *, struct ms_txn_write *,
                                                     int)) {
    struct ms_txn_write *write = ms_calloc(1, sizeof *write);
    if (write == NULL)
        return NULL;
    write->txns = txns;
    write->finish = finish;
    ms_buf_init(&write->bytes, MS_TXN_WRITE_BYTES_MAX);
    if (places_init(&write->places[MS_RECORDS_TRANSACTION_STATE], states) == 0 &&
        places_init(&write->places[MS_RECORDS_CONSUMER_OFFSETS], offsets) == 0)
        return write;
    ms_txn_write_drop(write);
    return NULL;
}

void ms_txn_write_drop(struct ms_txn_write *write) {
    if (write == NULL)
        return;
    while (write->added != NULL) {
        struct ms_txn_member *member = write->added;
        write->added = member->next;
        ms_txn_release(write->txns, member);
    }
    for (size_t i = 0; i < 2; i++) {
        ms_free(write->places[i].items);
        ms_free(write->places[i].records);
    }
    ms_buf_deinit(&write->bytes);
    ms_free(write);
}

void ms_txn_write_key_begins(struct ms_txn_write *write, enum ms_records_topic topic) {
    struct ms_txn_spans *places = &write->places[topic];
    MS_ASSERT(places->count < places->capacity);
    places->items[places->count].key_at = write->bytes.len;
}

void ms_txn_write_value_begins(struct ms_txn_write *write, enum ms_records_topic topic) {
    struct ms_txn_spans *places = &write->places[topic];
    places->items[places->count].value_at = write->bytes.len;
}

void ms_txn_write_record_ends(struct ms_txn_write *write, enum ms_records_topic topic,
                              bool tombstone) {
    struct ms_txn_spans *places = &write->places[topic];
    places->items[places->count].end = write->bytes.len;
    places->items[places->count++].tombstone = tombstone;
}

enum ms_txn_code ms_txn_write_code(int code) {
    if (code == 0)
        return MS_TXN_OK;
    return code == MS_ETOOBIG ? MS_TXN_UNKNOWN_SERVER_ERROR : MS_TXN_NOT_AVAILABLE;
}

static size_t make_sets(struct ms_txn_write *write) {
    size_t count = 0;
    for (size_t topic = 0; topic < 2; topic++) {
        struct ms_txn_spans *places = &write->places[topic];
        for (size_t i = 0; i < places->count; i++) {
            const struct ms_txn_span *place = &places->items[i];
            const uint8_t *bytes = write->bytes.data;
            places->records[i] = (struct ms_keyed_record){
                .key = {bytes + place->key_at, place->value_at - place->key_at},
                .value = {bytes + place->value_at, place->end - place->value_at},
                .tombstone = place->tombstone};
        }
        if (places->count > 0)
            write->sets[count++] = (struct ms_keyed_records){(enum ms_records_topic)topic,
                                                             places->records, places->count};
    }
    return count;
}

void ms_txn_write_queue(struct ms_txn_write *write) {
    struct ms_txns *txns = write->txns;
    write->end.set_count = make_sets(write);
    write->end.sets = write->sets;
    write->holders = 2;
    txns->writes_in_flight++;
    if (write->txn != NULL) {
        write->txn->writes++;
        write->txn->busy = write->txn->busy || write->exclusive;
    }
    write->next = NULL;
    *txns->writes_end = write;
    txns->writes_end = &write->next;
}

static void let_go(struct ms_txn_write *write) {
    MS_ASSERT(write->holders > 0);
    if (--write->holders == 0)
        ms_txn_write_drop(write);
}

static void turn_end(struct ms_txn_turn *turn, bool of_log);

static void write_done(void *context, int code) {
    struct ms_txn_write *write = context;
    struct ms_txns *txns = write->txns;
    const struct ms_txn_store *store = &txns->options.store;
    void (*told)(void *, int) = write->told;
    void *told_context = write->told_context;
    if (code == 0 && write->had_offsets)
        store->ended(store->context, write->end.producer_id, write->end.commit);
    struct ms_txn_turn turn;
    ms_txn_turn_begin(&turn, txns);
    txns->failed_writes += code != 0;
    txns->writes_in_flight--;
    if (write->txn != NULL) {
        MS_ASSERT(write->txn->writes > 0);
        write->txn->writes--;
        write->txn->busy = write->txn->busy && !write->exclusive;
    }
    write->finish(&turn, write, code);
    let_go(write);
    turn_end(&turn, txns->options.wake != NULL);
    if (told != NULL)
        told(told_context, code);
}

static void append_one(struct ms_txns *txns) {
    struct ms_txn_write *write = txns->writes;
    const struct ms_txn_store *store = &txns->options.store;
    txns->writes = write->next;
    if (txns->writes == NULL)
        txns->writes_end = &txns->writes;
    txns->writing = true;
    pthread_mutex_unlock(&txns->mutex);
    if (write->ends)
        store->end(store->context, &write->end, write_done, write);
    else
        store->append(store->context, write->end.sets, write->end.set_count, write_done, write);
    pthread_mutex_lock(&txns->mutex);
    txns->writing = false;
    let_go(write);
}

static void turn_end(struct ms_txn_turn *turn, bool of_log) {
    struct ms_txns *txns = turn->txns;
    bool nested = is_delivering(txns);
    for (;;) {
        if (txns->writes != NULL && !txns->writing && !of_log)
            append_one(txns);
        else if (txns->answers != NULL && !nested)
            deliver_one(txns);
        else
            break;
    }
    int64_t next_ms = ms_timers_next_ms(&txns->timers);
    if (txns->writes != NULL && !txns->writing)
        next_ms = turn->now_ms;
    bool wake = txns->options.wake != NULL && txns->loaded && next_ms < txns->promised_tick_ms;
    if (wake)
        txns->promised_tick_ms = next_ms;
    pthread_mutex_unlock(&txns->mutex);
    if (wake)
        txns->options.wake(txns->options.wake_context);
}

void ms_txn_turn_end(struct ms_txn_turn *turn) { turn_end(turn, false); }
