/*
 * What is known of projections, as events in the log: the stream "$apps-<projection>" has
 *
 *   projection.deployed   {"version": n, "file": "…", "text": "<the file>",
 *                          "first_needed": position, "allow_incomplete": true, "incomplete": …}
 *   projection.switched   {"version": n}           it answers from now on
 *   projection.paused, projection.resumed   {}
 *   projection.incomplete_allowed   {}             its versions go on where events are missing …
 *   projection.incomplete {"version": n, "incomplete": …}   … and this one did
 *   projection.dropped    {} all of it, or {"version": n}
 *
 * "incomplete" is what was scavenged that the version needed: {"topic": "order" or null,
 * "first_position": n, "last_position": n}.
 */
#include <jansson.h>
#include <stdio.h>

#include "base/alloc.h"
#include "projection/projections_internal.h"
#include "projection/slots.h"

#define APPS_TOPIC "$apps"
#define STREAM_PREFIX "$apps-"
#define SOURCE "mainstem"
#define HASH_TEXT 33

static const char *const types[] = {
    [PROJECTION_DEPLOYED] = "projection.deployed",
    [PROJECTION_SWITCHED] = "projection.switched",
    [PROJECTION_PAUSED] = "projection.paused",
    [PROJECTION_RESUMED] = "projection.resumed",
    [PROJECTION_ALLOWED] = "projection.incomplete_allowed",
    [PROJECTION_INCOMPLETE] = "projection.incomplete",
    [PROJECTION_DROPPED] = "projection.dropped",
};
#define TYPE_COUNT (sizeof types / sizeof *types)

/* ---- writing ---- */

static void add_missing(json_t *root, const struct ms_missing *missing) {
    if (!missing->any)
        return;
    json_t *object = json_object();
    json_object_set_new(object, "topic",
                        missing->topic[0] != '\0' ? json_string(missing->topic) : json_null());
    json_object_set_new(object, "first_position", json_integer((json_int_t)missing->first));
    json_object_set_new(object, "last_position", json_integer((json_int_t)missing->last));
    json_object_set_new(root, "incomplete", object);
}

static json_t *document(enum projection_event event, const struct projection_version *version) {
    json_t *root = json_object();
    if (version != NULL)
        json_object_set_new(root, "version", json_integer(version->number));
    if (event == PROJECTION_DEPLOYED && version != NULL) {
        json_object_set_new(root, "file", json_string(version->file));
        json_object_set_new(root, "text",
                            json_stringn((const char *)version->text.data, version->text.len));
        json_object_set_new(root, "first_needed", json_integer((json_int_t)version->first_needed));
        if (version->allow_incomplete)
            json_object_set_new(root, "allow_incomplete", json_true());
    }
    if ((event == PROJECTION_DEPLOYED || event == PROJECTION_INCOMPLETE) && version != NULL)
        add_missing(root, &version->missing);
    return root;
}

static int append(struct ms_store *store, const char *stream, const char *type,
                  struct ms_bytes data, struct ms_error *err) {
    struct ms_event event = {
        .type = ms_bytes_cstr(type),
        .source = ms_bytes_cstr(SOURCE),
        .data = data,
        .timestamp_ms = MS_TIMESTAMP_NONE,
    };
    struct ms_append_part part = {.stream = ms_bytes_cstr(stream), .events = &event, .count = 1};
    struct ms_append_request request = {
        .parts = &part, .part_count = 1, .system = true, .wait = true};
    struct ms_append_part_result result;
    struct ms_append_result answer;
    return ms_store_append_wait(store, &request, &result, &answer, err);
}

int ms_projections_note(struct ms_projections *projections, const struct projection *projection,
                        enum projection_event event, const struct projection_version *version,
                        struct ms_error *err) {
    char stream[sizeof STREAM_PREFIX + MS_PROJECTION_NAME_MAX + 1];
    snprintf(stream, sizeof stream, STREAM_PREFIX "%s", projection->name);
    json_t *root = document(event, version);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    int code =
        text != NULL
            ? append(projections->options.store, stream, types[event], ms_bytes_cstr(text), err)
            : ms_error_set(err, MS_ENOMEM, "no memory to note a change of projections");
    json_decref(root);
    free(text);
    return code;
}

/* ---- reading ---- */

struct loading {
    struct ms_projections *projections;
    struct ms_error *err;
};

static void load_missing(json_t *root, struct ms_missing *ret_missing) {
    json_t *object = json_object_get(root, "incomplete");
    const char *topic = json_string_value(json_object_get(object, "topic"));
    if (!json_is_object(object))
        return;
    *ret_missing = (struct ms_missing){
        .any = true,
        .first = (uint64_t)json_integer_value(json_object_get(object, "first_position")),
        .last = (uint64_t)json_integer_value(json_object_get(object, "last_position")),
    };
    snprintf(ret_missing->topic, sizeof ret_missing->topic, "%s", topic != NULL ? topic : "");
}

static void load_allowed(struct projection *projection) {
    for (size_t i = 0; i < MS_PROJECTION_VERSIONS_MAX; i++)
        projection->versions[i].allow_incomplete = projection->versions[i].number != 0;
}

static int load_deployed(struct projection *projection, json_t *root, int64_t time_ms) {
    struct projection_version version = {0};
    const char *text = json_string_value(json_object_get(root, "text"));
    const char *file = json_string_value(json_object_get(root, "file"));
    if (text == NULL)
        return 0;
    version.number = (unsigned)json_integer_value(json_object_get(root, "version"));
    version.deployed_at_ms = time_ms;
    version.allow_incomplete = json_is_true(json_object_get(root, "allow_incomplete"));
    version.first_needed = (uint64_t)json_integer_value(json_object_get(root, "first_needed"));
    load_missing(root, &version.missing);
    snprintf(version.file, sizeof version.file, "%s", file != NULL ? file : projection->name);
    if (!ms_slot_set_text(&version, ms_bytes_cstr(text)))
        return MS_ENOMEM;
    ms_slot_deploy(projection, &version);
    return 0;
}

static int load_event(struct loading *loading, struct projection *projection, size_t type,
                      json_t *root, int64_t time_ms) {
    unsigned number = (unsigned)json_integer_value(json_object_get(root, "version"));
    switch ((enum projection_event)type) {
    case PROJECTION_DEPLOYED:
        return load_deployed(projection, root, time_ms);
    case PROJECTION_SWITCHED:
        ms_slot_switch(projection, number, time_ms);
        break;
    case PROJECTION_PAUSED:
    case PROJECTION_RESUMED:
        projection->paused = type == PROJECTION_PAUSED;
        break;
    case PROJECTION_ALLOWED:
        load_allowed(projection);
        break;
    case PROJECTION_INCOMPLETE:
        if (ms_slot_find(projection, number) != NULL)
            load_missing(root, &ms_slot_find(projection, number)->missing);
        break;
    case PROJECTION_DROPPED:
        if (number != 0)
            ms_slot_drop(projection, number);
        else
            ms_projections_forget(loading->projections, projection);
        break;
    }
    return 0;
}

static int take_event(struct loading *loading, size_t type, const struct ms_read_event *event) {
    struct ms_projections *projections = loading->projections;
    json_t *root = json_loadb((const char *)event->event.data.data, event->event.data.len,
                              JSON_REJECT_DUPLICATES, NULL);
    struct projection *projection = ms_projections_find(projections, event->place.key);
    int code = 0;
    if (projection == NULL && type == PROJECTION_DEPLOYED)
        projection = ms_projections_add(projections, event->place.key);
    if (root == NULL || (projection == NULL && type == PROJECTION_DEPLOYED))
        code = ms_error_set(loading->err, root == NULL ? MS_ECORRUPT : MS_ENOMEM,
                            "event %llu of '%.*s' can't be read",
                            (unsigned long long)event->place.position, (int)event->place.stream.len,
                            (const char *)event->place.stream.data);
    else if (projection != NULL)
        code = load_event(loading, projection, type, root, event->event.timestamp_ms);
    json_decref(root);
    return code;
}

static int visit(void *context, const struct ms_read_event *event) {
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (ms_bytes_equal_cstr(event->event.type, types[i]))
            return take_event(context, i, event);
    return 0;
}

int ms_projections_load(struct ms_projections *projections, struct ms_error *err) {
    struct loading loading = {.projections = projections, .err = err};
    struct ms_bytes topic = ms_bytes_cstr(APPS_TOPIC);
    struct ms_all_read read = {
        .limit = SIZE_MAX,
        .filter = {.topics = &topic, .topic_count = 1, .include_system = true},
    };
    struct ms_all_read_result result = {0};
    int code = 0;
    while (code == 0 && !result.at_end) {
        code = ms_store_read_all(projections->options.store, &read, visit, &loading, &result, err);
        read.from = result.next;
    }
    return code;
}
