/*
 * Subscriptions: a place in a stream or in everything, and a waiter.
 *
 * Polling reads from the place; when nothing is left the waiter is armed and the read is done once
 * more, so that nothing published in between is missed. A slow subscriber costs nothing: what it
 * has not polled is in the log. Catching up and living are the same code, so there is no seam
 * between them.
 *
 * How far each is behind is worked out when metrics are asked for. One that has caught up and whose
 * waiter is still armed is not behind; only of the others is the end looked up.
 */
#include "base/alloc.h"
#include "store/internal.h"

#define POLL_SCAN_MAX 50000u

struct ms_subscription {
    struct ms_store *store;
    struct ms_waiter waiter;
    struct ms_arena arena;
    struct ms_bytes stream; /* absent: all */
    struct ms_filter filter;
    _Atomic(int64_t) next_version;
    _Atomic(uint64_t) next_position;
    _Atomic(bool) caught_up;
    bool id_known; /* of the stream, once there is its topic; under waiters->lock */
    struct ms_stream_id id;
    struct ms_subscription *next, **place; /* of the list in waiters, under its lock */
};

static int copy_list(struct ms_arena *arena, const struct ms_bytes **list, size_t count) {
    struct ms_bytes *copies = ms_arena_alloc(arena, (count + 1) * sizeof *copies);
    if (copies == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        char *text = ms_arena_strdup(arena, (*list)[i]);
        if (text == NULL)
            return MS_ENOMEM;
        copies[i] = ms_bytes_of(text, (*list)[i].len);
    }
    *list = copies;
    return 0;
}

static int copy_text(struct ms_arena *arena, struct ms_bytes *text) {
    if (text->data == NULL)
        return 0;
    char *copy = ms_arena_strdup(arena, *text);
    if (copy == NULL)
        return MS_ENOMEM;
    *text = ms_bytes_of(copy, text->len);
    return 0;
}

static int copy_filter(struct ms_subscription *subscription) {
    struct ms_filter *filter = &subscription->filter;
    int rc = copy_text(&subscription->arena, &filter->stream_prefix);
    if (rc == 0)
        rc = copy_text(&subscription->arena, &filter->correlation_id);
    if (rc == 0)
        rc = copy_list(&subscription->arena, &filter->topics, filter->topic_count);
    if (rc == 0)
        rc = copy_list(&subscription->arena, &filter->types, filter->type_count);
    if (rc == 0)
        rc = copy_list(&subscription->arena, &filter->tags, filter->tag_count);
    return rc;
}

/* A stream that doesn't exist yet may be waited for: its id needs its topic. */
static int aim_at_stream(struct ms_subscription *subscription,
                         const struct ms_subscription_options *options, struct ms_error *err) {
    struct ms_stream_ref ref;
    struct ms_arena arena;
    ms_arena_init(&arena, MS_NAME_ARENA_MAX);
    int rc = ms_stream_find(subscription->store, subscription->stream, &arena, &ref, err);
    ms_arena_deinit(&arena);
    if (rc == 0) {
        subscription->waiter.stream = subscription->id = ref.id;
        subscription->id_known = true;
    }
    if (rc == MS_ENOTFOUND) { /* the topic may appear with any append: wake for all of them */
        subscription->waiter.all = true;
        rc = 0;
    }
    struct ms_stream_read read = {.stream = subscription->stream, .from_end = true};
    struct ms_stream_read_result result;
    if (rc == 0 && options->from_end) {
        rc = ms_store_read_stream(subscription->store, &read, NULL, NULL, &result, err);
        subscription->next_version = rc == 0 ? result.head + 1 : 0;
    }
    return rc;
}

static void enlist(struct ms_subscription *subscription) {
    struct ms_waiters *waiters = &subscription->store->waiters;
    pthread_mutex_lock(&waiters->lock);
    subscription->next = waiters->subscriptions;
    subscription->place = &waiters->subscriptions;
    if (subscription->next != NULL)
        subscription->next->place = &subscription->next;
    waiters->subscriptions = subscription;
    atomic_fetch_add(&subscription->store->subscriptions, 1);
    pthread_mutex_unlock(&waiters->lock);
}

static void delist(struct ms_subscription *subscription) {
    struct ms_waiters *waiters = &subscription->store->waiters;
    pthread_mutex_lock(&waiters->lock);
    *subscription->place = subscription->next;
    if (subscription->next != NULL)
        subscription->next->place = subscription->place;
    atomic_fetch_sub(&subscription->store->subscriptions, 1);
    pthread_mutex_unlock(&waiters->lock);
}

int ms_subscription_new(struct ms_store *store, const struct ms_subscription_options *options,
                        struct ms_subscription **ret_subscription, struct ms_error *err) {
    struct ms_subscription *subscription = ms_calloc(1, sizeof *subscription);
    if (subscription == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a subscription");
    subscription->store = store;
    subscription->filter = options->filter;
    subscription->stream = options->stream;
    subscription->next_version = options->from_version;
    subscription->next_position = options->from_end ? ms_store_end(store) : options->from_position;
    subscription->waiter.wake = options->wake;
    subscription->waiter.context = options->context;
    subscription->waiter.all = options->stream.data == NULL;
    ms_arena_init(&subscription->arena, (size_t)1 << 20);
    int rc = copy_text(&subscription->arena, &subscription->stream);
    if (rc == 0)
        rc = copy_filter(subscription);
    if (rc != 0)
        rc = ms_error_set(err, rc, "no memory for a subscription");
    if (rc == 0 && subscription->stream.data != NULL)
        rc = aim_at_stream(subscription, options, err);
    if (rc != 0) {
        ms_arena_deinit(&subscription->arena);
        ms_free(subscription);
        return ms_error_settle(err, rc, "subscription");
    }
    enlist(subscription);
    *ret_subscription = subscription;
    return 0;
}

void ms_subscription_free(struct ms_subscription *subscription) {
    if (subscription == NULL)
        return;
    ms_waiter_disarm(&subscription->store->waiters, &subscription->waiter);
    delist(subscription);
    ms_arena_deinit(&subscription->arena);
    ms_free(subscription);
}

int64_t ms_subscription_next_version(const struct ms_subscription *subscription) {
    return subscription->next_version;
}

uint64_t ms_subscription_next_position(const struct ms_subscription *subscription) {
    return subscription->next_position;
}

struct polling {
    struct ms_subscription *subscription;
    ms_read_fn *visit;
    void *context;
    size_t left;
    bool stopped;
};

static int take_event(void *context, const struct ms_read_event *event) {
    struct polling *polling = context;
    int rc = polling->visit(polling->context, event);
    if (rc < 0)
        return rc;
    polling->subscription->next_version = event->place.version + 1;
    polling->subscription->next_position = event->place.position + 1;
    polling->left--;
    polling->stopped = rc > 0 || polling->left == 0;
    return rc;
}

static void learn_id(struct ms_subscription *subscription) {
    struct ms_waiters *waiters = &subscription->store->waiters;
    struct ms_stream_ref ref;
    struct ms_arena arena;
    ms_arena_init(&arena, MS_NAME_ARENA_MAX);
    if (ms_stream_find(subscription->store, subscription->stream, &arena, &ref, NULL) == 0) {
        pthread_mutex_lock(&waiters->lock);
        subscription->id = ref.id;
        subscription->id_known = true;
        pthread_mutex_unlock(&waiters->lock);
    }
    ms_arena_deinit(&arena);
}

static int poll_stream(struct polling *polling, bool *ret_end, struct ms_error *err) {
    struct ms_subscription *subscription = polling->subscription;
    struct ms_stream_read read = {
        .stream = subscription->stream,
        .from = subscription->next_version,
        .limit = polling->left,
    };
    struct ms_stream_read_result result;
    if (!subscription->id_known)
        learn_id(subscription);
    int rc = ms_store_read_stream(subscription->store, &read, take_event, polling, &result, err);
    if (rc != 0)
        return rc;
    if (result.state == MS_STREAM_TOMBSTONED)
        return ms_error_set(err, MS_ETOMBSTONED, "the stream was tombstoned");
    if (result.next > subscription->next_version && result.state == MS_STREAM_LIVE)
        subscription->next_version = result.next;
    *ret_end = result.at_end || result.state != MS_STREAM_LIVE;
    return 0;
}

static int poll_all(struct polling *polling, bool *ret_end, struct ms_error *err) {
    struct ms_subscription *subscription = polling->subscription;
    struct ms_all_read read = {
        .from = subscription->next_position,
        .limit = polling->left,
        .scan_max = POLL_SCAN_MAX,
        .filter = subscription->filter,
    };
    struct ms_all_read_result result;
    int rc = ms_store_read_all(subscription->store, &read, take_event, polling, &result, err);
    if (rc == 0) {
        subscription->next_position = result.next;
        *ret_end = result.at_end;
    }
    return rc;
}

static int poll_once(struct polling *polling, bool *ret_end, struct ms_error *err) {
    return polling->subscription->stream.data != NULL ? poll_stream(polling, ret_end, err)
                                                      : poll_all(polling, ret_end, err);
}

int ms_subscription_poll(struct ms_subscription *subscription, size_t limit, ms_read_fn *visit,
                         void *context, bool *ret_caught_up, struct ms_error *err) {
    struct polling polling = {
        .subscription = subscription, .visit = visit, .context = context, .left = limit};
    bool end = false;
    atomic_store(&subscription->caught_up, false);
    int rc = poll_once(&polling, &end, err);
    if (rc == 0 && end && !polling.stopped) {
        ms_waiter_arm(&subscription->store->waiters, &subscription->waiter);
        end = false;
        rc = poll_once(&polling, &end, err);
    }
    if (rc != 0)
        return ms_error_settle(err, rc, "subscription");
    *ret_caught_up = end && !polling.stopped;
    atomic_store(&subscription->caught_up, *ret_caught_up);
    return 0;
}

/* ---- how far they are behind ---- */

struct behind {
    struct ms_stream_id stream;
    bool all;
    int64_t next_version;
    uint64_t next_position;
};

/* Those that may be behind, in memory to be freed. Without memory: none. */
static size_t copy_behind(struct ms_store *store, struct behind **ret_behind) {
    struct ms_waiters *waiters = &store->waiters;
    size_t count = 0;
    pthread_mutex_lock(&waiters->lock);
    struct behind *behind = ms_calloc(atomic_load(&store->subscriptions) + 1, sizeof *behind);
    for (struct ms_subscription *s = waiters->subscriptions; behind != NULL && s != NULL;
         s = s->next) {
        bool all = s->stream.data == NULL;
        if ((s->waiter.place != NULL && atomic_load(&s->caught_up)) || (!all && !s->id_known))
            continue;
        behind[count++] = (struct behind){
            .stream = s->id,
            .all = all,
            .next_version = atomic_load(&s->next_version),
            .next_position = atomic_load(&s->next_position),
        };
    }
    pthread_mutex_unlock(&waiters->lock);
    *ret_behind = behind;
    return count;
}

static uint64_t lag_of(struct ms_store *store, const struct behind *behind) {
    struct ms_head head;
    if (behind->all) {
        uint64_t end = ms_store_end(store);
        return end > behind->next_position ? end - behind->next_position : 0;
    }
    if (ms_heads_resolve(store, &behind->stream, &head, NULL) != 0 ||
        ms_head_state(head.version, &head.rules) != MS_STREAM_LIVE)
        return 0;
    int64_t first = ms_head_first_readable(&head);
    int64_t next = behind->next_version > first ? behind->next_version : first;
    return head.version >= next ? (uint64_t)(head.version - next) + 1 : 0;
}

void ms_subscriptions_lag(struct ms_store *store, struct ms_subscription_lag *ret_lag) {
    struct behind *behind;
    size_t count = copy_behind(store, &behind);
    *ret_lag = (struct ms_subscription_lag){0};
    for (size_t i = 0; i < count; i++) {
        uint64_t lag = lag_of(store, &behind[i]);
        ret_lag->sum += lag;
        if (lag > ret_lag->max)
            ret_lag->max = lag;
    }
    ms_free(behind);
}
