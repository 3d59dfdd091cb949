/* Streams are switched on for a topic whose versions fill several pages, and something goes wrong
 * on the way: the power is cut, memory, storage or space run out. The topic has streams or it
 * hasn't; nothing is lost; and the next attempt succeeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/both_worlds.h"
#include "store/produce_world.h"

#include "store/adopt_world.h"

#define BATCHES 2

static void make_world(struct store_world *w, uint64_t seed) {
    store_world_init(w, seed);
    assert_int_equal(store_world_open(w), 0);
    struct ms_topic *topic = make_topic(w, "order", plain(w, 1));
    for (int i = 0; i < BATCHES; i++)
        adopt_produce_many(w, topic, ADOPT_MANY);
}

static bool is_switched(struct store_world *w) {
    struct ms_topic *topic = ms_store_topic(w->store, MS_BYTES_LITERAL("order"), false);
    return ms_topics_settings(w->store, topic).streams;
}

/* Every stream has its versions, each once. */
static void check_streams(struct store_world *w) {
    for (int key = 0; key < 7; key++) {
        char stream[16];
        snprintf(stream, sizeof stream, "order-%d", key);
        struct ms_stream_read read = {.stream = ms_bytes_cstr(stream), .limit = SIZE_MAX};
        struct ms_stream_read_result result;
        struct counting counting = {.batch = ADOPT_MANY / 7};
        if (ms_store_read_stream(w->store, &read, count_event, &counting, &result, &w->error) != 0)
            fail_msg("%s: %s", stream, w->error.message);
        assert_int_equal(counting.next, BATCHES * (ADOPT_MANY / 7));
        assert_int_equal(result.head, counting.next - 1);
    }
}

/* What holds whatever has happened. */
static void check_afterwards(struct store_world *w, int rc, const char *what, uint64_t n) {
    if (rc == 0)
        assert_true(is_switched(w)); /* what was acknowledged stays */
    if (is_switched(w))
        check_streams(w);
    else
        assert_int_equal(store_append(w, "order-1", ANY, "x").code, MS_ENOSTREAMS);
    if (switch_on(w, "order", 1) != 0)
        fail_msg("%s %llu, again: %s", what, (unsigned long long)n, w->error.message);
    check_streams(w);
    assert_int_equal(store_append(w, "order-1", NONE, "x").code, MS_ECONFLICT);
    reopen_anew(w);
    check_streams(w);
}

static void open_again(struct store_world *w, const char *what, uint64_t n) {
    ms_ignore(store_world_close(w));
    w->failures = 0;
    if (store_world_open(w) != 0)
        fail_msg("%s %llu: %s", what, (unsigned long long)n, w->error.message);
}

static void power_cut_between_pages_loses_nothing(void **state) {
    static struct store_world w;
    (void)state;
    bool cut = true;
    unsigned prepared = 0;
    uint64_t step = (world_setting("MS_CUT_STEP", 1) + 3) / 4;
    for (uint64_t n = 1; cut; n += step) {
        make_world(&w, n);
        ms_vfs_sim_cut_at(w.world.sim, n);
        int rc = switch_on(&w, "order", 1);
        cut = ms_vfs_sim_is_cut(w.world.sim);
        ms_ignore(store_world_close(&w));
        ms_vfs_sim_cut(w.world.sim, (enum ms_sim_cut)(n / step % 3));
        open_again(&w, "cut", n);
        struct ms_topic *topic = ms_store_topic(w.store, MS_BYTES_LITERAL("order"), false);
        prepared += !is_switched(&w) && atomic_load(&topic->versions_end) > 0;
        check_afterwards(&w, rc, "cut", n);
        store_world_deinit(&w);
    }
    assert_true(prepared * step > 3); /* between the first page and the switch */
}

static void failed_operation_leaves_the_topic_sound(void **state) {
    static struct store_world w;
    (void)state;
    bool struck = true;
    uint64_t step = (world_setting("MS_FAULT_STEP", 1) + 3) / 4;
    for (uint64_t n = 1; struck; n += step) {
        make_world(&w, n);
        uint64_t before = ms_vfs_sim_count(w.world.sim, MS_SIM_ANY);
        ms_vfs_sim_fail_nth(w.world.sim, MS_SIM_ANY, n, MS_EIO, n / step % 2 != 0);
        int rc = switch_on(&w, "order", 1);
        struck = ms_vfs_sim_count(w.world.sim, MS_SIM_ANY) - before >= n;
        ms_vfs_sim_fail_nth(w.world.sim, MS_SIM_ANY, 0, 0, false);
        assert_true(struck || rc == 0);
        open_again(&w, "operation", n);
        check_afterwards(&w, rc, "operation", n);
        store_world_deinit(&w);
    }
}

static void memory_that_runs_out_refuses_the_switch(void **state) {
    static struct store_world w;
    (void)state;
    uint64_t step = (world_setting("MS_FAULT_STEP", 1) + 3) / 4;
    unsigned refused = 0;
    for (int sticky = 0; sticky < 2; sticky++) {
        bool struck = true;
        for (uint64_t n = 1; struck; n += sticky ? 5 * step : step) {
            make_world(&w, n);
            if (sticky)
                ms_alloc_fail_from(n);
            else
                ms_alloc_fail_nth(n);
            int rc = switch_on(&w, "order", 1);
            struck = ms_alloc_has_failed();
            ms_alloc_fail_nth(0);
            if (rc != 0 && rc != MS_ENOMEM && rc != MS_EUNKNOWN)
                fail_msg("allocation %llu: %s", (unsigned long long)n, ms_error_name(rc));
            assert_true(struck || rc == 0);
            refused += rc != 0;
            if (w.failures > 0 || n % 4 == 0)
                open_again(&w, "allocation", n);
            check_afterwards(&w, rc, "allocation", n);
            store_world_deinit(&w);
        }
    }
    assert_true(refused > 10);
}

/* Pages are not among what may use the space that is kept back for removing things. */
static void full_disk_refuses_the_switch_until_there_is_space(void **state) {
    static struct store_world w;
    (void)state;
    make_world(&w, 1);
    static char value[100000];
    struct ms_event event = {.type = MS_BYTES_LITERAL("filler"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = ms_bytes_of(value, sizeof value)};
    struct ms_append_part part = {MS_BYTES_LITERAL("filler-1"), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    ms_vfs_sim_set_capacity(w.world.sim, (uint64_t)3 << 20);
    int rc;
    while ((rc = store_request(&w, &request).code) == 0)
        continue;
    assert_int_equal(rc, MS_ENOSPC);
    char id[16];
    for (unsigned n = 0; rc == MS_ENOSPC || rc == 0; n++) { /* to the last block */
        snprintf(id, sizeof id, "small%u", n);
        rc = store_append(&w, "filler-2", ANY, id).code;
        if (rc == MS_ENOSPC)
            break;
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(switch_on(&w, "order", 1), MS_ENOSPC);
        assert_non_null(strstr(w.error.message, "space"));
        assert_false(is_switched(&w));
        assert_int_equal(atomic_load(&ms_topics_at(w.store, MS_TOPIC_VERSIONS)->events), 0);
    }
    struct ms_store_info info;
    ms_store_info(w.store, &info);
    assert_false(info.failed);
    assert_int_equal(info.inflight_bytes, 0);
    assert_int_equal(store_delete(&w, "filler-1", ANY, false).code, 0); /* the way out is free */
    ms_vfs_sim_set_capacity(w.world.sim, 0);
    check_afterwards(&w, MS_ENOSPC, "full disk", 0);
    store_world_deinit(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_cut_between_pages_loses_nothing),
        cmocka_unit_test(failed_operation_leaves_the_topic_sound),
        cmocka_unit_test(memory_that_runs_out_refuses_the_switch),
        cmocka_unit_test(full_disk_refuses_the_switch_until_there_is_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
