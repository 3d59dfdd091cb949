/* The assignors: everything has one owner who reads it, loads are even, little moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "group/assign.h"

#define TOPICS_MAX 12u
#define MEMBERS_MAX 12u
#define PARTITIONS_MAX 9u

struct world {
    uint32_t partitions[TOPICS_MAX];
    uint32_t topics[MEMBERS_MAX][TOPICS_MAX];
    struct ms_assign_member members[MEMBERS_MAX];
    uint32_t owners[TOPICS_MAX * PARTITIONS_MAX];
    uint32_t before[TOPICS_MAX * PARTITIONS_MAX];
    struct ms_assign assign;
    uint64_t random;
};

static uint32_t draw(struct world *world, uint32_t below) {
    world->random = world->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(world->random >> 33) % below;
}

static size_t total(const struct world *world) {
    size_t count = 0;
    for (size_t t = 0; t < world->assign.topic_count; t++)
        count += world->partitions[t];
    return count;
}

static void world_init(struct world *world, size_t topics, size_t members, uint64_t seed) {
    memset(world, 0, sizeof *world);
    world->random = seed;
    world->assign =
        (struct ms_assign){world->partitions, topics, world->members, members, world->owners};
    for (size_t m = 0; m < MEMBERS_MAX; m++)
        world->members[m].topics = world->topics[m];
    memset(world->owners, 0xff, sizeof world->owners);
}

/* Member `m` reads the topics whose bits are set. */
static void reads(struct world *world, size_t m, uint32_t bits) {
    size_t count = 0;
    for (uint32_t t = 0; t < world->assign.topic_count; t++)
        if ((bits >> t & 1) != 0)
            world->topics[m][count++] = t;
    world->members[m].topic_count = count;
}

static bool does_read(const struct world *world, uint32_t m, uint32_t topic) {
    for (size_t i = 0; i < world->members[m].topic_count; i++)
        if (world->topics[m][i] == topic)
            return true;
    return false;
}

static void assert_complete(const struct world *world) {
    const uint32_t *owner = world->owners;
    for (uint32_t t = 0; t < world->assign.topic_count; t++) {
        bool read = false;
        for (uint32_t m = 0; m < world->assign.member_count; m++)
            read |= does_read(world, m, t);
        for (uint32_t p = 0; p < world->partitions[t]; p++, owner++) {
            assert_int_equal(*owner != MS_ASSIGN_NONE, read);
            if (read)
                assert_true(*owner < world->assign.member_count && does_read(world, *owner, t));
        }
    }
}

static void count_loads(const struct world *world, size_t load[MEMBERS_MAX]) {
    memset(load, 0, MEMBERS_MAX * sizeof *load);
    for (size_t i = 0; i < total(world); i++)
        if (world->owners[i] != MS_ASSIGN_NONE)
            load[world->owners[i]]++;
}

/* No partition could move to somebody who has two fewer than its owner. */
static void assert_even(const struct world *world) {
    size_t load[MEMBERS_MAX];
    const uint32_t *owner = world->owners;
    count_loads(world, load);
    for (uint32_t t = 0; t < world->assign.topic_count; t++)
        for (uint32_t p = 0; p < world->partitions[t]; p++, owner++)
            for (uint32_t m = 0; *owner != MS_ASSIGN_NONE && m < world->assign.member_count; m++)
                if (does_read(world, m, t))
                    assert_true(load[*owner] <= load[m] + 1);
}

static void assign_uniform(struct world *world) {
    memcpy(world->before, world->owners, sizeof world->owners);
    assert_int_equal(ms_assign_uniform(&world->assign), 0);
    assert_complete(world);
    assert_even(world);
}

static size_t moved(const struct world *world) {
    size_t count = 0;
    for (size_t i = 0; i < total(world); i++)
        count += world->before[i] != MS_ASSIGN_NONE && world->before[i] != world->owners[i];
    return count;
}

static void nobody_gets_nothing(void **state) {
    (void)state;
    struct world world;
    world_init(&world, 2, 0, 1);
    world.partitions[0] = world.partitions[1] = 3;
    world.owners[1] = 0; /* of somebody who is gone */
    assign_uniform(&world);
    assert_int_equal(ms_assign_range(&world.assign), 0);
    assert_complete(&world);
    world_init(&world, 0, 1, 1);
    assign_uniform(&world);
}

static void one_gets_everything(void **state) {
    (void)state;
    struct world world;
    world_init(&world, 2, 1, 1);
    world.partitions[0] = 4;
    world.partitions[1] = 1;
    reads(&world, 0, 3);
    assign_uniform(&world);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(world.owners[i], 0);
}

static void uniform_gives_a_new_member_its_share_and_moves_no_more(void **state) {
    (void)state;
    struct world world;
    world_init(&world, 2, 2, 1);
    world.partitions[0] = world.partitions[1] = 6;
    for (size_t m = 0; m < 3; m++)
        reads(&world, m, 3);
    assign_uniform(&world);
    world.assign.member_count = 3;
    assign_uniform(&world);
    assert_int_equal(moved(&world), 4);
    world.assign.member_count = 2; /* it leaves */
    for (size_t i = 0; i < 12; i++)
        world.owners[i] = world.owners[i] == 2 ? MS_ASSIGN_NONE : world.owners[i];
    assign_uniform(&world);
    assert_int_equal(moved(&world), 0);
}

static void uniform_spreads_a_topic_over_its_readers(void **state) {
    (void)state;
    struct world world;
    world_init(&world, 3, 3, 1);
    for (size_t t = 0; t < 3; t++)
        world.partitions[t] = 3;
    for (size_t m = 0; m < 3; m++)
        reads(&world, m, 7);
    assign_uniform(&world);
    for (size_t t = 0; t < 3; t++)
        assert_int_equal(world.owners[3 * t] + world.owners[3 * t + 1] + world.owners[3 * t + 2],
                         3);
}

/* The fewest moves there can be: what members have above their shares. */
static size_t fewest_moves(const struct world *world) {
    size_t load[MEMBERS_MAX] = {0}, partitions = 0, kept = 0, owned = 0;
    size_t members = world->assign.member_count;
    const uint32_t *owner = world->before;
    for (uint32_t t = 0; t < world->assign.topic_count; t++)
        for (uint32_t p = 0; p < world->partitions[t]; p++, owner++) {
            bool read = does_read(world, 0, t);
            partitions += read;
            owned += *owner != MS_ASSIGN_NONE;
            if (read && *owner < members)
                load[*owner]++;
        }
    size_t least = partitions / members, extra = partitions % members;
    for (size_t m = 0; m < members; m++) {
        bool more = load[m] > least && extra > 0;
        extra -= more;
        kept += load[m] < least + more ? load[m] : least + more;
    }
    return owned - kept;
}

static void uniform_moves_as_little_as_possible(void **state) {
    (void)state;
    struct world world;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        world_init(&world, 1 + seed % TOPICS_MAX, 1, seed);
        for (int round = 0; round < 20; round++) {
            for (size_t t = 0; t < world.assign.topic_count; t++)
                if (world.partitions[t] == 0) /* growing ones would shift the others */
                    world.partitions[t] = draw(&world, PARTITIONS_MAX + 1);
            world.assign.member_count = 1 + draw(&world, MEMBERS_MAX);
            uint32_t bits = draw(&world, 1u << world.assign.topic_count);
            for (size_t m = 0; m < world.assign.member_count; m++)
                reads(&world, m, bits);
            assign_uniform(&world);
            assert_int_equal(moved(&world), fewest_moves(&world));
            assign_uniform(&world);
            assert_int_equal(moved(&world), 0);
        }
    }
}

static void uniform_is_even_for_readers_that_differ_and_comes_to_rest(void **state) {
    (void)state;
    struct world world;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        world_init(&world, 1 + seed % TOPICS_MAX, 1, seed);
        for (size_t t = 0; t < world.assign.topic_count; t++)
            world.partitions[t] = draw(&world, PARTITIONS_MAX + 1);
        for (int round = 0; round < 20; round++) {
            world.assign.member_count = 1 + draw(&world, MEMBERS_MAX);
            for (size_t m = 0; m < world.assign.member_count; m++)
                if (round == 0 || draw(&world, 3) == 0)
                    reads(&world, m, draw(&world, 1u << world.assign.topic_count));
            assign_uniform(&world);
            assign_uniform(&world);
            assert_int_equal(moved(&world), 0);
        }
    }
}

static void range_gives_runs_topic_by_topic(void **state) {
    (void)state;
    struct world world;
    world_init(&world, 3, 3, 1);
    world.partitions[0] = 7;
    world.partitions[1] = 2;
    world.partitions[2] = 3;
    reads(&world, 0, 7);
    reads(&world, 1, 3);
    reads(&world, 2, 7);
    assert_int_equal(ms_assign_range(&world.assign), 0);
    static const uint32_t expected[] = {0, 0, 0, 1, 1, 2, 2, 0, 1, 0, 0, 2};
    assert_memory_equal(world.owners, expected, sizeof expected);
    assert_complete(&world);
}

static void range_is_complete_and_even_within_a_topic(void **state) {
    (void)state;
    struct world world;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        world_init(&world, 1 + seed % TOPICS_MAX, 1 + seed % MEMBERS_MAX, seed);
        for (size_t t = 0; t < world.assign.topic_count; t++)
            world.partitions[t] = draw(&world, PARTITIONS_MAX + 1);
        for (size_t m = 0; m < world.assign.member_count; m++)
            reads(&world, m, draw(&world, 1u << world.assign.topic_count));
        assert_int_equal(ms_assign_range(&world.assign), 0);
        assert_complete(&world);
        const uint32_t *owner = world.owners;
        for (uint32_t t = 0; t < world.assign.topic_count; owner += world.partitions[t++]) {
            size_t load[MEMBERS_MAX] = {0}, most = 0, least = SIZE_MAX;
            for (uint32_t p = 0; p < world.partitions[t]; p++) {
                assert_true(p == 0 || owner[p] >= owner[p - 1]);
                if (owner[p] != MS_ASSIGN_NONE)
                    load[owner[p]]++;
            }
            for (uint32_t m = 0; m < world.assign.member_count; m++)
                if (does_read(&world, m, t)) {
                    most = load[m] > most ? load[m] : most;
                    least = load[m] < least ? load[m] : least;
                }
            assert_true(least == SIZE_MAX || most <= least + 1);
        }
    }
}

static void without_memory_nothing_changes(void **state) {
    (void)state;
    struct world world;
    world_init(&world, 2, 2, 1);
    world.partitions[0] = world.partitions[1] = 3;
    reads(&world, 0, 3);
    reads(&world, 1, 3);
    int (*const assignors[])(const struct ms_assign *) = {ms_assign_uniform, ms_assign_range};
    for (size_t a = 0; a < 2; a++)
        for (uint64_t n = 1;; n++) {
            memset(world.owners, 0xff, sizeof world.owners);
            ms_alloc_fail_nth(n);
            int rc = assignors[a](&world.assign);
            ms_alloc_fail_nth(0);
            if (rc == 0)
                break;
            assert_int_equal(rc, MS_ENOMEM);
            for (size_t i = 0; i < 6; i++)
                assert_int_equal(world.owners[i], MS_ASSIGN_NONE);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_gets_nothing),
        cmocka_unit_test(one_gets_everything),
        cmocka_unit_test(uniform_gives_a_new_member_its_share_and_moves_no_more),
        cmocka_unit_test(uniform_spreads_a_topic_over_its_readers),
        cmocka_unit_test(uniform_moves_as_little_as_possible),
        cmocka_unit_test(uniform_is_even_for_readers_that_differ_and_comes_to_rest),
        cmocka_unit_test(range_gives_runs_topic_by_topic),
        cmocka_unit_test(range_is_complete_and_even_within_a_topic),
        cmocka_unit_test(without_memory_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
