/* Problem documents. */
#include <jansson.h>

#include "face/http/problem.h"
#include "http_cmocka.h"

static json_t *written(const struct ms_http_problem *problem) {
    struct ms_buf out;
    ms_buf_init(&out, 64 * 1024);
    assert_int_equal(ms_http_problem_write(&out, problem), 0);
    json_t *root = json_loadb((const char *)out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    ms_buf_deinit(&out);
    return root;
}

static const char *text(const json_t *root, const char *name) {
    const char *value = json_string_value(json_object_get(root, name));
    assert_non_null(value);
    return value;
}

static void a_code_becomes_its_status_type_and_title(void **state) {
    (void)state;
    struct ms_http_problem problem = ms_http_problem_of_code(MS_ECONFLICT);
    problem.detail = B("stream \"a\" is at 7");
    problem.request_id = B("r-1");
    problem.members = B(",\"expected\":5,\"actual\":7");
    json_t *root = written(&problem);
    assert_string_equal(text(root, "type"), "urn:mainstem:problem:wrong-expected-version");
    assert_int_equal(json_integer_value(json_object_get(root, "status")), 412);
    assert_string_equal(text(root, "detail"), "stream \"a\" is at 7");
    assert_string_equal(text(root, "instance"), "urn:mainstem:request:r-1");
    assert_int_equal(json_integer_value(json_object_get(root, "actual")), 7);
    json_decref(root);
}

static void every_code_makes_a_valid_document(void **state) {
    (void)state;
    for (int code = -1; code > -40; code--) {
        struct ms_http_problem problem = ms_http_problem_of_code(code);
        json_t *root = written(&problem);
        assert_true(problem.status >= 400 && problem.status < 600);
        json_decref(root);
    }
    static const int statuses[] = {400, 401, 403, 404, 405, 406, 408, 413, 414, 415,
                                   417, 421, 429, 431, 500, 501, 503, 505, 418};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct ms_http_problem problem = ms_http_problem_of_status(statuses[i]);
        json_t *root = written(&problem);
        assert_int_equal(problem.status, statuses[i]);
        json_decref(root);
    }
}

static void a_detail_that_is_no_utf8_does_not_spoil_the_document(void **state) {
    (void)state;
    struct ms_http_problem problem = ms_http_problem_of_status(400);
    problem.detail = B("got \"\xff\xfe\" \x01 here\xc3");
    json_t *root = written(&problem);
    assert_string_equal(text(root, "detail"), "got \"??\" \x01 here?");
    json_decref(root);
}

static void without_a_detail_the_title_is_one(void **state) {
    (void)state;
    struct ms_http_problem problem = ms_http_problem_of_status(404);
    json_t *root = written(&problem);
    assert_string_equal(text(root, "detail"), text(root, "title"));
    assert_null(json_object_get(root, "instance"));
    json_decref(root);
}

static void a_full_buffer_is_left_as_it_was(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 100);
    assert_int_equal(ms_buf_append_cstr(&out, "before"), 0);
    struct ms_http_problem problem = ms_http_problem_of_status(404);
    assert_int_equal(ms_http_problem_write(&out, &problem), MS_ETOOBIG);
    assert_buf(&out, "before");
    ms_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_becomes_its_status_type_and_title),
        cmocka_unit_test(every_code_makes_a_valid_document),
        cmocka_unit_test(a_detail_that_is_no_utf8_does_not_spoil_the_document),
        cmocka_unit_test(without_a_detail_the_title_is_one),
        cmocka_unit_test(a_full_buffer_is_left_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
