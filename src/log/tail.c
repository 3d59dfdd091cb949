/* The tail cache: the newest blocks as they were written, so that live readers never touch the
 * disk.
 *
 * A ring of blocks in log order, bounded by their bytes; readers take a reference to the chunk a
 * block lies in, so dropping a block from the ring never pulls memory from under them. Any thread.
 * */
#include "base/alloc.h"
#include "log/internal.h"

#define TAIL_RING_INITIAL 256u

int ms_tail_init(struct ms_tail *tail, size_t bytes_max) {
    *tail = (struct ms_tail){.capacity = TAIL_RING_INITIAL, .bytes_max = bytes_max};
    tail->ring = ms_calloc(tail->capacity, sizeof *tail->ring);
    if (tail->ring == NULL)
        return MS_ENOMEM;
    pthread_rwlock_init(&tail->lock, NULL);
    return 0;
}

static struct ms_tail_block *tail_at(const struct ms_tail *tail, size_t index) {
    return &tail->ring[(tail->head + index) & (tail->capacity - 1)];
}

static void tail_drop_oldest(struct ms_tail *tail) {
    struct ms_tail_block *oldest = tail_at(tail, 0);
    tail->bytes -= ms_block_padded(oldest->len);
    ms_blob_unref(oldest->chunk);
    tail->head = (tail->head + 1) & (tail->capacity - 1);
    tail->count--;
}

void ms_tail_deinit(struct ms_tail *tail) {
    if (tail->ring == NULL)
        return;
    while (tail->count > 0)
        tail_drop_oldest(tail);
    pthread_rwlock_destroy(&tail->lock);
    ms_free(tail->ring);
    tail->ring = NULL;
}

static bool tail_grow(struct ms_tail *tail) {
    struct ms_tail_block *ring = ms_calloc(tail->capacity * 2, sizeof *ring);
    if (ring == NULL)
        return false;
    for (size_t i = 0; i < tail->count; i++)
        ring[i] = *tail_at(tail, i);
    ms_free(tail->ring);
    tail->ring = ring;
    tail->head = 0;
    tail->capacity *= 2;
    return true;
}

void ms_tail_add(struct ms_tail *tail, const struct ms_log_block *block) {
    /* A very large block would push everything else out; it is read from the file instead. */
    if (block->entry_count == 0 || block->len > tail->bytes_max / 4)
        return;
    pthread_rwlock_wrlock(&tail->lock);
    while (tail->count > 0 && tail->bytes + ms_block_padded(block->len) > tail->bytes_max)
        tail_drop_oldest(tail);
    if (tail->count == tail->capacity && !tail_grow(tail))
        tail_drop_oldest(tail);
    *tail_at(tail, tail->count) = (struct ms_tail_block){
        .first_position = block->first_position,
        .end_position = block->first_position + block->record_count,
        .segment = block->segment->first_position,
        .offset = block->offset,
        .len = block->len,
        .data = block->data,
        .chunk = ms_blob_ref(block->chunk),
    };
    tail->count++;
    tail->bytes += ms_block_padded(block->len);
    pthread_rwlock_unlock(&tail->lock);
}

static bool tail_block_before(const struct ms_tail_block *block, uint64_t segment,
                              uint64_t offset) {
    return block->segment < segment || (block->segment == segment && block->offset <= offset);
}

bool ms_tail_find(struct ms_tail *tail, uint64_t segment, uint64_t offset,
                  struct ms_tail_block *ret_block) {
    bool found = false;
    pthread_rwlock_rdlock(&tail->lock);
    size_t low = 0, high = tail->count;
    while (low < high) { /* the first block that begins behind the place */
        size_t middle = low + (high - low) / 2;
        if (tail_block_before(tail_at(tail, middle), segment, offset))
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0) {
        const struct ms_tail_block *block = tail_at(tail, low - 1);
        if (block->segment == segment && offset < block->offset + block->len) {
            *ret_block = *block;
            ms_blob_ref(ret_block->chunk);
            found = true;
        }
    }
    pthread_rwlock_unlock(&tail->lock);
    return found;
}

void ms_tail_forget(struct ms_tail *tail, uint64_t segment) {
    pthread_rwlock_wrlock(&tail->lock);
    /* Blocks are in log order, so everything older goes with them. */
    while (tail->count > 0 && tail_at(tail, 0)->segment <= segment)
        tail_drop_oldest(tail);
    pthread_rwlock_unlock(&tail->lock);
}
