/* Patterns of names, and sources; see pattern.h. Any thread. */
#include "projection/pattern.h"

#include "projection/limits.h"
#include "store/store.h"

#define TOPIC_NAME_MAX 249u
#define STREAM_BEGIN_MAX ((size_t)3 * TOPIC_NAME_MAX + 16) /* "my%2Dtopic-" */

static int check_length(struct ms_bytes text, struct ms_place place, struct ms_error *err) {
    if (text.len <= MS_PROJECTION_PATTERN_MAX)
        return 0;
    return ms_place_error(place, MS_ETOOBIG, err, "the name has %zu bytes, the limit is %u",
                          text.len, MS_PROJECTION_PATTERN_MAX);
}

static int check_star(struct ms_bytes text, struct ms_place place, struct ms_error *err) {
    const uint8_t *star = text.len > 0 ? memchr(text.data, '*', text.len) : NULL;
    if (star == NULL || star == text.data + text.len - 1)
        return 0;
    return ms_place_error(place, MS_EINVAL, err, "'%.*s': a '*' stands only at the end",
                          MS_PLACE_SHOWN(text));
}

static struct ms_name_pattern pattern_of(struct ms_bytes text) {
    bool is_prefix = text.data[text.len - 1] == '*';
    return (struct ms_name_pattern){ms_bytes_of(text.data, text.len - is_prefix), is_prefix};
}

static bool has_blanks(struct ms_bytes text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] == 0x7f)
            return true;
    return false;
}

int ms_name_pattern_parse(struct ms_bytes text, struct ms_place place,
                          struct ms_name_pattern *ret_pattern, struct ms_error *err) {
    if (text.len == 0)
        return ms_place_error(place, MS_EINVAL, err, "a name is missing here");
    if (has_blanks(text))
        return ms_place_error(place, MS_EINVAL, err,
                              "'%.*s' has a blank in it; is a comma missing?",
                              MS_PLACE_SHOWN(text));
    int rc = check_length(text, place, err);
    if (rc == 0)
        rc = check_star(text, place, err);
    if (rc == 0)
        *ret_pattern = pattern_of(text);
    return rc;
}

/* ---- sources ---- */

static bool in_topic_names(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static int reserved(struct ms_bytes text, struct ms_place place, struct ms_error *err) {
    return ms_place_error(place, MS_ERESERVED, err,
                          "'%.*s': names beginning with '$' are the system's",
                          MS_PLACE_SHOWN(text));
}

static int parse_topic(struct ms_bytes text, struct ms_place place, struct ms_source *source,
                       struct ms_error *err) {
    source->kind = MS_SOURCE_TOPIC;
    int rc = ms_name_pattern_parse(text, place, &source->name, err);
    struct ms_bytes name = source->name.text;
    if (rc != 0 || ms_bytes_equal_cstr(text, "$streams"))
        return rc;
    if (text.data[0] == '$')
        return reserved(text, place, err);
    for (size_t i = 0; i < name.len; i++)
        if (!in_topic_names(name.data[i]))
            return ms_place_error(
                place, MS_EINVAL, err,
                "'%.*s' is no topic; sources are TOPIC, stream:NAME, type:TYPE and *",
                MS_PLACE_SHOWN(text));
    if (name.len > TOPIC_NAME_MAX)
        return ms_place_error(place, MS_ETOOBIG, err,
                              "the topic's name has %zu bytes, the limit "
                              "is %u",
                              name.len, TOPIC_NAME_MAX);
    return 0;
}

/* Names of streams may have blanks in them. */
static int parse_stream(struct ms_bytes text, struct ms_place place, struct ms_arena *arena,
                        struct ms_source *source, struct ms_error *err) {
    source->kind = MS_SOURCE_STREAM;
    if (text.len == 0)
        return ms_place_error(place, MS_EINVAL, err, "a stream's name is missing here");
    int rc = check_length(text, place, err);
    if (rc == 0)
        rc = check_star(text, place, err);
    if (rc != 0)
        return rc;
    if (text.data[0] == '$')
        return reserved(text, place, err);
    source->name = pattern_of(text);
    if (source->name.is_prefix)
        return 0;
    struct ms_error why = {0};
    rc = ms_store_canonical_name(text, arena, &source->name.text, &why);
    return rc == 0 ? 0 : ms_place_error(place, rc, err, "%s", why.message);
}

/* As the store has it (ms_topic_is_hidden). */
bool ms_topic_is_the_systems(struct ms_bytes topic) {
    return topic.len > 0 && topic.data[0] == '$' && !ms_bytes_equal_cstr(topic, "$streams");
}

static bool begins_alike(struct ms_bytes a, struct ms_bytes b) {
    return a.len < b.len ? ms_bytes_starts_with(b, a) : ms_bytes_starts_with(a, b);
}

/* With a '-' the name tells the topic. "or*" may be of every one that begins so, and of "$streams",
 * where names without a '-' are. */
static bool may_be_of_topic(const struct ms_name_pattern *stream, struct ms_bytes topic) {
    uint8_t room[MS_STREAM_TOPIC_MAX];
    struct ms_bytes name = stream->text;
    bool is_open = stream->is_prefix && (name.len == 0 || memchr(name.data, '-', name.len) == NULL);
    if (!is_open)
        return ms_bytes_equal(ms_store_stream_topic(name, room), topic);
    struct ms_buf begin;
    bool may = true;
    ms_buf_init(&begin, STREAM_BEGIN_MAX);
    if (!ms_bytes_equal_cstr(topic, "$streams") &&
        ms_store_stream_name(topic, MS_BYTES_LITERAL(""), &begin, NULL) == 0)
        may = begins_alike(name, ms_buf_bytes(&begin));
    ms_buf_deinit(&begin);
    return may;
}

bool ms_source_may_read(const struct ms_source *source, struct ms_bytes topic) {
    if (ms_topic_is_the_systems(topic))
        return false;
    switch (source->kind) {
    case MS_SOURCE_ALL:
    case MS_SOURCE_TYPE:
        return true;
    case MS_SOURCE_TOPIC:
        return ms_name_pattern_matches(&source->name, topic);
    case MS_SOURCE_STREAM:
        return may_be_of_topic(&source->name, topic);
    }
    return true;
}

/* True when text is "kind: name"; then only the name is left of it. */
static bool cut_kind(const char *kind, struct ms_bytes *text, struct ms_place *place) {
    if (!ms_bytes_starts_with(*text, ms_bytes_cstr(kind)))
        return false;
    size_t from = strlen(kind);
    while (from < text->len && (text->data[from] == ' ' || text->data[from] == '\t'))
        from++;
    *place = ms_place_after(*place, ms_bytes_of(text->data, from));
    *text = ms_bytes_of(text->data + from, text->len - from);
    return true;
}

int ms_source_parse(struct ms_bytes text, struct ms_place place, struct ms_arena *arena,
                    struct ms_source *ret_source, struct ms_error *err) {
    struct ms_source source = {.kind = MS_SOURCE_ALL, .name.is_prefix = true};
    int rc = 0;
    if (cut_kind("stream:", &text, &place)) {
        rc = parse_stream(text, place, arena, &source, err);
    } else if (cut_kind("type:", &text, &place)) {
        source.kind = MS_SOURCE_TYPE;
        rc = ms_name_pattern_parse(text, place, &source.name, err);
    } else if (!ms_bytes_equal_cstr(text, "*")) {
        rc = parse_topic(text, place, &source, err);
    }
    if (rc == 0)
        *ret_source = source;
    return rc;
}
