/* The shares of the server's memory. */
#include "face/http/budget.h"
#include "http_cmocka.h"

#define MIB ((size_t)1024 * 1024)

static void the_shares_are_the_whole_and_in_order(void **state) {
    (void)state;
    for (size_t whole = MIB; whole <= 1024 * MIB; whole *= 2) {
        for (size_t body = 1024; body <= 2048 * MIB; body *= 4) {
            struct ms_http_budget_limits limits = ms_http_budget_divide(whole, body);
            assert_int_equal(limits.small_bodies + limits.pages, whole);
            assert_true(limits.body <= body && limits.body <= limits.bodies);
            assert_true(limits.bodies < limits.small_bodies);
            assert_true(limits.small_bodies >= whole / 2 && limits.pages >= whole / 8);
            assert_true(limits.large_batches < limits.events);
            assert_true(limits.events < limits.small_batches);
            assert_true(limits.small_batches < limits.pages);
        }
    }
    assert_int_equal(ms_http_budget_divide(256 * MIB, 64 * MIB).body, 64 * MIB);
    assert_int_equal(ms_http_budget_divide(256 * MIB, 64 * MIB).pages, 128 * MIB);
}

static void a_trim_comes_after_a_peak_and_not_too_often(void **state) {
    (void)state;
    struct ms_http_budget budget = {0};
    size_t charged = 0;
    assert_false(ms_http_budget_trim(&budget, 1));
    ms_net_share_set(&budget.answers, &charged, 64 * MIB);
    assert_false(ms_http_budget_trim(&budget, 2));
    assert_int_equal(budget.peak, 64 * MIB);
    ms_net_share_set(&budget.answers, &charged, 0);
    assert_false(ms_http_budget_trim(&budget, 3)); /* done */
    assert_int_equal(budget.peak, 0);
    ms_net_share_set(&budget.answers, &charged, 64 * MIB);
    assert_false(ms_http_budget_trim(&budget, 4));
    ms_net_share_set(&budget.answers, &charged, 0);
    assert_true(ms_http_budget_trim(&budget, 5)); /* still to be done */
    assert_false(ms_http_budget_trim(&budget, 10000000));
    assert_int_equal(budget.peak, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shares_are_the_whole_and_in_order),
        cmocka_unit_test(a_trim_comes_after_a_peak_and_not_too_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
