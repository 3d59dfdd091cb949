/* The events that a projection needs; see feed.h. */
#include "projection/feed.h"

#include "base/alloc.h"

#define FOLD_SCAN 100000u

struct ms_feed {
    struct ms_matcher *matcher;
    struct ms_subscription *subscription;
    ms_feed_fn *visit; /* during a poll */
    void *context;
};

/* What the store can tell without us. */
static struct ms_filter filter_of(const struct ms_projection_definition *definition) {
    struct ms_filter filter = {0};
    const struct ms_source *source = &definition->sources[0];
    if (definition->source_count == 1 && source->kind == MS_SOURCE_TOPIC && !source->name.is_prefix)
        filter.topic = source->name.text;
    return filter;
}

static int visit_event(void *context, const struct ms_read_event *event) {
    struct ms_feed *feed = context;
    const struct ms_event_place *place = &event->place;
    struct ms_matcher_handlers handlers =
        ms_matcher_needs(feed->matcher, place->topic, place->stream, event->event.type);
    return handlers.count > 0 ? feed->visit(feed->context, event, handlers) : 0;
}

int ms_feed_new(struct ms_store *store, const struct ms_projection_definition *definition,
                uint64_t from, void (*wake)(void *context), void *context,
                struct ms_feed **ret_feed, struct ms_error *err) {
    struct ms_feed *feed = ms_calloc(1, sizeof *feed);
    struct ms_subscription_options options = {
        .from_position = from,
        .filter = filter_of(definition),
        .wake = wake,
        .context = context,
    };
    int code = feed != NULL ? ms_matcher_new(definition, &feed->matcher) : MS_ENOMEM;
    if (code == 0)
        code = ms_subscription_new(store, &options, &feed->subscription, err);
    else
        code = ms_error_set(err, code, "no memory to follow the log for a projection");
    if (code != 0) {
        ms_feed_free(feed);
        return code;
    }
    *ret_feed = feed;
    return 0;
}

void ms_feed_free(struct ms_feed *feed) {
    if (feed == NULL)
        return;
    ms_subscription_free(feed->subscription);
    ms_matcher_free(feed->matcher);
    ms_free(feed);
}

int ms_feed_poll(struct ms_feed *feed, size_t limit, ms_feed_fn *visit, void *context,
                 bool *ret_caught_up, struct ms_error *err) {
    feed->visit = visit;
    feed->context = context;
    return ms_subscription_poll(feed->subscription, limit, visit_event, feed, ret_caught_up, err);
}

uint64_t ms_feed_next(const struct ms_feed *feed) {
    return ms_subscription_next_position(feed->subscription);
}

int ms_feed_fold(struct ms_store *store, const struct ms_projection_definition *definition,
                 const struct ms_time_travel *travel, ms_feed_fn *visit, void *context,
                 struct ms_error *err) {
    struct ms_feed feed = {.visit = visit, .context = context};
    struct ms_all_read read = {
        .limit = FOLD_SCAN, .travel = *travel, .filter = filter_of(definition)};
    struct ms_all_read_result result = {0};
    int code = ms_matcher_new(definition, &feed.matcher);
    if (code != 0)
        return ms_error_set(err, code, "no memory to fold the log for a projection");
    while (code == 0 && !result.at_end) {
        code = ms_store_read_all(store, &read, visit_event, &feed, &result, err);
        read.from = result.next;
    }
    ms_matcher_free(feed.matcher);
    return code;
}
