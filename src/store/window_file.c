/*
 * The idempotence window (repeat.c) over a clean stop. Derived: without the file, or with one that
 * does not fit, the window is rebuilt from the log.
 *
 *     0    8 "MSTMWIN1"       8   16 log uuid         24    8 end position of the log
 *    32    8 count           40   16 each: hash (8), version (8), oldest first
 *     …    4 CRC-32C of all before                    little endian
 *
 * At open and close only.
 */
#include "base/alloc.h"
#include "base/endian.h"
#include "store/internal.h"

#define WINDOW_HEADER_LEN 40u
#define WINDOW_ENTRY_LEN 16u
#define WINDOW_FILE_MAX ((size_t)1 << 30)

static const uint8_t window_magic[8] = {'M', 'S', 'T', 'M', 'W', 'I', 'N', '1'};

static int window_path(const struct ms_store *store, char out[MS_PATH_MAX]) {
    return ms_path_join(out, store->dir, "shard-000/window");
}

static void write_window(const struct ms_store *store, uint64_t end, uint8_t *out) {
    const struct ms_window *window = &store->window;
    memcpy(out, window_magic, sizeof window_magic);
    memcpy(out + 8, store->log_uuid.bytes, 16);
    ms_put_le64(out + 24, end);
    ms_put_le64(out + 32, window->count);
    uint8_t *at = out + WINDOW_HEADER_LEN;
    for (size_t i = window->count; i > 0; i--, at += WINDOW_ENTRY_LEN) {
        size_t slot = (window->ring_at + window->ring_capacity - i) % window->ring_capacity;
        int64_t version = 0;
        bool known = ms_window_find(window, window->ring[slot], &version);
        MS_ASSERT(known);
        ms_put_le64(at, window->ring[slot]);
        ms_put_le64(at + 8, (uint64_t)version);
    }
    ms_put_le32(at, ms_crc32c(0, out, (size_t)(at - out)));
}

void ms_window_save(struct ms_store *store, uint64_t end) {
    char path[MS_PATH_MAX];
    struct ms_buf content;
    uint8_t *place;
    size_t len = WINDOW_HEADER_LEN + store->window.count * WINDOW_ENTRY_LEN + 4;
    ms_buf_init(&content, WINDOW_FILE_MAX);
    if (window_path(store, path) == 0 && ms_buf_extend(&content, len, &place) == 0) {
        write_window(store, end, place);
        /* Without it the next start takes a little longer. */
        ms_ignore(ms_vfs_replace_file(store->env->vfs, path, ms_buf_bytes(&content), NULL));
    }
    ms_buf_deinit(&content);
}

static bool fits(const struct ms_store *store, struct ms_bytes file) {
    const uint8_t *at = file.data;
    if (file.len < WINDOW_HEADER_LEN + 4 || memcmp(at, window_magic, sizeof window_magic) != 0 ||
        memcmp(at + 8, store->log_uuid.bytes, 16) != 0 ||
        ms_get_le64(at + 24) != ms_log_end(store->log))
        return false;
    uint64_t count = ms_get_le64(at + 32);
    size_t covered = file.len - 4;
    return count <= WINDOW_FILE_MAX / WINDOW_ENTRY_LEN &&
           covered == WINDOW_HEADER_LEN + count * WINDOW_ENTRY_LEN &&
           ms_get_le32(at + covered) == ms_crc32c(0, at, covered);
}

bool ms_window_load(struct ms_store *store) {
    char path[MS_PATH_MAX];
    struct ms_buf content;
    bool loaded = false;
    ms_buf_init(&content, WINDOW_FILE_MAX);
    if (window_path(store, path) == 0 &&
        ms_vfs_read_file(store->env->vfs, path, &content, NULL) == 0 &&
        fits(store, ms_buf_bytes(&content))) {
        uint64_t count = ms_get_le64(content.data + 32);
        const uint8_t *at = content.data + WINDOW_HEADER_LEN;
        for (uint64_t i = 0; i < count; i++, at += WINDOW_ENTRY_LEN)
            ms_window_add(&store->window, ms_get_le64(at), (int64_t)ms_get_le64(at + 8));
        loaded = true;
    }
    ms_buf_deinit(&content);
    return loaded;
}
