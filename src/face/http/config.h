/*
 * The face's settings, shared by all loops: an immutable copy of the options, replaced as a whole
 * by a reload.
 *
 * Each loop holds a reference to the one it works with and takes over a newer one between two
 * events, so a request sees one configuration from its first byte to its answer's last. Any thread.
 */
#pragma once

#include "face/http/budget.h"
#include "face/http/http.h"

struct ms_http_config {
    atomic_uint refs;
    struct ms_http_budget_limits budget;
    struct ms_http_options options; /* strings and lists are this object's own */
};

/* MS_ENOMEM, MS_EINVAL (a limit that makes no sense; *err names it). */
int ms_http_config_new(const struct ms_http_options *options, struct ms_http_config **ret_config,
                       struct ms_error *err) MS_MUST_CHECK;
struct ms_http_config *ms_http_config_ref(struct ms_http_config *config);
void ms_http_config_unref(struct ms_http_config *config); /* takes NULL */
