/*
 * HTTP/1.1 requests on arbitrary bytes: the first byte says how the rest is split. Fed in one
 * piece, in those pieces, and with a pause after every callback, the parser must tell the same
 * story; and whatever comes, the limits hold.
 */
#include "wire/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ms_http1_limits limits = {
    .header_bytes_max = 512, .headers_max = 8, .target_bytes_max = 64, .body_bytes_max = 200};

struct listener {
    struct ms_http1_parser *parser;
    struct ms_buf story;
    bool pauses, in_message;
    size_t body_bytes;
};

static void tell(struct listener *listener, struct ms_bytes bytes) {
    MS_ASSERT(ms_buf_append_bytes(&listener->story, bytes) == 0);
    MS_ASSERT(ms_buf_append_u8(&listener->story, 0) == 0);
}

static int on_headers(void *context, const struct ms_http1_request *request) {
    struct listener *listener = context;
    MS_ASSERT(!listener->in_message);
    MS_ASSERT(request->header_count <= limits.headers_max);
    MS_ASSERT(request->target.len <= limits.target_bytes_max && request->path.len > 0);
    MS_ASSERT(request->http10 || ms_http1_header(request, "host").data != NULL);
    MS_ASSERT(!ms_http1_header(request, "content-length").data ||
              !ms_http1_header(request, "transfer-encoding").data);
    tell(listener, request->method);
    tell(listener, request->target);
    tell(listener, request->path);
    tell(listener, request->query);
    size_t total = request->method.len + request->target.len;
    for (size_t i = 0; i < request->header_count; i++) {
        tell(listener, request->headers[i].name);
        tell(listener, request->headers[i].value);
        total += request->headers[i].name.len + request->headers[i].value.len;
    }
    MS_ASSERT(total <= limits.header_bytes_max);
    MS_ASSERT(ms_buf_printf(&listener->story, "%d%d%d%d %ld", request->keep_alive,
                            request->expect_continue, request->http10, request->has_body,
                            (long)request->content_length) == 0);
    listener->in_message = true;
    listener->body_bytes = 0;
    if (listener->pauses)
        ms_http1_pause(listener->parser);
    return 0;
}

static int on_body(void *context, struct ms_bytes piece) {
    struct listener *listener = context;
    MS_ASSERT(listener->in_message && piece.len > 0);
    listener->body_bytes += piece.len;
    MS_ASSERT(listener->body_bytes <= limits.body_bytes_max);
    MS_ASSERT(ms_buf_append_bytes(&listener->story, piece) == 0);
    if (listener->pauses)
        ms_http1_pause(listener->parser);
    return 0;
}

static int on_complete(void *context) {
    struct listener *listener = context;
    MS_ASSERT(listener->in_message);
    tell(listener, MS_BYTES_LITERAL("end"));
    listener->in_message = false;
    if (listener->pauses)
        ms_http1_pause(listener->parser);
    return 0;
}

/* Pieces of 1 to 16 bytes that the seed chooses; 0 = all at once. */
static size_t piece_len(uint32_t *seed, size_t left) {
    if (*seed == 0)
        return left;
    *seed = *seed * 1664525 + 1013904223;
    size_t len = (*seed >> 24) % 16 + 1;
    return len < left ? len : left;
}

static void run(struct listener *listener, struct ms_bytes input, uint32_t seed, bool pauses) {
    static const struct ms_http1_callbacks callbacks = {on_headers, on_body, on_complete};
    *listener = (struct listener){.pauses = pauses};
    ms_buf_init(&listener->story, 16 * input.len + 4096);
    MS_ASSERT(ms_http1_parser_new(&limits, &callbacks, listener, &listener->parser) == 0);
    int r = 0, status = 0;
    size_t consumed = 0;
    do {
        struct ms_bytes piece = ms_bytes_of(input.data, piece_len(&seed, input.len));
        ms_http1_resume(listener->parser);
        r = ms_http1_feed(listener->parser, piece, &consumed, &status, NULL);
        MS_ASSERT(consumed <= piece.len);
        MS_ASSERT(r != 0 || pauses || consumed == piece.len);
        MS_ASSERT((r != 0) == (status >= 400));
        input = ms_bytes_of(input.data + consumed, input.len - consumed);
    } while (r == 0 && (input.len > 0 || (pauses && consumed > 0)));
    MS_ASSERT(ms_buf_printf(&listener->story, "%d %d %d", r, status,
                            ms_http1_in_message(listener->parser)) == 0);
    ms_http1_parser_free(listener->parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    struct ms_bytes input = ms_bytes_of(data + 1, size - 1);
    struct listener whole, other;
    run(&whole, input, 0, false);
    for (int variant = 0; variant < 3; variant++) {
        run(&other, input, variant == 0 ? 0 : *data + 1u, variant != 1);
        MS_ASSERT(ms_bytes_equal(ms_buf_bytes(&whole.story), ms_buf_bytes(&other.story)));
        ms_buf_deinit(&other.story);
    }
    ms_buf_deinit(&whole.story);
    return 0;
}
