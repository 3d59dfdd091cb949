/* The text form of a stream that a path names by topic and key (DESIGN section 1). Sans-I/O; any
 * thread. */
#pragma once

#include "base/arena.h"

/* `<topic>-<key>`, with what can't stand in a name as %XX (ms_store_stream_name); in the arena.
 * MS_EINVAL for what is no topic's name, MS_ENOMEM. */
int ms_http_stream_of_key(struct ms_bytes topic, struct ms_bytes key, struct ms_arena *arena,
                          struct ms_bytes *ret_stream, struct ms_error *err) MS_MUST_CHECK;
