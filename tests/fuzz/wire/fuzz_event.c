/*
 * Events out of the headers of strangers' records. The input is the encoded headers of a record.
 *
 * Asserted: reading keeps its limits and hands out UTF-8 only; the id found alone is the id found
 * with the rest; an event that passes the check is read back the same after it was written.
 */
#include <stdlib.h>

#include "wire/event.h"

#define MAX ((size_t)8 << 20)
#define TIMESTAMP_MS INT64_C(1700000000123)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct ms_event *a, const struct ms_event *b) {
    MS_ASSERT(ms_bytes_equal(a->id, b->id) && ms_bytes_equal(a->type, b->type));
    MS_ASSERT(a->source.data == NULL || ms_bytes_equal(a->source, b->source));
    MS_ASSERT(ms_bytes_equal(a->version, b->version));
    MS_ASSERT(ms_bytes_equal(a->content_type, b->content_type));
    MS_ASSERT(ms_bytes_equal(a->causation_id, b->causation_id));
    MS_ASSERT(ms_bytes_equal(a->traceparent, b->traceparent));
    MS_ASSERT(ms_bytes_equal(a->metadata, b->metadata) && ms_bytes_equal(a->tags, b->tags));
    MS_ASSERT(b->time_text.data == NULL || ms_bytes_equal(a->time_text, b->time_text));
    MS_ASSERT(b->correlation_id.data == NULL
                  ? a->correlation_id.data == NULL || ms_bytes_equal(a->correlation_id, a->id)
                  : ms_bytes_equal(a->correlation_id, b->correlation_id));
    MS_ASSERT(a->timestamp_ms == b->timestamp_ms && a->extension_count == b->extension_count);
    for (size_t i = 0; i < a->extension_count; i++) {
        MS_ASSERT(ms_bytes_equal(a->extensions[i].name, b->extensions[i].name));
        MS_ASSERT(ms_bytes_equal(a->extensions[i].value, b->extensions[i].value));
    }
}

static void write_and_compare(const struct ms_event *event, struct ms_arena *arena) {
    struct ms_batch_writer writer;
    struct ms_batch_reader reader = {0};
    struct ms_batch_header header;
    struct ms_record record;
    struct ms_event again;
    struct ms_buf out;
    ms_buf_init(&out, MAX);
    MS_ASSERT(ms_batch_begin(&writer, &out, MS_CODEC_NONE, 0) == 0);
    MS_ASSERT(ms_event_write_record(&writer, event, NULL) == 0);
    MS_ASSERT(ms_batch_end(&writer) == 0);
    MS_ASSERT(ms_batch_validate(ms_buf_bytes(&out), MAX, &header, NULL) == 0);
    MS_ASSERT(ms_batch_reader_init(&reader, ms_buf_bytes(&out), MAX, NULL) == 0);
    MS_ASSERT(ms_batch_reader_next(&reader, &record, NULL) == 1);
    MS_ASSERT(ms_event_read_record(&record, arena, &again) == 0);
    check_same(event, &again);
    ms_batch_reader_deinit(&reader);
    ms_buf_deinit(&out);
}

static void check_event(const struct ms_record *record, const struct ms_event *event,
                        struct ms_arena *arena) {
    struct ms_event_limits limits = ms_event_limits_default();
    MS_ASSERT(ms_bytes_equal(event->id, ms_event_record_id(record)));
    MS_ASSERT(event->extension_count <= MS_EVENT_EXTENSIONS_MAX);
    MS_ASSERT(ms_utf8_valid(event->id) && ms_utf8_valid(event->type));
    MS_ASSERT(ms_utf8_valid(event->metadata) && ms_utf8_valid(event->time_text));
    for (size_t i = 0; i < event->extension_count; i++)
        MS_ASSERT(ms_utf8_valid(event->extensions[i].value));
    struct ms_error err;
    if (ms_event_check(event, &limits, &err) == 0 && event->id.data)
        write_and_compare(event, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ms_record record = {.timestamp_ms = TIMESTAMP_MS, .value_is_null = true};
    struct ms_record_header header;
    struct ms_arena arena;
    struct ms_event event;
    size_t at = 0;
    record.headers = ms_bytes_of(data, size);
    while (ms_record_next_header(&record, &at, &header) == 1)
        record.header_count++;
    ms_arena_init(&arena, 64 * 1024);
    if (ms_event_read_record(&record, &arena, &event) == 0)
        check_event(&record, &event, &arena);
    ms_arena_deinit(&arena);
    return 0;
}
