/* Choosing a target, and what both kinds share. See target.h. */
#include "cli/target.h"

#define DEFAULT_SERVER "http://127.0.0.1:8080"

int ms_target_open(struct ms_invocation *invocation, enum ms_target_use use,
                   struct ms_target **ret_target, struct ms_error *err) {
    struct ms_cli *cli = invocation->cli;
    const char *data = ms_option_text(invocation, "data");
    const char *server = ms_option_text(invocation, "server");
    if (data)
        return ms_target_store_new(cli->env, data, use, cli->err_is_terminal ? cli->err : NULL,
                                   ret_target, err);
    if (!server)
        server = ms_cli_variable(cli, "MAINSTEM_SERVER");
    return ms_target_http_new(cli->env, server && *server ? server : DEFAULT_SERVER, cli->err,
                              ret_target, err);
}

void ms_target_free(struct ms_target *target) {
    if (target)
        target->ops->free(target);
}

/* ---- appending ---- */

int ms_target_append_start(struct ms_target *target, const struct ms_target_append *append,
                           ms_target_appended_fn *done, void *context, struct ms_error *err) {
    if (target->in_flight == MS_TARGET_IN_FLIGHT_MAX)
        return ms_error_set(err, MS_EAGAIN, "%d appends are in flight", MS_TARGET_IN_FLIGHT_MAX);
    return target->ops->append_start(target, append, done, context, err);
}

int ms_target_poll(struct ms_target *target, struct ms_error *err) {
    MS_ASSERT(target->in_flight > 0);
    return target->ops->poll(target, err);
}

struct awaited {
    bool done;
    int code;
    struct ms_target_append_result result;
    struct ms_error error;
};

static void on_awaited(void *context, int code, const struct ms_target_append_result *result,
                       const struct ms_error *err) {
    struct awaited *awaited = context;
    awaited->done = true;
    awaited->code = code;
    if (result)
        awaited->result = *result;
    if (err)
        awaited->error = *err;
}

int ms_target_append(struct ms_target *target, const struct ms_target_append *append,
                     struct ms_target_append_result *ret_result, struct ms_error *err) {
    struct awaited awaited = {0};
    int rc = ms_target_append_start(target, append, on_awaited, &awaited, err);
    while (rc == 0 && !awaited.done)
        rc = ms_target_poll(target, err);
    if (rc != 0)
        return rc;
    if (awaited.code == 0)
        *ret_result = awaited.result;
    else if (err)
        *err = awaited.error;
    return awaited.code;
}

/* ---- the rest goes straight to the kind ---- */

int ms_target_read(struct ms_target *target, const struct ms_target_read *read,
                   ms_target_event_fn *visit, void *context, struct ms_error *err) {
    return target->ops->read(target, read, visit, context, err);
}

int ms_target_subscribe(struct ms_target *target, const struct ms_target_read *read,
                        ms_target_event_fn *visit, void *context, struct ms_error *err) {
    return target->ops->subscribe(target, read, visit, context, err);
}

int ms_target_delete_stream(struct ms_target *target, struct ms_bytes stream,
                            struct ms_condition condition, bool tombstone, struct ms_error *err) {
    return target->ops->delete_stream(target, stream, condition, tombstone, err);
}

int ms_target_get_metadata(struct ms_target *target, struct ms_bytes stream, struct ms_buf *out,
                           struct ms_error *err) {
    return target->ops->get_metadata(target, stream, out, err);
}

int ms_target_put_metadata(struct ms_target *target, struct ms_bytes stream,
                           struct ms_condition condition, struct ms_bytes json,
                           struct ms_error *err) {
    return target->ops->put_metadata(target, stream, condition, json, err);
}

int ms_target_list_topics(struct ms_target *target, ms_target_event_fn *visit, void *context,
                          struct ms_error *err) {
    return target->ops->list_topics(target, visit, context, err);
}

int ms_target_get_topic(struct ms_target *target, struct ms_bytes name, struct ms_buf *out,
                        struct ms_error *err) {
    return target->ops->get_topic(target, name, out, err);
}

int ms_target_put_topic(struct ms_target *target, struct ms_bytes name, struct ms_bytes settings,
                        bool *ret_created, struct ms_error *err) {
    return target->ops->put_topic(target, name, settings, ret_created, err);
}

int ms_target_delete_topic(struct ms_target *target, struct ms_bytes name, struct ms_error *err) {
    return target->ops->delete_topic(target, name, err);
}

int ms_target_get_partitions(struct ms_target *target, struct ms_bytes name, struct ms_buf *out,
                             struct ms_error *err) {
    return target->ops->get_partitions(target, name, out, err);
}

static int no_groups(struct ms_error *err) {
    return ms_error_set(err, MS_EUNSUPPORTED,
                        "consumer groups are kept by a running server: give --server, not --data");
}

int ms_target_list_groups(struct ms_target *target, struct ms_buf *out, struct ms_error *err) {
    return target->ops->list_groups ? target->ops->list_groups(target, out, err) : no_groups(err);
}

int ms_target_get_group(struct ms_target *target, struct ms_bytes group, struct ms_buf *out,
                        struct ms_error *err) {
    return target->ops->get_group ? target->ops->get_group(target, group, out, err)
                                  : no_groups(err);
}

int ms_target_reset_group(struct ms_target *target, struct ms_bytes group, struct ms_bytes json,
                          struct ms_buf *out, struct ms_error *err) {
    return target->ops->reset_group ? target->ops->reset_group(target, group, json, out, err)
                                    : no_groups(err);
}

int ms_target_delete_group(struct ms_target *target, struct ms_bytes group, struct ms_error *err) {
    return target->ops->delete_group ? target->ops->delete_group(target, group, err)
                                     : no_groups(err);
}

static int no_projections(struct ms_error *err) {
    return ms_error_set(err, MS_EUNSUPPORTED,
                        "projections are kept by a running server: give --server, not --data");
}

int ms_target_projection(struct ms_target *target, const struct ms_target_projection *request,
                         struct ms_buf *out, struct ms_error *err) {
    return target->ops->projection ? target->ops->projection(target, request, out, err)
                                   : no_projections(err);
}

int ms_target_query(struct ms_target *target, const struct ms_target_query *query,
                    ms_target_event_fn *visit, void *context, struct ms_error *err) {
    return target->ops->query ? target->ops->query(target, query, visit, context, err)
                              : no_projections(err);
}

int ms_target_info(struct ms_target *target, struct ms_buf *out, struct ms_error *err) {
    return target->ops->info(target, out, err);
}

int ms_target_backup(struct ms_target *target, const char *dir,
                     const struct ms_target_progress *progress, struct ms_buf *out,
                     struct ms_error *err) {
    return target->ops->backup(target, dir, progress, out, err);
}

int ms_target_scavenge(struct ms_target *target, const struct ms_target_scavenge *scavenge,
                       const struct ms_target_progress *progress, struct ms_buf *out,
                       struct ms_error *err) {
    return target->ops->scavenge(target, scavenge, progress, out, err);
}

/* ---- small things ---- */

int ms_condition_parse(const char *text, struct ms_condition *ret_condition, struct ms_error *err) {
    static const struct {
        const char *name;
        enum ms_condition_kind kind;
    } words[] = {{"any", MS_EXPECT_ANY}, {"none", MS_EXPECT_NONE}, {"exists", MS_EXPECT_EXISTS}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i].name) == 0) {
            *ret_condition = (struct ms_condition){.kind = words[i].kind};
            return 0;
        }
    }
    int64_t version;
    if (ms_parse_i64(ms_bytes_cstr(text), &version) != 0 || version < 0)
        return ms_error_set(err, MS_EINVAL,
                            "--expect: none, exists, any or a version from 0 on was expected, not "
                            "\"%.64s\"",
                            text);
    *ret_condition = (struct ms_condition){.kind = MS_EXPECT_VERSION, .version = version};
    return 0;
}
