/*
 * Which records are wanted, and what stands in an entry's place; scavenge.c lists what is dead. The
 * scavenger's thread.
 */
#include "base/endian.h"
#include "store/scavenge.h"

enum {
    BATCH_AT_LENGTH = 8,
    BATCH_AT_ATTRIBUTES = 21,
    BATCH_AT_COUNT = 57,
};

/* ---- who is wanted ---- */

int ms_scavenge_head(struct ms_scavenge *s, const struct ms_stream_id *id,
                     struct ms_head **ret_head, struct ms_error *err) {
    uint32_t hash;
    memcpy(&hash, id->bytes, sizeof hash);
    struct ms_head *head = &s->heads[hash % MS_SCAVENGE_HEADS];
    *ret_head = head;
    if (head->used && memcmp(head->id.bytes, id->bytes, MS_STREAM_ID_LEN) == 0)
        return 0;
    int rc = ms_heads_resolve(s->store, id, head, err);
    head->used = rc == 0;
    if (rc == 0 && (head->rules.max_age_ms > 0 || head->rules.max_count > 0))
        s->rules_act = true;
    return rc;
}

bool ms_scavenge_precedes_streams(const struct ms_scavenge *s, const struct ms_log_entry *entry) {
    return s->settings.streams &&
           entry->header.first_position < atomic_load(&s->topic->versions_end);
}

bool ms_scavenge_newest_only(const struct ms_scavenge *s) {
    return s->settings.compact || s->topic->number == MS_TOPIC_METADATA ||
           s->topic->number == MS_TOPIC_SNAPSHOTS || s->topic->number == MS_TOPIC_STARTS;
}

static bool stream_event_dead(const struct ms_scavenge *s, const struct ms_head *head,
                              int64_t version, int64_t timestamp_ms) {
    const struct ms_stream_rules *rules = &head->rules;
    if (rules->tombstoned)
        return version < head->version;
    if (version < ms_head_first_readable(head))
        return true;
    if (rules->max_age_ms > 0 && timestamp_ms < s->now_ms - rules->max_age_ms)
        return true;
    return ms_scavenge_newest_only(s) && version < head->version;
}

static bool too_old(const struct ms_scavenge *s, int64_t timestamp_ms) {
    return s->retains && s->settings.retention_ms >= 0 &&
           timestamp_ms < s->now_ms - s->settings.retention_ms;
}

struct ms_partition_bytes *ms_scavenge_size(struct ms_scavenge *s,
                                            const struct ms_log_entry *entry) {
    uint64_t key = ((uint64_t)entry->header.topic << 16 | entry->header.partition) + 1;
    for (size_t i = 0; i < s->size_count; i++)
        if (s->sizes[i].key == key)
            return &s->sizes[i];
    return NULL;
}

/* The partition still holds more than it may, this entry being its oldest: it goes. */
static bool beyond_bytes(struct ms_scavenge *s, const struct ms_log_entry *entry) {
    bool bounded = s->retains && s->settings.retention_bytes >= 0;
    struct ms_partition_bytes *size = bounded ? ms_scavenge_size(s, entry) : NULL;
    if (size == NULL || size->left <= (uint64_t)s->settings.retention_bytes)
        return false;
    size->left -= entry->batch.len < size->left ? entry->batch.len : size->left;
    return true;
}

static int64_t partition_end(struct ms_scavenge *s, const struct ms_log_entry *entry) {
    ms_log_lock(s->store->log);
    int64_t end = ms_topic_partition(s->topic, entry->header.partition)->next_offset;
    ms_log_unlock(s->store->log);
    return end; /* what is not durable yet is waited for before anything is replaced */
}

/* Offsets below it are beyond the topic's count. */
static int64_t first_counted(struct ms_scavenge *s, const struct ms_log_entry *entry) {
    int64_t count = s->settings.retention_count;
    return s->retains && count >= 0 ? partition_end(s, entry) - count : INT64_MIN;
}

static bool compacted(struct ms_scavenge *s, const struct ms_log_entry *entry, bool aborted,
                      const struct ms_record *record) {
    if (!s->compacts ||
        !ms_compaction_removes(&s->compaction, &s->settings, entry, aborted, record))
        return false;
    /* It has waited since the segment was cleaned at the longest: one rewrite in that time will do,
     * however often something is superseded. */
    int64_t lag_max_ms = s->settings.compaction_lag_max_ms;
    int64_t since_ms =
        entry->commit_time_ms > s->cleaned_ms ? entry->commit_time_ms : s->cleaned_ms;
    s->overdue |= lag_max_ms > 0 && s->now_ms - since_ms > lag_max_ms;
    return true;
}

static bool is_last_word(const struct ms_log_entry *entry, const struct ms_head *head,
                         int64_t end_offset) {
    if (head != NULL && entry->header.first_version + entry->record_count - 1 == head->version)
        return true;
    return entry->first_offset + entry->record_count == end_offset;
}

/* ---- records ---- */

bool ms_scavenge_expired(struct ms_scavenge *s, const struct ms_scavenge_bounds *bounds,
                         int64_t offset, int64_t timestamp_ms) {
    if (!bounds->all_expired && offset >= bounds->counted && !too_old(s, timestamp_ms))
        return false;
    if (offset >= bounds->partition->expired_end)
        bounds->partition->expired_end = offset + 1;
    return true;
}

/* Of a transaction's batch only offsets count then; scavenge_txn.c. */
static bool has_versions_apart(const struct ms_scavenge *s, const struct ms_log_entry *entry) {
    const unsigned others =
        MS_ENTRY_HAS_STREAM | MS_ENTRY_PENDING | MS_ENTRY_CONTROL | MS_ENTRY_COMMIT;
    return !(entry->header.flags & others) && ms_scavenge_precedes_streams(s, entry);
}

/* 1, 0 or an error. The last word on its stream is the page's that says its version. */
static int apart_dead(struct ms_scavenge *s, const struct ms_log_entry *entry,
                      const struct ms_record *record, struct ms_error *err) {
    struct ms_head *head;
    int64_t version;
    uint64_t position =
        entry->header.first_position + (uint64_t)(record->offset - entry->first_offset);
    if (record->key_is_null)
        return 0;
    struct ms_stream_id id = ms_stream_id_of(s->store, s->topic, record->key);
    int rc = ms_scavenge_head(s, &id, &head, err);
    if (rc == 0)
        rc = ms_versions_find(&s->versions, s->topic, position, &version, err);
    if (rc != 0)
        return rc;
    return version >= 0 && stream_event_dead(s, head, version, record->timestamp_ms);
}

static bool page_dead(const struct ms_scavenge *s, const struct ms_record *record) {
    const struct ms_topic *topic = ms_versions_topic(s->store, record->key);
    return topic != NULL && atomic_load(&topic->deleted);
}

/* 1, 0 or an error. */
static int record_dead(struct ms_scavenge *s, const struct ms_log_entry *entry,
                       const struct ms_scavenge_bounds *bounds, const struct ms_record *record,
                       struct ms_error *err) {
    int64_t offset = record->offset;
    if (ms_scavenge_expired(s, bounds, offset, record->timestamp_ms))
        return true;
    if (bounds->deleted || offset < bounds->start)
        return true;
    if (s->topic->number == MS_TOPIC_STARTS && ms_starts_is_dead(s->store, record->value))
        return true;
    if (bounds->apart)
        return apart_dead(s, entry, record, err);
    if (s->topic->number == MS_TOPIC_VERSIONS)
        return page_dead(s, record);
    if (bounds->head == NULL)
        return compacted(s, entry, bounds->aborted, record);
    int64_t version = bounds->first_version;
    if (version >= 0)
        version += offset - entry->first_offset;
    if (entry->header.flags & MS_ENTRY_PENDING)
        return ms_scavenge_pending_dead(s, bounds, version, record->timestamp_ms);
    return stream_event_dead(s, bounds->head, version, record->timestamp_ms);
}

void ms_scavenge_bound(struct ms_scavenge *s, const struct ms_log_entry *entry,
                       struct ms_scavenge_bounds *bounds) {
    bounds->partition = ms_topic_partition(s->topic, entry->header.partition);
    bounds->deleted = atomic_load(&s->topic->deleted);
    bounds->apart = has_versions_apart(s, entry);
    bounds->all_expired = beyond_bytes(s, entry);
    bounds->counted = first_counted(s, entry);
    bounds->start = ms_partition_start(bounds->partition);
}

static int filter_records(struct ms_scavenge *s, const struct ms_log_entry *entry,
                          const struct ms_scavenge_bounds *bounds, uint32_t *ret_kept,
                          struct ms_error *err) {
    struct ms_record record;
    uint32_t kept = 0;
    ms_buf_clear(&s->scratch);
    int rc = ms_buf_append(&s->scratch, entry->batch.data, MS_BATCH_HEADER_LEN);
    if (rc == 0)
        rc = ms_batch_reader_init(&s->batch, entry->batch, MS_SCAVENGE_BATCH_MAX, err);
    while (rc == 0) {
        size_t at = s->batch.at;
        rc = ms_batch_reader_next(&s->batch, &record, err);
        if (rc <= 0)
            break;
        int dead = record_dead(s, entry, bounds, &record, err);
        if (dead < 0)
            return dead;
        rc = dead ? ms_scavenge_note_loss(s, entry, bounds->aborted, record.offset, err)
                  : ms_buf_append(&s->scratch, s->batch.records.data + at, s->batch.at - at);
        kept += dead == 0;
        s->removed += dead > 0;
    }
    if (rc == 0)
        *ret_kept = kept;
    return rc;
}

/* A producer that may go on may send it again, and numbers its next batch from there: that must be
 * known also to an index that is made anew. */
static bool is_remembered(struct ms_scavenge *s, const struct ms_log_entry *entry,
                          const struct ms_scavenge_bounds *bounds) {
    int64_t id = s->batch.header.producer_id;
    if (id < 0 || entry->first_offset + entry->record_count <= bounds->start ||
        s->now_ms - entry->commit_time_ms > MS_PRODUCER_IDLE_MS)
        return false;
    ms_log_lock(s->store->log);
    const struct ms_producer *producer = ms_producer_find(&bounds->partition->producers, id);
    bool remembered = producer != NULL && ms_producer_remembers(producer, entry->first_offset);
    ms_log_unlock(s->store->log);
    return remembered;
}

/* Nothing of it is wanted. What is last of something that is gone as a whole is no last word. */
static bool stays_empty(struct ms_scavenge *s, const struct ms_log_entry *entry,
                        const struct ms_scavenge_bounds *bounds) {
    const struct ms_head *head = bounds->head;
    if (bounds->deleted)
        return false;
    if (s->topic->number == MS_TOPIC_STARTS && s->batch.header.record_count > 0)
        head = NULL; /* only a deleted topic's newest start is dead */
    if (entry->header.flags & MS_ENTRY_PENDING)
        head = NULL;
    return is_last_word(entry, head, partition_end(s, entry)) || is_remembered(s, entry, bounds) ||
           (s->compacts && ms_compaction_keeps_producer(&s->compaction, entry, &s->batch.header));
}

static int judge_records(struct ms_scavenge *s, const struct ms_log_entry *entry,
                         struct ms_scavenge_verdict *verdict, struct ms_error *err) {
    struct ms_scavenge_bounds bounds = {.first_version = entry->header.first_version};
    struct ms_stream_id id;
    struct ms_head *head = NULL;
    bool open = false;
    int rc = 0;
    memcpy(id.bytes, entry->header.stream_id, MS_STREAM_ID_LEN);
    if (entry->header.flags & MS_ENTRY_PENDING)
        rc = ms_scavenge_bound_pending(s, entry, &bounds, &open, err);
    else if (entry->header.flags & MS_ENTRY_HAS_STREAM)
        rc = ms_scavenge_head(s, &id, &head, err);
    verdict->whole = open;
    if (rc == 0 && !open) {
        bounds.head = head != NULL ? head : bounds.head;
        ms_scavenge_bound(s, entry, &bounds);
        rc = filter_records(s, entry, &bounds, &verdict->kept, err);
        uint32_t count = (uint32_t)s->batch.header.record_count;
        verdict->whole = rc == 0 && verdict->kept > 0 && verdict->kept == count;
        verdict->goes = rc == 0 && verdict->kept == 0 && !stays_empty(s, entry, &bounds);
        verdict->total = MS_BATCH_HEADER_LEN + s->batch.records.len;
        verdict->after = s->scratch.len;
    }
    if (rc == 0 && !verdict->goes && (entry->header.flags & MS_ENTRY_PENDING))
        rc = ms_scavenge_note_pending(s, entry, err);
    return rc;
}

/* ---- what stands in an entry's place ---- */

/* The batch with `count` records whose bytes follow its header in scratch. */
static void close_batch(struct ms_scavenge *s, uint32_t count) {
    uint8_t *bytes = s->scratch.data;
    ms_put_be32(bytes + BATCH_AT_LENGTH, (uint32_t)(s->scratch.len - 12));
    uint16_t attributes = ms_get_be16(bytes + BATCH_AT_ATTRIBUTES);
    ms_put_be16(bytes + BATCH_AT_ATTRIBUTES, (uint16_t)(attributes & ~MS_BATCH_CODEC_MASK));
    ms_put_be32(bytes + BATCH_AT_COUNT, count);
    ms_put_be32(bytes + MS_BATCH_OFFSET_CRC,
                ms_crc32c(0, bytes + MS_BATCH_CRC_START, s->scratch.len - MS_BATCH_CRC_START));
}

/* ---- entries ---- */

static int enter_topic(struct ms_scavenge *s, const struct ms_log_entry *entry,
                       struct ms_error *err) {
    if (s->topic != NULL && s->topic->number == entry->header.topic)
        return 0;
    s->topic = ms_topics_at(s->store, entry->header.topic);
    if (s->topic == NULL)
        return ms_error_set(err, MS_ECORRUPT, "position %llu belongs to no topic",
                            (unsigned long long)entry->header.first_position);
    s->settings = ms_topics_settings(s->store, s->topic);
    s->retains = !s->settings.compact || !s->settings.retention_ignored;
    s->compacts = s->compaction.any && ms_compaction_wants(&s->settings);
    return 0;
}

int ms_scavenge_judge(struct ms_scavenge *s, const struct ms_log_entry *entry,
                      struct ms_scavenge_verdict *ret_verdict, struct ms_error *err) {
    struct ms_scavenge_verdict verdict = {.total = entry->batch.len, .after = entry->batch.len};
    int rc = enter_topic(s, entry, err);
    if (rc != 0)
        return rc;
    if (entry->header.flags & MS_ENTRY_COMMIT)
        rc = ms_scavenge_judge_commit(s, entry, &verdict, err);
    else if (entry->header.flags & MS_ENTRY_CONTROL)
        rc = ms_scavenge_judge_marker(s, entry, &verdict, err);
    else
        rc = judge_records(s, entry, &verdict, err);
    if (verdict.whole)
        verdict.after = verdict.total;
    else if (verdict.goes)
        verdict.after = 0;
    *ret_verdict = verdict;
    return rc;
}

int ms_scavenge_visit(void *context, const struct ms_log_entry *entry, struct ms_bytes *ret_batch,
                      struct ms_error *err) {
    struct ms_scavenge *s = context;
    struct ms_scavenge_verdict verdict;
    int rc = ms_scavenge_judge(s, entry, &verdict, err);
    if (rc != 0 || verdict.goes)
        return rc;
    if (verdict.whole) {
        *ret_batch = entry->batch;
        return 0;
    }
    close_batch(s, verdict.kept);
    *ret_batch = ms_buf_bytes(&s->scratch);
    return 0;
}
