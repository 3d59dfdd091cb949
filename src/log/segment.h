/*
 * A segment: one file of blocks, named by its first position ("%020llu.log"), and its anchors.
 *
 *   file:  block · block · … · block · [zeros: prepared space]              active
 *          block · block · … · block · footer block · trailer               sealed
 *
 * Life of a file, with the function on each arrow:
 *
 *   (none) --keeper.c: make_spare--> spare-<n>.tmp, being zero-filled
 *          --sequencer.c: roll_segment--> active --engine_local.c: name_segment--> <first
 *          position>.log --sequencer.c: roll_segment of the next--> full --ms_segment_seal (cut,
 *          footer, synced)--> sealed
 *
 * The footer is a block of its own (flag MS_BLOCK_FOOTER, and MS_BLOCK_OS when the last block has
 * it; no part of the chain) holding one entry of kind MS_ENTRY_ANCHORS; it is derived: a segment
 * without one is scanned. Its payload, little endian:
 *
 *     0   17 zero                      17    4 crc of the rest, big endian (as in a batch)
 *    21    3 zero                      24    8 end position        32    8 end offset of the blocks
 *    40    8 last block's sequence     48   16 last block's hash   64    8 last commit time, ms
 *    72    4 epoch count               76    4 anchor count        80    4 last block's epoch
 *    84    4 losses: 0 not known (of a rewritten segment), else 1 + their count
 *    88    4 n epochs                   …   16 n anchors                 …   24 n losses
 *
 * and the last 64 bytes of the file are the trailer: magic "MSTMEND1", footer offset (8), footer
 * length (8), zero (36), crc of these 60 bytes (4).
 *
 * An anchor says where an entry begins, so that a position is found without reading from the start
 * of the segment: one per block, one for every 4 KiB within large blocks, and one for each large
 * entry. In memory and on disk:
 *
 *     0    4 position - first position of the segment
 *     4    4 offset in the file
 *     8 8 commit time in ms << 16 | 0x8000 when it is a block's first entry (the offset is then the
 *            block header's) | index into the epochs
 *
 * A loss (losses.h) is a topic (4), zero (4), and the first and last position that were removed (8
 * each). A footer that has any says so (flag MS_BLOCK_LOSSES): versions that would drop them refuse
 * to open it.
 *
 * Threads: anchors of the active segment are appended by the sequencer (under its lock) and read by
 * anyone: the count is published with release order, the array never moves.
 */
#pragma once

#include "log/log.h"
#include "log/losses.h"

#define MS_SEGMENT_NAME_LEN 24 /* 20 digits and ".log" */
#define MS_SEGMENT_EPOCHS_MAX 4096u
#define MS_SEGMENT_TRAILER_LEN 64u
#define MS_SEGMENT_FOOTER_FIXED 88u

struct ms_anchor {
    uint32_t position_delta;
    uint32_t offset;
    uint64_t time_and_epoch;
};
_Static_assert(sizeof(struct ms_anchor) == 16, "anchors are written to disk as they are");

#define MS_ANCHOR_BLOCK_START 0x8000u
#define MS_ANCHOR_EPOCH_MASK 0x7fffu

struct ms_anchor_place {
    uint64_t position, offset;
    int64_t commit_time_ms;
    uint32_t epoch;
    bool block_start;
};

enum ms_segment_state { MS_SEGMENT_ACTIVE, MS_SEGMENT_FULL, MS_SEGMENT_SEALED };

/* Whose segment it is: what its blocks say, and where its file lies. */
struct ms_segment_owner {
    const struct ms_env *env;
    struct ms_uuid log_uuid;
    uint32_t shard;
    uint32_t epoch; /* that what is written now belongs to */
};

struct ms_segment {
    atomic_uint refs;
    uint64_t first_position;
    _Atomic(uint64_t) end_position; /* exact once full */
    uint64_t bytes_max;             /* room for blocks: file size without footer space */
    _Atomic(uint64_t) ready_bytes;  /* prepared, as prepare.c says */
    uint64_t allocated_end;         /* below it space may be only allocated; under the log's lock */
    _Atomic(uint64_t) end_offset;   /* where the next block goes / the blocks end */
    uint64_t file_bytes;            /* size of the file when full size */
    _Atomic(int) state;
    struct ms_file *reader; /* buffered */
    struct ms_file *writer; /* the committer's; NULL when not active */
    bool named;             /* has its final name */
    struct ms_anchor *anchors;
    _Atomic(uint32_t) anchor_count;
    uint32_t anchor_capacity;
    uint32_t *epochs;
    _Atomic(uint32_t) epoch_count;
    /* of the last block as it was first written, for the footer and the chain */
    uint64_t last_sequence;
    struct ms_hash128 last_hash;
    int64_t last_commit_time_ms;
    uint32_t last_epoch;
    bool last_os;   /* flag MS_BLOCK_OS */
    bool rewritten; /* by the scavenger: its blocks are no chain, positions have gaps */
    bool losses_known;
    struct ms_losses losses; /* of a rewritten one; once it is the log's, under its segments_lock */
    char path[];
};

/* Space at the end of a segment file of this size that is kept for footer and trailer. */
uint64_t ms_segment_footer_bytes(uint64_t segment_bytes);
void ms_segment_name(uint64_t first_position, char out[MS_SEGMENT_NAME_LEN + 1]);
/* False when name isn't a segment's. */
bool ms_segment_name_parse(const char *name, uint64_t *ret_first_position);

/* A segment without files open. MS_ENOMEM. */
int ms_segment_new(const char *path, uint64_t first_position, uint64_t file_bytes,
                   struct ms_segment **ret_segment) MS_MUST_CHECK;
struct ms_segment *ms_segment_ref(struct ms_segment *segment);
void ms_segment_unref(struct ms_segment *segment); /* the last one closes files and frees */

/* Adds an anchor (sequencer or recovery only). Silently left out when the array is full: anchors
 * are hints, reading then begins further ahead. */
void ms_segment_anchor(struct ms_segment *segment, const struct ms_anchor_place *place);
/* The last anchor at or before position; false when there is none. */
bool ms_segment_find_anchor(const struct ms_segment *segment, uint64_t position,
                            struct ms_anchor *ret_anchor);
/* Where the first anchor behind this place of the file is; where the blocks end when none is. */
uint64_t ms_segment_next_anchor(const struct ms_segment *segment, uint64_t offset);
static inline int64_t ms_anchor_time_ms(const struct ms_anchor *anchor) {
    return (int64_t)(anchor->time_and_epoch >> 16);
}
static inline bool ms_anchor_is_block(const struct ms_anchor *anchor) {
    return (anchor->time_and_epoch & MS_ANCHOR_BLOCK_START) != 0;
}
uint32_t ms_anchor_epoch(const struct ms_segment *segment, const struct ms_anchor *anchor);

/* Writes footer and trailer behind the last block, cuts the file there, syncs. The segment must be
 * full (or closed for writing). A failure leaves the segment as it was, without footer. */
int ms_segment_seal(struct ms_segment *segment, const struct ms_segment_owner *owner,
                    struct ms_error *err) MS_MUST_CHECK;
/* Loads trailer and footer of an opened segment (reader is open): MS_OK, or MS_ENOTFOUND when there
 * is no valid one (then it must be scanned). */
int ms_segment_load_footer(struct ms_segment *segment, const struct ms_uuid *log_uuid,
                           struct ms_error *err) MS_MUST_CHECK;
