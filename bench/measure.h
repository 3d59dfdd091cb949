/*
 * What the benchmarks share: clock, latency samples, payloads, a process's CPU time and memory, and
 * the line of JSON that a measurement becomes.
 *
 * The line has the fields that the peers' benchmarks use, so that one table shows all of them:
 *
 *   wl, peer, cfg    workload, what was measured, how
 *   n, secs, eps     events, seconds, events per second
 *   p50_us … max_us  latency of one request, exact over all samples
 *   srv_cpu_per_M    CPU seconds of the server, or of the process that embeds the library, per
 *                    million events
 *   srv_mb           its anonymous memory
 *   disk_b_per_ev    bytes on disk per event stored
 *
 * One thread per object.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

uint64_t bench_now_ns(void);
void bench_sleep_ms(unsigned ms);
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A whole number of an option; dies with a sentence otherwise. */
uint64_t bench_number(const char *option, const char *text);

/* ---- random numbers: the same for the same seed ---- */

static inline uint64_t bench_random(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* ---- latencies, in units of 10 ns ---- */

struct bench_samples {
    uint32_t *at;
    size_t count, capacity;
};
void bench_samples_add(struct bench_samples *samples, uint64_t ns);
void bench_samples_free(struct bench_samples *samples);

/* ---- payloads: orders as JSON, each of another customer with other goods ---- */

struct bench_payloads {
    char *bytes;
    size_t size, count;
    uint64_t next;
};
/* `size` bytes each, at least 260; `count` different ones. */
void bench_payloads_init(struct bench_payloads *payloads, size_t size, size_t count);
/* The next one, with a number that none had before. Valid for the next `count` - 1 calls. */
const char *bench_payload(struct bench_payloads *payloads);
void bench_payloads_free(struct bench_payloads *payloads);

/* ---- processes: 0 = this one ---- */

double bench_cpu_s(int pid);
double bench_rss_anon_mb(int pid);
/* Bytes of the files below a directory whose path holds `part` (NULL: all). */
uint64_t bench_disk_bytes(const char *directory, const char *part);
void bench_remove_tree(const char *directory);

/* ---- results ---- */

struct bench_result {
    const char *workload, *peer, *config;
    uint64_t events;
    double secs;
    double cpu_s;                  /* < 0: not known */
    double memory_mb;              /* < 0: not known */
    double disk_per_event;         /* < 0: not known */
    struct bench_samples *samples; /* NULL: none. Sorted by this */
    const char *more;              /* further fields, "\"a\":1"; NULL: none */
};
void bench_print(const struct bench_result *result);
