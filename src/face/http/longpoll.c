/* Long polls; see longpoll.h. */
#include "face/http/longpoll.h"

#include "face/http/answer.h"
#include "face/http/loop.h"
#include "face/http/reads.h"
#include "face/http/server.h"

/* A filter that matches little is looked at in steps, so that no reader is held for long. */
#define STEPS_PER_JOB 16

enum step { STEP_ANSWERED, STEP_AGAIN, STEP_SLEEP };

struct ms_http_longpoll {
    int64_t until_us;
    enum step step; /* what the reader found */
    bool over;      /* the time is over: the next job answers */
    bool counted;   /* in the metrics' gauge */
};

/* ---- a reader's thread ---- */

static int subscribe(struct ms_http_request *request, struct ms_error *err) {
    struct ms_http_params *params = &request->params;
    struct ms_subscription_options options = {
        .stream = request->stream,
        .from_version = (int64_t)params->from,
        .from_position = params->from,
        .from_end = params->from_end,
        .filter = ms_http_read_filter(request),
        .wake = ms_http_request_wake,
        .context = request,
    };
    int code =
        ms_subscription_new(request->loop->http->store, &options, &request->subscription, err);
    if (code != 0 || !params->from_end)
        return code;
    /* "The end" is where it was now: the read that answers begins there. */
    params->from_end = false;
    params->from = request->stream.data
                       ? (uint64_t)ms_subscription_next_version(request->subscription)
                       : ms_subscription_next_position(request->subscription);
    return 0;
}

static int visit(void *context, const struct ms_read_event *event) {
    bool *found = context;
    (void)event;
    *found = true;
    return 1;
}

static enum step look(struct ms_http_request *request) {
    struct ms_error err = {0};
    bool found = false, caught_up = false;
    int code = request->subscription ? 0 : subscribe(request, &err);
    for (int i = 0; code == 0 && !found && !caught_up && i < STEPS_PER_JOB; i++)
        code = ms_subscription_poll(request->subscription, 1, visit, &found, &caught_up, &err);
    if (code != 0 && code != MS_ETOMBSTONED) {
        ms_http_answer_error(request, code, &err);
        return STEP_ANSWERED;
    }
    if (found || code == MS_ETOMBSTONED) {
        ms_http_read_page(request);
        return STEP_ANSWERED;
    }
    return caught_up ? STEP_SLEEP : STEP_AGAIN;
}

static void run_look(struct ms_http_request *request) { request->longpoll->step = look(request); }

/* ---- the loop ---- */

static void resumed(struct ms_http_request *request);

static void set_counted(struct ms_http_request *request, bool counted) {
    struct ms_http_longpoll *longpoll = request->longpoll;
    if (longpoll->counted == counted)
        return;
    longpoll->counted = counted;
    atomic_fetch_add_explicit(&request->loop->metrics.long_polls, counted ? 1 : -1,
                              memory_order_relaxed);
}

/* What was slept through is no work. */
static void wake_up(struct ms_http_request *request) {
    set_counted(request, false);
    if (request->state == MS_HTTP_ARMED)
        request->started_us += request->loop->now_us - request->armed_us;
}

static void woken(struct ms_http_request *request) {
    wake_up(request);
    ms_http_request_submit(request, run_look, resumed);
}

static void time_over(struct ms_http_request *request) {
    wake_up(request);
    ms_http_request_submit(request, ms_http_read_page, ms_http_read_resumed);
}

static void resumed(struct ms_http_request *request) {
    struct ms_http_longpoll *longpoll = request->longpoll;
    bool over =
        longpoll->over || request->loop->stopping || request->loop->now_us >= longpoll->until_us;
    if (longpoll->step == STEP_ANSWERED) {
        ms_http_read_resumed(request);
    } else if (over) {
        time_over(request);
    } else if (longpoll->step == STEP_AGAIN) {
        ms_http_request_submit(request, run_look, resumed);
    } else {
        set_counted(request, true);
        ms_net_share_set(&request->loop->http->budget.answers, &request->answer_charged, 0);
        ms_http_request_arm(request, woken);
    }
}

void ms_http_longpoll_start(struct ms_http_request *request) {
    request->longpoll = ms_arena_zalloc(&request->arena, sizeof *request->longpoll);
    if (!request->longpoll) {
        ms_http_answer_error(request, MS_ENOMEM, NULL);
        ms_http_request_done(request);
        return;
    }
    request->longpoll->until_us = request->loop->now_us + request->params.wait_ms * 1000;
    ms_http_request_submit(request, run_look, resumed);
}

void ms_http_longpoll_tick(struct ms_http_request *request) {
    if (request->longpoll && request->state == MS_HTTP_ARMED &&
        request->loop->now_us >= request->longpoll->until_us)
        time_over(request);
}

void ms_http_longpoll_end(struct ms_http_request *request) {
    if (!request->longpoll)
        return;
    request->longpoll->over = true;
    if (request->state == MS_HTTP_ARMED)
        time_over(request);
}

void ms_http_longpoll_forget(struct ms_http_request *request) {
    if (request->longpoll)
        set_counted(request, false);
}
