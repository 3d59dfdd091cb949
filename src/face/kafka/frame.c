/* A large request being received; see frame.h. */
#include "face/kafka/frame.h"

#include "base/alloc.h"

static void release(struct ms_blob *blob) {
    ms_free(blob->data);
    ms_free(blob);
}

size_t ms_kafka_frame_wanted(const struct ms_kafka_frame *frame) {
    size_t capacity = frame->blob ? frame->blob->size : 0;
    if (frame->filled < capacity)
        return capacity;
    size_t wanted = capacity ? 2 * capacity : MS_KAFKA_FRAME_FIRST_BYTES;
    return wanted < frame->size ? wanted : frame->size;
}

/* realloc moves large blocks by their page tables: growing costs no copies where it would hurt. */
int ms_kafka_frame_grow(struct ms_kafka_frame *frame, size_t capacity) {
    struct ms_blob *blob = frame->blob;
    if (!blob) {
        blob = ms_alloc(sizeof *blob);
        if (!blob)
            return MS_ENOMEM;
        *blob = (struct ms_blob){.release = release};
        atomic_init(&blob->refs, 1);
    }
    uint8_t *data = ms_realloc(blob->data, capacity);
    if (!data) {
        if (!frame->blob)
            ms_free(blob);
        return MS_ENOMEM;
    }
    blob->data = data;
    blob->size = capacity;
    frame->blob = blob;
    return 0;
}
