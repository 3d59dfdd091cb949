/* `mainstem serve` as a process: its start, its ready file, its signals, its end when the log
 * stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/target.h"
#include "os/vfs_sim.h"
#include "wire/json.h"

#define WAIT_STEP_US 10000
#define WAIT_STEPS 3000

static char dir[64], data[96], ready[96], out_file[96], err_file[96];
static pid_t server;
static int trigger[2]; /* a byte makes every further write of the server's log fail */

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *place) {
    (void)stat;
    (void)type;
    (void)place;
    return remove(path);
}

static int set_up(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/mainstem-serve-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(data, sizeof data, "%s/data", dir);
    snprintf(ready, sizeof ready, "%s/ready.json", dir);
    snprintf(out_file, sizeof out_file, "%s/out", dir);
    snprintf(err_file, sizeof err_file, "%s/err", dir);
    assert_int_equal(pipe(trigger), 0);
    server = 0;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    close(trigger[0]);
    close(trigger[1]);
    return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- the server's side ---- */

static struct ms_vfs_ops failing_ops;
static atomic_bool fails;

static int failing_writev(struct ms_file *file, uint64_t offset, const struct ms_iovec *iov,
                          int count, struct ms_error *err);
static int failing_sync(struct ms_file *file, struct ms_error *err);
static const struct ms_file_ops *real_file_ops;
static struct ms_file_ops failing_file_ops;

static int failing_writev(struct ms_file *file, uint64_t offset, const struct ms_iovec *iov,
                          int count, struct ms_error *err) {
    if (atomic_load(&fails))
        return ms_error_set(err, MS_EIO, "the device is gone");
    return real_file_ops->writev(file, offset, iov, count, err);
}

static int failing_sync(struct ms_file *file, struct ms_error *err) {
    if (atomic_load(&fails))
        return ms_error_set(err, MS_EIO, "the device is gone");
    return real_file_ops->sync(file, err);
}

static int failing_open(struct ms_vfs *vfs, const char *path, int flags, struct ms_file **ret_file,
                        struct ms_error *err) {
    (void)vfs;
    int rc = ms_vfs_open(ms_vfs_posix(), path, flags, ret_file, err);
    if (rc != 0)
        return rc;
    if (real_file_ops == NULL) { /* the first file is opened before there are threads */
        real_file_ops = (*ret_file)->ops;
        failing_file_ops = *real_file_ops;
        failing_file_ops.writev = failing_writev;
        failing_file_ops.sync = failing_sync;
    }
    (*ret_file)->ops = &failing_file_ops;
    return 0;
}

static void *wait_for_trigger(void *context) {
    (void)context;
    char byte;
    if (read(trigger[0], &byte, 1) == 1)
        atomic_store(&fails, true);
    return NULL;
}

/* Signals are for the server's main thread. */
static void start_trigger(void) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_trigger, NULL);
    pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static _Noreturn void run_server(const char *const *arguments) {
    start_trigger();
    failing_ops = *ms_vfs_posix()->ops;
    failing_ops.open = failing_open;
    struct ms_vfs vfs = {.ops = &failing_ops};
    struct ms_env env = *ms_env_system();
    env.vfs = &vfs;
    int fd = open(err_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(fd, STDERR_FILENO);
    struct ms_cli cli = {.env = &env, .in = stdin, .out = fopen(out_file, "w"), .err = stderr};
    int count = 0;
    while (arguments[count])
        count++;
    int status = ms_cli_run(&cli, count, arguments);
    fclose(cli.out);
    _exit(status);
}

/* ---- the test's side ---- */

static void start(const char *const *arguments) {
    fflush(NULL);
    server = fork();
    assert_true(server >= 0);
    if (server == 0)
        run_server(arguments);
}
#define SERVE(...)                                                                                 \
    start((const char *const[]){"serve", "--data", data, "--ready-file", ready, "--http",          \
                                "127.0.0.1:0", __VA_ARGS__ NULL})

static int wait_for_exit(void) {
    int status = 0;
    for (int i = 0; i < WAIT_STEPS; i++) {
        if (waitpid(server, &status, WNOHANG) == server) {
            server = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        }
        usleep(WAIT_STEP_US);
    }
    fail_msg("the server does not end");
    return -1;
}

static void read_text(const char *path, char out[4096]) {
    FILE *file = fopen(path, "r");
    size_t len = file ? fread(out, 1, 4095, file) : 0;
    out[len] = 0;
    if (file)
        fclose(file);
}

static void wait_for_text(const char *path, const char *text) {
    char found[4096];
    for (int i = 0; i < WAIT_STEPS; i++) {
        read_text(path, found);
        if (strstr(found, text))
            return;
        usleep(WAIT_STEP_US);
    }
    fail_msg("%s does not appear in %s: %s", text, path, found);
}

/* From the ready file. */
static void server_address(char out[64]) {
    char text[4096], wanted[128];
    wait_for_text(ready, "}\n");
    read_text(ready, text);
    struct ms_json_value object, http;
    assert_int_equal(ms_json_parse(ms_bytes_cstr(text), 4, &object, NULL), 0);
    assert_true(ms_json_get(object, "http", &http));
    snprintf(out, 64, "%.*s", (int)http.text.len - 2, (const char *)http.text.data + 1);
    snprintf(wanted, sizeof wanted, "{\"http\":\"%s\",\"pid\":%d}\n", out, (int)server);
    assert_string_equal(text, wanted);
}

static int append_one(const char *address, const char *event, struct ms_error *err) {
    struct ms_target *target;
    assert_int_equal(ms_target_http_new(ms_env_system(), address, stderr, &target, err), 0);
    struct ms_bytes text = ms_bytes_cstr(event);
    struct ms_target_part part = {.stream = MS_BYTES_LITERAL("a-1"), .events = &text, .count = 1};
    struct ms_target_append append = {.parts = &part, .part_count = 1};
    struct ms_target_append_result result;
    int rc = ms_target_append(target, &append, &result, err);
    ms_target_free(target);
    return rc;
}

static void it_says_where_it_listens_and_stops_cleanly(void **state) {
    (void)state;
    SERVE();
    char address[64], line[128], text[4096];
    server_address(address);
    snprintf(line, sizeof line, "http listening on %s\n", address);
    read_text(out_file, text);
    assert_string_equal(text, line);
    struct ms_error err = {0};
    assert_int_equal(append_one(address, "{\"event_type\":\"t\"}", &err), 0);
    assert_int_equal(kill(server, SIGTERM), 0);
    assert_int_equal(wait_for_exit(), 0);
    assert_int_not_equal(access(ready, F_OK), 0);
    wait_for_text(err_file, "\"message\":\"stopped\"");
}

/* A line of output and a word in the ready file for each face that is on. */
static void it_serves_kafka_when_told(void **state) {
    (void)state;
    SERVE("--kafka", "127.0.0.1:0", );
    char text[4096], lines[128], wanted[256];
    wait_for_text(ready, "}\n");
    read_text(ready, text);
    unsigned http, kafka;
    assert_int_equal(
        sscanf(text, "{\"http\":\"127.0.0.1:%u\",\"kafka\":\"127.0.0.1:%u\"", &http, &kafka), 2);
    snprintf(wanted, sizeof wanted,
             "{\"http\":\"127.0.0.1:%u\",\"kafka\":\"127.0.0.1:%u\",\"pid\":%d}\n", http, kafka,
             (int)server);
    assert_string_equal(text, wanted);
    snprintf(lines, sizeof lines,
             "http listening on 127.0.0.1:%u\nkafka listening on 127.0.0.1:%u\n", http, kafka);
    read_text(out_file, text);
    assert_string_equal(text, lines);
    assert_int_equal(kill(server, SIGHUP), 0);
    wait_for_text(err_file, "configuration reloaded");
    assert_int_equal(kill(server, SIGTERM), 0);
    assert_int_equal(wait_for_exit(), 0);
}

static void a_hangup_reloads_what_can_change(void **state) {
    (void)state;
    char config[128], address[64];
    snprintf(config, sizeof config, "%s/m.yaml", dir);
    FILE *file = fopen(config, "w");
    fputs("logging.level: info\n", file);
    fclose(file);
    SERVE("--config", config, );
    server_address(address);
    file = fopen(config, "w");
    fputs("logging.level: debug\nlog.segment_bytes: 1MiB\n", file);
    fclose(file);
    assert_int_equal(kill(server, SIGHUP), 0);
    wait_for_text(err_file, "\"message\":\"configuration reloaded\"");
    wait_for_text(err_file, "\"setting changed\",\"setting\":\"logging.level\"");
    wait_for_text(err_file, "needs a restart\",\"setting\":\"log.segment_bytes\"");
    file = fopen(config, "w");
    fputs("logging.level: loud\n", file);
    fclose(file);
    assert_int_equal(kill(server, SIGHUP), 0);
    wait_for_text(err_file, "the configuration was not reloaded");
    wait_for_text(err_file, "m.yaml:1: logging.level");
    assert_int_equal(kill(server, SIGINT), 0);
    assert_int_equal(wait_for_exit(), 0);
}

static void a_log_that_stops_ends_the_process_with_70(void **state) {
    (void)state;
    SERVE();
    char address[64];
    server_address(address);
    struct ms_error err = {0};
    assert_int_equal(append_one(address, "{\"event_type\":\"t\"}", &err), 0);
    assert_int_equal(write(trigger[1], "x", 1), 1);
    usleep(50000);
    assert_int_equal(append_one(address, "{\"event_type\":\"t\"}", &err), MS_EUNKNOWN);
    assert_int_equal(wait_for_exit(), MS_EXIT_LOG_STOPPED);
    wait_for_text(err_file, "the log has stopped, nothing more will be acknowledged");
    wait_for_text(err_file, "the device is gone");
}

static void an_address_in_use_is_unavailable(void **state) {
    (void)state;
    SERVE();
    char address[64];
    server_address(address);
    pid_t first = server;
    char other[96];
    snprintf(other, sizeof other, "%s/other", dir);
    const char *const arguments[] = {"serve", "--data", other, "--http", address, NULL};
    start(arguments);
    assert_int_equal(wait_for_exit(), MS_EXIT_UNAVAILABLE);
    wait_for_text(err_file, "the server can't start");
    const char *const locked[] = {"serve", "--data", data, "--http", "127.0.0.1:0", NULL};
    start(locked);
    assert_int_equal(wait_for_exit(), MS_EXIT_UNAVAILABLE);
    server = first;
    assert_int_equal(kill(server, SIGTERM), 0);
    assert_int_equal(wait_for_exit(), 0);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_says_where_it_listens_and_stops_cleanly),
        TEST(it_serves_kafka_when_told),
        TEST(a_hangup_reloads_what_can_change),
        TEST(a_log_that_stops_ends_the_process_with_70),
        TEST(an_address_in_use_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
