/*
 * When generations are frozen, who writes them, what happens when that fails.
 *
 *            full, or ms_index_flush          written and ingested
 *   mutable ------------------------> frozen ----------------------> dropped
 *             ms_index_freeze          ^  |    finish
 *                                      |  | failed: counted, reported once by ms_index_apply
 *                                      +--+ again after a pause of 1 s, 2 s, 4 s … 30 s
 *
 * While a flush waits for its turn (level 0 of RocksDB full) or takes its time, the mutable
 * generation fills; then appends wait (a stall). While flushing fails they don't, up to OVERFULL
 * generations' worth: what has to be appended to make room on a full disk must come through.
 *
 * Threads: freezing and waiting from any, one writer at a time (`writing`).
 */
#include "index/internal.h"

#define PAUSE_STEP_US 20000
#define PAUSE_FIRST_STEPS 50
#define PAUSE_STEPS_MAX 1500
/* Files in level 0 above which no further one is ingested, and how long to wait for compaction. */
#define LEVEL_0_FILES_MAX 12
#define LEVEL_0_WAIT_STEPS_MAX 3000
#define OVERFULL 4

bool ms_index_is_full(const struct ms_index *index) {
    return index->mutable->entries >= index->entries_max ||
           ms_overlay_bytes(index->mutable) >= index->bytes_max;
}

/* True when a mutable generation is so large that even failing flushes are no excuse. */
static bool is_overfull(struct ms_index *index) {
    ms_index_read_lock(index);
    bool overfull = index->mutable->entries / OVERFULL >= index->entries_max ||
                    ms_overlay_bytes(index->mutable) / OVERFULL >= index->bytes_max;
    ms_index_unlock(index);
    return overfull;
}

/* Under the mutex, while nothing is frozen. MS_ENOMEM, MS_EAGAIN: nothing was changed. */
static int freeze(struct ms_index *index) {
    struct ms_overlay *fresh;
    MS_ASSERT(!index->frozen);
    int rc = ms_overlay_new(0, -1, &fresh);
    if (rc)
        return rc;
    ms_index_write_lock(index);
    struct ms_overlay *full = index->mutable;
    bool nothing = ms_overlay_is_empty(full);
    bool partial = full->partial;
    if (!nothing && !partial) {
        fresh->base = fresh->next = fresh->folded = full->next;
        fresh->times.last_ms = full->times.last_ms;
        index->frozen = full;
        index->mutable = fresh;
        fresh = NULL;
    }
    ms_index_unlock(index);
    ms_overlay_unref(fresh);
    return partial ? MS_EAGAIN : 0;
}

/* Waits until compaction has made room in level 0. */
static int wait_for_level_0(struct ms_index *index, struct ms_error *err) {
    for (int step = 0; step < LEVEL_0_WAIT_STEPS_MAX; step++) {
        if (ms_index_db_property(index->db, "rocksdb.num-files-at-level0") < LEVEL_0_FILES_MAX)
            return 0;
        if (atomic_load(&index->stop))
            return ms_error_set(err, MS_ECANCELED, "index: closing");
        ms_clock_sleep_us(index->env->clock, PAUSE_STEP_US);
    }
    return ms_error_set(err, MS_EIO, "index: compaction makes no progress");
}

/* One attempt to write the frozen generation. Called with the mutex held, which is released
 * meanwhile; only while nobody else is writing. */
static void attempt(struct ms_index *index) {
    struct ms_overlay *frozen = index->frozen;
    struct ms_error err = {0};
    MS_ASSERT(frozen && !index->writing);
    index->writing = true;
    pthread_mutex_unlock(&index->mutex);
    int rc = index->manual ? 0 : wait_for_level_0(index, &err);
    if (rc == 0)
        rc = ms_index_write_generation(index->db, frozen, &index->store_uuid, &err);
    pthread_mutex_lock(&index->mutex);
    index->writing = false;
    if (rc == 0) {
        index->applied = frozen->next;
        index->flushes++;
        index->failures_in_row = 0;
        ms_index_write_lock(index);
        index->frozen = NULL;
        ms_index_unlock(index);
    } else if (rc != MS_ECANCELED) {
        index->failures++;
        index->failures_in_row++;
        index->failure = err;
        index->failure.code = rc;
        atomic_store(&index->report, rc == MS_ENOSPC ? MS_ENOSPC : MS_EIO);
    }
    pthread_cond_broadcast(&index->done);
    if (rc == 0) {
        /* Freeing a generation takes milliseconds: nobody has to wait for that. */
        pthread_mutex_unlock(&index->mutex);
        ms_overlay_unref(frozen);
        pthread_mutex_lock(&index->mutex);
    }
}

/* With the mutex held, which is released meanwhile. */
static void pause_after_failure(struct ms_index *index) {
    unsigned doublings = index->failures_in_row - 1;
    int steps = doublings > 5 ? PAUSE_STEPS_MAX : PAUSE_FIRST_STEPS << doublings;
    for (int i = 0; i < steps && !atomic_load(&index->stop) && !index->retry; i++) {
        pthread_mutex_unlock(&index->mutex);
        ms_clock_sleep_us(index->env->clock, PAUSE_STEP_US);
        pthread_mutex_lock(&index->mutex);
    }
}

static void *flush_thread(void *context) {
    struct ms_index *index = context;
    pthread_mutex_lock(&index->mutex);
    while (!atomic_load(&index->stop)) {
        if (!index->frozen) {
            pthread_cond_wait(&index->wake, &index->mutex);
            continue;
        }
        index->retry = false;
        attempt(index);
        if (index->failures_in_row)
            pause_after_failure(index);
    }
    pthread_mutex_unlock(&index->mutex);
    return NULL;
}

int ms_index_flusher_start(struct ms_index *index, struct ms_error *err) {
    if (index->manual || pthread_create(&index->thread, NULL, flush_thread, index) == 0)
        return 0;
    return ms_error_set(err, MS_ENOMEM, "index: can't start a thread");
}

void ms_index_flusher_stop(struct ms_index *index) {
    if (index->manual)
        return;
    pthread_mutex_lock(&index->mutex);
    atomic_store(&index->stop, true);
    pthread_cond_broadcast(&index->wake);
    pthread_mutex_unlock(&index->mutex);
    pthread_join(index->thread, NULL);
}

void ms_index_flusher_make_room(struct ms_index *index) {
    pthread_mutex_lock(&index->mutex);
    bool stalled = false;
    while (index->frozen && (index->failures_in_row == 0 || is_overfull(index))) {
        index->stalls += !stalled;
        stalled = true;
        pthread_cond_wait(&index->done, &index->mutex);
    }
    ms_index_read_lock(index);
    bool full = ms_index_is_full(index); /* still: ms_index_flush may have been here */
    ms_index_unlock(index);
    /* Without memory for a fresh generation this one goes on growing and the next call tries again.
     * */
    if (full && !index->frozen && freeze(index) == 0)
        pthread_cond_signal(&index->wake);
    pthread_mutex_unlock(&index->mutex);
}

/* Ends with the frozen generation written, or with the code of an attempt that failed. With the
 * mutex held, which is released meanwhile. */
static int finish_frozen(struct ms_index *index, struct ms_error *err) {
    uint64_t failures = index->failures, flushes = index->flushes;
    index->retry = index->frozen != NULL;
    while (index->frozen && index->flushes == flushes && index->failures == failures) {
        if (index->manual && !index->writing) {
            attempt(index);
        } else {
            pthread_cond_signal(&index->wake);
            pthread_cond_wait(&index->done, &index->mutex);
        }
    }
    if (index->failures == failures)
        return 0;
    if (err)
        *err = index->failure;
    return index->failure.code;
}

int ms_index_flush(struct ms_index *index, struct ms_error *err) {
    pthread_mutex_lock(&index->mutex);
    /* What was frozen earlier, then what there is now. */
    int rc = finish_frozen(index, err);
    if (rc == 0 && !index->frozen) {
        rc = freeze(index);
        if (rc)
            ms_error_set(err, rc, "index: %s",
                         rc == MS_ENOMEM ? "out of memory" : "a fold is incomplete");
    }
    if (rc == 0)
        rc = finish_frozen(index, err);
    pthread_mutex_unlock(&index->mutex);
    return rc;
}
