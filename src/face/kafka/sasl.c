/* Authentication: no mechanism is offered yet, and clients are told so. */
#include "face/kafka/handlers.h"
#include "face/kafka/request.h"
#include "wire/kafka/messages.h"

#define UNSUPPORTED_SASL_MECHANISM 33

void ms_kafka_sasl_handshake(struct ms_kafka_request *request) {
    struct ms_kafka_sasl_handshake_response response = ms_kafka_sasl_handshake_response_default;
    response.error_code = UNSUPPORTED_SASL_MECHANISM;
    ms_kafka_request_note_error(request, response.error_code);
    ms_kafka_answer(request, &response);
}
