/*
 * One simulated file: what is current, what is durable, and the un-synced changes in between, of
 * which a power cut may keep any sectors and a prefix of the size changes. See vfs_sim_internal.h.
 *
 * Why a prefix for sizes and any subset for data: file systems journal what they know of a file
 * (its size, a truncation) and so keep the order, but write data back whenever they like.
 */
#include "os/vfs_sim_internal.h"

#include <stdlib.h>

/* ---- chance ---- */

/* Which of a row of sectors survive. Plain coins alone would hardly ever keep or lose a whole
 * write. */
struct sector_choice {
    enum { CHOOSE_ALL, CHOOSE_NONE, CHOOSE_FIRST, CHOOSE_LAST, CHOOSE_EACH } mode;
    uint64_t split; /* of FIRST and LAST */
    uint64_t coins;
    unsigned coins_left;
};

static struct sector_choice choose_sectors(struct ms_vfs_sim *sim, uint64_t count) {
    static const uint8_t modes[8] = {CHOOSE_ALL,   CHOOSE_ALL,  CHOOSE_NONE, CHOOSE_NONE,
                                     CHOOSE_FIRST, CHOOSE_LAST, CHOOSE_EACH, CHOOSE_EACH};
    return (struct sector_choice){
        .mode = modes[ms_sim_below(sim, 8)],
        .split = ms_sim_below(sim, count + 1),
    };
}

static bool toss(struct ms_vfs_sim *sim, struct sector_choice *choice) {
    if (choice->coins_left == 0) {
        choice->coins = ms_random_u64(&sim->random.random);
        choice->coins_left = 64;
    }
    choice->coins_left--;
    return choice->coins >> choice->coins_left & 1;
}

static bool is_chosen(struct ms_vfs_sim *sim, struct sector_choice *choice, uint64_t index) {
    switch (choice->mode) {
    case CHOOSE_ALL:
        return true;
    case CHOOSE_NONE:
        return false;
    case CHOOSE_FIRST:
        return index < choice->split;
    case CHOOSE_LAST:
        return index >= choice->split;
    case CHOOSE_EACH:
        return toss(sim, choice);
    }
    return false;
}

/* The next run of chosen sectors at or after *at, below count. False when there is none. */
static bool next_run(struct ms_vfs_sim *sim, struct sector_choice *choice, uint64_t count,
                     uint64_t *at, uint64_t *ret_first, uint64_t *ret_end) {
    while (*at < count && !is_chosen(sim, choice, *at))
        (*at)++;
    if (*at == count)
        return false;
    uint64_t first = (*at)++;
    while (*at < count && is_chosen(sim, choice, *at))
        (*at)++;
    *ret_first = first;
    *ret_end = *at;
    (*at)++; /* the sector that ended the run has had its turn */
    if (*at > count)
        *at = count;
    return true;
}

/* ---- accounting ---- */

void ms_sim_file_account(struct ms_vfs_sim *sim, struct sim_inode *inode) {
    bool counts = !inode->is_dir && (inode->links > 0 || inode->handles > 0);
    uint64_t charge = counts ? sim_round_up(inode->current.size, SIM_PAGE) : 0;
    sim->used = sim->used - inode->charged + charge;
    inode->charged = charge;
}

/* How large the file may become. The page table is what sets the limit where there is no capacity.
 * */
#define FILE_SIZE_MAX (UINT64_C(1) << 40)

static uint64_t size_limit(const struct ms_vfs_sim *sim, const struct sim_inode *inode) {
    if (sim->capacity == 0)
        return FILE_SIZE_MAX;
    uint64_t left = sim->capacity > sim->used ? sim->capacity - sim->used : 0;
    uint64_t limit = inode->charged + sim_round_down(left, SIM_PAGE);
    return limit > inode->current.size ? limit : inode->current.size;
}

/* ---- changes ---- */

static struct sim_change *add_change(struct sim_inode *inode) {
    ms_sim_reserve((void **)&inode->changes, &inode->change_capacity, inode->change_count,
                   sizeof *inode->changes);
    struct sim_change *change = &inode->changes[inode->change_count++];
    *change = (struct sim_change){0};
    return change;
}

static void forget_changes(struct sim_inode *inode) {
    for (size_t i = 0; i < inode->change_count; i++)
        free(inode->changes[i].data);
    inode->change_count = 0;
}

void ms_sim_file_clear(struct ms_vfs_sim *sim, struct sim_inode *inode) {
    forget_changes(inode);
    free(inode->changes);
    ms_sim_image_clear(&sim->pool, &inode->current);
    ms_sim_image_clear(&sim->pool, &inode->durable);
}

/* Records the write that `current` has just taken. */
static void record_write(struct sim_inode *inode, uint64_t offset, uint64_t len,
                         uint64_t size_before, bool durably) {
    struct sim_change *change = add_change(inode);
    change->is_durable = durably;
    change->offset = sim_round_down(offset, SIM_SECTOR);
    change->len = sim_round_up(offset + len, SIM_SECTOR) - change->offset;
    change->size_before = size_before;
    change->size_after = inode->current.size;
    if (ms_sim_image_has_no_pages(&inode->current, change->offset, change->len))
        return;
    change->data = malloc((size_t)change->len);
    MS_ASSERT(change->data != NULL);
    ms_sim_image_read(&inode->current, change->offset, change->data, (size_t)change->len);
}

int ms_sim_file_write(struct ms_vfs_sim *sim, struct sim_inode *inode, uint64_t offset,
                      const struct ms_iovec *iov, int count, bool durably) {
    uint64_t limit = size_limit(sim, inode);
    uint64_t end = offset;
    uint64_t size_before = inode->current.size;
    bool full = false;
    for (int i = 0; i < count && !full; i++) {
        uint64_t room = end < limit ? limit - end : 0;
        uint64_t len = iov[i].len < room ? iov[i].len : room;
        full = len < iov[i].len;
        ms_sim_image_write(&sim->pool, &inode->current, end, iov[i].data, len);
        end += len;
    }
    if (end > offset) {
        if (end > size_before)
            inode->current.size = end;
        ms_sim_file_account(sim, inode);
        if (durably && inode->change_count == 0) {
            ms_sim_image_share(&sim->pool, &inode->durable, &inode->current, offset, end - offset);
            if (end > inode->durable.size)
                inode->durable.size = end;
        } else {
            record_write(inode, offset, end - offset, size_before, durably);
        }
    }
    return full ? MS_ENOSPC : 0;
}

static uint8_t *flatten(const struct ms_iovec *iov, int count, uint64_t *ret_len) {
    uint64_t len = 0;
    for (int i = 0; i < count; i++)
        len += iov[i].len;
    uint8_t *data = ms_sim_alloc((size_t)len + 1);
    uint8_t *at = data;
    for (int i = 0; i < count; i++) {
        if (iov[i].len)
            memcpy(at, iov[i].data, iov[i].len);
        at += iov[i].len;
    }
    *ret_len = len;
    return data;
}

void ms_sim_file_write_part(struct ms_vfs_sim *sim, struct sim_inode *inode, uint64_t offset,
                            const struct ms_iovec *iov, int count) {
    uint64_t len;
    uint8_t *data = flatten(iov, count, &len);
    uint64_t base = sim_round_down(offset, SIM_SECTOR);
    uint64_t sectors = (sim_round_up(offset + len, SIM_SECTOR) - base) / SIM_SECTOR;
    struct sector_choice choice = choose_sectors(sim, sectors);
    uint64_t at = 0, first, end;
    while (next_run(sim, &choice, sectors, &at, &first, &end)) {
        uint64_t run_start = base + first * SIM_SECTOR;
        uint64_t run_end = base + end * SIM_SECTOR;
        if (run_start < offset)
            run_start = offset;
        if (run_end > offset + len)
            run_end = offset + len;
        struct ms_iovec run = {data + (run_start - offset), (size_t)(run_end - run_start)};
        if (ms_sim_file_write(sim, inode, run_start, &run, 1, false) < 0)
            break;
    }
    free(data);
}

int ms_sim_file_truncate(struct ms_vfs_sim *sim, struct sim_inode *inode, uint64_t size) {
    if (size > size_limit(sim, inode))
        return MS_ENOSPC;
    if (size == inode->current.size)
        return 0;
    struct sim_change *change = add_change(inode);
    change->is_truncate = true;
    change->size_before = inode->current.size;
    change->size_after = size;
    ms_sim_image_truncate(&sim->pool, &inode->current, size);
    ms_sim_file_account(sim, inode);
    return 0;
}

void ms_sim_file_sync(struct ms_vfs_sim *sim, struct sim_inode *inode) {
    for (size_t i = 0; i < inode->change_count; i++) {
        const struct sim_change *change = &inode->changes[i];
        if (change->is_truncate)
            ms_sim_image_truncate(&sim->pool, &inode->durable, change->size_after);
        else
            ms_sim_image_share(&sim->pool, &inode->durable, &inode->current, change->offset,
                               change->len);
    }
    if (inode->change_count > 0 || inode->has_lost_pages)
        ms_sim_image_truncate(&sim->pool, &inode->durable, inode->current.size);
    forget_changes(inode);
}

/* ---- settling: which changes are on the disk after all ---- */

/* Stale bytes are worth a bounded effort: this much of a file, from a change chosen by chance on.
 * */
#define STALE_BYTES_MAX (UINT64_C(128) * 1024)

/* What a sector shows that belonged to another file before, or to nobody. */
static void fill_stale(struct ms_vfs_sim *sim, struct sim_image *image, uint64_t sector) {
    uint8_t bytes[SIM_SECTOR];
    const struct sim_page *page = sim->pool.stale[ms_sim_below(sim, SIM_STALE_PAGES)];
    if (page)
        memcpy(bytes, page->bytes + sector % SIM_PAGE, sizeof bytes);
    else
        ms_random_fill(&sim->random.random, bytes, sizeof bytes);
    ms_sim_image_write(&sim->pool, image, sector, bytes, sizeof bytes);
}

/* Before the survivors are written: fills where the writes of new space will go. */
static void lay_stale_bytes(struct ms_vfs_sim *sim, struct sim_inode *inode) {
    uint64_t old_end = sim_round_up(inode->durable.size, SIM_SECTOR);
    uint64_t left = STALE_BYTES_MAX;
    size_t start = (size_t)ms_sim_below(sim, inode->change_count);
    for (size_t i = start; i < inode->change_count; i++) {
        const struct sim_change *change = &inode->changes[i];
        if (change->is_truncate)
            continue;
        uint64_t sector = change->offset > old_end ? change->offset : old_end;
        for (; sector < change->offset + change->len && left > 0; sector += SIM_SECTOR) {
            fill_stale(sim, &inode->durable, sector);
            left -= SIM_SECTOR;
        }
    }
}

static void apply_write(struct ms_vfs_sim *sim, struct sim_image *image,
                        const struct sim_change *change, struct sector_choice choice) {
    uint64_t sectors = change->len / SIM_SECTOR;
    uint64_t at = 0, first, end;
    while (next_run(sim, &choice, sectors, &at, &first, &end)) {
        const uint8_t *data = change->data ? change->data + first * SIM_SECTOR : NULL;
        ms_sim_image_write(&sim->pool, image, change->offset + first * SIM_SECTOR, data,
                           (end - first) * SIM_SECTOR);
    }
}

static bool changes_size(const struct sim_change *change) {
    return change->size_before != change->size_after;
}

/* How many of the size changes survive: at least those that a durable write stands on. */
static size_t choose_size_changes(struct ms_vfs_sim *sim, const struct sim_inode *inode,
                                  bool by_chance) {
    size_t total = 0, needed = 0;
    for (size_t i = 0; i < inode->change_count; i++) {
        if (changes_size(&inode->changes[i]))
            total++;
        if (inode->changes[i].is_durable)
            needed = total;
    }
    if (!by_chance)
        return needed;
    switch (ms_sim_below(sim, 4)) {
    case 0:
        return total;
    case 1:
        return needed;
    default:
        return needed + (size_t)ms_sim_below(sim, total - needed + 1);
    }
}

/* Applies what survives to the durable image. The changes stay listed; bytes past the size are
 * cleared. */
static void settle(struct ms_vfs_sim *sim, struct sim_inode *inode, bool by_chance) {
    if (inode->change_count == 0)
        return;
    struct sim_image *image = &inode->durable;
    size_t size_changes = choose_size_changes(sim, inode, by_chance);
    if (by_chance && sim->stale_bytes && ms_sim_below(sim, 4) == 0)
        lay_stale_bytes(sim, inode);
    size_t seen = 0;
    for (size_t i = 0; i < inode->change_count; i++) {
        const struct sim_change *change = &inode->changes[i];
        if (!change->is_truncate) {
            struct sector_choice choice = {.mode = change->is_durable ? CHOOSE_ALL : CHOOSE_NONE};
            if (by_chance && !change->is_durable)
                choice = choose_sectors(sim, change->len / SIM_SECTOR);
            apply_write(sim, image, change, choice);
        }
        if (!changes_size(change))
            continue;
        uint64_t grown = change->size_after - change->size_before;
        if (seen < size_changes && change->is_truncate)
            ms_sim_image_truncate(&sim->pool, image, change->size_after);
        else if (seen < size_changes)
            image->size = change->size_after;
        else if (seen == size_changes && by_chance && !change->is_truncate && grown > SIM_SECTOR)
            image->size = sim_round_up(change->size_before + ms_sim_below(sim, grown - SIM_SECTOR),
                                       SIM_SECTOR);
        seen++;
    }
    ms_sim_image_truncate(&sim->pool, image, image->size);
}

void ms_sim_file_sync_failed(struct ms_vfs_sim *sim, struct sim_inode *inode) {
    if (inode->change_count == 0)
        return;
    settle(sim, inode, true);
    forget_changes(inode);
    inode->has_lost_pages = true;
}

void ms_sim_file_cut(struct ms_vfs_sim *sim, struct sim_inode *inode, bool by_chance) {
    bool anywhere = inode->has_lost_pages;
    settle(sim, inode, by_chance);
    for (size_t i = 0; i < inode->change_count && !anywhere; i++) {
        const struct sim_change *change = &inode->changes[i];
        anywhere = change->is_truncate;
        ms_sim_image_share(&sim->pool, &inode->current, &inode->durable, change->offset,
                           change->len);
    }
    if (anywhere)
        ms_sim_image_share_all(&sim->pool, &inode->current, &inode->durable);
    inode->current.size = inode->durable.size;
    inode->has_lost_pages = false;
    forget_changes(inode);
}
