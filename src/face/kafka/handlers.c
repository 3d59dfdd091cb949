/* The table of handlers; see handlers.h. A constant. */
#include "face/kafka/handlers.h"

/* By key. */
const struct ms_kafka_handler ms_kafka_handlers[] = {
    {0, 0, ms_kafka_produce},
    {1, MS_KAFKA_LARGE_ANSWER, ms_kafka_fetch},
    {2, 0, ms_kafka_list_offsets},
    {3, 0, ms_kafka_metadata},
    {8, MS_KAFKA_GROUPS, ms_kafka_offset_commit},
    {9, MS_KAFKA_GROUPS, ms_kafka_offset_fetch},
    {10, 0, ms_kafka_find_coordinator},
    {11, MS_KAFKA_GROUPS, ms_kafka_join_group},
    {12, MS_KAFKA_GROUPS, ms_kafka_heartbeat},
    {13, MS_KAFKA_GROUPS, ms_kafka_leave_group},
    {14, MS_KAFKA_GROUPS, ms_kafka_sync_group},
    {15, MS_KAFKA_GROUPS, ms_kafka_describe_groups},
    {16, MS_KAFKA_GROUPS, ms_kafka_list_groups},
    {17, MS_KAFKA_BARRIER | MS_KAFKA_BEFORE_AUTHENTICATION, ms_kafka_sasl_handshake},
    {18, MS_KAFKA_BEFORE_AUTHENTICATION, ms_kafka_api_versions},
    {22, MS_KAFKA_TXN, ms_kafka_init_producer_id},
    {23, 0, ms_kafka_offset_for_leader_epoch},
    {24, MS_KAFKA_TXN, ms_kafka_add_partitions_to_txn},
    {25, MS_KAFKA_TXN, ms_kafka_add_offsets_to_txn},
    {26, MS_KAFKA_TXN, ms_kafka_end_txn},
    {28, MS_KAFKA_TXN | MS_KAFKA_GROUPS, ms_kafka_txn_offset_commit},
    {42, MS_KAFKA_GROUPS, ms_kafka_delete_groups},
    {47, MS_KAFKA_GROUPS, ms_kafka_offset_delete},
    {60, 0, ms_kafka_describe_cluster},
    {61, MS_KAFKA_TXN, ms_kafka_describe_producers},
    {65, MS_KAFKA_TXN, ms_kafka_describe_transactions},
    {66, MS_KAFKA_TXN, ms_kafka_list_transactions},
};
const size_t ms_kafka_handler_count = sizeof ms_kafka_handlers / sizeof *ms_kafka_handlers;
