/*
 * Who gets which partitions: the server's assignors for consumer groups, as pure functions. Any
 * thread.
 *
 *   uniform   every member has as many partitions as every other, give or take one, as far as the
 *             subscriptions allow: no partition could move to a subscriber that has at least two
 *             fewer than its owner. Sticky: what has an owner stays with it unless that must give
 *             some away. When all members read the same topics no assignment moves less.
 *   range     topic by topic, the members that read it get runs of neighbouring partitions in the
 *             order of the members; the first ones get one more when it doesn't come out even. So
 *             topics with as many partitions and the same readers are assigned alike.
 *
 * Every partition of a topic that somebody reads has exactly one owner, who reads the topic; all
 * others have none.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define MS_ASSIGN_NONE UINT32_MAX

struct ms_assign_member {
    const uint32_t *topics; /* indexes, rising */
    size_t topic_count;
};

struct ms_assign {
    const uint32_t *partitions; /* how many each topic has */
    size_t topic_count;
    const struct ms_assign_member *members;
    size_t member_count;
    /* The partitions of all topics, one topic after another: index of the owner, or
     * MS_ASSIGN_NONE. In: who owns it so far; out: who is to. */
    uint32_t *owners;
};

/* MS_ENOMEM: nothing is changed. */
int ms_assign_uniform(const struct ms_assign *assign) MS_MUST_CHECK;
int ms_assign_range(const struct ms_assign *assign) MS_MUST_CHECK;
