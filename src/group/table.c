/* Chained hash tables; table.h says how they look. The owner's lock. */
#include "group/table.h"

#include "base/alloc.h"

#define FIRST_CHAINS 8u

void ms_table_init(struct ms_table *table) { *table = (struct ms_table){0}; }

void ms_table_deinit(struct ms_table *table) {
    ms_free(table->chains);
    *table = (struct ms_table){0};
}

static struct ms_table_node **chain_of(struct ms_table *table, uint64_t hash) {
    return table->chains != NULL ? &table->chains[hash & table->mask] : &table->single;
}

static void grow(struct ms_table *table) {
    size_t size = table->chains == NULL ? FIRST_CHAINS : 2 * (table->mask + 1);
    struct ms_table_node **chains = ms_calloc(size, sizeof *chains);
    if (chains == NULL)
        return;
    for (size_t i = 0; i <= table->mask; i++) {
        struct ms_table_node *node = ms_table_at(table, i), *next;
        for (; node != NULL; node = next) {
            next = node->next;
            node->next = chains[node->hash & (size - 1)];
            chains[node->hash & (size - 1)] = node;
        }
    }
    ms_free(table->chains);
    table->chains = chains;
    table->single = NULL;
    table->mask = size - 1;
}

void ms_table_put(struct ms_table *table, struct ms_table_node *node, uint64_t hash) {
    if (table->count > table->mask)
        grow(table);
    struct ms_table_node **chain = chain_of(table, hash);
    node->hash = hash;
    node->next = *chain;
    *chain = node;
    table->count++;
}

void ms_table_take(struct ms_table *table, struct ms_table_node *node) {
    struct ms_table_node **place = chain_of(table, node->hash);
    while (*place != node) {
        MS_ASSERT(*place != NULL);
        place = &(*place)->next;
    }
    *place = node->next;
    table->count--;
}

struct ms_table_node *ms_table_find(const struct ms_table *table, uint64_t hash) {
    struct ms_table_node *node = ms_table_at(table, hash & table->mask);
    while (node != NULL && node->hash != hash)
        node = node->next;
    return node;
}

struct ms_table_node *ms_table_next(const struct ms_table *table,
                                    const struct ms_table_node *node) {
    if (node != NULL && node->next != NULL)
        return node->next;
    for (size_t i = node == NULL ? 0 : (node->hash & table->mask) + 1; i <= table->mask; i++)
        if (ms_table_at(table, i) != NULL)
            return ms_table_at(table, i);
    return NULL;
}
