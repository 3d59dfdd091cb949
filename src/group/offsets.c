/*
 * Committed offsets: what a group has read. An offset changes when its record is durable, and only
 * if nothing that was handed to `append` after it has changed it already. Under the lock but for
 * ms_groups_….
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "group/consumer.h"
#include "group/internal.h"

#define OFFSETS_PER_REQUEST_MAX 100000u

/* ---- the table ---- */

static uint64_t hash_of(struct ms_bytes topic, int32_t partition) {
    return ms_hash64(topic.data, topic.len, (uint64_t)(uint32_t)partition);
}

struct ms_offset *ms_offset_find(const struct ms_group *group, struct ms_bytes topic,
                                 int32_t partition) {
    uint64_t hash = hash_of(topic, partition);
    struct ms_table_node *node = ms_table_find(&group->offsets, hash);
    for (; node != NULL; node = ms_table_chain(node, hash)) {
        struct ms_offset *offset = MS_CONTAINER(node, struct ms_offset, node);
        if (offset->partition == partition &&
            ms_bytes_equal(ms_bytes_of(offset->topic, offset->topic_len), topic))
            return offset;
    }
    return NULL;
}

struct ms_offset *ms_offset_find_or_make(struct ms_group *group, struct ms_bytes topic,
                                         int32_t partition) {
    struct ms_offset *offset = ms_offset_find(group, topic, partition);
    if (offset != NULL)
        return offset;
    offset = ms_group_alloc(group->groups, sizeof *offset + topic.len);
    if (offset == NULL)
        return NULL;
    *offset = (struct ms_offset){.group = group, .partition = partition, .topic_len = topic.len};
    memcpy(offset->topic, topic.data, topic.len);
    ms_table_put(&group->offsets, &offset->node, hash_of(topic, partition));
    group->groups->offset_count++;
    return offset;
}

static void free_offset(struct ms_offset *offset) {
    struct ms_group *group = offset->group;
    ms_table_take(&group->offsets, &offset->node);
    group->groups->offset_count--;
    ms_group_drop(group->groups, &offset->data.metadata);
    ms_group_release(group->groups, offset);
}

void ms_offset_reap(struct ms_offset *offset) {
    if (!offset->committed && offset->writes == 0 && offset->pending == NULL)
        free_offset(offset);
}

void ms_offset_free_all(struct ms_group *group) {
    struct ms_table_node *node;
    while ((node = ms_table_next(&group->offsets, NULL)) != NULL) {
        struct ms_offset *offset = MS_CONTAINER(node, struct ms_offset, node);
        while (offset->pending != NULL)
            ms_pending_free(offset->pending);
        free_offset(offset);
    }
}

void ms_offset_apply(struct ms_offset *offset, struct ms_offset_data *data, uint64_t sequence) {
    struct ms_groups *groups = offset->group->groups;
    if (sequence < offset->sequence) {
        if (data != NULL)
            ms_group_drop(groups, &data->metadata);
        return;
    }
    offset->sequence = sequence;
    offset->committed = data != NULL;
    ms_group_drop(groups, &offset->data.metadata);
    if (data != NULL)
        offset->data = *data;
}

struct ms_group_offset ms_offset_view(const struct ms_offset *offset) {
    struct ms_group_offset view = {.topic = ms_bytes_of(offset->topic, offset->topic_len),
                                   .partition = offset->partition,
                                   .offset = -1,
                                   .leader_epoch = -1,
                                   .commit_time_ms = -1};
    if (!offset->committed)
        return view;
    view.offset = offset->data.offset;
    view.leader_epoch = offset->data.leader_epoch;
    view.metadata = offset->data.metadata;
    view.commit_time_ms = offset->data.commit_time_ms;
    return view;
}

/* ---- writes ---- */

void ms_offset_finish(struct ms_write *write, int code) {
    for (size_t i = 0; i < write->item_count; i++) {
        struct ms_write_item *item = &write->items[i];
        struct ms_offset *offset = item->offset;
        MS_ASSERT(offset->writes > 0);
        offset->writes--;
        if (item->pending != NULL)
            ms_pending_settle(item->pending, code);
        else if (code != 0)
            ms_group_drop(write->groups, &item->data.metadata);
        else
            ms_offset_apply(offset, item->removal ? NULL : &item->data, write->sequence);
        ms_offset_reap(offset);
    }
    write->item_count = 0;
}

int ms_offset_remove(struct ms_write *write, struct ms_offset *offset) {
    ms_write_key_begins(write);
    struct ms_bytes topic = ms_bytes_of(offset->topic, offset->topic_len);
    int rc =
        ms_offset_key_write(&write->bytes, ms_group_id(write->group), topic, offset->partition);
    if (rc != 0)
        return rc;
    ms_write_value_begins(write);
    ms_write_record_ends(write, true);
    MS_ASSERT(write->item_count < write->item_capacity);
    write->items[write->item_count++] = (struct ms_write_item){.offset = offset, .removal = true};
    return 0;
}

/* Nothing of it was handed in. */
static void abandon(struct ms_write *write) {
    for (size_t i = 0; i < write->item_count; i++)
        write->items[i].offset->writes++; /* one offset may stand there twice */
    ms_offset_finish(write, MS_ENOMEM);
    ms_write_free(write);
}

/* ---- commits: request -> write ---- */

static void deliver_commit(struct ms_group_request *request) {
    struct ms_group_commit *commit = MS_CONTAINER(request, struct ms_group_commit, request);
    commit->done(commit, request->code);
}

static void answer_write(struct ms_turn *turn, struct ms_write *write, enum ms_group_code code) {
    if (write->request == NULL)
        return;
    for (size_t i = 0; i < write->item_count; i++)
        if (write->items[i].asked != NULL)
            write->items[i].asked->code = code;
    ms_request_answer(turn->groups, write->request, code, NULL);
    write->request = NULL;
}

static void offsets_stored(struct ms_turn *turn, struct ms_write *write, int code) {
    answer_write(turn, write, ms_write_code(code, MS_GROUP_INVALID_COMMIT_SIZE));
}

static enum ms_group_code check_offset(const struct ms_groups *groups,
                                       const struct ms_group_offset *offset) {
    if (offset->topic.len == 0 || offset->topic.len > MS_GROUP_TOPIC_BYTES_MAX ||
        offset->partition < 0)
        return MS_GROUP_INVALID_REQUEST;
    return offset->metadata.len > groups->options.offset_metadata_bytes_max
               ? MS_GROUP_OFFSET_METADATA_TOO_LARGE
               : MS_GROUP_OK;
}

static int write_offset(struct ms_turn *turn, struct ms_write *write,
                        const struct ms_group_commit *commit, struct ms_group_offset *asked) {
    int64_t commit_ms = asked->commit_time_ms >= 0 ? asked->commit_time_ms : turn->wall_ms;
    struct ms_offset_value value = {.offset = asked->offset,
                                    .leader_epoch = asked->leader_epoch,
                                    .metadata = asked->metadata,
                                    .commit_time_ms = commit_ms,
                                    .expire_time_ms = -1};
    if (commit->retention_ms > 0 && commit->retention_ms < INT64_MAX - commit_ms)
        value.expire_time_ms = commit_ms + commit->retention_ms;
    ms_write_key_begins(write);
    int rc = ms_offset_key_write(&write->bytes, ms_group_id(write->group), asked->topic,
                                 asked->partition);
    ms_write_value_begins(write);
    if (rc == 0)
        rc = ms_offset_value_write(&write->bytes, &value);
    struct ms_offset_data data = {.offset = value.offset,
                                  .leader_epoch = value.leader_epoch,
                                  .commit_time_ms = commit_ms,
                                  .expire_time_ms = value.expire_time_ms};
    if (rc == 0 && !ms_group_copy(turn->groups, asked->metadata, &data.metadata))
        rc = MS_ENOMEM;
    if (rc != 0)
        return rc;
    struct ms_write_item item = {.asked = asked, .data = data};
    item.offset = ms_offset_find_or_make(write->group, asked->topic, asked->partition);
    if (item.offset != NULL && write->producer_id >= 0) {
        item.pending = ms_pending_new(item.offset, write->producer_id, 0, &item.data);
        item.data.metadata = (struct ms_bytes){0};
    }
    if (item.offset == NULL || (write->producer_id >= 0 && item.pending == NULL)) {
        ms_group_drop(turn->groups, &item.data.metadata);
        if (item.offset != NULL)
            ms_offset_reap(item.offset);
        return MS_ENOMEM;
    }
    ms_write_record_ends(write, false);
    write->items[write->item_count++] = item;
    return 0;
}

static enum ms_group_code store_offsets(struct ms_turn *turn, struct ms_group *group,
                                        struct ms_group_commit *commit, int64_t producer_id) {
    struct ms_groups *groups = turn->groups;
    size_t good = 0, added = 0;
    for (size_t i = 0; i < commit->offset_count; i++) {
        struct ms_group_offset *asked = &commit->offsets[i];
        asked->code = check_offset(groups, asked);
        if (asked->code != MS_GROUP_OK)
            continue;
        good++;
        added += ms_offset_find(group, asked->topic, asked->partition) == NULL;
        added += producer_id >= 0;
    }
    if (good == 0) {
        ms_request_answer(groups, &commit->request, MS_GROUP_OK, NULL);
        return MS_GROUP_OK;
    }
    if (groups->offset_count + added > groups->options.offsets_max)
        return MS_GROUP_POLICY_VIOLATION;
    struct ms_write *write = ms_write_new(group, good, good, offsets_stored);
    if (write == NULL)
        return MS_GROUP_NOT_AVAILABLE;
    write->producer_id = producer_id;
    write->producer_epoch = commit->producer_epoch;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < commit->offset_count; i++)
        if (commit->offsets[i].code == MS_GROUP_OK)
            rc = write_offset(turn, write, commit, &commit->offsets[i]);
    if (rc != 0) {
        abandon(write);
        return ms_write_code(rc, MS_GROUP_INVALID_COMMIT_SIZE);
    }
    ms_write_attach(write, &commit->request);
    ms_write_queue(turn, write);
    for (size_t i = 0; i < write->item_count; i++)
        if (write->items[i].pending != NULL)
            write->items[i].pending->sequence = write->sequence;
    return MS_GROUP_OK;
}

/* ---- commits: may it? ---- */

/* A client's library knows what to do about an epoch that is not the newest; one that commits in a
 * transaction knows generations only. */
static enum ms_group_code check_consumer(struct ms_turn *turn, struct ms_group *group,
                                         const struct ms_group_identity *who, bool in_txn) {
    struct ms_consumer *member;
    enum ms_group_code code = ms_consumer_check(group, who->member_id, who->generation, &member);
    if (code == MS_GROUP_OK)
        ms_consumer_touch(turn, member);
    return code == MS_GROUP_STALE_EPOCH && in_txn ? MS_GROUP_ILLEGAL_GENERATION : code;
}

/* Only members commit to a group that has some; old transactional clients don't say who they
 * are. */
static enum ms_group_code check_committer(struct ms_turn *turn, struct ms_group *group,
                                          const struct ms_group_identity *who, bool in_txn) {
    struct ms_member *member;
    if (group->state == MS_GROUP_DEAD)
        return MS_GROUP_NOT_AVAILABLE;
    if (who->generation < 0 && group->state == MS_GROUP_EMPTY)
        return MS_GROUP_OK;
    bool anonymous = who->generation < 0 && who->member_id.len == 0 && who->instance_id.len == 0;
    if (anonymous)
        return in_txn ? MS_GROUP_OK : MS_GROUP_UNKNOWN_MEMBER;
    if (group->consumers != NULL)
        return check_consumer(turn, group, who, in_txn);
    enum ms_group_code code = ms_member_check(group, who->member_id, who->instance_id, &member);
    if (code != MS_GROUP_OK)
        return code;
    if (who->generation != group->generation)
        return MS_GROUP_ILLEGAL_GENERATION;
    if (group->state == MS_GROUP_COMPLETING)
        return MS_GROUP_REBALANCING;
    ms_member_touch(turn, member);
    return MS_GROUP_OK;
}

static enum ms_group_code commit_locked(struct ms_turn *turn, struct ms_group_commit *commit,
                                        bool in_txn) {
    const struct ms_group_identity *who = &commit->identity;
    struct ms_group *group;
    enum ms_group_code code = ms_turn_check(turn, who->group);
    if (code != MS_GROUP_OK)
        return code;
    if (commit->offset_count > OFFSETS_PER_REQUEST_MAX || (in_txn && commit->producer_id < 0))
        return MS_GROUP_INVALID_REQUEST;
    if (who->generation >= 0) {
        group = ms_group_find(turn->groups, who->group);
        if (group == NULL)
            return in_txn ? MS_GROUP_ILLEGAL_GENERATION : MS_GROUP_NOT_FOUND;
    } else if ((code = ms_group_find_or_make(turn, who->group, &group)) != MS_GROUP_OK) {
        return code;
    }
    code = check_committer(turn, group, who, in_txn);
    if (code == MS_GROUP_OK)
        code = store_offsets(turn, group, commit, in_txn ? commit->producer_id : -1);
    ms_group_reap(group);
    return code;
}

static void commit_request(struct ms_groups *groups, struct ms_group_commit *commit, bool in_txn) {
    struct ms_turn turn;
    commit->request.deliver = deliver_commit;
    ms_turn_begin(&turn, groups);
    enum ms_group_code code = commit_locked(&turn, commit, in_txn);
    if (code != MS_GROUP_OK) {
        for (size_t i = 0; i < commit->offset_count; i++)
            commit->offsets[i].code = code;
        ms_request_answer(groups, &commit->request, code, NULL);
    }
    ms_turn_end(&turn);
}

void ms_groups_commit(struct ms_groups *groups, struct ms_group_commit *commit) {
    commit_request(groups, commit, false);
}

void ms_groups_txn_commit(struct ms_groups *groups, struct ms_group_commit *commit) {
    commit_request(groups, commit, true);
}

/* ---- fetching ---- */

enum ms_group_code ms_groups_check_fetch(struct ms_groups *groups,
                                         const struct ms_group_identity *who) {
    struct ms_turn turn;
    struct ms_consumer *member;
    ms_turn_begin(&turn, groups);
    enum ms_group_code code = ms_turn_check(&turn, who->group);
    struct ms_group *group = code == MS_GROUP_OK ? ms_group_find(groups, who->group) : NULL;
    bool anonymous = who->member_id.len == 0 && who->generation < 0;
    if (group != NULL && group->consumers != NULL && !anonymous)
        code = ms_consumer_check(group, who->member_id, who->generation, &member);
    ms_turn_end(&turn);
    return code;
}

static bool fill_in(const struct ms_offset *offset, bool require_stable, struct ms_arena *arena,
                    struct ms_group_offset *ret_offset) {
    struct ms_group_offset view = ms_offset_view(offset);
    if (require_stable && offset->pending != NULL) {
        view = (struct ms_group_offset){.topic = view.topic,
                                        .partition = view.partition,
                                        .offset = -1,
                                        .leader_epoch = -1,
                                        .commit_time_ms = -1,
                                        .code = MS_GROUP_UNSTABLE_OFFSETS};
    }
    char *metadata = ms_arena_strdup(arena, view.metadata);
    if (metadata == NULL)
        return false;
    view.metadata = ms_bytes_of(metadata, view.metadata.len);
    *ret_offset = view;
    return true;
}

enum ms_group_code ms_groups_fetch(struct ms_groups *groups, struct ms_bytes id,
                                   bool require_stable, struct ms_arena *arena,
                                   struct ms_group_offset *offsets, size_t count) {
    struct ms_turn turn;
    ms_turn_begin(&turn, groups);
    enum ms_group_code code = ms_turn_check(&turn, id);
    struct ms_group *group = code == MS_GROUP_OK ? ms_group_find(groups, id) : NULL;
    for (size_t i = 0; i < count && code == MS_GROUP_OK; i++) {
        struct ms_bytes topic = offsets[i].topic;
        struct ms_offset *offset =
            group != NULL ? ms_offset_find(group, topic, offsets[i].partition) : NULL;
        if (offset == NULL)
            offsets[i] = (struct ms_group_offset){.partition = offsets[i].partition,
                                                  .offset = -1,
                                                  .leader_epoch = -1,
                                                  .commit_time_ms = -1};
        else if (!fill_in(offset, require_stable, arena, &offsets[i]))
            code = MS_GROUP_NOT_AVAILABLE;
        offsets[i].topic = topic;
    }
    ms_turn_end(&turn);
    return code;
}

static int by_topic_and_partition(const void *a, const void *b) {
    const struct ms_group_offset *one = a, *two = b;
    int order = ms_bytes_compare(one->topic, two->topic);
    return order != 0 ? order
                      : (one->partition > two->partition) - (one->partition < two->partition);
}

static enum ms_group_code fetch_group(const struct ms_group *group, bool require_stable,
                                      struct ms_arena *arena, struct ms_group_offset **ret_offsets,
                                      size_t *ret_count) {
    struct ms_group_offset *offsets = ms_arena_alloc(arena, group->offsets.count * sizeof *offsets);
    size_t count = 0;
    if (offsets == NULL)
        return MS_GROUP_NOT_AVAILABLE;
    struct ms_table_node *node = NULL;
    while ((node = ms_table_next(&group->offsets, node)) != NULL) {
        struct ms_offset *offset = MS_CONTAINER(node, struct ms_offset, node);
        if (!offset->committed && !(require_stable && offset->pending != NULL))
            continue;
        char *topic = ms_arena_strdup(arena, ms_bytes_of(offset->topic, offset->topic_len));
        if (topic == NULL || !fill_in(offset, require_stable, arena, &offsets[count]))
            return MS_GROUP_NOT_AVAILABLE;
        offsets[count++].topic = ms_bytes_of(topic, offset->topic_len);
    }
    *ret_offsets = offsets;
    *ret_count = count;
    return MS_GROUP_OK;
}

enum ms_group_code ms_groups_fetch_all(struct ms_groups *groups, struct ms_bytes id,
                                       bool require_stable, struct ms_arena *arena,
                                       struct ms_group_offset **ret_offsets, size_t *ret_count) {
    struct ms_turn turn;
    struct ms_group_offset *offsets = NULL;
    size_t count = 0;
    ms_turn_begin(&turn, groups);
    enum ms_group_code code = ms_turn_check(&turn, id);
    struct ms_group *group = code == MS_GROUP_OK ? ms_group_find(groups, id) : NULL;
    if (group != NULL)
        code = fetch_group(group, require_stable, arena, &offsets, &count);
    ms_turn_end(&turn);
    if (code != MS_GROUP_OK)
        return code;
    if (count > 0)
        qsort(offsets, count, sizeof *offsets, by_topic_and_partition);
    *ret_offsets = offsets;
    *ret_count = count;
    return MS_GROUP_OK;
}

/* ---- deleting offsets ---- */

static void deliver_delete(struct ms_group_request *request) {
    struct ms_group_delete_offsets *deletion =
        MS_CONTAINER(request, struct ms_group_delete_offsets, request);
    deletion->done(deletion, request->code);
}

static bool is_subscribed(const struct ms_group *group, struct ms_bytes topic) {
    if (group->consumers != NULL)
        return ms_consumers_read(group, topic);
    for (struct ms_member *m = group->first; m != NULL; m = m->next) {
        if (group->protocol_name.len > 0 && ms_protocols_find(m->protocols, group->protocol_name)) {
            if (ms_subscription_names(ms_member_metadata(m), topic))
                return true;
        } else if (m->protocols->count == 0 ||
                   ms_subscription_names(m->protocols->item[0].metadata, topic)) {
            return true;
        }
    }
    return false;
}

static enum ms_group_code delete_locked(struct ms_turn *turn,
                                        struct ms_group_delete_offsets *deletion) {
    enum ms_group_code code = ms_turn_check(turn, deletion->group);
    if (code != MS_GROUP_OK)
        return code;
    if (deletion->offset_count > OFFSETS_PER_REQUEST_MAX)
        return MS_GROUP_INVALID_REQUEST;
    struct ms_group *group = ms_group_find(turn->groups, deletion->group);
    if (group == NULL || group->state == MS_GROUP_DEAD)
        return MS_GROUP_NOT_FOUND;
    if (group->member_count > 0 && !ms_bytes_equal_cstr(group->protocol_type, "consumer"))
        return MS_GROUP_NON_EMPTY;
    struct ms_write *write =
        ms_write_new(group, deletion->offset_count, deletion->offset_count, offsets_stored);
    int rc = write != NULL ? 0 : MS_ENOMEM;
    for (size_t i = 0; rc == 0 && i < deletion->offset_count; i++) {
        struct ms_group_offset *asked = &deletion->offsets[i];
        struct ms_offset *offset = ms_offset_find(group, asked->topic, asked->partition);
        asked->code = is_subscribed(group, asked->topic) ? MS_GROUP_SUBSCRIBED : MS_GROUP_OK;
        if (offset == NULL || asked->code != MS_GROUP_OK)
            continue;
        rc = ms_offset_remove(write, offset);
        if (rc == 0)
            write->items[write->item_count - 1].asked = asked;
    }
    if (rc != 0) {
        if (write != NULL)
            abandon(write);
        return ms_write_code(rc, MS_GROUP_INVALID_COMMIT_SIZE);
    }
    if (write->item_count == 0) {
        abandon(write);
        ms_request_answer(turn->groups, &deletion->request, MS_GROUP_OK, NULL);
        return MS_GROUP_OK;
    }
    ms_write_attach(write, &deletion->request);
    ms_write_queue(turn, write);
    return MS_GROUP_OK;
}

void ms_groups_delete_offsets(struct ms_groups *groups, struct ms_group_delete_offsets *deletion) {
    struct ms_turn turn;
    deletion->request.deliver = deliver_delete;
    ms_turn_begin(&turn, groups);
    enum ms_group_code code = delete_locked(&turn, deletion);
    if (code != MS_GROUP_OK)
        ms_request_answer(groups, &deletion->request, code, NULL);
    ms_turn_end(&turn);
}
