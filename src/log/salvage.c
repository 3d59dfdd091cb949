/* Saving appends of a damaged segment; see salvage.h. */
#include "log/salvage.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "log/walk.h"

#define BATCH_AT_COUNT 57
#define APPEND_BYTES_MAX ((size_t)1 << 30)

/* One entry of the append that is being gathered. */
struct held {
    struct ms_entry_header header;
    int64_t commit_time_ms;
    size_t at, len; /* in bytes */
    uint32_t records;
};

struct pass {
    struct ms_salvage *salvage;
    struct held *held; /* the append that may still go on */
    size_t held_count, held_capacity;
    struct ms_buf bytes; /* of its batches */
    bool broken;         /* entries that join go to an append that is lost */
    uint64_t position;   /* everything below it is saved or told */
    uint64_t taken;      /* positions below it are saved or held */
    bool hole;           /* something unreadable stood there since the last entry saved */
    uint64_t hole_at;    /* its offset */
    uint64_t offset;     /* of the block at hand */
    uint64_t sequence;   /* blocks below it were seen */
    struct ms_error *err;
};

static void tell_lost(struct pass *p, uint64_t from, uint64_t to) {
    struct ms_salvage *salvage = p->salvage;
    char text[160];
    /* A segment that was written anew has gaps of its own: not all of the range was still there. */
    snprintf(text, sizeof text, "%s %llu to %llu %s lost",
             salvage->survey->rewritten ? "what was left of events" : "events",
             (unsigned long long)from, (unsigned long long)to - 1,
             salvage->survey->rewritten ? "is" : "are");
    struct ms_verify_finding finding = {salvage->name, p->hole_at, true, text};
    salvage->positions_lost += to - from;
    if (salvage->options->on_finding != NULL)
        salvage->options->on_finding(salvage->options->context, &finding);
}

static void reach(struct pass *p, uint64_t position) {
    if (position > p->position && (p->hole || !p->salvage->survey->rewritten))
        tell_lost(p, p->position, position);
    p->hole = false;
}

/* ---- appends ---- */

static int save_held(struct pass *p) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < p->held_count; i++) {
        const struct held *held = &p->held[i];
        struct ms_bytes batch = ms_bytes_of(p->bytes.data + held->at, held->len);
        reach(p, held->header.first_position);
        if (p->salvage->writer != NULL)
            rc = ms_segment_writer_add(p->salvage->writer, &held->header, held->commit_time_ms,
                                       batch, p->err);
        p->position = held->header.first_position + held->records;
        p->salvage->events_saved += ms_get_be32(batch.data + BATCH_AT_COUNT);
    }
    p->held_count = 0;
    ms_buf_clear(&p->bytes);
    return rc;
}

static void drop_held(struct pass *p) {
    p->held_count = 0;
    ms_buf_clear(&p->bytes);
}

static int hold(struct pass *p, const struct ms_walk_entry *entry) {
    if (p->held_count == p->held_capacity) {
        size_t capacity = p->held_capacity == 0 ? 64 : p->held_capacity * 2;
        struct held *bigger = ms_realloc(p->held, capacity * sizeof *bigger);
        if (bigger == NULL)
            return ms_error_set(p->err, MS_ENOMEM, "no memory to save an append");
        p->held = bigger;
        p->held_capacity = capacity;
    }
    p->held[p->held_count++] = (struct held){
        .header = entry->header,
        .commit_time_ms = entry->commit_time_ms,
        .at = p->bytes.len,
        .len = entry->batch.len,
        .records = entry->record_count,
    };
    p->taken = entry->header.first_position + entry->record_count;
    int rc = ms_buf_append_bytes(&p->bytes, entry->batch);
    return rc == 0 ? 0 : ms_error_set(p->err, rc, "no memory to save an append");
}

static void note_hole(struct pass *p) {
    if (!p->hole)
        p->hole_at = p->offset;
    p->hole = true;
    p->broken = true;
}

static int visit_damage(struct pass *p, const struct ms_walk_entry *entry) {
    int rc = 0;
    bool next_append = entry->header.kind != 0 && !(entry->header.flags & MS_ENTRY_JOINED);
    if (next_append)
        rc = save_held(p);
    else
        drop_held(p);
    note_hole(p);
    return rc;
}

static int visit_entry(void *context, const struct ms_walk_entry *entry) {
    struct pass *p = context;
    uint64_t end = entry->header.first_position + entry->record_count;
    bool joined = (entry->header.flags & MS_ENTRY_JOINED) != 0;
    if (entry->damaged || entry->header.first_position < p->taken || end > p->salvage->end)
        return visit_damage(p, entry);
    if (joined && p->broken)
        return 0;
    int rc = joined ? 0 : save_held(p);
    p->broken = false;
    return rc == 0 ? hold(p, entry) : rc;
}

/* ---- the pass ---- */

/* Frames may share an append between blocks; otherwise it ends with its block. */
static int end_block(struct pass *p) {
    if (p->salvage->survey->rewritten)
        return 0;
    p->broken = false;
    return save_held(p);
}

static void unreadable(struct pass *p) {
    drop_held(p);
    note_hole(p);
}

static int take_step(struct pass *p, const struct ms_walk_step *step) {
    const struct ms_salvage *salvage = p->salvage;
    const struct ms_block_header *h = &step->header;
    bool block = step->kind == MS_WALK_BLOCK || step->kind == MS_WALK_DAMAGED;
    uint64_t damaged = 0;
    p->offset = step->offset;
    if (step->kind == MS_WALK_ZEROS && !salvage->survey->sealed && !salvage->survey->rewritten)
        return 0; /* prepared space */
    bool ours = block && h->segment == salvage->segment &&
                ms_uuid_equal(&h->store_uuid, &salvage->options->log_uuid);
    /* Older than what stands before it: no part of the chain. */
    bool stale = ours && !salvage->survey->rewritten && h->sequence < p->sequence;
    if (!ours || stale) {
        unreadable(p);
        return end_block(p);
    }
    if (h->flags & MS_BLOCK_FOOTER)
        return 0;
    p->sequence = h->sequence + 1;
    int rc = ms_walk_entries(step, visit_entry, p, &damaged);
    return rc == 0 ? end_block(p) : rc;
}

static int walk_file(struct pass *p, const char *path, struct ms_error *err) {
    struct ms_walk walk;
    struct ms_walk_step step;
    int rc = ms_walk_open(&walk, p->salvage->options->env, path, err);
    if (rc != 0)
        return rc;
    while ((rc = ms_walk_next(&walk, &step, err)) > 0 && step.kind != MS_WALK_FOOTER) {
        rc = take_step(p, &step);
        if (rc != 0)
            break;
    }
    ms_walk_close(&walk);
    return rc > 0 ? 0 : rc;
}

int ms_salvage_segment(struct ms_salvage *salvage, const char *path, struct ms_error *err) {
    struct pass p = {
        .salvage = salvage,
        .position = salvage->segment,
        .taken = salvage->segment,
        .err = err,
    };
    ms_buf_init(&p.bytes, APPEND_BYTES_MAX);
    int rc = walk_file(&p, path, err);
    if (rc == 0)
        rc = save_held(&p);
    if (rc == 0)
        reach(&p, salvage->end);
    ms_free(p.held);
    ms_buf_deinit(&p.bytes);
    return rc;
}
