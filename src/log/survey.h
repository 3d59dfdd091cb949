/*
 * What a segment file is worth, judged without an open log and by the rules of recovery
 * (recovery.h): what verify tells and what repair acts on. Changes nothing. One thread.
 */
#pragma once

#include "log/scan.h"
#include "log/segment_writer.h"
#include "log/verify.h"

/* The segments of a shard, by first position. */
struct ms_survey_list {
    uint64_t *names;
    size_t count;
    uint64_t bytes;
};
int ms_survey_list(const struct ms_verify_options *options, struct ms_survey_list *ret_list,
                   struct ms_error *err) MS_MUST_CHECK;
void ms_survey_list_free(struct ms_survey_list *list);

enum ms_survey_verdict {
    MS_SURVEY_WHOLE,   /* all of it checks, and the next segment can continue it */
    MS_SURVEY_END,     /* all that was acknowledged checks; nothing behind it counts, nor do later
                          segments */
    MS_SURVEY_DAMAGED, /* something that was acknowledged is lost, or could be */
};

struct ms_survey {
    enum ms_survey_verdict verdict;
    bool
        has_first; /* the block at byte 0 is this log's and this segment's, and its header checks */
    struct ms_block_header first;
    bool rewritten, sealed;
    struct ms_segment_end end; /* sealed: what the footer says */
    struct ms_chain chain;     /* behind the segment */
    uint64_t end_offset;       /* where its blocks end, or the chain does */
    uint64_t damages;
    uint64_t blocks, entries, events;
    uint64_t bytes; /* of the file */
    /* the highest that any whole block header says; position: behind the block */
    uint64_t sequence_seen, position_seen;
    uint32_t epoch_seen;
    int64_t commit_time_seen_ms;
};

/* What is said of a log that ends at `end` although derived state has seen more. */
#define MS_SURVEY_MISSING_TEXT 192u
void ms_survey_missing_text(uint64_t end, uint64_t known_end, char out[MS_SURVEY_MISSING_TEXT]);

/* Surveys the segment at `index`, which `before` leads to. Findings and progress go to the
 * options; `bytes_before` is what the segments before it had. MS_EFORMAT, MS_EIO, MS_ENOMEM. */
int ms_survey_segment(const struct ms_verify_options *options, const struct ms_survey_list *list,
                      size_t index, const struct ms_chain *before, uint64_t bytes_before,
                      struct ms_survey *ret_survey, struct ms_error *err) MS_MUST_CHECK;
