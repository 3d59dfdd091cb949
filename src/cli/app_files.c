/* The modules of an app's directory; see app_files.h. */
#include "cli/app_files.h"

#include <stdio.h>

int ms_app_module_files(struct ms_invocation *invocation, const char *dir, const struct ms_app *app,
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
