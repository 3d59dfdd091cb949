/*
 * What a store must answer, worked out the slow way: every event ever appended in one array, every
 * question a walk over it. Semantics from docs/reference/conditions.md; nothing here is shared with
 * src/store. Where several parts of an append are wrong at once, any of their codes is right: a set
 * of codes is a mask of model_bit().
 */
#pragma once

#include <stdio.h>

#include "support/store_world.h"

#define MODEL_STREAMS 6u
#define MODEL_EVENTS_MAX 2048u
#define MODEL_IDS 200u /* ids are 1 … of a stream; 0: the client gave none */
#define MODEL_PART_EVENTS_MAX 4u
#define MODEL_PARTS_MAX 3u
#define MODEL_OLD_MS INT64_C(1000)            /* hidden by any $maxAge here */
#define MODEL_YOUNG_MS INT64_C(4000000000000) /* never */

static const char *const model_names[MODEL_STREAMS] = {"a-1", "a-2", "b-1", "b-2", "plain", "a-30"};
static const char *const model_types[] = {"made", "changed", "gone"};
static const char *const model_tags[] = {NULL, "t1", "t1,t2"};
#define MODEL_TOMBSTONE 3u /* a type of its own */

struct model_event {
    unsigned stream, id, data, type, tags;
    bool old;
    int64_t version;
    uint64_t position;
};

struct model_stream {
    int64_t head, deleted_head;
    bool tombstoned;
    int64_t truncate_before, max_count;
    bool max_age;
    int64_t metadata_version, snapshot_version;
    int64_t window[MODEL_IDS]; /* the newest version under an id, -1 none */
};

struct model {
    struct model_event events[MODEL_EVENTS_MAX];
    size_t count;
    struct model_stream streams[MODEL_STREAMS];
};

struct model_part {
    unsigned stream;
    struct ms_condition condition;
    struct model_event events[MODEL_PART_EVENTS_MAX];
    size_t count;
};

struct model_query {
    unsigned types; /* masks of what is named; type: any of, tag 1 and 2: all of */
    unsigned tags;
    uint64_t after;
    bool after_none;
};

struct model_append {
    struct model_part parts[MODEL_PARTS_MAX];
    size_t count;
    bool has_query;
    struct model_query query;
};

struct model_answer {
    uint32_t codes; /* those that are right; bit 0: 0 */
    bool repeated;
    int64_t first_version[MODEL_PARTS_MAX], version[MODEL_PARTS_MAX];
    uint64_t position; /* of a repeat */
};

static inline uint32_t model_bit(int code) { return UINT32_C(1) << -code; }

static inline void model_init(struct model *m) {
    *m = (struct model){0};
    for (size_t s = 0; s < MODEL_STREAMS; s++) {
        m->streams[s] = (struct model_stream){
            .head = -1, .deleted_head = -1, .metadata_version = -1, .snapshot_version = -1};
        for (size_t i = 0; i < MODEL_IDS; i++)
            m->streams[s].window[i] = -1;
    }
}

static inline enum ms_stream_state model_state(const struct model_stream *s) {
    if (s->tombstoned)
        return MS_STREAM_TOMBSTONED;
    if (s->head < 0)
        return MS_STREAM_NONE;
    return s->deleted_head == s->head ? MS_STREAM_DELETED : MS_STREAM_LIVE;
}

static inline const struct model_event *model_at(const struct model *m, unsigned stream,
                                                 int64_t version) {
    for (size_t i = 0; i < m->count; i++)
        if (m->events[i].stream == stream && m->events[i].version == version)
            return &m->events[i];
    return NULL;
}

static inline bool model_holds(const struct ms_condition *condition, const struct model_stream *s) {
    enum ms_stream_state state = model_state(s);
    if (state == MS_STREAM_TOMBSTONED)
        return false;
    switch (condition->kind) {
    case MS_EXPECT_ANY:
        return true;
    case MS_EXPECT_NONE:
        return state != MS_STREAM_LIVE;
    case MS_EXPECT_EXISTS:
        return state == MS_STREAM_LIVE || (state == MS_STREAM_NONE && s->metadata_version >= 0);
    case MS_EXPECT_VERSION:
        return s->head >= 0 && s->head == condition->version;
    case MS_EXPECT_LIVE_VERSION:
        return state == MS_STREAM_LIVE && s->head == condition->version;
    }
    return false;
}

/* ---- one part of an append ---- */

enum model_verdict { FRESH, CHECKED, SAME, OTHER_DATA, MIXED, CONFLICT, CHECK_FAILED };

/* Do the part's events stand at `first`, with their ids? */
static inline enum model_verdict model_compare(const struct model *m, const struct model_part *part,
                                               int64_t first) {
    for (size_t i = 0; i < part->count; i++) {
        const struct model_event *stored = model_at(m, part->stream, first + (int64_t)i);
        if (stored == NULL || stored->id == 0 || stored->id != part->events[i].id)
            return CONFLICT;
        if (stored->data != part->events[i].data || stored->type != part->events[i].type)
            return OTHER_DATA;
    }
    return SAME;
}

static inline enum model_verdict model_resend_exact(const struct model *m,
                                                    const struct model_part *part, int64_t *first) {
    const struct model_stream *s = &m->streams[part->stream];
    *first =
        part->condition.kind == MS_EXPECT_NONE ? s->deleted_head + 1 : part->condition.version + 1;
    bool exact =
        part->condition.kind == MS_EXPECT_NONE || part->condition.kind == MS_EXPECT_VERSION;
    if (!exact || s->tombstoned || part->count == 0 || *first + (int64_t)part->count - 1 > s->head)
        return CONFLICT;
    for (size_t i = 0; i < part->count; i++)
        if (part->events[i].id == 0) /* an event without an id was never sent before */
            return CONFLICT;
    return model_compare(m, part, *first);
}

static inline enum model_verdict model_resend_weak(const struct model *m,
                                                   const struct model_part *part, int64_t *first) {
    const struct model_stream *s = &m->streams[part->stream];
    size_t known = 0;
    bool row = true;
    for (size_t i = 0; i < part->count; i++) {
        int64_t version = part->events[i].id == 0 ? -1 : s->window[part->events[i].id];
        if (version < 0)
            continue;
        *first = known++ == 0 ? version : *first;
        row = row && version == *first + (int64_t)i;
    }
    if (known == 0)
        return FRESH;
    return known == part->count && row ? model_compare(m, part, *first) : MIXED;
}

/* Where the stream was reopened is forgotten when metadata is put after a deletion. */
static inline enum model_verdict model_resend_reopening(const struct model *m,
                                                        const struct model_part *part,
                                                        int64_t *first) {
    const struct model_stream *s = &m->streams[part->stream];
    enum model_verdict verdict = FRESH;
    if (part->condition.kind == MS_EXPECT_NONE && !s->tombstoned && s->deleted_head < 0 &&
        s->metadata_version > 0)
        verdict = model_resend_weak(m, part, first);
    return verdict == FRESH || verdict == MIXED ? model_resend_exact(m, part, first) : verdict;
}

static inline enum model_verdict model_judge_part(const struct model *m,
                                                  const struct model_part *part, int64_t *first) {
    const struct model_stream *s = &m->streams[part->stream];
    if (!model_holds(&part->condition, s)) {
        enum model_verdict verdict = model_resend_reopening(m, part, first);
        return verdict == CONFLICT && part->count == 0 ? CHECK_FAILED : verdict;
    }
    if (part->count == 0)
        return CHECKED;
    bool reopens = part->condition.kind == MS_EXPECT_NONE && s->head >= 0;
    bool weak = part->condition.kind == MS_EXPECT_ANY || part->condition.kind == MS_EXPECT_EXISTS;
    return weak || reopens ? model_resend_weak(m, part, first) : FRESH;
}

/* ---- an append ---- */

static inline bool model_has_tags(const struct model_event *event, unsigned tags) {
    unsigned has = event->tags == 0 ? 0 : event->tags == 1 ? 1 : 3;
    return (has & tags) == tags;
}

static inline bool model_query_matches(const struct model_query *query,
                                       const struct model_event *event) {
    bool counts = query->after_none || event->position > query->after;
    bool type = query->types == 0 || (query->types >> event->type & 1) != 0;
    return counts && type && model_has_tags(event, query->tags);
}

static inline bool model_id_twice(const struct model_part *part) {
    for (size_t i = 0; i < part->count; i++)
        for (size_t j = 0; j < i; j++)
            if (part->events[i].id != 0 && part->events[i].id == part->events[j].id)
                return true;
    return false;
}

static inline int model_conflict(const struct model *m, const struct model_part *part) {
    return m->streams[part->stream].tombstoned ? MS_ETOMBSTONED : MS_ECONFLICT;
}

/* Which codes are right for what the parts were judged to be; 0: it is appended. */
static inline uint32_t model_refusals(const struct model *m, const struct model_append *append,
                                      const enum model_verdict *verdicts, bool *ret_repeated) {
    uint32_t hard = 0, checks = 0, half = 0, resend = 0;
    size_t fresh = 0, repeats = 0;
    for (size_t i = 0; i < append->count; i++) {
        const struct model_part *part = &append->parts[i];
        bool holds = model_holds(&part->condition, &m->streams[part->stream]);
        int conflict = model_conflict(m, part);
        switch (verdicts[i]) {
        case FRESH:
            fresh++;
            break;
        case CHECKED:
            break;
        case SAME:
        case OTHER_DATA:
            repeats++;
            half |= model_bit(holds ? MS_EIDCONFLICT : conflict);
            resend |= verdicts[i] == OTHER_DATA ? model_bit(MS_EIDCONFLICT) : 0;
            break;
        case MIXED:
            hard |= model_bit(MS_EIDCONFLICT);
            break;
        case CONFLICT:
            hard |= model_bit(conflict);
            break;
        case CHECK_FAILED:
            checks |= model_bit(conflict);
            break;
        }
    }
    *ret_repeated = hard == 0 && repeats > 0 && fresh == 0 && resend == 0;
    if (hard != 0) /* an exact part beside it may look like a half resend: either is right */
        return hard | (repeats > 0 ? half | resend : 0);
    if (repeats > 0)
        return fresh > 0 ? half | resend : resend;
    return checks;
}

static inline void model_add(struct model *m, const struct model_event *event, uint64_t position) {
    struct model_stream *s = &m->streams[event->stream];
    MS_ASSERT(m->count < MODEL_EVENTS_MAX);
    MS_ASSERT(m->count == 0 || m->events[m->count - 1].position < position);
    m->events[m->count] = *event;
    m->events[m->count].version = ++s->head;
    m->events[m->count++].position = position;
    if (event->id != 0)
        s->window[event->id] = s->head;
}

/* What the append must be answered with. Changes nothing. */
static inline struct model_answer model_judge(const struct model *m,
                                              const struct model_append *append) {
    struct model_answer answer = {0};
    enum model_verdict verdicts[MODEL_PARTS_MAX];
    for (size_t i = 0; i < append->count; i++) {
        const struct model_part *part = &append->parts[i];
        int64_t first = 0, head = m->streams[part->stream].head;
        if (model_id_twice(part))
            return (struct model_answer){.codes = model_bit(MS_EINVAL)};
        verdicts[i] = model_judge_part(m, part, &first);
        bool repeat = verdicts[i] == SAME;
        answer.first_version[i] = repeat ? first : head + 1;
        answer.version[i] = (repeat ? first - 1 : head) + (int64_t)part->count;
        if (repeat)
            answer.position = model_at(m, part->stream, answer.version[i])->position;
        if (part->count == 0)
            answer.first_version[i] = head;
    }
    answer.codes = model_refusals(m, append, verdicts, &answer.repeated);
    for (size_t i = 0; answer.codes == 0 && !answer.repeated && append->has_query && i < m->count;
         i++)
        if (model_query_matches(&append->query, &m->events[i]))
            answer.codes = model_bit(MS_EQUERYCONDITION);
    if (answer.codes == 0)
        answer.codes = model_bit(0);
    return answer;
}

/* ---- reading ---- */

static inline bool model_readable(const struct model *m, const struct model_event *event,
                                  bool stored) {
    const struct model_stream *s = &m->streams[event->stream];
    if (stored)
        return true;
    return model_state(s) == MS_STREAM_LIVE && event->version >= s->truncate_before &&
           event->version > s->deleted_head && !(s->max_age && event->old) &&
           (s->max_count == 0 || event->version > s->head - s->max_count);
}
