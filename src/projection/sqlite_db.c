/* Connections to SQLite; see sqlite_db.h. */
#include "projection/sqlite_db.h"

#include <stdio.h>
#include <strings.h>

#include "os/clock.h"
#include "projection/sqlite_clock.h"

#define BUSY_MS 5000
#define STEPS_PER_LOOK 20000
#define VALUE_BYTES_MAX (64 << 20)
#define SQL_BYTES_MAX (2 << 20)
#define STATEMENT_BYTES_MAX ((size_t)4 << 20)
#define OWN_PREFIX "mainstem_"

/* ---- what statements may do ---- */

static bool is_named_with(const char *name, const char *prefix) {
    return name != NULL && strncasecmp(name, prefix, strlen(prefix)) == 0;
}

static bool is_own(const char *name) { return is_named_with(name, OWN_PREFIX); }

static bool may_change_rows(enum ms_sqlite_role role, const char *table) {
    return role != MS_SQLITE_READ && !is_own(table);
}

/* Not the same twice, so a rebuild would not be what was built; or beyond the database. */
static bool is_forbidden_function(const char *name) {
    static const char *const names[] = {"random",   "randomblob", "load_extension",
                                        "readfile", "writefile",  "edit"};
    for (size_t i = 0; name != NULL && i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

static const char *refusal(enum ms_sqlite_role role, int action, const char *first,
                           const char *second) {
    bool schema = role == MS_SQLITE_SCHEMA && !is_own(first) && !is_own(second);
    switch (action) {
    case SQLITE_READ: /* there are pragmas that look like tables */
        return is_named_with(first, "pragma_") ? "pragmas are not allowed" : NULL;
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
        return NULL;
    case SQLITE_FUNCTION:
        return is_forbidden_function(second) ? "this function is not allowed" : NULL;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        return may_change_rows(role, first) ? NULL : "rows of this table can't be changed here";
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_VIEW:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_INDEX:
    case SQLITE_DROP_VIEW:
    case SQLITE_DROP_TRIGGER:
    case SQLITE_ALTER_TABLE:
    case SQLITE_REINDEX:
    case SQLITE_ANALYZE:
        return schema ? NULL : "tables can only be made in the schema, not as 'mainstem_…'";
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
        return "other databases can't be attached";
    case SQLITE_PRAGMA:
        return "pragmas are not allowed";
    default:
        return "this is not allowed";
    }
}

static int authorize(void *context, int action, const char *first, const char *second,
                     const char *database, const char *trigger) {
    struct ms_sqlite_db *db = context;
    (void)database;
    (void)trigger;
    if (db->role == MS_SQLITE_OWN)
        return SQLITE_OK;
    const char *why = refusal(db->role, action, first, second);
    if (why == NULL)
        return SQLITE_OK;
    db->refused = why;
    return SQLITE_DENY;
}

/* ---- time ---- */

static int64_t now_ms(void) { return ms_clock_monotonic_us(ms_clock_system()) / 1000; }

/* The clock is read only when there is much to do. */
static int look_at_clock(void *context) {
    struct ms_sqlite_db *db = context;
    if (db->timeout_ms == 0)
        return 0;
    int64_t now = now_ms();
    if (db->began_ms == 0)
        db->began_ms = now;
    db->timed_out = now - db->began_ms >= db->timeout_ms;
    return db->timed_out;
}

void ms_sqlite_db_start(struct ms_sqlite_db *db, int64_t timeout_ms) {
    db->timeout_ms = timeout_ms;
    db->began_ms = 0;
    db->timed_out = false;
}

/* ---- errors ---- */

static int code_of(int sqlite) {
    switch (sqlite & 0xff) {
    case SQLITE_NOMEM:
        return MS_ENOMEM;
    case SQLITE_FULL:
        return MS_ENOSPC;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return MS_EIO;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return MS_ECORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return MS_EAGAIN;
    case SQLITE_INTERRUPT:
        return MS_ETIMEOUT;
    default:
        return MS_EINVAL;
    }
}

int ms_sqlite_db_error(struct ms_sqlite_db *db, const struct ms_place *place,
                       struct ms_error *err) {
    int sqlite = sqlite3_extended_errcode(db->handle);
    int code = db->timed_out ? MS_ETIMEOUT : code_of(sqlite);
    const char *message = sqlite3_errmsg(db->handle);
    if (code == MS_ETIMEOUT)
        message = "it takes longer than it may";
    else if (db->refused != NULL && strstr(message, "not authorized") != NULL)
        message = db->refused;
    if (place != NULL)
        return ms_place_error(*place, code, err, "%s", message);
    return ms_error_set(err, code, "SQLite: %s", message);
}

/* ---- opening ---- */

static const char *pragmas_of(enum ms_sqlite_open how) {
    switch (how) {
    case MS_SQLITE_WRITER:
        return "pragma journal_mode = wal; pragma synchronous = normal;"
               "pragma cache_size = -32768;"
               "pragma temp_store = memory; pragma foreign_keys = on; pragma trusted_schema = off;";
    case MS_SQLITE_READER:
        return "pragma query_only = on; pragma cache_size = -4096; pragma temp_store = memory;"
               "pragma trusted_schema = off;";
    case MS_SQLITE_SCRATCH:
        break;
    }
    return "pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -32768;"
           "pragma temp_store = memory; pragma foreign_keys = on; pragma trusted_schema = off;";
}

static void harden(struct ms_sqlite_db *db) {
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    sqlite3_limit(db->handle, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
    sqlite3_limit(db->handle, SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES_MAX);
    sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL); /* "x" is a name, as in */
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL); /* PostgreSQL */
    sqlite3_set_authorizer(db->handle, authorize, db);
    sqlite3_progress_handler(db->handle, STEPS_PER_LOOK, look_at_clock, db);
}

int ms_sqlite_db_open(struct ms_sqlite_db *db, const char *path, enum ms_sqlite_open how,
                      struct ms_error *err) {
    *db = (struct ms_sqlite_db){.role = MS_SQLITE_OWN};
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE;
    if (how != MS_SQLITE_READER)
        flags |= SQLITE_OPEN_CREATE;
    const char *files = how != MS_SQLITE_READER ? ms_sqlite_without_clock() : NULL;
    if (how != MS_SQLITE_READER && files == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a connection to SQLite");
    int sqlite = sqlite3_open_v2(path, &db->handle, flags, files);
    if (db->handle == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a connection to SQLite");
    if (sqlite == SQLITE_OK)
        sqlite = sqlite3_exec(db->handle, pragmas_of(how), NULL, NULL, NULL);
    if (sqlite == SQLITE_OK)
        sqlite = ms_sqlite_json_register(db->handle, &db->json);
    if (sqlite != SQLITE_OK) {
        int code = ms_error_set(err, code_of(sqlite), "SQLite database %s: %s", path,
                                sqlite3_errmsg(db->handle));
        ms_sqlite_db_close(db);
        return code;
    }
    harden(db);
    return 0;
}

void ms_sqlite_db_close(struct ms_sqlite_db *db) {
    if (db->handle != NULL)
        (void)sqlite3_close_v2(db->handle);
    db->handle = NULL;
}

/* ---- statements ---- */

int ms_sqlite_db_exec(struct ms_sqlite_db *db, const char *sql, struct ms_error *err) {
    db->role = MS_SQLITE_OWN;
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return ms_sqlite_db_error(db, NULL, err);
    return 0;
}

int ms_sqlite_db_prepare(struct ms_sqlite_db *db, const char *sql, sqlite3_stmt **ret_statement,
                         struct ms_error *err) {
    db->role = MS_SQLITE_OWN;
    if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL) !=
        SQLITE_OK)
        return ms_sqlite_db_error(db, NULL, err);
    return 0;
}

static int compile_error(struct ms_sqlite_db *db, const struct ms_sql_statement *statement,
                         struct ms_error *err) {
    int offset = sqlite3_error_offset(db->handle);
    struct ms_place place =
        offset < 0 ? statement->place : ms_sql_place_of(statement, MS_SQL_SQLITE, (size_t)offset);
    return ms_sqlite_db_error(db, &place, err);
}

int ms_sqlite_db_compile(struct ms_sqlite_db *db, enum ms_sqlite_role role,
                         const struct ms_sql_statement *statement, sqlite3_stmt **ret_statement,
                         struct ms_error *err) {
    struct ms_buf sql;
    ms_buf_init(&sql, STATEMENT_BYTES_MAX);
    int code = ms_sql_rewrite(statement, MS_SQL_SQLITE, &sql);
    if (code != 0) {
        code = ms_place_error(statement->place, code, err, "%s", ms_error_text(code));
    } else {
        db->role = role;
        db->refused = NULL;
        if (sqlite3_prepare_v3(db->handle, (const char *)sql.data, (int)sql.len,
                               SQLITE_PREPARE_PERSISTENT, ret_statement, NULL) != SQLITE_OK)
            code = compile_error(db, statement, err);
        db->role = MS_SQLITE_OWN;
    }
    ms_buf_deinit(&sql);
    return code;
}

int ms_sqlite_db_bind(struct ms_sqlite_db *db, sqlite3_stmt *statement, unsigned number,
                      const struct ms_value *value) {
    int at = (int)number + 1;
    (void)db;
    switch (value->kind) {
    case MS_VALUE_NULL:
        return sqlite3_bind_null(statement, at);
    case MS_VALUE_INTEGER:
    case MS_VALUE_BOOLEAN:
        return sqlite3_bind_int64(statement, at, value->integer);
    case MS_VALUE_DOUBLE:
        return sqlite3_bind_double(statement, at, value->number);
    case MS_VALUE_TEXT:
    case MS_VALUE_JSON:
        break;
    }
    const char *text = value->text.data != NULL ? (const char *)value->text.data : "";
    return sqlite3_bind_text64(statement, at, text, value->text.len, SQLITE_STATIC, SQLITE_UTF8);
}
