/*
 * Topics and lists of streams.
 *
 * The store lists topics under its lock; here the list is copied first, so that visitors may call
 * anything. Any thread; all of it waits for the disk.
 */
#include "base/alloc.h"
#include "lib/lib.h"

#define PARTITIONS_MAX 1024u
#define LIST_BYTES_MAX ((size_t)64 << 20)

/* ---- one topic to and fro ---- */

static int64_t limit_in(int64_t value) { return value == 0 ? -1 : value; }
static int64_t limit_out(int64_t value) { return value < 0 ? 0 : value; }

static int take_settings(struct mainstem_store *store, const struct mainstem_topic_settings *from,
                         struct ms_topic_settings *settings, struct mainstem_error *err) {
    struct mainstem_topic_settings given;
    int rc = ms_lib_take_options("topic settings", from, &given, sizeof given, err);
    if (rc != 0)
        return rc;
    if (given.partitions > PARTITIONS_MAX)
        return ms_lib_fail(err, MS_EINVAL, "topic settings: %u partitions, the limit is %u",
                           given.partitions, PARTITIONS_MAX);
    if (given.compression > MAINSTEM_COMPRESSION_ZSTD)
        return ms_lib_fail(err, MS_EINVAL, "topic settings: compression %u is none",
                           given.compression);
    if (given.retention_ms < 0 || given.retention_bytes < 0 || given.retention_count < 0)
        return ms_lib_fail(err, MS_EINVAL, "topic settings: retention must not be negative");
    *settings = ms_topic_settings_default(store->store);
    if (given.partitions > 0)
        settings->partitions = (uint16_t)given.partitions;
    settings->retention_ms = limit_in(given.retention_ms);
    settings->retention_bytes = limit_in(given.retention_bytes);
    settings->retention_count = limit_in(given.retention_count);
    settings->compact = given.compact != 0;
    settings->compression = (enum ms_codec)given.compression;
    settings->require_source = given.require_source != 0;
    settings->require_correlation_id = given.require_correlation_id != 0;
    return 0;
}

struct listed_topic {
    struct mainstem_topic_info info; /* the name in the list's arena, settings when it is visited */
    struct mainstem_topic_settings settings;
};

static void give_topic(const struct ms_topic_info *from, struct listed_topic *topic) {
    topic->settings = (struct mainstem_topic_settings){
        .struct_size = sizeof topic->settings,
        .partitions = from->settings.partitions,
        .retention_ms = limit_out(from->settings.retention_ms),
        .retention_bytes = limit_out(from->settings.retention_bytes),
        .retention_count = limit_out(from->settings.retention_count),
        .compact = from->settings.compact,
        .compression = (uint32_t)from->settings.compression,
        .require_source = from->settings.require_source,
        .require_correlation_id = from->settings.require_correlation_id,
    };
    topic->info = (struct mainstem_topic_info){
        .name = ms_lib_bytes_out(from->name),
        .events = from->events,
        .created_at_ms = from->created_at_ms,
        .system = from->system,
    };
    ms_uuid_format(&from->id, topic->info.id);
}

/* ---- changing ---- */

static int enter_topic(struct mainstem_store *store, const char *name, struct mainstem_error *err) {
    int rc = ms_lib_enter_blocking(store, err);
    if (rc == 0 && name == NULL)
        return ms_lib_fail(err, MS_EINVAL, "no topic is named");
    return rc;
}

/* Settings that the library has no names for stay as other protocols have set them. */
static int keep_unnamed(void *context, const struct ms_topic_info *topic) {
    struct ms_topic_settings *taken = context, all = topic->settings;
    all.partitions = taken->partitions;
    all.retention_ms = taken->retention_ms;
    all.retention_bytes = taken->retention_bytes;
    all.retention_count = taken->retention_count;
    all.compact = taken->compact;
    all.compression = taken->compression;
    all.require_source = taken->require_source;
    all.require_correlation_id = taken->require_correlation_id;
    *taken = all;
    return 0;
}

int mainstem_put_topic(struct mainstem_store *store, const char *name,
                       const struct mainstem_topic_settings *settings, int *ret_created,
                       struct mainstem_error *err) {
    struct ms_topic_settings taken;
    struct ms_error error = {0};
    bool created = false;
    int rc = enter_topic(store, name, err);
    if (rc == 0)
        rc = take_settings(store, settings, &taken, err);
    if (rc != 0)
        return rc;
    rc = ms_store_get_topic(store->store, ms_bytes_cstr(name), keep_unnamed, &taken, &error);
    if (rc == 0 || rc == MS_ENOTFOUND)
        rc = ms_store_put_topic(store->store, ms_bytes_cstr(name), &taken, &created, &error);
    if (rc != 0)
        return ms_lib_fail_with(err, rc, &error);
    if (ret_created != NULL)
        *ret_created = created;
    return 0;
}

int mainstem_delete_topic(struct mainstem_store *store, const char *name,
                          struct mainstem_error *err) {
    struct ms_error error = {0};
    int rc = enter_topic(store, name, err);
    if (rc != 0)
        return rc;
    rc = ms_store_delete_topic(store->store, ms_bytes_cstr(name), &error);
    return rc != 0 ? ms_lib_fail_with(err, rc, &error) : 0;
}

/* ---- listing ---- */

struct topic_list {
    struct ms_arena arena;
    struct ms_buf topics; /* struct listed_topic */
};

static void list_init(struct topic_list *list) {
    ms_arena_init(&list->arena, LIST_BYTES_MAX);
    ms_buf_init(&list->topics, LIST_BYTES_MAX);
}

static void list_deinit(struct topic_list *list) {
    ms_buf_deinit(&list->topics);
    ms_arena_deinit(&list->arena);
}

static int list_topic(void *context, const struct ms_topic_info *from) {
    struct topic_list *list = context;
    struct listed_topic topic;
    give_topic(from, &topic);
    topic.info.name.data = ms_arena_strdup(&list->arena, from->name);
    if (topic.info.name.data == NULL)
        return MS_ENOMEM;
    return ms_buf_append(&list->topics, &topic, sizeof topic);
}

static int visit_topics(const struct topic_list *list, mainstem_topic_fn *visit, void *context,
                        struct mainstem_error *err) {
    struct listed_topic topic;
    for (size_t at = 0; at < list->topics.len; at += sizeof topic) {
        memcpy(&topic, list->topics.data + at, sizeof topic);
        topic.info.settings = &topic.settings;
        int said = visit(context, &topic.info);
        if (said != 0)
            return ms_lib_fail(err, said, "the visitor stopped with %d", said);
    }
    return 0;
}

int mainstem_get_topic(struct mainstem_store *store, const char *name, mainstem_topic_fn *visit,
                       void *context, struct mainstem_error *err) {
    struct ms_error error = {0};
    struct topic_list list;
    int rc = enter_topic(store, name, err);
    if (rc != 0)
        return rc;
    if (visit == NULL)
        return ms_lib_fail(err, MS_EINVAL, "nobody to visit the topic");
    list_init(&list);
    rc = ms_store_get_topic(store->store, ms_bytes_cstr(name), list_topic, &list, &error);
    rc = rc != 0 ? ms_lib_fail_with(err, rc, &error) : visit_topics(&list, visit, context, err);
    list_deinit(&list);
    return rc;
}

int mainstem_list_topics(struct mainstem_store *store, int include_system, mainstem_topic_fn *visit,
                         void *context, struct mainstem_error *err) {
    struct ms_error error = {0};
    struct topic_list list;
    int rc = ms_lib_enter_blocking(store, err);
    if (rc != 0)
        return rc;
    if (visit == NULL)
        return ms_lib_fail(err, MS_EINVAL, "nobody to visit the topics");
    list_init(&list);
    rc = ms_store_list_topics(store->store, include_system != 0, list_topic, &list, &error);
    rc = rc != 0 ? ms_lib_fail_with(err, rc, &error) : visit_topics(&list, visit, context, err);
    list_deinit(&list);
    return rc;
}

struct stream_visiting {
    mainstem_stream_fn *visit;
    void *context;
    int said;
};

static int visit_stream(void *context, struct ms_bytes stream, int64_t head,
                        uint64_t first_position) {
    struct stream_visiting *visiting = context;
    visiting->said =
        visiting->visit(visiting->context, ms_lib_bytes_out(stream), head, first_position);
    return visiting->said != 0;
}

int mainstem_list_streams(struct mainstem_store *store, const char *topic, uint64_t from,
                          uint64_t limit, mainstem_stream_fn *visit, void *context,
                          struct mainstem_error *err) {
    struct stream_visiting visiting = {.visit = visit, .context = context};
    struct ms_error error = {0};
    uint64_t next;
    bool at_end;
    int rc = enter_topic(store, topic, err);
    if (rc != 0)
        return rc;
    if (visit == NULL)
        return ms_lib_fail(err, MS_EINVAL, "nobody to visit the streams");
    rc = ms_store_list_streams(store->store, ms_bytes_cstr(topic), from,
                               limit == 0 ? SIZE_MAX : (size_t)limit, visit_stream, &visiting,
                               &next, &at_end, &error);
    if (rc != 0)
        return ms_lib_fail_with(err, rc, &error);
    if (visiting.said != 0)
        return ms_lib_fail(err, visiting.said, "the visitor stopped with %d", visiting.said);
    return 0;
}
