/* Hand-over of results to a loop; see mailbox.h. */
#include "face/net/mailbox.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"

int ms_net_mailbox_init(struct ms_net_mailbox *mailbox, struct ms_error *err) {
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return ms_error_set(err, MS_EIO, "eventfd for a mailbox: %s", strerror(errno));
    atomic_init(&mailbox->newest, NULL);
    mailbox->wake_fd = fd;
    return 0;
}

void ms_net_mailbox_deinit(struct ms_net_mailbox *mailbox) {
    MS_ASSERT(!atomic_load(&mailbox->newest));
    close(mailbox->wake_fd);
    mailbox->wake_fd = -1;
}

void ms_net_mailbox_wake(struct ms_net_mailbox *mailbox) {
    /* Fails only when the counter is full, and then the loop is being woken anyway. */
    (void)eventfd_write(mailbox->wake_fd, 1);
}

void ms_net_mailbox_push(struct ms_net_mailbox *mailbox, struct ms_net_mail *mail) {
    struct ms_net_mail *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    do {
        mail->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&mailbox->newest, &newest, mail,
                                                    memory_order_release, memory_order_relaxed));
    if (!newest)
        ms_net_mailbox_wake(mailbox);
}

void ms_net_mailbox_woken(struct ms_net_mailbox *mailbox) {
    eventfd_t ignored;
    (void)eventfd_read(mailbox->wake_fd, &ignored);
}

unsigned ms_net_mailbox_deliver(struct ms_net_mailbox *mailbox) {
    struct ms_net_mail *mail =
        atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
    struct ms_net_mail *oldest = NULL;
    while (mail) {
        struct ms_net_mail *next = mail->next;
        mail->next = oldest;
        oldest = mail;
        mail = next;
    }
    unsigned count = 0;
    while (oldest) {
        struct ms_net_mail *next = oldest->next; /* delivery may hand the mail on or free it */
        oldest->deliver(oldest);
        oldest = next;
        count++;
    }
    return count;
}
