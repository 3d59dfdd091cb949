/* Producer ids, and who gets them: InitProducerId. Under the lock but for ms_txns_init. */
#include "base/alloc.h"
#include "txn/internal.h"

/* ---- producer ids ---- */

static bool take_id(struct ms_txns *txns, int64_t *ret_id) {
    if (txns->next_id >= txns->ids_end)
        return false;
    *ret_id = txns->next_id++;
    return true;
}

bool ms_txn_next_producer(struct ms_txns *txns, struct ms_txn_producer now,
                          struct ms_txn_producer *ret_next) {
    if (now.id >= 0 && now.epoch < MS_TXN_EPOCH_MAX) {
        *ret_next = (struct ms_txn_producer){now.id, (int16_t)(now.epoch + 1)};
        return true;
    }
    int64_t id;
    if (!take_id(txns, &id))
        return false;
    *ret_next = (struct ms_txn_producer){id, 0};
    return true;
}

void ms_txn_answer_waits(struct ms_txns *txns, enum ms_txn_code code) {
    while (txns->waits != NULL) {
        struct ms_txn_wait *wait = txns->waits;
        txns->waits = wait->next;
        ms_txn_request_answer(txns, wait->request, code, MS_TXN_NO_PRODUCER);
        ms_txn_release(txns, wait);
    }
    txns->waits_end = &txns->waits;
}

static void init_locked(struct ms_txn_turn *turn, const struct ms_txn_init *init,
                        struct ms_txn_request *request);

static void retry_waits(struct ms_txn_turn *turn) {
    struct ms_txns *txns = turn->txns;
    struct ms_txn_wait *wait = txns->waits, *next;
    txns->waits = NULL;
    txns->waits_end = &txns->waits;
    for (; wait != NULL; wait = next) {
        next = wait->next;
        if (wait->request != NULL)
            init_locked(turn, &wait->init, wait->request);
        ms_txn_release(txns, wait);
    }
}

static void reserved(struct ms_txn_turn *turn, struct ms_txn_write *write, int code) {
    struct ms_txns *txns = turn->txns;
    txns->reserving = false;
    if (code == 0) {
        txns->next_id = write->ids_end - MS_TXN_PRODUCER_IDS;
        txns->ids_end = write->ids_end;
        retry_waits(turn);
    } else {
        ms_txn_answer_waits(txns, ms_txn_write_code(code));
    }
}

void ms_txn_reserve_ids(struct ms_txn_turn *turn) {
    struct ms_txns *txns = turn->txns;
    if (txns->reserving)
        return;
    struct ms_txn_write *write = ms_txn_write_new(txns, 1, 0, reserved);
    int rc = write != NULL ? 0 : MS_ENOMEM;
    if (rc == 0) {
        write->ids_end = txns->ids_end + MS_TXN_PRODUCER_IDS;
        ms_txn_write_key_begins(write, MS_RECORDS_TRANSACTION_STATE);
        rc = ms_txn_ids_key_write(&write->bytes);
        ms_txn_write_value_begins(write, MS_RECORDS_TRANSACTION_STATE);
    }
    if (rc == 0)
        rc = ms_txn_ids_value_write(&write->bytes, write->ids_end);
    if (rc != 0) {
        ms_txn_write_drop(write);
        ms_txn_answer_waits(txns, MS_TXN_NOT_AVAILABLE);
        return;
    }
    ms_txn_write_record_ends(write, MS_RECORDS_TRANSACTION_STATE, false);
    txns->reserving = true;
    ms_txn_write_queue(write);
}

void ms_txn_wait_for_ids(struct ms_txn_turn *turn, const struct ms_txn_init *init,
                         struct ms_txn_request *request) {
    struct ms_txns *txns = turn->txns;
    struct ms_txn_wait *wait = ms_txn_alloc(txns, sizeof *wait + init->id.len);
    if (wait == NULL) {
        ms_txn_request_answer(txns, request, MS_TXN_NOT_AVAILABLE, MS_TXN_NO_PRODUCER);
        return;
    }
    *wait = (struct ms_txn_wait){.init = *init};
    if (init->id.len > 0)
        memcpy(wait->id, init->id.data, init->id.len);
    wait->init.id = ms_bytes_of(wait->id, init->id.len);
    ms_txn_request_wait(request, &wait->request);
    *txns->waits_end = wait;
    txns->waits_end = &wait->next;
    ms_txn_reserve_ids(turn);
}

/* ---- InitProducerId without a transactional id ---- */

/* Nothing is known of such producers. Only ids that were handed out have a next epoch, and none
 * that belongs to a transactional id. */
static void init_idempotent(struct ms_txn_turn *turn, const struct ms_txn_init *init,
                            struct ms_txn_request *request) {
    struct ms_txns *txns = turn->txns;
    struct ms_txn_producer now = init->expected, next;
    if (now.id >= txns->next_id || ms_txnid_find_producer(txns, now.id) != NULL)
        now = MS_TXN_NO_PRODUCER;
    if (ms_txn_next_producer(txns, now, &next))
        ms_txn_request_answer(txns, request, MS_TXN_OK, next);
    else
        ms_txn_wait_for_ids(turn, init, request);
}

/* ---- and with one ---- */

static void first_stored(struct ms_txn_turn *turn, struct ms_txn_write *write, int code) {
    struct ms_txnid *txn = write->txn;
    enum ms_txn_code answer = ms_txn_write_code(code);
    if (code == 0) {
        ms_txnid_become(txn, &write->facts);
        ms_txnid_arm(turn, txn);
        answer = ms_txnid_tell_epoch(txn);
    } else {
        ms_txnid_free(txn);
    }
    ms_txn_request_answer(turn->txns, write->request, answer, write->facts.producer);
}

/* The id is new. */
static enum ms_txn_code init_first(struct ms_txn_turn *turn, const struct ms_txn_init *init,
                                   struct ms_txn_request *request) {
    struct ms_txnid *txn;
    struct ms_txn_facts facts = {.state = MS_TXN_EMPTY,
                                 .previous = MS_TXN_NO_PRODUCER,
                                 .timeout_ms = init->timeout_ms,
                                 .changed_ms = turn->wall_ms,
                                 .started_ms = -1};
    if (!ms_txn_next_producer(turn->txns, MS_TXN_NO_PRODUCER, &facts.producer)) {
        ms_txn_wait_for_ids(turn, init, request);
        return MS_TXN_OK;
    }
    enum ms_txn_code code = ms_txnid_make(turn->txns, init->id, &txn);
    if (code != MS_TXN_OK)
        return code;
    struct ms_txn_write *write = ms_txn_write_of(txn, &facts, NULL, false, first_stored);
    if (write == NULL) {
        ms_txnid_free(txn);
        return MS_TXN_NOT_AVAILABLE;
    }
    ms_txn_request_wait(request, &write->request);
    ms_txn_write_queue(write);
    return MS_TXN_OK;
}

/* The producer that did the last step asks again: the answer was lost. */
static bool is_retry(const struct ms_txnid *txn, const struct ms_txn_init *init) {
    return init->expected.id >= 0 && ms_txn_producer_equal(init->expected, txn->facts.previous) &&
           txn->facts.state != MS_TXN_ONGOING && txn->facts.producer.epoch <= MS_TXN_EPOCH_MAX;
}

static enum ms_txn_code init_again(struct ms_txn_turn *turn, struct ms_txnid *txn,
                                   const struct ms_txn_init *init, struct ms_txn_request *request) {
    const struct ms_txn_facts *now = &txn->facts;
    bool expects = init->expected.id >= 0;
    if (txn->busy)
        return MS_TXN_CONCURRENT;
    if (is_retry(txn, init)) {
        enum ms_txn_code code = ms_txnid_tell_epoch(txn);
        if (code == MS_TXN_OK)
            ms_txn_request_answer(turn->txns, request, MS_TXN_OK, now->producer);
        return code;
    }
    /* Its own transaction was aborted at its timeout with the last epoch there is. */
    bool spent = ms_txn_producer_equal(init->expected, now->previous) &&
                 now->state != MS_TXN_ONGOING && now->producer.epoch > MS_TXN_EPOCH_MAX;
    if (expects && !ms_txn_producer_equal(init->expected, now->producer) && !spent)
        return MS_TXN_FENCED;
    struct ms_txn_facts facts = {.state = MS_TXN_EMPTY,
                                 .previous = expects ? init->expected : MS_TXN_NO_PRODUCER,
                                 .timeout_ms = init->timeout_ms,
                                 .changed_ms = turn->wall_ms,
                                 .started_ms = -1};
    if (!ms_txn_next_producer(turn->txns, now->producer, &facts.producer)) {
        ms_txn_wait_for_ids(turn, init, request);
        return MS_TXN_OK;
    }
    if (now->state == MS_TXN_ONGOING)
        return ms_txnid_finish(turn, txn, false, ms_txnid_fence(txn), &facts, request);
    return ms_txnid_step(turn, txn, &facts, request);
}

static enum ms_txn_code check_init(const struct ms_txn_turn *turn, const struct ms_txn_init *init) {
    enum ms_txn_code code =
        ms_txn_turn_check(turn, init->transactional ? init->id : MS_BYTES_LITERAL("-"));
    if (code != MS_TXN_OK)
        return code;
    if ((init->expected.id < 0) != (init->expected.epoch < 0))
        return MS_TXN_INVALID_REQUEST;
    bool timed = init->timeout_ms > 0 && init->timeout_ms <= turn->txns->options.timeout_ms_max;
    return init->transactional && !timed ? MS_TXN_INVALID_TIMEOUT : MS_TXN_OK;
}

static void init_locked(struct ms_txn_turn *turn, const struct ms_txn_init *init,
                        struct ms_txn_request *request) {
    enum ms_txn_code code = check_init(turn, init);
    if (code == MS_TXN_OK && !init->transactional) {
        init_idempotent(turn, init, request);
    } else if (code == MS_TXN_OK) {
        struct ms_txnid *txn = ms_txnid_find(turn->txns, init->id);
        code = txn == NULL ? init_first(turn, init, request) : init_again(turn, txn, init, request);
    }
    if (code != MS_TXN_OK)
        ms_txn_request_answer(turn->txns, request, code, MS_TXN_NO_PRODUCER);
}

void ms_txns_init(struct ms_txns *txns, const struct ms_txn_init *init,
                  struct ms_txn_request *request) {
    struct ms_txn_turn turn;
    ms_txn_turn_begin(&turn, txns);
    init_locked(&turn, init, request);
    ms_txn_turn_end(&turn);
}
