/* Deploying, switching, dropping: see projections.h. Under `admin`, which they take. */
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "projection/slots.h"

#define RETRY_US 3000000

/* ---- telling ---- */

static void tell(const struct ms_projections *projections,
                 void (*where)(void *context, const char *message), const char *format, ...)
    MS_PRINTF(3, 4);

static void tell(const struct ms_projections *projections,
                 void (*where)(void *context, const char *message), const char *format, ...) {
    char text[MS_ERROR_TEXT_MAX];
    va_list args;
    if (where == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    where(projections->options.context, text);
}

/* ---- starting and ending ---- */

/* The definition that a slot's text has. */
static int read_definition(struct ms_projections *projections, struct projection_version *version,
                           struct ms_error *err) {
    struct ms_projection_definition *definition;
    if (version->definition != NULL)
        return 0;
    int code = ms_projection_parse(version->file, version->text, NULL, &definition, err);
    if (code != 0)
        return code;
    pthread_mutex_lock(&projections->lock); /* who looks at the version may come by */
    version->definition = definition;
    pthread_mutex_unlock(&projections->lock);
    return 0;
}

static void set_running(struct ms_projections *projections, struct projection_version *version,
                        struct ms_version *running) {
    pthread_mutex_lock(&projections->lock);
    version->running = running;
    version->definition = NULL; /* the version's now */
    ms_projections_count_sync(projections);
    pthread_mutex_unlock(&projections->lock);
}

static int try_to_start(struct ms_projections *projections, struct projection *projection,
                        enum ms_version_role role, struct ms_error *err) {
    struct projection_version *version = &projection->versions[role];
    struct ms_version_options options = projections->version_options;
    struct ms_version *running;
    options.paused = projection->paused;
    options.live = role != MS_VERSION_CANDIDATE;
    options.allow_incomplete = version->allow_incomplete;
    int code = read_definition(projections, version, err);
    if (code == 0)
        code = ms_version_open(version->definition, version->number, role == MS_VERSION_CURRENT,
                               &options, &running, err);
    if (code == 0)
        set_running(projections, version, running);
    return code;
}

/* As a new version of the same text; the one that answered until now is no more. */
static int deploy_again(struct ms_projections *projections, struct projection *projection,
                        enum ms_version_role role, struct ms_error *err) {
    struct projection_version again = {.number = projection->last_number + 1};
    const struct projection_version *old = &projection->versions[role];
    again.allow_incomplete = old->allow_incomplete;
    int code = ms_projections_look_back(projections, &again, old->definition, err);
    if (code != 0) {
        pthread_mutex_lock(&projections->lock);
        projection->versions[role].ahead = again.missing;
        pthread_mutex_unlock(&projections->lock);
        return code;
    }
    again.deployed_at_ms = ms_clock_now_us(projections->options.env->clock) / 1000;
    memcpy(again.file, old->file, sizeof again.file);
    if (!ms_slot_set_text(&again, old->text))
        return MS_ENOMEM;
    code = ms_projections_note(projections, projection, PROJECTION_DEPLOYED, &again, err);
    if (code == 0)
        code = ms_projections_note(projections, projection, PROJECTION_DROPPED, old, err);
    if (code != 0) {
        ms_slot_clear(&again);
        return code;
    }
    ms_projections_end_version(projections, projection, role, false);
    ms_projections_end_version(projections, projection, MS_VERSION_CANDIDATE, true);
    pthread_mutex_lock(&projections->lock);
    ms_slot_deploy(projection, &again);
    pthread_mutex_unlock(&projections->lock);
    ms_projections_start_version(projections, projection, MS_VERSION_CANDIDATE);
    return 0;
}

void ms_projections_start_version(struct ms_projections *projections, struct projection *projection,
                                  enum ms_version_role role) {
    struct projection_version *version = &projection->versions[role];
    struct ms_error err = {0};
    if (version->running != NULL)
        return; /* it took another one's place just now */
    int code = try_to_start(projections, projection, role, &err);
    if (code == MS_ECONFLICT) {
        tell(projections, projections->options.on_warning,
             "projection '%s': version %u is built anew: %s", projection->name, version->number,
             err.message);
        code = role == MS_VERSION_CURRENT ? deploy_again(projections, projection, role, &err)
                                          : try_to_start(projections, projection, role, &err);
    }
    if (code == 0)
        return;
    pthread_mutex_lock(&projections->lock);
    version->problem = err;
    version->retry_us = code == MS_EINCOMPLETE /* which does not get better by itself */
                            ? INT64_MAX
                            : ms_clock_monotonic_us(projections->options.env->clock) + RETRY_US;
    pthread_mutex_unlock(&projections->lock);
    tell(projections, projections->options.on_warning, "projection '%s': version %u: %s",
         projection->name, version->number, err.message);
}

void ms_projections_end_version(struct ms_projections *projections, struct projection *projection,
                                enum ms_version_role role, bool remove) {
    struct projection_version gone;
    struct ms_error err = {0};
    int code = 0;
    pthread_mutex_lock(&projections->lock);
    gone = projection->versions[role];
    projection->versions[role] = (struct projection_version){0};
    ms_projections_count_sync(projections);
    pthread_mutex_unlock(&projections->lock);
    if (gone.running != NULL) {
        ms_version_retire(gone.running);
        if (projections->travels != NULL)
            ms_travels_forget(projections->travels, gone.running);
    }
    if (gone.running != NULL)
        code = ms_version_close(gone.running, remove, &err);
    else if (remove && gone.definition != NULL)
        code = ms_version_remove(gone.definition->name, gone.definition->target, gone.number,
                                 &projections->version_options, &err);
    if (code != 0)
        tell(projections, projections->options.on_warning,
             "projection '%s': version %u could not be removed: %s", projection->name, gone.number,
             err.message);
    gone.running = NULL;
    ms_slot_clear(&gone);
}

int ms_projections_take_over(struct ms_projections *projections, struct projection *projection,
                             enum ms_version_role role, struct ms_error *err) {
    struct projection_version *version = &projection->versions[role];
    unsigned number = version->number;
    int code = ms_runner_publish(ms_version_runner(version->running), err);
    if (code == 0)
        code = ms_projections_note(projections, projection, PROJECTION_SWITCHED, version, err);
    if (code != 0)
        return code;
    if (role == MS_VERSION_CANDIDATE)
        ms_projections_end_version(projections, projection, MS_VERSION_PREVIOUS, true);
    pthread_mutex_lock(&projections->lock);
    ms_slot_switch(projection, number, ms_clock_now_us(projections->options.env->clock) / 1000);
    ms_projections_count_sync(projections);
    pthread_mutex_unlock(&projections->lock);
    tell(projections, projections->options.on_notice, "projection '%s': version %u answers now",
         projection->name, number);
    return 0;
}

/* ---- deploying ---- */

static bool is_same(const struct projection_version *version,
                    const struct ms_projection_definition *definition) {
    const struct ms_projection_definition *there =
        version->running != NULL ? ms_version_definition(version->running) : version->definition;
    return version->number != 0 && there != NULL &&
           memcmp(&there->hash, &definition->hash, sizeof there->hash) == 0;
}

/* What is deployed already, if the file is that. */
static const struct projection_version *find_same(
    const struct projection *projection, const struct ms_projection_definition *definition) {
    const struct projection_version *current = &projection->versions[MS_VERSION_CURRENT];
    const struct projection_version *candidate = &projection->versions[MS_VERSION_CANDIDATE];
    if (candidate->number != 0)
        return is_same(candidate, definition) ? candidate : NULL;
    return is_same(current, definition) ? current : NULL;
}

/* Takes the definition over in any case. */
static int start_candidate(struct ms_projections *projections, struct projection *projection,
                           struct projection_version *version,
                           struct ms_projection_definition *definition, struct ms_error *err) {
    struct ms_version_options options = projections->version_options;
    options.paused = projection->paused;
    options.allow_incomplete = version->allow_incomplete;
    int code = ms_projections_look_back(projections, version, definition, err);
    if (code == 0)
        code =
            ms_version_open(definition, version->number, false, &options, &version->running, err);
    if (code != 0) {
        ms_projection_definition_free(definition);
        return code;
    }
    code = ms_projections_note(projections, projection, PROJECTION_DEPLOYED, version, err);
    if (code != 0) {
        (void)!ms_version_close(version->running, true, NULL); /* and the definition */
        version->running = NULL;
        return code;
    }
    ms_projections_end_version(projections, projection, MS_VERSION_CANDIDATE, true);
    pthread_mutex_lock(&projections->lock);
    ms_slot_deploy(projection, version);
    pthread_mutex_unlock(&projections->lock);
    return 0;
}

/* Takes the definition over in any case. */
static int deploy(struct ms_projections *projections, const char *file, struct ms_bytes content,
                  struct ms_projection_definition *definition, unsigned how,
                  struct ms_deployed *ret_deployed, struct ms_error *err) {
    struct projection *projection = ms_projections_find(projections, definition->name);
    const struct projection_version *same =
        projection != NULL && !(how & MS_DEPLOY_AGAIN) ? find_same(projection, definition) : NULL;
    bool is_new = projection == NULL;
    if (same != NULL) {
        ret_deployed->version = same->number;
        ret_deployed->unchanged = true;
        ms_projection_definition_free(definition);
        return 0;
    }
    if (is_new) {
        pthread_mutex_lock(&projections->lock);
        projection = ms_projections_add(projections, definition->name);
        pthread_mutex_unlock(&projections->lock);
    }
    struct projection_version version = {0};
    int code = projection != NULL && ms_slot_set_text(&version, content) ? 0 : MS_ENOMEM;
    if (code == 0) {
        snprintf(version.file, sizeof version.file, "%s", file);
        version.number = projection->last_number + 1;
        version.allow_incomplete = (how & MS_DEPLOY_INCOMPLETE) != 0;
        version.deployed_at_ms = ms_clock_now_us(projections->options.env->clock) / 1000;
        ret_deployed->version = version.number;
        code = start_candidate(projections, projection, &version, definition, err);
    } else {
        ms_projection_definition_free(definition);
    }
    if (code != 0) {
        ms_slot_clear(&version);
        pthread_mutex_lock(&projections->lock);
        if (is_new && projection != NULL)
            ms_projections_forget(projections, projection);
        pthread_mutex_unlock(&projections->lock);
    }
    return ms_error_settle(err, code, "projection");
}

int ms_projections_deploy(struct ms_projections *projections, const char *file,
                          struct ms_bytes content, struct ms_bytes name, unsigned how,
                          struct ms_deployed *ret_deployed, struct ms_error *err) {
    struct ms_projection_definition *definition;
    int code = ms_projection_parse(file, content, NULL, &definition, err);
    if (code != 0)
        return code;
    if (name.data != NULL && !ms_bytes_equal(name, definition->name))
        code = ms_error_set(err, MS_EINVAL, "%s defines projection '%.*s', not '%.*s'", file,
                            MS_PLACE_SHOWN(definition->name), MS_PLACE_SHOWN(name));
    if (code == 0)
        code = ms_version_check(definition, projections->postgres, err);
    if (code != 0) {
        ms_projection_definition_free(definition);
        return code;
    }
    struct ms_deployed deployed = {0};
    memcpy(deployed.name_text, definition->name.data, definition->name.len);
    pthread_mutex_lock(&projections->admin);
    code = deploy(projections, file, content, definition, how, &deployed, err);
    pthread_mutex_unlock(&projections->admin);
    if (code != 0)
        return code;
    *ret_deployed = deployed;
    ret_deployed->name = ms_bytes_cstr(ret_deployed->name_text);
    return 0;
}

/* ---- the rest ---- */

static struct projection_version *newest(struct projection *projection) {
    struct projection_version *candidate = &projection->versions[MS_VERSION_CANDIDATE];
    return candidate->number != 0 ? candidate : &projection->versions[MS_VERSION_CURRENT];
}

int ms_projections_rebuild(struct ms_projections *projections, struct ms_bytes name,
                           bool allow_incomplete, struct ms_deployed *ret_deployed,
                           struct ms_error *err) {
    struct ms_buf text;
    char file[256] = "";
    unsigned how = MS_DEPLOY_AGAIN | (allow_incomplete ? MS_DEPLOY_INCOMPLETE : 0u);
    ms_buf_init(&text, MS_PROJECTION_FILE_BYTES_MAX);
    pthread_mutex_lock(&projections->admin);
    struct projection *projection = ms_projections_find(projections, name);
    int code = projection == NULL ? ms_projections_no_such(name, err) : 0;
    if (code == 0) {
        memcpy(file, newest(projection)->file, sizeof file);
        code = ms_buf_append_bytes(&text, newest(projection)->text);
    }
    pthread_mutex_unlock(&projections->admin);
    if (code == 0)
        code = ms_projections_deploy(projections, file, ms_buf_bytes(&text), name, how,
                                     ret_deployed, err);
    ms_buf_deinit(&text);
    return code;
}

int ms_projections_pause(struct ms_projections *projections, struct ms_bytes name, bool paused,
                         struct ms_error *err) {
    pthread_mutex_lock(&projections->admin);
    struct projection *projection = ms_projections_find(projections, name);
    int code = projection == NULL ? ms_projections_no_such(name, err) : 0;
    if (code == 0 && projection->paused != paused)
        code = ms_projections_note(projections, projection,
                                   paused ? PROJECTION_PAUSED : PROJECTION_RESUMED, NULL, err);
    if (code == 0) {
        projection->paused = paused;
        for (size_t i = 0; code == 0 && i < MS_PROJECTION_VERSIONS_MAX; i++)
            if (projection->versions[i].running != NULL)
                code = ms_runner_pause(ms_version_runner(projection->versions[i].running), paused,
                                       err);
    }
    pthread_mutex_unlock(&projections->admin);
    return code;
}

static int switch_to(struct ms_projections *projections, struct projection *projection,
                     unsigned number, bool force, struct ms_error *err) {
    struct projection_version *version =
        number != 0 ? ms_slot_find(projection, number) : &projection->versions[MS_VERSION_PREVIOUS];
    struct ms_runner_status status;
    if (version == NULL || version->number == 0)
        return ms_error_set(err, MS_ENOTFOUND,
                            number != 0 ? "projection '%s' has no version %u any more, or not yet"
                                        : "projection '%s' has no version before this one",
                            projection->name, number);
    enum ms_version_role role = (enum ms_version_role)(version - projection->versions);
    if (role == MS_VERSION_CURRENT)
        return 0;
    if (version->running == NULL)
        return ms_error_set(err, MS_EAGAIN, "version %u can't be asked now: %s", version->number,
                            version->problem.message);
    ms_runner_status(ms_version_runner(version->running), &status);
    if (!status.caught_up && !force)
        return ms_error_set(err, MS_EAGAIN, "version %u has not caught up: it is at %llu of %llu",
                            version->number, (unsigned long long)status.position,
                            (unsigned long long)status.end);
    return ms_projections_take_over(projections, projection, role, err);
}

int ms_projections_switch(struct ms_projections *projections, struct ms_bytes name,
                          unsigned version, bool force, struct ms_error *err) {
    pthread_mutex_lock(&projections->admin);
    struct projection *projection = ms_projections_find(projections, name);
    int code = projection == NULL ? ms_projections_no_such(name, err)
                                  : switch_to(projections, projection, version, force, err);
    pthread_mutex_unlock(&projections->admin);
    return code;
}

int ms_projections_drop(struct ms_projections *projections, struct ms_bytes name,
                        struct ms_error *err) {
    pthread_mutex_lock(&projections->admin);
    struct projection *projection = ms_projections_find(projections, name);
    int code = projection == NULL ? ms_projections_no_such(name, err) : 0;
    if (code == 0)
        code = ms_projections_note(projections, projection, PROJECTION_DROPPED, NULL, err);
    if (code == 0) {
        for (size_t role = 0; role < MS_PROJECTION_VERSIONS_MAX; role++)
            ms_projections_end_version(projections, projection, (enum ms_version_role)role, true);
        pthread_mutex_lock(&projections->lock);
        ms_projections_forget(projections, projection);
        pthread_mutex_unlock(&projections->lock);
    }
    pthread_mutex_unlock(&projections->admin);
    return code;
}

/* ---- trying again ---- */

/* How much a version is the one that is meant; the first of several. */
typedef int concern_fn(const struct ms_runner_status *status, uint64_t position);

static int is_stopped(const struct ms_runner_status *status, uint64_t position) {
    (void)position;
    return status->state == MS_RUNNER_STOPPED ? 2 : status->state == MS_RUNNER_RETRYING;
}

static int has_parked(const struct ms_runner_status *status, uint64_t position) {
    (void)position;
    return status->parked > 0;
}

static int is_stopped_there(const struct ms_runner_status *status, uint64_t position) {
    bool there = status->state == MS_RUNNER_STOPPED && status->error_position == position;
    return there ? 2 : has_parked(status, position);
}

/* The version, held. */
static int find_concerned(struct ms_projections *projections, struct ms_bytes name,
                          concern_fn *concern, uint64_t position, struct ms_version **ret_version,
                          struct ms_error *err) {
    struct ms_version *versions[MS_PROJECTION_VERSIONS_MAX];
    size_t count, found = 0;
    int most = -1;
    int code = ms_projections_hold_all(projections, name, versions, &count, err);
    if (code == 0 && count == 0)
        code = ms_error_set(err, MS_EAGAIN, "projection '%.*s' is not running now",
                            MS_PLACE_SHOWN(name));
    if (code != 0)
        return code;
    for (size_t i = 0; i < count; i++) {
        struct ms_runner_status status;
        ms_runner_status(ms_version_runner(versions[i]), &status);
        int much = concern(&status, position);
        found = much > most ? i : found;
        most = much > most ? much : most;
    }
    for (size_t i = 0; i < count; i++)
        if (i != found)
            ms_version_release(versions[i]);
    *ret_version = versions[found];
    return 0;
}

int ms_projections_retry(struct ms_projections *projections, struct ms_bytes name,
                         struct ms_bytes stream, struct ms_projection_tried *ret_tried,
                         struct ms_error *err) {
    struct ms_version *version;
    *ret_tried = (struct ms_projection_tried){0};
    int code = find_concerned(projections, name, stream.data != NULL ? has_parked : is_stopped, 0,
                              &version, err);
    if (code != 0)
        return code;
    ret_tried->version = ms_version_number(version);
    code = ms_runner_retry(ms_version_runner(version), stream, &ret_tried->outcome, err);
    ms_version_release(version);
    return code;
}

int ms_projections_skip(struct ms_projections *projections, struct ms_bytes name, uint64_t position,
                        struct ms_projection_tried *ret_tried, struct ms_error *err) {
    struct ms_version *version;
    *ret_tried = (struct ms_projection_tried){0};
    int code = find_concerned(projections, name, is_stopped_there, position, &version, err);
    if (code != 0)
        return code;
    ret_tried->version = ms_version_number(version);
    code = ms_runner_skip(ms_version_runner(version), position, &ret_tried->outcome, err);
    ms_version_release(version);
    return code;
}
