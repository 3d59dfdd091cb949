/*
 * Where partitions begin. A partition's start offset is what it is told to be (DeleteRecords), and
 * follows retention once the scavenger has removed a beginning. It only grows.
 *
 *   "$starts"   one stream per partition, key "<topic's number>.<partition>"; events
 *               partition.trimmed, {"topic":17,"partition":3,"start_offset":4711}. The newest
 *               counts and is all that the scavenger leaves
 *   the index   fact "s/<topic's number>/<partition>": 8 bytes, the offset, in the machine's order
 *
 * A start is shown to readers when its event is durable. Readers of partitions see nothing before
 * it. Readers of streams and of everything do until the scavenger has removed it: what they see of
 * an event does not depend on the partition that it stands on.
 *
 * With the event the index forgets aborted transactions of the partition that no reader needs to be
 * told of any more: those before the start, and those that the scavenger has left nothing of.
 *
 * Threads: any, but for what is said to be the scavenger's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "store/internal.h"
#include "wire/json.h"

#define START_FACT_LEN 8u
#define TEXT_MAX 128u

static size_t start_fact_name(uint32_t number, uint32_t partition, char out[MS_FACT_NAME_MAX]) {
    return (size_t)snprintf(out, MS_FACT_NAME_MAX, "s/%08x/%04x", (unsigned)number,
                            (unsigned)partition);
}

int64_t ms_partition_start(const struct ms_partition *partition) {
    return atomic_load_explicit(&partition->start_offset, memory_order_acquire);
}

static void raise_start(struct ms_partition *partition, int64_t offset) {
    int64_t now = ms_partition_start(partition);
    while (now < offset && !atomic_compare_exchange_weak(&partition->start_offset, &now, offset))
        continue;
}

/* ---- folding ---- */

static int set_start(struct ms_store *store, int64_t number, int64_t partition, int64_t offset) {
    struct ms_topic *topic =
        number > 0 && number <= UINT32_MAX ? ms_topics_at(store, (uint32_t)number) : NULL;
    if (topic == NULL || partition < 0 || partition >= topic->settings.partitions || offset < 0)
        return MS_ECORRUPT;
    raise_start(ms_topic_partition(topic, (uint32_t)partition), offset);
    return 0;
}

static int load_start(void *context, struct ms_bytes name, struct ms_bytes value) {
    unsigned number, partition;
    int64_t offset;
    char text[MS_FACT_NAME_MAX + 1] = {0};
    if (name.len > MS_FACT_NAME_MAX || value.len != START_FACT_LEN)
        return MS_ECORRUPT;
    memcpy(text, name.data, name.len);
    if (sscanf(text, "s/%8x/%4x", &number, &partition) != 2)
        return MS_ECORRUPT;
    memcpy(&offset, value.data, sizeof offset);
    return set_start(context, number, partition, offset);
}

int ms_starts_load(struct ms_store *store, struct ms_error *err) {
    struct ms_bytes from = {0};
    return ms_index_fact_list(store->index, MS_BYTES_LITERAL("s/"), from, load_start, store, err);
}

static int64_t number_of(struct ms_json_value object, const char *name) {
    struct ms_json_value value;
    int64_t number;
    return ms_json_get(object, name, &value) && ms_json_i64(value, &number) == 0 ? number : -1;
}

static int fold_event(struct ms_store *store, struct ms_bytes json, uint64_t position,
                      struct ms_error *err) {
    struct ms_json_value object;
    char name[MS_FACT_NAME_MAX];
    int rc = ms_json_parse(json, 4, &object, err);
    if (rc == 0 && object.type != MS_JSON_OBJECT)
        rc = MS_ECORRUPT;
    if (rc != 0)
        return rc;
    int64_t number = number_of(object, "topic"), partition = number_of(object, "partition");
    int64_t offset = number_of(object, "start_offset");
    rc = set_start(store, number, partition, offset);
    if (rc != 0)
        return ms_error_set(err, rc, "position %llu: the start of no partition",
                            (unsigned long long)position);
    size_t len = start_fact_name((uint32_t)number, (uint32_t)partition, name);
    struct ms_index_fact fact = {
        .name = ms_bytes_of(name, len),
        .value = ms_bytes_of(&offset, sizeof offset),
    };
    return ms_index_apply(store->index, NULL, 0, &fact, 1, position);
}

int ms_starts_fold_entry(struct ms_store *store, const struct ms_log_entry *entry,
                         struct ms_error *err) {
    struct ms_batch_reader batch = {0};
    struct ms_record record;
    int rc = ms_batch_reader_init(&batch, entry->batch, (size_t)1 << 24, err);
    while (rc == 0 && (rc = ms_batch_reader_next(&batch, &record, err)) > 0)
        rc = fold_event(store, record.value, entry->header.first_position, err);
    ms_batch_reader_deinit(&batch);
    return rc;
}

bool ms_starts_is_dead(struct ms_store *store, struct ms_bytes json) {
    struct ms_json_value object;
    if (ms_json_parse(json, 4, &object, NULL) != 0 || object.type != MS_JSON_OBJECT)
        return false;
    int64_t number = number_of(object, "topic");
    struct ms_topic *topic =
        number > 0 && number <= UINT32_MAX ? ms_topics_at(store, (uint32_t)number) : NULL;
    return topic != NULL && atomic_load(&topic->deleted);
}

/* ---- aborted transactions ---- */

struct forgotten {
    int64_t *markers; /* their last offsets, in order */
    size_t count;
};

static int compare_offsets(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Those that end before the start. */
static int list_before(struct ms_store *store, const struct ms_partition *partition, int64_t start,
                       struct forgotten *ret_list) {
    size_t count = 0;
    struct forgotten list = {0};
    pthread_mutex_lock(&store->aborted_lock);
    for (const struct ms_aborted *a = partition->aborted; a != NULL; a = a->older)
        count += a->last_offset < start;
    list.markers = count > 0 ? ms_calloc(count, sizeof *list.markers) : NULL;
    for (const struct ms_aborted *a = partition->aborted; list.markers != NULL && a != NULL;
         a = a->older)
        if (a->last_offset < start)
            list.markers[list.count++] = a->last_offset;
    pthread_mutex_unlock(&store->aborted_lock);
    if (count > 0 && list.markers == NULL)
        return MS_ENOMEM;
    if (count > 0)
        qsort(list.markers, list.count, sizeof *list.markers, compare_offsets);
    *ret_list = list;
    return 0;
}

/* The index forgets them when the op's event is published. */
static int add_forgotten(struct ms_op *op, const struct ms_topic *topic, uint32_t partition,
                         const struct forgotten *list) {
    op->facts = ms_arena_zalloc(&op->arena, (list->count + 1) * sizeof *op->facts);
    uint8_t *names = ms_arena_alloc(&op->arena, (list->count + 1) * MS_ABORTED_NAME_LEN);
    if (op->facts == NULL || names == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; i < list->count; i++, names += MS_ABORTED_NAME_LEN) {
        ms_aborted_name(topic->number, partition, list->markers[i], names);
        op->facts[i].name = ms_bytes_of(names, MS_ABORTED_NAME_LEN);
        op->facts[i].remove = true;
    }
    op->fact_count = list->count;
    return 0;
}

static void unlist(struct ms_store *store, struct ms_partition *partition,
                   const struct forgotten *list) {
    struct ms_aborted *gone = NULL, **at = &partition->aborted;
    pthread_mutex_lock(&store->aborted_lock);
    while (list->count > 0 && *at != NULL) {
        struct ms_aborted *aborted = *at;
        if (bsearch(&aborted->last_offset, list->markers, list->count, sizeof *list->markers,
                    compare_offsets) == NULL) {
            at = &aborted->older;
            continue;
        }
        *at = aborted->older;
        aborted->older = gone;
        gone = aborted;
    }
    pthread_mutex_unlock(&store->aborted_lock);
    while (gone != NULL) {
        struct ms_aborted *older = gone->older;
        ms_free(gone);
        gone = older;
    }
}

/* ---- moving ---- */

static int start_op(struct ms_store *store, const struct ms_topic *topic, uint32_t partition,
                    int64_t offset, const struct forgotten *forgotten, struct ms_op **ret_op,
                    struct ms_error *err) {
    char stream[TEXT_MAX], json[TEXT_MAX];
    snprintf(stream, sizeof stream, "$starts-%u.%u", (unsigned)topic->number, (unsigned)partition);
    snprintf(json, sizeof json, "{\"topic\":%u,\"partition\":%u,\"start_offset\":%lld}",
             (unsigned)topic->number, (unsigned)partition, (long long)offset);
    struct ms_event event = {
        .type = MS_BYTES_LITERAL("partition.trimmed"),
        .timestamp_ms = MS_TIMESTAMP_NONE,
        .data = ms_bytes_cstr(json),
    };
    struct ms_append_part part = {.stream = ms_bytes_cstr(stream), .events = &event, .count = 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1, .system = true};
    struct ms_op *op;
    int rc = ms_op_new(store, &request, &op, err);
    if (rc != 0)
        return rc;
    char *name = ms_arena_alloc(&op->arena, MS_FACT_NAME_MAX);
    char *value = ms_arena_strdup(&op->arena, ms_bytes_of(&offset, sizeof offset));
    if (name == NULL || value == NULL || add_forgotten(op, topic, partition, forgotten) != 0) {
        ms_op_free(op);
        return ms_error_set(err, MS_ENOMEM, "no memory to move the start of a partition");
    }
    op->effect.kind = MS_EFFECT_START;
    op->effect.name = ms_bytes_of(name, start_fact_name(topic->number, partition, name));
    op->effect.value = ms_bytes_of(value, sizeof offset);
    *ret_op = op;
    return 0;
}

static int write_start(struct ms_store *store, struct ms_topic *topic, uint32_t partition,
                       int64_t offset, const struct forgotten *forgotten, struct ms_error *err) {
    struct ms_settling settling;
    struct ms_op *op = NULL;
    bool stale;
    int rc = start_op(store, topic, partition, offset, forgotten, &op, err);
    if (rc != 0)
        return rc;
    ms_settling_init(&settling);
    rc = ms_op_start(op, ms_settling_done, &settling, true, &stale, err);
    if (rc == 0)
        rc = ms_settling_wait(&settling, store);
    ms_settling_deinit(&settling);
    if (rc == 0) {
        raise_start(ms_topic_partition(topic, partition), offset);
        unlist(store, ms_topic_partition(topic, partition), forgotten);
    }
    return rc;
}

static int move_start(struct ms_store *store, struct ms_topic *topic, uint32_t partition,
                      int64_t offset, struct ms_error *err) {
    struct forgotten forgotten = {0};
    int rc = list_before(store, ms_topic_partition(topic, partition), offset, &forgotten);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory to move the start of a partition");
    rc = write_start(store, topic, partition, offset, &forgotten, err);
    ms_free(forgotten.markers);
    return rc;
}

int ms_starts_forget(struct ms_store *store, struct ms_topic *topic, uint32_t partition,
                     int64_t *markers, size_t count, struct ms_error *err) {
    struct forgotten forgotten = {markers, count};
    qsort(markers, count, sizeof *markers, compare_offsets);
    return write_start(store, topic, partition,
                       ms_partition_start(ms_topic_partition(topic, partition)), &forgotten, err);
}

int ms_store_trim_partition(struct ms_store *store, struct ms_topic *topic, uint32_t partition,
                            int64_t offset, int64_t *ret_start, struct ms_error *err) {
    struct ms_partition_state state;
    int rc = ms_store_partition_state(store, topic, partition, &state);
    if (rc != 0)
        return ms_error_set(err, rc, "there is no partition %u of topic '%s'", (unsigned)partition,
                            topic->name);
    if (topic->system)
        return ms_error_set(err, MS_ERESERVED, "topic '%s' is the system's", topic->name);
    if (store->options.read_only)
        return ms_error_set(err, MS_ECLOSED, "the store is open for reading only");
    if (offset == -1)
        offset = state.end_offset;
    if (offset < 0 || offset > state.end_offset)
        return ms_error_set(err, MS_EINVAL, "partition %u of topic '%s' ends at offset %lld",
                            (unsigned)partition, topic->name, (long long)state.end_offset);
    if (offset > state.start_offset) {
        rc = move_start(store, topic, partition, offset, err);
        atomic_fetch_add(&store->rule_changes, rc == 0);
    }
    if (rc == 0)
        *ret_start = ms_partition_start(ms_topic_partition(topic, partition));
    return ms_error_settle(err, rc, "partition");
}

/* ---- behind the scavenger ---- */

static int take_first(void *context, const struct ms_log_entry *entry, struct ms_error *err) {
    struct ms_batch_reader batch = {0};
    struct ms_record record;
    int64_t *first = context;
    if (entry->header.flags & MS_ENTRY_CONTROL)
        return 0; /* is no record to begin with */
    int rc = ms_batch_reader_init(&batch, entry->batch, (size_t)1 << 30, err);
    if (rc == 0)
        rc = ms_batch_reader_next(&batch, &record, err);
    if (rc > 0)
        *first = record.offset;
    ms_batch_reader_deinit(&batch);
    return rc; /* 0: there is no record in it, go on */
}

static int follow_partition(struct ms_store *store, struct ms_topic *topic, uint32_t number,
                            struct ms_error *err) {
    struct ms_partition *partition = ms_topic_partition(topic, number);
    struct ms_partition_reader *reader;
    int64_t first, start = ms_partition_start(partition);
    if (partition->expired_end <= start)
        return 0;
    first = atomic_load_explicit(&partition->end_offset, memory_order_acquire);
    int rc = ms_partition_reader_new(store, &reader);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory to read a partition");
    rc = ms_partition_walk(reader, topic, number, start, take_first, &first, err);
    ms_partition_reader_free(reader);
    /* Where compaction made a gap behind what expired, the start stays before it. */
    if (first > partition->expired_end)
        first = partition->expired_end;
    return rc >= 0 && first > start ? move_start(store, topic, number, first, err) : rc;
}

int ms_starts_follow(struct ms_store *store, struct ms_error *err) {
    pthread_rwlock_rdlock(&store->topics.lock);
    uint32_t end = store->topics.next_number;
    pthread_rwlock_unlock(&store->topics.lock);
    int rc = 0;
    for (uint32_t number = MS_TOPIC_USER_FIRST; rc >= 0 && number < end; number++) {
        struct ms_topic *topic = ms_topics_at(store, number);
        if (topic == NULL || atomic_load(&topic->deleted))
            continue;
        uint32_t count = ms_topics_settings(store, topic).partitions;
        for (uint32_t p = 0; rc >= 0 && p < count; p++)
            rc = follow_partition(store, topic, p, err);
    }
    return rc < 0 ? rc : 0;
}
