/* Calls of functions in the text of a statement; see sql_calls.h. */
#include "projection/sql_calls.h"

#include <strings.h>

#define DEPTH_MAX 100u

struct level {
    struct ms_sql_call call;
    bool any; /* argument */
};

struct reading {
    struct ms_sql_token before, name; /* the last two, blanks aside */
    struct level levels[DEPTH_MAX];
    size_t depth;
    ms_sql_call_fn *visit;
    void *context;
    struct ms_error *err;
};

struct ms_bytes ms_sql_name_of(const struct ms_sql_token *token) {
    if (token->kind == MS_SQL_QUOTED_NAME)
        return ms_bytes_of(token->text.data + 1, token->text.len - 2);
    return token->kind == MS_SQL_WORD ? token->text : (struct ms_bytes){0};
}

bool ms_sql_name_is_among(struct ms_bytes name, const char *const *list) {
    for (; *list != NULL; list++) {
        size_t len = strlen(*list);
        bool is_prefix = (*list)[len - 1] == '_';
        if ((is_prefix ? name.len >= len : name.len == len) &&
            strncasecmp((const char *)name.data, *list, len) == 0)
            return true;
    }
    return false;
}

static bool is_moment(const struct ms_sql_token *token) {
    static const char *const moments[] = {"now", "localtime", "utc", NULL};
    struct ms_bytes text = token->text;
    if (token->kind != MS_SQL_STRING || text.len < 2 || text.data[0] != '\'')
        return false;
    text = ms_bytes_of(text.data + 1, text.len - 2);
    while (text.len > 0 && text.data[0] == ' ')
        text = ms_bytes_of(text.data + 1, text.len - 1);
    while (text.len > 0 && text.data[text.len - 1] == ' ')
        text.len--;
    return ms_sql_name_is_among(text, moments);
}

static int open_bracket(struct reading *reading, const struct ms_sql_token *bracket) {
    if (reading->depth == DEPTH_MAX)
        return ms_place_error(bracket->place, MS_ETOOBIG, reading->err,
                              "more than %u brackets in one another", DEPTH_MAX);
    reading->levels[reading->depth++] = (struct level){
        .call = {.before = reading->before, .name = reading->name, .now.kind = MS_SQL_SPACE}};
    return 0;
}

static int close_bracket(struct reading *reading) {
    if (reading->depth == 0)
        return 0;
    struct level *level = &reading->levels[--reading->depth];
    level->call.arguments += level->any;
    return ms_sql_name_of(&level->call.name).data == NULL
               ? 0
               : reading->visit(reading->context, &level->call, reading->err);
}

static int visit_bare(struct reading *reading) {
    struct ms_sql_call call = {
        .before = reading->before, .name = reading->name, .bare = true, .now.kind = MS_SQL_SPACE};
    return ms_sql_name_of(&call.name).data == NULL
               ? 0
               : reading->visit(reading->context, &call, reading->err);
}

static void note_argument(struct reading *reading, const struct ms_sql_token *token) {
    struct level *level = reading->depth > 0 ? &reading->levels[reading->depth - 1] : NULL;
    if (level == NULL)
        return;
    level->any = true;
    level->call.arguments += ms_sql_token_is_operator(token, ',');
    if (is_moment(token))
        level->call.now = *token;
}

static int take(struct reading *reading, const struct ms_sql_token *token) {
    int code = 0;
    if (ms_sql_token_is_operator(token, '(')) {
        note_argument(reading, token); /* f((a)) has one */
        code = open_bracket(reading, token);
    } else {
        code = visit_bare(reading);
        if (code == 0 && ms_sql_token_is_operator(token, ')'))
            code = close_bracket(reading);
        else
            note_argument(reading, token);
    }
    reading->before = reading->name;
    reading->name = *token;
    return code;
}

int ms_sql_calls(const struct ms_sql_statement *statement, enum ms_sql_dialect dialect,
                 ms_sql_call_fn *visit, void *context, struct ms_error *err) {
    struct reading reading = {.before.kind = MS_SQL_SPACE,
                              .name.kind = MS_SQL_SPACE,
                              .visit = visit,
                              .context = context,
                              .err = err};
    struct ms_sql_token token = {.kind = MS_SQL_SPACE};
    struct ms_sql_lexer lexer;
    ms_sql_lexer_init(&lexer, statement->place.file, statement->text, dialect);
    lexer.place = statement->place;
    int code = 0;
    while (code == 0 && token.kind != MS_SQL_END) {
        code = ms_sql_next(&lexer, &token, err);
        if (code == 0 && !ms_sql_token_is_blank(&token))
            code = take(&reading, &token);
    }
    return code;
}
