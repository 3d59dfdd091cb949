/* Stream metadata, the rules in it, and snapshots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "store/internal.h"
#include "support/store_world.h"

static int setup(void **state) {
    static struct store_world w;
    store_world_init(&w, 1);
    if (store_world_open(&w) != 0)
        return -1;
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    store_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static const char *metadata_of(struct store_world *w, const char *stream, int64_t *ret_version) {
    static struct ms_buf buf;
    ms_buf_deinit(&buf);
    ms_buf_init(&buf, (size_t)1 << 20);
    int rc = ms_store_get_metadata(w->store, ms_bytes_cstr(stream), &buf, ret_version, &w->error);
    if (rc != 0)
        return ms_error_name(rc);
    assert_int_equal(ms_buf_append_u8(&buf, 0), 0);
    return (const char *)buf.data;
}

static void metadata_is_replaced_under_its_own_versions(void **state) {
    struct store_world *w = *state;
    int64_t version = -7;
    assert_string_equal(metadata_of(w, "o-1", &version), "MS_ENOTFOUND");
    assert_int_equal(version, -7);
    assert_int_equal(store_put_metadata(w, "o-1", NONE, "{\"a\":1}").code, 0);
    assert_int_equal(store_put_metadata(w, "o-1", NONE, "{\"a\":2}").code, MS_ECONFLICT);
    assert_int_equal(store_put_metadata(w, "o-1", AT(0), "{\"a\":1.10,\"b\" : [ ]}").code, 0);
    assert_int_equal(store_put_metadata(w, "o-1", AT(0), "{}").code, MS_ECONFLICT);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(metadata_of(w, "o-1", &version), "{\"a\":1.10,\"b\" : [ ]}");
        assert_int_equal(version, 1);
        store_world_reopen(w);
    }
    assert_int_equal(store_stream(w, "o-1").state, MS_STREAM_NONE);
}

static void names_have_their_limit_wherever_a_stream_is_named(void **state) {
    struct store_world *w = *state;
    static struct ms_buf buf;
    char name[516];
    int64_t version;
    memset(name, 'x', sizeof name);
    memcpy(name, "$$o-", 4);
    const char *stream = name + 2;
    for (size_t len = 512; len <= 513; len++) {
        name[len + 1] = 'x';
        name[len + 2] = 0;
        int expected = len == 512 ? 0 : MS_EINVAL;
        assert_int_equal(store_append(w, stream, ANY, "a").code, expected);
        assert_int_equal(store_put_metadata(w, stream, ANY, "{}").code, expected);
        assert_int_equal(store_delete(w, stream, ANY, false).code, expected);
        const char *const names[] = {stream, name};
        for (size_t i = 0; i < 2; i++) {
            struct ms_stream_read read = {.stream = ms_bytes_cstr(names[i])};
            struct ms_stream_read_result result;
            w->error.message[0] = 0;
            assert_int_equal(ms_store_read_stream(w->store, &read, NULL, NULL, &result, &w->error),
                             expected);
            if (expected != 0)
                assert_non_null(strstr(w->error.message, "513 bytes, the limit is 512"));
        }
        ms_buf_init(&buf, 1000);
        assert_int_equal(
            ms_store_get_metadata(w->store, ms_bytes_cstr(stream), &buf, &version, &w->error),
            expected);
        ms_buf_deinit(&buf);
    }
}

/* Or they would be lost, and with them what was deleted would come back. */
static void rules_of_names_longer_than_todays_limit_hold(void **state) {
    struct store_world *w = *state;
    struct ms_head head;
    assert_int_equal(store_append(w, "order-12345678901234567890", ANY, "a b c").code, 0);
    assert_int_equal(
        store_put_metadata(w, "order-12345678901234567890", ANY, "{\"$maxCount\":2}").code, 0);
    w->options.limits.name_bytes_max = 16;
    store_world_reopen(w);
    struct ms_topic *topic = ms_topics_find(w->store, MS_BYTES_LITERAL("order"));
    struct ms_stream_id id =
        ms_stream_id_of(w->store, topic, MS_BYTES_LITERAL("12345678901234567890"));
    assert_int_equal(ms_heads_resolve(w->store, &id, &head, &w->error), 0);
    assert_int_equal(head.rules.max_count, 2);
    w->options.limits.name_bytes_max = 512;
    store_world_reopen(w);
    assert_string_equal(store_ids(w, "order-12345678901234567890", 0), "b c");
}

static void senseless_metadata_is_refused(void **state) {
    struct store_world *w = *state;
    static const char *const bad[] = {"",
                                      "nothing",
                                      "[]",
                                      "1",
                                      "{\"$maxAge\":0}",
                                      "{\"$maxAge\":-1}",
                                      "{\"$maxAge\":\"1\"}",
                                      "{\"$maxCount\":0}",
                                      "{\"$maxCount\":1.5}",
                                      "{\"$tb\":-1}",
                                      "{\"$tb\":true}",
                                      "{\"$tb\":99999999999999999999}",
                                      "{\"a\":}",
                                      "{} x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (store_put_metadata(w, "o-1", ANY, bad[i]).code != MS_EINVAL)
            fail_msg("%s was taken", bad[i]);
    assert_int_equal(store_put_metadata(w, "$o-1", ANY, "{}").code, MS_ERESERVED);
    assert_int_equal(store_put_metadata(w, "$$o-1", ANY, "{}").code, MS_ERESERVED);
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{\"$maxAge\":null}").code, 0);
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{\"$maxAge\":9223372036854775807}").code,
                     0);
    store_world_reopen(w);
}

/* Metadata streams can't be written past the rules: what a start makes of them must be what held
 * before. */
static void metadata_streams_are_no_ordinary_streams(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "o-1", ANY, "a b c").code, 0);
    struct store_answer answer = store_append(w, "$$o-1", ANY, "junk");
    const char *before = answer.code == 0 ? store_ids(w, "o-1", 0) : "a b c";
    assert_string_equal(before, "a b c");
    store_world_reopen(w);
    assert_string_equal(store_ids(w, "o-1", 0), "a b c");
    struct ms_event event = {.type = MS_BYTES_LITERAL("$metadata"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = MS_BYTES_LITERAL("{\"$maxCount\":1}")};
    struct ms_append_part part = {MS_BYTES_LITERAL("$$o-1"), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    char live[64];
    (void)store_request(w, &request);
    snprintf(live, sizeof live, "%s", store_ids(w, "o-1", 0));
    store_world_reopen(w);
    assert_string_equal(store_ids(w, "o-1", 0), live);
}

static void max_count_is_honoured_at_once(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "o-1", ANY, "a b c d e").code, 0);
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{\"$maxCount\":2}").code, 0);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(store_ids(w, "o-1", 0), "d e");
        assert_int_equal(store_stream(w, "o-1").first, 3);
        assert_int_equal(store_stream(w, "o-1").head, 4);
        store_world_reopen(w);
    }
    assert_int_equal(store_append(w, "o-1", AT(4), "f").code, 0);
    assert_string_equal(store_ids(w, "o-1", 0), "e f");
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{\"$maxCount\":100}").code, 0);
    assert_string_equal(store_ids(w, "o-1", 0), "a b c d e f"); /* not scavenged yet */
}

static void truncation_is_honoured_at_once(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "o-1", ANY, "a b c d e").code, 0);
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{\"$tb\":3}").code, 0);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(store_ids(w, "o-1", 0), "d e");
        assert_string_equal(store_ids(w, "o-1", 4), "e");
        store_world_reopen(w);
    }
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{\"$tb\":50}").code, 0);
    assert_string_equal(store_ids(w, "o-1", 0), "");
    assert_int_equal(store_stream(w, "o-1").state, MS_STREAM_LIVE);
    assert_int_equal(store_append(w, "o-1", AT(4), "f").code, 0);
    assert_string_equal(store_ids(w, "o-1", 0), "");
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{\"$tb\":3,\"$maxCount\":2}").code, 0);
    assert_string_equal(store_ids(w, "o-1", 0), "e f");
}

static void max_age_is_honoured_at_once(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "o-1", ANY, "a").code, 0);
    ms_clock_manual_advance(&w->world.clock, 60 * INT64_C(1000000));
    assert_int_equal(store_append(w, "o-1", ANY, "b").code, 0);
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{\"$maxAge\":90}").code, 0);
    assert_string_equal(store_ids(w, "o-1", 0), "a b");
    ms_clock_manual_advance(&w->world.clock, 40 * INT64_C(1000000));
    for (int i = 0; i < 2; i++) {
        assert_string_equal(store_ids(w, "o-1", 0), "b");
        store_world_reopen(w);
    }
    ms_clock_manual_advance(&w->world.clock, 1000 * INT64_C(1000000));
    assert_string_equal(store_ids(w, "o-1", 0), "");
    assert_int_equal(store_stream(w, "o-1").head, 1);
}

/* KurrentDB's clients delete by writing the largest $tb. */
static void largest_truncation_is_a_deletion(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "o-1", ANY, "a b").code, 0);
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{\"$tb\":9223372036854775807}").code, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_stream(w, "o-1").state, MS_STREAM_DELETED);
        store_world_reopen(w);
    }
    assert_int_equal(store_append(w, "o-1", NONE, "c").parts[0].version, 2);
    store_world_reopen(w);
    assert_string_equal(store_ids(w, "o-1", 0), "c");
}

static void deletion_keeps_the_other_metadata(void **state) {
    struct store_world *w = *state;
    int64_t version;
    assert_int_equal(store_append(w, "o-1", ANY, "a").code, 0);
    assert_int_equal(
        store_put_metadata(w, "o-1", ANY, "{\"owner\":\"me\",\"$tb\":0,\"n\":1.50}").code, 0);
    assert_int_equal(store_delete(w, "o-1", ANY, false).code, 0);
    assert_string_equal(metadata_of(w, "o-1", &version),
                        "{\"owner\":\"me\",\"n\":1.50,\"$tb\":9223372036854775807}");
    assert_int_equal(version, 1);
    assert_int_equal(store_append(w, "o-1", NONE, "b").code, 0);
    assert_string_equal(store_ids(w, "o-1", 0), "b");
}

/* A JSON object of `size` bytes. */
static void metadata_of_a_stream_that_goes_on_says_where_it_begins(void **state) {
    struct store_world *w = *state;
    int64_t version;
    assert_int_equal(store_append(w, "o-1", ANY, "a b c").code, 0);
    assert_int_equal(store_put_metadata(w, "o-1", NONE, "{\"owner\":\"ann\"}").code, 0);
    assert_int_equal(store_delete(w, "o-1", ANY, false).code, 0);
    assert_string_equal(metadata_of(w, "o-1", &version),
                        "{\"owner\":\"ann\",\"$tb\":9223372036854775807}");
    assert_int_equal(store_append(w, "o-1", ANY, "d").code, 0);
    const char *told = metadata_of(w, "o-1", &version);
    assert_string_equal(told, "{\"owner\":\"ann\",\"$tb\":3}");
    assert_int_equal(version, 1);
    assert_int_equal(store_put_metadata(w, "o-1", AT(1), told).code, 0); /* read, changed, put */
    for (int i = 0; i < 2; i++) {
        assert_string_equal(store_ids(w, "o-1", 0), "d");
        assert_int_equal(store_stream(w, "o-1").state, MS_STREAM_LIVE);
        store_world_reopen(w);
    }
}

static char *metadata_of_size(size_t size) {
    char *json = malloc(size + 1);
    assert_non_null(json);
    memset(json, 'x', size);
    memcpy(json, "{\"owner\":\"", 10);
    memcpy(json + size - 2, "\"}", 3);
    return json;
}

static int put_size(struct store_world *w, size_t size) {
    char *json = metadata_of_size(size);
    w->error = (struct ms_error){0};
    int code = store_put_metadata(w, "o-1", ANY, json).code;
    free(json);
    return code;
}

static void the_largest_metadata_leaves_room_for_a_deletion(void **state) {
    struct store_world *w = *state;
    struct ms_buf kept;
    int64_t version;
    size_t max = (size_t)1 << 20;
    assert_int_equal(store_world_close(w), 0);
    w->options.segment_bytes = 8 * max;
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(store_append(w, "o-1", ANY, "a").code, 0);
    assert_int_equal(put_size(w, max + 1), MS_ETOOBIG);
    assert_string_equal(w->error.message, "metadata has 1048577 bytes, the limit is 1048576");
    assert_int_equal(put_size(w, max), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_delete(w, "o-1", AT(0), false).code, 0);
        assert_int_equal(store_stream(w, "o-1").state, MS_STREAM_DELETED);
        store_world_reopen(w);
        assert_int_equal(store_stream(w, "o-1").state, MS_STREAM_DELETED);
    }
    ms_buf_init(&kept, 2 * max);
    assert_int_equal(
        ms_store_get_metadata(w->store, MS_BYTES_LITERAL("o-1"), &kept, &version, NULL), 0);
    assert_int_equal(kept.len, max + strlen(",\"$tb\":9223372036854775807"));
    ms_buf_deinit(&kept);
}

/* Whatever of them is the smallest. */
static void metadata_leaves_room_in_the_other_limits_too(void **state) {
    struct store_world *w = *state;
    for (int appends = 0; appends < 2; appends++) {
        assert_int_equal(store_world_close(w), 0);
        w->options.limits.event_bytes_max = appends ? 5000 : 2000;
        w->options.limits.append_bytes_max = appends ? 2000 : 5000;
        assert_int_equal(store_world_open(w), 0);
        size_t size = 2100;
        while (put_size(w, size) != 0) {
            assert_int_equal(w->error.code, MS_ETOOBIG);
            size--;
        }
        assert_in_range(size, 1500, 1999);
        assert_int_equal(store_append(w, "o-1", ANY, "a").code, 0);
        assert_int_equal(store_delete(w, "o-1", ANY, false).code, 0);
        assert_int_equal(put_size(w, size), 0);
    }
    w->options.limits.event_bytes_max = 1000;
    store_world_reopen(w);
    assert_int_equal(store_append(w, "o-1", ANY, "a").code, 0);
    w->error = (struct ms_error){0};
    assert_int_equal(store_delete(w, "o-1", ANY, false).code, MS_ETOOBIG);
    if (strstr(w->error.message, "metadata, which a delete keeps: append 0: the event") == NULL)
        fail_msg("%s", w->error.message);
    assert_int_equal(put_size(w, 20), 0);
    assert_int_equal(store_delete(w, "o-1", ANY, false).code, 0);
}

static void metadata_written_anew_ends_a_deletion(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "o-1", ANY, "a b").code, 0);
    assert_int_equal(store_delete(w, "o-1", ANY, false).code, 0);
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{}").code, 0);
    char live[64];
    snprintf(live, sizeof live, "%s", store_ids(w, "o-1", 0));
    enum ms_stream_state stream_state = store_stream(w, "o-1").state;
    store_world_reopen(w);
    assert_string_equal(store_ids(w, "o-1", 0), live);
    assert_int_equal(store_stream(w, "o-1").state, stream_state);
}

/* ---- snapshots ---- */

static struct store_answer put_snapshot(struct store_world *w, const char *stream, int64_t version,
                                        const char *data) {
    struct ms_event snapshot = {.type = MS_BYTES_LITERAL("cart.snapshot"),
                                .data = ms_bytes_cstr(data),
                                .timestamp_ms = MS_TIMESTAMP_NONE};
    struct store_answer answer = {0};
    answer.refused = ms_store_put_snapshot(w->store, ms_bytes_cstr(stream), version, &snapshot,
                                           store_answer_take, &answer, &w->error);
    ms_store_run(w->store);
    if (answer.refused != 0)
        answer.code = answer.refused;
    return answer;
}

static int get_snapshot(struct store_world *w, const char *stream, int64_t *ret_version,
                        char out[64]) {
    struct event_log log = {0};
    int rc = ms_store_get_snapshot(w->store, ms_bytes_cstr(stream), event_log_take, &log,
                                   ret_version, &w->error);
    if (rc == 0)
        snprintf(out, 64, "%.*s", (int)log.events[0].data_len, log.events[0].data);
    assert_int_equal(log.count, rc == 0 ? 1 : 0);
    event_log_clear(&log);
    return rc;
}

static void newest_snapshot_counts(void **state) {
    struct store_world *w = *state;
    int64_t version;
    char data[64];
    static const char *const names[] = {"cart-1", "cart", "my cart-1", "cart-50%25"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(get_snapshot(w, names[i], &version, data), MS_ENOTFOUND);
        assert_int_equal(store_append(w, names[i], ANY, "0 1 2 3 4 5 6 7 8 9").code, 0);
        assert_int_equal(put_snapshot(w, names[i], 3, "three").code, 0);
        assert_int_equal(put_snapshot(w, names[i], 9, "nine").code, 0);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(get_snapshot(w, names[i], &version, data), 0);
            assert_int_equal(version, 9);
            assert_string_equal(data, "nine");
            store_world_reopen(w);
        }
    }
    struct event_log all = {0};
    store_read_everything(w, false, &all);
    assert_int_equal(all.count, 40); /* snapshots are the system's */
    event_log_clear(&all);
}

static void snapshots_ahead_of_their_stream_are_refused(void **state) {
    struct store_world *w = *state;
    int64_t version;
    char data[64];
    assert_int_equal(store_append(w, "cart-1", ANY, "a b c").code, 0);
    for (int i = 0; i < 2; i++) {
        struct store_answer answer = put_snapshot(w, "cart-1", 3, "x");
        assert_int_equal(answer.code, MS_ECONFLICT);
        assert_int_equal(answer.actual_state, MS_STREAM_LIVE);
        assert_int_equal(answer.actual_version, 2);
        assert_int_equal(answer.expected.version, 3);
        assert_string_equal(answer.error.message,
                            "stream 'cart-1' is at version 2, expected at least version 3");
        assert_int_equal(get_snapshot(w, "cart-1", &version, data), MS_ENOTFOUND);
        store_world_reopen(w);
    }
    assert_int_equal(put_snapshot(w, "cart-1", 1, "one").code, 0);
    assert_int_equal(put_snapshot(w, "cart-1", 2, "two").code, 0);
    assert_int_equal(get_snapshot(w, "cart-1", &version, data), 0);
    assert_int_equal(version, 2);
}

static void streams_that_are_not_there_have_no_snapshots(void **state) {
    struct store_world *w = *state;
    /* Of a topic that isn't there either, and stays away. */
    assert_int_equal(put_snapshot(w, "cart-1", 0, "x").code, MS_ENOTFOUND);
    assert_null(ms_topics_find(w->store, MS_BYTES_LITERAL("cart")));
    assert_int_equal(store_append(w, "cart-2", ANY, "a").code, 0);
    assert_int_equal(put_snapshot(w, "cart-1", 0, "x").code, MS_ENOTFOUND);
    assert_int_equal(store_put_metadata(w, "cart-1", ANY, "{}").code, 0);
    assert_int_equal(put_snapshot(w, "cart-1", 0, "x").code, MS_ENOTFOUND);
    assert_int_equal(store_delete(w, "cart-2", ANY, false).code, 0);
    assert_int_equal(put_snapshot(w, "cart-2", 0, "x").code, MS_EDELETED);
    assert_int_equal(store_delete(w, "cart-2", ANY, true).code, 0);
    assert_int_equal(put_snapshot(w, "cart-2", 0, "x").code, MS_ETOMBSTONED);
}

static void senseless_snapshots_are_refused(void **state) {
    struct store_world *w = *state;
    int64_t version;
    char data[64];
    assert_int_equal(put_snapshot(w, "cart-1", -1, "x").code, MS_EINVAL);
    assert_int_equal(put_snapshot(w, "$cart-1", 1, "x").code, MS_ERESERVED);
    assert_int_equal(put_snapshot(w, "$$cart-1", 1, "x").code, MS_ERESERVED);
    assert_int_equal(put_snapshot(w, "", 1, "x").code, MS_EINVAL);
    assert_int_equal(get_snapshot(w, "", &version, data), MS_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(metadata_is_replaced_under_its_own_versions),
        test(names_have_their_limit_wherever_a_stream_is_named),
        test(rules_of_names_longer_than_todays_limit_hold),
        test(senseless_metadata_is_refused),
        test(metadata_streams_are_no_ordinary_streams),
        test(max_count_is_honoured_at_once),
        test(truncation_is_honoured_at_once),
        test(max_age_is_honoured_at_once),
        test(largest_truncation_is_a_deletion),
        test(deletion_keeps_the_other_metadata),
        test(metadata_of_a_stream_that_goes_on_says_where_it_begins),
        test(the_largest_metadata_leaves_room_for_a_deletion),
        test(metadata_leaves_room_in_the_other_limits_too),
        test(metadata_written_anew_ends_a_deletion),
        test(newest_snapshot_counts),
        test(snapshots_ahead_of_their_stream_are_refused),
        test(streams_that_are_not_there_have_no_snapshots),
        test(senseless_snapshots_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
