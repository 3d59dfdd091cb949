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

static void a_share_is_raised_up_to_a_limit_and_no_further(void **state) {
    (void)state;
    struct ms_http_share share = {0};
    size_t one = 0, other = 0;
    assert_true(ms_http_share_raise(&share, &one, 60, 100));
    assert_true(ms_http_share_raise(&share, &one, 50, 100)); /* has it already */
    assert_int_equal(one, 60);
    assert_false(ms_http_share_raise(&share, &other, 41, 100));
    assert_int_equal(other, 0);
    assert_true(ms_http_share_raise(&share, &other, 40, 100));
    assert_false(ms_http_share_raise(&share, &other, 41, 100));
    assert_true(ms_http_share_raise(&share, &other, 41, 200));
    ms_http_share_set(&share, &one, 0);
    assert_int_equal(ms_http_share_used(&share), 41);
    ms_http_share_set(&share, &other, 500); /* what is there is there */
    assert_int_equal(ms_http_share_used(&share), 500);
    assert_false(ms_http_share_raise(&share, &one, 1, 100));
    ms_http_share_set(&share, &other, 0);
    assert_int_equal(ms_http_share_used(&share), 0);
}

static void a_trim_comes_after_a_peak_and_not_too_often(void **state) {
    (void)state;
    struct ms_http_budget budget = {0};
    size_t charged = 0;
    assert_false(ms_http_budget_trim(&budget, 1));
    ms_http_share_set(&budget.answers, &charged, 64 * MIB);
    assert_false(ms_http_budget_trim(&budget, 2));
    assert_int_equal(budget.peak, 64 * MIB);
    ms_http_share_set(&budget.answers, &charged, 0);
    assert_false(ms_http_budget_trim(&budget, 3)); /* done */
    assert_int_equal(budget.peak, 0);
    ms_http_share_set(&budget.answers, &charged, 64 * MIB);
    assert_false(ms_http_budget_trim(&budget, 4));
    ms_http_share_set(&budget.answers, &charged, 0);
    assert_true(ms_http_budget_trim(&budget, 5)); /* still to be done */
    assert_false(ms_http_budget_trim(&budget, 10000000));
    assert_int_equal(budget.peak, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shares_are_the_whole_and_in_order),
        cmocka_unit_test(a_share_is_raised_up_to_a_limit_and_no_further),
        cmocka_unit_test(a_trim_comes_after_a_peak_and_not_too_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
