/*
 * Backup and restore.
 *
 * A backup is a data directory without index: FORMAT, the sealed segments (linked where the file
 * system can, copied otherwise), the newest segment up to what is durable, and MANIFEST.json:
 *
 *   {"mainstem_backup":1,"store":"<uuid>","log":"<uuid>","end":<position>,"created_at":"…",
 *    "files":[{"name":"00000000000000000000.log","bytes":n,"xxh3_128":"<hex>"},…]}
 *
 * It never holds erasure keys. A restore checks the manifest, copies, may cut at a position or a
 * time, and makes the copy another store (new uuid, same log), so that checkpoints of the old one
 * are never taken for its own. Blocks; any thread.
 */
#pragma once

#include "store/store.h"

struct ms_backup_result {
    uint64_t end; /* everything below this position is in it */
    uint64_t files, linked, bytes;
};
/* Of an open store, online. `dir` must not exist or be empty. on_progress returns whether to go on.
 * MS_EEXIST, MS_EINVAL (inside a store), MS_ENOSPC, MS_EIO, MS_EAGAIN (a scavenge is running),
 * MS_ECANCELED, MS_ENOMEM; what was begun is removed then. A backup without MANIFEST.json was not
 * finished. */
int ms_store_backup(struct ms_store *store, const char *dir,
                    bool (*on_progress)(void *context, uint64_t bytes_done, uint64_t bytes),
                    void *context, struct ms_backup_result *ret_result, struct ms_error *err)
    MS_MUST_CHECK;

enum ms_restore_to { MS_RESTORE_ALL, MS_RESTORE_TO_POSITION, MS_RESTORE_TO_TIME };
struct ms_restore_options {
    const struct ms_env *env; /* NULL: the system's */
    const char *backup, *dir; /* dir must not exist or be empty */
    enum ms_restore_to to;
    uint64_t position; /* the last event to be there, or the append before it: never half of one */
    int64_t time_ms;   /* what had been recorded by then */
    uint64_t segment_bytes; /* of the store the backup is of; 0 default */
    void (*on_progress)(void *context, uint64_t bytes_done, uint64_t bytes);
    void *context;
};
struct ms_restore_result {
    struct ms_uuid store_uuid;
    uint64_t end;
    uint64_t files, bytes;
};
/* MS_EEXIST, MS_EINVAL (inside a store; the backup does not reach the point), MS_ECORRUPT (names
 * the file that does not match the manifest), MS_ENOTFOUND (no manifest), MS_ENOSPC, MS_EIO,
 * MS_ENOMEM; what was begun is removed then. */
int ms_store_restore(const struct ms_restore_options *options, struct ms_restore_result *ret_result,
                     struct ms_error *err) MS_MUST_CHECK;
