/*
 * A hash table of nodes that are part of what is in it. Putting never fails: a table that can't
 * get memory for more chains is slower, not smaller. No lock; the owner's.
 *
 *   chains[hash & mask] -> node -> node          the first chain is inside the table
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

struct ms_table_node {
    struct ms_table_node *next;
    uint64_t hash;
};

struct ms_table {
    struct ms_table_node **chains; /* NULL: `single` is the only one */
    struct ms_table_node *single;
    size_t mask, count;
};

/* What holds `member`. */
#define MS_CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

void ms_table_init(struct ms_table *table);
void ms_table_deinit(struct ms_table *table); /* the nodes are the caller's */
void ms_table_put(struct ms_table *table, struct ms_table_node *node, uint64_t hash);
/* The node must be in it. */
void ms_table_take(struct ms_table *table, struct ms_table_node *node);
/* The first node that may have this hash; those after it follow by ms_table_chain. */
struct ms_table_node *ms_table_find(const struct ms_table *table, uint64_t hash);
static inline struct ms_table_node *ms_table_chain(const struct ms_table_node *node,
                                                   uint64_t hash) {
    struct ms_table_node *next = node->next;
    while (next != NULL && next->hash != hash)
        next = next->next;
    return next;
}
/* All nodes, in no order: the first with NULL; the node at hand may be taken out once the next one
 * is known. */
struct ms_table_node *ms_table_next(const struct ms_table *table, const struct ms_table_node *node);
/* The nodes of chain `index`, for a walk in portions; NULL when it is empty. */
static inline struct ms_table_node *ms_table_at(const struct ms_table *table, size_t index) {
    return table->chains != NULL ? table->chains[index] : table->single;
}
