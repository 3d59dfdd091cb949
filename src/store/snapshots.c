/* Snapshots: events of the system topic "$snapshots" under the stream's name, the newest of which
 * counts. The version that a snapshot stands for is its extension `snapshotversion`; the stream
 * must have reached it, which is judged in the append that stores the snapshot. Any thread. */
#include <stdio.h>

#include "store/internal.h"

#define VERSION_EXTENSION "snapshotversion"

/* One place for the snapshots, however the stream's name is spelt; *canonical is the stream's. */
static int snapshot_stream(struct ms_store *store, struct ms_bytes stream, struct ms_buf *canonical,
                           struct ms_buf *out, struct ms_error *err) {
    int rc = ms_name_check_stream(stream, false, err);
    if (rc == 0)
        rc = ms_name_canonical(store, stream, canonical, err);
    if (rc == 0 && ms_name_join(MS_BYTES_LITERAL("$snapshots"), ms_buf_bytes(canonical), out) != 0)
        rc = ms_error_set(err, MS_ENOMEM, "no memory for a stream's name");
    return rc;
}

/* The stream's extensions and the version's. */
static int extend(const struct ms_event *snapshot, const char *version, struct ms_arena *arena,
                  struct ms_event *ret_event) {
    struct ms_extension *extensions =
        ms_arena_alloc(arena, (snapshot->extension_count + 1) * sizeof *extensions);
    if (extensions == NULL)
        return MS_ENOMEM;
    if (snapshot->extension_count > 0)
        memcpy(extensions, snapshot->extensions, snapshot->extension_count * sizeof *extensions);
    extensions[snapshot->extension_count] =
        (struct ms_extension){MS_BYTES_LITERAL(VERSION_EXTENSION), ms_bytes_cstr(version)};
    *ret_event = *snapshot;
    ret_event->extensions = extensions;
    ret_event->extension_count++;
    return 0;
}

int ms_store_put_snapshot(struct ms_store *store, struct ms_bytes stream, int64_t stream_version,
                          const struct ms_event *snapshot, ms_append_done_fn *done, void *context,
                          struct ms_error *err) {
    char version[24];
    struct ms_buf canonical, name;
    struct ms_arena arena;
    struct ms_event event;
    if (stream_version < 0)
        return ms_error_set(err, MS_EINVAL, "a snapshot stands for a version of at least 0");
    snprintf(version, sizeof version, "%lld", (long long)stream_version);
    ms_buf_init(&canonical, MS_NAME_TEXT_MAX);
    ms_buf_init(&name, MS_NAME_TEXT_MAX);
    ms_arena_init(&arena, 65536);
    int rc = snapshot_stream(store, stream, &canonical, &name, err);
    if (rc == 0)
        rc = extend(snapshot, version, &arena, &event);
    struct ms_append_part parts[2] = {
        {.stream = stream, .condition = {MS_EXPECT_VERSION, stream_version}},
        {.stream = ms_buf_bytes(&name), .events = &event, .count = 1},
    };
    struct ms_append_request request = {
        .parts = parts, .part_count = 2, .system = true, .must_reach = true};
    if (rc == 0)
        rc = ms_store_append(store, &request, done, context, err);
    ms_buf_deinit(&canonical);
    ms_buf_deinit(&name);
    ms_arena_deinit(&arena);
    return ms_error_settle(err, rc, "snapshot");
}

struct snapshot_read {
    ms_read_fn *visit;
    void *context;
    int64_t version;
    bool found;
};

static int take_snapshot(void *context, const struct ms_read_event *event) {
    struct snapshot_read *read = context;
    const struct ms_event *e = &event->event;
    for (size_t i = 0; i < e->extension_count; i++)
        if (ms_bytes_equal_cstr(e->extensions[i].name, VERSION_EXTENSION) &&
            ms_parse_i64(e->extensions[i].value, &read->version) == 0)
            read->found = true;
    if (!read->found)
        return MS_ECORRUPT;
    int rc = read->visit(read->context, event);
    return rc < 0 ? rc : 1;
}

int ms_store_get_snapshot(struct ms_store *store, struct ms_bytes stream, ms_read_fn *visit,
                          void *context, int64_t *ret_stream_version, struct ms_error *err) {
    struct ms_buf canonical, name;
    struct snapshot_read snapshot = {.visit = visit, .context = context};
    ms_buf_init(&canonical, MS_NAME_TEXT_MAX);
    ms_buf_init(&name, MS_NAME_TEXT_MAX);
    int rc = snapshot_stream(store, stream, &canonical, &name, err);
    struct ms_stream_read read = {
        .stream = ms_buf_bytes(&name), .backward = true, .from_end = true, .limit = 1};
    struct ms_stream_read_result result;
    if (rc == 0)
        rc = ms_store_read_stream(store, &read, take_snapshot, &snapshot, &result, err);
    if (rc == 0 && !snapshot.found)
        rc = ms_error_set(err, MS_ENOTFOUND, "stream '%.*s' has no snapshot",
                          (int)(canonical.len > 200 ? 200 : canonical.len), canonical.data);
    ms_buf_deinit(&canonical);
    ms_buf_deinit(&name);
    if (rc == 0)
        *ret_stream_version = snapshot.version;
    return ms_error_settle(err, rc, "snapshot");
}
