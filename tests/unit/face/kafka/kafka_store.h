/* The face as it is served, on a real store in a scratch directory, and a client that calls it with
 * the codec's structs. */
#pragma once

#include "face/kafka/errors.h"
#include "kafka_server.h"
#include "store/partitions.h"
#include "support/store_world.h"

struct kafka_store {
    struct store_world world;
    struct server server;
    int fd;
    int32_t correlation_id;
    struct ms_arena arena; /* of decoded answers */
    struct ms_buf frame;
};

static inline int kafka_store_set_up(void **state) {
    struct kafka_store *k = calloc(1, sizeof *k);
    store_world_init_real(&k->world);
    k->world.options.topics_max = 40;
    assert_int_equal(store_world_open(&k->world), 0);
    server_init(&k->server, NULL, 0);
    k->server.store = k->world.store;
    k->server.options.auto_create_partitions = 3;
    server_start(&k->server);
    k->fd = client_open(&k->server);
    ms_arena_init(&k->arena, 64 * MIB);
    ms_buf_init(&k->frame, 64 * MIB);
    *state = k;
    return 0;
}

static inline int kafka_store_tear_down(void **state) {
    struct kafka_store *k = *state;
    close(k->fd);
    server_stop(&k->server);
    store_world_deinit(&k->world);
    ms_arena_deinit(&k->arena);
    ms_buf_deinit(&k->frame);
    free(k);
    return 0;
}

#define kafka_store_test(f)                                                                        \
    cmocka_unit_test_setup_teardown(f, kafka_store_set_up, kafka_store_tear_down)

/* The decoded answer, which lives until the test ends. */
static inline const void *call(struct kafka_store *k, int16_t key, int16_t version,
                               const void *request) {
    const struct ms_kafka_api *api = ms_kafka_api_find(key);
    struct ms_buf out;
    struct ms_error err = {0};
    void *answer;
    ms_buf_init(&out, MIB);
    frame_request(&out, key, version, ++k->correlation_id, request);
    client_send_buf(k->fd, &out);
    ms_buf_deinit(&out);
    if (!client_receive(k->fd, &k->frame))
        fail_msg("%s version %d: the connection was closed", api->name, version);
    assert_int_equal(ms_get_be32(k->frame.data), k->correlation_id);
    size_t header = version >= api->flexible ? 5 : 4;
    char *body =
        ms_arena_strdup(&k->arena, ms_bytes_of(k->frame.data + header, k->frame.len - header));
    if (ms_kafka_decode(api->response, version, ms_bytes_of(body, k->frame.len - header), &k->arena,
                        &answer, &err) != 0)
        fail_msg("%s", err.message);
    return answer;
}

static inline void assert_bytes(struct ms_bytes bytes, const char *text) {
    if (!ms_bytes_equal_cstr(bytes, text))
        fail_msg("'%.*s' is not '%s'", (int)bytes.len, (const char *)bytes.data, text);
}

static inline struct ms_topic_info topic_info(struct kafka_store *k, const char *name) {
    struct ms_topic_info info;
    struct ms_topic *topic = ms_store_topic(k->world.store, ms_bytes_cstr(name), false);
    assert_non_null(topic);
    ms_topic_info_of(k->world.store, topic, &info);
    return info;
}

static inline void make_topic(struct kafka_store *k, const char *name, uint16_t partitions) {
    struct ms_topic_settings settings = ms_topic_settings_default(k->world.store);
    bool created;
    settings.streams = false;
    settings.partitions = partitions;
    assert_int_equal(
        ms_store_put_topic(k->world.store, ms_bytes_cstr(name), &settings, &created, NULL), 0);
}
