/* Tests of index/flusher.c: the flush in the background, stalls, failures, and lookups meanwhile.
 * */
#include "unit/index/model.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "base/endian.h"
#include "unit/os/scratch.h"

static char scratch[MS_PATH_MAX];
static char dir[MS_PATH_MAX];

/* The real files, but for a gate: a flush removes its temporary file after the ingest, and is held
 * there while the gate is shut. So there is a generation that is in RocksDB and not dropped yet. */
static struct ms_vfs_ops gate_ops;
static struct ms_vfs gate_vfs = {&gate_ops};
static pthread_mutex_t gate_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_cond = PTHREAD_COND_INITIALIZER;
static bool gate_shut;
static int gate_waiting;

static int gate_unlink(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    (void)vfs;
    pthread_mutex_lock(&gate_mutex);
    gate_waiting++;
    pthread_cond_broadcast(&gate_cond);
    while (gate_shut)
        pthread_cond_wait(&gate_cond, &gate_mutex);
    gate_waiting--;
    pthread_mutex_unlock(&gate_mutex);
    return ms_vfs_unlink(ms_vfs_posix(), path, err);
}

static void shut_gate(void) {
    pthread_mutex_lock(&gate_mutex);
    gate_shut = true;
    pthread_mutex_unlock(&gate_mutex);
}

static void open_gate(void) {
    pthread_mutex_lock(&gate_mutex);
    gate_shut = false;
    pthread_cond_broadcast(&gate_cond);
    pthread_mutex_unlock(&gate_mutex);
}

static void wait_at_gate(void) {
    pthread_mutex_lock(&gate_mutex);
    while (gate_waiting == 0)
        pthread_cond_wait(&gate_cond, &gate_mutex);
    pthread_mutex_unlock(&gate_mutex);
}

static struct rlimit usual_limit;

static int make_scratch(void **state) {
    (void)state;
    gate_ops = *ms_vfs_posix()->ops;
    gate_ops.unlink = gate_unlink;
    signal(SIGXFSZ, SIG_IGN);
    if (getrlimit(RLIMIT_FSIZE, &usual_limit) != 0 || scratch_make(scratch) != 0)
        return -1;
    return ms_path_join(dir, scratch, "index");
}

static int remove_scratch(void **state) {
    (void)state;
    open_gate();
    setrlimit(RLIMIT_FSIZE, &usual_limit);
    return scratch_remove(scratch);
}

static struct ms_env gate_env;

static struct ms_index *must_open(size_t entries_max) {
    gate_env = *ms_env_system();
    gate_env.vfs = &gate_vfs;
    struct ms_index_options options = {
        .env = &gate_env,
        .dir = dir,
        .store_uuid = model_uuid(1),
        .overlay_entries_max = entries_max,
        .block_cache_bytes = 4u << 20,
    };
    struct ms_index *index;
    uint64_t applied;
    struct ms_error err = {0};
    assert_int_equal(ms_index_open(&options, &index, &applied, &err), 0);
    return index;
}

static struct ms_index_stats stats_of(struct ms_index *index) {
    struct ms_index_stats stats;
    ms_index_stats(index, &stats);
    return stats;
}

static void *flush_in_thread(void *context) {
    return (void *)(intptr_t)ms_index_flush(context, NULL);
}

/* ---- flushing in the background ---- */

static void full_generation_is_flushed_by_itself(void **state) {
    (void)state;
    struct ms_index *index = must_open(500);
    struct model *model = model_new(3);
    shut_gate();
    while (model->count < 600)
        model_apply(model, index, 10, 1);
    wait_at_gate(); /* the flush is under way without anyone having asked for it */
    assert_int_equal(ms_index_applied(index), 0);
    open_gate();
    assert_int_equal(ms_index_flush(index, NULL), 0);
    struct ms_index_stats stats = stats_of(index);
    assert_int_equal(stats.flushes, 2);
    assert_int_equal(stats.stalls, 0);
    assert_int_equal(stats.applied, model->next);
    assert_int_equal(stats.next_position, model->next);
    assert_int_equal(stats.overlay_entries, 0);
    assert_true(stats.sst_bytes > 0);
    for (int i = 0; i < 50; i++)
        check_all(model, index);
    ms_index_close(index, true);
    model_free(model);
}

/* The generation stands in RocksDB and in the overlay: nothing may be seen twice. */
static void generation_being_dropped_is_seen_once(void **state) {
    (void)state;
    struct ms_index *index = must_open(0);
    struct model *model = model_new(4);
    pthread_t thread;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 20; i++)
            model_apply(model, index, 30, 3);
        shut_gate();
        assert_int_equal(pthread_create(&thread, NULL, flush_in_thread, index), 0);
        wait_at_gate();
        assert_true(stats_of(index).overlay_entries > 0);
        for (int i = 0; i < 60; i++)
            check_all(model, index);
        for (int i = 0; i < 10; i++)
            model_apply(model, index, 10, 3);
        for (int i = 0; i < 60; i++)
            check_all(model, index);
        void *rc;
        open_gate();
        assert_int_equal(pthread_join(thread, &rc), 0);
        assert_null(rc);
        for (int i = 0; i < 60; i++)
            check_all(model, index);
    }
    ms_index_close(index, false);
    model_free(model);
}

static void *fold_in_thread(void *context) {
    struct ms_index *index = context;
    for (uint64_t i = 0; i < 250; i++) {
        uint64_t term = i;
        struct ms_index_append append = {.position = i,
                                         .record_count = 1,
                                         .terms = &term,
                                         .term_count = 1,
                                         .first_offset = (int64_t)i};
        if (ms_index_apply(index, &append, 1, NULL, 0, i + 1) != 0)
            return context;
    }
    return NULL;
}

static void folding_waits_when_both_generations_are_full(void **state) {
    (void)state;
    struct ms_index *index = must_open(100);
    pthread_t thread;
    shut_gate();
    assert_int_equal(pthread_create(&thread, NULL, fold_in_thread, index), 0);
    while (stats_of(index).stalls == 0)
        ms_clock_sleep_us(ms_clock_system(), 1000);
    /* It waits with both full, and lookups go on. */
    assert_int_equal(stats_of(index).overlay_entries, 200);
    assert_int_equal(ms_index_next_position(index), 200);
    uint64_t term = 199, position;
    size_t count;
    assert_int_equal(ms_index_term_scan(index, &term, 1, 0, false, 1, &position, &count, NULL), 0);
    assert_int_equal(count, 1);
    void *failed;
    open_gate();
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(ms_index_next_position(index), 250);
    ms_index_close(index, true);
}

/* ---- failures ---- */

static void limit_file_size(uint64_t bytes) {
    struct rlimit limit = {bytes, usual_limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void failed_flush_is_reported_and_tried_again(void **state) {
    (void)state;
    struct ms_index *index = must_open(500);
    struct model *model = model_new(8);
    limit_file_size(8192);
    while (model->count < 500) /* the flush begins only with the last of them */
        model_apply(model, index, 10, 0);
    while (stats_of(index).flush_failures == 0)
        ms_clock_sleep_us(ms_clock_system(), 1000);
    struct ms_error err = {0};
    assert_int_equal(ms_index_flush(index, &err), MS_EIO);
    assert_true(err.message[0]);
    assert_int_equal(stats_of(index).flushes, 0);
    assert_int_equal(ms_index_applied(index), 0);
    model->flush_failure = MS_EIO;
    model_apply(model, index, 10, 0);
    for (int i = 0; i < 30; i++)
        check_all(model, index);
    limit_file_size(usual_limit.rlim_cur);
    assert_int_equal(ms_index_flush(index, &err), 0);
    assert_int_equal(ms_index_applied(index), model->next);
    for (int i = 0; i < 30; i++)
        check_all(model, index);
    struct ms_dir_entry *entries;
    size_t count;
    assert_int_equal(ms_vfs_list(ms_vfs_posix(), dir, &entries, &count, NULL), 0);
    for (size_t i = 0; i < count; i++)
        assert_null(strstr(entries[i].name, ".tmp"));
    ms_dir_entries_free(entries, count);
    ms_index_close(index, true);
    model_free(model);
}

/* What makes room on a full disk has to be appended first. */
static void folding_goes_on_while_flushing_fails(void **state) {
    (void)state;
    struct ms_index *index = must_open(200);
    limit_file_size(4096);
    uint64_t i = 0;
    for (; i < 900; i++) {
        uint64_t term = i * 0x9e3779b97f4a7c15u;
        struct ms_index_append append = {.position = i,
                                         .record_count = 1,
                                         .terms = &term,
                                         .term_count = 1,
                                         .first_offset = (int64_t)i};
        int rc = ms_index_apply(index, &append, 1, NULL, 0, i + 1);
        assert_true(rc == 0 || rc == MS_EIO);
    }
    assert_int_equal(stats_of(index).overlay_entries, 900);
    limit_file_size(usual_limit.rlim_cur);
    assert_int_equal(ms_index_flush(index, NULL), 0);
    assert_int_equal(ms_index_applied(index), 900);
    ms_index_close(index, true);
}

static void close_does_not_wait_for_a_flush_that_fails(void **state) {
    (void)state;
    struct ms_index *index = must_open(100);
    struct model *model = model_new(9);
    limit_file_size(4096);
    while (model->count < 200) {
        model->flush_failure = 0;
        struct ms_index_append append;
        model_make_append(model);
        append = model->appends[model->count - 1].append;
        int rc = ms_index_apply(index, &append, 1, NULL, 0, model->next);
        assert_true(rc == 0 || rc == MS_EIO);
    }
    ms_index_close(index, true);
    limit_file_size(usual_limit.rlim_cur);
    index = must_open(100);
    assert_int_equal(ms_index_next_position(index), 0); /* nothing was lost but work */
    ms_index_close(index, true);
    model_free(model);
}

/* ---- folding, flushing and looking up at the same time ---- */

#define CROWD_APPENDS 30000u
#define CROWD_STREAMS 7u
#define CROWD_BATCH 10u
#define CROWD_TIME_STEP 101u

struct crowd {
    struct ms_index *index;
    _Atomic uint64_t published; /* appends that ms_index_apply has returned for */
    atomic_bool failed, over;
};

static void *crowd_write(void *context) {
    struct crowd *crowd = context;
    for (uint64_t i = 0; i < CROWD_APPENDS; i += CROWD_BATCH) {
        struct ms_index_append batch[CROWD_BATCH];
        uint64_t terms[CROWD_BATCH][2];
        uint8_t value[8];
        for (uint64_t k = 0; k < CROWD_BATCH; k++) {
            uint64_t n = i + k;
            terms[k][0] = model_term(n % 3);
            terms[k][1] = model_term(100 + n / 2);
            batch[k] = (struct ms_index_append){
                .position = n,
                .record_count = 1,
                .topic = 1,
                .partition = (uint16_t)(n % 2),
                .has_stream = true,
                .stream = model_stream(n % CROWD_STREAMS),
                .last_version = (int64_t)(n / CROWD_STREAMS),
                .first_offset = (int64_t)(n / 2),
                .commit_time_ms = (int64_t)n,
                .terms = terms[k],
                .term_count = 2,
            };
        }
        ms_put_be64(value, i + CROWD_BATCH);
        struct ms_index_fact fact = {.name = MS_BYTES_LITERAL("n"), .value = ms_bytes_of(value, 8)};
        if (ms_index_apply(crowd->index, batch, CROWD_BATCH, &fact, 1, i + CROWD_BATCH) != 0)
            crowd->failed = true;
        crowd->published = i + CROWD_BATCH;
    }
    crowd->over = true;
    return NULL;
}

static void *crowd_flush(void *context) {
    struct crowd *crowd = context;
    while (!crowd->over) {
        if (ms_index_flush(crowd->index, NULL) != 0)
            crowd->failed = true;
        ms_clock_sleep_us(ms_clock_system(), 3000);
    }
    return NULL;
}

static bool crowd_stream_is_right(struct crowd *crowd, uint64_t random) {
    uint64_t seen = crowd->published, number = random % CROWD_STREAMS;
    struct ms_stream_id stream = model_stream(number);
    struct ms_index_place places[32];
    bool descending = random >> 8 & 1;
    int64_t from = (int64_t)((random >> 16) % (seen / CROWD_STREAMS + 2));
    size_t count;
    if (ms_index_stream_scan(crowd->index, &stream, from, descending, 32, places, &count, NULL))
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t version = descending ? from - (int64_t)i : from + (int64_t)i;
        /* Going down, the first may be below a version that isn't there yet. */
        if (descending && i == 0 && places[0].last_version < from)
            from = version = places[0].last_version;
        if (places[i].last_version != version ||
            places[i].position != (uint64_t)version * CROWD_STREAMS + number)
            return false;
    }
    if (seen == 0 && count == 0) /* the readers are there before the first append */
        return true;
    int64_t last = descending ? from - (int64_t)count : from + (int64_t)count;
    return count == 32 || (descending ? last < 0 : (uint64_t)last * CROWD_STREAMS + number >= seen);
}

static bool crowd_term_is_right(struct crowd *crowd, uint64_t random) {
    uint64_t seen = crowd->published, kind = random % 3, from = (random >> 8) % (seen + 1);
    uint64_t term = model_term(kind), positions[300];
    size_t count;
    if (ms_index_term_scan(crowd->index, &term, 1, from, false, 300, positions, &count, NULL))
        return false;
    uint64_t next = from + (kind + 3 - from % 3) % 3;
    for (size_t i = 0; i < count; i++, next += 3) {
        if (positions[i] != next)
            return false;
    }
    if (count < 300 && next < seen)
        return false;
    if (seen == 0)
        return true;
    uint64_t pair = (random >> 8) % (seen / 2);
    term = model_term(100 + pair);
    return ms_index_term_scan(crowd->index, &term, 1, UINT64_MAX, true, 9, positions, &count,
                              NULL) == 0 &&
           count == 2 && positions[0] == pair * 2 + 1 && positions[1] == pair * 2;
}

static bool crowd_offset_is_right(struct crowd *crowd, uint64_t random) {
    uint64_t seen = crowd->published, position, floor;
    int64_t first;
    if (seen == 0)
        return true;
    uint64_t wanted = random % seen;
    return ms_index_offset(crowd->index, 1, (uint16_t)(wanted % 2), (int64_t)(wanted / 2),
                           &position, &first, NULL) == 0 &&
           position == wanted && first == (int64_t)(wanted / 2) &&
           ms_index_time_floor(crowd->index, (int64_t)wanted, &floor, NULL) == 0 &&
           floor <= wanted && floor + CROWD_TIME_STEP > wanted;
}

static bool crowd_fact_is_right(struct crowd *crowd) {
    uint64_t seen = crowd->published;
    struct ms_buf value;
    ms_buf_init(&value, 8);
    int rc = ms_index_fact_get(crowd->index, MS_BYTES_LITERAL("n"), &value, NULL);
    bool right = rc == 0 ? value.len == 8 && ms_get_be64(value.data) >= seen : seen == 0;
    ms_buf_deinit(&value);
    return right;
}

static void *crowd_read(void *context) {
    struct crowd *crowd = context;
    struct model numbers = {.random = 77 + (uint64_t)(uintptr_t)&numbers};
    while (!crowd->over && !crowd->failed) {
        static const char *const lookups[] = {"stream", "term", "offset", "fact"};
        const bool right[] = {crowd_stream_is_right(crowd, model_random(&numbers, UINT64_MAX)),
                              crowd_term_is_right(crowd, model_random(&numbers, UINT64_MAX)),
                              crowd_offset_is_right(crowd, model_random(&numbers, UINT64_MAX)),
                              crowd_fact_is_right(crowd)};
        for (size_t i = 0; i < 4; i++) {
            if (!right[i]) {
                print_error("a lookup of a %s was wrong\n", lookups[i]);
                crowd->failed = true;
            }
        }
    }
    return NULL;
}

static void lookups_are_right_while_folding_and_flushing(void **state) {
    (void)state;
    struct crowd crowd = {.index = must_open(1500)};
    void *(*const members[])(void *) = {crowd_write, crowd_flush, crowd_read, crowd_read};
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, members[i], &crowd), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_false(crowd.failed);
    assert_int_equal(ms_index_next_position(crowd.index), CROWD_APPENDS);
    assert_true(stats_of(crowd.index).flushes > 3);
    ms_index_close(crowd.index, true);
}

#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, make_scratch, remove_scratch)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_SCRATCH(full_generation_is_flushed_by_itself),
        WITH_SCRATCH(generation_being_dropped_is_seen_once),
        WITH_SCRATCH(folding_waits_when_both_generations_are_full),
        WITH_SCRATCH(failed_flush_is_reported_and_tried_again),
        WITH_SCRATCH(folding_goes_on_while_flushing_fails),
        WITH_SCRATCH(close_does_not_wait_for_a_flush_that_fails),
        WITH_SCRATCH(lookups_are_right_while_folding_and_flushing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
