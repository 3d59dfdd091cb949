/*
 * The event envelope (DESIGN section 2) and its storage form, the CloudEvents Kafka binding in
 * binary mode.
 *
 *   envelope field    record                       note
 *   event_id          header ce_id                 any unique string; made by the server (UUIDv7)
 *                                                  when absent
 *   event_type        header ce_type
 *   source            header ce_source             "mainstem" when absent: CloudEvents demands one
 *   (specversion)     header ce_specversion        "1.0"
 *   timestamp         record timestamp, ms         header ce_time only when the text given is not
 *                                                  exactly that instant
 *   content type      header content-type          application/json when absent, which is also how
 *                                                  a record without it but with ce_id reads
 *   event_version     header ce_eventversion       left out when absent
 *   correlation_id    header ce_correlationid      left out when it is the event's own id; absent
 *                                                  after reading then, writers of JSON put the id
 *   causation_id      header ce_causationid
 *   traceparent       header ce_traceparent
 *   tags              header ce_tags               joined with ','; a tag is 1..128 bytes without
 *                                                  ',' and control bytes
 *   metadata          header ce_metadata           the JSON object's bytes as received
 *   other extensions  header ce_<name>
 *   key               record key                   the stream's key
 *   data              record value                 exactly the bytes received; null = none
 *
 * A record without ce_id is an event too: its type is the topic's name, its id
 * "topic/partition/offset".
 *
 * Sans-I/O; any thread.
 */
#pragma once

#include "base/arena.h"
#include "wire/batch.h"

struct ms_extension {
    struct ms_bytes name, value; /* name without "ce_" */
};

/* An event as given by a client or as read back. All bytes are borrowed; an empty ms_bytes with
 * data == NULL = absent. Strings are valid UTF-8. */
struct ms_event {
    struct ms_bytes id, type, source, version, content_type;
    struct ms_bytes correlation_id, causation_id, traceparent;
    struct ms_bytes time_text; /* RFC 3339 as given, kept if it says more than timestamp_ms does */
    int64_t timestamp_ms;      /* MS_TIMESTAMP_NONE = let the server stamp it */
    struct ms_bytes data;
    bool data_is_null;
    struct ms_bytes metadata; /* a JSON object's bytes */
    struct ms_bytes tags;     /* joined with ',' as stored */
    const struct ms_extension *extensions;
    size_t extension_count;
};
#define MS_TIMESTAMP_NONE INT64_MIN
#define MS_EVENT_EXTENSIONS_MAX 64u
#define MS_EVENT_EXTENSION_NAME_MAX 20u
#define MS_EVENT_TAG_MAX 128u

/* The one place for limits of events; see ms_event_limits_default. */
struct ms_event_limits {
    size_t event_bytes_max;  /* data, metadata and the values of all other fields of one event */
    size_t append_bytes_max; /* all events of one append */
    size_t append_events_max;
    size_t name_bytes_max; /* streams, types, ids … */
    size_t json_depth_max;
};
struct ms_event_limits ms_event_limits_default(void); /* 16 MiB, 64 MiB, 100,000, 512, 64 */

/* Checks the fields' shapes and sizes: type present; names 1..name_bytes_max bytes of printable
 * UTF-8 (no control characters, no U+FFFE and U+FFFF); version an integer or major.minor of up to
 * nine digits each; time parseable; tags as above; metadata a JSON object; at most
 * MS_EVENT_EXTENSIONS_MAX extensions with different names [a-z0-9]{1,20} that are no field of the
 * envelope. Whether data is what the content type says is not looked at. MS_EINVAL or MS_ETOOBIG;
 * *err names the field, and the limit where there is one. */
int ms_event_check(const struct ms_event *event, const struct ms_event_limits *limits,
                   struct ms_error *err) MS_MUST_CHECK;

/* Adds the event as a record to a batch. It has passed ms_event_check, and id, type and
 * timestamp_ms are set by now. key NULL = null key. MS_ETOOBIG, MS_ENOMEM, MS_EINVAL (timestamp too
 * far from the batch's, extensions that ms_event_check refuses); the batch is withdrawn then, see
 * ms_batch_end. */
int ms_event_write_record(struct ms_batch_writer *writer, const struct ms_event *event,
                          const struct ms_bytes *key) MS_MUST_CHECK;

/* Reads a record back. Borrowed from the record's memory; extensions (and nothing else) live in the
 * arena.
 *
 * For records without ce_id, id and type stay absent unless a header says otherwise: the caller
 * fills them from topic, partition and offset. content_type is application/json when a record with
 * ce_id doesn't name one, and absent when a record without ce_id doesn't. correlation_id is absent
 * when it is the event's own id.
 *
 * Kafka clients may have written the record, so this never fails over what a header says: headers
 * that do not begin with "ce_" and are not content-type, null and empty ones, values that are not
 * UTF-8, extension names that are not [a-z0-9]+, further headers of a name, and extensions past
 * MS_EVENT_EXTENSIONS_MAX are skipped. Beyond UTF-8 values are not checked: whoever embeds data or
 * metadata as JSON must make sure that it is.
 *
 * MS_EINVAL (the record itself is damaged), MS_ENOMEM. */
int ms_event_read_record(const struct ms_record *record, struct ms_arena *arena,
                         struct ms_event *ret_event) MS_MUST_CHECK;
/* Only the id, found without touching anything else (for idempotence); absent when there is none.
 */
struct ms_bytes ms_event_record_id(const struct ms_record *record);

/* Where an event stands; with the event, all that a reader is told. */
struct ms_event_place {
    struct ms_bytes stream; /* text form; absent for a record with a null key */
    struct ms_bytes topic;
    struct ms_bytes key;
    bool key_is_null;
    uint32_t partition;
    int64_t offset;
    int64_t version; /* -1 when it belongs to no stream */
    uint64_t position;
    int64_t recorded_at_us; /* commit time of its block */
};
