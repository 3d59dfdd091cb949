/*
 * Kafka's protocol messages: one description per message, one codec for all of them.
 *
 *   messages/NN_name.msg   what each request and response looks like, field by field, with the
 *                          versions that have the field
 *   generate               turns them, when Mainstem is built, into C structs and tables of fields
 *                          (wire/kafka/messages.h, messages.c)
 *   decode.c, encode.c     read and write by such a table, classic and flexible versions
 *   api.c                  the table of APIs: key, versions, which two messages
 *
 * A decoded message is a C struct; strings and byte fields borrow from the bytes that were decoded,
 * arrays and nested structs live in the arena. In the structs:
 *
 *   bool, int8 … int64, float64   as such
 *   string, bytes                 struct ms_bytes; data NULL = null (an empty one has data)
 *   uuid                          struct ms_uuid
 *   records                       struct ms_kafka_records, see below
 *   [] of something               pointer `x` and `int32_t x_count`, -1 = null
 *   a nullable struct             pointer, NULL = null
 *
 * A field that a version does not have gets its default when it is decoded and is left out when it
 * is encoded. Defaults are not all zeroes: who makes a message starts every struct from its
 * x_default. Where null can't be, a string without data is sent as an empty one. Unknown tagged
 * fields are skipped. Arrays' counts are believed only as far as the
 * bytes that are there could hold so many.
 *
 * Sans-I/O; any thread. Specification: the Kafka protocol guide; KIP-482 (flexible versions),
 * KIP-511 (ApiVersions).
 */
#pragma once

#include "base/arena.h"
#include "base/uuid.h"

/* Record batches inside a message. Decoded: `bytes` borrows, data NULL = null. Encoded: `bytes`, or
 * when `slices` is set, slice_count slices that are not copied: the output names their place. */
struct ms_kafka_records {
    struct ms_bytes bytes;
    struct ms_slice *slices;
    size_t slice_count;
    size_t slice_bytes; /* of all of them */
};

struct ms_kafka_message; /* table of fields, wire/kafka/table.h; opaque here */

struct ms_kafka_api {
    int16_t key;
    const char *name;   /* "Produce" */
    int16_t min, max;   /* advertised by ApiVersions; max is also the highest decoded */
    int16_t decode_min; /* versions below it are advertised for old clients' sake, but
                                     can't be decoded */
    int16_t flexible;   /* first flexible version; INT16_MAX none */
    int16_t index;      /* dense, from 0: for tables by API (handlers, metrics) */
    const struct ms_kafka_message *request, *response;
};

/* The APIs in order of their keys. */
extern const struct ms_kafka_api ms_kafka_apis[];
extern const size_t ms_kafka_api_count;
/* NULL: no such key is spoken here. */
const struct ms_kafka_api *ms_kafka_api_find(int16_t key);

/* ---- headers ---- */

#define MS_KAFKA_REQUEST_HEADER_MIN 10u /* key, version, correlation id, a null client id */

struct ms_kafka_request_header {
    int16_t key, version;
    int32_t correlation_id;
    struct ms_bytes client_id; /* data NULL = null */
};
/* Reads the header of a request (the bytes behind the frame's size); *ret_body is what follows.
 * Whether the version has a flexible header is looked up by key; that of an unknown key or version
 * is read as the oldest form, so that key, version and correlation id are known for an answer.
 * MS_EINVAL: truncated or malformed. */
int ms_kafka_read_request_header(struct ms_bytes frame, struct ms_kafka_request_header *ret_header,
                                 struct ms_bytes *ret_body, struct ms_error *err) MS_MUST_CHECK;

/* ---- bodies ---- */

/* Decodes the message that `bytes` begin with into a new struct of the arena. What is behind it is
 * ignored, as by Kafka: there are clients that leave some there (librdkafka 2.0.2). MS_EINVAL
 * names message, field and
 * byte; MS_EUNSUPPORTED the version; MS_ENOMEM: the arena is exhausted. */
int ms_kafka_decode(const struct ms_kafka_message *message, int16_t version, struct ms_bytes bytes,
                    struct ms_arena *arena, void **ret_struct, struct ms_error *err) MS_MUST_CHECK;

/* What is encoded: the bytes of `head`, with slices standing between them.
 *
 *   head   | …… | …………… | … |
 *               ^ cut[0] ^ cut[1]: here the slices of a records field belong */
struct ms_kafka_cut {
    size_t at; /* in head */
    const struct ms_kafka_records *records;
};
struct ms_kafka_output {
    struct ms_buf head;
    struct ms_kafka_cut *cuts; /* in the order of `at`; in the arena */
    size_t cut_count, cut_capacity;
    size_t slice_bytes; /* of all cuts */
    struct ms_arena *arena;
};
/* Appends a message. MS_ENOMEM, MS_ETOOBIG (the buffer's maximum), MS_EINVAL (a string longer than
 * its length field can say, a null array where null can't be), MS_EUNSUPPORTED (version). The
 * output is then as before. Start with a zeroed output, a `head` with its maximum and an arena;
 * what it points to, `value` with its records too, must stay until the output was sent. */
int ms_kafka_encode(const struct ms_kafka_message *message, int16_t version, const void *value,
                    struct ms_kafka_output *output, struct ms_error *err) MS_MUST_CHECK;
/* Appends a whole response frame: size, response header, body. The size counts the slices. */
int ms_kafka_encode_response(const struct ms_kafka_api *api, int16_t version,
                             int32_t correlation_id, const void *value,
                             struct ms_kafka_output *output, struct ms_error *err) MS_MUST_CHECK;
/* The same for a request: tests and our own tools are clients too. */
int ms_kafka_encode_request(const struct ms_kafka_api *api, int16_t version, int32_t correlation_id,
                            struct ms_bytes client_id, const void *value,
                            struct ms_kafka_output *output, struct ms_error *err) MS_MUST_CHECK;
