/* Versions of projections; see version.h. */
#include "projection/version.h"

#include <stdio.h>

#include "base/alloc.h"
#include "projection/checkpoint.h"
#include "projection/postgres_target.h"
#include "projection/sqlite_target.h"

#define SCHEMA_MAX 64
#define SCHEMA_NAME_MAX 50u

struct ms_version {
    struct ms_projection_definition *definition;
    unsigned number;
    struct ms_runner *runner;

    pthread_mutex_t lock;
    pthread_cond_t released;
    unsigned holders;
    bool retired;
    uint64_t pending; /* appends acknowledged before they were applied */
    struct ms_target_reader *idle[MS_VERSION_READERS_MAX];
    size_t idle_count;
};

/* ---- targets ---- */

static int no_postgres(const struct ms_projection_definition *definition, struct ms_error *err) {
    return ms_error_set(err, MS_EINVAL,
                        "%s: '-- target: postgres', but no PostgreSQL is configured "
                        "(projections.postgres)",
                        definition->file);
}

int ms_version_check(const struct ms_projection_definition *definition, const char *postgres,
                     struct ms_error *err) {
    if (definition->target == MS_SQL_SQLITE)
        return ms_sqlite_check(definition, err);
    return postgres != NULL ? ms_postgres_check(definition, postgres, err)
                            : no_postgres(definition, err);
}

struct place_text {
    char dir[MS_SQLITE_PATH_MAX], name[32];
};

static struct ms_sqlite_place place_of(struct ms_bytes projection, unsigned number,
                                       const struct ms_version_options *options,
                                       struct place_text *text) {
    snprintf(text->dir, sizeof text->dir, "%s/%.*s", options->dir, (int)projection.len,
             (const char *)projection.data);
    snprintf(text->name, sizeof text->name, "v%u", number);
    return (struct ms_sqlite_place){.dir = text->dir, .name = text->name};
}

/* A long name loses its end; a schema that is another projection's is noticed when it is opened. */
static void schema_of(struct ms_bytes projection, unsigned number, char out[SCHEMA_MAX]) {
    int len = (int)(projection.len < SCHEMA_NAME_MAX ? projection.len : SCHEMA_NAME_MAX);
    snprintf(out, SCHEMA_MAX, "%.*s_v%u", len, (const char *)projection.data, number);
}

static int open_postgres(const struct ms_projection_definition *definition, unsigned number,
                         const struct ms_version_options *options, struct ms_target **ret_target,
                         struct ms_error *err) {
    char schema[SCHEMA_MAX];
    struct ms_postgres_place place = {.conninfo = options->postgres, .schema = schema};
    if (options->postgres == NULL)
        return no_postgres(definition, err);
    schema_of(definition->name, number, schema);
    return ms_postgres_target_open(definition, &place, ret_target, err);
}

static int open_target(const struct ms_projection_definition *definition, unsigned number,
                       const struct ms_version_options *options, struct ms_target **ret_target,
                       struct ms_error *err) {
    struct place_text text;
    if (definition->target != MS_SQL_SQLITE)
        return open_postgres(definition, number, options, ret_target, err);
    struct ms_sqlite_place place = place_of(definition->name, number, options, &text);
    int code = ms_vfs_mkdir_all(options->env->vfs, place.dir, err);
    return code == 0 ? ms_sqlite_target_open(definition, &place, ret_target, err) : code;
}

/* NULL: it can go on from its checkpoint. */
static int find_misfit(struct ms_store *store, const struct ms_target *target, bool must_exist,
                       const char **ret_why, struct ms_error *err) {
    *ret_why = must_exist && target->fresh ? "its tables are gone" : NULL;
    return target->fresh ? 0 : ms_checkpoint_compare(store, &target->checkpoint, ret_why, err);
}

static int open_fitting(const struct ms_projection_definition *definition, unsigned number,
                        bool must_exist, const struct ms_version_options *options,
                        struct ms_target **ret_target, struct ms_error *err) {
    struct ms_target *target;
    const char *why = NULL;
    int code = open_target(definition, number, options, &target, err);
    if (code != 0)
        return code;
    code = find_misfit(options->store, target, must_exist, &why, err);
    if (code != 0) {
        ms_target_free(target);
    } else if (why != NULL) {
        code = ms_target_drop(target, err);
        return code != 0 ? code : ms_error_set(err, MS_ECONFLICT, "%s", why);
    } else {
        *ret_target = target;
    }
    return code;
}

int ms_version_remove(struct ms_bytes projection, enum ms_sql_dialect target, unsigned number,
                      const struct ms_version_options *options, struct ms_error *err) {
    struct place_text text;
    struct ms_sqlite_place place = place_of(projection, number, options, &text);
    char schema[SCHEMA_MAX];
    if (target == MS_SQL_SQLITE)
        return ms_sqlite_remove(&place, err);
    schema_of(projection, number, schema);
    return options->postgres != NULL
               ? ms_postgres_remove(options->postgres, schema, projection, err)
               : 0;
}

/* ---- life ---- */

static struct ms_version *new_version(unsigned number) {
    struct ms_version *version = ms_calloc(1, sizeof *version);
    if (version == NULL)
        return NULL;
    version->number = number;
    pthread_mutex_init(&version->lock, NULL);
    pthread_cond_init(&version->released, NULL);
    return version;
}

static void free_version(struct ms_version *version) {
    pthread_mutex_destroy(&version->lock);
    pthread_cond_destroy(&version->released);
    ms_projection_definition_free(version->definition);
    ms_free(version);
}

int ms_version_open(struct ms_projection_definition *definition, unsigned number, bool must_exist,
                    const struct ms_version_options *options, struct ms_version **ret_version,
                    struct ms_error *err) {
    struct ms_runner_options runner = {
        .store = options->store,
        .env = options->env,
        .paused = options->paused,
        .live = options->live,
        .allow_incomplete = options->allow_incomplete,
        .parks = definition->on_error == MS_PROJECTION_PARK,
        .changed = options->changed,
        .context = options->context,
    };
    struct ms_version *version = new_version(number);
    if (version == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a projection");
    int code = open_fitting(definition, number, must_exist, options, &runner.target, err);
    if (code == 0) {
        code = ms_runner_start(&runner, &version->runner, err);
        if (code != 0)
            ms_target_free(runner.target);
    }
    if (code != 0) {
        free_version(version);
        return code;
    }
    version->definition = definition;
    *ret_version = version;
    return 0;
}

void ms_version_retire(struct ms_version *version) {
    pthread_mutex_lock(&version->lock);
    version->retired = true;
    pthread_mutex_unlock(&version->lock);
    ms_runner_retire(version->runner);
}

bool ms_version_is_retired(struct ms_version *version) {
    pthread_mutex_lock(&version->lock);
    bool retired = version->retired;
    pthread_mutex_unlock(&version->lock);
    return retired;
}

int ms_version_close(struct ms_version *version, bool remove, struct ms_error *err) {
    int code = 0;
    if (version == NULL)
        return 0;
    ms_version_retire(version);
    pthread_mutex_lock(&version->lock);
    while (version->holders > 0)
        pthread_cond_wait(&version->released, &version->lock);
    pthread_mutex_unlock(&version->lock);
    for (size_t i = 0; i < version->idle_count; i++)
        ms_target_reader_free(version->idle[i]);
    if (remove)
        code = ms_runner_drop(version->runner, err);
    else
        ms_runner_stop(version->runner);
    free_version(version);
    return code;
}

struct ms_version *ms_version_hold(struct ms_version *version) {
    pthread_mutex_lock(&version->lock);
    version->holders++;
    pthread_mutex_unlock(&version->lock);
    return version;
}

void ms_version_release(struct ms_version *version) {
    pthread_mutex_lock(&version->lock);
    if (--version->holders == 0)
        pthread_cond_broadcast(&version->released);
    pthread_mutex_unlock(&version->lock);
}

/* ---- what it is ---- */

const struct ms_projection_definition *ms_version_definition(const struct ms_version *version) {
    return version->definition;
}

unsigned ms_version_number(const struct ms_version *version) { return version->number; }

struct ms_runner *ms_version_runner(struct ms_version *version) {
    return version->runner;
}

void ms_version_note_pending(struct ms_version *version) {
    pthread_mutex_lock(&version->lock);
    version->pending++;
    pthread_mutex_unlock(&version->lock);
}

uint64_t ms_version_pending(struct ms_version *version) {
    pthread_mutex_lock(&version->lock);
    uint64_t pending = version->pending;
    pthread_mutex_unlock(&version->lock);
    return pending;
}

/* ---- readers ---- */

static int take_reader(struct ms_version *version, struct ms_target_reader **ret_reader,
                       struct ms_error *err) {
    struct ms_target_reader *reader = NULL;
    pthread_mutex_lock(&version->lock);
    if (version->idle_count > 0)
        reader = version->idle[--version->idle_count];
    pthread_mutex_unlock(&version->lock);
    if (reader == NULL)
        return ms_runner_reader_new(version->runner, ret_reader, err);
    *ret_reader = reader;
    return 0;
}

/* After an error of the database it is not used again. */
static void give_back(struct ms_version *version, struct ms_target_reader *reader, int code) {
    bool sound = code != MS_EAGAIN && code != MS_EIO && code != MS_ECORRUPT;
    pthread_mutex_lock(&version->lock);
    bool kept = sound && version->idle_count < MS_VERSION_READERS_MAX;
    if (kept)
        version->idle[version->idle_count++] = reader;
    pthread_mutex_unlock(&version->lock);
    if (!kept)
        ms_target_reader_free(reader);
}

int ms_version_run(struct ms_version *version, const struct ms_query_run *run,
                   const struct ms_row_sink *sink, uint64_t *ret_position, struct ms_error *err) {
    struct ms_target_reader *reader;
    int code = take_reader(version, &reader, err);
    if (code != 0)
        return code;
    code = ms_target_run(reader, run, sink, ret_position, err);
    give_back(version, reader, code);
    return code;
}

int ms_version_parked(struct ms_version *version, size_t limit, ms_parked_fn *visit, void *context,
                      struct ms_error *err) {
    struct ms_target_reader *reader;
    int code = take_reader(version, &reader, err);
    if (code != 0)
        return code;
    code = ms_target_parked(reader, (struct ms_bytes){0}, limit, visit, context, err);
    give_back(version, reader, code);
    return code;
}
