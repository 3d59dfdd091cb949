/*
 * Directives: the comment lines of a projection file that say what its statements are for.
 *
 *     -- name: value
 *
 * A directive is a comment from "--" on that stands first on its line. A comment that begins with
 * a name that is almost a directive's, and a ':', is refused, since taking it for an ordinary one
 * would put the statements below it into the wrong place. Any thread.
 */
#pragma once

#include "projection/sql_lexer.h"

/* X(constant, name, value, one of which a file has at most one) */
#define MS_DIRECTIVE_LIST(X)                                                                       \
    X(PROJECTION, "projection", "name", true)                                                      \
    X(FROM, "from", "topic, stream:name, type:pattern, *", false)                                  \
    X(MODE, "mode", "async or sync", true)                                                         \
    X(ON_ERROR, "on-error", "stop or park", true)                                                  \
    X(TARGET, "target", "sqlite or postgres", true)                                                \
    X(ON, "on", "event type, prefix.*, *", false)                                                  \
    X(QUERY, "query", "name(parameter type = default)", false)

enum ms_directive_kind {
#define X(constant, name, value, single) MS_DIRECTIVE_##constant,
    MS_DIRECTIVE_LIST(X)
#undef X
        MS_DIRECTIVE_COUNT
};

struct ms_directive {
    enum ms_directive_kind kind;
    struct ms_place place;
    struct ms_bytes value; /* without blanks around it, never empty */
    struct ms_place value_place;
};

const char *ms_directive_name(enum ms_directive_kind kind);
bool ms_directive_is_single(enum ms_directive_kind kind);

/* True when the comment is a directive. Its value may be empty here. */
bool ms_directive_read(const struct ms_sql_token *comment, struct ms_directive *ret_directive);
/* MS_EINVAL: the comment's name is almost a directive's, and which. */
int ms_directive_check_comment(const struct ms_sql_token *comment, struct ms_error *err)
    MS_MUST_CHECK;

/* ---- values ---- */

/* [a-z][a-z0-9_]* of at most MS_PROJECTION_NAME_MAX bytes; `what` it is the name of. MS_EINVAL,
 * MS_ETOOBIG. */
int ms_directive_check_name(struct ms_bytes name, const char *what, struct ms_place place,
                            struct ms_error *err) MS_MUST_CHECK;

/* Items of a list between commas, without blanks around them. */
struct ms_directive_list {
    struct ms_bytes rest;
    struct ms_place place; /* of the rest */
    bool at_end;
};
struct ms_directive_list ms_directive_list_of(const struct ms_directive *directive);
/* 1 and an item, 0 at the end; MS_EINVAL: an item is empty. */
int ms_directive_list_next(struct ms_directive_list *list, struct ms_bytes *ret_item,
                           struct ms_place *ret_place, struct ms_error *err) MS_MUST_CHECK;
