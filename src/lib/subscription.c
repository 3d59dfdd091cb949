/*
 * Subscriptions: a thread that polls the store's subscription and waits when nothing is left.
 *
 *   poll -> events to on_event -> caught up? -> on_live, once -> wait -> poll …
 *                              -> on_event said no, or the read failed -> on_end, the thread ends
 *
 * Catching up and living are the same loop, so there is no seam to lose an event in. The committer
 * only sets a flag and signals. mainstem_subscription_free asks the thread to stop and joins it.
 */
#include "base/alloc.h"
#include "lib/lib.h"

#define POLL_EVENTS_MAX 4096u

struct mainstem_subscription {
    struct mainstem_store *store;
    struct mainstem_subscription *next, **place; /* of the store's list */
    struct ms_subscription *lower;
    mainstem_visit_fn *on_event;
    void (*on_live)(void *context);
    void (*on_end)(void *context, int code, const struct mainstem_error *error);
    void *context;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken;
    _Atomic(bool) stop;
    bool live;
    int said; /* what on_event returned */
    struct mainstem_extension extensions[MS_EVENT_EXTENSIONS_MAX];
};

/* ---- waking ---- */

static void wake(void *context) {
    struct mainstem_subscription *subscription = context;
    pthread_mutex_lock(&subscription->lock);
    subscription->woken = true;
    pthread_cond_signal(&subscription->cond);
    pthread_mutex_unlock(&subscription->lock);
}

void ms_lib_wake_subscriptions(struct mainstem_store *store) {
    pthread_mutex_lock(&store->lock);
    for (struct mainstem_subscription *s = store->subscriptions; s != NULL; s = s->next)
        wake(s);
    pthread_mutex_unlock(&store->lock);
}

static void wait_for_events(struct mainstem_subscription *subscription) {
    pthread_mutex_lock(&subscription->lock);
    while (!subscription->woken && !atomic_load(&subscription->stop) &&
           !atomic_load(&subscription->store->stopped))
        pthread_cond_wait(&subscription->cond, &subscription->lock);
    subscription->woken = false;
    pthread_mutex_unlock(&subscription->lock);
}

/* ---- the thread ---- */

static int deliver(void *context, const struct ms_read_event *event) {
    struct mainstem_subscription *subscription = context;
    struct mainstem_recorded_event recorded;
    if (atomic_load_explicit(&subscription->stop, memory_order_relaxed))
        return MS_ECANCELED;
    ms_lib_recorded(event, subscription->extensions, &recorded);
    subscription->said = subscription->on_event(subscription->context, &recorded);
    return subscription->said != 0;
}

static void end(struct mainstem_subscription *subscription, int code,
                const struct mainstem_error *error) {
    if (subscription->on_end != NULL && !atomic_load(&subscription->stop))
        subscription->on_end(subscription->context, code, error);
}

/* 0: go on. Otherwise why it ended, with *error filled. */
static int step(struct mainstem_subscription *subscription, struct mainstem_error *error) {
    struct ms_error lower = {0};
    bool caught_up = false;
    int rc = ms_lib_enter(subscription->store, error);
    if (rc != 0)
        return rc;
    rc = ms_subscription_poll(subscription->lower, POLL_EVENTS_MAX, deliver, subscription,
                              &caught_up, &lower);
    if (rc != 0)
        return ms_lib_fail_with(error, rc, &lower);
    if (subscription->said != 0)
        return ms_lib_fail(error, subscription->said, "the subscriber stopped with %d",
                           subscription->said);
    if (!caught_up)
        return 0;
    if (!subscription->live && subscription->on_live != NULL && !atomic_load(&subscription->stop))
        subscription->on_live(subscription->context);
    subscription->live = true;
    wait_for_events(subscription);
    return 0;
}

static void *subscription_main(void *argument) {
    struct mainstem_subscription *subscription = argument;
    struct mainstem_error error;
    while (!atomic_load(&subscription->stop)) {
        int code = step(subscription, &error);
        if (code != 0) {
            end(subscription, code, &error);
            break;
        }
    }
    return NULL;
}

/* ---- life ---- */

static void enlist(struct mainstem_subscription *subscription) {
    struct mainstem_store *store = subscription->store;
    pthread_mutex_lock(&store->lock);
    subscription->next = store->subscriptions;
    subscription->place = &store->subscriptions;
    if (subscription->next != NULL)
        subscription->next->place = &subscription->next;
    store->subscriptions = subscription;
    pthread_mutex_unlock(&store->lock);
}

static void delist(struct mainstem_subscription *subscription) {
    pthread_mutex_lock(&subscription->store->lock);
    *subscription->place = subscription->next;
    if (subscription->next != NULL)
        subscription->next->place = subscription->place;
    pthread_mutex_unlock(&subscription->store->lock);
}

static void subscription_destroy(struct mainstem_subscription *subscription) {
    ms_subscription_free(subscription->lower); /* no wake after it */
    pthread_cond_destroy(&subscription->cond);
    pthread_mutex_destroy(&subscription->lock);
    ms_free(subscription);
}

static int open_lower(struct mainstem_subscription *subscription,
                      const struct mainstem_subscription_options *options,
                      struct mainstem_error *err) {
    struct ms_arena arena;
    struct ms_error error = {0};
    struct ms_subscription_options lower = {
        .stream = options->stream != NULL ? ms_bytes_cstr(options->stream) : (struct ms_bytes){0},
        .from_end = options->from == MAINSTEM_END,
        .wake = wake,
        .context = subscription,
    };
    if (!lower.from_end) {
        lower.from_version = (int64_t)options->from;
        lower.from_position = options->from;
    }
    ms_arena_init(&arena, (size_t)1 << 20);
    int rc = ms_lib_filter(options->filter, &arena, &lower.filter, err);
    if (rc == 0) {
        rc = ms_subscription_new(subscription->store->store, &lower, &subscription->lower, &error);
        if (rc != 0)
            rc = ms_lib_fail_with(err, rc, &error);
    }
    ms_arena_deinit(&arena);
    return rc;
}

static int check_options(const struct mainstem_subscription_options *options,
                         struct mainstem_error *err) {
    if (options->on_event == NULL)
        return ms_lib_fail(err, MS_EINVAL, "subscription: on_event is required");
    if (options->stream != NULL && options->filter != NULL)
        return ms_lib_fail(err, MS_EINVAL, "subscription: a filter is for all events");
    if (options->from != MAINSTEM_END && options->from > INT64_MAX)
        return ms_lib_fail(err, MS_EINVAL, "subscription: no event is at %llu",
                           (unsigned long long)options->from);
    return 0;
}

int mainstem_subscribe(struct mainstem_store *store,
                       const struct mainstem_subscription_options *options,
                       struct mainstem_subscription **ret_subscription,
                       struct mainstem_error *err) {
    struct mainstem_subscription_options given;
    int rc = ms_lib_enter_blocking(store, err);
    if (rc == 0 && ret_subscription == NULL)
        rc = ms_lib_fail(err, MS_EINVAL, "no place for the subscription");
    if (rc == 0)
        rc = ms_lib_take_options("subscription", options, &given, sizeof given, err);
    if (rc == 0)
        rc = check_options(&given, err);
    if (rc != 0)
        return rc;
    struct mainstem_subscription *subscription = ms_calloc(1, sizeof *subscription);
    if (subscription == NULL)
        return ms_lib_fail(err, MS_ENOMEM, "no memory for a subscription");
    subscription->store = store;
    subscription->on_event = given.on_event;
    subscription->on_live = given.on_live;
    subscription->on_end = given.on_end;
    subscription->context = given.context;
    pthread_mutex_init(&subscription->lock, NULL);
    pthread_cond_init(&subscription->cond, NULL);
    rc = open_lower(subscription, &given, err);
    if (rc != 0) {
        subscription_destroy(subscription);
        return rc;
    }
    enlist(subscription);
    if (pthread_create(&subscription->thread, NULL, subscription_main, subscription) != 0) {
        delist(subscription);
        subscription_destroy(subscription);
        return ms_lib_fail(err, MS_EAGAIN, "no thread can be started for a subscription");
    }
    *ret_subscription = subscription;
    return 0;
}

void mainstem_subscription_free(struct mainstem_subscription *subscription) {
    if (subscription == NULL)
        return;
    MS_ASSERT(!pthread_equal(pthread_self(), subscription->thread));
    atomic_store(&subscription->stop, true);
    wake(subscription);
    pthread_join(subscription->thread, NULL);
    delist(subscription);
    subscription_destroy(subscription);
}
