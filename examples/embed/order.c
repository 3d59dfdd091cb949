/*
 * An order, event-sourced, in an embedded store.
 *
 *     cc -o order order.c $(pkg-config --cflags --libs mainstem)
 *     ./order DIRECTORY
 *
 * An order is created, paid and shipped. Its state is a fold of its events; commands are decided on
 * that state; what they decide is appended if nobody was faster. The program tells what it does,
 * checks it, and exits with 0 when all of it was right. It may run again on the same directory.
 */
#include <mainstem/mainstem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the aggregate --------------------------------------------------------------------------- */

struct order {
    enum { ORDER_NONE, ORDER_CREATED, ORDER_PAID, ORDER_SHIPPED } status;
    long cents;
};

static const char *const status_names[] = {"not there", "created", "paid", "shipped"};

/* What an event means. No decisions here: it has happened. */
static int order_apply(void *state, const struct mainstem_recorded_event *recorded) {
    struct order *order = state;
    const struct mainstem_event *event = &recorded->event;
    if (mainstem_is(event->type, "order.created")) {
        char text[64];
        size_t size = event->data.size < sizeof text - 1 ? event->data.size : sizeof text - 1;
        memcpy(text, event->data.data, size);
        text[size] = 0;
        if (sscanf(text, "{\"cents\":%ld}", &order->cents) != 1)
            return 1;
        order->status = ORDER_CREATED;
    } else if (mainstem_is(event->type, "order.paid")) {
        order->status = ORDER_PAID;
    } else if (mainstem_is(event->type, "order.shipped")) {
        order->status = ORDER_SHIPPED;
    }
    return 0;
}

static int order_to_snapshot(const void *state, struct mainstem_buffer *out) {
    return mainstem_buffer_append(out, state, sizeof(struct order));
}

static int order_from_snapshot(void *state, struct mainstem_bytes snapshot) {
    if (snapshot.size != sizeof(struct order))
        return 1;
    memcpy(state, snapshot.data, snapshot.size);
    return 0;
}

static const struct mainstem_aggregate_type order_type = {
    .struct_size = sizeof order_type,
    .topic = "order",
    .state_size = sizeof(struct order),
    .apply = order_apply,
    .to_snapshot = order_to_snapshot,
    .from_snapshot = order_from_snapshot,
    .snapshot_version = 1,
    .snapshot_every = 3,
};

/* ---- its commands ---------------------------------------------------------------------------- */

#define REFUSED 1

static int create(const void *state, const void *command, struct mainstem_decision *decision) {
    const struct order *order = state;
    const long *cents = command;
    char data[64];
    if (order->status != ORDER_NONE)
        return mainstem_refuse(decision, REFUSED, "the order exists already");
    snprintf(data, sizeof data, "{\"cents\":%ld}", *cents);
    struct mainstem_event created = {.type = mainstem_text("order.created"),
                                     .data = mainstem_text(data)};
    return mainstem_emit(decision, &created);
}

static int pay(const void *state, const void *command, struct mainstem_decision *decision) {
    const struct order *order = state;
    (void)command;
    if (order->status == ORDER_PAID)
        return 0; /* paying again changes nothing */
    if (order->status != ORDER_CREATED)
        return mainstem_refuse(decision, REFUSED, "only an open order can be paid");
    struct mainstem_event paid = {.type = mainstem_text("order.paid"), .data = mainstem_text("{}")};
    return mainstem_emit(decision, &paid);
}

static int ship(const void *state, const void *command, struct mainstem_decision *decision) {
    const struct order *order = state;
    (void)command;
    if (order->status != ORDER_PAID)
        return mainstem_refuse(decision, REFUSED, "an order that is not paid can't be shipped");
    struct mainstem_event shipped = {.type = mainstem_text("order.shipped"),
                                     .data = mainstem_text("{}")};
    return mainstem_emit(decision, &shipped);
}

/* ---- the story ------------------------------------------------------------------------------- */

static struct mainstem_error error;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s does not hold (%s)\n", __LINE__, #condition,              \
                    error.message);                                                                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void live(struct mainstem_repository *orders, const char *id) {
    struct mainstem_append_result result;
    long cents = 1200;
    CHECK(mainstem_execute(orders, id, create, &cents, &result, &error) == 0);
    printf("created: version %lld\n", (long long)result.version);
    CHECK(mainstem_execute(orders, id, ship, NULL, NULL, &error) == REFUSED);
    printf("refused: %s\n", error.message);
    CHECK(mainstem_execute(orders, id, pay, NULL, &result, &error) == 0 && result.version == 1);
    printf("paid: version 1\n");
}

/* Two that have read the same state: one is faster, the other is told. */
static void race(struct mainstem_repository *orders, const char *id) {
    struct mainstem_aggregate *fast, *slow;
    CHECK(mainstem_load(orders, id, &fast, &error) == 0);
    CHECK(mainstem_load(orders, id, &slow, &error) == 0);
    CHECK(mainstem_decide(fast, ship, NULL, &error) == 0);
    CHECK(mainstem_decide(slow, ship, NULL, &error) == 0);
    CHECK(mainstem_save(fast, NULL, &error) == 0);
    printf("shipped: version %lld\n", (long long)mainstem_aggregate_version(fast));
    CHECK(mainstem_save(slow, NULL, &error) == MAINSTEM_ECONFLICT && error.actual_version == 2);
    printf("the other one: %s\n", error.message);
    mainstem_aggregate_free(fast);
    mainstem_aggregate_free(slow);
}

static void look_back(struct mainstem_store *store, const char *id) {
    char stream[64];
    struct mainstem_iterator *iterator;
    const struct mainstem_recorded_event *recorded;
    int count = 0;
    snprintf(stream, sizeof stream, "order-%s", id);
    CHECK(mainstem_read_stream(store, stream, NULL, &iterator, &error) == 0);
    while (mainstem_iterator_next(iterator, &recorded, &error) == 1) {
        const struct mainstem_event *event = &recorded->event;
        printf("  %s %lld: %.*s %.*s\n", stream, (long long)recorded->version,
               (int)event->type.size, (const char *)event->type.data, (int)event->data.size,
               (const char *)event->data.data);
        count++;
    }
    mainstem_iterator_free(iterator);
    CHECK(count == 3);
}

static struct mainstem_store *open_store(const char *directory) {
    struct mainstem_store *store;
    if (mainstem_open(directory, NULL, &store, &error) != 0) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    return store;
}

int main(int argc, char **argv) {
    const char *directory = argc > 1 ? argv[1] : "order-data";
    struct mainstem_store *store = open_store(directory);
    struct mainstem_repository *orders;
    struct mainstem_info info = {.struct_size = sizeof info};
    char id[32];

    CHECK(mainstem_info(store, &info, &error) == 0);
    snprintf(id, sizeof id, "%llu", (unsigned long long)info.end); /* one not yet taken */
    CHECK(mainstem_repository_new(store, &order_type, &orders, &error) == 0);
    live(orders, id);
    race(orders, id);
    look_back(store, id);
    mainstem_repository_free(orders);
    CHECK(mainstem_close(store, &error) == 0);

    store = open_store(directory);
    struct mainstem_aggregate *aggregate;
    CHECK(mainstem_repository_new(store, &order_type, &orders, &error) == 0);
    CHECK(mainstem_load(orders, id, &aggregate, &error) == 0);
    const struct order *order = mainstem_aggregate_state(aggregate);
    CHECK(order->status == ORDER_SHIPPED && order->cents == 1200);
    printf("after reopening: %s, %ld cents\n", status_names[order->status], order->cents);
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(orders);
    CHECK(mainstem_close(store, &error) == 0);
    return 0;
}
