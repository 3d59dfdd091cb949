/* The text of a file and its hash: what changes nothing, what changes it, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "projection/content.h"
#include "projection/limits.h"

static int text_of(struct ms_bytes content, struct ms_arena *arena, struct ms_bytes *ret_text,
                   struct ms_error *err) {
    ms_arena_init(arena, MS_PROJECTION_ARENA_MAX);
    return ms_content_text("t.sql", content, arena, ret_text, err);
}

static struct ms_hash128 hash_of(const char *content, enum ms_sql_dialect dialect) {
    struct ms_arena arena;
    struct ms_bytes text;
    struct ms_sql_lexer lexer;
    struct ms_sql_token token;
    struct ms_content_hasher hasher;
    assert_int_equal(text_of(ms_bytes_cstr(content), &arena, &text, NULL), 0);
    ms_sql_lexer_init(&lexer, "t.sql", text, dialect);
    ms_content_hasher_init(&hasher);
    do {
        assert_int_equal(ms_sql_next(&lexer, &token, NULL), 0);
        assert_int_equal(ms_content_hasher_add(&hasher, &token), 0);
    } while (token.kind != MS_SQL_END);
    struct ms_hash128 hash = ms_content_hasher_end(&hasher);
    ms_content_hasher_deinit(&hasher);
    ms_arena_deinit(&arena);
    return hash;
}

static bool same(const char *a, const char *b, enum ms_sql_dialect dialect) {
    struct ms_hash128 first = hash_of(a, dialect), second = hash_of(b, dialect);
    return memcmp(first.bytes, second.bytes, sizeof first.bytes) == 0;
}

static void what_editors_change_unasked_is_the_same_version(void **state) {
    static const char *const plain = "-- a: b\n\nselect 'x' /* c\n d */;\n";
    static const char *const others[] = {
        "-- a: b\r\n\r\nselect 'x' /* c\r\n d */;\r\n",     /* CR LF */
        "\xef\xbb\xbf-- a: b\n\nselect 'x' /* c\n d */;\n", /* byte order mark */
        "-- a: b \t\n  \nselect 'x' /* c \n d */;  \n",     /* blanks at the ends of lines */
        "-- a: b\n\nselect 'x' /* c\n d */;",               /* no last line feed */
        "-- a: b\n\nselect 'x' /* c\n d */;\n\n \n",        /* more of them */
    };
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_true(same(plain, others[i], MS_SQL_SQLITE));
}

static void anything_else_is_another_version(void **state) {
    static const char *const plain = "-- a: b\n\nselect 'x'  + 1;\n";
    static const char *const others[] = {
        "-- a: b\nselect 'x'  + 1;\n",    /* a line less */
        "-- a: c\n\nselect 'x'  + 1;\n",  /* a comment */
        "-- a: b\n\nselect 'x' + 1;\n",   /* a blank less within a line */
        "-- a: b\n\n select 'x'  + 1;\n", /* one more at its start */
        "-- a: b\n\nselect 'X'  + 1;\n",  "\n-- a: b\n\nselect 'x'  + 1;\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(same(plain, others[i], MS_SQL_SQLITE));
}

static void blanks_in_strings_names_and_bodies_are_data(void **state) {
    (void)state;
    assert_false(same("select 'a \nb';", "select 'a\nb';", MS_SQL_SQLITE));
    assert_false(same("select \"a \nb\";", "select \"a\nb\";", MS_SQL_SQLITE));
    assert_false(same("do $$a \nb$$;", "do $$a\nb$$;", MS_SQL_POSTGRES));
    assert_false(same("select 'a  \n';\n", "select 'a\n';\n", MS_SQL_SQLITE));
    /* But line ends are line feeds there too. */
    assert_true(same("select 'a\r\nb';", "select 'a\nb';", MS_SQL_SQLITE));
}

static void the_hash_does_not_depend_on_the_machine(void **state) {
    static const uint8_t wanted[16] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                                       0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
    (void)state;
    /* XXH3-128 of nothing, as xxHash publishes it. */
    struct ms_hash128 hash = hash_of(" \r\n", MS_SQL_SQLITE);
    assert_memory_equal(hash.bytes, wanted, sizeof wanted);
}

static void line_ends_become_line_feeds(void **state) {
    struct ms_arena arena;
    struct ms_bytes text;
    (void)state;
    assert_int_equal(text_of(MS_BYTES_LITERAL("\xef\xbb\xbf"
                                              "a\r\n\r\nb\n'\xef\xbb\xbf'"),
                             &arena, &text, NULL),
                     0);
    assert_true(ms_bytes_equal_cstr(text, "a\n\nb\n'\xef\xbb\xbf'"));
    ms_arena_deinit(&arena);
    assert_int_equal(text_of(MS_BYTES_LITERAL(""), &arena, &text, NULL), 0);
    assert_int_equal(text.len, 0);
    ms_arena_deinit(&arena);
}

static void what_is_no_text_is_refused_with_its_place(void **state) {
    static const struct {
        struct ms_bytes content;
        const char *message;
    } rows[] = {
        {MS_BYTES_LITERAL("a\nb\0c"), "t.sql:2:2: a zero byte"},
        {MS_BYTES_LITERAL("aé\nbé\xc3(c"), "t.sql:2:3: this is not UTF-8"},
        {MS_BYTES_LITERAL("a\xe2\x82"), "t.sql:1:2: this is not UTF-8"},
        {MS_BYTES_LITERAL("\xff\xfe"), "t.sql:1:1: this is not UTF-8"},
        {MS_BYTES_LITERAL("a\x80"), "t.sql:1:2: this is not UTF-8"},
        {MS_BYTES_LITERAL("-- a\rdrop"), "t.sql:1:5: a carriage return without a line feed"},
        {MS_BYTES_LITERAL("a\r"), "t.sql:1:2: a carriage return without a line feed"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_arena arena;
        struct ms_bytes text;
        struct ms_error err = {0};
        assert_int_equal(text_of(rows[i].content, &arena, &text, &err), MS_EINVAL);
        assert_string_equal(err.message, rows[i].message);
        ms_arena_deinit(&arena);
    }
}

static void a_file_past_the_limit_is_refused(void **state) {
    struct ms_arena arena;
    struct ms_bytes text;
    struct ms_error err = {0};
    size_t len = MS_PROJECTION_FILE_BYTES_MAX + 1;
    char *content = ms_alloc(len);
    (void)state;
    assert_non_null(content);
    memset(content, ' ', len);
    assert_int_equal(text_of(ms_bytes_of(content, len), &arena, &text, &err), MS_ETOOBIG);
    assert_string_equal(err.message, "t.sql:1:1: the file has 1048577 bytes, the limit is 1048576");
    ms_arena_deinit(&arena);
    assert_int_equal(text_of(ms_bytes_of(content, len - 1), &arena, &text, &err), 0);
    ms_arena_deinit(&arena);
    ms_free(content);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_editors_change_unasked_is_the_same_version),
        cmocka_unit_test(anything_else_is_another_version),
        cmocka_unit_test(blanks_in_strings_names_and_bodies_are_data),
        cmocka_unit_test(the_hash_does_not_depend_on_the_machine),
        cmocka_unit_test(line_ends_become_line_feeds),
        cmocka_unit_test(what_is_no_text_is_refused_with_its_place),
        cmocka_unit_test(a_file_past_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
