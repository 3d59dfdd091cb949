/* Records of consumer groups; consumer_record.h has the table of bytes. Any thread. */
#include "group/consumer_record.h"

#include "group/fields.h"

#define VALUE_VERSION 0

/* ---- writing ---- */

int ms_consumer_key_write(struct ms_buf *out, int16_t version, struct ms_bytes group,
                          struct ms_bytes member_id) {
    bool of_member = version == MS_CONSUMER_KEY || version == MS_CONSUMER_TARGET_KEY ||
                     version == MS_CONSUMER_CURRENT_KEY;
    int rc = ms_put_i16(out, version);
    if (rc == 0)
        rc = ms_put_string(out, group);
    return rc != 0 || !of_member ? rc : ms_put_string(out, member_id);
}

int ms_consumer_epoch_value_write(struct ms_buf *out, int32_t epoch) {
    int rc = ms_put_i16(out, VALUE_VERSION);
    if (rc == 0)
        rc = ms_put_i32(out, epoch);
    return rc != 0 ? rc : ms_put_no_tags(out);
}

int ms_consumer_value_write(struct ms_buf *out, const struct ms_consumer_value *value) {
    int rc = ms_put_i16(out, VALUE_VERSION);
    if (rc == 0)
        rc = ms_put_compact_or_null(out, value->instance_id);
    if (rc == 0)
        rc = ms_put_compact_or_null(out, value->rack_id);
    if (rc == 0)
        rc = ms_put_compact(out, value->client_id);
    if (rc == 0)
        rc = ms_put_compact(out, value->client_host);
    if (rc == 0)
        rc = ms_put_count(out, value->name_count);
    for (size_t i = 0; rc == 0 && i < value->name_count; i++)
        rc = ms_put_compact(out, value->names[i]);
    if (rc == 0)
        rc = ms_put_compact_or_null(out, value->pattern);
    if (rc == 0)
        rc = ms_put_i32(out, value->rebalance_timeout_ms);
    if (rc == 0)
        rc = ms_put_compact_or_null(out, value->assignor);
    return rc != 0 ? rc : ms_put_no_tags(out);
}

int ms_consumer_current_value_begin(struct ms_buf *out, int32_t epoch, int32_t previous_epoch,
                                    int8_t state) {
    int rc = ms_put_i16(out, VALUE_VERSION);
    if (rc == 0)
        rc = ms_put_i32(out, epoch);
    if (rc == 0)
        rc = ms_put_i32(out, previous_epoch);
    return rc != 0 ? rc : ms_put_i8(out, state);
}

int ms_consumer_target_value_begin(struct ms_buf *out) { return ms_put_i16(out, VALUE_VERSION); }

int ms_partitions_begin(struct ms_buf *out, size_t topics) { return ms_put_count(out, topics); }

int ms_partitions_topic(struct ms_buf *out, const struct ms_uuid *id, size_t count) {
    int rc = ms_buf_append(out, id->bytes, sizeof id->bytes);
    return rc != 0 ? rc : ms_put_count(out, count);
}

int ms_partitions_add(struct ms_buf *out, uint32_t partition) {
    return ms_put_i32(out, (int32_t)partition);
}

int ms_partitions_topic_end(struct ms_buf *out) { return ms_put_no_tags(out); }

int ms_consumer_value_end(struct ms_buf *out) { return ms_put_no_tags(out); }

/* ---- reading ---- */

/* Of a value of the only version. */
static struct ms_reader begin(struct ms_bytes bytes) {
    struct ms_reader reader = {.rest = bytes, .flexible = true};
    if (ms_take_i16(&reader) != VALUE_VERSION)
        reader.bad = true;
    return reader;
}

static int end(struct ms_reader *reader) {
    ms_skip_tags(reader);
    return reader->bad || reader->rest.len != 0 ? MS_EINVAL : 0;
}

int ms_consumer_epoch_value_read(struct ms_bytes bytes, int32_t *ret_epoch) {
    struct ms_reader reader = begin(bytes);
    int32_t epoch = ms_take_i32(&reader);
    if (end(&reader) != 0 || epoch < 0)
        return MS_EINVAL;
    *ret_epoch = epoch;
    return 0;
}

/* What was taken since `from`. */
static struct ms_bytes since(const struct ms_reader *reader, struct ms_bytes from) {
    return ms_bytes_of(from.data, reader->bad ? 0 : from.len - reader->rest.len);
}

int ms_consumer_value_read(struct ms_bytes bytes, struct ms_consumer_value *ret_value) {
    struct ms_reader reader = begin(bytes);
    struct ms_consumer_value value = {0};
    value.instance_id = ms_take_string_or_null(&reader);
    value.rack_id = ms_take_string_or_null(&reader);
    value.client_id = ms_take_string(&reader);
    value.client_host = ms_take_string(&reader);
    int64_t count = ms_take_length(&reader, true);
    struct ms_bytes names = reader.rest;
    for (int64_t i = 0; i < count && !reader.bad; i++)
        (void)ms_take_string(&reader);
    value.rest = since(&reader, names);
    value.name_count = count > 0 ? (size_t)count : 0;
    value.pattern = ms_take_string_or_null(&reader);
    value.rebalance_timeout_ms = ms_take_i32(&reader);
    value.assignor = ms_take_string_or_null(&reader);
    if (end(&reader) != 0 || count < 0)
        return MS_EINVAL;
    *ret_value = value;
    return 0;
}

bool ms_consumer_name_next(struct ms_consumer_value *value, struct ms_bytes *ret_name) {
    struct ms_reader reader = {.rest = value->rest, .flexible = true};
    if (value->rest.len == 0)
        return false;
    *ret_name = ms_take_string(&reader);
    MS_ASSERT(!reader.bad);
    value->rest = reader.rest;
    return true;
}

/* One after another; `visit` NULL: they are only checked. */
static int each(struct ms_reader *reader,
                int (*visit)(void *context, const struct ms_uuid *topic, uint32_t partition),
                void *context) {
    int64_t topics = ms_take_length(reader, true);
    int rc = 0;
    reader->bad |= topics < 0;
    for (int64_t t = 0; t < topics && !reader->bad && rc == 0; t++) {
        struct ms_uuid id;
        memcpy(id.bytes, ms_take(reader, sizeof id.bytes), sizeof id.bytes);
        int64_t count = ms_take_length(reader, true);
        reader->bad |= count < 0;
        for (int64_t i = 0; i < count && !reader->bad && rc == 0; i++) {
            int32_t partition = ms_take_i32(reader);
            reader->bad |= partition < 0;
            if (visit != NULL && !reader->bad)
                rc = visit(context, &id, (uint32_t)partition);
        }
        if (rc == 0)
            ms_skip_tags(reader);
    }
    return rc;
}

static struct ms_bytes take_partitions(struct ms_reader *reader) {
    struct ms_bytes from = reader->rest;
    (void)each(reader, NULL, NULL);
    return since(reader, from);
}

int ms_consumer_current_value_read(struct ms_bytes bytes,
                                   struct ms_consumer_current_value *ret_value) {
    struct ms_reader reader = begin(bytes);
    struct ms_consumer_current_value value = {0};
    value.epoch = ms_take_i32(&reader);
    value.previous_epoch = ms_take_i32(&reader);
    value.state = ms_take_i8(&reader);
    value.owned = take_partitions(&reader);
    value.revoking = take_partitions(&reader);
    if (end(&reader) != 0)
        return MS_EINVAL;
    *ret_value = value;
    return 0;
}

int ms_consumer_target_value_read(struct ms_bytes bytes, struct ms_bytes *ret_partitions) {
    struct ms_reader reader = begin(bytes);
    struct ms_bytes partitions = take_partitions(&reader);
    if (end(&reader) != 0)
        return MS_EINVAL;
    *ret_partitions = partitions;
    return 0;
}

int ms_partitions_each(struct ms_bytes partitions,
                       int (*visit)(void *context, const struct ms_uuid *topic, uint32_t partition),
                       void *context) {
    struct ms_reader reader = {.rest = partitions, .flexible = true};
    return each(&reader, visit, context);
}
