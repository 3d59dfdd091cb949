/*
 * One version of a projection, running: its definition, its target, the runner that fills it, and a
 * few readers that answer queries.
 *
 * A version is held by whoever uses it (ms_version_hold, ms_version_release) and ends when nobody
 * does any more. Threads: any.
 */
#pragma once

#include "projection/runner.h"

#define MS_VERSION_READERS_MAX 8u /* kept for the next queries; more are opened and closed */

struct ms_version;

/* Where targets are, and what they are made with. */
struct ms_version_options {
    struct ms_store *store;
    const struct ms_env *env;
    const char *dir;      /* of all projections; this one's is made in it */
    const char *postgres; /* connection string; NULL: there is none */
    bool paused;
    bool live, allow_incomplete;    /* as ms_runner_options */
    void (*changed)(void *context); /* as ms_runner_options */
    void *context;
};

/* Compiles all of it by the target's database. MS_EINVAL (with file, line and the database's
 * message), MS_EAGAIN: the database can't be reached. */
int ms_version_check(const struct ms_projection_definition *definition, const char *postgres,
                     struct ms_error *err) MS_MUST_CHECK;
/* Opens the target of version `number`, or makes it, and starts its runner. MS_ECONFLICT: what
 * there is does not fit the log any more, or, with must_exist, is gone; its tables are removed, and
 * *err says why. Takes the definition over on success. */
int ms_version_open(struct ms_projection_definition *definition, unsigned number, bool must_exist,
                    const struct ms_version_options *options, struct ms_version **ret_version,
                    struct ms_error *err) MS_MUST_CHECK;
/* It is to be closed soon: whoever waits for it is woken, and nobody should hold it any longer than
 * for the answer being made. */
void ms_version_retire(struct ms_version *version);
bool ms_version_is_retired(struct ms_version *version);
/* Both wait until nobody else holds it. `remove`: the tables as well. Take NULL. */
int ms_version_close(struct ms_version *version, bool remove, struct ms_error *err);

struct ms_version *ms_version_hold(struct ms_version *version);
void ms_version_release(struct ms_version *version);

const struct ms_projection_definition *ms_version_definition(const struct ms_version *version);
unsigned ms_version_number(const struct ms_version *version);
struct ms_runner *ms_version_runner(struct ms_version *version);

/* An append was acknowledged that it has not applied, though it is of mode sync. */
void ms_version_note_pending(struct ms_version *version);
uint64_t ms_version_pending(struct ms_version *version);

/* As ms_target_run. */
int ms_version_run(struct ms_version *version, const struct ms_query_run *run,
                   const struct ms_row_sink *sink, uint64_t *ret_position, struct ms_error *err)
    MS_MUST_CHECK;
int ms_version_parked(struct ms_version *version, size_t limit, ms_parked_fn *visit, void *context,
                      struct ms_error *err) MS_MUST_CHECK;

/* Removes what is left of a build that isn't open. */
int ms_version_remove(struct ms_bytes projection, enum ms_sql_dialect target, unsigned number,
                      const struct ms_version_options *options, struct ms_error *err) MS_MUST_CHECK;
