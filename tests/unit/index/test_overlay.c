/* Tests of index/overlay.c and the tables it is made of: memory, order, ids that are no good
 * hashes. */
#include "unit/index/model.h"

#include "base/alloc.h"
#include "base/endian.h"
#include "index/overlay.h"

static struct ms_overlay *must_make(uint64_t base) {
    struct ms_overlay *overlay = NULL;
    assert_int_equal(ms_overlay_new(base, -1, &overlay), 0);
    return overlay;
}

static void fold_one(struct ms_overlay *overlay, struct ms_index_append *append, uint64_t term) {
    uint64_t terms[] = {term};
    append->terms = terms;
    append->term_count = 1;
    append->record_count = 1;
    assert_int_equal(ms_overlay_fold(overlay, append, 1, append->position + 1), 0);
}

static void empty_generation_knows_nothing(void **state) {
    (void)state;
    struct ms_overlay *overlay = must_make(10);
    struct ms_stream_id stream = model_stream(1);
    uint64_t position = 77;
    assert_true(ms_overlay_is_empty(overlay));
    assert_null(ms_stream_table_find(&overlay->streams, &stream));
    assert_int_equal(ms_term_table_find(&overlay->terms, 0), 0);
    assert_null(ms_overlay_partition_find(overlay, 0, 0));
    assert_false(ms_overlay_time_floor(overlay, INT64_MAX, &position));
    assert_int_equal(position, 77);
    assert_true(ms_overlay_bytes(overlay) < 64 * 1024);
    ms_overlay_unref(overlay);
    ms_overlay_unref(NULL);
}

static void position_alone_makes_a_generation_worth_writing(void **state) {
    (void)state;
    struct ms_overlay *overlay = must_make(10);
    assert_int_equal(ms_overlay_fold(overlay, NULL, 0, 11), 0);
    assert_false(ms_overlay_is_empty(overlay));
    ms_overlay_unref(overlay);
}

/* The bound that the size of a generation is chosen by. */
static void append_takes_little_memory(void **state) {
    (void)state;
    struct ms_overlay *overlay = must_make(0);
    struct ms_index_append append = {.has_stream = true};
    for (uint64_t i = 0; i < 200000; i++) {
        uint64_t terms[] = {model_term(i % 20), model_term(1000 + i)};
        append = (struct ms_index_append){
            .position = i,
            .record_count = 1,
            .has_stream = true,
            .stream = model_stream(i),
            .first_offset = (int64_t)i,
            .commit_time_ms = (int64_t)(i / 150),
            .terms = terms,
            .term_count = 2,
        };
        assert_int_equal(ms_overlay_fold(overlay, &append, 1, i + 1), 0);
    }
    assert_int_equal(overlay->entries, 200000);
    assert_true(ms_overlay_bytes(overlay) < (size_t)120 * 200000);
    ms_overlay_unref(overlay);
}

/* Ids and terms that differ in few bits, all in one shard. */
static void poor_hashes_are_found_again(void **state) {
    (void)state;
    struct ms_overlay *overlay = must_make(0);
    for (uint64_t i = 0; i < 30000; i++) {
        struct ms_index_append append = {
            .position = i, .has_stream = true, .first_offset = (int64_t)i};
        ms_put_be64(append.stream.bytes + 8, i);
        fold_one(overlay, &append, i);
    }
    assert_int_equal(overlay->streams.shards[0].used, 30000);
    for (uint64_t i = 0; i < 30000; i++) {
        struct ms_stream_id stream = {{0}};
        ms_put_be64(stream.bytes + 8, i);
        const struct ms_overlay_stream *found = ms_stream_table_find(&overlay->streams, &stream);
        assert_non_null(found);
        assert_int_equal(found->newest.position, i);
        ms_posting_ref ref = ms_term_table_find(&overlay->terms, i);
        assert_true(ms_posting_ref_is_single(ref));
        assert_int_equal(ms_posting_ref_position(ref), i);
    }
    struct ms_stream_id missing = {{0}};
    ms_put_be64(missing.bytes + 8, 30000);
    assert_null(ms_stream_table_find(&overlay->streams, &missing));
    assert_int_equal(ms_term_table_find(&overlay->terms, 30000), 0);
    const struct ms_overlay_stream **sorted = calloc(30000, sizeof *sorted);
    struct ms_term_slot *slots = calloc(30000, sizeof *slots);
    assert_true(sorted && slots);
    ms_stream_table_sorted(&overlay->streams, 0, sorted);
    ms_term_table_sorted(&overlay->terms, 0, slots);
    for (uint64_t i = 0; i < 30000; i++) {
        assert_int_equal(sorted[i]->newest.position, i);
        assert_int_equal(slots[i].term, i);
    }
    free(sorted);
    free(slots);
    ms_overlay_unref(overlay);
}

static void partitions_come_sorted(void **state) {
    (void)state;
    struct ms_overlay *overlay = must_make(0);
    uint64_t position = 0;
    for (uint32_t topic = 200; topic-- > 0;) {
        for (uint16_t partition = 3; partition-- > 0;) {
            struct ms_index_append append = {
                .position = position++, .topic = topic * 70001, .partition = partition};
            fold_one(overlay, &append, 1);
        }
    }
    const struct ms_overlay_partition *sorted[600];
    assert_int_equal(overlay->partitions.used, 600);
    ms_overlay_partitions_sorted(overlay, sorted);
    for (uint32_t i = 0; i < 600; i++) {
        assert_int_equal(sorted[i]->topic, i / 3 * 70001);
        assert_int_equal(sorted[i]->partition, i % 3);
        assert_ptr_equal(ms_overlay_partition_find(overlay, i / 3 * 70001, (uint16_t)(i % 3)),
                         sorted[i]);
    }
    assert_null(ms_overlay_partition_find(overlay, 1, 0));
    assert_null(ms_overlay_partition_find(overlay, 0, 3));
    ms_overlay_unref(overlay);
}

static void commit_times_are_noted_once_in_a_step(void **state) {
    (void)state;
    struct ms_overlay *overlay = NULL;
    uint64_t floor;
    assert_int_equal(ms_overlay_new(0, 950, &overlay), 0); /* noted in an older generation */
    for (uint64_t i = 0; i < 500; i++) {
        struct ms_index_append append = {
            .position = i, .first_offset = (int64_t)i, .commit_time_ms = 1000 + (int64_t)i};
        fold_one(overlay, &append, 1);
    }
    assert_int_equal(overlay->times.count, 5);
    assert_int_equal(overlay->times.items[0].ms, 1050);
    assert_false(ms_overlay_time_floor(overlay, 1049, &floor));
    assert_true(ms_overlay_time_floor(overlay, 1050, &floor));
    assert_int_equal(floor, 50);
    assert_true(ms_overlay_time_floor(overlay, 1149, &floor));
    assert_int_equal(floor, 50);
    assert_true(ms_overlay_time_floor(overlay, INT64_MAX, &floor));
    assert_int_equal(floor, 450);
    ms_overlay_unref(overlay);
}

static void facts_are_sorted_replaced_and_marked(void **state) {
    (void)state;
    struct ms_overlay *overlay = must_make(0);
    char name[16], value[16];
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "%04u", i * 7 % 1000);
        snprintf(value, sizeof value, "%u", i);
        struct ms_index_fact fact = {
            .name = ms_bytes_cstr(name), .value = ms_bytes_cstr(value), .remove = i % 10 == 9};
        assert_int_equal(ms_overlay_fold_facts(overlay, &fact, 1), 0);
    }
    assert_int_equal(overlay->facts.count, 1000);
    assert_int_equal(overlay->entries, 1000);
    const struct ms_overlay_fact *fact =
        ms_fact_list_seek(&overlay->facts, (struct ms_bytes){0}, false);
    for (unsigned i = 0; i < 1000; i++, fact = ms_fact_list_next(fact)) {
        snprintf(name, sizeof name, "%04u", i);
        assert_non_null(fact);
        assert_true(ms_bytes_equal_cstr(fact->name, name));
        assert_ptr_equal(ms_fact_list_find(&overlay->facts, ms_bytes_cstr(name)), fact);
    }
    assert_null(fact);
    fact = ms_fact_list_seek(&overlay->facts, MS_BYTES_LITERAL("0500"), true);
    assert_true(ms_bytes_equal_cstr(fact->name, "0501"));
    assert_null(ms_fact_list_seek(&overlay->facts, MS_BYTES_LITERAL("0999"), true));
    assert_null(ms_fact_list_find(&overlay->facts, MS_BYTES_LITERAL("05")));
    ms_overlay_unref(overlay);
}

/* A fact that changes all the time must not fill the generation. */
static void fact_replaced_often_takes_its_place_once(void **state) {
    (void)state;
    struct ms_overlay *overlay = must_make(0);
    uint8_t value[8];
    struct ms_index_fact fact = {.name = MS_BYTES_LITERAL("o/1"), .value = ms_bytes_of(value, 8)};
    for (uint64_t i = 0; i < 100000; i++) {
        ms_put_be64(value, i);
        assert_int_equal(ms_overlay_fold_facts(overlay, &fact, 1), 0);
    }
    assert_int_equal(overlay->entries, 1);
    assert_true(ms_overlay_bytes(overlay) < 64 * 1024);
    ms_overlay_unref(overlay);
}

static void generation_ends_with_its_last_reference(void **state) {
    (void)state;
    struct ms_overlay *overlay = must_make(0);
    assert_ptr_equal(ms_overlay_ref(overlay), overlay);
    ms_overlay_unref(overlay);
    assert_true(ms_overlay_is_empty(overlay)); /* still there */
    ms_overlay_unref(overlay);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_generation_knows_nothing),
        cmocka_unit_test(position_alone_makes_a_generation_worth_writing),
        cmocka_unit_test(append_takes_little_memory),
        cmocka_unit_test(poor_hashes_are_found_again),
        cmocka_unit_test(partitions_come_sorted),
        cmocka_unit_test(commit_times_are_noted_once_in_a_step),
        cmocka_unit_test(facts_are_sorted_replaced_and_marked),
        cmocka_unit_test(fact_replaced_often_takes_its_place_once),
        cmocka_unit_test(generation_ends_with_its_last_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
