/*
 * From a request to an op: names resolved, events checked and encoded as record batches (one per
 * stream), the terms they will be found by and the hashes they will be recognised by computed. All
 * on the caller's thread, before anything is locked. Afterwards the request's memory is not needed.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "store/internal.h"

#define OP_OVERHEAD_BYTES 512u
#define PARTS_MAX 10000u

uint64_t ms_event_id_hash(const struct ms_stream_id *stream, struct ms_bytes event_id) {
    uint64_t seed;
    memcpy(&seed, stream->bytes, sizeof seed);
    uint64_t hash = ms_hash64(event_id.data, event_id.len, seed);
    return hash != 0 ? hash : 1;
}

/* ---- parts ---- */

static int copy_bytes(struct ms_arena *arena, struct ms_bytes *bytes) {
    char *copy = ms_arena_strdup(arena, *bytes);
    if (copy == NULL)
        return MS_ENOMEM;
    *bytes = ms_bytes_of(copy, bytes->len);
    return 0;
}

/* The topic is not there: then the append will make it, if it adds anything to it. */
static int need_topic(struct ms_op *op, struct ms_bytes name, struct ms_op_part *part,
                      struct ms_error *err) {
    struct ms_op_topic *new = op->new_topics;
    while (new != NULL &&
           !ms_bytes_equal(ms_bytes_of(new->topic->name, new->topic->name_len), name))
        new = new->next;
    if (new == NULL) {
        new = ms_arena_zalloc(&op->arena, sizeof *new);
        int rc = new != NULL ? ms_topics_new(op->store, name, &new->topic, err)
                             : ms_error_set(err, MS_ENOMEM, "no memory for an append");
        if (rc != 0)
            return rc;
        new->next = op->new_topics;
        op->new_topics = new;
    }
    new->needed = new->needed || part->count > 0;
    part->ref.topic = new->topic;
    part->cold = (struct ms_head){.version = -1, .rules = MS_STREAM_RULES_NONE};
    part->cold_known = true; /* for ever: nobody else knows the topic's identity */
    part->cold_applied = UINT64_MAX;
    return 0;
}

static int resolve_part(struct ms_op *op, const struct ms_append_part *from,
                        struct ms_op_part *part, struct ms_error *err) {
    struct ms_store *store = op->store;
    struct ms_bytes topic_name, key;
    int rc = op->system ? 0 : ms_name_check_stream(from->stream, from->count == 0, err);
    if (rc == 0)
        rc = ms_name_split(from->stream, ms_name_bytes_max(store), &op->arena, &topic_name, &key,
                           err);
    part->of_stream = true;
    if (rc == 0)
        rc = ms_store_canonical_name(from->stream, &op->arena, &part->stream, err);
    if (rc != 0)
        return rc;
    part->ref.key = key;
    rc = copy_bytes(&op->arena, &part->stream);
    if (rc == 0)
        rc = copy_bytes(&op->arena, &part->ref.key);
    if (rc == MS_ENOMEM)
        return ms_error_set(err, rc, "no memory for an append");
    part->count = (uint32_t)from->count;
    part->ref.topic = ms_topics_find(store, topic_name);
    if (part->ref.topic == NULL)
        rc = need_topic(op, topic_name, part, err);
    else
        rc = ms_topic_check_streams(store, part->ref.topic, err);
    if (rc != 0)
        return rc;
    part->ref.id = part->cold.id = ms_stream_id_of(store, part->ref.topic, part->ref.key);
    ms_heads_prefetch(&store->heads, &part->ref.id);
    part->condition = from->condition;
    part->first_version = part->version = -1;
    return 0;
}

/* Id and time where the client left them open. */
static int complete_event(struct ms_op *op, struct ms_event *event, int64_t now_ms) {
    if (event->timestamp_ms == MS_TIMESTAMP_NONE)
        event->timestamp_ms = now_ms;
    if (event->id.data != NULL)
        return 0;
    char *text = ms_arena_alloc(&op->arena, MS_UUID_TEXT_LEN + 1);
    if (text == NULL)
        return MS_ENOMEM;
    struct ms_uuid uuid;
    ms_env_uuid_v7(op->store->env, &uuid);
    ms_uuid_format(&uuid, text);
    event->id = ms_bytes_of(text, MS_UUID_TEXT_LEN);
    return 0;
}

static int check_required(const struct ms_topic *topic, const struct ms_topic_settings *settings,
                          const struct ms_event *event, struct ms_error *err) {
    const char *missing = NULL;
    if (settings->require_source && event->source.data == NULL)
        missing = "source";
    if (settings->require_correlation_id && event->correlation_id.data == NULL)
        missing = "correlation_id";
    if (missing == NULL)
        return 0;
    return ms_error_set(err, MS_EINVAL, "topic '%s' requires the field '%s'", topic->name, missing);
}

struct part_encoder {
    struct ms_op *op;
    struct ms_op_part *part;
    struct ms_topic_settings settings;
    struct ms_batch_writer writer;
    struct ms_term_list terms;
    int64_t now_ms;
};

static int encode_event(struct part_encoder *encoder, const struct ms_event *given, size_t index,
                        struct ms_error *err) {
    struct ms_op *op = encoder->op;
    struct ms_event event = *given;
    int rc = ms_event_check(given, &op->store->options.limits, err);
    if (rc == 0)
        rc = check_required(encoder->part->ref.topic, &encoder->settings, given, err);
    if (rc != 0)
        return rc;
    encoder->part->ids_given += given->id.data != NULL;
    rc = complete_event(op, &event, encoder->now_ms);
    if (rc == 0) {
        encoder->part->id_hashes[index] = ms_event_id_hash(&encoder->part->ref.id, event.id);
        ms_window_prefetch(&op->store->window, encoder->part->id_hashes[index]);
        rc = ms_terms_add_event(&encoder->terms, &event);
    }
    if (rc == 0 && index == 0)
        rc = ms_batch_begin(&encoder->writer, &op->batches, encoder->settings.compression,
                            event.timestamp_ms);
    if (rc == 0)
        rc = ms_event_write_record(&encoder->writer, &event, &encoder->part->ref.key);
    if (rc != 0)
        return ms_error_set(err, rc,
                            rc == MS_ETOOBIG ? "the append is larger than %zu bytes"
                                             : "event can't be encoded (limit %zu bytes)",
                            op->store->options.limits.append_bytes_max);
    return 0;
}

static int encode_part(struct ms_op *op, const struct ms_append_part *from, struct ms_op_part *part,
                       struct ms_error *err) {
    struct part_encoder encoder = {
        .op = op,
        .part = part,
        .settings = ms_topics_settings(op->store, part->ref.topic),
        .terms = {.arena = &op->arena},
        .now_ms = ms_clock_now_us(op->store->env->clock) / 1000,
    };
    part->partition = ms_partition_of(part->ref.key, encoder.settings.partitions);
    if (part->count == 0)
        return 0;
    part->batch_at = op->batches.len;
    part->id_hashes = ms_arena_alloc(&op->arena, part->count * sizeof *part->id_hashes);
    int rc = part->id_hashes != NULL ? 0 : MS_ENOMEM;
    for (size_t i = 0; rc == 0 && i < part->count; i++) {
        rc = encode_event(&encoder, &from->events[i], i, err);
        if (rc != 0 && part->count > 1)
            ms_error_prefix(err, "event %zu", i);
    }
    if (rc == 0)
        rc = ms_batch_end(&encoder.writer);
    else
        ms_batch_abort(&encoder.writer);
    if (rc == 0)
        rc = ms_terms_add_topic(&encoder.terms, part->ref.topic);
    if (rc == MS_ENOMEM)
        return ms_error_set(err, rc, "no memory for an append");
    if (rc != 0)
        return rc;
    ms_terms_distinct(&encoder.terms);
    part->terms = encoder.terms.terms;
    part->term_count = encoder.terms.count;
    part->batch_len = op->batches.len - part->batch_at;
    return 0;
}

static int check_counts(struct ms_store *store, const struct ms_append_request *request,
                        struct ms_error *err) {
    size_t events = 0;
    for (size_t i = 0; i < request->part_count; i++)
        events += request->parts[i].count;
    if (request->part_count == 0 || request->part_count > PARTS_MAX)
        return ms_error_set(err, MS_EINVAL, "an append goes to 1 to %u streams, not %zu", PARTS_MAX,
                            request->part_count);
    if (events > store->options.limits.append_events_max)
        return ms_error_set(err, MS_ETOOBIG, "%zu events in one append, the limit is %zu", events,
                            store->options.limits.append_events_max);
    return 0;
}

static int compare_parts(const void *a, const void *b) {
    const struct ms_op_part *x = *(const struct ms_op_part *const *)a;
    const struct ms_op_part *y = *(const struct ms_op_part *const *)b;
    return memcmp(x->ref.id.bytes, y->ref.id.bytes, MS_STREAM_ID_LEN);
}

static int compare_hashes(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* A stream appears once in an append, an event id once in a stream. */
static int check_distinct(struct ms_op *op, struct ms_error *err) {
    struct ms_op_part **sorted = ms_arena_alloc(&op->arena, op->part_count * sizeof *sorted);
    if (sorted == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for an append");
    for (size_t i = 0; i < op->part_count; i++)
        sorted[i] = &op->parts[i];
    qsort(sorted, op->part_count, sizeof(*sorted), compare_parts);
    for (size_t i = 1; i < op->part_count; i++)
        if (compare_parts(&sorted[i - 1], &sorted[i]) == 0)
            return ms_error_set(err, MS_EINVAL, "stream '%.*s' appears twice in one append",
                                (int)sorted[i]->stream.len, sorted[i]->stream.data);
    return 0;
}

static int check_distinct_ids(struct ms_op *op, const struct ms_op_part *part,
                              struct ms_error *err) {
    if (part->count < 2 || part->ids_given == 0)
        return 0;
    uint64_t *sorted = ms_arena_alloc(&op->arena, part->count * sizeof *sorted);
    if (sorted == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for an append");
    memcpy(sorted, part->id_hashes, part->count * sizeof *sorted);
    qsort(sorted, part->count, sizeof *sorted, compare_hashes);
    for (size_t i = 1; i < part->count; i++)
        if (sorted[i] != 0 && sorted[i] == sorted[i - 1])
            return ms_error_set(err, MS_EINVAL, "an event id appears twice in one append to '%.*s'",
                                (int)part->stream.len, part->stream.data);
    return 0;
}

static int encode_all(struct ms_op *op, const struct ms_append_request *request,
                      struct ms_error *err) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < op->part_count; i++) {
        rc = resolve_part(op, &request->parts[i], &op->parts[i], err);
        if (rc == 0)
            rc = encode_part(op, &request->parts[i], &op->parts[i], err);
        if (rc == 0)
            rc = check_distinct_ids(op, &op->parts[i], err);
        if (rc != 0 && op->part_count > 1)
            ms_error_prefix(err, "append %zu", i);
    }
    if (rc == 0 && op->part_count > 1)
        rc = check_distinct(op, err);
    if (rc == 0 && op->batches.len > op->store->options.limits.append_bytes_max)
        rc = ms_error_set(err, MS_ETOOBIG, "the append has %zu bytes, the limit is %zu",
                          op->batches.len, op->store->options.limits.append_bytes_max);
    return rc;
}

int ms_op_new(struct ms_store *store, const struct ms_append_request *request,
              struct ms_op **ret_op, struct ms_error *err) {
    int rc = check_counts(store, request, err);
    if (rc != 0)
        return rc;
    struct ms_op *op = ms_op_take(&store->op_pool, store->options.limits.append_bytes_max +
                                                       OP_OVERHEAD_BYTES * request->part_count);
    if (op == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for an append");
    op->store = store;
    op->system = request->system;
    op->must_exist = op->must_reach = request->must_reach;
    op->wait = request->wait;
    op->part_count = request->part_count;
    op->parts = ms_arena_zalloc(&op->arena, op->part_count * sizeof *op->parts);
    op->results = ms_arena_zalloc(&op->arena, op->part_count * sizeof *op->results);
    rc = op->parts != NULL && op->results != NULL ? 0 : MS_ENOMEM;
    if (rc != 0)
        (void)ms_error_set(err, rc, "no memory for an append");
    else
        rc = encode_all(op, request, err);
    if (rc != 0) {
        ms_op_free(op);
        return rc;
    }
    op->budget = op->batches.len + OP_OVERHEAD_BYTES;
    *ret_op = op;
    return 0;
}

static void free_txn(struct ms_op *op) {
    for (size_t i = 0; i < op->part_count; i++) {
        ms_txn_pending_free(op->parts[i].pending);
        ms_free(op->parts[i].aborted);
        if (op->parts[i].kind == MS_PART_MARKER && op->sequenced)
            ms_free(op->parts[i].place); /* the log has stopped: it was never shown */
    }
    ms_free(op->spare_place);
    if (!op->sequenced) /* they are the transaction's still */
        return;
    ms_txn_pending_free(op->ended_pending);
    ms_txn_places_free(op->unwritten_places);
}

void ms_op_free(struct ms_op *op) {
    if (op == NULL)
        return;
    if (op->by_producer)
        free_txn(op);
    for (struct ms_op_topic *new = op->new_topics; new != NULL; new = new->next) {
        ms_op_free(new->creation);
        if (!new->entered)
            ms_topics_free(new->topic);
    }
    ms_op_give(&op->store->op_pool, op);
}
