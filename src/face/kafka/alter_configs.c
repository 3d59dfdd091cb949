/*
 * AlterConfigs and IncrementalAlterConfigs.
 *
 *   AlterConfigs              the configs that are named are a topic's, all others their defaults
 *   IncrementalAlterConfigs   each config that is named is set, put back to its default, or, as a
 *                             list, gets or loses items
 *
 * All configs of a resource change in one step, or none does. Those that stay (streams) don't go
 * back to their defaults. The broker's can't be changed here: the server's configuration has them.
 *
 * A change waits for the log, so a reader makes it. Where streams are switched on a thread of its
 * own does: the records that are there are prepared for it before, step by step, so that others
 * have their turn (ms_store_prepare_streams).
 */
#include "face/kafka/admin.h"
#include "face/kafka/connection.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/server.h"
#include "face/kafka/topic_config.h"
#include "wire/kafka/messages.h"

enum { OPERATION_SET = 0, OPERATION_DELETE = 1, OPERATION_APPEND = 2, OPERATION_SUBTRACT = 3 };

typedef struct ms_kafka_incremental_alter_configs_request_config config_change;

/* What either request says of one resource. */
struct alteration {
    int8_t resource_type;
    struct ms_bytes name;
    config_change *changes;
    size_t count;
    bool replaces; /* what isn't named becomes its default */
    enum ms_kafka_error error;
};

/* What either answer says of it; the two are the same, but for their names. */
typedef struct ms_kafka_alter_configs_response_resource answer_resource;
_Static_assert(sizeof(struct ms_kafka_alter_configs_response) ==
                   sizeof(struct ms_kafka_incremental_alter_configs_response),
               "two answers of one form");

/* The request's context. */
struct altering {
    struct alteration *alterations;
    size_t count;
    bool validate_only;
    bool prepares; /* records for their streams; the answer comes later */
    struct ms_kafka_alter_configs_response *response; /* NULL: no memory */
};

/* ---- a topic ---- */

static int apply_change(struct alteration *alteration, const config_change *change,
                        struct ms_topic_settings *settings, struct ms_error *err) {
    const struct ms_kafka_topic_config *config = ms_kafka_topic_config_find(change->name);
    bool list = change->config_operation == OPERATION_APPEND ||
                change->config_operation == OPERATION_SUBTRACT;
    alteration->error = MS_KAFKA_INVALID_CONFIG;
    if (config == NULL)
        return ms_error_set(err, MS_EINVAL, "there is no topic config '%.*s'",
                            (int)(change->name.len > 80 ? 80 : change->name.len),
                            change->name.data);
    if (change->config_operation == OPERATION_DELETE) {
        ms_kafka_topic_config_reset(config, settings);
        return 0;
    }
    if (list && change->value.data != NULL)
        return ms_kafka_topic_config_change_list(config, settings, change->value,
                                                 change->config_operation == OPERATION_APPEND, err);
    if (change->config_operation == OPERATION_SET && change->value.data != NULL)
        return ms_kafka_topic_config_set(config, settings, change->value, err);
    alteration->error = MS_KAFKA_INVALID_REQUEST;
    if (change->value.data == NULL)
        return ms_error_set(err, MS_EINVAL, "%s: a value is needed", config->name);
    return ms_error_set(err, MS_EINVAL, "%s: there is no operation %d", config->name,
                        change->config_operation);
}

static int alter_topic(void *context, struct ms_topic_settings *settings, struct ms_error *err) {
    struct alteration *alteration = context;
    struct ms_topic_settings before = *settings;
    bool force = false;
    int code = 0;
    for (size_t i = 0; alteration->replaces && i < ms_kafka_topic_config_count; i++)
        ms_kafka_topic_config_reset(&ms_kafka_topic_configs[i], settings);
    for (size_t i = 0; code == 0 && i < alteration->count; i++) {
        const config_change *change = &alteration->changes[i];
        if (ms_bytes_equal_cstr(change->name, MS_KAFKA_COMPACT_FORCE))
            force = ms_bytes_equal_cstr(change->value, "true");
        else
            code = apply_change(alteration, change, settings, err);
    }
    if (code != 0)
        return code;
    alteration->error = MS_KAFKA_POLICY_VIOLATION;
    code = ms_topic_settings_check_compaction(&before, settings, force, err);
    if (code == 0)
        alteration->error = MS_KAFKA_NONE;
    return code;
}

/* ---- a resource ---- */

static int check_names(struct ms_kafka_request *request, const struct alteration *alteration,
                       struct ms_error *err) {
    struct ms_bytes *names = ms_kafka_places(request, (int32_t)alteration->count, sizeof *names);
    if (names == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory to alter configs");
    for (size_t i = 0; i < alteration->count; i++)
        names[i] = alteration->changes[i].name;
    const bool *repeated = ms_kafka_repeated(request, names, alteration->count);
    if (repeated == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory to alter configs");
    for (size_t i = 0; i < alteration->count; i++)
        if (repeated[i])
            return ms_error_set(err, MS_EINVAL, "the config '%.*s' is named more than once",
                                (int)(names[i].len > 80 ? 80 : names[i].len), names[i].data);
    return 0;
}

static void alter(struct ms_kafka_request *request, struct alteration *alteration,
                  bool validate_only, struct ms_error *err) {
    alteration->error = MS_KAFKA_INVALID_REQUEST;
    if (alteration->resource_type == MS_KAFKA_RESOURCE_BROKER) {
        if (alteration->count == 0)
            alteration->error = MS_KAFKA_NONE;
        else
            (void)ms_error_set(err, MS_EUNSUPPORTED,
                               "the broker's configs are set in the server's configuration");
        return;
    }
    if (alteration->resource_type != MS_KAFKA_RESOURCE_TOPIC) {
        (void)ms_error_set(err, MS_EINVAL, "topics (2) have configs that can be changed");
        return;
    }
    if (check_names(request, alteration, err) != 0)
        return;
    alteration->error = MS_KAFKA_NONE;
    int code = ms_store_change_topic(request->loop->kafka->store, alteration->name, alter_topic,
                                     alteration, validate_only, err);
    if (code != 0 && alteration->error == MS_KAFKA_NONE)
        alteration->error = ms_kafka_topic_error_of(code);
}

static int32_t places_of(size_t count) { return count > INT32_MAX ? INT32_MAX : (int32_t)count; }

/* A topic and a broker may have one name. */
static bool *find_repeated(struct ms_kafka_request *request, const struct alteration *alterations,
                           size_t count) {
    struct ms_bytes *names = ms_kafka_places(request, places_of(count), sizeof *names);
    for (size_t i = 0; names != NULL && i < count; i++) {
        size_t len = alterations[i].name.len;
        char *name = ms_arena_alloc(&request->arena, len + 1);
        if (name == NULL)
            return NULL;
        name[0] = (char)alterations[i].resource_type;
        if (len > 0)
            memcpy(name + 1, alterations[i].name.data, len);
        names[i] = ms_bytes_of(name, len + 1);
    }
    return names != NULL ? ms_kafka_repeated(request, names, count) : NULL;
}

static void alter_all(struct ms_kafka_request *request, struct altering *altering) {
    struct alteration *alterations = altering->alterations;
    size_t count = altering->count;
    struct ms_kafka_alter_configs_response *response =
        ms_arena_zalloc(&request->arena, sizeof *response);
    answer_resource *answers = ms_kafka_places(request, places_of(count), sizeof *answers);
    bool *repeated = find_repeated(request, alterations, count);
    if (response == NULL || answers == NULL || repeated == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        struct ms_error err = {0};
        if (repeated[i]) {
            alterations[i].error = MS_KAFKA_INVALID_REQUEST;
            (void)ms_error_set(&err, MS_EINVAL, "the request names this resource more than once");
        } else {
            alter(request, &alterations[i], altering->validate_only, &err);
        }
        answers[i].resource_type = alterations[i].resource_type;
        answers[i].resource_name = alterations[i].name;
        answers[i].error_code = (int16_t)alterations[i].error;
        if (alterations[i].error == MS_KAFKA_NONE)
            continue;
        answers[i].error_message = ms_kafka_sentence(request, &err);
        ms_kafka_request_note_error(request, alterations[i].error);
    }
    response->responses = answers;
    response->responses_count = (int32_t)count;
    altering->response = response;
}

/* ---- records that are to become events of streams ---- */

static bool names_streams(const struct alteration *alteration) {
    for (size_t i = 0; i < alteration->count; i++) {
        const config_change *change = &alteration->changes[i];
        if (change->config_operation == OPERATION_SET &&
            ms_bytes_equal_cstr(change->name, "mainstem.streams") &&
            ms_bytes_equal_cstr(change->value, "true"))
            return alteration->resource_type == MS_KAFKA_RESOURCE_TOPIC;
    }
    return false;
}

/* And nothing speaks against the change, as far as that can be told beforehand. */
static bool switches_streams_on(struct ms_kafka_request *request, struct altering *altering) {
    bool switches = false;
    for (size_t i = 0; i < altering->count && !altering->validate_only; i++) {
        struct alteration *alteration = &altering->alterations[i];
        if (!names_streams(alteration))
            continue;
        alter(request, alteration, true, NULL);
        switches |= alteration->error == MS_KAFKA_NONE;
    }
    return switches;
}

/* A step: true when there are more. What fails will fail again when the change is made. */
static bool prepare(struct ms_kafka_request *request, const struct altering *altering) {
    bool more = false;
    for (size_t i = 0; i < altering->count && !more; i++)
        if (names_streams(&altering->alterations[i]))
            ms_ignore(ms_store_prepare_streams(request->loop->kafka->store,
                                               altering->alterations[i].name, &more, NULL));
    return more;
}

static void run_switch(struct ms_kafka_request *request) {
    struct altering *altering = request->context;
    altering->prepares = prepare(request, altering);
    if (!altering->prepares)
        alter_all(request, altering);
}

static void begin(struct ms_kafka_request *request, struct alteration *alterations, size_t count,
                  bool validate_only) {
    struct altering *altering = ms_arena_zalloc(&request->arena, sizeof *altering);
    request->context = altering;
    if (altering == NULL)
        return;
    *altering = (struct altering){
        .alterations = alterations, .count = count, .validate_only = validate_only};
    altering->prepares = switches_streams_on(request, altering);
    if (!altering->prepares)
        alter_all(request, altering);
}

static void resume(struct ms_kafka_request *request) {
    const struct altering *altering = request->context;
    bool prepares = altering != NULL && altering->prepares;
    if (prepares && (request->connection->peer_done || request->loop->stopping)) {
        ms_kafka_request_close(request); /* nobody waits; who asks again goes on from here */
        return;
    }
    if (prepares) {
        ms_kafka_request_submit_to(request, &request->loop->kafka->switches, run_switch, resume);
        return;
    }
    request->context = altering != NULL ? altering->response : NULL;
    ms_kafka_answer_context(request);
}

/* ---- the two requests ---- */

static void run(struct ms_kafka_request *request) {
    const struct ms_kafka_alter_configs_request *body = request->body;
    size_t count = body->resources_count > 0 ? (size_t)body->resources_count : 0;
    struct alteration *alterations =
        ms_kafka_places(request, body->resources_count, sizeof *alterations);
    request->context = NULL;
    if (alterations == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        const struct ms_kafka_alter_configs_request_resource *from = &body->resources[i];
        config_change *changes = ms_kafka_places(request, from->configs_count, sizeof *changes);
        if (changes == NULL)
            return;
        for (int32_t c = 0; c < from->configs_count; c++)
            changes[c] = (config_change){.name = from->configs[c].name,
                                         .config_operation = OPERATION_SET,
                                         .value = from->configs[c].value};
        alterations[i] = (struct alteration){
            .resource_type = from->resource_type,
            .name = from->resource_name,
            .changes = changes,
            .count = from->configs_count > 0 ? (size_t)from->configs_count : 0,
            .replaces = true,
        };
    }
    begin(request, alterations, count, body->validate_only);
}

static void run_incremental(struct ms_kafka_request *request) {
    const struct ms_kafka_incremental_alter_configs_request *body = request->body;
    size_t count = body->resources_count > 0 ? (size_t)body->resources_count : 0;
    struct alteration *alterations =
        ms_kafka_places(request, body->resources_count, sizeof *alterations);
    request->context = NULL;
    if (alterations == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        const struct ms_kafka_incremental_alter_configs_request_resource *from =
            &body->resources[i];
        alterations[i] = (struct alteration){
            .resource_type = from->resource_type,
            .name = from->resource_name,
            .changes = from->configs,
            .count = from->configs_count > 0 ? (size_t)from->configs_count : 0,
        };
    }
    begin(request, alterations, count, body->validate_only);
}

void ms_kafka_alter_configs(struct ms_kafka_request *request) {
    ms_kafka_request_submit(request, run, resume);
}

void ms_kafka_incremental_alter_configs(struct ms_kafka_request *request) {
    ms_kafka_request_submit(request, run_incremental, resume);
}
