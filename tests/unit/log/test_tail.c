/* The tail cache: what it finds, what it lets go, and that readers keep what they hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log/internal.h"

struct fixture {
    struct ms_tail tail;
    struct ms_segment segments[2];
};

static void add(struct fixture *f, unsigned segment, uint64_t offset, size_t len) {
    struct ms_blob *blob;
    assert_int_equal(ms_blob_new((size_t)ms_block_padded(len), &blob), 0);
    memset(blob->data, (int)(offset / MS_BLOCK_ALIGN), blob->size);
    struct ms_log_block block = {
        .chunk = blob,
        .data = blob->data,
        .len = len,
        .segment = &f->segments[segment],
        .offset = offset,
        .entry_count = 1,
        .record_count = 1,
    };
    ms_tail_add(&f->tail, &block);
    ms_blob_unref(blob);
}

static void start(struct fixture *f, size_t bytes_max) {
    *f = (struct fixture){0};
    f->segments[1].first_position = 1000;
    assert_int_equal(ms_tail_init(&f->tail, bytes_max), 0);
}

static bool finds(struct fixture *f, uint64_t segment, uint64_t offset) {
    struct ms_tail_block block;
    if (!ms_tail_find(&f->tail, segment, offset, &block))
        return false;
    assert_true(block.offset <= offset && offset < block.offset + block.len);
    assert_int_equal(block.data[0], block.offset / MS_BLOCK_ALIGN % 256);
    ms_blob_unref(block.chunk);
    return true;
}

static void finds_blocks_by_any_place_inside(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 1 << 20);
    assert_false(finds(&f, 0, 0));
    add(&f, 0, 0, 5000);
    add(&f, 0, 8192, 100);
    add(&f, 1, 0, 200);
    assert_true(finds(&f, 0, 0));
    assert_true(finds(&f, 0, 4999));
    assert_false(finds(&f, 0, 5000)); /* padding */
    assert_true(finds(&f, 0, 8192));
    assert_false(finds(&f, 0, 8292));
    assert_true(finds(&f, 1000, 0));
    assert_false(finds(&f, 1000, 4096));
    assert_false(finds(&f, 500, 0));
    ms_tail_deinit(&f.tail);
}

static void stays_within_its_bytes(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 16 * MS_BLOCK_ALIGN);
    for (uint64_t i = 0; i < 100; i++) {
        add(&f, 0, i * MS_BLOCK_ALIGN, 300);
        assert_true(f.tail.bytes <= f.tail.bytes_max);
        assert_true(finds(&f, 0, i * MS_BLOCK_ALIGN));
    }
    assert_true(finds(&f, 0, 84 * MS_BLOCK_ALIGN));
    assert_false(finds(&f, 0, 83 * MS_BLOCK_ALIGN));
    ms_tail_deinit(&f.tail);
}

static void leaves_out_marks_and_very_large_blocks(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 16 * MS_BLOCK_ALIGN);
    add(&f, 0, 0, 100);
    add(&f, 0, 4096, 4 * MS_BLOCK_ALIGN + 1);
    struct ms_log_block mark = {.segment = &f.segments[0], .offset = 1 << 20, .len = 128};
    ms_tail_add(&f.tail, &mark);
    assert_int_equal(f.tail.count, 1);
    ms_tail_deinit(&f.tail);
    start(&f, 0); /* no cache at all */
    add(&f, 0, 0, 100);
    assert_false(finds(&f, 0, 0));
    ms_tail_deinit(&f.tail);
}

static void grows_its_ring(void **state) {
    (void)state;
    struct fixture f;
    start(&f, (size_t)2000 * MS_BLOCK_ALIGN);
    for (uint64_t i = 0; i < 3000; i++)
        add(&f, 0, i * MS_BLOCK_ALIGN, 200);
    assert_int_equal(f.tail.count, 2000);
    for (uint64_t i = 1000; i < 3000; i += 37)
        assert_true(finds(&f, 0, i * MS_BLOCK_ALIGN));
    ms_tail_deinit(&f.tail);
}

static void readers_keep_what_they_found(void **state) {
    (void)state;
    struct fixture f;
    struct ms_tail_block held;
    start(&f, 8 * MS_BLOCK_ALIGN);
    add(&f, 0, 3 * MS_BLOCK_ALIGN, 200);
    assert_true(ms_tail_find(&f.tail, 0, 3 * MS_BLOCK_ALIGN, &held));
    for (uint64_t i = 4; i < 40; i++)
        add(&f, 0, i * MS_BLOCK_ALIGN, 200);
    assert_int_equal(held.data[199], 3);
    ms_tail_deinit(&f.tail);
    assert_int_equal(held.data[0], 3);
    ms_blob_unref(held.chunk);
}

static void forgets_a_segment_and_what_is_older(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 1 << 20);
    add(&f, 0, 0, 100);
    add(&f, 0, 4096, 100);
    add(&f, 1, 0, 100);
    ms_tail_forget(&f.tail, 0);
    assert_false(finds(&f, 0, 0));
    assert_false(finds(&f, 0, 4096));
    assert_true(finds(&f, 1000, 0));
    ms_tail_deinit(&f.tail);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_blocks_by_any_place_inside),
        cmocka_unit_test(stays_within_its_bytes),
        cmocka_unit_test(leaves_out_marks_and_very_large_blocks),
        cmocka_unit_test(grows_its_ring),
        cmocka_unit_test(readers_keep_what_they_found),
        cmocka_unit_test(forgets_a_segment_and_what_is_older),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
