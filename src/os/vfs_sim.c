/* The simulated file system behind the seam: handles, and each operation of vfs.h as "lock, ask the
 * gate, do it (or a part of it)". See vfs_sim.h for what is simulated. Any thread. */
#include "os/vfs_sim_internal.h"

#include <stdlib.h>

#include "base/alloc.h"

#define DIRECT_ALIGNMENT 4096

struct sim_handle {
    struct ms_file file;
    struct ms_vfs_sim *sim;
    struct sim_inode *inode; /* holds a reference */
    uint64_t generation;
    int flags; /* MS_OPEN_… */
    bool is_lock;
    char path[];
};

static struct ms_vfs_sim *sim_of(struct ms_vfs *vfs) { return (struct ms_vfs_sim *)vfs; }

static struct sim_handle *handle_of(struct ms_file *file) { return (struct sim_handle *)file; }

static int fail(struct ms_error *err, int code, enum sim_gate gate, const char *what,
                const char *path) {
    if (code >= 0)
        return code;
    const char *why = gate == SIM_GATE_OPEN    ? ms_error_text(code)
                      : gate == SIM_GATE_FAULT ? "simulated fault"
                                               : "simulated power cut";
    return ms_error_set(err, code, "%s %s: %s", what, path, why);
}

/* ---- files ---- */

static bool is_aligned(uint64_t value) { return value % DIRECT_ALIGNMENT == 0; }

static int sim_read(struct ms_file *file, uint64_t offset, void *out, size_t len, int flags,
                    size_t *ret_len, struct ms_error *err) {
    struct sim_handle *handle = handle_of(file);
    struct ms_vfs_sim *sim = handle->sim;
    (void)flags; /* memory never makes anyone wait */
    MS_ASSERT(handle->flags & MS_OPEN_READ);
    MS_ASSERT(!(handle->flags & MS_OPEN_DIRECT) ||
              (is_aligned(offset) && is_aligned(len) && is_aligned((uintptr_t)out)));
    pthread_mutex_lock(&sim->mutex);
    int code;
    enum sim_gate gate = ms_sim_gate(sim, MS_SIM_READ, false, handle->generation, &code);
    if (gate == SIM_GATE_OPEN) {
        const struct sim_image *image = &handle->inode->current;
        uint64_t left = offset < image->size ? image->size - offset : 0;
        size_t got = len < left ? len : (size_t)left;
        if (got > 0)
            ms_sim_image_read(image, offset, out, got);
        *ret_len = got;
        code = 0;
    }
    pthread_mutex_unlock(&sim->mutex);
    return fail(err, code, gate, "read", handle->path);
}

static bool iov_is_aligned(const struct ms_iovec *iov, int count) {
    for (int i = 0; i < count; i++)
        if (!is_aligned(iov[i].len) || !is_aligned((uintptr_t)iov[i].data))
            return false;
    return true;
}

static int sim_writev(struct ms_file *file, uint64_t offset, const struct ms_iovec *iov, int count,
                      struct ms_error *err) {
    struct sim_handle *handle = handle_of(file);
    struct ms_vfs_sim *sim = handle->sim;
    MS_ASSERT(handle->flags & MS_OPEN_WRITE);
    MS_ASSERT(!(handle->flags & MS_OPEN_DIRECT) ||
              (is_aligned(offset) && iov_is_aligned(iov, count)));
    pthread_mutex_lock(&sim->mutex);
    int code;
    enum sim_gate gate = ms_sim_gate(sim, MS_SIM_WRITE, true, handle->generation, &code);
    switch (gate) {
    case SIM_GATE_OPEN:
        code = ms_sim_file_write(sim, handle->inode, offset, iov, count,
                                 handle->flags & MS_OPEN_DSYNC);
        break;
    case SIM_GATE_FAULT:
    case SIM_GATE_CUT:
        ms_sim_file_write_part(sim, handle->inode, offset, iov, count);
        break;
    case SIM_GATE_OFF:
        break;
    }
    pthread_mutex_unlock(&sim->mutex);
    return fail(err, code, gate, "write", handle->path);
}

static int sim_sync(struct ms_file *file, struct ms_error *err) {
    struct sim_handle *handle = handle_of(file);
    struct ms_vfs_sim *sim = handle->sim;
    pthread_mutex_lock(&sim->mutex);
    int code;
    enum sim_gate gate = ms_sim_gate(sim, MS_SIM_SYNC, true, handle->generation, &code);
    if (gate == SIM_GATE_OPEN) {
        ms_sim_file_sync(sim, handle->inode);
        code = 0;
    } else if (gate == SIM_GATE_FAULT) {
        ms_sim_file_sync_failed(sim, handle->inode);
    }
    pthread_mutex_unlock(&sim->mutex);
    return fail(err, code, gate, "sync", handle->path);
}

static int sim_truncate(struct ms_file *file, uint64_t size, struct ms_error *err) {
    struct sim_handle *handle = handle_of(file);
    struct ms_vfs_sim *sim = handle->sim;
    MS_ASSERT(handle->flags & MS_OPEN_WRITE);
    pthread_mutex_lock(&sim->mutex);
    int code;
    enum sim_gate gate = ms_sim_gate(sim, MS_SIM_TRUNCATE, true, handle->generation, &code);
    if (gate == SIM_GATE_OPEN || (gate == SIM_GATE_CUT && sim_coin(sim))) {
        int done = ms_sim_file_truncate(sim, handle->inode, size);
        if (gate == SIM_GATE_OPEN)
            code = done;
    }
    pthread_mutex_unlock(&sim->mutex);
    return fail(err, code, gate, "truncate", handle->path);
}

static int sim_allocate(struct ms_file *file, uint64_t offset, uint64_t len, struct ms_error *err) {
    struct sim_handle *handle = handle_of(file);
    struct ms_vfs_sim *sim = handle->sim;
    MS_ASSERT(handle->flags & MS_OPEN_WRITE);
    pthread_mutex_lock(&sim->mutex);
    int code;
    enum sim_gate gate = ms_sim_gate(sim, MS_SIM_ALLOCATE, true, handle->generation, &code);
    if (gate == SIM_GATE_OPEN && sim->refuses_allocate) {
        code = MS_EUNSUPPORTED;
    } else if (gate == SIM_GATE_OPEN || (gate == SIM_GATE_CUT && sim_coin(sim))) {
        uint64_t size = handle->inode->current.size;
        uint64_t end = offset + len > size ? offset + len : size;
        int done = ms_sim_file_truncate(sim, handle->inode, end);
        if (gate == SIM_GATE_OPEN)
            code = done;
    }
    pthread_mutex_unlock(&sim->mutex);
    return fail(err, code, gate, "allocate", handle->path);
}

static int sim_size(struct ms_file *file, uint64_t *ret_size, struct ms_error *err) {
    struct sim_handle *handle = handle_of(file);
    struct ms_vfs_sim *sim = handle->sim;
    pthread_mutex_lock(&sim->mutex);
    bool off = sim->is_cut || handle->generation != sim->generation;
    if (!off)
        *ret_size = handle->inode->current.size;
    pthread_mutex_unlock(&sim->mutex);
    return fail(err, off ? MS_EIO : 0, SIM_GATE_OFF, "stat", handle->path);
}

static void sim_close(struct ms_file *file) {
    struct sim_handle *handle = handle_of(file);
    struct ms_vfs_sim *sim = handle->sim;
    pthread_mutex_lock(&sim->mutex);
    if (handle->generation == sim->generation) {
        handle->inode->handles--;
        if (handle->is_lock)
            handle->inode->is_locked = false;
        ms_sim_file_account(sim, handle->inode);
    }
    ms_sim_inode_unref(sim, handle->inode);
    sim->handle_count--;
    pthread_mutex_unlock(&sim->mutex);
    ms_free(handle);
}

static const struct ms_file_ops sim_file_ops = {
    .read = sim_read,
    .writev = sim_writev,
    .sync = sim_sync,
    .truncate = sim_truncate,
    .allocate = sim_allocate,
    .size = sim_size,
    .close = sim_close,
};

/* ---- opening ---- */

/* What an open with these flags comes to: finds the file, or makes it. The gate is behind us. */
static int open_inode(struct ms_vfs_sim *sim, const struct sim_place *place, int flags,
                      struct sim_inode **ret_inode) {
    struct sim_inode *inode = place->inode;
    if (inode && (flags & MS_OPEN_EXCL))
        return MS_EEXIST;
    if (inode && inode->is_dir)
        return MS_EINVAL;
    if (!inode && !(flags & MS_OPEN_CREATE))
        return MS_ENOTFOUND;
    if ((flags & MS_OPEN_DIRECT) && sim->refuses_direct)
        return MS_EUNSUPPORTED;
    if (!inode) {
        inode = ms_sim_inode_new(sim, false);
        ms_sim_tree_add(sim, place, inode);
        ms_sim_inode_unref(sim, inode); /* the names keep it */
    } else if (flags & MS_OPEN_TRUNCATE) {
        int code = ms_sim_file_truncate(sim, inode, 0);
        MS_ASSERT(code == 0);
    }
    *ret_inode = inode;
    return 0;
}

static int open_locked(struct ms_vfs_sim *sim, const char *path, int flags,
                       struct sim_inode **ret_inode, enum sim_gate *ret_gate) {
    struct sim_place place;
    int found = ms_sim_lookup(sim, path, &place);
    bool creates = found == 0 && !place.inode && (flags & MS_OPEN_CREATE);
    bool truncates = found == 0 && place.inode && (flags & MS_OPEN_TRUNCATE);
    int code;
    *ret_gate = ms_sim_gate(sim, MS_SIM_OPEN, creates || truncates, sim->generation, &code);
    if (*ret_gate == SIM_GATE_OPEN)
        return found < 0 ? found : open_inode(sim, &place, flags, ret_inode);
    if (*ret_gate == SIM_GATE_CUT && sim_coin(sim)) {
        struct sim_inode *ignored;
        int done = open_inode(sim, &place, flags, &ignored);
        (void)done;
    }
    return code;
}

static int open_handle(struct ms_vfs_sim *sim, const char *path, int flags, bool is_lock,
                       struct ms_file **ret_file, struct ms_error *err) {
    size_t path_size = strlen(path) + 1;
    struct sim_handle *handle = ms_alloc(sizeof *handle + path_size);
    if (!handle)
        return ms_error_set(err, MS_ENOMEM, "open %s: out of memory", path);
    pthread_mutex_lock(&sim->mutex);
    struct sim_inode *inode;
    enum sim_gate gate;
    int code = open_locked(sim, path, flags, &inode, &gate);
    if (code == 0 && is_lock && inode->is_locked)
        code = MS_ELOCKED;
    if (code == 0) {
        inode->is_locked = inode->is_locked || is_lock;
        inode->handles++;
        sim->handle_count++;
        *handle = (struct sim_handle){.file.ops = &sim_file_ops,
                                      .sim = sim,
                                      .inode = ms_sim_inode_ref(inode),
                                      .generation = sim->generation,
                                      .flags = flags,
                                      .is_lock = is_lock};
        memcpy(handle->path, path, path_size);
        *ret_file = &handle->file;
    }
    pthread_mutex_unlock(&sim->mutex);
    if (code < 0)
        ms_free(handle);
    return fail(err, code, gate, is_lock ? "lock" : "open", path);
}

static int sim_open(struct ms_vfs *vfs, const char *path, int flags, struct ms_file **ret_file,
                    struct ms_error *err) {
    return open_handle(sim_of(vfs), path, flags, false, ret_file, err);
}

static int sim_lock(struct ms_vfs *vfs, const char *path, struct ms_file **ret_lock,
                    struct ms_error *err) {
    int flags = MS_OPEN_READ | MS_OPEN_WRITE | MS_OPEN_CREATE;
    return open_handle(sim_of(vfs), path, flags, true, ret_lock, err);
}

/* ---- names ---- */

/* One name operation without its lock and its gate. */
typedef int name_operation(struct ms_vfs_sim *sim, const char *path, const char *to);

static int run_name_operation(struct ms_vfs *vfs, enum ms_sim_op op, name_operation *operation,
                              const char *path, const char *to, enum sim_gate *ret_gate) {
    struct ms_vfs_sim *sim = sim_of(vfs);
    pthread_mutex_lock(&sim->mutex);
    int code;
    enum sim_gate gate = ms_sim_gate(sim, op, true, sim->generation, &code);
    if (gate == SIM_GATE_OPEN) {
        code = operation(sim, path, to);
    } else if (gate == SIM_GATE_CUT && op != MS_SIM_SYNC_DIR && sim_coin(sim)) {
        int done = operation(sim, path, to);
        (void)done;
    }
    pthread_mutex_unlock(&sim->mutex);
    *ret_gate = gate;
    return code;
}

static int do_unlink(struct ms_vfs_sim *sim, const char *path, const char *to) {
    (void)to;
    struct sim_place place;
    int code = ms_sim_lookup(sim, path, &place);
    if (code < 0)
        return code;
    if (!place.inode)
        return MS_ENOTFOUND;
    if (place.inode->is_dir)
        return MS_EINVAL;
    ms_sim_tree_remove(sim, &place);
    return 0;
}

static int do_rmdir(struct ms_vfs_sim *sim, const char *path, const char *to) {
    (void)to;
    struct sim_place place;
    int code = ms_sim_lookup(sim, path, &place);
    if (code < 0)
        return code;
    if (!place.inode || !place.inode->is_dir)
        return MS_ENOTFOUND;
    if (!place.dir)
        return MS_EINVAL;
    if (place.inode->names.count > 0)
        return MS_EEXIST;
    ms_sim_tree_remove(sim, &place);
    return 0;
}

static int do_mkdir(struct ms_vfs_sim *sim, const char *path, const char *to) {
    (void)to;
    struct sim_place place;
    int code = ms_sim_lookup(sim, path, &place);
    if (code < 0)
        return code;
    if (place.inode)
        return place.inode->is_dir ? MS_EEXIST : MS_EINVAL;
    struct sim_inode *inode = ms_sim_inode_new(sim, true);
    ms_sim_tree_add(sim, &place, inode);
    ms_sim_inode_unref(sim, inode);
    return 0;
}

static int do_rename(struct ms_vfs_sim *sim, const char *path, const char *to) {
    struct sim_place from, target;
    int code = ms_sim_lookup(sim, path, &from);
    if (code == 0)
        code = ms_sim_lookup(sim, to, &target);
    if (code < 0)
        return code;
    if (!from.inode)
        return MS_ENOTFOUND;
    if (!from.dir || !target.dir)
        return MS_EINVAL;
    if (from.inode == target.inode)
        return 0;
    if (target.inode && target.inode->is_dir)
        return from.inode->is_dir ? MS_EEXIST : MS_EINVAL;
    if (target.inode && from.inode->is_dir)
        return MS_ENOTFOUND;
    if (from.inode->is_dir && ms_sim_tree_contains(from.inode, target.dir))
        return MS_EINVAL;
    ms_sim_tree_rename(sim, &from, &target);
    return 0;
}

static int do_link(struct ms_vfs_sim *sim, const char *path, const char *to) {
    struct sim_place from, target;
    int code = ms_sim_lookup(sim, path, &from);
    if (code == 0)
        code = ms_sim_lookup(sim, to, &target);
    if (code < 0)
        return code;
    if (!from.inode)
        return MS_ENOTFOUND;
    if (target.inode)
        return MS_EEXIST;
    if (from.inode->is_dir)
        return MS_EIO;
    ms_sim_tree_add(sim, &target, from.inode);
    return 0;
}

static int do_sync_dir(struct ms_vfs_sim *sim, const char *path, const char *to) {
    (void)to;
    struct sim_place place;
    int code = ms_sim_lookup(sim, path, &place);
    if (code < 0)
        return code;
    if (!place.inode || !place.inode->is_dir)
        return MS_ENOTFOUND;
    ms_sim_tree_sync(sim, place.inode);
    return 0;
}

static int sim_unlink(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    enum sim_gate gate;
    int code = run_name_operation(vfs, MS_SIM_UNLINK, do_unlink, path, NULL, &gate);
    return fail(err, code, gate, "unlink", path);
}

static int sim_rmdir(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    enum sim_gate gate;
    int code = run_name_operation(vfs, MS_SIM_UNLINK, do_rmdir, path, NULL, &gate);
    return fail(err, code, gate, "rmdir", path);
}

static int sim_mkdir(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    enum sim_gate gate;
    int code = run_name_operation(vfs, MS_SIM_MKDIR, do_mkdir, path, NULL, &gate);
    return fail(err, code, gate, "mkdir", path);
}

static int sim_rename(struct ms_vfs *vfs, const char *from, const char *to, struct ms_error *err) {
    enum sim_gate gate;
    int code = run_name_operation(vfs, MS_SIM_RENAME, do_rename, from, to, &gate);
    return fail(err, code, gate, "rename", from);
}

static int sim_link(struct ms_vfs *vfs, const char *from, const char *to, struct ms_error *err) {
    enum sim_gate gate;
    int code = run_name_operation(vfs, MS_SIM_LINK, do_link, from, to, &gate);
    return fail(err, code, gate, "link", from);
}

static int sim_sync_dir(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    enum sim_gate gate;
    int code = run_name_operation(vfs, MS_SIM_SYNC_DIR, do_sync_dir, path, NULL, &gate);
    return fail(err, code, gate, "sync directory", path);
}

/* ---- looking around ---- */

static int copy_entries(const struct sim_names *names, struct ms_dir_entry **ret_entries,
                        size_t *ret_count) {
    if (names->count > MS_DIR_ENTRIES_MAX)
        return MS_ELIMIT;
    struct ms_dir_entry *entries = ms_calloc(names->count, sizeof *entries);
    if (!entries)
        return MS_ENOMEM;
    for (size_t i = 0; i < names->count; i++) {
        const struct sim_inode *inode = names->entries[i].inode;
        entries[i].name = ms_alloc_strdup(ms_bytes_cstr(names->entries[i].name));
        if (!entries[i].name) {
            ms_dir_entries_free(entries, i);
            return MS_ENOMEM;
        }
        entries[i].is_dir = inode->is_dir;
        entries[i].size = inode->current.size;
    }
    *ret_entries = entries;
    *ret_count = names->count;
    return 0;
}

static int sim_list(struct ms_vfs *vfs, const char *path, struct ms_dir_entry **ret_entries,
                    size_t *ret_count, struct ms_error *err) {
    struct ms_vfs_sim *sim = sim_of(vfs);
    pthread_mutex_lock(&sim->mutex);
    int code;
    enum sim_gate gate = ms_sim_gate(sim, MS_SIM_LIST, false, sim->generation, &code);
    if (gate == SIM_GATE_OPEN) {
        struct sim_place place;
        code = ms_sim_lookup(sim, path, &place);
        if (code == 0 && (!place.inode || !place.inode->is_dir))
            code = MS_ENOTFOUND;
        if (code == 0)
            code = copy_entries(&place.inode->names, ret_entries, ret_count);
    }
    pthread_mutex_unlock(&sim->mutex);
    return fail(err, code, gate, "list", path);
}

/* What an unlimited file system says of itself. */
#define TOTAL_UNLIMITED (UINT64_C(1) << 40)

static int sim_free_space(struct ms_vfs *vfs, const char *path, uint64_t *ret_free,
                          uint64_t *ret_total, struct ms_error *err) {
    struct ms_vfs_sim *sim = sim_of(vfs);
    pthread_mutex_lock(&sim->mutex);
    struct sim_place place;
    int code = sim->is_cut ? MS_EIO : ms_sim_lookup(sim, path, &place);
    if (code == 0 && !place.inode)
        code = MS_ENOTFOUND;
    if (code == 0) {
        uint64_t total = sim->capacity ? sim->capacity : TOTAL_UNLIMITED;
        *ret_free = total > sim->used ? total - sim->used : 0;
        *ret_total = total;
    }
    pthread_mutex_unlock(&sim->mutex);
    return fail(err, code, SIM_GATE_OPEN, "free space of", path);
}

static const struct ms_vfs_ops sim_ops = {
    .open = sim_open,
    .unlink = sim_unlink,
    .rename = sim_rename,
    .link = sim_link,
    .mkdir = sim_mkdir,
    .rmdir = sim_rmdir,
    .list = sim_list,
    .sync_dir = sim_sync_dir,
    .free_space = sim_free_space,
    .lock = sim_lock,
};

/* ---- the whole ---- */

int ms_vfs_sim_new(uint64_t seed, struct ms_vfs_sim **ret_sim) {
    struct ms_vfs_sim *sim = ms_calloc(1, sizeof *sim);
    if (!sim)
        return MS_ENOMEM;
    int failed = pthread_mutex_init(&sim->mutex, NULL);
    MS_ASSERT(failed == 0);
    sim->vfs.ops = &sim_ops;
    sim->stale_bytes = true;
    ms_random_seeded_init(&sim->random, seed);
    sim->root = ms_sim_inode_new(sim, true);
    *ret_sim = sim;
    return 0;
}

void ms_vfs_sim_free(struct ms_vfs_sim *sim) {
    if (!sim)
        return;
    MS_ASSERT(sim->handle_count == 0);
    ms_sim_tree_free(sim);
    ms_sim_pool_clear(&sim->pool);
    pthread_mutex_destroy(&sim->random.mutex);
    pthread_mutex_destroy(&sim->mutex);
    ms_free(sim);
}

struct ms_vfs *ms_vfs_sim_vfs(struct ms_vfs_sim *sim) {
    return &sim->vfs;
}
