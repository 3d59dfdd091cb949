/* Scavenging on a schedule: that it runs, what it costs, and that it gives way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log/internal.h"
#include "store/internal.h"
#include "support/store_world.h"

#define BIG 60000 /* bytes of an event: some 14 to a segment */

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

struct work {
    uint64_t read, written, rewritten;
};

/* A scheduled run, and what it cost. */
static struct work run_scheduled(struct store_world *w) {
    struct ms_store_metrics *m = &w->store->metrics;
    struct ms_scavenge_options options = {0};
    struct ms_scavenge_result result;
    uint64_t read = ms_counter_get(&m->scavenge_read_bytes);
    uint64_t written = ms_counter_get(&m->scavenge_written_bytes);
    assert_int_equal(ms_scavenge_lock(w->store), 0);
    if (ms_scavenge_run(w->store, &options, true, &result, &w->error) != 0)
        fail_msg("scavenge: %s", w->error.message);
    return (struct work){ms_counter_get(&m->scavenge_read_bytes) - read,
                         ms_counter_get(&m->scavenge_written_bytes) - written, result.rewritten};
}

/* A large event; noise is what compression can't make smaller. */
static void append_big(struct store_world *w, const char *stream, bool noise) {
    static uint8_t data[BIG];
    static uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < BIG; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        data[i] = noise ? (uint8_t)(x >> 32) : 'x';
    }
    struct ms_event event = {.type = MS_BYTES_LITERAL("happened"),
                             .content_type = MS_BYTES_LITERAL("application/octet-stream"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = ms_bytes_of(data, BIG)};
    struct ms_append_part part = {ms_bytes_cstr(stream), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    assert_int_equal(store_request(w, &request).code, 0);
}

static uint32_t segments_of(struct store_world *w) {
    struct ms_store_info info;
    ms_store_info(w->store, &info);
    return info.segments;
}

/* Sealed segments, each with one event of "few-1" among those of "many-1". */
static void fill(struct store_world *w, bool noise) {
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t before = segments_of(w);
        append_big(w, "few-1", noise);
        while (segments_of(w) == before)
            append_big(w, "many-1", noise);
    }
    if (!w->real)
        while (ms_keeper_step(w->store->log))
            continue;
}

static void nothing_to_drop_costs_a_schedule_nothing(void **state) {
    struct store_world *w = *state;
    fill(w, true);
    struct work work = run_scheduled(w);
    assert_true(work.read > 0);
    assert_int_equal(work.written, 0);
    for (int i = 0; i < 3; i++) {
        append_big(w, "more-1", true);
        work = run_scheduled(w);
        assert_int_equal(work.read + work.written, 0);
    }
}

static void a_schedule_rewrites_nothing_for_small_gains(void **state) {
    struct store_world *w = *state;
    fill(w, true);
    assert_int_equal(run_scheduled(w).rewritten, 0);
    assert_int_equal(store_delete(w, "few-1", ANY, false).code, 0);
    struct work work = run_scheduled(w);
    assert_true(work.read > 0);
    assert_int_equal(work.written, 0);
    work = run_scheduled(w);
    assert_int_equal(work.read + work.written, 0);
    assert_int_equal(store_delete(w, "many-1", ANY, false).code, 0);
    work = run_scheduled(w);
    assert_true(work.rewritten > 0);
    work = run_scheduled(w);
    assert_int_equal(work.read + work.written, 0);
}

static void a_schedule_compresses_once(void **state) {
    struct store_world *w = *state;
    fill(w, false);
    assert_true(run_scheduled(w).rewritten > 0);
    struct work work = run_scheduled(w);
    assert_int_equal(work.read + work.written, 0);
}

static void a_schedule_follows_rules_that_act_by_themselves(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_put_metadata(w, "many-1", ANY, "{\"$maxCount\":1}").code, 0);
    fill(w, true);
    assert_true(run_scheduled(w).rewritten > 0);
    assert_true(run_scheduled(w).read > 0);
    fill(w, true);
    assert_true(run_scheduled(w).rewritten > 0);
}

static void a_schedule_gives_way_to_what_is_asked_for(void **state) {
    (void)state;
    struct store_world w;
    store_world_init_real(&w);
    w.options.scavenge_interval_ms = 1;
    w.options.scavenge_bytes_per_second = 64 << 10; /* would take a minute */
    assert_int_equal(store_world_open(&w), 0);
    fill(&w, false);
    int64_t until = ms_clock_monotonic_us(w.env.clock) + 20000000;
    while (!atomic_load(&w.store->scavenger.running) && ms_clock_monotonic_us(w.env.clock) < until)
        ms_clock_sleep_us(w.env.clock, 1000);
    assert_true(atomic_load(&w.store->scavenger.running));
    struct ms_scavenge_options options = {.all = true};
    struct ms_scavenge_result result;
    assert_int_equal(ms_store_scavenge(w.store, &options, &result, NULL), 0);
    assert_true(result.segments > 0);
    store_world_deinit(&w);
}

static void a_schedule_runs_it(void **state) {
    (void)state;
    struct store_world w;
    store_world_init_real(&w);
    w.options.scavenge_interval_ms = 1;
    assert_int_equal(store_world_open(&w), 0);
    int64_t until = ms_clock_monotonic_us(w.env.clock) + 10000000;
    while (ms_counter_get(&w.store->metrics.scavenges) == 0 &&
           ms_clock_monotonic_us(w.env.clock) < until)
        ms_clock_sleep_us(w.env.clock, 10000);
    assert_true(ms_counter_get(&w.store->metrics.scavenges) > 0);
    store_world_deinit(&w); /* closing does not wait for the next run */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(nothing_to_drop_costs_a_schedule_nothing),
        test(a_schedule_rewrites_nothing_for_small_gains),
        test(a_schedule_compresses_once),
        test(a_schedule_follows_rules_that_act_by_themselves),
        cmocka_unit_test(a_schedule_gives_way_to_what_is_asked_for),
        cmocka_unit_test(a_schedule_runs_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
