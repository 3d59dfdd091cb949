/*
 * The content of a projection file: what is refused before anything is read, the text with line
 * feeds alone as line ends, and the hash that is the projection's version.
 *
 * The hash does not see what an editor or git may change unasked: a byte order mark, CR LF for LF,
 * blanks at the ends of lines, empty lines at the end of the file. Within strings, quoted names and
 * bodies blanks are the user's data, so it is taken over the tokens. Any other change, also of a
 * comment, is another version. One thread per hasher.
 */
#pragma once

#include "base/arena.h"
#include "base/hash.h"
#include "projection/sql_lexer.h"

/* A copy in the arena. MS_ETOOBIG; MS_EINVAL: not UTF-8, a zero byte, a CR without its LF; each
 * with its place. MS_ENOMEM. */
int ms_content_text(const char *file, struct ms_bytes content, struct ms_arena *arena,
                    struct ms_bytes *ret_text, struct ms_error *err) MS_MUST_CHECK;

struct ms_content_hasher {
    struct ms_buf text; /* what the hash is taken of */
};

void ms_content_hasher_init(struct ms_content_hasher *hasher);
void ms_content_hasher_deinit(struct ms_content_hasher *hasher);
/* Each token of the text, one after the other. MS_ENOMEM. */
int ms_content_hasher_add(struct ms_content_hasher *hasher, const struct ms_sql_token *token)
    MS_MUST_CHECK;
struct ms_hash128 ms_content_hasher_end(struct ms_content_hasher *hasher);
