/* A statement of a projection file: which section it belongs to, what its parameters are; see
 * parse.h. */
#include "base/suggest.h"
#include "projection/limits.h"
#include "projection/list.h"
#include "projection/parse.h"

/* ---- parameters ---- */

static int unknown(struct ms_parser *parser, const struct ms_sql_parameter *parameter,
                   const char *what, const char *nearest) {
    if (nearest != NULL)
        return ms_place_error(parameter->place, MS_EINVAL, parser->err,
                              "':%.*s' is no %s; did you mean ':%s'?",
                              MS_PLACE_SHOWN(parameter->name), what, nearest);
    return ms_place_error(parameter->place, MS_EINVAL, parser->err, "':%.*s' is no %s",
                          MS_PLACE_SHOWN(parameter->name), what);
}

static int find_in_event(struct ms_parser *parser, struct ms_sql_parameter *parameter) {
    struct ms_suggestion suggestion;
    ms_suggest_begin(&suggestion, parameter->name);
    for (unsigned i = 0; i < MS_EVENT_PARAMETER_COUNT; i++) {
        const char *name = ms_event_parameter_name((enum ms_event_parameter)i);
        if (ms_bytes_equal_cstr(parameter->name, name)) {
            parameter->declared = i;
            return 0;
        }
        ms_suggest_offer(&suggestion, name);
    }
    return unknown(parser, parameter, "field of an event", suggestion.best);
}

static int find_in_query(struct ms_parser *parser, struct ms_sql_parameter *parameter) {
    const struct ms_projection_definition *definition = parser->definition;
    const struct ms_declaration *declaration =
        &definition->queries[definition->query_count - 1].declaration;
    struct ms_suggestion suggestion;
    ms_suggest_begin(&suggestion, parameter->name);
    for (unsigned i = 0; i < declaration->parameter_count; i++) {
        struct ms_bytes name = declaration->parameters[i].name;
        if (ms_bytes_equal(parameter->name, name)) {
            parameter->declared = i;
            return 0;
        }
        ms_suggest_offer(&suggestion, (const char *)name.data); /* is terminated */
    }
    return unknown(parser, parameter, "declared parameter of the query", suggestion.best);
}

static int resolve(struct ms_parser *parser, struct ms_sql_statement *statement) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < statement->parameter_count; i++) {
        struct ms_sql_parameter *parameter = &statement->parameters[i];
        if (parser->part == MS_PARSER_HANDLER)
            rc = find_in_event(parser, parameter);
        else if (parser->part == MS_PARSER_QUERY)
            rc = find_in_query(parser, parameter);
        else
            rc = ms_place_error(parameter->place, MS_EINVAL, parser->err,
                                "':%.*s': the schema has no parameters",
                                MS_PLACE_SHOWN(parameter->name));
    }
    return rc;
}

/* ---- what may stand here ---- */

static bool begins_with_any(const struct ms_sql_statement *statement, const char *const *words,
                            size_t count) {
    for (size_t i = 0; i < count; i++)
        if (ms_sql_token_is(&statement->first, words[i]))
            return true;
    return false;
}

/* That a query reads only is for the database to enforce; here a slip is told early. */
static int check_query(struct ms_parser *parser, const struct ms_sql_statement *statement) {
    static const char *const reading[] = {"select", "with", "values"};
    if (parser->query_is_answered)
        return ms_place_error(statement->place, MS_EINVAL, parser->err,
                              "a query is one statement, and it has one already");
    if (!begins_with_any(statement, reading, sizeof reading / sizeof reading[0]))
        return ms_place_error(statement->place, MS_EINVAL, parser->err,
                              "'%.*s': a query begins with select, with or values",
                              MS_PLACE_SHOWN(statement->first.text));
    return 0;
}

/* The effects of events and the checkpoint are one transaction, which no statement may end, and in
 * which no database vacuums. */
static int check_change(struct ms_parser *parser, const struct ms_sql_statement *statement) {
    static const char *const transactional[] = {"begin", "start",    "commit",    "end",
                                                "abort", "rollback", "savepoint", "release"};
    static const char *const vacuum[] = {"vacuum"};
    if (begins_with_any(statement, vacuum, 1))
        return ms_place_error(statement->place, MS_EINVAL, parser->err,
                              "'vacuum' can't be done in a transaction, which everything here is");
    if (!begins_with_any(statement, transactional, sizeof transactional / sizeof transactional[0]))
        return 0;
    return ms_place_error(statement->place, MS_EINVAL, parser->err,
                          "'%.*s': transactions are the server's to begin and end",
                          MS_PLACE_SHOWN(statement->first.text));
}

/* ---- taking it ---- */

static int append(struct ms_parser *parser, struct ms_sql_statements *list,
                  const struct ms_sql_statement *statement) {
    struct ms_sql_statement *items =
        ms_list_grow(&parser->definition->arena, list->items, list->count, sizeof *list->items);
    if (items == NULL)
        return ms_parser_no_memory(parser, statement->place);
    items[list->count] = *statement;
    list->items = items;
    list->count++;
    return 0;
}

static int put_where_it_belongs(struct ms_parser *parser,
                                const struct ms_sql_statement *statement) {
    struct ms_projection_definition *definition = parser->definition;
    int rc = parser->part == MS_PARSER_QUERY ? check_query(parser, statement)
                                             : check_change(parser, statement);
    if (rc != 0)
        return rc;
    switch (parser->part) {
    case MS_PARSER_HEAD:
    case MS_PARSER_SCHEMA:
        parser->part = MS_PARSER_SCHEMA;
        return append(parser, &definition->schema, statement);
    case MS_PARSER_HANDLER:
        return append(parser, &definition->handlers[definition->handler_count - 1].statements,
                      statement);
    case MS_PARSER_QUERY:
        definition->queries[definition->query_count - 1].statement = *statement;
        parser->query_is_answered = true;
        break;
    }
    return 0;
}

int ms_parser_take_statement(struct ms_parser *parser) {
    struct ms_sql_statement statement;
    const uint8_t *from = parser->first.text.data;
    const uint8_t *end = parser->last.text.data + parser->last.text.len;
    if (parser->statement_count++ == MS_PROJECTION_STATEMENTS_MAX)
        return ms_place_error(parser->first.place, MS_ETOOBIG, parser->err,
                              "more than %u statements", MS_PROJECTION_STATEMENTS_MAX);
    int rc = ms_sql_statement_init(&statement, ms_bytes_of(from, (size_t)(end - from)),
                                   parser->first.place, parser->lexer.dialect,
                                   &parser->definition->arena, parser->err);
    if (rc == 0)
        rc = resolve(parser, &statement);
    return rc == 0 ? put_where_it_belongs(parser, &statement) : rc;
}
