/*
 * Appends to an embedded store, several in flight. The store reports on the committer's thread;
 * what is done is queued and handed out by poll, on the caller's thread. See target.h.
 */
#include "base/alloc.h"
#include "cli/target_store.h"
#include "wire/event_json.h"

#define REQUEST_BYTES_MAX ((size_t)512 << 20)

struct ms_store_slot {
    struct ms_store_slot *next; /* in the queue of finished ones */
    struct ms_store_target *store;
    bool busy;
    ms_target_appended_fn *done;
    void *context;
    int code;
    struct ms_target_append_result result;
    struct ms_error error;
};

int ms_store_slots_new(struct ms_store_target *store) {
    store->slots = ms_calloc(MS_TARGET_IN_FLIGHT_MAX, sizeof *store->slots);
    return store->slots ? 0 : MS_ENOMEM;
}

void ms_store_slots_free(struct ms_store_target *store) { ms_free(store->slots); }

/* ---- the store's side ---- */

static void on_done(void *context, const struct ms_append_result *result) {
    struct ms_store_slot *slot = context;
    struct ms_store_target *store = slot->store;
    slot->code = result->code;
    slot->error = result->error ? *result->error : (struct ms_error){0};
    slot->result = (struct ms_target_append_result){.first_version = -1,
                                                    .version = -1,
                                                    .position = result->position,
                                                    .repeated = result->repeated};
    if (result->code == 0 && result->part_count > 0) {
        slot->result.first_version = result->parts[0].first_version;
        slot->result.version = result->parts[0].version;
    }
    pthread_mutex_lock(&store->mutex);
    slot->next = NULL;
    *store->finished_end = slot;
    store->finished_end = &slot->next;
    pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->mutex);
}

/* ---- the caller's side ---- */

static struct ms_store_slot *free_slot(struct ms_store_target *store) {
    for (size_t i = 0; i < MS_TARGET_IN_FLIGHT_MAX; i++)
        if (!store->slots[i].busy)
            return &store->slots[i];
    MS_ASSERT(false); /* ms_target_append_start counts them */
    return NULL;
}

static int parse_part(struct ms_store_target *store, const struct ms_target_part *part,
                      struct ms_arena *arena, struct ms_append_part *ret_part,
                      struct ms_error *err) {
    struct ms_event *events = ms_arena_zalloc(arena, (part->count + 1) * sizeof *events);
    if (!events)
        return ms_error_set(err, MS_ENOMEM, "no memory for an append");
    for (size_t i = 0; i < part->count; i++) {
        struct ms_json_value object;
        int rc = ms_json_parse(part->events[i], store->limits.json_depth_max, &object, err);
        if (rc == 0)
            rc = ms_event_parse_value(MS_FORMAT_JSON, object, &store->limits, arena, &events[i],
                                      err);
        if (rc != 0)
            return rc;
    }
    *ret_part = (struct ms_append_part){.stream = part->stream,
                                        .condition = part->condition,
                                        .events = events,
                                        .count = part->count};
    return 0;
}

static int submit(struct ms_store_target *store, const struct ms_target_append *append,
                  struct ms_store_slot *slot, struct ms_arena *arena, struct ms_error *err) {
    struct ms_append_part *parts = ms_arena_zalloc(arena, append->part_count * sizeof *parts);
    if (!parts)
        return ms_error_set(err, MS_ENOMEM, "no memory for an append");
    for (size_t i = 0; i < append->part_count; i++) {
        int rc = parse_part(store, &append->parts[i], arena, &parts[i], err);
        if (rc != 0)
            return rc;
    }
    struct ms_append_request request = {
        .parts = parts, .part_count = append->part_count, .wait = true};
    return ms_store_append(store->store, &request, on_done, slot, err);
}

int ms_target_store_append_start(struct ms_target *target, const struct ms_target_append *append,
                                 ms_target_appended_fn *done, void *context, struct ms_error *err) {
    struct ms_store_target *store = (struct ms_store_target *)target;
    struct ms_store_slot *slot = free_slot(store);
    *slot = (struct ms_store_slot){.store = store, .busy = true, .done = done, .context = context};
    struct ms_arena arena;
    ms_arena_init(&arena, REQUEST_BYTES_MAX);
    int rc = submit(store, append, slot, &arena, err);
    ms_arena_deinit(&arena);
    if (rc != 0)
        slot->busy = false;
    else
        target->in_flight++;
    return rc;
}

int ms_target_store_poll(struct ms_target *target, struct ms_error *err) {
    (void)err;
    struct ms_store_target *store = (struct ms_store_target *)target;
    pthread_mutex_lock(&store->mutex);
    while (!store->finished)
        pthread_cond_wait(&store->changed, &store->mutex);
    struct ms_store_slot *slot = store->finished;
    store->finished = slot->next;
    if (!store->finished)
        store->finished_end = &store->finished;
    pthread_mutex_unlock(&store->mutex);
    slot->busy = false;
    target->in_flight--;
    slot->done(slot->context, slot->code, slot->code == 0 ? &slot->result : NULL, &slot->error);
    return 0;
}
