/* The name of a stream that a request names as a whole or by topic and key (DESIGN section 1), in
 * the one spelling that answers use. Sans-I/O; any thread. */
#pragma once

#include "base/arena.h"

/* `<topic>-<key>`, with what can't stand in a name as %XX (ms_store_stream_name); in the arena.
 * MS_EINVAL for what is no topic's name, MS_ENOMEM. */
int ms_http_stream_of_key(struct ms_bytes topic, struct ms_bytes key, struct ms_arena *arena,
                          struct ms_bytes *ret_stream, struct ms_error *err) MS_MUST_CHECK;
/* The canonical name of a stream (ms_store_canonical_name). A reserved name in a request that
 * writes stays as it is spelt, for the store to refuse it. MS_EINVAL, MS_ENOMEM. */
int ms_http_stream_of_name(struct ms_bytes text, bool writes, struct ms_arena *arena,
                           struct ms_bytes *ret_stream, struct ms_error *err) MS_MUST_CHECK;
