/*
 * What is looked for in a statement's text: calls of functions, and what the guards of both
 * databases refuse. Asserted: what is found stands in the text, in its place; each "(" behind a
 * name is found once it is closed; what is refused names its place.
 */
#include "base/alloc.h"
#include "projection/postgres_guard.h"
#include "projection/sql_calls.h"
#include "projection/sqlite_guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAME "fuzz.sql"

static void check_token(const struct ms_sql_statement *statement,
                        const struct ms_sql_token *token) {
    struct ms_bytes whole = statement->text;
    MS_ASSERT(token->text.data >= whole.data &&
              token->text.data + token->text.len <= whole.data + whole.len);
    struct ms_bytes before = ms_bytes_of(whole.data, (size_t)(token->text.data - whole.data));
    struct ms_place place = ms_place_after(statement->place, before);
    MS_ASSERT(place.line == token->place.line && place.column == token->place.column);
}

struct found {
    const struct ms_sql_statement *statement;
    size_t calls;
};

static int visit(void *context, const struct ms_sql_call *call, struct ms_error *err) {
    struct found *found = context;
    (void)err;
    check_token(found->statement, &call->name);
    MS_ASSERT(ms_sql_name_of(&call->name).data != NULL);
    MS_ASSERT(!call->bare || call->arguments == 0);
    if (call->now.kind == MS_SQL_STRING)
        check_token(found->statement, &call->now);
    found->calls += !call->bare;
    return 0;
}

/* By another way: brackets that are closed, behind a name. */
static size_t count_calls(const struct ms_sql_statement *statement, enum ms_sql_dialect dialect) {
    struct ms_sql_lexer lexer;
    struct ms_sql_token token = {.kind = MS_SQL_SPACE}, before = token;
    bool named[100];
    size_t depth = 0, count = 0;
    ms_sql_lexer_init(&lexer, NAME, statement->text, dialect);
    while (token.kind != MS_SQL_END) {
        MS_ASSERT(ms_sql_next(&lexer, &token, NULL) == 0);
        if (ms_sql_token_is_blank(&token))
            continue;
        if (ms_sql_token_is_operator(&token, '('))
            named[depth++] = before.kind == MS_SQL_WORD || before.kind == MS_SQL_QUOTED_NAME;
        else if (ms_sql_token_is_operator(&token, ')') && depth > 0)
            count += named[--depth];
        before = token;
    }
    return count;
}

static void check_refusal(int code, const struct ms_error *err) {
    MS_ASSERT(code == 0 || code == MS_EINVAL || code == MS_ETOOBIG);
    MS_ASSERT(code == 0 || (err->code == code && memcmp(err->message, NAME ":", 9) == 0));
}

static void read_as(struct ms_bytes text, enum ms_sql_dialect dialect) {
    struct ms_arena arena;
    struct ms_sql_statement statement;
    struct ms_error err = {0};
    ms_arena_init(&arena, (size_t)8 << 20);
    struct ms_place place = {NAME, 1, 1};
    if (ms_sql_statement_init(&statement, text, place, dialect, &arena, &err) == 0) {
        struct found found = {.statement = &statement};
        int code = ms_sql_calls(&statement, dialect, visit, &found, &err);
        check_refusal(code, &err);
        MS_ASSERT(code != 0 || found.calls == count_calls(&statement, dialect));
        for (int part = MS_POSTGRES_SCHEMA; part <= MS_POSTGRES_QUERY; part++)
            if (dialect == MS_SQL_POSTGRES)
                check_refusal(ms_postgres_guard(&statement, (enum ms_postgres_part)part, &err),
                              &err);
        struct ms_projection_definition definition = {.schema = {&statement, 1}};
        if (dialect == MS_SQL_SQLITE)
            check_refusal(ms_sqlite_guard(&definition, &err), &err);
    }
    ms_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ms_bytes text = ms_bytes_of(data, size);
    if (size == 0 || data[0] <= ' ' || (size > 1 && (data[0] == '-' || data[0] == '/')))
        return 0; /* a statement begins with no space and no comment */
    read_as(text, MS_SQL_SQLITE);
    read_as(text, MS_SQL_POSTGRES);
    return 0;
}
