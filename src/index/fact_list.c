/* The facts of one overlay generation; see fact_list.h. Threads: as the generation's. */
#include "index/fact_list.h"

/* One fact in four is one level higher. Decided by the name: no randomness, no state. */
static uint8_t height_of(struct ms_bytes name) {
    uint64_t hash = ms_hash64(name.data, name.len, 0);
    uint8_t height = 1;
    while (height < MS_FACT_HEIGHT_MAX && (hash & 3) == 0) {
        height++;
        hash >>= 2;
    }
    return height;
}

/* The last link on each level that points at or past `name` (or past it, when `after`). */
static struct ms_overlay_fact **find_links(struct ms_fact_list *list, struct ms_bytes name,
                                           bool after,
                                           struct ms_overlay_fact **links[MS_FACT_HEIGHT_MAX]) {
    struct ms_overlay_fact **level = list->first;
    for (size_t i = MS_FACT_HEIGHT_MAX; i-- > 0;) {
        while (level[i]) {
            int order = ms_bytes_compare(level[i]->name, name);
            if (order > 0 || (order == 0 && !after))
                break;
            level = level[i]->next;
        }
        if (links)
            links[i] = &level[i];
    }
    return &level[0];
}

static int set_value(struct ms_arena *arena, struct ms_overlay_fact *fact,
                     const struct ms_index_fact *from) {
    size_t len = from->remove ? 0 : from->value.len;
    if (len > fact->value_capacity) {
        uint8_t *value = ms_arena_alloc(arena, len);
        if (!value)
            return MS_ENOMEM;
        fact->value = value;
        fact->value_capacity = len;
    }
    if (len)
        memcpy(fact->value, from->value.data, len);
    fact->value_len = len;
    fact->removed = from->remove;
    return 0;
}

int ms_fact_list_put(struct ms_fact_list *list, struct ms_arena *arena,
                     const struct ms_index_fact *from) {
    struct ms_overlay_fact **links[MS_FACT_HEIGHT_MAX];
    struct ms_overlay_fact *fact = *find_links(list, from->name, false, links);
    if (fact && ms_bytes_equal(fact->name, from->name))
        return set_value(arena, fact, from);
    uint8_t height = height_of(from->name);
    size_t header = sizeof *fact + height * sizeof(struct ms_overlay_fact *);
    fact = ms_arena_alloc(arena, header + from->name.len);
    if (!fact)
        return MS_ENOMEM;
    uint8_t *name = (uint8_t *)fact + header;
    if (from->name.len)
        memcpy(name, from->name.data, from->name.len);
    *fact = (struct ms_overlay_fact){.name = {name, from->name.len}, .height = height};
    int rc = set_value(arena, fact, from);
    if (rc)
        return rc;
    for (size_t i = 0; i < height; i++) {
        fact->next[i] = *links[i];
        *links[i] = fact;
    }
    list->count++;
    return 0;
}

const struct ms_overlay_fact *ms_fact_list_find(const struct ms_fact_list *list,
                                                struct ms_bytes name) {
    const struct ms_overlay_fact *fact = ms_fact_list_seek(list, name, false);
    return fact && ms_bytes_equal(fact->name, name) ? fact : NULL;
}

const struct ms_overlay_fact *ms_fact_list_seek(const struct ms_fact_list *list,
                                                struct ms_bytes name, bool after) {
    /* Without an array for the links nothing in the list can be changed. */
    return *find_links((struct ms_fact_list *)list, name, after, NULL);
}
