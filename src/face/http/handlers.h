/*
 * What the routes start. Each is called on the loop's thread with a complete, checked request and
 * either answers it at once or hands it over (request.h).
 */
#pragma once

#include "face/http/request.h"

/* append.c */
void ms_http_append_start(struct ms_http_request *request);
/* Hands request->append to the store, or parks the request while the store has no room; `resume`
 * answers. */
void ms_http_append_submit(struct ms_http_request *request,
                           void (*resume)(struct ms_http_request *request));
/* Answers by `answer`: at once, or when a reader has seen that a repeated Idempotency-Key was not
 * used for more events than these. */
void ms_http_append_answer(struct ms_http_request *request,
                           void (*answer)(struct ms_http_request *request));
/* Tries a parked append again; true when it is no longer parked. */
bool ms_http_append_retry(struct ms_http_request *request);
/* append_multi.c */
void ms_http_append_multi_start(struct ms_http_request *request);
/* reads.c */
void ms_http_read_stream_start(struct ms_http_request *request);
void ms_http_read_all_start(struct ms_http_request *request);
/* documents.c */
void ms_http_delete_stream_start(struct ms_http_request *request);
void ms_http_get_metadata_start(struct ms_http_request *request);
void ms_http_put_metadata_start(struct ms_http_request *request);
void ms_http_get_snapshot_start(struct ms_http_request *request);
int ms_http_snapshot_prepare(struct ms_http_request *request, struct ms_error *err) MS_MUST_CHECK;
void ms_http_put_snapshot_start(struct ms_http_request *request);
/* topics.c */
void ms_http_list_topics_start(struct ms_http_request *request);
void ms_http_get_topic_start(struct ms_http_request *request);
void ms_http_put_topic_start(struct ms_http_request *request);
void ms_http_delete_topic_start(struct ms_http_request *request);
void ms_http_list_streams_start(struct ms_http_request *request);
/* partitions.c */
void ms_http_list_partitions_start(struct ms_http_request *request);
/* projections.c, queries.c */
void ms_http_list_projections_start(struct ms_http_request *request);
void ms_http_get_projection_start(struct ms_http_request *request);
void ms_http_put_projection_start(struct ms_http_request *request);
void ms_http_delete_projection_start(struct ms_http_request *request);
void ms_http_projection_errors_start(struct ms_http_request *request);
void ms_http_projection_verb_start(struct ms_http_request *request);
void ms_http_query_start(struct ms_http_request *request);

/* groups.c, group_reset.c */
void ms_http_list_groups_start(struct ms_http_request *request);
void ms_http_get_group_start(struct ms_http_request *request);
void ms_http_delete_group_start(struct ms_http_request *request);
void ms_http_reset_group_start(struct ms_http_request *request);
/* system.c */
void ms_http_health_start(struct ms_http_request *request);
void ms_http_ready_start(struct ms_http_request *request);
void ms_http_metrics_start(struct ms_http_request *request);
void ms_http_info_start(struct ms_http_request *request);
/* admin.c */
void ms_http_backup_start(struct ms_http_request *request);
void ms_http_scavenge_start(struct ms_http_request *request);
void ms_http_scavenge_status_start(struct ms_http_request *request);
/* openapi.c */
void ms_http_openapi_start(struct ms_http_request *request);
