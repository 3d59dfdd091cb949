/* What became of an append; see outcome.h. */
#include "face/http/outcome.h"

#include "face/http/answer.h"
#include "face/http/condition.h"
#include "wire/json.h"

static void copy_parts(struct ms_http_append_outcome *outcome,
                       const struct ms_append_result *result) {
    if (result->part_count == 0 || result->code != 0)
        return;
    outcome->first_version = result->parts[0].first_version;
    outcome->version = result->parts[0].version;
    if (outcome->part_results)
        memcpy(outcome->part_results, result->parts, result->part_count * sizeof *result->parts);
}

void ms_http_outcome_done(void *context, const struct ms_append_result *result) {
    struct ms_http_request *request = context;
    struct ms_http_append_outcome *outcome = &request->outcome;
    outcome->code = result->code;
    outcome->repeated = result->repeated;
    outcome->position = result->position;
    copy_parts(outcome, result);
    if (result->code != 0) {
        outcome->failed_part = result->failed_part;
        outcome->failed_query = result->failed_query;
        outcome->expected = result->expected;
        outcome->actual_state = result->actual_state;
        outcome->actual_version = result->actual_version;
        outcome->matching_position = result->matching_position;
        if (result->error)
            request->error = *result->error;
        else
            request->error.code = 0;
    }
    ms_http_request_hand_back(request);
}

/* The stream that a refusal is about. */
static struct ms_bytes failed_stream(const struct ms_http_request *request) {
    const struct ms_http_append_outcome *outcome = &request->outcome;
    if (outcome->parts && outcome->failed_part < outcome->part_count)
        return outcome->parts[outcome->failed_part].stream;
    return request->stream;
}

static int write_stream_members(struct ms_buf *out, const struct ms_http_request *request) {
    const struct ms_http_append_outcome *outcome = &request->outcome;
    int code = ms_buf_append_cstr(out, ",\"stream\":");
    if (code == 0)
        code = ms_json_write_string(out, failed_stream(request));
    if (code == 0 && outcome->parts)
        code = ms_buf_printf(out, ",\"append\":%zu", outcome->failed_part);
    if (code == 0 && outcome->code != MS_EIDCONFLICT) {
        char expected[32];
        ms_http_condition_format(&outcome->expected, expected);
        code = ms_buf_printf(out, ",\"expected\":%s,\"actual\":", expected);
        if (code == 0 && outcome->actual_version < 0)
            code = ms_buf_append_cstr(out, "null");
        else if (code == 0)
            code = ms_buf_printf(out, "%lld", (long long)outcome->actual_version);
        if (code == 0)
            code = ms_buf_printf(out, ",\"actual_state\":\"%s\"",
                                 ms_http_stream_state_name(outcome->actual_state));
    }
    return code;
}

static int write_members(struct ms_buf *out, const struct ms_http_request *request) {
    const struct ms_http_append_outcome *outcome = &request->outcome;
    switch (outcome->code) {
    case MS_ECONFLICT:
    case MS_EDELETED:
    case MS_ETOMBSTONED:
    case MS_EIDCONFLICT:
        return write_stream_members(out, request);
    case MS_EQUERYCONDITION:
        return ms_buf_printf(out, ",\"query_condition\":%zu,\"matching_position\":%llu",
                             outcome->failed_query, (unsigned long long)outcome->matching_position);
    default:
        return 0;
    }
}

void ms_http_outcome_answer_refusal(struct ms_http_request *request) {
    struct ms_http_problem problem = ms_http_problem_of_code(request->outcome.code);
    if (request->error.code == request->outcome.code)
        problem.detail = ms_bytes_cstr(request->error.message);
    struct ms_buf members;
    ms_buf_init(&members, 64 * 1024);
    if (write_members(&members, request) == 0)
        problem.members = ms_buf_bytes(&members);
    ms_http_answer_problem(request, problem);
    ms_buf_deinit(&members);
}
