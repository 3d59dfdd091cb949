/* Which streams have parked events, so that later ones queue behind them. One thread. */
#pragma once

#include "projection/target.h"

struct ms_parked_streams {
    struct ms_hash128 *items; /* of names, sorted */
    size_t count, capacity;
    uint64_t events; /* parked, of all of them */
};

void ms_parked_streams_deinit(struct ms_parked_streams *streams);
/* From the target. */
int ms_parked_streams_load(struct ms_parked_streams *streams, struct ms_target *target,
                           struct ms_error *err) MS_MUST_CHECK;
bool ms_parked_streams_has(const struct ms_parked_streams *streams, struct ms_bytes stream);
/* An event of the stream was parked. MS_ENOMEM. */
int ms_parked_streams_add(struct ms_parked_streams *streams, struct ms_bytes stream) MS_MUST_CHECK;
/* The stream's last one isn't any more. */
void ms_parked_streams_remove(struct ms_parked_streams *streams, struct ms_bytes stream);
