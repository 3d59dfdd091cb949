/*
 * A log in a simulated world, driven by hand (no threads), and what it must hold.
 *
 * An append here is one ticket with one or more entries; each record's value is a text made of the
 * append's number, so that whoever reads can tell what it should be. The world remembers every
 * append and how it was answered, and log_world_check compares: acknowledged appends are there,
 * refused ones are not, one whose outcome is unknown is there whole or not at all.
 */
#pragma once

#include "log/internal.h"
#include "support/world.h"

struct log_append {
    struct ms_log_ticket ticket; /* first: the callback finds the append by it */
    struct log_world *world;
    uint64_t number;
    uint32_t entries, records; /* records of each entry */
    size_t value_len;
    uint64_t position;
    int status; /* valid when answered */
    unsigned answers;
    unsigned order; /* of the answer */
    bool sequenced;
    bool seen;   /* by a reader after a recovery: it must stay */
    bool absent; /* found missing after a recovery: it must not come back */
};

#define LOG_WORLD_APPENDS_MAX 4096u

struct log_world {
    struct world world;
    struct ms_log_options options;
    struct ms_log *log;
    struct ms_error error;
    struct log_append *appends; /* LOG_WORLD_APPENDS_MAX of them */
    size_t count;
    unsigned answered;
    unsigned failures; /* on_failure calls */
    unsigned visible_calls;
    uint64_t fail_alloc; /* the n-th allocation of the log's next call fails; 0 none */
    bool alloc_failed;   /* and it came to that */
    uint64_t visible_end;
};

#define LOG_WORLD_DIR "shard"

/* Segments of 1 MiB, appends of up to 256 KiB, a tail cache of 64 KiB. */
void log_world_init(struct log_world *w, uint64_t seed);
/* Closes the log when it is open. */
void log_world_deinit(struct log_world *w);
int log_world_open(struct log_world *w);
int log_world_close(struct log_world *w);
/* As if the process had died: no clean mark. */
void log_world_abandon(struct log_world *w);

/* Sequences an append; nothing is durable before ms_log_run. A refusal is remembered as such. */
int log_world_put(struct log_world *w, uint32_t entries, uint32_t records, size_t value_len,
                  bool reserved);
/* One entry with one record, committed. */
int log_world_append(struct log_world *w, size_t value_len);
/* The batch of an append's entry, appended to *out. */
void log_world_batch(uint64_t number, uint32_t entry, uint32_t records, size_t value_len,
                     struct ms_buf *out);

/* Reads everything and compares; NULL when all is well, else what is wrong. Marks what it saw. */
const char *log_world_check(struct log_world *w);

/* The path of the segment that begins at a position. */
const char *log_world_segment(uint64_t first_position, char out[64]);
