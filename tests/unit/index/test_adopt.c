/* Tests of ms_index_adopt: records that become a stream's after they were folded, wherever they
 * lie. */
#include "unit/index/model.h"

#include "base/alloc.h"
#include "unit/os/scratch.h"

static char scratch[MS_PATH_MAX];
static char dir[MS_PATH_MAX];

static int make_scratch(void **state) {
    (void)state;
    if (scratch_make(scratch) != 0)
        return -1;
    return ms_path_join(dir, scratch, "index");
}

static int remove_scratch(void **state) {
    (void)state;
    return scratch_remove(scratch);
}

static struct ms_index *open_index(void) {
    struct ms_index_options options = {
        .env = ms_env_system(),
        .dir = dir,
        .store_uuid = model_uuid(1),
        .block_cache_bytes = 1u << 20,
        .manual = true,
    };
    struct ms_index *index = NULL;
    uint64_t applied;
    struct ms_error err = {0};
    assert_int_equal(ms_index_open(&options, &index, &applied, &err), 0);
    return index;
}

static void flush(struct ms_index *index) {
    struct ms_error err = {0};
    assert_int_equal(ms_index_flush(index, &err), 0);
}

/* An entry of ten records at `position`, of the stream or of none. */
static void fold(struct ms_index *index, uint64_t position, bool has_stream, int64_t last_version) {
    struct ms_index_append append = {
        .position = position,
        .record_count = 10,
        .topic = 1,
        .has_stream = has_stream,
        .stream = model_stream(1),
        .last_version = last_version,
        .first_offset = (int64_t)position,
        .commit_time_ms = (int64_t)position,
    };
    assert_int_equal(ms_index_apply(index, &append, 1, NULL, 0, position + 10), 0);
}

/* Every second record of those ten. */
static void adopt(struct ms_index *index, uint64_t position, int64_t first_version) {
    struct ms_index_run runs[5];
    for (int i = 0; i < 5; i++)
        runs[i] = (struct ms_index_run){.stream = model_stream(1),
                                        .position = position + 2 * (uint64_t)i,
                                        .last_version = first_version + i,
                                        .record_count = 1,
                                        .partition = 3};
    assert_int_equal(ms_index_adopt(index, runs, 5), 0);
}

/* The stream has versions 0 … head, one place for each below `single` and every second position. */
static void assert_stream(struct ms_index *index, int64_t head, int64_t single) {
    struct ms_stream_id stream = model_stream(1);
    struct ms_index_place places[100];
    struct ms_error err = {0};
    size_t count;
    for (int64_t from = 0; from <= head; from += 3) {
        assert_int_equal(
            ms_index_stream_scan(index, &stream, from, false, 100, places, &count, &err), 0);
        int64_t next = places[0].last_version - (int64_t)places[0].record_count + 1;
        assert_true(next <= from);
        for (size_t i = 0; i < count; i++) {
            int64_t first = places[i].last_version - (int64_t)places[i].record_count + 1;
            assert_int_equal(first, next);
            if (first < single)
                assert_int_equal(places[i].position, 2 * (uint64_t)first);
            next = places[i].last_version + 1;
        }
        assert_int_equal(next, head + 1);
        assert_int_equal(
            ms_index_stream_scan(index, &stream, head - from, true, 100, places, &count, &err), 0);
        assert_true(places[0].last_version >= head - from);
        for (size_t i = 1; i < count; i++)
            assert_int_equal(places[i].last_version,
                             places[i - 1].last_version - (int64_t)places[i - 1].record_count);
        assert_int_equal(places[count - 1].last_version, places[count - 1].record_count - 1);
    }
    int64_t version;
    uint64_t position;
    assert_int_equal(ms_index_stream_head(index, &stream, &version, &position, &err), 0);
    assert_int_equal(version, head);
}

/* Adopted before or behind flushes of any of the parts, and flushed or not. */
static void runs_are_found_whatever_is_flushed_when(void **state) {
    (void)state;
    for (unsigned flushes = 0; flushes < 64; flushes++) {
        struct ms_index *index = open_index();
        fold(index, 0, false, 0);
        fold(index, 10, false, 0);
        if (flushes & 1)
            flush(index);
        fold(index, 20, false, 0);
        if (flushes & 2)
            flush(index);
        adopt(index, 0, 0);
        assert_stream(index, 4, 5);
        if (flushes & 4)
            flush(index);
        adopt(index, 10, 5);
        if (flushes & 8)
            flush(index);
        adopt(index, 20, 10);
        assert_stream(index, 14, 15);
        if (flushes & 16)
            flush(index);
        fold(index, 30, true, 24);
        if (flushes & 32)
            flush(index);
        fold(index, 40, true, 34);
        assert_stream(index, 34, 15);
        flush(index);
        assert_stream(index, 34, 15);
        ms_index_close(index, true);
        assert_int_equal(scratch_remove(scratch), 0);
        assert_int_equal(make_scratch(NULL), 0);
    }
}

/* A start adopts again what it can't know to be flushed. */
static void runs_that_are_adopted_again_count_once(void **state) {
    (void)state;
    struct ms_index *index = open_index();
    fold(index, 0, false, 0);
    fold(index, 10, false, 0);
    adopt(index, 0, 0);
    adopt(index, 10, 5);
    flush(index);
    for (int i = 0; i < 3; i++) {
        adopt(index, 10, 5);
        assert_stream(index, 9, 10);
    }
    fold(index, 20, true, 19);
    assert_stream(index, 19, 10);
    flush(index);
    assert_stream(index, 19, 10);
    ms_index_close(index, true);
    index = open_index();
    assert_stream(index, 19, 10);
    ms_index_close(index, true);
}

static void few_places_are_no_places_twice(void **state) {
    (void)state;
    struct ms_index *index = open_index();
    struct ms_stream_id stream = model_stream(1);
    struct ms_error err = {0};
    fold(index, 0, false, 0);
    fold(index, 10, false, 0);
    adopt(index, 0, 0);
    adopt(index, 10, 5);
    flush(index);
    adopt(index, 10, 5);
    int64_t next = 0;
    size_t count = 2;
    while (count == 2) {
        struct ms_index_place places[2];
        assert_int_equal(ms_index_stream_scan(index, &stream, next, false, 2, places, &count, &err),
                         0);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(places[i].last_version, next++);
    }
    assert_int_equal(next, 10);
    for (count = 2, next = 9; count == 2 && next >= 0;) {
        struct ms_index_place places[2];
        assert_int_equal(ms_index_stream_scan(index, &stream, next, true, 2, places, &count, &err),
                         0);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(places[i].last_version, next--);
    }
    assert_int_equal(next, -1);
    ms_index_close(index, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(runs_are_found_whatever_is_flushed_when, make_scratch,
                                        remove_scratch),
        cmocka_unit_test_setup_teardown(runs_that_are_adopted_again_count_once, make_scratch,
                                        remove_scratch),
        cmocka_unit_test_setup_teardown(few_places_are_no_places_twice, make_scratch,
                                        remove_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
