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
    {23, 0, ms_kafka_offset_for_leader_epoch},
    {42, MS_KAFKA_GROUPS, ms_kafka_delete_groups},
    {47, MS_KAFKA_GROUPS, ms_kafka_offset_delete},
    {60, 0, ms_kafka_describe_cluster},
    {68, MS_KAFKA_GROUPS, ms_kafka_consumer_group_heartbeat},
    {69, MS_KAFKA_GROUPS, ms_kafka_consumer_group_describe},
};
const size_t ms_kafka_handler_count = sizeof ms_kafka_handlers / sizeof *ms_kafka_handlers;
