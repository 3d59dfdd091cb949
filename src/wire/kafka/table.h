/*
 * What `generate` makes of a message's description, for the codec and its tests.
 *
 * A struct is a ms_kafka_message as much as a request or a response is: fields in the order of the
 * wire, then the tagged ones by their tags. An array's elements are described by its field: `type`,
 * and `of` when they are structs.
 *
 * Constant; any thread.
 */
#pragma once

#include "wire/kafka/codec.h"

enum ms_kafka_type {
    MS_KAFKA_BOOL,
    MS_KAFKA_INT8,
    MS_KAFKA_INT16,
    MS_KAFKA_INT32,
    MS_KAFKA_INT64,
    MS_KAFKA_FLOAT64,
    MS_KAFKA_UUID,
    MS_KAFKA_STRING,
    MS_KAFKA_BYTES,
    MS_KAFKA_RECORDS,
    MS_KAFKA_STRUCT,
};

#define MS_KAFKA_STRING_MAX INT16_MAX /* in compact form too */

/* Both ends belong to the range; first > last: none. */
struct ms_kafka_versions {
    int16_t first, last;
};
static inline bool ms_kafka_has_version(struct ms_kafka_versions versions, int16_t version) {
    return version >= versions.first && version <= versions.last;
}

struct ms_kafka_field {
    const char *name;
    const struct ms_kafka_message *of; /* of MS_KAFKA_STRUCT */
    uint16_t offset;                   /* in the C struct */
    uint16_t count_offset;             /* of an array's count */
    struct ms_kafka_versions present, nullable;
    enum ms_kafka_type type : 8;
    bool is_array;
    int8_t tag; /* -1 none */
};

struct ms_kafka_message {
    const char *name; /* "Produce request", "topic" */
    const struct ms_kafka_field *fields;
    const void *defaults; /* a C struct */
    uint32_t size;        /* of the C struct */
    uint16_t field_count;
    uint16_t tagged_at; /* index of the first tagged field */
    uint16_t wire_min;  /* no element of an array is shorter; at least 1 */
    struct ms_kafka_versions versions;
    int16_t flexible;
};

/* A struct that may be null is a pointer, all others stand where their field is. */
static inline bool ms_kafka_is_pointer(const struct ms_kafka_field *field) {
    return field->type == MS_KAFKA_STRUCT && !field->is_array &&
           field->nullable.first <= field->nullable.last;
}

/* Of a value in its C struct, also as an element of an array. */
size_t ms_kafka_size_of(const struct ms_kafka_field *field);

/* ms_kafka_apis by key: index, or -1. */
extern const int8_t ms_kafka_index_of_key[];
extern const int16_t ms_kafka_key_max;
