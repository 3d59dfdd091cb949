/* What is missing to a projection; see missing.h. */
#include "projection/missing.h"

#include <stdio.h>

/* ---- which topics it reads ---- */

static bool reads(const struct ms_projection_definition *definition, struct ms_bytes topic) {
    for (size_t i = 0; i < definition->source_count; i++)
        if (topic.data == NULL || ms_source_may_read(&definition->sources[i], topic))
            return true;
    return false;
}

/* ---- what is missing ---- */

struct search {
    struct ms_store *store;
    const struct ms_projection_definition *definition;
    uint64_t from, to;
    struct ms_missing missing;
    uint64_t first; /* the first position that was found */
    struct ms_error *err;
};

/* A topic whose name is known is told rather than one that is not. */
static int take_lost(void *context, const struct ms_lost *lost) {
    struct search *search = context;
    if (lost->last < search->from || lost->first > search->to ||
        !reads(search->definition, lost->topic))
        return 0;
    search->missing = (struct ms_missing){
        .any = true,
        .first = lost->first,
        .last = lost->last,
    };
    if (lost->first < search->first)
        search->first = lost->first;
    if (lost->topic.len > 0 && lost->topic.len <= MS_MISSING_TOPIC_MAX)
        memcpy(search->missing.topic, lost->topic.data, lost->topic.len);
    return 0;
}

int ms_missing_find(struct ms_store *store, const struct ms_projection_definition *definition,
                    uint64_t from, uint64_t to, struct ms_missing *ret_missing,
                    struct ms_error *err) {
    struct search search = {.definition = definition, .from = from, .to = to, .first = UINT64_MAX};
    int code = ms_store_lost(store, take_lost, &search, err);
    if (code == 0)
        *ret_missing = search.missing;
    return code;
}

void ms_missing_join(struct ms_missing *missing, const struct ms_missing *newer) {
    bool same = missing->any && newer->any && strcmp(missing->topic, newer->topic) == 0;
    if (same && newer->first < missing->first)
        missing->first = newer->first;
    if (same && newer->last > missing->last)
        missing->last = newer->last;
    if (newer->any && !same)
        *missing = *newer;
}

/* ---- the first that is needed ---- */

static int take_position(void *context, const struct ms_read_event *event) {
    uint64_t *first = context;
    if (event->place.position < *first)
        *first = event->place.position;
    return 1;
}

static int take_topic(void *context, const struct ms_topic_info *topic) {
    struct search *search = context;
    struct ms_all_read read = {.limit = 1, .filter = {.topics = &topic->name, .topic_count = 1}};
    struct ms_all_read_result result;
    bool hidden = topic->system && !ms_bytes_equal_cstr(topic->name, "$streams");
    if (hidden || topic->events == 0 || !reads(search->definition, topic->name))
        return 0;
    return ms_store_read_all(search->store, &read, take_position, &search->first, &result,
                             search->err);
}

int ms_missing_first_needed(struct ms_store *store,
                            const struct ms_projection_definition *definition,
                            uint64_t *ret_position, struct ms_error *err) {
    struct search search = {
        .store = store,
        .definition = definition,
        .to = UINT64_MAX,
        .first = ms_store_end(store),
        .err = err,
    };
    int code = ms_store_list_topics(store, true, take_topic, &search, err);
    if (code == 0)
        code = ms_store_lost(store, take_lost, &search, err);
    if (code == 0)
        *ret_position = search.first;
    return code;
}

/* ---- telling ---- */

void ms_missing_describe(const struct ms_missing *missing, char out[MS_MISSING_TEXT_MAX]) {
    unsigned long long first = missing->first, last = missing->last;
    char where[64];
    if (first == last)
        snprintf(where, sizeof where, "position %llu", first);
    else
        snprintf(where, sizeof where, "positions %llu to %llu", first, last);
    if (missing->topic[0] != '\0')
        snprintf(out, MS_MISSING_TEXT_MAX, "events of topic '%s' at %s were scavenged",
                 missing->topic, where);
    else
        snprintf(out, MS_MISSING_TEXT_MAX, "events at %s were removed, of which topic is not known",
                 where);
}

int ms_missing_refuse(const struct ms_missing *missing, struct ms_bytes projection,
                      struct ms_error *err) {
    char text[MS_MISSING_TEXT_MAX];
    ms_missing_describe(missing, text);
    return ms_error_set(err, MS_EINCOMPLETE,
                        "projection '%.*s' would be incomplete: %s; allow_incomplete goes on "
                        "without them",
                        MS_PLACE_SHOWN(projection), text);
}
