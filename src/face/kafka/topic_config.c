/* The table of a topic's configs; see topic_config.h. */
#include "face/kafka/topic_config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "face/kafka/loop.h"
#include "face/kafka/request.h"
#include "face/kafka/server.h"
#include "wire/compress.h"

#define RATIO_SCALE 1000000.0 /* ratios are kept as millionths */
#define NO_BOUND INT64_MAX

typedef struct ms_kafka_topic_config config_row;
typedef struct ms_topic_settings settings_type;

static void put_text(char out[MS_KAFKA_CONFIG_VALUE_MAX], const char *text) {
    snprintf(out, MS_KAFKA_CONFIG_VALUE_MAX, "%s", text);
}

static void put_number(char out[MS_KAFKA_CONFIG_VALUE_MAX], int64_t number) {
    snprintf(out, MS_KAFKA_CONFIG_VALUE_MAX, "%" PRId64, number);
}

static bool is_set(const config_row *row, const settings_type *settings) {
    return (settings->configs_set >> row->bit & 1) != 0;
}

static int parse_number(const config_row *row, const char *text, int64_t *ret_number) {
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end != 0 || errno != 0 || number < row->min || number > row->max)
        return MS_EINVAL;
    *ret_number = number;
    return 0;
}

static int parse_flag(const char *text, bool *ret_flag) {
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0)
        return MS_EINVAL;
    *ret_flag = yes;
    return 0;
}

/* ---- honoured: numbers of the settings ---- */

static void get_number(const config_row *row, const settings_type *settings,
                       char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    int64_t number;
    memcpy(&number, (const uint8_t *)settings + row->at, sizeof number);
    put_number(out, number);
}

static int set_number(const config_row *row, settings_type *settings, const char *text) {
    int64_t number;
    int rc = parse_number(row, text, &number);
    if (rc == 0)
        memcpy((uint8_t *)settings + row->at, &number, sizeof number);
    return rc;
}

/* ---- honoured: the others ---- */

static void get_cleanup(const config_row *row, const settings_type *settings,
                        char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    (void)row;
    put_text(out, !settings->compact            ? "delete"
                  : settings->retention_ignored ? "compact"
                                                : "compact,delete");
}

static int set_cleanup(const config_row *row, settings_type *settings, const char *text) {
    (void)row;
    char copy[MS_KAFKA_CONFIG_VALUE_MAX];
    bool compact = false, delete = false;
    put_text(copy, text);
    for (char *save, *item = strtok_r(copy, ", ", &save); item != NULL;
         item = strtok_r(NULL, ", ", &save)) {
        if (strcmp(item, "compact") == 0)
            compact = true;
        else if (strcmp(item, "delete") == 0)
            delete = true;
        else
            return MS_EINVAL;
    }
    if (!compact && !delete)
        return MS_EINVAL;
    settings->compact = compact;
    settings->retention_ignored = compact && !delete;
    return 0;
}

static void get_compression(const config_row *row, const settings_type *settings,
                            char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    (void)row;
    put_text(out, !settings->recompress                    ? "producer"
                  : settings->compression == MS_CODEC_NONE ? "uncompressed"
                                                           : ms_codec_name(settings->compression));
}

static int set_compression(const config_row *row, settings_type *settings, const char *text) {
    (void)row;
    if (strcmp(text, "producer") == 0) {
        if (settings->recompress)
            settings->compression = MS_CODEC_NONE;
        settings->recompress = false;
        return 0;
    }
    bool none = strcmp(text, "uncompressed") == 0;
    enum ms_codec codec = MS_CODEC_NONE;
    if (!none && (ms_codec_parse(ms_bytes_cstr(text), &codec) != 0 || codec == MS_CODEC_NONE))
        return MS_EINVAL;
    settings->recompress = true;
    settings->compression = codec;
    return 0;
}

static void get_timestamp_type(const config_row *row, const settings_type *settings,
                               char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    (void)row;
    put_text(out, settings->log_append_time ? "LogAppendTime" : "CreateTime");
}

static int set_timestamp_type(const config_row *row, settings_type *settings, const char *text) {
    (void)row;
    bool server = strcmp(text, "LogAppendTime") == 0;
    if (!server && strcmp(text, "CreateTime") != 0)
        return MS_EINVAL;
    settings->log_append_time = server;
    return 0;
}

static void get_message_bytes(const config_row *row, const settings_type *settings,
                              char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    (void)row;
    put_number(out, settings->message_bytes_max);
}

static int set_message_bytes(const config_row *row, settings_type *settings, const char *text) {
    int64_t number;
    int rc = parse_number(row, text, &number);
    if (rc == 0)
        settings->message_bytes_max = (uint32_t)number;
    return rc;
}

/* Bounds of timestamps: by themselves, or else the older config that has one for both. */
enum { AFTER_BIT = 15, BEFORE_BIT = 16, DIFFERENCE_BIT = 17, DIFFERENCE_AT = 9 };

static int64_t difference_of(const settings_type *settings) {
    bool set = (settings->configs_set >> DIFFERENCE_BIT & 1) != 0;
    return set ? settings->configs_kept[DIFFERENCE_AT] : MS_TIMESTAMP_ANY;
}

static void get_bound(const config_row *row, const settings_type *settings,
                      char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    int64_t number;
    memcpy(&number, (const uint8_t *)settings + row->at, sizeof number);
    put_number(out, is_set(row, settings) ? number : MS_TIMESTAMP_ANY);
}

static int set_bound(const config_row *row, settings_type *settings, const char *text) {
    int64_t number;
    int rc = parse_number(row, text, &number);
    if (rc != 0)
        return rc;
    if (number == MS_TIMESTAMP_ANY)
        number = difference_of(settings);
    memcpy((uint8_t *)settings + row->at, &number, sizeof number);
    return 0;
}

static int set_difference(const config_row *row, settings_type *settings, const char *text) {
    int64_t number;
    int rc = parse_number(row, text, &number);
    if (rc != 0)
        return rc;
    settings->configs_kept[DIFFERENCE_AT] = number;
    if ((settings->configs_set >> BEFORE_BIT & 1) == 0)
        settings->timestamp_before_ms = number;
    if ((settings->configs_set >> AFTER_BIT & 1) == 0)
        settings->timestamp_after_ms = number;
    return 0;
}

static void get_lag_max(const config_row *row, const settings_type *settings,
                        char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    (void)row;
    int64_t lag_ms = settings->compaction_lag_max_ms;
    put_number(out, lag_ms > 0 ? lag_ms : NO_BOUND);
}

static int set_lag_max(const config_row *row, settings_type *settings, const char *text) {
    int64_t number;
    int rc = parse_number(row, text, &number);
    if (rc == 0)
        settings->compaction_lag_max_ms = number == NO_BOUND ? 0 : number;
    return rc;
}

static void get_streams(const config_row *row, const settings_type *settings,
                        char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    (void)row;
    put_text(out, settings->streams ? "true" : "false");
}

static int set_streams(const config_row *row, settings_type *settings, const char *text) {
    (void)row;
    return parse_flag(text, &settings->streams);
}

/* ---- kept, fixed ---- */

static void get_kept(const config_row *row, const settings_type *settings,
                     char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    if (is_set(row, settings))
        put_number(out, settings->configs_kept[row->at]);
    else
        put_text(out, row->standard);
}

static int set_kept(const config_row *row, settings_type *settings, const char *text) {
    return parse_number(row, text, &settings->configs_kept[row->at]);
}

static void get_ratio(const config_row *row, const settings_type *settings,
                      char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    if (is_set(row, settings))
        snprintf(out, MS_KAFKA_CONFIG_VALUE_MAX, "%g",
                 (double)settings->configs_kept[row->at] / RATIO_SCALE);
    else
        put_text(out, row->standard);
}

static int set_ratio(const config_row *row, settings_type *settings, const char *text) {
    char *end;
    double ratio = strtod(text, &end);
    if (end == text || *end != 0 || !(ratio >= 0 && ratio <= 1))
        return MS_EINVAL;
    settings->configs_kept[row->at] = (int64_t)lround(ratio * RATIO_SCALE);
    return 0;
}

static void get_fixed(const config_row *row, const settings_type *settings,
                      char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    (void)settings;
    put_text(out, row->standard);
}

/* ---- the table ---- */

#define NUMBER(field, low)                                                                         \
    .set = set_number, .get = get_number, .at = offsetof(settings_type, field), .min = (low),      \
    .max = INT64_MAX
#define KEPT(place, low, high)                                                                     \
    .set = set_kept, .get = get_kept, .at = (place), .min = (low), .max = (high)
#define FIXED .get = get_fixed
#define LONGEST "9223372036854775807"
#define NO_EFFECT "Kept and shown; has no effect here: "
#define ONLY_DEFAULT "Only the default is taken: "

/* Bits and places in configs_kept are stored: none changes its meaning. */
const struct ms_kafka_topic_config ms_kafka_topic_configs[] = {
    {"cleanup.policy", MS_KAFKA_CONFIG_LIST, 0, "delete", .set = set_cleanup, .get = get_cleanup,
     .documentation = "delete: retention removes. compact: the newest record of each key is kept, "
                      "and retention does nothing. Both: both."},
    {"compression.type", MS_KAFKA_CONFIG_STRING, 1, "producer", .set = set_compression,
     .get = get_compression,
     .documentation = "producer: batches are stored as they came. uncompressed, gzip, snappy, lz4, "
                      "zstd: those compressed otherwise are recompressed."},
    {"delete.retention.ms", MS_KAFKA_CONFIG_LONG, 2, "86400000", NUMBER(delete_retention_ms, 0),
     .documentation = "How long compaction keeps a record without a value, from its commit on."},
    {"file.delete.delay.ms", MS_KAFKA_CONFIG_LONG, 3, "60000", KEPT(0, 0, INT64_MAX),
     .documentation = NO_EFFECT "files are removed when nobody reads them any more."},
    {"flush.messages", MS_KAFKA_CONFIG_LONG, 4, LONGEST, KEPT(1, 1, INT64_MAX),
     .documentation = NO_EFFECT "records are on the disk before they are acknowledged."},
    {"flush.ms", MS_KAFKA_CONFIG_LONG, 5, LONGEST, KEPT(2, 0, INT64_MAX),
     .documentation = NO_EFFECT "records are on the disk before they are acknowledged."},
    {"follower.replication.throttled.replicas", MS_KAFKA_CONFIG_LIST, 6, "", FIXED,
     .documentation = ONLY_DEFAULT "there are no followers."},
    {"index.interval.bytes", MS_KAFKA_CONFIG_INT, 7, "4096", KEPT(3, 0, INT32_MAX),
     .documentation = NO_EFFECT "every batch is indexed."},
    {"leader.replication.throttled.replicas", MS_KAFKA_CONFIG_LIST, 8, "", FIXED,
     .documentation = ONLY_DEFAULT "there are no followers."},
    {"local.retention.bytes", MS_KAFKA_CONFIG_LONG, 9, "-2", FIXED,
     .documentation = ONLY_DEFAULT "there is no remote storage."},
    {"local.retention.ms", MS_KAFKA_CONFIG_LONG, 10, "-2", FIXED,
     .documentation = ONLY_DEFAULT "there is no remote storage."},
    {"mainstem.retention.count", MS_KAFKA_CONFIG_LONG, 32, "-1", NUMBER(retention_count, -1),
     .documentation = "How many of its newest records each partition keeps; -1: all."},
    {"mainstem.streams", MS_KAFKA_CONFIG_BOOLEAN, 31, "false", .set = set_streams,
     .get = get_streams, .stays = true,
     .documentation = "Whether records are events of streams, by their keys. Can be switched on at "
                      "any time, off only while the topic is empty, and never goes back to its "
                      "default by itself."},
    {"max.compaction.lag.ms", MS_KAFKA_CONFIG_LONG, 11, LONGEST, .set = set_lag_max,
     .get = get_lag_max, .min = 1, .max = INT64_MAX,
     .documentation = "What is older is compacted by the next scheduled scavenge."},
    {"max.message.bytes", MS_KAFKA_CONFIG_INT, 12, "1048588", .set = set_message_bytes,
     .get = get_message_bytes, .min = MS_BATCH_HEADER_LEN, .max = INT32_MAX,
     .documentation = "The largest batch, as a producer sends it."},
    {"message.downconversion.enable", MS_KAFKA_CONFIG_BOOLEAN, 13, "true", FIXED,
     .documentation = ONLY_DEFAULT "clients that need older formats are not served."},
    {"message.format.version", MS_KAFKA_CONFIG_STRING, 14, "3.0-IV1", FIXED,
     .documentation = ONLY_DEFAULT "there is one format, record batches of version 2."},
    {"message.timestamp.after.max.ms", MS_KAFKA_CONFIG_LONG, AFTER_BIT, LONGEST, .set = set_bound,
     .get = get_bound, .at = offsetof(settings_type, timestamp_after_ms), .max = INT64_MAX,
     .documentation = "By how much a producer's timestamp may lie ahead of the server's clock."},
    {"message.timestamp.before.max.ms", MS_KAFKA_CONFIG_LONG, BEFORE_BIT, LONGEST, .set = set_bound,
     .get = get_bound, .at = offsetof(settings_type, timestamp_before_ms), .max = INT64_MAX,
     .documentation = "By how much a producer's timestamp may lie behind the server's clock."},
    {"message.timestamp.difference.max.ms", MS_KAFKA_CONFIG_LONG, DIFFERENCE_BIT, LONGEST,
     .set = set_difference, .get = get_kept, .at = DIFFERENCE_AT, .max = INT64_MAX,
     .documentation = "The older config: both of them, where they are not set themselves."},
    {"message.timestamp.type", MS_KAFKA_CONFIG_STRING, 18, "CreateTime", .set = set_timestamp_type,
     .get = get_timestamp_type,
     .documentation = "CreateTime: timestamps are the producer's. LogAppendTime: of the append."},
    {"min.cleanable.dirty.ratio", MS_KAFKA_CONFIG_DOUBLE, 19, "0.5", .set = set_ratio,
     .get = get_ratio, .at = 4,
     .documentation = NO_EFFECT "the scavenger weighs what a segment would gain."},
    {"min.compaction.lag.ms", MS_KAFKA_CONFIG_LONG, 20, "0", NUMBER(compaction_lag_ms, 0),
     .documentation = "Younger records are not compacted away."},
    {"min.insync.replicas", MS_KAFKA_CONFIG_INT, 21, "1", FIXED,
     .documentation = ONLY_DEFAULT "there is one replica."},
    {"preallocate", MS_KAFKA_CONFIG_BOOLEAN, 22, "false", FIXED,
     .documentation = ONLY_DEFAULT "space is prepared ahead of the writers in any case."},
    {"remote.storage.enable", MS_KAFKA_CONFIG_BOOLEAN, 23, "false", FIXED,
     .documentation = ONLY_DEFAULT "there is no remote storage."},
    {"retention.bytes", MS_KAFKA_CONFIG_LONG, 24, "-1", NUMBER(retention_bytes, -1),
     .documentation = "How much each partition keeps; -1: all. The scavenger removes the rest."},
    {"retention.ms", MS_KAFKA_CONFIG_LONG, 25, "-1", NUMBER(retention_ms, -1),
     .documentation = "How long records are kept; -1, the default: for ever (Kafka's is 7 days)."},
    {"segment.bytes", MS_KAFKA_CONFIG_INT, 26, "1073741824", KEPT(5, 14, INT32_MAX),
     .documentation = NO_EFFECT "topics share the segments of one log."},
    {"segment.index.bytes", MS_KAFKA_CONFIG_INT, 27, "10485760", KEPT(6, 4, INT32_MAX),
     .documentation = NO_EFFECT "topics share one index."},
    {"segment.jitter.ms", MS_KAFKA_CONFIG_LONG, 28, "0", KEPT(7, 0, INT64_MAX),
     .documentation = NO_EFFECT "topics share the segments of one log."},
    {"segment.ms", MS_KAFKA_CONFIG_LONG, 29, "604800000", KEPT(8, 1, INT64_MAX),
     .documentation = NO_EFFECT "topics share the segments of one log."},
    {"unclean.leader.election.enable", MS_KAFKA_CONFIG_BOOLEAN, 30, "false", FIXED,
     .documentation = ONLY_DEFAULT "there is one replica."},
};
const size_t ms_kafka_topic_config_count =
    sizeof ms_kafka_topic_configs / sizeof *ms_kafka_topic_configs;

/* ---- by the table ---- */

const struct ms_kafka_topic_config *ms_kafka_topic_config_find(struct ms_bytes name) {
    for (size_t i = 0; i < ms_kafka_topic_config_count; i++)
        if (ms_bytes_equal_cstr(name, ms_kafka_topic_configs[i].name))
            return &ms_kafka_topic_configs[i];
    return NULL;
}

void ms_kafka_topic_config_get(const config_row *config, const settings_type *settings,
                               char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    config->get(config, settings, out);
}

enum ms_kafka_config_source ms_kafka_topic_config_source(const config_row *config,
                                                         const settings_type *settings) {
    char value[MS_KAFKA_CONFIG_VALUE_MAX];
    config->get(config, settings, value);
    bool given = is_set(config, settings) || strcmp(value, config->standard) != 0;
    return given ? MS_KAFKA_CONFIG_TOPIC : MS_KAFKA_CONFIG_DEFAULT;
}

/* False: it is longer than any value. */
static bool trim(struct ms_bytes value, char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    while (value.len > 0 && value.data[0] == ' ')
        value = ms_bytes_of(value.data + 1, value.len - 1);
    while (value.len > 0 && value.data[value.len - 1] == ' ')
        value.len--;
    if (value.len >= MS_KAFKA_CONFIG_VALUE_MAX || memchr(value.data, 0, value.len) != NULL)
        return false;
    if (value.len > 0)
        memcpy(out, value.data, value.len);
    out[value.len] = 0;
    return true;
}

static int refuse(const config_row *config, const char *value, struct ms_error *err) {
    return ms_error_set(err, MS_EINVAL, "%s: '%s' is no value of it. %s", config->name, value,
                        config->documentation);
}

int ms_kafka_topic_config_set(const config_row *config, settings_type *settings,
                              struct ms_bytes value, struct ms_error *err) {
    char text[MS_KAFKA_CONFIG_VALUE_MAX];
    if (!trim(value, text))
        return refuse(config, "(a long text)", err);
    int rc = config->set != NULL                   ? config->set(config, settings, text)
             : strcmp(text, config->standard) == 0 ? 0
                                                   : MS_EINVAL;
    if (rc != 0)
        return refuse(config, text, err);
    settings->configs_set |= (uint64_t)1 << config->bit;
    return 0;
}

void ms_kafka_topic_config_reset(const config_row *config, settings_type *settings) {
    if (config->stays)
        return;
    int rc = config->set != NULL ? config->set(config, settings, config->standard) : 0;
    MS_ASSERT(rc == 0);
    settings->configs_set &= ~((uint64_t)1 << config->bit);
}

static bool list_has(const char *list, const char *item) {
    char copy[MS_KAFKA_CONFIG_VALUE_MAX];
    put_text(copy, list);
    for (char *save, *each = strtok_r(copy, ", ", &save); each != NULL;
         each = strtok_r(NULL, ", ", &save))
        if (strcmp(each, item) == 0)
            return true;
    return false;
}

/* Appends those items of `from` that `other` has, or has not. */
static void add_items(char list[2 * MS_KAFKA_CONFIG_VALUE_MAX], const char *from, const char *other,
                      bool wanted) {
    char copy[MS_KAFKA_CONFIG_VALUE_MAX];
    put_text(copy, from);
    for (char *save, *item = strtok_r(copy, ", ", &save); item != NULL;
         item = strtok_r(NULL, ", ", &save)) {
        size_t len = strlen(list);
        if (list_has(other, item) == wanted)
            snprintf(list + len, 2 * MS_KAFKA_CONFIG_VALUE_MAX - len, "%s%s", len > 0 ? "," : "",
                     item);
    }
}

int ms_kafka_topic_config_change_list(const config_row *config, settings_type *settings,
                                      struct ms_bytes items, bool add, struct ms_error *err) {
    char given[MS_KAFKA_CONFIG_VALUE_MAX], now[MS_KAFKA_CONFIG_VALUE_MAX];
    char list[2 * MS_KAFKA_CONFIG_VALUE_MAX] = "";
    if (config->type != MS_KAFKA_CONFIG_LIST)
        return ms_error_set(err, MS_EINVAL, "%s is no list", config->name);
    if (!trim(items, given))
        return refuse(config, "(a long text)", err);
    config->get(config, settings, now);
    add_items(list, now, add ? "" : given, false);
    if (add)
        add_items(list, given, now, false);
    return ms_kafka_topic_config_set(config, settings, ms_bytes_cstr(list), err);
}

struct ms_topic_settings ms_kafka_topic_settings(const struct ms_kafka_request *request) {
    struct ms_topic_settings settings = ms_topic_settings_default(request->loop->kafka->store);
    unsigned partitions = request->loop->config->options.auto_create_partitions;
    settings.streams = false;
    if (partitions > 0)
        settings.partitions = (uint16_t)partitions;
    return settings;
}
