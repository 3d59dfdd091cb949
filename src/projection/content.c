/* The content of a projection file and its hash; see content.h. */
#include "projection/content.h"

#include "projection/limits.h"

/* ---- the text ---- */

static struct ms_bytes without_byte_order_mark(struct ms_bytes content) {
    struct ms_bytes mark = MS_BYTES_LITERAL("\xef\xbb\xbf");
    if (!ms_bytes_starts_with(content, mark))
        return content;
    return ms_bytes_of(content.data + mark.len, content.len - mark.len);
}

static size_t character_length(uint8_t lead) {
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* What is wrong with the character at `at`, NULL when nothing is. */
static const char *fault_at(struct ms_bytes content, size_t at) {
    uint8_t c = content.data[at];
    size_t len = character_length(c), left = content.len - at;
    if (len > left || !ms_utf8_valid(ms_bytes_of(content.data + at, len)))
        return "this is not UTF-8";
    if (c == '\0')
        return "a zero byte";
    if (c == '\r' && (left == 1 || content.data[at + 1] != '\n'))
        return "a carriage return without a line feed";
    return NULL;
}

static int check(const char *file, struct ms_bytes content, struct ms_error *err) {
    struct ms_place start = {file, 1, 1};
    if (content.len > MS_PROJECTION_FILE_BYTES_MAX)
        return ms_place_error(start, MS_ETOOBIG, err, "the file has %zu bytes, the limit is %zu",
                              content.len, MS_PROJECTION_FILE_BYTES_MAX);
    for (size_t at = 0; at < content.len; at += character_length(content.data[at])) {
        const char *fault = fault_at(content, at);
        if (fault != NULL)
            return ms_place_error(ms_place_after(start, ms_bytes_of(content.data, at)), MS_EINVAL,
                                  err, "%s", fault);
    }
    return 0;
}

int ms_content_text(const char *file, struct ms_bytes content, struct ms_arena *arena,
                    struct ms_bytes *ret_text, struct ms_error *err) {
    content = without_byte_order_mark(content);
    int rc = check(file, content, err);
    if (rc != 0)
        return rc;
    uint8_t *text = ms_arena_alloc(arena, content.len);
    if (text == NULL)
        return ms_error_set(err, MS_ENOMEM, "%s: no memory for the file", file);
    size_t len = 0;
    for (size_t i = 0; i < content.len; i++)
        if (content.data[i] != '\r')
            text[len++] = content.data[i];
    *ret_text = ms_bytes_of(text, len);
    return 0;
}

/* ---- the hash ---- */

void ms_content_hasher_init(struct ms_content_hasher *hasher) {
    ms_buf_init(&hasher->text, MS_PROJECTION_FILE_BYTES_MAX);
}

void ms_content_hasher_deinit(struct ms_content_hasher *hasher) { ms_buf_deinit(&hasher->text); }

/* Tokens that hold blanks of the user's end in a quote or a dollar, so nothing of them is lost. */
static void trim(struct ms_buf *text, bool lines) {
    for (; text->len > 0; text->len--) {
        uint8_t last = text->data[text->len - 1];
        if (last != ' ' && last != '\t' && last != '\f' && !(lines && last == '\n'))
            break;
    }
}

int ms_content_hasher_add(struct ms_content_hasher *hasher, const struct ms_sql_token *token) {
    if (token->kind == MS_SQL_END)
        return 0;
    bool blank = ms_sql_token_is_blank(token);
    struct ms_bytes text = token->text;
    for (size_t i = 0; blank && i < text.len; i++) {
        if (text.data[i] == '\n')
            trim(&hasher->text, false);
        int rc = ms_buf_append_u8(&hasher->text, text.data[i]);
        if (rc != 0)
            return rc;
    }
    return blank ? 0 : ms_buf_append_bytes(&hasher->text, text);
}

struct ms_hash128 ms_content_hasher_end(struct ms_content_hasher *hasher) {
    trim(&hasher->text, true);
    return ms_hash128(hasher->text.data, hasher->text.len, 0);
}
