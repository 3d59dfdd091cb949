/* Blocks and entries: the layout as written in block.h, and that no changed byte goes unnoticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/endian.h"
#include "log/block.h"
#include "support/log_world.h"
#include "wire/batch.h"

#define SEGMENT UINT64_C(70)
#define EPOCH 5u

static const struct ms_uuid store_uuid = {{0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8,
                                           0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf}};

struct built {
    struct ms_buf bytes; /* header and entries, no padding */
    struct ms_block_header header;
};

/* A block of `entries` entries with `records` records each, from position 100. */
static void build(struct built *b, uint32_t entries, uint32_t records) {
    uint8_t *place;
    uint64_t position = 100;
    ms_buf_init(&b->bytes, (size_t)1 << 20);
    assert_int_equal(ms_buf_extend(&b->bytes, MS_BLOCK_HEADER_LEN, &place), 0);
    uint32_t crc = 0;
    for (uint32_t i = 0; i < entries; i++) {
        size_t at = b->bytes.len;
        assert_int_equal(ms_buf_extend(&b->bytes, MS_ENTRY_HEADER_LEN, &place), 0);
        log_world_batch(i, 0, records, 64, &b->bytes);
        struct ms_entry_header entry = {
            .length = (uint32_t)(b->bytes.len - at - MS_ENTRY_HEADER_LEN),
            .kind = MS_ENTRY_BATCH,
            .flags =
                (uint8_t)(MS_ENTRY_HAS_STREAM | (i + 1 == entries ? MS_ENTRY_LAST_IN_BLOCK : 0)),
            .partition = 3,
            .topic = 17,
            .stream_id = {1, 2, 3},
            .first_version = 9,
            .first_position = position,
        };
        ms_entry_header_write(&entry, SEGMENT, EPOCH, b->bytes.data + at);
        crc = ms_crc32c(crc, b->bytes.data + at, MS_ENTRY_HEADER_LEN);
        position += records;
    }
    b->header = (struct ms_block_header){
        .store_uuid = store_uuid,
        .shard = 2,
        .epoch = EPOCH,
        .segment = SEGMENT,
        .sequence = 40,
        .first_position = 100,
        .entry_count = entries,
        .record_count = entries * records,
        .length = b->bytes.len,
        .synced_through = 39,
        .commit_time_ms = 1700000000123,
        .previous_hash = {{0xb0, 0xb1}},
        .entries_crc = crc,
    };
    ms_block_header_write(&b->header, b->bytes.data);
}

static int check(const struct built *b, bool allow_gaps) {
    struct ms_block_header header;
    int rc = ms_block_header_read(b->bytes.data, &header);
    return rc != 0 ? rc : ms_block_check(b->bytes.data, &header, allow_gaps, NULL);
}

static void header_stands_where_the_table_says(void **state) {
    (void)state;
    struct built b;
    build(&b, 1, 1);
    const uint8_t *at = b.bytes.data;
    assert_memory_equal(at, "MSTMBLK1", 8);
    assert_int_equal(ms_get_le16(at + 8), 1);
    assert_int_equal(ms_get_le16(at + 10), 0);
    assert_memory_equal(at + 16, store_uuid.bytes, 16);
    assert_int_equal(ms_get_le32(at + 32), 2);
    assert_int_equal(ms_get_le32(at + 36), EPOCH);
    assert_int_equal(ms_get_le64(at + 40), SEGMENT);
    assert_int_equal(ms_get_le64(at + 48), 40);
    assert_int_equal(ms_get_le64(at + 56), 100);
    assert_int_equal(ms_get_le32(at + 64), 1);
    assert_int_equal(ms_get_le32(at + 68), 1);
    assert_int_equal(ms_get_le64(at + 72), b.bytes.len);
    assert_int_equal(ms_get_le64(at + 80), 39);
    assert_int_equal(ms_get_le64(at + 88), 1700000000123);
    assert_int_equal(at[96], 0xb0);
    assert_int_equal(ms_get_le32(at + 112), ms_crc32c(0, at + 128, 48));
    for (size_t i = 116; i < 128; i++)
        assert_int_equal(at[i], 0);
    uint8_t copy[128];
    memcpy(copy, at, sizeof copy);
    memset(copy + 12, 0, 4);
    assert_int_equal(ms_get_le32(at + 12), ms_crc32c(0, copy, sizeof copy));
    ms_buf_deinit(&b.bytes);
}

static void entry_stands_where_the_table_says(void **state) {
    (void)state;
    struct built b;
    build(&b, 1, 1);
    const uint8_t *at = b.bytes.data + 128;
    uint32_t batch = ms_get_be32(at + 48 + 8) + 12;
    assert_int_equal(b.bytes.len, 128 + 48 + batch); /* the worked example of block.h */
    assert_int_equal(ms_block_padded(b.bytes.len), 4096);
    assert_int_equal(ms_get_le32(at + 4), batch);
    assert_int_equal(at[8], 1);
    assert_int_equal(at[9], 1 | 2);
    assert_int_equal(ms_get_le16(at + 10), 3);
    assert_int_equal(ms_get_le32(at + 12), 17);
    assert_int_equal(at[16], 1);
    assert_int_equal(ms_get_le64(at + 32), 9);
    assert_int_equal(ms_get_le64(at + 40), 100);
    uint8_t covered[44 + 12 + 21];
    memcpy(covered, at + 4, 44);
    ms_put_le64(covered + 44, SEGMENT);
    ms_put_le32(covered + 52, EPOCH);
    memcpy(covered + 56, at + 48, 21);
    assert_int_equal(ms_get_le32(at), ms_crc32c(0, covered, sizeof covered));
    ms_buf_deinit(&b.bytes);
}

static void header_survives_a_round_trip(void **state) {
    (void)state;
    struct built b;
    struct ms_block_header read;
    build(&b, 3, 2);
    b.header.flags = MS_BLOCK_OS | MS_BLOCK_MARK | MS_BLOCK_CLEAN | MS_BLOCK_FOOTER;
    uint8_t bytes[MS_BLOCK_HEADER_LEN];
    ms_block_header_write(&b.header, bytes);
    assert_int_equal(ms_block_header_read(bytes, &read), 0);
    assert_memory_equal(&read.store_uuid, &b.header.store_uuid, 16);
    assert_int_equal(read.flags, b.header.flags);
    assert_int_equal(read.sequence, 40);
    assert_int_equal(read.record_count, 6);
    assert_int_equal(read.length, b.header.length);
    assert_int_equal(read.commit_time_ms, b.header.commit_time_ms);
    assert_memory_equal(&read.previous_hash, &b.header.previous_hash, 16);
    ms_buf_deinit(&b.bytes);
}

static void whole_block_passes(void **state) {
    (void)state;
    for (uint32_t entries = 1; entries <= 4; entries++) {
        struct built b;
        build(&b, entries, entries);
        assert_int_equal(check(&b, false), 0);
        assert_int_equal(check(&b, true), 0);
        ms_buf_deinit(&b.bytes);
    }
}

/* Every bit of every byte of a block with several entries. */
static void no_flipped_bit_goes_unnoticed(void **state) {
    (void)state;
    struct built b;
    build(&b, 3, 2);
    for (size_t i = 0; i < b.bytes.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            b.bytes.data[i] ^= (uint8_t)(1 << bit);
            if (check(&b, false) == 0)
                fail_msg("bit %d of byte %zu", bit, i);
            b.bytes.data[i] ^= (uint8_t)(1 << bit);
        }
    assert_int_equal(check(&b, false), 0);
    ms_buf_deinit(&b.bytes);
}

/* Bytes that stood at another place are refused although they are whole in themselves. */
static void entries_belong_to_their_segment_and_epoch(void **state) {
    (void)state;
    struct built b;
    struct ms_entry_header entry;
    build(&b, 1, 1);
    const uint8_t *at = b.bytes.data + MS_BLOCK_HEADER_LEN;
    size_t len = b.bytes.len - MS_BLOCK_HEADER_LEN;
    assert_int_equal(ms_entry_header_read(at, len, SEGMENT, EPOCH, &entry), 0);
    assert_int_equal(ms_entry_header_read(at, len, SEGMENT + 1, EPOCH, &entry), MS_ECORRUPT);
    assert_int_equal(ms_entry_header_read(at, len, SEGMENT, EPOCH + 1, &entry), MS_ECORRUPT);
    b.header.epoch++;
    ms_block_header_write(&b.header, b.bytes.data);
    assert_int_equal(check(&b, false), MS_ECORRUPT);
    b.header.epoch--;
    b.header.segment++;
    ms_block_header_write(&b.header, b.bytes.data);
    assert_int_equal(check(&b, false), MS_ECORRUPT);
    ms_buf_deinit(&b.bytes);
}

static void counts_must_match_the_entries(void **state) {
    (void)state;
    struct built b;
    build(&b, 2, 2);
    struct ms_block_header wrong = b.header;
    wrong.entry_count = 1;
    assert_int_equal(ms_block_check(b.bytes.data, &wrong, false, NULL), MS_ECORRUPT);
    wrong.entry_count = 3;
    assert_int_equal(ms_block_check(b.bytes.data, &wrong, false, NULL), MS_ECORRUPT);
    wrong = b.header;
    wrong.record_count = 3;
    assert_int_equal(ms_block_check(b.bytes.data, &wrong, false, NULL), MS_ECORRUPT);
    wrong = b.header;
    wrong.first_position = 99;
    assert_int_equal(ms_block_check(b.bytes.data, &wrong, false, NULL), MS_ECORRUPT);
    assert_int_equal(ms_block_check(b.bytes.data, &wrong, true, NULL), 0);
    wrong.first_position = 101;
    assert_int_equal(ms_block_check(b.bytes.data, &wrong, true, NULL), MS_ECORRUPT);
    for (uint64_t length = MS_BLOCK_HEADER_LEN; length < b.header.length; length++) {
        wrong = b.header;
        wrong.length = length;
        assert_int_equal(ms_block_check(b.bytes.data, &wrong, false, NULL), MS_ECORRUPT);
    }
    ms_buf_deinit(&b.bytes);
}

static void reading_a_header_tells_kinds_of_failure_apart(void **state) {
    (void)state;
    struct built b;
    struct ms_block_header header;
    uint8_t zeros[MS_BLOCK_HEADER_LEN] = {0};
    assert_int_equal(ms_block_header_read(zeros, &header), MS_ENOTFOUND);
    build(&b, 1, 1);
    uint8_t *at = b.bytes.data;
    ms_put_le16(at + 8, MS_BLOCK_FORMAT_MAX + 1);
    assert_int_equal(ms_block_header_read(at, &header), MS_ECORRUPT); /* crc first */
    ms_put_le32(at + 12, 0);
    ms_put_le32(at + 12, ms_crc32c(0, at, MS_BLOCK_HEADER_LEN));
    assert_int_equal(ms_block_header_read(at, &header), MS_EFORMAT);
    b.header.length = MS_BLOCK_HEADER_LEN - 1;
    ms_block_header_write(&b.header, at);
    assert_int_equal(ms_block_header_read(at, &header), MS_ECORRUPT);
    b.header.length = (uint64_t)UINT32_MAX + 1;
    ms_block_header_write(&b.header, at);
    assert_int_equal(ms_block_header_read(at, &header), MS_ECORRUPT);
    ms_buf_deinit(&b.bytes);
}

static void short_entries_need_more(void **state) {
    (void)state;
    struct built b;
    struct ms_entry_header entry;
    build(&b, 1, 1);
    const uint8_t *at = b.bytes.data + MS_BLOCK_HEADER_LEN;
    size_t least = MS_ENTRY_HEADER_LEN + MS_ENTRY_PAYLOAD_COVERED;
    for (size_t len = 0; len < least; len++)
        assert_int_equal(ms_entry_header_read(at, len, SEGMENT, EPOCH, &entry), MS_ENEEDMORE);
    assert_int_equal(ms_entry_header_read(at, least, SEGMENT, EPOCH, &entry), 0);
    ms_buf_deinit(&b.bytes);
}

static void hash_covers_the_whole_header(void **state) {
    (void)state;
    struct built b;
    build(&b, 1, 1);
    struct ms_hash128 hash = ms_block_hash(b.bytes.data);
    for (size_t i = 0; i < MS_BLOCK_HEADER_LEN; i++) {
        b.bytes.data[i] ^= 1;
        struct ms_hash128 other = ms_block_hash(b.bytes.data);
        assert_memory_not_equal(&hash, &other, sizeof hash);
        b.bytes.data[i] ^= 1;
    }
    ms_buf_deinit(&b.bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_stands_where_the_table_says),
        cmocka_unit_test(entry_stands_where_the_table_says),
        cmocka_unit_test(header_survives_a_round_trip),
        cmocka_unit_test(whole_block_passes),
        cmocka_unit_test(no_flipped_bit_goes_unnoticed),
        cmocka_unit_test(entries_belong_to_their_segment_and_epoch),
        cmocka_unit_test(counts_must_match_the_entries),
        cmocka_unit_test(reading_a_header_tells_kinds_of_failure_apart),
        cmocka_unit_test(short_entries_need_more),
        cmocka_unit_test(hash_covers_the_whole_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
