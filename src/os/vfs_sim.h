/*
 * The simulated file system: a tree in memory that keeps, for every file and directory, what is
 * durable apart from what is only written, and can fail, tear, reorder and lose as real storage
 * does.
 *
 *   power cut   of every un-synced write each 512-byte sector may have reached the disk or not,
 *               whatever came later; a file's size may be any that it had since, or between two;
 *               where it grew and the data is missing there are zeros or stale bytes of other
 *               files. Un-synced names: of each directory a prefix of what was done survives, a
 *               rename whole or not at all. Which of all this: the seed chooses. Then every open
 *               handle answers MS_EIO, for ever.
 *   n-th fault  the n-th operation of a kind fails with a chosen code, once or from then on. A
 *               write that fails may have been applied in part. A sync that fails is Linux's: some
 *               of the data reached the disk, the rest reads back and counts as clean, so that a
 *               later sync "succeeds" without it.
 *   bit flips   of durable content, by call
 *
 * A path is taken from the root, with a leading slash or without; ".." is refused. Sizes, not
 * blocks, are what counts against the capacity: a hole costs as much as data.
 *
 * Deterministic for one seed and one order of calls. Any thread (one lock inside). For tests only,
 * but part of the library's source so that embedders can use it too: when memory for the tree
 * itself runs out, the process stops; ms_alloc_fail_nth strikes only what callers get (handles,
 * lists).
 */
#pragma once

#include "os/vfs.h"

struct ms_vfs_sim;

enum ms_sim_op {
    MS_SIM_ANY,  /* any of the following */
    MS_SIM_OPEN, /* also ms_vfs_lock */
    MS_SIM_READ,
    MS_SIM_WRITE,
    MS_SIM_SYNC,
    MS_SIM_TRUNCATE,
    MS_SIM_ALLOCATE,
    MS_SIM_UNLINK, /* also ms_vfs_rmdir */
    MS_SIM_RENAME,
    MS_SIM_LINK,
    MS_SIM_MKDIR,
    MS_SIM_SYNC_DIR,
    MS_SIM_LIST,
    MS_SIM_OP_COUNT
};

int ms_vfs_sim_new(uint64_t seed, struct ms_vfs_sim **ret_sim) MS_MUST_CHECK;
/* Takes NULL. All handles must be closed. */
void ms_vfs_sim_free(struct ms_vfs_sim *sim);
struct ms_vfs *ms_vfs_sim_vfs(struct ms_vfs_sim *sim);

/* Bytes that the whole file system can hold; 0 = no limit. Beyond it writes end short and then
 * MS_ENOSPC. */
void ms_vfs_sim_set_capacity(struct ms_vfs_sim *sim, uint64_t bytes);
/* The file system refuses MS_OPEN_DIRECT. */
void ms_vfs_sim_refuse_direct(struct ms_vfs_sim *sim, bool refuse);
/* The file system can't ms_file_allocate. */
void ms_vfs_sim_refuse_allocate(struct ms_vfs_sim *sim, bool refuse);

/* Operations of this kind so far: run a script once, read the count, then loop n over 1..count. */
uint64_t ms_vfs_sim_count(struct ms_vfs_sim *sim, enum ms_sim_op op);
/* The n-th operation of this kind from now on (1 = the next) fails with `code`; `sticky`: and all
 * after it. n = 0: none. One fault a kind: a new one replaces the old. */
void ms_vfs_sim_fail_nth(struct ms_vfs_sim *sim, enum ms_sim_op op, uint64_t n, int code,
                         bool sticky);
/* The power is cut in the middle of the n-th mutating operation from now (1 = the next, 0 = never):
 * write, sync, truncate, rename, link, unlink, mkdir, rmdir, sync_dir, an open that creates or
 * truncates. A part of the write is applied, a name operation may be; a sync has made nothing
 * durable yet. From then on every operation answers MS_EIO until ms_vfs_sim_cut decides what
 * survived. */
void ms_vfs_sim_cut_at(struct ms_vfs_sim *sim, uint64_t n);

/* Whether a cut may leave stale bytes where a file grew (default: yes, now and then). */
void ms_vfs_sim_set_stale_bytes(struct ms_vfs_sim *sim, bool on);

enum ms_sim_cut {
    MS_SIM_CUT_LOSE_ALL, /* nothing un-synced survives */
    MS_SIM_CUT_KEEP_ALL, /* everything written is there, as after kill -9: still un-synced, so
                            that a second cut may take it away */
    MS_SIM_CUT_RANDOM,   /* each sector and name by chance */
};
/* Cuts the power now: decides what survived. Open handles answer MS_EIO for ever; locks are
 * released; a waiting ms_vfs_sim_cut_at is called off. */
void ms_vfs_sim_cut(struct ms_vfs_sim *sim, enum ms_sim_cut how);
/* True after a cut that ms_vfs_sim_cut_at triggered and until ms_vfs_sim_cut is called. */
bool ms_vfs_sim_is_cut(struct ms_vfs_sim *sim);

/* Damage: flips bit `bit` of the byte at `offset` of durable and cached content. MS_ENOTFOUND,
 * MS_EINVAL past the end. */
int ms_vfs_sim_flip(struct ms_vfs_sim *sim, const char *path, uint64_t offset, int bit)
    MS_MUST_CHECK;
