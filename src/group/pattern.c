/* Whether a name matches: all ways through the instructions at once. pattern.h says of what. */
#include "group/pattern.h"

#include "base/alloc.h"

#define WORDS (MS_PATTERN_COST_MAX / 64 + 1)

/* Instructions that wait for the next byte, each of them once. */
struct front {
    uint64_t seen[WORDS];
    uint16_t at[MS_PATTERN_COST_MAX];
    size_t count;
};

struct place {
    bool begin, end; /* of the name */
};

struct todo {
    uint16_t at[MS_PATTERN_COST_MAX];
    size_t count;
};

static void note(struct front *front, struct todo *todo, size_t at) {
    uint64_t bit = UINT64_C(1) << (at % 64);
    if (front->seen[at / 64] & bit)
        return;
    front->seen[at / 64] |= bit;
    todo->at[todo->count++] = (uint16_t)at;
}

/* From one instruction on to all that want a byte, or are done. */
static void go_on(const struct ms_pattern *pattern, size_t from, struct place place,
                  struct front *front) {
    struct todo todo = {.count = 0};
    note(front, &todo, from);
    while (todo.count > 0) {
        size_t at = todo.at[--todo.count];
        const struct ms_pattern_code *code = &pattern->code[at];
        switch ((enum ms_pattern_op)code->op) {
        case MS_PATTERN_JUMP:
            note(front, &todo, (size_t)((ptrdiff_t)at + code->by));
            break;
        case MS_PATTERN_FORK:
            note(front, &todo, (size_t)((ptrdiff_t)at + code->by));
            note(front, &todo, at + 1);
            break;
        case MS_PATTERN_BEGIN:
            if (place.begin)
                note(front, &todo, at + 1);
            break;
        case MS_PATTERN_END:
            if (place.end)
                note(front, &todo, at + 1);
            break;
        case MS_PATTERN_ANY:
        case MS_PATTERN_BYTE:
        case MS_PATTERN_SET:
        case MS_PATTERN_DONE:
            front->at[front->count++] = (uint16_t)at;
            break;
        }
    }
}

static bool takes(const struct ms_pattern *pattern, size_t at, uint8_t byte) {
    const struct ms_pattern_code *code = &pattern->code[at];
    switch ((enum ms_pattern_op)code->op) {
    case MS_PATTERN_ANY:
        return byte != '\n';
    case MS_PATTERN_BYTE:
        return byte == code->by;
    case MS_PATTERN_SET:
        return (pattern->sets[code->by].bits[byte / 64] >> (byte % 64)) & 1;
    case MS_PATTERN_BEGIN:
    case MS_PATTERN_END:
    case MS_PATTERN_JUMP:
    case MS_PATTERN_FORK:
    case MS_PATTERN_DONE:
        return false;
    }
    return false;
}

static bool is_done(const struct ms_pattern *pattern, const struct front *front) {
    for (size_t i = 0; i < front->count; i++)
        if (pattern->code[front->at[i]].op == MS_PATTERN_DONE)
            return true;
    return false;
}

static void clear(struct front *front) {
    memset(front->seen, 0, sizeof front->seen);
    front->count = 0;
}

bool ms_pattern_matches(const struct ms_pattern *pattern, struct ms_bytes name) {
    struct front fronts[2], *now = &fronts[0], *next = &fronts[1];
    if (name.len > MS_PATTERN_NAME_MAX)
        return false;
    clear(now);
    go_on(pattern, 0, (struct place){true, name.len == 0}, now);
    for (size_t i = 0; i < name.len && now->count > 0; i++) {
        struct front *spent = now;
        clear(next);
        for (size_t n = 0; n < now->count; n++)
            if (takes(pattern, now->at[n], name.data[i]))
                go_on(pattern, now->at[n] + 1u, (struct place){false, i + 1 == name.len}, next);
        now = next;
        next = spent;
    }
    return is_done(pattern, now);
}

void ms_pattern_deinit(struct ms_pattern *pattern) {
    ms_free(pattern->code);
    ms_free(pattern->sets);
}
