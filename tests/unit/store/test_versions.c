/* Pages of versions: their bytes, and that no bytes are taken for one that they aren't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "os/random.h"
#include "store/internal.h"

static struct ms_stream_id id_of(uint8_t byte) {
    struct ms_stream_id id;
    memset(id.bytes, byte, sizeof id.bytes);
    return id;
}

static struct ms_index_run run_of(uint8_t stream, uint64_t position, uint32_t count,
                                  int64_t last_version, uint16_t partition) {
    return (struct ms_index_run){id_of(stream), position, last_version, count, partition};
}

static struct ms_versions_page *new_page(void) {
    struct ms_versions_page *page = ms_calloc(1, sizeof *page);
    assert_non_null(page);
    return page;
}

static void assert_runs_equal(const struct ms_versions_page *a, const struct ms_versions_page *b) {
    assert_int_equal(a->first, b->first);
    assert_int_equal(a->end, b->end);
    assert_int_equal(a->run_count, b->run_count);
    for (size_t i = 0; i < a->run_count; i++) {
        assert_memory_equal(a->runs[i].stream.bytes, b->runs[i].stream.bytes, MS_STREAM_ID_LEN);
        assert_int_equal(a->runs[i].position, b->runs[i].position);
        assert_int_equal(a->runs[i].last_version, b->runs[i].last_version);
        assert_int_equal(a->runs[i].record_count, b->runs[i].record_count);
        assert_int_equal(a->runs[i].partition, b->runs[i].partition);
    }
}

/* What versions.h shows. */
static void example_is_as_it_is_documented(void **state) {
    static const char example[] = "010000000000000064000000000000006800020300"
                                  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0001010300";
    struct ms_versions_page *page = new_page(), *read = new_page();
    struct ms_buf bytes;
    char text[200] = "";
    (void)state;
    page->first = 100;
    page->end = 104;
    page->runs[page->run_count++] = run_of(0xaa, 100, 2, 1, 3);
    page->runs[page->run_count++] = run_of(0xaa, 103, 1, 2, 3);
    ms_buf_init(&bytes, 1 << 16);
    assert_int_equal(ms_versions_page_write(page, &bytes), 0);
    for (size_t i = 0; i < bytes.len; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes.data[i]);
    assert_string_equal(text, example);
    assert_int_equal(ms_versions_page_read(ms_buf_bytes(&bytes), read), 0);
    assert_runs_equal(page, read);
    assert_null(ms_versions_page_find(read, 99));
    assert_ptr_equal(ms_versions_page_find(read, 100), &read->runs[0]);
    assert_ptr_equal(ms_versions_page_find(read, 101), &read->runs[0]);
    assert_null(ms_versions_page_find(read, 102));
    assert_ptr_equal(ms_versions_page_find(read, 103), &read->runs[1]);
    assert_null(ms_versions_page_find(read, 104));
    ms_buf_deinit(&bytes);
    ms_free(page);
    ms_free(read);
}

static uint64_t some(struct ms_random_seeded *random, uint64_t below) {
    uint64_t number;
    ms_random_fill(&random->random, &number, sizeof number);
    return number % below;
}

static void fill(struct ms_random_seeded *random, struct ms_versions_page *page) {
    int64_t versions[40];
    for (size_t i = 0; i < 40; i++)
        versions[i] = (int64_t)some(random, (uint64_t)1 << 40);
    page->first = some(random, (uint64_t)1 << 50);
    page->run_count = some(random, 5) == 0 ? MS_VERSIONS_RUNS_MAX : some(random, 100);
    uint64_t at = page->first;
    for (size_t i = 0; i < page->run_count; i++) {
        size_t stream = some(random, 40);
        uint32_t count = 1 + (uint32_t)some(random, 1000);
        at += some(random, 3) * some(random, 1000000);
        versions[stream] += count;
        page->runs[i] = run_of((uint8_t)stream, at, count, versions[stream],
                               (uint16_t)some(random, MS_TOPIC_PARTITIONS_MAX));
        at += count;
    }
    page->end = at + some(random, 3);
}

static void pages_are_read_as_they_were_written(void **state) {
    struct ms_versions_page *page = new_page(), *read = new_page();
    struct ms_random_seeded random;
    struct ms_buf bytes;
    (void)state;
    ms_random_seeded_init(&random, 1);
    for (int i = 0; i < 500; i++) {
        ms_buf_init(&bytes, MS_VERSIONS_PAGE_BYTES_MAX);
        fill(&random, page);
        assert_int_equal(ms_versions_page_write(page, &bytes), 0);
        assert_int_equal(ms_versions_page_read(ms_buf_bytes(&bytes), read), 0);
        assert_runs_equal(page, read);
        /* One byte less is no page, or one with a run less. */
        if (bytes.len > 17 && page->run_count > 0) {
            bytes.len--;
            assert_int_equal(ms_versions_page_read(ms_buf_bytes(&bytes), read), MS_ECORRUPT);
        }
        ms_buf_deinit(&bytes);
    }
    ms_free(page);
    ms_free(read);
}

/* Whatever is read as a page is sound: nothing lies outside of it, versions follow each other. */
static void damaged_pages_are_noticed_or_sound(void **state) {
    struct ms_versions_page *page = new_page(), *read = new_page();
    struct ms_random_seeded random;
    struct ms_buf bytes;
    unsigned noticed = 0;
    (void)state;
    ms_random_seeded_init(&random, 2);
    for (int i = 0; i < 2000; i++) {
        ms_buf_init(&bytes, MS_VERSIONS_PAGE_BYTES_MAX);
        fill(&random, page);
        assert_int_equal(ms_versions_page_write(page, &bytes), 0);
        for (int k = 0; k < 3; k++)
            bytes.data[some(&random, bytes.len)] ^= (uint8_t)(1u << some(&random, 8));
        int rc = ms_versions_page_read(ms_buf_bytes(&bytes), read);
        noticed += rc == MS_ECORRUPT;
        uint64_t behind = read->first;
        for (size_t r = 0; rc == 0 && r < read->run_count; r++) {
            const struct ms_index_run *run = &read->runs[r];
            assert_true(run->position >= behind && run->record_count > 0);
            assert_true(run->last_version >= (int64_t)run->record_count - 1);
            behind = run->position + run->record_count;
            assert_true(behind <= read->end);
        }
        ms_buf_deinit(&bytes);
    }
    assert_true(noticed > 500);
    assert_int_equal(ms_versions_page_read(MS_BYTES_LITERAL(""), read), MS_ECORRUPT);
    ms_free(page);
    ms_free(read);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(example_is_as_it_is_documented),
        cmocka_unit_test(pages_are_read_as_they_were_written),
        cmocka_unit_test(damaged_pages_are_noticed_or_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
