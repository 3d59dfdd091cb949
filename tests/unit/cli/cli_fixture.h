/* Running the command inside a test: output in memory, a file system and an environment of its own.
 * For tests of src/cli. */
#pragma once

#include <stdlib.h>

#include "cli/command.h"
#include "os/vfs_sim.h"

struct cli_fixture {
    struct ms_cli cli;
    struct ms_env env;
    struct ms_vfs_sim *sim;
    char *out, *err;
    size_t out_len, err_len;
    char input[4096];
};

static inline void fixture_open(struct cli_fixture *fixture, const char *input) {
    *fixture = (struct cli_fixture){.env = *ms_env_system()};
    assert_int_equal(ms_vfs_sim_new(1, &fixture->sim), 0);
    fixture->env.vfs = ms_vfs_sim_vfs(fixture->sim);
    snprintf(fixture->input, sizeof fixture->input, "%s", input);
    size_t len = strlen(fixture->input);
    fixture->cli.in = fmemopen(fixture->input, len ? len : 1, "r");
    fixture->cli.out = open_memstream(&fixture->out, &fixture->out_len);
    fixture->cli.err = open_memstream(&fixture->err, &fixture->err_len);
    fixture->cli.env = &fixture->env;
    assert_true(fixture->cli.in && fixture->cli.out && fixture->cli.err);
}

static inline void fixture_close(struct cli_fixture *fixture) {
    fclose(fixture->cli.in);
    fclose(fixture->cli.out);
    fclose(fixture->cli.err);
    free(fixture->out);
    free(fixture->err);
    ms_vfs_sim_free(fixture->sim);
}

/* The arguments end with NULL. What was written before is forgotten. */
static inline int fixture_run(struct cli_fixture *fixture, const char *const *arguments) {
    rewind(fixture->cli.out);
    rewind(fixture->cli.err);
    int count = 0;
    while (arguments[count])
        count++;
    int status = ms_cli_run(&fixture->cli, count, arguments);
    fputc(0, fixture->cli.out);
    fputc(0, fixture->cli.err);
    fflush(fixture->cli.out);
    fflush(fixture->cli.err);
    return status;
}
#define RUN(fixture, ...) fixture_run((fixture), (const char *const[]){__VA_ARGS__, NULL})

static inline void expect_out(const struct cli_fixture *fixture, const char *text) {
    if (!strstr(fixture->out, text))
        fail_msg("\"%s\" is not in the output: %s", text, fixture->out);
}
static inline void expect_err(const struct cli_fixture *fixture, const char *text) {
    if (!strstr(fixture->err, text))
        fail_msg("\"%s\" is not in the messages: %s", text, fixture->err);
}
