/*
 * The face's settings, shared by all loops: an immutable copy of the options, replaced as a whole
 * by a reload. Each loop holds a reference to the one it works with and takes over a newer one
 * between two turns. Any thread.
 */
#pragma once

#include <stdatomic.h>

#include "face/kafka/kafka.h"

struct ms_kafka_config {
    atomic_uint refs;
    struct ms_kafka_options options; /* strings are this object's own */
};

/* MS_ENOMEM, MS_EINVAL (a limit that makes no sense; *err names it). */
int ms_kafka_config_new(const struct ms_kafka_options *options, struct ms_kafka_config **ret_config,
                        struct ms_error *err) MS_MUST_CHECK;
struct ms_kafka_config *ms_kafka_config_ref(struct ms_kafka_config *config);
void ms_kafka_config_unref(struct ms_kafka_config *config); /* takes NULL */
