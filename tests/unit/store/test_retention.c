/* Retention by count: the newest events of each partition, when the scavenger comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "log/internal.h"
#include "store/internal.h"
#include "support/store_world.h"

static int setup(void **state) {
    static struct store_world w;
    store_world_init(&w, 1);
    assert_int_equal(store_world_open(&w), 0);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    store_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void keep(struct store_world *w, const char *topic, uint16_t partitions, int64_t count) {
    struct ms_topic_settings settings = ms_topic_settings_default(w->store);
    bool created;
    settings.partitions = partitions;
    settings.retention_count = count;
    assert_int_equal(
        ms_store_put_topic(w->store, ms_bytes_cstr(topic), &settings, &created, &w->error), 0);
}

/* Everything appended so far is in sealed segments afterwards. */
static void fill(struct store_world *w) {
    static char data[100000];
    struct ms_store_info info;
    memset(data, '1', sizeof data);
    struct ms_event event = {.type = MS_BYTES_LITERAL("filler"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = ms_bytes_of(data, sizeof data)};
    struct ms_append_part part = {MS_BYTES_LITERAL("filler-1"), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    ms_store_info(w->store, &info);
    uint32_t segments = info.segments;
    while (info.segments < segments + 1) {
        assert_int_equal(store_request(w, &request).code, 0);
        ms_store_info(w->store, &info);
    }
    while (ms_keeper_step(w->store->log))
        continue;
}

static uint64_t scavenge(struct store_world *w) {
    struct ms_scavenge_options options = {.all = true};
    struct ms_scavenge_result result;
    if (ms_store_scavenge(w->store, &options, &result, &w->error) != 0)
        fail_msg("scavenge: %s", w->error.message);
    return result.events_removed;
}

static void the_newest_events_of_a_partition_stay(void **state) {
    struct store_world *w = *state;
    keep(w, "a", 1, 4);
    assert_int_equal(store_append(w, "b-1", ANY, "b0 b1 b2 b3 b4 b5").code, 0);
    assert_int_equal(store_append(w, "a-1", ANY, "a0 a1 a2 a3 a4").code, 0);
    assert_int_equal(store_append(w, "a-2", ANY, "x0").code, 0);
    assert_int_equal(store_append(w, "a-3", ANY, "y0").code, 0);
    fill(w);
    assert_string_equal(store_ids(w, "a-1", 0), "a0 a1 a2 a3 a4"); /* until the scavenger comes */
    assert_int_equal(scavenge(w), 3);
    for (int pass = 0; pass < 2; pass++) {
        assert_string_equal(store_ids(w, "a-1", 0), "a3 a4"); /* of one append */
        assert_string_equal(store_ids(w, "a-2", 0), "x0");
        assert_string_equal(store_ids(w, "a-3", 0), "y0");
        assert_string_equal(store_ids(w, "b-1", 0), "b0 b1 b2 b3 b4 b5");
        assert_int_equal(scavenge(w), 0);
        store_world_reopen(w);
    }
    /* They go as others come, and versions go on. */
    assert_int_equal(store_append(w, "a-2", AT(0), "x1 x2 x3").parts[0].first_version, 1);
    fill(w);
    assert_int_equal(scavenge(w), 3);
    assert_string_equal(store_ids(w, "a-1", 0), "");
    assert_string_equal(store_ids(w, "a-2", 0), "x1 x2 x3");
    assert_string_equal(store_ids(w, "a-3", 0), "y0");
    assert_int_equal(store_append(w, "a-1", AT(4), "a5").parts[0].version, 5);
}

static void each_partition_keeps_its_own(void **state) {
    struct store_world *w = *state;
    struct ms_bytes keys[2] = {MS_BYTES_LITERAL("1"), {0}};
    char names[10][16];
    for (int i = 2; keys[1].data == NULL; i++) {
        snprintf(names[0], sizeof names[0], "%d", i);
        if (ms_partition_of(ms_bytes_cstr(names[0]), 4) != ms_partition_of(keys[0], 4))
            keys[1] = ms_bytes_cstr(names[0]);
    }
    snprintf(names[1], sizeof names[1], "a-1");
    snprintf(names[2], sizeof names[2], "a-%.*s", (int)keys[1].len, keys[1].data);
    keep(w, "a", 4, 2);
    assert_int_equal(store_append(w, names[1], ANY, "a b").code, 0);
    assert_int_equal(store_append(w, names[2], ANY, "c d e").code, 0);
    fill(w);
    assert_int_equal(scavenge(w), 1);
    assert_string_equal(store_ids(w, names[1], 0), "a b");
    assert_string_equal(store_ids(w, names[2], 0), "d e");
}

/* The last word stays without its data: versions and offsets go on. */
static void a_topic_may_keep_nothing(void **state) {
    struct store_world *w = *state;
    keep(w, "a", 1, 0);
    assert_int_equal(store_append(w, "a-1", ANY, "a b").code, 0);
    fill(w);
    assert_int_equal(scavenge(w), 2);
    for (int pass = 0; pass < 2; pass++) {
        assert_string_equal(store_ids(w, "a-1", 0), "");
        assert_int_equal(store_stream(w, "a-1").head, 1);
        store_world_reopen(w);
    }
    assert_int_equal(store_append(w, "a-1", AT(1), "c").parts[0].version, 2);
}

static void a_scheduled_scavenge_comes_for_it(void **state) {
    struct store_world *w = *state;
    assert_false(ms_scavenge_topics_act(w->store));
    keep(w, "a", 1, 3);
    assert_true(ms_scavenge_topics_act(w->store));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(the_newest_events_of_a_partition_stay),
        test(each_partition_keeps_its_own),
        test(a_topic_may_keep_nothing),
        test(a_scheduled_scavenge_comes_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
