/* What the statements under "-- on:" know of an event, and its type. The table is all there is: the
 * documentation repeats it, and a test compares. */
#pragma once

/* X(constant, name, MS_SQL_TYPE_…) */
#define MS_EVENT_PARAMETER_LIST(X)                                                                 \
    X(DATA, "data", JSON)                                                                          \
    X(METADATA, "metadata", JSON)                                                                  \
    X(EVENT_ID, "event_id", TEXT)                                                                  \
    X(EVENT_TYPE, "event_type", TEXT)                                                              \
    X(EVENT_VERSION, "event_version", BIGINT)                                                      \
    X(STREAM, "stream", TEXT)                                                                      \
    X(KEY, "key", TEXT)                                                                            \
    X(VERSION, "version", BIGINT)                                                                  \
    X(POSITION, "position", BIGINT)                                                                \
    X(OFFSET, "offset", BIGINT)                                                                    \
    X(TIMESTAMP, "timestamp", TEXT)                                                                \
    X(SOURCE, "source", TEXT)                                                                      \
    X(CORRELATION_ID, "correlation_id", TEXT)                                                      \
    X(CAUSATION_ID, "causation_id", TEXT)

enum ms_event_parameter {
#define X(constant, name, type) MS_EVENT_PARAMETER_##constant,
    MS_EVENT_PARAMETER_LIST(X)
#undef X
        MS_EVENT_PARAMETER_COUNT
};
