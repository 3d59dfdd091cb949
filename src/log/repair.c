/* Repair: which segments are written anew, and where the chain is tied together again. See
 * repair.h. */
#include "log/repair.h"

#include <stdio.h>

#include "base/alloc.h"
#include "log/salvage.h"
#include "log/walk.h"

#define COPY_BYTES ((size_t)1 << 20)
#define KEPT_MAX 1000u

struct repair {
    const struct ms_verify_options *options;
    struct ms_verify_options quiet; /* for surveys: what they find is verify's to tell */
    bool dry_run;
    uint64_t segment_bytes;
    struct ms_survey_list list;
    struct ms_chain chain; /* behind what was repaired so far */
    uint64_t bytes_done;
    struct ms_repair_result result;
};

static void tell(const struct repair *r, uint64_t segment, const char *what) {
    char name[MS_SEGMENT_NAME_LEN + 1];
    ms_segment_name(segment, name);
    struct ms_verify_finding finding = {name, 0, true, what};
    if (r->options->on_finding != NULL)
        r->options->on_finding(r->options->context, &finding);
}

/* ---- files ---- */

static int path_of(const struct repair *r, uint64_t segment, const char *suffix,
                   char out[MS_PATH_MAX], struct ms_error *err) {
    char name[MS_SEGMENT_NAME_LEN + 1], text[MS_SEGMENT_NAME_LEN + 32];
    ms_segment_name(segment, name);
    snprintf(text, sizeof text, "%s%s", name, suffix);
    if (ms_path_join(out, r->options->dir, text) != 0)
        return ms_error_set(err, MS_EINVAL, "the path of the shard is too long");
    return 0;
}

/* A name under which the damaged file is kept, that nothing has yet. */
static int kept_path(const struct repair *r, uint64_t segment, char out[MS_PATH_MAX],
                     struct ms_error *err) {
    for (unsigned n = 1; n <= KEPT_MAX; n++) {
        char suffix[24];
        struct ms_file *file;
        snprintf(suffix, sizeof suffix, ".damaged-%u", n);
        int rc = path_of(r, segment, suffix, out, err);
        if (rc == 0)
            rc = ms_vfs_open(r->options->env->vfs, out, MS_OPEN_READ, &file, err);
        if (rc == MS_ENOTFOUND)
            return 0;
        if (rc != 0)
            return rc;
        ms_file_close(file);
    }
    return ms_error_set(err, MS_EEXIST, "%s holds %u damaged files of one segment already",
                        r->options->dir, KEPT_MAX);
}

static int copy_file(const struct ms_env *env, const char *from, const char *to,
                     struct ms_error *err) {
    struct ms_file *source = NULL, *target = NULL;
    struct ms_blob *blob = NULL;
    uint64_t size = 0;
    int rc = ms_vfs_open(env->vfs, from, MS_OPEN_READ, &source, err);
    if (rc == 0)
        rc = ms_file_size(source, &size, err);
    if (rc == 0)
        rc = ms_vfs_open(env->vfs, to, MS_OPEN_WRITE | MS_OPEN_CREATE | MS_OPEN_EXCL, &target, err);
    if (rc == 0 && (rc = ms_blob_new(COPY_BYTES, &blob)) != 0)
        rc = ms_error_set(err, rc, "no memory to keep a damaged file");
    for (uint64_t at = 0; rc == 0 && at < size; at += COPY_BYTES) {
        size_t len = size - at < COPY_BYTES ? (size_t)(size - at) : COPY_BYTES;
        rc = ms_file_read_exact(source, at, blob->data, len, err);
        if (rc == 0)
            rc = ms_file_write(target, at, blob->data, len, err);
    }
    if (rc == 0)
        rc = ms_file_sync(target, err);
    ms_blob_unref(blob);
    ms_file_close(source);
    ms_file_close(target);
    return rc;
}

/* The damaged file gets a second name before the new one takes its first: at no time is there a
 * moment without either. */
static int replace_file(const struct repair *r, uint64_t segment, const char *new_path,
                        struct ms_error *err) {
    struct ms_vfs *vfs = r->options->env->vfs;
    char path[MS_PATH_MAX], kept[MS_PATH_MAX];
    int rc = path_of(r, segment, "", path, err);
    if (rc == 0)
        rc = kept_path(r, segment, kept, err);
    if (rc == 0 && ms_vfs_link(vfs, path, kept, NULL) != 0)
        rc = copy_file(r->options->env, path, kept, err);
    if (rc == 0)
        rc = ms_vfs_sync_dir(vfs, r->options->dir, err);
    if (rc == 0)
        rc = ms_vfs_rename(vfs, new_path, path, err);
    return rc == 0 ? ms_vfs_sync_dir(vfs, r->options->dir, err) : rc;
}

static int set_aside(struct repair *r, uint64_t segment, struct ms_error *err) {
    struct ms_vfs *vfs = r->options->env->vfs;
    char path[MS_PATH_MAX], kept[MS_PATH_MAX];
    tell(r, segment, "the segment begins inside the one before it: it is set aside");
    r->result.segments_repaired++;
    if (r->dry_run)
        return 0;
    int rc = path_of(r, segment, "", path, err);
    if (rc == 0)
        rc = kept_path(r, segment, kept, err);
    if (rc == 0)
        rc = ms_vfs_rename(vfs, path, kept, err);
    return rc == 0 ? ms_vfs_sync_dir(vfs, r->options->dir, err) : rc;
}

/* ---- the chain ---- */

/* The first block header of a segment, if it is to be believed. */
static int peek(const struct repair *r, uint64_t segment, bool *ret_known,
                struct ms_block_header *ret_first, struct ms_error *err) {
    char path[MS_PATH_MAX];
    uint8_t bytes[MS_BLOCK_HEADER_LEN];
    struct ms_file *file;
    size_t len = 0;
    int rc = path_of(r, segment, "", path, err);
    if (rc == 0)
        rc = ms_vfs_open(r->options->env->vfs, path, MS_OPEN_READ, &file, err);
    if (rc != 0)
        return rc;
    rc = ms_file_read(file, 0, bytes, sizeof bytes, 0, &len, err);
    ms_file_close(file);
    *ret_known = rc == 0 && len == sizeof bytes && ms_block_header_read(bytes, ret_first) == 0 &&
                 ret_first->segment == segment && ret_first->shard == r->options->shard &&
                 ret_first->sequence > 0 &&
                 ms_uuid_equal(&ret_first->store_uuid, &r->options->log_uuid);
    return rc;
}

/* What the block after `chain` has to repeat. */
static struct ms_block_header begin(const struct repair *r, uint64_t segment,
                                    const struct ms_survey *survey) {
    struct ms_block_header first = {.segment = segment, .commit_time_ms = r->chain.commit_time_ms};
    if (r->chain.anchored) {
        first.sequence = r->chain.sequence;
        first.previous_hash = r->chain.hash;
    } else if (survey != NULL && survey->has_first) {
        first.sequence = survey->first.sequence;
        first.previous_hash = survey->first.previous_hash;
    }
    return first;
}

static uint64_t at_least(uint64_t value, uint64_t least) { return value > least ? value : least; }

/* How a segment ends whose own end is not known: where the next one wants to continue. */
static int end_at(const struct repair *r, size_t next, struct ms_segment_end *end,
                  struct ms_error *err) {
    struct ms_block_header first;
    bool known;
    if (next == r->list.count)
        return 0;
    int rc = peek(r, r->list.names[next], &known, &first, err);
    if (rc != 0 || !known)
        return rc;
    end->last_sequence = first.sequence - 1;
    end->last_hash = first.previous_hash;
    if (first.epoch < end->last_epoch)
        end->last_epoch = first.epoch;
    return 0;
}

static void go_on_behind(struct repair *r, const struct ms_segment_end *end) {
    r->chain = (struct ms_chain){
        .anchored = true,
        .sequence = end->last_sequence + 1,
        .position = end->position,
        .hash = end->last_hash,
        .epoch = end->last_epoch,
        .commit_time_ms = end->last_commit_time_ms,
        .os = end->last_os,
    };
}

/* ---- what is done to a segment ---- */

static int open_writer(const struct repair *r, struct ms_segment_writer *writer, uint32_t epoch,
                       const struct ms_block_header *first, struct ms_error *err) {
    char path[MS_PATH_MAX];
    struct ms_segment_owner owner = {r->options->env, r->options->log_uuid, r->options->shard,
                                     epoch};
    int rc = path_of(r, first->segment, ".rewrite", path, err);
    if (rc != 0)
        return rc;
    return ms_segment_writer_open(writer, &owner, path, r->segment_bytes, first, err);
}

/* A segment is missing between the chain and `index`: an empty one takes its place. */
static int fill_hole(struct repair *r, size_t index, struct ms_error *err) {
    uint64_t from = r->chain.position, to = r->list.names[index];
    char text[128], path[MS_PATH_MAX];
    struct ms_segment_writer writer = {0};
    struct ms_block_header first = begin(r, from, NULL);
    struct ms_segment_end end = {
        .position = to,
        .last_sequence = first.sequence,
        .last_commit_time_ms = r->chain.commit_time_ms,
        .last_epoch = r->chain.epoch,
        .last_os = r->chain.os,
    };
    first.segment = from;
    snprintf(text, sizeof text, "the segment is missing: events %llu to %llu are lost",
             (unsigned long long)from, (unsigned long long)to - 1);
    tell(r, from, text);
    r->result.segments_missing++;
    r->result.positions_lost += to - from;
    int rc = end_at(r, index, &end, err);
    if (rc == 0 && !r->dry_run) {
        rc = open_writer(r, &writer, r->chain.epoch, &first, err);
        if (rc == 0)
            rc = ms_segment_writer_finish(&writer, &end, err);
        if (rc == 0)
            rc = path_of(r, from, "", path, err);
        if (rc == 0)
            rc = ms_vfs_rename(r->options->env->vfs, writer.segment->path, path, err);
        bool done = rc == 0;
        if (rc == 0)
            rc = ms_vfs_sync_dir(r->options->env->vfs, r->options->dir, err);
        ms_segment_writer_close(&writer, done);
    }
    if (rc == 0)
        go_on_behind(r, &end);
    return rc;
}

static int plan_end(const struct repair *r, size_t index, const struct ms_survey *survey,
                    const struct ms_block_header *first, struct ms_segment_end *ret_end,
                    struct ms_error *err) {
    bool last = index + 1 == r->list.count;
    uint64_t limit = last ? UINT64_MAX : r->list.names[index + 1];
    if (survey->sealed && survey->end.position <= limit) {
        *ret_end = survey->end;
        return 0;
    }
    *ret_end = (struct ms_segment_end){
        .position = last ? survey->position_seen : limit,
        .last_sequence = at_least(survey->sequence_seen, first->sequence),
        .last_commit_time_ms = survey->commit_time_seen_ms > first->commit_time_ms
                                   ? survey->commit_time_seen_ms
                                   : first->commit_time_ms,
        .last_epoch = (uint32_t)at_least(survey->epoch_seen, r->chain.epoch),
        .last_os = survey->chain.os,
    };
    return end_at(r, index + 1, ret_end, err);
}

static int write_anew(struct repair *r, size_t index, const struct ms_survey *survey,
                      struct ms_error *err) {
    uint64_t segment = r->list.names[index];
    uint32_t epoch = (uint32_t)at_least(survey->epoch_seen, r->chain.epoch);
    char name[MS_SEGMENT_NAME_LEN + 1], path[MS_PATH_MAX];
    struct ms_block_header first = begin(r, segment, survey);
    struct ms_segment_end end;
    struct ms_segment_writer writer = {0};
    bool done = false;
    ms_segment_name(segment, name);
    int rc = plan_end(r, index, survey, &first, &end, err);
    if (rc == 0)
        rc = path_of(r, segment, "", path, err);
    if (rc == 0 && !r->dry_run)
        rc = open_writer(r, &writer, epoch, &first, err);
    struct ms_salvage salvage = {
        .options = r->options,
        .name = name,
        .segment = segment,
        .survey = survey,
        .end = end.position,
        .writer = r->dry_run ? NULL : &writer,
    };
    if (rc == 0)
        rc = ms_salvage_segment(&salvage, path, err);
    if (rc == 0 && !r->dry_run) {
        rc = ms_segment_writer_finish(&writer, &end, err);
        if (rc == 0)
            rc = replace_file(r, segment, writer.segment->path, err);
        done = rc == 0;
    }
    ms_segment_writer_close(&writer, done);
    if (rc != 0)
        return rc;
    r->result.segments_repaired++;
    r->result.events_saved += salvage.events_saved;
    r->result.positions_lost += salvage.positions_lost;
    go_on_behind(r, &end);
    return 0;
}

/* *ret_end: the log ends here. */
static int repair_segment(struct repair *r, size_t index, bool *ret_end, struct ms_error *err) {
    struct ms_survey survey;
    uint64_t segment = r->list.names[index];
    int rc = 0;
    if (segment < r->chain.position)
        return set_aside(r, segment, err);
    if (segment > r->chain.position)
        rc = fill_hole(r, index, err);
    if (rc == 0)
        rc = ms_survey_segment(&r->quiet, &r->list, index, &r->chain, r->bytes_done, &survey, err);
    if (rc != 0)
        return rc;
    r->bytes_done += survey.bytes;
    switch (survey.verdict) {
    case MS_SURVEY_WHOLE:
        r->chain = survey.chain;
        break;
    case MS_SURVEY_END: /* recovery cuts what is torn */
        r->chain = survey.chain;
        *ret_end = true;
        break;
    case MS_SURVEY_DAMAGED:
        rc = write_anew(r, index, &survey, err);
        break;
    }
    return rc;
}

static void count_missing_end(struct repair *r, uint64_t last_segment) {
    char text[MS_SURVEY_MISSING_TEXT];
    uint64_t end = r->chain.position, known_end = r->options->known_end;
    if (!ms_recovery_misses(end, r->chain.os, known_end))
        return;
    ms_survey_missing_text(end, known_end, text);
    tell(r, last_segment, text);
    r->result.end_missing = known_end - end;
    r->result.positions_lost += known_end - end;
}

int ms_log_repair(const struct ms_verify_options *options, bool dry_run, uint64_t segment_bytes,
                  struct ms_repair_result *ret_result, struct ms_error *err) {
    struct repair r = {
        .options = options,
        .quiet = *options,
        .dry_run = dry_run,
        .segment_bytes = segment_bytes,
    };
    r.quiet.on_finding = NULL;
    int rc = ms_survey_list(options, &r.list, err);
    bool end = false;
    for (size_t i = 0; rc == 0 && !end && i < r.list.count; i++)
        rc = repair_segment(&r, i, &end, err);
    if (rc == 0)
        count_missing_end(&r, r.list.count > 0 ? r.list.names[r.list.count - 1] : 0);
    ms_survey_list_free(&r.list);
    if (rc == 0)
        *ret_result = r.result;
    return rc;
}
