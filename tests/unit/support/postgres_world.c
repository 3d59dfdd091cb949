/* A PostgreSQL server for tests; see postgres_world.h. */
#include "support/postgres_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TRIES 600
#define CHILDREN_MAX 256

static _Noreturn void die(const char *what) {
    fprintf(stderr, "postgres_world: %s: %s\n", what, strerror(errno));
    abort();
}

static void short_sleep(void) { usleep(20000); }

/* ---- processes ---- */

/* PostgreSQL refuses to run as root. */
static void become_nobody(void) {
    const struct passwd *user = getpwnam("postgres");
    if (user == NULL)
        user = getpwnam("nobody");
    if (user == NULL || setgroups(0, NULL) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0)
        die("becoming another user");
}

static void own_by_nobody(const char *path) {
    const struct passwd *user = getpwnam("postgres");
    if (user == NULL)
        user = getpwnam("nobody");
    if (geteuid() == 0 && (user == NULL || chown(path, user->pw_uid, user->pw_gid) != 0))
        die("chown");
}

static void send_output_to(const char *path) {
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (log < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
        die(path);
}

static pid_t spawn(struct postgres_world *pg, const char *program, char *const arguments[]) {
    char path[600], log[300];
    snprintf(path, sizeof path, "%s/%s", pg->binaries, program);
    snprintf(log, sizeof log, "%s/log", pg->dir);
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid > 0)
        return pid;
    if (geteuid() == 0)
        become_nobody();
    if (chdir(pg->dir) != 0)
        die(pg->dir);
    send_output_to(log);
    prctl(PR_SET_PDEATHSIG, SIGQUIT); /* a test program that dies takes it along */
    execv(path, arguments);
    die(path);
}

static void show_log(const struct postgres_world *pg) {
    char log[300], line[400];
    snprintf(log, sizeof log, "%s/log", pg->dir);
    FILE *file = fopen(log, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        fputs(line, stderr);
    if (file != NULL)
        fclose(file);
}

/* ---- starting ---- */

static bool find_binaries(struct postgres_world *pg) {
    glob_t found;
    bool there = glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0;
    if (there) { /* the newest */
        const char *path = found.gl_pathv[found.gl_pathc - 1];
        snprintf(pg->binaries, sizeof pg->binaries, "%.*s", (int)(strrchr(path, '/') - path), path);
        globfree(&found);
    }
    return there;
}

static int free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        die("a free port");
    close(fd);
    return ntohs(address.sin_port);
}

static void make_directory(struct postgres_world *pg) {
    const char *parent = getenv("TMPDIR");
    char relative[200], password[300];
    snprintf(relative, sizeof relative, "%s/postgres-XXXXXX", parent != NULL ? parent : "/tmp");
    if (mkdtemp(relative) == NULL || realpath(relative, pg->dir) == NULL)
        die(relative);
    own_by_nobody(pg->dir);
    snprintf(password, sizeof password, "%s/password", pg->dir);
    FILE *file = fopen(password, "w");
    if (file == NULL)
        die(password);
    fputs(POSTGRES_WORLD_PASSWORD "\n", file);
    fclose(file);
    own_by_nobody(password);
}

static void init_cluster(struct postgres_world *pg) {
    char data[300], password[320];
    snprintf(data, sizeof data, "%s/data", pg->dir);
    snprintf(password, sizeof password, "--pwfile=%s/password", pg->dir);
    char *arguments[] = {"initdb",
                         "--no-sync",
                         "--no-instructions",
                         "--username=keeper",
                         "--auth-local=trust",
                         "--auth-host=scram-sha-256",
                         "--encoding=UTF8",
                         "--locale=C",
                         password,
                         "--pgdata",
                         data,
                         NULL};
    int status;
    pid_t pid = spawn(pg, "initdb", arguments);
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        show_log(pg);
        die("initdb");
    }
}

static void conninfo_of(const struct postgres_world *pg, const char *database,
                        char conninfo[POSTGRES_WORLD_TEXT_MAX]) {
    snprintf(conninfo, POSTGRES_WORLD_TEXT_MAX, "host=%s port=%d user=keeper dbname=%s", pg->socket,
             pg->port, database);
}

static void await_ready(struct postgres_world *pg) {
    char conninfo[POSTGRES_WORLD_TEXT_MAX];
    conninfo_of(pg, "postgres", conninfo);
    for (int i = 0; PQping(conninfo) != PQPING_OK; i++) {
        if (i == START_TRIES || waitpid(pg->pid, NULL, WNOHANG) == pg->pid) {
            show_log(pg);
            die("the server does not start");
        }
        short_sleep();
    }
}

/* A crash of the server leaves no files behind that a crash of processes could spoil: no fsync. The
 * odd settings are there because the target must not depend on them. */
void postgres_world_resume(struct postgres_world *pg) {
    char data[300], port[16], sockets[90];
    snprintf(data, sizeof data, "%s/data", pg->dir);
    snprintf(port, sizeof port, "%d", pg->port);
    snprintf(sockets, sizeof sockets, "unix_socket_directories=%s", pg->socket);
    char *arguments[] = {"postgres",
                         "-D",
                         data,
                         "-p",
                         port,
                         "-c",
                         sockets,
                         "-c",
                         "listen_addresses=127.0.0.1",
                         "-c",
                         "fsync=off",
                         "-c",
                         "shared_buffers=32MB",
                         "-c",
                         "max_connections=40",
                         "-c",
                         "timezone=Asia/Kathmandu",
                         "-c",
                         "datestyle=SQL,DMY",
                         "-c",
                         "intervalstyle=sql_standard",
                         "-c",
                         "standard_conforming_strings=off",
                         "-c",
                         "bytea_output=escape",
                         "-c",
                         "extra_float_digits=-5",
                         NULL};
    pg->pid = spawn(pg, "postgres", arguments);
    await_ready(pg);
}

bool postgres_world_start(struct postgres_world *pg) {
    *pg = (struct postgres_world){0};
    if (!find_binaries(pg)) {
        printf("# skipped: PostgreSQL is not installed (/usr/lib/postgresql/*/bin)\n");
        return false;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* so that all that is killed is seen to be gone */
    make_directory(pg);
    pg->port = free_port();
    snprintf(pg->socket, sizeof pg->socket, "@mainstem-test-%d", (int)getpid());
    init_cluster(pg);
    postgres_world_resume(pg);
    return true;
}

/* ---- ending ---- */

static size_t children_of(pid_t parent, pid_t children[CHILDREN_MAX]) {
    char path[64];
    size_t count = 0;
    int child;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    FILE *file = fopen(path, "r");
    while (file != NULL && count < CHILDREN_MAX && fscanf(file, "%d", &child) == 1)
        children[count++] = child;
    if (file != NULL)
        fclose(file);
    return count;
}

static void await_end(pid_t pid) {
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

void postgres_world_kill(struct postgres_world *pg) {
    pid_t children[CHILDREN_MAX];
    kill(pg->pid, SIGSTOP); /* no new ones meanwhile */
    size_t count = children_of(pg->pid, children);
    for (size_t i = 0; i < count; i++)
        kill(children[i], SIGKILL);
    kill(pg->pid, SIGKILL);
    await_end(pg->pid);
    for (size_t i = 0; i < count; i++)
        await_end(children[i]);
    pg->pid = 0;
}

void postgres_world_halt(struct postgres_world *pg) {
    if (pg->pid == 0)
        return;
    kill(pg->pid, SIGINT);
    await_end(pg->pid);
    pg->pid = 0;
}

static void remove_tree(const char *dir) {
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", dir, (char *)NULL);
        die("rm");
    }
    await_end(pid);
}

void postgres_world_stop(struct postgres_world *pg) {
    postgres_world_halt(pg);
    if (pg->dir[0] != '\0')
        remove_tree(pg->dir);
}

/* ---- use ---- */

static PGresult *run_on(const char *conninfo, const char *sql) {
    PGconn *handle = PQconnectdb(conninfo);
    PGresult *result = PQexec(handle, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        fprintf(stderr, "postgres_world: %s: %s", sql, PQerrorMessage(handle));
        abort();
    }
    PQfinish(handle);
    return result;
}

void postgres_world_run(const char *conninfo, const char *sql) { PQclear(run_on(conninfo, sql)); }

const char *postgres_world_ask(const char *conninfo, const char *sql,
                               char answer[POSTGRES_WORLD_TEXT_MAX]) {
    PGresult *result = run_on(conninfo, sql);
    bool has_row = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0;
    snprintf(answer, POSTGRES_WORLD_TEXT_MAX, "%s", has_row ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return answer;
}

void postgres_world_database(struct postgres_world *pg, char conninfo[POSTGRES_WORLD_TEXT_MAX]) {
    char sql[100], name[32];
    snprintf(name, sizeof name, "world_%u", ++pg->databases);
    snprintf(sql, sizeof sql, "create database %s", name);
    conninfo_of(pg, "postgres", conninfo);
    postgres_world_run(conninfo, sql);
    conninfo_of(pg, name, conninfo);
}
