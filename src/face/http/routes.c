/* The route table; see routes.h. Constant; any thread. */
#include "face/http/routes.h"

#include "face/http/handlers.h"
#include "face/http/http_metrics.h"

#define P(name) MS_HTTP_PARAM_BIT(name)
#define STREAM_PARAMS (P(FROM) | P(LIMIT) | P(DIRECTION) | P(AS_OF) | P(KNOWN_AT) | P(WAIT))
#define ALL_PARAMS                                                                                 \
    (STREAM_PARAMS | P(TOPIC) | P(STREAM_PREFIX) | P(TYPE) | P(TAG) | P(CORRELATION_ID) | P(SYSTEM))
#define ANSWERS(...) ((const struct ms_http_route_answer[]){__VA_ARGS__, {0, NULL, NULL}})
#define BAD                                                                                        \
    { 400, "Problem", "The request is malformed; `detail` says where." }
#define RESERVED                                                                                   \
    { 403, "Problem", "The name is reserved." }
#define TOMBSTONED                                                                                 \
    { 410, "Problem", "The stream was deleted for ever." }
#define TOO_LARGE                                                                                  \
    { 413, "Problem", "Larger than a limit." }
#define BAD_TYPE                                                                                   \
    { 415, "Problem", "Missing or unknown content type." }
#define UNKNOWN_OUTCOME                                                                            \
    {                                                                                              \
        503, "Problem",                                                                            \
            "The outcome is not known (`outcome-unknown`): resend with the same event ids."        \
    }
#define DISK_FULL                                                                                  \
    { 507, "Problem", "No disk space for further appends." }
#define NO_GROUPS                                                                                  \
    { 501, "Problem", "This server keeps no consumer groups." }
#define BUSY                                                                                       \
    { 503, "Problem", "Not possible right now, try again." }
#define NO_PROJECTIONS                                                                             \
    { 501, "Problem", "This server keeps no projections." }
#define NO_SUCH_PROJECTION                                                                         \
    { 404, "Problem", "There is no such projection." }
#define INCOMPLETE                                                                                 \
    {                                                                                              \
        409, "Problem",                                                                            \
            "Events that are needed were scavenged; `detail` names the topic and the positions."   \
    }
#define NOT_EMPTY                                                                                  \
    { 409, "Problem", "The group has members: see `state` and `members`." }

static const struct ms_http_route_answer append_answers[] = {
    {201, "Appended", "Appended and durable."},
    {200, "Appended", "The same events were there already; nothing was added."},
    BAD,
    RESERVED,
    {409, "Problem", "An event id was used before for something else."},
    TOMBSTONED,
    {412, "Problem", "The condition does not hold: see `expected` and `actual`."},
    TOO_LARGE,
    BAD_TYPE,
    UNKNOWN_OUTCOME,
    DISK_FULL,
    {0, NULL, NULL},
};
static const struct ms_http_route_answer read_answers[] = {
    {200, "Events", "A page of events; `Link: rel=\"next\"` when there are more."},
    BAD,
    {404, "Problem", "There is no such stream, or it was deleted."},
    {406, "Problem", "Accept names no media type that events can be answered in."},
    TOMBSTONED,
    {0, NULL, NULL},
};
static const struct ms_http_route_answer deleted_answers[] = {
    {200, "Written", "Deleted and durable."},
    BAD,
    RESERVED,
    {404, "Problem", "There is no such stream."},
    TOMBSTONED,
    {412, "Problem", "The condition does not hold: see `expected` and `actual`."},
    UNKNOWN_OUTCOME,
    DISK_FULL,
    {0, NULL, NULL},
};
static const struct ms_http_route_answer written_answers[] = {
    {200, "Written", "Done and durable."},
    BAD,
    RESERVED,
    {404, "Problem", "There is no such stream."},
    TOMBSTONED,
    {412, "Problem", "The condition does not hold: see `expected` and `actual`."},
    TOO_LARGE,
    BAD_TYPE,
    UNKNOWN_OUTCOME,
    DISK_FULL,
    {0, NULL, NULL},
};
static const struct ms_http_route_answer metadata_answers[] = {
    {200, "Metadata", "The metadata; ETag is its own version."},
    BAD,
    {404, "Problem", "There is none."},
    {0, NULL, NULL},
};
static const struct ms_http_route_answer snapshot_answers[] = {
    {200, "Snapshot", "The newest snapshot; ETag is the version that it stands for."},
    BAD,
    RESERVED,
    {404, "Problem", "There is none."},
    {0, NULL, NULL},
};

static const struct ms_http_route table[] = {
    {MS_HTTP_POST, "/v1/streams/{stream}", "appendToStream",
     "Append one event or several to a stream, under a condition", ms_http_append_start, NULL, 0,
     MS_HTTP_ROUTE_PIPELINED | MS_HTTP_ROUTE_CONDITIONS | MS_HTTP_ROUTE_STREAM,
     MS_HTTP_TAKES_EVENTS, append_answers},
    {MS_HTTP_GET, "/v1/streams/{stream}", "readStream",
     "Read a stream, wait for its next event, or subscribe to it", ms_http_read_stream_start, NULL,
     STREAM_PARAMS, MS_HTTP_ROUTE_EVENTS | MS_HTTP_ROUTE_STREAM, MS_HTTP_TAKES_NONE, read_answers},
    {MS_HTTP_DELETE, "/v1/streams/{stream}", "deleteStream",
     "Delete a stream: it reopens with the next append, unless tombstone is given",
     ms_http_delete_stream_start, NULL, P(TOMBSTONE),
     MS_HTTP_ROUTE_CONDITIONS | MS_HTTP_ROUTE_STREAM, MS_HTTP_TAKES_NONE, deleted_answers},
    {MS_HTTP_GET, "/v1/events", "readAll",
     "Read all events in order, wait for the next one, or subscribe to them",
     ms_http_read_all_start, NULL, ALL_PARAMS, MS_HTTP_ROUTE_EVENTS, MS_HTTP_TAKES_NONE,
     read_answers},
    {MS_HTTP_POST, "/v1/append", "appendMulti",
     "Append to several streams, all or nothing, under conditions on streams and on queries",
     ms_http_append_multi_start, NULL, 0, MS_HTTP_ROUTE_PIPELINED, MS_HTTP_TAKES_JSON,
     ANSWERS({201, "AppendedMulti", "Appended and durable."},
             {200, "AppendedMulti", "Nothing was added: repeated, or only conditions."}, BAD,
             RESERVED, {409, "Problem", "An event id was used before for something else."},
             TOMBSTONED, {412, "Problem", "A condition does not hold."}, TOO_LARGE, BAD_TYPE,
             UNKNOWN_OUTCOME, DISK_FULL)},
    {MS_HTTP_GET, "/v1/streams/{stream}/metadata", "getStreamMetadata", "A stream's metadata",
     ms_http_get_metadata_start, NULL, 0, MS_HTTP_ROUTE_STREAM, MS_HTTP_TAKES_NONE,
     metadata_answers},
    {MS_HTTP_PUT, "/v1/streams/{stream}/metadata", "putStreamMetadata",
     "Replace a stream's metadata ($maxAge, $maxCount, $tb and free keys)",
     ms_http_put_metadata_start, NULL, 0, MS_HTTP_ROUTE_CONDITIONS | MS_HTTP_ROUTE_STREAM,
     MS_HTTP_TAKES_JSON, written_answers},
    {MS_HTTP_GET, "/v1/streams/{stream}/snapshot", "getSnapshot", "A stream's newest snapshot",
     ms_http_get_snapshot_start, NULL, 0, MS_HTTP_ROUTE_STREAM, MS_HTTP_TAKES_NONE,
     snapshot_answers},
    {MS_HTTP_PUT, "/v1/streams/{stream}/snapshot", "putSnapshot",
     "Store a snapshot: an event envelope that stands for the stream up to a version",
     ms_http_put_snapshot_start, ms_http_snapshot_prepare, P(VERSION), MS_HTTP_ROUTE_STREAM,
     MS_HTTP_TAKES_EVENTS, written_answers},
    {MS_HTTP_GET, "/v1/streams", "listStreams", "The streams of a topic, oldest first",
     ms_http_list_streams_start, NULL, P(TOPIC) | P(FROM) | P(LIMIT), 0, MS_HTTP_TAKES_NONE,
     ANSWERS({200, "Streams", "A page of streams."}, BAD,
             {404, "Problem", "There is no such topic."})},
    {MS_HTTP_GET, "/v1/topics", "listTopics", "All topics", ms_http_list_topics_start, NULL,
     P(SYSTEM), 0, MS_HTTP_TAKES_NONE, ANSWERS({200, "Topics", "The topics."})},
    {MS_HTTP_GET, "/v1/topics/{topic}", "getTopic", "A topic and its settings",
     ms_http_get_topic_start, NULL, 0, 0, MS_HTTP_TAKES_NONE,
     ANSWERS({200, "Topic", "The topic."}, {404, "Problem", "There is no such topic."})},
    {MS_HTTP_PUT, "/v1/topics/{topic}", "putTopic", "Make a topic, or change its settings",
     ms_http_put_topic_start, NULL, 0, MS_HTTP_ROUTE_BODY_OPTIONAL, MS_HTTP_TAKES_JSON,
     ANSWERS(
         {201, "Topic", "Made."},
         {200, "Topic", "Changed; when streams were switched on, all its records have versions."},
         BAD, RESERVED, TOO_LARGE, BAD_TYPE,
         {501, "Problem", "Streams can be switched off only while a topic has no records."},
         {503, "Problem",
          "Its outcome is not known (`outcome-unknown`); or in a topic that is to get streams a "
          "transaction is open, or producers are too fast (`try-again`); or the server is "
          "stopping."},
         DISK_FULL)},
    {MS_HTTP_DELETE, "/v1/topics/{topic}", "deleteTopic", "Delete a topic with all its streams",
     ms_http_delete_topic_start, NULL, 0, 0, MS_HTTP_TAKES_NONE,
     ANSWERS({204, NULL, "Deleted."}, RESERVED, {404, "Problem", "There is no such topic."},
             UNKNOWN_OUTCOME, DISK_FULL)},
    {MS_HTTP_GET, "/v1/topics/{topic}/partitions", "listPartitions",
     "The partitions of a topic and how far they reach", ms_http_list_partitions_start, NULL, 0, 0,
     MS_HTTP_TAKES_NONE,
     ANSWERS({200, "Partitions", "The partitions."}, {404, "Problem", "There is no such topic."})},
    {MS_HTTP_POST, "/v1/topics/{topic}/keys/{key}", "appendToKey",
     "Append to the stream of a topic and key", ms_http_append_start, NULL, 0,
     MS_HTTP_ROUTE_PIPELINED | MS_HTTP_ROUTE_CONDITIONS | MS_HTTP_ROUTE_KEY, MS_HTTP_TAKES_EVENTS,
     append_answers},
    {MS_HTTP_GET, "/v1/topics/{topic}/keys/{key}", "readKey", "Read the stream of a topic and key",
     ms_http_read_stream_start, NULL, STREAM_PARAMS, MS_HTTP_ROUTE_EVENTS | MS_HTTP_ROUTE_KEY,
     MS_HTTP_TAKES_NONE, read_answers},
    {MS_HTTP_DELETE, "/v1/topics/{topic}/keys/{key}", "deleteKey",
     "Delete the stream of a topic and key", ms_http_delete_stream_start, NULL, P(TOMBSTONE),
     MS_HTTP_ROUTE_CONDITIONS | MS_HTTP_ROUTE_KEY, MS_HTTP_TAKES_NONE, deleted_answers},
    {MS_HTTP_GET, "/v1/topics/{topic}/keys/{key}/metadata", "getKeyMetadata",
     "The metadata of the stream of a topic and key", ms_http_get_metadata_start, NULL, 0,
     MS_HTTP_ROUTE_KEY, MS_HTTP_TAKES_NONE, metadata_answers},
    {MS_HTTP_PUT, "/v1/topics/{topic}/keys/{key}/metadata", "putKeyMetadata",
     "Replace the metadata of the stream of a topic and key", ms_http_put_metadata_start, NULL, 0,
     MS_HTTP_ROUTE_CONDITIONS | MS_HTTP_ROUTE_KEY, MS_HTTP_TAKES_JSON, written_answers},
    {MS_HTTP_GET, "/v1/topics/{topic}/keys/{key}/snapshot", "getKeySnapshot",
     "The newest snapshot of the stream of a topic and key", ms_http_get_snapshot_start, NULL, 0,
     MS_HTTP_ROUTE_KEY, MS_HTTP_TAKES_NONE, snapshot_answers},
    {MS_HTTP_PUT, "/v1/topics/{topic}/keys/{key}/snapshot", "putKeySnapshot",
     "Store a snapshot of the stream of a topic and key", ms_http_put_snapshot_start,
     ms_http_snapshot_prepare, P(VERSION), MS_HTTP_ROUTE_KEY, MS_HTTP_TAKES_EVENTS,
     written_answers},
    {MS_HTTP_GET, "/v1/groups", "listGroups", "All consumer groups, and how far they are behind",
     ms_http_list_groups_start, NULL, 0, 0, MS_HTTP_TAKES_NONE,
     ANSWERS({200, "Groups", "The groups."}, NO_GROUPS, BUSY)},
    {MS_HTTP_GET, "/v1/groups/{group}", "getGroup",
     "A consumer group: its members, its offsets, how far it is behind", ms_http_get_group_start,
     NULL, 0, 0, MS_HTTP_TAKES_NONE,
     ANSWERS({200, "Group", "The group."}, {404, "Problem", "There is no such group."}, NO_GROUPS,
             BUSY)},
    {MS_HTTP_PUT, "/v1/groups/{group}/offsets", "resetGroupOffsets",
     "Set where a consumer group without members goes on reading", ms_http_reset_group_start, NULL,
     0, 0, MS_HTTP_TAKES_JSON,
     ANSWERS({200, "GroupResetDone", "Set and durable, or what would have been set."}, BAD,
             {404, "Problem", "There is no such group, topic or partition."}, NOT_EMPTY, TOO_LARGE,
             BAD_TYPE, {429, "Problem", "There are as many groups or offsets as there may be."},
             NO_GROUPS, BUSY)},
    {MS_HTTP_DELETE, "/v1/groups/{group}", "deleteGroup",
     "Delete a consumer group without members, with its offsets", ms_http_delete_group_start, NULL,
     0, 0, MS_HTTP_TAKES_NONE,
     ANSWERS({204, NULL, "Deleted."}, {404, "Problem", "There is no such group."}, NOT_EMPTY,
             NO_GROUPS, BUSY)},
    {MS_HTTP_GET, "/v1/queries/{projection}/{query}", "query",
     "Ask a read model; the query's own parameters are query parameters", ms_http_query_start, NULL,
     0, MS_HTTP_ROUTE_ROWS, MS_HTTP_TAKES_NONE,
     ANSWERS({200, "Rows", "A page of rows; `Link: rel=\"next\"` when there are more."}, BAD,
             {404, "Problem", "There is no such projection or query."},
             {406, "Problem", "Accept names no media type that rows can be answered in."},
             INCOMPLETE, TOO_LARGE, NO_PROJECTIONS,
             {503, "Problem", "The projection is being built, or its database is away."},
             {504, "Problem",
              "What was waited for was not applied in time, or the query took too "
              "long."})},
    {MS_HTTP_GET, "/v1/projections", "listProjections", "All read models, and how far they are",
     ms_http_list_projections_start, NULL, 0, 0, MS_HTTP_TAKES_NONE,
     ANSWERS({200, "Projections", "The projections."}, NO_PROJECTIONS)},
    {MS_HTTP_GET, "/v1/projections/{projection}", "getProjection",
     "A read model: its versions, and how far they are", ms_http_get_projection_start, NULL, 0, 0,
     MS_HTTP_TAKES_NONE,
     ANSWERS({200, "Projection", "The projection."}, NO_SUCH_PROJECTION, NO_PROJECTIONS)},
    {MS_HTTP_PUT, "/v1/projections/{projection}", "putProjection",
     "Deploy a projection file: a changed one fills beside the running version and takes over",
     ms_http_put_projection_start, NULL, P(ALLOW_INCOMPLETE), 0, MS_HTTP_TAKES_TEXT,
     ANSWERS({201, "Deployed", "A new version; it is being filled."},
             {200, "Deployed", "This version was there already."},
             {400, "Problem", "The file is wrong; `detail` says where: file:line:column."},
             RESERVED, INCOMPLETE, TOO_LARGE, NO_PROJECTIONS, BUSY, DISK_FULL)},
    {MS_HTTP_DELETE, "/v1/projections/{projection}", "deleteProjection",
     "Drop a read model with all its tables", ms_http_delete_projection_start, NULL, 0, 0,
     MS_HTTP_TAKES_NONE,
     ANSWERS({204, NULL, "Dropped."}, NO_SUCH_PROJECTION, NO_PROJECTIONS, BUSY)},
    {MS_HTTP_GET, "/v1/projections/{projection}/errors", "projectionErrors",
     "What a read model can't apply: versions that stopped, events set aside",
     ms_http_projection_errors_start, NULL, 0, 0, MS_HTTP_TAKES_NONE,
     ANSWERS({200, "Parked", "Both, by version and position."}, NO_SUCH_PROJECTION, NO_PROJECTIONS,
             BUSY)},
    {MS_HTTP_POST, "/v1/projections/{projection}/{verb}", "changeProjection",
     "pause, resume, rebuild, switch, retry or skip", ms_http_projection_verb_start, NULL,
     P(ALLOW_INCOMPLETE), MS_HTTP_ROUTE_BODY_OPTIONAL, MS_HTTP_TAKES_JSON,
     ANSWERS({200, "Projection", "Done."}, BAD,
             {404, "Problem", "There is no such projection, version, event or verb."},
             {409, "Problem",
              "Tried again, and an event can't be applied: its position is told. Or events that "
              "are needed were scavenged."},
             BAD_TYPE, NO_PROJECTIONS, BUSY)},
    {MS_HTTP_POST, "/v1/admin/backup", "backup",
     "Make a backup in a directory of the server's host; answers when it is done",
     ms_http_backup_start, NULL, 0, 0, MS_HTTP_TAKES_JSON,
     ANSWERS({200, "Backup", "It is there, whole and synced."}, BAD,
             {404, "Problem", "A directory on the way is not there."},
             {409, "Problem", "The directory is not empty."}, TOO_LARGE, BAD_TYPE,
             {503, "Problem", "A scavenge or another backup is running."},
             {507, "Problem", "No disk space there."})},
    {MS_HTTP_POST, "/v1/admin/scavenge", "startScavenge",
     "Remove in the background what deletes, truncation and retention have marked",
     ms_http_scavenge_start, NULL, 0, MS_HTTP_ROUTE_BODY_OPTIONAL, MS_HTTP_TAKES_JSON,
     ANSWERS({202, "Scavenge", "It runs; `Location` tells how far it is."}, BAD, TOO_LARGE,
             BAD_TYPE, {503, "Problem", "A scavenge is running already."})},
    {MS_HTTP_GET, "/v1/admin/scavenge", "scavenge", "How far a scavenge is, and how the last ended",
     ms_http_scavenge_status_start, NULL, 0, 0, MS_HTTP_TAKES_NONE,
     ANSWERS({200, "Scavenge", "The status."})},
    {MS_HTTP_GET, "/healthz", "health", "Whether the log works", ms_http_health_start, NULL, 0, 0,
     MS_HTTP_TAKES_NONE,
     ANSWERS({200, "Health", "It works."}, {503, "Health", "The log has stopped."})},
    {MS_HTTP_GET, "/readyz", "ready", "Whether requests should be sent here", ms_http_ready_start,
     NULL, 0, 0, MS_HTTP_TAKES_NONE,
     ANSWERS({200, "Health", "Ready."}, {503, "Health", "Starting, stopping or stopped."})},
    {MS_HTTP_GET, "/metrics", "metrics", "Metrics in Prometheus text format", ms_http_metrics_start,
     NULL, 0, 0, MS_HTTP_TAKES_NONE, ANSWERS({200, "Metrics", "The metrics."})},
    {MS_HTTP_GET, "/v1/info", "info", "Version, limits and the state of the store",
     ms_http_info_start, NULL, 0, 0, MS_HTTP_TAKES_NONE,
     ANSWERS({200, "Info", "The information."})},
    {MS_HTTP_GET, "/openapi.json", "openapi", "This description", ms_http_openapi_start, NULL, 0, 0,
     MS_HTTP_TAKES_NONE, ANSWERS({200, "OpenApi", "An OpenAPI 3.1 document."})},
};
#define ROUTES (sizeof table / sizeof *table)
_Static_assert(ROUTES < MS_HTTP_ROUTES_MAX, "every route has its metrics");

static const char *const method_names[MS_HTTP_METHOD_COUNT] = {"GET", "HEAD",   "POST",
                                                               "PUT", "DELETE", "OPTIONS"};

const char *ms_http_method_name(enum ms_http_method method) { return method_names[method]; }

bool ms_http_method_parse(struct ms_bytes text, enum ms_http_method *ret_method) {
    for (int i = 0; i < MS_HTTP_METHOD_COUNT; i++) {
        if (ms_bytes_equal_cstr(text, method_names[i])) {
            *ret_method = (enum ms_http_method)i;
            return true;
        }
    }
    return false;
}

size_t ms_http_route_count(void) { return ROUTES; }

const struct ms_http_route *ms_http_route_at(size_t index) {
    MS_ASSERT(index < ROUTES);
    return &table[index];
}

size_t ms_http_route_index(const struct ms_http_route *route) {
    return route ? (size_t)(route - table) : MS_HTTP_ROUTES_MAX - 1;
}

/* Cuts the next segment off a path that begins with '/'. */
static struct ms_bytes next_segment(struct ms_bytes *path) {
    struct ms_bytes rest = ms_bytes_of(path->data + 1, path->len - 1);
    const uint8_t *slash = rest.len ? memchr(rest.data, '/', rest.len) : NULL;
    struct ms_bytes segment = slash ? ms_bytes_of(rest.data, (size_t)(slash - rest.data)) : rest;
    *path = ms_bytes_of(rest.data + segment.len, rest.len - segment.len);
    return segment;
}

static bool matches(const char *pattern, struct ms_bytes path,
                    struct ms_bytes captures[MS_HTTP_CAPTURES]) {
    struct ms_bytes rest = ms_bytes_cstr(pattern);
    size_t captured = 0;
    while (rest.len && path.len && path.data[0] == '/') {
        struct ms_bytes wanted = next_segment(&rest);
        struct ms_bytes segment = next_segment(&path);
        if (wanted.data[0] == '{' && segment.len)
            captures[captured++] = segment;
        else if (!ms_bytes_equal(wanted, segment))
            return false;
    }
    return rest.len == 0 && path.len == 0;
}

struct ms_http_match ms_http_route_find(enum ms_http_method method, struct ms_bytes path) {
    struct ms_http_match match = {0};
    enum ms_http_method wanted = method == MS_HTTP_HEAD ? MS_HTTP_GET : method;
    for (size_t i = 0; i < ROUTES; i++) {
        struct ms_bytes captures[MS_HTTP_CAPTURES] = {{0}};
        if (!matches(table[i].pattern, path, captures))
            continue;
        if (table[i].method == wanted) {
            match.route = &table[i];
            memcpy(match.captures, captures, sizeof captures);
            match.allowed = 0;
            return match;
        }
        match.allowed |= UINT32_C(1) << table[i].method;
        if (table[i].method == MS_HTTP_GET)
            match.allowed |= UINT32_C(1) << MS_HTTP_HEAD;
    }
    return match;
}
