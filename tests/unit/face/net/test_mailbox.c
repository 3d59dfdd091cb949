/* Hand-over between threads. */
#include <poll.h>
#include <pthread.h>

#include "base/error.h"
#include "face/net/mailbox.h"
#include "net_cmocka.h"

#define PUSHERS 4
#define LETTERS 20000

struct letter {
    struct ms_net_mail mail; /* first, so that a mail is its letter */
    unsigned pusher, number;
};

static unsigned delivered, next_number[PUSHERS];

static void deliver(struct ms_net_mail *mail) {
    const struct letter *letter = (const struct letter *)(const void *)mail;
    assert_int_equal(letter->number, next_number[letter->pusher]);
    next_number[letter->pusher]++;
    delivered++;
}

static bool is_readable(const struct ms_net_mailbox *mailbox) {
    struct pollfd wanted = {.fd = mailbox->wake_fd, .events = POLLIN};
    return poll(&wanted, 1, 0) == 1;
}

static int reset(void **state) {
    (void)state;
    delivered = 0;
    memset(next_number, 0, sizeof next_number);
    return 0;
}

static void mail_is_delivered_in_the_order_of_pushing(void **state) {
    (void)state;
    struct ms_net_mailbox mailbox;
    assert_int_equal(ms_net_mailbox_init(&mailbox, NULL), 0);
    struct letter letters[3] = {0};
    for (unsigned i = 0; i < 3; i++) {
        letters[i] = (struct letter){.mail.deliver = deliver, .number = i};
        ms_net_mailbox_push(&mailbox, &letters[i].mail);
    }
    assert_int_equal(ms_net_mailbox_deliver(&mailbox), 3);
    assert_int_equal(delivered, 3);
    assert_int_equal(ms_net_mailbox_deliver(&mailbox), 0);
    ms_net_mailbox_deinit(&mailbox);
}

static void only_the_first_letter_wakes(void **state) {
    (void)state;
    struct ms_net_mailbox mailbox;
    assert_int_equal(ms_net_mailbox_init(&mailbox, NULL), 0);
    assert_false(is_readable(&mailbox));
    struct letter first = {.mail.deliver = deliver, .number = 0};
    struct letter second = {.mail.deliver = deliver, .number = 1};
    ms_net_mailbox_push(&mailbox, &first.mail);
    assert_true(is_readable(&mailbox));
    ms_net_mailbox_woken(&mailbox);
    ms_net_mailbox_push(&mailbox, &second.mail);
    assert_false(is_readable(&mailbox)); /* the first has not been taken yet */
    assert_int_equal(ms_net_mailbox_deliver(&mailbox), 2);
    ms_net_mailbox_wake(&mailbox);
    assert_true(is_readable(&mailbox));
    ms_net_mailbox_deinit(&mailbox);
}

struct pushing {
    struct ms_net_mailbox *mailbox;
    struct letter *letters;
};

static void *push_all(void *context) {
    struct pushing *pushing = context;
    for (unsigned i = 0; i < LETTERS; i++)
        ms_net_mailbox_push(pushing->mailbox, &pushing->letters[i].mail);
    return NULL;
}

static void nothing_is_lost_and_no_wake_up_is_missed(void **state) {
    (void)state;
    static struct letter letters[PUSHERS][LETTERS];
    struct ms_net_mailbox mailbox;
    assert_int_equal(ms_net_mailbox_init(&mailbox, NULL), 0);
    pthread_t threads[PUSHERS];
    struct pushing pushing[PUSHERS];
    for (unsigned i = 0; i < PUSHERS; i++) {
        for (unsigned j = 0; j < LETTERS; j++)
            letters[i][j] = (struct letter){.mail.deliver = deliver, .pusher = i, .number = j};
        pushing[i] = (struct pushing){&mailbox, letters[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, push_all, &pushing[i]), 0);
    }
    while (delivered < PUSHERS * LETTERS) {
        struct pollfd wanted = {.fd = mailbox.wake_fd, .events = POLLIN};
        assert_int_equal(poll(&wanted, 1, 10000), 1); /* a missed wake-up would hang here */
        ms_net_mailbox_woken(&mailbox);
        (void)ms_net_mailbox_deliver(&mailbox);
    }
    for (unsigned i = 0; i < PUSHERS; i++)
        pthread_join(threads[i], NULL);
    ms_net_mailbox_deinit(&mailbox);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(mail_is_delivered_in_the_order_of_pushing, reset),
        cmocka_unit_test_setup(only_the_first_letter_wakes, reset),
        cmocka_unit_test_setup(nothing_is_lost_and_no_wake_up_is_missed, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
