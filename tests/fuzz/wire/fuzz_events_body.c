/*
 * Plain JSON bodies of events: limits hold, every event passes ms_event_check, and what is written
 * is read back and written the same.
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

/* base64 may hide JSON as deep again as the body. */
static const struct ms_event_limits limits_back = {.event_bytes_max = 10000,
                                                   .append_bytes_max = 20000,
                                                   .append_events_max = 1,
                                                   .name_bytes_max = 100,
                                                   .json_depth_max = 20};

static void check_event(const struct ms_event *event, struct ms_arena *arena) {
    struct ms_buf first, second;
    struct ms_event *back;
    size_t count;
    struct ms_error err;
    MS_ASSERT(ms_event_check(event, &limits, &err) == 0);
    MS_ASSERT(event->data_is_null == (event->data.data == NULL));
    ms_buf_init(&first, OUT_MAX);
    ms_buf_init(&second, OUT_MAX);
    MS_ASSERT(ms_event_write_json(&first, MS_FORMAT_JSON, event, NULL) == 0);
    MS_ASSERT(ms_events_parse(MS_FORMAT_JSON, ms_buf_bytes(&first), &limits_back, arena, &back,
                              &count, &err) == 0);
    MS_ASSERT(count == 1 && ms_bytes_equal(back->data, event->data));
    MS_ASSERT(ms_event_write_json(&second, MS_FORMAT_JSON, back, NULL) == 0);
    MS_ASSERT(ms_bytes_equal(ms_buf_bytes(&first), ms_buf_bytes(&second)));
    ms_buf_deinit(&first);
    ms_buf_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ms_arena arena;
    struct ms_event *events;
    size_t count, total = 0;
    struct ms_error err = {0};
    ms_arena_init(&arena, ARENA_MAX);
    int r = ms_events_parse(MS_FORMAT_JSON, ms_bytes_of(data, size), &limits, &arena, &events,
                            &count, &err);
    MS_ASSERT(r == 0 || (err.code == r && err.message[0] != 0));
    MS_ASSERT(r == 0 || r == MS_EINVAL || r == MS_ETOOBIG || r == MS_ENOMEM);
    MS_ASSERT(r != 0 || count <= limits.append_events_max);
    for (size_t i = 0; r == 0 && i < count; i++) {
        check_event(&events[i], &arena);
        total += events[i].data.len + events[i].metadata.len;
    }
    MS_ASSERT(total <= limits.append_bytes_max);
    ms_arena_deinit(&arena);
    return 0;
}
