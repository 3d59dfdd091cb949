/*
 * What is answered: the table of handlers. An API with a handler is offered by ApiVersions in the
 * codec's range; one without is unknown to clients. To add one: a function here, a row in
 * handlers.c.
 *
 * A handler is called on the loop's thread with a decoded request (request.h), must not block, and
 * sees to it that the request is answered sooner or later: at once, after a wait, from a reader, or
 * when another thread hands it back. Requests of one connection are handed to their handlers in the
 * order in which they came, without waiting for the answers of earlier ones.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ms_kafka_request;

enum {
    /* It begins after all earlier requests of its connection are answered, and later ones begin
     * after it is. */
    MS_KAFKA_BARRIER = 1,
    /* Its answers may be large: it begins while the memory for answers is not used up. The handler
     * still asks for ms_kafka_request_room. */
    MS_KAFKA_LARGE_ANSWER = 2,
    /* May come before authentication. */
    MS_KAFKA_BEFORE_AUTHENTICATION = 4,
    /* Needs the group coordinator: without one the API is not offered. */
    MS_KAFKA_GROUPS = 8,
    /* Needs the transaction coordinator. */
    MS_KAFKA_TXN = 16,
};

struct ms_kafka_handler {
    int16_t key; /* of the API */
    unsigned flags;
    void (*handle)(struct ms_kafka_request *request);
};

extern const struct ms_kafka_handler ms_kafka_handlers[];
extern const size_t ms_kafka_handler_count;

/* ---- handlers, by the file that has them ---- */

void ms_kafka_api_versions(struct ms_kafka_request *request);   /* api_versions.c */
void ms_kafka_sasl_handshake(struct ms_kafka_request *request); /* sasl.c */
void ms_kafka_produce(struct ms_kafka_request *request);        /* produce.c */
void ms_kafka_fetch(struct ms_kafka_request *request);          /* fetch.c */
void ms_kafka_list_offsets(struct ms_kafka_request *request);   /* list_offsets.c */
void ms_kafka_metadata(struct ms_kafka_request *request);       /* metadata.c */
/* leader_epoch.c */
void ms_kafka_offset_for_leader_epoch(struct ms_kafka_request *request);
/* group_members.c */
void ms_kafka_join_group(struct ms_kafka_request *request);
void ms_kafka_sync_group(struct ms_kafka_request *request);
void ms_kafka_heartbeat(struct ms_kafka_request *request);
void ms_kafka_leave_group(struct ms_kafka_request *request);
/* group_consumer.c */
void ms_kafka_consumer_group_heartbeat(struct ms_kafka_request *request);
void ms_kafka_consumer_group_describe(struct ms_kafka_request *request);
/* group_offsets.c */
void ms_kafka_offset_commit(struct ms_kafka_request *request);
void ms_kafka_offset_fetch(struct ms_kafka_request *request);
void ms_kafka_offset_delete(struct ms_kafka_request *request);
/* group_admin.c */
void ms_kafka_describe_groups(struct ms_kafka_request *request);
void ms_kafka_list_groups(struct ms_kafka_request *request);
void ms_kafka_delete_groups(struct ms_kafka_request *request);
void ms_kafka_init_producer_id(struct ms_kafka_request *request); /* init_producer_id.c */
/* transactions.c */
void ms_kafka_add_partitions_to_txn(struct ms_kafka_request *request);
void ms_kafka_add_offsets_to_txn(struct ms_kafka_request *request);
void ms_kafka_end_txn(struct ms_kafka_request *request);
void ms_kafka_txn_offset_commit(struct ms_kafka_request *request); /* txn_offsets.c */
/* txn_admin.c */
void ms_kafka_describe_producers(struct ms_kafka_request *request);
void ms_kafka_describe_transactions(struct ms_kafka_request *request);
void ms_kafka_list_transactions(struct ms_kafka_request *request);
/* cluster.c */
void ms_kafka_find_coordinator(struct ms_kafka_request *request);
void ms_kafka_describe_cluster(struct ms_kafka_request *request);
void ms_kafka_create_topics(struct ms_kafka_request *request);     /* create_topics.c */
void ms_kafka_delete_topics(struct ms_kafka_request *request);     /* delete_topics.c */
void ms_kafka_delete_records(struct ms_kafka_request *request);    /* delete_records.c */
void ms_kafka_create_partitions(struct ms_kafka_request *request); /* create_partitions.c */
void ms_kafka_describe_configs(struct ms_kafka_request *request);  /* describe_configs.c */
/* alter_configs.c */
void ms_kafka_alter_configs(struct ms_kafka_request *request);
void ms_kafka_incremental_alter_configs(struct ms_kafka_request *request);
/* describe_topic_partitions.c */
void ms_kafka_describe_topic_partitions(struct ms_kafka_request *request);
void ms_kafka_describe_log_dirs(struct ms_kafka_request *request); /* log_dirs.c */
