/* The coordinator over a store: groups last in its records, topics are the store's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "base/alloc.h"
#include "group/service.h"
#include "store/partitions.h"
#include "support/store_world.h"

struct member {
    struct ms_group_consume consume;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool answered;
    enum ms_group_code code;
    int32_t epoch;
    bool assigns;
    struct ms_uuid topic;
    size_t topics, partitions;
};

static void on_answer(struct ms_group_consume *consume,
                      const struct ms_group_consume_answer *answer) {
    struct member *member = consume->context;
    pthread_mutex_lock(&member->mutex);
    member->answered = true;
    member->code = answer->code;
    member->epoch = answer->epoch;
    member->assigns = answer->assigns;
    if (answer->assigns) {
        member->topics = answer->topic_count;
        member->partitions = 0;
        for (size_t t = 0; t < answer->topic_count; t++)
            member->partitions += answer->topics[t].count;
        if (answer->topic_count > 0)
            member->topic = answer->topics[0].topic_id;
    }
    pthread_cond_signal(&member->changed);
    pthread_mutex_unlock(&member->mutex);
}

/* Waits for the answer, which must be OK. */
static void beat(struct ms_group_service *service, struct member *member, int32_t epoch,
                 const char *pattern) {
    static const struct ms_bytes topic = {(const uint8_t *)"t", 1};
    static const struct ms_group_partitions nothing[1];
    member->consume = (struct ms_group_consume){.group = MS_BYTES_LITERAL("g"),
                                                .member_id = MS_BYTES_LITERAL("m"),
                                                .epoch = epoch,
                                                .rebalance_timeout_ms = 60000,
                                                .topics = &topic,
                                                .topic_count = pattern == NULL,
                                                .pattern = ms_bytes_cstr(pattern),
                                                .owned = nothing,
                                                .done = on_answer,
                                                .context = member};
    member->answered = false;
    ms_groups_consume(ms_group_service_groups(service), &member->consume);
    pthread_mutex_lock(&member->mutex);
    while (!member->answered)
        pthread_cond_wait(&member->changed, &member->mutex);
    pthread_mutex_unlock(&member->mutex);
    assert_int_equal(member->code, MS_GROUP_OK);
}

static void put_topic(struct store_world *w, const char *name, uint16_t partitions) {
    struct ms_topic_settings settings = ms_topic_settings_default(w->store);
    bool created;
    settings.partitions = partitions;
    assert_int_equal(
        ms_store_put_topic(w->store, ms_bytes_cstr(name), &settings, &created, &w->error), 0);
}

static struct ms_group_service *start(struct store_world *w) {
    struct ms_groups_options options = {.env = &w->env};
    struct ms_group_service *service;
    assert_int_equal(ms_group_service_start(w->store, &options, NULL, &service, &w->error), 0);
    return service;
}

static void stop(struct ms_group_service *service) {
    ms_group_service_stop(service);
    ms_group_service_free(service);
}

static void members_read_the_stores_topics(void **state) {
    (void)state;
    static struct store_world w;
    struct ms_topic_info info;
    struct member member = {.code = MS_GROUP_OK};
    pthread_mutex_init(&member.mutex, NULL);
    pthread_cond_init(&member.changed, NULL);
    store_world_init_real(&w);
    assert_int_equal(store_world_open(&w), 0);
    struct ms_group_service *service = start(&w);
    beat(service, &member, 0, NULL);
    assert_int_equal(member.partitions, 0);
    put_topic(&w, "t", 3);
    beat(service, &member, member.epoch, NULL);
    assert_int_equal(member.partitions, 3);
    ms_topic_info_of(w.store, ms_store_topic(w.store, MS_BYTES_LITERAL("t"), false), &info);
    assert_true(ms_uuid_equal(&member.topic, &info.id));
    put_topic(&w, "t", 5);
    beat(service, &member, member.epoch, NULL);
    assert_int_equal(member.partitions, 5);
    int32_t epoch = member.epoch;
    stop(service);
    service = start(&w); /* all of it is on record */
    beat(service, &member, epoch, NULL);
    assert_int_equal(member.epoch, epoch);
    assert_int_equal(member.partitions, 5);
    assert_int_equal(ms_store_delete_topic(w.store, MS_BYTES_LITERAL("t"), NULL), 0);
    beat(service, &member, epoch, NULL);
    assert_int_equal(member.partitions, 0);
    stop(service);
    store_world_deinit(&w);
}

static void patterns_never_match_the_systems_topics(void **state) {
    (void)state;
    static struct store_world w;
    struct member member = {.code = MS_GROUP_OK};
    pthread_mutex_init(&member.mutex, NULL);
    pthread_cond_init(&member.changed, NULL);
    store_world_init_real(&w);
    assert_int_equal(store_world_open(&w), 0);
    put_topic(&w, "a", 1);
    put_topic(&w, "b", 2);
    struct ms_group_service *service = start(&w);
    beat(service, &member, 0, ".*");
    assert_int_equal(member.topics, 2);
    assert_int_equal(member.partitions, 3);
    stop(service);
    store_world_deinit(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_read_the_stores_topics),
        cmocka_unit_test(patterns_never_match_the_systems_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
