/*
 * GET /openapi.json: the route table (routes.c) and the parameter table (params.c) as an OpenAPI
 * 3.1 document, so that it cannot say anything else than what the server does. Only the schemas of
 * bodies are text of their own, below.
 */
#include "face/http/openapi.h"

#include "face/http/answer.h"
#include "face/http/handlers.h"
#include "face/http/loop.h"
#include "wire/json.h"

#define TEXT "{\"type\":\"string\"}"
#define NUMBER "{\"type\":\"integer\",\"minimum\":0}"
#define NUMBERS "{\"type\":\"array\",\"items\":" NUMBER "}"
#define OPTIONAL_TEXT "{\"type\":[\"string\",\"null\"]}"
#define OPTIONAL_TIME "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}"
#define OPTIONAL_NUMBER "{\"type\":[\"integer\",\"null\"]}"
#define GROUP_HEAD                                                                                 \
    "\"group\":" TEXT ",\"state\":" TEXT ",\"protocol_type\":" OPTIONAL_TEXT                       \
    ",\"protocol\":" OPTIONAL_TEXT
#define FLAG "{\"type\":\"boolean\"}"
#define OBJECT(...) "{\"type\":\"object\",\"properties\":{" __VA_ARGS__ "}}"
#define APPENDED                                                                                   \
    "\"stream\":" TEXT ",\"first_version\":{\"type\":\"integer\",\"minimum\":0,"                   \
    "\"description\":\"Of the first event appended; left out when there was "                      \
    "none.\"},\"version\":{"                                                                       \
    "\"type\":[\"integer\",\"null\"],\"minimum\":0,\"description\":\"The stream's last version; "  \
    "null "                                                                                        \
    "when it has no event.\"}"
#define LIST(name) "{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/" name "\"}}"

static const struct {
    const char *name;
    const char *media; /* of answers that carry it */
    const char *schema;
} schemas[] = {
    {"Event", "application/json",
     "{\"type\":\"object\",\"required\":[\"event_type\"],\"properties\":{"
     "\"event_type\":" TEXT ",\"event_id\":" TEXT ",\"event_version\":{\"type\":[\"integer\","
     "\"string\"]},\"timestamp\":{\"type\":\"string\",\"format\":\"date-time\"},\"source\":" TEXT
     ",\"correlation_id\":" TEXT ",\"causation_id\":" TEXT ",\"data\":{},\"data_base64\":" TEXT
     ",\"content_type\":" TEXT ",\"metadata\":{\"type\":\"object\"},\"tags\":{\"type\":\"array\","
     "\"items\":" TEXT "},\"traceparent\":" TEXT
     ",\"stream\":{\"type\":\"string\",\"readOnly\":true},\"topic\":{\"type\":\"string\","
     "\"readOnly\":true},\"partition\":{\"type\":\"integer\",\"readOnly\":true},\"offset\":{"
     "\"type\":\"integer\",\"readOnly\":true},\"version\":{\"type\":\"integer\",\"readOnly\":true},"
     "\"position\":{\"type\":\"integer\",\"readOnly\":true},\"recorded_at\":{\"type\":\"string\","
     "\"format\":\"date-time\",\"readOnly\":true}}}"},
    {"Events", "application/json", LIST("Event")},
    {"CloudEvents", "application/cloudevents-batch+json",
     "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"specversion\",\"id\","
     "\"source\",\"type\"]}}"},
    {"Appended", "application/json",
     "{\"type\":\"object\",\"required\":[\"stream\",\"version\",\"position\"],\"properties\":"
     "{" APPENDED ",\"position\":" NUMBER ",\"repeated\":" FLAG "}}"},
    {"AppendedPart", "application/json",
     "{\"type\":\"object\",\"required\":[\"stream\",\"version\"],\"properties\":{" APPENDED "}}"},
    {"AppendMulti", "application/json",
     "{\"type\":\"object\",\"required\":[\"appends\"],\"properties\":{\"appends\":{\"type\":"
     "\"array\",\"minItems\":1,\"items\":{\"type\":\"object\",\"required\":[\"stream\"],"
     "\"properties\":{\"stream\":" TEXT ",\"expect\":{\"oneOf\":[{\"enum\":[\"any\",\"none\","
     "\"exists\"]}," NUMBER "]},\"events\":" LIST(
         "Event") "}}},\"query_conditions\":{\"type\":"
                  "\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"types\":{\"type\":"
                  "\"array\","
                  "\"items\":" TEXT "},\"tags\":{\"type\":\"array\",\"items\":" TEXT
                  "},\"after\":{\"type\":["
                  "\"integer\",\"null\"],\"minimum\":0}}}}}}"},
    {"AppendedMulti", "application/json",
     OBJECT("\"position\":" NUMBER ",\"repeated\":" FLAG ",\"results\":" LIST("AppendedPart"))},
    {"Written", "application/json",
     OBJECT("\"stream\":" TEXT ",\"version\":" NUMBER ",\"position\":" NUMBER)},
    {"Metadata", "application/json",
     OBJECT("\"$maxAge\":" NUMBER ",\"$maxCount\":" NUMBER ",\"$tb\":" NUMBER)},
    {"Snapshot", "application/json",
     OBJECT("\"stream\":" TEXT ",\"version\":" NUMBER
            ",\"snapshot\":{\"$ref\":\"#/components/schemas/Event\"}")},
    {"TopicSettings", "application/json",
     OBJECT("\"partitions\":" NUMBER ",\"streams\":" FLAG
            ",\"retention_ms\":{\"type\":[\"integer\","
            "\"null\"]},\"retention_bytes\":{\"type\":[\"integer\",\"null\"]},\"retention_count\":{"
            "\"type\":[\"integer\",\"null\"]},\"compact\":" FLAG
            ",\"compression\":{\"enum\":[\"none\",\"gzip\",\"snappy\",\"lz4\",\"zstd\"]},"
            "\"require\":{\"type\":\"array\",\"items\":{\"enum\":[\"source\",\"correlation_id\"]}},"
            "\"recompress\":" FLAG ",\"message_bytes_max\":" NUMBER ",\"log_append_time\":" FLAG
            ",\"retention_ignored\":" FLAG ",\"compaction_lag_ms\":" NUMBER
            ",\"compaction_lag_max_ms\":{\"type\":[\"integer\",\"null\"]},"
            "\"delete_retention_ms\":" NUMBER ",\"force\":" FLAG)},
    {"Topic", "application/json",
     "{\"allOf\":[{\"$ref\":\"#/components/schemas/TopicSettings\"}," OBJECT(
         "\"name\":" TEXT ",\"id\":" TEXT ",\"system\":" FLAG ",\"events\":" NUMBER
         ",\"created_at\":{\"type\":\"string\",\"format\":\"date-time\"},\"streams_prepared\":"
         "{\"type\":[\"object\",\"null\"],\"properties\":{\"position\":" NUMBER ",\"end\":" NUMBER
         "}}") "]}"},
    {"Topics", "application/json", OBJECT("\"topics\":" LIST("Topic"))},
    {"Rows", "application/json", "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}"},
    {"Projection", "application/json",
     OBJECT("\"projection\":" TEXT ",\"paused\":" FLAG ",\"tried\":" OBJECT(
         "\"version\":" NUMBER ",\"applied\":" NUMBER) ",\"versions\":{\"type\":\"array\","
                                                       "\"items\":{\"type\":\"object\"}}")},
    {"Projections", "application/json", OBJECT("\"projections\":" LIST("Projection"))},
    {"Deployed", "application/json", OBJECT("\"projection\":" TEXT ",\"version\":" NUMBER)},
    {"Parked", "application/json",
     OBJECT("\"stopped\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
            "\"parked\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}")},
    {"Partitions", "application/json",
     OBJECT("\"topic\":" TEXT ",\"partitions\":{\"type\":\"array\",\"items\":" OBJECT(
         "\"partition\":" NUMBER ",\"start_offset\":" NUMBER ",\"end_offset\":" NUMBER
         ",\"events\":" NUMBER ",\"newest_timestamp\":" OPTIONAL_TIME) "}")},
    {"Groups", "application/json",
     OBJECT("\"groups\":{\"type\":\"array\",\"items\":" OBJECT(GROUP_HEAD ",\"members\":" NUMBER
                                                                          ",\"lag\":" NUMBER) "}")},
    {"Group", "application/json",
     OBJECT(
         GROUP_HEAD
         ",\"generation\":{\"type\":\"integer\"},\"members\":{\"type\":\"array\","
         "\"items\":" OBJECT(
             "\"member_id\":" TEXT ",\"instance_id\":" OPTIONAL_TEXT ",\"client_id\":" OPTIONAL_TEXT
             ",\"host\":" OPTIONAL_TEXT
             ",\"assigned\":{\"type\":[\"array\",\"null\"],\"items\":" OBJECT(
                 "\"topic\":" TEXT
                 ",\"partitions\":" NUMBERS) "},"
                                             "\"assignment_base64\":" TEXT) "},\"lag\":" NUMBER
                                                                            ",\"offsets\":{"
                                                                            "\"type\":\"array\","
                                                                            "\"items\":" OBJECT(
                                                                                "\"topic\":" TEXT
                                                                                ",\"partition\""
                                                                                ":" NUMBER
                                                                                ",\"offset\""
                                                                                ":" NUMBER ",\"end_"
                                                                                "offset\""
                                                                                ":" OPTIONAL_NUMBER
                                                                                ",\"lag\""
                                                                                ":" OPTIONAL_NUMBER
                                                                                ",\"lag_seconds\":{"
                                                                                "\"type\":["
                                                                                "\"number\","
                                                                                "\"null\"]},"
                                                                                "\"metadata\":" TEXT
                                                                                ",\"committed_at\":"
                                                                                "{\"type\":"
                                                                                "\"string\","
                                                                                "\"format\":\"date-"
                                                                                "time\"}") "}")},
    {"GroupReset", "application/json",
     "{\"type\":\"object\",\"required\":[\"to\"],\"properties\":{\"to\":{\"enum\":["
     "\"earliest\",\"latest\",\"time\",\"position\",\"offset\"]},\"value\":{\"type\":["
     "\"string\",\"integer\"]},\"topics\":{\"type\":\"array\",\"items\":" TEXT
     "},\"partitions\":{\"type\":\"object\",\"additionalProperties\":" NUMBERS "},\"dry_run\":" FLAG
     "}}"},
    {"GroupResetDone", "application/json",
     OBJECT("\"group\":" TEXT ",\"dry_run\":" FLAG
            ",\"offsets\":{\"type\":\"array\",\"items\":" OBJECT(
                "\"topic\":" TEXT ",\"partition\":" NUMBER ",\"before\":" OPTIONAL_NUMBER
                ",\"offset\":" NUMBER ",\"moved\":" OPTIONAL_NUMBER) "}")},
    {"Streams", "application/json",
     OBJECT("\"streams\":{\"type\":\"array\",\"items\":" OBJECT(
         "\"stream\":" TEXT ",\"version\":" NUMBER
         ",\"first_position\":" NUMBER) "},"
                                        "\"next\":{\"type\":[\"integer\",\"null\"]}")},
    {"BackupRequest", "application/json",
     "{\"type\":\"object\",\"required\":[\"dir\"],\"properties\":{\"dir\":" TEXT "}}"},
    {"Backup", "application/json",
     OBJECT("\"dir\":" TEXT ",\"end\":" NUMBER ",\"files\":" NUMBER ",\"linked\":" NUMBER
            ",\"bytes\":" NUMBER)},
    {"ScavengeRequest", "application/json",
     OBJECT("\"all\":" FLAG ",\"bytes_per_second\":" NUMBER)},
    {"Scavenge", "application/json",
     OBJECT("\"running\":" FLAG ",\"segments_done\":" NUMBER ",\"segments\":" NUMBER
            ",\"last\":{\"type\":[\"object\",\"null\"],\"properties\":{\"started_at\":" TEXT
            ",\"finished_at\":" TEXT ",\"error\":{\"type\":[\"string\",\"null\"]},"
            "\"segments\":" NUMBER ",\"rewritten\":" NUMBER ",\"bytes_before\":" NUMBER
            ",\"bytes_after\":" NUMBER ",\"bytes_written\":" NUMBER
            ",\"write_amplification\":{\"type\":\"number\"},\"events_removed\":" NUMBER "}}")},
    {"Health", "application/json",
     OBJECT("\"status\":" TEXT ",\"failed\":" FLAG ",\"refusing_appends\":" FLAG
            ",\"warnings\":" OPTIONAL_TEXT)},
    {"Info", "application/json",
     OBJECT("\"name\":" TEXT ",\"version\":" TEXT ",\"uptime_ms\":" NUMBER
            ",\"store\":{\"type\":\"object\"},\"limits\":{\"type\":\"object\"}")},
    {"Metrics", "text/plain", TEXT},
    {"OpenApi", "application/json", "{\"type\":\"object\"}"},
    {"Problem", "application/problem+json",
     "{\"type\":\"object\",\"description\":\"RFC 9457\",\"required\":[\"type\",\"title\","
     "\"status\"],\"properties\":{\"type\":" TEXT ",\"title\":" TEXT ",\"status\":" NUMBER
     ",\"detail\":" TEXT ",\"instance\":" TEXT ",\"stream\":" TEXT
     ",\"expected\":{\"type\":[\"integer\",\"string\"]},\"actual\":{\"type\":[\"integer\","
     "\"null\"]},\"actual_state\":{\"enum\":[\"none\",\"live\",\"deleted\",\"tombstoned\"]},"
     "\"matching_position\":" NUMBER "}}"},
};
#define SCHEMAS (sizeof schemas / sizeof *schemas)

static const char *media_of(const char *schema) {
    size_t i = 0;
    while (i < SCHEMAS && strcmp(schemas[i].name, schema) != 0)
        i++;
    MS_ASSERT(i < SCHEMAS); /* routes.c names only what is in the table */
    return schemas[i].media;
}

/* A description may hold anything but what JSON must escape; table texts go through the writer all
 * the same. */
static int write_text_member(struct ms_buf *out, const char *name, const char *text) {
    int code = ms_buf_printf(out, "\"%s\":", name);
    return code == 0 ? ms_json_write_string(out, ms_bytes_cstr(text)) : code;
}

/* ---- parameters ---- */

static int write_parameter(struct ms_buf *out, const char *in, const char *name, const char *text,
                           const char *schema) {
    bool first = out->data[out->len - 1] == '[';
    int code =
        ms_buf_printf(out, "%s{\"name\":\"%s\",\"in\":\"%s\",\"required\":%s,", first ? "" : ",",
                      name, in, strcmp(in, "path") == 0 ? "true" : "false");
    if (code == 0)
        code = write_text_member(out, "description", text);
    return code == 0 ? ms_buf_printf(out, ",\"schema\":%s}", schema) : code;
}

static int write_path_parameters(struct ms_buf *out, const char *pattern) {
    int code = 0;
    for (const char *at = strchr(pattern, '{'); code == 0 && at; at = strchr(at + 1, '{')) {
        char name[32];
        size_t len = strcspn(at + 1, "}");
        MS_ASSERT(len < sizeof name);
        memcpy(name, at + 1, len);
        name[len] = '\0';
        code = write_parameter(out, "path", name, "Percent-encoded.", TEXT);
    }
    return code;
}

static int write_query_parameters(struct ms_buf *out, uint32_t params) {
    int code = 0;
    for (int i = 0; code == 0 && i < MS_HTTP_PARAM_COUNT; i++) {
        if (!((params >> i) & 1))
            continue;
        const struct ms_http_param_info *info = ms_http_param_info((enum ms_http_param)i);
        if (!info->repeatable) {
            code = write_parameter(out, "query", info->name, info->description, info->schema);
            continue;
        }
        code = write_parameter(out, "query", info->name, info->description,
                               "{\"type\":\"array\",\"items\":" TEXT "}");
    }
    return code;
}

static int write_header_parameters(struct ms_buf *out, const struct ms_http_route *route) {
    const struct {
        bool applies;
        const char *name, *text;
    } headers[] = {
        {route->flags & MS_HTTP_ROUTE_CONDITIONS, "If-Match",
         "A version such as \"5\": the stream must be at it. * : the stream must exist."},
        {route->flags & MS_HTTP_ROUTE_CONDITIONS, "If-None-Match",
         "* : the stream must not exist. (What some texts call expected version 0 for a new "
         "stream.)"},
        {route->body == MS_HTTP_TAKES_EVENTS || (route->flags & MS_HTTP_ROUTE_PIPELINED),
         "Idempotency-Key",
         "Makes event ids where the events have none, so that a resend repeats."},
        {route->flags & MS_HTTP_ROUTE_EVENTS, "Last-Event-ID",
         "With Accept: text/event-stream: go on behind this id."},
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof headers / sizeof *headers; i++) {
        if (headers[i].applies)
            code = write_parameter(out, "header", headers[i].name, headers[i].text, TEXT);
    }
    return code;
}

/* ---- bodies ---- */

static int write_content(struct ms_buf *out, const char *media, const char *schema) {
    return ms_buf_printf(out, "\"%s\":{\"schema\":{\"$ref\":\"#/components/schemas/%s\"}}", media,
                         schema);
}

static int write_request_body(struct ms_buf *out, const struct ms_http_route *route) {
    if (route->body == MS_HTTP_TAKES_NONE)
        return 0;
    int code = ms_buf_append_cstr(out, ",\"requestBody\":{\"content\":{");
    if (code == 0 && route->body == MS_HTTP_TAKES_EVENTS)
        code = ms_buf_append_cstr(
            out, "\"application/json\":{\"schema\":{\"oneOf\":[{\"$ref\":\"#/components/schemas/"
                 "Event\"}," LIST("Event") "]}},\"application/x-ndjson\":{},"
                                           "\"application/cloudevents+json\":{},\"application/"
                                           "cloudevents-batch+json\":{}");
    else if (code == 0 && route->body == MS_HTTP_TAKES_TEXT)
        code = ms_buf_append_cstr(out, "\"application/sql\":{},\"text/plain\":{}");
    else if (code == 0 && strcmp(route->name, "appendMulti") == 0)
        code = write_content(out, "application/json", "AppendMulti");
    else if (code == 0 && strcmp(route->name, "putTopic") == 0)
        code = write_content(out, "application/json", "TopicSettings");
    else if (code == 0 && strcmp(route->name, "backup") == 0)
        code = write_content(out, "application/json", "BackupRequest");
    else if (code == 0 && strcmp(route->name, "startScavenge") == 0)
        code = write_content(out, "application/json", "ScavengeRequest");
    else if (code == 0 && strcmp(route->name, "resetGroupOffsets") == 0)
        code = write_content(out, "application/json", "GroupReset");
    else if (code == 0)
        code = write_content(out, "application/json", "Metadata");
    return code == 0 ? ms_buf_append_cstr(out, "}}") : code;
}

static int write_answer(struct ms_buf *out, const struct ms_http_route *route,
                        const struct ms_http_route_answer *answer) {
    bool first = out->data[out->len - 1] == '{';
    int code = ms_buf_printf(out, "%s\"%d\":{", first ? "" : ",", answer->status);
    if (code == 0)
        code = write_text_member(out, "description", answer->text);
    if (code == 0 && answer->schema) {
        code = ms_buf_append_cstr(out, ",\"content\":{");
        if (code == 0)
            code = write_content(out, media_of(answer->schema), answer->schema);
        if (code == 0 && answer->status == 200 && (route->flags & MS_HTTP_ROUTE_EVENTS)) {
            code = ms_buf_append_u8(out, ',');
            if (code == 0)
                code = write_content(out, media_of("CloudEvents"), "CloudEvents");
            if (code == 0)
                code = ms_buf_append_cstr(out,
                                          ",\"application/x-ndjson\":{},\"text/event-stream\":{}");
        }
        if (code == 0)
            code = ms_buf_append_u8(out, '}');
    }
    return code == 0 ? ms_buf_append_u8(out, '}') : code;
}

/* ---- operations ---- */

static const char *lower_method(enum ms_http_method method) {
    static const char *const names[MS_HTTP_METHOD_COUNT] = {
        [MS_HTTP_GET] = "get", [MS_HTTP_HEAD] = "head",     [MS_HTTP_POST] = "post",
        [MS_HTTP_PUT] = "put", [MS_HTTP_DELETE] = "delete", [MS_HTTP_OPTIONS] = "options"};
    return names[method];
}

static int write_operation(struct ms_buf *out, const struct ms_http_route *route) {
    int code = ms_buf_printf(out, "\"%s\":{\"operationId\":\"%s\",", lower_method(route->method),
                             route->name);
    if (code == 0)
        code = write_text_member(out, "summary", route->summary);
    if (code == 0)
        code = ms_buf_append_cstr(out, ",\"parameters\":[");
    if (code == 0)
        code = write_path_parameters(out, route->pattern);
    if (code == 0)
        code = write_query_parameters(out, route->params);
    if (code == 0)
        code = write_header_parameters(out, route);
    if (code == 0)
        code = ms_buf_append_u8(out, ']');
    if (code == 0)
        code = write_request_body(out, route);
    if (code == 0)
        code = ms_buf_append_cstr(out, ",\"responses\":{");
    for (const struct ms_http_route_answer *answer = route->answers; code == 0 && answer->status;
         answer++)
        code = write_answer(out, route, answer);
    return code == 0 ? ms_buf_append_cstr(out, "}}") : code;
}

/* A pattern's rows need not stand together: each is written with its first row. */
static bool seen_before(size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (strcmp(ms_http_route_at(i)->pattern, ms_http_route_at(index)->pattern) == 0)
            return true;
    }
    return false;
}

static int write_path(struct ms_buf *out, size_t index) {
    const char *pattern = ms_http_route_at(index)->pattern;
    int code = ms_buf_printf(out, "%s\"%s\":{", index ? "," : "", pattern);
    for (size_t i = index; code == 0 && i < ms_http_route_count(); i++) {
        const struct ms_http_route *route = ms_http_route_at(i);
        if (strcmp(route->pattern, pattern) != 0)
            continue;
        if (i > index)
            code = ms_buf_append_u8(out, ',');
        if (code == 0)
            code = write_operation(out, route);
    }
    return code == 0 ? ms_buf_append_u8(out, '}') : code;
}

int ms_http_openapi_write(struct ms_buf *out, const char *version) {
    int code = ms_buf_append_cstr(out, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Mainstem\","
                                       "\"license\":{\"name\":\"Apache-2.0\",\"identifier\":"
                                       "\"Apache-2.0\"},");
    if (code == 0)
        code = write_text_member(out, "version", version);
    if (code == 0)
        code = ms_buf_append_cstr(out, "},\"paths\":{");
    for (size_t i = 0; code == 0 && i < ms_http_route_count(); i++) {
        if (!seen_before(i))
            code = write_path(out, i);
    }
    if (code == 0)
        code = ms_buf_append_cstr(out, "},\"components\":{\"schemas\":{");
    for (size_t i = 0; code == 0 && i < SCHEMAS; i++)
        code = ms_buf_printf(out, "%s\"%s\":%s", i ? "," : "", schemas[i].name, schemas[i].schema);
    return code == 0 ? ms_buf_append_cstr(out, "}}}\n") : code;
}

void ms_http_openapi_start(struct ms_http_request *request) {
    int code = ms_http_openapi_write(&request->answer.body, request->loop->config->options.version);
    if (code == 0)
        ms_http_answer(request, 200, "application/json");
    else
        ms_http_answer_error(request, code, NULL);
    ms_http_request_done(request);
}
