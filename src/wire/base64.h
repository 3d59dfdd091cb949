/* Base64 (RFC 4648 section 4: the standard alphabet with padding), read strictly: no white space,
 * no missing or superfluous padding, no stray bits in the last character, so that one value has one
 * spelling. Sans-I/O; any thread. */
#pragma once

#include "base/arena.h"

/* Decodes into the arena; ret_data is never NULL, also for empty text. MS_EINVAL, MS_ENOMEM. */
int ms_base64_decode(struct ms_bytes text, struct ms_arena *arena, struct ms_bytes *ret_data)
    MS_MUST_CHECK;
/* Appends data's spelling. MS_ENOMEM, MS_ETOOBIG; on failure the buffer is as before. */
int ms_base64_write(struct ms_buf *out, struct ms_bytes data) MS_MUST_CHECK;
