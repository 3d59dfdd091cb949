/*
 * What is stored of consumer groups, and what waits for it. Under the lock.
 *
 *   marks --ms_consumers_flush--> writing --- durable ---> answers of requests that saw it
 *     ^                              |
 *     '------------ failed ----------'       those are answered NOT_AVAILABLE; the next flush tries
 */
#include "base/alloc.h"
#include "group/consumer.h"

#define GROUP_RECORDS 3u
#define CONSUMER_RECORDS 3u

/* ---- requests that wait ---- */

static void unlink_waiting(struct ms_consumer_group *consumers, struct ms_group_consume *consume) {
    if (consume->previous != NULL)
        consume->previous->next = consume->next;
    else
        consumers->waiting = consume->next;
    if (consume->next != NULL)
        consume->next->previous = consume->previous;
    else
        consumers->waiting_last = consume->previous;
    struct ms_consumer *member = consume->member;
    if (member != NULL && member->request == consume)
        member->request = NULL;
    consume->member = NULL;
}

/* A new member that will not be told its id is gone as soon as possible. */
static void give_up(struct ms_groups *groups, struct ms_consumer *member) {
    int64_t now_ms = ms_clock_monotonic_us(groups->options.env->clock) / 1000;
    if (member != NULL && !member->knows_id)
        ms_timer_set(&groups->timers, &member->session, now_ms);
}

static void detach(struct ms_groups *groups, struct ms_group_request *request) {
    struct ms_group_consume *consume = MS_CONTAINER(request, struct ms_group_consume, request);
    struct ms_group *group = request->owner;
    give_up(groups, consume->member);
    unlink_waiting(group->consumers, consume);
    ms_free(consume->answer);
    consume->answer = NULL;
}

static void refuse(struct ms_turn *turn, struct ms_group *group, struct ms_group_consume *consume,
                   enum ms_group_code code) {
    give_up(turn->groups, consume->member);
    unlink_waiting(group->consumers, consume);
    ms_free(consume->answer);
    consume->answer = NULL;
    ms_request_answer(turn->groups, &consume->request, code, NULL);
}

void ms_consume_refuse(struct ms_turn *turn, struct ms_consumer *member, enum ms_group_code code) {
    if (member->request != NULL)
        refuse(turn, member->group, member->request, code);
}

void ms_consumers_refuse_all(struct ms_turn *turn, struct ms_group *group) {
    while (group->consumers->waiting != NULL)
        refuse(turn, group, group->consumers->waiting, MS_GROUP_NOT_AVAILABLE);
}

static void is_told(struct ms_consumer *member) {
    if (member == NULL)
        return;
    member->untold = false;
    member->knows_id = true;
}

/* Requests wait in the order of their changes. */
static void settle(struct ms_turn *turn, struct ms_group *group, uint64_t change, bool durable) {
    struct ms_consumer_group *consumers = group->consumers;
    while (consumers->waiting != NULL && consumers->waiting->change <= change) {
        struct ms_group_consume *consume = consumers->waiting;
        if (!durable) {
            refuse(turn, group, consume, MS_GROUP_NOT_AVAILABLE);
            continue;
        }
        void *answer = consume->answer;
        consume->answer = NULL;
        is_told(consume->member);
        unlink_waiting(consumers, consume);
        ms_request_answer(turn->groups, &consume->request, MS_GROUP_OK, answer);
    }
}

void ms_consume_wait(struct ms_turn *turn, struct ms_group *group, struct ms_consumer *member,
                     struct ms_group_consume *consume, void *answer) {
    struct ms_consumer_group *consumers = group->consumers;
    if (consumers->durable == consumers->change) {
        is_told(member);
        ms_request_answer(turn->groups, &consume->request, MS_GROUP_OK, answer);
        return;
    }
    consume->change = consumers->change;
    consume->answer = answer;
    consume->member = member;
    if (member != NULL)
        member->request = consume;
    consume->next = NULL;
    consume->previous = consumers->waiting_last;
    if (consumers->waiting_last != NULL)
        consumers->waiting_last->next = consume;
    else
        consumers->waiting = consume;
    consumers->waiting_last = consume;
    ms_request_wait(&consume->request, group, detach);
}

/* ---- records ---- */

/* What a member is to own, or owns, or has to revoke. */
enum aspect { TARGET, OWNED, REVOKING };

static bool has(const struct ms_consumer_slot *slot, const struct ms_consumer *member,
                enum aspect aspect) {
    if (aspect == TARGET)
        return slot->target == member;
    return slot->owner == member && slot->revoking == (aspect == REVOKING);
}

static size_t count_in(const struct ms_consumer_topic *topic, const struct ms_consumer *member,
                       enum aspect aspect) {
    size_t count = 0;
    for (uint32_t p = 0; p < topic->slot_count; p++)
        count += has(&topic->slots[p], member, aspect);
    return count;
}

static int encode_topic(struct ms_buf *out, const struct ms_consumer_topic *topic, size_t count,
                        const struct ms_consumer *member, enum aspect aspect) {
    int rc = ms_partitions_topic(out, &topic->id, count);
    for (uint32_t p = 0; rc == 0 && p < topic->slot_count; p++)
        if (has(&topic->slots[p], member, aspect))
            rc = ms_partitions_add(out, p);
    return rc != 0 ? rc : ms_partitions_topic_end(out);
}

static int encode_partitions(struct ms_buf *out, const struct ms_consumer *member,
                             enum aspect aspect) {
    const struct ms_consumer_group *consumers = member->group->consumers;
    size_t topics = 0, count;
    for (size_t t = 0; t < consumers->topic_count; t++)
        topics += count_in(consumers->topics[t], member, aspect) > 0;
    int rc = ms_partitions_begin(out, topics);
    for (size_t t = 0; rc == 0 && t < consumers->topic_count; t++)
        if ((count = count_in(consumers->topics[t], member, aspect)) > 0)
            rc = encode_topic(out, consumers->topics[t], count, member, aspect);
    return rc;
}

static int encode_consumer(struct ms_buf *out, const struct ms_consumer *member) {
    struct ms_consumer_value value = {
        .instance_id = member->instance_id,
        .rack_id = member->rack_id,
        .client_id = member->client_id,
        .client_host = member->client_host,
        .pattern = member->pattern,
        .assignor = ms_bytes_cstr(ms_assignor_name(member->assignor)),
        .rebalance_timeout_ms = member->rebalance_timeout_ms,
        .names = member->names->item,
        .name_count = member->names->count,
    };
    return ms_consumer_value_write(out, &value);
}

static int encode_target(struct ms_buf *out, const struct ms_consumer *member) {
    int rc = ms_consumer_target_value_begin(out);
    if (rc == 0)
        rc = encode_partitions(out, member, TARGET);
    return rc != 0 ? rc : ms_consumer_value_end(out);
}

static int encode_current(struct ms_buf *out, const struct ms_consumer *member) {
    int rc = ms_consumer_current_value_begin(out, member->epoch, member->previous_epoch,
                                             (int8_t)member->state);
    if (rc == 0)
        rc = encode_partitions(out, member, OWNED);
    if (rc == 0)
        rc = encode_partitions(out, member, REVOKING);
    return rc != 0 ? rc : ms_consumer_value_end(out);
}

/* One record of a member; without `encode` a tombstone. */
static int add_of_member(struct ms_write *write, int16_t version, const struct ms_consumer *member,
                         int (*encode)(struct ms_buf *, const struct ms_consumer *)) {
    ms_write_key_begins(write);
    int rc = ms_consumer_key_write(&write->bytes, version, ms_group_id(write->group), member->id);
    ms_write_value_begins(write);
    if (rc == 0 && encode != NULL)
        rc = encode(&write->bytes, member);
    if (rc == 0)
        ms_write_record_ends(write, encode == NULL);
    return rc;
}

static int add_member(struct ms_write *write, const struct ms_consumer *member, bool tombstones) {
    int rc = 0;
    if ((member->marks & MS_MARK_CONSUMER) != 0)
        rc = add_of_member(write, MS_CONSUMER_KEY, member, tombstones ? NULL : encode_consumer);
    if (rc == 0 && (member->marks & MS_MARK_TARGET) != 0)
        rc =
            add_of_member(write, MS_CONSUMER_TARGET_KEY, member, tombstones ? NULL : encode_target);
    if (rc == 0 && (member->marks & MS_MARK_CURRENT) != 0)
        rc = add_of_member(write, MS_CONSUMER_CURRENT_KEY, member,
                           tombstones ? NULL : encode_current);
    return rc;
}

static int add_epoch(struct ms_write *write, int16_t version, int32_t epoch, bool tombstone) {
    ms_write_key_begins(write);
    int rc = ms_consumer_key_write(&write->bytes, version, ms_group_id(write->group),
                                   (struct ms_bytes){0});
    ms_write_value_begins(write);
    if (rc == 0 && !tombstone)
        rc = ms_consumer_epoch_value_write(&write->bytes, epoch);
    if (rc == 0)
        ms_write_record_ends(write, tombstone);
    return rc;
}

static int encode_marked(struct ms_write *write, const struct ms_group *group) {
    const struct ms_consumer_group *consumers = group->consumers;
    int rc = 0;
    if ((consumers->marks & MS_MARK_CLASSIC) != 0)
        rc = ms_group_encode_tombstone(write, group);
    if (rc == 0 && (consumers->marks & MS_MARK_GROUP) != 0)
        rc = add_epoch(write, MS_CONSUMER_GROUP_KEY, group->generation, false);
    /* One that left and came back under its id is in both lists: what is new comes last. */
    for (struct ms_consumer *m = consumers->gone; rc == 0 && m != NULL; m = m->next)
        rc = add_member(write, m, true);
    for (struct ms_consumer *m = consumers->first; rc == 0 && m != NULL; m = m->next)
        rc = add_member(write, m, false);
    if (rc == 0 && (consumers->marks & MS_MARK_TARGET_EPOCH) != 0)
        rc = add_epoch(write, MS_CONSUMER_TARGET_EPOCH_KEY, consumers->target_epoch, false);
    return rc;
}

size_t ms_consumers_tombstones(const struct ms_group *group) {
    size_t records = GROUP_RECORDS;
    for (struct ms_consumer *m = group->consumers->gone; m != NULL; m = m->next)
        records += CONSUMER_RECORDS;
    return records;
}

int ms_consumers_encode_tombstones(struct ms_write *write, const struct ms_group *group) {
    int rc = add_epoch(write, MS_CONSUMER_GROUP_KEY, 0, true);
    if (rc == 0)
        rc = add_epoch(write, MS_CONSUMER_TARGET_EPOCH_KEY, 0, true);
    for (struct ms_consumer *m = group->consumers->gone; rc == 0 && m != NULL; m = m->next) {
        m->marks |= m->writing; /* its outcome is not known */
        m->marks |= MS_MARK_ALL_OF_CONSUMER;
        rc = add_member(write, m, true);
    }
    return rc;
}

/* ---- writing ---- */

static void is_out(unsigned *marks, unsigned *writing) {
    *writing = *marks;
    *marks = 0;
}

static void is_back(unsigned *marks, unsigned *writing, bool failed) {
    if (failed)
        *marks |= *writing;
    *writing = 0;
}

static void free_buried(struct ms_consumer_group *consumers) {
    struct ms_consumer **place = &consumers->gone;
    while (*place != NULL) {
        struct ms_consumer *member = *place;
        if (member->marks != 0 || member->writing != 0) {
            place = &member->next;
            continue;
        }
        *place = member->next;
        ms_consumer_free(member);
    }
}

static void stored(struct ms_turn *turn, struct ms_write *write, int code) {
    struct ms_group *group = write->group;
    struct ms_consumer_group *consumers = group->consumers;
    if (consumers == NULL || !consumers->in_flight || write->change <= consumers->durable)
        return; /* the group is of the other type now */
    consumers->in_flight = false;
    bool failed = code != 0;
    is_back(&consumers->marks, &consumers->writing, failed);
    for (struct ms_consumer *m = consumers->first; m != NULL; m = m->next)
        is_back(&m->marks, &m->writing, failed);
    for (struct ms_consumer *m = consumers->gone; m != NULL; m = m->next)
        is_back(&m->marks, &m->writing, failed);
    free_buried(consumers);
    if (!failed)
        consumers->durable = write->change;
    settle(turn, group, write->change, !failed);
    if (!failed || consumers->waiting != NULL)
        ms_consumers_flush(turn, group);
}

static size_t count_records(const struct ms_consumer_group *consumers) {
    size_t records = GROUP_RECORDS;
    for (struct ms_consumer *m = consumers->first; m != NULL; m = m->next)
        records += m->marks != 0 ? CONSUMER_RECORDS : 0;
    for (struct ms_consumer *m = consumers->gone; m != NULL; m = m->next)
        records += m->marks != 0 ? CONSUMER_RECORDS : 0;
    return records;
}

void ms_consumers_flush(struct ms_turn *turn, struct ms_group *group) {
    struct ms_consumer_group *consumers = group->consumers;
    if (consumers->in_flight || consumers->durable == consumers->change ||
        group->state == MS_GROUP_DEAD)
        return;
    struct ms_write *write = ms_write_new(group, count_records(consumers), 0, stored);
    if (write == NULL || encode_marked(write, group) != 0) {
        if (write != NULL)
            ms_write_free(write);
        settle(turn, group, consumers->change, false);
        return;
    }
    write->change = consumers->change;
    is_out(&consumers->marks, &consumers->writing);
    for (struct ms_consumer *m = consumers->first; m != NULL; m = m->next)
        is_out(&m->marks, &m->writing);
    for (struct ms_consumer *m = consumers->gone; m != NULL; m = m->next)
        is_out(&m->marks, &m->writing);
    consumers->in_flight = true;
    group->stored = true;
    ms_write_queue(turn, write);
}
