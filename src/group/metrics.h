/*
 * Metrics of groups. What is written is kept for a second, so that scrapes, however many, cost one
 * walk over the offsets a second; the lags of at most MS_GROUP_METRICS_SERIES_MAX partitions are
 * shown, and at most MS_GROUP_METRICS_READS_MAX entries are read for the ages of them. When the
 * oldest unread event of a partition was appended is remembered from one walk to the next: what
 * there was no time to read is read by the next ones.
 *
 * Threads: any; blocks for I/O.
 */
#pragma once

#include "group/group.h"
#include "store/store.h"

#define MS_GROUP_METRICS_SERIES_MAX 10000u
#define MS_GROUP_METRICS_READS_MAX 1000u

struct ms_group_metrics;

/* The store and the groups must outlive it. MS_ENOMEM. */
int ms_group_metrics_new(struct ms_store *store, struct ms_groups *groups, const struct ms_env *env,
                         struct ms_group_metrics **ret_metrics) MS_MUST_CHECK;
void ms_group_metrics_free(struct ms_group_metrics *metrics); /* takes NULL */
/* Appends Prometheus text. MS_ENOMEM, MS_ETOOBIG. */
int ms_group_metrics_write(struct ms_group_metrics *metrics, struct ms_buf *out) MS_MUST_CHECK;
