/* The table of handlers; see handlers.h. A constant. */
#include "face/kafka/handlers.h"

/* By key. */
const struct ms_kafka_handler ms_kafka_handlers[] = {
    {17, MS_KAFKA_BARRIER | MS_KAFKA_BEFORE_AUTHENTICATION, ms_kafka_sasl_handshake},
    {18, MS_KAFKA_BEFORE_AUTHENTICATION, ms_kafka_api_versions},
};
const size_t ms_kafka_handler_count = sizeof ms_kafka_handlers / sizeof *ms_kafka_handlers;
