/* Checkpoints and the log they speak of; see checkpoint.h. */
#include "projection/checkpoint.h"

#include <stdio.h>

struct found {
    bool there;
    uint64_t position;
    struct ms_hash128 id;
};

struct ms_hash128 ms_checkpoint_hash(struct ms_bytes event_id) {
    return ms_hash128(event_id.data, event_id.len, 0);
}

void ms_checkpoint_hash_format(const struct ms_hash128 *hash, char out[33]) {
    for (size_t i = 0; i < sizeof hash->bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", hash->bytes[i]);
}

bool ms_checkpoint_hash_parse(const char *text, struct ms_hash128 *ret_hash) {
    struct ms_hash128 hash;
    if (strlen(text) != 2 * sizeof hash.bytes)
        return false;
    for (size_t i = 0; i < sizeof hash.bytes; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return false;
        hash.bytes[i] = (uint8_t)byte;
    }
    *ret_hash = hash;
    return true;
}

static int take(void *context, const struct ms_read_event *event) {
    struct found *found = context;
    found->there = true;
    found->position = event->place.position;
    found->id = ms_checkpoint_hash(event->event.id);
    return 1;
}

static int find(struct ms_store *store, uint64_t position, bool backward, struct found *ret_found,
                struct ms_error *err) {
    struct ms_all_read_result result;
    struct ms_all_read read = {
        .backward = backward, .from = position, .limit = 1, .filter = {.include_system = true}};
    *ret_found = (struct found){0};
    return ms_store_read_all(store, &read, take, ret_found, &result, err);
}

int ms_checkpoint_before(struct ms_store *store, uint64_t position,
                         struct ms_checkpoint *ret_checkpoint, struct ms_error *err) {
    struct ms_store_info info;
    struct found found = {0};
    int code = position > 0 ? find(store, position - 1, true, &found, err) : 0;
    if (code != 0)
        return code;
    ms_store_info(store, &info);
    *ret_checkpoint = (struct ms_checkpoint){.store = info.uuid};
    if (found.there) {
        ret_checkpoint->position = found.position + 1;
        ret_checkpoint->last = found.id;
    }
    return 0;
}

int ms_checkpoint_compare(struct ms_store *store, const struct ms_checkpoint *checkpoint,
                          const char **ret_why, struct ms_error *err) {
    struct ms_store_info info;
    struct found found = {0};
    ms_store_info(store, &info);
    *ret_why = NULL;
    if (!ms_uuid_equal(&info.uuid, &checkpoint->store)) {
        *ret_why = "its checkpoint is of another store";
        return 0;
    }
    if (checkpoint->position > info.end) {
        *ret_why = "its checkpoint lies behind the end of the log";
        return 0;
    }
    if (checkpoint->position == 0)
        return 0;
    int code = find(store, checkpoint->position - 1, false, &found, err);
    if (code == 0 && found.there && found.position == checkpoint->position - 1 &&
        memcmp(found.id.bytes, checkpoint->last.bytes, sizeof found.id.bytes) != 0)
        *ret_why = "another event stands where its checkpoint is";
    return code;
}
