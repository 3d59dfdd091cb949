/*
 * What transactions leave in the log, and when it goes. fates.h has the order in which it may.
 *
 *   pending batch  its records are judged once the transaction has ended: committed ones like any
 *                  other, by the version that the commit gave them; aborted ones are nobody's
 *                  events, and go with the first rule of their stream or topic that removes any.
 *                  From before its topic had streams it has records of several, and goes by the
 *                  topic's rules only
 *   commit         goes when its batch is gone, unless it is the last word on its stream
 *   marker         of a deleted topic, or before its partition's start: goes when no data lies
 *                  before it. In a compacted topic: when nothing of its transaction is left and
 *                  delete_retention_ms have passed
 *
 * The scavenger's thread.
 */
#include "base/alloc.h"
#include "base/endian.h"
#include "store/scavenge.h"

#define PENDING_MIN 256u
#define PLACES_PER_PAGE 16u
#define PRODUCER_AT 43
#define MAX_TIMESTAMP_AT 35
#define WALK_FOUND 1

/* ---- pending batches that were kept ---- */

void ms_scavenge_forget_all(struct ms_scavenge_pending *pending) {
    if (pending->count > 0)
        memset(pending->slots, 0, pending->capacity * sizeof *pending->slots);
    pending->count = 0;
    pending->overflown = false;
}

void ms_scavenge_begin_segment(struct ms_scavenge *s) {
    s->visits++;
    ms_scavenge_forget_all(&s->pending);
}

uint64_t ms_scavenge_place(const struct ms_log_entry *entry) {
    uint64_t key[2] = {(uint64_t)entry->header.topic << 16 | entry->header.partition,
                       (uint64_t)entry->first_offset};
    uint64_t hash = ms_hash64(key, sizeof key, 0);
    return hash != 0 ? hash : 1;
}

static uint64_t *slot_of(const struct ms_scavenge_pending *pending, uint64_t hash) {
    size_t mask = pending->capacity - 1, i = (size_t)hash & mask;
    while (pending->slots[i] != 0 && pending->slots[i] != hash)
        i = (i + 1) & mask;
    return &pending->slots[i];
}

static int grow(struct ms_scavenge_pending *pending) {
    struct ms_scavenge_pending bigger = {.count = pending->count};
    bigger.capacity = pending->capacity > 0 ? pending->capacity * 2 : PENDING_MIN;
    bigger.slots = ms_calloc(bigger.capacity, sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; i < pending->capacity; i++)
        if (pending->slots[i] != 0)
            *slot_of(&bigger, pending->slots[i]) = pending->slots[i];
    ms_free(pending->slots);
    *pending = bigger;
    return 0;
}

int ms_scavenge_remember(struct ms_scavenge_pending *pending, uint64_t hash) {
    if (pending->count == MS_SCAVENGE_PENDING_MAX) {
        pending->overflown = true;
        return 0;
    }
    if ((pending->count + 1) * 2 > pending->capacity && grow(pending) != 0)
        return MS_ENOMEM;
    uint64_t *slot = slot_of(pending, hash);
    pending->count += *slot == 0;
    *slot = hash;
    return 0;
}

bool ms_scavenge_remembers(const struct ms_scavenge_pending *pending, uint64_t hash) {
    return pending->overflown || (pending->capacity > 0 && *slot_of(pending, hash) != 0);
}

static int fates_of(struct ms_scavenge *s, const struct ms_log_entry *entry,
                    struct ms_fates **ret_fates, struct ms_error *err) {
    int rc = ms_fates_of(&s->fates, s->topic, entry->header.partition, ret_fates, err);
    if (rc == 0 && (*ret_fates)->segment != s->visits) {
        (*ret_fates)->segment = s->visits;
        (*ret_fates)->earlier = -1;
        (*ret_fates)->kept_pending = false;
    }
    return rc;
}

int ms_scavenge_note_pending(struct ms_scavenge *s, const struct ms_log_entry *entry,
                             struct ms_error *err) {
    struct ms_fates *fates;
    int rc = fates_of(s, entry, &fates, err);
    if (rc != 0)
        return rc;
    fates->kept_pending = true;
    rc = ms_scavenge_remember(&s->pending, ms_scavenge_place(entry));
    return rc == 0 ? 0 : ms_error_set(err, rc, "no memory to scavenge transactions");
}

/* ---- pending batches ---- */

/* The first append of the stream behind a position, by its version. */
static int first_version_behind(struct ms_scavenge *s, const struct ms_stream_id *id,
                                uint64_t position, int64_t head, int64_t *ret_version,
                                struct ms_error *err) {
    int64_t low = 0, high = head + 1;
    while (low < high) {
        struct ms_index_place place;
        size_t count;
        int64_t middle = low + (high - low) / 2;
        int rc = ms_index_stream_scan(s->store->index, id, middle, false, 1, &place, &count, err);
        if (rc != 0)
            return rc;
        if (count > 0 && place.position <= position)
            low = place.last_version + 1;
        else
            high = middle;
    }
    *ret_version = low;
    return 0;
}

/* 1: the commit of the pending batch stands at that place. */
static int is_commit_of(struct ms_scavenge *s, const struct ms_log_entry *pending,
                        const struct ms_index_place *place, int64_t *ret_version,
                        struct ms_error *err) {
    struct ms_log_entry found;
    ms_log_cursor_seek(&s->finder, place->position);
    int rc = ms_log_cursor_next(&s->finder, &found, err);
    if (rc <= 0)
        return rc;
    bool its = (found.header.flags & MS_ENTRY_COMMIT) != 0 &&
               found.header.topic == pending->header.topic &&
               found.header.partition == pending->header.partition &&
               found.first_offset == pending->first_offset;
    *ret_version = found.header.first_version;
    return its;
}

/* Commits stand behind their batches, soon. -1: there is none. */
static int find_version(struct ms_scavenge *s, const struct ms_log_entry *pending,
                        const struct ms_head *head, int64_t *ret_version, struct ms_error *err) {
    struct ms_index_place places[PLACES_PER_PAGE];
    size_t count = PLACES_PER_PAGE;
    int64_t from = 0;
    *ret_version = -1;
    int rc = first_version_behind(s, &head->id, pending->header.first_position, head->version,
                                  &from, err);
    while (rc == 0 && count == PLACES_PER_PAGE && from <= head->version) {
        rc = ms_index_stream_scan(s->store->index, &head->id, from, false, PLACES_PER_PAGE, places,
                                  &count, err);
        for (size_t i = 0; rc == 0 && i < count; i++) {
            rc = is_commit_of(s, pending, &places[i], ret_version, err);
            if (rc > 0)
                return 0;
            from = places[i].last_version + 1;
        }
    }
    *ret_version = -1;
    return rc;
}

/* All records of a pending batch in a topic with streams have the same key. */
static int pending_head(struct ms_scavenge *s, const struct ms_log_entry *entry,
                        struct ms_head **ret_head, struct ms_error *err) {
    struct ms_record record;
    *ret_head = NULL;
    int rc = ms_batch_reader_init(&s->batch, entry->batch, MS_SCAVENGE_BATCH_MAX, err);
    if (rc == 0)
        rc = ms_batch_reader_next(&s->batch, &record, err);
    if (rc <= 0 || record.key_is_null)
        return rc < 0 ? rc : 0;
    struct ms_stream_id id = ms_stream_id_of(s->store, s->topic, record.key);
    return ms_scavenge_head(s, &id, ret_head, err);
}

static bool removes_by_version(const struct ms_scavenge *s, const struct ms_head *head) {
    return !head->rules.tombstoned &&
           (ms_head_first_readable(head) > 0 || ms_scavenge_newest_only(s));
}

int ms_scavenge_bound_pending(struct ms_scavenge *s, const struct ms_log_entry *entry,
                              struct ms_scavenge_bounds *bounds, bool *ret_open,
                              struct ms_error *err) {
    struct ms_fates *fates;
    struct ms_head *head = NULL;
    int rc = fates_of(s, entry, &fates, err);
    if (rc != 0)
        return rc;
    int64_t producer_id = (int64_t)ms_get_be64(entry->batch.data + PRODUCER_AT);
    enum ms_fate fate = ms_fate_of(fates, producer_id, entry->first_offset);
    *ret_open = fate == MS_FATE_OPEN;
    bounds->aborted = fate == MS_FATE_ABORTED;
    bounds->first_version = -1;
    if (*ret_open) {
        s->rules_act = true; /* its end will not mark anything */
        return 0;
    }
    if (s->settings.streams && !atomic_load(&s->topic->deleted) &&
        !ms_scavenge_precedes_streams(s, entry))
        rc = pending_head(s, entry, &head, err);
    if (rc == 0 && head != NULL && !bounds->aborted && removes_by_version(s, head))
        rc = find_version(s, entry, head, &bounds->first_version, err);
    bounds->head = head;
    return rc;
}

bool ms_scavenge_pending_dead(struct ms_scavenge *s, const struct ms_scavenge_bounds *bounds,
                              int64_t version, int64_t timestamp_ms) {
    const struct ms_stream_rules *rules = &bounds->head->rules;
    if (rules->tombstoned)
        return true; /* its last word is its commit */
    if (rules->max_age_ms > 0 && timestamp_ms < s->now_ms - rules->max_age_ms)
        return true;
    if (bounds->aborted)
        return removes_by_version(s, bounds->head);
    if (version < 0)
        return false;
    if (version < ms_head_first_readable(bounds->head))
        return true;
    return ms_scavenge_newest_only(s) && version < bounds->head->version;
}

/* ---- commits ---- */

/* Is the batch that a commit names still stored, as far as this segment was gone over? */
static int batch_is_stored(struct ms_scavenge *s, const struct ms_log_entry *commit,
                           bool *ret_stored, struct ms_error *err) {
    struct ms_index_offset_place place;
    struct ms_log_entry found;
    *ret_stored = true;
    if (ms_scavenge_remembers(&s->pending, ms_scavenge_place(commit)))
        return 0;
    *ret_stored = false;
    int rc = ms_index_offset_find(s->store->index, commit->header.topic, commit->header.partition,
                                  commit->first_offset, false, &place, err);
    if (rc != 0 || place.first_offset != commit->first_offset)
        return rc == MS_ENOTFOUND ? 0 : rc;
    if (place.position >= s->segment.first_position)
        return 0; /* it came before the commit, and was not kept */
    ms_log_cursor_seek(&s->finder, place.position);
    rc = ms_log_cursor_next(&s->finder, &found, err);
    *ret_stored = rc > 0 && found.header.first_position == place.position &&
                  (found.header.flags & MS_ENTRY_PENDING) != 0;
    return rc < 0 ? rc : 0;
}

int ms_scavenge_judge_commit(struct ms_scavenge *s, const struct ms_log_entry *entry,
                             struct ms_scavenge_verdict *verdict, struct ms_error *err) {
    bool stored;
    int rc = ms_scavenge_note_commit(s, entry, err);
    if (rc == 0)
        rc = batch_is_stored(s, entry, &stored, err);
    verdict->whole = rc == 0 && stored;
    if (rc != 0 || stored)
        return rc;
    if ((entry->header.flags & MS_ENTRY_HAS_STREAM) && !atomic_load(&s->topic->deleted)) {
        struct ms_stream_id id;
        struct ms_head *head;
        memcpy(id.bytes, entry->header.stream_id, MS_STREAM_ID_LEN);
        rc = ms_scavenge_head(s, &id, &head, err);
        verdict->whole =
            rc == 0 && entry->header.first_version + entry->record_count - 1 == head->version;
    }
    verdict->goes = rc == 0 && !verdict->whole;
    return rc;
}

/* ---- markers ---- */

struct earlier_data {
    uint64_t before; /* this position */
    int64_t offset;
};

static int find_earlier(void *context, const struct ms_log_entry *entry, struct ms_error *err) {
    struct earlier_data *data = context;
    (void)err;
    if (entry->header.first_position >= data->before)
        return WALK_FOUND;
    if (entry->header.flags & MS_ENTRY_CONTROL)
        return 0;
    data->offset = entry->first_offset;
    return WALK_FOUND;
}

/* Nothing of the partition is stored before the marker but markers. */
static int is_first(struct ms_scavenge *s, const struct ms_log_entry *entry, struct ms_fates *fates,
                    bool *ret_first, struct ms_error *err) {
    int rc = 0;
    *ret_first = false;
    if (fates->kept_pending)
        return 0;
    if (fates->earlier < 0 && s->reader == NULL) {
        rc = ms_partition_reader_new(s->store, &s->reader);
        if (rc != 0)
            return ms_error_set(err, rc, "no memory to scavenge transactions");
    }
    if (fates->earlier < 0) {
        struct earlier_data data = {s->segment.first_position, INT64_MAX};
        rc = ms_partition_walk(s->reader, s->topic, entry->header.partition, 0, find_earlier, &data,
                               err);
        if (rc >= 0)
            fates->earlier = data.offset;
    }
    *ret_first = fates->earlier == INT64_MAX;
    return rc < 0 ? rc : 0;
}

/* Readers are told of its transaction, or may be after the next start. */
static int is_needed_by_readers(struct ms_scavenge *s, const struct ms_log_entry *entry,
                                const struct ms_batch_header *header, struct ms_fates *fates,
                                bool *ret_needed, struct ms_error *err) {
    bool listed = ms_fates_lists(fates, header->producer_id, entry->first_offset);
    *ret_needed = listed || ms_index_applied(s->store->index) < s->store->scavenger.forgotten_end;
    if (!*ret_needed)
        return 0;
    s->rules_act = true;
    int rc = listed ? ms_fates_note_superfluous(fates, entry->first_offset) : 0;
    return rc == 0 ? 0 : ms_error_set(err, rc, "no memory to scavenge transactions");
}

int ms_scavenge_judge_marker(struct ms_scavenge *s, const struct ms_log_entry *entry,
                             struct ms_scavenge_verdict *verdict, struct ms_error *err) {
    struct ms_scavenge_bounds bounds = {0};
    struct ms_batch_header header;
    struct ms_fates *fates;
    bool needed = true;
    verdict->whole = true;
    ms_scavenge_bound(s, entry, &bounds);
    int rc = ms_batch_read_header(entry->batch, &header, err);
    if (rc == 0)
        rc = fates_of(s, entry, &fates, err);
    if (rc != 0)
        return rc;
    bool expired = ms_scavenge_expired(s, &bounds, entry->first_offset, header.max_timestamp_ms);
    bool last = entry->first_offset + 1 ==
                atomic_load_explicit(&bounds.partition->end_offset, memory_order_acquire);
    s->rules_act |= expired; /* the start follows, and then it goes */
    if (bounds.deleted || (entry->first_offset < bounds.start && !last)) {
        bool first;
        rc = is_first(s, entry, fates, &first, err);
        needed = !first;
    } else if (s->compacts && !last &&
               ms_compaction_removes_marker(&s->compaction, &s->settings, entry, &header)) {
        rc = is_needed_by_readers(s, entry, &header, fates, &needed, err);
    }
    verdict->whole = needed;
    verdict->goes = rc == 0 && !needed;
    return rc;
}
