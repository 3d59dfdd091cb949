/*
 * Reads a projection file, token by token; definition.c begins and ends it.
 *
 *     head ──statement──> schema ──on, query──> section ──on, query──> section …
 *       └──────────────on, query──────────────────^
 *
 * One thread per parser.
 */
#pragma once

#include "projection/content.h"
#include "projection/definition.h"
#include "projection/directive.h"

enum ms_parser_part { MS_PARSER_HEAD, MS_PARSER_SCHEMA, MS_PARSER_HANDLER, MS_PARSER_QUERY };

struct ms_parser {
    struct ms_projection_definition *definition;
    struct ms_error *err;
    struct ms_sql_lexer lexer;
    struct ms_content_hasher hasher;
    bool target_is_given;

    enum ms_parser_part part;
    bool query_is_answered;                   /* the query of this section has its statement */
    unsigned first_lines[MS_DIRECTIVE_COUNT]; /* where each directive first stands; 0: nowhere */
    bool line_has_code; /* something but a comment stands before this on its line */

    enum ms_sql_split_state split;
    bool in_statement;
    struct ms_sql_token first; /* of the statement */
    struct ms_sql_token last;
    size_t statement_count, type_count;
};

/* All tokens of the definition's text. */
int ms_parser_run(struct ms_parser *parser) MS_MUST_CHECK;

/* parse_directive.c: a directive that may stand here, but for its kind. */
int ms_parser_take_directive(struct ms_parser *parser, const struct ms_directive *directive)
    MS_MUST_CHECK;
/* The section that ends here has all it needs. */
int ms_parser_end_section(struct ms_parser *parser) MS_MUST_CHECK;

/* parse_statement.c: the statement from parser->first to parser->last. */
int ms_parser_take_statement(struct ms_parser *parser) MS_MUST_CHECK;

int ms_parser_no_memory(struct ms_parser *parser, struct ms_place place) MS_MUST_CHECK;
