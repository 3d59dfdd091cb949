/*
 * One HTTP exchange with a server, on libcurl: what the parts of the HTTP target share.
 *
 * A server that can't be reached is MS_ECLOSED. An exchange that broke after the request may have
 * arrived is MS_EUNKNOWN for requests that change something, else MS_EIO. An error answer becomes
 * the code of its problem type, with its detail as message. One thread.
 */
#pragma once

#include <curl/curl.h>

#include "base/arena.h"
#include "cli/target.h"

#define MS_HTTP_ANSWER_BYTES_MAX ((size_t)512 << 20)
#define MS_HTTP_LINK_MAX 4096

struct ms_http_target {
    struct ms_target target;
    const struct ms_env *env;
    FILE *messages;
    char *url; /* without a slash at the end */
    CURL *easy;
    CURLM *multi;
    struct ms_http_slot *slots; /* MS_TARGET_IN_FLIGHT_MAX */
};

struct ms_http_answer {
    long status;
    bool created; /* 201 */
    struct ms_buf body;
    char next[MS_HTTP_LINK_MAX]; /* target of Link: rel="next"; empty: none */
    bool too_big;
};
void ms_http_answer_init(struct ms_http_answer *answer);
void ms_http_answer_deinit(struct ms_http_answer *answer);

struct ms_http_call {
    const char *method;
    const char *path; /* with query */
    struct ms_bytes body;
    const char *content_type;             /* of the body; NULL: JSON */
    const char *if_match, *if_none_match; /* NULL: none */
    bool changes_something;
};

/* Sends and waits. 0 only for a 2xx answer. */
int ms_http_call(struct ms_http_target *http, const struct ms_http_call *call,
                 struct ms_http_answer *answer, struct ms_error *err) MS_MUST_CHECK;

/* Sets an easy handle up for a call; *ret_headers is to be freed with curl_slist_free_all after the
 * transfer. The body and the answer must live until then. */
int ms_http_prepare(CURL *easy, const char *url, const struct ms_http_call *call,
                    struct ms_http_answer *answer, struct curl_slist **ret_headers,
                    struct ms_error *err) MS_MUST_CHECK;
/* What a finished transfer means. */
int ms_http_outcome(CURL *easy, CURLcode result, const char *url, bool changes_something,
                    struct ms_http_answer *answer, struct ms_error *err) MS_MUST_CHECK;

/* A call on something that is named in the path: prefix, encoded name, suffix. */
struct ms_http_named {
    const char *method, *prefix;
    struct ms_bytes name;
    const char *suffix;
    struct ms_bytes body;
    const char *content_type; /* NULL: JSON */
    struct ms_condition condition;
};
/* The answer's body is appended to *out (NULL: not wanted); *ret_created (NULL: likewise) tells
 * whether it was 201. */
int ms_http_call_named(struct ms_target *target, const struct ms_http_named *named,
                       struct ms_buf *out, bool *ret_created, struct ms_error *err) MS_MUST_CHECK;

/* Appends text percent-encoded as one path segment or query value. */
int ms_http_encode(struct ms_buf *out, struct ms_bytes text) MS_MUST_CHECK;
/* The code for a problem type such as "urn:mainstem:problem:not-found"; MS_EIO for an unknown one.
 * */
int ms_http_problem_code(struct ms_bytes type);

/* ---- the vtable's parts ---- */

int ms_target_http_list_groups(struct ms_target *target, struct ms_buf *out, struct ms_error *err)
    MS_MUST_CHECK;
int ms_target_http_get_group(struct ms_target *target, struct ms_bytes group, struct ms_buf *out,
                             struct ms_error *err) MS_MUST_CHECK;
int ms_target_http_reset_group(struct ms_target *target, struct ms_bytes group,
                               struct ms_bytes json, struct ms_buf *out, struct ms_error *err)
    MS_MUST_CHECK;
int ms_target_http_delete_group(struct ms_target *target, struct ms_bytes group,
                                struct ms_error *err) MS_MUST_CHECK;
int ms_target_http_projection(struct ms_target *target, const struct ms_target_projection *request,
                              struct ms_buf *out, struct ms_error *err) MS_MUST_CHECK;
int ms_target_http_query(struct ms_target *target, const struct ms_target_query *query,
                         ms_target_event_fn *visit, void *context, struct ms_error *err)
    MS_MUST_CHECK;
int ms_http_slots_new(struct ms_http_target *http, struct ms_error *err) MS_MUST_CHECK;
void ms_http_slots_free(struct ms_http_target *http);
int ms_target_http_append_start(struct ms_target *target, const struct ms_target_append *append,
                                ms_target_appended_fn *done, void *context, struct ms_error *err)
    MS_MUST_CHECK;
int ms_target_http_poll(struct ms_target *target, struct ms_error *err) MS_MUST_CHECK;
int ms_target_http_read(struct ms_target *target, const struct ms_target_read *read,
                        ms_target_event_fn *visit, void *context, struct ms_error *err)
    MS_MUST_CHECK;
int ms_target_http_subscribe(struct ms_target *target, const struct ms_target_read *read,
                             ms_target_event_fn *visit, void *context, struct ms_error *err)
    MS_MUST_CHECK;
int ms_target_http_backup(struct ms_target *target, const char *dir,
                          const struct ms_target_progress *progress, struct ms_buf *out,
                          struct ms_error *err) MS_MUST_CHECK;
int ms_target_http_scavenge(struct ms_target *target, const struct ms_target_scavenge *scavenge,
                            const struct ms_target_progress *progress, struct ms_buf *out,
                            struct ms_error *err) MS_MUST_CHECK;
/* Appends path and query of a read; limit 0 leaves the parameter out. */
int ms_http_read_path(struct ms_buf *out, const struct ms_target_read *read, uint64_t limit)
    MS_MUST_CHECK;
/* Appends the body of POST /v1/append. */
int ms_http_append_body(struct ms_buf *out, const struct ms_target_append *append) MS_MUST_CHECK;
