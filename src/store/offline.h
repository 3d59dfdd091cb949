/*
 * A data directory that is looked into or mended without opening it as a store: for verify, inspect
 * and repair. One thread.
 */
#pragma once

#include "base/uuid.h"
#include "os/env.h"

struct ms_offline {
    const struct ms_env *env;
    const char *dir; /* borrowed */
    char shard[MS_PATH_MAX];
    struct ms_uuid store_uuid, log_uuid;
    bool format_lost; /* FORMAT is missing or damaged; log_uuid is what the blocks say */
    /* The index beside the log has seen events below it; 0: there is none, it can't be read, is of
     * another store, or another process has the directory open. */
    uint64_t known_end;
    bool in_use; /* another process has it open: its newest blocks may look unfinished */
    struct ms_file *lock;
};

/* `change`: takes the directory's lock until it is closed. MS_ENOTFOUND (no directory, or nothing
 * of a store in it), MS_ELOCKED (only with change), MS_EFORMAT, MS_EIO, MS_ENOMEM. */
int ms_offline_open(struct ms_offline *offline, const struct ms_env *env, const char *dir,
                    bool change, struct ms_error *err) MS_MUST_CHECK;
/* Writes FORMAT anew when it was lost: another store (a new uuid) on the same log, as after a
 * restore. */
int ms_offline_restore_format(struct ms_offline *offline, struct ms_error *err) MS_MUST_CHECK;
/* Moves the index aside, so that the store opens with what the log holds. MS_EIO. */
int ms_offline_discard_index(struct ms_offline *offline, struct ms_error *err) MS_MUST_CHECK;
void ms_offline_close(struct ms_offline *offline); /* takes a zeroed struct */
