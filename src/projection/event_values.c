/* An event's fields as values; see event_values.h. */
#include "projection/event_values.h"

#include "wire/json.h"

#define FIRST_SCHEMA 1 /* of an event that names no version */

static struct ms_value null_value(void) { return (struct ms_value){.kind = MS_VALUE_NULL}; }

static struct ms_value integer_value(int64_t integer) {
    return (struct ms_value){.kind = MS_VALUE_INTEGER, .integer = integer};
}

static struct ms_value text_value(struct ms_bytes text) {
    if (text.data == NULL)
        return null_value();
    return (struct ms_value){.kind = MS_VALUE_TEXT, .text = text};
}

static struct ms_value json_value(struct ms_bytes text) {
    if (text.data == NULL)
        return null_value();
    return (struct ms_value){.kind = MS_VALUE_JSON, .text = text};
}

void ms_event_values_init(struct ms_event_values *values, const struct ms_read_event *event) {
    values->event = event;
    values->data_known = false;
    values->timestamp[0] = '\0';
}

static struct ms_value data_of(struct ms_event_values *values) {
    const struct ms_event *event = &values->event->event;
    struct ms_json_value ignored;
    if (event->data_is_null || event->data.data == NULL)
        return null_value();
    if (!values->data_known) {
        values->data_is_json = ms_json_parse(event->data, MS_JSON_DEPTH_LIMIT, &ignored, NULL) == 0;
        values->data_known = true;
    }
    return values->data_is_json ? json_value(event->data) : null_value();
}

/* "2.1" is schema 2. */
static struct ms_value schema_of(const struct ms_event *event) {
    int64_t number = 0;
    if (event->version.len == 0)
        return integer_value(FIRST_SCHEMA);
    for (size_t i = 0; i < event->version.len && event->version.data[i] != '.'; i++)
        number = number * 10 + (event->version.data[i] - '0');
    return integer_value(number);
}

static struct ms_value timestamp_of(struct ms_event_values *values) {
    if (values->timestamp[0] == '\0')
        ms_time_format_ms(values->event->event.timestamp_ms, values->timestamp);
    return text_value(ms_bytes_cstr(values->timestamp));
}

struct ms_value ms_event_value(struct ms_event_values *values, enum ms_event_parameter parameter) {
    const struct ms_event *event = &values->event->event;
    const struct ms_event_place *place = &values->event->place;
    switch (parameter) {
    case MS_EVENT_PARAMETER_DATA:
        return data_of(values);
    case MS_EVENT_PARAMETER_METADATA:
        return json_value(event->metadata);
    case MS_EVENT_PARAMETER_EVENT_ID:
        return text_value(event->id);
    case MS_EVENT_PARAMETER_EVENT_TYPE:
        return text_value(event->type);
    case MS_EVENT_PARAMETER_EVENT_VERSION:
        return schema_of(event);
    case MS_EVENT_PARAMETER_STREAM:
        return text_value(place->stream);
    case MS_EVENT_PARAMETER_KEY:
        return place->key_is_null ? null_value() : text_value(place->key);
    case MS_EVENT_PARAMETER_VERSION:
        return place->version < 0 ? null_value() : integer_value(place->version);
    case MS_EVENT_PARAMETER_POSITION:
        return integer_value((int64_t)place->position);
    case MS_EVENT_PARAMETER_OFFSET:
        return integer_value(place->offset);
    case MS_EVENT_PARAMETER_TIMESTAMP:
        return timestamp_of(values);
    case MS_EVENT_PARAMETER_SOURCE:
        return text_value(event->source);
    case MS_EVENT_PARAMETER_CORRELATION_ID:
        return text_value(event->correlation_id.data != NULL ? event->correlation_id : event->id);
    case MS_EVENT_PARAMETER_CAUSATION_ID:
        return text_value(event->causation_id);
    case MS_EVENT_PARAMETER_COUNT:
        break;
    }
    return null_value();
}
