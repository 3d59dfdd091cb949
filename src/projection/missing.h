/*
 * What of the past is missing to a projection: events of topics that it reads, which were removed
 * (store.h, ms_store_lost). Which topics those are its sources say: the named ones, those of named
 * streams, all of them for types and '*'. Whether it would have needed just these events is not
 * known any more: that they are missing is said rather too often than too seldom.
 *
 * Any thread.
 */
#pragma once

#include "projection/definition.h"
#include "store/store.h"

#define MS_MISSING_TOPIC_MAX 249u

struct ms_missing {
    bool any;
    char topic[MS_MISSING_TOPIC_MAX + 1]; /* one of them; "": not known which */
    uint64_t first, last;                 /* positions of events that are gone, and maybe others
                                             between them */
};

/* What of the positions from … to is missing; `any` is false when nothing is. Blocks for I/O. What
 * ms_store_lost returns. */
int ms_missing_find(struct ms_store *store, const struct ms_projection_definition *definition,
                    uint64_t from, uint64_t to, struct ms_missing *ret_missing,
                    struct ms_error *err) MS_MUST_CHECK;
/* What is missing by the one or the other; of two topics the newer one is told. */
void ms_missing_join(struct ms_missing *missing, const struct ms_missing *newer);
/* The first position that it needs: where the first event of its topics is, or was; the log's end
 * when there has been none. Blocks for I/O. */
int ms_missing_first_needed(struct ms_store *store,
                            const struct ms_projection_definition *definition,
                            uint64_t *ret_position, struct ms_error *err) MS_MUST_CHECK;

/* "events of topic 'order' at positions 3 to 17 were scavenged" */
#define MS_MISSING_TEXT_MAX 400u
void ms_missing_describe(const struct ms_missing *missing, char out[MS_MISSING_TEXT_MAX]);
/* MS_EINCOMPLETE, and a sentence that says so. */
int ms_missing_refuse(const struct ms_missing *missing, struct ms_bytes projection,
                      struct ms_error *err);
