/*
 * The derived index: opening, closing, folding, state. See index.h for what it is and internal.h
 * for how its parts work together.
 *
 * Threads: as index.h says.
 */
#include "index/index.h"

#include "base/alloc.h"
#include "index/internal.h"

#define ENTRIES_MAX_DEFAULT ((size_t)1000000)
/* Appends with many terms or large facts fill a generation by memory. */
#define BYTES_PER_ENTRY ((size_t)256)
#define BYTES_MIN ((size_t)4 << 20)

uint64_t ms_index_term(enum ms_term_kind kind, struct ms_bytes value) {
    return ms_hash64(value.data, value.len, (uint64_t)kind);
}

/* ---- life ---- */

/* Opens the database; one that can't be used is moved aside and made anew. */
static int open_database(const struct ms_index_options *options, struct ms_index_db **ret_db,
                         uint64_t *ret_applied, struct ms_error *err) {
    int rc = ms_index_db_open(options, ret_db, ret_applied, err);
    if (rc != MS_ECORRUPT)
        return rc;
    rc = ms_index_db_move_aside(options, err);
    if (rc)
        return rc;
    rc = ms_index_db_open(options, ret_db, ret_applied, err);
    return rc == MS_ECORRUPT ? ms_error_set(err, MS_EIO, "index: can't be made anew") : rc;
}

/* glibc prefers readers by default: a busy server's lookups would keep the fold out for ever. */
static void init_locks(struct ms_index *index) {
    pthread_rwlockattr_t attributes;
    MS_ASSERT(pthread_rwlockattr_init(&attributes) == 0);
    MS_ASSERT(pthread_rwlockattr_setkind_np(&attributes,
                                            PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0);
    MS_ASSERT(pthread_rwlock_init(&index->lock, &attributes) == 0);
    pthread_rwlockattr_destroy(&attributes);
    MS_ASSERT(pthread_mutex_init(&index->mutex, NULL) == 0);
    MS_ASSERT(pthread_cond_init(&index->wake, NULL) == 0);
    MS_ASSERT(pthread_cond_init(&index->done, NULL) == 0);
}

static void free_index(struct ms_index *index) {
    ms_overlay_unref(index->mutable);
    ms_overlay_unref(index->frozen);
    ms_index_db_close(index->db);
    pthread_cond_destroy(&index->done);
    pthread_cond_destroy(&index->wake);
    pthread_mutex_destroy(&index->mutex);
    pthread_rwlock_destroy(&index->lock);
    ms_free(index);
}

int ms_index_open(const struct ms_index_options *options, struct ms_index **ret_index,
                  uint64_t *ret_applied, struct ms_error *err) {
    struct ms_index *index = ms_calloc(1, sizeof *index);
    if (!index)
        return ms_error_set(err, MS_ENOMEM, "index: out of memory");
    size_t entries = options->overlay_entries_max;
    index->env = options->env;
    index->store_uuid = options->store_uuid;
    index->entries_max = entries ? entries : ENTRIES_MAX_DEFAULT;
    index->bytes_max = index->entries_max * BYTES_PER_ENTRY;
    if (index->bytes_max < BYTES_MIN)
        index->bytes_max = BYTES_MIN;
    index->manual = options->manual;
    init_locks(index);
    int64_t last_time_ms = -1;
    int rc = open_database(options, &index->db, &index->applied, err);
    if (rc == 0)
        rc = ms_index_db_last_time(index->db, &last_time_ms, err);
    if (rc == 0 && ms_overlay_new(index->applied, last_time_ms, &index->mutable) != 0)
        rc = ms_error_set(err, MS_ENOMEM, "index: out of memory");
    if (rc == 0)
        rc = ms_index_flusher_start(index, err);
    if (rc) {
        free_index(index);
        return rc;
    }
    *ret_applied = index->applied;
    *ret_index = index;
    return 0;
}

int ms_index_peek(const struct ms_index_options *options, uint64_t *ret_applied,
                  struct ms_error *err) {
    return ms_index_db_peek(options, ret_applied, err);
}

int ms_index_discard(const struct ms_index_options *options, struct ms_error *err) {
    return ms_index_db_move_aside(options, err);
}

void ms_index_close(struct ms_index *index, bool flush) {
    if (!index)
        return;
    /* A flush that fails loses nothing: the log is folded again from where the index stands. */
    if (flush && ms_index_flush(index, NULL) != 0)
        flush = false;
    ms_index_flusher_stop(index);
    free_index(index);
}

/* ---- folding ---- */

static int make_room_and_report(struct ms_index *index, bool full) {
    if (MS_UNLIKELY(full) && !index->manual)
        ms_index_flusher_make_room(index);
    if (MS_UNLIKELY(atomic_load_explicit(&index->report, memory_order_relaxed) != 0))
        return atomic_exchange(&index->report, 0);
    return 0;
}

int ms_index_apply(struct ms_index *index, const struct ms_index_append *appends,
                   size_t append_count, const struct ms_index_fact *facts, size_t fact_count,
                   uint64_t next_position) {
    for (size_t i = 0; i < fact_count; i++) {
        if (facts[i].name.len > MS_INDEX_FACT_NAME_MAX ||
            facts[i].value.len > MS_INDEX_FACT_VALUE_MAX)
            return MS_EINVAL;
    }
    ms_index_write_lock(index);
    int rc = ms_overlay_fold_facts(index->mutable, facts, fact_count);
    if (rc == 0)
        rc = ms_overlay_fold(index->mutable, appends, append_count, next_position);
    bool full = ms_index_is_full(index);
    ms_index_unlock(index);
    return rc != 0 ? rc : make_room_and_report(index, full);
}

int ms_index_adopt(struct ms_index *index, const struct ms_index_run *runs, size_t count) {
    ms_index_write_lock(index);
    int rc = ms_overlay_adopt(index->mutable, runs, count);
    bool full = ms_index_is_full(index);
    ms_index_unlock(index);
    return rc != 0 ? rc : make_room_and_report(index, full);
}

/* ---- state ---- */

uint64_t ms_index_applied(struct ms_index *index) {
    pthread_mutex_lock(&index->mutex);
    uint64_t applied = index->applied;
    pthread_mutex_unlock(&index->mutex);
    return applied;
}

uint64_t ms_index_next_position(struct ms_index *index) {
    ms_index_read_lock(index);
    uint64_t next = index->mutable->next;
    ms_index_unlock(index);
    return next;
}

void ms_index_stats(struct ms_index *index, struct ms_index_stats *ret_stats) {
    struct ms_index_stats stats = {0};
    pthread_mutex_lock(&index->mutex);
    stats.applied = index->applied;
    stats.flushes = index->flushes;
    stats.flush_failures = index->failures;
    stats.stalls = index->stalls;
    ms_index_read_lock(index);
    stats.next_position = index->mutable->next;
    stats.overlay_entries = index->mutable->entries;
    stats.overlay_bytes = ms_overlay_bytes(index->mutable);
    if (index->frozen) {
        stats.overlay_entries += index->frozen->entries;
        stats.overlay_bytes += ms_overlay_bytes(index->frozen);
    }
    ms_index_unlock(index);
    pthread_mutex_unlock(&index->mutex);
    const struct ms_index_db *db = index->db;
    stats.level0_files = ms_index_db_property(db, "rocksdb.num-files-at-level0");
    stats.sst_bytes = ms_index_db_property(db, "rocksdb.total-sst-files-size");
    stats.memory_bytes = ms_index_db_property(db, "rocksdb.block-cache-usage") +
                         ms_index_db_property(db, "rocksdb.estimate-table-readers-mem");
    stats.compacting = ms_index_db_property(db, "rocksdb.num-running-compactions") != 0;
    *ret_stats = stats;
}
