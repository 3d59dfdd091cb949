/* "Did you mean …?": the nearest of several names. Any thread. */
#pragma once

#include "base/bytes.h"

#define MS_SUGGEST_NAME_MAX 64
struct ms_suggestion {
    struct ms_bytes wanted;
    const char *best; /* NULL when nothing is near enough to be a misspelling */
    size_t best_distance;
};
void ms_suggest_begin(struct ms_suggestion *suggestion, struct ms_bytes wanted);
/* Looks at one candidate, which must outlive the suggestion. */
void ms_suggest_offer(struct ms_suggestion *suggestion, const char *candidate);
