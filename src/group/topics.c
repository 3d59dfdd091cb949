/*
 * What the members of a consumer group read: names and patterns, looked up among the topics that
 * there are. Under the lock.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "group/consumer.h"
#include "group/pattern.h"

/* ---- names ---- */

struct ms_names *ms_names_new(struct ms_groups *groups, const struct ms_bytes *names,
                              size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += names[i].len;
    struct ms_names *own =
        ms_group_alloc(groups, sizeof *own + count * sizeof own->item[0] + bytes);
    if (own == NULL)
        return NULL;
    uint8_t *at = (uint8_t *)&own->item[count];
    own->count = count;
    for (size_t i = 0; i < count; i++)
        own->item[i] = ms_place(&at, names[i]);
    return own;
}

bool ms_names_equal(const struct ms_names *names, const struct ms_bytes *others, size_t count) {
    if (names->count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!ms_bytes_equal(names->item[i], others[i]))
            return false;
    return true;
}

/* ---- the group's topics, by id ---- */

static size_t place_of(const struct ms_consumer_group *consumers, const struct ms_uuid *id) {
    size_t low = 0, high = consumers->topic_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(consumers->topics[middle]->id.bytes, id->bytes, sizeof id->bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct ms_consumer_topic *ms_consumer_topic_find(const struct ms_group *group,
                                                 const struct ms_uuid *id) {
    const struct ms_consumer_group *consumers = group->consumers;
    size_t place = place_of(consumers, id);
    bool there = place < consumers->topic_count && ms_uuid_equal(&consumers->topics[place]->id, id);
    return there ? consumers->topics[place] : NULL;
}

static bool reserve_topic(struct ms_group *group) {
    struct ms_consumer_group *consumers = group->consumers;
    if (consumers->topic_count < consumers->topic_capacity)
        return true;
    size_t capacity = consumers->topic_capacity == 0 ? 4 : 2 * consumers->topic_capacity;
    struct ms_consumer_topic **topics = ms_group_alloc(group->groups, capacity * sizeof *topics);
    if (topics == NULL)
        return false;
    if (consumers->topic_count > 0)
        memcpy(topics, consumers->topics, consumers->topic_count * sizeof *topics);
    ms_group_release(group->groups, consumers->topics);
    consumers->topics = topics;
    consumers->topic_capacity = capacity;
    return true;
}

struct ms_consumer_topic *ms_consumer_topic_find_or_make(struct ms_group *group,
                                                         const struct ms_uuid *id) {
    struct ms_consumer_group *consumers = group->consumers;
    struct ms_consumer_topic *topic = ms_consumer_topic_find(group, id);
    if (topic != NULL)
        return topic;
    if (!reserve_topic(group) || (topic = ms_group_alloc(group->groups, sizeof *topic)) == NULL)
        return NULL;
    *topic = (struct ms_consumer_topic){.id = *id};
    size_t place = place_of(consumers, id);
    memmove(&consumers->topics[place + 1], &consumers->topics[place],
            (consumers->topic_count - place) * sizeof *consumers->topics);
    consumers->topics[place] = topic;
    consumers->topic_count++;
    return topic;
}

void ms_consumer_topic_free(struct ms_group *group, struct ms_consumer_topic *topic) {
    ms_group_drop(group->groups, &topic->name);
    ms_group_release(group->groups, topic->slots);
    ms_group_release(group->groups, topic);
}

bool ms_consumer_topic_reserve(struct ms_group *group, struct ms_consumer_topic *topic,
                               uint32_t count) {
    if (count <= topic->slot_count)
        return true;
    struct ms_consumer_slot *slots = ms_group_alloc(group->groups, count * sizeof *slots);
    if (slots == NULL)
        return false;
    memset(slots, 0, count * sizeof *slots);
    if (topic->slot_count > 0)
        memcpy(slots, topic->slots, topic->slot_count * sizeof *slots);
    ms_group_release(group->groups, topic->slots);
    topic->slots = slots;
    topic->slot_count = count;
    return true;
}

static bool is_used(const struct ms_consumer_topic *topic) {
    bool used = topic->present > 0 || topic->partitions > 0;
    for (uint32_t p = 0; !used && p < topic->slot_count; p++)
        used = topic->slots[p].owner != NULL || topic->slots[p].target != NULL;
    return used;
}

void ms_consumers_forget_topics(struct ms_group *group) {
    struct ms_consumer_group *consumers = group->consumers;
    size_t kept = 0;
    for (size_t i = 0; i < consumers->topic_count; i++) {
        if (is_used(consumers->topics[i]))
            consumers->topics[kept++] = consumers->topics[i];
        else
            ms_consumer_topic_free(group, consumers->topics[i]);
    }
    consumers->topic_count = kept;
}

/* ---- looking ---- */

/* The topics of one member, while they are looked up. */
struct look {
    struct ms_group *group;
    const struct ms_pattern *pattern;
    struct ms_consumer_topic **found;
    size_t count, capacity;
};

static int add(struct look *look, const struct ms_group_topic *seen) {
    struct ms_groups *groups = look->group->groups;
    if (seen->partitions == 0 || seen->partitions > MS_CONSUMER_PARTITIONS_MAX)
        return 0;
    struct ms_consumer_topic *topic = ms_consumer_topic_find_or_make(look->group, &seen->id);
    if (topic == NULL)
        return MS_ENOMEM;
    topic->present = seen->partitions;
    if (topic->name.len == 0 && !ms_group_copy(groups, seen->name, &topic->name))
        return MS_ENOMEM;
    if (look->count == look->capacity) {
        size_t capacity = look->capacity == 0 ? 8 : 2 * look->capacity;
        void *found = ms_realloc(look->found, capacity * sizeof *look->found);
        if (found == NULL)
            return MS_ENOMEM;
        look->found = found;
        look->capacity = capacity;
    }
    look->found[look->count++] = topic;
    return 0;
}

static int add_match(void *visitor, const struct ms_group_topic *seen) {
    struct look *look = visitor;
    return ms_pattern_matches(look->pattern, seen->name) ? add(look, seen) : 0;
}

static int look_for_pattern(struct look *look, struct ms_bytes text) {
    const struct ms_group_topics *topics = &look->group->groups->options.topics;
    struct ms_pattern pattern;
    int rc = ms_pattern_init(&pattern, text);
    if (rc != 0)
        return rc == MS_EINVAL ? 0 : rc; /* on record from another program: matches nothing */
    look->pattern = &pattern;
    rc = topics->list(topics->context, add_match, look);
    ms_pattern_deinit(&pattern);
    return rc;
}

static int by_id(const void *a, const void *b) {
    const struct ms_consumer_topic *const *one = a, *const *two = b;
    return memcmp((*one)->id.bytes, (*two)->id.bytes, sizeof(*one)->id.bytes);
}

static bool keep(struct ms_consumer *member, struct look *look) {
    struct ms_groups *groups = member->group->groups;
    size_t count = 0;
    if (look->count > 0)
        qsort(look->found, look->count, sizeof *look->found, by_id);
    for (size_t i = 0; i < look->count; i++)
        if (i == 0 || look->found[i] != look->found[i - 1])
            look->found[count++] = look->found[i];
    struct ms_consumer_topic **own = ms_group_alloc(groups, count * sizeof *own);
    if (own == NULL && count > 0)
        return false;
    if (count > 0)
        memcpy(own, look->found, count * sizeof *own);
    ms_group_release(groups, member->topics);
    member->topics = own;
    member->topic_count = count;
    return true;
}

static bool copy_of(struct ms_consumer *member, const struct ms_consumer *other) {
    struct look look = {.found = other->topics, .count = other->topic_count};
    return keep(member, &look);
}

/* Who has the member's subscription and was looked up already; NULL: nobody near. */
static const struct ms_consumer *twin_of(const struct ms_consumer *member) {
    const struct ms_consumer *other = member->previous;
    bool same = other != NULL && ms_bytes_equal(other->pattern, member->pattern) &&
                ms_names_equal(other->names, member->names->item, member->names->count);
    return same ? other : NULL;
}

static bool look_up(struct ms_consumer *member) {
    const struct ms_group_topics *topics = &member->group->groups->options.topics;
    struct look look = {.group = member->group};
    struct ms_group_topic seen;
    int rc = 0;
    const struct ms_consumer *twin = twin_of(member);
    if (twin != NULL)
        return copy_of(member, twin);
    for (size_t i = 0; rc == 0 && i < member->names->count; i++)
        if (topics->find(topics->context, member->names->item[i], &seen))
            rc = add(&look, &seen);
    if (rc == 0 && member->pattern.len > 0)
        rc = look_for_pattern(&look, member->pattern);
    bool whole = rc == 0 && keep(member, &look);
    ms_free(look.found);
    return whole;
}

bool ms_consumers_look_at_topics(struct ms_group *group) {
    const struct ms_group_topics *topics = &group->groups->options.topics;
    struct ms_consumer_group *consumers = group->consumers;
    bool changed = false;
    if (topics->version == NULL) {
        consumers->stale = false;
        return false;
    }
    uint64_t version = topics->version(topics->context);
    if (version == consumers->topics_version && !consumers->stale)
        return false;
    for (size_t t = 0; t < consumers->topic_count; t++)
        consumers->topics[t]->present = 0;
    consumers->topics_version = version;
    consumers->stale = false;
    for (struct ms_consumer *m = consumers->first; m != NULL; m = m->next)
        consumers->stale |= !look_up(m);
    if (consumers->stale)
        return false;
    for (size_t t = 0; t < consumers->topic_count; t++)
        changed |= consumers->topics[t]->present != consumers->topics[t]->partitions;
    return changed;
}

bool ms_consumers_read(const struct ms_group *group, struct ms_bytes topic) {
    for (const struct ms_consumer *m = group->consumers->first; m != NULL; m = m->next) {
        for (size_t i = 0; i < m->names->count; i++)
            if (ms_bytes_equal(m->names->item[i], topic))
                return true;
        for (size_t i = 0; i < m->topic_count; i++)
            if (ms_bytes_equal(m->topics[i]->name, topic))
                return true;
    }
    return false;
}
