/* The whole store against a naive model (model.h): random appends of every kind, deletions,
 * metadata, snapshots, reads and new starts; then everything once more from what is on disk. What
 * was hit is printed, and that it was everything is asserted: inputs must not be narrow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "model_reads.h"

#define STEPS 400u
#define SEEDS 20u

/* ---- making appends ---- */

static struct model_event some_event(struct run *run, unsigned stream) {
    unsigned id = 0;
    if (!one_in(run, 6)) {
        bool old = run->next_id[stream] > 0 && one_in(run, 8);
        if (!old && run->next_id[stream] + 1 < MODEL_IDS)
            run->next_id[stream]++;
        id = old ? 1 + below(run, run->next_id[stream]) : run->next_id[stream];
    }
    return (struct model_event){
        .stream = stream,
        .id = id,
        .data = one_in(run, 12),
        .type = below(run, 3),
        .tags = below(run, 3),
        .old = one_in(run, 3),
    };
}

static struct ms_condition some_condition(struct run *run, unsigned stream) {
    int64_t head = run->model.streams[stream].head;
    switch (below(run, 6)) {
    case 0:
    case 1:
        return ANY;
    case 2:
        return NONE;
    case 3:
        return EXISTS;
    case 4:
        return AT(head < 0 ? 0 : head);
    default:
        return AT((int64_t)below(run, head < 0 ? 2 : (unsigned)head + 3));
    }
}

static struct model_part some_part(struct run *run, unsigned stream) {
    struct model_part part = {.stream = stream, .condition = some_condition(run, stream)};
    part.count = one_in(run, 6) ? 0 : 1 + below(run, MODEL_PART_EVENTS_MAX);
    for (size_t i = 0; i < part.count; i++)
        part.events[i] = some_event(run, stream);
    return part;
}

static struct model_query some_query(struct run *run) {
    struct model_query query = {.types = below(run, 8), .tags = below(run, 4)};
    if (query.types + query.tags == 0)
        query.tags = 1;
    query.after_none = one_in(run, 3);
    if (!query.after_none && run->model.count > 0) {
        size_t back = below(run, run->model.count < 6 ? (unsigned)run->model.count : 6);
        query.after = run->model.events[run->model.count - 1 - back].position;
    }
    return query;
}

static struct model_append some_append(struct run *run) {
    struct model_append append = {.count = one_in(run, 3) ? 2 + below(run, 2) : 1};
    unsigned stream = below(run, MODEL_STREAMS);
    for (size_t i = 0; i < append.count; i++)
        append.parts[i] = some_part(run, (stream + (unsigned)i * 2) % MODEL_STREAMS);
    append.has_query = one_in(run, 5);
    if (append.has_query)
        append.query = some_query(run);
    return append;
}

/* One that was sent before: as it was, with other data, cut short, or under another condition. */
static struct model_append sent_again(struct run *run) {
    struct model_append append = run->sent[below(run, (unsigned)run->sent_count)];
    struct model_part *part = &append.parts[below(run, (unsigned)append.count)];
    switch (below(run, 8)) {
    case 0:
        part->events[0].data = !part->events[0].data;
        break;
    case 1:
        part->condition = some_condition(run, part->stream);
        break;
    case 2:
        if (part->count > 0 && part->count < MODEL_PART_EVENTS_MAX)
            part->events[part->count++] = some_event(run, part->stream);
        break;
    default:
        break;
    }
    return append;
}

/* ---- asking the store ---- */

struct texts {
    struct ms_event events[MODEL_PARTS_MAX][MODEL_PART_EVENTS_MAX];
    char ids[MODEL_PARTS_MAX][MODEL_PART_EVENTS_MAX][16];
    struct ms_append_part parts[MODEL_PARTS_MAX];
    struct ms_bytes types[3], tags[2];
    struct ms_query_condition query;
};

static void fill_event(const struct model_event *event, char id[16], struct ms_event *out) {
    *out = (struct ms_event){
        .type = ms_bytes_cstr(model_types[event->type]),
        .timestamp_ms = event->old ? MODEL_OLD_MS : MODEL_YOUNG_MS,
        .data = ms_bytes_cstr(data_of(event->data)),
        .tags = ms_bytes_cstr(model_tags[event->tags]),
    };
    snprintf(id, 16, "e%u", event->id);
    if (event->id != 0)
        out->id = ms_bytes_cstr(id);
}

static struct ms_append_request fill_request(const struct model_append *append, struct texts *t) {
    for (size_t p = 0; p < append->count; p++) {
        const struct model_part *part = &append->parts[p];
        for (size_t i = 0; i < part->count; i++)
            fill_event(&part->events[i], t->ids[p][i], &t->events[p][i]);
        t->parts[p] = (struct ms_append_part){ms_bytes_cstr(model_names[part->stream]),
                                              part->condition, t->events[p], part->count};
    }
    t->query = (struct ms_query_condition){.types = t->types,
                                           .tags = t->tags,
                                           .after = append->query.after,
                                           .after_none = append->query.after_none};
    for (unsigned i = 0; i < 3; i++)
        if (append->query.types >> i & 1)
            t->types[t->query.type_count++] = ms_bytes_cstr(model_types[i]);
    for (unsigned i = 0; i < 2; i++)
        if (append->query.tags >> i & 1)
            t->tags[t->query.tag_count++] = ms_bytes_cstr(i == 0 ? "t1" : "t2");
    return (struct ms_append_request){.parts = t->parts,
                                      .part_count = append->count,
                                      .query_conditions = append->has_query ? &t->query : NULL,
                                      .query_condition_count = append->has_query};
}

static enum op op_of_append(const struct model_append *append) {
    static const enum op by_condition[] = {OP_ANY, OP_NONE, OP_EXISTS, OP_VERSION};
    if (append->has_query)
        return OP_QUERY;
    if (append->count > 1)
        return OP_MULTI;
    return append->parts[0].count == 0 ? OP_CHECK : by_condition[append->parts[0].condition.kind];
}

/* What a refusal tells of the stream must be true. */
static void check_refusal(struct run *run, const struct store_answer *answer, unsigned stream) {
    const struct model_stream *s = &run->model.streams[stream];
    if (answer->code == MS_EIDCONFLICT)
        return;
    if (answer->actual_state != model_state(s) || answer->actual_version != s->head)
        wrong(run, "%s: a refusal says state %d version %lld, it is %d at %lld",
              model_names[stream], (int)answer->actual_state, (long long)answer->actual_version,
              (int)model_state(s), (long long)s->head);
}

static void check_query_refusal(struct run *run, const struct store_answer *answer,
                                const struct model_query *query) {
    for (size_t i = 0; i < run->model.count; i++)
        if (run->model.events[i].position == answer->matching_position &&
            model_query_matches(query, &run->model.events[i]))
            return;
    wrong(run, "no event at %llu matches the query", (unsigned long long)answer->matching_position);
}

static void take_appended(struct run *run, const struct model_append *append, uint64_t last) {
    size_t total = 0;
    for (size_t p = 0; p < append->count; p++)
        total += append->parts[p].count;
    for (size_t p = 0; p < append->count; p++)
        for (size_t i = 0; i < append->parts[p].count; i++)
            model_add(&run->model, &append->parts[p].events[i], last - --total);
}

static void do_append(struct run *run) {
    struct texts texts = {0};
    bool again = run->sent_count > 0 && one_in(run, 3);
    struct model_append append = again ? sent_again(run) : some_append(run);
    struct model_answer right = model_judge(&run->model, &append);
    struct ms_append_request request = fill_request(&append, &texts);
    struct store_answer answer = store_request(&run->w, &request);
    enum op op = op_of_append(&append);
    hits[op][answer.repeated ? REPEATED : -answer.code]++;
    run->sent[run->sent_count < REMEMBERED ? run->sent_count++ : below(run, REMEMBERED)] = append;
    if ((right.codes & model_bit(answer.code)) == 0)
        wrong(run, "append (%s) to %s: %s (%s), right were %08x", op_names[op],
              model_names[append.parts[0].stream], ms_error_name(answer.code), answer.error.message,
              (unsigned)right.codes);
    if (answer.code == MS_EQUERYCONDITION)
        check_query_refusal(run, &answer, &append.query);
    else if (answer.code != 0 && answer.refused == 0)
        check_refusal(run, &answer, append.parts[answer.failed_part].stream);
    if (answer.code != 0)
        return;
    if (answer.repeated != right.repeated)
        wrong(run, "append (%s): repeated is %d", op_names[op], (int)answer.repeated);
    for (size_t p = 0; p < append.count; p++)
        if (answer.parts[p].version != right.version[p] ||
            (append.parts[p].count > 0 && answer.parts[p].first_version != right.first_version[p]))
            wrong(run, "append (%s) part %zu: versions %lld to %lld, right were %lld to %lld",
                  op_names[op], p, (long long)answer.parts[p].first_version,
                  (long long)answer.parts[p].version, (long long)right.first_version[p],
                  (long long)right.version[p]);
    if (answer.repeated)
        assert_int_equal(answer.position, right.position);
    else
        take_appended(run, &append, answer.position);
}

/* ---- deleting, metadata, snapshots ---- */

static int delete_code(const struct model_stream *s, const struct ms_condition *condition,
                       bool tombstone) {
    enum ms_stream_state state = model_state(s);
    struct ms_condition asked = *condition;
    bool forced = tombstone && asked.kind == MS_EXPECT_ANY;
    if (asked.kind == MS_EXPECT_ANY && !tombstone)
        asked.kind = MS_EXPECT_EXISTS;
    if (model_holds(&asked, s))
        return 0;
    if (state == MS_STREAM_TOMBSTONED)
        return MS_ETOMBSTONED;
    if (!forced && state == MS_STREAM_NONE)
        return MS_ENOTFOUND;
    return !forced && state == MS_STREAM_DELETED ? MS_EDELETED : MS_ECONFLICT;
}

static void do_delete(struct run *run, bool tombstone) {
    unsigned stream = below(run, MODEL_STREAMS);
    struct model_stream *s = &run->model.streams[stream];
    struct ms_condition condition = some_condition(run, stream);
    if (condition.kind == MS_EXPECT_NONE)
        condition = ANY;
    int right = delete_code(s, &condition, tombstone);
    struct store_answer answer = store_delete(&run->w, model_names[stream], condition, tombstone);
    hits[tombstone ? OP_TOMBSTONE : OP_DELETE][-answer.code]++;
    if (answer.code != right)
        wrong(run, "%s %s: %s, right was %s", tombstone ? "tombstone" : "delete",
              model_names[stream], ms_error_name(answer.code), ms_error_name(right));
    if (answer.code != 0) {
        check_refusal(run, &answer, stream);
    } else if (tombstone) {
        struct model_event event = {.stream = stream, .type = MODEL_TOMBSTONE};
        model_add(&run->model, &event, answer.position);
        s->tombstoned = true;
        s->deleted_head = -1;
        s->truncate_before = s->max_count = 0;
        s->max_age = false;
    } else {
        s->metadata_version++;
        s->truncate_before = 0;
        s->deleted_head = s->head;
    }
}

static void do_metadata(struct run *run) {
    char json[160], age[32] = "", count[32] = "";
    unsigned stream = below(run, MODEL_STREAMS);
    struct model_stream *s = &run->model.streams[stream];
    int64_t version = s->metadata_version;
    struct ms_condition condition = one_in(run, 2)   ? ANY
                                    : one_in(run, 3) ? NONE
                                    : one_in(run, 2) ? EXISTS
                                                     : AT((int64_t)below(run, 4));
    int64_t truncate = one_in(run, 2) ? 0 : (int64_t)below(run, (unsigned)(s->head + 3));
    int64_t max_count = one_in(run, 3) ? 1 + below(run, 6) : 0;
    bool max_age = one_in(run, 4), bad = one_in(run, 12);
    if (max_age)
        snprintf(age, sizeof age, "\"$maxAge\":3600,");
    if (max_count > 0)
        snprintf(count, sizeof count, "\"$maxCount\":%lld,", (long long)max_count);
    snprintf(json, sizeof json, "{%s%s\"$tb\":%lld,\"n\":%u}", age, count,
             bad ? -1LL : (long long)truncate, run->step);
    bool holds =
        condition.kind == MS_EXPECT_ANY || (condition.kind == MS_EXPECT_NONE && version < 0) ||
        (condition.kind == MS_EXPECT_EXISTS && version >= 0) ||
        (condition.kind == MS_EXPECT_VERSION && version >= 0 && condition.version == version);
    int right = bad ? MS_EINVAL : !holds ? MS_ECONFLICT : s->tombstoned ? MS_ETOMBSTONED : 0;
    struct store_answer answer = store_put_metadata(&run->w, model_names[stream], condition, json);
    hits[OP_METADATA][-answer.code]++;
    if (answer.code != right)
        wrong(run, "metadata of %s: %s, right was %s", model_names[stream],
              ms_error_name(answer.code), ms_error_name(right));
    if (right != 0)
        return;
    s->metadata_version++;
    assert_int_equal(answer.parts[0].version, s->metadata_version);
    s->truncate_before = truncate;
    s->max_count = max_count;
    s->max_age = max_age;
    s->deleted_head = -1;
}

static void check_metadata(struct run *run, unsigned stream) {
    struct ms_buf json;
    int64_t version = -1;
    ms_buf_init(&json, 4096);
    int rc = ms_store_get_metadata(run->w.store, ms_bytes_cstr(model_names[stream]), &json,
                                   &version, &run->w.error);
    ms_buf_deinit(&json);
    int64_t right = run->model.streams[stream].metadata_version;
    if (rc != (right < 0 ? MS_ENOTFOUND : 0) || version != right)
        wrong(run, "metadata of %s: %s version %lld, right was %lld", model_names[stream],
              ms_error_name(rc), (long long)version, (long long)right);
}

static int snapshot_code(const struct model_stream *s, int64_t version) {
    switch (model_state(s)) {
    case MS_STREAM_NONE:
        return version < 0 ? MS_EINVAL : MS_ENOTFOUND;
    case MS_STREAM_DELETED:
        return version < 0 ? MS_EINVAL : MS_EDELETED;
    case MS_STREAM_TOMBSTONED:
        return version < 0 ? MS_EINVAL : MS_ETOMBSTONED;
    case MS_STREAM_LIVE:
        return version < 0 ? MS_EINVAL : version > s->head ? MS_ECONFLICT : 0;
    }
    return 0;
}

static void do_snapshot(struct run *run) {
    unsigned stream = below(run, MODEL_STREAMS);
    struct model_stream *s = &run->model.streams[stream];
    struct store_answer answer = {0};
    struct ms_event event = {.type = MS_BYTES_LITERAL("state"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = MS_BYTES_LITERAL("{}")};
    int64_t version = (int64_t)below(run, s->head < 0 ? 5 : (unsigned)s->head + 4) - 1;
    int right = snapshot_code(s, version);
    int rc = ms_store_put_snapshot(run->w.store, ms_bytes_cstr(model_names[stream]), version,
                                   &event, store_answer_take, &answer, NULL);
    if (rc == 0 && run->w.options.manual)
        ms_store_run(run->w.store);
    while (rc == 0 && __atomic_load_n(&answer.calls, __ATOMIC_ACQUIRE) == 0)
        ms_clock_sleep_us(run->w.env.clock, 50);
    int code = rc != 0 ? rc : answer.code;
    hits[OP_SNAPSHOT][-code]++;
    if (code != right)
        wrong(run, "snapshot of %s at %lld: %s, right was %s", model_names[stream],
              (long long)version, ms_error_name(code), ms_error_name(right));
    if (code == 0)
        s->snapshot_version = version;
}

static void check_snapshot(struct run *run, unsigned stream) {
    struct event_log log = {0};
    int64_t version = -1, right = run->model.streams[stream].snapshot_version;
    int rc = ms_store_get_snapshot(run->w.store, ms_bytes_cstr(model_names[stream]), event_log_take,
                                   &log, &version, NULL);
    event_log_clear(&log);
    if (rc != (right < 0 ? MS_ENOTFOUND : 0) || version != right)
        wrong(run, "snapshot of %s: %s version %lld, right was %lld", model_names[stream],
              ms_error_name(rc), (long long)version, (long long)right);
}

static void check_everything(struct run *run) {
    struct ms_stream_read forward = {.limit = SIZE_MAX};
    struct ms_stream_read backward = {.backward = true, .from_end = true, .limit = 3};
    struct ms_stream_read stored = {.stored = true, .limit = SIZE_MAX};
    struct ms_all_read all = {.limit = SIZE_MAX},
                       all_backward = {.backward = true, .from_end = true, .limit = 7};
    for (unsigned stream = 0; stream < MODEL_STREAMS; stream++) {
        check_stream(run, stream, &forward);
        check_stream(run, stream, &backward);
        check_stream(run, stream, &stored);
        check_metadata(run, stream);
        check_snapshot(run, stream);
    }
    check_all(run, &all, 0);
    check_all(run, &all_backward, 0);
}

/* ---- runs ---- */

static void step(struct run *run) {
    unsigned chance = below(run, 100);
    if (run->step < 4 && one_in(run, 4)) /* of streams that are not there yet, too */
        do_delete(run, true);
    else if (chance < 60)
        do_append(run);
    else if (chance < 65)
        do_delete(run, false);
    else if (chance < 66)
        do_delete(run, true);
    else if (chance < 73)
        do_metadata(run);
    else if (chance < 77)
        do_snapshot(run);
    else if (chance < 87)
        do_read_stream(run);
    else if (chance < 98)
        do_read_all(run);
    else
        store_world_reopen(&run->w);
}

static void run_seed(uint64_t seed, bool real, unsigned steps) {
    static struct run run;
    memset(&run, 0, sizeof run);
    if (real)
        store_world_init_real(&run.w);
    else
        store_world_init(&run.w, seed);
    run.seed = seed;
    run.w.options.idempotence_window = 100000;
    run.w.options.head_cache_entries = 1024;
    ms_random_seeded_init(&run.random, seed);
    model_init(&run.model);
    assert_int_equal(store_world_open(&run.w), 0);
    for (run.step = 0; run.step < steps; run.step++)
        step(&run);
    check_everything(&run);
    store_world_reopen(&run.w);
    check_everything(&run);
    assert_int_equal(store_world_close(&run.w), 0);
    store_world_drop_index(&run.w);
    assert_int_equal(store_world_open(&run.w), 0);
    check_everything(&run);
    assert_int_equal(run.w.failures, 0);
    store_world_deinit(&run.w);
}

static void simulated_store_does_what_the_model_does(void **state) {
    (void)state;
    uint64_t seeds = world_setting("MS_MODEL_SEEDS", SEEDS);
    for (uint64_t seed = 1; seed <= seeds; seed++)
        run_seed(seed, false, STEPS);
}

static void real_store_does_what_the_model_does(void **state) {
    (void)state;
    uint64_t seeds = (world_setting("MS_MODEL_SEEDS", SEEDS) + SEEDS - 1) / SEEDS;
    for (uint64_t seed = 1001; seed <= 1000 + seeds; seed++)
        run_seed(seed, true, STEPS / 2);
}

/* Last: what the runs before have hit. */
static void every_answer_was_hit(void **state) {
    (void)state;
    static const struct {
        enum op op;
        int codes[8]; /* 1 in the place of REPEATED; ends with 2 */
    } expected[] = {
        {OP_ANY, {0, 1, MS_EIDCONFLICT, MS_ETOMBSTONED, 2}},
        {OP_NONE, {0, 1, MS_EIDCONFLICT, MS_ECONFLICT, MS_ETOMBSTONED, 2}},
        {OP_EXISTS, {0, 1, MS_EIDCONFLICT, MS_ECONFLICT, MS_ETOMBSTONED, 2}},
        {OP_VERSION, {0, 1, MS_EIDCONFLICT, MS_ECONFLICT, MS_ETOMBSTONED, 2}},
        {OP_CHECK, {0, MS_ECONFLICT, MS_ETOMBSTONED, 2}},
        {OP_MULTI, {0, 1, MS_EIDCONFLICT, MS_ECONFLICT, MS_ETOMBSTONED, MS_EINVAL, 2}},
        {OP_QUERY, {0, 1, MS_EIDCONFLICT, MS_ECONFLICT, MS_ETOMBSTONED, MS_EQUERYCONDITION, 2}},
        {OP_DELETE, {0, MS_ENOTFOUND, MS_EDELETED, MS_ECONFLICT, MS_ETOMBSTONED, 2}},
        {OP_TOMBSTONE, {0, MS_ENOTFOUND, MS_EDELETED, MS_ECONFLICT, MS_ETOMBSTONED, 2}},
        {OP_METADATA, {0, MS_EINVAL, MS_ECONFLICT, MS_ETOMBSTONED, 2}},
        {OP_READ_STREAM, {0, 2}},
        {OP_READ_ALL, {0, 2}},
        {OP_SNAPSHOT, {0, MS_EINVAL, MS_ECONFLICT, MS_ETOMBSTONED, MS_EDELETED, 2}},
    };
    for (unsigned op = 0; op < OP_COUNT; op++)
        for (unsigned code = 0; code < CODES; code++)
            if (hits[op][code] > 0)
                print_message("%-12s %-20s %u\n", op_names[op],
                              code == 0          ? "done"
                              : code == REPEATED ? "repeated"
                                                 : ms_error_name(-(int)code),
                              hits[op][code]);
    if (world_setting("MS_MODEL_SEEDS", SEEDS) < SEEDS)
        return; /* a part of the seeds need not hit everything */
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        for (const int *code = expected[i].codes; *code != 2; code++)
            if (hits[expected[i].op][*code == 1 ? REPEATED : -*code] == 0)
                fail_msg("%s was never answered with %s", op_names[expected[i].op],
                         *code == 1 ? "a repeat" : ms_error_name(*code));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulated_store_does_what_the_model_does),
        cmocka_unit_test(real_store_does_what_the_model_does),
        cmocka_unit_test(every_answer_was_hit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
