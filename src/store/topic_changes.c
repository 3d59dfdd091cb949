/*
 * Making, changing, deleting and showing topics. A change is an event in "$topics". A topic that an
 * append needs is made by the append itself: its creation is the append's first entry, so there is
 * either both or nothing (docs/decisions/0008). Any thread.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "store/internal.h"
#include "wire/compress.h"
#include "wire/json.h"

#define DESCRIPTION_MAX 4096u

struct change {
    struct ms_topic *topic; /* created: not in the table yet, with its number */
    struct ms_topic_settings settings;
    bool created, deleted;
};

static struct ms_bytes name_of(const struct ms_topic *topic) {
    return ms_bytes_of(topic->name, topic->name_len);
}

static const char *yes_no(bool flag) { return flag ? "true" : "false"; }

static int describe_kept(const struct ms_topic_settings *s, struct ms_buf *out) {
    size_t count = MS_TOPIC_KEPT_MAX;
    while (count > 0 && s->configs_kept[count - 1] == 0)
        count--;
    int rc = ms_buf_append_cstr(out, ",\"configs_kept\":[");
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = ms_buf_printf(out, i > 0 ? ",%lld" : "%lld", (long long)s->configs_kept[i]);
    return rc == 0 ? ms_buf_append_u8(out, ']') : rc;
}

static int describe_settings(const struct ms_topic_settings *s, struct ms_buf *out) {
    int rc = ms_buf_printf(out,
                           ",\"partitions\":%u,\"streams\":%s,\"retention_ms\":%lld,"
                           "\"retention_bytes\":%lld,\"retention_count\":%lld,"
                           "\"compact\":%s,\"compression\":\"%s\","
                           "\"require_source\":%s,\"require_correlation_id\":%s,"
                           "\"message_bytes_max\":%u,\"log_append_time\":%s",
                           (unsigned)s->partitions, yes_no(s->streams), (long long)s->retention_ms,
                           (long long)s->retention_bytes, (long long)s->retention_count,
                           yes_no(s->compact), ms_codec_name(s->compression),
                           yes_no(s->require_source), yes_no(s->require_correlation_id),
                           (unsigned)s->message_bytes_max, yes_no(s->log_append_time));
    if (rc == 0)
        rc = ms_buf_printf(out,
                           ",\"recompress\":%s,\"retention_ignored\":%s,"
                           "\"compaction_lag_ms\":%lld,\"compaction_lag_max_ms\":%lld,"
                           "\"delete_retention_ms\":%lld,\"timestamp_before_ms\":%lld,"
                           "\"timestamp_after_ms\":%lld,\"configs_set\":%lld",
                           yes_no(s->recompress), yes_no(s->retention_ignored),
                           (long long)s->compaction_lag_ms, (long long)s->compaction_lag_max_ms,
                           (long long)s->delete_retention_ms, (long long)s->timestamp_before_ms,
                           (long long)s->timestamp_after_ms, (long long)s->configs_set);
    return rc == 0 ? describe_kept(s, out) : rc;
}

static int describe(const struct change *c, struct ms_buf *out) {
    char id[MS_UUID_TEXT_LEN + 1];
    const struct ms_topic *topic = c->topic;
    ms_uuid_format(&topic->id, id);
    int rc =
        ms_buf_printf(out, "{\"number\":%u,\"id\":\"%s\",\"name\":", (unsigned)topic->number, id);
    if (rc == 0)
        rc = ms_json_write_string(out, name_of(topic));
    if (rc == 0)
        rc = describe_settings(&c->settings, out);
    if (rc == 0)
        rc = ms_buf_printf(out, ",\"created_at_ms\":%lld,\"deleted\":%s}",
                           (long long)topic->created_at_ms, yes_no(c->deleted));
    return rc;
}

/* The event of a change, as an op that folds the description as a fact. */
static int change_op(struct ms_store *store, const struct change *change, struct ms_buf *json,
                     struct ms_op **ret_op, struct ms_error *err) {
    struct ms_buf stream;
    struct ms_op *op = NULL;
    ms_buf_init(&stream, 1024);
    int rc = describe(change, json);
    if (rc == 0)
        rc = ms_buf_append_cstr(&stream, "$topics-");
    if (rc == 0)
        rc = ms_buf_append_bytes(&stream, name_of(change->topic));
    struct ms_event event = {
        .type = ms_bytes_cstr(change->deleted   ? "topic.deleted"
                              : change->created ? "topic.created"
                                                : "topic.changed"),
        .timestamp_ms = MS_TIMESTAMP_NONE,
        .data = ms_buf_bytes(json),
    };
    struct ms_append_part part = {.stream = ms_buf_bytes(&stream), .events = &event, .count = 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1, .system = true};
    if (rc == 0)
        rc = ms_op_new(store, &request, &op, err);
    ms_buf_deinit(&stream);
    if (rc != 0)
        return rc;
    char *name = ms_arena_alloc(&op->arena, MS_FACT_NAME_MAX);
    char *value = ms_arena_strdup(&op->arena, ms_buf_bytes(json));
    if (name == NULL || value == NULL) {
        ms_op_free(op);
        return ms_error_set(err, MS_ENOMEM, "no memory for a topic");
    }
    op->effect.kind = MS_EFFECT_TOPIC;
    op->effect.closes = change->deleted ? change->topic : NULL;
    op->effect.name = ms_bytes_of(name, ms_topic_fact_name(change->topic->number, name));
    op->effect.value = ms_bytes_of(value, json->len);
    *ret_op = op;
    return 0;
}

/* Sequences a change and takes it over into the table: a topic that is created is the table's then.
 * What comes after the sequencing can't fail. */
static int submit_change(struct ms_store *store, const struct change *change,
                         ms_append_done_fn *done, void *context, struct ms_error *err) {
    if (store->options.read_only)
        return ms_error_set(err, MS_ECLOSED, "the store is open for reading only");
    struct ms_buf json;
    struct ms_op *op = NULL;
    ms_buf_init(&json, DESCRIPTION_MAX);
    int rc = change_op(store, change, &json, &op, err);
    if (rc == 0) {
        op->done = done;
        op->context = context;
        op->started_us = (uint64_t)ms_clock_monotonic_us(store->env->clock);
        atomic_fetch_add(&store->inflight, op->budget);
        rc = ms_op_submit(op, err);
        if (rc != 0) {
            atomic_fetch_sub(&store->inflight, op->budget);
            ms_op_free(op);
        }
    }
    ms_buf_deinit(&json);
    if (rc != 0)
        return rc;
    if (change->created)
        ms_topics_enter(store, change->topic);
    else if (change->deleted)
        ms_topics_leave(store, change->topic);
    else
        ms_topics_set(store, change->topic, &change->settings);
    return 0;
}

static uint32_t live_user_topics(struct ms_store *store) {
    pthread_rwlock_rdlock(&store->topics.lock);
    uint32_t live = (uint32_t)(store->topics.live - store->topics.live_system);
    pthread_rwlock_unlock(&store->topics.lock);
    return live;
}

static int check_topic_limit(struct ms_store *store, uint32_t more, struct ms_error *err) {
    if (live_user_topics(store) + more > store->options.topics_max)
        return ms_error_set(err, MS_ELIMIT,
                            "there are %u topics, the limit (topics.max) is reached",
                            (unsigned)live_user_topics(store));
    return 0;
}

static int reserve_topics(struct ms_store *store, uint32_t count, uint32_t *ret_first,
                          struct ms_error *err) {
    int rc = check_topic_limit(store, count, err);
    if (rc == 0 && ms_topics_reserve(store, count, ret_first) != 0)
        rc = ms_error_set(err, MS_ENOMEM, "no memory for the table of topics");
    return rc;
}

static int prepare_creation(struct ms_op *op, struct ms_op_topic *new, uint32_t number,
                            struct ms_error *err) {
    struct ms_topic *topic = new->topic;
    struct change change = {.topic = topic, .settings = topic->settings, .created = true};
    struct ms_buf json;
    ms_op_free(new->creation);
    new->creation = NULL;
    topic->number = number;
    ms_buf_init(&json, DESCRIPTION_MAX);
    int rc = change_op(op->store, &change, &json, &new->creation, err);
    ms_buf_deinit(&json);
    return rc == 0 ? ms_op_resolve_heads(new->creation, err) : rc;
}

/* Nothing of it lasts unless the op is sequenced before creation_lock is given back: numbers are
 * taken by ms_topics_enter. */
int ms_topics_prepare(struct ms_op *op, struct ms_error *err) {
    struct ms_store *store = op->store;
    uint32_t needed = 0, number = 0;
    for (struct ms_op_topic *new = op->new_topics; new != NULL; new = new->next) {
        op->stale = ms_topics_find(store, name_of(new->topic)) != NULL;
        if (op->stale)
            return ms_error_set(err, MS_EAGAIN, "topic '%s' is being made", new->topic->name);
        needed += new->needed;
    }
    if (needed == 0)
        return 0;
    int rc = reserve_topics(store, needed, &number, err);
    for (struct ms_op_topic *new = op->new_topics; rc == 0 && new != NULL; new = new->next)
        if (new->needed)
            rc = prepare_creation(op, new, number++, err);
    return rc;
}

/* ---- the API ---- */

static int change_and_wait(struct ms_store *store, const struct change *change, bool *ret_sequenced,
                           struct ms_error *err) {
    struct ms_settling settling;
    ms_settling_init(&settling);
    int rc = submit_change(store, change, ms_settling_done, &settling, err);
    *ret_sequenced = rc == 0;
    if (rc == 0)
        rc = ms_settling_wait(&settling, store);
    ms_settling_deinit(&settling);
    return ms_error_settle(err, rc, "topic");
}

int ms_topic_settings_check_compaction(const struct ms_topic_settings *before,
                                       const struct ms_topic_settings *after, bool force,
                                       struct ms_error *err) {
    bool was = before != NULL && before->compact && before->streams;
    if (force || was || !after->compact || !after->streams)
        return 0;
    return ms_error_set(err, MS_EINVAL,
                        "the topic has streams: compaction would remove all but the newest event "
                        "of each; say so with force");
}

static int check_bounds(const struct ms_topic_settings *settings, struct ms_error *err) {
    if (settings->retention_ms < -1 || settings->retention_bytes < -1 ||
        settings->retention_count < -1)
        return ms_error_set(err, MS_EINVAL, "retention must be -1 (for ever) or not negative");
    if (settings->compaction_lag_ms < 0 || settings->compaction_lag_max_ms < 0 ||
        settings->delete_retention_ms < 0)
        return ms_error_set(err, MS_EINVAL, "times of compaction must not be negative");
    if (settings->timestamp_before_ms < 0 || settings->timestamp_after_ms < 0)
        return ms_error_set(err, MS_EINVAL, "bounds of timestamps must not be negative");
    if (settings->compaction_lag_max_ms > 0 &&
        settings->compaction_lag_max_ms < settings->compaction_lag_ms)
        return ms_error_set(
            err, MS_EINVAL, "the compaction lag is at least %lld ms and can't be at most %lld ms",
            (long long)settings->compaction_lag_ms, (long long)settings->compaction_lag_max_ms);
    return 0;
}

static int check_settings(const struct ms_topic_settings *settings, const struct ms_topic *topic,
                          struct ms_error *err) {
    if (settings->partitions == 0 || settings->partitions > MS_TOPIC_PARTITIONS_MAX)
        return ms_error_set(err, MS_EINVAL, "partitions must be 1 to %u, not %u",
                            MS_TOPIC_PARTITIONS_MAX, (unsigned)settings->partitions);
    if (settings->message_bytes_max < MS_BATCH_HEADER_LEN && settings->message_bytes_max != 0)
        return ms_error_set(err, MS_EINVAL, "max.message.bytes must be at least %u",
                            (unsigned)MS_BATCH_HEADER_LEN);
    if ((unsigned)settings->compression > MS_CODEC_ZSTD)
        return ms_error_set(err, MS_EINVAL, "there is no compression %d",
                            (int)settings->compression);
    if (topic != NULL && settings->partitions < topic->settings.partitions)
        return ms_error_set(err, MS_EINVAL,
                            "topic '%s' has %u partitions; they can only become more", topic->name,
                            (unsigned)topic->settings.partitions);
    return check_bounds(settings, err);
}

/* Batches that were made for the other way are made anew from then on. Records that are there are
 * versions of streams for good, or have been made so (adopt.c): then the gate is shut, and opens
 * behind the switch. */
static int switch_streams(struct ms_store *store, struct ms_topic *topic, bool streams,
                          struct ms_error *err) {
    bool empty = true;
    ms_log_lock(store->log);
    for (uint32_t p = 0; p < topic->settings.partitions; p++)
        empty = empty && ms_topic_partition(topic, p)->next_offset == 0;
    bool adopted = streams && topic->gate == MS_GATE_SHUT;
    topic->had_streams |= empty && topic->streams && !streams;
    if (empty)
        topic->streams = streams;
    ms_log_unlock(store->log);
    if (empty || adopted)
        return 0;
    if (streams) /* they came just now */
        return ms_error_set(err, MS_EAGAIN, "topic '%s' is getting its first records", topic->name);
    return ms_error_set(err, MS_EUNSUPPORTED,
                        "topic '%s' has records, and has streams: they can be switched off only "
                        "while a topic is empty",
                        topic->name);
}

static struct ms_topic_settings completed(const struct ms_topic_settings *settings) {
    struct ms_topic_settings whole = *settings;
    if (whole.message_bytes_max == 0)
        whole.message_bytes_max = MS_MESSAGE_BYTES_MAX;
    return whole;
}

/* ---- under creation_lock ---- */

static int create_topic(struct ms_store *store, struct ms_bytes name,
                        const struct ms_topic_settings *settings, bool validate_only,
                        struct ms_error *err) {
    struct change change = {.settings = completed(settings), .created = true};
    bool sequenced = false;
    int rc = check_settings(settings, NULL, err);
    if (rc == 0)
        rc = ms_topics_new(store, name, &change.topic, err);
    if (rc != 0)
        return rc;
    change.topic->settings = change.settings;
    change.topic->streams = settings->streams;
    rc = ms_topic_reserve_partitions(change.topic, settings->partitions);
    if (rc != 0)
        rc = ms_error_set(err, rc, "no memory for a topic");
    else
        rc = reserve_topics(store, 1, &change.topic->number, err);
    if (rc == 0 && !validate_only)
        rc = change_and_wait(store, &change, &sequenced, err);
    if (!sequenced)
        ms_topics_free(change.topic);
    return rc;
}

static int change_topic(struct ms_store *store, struct ms_topic *topic,
                        const struct ms_topic_settings *settings, bool validate_only,
                        struct ms_error *err) {
    struct change change = {.topic = topic, .settings = completed(settings)};
    bool sequenced;
    int rc = check_settings(settings, topic, err);
    if (rc == 0 && !validate_only && ms_topic_reserve_partitions(topic, settings->partitions) != 0)
        rc = ms_error_set(err, MS_ENOMEM, "no memory for partitions");
    bool switches = rc == 0 && settings->streams != topic->settings.streams;
    if (switches && (!validate_only || !settings->streams))
        rc = switch_streams(store, topic, settings->streams, err);
    if (rc == 0 && !validate_only)
        rc = change_and_wait(store, &change, &sequenced, err);
    if (switches && (rc != 0 || validate_only))
        ms_ignore(switch_streams(store, topic, !settings->streams, NULL));
    return rc;
}

/* A topic that was looked up under creation_lock, with the shelter that switching its streams on
 * may need. The lock is not held meanwhile: others make topics. */
struct looked_up {
    struct ms_topic *topic; /* NULL: there is none */
    bool sheltered;
};

static void leave_shelter(struct ms_store *store, struct looked_up *found, bool switched) {
    if (found->sheltered)
        ms_adoption_end(store, found->topic, switched);
    found->sheltered = false;
}

static int take_shelter(struct ms_store *store, struct looked_up *found, struct ms_error *err) {
    pthread_mutex_unlock(&store->creation_lock);
    found->sheltered = true;
    int rc = ms_adoption_begin(store, found->topic, err);
    pthread_mutex_lock(&store->creation_lock);
    if (rc == 0 && atomic_load(&found->topic->deleted))
        rc = ms_error_set(err, MS_EAGAIN, "topic '%s' was deleted meanwhile", found->topic->name);
    if (rc != 0)
        leave_shelter(store, found, false);
    return rc;
}

int ms_store_put_topic(struct ms_store *store, struct ms_bytes name,
                       const struct ms_topic_settings *settings, bool *ret_created,
                       struct ms_error *err) {
    int rc = ms_name_check_topic(name, err);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&store->creation_lock);
    struct looked_up found = {.topic = ms_topics_find(store, name)};
    if (found.topic != NULL && ms_adoption_needed(store, found.topic, settings->streams))
        rc = take_shelter(store, &found, err);
    if (rc == 0)
        rc = found.topic != NULL ? change_topic(store, found.topic, settings, false, err)
                                 : create_topic(store, name, settings, false, err);
    leave_shelter(store, &found, rc == 0);
    pthread_mutex_unlock(&store->creation_lock);
    if (rc == 0)
        *ret_created = found.topic == NULL;
    return rc;
}

int ms_store_create_topic(struct ms_store *store, struct ms_bytes name,
                          const struct ms_topic_settings *settings, bool validate_only,
                          struct ms_error *err) {
    int rc = ms_name_check_topic(name, err);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&store->creation_lock);
    if (ms_topics_find(store, name) != NULL)
        rc =
            ms_error_set(err, MS_EEXIST, "topic '%.*s' is there already", (int)name.len, name.data);
    else
        rc = create_topic(store, name, settings, validate_only, err);
    pthread_mutex_unlock(&store->creation_lock);
    return rc;
}

static int not_found(struct ms_bytes name, struct ms_error *err) {
    return ms_error_set(err, MS_ENOTFOUND, "there is no topic '%.*s'",
                        (int)(name.len > 80 ? 80 : name.len), name.data);
}

/* Under creation_lock. The change is asked for anew behind the shelter: others may have changed the
 * topic meanwhile. */
static int change_found(struct ms_store *store, struct looked_up *found, ms_topic_change_fn *change,
                        void *context, bool validate_only, struct ms_error *err) {
    struct ms_topic_settings settings = ms_topics_settings(store, found->topic);
    int rc = change(context, &settings, err);
    if (rc == 0 && !validate_only && ms_adoption_needed(store, found->topic, settings.streams)) {
        rc = take_shelter(store, found, err);
        settings = ms_topics_settings(store, found->topic);
        if (rc == 0)
            rc = change(context, &settings, err);
    }
    if (rc == 0)
        rc = change_topic(store, found->topic, &settings, validate_only, err);
    leave_shelter(store, found, rc == 0 && settings.streams);
    return rc;
}

int ms_store_change_topic(struct ms_store *store, struct ms_bytes name, ms_topic_change_fn *change,
                          void *context, bool validate_only, struct ms_error *err) {
    int rc = ms_name_check_topic(name, err);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&store->creation_lock);
    struct looked_up found = {.topic = ms_topics_find(store, name)};
    rc = found.topic != NULL ? change_found(store, &found, change, context, validate_only, err)
                             : not_found(name, err);
    pthread_mutex_unlock(&store->creation_lock);
    return rc;
}

/* Under creation_lock. */
static int delete_topic(struct ms_store *store, struct ms_topic *topic, struct ms_error *err) {
    bool sequenced;
    struct change change = {
        .topic = topic, .settings = ms_topics_settings(store, topic), .deleted = true};
    return change_and_wait(store, &change, &sequenced, err);
}

int ms_store_delete_topic(struct ms_store *store, struct ms_bytes name, struct ms_error *err) {
    int rc = ms_name_check_topic(name, err);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&store->creation_lock);
    struct ms_topic *topic = ms_topics_find(store, name);
    rc = topic != NULL ? delete_topic(store, topic, err) : not_found(name, err);
    pthread_mutex_unlock(&store->creation_lock);
    return rc;
}

int ms_store_delete_topic_by_id(struct ms_store *store, const struct ms_uuid *id,
                                struct ms_error *err) {
    pthread_mutex_lock(&store->creation_lock);
    struct ms_topic *topic = ms_store_topic_by_id(store, id);
    int rc = topic != NULL ? delete_topic(store, topic, err)
                           : ms_error_set(err, MS_ENOTFOUND, "there is no topic of this identity");
    pthread_mutex_unlock(&store->creation_lock);
    return rc;
}

void ms_topic_info_of(struct ms_store *store, struct ms_topic *topic,
                      struct ms_topic_info *ret_info) {
    *ret_info = (struct ms_topic_info){
        .name = ms_bytes_of(topic->name, topic->name_len),
        .number = topic->number,
        .id = topic->id,
        .settings = ms_topics_settings(store, topic),
        .system = topic->system,
        .events = atomic_load(&topic->events),
        .created_at_ms = topic->created_at_ms,
    };
    if (!ret_info->settings.streams)
        ret_info->streams_prepared = atomic_load(&topic->versions_end);
    ret_info->end = ms_log_end(store->log);
}

int ms_store_get_topic(struct ms_store *store, struct ms_bytes name, ms_topic_fn *visit,
                       void *context, struct ms_error *err) {
    struct ms_topic *topic = ms_topics_find(store, name);
    if (topic == NULL)
        return not_found(name, err);
    struct ms_topic_info info;
    ms_topic_info_of(store, topic, &info);
    int rc = visit(context, &info);
    return ms_error_settle(err, rc < 0 ? rc : 0, "topic");
}

int ms_store_list_topics(struct ms_store *store, bool include_system, ms_topic_fn *visit,
                         void *context, struct ms_error *err) {
    pthread_rwlock_rdlock(&store->topics.lock);
    uint32_t end = store->topics.next_number;
    pthread_rwlock_unlock(&store->topics.lock);
    int rc = 0;
    for (uint32_t number = 1; rc == 0 && number < end; number++) {
        struct ms_topic *topic = ms_topics_at(store, number);
        if (topic == NULL || atomic_load(&topic->deleted) || (topic->system && !include_system))
            continue;
        struct ms_topic_info info;
        ms_topic_info_of(store, topic, &info);
        rc = visit(context, &info);
    }
    return ms_error_settle(err, rc < 0 ? rc : 0, "topics");
}
