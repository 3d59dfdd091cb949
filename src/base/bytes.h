/*
 * Byte strings: borrowed views, shared immutable slices, and growable buffers with a maximum.
 *
 *   ms_bytes   pointer and length, borrowed; never owns
 *   ms_blob    a reference-counted block of memory, immutable once shared
 *   ms_slice   a view into a blob that holds a reference: what fan-out hands around, not copies
 *   ms_buf     one owner appends to it; must be given its maximum when it is made
 *
 * Views and buffers belong to one thread; blobs may be referenced from any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"

struct ms_bytes {
    const uint8_t *data; /* may be NULL when len is 0 */
    size_t len;
};

#define MS_BYTES_LITERAL(text) ((struct ms_bytes){(const uint8_t *)(text), sizeof(text) - 1})
static inline struct ms_bytes ms_bytes_of(const void *data, size_t len) {
    return (struct ms_bytes){(const uint8_t *)data, len};
}
static inline struct ms_bytes ms_bytes_cstr(const char *text) {
    return (struct ms_bytes){(const uint8_t *)text, text ? strlen(text) : 0};
}
static inline bool ms_bytes_equal(struct ms_bytes a, struct ms_bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
static inline bool ms_bytes_equal_cstr(struct ms_bytes a, const char *text) {
    return ms_bytes_equal(a, ms_bytes_cstr(text));
}
static inline bool ms_bytes_starts_with(struct ms_bytes a, struct ms_bytes prefix) {
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.data, prefix.data, prefix.len) == 0);
}
/* Like memcmp, a shorter string sorts before a longer one that begins with it. */
int ms_bytes_compare(struct ms_bytes a, struct ms_bytes b);

/* Strict decimal integers: no sign for u64, optional '-' for i64, no spaces, no leading '+'.
 * MS_EINVAL otherwise or on overflow. (`atoi` and friends are banned: they can't report an
 * error.) */
int ms_parse_u64(struct ms_bytes text, uint64_t *ret_value) MS_MUST_CHECK;
int ms_parse_i64(struct ms_bytes text, int64_t *ret_value) MS_MUST_CHECK;

/* True when text is well-formed UTF-8 (no surrogates, no overlong forms). */
bool ms_utf8_valid(struct ms_bytes text);

/* ---- blobs and slices ---- */

struct ms_blob {
    atomic_uint refs;
    size_t size;
    uint8_t *data;
    /* Called by the last unref: frees data and the blob itself. */
    void (*release)(struct ms_blob *blob);
};

/* A heap blob of `size` uninitialised bytes, data aligned to 4096 when size >= 4096; one reference.
 * MS_ENOMEM. */
int ms_blob_new(size_t size, struct ms_blob **ret_blob) MS_MUST_CHECK;

/* Takes NULL, returns its argument. */
static inline struct ms_blob *ms_blob_ref(struct ms_blob *blob) {
    if (blob)
        atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}
/* Takes NULL. */
static inline void ms_blob_unref(struct ms_blob *blob) {
    if (!blob)
        return;
    unsigned refs = atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel);
    MS_ASSERT(refs > 0);
    if (refs == 1)
        blob->release(blob);
}

struct ms_slice {
    struct ms_blob *blob; /* NULL for static or borrowed bytes */
    struct ms_bytes bytes;
};

static inline struct ms_slice ms_slice_of(struct ms_blob *blob, size_t offset, size_t len) {
    return (struct ms_slice){ms_blob_ref(blob), {blob->data + offset, len}};
}
static inline void ms_slice_unref(struct ms_slice *slice) {
    ms_blob_unref(slice->blob);
    *slice = (struct ms_slice){0};
}

/* ---- growable buffer ---- */

struct ms_buf {
    uint8_t *data;
    size_t len;
    size_t capacity;
    size_t max;
};

void ms_buf_init(struct ms_buf *buf, size_t max);
void ms_buf_deinit(struct ms_buf *buf); /* frees; takes a zeroed struct */
static inline void ms_buf_clear(struct ms_buf *buf) { buf->len = 0; }
static inline struct ms_bytes ms_buf_bytes(const struct ms_buf *buf) {
    return (struct ms_bytes){buf->data, buf->len};
}
/* All of these: MS_ENOMEM, or MS_ETOOBIG past `max`; on failure the buffer is as before. What is
 * appended must not lie in the buffer itself. */
int ms_buf_printf(struct ms_buf *buf, const char *format, ...) MS_PRINTF(2, 3) MS_MUST_CHECK;
/* The slow part of ms_buf_reserve. */
int ms_buf_grow(struct ms_buf *buf, size_t extra) MS_MUST_CHECK;

/* Room for exactly `extra` more, for what will not grow further. */
int ms_buf_reserve_exact(struct ms_buf *buf, size_t extra) MS_MUST_CHECK;

MS_MUST_CHECK static inline int ms_buf_reserve(struct ms_buf *buf, size_t extra) {
    return MS_LIKELY(extra <= buf->capacity - buf->len) ? 0 : ms_buf_grow(buf, extra);
}
/* Appends `len` uninitialised bytes and returns where they are through ret_place. */
MS_MUST_CHECK static inline int ms_buf_extend(struct ms_buf *buf, size_t len, uint8_t **ret_place) {
    int code = ms_buf_reserve(buf, len);
    if (MS_UNLIKELY(code < 0))
        return code;
    *ret_place = len ? buf->data + buf->len : buf->data;
    buf->len += len;
    return 0;
}
MS_MUST_CHECK static inline int ms_buf_append(struct ms_buf *buf, const void *data, size_t len) {
    if (len == 0)
        return 0;
    int code = ms_buf_reserve(buf, len);
    if (MS_UNLIKELY(code < 0))
        return code;
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    return 0;
}
MS_MUST_CHECK static inline int ms_buf_append_bytes(struct ms_buf *buf, struct ms_bytes bytes) {
    return ms_buf_append(buf, bytes.data, bytes.len);
}
MS_MUST_CHECK static inline int ms_buf_append_cstr(struct ms_buf *buf, const char *text) {
    return ms_buf_append(buf, text, text ? strlen(text) : 0);
}
MS_MUST_CHECK static inline int ms_buf_append_u8(struct ms_buf *buf, uint8_t byte) {
    int code = ms_buf_reserve(buf, 1);
    if (MS_UNLIKELY(code < 0))
        return code;
    buf->data[buf->len++] = byte;
    return 0;
}
