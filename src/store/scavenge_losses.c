/*
 * What readers lose by a scavenge: noted while a segment is rewritten, and durable with it
 * (log/losses.h). Projections ask (ms_store_lost) whether what they need was all there.
 *
 * Not counted is what no reader of events is given: records of aborted transactions, markers, and
 * what is in the system's topics but "$streams". Events of deleted topics count: they were there.
 *
 * A committed record of a transaction is read at its commit's position, which comes later: in the
 * same segment, or in one behind it, which is looked through for it before the segment is replaced.
 *
 * The scavenger's thread; ms_store_lost any.
 */
#include "store/scavenge.h"

/* ---- while a segment is rewritten ---- */

void ms_scavenge_begin_losses(struct ms_scavenge *s) {
    ms_losses_deinit(&s->losses);
    ms_scavenge_forget_all(&s->lossy);
    s->lossy_left = 0;
    s->notes_losses = true;
}

void ms_scavenge_end_losses(struct ms_scavenge *s) { s->notes_losses = false; }

static int no_memory(struct ms_error *err) {
    return ms_error_set(err, MS_ENOMEM, "no memory to note what is removed");
}

int ms_scavenge_note_loss(struct ms_scavenge *s, const struct ms_log_entry *entry, bool aborted,
                          int64_t offset, struct ms_error *err) {
    uint64_t position = entry->header.first_position + (uint64_t)(offset - entry->first_offset);
    uint64_t place = ms_scavenge_place(entry);
    int rc = 0;
    if (!s->notes_losses || aborted || ms_topic_is_hidden(s->topic))
        return 0;
    if (!(entry->header.flags & MS_ENTRY_PENDING))
        rc = ms_losses_note(&s->losses, entry->header.topic, position, position);
    else if (s->lossy.count == 0 || !ms_scavenge_remembers(&s->lossy, place)) {
        rc = ms_scavenge_remember(&s->lossy, place);
        s->lossy_left++;
    }
    return rc == 0 ? 0 : no_memory(err);
}

/* Of an entry that is decoded whole, so its topic is no matter of the scavenge's. */
static int note_if_lossy(struct ms_scavenge *s, const struct ms_log_entry *commit) {
    uint64_t first = commit->header.first_position;
    if (s->lossy_left == 0 || !ms_scavenge_remembers(&s->lossy, ms_scavenge_place(commit)))
        return 0;
    s->lossy_left -= !s->lossy.overflown;
    return ms_losses_note(&s->losses, commit->header.topic, first,
                          first + commit->record_count - 1);
}

int ms_scavenge_note_commit(struct ms_scavenge *s, const struct ms_log_entry *commit,
                            struct ms_error *err) {
    if (!s->notes_losses || ms_topic_is_hidden(s->topic))
        return 0;
    return note_if_lossy(s, commit) == 0 ? 0 : no_memory(err);
}

/* The commits that stand in later segments. */
static int find_commits(struct ms_scavenge *s, struct ms_error *err) {
    struct ms_log_entry entry;
    int rc = 0;
    ms_log_cursor_seek(&s->finder, s->segment.end_position);
    while (rc == 0 && s->lossy_left > 0) {
        rc = ms_log_cursor_next(&s->finder, &entry, err);
        if (rc <= 0)
            break;
        rc = entry.header.flags & MS_ENTRY_COMMIT ? note_if_lossy(s, &entry) : 0;
        rc = rc == 0 ? 0 : no_memory(err);
    }
    return rc;
}

int ms_scavenge_lost(void *context, struct ms_losses *losses, struct ms_error *err) {
    struct ms_scavenge *s = context;
    int rc = s->lossy_left > 0 ? find_commits(s, err) : 0;
    if (rc != 0)
        return rc;
    return ms_losses_add(losses, &s->losses) == 0 ? 0 : no_memory(err);
}

/* ---- asking ---- */

uint64_t ms_store_losses(struct ms_store *store) { return ms_log_losses_count(store->log); }

int ms_store_lost(struct ms_store *store, ms_lost_fn *visit, void *context, struct ms_error *err) {
    struct ms_losses losses = {0};
    int rc = ms_log_losses(store->log, &losses, err);
    for (size_t i = 0; rc == 0 && i < losses.count; i++) {
        const struct ms_loss *loss = &losses.items[i];
        const struct ms_topic *topic = ms_topics_at(store, loss->topic);
        struct ms_lost lost = {.first = loss->first, .last = loss->last};
        if (topic != NULL && ms_topic_is_hidden(topic))
            continue;
        if (topic != NULL)
            lost.topic = ms_bytes_of(topic->name, topic->name_len);
        rc = visit(context, &lost);
    }
    ms_losses_deinit(&losses);
    return rc > 0 ? 0 : rc;
}
