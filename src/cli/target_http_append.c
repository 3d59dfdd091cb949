/*
 * Appends over HTTP: POST /v1/append, several in flight on curl's multi interface. Requests on
 * different connections may overtake each other, so this target does not keep the order. See
 * target.h.
 *
 *   request  {"appends":[{"stream":"…","expect":"any"|"none"|"exists"|<version>,"events":[…]}]}
 *   answer   {"position":…,"results":[{"stream":…,"first_version":…,"version":…}]}
 */
#include "base/alloc.h"
#include "cli/http_client.h"
#include "wire/json.h"

#define BODY_BYTES_MAX ((size_t)1 << 30)
#define ANSWER_DEPTH_MAX 16
#define POLL_MS 1000

struct ms_http_slot {
    CURL *easy;
    bool busy;
    struct ms_buf body;
    struct ms_http_answer answer;
    struct curl_slist *headers;
    ms_target_appended_fn *done;
    void *context;
};

int ms_http_slots_new(struct ms_http_target *http, struct ms_error *err) {
    http->multi = curl_multi_init();
    http->slots = ms_calloc(MS_TARGET_IN_FLIGHT_MAX, sizeof *http->slots);
    if (!http->multi || !http->slots)
        return ms_error_set(err, MS_ENOMEM, "no memory for a connection");
    return 0;
}

static void slot_clear(struct ms_http_slot *slot) {
    curl_slist_free_all(slot->headers);
    slot->headers = NULL;
    ms_buf_deinit(&slot->body);
    ms_http_answer_deinit(&slot->answer);
    slot->busy = false;
}

void ms_http_slots_free(struct ms_http_target *http) {
    for (size_t i = 0; http->slots && i < MS_TARGET_IN_FLIGHT_MAX; i++) {
        struct ms_http_slot *slot = &http->slots[i];
        if (slot->busy) {
            curl_multi_remove_handle(http->multi, slot->easy);
            slot_clear(slot);
        }
        if (slot->easy)
            curl_easy_cleanup(slot->easy);
    }
    ms_free(http->slots);
    if (http->multi)
        curl_multi_cleanup(http->multi);
}

/* ---- the request ---- */

static int write_expect(struct ms_buf *out, struct ms_condition condition) {
    switch (condition.kind) {
    case MS_EXPECT_ANY:
        return ms_buf_append_cstr(out, "\"any\"");
    case MS_EXPECT_NONE:
        return ms_buf_append_cstr(out, "\"none\"");
    case MS_EXPECT_EXISTS:
        return ms_buf_append_cstr(out, "\"exists\"");
    case MS_EXPECT_VERSION:
    case MS_EXPECT_LIVE_VERSION:
        return ms_buf_printf(out, "%lld", (long long)condition.version);
    }
    MS_ASSERT(false); /* every kind is listed above */
    return 0;
}

static int write_part(struct ms_buf *out, const struct ms_target_part *part) {
    int rc = ms_buf_append_cstr(out, "{\"stream\":");
    if (rc == 0)
        rc = ms_json_write_string(out, part->stream);
    if (rc == 0)
        rc = ms_buf_append_cstr(out, ",\"expect\":");
    if (rc == 0)
        rc = write_expect(out, part->condition);
    if (rc == 0)
        rc = ms_buf_append_cstr(out, ",\"events\":[");
    for (size_t i = 0; i < part->count && rc == 0; i++) {
        rc = i ? ms_buf_append_u8(out, ',') : 0;
        if (rc == 0)
            rc = ms_buf_append_bytes(out, part->events[i]);
    }
    return rc == 0 ? ms_buf_append_cstr(out, "]}") : rc;
}

int ms_http_append_body(struct ms_buf *out, const struct ms_target_append *append) {
    int rc = ms_buf_append_cstr(out, "{\"appends\":[");
    for (size_t i = 0; i < append->part_count && rc == 0; i++) {
        rc = i ? ms_buf_append_u8(out, ',') : 0;
        if (rc == 0)
            rc = write_part(out, &append->parts[i]);
    }
    return rc == 0 ? ms_buf_append_cstr(out, "]}") : rc;
}

static struct ms_http_slot *free_slot(struct ms_http_target *http) {
    for (size_t i = 0; i < MS_TARGET_IN_FLIGHT_MAX; i++)
        if (!http->slots[i].busy)
            return &http->slots[i];
    MS_ASSERT(false); /* ms_target_append_start counts them */
    return NULL;
}

static int start_transfer(struct ms_http_target *http, struct ms_http_slot *slot,
                          struct ms_error *err) {
    if (!slot->easy && !(slot->easy = curl_easy_init()))
        return ms_error_set(err, MS_ENOMEM, "no memory for a connection");
    struct ms_http_call call = {.method = "POST",
                                .path = "/v1/append",
                                .body = ms_buf_bytes(&slot->body),
                                .changes_something = true};
    int rc = ms_http_prepare(slot->easy, http->url, &call, &slot->answer, &slot->headers, err);
    if (rc != 0)
        return rc;
    curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
    if (curl_multi_add_handle(http->multi, slot->easy) != CURLM_OK)
        return ms_error_set(err, MS_ENOMEM, "no memory for a connection");
    return 0;
}

int ms_target_http_append_start(struct ms_target *target, const struct ms_target_append *append,
                                ms_target_appended_fn *done, void *context, struct ms_error *err) {
    struct ms_http_target *http = (struct ms_http_target *)target;
    struct ms_http_slot *slot = free_slot(http);
    slot->busy = true;
    slot->done = done;
    slot->context = context;
    ms_http_answer_init(&slot->answer);
    ms_buf_init(&slot->body, BODY_BYTES_MAX);
    int rc = ms_http_append_body(&slot->body, append);
    if (rc != 0)
        ms_error_set(err, rc, "the append is too large");
    else
        rc = start_transfer(http, slot, err);
    if (rc != 0) {
        slot_clear(slot);
        return rc;
    }
    target->in_flight++;
    int running;
    curl_multi_perform(http->multi, &running);
    return 0;
}

/* ---- the answer ---- */

static bool get_number(struct ms_json_value object, const char *name, int64_t *ret_number) {
    struct ms_json_value value;
    return ms_json_get(object, name, &value) && value.type == MS_JSON_NUMBER &&
           ms_json_i64(value, ret_number) == 0;
}

static int parse_result(struct ms_bytes body, struct ms_target_append_result *ret_result,
                        struct ms_error *err) {
    struct ms_json_value document, results, first;
    struct ms_target_append_result result = {.first_version = -1, .version = -1};
    int64_t position = 0;
    size_t at = 0;
    bool understood = ms_json_parse(body, ANSWER_DEPTH_MAX, &document, NULL) == 0 &&
                      document.type == MS_JSON_OBJECT &&
                      get_number(document, "position", &position) &&
                      ms_json_get(document, "results", &results) && results.type == MS_JSON_ARRAY;
    if (understood && ms_json_next_element(results, &at, &first))
        understood = first.type == MS_JSON_OBJECT &&
                     get_number(first, "first_version", &result.first_version) &&
                     get_number(first, "version", &result.version);
    if (!understood)
        return ms_error_set(err, MS_EUNKNOWN, "the server's answer was not understood");
    result.position = (uint64_t)position;
    *ret_result = result;
    return 0;
}

static void finish(struct ms_http_target *http, struct ms_http_slot *slot, CURLcode result) {
    struct ms_error error = {0};
    struct ms_target_append_result appended;
    curl_multi_remove_handle(http->multi, slot->easy);
    int rc = ms_http_outcome(slot->easy, result, http->url, true, &slot->answer, &error);
    if (rc == 0)
        rc = parse_result(ms_buf_bytes(&slot->answer.body), &appended, &error);
    if (rc == 0)
        appended.repeated = !slot->answer.created;
    ms_target_appended_fn *done = slot->done;
    void *context = slot->context;
    slot_clear(slot);
    http->target.in_flight--;
    done(context, rc, rc == 0 ? &appended : NULL, &error);
}

/* The number of transfers that have finished, each reported. */
static unsigned finish_all(struct ms_http_target *http) {
    unsigned count = 0;
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(http->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct ms_http_slot *slot = NULL;
        CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&slot);
        finish(http, slot, result);
        count++;
    }
    return count;
}

int ms_target_http_poll(struct ms_target *target, struct ms_error *err) {
    struct ms_http_target *http = (struct ms_http_target *)target;
    for (;;) {
        int running;
        CURLMcode rc = curl_multi_perform(http->multi, &running);
        if (rc == CURLM_OK && finish_all(http) > 0)
            return 0;
        if (rc == CURLM_OK)
            rc = curl_multi_poll(http->multi, NULL, 0, POLL_MS, NULL);
        if (rc != CURLM_OK)
            return ms_error_set(err, MS_EIO, "waiting for the server failed: %s",
                                curl_multi_strerror(rc));
    }
}
