/* Our error codes as Kafka's; see errors.h. */
#include "face/kafka/errors.h"

#include "base/error.h"

enum ms_kafka_error ms_kafka_error_of(int code) {
    switch ((enum ms_error_code)code) {
    case MS_OK:
        return MS_KAFKA_NONE;
    case MS_EINVAL:
    case MS_ENEEDMORE:
    case MS_EMEDIATYPE:
        return MS_KAFKA_INVALID_RECORD;
    case MS_ECRC:
        return MS_KAFKA_CORRUPT_MESSAGE;
    case MS_ENOTFOUND:
        return MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    case MS_ETIMESTAMP:
        return MS_KAFKA_INVALID_TIMESTAMP;
    case MS_EEXIST:
        return MS_KAFKA_TOPIC_ALREADY_EXISTS;
    case MS_ETOOBIG:
        return MS_KAFKA_MESSAGE_TOO_LARGE;
    case MS_ERESERVED:
        return MS_KAFKA_TOPIC_AUTHORIZATION_FAILED;
    case MS_EUNSUPPORTED:
        return MS_KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
    case MS_EDELETED:
    case MS_ETOMBSTONED:
    case MS_ELIMIT:
    case MS_ECONFLICT:
    case MS_EIDCONFLICT:
    case MS_EQUERYCONDITION:
    case MS_ENOSTREAMS:
        return MS_KAFKA_POLICY_VIOLATION;
    case MS_ESEQUENCE:
        return MS_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
    case MS_EFENCED:
        return MS_KAFKA_INVALID_PRODUCER_EPOCH;
    case MS_ENOTXN:
        return MS_KAFKA_INVALID_TXN_STATE;
    case MS_ENOTEMPTY:
        return MS_KAFKA_NON_EMPTY_GROUP;
    case MS_ETIMEOUT:
        return MS_KAFKA_REQUEST_TIMED_OUT;
    case MS_ESCAVENGED:
        return MS_KAFKA_OFFSET_OUT_OF_RANGE;
    case MS_ENOMEM:
    case MS_EIO:
    case MS_ENOSPC:
    case MS_EUNKNOWN:
    case MS_ECORRUPT:
    case MS_EAGAIN:
    case MS_ECLOSED:
        return MS_KAFKA_STORAGE_ERROR;
    case MS_EINCOMPLETE:
    case MS_EFORMAT:
    case MS_ELOCKED:
    case MS_ECANCELED:
    case MS_ENOTAPPLIED:
        return MS_KAFKA_UNKNOWN_SERVER_ERROR;
    }
    return MS_KAFKA_UNKNOWN_SERVER_ERROR;
}
