/* Volatile functions in statements for PostgreSQL; see postgres_volatile.h. */
#include "projection/postgres_volatile.h"

#include <strings.h>

#include "projection/sql_calls.h"

static const char volatile_names[] =
    "select distinct p.proname from pg_catalog.pg_proc p"
    "  where p.provolatile = 'v' and p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype"
    "    and p.prorettype <> 'pg_catalog.event_trigger'::pg_catalog.regtype order by 1";

static int refuse(const struct ms_sql_token *at, struct ms_error *err) {
    return ms_place_error(at->place, MS_EINVAL, err,
                          "'%.*s': what is applied must depend on events alone; a rebuild would "
                          "give other rows (the event's time is :timestamp; a function of your own "
                          "is declared immutable or stable)",
                          MS_PLACE_SHOWN(at->text));
}

/* Keywords that are functions. */
static bool is_clock(const struct ms_sql_call *call) {
    static const char *const clocks[] = {"current_timestamp", "current_date", "current_time",
                                         "localtimestamp",    "localtime",    NULL};
    return call->name.kind == MS_SQL_WORD &&
           ms_sql_name_is_among(ms_sql_name_of(&call->name), clocks);
}

static bool is_session(const struct ms_sql_call *call) {
    static const char *const words[] = {"current_user",    "session_user",   "current_role",
                                        "current_catalog", "current_schema", NULL};
    return call->name.kind == MS_SQL_WORD &&
           ms_sql_name_is_among(ms_sql_name_of(&call->name), words);
}

/* Columns that number themselves: numbers are used up by batches that are rolled back. */
static bool is_numbering(const struct ms_sql_call *call) {
    static const char *const types[] = {"serial",  "bigserial", "smallserial", "serial2",
                                        "serial4", "serial8",   NULL};
    return call->name.kind == MS_SQL_WORD &&
           (ms_sql_name_is_among(ms_sql_name_of(&call->name), types) ||
            (ms_sql_token_is(&call->name, "identity") && ms_sql_token_is(&call->before, "as")));
}

/* Stable within a transaction, and another in the next one. */
static bool changes_between(const struct ms_sql_call *call) {
    static const char *const names[] = {"now",
                                        "transaction_timestamp",
                                        "statement_timestamp",
                                        "current_setting",
                                        "current_schemas",
                                        "current_database",
                                        "version",
                                        "txid_current_",
                                        "txid_current",
                                        "pg_current_",
                                        "pg_backend_pid",
                                        "pg_postmaster_",
                                        "pg_conf_load_time",
                                        "pg_my_temp_schema",
                                        "inet_client_",
                                        "inet_server_",
                                        "pg_is_in_recovery",
                                        NULL};
    struct ms_bytes name = ms_sql_name_of(&call->name);
    bool is_age = name.len == 3 && strncasecmp((const char *)name.data, "age", 3) == 0;
    return ms_sql_name_is_among(name, names) || (is_age && call->arguments == 1);
}

static bool is_volatile(const PGresult *names, struct ms_bytes name) {
    for (int i = 0; i < PQntuples(names); i++)
        if ((size_t)PQgetlength(names, i, 0) == name.len &&
            strncasecmp(PQgetvalue(names, i, 0), (const char *)name.data, name.len) == 0)
            return true;
    return false;
}

/* "insert into t (…)", "create function f (…)": no call. */
static bool is_defined(const struct ms_sql_call *call) {
    static const char *const before[] = {"into", "function", "procedure", "table", "index", NULL};
    return call->before.kind == MS_SQL_WORD && ms_sql_name_is_among(call->before.text, before);
}

static int check(void *context, const struct ms_sql_call *call, struct ms_error *err) {
    const PGresult *names = context;
    if (is_clock(call) || is_session(call) || is_numbering(call))
        return refuse(&call->name, err);
    if (call->bare || is_defined(call))
        return 0;
    return changes_between(call) || is_volatile(names, ms_sql_name_of(&call->name))
               ? refuse(&call->name, err)
               : 0;
}

static int check_all(const struct ms_sql_statements *statements, PGresult *names,
                     struct ms_error *err) {
    int code = 0;
    for (size_t i = 0; code == 0 && i < statements->count; i++)
        code = ms_sql_calls(&statements->items[i], MS_SQL_POSTGRES, check, names, err);
    return code;
}

int ms_postgres_check_volatile(struct ms_postgres_db *db,
                               const struct ms_projection_definition *definition,
                               struct ms_error *err) {
    PGresult *names;
    int code = ms_postgres_db_query(db, volatile_names, 0, NULL, &names, err);
    if (code != 0)
        return code;
    code = check_all(&definition->schema, names, err);
    for (size_t i = 0; code == 0 && i < definition->handler_count; i++)
        code = check_all(&definition->handlers[i].statements, names, err);
    PQclear(names);
    return code;
}
