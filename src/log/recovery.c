/* Recovery; the rules and the decision table are in recovery.h. */
#include "log/recovery.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "wire/batch.h"

#define SCAN_READ_BYTES ((size_t)1 << 20)
#define PROGRESS_EVERY ((uint64_t)16 << 20)
#define SET_ASIDE_MAX 1000u

/* ---- the decision ---- */

static bool found_newer_format(const struct ms_recovery_evidence *e, uint64_t expected) {
    (void)expected;
    return e->newer_format;
}
static bool found_rewritten(const struct ms_recovery_evidence *e, uint64_t expected) {
    (void)expected;
    return e->rewritten;
}
static bool found_later_durable(const struct ms_recovery_evidence *e, uint64_t expected) {
    return e->blocks && e->synced_through > expected;
}
static bool found_missing(const struct ms_recovery_evidence *e, uint64_t expected) {
    (void)expected;
    return e->missing;
}
static bool found_bytes(const struct ms_recovery_evidence *e, uint64_t expected) {
    (void)expected;
    return e->bytes || e->blocks;
}
static bool found_nothing(const struct ms_recovery_evidence *e, uint64_t expected) {
    (void)e;
    (void)expected;
    return true;
}

static const struct {
    bool (*when)(const struct ms_recovery_evidence *evidence, uint64_t expected);
    enum ms_recovery_verdict verdict;
} decision_table[] = {
    {found_newer_format, MS_RECOVERY_REFUSE},  {found_rewritten, MS_RECOVERY_DAMAGE},
    {found_later_durable, MS_RECOVERY_DAMAGE}, {found_missing, MS_RECOVERY_DAMAGE},
    {found_bytes, MS_RECOVERY_TORN},           {found_nothing, MS_RECOVERY_END},
};

enum ms_recovery_verdict ms_recovery_decide(const struct ms_recovery_evidence *evidence,
                                            uint64_t expected) {
    size_t row = 0;
    while (!decision_table[row].when(evidence, expected))
        row++;
    return decision_table[row].verdict;
}

/* ---- scanning ---- */

/* Where the chain stands: what the next block must say. */
struct chain {
    uint64_t sequence, position;
    struct ms_hash128 hash;
    uint32_t epoch;
    int64_t commit_time_ms;
    bool os;       /* the last block may have been acknowledged before it was durable */
    bool anchored; /* false before the first block of all: sequence and hash are taken from it */
};

struct scan {
    struct ms_log *log;
    struct ms_segment *segment;
    uint64_t file_size;
    uint64_t offset; /* X */
    struct ms_buf buffer;
    uint64_t buffer_offset;
};

/* Makes `len` bytes at the scan's offset available; fewer at the end of the file: MS_ENEEDMORE. */
static int scan_need(struct scan *scan, uint64_t len, const uint8_t **ret_bytes,
                     struct ms_error *err) {
    uint64_t have_end = scan->buffer_offset + scan->buffer.len;
    if (scan->offset + len > scan->file_size)
        return MS_ENEEDMORE;
    if (scan->offset < scan->buffer_offset || scan->offset + len > have_end) {
        uint64_t want = len > SCAN_READ_BYTES ? len : SCAN_READ_BYTES;
        if (want > scan->file_size - scan->offset)
            want = scan->file_size - scan->offset;
        uint8_t *place;
        ms_buf_clear(&scan->buffer);
        if (ms_buf_extend(&scan->buffer, (size_t)want, &place) != 0)
            return ms_error_set(err, MS_ENOMEM, "no memory to scan %s", scan->segment->path);
        int rc = ms_file_read_exact(scan->segment->reader, scan->offset, place, (size_t)want, err);
        if (rc != 0)
            return rc;
        scan->buffer_offset = scan->offset;
    }
    *ret_bytes = scan->buffer.data + (scan->offset - scan->buffer_offset);
    return 0;
}

static bool continues(const struct ms_log *log, const struct ms_segment *segment,
                      const struct chain *chain, const struct ms_block_header *header) {
    if (!ms_uuid_equal(&header->store_uuid, &log->options.store_uuid) ||
        header->shard != log->options.shard || header->segment != segment->first_position ||
        header->flags & MS_BLOCK_FOOTER)
        return false;
    if (header->first_position != chain->position || header->epoch < chain->epoch)
        return false;
    return !chain->anchored || (header->sequence == chain->sequence &&
                                memcmp(&header->previous_hash, &chain->hash, 16) == 0);
}

static void anchor_block(struct scan *scan, const uint8_t *bytes,
                         const struct ms_block_header *header) {
    struct ms_anchor_place place = {
        .position = header->first_position,
        .offset = scan->offset,
        .commit_time_ms = header->commit_time_ms,
        .epoch = header->epoch,
        .block_start = true,
    };
    if (header->entry_count > 0)
        ms_segment_anchor(scan->segment, &place);
    place.block_start = false;
    size_t anchored_at = MS_BLOCK_HEADER_LEN;
    for (size_t at = MS_BLOCK_HEADER_LEN; at < header->length;) {
        if (at - anchored_at >= MS_ANCHOR_EVERY) {
            place.position = ms_get_le64(bytes + at + 40);
            place.offset = scan->offset + at;
            ms_segment_anchor(scan->segment, &place);
            anchored_at = at;
        }
        at += MS_ENTRY_HEADER_LEN + ms_get_le32(bytes + at + 4);
    }
}

/* The block at the scan's offset, when it continues the chain: 1 and it is taken; 0 when it
 * doesn't. */
static int scan_block(struct scan *scan, struct chain *chain, struct ms_error *err) {
    const uint8_t *bytes;
    int rc = scan_need(scan, MS_BLOCK_HEADER_LEN, &bytes, err);
    if (rc != 0)
        return rc == MS_ENEEDMORE ? 0 : rc;
    struct ms_block_header header;
    /* A segment that was written anew is taken by its footer or not at all. */
    if (ms_block_header_read(bytes, &header) != 0 || header.flags & MS_BLOCK_REWRITTEN ||
        !continues(scan->log, scan->segment, chain, &header))
        return 0;
    rc = scan_need(scan, header.length, &bytes, err);
    if (rc != 0)
        return rc == MS_ENEEDMORE ? 0 : rc;
    if (ms_block_check(bytes, &header, false, NULL) != 0)
        return 0;
    anchor_block(scan, bytes, &header);
    chain->hash = ms_block_hash(bytes);
    chain->sequence = header.sequence + 1;
    chain->position = header.first_position + header.record_count;
    chain->epoch = header.epoch;
    chain->commit_time_ms = header.commit_time_ms;
    chain->os = (header.flags & MS_BLOCK_OS) != 0;
    chain->anchored = true;
    scan->log->clean_start = (header.flags & MS_BLOCK_CLEAN) != 0;
    scan->offset += ms_block_padded(header.length);
    return 1;
}

static bool all_zero(const uint8_t *bytes, size_t len) {
    return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* What a 4 KiB piece tells. */
static void probe_page(const struct ms_log *log, uint64_t segment, const uint8_t *bytes, size_t len,
                       struct ms_recovery_evidence *evidence) {
    struct ms_block_header header;
    if (all_zero(bytes, len))
        return;
    evidence->bytes = true;
    int rc = len < MS_BLOCK_HEADER_LEN ? MS_ENOTFOUND : ms_block_header_read(bytes, &header);
    evidence->newer_format |= rc == MS_EFORMAT;
    if (rc != 0 || header.segment != segment || header.shard != log->options.shard ||
        !ms_uuid_equal(&header.store_uuid, &log->options.store_uuid))
        return;
    evidence->blocks = true;
    evidence->rewritten |= (header.flags & MS_BLOCK_REWRITTEN) != 0;
    if (header.synced_through > evidence->synced_through)
        evidence->synced_through = header.synced_through;
}

/* Collects evidence from `offset` to the end of a segment's file. */
static int probe(struct ms_log *log, struct ms_segment *segment, uint64_t offset,
                 struct ms_recovery_evidence *evidence, struct ms_error *err) {
    uint64_t size;
    struct ms_blob *blob;
    int rc = ms_file_size(segment->reader, &size, err);
    if (rc == 0 && (rc = ms_blob_new(SCAN_READ_BYTES, &blob)) != 0)
        rc = ms_error_set(err, rc, "no memory to probe %s", segment->path);
    if (rc != 0)
        return rc;
    while (rc == 0 && offset < size) {
        size_t len = 0;
        rc = ms_file_read(segment->reader, offset, blob->data, blob->size, 0, &len, err);
        if (rc != 0 || len == 0)
            break;
        for (size_t at = 0; at < len; at += MS_BLOCK_ALIGN)
            probe_page(log, segment->first_position, blob->data + at,
                       len - at < MS_BLOCK_ALIGN ? len - at : MS_BLOCK_ALIGN, evidence);
        offset += len;
    }
    ms_blob_unref(blob);
    return rc;
}

/* ---- the walk over segments ---- */

struct recovery {
    struct ms_log *log;
    uint64_t *names;
    size_t name_count;
    struct chain chain;
    uint64_t reported;
};

static int damaged(const struct ms_segment *segment, uint64_t offset, const char *why,
                   struct ms_error *err) {
    return ms_error_set(err, MS_ECORRUPT,
                        "segment %s is damaged at byte %llu: %s. Nothing was changed; see "
                        "`mainstem verify` and `mainstem repair`",
                        segment->path, (unsigned long long)offset, why);
}

static int open_segment(struct ms_log *log, uint64_t first_position,
                        struct ms_segment **ret_segment, struct ms_error *err) {
    char name[MS_SEGMENT_NAME_LEN + 1], path[MS_PATH_MAX];
    ms_segment_name(first_position, name);
    struct ms_segment *segment;
    int rc = ms_path_join(path, log->dir, name);
    if (rc == 0)
        rc = ms_segment_new(path, first_position, log->options.segment_bytes, &segment);
    if (rc != 0)
        return ms_error_set(err, rc, "can't open segment %s", name);
    segment->named = true;
    rc = ms_vfs_open(log->env->vfs, path, MS_OPEN_READ, &segment->reader, err);
    if (rc != 0) {
        ms_segment_unref(segment);
        return rc;
    }
    *ret_segment = segment;
    return 0;
}

static void report_progress(struct recovery *recovery, const struct scan *scan) {
    const struct ms_log_options *options = &recovery->log->options;
    if (options->on_progress != NULL && scan->offset - recovery->reported >= PROGRESS_EVERY) {
        options->on_progress(options->context, "scanning the log", scan->offset, scan->file_size);
        recovery->reported = scan->offset;
    }
}

/* Scans a segment without footer; its end offset is X. */
static int scan_segment(struct recovery *recovery, struct ms_segment *segment,
                        struct ms_error *err) {
    struct scan scan = {.log = recovery->log, .segment = segment};
    int rc = ms_file_size(segment->reader, &scan.file_size, err);
    if (rc != 0)
        return rc;
    ms_buf_init(&scan.buffer, (size_t)1 << 31);
    recovery->reported = 0;
    while ((rc = scan_block(&scan, &recovery->chain, err)) > 0)
        report_progress(recovery, &scan);
    ms_buf_deinit(&scan.buffer);
    if (rc != 0)
        return rc;
    recovery->log->recovered_bytes += scan.offset;
    atomic_store(&segment->end_offset, scan.offset);
    atomic_store(&segment->end_position, recovery->chain.position);
    atomic_store(&segment->ready_bytes, scan.file_size & ~(uint64_t)(MS_BLOCK_ALIGN - 1));
    segment->last_sequence = recovery->chain.sequence - 1;
    segment->last_hash = recovery->chain.hash;
    segment->last_commit_time_ms = recovery->chain.commit_time_ms;
    segment->last_epoch = recovery->chain.epoch;
    segment->last_os = recovery->chain.os;
    return 0;
}

/* Row 8: a whole block that is not this segment's, at its very start. Space is zeros before it gets
 * a segment's name, so that is a file from elsewhere, not what a power cut leaves. */
static int check_not_foreign(const struct ms_log *log, const struct ms_segment *segment,
                             struct ms_error *err) {
    uint8_t bytes[MS_BLOCK_HEADER_LEN];
    struct ms_block_header header;
    size_t len;
    int rc = ms_file_read(segment->reader, 0, bytes, sizeof bytes, 0, &len, err);
    if (rc != 0)
        return rc;
    if (len < sizeof bytes || ms_block_header_read(bytes, &header) != 0 ||
        (ms_uuid_equal(&header.store_uuid, &log->options.store_uuid) &&
         header.shard == log->options.shard && header.segment == segment->first_position))
        return 0;
    return damaged(segment, 0, "it is another store's, shard's or segment's file", err);
}

/* Row 7: the first block of a sealed segment continues the chain. */
static int check_sealed_start(struct recovery *recovery, struct ms_segment *segment,
                              struct ms_error *err) {
    uint8_t bytes[MS_BLOCK_HEADER_LEN];
    struct ms_block_header header;
    int rc = ms_file_read_exact(segment->reader, 0, bytes, sizeof bytes, err);
    if (rc != 0)
        return rc;
    if (ms_block_header_read(bytes, &header) != 0 ||
        !continues(recovery->log, segment, &recovery->chain, &header))
        return damaged(segment, 0, "it does not continue the segment before it", err);
    segment->rewritten = (header.flags & MS_BLOCK_REWRITTEN) != 0;
    return 0;
}

static void take_sealed(struct recovery *recovery, const struct ms_segment *segment) {
    recovery->chain = (struct chain){
        .sequence = segment->last_sequence + 1,
        .position = atomic_load(&segment->end_position),
        .hash = segment->last_hash,
        .epoch = segment->last_epoch,
        .commit_time_ms = segment->last_commit_time_ms,
        .os = segment->last_os,
        .anchored = true,
    };
    recovery->log->clean_start = false;
}

/* A name for a file that is set aside, which nothing has yet. */
static int torn_path(const struct ms_log *log, const char *name, uint32_t epoch,
                     char out[MS_PATH_MAX], struct ms_error *err) {
    for (unsigned n = 0; n < SET_ASIDE_MAX; n++) {
        char torn[96];
        struct ms_file *file;
        if (n == 0)
            snprintf(torn, sizeof torn, "%s.torn-%u", name, (unsigned)epoch);
        else
            snprintf(torn, sizeof torn, "%s.torn-%u.%u", name, (unsigned)epoch, n);
        int rc = ms_path_join(out, log->dir, torn);
        if (rc != 0)
            return ms_error_set(err, rc, "path of the shard is too long");
        rc = ms_vfs_open(log->env->vfs, out, MS_OPEN_READ, &file, err);
        if (rc == MS_ENOTFOUND)
            return 0;
        if (rc != 0)
            return rc;
        ms_file_close(file);
    }
    return ms_error_set(err, MS_EEXIST, "%s was set aside too often; see %s", name, log->dir);
}

/* Renames later segments that hold nothing acknowledged; they were probed. */
static int set_aside(const struct recovery *recovery, uint64_t first_position,
                     struct ms_error *err) {
    struct ms_log *log = recovery->log;
    char name[MS_SEGMENT_NAME_LEN + 1], from[MS_PATH_MAX], to[MS_PATH_MAX];
    ms_segment_name(first_position, name);
    if (ms_path_join(from, log->dir, name) != 0)
        return ms_error_set(err, MS_ETOOBIG, "path of the shard is too long");
    int rc = torn_path(log, name, recovery->chain.epoch + 1, to, err);
    return rc != 0 ? rc : ms_vfs_rename(log->env->vfs, from, to, err);
}

static bool misses(const struct recovery *recovery) {
    return ms_recovery_misses(recovery->chain.position, recovery->chain.os,
                              recovery->log->options.known_end);
}

/* Row 11. `segment`: the last that the chain reaches into; NULL: there is none. */
static int missing(const struct recovery *recovery, const struct ms_segment *segment,
                   struct ms_error *err) {
    char place[MS_SEGMENT_NAME_LEN + 48] = "";
    if (segment != NULL) {
        char name[MS_SEGMENT_NAME_LEN + 1];
        ms_segment_name(segment->first_position, name);
        snprintf(place, sizeof place, ", byte %llu of %s",
                 (unsigned long long)atomic_load(&segment->end_offset), name);
    }
    return ms_error_set(err, MS_ECORRUPT,
                        "the log ends at position %llu%s, but the index beside it was made from "
                        "events up to %llu: acknowledged events are missing in %s. Nothing was "
                        "changed; see `mainstem verify` and `mainstem repair`",
                        (unsigned long long)recovery->chain.position, place,
                        (unsigned long long)recovery->log->options.known_end - 1,
                        recovery->log->dir);
}

/* Rows 1 to 5, 10 and 11 for the segment where the chain ended; `later` names follow it. */
static int judge_end(struct recovery *recovery, struct ms_segment *segment, size_t later,
                     struct ms_error *err) {
    struct ms_log *log = recovery->log;
    struct ms_recovery_evidence evidence = {.missing = misses(recovery)};
    uint64_t offset = atomic_load(&segment->end_offset);
    int rc = probe(log, segment, offset, &evidence, err);
    for (size_t i = later; rc == 0 && i < recovery->name_count; i++) {
        struct ms_segment *next;
        rc = open_segment(log, recovery->names[i], &next, err);
        if (rc == 0) {
            rc = probe(log, next, 0, &evidence, err);
            ms_segment_unref(next);
        }
    }
    if (rc != 0)
        return rc;
    switch (ms_recovery_decide(&evidence, recovery->chain.sequence)) {
    case MS_RECOVERY_REFUSE:
        return ms_error_set(err, MS_EFORMAT,
                            "segment %s was written by a newer version of Mainstem", segment->path);
    case MS_RECOVERY_DAMAGE:
        /* Rows 3 and 10 say more precisely where. */
        evidence.missing = false;
        if (ms_recovery_decide(&evidence, recovery->chain.sequence) != MS_RECOVERY_DAMAGE)
            return missing(recovery, segment, err);
        return damaged(segment, offset, "later blocks prove that acknowledged data stood here",
                       err);
    case MS_RECOVERY_TORN:
        log->recovered_torn_tail = true;
        break;
    case MS_RECOVERY_END:
        break;
    }
    for (size_t i = later; rc == 0 && !log->options.read_only && i < recovery->name_count; i++)
        rc = set_aside(recovery, recovery->names[i], err);
    return rc;
}

/* Cuts what is torn and makes what is kept durable (promise 5 of log.h). */
static int keep_end(struct ms_log *log, struct ms_segment *segment, struct ms_error *err) {
    uint64_t offset = atomic_load(&segment->end_offset);
    if (log->options.read_only)
        return 0;
    struct ms_file *file;
    int rc = ms_vfs_open(log->env->vfs, segment->path, MS_OPEN_WRITE, &file, err);
    if (rc != 0)
        return rc;
    if (log->recovered_torn_tail) {
        rc = ms_file_truncate(file, offset, err);
        atomic_store(&segment->ready_bytes, offset);
    }
    if (rc == 0)
        rc = ms_file_sync(file, err);
    ms_file_close(file);
    if (rc == 0)
        rc = ms_vfs_sync_dir(log->env->vfs, log->dir, err);
    return rc;
}

/* One segment of the walk. *ret_end: the chain ended in it, and it is to be written on. */
static int recover_segment(struct recovery *recovery, size_t index, bool *ret_end,
                           struct ms_error *err) {
    struct ms_log *log = recovery->log;
    struct ms_segment *segment;
    int rc = open_segment(log, recovery->names[index], &segment, err);
    if (rc != 0)
        return rc;
    if (index == 0)
        recovery->chain.position = segment->first_position;
    bool last = index + 1 == recovery->name_count;
    rc = check_not_foreign(log, segment, err);
    if (rc != 0) {
        ms_segment_unref(segment);
        return rc;
    }
    rc = ms_segment_load_footer(segment, &log->options.store_uuid, err);
    bool sealed = rc == 0;
    if (sealed) {
        rc = check_sealed_start(recovery, segment, err);
        if (rc == 0)
            take_sealed(recovery, segment);
    } else if (rc == MS_ENOTFOUND) {
        rc = scan_segment(recovery, segment, err);
        /* The next segment begins where this one ends: it is whole, and only its footer is missing.
         * */
        bool whole = rc == 0 && !last && recovery->names[index + 1] == recovery->chain.position &&
                     recovery->chain.position > segment->first_position;
        *ret_end = !whole;
        if (rc == 0 && *ret_end)
            rc = judge_end(recovery, segment, index + 1, err);
        if (rc == 0)
            rc = keep_end(log, segment, err);
        if (rc == 0 && whole && !log->options.read_only)
            log->to_seal[log->to_seal_count++] = ms_segment_ref(segment);
        if (rc == 0 && whole)
            atomic_store(&segment->state, MS_SEGMENT_FULL);
    }
    if (rc == 0 && (rc = ms_log_add_segment(log, segment)) != 0)
        rc = ms_error_set(err, rc, "no memory for the table of segments");
    if (rc != 0)
        ms_segment_unref(segment);
    return rc;
}

/* The log begins at 0 and each segment where the one before it ended. */
static int check_no_hole(struct recovery *recovery, size_t index, struct ms_error *err) {
    uint64_t wanted = index == 0 ? 0 : recovery->chain.position;
    if (recovery->names[index] == wanted)
        return 0;
    return ms_error_set(err, MS_ECORRUPT,
                        "a segment is missing in %s: events %llu to %llu are gone. Nothing was "
                        "changed; see `mainstem verify` and `mainstem repair`",
                        recovery->log->dir, (unsigned long long)wanted,
                        (unsigned long long)recovery->names[index] - 1);
}

static int walk(struct recovery *recovery, struct ms_error *err) {
    struct ms_log *log = recovery->log;
    bool end = false;
    int rc = 0;
    for (size_t i = 0; rc == 0 && !end && i < recovery->name_count; i++) {
        rc = check_no_hole(recovery, i, err);
        if (rc == 0 && log->to_seal_count == MS_LOG_TO_SEAL_MAX) /* sealed at a later start */
            ms_segment_unref(log->to_seal[--log->to_seal_count]);
        if (rc == 0)
            rc = recover_segment(recovery, i, &end, err);
    }
    struct ms_segment *segment =
        log->segment_count > 0 ? log->segments[log->segment_count - 1] : NULL;
    if (rc == 0 && !end && misses(recovery))
        rc = missing(recovery, segment, err);
    if (rc == 0 && end) {
        if (atomic_load(&segment->epoch_count) + 1 < MS_SEGMENT_EPOCHS_MAX)
            log->active = ms_segment_ref(segment);
        else
            atomic_store(&segment->state, MS_SEGMENT_FULL);
    }
    return rc;
}

/* Files that hold nothing of their own: prepared space, and a rewrite that was not finished. */
static bool left_over(const char *name) {
    size_t len = strlen(name);
    bool rewrite =
        len == MS_SEGMENT_NAME_LEN + 8 && strcmp(name + MS_SEGMENT_NAME_LEN, ".rewrite") == 0;
    return rewrite ||
           (len > 4 && strncmp(name, "spare-", 6) == 0 && strcmp(name + len - 4, ".tmp") == 0);
}

static int list_names(struct recovery *recovery, struct ms_error *err) {
    struct ms_log *log = recovery->log;
    struct ms_dir_entry *entries;
    size_t count;
    int rc = ms_vfs_list(log->env->vfs, log->dir, &entries, &count, err);
    if (rc != 0)
        return rc;
    recovery->names = ms_calloc(count + 1, sizeof *recovery->names);
    if (recovery->names == NULL)
        rc = ms_error_set(err, MS_ENOMEM, "no memory for the list of segments");
    for (size_t i = 0; rc == 0 && i < count; i++) {
        char path[MS_PATH_MAX];
        if (ms_segment_name_parse(entries[i].name, &recovery->names[recovery->name_count]))
            recovery->name_count++;
        else if (left_over(entries[i].name) && !log->options.read_only &&
                 ms_path_join(path, log->dir, entries[i].name) == 0)
            rc = ms_vfs_unlink(log->env->vfs, path, err);
    }
    ms_dir_entries_free(entries, count);
    return rc;
}

int ms_recovery_run(struct ms_log *log, struct ms_error *err) {
    struct recovery recovery = {.log = log};
    int64_t started_us = ms_clock_monotonic_us(log->env->clock);
    int rc = list_names(&recovery, err);
    if (rc == 0)
        rc = walk(&recovery, err);
    ms_free(recovery.names);
    if (rc != 0)
        return rc;
    const struct chain *chain = &recovery.chain;
    log->next_position = log->durable_position = chain->position;
    log->next_sequence = log->synced_through = chain->sequence;
    log->previous_hash = chain->hash;
    log->last_commit_time_ms = chain->commit_time_ms;
    log->epoch = chain->epoch + 1;
    log->active_offset = log->active != NULL ? atomic_load(&log->active->end_offset) : 0;
    atomic_store(&log->end, chain->position);
    log->recovery_ms = (ms_clock_monotonic_us(log->env->clock) - started_us) / 1000;
    return 0;
}
