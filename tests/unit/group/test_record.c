/* Records of `__consumer_offsets`: Kafka's layouts, written and read, whole and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "group/record.h"

#define TEXT(text) MS_BYTES_LITERAL(text)

static void assert_bytes(struct ms_bytes bytes, const char *expected) {
    assert_true(ms_bytes_equal_cstr(bytes, expected));
}

static void assert_written(const struct ms_buf *buf, const void *expected, size_t len) {
    assert_int_equal(buf->len, len);
    assert_memory_equal(buf->data, expected, len);
}

static void keys_have_kafkas_layout(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 1000);
    assert_int_equal(ms_offset_key_write(&out, TEXT("g"), TEXT("t"), 1), 0);
    assert_written(&out, "\0\1\0\1g\0\1t\0\0\0\1", 12);
    struct ms_group_key key;
    assert_int_equal(ms_group_key_read(ms_buf_bytes(&out), &key), 0);
    assert_int_equal(key.kind, MS_GROUP_KEY_OFFSET);
    assert_bytes(key.group, "g");
    assert_bytes(key.topic, "t");
    assert_int_equal(key.partition, 1);
    ms_buf_clear(&out);
    assert_int_equal(ms_group_key_write(&out, TEXT("g")), 0);
    assert_written(&out, "\0\2\0\1g", 5);
    assert_int_equal(ms_group_key_read(ms_buf_bytes(&out), &key), 0);
    assert_int_equal(key.kind, MS_GROUP_KEY_GROUP);
    ms_buf_deinit(&out);
}

static void newer_kinds_of_keys_are_passed_over(void **state) {
    (void)state;
    struct ms_group_key key;
    assert_int_equal(ms_group_key_read(TEXT("\0\x10\0\1g"), &key), 0);
    assert_int_equal(key.kind, MS_GROUP_KEY_OTHER);
    assert_int_equal(ms_group_key_read(TEXT("\xff\xff\0\1g\0\1t\0\0\0\1"), &key), MS_EINVAL);
}

static void an_offset_is_written_as_version_3(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 1000);
    struct ms_offset_value value = {.offset = 258,
                                    .leader_epoch = 7,
                                    .metadata = TEXT("m"),
                                    .commit_time_ms = 259,
                                    .expire_time_ms = -1};
    assert_int_equal(ms_offset_value_write(&out, &value), 0);
    assert_written(&out, "\0\3\0\0\0\0\0\0\1\2\0\0\0\7\0\1m\0\0\0\0\0\0\1\3", 25);
    struct ms_offset_value back;
    assert_int_equal(ms_offset_value_read(ms_buf_bytes(&out), &back), 0);
    assert_int_equal(back.offset, 258);
    assert_int_equal(back.leader_epoch, 7);
    assert_bytes(back.metadata, "m");
    assert_int_equal(back.commit_time_ms, 259);
    assert_int_equal(back.expire_time_ms, -1);
    ms_buf_deinit(&out);
}

static void an_offset_with_its_own_retention_is_version_1(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 1000);
    struct ms_offset_value value = {
        .offset = 5, .leader_epoch = 7, .commit_time_ms = 1, .expire_time_ms = 2};
    assert_int_equal(ms_offset_value_write(&out, &value), 0);
    assert_int_equal(out.data[1], 1);
    struct ms_offset_value back;
    assert_int_equal(ms_offset_value_read(ms_buf_bytes(&out), &back), 0);
    assert_int_equal(back.expire_time_ms, 2);
    assert_int_equal(back.leader_epoch, -1);
    ms_buf_deinit(&out);
}

static void a_retention_before_1970_is_none(void **state) {
    (void)state;
    struct ms_offset_value v;
    uint8_t bytes[] = "\0\1\0\0\0\0\0\0\0\5\0\1m\0\0\0\0\0\0\0\6"
                      "\377\377\377\377\377\377\377\373";
    assert_int_equal(ms_offset_value_read(ms_bytes_of(bytes, sizeof bytes - 1), &v), 0);
    assert_int_equal(v.commit_time_ms, 6);
    assert_int_equal(v.expire_time_ms, -1);
}

static void older_and_flexible_offsets_are_read(void **state) {
    (void)state;
    struct ms_offset_value v;
    for (int version = 0; version <= 2; version += 2) {
        uint8_t bytes[] = "\0\0\0\0\0\0\0\0\0\5\0\1m\0\0\0\0\0\0\0\6";
        bytes[1] = (uint8_t)version;
        assert_int_equal(ms_offset_value_read(ms_bytes_of(bytes, sizeof bytes - 1), &v), 0);
        assert_int_equal(v.offset, 5);
        assert_int_equal(v.commit_time_ms, 6);
        assert_int_equal(v.leader_epoch, -1);
    }
    /* Version 4: a compact string, and one tag of two bytes that is not known. */
    struct ms_bytes flexible = TEXT("\0\4\0\0\0\0\0\0\0\5\0\0\0\7\2m\0\0\0\0\0\0\0\6\1\11\2xy");
    assert_int_equal(ms_offset_value_read(flexible, &v), 0);
    assert_int_equal(v.leader_epoch, 7);
    assert_bytes(v.metadata, "m");
    assert_int_equal(v.commit_time_ms, 6);
    struct ms_bytes unknown = TEXT("\0\5\0\0\0\0\0\0\0\5\0\0\0\7\2m\0\0\0\0\0\0\0\6\0");
    assert_int_equal(ms_offset_value_read(unknown, &v), MS_EINVAL);
}

static void write_group(struct ms_buf *out) {
    struct ms_group_value group = {.protocol_type = TEXT("consumer"),
                                   .protocol_name = TEXT("range"),
                                   .leader_id = TEXT("a"),
                                   .generation = 3,
                                   .state_time_ms = 99,
                                   .member_count = 2};
    struct ms_member_value first = {.member_id = TEXT("a"),
                                    .client_id = TEXT("c"),
                                    .client_host = TEXT("/h"),
                                    .subscription = TEXT("sub"),
                                    .assignment = TEXT("ass"),
                                    .rebalance_timeout_ms = 1,
                                    .session_timeout_ms = 2};
    struct ms_member_value second = {.member_id = TEXT("b"), .instance_id = TEXT("i")};
    assert_int_equal(ms_group_value_write(out, &group), 0);
    assert_int_equal(ms_member_value_write(out, &first), 0);
    assert_int_equal(ms_member_value_write(out, &second), 0);
}

static void a_group_comes_back_as_written(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 1000);
    write_group(&out);
    struct ms_group_value group;
    struct ms_member_value member;
    assert_int_equal(ms_group_value_read(ms_buf_bytes(&out), &group), 0);
    assert_int_equal(group.version, 3);
    assert_bytes(group.protocol_type, "consumer");
    assert_bytes(group.protocol_name, "range");
    assert_bytes(group.leader_id, "a");
    assert_int_equal(group.generation, 3);
    assert_int_equal(group.state_time_ms, 99);
    assert_true(ms_group_member_next(&group, &member));
    assert_bytes(member.member_id, "a");
    assert_int_equal(member.instance_id.len, 0);
    assert_bytes(member.subscription, "sub");
    assert_bytes(member.assignment, "ass");
    assert_int_equal(member.rebalance_timeout_ms, 1);
    assert_int_equal(member.session_timeout_ms, 2);
    assert_true(ms_group_member_next(&group, &member));
    assert_bytes(member.instance_id, "i");
    assert_false(ms_group_member_next(&group, &member));
    ms_buf_deinit(&out);
}

static void older_and_flexible_groups_are_read(void **state) {
    (void)state;
    struct ms_group_value group;
    struct ms_member_value member;
    /* Version 0: no time of the state, no rebalance timeout, no instance id. */
    struct ms_bytes oldest = TEXT("\0\0\0\1p\0\0\0\2\xff\xff\xff\xff\0\0\0\1"
                                  "\0\1a\0\1c\0\1h\0\0\0\7\0\0\0\1s\0\0\0\1t");
    assert_int_equal(ms_group_value_read(oldest, &group), 0);
    assert_int_equal(group.state_time_ms, -1);
    assert_true(ms_group_member_next(&group, &member));
    assert_int_equal(member.session_timeout_ms, 7);
    assert_int_equal(member.rebalance_timeout_ms, 7);
    assert_bytes(member.assignment, "t");
    struct ms_bytes flexible = TEXT("\0\4\2p\0\0\0\2\0\0\0\0\0\0\0\0\0\11\2"
                                    "\2a\0\2c\2h\0\0\0\6\0\0\0\7\2s\2t\0\0");
    assert_int_equal(ms_group_value_read(flexible, &group), 0);
    assert_int_equal(group.state_time_ms, 9);
    assert_true(ms_group_member_next(&group, &member));
    assert_int_equal(member.rebalance_timeout_ms, 6);
    assert_bytes(member.subscription, "s");
    assert_bytes(member.assignment, "t");
}

static void every_cut_is_refused(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 1000);
    write_group(&out);
    for (size_t len = 0; len < out.len; len++) {
        uint8_t *copy = ms_alloc(len); /* its end is watched by the address sanitizer */
        memcpy(copy, out.data, len);
        struct ms_group_value group;
        assert_int_equal(ms_group_value_read(ms_bytes_of(copy, len), &group), MS_EINVAL);
        ms_free(copy);
    }
    ms_buf_clear(&out);
    assert_int_equal(ms_offset_key_write(&out, TEXT("group"), TEXT("topic"), 1), 0);
    for (size_t len = 0; len < out.len; len++) {
        struct ms_group_key key;
        assert_int_equal(ms_group_key_read(ms_bytes_of(out.data, len), &key), MS_EINVAL);
    }
    ms_buf_deinit(&out);
}

static void absurd_counts_and_lengths_are_refused(void **state) {
    (void)state;
    struct ms_group_value group;
    struct ms_bytes many = TEXT("\0\0\0\1p\0\0\0\2\xff\xff\xff\xff\x7f\xff\xff\xff");
    assert_int_equal(ms_group_value_read(many, &group), MS_EINVAL);
    struct ms_bytes negative = TEXT("\0\0\0\1p\0\0\0\2\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_int_equal(ms_group_value_read(negative, &group), MS_EINVAL);
    struct ms_group_key key;
    assert_int_equal(ms_group_key_read(TEXT("\0\2\xff\xfe"), &key), MS_EINVAL);
    struct ms_buf out;
    ms_buf_init(&out, 100000);
    uint8_t *text = ms_calloc(1, 40000);
    assert_int_equal(ms_group_key_write(&out, ms_bytes_of(text, 40000)), MS_ETOOBIG);
    ms_free(text);
    ms_buf_deinit(&out);
}

static void subscriptions_name_topics(void **state) {
    (void)state;
    struct ms_bytes ab = TEXT("\0\1\0\0\0\2\0\1a\0\1b\xff\xff\xff\xff");
    struct ms_bytes ba = TEXT("\0\3\0\0\0\2\0\1b\0\1a\0\0\0\2xy");
    struct ms_bytes a = TEXT("\0\1\0\0\0\1\0\1a\xff\xff\xff\xff");
    assert_true(ms_subscription_names(ab, TEXT("a")));
    assert_true(ms_subscription_names(ab, TEXT("b")));
    assert_false(ms_subscription_names(ab, TEXT("c")));
    assert_true(ms_subscriptions_same(ab, ba));
    assert_false(ms_subscriptions_same(ab, a));
    assert_false(ms_subscriptions_same(a, ab));
}

static void an_unreadable_subscription_names_everything_and_equals_nothing(void **state) {
    (void)state;
    struct ms_bytes cut = TEXT("\0\1\0\0\0\2\0\1a\0\5b");
    assert_true(ms_subscription_names(cut, TEXT("z")));
    assert_true(ms_subscription_names(TEXT(""), TEXT("z")));
    assert_false(ms_subscriptions_same(cut, cut));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_have_kafkas_layout),
        cmocka_unit_test(newer_kinds_of_keys_are_passed_over),
        cmocka_unit_test(an_offset_is_written_as_version_3),
        cmocka_unit_test(an_offset_with_its_own_retention_is_version_1),
        cmocka_unit_test(a_retention_before_1970_is_none),
        cmocka_unit_test(older_and_flexible_offsets_are_read),
        cmocka_unit_test(a_group_comes_back_as_written),
        cmocka_unit_test(older_and_flexible_groups_are_read),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(absurd_counts_and_lengths_are_refused),
        cmocka_unit_test(subscriptions_name_topics),
        cmocka_unit_test(an_unreadable_subscription_names_everything_and_equals_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
