/*
 * Keyed records: what other parts of Mainstem keep in topics of the system's own. A record replaces
 * the one before it that has its key; a tombstone removes it. The newest of each key is a fact of
 * the index, so that a start needs not read the topic.
 *
 *   __consumer_offsets    groups and the offsets they have committed (src/group/record.h)
 *   __transaction_state   transactional ids, producer ids (src/txn)
 *
 * Threads: any.
 */
#pragma once

#include "store/store.h"

enum ms_records_topic { MS_RECORDS_CONSUMER_OFFSETS, MS_RECORDS_TRANSACTION_STATE };

/* With the topic's part of a fact's name it must be one: MS_INDEX_FACT_NAME_MAX. */
#define MS_RECORD_KEY_BYTES_MAX 4000u

struct ms_keyed_record {
    struct ms_bytes key;
    struct ms_bytes value;
    bool tombstone; /* the value is null */
};

/* Appends the records as one batch: all or none, in this order, even where a key comes twice.
 * `records` are borrowed for the call. `done` as for ms_store_append; does not wait for the
 * in-flight budget, so it may be called by a `done`. MS_EINVAL (no record, a key that is empty or
 * too long), MS_ETOOBIG, MS_ENOSPC, MS_ECLOSED, MS_ENOMEM. */
int ms_store_append_records(struct ms_store *store, enum ms_records_topic topic,
                            const struct ms_keyed_record *records, size_t count,
                            ms_append_done_fn *done, void *context, struct ms_error *err)
    MS_MUST_CHECK;

/* The newest record of each key, in the order of the keys. What visit returns other than 0 ends it
 * and is returned. Blocks for I/O. MS_EIO, MS_ECORRUPT, MS_ENOMEM. */
typedef int ms_keyed_record_fn(void *context, const struct ms_keyed_record *record,
                               uint64_t position);
int ms_store_list_records(struct ms_store *store, enum ms_records_topic topic,
                          ms_keyed_record_fn *visit, void *context, struct ms_error *err)
    MS_MUST_CHECK;
