/*
 * Administration: what takes minutes and must not hold up a reader. Backups run one at a time on a
 * thread of their own and are answered when they are done; a scavenge runs in the background and is
 * asked about. Stopping ends both early. Any thread.
 */
#pragma once

#include "face/net/readers.h"
#include "store/store.h"

struct ms_http_admin {
    struct ms_store *store;
    struct ms_clock *clock;
    struct ms_net_readers backups; /* one thread, started by the first backup */
    atomic_bool stop;
    pthread_mutex_t mutex; /* guards what follows; a leaf */
    bool has_backups;
    pthread_t thread;
    bool has_thread, running;
    struct ms_scavenge_options options;
    uint64_t done, segments;
    int64_t started_ms, finished_ms; /* 0: never */
    int code;
    struct ms_error error;
    struct ms_scavenge_result last;
};

void ms_http_admin_init(struct ms_http_admin *admin, struct ms_store *store,
                        struct ms_clock *clock);
/* What runs is to end soon; nothing begins any more. */
void ms_http_admin_stop(struct ms_http_admin *admin);
/* After the loops have ended. Waits for what runs. */
void ms_http_admin_deinit(struct ms_http_admin *admin);
