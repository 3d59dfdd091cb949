/*
 * Writing events as JSON, plain and as CloudEvents; the contract is in event_json.h.
 *
 * What is written was not always checked by us: records of Kafka producers carry any bytes under
 * any content type. So data and metadata are embedded only after ms_json_parse has accepted them
 * (which is cheap beside sending them), and text that is not UTF-8 is repaired by
 * ms_json_write_string.
 *
 * No state; any thread.
 */
#include <inttypes.h>

#include "base/time.h"
#include "wire/base64.h"
#include "wire/event_json.h"

/* Milliseconds of 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999Z: what RFC 3339 can spell. */
#define TIME_MS_MIN INT64_C(-62135596800000)
#define TIME_MS_MAX INT64_C(253402300799999)

/* An object under construction. The first failure sticks and makes all further puts do nothing, so
 * that the writers below read like the text that they write. */
struct object {
    struct ms_buf *out;
    int error;
};

static void put_bytes(struct object *object, struct ms_bytes bytes) {
    if (object->error == 0)
        object->error = ms_buf_append_bytes(object->out, bytes);
}

/* Opens a member; name needs no escaping. */
static void put_name(struct object *object, const char *name) {
    if (object->error == 0) {
        bool is_first = object->out->data[object->out->len - 1] == '{';
        object->error = ms_buf_printf(object->out, "%s\"%s\":", is_first ? "" : ",", name);
    }
}

static void put_string(struct object *object, struct ms_bytes text) {
    if (object->error == 0)
        object->error = ms_json_write_string(object->out, text);
}

static void put_text(struct object *object, const char *name, struct ms_bytes text) {
    if (!text.data)
        return;
    put_name(object, name);
    put_string(object, text);
}

static void put_json(struct object *object, const char *name, struct ms_bytes json) {
    put_name(object, name);
    put_bytes(object, json);
}

static void put_number(struct object *object, const char *name, int64_t number) {
    put_name(object, name);
    if (object->error == 0)
        object->error = ms_buf_printf(object->out, "%" PRId64, number);
}

static void put_number_text(struct object *object, const char *name, uint64_t number) {
    put_name(object, name);
    if (object->error == 0)
        object->error = ms_buf_printf(object->out, "\"%" PRIu64 "\"", number);
}

static void put_timestamp(struct object *object, const char *name, const struct ms_event *event) {
    char text[MS_TIME_TEXT_MAX];
    if (event->time_text.data)
        put_text(object, name, event->time_text);
    else if (event->timestamp_ms >= TIME_MS_MIN && event->timestamp_ms <= TIME_MS_MAX)
        put_text(object, name, ms_bytes_of(text, ms_time_format_ms(event->timestamp_ms, text)));
}

static void put_recorded_at(struct object *object, const char *name, int64_t us) {
    char text[MS_TIME_TEXT_MAX];
    if (us >= TIME_MS_MIN * 1000 && us / 1000 <= TIME_MS_MAX)
        put_text(object, name, ms_bytes_of(text, ms_time_format_us(us, text)));
}

static bool is_json(struct ms_bytes text, enum ms_json_type *ret_type) {
    struct ms_json_value value;
    if (ms_json_parse(text, MS_JSON_DEPTH_LIMIT, &value, NULL) < 0)
        return false;
    *ret_type = value.type;
    return true;
}

static void put_data(struct object *object, const struct ms_event *event) {
    if (event->data_is_null)
        return;
    enum ms_json_type type;
    bool claims_json = !event->content_type.data || ms_content_type_is_json(event->content_type);
    if (claims_json && is_json(event->data, &type)) {
        put_json(object, "data", event->data);
        return;
    }
    put_name(object, "data_base64");
    put_bytes(object, MS_BYTES_LITERAL("\""));
    if (object->error == 0)
        object->error = ms_base64_write(object->out, event->data);
    put_bytes(object, MS_BYTES_LITERAL("\""));
}

static struct ms_bytes correlation_id(const struct ms_event *event) {
    return event->correlation_id.data ? event->correlation_id : event->id;
}

/* ---- plain ---- */

/* An integer as a number, all else as text. */
static void put_version(struct object *object, struct ms_bytes version) {
    int64_t number;
    bool is_canonical = version.len > 0 && (version.data[0] != '0' || version.len == 1) &&
                        version.data[0] != '-' && ms_parse_i64(version, &number) == 0;
    if (is_canonical)
        put_json(object, "event_version", version);
    else
        put_text(object, "event_version", version);
}

static void put_tags(struct object *object, struct ms_bytes tags) {
    if (tags.len == 0)
        return;
    put_json(object, "tags", MS_BYTES_LITERAL("["));
    const uint8_t *at = tags.data, *end = tags.data + tags.len;
    for (;;) {
        const uint8_t *comma = at < end ? memchr(at, ',', (size_t)(end - at)) : NULL;
        put_string(object, ms_bytes_of(at, (size_t)((comma ? comma : end) - at)));
        if (!comma)
            break;
        put_bytes(object, MS_BYTES_LITERAL(","));
        at = comma + 1;
    }
    put_bytes(object, MS_BYTES_LITERAL("]"));
}

/* Metadata that is no JSON object (a Kafka producer's) is shown as the extension that it is. */
static void put_metadata_and_extensions(struct object *object, const struct ms_event *event) {
    enum ms_json_type type;
    bool is_object =
        event->metadata.data && is_json(event->metadata, &type) && type == MS_JSON_OBJECT;
    if (is_object)
        put_json(object, "metadata", event->metadata);
    bool is_stray = event->metadata.data && !is_object;
    if (!is_stray && event->extension_count == 0)
        return;
    put_json(object, "extensions", MS_BYTES_LITERAL("{"));
    if (is_stray)
        put_text(object, "metadata", event->metadata);
    for (size_t i = 0; i < event->extension_count; i++) {
        if (i > 0 || is_stray)
            put_bytes(object, MS_BYTES_LITERAL(","));
        put_string(object, event->extensions[i].name);
        put_bytes(object, MS_BYTES_LITERAL(":"));
        put_string(object, event->extensions[i].value);
    }
    put_bytes(object, MS_BYTES_LITERAL("}"));
}

static void put_place(struct object *object, const struct ms_event_place *place) {
    put_text(object, "stream", place->stream);
    if (place->version >= 0)
        put_number(object, "version", place->version);
    put_text(object, "topic", place->topic);
    put_number(object, "partition", place->partition);
    put_number(object, "offset", place->offset);
    put_name(object, "position");
    if (object->error == 0)
        object->error = ms_buf_printf(object->out, "%" PRIu64, place->position);
}

static void put_plain(struct object *object, const struct ms_event *event,
                      const struct ms_event_place *place) {
    put_text(object, "event_id", event->id);
    put_text(object, "event_type", event->type);
    put_version(object, event->version);
    if (place)
        put_place(object, place);
    put_timestamp(object, "timestamp", event);
    if (place)
        put_recorded_at(object, "recorded_at", place->recorded_at_us);
    put_text(object, "source", event->source);
    put_text(object, "correlation_id", correlation_id(event));
    put_text(object, "causation_id", event->causation_id);
    put_text(object, "traceparent", event->traceparent);
    put_tags(object, event->tags);
    put_metadata_and_extensions(object, event);
    put_text(object, "content_type", event->content_type);
    put_data(object, event);
}

/* ---- CloudEvents ---- */

static bool is_place_extension(struct ms_bytes name) {
    static const char *const names[] = {"stream", "streamversion", "position", "recordedat"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (ms_bytes_equal_cstr(name, names[i]))
            return true;
    }
    return false;
}

static void put_cloudevents_place(struct object *object, const struct ms_event_place *place) {
    bool is_text = place->key.len > 0 && ms_utf8_valid(place->key);
    if (!place->key_is_null && is_text)
        put_text(object, "subject", place->key);
    put_text(object, "stream", place->stream);
    if (place->version >= 0)
        put_number_text(object, "streamversion", (uint64_t)place->version);
    put_number_text(object, "position", place->position);
    put_recorded_at(object, "recordedat", place->recorded_at_us);
}

static void put_cloudevent(struct object *object, const struct ms_event *event,
                           const struct ms_event_place *place) {
    put_json(object, "specversion", MS_BYTES_LITERAL("\"1.0\""));
    put_text(object, "id", event->id);
    put_text(object, "source", event->source.data ? event->source : MS_BYTES_LITERAL("mainstem"));
    put_text(object, "type", event->type);
    put_timestamp(object, "time", event);
    if (place)
        put_cloudevents_place(object, place);
    put_text(object, "eventversion", event->version);
    put_text(object, "correlationid", correlation_id(event));
    put_text(object, "causationid", event->causation_id);
    put_text(object, "traceparent", event->traceparent);
    put_text(object, "tags", event->tags);
    put_text(object, "metadata", event->metadata);
    bool has_key = place && !place->key_is_null;
    for (size_t i = 0; i < event->extension_count; i++) {
        const struct ms_extension *extension = &event->extensions[i];
        if ((has_key && ms_bytes_equal_cstr(extension->name, "subject")) ||
            (place && is_place_extension(extension->name)))
            continue;
        put_bytes(object, MS_BYTES_LITERAL(","));
        put_string(object, extension->name);
        put_bytes(object, MS_BYTES_LITERAL(":"));
        put_string(object, extension->value);
    }
    if (event->content_type.data)
        put_text(object, "datacontenttype", event->content_type);
    else if (!event->data_is_null)
        put_text(object, "datacontenttype", MS_BYTES_LITERAL("application/json"));
    put_data(object, event);
}

int ms_event_write_json(struct ms_buf *out, enum ms_event_format format,
                        const struct ms_event *event, const struct ms_event_place *place) {
    size_t before = out->len;
    struct object object = {out, 0};
    put_bytes(&object, MS_BYTES_LITERAL("{"));
    switch (format) {
    case MS_FORMAT_JSON:
        put_plain(&object, event, place);
        break;
    case MS_FORMAT_CLOUDEVENTS:
        put_cloudevent(&object, event, place);
        break;
    }
    put_bytes(&object, MS_BYTES_LITERAL("}"));
    if (object.error < 0)
        out->len = before;
    return object.error;
}
