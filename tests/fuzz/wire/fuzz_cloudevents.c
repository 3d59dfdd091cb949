/*
 * CloudEvents. An input that begins with '{' or '[' is a JSON body; any other is binary mode: lines
 * "name:value", an empty line, and the body. What was read is written in both spellings and must be
 * JSON; a JSON body's events are read back and written the same.
 */
#include "wire/event_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA_MAX ((size_t)1 << 20)
#define OUT_MAX ((size_t)1 << 20)

static const struct ms_event_limits limits = {.event_bytes_max = 1000,
                                              .append_bytes_max = 2000,
                                              .append_events_max = 10,
                                              .name_bytes_max = 100,
                                              .json_depth_max = 10};
static const struct ms_event_limits limits_back = {.event_bytes_max = 10000,
                                                   .append_bytes_max = 20000,
                                                   .append_events_max = 1,
                                                   .name_bytes_max = 100,
                                                   .json_depth_max = 20};

/* Also for events that no check has seen, like those of Kafka producers. */
static void check_written(const struct ms_event *event, struct ms_bytes key) {
    struct ms_event_place place = {.stream = key, .topic = key, .key = key};
    struct ms_buf out;
    struct ms_json_value value;
    ms_buf_init(&out, OUT_MAX);
    for (int format = MS_FORMAT_JSON; format <= MS_FORMAT_CLOUDEVENTS; format++) {
        ms_buf_clear(&out);
        MS_ASSERT(ms_event_write_json(&out, format, event, &place) == 0);
        MS_ASSERT(ms_json_parse(ms_buf_bytes(&out), MS_JSON_DEPTH_LIMIT, &value, NULL) == 0);
        MS_ASSERT(value.type == MS_JSON_OBJECT && value.text.len == out.len);
    }
    ms_buf_deinit(&out);
}

static void check_read_back(const struct ms_event *event, struct ms_arena *arena) {
    struct ms_buf first, second;
    struct ms_event *back;
    size_t count;
    struct ms_error err;
    ms_buf_init(&first, OUT_MAX);
    ms_buf_init(&second, OUT_MAX);
    MS_ASSERT(ms_event_write_json(&first, MS_FORMAT_CLOUDEVENTS, event, NULL) == 0);
    MS_ASSERT(ms_events_parse(MS_FORMAT_CLOUDEVENTS, ms_buf_bytes(&first), &limits_back, arena,
                              &back, &count, &err) == 0);
    MS_ASSERT(count == 1 && ms_bytes_equal(back->data, event->data));
    MS_ASSERT(ms_event_write_json(&second, MS_FORMAT_CLOUDEVENTS, back, NULL) == 0);
    MS_ASSERT(ms_bytes_equal(ms_buf_bytes(&first), ms_buf_bytes(&second)));
    ms_buf_deinit(&first);
    ms_buf_deinit(&second);
}

static void read_body(struct ms_bytes body, struct ms_arena *arena) {
    struct ms_event *events;
    size_t count;
    struct ms_error err = {0};
    int r = ms_events_parse(MS_FORMAT_CLOUDEVENTS, body, &limits, arena, &events, &count, &err);
    MS_ASSERT(r == 0 || (err.code == r && err.message[0] != 0));
    MS_ASSERT(r != 0 || count <= limits.append_events_max);
    for (size_t i = 0; r == 0 && i < count; i++) {
        MS_ASSERT(ms_event_check(&events[i], &limits, &err) == 0);
        check_read_back(&events[i], arena);
        check_written(&events[i], events[i].type);
    }
}

static void read_headers(struct ms_bytes input, struct ms_arena *arena) {
    struct ms_event event = {.timestamp_ms = MS_TIMESTAMP_NONE};
    const uint8_t *feed;
    while (input.len > 0 && (feed = memchr(input.data, '\n', input.len)) != NULL) {
        struct ms_bytes line = ms_bytes_of(input.data, (size_t)(feed - input.data));
        input = ms_bytes_of(feed + 1, input.len - line.len - 1);
        const uint8_t *colon = line.len ? memchr(line.data, ':', line.len) : NULL;
        if (!colon)
            break;
        struct ms_bytes name = ms_bytes_of(line.data, (size_t)(colon - line.data));
        struct ms_bytes value = ms_bytes_of(colon + 1, line.len - name.len - 1);
        struct ms_error err = {0};
        int r = ms_event_parse_binary_header(&event, name, value, arena, &err);
        MS_ASSERT(r == 0 || (err.code == r && err.message[0] != 0));
    }
    MS_ASSERT(event.extension_count <= MS_EVENT_EXTENSIONS_MAX);
    event.data = input;
    check_written(&event, input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ms_arena arena;
    ms_arena_init(&arena, ARENA_MAX);
    struct ms_bytes input = ms_bytes_of(data, size);
    if (size > 0 && (*data == '{' || *data == '['))
        read_body(input, &arena);
    else
        read_headers(input, &arena);
    ms_arena_deinit(&arena);
    return 0;
}
