/* Media types; see media.h. */
#include "face/http/media.h"

static uint8_t lower(uint8_t byte) {
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static bool equal_ignoring_case(struct ms_bytes text, const char *name) {
    size_t i = 0;
    for (; i < text.len && name[i]; i++) {
        if (lower(text.data[i]) != (uint8_t)name[i])
            return false;
    }
    return i == text.len && !name[i];
}

static struct ms_bytes trim(struct ms_bytes text) {
    while (text.len && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = ms_bytes_of(text.data + 1, text.len - 1);
    while (text.len && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Splits at the first `separator`; *rest becomes empty when there is none. */
static struct ms_bytes cut(struct ms_bytes *rest, uint8_t separator) {
    const uint8_t *at = rest->len ? memchr(rest->data, separator, rest->len) : NULL;
    struct ms_bytes head = *rest;
    if (at) {
        head.len = (size_t)(at - rest->data);
        *rest = ms_bytes_of(at + 1, rest->len - head.len - 1);
    } else {
        *rest = ms_bytes_of(rest->data + rest->len, 0);
    }
    return trim(head);
}

enum ms_http_body_type ms_http_body_type(struct ms_bytes content_type) {
    static const struct {
        const char *name;
        enum ms_http_body_type type;
    } types[] = {
        {"application/json", MS_HTTP_BODY_JSON},
        {"text/json", MS_HTTP_BODY_JSON},
        {"application/cloudevents+json", MS_HTTP_BODY_CLOUDEVENT},
        {"application/cloudevents-batch+json", MS_HTTP_BODY_CLOUDEVENTS},
        {"application/x-ndjson", MS_HTTP_BODY_NDJSON},
        {"application/jsonl", MS_HTTP_BODY_NDJSON},
    };
    if (content_type.len == 0)
        return MS_HTTP_BODY_MISSING;
    struct ms_bytes essence = cut(&content_type, ';');
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (equal_ignoring_case(essence, types[i].name))
            return types[i].type;
    }
    return MS_HTTP_BODY_OTHER;
}

bool ms_http_charset_is_utf8(struct ms_bytes content_type) {
    (void)cut(&content_type, ';');
    while (content_type.len) {
        struct ms_bytes value = cut(&content_type, ';');
        struct ms_bytes name = cut(&value, '=');
        if (!equal_ignoring_case(name, "charset"))
            continue;
        if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
            value = ms_bytes_of(value.data + 1, value.len - 2);
        if (!equal_ignoring_case(value, "utf-8"))
            return false;
    }
    return true;
}

bool ms_http_encoding_is_identity(struct ms_bytes encoding) {
    encoding = trim(encoding);
    return encoding.len == 0 || equal_ignoring_case(encoding, "identity");
}

const char *ms_http_answer_type_name(enum ms_http_answer_type type) {
    switch (type) {
    case MS_HTTP_ANSWER_JSON:
        return "application/json";
    case MS_HTTP_ANSWER_CLOUDEVENTS:
        return "application/cloudevents-batch+json";
    case MS_HTTP_ANSWER_NDJSON:
        return "application/x-ndjson";
    case MS_HTTP_ANSWER_SSE:
        return "text/event-stream";
    }
    return "application/json";
}

/* A weight of 0 to 1 as thousandths; what can't be read counts as 1 so that odd clients still get
 * an answer. */
static unsigned weight_of(struct ms_bytes parameters) {
    while (parameters.len) {
        struct ms_bytes parameter = cut(&parameters, ';');
        if (parameter.len < 3 || lower(parameter.data[0]) != 'q' || parameter.data[1] != '=')
            continue;
        if (parameter.data[2] != '0')
            return 1000;
        unsigned weight = 0, unit = 100;
        for (size_t i = 4; i < parameter.len && unit; i++, unit /= 10) {
            if (parameter.data[i] < '0' || parameter.data[i] > '9')
                break;
            weight += (unsigned)(parameter.data[i] - '0') * unit;
        }
        return weight;
    }
    return 1000;
}

/* How precisely a range names a type: 0 not at all, 1 any, 2 its first half, 3 itself. */
static int match(struct ms_bytes range, enum ms_http_answer_type type) {
    if (equal_ignoring_case(range, ms_http_answer_type_name(type)))
        return 3;
    if (type == MS_HTTP_ANSWER_SSE)
        return 0; /* an endless answer only for those who ask for one */
    if (equal_ignoring_case(range, "application/*"))
        return 2;
    return equal_ignoring_case(range, "*/*") ? 1 : 0;
}

/* The weight that the header gives a type: that of the range which names it most precisely. */
static unsigned weight_for(struct ms_bytes accept, enum ms_http_answer_type type) {
    int best_match = 0;
    unsigned weight = 0;
    while (accept.len) {
        struct ms_bytes item = cut(&accept, ',');
        struct ms_bytes range = cut(&item, ';');
        int matched = match(range, type);
        if (matched > best_match) {
            best_match = matched;
            weight = weight_of(item);
        }
    }
    return weight;
}

int ms_http_accept_parse(struct ms_bytes accept, enum ms_http_answer_type *ret_type) {
    static const enum ms_http_answer_type types[MS_HTTP_ANSWER_TYPES] = {
        MS_HTTP_ANSWER_JSON, MS_HTTP_ANSWER_CLOUDEVENTS, MS_HTTP_ANSWER_NDJSON, MS_HTTP_ANSWER_SSE};
    if (accept.len == 0) {
        *ret_type = MS_HTTP_ANSWER_JSON;
        return 0;
    }
    unsigned best = 0;
    enum ms_http_answer_type chosen = MS_HTTP_ANSWER_JSON;
    for (size_t i = 0; i < MS_HTTP_ANSWER_TYPES; i++) {
        unsigned weight = weight_for(accept, types[i]);
        if (weight > best) {
            best = weight;
            chosen = types[i];
        }
    }
    if (best == 0)
        return MS_EUNSUPPORTED;
    *ret_type = chosen;
    return 0;
}
