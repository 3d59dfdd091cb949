/* A projection's definition: made from a file, whole or not at all; see definition.h. */
#include "projection/definition.h"

#include "base/alloc.h"
#include "projection/limits.h"
#include "projection/parse.h"

static const struct {
    const char *name;
    enum ms_sql_type type;
} event_parameters[MS_EVENT_PARAMETER_COUNT] = {
#define X(constant, name, type) {name, MS_SQL_TYPE_##type},
    MS_EVENT_PARAMETER_LIST(X)
#undef X
};

const char *ms_event_parameter_name(enum ms_event_parameter parameter) {
    return event_parameters[parameter].name;
}

enum ms_sql_type ms_event_parameter_type(enum ms_event_parameter parameter) {
    return event_parameters[parameter].type;
}

const struct ms_projection_query *ms_projection_find_query(
    const struct ms_projection_definition *definition, struct ms_bytes name) {
    for (size_t i = 0; i < definition->query_count; i++)
        if (ms_bytes_equal(definition->queries[i].declaration.name, name))
            return &definition->queries[i];
    return NULL;
}

/* What a file must say. */
static int check_whole(const struct ms_parser *parser) {
    struct ms_place start = {parser->definition->file, 1, 1};
    if (parser->first_lines[MS_DIRECTIVE_PROJECTION] == 0)
        return ms_place_error(start, MS_EINVAL, parser->err,
                              "no '-- projection: name' line says what this is");
    if (parser->first_lines[MS_DIRECTIVE_FROM] == 0)
        return ms_place_error(start, MS_EINVAL, parser->err,
                              "no '-- from:' line says what it reads; '-- from: *' is everything");
    if (parser->definition->handler_count == 0)
        return ms_place_error(start, MS_EINVAL, parser->err,
                              "no '-- on:' section says what events do");
    return 0;
}

static int read_text(struct ms_projection_definition *definition, const enum ms_sql_dialect *target,
                     struct ms_error *err) {
    struct ms_parser parser = {.definition = definition, .err = err};
    enum ms_sql_dialect dialect = target != NULL ? *target : MS_SQL_SQLITE;
    parser.target_is_given = target != NULL;
    definition->target = dialect;
    ms_sql_lexer_init(&parser.lexer, definition->file, definition->text, dialect);
    ms_content_hasher_init(&parser.hasher);
    int rc = ms_parser_run(&parser);
    if (rc == 0)
        rc = check_whole(&parser);
    if (rc == 0)
        definition->hash = ms_content_hasher_end(&parser.hasher);
    ms_content_hasher_deinit(&parser.hasher);
    return rc;
}

int ms_projection_parse(const char *file, struct ms_bytes content,
                        const enum ms_sql_dialect *target,
                        struct ms_projection_definition **ret_definition, struct ms_error *err) {
    struct ms_projection_definition *definition = ms_calloc(1, sizeof *definition);
    if (definition == NULL)
        return ms_error_set(err, MS_ENOMEM, "%s: no memory for the definition", file);
    ms_arena_init(&definition->arena, MS_PROJECTION_ARENA_MAX);
    definition->file = ms_arena_strdup(&definition->arena, ms_bytes_cstr(file));
    int rc =
        definition->file != NULL
            ? ms_content_text(definition->file, content, &definition->arena, &definition->text, err)
            : ms_error_set(err, MS_ENOMEM, "%s: no memory for the definition", file);
    if (rc == 0)
        rc = read_text(definition, target, err);
    if (rc == 0)
        *ret_definition = definition;
    else
        ms_projection_definition_free(definition);
    return rc;
}

void ms_projection_definition_free(struct ms_projection_definition *definition) {
    if (definition == NULL)
        return;
    ms_arena_deinit(&definition->arena);
    ms_free(definition);
}
