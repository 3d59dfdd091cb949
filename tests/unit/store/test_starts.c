/* Where partitions begin: told so, or because retention has removed what was before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "topic_records.h"

static int setup(void **state) {
    static struct store_world w;
    store_world_init(&w, 1);
    assert_int_equal(store_world_open(&w), 0);
    *state = &w;
    return 0;
}

static int setup_real(void **state) {
    static struct store_world w;
    store_world_init_real(&w);
    assert_int_equal(store_world_open(&w), 0);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    store_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define test_real(f) cmocka_unit_test_setup_teardown(f, setup_real, teardown)

static int64_t trim(struct store_world *w, uint32_t partition, int64_t offset) {
    int64_t start = -1;
    int rc = ms_store_trim_partition(w->store, topic_named(w, "t"), partition, offset, &start,
                                     &w->error);
    return rc == 0 ? start : rc;
}

static void produce_four(struct store_world *w) {
    put_topic(w, "t", plain_settings(w, 2));
    produce_one(w, "t", 0, "a", "0");
    produce_one(w, "t", 0, "b", "1");
    produce_one(w, "t", 0, "c", "2");
    produce_one(w, "t", 1, "d", "0");
}

static void start_moves_forward_only(void **state) {
    struct store_world *w = *state;
    produce_four(w);
    assert_int_equal(state_of(w, "t", 0).start_offset, 0);
    assert_int_equal(trim(w, 0, 1), 1);
    assert_int_equal(trim(w, 0, 0), 1);
    assert_int_equal(state_of(w, "t", 0).start_offset, 1);
    assert_int_equal(state_of(w, "t", 1).start_offset, 0);
    assert_string_equal(records_of(w, "t", 0, 1), "1:b=1 2:c=2");
    assert_string_equal(records_of(w, "t", 0, 0), ""); /* the face: out of range */
    assert_int_equal(trim(w, 0, 4), MS_EINVAL);
    assert_int_equal(trim(w, 0, -2), MS_EINVAL);
    assert_int_equal(trim(w, 2, 0), MS_ENOTFOUND);
    assert_int_equal(trim(w, 0, -1), 3);
    assert_string_equal(records_of(w, "t", 0, 3), "");
    assert_int_equal(produce_one(w, "t", 0, "e", "3"), 3);
    assert_string_equal(records_of(w, "t", 0, 3), "3:e=3");
}

static void start_survives_with_and_without_the_index(void **state) {
    struct store_world *w = *state;
    produce_four(w);
    assert_int_equal(trim(w, 0, 1), 1);
    assert_int_equal(trim(w, 0, 2), 2);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(store_world_close(w), 0);
        if (i % 2 == 1)
            store_world_drop_index(w);
        assert_int_equal(store_world_open(w), 0);
        assert_int_equal(state_of(w, "t", 0).start_offset, 2);
        assert_int_equal(state_of(w, "t", 1).start_offset, 0);
        assert_string_equal(records_of(w, "t", 0, 2), "2:c=2");
    }
}

static void scavenger_removes_what_lies_before_the_start(void **state) {
    struct store_world *w = *state;
    produce_four(w);
    fill_segment(w);
    assert_int_equal(trim(w, 0, 2), 2);
    assert_int_equal(scavenge_store(w, true), 2);
    fill_segment(w); /* the event that says so is scavenged too, but for the newest */
    assert_int_equal(trim(w, 0, 3), 3);
    fill_segment(w);
    scavenge_store(w, true);
    scavenge_store(w, true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(state_of(w, "t", 0).start_offset, 3);
        assert_int_equal(state_of(w, "t", 0).end_offset, 3);
        assert_string_equal(records_of(w, "t", 1, 0), "0:d=0");
        assert_int_equal(store_world_close(w), 0);
        if (w->real && i > 0)
            store_world_drop_index(w);
        assert_int_equal(store_world_open(w), 0);
    }
    assert_int_equal(produce_one(w, "t", 0, "e", "3"), 3);
}

static void times_before_the_start_are_not_found(void **state) {
    struct store_world *w = *state;
    struct ms_partition_reader *reader;
    int64_t offset, time_ms;
    produce_four(w);
    struct ms_topic *topic = topic_named(w, "t");
    assert_int_equal(ms_partition_reader_new(w->store, &reader), 0);
    assert_int_equal(trim(w, 0, 1), 1);
    assert_int_equal(ms_store_offset_at_time(reader, topic, 0, 0, &offset, &time_ms, NULL), 0);
    assert_int_equal(offset, 1);
    assert_int_equal(ms_store_newest_time(reader, topic, 0, &offset, &time_ms, NULL), 0);
    assert_true(offset >= 1);
    assert_int_equal(trim(w, 0, -1), 3);
    assert_int_equal(ms_store_offset_at_time(reader, topic, 0, 0, &offset, &time_ms, NULL), 0);
    assert_int_equal(offset, -1);
    assert_int_equal(ms_store_newest_time(reader, topic, 0, &offset, &time_ms, NULL), 0);
    assert_int_equal(offset, -1);
    ms_partition_reader_free(reader);
}

static void start_follows_retention(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = plain_settings(w, 1);
    settings.retention_count = 2;
    put_topic(w, "t", settings);
    for (int i = 0; i < 5; i++)
        produce_one(w, "t", 0, "k", "v");
    scavenge_store(w, true); /* nothing is sealed yet: nothing is removed */
    assert_int_equal(state_of(w, "t", 0).start_offset, 0);
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 3);
    assert_int_equal(state_of(w, "t", 0).start_offset, 3);
    assert_int_equal(store_world_close(w), 0);
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(state_of(w, "t", 0).start_offset, 3);
    assert_string_equal(records_of(w, "t", 0, 3), "3:k=v 4:k=v");
    settings.retention_count = 0;
    put_topic(w, "t", settings);
    assert_int_equal(scavenge_store(w, true), 2);
    assert_int_equal(state_of(w, "t", 0).start_offset, 5);
}

static void trimming_needs_a_users_topic(void **state) {
    struct store_world *w = *state;
    int64_t start;
    assert_int_equal(store_append(w, "odd name", ANY, "a").code, 0);
    struct ms_topic *topic = ms_store_topic(w->store, MS_BYTES_LITERAL("$streams"), true);
    assert_int_equal(ms_store_trim_partition(w->store, topic, 0, -1, &start, &w->error),
                     MS_ERESERVED);
    produce_four(w);
    topic = topic_named(w, "t");
    assert_int_equal(ms_store_delete_topic(w->store, MS_BYTES_LITERAL("t"), NULL), 0);
    assert_int_equal(ms_store_trim_partition(w->store, topic, 0, -1, &start, &w->error),
                     MS_ENOTFOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(start_moves_forward_only),
        test(start_survives_with_and_without_the_index),
        test_real(start_survives_with_and_without_the_index),
        test(scavenger_removes_what_lies_before_the_start),
        test_real(scavenger_removes_what_lies_before_the_start),
        test(times_before_the_start_are_not_found),
        test(start_follows_retention),
        test_real(start_follows_retention),
        test(trimming_needs_a_users_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
