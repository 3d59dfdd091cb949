/*
 * Events and objects for people or as JSON lines, and the progress of long work. One thread.
 *
 *   event for people   order-123@4  order.created  2026-11-23T10:52:54.123Z  {"total":1}
 *   object for people  name: value, one a line, nested names joined with '.'
 *   table for people   headings, and a line for each of several objects (table.c)
 *
 * Text for a terminal has its control characters replaced, so that no event can talk to it.
 */
#pragma once

#include "cli/command.h"
#include "wire/json.h"

struct ms_output {
    FILE *file;
    bool json;
    bool exact; /* JSON lines: data that spans lines is written as data_base64, unchanged */
    struct ms_arena arena; /* of one event */
    struct ms_buf line;
};
void ms_output_init(struct ms_output *output, const struct ms_invocation *invocation);
void ms_output_deinit(struct ms_output *output);

/* One event, given as a JSON object. MS_EIO when the output can't be written. */
int ms_output_event(struct ms_output *output, struct ms_bytes event) MS_MUST_CHECK;
/* One object: as it is on one line, or as names and values. `title` (NULL: none) stands above. */
int ms_output_object(struct ms_output *output, struct ms_bytes object, const char *title)
    MS_MUST_CHECK;

/* A table of JSON objects for people: a line of headings, and a line for each element of `rows`. */
struct ms_output_column {
    const char *name; /* of the objects' member; null and missing ones are shown as - */
    const char *heading;
    bool right; /* numbers */
    /* Appends what is shown of a value that is neither text nor number; may be NULL. */
    int (*show)(struct ms_output *output, struct ms_buf *out, struct ms_json_value value);
};
#define MS_OUTPUT_COLUMNS_MAX 64
int ms_output_table(struct ms_output *output, struct ms_json_value rows,
                    const struct ms_output_column *columns, size_t column_count) MS_MUST_CHECK;
/* Text for a terminal: control characters become '.'; at most `max` bytes. */
int ms_output_shown(struct ms_buf *out, struct ms_bytes text, size_t max) MS_MUST_CHECK;

/* A stream's name as everybody shows it, whatever its spelling on the command line; in the arena or
 * `given` itself. */
struct ms_bytes ms_shown_stream(const char *given, struct ms_arena *arena);

/* Appends JSON text on one line: line breaks, which can only stand between its tokens, become
 * spaces. */
int ms_json_on_one_line(struct ms_buf *out, struct ms_bytes json) MS_MUST_CHECK;

/* Progress on a terminal: a line that is drawn anew five times a second at most. */
struct ms_progress {
    FILE *file; /* NULL: no terminal, nothing is shown */
    struct ms_clock *clock;
    const char *what;
    int64_t began_us, shown_us;
};
void ms_progress_begin(struct ms_progress *progress, const struct ms_cli *cli, const char *what);
/* `total` 0: not known. */
void ms_progress_update(struct ms_progress *progress, uint64_t events, uint64_t bytes,
                        uint64_t total_bytes);
void ms_progress_bytes(struct ms_progress *progress, uint64_t bytes, uint64_t total_bytes);
/* Parts of anything: "scavenged 3 of 9 segments". */
void ms_progress_parts(struct ms_progress *progress, uint64_t done, uint64_t total,
                       const char *parts);
/* Of positions: "filling 1200 of 4800, 25%, 400/s". */
void ms_progress_positions(struct ms_progress *progress, uint64_t position, uint64_t end,
                           double rate);
void ms_progress_end(struct ms_progress *progress); /* takes the line away */
/* Since begin; at least a microsecond. */
double ms_progress_seconds(const struct ms_progress *progress);
