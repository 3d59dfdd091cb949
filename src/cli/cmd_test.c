/*
 * `mainstem test`: the tests of an app's modules, without a server.
 *
 * The output is TAP (testanything.org, version 13), which people can read too.
 */
#include "cli/app_files.h"
#include "domain/spec.h"

struct testing {
    FILE *out;
    size_t before; /* tests of the apps before this one */
};

static void print_lines(FILE *out, const char *text) {
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        fprintf(out, "#   %.*s\n", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

static void report(void *context, const struct ms_spec_result *result) {
    const struct testing *testing = context;
    fprintf(testing->out, "%s %zu - %s\n", result->passed ? "ok" : "not ok",
            testing->before + result->number, result->title);
    if (result->passed)
        return;
    fprintf(testing->out, "# %s\n", result->place);
    print_lines(testing->out, result->text);
}

static int test_app(struct ms_invocation *invocation, const char *dir, struct testing *testing,
                    struct ms_spec_summary *ret_summary, struct ms_error *err) {
    static const struct ms_sandbox_limits limits = {0};
    struct ms_sandbox_failure failure = {0};
    struct ms_module_file *files;
    struct ms_app *app;
    size_t count;
    int code = ms_app_read(invocation->cli->env->vfs, dir, &app, err);
    if (code != 0)
        return code;
    code = ms_app_module_files(invocation, dir, app, &files, &count);
    if (code == 0)
        code = ms_spec_run(files, count, &limits, invocation->cli->env->clock, report, testing,
                           ret_summary, &failure);
    if (code == MS_EINVAL)
        ms_error_set(err, code, "%s", failure.text);
    ms_app_free(app);
    return code;
}

int ms_cmd_test(struct ms_invocation *invocation) {
    struct ms_cli *cli = invocation->cli;
    struct testing testing = {.out = cli->out};
    struct ms_spec_summary sum = {0};
    fprintf(cli->out, "TAP version 13\n");
    for (size_t i = 0; i < invocation->arg_count; i++) {
        struct ms_spec_summary summary;
        struct ms_error err = {0};
        int code = test_app(invocation, invocation->args[i], &testing, &summary, &err);
        if (code != 0) {
            fprintf(cli->out, "Bail out! %s is refused\n", invocation->args[i]);
            return ms_cli_fail(cli, code, &err);
        }
        sum.passed += summary.passed;
        sum.failed += summary.failed;
        testing.before = sum.passed + sum.failed;
    }
    fprintf(cli->out, "1..%zu\n# %zu passed, %zu failed\n", testing.before, sum.passed, sum.failed);
    return sum.failed == 0 ? MS_EXIT_OK : MS_EXIT_FAILURE;
}
