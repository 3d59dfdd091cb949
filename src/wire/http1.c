/*
 * The HTTP/1.1 request parser: see http1.h for what it promises.
 *
 * http_parser tells the parts of a message apart. It is lenient where request smuggling lives (bare
 * line feeds, unbounded chunk extensions, white space in odd places), so it gets to see a line only
 * after http1_syntax.h has accepted it, and whole: the head of a request is collected in memory and
 * given to it in one piece, later lines likewise. Body bytes pass through uncopied. So its
 * callbacks never see half a header, and the outcome is independent of how the input was split.
 *
 *   HEAD ──empty line──> BODY ──last byte──────────────────────────────> COMPLETE ──> HEAD
 *    │                                                                     ^   │
 *    ├──no body────────────────────────────────────────────────────────────┤   └────> CLOSED
 *    │                                                                     │  (no keep-alive)
 *    └──chunked──> CHUNK_SIZE ──size > 0──> CHUNK_DATA ──> CHUNK_END       │
 *                   ^   │                                     │            │
 *                   │   └──size 0──> TRAILERS ──empty line────┼────────────┘
 *                   └─────────────────────────────────────────┘
 *
 *   Any refusal, and any callback that returns other than 0, ends in FAILED for good.
 *
 * Memory: the head (at most header_bytes_max), one line, and an array of headers. What a large
 * request needed is given back when it ends.
 *
 * One thread per parser.
 */
#include "wire/http1.h"

#include <http_parser.h>

#include "base/alloc.h"
#include "wire/http1_syntax.h"

#define IDLE_BYTES_MAX 4096u /* what a buffer may keep between requests */
#define EMPTY_LINES_MAX 1u   /* before a request, RFC 9112 section 2.2 */

enum state {
    STATE_HEAD,
    STATE_BODY,
    STATE_CHUNK_SIZE,
    STATE_CHUNK_DATA,
    STATE_CHUNK_END,
    STATE_TRAILERS,
    STATE_COMPLETE,
    STATE_CLOSED,
    STATE_FAILED,
};

struct ms_http1_parser {
    http_parser engine;
    struct ms_http1_limits limits;
    struct ms_http1_callbacks callbacks;
    void *context;

    enum state state;
    bool is_paused;
    int failure; /* in STATE_FAILED: what feed returns, the status, and why */
    int failure_status;
    const char *failure_text;

    struct ms_buf head;    /* request line and headers as received, names put in lower case */
    size_t line_start;     /* of the line being received, in head */
    size_t line_count;     /* whole lines in head; in STATE_TRAILERS: trailers */
    unsigned empty_lines;  /* skipped before this request */
    struct ms_buf headers; /* struct ms_http1_header each, pointing into head */
    struct ms_http1_request request;

    struct ms_buf line;    /* a chunk-size line or trailer being received */
    size_t trailer_bytes;  /* of this request so far */
    size_t body_bytes_max; /* of this request */
    uint64_t body_bytes;   /* announced so far */
    uint64_t left;         /* of the body or of the chunk */
    bool engine_is_done;   /* http_parser saw the end of the message */
};

static int refuse(struct ms_http1_parser *parser, int code, int status, const char *why) {
    parser->state = STATE_FAILED;
    parser->failure = code;
    parser->failure_status = status;
    parser->failure_text = why;
    return code;
}

/* The code that goes with a status that http1_syntax.h gives. */
static int refuse_status(struct ms_http1_parser *parser, int status, const char *why) {
    int code = status == 501 || status == 505 || status == 417 ? MS_EUNSUPPORTED
               : status == 414 || status == 431                ? MS_ETOOBIG
                                                               : MS_EINVAL;
    return refuse(parser, code, status, why);
}

static int refuse_memory(struct ms_http1_parser *parser) {
    return refuse(parser, MS_ENOMEM, 503, "out of memory");
}

/* A callback's verdict. */
static int stop_unless_zero(struct ms_http1_parser *parser, int verdict) {
    if (verdict != 0) {
        (void)refuse(parser, verdict, 0, "stopped by its user");
    }
    return verdict;
}

/* ---- http_parser ---- */

/* The head comes in one piece, so every name and value does too. */
static int on_engine_field(http_parser *engine, const char *at, size_t len) {
    struct ms_http1_parser *parser = engine->data;
    struct ms_http1_header header = {.name = ms_bytes_of(at, len)};
    return ms_buf_append(&parser->headers, &header, sizeof header);
}

static int on_engine_value(http_parser *engine, const char *at, size_t len) {
    struct ms_http1_parser *parser = engine->data;
    struct ms_http1_header *headers = (void *)parser->headers.data;
    headers[parser->headers.len / sizeof *headers - 1].value = ms_bytes_of(at, len);
    return 0;
}

static int on_engine_complete(http_parser *engine) {
    struct ms_http1_parser *parser = engine->data;
    parser->engine_is_done = true;
    return 0;
}

/* Lines have been checked, so http_parser has little left to refuse. */
static int run_engine(struct ms_http1_parser *parser, struct ms_bytes bytes) {
    static const http_parser_settings settings = {
        .on_header_field = on_engine_field,
        .on_header_value = on_engine_value,
        .on_message_complete = on_engine_complete,
    };
    size_t n = http_parser_execute(&parser->engine, &settings, (const char *)bytes.data, bytes.len);
    enum http_errno error = HTTP_PARSER_ERRNO(&parser->engine);
    if (error == HPE_CB_header_field)
        return refuse_memory(parser);
    if (error == HPE_INVALID_METHOD)
        return refuse(parser, MS_EUNSUPPORTED, 501, "unknown method");
    /* It says this of every coding but chunked; check_framing tells them apart. */
    if (error == HPE_INVALID_TRANSFER_ENCODING && parser->state == STATE_HEAD)
        return 0;
    if (error != HPE_OK)
        return refuse(parser, MS_EINVAL, 400, http_errno_description(error));
    if (n != bytes.len)
        return refuse(parser, MS_EINVAL, 400, "unexpected end of the message");
    return 0;
}

/* ---- lines ---- */

/* Takes input up to and including the next line feed into *line, which may then have `max` bytes.
 * 1 when the line is whole, 0 when more input is needed, MS_ETOOBIG, MS_ENOMEM. */
static int take_line(struct ms_buf *line, size_t max, struct ms_bytes input, size_t *ret_taken) {
    const uint8_t *feed = memchr(input.data, '\n', input.len);
    size_t wanted = feed ? (size_t)(feed - input.data) + 1 : input.len;
    size_t room = max - line->len;
    size_t n = wanted < room ? wanted : room;
    if (ms_buf_append(line, input.data, n) < 0)
        return MS_ENOMEM;
    *ret_taken = n;
    return n < wanted ? MS_ETOOBIG : feed ? 1 : 0;
}

static bool is_empty_line(struct ms_bytes line) { return line.len == 1 && line.data[0] == '\r'; }

/* ---- the head ---- */

static void finish_headers(struct ms_http1_parser *parser) {
    struct ms_http1_header *headers = (void *)parser->headers.data;
    parser->request.headers = headers;
    parser->request.header_count = parser->headers.len / sizeof *headers;
    for (size_t i = 0; i < parser->request.header_count; i++) {
        uint8_t *name = parser->head.data + (headers[i].name.data - parser->head.data);
        for (size_t k = 0; k < headers[i].name.len; k++)
            name[k] |= name[k] >= 'A' && name[k] <= 'Z' ? 0x20 : 0;
        struct ms_bytes *value = &headers[i].value;
        while (value->len > 0 &&
               (value->data[value->len - 1] == ' ' || value->data[value->len - 1] == '\t'))
            value->len--;
    }
}

/* Our reading of the headers decides; http_parser must have come to the same one. */
static int check_framing(struct ms_http1_parser *parser) {
    struct ms_http1_request *request = &parser->request;
    int status;
    const char *wrong = ms_http1_check_headers(request, &status);
    if (wrong)
        return refuse_status(parser, status, wrong);
    const http_parser *engine = &parser->engine;
    bool is_chunked = request->has_body && request->content_length < 0;
    bool engine_is_chunked = engine->flags & F_CHUNKED;
    bool same_end = parser->engine_is_done == !request->has_body;
    bool same_length = !request->has_body || is_chunked ||
                       engine->content_length == (uint64_t)request->content_length;
    bool same_count = request->header_count == parser->line_count - 1;
    if (engine_is_chunked != is_chunked || !same_end || !same_length || !same_count)
        return refuse(parser, MS_EINVAL, 400, "the headers can be read in two ways");
    request->keep_alive =
        http_should_keep_alive(engine) != 0 && !(engine->flags & F_CONNECTION_CLOSE);
    return 0;
}

static int finish_head(struct ms_http1_parser *parser) {
    /* Only now does the head stay where it is: read its first line again. */
    struct ms_bytes line = ms_buf_bytes(&parser->head);
    line.len = (size_t)((uint8_t *)memchr(line.data, '\n', line.len) - line.data);
    int status;
    const char *wrong = ms_http1_check_request_line(line, parser->limits.target_bytes_max,
                                                    &parser->request, &status);
    MS_ASSERT(!wrong);

    http_parser_init(&parser->engine, HTTP_REQUEST); /* anew, so no upgrade ever takes effect */
    parser->engine.data = parser;
    int r = run_engine(parser, ms_buf_bytes(&parser->head));
    if (r < 0)
        return r;
    finish_headers(parser);
    r = check_framing(parser);
    if (r < 0)
        return r;

    const struct ms_http1_request *request = &parser->request;
    parser->body_bytes_max = parser->limits.body_bytes_max;
    parser->line_count = 0;
    r = stop_unless_zero(parser, parser->callbacks.on_headers(parser->context, request));
    if (r != 0)
        return r;
    parser->left = request->content_length > 0 ? (uint64_t)request->content_length : 0;
    if (parser->left > parser->body_bytes_max)
        return refuse(parser, MS_ETOOBIG, 413, "the body is too large");
    parser->state = !request->has_body             ? STATE_COMPLETE
                    : request->content_length >= 0 ? STATE_BODY
                                                   : STATE_CHUNK_SIZE;
    return 0;
}

static int check_head_line(struct ms_http1_parser *parser) {
    struct ms_bytes line = ms_bytes_of(parser->head.data + parser->line_start,
                                       parser->head.len - parser->line_start - 1);
    int status;
    const char *wrong;
    if (parser->line_count == 0 && is_empty_line(line)) {
        if (++parser->empty_lines > EMPTY_LINES_MAX)
            return refuse(parser, MS_EINVAL, 400, "empty lines instead of a request");
        ms_buf_clear(&parser->head);
        return 0;
    }
    if (parser->line_count > 0 && is_empty_line(line))
        return finish_head(parser);
    if (parser->line_count == 0) {
        struct ms_http1_request ignored = {0};
        wrong =
            ms_http1_check_request_line(line, parser->limits.target_bytes_max, &ignored, &status);
    } else {
        wrong = ms_http1_check_header_line(line, &status);
    }
    if (!wrong && parser->line_count > parser->limits.headers_max) {
        status = 431;
        wrong = "too many headers";
    }
    if (wrong)
        return refuse_status(parser, status, wrong);
    parser->line_count++;
    parser->line_start = parser->head.len;
    return 0;
}

static int feed_head(struct ms_http1_parser *parser, struct ms_bytes input, size_t *ret_taken) {
    uint8_t first = input.data[0];
    if (parser->head.len == 0 && first != '\r' && !ms_http1_is_token_char(first))
        return refuse(parser, MS_EINVAL, 400, "this is not HTTP");
    int r = take_line(&parser->head, parser->limits.header_bytes_max, input, ret_taken);
    if (r == MS_ENOMEM)
        return refuse_memory(parser);
    if (r == MS_ETOOBIG)
        return parser->line_count == 0
                   ? refuse(parser, MS_ETOOBIG, 414, "the request line is too long")
                   : refuse(parser, MS_ETOOBIG, 431, "the headers are too large");
    return r == 0 ? 0 : check_head_line(parser);
}

/* ---- the body ---- */

/* Hands the next bytes of the body or chunk on; *ret_taken may be less than the input. */
static int pass_body(struct ms_http1_parser *parser, struct ms_bytes input, size_t *ret_taken) {
    struct ms_bytes piece = input;
    if (piece.len > parser->left)
        piece.len = (size_t)parser->left;
    *ret_taken = piece.len;
    int r = run_engine(parser, piece);
    if (r < 0)
        return r;
    parser->left -= piece.len;
    return stop_unless_zero(parser, parser->callbacks.on_body(parser->context, piece));
}

static int feed_body(struct ms_http1_parser *parser, struct ms_bytes input, size_t *ret_taken) {
    int r = pass_body(parser, input, ret_taken);
    if (r != 0 || parser->left > 0)
        return r;
    if (!parser->engine_is_done)
        return refuse(parser, MS_EINVAL, 400, "the end of the body is in doubt");
    parser->state = STATE_COMPLETE;
    return 0;
}

static int feed_chunk_data(struct ms_http1_parser *parser, struct ms_bytes input,
                           size_t *ret_taken) {
    int r = pass_body(parser, input, ret_taken);
    if (r == 0 && parser->left == 0)
        parser->state = STATE_CHUNK_END;
    return r;
}

/* Takes the whole line out, without its line feed; valid until more is received. */
static struct ms_bytes finish_line(struct ms_http1_parser *parser) {
    struct ms_bytes line = ms_bytes_of(parser->line.data, parser->line.len - 1);
    ms_buf_clear(&parser->line);
    return line;
}

static int feed_chunk_size(struct ms_http1_parser *parser, struct ms_bytes input,
                           size_t *ret_taken) {
    int r = take_line(&parser->line, MS_HTTP1_CHUNK_LINE_MAX, input, ret_taken);
    if (r == MS_ENOMEM)
        return refuse_memory(parser);
    if (r == MS_ETOOBIG)
        return refuse(parser, MS_EINVAL, 400, "a chunk extension is too long");
    if (r == 0)
        return 0;
    struct ms_bytes line = finish_line(parser);
    int status;
    const char *wrong = ms_http1_check_chunk_line(line, &status);
    if (wrong)
        return refuse_status(parser, status, wrong);
    r = run_engine(parser, ms_bytes_of(line.data, line.len + 1));
    if (r < 0)
        return r;
    parser->left = parser->engine.content_length;
    if (parser->left > parser->body_bytes_max - parser->body_bytes)
        return refuse(parser, MS_ETOOBIG, 413, "the body is too large");
    parser->body_bytes += parser->left;
    parser->state = parser->left > 0 ? STATE_CHUNK_DATA : STATE_TRAILERS;
    return 0;
}

static int feed_chunk_end(struct ms_http1_parser *parser, struct ms_bytes input,
                          size_t *ret_taken) {
    uint8_t wanted = parser->line.len == 0 ? '\r' : '\n';
    if (input.data[0] != wanted)
        return refuse(parser, MS_EINVAL, 400, "a chunk must end with CR LF after its last byte");
    *ret_taken = 1;
    if (ms_buf_append_u8(&parser->line, wanted) < 0)
        return refuse_memory(parser);
    if (wanted == '\r')
        return 0;
    struct ms_bytes line = finish_line(parser);
    parser->state = STATE_CHUNK_SIZE;
    return run_engine(parser, ms_bytes_of(line.data, line.len + 1));
}

/* Trailers could smuggle what the head may not say, so http_parser sees only the empty line. */
static int feed_trailers(struct ms_http1_parser *parser, struct ms_bytes input, size_t *ret_taken) {
    size_t max = parser->limits.header_bytes_max - parser->trailer_bytes;
    int r = take_line(&parser->line, max, input, ret_taken);
    if (r == MS_ENOMEM)
        return refuse_memory(parser);
    if (r == MS_ETOOBIG)
        return refuse(parser, MS_ETOOBIG, 431, "the trailers are too large");
    if (r == 0)
        return 0;
    struct ms_bytes line = finish_line(parser);
    if (is_empty_line(line)) {
        r = run_engine(parser, ms_bytes_of(line.data, line.len + 1));
        if (r == 0 && !parser->engine_is_done)
            r = refuse(parser, MS_EINVAL, 400, "the end of the body is in doubt");
        if (r == 0)
            parser->state = STATE_COMPLETE;
        return r;
    }
    int status;
    const char *wrong = ms_http1_check_header_line(line, &status);
    if (wrong)
        return refuse_status(parser, status, wrong);
    if (++parser->line_count > parser->limits.headers_max)
        return refuse(parser, MS_ETOOBIG, 431, "too many trailers");
    parser->trailer_bytes += line.len + 1;
    return 0;
}

/* ---- the end of a message ---- */

static void clear_buffer(struct ms_buf *buf) {
    size_t max = buf->max;
    if (buf->capacity > IDLE_BYTES_MAX) {
        ms_buf_deinit(buf);
        ms_buf_init(buf, max);
    }
    ms_buf_clear(buf);
}

static void forget_message(struct ms_http1_parser *parser) {
    clear_buffer(&parser->head);
    clear_buffer(&parser->headers);
    clear_buffer(&parser->line);
    parser->line_start = parser->line_count = 0;
    parser->empty_lines = 0;
    parser->request = (struct ms_http1_request){0};
    parser->trailer_bytes = 0;
    parser->body_bytes = parser->left = 0;
    parser->engine_is_done = false;
}

static int finish_message(struct ms_http1_parser *parser, struct ms_bytes input,
                          size_t *ret_taken) {
    (void)input;
    *ret_taken = 0;
    int r = stop_unless_zero(parser, parser->callbacks.on_complete(parser->context));
    if (r != 0)
        return r;
    parser->state = parser->request.keep_alive ? STATE_HEAD : STATE_CLOSED;
    forget_message(parser);
    return 0;
}

static int ignore_input(struct ms_http1_parser *parser, struct ms_bytes input, size_t *ret_taken) {
    (void)parser;
    *ret_taken = input.len;
    return 0;
}

/* ---- the face ---- */

/* Each takes some of the input, which is empty for STATE_COMPLETE only. */
static int (*const steps[])(struct ms_http1_parser *parser, struct ms_bytes input,
                            size_t *ret_taken) = {
    [STATE_HEAD] = feed_head,
    [STATE_BODY] = feed_body,
    [STATE_CHUNK_SIZE] = feed_chunk_size,
    [STATE_CHUNK_DATA] = feed_chunk_data,
    [STATE_CHUNK_END] = feed_chunk_end,
    [STATE_TRAILERS] = feed_trailers,
    [STATE_COMPLETE] = finish_message,
    [STATE_CLOSED] = ignore_input,
};

int ms_http1_feed(struct ms_http1_parser *parser, struct ms_bytes input, size_t *ret_consumed,
                  int *ret_status, struct ms_error *err) {
    size_t at = 0;
    while (!parser->is_paused && parser->state != STATE_FAILED &&
           (at < input.len || parser->state == STATE_COMPLETE)) {
        struct ms_bytes rest = {0};
        if (at < input.len)
            rest = ms_bytes_of(input.data + at, input.len - at);
        size_t taken = 0;
        (void)steps[parser->state](parser, rest, &taken); /* failures are in the state */
        at += taken;
    }
    *ret_consumed = at;
    *ret_status = 0;
    if (parser->state != STATE_FAILED)
        return 0;
    *ret_status = parser->failure_status;
    return ms_error_set(err, parser->failure, "%s", parser->failure_text);
}

int ms_http1_parser_new(const struct ms_http1_limits *limits,
                        const struct ms_http1_callbacks *callbacks, void *context,
                        struct ms_http1_parser **ret_parser) {
    if (limits->header_bytes_max > MS_HTTP1_HEADER_BYTES_LIMIT)
        return MS_EINVAL;
    struct ms_http1_parser *parser = ms_calloc(1, sizeof *parser);
    if (!parser)
        return MS_ENOMEM;
    parser->limits = *limits;
    parser->callbacks = *callbacks;
    parser->context = context;
    ms_buf_init(&parser->head, limits->header_bytes_max);
    ms_buf_init(&parser->headers, limits->headers_max * sizeof(struct ms_http1_header));
    size_t line_max = limits->header_bytes_max;
    ms_buf_init(&parser->line,
                line_max > MS_HTTP1_CHUNK_LINE_MAX ? line_max : MS_HTTP1_CHUNK_LINE_MAX);
    *ret_parser = parser;
    return 0;
}

void ms_http1_parser_free(struct ms_http1_parser *parser) {
    if (!parser)
        return;
    ms_buf_deinit(&parser->head);
    ms_buf_deinit(&parser->headers);
    ms_buf_deinit(&parser->line);
    ms_free(parser);
}

void ms_http1_pause(struct ms_http1_parser *parser) { parser->is_paused = true; }

void ms_http1_resume(struct ms_http1_parser *parser) { parser->is_paused = false; }

void ms_http1_set_body_max(struct ms_http1_parser *parser, size_t body_bytes_max) {
    MS_ASSERT(parser->state == STATE_HEAD);
    parser->body_bytes_max = body_bytes_max;
}

bool ms_http1_in_message(const struct ms_http1_parser *parser) {
    return parser->state == STATE_HEAD ? parser->head.len > 0 : parser->state < STATE_CLOSED;
}

struct ms_bytes ms_http1_header(const struct ms_http1_request *request, const char *name) {
    for (size_t i = 0; i < request->header_count; i++) {
        if (ms_bytes_equal_cstr(request->headers[i].name, name))
            return request->headers[i].value;
    }
    return (struct ms_bytes){0};
}
