/*
 * Random members that join, leave, crash, come back, are slow to let go, over topics that grow and
 * are deleted, writes that fail and restarts. Whatever happens: a partition is worked on by one
 * member at most; epochs of a member only rise; who is at another epoch doesn't commit. When all is
 * quiet, everything is assigned, evenly, and nothing changes any more.
 */
#include "consumer_fixture.h"

#define EATERS 6u
#define SLOW_STEPS_MAX 5u

struct model {
    struct feast *feast;
    uint64_t random;
    struct eater eaters[EATERS];
    bool alive[EATERS], member[EATERS];
    unsigned slow_steps[EATERS];
    unsigned names; /* of ids so far */
};

static uint32_t draw(struct model *model, uint32_t below) {
    model->random = model->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(model->random >> 33) % below;
}

static const char *const instances[EATERS] = {"one", "two", NULL, NULL, NULL, NULL};
static const char *const topic_names[] = {"t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"};

static void check(struct model *model) {
    struct eater *all[EATERS];
    for (size_t i = 0; i < EATERS; i++)
        all[i] = &model->eaters[i];
    assert_disjoint(all, EATERS);
}

/* A process that starts: it knows its instance id and nothing else. */
static void start(struct model *model, size_t i) {
    struct eater *eater = &model->eaters[i];
    char id[ID_MAX];
    snprintf(id, sizeof id, "m%u", ++model->names);
    bool makes_id = i == EATERS - 1;
    eater_init(eater, model->feast, makes_id ? "" : id, NULL);
    eater->instance = instances[i];
    eater->makes_id = makes_id;
    eater->slow = draw(model, 3) == 0;
    eater->pattern = draw(model, 2) == 0 ? "t[0-9]" : NULL;
    for (size_t t = 0; t < 3; t++)
        if (eater->pattern == NULL)
            eater->names[eater->name_count++] = ms_bytes_cstr(topic_names[t]);
    model->alive[i] = true;
    model->member[i] = false;
}

static void crash(struct model *model, size_t i) {
    memset(model->eaters[i].owned, 0, sizeof model->eaters[i].owned);
    model->alive[i] = false;
}

/* What a client makes of the answer. */
static void heed(struct model *model, size_t i, int32_t epoch_before) {
    struct eater *eater = &model->eaters[i];
    if (eater->answered == 0)
        return;
    switch ((int)eater->code) {
    case MS_GROUP_OK:
        if (epoch_before > 0)
            assert_true(eater->epoch >= epoch_before);
        model->member[i] = true;
        break;
    case MS_GROUP_NOT_AVAILABLE:
        break; /* again */
    case MS_GROUP_UNKNOWN_MEMBER:
    case MS_GROUP_FENCED_EPOCH:
    case MS_GROUP_FENCED_INSTANCE:
    case MS_GROUP_NOT_FOUND:
    case MS_GROUP_UNRELEASED_INSTANCE:
        memset(eater->owned, 0, sizeof eater->owned);
        model->member[i] = false;
        break;
    default:
        fail_msg("code %d", (int)eater->code);
    }
}

static void hand_in(struct model *model, size_t i) {
    struct eater *eater = &model->eaters[i];
    if (!model->member[i])
        eater_join(eater);
    else if (eater->answered > 0 && eater->code == MS_GROUP_OK && draw(model, 4) > 0)
        eater_beat(eater);
    else {
        eater_prepare(eater); /* everything */
        eater_send(eater);
    }
}

static void let_go(struct model *model, size_t i) {
    if (++model->slow_steps[i] < SLOW_STEPS_MAX && draw(model, 3) > 0)
        return;
    eater_let_go(&model->eaters[i]);
    model->slow_steps[i] = 0;
}

/* Everyone who lives is heard once; the log may answer later, or fail. */
static void beat_all(struct model *model, bool disturbed) {
    struct fake_log *log = &model->feast->party->log;
    int32_t before[EATERS];
    log->hold = disturbed && draw(model, 3) == 0;
    log->failure = disturbed && draw(model, 6) == 0 ? MS_EIO : 0;
    for (size_t i = 0; i < EATERS; i++) {
        before[i] = model->member[i] ? model->eaters[i].epoch : 0;
        if (!model->alive[i])
            continue;
        let_go(model, i);
        hand_in(model, i);
        check(model);
    }
    while (log->held_count > 0) {
        fake_log_finish(log, 0, draw(model, 5) == 0 ? MS_EIO : 0);
        check(model);
    }
    log->hold = false;
    log->failure = 0;
    for (size_t i = 0; i < EATERS; i++)
        if (model->alive[i]) {
            assert_int_equal(model->eaters[i].answered, 1);
            heed(model, i, before[i]);
        }
    check(model);
}

static void change_topics(struct model *model) {
    struct fake_topics *topics = &model->feast->topics;
    uint32_t what = draw(model, 4);
    if (what == 0 && topics->count < FAKE_TOPICS_MAX)
        topic_add(topics, topic_names[topics->count], 1 + draw(model, 4));
    size_t t = draw(model, (uint32_t)topics->count);
    uint32_t partitions = topics->item[t].partitions;
    if (what == 1 && partitions > 0 && partitions < FAKE_PARTITIONS_MAX)
        topic_resize(topics, t, partitions + 1);
    if (what == 2 && draw(model, 4) == 0)
        topic_resize(topics, t, 0);
}

/* An epoch that is not the one it was told. */
static void commit_stale(struct model *model, size_t i) {
    const struct eater *eater = &model->eaters[i];
    struct ms_group_identity who = eater_identity(eater);
    if (!model->member[i] || who.generation <= 0 || eater->code != MS_GROUP_OK)
        return;
    who.generation += draw(model, 2) == 0 ? 1 : -1;
    enum ms_group_code code = commit_now(model->feast->party, who, "t0", 0, 1);
    assert_true(code == MS_GROUP_STALE_EPOCH || code == MS_GROUP_UNKNOWN_MEMBER);
}

static void disturb(struct model *model) {
    size_t i = draw(model, EATERS);
    switch (draw(model, 8)) {
    case 0:
    case 1:
        if (!model->alive[i])
            start(model, i);
        break;
    case 2:
        crash(model, i);
        break;
    case 3:
        if (model->member[i] && model->alive[i]) {
            bool back = instances[i] != NULL && draw(model, 2) == 0;
            memset(model->eaters[i].owned, 0, sizeof model->eaters[i].owned);
            eater_leave(&model->eaters[i], back ? -2 : -1);
            model->alive[i] = false;
        }
        break;
    case 4:
    case 5:
        change_topics(model);
        break;
    case 6:
        if (draw(model, 3) == 0)
            party_restart(model->feast->party);
        break;
    default:
        if (model->alive[i])
            commit_stale(model, i);
        break;
    }
}

/* Readers of a topic by its number. */
static bool reads(const struct model *model, size_t i, size_t topic) {
    if (!model->alive[i])
        return false;
    return model->eaters[i].pattern != NULL || topic < 3;
}

static void check_settled(struct model *model) {
    const struct fake_topics *topics = &model->feast->topics;
    bool anyone = false;
    for (size_t i = 0; i < EATERS; i++) {
        anyone |= model->alive[i];
        if (model->alive[i])
            assert_int_equal(model->eaters[i].epoch, feast_epoch(model->feast));
    }
    if (!anyone)
        return;
    assert_int_equal(feast_state(model->feast), MS_GROUP_STABLE);
    for (size_t t = 0; t < FAKE_TOPICS_MAX; t++)
        for (size_t p = 0; p < FAKE_PARTITIONS_MAX; p++) {
            bool there = t < topics->count && p < topics->item[t].partitions, read = false;
            size_t owners = 0, owner = 0;
            for (size_t i = 0; i < EATERS; i++) {
                read |= reads(model, i, t);
                owners += model->eaters[i].owned[t][p];
                owner = model->eaters[i].owned[t][p] ? i : owner;
            }
            assert_int_equal(owners, there && read ? 1 : 0);
            for (size_t i = 0; i < EATERS && owners > 0; i++)
                if (reads(model, i, t))
                    assert_true(eater_count(&model->eaters[owner]) <=
                                eater_count(&model->eaters[i]) + 1);
        }
}

/* Sessions of the dead end, the living come to rest. */
static void settle(struct model *model) {
    for (int i = 0; i < 20; i++) {
        party_advance(model->feast->party, 5000);
        beat_all(model, false);
    }
    for (size_t i = 0; i < EATERS; i++)
        assert_true(!model->alive[i] || model->member[i]);
    check_settled(model);
    int32_t epoch = feast_epoch(model->feast);
    size_t records = model->feast->party->log.count;
    for (int i = 0; i < 3; i++) {
        party_advance(model->feast->party, 5000);
        beat_all(model, false);
    }
    assert_int_equal(feast_epoch(model->feast), epoch);
    assert_int_equal(model->feast->party->log.count, records);
    party_restart(model->feast->party);
    beat_all(model, false);
    assert_int_equal(feast_epoch(model->feast), epoch);
    check_settled(model);
}

static void play(uint64_t seed) {
    struct model model = {.random = seed, .feast = feast_new()};
    topic_add(&model.feast->topics, topic_names[0], 4);
    topic_add(&model.feast->topics, topic_names[1], 3);
    for (size_t i = 0; i < EATERS; i++)
        eater_init(&model.eaters[i], model.feast, "nobody", NULL);
    for (int round = 0; round < 4; round++) {
        for (int step = 0; step < 40; step++) {
            for (uint32_t n = draw(&model, 3); n > 0; n--)
                disturb(&model);
            check(&model);
            party_advance(model.feast->party, draw(&model, 8000));
            beat_all(&model, true);
        }
        settle(&model);
    }
    feast_free(model.feast);
}

static void whatever_happens_a_partition_has_one_owner(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++)
        play(seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_happens_a_partition_has_one_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
