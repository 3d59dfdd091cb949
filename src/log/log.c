/* Opening and closing a log, and what its pieces share: the table of segments, memory for blocks,
 * the one way to stop. */
#include "log/log.h"

#include <stdio.h>

#include "base/alloc.h"
#include "log/internal.h"

/* ---- segments ---- */

int ms_log_add_segment(struct ms_log *log, struct ms_segment *segment) {
    pthread_rwlock_wrlock(&log->segments_lock);
    if (log->segment_count == log->segment_capacity) {
        size_t capacity = log->segment_capacity == 0 ? 64 : log->segment_capacity * 2;
        struct ms_segment **segments = ms_realloc(log->segments, capacity * sizeof *segments);
        if (segments == NULL) {
            pthread_rwlock_unlock(&log->segments_lock);
            return MS_ENOMEM;
        }
        log->segments = segments;
        log->segment_capacity = capacity;
    }
    log->segments[log->segment_count++] = segment;
    pthread_rwlock_unlock(&log->segments_lock);
    return 0;
}

struct ms_segment *ms_log_find_segment(struct ms_log *log, uint64_t position) {
    pthread_rwlock_rdlock(&log->segments_lock);
    size_t low = 0, high = log->segment_count;
    while (high - low > 1) { /* segments[low] begins at or before position (or is the first) */
        size_t middle = low + (high - low) / 2;
        if (log->segments[middle]->first_position <= position)
            low = middle;
        else
            high = middle;
    }
    struct ms_segment *found = log->segment_count > 0 ? ms_segment_ref(log->segments[low]) : NULL;
    pthread_rwlock_unlock(&log->segments_lock);
    return found;
}

struct ms_segment_owner ms_log_owner(const struct ms_log *log) {
    return (struct ms_segment_owner){
        .env = log->env,
        .log_uuid = log->options.store_uuid,
        .shard = log->options.shard,
        .epoch = log->epoch,
    };
}

int ms_log_seal(struct ms_log *log, struct ms_segment *segment, struct ms_error *err) {
    struct ms_segment_owner owner = ms_log_owner(log);
    return ms_segment_seal(segment, &owner, err);
}

/* ---- memory for blocks ---- */

struct chunk {
    struct ms_blob blob;
    struct ms_log *log;
};

static void chunk_release(struct ms_blob *blob) {
    struct ms_log *log = ((struct chunk *)blob)->log;
    pthread_mutex_lock(&log->chunk_lock);
    bool kept = blob->size == MS_CHUNK_BYTES && log->chunk_pool_count < MS_CHUNK_POOL_MAX;
    if (kept)
        log->chunk_pool[log->chunk_pool_count++] = blob;
    pthread_mutex_unlock(&log->chunk_lock);
    if (!kept) {
        ms_free(blob->data);
        ms_free(blob);
    }
}

static struct ms_blob *chunk_from_pool(struct ms_log *log) {
    pthread_mutex_lock(&log->chunk_lock);
    struct ms_blob *blob = NULL;
    if (log->chunk_pool_count > 0)
        blob = log->chunk_pool[--log->chunk_pool_count];
    pthread_mutex_unlock(&log->chunk_lock);
    return blob;
}

int ms_log_chunk_new(struct ms_log *log, size_t size, struct ms_blob **ret_chunk) {
    struct ms_blob *blob = size == MS_CHUNK_BYTES ? chunk_from_pool(log) : NULL;
    if (blob == NULL) {
        struct chunk *chunk = ms_calloc(1, sizeof *chunk);
        uint8_t *data = chunk != NULL ? ms_alloc_aligned(MS_BLOCK_ALIGN, size) : NULL;
        if (data == NULL) {
            ms_free(chunk);
            return MS_ENOMEM;
        }
        chunk->blob = (struct ms_blob){.size = size, .data = data, .release = chunk_release};
        chunk->log = log;
        blob = &chunk->blob;
    }
    atomic_store(&blob->refs, 1);
    *ret_chunk = blob;
    return 0;
}

static void free_chunk_pool(struct ms_log *log) {
    while (log->chunk_pool_count > 0) {
        struct ms_blob *blob = log->chunk_pool[--log->chunk_pool_count];
        ms_free(blob->data);
        ms_free(blob);
    }
}

/* ---- stopping ---- */

static struct ms_log_ticket *take_tickets(struct ms_log_block *block,
                                          struct ms_log_ticket *tickets) {
    struct ms_log_ticket **end = &tickets;
    while (*end != NULL)
        end = &(*end)->next;
    *end = block->tickets;
    block->tickets = NULL;
    return tickets;
}

/* Under the lock: everything that was packed and will not be written any more. */
static struct ms_log_ticket *drop_queue(struct ms_log *log) {
    struct ms_log_ticket *tickets = NULL;
    if (log->open != NULL) {
        *log->sealed_end = log->open;
        log->sealed_end = &log->open->next;
        log->open = NULL;
    }
    while (log->sealed != NULL) {
        struct ms_log_block *block = log->sealed;
        log->sealed = block->next;
        tickets = take_tickets(block, tickets);
        ms_log_block_free(block);
    }
    log->sealed_end = &log->sealed;
    return tickets;
}

void ms_log_poison(struct ms_log *log, const struct ms_error *error) {
    pthread_mutex_lock(&log->mutex);
    bool first = !atomic_exchange(&log->failed, true);
    if (first)
        log->failure = *error;
    struct ms_log_ticket *tickets = drop_queue(log);
    log->pending_bytes = 0;
    pthread_cond_broadcast(&log->room);
    pthread_cond_broadcast(&log->drained);
    pthread_mutex_unlock(&log->mutex);
    while (tickets != NULL) {
        struct ms_log_ticket *next = tickets->next;
        tickets->done(tickets, MS_EUNKNOWN);
        tickets = next;
    }
    if (first && log->options.on_failure != NULL)
        log->options.on_failure(log->options.context, &log->failure);
}

void ms_log_fail(struct ms_log *log, const struct ms_error *error) { ms_log_poison(log, error); }

/* ---- opening ---- */

uint64_t ms_log_largest_append(const struct ms_log_options *options) {
    return options->append_bytes_max + (options->append_bytes_max >> 3) + MS_MARKS_ROOM;
}

static uint64_t room_in_segment(const struct ms_log_options *options) {
    uint64_t footer = ms_segment_footer_bytes(options->segment_bytes);
    return options->segment_bytes > footer ? options->segment_bytes - footer : 0;
}

uint64_t ms_log_room_to_spare(const struct ms_log_options *options) {
    return room_in_segment(options) - ms_log_largest_append(options) + MS_MARKS_ROOM;
}

static int check_options(const struct ms_log_options *options, struct ms_error *err) {
    if (options->segment_bytes % MS_BLOCK_ALIGN != 0 || options->segment_bytes > (uint64_t)1 << 30)
        return ms_error_set(err, MS_EINVAL,
                            "log.segment_bytes must be a multiple of 4096 and at most 1 GiB");
    if (ms_log_largest_append(options) > room_in_segment(options))
        return ms_error_set(err, MS_EINVAL,
                            "log.segment_bytes (%llu) is too small for appends of up to %zu bytes",
                            (unsigned long long)options->segment_bytes, options->append_bytes_max);
    return 0;
}

static struct ms_log *log_new(const struct ms_log_options *options) {
    struct ms_log *log = ms_calloc(1, sizeof *log);
    if (log == NULL)
        return NULL;
    log->options = *options;
    log->env = options->env;
    log->dir = ms_alloc_strdup(ms_bytes_cstr(options->dir));
    log->options.dir = log->dir;
    log->sealed_end = &log->sealed;
    atomic_init(&log->direct,
                !options->buffered_writes && options->durability == MS_DURABILITY_COMMIT);
    if (log->dir == NULL || ms_tail_init(&log->tail, options->tail_cache_bytes) != 0 ||
        ms_engine_local_new(log, &log->engine) != 0) {
        ms_tail_deinit(&log->tail);
        ms_free(log->dir);
        ms_free(log);
        return NULL;
    }
    pthread_mutex_init(&log->mutex, NULL);
    pthread_mutex_init(&log->chunk_lock, NULL);
    pthread_rwlock_init(&log->segments_lock, NULL);
    pthread_cond_t *conds[] = {&log->work, &log->room, &log->keeper_work, &log->drained};
    for (size_t i = 0; i < sizeof conds / sizeof conds[0]; i++)
        pthread_cond_init(conds[i], NULL);
    return log;
}

/* Stands in for the active segment while there is none (a full disk): it has no room. */
static int placeholder(struct ms_log *log, struct ms_segment **ret_segment) {
    int rc = ms_segment_new("", log->next_position, 0, ret_segment);
    if (rc == 0)
        atomic_store(&(*ret_segment)->state, MS_SEGMENT_FULL);
    return rc;
}

/* The first block of the epoch is a mark: whatever it continues was kept and is durable. Without
 * space for it the log opens for readers and marks when it can. */
static int start_epoch(struct ms_log *log, struct ms_error *err) {
    if (log->active == NULL) {
        int rc = placeholder(log, &log->active);
        if (rc != 0)
            return ms_error_set(err, rc, "no memory for a segment");
    }
    if (log->options.read_only)
        return 0;
    log->hungry = true;
    for (int i = 0; i < 2 && ms_keeper_step(log); i++)
        continue;
    ms_log_lock(log);
    int rc = ms_sequencer_mark(log, MS_BLOCK_MARK, err); /* what is kept back will do */
    ms_log_unlock(log);
    if (rc == MS_ENOSPC)
        return 0;
    if (rc == 0)
        (void)ms_committer_step(log);
    if (atomic_load(&log->failed))
        return ms_error_set(err, log->failure.code, "%s", log->failure.message);
    return rc;
}

static int start_threads(struct ms_log *log, struct ms_error *err) {
    if (log->options.manual || log->options.read_only)
        return 0;
    log->committer_started = pthread_create(&log->committer, NULL, ms_committer_main, log) == 0;
    log->keeper_started = pthread_create(&log->keeper, NULL, ms_keeper_main, log) == 0;
    if (!log->committer_started || !log->keeper_started)
        return ms_error_set(err, MS_ENOMEM, "can't start the log's threads");
    return 0;
}

static void stop_threads(struct ms_log *log) {
    pthread_mutex_lock(&log->mutex);
    log->stop_keeper = log->stop_committer = true;
    pthread_cond_broadcast(&log->work);
    pthread_cond_broadcast(&log->keeper_work);
    pthread_mutex_unlock(&log->mutex);
    if (log->committer_started)
        pthread_join(log->committer, NULL);
    if (log->keeper_started)
        pthread_join(log->keeper, NULL);
}

static void log_free(struct ms_log *log) {
    struct ms_log_ticket *left = drop_queue(log);
    MS_ASSERT(left == NULL);
    ms_tail_deinit(&log->tail);
    ms_blob_unref(log->chunk);
    if (log->spare != NULL && log->spare->reader != NULL)
        ms_ignore(ms_vfs_unlink(log->env->vfs, log->spare->path, NULL));
    ms_segment_unref(log->spare);
    ms_segment_unref(log->active);
    for (size_t i = 0; i < log->to_seal_count; i++)
        ms_segment_unref(log->to_seal[i]);
    for (size_t i = 0; i < log->segment_count; i++)
        ms_segment_unref(log->segments[i]);
    ms_free(log->segments);
    log->engine->ops->free(log->engine);
    free_chunk_pool(log);
    ms_free(log->dir);
    ms_free(log);
}

int ms_log_open(const struct ms_log_options *options, struct ms_log **ret_log,
                struct ms_error *err) {
    int rc = check_options(options, err);
    if (rc != 0)
        return rc;
    struct ms_log *log = log_new(options);
    if (log == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for the log");
    rc = ms_recovery_run(log, err);
    if (rc == 0)
        rc = start_epoch(log, err);
    if (rc == 0)
        rc = start_threads(log, err);
    if (rc != 0) {
        stop_threads(log);
        log_free(log);
        return rc;
    }
    *ret_log = log;
    return 0;
}

void ms_log_run(struct ms_log *log) {
    while (ms_committer_step(log))
        continue;
}

void ms_log_drain(struct ms_log *log) {
    pthread_mutex_lock(&log->mutex);
    log->closing = true;
    pthread_cond_broadcast(&log->room);
    if (!log->options.manual && log->committer_started)
        while (!atomic_load(&log->failed) &&
               (log->open != NULL || log->sealed != NULL || log->committing != NULL)) {
            pthread_cond_signal(&log->work);
            pthread_cond_wait(&log->drained, &log->mutex);
        }
    pthread_mutex_unlock(&log->mutex);
    if (log->options.manual)
        ms_log_run(log);
}

int ms_log_close(struct ms_log *log, struct ms_error *err) {
    if (log == NULL)
        return 0;
    ms_log_drain(log);
    stop_threads(log);
    ms_log_run(log);
    int rc = 0;
    if (!log->options.read_only && !atomic_load(&log->failed)) {
        pthread_mutex_lock(&log->mutex);
        log->marking = true;
        rc = ms_sequencer_mark(log, MS_BLOCK_MARK | MS_BLOCK_CLEAN, err);
        pthread_mutex_unlock(&log->mutex);
        ms_log_run(log);
        if (rc == MS_ENOSPC) /* a clean stop without its mark: the next start scans a little more */
            rc = 0;
    }
    if (atomic_load(&log->failed))
        rc = ms_error_set(err, log->failure.code, "%s", log->failure.message);
    log_free(log);
    return rc;
}

/* ---- state ---- */

uint64_t ms_log_end(struct ms_log *log) {
    return atomic_load_explicit(&log->end, memory_order_acquire);
}

bool ms_log_failed(struct ms_log *log) { return atomic_load(&log->failed); }

void ms_log_info(struct ms_log *log, struct ms_log_info *ret_info) {
    struct ms_log_info info = {
        .end = ms_log_end(log),
        .epoch = log->epoch,
        .recovered_bytes = log->recovered_bytes,
        .recovery_ms = log->recovery_ms,
        .recovered_torn_tail = log->recovered_torn_tail,
        .clean_start = log->clean_start,
        .failed = atomic_load(&log->failed),
        .direct = atomic_load(&log->direct),
        .written_bytes = ms_counter_get(&log->metrics.bytes),
    };
    pthread_rwlock_rdlock(&log->tail.lock);
    info.tail_bytes = log->tail.bytes;
    pthread_rwlock_unlock(&log->tail.lock);
    pthread_mutex_lock(&log->mutex);
    info.sequence = log->next_sequence;
    info.refusing_appends = log->no_space;
    info.pending_bytes = log->pending_bytes;
    pthread_mutex_unlock(&log->mutex);
    pthread_rwlock_rdlock(&log->segments_lock);
    info.segments = (uint32_t)log->segment_count;
    for (size_t i = 0; i < log->segment_count; i++)
        info.log_bytes += atomic_load(&log->segments[i]->end_offset);
    pthread_rwlock_unlock(&log->segments_lock);
    *ret_info = info;
}

int ms_log_metrics(struct ms_log *log, struct ms_buf *out) {
    const struct ms_log_metrics *m = &log->metrics;
    const struct {
        const char *name, *help;
        const struct ms_counter *counter;
    } counters[] = {
        {"mainstem_log_blocks_total", "Group commits made durable.", &m->blocks},
        {"mainstem_log_entries_total", "Appends made durable.", &m->entries},
        {"mainstem_log_events_total", "Events made durable.", &m->records},
        {"mainstem_log_written_bytes_total", "Bytes of blocks written.", &m->bytes},
        {"mainstem_log_padding_bytes_total", "Of these, padding to 4 KiB.", &m->padding_bytes},
        {"mainstem_log_space_waits_total", "Appends that waited for prepared space.",
         &m->space_waits},
        {"mainstem_log_space_refusals_total", "Appends refused for lack of disk space.",
         &m->space_refusals},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof counters / sizeof counters[0]; i++)
        rc = ms_metrics_counter(out, counters[i].name, counters[i].help, NULL,
                                ms_counter_get(counters[i].counter));
    if (rc == 0)
        rc = ms_metrics_histogram(out, "mainstem_log_commit_seconds",
                                  "Time to make one group of blocks durable.", NULL, &m->commit_us,
                                  1e-6);
    if (rc == 0)
        rc = ms_metrics_histogram(out, "mainstem_log_block_entries", "Appends per block.", NULL,
                                  &m->block_entries, 1);
    if (rc == 0)
        rc = ms_metrics_histogram(out, "mainstem_log_block_bytes", "Bytes per block.", NULL,
                                  &m->block_bytes, 1);
    return rc;
}
