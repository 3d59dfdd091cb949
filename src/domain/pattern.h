/*
 * Lua's patterns (Lua 5.4 reference manual, 6.4.1), matched within a budget of steps.
 *
 *     %a %d %l %s %u %w %x %p %c %g %z  classes, of ASCII whatever the locale; upper case: others
 *     [set] [^set] .                 sets, any byte
 *     * + - ?                        as many, at least one, as few, at most one
 *     ^ $ ( ) () %1 %bxy %f[set]     anchors, captures, positions, repeats, balanced, frontiers
 *
 * A pattern is compiled, then matched by backtracking: some patterns take exponential time, which
 * is what the budget is for. Any thread.
 */
#pragma once

#include "base/bytes.h"

#define MS_PATTERN_NODES_MAX 256u
#define MS_PATTERN_CAPTURES_MAX 32u
#define MS_PATTERN_DEPTH_MAX 200u

struct ms_pattern_node {
    uint8_t op, quantifier, a, b;
    uint32_t set[8]; /* a bit for each byte */
};

struct ms_pattern {
    bool anchored; /* "^": matches only where matching begins */
    uint16_t count;
    struct ms_pattern_node nodes[MS_PATTERN_NODES_MAX];
};

/* `anchors`: a '^' that comes first is one; else it stands for itself. MS_EINVAL: *ret_error says
 * what is wrong with the pattern (a literal). */
int ms_pattern_compile(struct ms_bytes text, bool anchors, struct ms_pattern *ret_pattern,
                       const char **ret_error) MS_MUST_CHECK;

#define MS_PATTERN_POSITION SIZE_MAX
struct ms_pattern_capture {
    size_t from;
    size_t len; /* MS_PATTERN_POSITION: only `from` was asked for */
};

struct ms_pattern_match {
    size_t from, end; /* of the whole match */
    unsigned capture_count;
    struct ms_pattern_capture captures[MS_PATTERN_CAPTURES_MAX];
};

/* Looks for a match that begins exactly at `from`. *steps is what is left of the budget. 1: found;
 * 0: none; MS_ELIMIT: *steps is used up; MS_ETOOBIG: captures and repeats nest too deeply;
 * MS_EINVAL: a capture that is not complete is repeated, or none of that number is there. */
int ms_pattern_match_at(const struct ms_pattern *pattern, struct ms_bytes subject, size_t from,
                        int64_t *steps, struct ms_pattern_match *ret_match) MS_MUST_CHECK;
/* The first match at `from` or behind it. */
int ms_pattern_find(const struct ms_pattern *pattern, struct ms_bytes subject, size_t from,
                    int64_t *steps, struct ms_pattern_match *ret_match) MS_MUST_CHECK;
