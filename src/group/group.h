/*
 * Consumer groups: who owns which partitions (Kafka's classic group protocol, and that of KIP-848)
 * and how far each group has read (committed offsets). No I/O and no wire protocol: plain structs
 * in, answers out; what must last goes through a seam; time comes from the environment's clock.
 *
 * The pieces:
 *
 *   groups.c    making, stopping, the table of groups, ticking
 *   turn.c      the one lock, answers, writes: what happens at the end of every call
 *   join.c      JoinGroup: new, known, pending and static members
 *   classic.c   the rebalance: preparing, completing, electing, choosing a protocol
 *   sync.c      SyncGroup, Heartbeat, LeaveGroup
 *   member.c    members and what they bring
 *   consume.c   ConsumerGroupHeartbeat: joining, staying in, leaving a consumer group
 *   consumer.c  its members
 *   topics.c    which topics its members read; pattern.c: those named by a pattern
 *   target.c    who is to own what; assign.c: the assignors
 *   reconcile.c how a member gets there
 *   consumer_write.c    what of it is stored, and what waits for that
 *   offsets.c   committing, fetching and deleting offsets
 *   txn.c       offsets of open transactions
 *   expiry.c    retention of offsets, removal of groups
 *   load.c consumer_load.c      from records to groups, at start
 *   describe.c consumer_describe.c      describing, listing, counting
 *   lag.c metrics.c   how far groups are behind, for faces and for /metrics
 *   record.c consumer_record.c  keys and values of `__consumer_offsets`
 *   table.c timers.c    hash tables without failure, a heap of deadlines
 *
 * A classic group:
 *
 *            ms_groups_join (first member)
 *      EMPTY ------------------------------> PREPARING <-----------------------------.
 *        ^ ^                                  |  |                                    |
 *        | | ms_rebalance_try_complete:       |  | ms_rebalance_try_complete: all who |
 *        | '----------------------------------'  | are known joined; or _expire:      |
 *        |   no member is left                   | their largest timeout passed;      |
 *        |                                       | generation + 1, joins answered     |
 *        |                                       v                                    |
 *        |                                     COMPLETING -- ms_rebalance_prepare ----|
 *        |                                       |          join, leave, session end, |
 *        |        ms_groups_sync by the leader,  |          sync that doesn't come,   |
 *        |        its assignments are durable    |          assignments not stored    |
 *        |                                       v                                    |
 *        |                                     STABLE -- ms_rebalance_prepare --------'
 *        |                                             join of a new or changed member or of
 *        | a deletion that could not be stored         the leader, leave, session end
 *        |
 *      DEAD <-- ms_groups_delete, or nothing is left of an EMPTY group (expiry.c): the tombstone is
 *               on its way; the group goes when it is durable
 *
 * A consumer group has no generations and no leader. Whatever changes what is to be assigned (who
 * is in it, what they read, which topics there are) raises the group's epoch, and the target is
 * computed anew for that epoch; then every member goes there at its own pace, one heartbeat after
 * another:
 *
 *               ms_reconcile: the target is of a newer epoch
 *      STABLE ----------------------------------> has something that the target gives to others?
 *        ^                                           | yes              | no
 *        |                                           v                  |
 *        |                                        UNREVOKED             |  its epoch becomes the
 *        | nothing is left to wait for    the next heartbeat that says  |  target's, it gets what
 *        |                                it owns none of that any more |  is free of its target
 *        |                                           |                  |
 *        '-------------------------------------------+------------------+
 *                            ^                       |
 *                            '------------------ UNRELEASED: some of it has another owner still
 *
 *   A partition is given to nobody until its owner says that it has let go of it, leaves, lets its
 *   session end, or takes longer than its rebalance timeout (then it is removed). The group is
 *   EMPTY; ASSIGNING, when there is no target for its epoch (no memory); RECONCILING, when a member
 *   is on its way; else STABLE. A group without members may be used by the other protocol.
 *
 * Promises:
 *   1  one owner: an assignment is handed out only for the generation it was made in, by that
 *      generation's leader, and only after it is durable; so are the offsets in a commit's answer.
 *      In a consumer group every partition has at most one owner, counting those that have not
 *      confirmed its revocation; what an answer says of epochs and assignments is durable before
 *   2  a commit of another generation or epoch or of a fenced or unknown member is refused
 *   3  offsets are seen in the order in which they were handed to `append`, whatever the order in
 *      which `append` completes: an older commit never replaces a newer one. A transaction's count
 *      as committed at its end
 *   4  every request is answered exactly once, unless it is forgotten first
 *   5  after a restart members go on with their ids and generation; their sessions begin at
 *      ms_groups_loaded
 *   6  memory is bounded by the limits below whatever clients send
 *
 * Where Kafka leaves room: a vote that is a tie goes to the protocol that the oldest member
 * prefers; a static member that comes back with other topics in its subscription makes a stable
 * group rebalance (Kafka lets the client find out); a join or sync that is repeated while the
 * first still waits answers the first with MS_GROUP_REBALANCING. In a consumer group the epoch
 * that a member may come with when an answer was lost is the last one it is known to have got;
 * topics are looked at again at the first heartbeat after they changed; patterns are pattern.h's.
 *
 * Threads: any thread may call anything, but for ms_groups_free. No lock is held while a callback
 * or `append` runs, so both may call in again. A callback that is made from inside a callback's
 * call is made after the outer one returned, by the same thread.
 */
#pragma once

#include "base/arena.h"
#include "base/uuid.h"
#include "os/env.h"

struct ms_groups;

/* The outcome of a request. The values are Kafka's error numbers, so that a face needs no table. */
enum ms_group_code {
    MS_GROUP_UNKNOWN_SERVER_ERROR = -1,
    MS_GROUP_OK = 0,
    MS_GROUP_OFFSET_METADATA_TOO_LARGE = 12, /* of one partition */
    MS_GROUP_LOADING = 14,                   /* before ms_groups_loaded */
    MS_GROUP_NOT_AVAILABLE = 15, /* try again: not stored, stopping, out of memory, being deleted */
    MS_GROUP_ILLEGAL_GENERATION = 22,
    MS_GROUP_INCONSISTENT_PROTOCOL = 23,
    MS_GROUP_INVALID_GROUP_ID = 24,
    MS_GROUP_UNKNOWN_MEMBER = 25,
    MS_GROUP_INVALID_SESSION_TIMEOUT = 26,
    MS_GROUP_REBALANCING = 27,
    MS_GROUP_INVALID_COMMIT_SIZE = 28, /* the commit is larger than one append may be */
    MS_GROUP_INVALID_REQUEST = 42,     /* strings or counts beyond any reason */
    MS_GROUP_POLICY_VIOLATION = 44,    /* groups_max or offsets_max is reached */
    MS_GROUP_NON_EMPTY = 68,
    MS_GROUP_NOT_FOUND = 69,
    MS_GROUP_MEMBER_ID_REQUIRED = 79, /* join again with the id in the answer */
    MS_GROUP_FULL = 81,               /* members_max */
    MS_GROUP_FENCED_INSTANCE = 82,    /* another member has taken the instance id over */
    MS_GROUP_SUBSCRIBED = 86,         /* the topic's offsets are in use */
    MS_GROUP_UNSTABLE_OFFSETS = 88,   /* of an open transaction, and stable ones were wanted */
    /* Consumer groups. */
    MS_GROUP_FENCED_EPOCH = 110,        /* the member has to join again, without its partitions */
    MS_GROUP_UNRELEASED_INSTANCE = 111, /* the instance id is another member's, who hasn't left */
    MS_GROUP_UNSUPPORTED_ASSIGNOR = 112,
    MS_GROUP_STALE_EPOCH = 113, /* of a commit or fetch: again with the newest epoch */
    MS_GROUP_INVALID_PATTERN = 128,
};

/* Share groups are not there yet. */
enum ms_group_type { MS_GROUP_TYPE_CLASSIC, MS_GROUP_TYPE_CONSUMER, MS_GROUP_TYPES };
/* "classic", "consumer". Static. */
const char *ms_group_type_name(enum ms_group_type type);

enum ms_group_state {
    MS_GROUP_EMPTY,
    MS_GROUP_PREPARING,
    MS_GROUP_COMPLETING,
    MS_GROUP_STABLE,
    MS_GROUP_DEAD,
    MS_GROUP_ASSIGNING, /* of consumer groups: these two, EMPTY, STABLE and DEAD */
    MS_GROUP_RECONCILING,
    MS_GROUP_STATES
};
/* As Kafka's tools spell them: "Empty", "PreparingRebalance", … Static. */
const char *ms_group_state_name(enum ms_group_state state);

/* ---- the seam to topics ---- */

struct ms_group_topic {
    struct ms_uuid id;
    struct ms_bytes name;
    uint32_t partitions;
};

/* Called under the lock: answers at once, and doesn't call in. Without it no topics are there. */
struct ms_group_topics {
    void *context;
    /* Moves whenever a topic is made or deleted or gets more partitions. */
    uint64_t (*version)(void *context);
    /* Those that clients may read. False: there is none. The name is valid until the next call. */
    bool (*find)(void *context, struct ms_bytes name, struct ms_group_topic *ret_topic);
    bool (*find_id)(void *context, const struct ms_uuid *id, struct ms_group_topic *ret_topic);
    /* All of them; what `visit` returns other than 0 ends it and is returned. */
    int (*list)(void *context, int (*visit)(void *visitor, const struct ms_group_topic *topic),
                void *visitor);
};

/* ---- the seam to what lasts ---- */

/* Layouts: record.h. */
struct ms_group_record {
    struct ms_bytes key;
    struct ms_bytes value;
    bool tombstone; /* `value` is null */
};

struct ms_group_store {
    void *context;
    /* Appends the records to `__consumer_offsets`, all or none, in the order of the calls (there
     * is never more than one call at a time). `producer_id` is -1, or they belong to that
     * producer's open transaction. `records` are valid during the call. `done` is called exactly
     * once, inside the call or later from any thread: 0 when they are durable, else an MS_E… and
     * they are not there (and never will be). */
    void (*append)(void *context, int64_t producer_id, int16_t producer_epoch,
                   const struct ms_group_record *records, size_t count,
                   void (*done)(void *done_context, int code), void *done_context);
};

/* ---- making and ending ---- */

#define MS_GROUP_ID_BYTES_MAX 1024u
#define MS_GROUP_NAME_BYTES_MAX 1024u /* member and instance ids, protocol names and types */
#define MS_GROUP_TOPIC_BYTES_MAX 249u
#define MS_GROUP_CLIENT_BYTES_MAX 255u /* client ids and hosts are cut there */
#define MS_GROUP_PROTOCOLS_MAX 64u
#define MS_GROUP_TOPICS_MAX 10000u /* that a consumer names */

/* 0 in a number means the default. */
struct ms_groups_options {
    const struct ms_env *env;
    struct ms_group_store store;
    struct ms_group_topics topics;
    /* Optional: ms_groups_tick is wanted earlier than its last answer said. Called without the
     * lock, from whichever thread made it so; must not tick itself. */
    void (*wake)(void *context);
    void *wake_context;

    uint32_t groups_max;                    /* 10,000 */
    uint32_t members_max;                   /* of one group: 1,000; as many again may be pending */
    uint64_t offsets_max;                   /* committed or pending, in all groups: 1,000,000 */
    size_t bytes_max;                       /* of all groups, members and offsets: 128 MiB */
    size_t member_bytes_max;                /* of one member's protocols, or assignment: 1 MiB */
    uint32_t offset_metadata_bytes_max;     /* 4,096 */
    int32_t session_timeout_ms_min;         /* 6 s */
    int32_t session_timeout_ms_max;         /* 30 min */
    int32_t initial_rebalance_delay_ms;     /* 0 is 0; Kafka's default is 3,000 */
    int64_t offsets_retention_ms;           /* 7 days */
    int64_t offsets_retention_check_ms;     /* 10 min */
    int32_t consumer_session_timeout_ms;    /* 45 s */
    int32_t consumer_heartbeat_interval_ms; /* 5 s: what consumers are told */
};
#define MS_GROUPS_INITIAL_REBALANCE_DELAY_MS 3000

/* MS_ENOMEM; MS_EINVAL for limits that contradict each other. Until ms_groups_loaded every request
 * is answered with MS_GROUP_LOADING. */
int ms_groups_new(const struct ms_groups_options *options, struct ms_groups **ret_groups)
    MS_MUST_CHECK;
/* Answers all that waits with MS_GROUP_NOT_AVAILABLE, and so everything that comes. */
void ms_groups_stop(struct ms_groups *groups);
/* After ms_groups_stop, when every `done` has returned and no call is running. Takes NULL. */
void ms_groups_free(struct ms_groups *groups);

/* One record of `__consumer_offsets` as found at start. In any order: of two records with one key
 * the higher position counts, so the newest per key is enough, and all of them do no harm.
 * `producer_id` is -1, or that of a transaction that is still open (records of committed ones are
 * loaded with -1, those of aborted ones not at all). Records of kinds that are not known (a newer
 * Kafka's) are passed over. MS_EINVAL: the bytes are no such record. MS_ENOMEM: memory, or more
 * than the limits allow. */
int ms_groups_load(struct ms_groups *groups, const struct ms_group_record *record,
                   uint64_t position, int64_t producer_id) MS_MUST_CHECK;
/* All records were loaded: sessions begin, requests are served. */
void ms_groups_loaded(struct ms_groups *groups);

/* Ends sessions, joins, syncs and the retention of offsets that are due. Returns in how many
 * milliseconds it wants to be called again (at least 0; being late only delays). */
int64_t ms_groups_tick(struct ms_groups *groups);

/* ---- requests ---- */

/* The head of every request that is answered by a callback. Zeroed by the caller, who owns the
 * request and keeps it in its place until it is answered or forgotten; the strings in it need to
 * be valid only during the call that hands it in. The rest is the coordinator's. */
struct ms_group_request {
    struct ms_group_request *next, *previous;
    uint8_t phase;
    enum ms_group_code code;
    void *memory; /* of the answer; freed after the callback */
    void *owner;  /* what it waits for */
    void (*deliver)(struct ms_group_request *request);
    void (*detach)(struct ms_groups *groups, struct ms_group_request *request);
};

/* The connection is gone: when this returns the callback is not running and will not be called
 * (unless it was called before, or this is called from inside it). Waits for a callback that is
 * running in another thread. The effect of the request on the group remains, but a new member that
 * can't know its id yet is removed. Not from inside the callback of another request: two that wait
 * for each other would wait for ever. */
void ms_groups_forget(struct ms_groups *groups, struct ms_group_request *request);

struct ms_group_protocol {
    struct ms_bytes name, metadata;
};

/* JoinGroup. Empty ids are none. */
struct ms_group_join_member {
    struct ms_bytes member_id, instance_id, metadata;
};
struct ms_group_join_answer {
    enum ms_group_code code;
    int32_t generation;        /* -1 when there is none */
    struct ms_bytes member_id; /* the member's own; empty when the request's stands */
    struct ms_bytes leader_id, protocol_type, protocol_name;
    bool skip_assignment;                       /* the leader has no assigning to do */
    const struct ms_group_join_member *members; /* for the leader: everyone */
    size_t member_count;
};
struct ms_group_join {
    struct ms_group_request request;
    struct ms_bytes group, member_id, instance_id, client_id, client_host, protocol_type;
    const struct ms_group_protocol *protocols;
    size_t protocol_count;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms; /* version 0 has none: the session timeout */
    bool require_member_id;       /* version 4 on */
    bool can_skip_assignment;     /* version 9 on */
    /* The answer and what it points to are valid during the call. Any thread. */
    void (*done)(struct ms_group_join *join, const struct ms_group_join_answer *answer);
    void *context;
};
/* LOADING, NOT_AVAILABLE, INVALID_GROUP_ID, INVALID_SESSION_TIMEOUT, INVALID_REQUEST,
 * POLICY_VIOLATION, FULL, MEMBER_ID_REQUIRED, UNKNOWN_MEMBER, FENCED_INSTANCE,
 * INCONSISTENT_PROTOCOL, REBALANCING. */
void ms_groups_join(struct ms_groups *groups, struct ms_group_join *join);

/* SyncGroup. Assignments of members that aren't in the group are passed over; members without one
 * get an empty one. */
struct ms_group_assignment {
    struct ms_bytes member_id, assignment;
};
struct ms_group_sync_answer {
    enum ms_group_code code;
    struct ms_bytes protocol_type, protocol_name, assignment;
};
struct ms_group_sync {
    struct ms_group_request request;
    struct ms_bytes group, member_id, instance_id;
    struct ms_bytes protocol_type, protocol_name; /* empty: not said (before version 5) */
    int32_t generation;
    const struct ms_group_assignment *assignments; /* from the leader */
    size_t assignment_count;
    void (*done)(struct ms_group_sync *sync, const struct ms_group_sync_answer *answer);
    void *context;
};
/* LOADING, NOT_AVAILABLE, INVALID_GROUP_ID, INVALID_REQUEST, UNKNOWN_MEMBER, FENCED_INSTANCE,
 * ILLEGAL_GENERATION, INCONSISTENT_PROTOCOL, REBALANCING, UNKNOWN_SERVER_ERROR (the group is too
 * large to be stored). */
void ms_groups_sync(struct ms_groups *groups, struct ms_group_sync *sync);

/* Who says so: the head of Heartbeat and of commits. */
struct ms_group_identity {
    struct ms_bytes group, member_id, instance_id;
    int32_t generation;
};
/* Heartbeat, answered at once. REBALANCING means: join again (the session goes on); LOADING,
 * NOT_AVAILABLE, INVALID_GROUP_ID, UNKNOWN_MEMBER, FENCED_INSTANCE, ILLEGAL_GENERATION. */
enum ms_group_code ms_groups_heartbeat(struct ms_groups *groups,
                                       const struct ms_group_identity *identity);

/* LeaveGroup, answered at once; also of consumer groups, whose tools use it. A member is named by
 * its id, or by its instance id alone. Each gets its own code: OK, UNKNOWN_MEMBER, FENCED_INSTANCE.
 * The returned code is about the group: OK, LOADING, NOT_AVAILABLE, INVALID_GROUP_ID. */
struct ms_group_leaver {
    struct ms_bytes member_id, instance_id;
    enum ms_group_code code;
};
enum ms_group_code ms_groups_leave(struct ms_groups *groups, struct ms_bytes group,
                                   struct ms_group_leaver *leavers, size_t count);

/* ---- consumer groups ---- */

#define MS_GROUP_EPOCH_JOIN 0
#define MS_GROUP_EPOCH_LEAVE (-1)
#define MS_GROUP_EPOCH_LEAVE_STATIC (-2) /* it will be back; its partitions wait for it */

struct ms_group_partitions {
    struct ms_uuid topic_id;
    struct ms_bytes topic; /* its name, where that is known; empty in requests */
    const int32_t *partitions;
    size_t count;
};

/* ConsumerGroupHeartbeat: joins, stays, leaves. Who joins says everything; later strings without
 * data and NULL arrays have not changed since the member said them last, and a pattern with data
 * but without length takes it back. */
struct ms_group_consume_answer {
    enum ms_group_code code;
    struct ms_bytes member_id;
    int32_t epoch;
    int32_t heartbeat_interval_ms;
    bool assigns; /* else what it has is what it had */
    const struct ms_group_partitions *topics;
    size_t topic_count;
};
struct ms_group_consume {
    struct ms_group_request request;
    struct ms_bytes group, member_id, instance_id, rack_id, client_id, client_host;
    int32_t epoch;                /* the member's; MS_GROUP_EPOCH_… */
    int32_t rebalance_timeout_ms; /* -1: as before */
    const struct ms_bytes *topics;
    size_t topic_count;
    struct ms_bytes pattern, assignor;
    const struct ms_group_partitions *owned;
    size_t owned_count;
    bool makes_id; /* version 0: a member without an id is given one; else it must have one */
    /* The answer and what it points to are valid during the call. Any thread. */
    void (*done)(struct ms_group_consume *consume, const struct ms_group_consume_answer *answer);
    void *context;
    /* The coordinator's. */
    struct ms_group_consume *next, *previous;
    void *member, *answer;
    uint64_t change;
};
/* LOADING, NOT_AVAILABLE, INVALID_REQUEST, POLICY_VIOLATION, NOT_FOUND (no such group, or a classic
 * one with members), FULL, UNKNOWN_MEMBER, FENCED_INSTANCE, FENCED_EPOCH, UNRELEASED_INSTANCE,
 * UNSUPPORTED_ASSIGNOR, INVALID_PATTERN. */
void ms_groups_consume(struct ms_groups *groups, struct ms_group_consume *consume);

/* ---- offsets ---- */

struct ms_group_offset {
    struct ms_bytes topic;
    int32_t partition;
    int64_t offset;       /* fetched: -1 when there is none */
    int32_t leader_epoch; /* -1 none */
    struct ms_bytes metadata;
    int64_t commit_time_ms; /* committing: -1 is now */
    enum ms_group_code code;
};

/* OffsetCommit. In a consumer group the generation is the member's epoch. A generation of -1 and no
 * member id is a program that assigns its partitions itself; the group must then be without
 * members. `offsets` is the caller's until the answer, which fills in their codes. */
struct ms_group_commit {
    struct ms_group_request request;
    struct ms_group_identity identity;
    int64_t retention_ms; /* -1 or 0: the group's retention */
    struct ms_group_offset *offsets;
    size_t offset_count;
    /* TxnOffsetCommit only. */
    int64_t producer_id;
    int16_t producer_epoch;
    /* `code` is about the request as a whole, and every offset without a code of its own has it. */
    void (*done)(struct ms_group_commit *commit, enum ms_group_code code);
    void *context;
};
/* LOADING, NOT_AVAILABLE, INVALID_GROUP_ID, INVALID_REQUEST, POLICY_VIOLATION, UNKNOWN_MEMBER,
 * FENCED_INSTANCE, ILLEGAL_GENERATION, STALE_EPOCH, REBALANCING, INVALID_COMMIT_SIZE; of a
 * partition OFFSET_METADATA_TOO_LARGE and INVALID_REQUEST (the others are committed). */
void ms_groups_commit(struct ms_groups *groups, struct ms_group_commit *commit);

/* The same for an open transaction: the offsets are pending until its end. Old clients say neither
 * member nor generation; then the group is not asked. */
void ms_groups_txn_commit(struct ms_groups *groups, struct ms_group_commit *commit);
/* The end of the producer's transaction is durable: its pending offsets become committed, or go. */
void ms_groups_txn_end(struct ms_groups *groups, int64_t producer_id, bool commit);

/* Whether who asks for offsets is who it says, before they are fetched: a member of a consumer
 * group with its epoch, or nobody in particular. OK, UNKNOWN_MEMBER, STALE_EPOCH. */
enum ms_group_code ms_groups_check_fetch(struct ms_groups *groups,
                                         const struct ms_group_identity *identity);

/* OffsetFetch of `count` offsets, whose topic and partition are filled in; the rest is answered,
 * metadata in `arena`. A group or partition that is not known has offset -1 and MS_GROUP_OK.
 * With `require_stable` a partition with an offset pending in an open transaction has
 * MS_GROUP_UNSTABLE_OFFSETS. LOADING, NOT_AVAILABLE, INVALID_GROUP_ID. */
enum ms_group_code ms_groups_fetch(struct ms_groups *groups, struct ms_bytes group,
                                   bool require_stable, struct ms_arena *arena,
                                   struct ms_group_offset *offsets, size_t count);
/* All offsets of the group, sorted by topic and partition. */
enum ms_group_code ms_groups_fetch_all(struct ms_groups *groups, struct ms_bytes group,
                                       bool require_stable, struct ms_arena *arena,
                                       struct ms_group_offset **ret_offsets, size_t *ret_count);

/* OffsetDelete: topic and partition of `offsets` say what; each gets a code, which is SUBSCRIBED
 * where members of the group read the topic. LOADING, NOT_AVAILABLE, INVALID_GROUP_ID, NOT_FOUND,
 * NON_EMPTY (members of another protocol type than "consumer": what they read is not known). */
struct ms_group_delete_offsets {
    struct ms_group_request request;
    struct ms_bytes group;
    struct ms_group_offset *offsets;
    size_t offset_count;
    void (*done)(struct ms_group_delete_offsets *request, enum ms_group_code code);
    void *context;
};
void ms_groups_delete_offsets(struct ms_groups *groups, struct ms_group_delete_offsets *request);

/* DeleteGroups, one group a request. LOADING, NOT_AVAILABLE, INVALID_GROUP_ID, NOT_FOUND, NON_EMPTY
 * (it has members, or offsets of an open transaction). */
struct ms_group_delete {
    struct ms_group_request request;
    struct ms_bytes group;
    void (*done)(struct ms_group_delete *request, enum ms_group_code code);
    void *context;
};
void ms_groups_delete(struct ms_groups *groups, struct ms_group_delete *request);

/* ---- describing ---- */

struct ms_group_member_info {
    struct ms_bytes member_id, instance_id, client_id, client_host;
    struct ms_bytes metadata, assignment; /* empty unless the group is stable */
};
struct ms_group_info {
    struct ms_bytes group;
    enum ms_group_type type;
    enum ms_group_state state; /* MS_GROUP_DEAD when there is no such group */
    int32_t generation;
    struct ms_bytes protocol_type, protocol_name; /* the name: empty unless the group is stable */
    const struct ms_group_member_info *members;
    size_t member_count;
};
/* Copies into `arena`. NOT_FOUND, LOADING, NOT_AVAILABLE (also: the arena is full),
 * INVALID_GROUP_ID. */
enum ms_group_code ms_groups_describe(struct ms_groups *groups, struct ms_bytes group,
                                      struct ms_arena *arena, struct ms_group_info *ret_info);

/* The same for consumer groups; a classic group is NOT_FOUND. `generation` of `base` is the group's
 * epoch. */
struct ms_group_consumer_info {
    struct ms_bytes member_id, instance_id, rack_id, client_id, client_host, pattern;
    int32_t epoch;
    const struct ms_bytes *topics; /* by name; what the pattern matches is not among them */
    size_t topic_count;
    const struct ms_group_partitions *assigned, *target;
    size_t assigned_count, target_count;
};
struct ms_consumer_group_info {
    struct ms_group_info base; /* without members */
    int32_t target_epoch;
    struct ms_bytes assignor;
    const struct ms_group_consumer_info *members;
    size_t member_count;
};
enum ms_group_code ms_groups_describe_consumers(struct ms_groups *groups, struct ms_bytes group,
                                                struct ms_arena *arena,
                                                struct ms_consumer_group_info *ret_info);

/* Groups whose state is in `states` (bits 1 << MS_GROUP_…) and whose type is in `types` (likewise);
 * 0 means all. Sorted by id, copied into `arena`; members are counted, and `members` is NULL.
 * LOADING, NOT_AVAILABLE. */
enum ms_group_code ms_groups_list(struct ms_groups *groups, uint32_t states, uint32_t types,
                                  struct ms_arena *arena, struct ms_group_info **ret_infos,
                                  size_t *ret_count);

/* ---- for metrics ---- */

struct ms_groups_stats {
    uint64_t groups[MS_GROUP_STATES];
    uint64_t types[MS_GROUP_TYPES];
    uint64_t members, pending_members, offsets, bytes, rebalances;
    uint64_t writes_in_flight, failed_writes;
};
void ms_groups_stats(struct ms_groups *groups, struct ms_groups_stats *ret_stats);

/* Every committed offset, for lag. The lock is held: `visit` is quick and doesn't call in. */
void ms_groups_visit_offsets(struct ms_groups *groups,
                             void (*visit)(void *context, struct ms_bytes group,
                                           const struct ms_group_offset *offset),
                             void *context);
