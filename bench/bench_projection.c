/*
 * Projections: how fast events become rows. One line of JSON per measurement (measure.h).
 *
 *     bench-projection --dir D --target sqlite|postgres [OPTION…] WORKLOAD…
 *
 *     rebuild   fills EVENTS events into a store, then a new version of the projection catches up
 *     live      the projection runs while EVENTS events are appended, BATCH at a time; until the
 *               last one is applied
 *     client    PostgreSQL only: what a plain program does that sends the same statement for each
 *               of EVENTS events, and waits for it, each its own transaction
 *     events    prints EVENTS events, {"key":"7919","data":{…}} in each line, for others to measure
 *
 *     --dir D        where the data goes; a directory of its own is made in it and removed
 *     --conninfo C   PostgreSQL's; schemas "bench_…" are made in it and removed
 *     --server-pid P of PostgreSQL: its CPU counts too
 *     --events N --streams N --batch N --event-bytes N
 *
 * The projection has one row per stream and one upsert per event, which takes three values out of
 * the event's JSON.
 */
#include <libpq-fe.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"
#include "projection/postgres_target.h"
#include "projection/runner.h"
#include "projection/sqlite_target.h"

#define PATH_BYTES 4096
#define BATCH_MAX 1000

#define UPSERT(key, data, timestamp)                                                               \
    "insert into sales (customer, orders, cents, city, updated_at)"                                \
    " values (" key ", 1, cast(" data " -> 'items' -> 0 ->> 'cents' as bigint), " data             \
    " ->> 'city', " timestamp ")"                                                                  \
    " on conflict (customer) do update set orders = sales.orders + 1,"                             \
    " cents = sales.cents + excluded.cents, city = excluded.city,"                                 \
    " updated_at = excluded.updated_at"
#define TABLE                                                                                      \
    "create table sales (customer text primary key, orders bigint not null,"                       \
    " cents bigint not null, city text, updated_at text not null)"

static const char projection[] =
    "-- projection: sales\n"
    "-- from: order\n" TABLE ";\n"
    "-- on: order.placed\n" UPSERT(":key", ":data",
                                   ":timestamp") ";\n"
                                                 "-- query: total\n"
                                                 "select sum(orders) from sales;\n";

struct bench {
    const char *parent, *conninfo;
    char dir[PATH_BYTES / 2];
    enum ms_sql_dialect target;
    int server_pid;
    uint64_t events, streams, batch, event_bytes;
    struct bench_payloads payloads;
    struct ms_store *store;
    struct ms_projection_definition *definition;
    uint64_t appended;
};

/* ---- the store ---- */

static void begin(struct bench *bench) {
    struct ms_store_options options;
    struct ms_error err;
    char data[PATH_BYTES];
    snprintf(bench->dir, sizeof bench->dir, "%s/projection-%d", bench->parent, (int)getpid());
    bench_remove_tree(bench->dir);
    if (mkdir(bench->dir, 0700) != 0)
        bench_die("%s can't be made", bench->dir);
    snprintf(data, sizeof data, "%s/store", bench->dir);
    ms_store_options_init(&options);
    options.dir = data;
    if (ms_store_open(&options, &bench->store, &err) != 0)
        bench_die("%s", err.message);
    bench->appended = 0;
}

static void finish(struct bench *bench) {
    struct ms_error err;
    if (ms_store_close(bench->store, &err) != 0)
        bench_die("%s", err.message);
    bench_remove_tree(bench->dir);
}

/* One batch, to streams that come round again. */
static void append(struct bench *bench, size_t count) {
    static char names[BATCH_MAX][32], ids[BATCH_MAX][32];
    static struct ms_event events[BATCH_MAX];
    static struct ms_append_part parts[BATCH_MAX];
    static struct ms_append_part_result results[BATCH_MAX];
    struct ms_append_request request = {.parts = parts, .part_count = count, .wait = true};
    struct ms_append_result answer;
    struct ms_error err;
    for (size_t i = 0; i < count; i++) {
        uint64_t number = bench->appended++;
        snprintf(ids[i], sizeof ids[i], "e%llu", (unsigned long long)number);
        snprintf(names[i], sizeof names[i], "order-%llu",
                 (unsigned long long)(number * 7919 % bench->streams));
        events[i] = (struct ms_event){
            .id = ms_bytes_cstr(ids[i]),
            .type = MS_BYTES_LITERAL("order.placed"),
            .data = ms_bytes_of(bench_payload(&bench->payloads), bench->event_bytes),
            .timestamp_ms = 1750000000000 + (int64_t)number,
        };
        parts[i] = (struct ms_append_part){
            .stream = ms_bytes_cstr(names[i]), .events = &events[i], .count = 1};
    }
    if (ms_store_append_wait(bench->store, &request, results, &answer, &err) != 0)
        bench_die("%s", err.message);
}

static void fill(struct bench *bench) {
    while (bench->appended < bench->events) {
        uint64_t left = bench->events - bench->appended;
        append(bench, left < bench->batch ? left : bench->batch);
    }
}

/* ---- the projection ---- */

static struct ms_target *open_target(struct bench *bench) {
    char dir[PATH_BYTES], schema[64];
    struct ms_sqlite_place file = {.dir = dir, .name = "sales"};
    struct ms_postgres_place place = {.conninfo = bench->conninfo, .schema = schema};
    struct ms_target *target;
    struct ms_error err;
    snprintf(dir, sizeof dir, "%s/tables", bench->dir);
    snprintf(schema, sizeof schema, "bench_%d", (int)getpid());
    (void)mkdir(dir, 0700);
    int code = bench->target == MS_SQL_SQLITE
                   ? ms_sqlite_target_open(bench->definition, &file, &target, &err)
                   : ms_postgres_target_open(bench->definition, &place, &target, &err);
    if (code != 0)
        bench_die("%s", err.message);
    return target;
}

static struct ms_runner *start(struct bench *bench) {
    struct ms_runner_options options = {
        .store = bench->store, .env = ms_env_system(), .target = open_target(bench)};
    struct ms_runner *runner;
    struct ms_error err;
    if (ms_runner_start(&options, &runner, &err) != 0)
        bench_die("%s", err.message);
    return runner;
}

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken;
};

static void wake(void *context) {
    struct waiting *waiting = context;
    pthread_mutex_lock(&waiting->lock);
    waiting->woken = true;
    pthread_cond_signal(&waiting->cond);
    pthread_mutex_unlock(&waiting->lock);
}

static void await_all(struct bench *bench, struct ms_runner *runner) {
    struct waiting waiting = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct ms_position_waiter waiter = {
        .position = ms_store_end(bench->store) - 1, .wake = wake, .context = &waiting};
    if (!ms_position_waiters_add(ms_runner_waiters(runner), &waiter))
        return;
    pthread_mutex_lock(&waiting.lock);
    while (!waiting.woken)
        pthread_cond_wait(&waiting.cond, &waiting.lock);
    pthread_mutex_unlock(&waiting.lock);
    ms_position_waiters_remove(ms_runner_waiters(runner), &waiter);
}

static int take_columns(void *context, const struct ms_bytes *names, size_t count) {
    (void)context;
    (void)names;
    return count == 1 ? 0 : MS_EINVAL;
}

static int take_total(void *total, const struct ms_value *values, size_t count) {
    (void)count;
    *(int64_t *)total = values[0].integer;
    return 0;
}

/* The table must say what the log says. */
static void check(struct bench *bench, struct ms_runner *runner) {
    int64_t total = -1;
    uint64_t position;
    const struct ms_row_sink sink = {take_columns, take_total, &total};
    struct ms_query_run run = {.query = &bench->definition->queries[0], .bytes_max = 1000};
    struct ms_target_reader *reader;
    struct ms_error err = {0};
    if (ms_runner_reader_new(runner, &reader, &err) != 0 ||
        ms_target_run(reader, &run, &sink, &position, &err) != 0)
        bench_die("%s", err.message);
    ms_target_reader_free(reader);
    if ((uint64_t)total != bench->events)
        bench_die("%lld of %llu events are in the table", (long long)total,
                  (unsigned long long)bench->events);
}

static void end(struct ms_runner *runner) {
    struct ms_error err;
    if (ms_runner_drop(runner, &err) != 0)
        bench_die("%s", err.message);
}

/* ---- measurements ---- */

/* Of PostgreSQL all processes count that it has had. */
static double cpu_s(const struct bench *bench) {
    return bench_cpu_s(0) + (bench->server_pid > 0 ? bench_cpu_s(bench->server_pid) : 0);
}

static void report(const struct bench *bench, const char *workload, uint64_t began_ns,
                   double began_cpu_s) {
    char config[128];
    snprintf(config, sizeof config, "%llu B, %llu rows, batches of %llu",
             (unsigned long long)bench->event_bytes, (unsigned long long)bench->streams,
             (unsigned long long)bench->batch);
    struct bench_result result = {
        .workload = workload,
        .peer = bench->target == MS_SQL_SQLITE ? "mainstem, SQLite" : "mainstem, PostgreSQL",
        .config = config,
        .events = bench->events,
        .secs = (double)(bench_now_ns() - began_ns) / 1e9,
        .cpu_s = cpu_s(bench) - began_cpu_s,
        .memory_mb = bench_rss_anon_mb(0),
        .disk_per_event = -1,
    };
    if (strcmp(workload, "client") == 0)
        result.peer = "one transaction per event, PostgreSQL";
    bench_print(&result);
}

static void rebuild(struct bench *bench) {
    begin(bench);
    fill(bench);
    uint64_t began = bench_now_ns();
    double cpu = cpu_s(bench);
    struct ms_runner *runner = start(bench);
    await_all(bench, runner);
    report(bench, "rebuild", began, cpu);
    check(bench, runner);
    end(runner);
    finish(bench);
}

static void live(struct bench *bench) {
    begin(bench);
    struct ms_runner *runner = start(bench);
    uint64_t began = bench_now_ns();
    double cpu = cpu_s(bench);
    fill(bench);
    await_all(bench, runner);
    report(bench, "live", began, cpu);
    check(bench, runner);
    end(runner);
    finish(bench);
}

static void run_sql(PGconn *handle, const char *sql) {
    PGresult *result = PQexec(handle, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        bench_die("%s", PQerrorMessage(handle));
    PQclear(result);
}

static void client(struct bench *bench) {
    PGconn *handle = PQconnectdb(bench->conninfo);
    char key[32], *data = malloc(bench->event_bytes + 1);
    const char *const values[] = {key, data, "2026-01-31T12:00:00.000Z"};
    if (data == NULL || PQstatus(handle) != CONNECTION_OK)
        bench_die("PostgreSQL can't be reached");
    run_sql(handle, "set client_min_messages = warning");
    run_sql(handle, "drop schema if exists bench_client cascade");
    run_sql(handle, "create schema bench_client; set search_path = bench_client; " TABLE);
    run_sql(handle, "prepare upsert(text, json, text) as " UPSERT("$1", "$2", "$3"));
    uint64_t began = bench_now_ns();
    double cpu = cpu_s(bench);
    for (uint64_t i = 0; i < bench->events; i++) {
        snprintf(key, sizeof key, "%llu", (unsigned long long)(i * 7919 % bench->streams));
        memcpy(data, bench_payload(&bench->payloads), bench->event_bytes);
        data[bench->event_bytes] = '\0';
        PGresult *result = PQexecPrepared(handle, "upsert", 3, values, NULL, NULL, 0);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            bench_die("%s", PQerrorMessage(handle));
        PQclear(result);
    }
    report(bench, "client", began, cpu);
    run_sql(handle, "drop schema bench_client cascade");
    PQfinish(handle);
    free(data);
}

static void events(struct bench *bench) {
    for (uint64_t i = 0; i < bench->events; i++)
        printf("{\"key\":\"%llu\",\"data\":%.*s}\n",
               (unsigned long long)(i * 7919 % bench->streams), (int)bench->event_bytes,
               bench_payload(&bench->payloads));
}

/* ---- options ---- */

static const struct {
    const char *name;
    void (*run)(struct bench *bench);
} workloads[] = {{"rebuild", rebuild}, {"live", live}, {"client", client}, {"events", events}};

static void run_workload(struct bench *bench, const char *name) {
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        if (strcmp(workloads[i].name, name) == 0) {
            workloads[i].run(bench);
            return;
        }
    bench_die("no workload '%s'", name);
}

static enum ms_sql_dialect target_of(const char *name) {
    if (strcmp(name, "sqlite") == 0)
        return MS_SQL_SQLITE;
    if (strcmp(name, "postgres") == 0)
        return MS_SQL_POSTGRES;
    bench_die("--target is sqlite or postgres");
}

static void take_option(struct bench *bench, const char *option, const char *value) {
    const struct {
        const char *name;
        uint64_t *number;
    } numbers[] = {{"--events", &bench->events},
                   {"--streams", &bench->streams},
                   {"--batch", &bench->batch},
                   {"--event-bytes", &bench->event_bytes}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(option, numbers[i].name) == 0) {
            *numbers[i].number = bench_number(option, value);
            return;
        }
    if (strcmp(option, "--dir") == 0)
        bench->parent = value;
    else if (strcmp(option, "--conninfo") == 0)
        bench->conninfo = value;
    else if (strcmp(option, "--target") == 0)
        bench->target = target_of(value);
    else if (strcmp(option, "--server-pid") == 0)
        bench->server_pid = (int)bench_number(option, value);
    else
        bench_die("no option '%s'", option);
}

int main(int argc, char **argv) {
    struct bench bench = {.parent = ".",
                          .conninfo = "",
                          .events = 1000000,
                          .streams = 20000,
                          .batch = 500,
                          .event_bytes = 300};
    struct ms_error err;
    int at = 1;
    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2)
        take_option(&bench, argv[at], argv[at + 1]);
    if (at == argc || bench.batch == 0 || bench.batch > BATCH_MAX || bench.streams == 0)
        bench_die("which workload, with batches of 1 to %d?", BATCH_MAX);
    if (ms_projection_parse("sales.sql", ms_bytes_cstr(projection), &bench.target,
                            &bench.definition, &err) != 0)
        bench_die("%s", err.message);
    bench_payloads_init(&bench.payloads, bench.event_bytes, 2 * BATCH_MAX);
    for (; at < argc; at++)
        run_workload(&bench, argv[at]);
    bench_payloads_free(&bench.payloads);
    ms_projection_definition_free(bench.definition);
    return 0;
}
