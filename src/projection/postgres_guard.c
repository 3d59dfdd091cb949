/* What statements may be on PostgreSQL; see postgres_guard.h. */
#include "projection/postgres_guard.h"

#include "projection/sql_calls.h"

#define OWN_PREFIX "mainstem_"

static bool begins_well(const struct ms_sql_statement *statement, enum ms_postgres_part part) {
    static const char *const schema[] = {
        "create", "alter", "drop", "comment", "insert", "update", "delete",   "merge",
        "select", "with",  "do",   "analyze", "revoke", "grant",  "truncate", NULL};
    static const char *const handler[] = {"insert", "update", "delete",   "merge", "select",
                                          "with",   "values", "truncate", NULL};
    static const char *const query[] = {"select", "with", "values", NULL};
    static const char *const *const parts[] = {schema, handler, query};
    return ms_sql_name_is_among(statement->first.text, parts[part]);
}

static bool is_forbidden_function(struct ms_bytes name) {
    static const char *const names[] = {
        /* files */
        "pg_read_", "pg_ls_", "pg_stat_file", "pg_file_", "lo_import", "lo_export",
        /* other servers, and text that becomes SQL */
        "dblink", "dblink_", "query_to_", "cursor_to_", "ts_stat",
        /* the server and other sessions */
        "pg_terminate_", "pg_cancel_", "pg_reload_", "pg_rotate_", "pg_promote", "pg_switch_",
        "pg_create_", "pg_drop_", "pg_logical_", "pg_replication_", "pg_wal_", "pg_backup_",
        "pg_start_", "pg_stop_", "pg_notify", "pg_log_",
        /* what outlives the transaction */
        "set_config", "pg_advisory_", "pg_try_advisory_", NULL};
    return ms_sql_name_is_among(name, names);
}

/* `next` stands behind it, blanks aside. */
static int check_name(const struct ms_sql_token *token, const struct ms_sql_token *next,
                      enum ms_postgres_part part, struct ms_error *err) {
    struct ms_bytes name = ms_sql_name_of(token);
    if (name.data == NULL)
        return 0;
    if (part != MS_POSTGRES_SCHEMA && ms_sql_token_is_operator(next, '(') &&
        is_forbidden_function(name))
        return ms_place_error(token->place, MS_EINVAL, err, "'%.*s': this function is not allowed",
                              MS_PLACE_SHOWN(name));
    if (part != MS_POSTGRES_QUERY && ms_bytes_starts_with(name, MS_BYTES_LITERAL(OWN_PREFIX)))
        return ms_place_error(token->place, MS_EINVAL, err,
                              "'%.*s': names that begin with '" OWN_PREFIX "' are the server's",
                              MS_PLACE_SHOWN(name));
    return 0;
}

/* U&"…" writes names that can't be read here. */
static int check_escaped(const struct ms_sql_token *before, const struct ms_sql_token *token,
                         const struct ms_sql_token *next, struct ms_error *err) {
    if (!ms_sql_token_is(before, "u") || !ms_sql_token_is_operator(token, '&') ||
        next->kind != MS_SQL_QUOTED_NAME)
        return 0;
    return ms_place_error(before->place, MS_EINVAL, err, "write this name without U&");
}

int ms_postgres_guard(const struct ms_sql_statement *statement, enum ms_postgres_part part,
                      struct ms_error *err) {
    static const char *const what[] = {"the schema", "'-- on:'", "'-- query:'"};
    struct ms_sql_token before = {.kind = MS_SQL_SPACE}, token = before, next = before;
    struct ms_sql_lexer lexer;
    if (!begins_well(statement, part))
        return ms_place_error(statement->place, MS_EINVAL, err,
                              "'%.*s': %s has no such statements on PostgreSQL",
                              MS_PLACE_SHOWN(statement->first.text), what[part]);
    ms_sql_lexer_init(&lexer, statement->place.file, statement->text, MS_SQL_POSTGRES);
    lexer.place = statement->place;
    int code = 0;
    while (code == 0 && next.kind != MS_SQL_END) {
        code = ms_sql_next(&lexer, &next, err);
        if (code != 0 || ms_sql_token_is_blank(&next))
            continue;
        code = check_name(&token, &next, part, err);
        if (code == 0)
            code = check_escaped(&before, &token, &next, err);
        before = token;
        token = next;
    }
    return code;
}
