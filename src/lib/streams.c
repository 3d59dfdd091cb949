/* One stream: what it is, deleting it, its metadata and snapshots. Any thread; all of it waits for
 * the disk. */
#include "base/alloc.h"
#include "lib/lib.h"

static int enter_stream(struct mainstem_store *store, const char *stream,
                        struct mainstem_error *err) {
    int rc = ms_lib_enter_blocking(store, err);
    if (rc == 0 && stream == NULL)
        return ms_lib_fail(err, MS_EINVAL, "no stream is named");
    return rc;
}

int mainstem_stream_info(struct mainstem_store *store, const char *stream,
                         struct mainstem_stream_info *info, struct mainstem_error *err) {
    struct ms_error error = {0};
    struct ms_stream_read_result result;
    struct ms_stream_read read = {.stream = ms_bytes_cstr(stream)};
    int rc = enter_stream(store, stream, err);
    if (rc != 0)
        return rc;
    rc = ms_store_read_stream(store->store, &read, NULL, NULL, &result, &error);
    if (rc != 0)
        return ms_lib_fail_with(err, rc, &error);
    struct mainstem_stream_info filled = {
        .state = result.state, .version = result.head, .first_version = result.first};
    return ms_lib_give_struct("stream info", &filled, sizeof filled, info, err);
}

int mainstem_delete_stream(struct mainstem_store *store, const char *stream,
                           int64_t expected_version, int tombstone, struct mainstem_error *err) {
    struct ms_condition condition;
    struct ms_error error = {0};
    struct ms_lib_wait wait;
    int rc = enter_stream(store, stream, err);
    if (rc == 0)
        rc = ms_lib_condition(expected_version, &condition, err);
    if (rc != 0)
        return rc;
    ms_lib_wait_init(&wait, err);
    rc = ms_store_delete_stream(store->store, ms_bytes_cstr(stream), condition, tombstone != 0,
                                ms_lib_wait_done, &wait, &error);
    return ms_lib_wait_finish(&wait, rc, &error);
}

/* ---- metadata ---- */

int mainstem_put_metadata(struct mainstem_store *store, const char *stream,
                          int64_t expected_version, struct mainstem_bytes json,
                          struct mainstem_error *err) {
    struct ms_condition condition;
    struct ms_error error = {0};
    struct ms_lib_wait wait;
    int rc = enter_stream(store, stream, err);
    if (rc == 0)
        rc = ms_lib_condition(expected_version, &condition, err);
    if (rc != 0)
        return rc;
    ms_lib_wait_init(&wait, err);
    rc = ms_store_put_metadata(store->store, ms_bytes_cstr(stream), condition, ms_lib_bytes(json),
                               ms_lib_wait_done, &wait, &error);
    return ms_lib_wait_finish(&wait, rc, &error);
}

int mainstem_get_metadata(struct mainstem_store *store, const char *stream, char **ret_json,
                          int64_t *ret_version, struct mainstem_error *err) {
    struct ms_error error = {0};
    struct ms_buf json;
    int64_t version;
    int rc = enter_stream(store, stream, err);
    if (rc != 0)
        return rc;
    if (ret_json == NULL)
        return ms_lib_fail(err, MS_EINVAL, "no place for the answer");
    ms_buf_init(&json, (size_t)MAINSTEM_METADATA_BYTES_MAX + 64);
    rc = ms_store_get_metadata(store->store, ms_bytes_cstr(stream), &json, &version, &error);
    if (rc == 0)
        rc = ms_buf_append_u8(&json, 0);
    if (rc != 0) {
        ms_buf_deinit(&json);
        return ms_lib_fail_with(err, rc, &error);
    }
    *ret_json = (char *)json.data; /* a heap block of its own, given away */
    if (ret_version != NULL)
        *ret_version = version;
    return 0;
}

/* ---- snapshots ---- */

int mainstem_put_snapshot(struct mainstem_store *store, const char *stream, int64_t stream_version,
                          const struct mainstem_event *snapshot, struct mainstem_error *err) {
    struct ms_error error = {0};
    struct ms_lib_wait wait;
    struct ms_arena arena;
    const struct ms_event *event;
    int rc = enter_stream(store, stream, err);
    if (rc != 0)
        return rc;
    ms_arena_init(&arena, (size_t)1 << 20);
    rc = ms_lib_events(snapshot, 1, &arena, &event, err);
    if (rc == 0) {
        ms_lib_wait_init(&wait, err);
        rc = ms_store_put_snapshot(store->store, ms_bytes_cstr(stream), stream_version, event,
                                   ms_lib_wait_done, &wait, &error);
        rc = ms_lib_wait_finish(&wait, rc, &error);
    }
    ms_arena_deinit(&arena);
    return rc;
}

struct visiting {
    mainstem_visit_fn *visit;
    void *context;
    int said;
};

static int visit_snapshot(void *context, const struct ms_read_event *event) {
    struct visiting *visiting = context;
    struct mainstem_extension extensions[MS_EVENT_EXTENSIONS_MAX];
    struct mainstem_recorded_event recorded;
    ms_lib_recorded(event, extensions, &recorded);
    visiting->said = visiting->visit(visiting->context, &recorded);
    return 1;
}

int mainstem_get_snapshot(struct mainstem_store *store, const char *stream,
                          mainstem_visit_fn *visit, void *context, int64_t *ret_stream_version,
                          struct mainstem_error *err) {
    struct visiting visiting = {.visit = visit, .context = context};
    struct ms_error error = {0};
    int64_t version;
    int rc = enter_stream(store, stream, err);
    if (rc != 0)
        return rc;
    if (visit == NULL)
        return ms_lib_fail(err, MS_EINVAL, "nobody to visit the snapshot");
    rc = ms_store_get_snapshot(store->store, ms_bytes_cstr(stream), visit_snapshot, &visiting,
                               &version, &error);
    if (rc != 0)
        return ms_lib_fail_with(err, rc, &error);
    if (visiting.said != 0)
        return ms_lib_fail(err, visiting.said, "the visitor stopped with %d", visiting.said);
    if (ret_stream_version != NULL)
        *ret_stream_version = version;
    return 0;
}
