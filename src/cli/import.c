/*
 * The import's loop: fill a batch, wait until it may go, send it, go on with a free one. See
 * import.h.
 *
 * A batch may go when fewer than `in_flight` are under way and, on a target that does not keep the
 * order of appends, when none of those touches one of its streams.
 */
#include "cli/import.h"

#include "base/alloc.h"

#define BATCH_BYTES_DEFAULT ((size_t)4 << 20)
#define LINE_ARENA_MAX ((size_t)64 << 20)

struct importer {
    struct ms_target *target;
    struct ms_line_reader *reader;
    const struct ms_import_options *options;
    struct ms_progress *progress;
    struct ms_import_result result;
    struct ms_import_batch *batches; /* in_flight + 1 of them */
    size_t batch_count;
    struct ms_arena arena; /* of one line */
    struct ms_buf event;
    int failed; /* code of the first append that failed */
    struct ms_error error;
};

void ms_import_options_init(struct ms_import_options *options) {
    *options = (struct ms_import_options){.batch_events = MS_IMPORT_BATCH_EVENTS_DEFAULT,
                                          .batch_bytes = BATCH_BYTES_DEFAULT,
                                          .in_flight = MS_IMPORT_IN_FLIGHT_DEFAULT,
                                          .limits = ms_event_limits_default()};
}

/* ---- sending ---- */

static void name_lines(struct ms_error *error, const struct ms_import_batch *batch) {
    if (batch->first_line == batch->last_line)
        ms_error_prefix(error, "line %llu", (unsigned long long)batch->first_line);
    else
        ms_error_prefix(error, "lines %llu to %llu", (unsigned long long)batch->first_line,
                        (unsigned long long)batch->last_line);
}

static void on_appended(void *context, int code, const struct ms_target_append_result *result,
                        const struct ms_error *err) {
    struct ms_import_batch *batch = context;
    struct importer *importer = batch->owner;
    batch->in_flight = false;
    if (code == 0) {
        importer->result.appends++;
        importer->result.events += batch->entry_count;
        if (result->repeated)
            importer->result.repeated += batch->entry_count;
        ms_progress_update(importer->progress, importer->result.events, importer->reader->bytes,
                           importer->reader->total);
    } else if (importer->failed == 0) {
        importer->failed = code;
        ms_error_set(&importer->error, code, "%s",
                     err && err->message[0] ? err->message : ms_error_text(code));
        name_lines(&importer->error, batch);
    }
}

static bool overlaps(const struct ms_import_batch *a, const struct ms_import_batch *b) {
    for (size_t i = 0; i < a->part_count; i++)
        if (ms_import_batch_has(b, a->parts[i].stream))
            return true;
    return false;
}

static bool may_go(const struct importer *importer, const struct ms_import_batch *batch) {
    if (importer->target->in_flight >= importer->options->in_flight)
        return false;
    if (importer->target->keeps_order)
        return true;
    for (size_t i = 0; i < importer->batch_count; i++)
        if (importer->batches[i].in_flight && overlaps(batch, &importer->batches[i]))
            return false;
    return true;
}

static int send_batch(struct importer *importer, struct ms_import_batch *batch,
                      struct ms_error *err) {
    while (!may_go(importer, batch)) {
        int rc = ms_target_poll(importer->target, err);
        if (rc != 0)
            return rc;
    }
    if (importer->failed != 0)
        return 0;
    struct ms_target_append append = ms_import_batch_arrange(batch);
    batch->in_flight = true;
    int rc = ms_target_append_start(importer->target, &append, on_appended, batch, err);
    if (rc != 0) {
        batch->in_flight = false;
        name_lines(err, batch);
    }
    return rc;
}

static int wait_for_all(struct importer *importer, struct ms_error *err) {
    int rc = 0;
    while (rc == 0 && importer->target->in_flight > 0)
        rc = ms_target_poll(importer->target, err);
    return rc;
}

/* ---- filling ---- */

/* There is one more batch than may be in flight, so one is always free. */
static struct ms_import_batch *free_batch(struct importer *importer) {
    for (size_t i = 0; i < importer->batch_count; i++) {
        if (!importer->batches[i].in_flight) {
            ms_import_batch_clear(&importer->batches[i]);
            return &importer->batches[i];
        }
    }
    MS_ASSERT(false); /* see above */
    return NULL;
}

static int add_line(struct importer *importer, struct ms_import_batch *batch, struct ms_bytes line,
                    struct ms_error *err) {
    struct ms_bytes stream;
    uint64_t number = importer->reader->number;
    ms_arena_reset(&importer->arena);
    ms_buf_clear(&importer->event);
    int rc = ms_import_line(line, number, &importer->options->limits, &importer->arena,
                            &importer->event, &stream, err);
    if (rc == 0) {
        rc = ms_import_batch_add(batch, stream, ms_buf_bytes(&importer->event), number);
        if (rc != 0)
            ms_error_set(err, rc, "no memory for the batch");
    }
    if (rc != 0)
        ms_error_prefix(err, "line %llu", (unsigned long long)number);
    return rc;
}

static bool is_blank(struct ms_bytes line) {
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t')
            return false;
    return true;
}

/* 1: the end was reached. */
static int fill(struct importer *importer, struct ms_import_batch *batch, struct ms_error *err) {
    const struct ms_import_options *options = importer->options;
    while (batch->entry_count < options->batch_events && batch->bytes < options->batch_bytes) {
        struct ms_bytes line;
        int rc = ms_line_reader_next(importer->reader, &line, err);
        if (rc <= 0)
            return rc == 0 ? 1 : rc;
        rc = is_blank(line) ? 0 : add_line(importer, batch, line, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int import_all(struct importer *importer, struct ms_error *err) {
    int rc = 0;
    while (rc == 0 && importer->failed == 0) {
        struct ms_import_batch *batch = free_batch(importer);
        rc = fill(importer, batch, err);
        if (rc < 0)
            return rc;
        if (batch->entry_count > 0) {
            int sent = send_batch(importer, batch, err);
            if (sent != 0)
                return sent;
        }
    }
    return 0;
}

/* ---- life ---- */

static int importer_init(struct importer *importer, struct ms_error *err) {
    size_t count = importer->options->in_flight + 1;
    ms_arena_init(&importer->arena, LINE_ARENA_MAX);
    ms_buf_init(&importer->event, importer->options->limits.append_bytes_max * 2);
    importer->batches = ms_calloc(count, sizeof *importer->batches);
    int rc = importer->batches ? 0 : MS_ENOMEM;
    for (; rc == 0 && importer->batch_count < count; importer->batch_count++) {
        struct ms_import_batch *batch = &importer->batches[importer->batch_count];
        rc = ms_import_batch_init(batch, importer->options->batch_events,
                                  importer->options->batch_bytes +
                                      importer->options->limits.event_bytes_max * 2);
        batch->owner = importer;
    }
    return rc == 0 ? 0 : ms_error_set(err, rc, "no memory for the import");
}

static void importer_deinit(struct importer *importer) {
    for (size_t i = 0; i < importer->batch_count; i++)
        ms_import_batch_deinit(&importer->batches[i]);
    ms_free(importer->batches);
    ms_buf_deinit(&importer->event);
    ms_arena_deinit(&importer->arena);
}

int ms_import_run(struct ms_target *target, struct ms_line_reader *reader,
                  const struct ms_import_options *options, struct ms_progress *progress,
                  struct ms_import_result *ret_result, struct ms_error *err) {
    MS_ASSERT(options->in_flight >= 1 && options->in_flight <= MS_TARGET_IN_FLIGHT_MAX);
    MS_ASSERT(options->batch_events >= 1 && options->batch_events <= MS_IMPORT_BATCH_EVENTS_MAX);
    struct importer importer = {
        .target = target, .reader = reader, .options = options, .progress = progress};
    struct ms_error waiting = {0};
    int rc = importer_init(&importer, err);
    if (rc == 0)
        rc = import_all(&importer, err);
    int waited = wait_for_all(&importer, &waiting);
    if (importer.failed != 0) {
        rc = importer.failed; /* it came before what stopped the reading */
        if (err)
            *err = importer.error;
    } else if (rc == 0 && waited != 0) {
        rc = waited;
        if (err)
            *err = waiting;
    }
    *ret_result = importer.result;
    importer_deinit(&importer);
    return rc;
}
