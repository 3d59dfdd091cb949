/* A large request's memory: it grows with what has arrived, up to exactly its size. */
#include "base/alloc.h"
#include "face/kafka/frame.h"
#include "kafka_cmocka.h"

#define FIRST MS_KAFKA_FRAME_FIRST_BYTES

static struct ms_kafka_frame_pool pool;

/* Fills what is there, as a socket would. */
static void fill(struct ms_kafka_frame *frame) {
    while (frame->filled < frame->blob->size) {
        frame->blob->data[frame->filled] = (uint8_t)(frame->filled * 31);
        frame->filled++;
    }
}

static void memory_doubles_up_to_the_size(void **state) {
    (void)state;
    static const size_t sizes[] = {10, FIRST - 1, FIRST, FIRST + 1, 5 * FIRST + 3, 64 * FIRST};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct ms_kafka_frame frame = {.size = sizes[i]};
        size_t before = 0;
        while (!ms_kafka_frame_whole(&frame)) {
            size_t wanted = ms_kafka_frame_wanted(&frame);
            assert_true(wanted > before && wanted <= sizes[i]);
            assert_true(wanted <= (before ? 2 * before : FIRST));
            assert_int_equal(ms_kafka_frame_grow(&frame, &pool, wanted), 0);
            before = wanted;
            fill(&frame);
        }
        assert_int_equal(frame.blob->size, sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++)
            assert_int_equal(frame.blob->data[at], (uint8_t)(at * 31));
        ms_blob_unref(frame.blob);
    }
}

static void memory_that_is_not_full_is_enough(void **state) {
    (void)state;
    struct ms_kafka_frame frame = {.size = 4 * FIRST};
    assert_int_equal(ms_kafka_frame_wanted(&frame), FIRST);
    assert_int_equal(ms_kafka_frame_grow(&frame, &pool, FIRST), 0);
    frame.filled = FIRST - 1;
    assert_int_equal(ms_kafka_frame_wanted(&frame), FIRST);
    frame.filled = FIRST;
    assert_int_equal(ms_kafka_frame_wanted(&frame), 2 * FIRST);
    assert_false(ms_kafka_frame_whole(&frame));
    ms_blob_unref(frame.blob);
}

static void without_memory_it_is_as_before(void **state) {
    (void)state;
    struct ms_kafka_frame frame = {.size = 2 * MS_KAFKA_FRAME_POOLED_BYTES};
    for (uint64_t n = 1; n <= 2; n++) {
        ms_alloc_fail_nth(n);
        assert_int_equal(ms_kafka_frame_grow(&frame, &pool, FIRST), MS_ENOMEM);
        assert_null(frame.blob);
    }
    ms_alloc_fail_nth(0);
    assert_int_equal(ms_kafka_frame_grow(&frame, &pool, FIRST), 0);
    ms_alloc_fail_nth(1);
    assert_int_equal(ms_kafka_frame_grow(&frame, &pool, 2 * FIRST), MS_ENOMEM);
    ms_alloc_fail_nth(0);
    assert_int_equal(frame.blob->size, FIRST);
    ms_blob_unref(frame.blob);
}

static void memory_of_the_pool_is_used_again(void **state) {
    (void)state;
    struct ms_kafka_frame frames[MS_KAFKA_FRAMES_POOLED + 2];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < MS_KAFKA_FRAMES_POOLED + 2; i++) {
            frames[i] = (struct ms_kafka_frame){.size = MS_KAFKA_FRAME_POOLED_BYTES - i};
            assert_int_equal(ms_kafka_frame_grow(&frames[i], &pool, FIRST), 0);
            const uint8_t *data = frames[i].blob->data;
            fill(&frames[i]);
            assert_int_equal(ms_kafka_frame_grow(&frames[i], &pool, frames[i].size), 0);
            assert_ptr_equal(frames[i].blob->data, data); /* it doesn't move */
            fill(&frames[i]);
            assert_true(ms_kafka_frame_whole(&frames[i]));
        }
        for (size_t i = 0; i < MS_KAFKA_FRAMES_POOLED + 2; i++)
            ms_blob_unref(frames[i].blob);
        assert_int_equal(pool.count, MS_KAFKA_FRAMES_POOLED);
    }
}

static int pool_setup(void **state) {
    (void)state;
    ms_kafka_frame_pool_init(&pool);
    return 0;
}

static int pool_teardown(void **state) {
    (void)state;
    ms_kafka_frame_pool_deinit(&pool);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_doubles_up_to_the_size),
        cmocka_unit_test(memory_that_is_not_full_is_enough),
        cmocka_unit_test(without_memory_it_is_as_before),
        cmocka_unit_test(memory_of_the_pool_is_used_again),
    };
    return cmocka_run_group_tests(tests, pool_setup, pool_teardown);
}
