/* The table of projections; see projections.h. */
#include "projection/projections.h"

#include <stdio.h>

#include "base/alloc.h"
#include "projection/slots.h"

#define TRAVEL_DIR ".past" /* no projection has this name */
#define KEEP_MS ((int64_t)3600 * 1000)

void ms_projections_options_init(struct ms_projections_options *options) {
    *options = (struct ms_projections_options){.keep_ms = KEEP_MS};
}

const char *ms_version_role_name(enum ms_version_role role) {
    static const char *const names[] = {"current", "candidate", "previous"};
    return names[role];
}

/* ---- the list ---- */

struct projection *ms_projections_find(struct ms_projections *projections, struct ms_bytes name) {
    struct projection *projection = projections->first;
    while (projection != NULL && !ms_bytes_equal_cstr(name, projection->name))
        projection = projection->next;
    return projection;
}

struct projection *ms_projections_add(struct ms_projections *projections, struct ms_bytes name) {
    struct projection *projection =
        name.len <= MS_PROJECTION_NAME_MAX ? ms_calloc(1, sizeof *projection) : NULL;
    struct projection **place = &projections->first;
    if (projection == NULL)
        return NULL;
    memcpy(projection->name, name.data, name.len);
    while (*place != NULL && strcmp((*place)->name, projection->name) < 0)
        place = &(*place)->next;
    projection->next = *place;
    *place = projection;
    return projection;
}

void ms_projections_forget(struct ms_projections *projections, struct projection *projection) {
    struct projection **place = &projections->first;
    while (*place != projection)
        place = &(*place)->next;
    *place = projection->next;
    for (size_t i = 0; i < MS_PROJECTION_VERSIONS_MAX; i++)
        ms_slot_clear(&projection->versions[i]);
    ms_free(projection);
}

int ms_projections_no_such(struct ms_bytes name, struct ms_error *err) {
    return ms_error_set(err, MS_ENOTFOUND, "there is no projection '%.*s'", MS_PLACE_SHOWN(name));
}

void ms_projections_count_sync(struct ms_projections *projections) {
    unsigned count = 0;
    for (struct projection *p = projections->first; p != NULL; p = p->next) {
        struct ms_version *current = p->versions[MS_VERSION_CURRENT].running;
        count += current != NULL && ms_version_definition(current)->mode == MS_PROJECTION_SYNC;
    }
    atomic_store(&projections->sync_count, count);
}

/* ---- looking ---- */

static void describe_definition(const struct ms_projection_definition *definition,
                                struct ms_version_info *info) {
    for (size_t i = 0; i < sizeof definition->hash.bytes; i++)
        snprintf(info->hash + 2 * i, 3, "%02x", definition->hash.bytes[i]);
    info->mode = definition->mode;
    info->on_error = definition->on_error;
    info->target = definition->target;
}

static void describe_version(struct projection_version *version, enum ms_version_role role,
                             struct ms_version_info *ret_info) {
    *ret_info = (struct ms_version_info){
        .number = version->number,
        .role = role,
        .deployed_at_ms = version->deployed_at_ms,
        .running = version->running != NULL,
        .allow_incomplete = version->allow_incomplete,
        .first_needed = version->first_needed,
        .missing = version->missing,
        .ahead = version->ahead,
    };
    if (version->running != NULL) {
        describe_definition(ms_version_definition(version->running), ret_info);
        ms_runner_status(ms_version_runner(version->running), &ret_info->status);
        ret_info->sync_pending = ms_version_pending(version->running);
        ms_missing_join(&ret_info->missing, &ret_info->status.missing);
        if (ret_info->status.ahead.any)
            ret_info->ahead = ret_info->status.ahead;
        return;
    }
    if (version->definition != NULL)
        describe_definition(version->definition, ret_info);
    ret_info->status.state = MS_RUNNER_RETRYING;
    snprintf(ret_info->status.error, sizeof ret_info->status.error, "%s", version->problem.message);
}

static void describe(struct projection *projection, struct ms_projection_info *ret_info) {
    memcpy(ret_info->name, projection->name, sizeof ret_info->name);
    ret_info->paused = projection->paused;
    ret_info->count = 0;
    for (size_t i = 0; i < MS_PROJECTION_VERSIONS_MAX; i++)
        if (projection->versions[i].number != 0)
            describe_version(&projection->versions[i], (enum ms_version_role)i,
                             &ret_info->versions[ret_info->count++]);
}

int ms_projections_list(struct ms_projections *projections, ms_projection_fn *visit,
                        void *context) {
    struct ms_projection_info info;
    int code = 0;
    pthread_mutex_lock(&projections->lock);
    for (struct projection *p = projections->first; code == 0 && p != NULL; p = p->next) {
        describe(p, &info);
        code = visit(context, &info);
    }
    pthread_mutex_unlock(&projections->lock);
    return code > 0 ? 0 : code;
}

int ms_projections_get(struct ms_projections *projections, struct ms_bytes name,
                       ms_projection_fn *visit, void *context, struct ms_error *err) {
    struct ms_projection_info info;
    pthread_mutex_lock(&projections->lock);
    struct projection *projection = ms_projections_find(projections, name);
    int code = projection == NULL ? ms_projections_no_such(name, err) : 0;
    if (code == 0) {
        describe(projection, &info);
        code = visit(context, &info);
    }
    pthread_mutex_unlock(&projections->lock);
    return code > 0 ? 0 : code;
}

/* Why there is none that answers. */
static int not_now(struct projection *projection, struct ms_error *err) {
    const struct projection_version *current = &projection->versions[MS_VERSION_CURRENT];
    const struct projection_version *candidate = &projection->versions[MS_VERSION_CANDIDATE];
    struct ms_runner_status status = {0};
    if (current->number != 0)
        return ms_error_set(err, MS_EAGAIN, "projection '%s' can't be asked now: %s",
                            projection->name, current->problem.message);
    if (candidate->running == NULL)
        return ms_error_set(err, MS_EAGAIN, "projection '%s' is not built yet: %s",
                            projection->name, candidate->problem.message);
    ms_runner_status(ms_version_runner(candidate->running), &status);
    return ms_error_set(err, MS_EAGAIN, "projection '%s' is being built: %s, at %llu of %llu%s%s",
                        projection->name, ms_runner_state_name(status.state),
                        (unsigned long long)status.position, (unsigned long long)status.end,
                        status.error[0] != '\0' ? ": " : "", status.error);
}

int ms_projections_hold(struct ms_projections *projections, struct ms_bytes name,
                        struct ms_version **ret_version, struct ms_error *err) {
    int code = 0;
    pthread_mutex_lock(&projections->lock);
    struct projection *projection = ms_projections_find(projections, name);
    if (projection == NULL)
        code = ms_projections_no_such(name, err);
    else if (projection->versions[MS_VERSION_CURRENT].running == NULL)
        code = not_now(projection, err);
    else
        *ret_version = ms_version_hold(projection->versions[MS_VERSION_CURRENT].running);
    pthread_mutex_unlock(&projections->lock);
    return code;
}

int ms_projections_hold_all(struct ms_projections *projections, struct ms_bytes name,
                            struct ms_version *versions[MS_PROJECTION_VERSIONS_MAX],
                            size_t *ret_count, struct ms_error *err) {
    size_t count = 0;
    pthread_mutex_lock(&projections->lock);
    struct projection *projection = ms_projections_find(projections, name);
    int code = projection == NULL ? ms_projections_no_such(name, err) : 0;
    for (size_t i = 0; code == 0 && i < MS_PROJECTION_VERSIONS_MAX; i++)
        if (projection->versions[i].running != NULL)
            versions[count++] = ms_version_hold(projection->versions[i].running);
    pthread_mutex_unlock(&projections->lock);
    *ret_count = count;
    return code;
}

bool ms_projections_any_sync(const struct ms_projections *projections) {
    return projections != NULL && atomic_load(&projections->sync_count) > 0;
}

static bool may_read(const struct ms_projection_definition *definition,
                     const struct ms_bytes *topics, size_t count) {
    for (size_t i = 0; i < definition->source_count; i++)
        for (size_t t = 0; t < count; t++)
            if (ms_source_may_read(&definition->sources[i], topics[t]))
                return true;
    return topics == NULL;
}

/* Its current version, when an append to the topics waits for it. */
static struct ms_version *waited_for(const struct projection *projection,
                                     const struct ms_bytes *topics, size_t topic_count) {
    struct ms_version *current = projection->versions[MS_VERSION_CURRENT].running;
    const struct ms_projection_definition *definition =
        current != NULL ? ms_version_definition(current) : NULL;
    bool waits = definition != NULL && definition->mode == MS_PROJECTION_SYNC &&
                 may_read(definition, topics, topic_count);
    return waits ? current : NULL;
}

size_t ms_projections_sync(struct ms_projections *projections, const struct ms_bytes *topics,
                           size_t topic_count, struct ms_version **versions, size_t max) {
    size_t count = 0;
    if (!ms_projections_any_sync(projections))
        return 0;
    pthread_mutex_lock(&projections->lock);
    for (struct projection *p = projections->first; p != NULL && count < max; p = p->next) {
        struct ms_version *current = waited_for(p, topics, topic_count);
        if (current != NULL)
            versions[count++] = ms_version_hold(current);
    }
    pthread_mutex_unlock(&projections->lock);
    return count;
}

int ms_projections_run_past(struct ms_projections *projections, struct ms_version *version,
                            const struct ms_travel *travel, const struct ms_query_run *run,
                            const struct ms_row_sink *sink, uint64_t *ret_position,
                            struct ms_error *err) {
    return ms_travels_run(projections->travels, version, travel, run, sink, ret_position, err);
}

/* ---- life ---- */

const struct ms_projections_options *ms_projections_settings(
    const struct ms_projections *projections) {
    return &projections->options;
}

void ms_projections_stop(struct ms_projections *projections) {
    ms_travels_stop(projections->travels);
}

void ms_projections_wake(void *context) {
    struct ms_projections *projections = context;
    pthread_mutex_lock(&projections->lock);
    projections->woken = true;
    pthread_cond_signal(&projections->work);
    pthread_mutex_unlock(&projections->lock);
}

static int copy_options(struct ms_projections *projections,
                        const struct ms_projections_options *options) {
    projections->options = *options;
    if (options->env == NULL)
        projections->options.env = ms_env_system();
    projections->dir = ms_alloc_strdup(ms_bytes_cstr(options->dir));
    projections->postgres =
        options->postgres != NULL ? ms_alloc_strdup(ms_bytes_cstr(options->postgres)) : NULL;
    if (projections->dir == NULL || (options->postgres != NULL && projections->postgres == NULL))
        return MS_ENOMEM;
    projections->version_options = (struct ms_version_options){
        .store = options->store,
        .env = projections->options.env,
        .dir = projections->dir,
        .postgres = projections->postgres,
        .changed = ms_projections_wake,
        .context = projections,
    };
    return 0;
}

static struct ms_projections *new_projections(void) {
    struct ms_projections *projections = ms_calloc(1, sizeof *projections);
    pthread_condattr_t monotonic;
    if (projections == NULL)
        return NULL;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&projections->admin, NULL);
    pthread_mutex_init(&projections->lock, NULL);
    pthread_cond_init(&projections->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return projections;
}

static void start_all(struct ms_projections *projections) {
    for (struct projection *p = projections->first; p != NULL; p = p->next)
        for (size_t role = 0; role < MS_PROJECTION_VERSIONS_MAX; role++)
            if (p->versions[role].number != 0)
                ms_projections_start_version(projections, p, (enum ms_version_role)role);
}

static int open_travels(struct ms_projections *projections, struct ms_error *err) {
    char dir[MS_PATH_MAX];
    if (ms_path_join(dir, projections->dir, TRAVEL_DIR) != 0)
        return ms_error_set(err, MS_EINVAL, "the path of projections is too long: %s",
                            projections->dir);
    return ms_travels_new(projections->options.store, projections->options.env, dir,
                          projections->postgres, &projections->travels, err);
}

int ms_projections_open(const struct ms_projections_options *options,
                        struct ms_projections **ret_projections, struct ms_error *err) {
    struct ms_projections *projections = new_projections();
    if (projections == NULL || copy_options(projections, options) != 0) {
        ms_projections_close(projections);
        return ms_error_set(err, MS_ENOMEM, "no memory for projections");
    }
    int code = ms_vfs_mkdir_all(projections->options.env->vfs, projections->dir, err);
    if (code == 0)
        code = open_travels(projections, err);
    if (code == 0)
        code = ms_projections_load(projections, err);
    if (code == 0) {
        pthread_mutex_lock(&projections->admin);
        start_all(projections);
        pthread_mutex_unlock(&projections->admin);
        code = ms_projections_start_keeper(projections, err);
    }
    if (code != 0) {
        ms_projections_close(projections);
        return code;
    }
    *ret_projections = projections;
    return 0;
}

void ms_projections_close(struct ms_projections *projections) {
    if (projections == NULL)
        return;
    ms_projections_stop_keeper(projections);
    ms_travels_free(projections->travels);
    projections->travels = NULL;
    pthread_mutex_lock(&projections->admin);
    while (projections->first != NULL) {
        for (size_t role = 0; role < MS_PROJECTION_VERSIONS_MAX; role++)
            ms_projections_end_version(projections, projections->first, (enum ms_version_role)role,
                                       false);
        ms_projections_forget(projections, projections->first);
    }
    pthread_mutex_unlock(&projections->admin);
    pthread_mutex_destroy(&projections->admin);
    pthread_mutex_destroy(&projections->lock);
    pthread_cond_destroy(&projections->work);
    ms_free(projections->dir);
    ms_free(projections->postgres);
    ms_free(projections);
}
