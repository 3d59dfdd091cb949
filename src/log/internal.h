/*
 * What the pieces of src/log share. Not for anyone outside this directory.
 *
 * Locks, in rank order (a thread takes them in this order only; docs/internals/threads.md):
 *   1 log->mutex        sequencing state, block queues, tickets
 *   2 log->segments_lock  the table of segments
 *   3 log->tail_lock      the tail cache
 */
#pragma once

#include <pthread.h>

#include "log/engine.h"
#include "log/segment.h"

#define MS_CHUNK_BYTES ((size_t)1 << 20) /* blocks are packed into chunks of memory of this size */
#define MS_CHUNK_POOL_MAX 16u
#define MS_ANCHOR_EVERY 4096u
#define MS_ANCHOR_LARGE 16384u /* an entry from this size on has its own */
#define MS_LOG_TO_SEAL_MAX 64u
/* A segment has room for the largest append, and this much more. */
#define MS_MARKS_ROOM 65536u

/* A block in memory: being packed, waiting for the committer, or in the tail. */
struct ms_log_block {
    struct ms_log_block *next;
    struct ms_blob *chunk;
    uint8_t *data;
    size_t len, capacity;
    struct ms_segment *segment;
    uint64_t offset; /* in the segment */
    uint64_t sequence;
    uint64_t first_position;
    uint32_t entry_count, record_count;
    uint32_t entries_crc;
    size_t last_entry;  /* offset in data, 0 = none */
    size_t anchored_at; /* offset of the newest anchor */
    uint32_t
        first_anchor; /* anchors of this block in the segment: their time is filled in at seal */
    int64_t commit_time_ms;
    uint16_t flags;
    bool reserved; /* lies in the space kept back: only for what frees space */
    struct ms_log_ticket *tickets, **tickets_end;
};

struct ms_tail_block {
    uint64_t first_position, end_position;
    uint64_t segment; /* first position of its segment */
    uint64_t offset;
    size_t len;
    const uint8_t *data;
    struct ms_blob *chunk;
};

struct ms_tail {
    pthread_rwlock_t lock;
    struct ms_tail_block *ring; /* power of two */
    size_t capacity, head, count;
    size_t bytes_max;
    size_t bytes; /* of the blocks, padding included */
};

/* ballast.c */
enum ms_ballast {
    MS_BALLAST_WANTED,
    MS_BALLAST_THERE,
    MS_BALLAST_RELEASED, /* a rewrite uses its room: the keeper takes none */
    MS_BALLAST_GIVEN_UP, /* there was no room for it: until a segment was sealed */
};

/* The committer's memory of how groups went; see gather() in committer.c. */
struct ms_gather {
    size_t last_tickets;
    int64_t write_us; /* moving average */
    int score;
    unsigned skipped;
};

struct ms_log_metrics {
    struct ms_counter blocks, entries, records, bytes, padding_bytes;
    struct ms_counter space_waits, space_refusals;
    struct ms_histogram commit_us; /* write and sync of one group */
    struct ms_histogram block_entries;
    struct ms_histogram block_bytes;
};

struct ms_log {
    struct ms_log_options options;
    const struct ms_env *env;
    char *dir;
    uint32_t epoch;

    pthread_mutex_t mutex;
    pthread_cond_t work; /* for the committer */
    pthread_cond_t room; /* for ms_log_admit */
    pthread_cond_t keeper_work;
    pthread_cond_t drained;
    pthread_t committer, keeper;
    bool committer_started, keeper_started;
    bool committer_idle;
    size_t gather_target; /* the committer waits for this many tickets; 0 it does not */
    size_t open_tickets;  /* of the open block */
    enum ms_ballast ballast;
    bool closing, stop_keeper, stop_committer;
    bool marking;  /* the clean mark may be written while closing */
    bool unmarked; /* the last block on disk has entries */
    _Atomic(bool) failed;
    struct ms_error failure;

    /* sequencing state */
    struct ms_segment *active;
    uint64_t active_offset; /* where the next block begins */
    struct ms_log_block *open;
    struct ms_log_block *sealed, **sealed_end;
    struct ms_log_block *committing;
    struct ms_blob *chunk;
    size_t chunk_used;
    uint64_t next_position;
    uint64_t next_sequence;
    uint64_t durable_position; /* below it everything is durable */
    uint64_t synced_through;   /* sequence */
    struct ms_hash128 previous_hash;
    int64_t last_commit_time_ms;
    uint64_t pending_bytes;

    /* the keeper's */
    struct ms_segment *spare; /* being filled or ready; NULL none yet */
    uint64_t spares_made;
    struct ms_segment *to_seal[MS_LOG_TO_SEAL_MAX];
    size_t to_seal_count;
    bool no_space;
    int64_t warned_us; /* of little free space */
    bool hungry;       /* somebody waits for room: fill without pauses */
    uint64_t wanted;   /* and for how much of it, from the active segment's next block on */
    bool bulk;         /* groups are large: space is allocated only; see prepare.c */
    bool no_allocate;  /* the file system can't */
    _Atomic(bool) direct;
    _Atomic(uint64_t) group_bytes; /* of the last groups, on average */

    _Atomic(uint64_t) end; /* readers see below it */

    pthread_rwlock_t segments_lock;
    struct ms_segment **segments;
    size_t segment_count, segment_capacity;
    _Atomic(uint64_t) losses_count; /* moves under the lock, with what it counts */

    struct ms_tail tail;
    struct ms_engine *engine;

    pthread_mutex_t chunk_lock;
    struct ms_blob *chunk_pool[MS_CHUNK_POOL_MAX];
    size_t chunk_pool_count;

    uint64_t recovered_bytes;
    int64_t recovery_ms;
    bool recovered_torn_tail, clean_start;
    struct ms_gather gather;
    struct ms_log_metrics metrics;
};

/* log.c */
void ms_log_poison(struct ms_log *log, const struct ms_error *error); /* the one way to stop */
/* Packed with all that is around it. */
uint64_t ms_log_largest_append(const struct ms_log_options *options);
int ms_log_add_segment(struct ms_log *log, struct ms_segment *segment) MS_MUST_CHECK;
/* The segment that holds position (or the first after it), referenced; NULL at the end. */
struct ms_segment *ms_log_find_segment(struct ms_log *log, uint64_t position);
int ms_log_chunk_new(struct ms_log *log, size_t size, struct ms_blob **ret_chunk) MS_MUST_CHECK;
/* prepare.c */
/* With O_DIRECT where the log writes so: whole 4 KiB blocks then. */
int ms_log_open_for_zeros(struct ms_log *log, const char *path, int flags,
                          struct ms_file **ret_file, struct ms_error *err) MS_MUST_CHECK;
int ms_log_write_zeros(struct ms_log *log, struct ms_file *file, uint64_t from, uint64_t to,
                       uint64_t *ret_end, struct ms_error *err) MS_MUST_CHECK;
/* Prepares the next step of a segment, of at most `target` bytes; its ready_bytes moves when that
 * is durable. MS_ENOSPC also when it moved, but not as far as it should have. */
int ms_prepare_step(struct ms_log *log, struct ms_segment *segment, uint64_t target,
                    struct ms_error *err) MS_MUST_CHECK;
void ms_prepare_note_group(struct ms_log *log, uint64_t bytes); /* the committer */
/* Under the lock: is space ahead of the writers that is only allocated to be written with zeros? */
bool ms_prepare_retractable(const struct ms_log *log);
/* Under the lock: allocate or write zeros from now on; takes such space back. */
void ms_prepare_choose(struct ms_log *log);
/* ballast.c */
#define MS_BALLAST_NAME "ballast"
void ms_ballast_found(struct ms_log *log, uint64_t size); /* at start; a part of one is made anew */
int ms_ballast_make(struct ms_log *log, struct ms_error *err) MS_MUST_CHECK;
/* On a disk that is full: gives the ballast's room to a rewrite, which ends with
 * ms_ballast_restore. False: there is room, or no ballast. */
bool ms_ballast_release(struct ms_log *log);
void ms_ballast_restore(struct ms_log *log);
struct ms_segment_owner ms_log_owner(const struct ms_log *log);
/* What marks may take of a segment that is to take the largest append as well. */
uint64_t ms_log_room_to_spare(const struct ms_log_options *options);
/* ms_segment_seal for a segment of this log. */
int ms_log_seal(struct ms_log *log, struct ms_segment *segment, struct ms_error *err) MS_MUST_CHECK;

/* sequencer.c; all under log->mutex */
/* Puts a mark (no entries) as a block of its own at the end of the queue. */
int ms_sequencer_mark(struct ms_log *log, uint16_t flags, struct ms_error *err) MS_MUST_CHECK;
/* Ends the open block, if it holds anything, and queues it. */
void ms_sequencer_seal_open(struct ms_log *log);
void ms_log_block_free(struct ms_log_block *block);

/* committer.c */
void *ms_committer_main(void *log);
/* Commits what is queued; false when there was nothing. Called without the lock. */
bool ms_committer_step(struct ms_log *log);

/* keeper.c */
void *ms_keeper_main(void *log);
/* One unit of work; false when there was nothing to do or it failed. Without the lock. */
bool ms_keeper_step(struct ms_log *log);
/* Under the lock: is there work for the keeper? */
bool ms_keeper_wanted(struct ms_log *log);

/* recovery.c: fills the table of segments and the sequencing state; the caller starts the epoch. */
int ms_recovery_run(struct ms_log *log, struct ms_error *err) MS_MUST_CHECK;

/* tail.c */
int ms_tail_init(struct ms_tail *tail, size_t bytes_max) MS_MUST_CHECK;
void ms_tail_deinit(struct ms_tail *tail);
void ms_tail_add(struct ms_tail *tail, const struct ms_log_block *block);
/* Drops every block of a segment: its file is about to be another one. */
void ms_tail_forget(struct ms_tail *tail, uint64_t segment);
/* The block that covers this place of a segment, referenced; false when it isn't in memory. */
bool ms_tail_find(struct ms_tail *tail, uint64_t segment, uint64_t offset,
                  struct ms_tail_block *ret_block);
