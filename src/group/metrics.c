/* Metrics of groups; see metrics.h. */
#include "group/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "group/lag.h"
#include "metrics/metrics.h"

#define KEPT_US 1000000
#define TEXT_BYTES_MAX ((size_t)64 << 20)
#define ROW_BYTES_MAX (MS_GROUP_ID_BYTES_MAX + MS_GROUP_TOPIC_BYTES_MAX + 64u)
#define LABELS_BYTES_MAX ((size_t)16 << 10)

/* What one walk has found, sorted by group, topic and partition. */
struct row {
    struct ms_bytes group;
    struct ms_group_lag lag;
    int64_t time_ms; /* when its oldest unread event was appended; -1: not known */
};
struct walk {
    struct ms_arena arena;
    struct row *rows;
    size_t count;
    uint64_t left_out;
};

struct ms_group_metrics {
    struct ms_store *store;
    struct ms_groups *groups;
    const struct ms_env *env;
    pthread_mutex_t lock; /* of the fields below; held while a walk reads, taken by no loop */
    struct ms_partition_reader *reader;
    struct walk walks[2]; /* the last one, and the one before it */
    unsigned newest;
    struct ms_buf text;
    int64_t text_us; /* monotonic; -1: there is none */
};

/* ---- a walk ---- */

static void walk_begin(struct walk *walk) {
    ms_arena_reset(&walk->arena);
    walk->count = 0;
    walk->left_out = 0;
    walk->rows = ms_arena_alloc(&walk->arena, MS_GROUP_METRICS_SERIES_MAX * sizeof *walk->rows);
}

/* Clients choose names of groups; one that is no text would spoil a whole scrape. */
static bool is_label(struct ms_bytes text) {
    return text.len > 0 && memchr(text.data, 0, text.len) == NULL && ms_utf8_valid(text);
}

/* Under the groups' lock. */
static void take_offset(void *context, struct ms_bytes group,
                        const struct ms_group_offset *offset) {
    struct walk *walk = context;
    if (walk->count == MS_GROUP_METRICS_SERIES_MAX || walk->rows == NULL || !is_label(group) ||
        !is_label(offset->topic)) {
        walk->left_out++;
        return;
    }
    struct row *last = walk->count > 0 ? &walk->rows[walk->count - 1] : NULL;
    bool same = last != NULL && ms_bytes_equal(last->group, group);
    char *copy = same ? (char *)last->group.data : ms_arena_strdup(&walk->arena, group);
    char *topic = ms_arena_strdup(&walk->arena, offset->topic);
    if (copy == NULL || topic == NULL) {
        walk->left_out++;
        return;
    }
    walk->rows[walk->count++] = (struct row){
        .group = ms_bytes_of(copy, group.len),
        .lag = {.topic = ms_bytes_of(topic, offset->topic.len),
                .partition = offset->partition,
                .offset = offset->offset},
        .time_ms = -1,
    };
}

static int compare_rows(const void *a, const void *b) {
    const struct row *one = a, *two = b;
    int order = ms_bytes_compare(one->group, two->group);
    if (order == 0)
        order = ms_bytes_compare(one->lag.topic, two->lag.topic);
    if (order != 0)
        return order;
    return (one->lag.partition > two->lag.partition) - (one->lag.partition < two->lag.partition);
}

/* A row that has not moved has the same oldest unread event. Both walks are sorted. */
static void remember_times(struct walk *walk, const struct walk *before) {
    size_t at = 0;
    for (size_t i = 0; i < walk->count; i++) {
        struct row *row = &walk->rows[i];
        while (at < before->count && compare_rows(&before->rows[at], row) < 0)
            at++;
        if (at == before->count)
            return;
        const struct row *old = &before->rows[at];
        if (compare_rows(old, row) == 0 && old->lag.place == row->lag.place &&
            old->lag.offset == row->lag.offset && old->lag.lag > 0)
            row->time_ms = old->time_ms;
    }
}

static void read_times(struct ms_group_metrics *metrics, struct walk *walk) {
    unsigned reads = 0;
    for (size_t i = 0; i < walk->count && reads < MS_GROUP_METRICS_READS_MAX; i++) {
        struct row *row = &walk->rows[i];
        if (row->lag.lag <= 0 || row->time_ms >= 0)
            continue;
        reads++;
        if (ms_store_commit_time(metrics->reader, row->lag.place, (uint32_t)row->lag.partition,
                                 row->lag.offset, &row->time_ms, NULL) != 0)
            row->time_ms = -1; /* its series is left out */
    }
}

static const struct walk *walk_offsets(struct ms_group_metrics *metrics) {
    const struct walk *before = &metrics->walks[metrics->newest];
    struct walk *walk = &metrics->walks[metrics->newest ^= 1];
    walk_begin(walk);
    ms_groups_visit_offsets(metrics->groups, take_offset, walk);
    if (walk->count > 0)
        qsort(walk->rows, walk->count, sizeof *walk->rows, compare_rows);
    for (size_t i = 0; i < walk->count; i++)
        ms_group_lag_measure(metrics->store, &walk->rows[i].lag,
                             i > 0 ? &walk->rows[i - 1].lag : NULL);
    remember_times(walk, before);
    read_times(metrics, walk);
    return walk;
}

/* ---- text ---- */

static int make_labels(struct ms_buf *labels, const struct row *row) {
    ms_buf_clear(labels);
    int code = ms_metrics_label(labels, "group", row->group);
    if (code == 0)
        code = ms_buf_append_u8(labels, ',');
    if (code == 0)
        code = ms_metrics_label(labels, "topic", row->lag.topic);
    if (code == 0)
        code = ms_buf_printf(labels, ",partition=\"%d\"", (int)row->lag.partition);
    return code == 0 ? ms_buf_append_u8(labels, 0) : code;
}

/* -1: the row has no such value. */
static double events_of(const struct row *row, int64_t now_ms) {
    (void)now_ms;
    return (double)row->lag.lag;
}
static double seconds_of(const struct row *row, int64_t now_ms) {
    if (row->lag.lag <= 0)
        return (double)row->lag.lag;
    if (row->time_ms < 0)
        return -1;
    return row->time_ms < now_ms ? (double)(now_ms - row->time_ms) / 1000.0 : 0;
}

static int write_family(struct ms_buf *out, const struct walk *walk, const char *name,
                        const char *help, double (*value_of)(const struct row *row, int64_t now_ms),
                        int64_t now_ms) {
    struct ms_buf labels;
    int code = 0;
    ms_buf_init(&labels, LABELS_BYTES_MAX);
    for (size_t i = 0; code == 0 && i < walk->count; i++) {
        double value = value_of(&walk->rows[i], now_ms);
        if (value < 0)
            continue;
        code = make_labels(&labels, &walk->rows[i]);
        if (code == 0)
            code = ms_metrics_gauge(out, name, help, (const char *)labels.data, value);
        help = NULL;
    }
    ms_buf_deinit(&labels);
    return code;
}

static int write_lags(struct ms_group_metrics *metrics, struct ms_buf *out) {
    const struct walk *walk = walk_offsets(metrics);
    int64_t now_ms = ms_clock_now_us(metrics->env->clock) / 1000;
    int code = write_family(out, walk, "mainstem_group_lag_events",
                            "Events of a partition that a consumer group has not read yet.",
                            events_of, now_ms);
    if (code == 0)
        code = write_family(out, walk, "mainstem_group_lag_seconds",
                            "Age of the oldest event of a partition that a consumer group has not "
                            "read yet; 0 when it has read them all.",
                            seconds_of, now_ms);
    if (code == 0)
        code =
            ms_metrics_gauge(out, "mainstem_group_lag_left_out",
                             "Partitions of consumer groups without the two lag metrics, because "
                             "there are too many, or a name is no text.",
                             NULL, (double)walk->left_out);
    return code;
}

static int write_stats(struct ms_groups *groups, struct ms_buf *out) {
    struct ms_groups_stats stats;
    const char *help = "Consumer groups, by state.";
    int code = 0;
    ms_groups_stats(groups, &stats);
    for (int state = 0; code == 0 && state < MS_GROUP_STATES; state++) {
        char labels[64];
        snprintf(labels, sizeof labels, "state=\"%s\"",
                 ms_group_state_name((enum ms_group_state)state));
        code = ms_metrics_gauge(out, "mainstem_groups", help, labels, (double)stats.groups[state]);
        help = NULL;
    }
    if (code == 0)
        code = ms_metrics_gauge(out, "mainstem_group_members", "Members of consumer groups.", NULL,
                                (double)stats.members);
    if (code == 0)
        code = ms_metrics_counter(out, "mainstem_group_rebalances_total",
                                  "Times that the members of a consumer group shared its "
                                  "partitions out anew.",
                                  NULL, stats.rebalances);
    if (code == 0)
        code = ms_metrics_gauge(out, "mainstem_group_offsets",
                                "Offsets that consumer groups have committed, or that are on their "
                                "way.",
                                NULL, (double)stats.offsets);
    if (code == 0)
        code = ms_metrics_gauge(out, "mainstem_group_memory_bytes",
                                "Memory held by consumer groups, their members and offsets.", NULL,
                                (double)stats.bytes);
    return code;
}

static int refresh(struct ms_group_metrics *metrics) {
    metrics->text_us = -1;
    ms_buf_clear(&metrics->text);
    int code = write_lags(metrics, &metrics->text);
    if (code == 0)
        metrics->text_us = ms_clock_monotonic_us(metrics->env->clock);
    return code;
}

int ms_group_metrics_write(struct ms_group_metrics *metrics, struct ms_buf *out) {
    int code = write_stats(metrics->groups, out);
    if (code != 0)
        return code;
    pthread_mutex_lock(&metrics->lock);
    int64_t now_us = ms_clock_monotonic_us(metrics->env->clock);
    if (metrics->text_us < 0 || now_us - metrics->text_us >= KEPT_US)
        code = refresh(metrics);
    if (code == 0)
        code = ms_buf_append_bytes(out, ms_buf_bytes(&metrics->text));
    pthread_mutex_unlock(&metrics->lock);
    return code;
}

/* ---- life ---- */

int ms_group_metrics_new(struct ms_store *store, struct ms_groups *groups, const struct ms_env *env,
                         struct ms_group_metrics **ret_metrics) {
    struct ms_group_metrics *metrics = ms_calloc(1, sizeof *metrics);
    if (metrics == NULL)
        return MS_ENOMEM;
    int code = ms_partition_reader_new(store, &metrics->reader);
    if (code != 0) {
        ms_free(metrics);
        return code;
    }
    metrics->store = store;
    metrics->groups = groups;
    metrics->env = env;
    metrics->text_us = -1;
    pthread_mutex_init(&metrics->lock, NULL);
    ms_buf_init(&metrics->text, TEXT_BYTES_MAX);
    for (int i = 0; i < 2; i++)
        ms_arena_init(&metrics->walks[i].arena,
                      MS_GROUP_METRICS_SERIES_MAX * (sizeof(struct row) + ROW_BYTES_MAX) * 2);
    *ret_metrics = metrics;
    return 0;
}

void ms_group_metrics_free(struct ms_group_metrics *metrics) {
    if (metrics == NULL)
        return;
    for (int i = 0; i < 2; i++)
        ms_arena_deinit(&metrics->walks[i].arena);
    ms_buf_deinit(&metrics->text);
    ms_partition_reader_free(metrics->reader);
    pthread_mutex_destroy(&metrics->lock);
    ms_free(metrics);
}
