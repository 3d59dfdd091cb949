/*
 * Patterns of topic names: a subscription by regular expression. Kafka's brokers take RE2; here it
 * is POSIX' extended regular expressions, as the C library has them, and a pattern stands for whole
 * names. What both know means the same: . [] () | * + ? {m,n}. RE2's \d, (?:…), (?i) and the like
 * are refused or mean something else: [0-9] and () are right in both.
 *
 * Bounded, since a pattern comes from a client: its length, how deep brackets stand in each other
 * (63), how large it becomes when its repetitions are written out, as the library does it, and no
 * references back, which would take exponential time.
 *
 * Any thread.
 */
#pragma once

#include <regex.h>

#include "base/bytes.h"

#define MS_PATTERN_BYTES_MAX 1024u
#define MS_PATTERN_COST_MAX 2000u /* characters and sets, with repetitions written out */
#define MS_PATTERN_NAME_MAX 249u

struct ms_pattern {
    regex_t regex;
};

/* MS_EINVAL: it is none; MS_ENOMEM. */
int ms_pattern_init(struct ms_pattern *pattern, struct ms_bytes text) MS_MUST_CHECK;
void ms_pattern_deinit(struct ms_pattern *pattern);
bool ms_pattern_matches(const struct ms_pattern *pattern, struct ms_bytes name);
