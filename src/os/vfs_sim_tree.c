/*
 * Names of the simulated file system. Every directory has its current and its durable names; the
 * journal lists, for the whole tree in order, what was done to the former and not yet to the
 * latter.
 *
 *   sync of a directory   what the journal has for it is done to the durable names, with what that
 *                         stands on: a rename out of it takes along the earlier operations of the
 *                         directory that it leads to, else the file could be in neither after a
 *                         cut. A rename into it leaves the removal of the old name in the journal:
 *                         both directories have to be synced
 *   power cut             of each directory a prefix of its operations survives; a rename between
 *                         two survives in both or in neither
 */
#include "os/vfs_sim_internal.h"

#include <stdlib.h>

/* ---- names of one directory ---- */

static char *copy_name(const char *name) {
    size_t size = strlen(name) + 1;
    return memcpy(ms_sim_alloc(size), name, size);
}

/* Where the name is, or would be. */
static size_t names_find(const struct sim_names *names, const char *name, bool *ret_found) {
    size_t low = 0, high = names->count;
    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(names->entries[middle].name, name);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct sim_inode *names_get(const struct sim_names *names, const char *name) {
    bool found;
    size_t at = names_find(names, name, &found);
    return found ? names->entries[at].inode : NULL;
}

/* Puts the inode under the name; returns what was there before, whose reference the caller now has.
 * */
static struct sim_inode *names_set(struct sim_names *names, const char *name,
                                   struct sim_inode *inode) {
    bool found;
    size_t at = names_find(names, name, &found);
    struct sim_inode *before = NULL;
    if (found) {
        before = names->entries[at].inode;
    } else {
        ms_sim_reserve((void **)&names->entries, &names->capacity, names->count,
                       sizeof *names->entries);
        memmove(names->entries + at + 1, names->entries + at,
                (names->count - at) * sizeof *names->entries);
        names->count++;
        names->entries[at].name = copy_name(name);
    }
    names->entries[at].inode = ms_sim_inode_ref(inode);
    return before;
}

/* As names_set, for taking the name away. */
static struct sim_inode *names_remove(struct sim_names *names, const char *name) {
    bool found;
    size_t at = names_find(names, name, &found);
    if (!found)
        return NULL;
    struct sim_inode *before = names->entries[at].inode;
    free(names->entries[at].name);
    names->count--;
    memmove(names->entries + at, names->entries + at + 1,
            (names->count - at) * sizeof *names->entries);
    return before;
}

static void names_clear(struct ms_vfs_sim *sim, struct sim_names *names) {
    struct sim_names old = *names;
    *names = (struct sim_names){0};
    for (size_t i = 0; i < old.count; i++) {
        free(old.entries[i].name);
        ms_sim_inode_unref(sim, old.entries[i].inode);
    }
    free(old.entries);
}

/* ---- inodes ---- */

struct sim_inode *ms_sim_inode_new(struct ms_vfs_sim *sim, bool is_dir) {
    struct sim_inode *inode = ms_sim_alloc(sizeof *inode);
    inode->refs = 1;
    inode->is_dir = is_dir;
    inode->next = sim->inodes;
    if (sim->inodes)
        sim->inodes->prev = inode;
    sim->inodes = inode;
    return inode;
}

struct sim_inode *ms_sim_inode_ref(struct sim_inode *inode) {
    inode->refs++;
    return inode;
}

void ms_sim_inode_unref(struct ms_vfs_sim *sim, struct sim_inode *inode) {
    if (!inode || --inode->refs > 0)
        return;
    if (inode->prev)
        inode->prev->next = inode->next;
    else
        sim->inodes = inode->next;
    if (inode->next)
        inode->next->prev = inode->prev;
    inode->links = inode->handles = 0;
    ms_sim_file_account(sim, inode);
    ms_sim_file_clear(sim, inode);
    names_clear(sim, &inode->names);
    names_clear(sim, &inode->durable_names);
    free(inode);
}

static void clear_journal(struct ms_vfs_sim *sim);

void ms_sim_tree_free(struct ms_vfs_sim *sim) {
    clear_journal(sim);
    free(sim->journal);
    /* Directories that were renamed and cut may refer to each other in a ring, so not by
     * references: the names go first, for which every inode is held. */
    for (struct sim_inode *inode = sim->inodes; inode; inode = inode->next)
        inode->refs++;
    for (struct sim_inode *inode = sim->inodes; inode; inode = inode->next) {
        names_clear(sim, &inode->names);
        names_clear(sim, &inode->durable_names);
    }
    ms_sim_inode_unref(sim, sim->root);
    while (sim->inodes) {
        MS_ASSERT(sim->inodes->refs == 1);
        ms_sim_inode_unref(sim, sim->inodes);
    }
}

/* ---- paths ---- */

/* Copies the next component to `name` and moves *path behind it; an empty name at the end. */
static int next_component(const char **path, char name[SIM_NAME_MAX + 1]) {
    for (;;) {
        *path += strspn(*path, "/");
        size_t len = strcspn(*path, "/");
        if (len > SIM_NAME_MAX)
            return MS_ETOOBIG;
        memcpy(name, *path, len);
        name[len] = '\0';
        *path += len;
        if (strcmp(name, "..") == 0)
            return MS_EINVAL;
        if (strcmp(name, ".") != 0)
            return 0;
    }
}

int ms_sim_lookup(struct ms_vfs_sim *sim, const char *path, struct sim_place *ret_place) {
    struct sim_place place = {.inode = sim->root};
    char name[SIM_NAME_MAX + 1];
    if (*path == '\0')
        return MS_ENOTFOUND;
    for (;;) {
        int code = next_component(&path, name);
        if (code < 0)
            return code;
        if (name[0] == '\0')
            break;
        if (!place.inode || !place.inode->is_dir)
            return MS_ENOTFOUND;
        place.dir = place.inode;
        place.inode = names_get(&place.dir->names, name);
        memcpy(place.name, name, sizeof place.name);
    }
    *ret_place = place;
    return 0;
}

bool ms_sim_tree_contains(const struct sim_inode *dir, const struct sim_inode *inode) {
    if (dir == inode)
        return true;
    for (size_t i = 0; i < dir->names.count; i++) {
        const struct sim_inode *child = dir->names.entries[i].inode;
        if (child->is_dir && ms_sim_tree_contains(child, inode))
            return true;
    }
    return false;
}

/* ---- changing names ---- */

static void link_name(struct ms_vfs_sim *sim, const struct sim_place *to, struct sim_inode *inode) {
    struct sim_inode *before = names_set(&to->dir->names, to->name, inode);
    inode->links++;
    ms_sim_file_account(sim, inode);
    if (before) {
        before->links--;
        ms_sim_file_account(sim, before);
        ms_sim_inode_unref(sim, before);
    }
}

static void unlink_name(struct ms_vfs_sim *sim, const struct sim_place *from) {
    struct sim_inode *before = names_remove(&from->dir->names, from->name);
    before->links--;
    ms_sim_file_account(sim, before);
    ms_sim_inode_unref(sim, before);
}

static struct sim_name_op *add_op(struct ms_vfs_sim *sim) {
    ms_sim_reserve((void **)&sim->journal, &sim->journal_capacity, sim->journal_count,
                   sizeof *sim->journal);
    struct sim_name_op *op = &sim->journal[sim->journal_count++];
    *op = (struct sim_name_op){0};
    return op;
}

static void op_appear(struct sim_name_op *op, const struct sim_place *to, struct sim_inode *inode) {
    op->to_dir = ms_sim_inode_ref(to->dir);
    op->inode = ms_sim_inode_ref(inode);
    op->to_name = copy_name(to->name);
}

static void op_disappear(struct sim_name_op *op, const struct sim_place *from) {
    op->from_dir = ms_sim_inode_ref(from->dir);
    op->from_name = copy_name(from->name);
}

void ms_sim_tree_add(struct ms_vfs_sim *sim, const struct sim_place *to, struct sim_inode *inode) {
    op_appear(add_op(sim), to, inode);
    link_name(sim, to, inode);
}

void ms_sim_tree_remove(struct ms_vfs_sim *sim, const struct sim_place *from) {
    op_disappear(add_op(sim), from);
    unlink_name(sim, from);
}

void ms_sim_tree_rename(struct ms_vfs_sim *sim, const struct sim_place *from,
                        const struct sim_place *to) {
    struct sim_name_op *op = add_op(sim);
    op_appear(op, to, from->inode);
    op_disappear(op, from);
    link_name(sim, to, from->inode);
    unlink_name(sim, from);
}

/* ---- the journal ---- */

/* Does the operation's first half to the durable names, and ends it. */
static void commit_appearance(struct ms_vfs_sim *sim, struct sim_name_op *op) {
    if (!op->to_dir)
        return;
    ms_sim_inode_unref(sim, names_set(&op->to_dir->durable_names, op->to_name, op->inode));
    ms_sim_inode_unref(sim, op->to_dir);
    ms_sim_inode_unref(sim, op->inode);
    free(op->to_name);
    op->to_dir = op->inode = NULL;
    op->to_name = NULL;
}

static void commit(struct ms_vfs_sim *sim, struct sim_name_op *op) {
    commit_appearance(sim, op);
    if (op->from_dir)
        ms_sim_inode_unref(sim, names_remove(&op->from_dir->durable_names, op->from_name));
}

static void release_op(struct ms_vfs_sim *sim, struct sim_name_op *op) {
    ms_sim_inode_unref(sim, op->to_dir);
    ms_sim_inode_unref(sim, op->inode);
    ms_sim_inode_unref(sim, op->from_dir);
    free(op->to_name);
    free(op->from_name);
    *op = (struct sim_name_op){0};
}

static void clear_journal(struct ms_vfs_sim *sim) {
    for (size_t i = 0; i < sim->journal_count; i++)
        release_op(sim, &sim->journal[i]);
    sim->journal_count = 0;
}

static bool is_marked(const struct sim_inode *dir) { return dir && dir->marked; }

static void unmark_all(struct ms_vfs_sim *sim) {
    for (struct sim_inode *inode = sim->inodes; inode; inode = inode->next)
        inode->marked = false;
}

/* Backwards: marks the directories whose operations up to the one at hand are needed. Returns for
 * each operation whether all of it (2), its appearance (1) or nothing (0) is to be done. */
static uint8_t *choose_ops(struct ms_vfs_sim *sim, struct sim_inode *dir) {
    uint8_t *halves = ms_sim_alloc(sim->journal_count + 1);
    dir->marked = true;
    for (size_t i = sim->journal_count; i-- > 0;) {
        struct sim_name_op *op = &sim->journal[i];
        if (is_marked(op->from_dir)) {
            halves[i] = 2;
            if (op->to_dir)
                op->to_dir->marked = true;
        } else if (is_marked(op->to_dir)) {
            halves[i] = op->from_dir ? 1 : 2;
        }
    }
    unmark_all(sim);
    return halves;
}

void ms_sim_tree_sync(struct ms_vfs_sim *sim, struct sim_inode *dir) {
    uint8_t *halves = choose_ops(sim, dir);
    size_t kept = 0;
    for (size_t i = 0; i < sim->journal_count; i++) {
        struct sim_name_op *op = &sim->journal[i];
        if (halves[i] == 2) {
            commit(sim, op);
            release_op(sim, op);
            continue;
        }
        if (halves[i] == 1)
            commit_appearance(sim, op);
        sim->journal[kept++] = *op;
    }
    sim->journal_count = kept;
    free(halves);
}

/* ---- the cut ---- */

/* `marked` directories have lost an operation, and so lose all later ones. */
static void settle_journal(struct ms_vfs_sim *sim) {
    static const uint8_t odds[] = {2, 4, 16, 64};
    uint64_t one_in = odds[ms_sim_below(sim, sizeof odds)];
    bool keep_all = ms_sim_below(sim, 4) == 0;
    for (size_t i = 0; i < sim->journal_count; i++) {
        struct sim_name_op *op = &sim->journal[i];
        bool lost = is_marked(op->from_dir) || is_marked(op->to_dir) ||
                    (!keep_all && ms_sim_below(sim, one_in) == 0);
        if (!lost) {
            commit(sim, op);
            continue;
        }
        if (op->from_dir)
            op->from_dir->marked = true;
        if (op->to_dir)
            op->to_dir->marked = true;
    }
    unmark_all(sim);
}

static void take_durable_names(struct ms_vfs_sim *sim, struct sim_inode *dir) {
    names_clear(sim, &dir->names);
    for (size_t i = 0; i < dir->durable_names.count; i++) {
        const struct sim_entry *entry = &dir->durable_names.entries[i];
        struct sim_inode *none = names_set(&dir->names, entry->name, entry->inode);
        MS_ASSERT(!none);
    }
}

static void count_links(struct ms_vfs_sim *sim) {
    for (struct sim_inode *inode = sim->inodes; inode; inode = inode->next)
        inode->links = 0;
    for (struct sim_inode *inode = sim->inodes; inode; inode = inode->next)
        for (size_t i = 0; i < inode->names.count; i++)
            inode->names.entries[i].inode->links++;
}

void ms_sim_tree_cut(struct ms_vfs_sim *sim, bool by_chance) {
    if (sim->journal_count == 0)
        return;
    if (by_chance)
        settle_journal(sim);
    /* Every inode is held while names come and go, so that the list stays whole under the loop. */
    for (struct sim_inode *inode = sim->inodes; inode; inode = inode->next)
        inode->refs++;
    clear_journal(sim);
    for (struct sim_inode *inode = sim->inodes; inode; inode = inode->next)
        take_durable_names(sim, inode);
    for (struct sim_inode *inode = sim->inodes, *next; inode; inode = next) {
        next = inode->next;
        ms_sim_inode_unref(sim, inode);
    }
    count_links(sim);
}
