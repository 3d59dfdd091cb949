/*
 * The scavenger: the one mechanism of removal (DESIGN section 3).
 *
 * Everything else only marks. A scavenge goes over the sealed segments and decides for each event
 * whether it is still wanted:
 *
 *   dead when its topic was deleted · its stream was tombstoned, or deleted or truncated behind it
 *   · it is older than $maxAge or the topic's retention · it is beyond $maxCount, or beyond what
 *   each partition of the topic keeps: retention_bytes of what is still stored, the newest
 *   retention_count of the offsets ever given · it lies before its partition's start · it is not
 *   the newest of its stream in a compacted topic, "$metadata", "$snapshots" or "$starts" · it is
 *   not the newest of its key in a compacted topic without streams (compaction.h) · it is the start
 *   of a deleted topic's partition, or a page of versions of such a topic
 *
 * What belongs to a transaction that is open stays; what ended ones leave: scavenge_txn.c.
 *
 * Afterwards partitions whose beginning expired begin behind it (starts.c).
 *
 * The last word on a stream and on a partition stays, without its records if it is dead: an empty
 * batch that spans the same offsets, so that an index folded anew knows the same heads.
 * scavenge_judge.c decides, src/log/rewrite.c writes. Scavenger's thread, or the caller's.
 */
#include "base/alloc.h"
#include "log/rewrite.h"
#include "store/scavenge.h"
#include "wire/compress.h"

#define GAIN_PERCENT 80u

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

static int add_size(struct ms_scavenge *s, const struct ms_log_entry *entry) {
    struct ms_partition_bytes *size = ms_scavenge_size(s, entry);
    if (size == NULL) {
        struct ms_partition_bytes *bigger =
            ms_realloc(s->sizes, (s->size_count + 1) * sizeof *bigger);
        if (bigger == NULL)
            return MS_ENOMEM;
        s->sizes = bigger;
        size = &s->sizes[s->size_count++];
        *size = (struct ms_partition_bytes){
            .key = ((uint64_t)entry->header.topic << 16 | entry->header.partition) + 1};
    }
    size->left += entry->batch.len;
    return 0;
}

static int measure_partitions(struct ms_scavenge *s, struct ms_error *err) {
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    int rc;
    ms_log_cursor_init(&cursor, s->store->log, 0);
    while ((rc = ms_log_cursor_next(&cursor, &entry, err)) > 0) {
        if (entry.header.flags & MS_ENTRY_COMMIT)
            continue; /* its batch counts */
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

static int look_at_entry(struct ms_scavenge *s, const struct ms_log_entry *entry, struct look *look,
                         struct ms_error *err) {
    struct ms_scavenge_verdict verdict;
    int rc = ms_scavenge_judge(s, entry, &verdict, err);
    if (rc == 0 && look->stored % SAMPLE_EVERY < SAMPLE_BYTES) {
        size_t len = entry->batch.len < SAMPLE_BYTES ? entry->batch.len : SAMPLE_BYTES;
        ms_ignore(ms_buf_append(&look->sample, entry->batch.data, len)); /* smaller then */
    }
    if (rc != 0)
        return rc;
    look->stored += MS_ENTRY_HEADER_LEN + entry->batch.len;
    look->total += verdict.total;
    look->dead += verdict.total - verdict.after;
    return 0;
}

static int throttle_look(struct ms_scavenge *s, uint64_t bytes, struct ms_error *err) {
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

static int look_at_segment(struct ms_scavenge *s, const struct ms_segment_info *info,
                           struct look *look, struct ms_error *err) {
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    int rc = 0;
    s->started_us = ms_clock_monotonic_us(s->store->env->clock);
    s->looked_bytes = 0;
    ms_scavenge_begin_segment(s);
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
                    const struct ms_scavenge_memo *news) {
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
    *memo = *news;
    return 0;
}

/* ---- the run ---- */

static bool rewrite_should_stop(void *context) {
    const struct ms_scavenge_options *options = ((struct ms_scavenge *)context)->options;
    return options->stop != NULL && options->stop(options->context);
}

/* Retention by bytes is counted down by looking, and counted again by rewriting, and again when
 * that is tried anew. */
static struct ms_partition_bytes *copy_sizes(const struct ms_scavenge *s) {
    struct ms_partition_bytes *copy = ms_calloc(s->size_count + 1, sizeof *copy);
    if (copy != NULL && s->size_count > 0)
        memcpy(copy, s->sizes, s->size_count * sizeof *copy);
    return copy;
}

/* When the space runs out, what was free may have gone to new appends meanwhile: the log gives a
 * second attempt the room that it keeps for it. */
static int rewrite_segment(struct ms_scavenge *s, const struct ms_rewrite_options *options,
                           struct ms_rewrite_result *ret_rewrite, struct ms_error *err) {
    struct ms_partition_bytes *sizes = copy_sizes(s);
    if (sizes == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory to scavenge");
    int rc = MS_ENOSPC;
    for (int attempt = 0; attempt < 2 && rc == MS_ENOSPC; attempt++) {
        if (s->size_count > 0)
            memcpy(s->sizes, sizes, s->size_count * sizeof *sizes);
        s->removed = 0;
        ms_scavenge_begin_segment(s);
        ms_scavenge_begin_losses(s);
        rc = ms_log_rewrite(s->store->log, options, ret_rewrite, err);
    }
    ms_scavenge_end_losses(s);
    ms_free(sizes);
    return rc;
}

static int scavenge_segment(struct ms_scavenge *s, const struct ms_segment_info *info,
                            struct ms_scavenge_result *result, struct ms_error *err) {
    struct ms_rewrite_options options = {
        .segment = info->first_position,
        .visit = ms_scavenge_visit,
        .context = s,
        .lost = ms_scavenge_lost,
        .bytes_per_second = s->options->bytes_per_second,
        .keep_above_percent = s->options->all || s->overdue ? 1000 : GAIN_PERCENT,
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
    result->bytes_written += rewrite.bytes_after;
    ms_counter_add(&metrics->scavenge_read_bytes, rewrite.bytes_before);
    ms_counter_add(&metrics->scavenge_written_bytes, rewrite.bytes_after);
    if (rewrite.replaced) {
        if (rewrite.bytes_after < rewrite.bytes_before)
            ms_counter_add(&metrics->scavenge_won_bytes,
                           rewrite.bytes_before - rewrite.bytes_after);
        result->events_removed += s->removed;
        ms_counter_add(&metrics->scavenged_segments, 1);
        ms_counter_add(&metrics->scavenged_events, s->removed);
    }
    return 0;
}

/* Rewrites a segment when looking at it promises the gain. */
static int look_and_scavenge(struct ms_scavenge *s, const struct ms_segment_info *info,
                             struct ms_scavenge_result *result, struct ms_error *err) {
    struct ms_scavenger *scavenger = &s->store->scavenger;
    const struct ms_scavenge_memo *memo = memo_of(scavenger, info->first_position);
    struct ms_scavenge_memo news = {info->first_position, info->bytes, 0, INT64_MIN};
    if (memo != NULL && memo->bytes == info->bytes)
        news = *memo;
    struct ms_partition_bytes *sizes = copy_sizes(s);
    struct look look = {0};
    ms_buf_init(&look.sample, SAMPLES_MAX);
    s->overdue = false;
    s->cleaned_ms = news.cleaned_ms;
    int rc = sizes != NULL ? look_at_segment(s, info, &look, err) : MS_ENOMEM;
    double dead = look.total > 0 ? (double)look.dead / (double)look.total : 0;
    double left =
        info->rewritten ? (double)info->bytes : (double)look.stored * compressed_share(&look);
    ms_buf_deinit(&look.sample);
    bool worth = s->overdue || (left * (1 - dead) * 100 <= (double)info->bytes * GAIN_PERCENT &&
                                dead >= news.dead_min);
    uint64_t rewritten = result->rewritten;
    if (rc == 0 && worth) {
        if (s->size_count > 0)
            memcpy(s->sizes, sizes, s->size_count * sizeof *sizes);
        uint64_t before = result->bytes_after;
        rc = scavenge_segment(s, info, result, err);
        bool in_vain = result->rewritten == rewritten;
        news.dead_min = in_vain ? dead + RETRY_SHARE : 0;
        news.cleaned_ms = in_vain ? news.cleaned_ms : s->now_ms;
        news.bytes = result->bytes_after - before;
    }
    if (rc == 0)
        rc = remember(scavenger, info, &news);
    ms_free(sizes);
    return rc;
}

static int scavenge_sealed(struct ms_scavenge *s, const struct ms_segment_info *info,
                           struct ms_scavenge_result *result, struct ms_error *err) {
    s->overdue = false;
    s->cleaned_ms = INT64_MIN;
    s->segment = *info;
    if (!s->frugal)
        return scavenge_segment(s, info, result, err);
    const struct ms_scavenge_memo *memo = memo_of(&s->store->scavenger, info->first_position);
    if (memo != NULL && memo->bytes == info->bytes && !s->changed)
        return 0;
    return look_and_scavenge(s, info, result, err);
}

/* One pass over the segments that are marked; those that there was no room to write anew stay
 * marked. Retention by bytes goes from the oldest on and skips none. */
static int scavenge_pass(struct ms_scavenge *s, struct ms_segment_info *infos, size_t count,
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
static int scavenge_all(struct ms_scavenge *s, struct ms_scavenge_result *result,
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

static int on_read_for_keys(void *context, uint64_t bytes, struct ms_error *err) {
    return throttle_look(context, bytes, err);
}

/* Keys that don't fit into memory together are compacted one after the other. */
static int scavenge_rounds(struct ms_scavenge *s, struct ms_scavenge_result *result,
                           struct ms_error *err) {
    int rc;
    s->compaction.on_read = on_read_for_keys;
    s->compaction.context = s;
    do {
        s->topic = NULL;
        s->started_us = ms_clock_monotonic_us(s->store->env->clock);
        s->looked_bytes = 0;
        rc = ms_compaction_build(&s->compaction, err);
        if (rc == 0)
            rc = scavenge_all(s, result, err);
    } while (rc == 0 && s->compaction.to != 0);
    return rc;
}

static void release(struct ms_scavenge *s) {
    ms_fates_deinit(&s->fates);
    ms_compaction_deinit(&s->compaction);
    ms_batch_reader_deinit(&s->batch);
    ms_versions_reader_deinit(&s->versions);
    ms_buf_deinit(&s->scratch);
    ms_log_cursor_deinit(&s->finder);
    ms_partition_reader_free(s->reader);
    ms_free(s->pending.slots);
    ms_free(s->lossy.slots);
    ms_losses_deinit(&s->losses);
    ms_free(s->heads);
    ms_free(s->sizes);
}

int ms_scavenge_run(struct ms_store *store, const struct ms_scavenge_options *options, bool frugal,
                    struct ms_scavenge_result *ret_result, struct ms_error *err) {
    struct ms_scavenger *scavenger = &store->scavenger;
    struct ms_scavenge_result result = {0};
    uint64_t marks = ms_scavenge_marks(store);
    struct ms_scavenge s = {
        .store = store,
        .options = options,
        .frugal = frugal,
        .changed = !frugal || !scavenger->passed || scavenger->marks != marks ||
                   scavenger->rules_act || ms_scavenge_topics_act(store),
        .now_ms = ms_clock_now_us(store->env->clock) / 1000,
        .heads = ms_calloc(MS_SCAVENGE_HEADS, sizeof(struct ms_head)),
    };
    ms_buf_init(&s.scratch, MS_SCAVENGE_BATCH_MAX);
    ms_versions_reader_init(&s.versions, store);
    ms_counter_add(&store->metrics.scavenges, 1);
    int rc = s.heads != NULL ? 0 : ms_error_set(err, MS_ENOMEM, "no memory to scavenge");
    ms_fates_init(&s.fates, store);
    ms_compaction_init(&s.compaction, store, &s.fates, s.now_ms);
    ms_log_cursor_init(&s.finder, store->log, 0);
    if (rc == 0)
        rc = scavenge_rounds(&s, &result, err);
    if (!store->options.read_only) /* where it fails, the next scavenge tries again */
        ms_ignore(ms_starts_follow(store, NULL));
    ms_fates_forget(&s.fates);
    if (rc == 0 && frugal) {
        scavenger->passed = true;
        scavenger->marks = marks;
        scavenger->rules_act = s.rules_act;
    }
    release(&s);
    pthread_mutex_unlock(&store->scavenge_lock);
    *ret_result = result;
    return ms_error_settle(err, rc, "scavenge");
}

double ms_scavenge_amplification(uint64_t bytes_written, uint64_t bytes_before,
                                 uint64_t bytes_after) {
    if (bytes_before <= bytes_after)
        return 0;
    return (double)bytes_written / (double)(bytes_before - bytes_after);
}

int ms_store_scavenge(struct ms_store *store, const struct ms_scavenge_options *options,
                      struct ms_scavenge_result *ret_result, struct ms_error *err) {
    if (ms_scavenge_lock(store) != 0)
        return ms_error_set(err, MS_EAGAIN, "a scavenge is running");
    return ms_scavenge_run(store, options, false, ret_result, err);
}
