/* See read_options.h. */
#include "cli/read_options.h"

/* A number, or one of the words `start` and `end`. */
static int read_from(struct ms_invocation *invocation, struct ms_target_read *read,
                     struct ms_error *err) {
    const char *from = ms_option_text(invocation, "from");
    if (!from || strcmp(from, "start") == 0)
        return 0;
    read->from_end = strcmp(from, "end") == 0;
    if (read->from_end)
        return 0;
    read->has_from = true;
    if (ms_parse_u64(ms_bytes_cstr(from), &read->from) != 0 || read->from > INT64_MAX)
        return ms_error_set(err, MS_EINVAL,
                            "--from: start, end or a number from 0 on was expected, not \"%.64s\"",
                            from);
    return 0;
}

static int read_filter(struct ms_invocation *invocation, struct ms_target_read *read,
                       struct ms_error *err) {
    static const char *const filters[] = {"topic", "stream-prefix", "type", "tag",
                                          "correlation-id"};
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        if (read->stream && ms_option_given(invocation, filters[i]))
            return ms_error_set(err, MS_EINVAL, "--%s selects from all events, not from one stream",
                                filters[i]);
    read->topic = ms_option_text(invocation, "topic");
    read->stream_prefix = ms_option_text(invocation, "stream-prefix");
    read->correlation_id = ms_option_text(invocation, "correlation-id");
    struct ms_bytes *types, *tags;
    int rc = ms_option_list(invocation, "type", &types, &read->type_count);
    if (rc == 0)
        rc = ms_option_list(invocation, "tag", &tags, &read->tag_count);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory for the options");
    read->types = types;
    read->tags = tags;
    return 0;
}

int ms_read_options(struct ms_invocation *invocation, const char *stream,
                    struct ms_target_read *ret_read, struct ms_error *err) {
    struct ms_target_read read = {.stream = stream, .limit = UINT64_MAX};
    int rc = read_from(invocation, &read, err);
    if (rc == 0)
        rc = ms_option_u64(invocation, "limit", 1, INT64_MAX, &read.limit, err);
    if (rc == 0)
        rc = read_filter(invocation, &read, err);
    if (rc == 0)
        *ret_read = read;
    return rc;
}
