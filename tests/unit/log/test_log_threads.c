/* The log with its threads: writers, readers, rolling and sealing at the same time. Also run under
 * the thread sanitizer.
 *
 *   MS_THREAD_ROUNDS   appends of each writer (default 150)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/log_world.h"

#define WRITERS 4
#define READERS 2

struct crowd {
    struct log_world w;
    uint64_t rounds;
    _Atomic bool stop;
    _Atomic unsigned refused;
    _Atomic uint64_t acknowledged; /* records */
    _Atomic uint64_t unknown;
};

struct waiting {
    struct ms_log_ticket ticket;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
    int status;
};

static void wake(struct ms_log_ticket *ticket, int status) {
    struct waiting *waiting = (struct waiting *)ticket;
    pthread_mutex_lock(&waiting->lock);
    waiting->done = true;
    waiting->status = status;
    pthread_cond_signal(&waiting->cond);
    pthread_mutex_unlock(&waiting->lock);
}

static int put_one(struct crowd *c, struct waiting *waiting, struct ms_bytes batch) {
    struct ms_log *log = c->w.log;
    bool waited;
    ms_log_lock(log);
    int rc = ms_log_admit(log, batch.len, 1, false, &waited, NULL);
    if (rc == 0) {
        struct ms_log_put put = {.topic = 17,
                                 .record_count = 2,
                                 .batch = batch,
                                 .first_offset = (int64_t)ms_log_next_position(log)};
        (void)ms_log_put(log, &put);
        ms_log_attach(log, &waiting->ticket);
    }
    ms_log_unlock(log);
    return rc;
}

static void *write_some(void *argument) {
    struct crowd *c = argument;
    struct ms_buf batch;
    ms_buf_init(&batch, (size_t)1 << 24);
    for (uint64_t i = 0; i < c->rounds; i++) {
        struct waiting waiting = {.ticket = {.done = wake}};
        pthread_mutex_init(&waiting.lock, NULL);
        pthread_cond_init(&waiting.cond, NULL);
        ms_buf_clear(&batch);
        log_world_batch(i, 0, 2, i % 5 == 0 ? 100000 : 64 + i * 13 % 4000, &batch);
        if (put_one(c, &waiting, ms_buf_bytes(&batch)) == 0) {
            pthread_mutex_lock(&waiting.lock);
            while (!waiting.done)
                pthread_cond_wait(&waiting.cond, &waiting.lock);
            pthread_mutex_unlock(&waiting.lock);
            *(waiting.status == 0 ? &c->acknowledged : &c->unknown) += 2;
        } else {
            c->refused++;
        }
        pthread_cond_destroy(&waiting.cond);
        pthread_mutex_destroy(&waiting.lock);
    }
    ms_buf_deinit(&batch);
    return NULL;
}

static void *read_all(void *argument) {
    struct crowd *c = argument;
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    uint64_t position = 0, turns = 0;
    ms_log_cursor_init(&cursor, c->w.log, 0);
    for (bool last = false; !last;) {
        last = c->stop;
        int rc;
        while ((rc = ms_log_cursor_next(&cursor, &entry, NULL)) > 0) {
            MS_ASSERT(entry.header.first_position == position);
            position += entry.record_count;
        }
        MS_ASSERT(rc == 0);
        if (++turns % 64 == 0) { /* and from somewhere else */
            uint64_t from = position * (turns * 7 % 97) / 97;
            ms_log_cursor_seek(&cursor, from);
            rc = ms_log_cursor_next(&cursor, &entry, NULL);
            MS_ASSERT(position == 0 || (rc == 1 && entry.header.first_position <= from));
            MS_ASSERT(ms_log_anchor_before(c->w.log, from) <= from);
            ms_log_cursor_seek(&cursor, position);
        }
    }
    ms_log_cursor_deinit(&cursor);
    return (void *)(uintptr_t)position;
}

static void run_crowd(struct crowd *c) {
    pthread_t writers[WRITERS], readers[READERS];
    c->stop = false;
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_all, c), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_some, c), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    uint64_t end = ms_log_end(c->w.log);
    c->stop = true;
    for (int i = 0; i < READERS; i++) {
        void *position;
        pthread_join(readers[i], &position);
        assert_int_equal((uintptr_t)position, end);
    }
}

static void start(struct crowd *c) {
    *c = (struct crowd){.rounds = world_setting("MS_THREAD_ROUNDS", 150)};
    log_world_init(&c->w, 1);
    c->w.options.manual = false;
    c->w.world.env.clock = ms_clock_system();
    assert_int_equal(log_world_open(&c->w), 0);
}

static void crowd_over_many_segments(uint64_t segment_bytes, bool buffered) {
    static struct crowd c;
    start(&c);
    assert_int_equal(log_world_close(&c.w), 0);
    c.w.options.segment_bytes = segment_bytes;
    c.w.options.buffered_writes = buffered;
    assert_int_equal(log_world_open(&c.w), 0);
    run_crowd(&c);
    assert_int_equal(c.refused, 0);
    assert_int_equal(c.unknown, 0);
    assert_int_equal(c.acknowledged, WRITERS * c.rounds * 2);
    assert_int_equal(ms_log_end(c.w.log), c.acknowledged);
    assert_int_equal(log_world_close(&c.w), 0);
    assert_int_equal(log_world_open(&c.w), 0);
    assert_int_equal(ms_log_end(c.w.log), c.acknowledged);
    c.stop = true;
    assert_int_equal((uintptr_t)read_all(&c), c.acknowledged);
    assert_int_equal(world_count(&c.w.world, LOG_WORLD_DIR, "spare-") > 1, 0);
    log_world_deinit(&c.w);
}

static void writers_and_readers_over_small_segments(void **state) {
    (void)state;
    crowd_over_many_segments((uint64_t)1 << 20, false);
    crowd_over_many_segments((uint64_t)1 << 20, true);
}

/* Segments that are not ready as a whole when they come into use. */
static void writers_and_readers_over_larger_segments(void **state) {
    (void)state;
    crowd_over_many_segments((uint64_t)12 << 20, false);
}

static void storage_dies_under_writers_and_readers(void **state) {
    (void)state;
    for (uint64_t n = 20; n < 200; n += 45) {
        static struct crowd c;
        start(&c);
        c.rounds = 100;
        ms_vfs_sim_fail_nth(c.w.world.sim, MS_SIM_WRITE, n, MS_EIO, true);
        run_crowd(&c);
        ms_vfs_sim_fail_nth(c.w.world.sim, MS_SIM_WRITE, 0, 0, false);
        assert_int_equal(ms_log_end(c.w.log), c.acknowledged);
        ms_ignore(log_world_close(&c.w)); /* joins the thread that tells of the failure */
        assert_true(c.w.failures <= 1);
        if (c.unknown > 0)
            assert_int_equal(c.w.failures, 1);
        assert_int_equal(log_world_open(&c.w), 0);
        assert_in_range(ms_log_end(c.w.log), c.acknowledged, c.acknowledged + c.unknown);
        log_world_deinit(&c.w);
    }
}

/* The disk is full for a while: writers are refused, nothing is lost, service resumes. */
static void disk_fills_up_under_writers_and_readers(void **state) {
    (void)state;
    static struct crowd c;
    start(&c);
    c.rounds = 60;
    ms_vfs_sim_set_capacity(c.w.world.sim, (uint64_t)3 << 20);
    run_crowd(&c);
    assert_true(c.refused > 0);
    assert_int_equal(c.unknown, 0);
    assert_int_equal(ms_log_end(c.w.log), c.acknowledged);
    ms_vfs_sim_set_capacity(c.w.world.sim, 0);
    c.rounds = 1;
    uint64_t before = c.acknowledged;
    for (int i = 0; i < 400 && c.acknowledged == before; i++) {
        ms_clock_sleep_us(ms_clock_system(), 10000);
        write_some(&c);
    }
    assert_true(c.acknowledged > before);
    log_world_deinit(&c.w);
}

static uint64_t blocks(struct crowd *c) { return ms_counter_get(&c->w.log->metrics.blocks); }

static void wait_for_blocks(struct crowd *c, uint64_t count) {
    while (blocks(c) < count)
        ms_clock_sleep_us(ms_clock_system(), 500);
}

/* With the mark behind it, damage to the last block is no torn write any more. */
static void an_idle_log_gets_one_mark_behind_its_last_block(void **state) {
    (void)state;
    static struct crowd c;
    char path[64];
    start(&c);
    assert_int_equal(log_world_close(&c.w), 0);
    c.w.options.idle_mark_ms = 3;
    assert_int_equal(log_world_open(&c.w), 0);
    c.rounds = 1;
    uint64_t before = blocks(&c), last = 0;
    for (uint64_t n = 1; n <= 3; n++) {
        ms_log_lock(c.w.log);
        last = c.w.log->active_offset;
        ms_log_unlock(c.w.log);
        write_some(&c);
        wait_for_blocks(&c, before + 2 * n);
        ms_clock_sleep_us(ms_clock_system(), 10000);
        assert_int_equal(blocks(&c), before + 2 * n);
    }
    log_world_abandon(&c.w);
    assert_int_equal(
        ms_vfs_sim_flip(c.w.world.sim, log_world_segment(0, path), last + MS_BLOCK_HEADER_LEN, 3),
        0);
    assert_int_equal(log_world_open(&c.w), MS_ECORRUPT);
    log_world_deinit(&c.w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writers_and_readers_over_small_segments),
        cmocka_unit_test(writers_and_readers_over_larger_segments),
        cmocka_unit_test(storage_dies_under_writers_and_readers),
        cmocka_unit_test(disk_fills_up_under_writers_and_readers),
        cmocka_unit_test(an_idle_log_gets_one_mark_behind_its_last_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
