/* The names of streams that requests name; see stream_key.h. */
#include "face/http/stream_key.h"

#include "store/store.h"

int ms_http_stream_of_key(struct ms_bytes topic, struct ms_bytes key, struct ms_arena *arena,
                          struct ms_bytes *ret_stream, struct ms_error *err) {
    struct ms_buf name;
    ms_buf_init(&name, 3 * (topic.len + key.len) + 16);
    int rc = ms_store_stream_name(topic, key, &name, err);
    char *copy = rc == 0 ? ms_arena_strdup(arena, ms_buf_bytes(&name)) : NULL;
    if (copy)
        *ret_stream = ms_bytes_of(copy, name.len);
    else if (rc == 0)
        rc = ms_error_set(err, MS_ENOMEM, "no memory for a stream's name");
    ms_buf_deinit(&name);
    return rc;
}

int ms_http_stream_of_name(struct ms_bytes text, bool writes, struct ms_arena *arena,
                           struct ms_bytes *ret_stream, struct ms_error *err) {
    bool metadata = text.len > 1 && text.data[1] == '$';
    if (writes && text.len > 0 && text.data[0] == '$' && !metadata) {
        *ret_stream = text;
        return 0;
    }
    return ms_store_canonical_name(text, arena, ret_stream, err);
}
