/* Statements, their parameters and their ends; see statement.h. Any thread. */
#include "projection/statement.h"

#include <stdio.h>

#include "projection/limits.h"

/* ---- reading ---- */

struct reading {
    struct ms_sql_statement *statement;
    struct ms_sql_parameter parameters[MS_PROJECTION_PARAMETERS_MAX];
    struct ms_sql_use *uses; /* NULL while they are counted */
};

/* "$1" behind any of these would be read as a part of it. */
static bool grows_together(const struct ms_sql_token *before) {
    return before->kind == MS_SQL_WORD || before->kind == MS_SQL_NUMBER ||
           before->kind == MS_SQL_PARAMETER;
}

static int number_of(struct reading *reading, const struct ms_sql_token *token,
                     uint32_t *ret_number, struct ms_error *err) {
    struct ms_sql_statement *statement = reading->statement;
    struct ms_bytes name = ms_bytes_of(token->text.data + 1, token->text.len - 1);
    size_t i = 0;
    while (i < statement->parameter_count && !ms_bytes_equal(reading->parameters[i].name, name))
        i++;
    if (i == MS_PROJECTION_PARAMETERS_MAX)
        return ms_place_error(token->place, MS_ETOOBIG, err,
                              "more than %u different parameters in one statement",
                              MS_PROJECTION_PARAMETERS_MAX);
    if (i == statement->parameter_count) {
        reading->parameters[i] = (struct ms_sql_parameter){.name = name, .place = token->place};
        statement->parameter_count++;
    }
    *ret_number = (uint32_t)i;
    return 0;
}

static int take_parameter(struct reading *reading, const struct ms_sql_token *token,
                          const struct ms_sql_token *before, struct ms_error *err) {
    struct ms_sql_statement *statement = reading->statement;
    uint32_t number = 0;
    if (grows_together(before))
        return ms_place_error(token->place, MS_EINVAL, err, "put a space before '%.*s'",
                              MS_PLACE_SHOWN(token->text));
    int rc = number_of(reading, token, &number, err);
    if (rc != 0)
        return rc;
    if (reading->uses != NULL) {
        size_t offset = (size_t)(token->text.data - statement->text.data);
        reading->uses[statement->use_count] = (struct ms_sql_use){(uint32_t)offset, number};
    }
    statement->use_count++;
    return 0;
}

/* Once to count the uses, once more to note them. */
static int read_tokens(struct reading *reading, enum ms_sql_dialect dialect, struct ms_error *err) {
    struct ms_sql_statement *statement = reading->statement;
    struct ms_sql_token token = {.kind = MS_SQL_SPACE}, before;
    struct ms_sql_lexer lexer;
    ms_sql_lexer_init(&lexer, statement->place.file, statement->text, dialect);
    lexer.place = statement->place;
    statement->use_count = 0;
    do {
        before = token;
        size_t at = lexer.at;
        int rc = ms_sql_next(&lexer, &token, err);
        if (rc == 0 && at == 0)
            statement->first = token;
        if (rc == 0 && token.kind == MS_SQL_PARAMETER)
            rc = take_parameter(reading, &token, &before, err);
        if (rc != 0)
            return rc;
    } while (token.kind != MS_SQL_END);
    return 0;
}

static int no_memory(struct ms_place place, struct ms_error *err) {
    return ms_place_error(place, MS_ENOMEM, err, "no memory for the statement");
}

int ms_sql_statement_init(struct ms_sql_statement *statement, struct ms_bytes text,
                          struct ms_place place, enum ms_sql_dialect dialect,
                          struct ms_arena *arena, struct ms_error *err) {
    struct ms_sql_statement made = {.text = text, .place = place};
    struct reading reading = {.statement = &made};
    MS_ASSERT(text.len <= UINT32_MAX);
    int rc = read_tokens(&reading, dialect, err);
    if (rc == 0 && made.use_count > 0) {
        made.parameters = ms_arena_alloc(arena, made.parameter_count * sizeof *made.parameters);
        reading.uses = ms_arena_alloc(arena, made.use_count * sizeof *reading.uses);
        if (made.parameters == NULL || reading.uses == NULL)
            return no_memory(place, err);
        made.uses = reading.uses;
        rc = read_tokens(&reading, dialect, err);
        memcpy(made.parameters, reading.parameters, made.parameter_count * sizeof *made.parameters);
    }
    if (rc != 0)
        return rc;
    MS_ASSERT(made.first.kind != MS_SQL_END && !ms_sql_token_is_blank(&made.first));
    *statement = made;
    return 0;
}

/* ---- rewriting ---- */

#define NUMBER_TEXT_MAX 16

static size_t number_text(enum ms_sql_dialect dialect, uint32_t number, char out[NUMBER_TEXT_MAX]) {
    char sign = dialect == MS_SQL_SQLITE ? '?' : '$';
    int len = snprintf(out, NUMBER_TEXT_MAX, "%c%u", sign, (unsigned)number + 1);
    MS_ASSERT(len > 1 && len < NUMBER_TEXT_MAX);
    return (size_t)len;
}

/* Of ":name" in the file's text. */
static size_t use_length(const struct ms_sql_statement *statement, const struct ms_sql_use *use) {
    return statement->parameters[use->number].name.len + 1;
}

int ms_sql_rewrite(const struct ms_sql_statement *statement, enum ms_sql_dialect dialect,
                   struct ms_buf *out) {
    char number[NUMBER_TEXT_MAX];
    size_t from = 0;
    for (size_t i = 0; i < statement->use_count; i++) {
        const struct ms_sql_use *use = &statement->uses[i];
        int rc = ms_buf_append(out, statement->text.data + from, use->offset - from);
        if (rc == 0)
            rc = ms_buf_append(out, number, number_text(dialect, use->number, number));
        if (rc != 0)
            return rc;
        from = use->offset + use_length(statement, use);
    }
    return ms_buf_append(out, statement->text.data + from, statement->text.len - from);
}

struct ms_place ms_sql_place_of(const struct ms_sql_statement *statement,
                                enum ms_sql_dialect dialect, size_t offset) {
    char number[NUMBER_TEXT_MAX];
    size_t original = 0; /* and `offset` counts from there */
    for (size_t i = 0; i < statement->use_count; i++) {
        const struct ms_sql_use *use = &statement->uses[i];
        size_t number_len = number_text(dialect, use->number, number);
        size_t before = use->offset - original;
        if (offset < before)
            break;
        if (offset < before + number_len) { /* within the parameter */
            offset = before;
            break;
        }
        offset -= before + number_len;
        original = use->offset + use_length(statement, use);
    }
    size_t left = statement->text.len - original;
    size_t end = original + (offset < left ? offset : left);
    return ms_place_after(statement->place, ms_bytes_of(statement->text.data, end));
}

/* ---- ends ---- */

static enum ms_sql_split_state after(enum ms_sql_split_state state,
                                     const struct ms_sql_token *token) {
    bool semicolon = token->kind == MS_SQL_SEMICOLON;
    bool temporary = ms_sql_token_is(token, "temp") || ms_sql_token_is(token, "temporary");
    switch (state) {
    case MS_SQL_SPLIT_START:
        return ms_sql_token_is(token, "create") ? MS_SQL_SPLIT_CREATE : MS_SQL_SPLIT_PLAIN;
    case MS_SQL_SPLIT_CREATE:
        if (temporary)
            return MS_SQL_SPLIT_CREATE;
        return ms_sql_token_is(token, "trigger") ? MS_SQL_SPLIT_BODY : MS_SQL_SPLIT_PLAIN;
    case MS_SQL_SPLIT_PLAIN:
        return MS_SQL_SPLIT_PLAIN;
    case MS_SQL_SPLIT_SEMICOLON:
        if (ms_sql_token_is(token, "end"))
            return MS_SQL_SPLIT_END;
        return semicolon ? MS_SQL_SPLIT_SEMICOLON : MS_SQL_SPLIT_BODY;
    case MS_SQL_SPLIT_BODY:
    case MS_SQL_SPLIT_END:
        break;
    }
    return semicolon ? MS_SQL_SPLIT_SEMICOLON : MS_SQL_SPLIT_BODY;
}

bool ms_sql_split(enum ms_sql_split_state *state, enum ms_sql_dialect dialect,
                  const struct ms_sql_token *token) {
    bool in_trigger = *state == MS_SQL_SPLIT_BODY || *state == MS_SQL_SPLIT_SEMICOLON;
    if (token->kind == MS_SQL_SEMICOLON && !in_trigger) {
        *state = MS_SQL_SPLIT_START;
        return true;
    }
    *state = dialect == MS_SQL_SQLITE ? after(*state, token) : MS_SQL_SPLIT_PLAIN;
    return false;
}
