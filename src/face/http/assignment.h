/* What a member of a consumer group was assigned, as JSON. Sans-I/O; any thread. */
#pragma once

#include "base/bytes.h"

/* Appends `"assigned":[{"topic":"order","partitions":[0,1]},…]`. Only Kafka's consumer protocol is
 * understood (ConsumerProtocolAssignment, the assignments of protocol type "consumer"); of anything
 * else `"assigned":null,"assignment_base64":"…"`. No bytes are no partitions. MS_ENOMEM,
 * MS_ETOOBIG. */
int ms_http_assignment_write(struct ms_buf *out, struct ms_bytes protocol_type,
                             struct ms_bytes assignment) MS_MUST_CHECK;
