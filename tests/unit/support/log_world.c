/* Logs in simulated worlds; see log_world.h. */
#include "support/log_world.h"

#include <stdio.h>

#include "base/alloc.h"
#include "wire/batch.h"

static void on_failure(void *context, const struct ms_error *error) {
    struct log_world *w = context;
    w->failures++;
    w->error = *error;
}

static void on_visible(void *context, uint64_t end) {
    struct log_world *w = context;
    w->visible_calls++;
    w->visible_end = end;
}

void log_world_init(struct log_world *w, uint64_t seed) {
    *w = (struct log_world){0};
    world_init(&w->world, seed);
    w->appends = ms_calloc(LOG_WORLD_APPENDS_MAX, sizeof *w->appends);
    MS_ASSERT(w->appends != NULL);
    w->options = (struct ms_log_options){
        .env = &w->world.env,
        .dir = LOG_WORLD_DIR,
        .store_uuid = {{1, 2, 3, 4, 5, 6, 7, 8}},
        .manual = true,
        .segment_bytes = (uint64_t)1 << 20,
        .append_bytes_max = (size_t)256 << 10,
        .tail_cache_bytes = (size_t)64 << 10,
        .context = w,
        .on_failure = on_failure,
        .on_visible = on_visible,
    };
    MS_ASSERT(ms_vfs_mkdir_all(world_vfs(&w->world), LOG_WORLD_DIR, NULL) == 0);
}

void log_world_deinit(struct log_world *w) {
    ms_ignore(log_world_close(w));
    ms_free(w->appends);
    world_deinit(&w->world);
}

/* Around calls of the log, so that the test's own memory is never what fails. */
static void arm(struct log_world *w) {
    if (w->fail_alloc > 0)
        ms_alloc_fail_nth(w->fail_alloc);
}

static void disarm(struct log_world *w) {
    if (w->fail_alloc > 0) {
        w->alloc_failed |= ms_alloc_has_failed();
        ms_alloc_fail_nth(0);
    }
    w->fail_alloc = 0;
}

int log_world_open(struct log_world *w) {
    MS_ASSERT(w->log == NULL);
    w->error = (struct ms_error){0};
    arm(w);
    int rc = ms_log_open(&w->options, &w->log, &w->error);
    disarm(w);
    MS_ASSERT(rc == 0 || w->error.code == rc);
    return rc;
}

int log_world_close(struct log_world *w) {
    arm(w);
    int rc = ms_log_close(w->log, &w->error);
    disarm(w);
    w->log = NULL;
    return rc;
}

void log_world_abandon(struct log_world *w) {
    if (w->log == NULL)
        return;
    struct ms_error died = {.code = MS_EIO, .message = "abandoned by the test"};
    unsigned failures = w->failures;
    ms_log_poison(w->log, &died);
    ms_ignore(log_world_close(w));
    w->failures = failures;
}

static void answer(struct ms_log_ticket *ticket, int status) {
    struct log_append *append = (struct log_append *)ticket;
    append->status = status;
    append->answers++;
    append->order = ++append->world->answered;
    /* Who has the answer can read it. */
    MS_ASSERT(status != 0 || ms_log_end(append->world->log) >=
                                 append->position + (uint64_t)append->entries * append->records);
}

static size_t fill_value(uint64_t number, uint32_t entry, uint32_t record, uint8_t *out,
                         size_t len) {
    char text[64];
    int n = snprintf(text, sizeof text, "append %llu entry %u record %u;",
                     (unsigned long long)number, (unsigned)entry, (unsigned)record);
    size_t done = len < (size_t)n ? len : (size_t)n;
    memcpy(out, text, done);
    while (done < len) { /* what is there is a whole number of texts: doubled until it is enough */
        size_t piece = len - done < done ? len - done : done;
        memcpy(out + done, out, piece);
        done += piece;
    }
    return len;
}

void log_world_batch(uint64_t number, uint32_t entry, uint32_t records, size_t value_len,
                     struct ms_buf *out) {
    struct ms_batch_writer writer;
    uint8_t *value = ms_alloc(value_len);
    MS_ASSERT(value != NULL);
    MS_ASSERT(ms_batch_begin(&writer, out, MS_CODEC_NONE, 1000) == 0);
    for (uint32_t i = 0; i < records; i++) {
        struct ms_bytes bytes = ms_bytes_of(value, fill_value(number, entry, i, value, value_len));
        MS_ASSERT(ms_batch_add(&writer, 1000, NULL, &bytes, NULL, 0) == 0);
    }
    MS_ASSERT(ms_batch_end(&writer) == 0);
    ms_free(value);
}

int log_world_put(struct log_world *w, uint32_t entries, uint32_t records, size_t value_len,
                  bool reserved) {
    MS_ASSERT(w->count < LOG_WORLD_APPENDS_MAX);
    struct log_append *append = &w->appends[w->count];
    struct ms_buf batch;
    size_t ends[64], payload;
    bool waited;
    MS_ASSERT(entries <= 64);
    *append = (struct log_append){.ticket = {.done = answer},
                                  .world = w,
                                  .number = w->count,
                                  .entries = entries,
                                  .records = records,
                                  .value_len = value_len};
    w->count++;
    ms_buf_init(&batch, (size_t)1 << 30);
    for (uint32_t i = 0; i < entries; i++) {
        log_world_batch(append->number, i, records, value_len, &batch);
        ends[i] = batch.len;
    }
    payload = batch.len;
    arm(w);
    ms_log_lock(w->log);
    int rc = ms_log_admit(w->log, payload, entries, reserved, &waited, &w->error);
    for (uint32_t i = 0; rc == 0 && i < entries; i++) {
        size_t start = i > 0 ? ends[i - 1] : 0;
        struct ms_log_put put = {
            .topic = 17,
            .first_offset = (int64_t)ms_log_next_position(w->log),
            .record_count = records,
            .batch = ms_bytes_of(batch.data + start, ends[i] - start),
        };
        uint64_t position = ms_log_put(w->log, &put);
        append->position = i == 0 ? position : append->position;
    }
    if (rc == 0)
        ms_log_attach(w->log, &append->ticket);
    append->sequenced = rc == 0;
    ms_log_unlock(w->log);
    disarm(w);
    ms_buf_deinit(&batch);
    return rc;
}

int log_world_append(struct log_world *w, size_t value_len) {
    int rc = log_world_put(w, 1, 1, value_len, false);
    if (rc != 0)
        return rc;
    const struct log_append *append = &w->appends[w->count - 1];
    ms_log_run(w->log);
    MS_ASSERT(append->answers == 1);
    return append->status;
}

const char *log_world_segment(uint64_t first_position, char out[64]) {
    char name[MS_SEGMENT_NAME_LEN + 1];
    ms_segment_name(first_position, name);
    snprintf(out, 64, LOG_WORLD_DIR "/%s", name);
    return out;
}

/* ---- comparing ---- */

static char complaint[640];

static const char *complain(const char *what, uint64_t number, uint64_t position) {
    snprintf(complaint, sizeof complaint, "%s: append %llu, position %llu", what,
             (unsigned long long)number, (unsigned long long)position);
    return complaint;
}

/* The append that an entry belongs to, as its first record says. */
static bool parse_number(struct ms_bytes batch, unsigned long long *ret_number,
                         unsigned *ret_entry) {
    struct ms_batch_reader reader = {0};
    struct ms_record record;
    char text[64] = {0};
    bool ok = ms_batch_reader_init(&reader, batch, 0, NULL) == 0 &&
              ms_batch_reader_next(&reader, &record, NULL) == 1 && record.value.len >= 48;
    if (ok)
        memcpy(text, record.value.data, 48);
    ms_batch_reader_deinit(&reader);
    return ok && sscanf(text, "append %llu entry %u record", ret_number, ret_entry) == 2;
}

static bool same_batch(const struct log_append *append, uint32_t entry, struct ms_bytes batch) {
    struct ms_buf wanted;
    ms_buf_init(&wanted, (size_t)1 << 30);
    log_world_batch(append->number, entry, append->records, append->value_len, &wanted);
    /* Base offset and leader epoch are the log's. */
    bool same = wanted.len == batch.len && memcmp(wanted.data + 8, batch.data + 8, 4) == 0 &&
                memcmp(wanted.data + 16, batch.data + 16, batch.len - 16) == 0;
    ms_buf_deinit(&wanted);
    return same;
}

static const char *missing(struct log_append *append) {
    bool acknowledged = append->answers > 0 && append->status == 0;
    if (acknowledged)
        return complain("acknowledged and gone", append->number, append->position);
    if (append->seen)
        return complain("was read and is gone", append->number, append->position);
    append->absent = append->answers > 0; /* else it is still on its way */
    return NULL;
}

static const char *found(struct log_append *append) {
    if (!append->sequenced)
        return complain("refused, but there", append->number, 0);
    if (append->absent)
        return complain("was gone and came back", append->number, 0);
    append->seen = true;
    return NULL;
}

const char *log_world_check(struct log_world *w) {
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    uint64_t position = 0;
    size_t next = 0; /* appends below it are accounted for */
    uint32_t inside = 0;
    const char *wrong = NULL;
    int rc;
    ms_log_cursor_init(&cursor, w->log, 0);
    while (wrong == NULL && (rc = ms_log_cursor_next(&cursor, &entry, &w->error)) > 0) {
        unsigned long long number;
        unsigned index;
        if (entry.header.first_position != position || entry.first_offset != (int64_t)position)
            wrong = complain("positions are not contiguous", 0, position);
        else if (!parse_number(entry.batch, &number, &index) || number >= w->count)
            wrong = complain("never appended", 0, position);
        position += entry.record_count;
        if (wrong != NULL)
            break;
        for (; inside == 0 && next < number && wrong == NULL; next++)
            wrong = missing(&w->appends[next]);
        struct log_append *append = &w->appends[number];
        if (wrong == NULL &&
            (number != next || index != inside || !same_batch(append, index, entry.batch)))
            wrong = complain("is not what was appended", number, entry.header.first_position);
        if (wrong == NULL && inside == 0)
            wrong = found(append);
        if (++inside == append->entries) {
            inside = 0;
            next++;
        }
    }
    if (wrong == NULL && rc < 0)
        wrong = complain(w->error.message, 0, position);
    if (wrong == NULL && inside != 0)
        wrong = complain("there only in part", next, position);
    for (; wrong == NULL && next < w->count; next++)
        wrong = missing(&w->appends[next]);
    if (wrong == NULL && position != ms_log_end(w->log))
        wrong = complain("the end is not where the events end", 0, position);
    ms_log_cursor_deinit(&cursor);
    return wrong;
}
