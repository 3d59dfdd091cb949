/* An aggregate for tests: a counter that is raised and lowered, and may not fall below nought. Its
 * state owns memory, so that a leak or a second free shows. */
#pragma once

#include "lib/library.h"

struct counter {
    int64_t value;
    int applied; /* events folded, not counting what a snapshot holds */
    char *note;  /* heap */
    bool from_init;
};

/* What the callbacks are told to do, by file scope: they have no context of their own. */
static int counter_apply_code, counter_init_code, counter_snapshot_code;

static inline int counter_init(void *state) {
    struct counter *counter = state;
    if (counter_init_code != 0)
        return counter_init_code;
    counter->from_init = true;
    counter->note = strdup("note");
    return counter->note != NULL ? 0 : 1;
}

static inline int counter_apply(void *state, const struct mainstem_recorded_event *event) {
    struct counter *counter = state;
    if (mainstem_is(event->event.type, "counter.poisoned") && counter_apply_code != 0)
        return counter_apply_code;
    if (mainstem_is(event->event.type, "counter.raised"))
        counter->value++;
    else if (mainstem_is(event->event.type, "counter.lowered"))
        counter->value--;
    counter->applied++;
    return 0;
}

static inline void counter_free(void *state) {
    struct counter *counter = state;
    free(counter->note);
    counter->note = NULL;
}

static inline int counter_to_snapshot(const void *state, struct mainstem_buffer *out) {
    const struct counter *counter = state;
    if (counter_snapshot_code != 0)
        return counter_snapshot_code;
    return mainstem_buffer_append(out, &counter->value, sizeof counter->value);
}

static inline int counter_from_snapshot(void *state, struct mainstem_bytes snapshot) {
    struct counter *counter = state;
    if (snapshot.size != sizeof counter->value)
        return 31;
    memcpy(&counter->value, snapshot.data, snapshot.size);
    return 0;
}

static inline struct mainstem_aggregate_type counter_type(void) {
    return (struct mainstem_aggregate_type){
        .struct_size = sizeof(struct mainstem_aggregate_type),
        .topic = "counter",
        .state_size = sizeof(struct counter),
        .init = counter_init,
        .apply = counter_apply,
        .free = counter_free,
        .to_snapshot = counter_to_snapshot,
        .from_snapshot = counter_from_snapshot,
        .snapshot_every = 5,
        .snapshot_version = 1,
    };
}

static inline struct mainstem_repository *repository_of(
    struct library *library, const struct mainstem_aggregate_type *type) {
    struct mainstem_repository *repository;
    if (mainstem_repository_new(library->store, type, &repository, &library->error) != 0)
        fail_msg("%s", library->error.message);
    return repository;
}

static inline struct mainstem_aggregate *load(struct library *library,
                                              struct mainstem_repository *repository,
                                              const char *id) {
    struct mainstem_aggregate *aggregate;
    if (mainstem_load(repository, id, &aggregate, &library->error) != 0)
        fail_msg("%s", library->error.message);
    return aggregate;
}

static inline const struct counter *counter_of(const struct mainstem_aggregate *aggregate) {
    return mainstem_aggregate_state(aggregate);
}

/* A command: how many times to raise the counter. */
static inline int raise_counter(const void *state, const void *command,
                                struct mainstem_decision *decision) {
    const int *times = command;
    struct mainstem_event event = event_of("counter.raised", "{}");
    (void)state;
    for (int i = 0; i < *times; i++) {
        int code = mainstem_emit(decision, &event);
        if (code != 0)
            return code;
    }
    return 0;
}

static inline void raise_by(struct library *library, struct mainstem_repository *repository,
                            const char *id, int times) {
    if (mainstem_execute(repository, id, raise_counter, &times, NULL, &library->error) != 0)
        fail_msg("%s", library->error.message);
}
