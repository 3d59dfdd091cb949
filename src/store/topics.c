/*
 * The table of topics: folded from the system topic "$topics" (one stream per topic name, events
 * topic.created, topic.changed, topic.deleted whose data is the topic's whole description) and kept
 * in the index as facts "t/<number>".
 *
 *   {"number":17,"id":"…","name":"order","partitions":4,"streams":true,"retention_ms":-1,
 *    "retention_bytes":-1,"retention_count":-1,"compact":false,"compression":"none",
 *    "require_source":true,"require_correlation_id":false,"message_bytes_max":1048588,
 *    "log_append_time":false,"recompress":false,"retention_ignored":false,"compaction_lag_ms":0,
 *    "compaction_lag_max_ms":0,"delete_retention_ms":86400000,"timestamp_before_ms":…,
 *    "timestamp_after_ms":…,"configs_set":0,"configs_kept":[],"created_at_ms":…,"deleted":false}
 *
 * What a description of old lacks has its default.
 *
 * Topics are never freed before the store is closed: a number means the same topic for ever, and a
 * topic made anew under an old name is another one. Any thread.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "store/internal.h"
#include "wire/compress.h"
#include "wire/json.h"

#define SLOTS_INITIAL 64u
#define DESCRIPTION_MAX 4096u

static const struct {
    uint32_t number;
    const char *name;
} system_topics[] = {
    {MS_TOPIC_TOPICS, "$topics"},
    {MS_TOPIC_STREAMS, "$streams"},
    {MS_TOPIC_METADATA, "$metadata"},
    {MS_TOPIC_SNAPSHOTS, "$snapshots"},
    {MS_TOPIC_CONSUMER_OFFSETS, "__consumer_offsets"},
    {MS_TOPIC_TRANSACTION_STATE, "__transaction_state"},
    {MS_TOPIC_STARTS, "$starts"},
    {MS_TOPIC_VERSIONS, "$versions"},
    {MS_TOPIC_APPS, "$apps"},
};

/* ---- the table ---- */

static struct ms_bytes name_of(const struct ms_topic *topic) {
    return ms_bytes_of(topic->name, topic->name_len);
}

static size_t name_slot(const struct ms_topics *topics, struct ms_bytes name) {
    size_t mask = topics->slots - 1, i = (size_t)ms_hash64(name.data, name.len, 0) & mask;
    while (topics->by_name[i] != NULL && !ms_bytes_equal(name_of(topics->by_name[i]), name))
        i = (i + 1) & mask;
    return i;
}

static size_t id_slot(const struct ms_topics *topics, const struct ms_uuid *id) {
    size_t mask = topics->slots - 1, i = (size_t)ms_hash64(id->bytes, 16, 0) & mask;
    while (topics->by_id[i] != NULL && !ms_uuid_equal(&topics->by_id[i]->id, id))
        i = (i + 1) & mask;
    return i;
}

static void place(struct ms_topics *topics, struct ms_topic *topic) {
    topics->by_name[name_slot(topics, name_of(topic))] = topic;
    topics->by_id[id_slot(topics, &topic->id)] = topic;
    topics->live++;
}

static int rehash(struct ms_topics *topics, size_t slots) {
    struct ms_topic **by_name = ms_calloc(slots, sizeof(struct ms_topic *));
    struct ms_topic **by_id = ms_calloc(slots, sizeof(struct ms_topic *));
    if (by_name == NULL || by_id == NULL) {
        ms_free(by_name);
        ms_free(by_id);
        return MS_ENOMEM;
    }
    ms_free(topics->by_name);
    ms_free(topics->by_id);
    topics->by_name = by_name;
    topics->by_id = by_id;
    topics->slots = slots;
    topics->live = 0;
    for (size_t i = 0; i < topics->by_number_count; i++) {
        struct ms_topic *topic = topics->by_number[i];
        if (topic != NULL && !atomic_load(&topic->deleted))
            place(topics, topic);
    }
    return 0;
}

/* Under the write lock. */
static int make_room(struct ms_topics *topics, uint32_t number) {
    if (number < topics->by_number_count)
        return 0;
    size_t count = (size_t)number * 2 + 16;
    struct ms_topic **bigger = ms_realloc(topics->by_number, count * sizeof(struct ms_topic *));
    if (bigger == NULL)
        return MS_ENOMEM;
    memset(bigger + topics->by_number_count, 0,
           (count - topics->by_number_count) * sizeof(struct ms_topic *));
    topics->by_number = bigger;
    topics->by_number_count = count;
    return 0;
}

/* Under the write lock. */
static int table_add(struct ms_topics *topics, struct ms_topic *topic) {
    int rc = make_room(topics, topic->number);
    if (rc != 0)
        return rc;
    struct ms_topic *before = topics->by_number[topic->number];
    topics->by_number[topic->number] = topic;
    if (topic->number >= topics->next_number)
        topics->next_number = topic->number + 1;
    size_t slots = topics->slots;
    rc = rehash(topics, (topics->live + 2) * 2 > slots ? slots * 2 : slots);
    if (rc != 0)
        topics->by_number[topic->number] = before; /* what is new stays the caller's */
    return rc;
}

int ms_topics_reserve(struct ms_store *store, uint32_t count, uint32_t *ret_first) {
    struct ms_topics *topics = &store->topics;
    pthread_rwlock_wrlock(&topics->lock);
    size_t slots = topics->slots;
    while ((topics->live + count + 1) * 2 > slots)
        slots *= 2;
    int rc = slots > topics->slots ? rehash(topics, slots) : 0;
    if (rc == 0)
        rc = make_room(topics, topics->next_number + count);
    if (rc == 0)
        *ret_first = topics->next_number;
    pthread_rwlock_unlock(&topics->lock);
    return rc;
}

void ms_topics_enter(struct ms_store *store, struct ms_topic *topic) {
    struct ms_topics *topics = &store->topics;
    pthread_rwlock_wrlock(&topics->lock);
    size_t slot = name_slot(topics, name_of(topic));
    MS_ASSERT(topic->number < topics->by_number_count && topics->by_name[slot] == NULL &&
              topics->by_number[topic->number] == NULL && (topics->live + 1) * 2 <= topics->slots);
    topics->by_number[topic->number] = topic;
    place(topics, topic);
    if (topic->number >= topics->next_number)
        topics->next_number = topic->number + 1;
    atomic_fetch_add(&topics->version, 1);
    pthread_rwlock_unlock(&topics->lock);
}

void ms_topics_set(struct ms_store *store, struct ms_topic *topic,
                   const struct ms_topic_settings *settings) {
    pthread_rwlock_wrlock(&store->topics.lock);
    topic->settings = *settings;
    atomic_fetch_add(&store->topics.version, 1);
    pthread_rwlock_unlock(&store->topics.lock);
}

/* Takes the topic in slot `hole` out; backward-shift deletion keeps probe sequences whole. */
static void clear_slot(const struct ms_topics *topics, struct ms_topic **table, size_t hole,
                       bool by_id) {
    size_t mask = topics->slots - 1;
    for (size_t i = (hole + 1) & mask; table[i] != NULL; i = (i + 1) & mask) {
        struct ms_bytes key = by_id ? ms_bytes_of(table[i]->id.bytes, 16) : name_of(table[i]);
        size_t home = (size_t)ms_hash64(key.data, key.len, 0) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            table[hole] = table[i];
            hole = i;
        }
    }
    table[hole] = NULL;
}

void ms_topics_leave(struct ms_store *store, struct ms_topic *topic) {
    struct ms_topics *topics = &store->topics;
    pthread_rwlock_wrlock(&topics->lock);
    size_t by_name = name_slot(topics, name_of(topic)), by_id = id_slot(topics, &topic->id);
    MS_ASSERT(topics->by_name[by_name] == topic && topics->by_id[by_id] == topic);
    clear_slot(topics, topics->by_name, by_name, false);
    clear_slot(topics, topics->by_id, by_id, true);
    topics->live--;
    atomic_store(&topic->deleted, true);
    atomic_fetch_add(&topics->version, 1);
    pthread_rwlock_unlock(&topics->lock);
}

static struct ms_topic *topic_new(uint32_t number, struct ms_bytes name) {
    struct ms_topic *topic = ms_calloc(1, sizeof *topic + name.len + 1);
    if (topic == NULL)
        return NULL;
    topic->number = number;
    topic->system = number < MS_TOPIC_USER_FIRST;
    topic->name_len = name.len;
    memcpy(topic->name, name.data, name.len);
    return topic;
}

void ms_topics_free(struct ms_topic *topic) {
    if (topic == NULL)
        return;
    for (size_t i = 0; i < MS_TOPIC_PARTITIONS_MAX / MS_PARTITION_BLOCK; i++) {
        struct ms_partition *block = atomic_load(&topic->partitions[i]);
        for (size_t p = 0; block != NULL && p < MS_PARTITION_BLOCK; p++)
            ms_partition_txns_deinit(&block[p]);
        ms_free(block);
    }
    ms_free(topic);
}

int ms_topic_reserve_partitions(struct ms_topic *topic, uint32_t count) {
    for (uint32_t i = 0; i * MS_PARTITION_BLOCK < count; i++) {
        if (atomic_load(&topic->partitions[i]) != NULL)
            continue;
        struct ms_partition *block = ms_calloc(MS_PARTITION_BLOCK, sizeof *block);
        if (block == NULL)
            return MS_ENOMEM;
        for (uint32_t p = 0; p < MS_PARTITION_BLOCK; p++) {
            atomic_store(&block[p].lead_ms, INT64_MIN);
            atomic_store(&block[p].open_offset, INT64_MAX);
        }
        atomic_store_explicit(&topic->partitions[i], block, memory_order_release);
    }
    return 0;
}

struct ms_topic_settings ms_topic_settings_default(const struct ms_store *store) {
    return (struct ms_topic_settings){
        .partitions = store->options.topic_partitions,
        .streams = true,
        .retention_ms = -1,
        .retention_bytes = -1,
        .retention_count = -1,
        .compression = MS_CODEC_NONE,
        .message_bytes_max = MS_MESSAGE_BYTES_MAX,
        .delete_retention_ms = MS_DELETE_RETENTION_MS,
        .timestamp_before_ms = MS_TIMESTAMP_ANY,
        .timestamp_after_ms = MS_TIMESTAMP_ANY,
    };
}

int ms_topics_new(struct ms_store *store, struct ms_bytes name, struct ms_topic **ret_topic,
                  struct ms_error *err) {
    if (!ms_topic_name_legal(name))
        return ms_error_set(err, MS_EINVAL, MS_TOPIC_NAME_ILLEGAL,
                            (int)(name.len > 80 ? 80 : name.len), name.data);
    struct ms_topic *topic = topic_new(0, name);
    if (topic == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a topic");
    topic->system = false; /* its number will be a user's */
    topic->settings = ms_topic_settings_default(store);
    topic->streams = topic->settings.streams;
    if (ms_topic_reserve_partitions(topic, topic->settings.partitions) != 0) {
        ms_topics_free(topic);
        return ms_error_set(err, MS_ENOMEM, "no memory for a topic");
    }
    topic->created_at_ms = ms_clock_now_us(store->env->clock) / 1000;
    ms_env_uuid_v4(store->env, &topic->id);
    *ret_topic = topic;
    return 0;
}

static int add_system_topic(struct ms_store *store, uint32_t number, const char *name) {
    struct ms_topic *topic = topic_new(number, ms_bytes_cstr(name));
    if (topic == NULL)
        return MS_ENOMEM;
    /* Their identities follow from the store's, so nothing needs to be written for them. */
    struct ms_hash128 id =
        ms_hash128_pair(ms_bytes_of(store->log_uuid.bytes, 16), ms_bytes_cstr(name), 0);
    memcpy(topic->id.bytes, id.bytes, 16);
    topic->settings = ms_topic_settings_default(store);
    topic->settings.partitions = number == MS_TOPIC_STREAMS ? 4 : 1;
    if (ms_records_is_topic(number)) {
        topic->settings.streams = false;
        topic->settings.compact = true;
    }
    if (number == MS_TOPIC_VERSIONS)
        topic->settings.streams = false;
    topic->streams = topic->settings.streams;
    int rc = ms_topic_reserve_partitions(topic, topic->settings.partitions);
    if (rc == 0)
        rc = table_add(&store->topics, topic);
    if (rc != 0)
        ms_topics_free(topic);
    return rc;
}

int ms_topics_init(struct ms_store *store) {
    struct ms_topics *topics = &store->topics;
    pthread_rwlock_init(&topics->lock, NULL);
    topics->next_number = MS_TOPIC_USER_FIRST;
    int rc = rehash(topics, SLOTS_INITIAL);
    for (size_t i = 0; rc == 0 && i < sizeof system_topics / sizeof system_topics[0]; i++)
        rc = add_system_topic(store, system_topics[i].number, system_topics[i].name);
    topics->live_system = topics->live;
    return rc;
}

void ms_topics_deinit(struct ms_store *store) {
    struct ms_topics *topics = &store->topics;
    for (size_t i = 0; i < topics->by_number_count; i++)
        ms_topics_free(topics->by_number[i]);
    ms_free(topics->by_number);
    ms_free(topics->by_name);
    ms_free(topics->by_id);
    pthread_rwlock_destroy(&topics->lock);
}

struct ms_topic *ms_topics_find(struct ms_store *store, struct ms_bytes name) {
    pthread_rwlock_rdlock(&store->topics.lock);
    struct ms_topic *topic = store->topics.by_name[name_slot(&store->topics, name)];
    pthread_rwlock_unlock(&store->topics.lock);
    return topic;
}

void ms_partition_note_time(struct ms_partition *partition, int64_t newest_ms,
                            int64_t commit_time_ms) {
    int64_t lead_ms;
    if (__builtin_sub_overflow(newest_ms, commit_time_ms, &lead_ms))
        lead_ms = newest_ms > 0 ? INT64_MAX : INT64_MIN;
    if (lead_ms > atomic_load_explicit(&partition->lead_ms, memory_order_relaxed))
        atomic_store_explicit(&partition->lead_ms, lead_ms, memory_order_relaxed);
}

struct ms_topic *ms_store_topic(struct ms_store *store, struct ms_bytes name, bool system) {
    struct ms_topic *topic = ms_topics_find(store, name);
    return topic != NULL && topic->system && !system ? NULL : topic;
}

struct ms_topic *ms_store_topic_by_id(struct ms_store *store, const struct ms_uuid *id) {
    pthread_rwlock_rdlock(&store->topics.lock);
    struct ms_topic *topic = store->topics.by_id[id_slot(&store->topics, id)];
    pthread_rwlock_unlock(&store->topics.lock);
    return topic != NULL && topic->system ? NULL : topic;
}

uint64_t ms_store_topics_version(const struct ms_store *store) {
    return atomic_load(&store->topics.version);
}

bool ms_topic_is_deleted(const struct ms_topic *topic) { return atomic_load(&topic->deleted); }

struct ms_topic *ms_topics_at(struct ms_store *store, uint32_t number) {
    pthread_rwlock_rdlock(&store->topics.lock);
    struct ms_topic *topic =
        number < store->topics.by_number_count ? store->topics.by_number[number] : NULL;
    pthread_rwlock_unlock(&store->topics.lock);
    return topic;
}

struct ms_topic_settings ms_topics_settings(struct ms_store *store, struct ms_topic *topic) {
    pthread_rwlock_rdlock(&store->topics.lock);
    struct ms_topic_settings settings = topic->settings;
    pthread_rwlock_unlock(&store->topics.lock);
    return settings;
}

int ms_topic_check_streams(struct ms_store *store, struct ms_topic *topic, struct ms_error *err) {
    if (ms_topics_settings(store, topic).streams)
        return 0;
    return ms_error_set(err, MS_ENOSTREAMS,
                        "the records of topic '%s' are not indexed as streams: switch that on with "
                        "PUT /v1/topics/%s {\"streams\": true}",
                        topic->name, topic->name);
}

size_t ms_topic_fact_name(uint32_t number, char out[MS_FACT_NAME_MAX]) {
    return (size_t)snprintf(out, MS_FACT_NAME_MAX, "t/%08x", (unsigned)number);
}

size_t ms_offset_fact_name(uint32_t number, uint16_t partition, char out[MS_FACT_NAME_MAX]) {
    return (size_t)snprintf(out, MS_FACT_NAME_MAX, "o/%08x/%04x", (unsigned)number,
                            (unsigned)partition);
}

/* ---- descriptions ---- */

struct description {
    uint32_t number;
    struct ms_uuid id;
    struct ms_bytes name;
    struct ms_topic_settings settings;
    int64_t created_at_ms;
    bool deleted;
};

static int64_t read_number(struct ms_json_value object, const char *name, int64_t otherwise) {
    struct ms_json_value value;
    int64_t number;
    if (ms_json_get(object, name, &value) && ms_json_i64(value, &number) == 0)
        return number;
    return otherwise;
}

static bool read_flag(struct ms_json_value object, const char *name) {
    struct ms_json_value value;
    return ms_json_get(object, name, &value) && value.type == MS_JSON_TRUE;
}

static int read_text(struct ms_json_value object, const char *name, struct ms_arena *arena,
                     struct ms_bytes *ret_text) {
    struct ms_json_value value;
    if (!ms_json_get(object, name, &value) || value.type != MS_JSON_STRING)
        return MS_EINVAL;
    return ms_json_string(value, arena, ret_text);
}

static void read_kept(struct ms_json_value object, struct ms_topic_settings *settings) {
    struct ms_json_value array, value;
    size_t at = 0, i = 0;
    if (!ms_json_get(object, "configs_kept", &array) || array.type != MS_JSON_ARRAY)
        return;
    while (i < MS_TOPIC_KEPT_MAX && ms_json_next_element(array, &at, &value))
        if (ms_json_i64(value, &settings->configs_kept[i++]) != 0)
            return;
}

static void read_settings(struct ms_json_value object, struct ms_topic_settings *settings) {
    settings->partitions = (uint16_t)read_number(object, "partitions", 1);
    settings->streams = read_flag(object, "streams");
    settings->retention_ms = read_number(object, "retention_ms", -1);
    settings->retention_bytes = read_number(object, "retention_bytes", -1);
    settings->retention_count = read_number(object, "retention_count", -1);
    settings->compact = read_flag(object, "compact");
    settings->require_source = read_flag(object, "require_source");
    settings->require_correlation_id = read_flag(object, "require_correlation_id");
    settings->message_bytes_max =
        (uint32_t)read_number(object, "message_bytes_max", MS_MESSAGE_BYTES_MAX);
    settings->log_append_time = read_flag(object, "log_append_time");
    settings->recompress = read_flag(object, "recompress");
    settings->retention_ignored = read_flag(object, "retention_ignored");
    settings->compaction_lag_ms = read_number(object, "compaction_lag_ms", 0);
    settings->compaction_lag_max_ms = read_number(object, "compaction_lag_max_ms", 0);
    settings->delete_retention_ms =
        read_number(object, "delete_retention_ms", MS_DELETE_RETENTION_MS);
    settings->timestamp_before_ms = read_number(object, "timestamp_before_ms", MS_TIMESTAMP_ANY);
    settings->timestamp_after_ms = read_number(object, "timestamp_after_ms", MS_TIMESTAMP_ANY);
    settings->configs_set = (uint64_t)read_number(object, "configs_set", 0);
    read_kept(object, settings);
}

static int read_description(struct ms_bytes json, struct ms_arena *arena, struct description *ret_d,
                            struct ms_error *err) {
    struct ms_json_value object;
    struct description d = {0};
    struct ms_bytes id, codec;
    int rc = ms_json_parse(json, 8, &object, err);
    if (rc == 0 && object.type != MS_JSON_OBJECT)
        rc = MS_EINVAL;
    if (rc == 0)
        rc = read_text(object, "name", arena, &d.name);
    if (rc == 0)
        rc = read_text(object, "id", arena, &id);
    if (rc == 0)
        rc = ms_uuid_parse(id, &d.id);
    if (rc == 0)
        rc = read_text(object, "compression", arena, &codec);
    if (rc == 0)
        rc = ms_codec_parse(codec, &d.settings.compression);
    d.number = rc == 0 ? (uint32_t)read_number(object, "number", 0) : 0;
    if (rc != 0 || d.number < MS_TOPIC_USER_FIRST)
        return ms_error_set(err, MS_ECORRUPT, "the description of a topic is damaged");
    read_settings(object, &d.settings);
    d.created_at_ms = read_number(object, "created_at_ms", 0);
    d.deleted = read_flag(object, "deleted");
    *ret_d = d;
    return 0;
}

/* Takes a description over into the table. */
static int adopt(struct ms_store *store, const struct description *d) {
    struct ms_topics *topics = &store->topics;
    pthread_rwlock_wrlock(&topics->lock);
    struct ms_topic *topic =
        d->number < topics->by_number_count ? topics->by_number[d->number] : NULL;
    int rc = 0;
    bool made = topic == NULL;
    if (made) {
        topic = topic_new(d->number, d->name);
        rc = topic != NULL ? 0 : MS_ENOMEM;
    }
    if (rc == 0) {
        rc = ms_topic_reserve_partitions(topic, d->settings.partitions);
        if (rc != 0 && made)
            ms_topics_free(topic);
    }
    if (rc == 0) {
        topic->id = d->id;
        topic->settings = d->settings;
        topic->streams = d->settings.streams;
        topic->created_at_ms = d->created_at_ms;
        atomic_store(&topic->deleted, d->deleted);
        rc = table_add(topics, topic);
        if (rc != 0 && made)
            ms_topics_free(topic);
    }
    pthread_rwlock_unlock(&topics->lock);
    return rc;
}

int ms_topics_fold(struct ms_store *store, struct ms_bytes json, struct ms_error *err) {
    struct description d = {0};
    struct ms_arena arena;
    ms_arena_init(&arena, DESCRIPTION_MAX * 4);
    int rc = read_description(json, &arena, &d, err);
    if (rc == 0) {
        rc = adopt(store, &d);
        if (rc != 0)
            rc = ms_error_set(err, rc, "no memory for the table of topics");
    }
    ms_arena_deinit(&arena);
    return rc;
}

/* ---- folding at start ---- */

static int fold_fact(void *context, struct ms_bytes name, struct ms_bytes value) {
    (void)name;
    return ms_topics_fold(context, value, NULL);
}

static int load_offset(void *context, struct ms_bytes name, struct ms_bytes value) {
    struct ms_store *store = context;
    unsigned number, partition;
    char text[MS_FACT_NAME_MAX + 1] = {0};
    if (name.len > MS_FACT_NAME_MAX || (value.len != 8 && value.len != MS_OFFSET_FACT_LEN))
        return MS_ECORRUPT;
    memcpy(text, name.data, name.len);
    if (sscanf(text, "o/%8x/%4x", &number, &partition) != 2)
        return MS_ECORRUPT;
    struct ms_topic *topic = ms_topics_at(store, number);
    if (topic == NULL || partition >= topic->settings.partitions)
        return MS_ECORRUPT;
    struct ms_partition *p = ms_topic_partition(topic, partition);
    int64_t offset, lead_ms = INT64_MAX; /* not known: nothing can be passed over */
    memcpy(&offset, value.data, sizeof offset);
    if (value.len == MS_OFFSET_FACT_LEN)
        memcpy(&lead_ms, value.data + 8, sizeof lead_ms);
    p->next_offset = offset;
    atomic_store(&p->end_offset, offset);
    atomic_store(&p->lead_ms, lead_ms);
    return 0;
}

int ms_topics_load(struct ms_store *store, struct ms_error *err) {
    struct ms_bytes from = {0};
    int rc = ms_index_fact_list(store->index, MS_BYTES_LITERAL("t/"), from, fold_fact, store, err);
    if (rc == 0)
        rc =
            ms_index_fact_list(store->index, MS_BYTES_LITERAL("o/"), from, load_offset, store, err);
    if (rc == 0)
        rc = ms_starts_load(store, err);
    return rc == 0 ? ms_versions_load(store, err) : rc;
}

int ms_topics_fold_entry(struct ms_store *store, const struct ms_log_entry *entry,
                         struct ms_error *err) {
    struct ms_batch_reader batch = {0};
    struct ms_record record;
    int rc = ms_batch_reader_init(&batch, entry->batch, (size_t)1 << 24, err);
    while (rc == 0 && (rc = ms_batch_reader_next(&batch, &record, err)) > 0) {
        rc = ms_topics_fold(store, record.value, err);
        char name[MS_FACT_NAME_MAX];
        struct ms_json_value object, number;
        int64_t n;
        if (rc == 0 && ms_json_parse(record.value, 8, &object, err) == 0 &&
            ms_json_get(object, "number", &number) && ms_json_i64(number, &n) == 0) {
            struct ms_index_fact fact = {
                .name = ms_bytes_of(name, ms_topic_fact_name((uint32_t)n, name)),
                .value = record.value,
            };
            rc = ms_index_apply(store->index, NULL, 0, &fact, 1, entry->header.first_position);
        }
    }
    ms_batch_reader_deinit(&batch);
    return rc;
}

void ms_topics_count_events(struct ms_store *store) {
    struct ms_topics *topics = &store->topics;
    for (size_t i = 0; i < topics->by_number_count; i++) {
        struct ms_topic *topic = topics->by_number[i];
        uint64_t events = 0;
        for (uint32_t p = 0; topic != NULL && p < topic->settings.partitions; p++)
            events += (uint64_t)ms_topic_partition(topic, p)->next_offset;
        if (topic != NULL)
            atomic_store(&topic->events, events);
    }
}
