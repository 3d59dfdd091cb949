/*
 * Saving what is whole of a damaged segment file: its appends go to a segment writer, and what lies
 * between them is told as lost. An append is saved whole or not at all; one whose end can't be
 * proved, because what follows it in the block is unreadable, is given up. One thread.
 */
#pragma once

#include "log/survey.h"

struct ms_salvage {
    const struct ms_verify_options *options; /* on_finding is told what is lost */
    const char *name;                        /* of the segment's file */
    uint64_t segment;
    const struct ms_survey *survey;
    uint64_t end;                     /* positions below it may be saved */
    struct ms_segment_writer *writer; /* NULL: only tells */
    /* results */
    uint64_t events_saved, positions_lost;
};

int ms_salvage_segment(struct ms_salvage *salvage, const char *path, struct ms_error *err)
    MS_MUST_CHECK;
