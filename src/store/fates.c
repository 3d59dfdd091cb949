/* What became of transactions; see fates.h. */
#include "store/fates.h"

#include <stdlib.h>

#include "base/alloc.h"

void ms_fates_init(struct ms_fates_table *table, struct ms_store *store) {
    *table = (struct ms_fates_table){.store = store};
}

void ms_fates_deinit(struct ms_fates_table *table) {
    while (table->first != NULL) {
        struct ms_fates *next = table->first->next;
        ms_topic_partition(table->first->topic, table->first->number)->fates = NULL;
        ms_free(table->first->aborted);
        ms_free(table->first->superfluous);
        ms_free(table->first);
        table->first = next;
    }
}

static int compare_aborted(const void *a, const void *b) {
    const struct ms_aborted *x = a, *y = b;
    if (x->producer_id != y->producer_id)
        return x->producer_id < y->producer_id ? -1 : 1;
    return x->last_offset < y->last_offset ? -1 : x->last_offset > y->last_offset;
}

static int copy_aborted(struct ms_store *store, const struct ms_partition *partition,
                        struct ms_fates *fates) {
    size_t count = 0;
    pthread_mutex_lock(&store->aborted_lock);
    for (const struct ms_aborted *a = partition->aborted; a != NULL; a = a->older)
        count++;
    fates->aborted = ms_calloc(count + 1, sizeof *fates->aborted);
    for (const struct ms_aborted *a = partition->aborted; fates->aborted != NULL && a != NULL;
         a = a->older)
        fates->aborted[fates->aborted_count++] = *a;
    pthread_mutex_unlock(&store->aborted_lock);
    if (fates->aborted == NULL)
        return MS_ENOMEM;
    qsort(fates->aborted, count, sizeof *fates->aborted, compare_aborted);
    return 0;
}

int ms_fates_of(struct ms_fates_table *table, struct ms_topic *topic, uint32_t number,
                struct ms_fates **ret_fates, struct ms_error *err) {
    struct ms_partition *partition = ms_topic_partition(topic, number);
    if (partition->fates != NULL) {
        *ret_fates = partition->fates;
        return 0;
    }
    struct ms_fates *fates = ms_calloc(1, sizeof *fates);
    if (fates == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory to scavenge transactions");
    fates->topic = topic;
    fates->number = number;
    /* First the offset, then the list: it is complete for what lies before the offset. */
    fates->stable = ms_partition_stable(partition);
    int rc = copy_aborted(table->store, partition, fates);
    if (rc != 0) {
        ms_free(fates);
        return ms_error_set(err, rc, "no memory to scavenge transactions");
    }
    fates->next = table->first;
    table->first = partition->fates = fates;
    *ret_fates = fates;
    return 0;
}

/* The producer's first aborted transaction whose marker stands at `marker` or behind it. */
static const struct ms_aborted *find(const struct ms_fates *fates, int64_t producer_id,
                                     int64_t marker) {
    struct ms_aborted wanted = {.producer_id = producer_id, .last_offset = marker};
    size_t low = 0, high = fates->aborted_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_aborted(&fates->aborted[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < fates->aborted_count && fates->aborted[low].producer_id == producer_id;
    return found ? &fates->aborted[low] : NULL;
}

enum ms_fate ms_fate_of(const struct ms_fates *fates, int64_t producer_id, int64_t offset) {
    if (offset >= fates->stable)
        return MS_FATE_OPEN;
    const struct ms_aborted *aborted = find(fates, producer_id, offset);
    return aborted != NULL && aborted->first_offset <= offset ? MS_FATE_ABORTED : MS_FATE_COMMITTED;
}

bool ms_fates_lists(const struct ms_fates *fates, int64_t producer_id, int64_t marker) {
    const struct ms_aborted *aborted = find(fates, producer_id, marker);
    return aborted != NULL && aborted->last_offset == marker;
}

int ms_fates_note_superfluous(struct ms_fates *fates, int64_t marker) {
    size_t count = fates->superfluous_count;
    for (size_t i = count; i > 0 && fates->superfluous[i - 1] >= marker; i--)
        if (fates->superfluous[i - 1] == marker)
            return 0; /* looked at, and then rewritten */
    if ((count & (count - 1)) == 0) {
        int64_t *bigger =
            ms_realloc(fates->superfluous, (count > 0 ? count * 2 : 1) * sizeof *bigger);
        if (bigger == NULL)
            return MS_ENOMEM;
        fates->superfluous = bigger;
    }
    fates->superfluous[fates->superfluous_count++] = marker;
    return 0;
}

void ms_fates_forget(struct ms_fates_table *table) {
    struct ms_store *store = table->store;
    bool any = false;
    for (struct ms_fates *fates = table->first; fates != NULL; fates = fates->next) {
        if (fates->superfluous_count == 0 || store->options.read_only)
            continue;
        int rc = ms_starts_forget(store, fates->topic, fates->number, fates->superfluous,
                                  fates->superfluous_count, NULL);
        any |= rc == 0;
    }
    if (!any)
        return;
    store->scavenger.forgotten_end = ms_log_end(store->log);
    ms_ignore(ms_index_flush(store->index, NULL)); /* then it is tried again by itself */
}
