/* Subscriptions: catching up and live without gap or duplicate, filters, ends, and that no wake is
 * lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "store/internal.h"
#include "support/store_world.h"

static int setup(void **state) {
    static struct store_world w;
    store_world_init(&w, 1);
    if (store_world_open(&w) != 0)
        return -1;
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    store_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

struct listener {
    struct ms_subscription *subscription;
    struct event_log got;
    unsigned wakes;
    bool caught_up;
};

static void count_wake(void *context) { ((struct listener *)context)->wakes++; }

static void listen_to(struct store_world *w, struct listener *l, const char *stream,
                      struct ms_subscription_options options) {
    *l = (struct listener){0};
    options.stream = ms_bytes_cstr(stream);
    options.wake = count_wake;
    options.context = l;
    assert_int_equal(ms_subscription_new(w->store, &options, &l->subscription, NULL), 0);
}

static int poll(struct listener *l, size_t limit) {
    l->caught_up = false;
    return ms_subscription_poll(l->subscription, limit, event_log_take, &l->got, &l->caught_up,
                                NULL);
}

static void poll_to_end(struct listener *l) {
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(poll(l, 3), 0);
        if (l->caught_up)
            return;
    }
    fail_msg("never caught up");
}

static const char *ids_of(struct listener *l) {
    static char ids[4096];
    return event_log_ids(&l->got, ids, sizeof ids);
}

static void stop(struct listener *l) {
    ms_subscription_free(l->subscription);
    event_log_clear(&l->got);
}

static void stream_is_caught_up_with_and_then_followed(void **state) {
    struct store_world *w = *state;
    struct listener l;
    assert_int_equal(store_append(w, "o-1", ANY, "a b c d").code, 0);
    listen_to(w, &l, "o-1", (struct ms_subscription_options){0});
    poll_to_end(&l);
    assert_string_equal(ids_of(&l), "a b c d");
    assert_int_equal(l.wakes, 0);
    assert_int_equal(store_append(w, "o-2", ANY, "x").code, 0);
    assert_int_equal(l.wakes, 0);
    assert_int_equal(store_append(w, "o-1", ANY, "e f").code, 0);
    assert_int_equal(l.wakes, 1);
    assert_int_equal(store_append(w, "o-1", ANY, "g").code, 0);
    assert_int_equal(l.wakes, 1); /* once per arming */
    poll_to_end(&l);
    assert_string_equal(ids_of(&l), "a b c d e f g");
    assert_int_equal(ms_subscription_next_version(l.subscription), 7);
    stop(&l);
    assert_int_equal(store_append(w, "o-1", ANY, "h").code, 0);
}

static void resuming_begins_where_it_says(void **state) {
    struct store_world *w = *state;
    struct listener l;
    assert_int_equal(store_append(w, "o-1", ANY, "a b c d").code, 0);
    listen_to(w, &l, "o-1", (struct ms_subscription_options){.from_version = 2});
    poll_to_end(&l);
    assert_string_equal(ids_of(&l), "c d");
    stop(&l);
    listen_to(w, &l, "o-1", (struct ms_subscription_options){.from_end = true});
    poll_to_end(&l);
    assert_int_equal(store_append(w, "o-1", ANY, "e").code, 0);
    poll_to_end(&l);
    assert_string_equal(ids_of(&l), "e");
    stop(&l);
    listen_to(w, &l, NULL, (struct ms_subscription_options){.from_end = true});
    poll_to_end(&l);
    assert_int_equal(store_append(w, "o-1", ANY, "f").code, 0);
    assert_int_equal(l.wakes, 1);
    poll_to_end(&l);
    assert_string_equal(ids_of(&l), "f");
    uint64_t next = ms_subscription_next_position(l.subscription);
    stop(&l);
    assert_int_equal(store_append(w, "o-1", ANY, "g").code, 0);
    listen_to(w, &l, NULL, (struct ms_subscription_options){.from_position = next});
    poll_to_end(&l);
    assert_string_equal(ids_of(&l), "g");
    stop(&l);
}

static void stream_that_is_not_there_yet_may_be_waited_for(void **state) {
    struct store_world *w = *state;
    struct listener stream, topic;
    assert_int_equal(store_append(w, "o-1", ANY, "x").code, 0);
    listen_to(w, &stream, "o-2", (struct ms_subscription_options){0});
    listen_to(w, &topic, "new-1", (struct ms_subscription_options){0});
    poll_to_end(&stream);
    poll_to_end(&topic);
    assert_int_equal(store_append(w, "o-2", ANY, "a").code, 0);
    assert_int_equal(stream.wakes, 1);
    assert_int_equal(store_append(w, "new-1", ANY, "b").code, 0);
    assert_true(topic.wakes >= 1);
    poll_to_end(&stream);
    poll_to_end(&topic);
    assert_string_equal(ids_of(&stream), "a");
    assert_string_equal(ids_of(&topic), "b");
    stop(&stream);
    stop(&topic);
}

static void filters_hold_and_are_copied(void **state) {
    struct store_world *w = *state;
    struct listener l;
    char topic[] = "o", tag[] = "red", type[] = "t1";
    struct ms_bytes tags[] = {{(uint8_t *)tag, 3}}, types[] = {{(uint8_t *)type, 2}};
    struct ms_bytes topics[] = {{(uint8_t *)topic, 1}};
    struct ms_subscription_options options = {.filter = {.topics = topics,
                                                         .topic_count = 1,
                                                         .tags = tags,
                                                         .tag_count = 1,
                                                         .types = types,
                                                         .type_count = 1}};
    listen_to(w, &l, NULL, options);
    memset(topic, 'z', 1);
    memset(tag, 'z', 3);
    memset(type, 'z', 2);
    tags[0].len = types[0].len = topics[0].len = 0;
    for (int i = 0; i < 30; i++) {
        char id[32];
        snprintf(id, sizeof id, "%d", i);
        assert_int_equal(store_append_event(w, i % 2 ? "o-1" : "p-1", id, i % 3 ? "t1" : "t2",
                                            i % 5 ? "red,x" : "blue")
                             .code,
                         0);
        if (i % 7 == 0)
            poll_to_end(&l);
    }
    poll_to_end(&l);
    assert_string_equal(ids_of(&l), "1 7 11 13 17 19 23 29");
    stop(&l);
}

/* Limits that end inside an append, in every way of reading. */
static void nothing_is_lost_between_small_polls(void **state) {
    struct store_world *w = *state;
    static const struct ms_bytes happened = {(const uint8_t *)"happened", 8};
    static const struct ms_bytes topics[] = {{(const uint8_t *)"none", 4},
                                             {(const uint8_t *)"o", 1}};
    const struct ms_filter filters[] = {{.include_system = false},
                                        {.topics = topics, .topic_count = 2},
                                        {.stream_prefix = {(const uint8_t *)"o-1", 3}},
                                        {.types = &happened, .type_count = 1}};
    assert_int_equal(store_append(w, "o-1", ANY, "a b c d e f g").code, 0);
    assert_int_equal(store_append(w, "o-1", ANY, "h i j").code, 0);
    for (size_t i = 0; i < 5; i++)
        for (size_t limit = 1; limit < 9; limit++) {
            struct listener l;
            listen_to(w, &l, i == 4 ? "o-1" : NULL,
                      (struct ms_subscription_options){.filter = filters[i % 4]});
            while (!l.caught_up)
                assert_int_equal(poll(&l, limit), 0);
            assert_string_equal(ids_of(&l), "a b c d e f g h i j");
            stop(&l);
        }
}

static void visit_that_stops_has_taken_its_event(void **state) {
    struct store_world *w = *state;
    struct listener l;
    assert_int_equal(store_append(w, "o-1", ANY, "a b c").code, 0);
    listen_to(w, &l, "o-1", (struct ms_subscription_options){0});
    l.got.stop_at = 2;
    assert_int_equal(poll(&l, 100), 0);
    assert_false(l.caught_up);
    l.got.stop_at = 0;
    l.got.fail_at = 3;
    assert_int_equal(poll(&l, 100), MS_ECANCELED);
    assert_string_equal(ids_of(&l), "a b");
    l.got.fail_at = 0;
    poll_to_end(&l);
    assert_string_equal(ids_of(&l), "a b c"); /* what failed comes again */
    stop(&l);
}

static void tombstone_ends_a_streams_subscription(void **state) {
    struct store_world *w = *state;
    struct listener l;
    assert_int_equal(store_append(w, "o-1", ANY, "a").code, 0);
    listen_to(w, &l, "o-1", (struct ms_subscription_options){0});
    poll_to_end(&l);
    assert_int_equal(store_delete(w, "o-1", ANY, true).code, 0);
    assert_int_equal(l.wakes, 1);
    assert_int_equal(poll(&l, 10), MS_ETOMBSTONED);
    assert_int_equal(poll(&l, 10), MS_ETOMBSTONED);
    stop(&l);
}

static void soft_delete_is_survived(void **state) {
    struct store_world *w = *state;
    struct listener l;
    assert_int_equal(store_append(w, "o-1", ANY, "a b").code, 0);
    listen_to(w, &l, "o-1", (struct ms_subscription_options){0});
    assert_int_equal(poll(&l, 1), 0);
    assert_int_equal(store_delete(w, "o-1", ANY, false).code, 0);
    poll_to_end(&l);
    assert_int_equal(store_append(w, "o-1", ANY, "c").code, 0);
    assert_int_equal(l.wakes, 1);
    poll_to_end(&l);
    assert_string_equal(ids_of(&l), "a c");
    stop(&l);
}

static void wake_may_poll_again(void **state) {
    struct store_world *w = *state;
    struct listener l;
    listen_to(w, &l, NULL, (struct ms_subscription_options){0});
    for (int i = 0; i < 5; i++) {
        poll_to_end(&l);
        assert_int_equal(l.wakes, i);
        assert_int_equal(store_append(w, "o-1", i == 0 ? NONE : AT(i - 1), "").code, 0);
        char id[24];
        snprintf(id, sizeof id, "%d", i);
        assert_int_equal(store_append(w, "o-1", ANY, id).code, 0);
    }
    stop(&l);
}

static void subscriptions_are_counted(void **state) {
    struct store_world *w = *state;
    struct listener a, b;
    struct ms_store_info info;
    listen_to(w, &a, NULL, (struct ms_subscription_options){0});
    listen_to(w, &b, "o-1", (struct ms_subscription_options){0});
    ms_store_info(w->store, &info);
    assert_int_equal(info.subscriptions, 2);
    stop(&a);
    stop(&b);
    ms_store_info(w->store, &info);
    assert_int_equal(info.subscriptions, 0);
    ms_subscription_free(NULL);
}

static void senseless_streams_are_refused(void **state) {
    struct store_world *w = *state;
    struct ms_subscription *s;
    struct ms_subscription_options options = {.stream = MS_BYTES_LITERAL("a\n")};
    assert_int_equal(ms_subscription_new(w->store, &options, &s, NULL), MS_EINVAL);
    struct ms_store_info info;
    ms_store_info(w->store, &info);
    assert_int_equal(info.subscriptions, 0);
}

/* ---- with threads ---- */

struct follower {
    struct store_world *w;
    struct ms_subscription *subscription;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken;
    const char *stream;
    uint64_t wanted, got;
    int64_t next_version;
    uint64_t next_position;
    bool churn;
    bool gave_up;
};

#define STREAM_COUNT 3
static const char *const followed[STREAM_COUNT] = {"o-0", "o-1", "o-2"};

static void wake_follower(void *context) {
    struct follower *f = context;
    pthread_mutex_lock(&f->lock);
    f->woken = true;
    pthread_cond_signal(&f->cond);
    pthread_mutex_unlock(&f->lock);
}

static int follow_event(void *context, const struct ms_read_event *event) {
    struct follower *f = context;
    if (f->stream != NULL) {
        MS_ASSERT(event->place.version == f->next_version);
        f->next_version++;
    }
    MS_ASSERT(event->place.position >= f->next_position);
    f->next_position = event->place.position + 1;
    f->got++;
    return 0;
}

static void subscribe(struct follower *f) {
    struct ms_bytes topic = MS_BYTES_LITERAL("o");
    struct ms_subscription_options options = {
        .stream = ms_bytes_cstr(f->stream),
        .from_version = f->next_version,
        .from_position = f->next_position,
        .wake = wake_follower,
        .context = f,
        .filter = {.topics = &topic, .topic_count = f->stream == NULL}};
    MS_ASSERT(ms_subscription_new(f->w->store, &options, &f->subscription, NULL) == 0);
}

/* Waits for a wake; false when none came for a long time. */
static bool await_wake(struct follower *f) {
    struct timespec until;
    timespec_get(&until, TIME_UTC);
    until.tv_sec += 10;
    int rc = 0;
    pthread_mutex_lock(&f->lock);
    while (!f->woken && rc == 0)
        rc = pthread_cond_timedwait(&f->cond, &f->lock, &until);
    f->woken = false;
    pthread_mutex_unlock(&f->lock);
    return rc == 0;
}

static void *follow(void *argument) {
    struct follower *f = argument;
    unsigned turns = 0;
    subscribe(f);
    while (f->got < f->wanted && !f->gave_up) {
        bool caught_up = false;
        MS_ASSERT(ms_subscription_poll(f->subscription, 7, follow_event, f, &caught_up, NULL) == 0);
        if (f->churn && ++turns % 3 == 0) { /* armed or not: go away and come back */
            ms_subscription_free(f->subscription);
            subscribe(f);
            pthread_mutex_lock(&f->lock);
            f->woken = false;
            pthread_mutex_unlock(&f->lock);
        } else if (caught_up && f->got < f->wanted) {
            f->gave_up = !await_wake(f);
        }
    }
    ms_subscription_free(f->subscription);
    return NULL;
}

struct feeder {
    struct store_world *w;
    unsigned number, rounds;
};

static void *feed(void *argument) {
    const struct feeder *f = argument;
    char id[32];
    for (unsigned i = 0; i < f->rounds; i++) {
        snprintf(id, sizeof id, "%u-%u", f->number, i);
        struct store_answer answer =
            store_append(f->w, followed[(f->number + i) % STREAM_COUNT], ANY, id);
        MS_ASSERT(answer.code == 0);
    }
    return NULL;
}

static void followers_see_everything_once_in_order(void **state) {
    (void)state;
    enum { FEEDERS = 3, FOLLOWERS = 5 };
    static struct follower followers[FOLLOWERS];
    struct feeder feeders[FEEDERS];
    pthread_t threads[FEEDERS + FOLLOWERS];
    unsigned rounds = (unsigned)world_setting("MS_THREAD_ROUNDS", 240);
    struct store_world w;
    store_world_init_real(&w);
    assert_int_equal(store_world_open(&w), 0);
    for (unsigned i = 0; i < FOLLOWERS; i++) {
        followers[i] = (struct follower){.w = &w,
                                         .stream = i < 3 ? followed[i % 2] : NULL,
                                         .wanted = i < 3 ? rounds : rounds * 3,
                                         .churn = i == 2 || i == 4};
        pthread_mutex_init(&followers[i].lock, NULL);
        pthread_cond_init(&followers[i].cond, NULL);
        assert_int_equal(pthread_create(&threads[i], NULL, follow, &followers[i]), 0);
    }
    for (unsigned i = 0; i < FEEDERS; i++) {
        feeders[i] = (struct feeder){&w, i, rounds};
        assert_int_equal(pthread_create(&threads[FOLLOWERS + i], NULL, feed, &feeders[i]), 0);
    }
    for (unsigned i = 0; i < FEEDERS + FOLLOWERS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < FOLLOWERS; i++) {
        if (followers[i].gave_up)
            fail_msg("follower %u was not woken: %llu of %llu", i,
                     (unsigned long long)followers[i].got, (unsigned long long)followers[i].wanted);
        assert_int_equal(followers[i].got, followers[i].wanted);
    }
    store_world_deinit(&w);
}

static void lag_is(struct store_world *w, uint64_t max, uint64_t sum) {
    struct ms_subscription_lag lag;
    ms_subscriptions_lag(w->store, &lag);
    assert_int_equal(lag.max, max);
    assert_int_equal(lag.sum, sum);
}

static void metrics_tell_how_far_subscriptions_are_behind(void **state) {
    struct store_world *w = *state;
    struct listener stream, all, early, quiet;
    lag_is(w, 0, 0);
    listen_to(w, &early, "later-1", (struct ms_subscription_options){0});
    poll_to_end(&early);
    assert_int_equal(store_append(w, "o-1", ANY, "a b c d").code, 0);
    assert_int_equal(store_append(w, "o-2", ANY, "e").code, 0);
    uint64_t end = ms_store_end(w->store); /* the topic's own event counts among all */
    listen_to(w, &stream, "o-1", (struct ms_subscription_options){.from_version = 1});
    listen_to(w, &all, NULL, (struct ms_subscription_options){0});
    listen_to(w, &quiet, "o-2", (struct ms_subscription_options){.from_end = true});
    lag_is(w, end, end + 3);
    assert_int_equal(poll(&stream, 2), 0);
    lag_is(w, end, end + 1);
    poll_to_end(&stream);
    poll_to_end(&all);
    poll_to_end(&quiet);
    poll_to_end(&early);
    lag_is(w, 0, 0);
    assert_int_equal(store_append(w, "o-1", ANY, "f g").code, 0);
    lag_is(w, 2, 4);
    poll_to_end(&all);
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{\"$tb\":5}").code, 0);
    poll_to_end(&all);
    lag_is(w, 1, 1); /* what was truncated away will never come */
    assert_int_equal(store_append(w, "later-1", ANY, "h i j").code, 0);
    poll_to_end(&all);
    poll_to_end(&stream);
    assert_int_equal(poll(&early, 1), 0);
    lag_is(w, 2, 2);
    stop(&early);
    lag_is(w, 0, 0);
    stop(&stream);
    stop(&all);
    stop(&quiet);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(stream_is_caught_up_with_and_then_followed),
        test(resuming_begins_where_it_says),
        test(stream_that_is_not_there_yet_may_be_waited_for),
        test(filters_hold_and_are_copied),
        test(nothing_is_lost_between_small_polls),
        test(visit_that_stops_has_taken_its_event),
        test(tombstone_ends_a_streams_subscription),
        test(soft_delete_is_survived),
        test(wake_may_poll_again),
        test(subscriptions_are_counted),
        test(metrics_tell_how_far_subscriptions_are_behind),
        test(senseless_streams_are_refused),
        cmocka_unit_test(followers_see_everything_once_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
