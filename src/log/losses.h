/*
 * What was removed for good: of each topic the first and the last position at which a segment has
 * lost an event that somebody could have read.
 *
 * A segment that was written anew carries its losses in its footer (segment.h). So they become
 * durable together with the removal, by the same rename, and go wherever the segment's file goes:
 * into backups, through restores and cuts. Both positions are exact, what lies between them is not
 * said. The store decides what counts (store/scavenge_judge.c).
 *
 * Segments that were written anew by an earlier version, or by repair, don't know. What they have
 * lost is read off what is left: positions that are missing between entries belonged to any topic,
 * records that are missing in an entry to its own. That is more than was lost: markers and the
 * system's own records leave the same gaps.
 *
 * Sans-I/O but for ms_log_losses. One thread per object.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct ms_log;
struct ms_segment;

#define MS_LOSS_ANY_TOPIC 0u     /* no topic has this number */
#define MS_LOSS_TOPICS_MAX 4096u /* of one list; further ones count as any topic's */

struct ms_loss {
    uint32_t topic, zero;
    uint64_t first, last;
};
_Static_assert(sizeof(struct ms_loss) == 24, "losses are written to disk as they are");

struct ms_losses {
    struct ms_loss *items; /* by topic */
    size_t count, capacity;
};

void ms_losses_deinit(struct ms_losses *losses);
/* The topic has lost `first` and `last`, and perhaps what lies between. MS_ENOMEM. */
int ms_losses_note(struct ms_losses *losses, uint32_t topic, uint64_t first, uint64_t last)
    MS_MUST_CHECK;
/* MS_ENOMEM. */
int ms_losses_add(struct ms_losses *losses, const struct ms_losses *more) MS_MUST_CHECK;
/* Can a segment that begins there have this list? It may reach behind the segment's end: what is
 * removed with a pending batch is read at its commit. */
bool ms_losses_make_sense(const struct ms_losses *losses, uint64_t first_position);

/* Moves before readers can miss an event that was removed: whoever has read, and then finds it
 * where it was before he did, has missed nothing. */
uint64_t ms_log_losses_count(struct ms_log *log);
/* Adds those of all segments. Blocks for I/O, where a segment must be read for it (once).
 * MS_ENOMEM, MS_EIO, MS_ECORRUPT. */
int ms_log_losses(struct ms_log *log, struct ms_losses *losses, struct ms_error *err) MS_MUST_CHECK;
/* Of one segment, whether or not it knows yet. */
int ms_log_losses_of(struct ms_log *log, struct ms_segment *segment, struct ms_losses *losses,
                     struct ms_error *err) MS_MUST_CHECK;
