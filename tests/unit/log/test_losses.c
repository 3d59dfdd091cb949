/* Lists of what was removed, and that segments keep theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "damage.h"

static int setup(void **state) {
    static struct log_world w;
    log_world_init(&w, 1);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    log_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void expect_loss(const struct ms_losses *losses, size_t at, uint32_t topic, uint64_t first,
                        uint64_t last) {
    assert_true(at < losses->count);
    assert_int_equal(losses->items[at].topic, topic);
    assert_int_equal(losses->items[at].first, first);
    assert_int_equal(losses->items[at].last, last);
}

static void a_topic_has_one_range(void **state) {
    struct ms_losses losses = {0}, more = {0};
    (void)state;
    assert_int_equal(ms_losses_note(&losses, 20, 7, 7), 0);
    assert_int_equal(ms_losses_note(&losses, 17, 9, 12), 0);
    assert_int_equal(ms_losses_note(&losses, 20, 3, 4), 0);
    assert_int_equal(ms_losses_note(&more, 17, 30, 30), 0);
    assert_int_equal(ms_losses_note(&more, 18, 1, 1), 0);
    assert_int_equal(ms_losses_add(&losses, &more), 0);
    assert_int_equal(losses.count, 3);
    expect_loss(&losses, 0, 17, 9, 30);
    expect_loss(&losses, 1, 18, 1, 1);
    expect_loss(&losses, 2, 20, 3, 7);
    assert_true(ms_losses_make_sense(&losses, 1));
    assert_false(ms_losses_make_sense(&losses, 2)); /* before the segment */
    losses.items[2].last = 2;
    assert_false(ms_losses_make_sense(&losses, 0));
    ms_losses_deinit(&losses);
    ms_losses_deinit(&more);
}

static void further_topics_count_as_any(void **state) {
    struct ms_losses losses = {0};
    (void)state;
    for (uint32_t i = 0; i < MS_LOSS_TOPICS_MAX + 10; i++)
        assert_int_equal(ms_losses_note(&losses, 100 + i, i, i), 0);
    assert_int_equal(losses.count, MS_LOSS_TOPICS_MAX + 1);
    expect_loss(&losses, 0, MS_LOSS_ANY_TOPIC, MS_LOSS_TOPICS_MAX, MS_LOSS_TOPICS_MAX + 9);
    ms_losses_deinit(&losses);
}

/* ---- in segments ---- */

static int drop_third(void *context, const struct ms_log_entry *entry, struct ms_bytes *ret_batch,
                      struct ms_error *err) {
    (void)context;
    (void)err;
    if (entry->header.first_position != 3)
        *ret_batch = entry->batch;
    return 0;
}

static int lost_third(void *context, struct ms_losses *losses, struct ms_error *err) {
    (void)err;
    return context != NULL ? ms_losses_note(losses, 77, 3, 3) : 0;
}

static void rewrite(struct log_world *w, bool counts) {
    struct ms_rewrite_options options = {
        .segment = 0,
        .visit = drop_third,
        .lost = lost_third,
        .context = counts ? w : NULL,
        .keep_above_percent = 1000,
    };
    struct ms_rewrite_result result;
    if (ms_log_rewrite(w->log, &options, &result, &w->error) != 0)
        fail_msg("%s", w->error.message);
}

static void expect_lost(struct log_world *w, bool any) {
    struct ms_losses losses = {0};
    assert_int_equal(ms_log_losses(w->log, &losses, &w->error), 0);
    assert_int_equal(losses.count, any);
    if (any)
        expect_loss(&losses, 0, 77, 3, 3);
    ms_losses_deinit(&losses);
}

static void a_segment_keeps_what_it_has_lost(void **state) {
    struct log_world *w = *state;
    build(w, 2, 60000);
    assert_int_equal(log_world_open(w), 0);
    uint64_t before = ms_log_losses_count(w->log);
    expect_lost(w, false);
    rewrite(w, true);
    assert_true(ms_log_losses_count(w->log) > before);
    for (int i = 0; i < 3; i++) {
        struct findings f;
        expect_lost(w, true);
        assert_int_equal(log_world_close(w), 0);
        assert_int_equal(verify(w, &f).damages, 0);
        assert_int_equal(log_world_open(w), 0);
        rewrite(w, false); /* again, and nothing further goes */
    }
}

/* Earlier versions know format 1: they refuse what they would drop, and open what has no losses. */
static void only_footers_with_losses_are_of_the_newer_format(void **state) {
    (void)state;
    for (int losses = 0; losses < 2; losses++) {
        struct ms_block_header header = {
            .flags = (uint16_t)(MS_BLOCK_FOOTER | (losses ? MS_BLOCK_LOSSES : 0)),
            .length = MS_BLOCK_HEADER_LEN,
        };
        uint8_t bytes[MS_BLOCK_HEADER_LEN];
        ms_block_header_write(&header, bytes);
        assert_int_equal(ms_get_le16(bytes + 8), losses ? 2 : 1);
        assert_int_equal(ms_block_header_read(bytes, &header), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(a_topic_has_one_range),
        test(further_topics_count_as_any),
        test(a_segment_keeps_what_it_has_lost),
        test(only_footers_with_losses_are_of_the_newer_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
