/*
 * What members of groups bring from strangers. The input is cut in two at its first byte:
 *
 *   as two subscriptions of the consumer protocol, of two members of a classic group
 *   as a pattern of topic names, and a name; and as what a member of a consumer group reads
 *
 * Asserted: one that can be read is the same as itself, and being the same is mutual; a topic whose
 * offsets may not be deleted is one that a member names; members join, and leave no memory behind.
 */
#include <stdlib.h>

#include "group/group.h"
#include "group/pattern.h"
#include "group/record.h"

#define SESSION_MS 10000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ms_bytes group_id = {(const uint8_t *)"g", 1};
static const struct ms_bytes topic_name = {(const uint8_t *)"t", 1};

/* ---- the coordinator's world ---- */

static void append(void *context, int64_t producer_id, int16_t producer_epoch,
                   const struct ms_group_record *records, size_t count,
                   void (*stored)(void *stored_context, int code), void *stored_context) {
    (void)context;
    (void)producer_id;
    (void)producer_epoch;
    (void)records;
    MS_ASSERT(count > 0);
    stored(stored_context, 0);
}

static uint64_t topics_version(void *context) {
    (void)context;
    return 1;
}

static bool find_topic(void *context, struct ms_bytes name, struct ms_group_topic *ret_topic) {
    (void)context;
    *ret_topic = (struct ms_group_topic){{{1}}, topic_name, 4};
    return ms_bytes_equal(name, topic_name);
}

static bool find_topic_id(void *context, const struct ms_uuid *id,
                          struct ms_group_topic *ret_topic) {
    (void)find_topic(context, topic_name, ret_topic);
    return memcmp(id, &ret_topic->id, sizeof *id) == 0;
}

static int list_topics(void *context,
                       int (*visit)(void *visitor, const struct ms_group_topic *topic),
                       void *visitor) {
    struct ms_group_topic topic;
    (void)find_topic(context, topic_name, &topic);
    return visit(visitor, &topic);
}

static struct ms_groups *new_groups(struct ms_env *env) {
    struct ms_groups_options options = {
        .env = env,
        .store.append = append,
        .topics = {NULL, topics_version, find_topic, find_topic_id, list_topics},
    };
    struct ms_groups *groups;
    MS_ASSERT(ms_groups_new(&options, &groups) == 0);
    ms_groups_loaded(groups);
    return groups;
}

/* ---- a classic group ---- */

struct joined {
    enum ms_group_code code;
    unsigned answers;
    int32_t generation;
    char id[128];
    size_t id_len;
};

static void on_joined(struct ms_group_join *join, const struct ms_group_join_answer *answer) {
    struct joined *joined = join->context;
    joined->code = answer->code;
    joined->answers++;
    joined->generation = answer->generation;
    MS_ASSERT(answer->member_id.len < sizeof joined->id);
    joined->id_len = answer->member_id.len;
    if (joined->id_len > 0)
        memcpy(joined->id, answer->member_id.data, joined->id_len);
}

static void join(struct ms_groups *groups, struct ms_bytes subscription, struct ms_group_join *join,
                 struct joined *joined) {
    struct ms_group_protocol protocol = {MS_BYTES_LITERAL("range"), subscription};
    *join = (struct ms_group_join){
        .group = group_id,
        .protocol_type = MS_BYTES_LITERAL("consumer"),
        .protocols = &protocol,
        .protocol_count = 1,
        .session_timeout_ms = SESSION_MS,
        .rebalance_timeout_ms = SESSION_MS,
        .done = on_joined,
        .context = joined,
    };
    ms_groups_join(groups, join);
}

static void on_deleted(struct ms_group_delete_offsets *delete, enum ms_group_code code) {
    *(enum ms_group_code *)delete->context = code;
}

static void delete_offset(struct ms_groups *groups, bool is_named) {
    struct ms_group_offset offset = {.topic = topic_name};
    enum ms_group_code code = MS_GROUP_UNKNOWN_SERVER_ERROR;
    struct ms_group_delete_offsets delete = {.group = group_id,
                                             .offsets = &offset,
                                             .offset_count = 1,
                                             .done = on_deleted,
                                             .context = &code};
    ms_groups_delete_offsets(groups, &delete);
    MS_ASSERT(code == MS_GROUP_OK);
    MS_ASSERT((offset.code == MS_GROUP_SUBSCRIBED) == is_named);
}

static void play_classic(struct ms_env *env, struct ms_clock_manual *clock, struct ms_bytes a,
                         struct ms_bytes b) {
    struct ms_groups *groups = new_groups(env);
    struct ms_group_join joins[2];
    struct joined joined[2] = {{0}};
    join(groups, a, &joins[0], &joined[0]);
    MS_ASSERT(joined[0].answers == 1);
    if (joined[0].code == MS_GROUP_OK) {
        delete_offset(groups, ms_subscription_names(a, topic_name));
        join(groups, b, &joins[1], &joined[1]); /* waits for the first */
        delete_offset(groups,
                      ms_subscription_names(a, topic_name) || ms_subscription_names(b, topic_name));
    }
    for (int i = 0; i < 4; i++) {
        ms_clock_manual_advance(clock, INT64_C(1000) * SESSION_MS);
        (void)ms_groups_tick(groups);
    }
    ms_groups_stop(groups);
    ms_groups_free(groups);
}

/* ---- a consumer group ---- */

static void on_consumed(struct ms_group_consume *consume,
                        const struct ms_group_consume_answer *answer) {
    size_t partitions = 0;
    for (size_t i = 0; answer->assigns && i < answer->topic_count; i++)
        partitions += answer->topics[i].count;
    MS_ASSERT(partitions <= 4);
    *(enum ms_group_code *)consume->context = answer->code;
}

static void play_consumer(struct ms_env *env, struct ms_clock_manual *clock, struct ms_bytes a,
                          struct ms_bytes b) {
    static const struct ms_group_partitions nothing[1];
    struct ms_groups *groups = new_groups(env);
    enum ms_group_code code = MS_GROUP_UNKNOWN_SERVER_ERROR;
    struct ms_bytes names[] = {a, topic_name};
    struct ms_group_consume consume = {.group = group_id,
                                       .member_id = MS_BYTES_LITERAL("m"),
                                       .rebalance_timeout_ms = SESSION_MS,
                                       .topics = names,
                                       .topic_count = 2,
                                       .pattern = b,
                                       .owned = nothing,
                                       .done = on_consumed,
                                       .context = &code};
    ms_groups_consume(groups, &consume);
    MS_ASSERT(code == MS_GROUP_OK || code == MS_GROUP_INVALID_PATTERN ||
              code == MS_GROUP_INVALID_REQUEST);
    ms_clock_manual_advance(clock, INT64_C(100000000));
    (void)ms_groups_tick(groups);
    ms_groups_stop(groups);
    ms_groups_free(groups);
}

/* ---- the input ---- */

static void check_pattern(struct ms_bytes text, struct ms_bytes name) {
    struct ms_pattern pattern;
    if (ms_pattern_init(&pattern, text) != 0)
        return;
    if (name.len <= MS_PATTERN_NAME_MAX)
        (void)ms_pattern_matches(&pattern, name);
    ms_pattern_deinit(&pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    size_t cut = 1 + data[0] % size;
    struct ms_bytes a = ms_bytes_of(data + 1, cut - 1), b = ms_bytes_of(data + cut, size - cut);
    struct ms_clock_manual clock;
    struct ms_random_seeded random;
    ms_clock_manual_init(&clock, INT64_C(1700000000000000));
    ms_random_seeded_init(&random, 1);
    struct ms_env env = {.clock = &clock.clock, .random = &random.random};
    bool same = ms_subscriptions_same(a, b);
    MS_ASSERT(same == ms_subscriptions_same(b, a));
    MS_ASSERT(!same || ms_subscriptions_same(a, a));
    if (same)
        MS_ASSERT(ms_subscription_names(a, topic_name) == ms_subscription_names(b, topic_name));
    play_classic(&env, &clock, a, b);
    play_consumer(&env, &clock, a, b);
    check_pattern(b, a);
    return 0;
}
