/* What the tests of the public library share: a store in a scratch directory, or on simulated
 * files, and short ways to append to it. Calls must succeed unless a test looks at the code itself.
 * */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/lib.h"
#include "os/vfs_sim.h"
#include "os/scratch.h"

struct library {
    char dir[MS_PATH_MAX];
    struct mainstem_store *store;
    struct mainstem_error error;
    struct ms_vfs_sim *sim; /* NULL: real files */
    struct ms_env env;
};

#define ASSERT_OK(call) assert_int_equal((call), MAINSTEM_OK)

static inline struct mainstem_options small_options(void) {
    return (struct mainstem_options){.struct_size = sizeof(struct mainstem_options),
                                     .segment_bytes = 8u << 20,
                                     .tail_cache_bytes = 4u << 20,
                                     .head_cache_entries = 4096,
                                     .idempotence_window = 10000};
}

static inline void library_open(struct library *library) {
    struct mainstem_options options = small_options();
    if (mainstem_open(library->dir, &options, &library->store, &library->error) != 0)
        fail_msg("%s", library->error.message);
}

static inline int library_set_up(void **state) {
    struct library *library = calloc(1, sizeof *library);
    assert_non_null(library);
    assert_int_equal(scratch_make(library->dir), 0);
    library_open(library);
    *state = library;
    return 0;
}

static inline int library_tear_down(void **state) {
    struct library *library = *state;
    ms_ignore(mainstem_close(library->store, NULL));
    assert_int_equal(scratch_remove(library->dir), 0);
    free(library);
    return 0;
}

static inline void library_reopen(struct library *library) {
    ASSERT_OK(mainstem_close(library->store, &library->error));
    library_open(library);
}

/* A store on simulated files, which can be made to fail. */
static inline int library_set_up_simulated(void **state) {
    struct library *library = calloc(1, sizeof *library);
    assert_non_null(library);
    assert_int_equal(ms_vfs_sim_new(7, &library->sim), 0);
    library->env = *ms_env_system();
    library->env.vfs = ms_vfs_sim_vfs(library->sim);
    struct mainstem_options options = small_options();
    ASSERT_OK(ms_lib_open("/data", &options, &library->env, &library->store, &library->error));
    *state = library;
    return 0;
}

static inline int library_tear_down_simulated(void **state) {
    struct library *library = *state;
    ms_ignore(mainstem_close(library->store, NULL));
    ms_vfs_sim_free(library->sim);
    free(library);
    return 0;
}

static inline struct mainstem_event event_of(const char *type, const char *data) {
    return (struct mainstem_event){.type = mainstem_text(type), .data = mainstem_text(data)};
}

/* Appends one event and returns its version. */
static inline int64_t append_one(struct library *library, const char *stream, const char *type,
                                 const char *data) {
    struct mainstem_event event = event_of(type, data);
    struct mainstem_append_result result = {0};
    if (mainstem_append(library->store, stream, MAINSTEM_ANY, &event, 1, &result,
                        &library->error) != 0)
        fail_msg("%s", library->error.message);
    return result.version;
}

static inline void assert_bytes(struct mainstem_bytes bytes, const char *text) {
    assert_non_null(bytes.data);
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
}

static inline void assert_message_has(const struct mainstem_error *error, const char *part) {
    if (strstr(error->message, part) == NULL)
        fail_msg("'%s' is not in '%s'", part, error->message);
}

/* A test on a store of its own. */
#define REAL_TEST(test) cmocka_unit_test_setup_teardown(test, library_set_up, library_tear_down)
#define SIMULATED_TEST(test)                                                                       \
    cmocka_unit_test_setup_teardown(test, library_set_up_simulated, library_tear_down_simulated)
