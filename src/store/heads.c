/*
 * Stream heads: what the sequencer must know of a stream to judge a condition, for the streams that
 * are in use. A bounded hash table with clock eviction; guarded by the log's lock.
 *
 * 256 shards by the last byte of the id: one that is full doubles alone, so that no append waits
 * until all of a million heads have been moved.
 *
 * A stream that is not in the table is resolved from the index, without the lock, and brought in.
 * Only heads that the index fully covers are evicted, and `evicted_end` remembers how new the
 * newest of them was: a resolution that began before that point can't be trusted and is done again.
 */
#include "base/alloc.h"
#include "store/internal.h"

#define SHARD_CAPACITY_MIN 8u
#define EVICTION_STEPS_MAX 4096u

void ms_heads_init(struct ms_heads *heads, size_t count_max) {
    *heads = (struct ms_heads){.count_max = count_max};
}

void ms_heads_deinit(struct ms_heads *heads) {
    for (size_t i = 0; i < MS_HEADS_SHARDS; i++)
        ms_free(heads->shards[i].table);
    *heads = (struct ms_heads){0};
}

static struct ms_heads_shard *shard_of(struct ms_heads *heads, const struct ms_stream_id *id) {
    return &heads->shards[id->bytes[MS_STREAM_ID_LEN - 1]];
}

/* Stream ids are hashes already. */
static uint64_t hash_of(const struct ms_stream_id *id) {
    uint64_t hash;
    memcpy(&hash, id->bytes, sizeof hash);
    return hash;
}

static size_t home_of(const struct ms_heads_shard *shard, const struct ms_stream_id *id) {
    return (size_t)hash_of(id) & (shard->capacity - 1);
}

void ms_heads_prefetch(const struct ms_heads *heads, const struct ms_stream_id *id) {
    const struct ms_heads_shard *shard = &heads->shards[id->bytes[MS_STREAM_ID_LEN - 1]];
    ms_shard_hint_fetch(&shard->hint, hash_of(id), sizeof *shard->table);
}

struct ms_head *ms_heads_find(struct ms_heads *heads, const struct ms_stream_id *id) {
    struct ms_heads_shard *shard = shard_of(heads, id);
    if (shard->table == NULL)
        return NULL;
    for (size_t i = home_of(shard, id);; i = (i + 1) & (shard->capacity - 1)) {
        struct ms_head *head = &shard->table[i];
        if (!head->used)
            return NULL;
        if (memcmp(head->id.bytes, id->bytes, MS_STREAM_ID_LEN) == 0) {
            head->referenced = true;
            return head;
        }
    }
}

static struct ms_head *place_for(struct ms_heads_shard *shard, const struct ms_stream_id *id) {
    size_t i = home_of(shard, id);
    while (shard->table[i].used)
        i = (i + 1) & (shard->capacity - 1);
    return &shard->table[i];
}

/* Backward-shift deletion keeps probe sequences whole. */
static void remove_at(struct ms_heads_shard *shard, size_t hole) {
    size_t mask = shard->capacity - 1;
    for (size_t i = (hole + 1) & mask; shard->table[i].used; i = (i + 1) & mask) {
        size_t home = home_of(shard, &shard->table[i].id);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            shard->table[hole] = shard->table[i];
            hole = i;
        }
    }
    shard->table[hole].used = false;
    shard->count--;
}

/* The place under the clock's hand, which goes on to the next; NULL at the end of a shard. */
static struct ms_head *tick(struct ms_heads *heads, struct ms_heads_shard *shard, size_t *ret_at) {
    if (heads->hand >= shard->capacity) {
        heads->hand = 0;
        heads->hand_shard = (heads->hand_shard + 1) % MS_HEADS_SHARDS;
        return NULL;
    }
    *ret_at = heads->hand++;
    return &shard->table[*ret_at];
}

static bool evict_one(struct ms_heads *heads, uint64_t applied) {
    for (size_t step = 0; step < EVICTION_STEPS_MAX; step++) {
        struct ms_heads_shard *shard = &heads->shards[heads->hand_shard];
        size_t at = 0;
        struct ms_head *head = tick(heads, shard, &at);
        if (head == NULL || !head->used || head->end_position > applied)
            continue;
        if (head->referenced) {
            head->referenced = false;
            continue;
        }
        if (head->end_position > heads->evicted_end)
            heads->evicted_end = head->end_position;
        remove_at(shard, at);
        heads->count--;
        return true;
    }
    return false;
}

static int grow(struct ms_heads *heads, struct ms_heads_shard *shard) {
    struct ms_heads_shard bigger = {.capacity = shard->capacity > 0 ? shard->capacity * 2
                                                                    : SHARD_CAPACITY_MIN};
    bigger.table = ms_calloc(bigger.capacity, sizeof *bigger.table);
    if (bigger.table == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; i < shard->capacity; i++)
        if (shard->table[i].used)
            *place_for(&bigger, &shard->table[i].id) = shard->table[i];
    ms_free(shard->table);
    heads->capacity += bigger.capacity - shard->capacity;
    shard->table = bigger.table;
    shard->capacity = bigger.capacity;
    ms_shard_hint_set(&shard->hint, shard->table, shard->capacity);
    return 0;
}

int ms_heads_add(struct ms_heads *heads, const struct ms_head *head, uint64_t applied,
                 struct ms_head **ret_head) {
    struct ms_heads_shard *shard = shard_of(heads, &head->id);
    if (heads->count >= heads->count_max)
        (void)evict_one(heads, applied); /* over the bound only as long as the index lags */
    if ((shard->count + 1) * 4 > shard->capacity * 3 && grow(heads, shard) != 0)
        return MS_ENOMEM;
    struct ms_head *place = place_for(shard, &head->id);
    *place = *head;
    place->used = true;
    place->referenced = true;
    shard->count++;
    heads->count++;
    *ret_head = place;
    return 0;
}

void ms_heads_adopt(struct ms_heads *heads, const struct ms_index_run *runs, size_t count,
                    uint64_t end) {
    if (end > heads->evicted_end)
        heads->evicted_end = end; /* whoever has resolved one looks again */
    for (size_t i = 0; i < count; i++) {
        struct ms_head *head = ms_heads_find(heads, &runs[i].stream);
        if (head == NULL)
            continue;
        head->version = runs[i].last_version;
        head->end_position = end;
        head->partition_plus_1 = (uint16_t)(runs[i].partition + 1);
    }
}

static int find_version(struct ms_store *store, struct ms_head *head, struct ms_error *err) {
    struct ms_index_place place;
    size_t count = 0;
    int rc = ms_index_stream_scan(store->index, &head->id, INT64_MAX, true, 1, &place, &count, err);
    if (rc == 0 && count == 1) {
        head->version = place.last_version;
        head->end_position = place.position + place.record_count;
        head->partition_plus_1 = (uint16_t)(place.partition + 1);
    }
    return rc;
}

/* MS_ENOTFOUND: there never were any. */
static int find_rules(struct ms_store *store, struct ms_head *head, struct ms_error *err) {
    char name[MS_FACT_NAME_MAX];
    struct ms_buf value;
    ms_buf_init(&value, 256);
    size_t name_len = ms_rules_fact_name(&head->id, name);
    int rc = ms_index_fact_get(store->index, ms_bytes_of(name, name_len), &value, err);
    if (rc == 0)
        rc = ms_rules_read(ms_buf_bytes(&value), &head->rules);
    ms_buf_deinit(&value);
    return rc;
}

int ms_heads_resolve(struct ms_store *store, const struct ms_stream_id *id,
                     struct ms_head *ret_head, struct ms_error *err) {
    struct ms_head head = {.id = *id, .version = -1, .rules = MS_STREAM_RULES_NONE};
    int rc = find_version(store, &head, err);
    /* Of one moment: the version was the same before and after the rules were looked up. */
    for (int64_t before = INT64_MIN; rc == 0 && before != head.version;) {
        before = head.version;
        rc = find_rules(store, &head, err);
        if (rc == MS_ENOTFOUND) {
            rc = 0;
            break;
        }
        if (rc == 0)
            rc = find_version(store, &head, err);
    }
    if (rc == 0)
        *ret_head = head;
    return rc;
}

enum ms_stream_state ms_head_state(int64_t version, const struct ms_stream_rules *rules) {
    if (rules->tombstoned)
        return MS_STREAM_TOMBSTONED;
    if (rules->deleted_head >= 0 && rules->deleted_head == version)
        return MS_STREAM_DELETED;
    return version < 0 ? MS_STREAM_NONE : MS_STREAM_LIVE;
}
