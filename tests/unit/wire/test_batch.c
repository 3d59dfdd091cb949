/* Reading and checking record batches: the worked example of src/wire/batch.c, every rule of
 * ms_batch_validate, and damage of every kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/endian.h"
#include "base/hash.h"
#include "wire/batch.h"
#include "wire/compress.h"

#define ANY_MAX ((size_t)1 << 20)
#define EXAMPLE_LEN 98u

static uint8_t example[EXAMPLE_LEN];

/* ---- the worked example ---- */

static FILE *open_source(void) {
    static const char *const PLACES[] = {"", "../", "../../", "../../../"};
    for (size_t i = 0; i < sizeof PLACES / sizeof PLACES[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "%ssrc/wire/batch.c", PLACES[i]);
        FILE *file = fopen(path, "r");
        if (file)
            return file;
    }
    return NULL;
}

static int hex_digit(char c) {
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Bytes of a line like " *   00 01     what they are". */
static size_t parse_line(const char *line, uint8_t *at, size_t room) {
    size_t len = 0;
    line += strspn(line, " *");
    while (len < room && hex_digit(line[0]) >= 0 && hex_digit(line[1]) >= 0 &&
           strchr(" \n", line[2])) {
        at[len++] = (uint8_t)(hex_digit(line[0]) << 4 | hex_digit(line[1]));
        line += 3;
    }
    return len;
}

static int load_example(void **state) {
    (void)state;
    char line[256];
    size_t len = 0;
    FILE *file = open_source();
    if (file == NULL)
        return -1;
    bool inside = false;
    while (fgets(line, sizeof line, file) && !(inside && strstr(line, "*/"))) {
        if (inside)
            len += parse_line(line, example + len, sizeof example - len);
        inside = inside || strstr(line, "Worked example");
    }
    fclose(file);
    return len == sizeof example ? 0 : -1;
}

/* ---- helpers ---- */

static struct ms_bytes all(const uint8_t *batch) {
    return ms_bytes_of(batch, ms_get_be32(batch + 8) + 12);
}

static void fix_crc(uint8_t *batch) {
    struct ms_bytes bytes = all(batch);
    ms_put_be32(batch + MS_BATCH_OFFSET_CRC,
                ms_crc32c(0, bytes.data + MS_BATCH_CRC_START, bytes.len - MS_BATCH_CRC_START));
}

/* A batch of the records given, with a right CRC. */
static struct ms_bytes wrap(uint8_t *batch, const void *records, size_t len, int32_t count) {
    memcpy(batch, example, MS_BATCH_HEADER_LEN);
    memcpy(batch + MS_BATCH_HEADER_LEN, records, len);
    ms_put_be32(batch + 8, (uint32_t)(MS_BATCH_HEADER_LEN + len - 12));
    ms_put_be32(batch + 23, (uint32_t)count - 1);
    ms_put_be32(batch + 57, (uint32_t)count);
    fix_crc(batch);
    return all(batch);
}

static int validate(struct ms_bytes batch) {
    struct ms_batch_header header;
    struct ms_error err = {0};
    int r = ms_batch_validate(batch, ANY_MAX, &header, &err);
    assert_int_equal(err.code, r);
    assert_true(r == 0 || err.message[0] != '\0');
    return r;
}

/* What walking the whole batch, headers too, comes to; the number of records when all is well. */
static int walk(struct ms_bytes batch, size_t max) {
    struct ms_batch_reader reader = {0};
    struct ms_record record;
    int count = 0;
    int r = ms_batch_reader_init(&reader, batch, max, NULL);
    while (r == 0 && (r = ms_batch_reader_next(&reader, &record, NULL)) == 1) {
        struct ms_record_header header;
        size_t at = 0;
        do {
            r = ms_record_next_header(&record, &at, &header);
        } while (r == 1);
        count++;
    }
    ms_batch_reader_deinit(&reader);
    return r < 0 ? r : count;
}

static void assert_bytes(struct ms_bytes bytes, const char *text) {
    assert_int_equal(bytes.len, strlen(text));
    assert_memory_equal(bytes.data ? (const void *)bytes.data : "", text, bytes.len);
}

/* ---- the worked example, read ---- */

static void worked_example_has_the_header_it_says(void **state) {
    (void)state;
    struct ms_batch_header header;
    assert_int_equal(ms_batch_read_header(all(example), &header, NULL), 0);
    assert_int_equal(header.base_offset, 0);
    assert_int_equal(header.length, EXAMPLE_LEN);
    assert_int_equal(header.leader_epoch, 0);
    assert_int_equal(header.crc, 0x7e0afde5);
    assert_int_equal(header.attributes, 0);
    assert_int_equal(header.last_offset_delta, 1);
    assert_int_equal(header.base_timestamp_ms, 1700000000000);
    assert_int_equal(header.max_timestamp_ms, 1700000000005);
    assert_int_equal(header.producer_id, -1);
    assert_int_equal(header.producer_epoch, -1);
    assert_int_equal(header.base_sequence, -1);
    assert_int_equal(header.record_count, 2);
    assert_int_equal(ms_batch_check_crc(all(example), NULL), 0);
    assert_int_equal(validate(all(example)), 0);
}

static void worked_example_has_the_records_it_says(void **state) {
    (void)state;
    struct ms_batch_reader reader = {0};
    struct ms_record record;
    struct ms_record_header header;
    size_t at = 0;
    assert_int_equal(ms_batch_reader_init(&reader, all(example), 0, NULL), 0);
    assert_int_equal(ms_batch_reader_next(&reader, &record, NULL), 1);
    assert_int_equal(record.offset, 0);
    assert_int_equal(record.timestamp_ms, 1700000000000);
    assert_bytes(record.key, "key");
    assert_bytes(record.value, "value");
    assert_false(record.key_is_null || record.value_is_null);
    assert_int_equal(record.header_count, 1);
    assert_int_equal(ms_record_next_header(&record, &at, &header), 1);
    assert_bytes(header.key, "ce_id");
    assert_bytes(header.value, "7");
    assert_int_equal(ms_record_next_header(&record, &at, &header), 0);

    assert_int_equal(ms_batch_reader_next(&reader, &record, NULL), 1);
    assert_int_equal(record.offset, 1);
    assert_int_equal(record.timestamp_ms, 1700000000005);
    assert_int_equal(record.key.len, 0);
    assert_false(record.key_is_null);
    assert_true(record.value_is_null);
    at = 0;
    assert_int_equal(ms_record_next_header(&record, &at, &header), 1);
    assert_bytes(header.key, "a");
    assert_int_equal(header.value.len, 0);
    assert_false(header.value_is_null);
    assert_int_equal(ms_record_next_header(&record, &at, &header), 1);
    assert_bytes(header.key, "bb");
    assert_true(header.value_is_null);
    assert_int_equal(ms_record_next_header(&record, &at, &header), 0);
    assert_int_equal(ms_batch_reader_next(&reader, &record, NULL), 0);
    assert_int_equal(ms_batch_reader_next(&reader, &record, NULL), 0);
    assert_null(reader.scratch.data); /* nothing was copied */
    ms_batch_reader_deinit(&reader);
}

/* ---- the header's own rules ---- */

static void header_asks_for_the_whole_batch(void **state) {
    (void)state;
    for (size_t len = 0; len < EXAMPLE_LEN; len++) {
        struct ms_batch_header header = {.length = 7, .record_count = 99};
        struct ms_error err = {0};
        /* A copy of exactly that size, so that the sanitizer sees any read past it. */
        uint8_t *copy = malloc(len + 1);
        memcpy(copy + 1, example, len);
        struct ms_bytes cut = ms_bytes_of(copy + 1, len);
        assert_int_equal(ms_batch_read_header(cut, &header, &err), MS_ENEEDMORE);
        assert_int_equal(header.length, len < 12 ? 7 : EXAMPLE_LEN);
        assert_int_equal(header.record_count, 99);
        assert_int_equal(validate(cut), MS_EINVAL);
        assert_int_equal(ms_batch_check_crc(cut, NULL), MS_EINVAL);
        assert_int_equal(walk(cut, ANY_MAX), MS_EINVAL);
        free(copy);
    }
}

static void header_may_be_followed_by_other_batches(void **state) {
    (void)state;
    uint8_t two[2 * EXAMPLE_LEN];
    struct ms_batch_header header;
    memcpy(two, example, EXAMPLE_LEN);
    memcpy(two + EXAMPLE_LEN, example, EXAMPLE_LEN);
    struct ms_bytes bytes = ms_bytes_of(two, sizeof two);
    assert_int_equal(ms_batch_read_header(bytes, &header, NULL), 0);
    assert_int_equal(header.length, EXAMPLE_LEN);
    assert_int_equal(walk(bytes, ANY_MAX), 2);
    assert_int_equal(validate(bytes), MS_EINVAL);
    assert_int_equal(ms_batch_check_crc(bytes, NULL), MS_EINVAL);
}

static void header_refuses_impossible_numbers(void **state) {
    (void)state;
    static const struct {
        unsigned at, size;
        int64_t value;
    } CASES[] = {
        {8, 4, 48}, {8, 4, 0},  {8, 4, -1},         {8, 4, INT32_MIN},  {8, 4, INT32_MAX},
        {16, 1, 0}, {16, 1, 1}, {16, 1, 3},         {23, 4, -1},        {57, 4, -1},
        {57, 4, 3}, {23, 4, 0}, {57, 4, INT32_MIN}, {23, 4, INT32_MIN},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        uint8_t copy[EXAMPLE_LEN];
        struct ms_batch_header header;
        memcpy(copy, example, sizeof copy);
        if (CASES[i].size == 1)
            copy[CASES[i].at] = (uint8_t)CASES[i].value;
        else
            ms_put_be32(copy + CASES[i].at, (uint32_t)CASES[i].value);
        assert_int_equal(ms_batch_read_header(ms_bytes_of(copy, sizeof copy), &header, NULL),
                         MS_EINVAL);
    }
}

static void header_refuses_more_records_than_fit(void **state) {
    (void)state;
    uint8_t copy[EXAMPLE_LEN];
    struct ms_batch_header header;
    memcpy(copy, example, sizeof copy);
    ms_put_be32(copy + 23, INT32_MAX);
    ms_put_be32(copy + 57, (EXAMPLE_LEN - 61) / 7 + 1);
    assert_int_equal(ms_batch_read_header(all(copy), &header, NULL), MS_EINVAL);
    ms_put_be32(copy + 57, (EXAMPLE_LEN - 61) / 7);
    assert_int_equal(ms_batch_read_header(all(copy), &header, NULL), 0);
}

static void patch_touches_only_what_the_crc_does_not_cover(void **state) {
    (void)state;
    uint8_t copy[EXAMPLE_LEN];
    struct ms_batch_header header;
    memcpy(copy, example, sizeof copy);
    ms_batch_patch(copy, INT64_MAX, -7);
    assert_int_equal(ms_batch_validate(all(copy), 0, &header, NULL), 0);
    assert_true(header.base_offset == INT64_MAX);
    assert_int_equal(header.leader_epoch, -7);
    ms_batch_patch(copy, 0, 0);
    assert_memory_equal(copy, example, sizeof copy);
}

/* ---- damage ---- */

static void every_flipped_bit_is_detected(void **state) {
    (void)state;
    for (size_t bit = 0; bit < EXAMPLE_LEN * 8; bit++) {
        uint8_t copy[EXAMPLE_LEN];
        size_t at = bit / 8;
        memcpy(copy, example, sizeof copy);
        copy[at] ^= (uint8_t)(1u << bit % 8);
        struct ms_bytes batch = ms_bytes_of(copy, sizeof copy);
        int r = validate(batch);
        if (at < 8 || (at >= 12 && at < 16))
            assert_int_equal(r, 0); /* the broker's own fields */
        else if (at < 12 || at == 16)
            assert_int_equal(r, MS_EINVAL);
        else
            assert_true(r == MS_ECRC || (r == MS_EINVAL && at >= 23));
        assert_true(r == 0 || ms_batch_check_crc(batch, NULL) < 0);
    }
}

static void records_cut_anywhere_are_refused(void **state) {
    (void)state;
    for (size_t len = MS_BATCH_HEADER_LEN; len < EXAMPLE_LEN; len++) {
        uint8_t *copy = malloc(len);
        memcpy(copy, example, len);
        ms_put_be32(copy + 8, (uint32_t)(len - 12));
        fix_crc(copy);
        assert_int_equal(validate(all(copy)), MS_EINVAL);
        assert_int_equal(walk(all(copy), ANY_MAX), MS_EINVAL);
        free(copy);
    }
}

/* Whatever single byte changes under a right CRC: nothing reads out of bounds, and what is
 * accepted can be walked to its end. */
static void changed_bytes_under_a_right_crc_are_survived(void **state) {
    (void)state;
    for (size_t at = MS_BATCH_CRC_START; at < EXAMPLE_LEN; at++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t *copy = malloc(EXAMPLE_LEN);
            memcpy(copy, example, EXAMPLE_LEN);
            copy[at] = (uint8_t)value;
            fix_crc(copy);
            if (validate(all(copy)) == 0)
                assert_int_equal(walk(all(copy), ANY_MAX), 2);
            free(copy);
        }
    }
}

/* ---- what a producer may not send ---- */

static void validate_refuses_header_fields(void **state) {
    (void)state;
    static const struct {
        unsigned at, size;
        int64_t value;
        int expected;
    } CASES[] = {
        {21, 2, MS_BATCH_CONTROL, MS_EINVAL},
        {21, 2, MS_BATCH_LOG_APPEND_TIME, MS_ETIMESTAMP},
        {21, 2, MS_BATCH_DELETE_HORIZON, MS_EINVAL},
        {21, 2, MS_BATCH_TRANSACTIONAL, MS_EINVAL}, /* without a producer id */
        {21, 2, 5, MS_EUNSUPPORTED},
        {21, 2, 7, MS_EUNSUPPORTED},
        {21, 2, 0x80, MS_EUNSUPPORTED},
        {21, 2, 0x8000, MS_EUNSUPPORTED},
        {21, 2, MS_CODEC_GZIP, MS_EINVAL}, /* the records are not gzip … */
        {21, 2, MS_CODEC_SNAPPY, MS_EINVAL},
        {21, 2, MS_CODEC_LZ4, MS_EINVAL},
        {21, 2, MS_CODEC_ZSTD, MS_EINVAL},
        {23, 4, 2, MS_EINVAL},         /* a gap at the end */
        {27, 8, INT64_MAX, MS_EINVAL}, /* a record's timestamp overflows */
        {43, 8, -2, MS_EINVAL},
        {43, 8, 5, MS_EINVAL}, /* without epoch and sequence */
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        uint8_t copy[EXAMPLE_LEN];
        memcpy(copy, example, sizeof copy);
        for (unsigned byte = 0; byte < CASES[i].size; byte++)
            copy[CASES[i].at + byte] =
                (uint8_t)((uint64_t)CASES[i].value >> 8 * (CASES[i].size - 1 - byte));
        assert_int_equal(validate(all(copy)), MS_ECRC);
        fix_crc(copy);
        assert_int_equal(validate(all(copy)), CASES[i].expected);
    }
}

static void validate_takes_idempotent_and_transactional_batches(void **state) {
    (void)state;
    uint8_t copy[EXAMPLE_LEN];
    memcpy(copy, example, sizeof copy);
    ms_put_be64(copy + 43, 4711);
    ms_put_be16(copy + 51, 0);
    ms_put_be32(copy + 53, 0);
    fix_crc(copy);
    assert_int_equal(validate(all(copy)), 0);
    ms_put_be16(copy + 21, MS_BATCH_TRANSACTIONAL);
    fix_crc(copy);
    assert_int_equal(validate(all(copy)), 0);
    ms_put_be32(copy + 53, (uint32_t)-1);
    fix_crc(copy);
    assert_int_equal(validate(all(copy)), MS_EINVAL);
    ms_put_be32(copy + 53, 3);
    ms_put_be16(copy + 51, (uint16_t)-1);
    fix_crc(copy);
    assert_int_equal(validate(all(copy)), MS_EINVAL);
}

/* Records as bytes: length (zig-zag), attributes, timestamp and offset delta, key, value,
 * headers. */
static void validate_refuses_damaged_records(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *why;
    } CASES[] = {
        {"\x0c\0\0\2\1\1\0", 7, "offset delta 1 in the first record"},
        {"\x0c\0\0\1\1\1\0", 7, "offset delta -1"},
        {"\x0c\0\0\0\3\1\0", 7, "key length -2"},
        {"\x0c\0\0\0\1\3\0", 7, "value length -2"},
        {"\x0c\0\0\0\1\1\1", 7, "header count -1"},
        {"\x0c\0\0\0\x0a\1\0", 7, "key longer than the record"},
        {"\x0c\0\0\0\1\x0a\0", 7, "value longer than the record"},
        {"\x0c\0\0\0\1\1\2", 7, "a header that isn't there"},
        {"\x0a\0\0\0\1\1\0", 7, "a record one byte too short"},
        {"\x0e\0\0\0\1\1\0\0", 8, "a byte after the last field"},
        {"\x0e\0\0\0\1\1\0", 7, "a length past the batch"},
        {"\x0d\0\0\0\1\1\0", 7, "a negative length"},
        {"\x00\x0c\0\0\0\1\1", 7, "an empty record"},
        {"\x0c\0\0\0\1\1\0\0", 8, "a byte after the last record"},
        {"\x10\0\0\0\1\1\2\1\0", 9, "a header with a null key"},
        {"\x10\0\0\0\1\1\2\2\0", 9, "a header key that leaves no value"},
        {"\x10\0\0\0\1\1\2\0\3", 9, "a header value of length -2"},
        {"\x12\0\0\0\1\1\2\0\0\0", 10, "a byte after the last header"},
        {"\x16\0\0\x80\x80\x80\x80\x80\x01\1\1\0", 12, "offset delta of 36 bits"},
        {"\x20\0\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f\0\1\1\0\0", 17, "timestamp of 70 bits"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10, "a length of 70 bits"},
        {"\x80\x80\x80\x80\x80\x80\x80", 7, "a length that doesn't end"},
    };
    uint8_t batch[128];
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct ms_bytes bytes = wrap(batch, CASES[i].bytes, CASES[i].len, 1);
        if (validate(bytes) != MS_EINVAL)
            fail_msg("accepted: %s", CASES[i].why);
    }
    assert_int_equal(validate(wrap(batch, "\x0c\0\0\0\1\1\0", 7, 1)), 0);
    assert_int_equal(validate(wrap(batch, "\x10\0\0\0\1\1\2\0\1", 9, 1)), 0);
    /* Varints may be longer than they need to be. */
    assert_int_equal(validate(wrap(batch, "\x8e\0\0\0\0\1\1\0", 8, 1)), MS_EINVAL);
    assert_int_equal(validate(wrap(batch, "\x8c\0\0\0\0\1\1\0", 8, 1)), 0);
    assert_int_equal(validate(wrap(batch, "\x8c\x80\0\0\0\0\1\1\0", 9, 1)), 0);
}

static void validate_needs_a_record_and_all_of_them(void **state) {
    (void)state;
    uint8_t batch[128];
    assert_int_equal(validate(wrap(batch, "\x0c\0\0\0\1\1\0", 7, 0)), MS_EINVAL);
    assert_int_equal(validate(wrap(batch, "\x0c\0\0\0\1\1\0", 7, 2)), MS_EINVAL);
    assert_int_equal(validate(wrap(batch, "\x0c\0\0\0\1\1\0\x0c\0\0\0\1\1\0", 14, 2)), MS_EINVAL);
    assert_int_equal(validate(wrap(batch, "\x0c\0\0\2\1\1\0\x0c\0\0\0\1\1\0", 14, 2)), MS_EINVAL);
    assert_int_equal(validate(wrap(batch, "\x0c\0\0\0\1\1\0\x0c\0\0\2\1\1\0", 14, 2)), 0);
}

/* ---- the reader on its own ---- */

static void reader_follows_gaps_that_compaction_left(void **state) {
    (void)state;
    uint8_t batch[128];
    struct ms_batch_reader reader = {0};
    struct ms_record record;
    wrap(batch, "\x0c\0\0\4\1\1\0\x0c\0\0\x0a\1\1\0", 14, 2);
    ms_put_be32(batch + 23, 9);
    ms_batch_patch(batch, 1000, 0);
    assert_int_equal(ms_batch_reader_init(&reader, all(batch), 0, NULL), 0);
    assert_int_equal(ms_batch_reader_next(&reader, &record, NULL), 1);
    assert_int_equal(record.offset, 1002);
    assert_int_equal(ms_batch_reader_next(&reader, &record, NULL), 1);
    assert_int_equal(record.offset, 1005);
    assert_int_equal(ms_batch_reader_next(&reader, &record, NULL), 0);
    ms_batch_reader_deinit(&reader);
}

static void reader_refuses_what_is_outside_batch_or_record(void **state) {
    (void)state;
    uint8_t batch[128];
    assert_int_equal(walk(wrap(batch, "\x0c\0\0\0\1\1\0", 7, 1), 0), 1);
    assert_int_equal(walk(wrap(batch, "\x0c\0\0\2\1\1\0", 7, 1), 0), MS_EINVAL);
    assert_int_equal(walk(wrap(batch, "\x0c\0\0\1\1\1\0", 7, 1), 0), MS_EINVAL);
    assert_int_equal(walk(wrap(batch, "\x10\0\0\0\1\1\0\0\1", 9, 1), 0), MS_EINVAL);
    assert_int_equal(walk(wrap(batch, "\x0c\0\0\0\1\1\0\0", 8, 1), 0), MS_EINVAL);
}

static void reader_takes_a_batch_that_compaction_emptied(void **state) {
    (void)state;
    uint8_t batch[MS_BATCH_HEADER_LEN];
    wrap(batch, "", 0, 0);
    ms_put_be32(batch + 23, 9);
    assert_int_equal(walk(all(batch), 0), 0);
    ms_put_be16(batch + 21, MS_CODEC_ZSTD);
    assert_int_equal(walk(all(batch), 0), 0);
}

static void reader_gives_log_append_time_to_every_record(void **state) {
    (void)state;
    uint8_t copy[EXAMPLE_LEN];
    struct ms_batch_reader reader = {0};
    struct ms_record record;
    memcpy(copy, example, sizeof copy);
    ms_put_be16(copy + 21, MS_BATCH_LOG_APPEND_TIME);
    ms_put_be64(copy + 35, 1800000000000);
    assert_int_equal(ms_batch_reader_init(&reader, all(copy), 0, NULL), 0);
    while (ms_batch_reader_next(&reader, &record, NULL) == 1)
        assert_int_equal(record.timestamp_ms, 1800000000000);
    assert_int_equal(reader.next_index, 2);
    ms_batch_reader_deinit(&reader);
}

static void reader_survives_any_base_offset(void **state) {
    (void)state;
    uint8_t copy[EXAMPLE_LEN];
    memcpy(copy, example, sizeof copy);
    ms_batch_patch(copy, INT64_MAX, 0);
    assert_int_equal(walk(all(copy), 0), 2);
    assert_int_equal(validate(all(copy)), 0);
    ms_batch_patch(copy, INT64_MIN, 0);
    assert_int_equal(walk(all(copy), 0), 2);
}

static void failed_init_leaves_a_reader_without_records(void **state) {
    (void)state;
    uint8_t copy[EXAMPLE_LEN];
    struct ms_batch_reader reader = {0};
    struct ms_record record = {.offset = 77};
    struct ms_error err;
    memcpy(copy, example, sizeof copy);
    ms_put_be16(copy + 21, 6);
    assert_int_equal(ms_batch_reader_init(&reader, all(example), 0, NULL), 0);
    assert_int_equal(ms_batch_reader_init(&reader, all(copy), 0, &err), MS_EUNSUPPORTED);
    assert_int_equal(ms_batch_reader_next(&reader, &record, NULL), 0);
    assert_int_equal(record.offset, 77);
    ms_batch_reader_deinit(&reader);
    ms_batch_reader_deinit(&reader);
}

static void records_that_unpack_to_nothing_are_refused(void **state) {
    (void)state;
    for (int codec = MS_CODEC_GZIP; codec <= MS_CODEC_ZSTD; codec++) {
        struct ms_buf packed;
        uint8_t batch[256];
        ms_buf_init(&packed, 128);
        assert_int_equal(ms_compress((enum ms_codec)codec, 0, ms_bytes_of("", 0), &packed), 0);
        wrap(batch, packed.data, packed.len, 1);
        ms_put_be16(batch + 21, (uint16_t)codec);
        fix_crc(batch);
        assert_int_equal(validate(all(batch)), MS_EINVAL);
        ms_buf_deinit(&packed);
    }
}

/* ---- bombs ---- */

static void decompression_stops_at_the_limit(void **state) {
    (void)state;
    size_t len = (size_t)8 << 20;
    uint8_t *zeros = calloc(1, len);
    for (int codec = MS_CODEC_GZIP; codec <= MS_CODEC_ZSTD; codec++) {
        struct ms_buf packed;
        struct ms_batch_header header;
        ms_buf_init(&packed, 2 * len);
        assert_int_equal(ms_compress((enum ms_codec)codec, 0, ms_bytes_of(zeros, len), &packed), 0);
        uint8_t *batch = malloc(MS_BATCH_HEADER_LEN + packed.len);
        wrap(batch, packed.data, packed.len, 1);
        ms_put_be16(batch + 21, (uint16_t)codec);
        fix_crc(batch);
        assert_int_equal(ms_batch_validate(all(batch), len - 1, &header, NULL), MS_ETOOBIG);
        assert_int_equal(ms_batch_validate(all(batch), len, &header, NULL), MS_EINVAL);
        assert_int_equal(walk(all(batch), 1000), MS_ETOOBIG);
        free(batch);
        ms_buf_deinit(&packed);
    }
    free(zeros);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_example_has_the_header_it_says),
        cmocka_unit_test(worked_example_has_the_records_it_says),
        cmocka_unit_test(header_asks_for_the_whole_batch),
        cmocka_unit_test(header_may_be_followed_by_other_batches),
        cmocka_unit_test(header_refuses_impossible_numbers),
        cmocka_unit_test(header_refuses_more_records_than_fit),
        cmocka_unit_test(patch_touches_only_what_the_crc_does_not_cover),
        cmocka_unit_test(every_flipped_bit_is_detected),
        cmocka_unit_test(records_cut_anywhere_are_refused),
        cmocka_unit_test(changed_bytes_under_a_right_crc_are_survived),
        cmocka_unit_test(validate_refuses_header_fields),
        cmocka_unit_test(validate_takes_idempotent_and_transactional_batches),
        cmocka_unit_test(validate_refuses_damaged_records),
        cmocka_unit_test(validate_needs_a_record_and_all_of_them),
        cmocka_unit_test(reader_follows_gaps_that_compaction_left),
        cmocka_unit_test(reader_refuses_what_is_outside_batch_or_record),
        cmocka_unit_test(reader_takes_a_batch_that_compaction_emptied),
        cmocka_unit_test(reader_gives_log_append_time_to_every_record),
        cmocka_unit_test(reader_survives_any_base_offset),
        cmocka_unit_test(failed_init_leaves_a_reader_without_records),
        cmocka_unit_test(records_that_unpack_to_nothing_are_refused),
        cmocka_unit_test(decompression_stops_at_the_limit),
    };
    return cmocka_run_group_tests(tests, load_example, NULL);
}
