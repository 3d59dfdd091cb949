/*
 * Opening and closing an embedded store, and what becomes of one that has stopped.
 *
 * A store stops when its log can't be trusted any more (a failed write or sync). The host is told
 * once, through on_failure; from then on every call answers MAINSTEM_ECLOSED with the cause, and
 * subscriptions end. Nothing here ends the process. Any thread.
 */
#include "base/alloc.h"
#include "lib/lib.h"

#define METRICS_BYTES_MAX ((size_t)4 << 20)
#define PARTITIONS_MAX 1024u

const char *mainstem_strerror(int code) { return code == 0 ? "success" : ms_error_text(code); }

const char *mainstem_version(void) { return MS_VERSION; }

void mainstem_free(void *memory) { ms_free(memory); }

/* ---- the store that has stopped ---- */

static void store_failed(void *context, const struct ms_error *error) {
    struct mainstem_store *store = context;
    struct mainstem_error told;
    pthread_mutex_lock(&store->lock);
    bool first = !atomic_load(&store->stopped);
    if (first)
        memcpy(store->failure, error->message, sizeof store->failure);
    atomic_store(&store->stopped, true);
    pthread_mutex_unlock(&store->lock);
    if (!first)
        return;
    (void)ms_lib_fail_with(&told, error->code, error);
    if (store->on_failure != NULL)
        store->on_failure(store->context, &told);
    ms_lib_wake_subscriptions(store);
}

static void store_progress(void *context, const char *what, uint64_t done, uint64_t total) {
    struct mainstem_store *store = context;
    if (store->on_progress != NULL)
        store->on_progress(store->context, what, done, total);
}

int ms_lib_enter(struct mainstem_store *store, struct mainstem_error *err) {
    if (store == NULL)
        return ms_lib_fail(err, MS_EINVAL, "no store");
    if (MS_LIKELY(!atomic_load_explicit(&store->stopped, memory_order_acquire)))
        return 0;
    pthread_mutex_lock(&store->lock);
    (void)ms_lib_fail(err, MS_ECLOSED, "the store has stopped: %.400s", store->failure);
    pthread_mutex_unlock(&store->lock);
    return MS_ECLOSED;
}

int ms_lib_enter_blocking(struct mainstem_store *store, struct mainstem_error *err) {
    if (ms_lib_in_callback())
        return ms_lib_fail(err, MS_EINVAL,
                           "an append's callback can't wait: the answer would come from the thread "
                           "that it runs on");
    return ms_lib_enter(store, err);
}

/* ---- opening ---- */

/* The same bounds as the server's settings limits.… have, but that the ids which are made for
 * decisions must be names. */
static int check_limits(const struct mainstem_options *options, struct mainstem_error *err) {
    const struct {
        const char *name;
        uint64_t value, min, max;
    } limits[] = {
        {"event_bytes_max", options->event_bytes_max, 1024, MS_LIB_EVENT_BYTES_MAX},
        {"append_bytes_max", options->append_bytes_max, 1024, (uint64_t)512 << 20},
        {"append_events_max", options->append_events_max, 1, MS_LIB_APPEND_EVENTS_MAX},
        {"name_bytes_max", options->name_bytes_max, MS_UUID_TEXT_LEN, 4096},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        if (limits[i].value != 0 &&
            (limits[i].value < limits[i].min || limits[i].value > limits[i].max))
            return ms_lib_fail(err, MS_EINVAL, "options: %s is %llu, it may be %llu to %llu",
                               limits[i].name, (unsigned long long)limits[i].value,
                               (unsigned long long)limits[i].min,
                               (unsigned long long)limits[i].max);
    return 0;
}

static int check_options(const struct mainstem_options *options, struct mainstem_error *err) {
    if (options->durability > MAINSTEM_DURABILITY_OS)
        return ms_lib_fail(err, MS_EINVAL, "options: durability %u is none", options->durability);
    if (options->topic_partitions > PARTITIONS_MAX)
        return ms_lib_fail(err, MS_EINVAL, "options: %u partitions, the limit is %u",
                           options->topic_partitions, PARTITIONS_MAX);
    return check_limits(options, err);
}

#define TAKE(to, from)                                                                             \
    do {                                                                                           \
        if ((from) != 0)                                                                           \
            (to) = (__typeof__(to))(from);                                                         \
    } while (0)

static struct ms_store_options store_options(const struct mainstem_options *from,
                                             const char *directory, struct mainstem_store *store) {
    struct ms_store_options options;
    ms_store_options_init(&options);
    options.env = store->env;
    options.dir = directory;
    options.durability =
        from->durability == MAINSTEM_DURABILITY_OS ? MS_DURABILITY_OS : MS_DURABILITY_COMMIT;
    options.read_only = from->read_only != 0;
    options.buffered_writes = from->buffered_writes != 0;
    TAKE(options.segment_bytes, from->segment_bytes);
    TAKE(options.tail_cache_bytes, from->tail_cache_bytes);
    TAKE(options.index_cache_bytes, from->index_cache_bytes);
    TAKE(options.head_cache_entries, from->head_cache_entries);
    TAKE(options.inflight_bytes_max, from->inflight_bytes_max);
    TAKE(options.idempotence_window, from->idempotence_window);
    TAKE(options.topics_max, from->topics_max);
    TAKE(options.topic_partitions, from->topic_partitions);
    TAKE(options.limits.event_bytes_max, from->event_bytes_max);
    TAKE(options.limits.append_bytes_max, from->append_bytes_max);
    TAKE(options.limits.append_events_max, from->append_events_max);
    TAKE(options.limits.name_bytes_max, from->name_bytes_max);
    options.index_in_memory = store->env != ms_env_system(); /* RocksDB knows only the real one */
    options.on_failure = store_failed;
    options.on_progress = store_progress;
    options.context = store;
    return options;
}

int ms_lib_open(const char *directory, const struct mainstem_options *options,
                const struct ms_env *env, struct mainstem_store **ret_store,
                struct mainstem_error *err) {
    struct mainstem_options given;
    if (directory == NULL || ret_store == NULL)
        return ms_lib_fail(err, MS_EINVAL, "no directory, or no place for the store");
    int rc = ms_lib_take_options("options", options, &given, sizeof given, err);
    if (rc == 0)
        rc = check_options(&given, err);
    if (rc != 0)
        return rc;
    struct mainstem_store *store = ms_calloc(1, sizeof *store);
    if (store == NULL)
        return ms_lib_fail(err, MS_ENOMEM, "no memory for the store");
    store->env = env;
    store->on_failure = given.on_failure;
    store->on_progress = given.on_progress;
    store->context = given.context;
    pthread_mutex_init(&store->lock, NULL);
    struct ms_error error = {0};
    struct ms_store_options lower = store_options(&given, directory, store);
    store->limits = lower.limits;
    rc = ms_store_open(&lower, &store->store, &error);
    if (rc != 0) {
        pthread_mutex_destroy(&store->lock);
        ms_free(store);
        return ms_lib_fail_with(err, rc, &error);
    }
    *ret_store = store;
    return 0;
}

int mainstem_open(const char *directory, const struct mainstem_options *options,
                  struct mainstem_store **ret_store, struct mainstem_error *err) {
    return ms_lib_open(directory, options, ms_env_system(), ret_store, err);
}

int mainstem_close(struct mainstem_store *store, struct mainstem_error *err) {
    if (store == NULL)
        return 0;
    if (ms_lib_in_callback())
        return ms_lib_fail(err, MS_EINVAL, "a store can't be closed by an append's callback");
    MS_ASSERT(store->subscriptions == NULL);
    struct ms_error error = {0};
    int rc = ms_store_close(store->store, &error);
    if (atomic_load(&store->stopped))
        rc = ms_lib_enter(store, err);
    else if (rc != 0)
        rc = ms_lib_fail_with(err, rc, &error);
    pthread_mutex_destroy(&store->lock);
    ms_free(store);
    return rc;
}

/* ---- state ---- */

int mainstem_info(struct mainstem_store *store, struct mainstem_info *info,
                  struct mainstem_error *err) {
    if (store == NULL)
        return ms_lib_fail(err, MS_EINVAL, "no store");
    struct ms_store_info lower;
    ms_store_info(store->store, &lower);
    struct mainstem_info filled = {
        .failed = lower.failed || atomic_load(&store->stopped),
        .refusing_appends = lower.refusing_appends,
        .direct = lower.direct,
        .end = lower.end,
        .log_bytes = lower.log_bytes,
        .segments = lower.segments,
        .recovered_torn_tail = lower.recovered_torn_tail,
        .recovered_bytes = lower.recovered_bytes,
        .recovery_ms = lower.recovery_ms,
        .index_lag = lower.index_lag,
        .inflight_bytes = lower.inflight_bytes,
        .subscriptions = lower.subscriptions,
    };
    _Static_assert(sizeof filled.uuid > MS_UUID_TEXT_LEN, "the text fits");
    ms_uuid_format(&lower.uuid, filled.uuid);
    return ms_lib_give_struct("info", &filled, sizeof filled, info, err);
}

int mainstem_metrics(struct mainstem_store *store, char **ret_text, struct mainstem_error *err) {
    if (store == NULL || ret_text == NULL)
        return ms_lib_fail(err, MS_EINVAL, "no store, or no place for the answer");
    struct ms_buf text;
    ms_buf_init(&text, METRICS_BYTES_MAX);
    int rc = ms_store_metrics(store->store, &text);
    if (rc == 0)
        rc = ms_buf_append_u8(&text, 0);
    if (rc != 0) {
        ms_buf_deinit(&text);
        return ms_lib_fail(err, rc, "no memory for the metrics");
    }
    *ret_text = (char *)text.data; /* a heap block of its own, given away */
    return 0;
}
