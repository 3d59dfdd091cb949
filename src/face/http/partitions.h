/* The partitions of a topic as GET /v1/topics/{topic}/partitions answers them. */
#pragma once

#include "store/partitions.h"

/* Appends {"topic":…,"partitions":[…]}. Any thread; blocks for I/O. MS_ENOTFOUND, MS_EIO,
 * MS_ECORRUPT, MS_ENOMEM, MS_ETOOBIG. */
int ms_http_partitions_write(struct ms_buf *out, struct ms_store *store, struct ms_bytes topic,
                             struct ms_error *err) MS_MUST_CHECK;
