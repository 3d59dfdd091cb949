/*
 * Appends: the public request made one of the store's, the answer made public again.
 *
 * Waiting and asynchronous appends share everything but the end. A callback runs on the committer's
 * thread, on the store's worker, or inside the call; waiting there would wait for ever, so the
 * thread's depth of callbacks is kept, and calls that wait look at it. That counter is the one
 * exception here to "no mutable file-scope state": it belongs to a thread, not to a store.
 */
#include "base/alloc.h"
#include "lib/lib.h"

#define ARENA_BYTES_MAX ((size_t)1 << 30)

static _Thread_local unsigned callback_depth;

bool ms_lib_in_callback(void) { return callback_depth > 0; }

/* ---- requests ---- */

#define REQUEST_BYTES 1024 /* small requests are taken on the stack */

struct request {
    struct ms_arena arena;
    _Alignas(MS_ARENA_ALIGNMENT) uint8_t memory[REQUEST_BYTES];
    struct ms_append_request lower;
    size_t events_max;
};

static int take_part(struct request *request, const struct mainstem_part *from,
                     struct ms_append_part *part, struct mainstem_error *err) {
    if (from->stream == NULL)
        return ms_lib_fail(err, MS_EINVAL, "no stream is named");
    if (from->event_count > request->events_max)
        return ms_lib_fail(err, MS_ETOOBIG, "%zu events in one append, the limit is %zu",
                           from->event_count, request->events_max);
    part->stream = ms_bytes_cstr(from->stream);
    part->count = from->event_count;
    int rc = ms_lib_condition(from->expected_version, &part->condition, err);
    if (rc == 0)
        rc = ms_lib_events(from->events, from->event_count, &request->arena, &part->events, err);
    return rc;
}

static int take_parts(struct request *request, const struct mainstem_append_request *from,
                      struct mainstem_error *err) {
    if (from->parts == NULL || from->part_count == 0 ||
        from->part_count > MAINSTEM_APPEND_PARTS_MAX)
        return ms_lib_fail(err, MS_EINVAL, "an append goes to 1 to %u streams, not %zu",
                           MAINSTEM_APPEND_PARTS_MAX, from->parts == NULL ? 0 : from->part_count);
    struct ms_append_part *parts =
        ms_arena_zalloc(&request->arena, from->part_count * sizeof *parts);
    if (parts == NULL)
        return ms_lib_fail(err, MS_ENOMEM, "no memory for an append");
    for (size_t i = 0; i < from->part_count; i++) {
        int rc = take_part(request, &from->parts[i], &parts[i], err);
        if (rc != 0) {
            if (err != NULL)
                err->failed = (uint32_t)i;
            return rc;
        }
    }
    request->lower.parts = parts;
    request->lower.part_count = from->part_count;
    return 0;
}

static int take_query(const struct mainstem_query_condition *from, struct ms_arena *arena,
                      struct ms_query_condition *query, struct mainstem_error *err) {
    if (from->type_count + from->tag_count == 0 || (from->type_count > 0 && from->types == NULL) ||
        (from->tag_count > 0 && from->tags == NULL))
        return ms_lib_fail(err, MS_EINVAL, "a query condition needs a type or a tag");
    query->types = ms_lib_copy_texts(from->types, from->type_count, arena);
    query->type_count = from->type_count;
    query->tags = ms_lib_copy_texts(from->tags, from->tag_count, arena);
    query->tag_count = from->tag_count;
    query->after_none = from->since == 0;
    query->after = from->since == 0 ? 0 : from->since - 1;
    return query->types != NULL && query->tags != NULL
               ? 0
               : ms_lib_fail(err, MS_ENOMEM, "no memory for an append");
}

static int take_queries(struct request *request, const struct mainstem_append_request *from,
                        struct mainstem_error *err) {
    size_t count = from->query_condition_count;
    if (count == 0)
        return 0;
    if (from->query_conditions == NULL || count > MAINSTEM_QUERY_CONDITIONS_MAX)
        return ms_lib_fail(err, MS_EINVAL, "%zu query conditions, the limit is %u", count,
                           MAINSTEM_QUERY_CONDITIONS_MAX);
    struct ms_query_condition *queries = ms_arena_zalloc(&request->arena, count * sizeof *queries);
    if (queries == NULL)
        return ms_lib_fail(err, MS_ENOMEM, "no memory for an append");
    for (size_t i = 0; i < count; i++) {
        int rc = take_query(&from->query_conditions[i], &request->arena, &queries[i], err);
        if (rc != 0) {
            if (err != NULL)
                err->failed = (uint32_t)i;
            return rc;
        }
    }
    request->lower.query_conditions = queries;
    request->lower.query_condition_count = count;
    return 0;
}

static int request_init(struct request *request, const struct mainstem_store *store,
                        const struct mainstem_append_request *from, struct mainstem_error *err) {
    request->lower = (struct ms_append_request){0};
    request->events_max = store->limits.append_events_max;
    ms_arena_init_over(&request->arena, request->memory, sizeof request->memory, ARENA_BYTES_MAX);
    int rc = take_parts(request, from, err);
    if (rc == 0)
        rc = take_queries(request, from, err);
    if (rc != 0)
        ms_arena_deinit(&request->arena);
    return rc;
}

/* One stream, as most appends have. */
static struct mainstem_append_request request_of(const struct mainstem_part *part) {
    return (struct mainstem_append_request){
        .struct_size = sizeof(struct mainstem_append_request), .parts = part, .part_count = 1};
}

/* ---- answers ---- */

static void give_result(const struct ms_append_result *from,
                        struct mainstem_append_result *ret_result) {
    *ret_result = (struct mainstem_append_result){
        .first_version = from->parts[0].first_version,
        .version = from->parts[0].version,
        .position = from->position,
        .repeated = from->repeated,
    };
}

static int give_error(const struct ms_append_result *from, struct mainstem_error *err) {
    (void)ms_lib_fail_with(err, from->code, from->error);
    if (err == NULL)
        return from->code;
    if (from->code == MS_EQUERYCONDITION) {
        err->failed = (uint32_t)from->failed_query;
        err->position = from->matching_position;
    } else if (from->code == MS_ECONFLICT || from->code == MS_EDELETED ||
               from->code == MS_ETOMBSTONED || from->code == MS_EIDCONFLICT ||
               from->code == MS_ENOTFOUND) {
        err->failed = (uint32_t)from->failed_part;
        err->actual_state = from->actual_state;
        err->actual_version = from->actual_version;
    }
    return from->code;
}

/* ---- with a callback ---- */

struct pending {
    mainstem_append_done_fn *done;
    void *context;
    size_t part_count;
    struct mainstem_part_result parts[];
};

static void append_done(void *context, const struct ms_append_result *from) {
    struct pending *pending = context;
    struct mainstem_append_result result;
    struct mainstem_error error;
    struct mainstem_completion completion = {.code = from->code};
    if (from->code == 0) {
        give_result(from, &result);
        for (size_t i = 0; i < pending->part_count; i++)
            pending->parts[i] =
                (struct mainstem_part_result){from->parts[i].first_version, from->parts[i].version};
        completion.result = &result;
        completion.parts = pending->parts;
        completion.part_count = pending->part_count;
    } else {
        (void)give_error(from, &error);
        completion.error = &error;
    }
    callback_depth++;
    if (pending->done != NULL)
        pending->done(pending->context, &completion);
    callback_depth--;
    ms_free(pending);
}

static int append_async(struct mainstem_store *store, const struct mainstem_append_request *from,
                        mainstem_append_done_fn *done, void *context, struct mainstem_error *err) {
    struct request request;
    struct ms_error error = {0};
    int rc = from->wait != 0 ? ms_lib_enter_blocking(store, err) : ms_lib_enter(store, err);
    if (rc == 0)
        rc = request_init(&request, store, from, err);
    if (rc != 0)
        return rc;
    request.lower.wait = from->wait != 0;
    struct pending *pending =
        ms_alloc(sizeof *pending + from->part_count * sizeof pending->parts[0]);
    if (pending == NULL) {
        rc = ms_lib_fail(err, MS_ENOMEM, "no memory for an append");
    } else {
        pending->done = done;
        pending->context = context;
        pending->part_count = from->part_count;
        rc = ms_store_append(store->store, &request.lower, append_done, pending, &error);
        if (rc != 0) {
            ms_free(pending);
            (void)ms_lib_fail_with(err, rc, &error);
        }
    }
    ms_arena_deinit(&request.arena);
    return rc;
}

int mainstem_append_async(struct mainstem_store *store, const char *stream,
                          int64_t expected_version, const struct mainstem_event *events,
                          size_t event_count, mainstem_append_done_fn *done, void *context,
                          struct mainstem_error *err) {
    struct mainstem_part part = {stream, expected_version, events, event_count};
    struct mainstem_append_request request = request_of(&part);
    return append_async(store, &request, done, context, err);
}

int mainstem_append_multi_async(struct mainstem_store *store,
                                const struct mainstem_append_request *request,
                                mainstem_append_done_fn *done, void *context,
                                struct mainstem_error *err) {
    struct mainstem_append_request given;
    if (request == NULL)
        return ms_lib_fail(err, MS_EINVAL, "no request");
    int rc = ms_lib_take_options("append request", request, &given, sizeof given, err);
    return rc != 0 ? rc : append_async(store, &given, done, context, err);
}

/* ---- waiting ---- */

static int append_and_wait(struct mainstem_store *store, const struct mainstem_append_request *from,
                           struct mainstem_part_result *part_results,
                           struct mainstem_append_result *ret_result, struct mainstem_error *err) {
    struct request request;
    struct ms_error error = {0};
    struct ms_append_result result = {0};
    int rc = ms_lib_enter_blocking(store, err);
    if (rc == 0)
        rc = request_init(&request, store, from, err);
    if (rc != 0)
        return rc;
    request.lower.wait = true;
    struct ms_append_part_result *parts =
        ms_arena_alloc(&request.arena, from->part_count * sizeof *parts);
    if (parts == NULL) {
        rc = ms_lib_fail(err, MS_ENOMEM, "no memory for an append");
    } else {
        rc = ms_store_append_wait(store->store, &request.lower, parts, &result, &error);
        if (rc != 0 && result.code == rc)
            rc = give_error(&result, err);
        else if (rc != 0)
            rc = ms_lib_fail_with(err, rc, &error);
    }
    for (size_t i = 0; rc == 0 && part_results != NULL && i < from->part_count; i++)
        part_results[i] = (struct mainstem_part_result){parts[i].first_version, parts[i].version};
    if (rc == 0 && ret_result != NULL)
        give_result(&result, ret_result);
    ms_arena_deinit(&request.arena);
    return rc;
}

int mainstem_append(struct mainstem_store *store, const char *stream, int64_t expected_version,
                    const struct mainstem_event *events, size_t event_count,
                    struct mainstem_append_result *ret_result, struct mainstem_error *err) {
    struct mainstem_part part = {stream, expected_version, events, event_count};
    struct mainstem_append_request request = request_of(&part);
    return append_and_wait(store, &request, NULL, ret_result, err);
}

int mainstem_append_multi(struct mainstem_store *store,
                          const struct mainstem_append_request *request,
                          struct mainstem_part_result *part_results,
                          struct mainstem_append_result *ret_result, struct mainstem_error *err) {
    struct mainstem_append_request given;
    if (request == NULL)
        return ms_lib_fail(err, MS_EINVAL, "no request");
    int rc = ms_lib_take_options("append request", request, &given, sizeof given, err);
    return rc != 0 ? rc : append_and_wait(store, &given, part_results, ret_result, err);
}

/* ---- waiting for the store's other changes ---- */

void ms_lib_wait_init(struct ms_lib_wait *wait, struct mainstem_error *err) {
    *wait = (struct ms_lib_wait){.err = err};
    pthread_mutex_init(&wait->lock, NULL);
    pthread_cond_init(&wait->cond, NULL);
}

void ms_lib_wait_done(void *context, const struct ms_append_result *result) {
    struct ms_lib_wait *wait = context;
    pthread_mutex_lock(&wait->lock);
    wait->code = result->code;
    if (result->code != 0)
        (void)give_error(result, wait->err);
    wait->done = true;
    pthread_cond_signal(&wait->cond);
    pthread_mutex_unlock(&wait->lock);
}

int ms_lib_wait_finish(struct ms_lib_wait *wait, int rc, const struct ms_error *error) {
    if (rc != 0)
        (void)ms_lib_fail_with(wait->err, rc, error);
    pthread_mutex_lock(&wait->lock);
    while (rc == 0 && !wait->done)
        pthread_cond_wait(&wait->cond, &wait->lock);
    pthread_mutex_unlock(&wait->lock);
    rc = rc != 0 ? rc : wait->code;
    pthread_cond_destroy(&wait->cond);
    pthread_mutex_destroy(&wait->lock);
    return rc;
}
