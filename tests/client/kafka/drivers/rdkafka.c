/*
 * The driver of librdkafka; ../driver.mjs says what is spoken. One thread: between the lines of
 * standard input the consumer is polled.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rdkafka.h"

#define PRODUCERS_MAX 16

/* What this process was told and has. */
static struct {
    const char *brokers;
    struct producer {
        char name[128];
        rd_kafka_t *handle;
    } producers[PRODUCERS_MAX];
    unsigned producer_count;
    rd_kafka_t *consumer;
    json_t *inbox;                         /* records that have come and were not taken */
    rd_kafka_topic_partition_list_t *done; /* behind what has come */
} driver;

/* ---- failing ---- */

static char failure[1024];

int fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(failure, sizeof(failure), format, args);
    va_end(args);
    return -1;
}

int fail_with(rd_kafka_resp_err_t err, const char *what) {
    return err ? fail("%s: %s (%s)", what, rd_kafka_err2name(err), rd_kafka_err2str(err)) : 0;
}

static int fail_error(rd_kafka_error_t *error, const char *what) {
    if (!error)
        return 0;
    fail("%s: %s", what, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return -1;
}

/* ---- arguments ---- */

const char *text_of(const json_t *args, const char *name, const char *otherwise) {
    const json_t *value = json_object_get(args, name);
    return json_is_string(value) ? json_string_value(value) : otherwise;
}

int64_t number_of(const json_t *args, const char *name, int64_t otherwise) {
    const json_t *value = json_object_get(args, name);
    return json_is_number(value) ? (int64_t)json_number_value(value) : otherwise;
}

/* ---- handles ---- */

static void count_failure(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque) {
    (void)handle;
    (void)opaque;
    if (message->err)
        fail_with(message->err, "delivery");
}

/* Follows the group's protocol, and leaves where to begin to the committed offsets. */
static void rebalanced(rd_kafka_t *consumer, rd_kafka_resp_err_t err,
                       rd_kafka_topic_partition_list_t *places, void *opaque) {
    (void)opaque;
    bool gives = err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if (strcmp(rd_kafka_rebalance_protocol(consumer), "COOPERATIVE") == 0) {
        rd_kafka_error_t *error = gives ? rd_kafka_incremental_assign(consumer, places)
                                        : rd_kafka_incremental_unassign(consumer, places);
        fail_error(error, "rebalance");
        return;
    }
    fail_with(rd_kafka_assign(consumer, gives ? places : NULL), "rebalance");
}

static const char *const READING[] = {"enable.auto.commit",
                                      "false",
                                      "auto.offset.reset",
                                      "earliest",
                                      "max.partition.fetch.bytes",
                                      "4194304",
                                      NULL};
static const char *const WRITING[] = {"linger.ms", "2", "message.max.bytes", "4194304", NULL};

/* Settings are pairs of name and value, ended by NULL. */
static int configure(rd_kafka_conf_t *conf, const char *const *settings) {
    char error[512];
    for (const char *const *at = settings; *at; at += 2)
        if (rd_kafka_conf_set(conf, at[0], at[1], error, sizeof(error)))
            return fail("%s", error);
    return 0;
}

static rd_kafka_t *handle_new(rd_kafka_type_t type, const char *const *settings) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *common[] = {"bootstrap.servers",
                            driver.brokers,
                            "reconnect.backoff.max.ms",
                            "300",
                            "log_level",
                            "2",
                            NULL};
    char error[512];
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, count_failure);
    else
        rd_kafka_conf_set_rebalance_cb(conf, rebalanced);
    rd_kafka_t *handle = NULL;
    if (!configure(conf, common) &&
        !configure(conf, type == RD_KAFKA_PRODUCER ? WRITING : READING) &&
        !configure(conf, settings)) {
        handle = rd_kafka_new(type, conf, error, sizeof(error));
        if (!handle)
            fail("%s", error);
    }
    if (!handle)
        rd_kafka_conf_destroy(conf);
    return handle;
}

static rd_kafka_t *producer(const char *compression, bool idempotent,
                            const char *transactional_id) {
    char name[128];
    snprintf(name, sizeof(name), "%s/%d/%s", compression, idempotent,
             transactional_id ? transactional_id : "");
    for (unsigned i = 0; i < driver.producer_count; i++)
        if (strcmp(driver.producers[i].name, name) == 0)
            return driver.producers[i].handle;
    if (driver.producer_count == PRODUCERS_MAX) {
        fail("too many producers");
        return NULL;
    }
    const char *settings[] = {"compression.codec",
                              compression,
                              "enable.idempotence",
                              idempotent ? "true" : "false",
                              transactional_id ? "transactional.id" : NULL,
                              transactional_id,
                              NULL};
    rd_kafka_t *handle = handle_new(RD_KAFKA_PRODUCER, settings);
    if (!handle)
        return NULL;
    struct producer *made = &driver.producers[driver.producer_count];
    if (transactional_id && fail_error(rd_kafka_init_transactions(handle, WAIT_MS), "init"))
        return NULL;
    snprintf(made->name, sizeof(made->name), "%s", name);
    made->handle = handle;
    driver.producer_count++;
    return handle;
}

rd_kafka_t *any_handle(void) { return producer("none", false, NULL); }

static int add_partitions(rd_kafka_t *handle, const char *topic, int64_t offset,
                          rd_kafka_topic_partition_list_t *places) {
    rd_kafka_topic_t *one = rd_kafka_topic_new(handle, topic, NULL);
    const struct rd_kafka_metadata *found;
    rd_kafka_resp_err_t err = rd_kafka_metadata(handle, 0, one, &found, WAIT_MS);
    rd_kafka_topic_destroy(one);
    if (err)
        return fail_with(err, "metadata");
    err = found->topics[0].err;
    for (int i = 0; i < found->topics[0].partition_cnt; i++)
        rd_kafka_topic_partition_list_add(places, topic, found->topics[0].partitions[i].id)
            ->offset = offset;
    rd_kafka_metadata_destroy(found);
    return fail_with(err, topic);
}

/* ---- producing ---- */

static int produce_one(rd_kafka_t *handle, const char *topic, const json_t *record) {
    size_t key_length, value_length, length, index;
    void *key = decoded(json_object_get(record, "key"), &key_length);
    void *value = decoded(json_object_get(record, "value"), &value_length);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    json_t *pair;
    json_array_foreach(json_object_get(record, "headers"), index, pair) {
        void *bytes = decoded(json_array_get(pair, 1), &length);
        rd_kafka_header_add(headers, json_string_value(json_array_get(pair, 0)), -1, bytes,
                            (ssize_t)length);
        free(bytes);
    }
    rd_kafka_resp_err_t err;
    for (;;) {
        err = rd_kafka_producev(
            handle, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_PARTITION((int32_t)number_of(record, "partition", RD_KAFKA_PARTITION_UA)),
            RD_KAFKA_V_TIMESTAMP(number_of(record, "timestamp", 0)),
            RD_KAFKA_V_KEY(key, key_length), RD_KAFKA_V_VALUE(value, value_length),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            break;
        rd_kafka_poll(handle, 100);
    }
    if (err)
        rd_kafka_headers_destroy(headers);
    free(key);
    free(value);
    return fail_with(err, "produce");
}

static int produce_all(rd_kafka_t *handle, const char *topic, const json_t *records) {
    size_t index;
    json_t *record;
    failure[0] = '\0';
    json_array_foreach(records, index, record) if (produce_one(handle, topic, record)) return -1;
    if (rd_kafka_flush(handle, 15000))
        return fail("not all was delivered in time");
    return failure[0] ? -1 : 0;
}

/* A handle that lives asks for a new topic once a second only; here it asks at once. */
static int ask_for(rd_kafka_t *handle, const char *name) {
    rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new(1);
    int rc = add_partitions(handle, name, 0, places);
    rd_kafka_topic_partition_list_destroy(places);
    return rc;
}

static int op_produce(const json_t *args, json_t **ret_answer) {
    (void)ret_answer;
    const char *topic = text_of(args, "topic", "");
    rd_kafka_t *handle = producer(text_of(args, "compression", "none"),
                                  json_is_true(json_object_get(args, "idempotent")), NULL);
    if (!handle || ask_for(handle, topic))
        return -1;
    return produce_all(handle, topic, json_object_get(args, "records"));
}

/* ---- reading ---- */

static json_t *headers_of(const rd_kafka_message_t *message) {
    json_t *list = json_array();
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t length;
    if (rd_kafka_message_headers(message, &headers))
        return list;
    for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &length); i++)
        json_array_append_new(list, json_pack("[s, o]", name, encoded(value, length)));
    return list;
}

static void receive(rd_kafka_t *consumer, int timeout_ms) {
    rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, timeout_ms);
    if (message && !message->err) {
        const char *topic = rd_kafka_topic_name(message->rkt);
        rd_kafka_timestamp_type_t type;
        json_array_append_new(
            driver.inbox,
            json_pack("{s: s, s: i, s: I, s: I, s: o, s: o, s: o}", "topic", topic, "partition",
                      message->partition, "offset", (json_int_t)message->offset, "timestamp",
                      (json_int_t)rd_kafka_message_timestamp(message, &type), "key",
                      encoded(message->key, message->key_len), "value",
                      encoded(message->payload, message->len), "headers", headers_of(message)));
        rd_kafka_topic_partition_t *place =
            rd_kafka_topic_partition_list_find(driver.done, topic, message->partition);
        if (!place)
            place = rd_kafka_topic_partition_list_add(driver.done, topic, message->partition);
        place->offset = message->offset + 1;
    }
    if (message)
        rd_kafka_message_destroy(message);
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static json_t *take(rd_kafka_t *consumer, size_t count, int64_t ms) {
    int64_t deadline = now_ms() + ms;
    while (json_array_size(driver.inbox) < count && now_ms() < deadline)
        receive(consumer, 20);
    json_t *taken = json_array(), *rest = json_array(), *record;
    size_t index;
    json_array_foreach(driver.inbox, index, record)
        json_array_append(index < count ? taken : rest, record);
    json_decref(driver.inbox);
    driver.inbox = rest;
    return taken;
}

static int op_take(const json_t *args, json_t **ret_answer) {
    if (!driver.consumer)
        return fail("nothing is open");
    *ret_answer =
        take(driver.consumer, (size_t)number_of(args, "count", 1), number_of(args, "ms", 1000));
    return 0;
}

static rd_kafka_t *consumer_new(const char *const *settings) {
    rd_kafka_t *consumer = handle_new(RD_KAFKA_CONSUMER, settings);
    if (!consumer)
        return NULL;
    rd_kafka_poll_set_consumer(consumer);
    json_array_clear(driver.inbox);
    rd_kafka_topic_partition_list_destroy(driver.done);
    driver.done = rd_kafka_topic_partition_list_new(8);
    return consumer;
}

static int op_open(const json_t *args, json_t **ret_answer) {
    (void)ret_answer;
    bool all = json_is_false(json_object_get(args, "committed"));
    const char *settings[] = {"group.id", "reader", "isolation.level",
                              all ? "read_uncommitted" : "read_committed", NULL};
    rd_kafka_t *consumer = consumer_new(settings);
    if (!consumer)
        return -1;
    const json_t *from = json_object_get(args, "from");
    bool timed = json_object_get(from, "time") != NULL;
    int64_t offset = number_of(from, timed ? "time" : "offset", RD_KAFKA_OFFSET_BEGINNING);
    if (json_is_string(from) && strcmp(json_string_value(from), "end") == 0)
        offset = RD_KAFKA_OFFSET_END;
    rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new(8);
    size_t index;
    json_t *topic;
    int rc = 0;
    json_array_foreach(json_object_get(args, "topics"), index, topic) if (!rc) rc =
        add_partitions(consumer, json_string_value(topic), offset, places);
    if (!rc && timed)
        rc = fail_with(rd_kafka_offsets_for_times(consumer, places, WAIT_MS), "offsets for times");
    if (!rc)
        rc = fail_with(rd_kafka_assign(consumer, places), "assign");
    rd_kafka_topic_partition_list_destroy(places);
    driver.consumer = consumer;
    return rc;
}

static int subscribe(rd_kafka_t *consumer, const json_t *topics) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    size_t index;
    json_t *topic;
    json_array_foreach(topics, index, topic)
        rd_kafka_topic_partition_list_add(list, json_string_value(topic), RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return fail_with(err, "subscribe");
}

static rd_kafka_t *classic_member(const json_t *args) {
    char session[16];
    snprintf(session, sizeof(session), "%d", (int)number_of(args, "session_ms", 10000));
    const char *instance = text_of(args, "instance", NULL);
    const char *settings[] = {"group.id",
                              text_of(args, "group", ""),
                              "session.timeout.ms",
                              session,
                              "heartbeat.interval.ms",
                              "300",
                              "partition.assignment.strategy",
                              text_of(args, "strategy", "roundrobin"),
                              instance ? "group.instance.id" : NULL,
                              instance,
                              NULL};
    return consumer_new(settings);
}

/* KIP-848, for which the library must be new enough: the server says how long sessions are, and
 * shares the partitions out. */
static rd_kafka_t *consumer_member(const json_t *args) {
    const char *instance = text_of(args, "instance", NULL);
    const char *settings[] = {"group.id",
                              text_of(args, "group", ""),
                              "group.protocol",
                              "consumer",
                              "group.remote.assignor",
                              text_of(args, "assignor", "uniform"),
                              instance ? "group.instance.id" : NULL,
                              instance,
                              NULL};
    return consumer_new(settings);
}

static int op_join(const json_t *args, json_t **ret_answer) {
    (void)ret_answer;
    bool is_consumer = strcmp(text_of(args, "protocol", "classic"), "consumer") == 0;
    driver.consumer = is_consumer ? consumer_member(args) : classic_member(args);
    return driver.consumer ? subscribe(driver.consumer, json_object_get(args, "topics")) : -1;
}

static int op_assignment(const json_t *args, json_t **ret_answer) {
    (void)args;
    rd_kafka_topic_partition_list_t *places;
    if (fail_with(rd_kafka_assignment(driver.consumer, &places), "assignment"))
        return -1;
    *ret_answer = json_array();
    for (int i = 0; i < places->cnt; i++)
        json_array_append_new(*ret_answer, json_sprintf("%s/%d", places->elems[i].topic,
                                                        (int)places->elems[i].partition));
    rd_kafka_topic_partition_list_destroy(places);
    return 0;
}

static int op_commit(const json_t *args, json_t **ret_answer) {
    (void)args;
    (void)ret_answer;
    return fail_with(rd_kafka_commit(driver.consumer, driver.done, 0), "commit");
}

static int op_shut(const json_t *args, json_t **ret_answer) {
    (void)args;
    (void)ret_answer;
    rd_kafka_t *consumer = driver.consumer;
    driver.consumer = NULL;
    rd_kafka_resp_err_t err = consumer ? rd_kafka_consumer_close(consumer) : 0;
    if (consumer)
        rd_kafka_destroy(consumer);
    return fail_with(err, "close");
}

/* ---- transactions ---- */

static int op_transact(const json_t *args, json_t **ret_answer) {
    (void)ret_answer;
    rd_kafka_t *handle = producer("none", true, text_of(args, "producer", "id"));
    if (!handle || fail_error(rd_kafka_begin_transaction(handle), "begin") ||
        produce_all(handle, text_of(args, "topic", ""), json_object_get(args, "records")))
        return -1;
    bool commits = strcmp(text_of(args, "outcome", ""), "commit") == 0;
    return fail_error(commits ? rd_kafka_commit_transaction(handle, WAIT_MS)
                              : rd_kafka_abort_transaction(handle, WAIT_MS),
                      "end of the transaction");
}

static json_t *upper_cased(const json_t *records) {
    json_t *made = json_array(), *record;
    size_t index, length;
    json_array_foreach(records, index, record) {
        char *bytes = decoded(json_object_get(record, "value"), &length);
        for (size_t i = 0; i < length; i++)
            if (bytes[i] >= 'a' && bytes[i] <= 'z')
                bytes[i] = (char)(bytes[i] - 'a' + 'A');
        json_array_append_new(made, json_pack("{s: o}", "value", encoded(bytes, length)));
        free(bytes);
    }
    return made;
}

static int op_transfer(const json_t *args, json_t **ret_answer) {
    const char *settings[] = {"group.id", text_of(args, "group", ""), NULL};
    rd_kafka_t *consumer = consumer_new(settings);
    rd_kafka_t *handle = producer("none", true, text_of(args, "producer", "id"));
    if (!consumer || !handle)
        return -1;
    json_t *topics = json_pack("[s]", text_of(args, "from", ""));
    int rc = subscribe(consumer, topics);
    json_t *records = take(consumer, (size_t)number_of(args, "count", 1), 8000);
    json_t *made = upper_cased(records);
    rc = rc || fail_error(rd_kafka_begin_transaction(handle), "begin") ||
         produce_all(handle, text_of(args, "to", ""), made);
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(consumer);
    rc = rc ||
         fail_error(rd_kafka_send_offsets_to_transaction(handle, driver.done, group, WAIT_MS),
                    "offsets") ||
         fail_error(rd_kafka_commit_transaction(handle, WAIT_MS), "commit");
    *ret_answer = json_integer((json_int_t)json_array_size(records));
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    json_decref(topics);
    json_decref(records);
    json_decref(made);
    return rc ? -1 : 0;
}

/* ---- the loop ---- */

static int op_hello(const json_t *args, json_t **ret_answer) {
    driver.brokers = strdup(text_of(args, "brokers", ""));
    *ret_answer = json_string(rd_kafka_version_str());
    return 0;
}

static const struct operation OPERATIONS[] = {
    {"hello", op_hello},
    {"produce", op_produce},
    {"open", op_open},
    {"join", op_join},
    {"take", op_take},
    {"assignment", op_assignment},
    {"commit", op_commit},
    {"shut", op_shut},
    {"transact", op_transact},
    {"transfer", op_transfer},
    {NULL, NULL},
};

static int run(const json_t *request, json_t **ret_answer) {
    const char *name = text_of(request, "op", "");
    const struct operation *const tables[] = {OPERATIONS, rdkafka_questions};
    for (int i = 0; i < 2; i++)
        for (const struct operation *one = tables[i]; one->name; one++)
            if (strcmp(one->name, name) == 0)
                return one->run(request, ret_answer);
    return fail("the driver has no %s", name);
}

static void answer_line(const char *line, size_t length) {
    json_t *request = json_loadb(line, length, 0, NULL), *answer = NULL;
    if (!request)
        return;
    json_t *id = json_object_get(request, "id");
    json_t *whole = run(request, &answer) ? json_pack("{s: O, s: s}", "id", id, "error", failure)
                                          : json_pack("{s: O, s: O?}", "id", id, "ok", answer);
    if (!json_object_get(whole, "error") && !answer)
        json_object_set_new(whole, "ok", json_null());
    char *text = json_dumps(whole, JSON_COMPACT);
    puts(text);
    fflush(stdout);
    free(text);
    json_decref(whole);
    json_decref(answer);
    json_decref(request);
}

/* Answers the whole lines and returns how many bytes they were. */
static size_t answer_lines(const char *bytes, size_t length) {
    size_t at = 0;
    const char *end;
    while ((end = memchr(bytes + at, '\n', length - at))) {
        answer_line(bytes + at, (size_t)(end - bytes) - at);
        at = (size_t)(end - bytes) + 1;
    }
    return at;
}

int main(void) {
    size_t capacity = 1 << 20, length = 0;
    char *bytes = malloc(capacity);
    driver.inbox = json_array();
    driver.done = rd_kafka_topic_partition_list_new(1);
    for (;;) {
        struct pollfd input = {.fd = 0, .events = POLLIN};
        if (poll(&input, 1, driver.consumer ? 20 : -1) == 0) {
            receive(driver.consumer, 1);
            continue;
        }
        if (length == capacity)
            bytes = realloc(bytes, capacity *= 2);
        ssize_t got = read(0, bytes + length, capacity - length);
        if (got <= 0)
            break;
        length += (size_t)got;
        size_t used = answer_lines(bytes, length);
        memmove(bytes, bytes + used, length -= used);
    }
    _exit(0); /* without a farewell to the server */
}
