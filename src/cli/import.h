/*
 * Importing events: lines of JSON into batched, atomic appends to several streams, many in flight.
 *
 * A line is an object with the field "stream" and the fields of an event. What `mainstem export`
 * writes can be read back: fields that are the server's to give (topic, partition, offset, version,
 * position, recorded_at) are dropped. Event ids are kept; a line without one gets an id made from
 * its number and its text, so that importing the same file again adds nothing.
 *
 * Promises: the events of one stream keep the order of their lines. Between streams the order is
 * kept from batch to batch where the target keeps the order of appends. The first error ends the
 * import and names its lines; what was appended before stays.
 *
 * One thread.
 */
#pragma once

#include "cli/line_reader.h"
#include "cli/output.h"
#include "cli/target.h"

#define MS_IMPORT_BATCH_EVENTS_MAX 10000
#define MS_IMPORT_BATCH_EVENTS_DEFAULT 500
#define MS_IMPORT_IN_FLIGHT_DEFAULT 4

struct ms_import_options {
    size_t batch_events; /* 1..MS_IMPORT_BATCH_EVENTS_MAX */
    size_t batch_bytes;  /* a batch ends here; it holds at least one event */
    unsigned in_flight;  /* 1..MS_TARGET_IN_FLIGHT_MAX */
    struct ms_event_limits limits;
};
void ms_import_options_init(struct ms_import_options *options);

struct ms_import_result {
    uint64_t events;   /* acknowledged */
    uint64_t repeated; /* of them, those that were there already */
    uint64_t appends;
};

/* Reads to the end. *ret_result is written in any case. MS_EINVAL names the line; the errors of
 * reading lines and of appending. */
int ms_import_run(struct ms_target *target, struct ms_line_reader *reader,
                  const struct ms_import_options *options, struct ms_progress *progress,
                  struct ms_import_result *ret_result, struct ms_error *err) MS_MUST_CHECK;

/* ---- one line (import_line.c) ---- */

/* Appends the event to *event, without the fields that are not an event's, and with an id. The
 * stream lives in the line or the arena. MS_EINVAL, MS_ETOOBIG; *err does not name the line. */
int ms_import_line(struct ms_bytes line, uint64_t number, const struct ms_event_limits *limits,
                   struct ms_arena *arena, struct ms_buf *event, struct ms_bytes *ret_stream,
                   struct ms_error *err) MS_MUST_CHECK;

/* ---- batches (import_batch.c) ---- */

struct ms_import_entry {
    uint32_t part;
    struct ms_bytes event;
};
struct ms_import_batch {
    bool in_flight;
    struct ms_arena arena;        /* of names and events */
    struct ms_target_part *parts; /* one per stream, `capacity` places */
    struct ms_import_entry *entries;
    struct ms_bytes *events; /* of the parts, once arranged */
    uint32_t *table;         /* open hash table: part number + 1, 0 = free */
    size_t part_count, entry_count, capacity, table_size;
    size_t bytes;
    uint64_t first_line, last_line;
    void *owner;
};
int ms_import_batch_init(struct ms_import_batch *batch, size_t capacity, size_t bytes_max)
    MS_MUST_CHECK;
void ms_import_batch_deinit(struct ms_import_batch *batch); /* takes a zeroed struct */
void ms_import_batch_clear(struct ms_import_batch *batch);
/* Copies the event in. There must be room: entry_count < capacity. MS_ENOMEM. */
int ms_import_batch_add(struct ms_import_batch *batch, struct ms_bytes stream,
                        struct ms_bytes event, uint64_t line) MS_MUST_CHECK;
bool ms_import_batch_has(const struct ms_import_batch *batch, struct ms_bytes stream);
/* Gathers each stream's events, in the order in which they were added. */
struct ms_target_append ms_import_batch_arrange(struct ms_import_batch *batch);
