/*
 * `mainstem inspect DIR|SEGMENT`: what the files of a log hold, as they lie there. A directory's
 * segments, a segment's blocks, or the entries of either. Changes nothing.
 */
#include "base/time.h"
#include "cli/output.h"
#include "log/survey.h"
#include "log/walk.h"
#include "store/offline.h"
#include "wire/batch.h"

#define TEXT_BYTES_MAX ((size_t)64 << 10)

struct inspector {
    struct ms_invocation *invocation;
    struct ms_output output;
    struct ms_buf text;
    const struct ms_env *env;
    bool entries;
    uint64_t from, limit, shown;
    const struct ms_walk_step *step; /* whose entries are being shown */
};

static int emit(struct inspector *in) {
    int rc = ms_output_object(&in->output, ms_buf_bytes(&in->text), NULL);
    if (rc == 0 && !in->output.json)
        rc = fputc('\n', in->output.file) == EOF ? MS_EIO : 0;
    in->shown++;
    return rc;
}

static bool enough(const struct inspector *in) { return in->shown >= in->limit; }

/* ---- names of bits ---- */

struct bit_name {
    unsigned bit;
    const char *name;
};
static const struct bit_name block_flags[] = {{MS_BLOCK_OS, "os"},
                                              {MS_BLOCK_MARK, "mark"},
                                              {MS_BLOCK_CLEAN, "clean"},
                                              {MS_BLOCK_FOOTER, "footer"},
                                              {MS_BLOCK_REWRITTEN, "rewritten"},
                                              {MS_BLOCK_LOSSES, "losses"},
                                              {0, NULL}};
static const struct bit_name entry_flags[] = {
    {MS_ENTRY_HAS_STREAM, "stream"},   {MS_ENTRY_LAST_IN_BLOCK, "last"},
    {MS_ENTRY_TOMBSTONE, "tombstone"}, {MS_ENTRY_CONTROL, "control"},
    {MS_ENTRY_JOINED, "joined"},       {0, NULL}};

static int append_flags(struct ms_buf *out, unsigned flags, const struct bit_name *names) {
    bool first = true;
    int rc = ms_buf_append_cstr(out, ",\"flags\":[");
    for (; rc == 0 && names->name != NULL; names++) {
        if (!(flags & names->bit))
            continue;
        rc = ms_buf_printf(out, "%s\"%s\"", first ? "" : ",", names->name);
        first = false;
    }
    return rc == 0 ? ms_buf_append_u8(out, ']') : rc;
}

static int append_time(struct ms_buf *out, int64_t ms) {
    char text[MS_TIME_TEXT_MAX];
    ms_time_format_ms(ms, text);
    return ms_buf_printf(out, ",\"committed_at\":\"%s\"", text);
}

/* ---- entries ---- */

static int append_stream_id(struct ms_buf *out, const struct ms_entry_header *header) {
    if (!(header->flags & MS_ENTRY_HAS_STREAM))
        return 0;
    int rc = ms_buf_printf(out, ",\"first_version\":%lld,\"stream_id\":\"",
                           (long long)header->first_version);
    for (size_t i = 0; rc == 0 && i < sizeof header->stream_id; i++)
        rc = ms_buf_printf(out, "%02x", header->stream_id[i]);
    return rc == 0 ? ms_buf_append_u8(out, '"') : rc;
}

static int append_entry(struct ms_buf *out, const struct ms_walk_entry *entry) {
    const struct ms_entry_header *h = &entry->header;
    struct ms_batch_header batch;
    int rc = ms_batch_read_header(entry->batch, &batch, NULL);
    if (rc == 0)
        rc = ms_buf_printf(out,
                           "\"position\":%llu,\"span\":%u,\"events\":%d,\"topic\":%u,"
                           "\"partition\":%u,\"first_offset\":%lld,\"bytes\":%u",
                           (unsigned long long)h->first_position, (unsigned)entry->record_count,
                           (int)batch.record_count, (unsigned)h->topic, (unsigned)h->partition,
                           (long long)batch.base_offset, (unsigned)h->length);
    if (rc == 0)
        rc = append_stream_id(out, h);
    if (rc == 0)
        rc = append_time(out, entry->commit_time_ms);
    return rc == 0 ? append_flags(out, h->flags, entry_flags) : rc;
}

static int show_entry(void *context, const struct ms_walk_entry *entry) {
    struct inspector *in = context;
    uint64_t end = entry->header.first_position + entry->record_count;
    if (enough(in) || (!entry->damaged && end <= in->from))
        return 0;
    ms_buf_clear(&in->text);
    int rc = ms_buf_printf(&in->text, "{\"block\":%llu,", (unsigned long long)in->step->offset);
    if (rc == 0 && entry->damaged)
        rc = ms_buf_append_cstr(&in->text, "\"damaged\":true");
    else if (rc == 0)
        rc = append_entry(&in->text, entry);
    if (rc == 0)
        rc = ms_buf_append_u8(&in->text, '}');
    return rc == 0 ? emit(in) : rc;
}

/* ---- blocks ---- */

static const char *kind_name(const struct ms_walk_step *step) {
    switch (step->kind) {
    case MS_WALK_BLOCK:
        return step->header.flags & MS_BLOCK_MARK ? "mark" : "block";
    case MS_WALK_FOOTER:
        return "footer";
    case MS_WALK_DAMAGED:
        return "damaged";
    case MS_WALK_NOISE:
        return "noise";
    case MS_WALK_ZEROS:
        return "zeros";
    }
    return "";
}

static int append_header(struct ms_buf *out, const struct ms_block_header *h) {
    int rc = ms_buf_printf(out,
                           ",\"sequence\":%llu,\"epoch\":%u,\"position\":%llu,\"events\":%u,"
                           "\"entries\":%u,\"length\":%llu,\"synced_through\":%llu",
                           (unsigned long long)h->sequence, (unsigned)h->epoch,
                           (unsigned long long)h->first_position, (unsigned)h->record_count,
                           (unsigned)h->entry_count, (unsigned long long)h->length,
                           (unsigned long long)h->synced_through);
    if (rc == 0)
        rc = append_time(out, h->commit_time_ms);
    return rc == 0 ? append_flags(out, h->flags, block_flags) : rc;
}

static int show_block(struct inspector *in, const struct ms_walk_step *step) {
    struct ms_buf *out = &in->text;
    bool header = step->kind != MS_WALK_NOISE && step->kind != MS_WALK_ZEROS;
    if (header && step->header.first_position + step->header.record_count < in->from)
        return 0;
    ms_buf_clear(out);
    int rc = ms_buf_printf(out, "{\"offset\":%llu,\"kind\":\"%s\",\"bytes\":%llu",
                           (unsigned long long)step->offset, kind_name(step),
                           (unsigned long long)step->length);
    if (rc == 0 && header)
        rc = append_header(out, &step->header);
    if (rc == 0 && step->kind == MS_WALK_DAMAGED) {
        rc = ms_buf_append_cstr(out, ",\"why\":");
        if (rc == 0)
            rc = ms_json_write_string(out, ms_bytes_cstr(step->why));
    }
    if (rc == 0)
        rc = ms_buf_append_u8(out, '}');
    return rc == 0 ? emit(in) : rc;
}

static int inspect_file(struct inspector *in, const char *path, struct ms_error *err) {
    struct ms_walk walk;
    struct ms_walk_step step;
    uint64_t damaged = 0;
    int rc = ms_walk_open(&walk, in->env, path, err);
    if (rc != 0)
        return rc;
    while (!enough(in) && (rc = ms_walk_next(&walk, &step, err)) > 0) {
        bool block = step.kind == MS_WALK_BLOCK || step.kind == MS_WALK_DAMAGED;
        in->step = &step;
        if (!in->entries)
            rc = show_block(in, &step);
        else if (block)
            rc = ms_walk_entries(&step, show_entry, in, &damaged);
        if (rc < 0)
            break;
    }
    ms_walk_close(&walk);
    return rc > 0 ? 0 : rc;
}

/* ---- segments ---- */

static int append_footer(struct ms_buf *out, const struct ms_segment *segment) {
    char text[MS_TIME_TEXT_MAX];
    ms_time_format_ms(segment->last_commit_time_ms, text);
    return ms_buf_printf(
        out,
        ",\"end\":%llu,\"last_sequence\":%llu,\"last_epoch\":%u,\"last_committed_at\":\"%s\","
        "\"anchors\":%u",
        (unsigned long long)atomic_load(&segment->end_position),
        (unsigned long long)segment->last_sequence, (unsigned)segment->last_epoch, text,
        (unsigned)atomic_load(&segment->anchor_count));
}

static int append_segment(struct inspector *in, const struct ms_offline *offline,
                          struct ms_segment *segment, struct ms_error *err) {
    char name[MS_SEGMENT_NAME_LEN + 1];
    uint8_t bytes[MS_BLOCK_HEADER_LEN];
    struct ms_block_header first = {0};
    uint64_t size = 0;
    size_t len = 0;
    ms_segment_name(segment->first_position, name);
    int rc = ms_vfs_open(in->env->vfs, segment->path, MS_OPEN_READ, &segment->reader, err);
    if (rc == 0)
        rc = ms_file_size(segment->reader, &size, err);
    if (rc == 0)
        rc = ms_file_read(segment->reader, 0, bytes, sizeof bytes, 0, &len, err);
    if (rc != 0)
        return rc;
    bool known = len == sizeof bytes && ms_block_header_read(bytes, &first) == 0;
    int footer = ms_segment_load_footer(segment, &offline->log_uuid, err);
    if (footer != 0 && footer != MS_ENOTFOUND)
        return footer;
    rc = ms_buf_printf(&in->text,
                       "{\"segment\":\"%s\",\"position\":%llu,\"bytes\":%llu,\"sealed\":%s,"
                       "\"rewritten\":%s",
                       name, (unsigned long long)segment->first_position, (unsigned long long)size,
                       footer == 0 ? "true" : "false",
                       known && first.flags & MS_BLOCK_REWRITTEN ? "true" : "false");
    if (rc == 0 && known)
        rc = ms_buf_printf(&in->text, ",\"first_sequence\":%llu,\"epoch\":%u",
                           (unsigned long long)first.sequence, (unsigned)first.epoch);
    if (rc == 0 && footer == 0)
        rc = append_footer(&in->text, segment);
    return rc == 0 ? ms_buf_append_u8(&in->text, '}') : rc;
}

static int show_segment(struct inspector *in, const struct ms_offline *offline, uint64_t position,
                        const char *path, struct ms_error *err) {
    struct ms_segment *segment;
    int rc = ms_segment_new(path, position, MS_BLOCK_ALIGN, &segment);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory to inspect a segment");
    ms_buf_clear(&in->text);
    rc = append_segment(in, offline, segment, err);
    ms_segment_unref(segment);
    return rc == 0 ? emit(in) : rc;
}

static int inspect_segments(struct inspector *in, const struct ms_offline *offline,
                            struct ms_error *err) {
    struct ms_verify_options options = {.env = in->env, .dir = offline->shard};
    struct ms_survey_list list;
    int rc = ms_survey_list(&options, &list, err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < list.count && !enough(in); i++) {
        char name[MS_SEGMENT_NAME_LEN + 1], path[MS_PATH_MAX];
        bool before = i + 1 < list.count && list.names[i + 1] <= in->from;
        ms_segment_name(list.names[i], name);
        if (ms_path_join(path, offline->shard, name) != 0)
            rc = ms_error_set(err, MS_EINVAL, "the path of the data directory is too long");
        else if (!before && in->entries)
            rc = inspect_file(in, path, err);
        else if (!before)
            rc = show_segment(in, offline, list.names[i], path, err);
    }
    ms_survey_list_free(&list);
    return rc;
}

static int inspect_directory(struct inspector *in, const char *dir, struct ms_error *err) {
    struct ms_offline offline;
    int rc = ms_offline_open(&offline, in->env, dir, false, err);
    if (rc != 0)
        return rc;
    if (offline.in_use)
        fprintf(in->invocation->cli->err,
                "mainstem: %s is in use: its newest blocks may look unfinished\n", dir);
    rc = inspect_segments(in, &offline, err);
    ms_offline_close(&offline);
    return rc;
}

int ms_cmd_inspect(struct ms_invocation *invocation) {
    struct ms_cli *cli = invocation->cli;
    const char *path = invocation->args[0];
    struct ms_error error = {0};
    struct inspector in = {
        .invocation = invocation,
        .env = cli->env,
        .entries = ms_option_given(invocation, "entries"),
        .limit = UINT64_MAX,
    };
    int rc = ms_option_u64(invocation, "from", 0, INT64_MAX, &in.from, &error);
    if (rc == 0)
        rc = ms_option_u64(invocation, "limit", 1, INT64_MAX, &in.limit, &error);
    if (rc != 0)
        return ms_usage(invocation, "%s", error.message);
    ms_output_init(&in.output, invocation);
    ms_buf_init(&in.text, TEXT_BYTES_MAX);
    struct ms_dir_entry *entries;
    size_t count;
    bool directory = ms_vfs_list(cli->env->vfs, path, &entries, &count, NULL) == 0;
    if (directory)
        ms_dir_entries_free(entries, count);
    rc = directory ? inspect_directory(&in, path, &error) : inspect_file(&in, path, &error);
    ms_buf_deinit(&in.text);
    ms_output_deinit(&in.output);
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(cli, rc, &error);
}
