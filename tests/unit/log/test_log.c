/* The life of a log: opening, appending, rolling over, failing writes, closing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log/segment.h"
#include "log_fixture.h"

/* Lets the keeper finish whatever it wants to do. */
static void keep(struct log_world *w) {
    while (ms_keeper_step(w->log))
        continue;
}

static void new_log_is_empty_and_ready(void **state) {
    struct log_world *w = *state;
    assert_int_equal(log_world_open(w), 0);
    struct ms_log_info info = info_of(w);
    assert_int_equal(info.end, 0);
    assert_int_equal(info.epoch, 1);
    assert_false(info.recovered_torn_tail);
    assert_false(info.refusing_appends);
    assert_true(info.direct);
    assert_good(w);
}

static void appends_are_read_back_before_and_after_reopening(void **state) {
    struct log_world *w = *state;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(log_world_append(w, 64 + 100 * (size_t)i), 0);
    assert_good(w);
    for (int i = 0; i < 3; i++) {
        reopen(w);
        assert_int_equal(ms_log_end(w->log), 50);
        assert_true(info_of(w).clean_start);
        assert_int_equal(info_of(w).epoch, 2 + i);
        assert_good(w);
    }
}

static void nothing_is_visible_or_answered_before_it_is_durable(void **state) {
    struct log_world *w = *state;
    assert_int_equal(log_world_open(w), 0);
    w->visible_calls = 0; /* the mark's */
    assert_int_equal(log_world_put(w, 1, 3, 64, false), 0);
    assert_int_equal(ms_log_end(w->log), 0);
    assert_int_equal(w->appends[0].answers, 0);
    assert_int_equal(w->visible_calls, 0);
    ms_log_run(w->log);
    assert_int_equal(ms_log_end(w->log), 3);
    assert_int_equal(w->appends[0].answers, 1);
    assert_int_equal(w->visible_end, 3);
}

static void tickets_are_answered_in_log_order(void **state) {
    struct log_world *w = *state;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 200; i++) /* several blocks, one group */
        assert_int_equal(log_world_put(w, 1 + i % 3, 2, (size_t)64 + (size_t)i * 100, false), 0);
    ms_log_run(w->log);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(w->appends[i].answers, 1);
        assert_int_equal(w->appends[i].order, i + 1);
    }
    assert_good(w);
}

static void block_stays_in_one_piece(void **state) {
    struct log_world *w = *state;
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(log_world_put(w, 20, 5, 2000, false), 0);
    ms_log_run(w->log);
    assert_int_equal(ms_log_end(w->log), 100);
    assert_good(w);
}

static void closing_commits_what_is_pending(void **state) {
    struct log_world *w = *state;
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(log_world_put(w, 2, 2, 500, false), 0);
    assert_int_equal(log_world_close(w), 0);
    assert_int_equal(w->appends[0].answers, 1);
    assert_int_equal(w->appends[0].status, 0);
    assert_int_equal(log_world_open(w), 0);
    assert_good(w);
}

static void rolls_over_to_new_segments(void **state) {
    struct log_world *w = *state;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 30; i++)
        assert_int_equal(log_world_append(w, 200000), 0);
    assert_in_range(info_of(w).segments, 6, 10);
    assert_good(w);
    reopen(w);
    assert_good(w);
    assert_int_equal(log_world_append(w, 200000), 0);
    assert_good(w);
}

static void sealed_segments_are_not_scanned_again(void **state) {
    struct log_world *w = *state;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(log_world_append(w, 200000), 0);
        keep(w);
    }
    reopen(w);
    assert_in_range(info_of(w).recovered_bytes, 1, 1 << 20);
    assert_good(w);
    keep(w);
    /* The footer is derived: cut off, the segment is scanned instead. */
    char path[64];
    assert_int_equal(log_world_close(w), 0);
    log_world_segment(0, path);
    world_truncate(&w->world, path, world_file_size(&w->world, path) - 4096);
    assert_int_equal(log_world_open(w), 0);
    assert_true(info_of(w).recovered_bytes > (1 << 19));
    assert_false(info_of(w).recovered_torn_tail);
    assert_good(w);
}

static void last_segment_may_be_sealed(void **state) {
    struct log_world *w = *state;
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(log_world_append(w, 1000), 0);
    log_world_abandon(w);
    assert_int_equal(log_world_open(w), 0);
    ms_log_lock(w->log);
    atomic_store(&w->log->active->end_offset, w->log->active_offset);
    ms_log_unlock(w->log);
    assert_int_equal(ms_log_seal(w->log, w->log->active, NULL), 0);
    log_world_abandon(w);
    assert_int_equal(log_world_open(w), 0); /* row 9: a new segment is begun */
    assert_int_equal(info_of(w).segments, 2);
    assert_int_equal(log_world_append(w, 1000), 0);
    assert_good(w);
    reopen(w);
    assert_good(w);
}

static void refuses_what_is_too_large(void **state) {
    struct log_world *w = *state;
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(log_world_append(w, w->options.append_bytes_max), MS_ETOOBIG);
    assert_int_equal(log_world_append(w, w->options.append_bytes_max - 1000), 0);
    assert_good(w);
}

static void options_are_checked(void **state) {
    struct log_world *w = *state;
    w->options.segment_bytes = ((uint64_t)1 << 20) + 1;
    assert_int_equal(log_world_open(w), MS_EINVAL);
    w->options.segment_bytes = (uint64_t)2 << 30;
    assert_int_equal(log_world_open(w), MS_EINVAL);
    w->options.segment_bytes = (uint64_t)1 << 20;
    w->options.append_bytes_max = (size_t)1 << 20;
    assert_int_equal(log_world_open(w), MS_EINVAL);
    w->options.segment_bytes = 0;
    assert_int_equal(log_world_open(w), MS_EINVAL);
}

/* ---- failures ---- */

static void check_poisoned(struct log_world *w, unsigned pending) {
    assert_int_equal(w->failures, 1);
    assert_true(ms_log_failed(w->log));
    for (unsigned i = 0; i < pending; i++) {
        assert_int_equal(w->appends[w->count - 1 - i].answers, 1);
        assert_int_equal(w->appends[w->count - 1 - i].status, MS_EUNKNOWN);
    }
    assert_int_equal(log_world_append(w, 100), MS_ECLOSED);
    ms_log_run(w->log);
    assert_int_equal(w->failures, 1);
    assert_int_equal(log_world_close(w), MS_EIO);
    assert_int_equal(w->failures, 1);
    assert_int_equal(log_world_open(w), 0);
    assert_good(w);
    assert_int_equal(log_world_append(w, 100), 0);
    assert_good(w);
}

static void fail_commit(struct log_world *w, enum ms_sim_op op) {
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(log_world_append(w, 100), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(log_world_put(w, 1, 1, 50000, false), 0);
    ms_vfs_sim_fail_nth(w->world.sim, op, 1, MS_EIO, false);
    ms_log_run(w->log);
    check_poisoned(w, 10);
}

static void failed_write_poisons_the_log(void **state) { fail_commit(*state, MS_SIM_WRITE); }

static void failed_sync_poisons_the_log(void **state) {
    struct log_world *w = *state;
    w->options.buffered_writes = true;
    fail_commit(w, MS_SIM_SYNC);
}

/* A group of blocks that goes over a segment's end: the second file's write fails. */
static void failure_in_the_middle_of_a_group_leaves_all_unknown(void **state) {
    struct log_world *w = *state;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(log_world_append(w, 200000), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(log_world_put(w, 1, 1, 200000, false), 0);
    ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_RENAME, 1, MS_EIO, false);
    ms_log_run(w->log);
    check_poisoned(w, 4);
}

static void log_that_failed_while_opening_is_an_error(void **state) {
    struct log_world *w = *state;
    for (uint64_t n = 1; n < 50; n++) {
        ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_WRITE, n, MS_EIO, false);
        int rc = log_world_open(w);
        ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_WRITE, 0, 0, false);
        if (rc == 0) {
            assert_int_equal(log_world_append(w, 100), 0);
            assert_good(w);
            assert_int_equal(log_world_close(w), 0);
        } else {
            assert_int_equal(rc, MS_EIO);
        }
    }
}

/* ---- answers that read ---- */

struct reader_ticket {
    struct ms_log_ticket ticket;
    struct log_world *w;
    unsigned answers, order;
    int status;
};

static void reader_done(struct ms_log_ticket *ticket, int status) {
    struct reader_ticket *reader = (struct reader_ticket *)ticket;
    reader->answers++;
    reader->status = status;
    reader->order = ++reader->w->answered;
}

static bool attach(struct log_world *w, struct reader_ticket *reader, uint64_t end) {
    *reader = (struct reader_ticket){.ticket = {.done = reader_done}, .w = w};
    ms_log_lock(w->log);
    bool waits = ms_log_attach_reader(w->log, end, &reader->ticket);
    ms_log_unlock(w->log);
    return waits;
}

static void answers_wait_for_what_they_read(void **state) {
    struct log_world *w = *state;
    struct reader_ticket reader;
    assert_int_equal(log_world_open(w), 0);
    assert_false(attach(w, &reader, 0));
    assert_int_equal(log_world_put(w, 1, 1, 100, false), 0);
    assert_false(attach(w, &reader, 0));
    assert_true(attach(w, &reader, 1));
    assert_int_equal(reader.answers, 0);
    assert_int_equal(log_world_put(w, 1, 1, 100, false), 0);
    ms_log_run(w->log);
    assert_int_equal(reader.answers, 1);
    assert_int_equal(reader.status, 0);
    assert_int_equal(w->appends[0].order, 1);
    assert_int_equal(reader.order, 2);
    assert_int_equal(w->appends[1].order, 3);
    assert_false(attach(w, &reader, 2));
}

static void answers_are_unknown_when_what_they_read_is(void **state) {
    struct log_world *w = *state;
    struct reader_ticket reader;
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(log_world_put(w, 1, 1, 100, false), 0);
    assert_true(attach(w, &reader, 1));
    ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_WRITE, 1, MS_EIO, false);
    ms_log_run(w->log);
    assert_int_equal(reader.answers, 1);
    assert_int_equal(reader.status, MS_EUNKNOWN);
    check_poisoned(w, 1);
}

/* Room was admitted, then nothing put (a conflict turned up): an answer must not hang on that
 * block. */
static void answers_do_not_wait_for_a_block_without_entries(void **state) {
    struct log_world *w = *state;
    struct reader_ticket reader;
    bool waited;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(log_world_put(w, 1, 1, 250000, false), 0);
    ms_log_lock(w->log);
    assert_int_equal(ms_log_admit(w->log, w->options.append_bytes_max, 1, false, &waited, NULL), 0);
    bool empty = w->log->open->entry_count == 0;
    ms_log_unlock(w->log);
    assert_true(empty); /* what this test is about */
    assert_true(attach(w, &reader, 3));
    ms_log_run(w->log);
    assert_int_equal(reader.answers, 1);
    assert_int_equal(reader.status, 0);
    assert_int_equal(reader.order, 4);
    assert_good(w);
}

/* Durable is not yet visible: an answer that says what it read must not leave before readers see
 * it. */
static struct reader_ticket publish_reader;
static bool publish_waits;

static void attach_in_publish(void *context, struct ms_log_ticket *tickets) {
    struct log_world *w = context;
    (void)tickets;
    if (publish_reader.w == NULL)
        publish_waits = attach(w, &publish_reader, 1);
}

static void answers_wait_until_what_they_read_is_visible(void **state) {
    struct log_world *w = *state;
    publish_reader = (struct reader_ticket){0};
    w->options.on_publish = attach_in_publish;
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(log_world_append(w, 100), 0);
    assert_true(publish_waits);
    assert_int_equal(publish_reader.answers, 1);
    assert_int_equal(publish_reader.status, 0);
    assert_int_equal(w->appends[0].order, 1);
    assert_int_equal(publish_reader.order, 2);
}

static void admission_that_is_not_used_changes_nothing(void **state) {
    struct log_world *w = *state;
    bool waited;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 5; i++) {
        ms_log_lock(w->log);
        assert_int_equal(
            ms_log_admit(w->log, 100 + 60000 * (size_t)(i % 3), 1, false, &waited, NULL), 0);
        ms_log_unlock(w->log);
        if (i % 2 == 0)
            ms_log_run(w->log);
    }
    assert_int_equal(ms_log_end(w->log), 0);
    assert_int_equal(log_world_append(w, 100), 0);
    assert_good(w);
    reopen(w);
    assert_good(w);
}

/* The same with threads: nothing must wait for a block that is never written. */
static void closing_does_not_wait_for_an_unused_admission(void **state) {
    struct log_world *w = *state;
    w->options.manual = false;
    for (int i = 0; i < 20; i++) {
        bool waited;
        assert_int_equal(log_world_open(w), 0);
        ms_log_lock(w->log);
        assert_int_equal(ms_log_admit(w->log, 100, 1, false, &waited, NULL), 0);
        ms_log_unlock(w->log);
        assert_int_equal(log_world_close(w), 0);
    }
}

/* ---- ways of writing ---- */

static void refused_direct_writes_fall_back_to_buffered(void **state) {
    struct log_world *w = *state;
    ms_vfs_sim_refuse_direct(w->world.sim, true);
    assert_int_equal(log_world_open(w), 0);
    assert_false(info_of(w).direct);
    for (int i = 0; i < 12; i++)
        assert_int_equal(log_world_append(w, 200000), 0);
    ms_vfs_sim_cut(w->world.sim, MS_SIM_CUT_LOSE_ALL);
    log_world_abandon(w);
    assert_int_equal(log_world_open(w), 0);
    assert_good(w);
}

static void os_durability_says_so_in_the_block(void **state) {
    struct log_world *w = *state;
    uint8_t bytes[MS_BLOCK_HEADER_LEN];
    char path[64];
    struct ms_block_header header;
    w->options.durability = MS_DURABILITY_OS;
    assert_int_equal(log_world_open(w), 0);
    assert_false(info_of(w).direct);
    assert_int_equal(log_world_append(w, 100), 0);
    reopen(w);
    assert_good(w);
    world_read(&w->world, log_world_segment(0, path), 0, bytes, sizeof bytes);
    assert_int_equal(ms_block_header_read(bytes, &header), 0);
    assert_true(header.flags & MS_BLOCK_OS);
    assert_int_equal(log_world_close(w), 0);
    ms_vfs_sim_cut(w->world.sim, MS_SIM_CUT_LOSE_ALL);
    assert_int_equal(log_world_open(w), 0); /* may have lost it, never refuses */
}

static void reading_only_changes_nothing(void **state) {
    struct log_world *w = *state;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(log_world_append(w, 200000), 0);
    log_world_abandon(w);
    w->options.read_only = true;
    ms_vfs_sim_set_capacity(w->world.sim, 1); /* no write can succeed */
    for (int i = 0; i < 2; i++) {
        bool waited;
        assert_int_equal(log_world_open(w), 0);
        assert_good(w);
        ms_log_lock(w->log);
        assert_int_equal(ms_log_admit(w->log, 10, 1, false, &waited, NULL), MS_ECLOSED);
        ms_log_unlock(w->log);
        assert_int_equal(log_world_close(w), 0);
    }
    ms_vfs_sim_set_capacity(w->world.sim, 0);
    w->options.read_only = false;
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(info_of(w).epoch, 2);
    assert_good(w);
}

/* ---- sizes that change between starts ---- */

static void segments_may_become_smaller(void **state) {
    struct log_world *w = *state;
    w->options.segment_bytes = (uint64_t)4 << 20;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(log_world_append(w, 200000), 0);
    assert_int_equal(log_world_close(w), 0);
    w->options.segment_bytes = (uint64_t)1 << 20;
    assert_int_equal(log_world_open(w), 0);
    assert_good(w);
    for (int i = 0; i < 10; i++)
        assert_int_equal(log_world_append(w, 200000), 0);
    assert_good(w);
    keep(w);
    reopen(w);
    assert_good(w);
}

static void segments_may_become_larger(void **state) {
    struct log_world *w = *state;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(log_world_append(w, 200000), 0);
    assert_int_equal(log_world_close(w), 0);
    w->options.segment_bytes = (uint64_t)4 << 20;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 30; i++)
        assert_int_equal(log_world_append(w, 200000), 0);
    assert_good(w);
    reopen(w);
    assert_good(w);
}

static void any_number_of_unsealed_segments_is_recovered(void **state) {
    struct log_world *w = *state;
    w->options.append_bytes_max = 4096;
    w->options.segment_bytes = (uint64_t)128 << 10;
    assert_int_equal(log_world_open(w), 0);
    while (info_of(w).segments < MS_LOG_TO_SEAL_MAX + 6)
        assert_int_equal(log_world_append(w, 4000), 0);
    for (int i = 0; i < 3; i++) {
        log_world_abandon(w);
        assert_int_equal(log_world_open(w), 0);
        assert_good(w);
        assert_int_equal(log_world_append(w, 3000), 0);
    }
    assert_good(w);
}

static void commit_times_never_go_back(void **state) {
    struct log_world *w = *state;
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    int64_t before = 0;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 20; i++) {
        w->world.clock.us += i % 3 == 0 ? -7000000 : 5000000; /* wall clocks jump */
        if (i == 10)
            reopen(w);
        assert_int_equal(log_world_append(w, 100), 0);
    }
    for (int pass = 0; pass < 2; pass++) {
        ms_log_cursor_init(&cursor, w->log, 0);
        for (before = 0; ms_log_cursor_next(&cursor, &entry, NULL) > 0;
             before = entry.commit_time_ms)
            assert_true(entry.commit_time_ms >= before);
        ms_log_cursor_deinit(&cursor);
        reopen(w);
    }
}

static void metrics_name_what_was_written(void **state) {
    struct log_world *w = *state;
    struct ms_buf text;
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(log_world_append(w, 100), 0);
    ms_buf_init(&text, (size_t)1 << 20);
    assert_int_equal(ms_log_metrics(w->log, &text), 0);
    assert_int_equal(ms_buf_append_u8(&text, 0), 0);
    assert_non_null(strstr((char *)text.data, "\nmainstem_log_events_total 1\n"));
    ms_buf_deinit(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(new_log_is_empty_and_ready),
        test(appends_are_read_back_before_and_after_reopening),
        test(nothing_is_visible_or_answered_before_it_is_durable),
        test(tickets_are_answered_in_log_order),
        test(block_stays_in_one_piece),
        test(closing_commits_what_is_pending),
        test(rolls_over_to_new_segments),
        test(sealed_segments_are_not_scanned_again),
        test(last_segment_may_be_sealed),
        test(refuses_what_is_too_large),
        test(options_are_checked),
        test(failed_write_poisons_the_log),
        test(failed_sync_poisons_the_log),
        test(failure_in_the_middle_of_a_group_leaves_all_unknown),
        test(log_that_failed_while_opening_is_an_error),
        test(answers_wait_for_what_they_read),
        test(answers_are_unknown_when_what_they_read_is),
        test(answers_do_not_wait_for_a_block_without_entries),
        test(answers_wait_until_what_they_read_is_visible),
        test(admission_that_is_not_used_changes_nothing),
        test(closing_does_not_wait_for_an_unused_admission),
        test(refused_direct_writes_fall_back_to_buffered),
        test(os_durability_says_so_in_the_block),
        test(reading_only_changes_nothing),
        test(segments_may_become_smaller),
        test(segments_may_become_larger),
        test(any_number_of_unsealed_segments_is_recovered),
        test(commit_times_never_go_back),
        test(metrics_name_what_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
