/*
 * What the pieces of src/group share; group.h lists them. Not for anyone outside this directory.
 *
 * All state stands under groups->mutex. A call of the API is a turn: ms_turn_begin locks, the call
 * changes state, queues answers and writes, and ms_turn_end hands both out without the lock until
 * none is left. Functions that take a turn, or whose comment says "locked", run under the lock.
 *
 *   groups -- table --> group -- table, list --> member -- join, sync --> waiting requests
 *                         |
 *                         |-- consumer.h: a consumer group has that instead of members
 *                         |
 *                         '-- table --> offset (topic, partition) -- list --> pending of a producer
 *
 *   A write in flight holds a count on its group and on the offsets it is about, so that neither
 *   goes before its outcome is known.
 */
#pragma once

#include <pthread.h>

#include "group/group.h"
#include "group/record.h"
#include "group/table.h"
#include "group/timers.h"

struct ms_consumer_group;
struct ms_group;
struct ms_write;

enum ms_timer_kind {
    MS_TIMER_SWEEP,
    MS_TIMER_SESSION,
    MS_TIMER_REBALANCE,
    MS_TIMER_CONSUMER_SESSION,
    MS_TIMER_REVOCATION
};

/* ---- members ---- */

struct ms_protocols {
    size_t count, bytes;
    struct ms_group_protocol item[];
};

struct ms_member {
    struct ms_table_node node;         /* by id; pending ones too */
    struct ms_member *next, *previous; /* in the order of joining; not when pending */
    struct ms_group *group;
    struct ms_timer session;
    struct ms_bytes id, instance_id, client_id, client_host; /* memory of each its own */
    struct ms_protocols *protocols;
    int32_t session_timeout_ms, rebalance_timeout_ms;
    struct ms_bytes assignment; /* of the group's generation, durable */
    struct ms_bytes proposed;   /* the leader's, on its way to be durable */
    struct ms_group_join *join; /* waits */
    struct ms_group_sync *sync; /* waits */
    bool pending;               /* its id was handed out, it has not joined with it yet */
    bool fresh;                 /* has not got an answer to a join yet */
    bool knows_id;              /* it was told its id */
    bool awaits_sync;           /* joined the generation, has not synced yet */
};

/* ---- offsets ---- */

struct ms_offset_data {
    int64_t offset, commit_time_ms, expire_time_ms;
    int32_t leader_epoch;
    struct ms_bytes metadata; /* memory of its own */
};

struct ms_offset {
    struct ms_table_node node; /* by topic and partition */
    struct ms_group *group;
    bool committed;
    struct ms_offset_data data; /* while `committed` */
    uint64_t sequence;          /* of what was applied last, a deletion too */
    uint32_t writes;            /* in flight */
    struct ms_pending *pending; /* newest first */
    int32_t partition;
    size_t topic_len;
    char topic[];
};

enum ms_pending_fate { MS_PENDING_OPEN, MS_PENDING_COMMITTED, MS_PENDING_ABORTED };

/* An offset in an open transaction. */
struct ms_pending {
    struct ms_table_node node; /* by producer */
    struct ms_pending *next;   /* of the offset */
    struct ms_offset *offset;
    int64_t producer_id;
    uint64_t sequence;
    struct ms_offset_data data;
    bool durable;              /* its record is */
    enum ms_pending_fate fate; /* what waits for it to be durable */
};

/* ---- groups ---- */

struct ms_group {
    struct ms_table_node node;
    struct ms_groups *groups;
    enum ms_group_type type;
    enum ms_group_state state;
    int64_t state_since_ms; /* wall time */
    int32_t generation;
    uint64_t position; /* of the record it was loaded from, + 1; while loading */
    struct ms_bytes protocol_type, protocol_name; /* memory of each its own */
    struct ms_table members;                      /* and pending ones */
    struct ms_member *first, *last, *leader;
    uint32_t member_count, pending_count, awaiting_join;
    bool initial;      /* PREPARING after EMPTY: waits for the delay, not for members */
    bool member_added; /* during that delay */
    bool assigning;    /* COMPLETING: the leader's assignments are being stored */
    bool stored;       /* a record of it may be there */
    int64_t delay_left_ms;
    struct ms_timer timer;               /* the join's or the sync's end */
    struct ms_consumer_group *consumers; /* consumer.h; NULL in a classic group */
    struct ms_table offsets;
    uint64_t pending_offsets;
    uint32_t writes;   /* in flight */
    uint32_t removals; /* of these: deletions of the whole group */
    size_t id_len;
    char id[];
};

struct ms_delivery {
    struct ms_delivery *next;
    struct ms_group_request *request; /* whose callback is running */
    pthread_t thread;
};

struct ms_groups {
    struct ms_groups_options options;
    pthread_mutex_t mutex;
    pthread_cond_t delivered;
    bool loaded, stopped, writing;
    struct ms_table groups;
    struct ms_table pendings; /* by producer */
    struct ms_timers timers;
    struct ms_timer sweep;
    size_t sweep_chain;       /* where the sweep goes on */
    int64_t promised_tick_ms; /* monotonic; when the owner will call ms_groups_tick at the latest */
    uint64_t sequence;
    uint64_t offset_count, members, pending_members;
    size_t bytes;
    uint64_t rebalances, failed_writes, writes_in_flight;
    struct ms_group_request *answers, *answers_last;
    struct ms_write *writes, *writes_last;
    struct ms_delivery *deliveries;
};

/* ---- turn.c ---- */

struct ms_turn {
    struct ms_groups *groups;
    int64_t now_ms;  /* monotonic */
    int64_t wall_ms; /* since 1970 */
};

void ms_turn_begin(struct ms_turn *turn, struct ms_groups *groups);
void ms_turn_end(struct ms_turn *turn);
/* LOADING, NOT_AVAILABLE when stopped, INVALID_GROUP_ID. */
enum ms_group_code ms_turn_check(const struct ms_turn *turn, struct ms_bytes group);

enum ms_request_phase { MS_REQUEST_NEW, MS_REQUEST_WAITING, MS_REQUEST_QUEUED, MS_REQUEST_DONE };

/* The request waits at `owner`; `detach` (locked) makes the owner forget it. */
void ms_request_wait(struct ms_group_request *request, void *owner,
                     void (*detach)(struct ms_groups *groups, struct ms_group_request *request));
/* Its answer is `code`, and what `memory` (freed afterwards) holds; `deliver` is set. */
void ms_request_answer(struct ms_groups *groups, struct ms_group_request *request,
                       enum ms_group_code code, void *memory);

/* Records on their way. Encoded under the lock, appended in the order of ms_write_queue. */
struct ms_write_item {
    struct ms_offset *offset;
    struct ms_pending *pending; /* of a transaction: the offset is not touched */
    bool removal;
    struct ms_offset_data data;
    struct ms_group_offset *asked; /* the request's, to be given the code; NULL none */
};
struct ms_write {
    struct ms_write *next;
    struct ms_groups *groups;
    struct ms_group *group;
    /* Locked. The outcome is known. */
    void (*finish)(struct ms_turn *turn, struct ms_write *write, int code);
    struct ms_group_request *request; /* waits for it; NULL none, or forgotten */
    uint64_t sequence;
    uint64_t change; /* of a consumer group: what it makes durable */
    int64_t producer_id;
    int16_t producer_epoch;
    uint8_t holders;                 /* the appender and the completion: the last one frees it */
    int32_t generation;              /* of the group when it was made */
    char *member_id, *old_member_id; /* of a static member that was replaced */
    struct ms_buf bytes;             /* of the records */
    struct ms_group_record *records; /* views, made when no more bytes come */
    struct ms_write_record {
        size_t key_at, value_at, end;
        bool tombstone;
    } * places;
    size_t record_count, record_capacity;
    struct ms_write_item *items;
    size_t item_count, item_capacity;
};

#define MS_WRITE_BYTES_MAX ((size_t)64 << 20)

/* For up to `records` records about up to `items` offsets. NULL: memory. */
struct ms_write *ms_write_new(struct ms_group *group, size_t records, size_t items,
                              void (*finish)(struct ms_turn *, struct ms_write *, int));
void ms_write_free(struct ms_write *write);
/* Before anything of a record is written to write->bytes; the key comes first. */
void ms_write_key_begins(struct ms_write *write);
void ms_write_value_begins(struct ms_write *write);
void ms_write_record_ends(struct ms_write *write, bool tombstone);
/* From now on it will be appended and finished; counts on group and offsets are taken. */
void ms_write_queue(struct ms_turn *turn, struct ms_write *write);
/* The request waits for the write, whose finish answers it. */
void ms_write_attach(struct ms_write *write, struct ms_group_request *request);
/* NOT_AVAILABLE, `too_big` for MS_ETOOBIG, OK for 0. */
enum ms_group_code ms_write_code(int code, enum ms_group_code too_big);

/* ---- groups.c ---- */

/* Memory that counts towards bytes_max; NULL past it. Sizes of 0 give NULL. Locked. */
void *ms_group_alloc(struct ms_groups *groups, size_t size);
void ms_group_release(struct ms_groups *groups, void *memory);
/* A copy; false: memory. Empty bytes are {NULL, 0}. */
bool ms_group_copy(struct ms_groups *groups, struct ms_bytes bytes, struct ms_bytes *ret_copy);
void ms_group_drop(struct ms_groups *groups, struct ms_bytes *bytes);
static inline struct ms_bytes ms_group_id(const struct ms_group *group) {
    return ms_bytes_of(group->id, group->id_len);
}
struct ms_group *ms_group_find(struct ms_groups *groups, struct ms_bytes id);
/* OK, POLICY_VIOLATION, NOT_AVAILABLE. */
enum ms_group_code ms_group_find_or_make(struct ms_turn *turn, struct ms_bytes id,
                                         struct ms_group **ret_group);
void ms_group_enter(struct ms_turn *turn, struct ms_group *group, enum ms_group_state state);
/* Frees the group when nothing is left of it that needs a tombstone or an outcome. The pointer is
 * dead afterwards unless the caller knows better. */
void ms_group_reap(struct ms_group *group);
/* Key and value of the group's metadata record; members' assignments are `proposed` ones when
 * `proposed`. MS_ENOMEM, MS_ETOOBIG. */
int ms_group_encode(struct ms_write *write, const struct ms_group *group, bool proposed);
int ms_group_encode_tombstone(struct ms_write *write, const struct ms_group *group);

/* ---- member.c ---- */

struct ms_protocols *ms_protocols_new(struct ms_groups *groups,
                                      const struct ms_group_protocol *protocols, size_t count);
bool ms_protocols_equal(const struct ms_protocols *own, const struct ms_group_protocol *protocols,
                        size_t count);
/* NULL when it doesn't know the protocol. */
const struct ms_group_protocol *ms_protocols_find(const struct ms_protocols *protocols,
                                                  struct ms_bytes name);
/* What the member brings for the group's protocol; empty when there is none. */
struct ms_bytes ms_member_metadata(const struct ms_member *member);

/* A pending member with that id, its session not begun. NULL: memory. */
struct ms_member *ms_member_new(struct ms_group *group, struct ms_bytes id,
                                struct ms_bytes instance_id);
/* A pending member becomes one of the group; the first one leads. */
void ms_member_admit(struct ms_member *member);
/* Out of the group and freed; what it waits for is answered with `code`. The group's leader is then
 * its oldest member. No rebalance is begun. */
void ms_member_remove(struct ms_turn *turn, struct ms_member *member, enum ms_group_code code);
/* Another id for a static member; its old self's requests are answered FENCED_INSTANCE. False:
 * memory. */
bool ms_member_rename(struct ms_turn *turn, struct ms_member *member, struct ms_bytes id);
void ms_member_touch(struct ms_turn *turn, struct ms_member *member);
struct ms_member *ms_member_find(const struct ms_group *group,
                                 struct ms_bytes id); /* not pending */
struct ms_member *ms_member_find_pending(const struct ms_group *group, struct ms_bytes id);
struct ms_member *ms_member_find_instance(const struct ms_group *group, struct ms_bytes instance);
/* The member that calls itself so: OK, UNKNOWN_MEMBER, FENCED_INSTANCE. */
enum ms_group_code ms_member_check(const struct ms_group *group, struct ms_bytes id,
                                   struct ms_bytes instance_id, struct ms_member **ret_member);
/* The session's timer has come. */
void ms_member_expire(struct ms_turn *turn, struct ms_member *member);
void ms_member_set_assignment(struct ms_member *member, struct ms_bytes *assignment); /* moved */

/* ---- classic.c ---- */

/* A member left or changed, or one wants a rebalance: begins one unless one is running. */
void ms_rebalance_prepare(struct ms_turn *turn, struct ms_group *group);
/* Ends the preparing phase when everyone is there. */
void ms_rebalance_try_complete(struct ms_turn *turn, struct ms_group *group);
/* The group's timer has come: joins or syncs are late. */
void ms_rebalance_expire(struct ms_turn *turn, struct ms_group *group);
/* A member is gone: whatever that means in this state. */
void ms_rebalance_after_removal(struct ms_turn *turn, struct ms_group *group);
void ms_rebalance_synced(struct ms_turn *turn, struct ms_member *member);
/* The protocol that the members would choose; empty when there is none. */
struct ms_bytes ms_rebalance_choose(const struct ms_group *group);
/* Every member's sync is answered: `code`, or its assignment. */
void ms_rebalance_answer_syncs(struct ms_turn *turn, struct ms_group *group,
                               enum ms_group_code code);

/* ---- join.c, sync.c ---- */

/* Copies bytes to *at, which moves behind them: for answers, which are one block of memory. */
static inline struct ms_bytes ms_place(uint8_t **at, struct ms_bytes bytes) {
    struct ms_bytes placed = ms_bytes_of(*at, bytes.len);
    if (bytes.len > 0)
        memcpy(*at, bytes.data, bytes.len);
    *at += bytes.len;
    return placed;
}
/* The member's waiting join is answered: `code`, or the generation at hand. */
void ms_join_answer(struct ms_turn *turn, struct ms_member *member, enum ms_group_code code);
void ms_sync_answer(struct ms_turn *turn, struct ms_member *member, enum ms_group_code code);

/* ---- offsets.c ---- */

struct ms_offset *ms_offset_find(const struct ms_group *group, struct ms_bytes topic,
                                 int32_t partition);
/* NULL: memory. */
struct ms_offset *ms_offset_find_or_make(struct ms_group *group, struct ms_bytes topic,
                                         int32_t partition);
/* Frees it when it says nothing and nothing is in flight. */
void ms_offset_reap(struct ms_offset *offset);
/* Takes over `data` (its metadata too), or removes with NULL, unless something newer is there. */
void ms_offset_apply(struct ms_offset *offset, struct ms_offset_data *data, uint64_t sequence);
void ms_offset_free_all(struct ms_group *group);
/* A tombstone for the offset joins the write. MS_ENOMEM, MS_ETOOBIG. */
int ms_offset_remove(struct ms_write *write, struct ms_offset *offset);
/* The write's items are applied (0) or dropped. */
void ms_offset_finish(struct ms_write *write, int code);
struct ms_group_offset ms_offset_view(const struct ms_offset *offset);

/* ---- txn.c ---- */

/* NULL: memory. Takes over data->metadata. */
struct ms_pending *ms_pending_new(struct ms_offset *offset, int64_t producer_id, uint64_t sequence,
                                  struct ms_offset_data *data);
void ms_pending_free(struct ms_pending *pending);
/* Its record is durable (0) or isn't there. */
void ms_pending_settle(struct ms_pending *pending, int code);

/* ---- expiry.c ---- */

void ms_sweep(struct ms_turn *turn);
