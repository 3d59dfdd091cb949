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

/* Of a definition with more of them the store is not asked to look for them. */
#define NAMES_MAX 64u

/* What the store can tell without us: nothing that is needed lies outside of it. */
struct selection {
    struct ms_bytes topics[NAMES_MAX], types[NAMES_MAX];
    struct ms_filter filter;
};

/* Patterns that begin with the same name select more than one: false. */
static bool add_name(struct ms_bytes *names, size_t *count, const struct ms_name_pattern *pattern) {
    if (pattern->is_prefix || *count == NAMES_MAX)
        return false;
    names[(*count)++] = pattern->text;
    return true;
}

/* With all sources of that kind, and spelled out. */
static size_t select_sources(const struct ms_projection_definition *definition,
                             enum ms_source_kind kind, struct ms_bytes *names) {
    size_t count = 0;
    for (size_t i = 0; i < definition->source_count; i++)
        if (definition->sources[i].kind != kind ||
            !add_name(names, &count, &definition->sources[i].name))
            return 0;
    return count;
}

static size_t select_handled(const struct ms_projection_definition *definition,
                             struct ms_bytes *names) {
    size_t count = 0;
    for (size_t i = 0; i < definition->handler_count; i++)
        for (size_t k = 0; k < definition->handlers[i].type_count; k++)
            if (!add_name(names, &count, &definition->handlers[i].types[k]))
                return 0;
    return count;
}

static void select_needed(const struct ms_projection_definition *definition,
                          struct selection *ret_selection) {
    struct ms_filter *filter = &ret_selection->filter;
    const struct ms_source *first = &definition->sources[0];
    *filter = (struct ms_filter){.topics = ret_selection->topics, .types = ret_selection->types};
    filter->topic_count = select_sources(definition, MS_SOURCE_TOPIC, ret_selection->topics);
    filter->type_count = select_handled(definition, ret_selection->types);
    if (filter->type_count == 0)
        filter->type_count = select_sources(definition, MS_SOURCE_TYPE, ret_selection->types);
    if (definition->source_count == 1 && first->kind == MS_SOURCE_STREAM)
        filter->stream_prefix = first->name.text;
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
    struct selection needed;
    select_needed(definition, &needed);
    struct ms_subscription_options options = {
        .from_position = from,
        .filter = needed.filter, /* copied */
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
    struct selection needed;
    select_needed(definition, &needed);
    struct ms_all_read read = {.limit = FOLD_SCAN, .travel = *travel, .filter = needed.filter};
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
