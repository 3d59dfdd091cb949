/* What goes wrong in the simulated file system, and when: counts, faults, the power cut, bit flips.
 * The chances themselves are in vfs_sim_file.c and vfs_sim_tree.c. Any thread (takes the lock). */
#include "os/vfs_sim_internal.h"

uint64_t ms_sim_below(struct ms_vfs_sim *sim, uint64_t bound) {
    return ms_random_below(&sim->random.random, bound);
}

/* ---- what becomes of an operation ---- */

static bool fault_strikes(struct sim_fault *fault, uint64_t count) {
    if (fault->at == 0 || count < fault->at)
        return false;
    if (!fault->sticky)
        fault->at = 0;
    return true;
}

enum sim_gate ms_sim_gate(struct ms_vfs_sim *sim, enum ms_sim_op op, bool mutates,
                          uint64_t generation, int *ret_code) {
    *ret_code = MS_EIO;
    if (sim->is_cut || generation != sim->generation)
        return SIM_GATE_OFF;
    sim->counts[op]++;
    sim->counts[MS_SIM_ANY]++;
    if (mutates && sim->cut_countdown > 0 && --sim->cut_countdown == 0) {
        sim->is_cut = true;
        return SIM_GATE_CUT;
    }
    const enum ms_sim_op kinds[] = {op, MS_SIM_ANY};
    for (int i = 0; i < 2; i++) {
        struct sim_fault *fault = &sim->faults[kinds[i]];
        int code = fault->code;
        if (fault_strikes(fault, sim->counts[kinds[i]])) {
            *ret_code = code;
            return SIM_GATE_FAULT;
        }
    }
    return SIM_GATE_OPEN;
}

/* ---- the tests' controls ---- */

uint64_t ms_vfs_sim_count(struct ms_vfs_sim *sim, enum ms_sim_op op) {
    pthread_mutex_lock(&sim->mutex);
    uint64_t count = sim->counts[op];
    pthread_mutex_unlock(&sim->mutex);
    return count;
}

void ms_vfs_sim_fail_nth(struct ms_vfs_sim *sim, enum ms_sim_op op, uint64_t n, int code,
                         bool sticky) {
    MS_ASSERT(n == 0 || code < 0);
    pthread_mutex_lock(&sim->mutex);
    uint64_t at = n == 0 ? 0 : sim->counts[op] + n;
    sim->faults[op] = (struct sim_fault){.at = at, .code = code, .sticky = sticky};
    pthread_mutex_unlock(&sim->mutex);
}

void ms_vfs_sim_cut_at(struct ms_vfs_sim *sim, uint64_t n) {
    pthread_mutex_lock(&sim->mutex);
    sim->cut_countdown = n;
    pthread_mutex_unlock(&sim->mutex);
}

bool ms_vfs_sim_is_cut(struct ms_vfs_sim *sim) {
    pthread_mutex_lock(&sim->mutex);
    bool is_cut = sim->is_cut;
    pthread_mutex_unlock(&sim->mutex);
    return is_cut;
}

void ms_vfs_sim_set_capacity(struct ms_vfs_sim *sim, uint64_t bytes) {
    pthread_mutex_lock(&sim->mutex);
    sim->capacity = bytes;
    pthread_mutex_unlock(&sim->mutex);
}

void ms_vfs_sim_refuse_direct(struct ms_vfs_sim *sim, bool refuse) {
    pthread_mutex_lock(&sim->mutex);
    sim->refuses_direct = refuse;
    pthread_mutex_unlock(&sim->mutex);
}

void ms_vfs_sim_refuse_allocate(struct ms_vfs_sim *sim, bool refuse) {
    pthread_mutex_lock(&sim->mutex);
    sim->refuses_allocate = refuse;
    pthread_mutex_unlock(&sim->mutex);
}

void ms_vfs_sim_set_stale_bytes(struct ms_vfs_sim *sim, bool on) {
    pthread_mutex_lock(&sim->mutex);
    sim->stale_bytes = on;
    pthread_mutex_unlock(&sim->mutex);
}

/* ---- cut and damage ---- */

void ms_vfs_sim_cut(struct ms_vfs_sim *sim, enum ms_sim_cut how) {
    pthread_mutex_lock(&sim->mutex);
    bool by_chance = how == MS_SIM_CUT_RANDOM;
    if (how != MS_SIM_CUT_KEEP_ALL) {
        for (struct sim_inode *inode = sim->inodes; inode; inode = inode->next)
            ms_sim_file_cut(sim, inode, by_chance);
        ms_sim_tree_cut(sim, by_chance);
    }
    for (struct sim_inode *inode = sim->inodes; inode; inode = inode->next) {
        inode->handles = 0;
        inode->is_locked = false;
        ms_sim_file_account(sim, inode);
    }
    sim->generation++;
    sim->cut_countdown = 0;
    sim->is_cut = false;
    pthread_mutex_unlock(&sim->mutex);
}

static void flip_bit(struct ms_vfs_sim *sim, struct sim_image *image, uint64_t offset, int bit) {
    uint8_t byte;
    ms_sim_image_read(image, offset, &byte, 1);
    byte = (uint8_t)(byte ^ 1u << bit);
    ms_sim_image_write(&sim->pool, image, offset, &byte, 1);
}

int ms_vfs_sim_flip(struct ms_vfs_sim *sim, const char *path, uint64_t offset, int bit) {
    MS_ASSERT(bit >= 0 && bit < 8);
    pthread_mutex_lock(&sim->mutex);
    struct sim_place place;
    int code = ms_sim_lookup(sim, path, &place);
    if (code == 0 && !place.inode)
        code = MS_ENOTFOUND;
    if (code == 0 && (place.inode->is_dir || offset >= place.inode->current.size))
        code = MS_EINVAL;
    if (code == 0) {
        flip_bit(sim, &place.inode->current, offset, bit);
        if (offset < place.inode->durable.size)
            flip_bit(sim, &place.inode->durable, offset, bit);
    }
    pthread_mutex_unlock(&sim->mutex);
    return code;
}
