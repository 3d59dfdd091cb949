/* Tests of os/env: the system's world, and UUIDs from a world given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/env.h"

static void the_system_environment_is_complete(void **state) {
    (void)state;
    const struct ms_env *env = ms_env_system();
    assert_ptr_equal(env, ms_env_system());
    assert_ptr_equal(env->vfs, ms_vfs_posix());
    assert_ptr_equal(env->clock, ms_clock_system());
    assert_ptr_equal(env->random, ms_random_system());
}

static void uuids_come_from_the_clock_and_randomness_given(void **state) {
    (void)state;
    struct ms_clock_manual clock;
    struct ms_random_seeded random, same;
    ms_clock_manual_init(&clock, INT64_C(0x017f22e279b0) * 1000 + 999);
    ms_random_seeded_init(&random, 5);
    ms_random_seeded_init(&same, 5);
    struct ms_env env = {ms_vfs_posix(), &clock.clock, &random.random};

    struct ms_uuid uuid, wanted;
    uint8_t bytes[16];
    ms_env_uuid_v7(&env, &uuid);
    ms_random_fill(&same.random, bytes, 10);
    ms_uuid_v7(UINT64_C(0x017f22e279b0), bytes, &wanted);
    assert_true(ms_uuid_equal(&uuid, &wanted));
    ms_env_uuid_v4(&env, &uuid);
    ms_random_fill(&same.random, bytes, 16);
    ms_uuid_v4(bytes, &wanted);
    assert_true(ms_uuid_equal(&uuid, &wanted));
}

static void a_clock_before_1970_gives_time_zero(void **state) {
    (void)state;
    struct ms_clock_manual clock;
    struct ms_random_seeded random;
    ms_clock_manual_init(&clock, -1);
    ms_random_seeded_init(&random, 5);
    struct ms_env env = {ms_vfs_posix(), &clock.clock, &random.random};
    struct ms_uuid uuid;
    ms_env_uuid_v7(&env, &uuid);
    static const uint8_t zeros[6] = {0};
    assert_memory_equal(uuid.bytes, zeros, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_system_environment_is_complete),
        cmocka_unit_test(uuids_come_from_the_clock_and_randomness_given),
        cmocka_unit_test(a_clock_before_1970_gives_time_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
