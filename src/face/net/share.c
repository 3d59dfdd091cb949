/* A share of memory; see share.h. */
#include "face/net/share.h"

bool ms_net_share_raise(struct ms_net_share *share, size_t *charged, size_t wanted, size_t limit) {
    if (wanted <= *charged)
        return true;
    size_t more = wanted - *charged;
    size_t used = atomic_load_explicit(&share->used, memory_order_relaxed);
    do {
        if (more > limit || used > limit - more)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&share->used, &used, used + more,
                                                    memory_order_relaxed, memory_order_relaxed));
    *charged = wanted;
    return true;
}

void ms_net_share_set(struct ms_net_share *share, size_t *charged, size_t bytes) {
    if (bytes > *charged)
        atomic_fetch_add_explicit(&share->used, bytes - *charged, memory_order_relaxed);
    else if (bytes < *charged)
        atomic_fetch_sub_explicit(&share->used, *charged - bytes, memory_order_relaxed);
    *charged = bytes;
}

size_t ms_net_share_used(const struct ms_net_share *share) {
    return atomic_load_explicit(&share->used, memory_order_relaxed);
}
