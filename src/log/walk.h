/*
 * Walking over the blocks of a segment file as they lie there, damaged or not: what verify, inspect
 * and repair have in common. Needs no open log and changes nothing. One thread per walk.
 */
#pragma once

#include "log/block.h"
#include "os/env.h"

enum ms_walk_kind {
    MS_WALK_BLOCK,   /* a whole block: header and entries check */
    MS_WALK_FOOTER,  /* the footer of a sealed segment */
    MS_WALK_DAMAGED, /* a block or footer whose header checks and whose contents don't */
    MS_WALK_NOISE,   /* a stretch that is no block */
    MS_WALK_ZEROS,   /* a stretch of zeros: prepared space */
};

struct ms_walk {
    struct ms_file *file;
    uint64_t size, offset; /* where the next step begins */
    uint64_t window;       /* offset of what is in the buffer */
    struct ms_buf buffer;
};

struct ms_walk_step {
    enum ms_walk_kind kind;
    uint64_t offset, length;       /* of the stretch; blocks with their padding */
    struct ms_block_header header; /* BLOCK, FOOTER, DAMAGED */
    const uint8_t *bytes;        /* BLOCK, FOOTER, DAMAGED: the block, until the next step; a block
                                      that reaches behind the file: what there is, header.length */
    char why[MS_ERROR_TEXT_MAX]; /* DAMAGED */
};

int ms_walk_open(struct ms_walk *walk, const struct ms_env *env, const char *path,
                 struct ms_error *err) MS_MUST_CHECK;
void ms_walk_close(struct ms_walk *walk);
/* 1 and a step, 0 at the end of the file, MS_EFORMAT (a block of a newer version: it is not
 * judged), MS_EIO, MS_ENOMEM. */
int ms_walk_next(struct ms_walk *walk, struct ms_walk_step *ret_step, struct ms_error *err)
    MS_MUST_CHECK;

/* The entries of a block, frames opened, in their order. What does not check is visited too, as
 * `damaged`: with its header when that is whole, else (kind 0) it stands for a stretch in which
 * entries can't be told apart: a frame, or the rest of a frame or block. */
struct ms_walk_entry {
    struct ms_entry_header header;
    bool damaged;
    struct ms_bytes batch; /* none when damaged */
    uint32_t record_count; /* positions it spans; 0 when damaged */
    int64_t commit_time_ms;
};
typedef int ms_walk_entry_fn(void *context, const struct ms_walk_entry *entry);
/* Negative from visit ends it and is returned. *ret_damaged counts what was damaged. */
int ms_walk_entries(const struct ms_walk_step *step, ms_walk_entry_fn *visit, void *context,
                    uint64_t *ret_damaged) MS_MUST_CHECK;
