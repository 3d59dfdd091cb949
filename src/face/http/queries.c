/*
 * Queries of projections: read models, asked over HTTP.
 *
 *   GET /v1/queries/{projection}/{query}?status=PAID    [{"order_id":"1","status":"PAID"},…]
 *
 *   min_position, min_version,      waits until that is applied, or until `timeout` is over: 504
 *   max_staleness, the header       with the position that was reached
 *   Mainstem-Min-Position
 *   as_of, known_at                 the answer as of the past (projection/travel.h), also when …
 *   allow_incomplete                … events up to there were scavenged
 *   page_rows, page_skip            pages; Link: <…>; rel="next"
 *   Accept: application/x-ndjson    one row per line
 *   Accept: text/event-stream       a live query: the rows, and again whenever they have changed
 *
 * Headers: Mainstem-Position, the last position that the answer reflects (left out when there is
 * none), and Mainstem-Projection: name@version.
 *
 *   start ──(min_version: a reader finds its position)──> wait for the projection ──> a reader asks
 *              loop                                        armed                      ──> answer
 */
#include "face/http/queries.h"

#include <stdio.h>

#include "face/http/answer.h"
#include "face/http/handlers.h"
#include "face/http/loop.h"
#include "face/http/query_params.h"
#include "face/http/reads.h"
#include "face/http/rows.h"
#include "face/http/server.h"
#include "face/http/sse.h"

#define ANSWER_BYTES_MAX ((size_t)32 << 20)
#define VALUE_BYTES_MAX ((size_t)16 << 20)
#define RUN_MS_MAX 60000
#define RUN_MS_MIN 50
#define LIVE_INTERVAL_US 100000

struct ms_http_query {
    struct ms_version *version; /* held */
    const struct ms_projection_query *query;
    struct ms_http_query_params params;
    struct ms_position_waiter waiter;
    bool waited; /* the waiter was added */
    int64_t until_us;
    bool told;                   /* a live query's rows were sent … */
    struct ms_hash128 told_rows; /* … and these were the last */
};

static struct ms_position_waiters *waiters_of(const struct ms_http_query *query) {
    return ms_runner_waiters(ms_version_runner(query->version));
}

static void refuse(struct ms_http_request *request, int code, const struct ms_error *err) {
    ms_buf_clear(&request->answer.headers);
    ms_http_answer_error(request, code, err);
}

/* ---- asking: a reader's thread ---- */

/* Link: <the same with another page_skip>; rel="next". */
static int write_page_link(struct ms_http_request *request, size_t skip) {
    static const char own[] = "page_skip=";
    struct ms_bytes query = request->query;
    struct ms_buf link;
    ms_buf_init(&link, (size_t)64 * 1024);
    int code = ms_buf_append_u8(&link, '<');
    if (code == 0)
        code = ms_http_target_escape(&link, request->path);
    if (code == 0)
        code = ms_buf_append_u8(&link, '?');
    while (code == 0 && query.len > 0) {
        const uint8_t *ampersand = memchr(query.data, '&', query.len);
        size_t len = ampersand ? (size_t)(ampersand - query.data) : query.len;
        struct ms_bytes pair = ms_bytes_of(query.data, len);
        query = ms_bytes_of(query.data + len, query.len - len);
        if (query.len > 0)
            query = ms_bytes_of(query.data + 1, query.len - 1);
        if (len == 0 || ms_bytes_starts_with(pair, ms_bytes_cstr(own)))
            continue;
        code = ms_http_target_escape(&link, pair);
        if (code == 0)
            code = ms_buf_append_u8(&link, '&');
    }
    if (code == 0)
        code = ms_buf_printf(&link, "%s%zu>; rel=\"next\"", own, skip);
    if (code == 0)
        code = ms_http1_write_header(&request->answer.headers, "Link", ms_buf_bytes(&link));
    ms_buf_deinit(&link);
    return code;
}

static int write_headers(struct ms_http_request *request, uint64_t position,
                         const struct ms_http_rows *rows) {
    const struct ms_http_query *query = request->query_run;
    const struct ms_projection_definition *definition = ms_version_definition(query->version);
    int code = ms_http_answer_header(request, "Mainstem-Projection", "%.*s@%u",
                                     (int)definition->name.len, (const char *)definition->name.data,
                                     ms_version_number(query->version));
    if (code == 0 && position > 0)
        code = ms_http_answer_header(request, "Mainstem-Position", "%llu",
                                     (unsigned long long)(position - 1));
    if (code == 0 && rows->more)
        code = write_page_link(request, rows->skip + rows->rows);
    return code;
}

/* Waiting and answering together have `timeout`. */
static int64_t left_ms(const struct ms_http_request *request) {
    int64_t now_us = ms_clock_monotonic_us(request->loop->http->env->clock);
    int64_t left = (request->query_run->until_us - now_us) / 1000;
    if (request->streaming || left > RUN_MS_MAX)
        return RUN_MS_MAX;
    return left > RUN_MS_MIN ? left : RUN_MS_MIN;
}

/* What was applied when the question began can be more than the tables say: nothing of that was
 * needed. */
static int ask(struct ms_http_request *request, struct ms_http_rows *rows, uint64_t *ret_position,
               struct ms_error *err) {
    struct ms_http_query *query = request->query_run;
    struct ms_row_sink sink = ms_http_rows_begin(rows, &request->arena);
    uint64_t applied = ms_position_waiters_applied(waiters_of(query)), position = 0;
    struct ms_query_run run = {
        .query = query->query,
        .values = query->params.values,
        .timeout_ms = left_ms(request),
        .bytes_max = VALUE_BYTES_MAX,
    };
    bool past = query->params.travel.to.kind != MS_AS_OF_NOW;
    int code = past ? ms_projections_run_past(request->loop->http->projections, query->version,
                                              &query->params.travel, &run, &sink, &position, err)
                    : ms_version_run(query->version, &run, &sink, &position, err);
    int ended = ms_http_rows_end(rows);
    *ret_position = !past && applied > position ? applied : position;
    return code != 0 ? code : ended;
}

static void run_query(struct ms_http_request *request) {
    struct ms_http_query *query = request->query_run;
    bool ndjson = request->accept == MS_HTTP_ANSWER_NDJSON;
    struct ms_error err = {0};
    uint64_t position = 0;
    struct ms_http_rows rows = {
        .out = &request->answer.body,
        .ndjson = ndjson,
        .skip = query->params.page_skip,
        .rows_max = query->params.page_rows,
        .bytes_max = ANSWER_BYTES_MAX,
    };
    int code = ask(request, &rows, &position, &err);
    if (code == MS_ETOOBIG && err.code == 0)
        ms_error_set(&err, code, "the answer has more than %zu MiB: ask for fewer rows (page_rows)",
                     ANSWER_BYTES_MAX >> 20);
    if (code == 0)
        code = write_headers(request, position, &rows);
    struct ms_net_share *share = &request->loop->http->budget.answers;
    if (code == 0 && !ms_net_share_raise(share, &request->answer_charged, request->answer.body.len,
                                         request->config->budget.pages))
        code = ms_error_set(&err, MS_EAGAIN, "there is no memory for the answer right now");
    if (code != 0)
        refuse(request, code, &err);
    else
        ms_http_answer(request, 200, ndjson ? "application/x-ndjson" : "application/json");
}

static void answered(struct ms_http_request *request) { ms_http_request_done(request); }

/* ---- live queries: a reader's thread ---- */

static void stop_waiting(struct ms_http_query *query) {
    if (query->waited)
        ms_position_waiters_remove(waiters_of(query), &query->waiter);
    query->waited = false;
}

static int open_live(struct ms_http_request *request, struct ms_error *err) {
    (void)request;
    (void)err;
    return 0;
}

/* Appends the rows as one event, unless the peer has them already. */
static int tell_rows(struct ms_http_request *request, uint64_t applied, struct ms_error *err) {
    struct ms_http_query *query = request->query_run;
    struct ms_buf *out = &request->answer.body;
    size_t before = out->len;
    uint64_t position;
    struct ms_http_rows rows = {
        .out = out,
        .skip = query->params.page_skip,
        .rows_max = query->params.page_rows,
        .bytes_max = ANSWER_BYTES_MAX,
    };
    int code = ms_http_sse_begin_event(out, applied > 0 ? applied - 1 : 0);
    size_t from = out->len;
    if (code == 0)
        code = ask(request, &rows, &position, err);
    ms_http_flatten_lines(out, from);
    struct ms_hash128 hash = ms_hash128(out->data + from, out->len - from, 0);
    bool same = query->told && memcmp(&hash, &query->told_rows, sizeof hash) == 0;
    if (code == 0)
        code = ms_buf_append_cstr(out, "\n\n");
    if (code != 0 || same)
        out->len = before;
    query->told = true;
    query->told_rows = hash;
    return code;
}

/* The peer comes back by itself, and is shown the new version then. */
static bool was_replaced(struct ms_http_request *request) {
    struct ms_version *current;
    if (ms_projections_hold(request->loop->http->projections, request->captures[0], &current,
                            NULL) != 0)
        return true;
    bool replaced = current != request->query_run->version;
    ms_version_release(current);
    return replaced;
}

static enum ms_http_sse_found poll_live(struct ms_http_request *request) {
    struct ms_http_query *query = request->query_run;
    struct ms_error err = {0};
    uint64_t applied = ms_position_waiters_applied(waiters_of(query));
    stop_waiting(query);
    if (was_replaced(request)) {
        ms_error_set(&err, MS_EAGAIN, "another version of the projection has taken over");
        return ms_http_sse_end_with(request, MS_EAGAIN, &err);
    }
    int code = tell_rows(request, applied, &err);
    if (code != 0)
        return ms_http_sse_end_with(request, code, &err);
    query->waiter.position = applied;
    query->waiter.patient = true;
    query->waited = ms_position_waiters_add(waiters_of(query), &query->waiter);
    return query->waited ? MS_HTTP_SSE_ALL : MS_HTTP_SSE_MORE;
}

/* However fast events come, a page is not sent more often than people can read. */
static const struct ms_http_sse_source live = {open_live, poll_live, LIVE_INTERVAL_US};

static void submit(struct ms_http_request *request) {
    if (request->accept == MS_HTTP_ANSWER_SSE) {
        ms_http_sse_start_from(request, &live);
        return;
    }
    bool past = request->query_run->params.travel.to.kind != MS_AS_OF_NOW;
    struct ms_http *http = request->loop->http;
    ms_http_request_submit_to(request, past ? &http->travels : &http->readers, run_query, answered);
}

/* ---- waiting: the loop ---- */

static void give_up(struct ms_http_request *request) {
    struct ms_http_query *query = request->query_run;
    struct ms_runner_status status;
    struct ms_error err;
    char members[64];
    stop_waiting(query);
    ms_runner_status(ms_version_runner(query->version), &status);
    ms_error_set(&err, MS_ETIMEOUT,
                 "position %llu is not applied yet, the projection (%s) is at %lld%s%s",
                 (unsigned long long)query->waiter.position, ms_runner_state_name(status.state),
                 (long long)status.position - 1, status.error[0] != '\0' ? ": " : "", status.error);
    snprintf(members, sizeof members, ",\"position\":%lld", (long long)status.position - 1);
    struct ms_http_problem problem = ms_http_problem_of_code(MS_ETIMEOUT);
    problem.detail = ms_bytes_cstr(err.message);
    problem.members = ms_bytes_cstr(members);
    ms_http_answer_problem(request, problem);
    ms_http_request_done(request);
}

static void woken(struct ms_http_request *request) {
    struct ms_http_query *query = request->query_run;
    struct ms_error err;
    stop_waiting(query);
    request->started_us += request->loop->now_us - request->armed_us;
    if (ms_position_waiters_applied(waiters_of(query)) > query->waiter.position) {
        submit(request);
        return;
    }
    ms_error_set(&err, MS_EAGAIN, "another version of the projection has taken over: ask again");
    ms_http_answer_error(request, MS_EAGAIN, &err);
    ms_http_request_done(request);
}

static void go(struct ms_http_request *request) {
    struct ms_http_query *query = request->query_run;
    query->waiter.wake = ms_http_request_wake;
    query->waiter.context = request;
    query->waiter.position = query->params.min_position;
    bool waits = query->params.has_min_position && query->params.travel.to.kind == MS_AS_OF_NOW;
    if (waits && ms_position_waiters_add(waiters_of(query), &query->waiter)) {
        query->waited = true;
        ms_http_request_arm(request, woken);
    } else {
        submit(request);
    }
}

void ms_http_query_tick(struct ms_http_request *request) {
    if (request->query_run && !request->streaming && request->state == MS_HTTP_ARMED &&
        request->loop->now_us >= request->query_run->until_us)
        give_up(request);
}

void ms_http_query_end(struct ms_http_request *request) {
    if (request->query_run && !request->streaming && request->state == MS_HTTP_ARMED)
        give_up(request);
}

void ms_http_query_release(struct ms_http_request *request) {
    if (!request->query_run)
        return;
    stop_waiting(request->query_run);
    ms_version_release(request->query_run->version);
    request->query_run = NULL;
}

/* ---- from what to wait for to a position: a reader's thread ---- */

static int take_position(void *context, const struct ms_read_event *event) {
    uint64_t *position = context;
    *position = event->place.position;
    return 1;
}

static void wait_for(struct ms_http_query *query, uint64_t position) {
    struct ms_http_query_params *params = &query->params;
    if (!params->has_min_position || params->min_position < position)
        params->min_position = position;
    params->has_min_position = true;
}

static int resolve_version(struct ms_http_request *request, struct ms_error *err) {
    struct ms_http_query_params *params = &request->query_run->params;
    struct ms_stream_read read = {
        .stream = params->min_stream, .from = params->min_version, .limit = 1};
    struct ms_stream_read_result result;
    uint64_t position = UINT64_MAX;
    int code = ms_store_read_stream(request->loop->http->store, &read, take_position, &position,
                                    &result, err);
    if (code != 0)
        return code;
    if (result.state != MS_STREAM_LIVE || params->min_version > result.head)
        return ms_error_set(err, MS_ENOTFOUND,
                            "parameter 'min_version': stream '%.*s' has no version %lld",
                            (int)params->min_stream.len, (const char *)params->min_stream.data,
                            (long long)params->min_version);
    wait_for(request->query_run, position == UINT64_MAX ? result.position : position);
    return 0;
}

/* Stale are answers that lack an event which was recorded longer ago than that. */
static int resolve_staleness(struct ms_http_request *request, struct ms_error *err) {
    struct ms_http_query *query = request->query_run;
    struct ms_store *store = request->loop->http->store;
    uint64_t end = ms_store_end(store);
    uint64_t applied = ms_position_waiters_applied(waiters_of(query));
    int64_t before_ms =
        ms_clock_now_us(request->loop->http->env->clock) / 1000 - query->params.max_staleness_ms;
    struct ms_all_read read = {
        .from = applied,
        .limit = 1,
        .scan_max = 1,
        .travel = {.kind = MS_KNOWN_AT, .time_ms = before_ms},
    };
    struct ms_all_read_result result;
    uint64_t position = UINT64_MAX;
    if (applied >= end)
        return 0;
    int code = ms_store_read_all(store, &read, take_position, &position, &result, err);
    if (code == 0 && position != UINT64_MAX)
        wait_for(query, end - 1);
    return code;
}

static void run_resolve(struct ms_http_request *request) {
    struct ms_http_query_params *params = &request->query_run->params;
    struct ms_error err = {0};
    int code = params->min_stream.data ? resolve_version(request, &err) : 0;
    if (code == 0 && params->max_staleness_ms >= 0)
        code = resolve_staleness(request, &err);
    if (code != 0)
        refuse(request, code, &err);
}

static void resolved(struct ms_http_request *request) {
    if (request->answer.status)
        ms_http_request_done(request);
    else
        go(request);
}

/* ---- the request ---- */

static int find_query(struct ms_http_request *request, struct ms_http_query *query,
                      struct ms_error *err) {
    const struct ms_projection_definition *definition;
    int code = ms_projections_hold(request->loop->http->projections, request->captures[0],
                                   &query->version, err);
    if (code != 0)
        return code;
    request->query_run = query; /* released with the request from now on */
    definition = ms_version_definition(query->version);
    query->query = ms_projection_find_query(definition, request->captures[1]);
    if (query->query == NULL)
        return ms_error_set(err, MS_ENOTFOUND, "projection '%.*s' has no query '%.*s'",
                            MS_PLACE_SHOWN(definition->name), MS_PLACE_SHOWN(request->captures[1]));
    code = ms_http_query_params_parse(request->query, query->query,
                                      request->loop->config->options.page_events_max,
                                      &request->arena, &query->params, err);
    if (code == 0 && request->accept == MS_HTTP_ANSWER_SSE &&
        query->params.travel.to.kind != MS_AS_OF_NOW)
        return ms_error_set(err, MS_EINVAL,
                            "the past does not change: as_of and known_at don't go "
                            "with text/event-stream");
    return code;
}

static int take_header(const struct ms_http_request *request, struct ms_http_query *query,
                       struct ms_error *err) {
    uint64_t position;
    if (!request->min_position.data)
        return 0;
    if (ms_parse_u64(request->min_position, &position) != 0 || position >= INT64_MAX)
        return ms_error_set(err, MS_EINVAL, "header Mainstem-Min-Position: expected a position");
    wait_for(query, position);
    return 0;
}

void ms_http_query_start(struct ms_http_request *request) {
    struct ms_error err = {0};
    struct ms_http_query *query = ms_arena_zalloc(&request->arena, sizeof *query);
    int code = query ? 0 : MS_ENOMEM;
    if (!request->loop->http->projections) {
        ms_http_answer_refusal(request, 501, "this server keeps no projections");
        ms_http_request_done(request);
        return;
    }
    if (code == 0)
        code = find_query(request, query, &err);
    if (code == 0)
        code = take_header(request, query, &err);
    if (code != 0) {
        ms_http_answer_error(request, code, &err);
        ms_http_request_done(request);
        return;
    }
    query->until_us = request->loop->now_us + query->params.timeout_ms * 1000;
    if (query->params.min_stream.data || query->params.max_staleness_ms >= 0)
        ms_http_request_submit(request, run_resolve, resolved);
    else
        go(request);
}
