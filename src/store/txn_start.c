/*
 * Producers and transactions at start.
 *
 *   1. facts: what partitions know of their producers, aborted transactions
 *   2. of each transaction that was open where the index ends: its pending batches, from the log
 *   3. the rest of the log as it is replayed: batches, commits, markers
 *   4. producers that have been idle are forgotten
 *
 * Then what is open is open to readers as well. Before the store is shared.
 */
#include "base/alloc.h"
#include "base/endian.h"
#include "store/internal.h"

#define NAME_PREFIX_LEN 2u
#define DECOMPRESSED_MAX ((size_t)1 << 30)
enum { MARKER_ABORT = 0 };

/* ---- one entry ---- */

static struct ms_txn_place *place_of(struct ms_store *store, int64_t producer_id, int16_t epoch,
                                     struct ms_topic *topic, uint32_t partition) {
    struct ms_txn *txn;
    if (ms_txn_get(&store->txns, producer_id, &txn) != 0)
        return NULL;
    if (epoch > txn->epoch)
        txn->epoch = epoch;
    struct ms_txn_place *place = ms_txn_place_find(txn, topic, partition);
    if (place == NULL) {
        place = ms_txn_place_new(topic, partition, producer_id);
        if (place != NULL)
            ms_txn_add_place(txn, place);
    }
    return place;
}

/* The stream that the records of a run belong to. */
static int run_stream(struct ms_store *store, const struct ms_log_entry *entry,
                      struct ms_topic *topic, struct ms_op_part *part, struct ms_error *err) {
    struct ms_batch_reader batch = {0};
    struct ms_record record;
    int rc = ms_batch_reader_init(&batch, entry->batch, DECOMPRESSED_MAX, err);
    if (rc == 0)
        rc = ms_batch_reader_next(&batch, &record, err);
    if (rc > 0 && !record.key_is_null) {
        part->pending_stream = true;
        part->ref.id = ms_stream_id_of(store, topic, record.key);
    }
    ms_batch_reader_deinit(&batch);
    return rc < 0 ? rc : 0;
}

static int add_pending(struct ms_store *store, const struct ms_log_entry *entry,
                       struct ms_topic *topic, int16_t epoch, int64_t producer_id,
                       struct ms_error *err) {
    struct ms_op_part part = {
        .ref.topic = topic, .partition = entry->header.partition, .count = entry->record_count};
    struct ms_arena arena;
    ms_arena_init(&arena, DECOMPRESSED_MAX);
    struct ms_txn_place *place =
        place_of(store, producer_id, epoch, topic, entry->header.partition);
    int rc = place != NULL ? 0 : MS_ENOMEM;
    if (rc == 0)
        rc = ms_batch_terms(entry->batch, topic, &arena, &part.terms, &part.term_count);
    if (rc == 0 && ms_topics_settings(store, topic).streams)
        rc = run_stream(store, entry, topic, &part, err);
    struct ms_txn_pending *pending = rc == 0 ? ms_txn_pending_new(&part) : NULL;
    if (rc == 0 && pending == NULL)
        rc = MS_ENOMEM;
    if (rc == 0) {
        pending->first_offset = entry->first_offset;
        pending->newest_ms = (int64_t)ms_get_be64(entry->batch.data + 35);
        pending->position = entry->header.first_position;
        ms_txn_add_pending(ms_txn_find(&store->txns, producer_id), pending);
        if (place->first_offset < 0)
            place->first_offset = entry->first_offset;
        ms_txn_place_opens(ms_topic_partition(topic, entry->header.partition), place,
                           entry->commit_time_ms);
    }
    ms_arena_deinit(&arena);
    return rc == 0 ? 0
                   : ms_error_set(err, rc, "a transaction can't be read: %s", ms_error_text(rc));
}

static int marker_type(const struct ms_log_entry *entry, int *ret_type, struct ms_error *err) {
    struct ms_batch_reader batch = {0};
    struct ms_record record;
    int rc = ms_batch_reader_init(&batch, entry->batch, DECOMPRESSED_MAX, err);
    if (rc == 0)
        rc = ms_batch_reader_next(&batch, &record, err);
    if (rc > 0 && record.key.len >= 4) {
        *ret_type = ms_get_be16(record.key.data + 2);
        rc = 0;
    } else if (rc >= 0) {
        rc = ms_error_set(err, MS_ECORRUPT, "a transaction's marker is damaged");
    }
    ms_batch_reader_deinit(&batch);
    return rc;
}

/* What the transaction had pending in the partition is over. */
static void drop_pending(struct ms_txn *txn, const struct ms_topic *topic, uint32_t partition) {
    struct ms_txn_pending **at = &txn->pending;
    while (*at != NULL) {
        struct ms_txn_pending *pending = *at;
        if (pending->topic != topic || pending->partition != partition) {
            at = &pending->next;
            continue;
        }
        *at = pending->next;
        txn->pending_count--;
        ms_free(pending);
    }
    txn->pending_end = at;
}

static void take_place(struct ms_txn *txn, struct ms_txn_place *place) {
    struct ms_txn_place **at = &txn->places;
    while (*at != place)
        at = &(*at)->next;
    *at = place->next;
}

static int replay_marker(struct ms_store *store, const struct ms_log_entry *entry,
                         struct ms_topic *topic, const struct ms_batch_header *header,
                         struct ms_error *err) {
    uint16_t number = entry->header.partition;
    struct ms_partition *partition = ms_topic_partition(topic, number);
    struct ms_producer *producer = ms_producer_find(&partition->producers, header->producer_id);
    struct ms_txn *txn = ms_txn_find(&store->txns, header->producer_id);
    struct ms_txn_place *place = txn != NULL ? ms_txn_place_find(txn, topic, number) : NULL;
    struct ms_aborted *aborted = NULL;
    int type = 0;
    int rc = marker_type(entry, &type, err);
    if (rc != 0)
        return rc;
    if (producer != NULL)
        producer->txn_first_offset = -1;
    if (place == NULL)
        return 0;
    if (type == MARKER_ABORT) {
        aborted = ms_calloc(1, sizeof *aborted);
        if (aborted == NULL)
            return ms_error_set(err, MS_ENOMEM, "no memory for an aborted transaction");
        *aborted = (struct ms_aborted){NULL, header->producer_id, place->first_offset,
                                       entry->first_offset};
    }
    if (header->producer_epoch > txn->epoch)
        txn->epoch = header->producer_epoch;
    drop_pending(txn, topic, number);
    take_place(txn, place);
    ms_txn_place_ends(store, partition, place, aborted);
    return 0;
}

/* NULL: the scavenger has removed the batch, and the commit is only a stream's last word. */
static const struct ms_txn_pending *find_pending(struct ms_store *store,
                                                 const struct ms_log_entry *entry,
                                                 const struct ms_topic *topic,
                                                 int64_t producer_id) {
    const struct ms_txn *txn = ms_txn_find(&store->txns, producer_id);
    const struct ms_txn_pending *pending = txn != NULL ? txn->pending : NULL;
    while (pending != NULL &&
           (pending->topic != topic || pending->partition != entry->header.partition ||
            pending->first_offset != entry->first_offset))
        pending = pending->next;
    return pending;
}

int ms_txn_replay(struct ms_store *store, const struct ms_log_entry *entry, struct ms_topic *topic,
                  const struct ms_txn_pending **ret_pending, struct ms_error *err) {
    struct ms_batch_header header;
    struct ms_producer *producer;
    unsigned flags = entry->header.flags;
    int rc = ms_batch_read_header(entry->batch, &header, err);
    if (rc != 0)
        return rc;
    if (flags & MS_ENTRY_COMMIT) {
        *ret_pending = find_pending(store, entry, topic, header.producer_id);
        return 0;
    }
    struct ms_partition *partition = ms_topic_partition(topic, entry->header.partition);
    if (ms_producer_get(&partition->producers, header.producer_id, entry->commit_time_ms,
                        &producer) != 0)
        return ms_error_set(err, MS_ENOMEM, "no memory for producers");
    ms_producer_note(producer, &header, entry->first_offset, entry->commit_time_ms,
                     (flags & MS_ENTRY_JOINED) != 0);
    if (flags & MS_ENTRY_CONTROL)
        return replay_marker(store, entry, topic, &header, err);
    if (!(flags & MS_ENTRY_PENDING))
        return 0;
    rc = add_pending(store, entry, topic, header.producer_epoch, header.producer_id, err);
    if (rc == 0 && producer->txn_first_offset < 0)
        producer->txn_first_offset = entry->first_offset;
    return rc;
}

/* ---- facts ---- */

struct loading {
    struct ms_store *store;
    struct ms_error *err;
    int64_t now_ms;
};

static struct ms_topic *named(struct ms_store *store, struct ms_bytes name, uint16_t *ret_number) {
    if (name.len != MS_PRODUCER_NAME_LEN)
        return NULL;
    struct ms_topic *topic = ms_topics_at(store, ms_get_be32(name.data + NAME_PREFIX_LEN));
    *ret_number = ms_get_be16(name.data + NAME_PREFIX_LEN + 4);
    return topic != NULL && *ret_number < topic->settings.partitions ? topic : NULL;
}

static int load_producer(void *context, struct ms_bytes name, struct ms_bytes value) {
    struct loading *l = context;
    uint16_t number;
    struct ms_producer loaded, *producer;
    struct ms_topic *topic = named(l->store, name, &number);
    if (topic == NULL || ms_producer_read(value, &loaded) != 0)
        return MS_ECORRUPT;
    loaded.id = (int64_t)ms_get_be64(name.data + 8);
    if (loaded.txn_first_offset < 0 && loaded.last_timestamp_ms < l->now_ms - MS_PRODUCER_IDLE_MS)
        return 0; /* idle: forgotten */
    struct ms_partition *partition = ms_topic_partition(topic, number);
    if (ms_producer_get(&partition->producers, loaded.id, l->now_ms, &producer) != 0)
        return MS_ENOMEM;
    *producer = loaded;
    return 0;
}

static int load_aborted(void *context, struct ms_bytes name, struct ms_bytes value) {
    struct loading *l = context;
    uint16_t number;
    struct ms_topic *topic = named(l->store, name, &number);
    if (topic == NULL || value.len != MS_ABORTED_VALUE_LEN)
        return MS_ECORRUPT;
    struct ms_aborted *aborted = ms_calloc(1, sizeof *aborted);
    if (aborted == NULL)
        return MS_ENOMEM;
    struct ms_partition *partition = ms_topic_partition(topic, number);
    *aborted = (struct ms_aborted){
        .older = partition->aborted, /* names sort by the marker's offset */
        .producer_id = (int64_t)ms_get_be64(value.data),
        .first_offset = (int64_t)ms_get_be64(value.data + 8),
        .last_offset = (int64_t)ms_get_be64(name.data + 8),
    };
    partition->aborted = aborted;
    return 0;
}

/* ---- what was open ---- */

/* The pending batches of a producer in a partition, from where its transaction began to what the
 * index covers. None are left when it has ended since, and was scavenged. */
static int reopen(struct ms_store *store, struct ms_topic *topic, uint16_t number,
                  struct ms_producer *producer, struct ms_error *err) {
    struct ms_partition *partition = ms_topic_partition(topic, number);
    bool any = false;
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    int rc = 0;
    ms_log_cursor_init(&cursor, store->log, 0);
    for (int64_t offset = producer->txn_first_offset; rc == 0 && offset < partition->next_offset;) {
        struct ms_index_offset_place place;
        rc = ms_index_offset_find(store->index, topic->number, number, offset, false, &place, err);
        if (rc != 0)
            break;
        offset = place.first_offset + place.record_count;
        ms_log_cursor_seek(&cursor, place.position);
        rc = ms_log_cursor_next(&cursor, &entry, err);
        bool pending = rc > 0 && (entry.header.flags & MS_ENTRY_PENDING) &&
                       entry.header.topic == topic->number && entry.header.partition == number &&
                       (int64_t)ms_get_be64(entry.batch.data + 43) == producer->id;
        rc = rc < 0 ? rc : 0;
        any |= pending;
        if (pending)
            rc = add_pending(store, &entry, topic, producer->epoch, producer->id, err);
    }
    ms_log_cursor_deinit(&cursor);
    rc = rc == MS_ENOTFOUND ? 0 : rc;
    if (rc == 0 && !any)
        producer->txn_first_offset = -1;
    return rc;
}

static int reopen_all(struct ms_store *store, struct ms_error *err) {
    int rc = 0;
    for (size_t t = 0; rc == 0 && t < store->topics.by_number_count; t++) {
        struct ms_topic *topic = store->topics.by_number[t];
        for (uint16_t p = 0; rc == 0 && topic != NULL && p < topic->settings.partitions; p++) {
            const struct ms_producer_table *table = &ms_topic_partition(topic, p)->producers;
            for (uint32_t i = 0; rc == 0 && i < table->capacity; i++)
                if (table->slots[i].id != -1 && table->slots[i].txn_first_offset >= 0)
                    rc = reopen(store, topic, p, &table->slots[i], err);
        }
    }
    /* They were read one partition after the other. */
    for (size_t i = 0; rc == 0 && i < store->txns.capacity; i++)
        if (store->txns.slots[i] != NULL)
            rc = ms_txn_sort_pending(store->txns.slots[i]);
    return rc;
}

int ms_txn_load(struct ms_store *store, struct ms_error *err) {
    struct ms_bytes from = {0};
    struct loading l = {store, err, ms_clock_now_us(store->env->clock) / 1000};
    int rc = ms_index_fact_list(store->index, MS_BYTES_LITERAL("p/"), from, load_producer, &l, err);
    if (rc == 0)
        rc = ms_index_fact_list(store->index, MS_BYTES_LITERAL("a/"), from, load_aborted, &l, err);
    if (rc != 0)
        return ms_error_set(err, rc, "what is known of producers can't be read: %s",
                            ms_error_text(rc));
    return reopen_all(store, err);
}

int ms_txn_replayed(struct ms_store *store, struct ms_error *err) {
    int64_t now_ms = ms_clock_now_us(store->env->clock) / 1000;
    for (size_t t = 0; t < store->topics.by_number_count; t++) {
        struct ms_topic *topic = store->topics.by_number[t];
        for (uint16_t p = 0; topic != NULL && p < topic->settings.partitions; p++)
            if (ms_producers_forget_idle(&ms_topic_partition(topic, p)->producers, now_ms) != 0)
                return ms_error_set(err, MS_ENOMEM, "no memory for producers");
    }
    return 0;
}
