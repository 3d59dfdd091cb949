/* The versions of a projection; see slots.h. */
#include "projection/slots.h"

#include "base/alloc.h"

bool ms_slot_set_text(struct projection_version *version, struct ms_bytes text) {
    uint8_t *copy = ms_alloc(text.len + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, text.data, text.len);
    version->text = ms_bytes_of(copy, text.len);
    return true;
}

void ms_slot_clear(struct projection_version *version) {
    MS_ASSERT(version->running == NULL);
    ms_free((void *)version->text.data);
    ms_projection_definition_free(version->definition);
    *version = (struct projection_version){0};
}

void ms_slot_deploy(struct projection *projection, const struct projection_version *version) {
    ms_slot_clear(&projection->versions[MS_VERSION_CANDIDATE]);
    projection->versions[MS_VERSION_CANDIDATE] = *version;
    if (version->number > projection->last_number)
        projection->last_number = version->number;
}

struct projection_version *ms_slot_find(struct projection *projection, unsigned number) {
    for (size_t i = 0; i < MS_PROJECTION_VERSIONS_MAX; i++)
        if (number != 0 && projection->versions[i].number == number)
            return &projection->versions[i];
    return NULL;
}

void ms_slot_switch(struct projection *projection, unsigned number, int64_t time_ms) {
    struct projection_version *current = &projection->versions[MS_VERSION_CURRENT];
    struct projection_version *previous = &projection->versions[MS_VERSION_PREVIOUS];
    struct projection_version *version = ms_slot_find(projection, number);
    if (version == NULL || version == current)
        return;
    struct projection_version next = *version;
    if (version != previous)
        ms_slot_clear(previous);
    *version = (struct projection_version){0};
    *previous = *current;
    *current = next;
    projection->switched_at_ms = time_ms;
}

void ms_slot_drop(struct projection *projection, unsigned number) {
    struct projection_version *version = ms_slot_find(projection, number);
    if (version != NULL)
        ms_slot_clear(version);
}
