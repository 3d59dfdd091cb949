/* See output.h. */
#include "cli/output.h"

#include "store/store.h"
#include "wire/base64.h"

#define EVENT_ARENA_MAX ((size_t)64 << 20)
#define LINE_BYTES_MAX ((size_t)512 << 20)
#define DATA_SHOWN_MAX 160 /* bytes of an event's data that people are shown */
#define OBJECT_DEPTH_MAX 16
#define NAME_BYTES_MAX 256
#define PROGRESS_INTERVAL_US 200000

void ms_output_init(struct ms_output *output, const struct ms_invocation *invocation) {
    *output = (struct ms_output){.file = invocation->cli->out, .json = ms_wants_json(invocation)};
    ms_arena_init(&output->arena, EVENT_ARENA_MAX);
    ms_buf_init(&output->line, LINE_BYTES_MAX);
}

void ms_output_deinit(struct ms_output *output) {
    ms_arena_deinit(&output->arena);
    ms_buf_deinit(&output->line);
}

static int write_line(struct ms_output *output) {
    int rc = ms_buf_append_u8(&output->line, '\n');
    if (rc != 0)
        return rc;
    size_t written = fwrite(output->line.data, 1, output->line.len, output->file);
    return written == output->line.len ? 0 : MS_EIO;
}

int ms_json_on_one_line(struct ms_buf *out, struct ms_bytes json) {
    size_t start = out->len;
    int rc = ms_buf_append_bytes(out, json);
    for (size_t i = start; rc == 0 && i < out->len; i++)
        if (out->data[i] == '\n' || out->data[i] == '\r')
            out->data[i] = ' ';
    return rc;
}

/* Control characters are those of ASCII, and U+0080 to U+009F. */
int ms_output_shown(struct ms_buf *out, struct ms_bytes text, size_t max) {
    size_t len = text.len < max ? text.len : max;
    while (len > 0 && len < text.len && (text.data[len] & 0xc0) == 0x80)
        len--;
    int rc = 0;
    for (size_t i = 0; i < len && rc == 0; i++) {
        uint8_t c = text.data[i];
        bool c1 = c == 0xc2 && i + 1 < len && text.data[i + 1] >= 0x80 && text.data[i + 1] <= 0x9f;
        bool control = c < 0x20 || c == 0x7f || c1;
        rc = ms_buf_append_u8(out, control ? '.' : c);
        i += c1;
    }
    if (rc == 0 && len < text.len)
        rc = ms_buf_append_cstr(out, "…");
    return rc;
}

/* ---- events ---- */

/* Appends `before` and a member: the characters of a string, the text of anything else. Nothing
 * when the event does not have it. */
static int append_member(struct ms_output *output, struct ms_json_value event, const char *before,
                         const char *name, size_t max) {
    struct ms_json_value value;
    if (!ms_json_get(event, name, &value))
        return 0;
    struct ms_bytes text = value.text;
    int rc = value.type == MS_JSON_STRING ? ms_json_string(value, &output->arena, &text) : 0;
    if (rc == 0 && output->line.len > 0)
        rc = ms_buf_append_cstr(&output->line, before);
    return rc == 0 ? ms_output_shown(&output->line, text, max) : rc;
}

static int append_event_text(struct ms_output *output, struct ms_json_value event) {
    static const struct {
        const char *before, *name;
        size_t max;
    } parts[] = {
        {"", "stream", SIZE_MAX},       {"@", "version", SIZE_MAX},
        {"  ", "event_type", SIZE_MAX}, {"  ", "timestamp", SIZE_MAX},
        {"  ", "data", DATA_SHOWN_MAX}, {"  ", "data_base64", DATA_SHOWN_MAX},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && rc == 0; i++)
        rc = append_member(output, event, parts[i].before, parts[i].name, parts[i].max);
    return rc;
}

static bool spans_lines(struct ms_bytes text) {
    return text.len > 0 && (memchr(text.data, '\n', text.len) || memchr(text.data, '\r', text.len));
}

/* Line breaks between the tokens of data are bytes that somebody stored. */
static int append_exact_member(struct ms_output *output, struct ms_json_value name,
                               struct ms_json_value value) {
    bool encode = ms_bytes_equal_cstr(name.text, "\"data\"") && spans_lines(value.text);
    if (encode)
        name.text = ms_bytes_cstr("\"data_base64\"");
    int rc = ms_buf_append_bytes(&output->line, name.text);
    if (rc == 0)
        rc = ms_buf_append_cstr(&output->line, encode ? ":\"" : ":");
    if (rc == 0)
        rc = encode ? ms_base64_write(&output->line, value.text)
                    : ms_json_on_one_line(&output->line, value.text);
    return rc == 0 && encode ? ms_buf_append_u8(&output->line, '"') : rc;
}

static int append_exact(struct ms_output *output, struct ms_bytes event) {
    struct ms_json_value object, name, value;
    int rc = ms_json_parse(event, MS_JSON_DEPTH_LIMIT, &object, NULL);
    if (rc != 0 || object.type != MS_JSON_OBJECT)
        return MS_EINVAL;
    char before = '{';
    for (size_t at = 0; rc == 0 && ms_json_next_member(object, &at, &name, &value); before = ',') {
        rc = ms_buf_append_u8(&output->line, (uint8_t)before);
        if (rc == 0)
            rc = append_exact_member(output, name, value);
    }
    return rc == 0 ? ms_buf_append_cstr(&output->line, before == '{' ? "{}" : "}") : rc;
}

static int append_for_people(struct ms_output *output, struct ms_bytes event) {
    struct ms_buf text;
    struct ms_json_value value;
    ms_buf_init(&text, LINE_BYTES_MAX);
    int rc = ms_json_on_one_line(&text, event);
    if (rc == 0)
        rc = ms_json_parse(ms_buf_bytes(&text), MS_JSON_DEPTH_LIMIT, &value, NULL);
    if (rc == 0)
        rc = append_event_text(output, value);
    ms_buf_deinit(&text);
    return rc;
}

int ms_output_event(struct ms_output *output, struct ms_bytes event) {
    ms_buf_clear(&output->line);
    ms_arena_reset(&output->arena);
    int rc;
    if (!output->json)
        rc = append_for_people(output, event);
    else if (output->exact && spans_lines(event))
        rc = append_exact(output, event);
    else
        rc = ms_json_on_one_line(&output->line, event);
    return rc == 0 ? write_line(output) : rc;
}

/* ---- objects ---- */

static int print_object(struct ms_output *output, struct ms_json_value object, const char *prefix,
                        int depth);

static int print_member(struct ms_output *output, struct ms_bytes name, struct ms_json_value value,
                        const char *prefix, int depth) {
    char full[NAME_BYTES_MAX];
    snprintf(full, sizeof full, "%s%s%.*s", prefix, *prefix ? "." : "", (int)name.len,
             (const char *)name.data);
    if (value.type == MS_JSON_OBJECT && depth < OBJECT_DEPTH_MAX)
        return print_object(output, value, full, depth + 1);
    struct ms_bytes text = value.text;
    int rc = value.type == MS_JSON_STRING ? ms_json_string(value, &output->arena, &text) : 0;
    ms_buf_clear(&output->line);
    if (rc == 0)
        rc = ms_buf_printf(&output->line, "%s: ", full);
    if (rc == 0)
        rc = ms_output_shown(&output->line, text, SIZE_MAX);
    return rc == 0 ? write_line(output) : rc;
}

static int print_object(struct ms_output *output, struct ms_json_value object, const char *prefix,
                        int depth) {
    struct ms_json_value name, value;
    int rc = 0;
    for (size_t at = 0; rc == 0 && ms_json_next_member(object, &at, &name, &value);) {
        struct ms_bytes text;
        rc = ms_json_string(name, &output->arena, &text);
        if (rc == 0)
            rc = print_member(output, text, value, prefix, depth);
    }
    return rc;
}

int ms_output_object(struct ms_output *output, struct ms_bytes object, const char *title) {
    ms_buf_clear(&output->line);
    ms_arena_reset(&output->arena);
    struct ms_json_value value;
    int rc = ms_json_parse(object, MS_JSON_DEPTH_LIMIT, &value, NULL);
    if (rc != 0 || value.type != MS_JSON_OBJECT)
        return MS_EINVAL;
    if (output->json) {
        rc = ms_json_on_one_line(&output->line, value.text);
        return rc == 0 ? write_line(output) : rc;
    }
    if (title)
        fprintf(output->file, "%s\n", title);
    return print_object(output, value, "", 0);
}

struct ms_bytes ms_shown_stream(const char *given, struct ms_arena *arena) {
    struct ms_bytes name = ms_bytes_cstr(given);
    ms_ignore(ms_store_canonical_name(name, arena, &name, NULL)); /* as it was given, then */
    return name;
}

/* ---- progress ---- */

void ms_progress_begin(struct ms_progress *progress, const struct ms_cli *cli, const char *what) {
    *progress = (struct ms_progress){
        .file = cli->err_is_terminal ? cli->err : NULL, .clock = cli->env->clock, .what = what};
    progress->began_us = progress->shown_us = ms_clock_monotonic_us(progress->clock);
}

double ms_progress_seconds(const struct ms_progress *progress) {
    int64_t passed_us = ms_clock_monotonic_us(progress->clock) - progress->began_us;
    return (double)(passed_us > 0 ? passed_us : 1) * 1e-6;
}

static bool progress_due(struct ms_progress *progress) {
    if (!progress->file)
        return false;
    int64_t now_us = ms_clock_monotonic_us(progress->clock);
    if (now_us - progress->shown_us < PROGRESS_INTERVAL_US)
        return false;
    progress->shown_us = now_us;
    return true;
}

void ms_progress_bytes(struct ms_progress *progress, uint64_t bytes, uint64_t total_bytes) {
    if (!progress_due(progress))
        return;
    double mib = 1024 * 1024;
    fprintf(progress->file, "\r\033[K%s %.0f of %.0f MiB, %.0f MiB/s", progress->what,
            (double)bytes / mib, (double)total_bytes / mib,
            (double)bytes / mib / ms_progress_seconds(progress));
    fflush(progress->file);
}

void ms_progress_parts(struct ms_progress *progress, uint64_t done, uint64_t total,
                       const char *parts) {
    if (!progress_due(progress))
        return;
    fprintf(progress->file, "\r\033[K%s %llu of %llu %s", progress->what, (unsigned long long)done,
            (unsigned long long)total, parts);
    fflush(progress->file);
}

void ms_progress_positions(struct ms_progress *progress, uint64_t position, uint64_t end,
                           double rate) {
    if (!progress_due(progress))
        return;
    fprintf(progress->file, "\r\033[K%s %llu of %llu, %.0f%%, %.0f/s", progress->what,
            (unsigned long long)position, (unsigned long long)end,
            end > 0 ? 100.0 * (double)position / (double)end : 100.0, rate);
    fflush(progress->file);
}

void ms_progress_update(struct ms_progress *progress, uint64_t events, uint64_t bytes,
                        uint64_t total_bytes) {
    if (!progress_due(progress))
        return;
    fprintf(progress->file, "\r\033[K%s %llu events, %.0f/s", progress->what,
            (unsigned long long)events, (double)events / ms_progress_seconds(progress));
    if (total_bytes > 0)
        fprintf(progress->file, ", %.0f%%", 100.0 * (double)bytes / (double)total_bytes);
    fflush(progress->file);
}

void ms_progress_end(struct ms_progress *progress) {
    if (progress->file && progress->shown_us != progress->began_us) {
        fprintf(progress->file, "\r\033[K");
        fflush(progress->file);
    }
}
