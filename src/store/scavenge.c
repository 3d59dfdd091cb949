/*
 * The scavenger: the one mechanism of removal (DESIGN section 3).
 *
 * Everything else only marks. A scavenge goes over the sealed segments and decides for each event
 * whether it is still wanted:
 *
 *   dead when its topic was deleted · its stream was tombstoned, or deleted or truncated behind it
 *   · it is older than $maxAge or the topic's retention · it is beyond $maxCount or the topic's
 *   retention_bytes · it is not the newest of its stream in a compacted topic, in "$metadata" or in
 *   "$snapshots"
 *
 * The last word on a stream and on a partition stays, without its records if it is dead: an empty
 * batch that spans the same offsets, so that an index folded anew knows the same heads.
 * src/log/rewrite.c does the writing. Scavenger's thread, or the caller's.
 */
#include <time.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "log/rewrite.h"
#include "store/internal.h"

#define HEAD_CACHE 4096u
#define GAIN_PERCENT 80u
#define DECOMPRESSED_MAX ((size_t)1 << 30)

enum {
    BATCH_AT_LENGTH = 8,
    BATCH_AT_ATTRIBUTES = 21,
    BATCH_AT_COUNT = 57,
};

struct partition_bytes {
    uint64_t key; /* topic << 16 | partition, + 1 */
    uint64_t left;
};

struct scavenge {
    struct ms_store *store;
    const struct ms_scavenge_options *options;
    int64_t now_ms;
    struct ms_head *heads; /* direct-mapped cache */
    struct ms_topic *topic;
    struct ms_topic_settings settings;
    struct ms_batch_reader batch;
    struct ms_buf scratch;
    struct partition_bytes *sizes; /* only when a topic has retention_bytes */
    size_t size_count;
    uint64_t removed;
};

/* ---- who is wanted ---- */

static int head_of(struct scavenge *s, const uint8_t *stream_id, struct ms_head **ret_head,
                   struct ms_error *err) {
    struct ms_stream_id id;
    uint32_t hash;
    memcpy(id.bytes, stream_id, MS_STREAM_ID_LEN);
    memcpy(&hash, stream_id, sizeof hash);
    struct ms_head *head = &s->heads[hash % HEAD_CACHE];
    *ret_head = head;
    if (head->used && memcmp(head->id.bytes, id.bytes, MS_STREAM_ID_LEN) == 0)
        return 0;
    int rc = ms_heads_resolve(s->store, &id, head, err);
    head->used = rc == 0;
    return rc;
}

static bool keeps_newest_only(const struct scavenge *s) {
    return s->settings.compact || s->topic->number == MS_TOPIC_METADATA ||
           s->topic->number == MS_TOPIC_SNAPSHOTS;
}

static bool stream_event_dead(const struct scavenge *s, const struct ms_head *head, int64_t version,
                              int64_t timestamp_ms) {
    const struct ms_stream_rules *rules = &head->rules;
    if (rules->tombstoned)
        return version < head->version;
    if (version < ms_head_first_readable(head))
        return true;
    if (rules->max_age_ms > 0 && timestamp_ms < s->now_ms - rules->max_age_ms)
        return true;
    return keeps_newest_only(s) && version < head->version;
}

static bool topic_event_dead(const struct scavenge *s, int64_t timestamp_ms) {
    return atomic_load(&s->topic->deleted) ||
           (s->settings.retention_ms >= 0 && timestamp_ms < s->now_ms - s->settings.retention_ms);
}

static struct partition_bytes *size_of(struct scavenge *s, const struct ms_log_entry *entry) {
    uint64_t key = ((uint64_t)entry->header.topic << 16 | entry->header.partition) + 1;
    for (size_t i = 0; i < s->size_count; i++)
        if (s->sizes[i].key == key)
            return &s->sizes[i];
    return NULL;
}

/* The partition still holds more than it may, this entry being its oldest: it goes. */
static bool beyond_bytes(struct scavenge *s, const struct ms_log_entry *entry) {
    struct partition_bytes *size = s->settings.retention_bytes >= 0 ? size_of(s, entry) : NULL;
    if (size == NULL || size->left <= (uint64_t)s->settings.retention_bytes)
        return false;
    size->left -= entry->batch.len < size->left ? entry->batch.len : size->left;
    return true;
}

static bool is_last_word(const struct ms_log_entry *entry, const struct ms_head *head,
                         int64_t partition_end) {
    if (head != NULL && entry->header.first_version + entry->record_count - 1 == head->version)
        return true;
    return entry->first_offset + entry->record_count == partition_end;
}

/* ---- what stands in an entry's place ---- */

/* The batch with `count` records whose bytes follow its header in scratch. */
static void close_batch(struct scavenge *s, uint32_t count) {
    uint8_t *bytes = s->scratch.data;
    ms_put_be32(bytes + BATCH_AT_LENGTH, (uint32_t)(s->scratch.len - 12));
    uint16_t attributes = ms_get_be16(bytes + BATCH_AT_ATTRIBUTES);
    ms_put_be16(bytes + BATCH_AT_ATTRIBUTES, (uint16_t)(attributes & ~MS_BATCH_CODEC_MASK));
    ms_put_be32(bytes + BATCH_AT_COUNT, count);
    ms_put_be32(bytes + MS_BATCH_OFFSET_CRC,
                ms_crc32c(0, bytes + MS_BATCH_CRC_START, s->scratch.len - MS_BATCH_CRC_START));
}

static int filter_records(struct scavenge *s, const struct ms_log_entry *entry,
                          const struct ms_head *head, uint32_t *ret_kept, struct ms_error *err) {
    struct ms_record record;
    bool all_dead = beyond_bytes(s, entry);
    uint32_t kept = 0;
    ms_buf_clear(&s->scratch);
    int rc = ms_buf_append(&s->scratch, entry->batch.data, MS_BATCH_HEADER_LEN);
    if (rc == 0)
        rc = ms_batch_reader_init(&s->batch, entry->batch, DECOMPRESSED_MAX, err);
    while (rc == 0) {
        size_t at = s->batch.at;
        rc = ms_batch_reader_next(&s->batch, &record, err);
        if (rc <= 0)
            break;
        int64_t version = entry->header.first_version + (record.offset - entry->first_offset);
        bool dead = all_dead || topic_event_dead(s, record.timestamp_ms) ||
                    (head != NULL && stream_event_dead(s, head, version, record.timestamp_ms));
        rc = dead ? 0 : ms_buf_append(&s->scratch, s->batch.records.data + at, s->batch.at - at);
        kept += !dead;
        s->removed += dead;
    }
    if (rc == 0)
        *ret_kept = kept;
    return rc;
}

static int visit_entry(void *context, const struct ms_log_entry *entry, struct ms_bytes *ret_batch,
                       struct ms_error *err) {
    struct scavenge *s = context;
    struct ms_head *head = NULL;
    uint32_t kept = 0;
    if (s->topic == NULL || s->topic->number != entry->header.topic) {
        s->topic = ms_topics_at(s->store, entry->header.topic);
        if (s->topic == NULL)
            return ms_error_set(err, MS_ECORRUPT, "position %llu belongs to no topic",
                                (unsigned long long)entry->header.first_position);
        s->settings = ms_topics_settings(s->store, s->topic);
    }
    int rc = 0;
    if (entry->header.flags & MS_ENTRY_HAS_STREAM)
        rc = head_of(s, entry->header.stream_id, &head, err);
    if (rc == 0)
        rc = filter_records(s, entry, head, &kept, err);
    if (rc != 0)
        return rc;
    if (kept == (uint32_t)s->batch.header.record_count) {
        *ret_batch = entry->batch;
        return 0;
    }
    ms_log_lock(s->store->log);
    int64_t partition_end = s->topic->next_offset[entry->header.partition];
    ms_log_unlock(s->store->log);
    if (kept == 0 && !is_last_word(entry, head, partition_end))
        return 0;
    close_batch(s, kept);
    *ret_batch = ms_buf_bytes(&s->scratch);
    return 0;
}

/* ---- retention by bytes needs to know what there is ---- */

static bool any_retention_bytes(struct ms_store *store) {
    bool any = false;
    pthread_rwlock_rdlock(&store->topics.lock);
    for (size_t i = 0; i < store->topics.by_number_count && !any; i++) {
        const struct ms_topic *topic = store->topics.by_number[i];
        any = topic != NULL && topic->settings.retention_bytes >= 0;
    }
    pthread_rwlock_unlock(&store->topics.lock);
    return any;
}

static int add_size(struct scavenge *s, const struct ms_log_entry *entry) {
    struct partition_bytes *size = size_of(s, entry);
    if (size == NULL) {
        struct partition_bytes *bigger = ms_realloc(s->sizes, (s->size_count + 1) * sizeof *bigger);
        if (bigger == NULL)
            return MS_ENOMEM;
        s->sizes = bigger;
        size = &s->sizes[s->size_count++];
        *size = (struct partition_bytes){
            .key = ((uint64_t)entry->header.topic << 16 | entry->header.partition) + 1};
    }
    size->left += entry->batch.len;
    return 0;
}

static int measure_partitions(struct scavenge *s, struct ms_error *err) {
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    int rc;
    ms_log_cursor_init(&cursor, s->store->log, 0);
    while ((rc = ms_log_cursor_next(&cursor, &entry, err)) > 0) {
        struct ms_topic *topic = ms_topics_at(s->store, entry.header.topic);
        bool wanted = topic != NULL && ms_topics_settings(s->store, topic).retention_bytes >= 0;
        if (wanted && add_size(s, &entry) != 0)
            rc = ms_error_set(err, MS_ENOMEM, "no memory for retention by bytes");
        if (rc < 0)
            break;
    }
    ms_log_cursor_deinit(&cursor);
    return rc;
}

/* ---- the run ---- */

static bool rewrite_should_stop(void *context) {
    const struct ms_scavenge_options *options = ((struct scavenge *)context)->options;
    return options->stop != NULL && options->stop(options->context);
}

static int scavenge_segment(struct scavenge *s, const struct ms_segment_info *info,
                            struct ms_scavenge_result *result, struct ms_error *err) {
    struct ms_rewrite_options options = {
        .segment = info->first_position,
        .visit = visit_entry,
        .context = s,
        .bytes_per_second = s->options->bytes_per_second,
        .keep_above_percent = s->options->all ? 1000 : GAIN_PERCENT,
        .stop = rewrite_should_stop,
    };
    struct ms_rewrite_result rewrite;
    s->removed = 0;
    int rc = ms_log_rewrite(s->store->log, &options, &rewrite, err);
    if (rc != 0)
        return rc;
    struct ms_store_metrics *metrics = &s->store->metrics;
    result->bytes_before += rewrite.bytes_before;
    result->bytes_after += rewrite.replaced ? rewrite.bytes_after : rewrite.bytes_before;
    result->rewritten += rewrite.replaced;
    ms_counter_add(&metrics->scavenge_read_bytes, rewrite.bytes_before);
    ms_counter_add(&metrics->scavenge_written_bytes, rewrite.bytes_after);
    if (rewrite.replaced) {
        result->events_removed += s->removed;
        ms_counter_add(&metrics->scavenged_segments, 1);
        ms_counter_add(&metrics->scavenged_events, s->removed);
    }
    return 0;
}

static int scavenge_all(struct scavenge *s, struct ms_scavenge_result *result,
                        struct ms_error *err) {
    size_t max = ms_log_segments(s->store->log, NULL, 0);
    struct ms_segment_info *infos = ms_calloc(max + 1, sizeof *infos);
    if (infos == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory to scavenge");
    size_t count = ms_log_segments(s->store->log, infos, max);
    count = count < max ? count : max;
    int rc = any_retention_bytes(s->store) ? measure_partitions(s, err) : 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (infos[i].sealed) {
            rc = scavenge_segment(s, &infos[i], result, err);
            result->segments++;
        }
        if (s->options->on_progress != NULL)
            s->options->on_progress(s->options->context, i + 1, count);
    }
    ms_free(infos);
    return rc;
}

int ms_store_scavenge(struct ms_store *store, const struct ms_scavenge_options *options,
                      struct ms_scavenge_result *ret_result, struct ms_error *err) {
    struct ms_scavenge_result result = {0};
    if (pthread_mutex_trylock(&store->scavenge_lock) != 0)
        return ms_error_set(err, MS_EAGAIN, "a scavenge is running");
    struct scavenge s = {
        .store = store,
        .options = options,
        .now_ms = ms_clock_now_us(store->env->clock) / 1000,
        .heads = ms_calloc(HEAD_CACHE, sizeof(struct ms_head)),
    };
    ms_buf_init(&s.scratch, DECOMPRESSED_MAX);
    ms_counter_add(&store->metrics.scavenges, 1);
    int rc = s.heads != NULL ? 0 : ms_error_set(err, MS_ENOMEM, "no memory to scavenge");
    if (rc == 0)
        rc = scavenge_all(&s, &result, err);
    pthread_mutex_unlock(&store->scavenge_lock);
    ms_free(s.heads);
    ms_free(s.sizes);
    ms_batch_reader_deinit(&s.batch);
    ms_buf_deinit(&s.scratch);
    *ret_result = result;
    return rc;
}

/* ---- on a schedule ---- */

static bool asked_to_stop(void *context) {
    return atomic_load(&((struct ms_store *)context)->scavenger.stop);
}

static void wait_interval(struct ms_store *store) {
    struct ms_scavenger *scavenger = &store->scavenger;
    struct timespec until;
    timespec_get(&until, TIME_UTC);
    int64_t ms = store->options.scavenge_interval_ms;
    until.tv_sec += (time_t)(ms / 1000) + 1;
    pthread_mutex_lock(&scavenger->lock);
    int rc = 0;
    while (!atomic_load(&scavenger->stop) && rc == 0)
        rc = pthread_cond_timedwait(&scavenger->wake, &scavenger->lock, &until);
    pthread_mutex_unlock(&scavenger->lock);
}

static void *scavenger_main(void *argument) {
    struct ms_store *store = argument;
    struct ms_scavenge_options options = {
        .bytes_per_second = store->options.scavenge_bytes_per_second,
        .stop = asked_to_stop,
        .context = store,
    };
    for (;;) {
        struct ms_scavenge_result result;
        wait_interval(store);
        if (atomic_load(&store->scavenger.stop))
            return NULL;
        /* A failure shows in the metrics (segments looked at, none rewritten) and is tried again.
         * */
        ms_ignore(ms_store_scavenge(store, &options, &result, NULL));
    }
}

int ms_scavenger_start(struct ms_store *store) {
    struct ms_scavenger *scavenger = &store->scavenger;
    const struct ms_store_options *options = &store->options;
    if (options->scavenge_interval_ms <= 0 || options->manual || options->read_only)
        return 0;
    pthread_mutex_init(&scavenger->lock, NULL);
    pthread_cond_init(&scavenger->wake, NULL);
    scavenger->started = pthread_create(&scavenger->thread, NULL, scavenger_main, store) == 0;
    return scavenger->started ? 0 : MS_ENOMEM;
}

void ms_scavenger_stop(struct ms_store *store) {
    struct ms_scavenger *scavenger = &store->scavenger;
    if (!scavenger->started)
        return;
    pthread_mutex_lock(&scavenger->lock);
    atomic_store(&scavenger->stop, true);
    pthread_cond_signal(&scavenger->wake);
    pthread_mutex_unlock(&scavenger->lock);
    pthread_join(scavenger->thread, NULL);
    scavenger->started = false;
}
