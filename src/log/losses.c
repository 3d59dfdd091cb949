/* What segments have lost; see losses.h. */
#include "log/losses.h"

#include "base/alloc.h"
#include "base/endian.h"
#include "log/internal.h"

#define BATCH_AT_COUNT 57
#define CAPACITY_MIN 8u

/* ---- lists ---- */

void ms_losses_deinit(struct ms_losses *losses) {
    ms_free(losses->items);
    *losses = (struct ms_losses){0};
}

/* Where the topic is, or would be. */
static size_t place_of(const struct ms_losses *losses, uint32_t topic) {
    size_t low = 0, high = losses->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (losses->items[middle].topic < topic)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int insert(struct ms_losses *losses, size_t at, const struct ms_loss *loss) {
    if (losses->count == losses->capacity) {
        size_t capacity = losses->capacity > 0 ? losses->capacity * 2 : CAPACITY_MIN;
        struct ms_loss *items = ms_realloc(losses->items, capacity * sizeof *items);
        if (items == NULL)
            return MS_ENOMEM;
        losses->items = items;
        losses->capacity = capacity;
    }
    memmove(&losses->items[at + 1], &losses->items[at],
            (losses->count - at) * sizeof *losses->items);
    losses->items[at] = *loss;
    losses->count++;
    return 0;
}

int ms_losses_note(struct ms_losses *losses, uint32_t topic, uint64_t first, uint64_t last) {
    size_t at = place_of(losses, topic);
    bool there = at < losses->count && losses->items[at].topic == topic;
    if (!there && losses->count >= MS_LOSS_TOPICS_MAX && topic != MS_LOSS_ANY_TOPIC)
        return ms_losses_note(losses, MS_LOSS_ANY_TOPIC, first, last);
    if (!there)
        return insert(losses, at, &(struct ms_loss){topic, 0, first, last});
    struct ms_loss *loss = &losses->items[at];
    loss->first = first < loss->first ? first : loss->first;
    loss->last = last > loss->last ? last : loss->last;
    return 0;
}

int ms_losses_add(struct ms_losses *losses, const struct ms_losses *more) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < more->count; i++)
        rc =
            ms_losses_note(losses, more->items[i].topic, more->items[i].first, more->items[i].last);
    return rc;
}

bool ms_losses_make_sense(const struct ms_losses *losses, uint64_t first_position) {
    for (size_t i = 0; i < losses->count; i++) {
        const struct ms_loss *loss = &losses->items[i];
        if (loss->first < first_position || loss->last < loss->first ||
            (i > 0 && loss->topic <= losses->items[i - 1].topic))
            return false;
    }
    return true;
}

/* ---- of a segment that does not know ---- */

static int look_at_entry(const struct ms_log_entry *entry, uint64_t expected,
                         struct ms_losses *losses) {
    const unsigned without = MS_ENTRY_CONTROL | MS_ENTRY_COMMIT; /* empty as they were written */
    uint64_t first = entry->header.first_position;
    int rc = first > expected ? ms_losses_note(losses, MS_LOSS_ANY_TOPIC, expected, first - 1) : 0;
    uint32_t records = ms_get_be32(entry->batch.data + BATCH_AT_COUNT);
    if (rc == 0 && !(entry->header.flags & without) && records < entry->record_count)
        rc = ms_losses_note(losses, entry->header.topic, first, first + entry->record_count - 1);
    return rc;
}

static int read_off(struct ms_log *log, const struct ms_segment *segment, struct ms_losses *losses,
                    struct ms_error *err) {
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    uint64_t expected = segment->first_position, end = atomic_load(&segment->end_position);
    int rc = 0;
    ms_log_cursor_init(&cursor, log, segment->first_position);
    cursor.read_bytes = (size_t)256 << 10;
    while (cursor.next_position < end && (rc = ms_log_cursor_next(&cursor, &entry, err)) > 0 &&
           entry.header.first_position < end) {
        rc = look_at_entry(&entry, expected, losses);
        if (rc != 0)
            break;
        expected = entry.header.first_position + entry.record_count;
    }
    ms_log_cursor_deinit(&cursor);
    if (rc >= 0 && expected < end)
        rc = ms_losses_note(losses, MS_LOSS_ANY_TOPIC, expected, end - 1);
    if (rc == MS_ENOMEM)
        return ms_error_set(err, rc, "no memory for what was removed from %s", segment->path);
    return rc < 0 ? rc : 0;
}

/* ---- of the log ---- */

static bool take_known(struct ms_log *log, const struct ms_segment *segment,
                       struct ms_losses *losses, int *ret_code) {
    pthread_rwlock_rdlock(&log->segments_lock);
    bool known = !segment->rewritten || segment->losses_known;
    *ret_code = known ? ms_losses_add(losses, &segment->losses) : 0;
    pthread_rwlock_unlock(&log->segments_lock);
    return known;
}

/* Somebody else may have found out meanwhile: the same. */
static void keep(struct ms_log *log, struct ms_segment *segment, struct ms_losses *found) {
    pthread_rwlock_wrlock(&log->segments_lock);
    if (!segment->losses_known) {
        segment->losses = *found;
        segment->losses_known = true;
        *found = (struct ms_losses){0};
    }
    pthread_rwlock_unlock(&log->segments_lock);
}

int ms_log_losses_of(struct ms_log *log, struct ms_segment *segment, struct ms_losses *losses,
                     struct ms_error *err) {
    struct ms_losses found = {0};
    int rc;
    if (!take_known(log, segment, losses, &rc)) {
        rc = read_off(log, segment, &found, err);
        if (rc != 0) {
            ms_losses_deinit(&found);
            return rc;
        }
        rc = ms_losses_add(losses, &found);
        keep(log, segment, &found);
        ms_losses_deinit(&found);
    }
    return rc == 0 ? 0 : ms_error_set(err, rc, "no memory for what was removed from the log");
}

/* Referenced; the table only grows. */
static struct ms_segment *nth_segment(struct ms_log *log, size_t n) {
    pthread_rwlock_rdlock(&log->segments_lock);
    struct ms_segment *segment = n < log->segment_count ? ms_segment_ref(log->segments[n]) : NULL;
    pthread_rwlock_unlock(&log->segments_lock);
    return segment;
}

int ms_log_losses(struct ms_log *log, struct ms_losses *losses, struct ms_error *err) {
    struct ms_segment *segment;
    int rc = 0;
    for (size_t i = 0; rc == 0 && (segment = nth_segment(log, i)) != NULL; i++) {
        rc = ms_log_losses_of(log, segment, losses, err);
        ms_segment_unref(segment);
    }
    return rc;
}

uint64_t ms_log_losses_count(struct ms_log *log) { return atomic_load(&log->losses_count); }
