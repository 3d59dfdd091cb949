/* From settings to the options of the parts that serve. One thread. */
#pragma once

#include "face/http/http.h"
#include "face/kafka/kafka.h"
#include "group/service.h"
#include "projection/projections.h"
#include "server/config.h"
#include "server/log_output.h"
#include "txn/service.h"

/* Strings are borrowed from the configuration. Callbacks are left as they are. */
void ms_serve_store_options(const struct ms_config *config, struct ms_store_options *ret_options);
/* Lists of names live in the arena, the rest as above. MS_ENOMEM. */
int ms_serve_http_options(const struct ms_config *config, struct ms_arena *arena,
                          struct ms_http_options *ret_options, struct ms_error *err) MS_MUST_CHECK;
/* The name of the advertised host lives in the arena, the rest as above. MS_ENOMEM. */
void ms_serve_groups_options(const struct ms_config *config, const struct ms_env *env,
                             struct ms_groups_options *ret_options);
void ms_serve_projections_options(const struct ms_config *config,
                                  struct ms_projections_options *ret_options);
void ms_serve_txns_options(const struct ms_config *config, const struct ms_env *env,
                           struct ms_txns_options *ret_options);
int ms_serve_kafka_options(const struct ms_config *config, struct ms_arena *arena,
                           struct ms_kafka_options *ret_options, struct ms_error *err)
    MS_MUST_CHECK;
/* Level, format and slow-operation time of the log output. */
void ms_serve_apply_logging(const struct ms_config *config);
