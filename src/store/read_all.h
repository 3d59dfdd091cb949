/*
 * One read of everything, between its files. Not for anyone outside this directory.
 *
 *   read_all.c      from a position over the log, entry by entry
 *   read_indexed.c  only the entries that the index names
 *
 * Blocks for I/O. Any thread.
 */
#pragma once

#include "store/internal.h"

/* Of a filter with more topics than that the log is walked, and each event is asked. */
#define MS_ALL_TOPICS_MAX 64u

struct ms_all_reading {
    struct ms_store *store;
    const struct ms_all_read *read;
    bool by_topic; /* no events but these topics' are wanted: */
    const struct ms_topic *topics[MS_ALL_TOPICS_MAX];
    size_t topic_count;
    uint64_t next;      /* forward: first position not yet considered; backward: the newest such */
    uint64_t from, end; /* positions considered at all: from <= p < end */
    size_t delivered, considered;
    bool stopped, at_end;
    ms_read_fn *visit;
    void *context;
    struct ms_log_cursor cursor;
    struct ms_entry_reader events;
};

/* ---- read_all.c ---- */

int ms_all_read_entry(struct ms_all_reading *reading, const struct ms_log_entry *entry,
                      struct ms_error *err) MS_MUST_CHECK;
/* Over the log from reading->next to `end`, or back to `from`. */
int ms_all_walk_forward(struct ms_all_reading *reading, uint64_t end, struct ms_error *err)
    MS_MUST_CHECK;
int ms_all_walk_backward(struct ms_all_reading *reading, uint64_t from, struct ms_error *err)
    MS_MUST_CHECK;

/* ---- read_indexed.c ---- */

/* Does the index know where the matches are? */
bool ms_indexed_can(const struct ms_all_reading *reading);
int ms_indexed_forward(struct ms_all_reading *reading, struct ms_error *err) MS_MUST_CHECK;
int ms_indexed_backward(struct ms_all_reading *reading, struct ms_error *err) MS_MUST_CHECK;
/* With a correlation id: also the event that began the tree, which usually carries none. It is
 * looked for in a stretch of the log before its first effect. */
int ms_indexed_tree(struct ms_all_reading *reading, struct ms_error *err) MS_MUST_CHECK;
