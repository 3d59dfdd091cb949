/*
 * Subscriptions over HTTP: server-sent events, resumed by Last-Event-ID when the connection breaks.
 * See target.h.
 *
 * A message is lines "id: …", "event: …", "data: …" (joined with line breaks) and an empty line;
 * lines beginning with ':' are comments. A message with an id and no data is a checkpoint: so far
 * everything was looked at. A message `event: end` holds a problem: the subscription is over.
 */
#include "cli/http_client.h"
#include "wire/json.h"

#define PATH_BYTES_MAX ((size_t)1 << 16)
#define ID_MAX 64
#define PROBLEM_DEPTH_MAX 16
#define RECONNECTS_MAX 20 /* in a row, without an event in between */
#define RECONNECT_PAUSE_US 500000

struct stream {
    struct ms_http_target *http;
    ms_target_event_fn *visit;
    void *context;
    CURL *easy;
    struct ms_error *err;
    struct ms_buf line, data; /* being received */
    bool is_end;              /* the message is `event: end` */
    char id[ID_MAX];          /* of the message that is being received */
    char last_id[ID_MAX];     /* of the last message: where to go on */
    uint64_t visited;
    bool connected;
    int stopped; /* what the visitor or an error said; 0: go on */
    struct ms_http_answer problem;
};

/* The problem that ended the subscription. */
static int end_of_stream(struct stream *stream) {
    struct ms_json_value problem, type, detail;
    struct ms_arena arena;
    ms_arena_init(&arena, (size_t)1 << 16);
    struct ms_bytes text = {0};
    int code = MS_EIO;
    bool parsed =
        ms_json_parse(ms_buf_bytes(&stream->data), PROBLEM_DEPTH_MAX, &problem, NULL) == 0 &&
        problem.type == MS_JSON_OBJECT;
    if (parsed && ms_json_get(problem, "type", &type) && type.type == MS_JSON_STRING &&
        ms_json_string(type, &arena, &text) == 0)
        code = ms_http_problem_code(text);
    text = ms_bytes_cstr("the server ended the subscription");
    if (parsed && ms_json_get(problem, "detail", &detail) && detail.type == MS_JSON_STRING &&
        ms_json_string(detail, &arena, &text) != 0)
        text = detail.text;
    ms_error_set(stream->err, code, "%.*s", (int)text.len, (const char *)text.data);
    ms_arena_deinit(&arena);
    return code;
}

static int visit_event(struct stream *stream) {
    stream->visited++;
    return stream->visit(stream->context, ms_buf_bytes(&stream->data));
}

static int take_message(struct stream *stream) {
    int rc = 0;
    if (stream->is_end)
        rc = end_of_stream(stream);
    else if (stream->data.len > 0)
        rc = visit_event(stream);
    memcpy(stream->last_id, stream->id, ID_MAX);
    ms_buf_clear(&stream->data);
    stream->is_end = false;
    return rc;
}

/* "name: value" without the name and one space. */
static bool field_value(struct ms_bytes line, const char *name, struct ms_bytes *ret_value) {
    size_t len = strlen(name);
    if (line.len <= len || memcmp(line.data, name, len) != 0 || line.data[len] != ':')
        return false;
    size_t skip = len + 1 + (line.len > len + 1 && line.data[len + 1] == ' ');
    *ret_value = ms_bytes_of(line.data + skip, line.len - skip);
    return true;
}

static int take_line(struct stream *stream, struct ms_bytes line) {
    struct ms_bytes value;
    if (line.len == 0)
        return take_message(stream);
    if (field_value(line, "data", &value)) {
        int rc = stream->data.len ? ms_buf_append_u8(&stream->data, '\n') : 0;
        return rc == 0 ? ms_buf_append_bytes(&stream->data, value) : rc;
    }
    if (field_value(line, "event", &value))
        stream->is_end = ms_bytes_equal_cstr(value, "end");
    if (field_value(line, "id", &value) && value.len < ID_MAX) {
        memcpy(stream->id, value.data, value.len);
        stream->id[value.len] = 0;
    }
    return 0;
}

/* Lines end with LF or CR LF. An unfinished line waits in `line`. */
static int take_bytes(struct stream *stream, struct ms_bytes bytes) {
    while (bytes.len > 0) {
        const uint8_t *end = memchr(bytes.data, '\n', bytes.len);
        size_t len = end ? (size_t)(end - bytes.data) : bytes.len;
        int rc = ms_buf_append(&stream->line, bytes.data, len);
        if (rc != 0)
            return rc;
        if (!end)
            return 0;
        struct ms_bytes line = ms_buf_bytes(&stream->line);
        if (line.len > 0 && line.data[line.len - 1] == '\r')
            line.len--;
        rc = take_line(stream, line);
        ms_buf_clear(&stream->line);
        if (rc != 0)
            return rc;
        bytes = ms_bytes_of(bytes.data + len + 1, bytes.len - len - 1);
    }
    return 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *context) {
    struct stream *stream = context;
    size_t len = size * count;
    long status = 0;
    curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return ms_buf_append(&stream->problem.body, data, len) == 0 ? len : 0;
    stream->connected = true;
    stream->stopped = take_bytes(stream, ms_bytes_of(data, len));
    return stream->stopped == 0 ? len : 0;
}

static int add_stream_headers(struct stream *stream, struct curl_slist **headers) {
    char line[ID_MAX + 32];
    struct curl_slist *more = curl_slist_append(*headers, "Accept: text/event-stream");
    if (!more)
        return MS_ENOMEM;
    *headers = more;
    if (!stream->last_id[0])
        return 0;
    snprintf(line, sizeof line, "Last-Event-ID: %s", stream->last_id);
    more = curl_slist_append(*headers, line);
    if (!more)
        return MS_ENOMEM;
    *headers = more;
    return 0;
}

/* One connection, until it ends. 0: it broke and may be tried again. */
static int receive(struct stream *stream, const char *path, struct ms_error *err) {
    struct ms_http_target *http = stream->http;
    struct ms_http_call call = {.method = "GET", .path = path};
    struct curl_slist *headers = NULL, *own = NULL;
    ms_buf_clear(&stream->line);
    ms_buf_clear(&stream->data);
    ms_buf_clear(&stream->problem.body);
    stream->is_end = false;
    int rc = ms_http_prepare(http->easy, http->url, &call, &stream->problem, &headers, err);
    if (rc == 0)
        rc = add_stream_headers(stream, &own);
    if (rc != 0) {
        curl_slist_free_all(headers);
        curl_slist_free_all(own);
        return rc;
    }
    stream->easy = http->easy;
    curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, own);
    curl_easy_setopt(http->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(http->easy, CURLOPT_WRITEDATA, stream);
    CURLcode result = curl_easy_perform(http->easy);
    if (stream->stopped != 0)
        rc = stream->stopped;
    else
        rc = ms_http_outcome(http->easy, result, http->url, false, &stream->problem, err);
    curl_slist_free_all(headers);
    curl_slist_free_all(own);
    return rc;
}

/* A broken connection, and a server that is not there for a while, are worth another try once there
 * was a connection. */
static bool may_reconnect(const struct stream *stream, int rc) {
    return stream->connected && (rc == 0 || rc == MS_EIO || rc == MS_ECLOSED || rc == MS_EAGAIN);
}

static int receive_all(struct stream *stream, const char *path, struct ms_error *err) {
    int rc = 0;
    uint64_t visited = 0;
    for (int tries = 0; tries < RECONNECTS_MAX; tries++) {
        rc = receive(stream, path, err);
        if (stream->stopped != 0 || !may_reconnect(stream, rc))
            return rc;
        if (stream->visited > visited)
            tries = 0;
        visited = stream->visited;
        if (tries == 0)
            fprintf(stream->http->messages, "mainstem: the connection broke, trying again\n");
        ms_clock_sleep_us(stream->http->env->clock, RECONNECT_PAUSE_US);
    }
    return rc != 0 ? rc : ms_error_set(err, MS_ECLOSED, "the server keeps ending the subscription");
}

int ms_target_http_subscribe(struct ms_target *target, const struct ms_target_read *read,
                             ms_target_event_fn *visit, void *context, struct ms_error *err) {
    struct stream stream = {
        .http = (struct ms_http_target *)target, .visit = visit, .context = context, .err = err};
    ms_buf_init(&stream.line, MS_HTTP_ANSWER_BYTES_MAX);
    ms_buf_init(&stream.data, MS_HTTP_ANSWER_BYTES_MAX);
    ms_http_answer_init(&stream.problem);
    struct ms_buf path;
    ms_buf_init(&path, PATH_BYTES_MAX);
    int rc = ms_http_read_path(&path, read, 0);
    if (rc == 0)
        rc = ms_buf_append_u8(&path, 0);
    if (rc != 0)
        ms_error_set(err, rc, "the query is too long");
    else
        rc = receive_all(&stream, (const char *)path.data, err);
    ms_buf_deinit(&path);
    ms_buf_deinit(&stream.line);
    ms_buf_deinit(&stream.data);
    ms_http_answer_deinit(&stream.problem);
    return rc < 0 ? rc : 0;
}
