/* The budget of memory; see budget.h. */
#include "face/http/budget.h"

#include "base/alloc.h"

/* Less than this isn't worth a trim; and no more than one in this time. */
#define TRIM_BYTES ((size_t)8 * 1024 * 1024)
#define TRIM_INTERVAL_US 2000000

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

struct ms_http_budget_limits ms_http_budget_divide(size_t whole, size_t body_max) {
    size_t small = whole / 16;
    size_t body = smaller(body_max, whole / 4 * 3);
    size_t bodies = whole / 2 > body + small ? whole / 2 : body + small;
    size_t answers = whole - bodies;
    return (struct ms_http_budget_limits){
        .body = body,
        .bodies = bodies - small,
        .small_bodies = bodies,
        .large_batches = answers / 2,
        .events = answers / 4 * 3,
        .small_batches = answers / 8 * 7,
        .large_pages = answers / 8 * 7,
        .pages = answers,
    };
}

size_t ms_http_budget_used(const struct ms_http_budget *budget) {
    return ms_net_share_used(&budget->bodies) + ms_net_share_used(&budget->answers);
}

bool ms_http_budget_trim(struct ms_http_budget *budget, int64_t now_us) {
    size_t used = ms_http_budget_used(budget);
    size_t peak = atomic_load_explicit(&budget->peak, memory_order_relaxed);
    if (used > peak) {
        atomic_store_explicit(&budget->peak, used, memory_order_relaxed);
        return false;
    }
    if (peak - used < TRIM_BYTES)
        return false;
    int64_t trimmed_us = atomic_load_explicit(&budget->trimmed_us, memory_order_relaxed);
    if (trimmed_us && now_us - trimmed_us < TRIM_INTERVAL_US)
        return true;
    /* One of the loops does it. */
    if (!atomic_compare_exchange_strong(&budget->trimmed_us, &trimmed_us, now_us))
        return true;
    atomic_store_explicit(&budget->peak, used, memory_order_relaxed);
    ms_alloc_trim();
    return false;
}
