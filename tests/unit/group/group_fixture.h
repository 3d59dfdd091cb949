/* Groups over a fake log and a clock that moves when told to. The log completes appends at once,
 * when told to, or with a failure; it keeps what became durable. One thread. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "group/group.h"
#include "group/record.h"

#define TEXT(text) MS_BYTES_LITERAL(text)

/* ---- the log ---- */

struct fake_record {
    struct ms_bytes key, value; /* by malloc: memory that fails is the groups', not the log's */
    bool tombstone;
    int64_t producer_id;
};

struct fake_append {
    void (*done)(void *context, int code);
    void *context;
    size_t first, count; /* of its records */
};

#define FAKE_RECORDS_MAX 20000u
#define FAKE_APPENDS_MAX 2000u

struct fake_log {
    bool hold;   /* appends wait for fake_log_finish */
    int failure; /* of appends from now on */
    struct fake_record *records;
    size_t count;
    struct fake_append held[FAKE_APPENDS_MAX];
    size_t held_count;
};

static inline void fake_log_drop(struct fake_log *log, size_t first, size_t count) {
    for (size_t i = first; i < first + count; i++) { /* never durable: its key says nothing */
        log->records[i].key.len = 0;
        log->records[i].value.len = 0;
    }
}

static inline struct ms_bytes fake_copy(struct ms_bytes bytes) {
    uint8_t *copy = malloc(bytes.len + 1);
    assert_non_null(copy);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    return ms_bytes_of(copy, bytes.len);
}

static inline void fake_log_append(void *context, int64_t producer_id, int16_t producer_epoch,
                                   const struct ms_group_record *records, size_t count,
                                   void (*done)(void *, int), void *done_context) {
    struct fake_log *log = context;
    (void)producer_epoch;
    struct fake_append append = {done, done_context, log->count, count};
    for (size_t i = 0; i < count; i++) {
        assert_true(log->count < FAKE_RECORDS_MAX);
        struct fake_record *record = &log->records[log->count++];
        record->key = fake_copy(records[i].key);
        record->value = fake_copy(records[i].value);
        record->tombstone = records[i].tombstone;
        record->producer_id = producer_id;
    }
    if (log->hold) {
        assert_true(log->held_count < FAKE_APPENDS_MAX);
        log->held[log->held_count++] = append;
        return;
    }
    if (log->failure != 0)
        fake_log_drop(log, append.first, count);
    done(done_context, log->failure);
}

/* The held append `index` becomes durable, or fails. */
static inline void fake_log_finish(struct fake_log *log, size_t index, int code) {
    assert_true(index < log->held_count);
    struct fake_append append = log->held[index];
    memmove(&log->held[index], &log->held[index + 1],
            (--log->held_count - index) * sizeof log->held[0]);
    if (code != 0)
        fake_log_drop(log, append.first, append.count);
    append.done(append.context, code);
}

static inline void fake_log_finish_all(struct fake_log *log, int code) {
    while (log->held_count > 0)
        fake_log_finish(log, 0, code);
}

/* ---- the world ---- */

struct party {
    struct ms_clock_manual clock;
    struct ms_random_seeded random;
    struct ms_env env;
    struct fake_log log;
    struct ms_groups_options options;
    struct ms_groups *groups;
    unsigned wakes;
};

static inline void party_wake(void *context) { ((struct party *)context)->wakes++; }

static inline void party_open(struct party *party) {
    assert_int_equal(ms_groups_new(&party->options, &party->groups), 0);
}

static inline void party_close(struct party *party) {
    ms_groups_stop(party->groups);
    fake_log_finish_all(&party->log, MS_ECLOSED);
    ms_groups_free(party->groups);
    party->groups = NULL;
}

#define DELAY_MS 100

static inline struct party *party_new_with(const struct ms_groups_options *options) {
    struct party *party = ms_calloc(1, sizeof *party);
    assert_non_null(party);
    ms_clock_manual_init(&party->clock, INT64_C(1700000000000000));
    ms_random_seeded_init(&party->random, 5);
    party->env.clock = &party->clock.clock;
    party->env.random = &party->random.random;
    party->log.records = ms_calloc(FAKE_RECORDS_MAX, sizeof *party->log.records);
    assert_non_null(party->log.records);
    party->options = *options;
    party->options.env = &party->env;
    party->options.store = (struct ms_group_store){&party->log, fake_log_append};
    party->options.wake = party_wake;
    party->options.wake_context = party;
    party_open(party);
    ms_groups_loaded(party->groups);
    (void)ms_groups_tick(party->groups);
    return party;
}

/* No initial delay: a first member's rebalance completes at once. */
static inline struct party *party_new(void) {
    struct ms_groups_options options = {0};
    return party_new_with(&options);
}

static inline void party_free(struct party *party) {
    if (party->groups != NULL)
        party_close(party);
    for (size_t i = 0; i < party->log.count; i++) {
        free((void *)party->log.records[i].key.data);
        free((void *)party->log.records[i].value.data);
    }
    ms_free(party->log.records);
    ms_free(party);
}

static inline void party_advance(struct party *party, int64_t ms) {
    ms_clock_manual_advance(&party->clock, ms * 1000);
    (void)ms_groups_tick(party->groups);
}

/* All that is in the log, in an instance of its own. */
static inline void party_reload(struct party *party) {
    party_open(party);
    for (size_t i = 0; i < party->log.count; i++) {
        const struct fake_record *r = &party->log.records[i];
        struct ms_group_record record = {r->key, r->value, r->tombstone};
        if (r->key.len > 0)
            assert_int_equal(ms_groups_load(party->groups, &record, i, r->producer_id), 0);
    }
    ms_groups_loaded(party->groups);
    (void)ms_groups_tick(party->groups);
}

static inline void party_restart(struct party *party) {
    party_close(party);
    party_reload(party);
}

static inline enum ms_group_state party_state(struct party *party, const char *group) {
    struct ms_arena arena;
    struct ms_group_info info;
    ms_arena_init(&arena, 1 << 20);
    (void)ms_groups_describe(party->groups, ms_bytes_cstr(group), &arena, &info);
    enum ms_group_state state = info.state;
    ms_arena_deinit(&arena);
    return state;
}

static inline int32_t party_generation(struct party *party, const char *group) {
    struct ms_arena arena;
    struct ms_group_info info;
    ms_arena_init(&arena, 1 << 20);
    (void)ms_groups_describe(party->groups, ms_bytes_cstr(group), &arena, &info);
    int32_t generation = info.generation;
    ms_arena_deinit(&arena);
    return generation;
}

/* ---- a client ---- */

#define ID_MAX 400u

struct client {
    struct party *party;
    const char *group;
    char id[ID_MAX];
    const char *instance;
    struct ms_group_protocol protocols[4];
    size_t protocol_count;
    int32_t session_ms, rebalance_ms, generation;
    bool require_member_id, can_skip;

    struct ms_group_join join;
    unsigned joins_answered;
    struct ms_group_join_answer joined; /* without what it points to */
    char leader[ID_MAX], protocol[ID_MAX], answered_id[ID_MAX];
    char members[8][ID_MAX], metadata[8][ID_MAX], instances[8][ID_MAX];

    struct ms_group_sync sync;
    unsigned syncs_answered;
    enum ms_group_code synced;
    char assignment[ID_MAX];
};

static inline void keep(char out[ID_MAX], struct ms_bytes bytes) {
    assert_true(bytes.len < ID_MAX);
    if (bytes.len > 0)
        memcpy(out, bytes.data, bytes.len);
    out[bytes.len] = '\0';
}

static inline void client_init(struct client *client, struct party *party) {
    *client = (struct client){.party = party,
                              .group = "g",
                              .protocols = {{TEXT("range"), TEXT("meta")}},
                              .protocol_count = 1,
                              .session_ms = 10000,
                              .rebalance_ms = 60000,
                              .generation = -1};
}

static inline void client_joined(struct ms_group_join *join,
                                 const struct ms_group_join_answer *answer) {
    struct client *client = join->context;
    client->joins_answered++;
    client->joined = *answer;
    keep(client->leader, answer->leader_id);
    keep(client->protocol, answer->protocol_name);
    keep(client->answered_id, answer->member_id);
    for (size_t i = 0; i < answer->member_count && i < 8; i++) {
        keep(client->members[i], answer->members[i].member_id);
        keep(client->instances[i], answer->members[i].instance_id);
        keep(client->metadata[i], answer->members[i].metadata);
    }
    if (answer->member_id.len > 0)
        keep(client->id, answer->member_id);
    if (answer->code == MS_GROUP_OK)
        client->generation = answer->generation;
}

/* Hands a join in; it may be waiting afterwards. */
static inline void client_join(struct client *client) {
    client->join = (struct ms_group_join){.group = ms_bytes_cstr(client->group),
                                          .member_id = ms_bytes_cstr(client->id),
                                          .instance_id = ms_bytes_cstr(client->instance),
                                          .client_id = TEXT("client"),
                                          .client_host = TEXT("/127.0.0.1"),
                                          .protocol_type = TEXT("consumer"),
                                          .protocols = client->protocols,
                                          .protocol_count = client->protocol_count,
                                          .session_timeout_ms = client->session_ms,
                                          .rebalance_timeout_ms = client->rebalance_ms,
                                          .require_member_id = client->require_member_id,
                                          .can_skip_assignment = client->can_skip,
                                          .done = client_joined,
                                          .context = client};
    client->joins_answered = 0;
    ms_groups_join(client->party->groups, &client->join);
}

static inline void assert_joined(const struct client *client, enum ms_group_code code) {
    assert_int_equal(client->joins_answered, 1);
    assert_int_equal(client->joined.code, code);
}

static inline bool client_leads(const struct client *client) {
    return strcmp(client->leader, client->id) == 0;
}

static inline void client_synced(struct ms_group_sync *sync,
                                 const struct ms_group_sync_answer *answer) {
    struct client *client = sync->context;
    client->syncs_answered++;
    client->synced = answer->code;
    keep(client->assignment, answer->assignment);
}

static inline void client_sync_with(struct client *client,
                                    const struct ms_group_assignment *assignments, size_t count) {
    client->sync = (struct ms_group_sync){.group = ms_bytes_cstr(client->group),
                                          .member_id = ms_bytes_cstr(client->id),
                                          .instance_id = ms_bytes_cstr(client->instance),
                                          .generation = client->generation,
                                          .assignments = assignments,
                                          .assignment_count = count,
                                          .done = client_synced,
                                          .context = client};
    client->syncs_answered = 0;
    ms_groups_sync(client->party->groups, &client->sync);
}

/* A leader gives every member its own id as the assignment. */
static inline void client_sync(struct client *client) {
    struct ms_group_assignment assignments[8];
    size_t count = client_leads(client) ? client->joined.member_count : 0;
    for (size_t i = 0; i < count; i++)
        assignments[i] = (struct ms_group_assignment){ms_bytes_cstr(client->members[i]),
                                                      ms_bytes_cstr(client->members[i])};
    client_sync_with(client, assignments, count);
}

static inline void assert_synced(const struct client *client, enum ms_group_code code) {
    assert_int_equal(client->syncs_answered, 1);
    assert_int_equal(client->synced, code);
}

static inline struct ms_group_identity client_identity(const struct client *client) {
    return (struct ms_group_identity){ms_bytes_cstr(client->group), ms_bytes_cstr(client->id),
                                      ms_bytes_cstr(client->instance), client->generation};
}

static inline enum ms_group_code client_heartbeat(struct client *client) {
    struct ms_group_identity identity = client_identity(client);
    return ms_groups_heartbeat(client->party->groups, &identity);
}

static inline enum ms_group_code client_leave(struct client *client) {
    struct ms_group_leaver leaver = {.member_id = ms_bytes_cstr(client->id),
                                     .instance_id = ms_bytes_cstr(client->instance)};
    enum ms_group_code code =
        ms_groups_leave(client->party->groups, ms_bytes_cstr(client->group), &leaver, 1);
    return code != MS_GROUP_OK ? code : leaver.code;
}

/* Joins and syncs one client alone in its group. */
static inline void client_settle(struct client *client) {
    client_join(client);
    assert_joined(client, MS_GROUP_OK);
    client_sync(client);
    assert_synced(client, MS_GROUP_OK);
}

/* Two clients of group "g", stable; `a` leads. */
static inline void settle_two(struct client *a, struct client *b) {
    client_settle(a);
    client_join(b);
    assert_int_equal(client_heartbeat(a), MS_GROUP_REBALANCING);
    client_join(a);
    assert_joined(a, MS_GROUP_OK);
    assert_joined(b, MS_GROUP_OK);
    client_sync(a);
    client_sync(b);
    assert_synced(a, MS_GROUP_OK);
    assert_synced(b, MS_GROUP_OK);
}

/* ---- commits ---- */

struct committing {
    struct ms_group_commit commit;
    struct ms_group_offset offset;
    unsigned answered;
    enum ms_group_code code;
};

static inline void commit_done(struct ms_group_commit *commit, enum ms_group_code code) {
    struct committing *c = commit->context;
    c->answered++;
    c->code = code;
}

static inline void commit_start(struct committing *c, struct party *party,
                                struct ms_group_identity identity, const char *topic,
                                int32_t partition, int64_t offset) {
    *c = (struct committing){.offset = {.topic = ms_bytes_cstr(topic),
                                        .partition = partition,
                                        .offset = offset,
                                        .leader_epoch = 3,
                                        .metadata = TEXT("note"),
                                        .commit_time_ms = -1}};
    c->commit = (struct ms_group_commit){.identity = identity,
                                         .retention_ms = -1,
                                         .offsets = &c->offset,
                                         .offset_count = 1,
                                         .producer_id = -1,
                                         .done = commit_done,
                                         .context = c};
    ms_groups_commit(party->groups, &c->commit);
}

static inline enum ms_group_code commit_now(struct party *party, struct ms_group_identity identity,
                                            const char *topic, int32_t partition, int64_t offset) {
    struct committing c;
    commit_start(&c, party, identity, topic, partition, offset);
    assert_int_equal(c.answered, 1);
    assert_int_equal(c.offset.code, c.code);
    return c.code;
}

static inline struct ms_group_identity nobody(const char *group) {
    return (struct ms_group_identity){.group = ms_bytes_cstr(group), .generation = -1};
}

/* -1: none. */
static inline int64_t fetch_offset(struct party *party, const char *group, const char *topic,
                                   int32_t partition) {
    struct ms_arena arena;
    struct ms_group_offset offset = {.topic = ms_bytes_cstr(topic), .partition = partition};
    ms_arena_init(&arena, 1 << 20);
    assert_int_equal(
        ms_groups_fetch(party->groups, ms_bytes_cstr(group), false, &arena, &offset, 1), 0);
    ms_arena_deinit(&arena);
    return offset.offset;
}
