/* What versions lack of the past, and whether they may; see projections.h and missing.h. */
#include "projection/projections_internal.h"

int ms_projections_look_back(struct ms_projections *projections, struct projection_version *version,
                             const struct ms_projection_definition *definition,
                             struct ms_error *err) {
    struct ms_store *store = projections->options.store;
    int code = ms_missing_first_needed(store, definition, &version->first_needed, err);
    if (code == 0)
        code = ms_missing_find(store, definition, 0, UINT64_MAX, &version->missing, err);
    if (code == 0 && version->missing.any && !version->allow_incomplete)
        return ms_missing_refuse(&version->missing, definition->name, err);
    return code;
}

int ms_projections_allow_incomplete(struct ms_projections *projections, struct ms_bytes name,
                                    struct ms_error *err) {
    pthread_mutex_lock(&projections->admin);
    struct projection *projection = ms_projections_find(projections, name);
    int code = projection == NULL
                   ? ms_projections_no_such(name, err)
                   : ms_projections_note(projections, projection, PROJECTION_ALLOWED, NULL, err);
    for (size_t i = 0; code == 0 && i < MS_PROJECTION_VERSIONS_MAX; i++) {
        struct projection_version *version = &projection->versions[i];
        pthread_mutex_lock(&projections->lock);
        version->allow_incomplete = version->number != 0;
        version->retry_us = 0; /* what could not be built anew can be now */
        pthread_mutex_unlock(&projections->lock);
        if (version->running != NULL)
            code = ms_runner_allow_incomplete(ms_version_runner(version->running), err);
    }
    pthread_mutex_unlock(&projections->admin);
    ms_projections_wake(projections);
    return code;
}

/* ---- the keeper's ---- */

static bool is_same(const struct ms_missing *a, const struct ms_missing *b) {
    return a->any == b->any && (!a->any || (strcmp(a->topic, b->topic) == 0 &&
                                            a->first == b->first && a->last == b->last));
}

/* What it went on without is noted in the log, so that it is known after a restart. */
static void note_missing(struct ms_projections *projections, struct projection *projection,
                         struct projection_version *version, const struct ms_missing *missing) {
    struct projection_version noted = *version;
    ms_missing_join(&noted.missing, missing);
    if (is_same(&noted.missing, &version->missing) ||
        ms_projections_note(projections, projection, PROJECTION_INCOMPLETE, &noted, NULL) != 0)
        return;
    pthread_mutex_lock(&projections->lock);
    version->missing = noted.missing;
    pthread_mutex_unlock(&projections->lock);
}

void ms_projections_watch_past(struct ms_projections *projections, struct projection *projection,
                               struct projection_version *version) {
    struct ms_store *store = projections->options.store;
    uint64_t losses = ms_store_losses(store);
    struct ms_runner_status status;
    struct ms_missing ahead;
    ms_runner_status(ms_version_runner(version->running), &status);
    note_missing(projections, projection, version, &status.missing);
    if (losses == version->losses_seen && !version->ahead.any)
        return;
    /* What can't be found out now is asked again. */
    if (ms_missing_find(store, ms_version_definition(version->running), status.position, UINT64_MAX,
                        &ahead, NULL) != 0)
        return;
    pthread_mutex_lock(&projections->lock);
    version->ahead = ahead;
    version->losses_seen = losses;
    pthread_mutex_unlock(&projections->lock);
}
