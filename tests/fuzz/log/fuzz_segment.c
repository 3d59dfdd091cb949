/*
 * Segment files from strangers, in a simulated file system. The first byte of the input:
 *
 *   bits 0-1  what is put right before the log sees it (mend.h)
 *   bit 2     raw: the rest is the first segment's file, byte for byte. Otherwise it is a row of
 *             pieces, 2 bytes length and so many bytes, each on a boundary of 4 KiB: a block costs
 *             the fuzzer no padding. Length 0xffff stands for a page of zeros; 0xfffe and 2 bytes
 *             begin the next segment, where the chain stands plus what the 2 bytes say.
 *
 * Asserted: walking covers the file without a gap; opening, verifying and repairing end with one of
 * the errors they name; a log that verifies opens and reads completely; what opened takes an append
 * and after that reads the same again; what doesn't open does after a repair.
 *
 * Not asserted where a header that checks belongs to a block that doesn't: recovery looks for
 * evidence inside of such a block, verify and repair don't.
 */
#include "log/repair.h"
#include "log_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int visit(void *context, const struct ms_walk_entry *entry) {
    (void)context;
    MS_ASSERT(entry->damaged || entry->batch.len == entry->header.length);
    return 0;
}

/* False: a large block's header checks and its contents don't. */
static bool check_walk(struct fuzz_log *f, const char *path) {
    struct ms_walk walk;
    struct ms_walk_step step;
    struct ms_error err = {0};
    uint64_t end = 0, damaged = 0;
    bool clear = true;
    int rc;
    MS_ASSERT(ms_walk_open(&walk, &f->env, path, &err) == 0);
    while ((rc = ms_walk_next(&walk, &step, &err)) > 0) {
        MS_ASSERT(step.offset == end && step.length > 0 && step.length <= walk.size - end);
        MS_ASSERT(step.kind != MS_WALK_BLOCK || step.header.length <= step.length);
        end += step.length;
        clear = clear && (step.kind != MS_WALK_DAMAGED || step.length <= MS_BLOCK_ALIGN);
        if (step.bytes != NULL)
            MS_ASSERT(ms_walk_entries(&step, visit, NULL, &damaged) == 0);
    }
    MS_ASSERT(rc == 0 ? end == walk.size : rc == MS_EFORMAT && err.code == rc);
    ms_walk_close(&walk);
    return clear;
}

static void check_footer(struct fuzz_log *f, const char *path, uint64_t first_position) {
    struct ms_segment *segment;
    struct ms_anchor anchor;
    struct ms_error err = {0};
    MS_ASSERT(ms_segment_new(path, first_position, FUZZ_SEGMENT_BYTES, &segment) == 0);
    MS_ASSERT(ms_vfs_open(f->env.vfs, path, MS_OPEN_READ, &segment->reader, &err) == 0);
    int rc = ms_segment_load_footer(segment, &mend_store, &err);
    MS_ASSERT(rc == 0 || rc == MS_ENOTFOUND);
    for (uint64_t i = 0; rc == 0 && i < 64; i++) {
        uint64_t end = atomic_load(&segment->end_position), position = first_position + i;
        MS_ASSERT(end >= first_position && atomic_load(&segment->end_offset) < segment->file_bytes);
        if (position < end && ms_segment_find_anchor(segment, position, &anchor))
            MS_ASSERT(first_position + anchor.position_delta <= position &&
                      anchor.offset < atomic_load(&segment->end_offset));
    }
    ms_segment_unref(segment);
}

static int verify(struct fuzz_log *f, struct ms_verify_result *ret_result) {
    struct ms_verify_options options = fuzz_verify_options(f);
    struct ms_error err = {0};
    int rc = ms_log_verify(&options, ret_result, &err);
    MS_ASSERT(rc == err.code && (rc == 0 || rc == MS_EFORMAT));
    return rc;
}

/* Opens for writing, reads, appends, and reads again after another start. */
static int check_writing(struct fuzz_log *f, const struct fuzz_read *wanted) {
    struct fuzz_read before, after;
    int rc = fuzz_log_open(f, false);
    if (rc != 0)
        return rc;
    before = fuzz_log_read(f);
    MS_ASSERT(wanted == NULL || fuzz_read_equal(&before, wanted));
    bool appended = fuzz_log_append(f);
    fuzz_log_close(f);
    MS_ASSERT(fuzz_log_open(f, false) == 0);
    after = fuzz_log_read(f);
    MS_ASSERT(after.code == before.code);
    MS_ASSERT(after.code != 0 || after.events == before.events + appended);
    fuzz_log_close(f);
    return 0;
}

static void check_repair(struct fuzz_log *f) {
    struct ms_verify_options options = fuzz_verify_options(f);
    struct ms_repair_result dry, result;
    struct ms_verify_result verified;
    struct ms_error err = {0};
    int rc = ms_log_repair(&options, true, FUZZ_SEGMENT_BYTES, &dry, &err);
    MS_ASSERT(rc == 0 || rc == MS_EFORMAT);
    if (rc != 0)
        return;
    MS_ASSERT(ms_log_repair(&options, false, FUZZ_SEGMENT_BYTES, &result, &err) == 0);
    MS_ASSERT(dry.events_saved == result.events_saved);
    MS_ASSERT(verify(f, &verified) == 0 && verified.damages == 0);
    MS_ASSERT(fuzz_log_open(f, false) == 0);
    struct fuzz_read read = fuzz_log_read(f);
    MS_ASSERT(read.code == 0 && read.events >= result.events_saved);
    fuzz_log_close(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_log f;
    struct fuzz_read read;
    struct ms_verify_result verified = {0};
    if (size == 0)
        return 0;
    fuzz_log_init(&f);
    fuzz_log_lay_out(&f, data[0], data + 1, size - 1);
    bool clear = true;
    for (size_t i = 0; i < f.file_count; i++) {
        clear = check_walk(&f, f.paths[i]) && clear;
        check_footer(&f, f.paths[i], f.first_positions[i]);
    }
    bool sound = verify(&f, &verified) == 0 && verified.damages == 0 && clear;
    int rc = fuzz_log_open(&f, true);
    MS_ASSERT(rc == 0 || !sound);
    if (rc == 0) {
        read = fuzz_log_read(&f);
        MS_ASSERT(!sound || (read.code == 0 && read.events == verified.events));
        fuzz_log_close(&f);
    }
    MS_ASSERT(check_writing(&f, rc == 0 ? &read : NULL) == rc);
    if (rc == MS_ECORRUPT && clear)
        check_repair(&f);
    fuzz_log_deinit(&f);
    return 0;
}
