/* Verifying; see verify.h. */
#include "log/verify.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "log/recovery.h"
#include "log/walk.h"

struct verifier {
    const struct ms_verify_options *options;
    struct ms_verify_result result;
    const char *name; /* of the segment at hand */
    uint64_t segment;
    uint64_t bytes_total;
    /* the chain */
    bool chained;
    uint64_t sequence, position;
    struct ms_hash128 hash;
    /* of the segment at hand */
    bool rewritten, sealed, ended;
    uint64_t end_offset;
    struct ms_recovery_evidence behind; /* what follows the end of the chain */
};

static void found(struct verifier *v, uint64_t offset, bool damage, const char *what) {
    struct ms_verify_finding finding = {v->name, offset, damage, what};
    v->result.damages += damage;
    if (v->options->on_finding != NULL)
        v->options->on_finding(v->options->context, &finding);
}

static int count_entry(void *context, const struct ms_walk_entry *entry) {
    struct verifier *v = context;
    v->result.entries++;
    v->result.events += (uint64_t)ms_get_be32(entry->batch.data + 57);
    return 0;
}

static int check_entries(struct verifier *v, const struct ms_walk_step *step) {
    uint64_t damaged = 0;
    int rc = ms_walk_entries(step, count_entry, v, &damaged);
    if (damaged > 0)
        found(v, step->offset, true, "entries of the block are damaged");
    return rc;
}

static void check_chain(struct verifier *v, const struct ms_walk_step *step) {
    const struct ms_block_header *h = &step->header;
    if (v->chained && (h->sequence != v->sequence || h->first_position != v->position ||
                       memcmp(&h->previous_hash, &v->hash, 16) != 0))
        found(v, step->offset, true, "the block does not continue the one before it");
    v->chained = true;
    v->sequence = h->sequence + 1;
    v->position = h->first_position + h->record_count;
    v->hash = ms_block_hash(step->bytes);
}

/* The footer takes the chain over: in a rewritten segment it alone knows how the blocks ended. */
static void check_footer(struct verifier *v, const struct ms_walk_step *step) {
    const struct ms_block_header *h = &step->header;
    v->sealed = true;
    if (!v->rewritten && v->chained &&
        (h->first_position != v->position || memcmp(&h->previous_hash, &v->hash, 16) != 0))
        found(v, step->offset, true, "the footer does not match the segment's last block");
    v->chained = true;
    v->sequence = h->sequence + 1;
    v->position = h->first_position;
    v->hash = h->previous_hash;
}

static int check_block(struct verifier *v, const struct ms_walk_step *step) {
    const struct ms_block_header *h = &step->header;
    if (!ms_uuid_equal(&h->store_uuid, &v->options->log_uuid) || h->segment != v->segment) {
        found(v, step->offset, true, "a block of another store or another segment");
        return 0;
    }
    v->result.blocks++;
    v->rewritten |= (h->flags & MS_BLOCK_REWRITTEN) != 0;
    if (!v->rewritten || step->offset == 0) {
        check_chain(v, step);
    }
    return check_entries(v, step);
}

/* Behind the end of the chain nothing counts unless it proves that the chain went on. */
static void weigh(struct verifier *v, const struct ms_walk_step *step) {
    v->behind.bytes |= step->kind != MS_WALK_ZEROS;
    bool header = step->kind == MS_WALK_BLOCK || step->kind == MS_WALK_DAMAGED;
    if (!header || !ms_uuid_equal(&step->header.store_uuid, &v->options->log_uuid))
        return;
    v->behind.blocks = true;
    if (step->header.synced_through > v->behind.synced_through)
        v->behind.synced_through = step->header.synced_through;
}

static int check_step(struct verifier *v, const struct ms_walk_step *step) {
    if (step->kind == MS_WALK_FOOTER) {
        check_footer(v, step);
        return 0;
    }
    if (v->sealed || (step->kind == MS_WALK_NOISE && step->length < MS_BLOCK_ALIGN))
        return 0; /* the trailer */
    if (!v->ended && step->kind == MS_WALK_BLOCK) {
        v->end_offset = step->offset + step->length;
        return check_block(v, step);
    }
    if (!v->ended)
        v->behind = (struct ms_recovery_evidence){0};
    v->ended = true;
    weigh(v, step);
    return 0;
}

static void judge_end(struct verifier *v, bool last) {
    if (v->sealed) {
        if (v->ended)
            found(v, v->end_offset, true, "blocks are missing in front of the footer");
        return;
    }
    switch (ms_recovery_decide(&v->behind, v->sequence)) {
    case MS_RECOVERY_DAMAGE:
        found(v, v->end_offset, true, "later blocks prove that acknowledged data stood here");
        break;
    case MS_RECOVERY_TORN:
        found(v, v->end_offset, !last,
              "a torn tail: the start of a write that was never acknowledged");
        break;
    case MS_RECOVERY_REFUSE:
    case MS_RECOVERY_END:
        break;
    }
}

static int verify_segment(struct verifier *v, const char *name, bool last, struct ms_error *err) {
    char path[MS_PATH_MAX];
    struct ms_walk walk;
    struct ms_walk_step step;
    int rc = ms_path_join(path, v->options->dir, name);
    if (rc == 0)
        rc = ms_walk_open(&walk, v->options->env, path, err);
    if (rc != 0)
        return rc;
    v->name = name;
    v->rewritten = v->sealed = v->ended = false;
    v->end_offset = 0;
    v->behind = (struct ms_recovery_evidence){0};
    uint64_t before = v->result.bytes;
    while ((rc = ms_walk_next(&walk, &step, err)) > 0) {
        rc = check_step(v, &step);
        v->result.bytes = before + walk.offset;
        if (v->options->on_progress != NULL)
            v->options->on_progress(v->options->context, v->result.bytes, v->bytes_total);
        if (rc != 0)
            break;
    }
    ms_walk_close(&walk);
    if (rc == 0)
        judge_end(v, last);
    v->result.segments++;
    return rc;
}

static int verify_named(struct verifier *v, const struct ms_dir_entry *entry, bool last,
                        struct ms_error *err) {
    uint64_t first_position;
    if (!ms_segment_name_parse(entry->name, &first_position))
        return 0;
    v->segment = first_position;
    v->name = entry->name;
    if (v->result.segments == 0)
        v->result.first_position = v->position = first_position;
    else if (first_position != v->position)
        found(v, 0, true, "the segment does not begin where the one before it ends");
    if (first_position != v->position)
        v->chained = false;
    v->position = first_position;
    return verify_segment(v, entry->name, last, err);
}

int ms_log_verify(const struct ms_verify_options *options, struct ms_verify_result *ret_result,
                  struct ms_error *err) {
    struct verifier v = {.options = options};
    struct ms_dir_entry *entries;
    size_t count, last = 0;
    uint64_t position;
    int rc = ms_vfs_list(options->env->vfs, options->dir, &entries, &count, err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < count; i++)
        if (ms_segment_name_parse(entries[i].name, &position)) {
            v.bytes_total += entries[i].size;
            last = i;
        }
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = verify_named(&v, &entries[i], i == last, err);
    ms_dir_entries_free(entries, count);
    v.result.end_position = v.position;
    if (rc == 0)
        *ret_result = v.result;
    return rc;
}
