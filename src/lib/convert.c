/*
 * The public structs to and from those of src/store: errors, options of any size, events, filters.
 *
 * The two sides are kept equal by the assertions below, where they are numbers, and by hand where
 * they are structs. Events and texts stay borrowed; only arrays are copied. Any thread.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/time.h"
#include "lib/lib.h"

/* ---- the public numbers are the core's ---- */

#define SAME_CODE(name) _Static_assert((int)MAINSTEM_##name == (int)MS_##name, "codes are equal")
SAME_CODE(OK);
SAME_CODE(EINVAL);
SAME_CODE(ENOMEM);
SAME_CODE(EIO);
SAME_CODE(ENOTFOUND);
SAME_CODE(EEXIST);
SAME_CODE(ECONFLICT);
SAME_CODE(EIDCONFLICT);
SAME_CODE(EDELETED);
SAME_CODE(ETOMBSTONED);
SAME_CODE(ETOOBIG);
SAME_CODE(ELIMIT);
SAME_CODE(ENOSPC);
SAME_CODE(EUNKNOWN);
SAME_CODE(ECORRUPT);
SAME_CODE(EFORMAT);
SAME_CODE(ERESERVED);
SAME_CODE(EUNSUPPORTED);
SAME_CODE(EAGAIN);
SAME_CODE(ECLOSED);
SAME_CODE(ETIMEOUT);
SAME_CODE(ELOCKED);
SAME_CODE(ENEEDMORE);
SAME_CODE(EMEDIATYPE);
SAME_CODE(ECRC);
SAME_CODE(ESCAVENGED);
SAME_CODE(ECANCELED);
SAME_CODE(EQUERYCONDITION);
SAME_CODE(ENOSTREAMS);
SAME_CODE(ESEQUENCE);
SAME_CODE(EFENCED);
SAME_CODE(ENOTXN);
SAME_CODE(ENOTEMPTY);
SAME_CODE(ETIMESTAMP);
SAME_CODE(ENOTAPPLIED);
SAME_CODE(EINCOMPLETE);

/* A code added to the core's list must be added to the public one. */
#define COUNT_CODE(name, value, http, type, text) +1
_Static_assert(0 MS_ERROR_LIST(COUNT_CODE) == 35, "every code of the core is public");

#define SAME_STATE(name)                                                                           \
    _Static_assert((int)MAINSTEM_STREAM_##name == (int)MS_STREAM_##name, "states are equal")
SAME_STATE(NONE);
SAME_STATE(LIVE);
SAME_STATE(DELETED);
SAME_STATE(TOMBSTONED);

#define SAME_CODEC(name)                                                                           \
    _Static_assert((int)MAINSTEM_COMPRESSION_##name == (int)MS_CODEC_##name, "codecs are equal")
SAME_CODEC(NONE);
SAME_CODEC(GZIP);
SAME_CODEC(SNAPPY);
SAME_CODEC(LZ4);
SAME_CODEC(ZSTD);

_Static_assert(MAINSTEM_MESSAGE_MAX == MS_ERROR_TEXT_MAX, "messages fit");
_Static_assert(MAINSTEM_EXTENSIONS_MAX == MS_EVENT_EXTENSIONS_MAX, "limits are equal");

/* ---- errors ---- */

int ms_lib_fail(struct mainstem_error *err, int code, const char *format, ...) {
    if (err == NULL)
        return code;
    va_list arguments;
    err->code = code;
    va_start(arguments, format);
    vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    err->failed = 0;
    err->actual_state = MAINSTEM_STREAM_NONE;
    err->actual_version = 0;
    err->position = 0;
    return code;
}

int ms_lib_fail_with(struct mainstem_error *err, int code, const struct ms_error *from) {
    bool told = from != NULL && from->code == code && from->message[0] != 0;
    return ms_lib_fail(err, code, "%s", told ? from->message : ms_error_text(code));
}

/* ---- structs of any size ---- */

static uint32_t struct_size_of(const void *options) {
    uint32_t size;
    memcpy(&size, options, sizeof size);
    return size;
}

int ms_lib_take_options(const char *what, const void *from, void *to, size_t size,
                        struct mainstem_error *err) {
    memset(to, 0, size);
    if (from == NULL)
        return 0;
    size_t given = struct_size_of(from);
    if (given < sizeof(uint32_t) || given > 4096)
        return ms_lib_fail(err, MS_EINVAL, "%s: struct_size is %zu; set it to the struct's sizeof",
                           what, given);
    const uint8_t *bytes = from;
    for (size_t i = size; i < given; i++)
        if (bytes[i] != 0)
            return ms_lib_fail(err, MS_EUNSUPPORTED,
                               "%s: a field is set that version " MS_VERSION " does not know",
                               what);
    memcpy(to, from, given < size ? given : size);
    return 0;
}

int ms_lib_give_struct(const char *what, const void *from, size_t size, void *to,
                       struct mainstem_error *err) {
    if (to == NULL)
        return ms_lib_fail(err, MS_EINVAL, "%s: no place for the answer", what);
    uint32_t given = struct_size_of(to);
    if (given < sizeof given || given > 4096)
        return ms_lib_fail(err, MS_EINVAL, "%s: struct_size is %u; set it to the struct's sizeof",
                           what, given);
    memcpy(to, from, given < size ? given : size);
    memcpy(to, &given, sizeof given);
    return 0;
}

/* ---- conditions and events ---- */

int ms_lib_condition(int64_t expected_version, struct ms_condition *ret_condition,
                     struct mainstem_error *err) {
    struct ms_condition condition = {.version = expected_version};
    if (expected_version >= 0)
        condition.kind = MS_EXPECT_VERSION;
    else if (expected_version == MAINSTEM_NO_STREAM)
        condition.kind = MS_EXPECT_NONE;
    else if (expected_version == MAINSTEM_ANY)
        condition.kind = MS_EXPECT_ANY;
    else if (expected_version == MAINSTEM_EXISTS)
        condition.kind = MS_EXPECT_EXISTS;
    else
        return ms_lib_fail(err, MS_EINVAL,
                           "expected version %lld is neither a version nor one of "
                           "MAINSTEM_NO_STREAM, MAINSTEM_ANY, MAINSTEM_EXISTS",
                           (long long)expected_version);
    *ret_condition = condition;
    return 0;
}

/* RFC 3339 text decides where there is any. What can't be parsed, ms_event_check refuses. */
static int64_t timestamp_of(const struct mainstem_event *event) {
    int64_t us;
    if (event->time.data != NULL && ms_time_parse(ms_lib_bytes(event->time), &us) == 0)
        return us / 1000 - (us % 1000 < 0);
    return event->timestamp_ms != 0 ? event->timestamp_ms : MS_TIMESTAMP_NONE;
}

static int copy_extensions(const struct mainstem_event *event, struct ms_arena *arena,
                           struct ms_event *to) {
    size_t count = event->extension_count;
    if (count == 0)
        return 0;
    if (count > MS_EVENT_EXTENSIONS_MAX || event->extensions == NULL)
        return MS_EINVAL;
    struct ms_extension *copies = ms_arena_alloc(arena, count * sizeof *copies);
    if (copies == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; i < count; i++)
        copies[i] = (struct ms_extension){ms_lib_bytes(event->extensions[i].name),
                                          ms_lib_bytes(event->extensions[i].value)};
    to->extensions = copies;
    to->extension_count = count;
    return 0;
}

static int take_event(const struct mainstem_event *event, struct ms_arena *arena,
                      struct ms_event *ret_event) {
    *ret_event = (struct ms_event){
        .id = ms_lib_bytes(event->id),
        .type = ms_lib_bytes(event->type),
        .source = ms_lib_bytes(event->source),
        .version = ms_lib_bytes(event->version),
        .content_type = ms_lib_bytes(event->content_type),
        .correlation_id = ms_lib_bytes(event->correlation_id),
        .causation_id = ms_lib_bytes(event->causation_id),
        .traceparent = ms_lib_bytes(event->traceparent),
        .time_text = ms_lib_bytes(event->time),
        .timestamp_ms = timestamp_of(event),
        .data = ms_lib_bytes(event->data),
        .data_is_null = event->data.data == NULL,
        .metadata = ms_lib_bytes(event->metadata),
        .tags = ms_lib_bytes(event->tags),
    };
    return copy_extensions(event, arena, ret_event);
}

/* What the text of RFC 3339 can say: the years 1 to 9999. */
#define TIMESTAMP_MS_MIN INT64_C(-62135596800000)
#define TIMESTAMP_MS_MAX INT64_C(253402300799999)

/* A size without bytes is a slip: as "absent" it would lose data without a word. */
static int check_event(const struct mainstem_event *event, size_t at, struct mainstem_error *err) {
    const struct {
        const char *name;
        struct mainstem_bytes bytes;
    } fields[] = {{"type", event->type},
                  {"data", event->data},
                  {"id", event->id},
                  {"content_type", event->content_type},
                  {"metadata", event->metadata},
                  {"version", event->version},
                  {"source", event->source},
                  {"correlation_id", event->correlation_id},
                  {"causation_id", event->causation_id},
                  {"traceparent", event->traceparent},
                  {"tags", event->tags},
                  {"time", event->time}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (fields[i].bytes.data == NULL && fields[i].bytes.size > 0)
            return ms_lib_fail(err, MS_EINVAL, "event %zu: %s is NULL, but its size is %zu", at,
                               fields[i].name, fields[i].bytes.size);
    if (event->timestamp_ms < TIMESTAMP_MS_MIN || event->timestamp_ms > TIMESTAMP_MS_MAX)
        return ms_lib_fail(err, MS_EINVAL, "event %zu: timestamp_ms is not in the years 1 to 9999",
                           at);
    return 0;
}

int ms_lib_events(const struct mainstem_event *events, size_t count, struct ms_arena *arena,
                  const struct ms_event **ret_events, struct mainstem_error *err) {
    if (count > 0 && events == NULL)
        return ms_lib_fail(err, MS_EINVAL, "%zu events, but no array of them", count);
    struct ms_event *taken = ms_arena_alloc(arena, count * sizeof *taken);
    if (taken == NULL)
        return ms_lib_fail(err, MS_ENOMEM, "no memory for %zu events", count);
    for (size_t i = 0; i < count; i++) {
        int rc = check_event(&events[i], i, err);
        if (rc != 0)
            return rc;
        rc = take_event(&events[i], arena, &taken[i]);
        if (rc == MS_EINVAL)
            return ms_lib_fail(err, rc, "event %zu: more than %u extensions, or no array of them",
                               i, MS_EVENT_EXTENSIONS_MAX);
        if (rc != 0)
            return ms_lib_fail(err, rc, "no memory for %zu events", count);
    }
    *ret_events = taken;
    return 0;
}

void ms_lib_recorded(const struct ms_read_event *event, struct mainstem_extension *extensions,
                     struct mainstem_recorded_event *ret_recorded) {
    const struct ms_event *e = &event->event;
    const struct ms_event_place *place = &event->place;
    struct ms_bytes correlation = e->correlation_id.data != NULL ? e->correlation_id : e->id;
    for (size_t i = 0; i < e->extension_count; i++)
        extensions[i] = (struct mainstem_extension){ms_lib_bytes_out(e->extensions[i].name),
                                                    ms_lib_bytes_out(e->extensions[i].value)};
    *ret_recorded = (struct mainstem_recorded_event){
        .event =
            {
                .type = ms_lib_bytes_out(e->type),
                .data =
                    e->data_is_null ? (struct mainstem_bytes){NULL, 0} : ms_lib_bytes_out(e->data),
                .id = ms_lib_bytes_out(e->id),
                .content_type = ms_lib_bytes_out(e->content_type),
                .metadata = ms_lib_bytes_out(e->metadata),
                .version = ms_lib_bytes_out(e->version),
                .source = ms_lib_bytes_out(e->source),
                .correlation_id = ms_lib_bytes_out(correlation),
                .causation_id = ms_lib_bytes_out(e->causation_id),
                .traceparent = ms_lib_bytes_out(e->traceparent),
                .tags = ms_lib_bytes_out(e->tags),
                .time = ms_lib_bytes_out(e->time_text),
                .timestamp_ms = e->timestamp_ms,
                .extensions = e->extension_count > 0 ? extensions : NULL,
                .extension_count = e->extension_count,
            },
        .stream = ms_lib_bytes_out(place->stream),
        .topic = ms_lib_bytes_out(place->topic),
        .key = ms_lib_bytes_out(place->key),
        .version = place->version,
        .position = place->position,
        .offset = place->offset,
        .partition = place->partition,
        .recorded_at_ms = place->recorded_at_us / 1000,
    };
}

/* ---- filters ---- */

static int copy_text(struct mainstem_bytes text, struct ms_arena *arena,
                     struct ms_bytes *ret_copy) {
    if (text.data == NULL)
        return 0;
    char *copy = ms_arena_strdup(arena, ms_lib_bytes(text));
    if (copy == NULL)
        return MS_ENOMEM;
    *ret_copy = ms_bytes_of(copy, text.size);
    return 0;
}

const struct ms_bytes *ms_lib_copy_texts(const struct mainstem_bytes *texts, size_t count,
                                         struct ms_arena *arena) {
    struct ms_bytes *copies = ms_arena_zalloc(arena, (count + 1) * sizeof *copies);
    for (size_t i = 0; copies != NULL && i < count; i++)
        if (copy_text(texts[i], arena, &copies[i]) != 0)
            return NULL;
    return copies;
}

static int copy_filter(const struct mainstem_filter *filter, struct ms_arena *arena,
                       struct ms_filter *copy) {
    int rc = copy_text(filter->stream_prefix, arena, &copy->stream_prefix);
    if (rc == 0)
        rc = copy_text(filter->correlation_id, arena, &copy->correlation_id);
    copy->topic_count = filter->topic.data != NULL;
    copy->topics = ms_lib_copy_texts(&filter->topic, copy->topic_count, arena);
    copy->types = ms_lib_copy_texts(filter->types, filter->type_count, arena);
    copy->type_count = filter->type_count;
    copy->tags = ms_lib_copy_texts(filter->tags, filter->tag_count, arena);
    copy->tag_count = filter->tag_count;
    copy->include_system = filter->include_system != 0;
    bool whole = copy->topics != NULL && copy->types != NULL && copy->tags != NULL;
    return whole ? rc : MS_ENOMEM;
}

int ms_lib_filter(const struct mainstem_filter *filter, struct ms_arena *arena,
                  struct ms_filter *ret_filter, struct mainstem_error *err) {
    struct mainstem_filter given;
    struct ms_filter copy = {0};
    int rc = ms_lib_take_options("filter", filter, &given, sizeof given, err);
    if (rc != 0)
        return rc;
    if ((given.type_count > 0 && given.types == NULL) ||
        (given.tag_count > 0 && given.tags == NULL))
        return ms_lib_fail(err, MS_EINVAL, "filter: a count of types or tags without an array");
    if (copy_filter(&given, arena, &copy) != 0)
        return ms_lib_fail(err, MS_ENOMEM, "no memory for a filter");
    *ret_filter = copy;
    return 0;
}
