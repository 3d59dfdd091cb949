/*
 * The inside of consumer groups (KIP-848). Not for anyone outside this directory. Everything here
 * stands under groups->mutex.
 *
 *   group->consumers -- table, list --> consumer -- array --> topics that it reads
 *                    |                     ^  ^
 *                    |              target |  | owner
 *                    '-- array --> topic -- slots, one a partition
 *
 *   A slot names the member that is to own the partition and the one that does: that a partition
 *   has one owner at most is how it is written down.
 *
 *   What has changed is marked, in the group and in its members. ms_consumers_flush writes all
 *   that is marked; one write of a group is in flight at a time, and a failed one marks again what
 *   it was about. So what is durable is always a state that the group was in, and a request that
 *   waits for the change it saw is answered with something that lasts.
 */
#pragma once

#include "group/consumer_record.h"
#include "group/internal.h"

#define MS_CONSUMER_PARTITIONS_MAX 65536u /* of a topic */

enum ms_assignor { MS_ASSIGNOR_NONE, MS_ASSIGNOR_UNIFORM, MS_ASSIGNOR_RANGE, MS_ASSIGNORS };

/* Kafka's numbers, as they are in records. */
enum ms_consumer_state {
    MS_CONSUMER_STABLE,
    MS_CONSUMER_UNREVOKED,
    MS_CONSUMER_UNRELEASED,
};

/* Records that are to be written. */
enum {
    MS_MARK_GROUP = 1,        /* keys 3 */
    MS_MARK_TARGET_EPOCH = 2, /* 6 */
    MS_MARK_CLASSIC = 4,      /* the tombstone of the classic group that it was */
    MS_MARK_CONSUMER = 8,     /* 5 */
    MS_MARK_TARGET = 16,      /* 7 */
    MS_MARK_CURRENT = 32,     /* 8 */
    MS_MARK_ALL_OF_CONSUMER = MS_MARK_CONSUMER | MS_MARK_TARGET | MS_MARK_CURRENT,
};

struct ms_consumer;

struct ms_consumer_slot {
    struct ms_consumer *target, *owner;
    bool revoking; /* the owner was told to let go */
};

struct ms_consumer_topic {
    struct ms_uuid id;
    struct ms_bytes name; /* memory of its own; empty: not known */
    uint32_t partitions;  /* that the target is made of */
    uint32_t present;     /* that there are, of a topic that somebody reads */
    uint32_t slot_count;
    uint32_t index; /* while a target is made */
    struct ms_consumer_slot *slots;
};

struct ms_names {
    size_t count;
    struct ms_bytes item[];
};

/* What of a member was found at start: the newest record of each kind. */
struct ms_consumer_found {
    uint64_t positions[3]; /* + 1, by key: 5, 7, 8 */
    bool live;             /* its own record is no tombstone */
    struct ms_bytes target, current;
};

struct ms_consumer {
    struct ms_table_node node;           /* by id */
    struct ms_consumer *next, *previous; /* in the order of joining; or in `gone`, by `next` */
    struct ms_group *group;
    struct ms_timer session, revocation;
    struct ms_bytes id, instance_id, rack_id, client_id, client_host; /* memory of each its own */
    struct ms_bytes pattern;
    struct ms_names *names;
    struct ms_consumer_topic **topics; /* that it reads, in the group's order */
    size_t topic_count;
    int32_t rebalance_timeout_ms;
    int32_t epoch;
    int32_t previous_epoch; /* the last that it is known to have got, or epoch */
    enum ms_consumer_state state;
    enum ms_assignor assignor;
    uint32_t index; /* while a target is made */
    unsigned marks, writing;
    struct ms_group_consume *request; /* waits */
    bool untold;                      /* what it owns has changed since it was told last */
    bool knows_id;                    /* it made it, or was told */
    struct ms_consumer_found *found;  /* while loading */
};

struct ms_consumer_group {
    struct ms_table members;
    struct ms_consumer *first, *last;
    uint32_t count;
    struct ms_consumer *gone;          /* whose tombstones are not durable */
    struct ms_consumer_topic **topics; /* by id */
    size_t topic_count, topic_capacity;
    uint64_t topics_version; /* of the seam, when they were looked at */
    bool stale;              /* they have to be looked at in any case */
    int32_t target_epoch;
    enum ms_assignor assignor; /* of the target */
    unsigned marks, writing;
    uint64_t change, durable; /* how many there were; up to which they are durable */
    bool in_flight;
    struct ms_group_consume *waiting, *waiting_last;
    uint64_t found_group, found_target; /* positions + 1, while loading */
    int32_t epoch;                      /* likewise */
    bool live;                          /* likewise */
};

/* ---- consumer.c ---- */

/* An empty group without members of either kind becomes a consumer group; false: memory. */
bool ms_consumers_begin(struct ms_turn *turn, struct ms_group *group);
/* An empty consumer group is a classic one from now on. Its tombstones are on their way. */
void ms_consumers_end(struct ms_turn *turn, struct ms_group *group);
void ms_consumers_free(struct ms_group *group);
void ms_consumers_mark(struct ms_group *group, unsigned marks);
void ms_consumer_mark(struct ms_consumer *member, unsigned marks);
/* NULL: memory. */
struct ms_consumer *ms_consumer_new(struct ms_group *group, struct ms_bytes id,
                                    struct ms_bytes instance_id);
/* Out of the group: what it owned is free, its tombstones are marked, and the group's epoch is
 * raised; what waits is answered `code`. */
void ms_consumer_remove(struct ms_turn *turn, struct ms_consumer *member, enum ms_group_code code);
/* Another id for a static member; false: memory. */
bool ms_consumer_rename(struct ms_turn *turn, struct ms_consumer *member, struct ms_bytes id);
void ms_consumer_free(struct ms_consumer *member); /* not in the table any more */
/* Nothing of it is on record, and nothing is its own. */
void ms_consumer_forget(struct ms_consumer *member);
struct ms_consumer *ms_consumer_find(const struct ms_group *group, struct ms_bytes id);
struct ms_consumer *ms_consumer_find_instance(const struct ms_group *group,
                                              struct ms_bytes instance);
void ms_consumer_touch(struct ms_turn *turn, struct ms_consumer *member);
/* The timers have come. */
void ms_consumer_expire(struct ms_turn *turn, struct ms_consumer *member);
void ms_consumer_revocation_expire(struct ms_turn *turn, struct ms_consumer *member);
/* NONE for an empty name, MS_ASSIGNORS for one that is not known. */
enum ms_assignor ms_assignor_of(struct ms_bytes name);
const char *ms_assignor_name(enum ms_assignor assignor);
/* The state that follows from the members. */
void ms_consumers_restate(struct ms_turn *turn, struct ms_group *group);
/* OK, UNKNOWN_MEMBER, STALE_EPOCH. */
enum ms_group_code ms_consumer_check(const struct ms_group *group, struct ms_bytes id,
                                     int32_t epoch, struct ms_consumer **ret_member);
/* LeaveGroup. */
enum ms_group_code ms_consumer_leave(struct ms_turn *turn, struct ms_group *group,
                                     const struct ms_group_leaver *leaver);

/* ---- topics.c ---- */

/* NULL: none of that id. */
struct ms_consumer_topic *ms_consumer_topic_find(const struct ms_group *group,
                                                 const struct ms_uuid *id);
struct ms_consumer_topic *ms_consumer_topic_find_or_make(struct ms_group *group,
                                                         const struct ms_uuid *id);
/* At least `count` slots; false: memory. */
bool ms_consumer_topic_reserve(struct ms_group *group, struct ms_consumer_topic *topic,
                               uint32_t count);
/* What every member reads, as topics are now, when they have changed or the group is stale. True:
 * there is another set of partitions to assign than the target has. False also without memory: then
 * the group is stale. */
bool ms_consumers_look_at_topics(struct ms_group *group);
/* Topics that nobody reads, owns or is to own are forgotten. */
void ms_consumers_forget_topics(struct ms_group *group);
void ms_consumer_topic_free(struct ms_group *group, struct ms_consumer_topic *topic);
/* A member reads the topic. */
bool ms_consumers_read(const struct ms_group *group, struct ms_bytes topic);
/* A copy; NULL: memory. */
struct ms_names *ms_names_new(struct ms_groups *groups, const struct ms_bytes *names, size_t count);
bool ms_names_equal(const struct ms_names *names, const struct ms_bytes *others, size_t count);

/* ---- target.c ---- */

/* The group's epoch rises. */
void ms_consumers_raise(struct ms_turn *turn, struct ms_group *group);
/* Looks at topics and computes the target, where that is due. */
void ms_consumers_assign(struct ms_turn *turn, struct ms_group *group);
/* The assignor that most members prefer. */
enum ms_assignor ms_consumers_choose(const struct ms_group *group);

/* ---- reconcile.c ---- */

/* One step of a member towards the target. `owned` NULL: it didn't say what it owns. */
void ms_reconcile(struct ms_turn *turn, struct ms_consumer *member,
                  const struct ms_group_partitions *owned, size_t owned_count);
/* All of `owned` is assigned to it. */
bool ms_consumer_owns(const struct ms_consumer *member, const struct ms_group_partitions *owned,
                      size_t owned_count);
/* What it was told to revoke is free; with `all`, whatever it owns. */
void ms_consumer_release(struct ms_consumer *member, bool all);

/* ---- consumer_write.c ---- */

/* Writes what is marked, unless a write is in flight, and answers what need not wait. */
void ms_consumers_flush(struct ms_turn *turn, struct ms_group *group);
/* The request is answered with `answer` (freed) when all that has changed so far is durable.
 * `member` NULL: it is gone. */
void ms_consume_wait(struct ms_turn *turn, struct ms_group *group, struct ms_consumer *member,
                     struct ms_group_consume *consume, void *answer);
/* What the member waits for is answered with the code; none may be waiting. */
void ms_consume_refuse(struct ms_turn *turn, struct ms_consumer *member, enum ms_group_code code);
void ms_consumers_refuse_all(struct ms_turn *turn, struct ms_group *group);
/* How many records ms_consumers_encode_tombstones writes at most. */
size_t ms_consumers_tombstones(const struct ms_group *group);
/* For all that may be on record of a group without members. */
int ms_consumers_encode_tombstones(struct ms_write *write, const struct ms_group *group);
/* ---- consumer_describe.c ---- */

/* Members as those of a classic group are told, in ret_info; false: the arena is full. */
bool ms_consumers_describe(const struct ms_group *group, struct ms_arena *arena,
                           struct ms_group_info *ret_info);

/* ---- consumer_load.c ---- */

int ms_consumers_load(struct ms_turn *turn, struct ms_group *group, const struct ms_group_key *key,
                      const struct ms_group_record *record, uint64_t sequence);
/* All records were loaded: what was found becomes the group. */
void ms_consumers_loaded(struct ms_turn *turn, struct ms_group *group);
