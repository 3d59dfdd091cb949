/*
 * Records of `__consumer_offsets` that somebody else may have written: a list of them, as
 * keyed_records.h has it.
 *
 * Asserted: what can be read can be written, and reads the same again; a coordinator that loads
 * them all serves the groups that came of it, ends their sessions in time, and gives all
 * memory back.
 */
#include <stdlib.h>

#include "group/consumer_record.h"
#include "group/group.h"
#include "group/record.h"

#include "../keyed_records.h"

#define RECORDS_MAX 64
#define WRITTEN_MAX ((size_t)1 << 20)
#define ARENA_MAX ((size_t)16 << 20)
#define HOUR_MS INT64_C(3600000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- reading and writing ---- */

static void check_offset(struct ms_bytes bytes) {
    struct ms_offset_value value, again;
    struct ms_buf out;
    if (ms_offset_value_read(bytes, &value) != 0)
        return;
    ms_buf_init(&out, WRITTEN_MAX);
    if (ms_offset_value_write(&out, &value) == 0) {
        MS_ASSERT(ms_offset_value_read(ms_buf_bytes(&out), &again) == 0);
        MS_ASSERT(again.offset == value.offset && again.commit_time_ms == value.commit_time_ms);
        MS_ASSERT(ms_bytes_equal(again.metadata, value.metadata));
        MS_ASSERT(again.expire_time_ms == value.expire_time_ms);
        /* A value with an expiry has no place for the epoch. */
        MS_ASSERT(again.leader_epoch == value.leader_epoch || value.expire_time_ms >= 0);
    }
    ms_buf_deinit(&out);
}

static bool same_member(const struct ms_member_value *a, const struct ms_member_value *b) {
    return ms_bytes_equal(a->member_id, b->member_id) &&
           ms_bytes_equal(a->instance_id, b->instance_id) &&
           ms_bytes_equal(a->client_id, b->client_id) &&
           ms_bytes_equal(a->client_host, b->client_host) &&
           ms_bytes_equal(a->subscription, b->subscription) &&
           ms_bytes_equal(a->assignment, b->assignment) &&
           a->session_timeout_ms == b->session_timeout_ms &&
           a->rebalance_timeout_ms == b->rebalance_timeout_ms;
}

static void compare_groups(struct ms_group_value a, struct ms_bytes written) {
    struct ms_group_value b;
    struct ms_member_value x, y;
    MS_ASSERT(ms_group_value_read(written, &b) == 0);
    MS_ASSERT(a.generation == b.generation && a.member_count == b.member_count);
    MS_ASSERT(ms_bytes_equal(a.protocol_type, b.protocol_type));
    MS_ASSERT(ms_bytes_equal(a.protocol_name, b.protocol_name));
    MS_ASSERT(ms_bytes_equal(a.leader_id, b.leader_id));
    for (uint32_t left = a.member_count; left > 0; left--) {
        MS_ASSERT(ms_group_member_next(&a, &x) && ms_group_member_next(&b, &y));
        MS_ASSERT(same_member(&x, &y));
    }
    MS_ASSERT(!ms_group_member_next(&a, &x) && !ms_group_member_next(&b, &y));
}

static void check_group(struct ms_bytes bytes) {
    struct ms_group_value value;
    struct ms_member_value member;
    struct ms_buf out;
    if (ms_group_value_read(bytes, &value) != 0)
        return;
    struct ms_group_value members = value;
    ms_buf_init(&out, WRITTEN_MAX);
    int rc = ms_group_value_write(&out, &value);
    while (rc == 0 && ms_group_member_next(&members, &member))
        rc = ms_member_value_write(&out, &member);
    if (rc == 0)
        compare_groups(value, ms_buf_bytes(&out));
    ms_buf_deinit(&out);
}

static int count_partition(void *context, const struct ms_uuid *topic, uint32_t partition) {
    (void)topic;
    MS_ASSERT(partition <= INT32_MAX);
    (*(size_t *)context)++;
    return 0;
}

/* Values of all kinds, whatever the key says. */
static void check_consumer(struct ms_bytes bytes) {
    struct ms_consumer_current_value current;
    struct ms_consumer_value value;
    struct ms_bytes partitions, name;
    size_t count = 0, names = 0;
    int32_t epoch;
    ms_ignore(ms_consumer_epoch_value_read(bytes, &epoch));
    if (ms_consumer_value_read(bytes, &value) == 0) {
        size_t wanted = value.name_count;
        while (ms_consumer_name_next(&value, &name))
            names++;
        MS_ASSERT(names == wanted);
    }
    if (ms_consumer_current_value_read(bytes, &current) == 0) {
        MS_ASSERT(ms_partitions_each(current.owned, count_partition, &count) == 0);
        MS_ASSERT(ms_partitions_each(current.revoking, count_partition, &count) == 0);
    }
    if (ms_consumer_target_value_read(bytes, &partitions) == 0)
        MS_ASSERT(ms_partitions_each(partitions, count_partition, &count) == 0);
    MS_ASSERT(count * 4 <= 2 * bytes.len);
}

/* ---- a coordinator that finds them ---- */

struct world {
    struct ms_clock_manual clock;
    struct ms_random_seeded random;
    struct ms_env env;
    struct ms_groups *groups;
};

static void append(void *context, int64_t producer_id, int16_t producer_epoch,
                   const struct ms_group_record *records, size_t count,
                   void (*stored)(void *stored_context, int code), void *stored_context) {
    struct ms_group_key key;
    (void)context;
    (void)producer_id;
    (void)producer_epoch;
    for (size_t i = 0; i < count; i++)
        MS_ASSERT(ms_group_key_read(records[i].key, &key) == 0);
    stored(stored_context, 0);
}

static uint64_t topics_version(void *context) {
    (void)context;
    return 1;
}

static bool find_topic(void *context, struct ms_bytes name, struct ms_group_topic *ret_topic) {
    (void)context;
    *ret_topic = (struct ms_group_topic){{{1}}, MS_BYTES_LITERAL("t"), 4};
    return ms_bytes_equal_cstr(name, "t");
}

static bool find_topic_id(void *context, const struct ms_uuid *id,
                          struct ms_group_topic *ret_topic) {
    (void)find_topic(context, MS_BYTES_LITERAL("t"), ret_topic);
    return memcmp(id, &ret_topic->id, sizeof *id) == 0;
}

static int list_topics(void *context,
                       int (*visit)(void *visitor, const struct ms_group_topic *topic),
                       void *visitor) {
    struct ms_group_topic topic;
    (void)find_topic(context, MS_BYTES_LITERAL("t"), &topic);
    return visit(visitor, &topic);
}

static void begin_world(struct world *w) {
    ms_clock_manual_init(&w->clock, INT64_C(1700000000000000));
    ms_random_seeded_init(&w->random, 1);
    w->env = (struct ms_env){.clock = &w->clock.clock, .random = &w->random.random};
    struct ms_groups_options options = {
        .env = &w->env,
        .store.append = append,
        .topics = {NULL, topics_version, find_topic, find_topic_id, list_topics},
        .bytes_max = (size_t)4 << 20,
        .groups_max = RECORDS_MAX,
    };
    MS_ASSERT(ms_groups_new(&options, &w->groups) == 0);
}

static void look_at(struct world *w, const struct ms_group_info *group, struct ms_arena *arena) {
    struct ms_group_info info;
    struct ms_consumer_group_info consumers;
    struct ms_group_offset *offsets;
    size_t count;
    MS_ASSERT(ms_groups_describe(w->groups, group->group, arena, &info) == MS_GROUP_OK ||
              group->type == MS_GROUP_TYPE_CONSUMER);
    MS_ASSERT(ms_groups_describe_consumers(w->groups, group->group, arena, &consumers) ==
                  MS_GROUP_OK ||
              group->type == MS_GROUP_TYPE_CLASSIC);
    MS_ASSERT(ms_groups_fetch_all(w->groups, group->group, false, arena, &offsets, &count) ==
              MS_GROUP_OK);
}

static void serve(struct world *w) {
    struct ms_arena arena;
    struct ms_group_info *infos;
    struct ms_groups_stats stats;
    size_t count;
    ms_groups_loaded(w->groups);
    ms_arena_init(&arena, ARENA_MAX);
    MS_ASSERT(ms_groups_list(w->groups, 0, 0, &arena, &infos, &count) == MS_GROUP_OK);
    MS_ASSERT(count <= RECORDS_MAX);
    for (size_t i = 0; i < count; i++)
        look_at(w, &infos[i], &arena);
    for (int hour = 0; hour < 24 * 8; hour += 8) { /* a week: all of it expires */
        ms_clock_manual_advance(&w->clock, 8 * HOUR_MS * 1000);
        (void)ms_groups_tick(w->groups);
    }
    ms_groups_stats(w->groups, &stats);
    MS_ASSERT(stats.members == 0 && stats.pending_members == 0);
    ms_arena_deinit(&arena);
}

/* ---- the input ---- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct world w;
    struct ms_bytes rest = ms_bytes_of(data, size);
    struct ms_keyed_record input;
    struct ms_group_key key;
    begin_world(&w);
    for (uint64_t n = 0; n < RECORDS_MAX && next_record(&rest, &input); n++) {
        struct ms_group_record record = {input.key, input.value, input.tombstone};
        check_offset(record.value);
        check_group(record.value);
        check_consumer(record.value);
        ms_ignore(ms_group_key_read(record.key, &key));
        int64_t producer = n % 7 == 6 ? 1 : -1; /* some in a transaction */
        int rc = ms_groups_load(w.groups, &record, n, producer);
        MS_ASSERT(rc == 0 || rc == MS_EINVAL || rc == MS_ENOMEM);
    }
    ms_groups_txn_end(w.groups, 1, true);
    serve(&w);
    ms_groups_stop(w.groups);
    ms_groups_free(w.groups);
    return 0;
}
