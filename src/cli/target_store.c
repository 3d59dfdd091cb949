/* A data directory as a target: life, documents, topics. See target.h. */
#include "cli/target_store.h"

#include "base/alloc.h"
#include "face/http/partitions.h"
#include "wire/json.h"

#define PROGRESS_INTERVAL_US 200000

static struct ms_store_target *store_of(struct ms_target *target) {
    return (struct ms_store_target *)target;
}

/* ---- waiting ---- */

void ms_store_waiter_init(struct ms_store_waiter *waiter) {
    *waiter = (struct ms_store_waiter){0};
    pthread_mutex_init(&waiter->mutex, NULL);
    pthread_cond_init(&waiter->changed, NULL);
}

void ms_store_waiter_deinit(struct ms_store_waiter *waiter) {
    pthread_cond_destroy(&waiter->changed);
    pthread_mutex_destroy(&waiter->mutex);
}

void ms_store_waiter_done(void *context, const struct ms_append_result *result) {
    struct ms_store_waiter *waiter = context;
    pthread_mutex_lock(&waiter->mutex);
    waiter->done = true;
    waiter->code = result->code;
    if (result->error)
        waiter->error = *result->error;
    pthread_cond_signal(&waiter->changed);
    pthread_mutex_unlock(&waiter->mutex);
}

int ms_store_waiter_wait(struct ms_store_waiter *waiter, struct ms_error *err) {
    pthread_mutex_lock(&waiter->mutex);
    while (!waiter->done)
        pthread_cond_wait(&waiter->changed, &waiter->mutex);
    pthread_mutex_unlock(&waiter->mutex);
    if (waiter->code != 0 && err)
        *err = waiter->error;
    return waiter->code;
}

/* ---- documents ---- */

static int store_delete_stream(struct ms_target *target, struct ms_bytes stream,
                               struct ms_condition condition, bool tombstone,
                               struct ms_error *err) {
    struct ms_store_waiter waiter;
    ms_store_waiter_init(&waiter);
    int rc = ms_store_delete_stream(store_of(target)->store, stream, condition, tombstone,
                                    ms_store_waiter_done, &waiter, err);
    if (rc == 0)
        rc = ms_store_waiter_wait(&waiter, err);
    ms_store_waiter_deinit(&waiter);
    return rc;
}

static int store_get_metadata(struct ms_target *target, struct ms_bytes stream, struct ms_buf *out,
                              struct ms_error *err) {
    int64_t version;
    return ms_store_get_metadata(store_of(target)->store, stream, out, &version, err);
}

static int store_put_metadata(struct ms_target *target, struct ms_bytes stream,
                              struct ms_condition condition, struct ms_bytes json,
                              struct ms_error *err) {
    struct ms_store_waiter waiter;
    ms_store_waiter_init(&waiter);
    int rc = ms_store_put_metadata(store_of(target)->store, stream, condition, json,
                                   ms_store_waiter_done, &waiter, err);
    if (rc == 0)
        rc = ms_store_waiter_wait(&waiter, err);
    ms_store_waiter_deinit(&waiter);
    return rc;
}

/* ---- topics ---- */

static int append_topic(void *context, const struct ms_topic_info *topic) {
    return ms_topic_write_json(context, topic);
}

static int store_get_topic(struct ms_target *target, struct ms_bytes name, struct ms_buf *out,
                           struct ms_error *err) {
    return ms_store_get_topic(store_of(target)->store, name, append_topic, out, err);
}

struct topic_visit {
    ms_target_event_fn *visit;
    void *context;
};

static int visit_topic(void *context, const struct ms_topic_info *topic) {
    const struct topic_visit *visit = context;
    struct ms_buf json;
    ms_buf_init(&json, (size_t)1 << 20);
    int rc = ms_topic_write_json(&json, topic);
    if (rc == 0)
        rc = visit->visit(visit->context, ms_buf_bytes(&json));
    ms_buf_deinit(&json);
    return rc;
}

static int store_list_topics(struct ms_target *target, ms_target_event_fn *visit, void *context,
                             struct ms_error *err) {
    struct topic_visit topics = {.visit = visit, .context = context};
    int rc = ms_store_list_topics(store_of(target)->store, false, visit_topic, &topics, err);
    return rc < 0 ? rc : 0;
}

static int keep_settings(void *context, const struct ms_topic_info *topic) {
    struct ms_topic_settings *settings = context;
    *settings = topic->settings;
    return 0;
}

/* Settings that are not named stay as they are, or are the defaults of a new topic. */
static int store_get_partitions(struct ms_target *target, struct ms_bytes name, struct ms_buf *out,
                                struct ms_error *err) {
    return ms_http_partitions_write(out, store_of(target)->store, name, err);
}

static int store_put_topic(struct ms_target *target, struct ms_bytes name, struct ms_bytes json,
                           bool *ret_created, struct ms_error *err) {
    struct ms_store *store = store_of(target)->store;
    struct ms_topic_settings settings = ms_topic_settings_default(store);
    int rc = ms_store_get_topic(store, name, keep_settings, &settings, err);
    if (rc != 0 && rc != MS_ENOTFOUND)
        return rc;
    struct ms_topic_settings before = settings;
    bool force;
    rc = ms_topic_read_settings(json, &settings, &force, err);
    if (rc == 0)
        rc = ms_topic_settings_check_compaction(&before, &settings, force, err);
    return rc == 0 ? ms_store_put_topic(store, name, &settings, ret_created, err) : rc;
}

static int store_delete_topic(struct ms_target *target, struct ms_bytes name,
                              struct ms_error *err) {
    return ms_store_delete_topic(store_of(target)->store, name, err);
}

/* ---- state ---- */

/* The same document as GET /v1/info, as far as a store without a server has it. */
static int store_info(struct ms_target *target, struct ms_buf *out, struct ms_error *err) {
    struct ms_store_info info;
    ms_store_info(store_of(target)->store, &info);
    char uuid[MS_UUID_TEXT_LEN + 1];
    ms_uuid_format(&info.uuid, uuid);
    int rc = ms_buf_printf(
        out,
        "{\"name\":\"mainstem\",\"version\":\"%s\",\"store\":{\"uuid\":\"%s\",\"end\":%llu,"
        "\"epoch\":%llu,\"segments\":%u,\"log_bytes\":%llu,\"durability\":\"%s\",\"direct\":%s,",
        MS_VERSION, uuid, (unsigned long long)info.end, (unsigned long long)info.epoch,
        info.segments, (unsigned long long)info.log_bytes,
        info.durability == MS_DURABILITY_OS ? "os" : "commit", info.direct ? "true" : "false");
    if (rc == 0)
        rc = ms_buf_printf(out,
                           "\"recovery\":{\"bytes\":%llu,\"ms\":%lld,\"torn_tail\":%s},"
                           "\"refusing_appends\":%s,\"failed\":%s,\"index_lag\":%llu}}",
                           (unsigned long long)info.recovered_bytes, (long long)info.recovery_ms,
                           info.recovered_torn_tail ? "true" : "false",
                           info.refusing_appends ? "true" : "false", info.failed ? "true" : "false",
                           (unsigned long long)info.index_lag);
    return rc == 0 ? 0 : ms_error_set(err, rc, "no memory for the store's state");
}

/* ---- life ---- */

static void on_progress(void *context, const char *what, uint64_t done, uint64_t total) {
    struct ms_store_target *store = context;
    int64_t now_us = ms_clock_monotonic_us(store->env->clock);
    bool finished = done >= total;
    if (!store->progress || (!finished && now_us - store->progress_at_us < PROGRESS_INTERVAL_US))
        return;
    store->progress_at_us = now_us;
    if (finished && !store->progress_shown)
        return; /* it was too short to be worth a line */
    store->progress_shown = !finished;
    fprintf(store->progress, "\r\033[K");
    if (!finished)
        fprintf(store->progress, "%s %llu of %llu", what, (unsigned long long)done,
                (unsigned long long)total);
    fflush(store->progress);
}

static void store_free(struct ms_target *target) {
    struct ms_store_target *store = store_of(target);
    struct ms_error error;
    if (store->store && ms_store_close(store->store, &error) != 0)
        fprintf(stderr, "mainstem: closing the store: %s\n", error.message);
    ms_store_slots_free(store);
    pthread_cond_destroy(&store->changed);
    pthread_mutex_destroy(&store->mutex);
    ms_free(store);
}

static const struct ms_target_ops store_ops = {
    .free = store_free,
    .append_start = ms_target_store_append_start,
    .poll = ms_target_store_poll,
    .read = ms_target_store_read,
    .subscribe = ms_target_store_subscribe,
    .delete_stream = store_delete_stream,
    .get_metadata = store_get_metadata,
    .put_metadata = store_put_metadata,
    .list_topics = store_list_topics,
    .get_topic = store_get_topic,
    .put_topic = store_put_topic,
    .delete_topic = store_delete_topic,
    .get_partitions = store_get_partitions,
    .info = store_info,
    .backup = ms_target_store_backup,
    .scavenge = ms_target_store_scavenge,
};

static bool is_store_file(const char *name) {
    return strcmp(name, "FORMAT") == 0 || strcmp(name, "shard-000") == 0;
}

/* Reading must not make a store where a name was misspelt. */
static int check_exists(const struct ms_env *env, const char *dir, bool *ret_is_backup,
                        struct ms_error *err) {
    struct ms_dir_entry *entries;
    size_t count;
    int rc = ms_vfs_list(env->vfs, dir, &entries, &count, err);
    if (rc == MS_ENOTFOUND)
        return ms_error_set(err, rc, "there is no data directory %s", dir);
    if (rc != 0)
        return rc;
    bool found = false, is_backup = false;
    for (size_t i = 0; i < count; i++) {
        found |= is_store_file(entries[i].name);
        is_backup |= strcmp(entries[i].name, "MANIFEST.json") == 0;
    }
    ms_dir_entries_free(entries, count);
    if (count == 0)
        return ms_error_set(err, MS_ENOTFOUND, "the directory %s is empty", dir);
    if (!found)
        return ms_error_set(err, MS_ENOTFOUND,
                            "%s is no data directory: it has neither FORMAT nor shard-000", dir);
    *ret_is_backup = is_backup;
    return 0;
}

static int open_store(struct ms_store_target *store, const char *dir, bool read_only,
                      struct ms_error *err) {
    struct ms_store_options options;
    ms_store_options_init(&options);
    options.env = store->env;
    options.dir = dir;
    options.read_only = read_only;
    options.on_progress = on_progress;
    options.context = store;
    store->limits = options.limits;
    int rc = ms_store_open(&options, &store->store, err);
    if (rc == MS_ELOCKED)
        ms_error_set(err, rc, "%s is in use by another process; if that is a server, say --server",
                     dir);
    return rc;
}

int ms_target_store_new(const struct ms_env *env, const char *dir, enum ms_target_use use,
                        FILE *progress, struct ms_target **ret_target, struct ms_error *err) {
    bool is_backup = false; /* which nothing may change, or it is none any more */
    int rc = use != MS_TARGET_WRITES ? check_exists(env, dir, &is_backup, err) : 0;
    if (rc != 0)
        return rc;
    struct ms_store_target *store = ms_calloc(1, sizeof *store);
    if (!store)
        return ms_error_set(err, MS_ENOMEM, "no memory to open %s", dir);
    store->target.ops = &store_ops;
    store->target.keeps_order = true;
    store->env = env;
    store->progress = progress;
    store->finished_end = &store->finished;
    pthread_mutex_init(&store->mutex, NULL);
    pthread_cond_init(&store->changed, NULL);
    rc = ms_store_slots_new(store);
    if (rc != 0)
        ms_error_set(err, rc, "no memory to open %s", dir);
    else
        rc = open_store(store, dir, is_backup && use == MS_TARGET_READS, err);
    if (rc != 0)
        store_free(&store->target);
    else
        *ret_target = &store->target;
    return rc;
}
