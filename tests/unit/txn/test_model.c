/*
 * Producers that share transactional ids, over a log whose writes complete late or are refused,
 * with answers that are lost, timeouts, clients that sleep and wake as zombies, and the process
 * killed now and then. Old clients (their epoch lasts) and new ones (it changes with each
 * transaction).
 * Checked:
 *
 *   one open       transaction of a transactional id at most
 *   no zombies     once a newer epoch was answered, nothing of an older one is written
 *   as answered    an end that was answered OK has that result for all its records, once
 *   all or none    of a transaction whose answer was lost, and committed only if that was asked
 *   one answer     for every request, unless it was forgotten
 *
 * MS_TXN_SEEDS says how many worlds there are.
 */
#include "txn_fixture.h"

#include "support/world.h"

#define IDS 3u
#define CLIENTS 7u
#define STEPS 1500u
#define TXNS_MAX 4000u
#define RECORDS_MAX 8000u

enum life { NEW, READY, OPEN };
enum sent { NOTHING, INIT, ADD, END };
enum fate { PENDING, COMMITTED, ABORTED };

struct client {
    struct asked asked;
    enum life life;
    enum sent sent;
    bool waits; /* for the answer of `sent` */
    bool is_new;
    unsigned id;
    struct ms_txn_producer producer;
    bool expects; /* init with what it has */
    int32_t partition;
    bool commit;
    size_t txn;
};

struct txn {
    bool asked_commit, asked_abort, answered, result;
    size_t records;
};

struct record {
    size_t txn;
    int64_t producer_id;
    unsigned id;
    enum fate fate;
};

struct model {
    struct party *party;
    struct client clients[CLIENTS];
    struct ms_txn_producer newest[IDS]; /* that was answered */
    struct txn txns[TXNS_MAX];
    size_t txn_count;
    struct record records[RECORDS_MAX];
    size_t record_count;
    uint64_t committed, aborted, lost, fenced, kills;
};

static const char *const names[IDS] = {"x", "y", "z"};

static uint64_t draw(struct model *model, uint64_t below) {
    return ms_random_below(&model->party->random.random, below);
}

static bool is_older(struct ms_txn_producer a, struct ms_txn_producer b) {
    return a.id != b.id ? a.id < b.id : a.epoch < b.epoch;
}

/* ---- the log ---- */

static void on_end(void *context, const struct fake_end *end) {
    struct model *model = context;
    for (size_t i = 0; i < model->record_count; i++) {
        struct record *record = &model->records[i];
        if (record->producer_id != end->producer_id || record->fate != PENDING)
            continue;
        const struct txn *txn = &model->txns[record->txn];
        assert_true(!end->commit || txn->asked_commit);
        record->fate = end->commit ? COMMITTED : ABORTED;
        model->committed += end->commit;
        model->aborted += !end->commit;
    }
}

/* Of a transaction: at most one fate. */
static void check_txn(const struct model *model, size_t index) {
    const struct txn *txn = &model->txns[index];
    size_t count[3] = {0};
    for (size_t i = 0; i < model->record_count; i++)
        if (model->records[i].txn == index)
            count[model->records[i].fate]++;
    assert_int_equal(count[PENDING] + count[COMMITTED] + count[ABORTED], txn->records);
    assert_true(count[COMMITTED] == 0 || count[ABORTED] == 0);
    assert_true(count[PENDING] == 0 || count[COMMITTED] + count[ABORTED] == 0);
    if (txn->answered && txn->records > 0)
        assert_int_equal(count[txn->result ? COMMITTED : ABORTED], txn->records);
}

static void write_record(struct model *model, struct client *c) {
    int rc = party_write(model->party, c->producer, c->partition);
    if (rc != 0) {
        c->life = NEW;
        return;
    }
    assert_false(is_older(c->producer, model->newest[c->id]));
    for (size_t i = 0; i < model->record_count; i++) {
        const struct record *record = &model->records[i];
        if (record->id == c->id && record->fate == PENDING)
            assert_int_equal(record->txn, c->txn);
    }
    assert_true(model->record_count < RECORDS_MAX);
    model->records[model->record_count++] = (struct record){c->txn, c->producer.id, c->id, PENDING};
    model->txns[c->txn].records++;
}

/* ---- clients ---- */

static void send(struct model *model, struct client *c) {
    struct ms_txns *txns = model->party->txns;
    struct ms_txn_identity identity = who(names[c->id], c->producer);
    struct ms_txn_partition_name name = {TEXT("t"), c->partition};
    c->waits = true;
    switch (c->sent) {
    case INIT:
        send_init(model->party, &c->asked, names[c->id],
                  c->expects ? c->producer : MS_TXN_NO_PRODUCER);
        break;
    case ADD:
        ms_txns_add_partitions(txns, &identity, &name, 1, ask(&c->asked));
        break;
    case END:
        send_end(model->party, &c->asked, names[c->id], c->producer, c->commit, c->is_new);
        break;
    case NOTHING:
        break;
    }
}

static void new_txn(struct model *model, struct client *c) {
    assert_true(model->txn_count < TXNS_MAX);
    c->txn = model->txn_count++;
    c->life = OPEN;
    c->partition = (int32_t)draw(model, 4);
}

static void answered_ok(struct model *model, struct client *c) {
    struct ms_txn_producer producer = c->asked.request.producer;
    switch (c->sent) {
    case INIT:
        c->producer = producer;
        c->life = READY;
        break;
    case ADD:
        write_record(model, c);
        break;
    case END:
        model->txns[c->txn].answered = true;
        model->txns[c->txn].result = c->commit;
        check_txn(model, c->txn);
        if (c->is_new)
            c->producer = producer;
        c->life = READY;
        break;
    case NOTHING:
        break;
    }
}

static void hear(struct model *model, struct client *c) {
    assert_int_equal(c->asked.answers, 1);
    c->waits = false;
    switch (c->asked.request.code) {
    case MS_TXN_OK:
        answered_ok(model, c);
        c->sent = NOTHING;
        break;
    case MS_TXN_CONCURRENT:
    case MS_TXN_NOT_AVAILABLE:
        break; /* again */
    case MS_TXN_FENCED:
    case MS_TXN_INVALID_STATE:
    case MS_TXN_INVALID_PRODUCER_ID_MAPPING:
        model->fenced++;
        c->expects = c->sent != INIT && draw(model, 2) == 0;
        c->life = NEW;
        c->sent = NOTHING;
        break;
    case MS_TXN_UNKNOWN_SERVER_ERROR:
    case MS_TXN_UNKNOWN_PARTITION:
    case MS_TXN_LOADING:
    case MS_TXN_INVALID_REQUEST:
    case MS_TXN_POLICY_VIOLATION:
    case MS_TXN_INVALID_TIMEOUT:
    case MS_TXN_NOT_FOUND:
        fail_msg("code %d", (int)c->asked.request.code);
    }
}

static void go_on(struct model *model, struct client *c) {
    if (c->life == NEW) {
        c->sent = INIT;
    } else if (c->life == READY) {
        new_txn(model, c);
        if (!c->is_new)
            c->sent = ADD;
    } else if (draw(model, 3) == 0) {
        c->sent = END;
        c->commit = draw(model, 2) == 0;
        *(c->commit ? &model->txns[c->txn].asked_commit : &model->txns[c->txn].asked_abort) = true;
        if (c->is_new && model->txns[c->txn].records == 0)
            c->commit = false;
    } else if (c->is_new) {
        enum ms_txn_code code = begin(model->party, names[c->id], c->producer, c->partition);
        if (code == MS_TXN_OK)
            write_record(model, c);
        else if (code != MS_TXN_CONCURRENT)
            c->life = NEW;
    } else {
        write_record(model, c);
    }
}

/* What was answered counts from then on, even if the client listens later. */
static void note_answers(struct model *model) {
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *c = &model->clients[i];
        struct ms_txn_producer producer = c->asked.request.producer;
        if (c->waits && c->asked.answers > 0 && is_older(model->newest[c->id], producer))
            model->newest[c->id] = producer;
    }
}

static void step_client(struct model *model, struct client *c) {
    note_answers(model);
    if (c->waits && c->asked.answers > 0)
        hear(model, c);
    else if (c->waits && draw(model, 10) == 0) { /* the connection is lost; it asks again */
        ms_txns_forget(model->party->txns, &c->asked.request);
        c->waits = c->asked.answers > 0;
        model->lost++;
    } else if (!c->waits && c->sent != NOTHING) {
        send(model, c);
    } else if (!c->waits && draw(model, 40) == 0) { /* a new process */
        c->life = NEW;
        c->expects = false;
    } else if (!c->waits) {
        go_on(model, c);
    }
}

/* ---- the world ---- */

static void kill_server(struct model *model) {
    struct party *party = model->party;
    model->kills++;
    ms_txns_stop(party->txns);
    fake_crash(&party->log, draw(model, party->log.held_count + 1));
    ms_txns_free(party->txns);
    for (unsigned i = 0; i < CLIENTS; i++) /* no answer reaches anyone */
        model->clients[i].waits = false;
    party->log.failure = 0;
    bool hold = party->log.hold;
    party->log.hold = false;
    party_reload(party);
    party->log.hold = hold;
}

static void step_world(struct model *model) {
    struct party *party = model->party;
    switch (draw(model, 40)) {
    case 0:
        party->log.failure = MS_ENOSPC;
        break;
    case 1:
    case 2:
    case 3:
        party->log.failure = 0;
        break;
    case 4:
        party_advance(party, (int64_t)draw(model, TIMEOUT_MS));
        break;
    case 5:
        if (draw(model, 5) == 0)
            kill_server(model);
        break;
    default:
        if (party->log.held_count > 0 && draw(model, 2) == 0)
            fake_finish(&party->log, 0, 0);
        party_advance(party, 10);
    }
}

static void run_world(uint64_t seed) {
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    struct party *party = model->party = party_new();
    ms_random_seeded_init(&party->random, seed);
    party->log.hold = true;
    party->log.on_end = on_end;
    party->log.end_context = model;
    for (unsigned i = 0; i < IDS; i++)
        model->newest[i] = MS_TXN_NO_PRODUCER;
    for (unsigned i = 0; i < CLIENTS; i++)
        model->clients[i] = (struct client){.id = i % IDS, .is_new = draw(model, 2) == 0};
    for (unsigned i = 0; i < STEPS; i++) {
        step_world(model);
        /* Those with low numbers run more often: the others wake as zombies. */
        step_client(model, &model->clients[draw(model, draw(model, CLIENTS) + 1)]);
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        if (model->clients[i].waits)
            ms_txns_forget(party->txns, &model->clients[i].asked.request);
    party->log.failure = 0;
    fake_finish_all(&party->log, 0);
    party->log.hold = false;
    party_advance(party, TIMEOUT_MS + 2000);
    party_advance(party, 2000);
    for (size_t i = 0; i < model->txn_count; i++)
        check_txn(model, i);
    for (size_t i = 0; i < model->record_count; i++)
        assert_int_not_equal(model->records[i].fate, PENDING); /* nothing hangs */
    assert_true(model->committed > 0 && model->aborted > 0 && model->fenced > 0);
    assert_int_equal(party_stats(party).open, 0);
    party_free(party);
    free(model);
}

static void transactions_keep_their_promises(void **state) {
    (void)state;
    uint64_t seeds = world_setting("MS_TXN_SEEDS", 200);
    for (uint64_t seed = 1; seed <= seeds; seed++)
        run_world(seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(transactions_keep_their_promises)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
