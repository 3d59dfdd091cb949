/* The coordinator of a server; see service.h. */
#include "group/service.h"

#include <pthread.h>
#include <time.h>

#include "base/alloc.h"
#include "group/metrics.h"
#include "store/partitions.h"
#include "store/records.h"

#define WAIT_MS_MAX 60000 /* the wall clock may be set back meanwhile */

struct ms_group_service {
    struct ms_store *store;
    struct ms_groups *groups;
    struct ms_group_metrics *metrics;
    struct ms_group_txns txns; /* append NULL: there are none */
    pthread_mutex_t lock;      /* of the fields below; a leaf */
    pthread_cond_t changed;
    pthread_t thread;
    bool started, stop, due;
    size_t in_flight; /* appends without an outcome */
};

/* ---- what lasts ---- */

struct write {
    struct ms_group_service *service;
    void (*done)(void *context, int code);
    void *context;
};

static void write_over(struct write *write, int code) {
    struct ms_group_service *service = write->service;
    write->done(write->context, code);
    ms_free(write);
    pthread_mutex_lock(&service->lock);
    service->in_flight--;
    pthread_cond_broadcast(&service->changed);
    pthread_mutex_unlock(&service->lock);
}

static void on_appended(void *context, const struct ms_append_result *result) {
    write_over(context, result->code);
}

static struct write *write_new(struct ms_group_service *service) {
    struct write *write = ms_calloc(1, sizeof *write);
    if (write != NULL) {
        write->service = service;
        pthread_mutex_lock(&service->lock);
        service->in_flight++;
        pthread_mutex_unlock(&service->lock);
    }
    return write;
}

static void on_pending(void *context, int code) { write_over(context, code); }

/* Borrowed: what the keyed records point to. */
static int append_keyed(struct write *write, const struct ms_group_record *records, size_t count) {
    struct ms_keyed_record *keyed = ms_calloc(count, sizeof *keyed);
    if (keyed == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; i < count; i++)
        keyed[i] = (struct ms_keyed_record){records[i].key, records[i].value, records[i].tombstone};
    int code = ms_store_append_records(write->service->store, MS_RECORDS_CONSUMER_OFFSETS, keyed,
                                       count, on_appended, write, NULL);
    ms_free(keyed);
    return code;
}

static void append(void *context, int64_t producer_id, int16_t producer_epoch,
                   const struct ms_group_record *records, size_t count,
                   void (*done)(void *done_context, int code), void *done_context) {
    struct ms_group_service *service = context;
    const struct ms_group_txns *txns = &service->txns;
    struct write *write = write_new(service);
    if (write == NULL) {
        done(done_context, MS_ENOMEM);
        return;
    }
    write->done = done;
    write->context = done_context;
    int code = 0;
    if (producer_id < 0)
        code = append_keyed(write, records, count);
    else if (txns->append == NULL)
        code = MS_EUNSUPPORTED;
    else
        txns->append(txns->context, producer_id, producer_epoch, records, count, on_pending, write);
    if (code != 0)
        write_over(write, code);
}

static int load_record(void *context, const struct ms_keyed_record *record, uint64_t position) {
    struct ms_group_service *service = context;
    struct ms_group_record loaded = {record->key, record->value, record->tombstone};
    int code = ms_groups_load(service->groups, &loaded, position, -1);
    return code == MS_EINVAL ? 0 : code; /* a record that is none of ours */
}

/* ---- topics ---- */

static uint64_t topics_version(void *context) {
    const struct ms_group_service *service = context;
    return ms_store_topics_version(service->store);
}

static bool describe_topic(struct ms_store *store, struct ms_topic *topic,
                           struct ms_group_topic *ret_topic) {
    struct ms_topic_info info;
    if (topic == NULL || ms_topic_is_deleted(topic))
        return false;
    ms_topic_info_of(store, topic, &info);
    *ret_topic = (struct ms_group_topic){info.id, info.name, info.settings.partitions};
    return true;
}

static bool find_topic(void *context, struct ms_bytes name, struct ms_group_topic *ret_topic) {
    struct ms_store *store = ((struct ms_group_service *)context)->store;
    return describe_topic(store, ms_store_topic(store, name, false), ret_topic);
}

static bool find_topic_id(void *context, const struct ms_uuid *id,
                          struct ms_group_topic *ret_topic) {
    struct ms_store *store = ((struct ms_group_service *)context)->store;
    return describe_topic(store, ms_store_topic_by_id(store, id), ret_topic);
}

struct listing {
    int (*visit)(void *visitor, const struct ms_group_topic *topic);
    void *visitor;
};

static int list_one(void *context, const struct ms_topic_info *info) {
    struct listing *listing = context;
    struct ms_group_topic topic = {info->id, info->name, info->settings.partitions};
    return listing->visit(listing->visitor, &topic);
}

static int list_topics(void *context,
                       int (*visit)(void *visitor, const struct ms_group_topic *topic),
                       void *visitor) {
    struct listing listing = {visit, visitor};
    struct ms_group_service *service = context;
    return ms_store_list_topics(service->store, false, list_one, &listing, NULL);
}

/* ---- what is due ---- */

static void wake(void *context) {
    struct ms_group_service *service = context;
    pthread_mutex_lock(&service->lock);
    service->due = true;
    pthread_cond_broadcast(&service->changed);
    pthread_mutex_unlock(&service->lock);
}

static void sleep_until_due(struct ms_group_service *service, int64_t wait_ms) {
    struct timespec until;
    if (wait_ms > WAIT_MS_MAX)
        wait_ms = WAIT_MS_MAX;
    timespec_get(&until, TIME_UTC);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (!service->due && !service->stop)
        if (pthread_cond_timedwait(&service->changed, &service->lock, &until) != 0)
            break;
}

static void *main_of(void *context) {
    struct ms_group_service *service = context;
    pthread_mutex_lock(&service->lock);
    while (!service->stop) {
        service->due = false;
        pthread_mutex_unlock(&service->lock);
        int64_t wait_ms = ms_groups_tick(service->groups);
        pthread_mutex_lock(&service->lock);
        if (wait_ms > 0)
            sleep_until_due(service, wait_ms);
    }
    pthread_mutex_unlock(&service->lock);
    return NULL;
}

/* ---- life ---- */

static int begin(struct ms_group_service *service, const struct ms_groups_options *options,
                 struct ms_error *err) {
    struct ms_groups_options own = *options;
    own.store = (struct ms_group_store){service, append};
    own.topics =
        (struct ms_group_topics){service, topics_version, find_topic, find_topic_id, list_topics};
    own.wake = wake;
    own.wake_context = service;
    int code = ms_groups_new(&own, &service->groups);
    if (code != 0)
        return ms_error_set(err, code, "the group coordinator: %s", ms_error_text(code));
    code = ms_store_list_records(service->store, MS_RECORDS_CONSUMER_OFFSETS, load_record, service,
                                 err);
    if (code == 0 && service->txns.load != NULL)
        code = service->txns.load(service->txns.context, service->groups);
    if (code != 0)
        return ms_error_settle(err, code, "the group coordinator");
    ms_groups_loaded(service->groups);
    code = ms_group_metrics_new(service->store, service->groups, options->env, &service->metrics);
    if (code != 0)
        return ms_error_set(err, code, "no memory for the group coordinator");
    if (pthread_create(&service->thread, NULL, main_of, service) != 0)
        return ms_error_set(err, MS_EIO, "no thread for the group coordinator");
    service->started = true;
    return 0;
}

int ms_group_service_start(struct ms_store *store, const struct ms_groups_options *options,
                           const struct ms_group_txns *txns, struct ms_group_service **ret_service,
                           struct ms_error *err) {
    struct ms_group_service *service = ms_calloc(1, sizeof *service);
    if (service == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for the group coordinator");
    service->store = store;
    if (txns != NULL)
        service->txns = *txns;
    pthread_mutex_init(&service->lock, NULL);
    pthread_cond_init(&service->changed, NULL);
    int code = begin(service, options, err);
    if (code != 0) {
        ms_group_service_stop(service);
        ms_group_service_free(service);
        return code;
    }
    *ret_service = service;
    return 0;
}

struct ms_groups *ms_group_service_groups(struct ms_group_service *service) {
    return service->groups;
}

int ms_group_service_metrics(struct ms_group_service *service, struct ms_buf *out) {
    return ms_group_metrics_write(service->metrics, out);
}

void ms_group_service_stop(struct ms_group_service *service) {
    if (service == NULL)
        return;
    if (service->groups != NULL)
        ms_groups_stop(service->groups);
    pthread_mutex_lock(&service->lock);
    service->stop = true;
    pthread_cond_broadcast(&service->changed);
    pthread_mutex_unlock(&service->lock);
    if (service->started)
        pthread_join(service->thread, NULL);
    service->started = false;
}

void ms_group_service_free(struct ms_group_service *service) {
    if (service == NULL)
        return;
    pthread_mutex_lock(&service->lock);
    while (service->in_flight > 0)
        pthread_cond_wait(&service->changed, &service->lock);
    pthread_mutex_unlock(&service->lock);
    ms_group_metrics_free(service->metrics);
    if (service->groups != NULL)
        ms_groups_free(service->groups);
    pthread_cond_destroy(&service->changed);
    pthread_mutex_destroy(&service->lock);
    ms_free(service);
}
