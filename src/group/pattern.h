/*
 * Patterns of topic names, as members of consumer groups subscribe with them.
 *
 * What RE2 knows, as far as names need it: . [] [^a-z] [[:alpha:]] () (?:) | * + ? {m} {m,} {m,n},
 * the lazy *? +? ?? {}?, ^ $, \d \w \s \D \W \S, and a backslash before what is no letter or digit.
 * A pattern stands for whole names. The rest of RE2 is refused: flags such as (?i), names of
 * groups, \b, \p, \x and the like, a repetition of a repetition, more than 1000 times of anything;
 * and a '{' or ')' that begins or ends nothing.
 *
 * Bounded, since a pattern comes from a client: its length, how deep brackets stand in each other
 * (63), and how many instructions it becomes with its repetitions written out. A name is looked at
 * once from left to right, with each instruction at most once for each byte.
 *
 *   pattern_compile.c   from text to instructions
 *   pattern.c           a name and instructions
 *
 * Any thread.
 */
#pragma once

#include "base/bytes.h"

#define MS_PATTERN_BYTES_MAX 1024u
#define MS_PATTERN_COST_MAX 2000u /* instructions */
#define MS_PATTERN_NAME_MAX 249u

enum ms_pattern_op {
    MS_PATTERN_ANY,   /* one byte, but not a newline */
    MS_PATTERN_BYTE,  /* this byte */
    MS_PATTERN_SET,   /* a byte of this set */
    MS_PATTERN_BEGIN, /* goes on at the beginning only */
    MS_PATTERN_END,
    MS_PATTERN_JUMP, /* goes on `by` instructions further, or back */
    MS_PATTERN_FORK, /* goes on both with the next one and `by` further, or back */
    MS_PATTERN_DONE,
};

struct ms_pattern_code {
    uint16_t op;
    int16_t by; /* or the byte, or the set */
};

/* One bit for each byte. */
struct ms_pattern_set {
    uint64_t bits[4];
};

struct ms_pattern {
    struct ms_pattern_code *code;
    struct ms_pattern_set *sets;
    size_t count;
};

/* MS_EINVAL: this is no pattern, or one that is too costly. MS_ENOMEM. */
int ms_pattern_init(struct ms_pattern *pattern, struct ms_bytes text) MS_MUST_CHECK;
void ms_pattern_deinit(struct ms_pattern *pattern);
/* Of the whole name; one longer than names can be matches nothing. */
bool ms_pattern_matches(const struct ms_pattern *pattern, struct ms_bytes name);
