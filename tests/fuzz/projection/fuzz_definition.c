/*
 * Projection files, read for both databases. Asserted: a refused file names its place; a definition
 * is within the limits; its statements are parts of its text, in order; rewritten texts differ from
 * them in the parameters alone, and their end has its place in the file; CR LF, a byte order mark
 * and blanks at the end change neither the definition nor its version; the matcher calls what the
 * patterns say.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "projection/limits.h"
#include "projection/matcher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- statements ---- */

/* The rewritten text read beside the original one: they differ in the parameters alone. */
static void check_rewritten(const struct ms_sql_statement *statement, enum ms_sql_dialect dialect) {
    struct ms_buf out;
    ms_buf_init(&out, (size_t)16 << 20);
    MS_ASSERT(ms_sql_rewrite(statement, dialect, &out) == 0);
    size_t at = 0, from = 0;
    for (size_t i = 0; i < statement->use_count; i++) {
        const struct ms_sql_use *use = &statement->uses[i];
        MS_ASSERT(use->offset >= from && use->number < statement->parameter_count);
        MS_ASSERT(memcmp(out.data + at, statement->text.data + from, use->offset - from) == 0);
        at += use->offset - from;
        MS_ASSERT(out.data[at] == (dialect == MS_SQL_SQLITE ? '?' : '$'));
        MS_ASSERT(statement->text.data[use->offset] == ':');
        MS_ASSERT(strtoul((const char *)out.data + at + 1, NULL, 10) == use->number + 1);
        for (at++; at < out.len && out.data[at] >= '0' && out.data[at] <= '9';)
            at++;
        struct ms_bytes name = statement->parameters[use->number].name;
        MS_ASSERT(memcmp(statement->text.data + use->offset + 1, name.data, name.len) == 0);
        from = use->offset + 1 + name.len;
    }
    MS_ASSERT(out.len - at == statement->text.len - from);
    MS_ASSERT(memcmp(out.data + at, statement->text.data + from, out.len - at) == 0);
    struct ms_place last = ms_sql_place_of(statement, dialect, out.len);
    struct ms_place end = ms_place_after(statement->place, statement->text);
    MS_ASSERT(last.line == end.line && last.column == end.column);
    ms_buf_deinit(&out);
}

static void check_statements(const struct ms_projection_definition *definition,
                             const struct ms_sql_statement *statements, size_t count) {
    const uint8_t *at = definition->text.data;
    for (size_t i = 0; i < count; i++) {
        const struct ms_sql_statement *statement = &statements[i];
        MS_ASSERT(statement->text.len > 0 && statement->text.data >= at);
        at = statement->text.data + statement->text.len;
        MS_ASSERT(at < definition->text.data + definition->text.len && *at != '\0');
        MS_ASSERT(statement->parameter_count <= MS_PROJECTION_PARAMETERS_MAX);
        check_rewritten(statement, MS_SQL_SQLITE);
        check_rewritten(statement, MS_SQL_POSTGRES);
    }
}

/* ---- definitions ---- */

static void check_definition(const struct ms_projection_definition *definition) {
    MS_ASSERT(definition->name.len > 0 && definition->name.len <= MS_PROJECTION_NAME_MAX);
    MS_ASSERT(definition->source_count > 0 &&
              definition->source_count <= MS_PROJECTION_SOURCES_MAX);
    MS_ASSERT(definition->handler_count > 0 &&
              definition->handler_count <= MS_PROJECTION_HANDLERS_MAX);
    MS_ASSERT(definition->query_count <= MS_PROJECTION_QUERIES_MAX);
    check_statements(definition, definition->schema.items, definition->schema.count);
    for (size_t i = 0; i < definition->handler_count; i++) {
        const struct ms_projection_handler *handler = &definition->handlers[i];
        MS_ASSERT(handler->type_count > 0 && handler->statements.count > 0);
        check_statements(definition, handler->statements.items, handler->statements.count);
        for (size_t s = 0; s < handler->statements.count; s++)
            for (size_t p = 0; p < handler->statements.items[s].parameter_count; p++)
                MS_ASSERT(handler->statements.items[s].parameters[p].declared <
                          MS_EVENT_PARAMETER_COUNT);
    }
    for (size_t i = 0; i < definition->query_count; i++) {
        const struct ms_projection_query *query = &definition->queries[i];
        check_statements(definition, &query->statement, 1);
        for (size_t p = 0; p < query->statement.parameter_count; p++)
            MS_ASSERT(query->statement.parameters[p].declared < query->declaration.parameter_count);
        MS_ASSERT(ms_projection_find_query(definition, query->declaration.name) == query);
    }
}

/* Types that the file itself names are the ones that hit its patterns. */
static void check_matcher(const struct ms_projection_definition *definition) {
    struct ms_matcher *matcher;
    MS_ASSERT(ms_matcher_new(definition, &matcher) == 0);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < definition->handler_count; i++) {
            struct ms_bytes type = definition->handlers[i].types[0].text;
            struct ms_matcher_handlers found = ms_matcher_handlers(matcher, type);
            bool called = false;
            for (size_t k = 0; k < found.count; k++) {
                MS_ASSERT(found.items[k] < definition->handler_count);
                MS_ASSERT(k == 0 || found.items[k] > found.items[k - 1]);
                called |= found.items[k] == i;
            }
            MS_ASSERT(called);
        }
    }
    ms_matcher_free(matcher);
}

/* ---- the same file as other editors write it ---- */

static struct ms_bytes as_others_write_it(struct ms_bytes text, struct ms_buf *out) {
    ms_buf_init(out, (size_t)4 << 20);
    int rc = ms_buf_append_cstr(out, "\xef\xbb\xbf");
    for (size_t i = 0; rc == 0 && i < text.len; i++)
        rc = text.data[i] == '\n' ? ms_buf_append_cstr(out, "\r\n")
                                  : ms_buf_append_u8(out, text.data[i]);
    if (rc == 0)
        rc = ms_buf_append_cstr(out, " \r\n\r\n\t");
    MS_ASSERT(rc == 0);
    return ms_buf_bytes(out);
}

static void check_other_spelling(const struct ms_projection_definition *definition) {
    struct ms_projection_definition *other;
    struct ms_buf out;
    struct ms_bytes text = as_others_write_it(definition->text, &out);
    if (text.len <= MS_PROJECTION_FILE_BYTES_MAX) {
        MS_ASSERT(ms_projection_parse("other.sql", text, &definition->target, &other, NULL) == 0);
        MS_ASSERT(memcmp(&other->hash, &definition->hash, sizeof other->hash) == 0);
        MS_ASSERT(other->handler_count == definition->handler_count &&
                  other->query_count == definition->query_count &&
                  other->schema.count == definition->schema.count);
        ms_projection_definition_free(other);
    }
    ms_buf_deinit(&out);
}

static void read_as(struct ms_bytes content, const enum ms_sql_dialect *target) {
    struct ms_projection_definition *definition = NULL;
    struct ms_error err = {0};
    int rc = ms_projection_parse("fuzz.sql", content, target, &definition, &err);
    if (rc != 0) {
        MS_ASSERT(definition == NULL && err.code == rc);
        MS_ASSERT(rc == MS_EINVAL || rc == MS_ETOOBIG || rc == MS_ERESERVED);
        MS_ASSERT(memcmp(err.message, "fuzz.sql:", 9) == 0 && err.message[9] >= '1' &&
                  err.message[9] <= '9');
        return;
    }
    check_definition(definition);
    check_matcher(definition);
    check_other_spelling(definition);
    ms_projection_definition_free(definition);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum ms_sql_dialect sqlite = MS_SQL_SQLITE, postgres = MS_SQL_POSTGRES;
    struct ms_bytes content = ms_bytes_of(data, size);
    read_as(content, NULL);
    read_as(content, &sqlite);
    read_as(content, &postgres);
    return 0;
}
