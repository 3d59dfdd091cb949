/* `mainstem import FILE`. */
#include "cli/import.h"

#define LINE_BYTES_MAX ((size_t)64 << 20)

static int read_options(struct ms_invocation *invocation, struct ms_import_options *options,
                        struct ms_error *err) {
    uint64_t batch = options->batch_events, in_flight = options->in_flight;
    int rc = ms_option_u64(invocation, "batch", 1, MS_IMPORT_BATCH_EVENTS_MAX, &batch, err);
    if (rc == 0)
        rc = ms_option_u64(invocation, "in-flight", 1, MS_TARGET_IN_FLIGHT_MAX, &in_flight, err);
    options->batch_events = (size_t)batch;
    options->in_flight = (unsigned)in_flight;
    return rc;
}

static void print_result(struct ms_invocation *invocation, const struct ms_import_result *result,
                         double seconds) {
    FILE *out = invocation->cli->out;
    double rate = (double)result->events / seconds;
    if (ms_wants_json(invocation)) {
        fprintf(out,
                "{\"events\":%llu,\"repeated\":%llu,\"appends\":%llu,\"seconds\":%.3f,"
                "\"events_per_second\":%.0f}\n",
                (unsigned long long)result->events, (unsigned long long)result->repeated,
                (unsigned long long)result->appends, seconds, rate);
        return;
    }
    fprintf(out, "imported %llu events in %llu appends, %.1f s, %.0f events/s",
            (unsigned long long)result->events, (unsigned long long)result->appends, seconds, rate);
    if (result->repeated > 0)
        fprintf(out, " (%llu of them were there already)", (unsigned long long)result->repeated);
    fputc('\n', out);
}

static int import_from(struct ms_invocation *invocation, struct ms_line_reader *reader,
                       const struct ms_import_options *options, struct ms_error *err) {
    struct ms_target *target;
    int rc = ms_target_open(invocation, MS_TARGET_WRITES, &target, err);
    if (rc != 0)
        return rc;
    struct ms_progress progress;
    struct ms_import_result result;
    ms_progress_begin(&progress, invocation->cli, "imported");
    rc = ms_import_run(target, reader, options, &progress, &result, err);
    ms_progress_end(&progress);
    ms_target_free(target);
    if (rc == 0)
        print_result(invocation, &result, ms_progress_seconds(&progress));
    else
        fprintf(invocation->cli->err,
                "mainstem: the import stopped after %llu events; running it again adds only what "
                "is missing\n",
                (unsigned long long)result.events);
    return rc;
}

int ms_cmd_import(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct ms_import_options options;
    ms_import_options_init(&options);
    if (read_options(invocation, &options, &error) != 0)
        return ms_usage(invocation, "%s", error.message);
    struct ms_line_reader reader;
    int rc = ms_line_reader_open(&reader, invocation->args[0], invocation->cli->in, LINE_BYTES_MAX,
                                 &error);
    if (rc == 0) {
        rc = import_from(invocation, &reader, &options, &error);
        ms_line_reader_close(&reader);
    }
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, &error);
}
