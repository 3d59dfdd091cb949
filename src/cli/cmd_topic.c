/* `mainstem topic list|show|create|delete`. */
#include "base/time.h"
#include "cli/output.h"
#include "cli/target.h"
#include "store/store.h"

#define TEXT_BYTES_MAX ((size_t)64 << 20)
#define ANSWER_DEPTH_MAX 16

static struct ms_bytes topic_of(const struct ms_invocation *invocation) {
    return ms_bytes_cstr(invocation->args[0]);
}

/* ---- list and show ---- */

struct listing {
    struct ms_output output;
    size_t count;
};

static int print_topic(void *context, struct ms_bytes topic) {
    struct listing *listing = context;
    if (!listing->output.json && listing->count > 0)
        fputc('\n', listing->output.file);
    listing->count++;
    return ms_output_object(&listing->output, topic, NULL);
}

int ms_cmd_topic_list(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct ms_target *target;
    int rc = ms_target_open(invocation, MS_TARGET_READS, &target, &error);
    if (rc == 0) {
        struct listing listing = {.count = 0};
        ms_output_init(&listing.output, invocation);
        rc = ms_target_list_topics(target, print_topic, &listing, &error);
        ms_output_deinit(&listing.output);
        ms_target_free(target);
    }
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, &error);
}

static int show(struct ms_invocation *invocation, struct ms_target *target, struct ms_error *err) {
    struct ms_buf text;
    ms_buf_init(&text, TEXT_BYTES_MAX);
    int rc = ms_target_get_topic(target, topic_of(invocation), &text, err);
    if (rc == 0) {
        struct ms_output output;
        ms_output_init(&output, invocation);
        rc = ms_output_object(&output, ms_buf_bytes(&text), NULL);
        ms_output_deinit(&output);
    }
    ms_buf_deinit(&text);
    return rc;
}

static const struct ms_output_column partition_columns[] = {
    {"partition", "PARTITION", true, NULL},      {"start_offset", "START", true, NULL},
    {"end_offset", "END", true, NULL},           {"events", "EVENTS", true, NULL},
    {"newest_timestamp", "NEWEST", false, NULL},
};

/* JSON: one object, with the partitions as its last member, "offsets". */
static int print_with_partitions(struct ms_output *output, struct ms_buf *topic,
                                 struct ms_json_value partitions) {
    if (!output->json) {
        int rc = ms_output_object(output, ms_buf_bytes(topic), NULL);
        if (rc == 0 && fputc('\n', output->file) == EOF)
            rc = MS_EIO;
        return rc == 0 ? ms_output_table(output, partitions, partition_columns,
                                         sizeof partition_columns / sizeof *partition_columns)
                       : rc;
    }
    while (topic->len > 0 && topic->data[topic->len - 1] != '}')
        topic->len--;
    if (topic->len == 0)
        return MS_EINVAL;
    topic->len--;
    int rc = ms_buf_append_cstr(topic, ",\"offsets\":");
    if (rc == 0)
        rc = ms_buf_append_bytes(topic, partitions.text);
    if (rc == 0)
        rc = ms_buf_append_u8(topic, '}');
    return rc == 0 ? ms_output_object(output, ms_buf_bytes(topic), NULL) : rc;
}

static int show_with_partitions(struct ms_invocation *invocation, struct ms_target *target,
                                struct ms_error *err) {
    struct ms_buf topic, text;
    struct ms_json_value document, partitions;
    ms_buf_init(&topic, TEXT_BYTES_MAX);
    ms_buf_init(&text, TEXT_BYTES_MAX);
    int rc = ms_target_get_topic(target, topic_of(invocation), &topic, err);
    if (rc == 0)
        rc = ms_target_get_partitions(target, topic_of(invocation), &text, err);
    if (rc == 0 &&
        (ms_json_parse(ms_buf_bytes(&text), ANSWER_DEPTH_MAX, &document, NULL) != 0 ||
         document.type != MS_JSON_OBJECT || !ms_json_get(document, "partitions", &partitions) ||
         partitions.type != MS_JSON_ARRAY))
        rc = ms_error_set(err, MS_EIO, "the topic's partitions were not understood");
    if (rc == 0) {
        struct ms_output output;
        ms_output_init(&output, invocation);
        rc = print_with_partitions(&output, &topic, partitions);
        ms_output_deinit(&output);
    }
    ms_buf_deinit(&text);
    ms_buf_deinit(&topic);
    return rc;
}

int ms_cmd_topic_show(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct ms_target *target;
    int rc = ms_target_open(invocation, MS_TARGET_READS, &target, &error);
    if (rc == 0) {
        rc = show_with_partitions(invocation, target, &error);
        ms_target_free(target);
    }
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, &error);
}

/* ---- create and delete ---- */

static int add_number(struct ms_buf *out, const char *name, int64_t value) {
    return ms_buf_printf(out, "%s\"%s\":%lld", out->len > 1 ? "," : "", name, (long long)value);
}

/* An option without a value: its field is true. */
static int add_flag(struct ms_invocation *invocation, const char *option, const char *name,
                    struct ms_buf *out) {
    if (!ms_option_given(invocation, option))
        return 0;
    return ms_buf_printf(out, "%s\"%s\":true", out->len > 1 ? "," : "", name);
}

static int add_flags(struct ms_invocation *invocation, struct ms_buf *out) {
    static const char *const flags[][2] = {
        {"compact", "compact"},       {"ignore-retention", "retention_ignored"},
        {"recompress", "recompress"}, {"log-append-time", "log_append_time"},
        {"force", "force"},           {"streams", "streams"},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof flags / sizeof *flags; i++)
        rc = add_flag(invocation, flags[i][0], flags[i][1], out);
    return rc;
}

static int add_times(struct ms_invocation *invocation, struct ms_buf *out, struct ms_error *err) {
    static const char *const times[][2] = {
        {"compaction-lag", "compaction_lag_ms"},
        {"compaction-lag-max", "compaction_lag_max_ms"},
        {"delete-retention", "delete_retention_ms"},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof times / sizeof *times; i++) {
        const char *text = ms_option_text(invocation, times[i][0]);
        int64_t ms;
        if (!text)
            continue;
        if (ms_duration_parse_ms(ms_bytes_cstr(text), &ms) != 0)
            return ms_error_set(err, MS_EINVAL, "--%s: a duration such as 1h was expected",
                                times[i][0]);
        rc = add_number(out, times[i][1], ms);
    }
    return rc;
}

static int add_message_bytes(struct ms_invocation *invocation, struct ms_buf *out,
                             struct ms_error *err) {
    const char *size = ms_option_text(invocation, "message-bytes-max");
    uint64_t bytes = 0;
    if (!size)
        return 0;
    if (ms_size_parse(ms_bytes_cstr(size), &bytes) != 0 || bytes > INT32_MAX)
        return ms_error_set(err, MS_EINVAL,
                            "--message-bytes-max: a size such as 1MiB was expected");
    return add_number(out, "message_bytes_max", (int64_t)bytes);
}

static int add_partitions(struct ms_invocation *invocation, struct ms_buf *out,
                          struct ms_error *err) {
    uint64_t partitions = 0;
    int rc = ms_option_u64(invocation, "partitions", 1, MS_TOPIC_PARTITIONS_MAX, &partitions, err);
    return rc == 0 && partitions ? add_number(out, "partitions", (int64_t)partitions) : rc;
}

static int add_no_bound(struct ms_buf *out, const char *name) {
    return ms_buf_printf(out, "%s\"%s\":null", out->len > 1 ? "," : "", name);
}

/* `forever` and `unlimited` are null. */
static int add_retention_time(struct ms_invocation *invocation, struct ms_buf *out,
                              struct ms_error *err) {
    const char *time = ms_option_text(invocation, "retention");
    int64_t ms = -1;
    if (!time)
        return 0;
    if (strcmp(time, "forever") == 0)
        return add_no_bound(out, "retention_ms");
    if (ms_duration_parse_ms(ms_bytes_cstr(time), &ms) != 0)
        return ms_error_set(err, MS_EINVAL,
                            "--retention: a duration such as 7d, or forever, was expected");
    return add_number(out, "retention_ms", ms);
}

static int add_retention_bytes(struct ms_invocation *invocation, struct ms_buf *out,
                               struct ms_error *err) {
    const char *size = ms_option_text(invocation, "retention-bytes");
    uint64_t bytes = 0;
    if (!size)
        return 0;
    if (strcmp(size, "unlimited") == 0)
        return add_no_bound(out, "retention_bytes");
    if (ms_size_parse(ms_bytes_cstr(size), &bytes) != 0 || bytes > INT64_MAX)
        return ms_error_set(err, MS_EINVAL,
                            "--retention-bytes: a size such as 10GiB, or unlimited, was expected");
    return add_number(out, "retention_bytes", (int64_t)bytes);
}

static int add_retention_count(struct ms_invocation *invocation, struct ms_buf *out,
                               struct ms_error *err) {
    const char *text = ms_option_text(invocation, "retention-count");
    uint64_t count = 0;
    if (!text)
        return 0;
    if (strcmp(text, "unlimited") == 0)
        return add_no_bound(out, "retention_count");
    if (ms_parse_u64(ms_bytes_cstr(text), &count) != 0 || count > INT64_MAX)
        return ms_error_set(err, MS_EINVAL,
                            "--retention-count: a number, or unlimited, was expected");
    return add_number(out, "retention_count", (int64_t)count);
}

static int add_retention(struct ms_invocation *invocation, struct ms_buf *out,
                         struct ms_error *err) {
    int rc = add_retention_time(invocation, out, err);
    if (rc == 0)
        rc = add_retention_bytes(invocation, out, err);
    return rc == 0 ? add_retention_count(invocation, out, err) : rc;
}

static int add_compression(struct ms_invocation *invocation, struct ms_buf *out) {
    const char *codec = ms_option_text(invocation, "compression");
    if (!codec)
        return 0;
    int rc = ms_buf_printf(out, "%s\"compression\":", out->len > 1 ? "," : "");
    return rc == 0 ? ms_json_write_string(out, ms_bytes_cstr(codec)) : rc;
}

static int add_required(struct ms_invocation *invocation, struct ms_buf *out) {
    bool source = ms_option_given(invocation, "require-source");
    bool correlation = ms_option_given(invocation, "require-correlation-id");
    if (!source && !correlation)
        return 0;
    return ms_buf_printf(out, "%s\"require\":[%s%s%s]", out->len > 1 ? "," : "",
                         source ? "\"source\"" : "", source && correlation ? "," : "",
                         correlation ? "\"correlation_id\"" : "");
}

static int make_settings(struct ms_invocation *invocation, struct ms_buf *out,
                         struct ms_error *err) {
    int rc = ms_buf_append_u8(out, '{');
    if (rc == 0)
        rc = add_partitions(invocation, out, err);
    if (rc == 0)
        rc = add_retention(invocation, out, err);
    if (rc == 0)
        rc = add_compression(invocation, out);
    if (rc == 0)
        rc = add_flags(invocation, out);
    if (rc == 0)
        rc = add_times(invocation, out, err);
    if (rc == 0)
        rc = add_message_bytes(invocation, out, err);
    if (rc == 0)
        rc = add_required(invocation, out);
    return rc == 0 ? ms_buf_append_u8(out, '}') : rc;
}

static int create(struct ms_invocation *invocation, struct ms_bytes settings) {
    struct ms_error error = {0};
    struct ms_target *target;
    bool created = false;
    int rc = ms_target_open(invocation, MS_TARGET_WRITES, &target, &error);
    if (rc == 0) {
        rc = ms_target_put_topic(target, topic_of(invocation), settings, &created, &error);
        if (rc == 0 && ms_wants_json(invocation))
            rc = show(invocation, target, &error);
        ms_target_free(target);
    }
    if (rc != 0)
        return ms_cli_fail(invocation->cli, rc, &error);
    if (!ms_wants_json(invocation))
        fprintf(invocation->cli->out, "%s was %s\n", invocation->args[0],
                created ? "created" : "there already; its settings are as given");
    return MS_EXIT_OK;
}

int ms_cmd_topic_create(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct ms_buf settings;
    ms_buf_init(&settings, TEXT_BYTES_MAX);
    int rc = make_settings(invocation, &settings, &error);
    int status = rc == 0 ? create(invocation, ms_buf_bytes(&settings))
                         : ms_usage(invocation, "%s", error.message);
    ms_buf_deinit(&settings);
    return status;
}

int ms_cmd_topic_delete(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct ms_target *target;
    int rc = ms_target_open(invocation, MS_TARGET_WRITES, &target, &error);
    if (rc == 0) {
        rc = ms_target_delete_topic(target, topic_of(invocation), &error);
        ms_target_free(target);
    }
    if (rc != 0)
        return ms_cli_fail(invocation->cli, rc, &error);
    if (!ms_wants_json(invocation))
        fprintf(invocation->cli->out, "%s was deleted with all its streams\n", invocation->args[0]);
    return MS_EXIT_OK;
}
