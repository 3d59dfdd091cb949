/*
 * The log of one shard: what every answer of Mainstem is derived from.
 *
 * This header is what the store uses; the pieces are
 *
 *   block.h      bytes of a block and its entries                 (on disk)
 *   segment.h    files of blocks, anchors, footers                (on disk)
 *   log.c        opening, closing, what the pieces share
 *   sequencer.c  packs entries into the open block                (memory only, under the lock)
 *   committer.c  makes blocks durable, publishes, completes       (one thread)
 *   keeper.c     prepares the next segment, seals full ones       (one thread)
 *   recovery.c   decides at start what is a torn tail and what is damage
 *   scan.c       follows the chain of blocks in one segment, for it
 *   ballast.c    room for the scavenger on a full disk
 *   tail.c       the newest blocks, in memory, for readers
 *   cursor.c     reading
 *   engine.h     the seam to a replicated engine (DESIGN section 4)
 *
 * An append's way:
 *
 *   ms_log_lock -> ms_log_admit -> ms_log_put (one per entry) -> ms_log_attach -> ms_log_unlock
 *     … the committer makes the block durable …
 *   on_publish(tickets) -> visible to readers -> ticket->done, in log order -> on_visible
 *
 * Promises (DESIGN section 3, numbered as there):
 *   1  a ticket completes with 0 only when its block is durable, and tickets complete in log order
 *   2  a failed write or sync is final: the log is poisoned, every waiting ticket completes with
 *      MS_EUNKNOWN, nothing is admitted any more, on_failure is called once
 *   3  entries are admitted only against space that is ready (prepare.c: synced, and it can't run
 *      out); without it ms_log_admit says MS_ENOSPC before anything is sequenced, and works again
 *      once there is space
 *   4  opening tells a torn tail from damage by evidence (recovery.h has the table)
 *   5  what recovery keeps is durable before it is served
 */
#pragma once

#include "log/block.h"
#include "metrics/metrics.h"
#include "os/env.h"

struct ms_log;
struct ms_segment;

enum ms_durability {
    MS_DURABILITY_COMMIT, /* one synced write per group commit before any acknowledgement */
    MS_DURABILITY_OS      /* acknowledged once the operating system has it: lost at a power cut */
};

/* Waits for a block to become durable. Part of the caller's request; lives until done is called. */
struct ms_log_ticket {
    struct ms_log_ticket *next;
    int64_t commit_time_ms; /* of the block, set before on_publish */
    void (*done)(struct ms_log_ticket *ticket, int status);
};

struct ms_log_options {
    const struct ms_env *env;
    const char *dir; /* of the shard */
    uint32_t shard;
    struct ms_uuid store_uuid;
    enum ms_durability durability;
    bool buffered_writes;
    bool read_only; /* nothing is written, nothing is cut: for restore and readers of backups */
    bool manual;    /* no threads: the caller runs ms_log_run */
    uint64_t segment_bytes;
    size_t append_bytes_max; /* of one admission; must fit a segment */
    size_t tail_cache_bytes;
    /* With `durability: commit`: after this time without an append a mark is written behind the
     * last block, once, which proves to recovery that the block was whole; 0: only a stop and a
     * start write marks. Not in manual mode. */
    int64_t idle_mark_ms;
    /* Derived state has seen events below it, so they were durable once, and opening a log that
     * ends before it is refused (recovery.h, row 11); 0: nothing is known. */
    uint64_t known_end;

    void *context;
    /* The tickets' blocks are durable; called in log order, before readers can see them. From the
     * committer's thread (manual: from ms_log_run). */
    void (*on_publish)(void *context, struct ms_log_ticket *tickets);
    /* Readers see everything below `end` and the tickets are done. Same thread. */
    void (*on_visible)(void *context, uint64_t end);
    /* The log is poisoned. Called once, from whichever thread found out. */
    void (*on_failure)(void *context, const struct ms_error *error);
    void (*on_progress)(void *context, const char *what, uint64_t done, uint64_t total);
    void (*on_warning)(void *context, const char *message);
};

/* Opens, recovers, starts a new epoch (unless read_only). MS_ECORRUPT and MS_EFORMAT name segment
 * and offset. MS_ENOSPC, MS_EIO, MS_ENOMEM, MS_EINVAL. */
int ms_log_open(const struct ms_log_options *options, struct ms_log **ret_log, struct ms_error *err)
    MS_MUST_CHECK;
/* From now on nothing is admitted; returns when every ticket is done. Readers go on. */
void ms_log_drain(struct ms_log *log);
/* Commits what is pending, writes the clean mark (unless poisoned), frees. Takes NULL. */
int ms_log_close(struct ms_log *log, struct ms_error *err);
/* manual mode: commits everything pending in this thread. */
void ms_log_run(struct ms_log *log);

/* ---- sequencing: between lock and unlock ---- */

void ms_log_lock(struct ms_log *log);
/* Wakes the committer when there is something to commit. */
void ms_log_unlock(struct ms_log *log);

/* May entries whose payloads sum up to `payload_bytes` be put, all in one block? Waits (the lock is
 * released meanwhile, *ret_waited is then true and whatever was decided before must be decided
 * anew) for a segment that is being prepared. `reserved` may use the space kept back for marks that
 * free space. MS_ENOSPC, MS_ETOOBIG, MS_ECLOSED (poisoned or closing), MS_ENOMEM. */
int ms_log_admit(struct ms_log *log, size_t payload_bytes, size_t entry_count, bool reserved,
                 bool *ret_waited, struct ms_error *err) MS_MUST_CHECK;

struct ms_log_put {
    uint8_t flags; /* MS_ENTRY_… but not LAST_IN_BLOCK */
    uint16_t partition;
    uint32_t topic;
    const uint8_t *stream_id; /* 16 bytes or NULL */
    int64_t first_version;
    int64_t first_offset;
    uint32_t record_count;
    struct ms_bytes batch; /* copied; base offset and leader epoch are patched in the copy */
};
/* Packs one entry; returns the position of its first record. Cannot fail after ms_log_admit. */
uint64_t ms_log_put(struct ms_log *log, const struct ms_log_put *put);
/* The ticket completes with the block that was put to last. */
void ms_log_attach(struct ms_log *log, struct ms_log_ticket *ticket);
/* For answers that read the log as far as below `end` without adding to it: false when all of that
 * is durable and visible (answer at once), else the ticket completes when it is. The log must not
 * have failed: the caller has looked, under the lock. */
bool ms_log_attach_reader(struct ms_log *log, uint64_t end, struct ms_log_ticket *ticket);
/* The position that the next record gets. */
uint64_t ms_log_next_position(const struct ms_log *log);

/* ---- state, from any thread ---- */

/* Readers see positions below it. */
uint64_t ms_log_end(struct ms_log *log);
bool ms_log_failed(struct ms_log *log);
/* Poisons the log: for whoever finds out that answers can't be trusted any more. */
void ms_log_fail(struct ms_log *log, const struct ms_error *error);

struct ms_log_info {
    uint64_t end, sequence;
    uint32_t epoch, segments;
    uint64_t log_bytes;
    uint64_t recovered_bytes;
    int64_t recovery_ms;
    bool recovered_torn_tail;
    bool clean_start;
    bool refusing_appends;
    bool failed;
    bool direct;
    uint64_t pending_bytes;
    uint64_t written_bytes; /* of blocks, since the start */
    uint64_t tail_bytes;    /* of the blocks in the tail cache */
};
void ms_log_info(struct ms_log *log, struct ms_log_info *ret_info);
int ms_log_metrics(struct ms_log *log, struct ms_buf *out) MS_MUST_CHECK;

/* ---- reading ---- */

struct ms_log_entry {
    struct ms_entry_header header;
    struct ms_bytes batch;
    int64_t first_offset;
    uint32_t record_count; /* positions it spans: last offset delta + 1 */
    int64_t commit_time_ms;
};

/* Reads entries forward, verifying both checksums of each. One thread per cursor. */
struct ms_log_cursor {
    struct ms_log *log;
    uint64_t next_position; /* entries that end at or below it are skipped */
    uint64_t expected;      /* where the entry at hand must begin */
    struct ms_segment *segment;
    struct ms_blob *window; /* memory that entries point into; take a reference to keep an entry */
    const uint8_t *bytes;   /* of the window that are in use: a part of the file */
    size_t len, at;
    uint64_t offset; /* of bytes[0] in the segment */
    uint32_t epoch;
    int64_t commit_time_ms;
    bool at_block_start;
    bool from_tail;
    bool positioned;
    struct ms_blob *frame; /* entries of a rewritten segment, decompressed; NULL: none at hand */
    size_t frame_len, frame_at;
    size_t read_bytes; /* of the next read from the file: grows while reading goes on */
    bool in_memory;    /* MS_EAGAIN where a file would have to be read */
};
void ms_log_cursor_init(struct ms_log_cursor *cursor, struct ms_log *log, uint64_t position);
void ms_log_cursor_deinit(struct ms_log_cursor *cursor);
/* The next call yields the entry that holds `position`, or the next one after it. */
void ms_log_cursor_seek(struct ms_log_cursor *cursor, uint64_t position);
/* Does the next entry begin in memory that the cursor has already? */
bool ms_log_cursor_at_hand(const struct ms_log_cursor *cursor);
/* 1 and an entry, valid until the next call; 0 at the end of what is visible. MS_ECORRUPT names
 * segment and offset, MS_EIO, MS_ENOMEM. May block for I/O. */
int ms_log_cursor_next(struct ms_log_cursor *cursor, struct ms_log_entry *ret_entry,
                       struct ms_error *err) MS_MUST_CHECK;
/* How much has to be read for the entry that holds `position`: its size when it is large, not much
 * more than 20 KiB otherwise; 0: not known. Nothing is read to find out. */
uint64_t ms_log_reach(struct ms_log *log, uint64_t position);
/* Where to start reading forward to see the entries before `position`: the first position of an
 * entry at most a few KiB (or one entry) before it. 0 when there is nothing before. */
uint64_t ms_log_anchor_before(struct ms_log *log, uint64_t position);
