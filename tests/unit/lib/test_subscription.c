/* Subscriptions: old events, then new ones, each once and in order; ended by either side. */
#include "lib/library.h"

#include "base/alloc.h"

struct subscriber {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct library *library;
    int64_t next; /* version expected */
    int events, live_calls, events_when_live, end_calls, end_code;
    int stop_at, stop_code;
    bool wrong, slow, appends;
    struct mainstem_error end_error;
};

static void changed(struct subscriber *subscriber) {
    pthread_cond_broadcast(&subscriber->changed);
    pthread_mutex_unlock(&subscriber->lock);
}

static int on_event(void *context, const struct mainstem_recorded_event *event) {
    struct subscriber *subscriber = context;
    if (subscriber->slow)
        ms_clock_sleep_us(ms_clock_system(), 500);
    if (subscriber->appends && mainstem_is(event->topic, "a"))
        append_one(subscriber->library, "b-1", "x", "{}"); /* callbacks may block */
    pthread_mutex_lock(&subscriber->lock);
    subscriber->wrong = subscriber->wrong || event->version != subscriber->next;
    subscriber->next = event->version + 1;
    subscriber->events++;
    int answer = subscriber->events == subscriber->stop_at ? subscriber->stop_code : 0;
    changed(subscriber);
    return answer;
}

static void on_live(void *context) {
    struct subscriber *subscriber = context;
    pthread_mutex_lock(&subscriber->lock);
    subscriber->live_calls++;
    subscriber->events_when_live = subscriber->events;
    changed(subscriber);
}

static void on_end(void *context, int code, const struct mainstem_error *error) {
    struct subscriber *subscriber = context;
    pthread_mutex_lock(&subscriber->lock);
    subscriber->end_calls++;
    subscriber->end_code = code;
    subscriber->end_error = *error;
    changed(subscriber);
}

static void subscriber_init(struct subscriber *subscriber, struct library *library) {
    *subscriber = (struct subscriber){.library = library};
    pthread_mutex_init(&subscriber->lock, NULL);
    pthread_cond_init(&subscriber->changed, NULL);
}

static struct mainstem_subscription_options options_of(struct subscriber *subscriber,
                                                       const char *stream) {
    return (struct mainstem_subscription_options){
        .struct_size = sizeof(struct mainstem_subscription_options),
        .stream = stream,
        .on_event = on_event,
        .on_live = on_live,
        .on_end = on_end,
        .context = subscriber,
    };
}

static struct mainstem_subscription *subscribe(
    struct subscriber *subscriber, const struct mainstem_subscription_options *options) {
    struct mainstem_subscription *subscription;
    struct library *library = subscriber->library;
    if (mainstem_subscribe(library->store, options, &subscription, &library->error) != 0)
        fail_msg("%s", library->error.message);
    return subscription;
}

/* Fails by the test's time limit when it never comes. */
static void wait_until(struct subscriber *subscriber, const int *what, int value) {
    pthread_mutex_lock(&subscriber->lock);
    while (*what < value)
        pthread_cond_wait(&subscriber->changed, &subscriber->lock);
    pthread_mutex_unlock(&subscriber->lock);
}

static void old_events_come_first_and_new_ones_follow(void **state) {
    struct library *library = *state;
    struct subscriber subscriber;
    subscriber_init(&subscriber, library);
    struct mainstem_subscription_options options = options_of(&subscriber, "a-1");
    for (int i = 0; i < 200; i++)
        append_one(library, "a-1", "x", "{}");
    struct mainstem_subscription *subscription = subscribe(&subscriber, &options);
    wait_until(&subscriber, &subscriber.live_calls, 1);
    assert_int_equal(subscriber.events_when_live, 200);
    for (int i = 0; i < 100; i++)
        append_one(library, "a-1", "x", "{}");
    wait_until(&subscriber, &subscriber.events, 300);
    mainstem_subscription_free(subscription);
    assert_false(subscriber.wrong);
    assert_int_equal(subscriber.live_calls, 1);
    assert_int_equal(subscriber.end_calls, 0);
}

static void all_events_from_a_position_with_a_filter(void **state) {
    struct library *library = *state;
    struct subscriber subscriber;
    subscriber_init(&subscriber, library);
    struct mainstem_filter filter = {.struct_size = sizeof filter, .topic = mainstem_text("a")};
    struct mainstem_subscription_options options = options_of(&subscriber, NULL);
    struct mainstem_info info = {.struct_size = sizeof info};
    append_one(library, "a-1", "x", "{}");
    ASSERT_OK(mainstem_info(library->store, &info, &library->error));
    append_one(library, "b-1", "x", "{}");
    append_one(library, "a-1", "x", "{}");
    options.from = info.end;
    options.filter = &filter;
    subscriber.next = 1;
    struct mainstem_subscription *subscription = subscribe(&subscriber, &options);
    append_one(library, "b-1", "x", "{}");
    append_one(library, "a-1", "x", "{}");
    wait_until(&subscriber, &subscriber.events, 2);
    mainstem_subscription_free(subscription);
    assert_false(subscriber.wrong);
}

static void from_the_end_only_what_is_new(void **state) {
    struct library *library = *state;
    struct subscriber stream, all;
    subscriber_init(&stream, library);
    subscriber_init(&all, library);
    struct mainstem_subscription_options options = options_of(&stream, "a-1");
    append_one(library, "a-1", "x", "{}");
    options.from = MAINSTEM_END;
    stream.next = all.next = 1;
    struct mainstem_subscription *first = subscribe(&stream, &options);
    options = options_of(&all, NULL);
    options.from = MAINSTEM_END;
    struct mainstem_subscription *second = subscribe(&all, &options);
    append_one(library, "a-1", "x", "{}");
    wait_until(&stream, &stream.events, 1);
    wait_until(&all, &all.events, 1);
    mainstem_subscription_free(first);
    mainstem_subscription_free(second);
    assert_false(stream.wrong || all.wrong);
}

static void a_stream_that_is_not_there_yet_is_waited_for(void **state) {
    struct library *library = *state;
    struct subscriber subscriber;
    subscriber_init(&subscriber, library);
    struct mainstem_subscription_options options = options_of(&subscriber, "later-1");
    struct mainstem_subscription *subscription = subscribe(&subscriber, &options);
    wait_until(&subscriber, &subscriber.live_calls, 1);
    append_one(library, "other-1", "x", "{}");
    append_one(library, "later-1", "x", "{}");
    wait_until(&subscriber, &subscriber.events, 1);
    mainstem_subscription_free(subscription);
    assert_false(subscriber.wrong);
}

static void the_subscriber_may_end_it(void **state) {
    struct library *library = *state;
    struct subscriber subscriber;
    subscriber_init(&subscriber, library);
    struct mainstem_subscription_options options = options_of(&subscriber, "a-1");
    subscriber.stop_at = 3;
    subscriber.stop_code = 42;
    for (int i = 0; i < 10; i++)
        append_one(library, "a-1", "x", "{}");
    struct mainstem_subscription *subscription = subscribe(&subscriber, &options);
    wait_until(&subscriber, &subscriber.end_calls, 1);
    assert_int_equal(subscriber.end_code, 42);
    assert_int_equal(subscriber.events, 3);
    mainstem_subscription_free(subscription);
    assert_int_equal(subscriber.end_calls, 1);
}

static void a_tombstone_ends_it(void **state) {
    struct library *library = *state;
    struct subscriber subscriber;
    subscriber_init(&subscriber, library);
    struct mainstem_subscription_options options = options_of(&subscriber, "a-1");
    append_one(library, "a-1", "x", "{}");
    struct mainstem_subscription *subscription = subscribe(&subscriber, &options);
    wait_until(&subscriber, &subscriber.live_calls, 1);
    ASSERT_OK(mainstem_delete_stream(library->store, "a-1", MAINSTEM_ANY, 1, &library->error));
    wait_until(&subscriber, &subscriber.end_calls, 1);
    assert_int_equal(subscriber.end_code, MAINSTEM_ETOMBSTONED);
    mainstem_subscription_free(subscription);
}

static void freeing_waits_for_the_callback_and_none_follows(void **state) {
    struct library *library = *state;
    struct subscriber subscriber;
    subscriber_init(&subscriber, library);
    struct mainstem_subscription_options options = options_of(&subscriber, "a-1");
    subscriber.slow = true;
    for (int i = 0; i < 1000; i++) {
        struct mainstem_event event = event_of("x", "{}");
        ASSERT_OK(mainstem_append_async(library->store, "a-1", MAINSTEM_ANY, &event, 1, NULL, NULL,
                                        &library->error));
    }
    struct mainstem_subscription *subscription = subscribe(&subscriber, &options);
    wait_until(&subscriber, &subscriber.events, 3);
    mainstem_subscription_free(subscription);
    int events = subscriber.events; /* nobody writes it any more */
    assert_true(events < 1000);
    append_one(library, "a-1", "x", "{}");
    assert_int_equal(subscriber.events, events);
    assert_int_equal(subscriber.end_calls, 0);
    mainstem_subscription_free(NULL);
}

static void callbacks_may_append(void **state) {
    struct library *library = *state;
    struct subscriber subscriber;
    subscriber_init(&subscriber, library);
    struct mainstem_filter filter = {.struct_size = sizeof filter, .topic = mainstem_text("a")};
    struct mainstem_subscription_options options = options_of(&subscriber, NULL);
    struct mainstem_stream_info info = {.struct_size = sizeof info};
    options.filter = &filter;
    subscriber.appends = true;
    struct mainstem_subscription *subscription = subscribe(&subscriber, &options);
    for (int i = 0; i < 20; i++)
        append_one(library, "a-1", "x", "{}");
    wait_until(&subscriber, &subscriber.events, 20);
    mainstem_subscription_free(subscription);
    ASSERT_OK(mainstem_stream_info(library->store, "b-1", &info, &library->error));
    assert_int_equal(info.version, 19);
}

static void a_store_that_stops_ends_it(void **state) {
    struct library *library = *state;
    struct subscriber subscriber;
    subscriber_init(&subscriber, library);
    struct mainstem_subscription_options options = options_of(&subscriber, NULL);
    struct mainstem_event event = event_of("x", "{}");
    struct mainstem_subscription *subscription = subscribe(&subscriber, &options);
    append_one(library, "a-1", "x", "{}");
    wait_until(&subscriber, &subscriber.live_calls, 1);
    ms_vfs_sim_fail_nth(library->sim, MS_SIM_WRITE, 1, MS_EIO, true);
    ms_vfs_sim_fail_nth(library->sim, MS_SIM_SYNC, 1, MS_EIO, true);
    assert_int_not_equal(
        mainstem_append(library->store, "a-1", MAINSTEM_ANY, &event, 1, NULL, &library->error), 0);
    wait_until(&subscriber, &subscriber.end_calls, 1);
    assert_int_equal(subscriber.end_code, MAINSTEM_ECLOSED);
    assert_message_has(&subscriber.end_error, "stopped");
    mainstem_subscription_free(subscription);
}

static void malformed_subscriptions_are_refused(void **state) {
    struct library *library = *state;
    struct subscriber subscriber;
    subscriber_init(&subscriber, library);
    struct mainstem_filter filter = {.struct_size = sizeof filter};
    struct mainstem_subscription_options options = options_of(&subscriber, "a-1");
    struct mainstem_subscription *subscription = NULL;
    struct mainstem_store *store = library->store;
    struct mainstem_error *error = &library->error;
    assert_int_equal(mainstem_subscribe(store, &options, NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_subscribe(store, NULL, &subscription, error), MAINSTEM_EINVAL);
    options.filter = &filter;
    assert_int_equal(mainstem_subscribe(store, &options, &subscription, error), MAINSTEM_EINVAL);
    options = options_of(&subscriber, "");
    assert_int_equal(mainstem_subscribe(store, &options, &subscription, error), MAINSTEM_EINVAL);
    options = options_of(&subscriber, "a-1");
    options.from = 1ull << 63;
    assert_int_equal(mainstem_subscribe(store, &options, &subscription, error), MAINSTEM_EINVAL);
    options = options_of(&subscriber, "a-1");
    options.struct_size = 0;
    assert_int_equal(mainstem_subscribe(store, &options, &subscription, error), MAINSTEM_EINVAL);
    assert_null(subscription);
}

static void every_failed_allocation_is_told(void **state) {
    struct library *library = *state;
    struct subscriber subscriber;
    subscriber_init(&subscriber, library);
    struct mainstem_bytes type = mainstem_text("x");
    struct mainstem_filter filter = {.struct_size = sizeof filter, .types = &type, .type_count = 1};
    struct mainstem_subscription_options options = options_of(&subscriber, NULL);
    options.filter = &filter;
    int code = MAINSTEM_ENOMEM;
    for (uint64_t n = 1; code != 0; n++) {
        struct mainstem_subscription *subscription;
        ms_alloc_fail_nth(n);
        code = mainstem_subscribe(library->store, &options, &subscription, &library->error);
        ms_alloc_fail_nth(0);
        if (code == 0)
            mainstem_subscription_free(subscription);
        else
            assert_int_equal(code, MAINSTEM_ENOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        REAL_TEST(old_events_come_first_and_new_ones_follow),
        REAL_TEST(all_events_from_a_position_with_a_filter),
        REAL_TEST(from_the_end_only_what_is_new),
        REAL_TEST(a_stream_that_is_not_there_yet_is_waited_for),
        REAL_TEST(the_subscriber_may_end_it),
        REAL_TEST(a_tombstone_ends_it),
        REAL_TEST(freeing_waits_for_the_callback_and_none_follows),
        REAL_TEST(callbacks_may_append),
        SIMULATED_TEST(a_store_that_stops_ends_it),
        REAL_TEST(malformed_subscriptions_are_refused),
        REAL_TEST(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
