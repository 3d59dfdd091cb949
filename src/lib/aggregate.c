/*
 * Aggregates: deciding commands, saving what was decided, and the whole cycle with its retries.
 *
 * What decide emits is copied, given its id and time, and applied to the state as it will be read
 * back; save appends it with the version that the state came from. Nothing here has effects but
 * that append. One thread per aggregate.
 */
#include "base/alloc.h"
#include "lib/lib.h"

#define DECISION_BYTES_MAX(limits) (2 * (limits)->append_bytes_max + ((size_t)1 << 20))

/* ---- decisions ---- */

void ms_lib_decision_deinit(struct mainstem_decision *decision) {
    ms_free(decision->events);
    ms_arena_deinit(&decision->arena);
    decision->events = NULL;
    decision->count = decision->capacity = 0;
}

static int make_place(struct mainstem_decision *decision) {
    if (decision->count == decision->store->limits.append_events_max)
        return MS_ETOOBIG;
    if (decision->count < decision->capacity)
        return 0;
    size_t capacity = decision->capacity == 0 ? 8 : decision->capacity * 2;
    struct mainstem_event *events = ms_realloc(decision->events, capacity * sizeof *events);
    if (events == NULL)
        return MS_ENOMEM;
    decision->events = events;
    decision->capacity = capacity;
    return 0;
}

static int copy_field(struct mainstem_decision *decision, struct mainstem_bytes *field) {
    if (field->data == NULL)
        return 0;
    if (field->size > decision->store->limits.event_bytes_max)
        return MS_ETOOBIG;
    void *copy = ms_arena_alloc(&decision->arena, field->size);
    if (copy == NULL)
        return MS_ENOMEM;
    memcpy(copy, field->data, field->size);
    field->data = copy;
    return 0;
}

static int copy_extensions(struct mainstem_decision *decision, struct mainstem_event *event) {
    if (event->extension_count == 0)
        return 0;
    if (event->extensions == NULL || event->extension_count > MAINSTEM_EXTENSIONS_MAX)
        return MS_EINVAL;
    size_t size = event->extension_count * sizeof *event->extensions;
    struct mainstem_extension *copies = ms_arena_alloc(&decision->arena, size);
    if (copies == NULL)
        return MS_ENOMEM;
    memcpy(copies, event->extensions, size);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < event->extension_count; i++) {
        rc = copy_field(decision, &copies[i].name);
        if (rc == 0)
            rc = copy_field(decision, &copies[i].value);
    }
    event->extensions = copies;
    return rc;
}

static int copy_fields(struct mainstem_decision *decision, struct mainstem_event *event) {
    struct mainstem_bytes *const fields[] = {
        &event->type,         &event->data,        &event->id,     &event->content_type,
        &event->metadata,     &event->version,     &event->source, &event->correlation_id,
        &event->causation_id, &event->traceparent, &event->tags,   &event->time,
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof fields / sizeof fields[0]; i++)
        rc = copy_field(decision, fields[i]);
    return rc != 0 ? rc : copy_extensions(decision, event);
}

/* Id and time are decided with the event: apply sees what readers will see. */
static int complete(struct mainstem_decision *decision, struct mainstem_event *event) {
    const struct ms_env *env = decision->store->env;
    if (event->timestamp_ms == 0 && event->time.data == NULL)
        event->timestamp_ms = ms_clock_now_us(env->clock) / 1000;
    if (event->id.data != NULL)
        return 0;
    char *text = ms_arena_alloc(&decision->arena, MS_UUID_TEXT_LEN + 1);
    if (text == NULL)
        return MS_ENOMEM;
    struct ms_uuid uuid;
    ms_env_uuid_v7(env, &uuid);
    ms_uuid_format(&uuid, text);
    event->id = mainstem_bytes_of(text, MS_UUID_TEXT_LEN);
    return 0;
}

int mainstem_emit(struct mainstem_decision *decision, const struct mainstem_event *event) {
    if (decision == NULL || event == NULL || event->type.data == NULL)
        return MS_EINVAL;
    if (decision->arena.max == 0)
        ms_arena_init(&decision->arena, DECISION_BYTES_MAX(&decision->store->limits));
    struct mainstem_event copy = *event;
    int rc = make_place(decision);
    if (rc == 0)
        rc = copy_fields(decision, &copy);
    if (rc == 0)
        rc = complete(decision, &copy);
    if (rc == 0)
        decision->events[decision->count++] = copy;
    return rc;
}

int mainstem_refuse(struct mainstem_decision *decision, int code, const char *message) {
    if (decision != NULL)
        (void)ms_lib_fail(&decision->refusal, code, "%s", message != NULL ? message : "refused");
    return code;
}

/* ---- deciding ---- */

const void *mainstem_aggregate_state(const struct mainstem_aggregate *aggregate) {
    return aggregate != NULL ? aggregate->state : NULL;
}

int64_t mainstem_aggregate_version(const struct mainstem_aggregate *aggregate) {
    return aggregate != NULL ? aggregate->version : -1;
}

static int enter(struct mainstem_aggregate *aggregate, struct mainstem_error *err) {
    if (aggregate == NULL)
        return ms_lib_fail(err, MS_EINVAL, "no aggregate");
    if (aggregate->broken)
        return ms_lib_fail(err, MS_EINVAL, "the state of %s is half changed, load it anew",
                           aggregate->stream);
    return ms_lib_enter(aggregate->repository->store, err);
}

/* As it will be read back, but for what storing it decides. */
static void preview(const struct mainstem_aggregate *aggregate, size_t index,
                    struct mainstem_recorded_event *recorded) {
    const struct mainstem_event *event = &aggregate->decision.events[index];
    const char *topic = aggregate->repository->type.topic;
    *recorded = (struct mainstem_recorded_event){
        .event = *event,
        .stream = mainstem_text(aggregate->stream),
        .topic = mainstem_text(topic),
        .key = mainstem_text(aggregate->key),
        .version = aggregate->version + 1 + (int64_t)index,
        .position = MAINSTEM_END,
        .offset = -1,
    };
    if (event->correlation_id.data == NULL)
        recorded->event.correlation_id = event->id;
    if (event->content_type.data == NULL)
        recorded->event.content_type = mainstem_text("application/json");
    if (event->source.data == NULL)
        recorded->event.source = mainstem_text("mainstem");
}

static int apply_from(struct mainstem_aggregate *aggregate, size_t first,
                      struct mainstem_error *err) {
    struct mainstem_recorded_event recorded;
    for (size_t i = first; i < aggregate->decision.count; i++) {
        preview(aggregate, i, &recorded);
        int rc = aggregate->repository->type.apply(aggregate->state, &recorded);
        if (rc != 0) {
            aggregate->broken = true;
            return ms_lib_fail(err, rc, "apply of %s stopped with %d", aggregate->stream, rc);
        }
    }
    return 0;
}

int mainstem_decide(struct mainstem_aggregate *aggregate, mainstem_decide_fn *decide,
                    const void *command, struct mainstem_error *err) {
    int rc = enter(aggregate, err);
    if (rc == 0 && decide == NULL)
        rc = ms_lib_fail(err, MS_EINVAL, "nobody to decide");
    if (rc != 0)
        return rc;
    struct mainstem_decision *decision = &aggregate->decision;
    size_t before = decision->count;
    decision->refusal.code = 0;
    rc = decide(aggregate->state, command, decision);
    if (rc == 0)
        return apply_from(aggregate, before, err);
    decision->count = before;
    if (decision->refusal.code == rc)
        return ms_lib_fail(err, rc, "%s", decision->refusal.message);
    return ms_lib_fail(err, rc, "the command on %s was refused with %d", aggregate->stream, rc);
}

/* ---- saving ---- */

int mainstem_save(struct mainstem_aggregate *aggregate, struct mainstem_append_result *ret_result,
                  struct mainstem_error *err) {
    struct mainstem_append_result result;
    int rc = enter(aggregate, err);
    if (rc != 0)
        return rc;
    struct mainstem_decision *decision = &aggregate->decision;
    rc = mainstem_append(aggregate->repository->store, aggregate->stream, aggregate->version,
                         decision->events, decision->count, &result, err);
    if (rc != 0)
        return rc;
    if (decision->count > 0)
        aggregate->version = result.version;
    decision->count = 0;
    ms_arena_reset(&decision->arena);
    ms_lib_snapshot_if_due(aggregate);
    if (ret_result != NULL)
        *ret_result = result;
    return 0;
}

/* ---- the whole cycle ---- */

/* Nothing was decided: the answer tells where things stand. */
static void tell_unchanged(const struct mainstem_aggregate *aggregate,
                           struct mainstem_append_result *ret_result) {
    uint64_t end = ms_store_end(aggregate->repository->store->store);
    if (ret_result != NULL)
        *ret_result = (struct mainstem_append_result){
            .first_version = aggregate->version,
            .version = aggregate->version,
            .position = end > 0 ? end - 1 : 0,
        };
}

static int execute_once(struct mainstem_repository *repository, const char *id,
                        mainstem_decide_fn *decide, const void *command,
                        struct mainstem_append_result *ret_result, bool *ret_conflict,
                        struct mainstem_error *err) {
    struct mainstem_aggregate *aggregate;
    *ret_conflict = false;
    int rc = mainstem_load(repository, id, &aggregate, err);
    if (rc != 0)
        return rc;
    rc = mainstem_decide(aggregate, decide, command, err);
    if (rc == 0 && aggregate->decision.count > 0) {
        rc = mainstem_save(aggregate, ret_result, err);
        *ret_conflict = rc == MS_ECONFLICT;
    } else if (rc == 0) {
        tell_unchanged(aggregate, ret_result);
    }
    mainstem_aggregate_free(aggregate);
    return rc;
}

int mainstem_execute(struct mainstem_repository *repository, const char *id,
                     mainstem_decide_fn *decide, const void *command,
                     struct mainstem_append_result *ret_result, struct mainstem_error *err) {
    if (repository == NULL)
        return ms_lib_fail(err, MS_EINVAL, "no repository");
    bool conflict = false;
    int rc = 0;
    for (uint32_t attempt = 0; attempt <= repository->type.retries_max; attempt++) {
        rc = execute_once(repository, id, decide, command, ret_result, &conflict, err);
        if (!conflict)
            return rc;
    }
    return rc;
}
