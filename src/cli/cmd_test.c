/*
 * `mainstem test`: the tests of an app's modules, without a server.
 *
 * The output is TAP (testanything.org, version 13), which people can read too.
 */
#include "base/alloc.h"
#include "cli/command.h"
#include "domain/app.h"
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

/* Errors of a module name its files by what was typed. */
static int name_files(struct ms_invocation *invocation, const char *dir, const struct ms_app *app,
                      struct ms_module_file **ret_files, size_t *ret_count) {
    struct ms_module_file *files =
        ms_arena_zalloc(&invocation->arena, (app->count + 1) * sizeof *files);
    size_t count = 0;
    if (files == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; i < app->count; i++) {
        if (!ms_app_is_module(&app->files[i]))
            continue;
        size_t size = strlen(dir) + strlen(app->files[i].path) + 2;
        char *name = ms_arena_alloc(&invocation->arena, size);
        if (name == NULL)
            return MS_ENOMEM;
        const char *slash = dir[strlen(dir) - 1] == '/' ? "" : "/";
        snprintf(name, size, "%s%s%s", dir, slash, app->files[i].path);
        files[count++] = (struct ms_module_file){name, app->files[i].content};
    }
    *ret_files = files;
    *ret_count = count;
    return 0;
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
    code = name_files(invocation, dir, app, &files, &count);
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
