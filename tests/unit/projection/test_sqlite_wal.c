/* The write-ahead log of SQLite is moved into the database while the writer goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/endian.h"
#include "projection/sqlite_wal.h"
#include "support/store_world.h"

#define COMMITS_MAX 60000u
#define GENERATION_AT 12 /* in the log's header: counts how often it was begun anew */

struct wal_world {
    struct store_world store; /* for its directory */
    char path[MS_PATH_MAX + 16], log[MS_PATH_MAX + 24];
    struct ms_sqlite_db db;
    struct ms_sqlite_wal *wal;
};

static void open_world(struct wal_world *w) {
    struct ms_error err;
    store_world_init_real(&w->store);
    snprintf(w->path, sizeof w->path, "%s/tables.db", w->store.dir);
    snprintf(w->log, sizeof w->log, "%s-wal", w->path);
    assert_int_equal(ms_sqlite_db_open(&w->db, w->path, MS_SQLITE_WRITER, &err), 0);
    assert_int_equal(
        ms_sqlite_db_exec(&w->db, "create table t (n); insert into t values (0)", &err), 0);
    assert_int_equal(ms_sqlite_wal_start(w->db.handle, w->path, &w->wal, &err), 0);
}

static void close_world(struct wal_world *w) {
    ms_sqlite_wal_free(w->wal);
    ms_sqlite_db_close(&w->db);
    store_world_deinit(&w->store);
}

static uint32_t generation(const struct wal_world *w) {
    uint8_t header[32];
    FILE *log = fopen(w->log, "rb");
    assert_non_null(log);
    assert_int_equal(fread(header, 1, sizeof header, log), sizeof header);
    fclose(log);
    return ms_get_be32(header + GENERATION_AT);
}

static void add_one(struct wal_world *w) {
    struct ms_error err;
    assert_int_equal(ms_sqlite_db_exec(&w->db, "update t set n = n + 1", &err), 0);
}

/* What one that opens the database alone finds in it. */
static int64_t count(struct wal_world *w) {
    struct ms_sqlite_db reader;
    struct ms_error err;
    sqlite3_stmt *select;
    assert_int_equal(ms_sqlite_db_open(&reader, w->path, MS_SQLITE_READER, &err), 0);
    assert_int_equal(ms_sqlite_db_prepare(&reader, "select n from t", &select, &err), 0);
    assert_int_equal(sqlite3_step(select), SQLITE_ROW);
    int64_t found = sqlite3_column_int64(select, 0);
    sqlite3_finalize(select);
    ms_sqlite_db_close(&reader);
    return found;
}

static void a_log_is_begun_anew_under_a_writer_that_never_stops(void **state) {
    struct wal_world w;
    int64_t commits = 0;
    (void)state;
    open_world(&w);
    uint32_t first = generation(&w);
    for (; generation(&w) < first + 2 && commits < COMMITS_MAX; commits++)
        add_one(&w);
    assert_true(generation(&w) >= first + 2);
    assert_int_equal(count(&w), commits);
    close_world(&w);
}

static void nothing_is_missing_after_the_end(void **state) {
    struct wal_world w;
    (void)state;
    open_world(&w);
    for (int i = 0; i < 3000; i++)
        add_one(&w);
    ms_sqlite_wal_free(w.wal);
    w.wal = NULL;
    add_one(&w); /* the writer outlives it */
    ms_sqlite_db_close(&w.db);
    assert_int_equal(count(&w), 3001);
    store_world_deinit(&w.store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_is_begun_anew_under_a_writer_that_never_stops),
        cmocka_unit_test(nothing_is_missing_after_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
