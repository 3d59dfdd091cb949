/*
 * What clients are told of the cluster: one broker, which leads everything and coordinates
 * everyone.
 */
#pragma once

#include "store/store.h"

#define MS_KAFKA_NODE_ID 1
#define MS_KAFKA_CLUSTER_ID_MAX (MS_UUID_TEXT_LEN + 1)

/* The store's UUID as text. */
struct ms_bytes ms_kafka_cluster_id(struct ms_store *store, char out[MS_KAFKA_CLUSTER_ID_MAX]);
