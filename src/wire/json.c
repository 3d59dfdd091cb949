/*
 * The JSON scanner: see json.h for what it promises.
 *
 * Two halves with different trust. The scanner (struct scanner) reads bytes of strangers: one pass,
 * every byte looked at, an explicit stack of one bit per open container (set: object), so input can
 * not exhaust the C stack. The walkers read text that the scanner has accepted, therefore they only
 * look for quotes and brackets and cannot fail.
 *
 * Speed comes from looking at 8 bytes at a time where nothing happens: inside strings, and when a
 * walker skips a value. Sans-I/O, no state; any thread.
 */
#include "wire/json.h"

#include "base/endian.h"

#define WORD_ONES UINT64_C(0x0101010101010101)
#define WORD_TOPS UINT64_C(0x8080808080808080)

struct scanner {
    const uint8_t *start, *at, *end;
    size_t depth, depth_max;
    struct ms_error *err;
    uint64_t object_bits[MS_JSON_DEPTH_LIMIT / 64];
};

/* ---- eight bytes at a time ---- */

/* Top bit of each byte that equals `byte`. Bits above the lowest set one may be false: use only the
 * lowest. */
static inline uint64_t word_equal(uint64_t word, uint8_t byte) {
    uint64_t difference = word ^ (WORD_ONES * byte);
    return (difference - WORD_ONES) & ~difference & WORD_TOPS;
}

/* Likewise for the bytes that end a run of plain characters in a string: quote, backslash, control
 * characters, and everything that is not ASCII. */
static inline uint64_t word_special(uint64_t word) {
    uint64_t control = (word - WORD_ONES * 0x20) & ~word;
    return ((control | word) & WORD_TOPS) | word_equal(word, '"') | word_equal(word, '\\');
}

/* Likewise for quotes and brackets; '[' and ']' differ from '{' and '}' in one bit only. */
static inline uint64_t word_structure(uint64_t word) {
    uint64_t folded = word | (WORD_ONES * 0x20);
    return word_equal(word, '"') | word_equal(folded, '{') | word_equal(folded, '}');
}

static inline size_t lowest_byte(uint64_t bits) { return (size_t)__builtin_ctzll(bits) / 8; }

/* The first byte in [at, end) that is not a plain string character, or end. */
static inline const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end) {
    for (; end - at >= 8; at += 8) {
        uint64_t special = word_special(ms_get_le64(at));
        if (special)
            return at + lowest_byte(special);
    }
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

static inline bool is_space(uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
static inline bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static inline const uint8_t *skip_space(const uint8_t *at, const uint8_t *end) {
    while (at < end && is_space(*at))
        at++;
    return at;
}

/* ---- characters ---- */

static inline bool is_continuation(uint8_t byte) { return (byte & 0xc0) == 0x80; }

/* Length of the well-formed UTF-8 sequence of 2 to 4 bytes that begins [at, at + left); 0 when
 * there is none (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). */
static inline size_t utf8_sequence(const uint8_t *at, size_t left) {
    uint8_t first = at[0];
    if (first < 0xc2 || first > 0xf4 || left < 2)
        return 0;
    if (first < 0xe0)
        return is_continuation(at[1]) ? 2 : 0;
    uint8_t low = 0x80, high = 0xbf; /* bounds of the second byte */
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    if (at[1] < low || at[1] > high || left < 3 || !is_continuation(at[2]))
        return 0;
    if (first < 0xf0)
        return 3;
    return left >= 4 && is_continuation(at[3]) ? 4 : 0;
}

static int hex_digit(uint8_t c) {
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The number that four hexadecimal digits write, or -1. */
static int32_t hex4(const uint8_t *at, const uint8_t *end) {
    if (end - at < 4)
        return -1;
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static inline bool is_high_surrogate(int32_t unit) { return unit >= 0xd800 && unit <= 0xdbff; }
static inline bool is_low_surrogate(int32_t unit) { return unit >= 0xdc00 && unit <= 0xdfff; }

/* ---- errors ---- */

void ms_json_place(struct ms_bytes text, size_t offset, unsigned *ret_line, unsigned *ret_column) {
    unsigned line = 1, column = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.data[i] == '\n') {
            line++;
            column = 1;
        } else if (!is_continuation(text.data[i])) {
            column++;
        }
    }
    *ret_line = line;
    *ret_column = column;
}

static int fail_at(struct scanner *scanner, const uint8_t *where, const char *what) {
    if (!scanner->err)
        return MS_EINVAL; /* finding the line would cost a pass for nobody */
    struct ms_bytes text = ms_bytes_of(scanner->start, (size_t)(scanner->end - scanner->start));
    unsigned line, column;
    ms_json_place(text, (size_t)(where - scanner->start), &line, &column);
    return ms_error_set(scanner->err, MS_EINVAL, "line %u, column %u: %s%s", line, column, what,
                        where == scanner->end ? ", but the text ends here" : "");
}

/* ---- scanning ---- */

/* `at` is behind the backslash. Returns what follows the escape, or NULL after an error. */
static const uint8_t *scan_escape(struct scanner *scanner, const uint8_t *at) {
    const uint8_t *end = scanner->end;
    if (at < end && *at != 0 && strchr("\"\\/bfnrt", *at))
        return at + 1;
    if (at == end || *at != 'u') {
        (void)fail_at(scanner, at, "expected an escape: one of \" \\ / b f n r t u");
        return NULL;
    }
    int32_t unit = hex4(at + 1, end);
    if (unit < 0) {
        (void)fail_at(scanner, at, "expected four hexadecimal digits after \\u");
        return NULL;
    }
    if (is_high_surrogate(unit) && end - at >= 7 && at[5] == '\\' && at[6] == 'u' &&
        is_low_surrogate(hex4(at + 7, end)))
        return at + 11;
    if (is_high_surrogate(unit) || is_low_surrogate(unit)) {
        (void)fail_at(scanner, at, "a lone surrogate escape is no character");
        return NULL;
    }
    return at + 5;
}

static int scan_string(struct scanner *scanner) {
    const uint8_t *at = scanner->at + 1, *end = scanner->end;
    for (;;) {
        at = skip_plain(at, end);
        if (at == end)
            return fail_at(scanner, at, "expected '\"'");
        if (*at == '"')
            break;
        if (*at == '\\') {
            at = scan_escape(scanner, at + 1);
            if (!at)
                return MS_EINVAL;
        } else if (*at < 0x20) {
            return fail_at(scanner, at, "a control character in a string must be escaped");
        } else {
            do {
                size_t n = utf8_sequence(at, (size_t)(end - at));
                if (n == 0)
                    return fail_at(scanner, at, "the bytes are not UTF-8");
                at += n;
            } while (at < end && *at >= 0x80);
        }
    }
    scanner->at = at + 1;
    return 0;
}

static int scan_digits(struct scanner *scanner) {
    const uint8_t *at = scanner->at;
    while (at < scanner->end && is_digit(*at))
        at++;
    if (at == scanner->at)
        return fail_at(scanner, at, "expected a digit");
    scanner->at = at;
    return 0;
}

static int scan_number(struct scanner *scanner) {
    const uint8_t *end = scanner->end;
    int r = 0;
    if (*scanner->at == '-')
        scanner->at++;
    if (scanner->at < end && *scanner->at == '0') {
        scanner->at++;
        if (scanner->at < end && is_digit(*scanner->at))
            return fail_at(scanner, scanner->at, "a number has no leading zeros");
    } else {
        r = scan_digits(scanner);
    }
    if (r == 0 && scanner->at < end && *scanner->at == '.') {
        scanner->at++;
        r = scan_digits(scanner);
    }
    if (r == 0 && scanner->at < end && (*scanner->at | 0x20) == 'e') {
        scanner->at++;
        if (scanner->at < end && (*scanner->at == '+' || *scanner->at == '-'))
            scanner->at++;
        r = scan_digits(scanner);
    }
    return r;
}

static int scan_word(struct scanner *scanner, const char *word) {
    size_t len = strlen(word);
    if ((size_t)(scanner->end - scanner->at) < len || memcmp(scanner->at, word, len) != 0)
        return fail_at(scanner, scanner->at, "expected a value");
    scanner->at += len;
    return 0;
}

/* A member's name and the colon behind it. */
static int scan_name(struct scanner *scanner, const char *expected) {
    scanner->at = skip_space(scanner->at, scanner->end);
    if (scanner->at == scanner->end || *scanner->at != '"')
        return fail_at(scanner, scanner->at, expected);
    int r = scan_string(scanner);
    if (r < 0)
        return r;
    scanner->at = skip_space(scanner->at, scanner->end);
    if (scanner->at == scanner->end || *scanner->at != ':')
        return fail_at(scanner, scanner->at, "expected ':'");
    scanner->at++;
    return 0;
}

static inline bool in_object(const struct scanner *scanner) {
    size_t top = scanner->depth - 1;
    return scanner->object_bits[top / 64] >> (top % 64) & 1;
}

/* 1 when the container turned out to be empty and so is a whole value, 0 when it is open now and
 * its first value comes next. */
static int open_container(struct scanner *scanner, bool object) {
    if (scanner->depth >= scanner->depth_max)
        return fail_at(scanner, scanner->at, "arrays and objects are nested too deeply");
    scanner->at = skip_space(scanner->at + 1, scanner->end);
    if (scanner->at < scanner->end && *scanner->at == (object ? '}' : ']')) {
        scanner->at++;
        return 1;
    }
    uint64_t bit = UINT64_C(1) << (scanner->depth % 64);
    uint64_t *bits = &scanner->object_bits[scanner->depth++ / 64];
    *bits = object ? *bits | bit : *bits & ~bit;
    return object ? scan_name(scanner, "expected a name in quotes or '}'") : 0;
}

/* 1 when a whole value was scanned, 0 when a container was opened. */
static int begin_value(struct scanner *scanner) {
    scanner->at = skip_space(scanner->at, scanner->end);
    uint8_t first = scanner->at < scanner->end ? *scanner->at : 0;
    int r;
    if (first == '{' || first == '[')
        return open_container(scanner, first == '{');
    if (first == '"')
        r = scan_string(scanner);
    else if (first == '-' || is_digit(first))
        r = scan_number(scanner);
    else if (first == 't')
        r = scan_word(scanner, "true");
    else if (first == 'f')
        r = scan_word(scanner, "false");
    else
        r = scan_word(scanner, "null");
    return r < 0 ? r : 1;
}

/* What follows a whole value: closes containers as far as they end here. 1 when the outermost value
 * is complete, 0 when another value comes next. */
static int end_value(struct scanner *scanner) {
    while (scanner->depth > 0) {
        bool object = in_object(scanner);
        scanner->at = skip_space(scanner->at, scanner->end);
        uint8_t c = scanner->at < scanner->end ? *scanner->at : 0;
        if (c == ',') {
            scanner->at++;
            return object ? scan_name(scanner, "expected a name in quotes") : 0;
        }
        if (c != (object ? '}' : ']'))
            return fail_at(scanner, scanner->at,
                           object ? "expected ',' or '}'" : "expected ',' or ']'");
        scanner->at++;
        scanner->depth--;
    }
    return 1;
}

static enum ms_json_type type_of(uint8_t first) {
    static const char firsts[] = "{[\"tfn";
    static const enum ms_json_type types[] = {MS_JSON_OBJECT, MS_JSON_ARRAY, MS_JSON_STRING,
                                              MS_JSON_TRUE,   MS_JSON_FALSE, MS_JSON_NULL};
    const char *found = memchr(firsts, first, sizeof firsts - 1);
    return found ? types[found - firsts] : MS_JSON_NUMBER;
}

static struct ms_json_value value_of(const uint8_t *from, const uint8_t *to) {
    return (struct ms_json_value){type_of(*from), ms_bytes_of(from, (size_t)(to - from))};
}

int ms_json_parse(struct ms_bytes text, size_t depth_max, struct ms_json_value *ret_value,
                  struct ms_error *err) {
    struct scanner scanner;
    scanner.start = scanner.at = text.data ? text.data : (const uint8_t *)"";
    scanner.end = scanner.start + text.len;
    scanner.depth = 0;
    scanner.depth_max = depth_max < MS_JSON_DEPTH_LIMIT ? depth_max : MS_JSON_DEPTH_LIMIT;
    scanner.err = err;

    const uint8_t *first = skip_space(scanner.at, scanner.end);
    int r;
    do {
        r = begin_value(&scanner);
        if (r > 0)
            r = end_value(&scanner);
    } while (r == 0);
    if (r < 0)
        return r;
    const uint8_t *last = scanner.at;
    scanner.at = skip_space(scanner.at, scanner.end);
    if (scanner.at != scanner.end)
        return fail_at(&scanner, scanner.at, "expected nothing more after the value");
    *ret_value = value_of(first, last);
    return 0;
}

/* ---- walking text known to be valid ---- */

/* `at` is on the opening quote; returns what follows the closing one. */
static const uint8_t *skip_string(const uint8_t *at, const uint8_t *end) {
    at++;
    for (;;) {
        while (end - at >= 8) {
            uint64_t word = ms_get_le64(at);
            uint64_t found = word_equal(word, '"') | word_equal(word, '\\');
            if (found) {
                at += lowest_byte(found);
                break;
            }
            at += 8;
        }
        while (at < end && *at != '"' && *at != '\\')
            at++;
        MS_ASSERT(at < end);
        if (*at == '"')
            return at + 1;
        at += 2;
    }
}

static const uint8_t *skip_container(const uint8_t *at, const uint8_t *end) {
    size_t depth = 0;
    for (;;) {
        while (end - at >= 8) {
            uint64_t found = word_structure(ms_get_le64(at));
            if (found) {
                at += lowest_byte(found);
                break;
            }
            at += 8;
        }
        MS_ASSERT(at < end);
        if (*at == '"') {
            at = skip_string(at, end);
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if ((*at == '}' || *at == ']') && --depth == 0)
            return at + 1;
        at++;
    }
}

static const uint8_t *skip_value(const uint8_t *at, const uint8_t *end) {
    if (*at == '"')
        return skip_string(at, end);
    if (*at == '{' || *at == '[')
        return skip_container(at, end);
    while (at < end && *at != ',' && *at != '}' && *at != ']' && !is_space(*at))
        at++;
    return at;
}

/* The place of the next member's name or the next element, NULL at the closing bracket. */
static const uint8_t *next_place(struct ms_json_value container, size_t at) {
    const uint8_t *end = container.text.data + container.text.len;
    const uint8_t *place = skip_space(container.text.data + (at ? at : 1), end);
    if (place < end && *place == ',')
        place = skip_space(place + 1, end);
    return end - place <= 1 ? NULL : place;
}

bool ms_json_next_member(struct ms_json_value object, size_t *at, struct ms_json_value *ret_name,
                         struct ms_json_value *ret_value) {
    MS_ASSERT(object.type == MS_JSON_OBJECT);
    const uint8_t *end = object.text.data + object.text.len;
    const uint8_t *name = next_place(object, *at);
    if (!name)
        return false;
    const uint8_t *name_end = skip_string(name, end);
    const uint8_t *value = skip_space(skip_space(name_end, end) + 1, end);
    const uint8_t *value_end = skip_value(value, end);
    *at = (size_t)(value_end - object.text.data);
    *ret_name = value_of(name, name_end);
    *ret_value = value_of(value, value_end);
    return true;
}

bool ms_json_next_element(struct ms_json_value array, size_t *at, struct ms_json_value *ret_value) {
    MS_ASSERT(array.type == MS_JSON_ARRAY);
    const uint8_t *end = array.text.data + array.text.len;
    const uint8_t *value = next_place(array, *at);
    if (!value)
        return false;
    const uint8_t *value_end = skip_value(value, end);
    *at = (size_t)(value_end - array.text.data);
    *ret_value = value_of(value, value_end);
    return true;
}

/* ---- values ---- */

static struct ms_bytes inside_quotes(struct ms_json_value string) {
    MS_ASSERT(string.type == MS_JSON_STRING && string.text.len >= 2);
    return ms_bytes_of(string.text.data + 1, string.text.len - 2);
}

static size_t put_utf8(uint8_t out[4], uint32_t c) {
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(lead[n] | c);
    return n;
}

/* Resolves the escape at *at (on the backslash) and moves *at behind it; returns the length of the
 * character, which is never longer than its escape. */
static size_t resolve_escape(const uint8_t **at, const uint8_t *end, uint8_t out[4]) {
    static const char letters[] = "bfnrt", controls[] = "\b\f\n\r\t";
    uint8_t kind = (*at)[1];
    if (kind != 'u') {
        const char *letter = memchr(letters, kind, sizeof letters - 1);
        out[0] = letter ? (uint8_t)controls[letter - letters] : kind;
        *at += 2;
        return 1;
    }
    int32_t unit = hex4(*at + 2, end);
    *at += 6;
    MS_ASSERT(unit >= 0);
    if (!is_high_surrogate(unit))
        return put_utf8(out, (uint32_t)unit);
    int32_t low = hex4(*at + 2, end);
    *at += 6;
    return put_utf8(out, 0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
}

int ms_json_string(struct ms_json_value value, struct ms_arena *arena, struct ms_bytes *ret_text) {
    struct ms_bytes raw = inside_quotes(value);
    const uint8_t *at = raw.data, *end = raw.data + raw.len;
    const uint8_t *escape = memchr(at, '\\', raw.len);
    if (!escape) {
        *ret_text = raw;
        return 0;
    }
    uint8_t *text = ms_arena_alloc(arena, raw.len);
    if (!text)
        return MS_ENOMEM;
    size_t len = 0;
    while (escape) {
        memcpy(text + len, at, (size_t)(escape - at));
        len += (size_t)(escape - at);
        at = escape;
        uint8_t character[4];
        size_t n = resolve_escape(&at, end, character);
        memcpy(text + len, character, n);
        len += n;
        escape = memchr(at, '\\', (size_t)(end - at));
    }
    memcpy(text + len, at, (size_t)(end - at));
    *ret_text = ms_bytes_of(text, len + (size_t)(end - at));
    return 0;
}

int ms_json_i64(struct ms_json_value value, int64_t *ret_number) {
    return value.type == MS_JSON_NUMBER ? ms_parse_i64(value.text, ret_number) : MS_EINVAL;
}

/* Compares without memory of its own: a name may be as long as its sender likes. */
static bool name_equals(struct ms_json_value name, struct ms_bytes wanted) {
    struct ms_bytes raw = inside_quotes(name);
    if (!memchr(raw.data, '\\', raw.len))
        return ms_bytes_equal(raw, wanted);
    const uint8_t *at = raw.data, *end = raw.data + raw.len;
    size_t matched = 0;
    while (at < end) {
        uint8_t character[4] = {*at};
        size_t n = 1;
        if (*at == '\\')
            n = resolve_escape(&at, end, character);
        else
            at++;
        if (wanted.len - matched < n || memcmp(wanted.data + matched, character, n) != 0)
            return false;
        matched += n;
    }
    return matched == wanted.len;
}

bool ms_json_get(struct ms_json_value object, const char *name, struct ms_json_value *ret_value) {
    struct ms_bytes wanted = ms_bytes_cstr(name);
    struct ms_json_value member, value;
    for (size_t at = 0; ms_json_next_member(object, &at, &member, &value);) {
        if (name_equals(member, wanted)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* ---- writing ---- */

static int write_escape(struct ms_buf *out, uint8_t c) {
    static const char controls[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = memchr(controls, c, sizeof controls - 1);
    if (!found)
        return ms_buf_printf(out, "\\u%04x", c);
    uint8_t escape[2] = {'\\', (uint8_t)letters[found - controls]};
    return ms_buf_append(out, escape, 2);
}

/* What stands between the quotes: runs that need no change are copied whole. */
static int write_characters(struct ms_buf *out, struct ms_bytes text) {
    const uint8_t *at = text.data, *end = at + text.len, *run = at;
    for (;;) {
        at = skip_plain(at, end);
        size_t n = at < end && *at >= 0x80 ? utf8_sequence(at, (size_t)(end - at)) : 0;
        if (n > 0) {
            at += n;
            continue;
        }
        int r = ms_buf_append(out, run, (size_t)(at - run));
        if (r < 0 || at == end)
            return r;
        r = *at >= 0x80 ? ms_buf_append_cstr(out, "\xef\xbf\xbd") : write_escape(out, *at);
        if (r < 0)
            return r;
        run = ++at;
    }
}

int ms_json_write_string(struct ms_buf *out, struct ms_bytes text) {
    size_t before = out->len;
    int r = ms_buf_append_u8(out, '"');
    if (r == 0 && text.len > 0)
        r = write_characters(out, text);
    if (r == 0)
        r = ms_buf_append_u8(out, '"');
    if (r < 0)
        out->len = before;
    return r;
}
