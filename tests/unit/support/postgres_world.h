/*
 * A PostgreSQL server for tests: Debian's, on a directory of its own, reached over an abstract
 * socket and a port of the loopback interface. One per program: postgres_world_start when it
 * begins, postgres_world_stop when it ends.
 *
 * Where PostgreSQL is not installed postgres_world_start says so and returns false; the tests that
 * need it are to be skipped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define POSTGRES_WORLD_PASSWORD "correct-horse"
#define POSTGRES_WORLD_TEXT_MAX 512

struct postgres_world {
    char binaries[256]; /* the directory of its programs */
    char dir[256];      /* of its data and its log */
    char socket[64];
    int port;
    pid_t pid; /* 0: it does not run */
    unsigned databases;
};

bool postgres_world_start(struct postgres_world *pg);
void postgres_world_stop(struct postgres_world *pg); /* also one that never ran */

/* kill -9 of all its processes, at once; returns when they are gone. */
void postgres_world_kill(struct postgres_world *pg);
/* Orderly, but without waiting for its clients. */
void postgres_world_halt(struct postgres_world *pg);
/* Begins again on the same data. */
void postgres_world_resume(struct postgres_world *pg);

/* A new, empty database; the string to connect with, as its owner and without a password. */
void postgres_world_database(struct postgres_world *pg, char conninfo[POSTGRES_WORLD_TEXT_MAX]);
/* Runs statements, expecting success. */
void postgres_world_run(const char *conninfo, const char *sql);
/* The first field of the first row, "" without one. */
const char *postgres_world_ask(const char *conninfo, const char *sql,
                               char answer[POSTGRES_WORLD_TEXT_MAX]);
