/*
 * A share of a face's memory: what many holders have of it, as one number.
 *
 * A holder keeps what it has taken in a `charged` of its own, always of the same share. It may be
 * refused to raise it, or say what is there whatever the whole is. Any thread; one thread at a time
 * per holder.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct ms_net_share {
    atomic_size_t used;
};

/* Raises what the holder has charged to `wanted`; false, and nothing changed, when the share would
 * be used beyond `limit`. */
bool ms_net_share_raise(struct ms_net_share *share, size_t *charged, size_t wanted, size_t limit);
/* Sets it whatever the whole is: what is there is there. */
void ms_net_share_set(struct ms_net_share *share, size_t *charged, size_t bytes);
size_t ms_net_share_used(const struct ms_net_share *share);
