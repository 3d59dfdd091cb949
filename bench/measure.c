/* What the benchmarks share; see measure.h. */
#include "measure.h"

#include <ctype.h>
#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NUMBER_DIGITS 12

uint64_t bench_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bench_sleep_ms(unsigned ms) {
    struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

void bench_die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

uint64_t bench_number(const char *option, const char *text) {
    char *end;
    errno = 0;
    unsigned long long value = text != NULL ? strtoull(text, &end, 10) : 0;
    if (text == NULL || !isdigit((unsigned char)text[0]) || *end != 0 || errno != 0)
        bench_die("%s wants a whole number", option);
    return value;
}

/* ---- latencies ---- */

void bench_samples_add(struct bench_samples *samples, uint64_t ns) {
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity == 0 ? 1u << 16 : samples->capacity * 2;
        samples->at = realloc(samples->at, samples->capacity * sizeof *samples->at);
        if (samples->at == NULL)
            bench_die("no memory for samples");
    }
    uint64_t units = ns / 10;
    samples->at[samples->count++] = units > UINT32_MAX ? UINT32_MAX : (uint32_t)units;
}

void bench_samples_free(struct bench_samples *samples) {
    free(samples->at);
    *samples = (struct bench_samples){0};
}

static int compare_samples(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double percentile_us(const struct bench_samples *samples, double part) {
    size_t at = (size_t)ceil(part * (double)samples->count);
    return samples->at[at > 0 ? at - 1 : 0] / 100.0;
}

/* ---- payloads ---- */

static const char *const first_names[] = {"ava",   "ben",  "chloe", "dmitri", "elif",  "farid",
                                          "greta", "hiro", "ines",  "jonas",  "kemal", "lucia",
                                          "mateo", "noor", "olga",  "pavel"};
static const char *const cities[] = {"Leipzig", "Porto", "Lyon", "Gdansk", "Turin", "Malmo",
                                     "Utrecht", "Graz",  "Cork", "Brno",   "Tartu", "Varna"};
static const char *const methods[] = {"standard", "express", "pickup", "locker"};

#define PICK(list, r) (list)[(r) % (sizeof(list) / sizeof((list)[0]))]

static void fill_payload(char *out, size_t size, uint64_t seed) {
    uint64_t r = bench_random(&seed), r2 = bench_random(&seed);
    int len = snprintf(
        out, size,
        "{\"order_id\":\"%0*d\",\"customer\":{\"id\":%u,\"email\":"
        "\"%s.%u@example.com\"},\"items\":[{\"sku\":\"KT-%05u\",\"qty\":%u,"
        "\"cents\":%u},{\"sku\":\"BX-%05u\",\"qty\":%u,\"cents\":%u}],"
        "\"city\":\"%s\",\"shipping\":\"%s\",\"session\":\"",
        NUMBER_DIGITS, 0, (unsigned)(r % 1000000), PICK(first_names, r >> 20),
        (unsigned)(r >> 24) % 10000, (unsigned)(r >> 32) % 100000, 1 + (unsigned)(r >> 48) % 9,
        (unsigned)(r >> 40) % 30000, (unsigned)(r2 % 100000), 1 + (unsigned)(r2 >> 20) % 9,
        (unsigned)(r2 >> 24) % 30000, PICK(cities, r2 >> 40), PICK(methods, r2 >> 50));
    size_t at = (size_t)len;
    while (at < size - 2) {
        uint64_t bits = bench_random(&seed);
        for (int i = 0; i < 10 && at < size - 2; i++, bits >>= 6)
            out[at++] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."[bits & 63];
    }
    memcpy(out + size - 2, "\"}", 2);
}

void bench_payloads_init(struct bench_payloads *payloads, size_t size, size_t count) {
    if (size < 260)
        bench_die("events of at least 260 bytes");
    *payloads = (struct bench_payloads){.size = size, .count = count};
    payloads->bytes = malloc(size * count);
    if (payloads->bytes == NULL)
        bench_die("no memory for payloads");
    for (size_t i = 0; i < count; i++)
        fill_payload(payloads->bytes + i * size, size, i + 1);
}

const char *bench_payload(struct bench_payloads *payloads) {
    uint64_t number = payloads->next++;
    char *payload = payloads->bytes + (size_t)(number % payloads->count) * payloads->size;
    char *digits = payload + sizeof "{\"order_id\":\"" - 1;
    for (int i = NUMBER_DIGITS; i > 0; i--, number /= 10)
        digits[i - 1] = (char)('0' + number % 10);
    return payload;
}

void bench_payloads_free(struct bench_payloads *payloads) {
    free(payloads->bytes);
    *payloads = (struct bench_payloads){0};
}

/* ---- processes ---- */

static double own_cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec / 1e6 +
           (double)used.ru_stime.tv_sec + (double)used.ru_stime.tv_usec / 1e6;
}

double bench_cpu_s(int pid) {
    char path[64], line[1024];
    unsigned long user = 0, system_time = 0;
    if (pid == 0)
        return own_cpu_s();
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return -1;
    size_t len = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[len] = 0;
    const char *end = strrchr(line, ')'); /* of the name, which may hold anything */
    if (end == NULL || sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                              &user, &system_time) != 2)
        return -1;
    return (double)(user + system_time) / (double)sysconf(_SC_CLK_TCK);
}

double bench_rss_anon_mb(int pid) {
    char path[64], line[256];
    unsigned long kib = 0;
    double found = -1;
    if (pid == 0)
        snprintf(path, sizeof path, "/proc/self/status");
    else
        snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return -1;
    while (found < 0 && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "RssAnon: %lu kB", &kib) == 1)
            found = (double)kib / 1024;
    fclose(file);
    return found;
}

/* ---- files ---- */

/* nftw hands no context on. */
static uint64_t tree_bytes;
static const char *tree_part;

static int add_file(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)place;
    if (type == FTW_F && (tree_part == NULL || strstr(path, tree_part) != NULL))
        tree_bytes += (uint64_t)status->st_blocks * 512;
    return 0;
}

uint64_t bench_disk_bytes(const char *directory, const char *part) {
    tree_bytes = 0;
    tree_part = part;
    nftw(directory, add_file, 32, FTW_PHYS);
    return tree_bytes;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)status, (void)type, (void)place;
    return remove(path);
}

void bench_remove_tree(const char *directory) {
    nftw(directory, remove_one, 32, FTW_PHYS | FTW_DEPTH);
}

/* ---- results ---- */

void bench_print(const struct bench_result *result) {
    double n = (double)result->events;
    printf("{\"wl\":\"%s\",\"peer\":\"%s\",\"cfg\":\"%s\",\"n\":%llu,\"secs\":%.3f,\"eps\":%.1f",
           result->workload, result->peer, result->config, (unsigned long long)result->events,
           result->secs, n / result->secs);
    if (result->cpu_s >= 0 && result->events > 0)
        printf(",\"srv_cpu_per_M\":%.2f", result->cpu_s * 1e6 / n);
    if (result->memory_mb >= 0)
        printf(",\"srv_mb\":%.1f", result->memory_mb);
    if (result->disk_per_event >= 0)
        printf(",\"disk_b_per_ev\":%.0f", result->disk_per_event);
    if (result->samples != NULL && result->samples->count > 0) {
        qsort(result->samples->at, result->samples->count, sizeof *result->samples->at,
              compare_samples);
        printf(",\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f",
               percentile_us(result->samples, 0.5), percentile_us(result->samples, 0.99),
               percentile_us(result->samples, 0.999), percentile_us(result->samples, 1));
    }
    if (result->more != NULL)
        printf(",%s", result->more);
    printf("}\n");
    fflush(stdout);
}
