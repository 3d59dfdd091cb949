/* Writing record batches: the worked example once more, round trips of random batches through every
 * codec, and every way to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "base/hash.h"
#include "wire/batch.h"

#define MAX ((size_t)64 << 20)
#define CODEC_COUNT 5
#define HEADERS_MAX 6
#define RECORDS_MAX 40

static const struct ms_bytes EMPTY = {(const uint8_t *)"", 0};

/* The worked example of src/wire/batch.c from byte 21 on, but for its last header, whose value is
 * empty here. test_batch.c compares the example itself. */
static const uint8_t EXAMPLE_TAIL[] = {
    0,    0,    0,    0,    0,    1,   0,    0,    1,    0x8b, 0xcf, 0xe5, 0x68, 0,    0,    0,
    1,    0x8b, 0xcf, 0xe5, 0x68, 5,   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0,    0,   0,    2,    0x2c, 0,    0,    0,    6,    'k',  'e',  'y',
    0x0a, 'v',  'a',  'l',  'u',  'e', 2,    0x0a, 'c',  'e',  '_',  'i',  'd',  2,    '7',  0x1a,
    0,    0x0a, 2,    0,    1,    4,   2,    'a',  0,    4,    'b',  'b',  0,
};

static void writes_the_worked_example(void **state) {
    (void)state;
    static const uint8_t EXAMPLE_HEAD[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 86, 0, 0, 0, 0, 2};
    struct ms_batch_writer writer;
    struct ms_buf out;
    const struct ms_bytes key = MS_BYTES_LITERAL("key"), value = MS_BYTES_LITERAL("value");
    const struct ms_record_header_in id = {MS_BYTES_LITERAL("ce_id"), MS_BYTES_LITERAL("7")};
    const struct ms_record_header_in two[] = {{MS_BYTES_LITERAL("a"), {0}},
                                              {MS_BYTES_LITERAL("bb"), EMPTY}};
    ms_buf_init(&out, MAX);
    assert_int_equal(ms_buf_append_cstr(&out, "before"), 0);
    assert_int_equal(ms_batch_begin(&writer, &out, MS_CODEC_NONE, 1700000000000), 0);
    assert_int_equal(ms_batch_add(&writer, 1700000000000, &key, &value, &id, 1), 0);
    assert_int_equal(ms_batch_add(&writer, 1700000000005, &EMPTY, NULL, two, 2), 0);
    assert_int_equal(ms_batch_end(&writer), 0);
    assert_int_equal(out.len, 6 + 98);
    const uint8_t *batch = out.data + 6;
    assert_memory_equal(batch, EXAMPLE_HEAD, sizeof EXAMPLE_HEAD);
    assert_memory_equal(batch + 21, EXAMPLE_TAIL, sizeof EXAMPLE_TAIL);
    assert_int_equal(ms_get_be32(batch + 17), ms_crc32c(0, EXAMPLE_TAIL, sizeof EXAMPLE_TAIL));
    ms_buf_deinit(&out);
}

static void header_fields_are_those_of_the_writer(void **state) {
    (void)state;
    struct ms_batch_writer writer;
    struct ms_batch_header header;
    struct ms_buf out;
    ms_buf_init(&out, MAX);
    assert_int_equal(ms_batch_begin(&writer, &out, MS_CODEC_LZ4, 1000), 0);
    writer.attributes |= MS_BATCH_TRANSACTIONAL | MS_CODEC_ZSTD; /* the codec bits don't count */
    writer.producer_id = INT64_MAX;
    writer.producer_epoch = INT16_MAX;
    writer.base_sequence = INT32_MAX;
    assert_int_equal(ms_batch_add(&writer, 998, NULL, NULL, NULL, 0), 0);
    assert_int_equal(ms_batch_add(&writer, 999, NULL, NULL, NULL, 0), 0);
    assert_int_equal(ms_batch_add(&writer, 997, NULL, NULL, NULL, 0), 0);
    assert_int_equal(ms_batch_end(&writer), 0);
    assert_int_equal(ms_batch_validate(ms_buf_bytes(&out), MAX, &header, NULL), 0);
    assert_int_equal(header.attributes, MS_BATCH_TRANSACTIONAL | MS_CODEC_LZ4);
    assert_int_equal(header.base_timestamp_ms, 1000);
    assert_int_equal(header.max_timestamp_ms, 999); /* of the records, not the base */
    assert_true(header.producer_id == INT64_MAX);
    assert_int_equal(header.producer_epoch, INT16_MAX);
    assert_int_equal(header.base_sequence, INT32_MAX);
    assert_int_equal(header.record_count, 3);
    assert_int_equal(header.last_offset_delta, 2);
    ms_buf_deinit(&out);
}

/* ---- random batches ---- */

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint8_t noise[1 << 17];

/* Lengths around the places where a varint grows. */
static struct ms_bytes random_bytes(uint64_t *seed) {
    static const size_t LENGTHS[] = {0, 1, 5, 63, 64, 65, 300, 8191, 8192, 8193, 70000};
    size_t pick = next_random(seed) % 40;
    size_t len = pick < sizeof LENGTHS / sizeof LENGTHS[0] ? LENGTHS[pick] : pick;
    return ms_bytes_of(noise + next_random(seed) % (sizeof noise - len), len);
}

struct sample {
    int64_t timestamp_ms;
    struct ms_bytes key, value;
    bool key_is_null, value_is_null;
    struct ms_record_header_in headers[HEADERS_MAX];
    size_t header_count;
};

static void random_sample(uint64_t *seed, struct sample *ret_sample) {
    struct sample sample = {0};
    sample.timestamp_ms = (int64_t)(next_random(seed) >> next_random(seed) % 64 >> 2);
    if (next_random(seed) % 8 == 0)
        sample.timestamp_ms = -sample.timestamp_ms;
    sample.key_is_null = next_random(seed) % 4 == 0;
    sample.value_is_null = next_random(seed) % 4 == 0;
    sample.key = random_bytes(seed);
    sample.value = random_bytes(seed);
    sample.header_count = next_random(seed) % (HEADERS_MAX + 1);
    for (size_t i = 0; i < sample.header_count; i++)
        sample.headers[i] = (struct ms_record_header_in){random_bytes(seed), random_bytes(seed)};
    *ret_sample = sample;
}

static void assert_same_bytes(struct ms_bytes a, struct ms_bytes b) {
    assert_true(ms_bytes_equal(a, b));
}

static void assert_is_sample(const struct ms_record *record, const struct sample *sample) {
    struct ms_record_header header;
    size_t at = 0;
    assert_true(record->timestamp_ms == sample->timestamp_ms);
    assert_int_equal(record->key_is_null, sample->key_is_null);
    assert_int_equal(record->value_is_null, sample->value_is_null);
    if (!sample->key_is_null)
        assert_same_bytes(record->key, sample->key);
    if (!sample->value_is_null)
        assert_same_bytes(record->value, sample->value);
    assert_int_equal(record->header_count, sample->header_count);
    for (size_t i = 0; i < sample->header_count; i++) {
        assert_int_equal(ms_record_next_header(record, &at, &header), 1);
        assert_same_bytes(header.key, sample->headers[i].key);
        assert_same_bytes(header.value, sample->headers[i].value);
        assert_false(header.value_is_null);
    }
    assert_int_equal(ms_record_next_header(record, &at, &header), 0);
}

static void write_samples(const struct sample *samples, size_t count, enum ms_codec codec,
                          struct ms_buf *out) {
    struct ms_batch_writer writer;
    assert_int_equal(ms_batch_begin(&writer, out, codec, samples[0].timestamp_ms), 0);
    for (size_t i = 0; i < count; i++) {
        const struct sample *sample = &samples[i];
        assert_int_equal(ms_batch_add(&writer, sample->timestamp_ms,
                                      sample->key_is_null ? NULL : &sample->key,
                                      sample->value_is_null ? NULL : &sample->value,
                                      sample->headers, sample->header_count),
                         0);
    }
    assert_int_equal(ms_batch_end(&writer), 0);
}

static void random_batches_survive_every_codec(void **state) {
    (void)state;
    static struct sample samples[RECORDS_MAX];
    uint64_t seed = 0x9e3779b97f4a7c15;
    struct ms_batch_reader reader = {0};
    struct ms_buf out;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(next_random(&seed) % 23);
    ms_buf_init(&out, MAX);
    for (int round = 0; round < 200; round++) {
        enum ms_codec codec = (enum ms_codec)(round % CODEC_COUNT);
        size_t count = 1 + next_random(&seed) % RECORDS_MAX;
        struct ms_batch_header header;
        struct ms_record record;
        for (size_t i = 0; i < count; i++)
            random_sample(&seed, &samples[i]);
        ms_buf_clear(&out);
        write_samples(samples, count, codec, &out);
        assert_int_equal(ms_batch_validate(ms_buf_bytes(&out), MAX, &header, NULL), 0);
        ms_batch_patch(out.data, 1000, 3);
        assert_int_equal(ms_batch_reader_init(&reader, ms_buf_bytes(&out), MAX, NULL), 0);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(ms_batch_reader_next(&reader, &record, NULL), 1);
            assert_int_equal(record.offset, 1000 + i);
            assert_is_sample(&record, &samples[i]);
        }
        assert_int_equal(ms_batch_reader_next(&reader, &record, NULL), 0);
    }
    ms_batch_reader_deinit(&reader);
    ms_buf_deinit(&out);
}

/* ---- failing ---- */

static void add_refuses_a_timestamp_too_far_from_the_base(void **state) {
    (void)state;
    struct ms_batch_writer writer;
    struct ms_buf out;
    ms_buf_init(&out, MAX);
    assert_int_equal(ms_batch_begin(&writer, &out, MS_CODEC_NONE, -2), 0);
    assert_int_equal(ms_batch_add(&writer, INT64_MAX - 2, NULL, NULL, NULL, 0), 0);
    assert_int_equal(ms_batch_add(&writer, INT64_MAX - 1, NULL, NULL, NULL, 0), MS_EINVAL);
    assert_int_equal(out.len, 0);
    assert_null(writer.out);
    ms_buf_deinit(&out);
}

/* Lengths the format has no room for; refused before a byte is looked at. */
static void add_refuses_lengths_past_31_bits(void **state) {
    (void)state;
    const struct ms_bytes huge = ms_bytes_of(noise, (size_t)INT32_MAX + 1);
    const struct ms_bytes large = ms_bytes_of(noise, (size_t)INT32_MAX / 2);
    const struct ms_record_header_in huge_key = {huge, EMPTY}, huge_value = {EMPTY, huge};
    const struct ms_record_header_in two[] = {{large, large}, {large, EMPTY}};
    const struct {
        const struct ms_bytes *key, *value;
        const struct ms_record_header_in *headers;
        size_t header_count;
    } CASES[] = {
        {&huge, NULL, NULL, 0},
        {NULL, &huge, NULL, 0},
        {NULL, NULL, &huge_key, 1},
        {NULL, NULL, &huge_value, 1},
        {NULL, NULL, two, 2},
        {&large, &large, NULL, 0},
        {NULL, NULL, two, (size_t)INT32_MAX + 1},
    };
    struct ms_buf out;
    ms_buf_init(&out, SIZE_MAX);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct ms_batch_writer writer;
        assert_int_equal(ms_batch_begin(&writer, &out, MS_CODEC_NONE, 0), 0);
        assert_int_equal(ms_batch_add(&writer, 0, CASES[i].key, CASES[i].value, CASES[i].headers,
                                      CASES[i].header_count),
                         MS_ETOOBIG);
        assert_int_equal(out.len, 0);
    }
    ms_buf_deinit(&out);
}

static void end_refuses_a_batch_without_records(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, MAX);
    for (int codec = 0; codec < CODEC_COUNT; codec++) {
        struct ms_batch_writer writer;
        assert_int_equal(ms_batch_begin(&writer, &out, (enum ms_codec)codec, 0), 0);
        assert_int_equal(ms_batch_end(&writer), MS_EINVAL);
        assert_int_equal(out.len, 0);
    }
    ms_buf_deinit(&out);
}

static void abort_withdraws_the_batch_once(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, MAX);
    assert_int_equal(ms_buf_append_cstr(&out, "before"), 0);
    for (int codec = 0; codec < CODEC_COUNT; codec++) {
        struct ms_batch_writer writer;
        assert_int_equal(ms_batch_begin(&writer, &out, (enum ms_codec)codec, 0), 0);
        assert_int_equal(ms_batch_add(&writer, 0, NULL, &EMPTY, NULL, 0), 0);
        ms_batch_abort(&writer);
        assert_int_equal(out.len, 6);
        assert_int_equal(ms_buf_append_u8(&out, '!'), 0);
        ms_batch_abort(&writer);
        assert_int_equal(out.len, 7);
        out.len = 6;
    }
    ms_buf_deinit(&out);
}

/* One batch of three records; the code of the first step that fails. */
static int write_three(struct ms_buf *out, enum ms_codec codec) {
    const struct ms_bytes value = ms_bytes_of(noise, 3000);
    struct ms_batch_writer writer;
    int r = ms_batch_begin(&writer, out, codec, 0);
    for (int i = 0; i < 3 && r == 0; i++)
        r = ms_batch_add(&writer, i, NULL, &value, NULL, 0);
    return r < 0 ? r : ms_batch_end(&writer);
}

static void too_small_an_output_is_left_as_it_was(void **state) {
    (void)state;
    for (int codec = 0; codec < CODEC_COUNT; codec++) {
        size_t max = 0;
        int r;
        do {
            struct ms_buf out;
            ms_buf_init(&out, 6 + max);
            assert_int_equal(ms_buf_append_cstr(&out, "before"), 0);
            r = write_three(&out, (enum ms_codec)codec);
            assert_true(r == 0 || r == MS_ETOOBIG);
            assert_true(r == 0 || out.len == 6);
            assert_memory_equal(out.data, "before", 6);
            ms_buf_deinit(&out);
            max += max < 100 ? 1 : 97;
        } while (r != 0);
        assert_true(max > 3 * 3000 || codec != MS_CODEC_NONE);
    }
}

static void every_failed_allocation_is_reported(void **state) {
    (void)state;
    for (int codec = 0; codec < CODEC_COUNT; codec++) {
        for (uint64_t nth = 1;; nth++) {
            struct ms_buf out;
            ms_buf_init(&out, MAX);
            ms_alloc_fail_nth(nth);
            int r = write_three(&out, (enum ms_codec)codec);
            bool failed = ms_alloc_has_failed();
            ms_alloc_fail_nth(0);
            assert_int_equal(r, failed ? MS_ENOMEM : 0);
            assert_true(!failed || out.len == 0);
            ms_buf_deinit(&out);
            if (!failed) {
                assert_true(nth > 1);
                break;
            }
        }
    }
}

static void reading_reports_every_failed_allocation(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, MAX);
    for (int codec = 0; codec < CODEC_COUNT; codec++) {
        struct ms_batch_header header;
        ms_buf_clear(&out);
        assert_int_equal(write_three(&out, (enum ms_codec)codec), 0);
        for (uint64_t nth = 1;; nth++) {
            ms_alloc_fail_nth(nth);
            int r = ms_batch_validate(ms_buf_bytes(&out), MAX, &header, NULL);
            bool failed = ms_alloc_has_failed();
            ms_alloc_fail_nth(0);
            assert_int_equal(r, failed ? MS_ENOMEM : 0);
            if (!failed) {
                assert_true(codec == MS_CODEC_NONE ? nth == 1 : nth > 1);
                break;
            }
        }
    }
    ms_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_worked_example),
        cmocka_unit_test(header_fields_are_those_of_the_writer),
        cmocka_unit_test(random_batches_survive_every_codec),
        cmocka_unit_test(add_refuses_a_timestamp_too_far_from_the_base),
        cmocka_unit_test(add_refuses_lengths_past_31_bits),
        cmocka_unit_test(end_refuses_a_batch_without_records),
        cmocka_unit_test(abort_withdraws_the_batch_once),
        cmocka_unit_test(too_small_an_output_is_left_as_it_was),
        cmocka_unit_test(every_failed_allocation_is_reported),
        cmocka_unit_test(reading_reports_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
