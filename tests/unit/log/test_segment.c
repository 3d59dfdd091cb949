/* Segments in memory: names, anchors, footers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "support/log_world.h"

#define FILE_BYTES ((uint64_t)1 << 20)

static void names_are_twenty_digits(void **state) {
    (void)state;
    char name[MS_SEGMENT_NAME_LEN + 1];
    uint64_t position = 5;
    ms_segment_name(0, name);
    assert_string_equal(name, "00000000000000000000.log");
    ms_segment_name(UINT64_MAX, name);
    assert_string_equal(name, "18446744073709551615.log");
    assert_true(ms_segment_name_parse(name, &position));
    assert_int_equal(position, UINT64_MAX);
    static const char *const others[] = {"",
                                         ".log",
                                         "0.log",
                                         "00000000000000000000.lo",
                                         "00000000000000000000.logx",
                                         "000000000000000000000.log",
                                         "0000000000000000000a.log",
                                         "-0000000000000000001.log",
                                         "18446744073709551616.log",
                                         "00000000000000000000.LOG",
                                         "+0000000000000000001.log",
                                         " 0000000000000000001.log"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(ms_segment_name_parse(others[i], &position));
    assert_int_equal(position, UINT64_MAX);
}

static struct ms_segment *segment_at(uint64_t first_position) {
    struct ms_segment *segment;
    assert_int_equal(ms_segment_new("x", first_position, FILE_BYTES, &segment), 0);
    return segment;
}

static void anchor(struct ms_segment *segment, uint64_t position, uint64_t offset, uint32_t epoch,
                   bool block_start) {
    struct ms_anchor_place place = {position, offset, 1700000000000, epoch, block_start};
    ms_segment_anchor(segment, &place);
}

static void anchor_before_a_position_is_found(void **state) {
    (void)state;
    struct ms_segment *segment = segment_at(100);
    struct ms_anchor found;
    assert_false(ms_segment_find_anchor(segment, 100, &found));
    for (uint32_t i = 0; i < 50; i++)
        anchor(segment, 100 + i * 10, i * 4096, 3 + i / 20, i % 2 == 0);
    assert_false(ms_segment_find_anchor(segment, 99, &found));
    for (uint64_t position = 100; position < 700; position++) {
        uint64_t wanted = (position - 100) / 10 > 49 ? 49 : (position - 100) / 10;
        assert_true(ms_segment_find_anchor(segment, position, &found));
        assert_int_equal(found.position_delta, wanted * 10);
        assert_int_equal(found.offset, wanted * 4096);
        assert_int_equal(ms_anchor_time_ms(&found), 1700000000000);
        assert_int_equal(ms_anchor_is_block(&found), wanted % 2 == 0);
        assert_int_equal(ms_anchor_epoch(segment, &found), 3 + wanted / 20);
    }
    ms_segment_unref(segment);
}

static void anchor_behind_a_place_is_found(void **state) {
    (void)state;
    struct ms_segment *segment = segment_at(100);
    atomic_store(&segment->end_offset, 70000);
    assert_int_equal(ms_segment_next_anchor(segment, 0), 70000);
    for (uint32_t i = 0; i < 16; i++)
        anchor(segment, 100 + i, 64 + i * 4096, 3, true);
    assert_int_equal(ms_segment_next_anchor(segment, 0), 64);
    for (uint64_t offset = 64; offset < 65536 + 64; offset += 512) {
        uint64_t wanted = 64 + ((offset - 64) / 4096 + 1) * 4096;
        assert_int_equal(ms_segment_next_anchor(segment, offset),
                         wanted > 64 + 15 * 4096 ? 70000 : wanted);
    }
    ms_segment_unref(segment);
}

static void full_array_leaves_anchors_out(void **state) {
    (void)state;
    struct ms_segment *segment = segment_at(0);
    struct ms_anchor found;
    for (uint32_t i = 0; i < segment->anchor_capacity + 50; i++)
        anchor(segment, i, i, 1, true);
    anchor(segment, (uint64_t)1 << 40, 1, 1, true);
    assert_true(ms_segment_find_anchor(segment, (uint64_t)1 << 50, &found));
    assert_int_equal(found.position_delta, segment->anchor_capacity - 1);
    ms_segment_unref(segment);
}

/* A sealed first segment, and what its footer is worth when it is changed and its sums corrected.
 * */
struct sealed {
    struct log_world w;
    char path[64];
    uint8_t *bytes;
    uint64_t size, footer;
    uint32_t length;
};

static void seal_one(struct sealed *s) {
    log_world_init(&s->w, 3);
    assert_int_equal(log_world_open(&s->w), 0);
    while (s->w.log->segment_count < 2) {
        assert_int_equal(log_world_append(&s->w, 100000), 0);
        while (ms_keeper_step(s->w.log))
            continue;
    }
    assert_int_equal(log_world_close(&s->w), 0);
    log_world_segment(0, s->path);
    s->size = world_file_size(&s->w.world, s->path);
    s->bytes = ms_alloc(s->size);
    world_read(&s->w.world, s->path, 0, s->bytes, s->size);
    s->footer = ms_get_le64(s->bytes + s->size - 64 + 8);
    s->length = (uint32_t)ms_get_le64(s->bytes + s->size - 64 + 16);
}

static void unseal(struct sealed *s) {
    ms_free(s->bytes);
    log_world_deinit(&s->w);
}

/* Recomputes every sum of the footer, so that only its sense can be wrong. */
static void fix_sums(struct sealed *s) {
    uint8_t *block = s->bytes + s->footer, *entry = block + MS_BLOCK_HEADER_LEN;
    uint8_t *payload = entry + MS_ENTRY_HEADER_LEN, *trailer = s->bytes + s->size - 64;
    uint32_t length = s->length - MS_BLOCK_HEADER_LEN - MS_ENTRY_HEADER_LEN;
    struct ms_block_header header;
    struct ms_entry_header entry_header = {.length = length,
                                           .kind = MS_ENTRY_ANCHORS,
                                           .flags = MS_ENTRY_LAST_IN_BLOCK | MS_ENTRY_CONTROL,
                                           .first_version = -1,
                                           .first_position = ms_get_le64(entry + 40)};
    assert_int_equal(ms_block_header_read(block, &header), 0);
    ms_put_be32(payload + 17, ms_crc32c(0, payload + 21, length - 21));
    ms_entry_header_write(&entry_header, 0, header.epoch, entry);
    header.entries_crc = ms_crc32c(0, entry, MS_ENTRY_HEADER_LEN);
    ms_block_header_write(&header, block);
    ms_put_le32(trailer + 60, ms_crc32c(0, trailer, 60));
}

/* Puts the file back with the change; opening and reading must go well all the same. */
static void try_it(struct sealed *s) {
    world_write(&s->w.world, s->path, 0, s->bytes, s->size);
    s->w.options.read_only = true;
    assert_int_equal(log_world_open(&s->w), 0);
    const char *wrong = log_world_check(&s->w);
    if (wrong != NULL)
        fail_msg("%s", wrong);
    (void)ms_log_anchor_before(s->w.log, 3);
    assert_int_equal(log_world_close(&s->w), 0);
}

static void footer_has_the_layout_of_the_table(void **state) {
    (void)state;
    struct sealed s;
    seal_one(&s);
    const uint8_t *trailer = s.bytes + s.size - 64;
    const uint8_t *payload = s.bytes + s.footer + MS_BLOCK_HEADER_LEN + MS_ENTRY_HEADER_LEN;
    assert_memory_equal(trailer, "MSTMEND1", 8);
    assert_int_equal(s.size % MS_BLOCK_ALIGN, 0);
    assert_int_equal(ms_get_le64(payload + 32), s.footer);
    uint32_t epochs = ms_get_le32(payload + 72), anchors = ms_get_le32(payload + 76);
    assert_int_equal(epochs, 1);
    assert_int_equal(ms_get_le32(payload + 80), 1); /* the last block's epoch */
    assert_int_equal(ms_get_le32(payload + 88), 1);
    assert_int_equal(s.length, 128 + 48 + 88 + 4 * epochs + 16 * anchors);
    try_it(&s);
    unseal(&s);
}

/* Someone else's idea of a footer: the fields that the code follows, each with values out of range.
 * */
static void senseless_footers_are_not_followed(void **state) {
    (void)state;
    static const struct {
        size_t at;
        size_t width;
    } fields[] = {{24, 8}, {32, 8}, {40, 8}, {64, 8}, {72, 4}, {76, 4}, {80, 4}, {88, 4}};
    static const uint64_t values[] = {0, 1, 4095, 4096, UINT32_MAX, UINT64_MAX, (uint64_t)1 << 40};
    struct sealed s;
    seal_one(&s);
    uint8_t *payload = s.bytes + s.footer + MS_BLOCK_HEADER_LEN + MS_ENTRY_HEADER_LEN;
    for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++) {
        /* Sequence, time and last epoch are the chain's: a wrong one shows at the next segment. */
        if (fields[f].at == 40 || fields[f].at == 80 || fields[f].at == 24 || fields[f].at == 88)
            continue;
        uint8_t kept[8];
        memcpy(kept, payload + fields[f].at, 8);
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            if (fields[f].width == 8)
                ms_put_le64(payload + fields[f].at, values[v]);
            else
                ms_put_le32(payload + fields[f].at, (uint32_t)values[v]);
            fix_sums(&s);
            try_it(&s);
        }
        memcpy(payload + fields[f].at, kept, 8);
    }
    fix_sums(&s);
    try_it(&s);
    unseal(&s);
}

static void senseless_anchors_are_not_followed(void **state) {
    (void)state;
    struct sealed s;
    seal_one(&s);
    uint8_t *payload = s.bytes + s.footer + MS_BLOCK_HEADER_LEN + MS_ENTRY_HEADER_LEN;
    uint8_t *anchors = payload + 88 + 4;
    uint32_t count = ms_get_le32(payload + 76);
    for (uint32_t i = 0; i < count; i++)
        for (size_t at = 0; at < 16; at += 2) {
            uint8_t kept[2] = {anchors[i * 16 + at], anchors[i * 16 + at + 1]};
            memset(anchors + i * 16 + at, 0xff, 2);
            fix_sums(&s);
            world_write(&s.w.world, s.path, 0, s.bytes, s.size);
            s.w.options.read_only = true;
            int rc = log_world_open(&s.w);
            if (rc == 0) { /* anchors are hints, but wrong ones must not lead astray for ever */
                struct ms_log_cursor cursor;
                struct ms_log_entry entry;
                for (uint64_t from = 0; from < 8; from++) {
                    ms_log_cursor_init(&cursor, s.w.log, from);
                    rc = ms_log_cursor_next(&cursor, &entry, NULL);
                    assert_true(rc == 1 || rc == MS_ECORRUPT);
                    ms_log_cursor_deinit(&cursor);
                }
                assert_int_equal(log_world_close(&s.w), 0);
            } else {
                assert_int_equal(rc, MS_ECORRUPT);
            }
            memcpy(anchors + i * 16 + at, kept, 2);
        }
    unseal(&s);
}

static void senseless_trailers_are_not_followed(void **state) {
    (void)state;
    static const uint64_t values[] = {
        0, 1, 175, 176, 4096, UINT32_MAX, UINT64_MAX, UINT64_MAX - 4095, (uint64_t)1 << 62};
    struct sealed s;
    seal_one(&s);
    uint8_t *trailer = s.bytes + s.size - 64;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
            ms_put_le64(trailer + 8, i == 0 ? s.footer : values[i]);
            ms_put_le64(trailer + 16, k == 0 ? s.length : values[k]);
            /* And pairs that wrap around to a sum that fits. */
            if (k == 6)
                ms_put_le64(trailer + 16, s.footer + s.length - ms_get_le64(trailer + 8));
            ms_put_le32(trailer + 60, ms_crc32c(0, trailer, 60));
            try_it(&s);
        }
    unseal(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_twenty_digits),
        cmocka_unit_test(anchor_before_a_position_is_found),
        cmocka_unit_test(anchor_behind_a_place_is_found),
        cmocka_unit_test(full_array_leaves_anchors_out),
        cmocka_unit_test(footer_has_the_layout_of_the_table),
        cmocka_unit_test(senseless_footers_are_not_followed),
        cmocka_unit_test(senseless_anchors_are_not_followed),
        cmocka_unit_test(senseless_trailers_are_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
