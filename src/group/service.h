/*
 * The server's group coordinator: the groups (group.h), what lasts of them in the store's
 * `__consumer_offsets`, and a thread for what is due. Faces get it from the server and call
 * group.h's functions on `groups`.
 *
 * Threads: start and stop by one; the rest as group.h says.
 */
#pragma once

#include "group/group.h"
#include "store/store.h"

struct ms_group_service;

/* Who keeps the offsets of open transactions (src/txn). */
struct ms_group_txns {
    void *context;
    /* At start, before groups are served: calls ms_groups_load for those that there are. */
    int (*load)(void *context, struct ms_groups *groups);
    /* As ms_group_store.append, of records that belong to a transaction. */
    void (*append)(void *context, int64_t producer_id, int16_t producer_epoch,
                   const struct ms_group_record *records, size_t count,
                   void (*done)(void *done_context, int code), void *done_context);
};

/* `options`' store, topics and wake are set here. `txns` is copied; NULL: there are no
 * transactions. Loads what there is. The store, and what `txns` calls, must outlive it. MS_ENOMEM,
 * MS_EIO, MS_ECORRUPT, MS_EINVAL. */
int ms_group_service_start(struct ms_store *store, const struct ms_groups_options *options,
                           const struct ms_group_txns *txns, struct ms_group_service **ret_service,
                           struct ms_error *err) MS_MUST_CHECK;
struct ms_groups *ms_group_service_groups(struct ms_group_service *service);
/* Metrics of the groups as Prometheus text; see metrics.h. MS_ENOMEM, MS_ETOOBIG. */
int ms_group_service_metrics(struct ms_group_service *service, struct ms_buf *out) MS_MUST_CHECK;
/* What waits is answered, and whatever comes: stop it before the faces. */
void ms_group_service_stop(struct ms_group_service *service);
/* After the faces have stopped. Waits for appends in flight. Takes NULL. */
void ms_group_service_free(struct ms_group_service *service);
