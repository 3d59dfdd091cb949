/*
 * The library, measured through its public API. One line of JSON per measurement (measure.h).
 *
 *     bench-library [OPTION…] WORKLOAD…
 *
 *     append    single appends under exact versions over STREAMS streams, INFLIGHT at a time, after
 *               one event in each; for SECS seconds
 *     latency   the same, one at a time, waited for
 *     batch     appends of BATCH events, INFLIGHT at a time
 *     read      reads all of EVENTS events that were written BATCH at a time, three times
 *     reads     fills EVENTS events into STREAMS streams, then reads whole streams at random, by
 *               one thread and by two: while the index settles, and after a pass over everything
 *     growth    fills EVENTS events into STREAMS streams; at each tenth: the rate of single appends
 *               and the memory; and how long opening takes after a clean stop and after kill -9
 *
 *     --dir D        where the data goes; a directory of its own is made in it and removed
 *     --secs S --warm S --streams N --inflight N --batch N --events N --event-bytes N
 *     --durability commit|os --head-cache N (entries; 0: the default)
 *
 * Every workload starts on an empty store. Client and store share the process, so srv_cpu_per_M is
 * the CPU of both.
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"

extern char **environ;

#define PEER "mainstem library"
#define PATH_BYTES 4096
#define POINTS 10
#define READERS_MAX 2u
#define FILL_BATCH 5
#define FILL_INFLIGHT 512

struct bench {
    const char *parent;
    char dir[PATH_BYTES];
    double secs, warm;
    uint32_t streams;
    uint64_t inflight, batch, events, event_bytes, head_cache;
    uint32_t durability;
    struct bench_payloads payloads;
    struct mainstem_store *store;
    struct load load;
};

/* ---- the store ---- */

static struct mainstem_store *open_at(const struct bench *bench, const char *dir) {
    struct mainstem_options options = {.struct_size = sizeof options,
                                       .durability = bench->durability,
                                       .head_cache_entries = bench->head_cache};
    struct mainstem_store *store;
    struct mainstem_error error;
    if (mainstem_open(dir, &options, &store, &error) != 0)
        bench_die("%s", error.message);
    return store;
}

static void close_store(struct mainstem_store *store) {
    struct mainstem_error error;
    if (mainstem_close(store, &error) != 0)
        bench_die("closing: %s", error.message);
}

static void begin(struct bench *bench) {
    snprintf(bench->dir, sizeof bench->dir, "%s/library-%d", bench->parent, (int)getpid());
    bench_remove_tree(bench->dir);
    bench->store = open_at(bench, bench->dir);
    load_init(&bench->load, bench->store, &bench->payloads, bench->streams);
}

static void finish(struct bench *bench) {
    load_free(&bench->load);
    close_store(bench->store);
    bench_remove_tree(bench->dir);
}

static struct mainstem_info info_of(struct mainstem_store *store) {
    struct mainstem_info info = {.struct_size = sizeof info};
    if (mainstem_info(store, &info, NULL) != 0)
        bench_die("no information about the store");
    return info;
}

/* The log's blocks and the index; the space kept ready behind them is not counted. */
static double disk_per_event(const struct bench *bench) {
    struct mainstem_info info = info_of(bench->store);
    uint64_t bytes = info.log_bytes + bench_disk_bytes(bench->dir, "/index/");
    return info.end > 0 ? (double)bytes / (double)info.end : -1;
}

static const char *durability_name(const struct bench *bench) {
    return bench->durability == MAINSTEM_DURABILITY_OS ? ", durability os" : "";
}

static struct bench_result result_of(const char *workload, const char *config) {
    return (struct bench_result){.workload = workload,
                                 .peer = PEER,
                                 .config = config,
                                 .cpu_s = -1,
                                 .memory_mb = -1,
                                 .disk_per_event = -1};
}

static void fill(struct bench *bench, size_t batch, uint64_t rounds) {
    size_t inflight = bench->streams / 4 < FILL_INFLIGHT ? bench->streams / 4 : FILL_INFLIGHT;
    struct load_run run = {
        .inflight = inflight, .batch = batch, .sequential = true, .rounds = rounds};
    struct bench_result result = result_of("", "");
    load_append(&bench->load, &run, &result);
    bench_samples_free(&bench->load.samples);
}

/* ---- appends ---- */

static void run_append(struct bench *bench) {
    char config[128];
    snprintf(config, sizeof config, "conditional append, c=%llu in flight%s",
             (unsigned long long)bench->inflight, durability_name(bench));
    struct bench_result result = result_of("W1", config);
    struct load_run run = {
        .inflight = bench->inflight, .batch = 1, .warm_secs = bench->warm, .secs = bench->secs};
    begin(bench);
    fill(bench, 1, 1);
    load_append(&bench->load, &run, &result);
    result.disk_per_event = disk_per_event(bench);
    bench_print(&result);
    bench_samples_free(&bench->load.samples);
    finish(bench);
}

static void run_latency(struct bench *bench) {
    char name[32], config[128];
    snprintf(config, sizeof config, "conditional append, c=1 waited for%s", durability_name(bench));
    struct bench_result result = result_of("W1", config);
    struct bench_samples samples = {0};
    struct mainstem_event event = {.type = mainstem_text("order.created")};
    begin(bench);
    fill(bench, 1, 1);
    uint64_t warm = bench_now_ns() + (uint64_t)(bench->warm * 1e9);
    uint64_t end = warm + (uint64_t)(bench->secs * 1e9), measured = 0;
    double cpu_s = 0;
    for (uint64_t now = bench_now_ns(); now < end;) {
        uint32_t stream = (uint32_t)(bench_random(&bench->load.random) % bench->streams);
        struct mainstem_append_result appended;
        struct mainstem_error error;
        if (measured == 0 && now >= warm) {
            measured = bench_now_ns();
            cpu_s = bench_cpu_s(0);
        }
        snprintf(name, sizeof name, "order-%u", stream);
        event.data = mainstem_bytes_of(bench_payload(&bench->payloads), bench->payloads.size);
        uint64_t began = bench_now_ns();
        if (mainstem_append(bench->store, name, bench->load.versions[stream], &event, 1, &appended,
                            &error) != 0)
            bench_die("an append failed: %s", error.message);
        now = bench_now_ns();
        bench->load.versions[stream] = appended.version;
        if (measured != 0)
            bench_samples_add(&samples, now - began);
    }
    result.events = samples.count;
    result.secs = (double)(bench_now_ns() - measured) / 1e9;
    result.cpu_s = bench_cpu_s(0) - cpu_s;
    result.memory_mb = bench_rss_anon_mb(0);
    result.samples = &samples;
    bench_print(&result);
    bench_samples_free(&samples);
    finish(bench);
}

static void run_batch(struct bench *bench) {
    char config[128];
    snprintf(config, sizeof config, "appends of %llu events, c=%llu in flight%s",
             (unsigned long long)bench->batch, (unsigned long long)bench->inflight,
             durability_name(bench));
    struct bench_result result = result_of("W2", config);
    struct load_run run = {.inflight = bench->inflight,
                           .batch = bench->batch,
                           .warm_secs = bench->warm,
                           .secs = bench->secs};
    begin(bench);
    load_append(&bench->load, &run, &result);
    result.disk_per_event = disk_per_event(bench);
    bench_print(&result);
    bench_samples_free(&bench->load.samples);
    finish(bench);
}

/* ---- reading everything ---- */

static uint64_t read_everything(struct mainstem_store *store) {
    struct mainstem_iterator *iterator;
    const struct mainstem_recorded_event *event;
    struct mainstem_error error;
    uint64_t events = 0, sum = 0;
    int code = mainstem_read_all(store, NULL, &iterator, &error);
    while (code >= 0 && (code = mainstem_iterator_next(iterator, &event, &error)) == 1) {
        events++;
        sum += ((const uint8_t *)event->event.data.data)[event->event.data.size - 1];
    }
    if (code < 0)
        bench_die("reading: %s", error.message);
    if (sum != events * '}')
        bench_die("what was read is not what was written");
    mainstem_iterator_free(iterator);
    return events;
}

static void print_full_read(struct bench *bench, const char *config) {
    struct bench_result result = result_of("W3", config);
    double cpu_s = bench_cpu_s(0);
    uint64_t began = bench_now_ns();
    result.events = read_everything(bench->store);
    result.secs = (double)(bench_now_ns() - began) / 1e9;
    result.cpu_s = bench_cpu_s(0) - cpu_s;
    result.memory_mb = bench_rss_anon_mb(0);
    bench_print(&result);
}

static void run_read(struct bench *bench) {
    char config[128];
    snprintf(config, sizeof config, "read all, written %llu at a time",
             (unsigned long long)bench->batch);
    uint32_t streams = bench->streams;
    uint64_t appends = bench->events / bench->batch;
    if (appends < bench->streams)
        bench->streams = (uint32_t)(appends > 64 ? appends : 64);
    begin(bench);
    fill(bench, bench->batch, (appends + bench->streams - 1) / bench->streams);
    for (int i = 0; i < 3; i++)
        print_full_read(bench, config);
    finish(bench);
    bench->streams = streams;
}

/* ---- growth ---- */

static void print_growth_point(struct bench *bench) {
    char config[128], more[128];
    struct mainstem_info info = info_of(bench->store);
    snprintf(
        config, sizeof config, "conditional append, c=%llu, at %.1f M events in %.2f M streams",
        (unsigned long long)bench->inflight, (double)info.end / 1e6, (double)bench->streams / 1e6);
    struct bench_result result = result_of("growth", config);
    struct load_run run = {.inflight = bench->inflight, .batch = 1, .secs = bench->secs};
    load_append(&bench->load, &run, &result);
    result.disk_per_event = disk_per_event(bench);
    snprintf(more, sizeof more, "\"index_lag\":%llu,\"anon_b_per_stream\":%.0f",
             (unsigned long long)info.index_lag,
             result.memory_mb * 1048576 / (double)bench->streams);
    result.more = more;
    bench_print(&result);
    bench_samples_free(&bench->load.samples);
}

static uint64_t read_stream(struct mainstem_store *store, uint32_t stream) {
    char name[32];
    struct mainstem_iterator *iterator;
    const struct mainstem_recorded_event *event;
    struct mainstem_error error;
    uint64_t events = 0;
    snprintf(name, sizeof name, "order-%u", stream);
    int code = mainstem_read_stream(store, name, NULL, &iterator, &error);
    while (code >= 0 && (code = mainstem_iterator_next(iterator, &event, &error)) == 1)
        events++;
    if (code < 0 || events == 0)
        bench_die("reading %s: %s", name, code < 0 ? error.message : "no events");
    mainstem_iterator_free(iterator);
    return events;
}

struct reader {
    const struct bench *bench;
    pthread_t thread;
    uint64_t random, until_ns, events;
    struct bench_samples samples;
};

static void *read_streams(void *context) {
    struct reader *reader = context;
    uint64_t now = bench_now_ns();
    while (now < reader->until_ns) {
        uint32_t stream = (uint32_t)(bench_random(&reader->random) % reader->bench->streams);
        reader->events += read_stream(reader->bench->store, stream);
        uint64_t after = bench_now_ns();
        bench_samples_add(&reader->samples, after - now);
        now = after;
    }
    return NULL;
}

static void gather(struct reader *into, struct reader *from) {
    into->events += from->events;
    for (size_t i = 0; i < from->samples.count; i++)
        bench_samples_add(&into->samples, (uint64_t)from->samples.at[i] * 10);
    bench_samples_free(&from->samples);
}

/* eps is streams per second here. */
static void print_stream_reads(struct bench *bench, const char *when, unsigned count) {
    struct reader readers[READERS_MAX] = {0};
    char config[128], more[64];
    snprintf(config, sizeof config, "random streams, %s, %u reader%s", when, count,
             count > 1 ? "s" : "");
    struct bench_result result = result_of("streams", config);
    uint64_t began = bench_now_ns();
    double cpu_s = bench_cpu_s(0);
    for (unsigned i = 0; i < count; i++) {
        readers[i] = (struct reader){.bench = bench,
                                     .random = bench_random(&bench->load.random),
                                     .until_ns = began + (uint64_t)(bench->secs * 1e9)};
        if (pthread_create(&readers[i].thread, NULL, read_streams, &readers[i]) != 0)
            bench_die("can't start a reader");
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(readers[i].thread, NULL);
    result.secs = (double)(bench_now_ns() - began) / 1e9;
    for (unsigned i = 1; i < count; i++)
        gather(&readers[0], &readers[i]);
    result.events = readers[0].samples.count;
    result.cpu_s = bench_cpu_s(0) - cpu_s;
    result.memory_mb = bench_rss_anon_mb(0);
    result.samples = &readers[0].samples;
    snprintf(more, sizeof more, "\"unit\":\"streams\",\"events_per_s\":%.0f",
             (double)readers[0].events / result.secs);
    result.more = more;
    bench_print(&result);
    bench_samples_free(&readers[0].samples);
}

static void print_open(struct bench *bench, const char *config) {
    struct bench_result result = result_of("open", config);
    char more[96];
    uint64_t began = bench_now_ns();
    bench->store = open_at(bench, bench->dir);
    result.secs = (double)(bench_now_ns() - began) / 1e9;
    result.events = 1;
    result.memory_mb = bench_rss_anon_mb(0);
    struct mainstem_info info = info_of(bench->store);
    snprintf(more, sizeof more, "\"open_ms\":%.1f,\"recovery_ms\":%lld,\"events\":%llu",
             result.secs * 1e3, (long long)info.recovery_ms, (unsigned long long)info.end);
    result.more = more;
    bench_print(&result);
}

/* Another process appends, and is killed while it does. */
static void crash_on(const struct bench *bench) {
    char streams[16];
    char dir_option[] = "--dir", streams_option[] = "--streams", crash[] = "crash";
    char name[] = "bench-library";
    snprintf(streams, sizeof streams, "%u", bench->streams);
    char *arguments[] = {name,  dir_option, (char *)(uintptr_t)bench->dir, streams_option, streams,
                         crash, NULL};
    pid_t pid;
    int status = 0;
    if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ) != 0 ||
        waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
        bench_die("the process that was to be killed ended otherwise");
}

static void run_crash(struct bench *bench) {
    struct mainstem_event event = {.type = mainstem_text("order.created")};
    struct mainstem_store *store = open_at(bench, bench->parent);
    char name[32];
    uint64_t random = 7, end = bench_now_ns() + 2000000000u;
    while (bench_now_ns() < end) {
        struct mainstem_part part = {name, MAINSTEM_ANY, &event, 1};
        struct mainstem_append_request request = {
            .struct_size = sizeof request, .wait = 1, .parts = &part, .part_count = 1};
        event.data = mainstem_bytes_of(bench_payload(&bench->payloads), bench->payloads.size);
        snprintf(name, sizeof name, "order-%u", (uint32_t)(bench_random(&random) % bench->streams));
        if (mainstem_append_multi_async(store, &request, NULL, NULL, NULL) != 0)
            exit(1);
    }
    kill(getpid(), SIGKILL);
}

static uint64_t rounds_of(const struct bench *bench) {
    uint64_t rounds = bench->events / bench->streams / FILL_BATCH;
    if (rounds == 0)
        bench_die("at least %d events per stream", FILL_BATCH);
    return rounds;
}

static void run_reads(struct bench *bench) {
    begin(bench);
    fill(bench, FILL_BATCH, rounds_of(bench));
    print_stream_reads(bench, "while the index settles", 1);
    print_stream_reads(bench, "while the index settles", READERS_MAX);
    close_store(bench->store);
    print_open(bench, "after a clean stop");
    print_full_read(bench, "read all, before random reads");
    print_stream_reads(bench, "after a full pass", 1);
    print_stream_reads(bench, "after a full pass", READERS_MAX);
    finish(bench);
}

static void run_growth(struct bench *bench) {
    uint64_t rounds = rounds_of(bench);
    begin(bench);
    uint64_t points = rounds < POINTS ? rounds : POINTS;
    for (uint64_t point = 0, filled = 0; point < points; point++) {
        uint64_t until = rounds * (point + 1) / points;
        fill(bench, FILL_BATCH, until - filled);
        filled = until;
        print_growth_point(bench);
    }
    close_store(bench->store);
    print_open(bench, "after a clean stop");
    close_store(bench->store);
    crash_on(bench);
    print_open(bench, "after kill -9");
    bench->load.store = bench->store;
    finish(bench);
}

/* ---- the command line ---- */

static const struct {
    const char *name;
    void (*run)(struct bench *bench);
} workloads[] = {
    {"append", run_append}, {"latency", run_latency}, {"batch", run_batch}, {"read", run_read},
    {"reads", run_reads},   {"growth", run_growth},   {"crash", run_crash},
};

static bool take_number(struct bench *bench, const char *option, const char *text) {
    const struct {
        const char *name;
        uint64_t *place;
    } numbers[] = {
        {"--inflight", &bench->inflight},     {"--batch", &bench->batch},
        {"--events", &bench->events},         {"--event-bytes", &bench->event_bytes},
        {"--head-cache", &bench->head_cache},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (strcmp(option, numbers[i].name) == 0) {
            *numbers[i].place = bench_number(option, text);
            return true;
        }
    }
    return false;
}

static void take_option(struct bench *bench, const char *option, const char *text) {
    if (strcmp(option, "--dir") == 0 && text != NULL)
        bench->parent = text;
    else if (strcmp(option, "--secs") == 0)
        bench->secs = (double)bench_number(option, text);
    else if (strcmp(option, "--warm") == 0)
        bench->warm = (double)bench_number(option, text);
    else if (strcmp(option, "--streams") == 0)
        bench->streams = (uint32_t)bench_number(option, text);
    else if (strcmp(option, "--durability") == 0 && text != NULL)
        bench->durability =
            strcmp(text, "os") == 0 ? MAINSTEM_DURABILITY_OS : MAINSTEM_DURABILITY_COMMIT;
    else if (!take_number(bench, option, text))
        bench_die("bench-library: unknown option %s", option);
}

static void run_workload(struct bench *bench, const char *name) {
    for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++) {
        if (strcmp(name, workloads[i].name) == 0) {
            if (bench->payloads.bytes == NULL)
                bench_payloads_init(&bench->payloads, (size_t)bench->event_bytes, 1u << 15);
            workloads[i].run(bench);
            return;
        }
    }
    bench_die("bench-library: no workload %s", name);
}

int main(int argc, char **argv) {
    struct bench bench = {.parent = ".",
                          .secs = 5,
                          .warm = 1,
                          .streams = 100000,
                          .inflight = 64,
                          .batch = 100,
                          .events = 1000000,
                          .event_bytes = 300};
    bool ran = false;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-') {
            take_option(&bench, argv[i], argv[i + 1]);
            i++;
        } else {
            run_workload(&bench, argv[i]);
            ran = true;
        }
    }
    if (!ran)
        bench_die("usage: bench-library [--dir D] [--secs S] [--streams N] [--inflight N] … "
                  "append|latency|batch|read|reads|growth");
    bench_payloads_free(&bench.payloads);
    return 0;
}
