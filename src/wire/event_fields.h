/*
 * What the JSON spellings of events share; private to src/wire/event_json*.c and
 * event_cloudevents.c, see event_json.h for the contract.
 *
 * A reader fills one event. It remembers which field is at hand, so that every refusal can say
 * where it happened without the parsers passing that along.
 */
#pragma once

#include "wire/event_json.h"

struct ms_event_reader {
    struct ms_event *event;
    struct ms_arena *arena;
    struct ms_error *err;
    const struct ms_event_limits *limits; /* unused when reading HTTP headers */
    struct ms_bytes body;  /* lines and columns count in it; data NULL when reading HTTP headers */
    size_t index;          /* of the event in its list, SIZE_MAX when it stands alone */
    struct ms_bytes field; /* the field at hand, without "ce-"; data NULL before the first */
    const uint8_t *place;  /* where in body the field's value begins */
    uint64_t seen;         /* one bit per row of the spelling's table */
    struct ms_json_value data, data_base64; /* text.data NULL = not given */
};

/* Fills err with the place at hand and the message; returns code. */
int ms_event_refuse(const struct ms_event_reader *reader, int code, const char *format, ...)
    MS_PRINTF(3, 4);

/* Marks a table's row as seen; refuses a second time. */
int ms_event_mark_seen(struct ms_event_reader *reader, size_t row) MS_MUST_CHECK;
/* Set fields from text. What ms_event_check finds out at the end is not checked here, unless
 * knowing the line is worth it. All: MS_EINVAL, MS_ETOOBIG, MS_ENOMEM. */
int ms_event_set_text(struct ms_event_reader *reader, struct ms_bytes text, struct ms_bytes *to)
    MS_MUST_CHECK;
int ms_event_set_time(struct ms_event_reader *reader, struct ms_bytes text, struct ms_bytes *to)
    MS_MUST_CHECK;
int ms_event_add_extension(struct ms_event_reader *reader, struct ms_bytes name,
                           struct ms_bytes value) MS_MUST_CHECK;

/* Reads the members of a CloudEvent. */
int ms_event_read_cloudevent(struct ms_event_reader *reader, struct ms_json_value object)
    MS_MUST_CHECK;
