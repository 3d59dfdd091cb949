/* The real world's environment; see env.h. Any thread. */
#include "os/env.h"

static pthread_once_t system_once = PTHREAD_ONCE_INIT;
static struct ms_env system_env;

static void make_system_env(void) {
    system_env = (struct ms_env){
        .vfs = ms_vfs_posix(),
        .clock = ms_clock_system(),
        .random = ms_random_system(),
    };
}

const struct ms_env *ms_env_system(void) {
    pthread_once(&system_once, make_system_env);
    return &system_env;
}

void ms_env_uuid_v7(const struct ms_env *env, struct ms_uuid *ret_uuid) {
    uint8_t random_bytes[10];
    ms_random_fill(env->random, random_bytes, sizeof random_bytes);
    int64_t now_us = ms_clock_now_us(env->clock);
    ms_uuid_v7(now_us > 0 ? (uint64_t)now_us / 1000 : 0, random_bytes, ret_uuid);
}

void ms_env_uuid_v4(const struct ms_env *env, struct ms_uuid *ret_uuid) {
    uint8_t random_bytes[16];
    ms_random_fill(env->random, random_bytes, sizeof random_bytes);
    ms_uuid_v4(random_bytes, ret_uuid);
}
