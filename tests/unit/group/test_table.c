/* The hash table against a plain array, with and without memory to grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "group/table.h"
#include "os/random.h"

#define ITEMS 500u

struct item {
    struct ms_table_node node;
    size_t number;
    bool in;
};

static struct item *find(const struct ms_table *table, size_t number) {
    uint64_t hash = number / 2; /* in pairs, so that hashes collide */
    struct ms_table_node *node = ms_table_find(table, hash);
    for (; node != NULL; node = ms_table_chain(node, hash))
        if (MS_CONTAINER(node, struct item, node)->number == number)
            return MS_CONTAINER(node, struct item, node);
    return NULL;
}

static void check(const struct ms_table *table, struct item *items) {
    size_t in = 0, walked = 0;
    for (size_t i = 0; i < ITEMS; i++) {
        in += items[i].in;
        assert_ptr_equal(find(table, i), items[i].in ? &items[i] : NULL);
    }
    for (struct ms_table_node *n = ms_table_next(table, NULL); n; n = ms_table_next(table, n))
        walked++;
    assert_int_equal(walked, in);
    assert_int_equal(table->count, in);
}

static void toss(struct ms_table *table) {
    struct ms_random_seeded random;
    ms_random_seeded_init(&random, 1);
    struct item *items = ms_calloc(ITEMS, sizeof *items);
    assert_non_null(items);
    for (size_t step = 0; step < 5000; step++) {
        size_t i = ms_random_below(&random.random, ITEMS);
        items[i].number = i;
        if (items[i].in)
            ms_table_take(table, &items[i].node);
        else
            ms_table_put(table, &items[i].node, i / 2);
        items[i].in = !items[i].in;
        if (step % 500 == 0)
            check(table, items);
    }
    check(table, items);
    ms_free(items);
}

static void finds_what_is_in_it(void **state) {
    (void)state;
    struct ms_table table;
    ms_table_init(&table);
    toss(&table);
    ms_table_deinit(&table);
}

static void works_without_memory_to_grow(void **state) {
    (void)state;
    struct ms_table table;
    ms_table_init(&table);
    ms_alloc_fail_from(2); /* after the items */
    toss(&table);
    ms_alloc_fail_nth(0);
    assert_null(table.chains);
    ms_table_deinit(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_in_it),
        cmocka_unit_test(works_without_memory_to_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
