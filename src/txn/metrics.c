/* Metrics of transactions. */
#include "metrics/metrics.h"

#include "txn/txn.h"

#define NAME "mainstem_transaction"

static int write_gauges(const struct ms_txns_stats *stats, struct ms_buf *out) {
    const struct {
        const char *name, *help;
        double value;
    } gauges[] = {
        {NAME "s_open", "Open transactions.", (double)stats->open},
        {NAME "_oldest_open_seconds",
         "How long the oldest open transaction has been open; 0 when none is.",
         (double)stats->oldest_open_ms / 1000.0},
        {NAME "al_ids", "Transactional ids that are remembered.", (double)stats->ids},
        {NAME "_pending_offsets", "Offsets of groups that wait for the end of a transaction.",
         (double)stats->pending_offsets},
        {NAME "_memory_bytes", "Memory held by transactions.", (double)stats->bytes},
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof gauges / sizeof *gauges; i++)
        code = ms_metrics_gauge(out, gauges[i].name, gauges[i].help, NULL, gauges[i].value);
    return code;
}

static int write_counters(const struct ms_txns_stats *stats, struct ms_buf *out) {
    int code = ms_metrics_counter(out, NAME "s_ended_total", "Transactions ended, by result.",
                                  "result=\"commit\"", stats->commits);
    if (code == 0)
        code =
            ms_metrics_counter(out, NAME "s_ended_total", NULL, "result=\"abort\"", stats->aborts);
    if (code == 0)
        code = ms_metrics_counter(out, NAME "_timeouts_total",
                                  "Transactions aborted because they were open for too long.", NULL,
                                  stats->timeouts);
    if (code == 0)
        code = ms_metrics_counter(out, NAME "_failed_writes_total",
                                  "Steps of transactions that the log did not take.", NULL,
                                  stats->failed_writes);
    return code;
}

int ms_txns_metrics(struct ms_txns *txns, struct ms_buf *out) {
    struct ms_txns_stats stats;
    ms_txns_stats(txns, &stats);
    int code = write_gauges(&stats, out);
    return code == 0 ? write_counters(&stats, out) : code;
}
