/* Many threads at once: consumers, a log that completes in a thread of its own, a clock that ticks,
 * connections that are lost. For the thread sanitizer; what must hold is that every request is
 * answered exactly once, or not at all after it was forgotten. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "group/group.h"
#include "os/random.h"

#define CONSUMERS 4u
#define ROUNDS 200u
#define ID_MAX 400u

/* ---- a log with a thread ---- */

struct slot {
    void (*done)(void *context, int code);
    void *context;
};

struct slow_log {
    pthread_mutex_t mutex;
    pthread_cond_t more;
    struct slot slots[256];
    size_t count;
    bool ending;
    atomic_int appending;
};

static void slow_append(void *context, int64_t producer_id, int16_t producer_epoch,
                        const struct ms_group_record *records, size_t count,
                        void (*done)(void *, int), void *done_context) {
    struct slow_log *log = context;
    (void)producer_id, (void)producer_epoch;
    assert_int_equal(atomic_fetch_add(&log->appending, 1), 0); /* one at a time */
    for (size_t i = 0; i < count; i++)
        assert_true(records[i].key.len > 0);
    pthread_mutex_lock(&log->mutex);
    bool at_once = log->count == 256;
    if (!at_once)
        log->slots[log->count++] = (struct slot){done, done_context};
    pthread_cond_signal(&log->more);
    pthread_mutex_unlock(&log->mutex);
    atomic_fetch_sub(&log->appending, 1);
    if (at_once)
        done(done_context, MS_ENOSPC);
}

static void *complete(void *context) {
    struct slow_log *log = context;
    pthread_mutex_lock(&log->mutex);
    for (;;) {
        while (log->count == 0 && !log->ending)
            pthread_cond_wait(&log->more, &log->mutex);
        if (log->count == 0)
            break;
        struct slot slot = log->slots[--log->count]; /* the newest first */
        pthread_mutex_unlock(&log->mutex);
        slot.done(slot.context, 0);
        pthread_mutex_lock(&log->mutex);
    }
    pthread_mutex_unlock(&log->mutex);
    return NULL;
}

/* ---- consumers ---- */

struct hall {
    struct ms_groups *groups;
    struct slow_log log;
    atomic_bool over;
    atomic_uint topics_version;
};

struct consumer {
    struct hall *hall;
    size_t number;
    struct ms_random_seeded random;
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    struct ms_group_join join;
    struct ms_group_sync sync;
    struct ms_group_commit commit;
    struct ms_group_consume consume;
    struct ms_group_offset offset;
    bool waiting;
    enum ms_group_code code;
    char id[ID_MAX], leader[ID_MAX];
    int32_t generation, epoch;
    uint64_t forgotten, acknowledged, beats;
    int64_t last;
};

static void hear(struct consumer *c, enum ms_group_code code) {
    pthread_mutex_lock(&c->mutex);
    assert_true(c->waiting); /* once, and never after it was forgotten */
    c->waiting = false;
    c->code = code;
    pthread_cond_signal(&c->answered);
    pthread_mutex_unlock(&c->mutex);
}

static void on_joined(struct ms_group_join *join, const struct ms_group_join_answer *answer) {
    struct consumer *c = join->context;
    if (answer->member_id.len > 0 && answer->member_id.len < ID_MAX)
        (void)snprintf(c->id, ID_MAX, "%.*s", (int)answer->member_id.len, answer->member_id.data);
    (void)snprintf(c->leader, ID_MAX, "%.*s", (int)answer->leader_id.len,
                   answer->leader_id.len > 0 ? (const char *)answer->leader_id.data : "");
    c->generation = answer->generation;
    hear(c, answer->code);
}

static void on_synced(struct ms_group_sync *sync, const struct ms_group_sync_answer *answer) {
    hear(sync->context, answer->code);
}

static void on_committed(struct ms_group_commit *commit, enum ms_group_code code) {
    hear(commit->context, code);
}

/* The answer, or the connection is lost: false. */
static bool wait_for(struct consumer *c, struct ms_group_request *request) {
    if (ms_random_below(&c->random.random, 25) == 0) {
        ms_groups_forget(c->hall->groups, request);
        bool unanswered = c->waiting; /* nobody else touches it any more */
        c->waiting = false;
        c->forgotten += unanswered;
        c->id[0] = '\0';
        return false;
    }
    pthread_mutex_lock(&c->mutex);
    while (c->waiting)
        pthread_cond_wait(&c->answered, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
    if (c->code == MS_GROUP_UNKNOWN_MEMBER)
        c->id[0] = '\0';
    return c->code == MS_GROUP_OK;
}

static bool join(struct consumer *c) {
    static const struct ms_group_protocol protocol = {{(const uint8_t *)"range", 5}, {0}};
    c->join = (struct ms_group_join){.group = ms_bytes_cstr("g"),
                                     .member_id = ms_bytes_cstr(c->id),
                                     .client_id = ms_bytes_cstr("c"),
                                     .protocol_type = ms_bytes_cstr("consumer"),
                                     .protocols = &protocol,
                                     .protocol_count = 1,
                                     .session_timeout_ms = 50,
                                     .rebalance_timeout_ms = 20,
                                     .done = on_joined,
                                     .context = c};
    c->waiting = true;
    ms_groups_join(c->hall->groups, &c->join);
    return wait_for(c, &c->join.request);
}

static struct ms_group_identity identity(const struct consumer *c) {
    return (struct ms_group_identity){.group = ms_bytes_cstr("g"),
                                      .member_id = ms_bytes_cstr(c->id),
                                      .generation = c->generation};
}

static bool sync_(struct consumer *c) {
    struct ms_group_assignment own = {ms_bytes_cstr(c->id), ms_bytes_cstr("all")};
    c->sync = (struct ms_group_sync){.group = ms_bytes_cstr("g"),
                                     .member_id = ms_bytes_cstr(c->id),
                                     .generation = c->generation,
                                     .assignments = &own,
                                     .assignment_count = strcmp(c->id, c->leader) == 0,
                                     .done = on_synced,
                                     .context = c};
    c->waiting = true;
    ms_groups_sync(c->hall->groups, &c->sync);
    return wait_for(c, &c->sync.request);
}

static void commit(struct consumer *c) {
    c->offset = (struct ms_group_offset){
        .topic = ms_bytes_cstr("t"), .offset = ++c->last, .commit_time_ms = -1};
    c->commit = (struct ms_group_commit){.identity = identity(c),
                                         .offsets = &c->offset,
                                         .offset_count = 1,
                                         .done = on_committed,
                                         .context = c};
    c->waiting = true;
    ms_groups_commit(c->hall->groups, &c->commit);
    c->acknowledged += wait_for(c, &c->commit.request);
}

/* ---- a consumer group ---- */

static void on_consumed(struct ms_group_consume *consume,
                        const struct ms_group_consume_answer *answer) {
    struct consumer *c = consume->context;
    c->epoch = answer->epoch;
    hear(c, answer->code);
}

static bool beat(struct consumer *c, int32_t epoch) {
    static const struct ms_bytes topic = {(const uint8_t *)"t", 1};
    static const struct ms_group_partitions nothing[1];
    char id[2] = {(char)('a' + c->number), '\0'};
    c->consume = (struct ms_group_consume){.group = ms_bytes_cstr("consumers"),
                                           .member_id = ms_bytes_cstr(id),
                                           .epoch = epoch,
                                           .rebalance_timeout_ms = 20,
                                           .topics = &topic,
                                           .topic_count = 1,
                                           .owned = nothing, /* it lets go at once */
                                           .done = on_consumed,
                                           .context = c};
    c->waiting = true;
    ms_groups_consume(c->hall->groups, &c->consume);
    bool heard = wait_for(c, &c->consume.request);
    c->beats += heard;
    return heard;
}

static void be_in_a_consumer_group(struct consumer *c) {
    if (!beat(c, MS_GROUP_EPOCH_JOIN))
        return;
    for (int i = 0; i < 3 && c->epoch > 0; i++)
        if (!beat(c, c->epoch))
            return;
    if (ms_random_below(&c->random.random, 2) == 0)
        (void)beat(c, MS_GROUP_EPOCH_LEAVE);
}

static uint64_t topics_version(void *context) {
    struct hall *hall = context;
    return atomic_fetch_add(&hall->topics_version, 1) / 16;
}

static bool find_topic(void *context, struct ms_bytes name, struct ms_group_topic *ret_topic) {
    struct hall *hall = context;
    *ret_topic = (struct ms_group_topic){
        .name = name, .partitions = 1 + atomic_load(&hall->topics_version) / 16 % 8};
    return true;
}

/* ---- all at once ---- */

static void *consume(void *context) {
    struct consumer *c = context;
    for (size_t round = 0; round < ROUNDS; round++) {
        be_in_a_consumer_group(c);
        if (!join(c) || !sync_(c))
            continue;
        struct ms_group_identity who = identity(c);
        for (int i = 0; i < 5 && ms_groups_heartbeat(c->hall->groups, &who) == MS_GROUP_OK; i++)
            commit(c);
        struct ms_groups_stats stats;
        ms_groups_stats(c->hall->groups, &stats);
    }
    struct ms_group_leaver leaver = {.member_id = ms_bytes_cstr(c->id)};
    if (c->id[0] != '\0')
        (void)ms_groups_leave(c->hall->groups, ms_bytes_cstr("g"), &leaver, 1);
    return NULL;
}

static void *tick(void *context) {
    struct hall *hall = context;
    while (!atomic_load(&hall->over)) {
        (void)ms_groups_tick(hall->groups);
        sched_yield();
    }
    return NULL;
}

static void every_request_is_answered_once_whatever_the_threads_do(void **state) {
    (void)state;
    struct hall hall = {0};
    pthread_mutex_init(&hall.log.mutex, NULL);
    pthread_cond_init(&hall.log.more, NULL);
    struct ms_groups_options options = {
        .env = ms_env_system(),
        .store = {&hall.log, slow_append},
        .topics = {.context = &hall, .version = topics_version, .find = find_topic},
        .consumer_session_timeout_ms = 50,
        .consumer_heartbeat_interval_ms = 5,
        .session_timeout_ms_min = 1,
        .initial_rebalance_delay_ms = 1};
    assert_int_equal(ms_groups_new(&options, &hall.groups), 0);
    ms_groups_loaded(hall.groups);
    pthread_t completer, ticker, threads[CONSUMERS];
    static struct consumer consumers[CONSUMERS];
    assert_int_equal(pthread_create(&completer, NULL, complete, &hall.log), 0);
    assert_int_equal(pthread_create(&ticker, NULL, tick, &hall), 0);
    for (size_t i = 0; i < CONSUMERS; i++) {
        consumers[i].hall = &hall;
        consumers[i].number = i;
        ms_random_seeded_init(&consumers[i].random, i + 1);
        pthread_mutex_init(&consumers[i].mutex, NULL);
        pthread_cond_init(&consumers[i].answered, NULL);
        assert_int_equal(pthread_create(&threads[i], NULL, consume, &consumers[i]), 0);
    }
    uint64_t acknowledged = 0, forgotten = 0, beats = 0;
    for (size_t i = 0; i < CONSUMERS; i++) {
        pthread_join(threads[i], NULL);
        acknowledged += consumers[i].acknowledged;
        forgotten += consumers[i].forgotten;
        beats += consumers[i].beats;
    }
    atomic_store(&hall.over, true);
    pthread_join(ticker, NULL);
    ms_groups_stop(hall.groups);
    pthread_mutex_lock(&hall.log.mutex);
    hall.log.ending = true;
    pthread_cond_signal(&hall.log.more);
    pthread_mutex_unlock(&hall.log.mutex);
    pthread_join(completer, NULL);
    ms_groups_free(hall.groups);
    assert_true(acknowledged > 0);
    assert_true(forgotten > 0);
    assert_true(beats > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_is_answered_once_whatever_the_threads_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
