/* Tokens of SQL; sql_lexer.h has the table of what each database takes for what. One thread. */
#include "projection/sql_lexer.h"

/* ---- bytes ---- */

/* White space of both databases: a vertical tab is none in either. */
static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static bool begins_word(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

/* In both databases a '$' may stand within a name, where it begins nothing. */
static bool continues_word(uint8_t c) { return begins_word(c) || is_digit(c) || c == '$'; }

/* 0 past the end, which is no byte that anything here waits for. */
static uint8_t byte_at(const struct ms_sql_lexer *lexer, size_t at) {
    return at < lexer->text.len ? lexer->text.data[at] : 0;
}

static size_t skip_word(const struct ms_sql_lexer *lexer, size_t at) {
    while (at < lexer->text.len && continues_word(lexer->text.data[at]))
        at++;
    return at;
}

static size_t skip_space(const struct ms_sql_lexer *lexer, size_t at) {
    while (at < lexer->text.len && is_space(lexer->text.data[at]))
        at++;
    return at;
}

static size_t skip_line(const struct ms_sql_lexer *lexer, size_t at) {
    const uint8_t *from = lexer->text.data + at;
    const uint8_t *feed = memchr(from, '\n', lexer->text.len - at);
    return feed != NULL ? at + (size_t)(feed - from) : lexer->text.len;
}

/* ---- what has an end of its own: each gives the offset behind it ---- */

static int no_end(const struct ms_sql_lexer *lexer, const char *what, struct ms_error *err) {
    return ms_place_error(lexer->place, MS_EINVAL, err, "the %s that begins here has no end", what);
}

/* From the opening quote at `at`; the closing one stands for itself when it is doubled. */
static int skip_quoted(const struct ms_sql_lexer *lexer, size_t at, const char *what,
                       size_t *ret_end, struct ms_error *err) {
    uint8_t quote = lexer->text.data[at];
    for (at++; at < lexer->text.len; at++) {
        if (lexer->text.data[at] != quote)
            continue;
        if (byte_at(lexer, at + 1) != quote) {
            *ret_end = at + 1;
            return 0;
        }
        at++;
    }
    return no_end(lexer, what, err);
}

/* SQLite's [name]: nothing stands for a ']' in it. */
static int skip_bracketed(const struct ms_sql_lexer *lexer, size_t *ret_end, struct ms_error *err) {
    const uint8_t *from = lexer->text.data + lexer->at;
    const uint8_t *close = memchr(from, ']', lexer->text.len - lexer->at);
    if (close == NULL)
        return no_end(lexer, "name in brackets", err);
    *ret_end = lexer->at + (size_t)(close - from) + 1;
    return 0;
}

/* A string goes on in a further pair of quotes on a later line, and an E before the first counts
 * for all of them. Gives the offset of that quote, or of the string's end. */
static size_t continuation(const struct ms_sql_lexer *lexer, size_t end) {
    size_t at = end;
    bool later_line = false;
    for (;;) {
        size_t next = skip_space(lexer, at);
        if (next > at)
            later_line |= memchr(lexer->text.data + at, '\n', next - at) != NULL;
        if (byte_at(lexer, next) != '-' || byte_at(lexer, next + 1) != '-')
            return later_line && byte_at(lexer, next) == '\'' ? next : end;
        at = skip_line(lexer, next);
    }
}

/* PostgreSQL's E'…' from its first quote at `at`: a backslash takes the next byte with it. */
static int skip_escaped(const struct ms_sql_lexer *lexer, size_t at, size_t *ret_end,
                        struct ms_error *err) {
    for (at++; at < lexer->text.len; at++) {
        if (lexer->text.data[at] == '\\' ||
            (lexer->text.data[at] == '\'' && byte_at(lexer, at + 1) == '\'')) {
            at++;
        } else if (lexer->text.data[at] == '\'') {
            size_t next = continuation(lexer, at + 1);
            if (byte_at(lexer, next) != '\'') {
                *ret_end = next;
                return 0;
            }
            at = next;
        }
    }
    return no_end(lexer, "string", err);
}

/* One comment within another: PostgreSQL counts, SQLite does not, so there it is refused. */
static int skip_block_comment(const struct ms_sql_lexer *lexer, size_t *ret_end,
                              struct ms_error *err) {
    unsigned depth = 1;
    size_t at = lexer->at + 2;
    while (at < lexer->text.len) {
        uint8_t c = lexer->text.data[at], next = byte_at(lexer, at + 1);
        at++;
        if (c == '*' && next == '/') {
            at++;
            if (--depth == 0) {
                *ret_end = at;
                return 0;
            }
        } else if (c == '/' && next == '*') {
            at++;
            depth++;
            if (lexer->dialect == MS_SQL_SQLITE)
                return ms_place_error(lexer->place, MS_EINVAL, err,
                                      "the comment that begins here has '/*' in it: SQLite would "
                                      "end both at the first '*/'");
        }
    }
    return no_end(lexer, "comment", err);
}

/* The length of an opening $$ or $tag$ at `at`, 0 when there is none. */
static size_t dollar_quote_length(const struct ms_sql_lexer *lexer, size_t at) {
    size_t end = at + 1;
    if (begins_word(byte_at(lexer, end)))
        while (begins_word(byte_at(lexer, end)) || is_digit(byte_at(lexer, end)))
            end++;
    return byte_at(lexer, end) == '$' ? end + 1 - at : 0;
}

static int skip_body(const struct ms_sql_lexer *lexer, size_t quote_len, size_t *ret_end,
                     struct ms_error *err) {
    const uint8_t *quote = lexer->text.data + lexer->at;
    size_t at = lexer->at + quote_len;
    const uint8_t *close = memmem(lexer->text.data + at, lexer->text.len - at, quote, quote_len);
    if (close == NULL)
        return ms_place_error(
            lexer->place, MS_EINVAL, err, "the body between %.*s that begins here has no end",
            (int)(quote_len < MS_PLACE_SHOWN_MAX ? quote_len : MS_PLACE_SHOWN_MAX), quote);
    *ret_end = (size_t)(close - lexer->text.data) + quote_len;
    return 0;
}

/* ---- what depends on the database ---- */

static int not_our_parameter(const struct ms_sql_lexer *lexer, struct ms_error *err) {
    return ms_place_error(lexer->place, MS_EINVAL, err,
                          "'%c' begins no parameter here: they are written :name",
                          lexer->text.data[lexer->at]);
}

static int scan_dollar(const struct ms_sql_lexer *lexer, enum ms_sql_token_kind *ret_kind,
                       size_t *ret_end, struct ms_error *err) {
    size_t quote_len = dollar_quote_length(lexer, lexer->at);
    if (quote_len > 0 && lexer->dialect == MS_SQL_SQLITE)
        return ms_place_error(lexer->place, MS_EINVAL, err,
                              "bodies in dollar quotes need '-- target: postgres'");
    if (quote_len > 0) {
        *ret_kind = MS_SQL_BODY;
        return skip_body(lexer, quote_len, ret_end, err);
    }
    if (lexer->dialect == MS_SQL_SQLITE || is_digit(byte_at(lexer, lexer->at + 1)))
        return not_our_parameter(lexer, err);
    return 0;
}

static int scan_colon(const struct ms_sql_lexer *lexer, enum ms_sql_token_kind *ret_kind,
                      size_t *ret_end) {
    uint8_t next = byte_at(lexer, lexer->at + 1);
    bool sqlite = lexer->dialect == MS_SQL_SQLITE;
    if (next == ':') {
        *ret_kind = MS_SQL_CAST;
        *ret_end = lexer->at + 2;
    } else if (begins_word(next) || (sqlite && continues_word(next))) {
        *ret_kind = MS_SQL_PARAMETER;
        *ret_end = skip_word(lexer, lexer->at + 1);
    }
    return 0;
}

static int scan_word(const struct ms_sql_lexer *lexer, enum ms_sql_token_kind *ret_kind,
                     size_t *ret_end, struct ms_error *err) {
    size_t end = skip_word(lexer, lexer->at);
    bool is_e = end == lexer->at + 1 && (lexer->text.data[lexer->at] | 0x20) == 'e';
    *ret_kind = MS_SQL_WORD;
    *ret_end = end;
    if (!is_e || byte_at(lexer, end) != '\'' || lexer->dialect != MS_SQL_POSTGRES)
        return 0;
    *ret_kind = MS_SQL_STRING;
    return skip_escaped(lexer, end, ret_end, err);
}

/* "1.5e3", "0xff", and whatever else begins with a digit. */
static size_t skip_number(const struct ms_sql_lexer *lexer) {
    size_t at = lexer->at;
    while (at < lexer->text.len &&
           (continues_word(lexer->text.data[at]) || lexer->text.data[at] == '.'))
        at++;
    return at;
}

/* Signs that only SQLite gives a meaning that matters here. */
static int scan_sqlite_sign(const struct ms_sql_lexer *lexer, enum ms_sql_token_kind *ret_kind,
                            size_t *ret_end, struct ms_error *err) {
    switch (lexer->text.data[lexer->at]) {
    case '`':
        *ret_kind = MS_SQL_QUOTED_NAME;
        return skip_quoted(lexer, lexer->at, "name in backticks", ret_end, err);
    case '[':
        *ret_kind = MS_SQL_QUOTED_NAME;
        return skip_bracketed(lexer, ret_end, err);
    case '?':
    case '@':
    case '#':
        return not_our_parameter(lexer, err);
    default:
        return 0;
    }
}

/* ---- tokens ---- */

static bool begins_pair(const struct ms_sql_lexer *lexer, char first, char second) {
    return lexer->text.data[lexer->at] == first && byte_at(lexer, lexer->at + 1) == second;
}

/* Called with one byte at least to go, *ret_kind an operator and *ret_end behind it. */
static int scan(const struct ms_sql_lexer *lexer, enum ms_sql_token_kind *ret_kind, size_t *ret_end,
                struct ms_error *err) {
    uint8_t c = lexer->text.data[lexer->at];
    if (is_space(c)) {
        *ret_kind = MS_SQL_SPACE;
        *ret_end = skip_space(lexer, lexer->at);
    } else if (begins_pair(lexer, '-', '-')) {
        *ret_kind = MS_SQL_LINE_COMMENT;
        *ret_end = skip_line(lexer, lexer->at);
    } else if (begins_pair(lexer, '/', '*')) {
        *ret_kind = MS_SQL_BLOCK_COMMENT;
        return skip_block_comment(lexer, ret_end, err);
    } else if (begins_word(c)) {
        return scan_word(lexer, ret_kind, ret_end, err);
    } else if (is_digit(c)) {
        *ret_kind = MS_SQL_NUMBER;
        *ret_end = skip_number(lexer);
    } else if (c == '\'') {
        *ret_kind = MS_SQL_STRING;
        return skip_quoted(lexer, lexer->at, "string", ret_end, err);
    } else if (c == '"') {
        *ret_kind = MS_SQL_QUOTED_NAME;
        return skip_quoted(lexer, lexer->at, "name in quotes", ret_end, err);
    } else if (c == ';') {
        *ret_kind = MS_SQL_SEMICOLON;
    } else if (c == ':') {
        return scan_colon(lexer, ret_kind, ret_end);
    } else if (c == '$') {
        return scan_dollar(lexer, ret_kind, ret_end, err);
    } else if (lexer->dialect == MS_SQL_SQLITE) {
        return scan_sqlite_sign(lexer, ret_kind, ret_end, err);
    }
    return 0;
}

void ms_sql_lexer_init(struct ms_sql_lexer *lexer, const char *file, struct ms_bytes text,
                       enum ms_sql_dialect dialect) {
    *lexer = (struct ms_sql_lexer){.text = text, .dialect = dialect, .place = {file, 1, 1}};
}

int ms_sql_next(struct ms_sql_lexer *lexer, struct ms_sql_token *ret_token, struct ms_error *err) {
    struct ms_sql_token token = {.kind = MS_SQL_END, .place = lexer->place};
    size_t end = lexer->at;
    if (lexer->at < lexer->text.len) {
        token.kind = MS_SQL_OPERATOR;
        end++;
        int rc = scan(lexer, &token.kind, &end, err);
        if (rc != 0)
            return rc;
        token.text = ms_bytes_of(lexer->text.data + lexer->at, end - lexer->at);
    }
    MS_ASSERT(end <= lexer->text.len && (end > lexer->at || token.kind == MS_SQL_END));
    lexer->place = ms_place_after(lexer->place, token.text);
    lexer->at = end;
    *ret_token = token;
    return 0;
}

bool ms_sql_token_is(const struct ms_sql_token *token, const char *word) {
    size_t len = strlen(word);
    if (token->kind != MS_SQL_WORD || token->text.len != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((token->text.data[i] | 0x20) != word[i])
            return false;
    return true;
}
