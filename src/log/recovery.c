/* Recovery; the rules and the decision table are in recovery.h. */
#include "log/recovery.h"

#include <stdio.h>

#include "base/alloc.h"
#include "log/scan.h"

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

/* ---- the walk over segments ---- */

struct recovery {
    struct ms_log *log;
    uint64_t *names;
    size_t name_count;
    struct ms_chain chain;
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
        !ms_scan_continues(recovery->log, segment, &recovery->chain, &header))
        return damaged(segment, 0, "it does not continue the segment before it", err);
    segment->rewritten = (header.flags & MS_BLOCK_REWRITTEN) != 0;
    return 0;
}

static void take_sealed(struct recovery *recovery, const struct ms_segment *segment) {
    recovery->chain = (struct ms_chain){
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
    int rc = ms_scan_probe(log, segment, offset, &evidence, err);
    for (size_t i = later; rc == 0 && i < recovery->name_count; i++) {
        struct ms_segment *next;
        rc = open_segment(log, recovery->names[i], &next, err);
        if (rc == 0) {
            rc = ms_scan_probe(log, next, 0, &evidence, err);
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

/* A segment that holds marks only, so many that soon the largest append or a further epoch would
 * not find room: the next segment would begin at the same position, and so have the same name. */
static bool crowded_by_marks(const struct ms_log *log, const struct ms_segment *segment) {
    if (atomic_load(&segment->end_position) > segment->first_position)
        return false;
    return atomic_load(&segment->end_offset) > ms_log_room_to_spare(&log->options) / 2 ||
           atomic_load(&segment->epoch_count) > MS_SEGMENT_EPOCHS_MAX / 2;
}

/* Empties a segment of marks and lets it begin again where `before` ended. Nothing is lost by it,
 * and a power cut leaves the marks or none. The epoch goes on. */
static int begin_again(struct recovery *recovery, struct ms_segment **segment,
                       const struct ms_chain *before, struct ms_error *err) {
    struct ms_log *log = recovery->log;
    struct ms_file *file;
    int rc = ms_vfs_open(log->env->vfs, (*segment)->path, MS_OPEN_WRITE, &file, err);
    if (rc != 0)
        return rc;
    rc = ms_file_truncate(file, 0, err);
    if (rc == 0)
        rc = ms_file_sync(file, err);
    ms_file_close(file);
    struct ms_segment *empty;
    if (rc == 0)
        rc = open_segment(log, (*segment)->first_position, &empty, err);
    if (rc != 0)
        return rc;
    ms_segment_unref(*segment);
    *segment = empty;
    recovery->chain.sequence = before->sequence;
    recovery->chain.hash = before->hash;
    recovery->chain.os = before->os;
    recovery->chain.anchored = before->anchored;
    ms_scan_leave(empty, &recovery->chain);
    return 0;
}

/* One segment without footer. *ret_end: the chain ended in it, and it is to be written on. */
static int recover_open(struct recovery *recovery, struct ms_segment **segment, size_t index,
                        bool *ret_end, struct ms_error *err) {
    struct ms_log *log = recovery->log;
    struct ms_chain before = recovery->chain;
    bool last = index + 1 == recovery->name_count;
    int rc = ms_scan_segment(log, *segment, &recovery->chain, err);
    /* The next segment begins where this one ends: it is whole, and only its footer is missing. */
    bool whole = rc == 0 && !last && recovery->names[index + 1] == recovery->chain.position &&
                 recovery->chain.position > (*segment)->first_position;
    *ret_end = !whole;
    if (rc == 0 && *ret_end)
        rc = judge_end(recovery, *segment, index + 1, err);
    if (rc == 0 && *ret_end && !log->options.read_only && crowded_by_marks(log, *segment))
        rc = begin_again(recovery, segment, &before, err);
    if (rc == 0)
        rc = keep_end(log, *segment, err);
    if (rc == 0 && whole && !log->options.read_only)
        log->to_seal[log->to_seal_count++] = ms_segment_ref(*segment);
    if (rc == 0 && whole)
        atomic_store(&(*segment)->state, MS_SEGMENT_FULL);
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
        rc = recover_open(recovery, &segment, index, ret_end, err);
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
        else if (strcmp(entries[i].name, MS_BALLAST_NAME) == 0)
            ms_ballast_found(log, entries[i].size);
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
    const struct ms_chain *chain = &recovery.chain;
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
