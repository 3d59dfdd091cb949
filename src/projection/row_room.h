/* Room for one row of an answer and the names of its columns, as readers hand them out. It grows to
 * the widest row. One thread. */
#pragma once

#include "base/alloc.h"
#include "projection/event_values.h"

struct ms_row_room { /* zeroed: empty */
    struct ms_value *values;
    struct ms_bytes *names;
    size_t max;
};

static inline int ms_row_room_reserve(struct ms_row_room *room, size_t count) {
    if (count <= room->max)
        return 0;
    struct ms_value *values = ms_realloc(room->values, count * sizeof *values);
    if (values == NULL)
        return MS_ENOMEM;
    room->values = values;
    struct ms_bytes *names = ms_realloc(room->names, count * sizeof *names);
    if (names == NULL)
        return MS_ENOMEM;
    room->names = names;
    room->max = count;
    return 0;
}

static inline void ms_row_room_deinit(struct ms_row_room *room) {
    ms_free(room->values);
    ms_free(room->names);
}
