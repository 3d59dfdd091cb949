/*
 * The values that an event's parameters have, for whichever database: what docs/projections.md
 * calls ":data", ":stream" … One thread.
 */
#pragma once

#include "base/time.h"
#include "projection/event_parameters.h"
#include "store/store.h"

enum ms_value_kind {
    MS_VALUE_NULL,
    MS_VALUE_INTEGER,
    MS_VALUE_DOUBLE,
    MS_VALUE_BOOLEAN, /* in `integer` */
    MS_VALUE_TEXT,
    MS_VALUE_JSON, /* in `text` */
};

/* A value on its way into a database or out of one. */
struct ms_value {
    enum ms_value_kind kind;
    int64_t integer;
    double number;
    struct ms_bytes text; /* borrowed */
};

struct ms_event_values {
    const struct ms_read_event *event;
    bool data_known, data_is_json;
    char timestamp[MS_TIME_TEXT_MAX];
};

/* The event is borrowed for as long as the values are used. */
void ms_event_values_init(struct ms_event_values *values, const struct ms_read_event *event);
/* Absent fields are null. So is :data of an event whose data is not JSON. */
struct ms_value ms_event_value(struct ms_event_values *values, enum ms_event_parameter parameter);
