/*
 * Opening and closing a store.
 *
 *   <dir>/FORMAT "mainstem <format>\nstore <uuid>\nlog <uuid>\n", written once. A restored
 *                          store is another store on a copy of the same log: its first uuid is new,
 *                          the second, which stands in every block and seeds stream ids, is not
 *   <dir>/LOCK             held while the store is open for writing
 *   <dir>/shard-000/       the log's segments
 *   <dir>/shard-000/index  derived; may be deleted
 *   <dir>/shard-000/window derived; event ids of the last appends, from the last clean stop
 *
 * Opening: lock, identity, index, log (recovery), topics, what the index lacks, the window of event
 * ids. The index comes before the log because it is a witness: one that knows more than the log
 * shows that acknowledged events are missing, and the log is not opened (recovery.h, row 11). Only
 * after `durability: os`, where a power cut may take the end of the log, is such an index moved
 * aside and made anew.
 */
#include "store/store.h"

#include <stdio.h>

#include "base/alloc.h"
#include "store/internal.h"

#define TOPIC_CREATION_BYTES 65536u /* kept for the topics that an append makes */
#define STORE_FORMAT 1
#define FORMAT_FILE_MAX 4096u
#define SEGMENT_BYTES_MIN ((uint64_t)1 << 20)
#define SEGMENT_BYTES_MAX ((uint64_t)1 << 30)
#define INDEX_FREE_BYTES_MIN ((uint64_t)16 << 20)

void ms_store_options_init(struct ms_store_options *options) {
    *options = (struct ms_store_options){
        .limits = ms_event_limits_default(),
        .durability = MS_DURABILITY_COMMIT,
        .segment_bytes = (uint64_t)256 << 20,
        .idle_mark_ms = 1000,
        .tail_cache_bytes = (size_t)16 << 20,
        .head_cache_entries = 1000000,
        .index_cache_bytes = (size_t)64 << 20,
        .index_overlay_entries_max = 1000000,
        .inflight_bytes_max = (size_t)256 << 20,
        .idempotence_window = 1000000,
        .topics_max = 10000,
        .topic_partitions = 4,
        .scavenge_bytes_per_second = (uint64_t)32 << 20,
        .compaction_bytes_max = (size_t)64 << 20,
    };
}

/* ---- identity ---- */

int ms_format_write(const struct ms_env *env, const char *dir, const struct ms_uuid *store_uuid,
                    const struct ms_uuid *log_uuid, struct ms_error *err) {
    char text[160], store[MS_UUID_TEXT_LEN + 1], log[MS_UUID_TEXT_LEN + 1], path[MS_PATH_MAX];
    ms_uuid_format(store_uuid, store);
    ms_uuid_format(log_uuid, log);
    int len =
        snprintf(text, sizeof text, "mainstem %d\nstore %s\nlog %s\n", STORE_FORMAT, store, log);
    if (ms_path_join(path, dir, "FORMAT") != 0)
        return ms_error_set(err, MS_EINVAL, "the path of the data directory is too long");
    return ms_vfs_replace_file(env->vfs, path, ms_bytes_of(text, (size_t)len), err);
}

static int parse_format(const char *path, struct ms_bytes content, struct ms_uuid *ret_store_uuid,
                        struct ms_uuid *ret_log_uuid, struct ms_error *err) {
    char text[FORMAT_FILE_MAX + 1], store[64], log[64];
    int format = 0;
    if (content.len > 0)
        memcpy(text, content.data, content.len);
    text[content.len] = 0;
    int found = sscanf(text, "mainstem %d\nstore %63s\nlog %63s\n", &format, store, log);
    if (found >= 1 && format > STORE_FORMAT)
        return ms_error_set(err, MS_EFORMAT,
                            "%s says format %d; this version of Mainstem knows formats up to %d",
                            path, format, STORE_FORMAT);
    if (found != 3)
        return ms_error_set(err, MS_ECORRUPT, "%s is damaged", path);
    if (ms_uuid_parse(ms_bytes_cstr(store), ret_store_uuid) != 0 ||
        ms_uuid_parse(ms_bytes_cstr(log), ret_log_uuid) != 0)
        return ms_error_set(err, MS_ECORRUPT, "%s names no store", path);
    return 0;
}

int ms_format_read(const struct ms_env *env, const char *dir, struct ms_uuid *ret_store_uuid,
                   struct ms_uuid *ret_log_uuid, struct ms_error *err) {
    char path[MS_PATH_MAX];
    struct ms_buf content;
    if (ms_path_join(path, dir, "FORMAT") != 0)
        return ms_error_set(err, MS_EINVAL, "the path of the data directory is too long");
    ms_buf_init(&content, FORMAT_FILE_MAX);
    int rc = ms_vfs_read_file(env->vfs, path, &content, err);
    if (rc == 0)
        rc = parse_format(path, ms_buf_bytes(&content), ret_store_uuid, ret_log_uuid, err);
    ms_buf_deinit(&content);
    return rc;
}

/* A directory without FORMAT but with a log in it has lost something: nothing is made up for it. */
static int check_new(struct ms_store *store, const char *shard, struct ms_error *err) {
    struct ms_dir_entry *entries;
    size_t count;
    int rc = ms_vfs_list(store->env->vfs, shard, &entries, &count, NULL);
    if (rc == MS_ENOTFOUND)
        return 0;
    if (rc != 0)
        return ms_error_set(err, rc, "can't list %s", shard);
    ms_dir_entries_free(entries, count);
    if (count > 0)
        return ms_error_set(err, MS_ECORRUPT,
                            "%s holds data, but the file FORMAT beside it is missing", shard);
    return 0;
}

static int load_identity(struct ms_store *store, const char *shard, struct ms_error *err) {
    int rc = ms_format_read(store->env, store->dir, &store->uuid, &store->log_uuid, err);
    if (rc == MS_ENOTFOUND && !store->options.read_only) {
        rc = check_new(store, shard, err);
        ms_env_uuid_v4(store->env, &store->uuid);
        store->log_uuid = store->uuid;
        if (rc == 0)
            rc = ms_format_write(store->env, store->dir, &store->uuid, &store->log_uuid, err);
    }
    memcpy(&store->stream_seed, store->log_uuid.bytes, sizeof store->stream_seed);
    return rc;
}

static int take_lock(struct ms_store *store, struct ms_error *err) {
    char path[MS_PATH_MAX];
    int rc = ms_path_join(path, store->dir, "LOCK");
    if (rc != 0)
        return ms_error_set(err, MS_EINVAL, "the path of the data directory is too long");
    rc = ms_vfs_lock(store->env->vfs, path, &store->lock_file, err);
    if (rc == MS_ELOCKED)
        return ms_error_set(err, rc, "%s is in use by another process", store->dir);
    return rc;
}

static int prepare_dirs(struct ms_store *store, char shard[MS_PATH_MAX], struct ms_error *err) {
    int rc = ms_path_join(shard, store->dir, "shard-000");
    if (rc != 0)
        return ms_error_set(err, MS_EINVAL, "the path of the data directory is too long");
    if (store->options.read_only)
        return load_identity(store, shard, err);
    rc = ms_vfs_mkdir_all(store->env->vfs, store->dir, err);
    if (rc == 0)
        rc = take_lock(store, err);
    if (rc == 0)
        rc = load_identity(store, shard, err);
    if (rc == 0)
        rc = ms_vfs_mkdir_all(store->env->vfs, shard, err);
    if (rc == 0)
        rc = ms_vfs_sync_dir(store->env->vfs, store->dir, err);
    return rc;
}

/* ---- log and index ---- */

static void log_failed(void *context, const struct ms_error *error) {
    struct ms_store *store = context;
    if (store->options.on_failure != NULL)
        store->options.on_failure(store->options.context, error);
}

static void log_progress(void *context, const char *what, uint64_t done, uint64_t total) {
    struct ms_store *store = context;
    if (store->options.on_progress != NULL)
        store->options.on_progress(store->options.context, what, done, total);
}

static void log_warning(void *context, const char *message) {
    struct ms_store *store = context;
    if (store->options.on_warning != NULL)
        store->options.on_warning(store->options.context, message);
}

static int open_log(struct ms_store *store, const char *shard, uint64_t known_end,
                    struct ms_error *err) {
    const struct ms_store_options *o = &store->options;
    struct ms_log_options options = {
        .env = store->env,
        .dir = shard,
        .store_uuid = store->log_uuid,
        .durability = o->durability,
        .buffered_writes = o->buffered_writes,
        .read_only = o->read_only,
        .manual = o->manual,
        .segment_bytes = o->segment_bytes,
        .append_bytes_max = o->limits.append_bytes_max + TOPIC_CREATION_BYTES,
        .tail_cache_bytes = o->tail_cache_bytes,
        .idle_mark_ms = o->idle_mark_ms,
        .known_end = known_end,
        .context = store,
        .on_publish = ms_publish,
        .on_visible = ms_published,
        .on_failure = log_failed,
        .on_progress = log_progress,
        .on_warning = log_warning,
    };
    return ms_log_open(&options, &store->log, err);
}

/* RocksDB can't be opened on a full disk. The log can, and readers are to go on: then the index is
 * folded anew in memory, for this run. */
static bool disk_is_full(struct ms_store *store) {
    uint64_t free_bytes, total;
    if (ms_vfs_free_space(store->env->vfs, store->dir, &free_bytes, &total, NULL) != 0 ||
        free_bytes >= INDEX_FREE_BYTES_MIN)
        return false;
    log_warning(store, "the disk is full: the index is kept in memory until the next start");
    return true;
}

/* *ret_options is how the index on disk is opened; `dir` is its path. *ret_known_end is what it has
 * seen, also where it isn't used for want of space. */
static int open_index(struct ms_store *store, const char *dir, struct ms_index_options *ret_options,
                      uint64_t *ret_known_end, struct ms_error *err) {
    const struct ms_store_options *o = &store->options;
    bool on_disk = !o->index_in_memory && !o->read_only;
    bool full = on_disk && disk_is_full(store);
    *ret_options = (struct ms_index_options){
        .env = store->env,
        .dir = on_disk ? dir : NULL,
        .store_uuid = store->uuid,
        .overlay_entries_max = o->index_overlay_entries_max,
        .block_cache_bytes = o->index_cache_bytes,
        .manual = o->manual,
    };
    struct ms_index_options options = *ret_options;
    if (full)
        options.dir = NULL;
    int rc = ms_index_open(&options, &store->index, ret_known_end, err);
    if (rc == 0 && full && ms_index_peek(ret_options, ret_known_end, NULL) != 0)
        *ret_known_end = 0;
    return rc;
}

/* The log was opened although the index knows more: its end was not durable and is gone. */
static int discard_index_ahead(struct ms_store *store, const struct ms_index_options *options,
                               uint64_t known_end, struct ms_error *err) {
    uint64_t applied;
    if (known_end <= ms_log_end(store->log))
        return 0;
    log_warning(store, "events that were acknowledged with durability os are lost; the index made "
                       "from them is moved aside");
    bool used = ms_index_applied(store->index) > ms_log_end(store->log);
    if (used) {
        ms_index_close(store->index, false);
        store->index = NULL;
    }
    int rc = ms_index_discard(options, err);
    return rc != 0 || !used ? rc : ms_index_open(options, &store->index, &applied, err);
}

static int open_log_and_index(struct ms_store *store, const char *shard, struct ms_error *err) {
    char dir[MS_PATH_MAX];
    struct ms_index_options options;
    uint64_t known_end = 0;
    if (ms_path_join(dir, shard, "index") != 0)
        return ms_error_set(err, MS_EINVAL, "the path of the data directory is too long");
    int rc = open_index(store, dir, &options, &known_end, err);
    if (rc == 0)
        rc = open_log(store, shard, known_end, err);
    return rc != 0 ? rc : discard_index_ahead(store, &options, known_end, err);
}

static int fold_log(struct ms_store *store, struct ms_error *err) {
    int rc = ms_topics_load(store, err);
    if (rc == 0)
        rc = ms_txn_load(store, err);
    if (rc == 0)
        rc = ms_replay(store, err);
    if (rc == 0 && !ms_window_load(store))
        rc = ms_window_rebuild(store, err);
    ms_topics_count_events(store);
    return rc;
}

/* ---- life ---- */

static struct ms_store *store_new(const struct ms_store_options *options) {
    struct ms_store *store = ms_calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    store->options = *options;
    store->env = options->env != NULL ? options->env : ms_env_system();
    store->options.env = store->env;
    store->dir = ms_alloc_strdup(ms_bytes_cstr(options->dir));
    store->options.dir = store->dir;
    pthread_mutex_init(&store->creation_lock, NULL);
    pthread_mutex_init(&store->adoption_lock, NULL);
    pthread_mutex_init(&store->scavenge_lock, NULL);
    pthread_mutex_init(&store->aborted_lock, NULL);
    pthread_mutex_init(&store->budget_lock, NULL);
    pthread_cond_init(&store->budget_freed, NULL);
    ms_waiters_init(&store->waiters);
    ms_op_pool_init(&store->op_pool);
    ms_heads_init(&store->heads, options->head_cache_entries);
    if (store->dir == NULL || ms_window_init(&store->window, options->idempotence_window) != 0) {
        ms_free(store->dir);
        ms_free(store);
        return NULL;
    }
    return store;
}

static void store_free(struct ms_store *store) {
    ms_worker_stop(store);
    ms_txns_deinit(store);
    if (store->topics_ready)
        ms_topics_deinit(store);
    ms_heads_deinit(&store->heads);
    ms_window_deinit(&store->window);
    ms_query_terms_deinit(&store->query_terms);
    ms_op_pool_deinit(&store->op_pool);
    ms_waiters_deinit(&store->waiters);
    ms_free(store->publish_appends);
    ms_file_close(store->lock_file);
    pthread_mutex_destroy(&store->creation_lock);
    pthread_mutex_destroy(&store->adoption_lock);
    pthread_mutex_destroy(&store->scavenge_lock);
    pthread_mutex_destroy(&store->aborted_lock);
    pthread_mutex_destroy(&store->budget_lock);
    pthread_cond_destroy(&store->budget_freed);
    ms_free(store->dir);
    ms_free(store);
}

static int check_options(const struct ms_store_options *options, struct ms_error *err) {
    if (options->dir == NULL || options->dir[0] == 0)
        return ms_error_set(err, MS_EINVAL, "no data directory is given");
    if (options->segment_bytes % 4096 != 0 || options->segment_bytes < SEGMENT_BYTES_MIN ||
        options->segment_bytes > SEGMENT_BYTES_MAX)
        return ms_error_set(err, MS_EINVAL,
                            "segments have 1 MiB to 1 GiB, a multiple of 4096 bytes, not %llu",
                            (unsigned long long)options->segment_bytes);
    if (options->head_cache_entries < 1024)
        return ms_error_set(err, MS_EINVAL,
                            "the cache of stream heads needs at least 1024 entries");
    if (options->topic_partitions == 0 || options->topic_partitions > MS_TOPIC_PARTITIONS_MAX)
        return ms_error_set(err, MS_EINVAL, "topics have 1 to %u partitions",
                            MS_TOPIC_PARTITIONS_MAX);
    return 0;
}

/* Small segments hold smaller appends. */
static void fit_append_limit(struct ms_store_options *options) {
    uint64_t room = options->segment_bytes / 4 * 3 - ((uint64_t)128 << 10);
    if (options->limits.append_bytes_max > room)
        options->limits.append_bytes_max = (size_t)room;
    if (options->limits.event_bytes_max > options->limits.append_bytes_max)
        options->limits.event_bytes_max = options->limits.append_bytes_max;
}

static int start(struct ms_store *store, struct ms_error *err) {
    char shard[MS_PATH_MAX];
    int rc = prepare_dirs(store, shard, err);
    if (rc == 0) {
        store->topics_ready = true;
        rc = ms_topics_init(store);
        if (rc != 0)
            rc = ms_error_set(err, rc, "no memory for the table of topics");
    }
    if (rc == 0)
        rc = open_log_and_index(store, shard, err);
    if (rc == 0)
        rc = fold_log(store, err);
    if (rc == 0 && (rc = ms_worker_start(store)) != 0)
        rc = ms_error_set(err, rc, "can't start the store's worker");
    if (rc == 0 && (rc = ms_scavenger_start(store)) != 0)
        rc = ms_error_set(err, rc, "can't start the scavenger");
    return rc;
}

int ms_store_open(const struct ms_store_options *options, struct ms_store **ret_store,
                  struct ms_error *err) {
    int rc = check_options(options, err);
    if (rc != 0)
        return rc;
    struct ms_store *store = store_new(options);
    if (store == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for the store");
    fit_append_limit(&store->options);
    rc = start(store, err);
    if (rc != 0) {
        ms_ignore(ms_log_close(store->log, NULL)); /* the first error is the one to tell */
        if (store->index != NULL)
            ms_index_close(store->index, false);
        store_free(store);
        return rc;
    }
    *ret_store = store;
    return 0;
}

int ms_store_close(struct ms_store *store, struct ms_error *err) {
    if (store == NULL)
        return 0;
    pthread_mutex_lock(&store->budget_lock);
    atomic_store(&store->closing, true);
    pthread_cond_broadcast(&store->budget_freed);
    pthread_mutex_unlock(&store->budget_lock);
    ms_scavenger_stop(store);
    ms_log_drain(store->log);
    if (store->options.manual) /* the worker reads the log: it ends first */
        ms_worker_run(store);
    ms_worker_stop(store);
    uint64_t end = ms_log_end(store->log);
    int rc = ms_log_close(store->log, err);
    store->log = NULL;
    bool clean = rc == 0 && !store->options.read_only;
    if (clean)
        ms_window_save(store, end);
    ms_index_close(store->index, clean);
    store_free(store);
    return rc;
}

void ms_store_run(struct ms_store *store) {
    ms_log_run(store->log);
    ms_worker_run(store);
    ms_log_run(store->log);
}

/* ---- state ---- */

void ms_store_info(struct ms_store *store, struct ms_store_info *ret_info) {
    struct ms_log_info log;
    ms_log_info(store->log, &log);
    uint64_t applied = ms_index_applied(store->index);
    *ret_info = (struct ms_store_info){
        .uuid = store->uuid,
        .dir = store->dir,
        .end = log.end,
        .epoch = log.epoch,
        .segments = log.segments,
        .log_bytes = log.log_bytes,
        .recovered_bytes = log.recovered_bytes,
        .recovery_ms = log.recovery_ms,
        .recovered_torn_tail = log.recovered_torn_tail,
        .refusing_appends = log.refusing_appends,
        .failed = log.failed,
        .index_lag = log.end > applied ? log.end - applied : 0,
        .inflight_bytes = atomic_load(&store->inflight),
        .subscriptions = atomic_load(&store->subscriptions),
        .durability = store->options.durability,
        .direct = log.direct,
    };
}

static int write_counters(struct ms_store *store, struct ms_buf *out) {
    const struct ms_store_metrics *m = &store->metrics;
    const struct {
        const char *name, *help;
        const struct ms_counter *counter;
    } counters[] = {
        {"mainstem_store_appends_total", "Appends acknowledged.", &m->appends},
        {"mainstem_store_events_total", "Events acknowledged.", &m->events},
        {"mainstem_store_repeats_total", "Resent appends answered with the first result.",
         &m->repeats},
        {"mainstem_store_conflicts_total", "Appends refused for their condition.", &m->conflicts},
        {"mainstem_store_refusals_total", "Appends refused for another reason.", &m->refusals},
        {"mainstem_store_retries_total", "Judgements repeated after resolving a cold stream.",
         &m->retries},
        {"mainstem_store_reads_total", "Reads of streams and of everything.", &m->reads},
        {"mainstem_store_read_events_total", "Events delivered to readers.", &m->read_events},
        {"mainstem_index_flush_failures_total",
         "Flushes of the index that failed and are tried again.", &m->index_flush_failures},
        {"mainstem_adopted_records_total",
         "Records read to make events of streams of them, for topics that got streams late.",
         &m->adopted_records},
        {"mainstem_scavenges_total", "Scavenges run.", &m->scavenges},
        {"mainstem_scavenged_segments_total", "Segments rewritten.", &m->scavenged_segments},
        {"mainstem_scavenged_events_total", "Events removed.", &m->scavenged_events},
        {"mainstem_scavenge_read_bytes_total", "Bytes of segments looked at.",
         &m->scavenge_read_bytes},
        {"mainstem_scavenge_written_bytes_total", "Bytes of segments written anew.",
         &m->scavenge_written_bytes},
        {"mainstem_scavenge_won_bytes_total", "Bytes that segments became smaller by.",
         &m->scavenge_won_bytes},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof counters / sizeof counters[0]; i++)
        rc = ms_metrics_counter(out, counters[i].name, counters[i].help, NULL,
                                ms_counter_get(counters[i].counter));
    if (rc == 0)
        rc = ms_metrics_histogram(out, "mainstem_store_append_seconds",
                                  "From an append's submission to its answer.", NULL, &m->append_us,
                                  1e-6);
    return rc;
}

struct gauge {
    const char *name, *help;
    double value;
};

static int write_gauge_table(struct ms_buf *out, const struct gauge *gauges, size_t count) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = ms_metrics_gauge(out, gauges[i].name, gauges[i].help, NULL, gauges[i].value);
    return rc;
}

static int write_memory(struct ms_store *store, struct ms_buf *out) {
    struct ms_log_info log;
    ms_log_info(store->log, &log);
    ms_log_lock(store->log);
    size_t head_count = store->heads.count, head_capacity = store->heads.capacity;
    size_t window_count = store->window.count, window_capacity = store->window.capacity;
    ms_log_unlock(store->log);
    size_t window_bytes =
        window_capacity * sizeof(struct ms_window_slot) + window_count * sizeof *store->window.ring;
    const struct gauge gauges[] = {
        {"mainstem_log_tail_cache_bytes", "Newest blocks kept in memory for readers.",
         (double)log.tail_bytes},
        {"mainstem_store_head_cache_entries", "Stream heads in memory.", (double)head_count},
        {"mainstem_store_head_cache_bytes", "Memory of the cache of stream heads.",
         (double)(head_capacity * sizeof(struct ms_head))},
        {"mainstem_store_idempotence_window_events", "Events whose ids are remembered for resends.",
         (double)window_count},
        {"mainstem_store_idempotence_window_bytes", "Memory of the window of event ids.",
         (double)window_bytes},
    };
    return write_gauge_table(out, gauges, sizeof gauges / sizeof gauges[0]);
}

/* Write amplification of the scavenger. */
static int write_amplification(struct ms_store *store, struct ms_buf *out) {
    const struct ms_store_metrics *m = &store->metrics;
    struct ms_log_info log;
    ms_log_info(store->log, &log);
    uint64_t written = ms_counter_get(&m->scavenge_written_bytes);
    uint64_t won = ms_counter_get(&m->scavenge_won_bytes);
    const struct gauge gauges[] = {
        {"mainstem_scavenge_written_per_won_byte",
         "Bytes that scavenging wrote anew for each byte that it won, since the start.",
         ms_scavenge_amplification(written, won, 0)},
        {"mainstem_scavenge_written_per_appended_byte",
         "Bytes that scavenging wrote anew for each byte of blocks appended, since the start.",
         ms_scavenge_amplification(written, log.written_bytes, 0)},
    };
    return write_gauge_table(out, gauges, sizeof gauges / sizeof gauges[0]);
}

static int write_gauges(struct ms_store *store, struct ms_buf *out) {
    struct ms_subscription_lag lag;
    struct ms_store_info info;
    struct ms_index_stats index;
    uint64_t disk_free = 0, disk_total = 0;
    ms_ignore(ms_vfs_free_space(store->env->vfs, store->dir, &disk_free, &disk_total, NULL));
    ms_store_info(store, &info);
    ms_index_stats(store->index, &index);
    ms_subscriptions_lag(store, &lag);
    const struct gauge gauges[] = {
        {"mainstem_log_end_position", "Position that the next event gets.", (double)info.end},
        {"mainstem_log_segments", "Segment files.", info.segments},
        {"mainstem_log_bytes", "Bytes of blocks in segments.", (double)info.log_bytes},
        {"mainstem_log_disk_free_bytes", "Free space of the log's file system.", (double)disk_free},
        {"mainstem_log_disk_bytes", "Size of the log's file system.", (double)disk_total},
        {"mainstem_log_failed", "1 when the log has stopped for good.", info.failed},
        {"mainstem_log_refusing_appends", "1 while there is no space.", info.refusing_appends},
        {"mainstem_log_recovered_bytes", "Bytes scanned at start.", (double)info.recovered_bytes},
        {"mainstem_log_recovery_seconds", "Time of recovery at start.",
         (double)info.recovery_ms / 1e3},
        {"mainstem_store_inflight_bytes", "Appends accepted and not yet answered.",
         (double)info.inflight_bytes},
        {"mainstem_store_subscriptions", "Open subscriptions.", (double)info.subscriptions},
        {"mainstem_store_subscription_lag_events",
         "Events behind the end, over all open subscriptions.", (double)lag.sum},
        {"mainstem_store_subscription_lag_events_max",
         "Events behind the end of the subscription that is furthest behind.", (double)lag.max},
        {"mainstem_index_lag_events", "Events not yet in RocksDB.", (double)info.index_lag},
        {"mainstem_index_overlay_bytes", "Memory of the index's overlay.",
         (double)index.overlay_bytes},
        {"mainstem_index_level0_files", "SST files in level 0.", (double)index.level0_files},
        {"mainstem_index_memory_bytes", "RocksDB's caches and readers.",
         (double)index.memory_bytes},
        {"mainstem_index_stalls", "Times the log waited for the index.", (double)index.stalls},
    };
    return write_gauge_table(out, gauges, sizeof gauges / sizeof gauges[0]);
}

int ms_store_metrics(struct ms_store *store, struct ms_buf *out) {
    int rc = write_counters(store, out);
    if (rc == 0)
        rc = write_gauges(store, out);
    if (rc == 0)
        rc = write_memory(store, out);
    if (rc == 0)
        rc = write_amplification(store, out);
    return rc == 0 ? ms_log_metrics(store->log, out) : rc;
}
