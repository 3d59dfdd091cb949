/* The coordinator of a server; see service.h. */
#include "txn/service.h"

#include <pthread.h>
#include <time.h>

#include "base/alloc.h"

#define WAIT_MS_MAX 60000 /* the wall clock may be set back meanwhile */

struct ms_txn_service {
    struct ms_store *store;
    struct ms_txns *txns;
    struct ms_groups *groups; /* NULL: not started */
    pthread_mutex_t lock;     /* of the fields below; a leaf */
    pthread_cond_t changed;
    pthread_t thread;
    bool started, stop, due;
    size_t in_flight; /* appends without an outcome */
};

/* ---- what lasts ---- */

struct write {
    struct ms_txn_service *service;
    void (*done)(void *context, int code);
    void *context;
};

static void write_over(struct write *write, int code) {
    struct ms_txn_service *service = write->service;
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

/* NULL: memory, and `done` was told. */
static struct write *write_new(struct ms_txn_service *service,
                               void (*done)(void *done_context, int code), void *done_context) {
    struct write *write = ms_calloc(1, sizeof *write);
    if (write == NULL) {
        done(done_context, MS_ENOMEM);
        return NULL;
    }
    *write = (struct write){service, done, done_context};
    pthread_mutex_lock(&service->lock);
    service->in_flight++;
    pthread_mutex_unlock(&service->lock);
    return write;
}

static void append(void *context, const struct ms_keyed_records *sets, size_t set_count,
                   void (*done)(void *done_context, int code), void *done_context) {
    struct ms_txn_service *service = context;
    struct write *write = write_new(service, done, done_context);
    if (write == NULL)
        return;
    int code =
        ms_store_append_record_sets(service->store, sets, set_count, on_appended, write, NULL);
    if (code != 0)
        write_over(write, code);
}

static void end(void *context, const struct ms_txn_end *ending,
                void (*done)(void *done_context, int code), void *done_context) {
    struct ms_txn_service *service = context;
    struct write *write = write_new(service, done, done_context);
    if (write == NULL)
        return;
    int code = ms_store_txn_end(service->store, ending, on_appended, write, NULL);
    if (code != 0)
        write_over(write, code);
}

static int set_epoch(void *context, int64_t producer_id, int16_t epoch) {
    struct ms_txn_service *service = context;
    return ms_store_txn_set_epoch(service->store, producer_id, epoch);
}

static int add(void *context, int64_t producer_id, int16_t epoch, struct ms_bytes name,
               int32_t partition) {
    struct ms_txn_service *service = context;
    struct ms_topic *topic = ms_store_topic(service->store, name, false);
    if (topic == NULL || partition < 0)
        return MS_ENOTFOUND;
    return ms_store_txn_add(service->store, producer_id, epoch, topic, (uint32_t)partition, NULL);
}

static void forget(void *context, int64_t producer_id) {
    struct ms_txn_service *service = context;
    ms_store_txn_forget(service->store, producer_id);
}

static void ended(void *context, int64_t producer_id, bool commit) {
    struct ms_txn_service *service = context;
    if (service->groups != NULL)
        ms_groups_txn_end(service->groups, producer_id, commit);
}

/* ---- groups ---- */

static void append_offsets(void *context, int64_t producer_id, int16_t producer_epoch,
                           const struct ms_group_record *records, size_t count,
                           void (*done)(void *done_context, int code), void *done_context) {
    struct ms_txn_service *service = context;
    struct ms_txn_producer producer = {producer_id, producer_epoch};
    ms_txns_append_offsets(service->txns, producer, records, count, done, done_context);
}

static int load_offset(void *context, int64_t producer_id, const struct ms_group_record *record,
                       uint64_t position) {
    int code = ms_groups_load(context, record, position, producer_id);
    return code == MS_EINVAL ? 0 : code; /* a record that is none of ours */
}

static int load_offsets(void *context, struct ms_groups *groups) {
    struct ms_txn_service *service = context;
    return ms_txns_visit_offsets(service->txns, load_offset, groups);
}

struct ms_group_txns ms_txn_service_group_txns(struct ms_txn_service *service) {
    return (struct ms_group_txns){service, load_offsets, append_offsets};
}

/* ---- loading ---- */

static int load_record(void *context, const struct ms_keyed_record *record, uint64_t position) {
    struct ms_txn_service *service = context;
    int code = ms_txns_load(service->txns, record, position);
    return code == MS_EINVAL ? 0 : code; /* a record that is none of ours */
}

/* The store must not be called while it tells. */
struct open_list {
    struct ms_txn_open *items;
    size_t count, capacity;
};

static int note_open(void *context, const struct ms_txn_open *open) {
    struct open_list *list = context;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
        struct ms_txn_open *items = ms_realloc(list->items, capacity * sizeof *items);
        if (items == NULL)
            return MS_ENOMEM;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = *open;
    return 0;
}

static int load_open(struct ms_txn_service *service) {
    struct open_list list = {0};
    int code = ms_store_txn_list(service->store, note_open, &list);
    for (size_t i = 0; code == 0 && i < list.count; i++) {
        const struct ms_txn_open *open = &list.items[i];
        struct ms_topic_info info;
        ms_topic_info_of(service->store, open->topic, &info);
        code = ms_txns_load_open(service->txns,
                                 (struct ms_txn_producer){open->producer_id, open->epoch},
                                 info.name, (int32_t)open->partition, open->started_ms);
    }
    ms_free(list.items);
    return code;
}

static int load(struct ms_txn_service *service, struct ms_error *err) {
    int code = ms_store_list_records(service->store, MS_RECORDS_TRANSACTION_STATE, load_record,
                                     service, err);
    if (code == 0)
        code = load_open(service);
    return code == 0 ? ms_txns_loaded(service->txns) : code;
}

/* ---- what is due ---- */

static void wake(void *context) {
    struct ms_txn_service *service = context;
    pthread_mutex_lock(&service->lock);
    service->due = true;
    pthread_cond_broadcast(&service->changed);
    pthread_mutex_unlock(&service->lock);
}

static void sleep_until_due(struct ms_txn_service *service, int64_t wait_ms) {
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
    struct ms_txn_service *service = context;
    pthread_mutex_lock(&service->lock);
    while (!service->stop) {
        service->due = false;
        pthread_mutex_unlock(&service->lock);
        int64_t wait_ms = ms_txns_tick(service->txns);
        pthread_mutex_lock(&service->lock);
        if (wait_ms > 0)
            sleep_until_due(service, wait_ms);
    }
    pthread_mutex_unlock(&service->lock);
    return NULL;
}

/* ---- life ---- */

static int begin(struct ms_txn_service *service, const struct ms_txns_options *options,
                 struct ms_error *err) {
    struct ms_txns_options own = *options;
    own.store = (struct ms_txn_store){service, append, end, set_epoch, add, forget, ended};
    own.wake = wake;
    own.wake_context = service;
    int code = ms_txns_new(&own, &service->txns);
    if (code == 0)
        code = load(service, err);
    return ms_error_settle(err, code, "the transaction coordinator");
}

int ms_txn_service_new(struct ms_store *store, const struct ms_txns_options *options,
                       struct ms_txn_service **ret_service, struct ms_error *err) {
    struct ms_txn_service *service = ms_calloc(1, sizeof *service);
    if (service == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for the transaction coordinator");
    service->store = store;
    pthread_mutex_init(&service->lock, NULL);
    pthread_cond_init(&service->changed, NULL);
    int code = begin(service, options, err);
    if (code != 0) {
        ms_txn_service_stop(service);
        ms_txn_service_free(service);
        return code;
    }
    *ret_service = service;
    return 0;
}

int ms_txn_service_start(struct ms_txn_service *service, struct ms_groups *groups,
                         struct ms_error *err) {
    service->groups = groups;
    if (pthread_create(&service->thread, NULL, main_of, service) != 0)
        return ms_error_set(err, MS_EIO, "no thread for the transaction coordinator");
    service->started = true;
    return 0;
}

struct ms_txns *ms_txn_service_txns(struct ms_txn_service *service) {
    return service->txns;
}

void ms_txn_service_stop(struct ms_txn_service *service) {
    if (service == NULL)
        return;
    if (service->txns != NULL)
        ms_txns_stop(service->txns);
    pthread_mutex_lock(&service->lock);
    service->stop = true;
    pthread_cond_broadcast(&service->changed);
    pthread_mutex_unlock(&service->lock);
    if (service->started)
        pthread_join(service->thread, NULL);
    service->started = false;
}

void ms_txn_service_free(struct ms_txn_service *service) {
    if (service == NULL)
        return;
    pthread_mutex_lock(&service->lock);
    while (service->in_flight > 0)
        pthread_cond_wait(&service->changed, &service->lock);
    pthread_mutex_unlock(&service->lock);
    ms_txns_free(service->txns);
    pthread_cond_destroy(&service->changed);
    pthread_mutex_destroy(&service->lock);
    ms_free(service);
}
