/*
 * The envelope's JSON spellings: plain (Mainstem's field names) and CloudEvents 1.0 (structured,
 * batch, and binary mode over HTTP).
 *
 * Plain, in:   {"event_type":"order.created","data":{…},"event_id":…,"event_version":…,
 *               "timestamp":…,"source":…,"correlation_id":…,"causation_id":…,"traceparent":…,
 *               "metadata":{…},"tags":[…],"content_type":…,"data_base64":…,"extensions":{…}}
 *              or an array of these. Unknown fields and repeated fields are refused by name: a
 *              misspelt field must not vanish. event_version is an integer or "major.minor" text,
 *              both kept as text; extensions are CloudEvents extensions, names to strings.
 * Plain, out:  the same fields, plus stream, topic, partition, offset, version, position,
 *              recorded_at.
 * CloudEvents: id type source time datacontenttype data data_base64 + extensions; specversion must
 *              be "1.0", id and source may be absent. metadata travels as the extension `metadata`
 *              (a string holding the JSON text), tags as `tags` (joined with ','), event_version as
 *              `eventversion`, correlation_id as `correlationid`, causation_id as `causationid`.
 *              dataschema is kept as the extension "dataschema", subject as the extension
 *              "subject": a face sees to it that it is the key, and refuses another one.
 *              Out: extensions stream, streamversion, position, recordedat are added; subject is
 *              the place's key (left out when that is no text), else the extension.
 *
 * Both: null means "not given" for every field but data. data is any JSON value, kept byte for
 * byte, when content_type is JSON or absent; else it is a string whose characters are the data, or
 * data_base64 holds it. data_base64 without a content_type is application/octet-stream unless it
 * holds JSON. Out: data that is JSON by content type and by syntax is embedded byte for byte, line
 * breaks included; all else is data_base64. An absent correlation id is written as the event's id.
 *
 * Sans-I/O; any thread. All parsers: MS_EINVAL with a message that names the event's index, field,
 * line and column, MS_ETOOBIG, MS_ENOMEM.
 */
#pragma once

#include "wire/event.h"
#include "wire/json.h"

enum ms_event_format { MS_FORMAT_JSON, MS_FORMAT_CLOUDEVENTS };

/* Parses one event or an array of them; the events borrow from body and arena. An empty array is
 * legal (0 events, *ret_events NULL: a pure check of the condition). Runs ms_event_check on
 * each. */
int ms_events_parse(enum ms_event_format format, struct ms_bytes body,
                    const struct ms_event_limits *limits, struct ms_arena *arena,
                    struct ms_event **ret_events, size_t *ret_count, struct ms_error *err)
    MS_MUST_CHECK;
/* One event from an already parsed JSON object (for requests that embed events); line and column in
 * messages count from the object's first byte. Runs ms_event_check. */
int ms_event_parse_value(enum ms_event_format format, struct ms_json_value object,
                         const struct ms_event_limits *limits, struct ms_arena *arena,
                         struct ms_event *ret_event, struct ms_error *err) MS_MUST_CHECK;

/* CloudEvents binary mode: one HTTP header at a time ("ce-id" …, "content-type"), names lower case,
 * values unquoted and percent-decoded here as the HTTP binding orders. Headers of other names are
 * ignored (MS_OK). The event borrows from name, value and arena. *event starts as zero but
 * timestamp_ms, MS_TIMESTAMP_NONE; the body is the caller's to set, and so is ms_event_check at the
 * end. On failure *event is as before. */
int ms_event_parse_binary_header(struct ms_event *event, struct ms_bytes name,
                                 struct ms_bytes value, struct ms_arena *arena,
                                 struct ms_error *err) MS_MUST_CHECK;

/* Appends one event as a JSON object; place may be NULL. MS_ENOMEM, MS_ETOOBIG; on failure the
 * buffer is as before. */
int ms_event_write_json(struct ms_buf *out, enum ms_event_format format,
                        const struct ms_event *event, const struct ms_event_place *place)
    MS_MUST_CHECK;

/* True for application/json, text/json and anything ending in +json, parameters ignored. */
bool ms_content_type_is_json(struct ms_bytes content_type);
