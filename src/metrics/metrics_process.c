/*
 * Metrics of the process itself, from /proc and the system's limits. The names are those of the
 * Prometheus client libraries, so existing dashboards work. Where /proc can't be read (another
 * system, a simulated file system) the samples that need it are left out. Any thread.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "metrics/metrics.h"
#include "os/vfs.h"

#define PROC_TEXT_MAX 8192

/* Reads the beginning of a file of /proc, which has no size to go by. */
static int read_proc(struct ms_vfs *vfs, const char *path, char out[PROC_TEXT_MAX]) {
    struct ms_file *file;
    int rc = ms_vfs_open(vfs, path, MS_OPEN_READ, &file, NULL);
    if (rc != 0)
        return rc;
    size_t len = 0;
    rc = ms_file_read(file, 0, out, PROC_TEXT_MAX - 1, 0, &len, NULL);
    ms_file_close(file);
    out[rc == 0 ? len : 0] = 0;
    return rc;
}

static int memory(struct ms_buf *out, struct ms_vfs *vfs) {
    char text[PROC_TEXT_MAX];
    unsigned long long virtual_pages, resident_pages;
    if (read_proc(vfs, "/proc/self/statm", text) != 0 ||
        sscanf(text, "%llu %llu", &virtual_pages, &resident_pages) != 2)
        return 0;
    double page = (double)sysconf(_SC_PAGESIZE);
    int rc =
        ms_metrics_gauge(out, "process_resident_memory_bytes", "Resident memory size in bytes.",
                         NULL, (double)resident_pages * page);
    if (rc == 0)
        rc = ms_metrics_gauge(out, "process_virtual_memory_bytes", "Virtual memory size in bytes.",
                              NULL, (double)virtual_pages * page);
    return rc;
}

/* The boot time is a line "btime <seconds>" of /proc/stat; without it there is no start time. */
static double boot_time_s(struct ms_vfs *vfs) {
    char text[PROC_TEXT_MAX];
    unsigned long long seconds = 0;
    if (read_proc(vfs, "/proc/stat", text) == 0) {
        const char *line = strstr(text, "\nbtime ");
        if (line && sscanf(line, "\nbtime %llu", &seconds) != 1)
            seconds = 0;
    }
    return (double)seconds;
}

/* Fields 20 (threads) and 22 (start, in ticks after boot) of /proc/self/stat, counted after the
 * command's ')'. */
static int threads_and_start(struct ms_buf *out, struct ms_vfs *vfs) {
    char text[PROC_TEXT_MAX];
    if (read_proc(vfs, "/proc/self/stat", text) != 0)
        return 0;
    const char *after_name = strrchr(text, ')');
    long long threads;
    unsigned long long ticks;
    if (!after_name ||
        sscanf(after_name + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %lld %*d %llu",
               &threads, &ticks) != 2)
        return 0;
    int rc = ms_metrics_gauge(out, "process_threads", "Number of threads.", NULL, (double)threads);
    double boot = boot_time_s(vfs);
    if (rc == 0 && boot > 0)
        rc = ms_metrics_gauge(out, "process_start_time_seconds",
                              "Start time since the Unix epoch in seconds.", NULL,
                              boot + (double)ticks / (double)sysconf(_SC_CLK_TCK));
    return rc;
}

static int open_files(struct ms_buf *out, struct ms_vfs *vfs) {
    struct ms_dir_entry *entries;
    size_t count;
    int rc = 0;
    if (ms_vfs_list(vfs, "/proc/self/fd", &entries, &count, NULL) == 0) {
        ms_dir_entries_free(entries, count);
        rc = ms_metrics_gauge(out, "process_open_fds", "Number of open file descriptors.", NULL,
                              (double)count);
    }
    struct rlimit limit;
    if (rc == 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0)
        rc = ms_metrics_gauge(out, "process_max_fds", "Maximum number of open file descriptors.",
                              NULL, (double)limit.rlim_cur);
    return rc;
}

static double seconds_of(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static int cpu(struct ms_buf *out) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return ms_metrics_counter_real(out, "process_cpu_seconds_total",
                                   "Total user and system CPU time spent in seconds.", NULL,
                                   seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
}

int ms_metrics_process(struct ms_buf *out, struct ms_vfs *vfs) {
    size_t before = out->len;
    int rc = cpu(out);
    if (rc == 0)
        rc = memory(out, vfs);
    if (rc == 0)
        rc = threads_and_start(out, vfs);
    if (rc == 0)
        rc = open_files(out, vfs);
    if (rc != 0)
        out->len = before;
    return rc;
}
