/*
 * Tokens of SQL: as much of its grammar as it takes to find the ends of statements and the
 * parameters without being misled by what stands in strings, names, comments and bodies.
 *
 * The two databases read the same text differently, and what is taken for a string here must be one
 * there: so the lexer is told whose eyes to use.
 *
 *                          SQLite                       PostgreSQL
 *   'it''s'                string                       string
 *   E'it\'s'               name E, string 'it\'         string with escapes
 *   "a""b"                 name                         name
 *   `a``b`  [a b]          names                        operators (a[1] is an element)
 *   $$…$$  $tag$…$tag$     refused                      body
 *   -- …                   comment                      comment
 *   a comment within one   refused: it ends both        nested
 *   ::                     cast (SQLite will refuse)    cast
 *   :name                  parameter                    parameter
 *   :1                     parameter (then refused)     operator, number: a[1:2]
 *   ?  ?1  @a  #a  $a      refused: not our parameters  operators
 *   $1                     refused                      refused
 *
 * Tokens follow one another without a gap: their texts together are the whole text. Sans-I/O; one
 * thread per lexer.
 */
#pragma once

#include "base/bytes.h"
#include "projection/place.h"

enum ms_sql_dialect { MS_SQL_SQLITE, MS_SQL_POSTGRES };

enum ms_sql_token_kind {
    MS_SQL_END, /* of the text; empty */
    MS_SQL_SPACE,
    MS_SQL_LINE_COMMENT, /* "--" to the end of the line, without the line feed */
    MS_SQL_BLOCK_COMMENT,
    MS_SQL_WORD, /* a keyword or a bare name */
    MS_SQL_NUMBER,
    MS_SQL_STRING, /* with its quotes, and its E */
    MS_SQL_QUOTED_NAME,
    MS_SQL_BODY, /* between dollar quotes, these included */
    MS_SQL_PARAMETER,
    MS_SQL_CAST,
    MS_SQL_SEMICOLON,
    MS_SQL_OPERATOR, /* any other byte, one by one */
};

struct ms_sql_token {
    enum ms_sql_token_kind kind;
    struct ms_bytes text; /* a part of the lexer's text */
    struct ms_place place;
};

struct ms_sql_lexer {
    struct ms_bytes text;
    enum ms_sql_dialect dialect;
    size_t at;
    struct ms_place place; /* of `at` */
};

/* `text` and `file` must outlive the lexer and its tokens. */
void ms_sql_lexer_init(struct ms_sql_lexer *lexer, const char *file, struct ms_bytes text,
                       enum ms_sql_dialect dialect);
/* The next token; MS_SQL_END for ever at the end. MS_EINVAL: what begins here has no end, or is
 * refused as the table says; the lexer stays where it is. */
int ms_sql_next(struct ms_sql_lexer *lexer, struct ms_sql_token *ret_token, struct ms_error *err)
    MS_MUST_CHECK;

/* A word, whatever its case. `word` is in lower case. */
bool ms_sql_token_is(const struct ms_sql_token *token, const char *word);
static inline bool ms_sql_token_is_operator(const struct ms_sql_token *token, char byte) {
    return token->kind == MS_SQL_OPERATOR && token->text.len == 1 &&
           token->text.data[0] == (uint8_t)byte;
}
/* Space or a comment. */
static inline bool ms_sql_token_is_blank(const struct ms_sql_token *token) {
    return token->kind == MS_SQL_SPACE || token->kind == MS_SQL_LINE_COMMENT ||
           token->kind == MS_SQL_BLOCK_COMMENT;
}
