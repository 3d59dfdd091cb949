/* SQLite as a target: the writer; see sqlite_target.h. Queries: sqlite_reader.c. */
#include "projection/sqlite_target.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "os/vfs_posix.h"
#include "projection/checkpoint.h"
#include "projection/sqlite_db.h"
#include "projection/sqlite_guard.h"
#include "projection/sqlite_wal.h"

#define EVENT_TIMEOUT_MS 30000

/* Of the definition's statements under "-- on:", one after the other. */
struct handler_statements {
    sqlite3_stmt **items;
    size_t count;
};

struct sqlite_target {
    struct ms_target base;
    struct ms_sqlite_db db;
    struct ms_sqlite_wal *wal; /* NULL: scratch */
    struct handler_statements *handlers;
    sqlite3_stmt *begin, *commit, *checkpoint, *park, *unpark;
    struct ms_sqlite_place place;
    char dir[MS_SQLITE_PATH_MAX - 512], name[256];
    char path[MS_SQLITE_PATH_MAX];
};

/* SQLite writes its files itself, so they are the system's. */
static struct ms_vfs *files(void) { return ms_vfs_posix(); }

static struct sqlite_target *of(struct ms_target *target) { return (struct sqlite_target *)target; }

static const char own_schema[] =
    "create table mainstem_checkpoint ("
    "  one integer primary key check (one = 1), projection text not null, version text not null,"
    "  store text not null, position integer not null, last text not null,"
    "  generation integer not null);"
    "create table mainstem_parked ("
    "  position integer primary key, stream text, event_id text not null, event_type text not null,"
    "  error text not null, parked_at text not null);"
    "create index mainstem_parked_stream on mainstem_parked (stream, position);";

/* ---- making and opening ---- */

static int run_schema(struct sqlite_target *target, struct ms_error *err) {
    const struct ms_sql_statements *schema = &target->base.definition->schema;
    int code = 0;
    for (size_t i = 0; code == 0 && i < schema->count; i++) {
        sqlite3_stmt *statement = NULL;
        code =
            ms_sqlite_db_compile(&target->db, MS_SQLITE_SCHEMA, &schema->items[i], &statement, err);
        if (code != 0)
            break;
        ms_sqlite_db_start(&target->db, EVENT_TIMEOUT_MS);
        target->db.role = MS_SQLITE_SCHEMA; /* statements are compiled anew when tables change */
        int sqlite = SQLITE_ROW;
        while (sqlite == SQLITE_ROW)
            sqlite = sqlite3_step(statement);
        if (sqlite != SQLITE_DONE)
            code = ms_sqlite_db_error(&target->db, &schema->items[i].place, err);
        sqlite3_finalize(statement);
        target->db.role = MS_SQLITE_OWN;
    }
    return code;
}

static int insert_checkpoint(struct sqlite_target *target, struct ms_error *err) {
    const struct ms_projection_definition *definition = target->base.definition;
    sqlite3_stmt *insert;
    char version[33];
    int code = ms_sqlite_db_prepare(
        &target->db, "insert into mainstem_checkpoint values (1, ?1, ?2, '', 0, '', 0)", &insert,
        err);
    if (code != 0)
        return code;
    ms_checkpoint_hash_format(&definition->hash, version);
    sqlite3_bind_text(insert, 1, (const char *)definition->name.data, (int)definition->name.len,
                      SQLITE_STATIC);
    sqlite3_bind_text(insert, 2, version, -1, SQLITE_STATIC);
    if (sqlite3_step(insert) != SQLITE_DONE)
        code = ms_sqlite_db_error(&target->db, NULL, err);
    sqlite3_finalize(insert);
    return code;
}

static int make_tables(struct sqlite_target *target, struct ms_error *err) {
    int code = ms_sqlite_db_exec(&target->db, "begin immediate", err);
    if (code == 0)
        code = ms_sqlite_db_exec(&target->db, own_schema, err);
    if (code == 0)
        code = run_schema(target, err);
    if (code == 0)
        code = insert_checkpoint(target, err);
    if (code == 0)
        code = ms_sqlite_db_exec(&target->db, "commit", err);
    target->base.fresh = true;
    return code;
}

static int take_checkpoint(struct sqlite_target *target, sqlite3_stmt *row, struct ms_error *err) {
    struct ms_checkpoint *checkpoint = &target->base.checkpoint;
    char version[33];
    const char *store = (const char *)sqlite3_column_text(row, 1);
    const char *last = (const char *)sqlite3_column_text(row, 3);
    const char *stored = (const char *)sqlite3_column_text(row, 0);
    ms_checkpoint_hash_format(&target->base.definition->hash, version);
    if (stored == NULL || strcmp(version, stored) != 0)
        return ms_error_set(err, MS_ECORRUPT, "%s holds version %s of a projection, not %s",
                            target->path, stored != NULL ? stored : "-", version);
    checkpoint->generation = sqlite3_column_int64(row, 4);
    checkpoint->position = (uint64_t)sqlite3_column_int64(row, 2);
    target->base.fresh = checkpoint->generation == 0;
    if (target->base.fresh)
        return 0;
    if (store == NULL || last == NULL ||
        ms_uuid_parse(ms_bytes_cstr(store), &checkpoint->store) != 0 ||
        !ms_checkpoint_hash_parse(last, &checkpoint->last))
        return ms_error_set(err, MS_ECORRUPT, "%s has a damaged checkpoint", target->path);
    return 0;
}

static int read_checkpoint(struct sqlite_target *target, struct ms_error *err) {
    sqlite3_stmt *row;
    int code = ms_sqlite_db_prepare(
        &target->db, "select version, store, position, last, generation from mainstem_checkpoint",
        &row, err);
    if (code != 0)
        return code;
    int sqlite = sqlite3_step(row);
    if (sqlite == SQLITE_ROW)
        code = take_checkpoint(target, row, err);
    else if (sqlite == SQLITE_DONE)
        code = ms_error_set(err, MS_ECORRUPT, "%s has no checkpoint", target->path);
    else
        code = ms_sqlite_db_error(&target->db, NULL, err);
    sqlite3_finalize(row);
    return code;
}

static int find_tables(struct sqlite_target *target, bool *ret_there, struct ms_error *err) {
    sqlite3_stmt *row;
    int code = ms_sqlite_db_prepare(
        &target->db, "select 1 from sqlite_schema where name = 'mainstem_checkpoint'", &row, err);
    if (code != 0)
        return code;
    int sqlite = sqlite3_step(row);
    *ret_there = sqlite == SQLITE_ROW;
    if (sqlite != SQLITE_ROW && sqlite != SQLITE_DONE)
        code = ms_sqlite_db_error(&target->db, NULL, err);
    sqlite3_finalize(row);
    return code;
}

static int compile_handlers(struct sqlite_target *target, struct ms_error *err) {
    const struct ms_projection_definition *definition = target->base.definition;
    int code = 0;
    target->handlers = ms_calloc(definition->handler_count + 1, sizeof *target->handlers);
    if (target->handlers == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a projection's statements");
    for (size_t h = 0; code == 0 && h < definition->handler_count; h++) {
        const struct ms_sql_statements *from = &definition->handlers[h].statements;
        struct handler_statements *to = &target->handlers[h];
        to->items = ms_calloc(from->count + 1, sizeof(sqlite3_stmt *));
        if (to->items == NULL)
            return ms_error_set(err, MS_ENOMEM, "no memory for a projection's statements");
        to->count = from->count;
        for (size_t i = 0; code == 0 && i < from->count; i++)
            code = ms_sqlite_db_compile(&target->db, MS_SQLITE_APPLY, &from->items[i],
                                        &to->items[i], err);
    }
    return code;
}

/* Only to see whether they can be. */
static int compile_queries(struct sqlite_target *target, struct ms_error *err) {
    const struct ms_projection_definition *definition = target->base.definition;
    int code = 0;
    for (size_t i = 0; code == 0 && i < definition->query_count; i++) {
        sqlite3_stmt *statement = NULL;
        code = ms_sqlite_db_compile(&target->db, MS_SQLITE_READ, &definition->queries[i].statement,
                                    &statement, err);
        sqlite3_finalize(statement);
    }
    return code;
}

static int compile_own(struct sqlite_target *target, struct ms_error *err) {
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } own[] = {
        {&target->begin, "begin immediate"},
        {&target->commit, "commit"},
        {&target->checkpoint, "update mainstem_checkpoint set store = ?1, position = ?2, last = ?3,"
                              " generation = generation + 1 where one = 1 and generation = ?4"},
        {&target->park, "insert or replace into mainstem_parked"
                        " (position, stream, event_id, event_type, error, parked_at)"
                        " values (?1, ?2, ?3, ?4, ?5, ?6)"},
        {&target->unpark, "delete from mainstem_parked where position = ?1"},
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof own / sizeof *own; i++)
        code = ms_sqlite_db_prepare(&target->db, own[i].sql, own[i].statement, err);
    return code;
}

static int prepare(struct sqlite_target *target, struct ms_error *err) {
    bool there = false;
    int code = find_tables(target, &there, err);
    if (code == 0)
        code = there ? read_checkpoint(target, err) : make_tables(target, err);
    if (code == 0)
        code = compile_own(target, err);
    if (code == 0)
        code = compile_handlers(target, err);
    return code == 0 ? compile_queries(target, err) : code;
}

/* ---- the target ---- */

static void close_target(struct sqlite_target *target) {
    ms_sqlite_wal_free(target->wal);
    sqlite3_stmt *const own[] = {target->begin, target->commit, target->checkpoint, target->park,
                                 target->unpark};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sqlite3_finalize(own[i]);
    for (size_t h = 0; target->handlers != NULL && h < target->base.definition->handler_count;
         h++) {
        for (size_t i = 0; i < target->handlers[h].count; i++)
            sqlite3_finalize(target->handlers[h].items[i]);
        ms_free(target->handlers[h].items);
    }
    ms_free(target->handlers);
    ms_sqlite_db_close(&target->db);
}

static void sqlite_free(struct ms_target *base) {
    struct sqlite_target *target = of(base);
    close_target(target);
    ms_free(target);
}

static int run_own(struct sqlite_target *target, sqlite3_stmt *statement, struct ms_error *err) {
    ms_sqlite_db_start(&target->db, 0);
    int sqlite = sqlite3_step(statement);
    int code = sqlite == SQLITE_DONE ? 0 : ms_sqlite_db_error(&target->db, NULL, err);
    sqlite3_reset(statement);
    return code;
}

static int sqlite_begin(struct ms_target *base, struct ms_error *err) {
    return run_own(of(base), of(base)->begin, err);
}

static void sqlite_rollback(struct ms_target *base) {
    if (!sqlite3_get_autocommit(of(base)->db.handle))
        (void)sqlite3_exec(of(base)->db.handle, "rollback", NULL, NULL, NULL);
}

static int run_statement(struct sqlite_target *target, sqlite3_stmt *statement,
                         const struct ms_sql_statement *from, struct ms_event_values *event,
                         struct ms_error *err) {
    int sqlite = SQLITE_OK;
    for (size_t i = 0; sqlite == SQLITE_OK && i < from->parameter_count; i++) {
        enum ms_event_parameter parameter = (enum ms_event_parameter)from->parameters[i].declared;
        struct ms_value value = ms_event_value(event, parameter);
        if (parameter == MS_EVENT_PARAMETER_DATA)
            target->db.json.known = value.text;
        sqlite = ms_sqlite_db_bind(&target->db, statement, (unsigned)i, &value);
    }
    if (sqlite == SQLITE_OK)
        do
            sqlite = sqlite3_step(statement);
        while (sqlite == SQLITE_ROW);
    int code = sqlite == SQLITE_DONE ? 0 : ms_sqlite_db_error(&target->db, &from->place, err);
    sqlite3_reset(statement);
    target->db.json.known = (struct ms_bytes){0};
    return code;
}

static int sqlite_apply(struct ms_target *base, size_t handler, struct ms_event_values *event,
                        struct ms_error *err) {
    struct sqlite_target *target = of(base);
    const struct ms_sql_statements *from = &base->definition->handlers[handler].statements;
    int code = 0;
    ms_sqlite_db_start(&target->db, EVENT_TIMEOUT_MS);
    target->db.role = MS_SQLITE_APPLY; /* when SQLite compiles one anew */
    for (size_t i = 0; code == 0 && i < from->count; i++)
        if (target->handlers[handler].items[i] != NULL)
            code = run_statement(target, target->handlers[handler].items[i], &from->items[i], event,
                                 err);
    target->db.role = MS_SQLITE_OWN;
    if (code != 0)
        base->refused = event->event->place.position;
    return code;
}

static void bind_text(sqlite3_stmt *statement, int at, struct ms_bytes text) {
    sqlite3_bind_text64(statement, at, text.data != NULL ? (const char *)text.data : "", text.len,
                        SQLITE_STATIC, SQLITE_UTF8);
}

static int sqlite_park(struct ms_target *base, const struct ms_parked *parked,
                       struct ms_error *err) {
    struct sqlite_target *target = of(base);
    char at[MS_TIME_TEXT_MAX];
    ms_time_format_ms(parked->parked_at_ms, at);
    sqlite3_bind_int64(target->park, 1, (sqlite3_int64)parked->position);
    bind_text(target->park, 2, parked->stream);
    bind_text(target->park, 3, parked->event_id);
    bind_text(target->park, 4, parked->event_type);
    bind_text(target->park, 5, parked->error);
    bind_text(target->park, 6, ms_bytes_cstr(at));
    return run_own(target, target->park, err);
}

static int sqlite_unpark(struct ms_target *base, uint64_t position, struct ms_error *err) {
    struct sqlite_target *target = of(base);
    sqlite3_bind_int64(target->unpark, 1, (sqlite3_int64)position);
    return run_own(target, target->unpark, err);
}

static int move_checkpoint(struct sqlite_target *target, const struct ms_checkpoint *to,
                           struct ms_error *err) {
    char store[MS_UUID_TEXT_LEN + 1], last[33];
    ms_uuid_format(&to->store, store);
    ms_checkpoint_hash_format(&to->last, last);
    bind_text(target->checkpoint, 1, ms_bytes_cstr(store));
    sqlite3_bind_int64(target->checkpoint, 2, (sqlite3_int64)to->position);
    bind_text(target->checkpoint, 3, ms_bytes_cstr(last));
    sqlite3_bind_int64(target->checkpoint, 4, target->base.checkpoint.generation);
    int code = run_own(target, target->checkpoint, err);
    if (code == 0 && sqlite3_changes(target->db.handle) != 1)
        return ms_error_set(err, MS_EFENCED, "another process applies events to %s", target->path);
    return code;
}

static int sqlite_commit(struct ms_target *base, const struct ms_checkpoint *to,
                         struct ms_error *err) {
    struct sqlite_target *target = of(base);
    int code = move_checkpoint(target, to, err);
    if (code == 0)
        code = run_own(target, target->commit, err);
    if (code != 0) {
        sqlite_rollback(base);
        return code;
    }
    int64_t generation = base->checkpoint.generation + 1;
    base->checkpoint = *to;
    base->checkpoint.generation = generation;
    base->fresh = false;
    return 0;
}

/* Commits are not synced, so a power cut might take all tables. What is published is to be there
 * for good; where somebody else is moving pages just now, he has synced them. */
static int keep_tables(struct sqlite_target *target, struct ms_error *err) {
    int sqlite =
        sqlite3_wal_checkpoint_v2(target->db.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return sqlite == SQLITE_OK || sqlite == SQLITE_BUSY
               ? 0
               : ms_sqlite_db_error(&target->db, NULL, err);
}

static int sqlite_publish(struct ms_target *base, struct ms_error *err) {
    struct sqlite_target *target = of(base);
    char link[MS_SQLITE_PATH_MAX], next[MS_SQLITE_PATH_MAX], file[300];
    snprintf(link, sizeof link, "%s/current.db", target->dir);
    snprintf(next, sizeof next, "%s/current.db.next", target->dir);
    snprintf(file, sizeof file, "%s.db", target->name);
    int code = keep_tables(target, err);
    if (code == 0)
        code = ms_vfs_unlink(files(), next, err);
    if (code != 0 && code != MS_ENOTFOUND)
        return code;
    if (symlink(file, next) != 0)
        return ms_error_set(err, MS_EIO, "%s: %s", next, strerror(errno));
    return ms_vfs_rename(files(), next, link, err);
}

static int sqlite_drop(struct ms_target *base, struct ms_error *err) {
    struct sqlite_target *target = of(base);
    char dir[sizeof target->dir], name[sizeof target->name];
    struct ms_sqlite_place place = {.dir = dir, .name = name};
    memcpy(dir, target->dir, sizeof dir);
    memcpy(name, target->name, sizeof name);
    sqlite_free(base);
    return ms_sqlite_remove(&place, err);
}

static int sqlite_reader_new(struct ms_target *base, struct ms_target_reader **ret_reader,
                             struct ms_error *err) {
    return ms_sqlite_reader_new(base, of(base)->path, ret_reader, err);
}

static const struct ms_target_ops sqlite_ops = {
    .begin = sqlite_begin,
    .apply = sqlite_apply,
    .park = sqlite_park,
    .unpark = sqlite_unpark,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .publish = sqlite_publish,
    .drop = sqlite_drop,
    .free = sqlite_free,
    .reader_new = sqlite_reader_new,
    .run = ms_sqlite_reader_run,
    .parked = ms_sqlite_reader_parked,
    .reader_free = ms_sqlite_reader_free,
};

static int open_path(const struct ms_projection_definition *definition, const char *path,
                     enum ms_sqlite_open how, struct sqlite_target **ret_target,
                     struct ms_error *err) {
    struct sqlite_target *target = ms_calloc(1, sizeof *target);
    if (target == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a projection's target");
    target->base.ops = &sqlite_ops;
    target->base.definition = definition;
    snprintf(target->path, sizeof target->path, "%s", path);
    int code = ms_sqlite_db_open(&target->db, path, how, err);
    if (code == 0)
        code = prepare(target, err);
    if (code != 0) {
        sqlite_free(&target->base);
        return code;
    }
    *ret_target = target;
    return 0;
}

int ms_sqlite_check(const struct ms_projection_definition *definition, struct ms_error *err) {
    struct sqlite_target *target;
    int code = ms_sqlite_guard(definition, err);
    if (code == 0)
        code = open_path(definition, ":memory:", MS_SQLITE_SCRATCH, &target, err);
    if (code == 0)
        sqlite_free(&target->base);
    return code;
}

int ms_sqlite_target_open(const struct ms_projection_definition *definition,
                          const struct ms_sqlite_place *place, struct ms_target **ret_target,
                          struct ms_error *err) {
    struct sqlite_target *target;
    char path[MS_SQLITE_PATH_MAX];
    if (strlen(place->dir) >= sizeof target->dir || strlen(place->name) >= sizeof target->name)
        return ms_error_set(err, MS_EINVAL, "the path of a projection is too long: %s", place->dir);
    snprintf(path, sizeof path, "%s/%s.db", place->dir, place->name);
    int code = open_path(definition, path, place->scratch ? MS_SQLITE_SCRATCH : MS_SQLITE_WRITER,
                         &target, err);
    if (code != 0)
        return code;
    if (!place->scratch)
        code = ms_sqlite_wal_start(target->db.handle, path, &target->wal, err);
    if (code != 0) {
        sqlite_free(&target->base);
        return code;
    }
    snprintf(target->dir, sizeof target->dir, "%s", place->dir);
    snprintf(target->name, sizeof target->name, "%s", place->name);
    *ret_target = &target->base;
    return 0;
}

/* The stable name must not lead nowhere; the last version takes the directory along. */
static void remove_link(const struct ms_sqlite_place *place) {
    char link[MS_SQLITE_PATH_MAX], file[300], to[300];
    snprintf(link, sizeof link, "%s/current.db", place->dir);
    snprintf(file, sizeof file, "%s.db", place->name);
    ssize_t len = readlink(link, to, sizeof to - 1);
    if (len > 0 && ms_bytes_equal_cstr(ms_bytes_of(to, (size_t)len), file))
        (void)!ms_vfs_unlink(files(), link, NULL);
    (void)!ms_vfs_rmdir(files(), place->dir, NULL);
}

int ms_sqlite_remove(const struct ms_sqlite_place *place, struct ms_error *err) {
    static const char *const suffixes[] = {"-wal", "-shm", "-journal", ""};
    char path[MS_SQLITE_PATH_MAX];
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        snprintf(path, sizeof path, "%s/%s.db%s", place->dir, place->name, suffixes[i]);
        int code = ms_vfs_unlink(files(), path, err);
        if (code != 0 && code != MS_ENOTFOUND)
            return code;
    }
    remove_link(place);
    return 0;
}
