/* The OpenAPI document. */
#include <jansson.h>

#include "face/http/openapi.h"
#include "face/http/params.h"
#include "face/http/routes.h"
#include "http_cmocka.h"

static json_t *document(void) {
    struct ms_buf out;
    ms_buf_init(&out, 1024 * 1024);
    assert_int_equal(ms_http_openapi_write(&out, "1.2.3"), 0);
    json_error_t problem;
    json_t *root = json_loadb((const char *)out.data, out.len, JSON_REJECT_DUPLICATES, &problem);
    if (!root)
        fail_msg("line %d column %d: %s", problem.line, problem.column, problem.text);
    ms_buf_deinit(&out);
    return root;
}

static const char *lower(enum ms_http_method method) {
    switch (method) {
    case MS_HTTP_GET:
        return "get";
    case MS_HTTP_POST:
        return "post";
    case MS_HTTP_PUT:
        return "put";
    case MS_HTTP_DELETE:
        return "delete";
    case MS_HTTP_HEAD:
    case MS_HTTP_OPTIONS:
    case MS_HTTP_METHOD_COUNT:
        break;
    }
    return "?";
}

static bool has_parameter(const json_t *operation, const char *name) {
    const json_t *parameters = json_object_get(operation, "parameters");
    for (size_t i = 0; i < json_array_size(parameters); i++) {
        const json_t *parameter = json_array_get(parameters, i);
        if (strcmp(json_string_value(json_object_get(parameter, "name")), name) == 0)
            return true;
    }
    return false;
}

static void every_route_is_described_with_its_parameters(void **state) {
    (void)state;
    json_t *root = document();
    assert_string_equal(json_string_value(json_object_get(root, "openapi")), "3.1.0");
    const json_t *paths = json_object_get(root, "paths");
    for (size_t i = 0; i < ms_http_route_count(); i++) {
        const struct ms_http_route *route = ms_http_route_at(i);
        const json_t *operation =
            json_object_get(json_object_get(paths, route->pattern), lower(route->method));
        assert_non_null(operation);
        assert_string_equal(json_string_value(json_object_get(operation, "operationId")),
                            route->name);
        for (int param = 0; param < MS_HTTP_PARAM_COUNT; param++) {
            if ((route->params >> param) & 1)
                assert_true(
                    has_parameter(operation, ms_http_param_info((enum ms_http_param)param)->name));
        }
        if (strstr(route->pattern, "{key}"))
            assert_true(has_parameter(operation, "topic") && has_parameter(operation, "key"));
        assert_int_equal(json_object_get(operation, "requestBody") != NULL,
                         route->body != MS_HTTP_TAKES_NONE);
        assert_true(json_object_size(json_object_get(operation, "responses")) > 0);
    }
    json_decref(root);
}

static void check_references(const json_t *value, const json_t *schemas) {
    const char *name;
    json_t *member;
    size_t index;
    const char *reference = json_string_value(json_object_get(value, "$ref"));
    if (reference) {
        const char *prefix = "#/components/schemas/";
        assert_memory_equal(reference, prefix, strlen(prefix));
        if (!json_object_get(schemas, reference + strlen(prefix)))
            fail_msg("%s is not there", reference);
    }
    json_object_foreach((json_t *)value, name, member) { check_references(member, schemas); }
    json_array_foreach((json_t *)value, index, member) { check_references(member, schemas); }
}

static void every_reference_has_its_schema(void **state) {
    (void)state;
    json_t *root = document();
    check_references(root, json_object_get(json_object_get(root, "components"), "schemas"));
    json_decref(root);
}

static void a_buffer_too_small_is_an_error(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 1000);
    assert_int_equal(ms_http_openapi_write(&out, "1"), MS_ETOOBIG);
    ms_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described_with_its_parameters),
        cmocka_unit_test(every_reference_has_its_schema),
        cmocka_unit_test(a_buffer_too_small_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
