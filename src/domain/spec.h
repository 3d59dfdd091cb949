/*
 * Running the tests that a module declares: given events, when a command, then events, a rejection
 * or an error.
 *
 *     test "an empty order is refused" {
 *       aggregate = "order",
 *       given = { event("order.created", { … }) },
 *       command = { type = "CreateOrder", data = { items = array {} } },
 *       events = { event(…) },      -- or
 *       reject = "order.empty",     -- the code, or
 *       error = "some text",        -- of an error that is no rejection
 *       state = { … },              -- behind all of that
 *     }
 *
 * Each is run twice: once behind the others, once in a sandbox of its own. A difference fails it:
 * something that the state doesn't hold has told them apart, and would after a restart.
 *
 * One thread.
 */
#pragma once

#include "domain/module.h"

struct ms_spec_result {
    size_t number; /* from 1 */
    const char *title;
    const char *place; /* "file:line" */
    bool passed;
    const char *text; /* what was expected and what came, in lines; "" when it passed */
};
typedef void ms_spec_report(void *context, const struct ms_spec_result *result);

struct ms_spec_summary {
    size_t passed, failed;
};

/* MS_EINVAL: the files are refused, *ret_failure says why; MS_ENOMEM. */
int ms_spec_run(const struct ms_module_file *files, size_t count,
                const struct ms_sandbox_limits *limits, struct ms_clock *clock,
                ms_spec_report *report, void *context, struct ms_spec_summary *ret_summary,
                struct ms_sandbox_failure *ret_failure) MS_MUST_CHECK;
