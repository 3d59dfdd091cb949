/*
 * Bodies of PUT /v1/topics/{topic}. Asserted: the settings that come out are in their ranges; what
 * is refused is refused with a sentence; and they are read again from what the server writes of
 * them, unchanged.
 */
#include "face/http/topic_settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ms_topic_settings defaults = {.partitions = 4,
                                                  .streams = true,
                                                  .retention_ms = -1,
                                                  .retention_bytes = -1,
                                                  .retention_count = -1,
                                                  .message_bytes_max = MS_MESSAGE_BYTES_MAX};

static void check_range(const struct ms_topic_settings *settings) {
    MS_ASSERT(settings->partitions >= 1);
    MS_ASSERT(settings->retention_ms >= -1 && settings->retention_bytes >= -1 &&
              settings->retention_count >= -1);
    MS_ASSERT(settings->compression <= MS_CODEC_ZSTD);
}

static bool same(const struct ms_topic_settings *a, const struct ms_topic_settings *b) {
    return a->partitions == b->partitions && a->streams == b->streams &&
           a->retention_ms == b->retention_ms && a->retention_bytes == b->retention_bytes &&
           a->retention_count == b->retention_count && a->compact == b->compact &&
           a->compression == b->compression && a->require_source == b->require_source &&
           a->require_correlation_id == b->require_correlation_id &&
           a->recompress == b->recompress && a->message_bytes_max == b->message_bytes_max &&
           a->log_append_time == b->log_append_time &&
           a->retention_ignored == b->retention_ignored &&
           a->compaction_lag_ms == b->compaction_lag_ms &&
           a->compaction_lag_max_ms == b->compaction_lag_max_ms &&
           a->delete_retention_ms == b->delete_retention_ms;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ms_topic_settings settings = defaults, back = {.partitions = 1};
    struct ms_error err = {0};
    struct ms_buf written;
    bool force;
    int rc = ms_http_topic_settings_parse(ms_bytes_of(data, size), &settings, &force, &err);
    MS_ASSERT(rc == 0 || (rc == MS_EINVAL && err.code == rc && err.message[0] != 0));
    check_range(&settings);
    if (rc != 0)
        return 0;
    ms_buf_init(&written, 4096);
    MS_ASSERT(ms_http_topic_settings_write(&written, &settings) == 0);
    written.data[0] = '{'; /* members of an object, each with its comma in front */
    MS_ASSERT(ms_buf_append_u8(&written, '}') == 0);
    MS_ASSERT(ms_http_topic_settings_parse(ms_buf_bytes(&written), &back, &force, &err) == 0);
    MS_ASSERT(same(&settings, &back));
    ms_buf_deinit(&written);
    return 0;
}
