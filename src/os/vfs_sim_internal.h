/*
 * The parts of the simulated file system, from the bottom:
 *
 *   vfs_sim_image.c   page tables: content of a file, shared page by page, all-zero pages not
 *   stored vfs_sim_file.c    one file: current and durable image, and the un-synced changes between
 *   them vfs_sim_tree.c    inodes, names, and the journal of un-synced name operations
 *   vfs_sim_fault.c   counts, faults, the power cut, bit flips
 *   vfs_sim.c         the seam: handles and the operations of vfs.h
 *
 *        write ──► current image ──sync──► durable image
 *          └─────► changes[] ─────cut────► durable image (each sector or not), then current =
 *          durable
 *
 * Everything here is called with the simulation's lock held.
 */
#pragma once

#include "os/random.h"
#include "os/vfs_sim.h"

/* Zeroed memory for the simulation itself; running out stops the process. */
void *ms_sim_alloc(size_t size);

/* Grows *array (of `item` bytes an entry) so that index `count` exists. */
void ms_sim_reserve(void **array, size_t *capacity, size_t count, size_t item);

/* ---- images ---- */

#define SIM_SECTOR UINT64_C(512)
#define SIM_PAGE UINT64_C(4096)
#define SIM_LEAF_PAGES 256
#define SIM_STALE_PAGES 16

struct sim_page {
    unsigned refs;
    uint8_t bytes[SIM_PAGE];
};

/* The last pages that were thrown away: what a disk shows where a file grew and its data was lost.
 * */
struct sim_pool {
    struct sim_page *stale[SIM_STALE_PAGES];
    unsigned next;
};

/* Two levels; NULL at either one means zeros. Bytes past `size` are zeros, but while changes are
 * being settled. */
struct sim_leaf {
    struct sim_page *pages[SIM_LEAF_PAGES];
};
struct sim_image {
    struct sim_leaf **leaves;
    size_t leaf_count;
    uint64_t size;
};

static inline uint64_t sim_round_down(uint64_t value, uint64_t unit) {
    return value - value % unit;
}
static inline uint64_t sim_round_up(uint64_t value, uint64_t unit) {
    return sim_round_down(value + unit - 1, unit);
}

void ms_sim_pool_clear(struct sim_pool *pool);
void ms_sim_image_clear(struct sim_pool *pool, struct sim_image *image);
/* Any range; zeros past the end. */
void ms_sim_image_read(const struct sim_image *image, uint64_t offset, void *out, size_t len);
/* data NULL = zeros. Does not change the size. */
void ms_sim_image_write(struct sim_pool *pool, struct sim_image *image, uint64_t offset,
                        const void *data, uint64_t len);
/* True when no page of the range is stored; false says nothing. */
bool ms_sim_image_has_no_pages(const struct sim_image *image, uint64_t offset, uint64_t len);
/* Sets the size and clears what lies behind it. */
void ms_sim_image_truncate(struct sim_pool *pool, struct sim_image *image, uint64_t size);
/* Makes the pages that hold the range the same in `to` as in `from`. */
void ms_sim_image_share(struct sim_pool *pool, struct sim_image *to, const struct sim_image *from,
                        uint64_t offset, uint64_t len);
/* The pages of the whole of both. Size and content of `to` are then those of `from`. */
void ms_sim_image_share_all(struct sim_pool *pool, struct sim_image *to,
                            const struct sim_image *from);

/* ---- inodes ---- */

/* One un-synced change of a file. A write's range is widened to whole sectors, its data is the
 * content of these sectors just after the write: a disk takes a sector whole. */
struct sim_change {
    bool is_truncate;
    bool is_durable;      /* by MS_OPEN_DSYNC, after changes that are not: survives every cut */
    uint64_t offset, len; /* of a write */
    uint64_t size_before, size_after;
    uint8_t *data; /* NULL = zeros */
};

struct sim_entry {
    char *name;
    struct sim_inode *inode; /* holds a reference */
};
struct sim_names {
    struct sim_entry *entries; /* sorted */
    size_t count, capacity;
};

struct sim_inode {
    unsigned refs; /* names, durable names, journal, handles */
    bool is_dir;
    bool marked; /* scratch of the journal's passes */
    struct sim_inode *prev, *next;

    /* directory */
    struct sim_names names, durable_names;

    /* file */
    struct sim_image current, durable;
    struct sim_change *changes;
    size_t change_count, change_capacity;
    bool has_lost_pages; /* after a failed sync: clean pages that differ from the durable ones */
    bool is_locked;
    unsigned links;   /* current names */
    unsigned handles; /* of the present generation */
    uint64_t charged; /* bytes counted in sim->used */
};

/* One un-synced name operation: something appears, or disappears, or both (a rename). */
struct sim_name_op {
    struct sim_inode *to_dir, *inode; /* NULL: nothing appears */
    char *to_name;
    struct sim_inode *from_dir; /* NULL: nothing disappears */
    char *from_name;
};

struct sim_fault {
    uint64_t at; /* the count at which it strikes; 0 = off */
    int code;
    bool sticky;
};

struct ms_vfs_sim {
    struct ms_vfs vfs;
    pthread_mutex_t mutex;
    struct ms_random_seeded random;

    struct sim_pool pool;
    struct sim_inode *root;
    struct sim_inode *inodes; /* all of them */
    struct sim_name_op *journal;
    size_t journal_count, journal_capacity;

    uint64_t generation; /* of handles: counts the cuts */
    uint64_t handle_count;
    uint64_t capacity, used;
    bool refuses_direct, refuses_allocate;
    bool stale_bytes;

    uint64_t counts[MS_SIM_OP_COUNT];
    struct sim_fault faults[MS_SIM_OP_COUNT];
    uint64_t cut_countdown; /* mutating operations until the cut; 0 = off */
    bool is_cut;
};

uint64_t ms_sim_below(struct ms_vfs_sim *sim, uint64_t bound);
static inline bool sim_coin(struct ms_vfs_sim *sim) { return ms_sim_below(sim, 2) == 1; }

/* ---- one file (vfs_sim_file.c) ---- */

/* Writes and grows. MS_ENOSPC when only a part had room: that part is written. */
int ms_sim_file_write(struct ms_vfs_sim *sim, struct sim_inode *inode, uint64_t offset,
                      const struct ms_iovec *iov, int count, bool durably);
/* Writes some of the sectors, as chance will have it. */
void ms_sim_file_write_part(struct ms_vfs_sim *sim, struct sim_inode *inode, uint64_t offset,
                            const struct ms_iovec *iov, int count);
int ms_sim_file_truncate(struct ms_vfs_sim *sim, struct sim_inode *inode, uint64_t size);
void ms_sim_file_sync(struct ms_vfs_sim *sim, struct sim_inode *inode);
/* What a failed sync does: a part becomes durable, all counts as clean. */
void ms_sim_file_sync_failed(struct ms_vfs_sim *sim, struct sim_inode *inode);
/* Decides what survives of the changes; then current and durable are equal. */
void ms_sim_file_cut(struct ms_vfs_sim *sim, struct sim_inode *inode, bool by_chance);
void ms_sim_file_clear(struct ms_vfs_sim *sim, struct sim_inode *inode);
/* Counts the file's size against the capacity, or no longer when nothing refers to it. */
void ms_sim_file_account(struct ms_vfs_sim *sim, struct sim_inode *inode);

/* ---- the tree (vfs_sim_tree.c) ---- */

#define SIM_NAME_MAX 255

/* Where a path leads: the directory and the name in it. For the root `dir` is NULL. */
struct sim_place {
    struct sim_inode *dir;
    struct sim_inode *inode; /* NULL when there is nothing of that name */
    char name[SIM_NAME_MAX + 1];
};

struct sim_inode *ms_sim_inode_new(struct ms_vfs_sim *sim, bool is_dir);
struct sim_inode *ms_sim_inode_ref(struct sim_inode *inode);
void ms_sim_inode_unref(struct ms_vfs_sim *sim, struct sim_inode *inode);
void ms_sim_tree_free(struct ms_vfs_sim *sim);

/* MS_ENOTFOUND when a directory on the way is missing, MS_EINVAL for "..", MS_ETOOBIG. */
int ms_sim_lookup(struct ms_vfs_sim *sim, const char *path, struct sim_place *ret_place);

/* These change the current names and write the journal. */
void ms_sim_tree_add(struct ms_vfs_sim *sim, const struct sim_place *to, struct sim_inode *inode);
void ms_sim_tree_remove(struct ms_vfs_sim *sim, const struct sim_place *from);
void ms_sim_tree_rename(struct ms_vfs_sim *sim, const struct sim_place *from,
                        const struct sim_place *to);
void ms_sim_tree_sync(struct ms_vfs_sim *sim, struct sim_inode *dir);
/* Decides what survives of the journal; then all names are the durable ones. */
void ms_sim_tree_cut(struct ms_vfs_sim *sim, bool by_chance);
/* True when `inode` is `dir` or somewhere below it. */
bool ms_sim_tree_contains(const struct sim_inode *dir, const struct sim_inode *inode);

/* ---- faults (vfs_sim_fault.c) ---- */

enum sim_gate {
    SIM_GATE_OPEN,  /* go on */
    SIM_GATE_OFF,   /* no power, or the handle is from before a cut: MS_EIO and no effect */
    SIM_GATE_FAULT, /* fail with *ret_code */
    SIM_GATE_CUT,   /* the power fails in the middle: do a part, MS_EIO */
};
/* Counts the operation and says what becomes of it. `generation` is the handle's. */
enum sim_gate ms_sim_gate(struct ms_vfs_sim *sim, enum ms_sim_op op, bool mutates,
                          uint64_t generation, int *ret_code);
