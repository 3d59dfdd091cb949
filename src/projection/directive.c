/* Directives and the values behind them; see directive.h. Any thread. */
#include "projection/directive.h"

#include "base/suggest.h"
#include "projection/limits.h"

#define DIRECTIVE_NAME_MAX 24u /* what is longer is no slip of a directive's name */

static const struct {
    const char *name, *value;
    bool single;
} directives[MS_DIRECTIVE_COUNT] = {
#define X(constant, name, value, single) {name, value, single},
    MS_DIRECTIVE_LIST(X)
#undef X
};

const char *ms_directive_name(enum ms_directive_kind kind) { return directives[kind].name; }

bool ms_directive_is_single(enum ms_directive_kind kind) { return directives[kind].single; }

static bool is_blank(uint8_t c) { return c == ' ' || c == '\t'; }

/* Without blanks at either end; `place` moves to where the rest begins. */
static struct ms_bytes trimmed(struct ms_bytes text, struct ms_place *place) {
    size_t from = 0, to = text.len;
    while (from < to && is_blank(text.data[from]))
        from++;
    while (to > from && is_blank(text.data[to - 1]))
        to--;
    *place = ms_place_after(*place, ms_bytes_of(text.data, from));
    return ms_bytes_of(text.data + from, to - from);
}

/* "-- name: value" in its two halves; false when there is no ':'. */
static bool cut(const struct ms_sql_token *comment, struct ms_bytes *ret_name,
                struct ms_directive *ret) {
    MS_ASSERT(comment->kind == MS_SQL_LINE_COMMENT && comment->text.len >= 2);
    struct ms_bytes text = ms_bytes_of(comment->text.data + 2, comment->text.len - 2);
    const uint8_t *colon = text.len > 0 ? memchr(text.data, ':', text.len) : NULL;
    if (colon == NULL)
        return false;
    struct ms_place unused = comment->place;
    size_t name_len = (size_t)(colon - text.data);
    *ret_name = trimmed(ms_bytes_of(text.data, name_len), &unused);
    ret->place = comment->place;
    ret->value_place =
        ms_place_after(comment->place, ms_bytes_of(comment->text.data, name_len + 3));
    ret->value = trimmed(ms_bytes_of(colon + 1, text.len - name_len - 1), &ret->value_place);
    return true;
}

bool ms_directive_read(const struct ms_sql_token *comment, struct ms_directive *ret_directive) {
    struct ms_bytes name;
    struct ms_directive directive;
    if (!cut(comment, &name, &directive))
        return false;
    for (int i = 0; i < MS_DIRECTIVE_COUNT; i++) {
        if (ms_bytes_equal_cstr(name, directives[i].name)) {
            directive.kind = (enum ms_directive_kind)i;
            *ret_directive = directive;
            return true;
        }
    }
    return false;
}

/* "On Error", "on_error" -> "on-error"; false when that can be no name. */
static bool as_spelled_here(struct ms_bytes name, uint8_t out[DIRECTIVE_NAME_MAX]) {
    if (name.len == 0 || name.len > DIRECTIVE_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter && c != ' ' && c != '_' && c != '-')
            return false;
        out[i] = letter ? c | 0x20 : '-';
    }
    return true;
}

/* Known from other tools; docs/projections.md says why there is none. */
static int refuse_migration(const struct ms_sql_token *comment, struct ms_bytes name,
                            struct ms_error *err) {
    return ms_place_error(comment->place, MS_EINVAL, err,
                          "'-- %.*s:': tables are not migrated; change the file, and the new "
                          "version is filled from the log beside the old one",
                          MS_PLACE_SHOWN(name));
}

int ms_directive_check_comment(const struct ms_sql_token *comment, struct ms_error *err) {
    struct ms_bytes name;
    struct ms_directive unused;
    struct ms_suggestion suggestion;
    uint8_t spelled[DIRECTIVE_NAME_MAX];
    if (!cut(comment, &name, &unused) || !as_spelled_here(name, spelled))
        return 0;
    if (ms_bytes_starts_with(ms_bytes_of(spelled, name.len), MS_BYTES_LITERAL("migrat")))
        return refuse_migration(comment, name, err);
    ms_suggest_begin(&suggestion, ms_bytes_of(spelled, name.len));
    for (int i = 0; i < MS_DIRECTIVE_COUNT; i++)
        ms_suggest_offer(&suggestion, directives[i].name);
    if (suggestion.best == NULL)
        return 0;
    return ms_place_error(comment->place, MS_EINVAL, err,
                          "'-- %.*s:' is no directive; did you mean '-- %s:'?",
                          MS_PLACE_SHOWN(name), suggestion.best);
}

/* ---- values ---- */

int ms_directive_check_name(struct ms_bytes name, const char *what, struct ms_place place,
                            struct ms_error *err) {
    bool good = name.len > 0 && name.data[0] >= 'a' && name.data[0] <= 'z';
    for (size_t i = 1; good && i < name.len; i++) {
        uint8_t c = name.data[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    }
    if (!good)
        return ms_place_error(place, MS_EINVAL, err,
                              "'%.*s' is no name of a %s: a letter a-z, then a-z, 0-9 and _",
                              MS_PLACE_SHOWN(name), what);
    if (name.len > MS_PROJECTION_NAME_MAX)
        return ms_place_error(place, MS_ETOOBIG, err,
                              "the name of the %s has %zu bytes, the limit is %u", what, name.len,
                              MS_PROJECTION_NAME_MAX);
    return 0;
}

struct ms_directive_list ms_directive_list_of(const struct ms_directive *directive) {
    return (struct ms_directive_list){directive->value, directive->value_place, false};
}

int ms_directive_list_next(struct ms_directive_list *list, struct ms_bytes *ret_item,
                           struct ms_place *ret_place, struct ms_error *err) {
    if (list->at_end)
        return 0;
    struct ms_bytes rest = list->rest;
    const uint8_t *comma = rest.len > 0 ? memchr(rest.data, ',', rest.len) : NULL;
    size_t len = comma != NULL ? (size_t)(comma - rest.data) : rest.len;
    struct ms_place place = list->place;
    struct ms_bytes item = trimmed(ms_bytes_of(rest.data, len), &place);
    if (item.len == 0)
        return ms_place_error(place, MS_EINVAL, err, "a name is missing here");
    list->at_end = comma == NULL;
    if (comma != NULL) {
        list->place = ms_place_after(list->place, ms_bytes_of(rest.data, len + 1));
        list->rest = ms_bytes_of(rest.data + len + 1, rest.len - len - 1);
    }
    *ret_item = item;
    *ret_place = place;
    return 1;
}
