/* Making logs, damaging them, and asking what verify, repair and recovery make of it. For tests of
 * src/log. */
#pragma once

#include <stdio.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "log/repair.h"
#include "log/rewrite.h"
#include "log/walk.h"
#include "support/log_world.h"

#define FINDINGS_MAX 64u

struct findings {
    size_t count, damages;
    struct ms_verify_finding list[FINDINGS_MAX];
    char segment[FINDINGS_MAX][32];
    char what[FINDINGS_MAX][256];
    uint64_t progress, progress_total;
};

static inline void take_finding(void *context, const struct ms_verify_finding *finding) {
    struct findings *f = context;
    if (f->count < FINDINGS_MAX) {
        f->list[f->count] = *finding;
        snprintf(f->segment[f->count], sizeof f->segment[0], "%s", finding->segment);
        snprintf(f->what[f->count], sizeof f->what[0], "%s", finding->what);
    }
    f->count++;
    f->damages += finding->damage;
}

static inline void take_progress(void *context, uint64_t done, uint64_t total) {
    struct findings *f = context;
    assert_true(done >= f->progress);
    f->progress = done;
    f->progress_total = total;
}

static inline struct ms_verify_options verify_options(struct log_world *w, struct findings *f) {
    *f = (struct findings){0};
    return (struct ms_verify_options){
        .env = &w->world.env,
        .dir = LOG_WORLD_DIR,
        .log_uuid = w->options.store_uuid,
        .on_finding = take_finding,
        .on_progress = take_progress,
        .context = f,
    };
}

static inline struct ms_verify_result verify(struct log_world *w, struct findings *f) {
    struct ms_verify_options options = verify_options(w, f);
    struct ms_verify_result result;
    struct ms_error error = {0};
    if (ms_log_verify(&options, &result, &error) != 0)
        fail_msg("verify: %s", error.message);
    assert_int_equal(result.damages, f->damages);
    return result;
}

static inline void assert_found(const struct findings *f, const char *segment, uint64_t offset,
                                const char *what) {
    for (size_t i = 0; i < f->count && i < FINDINGS_MAX; i++)
        if (strstr(f->segment[i], segment) != NULL && f->list[i].offset == offset &&
            strstr(f->what[i], what) != NULL)
            return;
    for (size_t i = 0; i < f->count && i < FINDINGS_MAX; i++)
        print_message("found: %s@%llu %s\n", f->segment[i], (unsigned long long)f->list[i].offset,
                      f->what[i]);
    fail_msg("not found: %s@%llu %s", segment, (unsigned long long)offset, what);
}

/* Appends, one a block, until `segments` of them are full and another one is begun; closes. */
static inline void build(struct log_world *w, size_t segments, size_t value_len) {
    assert_int_equal(log_world_open(w), 0);
    while (w->log->segment_count <= segments)
        assert_int_equal(log_world_append(w, value_len), 0);
    assert_int_equal(log_world_append(w, value_len), 0);
    while (ms_keeper_step(w->log))
        continue;
    assert_int_equal(log_world_close(w), 0);
}

/* The first positions of the segments there are. */
static inline size_t names(struct log_world *w, uint64_t out[16]) {
    struct ms_dir_entry *entries;
    size_t count, found = 0;
    assert_int_equal(ms_vfs_list(world_vfs(&w->world), LOG_WORLD_DIR, &entries, &count, NULL), 0);
    for (size_t i = 0; i < count && found < 16; i++)
        found += ms_segment_name_parse(entries[i].name, &out[found]);
    ms_dir_entries_free(entries, count);
    return found;
}

/* The n-th block of a segment (footer: the footer), as it lies there. */
static inline struct ms_walk_step block_at(struct log_world *w, uint64_t segment, size_t n,
                                           bool footer) {
    char path[64];
    struct ms_walk walk;
    struct ms_walk_step step, found = {0};
    int rc = ms_walk_open(&walk, &w->world.env, log_world_segment(segment, path), NULL);
    assert_int_equal(rc, 0);
    while ((rc = ms_walk_next(&walk, &step, NULL)) > 0) {
        bool wanted = footer ? step.kind == MS_WALK_FOOTER : step.kind == MS_WALK_BLOCK && n-- == 0;
        if (wanted) {
            found = step;
            break;
        }
    }
    ms_walk_close(&walk);
    assert_int_equal(rc, 1);
    found.bytes = NULL;
    return found;
}

static inline size_t count_blocks(struct log_world *w, uint64_t segment) {
    char path[64];
    struct ms_walk walk;
    struct ms_walk_step step;
    size_t count = 0;
    assert_int_equal(ms_walk_open(&walk, &w->world.env, log_world_segment(segment, path), NULL), 0);
    while (ms_walk_next(&walk, &step, NULL) > 0)
        count += step.kind == MS_WALK_BLOCK;
    ms_walk_close(&walk);
    return count;
}

static inline void flip(struct log_world *w, uint64_t segment, uint64_t offset) {
    char path[64];
    assert_int_equal(ms_vfs_sim_flip(w->world.sim, log_world_segment(segment, path), offset, 3), 0);
}

/* A misdirected write: one whole block's bytes over another one's. */
static inline void copy_block(struct log_world *w, uint64_t segment,
                              const struct ms_walk_step *from, const struct ms_walk_step *to) {
    char path[64];
    struct ms_file *file;
    uint8_t *bytes = ms_alloc((size_t)from->length);
    assert_non_null(bytes);
    assert_int_equal(from->length, to->length);
    assert_int_equal(ms_vfs_open(world_vfs(&w->world), log_world_segment(segment, path),
                                 MS_OPEN_READ | MS_OPEN_WRITE, &file, NULL),
                     0);
    assert_int_equal(ms_file_read_exact(file, from->offset, bytes, (size_t)from->length, NULL), 0);
    assert_int_equal(ms_file_write(file, to->offset, bytes, (size_t)from->length, NULL), 0);
    ms_file_close(file);
    ms_free(bytes);
}

/* Which of the appends a reader finds now; each must be what was appended, whole. */
struct present {
    bool append[LOG_WORLD_APPENDS_MAX];
    size_t count;
};

static inline void check_entry_bytes(const struct log_append *append, uint32_t index,
                                     struct ms_bytes batch) {
    struct ms_buf wanted;
    ms_buf_init(&wanted, (size_t)1 << 30);
    log_world_batch(append->number, index, append->records, append->value_len, &wanted);
    assert_int_equal(wanted.len, batch.len);
    assert_memory_equal(wanted.data + 16, batch.data + 16, batch.len - 16);
    ms_buf_deinit(&wanted);
}

static inline struct log_append *append_at(struct log_world *w, uint64_t position) {
    for (size_t i = 0; i < w->count; i++) {
        struct log_append *a = &w->appends[i];
        if (position >= a->position && position < a->position + (uint64_t)a->entries * a->records)
            return a;
    }
    fail_msg("position %llu was never appended", (unsigned long long)position);
    return NULL;
}

static inline struct present read_present(struct log_world *w) {
    static uint32_t entries[LOG_WORLD_APPENDS_MAX];
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    struct present present = {0};
    uint64_t next = 0;
    int rc;
    memset(entries, 0, sizeof entries);
    ms_log_cursor_init(&cursor, w->log, 0);
    while ((rc = ms_log_cursor_next(&cursor, &entry, &w->error)) > 0) {
        struct log_append *append = append_at(w, entry.header.first_position);
        uint32_t index =
            (uint32_t)((entry.header.first_position - append->position) / append->records);
        assert_true(entry.header.first_position >= next);
        next = entry.header.first_position + entry.record_count;
        check_entry_bytes(append, index, entry.batch);
        entries[append->number]++;
    }
    ms_log_cursor_deinit(&cursor);
    if (rc < 0)
        fail_msg("reading: %s", w->error.message);
    for (size_t i = 0; i < w->count; i++) {
        if (entries[i] == 0)
            continue;
        assert_int_equal(entries[i], w->appends[i].entries); /* never a part of one */
        present.append[i] = true;
        present.count++;
    }
    return present;
}

static inline struct ms_repair_result repair(struct log_world *w, struct findings *f,
                                             bool dry_run) {
    struct ms_verify_options options = verify_options(w, f);
    struct ms_repair_result result;
    struct ms_error error = {0};
    if (ms_log_repair(&options, dry_run, w->options.segment_bytes, &result, &error) != 0)
        fail_msg("repair: %s", error.message);
    return result;
}
