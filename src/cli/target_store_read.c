/* Reads of an embedded store, and subscriptions. See target.h. */
#include "base/time.h"
#include "cli/target_store.h"
#include "wire/event_json.h"

#define EVENT_TEXT_MAX ((size_t)512 << 20)
#define POLL_EVENTS 256

/* Turns events into text for the visitor. */
struct visiting {
    ms_target_event_fn *visit;
    void *context;
    struct ms_buf text;
    uint64_t count;
    int stopped; /* what the visitor said */
};

static void visiting_init(struct visiting *visiting, ms_target_event_fn *visit, void *context) {
    *visiting = (struct visiting){.visit = visit, .context = context};
    ms_buf_init(&visiting->text, EVENT_TEXT_MAX);
}

static void visiting_deinit(struct visiting *visiting) { ms_buf_deinit(&visiting->text); }

static int visit_event(void *context, const struct ms_read_event *event) {
    struct visiting *visiting = context;
    ms_buf_clear(&visiting->text);
    int rc = ms_event_write_json(&visiting->text, MS_FORMAT_JSON, &event->event, &event->place);
    if (rc == 0)
        rc = visiting->visit(visiting->context, ms_buf_bytes(&visiting->text));
    visiting->count++;
    visiting->stopped = rc;
    return rc;
}

/* ---- what is wanted ---- */

static int parse_time(const char *name, const char *text, int64_t *ret_ms, struct ms_error *err) {
    int64_t us;
    if (ms_time_parse(ms_bytes_cstr(text), &us) != 0)
        return ms_error_set(err, MS_EINVAL,
                            "--%s: \"%.64s\" is not a time such as 2026-11-23T10:52:54Z", name,
                            text);
    *ret_ms = us >= 0 ? us / 1000 : -((-us + 999) / 1000);
    return 0;
}

static int parse_travel(const struct ms_target_read *read, struct ms_time_travel *ret_travel,
                        struct ms_error *err) {
    struct ms_time_travel travel = {.kind = MS_AS_OF_NOW};
    int rc = 0;
    if (read->as_of && read->known_at)
        return ms_error_set(err, MS_EINVAL, "give --as-of or --known-at, not both");
    if (read->as_of && ms_parse_u64(ms_bytes_cstr(read->as_of), &travel.position) == 0) {
        travel.kind = MS_AS_OF_POSITION;
    } else if (read->as_of) {
        travel.kind = MS_AS_OF_TIME;
        rc = parse_time("as-of", read->as_of, &travel.time_ms, err);
    } else if (read->known_at) {
        travel.kind = MS_KNOWN_AT;
        rc = parse_time("known-at", read->known_at, &travel.time_ms, err);
    }
    if (rc == 0)
        *ret_travel = travel;
    return rc;
}

static struct ms_filter make_filter(const struct ms_target_read *read,
                                    const struct ms_bytes *topic) {
    return (struct ms_filter){
        .topics = topic,
        .topic_count = topic->data != NULL,
        .stream_prefix = ms_bytes_cstr(read->stream_prefix),
        .types = read->types,
        .type_count = read->type_count,
        .tags = read->tags,
        .tag_count = read->tag_count,
        .correlation_id = ms_bytes_cstr(read->correlation_id),
        .include_system = read->include_system,
    };
}

static size_t size_limit(uint64_t limit) { return limit < SIZE_MAX ? (size_t)limit : SIZE_MAX; }

/* ---- reading ---- */

static int stream_state_error(enum ms_stream_state state, const char *stream,
                              struct ms_error *err) {
    switch (state) {
    case MS_STREAM_LIVE:
        return 0;
    case MS_STREAM_NONE:
        return ms_error_set(err, MS_ENOTFOUND, "there is no stream %s", stream);
    case MS_STREAM_DELETED:
        return ms_error_set(err, MS_EDELETED, "the stream %s was deleted", stream);
    case MS_STREAM_TOMBSTONED:
        return ms_error_set(err, MS_ETOMBSTONED, "the stream %s was deleted for ever", stream);
    }
    MS_ASSERT(false); /* every state is listed above */
    return 0;
}

static int read_stream(struct ms_store_target *store, const struct ms_target_read *read,
                       struct visiting *visiting, struct ms_error *err) {
    struct ms_stream_read wanted = {
        .stream = ms_bytes_cstr(read->stream),
        .backward = read->backward,
        .from_end = !read->has_from && read->backward,
        .from = (int64_t)read->from,
    };
    int rc = parse_travel(read, &wanted.travel, err);
    while (rc == 0 && visiting->count < read->limit) {
        struct ms_stream_read_result result;
        wanted.limit = size_limit(read->limit - visiting->count);
        rc = ms_store_read_stream(store->store, &wanted, visit_event, visiting, &result, err);
        if (rc == 0)
            rc = stream_state_error(result.state, read->stream, err);
        if (rc != 0 || visiting->stopped || result.at_end || result.next < 0)
            break;
        wanted.from_end = false;
        wanted.from = result.next;
    }
    return rc;
}

static int read_all(struct ms_store_target *store, const struct ms_target_read *read,
                    struct visiting *visiting, struct ms_error *err) {
    struct ms_bytes topic = ms_bytes_cstr(read->topic);
    struct ms_all_read wanted = {
        .backward = read->backward,
        .from_end = !read->has_from && read->backward,
        .from = read->from,
        .filter = make_filter(read, &topic),
    };
    int rc = parse_travel(read, &wanted.travel, err);
    while (rc == 0 && visiting->count < read->limit) {
        struct ms_all_read_result result;
        wanted.limit = size_limit(read->limit - visiting->count);
        rc = ms_store_read_all(store->store, &wanted, visit_event, visiting, &result, err);
        if (rc != 0 || visiting->stopped || result.at_end)
            break;
        wanted.from_end = false;
        wanted.from = result.next;
    }
    return rc;
}

int ms_target_store_read(struct ms_target *target, const struct ms_target_read *read,
                         ms_target_event_fn *visit, void *context, struct ms_error *err) {
    struct ms_store_target *store = (struct ms_store_target *)target;
    struct visiting visiting;
    visiting_init(&visiting, visit, context);
    int rc = read->stream ? read_stream(store, read, &visiting, err)
                          : read_all(store, read, &visiting, err);
    visiting_deinit(&visiting);
    return rc < 0 ? rc : 0;
}

/* ---- subscribing ---- */

struct bell {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool rung;
};

static void ring(void *context) {
    struct bell *bell = context;
    pthread_mutex_lock(&bell->mutex);
    bell->rung = true;
    pthread_cond_signal(&bell->changed);
    pthread_mutex_unlock(&bell->mutex);
}

static void wait_for_bell(struct bell *bell) {
    pthread_mutex_lock(&bell->mutex);
    while (!bell->rung)
        pthread_cond_wait(&bell->changed, &bell->mutex);
    bell->rung = false;
    pthread_mutex_unlock(&bell->mutex);
}

static int follow(struct ms_subscription *subscription, struct bell *bell,
                  struct visiting *visiting, struct ms_error *err) {
    for (;;) {
        bool caught_up = false;
        int rc =
            ms_subscription_poll(subscription, POLL_EVENTS, visit_event, visiting, &caught_up, err);
        if (rc < 0 || visiting->stopped)
            return rc;
        if (caught_up)
            wait_for_bell(bell);
    }
}

int ms_target_store_subscribe(struct ms_target *target, const struct ms_target_read *read,
                              ms_target_event_fn *visit, void *context, struct ms_error *err) {
    struct ms_store_target *store = (struct ms_store_target *)target;
    struct bell bell = {.rung = false};
    pthread_mutex_init(&bell.mutex, NULL);
    pthread_cond_init(&bell.changed, NULL);
    struct ms_bytes topic = ms_bytes_cstr(read->topic);
    struct ms_subscription_options options = {
        .stream = ms_bytes_cstr(read->stream),
        .from_version = (int64_t)read->from,
        .from_position = read->from,
        .from_end = read->from_end,
        .filter = make_filter(read, &topic),
        .wake = ring,
        .context = &bell,
    };
    struct visiting visiting;
    visiting_init(&visiting, visit, context);
    struct ms_subscription *subscription;
    int rc = ms_subscription_new(store->store, &options, &subscription, err);
    if (rc == 0) {
        rc = follow(subscription, &bell, &visiting, err);
        ms_subscription_free(subscription);
    }
    visiting_deinit(&visiting);
    pthread_cond_destroy(&bell.changed);
    pthread_mutex_destroy(&bell.mutex);
    return rc < 0 ? rc : 0;
}
