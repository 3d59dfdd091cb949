/*
 * What the files of the index share.
 *
 *      ms_index_apply                 flush (its own thread, or the caller of ms_index_flush)
 *           |                              |
 *           v          freeze              v                ingest
 *        mutable  ----------------->    frozen  ------------------------->  RocksDB
 *      (write lock)   (write lock)    (no lock)    then dropped (write lock)
 *
 * A reader takes references to both generations first (ms_index_view) and looks into RocksDB
 * afterwards: whatever was dropped before it looked is in RocksDB by then, so nothing is missed. In
 * between a part may be seen twice, in the frozen generation and in RocksDB: what RocksDB says
 * about positions from `base` on is ignored; and of runs that were adopted, which may lie before
 * it, the second is (lookup_stream.c).
 *
 * Locks, in this order: `mutex` (state of the flush), `lock` (the generations' pointers and the
 * content of the mutable one). Neither is held during I/O.
 */
#pragma once

#include <pthread.h>

#include "index/db.h"
#include "index/overlay.h"

struct ms_index {
    const struct ms_env *env;
    struct ms_index_db *db;
    struct ms_uuid store_uuid;
    size_t entries_max, bytes_max; /* of a generation */
    bool manual;

    pthread_rwlock_t lock;
    struct ms_overlay *mutable; /* never NULL */
    struct ms_overlay *frozen;  /* being written; NULL: none */

    pthread_mutex_t mutex;
    pthread_cond_t wake; /* for the flush thread: frozen, retry or stop was set */
    pthread_cond_t done; /* for those who wait: an attempt to flush has ended */
    pthread_t thread;
    bool writing;     /* an attempt is under way */
    bool retry;       /* ends the pause after a failure */
    atomic_bool stop; /* ends the thread; written under the mutex */
    uint64_t applied;
    uint64_t flushes, failures, stalls;
    unsigned failures_in_row;
    struct ms_error failure; /* the last one */
    atomic_int report;       /* code of a failure that ms_index_apply has not reported yet */
};

/* ---- flush.c ---- */

/* Writes a generation into a sorted file and ingests it. MS_ENOSPC, MS_EIO, MS_ENOMEM, MS_ECORRUPT.
 * */
int ms_index_write_generation(struct ms_index_db *db, const struct ms_overlay *overlay,
                              const struct ms_uuid *store_uuid, struct ms_error *err) MS_MUST_CHECK;

/* ---- flusher.c ---- */

int ms_index_flusher_start(struct ms_index *index, struct ms_error *err) MS_MUST_CHECK;
void ms_index_flusher_stop(struct ms_index *index);
/* Called after a fold that filled the mutable generation: freezes it, waiting for the flush of the
 * one before if need be. */
void ms_index_flusher_make_room(struct ms_index *index);
bool ms_index_is_full(const struct ms_index *index); /* under the lock */

/* ---- lookups ---- */

struct ms_index_view {
    struct ms_overlay *newer; /* the mutable one when the view was taken: read it under the lock */
    struct ms_overlay *older; /* NULL: none */
    uint64_t base;            /* positions below are in RocksDB and nowhere else */
};
void ms_index_view_take(struct ms_index *index, struct ms_index_view *ret_view);
void ms_index_view_drop(struct ms_index_view *view);
static inline void ms_index_read_lock(struct ms_index *index) {
    MS_ASSERT(pthread_rwlock_rdlock(&index->lock) == 0);
}
static inline void ms_index_write_lock(struct ms_index *index) {
    MS_ASSERT(pthread_rwlock_wrlock(&index->lock) == 0);
}
static inline void ms_index_unlock(struct ms_index *index) {
    MS_ASSERT(pthread_rwlock_unlock(&index->lock) == 0);
}
