/*
 * One SQL statement and its parameters, numbered by first appearance from 0.
 *
 *     update t set a = :data, b = :key where c = :data      as it stands in the file
 *     update t set a = ?1, b = ?2 where c = ?1              for SQLite
 *     update t set a = $1, b = $2 where c = $1              for PostgreSQL
 *
 * Nothing but the parameters changes, comments stay. Statements live in the arena that they were
 * made in and point into the file's text. Any thread, once made.
 */
#pragma once

#include "base/arena.h"
#include "projection/sql_lexer.h"

struct ms_sql_parameter {
    struct ms_bytes name;  /* without the ':' */
    struct ms_place place; /* where it first stands */
    unsigned declared;     /* which of the declared ones it is: filled by who knows these */
};

/* ":name" in the text. */
struct ms_sql_use {
    uint32_t offset;
    uint32_t number; /* of the parameter */
};

struct ms_sql_statement {
    struct ms_bytes text; /* from its first token to its last one, without the ';' */
    struct ms_place place;
    struct ms_sql_token first;
    struct ms_sql_parameter *parameters;
    size_t parameter_count;
    const struct ms_sql_use *uses; /* by rising offset */
    size_t use_count;
};

/* Reads the text of one statement, which begins at `place` with a token that is no space and no
 * comment. MS_EINVAL (as ms_sql_next; ':name' right behind a word, a number or another parameter,
 * which would grow together with "$1"), MS_ETOOBIG (too many parameters), MS_ENOMEM. */
int ms_sql_statement_init(struct ms_sql_statement *statement, struct ms_bytes text,
                          struct ms_place place, enum ms_sql_dialect dialect,
                          struct ms_arena *arena, struct ms_error *err) MS_MUST_CHECK;

/* Appends the text as `dialect` takes it. MS_ENOMEM, MS_ETOOBIG; the buffer may hold a part of it
 * then. */
int ms_sql_rewrite(const struct ms_sql_statement *statement, enum ms_sql_dialect dialect,
                   struct ms_buf *out) MS_MUST_CHECK;
/* The place in the file of a byte of the rewritten text, for what the database says of it. */
struct ms_place ms_sql_place_of(const struct ms_sql_statement *statement,
                                enum ms_sql_dialect dialect, size_t offset);

/* ---- where statements end ---- */

/*
 * At a ';', but for those in the body of a trigger of SQLite, which is over with "; end;":
 *
 *     start ──create──> create ──trigger──> body ──;──> semicolon ──end──> end ──;──> over
 *       └──other──> plain ──;──> over         ^──────other──────┴─────other────┘
 */
enum ms_sql_split_state {
    MS_SQL_SPLIT_START,
    MS_SQL_SPLIT_CREATE,
    MS_SQL_SPLIT_PLAIN,
    MS_SQL_SPLIT_BODY,
    MS_SQL_SPLIT_SEMICOLON,
    MS_SQL_SPLIT_END,
};

/* True when the token, neither space nor comment, is the ';' that ends the statement; the state is
 * at the start again then. */
bool ms_sql_split(enum ms_sql_split_state *state, enum ms_sql_dialect dialect,
                  const struct ms_sql_token *token);
