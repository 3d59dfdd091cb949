/* Verifying: the survey of every segment, and whether they follow each other. See verify.h. */
#include "log/verify.h"

#include <stdio.h>

#include "log/survey.h"

struct verifier {
    const struct ms_verify_options *options;
    struct ms_survey_list list;
    struct ms_chain chain;
    struct ms_verify_result result;
};

static void found(struct verifier *v, uint64_t segment, bool damage, const char *what) {
    char name[MS_SEGMENT_NAME_LEN + 1];
    ms_segment_name(segment, name);
    struct ms_verify_finding finding = {name, 0, damage, what};
    v->result.damages += damage;
    if (v->options->on_finding != NULL)
        v->options->on_finding(v->options->context, &finding);
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
}

static int verify_all(struct verifier *v, struct ms_error *err) {
    struct ms_survey survey;
    for (size_t i = 0; i < v->list.count; i++) {
        check_place(v, v->list.names[i]);
        int rc =
            ms_survey_segment(v->options, &v->list, i, &v->chain, v->result.bytes, &survey, err);
        if (rc != 0)
            return rc;
        count(v, &survey);
        if (survey.verdict != MS_SURVEY_END)
            continue;
        for (size_t later = i + 1; later < v->list.count; later++)
            found(v, v->list.names[later], false,
                  "the log ends before it; nothing in it was acknowledged");
        break;
    }
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
