/* The assignors; assign.h says what they promise. */
#include "group/assign.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"

/* ---- who reads what ---- */

struct readers {
    size_t *first;     /* of a topic in `members`; one more than topics */
    uint32_t *members; /* rising within a topic */
    size_t *base;      /* of a topic in `owners`; one more than topics */
};

static void readers_free(struct readers *readers) {
    ms_free(readers->first);
    ms_free(readers->members);
    ms_free(readers->base);
}

static int readers_init(struct readers *readers, const struct ms_assign *assign) {
    size_t topics = assign->topic_count, pairs = 0;
    for (size_t m = 0; m < assign->member_count; m++)
        pairs += assign->members[m].topic_count;
    *readers = (struct readers){ms_calloc(topics + 2, sizeof *readers->first),
                                ms_calloc(pairs + 1, sizeof *readers->members),
                                ms_calloc(topics + 1, sizeof *readers->base)};
    if (readers->first == NULL || readers->members == NULL || readers->base == NULL) {
        readers_free(readers);
        return MS_ENOMEM;
    }
    /* first[t + 2] counts, then first[t + 1] is where the next reader goes. */
    for (size_t m = 0; m < assign->member_count; m++)
        for (size_t i = 0; i < assign->members[m].topic_count; i++)
            readers->first[assign->members[m].topics[i] + 2]++;
    for (size_t t = 0; t < topics; t++) {
        readers->first[t + 2] += readers->first[t + 1];
        readers->base[t + 1] = readers->base[t] + assign->partitions[t];
    }
    for (size_t m = 0; m < assign->member_count; m++)
        for (size_t i = 0; i < assign->members[m].topic_count; i++)
            readers->members[readers->first[assign->members[m].topics[i] + 1]++] = (uint32_t)m;
    return 0;
}

static bool reads(const struct ms_assign_member *member, uint32_t topic) {
    size_t low = 0, high = member->topic_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (member->topics[middle] < topic)
            low = middle + 1;
        else
            high = middle;
    }
    return low < member->topic_count && member->topics[low] == topic;
}

static bool all_read_the_same(const struct ms_assign *assign) {
    const struct ms_assign_member *first = assign->members;
    for (size_t m = 1; m < assign->member_count; m++) {
        const struct ms_assign_member *member = &assign->members[m];
        if (member->topic_count != first->topic_count ||
            (first->topic_count > 0 && memcmp(member->topics, first->topics,
                                              first->topic_count * sizeof *first->topics) != 0))
            return false;
    }
    return true;
}

/* Owners who are gone or don't read the topic lose it. */
static void drop_strangers(const struct ms_assign *assign, const struct readers *readers) {
    for (size_t t = 0; t < assign->topic_count; t++)
        for (size_t p = readers->base[t]; p < readers->base[t + 1]; p++)
            if (assign->owners[p] != MS_ASSIGN_NONE &&
                (assign->owners[p] >= assign->member_count ||
                 !reads(&assign->members[assign->owners[p]], (uint32_t)t)))
                assign->owners[p] = MS_ASSIGN_NONE;
}

/* ---- uniform, all members alike ---- */

static size_t partitions_read(const struct ms_assign *assign) {
    size_t total = 0;
    for (size_t i = 0; i < assign->members[0].topic_count; i++)
        total += assign->partitions[assign->members[0].topics[i]];
    return total;
}

/* Members keep up to `least`, and `extra` of them one more. Returns how many more are left. */
static size_t keep_shares(const struct ms_assign *assign, size_t partitions, size_t least,
                          size_t extra, size_t *load) {
    for (size_t p = 0; p < partitions; p++) {
        uint32_t owner = assign->owners[p];
        if (owner == MS_ASSIGN_NONE)
            continue;
        bool one_more = load[owner] == least && extra > 0;
        if (load[owner] < least || one_more) {
            load[owner]++;
            extra -= one_more;
        } else {
            assign->owners[p] = MS_ASSIGN_NONE;
        }
    }
    return extra;
}

/* Those with fewer than `most`, by turns until they have it. */
static void deal(const struct ms_assign *assign, const struct readers *readers, size_t most,
                 size_t hands, size_t *load, uint32_t *ring) {
    size_t count = 0, at = 0;
    for (size_t m = 0; m < assign->member_count; m++)
        if (load[m] < most)
            ring[count++] = (uint32_t)m;
    for (size_t i = 0; i < assign->members[0].topic_count; i++) {
        uint32_t topic = assign->members[0].topics[i];
        for (size_t p = readers->base[topic]; p < readers->base[topic + 1]; p++) {
            if (assign->owners[p] != MS_ASSIGN_NONE)
                continue;
            if (count == 0 || hands == 0)
                return;
            hands--;
            at = at < count ? at : 0;
            assign->owners[p] = ring[at];
            if (++load[ring[at]] < most) {
                at++;
            } else {
                memmove(&ring[at], &ring[at + 1], (count - at - 1) * sizeof *ring);
                count--;
            }
        }
    }
}

static void share_evenly(const struct ms_assign *assign, const struct readers *readers,
                         size_t *load, uint32_t *ring) {
    size_t total = partitions_read(assign), members = assign->member_count;
    size_t least = total / members, extra = total % members;
    extra = keep_shares(assign, readers->base[assign->topic_count], least, extra, load);
    deal(assign, readers, least, SIZE_MAX, load, ring);
    deal(assign, readers, least + 1, extra, load, ring);
}

/* ---- uniform, members that differ ---- */

static uint32_t least_loaded(const struct readers *readers, size_t topic, const size_t *load) {
    uint32_t best = MS_ASSIGN_NONE;
    for (size_t i = readers->first[topic]; i < readers->first[topic + 1]; i++)
        if (best == MS_ASSIGN_NONE || load[readers->members[i]] < load[best])
            best = readers->members[i];
    return best;
}

static void give_out(const struct ms_assign *assign, const struct readers *readers, size_t *load) {
    for (size_t p = 0; p < readers->base[assign->topic_count]; p++)
        if (assign->owners[p] != MS_ASSIGN_NONE)
            load[assign->owners[p]]++;
    for (size_t t = 0; t < assign->topic_count; t++)
        for (size_t p = readers->base[t]; p < readers->base[t + 1]; p++) {
            if (assign->owners[p] != MS_ASSIGN_NONE)
                continue;
            uint32_t owner = least_loaded(readers, t, load);
            if (owner == MS_ASSIGN_NONE)
                break;
            assign->owners[p] = owner;
            load[owner]++;
        }
}

/* Every move makes the sum of squares smaller, so this ends. */
static bool balance_topic(const struct ms_assign *assign, const struct readers *readers, size_t t,
                          size_t *load) {
    bool moved = false;
    if (readers->first[t] == readers->first[t + 1])
        return false;
    for (;;) {
        uint32_t *most = NULL;
        for (size_t p = readers->base[t]; p < readers->base[t + 1]; p++)
            if (most == NULL || load[assign->owners[p]] > load[*most])
                most = &assign->owners[p];
        uint32_t to = least_loaded(readers, t, load);
        if (most == NULL || load[*most] <= load[to] + 1)
            return moved;
        load[*most]--;
        load[to]++;
        *most = to;
        moved = true;
    }
}

static void balance(const struct ms_assign *assign, const struct readers *readers, size_t *load) {
    bool moved;
    give_out(assign, readers, load);
    do {
        moved = false;
        for (size_t t = 0; t < assign->topic_count; t++)
            moved |= balance_topic(assign, readers, t, load);
    } while (moved);
}

/* ---- the assignors ---- */

int ms_assign_uniform(const struct ms_assign *assign) {
    struct readers readers;
    int rc = readers_init(&readers, assign);
    if (rc != 0)
        return rc;
    size_t *load = ms_calloc(assign->member_count + 1, sizeof *load);
    uint32_t *ring = ms_calloc(assign->member_count + 1, sizeof *ring);
    if (load != NULL && ring != NULL) {
        drop_strangers(assign, &readers);
        if (assign->member_count > 0 && all_read_the_same(assign))
            share_evenly(assign, &readers, load, ring);
        else
            balance(assign, &readers, load);
    } else {
        rc = MS_ENOMEM;
    }
    ms_free(load);
    ms_free(ring);
    readers_free(&readers);
    return rc;
}

int ms_assign_range(const struct ms_assign *assign) {
    struct readers readers;
    int rc = readers_init(&readers, assign);
    if (rc != 0)
        return rc;
    for (size_t t = 0; t < assign->topic_count; t++) {
        const uint32_t *members = &readers.members[readers.first[t]];
        size_t count = readers.first[t + 1] - readers.first[t];
        size_t each = count > 0 ? assign->partitions[t] / count : 0;
        size_t extra = count > 0 ? assign->partitions[t] % count : 0;
        size_t long_part = (each + 1) * extra; /* of those who get one more */
        for (size_t p = 0; p < assign->partitions[t]; p++) {
            uint32_t *owner = &assign->owners[readers.base[t] + p];
            if (count == 0)
                *owner = MS_ASSIGN_NONE;
            else
                *owner = p < long_part ? members[p / (each + 1)]
                                       : members[extra + (p - long_part) / each];
        }
    }
    readers_free(&readers);
    return 0;
}
