/* Batches of a runner; see runner.h. The runner's thread. */
#include "base/alloc.h"
#include "projection/runner_internal.h"

#define BATCH_EVENTS 20000u
#define BATCH_US 200000
#define CLOCK_EVENTS 64u /* of a batch between two looks at the clock */
#define UNNEEDED_MAX                                                                               \
    1000000u /* positions behind the stored checkpoint that nothing was needed of */

bool ms_runner_is_poison(int code) {
    return code == MS_EINVAL || code == MS_ETIMEOUT || code == MS_ETOOBIG ||
           code == MS_EUNSUPPORTED;
}

void ms_runner_reset(struct ms_runner *runner) {
    if (runner->open)
        ms_target_rollback(runner->target);
    runner->open = false;
    runner->in_batch = 0;
    runner->moved = false;
    runner->parked_is_old = true;
    ms_feed_free(runner->feed);
    runner->feed = NULL;
}

/* ---- transactions ---- */

int ms_runner_begin(struct ms_runner *runner, struct ms_error *err) {
    struct ms_target *target = runner->target;
    int code = ms_target_begin(target, err);
    if (code != 0 || target->checkpoint.generation == runner->generation)
        return code;
    ms_target_rollback(target);
    runner->generation = target->checkpoint.generation;
    runner->moved = true;
    return ms_error_set(err, MS_EAGAIN, "the projection's checkpoint is not where it was left");
}

int ms_runner_commit(struct ms_runner *runner, const struct ms_checkpoint *to,
                     struct ms_error *err) {
    int code = ms_target_commit(runner->target, to, err);
    if (code == 0)
        runner->generation = runner->target->checkpoint.generation;
    return code;
}

/* ---- one event ---- */

static int copy_text(struct ms_buf *to, struct ms_bytes from, struct ms_bytes *ret_copy) {
    size_t at = to->len;
    if (ms_buf_append_bytes(to, from) != 0)
        return MS_ENOMEM;
    *ret_copy = ms_bytes_of(to->data + at, from.len);
    return 0;
}

/* What is known of the event whose statements failed; without memory for it, less. */
static void note_poison(struct ms_runner *runner, const struct ms_read_event *event) {
    struct ms_parked *poison = &runner->poison;
    struct ms_buf *text = &runner->poison_text;
    size_t len = event->place.stream.len + event->event.id.len + event->event.type.len;
    *poison = (struct ms_parked){.position = event->place.position};
    ms_buf_clear(text);
    if (ms_buf_reserve(text, len) != 0)
        return;
    if (copy_text(text, event->place.stream, &poison->stream) != 0 ||
        copy_text(text, event->event.id, &poison->event_id) != 0 ||
        copy_text(text, event->event.type, &poison->event_type) != 0)
        *poison = (struct ms_parked){.position = event->place.position};
}

static int begin_if_needed(struct ms_runner *runner) {
    if (runner->open)
        return 0;
    int code = ms_runner_begin(runner, &runner->failure);
    runner->open = code == 0;
    runner->batch_us = ms_runner_now_us(runner);
    return code;
}

static int apply_handlers(struct ms_runner *runner, const struct ms_read_event *event,
                          struct ms_matcher_handlers handlers) {
    struct ms_event_values values;
    int code = 0;
    ms_event_values_init(&values, event);
    for (size_t i = 0; code == 0 && i < handlers.count; i++)
        code = ms_target_apply(runner->target, handlers.items[i], &values, &runner->failure);
    return code;
}

static bool is_batch_due(struct ms_runner *runner) {
    if (runner->alone)
        return true;
    return runner->in_batch % CLOCK_EVENTS == 0 &&
           ms_runner_now_us(runner) - runner->batch_us >= BATCH_US;
}

static int visit(void *context, const struct ms_read_event *event,
                 struct ms_matcher_handlers handlers) {
    struct ms_runner *runner = context;
    bool skipped = runner->skips && event->place.position == runner->skip_position;
    runner->alone = runner->careful && event->place.position >= runner->careful_begin;
    runner->cut = runner->alone && runner->in_batch > 0;
    if (runner->cut)
        return MS_ECANCELED; /* the next batch begins with it */
    int code = begin_if_needed(runner);
    if (runner->alone)
        note_poison(runner, event);
    if (code == 0 && !skipped)
        code = ms_parked_streams_has(&runner->parked, event->place.stream)
                   ? ms_runner_park_behind(runner, event, &runner->failure)
                   : apply_handlers(runner, event, handlers);
    if (code != 0) {
        note_poison(runner, event);
        runner->cause = code;
        return code;
    }
    runner->in_batch++;
    runner->last.position = event->place.position + 1;
    runner->last.last = ms_checkpoint_hash(event->event.id);
    runner->last_event_ms = event->event.timestamp_ms;
    return is_batch_due(runner);
}

/* ---- one batch ---- */

static void publish_progress(struct ms_runner *runner, uint64_t position, uint64_t events) {
    pthread_mutex_lock(&runner->lock);
    if (position > runner->status.position || events > 0)
        runner->status.progress_us = ms_runner_now_us(runner);
    runner->status.position = position;
    runner->status.applied += events;
    runner->status.parked = runner->parked.events;
    if (events > 0)
        runner->status.event_ms = runner->last_event_ms;
    pthread_mutex_unlock(&runner->lock);
    ms_position_waiters_move(&runner->waiters, position);
}

static int commit(struct ms_runner *runner) {
    struct ms_checkpoint to = runner->last;
    uint64_t events = runner->in_batch;
    runner->unneeded = false;
    runner->open = false;
    runner->in_batch = 0;
    int code = ms_runner_commit(runner, &to, &runner->failure);
    if (code == 0)
        publish_progress(runner, ms_feed_next(runner->feed), events);
    return code;
}

/* Nothing was needed. A restart need not look at all of that again. */
static int pass_by(struct ms_runner *runner) {
    uint64_t next = ms_feed_next(runner->feed);
    struct ms_checkpoint to;
    int code = 0;
    runner->unneeded = next > runner->status.position;
    if (next > runner->target->checkpoint.position + UNNEEDED_MAX || runner->target->fresh) {
        code = ms_checkpoint_before(runner->options.store, next, &to, &runner->failure);
        if (code == 0)
            code = ms_runner_begin(runner, &runner->failure);
        if (code == 0)
            code = ms_runner_commit(runner, &to, &runner->failure);
    }
    if (code == 0)
        publish_progress(runner, next, 0);
    return code;
}

void ms_runner_leave(struct ms_runner *runner) {
    struct ms_target *target = runner->target;
    struct ms_checkpoint to;
    bool rests = runner->status.state == MS_RUNNER_LIVE || runner->paused;
    if (!rests || runner->open || runner->feed == NULL ||
        ms_feed_next(runner->feed) <= target->checkpoint.position)
        return;
    int code = ms_checkpoint_before(runner->options.store, ms_feed_next(runner->feed), &to, NULL);
    if (code == 0 && to.position > target->checkpoint.position &&
        ms_runner_begin(runner, NULL) == 0)
        ms_ignore(ms_runner_commit(runner, &to, NULL));
}

/* ---- what is missing ---- */

/* What was read from `from` on may lack what was removed meanwhile. What was removed before it, the
 * tables have. False: it does not go on, or the question failed (`failure`). */
static bool is_all_there(struct ms_runner *runner, uint64_t from, enum ms_runner_step *ret_step) {
    struct ms_store *store = runner->options.store;
    struct ms_missing missing;
    uint64_t losses = ms_store_losses(store);
    if (losses == runner->losses_seen)
        return true;
    *ret_step = MS_RUNNER_BROKEN;
    if (ms_missing_find(store, runner->target->definition, from, UINT64_MAX, &missing,
                        &runner->failure) != 0)
        return false;
    bool goes_on = !missing.any || runner->allow_incomplete;
    pthread_mutex_lock(&runner->lock);
    ms_missing_join(goes_on ? &runner->status.missing : &runner->status.ahead, &missing);
    pthread_mutex_unlock(&runner->lock);
    *ret_step = MS_RUNNER_LACKING;
    if (goes_on)
        runner->losses_seen = losses;
    return goes_on;
}

static int open_feed(struct ms_runner *runner) {
    if (runner->feed != NULL)
        return 0;
    if (runner->parked_is_old) {
        int code = ms_parked_streams_load(&runner->parked, runner->target, &runner->failure);
        if (code != 0)
            return code;
        runner->parked_is_old = false;
    }
    uint64_t from = runner->target->checkpoint.position;
    ms_position_waiters_move(&runner->waiters, from);
    return ms_feed_new(runner->options.store, runner->target->definition, from, ms_runner_wake,
                       runner, &runner->feed, &runner->failure);
}

/* The same stretch again, event by event, or only the one that the database has named. */
static enum ms_runner_step look_closer(struct ms_runner *runner, uint64_t end) {
    uint64_t refused = runner->target->refused;
    bool is_known = refused < end;
    runner->careful = true;
    runner->careful_begin = is_known ? refused : 0;
    runner->careful_end = is_known ? refused + 1 : end;
    ms_runner_reset(runner);
    return MS_RUNNER_MORE;
}

static enum ms_runner_step failed(struct ms_runner *runner, int code, uint64_t reached) {
    if (runner->moved) {
        ms_runner_reset(runner);
        return MS_RUNNER_MORE;
    }
    if (!ms_runner_is_poison(code)) {
        ms_runner_reset(runner);
        runner->failure.code = code;
        return MS_RUNNER_BROKEN;
    }
    if (!runner->alone)
        return look_closer(runner, reached + 1);
    ms_runner_reset(runner);
    bool fills = !runner->options.live && !runner->status.caught_up;
    bool parks = runner->options.parks && !fills;
    if (!parks)
        return MS_RUNNER_POISONED;
    code = ms_runner_park_poison(runner, &runner->failure);
    return code == 0 ? MS_RUNNER_MORE : MS_RUNNER_BROKEN;
}

enum ms_runner_step ms_runner_batch(struct ms_runner *runner) {
    bool caught_up = false;
    struct ms_error err = {0};
    runner->cause = 0;
    runner->alone = runner->cut = false;
    runner->target->refused = MS_TARGET_REFUSED_UNKNOWN;
    int code = open_feed(runner);
    if (code != 0)
        return MS_RUNNER_BROKEN;
    enum ms_runner_step step;
    uint64_t from = ms_feed_next(runner->feed);
    code = ms_feed_poll(runner->feed, BATCH_EVENTS, visit, runner, &caught_up, &err);
    if (!is_all_there(runner, from, &step)) {
        ms_runner_reset(runner);
        return step;
    }
    if (runner->cut) {
        code = 0;
        caught_up = runner->alone = false;
    }
    if (code != 0 && runner->cause == 0) { /* the log's */
        runner->failure = err;
        ms_runner_reset(runner);
        return MS_RUNNER_BROKEN;
    }
    if (code != 0)
        return failed(runner, runner->cause, runner->poison.position);
    code = runner->open ? commit(runner) : pass_by(runner);
    if (code != 0)
        return failed(runner, code, ms_feed_next(runner->feed) - 1);
    runner->pause_ms = 0;
    if (runner->careful && ms_feed_next(runner->feed) >= runner->careful_end)
        runner->careful = runner->skips = false;
    return caught_up ? MS_RUNNER_CAUGHT_UP : MS_RUNNER_MORE;
}
