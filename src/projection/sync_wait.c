/* Waiting for projections of mode sync; see sync_wait.h. */
#include "projection/sync_wait.h"

#define PROJECTIONS_MAX 16u

struct ms_sync_wait {
    struct ms_version *versions[PROJECTIONS_MAX]; /* held */
    struct ms_position_waiter waiters[PROJECTIONS_MAX];
    size_t count;
};

static struct ms_position_waiters *waiters_of(const struct ms_sync_wait *wait, size_t i) {
    return ms_runner_waiters(ms_version_runner(wait->versions[i]));
}

static void release(struct ms_version **versions, size_t count) {
    for (size_t i = 0; i < count; i++)
        ms_version_release(versions[i]);
}

struct ms_sync_wait *ms_sync_wait_begin(struct ms_projections *projections,
                                        const struct ms_bytes *topics, size_t topic_count,
                                        uint64_t position, struct ms_arena *arena,
                                        void (*wake)(void *context), void *context) {
    struct ms_version *versions[PROJECTIONS_MAX];
    if (!ms_projections_any_sync(projections))
        return NULL;
    size_t count = ms_projections_sync(projections, topics, topic_count, versions, PROJECTIONS_MAX);
    struct ms_sync_wait *wait = count > 0 ? ms_arena_zalloc(arena, sizeof *wait) : NULL;
    if (wait == NULL) {
        release(versions, count);
        return NULL;
    }
    wait->count = count;
    for (size_t i = 0; i < count; i++) {
        wait->versions[i] = versions[i];
        wait->waiters[i] =
            (struct ms_position_waiter){.position = position, .wake = wake, .context = context};
        (void)ms_position_waiters_add(waiters_of(wait, i), &wait->waiters[i]);
    }
    return wait;
}

static bool has_applied(const struct ms_sync_wait *wait, size_t i, uint64_t *ret_next) {
    *ret_next = ms_position_waiters_applied(waiters_of(wait, i));
    return *ret_next > wait->waiters[i].position;
}

bool ms_sync_wait_is_over(const struct ms_sync_wait *wait) {
    uint64_t next;
    for (size_t i = 0; i < wait->count; i++)
        if (!has_applied(wait, i, &next) && !ms_version_is_retired(wait->versions[i]))
            return false;
    return true;
}

void ms_sync_wait_end(struct ms_sync_wait *wait, ms_sync_pending_fn *pending, void *context) {
    uint64_t next;
    for (size_t i = 0; i < wait->count; i++) {
        if (has_applied(wait, i, &next))
            continue;
        ms_version_note_pending(wait->versions[i]);
        if (pending != NULL)
            pending(context, ms_version_definition(wait->versions[i])->name, (int64_t)next - 1);
    }
    ms_sync_wait_forget(wait);
}

void ms_sync_wait_forget(struct ms_sync_wait *wait) {
    if (wait == NULL)
        return;
    for (size_t i = 0; i < wait->count; i++)
        ms_position_waiters_remove(waiters_of(wait, i), &wait->waiters[i]);
    release(wait->versions, wait->count);
    wait->count = 0;
}
