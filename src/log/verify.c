/* Verifying: the survey of every segment, and whether they follow each other. See verify.h. */
#include "log/verify.h"

#include <stdio.h>

#include "log/survey.h"

struct verifier {
    const struct ms_verify_options *options;
    struct ms_survey_list list;
    struct ms_chain chain;
    uint64_t end_seen, end_offset; /* as the last segment has it */
    struct ms_verify_result result;
};

static void found_at(struct verifier *v, uint64_t segment, uint64_t offset, bool damage,
                     const char *what) {
    char name[MS_SEGMENT_NAME_LEN + 1];
    ms_segment_name(segment, name);
    struct ms_verify_finding finding = {name, offset, damage, what};
    v->result.damages += damage;
    if (v->options->on_finding != NULL)
        v->options->on_finding(v->options->context, &finding);
}

static void found(struct verifier *v, uint64_t segment, bool damage, const char *what) {
    found_at(v, segment, 0, damage, what);
}

static void check_place(struct verifier *v, uint64_t segment) {
    char text[160];
    if (segment == v->chain.position)
        return;
    if (segment > v->chain.position)
        snprintf(text, sizeof text, "a segment is missing before it: events %llu to %llu are gone",
                 (unsigned long long)v->chain.position, (unsigned long long)segment - 1);
    else
        snprintf(text, sizeof text,
                 "the segment begins at %llu, but the one before it ends at %llu",
                 (unsigned long long)segment, (unsigned long long)v->chain.position);
    found(v, segment, true, text);
}

static void count(struct verifier *v, const struct ms_survey *survey) {
    v->result.segments++;
    v->result.blocks += survey->blocks;
    v->result.entries += survey->entries;
    v->result.events += survey->events;
    v->result.bytes += survey->bytes;
    v->result.damages += survey->damages;
    v->chain = survey->chain;
    v->end_offset = survey->end_offset;
    v->end_seen = survey->chain.position;
    /* What stands behind damage is not missing. */
    if (survey->verdict == MS_SURVEY_DAMAGED && survey->position_seen > v->end_seen)
        v->end_seen = survey->position_seen;
}

/* Recovery's row 11. */
static void check_end(struct verifier *v, uint64_t last_segment) {
    char text[MS_SURVEY_MISSING_TEXT];
    if (!ms_recovery_misses(v->end_seen, v->chain.os, v->options->known_end))
        return;
    ms_survey_missing_text(v->end_seen, v->options->known_end, text);
    found_at(v, last_segment, v->end_offset, true, text);
}

static int verify_all(struct verifier *v, struct ms_error *err) {
    struct ms_survey survey;
    uint64_t last = 0;
    for (size_t i = 0; i < v->list.count; i++) {
        check_place(v, v->list.names[i]);
        int rc =
            ms_survey_segment(v->options, &v->list, i, &v->chain, v->result.bytes, &survey, err);
        if (rc != 0)
            return rc;
        count(v, &survey);
        last = v->list.names[i];
        if (survey.verdict != MS_SURVEY_END)
            continue;
        for (size_t later = i + 1; later < v->list.count; later++)
            found(v, v->list.names[later], false,
                  "the log ends before it; nothing in it was acknowledged");
        break;
    }
    check_end(v, last);
    return 0;
}

int ms_log_verify(const struct ms_verify_options *options, struct ms_verify_result *ret_result,
                  struct ms_error *err) {
    struct verifier v = {.options = options};
    int rc = ms_survey_list(options, &v.list, err);
    if (rc != 0)
        return rc;
    rc = verify_all(&v, err);
    if (v.list.count > 0)
        v.result.first_position = v.list.names[0];
    v.result.end_position = v.chain.position;
    ms_survey_list_free(&v.list);
    if (rc == 0)
        *ret_result = v.result;
    return rc;
}
