/* Every allocation fails once: nothing breaks, nothing leaks, every request is answered. */
#include "group_fixture.h"

/* Retries as a client does, which the failure stops only once. */
static bool settle(struct client *client) {
    client_join(client);
    if (client->joins_answered == 0 || client->joined.code != MS_GROUP_OK)
        return false;
    client_sync(client);
    return client->syncs_answered == 1 && client->synced == MS_GROUP_OK;
}

/* All operations once, whatever becomes of them. */
static void work(struct party *party) {
    struct client a, b, again;
    struct committing c;
    client_init(&a, party);
    client_init(&b, party);
    b.require_member_id = true;
    a.instance = "one";
    (void)settle(&a);
    client_join(&b);
    if (b.joined.code == MS_GROUP_MEMBER_ID_REQUIRED)
        client_join(&b);
    bool waits = b.joins_answered == 0;
    client_join(&a);
    if (a.joins_answered == 1)
        client_sync(&a);
    if (b.joins_answered == 1)
        client_sync(&b);
    client_init(&again, party);
    again.instance = "one";
    again.can_skip = true;
    client_join(&again);
    commit_start(&c, party, client_identity(&again), "t", 0, 1);
    assert_int_equal(c.answered, 1);
    commit_start(&c, party, nobody("simple"), "t", 0, 1);
    assert_int_equal(c.answered, 1);
    (void)client_leave(&again);
    party_advance(party, INT64_C(8) * 24 * 3600 * 1000);
    party_advance(party, 600000);
    (void)waits;
    party_close(party);
    assert_int_equal(a.joins_answered, 1);
    assert_int_equal(b.joins_answered, 1);
    assert_int_equal(again.joins_answered, 1);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct party *party = party_new();
        ms_alloc_fail_nth(n);
        work(party);
        bool failed = ms_alloc_has_failed();
        ms_alloc_fail_nth(0);
        party_free(party);
        if (!failed)
            break;
        assert_in_range(n, 1, 1000);
    }
}

static void after_a_failure_the_same_client_succeeds(void **state) {
    (void)state;
    for (uint64_t n = 1; n < 25; n++) {
        struct party *party = party_new();
        struct client a;
        client_init(&a, party);
        ms_alloc_fail_nth(n);
        bool settled = settle(&a);
        ms_alloc_fail_nth(0);
        for (int i = 0; !settled && i < 5; i++) {
            party_advance(party, 10000); /* sessions of selves whose answer was lost end */
            a.id[0] = '\0';
            settled = settle(&a);
            party_advance(party, 60000);
        }
        assert_true(settled);
        party_free(party);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(after_a_failure_the_same_client_succeeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
