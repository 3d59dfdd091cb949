/*
 * Nearness is the number of inserted, removed, replaced or swapped characters. A candidate is near
 * enough when that is at most a third of the wanted name's length (at least 1). Any thread.
 */
#include "base/suggest.h"

static size_t min2(size_t a, size_t b) { return a < b ? a : b; }

/* Optimal string alignment distance over three rows. */
static size_t distance(struct ms_bytes a, struct ms_bytes b) {
    size_t rows[3][MS_SUGGEST_NAME_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.len; j++)
        last[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = a.data[i - 1] == b.data[j - 1];
            row[j] = min2(min2(last[j] + 1, row[j - 1] + 1), last[j - 1] + (same ? 0 : 1));
            bool swapped =
                i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1];
            if (swapped)
                row[j] = min2(row[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[b.len];
}

void ms_suggest_begin(struct ms_suggestion *suggestion, struct ms_bytes wanted) {
    size_t near = wanted.len / 3 > 0 ? wanted.len / 3 : 1;
    *suggestion = (struct ms_suggestion){.wanted = wanted, .best_distance = near + 1};
}

void ms_suggest_offer(struct ms_suggestion *suggestion, const char *candidate) {
    struct ms_bytes name = ms_bytes_cstr(candidate);
    if (name.len > MS_SUGGEST_NAME_MAX || suggestion->wanted.len > MS_SUGGEST_NAME_MAX)
        return;
    size_t found = distance(suggestion->wanted, name);
    if (found < suggestion->best_distance) {
        suggestion->best = candidate;
        suggestion->best_distance = found;
    }
}
