/* The same file and the same events on both databases: the same rows; values stay values; queries
 * only read, and only for so long. */
#include "projection_world.h"
#include "support/sources.h"

/* ---- the examples ---- */

struct happening {
    const char *stream, *type, *data;
};

static const struct happening shop[] = {
    {"customer-c1", "customer.registered", "{\"customer_id\": \"c1\", \"name\": \"Ava O'Neil\"}"},
    {"customer-c2", "customer.registered", "{\"customer_id\": \"c2\", \"name\": \"Bj\\u00f6rn\"}"},
    {"order-o1", "order.created",
     "{\"order_id\": \"o1\", \"customer_id\": \"c1\", \"total_amount\": 12.50,"
     " \"items\": [{\"sku\": \"a\"}, {\"sku\": \"b\"}]}"},
    {"order-o2", "order.created",
     "{\"order_id\": \"o2\", \"customer_id\": \"c1\", \"total_amount\": \"0.07\", \"items\": []}"},
    {"order-o1", "order.paid", "{\"order_id\": \"o1\", \"amount\": 12.50}"},
    {"order-o3", "order.created",
     "{\"order_id\": \"o3\", \"customer_id\": \"c2\", \"total_amount\": 99, \"items\": [1, 2, 3]}"},
    {"order-o3", "order.paid", "{\"order_id\": \"o3\", \"amount\": 99}"},
    {"order-o3", "order.refunded", "{\"order_id\": \"o3\", \"amount\": 9.99}"},
    {"order-o1", "order.shipped", "{\"order_id\": \"o1\"}"},
    {"order-o2", "order.cancelled", "{\"order_id\": \"o2\"}"},
    {"customer-c1", "customer.renamed", "{\"customer_id\": \"c1\", \"name\": \"Ava \\\\ Smith\"}"},
};

static void define_file(struct projection_world *w, const char *path) {
    static char text[1 << 16];
    FILE *file = open_below_root(path);
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    define(w, text);
}

static struct ms_value default_of(const struct ms_query_parameter *parameter) {
    const struct ms_sql_value *otherwise = &parameter->otherwise;
    if (otherwise->is_null || !parameter->has_default)
        return (struct ms_value){.kind = MS_VALUE_NULL};
    if (parameter->type == MS_SQL_TYPE_TEXT)
        return (struct ms_value){.kind = MS_VALUE_TEXT, .text = otherwise->text};
    return (struct ms_value){.kind = MS_VALUE_INTEGER, .integer = otherwise->integer};
}

/* Every query, its first parameter being `first` where it has no default. */
static void ask_all(struct projection_world *w, const char *first, struct ms_buf *out) {
    for (size_t q = 0; q < w->definition->query_count; q++) {
        const struct ms_declaration *declaration = &w->definition->queries[q].declaration;
        struct ms_value values[8];
        char name[64];
        for (size_t i = 0; i < declaration->parameter_count; i++)
            values[i] = default_of(&declaration->parameters[i]);
        if (declaration->parameter_count > 0 && !declaration->parameters[0].has_default)
            values[0] = (struct ms_value){.kind = MS_VALUE_TEXT, .text = ms_bytes_cstr(first)};
        snprintf(name, sizeof name, "%.*s", (int)declaration->name.len,
                 (const char *)declaration->name.data);
        if (ask_with(w, name, values, 10000) != 0)
            fail_msg("%s", w->error.message);
        assert_int_equal(ms_buf_printf(out, "%s:\n%s", name, (const char *)w->answer.data), 0);
    }
}

static void play(struct projection_world *w, const char *path, struct ms_buf *out) {
    define_file(w, path);
    for (size_t i = 0; i < sizeof shop / sizeof *shop; i++)
        append_json_at(w, shop[i].stream, shop[i].type, shop[i].data,
                       INT64_C(1750000000000) + (int64_t)i * 40000000);
    start(w);
    await_applied(w);
    ms_buf_init(out, (size_t)1 << 20);
    ask_all(w, "c1", out);
    ask_all(w, "o3", out);
    assert_int_equal(ms_buf_append_u8(out, '\0'), 0);
}

static void the_shop_has_the_same_rows_on_both(void **state) {
    static const char *const files[] = {"examples/shop/order_summary.sql",
                                        "examples/shop/revenue_by_day.sql"};
    static const char *const wanted[] = {
        "o1|c1|Ava \\ Smith|1250|2|SHIPPED|2025-06-16T13:20:00.000Z|2025-06-19T08:00:00.000Z\n"
        "o2|c1|Ava \\ Smith|7|0|CANCELLED|",
        "2025-06-18|1|9900|999|8901\n"};
    world_of(state);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct projection_world sqlite, postgres;
        struct ms_buf first, second;
        projection_world_init(&sqlite);
        projection_world_init(&postgres);
        projection_world_use(&postgres, &projection_pg);
        play(&sqlite, files[i], &first);
        play(&postgres, files[i], &second);
        assert_string_equal((const char *)first.data, (const char *)second.data);
        if (strstr((const char *)first.data, wanted[i]) == NULL)
            fail_msg("%s", (const char *)first.data);
        ms_buf_deinit(&first);
        ms_buf_deinit(&second);
        projection_world_deinit(&sqlite);
        projection_world_deinit(&postgres);
    }
}

/* ---- values ---- */

static const char notes[] =
    "-- projection: notes\n"
    "-- from: note\n"
    "create table notes (name text primary key, text text, n numeric, flag text);\n"
    "-- on: written\n"
    "insert into notes values (:data ->> 'name', :data ->> 'text', cast(:data ->> 'n' as "
    "numeric),\n"
    "                          :data ->> 'flag');\n"
    "-- query: by_text(text text)\n"
    "select name from notes where text = :text order by name;\n"
    "-- query: all\n"
    "select name, text, n, flag from notes order by name;\n"
    "-- query: echo(t text, b bigint, i integer, d double, f boolean, j json)\n"
    "select cast(:t as text), cast(:b as bigint), cast(:i as integer), :d + 0.0,\n"
    "       case when :f then 'yes' else 'no' end, :j ->> 'a';\n"
    "-- query: absent(t text, b bigint, d double, j json)\n"
    "select cast(:t as text) is null and cast(:b as bigint) is null and\n"
    "       :d + 0.0 is null and :j ->> 'a' is null;\n"
    "-- query: endless\n"
    "with recursive more(n) as (select 1 union all select n + 1 from more)\n"
    "  select count(*) from more;\n";

static const char *const nasty[] = {"'; drop table notes; --",
                                    "a\\'b\\\"c",
                                    "\\x00 \\u0041 $1 :text ?1 %s %n",
                                    "Grüße \xf0\x9f\x8d\x8e \xe2\x80\xae",
                                    "line\nbreak\ttab\x01",
                                    "' or '1' = '1",
                                    "$$ $tag$ E'\\'' /* -- ",
                                    ""};

static struct ms_value text(const char *value) {
    return (struct ms_value){.kind = MS_VALUE_TEXT, .text = ms_bytes_cstr(value)};
}

static struct ms_value number(int64_t value) {
    return (struct ms_value){.kind = MS_VALUE_INTEGER, .integer = value};
}

static void write_note(struct projection_world *w, const char *name, const char *value) {
    struct ms_buf data;
    ms_buf_init(&data, 10000);
    assert_int_equal(ms_buf_append_cstr(&data, "{\"text\": "), 0);
    assert_int_equal(ms_json_write_string(&data, ms_bytes_cstr(value)), 0);
    assert_int_equal(ms_buf_printf(&data, ", \"name\": \"%s\"}", name), 0);
    assert_int_equal(ms_buf_append_u8(&data, '\0'), 0);
    append_json(w, "note-x", "written", (const char *)data.data);
    ms_buf_deinit(&data);
}

static void what_looks_like_sql_stays_a_value(void **state) {
    struct projection_world *w = world_of(state);
    char name[16], expected[20];
    define(w, notes);
    for (size_t i = 0; i < sizeof nasty / sizeof *nasty; i++) {
        snprintf(name, sizeof name, "n%zu", i);
        write_note(w, name, nasty[i]);
    }
    start(w);
    await_applied(w);
    for (size_t i = 0; i < sizeof nasty / sizeof *nasty; i++) {
        struct ms_value value = text(nasty[i]);
        snprintf(expected, sizeof expected, "n%zu\n", i);
        if (ask_with(w, "by_text", &value, 0) != 0)
            fail_msg("%s", w->error.message);
        assert_string_equal((const char *)w->answer.data, expected);
    }
}

static void parameters_have_their_types(void **state) {
    struct projection_world *w = world_of(state);
    define(w, notes);
    start(w);
    struct ms_value values[] = {text("a'b"),
                                number(INT64_MIN),
                                number(-7),
                                {.kind = MS_VALUE_DOUBLE, .number = -0.125},
                                {.kind = MS_VALUE_BOOLEAN, .integer = 1},
                                {.kind = MS_VALUE_JSON, .text = ms_bytes_cstr("{\"a\": true}")}};
    if (ask_with(w, "echo", values, 0) != 0)
        fail_msg("%s", w->error.message);
    assert_string_equal((const char *)w->answer.data,
                        "a'b|-9223372036854775808|-7|-0.125|yes|true\n");
    struct ms_value none[4] = {{.kind = MS_VALUE_NULL}};
    assert_int_equal(ask_with(w, "absent", none, 0), 0);
    assert_string_equal((const char *)w->answer.data, "1\n");
}

static void numbers_are_the_same_on_both(void **state) {
    struct projection_world *w = world_of(state);
    static const char *const numbers[] = {
        "12.50", "12.00", "-0.001", "7", "9223372036854775807", "0.1", "1234567.875"};
    char data[100], name[16];
    define(w, notes);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        snprintf(name, sizeof name, "note-%zu", i);
        snprintf(data, sizeof data, "{\"name\": \"%zu\", \"n\": %s, \"flag\": %s}", i, numbers[i],
                 i % 2 ? "true" : "null");
        append_json(w, name, "written", data);
    }
    start(w);
    await_applied(w);
    assert_string_equal(ask(w, "all"), "0||12.5|\n1||12|true\n2||-0.001|\n3||7|true\n"
                                       "4||9223372036854775807|\n5||0.1|true\n6||1234567.875|\n");
}

static void a_query_ends_when_its_time_is_over(void **state) {
    struct projection_world *w = world_of(state);
    define(w, notes);
    start(w);
    assert_int_equal(ask_with(w, "endless", NULL, 200), MS_ETIMEOUT);
    assert_non_null(strstr(w->error.message, "t.sql:18:1: it takes longer than it may"));
    assert_string_equal(ask(w, "all"), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_POSTGRES(the_shop_has_the_same_rows_on_both),
        ON_BOTH(what_looks_like_sql_stays_a_value),
        ON_BOTH(parameters_have_their_types),
        ON_BOTH(numbers_are_the_same_on_both),
        ON_BOTH(a_query_ends_when_its_time_is_over),
    };
    return cmocka_run_group_tests(tests, projection_group_set_up, projection_group_tear_down);
}
