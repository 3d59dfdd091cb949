/*
 * What Kafka's readers see of transactions. A partition's stable offset is where its earliest open
 * transaction began; those that read committed get nothing from there on, and a list of the aborted
 * transactions in what they do get.
 *
 * Threads: opening and ending are the committer's; the rest any.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "store/internal.h"

void ms_aborted_name(uint32_t topic, uint32_t partition, int64_t last_offset,
                     uint8_t out[MS_ABORTED_NAME_LEN]) {
    memcpy(out, "a/", 2);
    ms_put_be32(out + 2, topic);
    ms_put_be16(out + 6, (uint16_t)partition);
    ms_put_be64(out + 8, (uint64_t)last_offset);
}

int64_t ms_partition_stable(const struct ms_partition *partition) {
    /* The end first: a transaction that opens meanwhile begins at or behind it. */
    int64_t end = atomic_load_explicit(&partition->end_offset, memory_order_acquire);
    int64_t open = atomic_load_explicit(&partition->open_offset, memory_order_acquire);
    return open < end ? open : end;
}

void ms_txn_place_opens(struct ms_partition *partition, struct ms_txn_place *place,
                        int64_t commit_time_ms) {
    if (place->open)
        return;
    place->open = true;
    atomic_store(&place->started_ms, commit_time_ms);
    place->next_open = partition->open;
    partition->open = place;
    if (place->first_offset < atomic_load_explicit(&partition->open_offset, memory_order_relaxed))
        atomic_store_explicit(&partition->open_offset, place->first_offset, memory_order_release);
}

static void close_place(struct ms_partition *partition, const struct ms_txn_place *place) {
    int64_t earliest = INT64_MAX;
    struct ms_txn_place **at = &partition->open;
    while (*at != NULL) {
        if (*at == place) {
            *at = place->next_open;
            continue;
        }
        if ((*at)->first_offset < earliest)
            earliest = (*at)->first_offset;
        at = &(*at)->next_open;
    }
    atomic_store_explicit(&partition->open_offset, earliest, memory_order_release);
}

void ms_txn_place_ends(struct ms_store *store, struct ms_partition *partition,
                       struct ms_txn_place *place, struct ms_aborted *aborted) {
    /* First the list, then the offset: whoever sees the offset finds the list complete. */
    if (aborted != NULL) {
        pthread_mutex_lock(&store->aborted_lock);
        aborted->older = partition->aborted;
        partition->aborted = aborted;
        pthread_mutex_unlock(&store->aborted_lock);
    }
    close_place(partition, place);
    ms_free(place);
}

void ms_partition_txns_deinit(struct ms_partition *partition) {
    ms_producers_deinit(&partition->producers);
    while (partition->aborted != NULL) {
        struct ms_aborted *older = partition->aborted->older;
        ms_free(partition->aborted);
        partition->aborted = older;
    }
}

static int compare_aborted(const void *a, const void *b) {
    const struct ms_txn_aborted *x = a, *y = b;
    if (x->first_offset != y->first_offset)
        return x->first_offset < y->first_offset ? -1 : 1;
    return x->producer_id < y->producer_id ? -1 : x->producer_id > y->producer_id;
}

int ms_store_aborted(struct ms_store *store, struct ms_topic *topic, uint32_t partition,
                     int64_t from, int64_t to, struct ms_arena *arena,
                     struct ms_txn_aborted **ret_aborted, size_t *ret_count) {
    struct ms_partition *p = ms_topic_partition(topic, partition);
    struct ms_txn_aborted *list = NULL;
    size_t count = 0, filled = 0;
    pthread_mutex_lock(&store->aborted_lock);
    const struct ms_aborted *a;
    for (a = p->aborted; a != NULL && a->last_offset >= from; a = a->older)
        count += a->first_offset < to;
    if (count > 0)
        list = ms_arena_alloc(arena, count * sizeof *list);
    for (a = p->aborted; list != NULL && filled < count; a = a->older)
        if (a->first_offset < to)
            list[filled++] = (struct ms_txn_aborted){a->producer_id, a->first_offset};
    pthread_mutex_unlock(&store->aborted_lock);
    if (count > 0 && list == NULL)
        return MS_ENOMEM;
    if (count > 1)
        qsort(list, count, sizeof *list, compare_aborted);
    *ret_aborted = list;
    *ret_count = count;
    return 0;
}
