/* Metrics and health of projections; see projections.h. */
#include <stdio.h>

#include "base/alloc.h"
#include "metrics/metrics.h"
#include "projection/list.h"
#include "projection/projections.h"

#define LABELS_MAX 256
#define STALLED_US 30000000
#define LAG_SCAN 1000u

struct list {
    struct ms_projection_info *items;
    size_t count, capacity;
};

static int take(void *context, const struct ms_projection_info *info) {
    struct list *list = context;
    struct ms_projection_info *items =
        ms_list_grow_heap(list->items, list->count, &list->capacity, sizeof *items);
    if (items == NULL)
        return MS_ENOMEM;
    list->items = items;
    list->items[list->count++] = *info;
    return 0;
}

/* ---- lag ---- */

static int take_time(void *context, const struct ms_read_event *event) {
    int64_t *ms = context;
    *ms = event->place.recorded_at_us / 1000;
    return 1;
}

int64_t ms_projection_lag_ms(struct ms_store *store, const struct ms_env *env,
                             const struct ms_runner_status *status) {
    struct ms_all_read read = {.from = status->position, .limit = 1, .scan_max = LAG_SCAN};
    struct ms_all_read_result result;
    int64_t now_ms = ms_clock_now_us(env->clock) / 1000, recorded_ms = now_ms;
    if (status->position >= status->end ||
        ms_store_read_all(store, &read, take_time, &recorded_ms, &result, NULL) != 0)
        return 0;
    return now_ms > recorded_ms ? now_ms - recorded_ms : 0;
}

/* ---- metrics ---- */

enum family {
    POSITION,
    LAG,
    LAG_SECONDS,
    APPLIED,
    PARKED,
    UP,
    CAUGHT_UP,
    SYNC_PENDING,
    INCOMPLETE,
    SCAVENGED_AHEAD,
    FAMILIES
};

static const struct {
    const char *name, *help;
    bool counter;
} families[FAMILIES] = {
    [POSITION] = {"mainstem_projection_position", "First position that is not applied.", false},
    [LAG] = {"mainstem_projection_lag_events", "Events of the log that are not looked at yet.",
             false},
    [LAG_SECONDS] = {"mainstem_projection_lag_seconds",
                     "How long ago the oldest of them was recorded.", false},
    [APPLIED] = {"mainstem_projection_applied_events_total", "Events applied.", true},
    [PARKED] = {"mainstem_projection_parked_events", "Events that are set aside.", false},
    [UP] = {"mainstem_projection_up",
            "0: stopped by an event or by what is missing, failed, or its database is away; 1: it "
            "applies, or is paused.",
            false},
    [CAUGHT_UP] = {"mainstem_projection_caught_up", "0: it has never caught up since it runs.",
                   false},
    [SYNC_PENDING] = {"mainstem_projection_sync_pending_total",
                      "Appends that were acknowledged before it had applied them, though its mode "
                      "is sync.",
                      true},
    [INCOMPLETE] = {"mainstem_projection_incomplete",
                    "1: its tables lack events that had been scavenged, as was allowed.", false},
    [SCAVENGED_AHEAD] = {"mainstem_projection_scavenged_ahead",
                         "1: events that it has not applied yet were scavenged.", false},
};

static bool is_up(const struct ms_version_info *info) {
    enum ms_runner_state state = info->status.state;
    return info->running &&
           (state == MS_RUNNER_FILLING || state == MS_RUNNER_LIVE || state == MS_RUNNER_PAUSED);
}

static double value_of(const struct ms_projections_options *options, enum family family,
                       const struct ms_version_info *info) {
    const struct ms_runner_status *status = &info->status;
    switch (family) {
    case POSITION:
        return (double)status->position;
    case LAG:
        return status->end > status->position ? (double)(status->end - status->position) : 0;
    case LAG_SECONDS:
        return (double)ms_projection_lag_ms(options->store, options->env, status) / 1000;
    case APPLIED:
        return (double)status->applied;
    case PARKED:
        return (double)status->parked;
    case UP:
        return is_up(info);
    case CAUGHT_UP:
        return status->caught_up;
    case SYNC_PENDING:
        return (double)info->sync_pending;
    case INCOMPLETE:
        return info->missing.any;
    case SCAVENGED_AHEAD:
        return info->ahead.any;
    case FAMILIES:
        break;
    }
    return 0;
}

static int write_sample(const struct ms_projections_options *options, struct ms_buf *out,
                        enum family family, const char *name, const struct ms_version_info *info,
                        bool first) {
    char labels[LABELS_MAX];
    double value = value_of(options, family, info);
    const char *help = first ? families[family].help : NULL;
    snprintf(labels, sizeof labels, "projection=\"%s\",version=\"%u\",role=\"%s\"", name,
             info->number, ms_version_role_name(info->role));
    return families[family].counter
               ? ms_metrics_counter(out, families[family].name, help, labels, (uint64_t)value)
               : ms_metrics_gauge(out, families[family].name, help, labels, value);
}

static int write_family(const struct ms_projections_options *options, struct ms_buf *out,
                        enum family family, const struct list *list) {
    bool first = true;
    int code = 0;
    for (size_t i = 0; code == 0 && i < list->count; i++)
        for (size_t v = 0; code == 0 && v < list->items[i].count; v++) {
            code = write_sample(options, out, family, list->items[i].name,
                                &list->items[i].versions[v], first);
            first = false;
        }
    return code;
}

int ms_projections_metrics(struct ms_projections *projections, struct ms_buf *out) {
    struct list list = {0};
    const struct ms_projections_options *options = ms_projections_settings(projections);
    int code = ms_projections_list(projections, take, &list);
    for (int family = 0; code == 0 && family < FAMILIES; family++)
        code = write_family(options, out, (enum family)family, &list);
    ms_free(list.items);
    return code;
}

/* ---- health ---- */

struct health {
    const struct ms_env *env;
    struct ms_buf *out;
};

/* What an operator should look at; NULL: nothing. */
static const char *complaint(const struct ms_env *env, const struct ms_version_info *info) {
    const struct ms_runner_status *status = &info->status;
    if (info->ahead.any)
        return "needs what is gone";
    if (!info->running)
        return "can't be opened";
    if (status->state == MS_RUNNER_STOPPED)
        return "is stopped by an event";
    if (status->state == MS_RUNNER_FAILED || status->state == MS_RUNNER_RETRYING)
        return "can't use its database";
    if (status->state != MS_RUNNER_PAUSED && status->position < status->end &&
        ms_clock_monotonic_us(env->clock) - status->progress_us > STALLED_US)
        return "has not moved for 30 seconds though there are events";
    return NULL;
}

static int tell_ahead(struct ms_buf *out, const struct ms_missing *ahead) {
    char text[MS_MISSING_TEXT_MAX];
    ms_missing_describe(ahead, text);
    return ms_buf_printf(out, ": %s before it has applied them", text);
}

static int complain(void *context, const struct ms_projection_info *info) {
    struct health *health = context;
    int code = 0;
    for (size_t i = 0; code == 0 && i < info->count; i++) {
        const char *what = complaint(health->env, &info->versions[i]);
        if (what == NULL || info->versions[i].role == MS_VERSION_PREVIOUS)
            continue;
        if (health->out->len > 0)
            code = ms_buf_append_cstr(health->out, "; ");
        if (code == 0)
            code = ms_buf_printf(health->out, "projection '%s' version %u %s", info->name,
                                 info->versions[i].number, what);
        if (code == 0 && info->versions[i].ahead.any)
            code = tell_ahead(health->out, &info->versions[i].ahead);
    }
    return code;
}

int ms_projections_health(struct ms_projections *projections, struct ms_buf *out) {
    struct health health = {.env = ms_projections_settings(projections)->env, .out = out};
    return ms_projections_list(projections, complain, &health);
}
