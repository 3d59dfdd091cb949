/* Clocks in statements for SQLite; see sqlite_guard.h. */
#include "projection/sqlite_guard.h"

#include "projection/sql_calls.h"

static int refuse(const struct ms_sql_token *at, struct ms_error *err) {
    return ms_place_error(at->place, MS_EINVAL, err,
                          "'%.*s': what is applied must not depend on the clock; a rebuild would "
                          "give other rows (the event's time is :timestamp)",
                          MS_PLACE_SHOWN(at->text));
}

static int check(void *context, const struct ms_sql_call *call, struct ms_error *err) {
    static const char *const keywords[] = {"current_timestamp", "current_date", "current_time",
                                           NULL};
    static const char *const dates[] = {"date",      "time",     "datetime", "julianday",
                                        "unixepoch", "strftime", NULL};
    struct ms_bytes name = ms_sql_name_of(&call->name);
    unsigned wanted = ms_bytes_equal_cstr(name, "strftime") ? 2 : 1;
    (void)context;
    if (call->bare)
        return call->name.kind == MS_SQL_WORD && ms_sql_name_is_among(name, keywords)
                   ? refuse(&call->name, err)
                   : 0;
    if (!ms_sql_name_is_among(name, dates))
        return 0;
    if (call->now.kind == MS_SQL_STRING)
        return refuse(&call->now, err);
    return call->arguments < wanted ? refuse(&call->name, err) : 0;
}

static int check_all(const struct ms_sql_statements *statements, struct ms_error *err) {
    int code = 0;
    for (size_t i = 0; code == 0 && i < statements->count; i++)
        code = ms_sql_calls(&statements->items[i], MS_SQL_SQLITE, check, NULL, err);
    return code;
}

int ms_sqlite_guard(const struct ms_projection_definition *definition, struct ms_error *err) {
    int code = check_all(&definition->schema, err);
    for (size_t i = 0; code == 0 && i < definition->handler_count; i++)
        code = check_all(&definition->handlers[i].statements, err);
    return code;
}
