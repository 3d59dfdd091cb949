/*
 * What verify and repair find, shown for people or as JSON lines; progress meanwhile. One thread.
 */
#pragma once

#include "cli/output.h"
#include "log/verify.h"
#include "store/offline.h"

struct ms_findings {
    struct ms_invocation *invocation;
    struct ms_progress progress;
    struct ms_output output;
    int rc; /* of writing: MS_EIO, MS_ENOMEM */
};

/* Says what is to be known of the directory, and begins the progress line "<what> n of m MiB". */
void ms_findings_begin(struct ms_findings *findings, struct ms_invocation *invocation,
                       const struct ms_offline *offline, const char *what);
void ms_findings_end(struct ms_findings *findings);
/* Options whose findings and progress are shown. */
struct ms_verify_options ms_findings_options(struct ms_findings *findings,
                                             const struct ms_offline *offline);
