/* A large request's memory: it grows with what has arrived, up to exactly its size. */
#include "base/alloc.h"
#include "face/kafka/frame.h"
#include "kafka_cmocka.h"

#define FIRST MS_KAFKA_FRAME_FIRST_BYTES

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
            assert_int_equal(ms_kafka_frame_grow(&frame, wanted), 0);
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
    assert_int_equal(ms_kafka_frame_grow(&frame, FIRST), 0);
    frame.filled = FIRST - 1;
    assert_int_equal(ms_kafka_frame_wanted(&frame), FIRST);
    frame.filled = FIRST;
    assert_int_equal(ms_kafka_frame_wanted(&frame), 2 * FIRST);
    assert_false(ms_kafka_frame_whole(&frame));
    ms_blob_unref(frame.blob);
}

static void without_memory_it_is_as_before(void **state) {
    (void)state;
    struct ms_kafka_frame frame = {.size = 4 * FIRST};
    for (uint64_t n = 1; n <= 2; n++) {
        ms_alloc_fail_nth(n);
        assert_int_equal(ms_kafka_frame_grow(&frame, FIRST), MS_ENOMEM);
        assert_null(frame.blob);
    }
    ms_alloc_fail_nth(0);
    assert_int_equal(ms_kafka_frame_grow(&frame, FIRST), 0);
    ms_alloc_fail_nth(1);
    assert_int_equal(ms_kafka_frame_grow(&frame, 2 * FIRST), MS_ENOMEM);
    ms_alloc_fail_nth(0);
    assert_int_equal(frame.blob->size, FIRST);
    ms_blob_unref(frame.blob);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_doubles_up_to_the_size),
        cmocka_unit_test(memory_that_is_not_full_is_enough),
        cmocka_unit_test(without_memory_it_is_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
