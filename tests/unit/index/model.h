/* A naive model of the index: everything that was folded, in arrays, looked up by reading all of
 * it; and a generator of histories with what real ones have: hot and cold streams, batches, commit
 * times that stand still, transactions whose offsets come late. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "index/index.h"

#define MODEL_APPENDS_MAX 20000
#define MODEL_STREAMS 12
#define MODEL_TERMS 10
#define MODEL_TERMS_PER_APPEND 4
#define MODEL_FACTS 40
#define MODEL_PARTITIONS 4
#define MODEL_LATE_MAX 8

struct model_append {
    struct ms_index_append append;
    uint64_t terms[MODEL_TERMS_PER_APPEND];
    uint64_t next; /* of the call that folded it */
};

struct model_fact {
    char name[16];
    char value[64];
    bool known;
};

/* A transaction's offsets: taken, and not committed yet. */
struct model_late {
    uint32_t topic;
    uint16_t partition;
    int64_t first_offset;
    uint32_t count;
};

struct model {
    uint64_t random;
    struct model_append *appends;
    size_t count;
    uint64_t next;
    int64_t versions[MODEL_STREAMS]; /* last one */
    uint64_t cold;                   /* streams of one append made so far */
    int64_t offsets[MODEL_PARTITIONS];
    struct model_late late[MODEL_LATE_MAX];
    size_t late_count;
    int64_t time_ms;
    struct model_fact facts[MODEL_FACTS];
    unsigned record_max;  /* records in one append */
    unsigned gap_chance;  /* in 100: offsets that never come */
    unsigned late_chance; /* in 100: an append is a transaction's */
    int flush_failure;    /* what the next fold has to report, once */
};

static inline uint64_t model_random(struct model *model, uint64_t bound) {
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (model->random >> 11) % bound;
}

static inline struct model *model_new(uint64_t seed) {
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    model->appends = calloc(MODEL_APPENDS_MAX, sizeof *model->appends);
    assert_non_null(model->appends);
    model->random = seed * 0x9e3779b97f4a7c15u + 1;
    model->record_max = 5;
    model->gap_chance = 3;
    model->late_chance = 5;
    model->time_ms = 1000;
    for (size_t i = 0; i < MODEL_STREAMS; i++)
        model->versions[i] = -1;
    return model;
}

static inline void model_free(struct model *model) {
    free(model->appends);
    free(model);
}

static inline struct ms_stream_id model_stream(uint64_t number) {
    struct ms_hash128 hash = ms_hash128(&number, sizeof number, 7);
    struct ms_stream_id stream;
    memcpy(stream.bytes, hash.bytes, sizeof stream.bytes);
    return stream;
}

static inline uint64_t model_term(uint64_t number) {
    return ms_index_term(MS_TERM_TYPE, ms_bytes_of(&number, sizeof number));
}

static inline struct ms_uuid model_uuid(uint8_t byte) {
    struct ms_uuid uuid;
    memset(uuid.bytes, byte, sizeof uuid.bytes);
    return uuid;
}

static inline uint32_t model_topic(size_t partition) { return partition < 2 ? 1 : 70000; }

/* Gives the append its partition and offsets; most follow the ones before. */
static inline void model_place(struct model *model, struct ms_index_append *append) {
    size_t number = model_random(model, MODEL_PARTITIONS);
    if (model->late_count && model_random(model, 10) == 0) {
        struct model_late *late = &model->late[model_random(model, model->late_count)];
        append->topic = late->topic;
        append->partition = late->partition;
        append->first_offset = late->first_offset;
        append->record_count = late->count;
        *late = model->late[--model->late_count];
        return;
    }
    append->topic = model_topic(number);
    append->partition = (uint16_t)(number % 2);
    if (model_random(model, 100) < model->gap_chance)
        model->offsets[number] +=
            (int64_t)(model_random(model, 20) ? model_random(model, 20) : 6000);
    if (model->late_count < MODEL_LATE_MAX && model_random(model, 100) < model->late_chance) {
        struct model_late *late = &model->late[model->late_count++];
        late->topic = append->topic;
        late->partition = append->partition;
        late->first_offset = model->offsets[number];
        late->count = 1 + (uint32_t)model_random(model, model->record_max);
        model->offsets[number] += late->count;
    }
    append->first_offset = model->offsets[number];
    model->offsets[number] += append->record_count;
}

static inline void model_name_stream(struct model *model, struct ms_index_append *append) {
    uint64_t kind = model_random(model, 10);
    append->has_stream = kind != 0;
    if (kind < 3) {
        append->stream = model_stream(1000 + model->cold++);
        append->last_version = append->record_count - 1;
    } else {
        /* The first stream is hot. */
        size_t stream = kind < 6 ? 0 : model_random(model, MODEL_STREAMS);
        append->stream = model_stream(stream);
        model->versions[stream] += append->record_count;
        append->last_version = model->versions[stream];
    }
}

static inline void model_make_append(struct model *model) {
    assert_true(model->count < MODEL_APPENDS_MAX);
    struct model_append *made = &model->appends[model->count++];
    struct ms_index_append *append = &made->append;
    *made = (struct model_append){0};
    append->record_count = 1 + (uint32_t)model_random(model, model->record_max);
    model_place(model, append);
    model_name_stream(model, append);
    append->position = model->next;
    model->next += append->record_count;
    model->time_ms += (int64_t)(model_random(model, 3) ? 0 : model_random(model, 150));
    append->commit_time_ms = model->time_ms;
    made->terms[append->term_count++] = model_term(model_random(model, 2));
    if (model_random(model, 2))
        made->terms[append->term_count++] = model_term(2 + model_random(model, MODEL_TERMS - 2));
    if (model_random(model, 2))
        made->terms[append->term_count++] = model_term(1000 + model->count / 2);
    append->terms = made->terms;
}

/* Folds `appends` new ones and up to `facts` changes of facts into model and index. */
static inline void model_apply(struct model *model, struct ms_index *index, size_t appends,
                               size_t facts) {
    struct ms_index_append batch[64];
    struct ms_index_fact changes[16];
    assert_true(appends <= 64 && facts <= 16);
    size_t first = model->count;
    for (size_t i = 0; i < appends; i++) {
        model_make_append(model);
        batch[i] = model->appends[model->count - 1].append;
    }
    model->next += model_random(model, 4) == 0; /* an entry that isn't indexed */
    for (size_t i = first; i < model->count; i++)
        model->appends[i].next = model->next;
    for (size_t i = 0; i < facts; i++) {
        struct model_fact *fact = &model->facts[model_random(model, MODEL_FACTS)];
        snprintf(fact->name, sizeof fact->name, "%c/%02d", (int)('a' + (fact - model->facts) % 3),
                 (int)(fact - model->facts));
        fact->known = model_random(model, 4) != 0;
        snprintf(fact->value, sizeof fact->value, "%0*llu", (int)model_random(model, 40),
                 (unsigned long long)model_random(model, 1000));
        changes[i] = (struct ms_index_fact){
            .name = ms_bytes_cstr(fact->name),
            .value = ms_bytes_cstr(fact->value),
            .remove = !fact->known,
        };
    }
    int rc = ms_index_apply(index, batch, appends, changes, facts, model->next);
    while (rc == MS_ENOMEM) /* a test says when there is none */
        rc = ms_index_apply(index, batch, appends, changes, facts, model->next);
    assert_int_equal(rc, model->flush_failure);
    model->flush_failure = 0;
}

/* ---- what the index has to answer ---- */

static inline bool model_same_stream(const struct ms_index_append *append,
                                     const struct ms_stream_id *stream) {
    return append->has_stream &&
           memcmp(append->stream.bytes, stream->bytes, sizeof stream->bytes) == 0;
}

static inline size_t model_stream_scan(const struct model *model, const struct ms_stream_id *stream,
                                       int64_t from, bool descending, size_t max,
                                       struct ms_index_place *out) {
    size_t found = 0;
    for (size_t i = 0; i < model->count && found < max; i++) {
        const struct ms_index_append *append =
            &model->appends[descending ? model->count - 1 - i : i].append;
        if (!model_same_stream(append, stream) ||
            (descending ? append->last_version - append->record_count + 1 > from
                        : append->last_version < from))
            continue;
        out[found++] = (struct ms_index_place){append->position, append->last_version,
                                               append->record_count, append->partition};
    }
    return found;
}

static inline size_t model_term_scan(const struct model *model, const uint64_t *terms,
                                     size_t term_count, uint64_t from, bool descending, size_t max,
                                     uint64_t *out) {
    size_t found = 0;
    for (size_t i = 0; i < model->count && found < max; i++) {
        const struct ms_index_append *append =
            &model->appends[descending ? model->count - 1 - i : i].append;
        bool matches = false;
        for (size_t k = 0; k < append->term_count; k++) {
            for (size_t t = 0; t < term_count; t++)
                matches |= append->terms[k] == terms[t];
        }
        if (matches && (descending ? append->position <= from : append->position >= from))
            out[found++] = append->position;
    }
    return found;
}

static inline const struct ms_index_append *model_offset(const struct model *model, uint32_t topic,
                                                         uint16_t partition, int64_t offset) {
    const struct ms_index_append *best = NULL;
    for (size_t i = 0; i < model->count; i++) {
        const struct ms_index_append *append = &model->appends[i].append;
        if (append->topic == topic && append->partition == partition &&
            append->first_offset + append->record_count > offset &&
            (!best || append->first_offset < best->first_offset))
            best = append;
    }
    return best;
}

/* ---- comparing ---- */

static inline void check_streams(struct model *model, struct ms_index *index) {
    struct ms_index_place expected[300], places[300];
    struct ms_error err = {0};
    uint64_t number = model_random(model, 4) ? model_random(model, MODEL_STREAMS)
                                             : 1000 + model_random(model, model->cold + 2);
    struct ms_stream_id stream = model_stream(number);
    int64_t head = number < MODEL_STREAMS ? model->versions[number] : 4;
    for (int i = 0; i < 4; i++) {
        static const int64_t odd[] = {INT64_MAX, 0, -1, INT64_MIN, INT64_MAX - 1};
        int64_t from = model_random(model, 3) ? (int64_t)model_random(model, (uint64_t)head + 4)
                                              : odd[model_random(model, 5)];
        size_t max = model_random(model, 3) ? model_random(model, 12) : 300;
        bool descending = i & 1;
        size_t wanted = model_stream_scan(model, &stream, from, descending, max, expected);
        size_t count = 1000;
        assert_int_equal(
            ms_index_stream_scan(index, &stream, from, descending, max, places, &count, &err), 0);
        assert_int_equal(count, wanted);
        for (size_t k = 0; k < count; k++) {
            assert_int_equal(places[k].position, expected[k].position);
            assert_int_equal(places[k].last_version, expected[k].last_version);
            assert_int_equal(places[k].record_count, expected[k].record_count);
            if (places[k].partition >= 0 || expected[k].last_version == head)
                assert_int_equal(places[k].partition, expected[k].partition);
        }
    }
    int64_t version = -7;
    uint64_t position = 7;
    int rc = ms_index_stream_head(index, &stream, &version, &position, &err);
    if (model_stream_scan(model, &stream, INT64_MAX, true, 1, expected)) {
        assert_int_equal(rc, 0);
        assert_int_equal(version, expected[0].last_version);
        assert_int_equal(position, expected[0].position);
    } else {
        assert_int_equal(rc, MS_ENOTFOUND);
        assert_int_equal(version, -7);
    }
}

static inline void check_terms(struct model *model, struct ms_index *index) {
    static uint64_t expected[MODEL_APPENDS_MAX], positions[MODEL_APPENDS_MAX];
    for (int i = 0; i < 4; i++) {
        uint64_t terms[4];
        size_t term_count = model_random(model, 5);
        for (size_t k = 0; k < term_count; k++)
            terms[k] =
                model_term(model_random(model, 2) ? model_random(model, MODEL_TERMS)
                                                  : 1000 + model_random(model, model->count + 2));
        uint64_t from = model_random(model, 4) ? model_random(model, model->next + 3) : 0;
        bool descending = i & 1;
        if (descending && model_random(model, 3) == 0)
            from = UINT64_MAX;
        size_t max = model_random(model, 3) ? model_random(model, 20) : MODEL_APPENDS_MAX;
        size_t wanted = model_term_scan(model, terms, term_count, from, descending, max, expected);
        size_t count = MODEL_APPENDS_MAX + 1;
        assert_int_equal(ms_index_term_scan(index, terms, term_count, from, descending, max,
                                            positions, &count, NULL),
                         0);
        assert_int_equal(count, wanted);
        assert_memory_equal(positions, expected, count * sizeof *positions);
    }
}

static inline void check_offset(struct model *model, struct ms_index *index, size_t number,
                                int64_t offset) {
    uint32_t topic = model_topic(number);
    uint16_t partition = (uint16_t)(number % 2);
    const struct ms_index_append *expected = model_offset(model, topic, partition, offset);
    uint64_t position = 1;
    int64_t first = -7;
    int rc = ms_index_offset(index, topic, partition, offset, &position, &first, NULL);
    assert_int_equal(rc, expected ? 0 : MS_ENOTFOUND);
    if (expected) {
        assert_int_equal(first, expected->first_offset);
        assert_int_equal(position, expected->position);
    } else {
        assert_int_equal(first, -7);
    }
}

static inline void check_offsets(struct model *model, struct ms_index *index) {
    for (size_t i = 0; i < 8; i++) {
        size_t number = i % MODEL_PARTITIONS;
        check_offset(model, index, number,
                     (int64_t)model_random(model, (uint64_t)model->offsets[number] + 5) - 2);
    }
    /* Around what came late is where it gets difficult. */
    for (size_t i = 0; i < model->count; i += 1 + model_random(model, model->count / 10 + 20)) {
        const struct ms_index_append *append = &model->appends[i].append;
        size_t number = (append->topic == 1 ? 0 : 2) + append->partition;
        check_offset(model, index, number, append->first_offset + append->record_count);
    }
}

static inline void check_times(struct model *model, struct ms_index *index) {
    for (int i = 0; i < 4; i++) {
        int64_t time_ms = (int64_t)model_random(model, (uint64_t)model->time_ms + 200) - 50;
        uint64_t floor = UINT64_MAX, best = 0;
        assert_int_equal(ms_index_time_floor(index, time_ms, &floor, NULL), 0);
        int64_t sure = -1; /* commit time up to which the floor must have moved */
        for (size_t k = 0; k < model->count; k++) {
            const struct ms_index_append *append = &model->appends[k].append;
            if (append->commit_time_ms > time_ms)
                assert_true(append->position >= floor);
            else
                sure = append->commit_time_ms;
            if (append->commit_time_ms <= time_ms - 100)
                best = append->position;
        }
        /* It is no poor floor either: at most a step and one entry behind. */
        if (sure >= 0 && best > 0) {
            uint64_t first = UINT64_MAX; /* of the step that `best` lies in */
            int64_t best_ms = 0;
            for (size_t k = 0; k < model->count; k++) {
                if (model->appends[k].append.position == best)
                    best_ms = model->appends[k].append.commit_time_ms;
            }
            for (size_t k = 0; k < model->count && first == UINT64_MAX; k++) {
                if (model->appends[k].append.commit_time_ms > best_ms - 100)
                    first = model->appends[k].append.position;
            }
            assert_true(floor >= first);
        }
    }
}

struct model_listing {
    struct model *model;
    const char *prefix, *after;
    size_t at; /* in name order */
    int left;  /* visits until it says stop */
};

static inline int model_compare_facts(const void *a, const void *b) {
    const struct model_fact *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

/* The n-th fact in name order that the listing must show. */
static inline const struct model_fact *model_listed(const struct model_listing *listing, size_t n) {
    struct model_fact *sorted[MODEL_FACTS];
    for (size_t i = 0; i < MODEL_FACTS; i++)
        sorted[i] = &listing->model->facts[i];
    qsort(sorted, MODEL_FACTS, sizeof *sorted, model_compare_facts);
    for (size_t i = 0; i < MODEL_FACTS; i++) {
        if (sorted[i]->known && strcmp(sorted[i]->name, listing->after) > 0 &&
            strncmp(sorted[i]->name, listing->prefix, strlen(listing->prefix)) == 0 && n-- == 0)
            return sorted[i];
    }
    return NULL;
}

static inline int model_visit_fact(void *context, struct ms_bytes name, struct ms_bytes value) {
    struct model_listing *listing = context;
    const struct model_fact *expected = model_listed(listing, listing->at++);
    assert_non_null(expected);
    assert_true(ms_bytes_equal_cstr(name, expected->name));
    assert_true(ms_bytes_equal_cstr(value, expected->value));
    return --listing->left == 0 ? 77 : 0;
}

static inline void check_facts(struct model *model, struct ms_index *index) {
    static const char *const prefixes[] = {"", "a", "b/", "c/1", "d", "0"};
    struct model_listing listing = {
        .model = model,
        .prefix = prefixes[model_random(model, 6)],
        .after = model_random(model, 2) ? "" : model->facts[model_random(model, MODEL_FACTS)].name,
        .left = model_random(model, 2) ? -1 : 1 + (int)model_random(model, 5),
    };
    int left = listing.left;
    int rc = ms_index_fact_list(index, ms_bytes_cstr(listing.prefix), ms_bytes_cstr(listing.after),
                                model_visit_fact, &listing, NULL);
    if (rc == 77)
        assert_int_equal(listing.at, left);
    else
        assert_int_equal(rc, 0);
    assert_true(rc == 77 || !model_listed(&listing, listing.at));
    struct model_fact *fact = &model->facts[model_random(model, MODEL_FACTS)];
    struct ms_buf value;
    ms_buf_init(&value, 100);
    rc = ms_index_fact_get(index, ms_bytes_cstr(fact->name), &value, NULL);
    assert_int_equal(rc, fact->known ? 0 : MS_ENOTFOUND);
    if (fact->known)
        assert_true(ms_bytes_equal_cstr(ms_buf_bytes(&value), fact->value));
    ms_buf_deinit(&value);
}

static inline void check_all(struct model *model, struct ms_index *index) {
    assert_int_equal(ms_index_next_position(index), model->next);
    check_streams(model, index);
    check_terms(model, index);
    check_offsets(model, index);
    check_times(model, index);
    check_facts(model, index);
}

/* Folds again what an index opened anew lacks; facts come again as they are now. */
static inline void model_replay(struct model *model, struct ms_index *index, uint64_t applied) {
    struct ms_index_fact facts[MODEL_FACTS];
    size_t fact_count = 0;
    for (size_t i = 0; i < MODEL_FACTS; i++) {
        if (model->facts[i].name[0])
            facts[fact_count++] = (struct ms_index_fact){
                .name = ms_bytes_cstr(model->facts[i].name),
                .value = ms_bytes_cstr(model->facts[i].value),
                .remove = !model->facts[i].known,
            };
    }
    for (size_t i = 0; i < model->count; i++) {
        if (model->appends[i].append.position >= applied)
            assert_int_equal(ms_index_apply(index, &model->appends[i].append, 1, NULL, 0,
                                            model->appends[i].append.position +
                                                model->appends[i].append.record_count),
                             0);
    }
    assert_int_equal(ms_index_apply(index, NULL, 0, facts, fact_count, model->next), 0);
}
