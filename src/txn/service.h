/*
 * The server's transaction coordinator: the transactions (txn.h), what lasts of them in the
 * store's `__transaction_state`, and a thread for what is due. Faces get it from the server and
 * call txn.h's functions on `txns`.
 *
 *   ms_txn_service_new -> ms_group_service_start, with its ms_group_txns -> ms_txn_service_start
 *   … faces …
 *   ms_txn_service_stop, ms_group_service_stop; faces end; ms_txn_service_free,
 *   ms_group_service_free
 *
 * Threads: one for all of these; the rest as txn.h says.
 */
#pragma once

#include "group/service.h"
#include "txn/txn.h"

struct ms_txn_service;

/* `options`' store and wake are set here. Loads what there is, and tells the store. The store must
 * outlive it. MS_ENOMEM, MS_EIO, MS_ECORRUPT, MS_EINVAL. */
int ms_txn_service_new(struct ms_store *store, const struct ms_txns_options *options,
                       struct ms_txn_service **ret_service, struct ms_error *err) MS_MUST_CHECK;
/* What the group service is started with. */
struct ms_group_txns ms_txn_service_group_txns(struct ms_txn_service *service);
/* From now on ends are told to the groups, and timeouts come. MS_EIO. */
int ms_txn_service_start(struct ms_txn_service *service, struct ms_groups *groups,
                         struct ms_error *err) MS_MUST_CHECK;
struct ms_txns *ms_txn_service_txns(struct ms_txn_service *service);
/* What waits is answered, and whatever comes: stop it before the faces. Takes NULL. */
void ms_txn_service_stop(struct ms_txn_service *service);
/* After the faces have stopped, before the groups are freed. Waits for appends in flight. Takes
 * NULL. */
void ms_txn_service_free(struct ms_txn_service *service);
