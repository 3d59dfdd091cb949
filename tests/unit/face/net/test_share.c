/* A share of memory. */
#include "face/net/share.h"
#include "net_cmocka.h"

static void a_share_is_raised_up_to_a_limit_and_no_further(void **state) {
    (void)state;
    struct ms_net_share share = {0};
    size_t one = 0, other = 0;
    assert_true(ms_net_share_raise(&share, &one, 60, 100));
    assert_true(ms_net_share_raise(&share, &one, 50, 100)); /* has it already */
    assert_int_equal(one, 60);
    assert_false(ms_net_share_raise(&share, &other, 41, 100));
    assert_int_equal(other, 0);
    assert_true(ms_net_share_raise(&share, &other, 40, 100));
    assert_false(ms_net_share_raise(&share, &other, 41, 100));
    assert_true(ms_net_share_raise(&share, &other, 41, 200));
    ms_net_share_set(&share, &one, 0);
    assert_int_equal(ms_net_share_used(&share), 41);
    ms_net_share_set(&share, &other, 500); /* what is there is there */
    assert_int_equal(ms_net_share_used(&share), 500);
    assert_false(ms_net_share_raise(&share, &one, 1, 100));
    ms_net_share_set(&share, &other, 0);
    assert_int_equal(ms_net_share_used(&share), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_share_is_raised_up_to_a_limit_and_no_further),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
