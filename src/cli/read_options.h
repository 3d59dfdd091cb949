/* Which events: the options that read, tail and export share. One thread. */
#pragma once

#include "cli/target.h"

/* Fills in a read from STREAM (NULL: all events) and the options. MS_EINVAL. */
int ms_read_options(struct ms_invocation *invocation, const char *stream,
                    struct ms_target_read *ret_read, struct ms_error *err) MS_MUST_CHECK;
