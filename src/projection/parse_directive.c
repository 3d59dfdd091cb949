/* What each directive of a projection file does; see parse.h. */
#include "projection/limits.h"
#include "projection/list.h"
#include "projection/parse.h"

static int refuse(struct ms_parser *parser, struct ms_place place, const char *what) {
    return ms_place_error(place, MS_EINVAL, parser->err, "%s", what);
}

static int over_limit(struct ms_parser *parser, struct ms_place place, unsigned limit,
                      const char *what) {
    return ms_place_error(place, MS_ETOOBIG, parser->err, "more than %u %s", limit, what);
}

/* ---- the head ---- */

static int take_projection(struct ms_parser *parser, const struct ms_directive *directive) {
    static const char *const reserved[] = {"public", "information_schema", "mainstem"};
    struct ms_bytes name = directive->value;
    int rc = ms_directive_check_name(name, "projection", directive->value_place, parser->err);
    if (rc != 0)
        return rc;
    bool taken = ms_bytes_starts_with(name, MS_BYTES_LITERAL("pg_"));
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        taken |= ms_bytes_equal_cstr(name, reserved[i]);
    if (taken)
        return ms_place_error(directive->value_place, MS_ERESERVED, parser->err,
                              "the name '%.*s' is reserved: it would be that of a schema in "
                              "PostgreSQL",
                              MS_PLACE_SHOWN(name));
    parser->definition->name = name;
    return 0;
}

static int take_from(struct ms_parser *parser, const struct ms_directive *directive) {
    struct ms_projection_definition *definition = parser->definition;
    struct ms_directive_list list = ms_directive_list_of(directive);
    struct ms_bytes item;
    struct ms_place place;
    int rc;
    while ((rc = ms_directive_list_next(&list, &item, &place, parser->err)) > 0) {
        size_t count = definition->source_count;
        if (count == MS_PROJECTION_SOURCES_MAX)
            return over_limit(parser, place, MS_PROJECTION_SOURCES_MAX, "sources");
        struct ms_source *sources =
            ms_list_grow(&definition->arena, definition->sources, count, sizeof *sources);
        if (sources == NULL)
            return ms_parser_no_memory(parser, place);
        definition->sources = sources;
        rc = ms_source_parse(item, place, &definition->arena, &sources[count], parser->err);
        if (rc != 0)
            return rc;
        definition->source_count++;
    }
    return rc;
}

/* One of two words: 0 or 1. */
static int take_choice(struct ms_parser *parser, const struct ms_directive *directive,
                       const char *first, const char *second, int *ret_choice) {
    if (ms_bytes_equal_cstr(directive->value, first) ||
        ms_bytes_equal_cstr(directive->value, second)) {
        *ret_choice = ms_bytes_equal_cstr(directive->value, second);
        return 0;
    }
    return ms_place_error(directive->value_place, MS_EINVAL, parser->err,
                          "'%.*s' where %s or %s was expected", MS_PLACE_SHOWN(directive->value),
                          first, second);
}

static int take_mode(struct ms_parser *parser, const struct ms_directive *directive) {
    int choice;
    int rc = take_choice(parser, directive, "async", "sync", &choice);
    if (rc == 0)
        parser->definition->mode = choice == 0 ? MS_PROJECTION_ASYNC : MS_PROJECTION_SYNC;
    return rc;
}

static int take_on_error(struct ms_parser *parser, const struct ms_directive *directive) {
    int choice;
    int rc = take_choice(parser, directive, "stop", "park", &choice);
    if (rc == 0)
        parser->definition->on_error = choice == 0 ? MS_PROJECTION_STOP : MS_PROJECTION_PARK;
    return rc;
}

/* From here on the text is read as that database reads it. */
static int take_target(struct ms_parser *parser, const struct ms_directive *directive) {
    int choice;
    int rc = take_choice(parser, directive, "sqlite", "postgres", &choice);
    if (rc == 0 && !parser->target_is_given)
        parser->lexer.dialect = choice == 0 ? MS_SQL_SQLITE : MS_SQL_POSTGRES;
    parser->definition->target = parser->lexer.dialect;
    return rc;
}

/* ---- sections ---- */

int ms_parser_end_section(struct ms_parser *parser) {
    const struct ms_projection_definition *definition = parser->definition;
    if (parser->part == MS_PARSER_HANDLER) {
        const struct ms_projection_handler *handler =
            &definition->handlers[definition->handler_count - 1];
        if (handler->statements.count == 0)
            return refuse(parser, handler->place, "this '-- on:' has no statement");
    }
    if (parser->part == MS_PARSER_QUERY && !parser->query_is_answered)
        return refuse(parser, definition->queries[definition->query_count - 1].place,
                      "this '-- query:' has no statement");
    return 0;
}

static int take_types(struct ms_parser *parser, const struct ms_directive *directive,
                      struct ms_projection_handler *handler) {
    struct ms_arena *arena = &parser->definition->arena;
    struct ms_directive_list list = ms_directive_list_of(directive);
    struct ms_name_pattern *types = NULL;
    struct ms_bytes item;
    struct ms_place place;
    size_t count = 0;
    int rc;
    while ((rc = ms_directive_list_next(&list, &item, &place, parser->err)) > 0) {
        if (parser->type_count++ == MS_PROJECTION_TYPES_MAX)
            return over_limit(parser, place, MS_PROJECTION_TYPES_MAX, "event types");
        types = ms_list_grow(arena, types, count, sizeof *types);
        if (types == NULL)
            return ms_parser_no_memory(parser, place);
        rc = ms_name_pattern_parse(item, place, &types[count], parser->err);
        if (rc != 0)
            return rc;
        count++;
    }
    handler->types = types;
    handler->type_count = count;
    return rc;
}

static int take_on(struct ms_parser *parser, const struct ms_directive *directive) {
    struct ms_projection_definition *definition = parser->definition;
    struct ms_projection_handler handler = {.place = directive->place};
    size_t count = definition->handler_count;
    if (count == MS_PROJECTION_HANDLERS_MAX)
        return over_limit(parser, directive->place, MS_PROJECTION_HANDLERS_MAX,
                          "'-- on:' sections");
    int rc = take_types(parser, directive, &handler);
    if (rc != 0)
        return rc;
    struct ms_projection_handler *handlers =
        ms_list_grow(&definition->arena, definition->handlers, count, sizeof *handlers);
    if (handlers == NULL)
        return ms_parser_no_memory(parser, directive->place);
    handlers[count] = handler;
    definition->handlers = handlers;
    definition->handler_count++;
    parser->part = MS_PARSER_HANDLER;
    return 0;
}

static int take_query(struct ms_parser *parser, const struct ms_directive *directive) {
    struct ms_projection_definition *definition = parser->definition;
    struct ms_projection_query query = {.place = directive->place};
    size_t count = definition->query_count;
    if (count == MS_PROJECTION_QUERIES_MAX)
        return over_limit(parser, directive->place, MS_PROJECTION_QUERIES_MAX, "queries");
    int rc = ms_declaration_parse(directive->value, directive->value_place, &definition->arena,
                                  &query.declaration, parser->err);
    if (rc != 0)
        return rc;
    const struct ms_projection_query *same =
        ms_projection_find_query(definition, query.declaration.name);
    if (same != NULL)
        return ms_place_error(directive->value_place, MS_EINVAL, parser->err,
                              "the query '%.*s' is there already, in line %u",
                              MS_PLACE_SHOWN(query.declaration.name), same->place.line);
    struct ms_projection_query *queries =
        ms_list_grow(&definition->arena, definition->queries, count, sizeof *queries);
    if (queries == NULL)
        return ms_parser_no_memory(parser, directive->place);
    queries[count] = query;
    definition->queries = queries;
    definition->query_count++;
    parser->part = MS_PARSER_QUERY;
    parser->query_is_answered = false;
    return 0;
}

/* ---- which ---- */

static const struct {
    bool opens_section; /* the others belong to the head */
    int (*take)(struct ms_parser *, const struct ms_directive *);
} actions[MS_DIRECTIVE_COUNT] = {
    [MS_DIRECTIVE_PROJECTION] = {false, take_projection},
    [MS_DIRECTIVE_FROM] = {false, take_from},
    [MS_DIRECTIVE_MODE] = {false, take_mode},
    [MS_DIRECTIVE_ON_ERROR] = {false, take_on_error},
    [MS_DIRECTIVE_TARGET] = {false, take_target},
    [MS_DIRECTIVE_ON] = {true, take_on},
    [MS_DIRECTIVE_QUERY] = {true, take_query},
};

int ms_parser_take_directive(struct ms_parser *parser, const struct ms_directive *directive) {
    const char *name = ms_directive_name(directive->kind);
    unsigned *first_line = &parser->first_lines[directive->kind];
    if (ms_directive_is_single(directive->kind) && *first_line != 0)
        return ms_place_error(directive->place, MS_EINVAL, parser->err,
                              "a second '-- %s:', the first stands in line %u", name, *first_line);
    if (*first_line == 0)
        *first_line = directive->place.line;
    if (!actions[directive->kind].opens_section && parser->part != MS_PARSER_HEAD)
        return ms_place_error(directive->place, MS_EINVAL, parser->err,
                              "'-- %s:' must stand before the first statement", name);
    int rc = actions[directive->kind].opens_section ? ms_parser_end_section(parser) : 0;
    return rc == 0 ? actions[directive->kind].take(parser, directive) : rc;
}
