/* A run of a store beside its model, and reading from both: every read is paged to its end and
 * compared event by event. For test_model.c. */
#pragma once

#include <cmocka.h>

#include "model.h"

#define REMEMBERED 32u

enum op {
    OP_ANY,
    OP_NONE,
    OP_EXISTS,
    OP_VERSION,
    OP_CHECK, /* no events */
    OP_MULTI,
    OP_QUERY,
    OP_DELETE,
    OP_TOMBSTONE,
    OP_METADATA,
    OP_READ_STREAM,
    OP_READ_ALL,
    OP_SNAPSHOT,
    OP_COUNT
};
static const char *const op_names[OP_COUNT] = {
    "any",    "none",      "exists",   "version",     "check",    "multi",   "query",
    "delete", "tombstone", "metadata", "read stream", "read all", "snapshot"};
#define REPEATED 31 /* in the place of a code */
#define CODES 32
static unsigned hits[OP_COUNT][CODES];

struct run {
    struct store_world w;
    struct model model;
    struct ms_random_seeded random;
    struct model_append sent[REMEMBERED]; /* to be sent again */
    size_t sent_count;
    unsigned next_id[MODEL_STREAMS];
    uint64_t seed;
    unsigned step;
};

static inline unsigned below(struct run *run, unsigned bound) {
    return (unsigned)ms_random_below(&run->random.random, bound);
}

static inline bool one_in(struct run *run, unsigned n) { return below(run, n) == 0; }

#define wrong(run, ...)                                                                            \
    do {                                                                                           \
        print_message("seed %llu step %u: ", (unsigned long long)(run)->seed, (run)->step);        \
        fail_msg(__VA_ARGS__);                                                                     \
    } while (0)

static inline const char *data_of(unsigned data) { return data == 0 ? "{\"n\":1}" : "{\"n\":2}"; }

/* ---- reading ---- */

/* What a read must give, in the order of the log. */
struct wanted {
    const struct model_event *events[MODEL_EVENTS_MAX];
    size_t count;
};

static inline void check_event(struct run *run, const struct seen_event *seen,
                               const struct model_event *right, const char *what) {
    char id[16];
    snprintf(id, sizeof id, "e%u", right->id);
    bool tombstone = right->type == MODEL_TOMBSTONE;
    const char *type = tombstone ? "$streamDeleted" : model_types[right->type];
    const char *tags = tombstone ? NULL : model_tags[right->tags];
    bool same = strcmp(seen->stream, model_names[right->stream]) == 0 &&
                seen->version == right->version && seen->position == right->position &&
                strcmp(seen->type, type) == 0 && (right->id == 0 || strcmp(seen->id, id) == 0) &&
                (tags == NULL ? seen->tags == NULL : strcmp(seen->tags, tags) == 0) &&
                (tombstone || (strlen(data_of(right->data)) == seen->data_len &&
                               memcmp(seen->data, data_of(right->data), seen->data_len) == 0));
    if (!same)
        wrong(run, "%s: got %s@%lld '%s' at %llu, right was %s@%lld '%s' at %llu", what,
              seen->stream, (long long)seen->version, seen->id, (unsigned long long)seen->position,
              model_names[right->stream], (long long)right->version, id,
              (unsigned long long)right->position);
}

static inline void check_events(struct run *run, const struct event_log *log,
                                const struct wanted *wanted, bool backward, const char *what) {
    if (log->count != wanted->count)
        wrong(run, "%s: %zu events, right were %zu", what, log->count, wanted->count);
    for (size_t i = 0; i < log->count; i++)
        check_event(run, &log->events[i], wanted->events[backward ? wanted->count - 1 - i : i],
                    what);
}

static inline void check_stream(struct run *run, unsigned stream,
                                const struct ms_stream_read *asked) {
    const struct model_stream *s = &run->model.streams[stream];
    struct ms_stream_read read = *asked;
    struct ms_stream_read_result result = {0};
    struct event_log log = {0};
    struct wanted wanted = {.count = 0};
    read.stream = ms_bytes_cstr(model_names[stream]);
    for (size_t i = 0; i < run->model.count; i++) {
        const struct model_event *event = &run->model.events[i];
        bool side = read.backward ? read.from_end || event->version <= read.from
                                  : !read.from_end && event->version >= read.from;
        bool time =
            read.travel.kind != MS_AS_OF_POSITION || event->position <= read.travel.position;
        if (event->stream == stream && side && time &&
            model_readable(&run->model, event, read.stored))
            wanted.events[wanted.count++] = event;
    }
    for (unsigned page = 0; !result.at_end; page++) {
        int rc =
            ms_store_read_stream(run->w.store, &read, event_log_take, &log, &result, &run->w.error);
        if (rc != 0 || page > MODEL_EVENTS_MAX)
            wrong(run, "reading %s: %s", model_names[stream], run->w.error.message);
        hits[OP_READ_STREAM][-rc]++;
        read.from = result.next;
        read.from_end = false;
    }
    check_events(run, &log, &wanted, read.backward, model_names[stream]);
    if (!read.stored && (result.head != s->head || result.state != model_state(s)))
        wrong(run, "reading %s: state %d head %lld", model_names[stream], (int)result.state,
              (long long)result.head);
    event_log_clear(&log);
}

static inline struct ms_time_travel some_travel(struct run *run) {
    if (run->model.count == 0 || !one_in(run, 4))
        return (struct ms_time_travel){.kind = MS_AS_OF_NOW};
    return (struct ms_time_travel){
        .kind = MS_AS_OF_POSITION,
        .position = run->model.events[below(run, (unsigned)run->model.count)].position};
}

static inline void do_read_stream(struct run *run) {
    unsigned stream = below(run, MODEL_STREAMS);
    struct ms_stream_read read = {
        .backward = one_in(run, 2),
        .from_end = one_in(run, 4),
        .from = (int64_t)below(run, (unsigned)(run->model.streams[stream].head + 3)),
        .limit = 1 + below(run, 10),
        .travel = some_travel(run),
        .stored = one_in(run, 5),
    };
    check_stream(run, stream, &read);
}

static inline bool filter_matches(const struct ms_filter *filter, unsigned tags,
                                  const struct model_event *event) {
    const char *name = model_names[event->stream];
    struct ms_bytes type = event->type == MODEL_TOMBSTONE ? MS_BYTES_LITERAL("$streamDeleted")
                                                          : ms_bytes_cstr(model_types[event->type]);
    bool any = filter->type_count == 0;
    for (size_t i = 0; i < filter->type_count; i++)
        any = any || ms_bytes_equal(filter->types[i], type);
    const char *dash = strchr(name, '-');
    struct ms_bytes topic =
        dash == NULL ? MS_BYTES_LITERAL("$streams") : ms_bytes_of(name, (size_t)(dash - name));
    bool of_topic = filter->topic_count == 0;
    for (size_t i = 0; i < filter->topic_count; i++)
        of_topic = of_topic || ms_bytes_equal(filter->topics[i], topic);
    return any && of_topic && ms_bytes_starts_with(ms_bytes_cstr(name), filter->stream_prefix) &&
           model_has_tags(event, tags);
}

static inline void check_all(struct run *run, const struct ms_all_read *asked, unsigned tags) {
    struct ms_all_read read = *asked;
    struct ms_all_read_result result = {0};
    struct event_log log = {0};
    struct wanted wanted = {.count = 0};
    for (size_t i = 0; i < run->model.count; i++) {
        const struct model_event *event = &run->model.events[i];
        bool side = read.backward ? read.from_end || event->position <= read.from
                                  : !read.from_end && event->position >= read.from;
        bool time =
            read.travel.kind != MS_AS_OF_POSITION || event->position <= read.travel.position;
        if (side && time && filter_matches(&read.filter, tags, event))
            wanted.events[wanted.count++] = event;
    }
    for (unsigned page = 0; !result.at_end; page++) {
        int rc =
            ms_store_read_all(run->w.store, &read, event_log_take, &log, &result, &run->w.error);
        if (rc != 0 || page > 4 * MODEL_EVENTS_MAX)
            wrong(run, "reading everything: %s", run->w.error.message);
        hits[OP_READ_ALL][-rc]++;
        read.from = result.next;
        read.from_end = false;
    }
    check_events(run, &log, &wanted, read.backward, "everything");
    event_log_clear(&log);
}

static inline void do_read_all(struct run *run) {
    static const char *const prefixes[] = {"a-", "a-3", "p"};
    static const char *const topic_names[] = {"a", "b", "none"};
    struct ms_bytes types[3], tags[2], topics[3];
    unsigned topic_mask = one_in(run, 3) ? below(run, 8) : 0;
    unsigned type_mask = one_in(run, 2) ? below(run, 8) : 0;
    unsigned tag_mask = one_in(run, 2) ? below(run, 4) : 0;
    struct ms_all_read read = {
        .backward = one_in(run, 2),
        .from_end = one_in(run, 3),
        .from = below(run, (unsigned)ms_store_end(run->w.store) + 2),
        .limit = 1 + below(run, 20),
        .scan_max = one_in(run, 3) ? 1 + below(run, 10) : 0,
        .travel = some_travel(run),
        .filter = {.types = types, .tags = tags, .topics = topics},
    };
    for (unsigned i = 0; i < 3; i++)
        if (type_mask >> i & 1)
            types[read.filter.type_count++] = ms_bytes_cstr(model_types[i]);
    for (unsigned i = 0; i < 2; i++)
        if (tag_mask >> i & 1)
            tags[read.filter.tag_count++] = ms_bytes_cstr(i == 0 ? "t1" : "t2");
    for (unsigned i = 0; i < 3 && topic_mask != 0; i++)
        if (topic_mask >> i & 1)
            topics[read.filter.topic_count++] = ms_bytes_cstr(topic_names[i]);
    if (one_in(run, 5))
        read.filter.stream_prefix = ms_bytes_cstr(prefixes[below(run, 3)]);
    check_all(run, &read, tag_mask);
}
