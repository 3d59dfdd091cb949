/* Power cuts under what Kafka's clients do, simulated: produced batches, transactions over two
 * partitions with offsets of groups in them, aborts, producers that fence their predecessors, and
 * plain commits. The power is cut at every mutating operation of a script, with every kind of loss,
 * and again on what was left. After each: acknowledged batches are there at their offsets, each
 * record once; transactions are visible whole or not at all; offsets of groups are those of visible
 * transactions, neither ahead nor behind (G1, G2, G5, G9, G15).
 *
 *   MS_SIM_SEEDS   a sixth of it is how many scripts are cut by chance (default 12)
 *   MS_CUT_STEP    every so many operations are cut (default 1)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>

#include "store/produce_world.h"
#include "txn/service.h"

#define PARTITIONS 2u
#define IDS 2u
#define SENT_MAX 1000u
#define TXNS_MAX 400u
#define BURST_MAX 8u
#define VALUE_BYTES_MAX 60000u
#define TIMEOUT_MS 60000

enum fate { ASKED, THERE, GONE };

struct sent {
    uint32_t partition;
    int txn; /* -1: none */
    enum fate fate;
    int64_t offset;
    unsigned raw, visible; /* how often it was found by the check */
};

enum outcome { OPEN, ASKED_TO_COMMIT, COMMITTED, HIDDEN };

struct txn {
    unsigned id;
    bool begun; /* and the client knows it */
    enum outcome outcome;
    int64_t offset; /* of its group; -1: none */
};

struct client {
    struct ms_txn_producer producer;
    int32_t sequences[PARTITIONS];
    int txn;     /* open; -1: none */
    bool aborts; /* all that it still wants of it */
    int64_t next_offset;
};

struct power {
    struct store_world w;
    struct ms_txn_service *txn_service;
    struct ms_group_service *group_service;
    struct ms_topic *topic;
    struct ms_random_seeded random;
    struct sent sent[SENT_MAX];
    struct txn txns[TXNS_MAX];
    size_t sent_count, txn_count;
    struct client clients[IDS];
    struct store_answer answers[BURST_MAX];
    size_t burst; /* of sent, the last ones: not waited for yet */
    int64_t plain_committed, plain_asked;
    char value[VALUE_BYTES_MAX];
};

static const char *const ids[IDS] = {"x", "y"};
static const char *const groups[IDS] = {"g-x", "g-y"};
static const char plain_group[] = "plain";

static uint64_t roll(struct power *p, uint64_t sides) {
    return ms_random_below(&p->random.random, sides);
}

/* ---- the server ---- */

static int start_services(struct power *p) {
    struct ms_txns_options txn_options = {.env = &p->w.env};
    struct ms_groups_options group_options = {.env = &p->w.env};
    int rc = ms_txn_service_new(p->w.store, &txn_options, &p->txn_service, &p->w.error);
    if (rc != 0)
        return rc;
    struct ms_group_txns txns = ms_txn_service_group_txns(p->txn_service);
    rc = ms_group_service_start(p->w.store, &group_options, &txns, &p->group_service, &p->w.error);
    return rc != 0 ? rc
                   : ms_txn_service_start(p->txn_service, ms_group_service_groups(p->group_service),
                                          &p->w.error);
}

static int start(struct power *p) {
    struct ms_topic_settings settings;
    bool created;
    int rc = store_world_open(&p->w);
    if (rc != 0)
        return rc;
    settings = plain(&p->w, PARTITIONS);
    rc = ms_store_put_topic(p->w.store, MS_BYTES_LITERAL("t"), &settings, &created, &p->w.error);
    p->topic = ms_store_topic(p->w.store, MS_BYTES_LITERAL("t"), false);
    return rc != 0 ? rc : start_services(p);
}

static void stop(struct power *p) {
    ms_txn_service_stop(p->txn_service);
    if (p->group_service != NULL)
        ms_group_service_stop(p->group_service);
    if (p->w.store != NULL)
        ms_store_run(p->w.store); /* nothing is in flight afterwards */
    ms_txn_service_free(p->txn_service);
    ms_group_service_free(p->group_service);
    p->txn_service = NULL;
    p->group_service = NULL;
    ms_ignore(store_world_close(&p->w));
}

/* At the latest when the store is being closed. */
static void cut(struct power *p, enum ms_sim_cut how) {
    if (!ms_vfs_sim_is_cut(p->w.world.sim))
        ms_vfs_sim_cut_at(p->w.world.sim, 1);
    stop(p);
    ms_vfs_sim_cut(p->w.world.sim, how);
}

/* ---- requests: true when they went well; false only when the power is gone ---- */

static bool went(struct power *p, bool well, const char *what) {
    if (!well && !ms_vfs_sim_is_cut(p->w.world.sim))
        fail_msg("%s failed, and there is power", what);
    return well;
}

struct asked {
    struct ms_txn_request request;
    atomic_bool done;
};

static void on_answer(struct ms_txn_request *request) {
    struct asked *asked = request->context;
    atomic_store(&asked->done, true);
}

static struct ms_txn_request *ask(struct asked *asked) {
    *asked = (struct asked){.request = {.done = on_answer, .context = asked}};
    return &asked->request;
}

/* The coordinators have threads of their own for what follows from an append. */
static void run_until(struct power *p, atomic_bool *done) {
    while (!atomic_load(done)) {
        ms_store_run(p->w.store);
        (void)sched_yield();
    }
}

static bool answered(struct power *p, struct asked *asked, const char *what) {
    run_until(p, &asked->done);
    return went(p, asked->request.code == MS_TXN_OK, what);
}

static struct ms_txn_identity who(const struct power *p, unsigned id) {
    return (struct ms_txn_identity){ms_bytes_cstr(ids[id]), p->clients[id].producer};
}

static struct ms_txns *txns_of(struct power *p) { return ms_txn_service_txns(p->txn_service); }

static bool init(struct power *p, unsigned id) {
    struct asked asked;
    struct client *client = &p->clients[id];
    struct ms_txn_init init = {true, ms_bytes_cstr(ids[id]), TIMEOUT_MS, MS_TXN_NO_PRODUCER};
    ms_txns_init(txns_of(p), &init, ask(&asked));
    if (client->txn >= 0) /* aborted, sooner or later */
        p->txns[client->txn].outcome = HIDDEN;
    client->txn = -1;
    client->aborts = false;
    if (!answered(p, &asked, "InitProducerId"))
        return false;
    client->producer = asked.request.producer;
    memset(client->sequences, 0, sizeof client->sequences);
    return true;
}

static bool begin(struct power *p, unsigned id) {
    struct asked asked;
    struct ms_txn_identity identity = who(p, id);
    const struct ms_txn_partition_name names[] = {{MS_BYTES_LITERAL("t"), 0},
                                                  {MS_BYTES_LITERAL("t"), 1}};
    assert_true(p->txn_count < TXNS_MAX);
    p->clients[id].txn = (int)p->txn_count;
    p->txns[p->txn_count++] = (struct txn){.id = id, .outcome = OPEN, .offset = -1};
    ms_txns_add_partitions(txns_of(p), &identity, names, PARTITIONS, ask(&asked));
    p->txns[p->txn_count - 1].begun = answered(p, &asked, "AddPartitionsToTxn");
    return p->txns[p->txn_count - 1].begun;
}

/* Old clients say it in a request, new ones with the offsets. */
static bool begin_offsets(struct power *p, unsigned id) {
    struct asked asked;
    struct ms_txn_identity identity = who(p, id);
    if (roll(p, 2) == 0)
        return went(p, ms_txns_begin_offsets(txns_of(p), &identity, true) == MS_TXN_OK, "offsets");
    ms_txns_add_offsets(txns_of(p), &identity, ask(&asked));
    return answered(p, &asked, "AddOffsetsToTxn");
}

static bool end(struct power *p, unsigned id, bool commit) {
    struct asked asked;
    struct ms_txn_identity identity = who(p, id);
    struct client *client = &p->clients[id];
    struct txn *txn = &p->txns[client->txn];
    bool bumps = roll(p, 2) == 0;
    txn->outcome = commit ? ASKED_TO_COMMIT : HIDDEN;
    ms_txns_end(txns_of(p), &identity, commit, bumps, ask(&asked));
    if (!answered(p, &asked, "EndTxn"))
        return false;
    txn->outcome = commit ? COMMITTED : HIDDEN;
    client->txn = -1;
    if (bumps) {
        client->producer = asked.request.producer;
        memset(client->sequences, 0, sizeof client->sequences);
    }
    return true;
}

/* ---- records: a value is its number in `sent`, and dots ---- */

static void encode_record(struct power *p, struct ms_buf *out, const struct sent *sent) {
    struct ms_batch_writer writer;
    int64_t time_ms = WORLD_START_US / 1000;
    size_t len = roll(p, 10) == 0 ? VALUE_BYTES_MAX : 20 + roll(p, 2000);
    memset(p->value, '.', len);
    int digits = snprintf(p->value, len, "%zu", (size_t)(sent - p->sent));
    p->value[digits] = ' ';
    struct ms_bytes value = ms_bytes_of(p->value, len);
    assert_int_equal(ms_batch_begin(&writer, out, MS_CODEC_NONE, time_ms), 0);
    if (sent->txn >= 0) {
        struct client *client = &p->clients[p->txns[sent->txn].id];
        writer.producer_id = client->producer.id;
        writer.producer_epoch = client->producer.epoch;
        writer.base_sequence = client->sequences[sent->partition]++;
        writer.attributes |= MS_BATCH_TRANSACTIONAL;
    }
    assert_int_equal(ms_batch_add(&writer, time_ms, NULL, &value, NULL, 0), 0);
    assert_int_equal(ms_batch_end(&writer), 0);
}

/* Answered by finish_burst. */
static void send(struct power *p, int txn) {
    assert_true(p->sent_count < SENT_MAX && p->burst < BURST_MAX);
    struct sent *sent = &p->sent[p->sent_count++];
    struct store_answer *answer = &p->answers[p->burst++];
    struct ms_buf batch;
    int32_t index;
    *sent = (struct sent){.partition = (uint32_t)roll(p, PARTITIONS), .txn = txn};
    ms_buf_init(&batch, 1 << 20);
    encode_record(p, &batch, sent);
    struct ms_produce_request request = {
        .topic = p->topic, .partition = sent->partition, .batch = ms_buf_bytes(&batch)};
    *answer = (struct store_answer){0};
    answer->refused =
        ms_store_produce(p->w.store, &request, store_answer_take, answer, &index, &answer->error);
    ms_buf_deinit(&batch);
}

static bool finish_burst(struct power *p) {
    bool well = true;
    for (size_t i = 0; i < p->burst; i++) {
        struct sent *sent = &p->sent[p->sent_count - p->burst + i];
        struct store_answer *answer = &p->answers[i];
        store_wait(&p->w, answer);
        well &= answer->code == 0;
        if (answer->code == 0) {
            sent->fate = THERE;
            sent->offset = answer->parts[0].first_offset;
        }
    }
    p->burst = 0;
    return went(p, well, "Produce");
}

/* ---- offsets ---- */

struct committing {
    struct ms_group_commit commit;
    atomic_bool done;
};

static void on_committed(struct ms_group_commit *commit, enum ms_group_code code) {
    struct committing *committing = commit->context;
    (void)code;
    atomic_store(&committing->done, true);
}

/* In the client's transaction; NULL: in none. */
static bool commit_offset(struct power *p, const char *group, const struct client *client,
                          int64_t offset) {
    struct ms_group_offset asked = {
        .topic = MS_BYTES_LITERAL("t"), .offset = offset, .leader_epoch = -1, .commit_time_ms = -1};
    struct committing committing = {
        .commit = {.identity = {.group = ms_bytes_cstr(group), .generation = -1},
                   .offsets = &asked,
                   .offset_count = 1,
                   .retention_ms = -1,
                   .done = on_committed}};
    struct ms_groups *all = ms_group_service_groups(p->group_service);
    committing.commit.context = &committing;
    if (client != NULL) {
        committing.commit.producer_id = client->producer.id;
        committing.commit.producer_epoch = client->producer.epoch;
        ms_groups_txn_commit(all, &committing.commit);
    } else {
        ms_groups_commit(all, &committing.commit);
    }
    run_until(p, &committing.done);
    return went(p, asked.code == MS_GROUP_OK, "a commit of offsets");
}

static bool commit_plainly(struct power *p) {
    if (!commit_offset(p, plain_group, NULL, ++p->plain_asked))
        return false;
    p->plain_committed = p->plain_asked;
    return true;
}

static int64_t offset_of(struct power *p, const char *group) {
    struct ms_arena arena;
    struct ms_group_offset offset = {.topic = MS_BYTES_LITERAL("t")};
    ms_arena_init(&arena, 1 << 16);
    assert_int_equal(ms_groups_fetch(ms_group_service_groups(p->group_service),
                                     ms_bytes_cstr(group), false, &arena, &offset, 1),
                     MS_GROUP_OK);
    assert_int_equal(offset.code, MS_GROUP_OK);
    ms_arena_deinit(&arena);
    return offset.offset;
}

/* ---- the script ---- */

static bool produce_both(struct power *p, int txn) {
    for (uint64_t i = 1 + roll(p, 3); i > 0; i--)
        send(p, txn);
    for (uint64_t i = roll(p, 3); i > 0; i--)
        send(p, -1);
    return finish_burst(p);
}

/* A transaction that was left open is ended by its client, which may have outlived the server, or
 * by the next producer of its id. */
static bool transact(struct power *p, unsigned id) {
    struct client *client = &p->clients[id];
    if (client->aborts)
        return end(p, id, false) && init(p, id);
    if (client->txn >= 0 && roll(p, 2) == 0)
        return produce_both(p, client->txn) && end(p, id, roll(p, 3) > 0);
    if ((client->producer.id < 0 || client->txn >= 0) && !init(p, id))
        return false;
    if (!begin(p, id) || !produce_both(p, client->txn))
        return false;
    if (roll(p, 3) > 0) {
        int64_t offset = ++client->next_offset;
        if (!begin_offsets(p, id) || !commit_offset(p, groups[id], client, offset))
            return false;
        p->txns[client->txn].offset = offset;
    }
    return roll(p, 4) == 0 || end(p, id, roll(p, 3) > 0);
}

/* A client that got no answer aborts the transaction that it had begun, if it has not asked for its
 * end; else there is a new client. */
static bool transact_or_give_up(struct power *p, unsigned id) {
    struct client *client = &p->clients[id];
    bool well = transact(p, id);
    if (well)
        return true;
    client->aborts =
        client->txn >= 0 && p->txns[client->txn].begun && p->txns[client->txn].outcome == OPEN;
    if (!client->aborts) {
        client->producer = MS_TXN_NO_PRODUCER;
        client->txn = -1;
    }
    return false;
}

static bool play(struct power *p, unsigned rounds) {
    bool on = true;
    for (unsigned i = 0; on && i < rounds; i++)
        on = transact_or_give_up(p, (unsigned)roll(p, IDS)) &&
             (roll(p, 2) == 0 || commit_plainly(p));
    return on;
}

/* ---- the check ---- */

static struct sent *find(struct power *p, struct ms_bytes value) {
    uint64_t number = SENT_MAX;
    const uint8_t *space = memchr(value.data, ' ', value.len);
    if (space == NULL ||
        ms_parse_u64(ms_bytes_of(value.data, (size_t)(space - value.data)), &number) != 0 ||
        number >= p->sent_count)
        fail_msg("nobody has sent %.20s", (const char *)value.data);
    return &p->sent[number];
}

static int see_event(void *context, const struct ms_read_event *event) {
    struct power *p = context;
    find(p, event->event.data)->visible++;
    return 0;
}

static void see_batch(struct power *p, uint32_t partition, struct ms_batch_reader *batch) {
    struct ms_record record;
    if (batch->header.attributes & MS_BATCH_CONTROL)
        return;
    while (ms_batch_reader_next(batch, &record, NULL) > 0) {
        struct sent *sent = find(p, record.value);
        assert_int_equal(sent->partition, partition);
        sent->raw++;
        if (sent->fate == THERE)
            assert_int_equal(sent->offset, record.offset);
        sent->offset = record.offset;
    }
}

static void see_partition(struct power *p, uint32_t partition) {
    struct ms_partition_reader *reader;
    struct ms_slice_list slices = {0};
    struct ms_partition_read read = {.topic = p->topic,
                                     .partition = partition,
                                     .bytes_max = (size_t)64 << 20,
                                     .oversized = true};
    struct ms_partition_read_result result;
    struct ms_batch_reader batch = {0};
    assert_int_equal(ms_partition_reader_new(p->w.store, &reader), 0);
    assert_int_equal(ms_store_read_partition(reader, &read, &slices, &result, &p->w.error), 0);
    assert_false(result.more);
    for (size_t i = 0; i < slices.count; i++) {
        struct ms_bytes left = slices.items[i].bytes;
        while (left.len > 0) {
            assert_int_equal(ms_batch_reader_init(&batch, left, 1 << 20, NULL), 0);
            see_batch(p, partition, &batch);
            left = ms_bytes_of(left.data + batch.header.length, left.len - batch.header.length);
        }
    }
    ms_batch_reader_deinit(&batch);
    ms_slice_list_deinit(&slices);
    ms_partition_reader_free(reader);
}

static void look(struct power *p) {
    struct ms_bytes topic_name = MS_BYTES_LITERAL("t");
    struct ms_all_read read = {.limit = SIZE_MAX,
                               .filter = {.topics = &topic_name, .topic_count = 1}};
    struct ms_all_read_result result;
    for (size_t i = 0; i < p->sent_count; i++)
        p->sent[i].raw = p->sent[i].visible = 0;
    for (uint32_t partition = 0; partition < PARTITIONS; partition++)
        see_partition(p, partition);
    assert_int_equal(ms_store_read_all(p->w.store, &read, see_event, p, &result, &p->w.error), 0);
}

static void check_records(struct power *p) {
    for (size_t i = 0; i < p->sent_count; i++) {
        struct sent *sent = &p->sent[i];
        if (sent->raw > 1 || sent->visible > 1)
            fail_msg("record %zu is there twice", i);
        if (sent->fate == THERE && sent->raw == 0)
            fail_msg("record %zu was acknowledged, or seen, and is gone", i);
        if (sent->fate == GONE && sent->raw > 0)
            fail_msg("record %zu was gone, and is back", i);
        if (sent->txn < 0 && sent->visible != sent->raw)
            fail_msg("record %zu is hidden, and belongs to no transaction", i);
        sent->fate = sent->raw > 0 ? THERE : GONE;
    }
}

/* Outcomes that were not known are, afterwards. */
static void check_transactions(struct power *p) {
    for (size_t t = 0; t < p->txn_count; t++) {
        struct txn *txn = &p->txns[t];
        unsigned all = 0, visible = 0;
        for (size_t i = 0; i < p->sent_count; i++) {
            all += p->sent[i].txn == (int)t;
            visible += p->sent[i].txn == (int)t && p->sent[i].visible > 0;
        }
        if (visible > 0 && visible < all)
            fail_msg("transaction %zu is torn: %u of %u", t, visible, all);
        if (visible > 0 && txn->outcome != COMMITTED && txn->outcome != ASKED_TO_COMMIT)
            fail_msg("transaction %zu was never to be committed, and is visible", t);
        if (visible == 0 && txn->outcome == COMMITTED)
            fail_msg("transaction %zu was committed, and is not visible", t);
        if (txn->outcome == ASKED_TO_COMMIT)
            txn->outcome = visible > 0 ? COMMITTED : HIDDEN;
    }
}

static void check_offsets(struct power *p) {
    int64_t wanted[IDS] = {-1, -1};
    for (size_t t = 0; t < p->txn_count; t++)
        if (p->txns[t].outcome == COMMITTED && p->txns[t].offset >= 0)
            wanted[p->txns[t].id] = p->txns[t].offset;
    for (unsigned i = 0; i < IDS; i++)
        assert_int_equal(offset_of(p, groups[i]), wanted[i]);
    int64_t plain = offset_of(p, plain_group);
    assert_in_range(plain + 1, p->plain_committed + 1, p->plain_asked + 1);
    p->plain_committed = p->plain_asked = plain;
}

static void restart(struct power *p, const char *what, uint64_t n) {
    if (start(p) != 0)
        fail_msg("%s, cut at %llu: no start: %s", what, (unsigned long long)n, p->w.error.message);
    look(p);
    check_records(p);
    check_transactions(p);
    check_offsets(p);
}

/* No reader waits for a transaction any more. */
static void check_ends(struct power *p) {
    for (uint32_t partition = 0; partition < PARTITIONS; partition++) {
        struct ms_partition_state state;
        assert_int_equal(ms_store_partition_state(p->w.store, p->topic, partition, &state), 0);
        assert_int_equal(state.stable_offset, state.end_offset);
    }
}

/* ---- cuts ---- */

/* What was read after a cut is still there after another one that comes at once. */
static void cut_twice_and_go_on(struct power *p, enum ms_sim_cut how, const char *what,
                                uint64_t n) {
    cut(p, how);
    restart(p, what, n);
    cut(p, MS_SIM_CUT_LOSE_ALL);
    restart(p, what, n);
    assert_true(play(p, 3));
    assert_true(init(p, 0) && init(p, 1));
    check_ends(p);
    cut(p, how);
    restart(p, what, n);
    check_ends(p);
    stop(p);
    restart(p, what, n);
}

static bool play_and_cut(uint64_t n, uint64_t seed, enum ms_sim_cut how, const char *what) {
    static struct power p;
    p = (struct power){.plain_committed = -1, .plain_asked = -1};
    for (unsigned i = 0; i < IDS; i++)
        p.clients[i] = (struct client){.producer = MS_TXN_NO_PRODUCER, .txn = -1};
    store_world_init(&p.w, n * 1000 + seed);
    ms_random_seeded_init(&p.random, seed);
    ms_vfs_sim_cut_at(p.w.world.sim, n);
    if (start(&p) == 0)
        (void)play(&p, 8);
    bool was_cut = ms_vfs_sim_is_cut(p.w.world.sim);
    cut_twice_and_go_on(&p, how, what, n);
    stop(&p);
    store_world_deinit(&p.w);
    return was_cut;
}

static void cut_everywhere(enum ms_sim_cut how, const char *what, uint64_t seeds) {
    uint64_t step = world_setting("MS_CUT_STEP", 1);
    for (uint64_t seed = 1; seed <= seeds; seed++)
        for (uint64_t n = 1; play_and_cut(n, seed, how, what); n += step)
            continue;
}

static void cuts_that_lose_everything(void **state) {
    (void)state;
    cut_everywhere(MS_SIM_CUT_LOSE_ALL, "all lost", 1);
}

static void cuts_that_keep_everything(void **state) {
    (void)state;
    cut_everywhere(MS_SIM_CUT_KEEP_ALL, "all kept", 1);
}

static void cuts_that_keep_what_chance_keeps(void **state) {
    (void)state;
    cut_everywhere(MS_SIM_CUT_RANDOM, "by chance", (world_setting("MS_SIM_SEEDS", 12) + 5) / 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_that_lose_everything),
        cmocka_unit_test(cuts_that_keep_everything),
        cmocka_unit_test(cuts_that_keep_what_chance_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
