/* Looking into segments, damaging them, and expecting recovery's refusal. For tests of recovery. */
#pragma once

#include <stdio.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "log/recovery.h"
#include "support/log_world.h"

static inline void assert_good(struct log_world *w) {
    const char *wrong = log_world_check(w);
    if (wrong != NULL)
        fail_msg("%s", wrong);
}

static inline void start(struct log_world *w, unsigned appends) {
    assert_int_equal(log_world_open(w), 0);
    for (unsigned i = 0; i < appends; i++)
        assert_int_equal(log_world_append(w, 64), 0);
}

static inline void reopen_and_go_on(struct log_world *w) {
    assert_int_equal(log_world_open(w), 0);
    assert_good(w);
    assert_int_equal(log_world_append(w, 64), 0);
    assert_int_equal(log_world_close(w), 0);
    assert_int_equal(log_world_open(w), 0);
    assert_good(w);
}

/* The block that begins at a place of a segment's file. */
static inline struct ms_block_header header_at(struct log_world *w, uint64_t segment,
                                               uint64_t offset) {
    uint8_t bytes[MS_BLOCK_HEADER_LEN];
    struct ms_block_header header;
    char path[64];
    world_read(&w->world, log_world_segment(segment, path), offset, bytes, sizeof bytes);
    assert_int_equal(ms_block_header_read(bytes, &header), 0);
    return header;
}

/* Where the n-th block with entries of the segment begins. */
static inline uint64_t find_block(struct log_world *w, uint64_t segment, unsigned n) {
    uint64_t offset = 0;
    for (;;) {
        struct ms_block_header header = header_at(w, segment, offset);
        if (header.entry_count > 0 && n-- == 0)
            return offset;
        offset += ms_block_padded(header.length);
    }
}

static inline uint64_t end_of_blocks(struct log_world *w, uint64_t segment) {
    uint8_t bytes[MS_BLOCK_HEADER_LEN];
    struct ms_block_header header;
    char path[64];
    uint64_t offset = 0, size = world_file_size(&w->world, log_world_segment(segment, path));
    while (offset + sizeof bytes <= size) {
        world_read(&w->world, path, offset, bytes, sizeof bytes);
        if (ms_block_header_read(bytes, &header) != 0)
            break;
        offset += ms_block_padded(header.length);
    }
    return offset;
}

static inline void flip(struct log_world *w, uint64_t segment, uint64_t offset) {
    char path[64];
    assert_int_equal(ms_vfs_sim_flip(w->world.sim, log_world_segment(segment, path), offset, 3), 0);
}

/* A hash of all files' names and content in the shard. */
static inline uint64_t fingerprint(struct log_world *w) {
    struct ms_dir_entry *entries;
    size_t count;
    uint64_t hash = 0;
    assert_int_equal(ms_vfs_list(world_vfs(&w->world), LOG_WORLD_DIR, &entries, &count, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        char path[MS_PATH_MAX];
        assert_int_equal(ms_path_join(path, LOG_WORLD_DIR, entries[i].name), 0);
        uint8_t *bytes = ms_alloc(entries[i].size + 1);
        world_read(&w->world, path, 0, bytes, entries[i].size);
        hash = ms_hash64(entries[i].name, strlen(entries[i].name), hash);
        hash = ms_hash64(bytes, entries[i].size, hash);
        ms_free(bytes);
    }
    ms_dir_entries_free(entries, count);
    return hash;
}

/* Refused with this code, for writers and readers, and nothing touched. */
static inline void assert_refused(struct log_world *w, int code, const char *words) {
    uint64_t before = fingerprint(w);
    for (int pass = 0; pass < 2; pass++) {
        w->options.read_only = pass == 0;
        assert_int_equal(log_world_open(w), code);
        if (strstr(w->error.message, words) == NULL)
            fail_msg("'%s' does not say '%s'", w->error.message, words);
        assert_int_equal(fingerprint(w), before);
    }
}

/* Segments of a few blocks each, all sealed but the last. */
static inline void write_segments(struct log_world *w, unsigned segments, size_t value_len) {
    assert_int_equal(log_world_open(w), 0);
    while (w->log->segment_count < segments) {
        assert_int_equal(log_world_append(w, value_len), 0);
        while (ms_keeper_step(w->log))
            continue;
    }
    assert_int_equal(log_world_append(w, value_len), 0);
}

static inline uint64_t first_of(struct log_world *w, size_t index) {
    return w->log->segments[index]->first_position;
}
