/*
 * Ops used again. An op is made by the thread that appends and ends on the committer's: memory that
 * went through the heap each time would be handed from one thread's arena to the other's, under its
 * lock. Kept are small ones only: what a large append took is given back.
 *
 * Any thread.
 */
#include "base/alloc.h"
#include "store/internal.h"

/* Sanitizers are to see every use of an op that has ended. */
#if defined(__SANITIZE_ADDRESS__)
#define POOL_OPS_MAX 0u
#else
#define POOL_OPS_MAX 256u
#endif
#define POOL_BYTES_MAX ((size_t)8 << 10) /* of an op's names and terms, and of its batches */

void ms_op_pool_init(struct ms_op_pool *pool) {
    *pool = (struct ms_op_pool){0};
    pthread_mutex_init(&pool->lock, NULL);
}

static void op_delete(struct ms_op *op) {
    ms_buf_deinit(&op->batches);
    ms_arena_deinit(&op->arena);
    ms_free(op);
}

void ms_op_pool_deinit(struct ms_op_pool *pool) {
    while (pool->free != NULL) {
        struct ms_op *next = pool->free->next;
        op_delete(pool->free);
        pool->free = next;
    }
    pthread_mutex_destroy(&pool->lock);
}

struct ms_op *ms_op_take(struct ms_op_pool *pool, size_t batch_bytes_max) {
    pthread_mutex_lock(&pool->lock);
    struct ms_op *op = pool->free;
    if (op != NULL) {
        pool->free = op->next;
        pool->count--;
    }
    pthread_mutex_unlock(&pool->lock);
    if (op == NULL) {
        op = ms_alloc(sizeof *op);
        if (op == NULL)
            return NULL;
        ms_arena_init(&op->arena, (size_t)1 << 30);
        ms_buf_init(&op->batches, 0);
    }
    op->ticket = (struct ms_log_ticket){0};
    memset((uint8_t *)op + offsetof(struct ms_op, store), 0,
           offsetof(struct ms_op, error) - offsetof(struct ms_op, store));
    op->result.log_append_time_ms = -1;
    op->error.code = 0;
    op->error.message[0] = 0;
    op->batches.max = batch_bytes_max;
    return op;
}

void ms_op_give(struct ms_op_pool *pool, struct ms_op *op) {
    ms_arena_reset(&op->arena);
    if (op->arena.used > POOL_BYTES_MAX)
        ms_arena_deinit(&op->arena);
    op->arena.max = (size_t)1 << 30;
    if (op->batches.capacity > POOL_BYTES_MAX)
        ms_buf_deinit(&op->batches);
    op->batches.len = 0;
    pthread_mutex_lock(&pool->lock);
    bool kept = pool->count < POOL_OPS_MAX;
    if (kept) {
        op->next = pool->free;
        pool->free = op;
        pool->count++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!kept)
        op_delete(op);
}
