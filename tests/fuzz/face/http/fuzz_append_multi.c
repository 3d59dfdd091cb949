/*
 * Bodies of POST /v1/append. Asserted: limits hold, an error says what and where, what is accepted
 * has streams, conditions and events that each pass their own checks, and a query condition always
 * names something.
 */
#include "face/http/append_multi.h"

#include "wire/event_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA_MAX ((size_t)4 << 20)

static const struct ms_event_limits limits = {.event_bytes_max = 1000,
                                              .append_bytes_max = 2000,
                                              .append_events_max = 10,
                                              .name_bytes_max = 100,
                                              .json_depth_max = 10};

static void check_texts(const struct ms_bytes *texts, size_t count) {
    for (size_t i = 0; i < count; i++)
        MS_ASSERT(ms_utf8_valid(texts[i]));
}

static void check_part(const struct ms_append_part *part) {
    struct ms_error err;
    const struct ms_condition *condition = &part->condition;
    MS_ASSERT(part->stream.data != NULL && ms_utf8_valid(part->stream));
    MS_ASSERT(condition->kind <= MS_EXPECT_VERSION);
    MS_ASSERT(condition->kind != MS_EXPECT_VERSION || condition->version >= 0);
    for (size_t i = 0; i < part->count; i++)
        MS_ASSERT(ms_event_check(&part->events[i], &limits, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ms_arena arena;
    struct ms_error err = {0};
    size_t events = 0;
    ms_arena_init(&arena, ARENA_MAX);
    struct ms_http_multi multi = {.limits = &limits, .arena = &arena};
    int rc = ms_http_multi_parse(ms_bytes_of(data, size), &multi, &err);
    MS_ASSERT(rc == 0 || (err.code == rc && err.message[0] != 0));
    MS_ASSERT(rc == 0 || rc == MS_EINVAL || rc == MS_ETOOBIG || rc == MS_ENOMEM);
    MS_ASSERT(arena.used <= ARENA_MAX);
    MS_ASSERT(rc != 0 || (multi.part_count > 0 && multi.part_count <= size));
    for (size_t i = 0; rc == 0 && i < multi.part_count; i++) {
        check_part(&multi.parts[i]);
        events += multi.parts[i].count;
    }
    MS_ASSERT(rc != 0 || (events == multi.event_count && events <= limits.append_events_max));
    for (size_t i = 0; rc == 0 && i < multi.query_count; i++) {
        const struct ms_query_condition *query = &multi.queries[i];
        MS_ASSERT(query->type_count + query->tag_count > 0);
        check_texts(query->types, query->type_count);
        check_texts(query->tags, query->tag_count);
    }
    ms_arena_deinit(&arena);
    return 0;
}
