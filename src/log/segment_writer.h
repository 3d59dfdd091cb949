/*
 * Writing a segment file anew: entries into frames (frame.h), frames into blocks of about 1 MiB,
 * anchors, and a footer. What the scavenger, a cut and repair have in common; none of them needs an
 * open log for it.
 *
 *   open --add--> … --add--> finish: the file is whole and synced under the path it was given
 *   close: at any time; takes the file away unless it is to stay
 *
 * All blocks repeat the sequence, the hash and the time of `first`: the first of them continues the
 * segment before, and where the chain goes on behind the segment stands in its footer. Memory: one
 * frame and one block. One thread.
 */
#pragma once

#include "log/segment.h"

#define MS_SEGMENT_WRITER_ANCHORS 64u /* of one block */

struct ms_segment_writer {
    struct ms_segment_owner owner;
    struct ms_block_header first; /* what the first block must say to continue the chain */
    struct ms_segment *segment;   /* the new one */
    struct ms_file *file;
    struct ms_buf content; /* of the frame at hand */
    uint64_t content_position;
    int64_t content_time_ms;
    uint32_t content_entries;
    struct ms_buf block; /* header space and entries */
    struct ms_anchor_place anchors[MS_SEGMENT_WRITER_ANCHORS];
    size_t anchor_count;
    uint32_t block_entries, entries_crc;
    uint64_t block_position;
    bool any_block;
    bool closing; /* the frame being flushed is the last of all */
};

/* Where the segment ends, and what the next one continues. */
struct ms_segment_end {
    uint64_t position;
    uint64_t last_sequence;
    struct ms_hash128 last_hash;
    int64_t last_commit_time_ms;
    uint32_t last_epoch;
    bool last_os; /* the block's flag MS_BLOCK_OS */
};

/* Of `first` the fields segment, sequence, synced through, commit time and previous hash count.
 * MS_ENOSPC, MS_EIO, MS_ENOMEM; close it in any case. */
int ms_segment_writer_open(struct ms_segment_writer *writer, const struct ms_segment_owner *owner,
                           const char *path, uint64_t segment_bytes,
                           const struct ms_block_header *first, struct ms_error *err) MS_MUST_CHECK;
/* What the segment has lost; without it that is not known of it. The list is the writer's then. */
void ms_segment_writer_set_losses(struct ms_segment_writer *writer, struct ms_losses *losses);
/* Entries in the order of their positions. `header` as it was read; its length is the batch's. */
int ms_segment_writer_add(struct ms_segment_writer *writer, const struct ms_entry_header *header,
                          int64_t commit_time_ms, struct ms_bytes batch, struct ms_error *err)
    MS_MUST_CHECK;
int ms_segment_writer_finish(struct ms_segment_writer *writer, const struct ms_segment_end *end,
                             struct ms_error *err) MS_MUST_CHECK;
/* Takes a zeroed struct. */
void ms_segment_writer_close(struct ms_segment_writer *writer, bool keep_file);
