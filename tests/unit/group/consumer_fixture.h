/* Members of consumer groups over the fake log of group_fixture.h, and topics that come and go. A
 * member does what a client's library does: says what it owns, takes what it is given, lets go of
 * what it is no longer given (at once, or later when it is slow). One thread. */
#pragma once

#include "group_fixture.h"

/* ---- topics ---- */

#define FAKE_TOPICS_MAX 8u
#define FAKE_PARTITIONS_MAX 16u

struct fake_topics {
    struct ms_group_topic item[FAKE_TOPICS_MAX]; /* no partitions: it is gone */
    size_t count;
    uint64_t version;
};

static inline uint64_t fake_topics_version(void *context) {
    return ((struct fake_topics *)context)->version;
}

static inline bool fake_topics_find(void *context, struct ms_bytes name,
                                    struct ms_group_topic *ret_topic) {
    struct fake_topics *topics = context;
    for (size_t i = 0; i < topics->count; i++) {
        *ret_topic = topics->item[i];
        if (topics->item[i].partitions > 0 && ms_bytes_equal(topics->item[i].name, name))
            return true;
    }
    return false;
}

static inline bool fake_topics_find_id(void *context, const struct ms_uuid *id,
                                       struct ms_group_topic *ret_topic) {
    struct fake_topics *topics = context;
    for (size_t i = 0; i < topics->count; i++) {
        *ret_topic = topics->item[i];
        if (topics->item[i].partitions > 0 && ms_uuid_equal(&topics->item[i].id, id))
            return true;
    }
    return false;
}

static inline int fake_topics_list(void *context,
                                   int (*visit)(void *visitor, const struct ms_group_topic *topic),
                                   void *visitor) {
    struct fake_topics *topics = context;
    int rc = 0;
    for (size_t i = 0; i < topics->count && rc == 0; i++)
        if (topics->item[i].partitions > 0)
            rc = visit(visitor, &topics->item[i]);
    return rc;
}

/* Its number, by which it is known here. The name stays the caller's. */
static inline size_t topic_add(struct fake_topics *topics, const char *name, uint32_t partitions) {
    assert_true(topics->count < FAKE_TOPICS_MAX);
    struct ms_group_topic *topic = &topics->item[topics->count];
    *topic = (struct ms_group_topic){.name = ms_bytes_cstr(name), .partitions = partitions};
    /* The order of the ids is not that of their making. */
    topic->id.bytes[0] = (uint8_t)(topics->count * 37 + 11);
    topic->id.bytes[15] = (uint8_t)topics->count;
    topics->version++;
    return topics->count++;
}

static inline void topic_resize(struct fake_topics *topics, size_t number, uint32_t partitions) {
    topics->item[number].partitions = partitions;
    topics->version++;
}

/* ---- a party with topics ---- */

struct feast {
    struct party *party;
    struct fake_topics topics;
};

static inline struct feast *feast_new_with(const struct ms_groups_options *given) {
    struct feast *feast = ms_calloc(1, sizeof *feast);
    assert_non_null(feast);
    struct ms_groups_options options = *given;
    options.topics = (struct ms_group_topics){&feast->topics, fake_topics_version, fake_topics_find,
                                              fake_topics_find_id, fake_topics_list};
    feast->topics.version = 1;
    feast->party = party_new_with(&options);
    return feast;
}

static inline struct feast *feast_new(void) {
    struct ms_groups_options options = {0};
    return feast_new_with(&options);
}

static inline void feast_free(struct feast *feast) {
    party_free(feast->party);
    ms_free(feast);
}

/* ---- a member ---- */

typedef bool partition_map[FAKE_TOPICS_MAX][FAKE_PARTITIONS_MAX];

struct eater {
    struct feast *feast;
    const char *group;
    char id[ID_MAX];
    const char *instance;
    struct ms_bytes names[4];
    size_t name_count;
    const char *pattern, *assignor;
    int32_t rebalance_ms;
    bool slow;     /* lets go only when eater_let_go is called */
    bool makes_id; /* version 0 */

    int32_t epoch;
    partition_map owned;  /* and works on */
    partition_map wanted; /* what it was told last */

    struct ms_group_consume consume;
    struct ms_group_partitions saying[FAKE_TOPICS_MAX];
    int32_t said[FAKE_TOPICS_MAX][FAKE_PARTITIONS_MAX];
    unsigned answered;
    enum ms_group_code code;
    bool assigned; /* by the last answer */
    int32_t interval_ms;
};

static inline void eater_init(struct eater *eater, struct feast *feast, const char *id,
                              const char *topic) {
    *eater = (struct eater){.feast = feast, .group = "g", .rebalance_ms = 60000};
    snprintf(eater->id, sizeof eater->id, "%s", id);
    if (topic != NULL)
        eater->names[eater->name_count++] = ms_bytes_cstr(topic);
}

static inline size_t topic_number(const struct fake_topics *topics, const struct ms_uuid *id) {
    size_t i = 0;
    while (i < topics->count && !ms_uuid_equal(&topics->item[i].id, id))
        i++;
    assert_true(i < topics->count);
    return i;
}

/* What it has and should not have is let go of; what it should have it takes. */
static inline void eater_let_go(struct eater *eater) {
    memcpy(eater->owned, eater->wanted, sizeof eater->owned);
}

static inline void eater_answered(struct ms_group_consume *consume,
                                  const struct ms_group_consume_answer *answer) {
    struct eater *eater = consume->context;
    eater->answered++;
    eater->code = answer->code;
    eater->assigned = answer->assigns;
    if (answer->code != MS_GROUP_OK)
        return;
    keep(eater->id, answer->member_id);
    eater->epoch = answer->epoch;
    eater->interval_ms = answer->heartbeat_interval_ms;
    if (!answer->assigns)
        return;
    memset(eater->wanted, 0, sizeof eater->wanted);
    for (size_t t = 0; t < answer->topic_count; t++) {
        size_t number = topic_number(&eater->feast->topics, &answer->topics[t].topic_id);
        for (size_t i = 0; i < answer->topics[t].count; i++) {
            int32_t p = answer->topics[t].partitions[i];
            assert_in_range(p, 0, FAKE_PARTITIONS_MAX - 1);
            eater->wanted[number][p] = true;
            eater->owned[number][p] = true;
        }
    }
    if (!eater->slow)
        eater_let_go(eater);
}

/* Everything as it is now; the caller takes fields back before eater_send. */
static inline void eater_prepare(struct eater *eater) {
    size_t topics = 0;
    for (size_t t = 0; t < FAKE_TOPICS_MAX; t++) {
        size_t count = 0;
        for (size_t p = 0; p < FAKE_PARTITIONS_MAX; p++)
            if (eater->owned[t][p])
                eater->said[t][count++] = (int32_t)p;
        if (count > 0)
            eater->saying[topics++] = (struct ms_group_partitions){
                eater->feast->topics.item[t].id, {0}, eater->said[t], count};
    }
    eater->consume = (struct ms_group_consume){.group = ms_bytes_cstr(eater->group),
                                               .member_id = ms_bytes_cstr(eater->id),
                                               .instance_id = ms_bytes_cstr(eater->instance),
                                               .client_id = TEXT("client"),
                                               .client_host = TEXT("/127.0.0.1"),
                                               .epoch = eater->epoch,
                                               .rebalance_timeout_ms = eater->rebalance_ms,
                                               .topics = eater->names,
                                               .topic_count = eater->name_count,
                                               .pattern = ms_bytes_cstr(eater->pattern),
                                               .assignor = ms_bytes_cstr(eater->assignor),
                                               .owned = eater->saying,
                                               .owned_count = topics,
                                               .makes_id = eater->makes_id,
                                               .done = eater_answered,
                                               .context = eater};
}

static inline void eater_send(struct eater *eater) {
    eater->answered = 0;
    ms_groups_consume(eater->feast->party->groups, &eater->consume);
}

static inline void eater_join(struct eater *eater) {
    eater->epoch = 0;
    memset(eater->owned, 0, sizeof eater->owned);
    memset(eater->wanted, 0, sizeof eater->wanted);
    eater_prepare(eater);
    eater_send(eater);
}

/* A heartbeat of a library that says only what it owns. */
static inline void eater_beat(struct eater *eater) {
    eater_prepare(eater);
    eater->consume.topics = NULL;
    eater->consume.topic_count = 0;
    eater->consume.pattern = (struct ms_bytes){0};
    eater->consume.rebalance_timeout_ms = -1;
    eater_send(eater);
}

/* One that says nothing at all. */
static inline void eater_idle(struct eater *eater) {
    eater_prepare(eater);
    eater->consume.topics = NULL;
    eater->consume.topic_count = 0;
    eater->consume.pattern = (struct ms_bytes){0};
    eater->consume.rebalance_timeout_ms = -1;
    eater->consume.owned = NULL;
    eater->consume.owned_count = 0;
    eater_send(eater);
}

static inline void eater_leave(struct eater *eater, int32_t epoch) {
    eater_prepare(eater);
    eater->consume.epoch = epoch;
    eater_send(eater);
}

static inline void assert_answered(const struct eater *eater, enum ms_group_code code) {
    assert_int_equal(eater->answered, 1);
    assert_int_equal(eater->code, code);
}

static inline void eater_joins(struct eater *eater) {
    eater_join(eater);
    assert_answered(eater, MS_GROUP_OK);
}

static inline void eater_beats(struct eater *eater) {
    eater_beat(eater);
    assert_answered(eater, MS_GROUP_OK);
}

static inline size_t eater_count(const struct eater *eater) {
    size_t count = 0;
    for (size_t t = 0; t < FAKE_TOPICS_MAX; t++)
        for (size_t p = 0; p < FAKE_PARTITIONS_MAX; p++)
            count += eater->owned[t][p];
    return count;
}

static inline struct ms_group_identity eater_identity(const struct eater *eater) {
    return (struct ms_group_identity){ms_bytes_cstr(eater->group), ms_bytes_cstr(eater->id),
                                      ms_bytes_cstr(eater->instance), eater->epoch};
}

/* Every one of them beats until nothing changes any more. */
static inline void settle_eaters(struct eater *const *eaters, size_t count) {
    for (int round = 0; round < 8; round++)
        for (size_t i = 0; i < count; i++) {
            if (eaters[i]->slow)
                eater_let_go(eaters[i]);
            eater_beats(eaters[i]);
        }
}

/* No partition is worked on by two. */
static inline void assert_disjoint(struct eater *const *eaters, size_t count) {
    for (size_t t = 0; t < FAKE_TOPICS_MAX; t++)
        for (size_t p = 0; p < FAKE_PARTITIONS_MAX; p++) {
            size_t owners = 0;
            for (size_t i = 0; i < count; i++)
                owners += eaters[i]->owned[t][p];
            assert_in_range(owners, 0, 1);
        }
}

/* ---- what the group says of itself ---- */

struct report {
    struct ms_arena arena;
    struct ms_consumer_group_info info;
    enum ms_group_code code;
};

static inline void report_of(struct report *report, struct feast *feast, const char *group) {
    ms_arena_init(&report->arena, 1 << 20);
    report->code = ms_groups_describe_consumers(feast->party->groups, ms_bytes_cstr(group),
                                                &report->arena, &report->info);
}

static inline void report_end(struct report *report) { ms_arena_deinit(&report->arena); }

static inline enum ms_group_state feast_state(struct feast *feast) {
    return party_state(feast->party, "g");
}

static inline int32_t feast_epoch(struct feast *feast) {
    return party_generation(feast->party, "g");
}
