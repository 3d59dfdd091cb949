/* Connections to PostgreSQL; see postgres_db.h. */
#include "projection/postgres_db.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "os/clock.h"
#include "projection/limits.h"

#define SERVER_VERSION_MIN 120000
#define STATEMENT_BYTES_MAX ((size_t)4 << 20)
#define SQL_MAX 512
#define LOOK_MS 50          /* while it connects: is it to be stopped? */
#define SECRET_BYTES_MIN 3u /* shorter values are no secrets, and would hide half of a message */
#define HIDDEN "***"

/* ---- what libpq may say ---- */

/* The first line, from where the host is named on. */
static struct ms_bytes reason_of(const char *message) {
    static const char cause[] = " failed: ";
    const char *at;
    while ((at = strstr(message, cause)) != NULL)
        message = at + strlen(cause);
    return ms_bytes_of(message, strcspn(message, "\n"));
}

/* Copies without what stands in double quotes: names of hosts, users and databases. */
static void copy_unquoted(struct ms_bytes from, char *out, size_t size) {
    size_t len = 0;
    bool quoted = false;
    for (size_t i = 0; i < from.len && len + sizeof HIDDEN + 1 < size; i++) {
        char byte = (char)from.data[i];
        if (byte == '"') {
            if (!quoted)
                len += (size_t)snprintf(out + len, size - len, "\"" HIDDEN "\"");
            quoted = !quoted;
        } else if (!quoted) {
            out[len++] = byte;
        }
    }
    out[len] = '\0';
}

static void hide(char *text, const char *secret) {
    size_t len = secret != NULL ? strlen(secret) : 0;
    if (len < SECRET_BYTES_MIN)
        return;
    for (char *at = strstr(text, secret); at != NULL; at = strstr(at, secret)) {
        memcpy(at, HIDDEN, strlen(HIDDEN));
        at += strlen(HIDDEN);
        memmove(at, at + len - strlen(HIDDEN), strlen(at + len - strlen(HIDDEN)) + 1);
    }
}

/* Whatever the connection was made with. */
static void hide_options(PGconn *handle, char *text) {
    PQconninfoOption *options = handle != NULL ? PQconninfo(handle) : NULL;
    for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++) {
        bool is_ours = strcmp(option->keyword, "fallback_application_name") == 0 ||
                       strcmp(option->keyword, "client_encoding") == 0;
        bool is_default = option->compiled != NULL && option->val != NULL &&
                          strcmp(option->compiled, option->val) == 0;
        if (!is_ours && !is_default)
            hide(text, option->val);
    }
    PQconninfoFree(options);
}

static int connection_error(PGconn *handle, int code, struct ms_error *err) {
    char text[MS_ERROR_TEXT_MAX];
    copy_unquoted(reason_of(PQerrorMessage(handle)), text, sizeof text);
    hide_options(handle, text);
    return ms_error_set(err, code, "PostgreSQL: %s",
                        text[0] != '\0' ? text : "the connection is lost");
}

/* ---- errors of statements ---- */

static bool is_class(const char *sqlstate, const char *const *prefixes) {
    for (; *prefixes != NULL; prefixes++)
        if (strncmp(sqlstate, *prefixes, strlen(*prefixes)) == 0)
            return true;
    return false;
}

static int code_of(const char *sqlstate, enum ms_postgres_role role) {
    static const char *const busy[] = {"08", "40", "53", "57", "55006", "55P03", NULL};
    static const char *const broken[] = {"58", "F0", "XX", NULL};
    static const char *const damaged[] = {"XX001", "XX002", NULL};
    if (strcmp(sqlstate, "57014") == 0)
        return MS_ETIMEOUT;
    if (strcmp(sqlstate, "53100") == 0)
        return MS_ENOSPC;
    if (strcmp(sqlstate, "25006") == 0 && role == MS_POSTGRES_WRITER)
        return MS_EAGAIN;
    if (is_class(sqlstate, busy))
        return MS_EAGAIN;
    if (is_class(sqlstate, damaged))
        return MS_ECORRUPT;
    return is_class(sqlstate, broken) ? MS_EIO : MS_EINVAL;
}

/* PostgreSQL counts characters, from 1. */
static size_t offset_of(struct ms_bytes text, unsigned long character) {
    size_t at = 0;
    for (unsigned long i = 1; i < character && at < text.len; i++)
        do
            at++;
        while (at < text.len && (text.data[at] & 0xc0) == 0x80);
    return at;
}

static struct ms_place place_of(const PGresult *result, const struct ms_sql_statement *statement) {
    const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    struct ms_place place = statement->place;
    struct ms_buf sql;
    if (position == NULL)
        return place;
    ms_buf_init(&sql, STATEMENT_BYTES_MAX);
    if (ms_sql_rewrite(statement, MS_SQL_POSTGRES, &sql) == 0)
        place = ms_sql_place_of(statement, MS_SQL_POSTGRES,
                                offset_of(ms_buf_bytes(&sql), strtoul(position, NULL, 10)));
    ms_buf_deinit(&sql);
    return place;
}

int ms_postgres_db_error(const struct ms_postgres_db *db, const PGresult *result,
                         const struct ms_sql_statement *statement, struct ms_error *err) {
    const char *sqlstate = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (sqlstate == NULL)
        return connection_error(db->handle, MS_EAGAIN, err);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    int code = code_of(sqlstate, db->role);
    if (message == NULL)
        message = ms_error_text(code);
    if (code == MS_ETIMEOUT)
        message = "it takes longer than it may";
    if (statement != NULL)
        return ms_place_error(place_of(result, statement), code, err, "%s", message);
    return ms_error_set(err, code, "PostgreSQL: %s", message);
}

/* ---- connecting ---- */

static void ignore_notice(void *context, const PGresult *result) {
    (void)context;
    (void)result;
}

/* Whatever the server, the database and the role are set to. */
static int set_up(struct ms_postgres_db *db, const char *schema, struct ms_error *err) {
    static const char settings[] =
        "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'iso_8601';"
        "set extra_float_digits = 1; set bytea_output = 'hex';"
        "set standard_conforming_strings = on; set escape_string_warning = off;"
        "set default_transaction_isolation = 'read committed';"
        "set default_transaction_deferrable = off; set idle_in_transaction_session_timeout = 0;";
    static const char *const roles[] = {"set default_transaction_read_only = off;",
                                        "set default_transaction_read_only = on;"};
    char limits[128];
    snprintf(limits, sizeof limits, "set statement_timeout = %d; set lock_timeout = %d;",
             MS_POSTGRES_STATEMENT_MS, MS_POSTGRES_LOCK_MS);
    int code = ms_postgres_db_exec(db, settings, err);
    if (code == 0)
        code = ms_postgres_db_exec(db, roles[db->role], err);
    if (code == 0)
        code = ms_postgres_db_exec(db, limits, err);
    if (code != 0)
        return code;
    return schema != NULL
               ? ms_postgres_db_exec_for(db, "set search_path = %s, pg_temp", schema, err)
               : ms_postgres_db_exec(db, "set search_path = pg_catalog, pg_temp", err);
}

/* What stands before "dbname" is overruled by the string, what stands behind it overrules that. */
static PGconn *connect_to(const char *conninfo) {
    static const char *const names[] = {"fallback_application_name",
                                        "connect_timeout",
                                        "tcp_user_timeout",
                                        "keepalives_idle",
                                        "keepalives_interval",
                                        "keepalives_count",
                                        "dbname",
                                        "client_encoding",
                                        NULL};
    const char *const values[] = {"mainstem", "10",     "30000", "30", "10",
                                  "3",        conninfo, "UTF8",  NULL};
    return PQconnectStartParams(names, values, 1);
}

/* libpq's own, which only its blocking calls mind: for each host, and 1 is 2. */
static int64_t patience_ms(PGconn *handle) {
    PQconninfoOption *options = PQconninfo(handle);
    int64_t seconds = 0, hosts = 1;
    for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++) {
        if (option->val == NULL)
            continue;
        if (strcmp(option->keyword, "connect_timeout") == 0)
            seconds = strtol(option->val, NULL, 10);
        int64_t named = 1;
        for (const char *at = option->val; (at = strchr(at, ',')) != NULL; at++)
            named++;
        if (strncmp(option->keyword, "host", 4) == 0 && named > hosts)
            hosts = named;
    }
    PQconninfoFree(options);
    if (seconds <= 0)
        return INT64_MAX;
    return (seconds == 1 ? 2 : seconds) * 1000 * hosts;
}

/* True: libpq wants to go on. */
static bool wait_for_server(PGconn *handle, PostgresPollingStatusType wanted) {
    struct pollfd wait = {.fd = PQsocket(handle),
                          .events = wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT};
    return poll(&wait, 1, LOOK_MS) > 0;
}

static int connect_until(PGconn *handle, const atomic_bool *stopping, struct ms_error *err) {
    struct ms_clock *clock = ms_clock_system();
    int64_t patience = patience_ms(handle), began = ms_clock_monotonic_us(clock) / 1000;
    PostgresPollingStatusType wanted = PGRES_POLLING_WRITING;
    while (PQstatus(handle) != CONNECTION_BAD && wanted != PGRES_POLLING_OK &&
           wanted != PGRES_POLLING_FAILED) {
        if (stopping != NULL && atomic_load(stopping))
            return ms_error_set(err, MS_EAGAIN, "PostgreSQL: the projection is being stopped");
        if (ms_clock_monotonic_us(clock) / 1000 - began >= patience)
            return ms_error_set(err, MS_EAGAIN, "PostgreSQL: no connection in %lld s",
                                (long long)patience / 1000);
        if (wait_for_server(handle, wanted))
            wanted = PQconnectPoll(handle);
    }
    return PQstatus(handle) == CONNECTION_OK ? 0 : connection_error(handle, MS_EAGAIN, err);
}

/* libpq would cite it. */
static int check_conninfo(const char *conninfo, struct ms_error *err) {
    char *ignored = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &ignored);
    bool readable = options != NULL;
    PQconninfoFree(options);
    PQfreemem(ignored);
    if (readable)
        return 0;
    return ms_error_set(err, MS_EINVAL, "PostgreSQL: the connection string can't be read");
}

int ms_postgres_db_open(struct ms_postgres_db *db, const struct ms_postgres_door *door,
                        enum ms_postgres_role role, struct ms_error *err) {
    *db = (struct ms_postgres_db){.role = role};
    int code = check_conninfo(door->conninfo, err);
    if (code != 0)
        return code;
    db->handle = connect_to(door->conninfo);
    if (db->handle == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a connection to PostgreSQL");
    PQsetNoticeReceiver(db->handle, ignore_notice, NULL);
    code = connect_until(db->handle, door->stopping, err);
    if (code == 0 && PQserverVersion(db->handle) < SERVER_VERSION_MIN)
        code = ms_error_set(err, MS_EUNSUPPORTED, "PostgreSQL: the server is older than 12");
    if (code == 0)
        code = set_up(db, door->schema, err);
    if (code != 0)
        ms_postgres_db_close(db);
    return code;
}

void ms_postgres_db_close(struct ms_postgres_db *db) {
    PQfinish(db->handle);
    db->handle = NULL;
}

bool ms_postgres_db_is_lost(const struct ms_postgres_db *db) {
    return db->handle == NULL || PQstatus(db->handle) != CONNECTION_OK;
}

/* ---- statements ---- */

static bool is_good(const PGresult *result) {
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

/* Takes the result. */
static int settle(struct ms_postgres_db *db, PGresult *result,
                  const struct ms_sql_statement *statement, PGresult **ret_result,
                  struct ms_error *err) {
    if (!is_good(result)) {
        int code = ms_postgres_db_error(db, result, statement, err);
        PQclear(result);
        return code;
    }
    if (ret_result != NULL)
        *ret_result = result;
    else
        PQclear(result);
    return 0;
}

int ms_postgres_db_exec(struct ms_postgres_db *db, const char *sql, struct ms_error *err) {
    return settle(db, PQexec(db->handle, sql), NULL, NULL, err);
}

int ms_postgres_db_query(struct ms_postgres_db *db, const char *sql, size_t count,
                         const char *const *values, PGresult **ret_result, struct ms_error *err) {
    return settle(db, PQexecParams(db->handle, sql, (int)count, NULL, values, NULL, NULL, 0), NULL,
                  ret_result, err);
}

int ms_postgres_db_exec_for(struct ms_postgres_db *db, const char *format, const char *schema,
                            struct ms_error *err) {
    char sql[SQL_MAX];
    char *quoted = PQescapeIdentifier(db->handle, schema, strlen(schema));
    if (quoted == NULL)
        return ms_error_set(err, MS_EINVAL, "PostgreSQL: a schema can't have this name");
    const char *at = strstr(format, "%s");
    MS_ASSERT(at != NULL);
    int len = snprintf(sql, sizeof sql, "%.*s%s%s", (int)(at - format), format, quoted, at + 2);
    PQfreemem(quoted);
    MS_ASSERT(len > 0 && (size_t)len < sizeof sql);
    return ms_postgres_db_exec(db, sql, err);
}

static int rewrite(const struct ms_sql_statement *statement, struct ms_buf *sql,
                   struct ms_error *err) {
    ms_buf_init(sql, STATEMENT_BYTES_MAX);
    int code = ms_sql_rewrite(statement, MS_SQL_POSTGRES, sql);
    if (code == 0)
        code = ms_buf_append_u8(sql, '\0');
    if (code != 0)
        return ms_place_error(statement->place, code, err, "%s", ms_error_text(code));
    return 0;
}

int ms_postgres_db_run(struct ms_postgres_db *db, const struct ms_sql_statement *statement,
                       struct ms_error *err) {
    struct ms_buf sql;
    int code = rewrite(statement, &sql, err);
    if (code == 0)
        code = settle(
            db, PQexecParams(db->handle, (const char *)sql.data, 0, NULL, NULL, NULL, NULL, 0),
            statement, NULL, err);
    ms_buf_deinit(&sql);
    return code;
}

static Oid oid_of(enum ms_sql_type type) {
    switch (type) {
    case MS_SQL_TYPE_BIGINT:
        return 20;
    case MS_SQL_TYPE_INTEGER:
        return 23;
    case MS_SQL_TYPE_DOUBLE:
        return 701;
    case MS_SQL_TYPE_BOOLEAN:
        return 16;
    case MS_SQL_TYPE_JSON:
        return 114;
    case MS_SQL_TYPE_TEXT:
        break;
    }
    return 25;
}

int ms_postgres_db_prepare(struct ms_postgres_db *db, const char *name,
                           const struct ms_sql_statement *statement, const enum ms_sql_type *types,
                           struct ms_error *err) {
    Oid oids[MS_PROJECTION_PARAMETERS_MAX];
    struct ms_buf sql;
    int code = rewrite(statement, &sql, err);
    for (size_t i = 0; i < statement->parameter_count; i++)
        oids[i] = oid_of(types[i]);
    if (code == 0)
        code = settle(db,
                      PQprepare(db->handle, name, (const char *)sql.data,
                                (int)statement->parameter_count, oids),
                      statement, NULL, err);
    ms_buf_deinit(&sql);
    return code;
}

int ms_postgres_db_prepare_own(struct ms_postgres_db *db, const char *name, const char *sql,
                               struct ms_error *err) {
    return settle(db, PQprepare(db->handle, name, sql, 0, NULL), NULL, NULL, err);
}
