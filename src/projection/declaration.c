/* The declaration of a query, taken apart by the lexer that reads the SQL; see declaration.h. */
#include "projection/declaration.h"

#include <math.h>
#include <stdlib.h>

#include "projection/directive.h"
#include "projection/limits.h"
#include "wire/json.h"

#define NUMBER_MAX 64u /* bytes of a default that is a number */
#define JSON_DEPTH_MAX 64u

static const char *const type_names[] = {
#define X(constant, name) name,
    MS_SQL_TYPE_LIST(X)
#undef X
};
#define TYPE_COUNT (sizeof type_names / sizeof type_names[0])

const char *ms_sql_type_name(enum ms_sql_type type) { return type_names[type]; }

/* What every query can be asked with, beside its own parameters. */
static const char *const reserved_names[] = {"min_position", "min_version", "as_of",
                                             "known_at",     "timeout",     "max_staleness",
                                             "page_rows",    "page_skip",   "allow_incomplete"};

struct reader {
    struct ms_sql_lexer lexer;
    struct ms_sql_token token; /* the one to be looked at, never a space */
    struct ms_arena *arena;
    struct ms_error *err;
    struct ms_query_parameter parameters[MS_PROJECTION_PARAMETERS_MAX];
    size_t count;
};

/* ---- tokens ---- */

static int step(struct reader *reader) {
    int rc;
    do
        rc = ms_sql_next(&reader->lexer, &reader->token, reader->err);
    while (rc == 0 && reader->token.kind == MS_SQL_SPACE);
    return rc;
}

static bool at_sign(const struct reader *reader, char sign) {
    return reader->token.kind == MS_SQL_OPERATOR && reader->token.text.data[0] == sign;
}

static int unexpected(const struct reader *reader, const char *wanted) {
    const struct ms_sql_token *token = &reader->token;
    if (token->kind == MS_SQL_END)
        return ms_place_error(token->place, MS_EINVAL, reader->err,
                              "the declaration ends where %s was expected", wanted);
    return ms_place_error(token->place, MS_EINVAL, reader->err, "'%.*s' where %s was expected",
                          MS_PLACE_SHOWN(token->text), wanted);
}

static int no_memory(const struct reader *reader) {
    return ms_place_error(reader->token.place, MS_ENOMEM, reader->err,
                          "no memory for the declaration");
}

/* ---- defaults ---- */

static int no_default(const struct reader *reader, struct ms_place place, struct ms_bytes text,
                      enum ms_sql_type type) {
    return ms_place_error(place, MS_EINVAL, reader->err, "%.*s is no default of type %s",
                          MS_PLACE_SHOWN(text), type_names[type]);
}

/* The signs and digits of a number, which are several tokens: "-1e-5". */
static int read_number(struct reader *reader, struct ms_bytes *ret_text) {
    struct ms_bytes text = ms_bytes_of(reader->token.text.data, 0);
    bool part = true;
    while (part) {
        text.len += reader->token.text.len;
        int rc = ms_sql_next(&reader->lexer, &reader->token, reader->err);
        if (rc != 0)
            return rc;
        part = reader->token.kind == MS_SQL_NUMBER || reader->token.kind == MS_SQL_WORD ||
               at_sign(reader, '-') || at_sign(reader, '+') || at_sign(reader, '.');
    }
    *ret_text = text;
    return reader->token.kind == MS_SQL_SPACE ? step(reader) : 0;
}

/* JSON's grammar of numbers is strict, and what both databases write. */
static bool to_number(struct ms_bytes text, enum ms_sql_type type, struct ms_sql_value *value) {
    struct ms_json_value number;
    char digits[NUMBER_MAX + 1];
    if (text.len > NUMBER_MAX || ms_json_parse(text, 1, &number, NULL) != 0 ||
        number.type != MS_JSON_NUMBER)
        return false;
    if (type != MS_SQL_TYPE_DOUBLE)
        return ms_json_i64(number, &value->integer) == 0 &&
               (type == MS_SQL_TYPE_BIGINT ||
                (value->integer >= INT32_MIN && value->integer <= INT32_MAX));
    memcpy(digits, text.data, text.len);
    digits[text.len] = '\0';
    value->number = strtod(digits, NULL);
    return isfinite(value->number);
}

static int number_default(struct reader *reader, struct ms_query_parameter *parameter) {
    struct ms_place place = reader->token.place;
    enum ms_sql_type type = parameter->type;
    struct ms_bytes text;
    int rc = read_number(reader, &text);
    if (rc != 0)
        return rc;
    bool numeric =
        type == MS_SQL_TYPE_BIGINT || type == MS_SQL_TYPE_INTEGER || type == MS_SQL_TYPE_DOUBLE;
    if (!numeric || !to_number(text, type, &parameter->otherwise))
        return no_default(reader, place, text, type);
    return 0;
}

/* The characters between the quotes, with '' for '. */
static int unquoted(struct reader *reader, struct ms_bytes *ret_text) {
    struct ms_bytes quoted = reader->token.text;
    uint8_t *text = ms_arena_alloc(reader->arena, quoted.len);
    if (text == NULL)
        return no_memory(reader);
    size_t len = 0;
    for (size_t i = 1; i < quoted.len - 1; i++) {
        text[len++] = quoted.data[i];
        i += quoted.data[i] == '\'';
    }
    *ret_text = ms_bytes_of(text, len);
    return 0;
}

static int string_default(struct reader *reader, struct ms_query_parameter *parameter) {
    struct ms_json_value json;
    struct ms_error why = {0};
    const struct ms_sql_token *token = &reader->token;
    if (parameter->type != MS_SQL_TYPE_TEXT && parameter->type != MS_SQL_TYPE_JSON)
        return no_default(reader, token->place, token->text, parameter->type);
    int rc = unquoted(reader, &parameter->otherwise.text);
    if (rc == 0 && parameter->type == MS_SQL_TYPE_JSON &&
        ms_json_parse(parameter->otherwise.text, JSON_DEPTH_MAX, &json, &why) != 0)
        return ms_place_error(token->place, MS_EINVAL, reader->err, "the default is no JSON: %s",
                              why.message);
    return rc == 0 ? step(reader) : rc;
}

static int word_default(struct reader *reader, struct ms_query_parameter *parameter) {
    const struct ms_sql_token *token = &reader->token;
    struct ms_sql_value *value = &parameter->otherwise;
    value->is_null = ms_sql_token_is(token, "null");
    value->boolean = ms_sql_token_is(token, "true");
    bool boolean = value->boolean || ms_sql_token_is(token, "false");
    if (!value->is_null && !(boolean && parameter->type == MS_SQL_TYPE_BOOLEAN))
        return no_default(reader, token->place, token->text, parameter->type);
    return step(reader);
}

static int read_default(struct reader *reader, struct ms_query_parameter *parameter) {
    parameter->has_default = true;
    if (reader->token.kind == MS_SQL_NUMBER || at_sign(reader, '-'))
        return number_default(reader, parameter);
    if (reader->token.kind == MS_SQL_STRING)
        return string_default(reader, parameter);
    if (reader->token.kind == MS_SQL_WORD)
        return word_default(reader, parameter);
    return unexpected(reader, "a default");
}

/* ---- parameters ---- */

static int check_parameter(const struct reader *reader, struct ms_bytes name,
                           struct ms_place place) {
    int rc = ms_directive_check_name(name, "parameter", place, reader->err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < sizeof reserved_names / sizeof reserved_names[0]; i++)
        if (ms_bytes_equal_cstr(name, reserved_names[i]))
            return ms_place_error(place, MS_ERESERVED, reader->err,
                                  "every query has the parameter '%s' already", reserved_names[i]);
    for (size_t i = 0; i < reader->count; i++)
        if (ms_bytes_equal(name, reader->parameters[i].name))
            return ms_place_error(place, MS_EINVAL, reader->err,
                                  "the parameter '%.*s' is declared twice", MS_PLACE_SHOWN(name));
    if (reader->count == MS_PROJECTION_PARAMETERS_MAX)
        return ms_place_error(place, MS_ETOOBIG, reader->err,
                              "more than %u parameters of one query", MS_PROJECTION_PARAMETERS_MAX);
    return 0;
}

static int read_type(struct reader *reader, enum ms_sql_type *ret_type) {
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (ms_sql_token_is(&reader->token, type_names[i])) {
            *ret_type = (enum ms_sql_type)i;
            return step(reader);
        }
    }
    return unexpected(reader, "a type (text, bigint, integer, double, boolean, json)");
}

static int read_name(struct reader *reader, struct ms_query_parameter *parameter) {
    struct ms_bytes name = reader->token.text;
    parameter->place = reader->token.place;
    if (reader->token.kind != MS_SQL_WORD)
        return unexpected(reader, "a parameter's name");
    int rc = check_parameter(reader, name, parameter->place);
    if (rc != 0)
        return rc;
    const char *copy = ms_arena_strdup(reader->arena, name);
    if (copy == NULL)
        return no_memory(reader);
    parameter->name = ms_bytes_of(copy, name.len);
    return step(reader);
}

static int read_parameter(struct reader *reader) {
    struct ms_query_parameter parameter = {0};
    int rc = read_name(reader, &parameter);
    if (rc == 0)
        rc = read_type(reader, &parameter.type);
    if (rc == 0 && at_sign(reader, '=')) {
        rc = step(reader);
        if (rc == 0)
            rc = read_default(reader, &parameter);
    }
    if (rc == 0)
        reader->parameters[reader->count++] = parameter;
    return rc;
}

/* Behind the '('. */
static int read_parameters(struct reader *reader) {
    if (at_sign(reader, ')'))
        return step(reader);
    for (;;) {
        int rc = read_parameter(reader);
        if (rc != 0)
            return rc;
        if (at_sign(reader, ')'))
            return step(reader);
        if (!at_sign(reader, ','))
            return unexpected(reader, "',' or ')'");
        rc = step(reader);
        if (rc != 0)
            return rc;
    }
}

static int read_declaration(struct reader *reader, struct ms_bytes *ret_name) {
    int rc = step(reader);
    if (rc != 0)
        return rc;
    if (reader->token.kind != MS_SQL_WORD)
        return unexpected(reader, "a query's name");
    *ret_name = reader->token.text;
    rc = ms_directive_check_name(*ret_name, "query", reader->token.place, reader->err);
    if (rc == 0)
        rc = step(reader);
    if (rc == 0 && at_sign(reader, '(')) {
        rc = step(reader);
        if (rc == 0)
            rc = read_parameters(reader);
    }
    if (rc == 0 && reader->token.kind != MS_SQL_END)
        rc = unexpected(reader, reader->count == 0 ? "'(' or the end" : "the end");
    return rc;
}

int ms_declaration_parse(struct ms_bytes text, struct ms_place place, struct ms_arena *arena,
                         struct ms_declaration *ret_declaration, struct ms_error *err) {
    struct reader reader = {.arena = arena, .err = err};
    struct ms_bytes name;
    ms_sql_lexer_init(&reader.lexer, place.file, text, MS_SQL_SQLITE);
    reader.lexer.place = place;
    int rc = read_declaration(&reader, &name);
    if (rc != 0)
        return rc;
    struct ms_query_parameter *parameters = NULL;
    if (reader.count > 0) {
        parameters = ms_arena_alloc(arena, reader.count * sizeof *parameters);
        if (parameters == NULL)
            return no_memory(&reader);
        memcpy(parameters, reader.parameters, reader.count * sizeof *parameters);
    }
    *ret_declaration = (struct ms_declaration){name, parameters, reader.count};
    return 0;
}
