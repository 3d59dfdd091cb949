/*
 * Aggregates: their types, bringing one's state, keeping snapshots of it.
 *
 * State is the newest snapshot that can be trusted and the events behind it. A snapshot is passed
 * over when it was written under another snapshot_version, when the stream was deleted since, or
 * when events between it and the first one still readable are gone.
 *
 * A repository is immutable and may be used by any thread; an aggregate by one at a time.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "lib/lib.h"

#define SNAPSHOT_BYTES_MAX ((size_t)MS_LIB_EVENT_BYTES_MAX) /* as stored under any limit */
#define RETRIES_DEFAULT 10u

/* ---- repositories ---- */

static int check_type(const struct mainstem_aggregate_type *type, struct mainstem_error *err) {
    if (type->topic == NULL || type->apply == NULL || type->state_size == 0)
        return ms_lib_fail(err, MS_EINVAL, "an aggregate type needs topic, apply and state_size");
    struct ms_buf name;
    ms_buf_init(&name, 4096);
    int rc = ms_store_stream_name(ms_bytes_cstr(type->topic), MS_BYTES_LITERAL(""), &name, NULL);
    ms_buf_deinit(&name);
    if (rc != 0)
        return ms_lib_fail(err, rc, "aggregate type: '%.80s' can't be its topic: 1 to %u of %s",
                           type->topic, MAINSTEM_TOPIC_NAME_BYTES_MAX, "[A-Za-z0-9._-]");
    if ((type->to_snapshot == NULL) != (type->from_snapshot == NULL))
        return ms_lib_fail(err, MS_EINVAL, "to_snapshot and from_snapshot go together");
    if (type->snapshot_every > 0 && type->to_snapshot == NULL)
        return ms_lib_fail(err, MS_EINVAL, "snapshot_every needs to_snapshot and from_snapshot");
    return 0;
}

int mainstem_repository_new(struct mainstem_store *store,
                            const struct mainstem_aggregate_type *type,
                            struct mainstem_repository **ret_repository,
                            struct mainstem_error *err) {
    struct mainstem_aggregate_type given;
    int rc = ms_lib_enter(store, err);
    if (rc == 0 && ret_repository == NULL)
        rc = ms_lib_fail(err, MS_EINVAL, "no place for the repository");
    if (rc == 0)
        rc = ms_lib_take_options("aggregate type", type, &given, sizeof given, err);
    if (rc == 0)
        rc = check_type(&given, err);
    if (rc != 0)
        return rc;
    struct mainstem_repository *repository = ms_calloc(1, sizeof *repository);
    char *topic = ms_alloc_strdup(ms_bytes_cstr(given.topic));
    if (repository == NULL || topic == NULL) {
        ms_free(repository);
        ms_free(topic);
        return ms_lib_fail(err, MS_ENOMEM, "no memory for a repository");
    }
    repository->store = store;
    repository->type = given;
    repository->type.topic = topic;
    if (repository->type.retries_max == 0)
        repository->type.retries_max = RETRIES_DEFAULT;
    snprintf(repository->snapshot_version, sizeof repository->snapshot_version, "%u",
             (unsigned)given.snapshot_version);
    *ret_repository = repository;
    return 0;
}

void mainstem_repository_free(struct mainstem_repository *repository) {
    if (repository == NULL)
        return;
    ms_free((char *)(uintptr_t)repository->type.topic);
    ms_free(repository);
}

int mainstem_buffer_append(struct mainstem_buffer *buffer, const void *data, size_t size) {
    if (buffer == NULL || (size > 0 && data == NULL))
        return MS_EINVAL;
    return ms_buf_append(&buffer->bytes, data, size);
}

/* ---- an aggregate's memory ---- */

static int clear_state(struct mainstem_aggregate *aggregate) {
    const struct mainstem_aggregate_type *type = &aggregate->repository->type;
    memset(aggregate->state, 0, type->state_size);
    return type->init != NULL ? type->init(aggregate->state) : 0;
}

static int name_stream(struct mainstem_aggregate *aggregate, const char *id) {
    const char *topic = aggregate->repository->type.topic;
    size_t size = 3 * strlen(topic) + 1 + strlen(id) + 1, at = 0;
    aggregate->stream = ms_alloc(size);
    if (aggregate->stream == NULL)
        return MS_ENOMEM;
    for (const char *c = topic; *c != 0; c++)
        at += (size_t)snprintf(aggregate->stream + at, size - at, *c == '-' ? "%%2D" : "%c", *c);
    snprintf(aggregate->stream + at, size - at, "-%s", id);
    aggregate->key = aggregate->stream + at + 1;
    return 0;
}

void mainstem_aggregate_free(struct mainstem_aggregate *aggregate) {
    if (aggregate == NULL)
        return;
    if (aggregate->state != NULL && aggregate->repository->type.free != NULL)
        aggregate->repository->type.free(aggregate->state);
    ms_lib_decision_deinit(&aggregate->decision);
    ms_free(aggregate->state);
    ms_free(aggregate->stream);
    ms_free(aggregate);
}

static int aggregate_new(struct mainstem_repository *repository, const char *id,
                         struct mainstem_aggregate **ret_aggregate, struct mainstem_error *err) {
    struct mainstem_aggregate *aggregate = ms_calloc(1, sizeof *aggregate);
    if (aggregate == NULL)
        return ms_lib_fail(err, MS_ENOMEM, "no memory for an aggregate");
    aggregate->repository = repository;
    aggregate->decision.store = repository->store;
    aggregate->version = aggregate->snapshot_version = -1;
    void *state = ms_alloc(repository->type.state_size);
    if (state == NULL || name_stream(aggregate, id) != 0) {
        ms_free(state);
        mainstem_aggregate_free(aggregate);
        return ms_lib_fail(err, MS_ENOMEM, "no memory for an aggregate");
    }
    aggregate->state = state;
    int rc = clear_state(aggregate);
    if (rc != 0) {
        aggregate->state = NULL; /* what init could not make, nobody frees */
        ms_free(state);
        mainstem_aggregate_free(aggregate);
        return ms_lib_fail(err, rc, "init of %s stopped with %d", repository->type.topic, rc);
    }
    *ret_aggregate = aggregate;
    return 0;
}

/* ---- snapshots ---- */

struct snapshot {
    struct ms_buf data;
    struct ms_bytes version; /* wanted */
    bool fits;
};

static int take_snapshot(void *context, const struct ms_read_event *event) {
    struct snapshot *snapshot = context;
    snapshot->fits = ms_bytes_equal(event->event.version, snapshot->version);
    int rc = snapshot->fits ? ms_buf_append_bytes(&snapshot->data, event->event.data) : 0;
    return rc != 0 ? rc : 1;
}

/* Is everything behind the snapshot still there, and of the same stream? */
static bool can_build_on(const struct ms_stream_read_result *head, int64_t snapshot_version) {
    return head->state == MS_STREAM_LIVE && snapshot_version <= head->head &&
           snapshot_version > head->deleted_head && snapshot_version >= head->first - 1;
}

/* 0 also when there is none that can be used. */
static int find_snapshot(struct mainstem_aggregate *aggregate, struct snapshot *snapshot,
                         int64_t *ret_version, struct ms_error *error) {
    struct ms_store *store = aggregate->repository->store->store;
    struct ms_stream_read read = {.stream = ms_bytes_cstr(aggregate->stream)};
    struct ms_stream_read_result head;
    int64_t version;
    int rc = ms_store_get_snapshot(store, read.stream, take_snapshot, snapshot, &version, error);
    if (rc != 0)
        return rc == MS_ENOTFOUND ? 0 : rc;
    rc = ms_store_read_stream(store, &read, NULL, NULL, &head, error);
    if (rc == 0 && snapshot->fits && can_build_on(&head, version))
        *ret_version = version;
    return rc;
}

static int load_snapshot(struct mainstem_aggregate *aggregate, struct mainstem_error *err) {
    const struct mainstem_repository *repository = aggregate->repository;
    struct snapshot snapshot = {.version = ms_bytes_cstr(repository->snapshot_version)};
    struct ms_error error = {0};
    int64_t version = -1;
    if (repository->type.from_snapshot == NULL)
        return 0;
    ms_buf_init(&snapshot.data, SNAPSHOT_BYTES_MAX);
    int rc = find_snapshot(aggregate, &snapshot, &version, &error);
    if (rc != 0)
        (void)ms_lib_fail_with(err, rc, &error);
    if (rc == 0 && version >= 0) {
        rc = repository->type.from_snapshot(
            aggregate->state, mainstem_bytes_of(snapshot.data.data, snapshot.data.len));
        if (rc != 0)
            (void)ms_lib_fail(err, rc, "from_snapshot of %s stopped with %d", aggregate->stream,
                              rc);
        aggregate->version = aggregate->snapshot_version = version;
    }
    ms_buf_deinit(&snapshot.data);
    return rc;
}

void ms_lib_snapshot_if_due(struct mainstem_aggregate *aggregate) {
    const struct mainstem_repository *repository = aggregate->repository;
    const struct mainstem_aggregate_type *type = &repository->type;
    struct mainstem_buffer buffer;
    if (type->snapshot_every == 0 ||
        aggregate->version - aggregate->snapshot_version < (int64_t)type->snapshot_every)
        return;
    ms_buf_init(&buffer.bytes, repository->store->limits.event_bytes_max);
    /* An empty snapshot has data too, so that it is told from none. */
    if (type->to_snapshot(aggregate->state, &buffer) == 0) {
        struct ms_event event = {
            .type = MS_BYTES_LITERAL("snapshot"),
            .content_type = MS_BYTES_LITERAL("application/octet-stream"),
            .version = ms_bytes_cstr(repository->snapshot_version),
            .timestamp_ms = MS_TIMESTAMP_NONE,
            .data = ms_bytes_of(buffer.bytes.data != NULL ? buffer.bytes.data : (uint8_t *)"",
                                buffer.bytes.len),
        };
        int rc = ms_store_put_snapshot(repository->store->store, ms_bytes_cstr(aggregate->stream),
                                       aggregate->version, &event, NULL, NULL, NULL);
        if (rc == 0)
            aggregate->snapshot_version = aggregate->version;
    }
    ms_buf_deinit(&buffer.bytes);
}

/* ---- loading ---- */

struct replay {
    struct mainstem_aggregate *aggregate;
    int said;
    struct mainstem_extension extensions[MS_EVENT_EXTENSIONS_MAX];
};

static int replay_event(void *context, const struct ms_read_event *event) {
    struct replay *replay = context;
    struct mainstem_aggregate *aggregate = replay->aggregate;
    struct mainstem_recorded_event recorded;
    ms_lib_recorded(event, replay->extensions, &recorded);
    replay->said = aggregate->repository->type.apply(aggregate->state, &recorded);
    return replay->said != 0;
}

/* The stream was deleted after its snapshot had been taken for good. */
static int start_over(struct mainstem_aggregate *aggregate, struct mainstem_error *err) {
    const struct mainstem_aggregate_type *type = &aggregate->repository->type;
    aggregate->version = aggregate->snapshot_version = -1;
    if (type->free != NULL)
        type->free(aggregate->state);
    int rc = clear_state(aggregate);
    return rc != 0 ? ms_lib_fail(err, rc, "init of %s stopped with %d", type->topic, rc) : 0;
}

static int replay_events(struct mainstem_aggregate *aggregate, struct mainstem_error *err) {
    struct replay replay = {.aggregate = aggregate};
    struct ms_error error = {0};
    struct ms_stream_read_result result;
    struct ms_stream_read read = {
        .stream = ms_bytes_cstr(aggregate->stream),
        .from = aggregate->version + 1,
        .limit = SIZE_MAX,
    };
    int rc = ms_store_read_stream(aggregate->repository->store->store, &read, replay_event, &replay,
                                  &result, &error);
    if (rc != 0)
        return ms_lib_fail_with(err, rc, &error);
    if (replay.said != 0)
        return ms_lib_fail(err, replay.said, "apply of %s stopped with %d", aggregate->stream,
                           replay.said);
    if (result.state != MS_STREAM_LIVE)
        return aggregate->version < 0 ? 0 : start_over(aggregate, err);
    aggregate->version = result.next - 1 < result.head ? result.next - 1 : result.head;
    return 0;
}

int mainstem_load(struct mainstem_repository *repository, const char *id,
                  struct mainstem_aggregate **ret_aggregate, struct mainstem_error *err) {
    if (repository == NULL || id == NULL || ret_aggregate == NULL)
        return ms_lib_fail(err, MS_EINVAL, "no repository, no id or no place for the aggregate");
    struct mainstem_aggregate *aggregate = NULL;
    int rc = ms_lib_enter_blocking(repository->store, err);
    if (rc != 0)
        return rc;
    rc = aggregate_new(repository, id, &aggregate, err);
    if (rc != 0)
        return rc;
    rc = load_snapshot(aggregate, err);
    if (rc == 0)
        rc = replay_events(aggregate, err);
    if (rc != 0) {
        mainstem_aggregate_free(aggregate);
        return rc;
    }
    *ret_aggregate = aggregate;
    return 0;
}
