/*
 * Setting where a consumer group without members goes on reading.
 *
 *   PUT /v1/groups/{group}/offsets
 *     {"to":"earliest"|"latest"|"time"|"position"|"offset", "value":…,
 *      "topics":["order"], "partitions":{"stock":[0,3]}, "dry_run":true}
 *     {"group":"billing","dry_run":false,"offsets":[{"topic":"order","partition":0,
 *      "before":19 | null,"offset":7,"moved":-12 | null},…]}
 *
 * Without topics and partitions it is about all partitions that the group has committed offsets of.
 * With them the group need not exist: it is made.
 *
 * A reader's job up to the commit, which is answered when it is durable. That the group has no
 * members is asked first, for a good answer, and again by the commit, which counts.
 */
#include <jansson.h>
#include <stdlib.h>

#include "base/time.h"
#include "face/http/answer.h"
#include "face/http/groups.h"
#include "face/http/handlers.h"
#include "face/http/loop.h"
#include "face/http/server.h"
#include "store/partitions.h"
#include "wire/json.h"

#define PARTITIONS_MAX 10000u

enum aim { TO_EARLIEST, TO_LATEST, TO_TIME, TO_POSITION, TO_OFFSET };
static const char *const aim_names[] = {"earliest", "latest", "time", "position", "offset"};
#define AIMS (sizeof aim_names / sizeof *aim_names)

struct move {
    struct ms_topic *topic;
    struct ms_bytes name;
    int32_t partition;
    int64_t before; /* -1: there was none */
    int64_t offset;
};

struct reset {
    struct ms_http_request *request;
    json_t *body;
    enum aim aim;
    int64_t value; /* ms, position or offset */
    bool dry_run;
    struct move *moves;
    size_t count, capacity;
    struct ms_group_commit commit;
};

static struct ms_groups *groups_of(const struct reset *reset) {
    return reset->request->loop->http->groups;
}
static struct ms_store *store_of(const struct reset *reset) {
    return reset->request->loop->http->store;
}

/* ---- the body ---- */

static int parse_aim(struct reset *reset, struct ms_error *err) {
    const char *to = json_string_value(json_object_get(reset->body, "to"));
    for (size_t i = 0; to != NULL && i < AIMS; i++) {
        if (strcmp(to, aim_names[i]) == 0) {
            reset->aim = (enum aim)i;
            return 0;
        }
    }
    return ms_error_set(err, MS_EINVAL,
                        "field \"to\": expected earliest, latest, time, position or offset");
}

static int parse_value(struct reset *reset, struct ms_error *err) {
    const json_t *value = json_object_get(reset->body, "value");
    const char *text = json_string_value(value);
    int64_t time_us;
    bool needed = reset->aim != TO_EARLIEST && reset->aim != TO_LATEST;
    if (!needed && value != NULL)
        return ms_error_set(err, MS_EINVAL, "field \"value\" has no meaning with \"to\":\"%s\"",
                            aim_names[reset->aim]);
    if (!needed)
        return 0;
    if (reset->aim == TO_TIME) {
        if (text == NULL || ms_time_parse(ms_bytes_cstr(text), &time_us) != 0)
            return ms_error_set(err, MS_EINVAL,
                                "field \"value\": expected a time such as 2026-11-23T10:52:54Z");
        reset->value = time_us / 1000;
        return 0;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return ms_error_set(err, MS_EINVAL, "field \"value\": expected %s from 0 on",
                            reset->aim == TO_OFFSET ? "an offset" : "a position");
    reset->value = json_integer_value(value);
    return 0;
}

static int check_fields(struct reset *reset, struct ms_error *err) {
    static const char *const known[] = {"to", "value", "topics", "partitions", "dry_run"};
    const char *name;
    json_t *value;
    json_object_foreach(reset->body, name, value) {
        size_t i = 0;
        while (i < sizeof known / sizeof *known && strcmp(name, known[i]) != 0)
            i++;
        if (i == sizeof known / sizeof *known)
            return ms_error_set(err, MS_EINVAL,
                                "unknown field \"%.64s\"; known here: to, value, topics, "
                                "partitions, dry_run",
                                name);
    }
    const json_t *dry_run = json_object_get(reset->body, "dry_run");
    if (dry_run != NULL && !json_is_boolean(dry_run))
        return ms_error_set(err, MS_EINVAL, "field \"dry_run\": expected true or false");
    reset->dry_run = json_is_true(dry_run);
    return 0;
}

static int parse(struct reset *reset, struct ms_error *err) {
    json_error_t problem;
    struct ms_bytes body = ms_buf_bytes(&reset->request->body);
    reset->body = json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES, &problem);
    if (reset->body == NULL)
        return ms_error_set(err, MS_EINVAL, "line %d, column %d: %s", problem.line, problem.column,
                            problem.text);
    if (!json_is_object(reset->body))
        return ms_error_set(err, MS_EINVAL, "expected a JSON object");
    int code = check_fields(reset, err);
    if (code == 0)
        code = parse_aim(reset, err);
    return code == 0 ? parse_value(reset, err) : code;
}

/* ---- which partitions ---- */

static int add_move(struct reset *reset, struct move move, struct ms_error *err) {
    if (reset->count == PARTITIONS_MAX)
        return ms_error_set(err, MS_ETOOBIG, "more than %u partitions in one request",
                            PARTITIONS_MAX);
    if (reset->count == reset->capacity) {
        size_t capacity = reset->capacity == 0 ? 16 : reset->capacity * 2;
        struct move *moves =
            ms_arena_alloc(&reset->request->arena, capacity * sizeof *reset->moves);
        if (moves == NULL)
            return ms_error_set(err, MS_ENOMEM, "no memory for the request");
        if (reset->count > 0)
            memcpy(moves, reset->moves, reset->count * sizeof *moves);
        reset->moves = moves;
        reset->capacity = capacity;
    }
    reset->moves[reset->count++] = move;
    return 0;
}

/* The name is the arena's. */
static int find_topic(struct reset *reset, const char *text, struct move *move,
                      struct ms_topic_info *ret_info, struct ms_error *err) {
    struct ms_bytes name = ms_bytes_cstr(text);
    struct ms_topic *topic = ms_store_topic(store_of(reset), name, false);
    if (topic == NULL)
        return ms_error_set(err, MS_ENOTFOUND, "there is no topic '%s'", text);
    char *copy = ms_arena_strdup(&reset->request->arena, name);
    if (copy == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for the request");
    ms_topic_info_of(store_of(reset), topic, ret_info);
    *move = (struct move){.topic = topic, .name = ms_bytes_of(copy, name.len), .before = -1};
    return 0;
}

static int add_topics(struct reset *reset, const json_t *topics, struct ms_error *err) {
    bool good = json_is_array(topics) && json_array_size(topics) > 0;
    int code = 0;
    for (size_t i = 0; code == 0 && good && i < json_array_size(topics); i++) {
        const char *name = json_string_value(json_array_get(topics, i));
        struct ms_topic_info info;
        struct move move;
        good = name != NULL;
        code = good ? find_topic(reset, name, &move, &info, err) : 0;
        for (uint32_t p = 0; code == 0 && good && p < info.settings.partitions; p++) {
            move.partition = (int32_t)p;
            code = add_move(reset, move, err);
        }
    }
    return good ? code : ms_error_set(err, MS_EINVAL, "field \"topics\": expected names of topics");
}

static int add_partition(struct reset *reset, struct move move, const struct ms_topic_info *info,
                         const json_t *number, struct ms_error *err) {
    json_int_t partition = json_integer_value(number);
    if (!json_is_integer(number) || partition < 0)
        return ms_error_set(err, MS_EINVAL,
                            "field \"partitions\": expected numbers from 0 on for topic '%.*s'",
                            (int)move.name.len, (const char *)move.name.data);
    if (partition >= info->settings.partitions)
        return ms_error_set(err, MS_ENOTFOUND, "there is no partition %lld of topic '%.*s'",
                            (long long)partition, (int)move.name.len, (const char *)move.name.data);
    move.partition = (int32_t)partition;
    return add_move(reset, move, err);
}

static int add_partitions(struct reset *reset, json_t *topics, struct ms_error *err) {
    const char *name;
    json_t *numbers;
    int code = 0;
    if (!json_is_object(topics) || json_object_size(topics) == 0)
        return ms_error_set(err, MS_EINVAL,
                            "field \"partitions\": expected an object of topics with the numbers "
                            "of their partitions");
    json_object_foreach(topics, name, numbers) {
        struct ms_topic_info info;
        struct move move;
        if (code == 0 && !json_is_array(numbers))
            code = ms_error_set(err, MS_EINVAL,
                                "field \"partitions\": expected an array for topic '%.64s'", name);
        if (code == 0)
            code = find_topic(reset, name, &move, &info, err);
        for (size_t i = 0; code == 0 && i < json_array_size(numbers); i++)
            code = add_partition(reset, move, &info, json_array_get(numbers, i), err);
    }
    return code;
}

/* Partitions that are gone are passed over. */
static int add_committed(struct reset *reset, const struct ms_group_offset *offsets, size_t count,
                         struct ms_error *err) {
    int code = 0;
    for (size_t i = 0; code == 0 && i < count; i++) {
        struct ms_partition_state state;
        struct ms_topic *topic = ms_store_topic(store_of(reset), offsets[i].topic, false);
        if (topic == NULL || ms_store_partition_state(store_of(reset), topic,
                                                      (uint32_t)offsets[i].partition, &state) != 0)
            continue;
        struct move move = {.topic = topic,
                            .name = offsets[i].topic,
                            .partition = offsets[i].partition,
                            .before = -1};
        code = add_move(reset, move, err);
    }
    return code;
}

static int compare_places(struct ms_bytes topic_a, int32_t a, struct ms_bytes topic_b, int32_t b) {
    int order = ms_bytes_compare(topic_a, topic_b);
    return order != 0 ? order : (a > b) - (a < b);
}

static int compare_moves(const void *a, const void *b) {
    const struct move *one = a, *two = b;
    return compare_places(one->name, one->partition, two->name, two->partition);
}

/* Sorted, each partition once, with what was committed before; `offsets` are sorted too. */
static void settle_moves(struct reset *reset, const struct ms_group_offset *offsets,
                         size_t offset_count) {
    size_t kept = 0, at = 0;
    if (reset->count > 0)
        qsort(reset->moves, reset->count, sizeof *reset->moves, compare_moves);
    for (size_t i = 0; i < reset->count; i++)
        if (kept == 0 || compare_moves(&reset->moves[kept - 1], &reset->moves[i]) != 0)
            reset->moves[kept++] = reset->moves[i];
    reset->count = kept;
    for (size_t i = 0; i < kept; i++) {
        struct move *move = &reset->moves[i];
        int order = -1;
        while (at < offset_count &&
               (order = compare_places(offsets[at].topic, offsets[at].partition, move->name,
                                       move->partition)) < 0)
            at++;
        if (at < offset_count && order == 0)
            move->before = offsets[at].offset;
    }
}

/* ---- where to ---- */

static int find_offset(const struct reset *reset, struct ms_partition_reader *reader,
                       struct move *move, struct ms_error *err) {
    struct ms_partition_state state;
    int64_t offset = 0, time_ms;
    uint32_t partition = (uint32_t)move->partition;
    int code = ms_store_partition_state(store_of(reset), move->topic, partition, &state);
    if (code != 0)
        return ms_error_set(err, code, "topic '%.*s' was deleted", (int)move->name.len,
                            (const char *)move->name.data);
    switch (reset->aim) {
    case TO_EARLIEST:
        offset = state.start_offset;
        break;
    case TO_LATEST:
        offset = state.end_offset;
        break;
    case TO_TIME:
        code = ms_store_offset_at_time(reader, move->topic, partition, reset->value, &offset,
                                       &time_ms, err);
        offset = offset < 0 ? state.end_offset : offset;
        break;
    case TO_POSITION:
        code = ms_store_offset_at_position(reader, move->topic, partition, (uint64_t)reset->value,
                                           &offset, err);
        break;
    case TO_OFFSET:
        offset = reset->value < state.end_offset ? reset->value : state.end_offset;
        break;
    }
    move->offset = offset > state.start_offset ? offset : state.start_offset;
    return code;
}

static int find_offsets(struct reset *reset, struct ms_error *err) {
    struct ms_partition_reader *reader;
    int code = ms_partition_reader_new(store_of(reset), &reader);
    if (code != 0)
        return ms_error_set(err, code, "no memory to look at partitions");
    for (size_t i = 0; code == 0 && i < reset->count; i++)
        code = find_offset(reset, reader, &reset->moves[i], err);
    ms_partition_reader_free(reader);
    return code;
}

/* ---- answering ---- */

static int write_move(struct ms_buf *out, const struct move *move) {
    int code = ms_buf_append_cstr(out, "{\"topic\":");
    if (code == 0)
        code = ms_json_write_string(out, move->name);
    if (code == 0)
        code = ms_buf_printf(out, ",\"partition\":%d", (int)move->partition);
    if (code == 0 && move->before < 0)
        return ms_buf_printf(out, ",\"before\":null,\"offset\":%lld,\"moved\":null}",
                             (long long)move->offset);
    if (code == 0)
        code = ms_buf_printf(out, ",\"before\":%lld,\"offset\":%lld,\"moved\":%lld}",
                             (long long)move->before, (long long)move->offset,
                             (long long)(move->offset - move->before));
    return code;
}

static void answer(const struct reset *reset) {
    struct ms_http_request *request = reset->request;
    struct ms_buf *out = &request->answer.body;
    int code = ms_buf_append_cstr(out, "{\"group\":");
    if (code == 0)
        code = ms_json_write_string(out, request->captures[0]);
    if (code == 0)
        code =
            ms_buf_printf(out, ",\"dry_run\":%s,\"offsets\":[", reset->dry_run ? "true" : "false");
    for (size_t i = 0; code == 0 && i < reset->count; i++) {
        code = ms_buf_append_cstr(out, i > 0 ? ",\n" : "\n");
        if (code == 0)
            code = write_move(out, &reset->moves[i]);
    }
    if (code == 0)
        code = ms_buf_append_cstr(out, "\n]}\n");
    if (code == 0)
        ms_http_answer(request, 200, "application/json");
    else
        ms_http_answer_error(request, code, NULL);
}

/* Any thread; the last thing that is done with the request here. */
static void on_committed(struct ms_group_commit *commit, enum ms_group_code code) {
    struct reset *reset = commit->context;
    struct ms_http_request *request = reset->request;
    for (size_t i = 0; code == MS_GROUP_OK && i < commit->offset_count; i++)
        code = commit->offsets[i].code;
    if (code == MS_GROUP_OK)
        answer(reset);
    else
        ms_http_group_refuse(request, code);
    ms_http_request_hand_back(request);
}

/* ---- the job ---- */

/* False: the request was answered. */
static bool gather(struct reset *reset) {
    struct ms_http_request *request = reset->request;
    struct ms_error err = {0};
    struct ms_group_info info;
    struct ms_group_offset *offsets = NULL;
    size_t count = 0;
    json_t *topics = json_object_get(reset->body, "topics");
    json_t *partitions = json_object_get(reset->body, "partitions");
    bool named = topics != NULL || partitions != NULL;
    enum ms_group_code state =
        ms_groups_describe(groups_of(reset), request->captures[0], &request->arena, &info);
    if (state == MS_GROUP_NOT_FOUND && named)
        state = MS_GROUP_OK; /* it is made */
    else if (state == MS_GROUP_OK && info.member_count > 0)
        state = MS_GROUP_NON_EMPTY;
    if (state == MS_GROUP_OK)
        state = ms_groups_fetch_all(groups_of(reset), request->captures[0], false, &request->arena,
                                    &offsets, &count);
    if (state != MS_GROUP_OK) {
        ms_http_group_refuse(request, state);
        return false;
    }
    int code = topics != NULL ? add_topics(reset, topics, &err) : 0;
    if (code == 0 && partitions != NULL)
        code = add_partitions(reset, partitions, &err);
    if (code == 0 && !named)
        code = add_committed(reset, offsets, count, &err);
    if (code == 0) {
        settle_moves(reset, offsets, count);
        code = find_offsets(reset, &err);
    }
    if (code != 0)
        ms_http_answer_error(request, code, &err);
    return code == 0;
}

/* The commit of somebody who is no member: the group refuses it while it has any. */
static bool commit(struct reset *reset) {
    struct ms_http_request *request = reset->request;
    struct ms_group_offset *offsets =
        ms_arena_zalloc(&request->arena, reset->count * sizeof *offsets);
    if (offsets == NULL) {
        ms_http_answer_error(request, MS_ENOMEM, NULL);
        return false;
    }
    for (size_t i = 0; i < reset->count; i++)
        offsets[i] = (struct ms_group_offset){.topic = reset->moves[i].name,
                                              .partition = reset->moves[i].partition,
                                              .offset = reset->moves[i].offset,
                                              .leader_epoch = -1,
                                              .commit_time_ms = -1};
    reset->commit = (struct ms_group_commit){
        .identity = {.group = request->captures[0], .generation = -1},
        .retention_ms = -1,
        .offsets = offsets,
        .offset_count = reset->count,
        .producer_id = -1,
        .producer_epoch = -1,
        .done = on_committed,
        .context = reset,
    };
    ms_groups_commit(groups_of(reset), &reset->commit);
    return true;
}

static void run_reset(struct ms_http_request *request) {
    struct ms_error err = {0};
    struct reset *reset = ms_arena_zalloc(&request->arena, sizeof *reset);
    int code = reset != NULL ? 0 : MS_ENOMEM;
    bool handed = false;
    if (code == 0) {
        reset->request = request;
        code = parse(reset, &err);
    }
    if (code != 0)
        ms_http_answer_error(request, code, &err);
    bool gathered = code == 0 && gather(reset);
    if (reset != NULL)
        json_decref(reset->body);
    if (gathered && (reset->dry_run || reset->count == 0))
        answer(reset);
    else if (gathered)
        handed = commit(reset);
    if (!handed)
        ms_http_request_hand_back(request);
}

void ms_http_reset_group_start(struct ms_http_request *request) {
    if (ms_http_groups(request) != NULL)
        ms_http_request_submit_open(request, run_reset, ms_http_request_done);
}
