/*
 * The end of every call: answers and writes leave without the lock, writes one at a time and in
 * order. One thread may hand out what another one queued; a callback that calls in again leaves
 * its answers to the call it was made from, so that nothing recurses.
 */
#include "base/alloc.h"
#include "group/internal.h"

void ms_turn_begin(struct ms_turn *turn, struct ms_groups *groups) {
    pthread_mutex_lock(&groups->mutex);
    turn->groups = groups;
    turn->now_ms = ms_clock_monotonic_us(groups->options.env->clock) / 1000;
    turn->wall_ms = ms_clock_now_us(groups->options.env->clock) / 1000;
}

enum ms_group_code ms_turn_check(const struct ms_turn *turn, struct ms_bytes group) {
    if (turn->groups->stopped)
        return MS_GROUP_NOT_AVAILABLE;
    if (!turn->groups->loaded)
        return MS_GROUP_LOADING;
    return group.len == 0 || group.len > MS_GROUP_ID_BYTES_MAX ? MS_GROUP_INVALID_GROUP_ID
                                                               : MS_GROUP_OK;
}

/* ---- answers ---- */

void ms_request_wait(struct ms_group_request *request, void *owner,
                     void (*detach)(struct ms_groups *groups, struct ms_group_request *request)) {
    MS_ASSERT(request->phase == MS_REQUEST_NEW);
    request->phase = MS_REQUEST_WAITING;
    request->owner = owner;
    request->detach = detach;
}

void ms_request_answer(struct ms_groups *groups, struct ms_group_request *request,
                       enum ms_group_code code, void *memory) {
    MS_ASSERT(request->phase == MS_REQUEST_NEW || request->phase == MS_REQUEST_WAITING);
    request->phase = MS_REQUEST_QUEUED;
    request->code = code;
    request->memory = memory;
    request->next = NULL;
    request->previous = groups->answers_last;
    if (groups->answers_last != NULL)
        groups->answers_last->next = request;
    else
        groups->answers = request;
    groups->answers_last = request;
}

static void unlink_answer(struct ms_groups *groups, struct ms_group_request *request) {
    if (request->previous != NULL)
        request->previous->next = request->next;
    else
        groups->answers = request->next;
    if (request->next != NULL)
        request->next->previous = request->previous;
    else
        groups->answers_last = request->previous;
    request->next = request->previous = NULL;
}

static bool is_delivering(const struct ms_groups *groups) {
    for (struct ms_delivery *d = groups->deliveries; d != NULL; d = d->next)
        if (pthread_equal(d->thread, pthread_self()))
            return true;
    return false;
}

/* The lock is released while the callback runs, which may free the request. */
static void deliver_one(struct ms_groups *groups) {
    struct ms_group_request *request = groups->answers;
    unlink_answer(groups, request);
    request->phase = MS_REQUEST_DONE;
    void *memory = request->memory;
    struct ms_delivery delivery = {groups->deliveries, request, pthread_self()};
    groups->deliveries = &delivery;
    pthread_mutex_unlock(&groups->mutex);
    request->deliver(request);
    ms_free(memory);
    pthread_mutex_lock(&groups->mutex);
    struct ms_delivery **place = &groups->deliveries;
    while (*place != &delivery)
        place = &(*place)->next;
    *place = delivery.next;
    pthread_cond_broadcast(&groups->delivered);
}

/* A callback for it is running in another thread. */
static bool is_running_elsewhere(const struct ms_groups *groups,
                                 const struct ms_group_request *request) {
    for (struct ms_delivery *d = groups->deliveries; d != NULL; d = d->next)
        if (d->request == request)
            return !pthread_equal(d->thread, pthread_self());
    return false;
}

void ms_groups_forget(struct ms_groups *groups, struct ms_group_request *request) {
    struct ms_turn turn;
    ms_turn_begin(&turn, groups);
    if (request->phase == MS_REQUEST_WAITING) {
        request->phase = MS_REQUEST_DONE;
        request->detach(groups, request);
    } else if (request->phase == MS_REQUEST_QUEUED) {
        request->phase = MS_REQUEST_DONE;
        unlink_answer(groups, request);
        ms_free(request->memory);
        request->memory = NULL;
    } else {
        while (is_running_elsewhere(groups, request))
            pthread_cond_wait(&groups->delivered, &groups->mutex);
    }
    ms_turn_end(&turn);
}

/* ---- writes ---- */

struct ms_write *ms_write_new(struct ms_group *group, size_t records, size_t items,
                              void (*finish)(struct ms_turn *, struct ms_write *, int)) {
    struct ms_write *write = ms_calloc(1, sizeof *write);
    if (write == NULL)
        return NULL;
    write->groups = group->groups;
    write->group = group;
    write->finish = finish;
    write->producer_id = -1;
    write->producer_epoch = -1;
    write->generation = group->generation;
    ms_buf_init(&write->bytes, MS_WRITE_BYTES_MAX);
    write->records = ms_calloc(records, sizeof *write->records);
    write->places = ms_calloc(records, sizeof *write->places);
    write->items = ms_calloc(items, sizeof *write->items);
    write->record_capacity = records;
    write->item_capacity = items;
    if (write->records != NULL && write->places != NULL && write->items != NULL)
        return write;
    ms_write_free(write);
    return NULL;
}

void ms_write_free(struct ms_write *write) {
    ms_buf_deinit(&write->bytes);
    ms_free(write->records);
    ms_free(write->places);
    ms_free(write->items);
    ms_free(write->member_id);
    ms_free(write->old_member_id);
    ms_free(write);
}

void ms_write_key_begins(struct ms_write *write) {
    MS_ASSERT(write->record_count < write->record_capacity);
    write->places[write->record_count].key_at = write->bytes.len;
}

void ms_write_value_begins(struct ms_write *write) {
    write->places[write->record_count].value_at = write->bytes.len;
}

void ms_write_record_ends(struct ms_write *write, bool tombstone) {
    write->places[write->record_count].end = write->bytes.len;
    write->places[write->record_count++].tombstone = tombstone;
}

static void detach_from_write(struct ms_groups *groups, struct ms_group_request *request) {
    (void)groups;
    struct ms_write *write = request->owner;
    write->request = NULL;
}

void ms_write_attach(struct ms_write *write, struct ms_group_request *request) {
    write->request = request;
    ms_request_wait(request, write, detach_from_write);
}

enum ms_group_code ms_write_code(int code, enum ms_group_code too_big) {
    if (code == 0)
        return MS_GROUP_OK;
    return code == MS_ETOOBIG ? too_big : MS_GROUP_NOT_AVAILABLE;
}

void ms_write_queue(struct ms_turn *turn, struct ms_write *write) {
    struct ms_groups *groups = turn->groups;
    for (size_t i = 0; i < write->record_count; i++) {
        const struct ms_write_record *place = &write->places[i];
        const uint8_t *bytes = write->bytes.data;
        write->records[i] = (struct ms_group_record){
            .key = {bytes + place->key_at, place->value_at - place->key_at},
            .value = {bytes + place->value_at, place->end - place->value_at},
            .tombstone = place->tombstone};
    }
    write->sequence = ++groups->sequence;
    write->holders = 2;
    write->group->writes++;
    groups->writes_in_flight++;
    for (size_t i = 0; i < write->item_count; i++)
        write->items[i].offset->writes++;
    write->next = NULL;
    if (groups->writes_last != NULL)
        groups->writes_last->next = write;
    else
        groups->writes = write;
    groups->writes_last = write;
}

static void let_go(struct ms_write *write) {
    MS_ASSERT(write->holders > 0);
    if (--write->holders == 0)
        ms_write_free(write);
}

static void write_done(void *context, int code) {
    struct ms_write *write = context;
    struct ms_turn turn;
    ms_turn_begin(&turn, write->groups);
    struct ms_group *group = write->group;
    turn.groups->failed_writes += code != 0;
    write->finish(&turn, write, code);
    ms_offset_finish(write, code);
    MS_ASSERT(group->writes > 0);
    group->writes--;
    turn.groups->writes_in_flight--;
    let_go(write);
    ms_group_reap(group);
    ms_turn_end(&turn);
}

static void append_one(struct ms_groups *groups) {
    struct ms_write *write = groups->writes;
    groups->writes = write->next;
    if (groups->writes == NULL)
        groups->writes_last = NULL;
    groups->writing = true;
    pthread_mutex_unlock(&groups->mutex);
    const struct ms_group_store *store = &groups->options.store;
    store->append(store->context, write->producer_id, write->producer_epoch, write->records,
                  write->record_count, write_done, write);
    pthread_mutex_lock(&groups->mutex);
    groups->writing = false;
    let_go(write);
}

void ms_turn_end(struct ms_turn *turn) {
    struct ms_groups *groups = turn->groups;
    bool nested = is_delivering(groups);
    for (;;) {
        if (groups->writes != NULL && !groups->writing)
            append_one(groups);
        else if (groups->answers != NULL && !nested)
            deliver_one(groups);
        else
            break;
    }
    int64_t next_ms = ms_timers_next_ms(&groups->timers);
    bool wake =
        groups->options.wake != NULL && groups->loaded && next_ms < groups->promised_tick_ms;
    if (wake)
        groups->promised_tick_ms = next_ms;
    pthread_mutex_unlock(&groups->mutex);
    if (wake)
        groups->options.wake(groups->options.wake_context);
}
