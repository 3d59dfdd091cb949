/*
 * The scavenger: the one mechanism of removal (DESIGN section 3).
 *
 * Everything else only marks. A scavenge goes over the sealed segments and decides for each event
 * whether it is still wanted:
 *
 *   dead when its topic was deleted · its stream was tombstoned, or deleted or truncated behind it
 *   · it is older than $maxAge or the topic's retention · it is beyond $maxCount, or beyond what
 *   each partition of the topic keeps: retention_bytes of what is still stored, the newest
 *   retention_count of the offsets ever given · it is not the newest of its stream in a compacted
 *   topic, in "$metadata" or in "$snapshots"
 *
 * The last word on a stream and on a partition stays, without its records if it is dead: an empty
 * batch that spans the same offsets, so that an index folded anew knows the same heads.
 * src/log/rewrite.c does the writing. Scavenger's thread, or the caller's.
 */
#include "base/alloc.h"
#include "base/endian.h"
#include "log/rewrite.h"
#include "store/internal.h"
#include "wire/compress.h"

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
    bool rules_act; /* rules were met that mark events without anybody's doing */
    bool frugal;
    bool changed; /* frugal: something may have been marked since the last pass */
    int64_t started_us;
    uint64_t looked_bytes; /* by looking, for the throttle */
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
    if (rc == 0 && (head->rules.max_age_ms > 0 || head->rules.max_count > 0))
        s->rules_act = true;
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

static int64_t partition_end(struct scavenge *s, const struct ms_log_entry *entry) {
    ms_log_lock(s->store->log);
    int64_t end = ms_topic_partition(s->topic, entry->header.partition)->next_offset;
    ms_log_unlock(s->store->log);
    return end; /* what is not durable yet is waited for before anything is replaced */
}

/* Offsets below it are beyond the topic's count. */
static int64_t first_counted(struct scavenge *s, const struct ms_log_entry *entry) {
    int64_t count = s->settings.retention_count;
    return count >= 0 ? partition_end(s, entry) - count : INT64_MIN;
}

static bool is_last_word(const struct ms_log_entry *entry, const struct ms_head *head,
                         int64_t end_offset) {
    if (head != NULL && entry->header.first_version + entry->record_count - 1 == head->version)
        return true;
    return entry->first_offset + entry->record_count == end_offset;
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
    int64_t counted = first_counted(s, entry);
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
        bool dead = all_dead || record.offset < counted ||
                    topic_event_dead(s, record.timestamp_ms) ||
                    (head != NULL && stream_event_dead(s, head, version, record.timestamp_ms));
        rc = dead ? 0 : ms_buf_append(&s->scratch, s->batch.records.data + at, s->batch.at - at);
        kept += !dead;
        s->removed += dead;
    }
    if (rc == 0)
        *ret_kept = kept;
    return rc;
}

/* Leaves what is wanted of the entry in scratch. *ret_head is NULL for one of no stream. */
static int judge_entry(struct scavenge *s, const struct ms_log_entry *entry, uint32_t *ret_kept,
                       struct ms_head **ret_head, struct ms_error *err) {
    *ret_head = NULL;
    if (s->topic == NULL || s->topic->number != entry->header.topic) {
        s->topic = ms_topics_at(s->store, entry->header.topic);
        if (s->topic == NULL)
            return ms_error_set(err, MS_ECORRUPT, "position %llu belongs to no topic",
                                (unsigned long long)entry->header.first_position);
        s->settings = ms_topics_settings(s->store, s->topic);
    }
    int rc = 0;
    if (entry->header.flags & MS_ENTRY_HAS_STREAM)
        rc = head_of(s, entry->header.stream_id, ret_head, err);
    return rc == 0 ? filter_records(s, entry, *ret_head, ret_kept, err) : rc;
}

static int visit_entry(void *context, const struct ms_log_entry *entry, struct ms_bytes *ret_batch,
                       struct ms_error *err) {
    struct scavenge *s = context;
    struct ms_head *head;
    uint32_t kept = 0;
    int rc = judge_entry(s, entry, &kept, &head, err);
    if (rc != 0)
        return rc;
    if (kept == (uint32_t)s->batch.header.record_count) {
        *ret_batch = entry->batch;
        return 0;
    }
    if (kept == 0 && !is_last_word(entry, head, partition_end(s, entry)))
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

/* ---- looking before writing, for scheduled runs ---- */

#define SAMPLE_EVERY ((uint64_t)16 << 20)
#define SAMPLE_BYTES ((size_t)64 << 10)
#define SAMPLES_MAX ((size_t)4 << 20)
#define RETRY_SHARE 0.05 /* more must be dead than when rewriting was in vain */

struct look {
    uint64_t stored;      /* bytes of entries */
    uint64_t dead, total; /* bytes of records and batch headers, decompressed */
    struct ms_buf sample; /* of what is stored */
};

static int look_at_entry(struct scavenge *s, const struct ms_log_entry *entry, struct look *look,
                         struct ms_error *err) {
    struct ms_head *head;
    uint32_t kept = 0;
    int rc = judge_entry(s, entry, &kept, &head, err);
    if (rc == 0 && look->stored % SAMPLE_EVERY < SAMPLE_BYTES) {
        size_t len = entry->batch.len < SAMPLE_BYTES ? entry->batch.len : SAMPLE_BYTES;
        ms_ignore(ms_buf_append(&look->sample, entry->batch.data, len)); /* smaller then */
    }
    size_t total = MS_BATCH_HEADER_LEN + s->batch.records.len;
    look->stored += MS_ENTRY_HEADER_LEN + entry->batch.len;
    look->total += total;
    look->dead += kept > 0 ? total - s->scratch.len : total;
    return rc;
}

static int throttle_look(struct scavenge *s, uint64_t bytes, struct ms_error *err) {
    const struct ms_scavenge_options *options = s->options;
    struct ms_clock *clock = s->store->env->clock;
    if (options->stop != NULL && options->stop(options->context))
        return ms_error_set(err, MS_ECANCELED, "the scavenge was stopped");
    s->looked_bytes += bytes;
    if (options->bytes_per_second == 0)
        return 0;
    int64_t due_us = (int64_t)(s->looked_bytes * 1000000 / options->bytes_per_second);
    int64_t now_us = ms_clock_monotonic_us(clock) - s->started_us;
    if (due_us > now_us + 1000)
        ms_clock_sleep_us(clock, due_us - now_us);
    return 0;
}

static int look_at_segment(struct scavenge *s, const struct ms_segment_info *info,
                           struct look *look, struct ms_error *err) {
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    int rc = 0;
    s->started_us = ms_clock_monotonic_us(s->store->env->clock);
    s->looked_bytes = 0;
    ms_log_cursor_init(&cursor, s->store->log, info->first_position);
    cursor.read_bytes = (size_t)256 << 10;
    while (rc == 0 && cursor.next_position < info->end_position) {
        rc = ms_log_cursor_next(&cursor, &entry, err);
        if (rc <= 0 || entry.header.first_position >= info->end_position)
            break;
        rc = look_at_entry(s, &entry, look, err);
        if (rc == 0)
            rc = throttle_look(s, MS_ENTRY_HEADER_LEN + entry.batch.len, err);
    }
    ms_log_cursor_deinit(&cursor);
    ms_counter_add(&s->store->metrics.scavenge_read_bytes, info->bytes);
    return rc < 0 ? rc : 0;
}

/* What compression leaves of the sample. */
static double compressed_share(const struct look *look) {
    struct ms_buf out;
    double share = 1;
    ms_buf_init(&out, 2 * SAMPLES_MAX);
    if (look->sample.len > 0 &&
        ms_compress(MS_CODEC_ZSTD, 1, ms_buf_bytes(&look->sample), &out) == 0)
        share = (double)out.len / (double)look->sample.len;
    ms_buf_deinit(&out);
    return share < 1 ? share : 1;
}

static struct ms_scavenge_memo *memo_of(struct ms_scavenger *scavenger, uint64_t segment) {
    size_t low = 0, high = scavenger->memo_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (scavenger->memos[middle].segment < segment)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < scavenger->memo_count && scavenger->memos[low].segment == segment;
    return found ? &scavenger->memos[low] : NULL;
}

/* Segments come in order and new ones are the last, so a new memo is too. */
static int remember(struct ms_scavenger *scavenger, const struct ms_segment_info *info,
                    uint64_t bytes, double dead_min) {
    struct ms_scavenge_memo *memo = memo_of(scavenger, info->first_position);
    if (memo == NULL) {
        size_t count = scavenger->memo_count;
        struct ms_scavenge_memo *memos = ms_realloc(scavenger->memos, (count + 1) * sizeof *memos);
        if (memos == NULL)
            return MS_ENOMEM;
        scavenger->memos = memos;
        memo = &memos[count];
        scavenger->memo_count++;
    }
    *memo = (struct ms_scavenge_memo){info->first_position, bytes, dead_min};
    return 0;
}

/* ---- the run ---- */

static bool rewrite_should_stop(void *context) {
    const struct ms_scavenge_options *options = ((struct scavenge *)context)->options;
    return options->stop != NULL && options->stop(options->context);
}

/* Retention by bytes is counted down by looking, and counted again by rewriting, and again when
 * that is tried anew. */
static struct partition_bytes *copy_sizes(const struct scavenge *s) {
    struct partition_bytes *copy = ms_calloc(s->size_count + 1, sizeof *copy);
    if (copy != NULL && s->size_count > 0)
        memcpy(copy, s->sizes, s->size_count * sizeof *copy);
    return copy;
}

/* When the space runs out, what was free may have gone to new appends meanwhile: the log gives a
 * second attempt the room that it keeps for it. */
static int rewrite_segment(struct scavenge *s, const struct ms_rewrite_options *options,
                           struct ms_rewrite_result *ret_rewrite, struct ms_error *err) {
    struct partition_bytes *sizes = copy_sizes(s);
    if (sizes == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory to scavenge");
    int rc = MS_ENOSPC;
    for (int attempt = 0; attempt < 2 && rc == MS_ENOSPC; attempt++) {
        if (s->size_count > 0)
            memcpy(s->sizes, sizes, s->size_count * sizeof *sizes);
        s->removed = 0;
        rc = ms_log_rewrite(s->store->log, options, ret_rewrite, err);
    }
    ms_free(sizes);
    return rc;
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
    int rc = rewrite_segment(s, &options, &rewrite, err);
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

/* Rewrites a segment when looking at it promises the gain. */
static int look_and_scavenge(struct scavenge *s, const struct ms_segment_info *info,
                             struct ms_scavenge_result *result, struct ms_error *err) {
    struct ms_scavenger *scavenger = &s->store->scavenger;
    const struct ms_scavenge_memo *memo = memo_of(scavenger, info->first_position);
    double dead_min = memo != NULL && memo->bytes == info->bytes ? memo->dead_min : 0;
    struct partition_bytes *sizes = copy_sizes(s);
    struct look look = {0};
    ms_buf_init(&look.sample, SAMPLES_MAX);
    int rc = sizes != NULL ? look_at_segment(s, info, &look, err) : MS_ENOMEM;
    double dead = look.total > 0 ? (double)look.dead / (double)look.total : 0;
    double left =
        info->rewritten ? (double)info->bytes : (double)look.stored * compressed_share(&look);
    ms_buf_deinit(&look.sample);
    bool worth = left * (1 - dead) * 100 <= (double)info->bytes * GAIN_PERCENT && dead >= dead_min;
    uint64_t rewritten = result->rewritten, bytes = info->bytes;
    if (rc == 0 && worth) {
        if (s->size_count > 0)
            memcpy(s->sizes, sizes, s->size_count * sizeof *sizes);
        uint64_t before = result->bytes_after;
        rc = scavenge_segment(s, info, result, err);
        bool in_vain = result->rewritten == rewritten;
        dead_min = in_vain ? dead + RETRY_SHARE : 0;
        bytes = result->bytes_after - before;
    }
    if (rc == 0)
        rc = remember(scavenger, info, bytes, dead_min);
    ms_free(sizes);
    return rc;
}

static int scavenge_sealed(struct scavenge *s, const struct ms_segment_info *info,
                           struct ms_scavenge_result *result, struct ms_error *err) {
    if (!s->frugal)
        return scavenge_segment(s, info, result, err);
    const struct ms_scavenge_memo *memo = memo_of(&s->store->scavenger, info->first_position);
    if (memo != NULL && memo->bytes == info->bytes && !s->changed)
        return 0;
    return look_and_scavenge(s, info, result, err);
}

/* One pass over the segments that are marked; those that there was no room to write anew stay
 * marked. Retention by bytes goes from the oldest on and skips none. */
static int scavenge_pass(struct scavenge *s, struct ms_segment_info *infos, size_t count,
                         struct ms_scavenge_result *result, size_t *ret_skipped,
                         struct ms_error *err) {
    int rc = 0;
    *ret_skipped = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (infos[i].sealed) {
            rc = scavenge_sealed(s, &infos[i], result, err);
            bool skip = rc == MS_ENOSPC && s->size_count == 0;
            infos[i].sealed = skip;
            *ret_skipped += skip;
            result->segments += !skip;
            rc = skip ? 0 : rc;
        }
        if (s->options->on_progress != NULL)
            s->options->on_progress(s->options->context, i + 1, count);
    }
    return rc;
}

/* On a full disk what is dead as a whole makes room for the rest. */
static int scavenge_all(struct scavenge *s, struct ms_scavenge_result *result,
                        struct ms_error *err) {
    size_t max = ms_log_segments(s->store->log, NULL, 0);
    struct ms_segment_info *infos = ms_calloc(max + 1, sizeof *infos);
    if (infos == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory to scavenge");
    size_t count = ms_log_segments(s->store->log, infos, max);
    count = count < max ? count : max;
    int rc = s->changed && any_retention_bytes(s->store) ? measure_partitions(s, err) : 0;
    size_t skipped = 1, before;
    while (rc == 0 && skipped > 0) {
        before = result->rewritten;
        rc = scavenge_pass(s, infos, count, result, &skipped, err);
        if (rc == 0 && skipped > 0 && result->rewritten == before)
            rc = MS_ENOSPC; /* *err says so already */
    }
    ms_free(infos);
    return rc;
}

int ms_scavenge_run(struct ms_store *store, const struct ms_scavenge_options *options, bool frugal,
                    struct ms_scavenge_result *ret_result, struct ms_error *err) {
    struct ms_scavenger *scavenger = &store->scavenger;
    struct ms_scavenge_result result = {0};
    uint64_t marks = ms_scavenge_marks(store);
    struct scavenge s = {
        .store = store,
        .options = options,
        .frugal = frugal,
        .changed = !frugal || !scavenger->passed || scavenger->marks != marks ||
                   scavenger->rules_act || ms_scavenge_topics_act(store),
        .now_ms = ms_clock_now_us(store->env->clock) / 1000,
        .heads = ms_calloc(HEAD_CACHE, sizeof(struct ms_head)),
    };
    ms_buf_init(&s.scratch, DECOMPRESSED_MAX);
    ms_counter_add(&store->metrics.scavenges, 1);
    int rc = s.heads != NULL ? 0 : ms_error_set(err, MS_ENOMEM, "no memory to scavenge");
    if (rc == 0)
        rc = scavenge_all(&s, &result, err);
    if (rc == 0 && frugal) {
        scavenger->passed = true;
        scavenger->marks = marks;
        scavenger->rules_act = s.rules_act;
    }
    pthread_mutex_unlock(&store->scavenge_lock);
    ms_free(s.heads);
    ms_free(s.sizes);
    ms_batch_reader_deinit(&s.batch);
    ms_buf_deinit(&s.scratch);
    *ret_result = result;
    return ms_error_settle(err, rc, "scavenge");
}

int ms_store_scavenge(struct ms_store *store, const struct ms_scavenge_options *options,
                      struct ms_scavenge_result *ret_result, struct ms_error *err) {
    if (ms_scavenge_lock(store) != 0)
        return ms_error_set(err, MS_EAGAIN, "a scavenge is running");
    return ms_scavenge_run(store, options, false, ret_result, err);
}
