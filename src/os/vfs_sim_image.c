/* Page tables of simulated files: copy on write, nothing stored for zeros. See vfs_sim_internal.h.
 * */
#include "os/vfs_sim_internal.h"

#include <stdlib.h>

void *ms_sim_alloc(size_t size) {
    void *memory = calloc(1, size);
    MS_ASSERT(memory != NULL);
    return memory;
}

void ms_sim_reserve(void **array, size_t *capacity, size_t count, size_t item) {
    if (count < *capacity)
        return;
    size_t wanted = *capacity ? 2 * *capacity : 8;
    if (wanted <= count)
        wanted = count + 1;
    void *grown = realloc(*array, wanted * item);
    MS_ASSERT(grown != NULL);
    *array = grown;
    *capacity = wanted;
}

/* ---- pages ---- */

static struct sim_page *page_new(void) {
    struct sim_page *page = malloc(sizeof *page);
    MS_ASSERT(page != NULL);
    page->refs = 1;
    return page;
}

static void page_unref(struct sim_pool *pool, struct sim_page *page) {
    if (!page || --page->refs > 0)
        return;
    struct sim_page **slot = &pool->stale[pool->next++ % SIM_STALE_PAGES];
    free(*slot);
    *slot = page;
}

void ms_sim_pool_clear(struct sim_pool *pool) {
    for (int i = 0; i < SIM_STALE_PAGES; i++)
        free(pool->stale[i]);
    *pool = (struct sim_pool){0};
}

static struct sim_page *get_page(const struct sim_image *image, uint64_t index) {
    uint64_t leaf = index / SIM_LEAF_PAGES;
    if (leaf >= image->leaf_count || !image->leaves[leaf])
        return NULL;
    return image->leaves[leaf]->pages[index % SIM_LEAF_PAGES];
}

/* Where the page's pointer is kept; makes the table as large as needed. */
static struct sim_page **page_slot(struct sim_image *image, uint64_t index) {
    size_t leaf = (size_t)(index / SIM_LEAF_PAGES);
    if (leaf >= image->leaf_count) {
        size_t count = 2 * image->leaf_count > leaf + 1 ? 2 * image->leaf_count : leaf + 1;
        void *leaves = realloc(image->leaves, count * sizeof *image->leaves);
        MS_ASSERT(leaves != NULL);
        image->leaves = leaves;
        memset(image->leaves + image->leaf_count, 0,
               (count - image->leaf_count) * sizeof *image->leaves);
        image->leaf_count = count;
    }
    if (!image->leaves[leaf])
        image->leaves[leaf] = ms_sim_alloc(sizeof **image->leaves);
    return &image->leaves[leaf]->pages[index % SIM_LEAF_PAGES];
}

static void drop_page(struct sim_pool *pool, struct sim_image *image, uint64_t index) {
    if (get_page(image, index)) {
        struct sim_page **slot = page_slot(image, index);
        page_unref(pool, *slot);
        *slot = NULL;
    }
}

/* A page that belongs to this image alone. Its content is kept unless `overwritten` whole. */
static struct sim_page *own_page(struct sim_pool *pool, struct sim_image *image, uint64_t index,
                                 bool overwritten) {
    struct sim_page **slot = page_slot(image, index);
    struct sim_page *page = *slot;
    if (page && page->refs == 1)
        return page;
    struct sim_page *fresh = page_new();
    if (!overwritten) {
        if (page)
            memcpy(fresh->bytes, page->bytes, SIM_PAGE);
        else
            memset(fresh->bytes, 0, SIM_PAGE);
    }
    page_unref(pool, page);
    *slot = fresh;
    return fresh;
}

/* ---- images ---- */

void ms_sim_image_clear(struct sim_pool *pool, struct sim_image *image) {
    for (size_t leaf = 0; leaf < image->leaf_count; leaf++) {
        if (!image->leaves[leaf])
            continue;
        for (int i = 0; i < SIM_LEAF_PAGES; i++)
            page_unref(pool, image->leaves[leaf]->pages[i]);
        free(image->leaves[leaf]);
    }
    free(image->leaves);
    *image = (struct sim_image){0};
}

void ms_sim_image_read(const struct sim_image *image, uint64_t offset, void *out, size_t len) {
    uint8_t *at = out;
    while (len > 0) {
        size_t in_page = (size_t)(offset % SIM_PAGE);
        size_t piece = len < SIM_PAGE - in_page ? len : (size_t)SIM_PAGE - in_page;
        const struct sim_page *page = get_page(image, offset / SIM_PAGE);
        if (page)
            memcpy(at, page->bytes + in_page, piece);
        else
            memset(at, 0, piece);
        at += piece;
        offset += piece;
        len -= piece;
    }
}

static bool all_zeros(const uint8_t *data, size_t len) {
    return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

void ms_sim_image_write(struct sim_pool *pool, struct sim_image *image, uint64_t offset,
                        const void *data, uint64_t len) {
    const uint8_t *from = data;
    while (len > 0) {
        uint64_t index = offset / SIM_PAGE;
        size_t in_page = (size_t)(offset % SIM_PAGE);
        size_t piece = len < SIM_PAGE - in_page ? (size_t)len : (size_t)SIM_PAGE - in_page;
        bool whole = piece == SIM_PAGE;
        bool zeros = !from || all_zeros(from, piece);
        if (zeros && (whole || !get_page(image, index)))
            drop_page(pool, image, index);
        else if (zeros)
            memset(own_page(pool, image, index, false)->bytes + in_page, 0, piece);
        else
            memcpy(own_page(pool, image, index, whole)->bytes + in_page, from, piece);
        from = from ? from + piece : NULL;
        offset += piece;
        len -= piece;
    }
}

bool ms_sim_image_has_no_pages(const struct sim_image *image, uint64_t offset, uint64_t len) {
    for (uint64_t index = offset / SIM_PAGE; index * SIM_PAGE < offset + len; index++)
        if (get_page(image, index))
            return false;
    return true;
}

void ms_sim_image_truncate(struct sim_pool *pool, struct sim_image *image, uint64_t size) {
    uint64_t limit = image->leaf_count * SIM_LEAF_PAGES * SIM_PAGE;
    uint64_t whole_pages = sim_round_up(size, SIM_PAGE);
    if (size < whole_pages && size < limit)
        ms_sim_image_write(pool, image, size, NULL, whole_pages - size);
    uint64_t index = whole_pages / SIM_PAGE;
    while (index * SIM_PAGE < limit) {
        if (!image->leaves[index / SIM_LEAF_PAGES]) {
            index = (index / SIM_LEAF_PAGES + 1) * SIM_LEAF_PAGES;
            continue;
        }
        drop_page(pool, image, index);
        index++;
    }
    image->size = size;
}

void ms_sim_image_share(struct sim_pool *pool, struct sim_image *to, const struct sim_image *from,
                        uint64_t offset, uint64_t len) {
    for (uint64_t index = offset / SIM_PAGE; index * SIM_PAGE < offset + len; index++) {
        struct sim_page *page = get_page(from, index);
        if (page == get_page(to, index))
            continue;
        if (!page) {
            drop_page(pool, to, index);
            continue;
        }
        struct sim_page **slot = page_slot(to, index);
        page->refs++;
        page_unref(pool, *slot);
        *slot = page;
    }
}

void ms_sim_image_share_all(struct sim_pool *pool, struct sim_image *to,
                            const struct sim_image *from) {
    size_t leaf_count = to->leaf_count > from->leaf_count ? to->leaf_count : from->leaf_count;
    uint64_t leaf_bytes = SIM_LEAF_PAGES * SIM_PAGE;
    for (size_t leaf = 0; leaf < leaf_count; leaf++) {
        bool in_to = leaf < to->leaf_count && to->leaves[leaf];
        bool in_from = leaf < from->leaf_count && from->leaves[leaf];
        if (in_to || in_from)
            ms_sim_image_share(pool, to, from, leaf * leaf_bytes, leaf_bytes);
    }
    to->size = from->size;
}
