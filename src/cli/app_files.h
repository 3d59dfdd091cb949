/* The modules of an app's directory, as commands load them. */
#pragma once

#include "cli/command.h"
#include "domain/app.h"
#include "domain/module.h"

/* In the invocation's arena, but for what is in the app; errors name files as they were typed.
 * MS_ENOMEM. */
int ms_app_module_files(struct ms_invocation *invocation, const char *dir, const struct ms_app *app,
                        struct ms_module_file **ret_files, size_t *ret_count) MS_MUST_CHECK;
