/* The settings of a topic as PUT and GET /v1/topics/{topic} spell them. Sans-I/O; any thread. */
#pragma once

#include "store/store.h"

/* What the body names replaces what is in *settings; an empty body names nothing. *ret_force: it
 * says "force": true, which is no setting. MS_EINVAL names the field and what was expected;
 * *settings may then be changed in part. */
int ms_http_topic_settings_parse(struct ms_bytes body, struct ms_topic_settings *settings,
                                 bool *ret_force, struct ms_error *err) MS_MUST_CHECK;
/* Appends them as members of an object, each with its comma in front. MS_ENOMEM, MS_ETOOBIG. */
int ms_http_topic_settings_write(struct ms_buf *out, const struct ms_topic_settings *settings)
    MS_MUST_CHECK;
