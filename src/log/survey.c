/* Judging segment files; see survey.h. */
#include "log/survey.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "log/walk.h"

#define TEXT_MAX (MS_ERROR_TEXT_MAX + 128)
#define BATCH_AT_COUNT 57

/* ---- the list ---- */

int ms_survey_list(const struct ms_verify_options *options, struct ms_survey_list *ret_list,
                   struct ms_error *err) {
    struct ms_survey_list list = {0};
    struct ms_dir_entry *entries;
    size_t count;
    int rc = ms_vfs_list(options->env->vfs, options->dir, &entries, &count, err);
    if (rc != 0)
        return rc;
    list.names = ms_calloc(count + 1, sizeof *list.names);
    if (list.names == NULL)
        rc = ms_error_set(err, MS_ENOMEM, "no memory for the list of segments");
    for (size_t i = 0; rc == 0 && i < count; i++)
        if (ms_segment_name_parse(entries[i].name, &list.names[list.count])) {
            list.bytes += entries[i].size;
            list.count++;
        }
    ms_dir_entries_free(entries, count);
    if (rc == 0)
        *ret_list = list;
    return rc;
}

void ms_survey_list_free(struct ms_survey_list *list) {
    ms_free(list->names);
    *list = (struct ms_survey_list){0};
}

void ms_survey_missing_text(uint64_t end, uint64_t known_end, char out[MS_SURVEY_MISSING_TEXT]) {
    snprintf(
        out, MS_SURVEY_MISSING_TEXT,
        "the log ends at position %llu, but the index beside it was made from events up to %llu: "
        "acknowledged events are missing",
        (unsigned long long)end, (unsigned long long)known_end - 1);
}

/* ---- one segment ---- */

struct surveyor {
    const struct ms_verify_options *options;
    const struct ms_survey_list *list;
    size_t index;
    uint64_t segment;
    char name[MS_SEGMENT_NAME_LEN + 1];
    char path[MS_PATH_MAX];
    struct ms_survey *survey;
    struct ms_chain chain;
    bool lost;           /* behind something unreadable: the next block begins the chain anew */
    uint64_t blocks_end; /* sealed: where the footer begins */
    /* not sealed: where the chain ended, and what is behind it */
    bool ended;
    uint64_t end_offset;
    char why[TEXT_MAX];
    struct ms_recovery_evidence behind;
    bool foreign; /* the file begins with a block of another store or segment */
};

static void found(struct surveyor *s, uint64_t offset, bool damage, const char *what) {
    struct ms_verify_finding finding = {s->name, offset, damage, what};
    s->survey->damages += damage;
    if (s->options->on_finding != NULL)
        s->options->on_finding(s->options->context, &finding);
}

static bool is_ours(const struct surveyor *s, const struct ms_block_header *header) {
    return header->segment == s->segment && header->shard == s->options->shard &&
           ms_uuid_equal(&header->store_uuid, &s->options->log_uuid);
}

static bool continues(const struct ms_chain *chain, const struct ms_block_header *header) {
    if (header->first_position != chain->position || header->epoch < chain->epoch)
        return false;
    return !chain->anchored || (header->sequence == chain->sequence &&
                                memcmp(&header->previous_hash, &chain->hash, 16) == 0);
}

/* A header that checks is to be believed, also when the block's contents are damaged. */
static void note_header(struct surveyor *s, const struct ms_walk_step *step) {
    struct ms_survey *survey = s->survey;
    const struct ms_block_header *h = &step->header;
    uint64_t end = h->first_position + h->record_count;
    if (step->offset == 0) {
        survey->has_first = true;
        survey->first = *h;
    }
    survey->rewritten |= (h->flags & MS_BLOCK_REWRITTEN) != 0;
    if (h->sequence > survey->sequence_seen)
        survey->sequence_seen = h->sequence;
    if (end > survey->position_seen)
        survey->position_seen = end;
    if (h->epoch > survey->epoch_seen && !survey->rewritten)
        survey->epoch_seen = h->epoch;
    if (h->commit_time_ms > survey->commit_time_seen_ms)
        survey->commit_time_seen_ms = h->commit_time_ms;
}

static void advance(struct surveyor *s, const struct ms_walk_step *step) {
    const struct ms_block_header *h = &step->header;
    s->chain = (struct ms_chain){
        .anchored = true,
        .sequence = h->sequence + 1,
        .position = h->first_position + h->record_count,
        .hash = ms_block_hash(step->bytes),
        .epoch = s->survey->rewritten ? s->chain.epoch : h->epoch,
        .commit_time_ms = h->commit_time_ms,
        .os = (h->flags & MS_BLOCK_OS) != 0,
    };
    s->lost = false;
}

struct entry_check {
    struct surveyor *surveyor;
    bool out_of_order;
};

static int check_entry(void *context, const struct ms_walk_entry *entry) {
    struct entry_check *check = context;
    struct ms_survey *survey = check->surveyor->survey;
    uint64_t end = entry->header.first_position + entry->record_count;
    if (entry->damaged)
        return 0;
    survey->entries++;
    survey->events += ms_get_be32(entry->batch.data + BATCH_AT_COUNT);
    check->out_of_order |=
        survey->rewritten && entry->header.first_position < survey->position_seen;
    if (survey->rewritten && end > survey->position_seen)
        survey->position_seen = end;
    return 0;
}

/* Entries of a whole block: what frames hold is checked only here. */
static int check_entries(struct surveyor *s, const struct ms_walk_step *step) {
    struct entry_check check = {.surveyor = s};
    uint64_t damaged = 0;
    int rc = ms_walk_entries(step, check_entry, &check, &damaged);
    s->survey->blocks++;
    if (damaged > 0)
        found(s, step->offset, true, "entries inside a frame of the block are damaged");
    if (check.out_of_order)
        found(s, step->offset, true, "entries of the block are out of order");
    return rc;
}

/* ---- steps of a sealed or rewritten segment: everything counts ---- */

static const char *stretch_text(const struct ms_walk_step *step) {
    return step->kind == MS_WALK_ZEROS ? "zeros where a block should be"
                                       : "what stands here is no block";
}

static int sealed_step(struct surveyor *s, const struct ms_walk_step *step) {
    const struct ms_block_header *h = &step->header;
    bool header = step->kind == MS_WALK_BLOCK || step->kind == MS_WALK_DAMAGED;
    if (!header) {
        found(s, step->offset, true, stretch_text(step));
        s->lost = true;
        return 0;
    }
    if (!is_ours(s, h)) {
        found(s, step->offset, true, "a block of another store, shard or segment");
        s->lost = true;
        return 0;
    }
    bool before_rewritten = s->survey->rewritten;
    note_header(s, step);
    bool chained = !s->survey->rewritten || step->offset == 0;
    if (chained && !before_rewritten && !s->lost && !continues(&s->chain, h))
        found(s, step->offset, true,
              step->offset == 0 ? "it does not continue the segment before it"
                                : "the block does not continue the one before it");
    if (chained)
        advance(s, step);
    if (step->kind == MS_WALK_BLOCK)
        return check_entries(s, step);
    found(s, step->offset, true, step->why);
    return 0;
}

static void judge_sealed(struct surveyor *s) {
    struct ms_survey *survey = s->survey;
    const struct ms_segment_end *end = &survey->end;
    if (survey->rewritten && !survey->sealed) {
        found(s, s->end_offset, true, "the footer of a segment that was written anew is damaged");
    } else if (!survey->rewritten && !s->lost &&
               (end->position != s->chain.position || end->last_sequence + 1 != s->chain.sequence ||
                memcmp(&end->last_hash, &s->chain.hash, 16) != 0)) {
        found(s, s->blocks_end, true, "the footer does not match the segment's last block");
    }
    if (survey->sealed)
        s->chain = (struct ms_chain){
            .anchored = true,
            .sequence = end->last_sequence + 1,
            .position = end->position,
            .hash = end->last_hash,
            .epoch = end->last_epoch,
            .commit_time_ms = end->last_commit_time_ms,
            .os = end->last_os,
        };
    survey->verdict = survey->damages > 0 ? MS_SURVEY_DAMAGED : MS_SURVEY_WHOLE;
}

/* ---- steps of a segment without footer: the chain says where it ends ---- */

/* Behind the end of the chain nothing counts unless it proves that the chain went on. */
static void weigh(struct surveyor *s, uint64_t segment, const struct ms_walk_step *step) {
    bool header = step->kind == MS_WALK_BLOCK || step->kind == MS_WALK_DAMAGED;
    struct ms_recovery_evidence *evidence = &s->behind;
    evidence->bytes |= step->kind != MS_WALK_ZEROS;
    if (!header || step->header.segment != segment || step->header.shard != s->options->shard ||
        !ms_uuid_equal(&step->header.store_uuid, &s->options->log_uuid))
        return;
    evidence->blocks = true;
    evidence->rewritten |= (step->header.flags & MS_BLOCK_REWRITTEN) != 0;
    if (step->header.synced_through > evidence->synced_through)
        evidence->synced_through = step->header.synced_through;
}

static void end_chain(struct surveyor *s, const struct ms_walk_step *step) {
    bool header = step->kind == MS_WALK_BLOCK || step->kind == MS_WALK_DAMAGED;
    const char *why = stretch_text(step);
    if (header && !is_ours(s, &step->header))
        why = "a block of another store, shard or segment";
    else if (step->kind == MS_WALK_BLOCK)
        why = "the block does not continue the one before it";
    else if (step->kind == MS_WALK_DAMAGED)
        why = step->why;
    else if (step->kind == MS_WALK_FOOTER)
        why = "the footer is damaged";
    s->foreign = step->offset == 0 && header && !is_ours(s, &step->header);
    s->ended = true;
    s->end_offset = step->offset;
    snprintf(s->why, sizeof s->why, "%s", why);
}

static int open_step(struct surveyor *s, const struct ms_walk_step *step) {
    bool header = step->kind == MS_WALK_BLOCK || step->kind == MS_WALK_DAMAGED;
    if (header && is_ours(s, &step->header))
        note_header(s, step);
    if (!s->ended && step->kind == MS_WALK_BLOCK && is_ours(s, &step->header) &&
        continues(&s->chain, &step->header)) {
        advance(s, step);
        s->end_offset = step->offset + step->length;
        return check_entries(s, step);
    }
    if (!s->ended)
        end_chain(s, step);
    weigh(s, s->segment, step);
    return 0;
}

/* What later segments prove. Only asked for when a segment ends before the next one begins. */
static int weigh_later(struct surveyor *s, struct ms_error *err) {
    int rc = 0;
    for (size_t i = s->index + 1; rc == 0 && i < s->list->count; i++) {
        char name[MS_SEGMENT_NAME_LEN + 1], path[MS_PATH_MAX];
        struct ms_walk walk;
        struct ms_walk_step step;
        ms_segment_name(s->list->names[i], name);
        rc = ms_path_join(path, s->options->dir, name);
        if (rc == 0)
            rc = ms_walk_open(&walk, s->options->env, path, err);
        if (rc != 0)
            return rc;
        while ((rc = ms_walk_next(&walk, &step, err)) > 0)
            weigh(s, s->list->names[i], &step);
        ms_walk_close(&walk);
    }
    return rc;
}

static void judge_evidence(struct surveyor *s) {
    char text[TEXT_MAX + 96];
    /* Where there is nothing, nothing can be saved either: the end of the whole log is told by who
     * surveys it. */
    s->behind.missing = s->behind.bytes &&
                        ms_recovery_misses(s->chain.position, s->chain.os, s->options->known_end);
    enum ms_recovery_verdict verdict = ms_recovery_decide(&s->behind, s->chain.sequence);
    bool damage = verdict == MS_RECOVERY_DAMAGE || s->foreign;
    if (damage)
        snprintf(text, sizeof text, "%s%s", s->ended ? s->why : "the blocks end here",
                 s->foreign          ? ""
                 : s->behind.missing ? "; the index proves that acknowledged data stood here"
                                     : "; later blocks prove that acknowledged data stood here");
    else
        snprintf(text, sizeof text,
                 "%s: a torn tail, the start of a write that was never acknowledged", s->why);
    if (verdict != MS_RECOVERY_END || damage)
        found(s, s->end_offset, damage, text);
    s->survey->verdict = damage ? MS_SURVEY_DAMAGED : MS_SURVEY_END;
}

/* How the chain stood at the end of what is lost isn't known: the next segment begins it anew. */
static void leave_damage(struct surveyor *s) {
    if (s->survey->verdict == MS_SURVEY_DAMAGED && !s->survey->sealed &&
        s->index + 1 < s->list->count)
        s->chain = (struct ms_chain){.position = s->list->names[s->index + 1]};
}

static int judge_open(struct surveyor *s, struct ms_error *err) {
    bool last = s->index + 1 == s->list->count;
    uint64_t next = last ? 0 : s->list->names[s->index + 1];
    if (s->survey->damages > 0) {
        s->survey->verdict = MS_SURVEY_DAMAGED;
        return 0;
    }
    if (!last && next == s->chain.position && next > s->segment) {
        if (s->behind.bytes)
            found(s, s->end_offset, false, "the footer is damaged; the next start writes it anew");
        s->survey->verdict = MS_SURVEY_WHOLE;
        return 0;
    }
    int rc = last ? 0 : weigh_later(s, err);
    if (rc == 0)
        judge_evidence(s);
    return rc;
}

/* ---- the walk ---- */

static int load_footer(struct surveyor *s, struct ms_error *err) {
    struct ms_segment *segment;
    int rc = ms_segment_new(s->path, s->segment, MS_BLOCK_ALIGN, &segment);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory to read a segment");
    rc = ms_vfs_open(s->options->env->vfs, s->path, MS_OPEN_READ, &segment->reader, err);
    if (rc == 0)
        rc = ms_segment_load_footer(segment, &s->options->log_uuid, err);
    s->survey->sealed = rc == 0;
    if (rc == 0) {
        s->blocks_end = atomic_load(&segment->end_offset);
        s->survey->end = (struct ms_segment_end){
            .position = atomic_load(&segment->end_position),
            .last_sequence = segment->last_sequence,
            .last_hash = segment->last_hash,
            .last_commit_time_ms = segment->last_commit_time_ms,
            .last_epoch = segment->last_epoch,
            .last_os = segment->last_os,
        };
    }
    ms_segment_unref(segment);
    return rc == MS_ENOTFOUND ? 0 : rc;
}

/* A segment that was written anew has a footer, or it is damaged: its first block tells. */
static bool everything_counts(const struct surveyor *s, const struct ms_walk_step *step) {
    bool header = step->kind == MS_WALK_BLOCK || step->kind == MS_WALK_DAMAGED;
    return s->survey->sealed || s->survey->rewritten ||
           (header && is_ours(s, &step->header) && (step->header.flags & MS_BLOCK_REWRITTEN) != 0);
}

static int walk_segment(struct surveyor *s, uint64_t bytes_before, struct ms_error *err) {
    struct ms_walk walk;
    struct ms_walk_step step;
    int rc = ms_walk_open(&walk, s->options->env, s->path, err);
    if (rc != 0)
        return rc;
    s->survey->bytes = walk.size;
    while ((rc = ms_walk_next(&walk, &step, err)) > 0) {
        bool behind = s->survey->sealed && step.offset >= s->blocks_end;
        bool footer = step.kind == MS_WALK_FOOTER ||
                      (step.kind == MS_WALK_DAMAGED && step.header.flags & MS_BLOCK_FOOTER);
        if (behind || (footer && s->survey->rewritten))
            break;
        rc = everything_counts(s, &step) ? sealed_step(s, &step) : open_step(s, &step);
        if (s->options->on_progress != NULL)
            s->options->on_progress(s->options->context, bytes_before + walk.offset,
                                    s->list->bytes);
        if (rc != 0)
            break;
        if (s->survey->rewritten)
            s->end_offset = walk.offset;
    }
    ms_walk_close(&walk);
    return rc > 0 ? 0 : rc;
}

int ms_survey_segment(const struct ms_verify_options *options, const struct ms_survey_list *list,
                      size_t index, const struct ms_chain *before, uint64_t bytes_before,
                      struct ms_survey *ret_survey, struct ms_error *err) {
    struct ms_survey survey = {0};
    struct surveyor s = {
        .options = options,
        .list = list,
        .index = index,
        .segment = list->names[index],
        .survey = &survey,
        .chain = *before,
    };
    /* A hole before it was told by the caller; the segment itself is judged on its own. */
    if (s.chain.position != s.segment)
        s.chain = (struct ms_chain){.position = s.segment};
    survey.position_seen = s.segment;
    ms_segment_name(s.segment, s.name);
    int rc = ms_path_join(s.path, options->dir, s.name);
    if (rc != 0)
        return ms_error_set(err, rc, "the path of the shard is too long");
    rc = load_footer(&s, err);
    if (rc == 0)
        rc = walk_segment(&s, bytes_before, err);
    if (rc == 0 && (survey.sealed || survey.rewritten))
        judge_sealed(&s);
    else if (rc == 0)
        rc = judge_open(&s, err);
    leave_damage(&s);
    survey.chain = s.chain;
    survey.end_offset = survey.sealed ? s.blocks_end : s.end_offset;
    if (rc == 0)
        *ret_survey = survey;
    return rc;
}
