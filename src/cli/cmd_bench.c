/*
 * `mainstem bench`: appends for a while and tells how many and how long each took, as a client sees
 * it. The numbers include making the events' JSON and, with a server, HTTP in one thread; `make
 * bench` measures the store itself.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "cli/output.h"
#include "cli/target.h"

#define SAMPLES_MAX ((size_t)1 << 20)
#define EVENT_BYTES_MIN 64u
#define EVENT_BYTES_MAX ((uint64_t)1 << 20)
#define BATCH_MAX 1000u
#define STREAMS_MAX ((uint64_t)100000000)

struct bench {
    struct ms_target *target;
    struct ms_clock *clock;
    uint64_t streams, in_flight, event_bytes, batch, seconds;
    struct ms_buf event; /* one, as JSON */
    struct ms_bytes *events;
    struct slot {
        struct bench *bench;
        int64_t started_us;
        bool busy;
    } slots[MS_TARGET_IN_FLIGHT_MAX];
    uint32_t *samples; /* microseconds; the first SAMPLES_MAX, then replaced at random */
    size_t sample_count;
    uint64_t appends, failed, random;
    int64_t until_us;
    int rc;
    struct ms_error error;
};

/* xorshift: which stream, and which sample is replaced. */
static uint64_t draw(struct bench *b) {
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random;
}

static int make_event(struct bench *b) {
    int rc =
        ms_buf_append_cstr(&b->event, "{\"event_type\":\"bench.happened\",\"data\":{\"text\":\"");
    while (rc == 0 && b->event.len + 3 < b->event_bytes)
        rc = ms_buf_append_u8(&b->event, (uint8_t)('a' + b->event.len % 26));
    if (rc == 0)
        rc = ms_buf_append_cstr(&b->event, "\"}}");
    for (uint64_t i = 0; rc == 0 && i < b->batch; i++)
        b->events[i] = ms_buf_bytes(&b->event);
    return rc;
}

static void take_sample(struct bench *b, int64_t took_us) {
    uint32_t sample = took_us < 0 ? 0 : took_us > UINT32_MAX ? UINT32_MAX : (uint32_t)took_us;
    b->appends++;
    if (b->sample_count < SAMPLES_MAX) {
        b->samples[b->sample_count++] = sample;
        return;
    }
    uint64_t place = draw(b) % b->appends;
    if (place < SAMPLES_MAX)
        b->samples[place] = sample;
}

static void on_appended(void *context, int code, const struct ms_target_append_result *result,
                        const struct ms_error *err) {
    struct slot *slot = context;
    struct bench *b = slot->bench;
    (void)result;
    slot->busy = false;
    if (code == 0) {
        take_sample(b, ms_clock_monotonic_us(b->clock) - slot->started_us);
        return;
    }
    b->failed++;
    if (b->rc == 0 && err)
        b->error = *err;
    b->rc = code;
}

static int start_one(struct bench *b, struct slot *slot) {
    char name[32];
    int len = snprintf(name, sizeof name, "bench-%llu", (unsigned long long)(draw(b) % b->streams));
    struct ms_target_part part = {
        .stream = ms_bytes_of(name, (size_t)len),
        .condition = {.kind = MS_EXPECT_ANY},
        .events = b->events,
        .count = (size_t)b->batch,
    };
    struct ms_target_append append = {&part, 1};
    *slot = (struct slot){b, ms_clock_monotonic_us(b->clock), true};
    int rc = ms_target_append_start(b->target, &append, on_appended, slot, &b->error);
    if (rc != 0)
        slot->busy = false;
    return rc;
}

static int run(struct bench *b) {
    int rc = 0;
    while (rc == 0 && b->rc == 0) {
        bool going = ms_clock_monotonic_us(b->clock) < b->until_us;
        for (size_t i = 0; going && rc == 0 && i < b->in_flight; i++)
            if (!b->slots[i].busy)
                rc = start_one(b, &b->slots[i]);
        if (b->target->in_flight == 0 && !going)
            break;
        if (rc == 0 && b->target->in_flight > 0)
            rc = ms_target_poll(b->target, &b->error);
    }
    return rc != 0 ? rc : b->rc;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t quantile(const struct bench *b, double q) {
    if (b->sample_count == 0)
        return 0;
    size_t at = (size_t)((double)b->sample_count * q);
    return b->samples[at < b->sample_count ? at : b->sample_count - 1];
}

static void print_result(struct ms_invocation *invocation, struct bench *b, double seconds) {
    qsort(b->samples, b->sample_count, sizeof *b->samples, by_size);
    double rate = (double)(b->appends * b->batch) / seconds;
    uint32_t p50 = quantile(b, 0.5), p99 = quantile(b, 0.99), p999 = quantile(b, 0.999);
    FILE *out = invocation->cli->out;
    if (ms_wants_json(invocation))
        fprintf(out,
                "{\"appends\":%llu,\"events\":%llu,\"seconds\":%.3f,\"events_per_second\":%.0f,"
                "\"p50_us\":%u,\"p99_us\":%u,\"p999_us\":%u}\n",
                (unsigned long long)b->appends, (unsigned long long)(b->appends * b->batch),
                seconds, rate, p50, p99, p999);
    else
        fprintf(
            out,
            "%llu appends of %llu events of %llu bytes to %llu streams, %llu in flight, %.1f s\n"
            "%.0f events/s; an append took p50 %u µs, p99 %u µs, p999 %u µs\n",
            (unsigned long long)b->appends, (unsigned long long)b->batch,
            (unsigned long long)b->event_bytes, (unsigned long long)b->streams,
            (unsigned long long)b->in_flight, seconds, rate, p50, p99, p999);
}

static int read_options(const struct ms_invocation *invocation, struct bench *b,
                        struct ms_error *err) {
    const struct {
        const char *name;
        uint64_t min, max, *value;
    } options[] = {
        {"streams", 1, STREAMS_MAX, &b->streams},
        {"in-flight", 1, MS_TARGET_IN_FLIGHT_MAX, &b->in_flight},
        {"event-bytes", EVENT_BYTES_MIN, EVENT_BYTES_MAX, &b->event_bytes},
        {"batch", 1, BATCH_MAX, &b->batch},
        {"seconds", 1, 3600, &b->seconds},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof options / sizeof options[0]; i++)
        rc = ms_option_u64(invocation, options[i].name, options[i].min, options[i].max,
                           options[i].value, err);
    return rc;
}

int ms_cmd_bench(struct ms_invocation *invocation) {
    struct ms_cli *cli = invocation->cli;
    struct ms_error error = {0};
    struct bench b = {
        .clock = cli->env->clock,
        .streams = 1000,
        .in_flight = MS_TARGET_IN_FLIGHT_MAX,
        .event_bytes = 300,
        .batch = 1,
        .seconds = 5,
        .random = UINT64_C(0x9e3779b97f4a7c15),
    };
    if (read_options(invocation, &b, &error) != 0)
        return ms_usage(invocation, "%s", error.message);
    int rc = ms_target_open(invocation, MS_TARGET_WRITES, &b.target, &error);
    if (rc != 0)
        return ms_cli_fail(cli, rc, &error);
    ms_buf_init(&b.event, (size_t)EVENT_BYTES_MAX * 2);
    b.samples = ms_calloc(SAMPLES_MAX, sizeof *b.samples);
    b.events = ms_calloc((size_t)b.batch, sizeof *b.events);
    rc = b.samples && b.events ? make_event(&b) : MS_ENOMEM;
    int64_t began_us = ms_clock_monotonic_us(b.clock);
    b.until_us = began_us + (int64_t)b.seconds * 1000000;
    if (rc == 0)
        rc = run(&b);
    double seconds = (double)(ms_clock_monotonic_us(b.clock) - began_us) / 1e6;
    ms_target_free(b.target);
    if (rc == 0)
        print_result(invocation, &b, seconds);
    ms_free(b.samples);
    ms_free(b.events);
    ms_buf_deinit(&b.event);
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(cli, rc, &b.error);
}
