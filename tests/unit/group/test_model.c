/*
 * Consumers that join, sync, commit, crash, leave and come back at random, over a log whose appends
 * complete late, out of order or not at all, with restarts in between. Checked at each step (G9):
 *
 *   one owner     of each partition and generation, among those who were told their assignment
 *   no stragglers a commit of an older generation is refused
 *   no way back   a committed offset never falls (nobody resets here)
 *   one answer    for every request, unless it was forgotten
 *
 * MS_GROUP_SEEDS says how many worlds there are.
 */
#include "group_fixture.h"
#include "group/table.h"
#include "support/world.h"

#define CONSUMERS 6u
#define PARTITIONS 5u
#define STEPS 1500u

enum life { AWAY, JOINING, JOINED, SYNCING, OWNING };

struct consumer {
    struct ms_group_join join;
    struct ms_group_sync sync;
    struct committing commit;
    struct model *model;
    enum life life;
    bool is_static;
    bool committing;
    int64_t committing_offset;
    char id[ID_MAX], instance[8], leader[ID_MAX];
    char members[CONSUMERS + 2][ID_MAX];
    size_t member_count;
    int32_t generation;
    uint32_t owned; /* bits of partitions */
    uint64_t sent, answered, forgotten;
};

struct model {
    struct party *party;
    struct consumer consumers[CONSUMERS];
    int64_t committed[PARTITIONS]; /* acknowledged; offsets only rise */
    int64_t attempted[PARTITIONS];
    int32_t owners_generation;
    char owners[PARTITIONS][ID_MAX]; /* of that generation */
    uint64_t handed_out, refused;
};

static uint64_t draw(struct model *model, uint64_t below) {
    return ms_random_below(&model->party->random.random, below);
}

/* ---- what a consumer hears ---- */

static void on_joined(struct ms_group_join *join, const struct ms_group_join_answer *answer) {
    struct consumer *c = join->context;
    c->answered++;
    c->life = AWAY;
    if (answer->member_id.len > 0)
        keep(c->id, answer->member_id);
    if (answer->code == MS_GROUP_UNKNOWN_MEMBER || answer->code == MS_GROUP_FENCED_INSTANCE)
        c->id[0] = '\0';
    if (answer->code != MS_GROUP_OK)
        return;
    assert_int_not_equal(strlen(c->id), 0);
    c->life = JOINED;
    c->generation = answer->generation;
    keep(c->leader, answer->leader_id);
    c->member_count = answer->member_count;
    assert_true(c->member_count <= CONSUMERS + 2);
    for (size_t i = 0; i < c->member_count; i++)
        keep(c->members[i], answer->members[i].member_id);
}

static void take_ownership(struct consumer *c, uint32_t partitions) {
    struct model *model = c->model;
    if (c->generation > model->owners_generation) {
        model->owners_generation = c->generation;
        memset(model->owners, 0, sizeof model->owners);
    }
    if (c->generation < model->owners_generation)
        return; /* told late: it finds out at its next heartbeat */
    for (size_t p = 0; p < PARTITIONS; p++) {
        if ((partitions & 1u << p) == 0)
            continue;
        /* Its own, or a former self's: a static member keeps what it had. */
        bool own = model->owners[p][0] == '\0' || strcmp(model->owners[p], c->id) == 0 ||
                   (c->is_static && strncmp(model->owners[p], c->instance, 2) == 0);
        assert_true(own);
        memcpy(model->owners[p], c->id, ID_MAX);
        model->handed_out++;
    }
}

static void on_synced(struct ms_group_sync *sync, const struct ms_group_sync_answer *answer) {
    struct consumer *c = sync->context;
    c->answered++;
    c->life = AWAY;
    if (answer->code == MS_GROUP_UNKNOWN_MEMBER || answer->code == MS_GROUP_FENCED_INSTANCE)
        c->id[0] = '\0';
    if (answer->code != MS_GROUP_OK)
        return;
    c->life = OWNING;
    c->owned = 0;
    for (size_t i = 0; i < answer->assignment.len; i++)
        c->owned |= 1u << answer->assignment.data[i];
    take_ownership(c, c->owned);
}

static void on_committed(struct ms_group_commit *commit, enum ms_group_code code) {
    struct committing *pending = commit->context;
    struct consumer *c = MS_CONTAINER(pending, struct consumer, commit);
    c->answered++;
    c->committing = false;
    size_t p = (size_t)pending->offset.partition;
    if (code == MS_GROUP_OK && c->committing_offset > c->model->committed[p])
        c->model->committed[p] = c->committing_offset;
    c->model->refused += code == MS_GROUP_ILLEGAL_GENERATION;
}

/* ---- what it does ---- */

static void join(struct consumer *c) {
    struct model *model = c->model;
    static const struct ms_group_protocol protocol = {{(const uint8_t *)"range", 5}, {0}};
    c->join = (struct ms_group_join){.group = TEXT("g"),
                                     .member_id = ms_bytes_cstr(c->id),
                                     .client_id = TEXT("c"),
                                     .protocol_type = TEXT("consumer"),
                                     .protocols = &protocol,
                                     .protocol_count = 1,
                                     .session_timeout_ms = 10000,
                                     .rebalance_timeout_ms = 15000,
                                     .require_member_id = draw(model, 2) == 0,
                                     .can_skip_assignment = draw(model, 2) == 0,
                                     .done = on_joined,
                                     .context = c};
    if (c->is_static)
        c->join.instance_id = ms_bytes_cstr(c->instance);
    c->life = JOINING;
    c->sent++;
    ms_groups_join(model->party->groups, &c->join);
}

static struct ms_group_identity identity_of(const struct consumer *c) {
    struct ms_group_identity who = {
        .group = TEXT("g"), .member_id = ms_bytes_cstr(c->id), .generation = c->generation};
    if (c->is_static)
        who.instance_id = ms_bytes_cstr(c->instance);
    return who;
}

static void sync(struct consumer *c) {
    struct ms_group_assignment assignments[CONSUMERS + 2];
    uint8_t partitions[CONSUMERS + 2][PARTITIONS];
    size_t counts[CONSUMERS + 2] = {0}, count = 0;
    if (strcmp(c->leader, c->id) == 0)
        count = c->member_count;
    for (uint8_t p = 0; count > 0 && p < PARTITIONS; p++) {
        size_t m = (p + (size_t)c->generation) % count;
        partitions[m][counts[m]++] = p;
    }
    for (size_t i = 0; i < count; i++)
        assignments[i] =
            (struct ms_group_assignment){ms_bytes_cstr(c->members[i]), {partitions[i], counts[i]}};
    struct ms_group_identity who = identity_of(c);
    c->sync = (struct ms_group_sync){.group = who.group,
                                     .member_id = who.member_id,
                                     .instance_id = who.instance_id,
                                     .generation = who.generation,
                                     .assignments = assignments,
                                     .assignment_count = count,
                                     .done = on_synced,
                                     .context = c};
    c->life = SYNCING;
    c->sent++;
    ms_groups_sync(c->model->party->groups, &c->sync);
}

/* By an owner, or by one who lost its partition and doesn't know yet: that one must be refused. */
static void commit(struct consumer *c) {
    struct model *model = c->model;
    size_t p = draw(model, PARTITIONS);
    if (c->committing || (c->owned & 1u << p) == 0)
        return;
    int32_t now = party_generation(model->party, "g");
    c->committing = true;
    c->committing_offset = ++model->attempted[p];
    c->commit = (struct committing){.offset = {.topic = TEXT("t"),
                                               .partition = (int32_t)p,
                                               .offset = c->committing_offset,
                                               .commit_time_ms = -1}};
    c->commit.commit = (struct ms_group_commit){.identity = identity_of(c),
                                                .offsets = &c->commit.offset,
                                                .offset_count = 1,
                                                .done = on_committed,
                                                .context = &c->commit};
    c->sent++;
    ms_groups_commit(model->party->groups, &c->commit.commit);
    if (c->generation != now) {
        assert_false(c->committing);
        assert_int_not_equal(c->commit.offset.code, MS_GROUP_OK);
    }
}

static void heartbeat(struct consumer *c) {
    struct ms_group_identity who = identity_of(c);
    enum ms_group_code code = ms_groups_heartbeat(c->model->party->groups, &who);
    if (code == MS_GROUP_OK)
        return;
    if (code == MS_GROUP_UNKNOWN_MEMBER || code == MS_GROUP_FENCED_INSTANCE)
        c->id[0] = '\0';
    if (c->life == OWNING || c->life == JOINED)
        c->life = AWAY;
}

/* Its process is gone; what it waited for is forgotten by its connection. */
static void crash(struct consumer *c) {
    struct ms_groups *groups = c->model->party->groups;
    uint64_t before = c->answered;
    if (c->life == JOINING)
        ms_groups_forget(groups, &c->join.request);
    if (c->life == SYNCING)
        ms_groups_forget(groups, &c->sync.request);
    c->forgotten += c->life == JOINING || c->life == SYNCING;
    if (c->committing) {
        ms_groups_forget(groups, &c->commit.commit.request);
        c->forgotten++;
        c->committing = false;
    }
    assert_int_equal(c->answered, before);
    c->life = AWAY;
    c->id[0] = '\0';
    c->owned = 0;
}

static void leave(struct consumer *c) {
    struct ms_group_identity who = identity_of(c);
    struct ms_group_leaver leaver = {who.member_id, who.instance_id, MS_GROUP_OK};
    if (who.member_id.len > 0)
        (void)ms_groups_leave(c->model->party->groups, TEXT("g"), &leaver, 1);
    if (c->life == OWNING || c->life == JOINED || c->life == AWAY) {
        c->life = AWAY;
        c->id[0] = '\0';
    }
}

static void act(struct consumer *c) {
    switch (draw(c->model, 40)) {
    case 0:
        crash(c);
        return;
    case 1:
        leave(c);
        return;
    case 2:
    case 3:
    case 4:
    case 5:
        if (c->id[0] != '\0')
            heartbeat(c);
        return;
    }
    if (c->life == AWAY)
        join(c);
    else if (c->life == JOINED)
        sync(c);
    else if (c->life == OWNING)
        commit(c);
}

/* ---- the world ---- */

static void finish_some(struct model *model) {
    struct fake_log *log = &model->party->log;
    while (log->held_count > 0 && draw(model, 3) != 0)
        fake_log_finish(log, draw(model, log->held_count), draw(model, 20) == 0 ? MS_ENOSPC : 0);
}

static void check_offsets(struct model *model) {
    for (size_t p = 0; p < PARTITIONS; p++) {
        int64_t offset = fetch_offset(model->party, "g", "t", (int32_t)p);
        assert_true(offset >= model->committed[p] || model->committed[p] == 0);
        assert_true(offset <= model->attempted[p]);
        if (offset > 0) /* seen is as good as acknowledged */
            model->committed[p] = offset;
    }
}

static void settle_answers(struct model *model) {
    for (size_t i = 0; i < CONSUMERS; i++) {
        struct consumer *c = &model->consumers[i];
        assert_int_equal(c->sent, c->answered + c->forgotten);
        assert_false(c->committing);
    }
}

static void restart(struct model *model) {
    party_close(model->party); /* which answers everything */
    settle_answers(model);
    party_reload(model->party);
    check_offsets(model);
}

/* How many commits were refused for their generation. */
static uint64_t run(uint64_t seed) {
    struct ms_groups_options options = {.initial_rebalance_delay_ms = 500};
    struct party *party = party_new_with(&options);
    ms_random_seeded_init(&party->random, seed);
    party->log.hold = true;
    struct model *model = ms_calloc(1, sizeof *model);
    assert_non_null(model);
    model->party = party;
    for (size_t i = 0; i < CONSUMERS; i++) {
        struct consumer *c = &model->consumers[i];
        c->model = model;
        c->is_static = i % 3 == 0;
        (void)snprintf(c->instance, sizeof c->instance, "%zu-", i);
    }
    for (size_t step = 0; step < STEPS; step++) {
        act(&model->consumers[draw(model, CONSUMERS)]);
        finish_some(model);
        if (draw(model, 3) == 0)
            party_advance(party, (int64_t)draw(model, 1500));
        if (draw(model, 300) == 0)
            restart(model);
        check_offsets(model);
    }
    party_close(party);
    settle_answers(model);
    assert_true(model->handed_out > 20);
    uint64_t refused = model->refused;
    ms_free(model);
    party_free(party);
    return refused;
}

static void groups_keep_their_promises(void **state) {
    (void)state;
    uint64_t seeds = world_setting("MS_GROUP_SEEDS", 200), refused = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++)
        refused += run(seed);
    assert_true(refused > 0 || seeds < 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_keep_their_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
