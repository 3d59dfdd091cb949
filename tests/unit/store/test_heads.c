/* The table of stream heads against a plain array; eviction takes only what the index covers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "os/random.h"
#include "store/internal.h"

#define STREAMS 5000u

static struct ms_stream_id id_of(uint64_t number) {
    struct ms_stream_id id;
    struct ms_random_seeded random;
    ms_random_seeded_init(&random, number);
    ms_random_fill(&random.random, id.bytes, sizeof id.bytes);
    return id;
}

static struct ms_head head_of(uint64_t number, uint64_t end_position) {
    return (struct ms_head){
        .id = id_of(number),
        .version = (int64_t)number,
        .end_position = end_position,
        .rules = MS_STREAM_RULES_NONE,
    };
}

static void what_was_added_is_found(void **state) {
    (void)state;
    struct ms_heads heads;
    ms_heads_init(&heads, STREAMS);
    for (uint64_t i = 0; i < STREAMS; i++) {
        struct ms_stream_id id = id_of(i);
        struct ms_head head = head_of(i, i), *place;
        assert_null(ms_heads_find(&heads, &id));
        assert_int_equal(ms_heads_add(&heads, &head, 0, &place), 0);
        assert_ptr_equal(ms_heads_find(&heads, &id), place);
    }
    for (uint64_t i = 0; i < STREAMS; i++) {
        struct ms_stream_id id = id_of(i);
        const struct ms_head *head = ms_heads_find(&heads, &id);
        assert_non_null(head);
        assert_int_equal(head->version, i);
    }
    assert_int_equal(heads.count, STREAMS);
    ms_heads_deinit(&heads);
}

/* Every other head ends above what the index covers: those stay, whatever comes. */
static void only_covered_heads_are_evicted(void **state) {
    (void)state;
    const uint64_t covered = 1000, bound = 256;
    struct ms_heads heads;
    ms_heads_init(&heads, bound);
    for (uint64_t i = 0; i < STREAMS; i++) {
        struct ms_head head = head_of(i, i % 32 == 0 ? covered + 1 + i : i % covered), *place;
        assert_int_equal(ms_heads_add(&heads, &head, covered, &place), 0);
        assert_int_equal(place->version, i);
    }
    size_t found = 0;
    for (uint64_t i = 0; i < STREAMS; i++) {
        struct ms_stream_id id = id_of(i);
        const struct ms_head *head = ms_heads_find(&heads, &id);
        found += head != NULL;
        assert_true(head == NULL || head->version == (int64_t)i);
        if (i % 32 == 0)
            assert_non_null(head);
    }
    assert_int_equal(found, heads.count);
    assert_int_equal(heads.count, bound);
    assert_in_range(heads.evicted_end, 1, covered);
    ms_heads_deinit(&heads);
}

static void over_the_bound_when_nothing_is_covered(void **state) {
    (void)state;
    struct ms_heads heads;
    ms_heads_init(&heads, 16);
    for (uint64_t i = 0; i < 100; i++) {
        struct ms_head head = head_of(i, 500), *place;
        assert_int_equal(ms_heads_add(&heads, &head, 499, &place), 0);
    }
    assert_int_equal(heads.count, 100);
    assert_int_equal(heads.evicted_end, 0);
    ms_heads_deinit(&heads);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_found),
        cmocka_unit_test(only_covered_heads_are_evicted),
        cmocka_unit_test(over_the_bound_when_nothing_is_covered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
