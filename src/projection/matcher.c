/*
 * Which events a projection needs; see matcher.h.
 *
 *     slots ──> entry (hash, type, handlers) ──> type's bytes, indexes of handlers    in the arena
 *
 * Open addressing over twice as many slots as entries at most: a probe ends at an empty slot soon.
 */
#include "projection/matcher.h"

#include "base/alloc.h"
#include "projection/limits.h"

#define SLOTS (MS_PROJECTION_CACHE_TYPES_MAX * 2)
_Static_assert((SLOTS & (SLOTS - 1)) == 0, "probing masks");
_Static_assert(MS_PROJECTION_HANDLERS_MAX <= UINT16_MAX, "handlers are told by 16 bits");

struct entry {
    uint64_t hash;
    struct ms_bytes type;
    bool from_type; /* a source takes it by its type */
    uint16_t handler_count;
    uint16_t handlers[];
};

struct ms_matcher {
    const struct ms_projection_definition *definition;
    struct ms_arena arena; /* the entries */
    size_t entry_count;
    struct entry *uncached; /* room for one that does not fit */
    struct entry *slots[SLOTS];
};

int ms_matcher_new(const struct ms_projection_definition *definition,
                   struct ms_matcher **ret_matcher) {
    struct ms_matcher *matcher = ms_calloc(1, sizeof *matcher);
    if (matcher == NULL)
        return MS_ENOMEM;
    matcher->definition = definition;
    matcher->uncached =
        ms_calloc(1, sizeof *matcher->uncached + definition->handler_count * sizeof(uint16_t));
    if (matcher->uncached == NULL) {
        ms_free(matcher);
        return MS_ENOMEM;
    }
    ms_arena_init(&matcher->arena, MS_PROJECTION_CACHE_BYTES_MAX);
    *ret_matcher = matcher;
    return 0;
}

void ms_matcher_free(struct ms_matcher *matcher) {
    if (matcher == NULL)
        return;
    ms_arena_deinit(&matcher->arena);
    ms_free(matcher->uncached);
    ms_free(matcher);
}

/* ---- what a type means ---- */

static bool any_matches(const struct ms_name_pattern *patterns, size_t count,
                        struct ms_bytes name) {
    for (size_t i = 0; i < count; i++)
        if (ms_name_pattern_matches(&patterns[i], name))
            return true;
    return false;
}

static bool source_has(const struct ms_projection_definition *definition, enum ms_source_kind kind,
                       struct ms_bytes name) {
    for (size_t i = 0; i < definition->source_count; i++)
        if (definition->sources[i].kind == kind &&
            ms_name_pattern_matches(&definition->sources[i].name, name))
            return true;
    return false;
}

/* Into matcher->uncached. */
static void work_out(struct ms_matcher *matcher, struct ms_bytes type) {
    const struct ms_projection_definition *definition = matcher->definition;
    struct entry *entry = matcher->uncached;
    entry->handler_count = 0;
    for (size_t i = 0; i < definition->handler_count; i++)
        if (any_matches(definition->handlers[i].types, definition->handlers[i].type_count, type))
            entry->handlers[entry->handler_count++] = (uint16_t)i;
    entry->from_type =
        source_has(definition, MS_SOURCE_ALL, type) || source_has(definition, MS_SOURCE_TYPE, type);
}

/* ---- the cache ---- */

/* The slot of the type, or the empty one where it would be. */
static struct entry **slot_of(struct ms_matcher *matcher, uint64_t hash, struct ms_bytes type) {
    size_t at = hash & (SLOTS - 1);
    for (; matcher->slots[at] != NULL; at = (at + 1) & (SLOTS - 1)) {
        const struct entry *entry = matcher->slots[at];
        if (entry->hash == hash && ms_bytes_equal(entry->type, type))
            break;
    }
    return &matcher->slots[at];
}

static void forget_all(struct ms_matcher *matcher) {
    memset(matcher->slots, 0, sizeof matcher->slots);
    matcher->entry_count = 0;
    ms_arena_reset(&matcher->arena);
}

/* A copy of matcher->uncached; NULL when there is no memory for it. */
static struct entry *copy(struct ms_matcher *matcher, uint64_t hash, struct ms_bytes type) {
    size_t handlers_size = matcher->uncached->handler_count * sizeof(uint16_t);
    struct entry *entry = ms_arena_alloc(&matcher->arena, sizeof *entry + handlers_size + type.len);
    if (entry == NULL)
        return NULL;
    memcpy(entry, matcher->uncached, sizeof *entry);
    memcpy(entry->handlers, matcher->uncached->handlers, handlers_size);
    uint8_t *name = (uint8_t *)entry->handlers + handlers_size;
    if (type.len > 0)
        memcpy(name, type.data, type.len);
    entry->hash = hash;
    entry->type = ms_bytes_of(name, type.len);
    return entry;
}

static const struct entry *find(struct ms_matcher *matcher, struct ms_bytes type) {
    uint64_t hash = ms_hash64(type.data, type.len, 0);
    struct entry **slot = slot_of(matcher, hash, type);
    if (MS_LIKELY(*slot != NULL))
        return *slot;
    work_out(matcher, type);
    if (type.len > MS_PROJECTION_PATTERN_MAX) /* no ordinary one: not worth the others' room */
        return matcher->uncached;
    struct entry *entry = NULL;
    if (matcher->entry_count < MS_PROJECTION_CACHE_TYPES_MAX)
        entry = copy(matcher, hash, type);
    if (entry == NULL) { /* it is full */
        forget_all(matcher);
        slot = slot_of(matcher, hash, type);
        entry = copy(matcher, hash, type);
    }
    if (entry == NULL)
        return matcher->uncached;
    *slot = entry;
    matcher->entry_count++;
    return entry;
}

/* ---- questions ---- */

struct ms_matcher_handlers ms_matcher_handlers(struct ms_matcher *matcher, struct ms_bytes type) {
    const struct entry *entry = find(matcher, type);
    return (struct ms_matcher_handlers){entry->handlers, entry->handler_count};
}

struct ms_matcher_handlers ms_matcher_needs(struct ms_matcher *matcher, struct ms_bytes topic,
                                            struct ms_bytes stream, struct ms_bytes type) {
    const struct ms_projection_definition *definition = matcher->definition;
    const struct entry *entry = find(matcher, type);
    bool needed = entry->handler_count > 0 && !ms_topic_is_the_systems(topic) &&
                  (entry->from_type || source_has(definition, MS_SOURCE_TOPIC, topic) ||
                   (stream.data != NULL && source_has(definition, MS_SOURCE_STREAM, stream)));
    return (struct ms_matcher_handlers){entry->handlers, needed ? entry->handler_count : 0u};
}
