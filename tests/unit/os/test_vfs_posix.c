/* Tests of os/vfs_posix: what only the real file system does. Some short writes are real ones, from
 * the limit on file sizes; a full disk is the device /dev/full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "unit/os/scratch.h"

/* Stands before the C library's pwritev: takes at most `write_max` bytes a call (0 = all), and
 * fails the call after `calls_until_failure` others with `failure`. */
static size_t write_max;
static int calls_until_failure = -1, failure;

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset) {
    if (calls_until_failure >= 0 && calls_until_failure-- == 0) {
        errno = failure;
        return -1;
    }
    struct iovec taken[1024];
    size_t left = write_max ? write_max : SIZE_MAX;
    int taken_count = 0;
    for (; taken_count < count && left > 0; taken_count++) {
        taken[taken_count] = iov[taken_count];
        if (taken[taken_count].iov_len > left)
            taken[taken_count].iov_len = left;
        left -= taken[taken_count].iov_len;
    }
    return syscall(SYS_pwritev, fd, taken, taken_count, offset, 0L);
}

/* Stands before the C library's fcntl: a file system that refuses O_DIRECT. */
static bool direct_refused;

int fcntl(int fd, int command, ...) {
    va_list args;
    va_start(args, command);
    long argument = va_arg(args, long);
    va_end(args);
    if (direct_refused && command == F_SETFL && (argument & O_DIRECT)) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

/* The same for preadv2: one that does not know RWF_NOWAIT, or has nothing at hand. */
static int nowait_failure, nowait_calls;

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags) {
    nowait_calls++;
    if (nowait_failure) {
        errno = nowait_failure;
        return -1;
    }
    return syscall(SYS_preadv2, fd, iov, count, offset, 0L, flags);
}

static char scratch[MS_PATH_MAX];
static struct rlimit usual_limit;

static int setup(void **state) {
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    return getrlimit(RLIMIT_FSIZE, &usual_limit) < 0 ? -1 : scratch_make(scratch);
}

static int teardown(void **state) {
    (void)state;
    return scratch_remove(scratch);
}

static int lift_limit(void **state) {
    (void)state;
    write_max = 0;
    calls_until_failure = -1;
    direct_refused = false;
    nowait_failure = 0;
    return setrlimit(RLIMIT_FSIZE, &usual_limit);
}

static void limit_file_size(uint64_t bytes) {
    struct rlimit limit = {bytes, usual_limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static struct ms_file *open_new(const char *name, int flags) {
    char path[MS_PATH_MAX];
    struct ms_file *file;
    assert_int_equal(ms_path_join(path, scratch, name), 0);
    flags |= MS_OPEN_READ | MS_OPEN_WRITE | MS_OPEN_CREATE | MS_OPEN_TRUNCATE;
    int code = ms_vfs_open(ms_vfs_posix(), path, flags, &file, NULL);
    if (code == MS_EUNSUPPORTED)
        skip();
    assert_int_equal(code, 0);
    return file;
}

static void short_writes_are_continued(void **state) {
    (void)state;
    enum { PIECES = 150, LEN = 150 * 90 };
    static uint8_t data[LEN], back[LEN];
    struct ms_iovec iov[PIECES];
    size_t used = 0;
    for (size_t i = 0; i < LEN; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    for (int i = 0; i < PIECES; i++) {
        size_t len = (size_t)(i * 37 % 90);
        iov[i] = (struct ms_iovec){data + used, len};
        used += len;
    }
    static const size_t maxima[] = {1, 7, 89, 90, 1000, 5000};
    for (size_t i = 0; i < sizeof maxima / sizeof maxima[0]; i++) {
        struct ms_file *file = open_new("continued", 0);
        write_max = maxima[i];
        calls_until_failure = 3; /* and one is interrupted */
        failure = EINTR;
        assert_int_equal(ms_file_writev(file, 10, iov, PIECES, NULL), 0);
        uint64_t size;
        assert_int_equal(ms_file_size(file, &size, NULL), 0);
        assert_int_equal(size, 10 + used);
        assert_int_equal(ms_file_read_exact(file, 10, back, used, NULL), 0);
        assert_memory_equal(back, data, used);
        ms_file_close(file);
    }
}

static void short_direct_writes_go_on_from_a_block(void **state) {
    (void)state;
    struct ms_file *file = open_new("blocks", MS_OPEN_DIRECT);
    uint8_t *data = ms_alloc_aligned(4096, 32768), *back = ms_alloc_aligned(4096, 32768);
    for (size_t i = 0; i < 32768; i++)
        data[i] = (uint8_t)(i / 512 + 1);
    struct ms_iovec iov[2] = {{data, 12288}, {data + 12288, 20480}};
    write_max = 8192 + 1024;
    int code = ms_file_writev(file, 0, iov, 2, NULL);
    if (code == MS_EUNSUPPORTED)
        skip(); /* a device with blocks of 4096 bytes takes no part of one */
    assert_int_equal(code, 0);
    assert_int_equal(ms_file_read_exact(file, 0, back, 32768, NULL), 0);
    assert_memory_equal(back, data, 32768);
    /* What comes after a short write decides the error. */
    calls_until_failure = 1;
    failure = ENOSPC;
    assert_int_equal(ms_file_writev(file, 0, iov, 2, NULL), MS_ENOSPC);
    write_max = 1024;
    calls_until_failure = -1;
    assert_int_equal(ms_file_writev(file, 0, iov, 2, NULL), MS_EIO);
    calls_until_failure = 0;
    failure = EINVAL;
    assert_int_equal(ms_file_writev(file, 0, iov, 2, NULL), MS_EUNSUPPORTED);
    ms_file_close(file);
    ms_free(data);
    ms_free(back);
}

static void the_reason_of_a_short_write_is_told(void **state) {
    (void)state;
    struct ms_file *file = open_new("short", 0);
    static const char data[10000] = "data";
    struct ms_iovec iov[2] = {{data, 3000}, {data, 7000}};
    limit_file_size(5000);
    struct ms_error err;
    assert_int_equal(ms_file_writev(file, 0, iov, 2, &err), MS_ETOOBIG);
    assert_non_null(strstr(err.message, "short"));
    uint64_t size;
    assert_int_equal(ms_file_size(file, &size, NULL), 0);
    assert_int_equal(size, 5000);
    ms_file_close(file);
}

static void a_direct_write_that_ends_in_a_block_fails(void **state) {
    (void)state;
    struct ms_file *file = open_new("direct", MS_OPEN_DIRECT);
    uint8_t *data = ms_alloc_aligned(4096, 16384);
    memset(data, 1, 16384);
    limit_file_size(4096 + 1024);
    /* The first block goes well, the rest never gets past the middle of the second. */
    assert_true(ms_file_write(file, 0, data, 16384, NULL) < 0);
    limit_file_size(8192);
    assert_int_equal(ms_file_write(file, 0, data, 16384, NULL), MS_ETOOBIG);
    assert_int_equal(ms_file_write(file, 0, data, 8192, NULL), 0);
    ms_file_close(file);
    ms_free(data);
}

static void a_full_device_is_no_space(void **state) {
    (void)state;
    struct ms_file *file;
    if (ms_vfs_open(ms_vfs_posix(), "/dev/full", MS_OPEN_WRITE, &file, NULL) < 0)
        skip();
    struct ms_error err;
    assert_int_equal(ms_file_write(file, 0, "x", 1, &err), MS_ENOSPC);
    assert_non_null(strstr(err.message, "/dev/full"));
    ms_file_close(file);
}

static void a_failed_sync_is_always_an_io_error(void **state) {
    (void)state;
    struct ms_file *file;
    /* Not a thing that can be synced: EINVAL of the kernel, but nobody may take it for his own
     * mistake. */
    if (ms_vfs_open(ms_vfs_posix(), "/dev/full", MS_OPEN_WRITE, &file, NULL) < 0)
        skip();
    struct ms_error err;
    assert_int_equal(ms_file_sync(file, &err), MS_EIO);
    assert_non_null(strstr(err.message, "sync"));
    ms_file_close(file);
}

static void a_refused_direct_open_leaves_no_file(void **state) {
    (void)state;
    char path[MS_PATH_MAX];
    struct ms_file *file = NULL;
    assert_int_equal(ms_path_join(path, scratch, "refused"), 0);
    int flags = MS_OPEN_WRITE | MS_OPEN_CREATE | MS_OPEN_EXCL;
    direct_refused = true;
    int code = ms_vfs_open(ms_vfs_posix(), path, flags | MS_OPEN_DIRECT, &file, NULL);
    assert_int_equal(code, MS_EUNSUPPORTED);
    assert_null(file);
    /* The caller falls back, still insisting on a new file. */
    assert_int_equal(ms_vfs_open(ms_vfs_posix(), path, flags, &file, NULL), 0);
    ms_file_close(file);
    /* A file that may have been there before is never removed. */
    flags = MS_OPEN_WRITE | MS_OPEN_CREATE | MS_OPEN_DIRECT;
    assert_int_equal(ms_vfs_open(ms_vfs_posix(), path, flags, &file, NULL), MS_EUNSUPPORTED);
    assert_int_equal(ms_vfs_open(ms_vfs_posix(), path, MS_OPEN_READ, &file, NULL), 0);
    ms_file_close(file);
}

static void reading_without_waiting_reads_or_says_again(void **state) {
    (void)state;
    struct ms_file *file = open_new("nowait", 0);
    static char data[100000], back[200000];
    memset(data, 'n', sizeof data);
    assert_int_equal(ms_file_write(file, 0, data, sizeof data, NULL), 0);
    size_t got = 77;
    int code = ms_file_read(file, 0, back, sizeof back, MS_READ_NOWAIT, &got, NULL);
    if (code == MS_EAGAIN) {
        assert_int_equal(got, 77);
    } else {
        assert_int_equal(code, 0);
        assert_int_equal(got, sizeof data);
        assert_memory_equal(back, data, sizeof data);
    }
    ms_file_close(file);
}

static void where_not_waiting_is_unknown_reading_just_reads(void **state) {
    (void)state;
    struct ms_file *file = open_new("unknown", 0);
    char out[4];
    size_t got = 77;
    assert_int_equal(ms_file_write(file, 0, "data", 4, NULL), 0);
    nowait_failure = EAGAIN;
    assert_int_equal(ms_file_read(file, 0, out, 4, MS_READ_NOWAIT, &got, NULL), MS_EAGAIN);
    assert_int_equal(got, 77);
    nowait_failure = EOPNOTSUPP;
    nowait_calls = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ms_file_read(file, 0, out, 4, MS_READ_NOWAIT, &got, NULL), 0);
        assert_int_equal(got, 4);
        assert_memory_equal(out, "data", 4);
    }
    assert_int_equal(nowait_calls, 1); /* it is remembered */
    ms_file_close(file);
}

static void reading_past_the_cache_gives_what_was_written(void **state) {
    (void)state;
    enum { LEN = 40960 + 100, ROOM = 65536 };
    struct ms_file *file = open_new("past", 0);
    uint8_t *data = ms_alloc_aligned(4096, ROOM), *back = ms_alloc_aligned(4096, ROOM);
    for (size_t i = 0; i < LEN; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    assert_int_equal(ms_file_writev(file, 0, &(struct ms_iovec){data, LEN}, 1, NULL), 0);
    /* whole blocks, over the end of the file, from the second block on, and nothing aligned */
    static const size_t places[][3] = {{0, 4096, 0}, {0, ROOM, 0}, {4096, 8192, 0}, {3, 1000, 1}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        size_t from = places[i][0], len = places[i][1], got;
        uint8_t *out = back + places[i][2];
        memset(back, 0xee, ROOM);
        assert_int_equal(ms_file_read(file, from, out, len, MS_READ_DIRECT, &got, NULL), 0);
        assert_int_equal(got, len < LEN - from ? len : LEN - from);
        assert_memory_equal(out, data + from, got);
    }
    ms_free(data);
    ms_free(back);
    ms_file_close(file);
}

static void another_process_is_locked_out_until_the_holder_ends(void **state) {
    (void)state;
    char path[MS_PATH_MAX];
    assert_int_equal(ms_path_join(path, scratch, "LOCK"), 0);
    int ready[2], leave[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(leave), 0);
    struct ms_file *lock;
    pid_t child = fork();
    if (child == 0) {
        char byte = 0;
        close(leave[1]);
        bool locked = ms_vfs_lock(ms_vfs_posix(), path, &lock, NULL) == 0;
        ssize_t done = write(ready[1], &byte, 1);
        done += read(leave[0], &byte, 1);
        _exit(locked && done == 1 ? 0 : 1); /* without closing: the lock ends with the process */
    }
    close(leave[0]);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(ms_vfs_lock(ms_vfs_posix(), path, &lock, NULL), MS_ELOCKED);
    close(leave[1]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(ms_vfs_lock(ms_vfs_posix(), path, &lock, NULL), 0);
    ms_file_close(lock);
    close(ready[0]);
    close(ready[1]);
}

static void dangling_links_are_not_listed(void **state) {
    (void)state;
    char dir[MS_PATH_MAX], path[MS_PATH_MAX];
    assert_int_equal(ms_path_join(dir, scratch, "links"), 0);
    assert_int_equal(ms_vfs_mkdir(ms_vfs_posix(), dir, NULL), 0);
    assert_int_equal(ms_path_join(path, dir, "nowhere"), 0);
    assert_int_equal(symlink("does-not-exist", path), 0);
    assert_int_equal(ms_path_join(path, dir, "self"), 0);
    assert_int_equal(symlink(".", path), 0);
    struct ms_dir_entry *entries;
    size_t count;
    assert_int_equal(ms_vfs_list(ms_vfs_posix(), dir, &entries, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_string_equal(entries[0].name, "self");
    assert_true(entries[0].is_dir);
    ms_dir_entries_free(entries, count);
    assert_int_equal(ms_vfs_unlink(ms_vfs_posix(), path, NULL), 0);
    assert_int_equal(ms_path_join(path, dir, "nowhere"), 0);
    assert_int_equal(ms_vfs_unlink(ms_vfs_posix(), path, NULL), 0);
}

static void misaligned_direct_access_is_a_programming_error(void **state) {
    (void)state;
    struct ms_file *file = open_new("aligned", MS_OPEN_DIRECT);
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            signal(SIGABRT, SIG_DFL);
            if (!freopen("/dev/null", "w", stderr))
                _exit(1);
            uint8_t *data = ms_alloc_aligned(4096, 8192);
            memset(data, 0, 8192);
            int code =
                ms_file_write(file, i == 0 ? 512 : 0, data + (i == 1), i == 2 ? 512 : 4096, NULL);
            _exit(code < 0 ? 2 : 3);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
    ms_file_close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(short_writes_are_continued, lift_limit),
        cmocka_unit_test_teardown(short_direct_writes_go_on_from_a_block, lift_limit),
        cmocka_unit_test_teardown(the_reason_of_a_short_write_is_told, lift_limit),
        cmocka_unit_test_teardown(a_direct_write_that_ends_in_a_block_fails, lift_limit),
        cmocka_unit_test(a_full_device_is_no_space),
        cmocka_unit_test(a_failed_sync_is_always_an_io_error),
        cmocka_unit_test_teardown(a_refused_direct_open_leaves_no_file, lift_limit),
        cmocka_unit_test(reading_without_waiting_reads_or_says_again),
        cmocka_unit_test_teardown(where_not_waiting_is_unknown_reading_just_reads, lift_limit),
        cmocka_unit_test(reading_past_the_cache_gives_what_was_written),
        cmocka_unit_test(another_process_is_locked_out_until_the_holder_ends),
        cmocka_unit_test(dangling_links_are_not_listed),
        cmocka_unit_test(misaligned_direct_access_is_a_programming_error),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
