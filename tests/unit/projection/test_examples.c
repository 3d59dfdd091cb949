/* The example projections are good on both databases and say what they seem to; the documentation
 * has the same fields and types as the code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "projection/definition.h"
#include "projection/directive.h"
#include "projection/limits.h"
#include "support/sources.h"

static void read_file(const char *path, struct ms_buf *out) {
    FILE *file = open_below_root(path);
    uint8_t *place;
    if (file == NULL)
        fail_msg("%s is missing", path);
    ms_buf_init(out, MS_PROJECTION_FILE_BYTES_MAX);
    assert_int_equal(ms_buf_reserve(out, MS_PROJECTION_FILE_BYTES_MAX), 0);
    size_t len = fread(out->data, 1, MS_PROJECTION_FILE_BYTES_MAX, file);
    assert_int_equal(ms_buf_extend(out, len, &place), 0);
    fclose(file);
}

static struct ms_projection_definition *parse_text(const char *name, struct ms_bytes text,
                                                   enum ms_sql_dialect target) {
    struct ms_projection_definition *definition = NULL;
    struct ms_error err = {0};
    if (ms_projection_parse(name, text, &target, &definition, &err) != 0)
        fail_msg("%s", err.message);
    return definition;
}

static struct ms_projection_definition *parse_file(const char *path, enum ms_sql_dialect target) {
    struct ms_buf text;
    read_file(path, &text);
    struct ms_projection_definition *definition = parse_text(path, ms_buf_bytes(&text), target);
    ms_buf_deinit(&text);
    return definition;
}

static void the_order_summary_is_what_it_seems_on_both(void **state) {
    (void)state;
    for (int target = MS_SQL_SQLITE; target <= MS_SQL_POSTGRES; target++) {
        struct ms_projection_definition *definition =
            parse_file("examples/shop/order_summary.sql", (enum ms_sql_dialect)target);
        assert_true(ms_bytes_equal_cstr(definition->name, "order_summary"));
        assert_int_equal(definition->source_count, 2);
        assert_int_equal(definition->schema.count, 3);
        assert_int_equal(definition->handler_count, 5);
        assert_int_equal(definition->handlers[0].type_count, 2);
        assert_int_equal(definition->handlers[0].statements.count, 2);
        assert_int_equal(definition->query_count, 2);
        const struct ms_projection_query *query =
            ms_projection_find_query(definition, MS_BYTES_LITERAL("customer_orders"));
        assert_non_null(query);
        assert_int_equal(query->declaration.parameter_count, 3);
        assert_int_equal(query->declaration.parameters[2].otherwise.integer, 50);
        ms_projection_definition_free(definition);
    }
}

static void the_revenue_by_day_is_what_it_seems_on_both(void **state) {
    (void)state;
    for (int target = MS_SQL_SQLITE; target <= MS_SQL_POSTGRES; target++) {
        struct ms_projection_definition *definition =
            parse_file("examples/shop/revenue_by_day.sql", (enum ms_sql_dialect)target);
        assert_true(ms_bytes_equal_cstr(definition->name, "revenue_by_day"));
        assert_int_equal(definition->source_count, 1);
        assert_int_equal(definition->schema.count, 1);
        assert_int_equal(definition->handler_count, 2);
        assert_int_equal(definition->query_count, 2);
        assert_int_equal(definition->queries[0].declaration.parameter_count, 3);
        ms_projection_definition_free(definition);
    }
}

/* As short as one can be that joins, counts and answers: the tightest writing of the format. */
static const char tight[] =
    "-- projection: order_summary\n"
    "-- from: customer, order\n"
    "create table if not exists customer (customer_id text primary key, name text not null);\n"
    "create table if not exists order_summary (\n"
    "  order_id text primary key, customer_id text not null, customer_name text, total_cents "
    "bigint "
    "not null,\n"
    "  item_count integer not null, status text not null, created_at text not null, updated_at "
    "text "
    "not null);\n"
    "-- on: customer.registered\n"
    "insert into customer (customer_id, name) values (:data ->> 'customer_id', :data ->> 'name')\n"
    "  on conflict (customer_id) do update set name = excluded.name;\n"
    "-- on: order.created\n"
    "insert into order_summary (order_id, customer_id, customer_name, total_cents, item_count, "
    "status, created_at, updated_at)\n"
    "  values (:data ->> 'order_id', :data ->> 'customer_id', (select name from customer where "
    "customer_id = :data ->> 'customer_id'),\n"
    "          cast(round(cast(:data ->> 'total_amount' as numeric) * 100) as bigint), "
    "json_array_length(:data -> 'items'),\n"
    "          'PENDING', :timestamp, :timestamp) on conflict (order_id) do nothing;\n"
    "-- on: order.paid\n"
    "update order_summary set status = 'PAID', updated_at = :timestamp where order_id = :data ->> "
    "'order_id';\n"
    "-- query: customer_orders(customer_id text, status text = null, limit bigint = 50)\n"
    "select * from order_summary where customer_id = :customer_id and (:status is null or status = "
    ":status) order by created_at limit :limit;\n";

static void expect_rewritten(const struct ms_sql_statement *statement, enum ms_sql_dialect dialect,
                             const char *wanted) {
    struct ms_buf out;
    ms_buf_init(&out, MS_PROJECTION_FILE_BYTES_MAX);
    assert_int_equal(ms_sql_rewrite(statement, dialect, &out), 0);
    assert_int_equal(ms_buf_append_u8(&out, '\0'), 0);
    assert_string_equal(out.data, wanted);
    ms_buf_deinit(&out);
}

static void the_changes_of_a_history_are_what_they_seem_on_both(void **state) {
    (void)state;
    for (int target = MS_SQL_SQLITE; target <= MS_SQL_POSTGRES; target++) {
        struct ms_projection_definition *definition =
            parse_file("examples/history/changes.sql", (enum ms_sql_dialect)target);
        assert_true(ms_bytes_equal_cstr(definition->name, "changes"));
        assert_int_equal(definition->source_count, 2);
        assert_int_equal(definition->handler_count, 1);
        assert_int_equal(definition->handlers[0].type_count, 2);
        assert_int_equal(definition->query_count, 2);
        ms_projection_definition_free(definition);
    }
}

static void a_tight_file_is_rewritten_for_both(void **state) {
    struct ms_projection_definition *definition =
        parse_text("order_summary.sql", MS_BYTES_LITERAL(tight), MS_SQL_SQLITE);
    (void)state;
    assert_int_equal(definition->schema.count, 2);
    assert_int_equal(definition->handler_count, 3);
    const struct ms_sql_statement *paid = &definition->handlers[2].statements.items[0];
    const struct ms_sql_statement *orders = &definition->queries[0].statement;
    expect_rewritten(paid, MS_SQL_SQLITE,
                     "update order_summary set status = 'PAID', updated_at = ?1 where order_id = "
                     "?2 ->> 'order_id'");
    expect_rewritten(paid, MS_SQL_POSTGRES,
                     "update order_summary set status = 'PAID', updated_at = $1 where order_id = "
                     "$2 ->> 'order_id'");
    assert_int_equal(paid->parameters[0].declared, MS_EVENT_PARAMETER_TIMESTAMP);
    assert_int_equal(paid->parameters[1].declared, MS_EVENT_PARAMETER_DATA);
    expect_rewritten(orders, MS_SQL_POSTGRES,
                     "select * from order_summary where customer_id = $1 and ($2 is null or status "
                     "= $2) order by created_at limit $3");
    ms_projection_definition_free(definition);
}

/* ---- the documentation ---- */

static void expect_documented(const struct ms_buf *page, const char *row) {
    if (memmem(page->data, page->len, row, strlen(row)) == NULL)
        fail_msg("docs/projections.md lacks \"%s\"", row);
}

static void the_reference_has_every_field_type_and_directive(void **state) {
    struct ms_buf page;
    char row[128];
    (void)state;
    read_file("docs/projections.md", &page);
    for (int i = 0; i < MS_EVENT_PARAMETER_COUNT; i++) {
        enum ms_event_parameter parameter = (enum ms_event_parameter)i;
        snprintf(row, sizeof row, "| `:%s` | %s |", ms_event_parameter_name(parameter),
                 ms_sql_type_name(ms_event_parameter_type(parameter)));
        expect_documented(&page, row);
    }
    for (int i = MS_SQL_TYPE_TEXT; i <= MS_SQL_TYPE_JSON; i++) {
        snprintf(row, sizeof row, "| `%s` |", ms_sql_type_name((enum ms_sql_type)i));
        expect_documented(&page, row);
    }
    for (int i = 0; i < MS_DIRECTIVE_COUNT; i++) {
        snprintf(row, sizeof row, "| `-- %s:", ms_directive_name((enum ms_directive_kind)i));
        expect_documented(&page, row);
    }
    ms_buf_deinit(&page);
}

static void the_reference_has_every_limit(void **state) {
    static const struct {
        const char *what;
        size_t limit;
    } rows[] = {
        {"bytes of a file", MS_PROJECTION_FILE_BYTES_MAX},
        {"bytes of a name", MS_PROJECTION_NAME_MAX},
        {"bytes of a stream, type or pattern", MS_PROJECTION_PATTERN_MAX},
        {"sources", MS_PROJECTION_SOURCES_MAX},
        {"`-- on:` sections", MS_PROJECTION_HANDLERS_MAX},
        {"event types in all of them", MS_PROJECTION_TYPES_MAX},
        {"queries", MS_PROJECTION_QUERIES_MAX},
        {"statements", MS_PROJECTION_STATEMENTS_MAX},
        {"parameters of a query, different ones of a statement", MS_PROJECTION_PARAMETERS_MAX},
    };
    struct ms_buf page;
    char row[128];
    (void)state;
    read_file("docs/projections.md", &page);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(row, sizeof row, "| %s | %zu |", rows[i].what, rows[i].limit);
        expect_documented(&page, row);
    }
    ms_buf_deinit(&page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_summary_is_what_it_seems_on_both),
        cmocka_unit_test(the_revenue_by_day_is_what_it_seems_on_both),
        cmocka_unit_test(the_changes_of_a_history_are_what_they_seem_on_both),
        cmocka_unit_test(a_tight_file_is_rewritten_for_both),
        cmocka_unit_test(the_reference_has_every_field_type_and_directive),
        cmocka_unit_test(the_reference_has_every_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
