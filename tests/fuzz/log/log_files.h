/* A log in a simulated file system whose segment files come from a fuzzer's input, and reading it
 * with every promise of a reader checked. The input's form is described in fuzz_segment.c. */
#pragma once

#include <stdlib.h>

#include "base/alloc.h"
#include "log/internal.h"
#include "log/verify.h"
#include "log/walk.h"
#include "mend.h"
#include "os/vfs_sim.h"

#define FUZZ_SEGMENT_BYTES ((uint64_t)128 << 10)
#define FUZZ_FILE_MAX ((size_t)256 << 10)
#define FUZZ_SEGMENTS_MAX 3u
#define FUZZ_DIR "shard"

struct fuzz_log {
    struct ms_vfs_sim *sim;
    struct ms_clock_manual clock;
    struct ms_random_seeded random;
    struct ms_env env;
    struct ms_log *log;
    struct ms_error error; /* of the last opening */
    char paths[FUZZ_SEGMENTS_MAX][64];
    uint64_t first_positions[FUZZ_SEGMENTS_MAX];
    size_t file_count;
};

static inline void fuzz_log_init(struct fuzz_log *f) {
    *f = (struct fuzz_log){0};
    MS_ASSERT(ms_vfs_sim_new(1, &f->sim) == 0);
    ms_clock_manual_init(&f->clock, INT64_C(1700000000000000));
    ms_random_seeded_init(&f->random, 1);
    f->env = (struct ms_env){ms_vfs_sim_vfs(f->sim), &f->clock.clock, &f->random.random};
    MS_ASSERT(ms_vfs_mkdir_all(f->env.vfs, FUZZ_DIR, NULL) == 0);
}

static inline void fuzz_log_deinit(struct fuzz_log *f) {
    MS_ASSERT(f->log == NULL);
    ms_vfs_sim_free(f->sim);
}

/* ---- files ---- */

static inline void fuzz_file_write(struct fuzz_log *f, uint64_t first_position,
                                   const uint8_t *bytes, size_t len) {
    char name[MS_SEGMENT_NAME_LEN + 1], *path = f->paths[f->file_count];
    struct ms_file *file;
    for (size_t i = 0; i < f->file_count; i++)
        if (f->first_positions[i] == first_position)
            return;
    ms_segment_name(first_position, name);
    memcpy(path, FUZZ_DIR "/", sizeof FUZZ_DIR);
    memcpy(path + sizeof FUZZ_DIR, name, sizeof name);
    MS_ASSERT(ms_vfs_open(f->env.vfs, path, MS_OPEN_WRITE | MS_OPEN_CREATE, &file, NULL) == 0);
    MS_ASSERT(len == 0 || ms_file_write(file, 0, bytes, len, NULL) == 0);
    MS_ASSERT(ms_file_sync(file, NULL) == 0);
    ms_file_close(file);
    f->first_positions[f->file_count++] = first_position;
}

/* The blocks of a file: one after the other as their lengths say. */
static inline void fuzz_file_mend(uint8_t *file, size_t len, enum mend how,
                                  struct mend_chain *chain) {
    size_t footer = SIZE_MAX;
    for (size_t at = 0; at < len;) {
        uint64_t step = MS_BLOCK_ALIGN;
        if (len - at >= MS_BLOCK_HEADER_LEN && memcmp(file + at, "MSTMBLK1", 8) == 0) {
            if (ms_get_le16(file + at + 10) & MS_BLOCK_FOOTER)
                footer = at;
            mend_block(file + at, len - at, how, chain);
            uint64_t length = ms_get_le64(file + at + 72);
            step = length > 0 && length <= len ? ms_block_padded(length) : step;
        }
        at += step;
    }
    if (footer != SIZE_MAX)
        mend_trailer(file, len, footer, how);
}

static inline void fuzz_log_pieces(struct fuzz_log *f, enum mend how, const uint8_t *data,
                                   size_t size, uint8_t *file) {
    struct mend_chain chain = {.store = mend_store};
    uint64_t first_position = 0;
    size_t len = 0, at = 0;
    while (at + 2 <= size && len < FUZZ_FILE_MAX) {
        size_t piece = ms_get_le16(data + at);
        at += 2;
        if (piece == 0xfffe && at + 2 <= size) {
            fuzz_file_mend(file, len, how, &chain);
            fuzz_file_write(f, first_position, file, len);
            if (f->file_count == FUZZ_SEGMENTS_MAX)
                return;
            first_position = chain.segment = chain.position + ms_get_le16(data + at);
            memset(file, 0, FUZZ_FILE_MAX);
            len = 0;
            at += 2;
            continue;
        }
        size_t room = FUZZ_FILE_MAX - len, there = piece == 0xffff ? 0 : piece;
        there = there > size - at ? size - at : there;
        there = there > room ? room : there;
        memcpy(file + len, data + at, there);
        at += there;
        len += piece == 0xffff ? MS_BLOCK_ALIGN : (size_t)ms_block_padded(there);
        /* Sense reaches to the end of what was given, not into the next piece. */
        if (how == MEND_SENSE && there >= MS_BLOCK_HEADER_LEN &&
            ms_get_le64(data + at - there + 72) > there)
            ms_put_le64(file + len - ms_block_padded(there) + 72, there);
    }
    fuzz_file_mend(file, len, how, &chain);
    fuzz_file_write(f, first_position, file, len);
}

static inline void fuzz_log_lay_out(struct fuzz_log *f, uint8_t mode, const uint8_t *data,
                                    size_t size) {
    enum mend how = (enum mend)((mode & 3) % 3);
    uint8_t *file = calloc(1, FUZZ_FILE_MAX);
    MS_ASSERT(file != NULL);
    if (mode & 4) {
        struct mend_chain chain = {.store = mend_store};
        size = size > FUZZ_FILE_MAX ? FUZZ_FILE_MAX : size;
        if (size > 0)
            memcpy(file, data, size);
        fuzz_file_mend(file, size, how, &chain);
        fuzz_file_write(f, 0, file, size);
    } else {
        fuzz_log_pieces(f, how, data, size, file);
    }
    free(file);
}

/* ---- the log ---- */

static inline struct ms_verify_options fuzz_verify_options(struct fuzz_log *f) {
    return (struct ms_verify_options){.env = &f->env, .dir = FUZZ_DIR, .log_uuid = mend_store};
}

static inline int fuzz_log_open(struct fuzz_log *f, bool read_only) {
    f->error = (struct ms_error){0};
    struct ms_log_options options = {
        .env = &f->env,
        .dir = FUZZ_DIR,
        .store_uuid = mend_store,
        .manual = true,
        .read_only = read_only,
        .segment_bytes = FUZZ_SEGMENT_BYTES,
        .append_bytes_max = (size_t)16 << 10,
        .tail_cache_bytes = (size_t)64 << 10,
    };
    int rc = ms_log_open(&options, &f->log, &f->error);
    MS_ASSERT(rc == f->error.code && (rc == 0 || rc == MS_ECORRUPT || rc == MS_EFORMAT));
    return rc;
}

static inline void fuzz_log_close(struct fuzz_log *f) {
    MS_ASSERT(ms_log_close(f->log, NULL) == 0);
    f->log = NULL;
}

struct fuzz_read {
    int code; /* how it ended */
    uint64_t events, entries, end;
    uint32_t sum; /* of all batches */
};

static inline bool fuzz_read_equal(const struct fuzz_read *a, const struct fuzz_read *b) {
    return a->code == b->code && a->events == b->events && a->entries == b->entries &&
           a->end == b->end && a->sum == b->sum;
}

static inline struct fuzz_read fuzz_log_read(struct fuzz_log *f) {
    struct fuzz_read read = {.end = ms_log_end(f->log)};
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    struct ms_error err = {0};
    uint64_t next = 0;
    ms_log_cursor_init(&cursor, f->log, 0);
    while ((read.code = ms_log_cursor_next(&cursor, &entry, &err)) > 0) {
        MS_ASSERT(entry.record_count > 0 && entry.header.first_position >= next);
        MS_ASSERT(entry.batch.len == entry.header.length);
        /* What is in a frame has the frame's checksum. */
        MS_ASSERT(cursor.frame != NULL || ms_batch_check_crc(entry.batch, NULL) == 0);
        next = entry.header.first_position + entry.record_count;
        MS_ASSERT(next > entry.header.first_position && next <= read.end);
        read.events += ms_get_be32(entry.batch.data + 57); /* as verify counts them */
        read.entries++;
        read.sum = ms_crc32c(read.sum, entry.batch.data + 16, entry.batch.len - 16);
        if (read.entries % 8 == 1)
            MS_ASSERT(ms_log_anchor_before(f->log, entry.header.first_position) <=
                      entry.header.first_position);
    }
    MS_ASSERT(read.code == 0 || (read.code == MS_ECORRUPT && err.code == MS_ECORRUPT));
    ms_log_cursor_deinit(&cursor);
    return read;
}

static inline void fuzz_done(struct ms_log_ticket *ticket, int status) {
    (void)ticket;
    MS_ASSERT(status == 0);
}

/* One record; false when the log says that there is no place for it. */
static inline bool fuzz_log_append(struct fuzz_log *f) {
    struct ms_batch_writer writer;
    struct ms_buf batch;
    struct ms_bytes value = MS_BYTES_LITERAL("one more");
    struct ms_log_ticket ticket = {.done = fuzz_done};
    bool waited;
    ms_buf_init(&batch, 4096);
    MS_ASSERT(ms_batch_begin(&writer, &batch, MS_CODEC_NONE, 1000) == 0);
    MS_ASSERT(ms_batch_add(&writer, 1000, NULL, &value, NULL, 0) == 0);
    MS_ASSERT(ms_batch_end(&writer) == 0);
    struct ms_log_put put = {.topic = 17, .record_count = 1, .batch = ms_buf_bytes(&batch)};
    ms_log_lock(f->log);
    int rc = ms_log_admit(f->log, batch.len, 1, false, &waited, NULL);
    if (rc == 0) {
        ms_ignore((int)ms_log_put(f->log, &put));
        ms_log_attach(f->log, &ticket);
    }
    ms_log_unlock(f->log);
    ms_log_run(f->log);
    ms_buf_deinit(&batch);
    return rc == 0;
}
