/* The tokens of a projection file: which of them are directives, which make a statement; see
 * parse.h. */
#include "projection/parse.h"

int ms_parser_no_memory(struct ms_parser *parser, struct ms_place place) {
    return ms_place_error(place, MS_ENOMEM, parser->err, "no memory for the definition");
}

static int inside_statement(struct ms_parser *parser, const struct ms_directive *directive) {
    return ms_place_error(directive->place, MS_EINVAL, parser->err,
                          "'-- %s:' inside the statement that begins in line %u; is its ';' "
                          "missing?",
                          ms_directive_name(directive->kind), parser->first.place.line);
}

static int take_comment(struct ms_parser *parser, const struct ms_sql_token *token) {
    struct ms_directive directive;
    const char *name;
    if (!ms_directive_read(token, &directive)) {
        bool ordinary = parser->in_statement || parser->line_has_code;
        return ordinary ? 0 : ms_directive_check_comment(token, parser->err);
    }
    if (parser->in_statement)
        return inside_statement(parser, &directive);
    name = ms_directive_name(directive.kind);
    if (parser->line_has_code)
        return ms_place_error(directive.place, MS_EINVAL, parser->err,
                              "'-- %s:' must stand on a line of its own", name);
    if (directive.value.len == 0)
        return ms_place_error(directive.value_place, MS_EINVAL, parser->err,
                              "'-- %s:' says nothing", name);
    return ms_parser_take_directive(parser, &directive);
}

static int take_code(struct ms_parser *parser, const struct ms_sql_token *token) {
    if (ms_sql_split(&parser->split, parser->lexer.dialect, token)) {
        int rc = parser->in_statement ? ms_parser_take_statement(parser) : 0;
        parser->in_statement = false;
        return rc;
    }
    if (!parser->in_statement)
        parser->first = *token;
    parser->in_statement = true;
    parser->last = *token;
    return 0;
}

static int take_token(struct ms_parser *parser, const struct ms_sql_token *token) {
    if (token->kind == MS_SQL_LINE_COMMENT)
        return take_comment(parser, token);
    if (token->kind == MS_SQL_SPACE && memchr(token->text.data, '\n', token->text.len) != NULL)
        parser->line_has_code = false;
    if (token->kind == MS_SQL_SPACE)
        return 0;
    parser->line_has_code = true;
    return token->kind == MS_SQL_BLOCK_COMMENT ? 0 : take_code(parser, token);
}

static int at_the_end(struct ms_parser *parser) {
    if (parser->in_statement)
        return ms_place_error(parser->first.place, MS_EINVAL, parser->err,
                              "the statement that begins here has no ';' at its end");
    return ms_parser_end_section(parser);
}

int ms_parser_run(struct ms_parser *parser) {
    for (;;) {
        struct ms_sql_token token;
        int rc = ms_sql_next(&parser->lexer, &token, parser->err);
        if (rc == 0 && token.kind == MS_SQL_END)
            return at_the_end(parser);
        if (rc == 0 && ms_content_hasher_add(&parser->hasher, &token) != 0)
            rc = ms_parser_no_memory(parser, token.place);
        if (rc == 0)
            rc = take_token(parser, &token);
        if (rc != 0)
            return rc;
    }
}
