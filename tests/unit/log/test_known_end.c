/* Recovery's row 11, and what verify and repair make of it: a log that ends before what its index
 * has seen lacks acknowledged events, unless its end was never promised to be durable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log/repair.h"
#include "recovery_world.h"
#include "log/rewrite.h"

#define VALUE 200000

static int setup(void **state) {
    static struct log_world w;
    log_world_init(&w, 11);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    log_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* Three segments, the index has seen all of it; closed. Returns where the last one begins. */
static uint64_t three_segments(struct log_world *w) {
    write_segments(w, 3, VALUE);
    uint64_t last = first_of(w, 2);
    w->options.known_end = ms_log_end(w->log);
    assert_true(w->options.known_end > last);
    assert_int_equal(log_world_close(w), 0);
    return last;
}

static void remove_segment(struct log_world *w, uint64_t segment) {
    char path[64];
    world_remove(&w->world, log_world_segment(segment, path));
}

static void assert_position_told(struct log_world *w, uint64_t end) {
    char words[96];
    snprintf(words, sizeof words, "the log ends at position %llu", (unsigned long long)end);
    assert_refused(w, MS_ECORRUPT, words);
    snprintf(words, sizeof words,
             "events up to %llu:", (unsigned long long)w->options.known_end - 1);
    assert_refused(w, MS_ECORRUPT, words);
}

static void forget_from(struct log_world *w, uint64_t position) {
    for (size_t i = 0; i < w->count; i++)
        if (w->appends[i].position >= position)
            w->appends[i].status = MS_EUNKNOWN;
}

/* ---- refused ---- */

static void whole_log_opens(void **state) {
    struct log_world *w = *state;
    three_segments(w);
    reopen_and_go_on(w);
    assert_int_equal(log_world_close(w), 0);
    w->options.known_end--; /* the index lags behind */
    reopen_and_go_on(w);
}

static void newest_segment_deleted_is_refused(void **state) {
    struct log_world *w = *state;
    uint64_t last = three_segments(w);
    remove_segment(w, last);
    assert_position_told(w, last);
    w->options.known_end = 0; /* nothing is known */
    forget_from(w, last);
    reopen_and_go_on(w);
}

static void all_segments_deleted_are_refused(void **state) {
    struct log_world *w = *state;
    start(w, 3);
    w->options.known_end = 3;
    assert_int_equal(log_world_close(w), 0);
    remove_segment(w, 0);
    assert_position_told(w, 0);
}

static void segment_cut_at_a_block_is_refused(void **state) {
    struct log_world *w = *state;
    char path[64], words[96];
    start(w, 5);
    w->options.known_end = 5;
    assert_int_equal(log_world_close(w), 0);
    uint64_t offset = find_block(w, 0, 3);
    world_truncate(&w->world, log_world_segment(0, path), offset);
    assert_position_told(w, 3);
    snprintf(words, sizeof words, "byte %llu of 00000000000000000000.log",
             (unsigned long long)offset);
    assert_refused(w, MS_ECORRUPT, words);
}

static void segment_cut_inside_a_block_is_refused(void **state) {
    struct log_world *w = *state;
    char path[64];
    start(w, 5);
    w->options.known_end = 5;
    log_world_abandon(w);
    world_truncate(&w->world, log_world_segment(0, path), find_block(w, 0, 4) + 100);
    assert_position_told(w, 4);
    w->options.known_end = 4; /* else it is a torn tail */
    forget_from(w, 4);
    assert_int_equal(log_world_open(w), 0);
    assert_true(w->log->recovered_torn_tail);
    assert_good(w);
}

static void emptied_segment_is_refused(void **state) {
    struct log_world *w = *state;
    char path[64];
    start(w, 2);
    w->options.known_end = 2;
    assert_int_equal(log_world_close(w), 0);
    world_truncate(&w->world, log_world_segment(0, path), 0);
    assert_position_told(w, 0);
}

static void later_segment_is_not_set_aside(void **state) {
    struct log_world *w = *state;
    char path[64];
    static uint8_t zeros[65536];
    start(w, 3);
    w->options.known_end = 9;
    log_world_abandon(w);
    world_write(&w->world, log_world_segment(77, path), 0, zeros, sizeof zeros);
    assert_position_told(w, 3);
}

/* Where the place of the damage is known, it is told. */
static void damage_is_told_rather_than_the_end(void **state) {
    struct log_world *w = *state;
    char words[64];
    start(w, 6);
    w->options.known_end = 6;
    log_world_abandon(w);
    uint64_t offset = find_block(w, 0, 3);
    flip(w, 0, offset + 300);
    snprintf(words, sizeof words, "damaged at byte %llu", (unsigned long long)offset);
    assert_refused(w, MS_ECORRUPT, words);
}

/* ---- logs that may lose their end ---- */

static void os_log_may_lose_its_end(void **state) {
    struct log_world *w = *state;
    char path[64];
    w->options.durability = MS_DURABILITY_OS;
    start(w, 5);
    w->options.known_end = 5;
    log_world_abandon(w);
    world_truncate(&w->world, log_world_segment(0, path), find_block(w, 0, 3));
    forget_from(w, 3);
    reopen_and_go_on(w);
}

static void os_log_may_lose_what_follows_a_sealed_segment(void **state) {
    struct log_world *w = *state;
    w->options.durability = MS_DURABILITY_OS;
    uint64_t last = three_segments(w);
    remove_segment(w, last);
    forget_from(w, last);
    reopen_and_go_on(w);
}

static int visit(void *context, const struct ms_log_entry *entry, struct ms_bytes *ret_batch,
                 struct ms_error *err) {
    (void)context;
    (void)err;
    *ret_batch = entry->batch;
    return 0;
}

/* What a footer says of the last block is kept when the segment is written anew. */
static void os_segment_stays_one_when_it_is_rewritten(void **state) {
    struct log_world *w = *state;
    w->options.durability = MS_DURABILITY_OS;
    uint64_t last = three_segments(w);
    assert_int_equal(log_world_open(w), 0);
    struct ms_rewrite_options options = {
        .segment = first_of(w, 1),
        .visit = visit,
        .keep_above_percent = 1000,
    };
    struct ms_rewrite_result result;
    assert_int_equal(ms_log_rewrite(w->log, &options, &result, &w->error), 0);
    assert_true(result.replaced);
    assert_int_equal(log_world_close(w), 0);
    remove_segment(w, last);
    forget_from(w, last);
    reopen_and_go_on(w);
}

/* The log says durably that it is an `os` one before anything is acknowledged that may be lost. */
static void power_cut_after_the_change_to_os_is_survived(void **state) {
    struct log_world *w = *state;
    start(w, 3);
    assert_int_equal(log_world_close(w), 0);
    w->options.durability = MS_DURABILITY_OS;
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(log_world_append(w, 64), 0);
    assert_int_equal(log_world_append(w, 64), 0);
    w->options.known_end = 5;
    ms_vfs_sim_cut(w->world.sim, MS_SIM_CUT_LOSE_ALL);
    log_world_abandon(w);
    forget_from(w, 3);
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(ms_log_end(w->log), 3);
    assert_good(w);
}

/* ---- verify and repair ---- */

struct told {
    unsigned count, damages;
    struct ms_verify_finding last;
    char segment[MS_SEGMENT_NAME_LEN + 1], what[512];
};

static void take(void *context, const struct ms_verify_finding *finding) {
    struct told *told = context;
    told->count++;
    told->damages += finding->damage;
    told->last = *finding;
    snprintf(told->segment, sizeof told->segment, "%s", finding->segment);
    snprintf(told->what, sizeof told->what, "%s", finding->what);
}

static struct ms_verify_options options_of(struct log_world *w, struct told *told) {
    *told = (struct told){0};
    return (struct ms_verify_options){
        .env = &w->world.env,
        .dir = LOG_WORLD_DIR,
        .log_uuid = w->options.store_uuid,
        .known_end = w->options.known_end,
        .on_finding = take,
        .context = told,
    };
}

static uint64_t damages(struct log_world *w, struct told *told) {
    struct ms_verify_options options = options_of(w, told);
    struct ms_verify_result result;
    assert_int_equal(ms_log_verify(&options, &result, &w->error), 0);
    assert_int_equal(result.damages, told->damages);
    return result.damages;
}

static struct ms_repair_result repair(struct log_world *w, struct told *told, bool dry_run) {
    struct ms_verify_options options = options_of(w, told);
    struct ms_repair_result result;
    assert_int_equal(ms_log_repair(&options, dry_run, w->options.segment_bytes, &result, &w->error),
                     0);
    return result;
}

static void missing_end_is_found_and_counted(void **state) {
    struct log_world *w = *state;
    struct told told;
    uint64_t last = three_segments(w);
    assert_int_equal(damages(w, &told), 0);
    remove_segment(w, last);
    assert_int_equal(damages(w, &told), 1);
    assert_non_null(strstr(told.what, "acknowledged events are missing"));
    assert_true(told.last.offset > 0);
    for (int pass = 0; pass < 2; pass++) {
        struct ms_repair_result result = repair(w, &told, pass == 0);
        assert_int_equal(result.segments_repaired, 0);
        assert_int_equal(result.end_missing, w->options.known_end - last);
        assert_int_equal(result.positions_lost, result.end_missing);
        assert_int_equal(told.damages, 1);
    }
    w->options.known_end = 0;
    assert_int_equal(damages(w, &told), 0);
    assert_int_equal(repair(w, &told, false).end_missing, 0);
    forget_from(w, last);
    reopen_and_go_on(w);
}

static void missing_log_is_found(void **state) {
    struct log_world *w = *state;
    struct told told;
    start(w, 3);
    w->options.known_end = 3;
    assert_int_equal(log_world_close(w), 0);
    remove_segment(w, 0);
    assert_int_equal(damages(w, &told), 1);
    assert_string_equal(told.segment, "00000000000000000000.log");
    assert_int_equal(repair(w, &told, true).end_missing, 3);
}

static void lost_end_of_an_os_log_is_no_finding(void **state) {
    struct log_world *w = *state;
    struct told told;
    w->options.durability = MS_DURABILITY_OS;
    uint64_t last = three_segments(w);
    remove_segment(w, last);
    assert_int_equal(damages(w, &told), 0);
    assert_int_equal(repair(w, &told, true).end_missing, 0);
}

/* What looks torn is kept when the index knows that it was acknowledged: recovery would cut it. */
static void last_block_that_the_index_has_seen_is_repaired_not_cut(void **state) {
    struct log_world *w = *state;
    struct told told;
    start(w, 4);
    w->options.known_end = 4;
    log_world_abandon(w);
    flip(w, 0, find_block(w, 0, 3) + 300);
    assert_refused(w, MS_ECORRUPT, "position 3");
    assert_int_equal(damages(w, &told), 1);
    assert_non_null(strstr(told.what, "the index proves"));
    struct ms_repair_result result = repair(w, &told, false);
    assert_int_equal(result.segments_repaired, 1);
    assert_int_equal(result.positions_lost, 1);
    assert_int_equal(result.end_missing, 0);
    assert_int_equal(world_count(&w->world, LOG_WORLD_DIR, "00000000000000000000.log.damaged-"), 1);
    assert_int_equal(damages(w, &told), 0);
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(ms_log_end(w->log), 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(whole_log_opens),
        test(newest_segment_deleted_is_refused),
        test(all_segments_deleted_are_refused),
        test(segment_cut_at_a_block_is_refused),
        test(segment_cut_inside_a_block_is_refused),
        test(emptied_segment_is_refused),
        test(later_segment_is_not_set_aside),
        test(damage_is_told_rather_than_the_end),
        test(os_log_may_lose_its_end),
        test(os_log_may_lose_what_follows_a_sealed_segment),
        test(os_segment_stays_one_when_it_is_rewritten),
        test(power_cut_after_the_change_to_os_is_survived),
        test(missing_end_is_found_and_counted),
        test(missing_log_is_found),
        test(lost_end_of_an_os_log_is_no_finding),
        test(last_block_that_the_index_has_seen_is_repaired_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
