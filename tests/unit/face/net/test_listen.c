/* Addresses, and sockets that share a port among themselves but with nobody else. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "face/net/listen.h"
#include "net_cmocka.h"

static void addresses_are_read_and_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *host, *name;
        unsigned port;
        bool any;
    } rows[] = {
        {"127.0.0.1:8080", "127.0.0.1", "127.0.0.1:8080", 8080, false},
        {"[::1]:9092", "::1", "[::1]:9092", 9092, false},
        {"0.0.0.0:1", "0.0.0.0", "0.0.0.0:1", 1, true},
        {"[::]:0", "::", "[::]:0", 0, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ms_net_address address;
        assert_int_equal(ms_net_address_resolve("test", rows[i].text, &address, NULL), 0);
        char name[MS_NET_ADDRESS_MAX];
        ms_net_address_name(&address, name);
        assert_string_equal(name, rows[i].name);
        assert_string_equal(address.host, rows[i].host);
        assert_int_equal(ms_net_address_port(&address), rows[i].port);
        assert_int_equal(ms_net_address_is_any(&address), rows[i].any);
        ms_net_peer_name((const struct sockaddr *)&address.storage, name);
        assert_string_equal(name, rows[i].name);
    }
}

static void what_is_no_address_is_refused_in_the_name_of_the_face(void **state) {
    (void)state;
    static const char *const wrong[] = {"",        "localhost", "127.0.0.1:",     "127.0.0.1:65536",
                                        ":::1:80", "[::1:80",   "127.0.0.1:http", "256.1.1.1:80"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct ms_net_address address = {.len = 7};
        struct ms_error err = {0};
        assert_int_equal(ms_net_address_resolve("kafka", wrong[i], &address, &err), MS_EINVAL);
        assert_int_equal(address.len, 7);
        assert_true(strncmp(err.message, "kafka address", 13) == 0);
        assert_mentions(&err, wrong[i]);
    }
}

static void listeners_share_a_port_with_nobody_else(void **state) {
    (void)state;
    struct ms_net_address address;
    assert_int_equal(ms_net_address_resolve("kafka", "127.0.0.1:0", &address, NULL), 0);
    int fds[3], others[3];
    assert_int_equal(ms_net_listen("kafka", &address, 3, fds, NULL), 0);
    unsigned port = ms_net_address_port(&address);
    assert_true(port > 0);
    for (int i = 0; i < 3; i++) {
        struct sockaddr_in bound;
        socklen_t len = sizeof bound;
        assert_int_equal(listen(fds[i], 1), 0);
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&bound, &len), 0);
        assert_int_equal(ntohs(bound.sin_port), port);
    }
    struct ms_error err = {0};
    assert_int_equal(ms_net_listen("kafka", &address, 3, others, &err), MS_EEXIST);
    char number[16];
    snprintf(number, sizeof number, "port %u", port);
    assert_mentions(&err, number);
    assert_mentions(&err, "kafka can't listen on host 127.0.0.1");
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    assert_int_equal(ms_net_listen("kafka", &address, 3, fds, &err), 0);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

static void a_foreign_address_is_a_bad_one(void **state) {
    (void)state;
    struct ms_net_address address;
    assert_int_equal(ms_net_address_resolve("kafka", "192.0.2.1:0", &address, NULL), 0);
    int fd;
    assert_int_equal(ms_net_listen("kafka", &address, 1, &fd, NULL), MS_EINVAL);
}

static void there_is_a_loop_per_core_unless_told(void **state) {
    (void)state;
    assert_in_range(ms_net_loop_count(0), 1, MS_NET_LISTENERS_MAX);
    assert_int_equal(ms_net_loop_count(3), 3);
    assert_int_equal(ms_net_loop_count(1000), MS_NET_LISTENERS_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_named),
        cmocka_unit_test(what_is_no_address_is_refused_in_the_name_of_the_face),
        cmocka_unit_test(listeners_share_a_port_with_nobody_else),
        cmocka_unit_test(a_foreign_address_is_a_bad_one),
        cmocka_unit_test(there_is_a_loop_per_core_unless_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
