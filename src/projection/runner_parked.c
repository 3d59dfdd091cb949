/* Events that a runner sets aside; see runner.h. The runner's thread. */
#include <stdio.h>

#include "base/alloc.h"
#include "projection/runner_internal.h"

#define PARKED_PER_LOOK 100u
#define RETRY_US 5000000 /* what a stream's parked events may take at a time */

/* ---- setting aside ---- */

static int64_t wall_ms(const struct ms_runner *runner) {
    return ms_clock_now_us(runner->options.env->clock) / 1000;
}

int ms_runner_park_behind(struct ms_runner *runner, const struct ms_read_event *event,
                          struct ms_error *err) {
    struct ms_parked parked = {
        .position = event->place.position,
        .stream = event->place.stream,
        .event_id = event->event.id,
        .event_type = event->event.type,
        .parked_at_ms = wall_ms(runner),
    };
    int code = ms_target_park(runner->target, &parked, err);
    if (code == 0)
        code = ms_parked_streams_add(&runner->parked, parked.stream);
    return code;
}

int ms_runner_park_poison(struct ms_runner *runner, struct ms_error *err) {
    struct ms_parked parked = runner->poison;
    struct ms_checkpoint to = {
        .position = parked.position + 1,
        .store = runner->last.store,
        .last = ms_checkpoint_hash(parked.event_id),
    };
    struct ms_error why = runner->failure;
    parked.error = ms_bytes_cstr(why.message);
    parked.parked_at_ms = wall_ms(runner);
    int code = ms_runner_begin(runner, err);
    if (code == 0) {
        code = ms_target_park(runner->target, &parked, err);
        if (code != 0)
            ms_target_rollback(runner->target);
        else
            code = ms_runner_commit(runner, &to, err);
    }
    if (code == 0)
        code = ms_parked_streams_add(&runner->parked, parked.stream);
    if (code != 0)
        return code;
    pthread_mutex_lock(&runner->lock);
    runner->status.error_position = parked.position;
    snprintf(runner->status.error, sizeof runner->status.error, "%s", why.message);
    runner->status.parked = runner->parked.events;
    pthread_mutex_unlock(&runner->lock);
    return 0;
}

/* ---- trying again ---- */

struct parked_list {
    uint64_t positions[PARKED_PER_LOOK];
    size_t count;
    struct ms_buf stream; /* of the last one */
};

static int take_parked(void *context, const struct ms_parked *parked) {
    struct parked_list *list = context;
    list->positions[list->count++] = parked->position;
    ms_buf_clear(&list->stream);
    return ms_buf_append_bytes(&list->stream, parked->stream);
}

static int look(struct ms_runner *runner, struct ms_bytes stream, struct parked_list *list,
                struct ms_error *err) {
    struct ms_target_reader *reader;
    list->count = 0;
    int code = ms_target_reader_new(runner->target, &reader, err);
    if (code != 0)
        return code;
    code = ms_target_parked(reader, stream, PARKED_PER_LOOK, take_parked, list, err);
    ms_target_reader_free(reader);
    return code;
}

struct trying {
    struct ms_runner *runner;
    struct ms_matcher *matcher;
    uint64_t position;
    bool found;
    int code;
    struct ms_error *err;
};

static int apply_again(void *context, const struct ms_read_event *event) {
    struct trying *trying = context;
    struct ms_runner *runner = trying->runner;
    struct ms_event_values values;
    struct ms_matcher_handlers handlers = ms_matcher_handlers(trying->matcher, event->event.type);
    if (event->place.position != trying->position)
        return 1; /* it was scavenged */
    trying->found = true;
    ms_event_values_init(&values, event);
    for (size_t i = 0; trying->code == 0 && i < handlers.count; i++)
        trying->code = ms_target_apply(runner->target, handlers.items[i], &values, trying->err);
    return 1;
}

/* One that was scavenged meanwhile has no effect any more, and is parked no longer. */
static int retry_one(struct ms_runner *runner, struct ms_matcher *matcher, uint64_t position,
                     struct ms_error *err) {
    struct trying trying = {.runner = runner, .matcher = matcher, .position = position, .err = err};
    struct ms_all_read read = {.from = position, .limit = 1};
    struct ms_all_read_result result;
    struct ms_checkpoint same = runner->target->checkpoint;
    int code = ms_runner_begin(runner, err);
    if (code != 0)
        return code;
    code = ms_store_read_all(runner->options.store, &read, apply_again, &trying, &result, err);
    if (code == 0)
        code = trying.code;
    if (code == 0)
        code = ms_target_unpark(runner->target, position, err);
    if (code != 0) {
        ms_target_rollback(runner->target);
        return code;
    }
    return ms_runner_commit(runner, &same, err);
}

static void count_down(struct ms_runner *runner) {
    pthread_mutex_lock(&runner->lock);
    runner->status.parked = --runner->parked.events;
    if (runner->parked.events == 0)
        runner->status.error[0] = '\0';
    pthread_mutex_unlock(&runner->lock);
}

/* The events of a stream, in order. */
struct retrying {
    struct ms_runner *runner;
    struct ms_matcher *matcher;
    struct parked_list list;
    int64_t until_us;
    struct ms_runner_outcome outcome;
    struct ms_error *err;
};

/* The event is to blame: said so, rather than what is wrong with whose request. */
static int blame(struct retrying *retrying, uint64_t position, int code) {
    if (!ms_runner_is_poison(code))
        return code;
    retrying->outcome.position = position;
    if (retrying->err != NULL)
        retrying->err->code = MS_ENOTAPPLIED;
    return MS_ENOTAPPLIED;
}

static int retry_list(struct retrying *retrying) {
    struct ms_runner *runner = retrying->runner;
    for (size_t i = 0; i < retrying->list.count; i++) {
        if (ms_runner_now_us(runner) >= retrying->until_us)
            return ms_error_set(retrying->err, MS_ETIMEOUT,
                                "there are more parked events of this stream: try again");
        uint64_t position = retrying->list.positions[i];
        int code = retry_one(runner, retrying->matcher, position, retrying->err);
        if (code != 0)
            return blame(retrying, position, code);
        retrying->outcome.applied++;
        count_down(runner);
    }
    return 0;
}

int ms_runner_retry_stream(struct ms_runner *runner, struct ms_bytes stream,
                           struct ms_runner_outcome *ret_outcome, struct ms_error *err) {
    struct retrying retrying = {
        .runner = runner, .until_us = ms_runner_now_us(runner) + RETRY_US, .err = err};
    ms_runner_reset(runner);
    int code = ms_matcher_new(runner->target->definition, &retrying.matcher);
    if (code != 0)
        return ms_error_set(err, code, "no memory to try parked events again");
    ms_buf_init(&retrying.list.stream, (size_t)1 << 16);
    do {
        code = look(runner, stream, &retrying.list, err);
        if (code == 0)
            code = retry_list(&retrying);
    } while (code == 0 && retrying.list.count > 0);
    ms_matcher_free(retrying.matcher);
    ms_buf_deinit(&retrying.list.stream);
    if (code == 0)
        ms_parked_streams_remove(&runner->parked, stream);
    *ret_outcome = retrying.outcome;
    return code;
}

struct wanted {
    uint64_t position;
    bool found;
    struct ms_buf stream;
};

static int find_wanted(void *context, const struct ms_parked *parked) {
    struct wanted *wanted = context;
    if (parked->position != wanted->position)
        return 0;
    wanted->found = true;
    return ms_buf_append_bytes(&wanted->stream, parked->stream) == 0 ? 1 : MS_ENOMEM;
}

static int find_parked(struct ms_runner *runner, struct wanted *wanted, struct ms_error *err) {
    struct ms_target_reader *reader;
    int code = ms_target_reader_new(runner->target, &reader, err);
    if (code != 0)
        return code;
    code = ms_target_parked(reader, (struct ms_bytes){0}, SIZE_MAX, find_wanted, wanted, err);
    ms_target_reader_free(reader);
    return code;
}

int ms_runner_skip_parked(struct ms_runner *runner, uint64_t position,
                          struct ms_runner_outcome *ret_outcome, struct ms_error *err) {
    struct wanted wanted = {.position = position};
    struct ms_checkpoint same = runner->target->checkpoint;
    ms_buf_init(&wanted.stream, (size_t)1 << 16);
    ms_runner_reset(runner);
    int code = find_parked(runner, &wanted, err);
    if (code == 0 && !wanted.found)
        code = ms_error_set(err, MS_ENOTFOUND, "no event is parked at position %llu",
                            (unsigned long long)position);
    if (code == 0)
        code = ms_runner_begin(runner, err);
    if (code == 0) {
        code = ms_target_unpark(runner->target, position, err);
        if (code != 0)
            ms_target_rollback(runner->target);
        else
            code = ms_runner_commit(runner, &same, err);
    }
    if (code == 0) {
        count_down(runner);
        code = ms_runner_retry_stream(runner, ms_buf_bytes(&wanted.stream), ret_outcome, err);
    }
    ms_buf_deinit(&wanted.stream);
    return code;
}
