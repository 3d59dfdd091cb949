/* `mainstem group list|show|reset|delete`: consumer groups of a running server. */
#include "base/time.h"
#include "cli/output.h"
#include "cli/target.h"

#define TEXT_BYTES_MAX ((size_t)64 << 20)
#define DEPTH_MAX 16
#define ASSIGNED_SHOWN_MAX 16 /* partitions of a topic, for people */

static struct ms_bytes group_of(const struct ms_invocation *invocation) {
    return ms_bytes_cstr(invocation->args[0]);
}

/* Only a server knows groups: a data directory is not even opened. */
static int open_server(struct ms_invocation *invocation, struct ms_target **ret_target,
                       struct ms_error *err) {
    if (ms_option_given(invocation, "data"))
        return ms_error_set(err, MS_EUNSUPPORTED,
                            "consumer groups are kept by a running server: give --server, not "
                            "--data");
    return ms_target_open(invocation, MS_TARGET_READS, ret_target, err);
}

/* What the server answered, and one member of it: an array. */
static int parse(struct ms_buf *text, const char *member, struct ms_json_value *ret_document,
                 struct ms_json_value *ret_rows, struct ms_error *err) {
    if (ms_json_parse(ms_buf_bytes(text), DEPTH_MAX, ret_document, NULL) != 0 ||
        ret_document->type != MS_JSON_OBJECT || !ms_json_get(*ret_document, member, ret_rows) ||
        ret_rows->type != MS_JSON_ARRAY)
        return ms_error_set(err, MS_EIO, "the server's answer was not understood");
    return 0;
}

/* ---- list ---- */

static const struct ms_output_column list_columns[] = {
    {"group", "GROUP", false, NULL},
    {"state", "STATE", false, NULL},
    {"protocol", "PROTOCOL", false, NULL},
    {"members", "MEMBERS", true, NULL},
    {"lag", "LAG", true, NULL},
};

static int print_list(struct ms_output *output, struct ms_json_value groups) {
    struct ms_json_value group;
    int rc = 0;
    if (!output->json)
        return ms_output_table(output, groups, list_columns,
                               sizeof list_columns / sizeof *list_columns);
    for (size_t at = 0; rc == 0 && ms_json_next_element(groups, &at, &group);)
        rc = ms_output_object(output, group.text, NULL);
    return rc;
}

static int list(struct ms_invocation *invocation, struct ms_target *target, struct ms_buf *text,
                struct ms_output *output, struct ms_error *err) {
    struct ms_json_value document, groups;
    (void)invocation;
    int rc = ms_target_list_groups(target, text, err);
    if (rc == 0)
        rc = parse(text, "groups", &document, &groups, err);
    return rc == 0 ? print_list(output, groups) : rc;
}

/* ---- show ---- */

/* [0,1,2] as "0,1,2". */
static int show_partitions(struct ms_buf *out, struct ms_json_value partitions) {
    struct ms_json_value partition;
    int rc = 0, shown = 0;
    for (size_t at = 0; rc == 0 && ms_json_next_element(partitions, &at, &partition); shown++) {
        if (shown == ASSIGNED_SHOWN_MAX)
            return ms_buf_append_cstr(out, ",…");
        rc = shown > 0 ? ms_buf_append_u8(out, ',') : 0;
        if (rc == 0)
            rc = ms_output_shown(out, partition.text, SIZE_MAX);
    }
    return rc;
}

/* [{"topic":"order","partitions":[0,1]}] as "order 0,1". */
static int show_assigned(struct ms_output *output, struct ms_buf *out, struct ms_json_value value) {
    struct ms_json_value one, topic, partitions;
    struct ms_bytes name;
    size_t start = out->len;
    int rc = 0;
    for (size_t at = 0; rc == 0 && ms_json_next_element(value, &at, &one);) {
        if (one.type != MS_JSON_OBJECT || !ms_json_get(one, "topic", &topic) ||
            topic.type != MS_JSON_STRING || !ms_json_get(one, "partitions", &partitions) ||
            partitions.type != MS_JSON_ARRAY)
            continue;
        rc = ms_json_string(topic, &output->arena, &name);
        if (rc == 0 && out->len > start)
            rc = ms_buf_append_cstr(out, "; ");
        if (rc == 0)
            rc = ms_output_shown(out, name, SIZE_MAX);
        if (rc == 0)
            rc = ms_buf_append_u8(out, ' ');
        if (rc == 0)
            rc = show_partitions(out, partitions);
    }
    return rc == 0 && out->len == start ? ms_buf_append_u8(out, '-') : rc;
}

static const struct ms_output_column member_columns[] = {
    {"member_id", "MEMBER", false, NULL},
    {"client_id", "CLIENT", false, NULL},
    {"host", "HOST", false, NULL},
    {"assigned", "ASSIGNED", false, show_assigned},
};
static const struct ms_output_column offset_columns[] = {
    {"topic", "TOPIC", false, NULL},
    {"partition", "PARTITION", true, NULL},
    {"offset", "OFFSET", true, NULL},
    {"end_offset", "END", true, NULL},
    {"lag", "LAG", true, NULL},
    {"lag_seconds", "SECONDS", true, NULL},
    {"committed_at", "COMMITTED", false, NULL},
};

/* Members that are neither of the tables. */
static int print_facts(struct ms_output *output, struct ms_json_value document) {
    static const char *const names[] = {"group", "state", "protocol", "generation", "lag"};
    struct ms_buf facts;
    struct ms_json_value value;
    ms_buf_init(&facts, TEXT_BYTES_MAX);
    int rc = ms_buf_append_u8(&facts, '{');
    for (size_t i = 0; rc == 0 && i < sizeof names / sizeof *names; i++) {
        if (!ms_json_get(document, names[i], &value) || value.type == MS_JSON_NULL)
            continue;
        rc = ms_buf_printf(&facts, "%s\"%s\":", facts.len > 1 ? "," : "", names[i]);
        if (rc == 0)
            rc = ms_buf_append_bytes(&facts, value.text);
    }
    if (rc == 0)
        rc = ms_buf_append_u8(&facts, '}');
    if (rc == 0)
        rc = ms_output_object(output, ms_buf_bytes(&facts), NULL);
    ms_buf_deinit(&facts);
    return rc;
}

/* Nothing for an array without elements. */
static int print_rows(struct ms_output *output, struct ms_json_value document, const char *member,
                      const struct ms_output_column *columns, size_t column_count) {
    struct ms_json_value rows, row;
    size_t at = 0;
    if (!ms_json_get(document, member, &rows) || rows.type != MS_JSON_ARRAY ||
        !ms_json_next_element(rows, &at, &row))
        return 0;
    if (fputc('\n', output->file) == EOF)
        return MS_EIO;
    return ms_output_table(output, rows, columns, column_count);
}

static int show(struct ms_invocation *invocation, struct ms_target *target, struct ms_buf *text,
                struct ms_output *output, struct ms_error *err) {
    struct ms_json_value document, offsets;
    int rc = ms_target_get_group(target, group_of(invocation), text, err);
    if (rc == 0)
        rc = parse(text, "offsets", &document, &offsets, err);
    if (rc != 0)
        return rc;
    if (output->json)
        return ms_output_object(output, document.text, NULL);
    rc = print_facts(output, document);
    if (rc == 0)
        rc = print_rows(output, document, "members", member_columns,
                        sizeof member_columns / sizeof *member_columns);
    if (rc == 0)
        rc = print_rows(output, document, "offsets", offset_columns,
                        sizeof offset_columns / sizeof *offset_columns);
    return rc;
}

/* ---- reset ---- */

/* "position:4711" is {"to":"position","value":4711}. */
static int add_number(struct ms_buf *out, const char *to, const char *name, struct ms_error *err) {
    uint64_t number;
    const char *text = to + strlen(name) + 1;
    if (ms_parse_u64(ms_bytes_cstr(text), &number) != 0 || number > INT64_MAX)
        return ms_error_set(err, MS_EINVAL,
                            "--to: a number from 0 on was expected behind %s:, not %s", name, text);
    return ms_buf_printf(out, "{\"to\":\"%s\",\"value\":%llu", name, (unsigned long long)number);
}

static int add_aim(struct ms_buf *out, const char *to, struct ms_error *err) {
    int64_t time_us;
    if (!to)
        return ms_error_set(err, MS_EINVAL, "say --to where the group goes on");
    if (strcmp(to, "earliest") == 0 || strcmp(to, "latest") == 0)
        return ms_buf_printf(out, "{\"to\":\"%s\"", to);
    if (strncmp(to, "position:", 9) == 0)
        return add_number(out, to, "position", err);
    if (strncmp(to, "offset:", 7) == 0)
        return add_number(out, to, "offset", err);
    if (ms_time_parse(ms_bytes_cstr(to), &time_us) != 0)
        return ms_error_set(err, MS_EINVAL,
                            "--to: earliest, latest, a time such as 2026-11-23T10:00:00Z, "
                            "position:N or offset:N was expected, not %s",
                            to);
    return ms_buf_printf(out, "{\"to\":\"time\",\"value\":\"%s\"", to);
}

static int make_body(struct ms_invocation *invocation, struct ms_buf *out, struct ms_error *err) {
    struct ms_bytes *topics;
    size_t count;
    int rc = add_aim(out, ms_option_text(invocation, "to"), err);
    if (rc == 0)
        rc = ms_option_list(invocation, "topic", &topics, &count);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = ms_buf_append_cstr(out, i == 0 ? ",\"topics\":[" : ",");
        if (rc == 0)
            rc = ms_json_write_string(out, topics[i]);
    }
    if (rc == 0 && count > 0)
        rc = ms_buf_append_u8(out, ']');
    if (rc == 0)
        rc = ms_buf_printf(out, ",\"dry_run\":%s}",
                           ms_option_given(invocation, "dry-run") ? "true" : "false");
    return rc;
}

static const struct ms_output_column move_columns[] = {
    {"topic", "TOPIC", false, NULL},  {"partition", "PARTITION", true, NULL},
    {"before", "BEFORE", true, NULL}, {"offset", "OFFSET", true, NULL},
    {"moved", "MOVED", true, NULL},
};

static int reset(struct ms_invocation *invocation, struct ms_target *target, struct ms_buf *text,
                 struct ms_output *output, struct ms_error *err) {
    struct ms_json_value document, moves;
    struct ms_buf body;
    ms_buf_init(&body, TEXT_BYTES_MAX);
    int rc = make_body(invocation, &body, err);
    if (rc == 0)
        rc = ms_target_reset_group(target, group_of(invocation), ms_buf_bytes(&body), text, err);
    ms_buf_deinit(&body);
    if (rc == 0)
        rc = parse(text, "offsets", &document, &moves, err);
    if (rc != 0)
        return rc;
    if (output->json)
        return ms_output_object(output, document.text, NULL);
    if (ms_option_given(invocation, "dry-run"))
        fprintf(output->file, "dry run: nothing was changed\n");
    return ms_output_table(output, moves, move_columns, sizeof move_columns / sizeof *move_columns);
}

/* ---- delete ---- */

static int delete (struct ms_invocation *invocation, struct ms_target *target, struct ms_buf *text,
                   struct ms_output *output, struct ms_error *err) {
    (void)text;
    int rc = ms_target_delete_group(target, group_of(invocation), err);
    if (rc == 0 && !output->json)
        fprintf(output->file, "%s was deleted with its offsets\n", invocation->args[0]);
    return rc;
}

/* ---- the commands ---- */

static int run(struct ms_invocation *invocation,
               int (*work)(struct ms_invocation *invocation, struct ms_target *target,
                           struct ms_buf *text, struct ms_output *output, struct ms_error *err)) {
    struct ms_error error = {0};
    struct ms_target *target;
    int rc = open_server(invocation, &target, &error);
    if (rc == 0) {
        struct ms_output output;
        struct ms_buf text;
        ms_output_init(&output, invocation);
        ms_buf_init(&text, TEXT_BYTES_MAX);
        rc = work(invocation, target, &text, &output, &error);
        ms_buf_deinit(&text);
        ms_output_deinit(&output);
        ms_target_free(target);
    }
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, &error);
}

int ms_cmd_group_list(struct ms_invocation *invocation) { return run(invocation, list); }
int ms_cmd_group_show(struct ms_invocation *invocation) { return run(invocation, show); }
int ms_cmd_group_delete(struct ms_invocation *invocation) { return run(invocation, delete); }

/* What is wrong with --to is the command line's. */
int ms_cmd_group_reset(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct ms_buf aim;
    ms_buf_init(&aim, TEXT_BYTES_MAX);
    int rc = add_aim(&aim, ms_option_text(invocation, "to"), &error);
    ms_buf_deinit(&aim);
    return rc == 0 ? run(invocation, reset) : ms_usage(invocation, "%s", error.message);
}
