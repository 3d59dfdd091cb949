/*
 * How it ends: EndTxn, the timeout, a new producer of the same transactional id; and how an id is
 * forgotten. Under the lock but for ms_txns_end.
 */
#include "txn/internal.h"

#define RETRY_MS 1000 /* what the log has refused */

static void arm_later(const struct ms_txn_turn *turn, struct ms_txnid *txn) {
    ms_txnid_arm(turn, txn);
    if (txn->timer.due_ms < turn->now_ms + RETRY_MS)
        ms_timer_set(&txn->txns->timers, &txn->timer, turn->now_ms + RETRY_MS);
}

int16_t ms_txnid_fence(const struct ms_txnid *txn) {
    int16_t epoch = txn->facts.producer.epoch;
    return epoch < INT16_MAX ? (int16_t)(epoch + 1) : epoch;
}

/* ---- steps ---- */

static void count_end(const struct ms_txn_write *write) {
    if (write->end.commit)
        write->txns->commits++;
    else
        write->txns->aborts++;
}

static void stepped(struct ms_txn_turn *turn, struct ms_txn_write *write, int code) {
    struct ms_txnid *txn = write->txn;
    enum ms_txn_code answer = ms_txn_write_code(code);
    if (code == 0) {
        struct ms_txn_producer told = {write->end.producer_id, write->end.epoch};
        if (write->ends)
            count_end(write);
        ms_txnid_become(txn, &write->facts);
        ms_txnid_arm(turn, txn);
        if (write->ends && ms_txn_producer_equal(told, txn->facts.producer))
            txn->epoch_told = true; /* with the end */
        answer = ms_txnid_tell_epoch(txn);
    } else {
        arm_later(turn, txn);
    }
    ms_txn_request_answer(turn->txns, write->request, answer, write->facts.producer);
}

enum ms_txn_code ms_txnid_step(struct ms_txn_turn *turn, struct ms_txnid *txn,
                               const struct ms_txn_facts *facts, struct ms_txn_request *request) {
    (void)turn;
    struct ms_txn_write *write = ms_txn_write_of(txn, facts, NULL, false, stepped);
    if (write == NULL)
        return MS_TXN_NOT_AVAILABLE;
    ms_txn_request_wait(request, &write->request);
    ms_txn_write_queue(write);
    return MS_TXN_OK;
}

enum ms_txn_code ms_txnid_finish(struct ms_txn_turn *turn, struct ms_txnid *txn, bool commit,
                                 int16_t marker_epoch, const struct ms_txn_facts *facts,
                                 struct ms_txn_request *request) {
    (void)turn;
    MS_ASSERT(txn->facts.state == MS_TXN_ONGOING && !txn->busy);
    struct ms_txn_write *write = ms_txn_write_of(txn, facts, NULL, false, stepped);
    if (write == NULL)
        return MS_TXN_NOT_AVAILABLE;
    int rc = ms_txn_offsets_write(write, txn, commit);
    if (rc != 0) {
        ms_txn_write_drop(write);
        return ms_txn_write_code(rc);
    }
    write->ends = true;
    write->had_offsets = txn->pendings != NULL;
    write->end = (struct ms_txn_end){
        .producer_id = txn->facts.producer.id, .epoch = marker_epoch, .commit = commit};
    ms_txn_request_wait(request, &write->request);
    ms_txn_write_queue(write);
    return MS_TXN_OK;
}

/* ---- EndTxn ---- */

static enum ms_txn_state state_of(bool commit) {
    return commit ? MS_TXN_COMPLETE_COMMIT : MS_TXN_COMPLETE_ABORT;
}

static bool has_ended(const struct ms_txnid *txn) {
    return txn->facts.state == MS_TXN_COMPLETE_COMMIT || txn->facts.state == MS_TXN_COMPLETE_ABORT;
}

/* The end that brought the id where it is, asked for again: its answer was lost. */
static bool is_retry(const struct ms_txnid *txn, struct ms_txn_producer producer) {
    return has_ended(txn) && ms_txn_producer_equal(producer, txn->facts.previous) &&
           txn->facts.producer.epoch <= MS_TXN_EPOCH_MAX;
}

static enum ms_txn_code answer_again(struct ms_txnid *txn, bool commit,
                                     struct ms_txn_request *request) {
    if (txn->facts.state != state_of(commit))
        return MS_TXN_INVALID_STATE;
    enum ms_txn_code code = ms_txnid_tell_epoch(txn);
    if (code == MS_TXN_OK)
        ms_txn_request_answer(txn->txns, request, MS_TXN_OK, txn->facts.producer);
    return code;
}

static bool has_offsets_in_flight(const struct ms_txnid *txn) {
    for (const struct ms_txn_offset *p = txn->pendings; p != NULL; p = p->next)
        if (p->write != NULL)
            return true;
    return false;
}

/* The client goes on with the same epoch, so that its retry can't be told from an empty
 * transaction's end. */
static enum ms_txn_code end_same_epoch(struct ms_txn_turn *turn, struct ms_txnid *txn, bool commit,
                                       struct ms_txn_request *request) {
    struct ms_txn_facts facts = txn->facts;
    if (has_ended(txn))
        return answer_again(txn, commit, request);
    if (facts.state != MS_TXN_ONGOING)
        return MS_TXN_INVALID_STATE;
    facts.state = state_of(commit);
    facts.changed_ms = turn->wall_ms;
    facts.started_ms = -1;
    return ms_txnid_finish(turn, txn, commit, facts.producer.epoch, &facts, request);
}

static enum ms_txn_code end_and_bump(struct ms_txn_turn *turn, struct ms_txnid *txn, bool commit,
                                     struct ms_txn_request *request) {
    struct ms_txn_facts facts = txn->facts;
    bool open = facts.state == MS_TXN_ONGOING;
    if (commit && !open)
        return MS_TXN_INVALID_STATE;
    if (!ms_txn_next_producer(turn->txns, facts.producer, &facts.producer)) {
        ms_txn_reserve_ids(turn);
        return MS_TXN_CONCURRENT; /* asked again there are ids */
    }
    facts.state = state_of(commit);
    facts.previous = txn->facts.producer;
    facts.changed_ms = turn->wall_ms;
    facts.started_ms = -1;
    if (!open) /* a client that doesn't know whether it has begun one */
        return ms_txnid_step(turn, txn, &facts, request);
    return ms_txnid_finish(turn, txn, commit, ms_txnid_fence(txn), &facts, request);
}

static enum ms_txn_code end_locked(struct ms_txn_turn *turn, const struct ms_txn_identity *who,
                                   bool commit, bool bumps, struct ms_txn_request *request) {
    enum ms_txn_code code = ms_txn_turn_check(turn, who->id);
    if (code != MS_TXN_OK)
        return code;
    struct ms_txnid *txn = ms_txnid_find(turn->txns, who->id);
    if (txn != NULL && bumps && is_retry(txn, who->producer))
        return txn->busy ? MS_TXN_CONCURRENT : answer_again(txn, commit, request);
    code = ms_txn_check(turn, who, &txn);
    if (code != MS_TXN_OK)
        return code;
    if (commit && has_offsets_in_flight(txn))
        return MS_TXN_CONCURRENT;
    return bumps ? end_and_bump(turn, txn, commit, request)
                 : end_same_epoch(turn, txn, commit, request);
}

void ms_txns_end(struct ms_txns *txns, const struct ms_txn_identity *who, bool commit, bool bumps,
                 struct ms_txn_request *request) {
    struct ms_txn_turn turn;
    ms_txn_turn_begin(&turn, txns);
    enum ms_txn_code code = end_locked(&turn, who, commit, bumps, request);
    if (code != MS_TXN_OK)
        ms_txn_request_answer(txns, request, code, MS_TXN_NO_PRODUCER);
    ms_txn_turn_end(&turn);
}

/* ---- what belongs to nobody ---- */

static void stray_ended(struct ms_txn_turn *turn, struct ms_txn_write *write, int code) {
    (void)turn;
    if (code == 0) /* else a failed write, and the next start tries again */
        count_end(write);
}

int ms_txn_abort_stray(struct ms_txns *txns, struct ms_txn_producer producer) {
    struct ms_txn_write *write = ms_txn_write_new(txns, 0, 0, stray_ended);
    if (write == NULL)
        return MS_ENOMEM;
    write->ends = true;
    write->end = (struct ms_txn_end){.producer_id = producer.id, .epoch = producer.epoch};
    ms_txn_write_queue(write);
    return 0;
}

/* ---- time ---- */

/* The producer may ask how it ended, and go on. */
static void time_out(struct ms_txn_turn *turn, struct ms_txnid *txn) {
    struct ms_txn_facts facts = txn->facts;
    facts.state = MS_TXN_COMPLETE_ABORT;
    facts.previous = facts.producer;
    facts.producer.epoch = ms_txnid_fence(txn);
    facts.changed_ms = turn->wall_ms;
    facts.started_ms = -1;
    if (ms_txnid_finish(turn, txn, false, facts.producer.epoch, &facts, NULL) == MS_TXN_OK)
        turn->txns->timeouts++;
    else
        arm_later(turn, txn);
}

static void forgotten(struct ms_txn_turn *turn, struct ms_txn_write *write, int code) {
    const struct ms_txn_store *store = &turn->txns->options.store;
    if (code != 0) {
        arm_later(turn, write->txn);
        return;
    }
    store->forget(store->context, write->txn->facts.producer.id);
    ms_txnid_free(write->txn);
}

static void forget(struct ms_txn_turn *turn, struct ms_txnid *txn) {
    struct ms_txn_write *write = ms_txn_write_new(turn->txns, 1, 0, forgotten);
    int rc = write != NULL ? 0 : MS_ENOMEM;
    if (rc == 0) {
        write->txn = txn;
        write->exclusive = true;
        ms_txn_write_key_begins(write, MS_RECORDS_TRANSACTION_STATE);
        rc = ms_txn_id_key_write(&write->bytes, ms_txnid_name(txn));
    }
    if (rc != 0) {
        ms_txn_write_drop(write);
        arm_later(turn, txn);
        return;
    }
    ms_txn_write_value_begins(write, MS_RECORDS_TRANSACTION_STATE);
    ms_txn_write_record_ends(write, MS_RECORDS_TRANSACTION_STATE, true);
    ms_txn_write_queue(write);
}

void ms_txn_timer_fired(struct ms_txn_turn *turn, struct ms_txnid *txn) {
    bool open = txn->facts.state == MS_TXN_ONGOING;
    if (txn->busy || (!open && txn->writes > 0))
        arm_later(turn, txn);
    else if (open)
        time_out(turn, txn);
    else
        forget(turn, txn);
}
