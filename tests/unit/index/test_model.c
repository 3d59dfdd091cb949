/* The whole index against a naive model: random folds, flushes and new starts, each followed by
 * lookups of every kind. */
#include "unit/index/model.h"

#include "base/alloc.h"
#include "unit/os/scratch.h"
#include "support/world.h"

static char scratch[MS_PATH_MAX];

static int setup(void **state) {
    (void)state;
    return scratch_make(scratch);
}

static int teardown(void **state) {
    (void)state;
    return scratch_remove(scratch);
}

/* At most `all` of them. */
static uint64_t seeds_of(uint64_t all) {
    uint64_t wanted = world_setting("MS_SIM_SEEDS", all);
    return wanted < all ? wanted : all;
}

struct run {
    uint64_t seed;
    bool in_memory;
    int steps;
    unsigned appends_max; /* of one fold */
    unsigned flush_every; /* steps, on average */
    unsigned record_max, gap_chance, late_chance;
};

static struct ms_index_options options_of(const struct run *run, const char *dir) {
    return (struct ms_index_options){
        .env = ms_env_system(),
        .dir = run->in_memory ? NULL : dir,
        .store_uuid = model_uuid(1),
        .block_cache_bytes = 8u << 20,
        .manual = true,
    };
}

static struct ms_index *reopen(const struct ms_index_options *options, struct model *model,
                               struct ms_index *index, bool flush) {
    uint64_t applied = 0, before = ms_index_applied(index);
    struct ms_error err = {0};
    ms_index_close(index, flush);
    assert_int_equal(ms_index_open(options, &index, &applied, &err), 0);
    assert_int_equal(applied, flush ? model->next : before);
    model->flush_failure = 0;
    model_replay(model, index, applied);
    return index;
}

/* A flush that fails after it has frozen the mutable generation: from now on there are two. */
static void fail_flush(struct model *model, struct ms_index *index) {
    struct ms_index_stats before, after;
    struct ms_error err = {0};
    ms_index_stats(index, &before);
    ms_alloc_fail_nth(2);
    int rc = ms_index_flush(index, &err);
    bool failed = ms_alloc_has_failed();
    ms_alloc_fail_nth(0);
    assert_int_equal(rc, failed ? MS_ENOMEM : 0);
    ms_index_stats(index, &after);
    assert_true(after.flush_failures - before.flush_failures <= failed);
    if (after.flush_failures > before.flush_failures)
        model->flush_failure = MS_EIO;
}

static void follow_model(const struct run *run) {
    char dir[MS_PATH_MAX];
    assert_int_equal(ms_path_join(dir, scratch, "index"), 0);
    struct ms_index_options options = options_of(run, dir);
    struct model *model = model_new(run->seed);
    model->record_max = run->record_max;
    model->gap_chance = run->gap_chance;
    model->late_chance = run->late_chance;
    struct ms_index *index;
    uint64_t applied = 77;
    struct ms_error err = {0};
    assert_int_equal(ms_index_open(&options, &index, &applied, &err), 0);
    assert_int_equal(applied, 0);
    for (int step = 0; step < run->steps; step++) {
        model_apply(model, index, model_random(model, run->appends_max + 1),
                    model_random(model, 4) ? 0 : model_random(model, 6));
        if (model_random(model, run->flush_every) == 0) {
            assert_int_equal(ms_index_flush(index, &err), 0);
            assert_int_equal(ms_index_applied(index), model->next);
        }
        if (model_random(model, run->flush_every) == 0)
            fail_flush(model, index);
        if (!run->in_memory && model_random(model, 20) == 0)
            index = reopen(&options, model, index, model_random(model, 2));
        check_all(model, index);
    }
    for (int i = 0; i < 40; i++)
        check_all(model, index);
    ms_index_close(index, true);
    if (!run->in_memory)
        assert_int_equal(scratch_remove(dir), 0);
    model_free(model);
}

static void index_in_files_answers_as_the_model(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed < 1 + seeds_of(2); seed++)
        follow_model(&(struct run){.seed = seed,
                                   .steps = 120,
                                   .appends_max = 20,
                                   .flush_every = 6,
                                   .record_max = 5,
                                   .gap_chance = 3,
                                   .late_chance = 5});
}

static void index_in_memory_answers_as_the_model(void **state) {
    (void)state;
    for (uint64_t seed = 11; seed < 11 + seeds_of(4); seed++)
        follow_model(&(struct run){.seed = seed,
                                   .in_memory = true,
                                   .steps = 150,
                                   .appends_max = 30,
                                   .flush_every = 8,
                                   .record_max = 3,
                                   .gap_chance = 3,
                                   .late_chance = 5});
}

static void single_records_without_gaps_answer_as_the_model(void **state) {
    (void)state;
    follow_model(&(struct run){.seed = 21,
                               .in_memory = true,
                               .steps = 200,
                               .appends_max = 60,
                               .flush_every = 25,
                               .record_max = 1});
}

static void many_late_offsets_answer_as_the_model(void **state) {
    (void)state;
    for (uint64_t seed = 31; seed < 31 + seeds_of(4); seed++)
        follow_model(&(struct run){.seed = seed,
                                   .in_memory = true,
                                   .steps = 150,
                                   .appends_max = 10,
                                   .flush_every = 3,
                                   .record_max = 4,
                                   .gap_chance = 20,
                                   .late_chance = 50});
}

static void index_never_flushed_answers_as_the_model(void **state) {
    (void)state;
    follow_model(&(struct run){.seed = 41,
                               .in_memory = true,
                               .steps = 300,
                               .appends_max = 40,
                               .flush_every = 1000000,
                               .record_max = 6,
                               .gap_chance = 5,
                               .late_chance = 10});
}

/* More postings and extents in one flush than a chunk on disk may hold. */
static void chunk_boundaries_answer_as_the_model(void **state) {
    (void)state;
    follow_model(&(struct run){.seed = 51,
                               .in_memory = true,
                               .steps = 250,
                               .appends_max = 64,
                               .flush_every = 110,
                               .record_max = 2,
                               .late_chance = 1});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_in_files_answers_as_the_model),
        cmocka_unit_test(index_in_memory_answers_as_the_model),
        cmocka_unit_test(single_records_without_gaps_answer_as_the_model),
        cmocka_unit_test(many_late_offsets_answer_as_the_model),
        cmocka_unit_test(index_never_flushed_answers_as_the_model),
        cmocka_unit_test(chunk_boundaries_answer_as_the_model),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
