/* Whole files that are good: what a definition has afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "projection/definition.h"

#define HEAD "-- projection: p\n-- from: a\n"
#define HANDLER "-- on: t\ninsert into x values (1);\n"

static struct ms_projection_definition *parse_for(const char *text,
                                                  const enum ms_sql_dialect *target) {
    struct ms_projection_definition *definition = NULL;
    struct ms_error err = {0};
    int rc = ms_projection_parse("t.sql", ms_bytes_cstr(text), target, &definition, &err);
    if (rc != 0)
        fail_msg("%s", err.message);
    return definition;
}

static struct ms_projection_definition *parse(const char *text) { return parse_for(text, NULL); }

static void expect_statement(const struct ms_sql_statement *statement, const char *text) {
    assert_int_equal(statement->text.len, strlen(text));
    assert_memory_equal(statement->text.data, text, strlen(text));
}

static void a_small_file_has_the_defaults(void **state) {
    struct ms_projection_definition *definition = parse(HEAD HANDLER);
    (void)state;
    assert_string_equal(definition->file, "t.sql");
    assert_true(ms_bytes_equal_cstr(definition->name, "p"));
    assert_int_equal(definition->mode, MS_PROJECTION_ASYNC);
    assert_int_equal(definition->on_error, MS_PROJECTION_STOP);
    assert_int_equal(definition->target, MS_SQL_SQLITE);
    assert_int_equal(definition->source_count, 1);
    assert_int_equal(definition->schema.count, 0);
    assert_int_equal(definition->handler_count, 1);
    assert_int_equal(definition->query_count, 0);
    expect_statement(&definition->handlers[0].statements.items[0], "insert into x values (1)");
    ms_projection_definition_free(definition);
    ms_projection_definition_free(NULL);
}

static void the_head_says_how(void **state) {
    struct ms_projection_definition *definition =
        parse("-- mode: sync\n-- on-error: park\n-- target: postgres\n"
              "-- projection: order_2\n-- from: a, stream:b-1\n-- from: type:c.*\n" HANDLER);
    (void)state;
    assert_true(ms_bytes_equal_cstr(definition->name, "order_2"));
    assert_int_equal(definition->mode, MS_PROJECTION_SYNC);
    assert_int_equal(definition->on_error, MS_PROJECTION_PARK);
    assert_int_equal(definition->target, MS_SQL_POSTGRES);
    assert_int_equal(definition->source_count, 3);
    assert_int_equal(definition->sources[0].kind, MS_SOURCE_TOPIC);
    assert_int_equal(definition->sources[1].kind, MS_SOURCE_STREAM);
    assert_int_equal(definition->sources[2].kind, MS_SOURCE_TYPE);
    assert_true(ms_bytes_equal_cstr(definition->sources[2].name.text, "c."));
    ms_projection_definition_free(definition);
}

static void statements_belong_to_the_section_they_stand_in(void **state) {
    struct ms_projection_definition *definition =
        parse(HEAD "create table x (a); ; create table y (b) /* c */ ;\n"
                   "-- on: a.b, c*\n  update x\n  -- which ones\n  set a = :data; delete from y;;\n"
                   "-- query: all_of_x\nselect * from x; -- all\n"
                   "-- on: *\ndelete from x where a = :stream and b = :event_type;\n");
    (void)state;
    assert_int_equal(definition->schema.count, 2);
    expect_statement(&definition->schema.items[0], "create table x (a)");
    expect_statement(&definition->schema.items[1], "create table y (b)");
    assert_int_equal(definition->handler_count, 2);
    const struct ms_projection_handler *first = &definition->handlers[0];
    const struct ms_projection_handler *second = &definition->handlers[1];
    assert_int_equal(first->type_count, 2);
    assert_true(ms_bytes_equal_cstr(first->types[0].text, "a.b") && !first->types[0].is_prefix);
    assert_true(ms_bytes_equal_cstr(first->types[1].text, "c") && first->types[1].is_prefix);
    assert_int_equal(first->place.line, 4);
    assert_int_equal(first->statements.count, 2);
    expect_statement(&first->statements.items[0], "update x\n  -- which ones\n  set a = :data");
    assert_int_equal(first->statements.items[0].place.line, 5);
    assert_int_equal(first->statements.items[0].place.column, 3);
    expect_statement(&first->statements.items[1], "delete from y");
    assert_int_equal(definition->query_count, 1);
    expect_statement(&definition->queries[0].statement, "select * from x");
    const struct ms_sql_statement *last = &second->statements.items[0];
    assert_int_equal(last->parameter_count, 2);
    assert_int_equal(last->parameters[0].declared, MS_EVENT_PARAMETER_STREAM);
    assert_int_equal(last->parameters[1].declared, MS_EVENT_PARAMETER_EVENT_TYPE);
    ms_projection_definition_free(definition);
}

static void an_event_has_these_fields(void **state) {
    static const struct {
        const char *name;
        enum ms_sql_type type;
    } rows[] = {
        {"data", MS_SQL_TYPE_JSON},
        {"metadata", MS_SQL_TYPE_JSON},
        {"event_id", MS_SQL_TYPE_TEXT},
        {"event_type", MS_SQL_TYPE_TEXT},
        {"event_version", MS_SQL_TYPE_BIGINT},
        {"stream", MS_SQL_TYPE_TEXT},
        {"key", MS_SQL_TYPE_TEXT},
        {"version", MS_SQL_TYPE_BIGINT},
        {"position", MS_SQL_TYPE_BIGINT},
        {"offset", MS_SQL_TYPE_BIGINT},
        {"timestamp", MS_SQL_TYPE_TEXT},
        {"source", MS_SQL_TYPE_TEXT},
        {"correlation_id", MS_SQL_TYPE_TEXT},
        {"causation_id", MS_SQL_TYPE_TEXT},
    };
    struct ms_projection_definition *definition = parse(
        HEAD "-- on: *\nselect :data, :metadata, :event_id, :event_type, :event_version, :stream, "
             ":key, :version, :position, :offset, :timestamp, :source, :correlation_id, "
             ":causation_id, :data;\n");
    const struct ms_sql_statement *statement = &definition->handlers[0].statements.items[0];
    (void)state;
    assert_int_equal(MS_EVENT_PARAMETER_COUNT, sizeof rows / sizeof rows[0]);
    assert_int_equal(statement->parameter_count, MS_EVENT_PARAMETER_COUNT);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum ms_event_parameter parameter =
            (enum ms_event_parameter)statement->parameters[i].declared;
        assert_string_equal(ms_event_parameter_name(parameter), rows[i].name);
        assert_int_equal(ms_event_parameter_type(parameter), rows[i].type);
    }
    ms_projection_definition_free(definition);
}

static void a_query_knows_which_of_its_parameters_stands_where(void **state) {
    struct ms_projection_definition *definition =
        parse(HEAD HANDLER "-- query: q(a text, b bigint = 10, c text = null)\n"
                           "select :c, :a, :c limit :b;\n"
                           "-- query: unused(a text)\nwith x as (select 1) select * from x;\n");
    const struct ms_projection_query *query =
        ms_projection_find_query(definition, MS_BYTES_LITERAL("q"));
    (void)state;
    assert_non_null(query);
    assert_int_equal(query->declaration.parameter_count, 3);
    assert_int_equal(query->statement.parameter_count, 3);
    assert_int_equal(query->statement.parameters[0].declared, 2);
    assert_int_equal(query->statement.parameters[1].declared, 0);
    assert_int_equal(query->statement.parameters[2].declared, 1);
    assert_int_equal(query->statement.use_count, 4);
    assert_null(ms_projection_find_query(definition, MS_BYTES_LITERAL("r")));
    ms_projection_definition_free(definition);
}

static void the_target_may_be_overruled(void **state) {
    static const char *const text =
        "-- target: postgres\n" HEAD "create table x (a int[]);\n" HANDLER;
    static const enum ms_sql_dialect sqlite = MS_SQL_SQLITE, postgres = MS_SQL_POSTGRES;
    (void)state;
    struct ms_projection_definition *own = parse(text), *other = parse_for(text, &sqlite);
    assert_int_equal(own->target, MS_SQL_POSTGRES);
    assert_int_equal(other->target, MS_SQL_SQLITE);
    assert_memory_equal(&own->hash, &other->hash, sizeof own->hash);
    ms_projection_definition_free(own);
    ms_projection_definition_free(other);
    own = parse_for(HEAD "do $$ begin; end $$;\n" HANDLER, &postgres);
    expect_statement(&own->schema.items[0], "do $$ begin; end $$");
    ms_projection_definition_free(own);
}

static void each_database_has_its_own_eyes(void **state) {
    /* In SQLite the brackets hide the ';', in PostgreSQL they are a subscript. */
    struct ms_projection_definition *sqlite = parse(HEAD "create table [x;y] (a);\n" HANDLER);
    struct ms_projection_definition *postgres =
        parse("-- target: postgres\n" HEAD "create table x (a text default E'it\\'s;');\n"
              "/* /* nested */ */ select (array[1, 2])[1:2];\n" HANDLER);
    (void)state;
    assert_int_equal(sqlite->schema.count, 1);
    assert_int_equal(postgres->schema.count, 2);
    ms_projection_definition_free(sqlite);
    ms_projection_definition_free(postgres);
}

static void a_trigger_is_one_statement(void **state) {
    struct ms_projection_definition *definition =
        parse(HEAD "create trigger t after insert on x begin delete from y; end;\n" HANDLER);
    (void)state;
    assert_int_equal(definition->schema.count, 1);
    ms_projection_definition_free(definition);
}

static void the_version_sees_changes_but_not_line_ends(void **state) {
    struct ms_projection_definition *plain = parse(HEAD HANDLER);
    struct ms_projection_definition *dos =
        parse("-- projection: p \r\n-- from: a\r\n-- on: t\r\ninsert into x values (1);  \r\n\r\n");
    struct ms_projection_definition *changed = parse(HEAD HANDLER "delete from x;\n");
    (void)state;
    assert_memory_equal(&plain->hash, &dos->hash, sizeof plain->hash);
    assert_memory_not_equal(&plain->hash, &changed->hash, sizeof plain->hash);
    assert_true(ms_bytes_equal(plain->name, dos->name));
    expect_statement(&dos->handlers[0].statements.items[0], "insert into x values (1)");
    ms_projection_definition_free(plain);
    ms_projection_definition_free(dos);
    ms_projection_definition_free(changed);
}

static void nothing_is_borrowed_from_the_content(void **state) {
    char content[] = HEAD HANDLER;
    char file[] = "t.sql";
    struct ms_projection_definition *definition;
    (void)state;
    assert_int_equal(ms_projection_parse(file, ms_bytes_cstr(content), NULL, &definition, NULL), 0);
    memset(content, 'x', sizeof content);
    memset(file, 'x', sizeof file - 1);
    assert_string_equal(definition->file, "t.sql");
    assert_true(ms_bytes_equal_cstr(definition->name, "p"));
    expect_statement(&definition->handlers[0].statements.items[0], "insert into x values (1)");
    ms_projection_definition_free(definition);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_file_has_the_defaults),
        cmocka_unit_test(the_head_says_how),
        cmocka_unit_test(statements_belong_to_the_section_they_stand_in),
        cmocka_unit_test(an_event_has_these_fields),
        cmocka_unit_test(a_query_knows_which_of_its_parameters_stands_where),
        cmocka_unit_test(the_target_may_be_overruled),
        cmocka_unit_test(each_database_has_its_own_eyes),
        cmocka_unit_test(a_trigger_is_one_statement),
        cmocka_unit_test(the_version_sees_changes_but_not_line_ends),
        cmocka_unit_test(nothing_is_borrowed_from_the_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
