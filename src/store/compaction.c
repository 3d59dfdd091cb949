/* The newest record of each key; see compaction.h. */
#include "store/compaction.h"

#include "base/alloc.h"

#define CAPACITY_MIN 64u
#define DECOMPRESSED_MAX ((size_t)1 << 30)
#define WALK_ENDS 1

enum kind { OF_KEY = 'k', OF_PRODUCER = 'p', OF_MARKER = 'm' };

/* ---- the map ---- */

static struct ms_hash128 hash_of(const struct ms_compaction *c, enum kind kind, uint32_t topic,
                                 uint16_t partition, struct ms_bytes key) {
    uint8_t prefix[8] = {(uint8_t)kind};
    memcpy(prefix + 1, &topic, 4);
    memcpy(prefix + 5, &partition, 2);
    return ms_hash128_pair(ms_bytes_of(prefix, sizeof prefix), key, c->store->stream_seed);
}

static uint64_t high_word(const struct ms_hash128 *hash) {
    uint64_t high;
    memcpy(&high, hash->bytes, sizeof high);
    return high;
}

static bool in_range(const struct ms_compaction *c, const struct ms_hash128 *hash) {
    uint64_t high = high_word(hash);
    return high >= c->from && (c->to == 0 || high < c->to);
}

static struct ms_compaction_slot *slot_of(const struct ms_compaction *c,
                                          const struct ms_hash128 *hash) {
    uint64_t low;
    memcpy(&low, hash->bytes + 8, sizeof low);
    size_t mask = c->capacity - 1, i = (size_t)low & mask;
    while (c->slots[i].newest != 0 && memcmp(&c->slots[i].key, hash, sizeof *hash) != 0)
        i = (i + 1) & mask;
    return &c->slots[i];
}

/* Moves what is in range to a table of its own. */
static int rebuild(struct ms_compaction *c, size_t capacity) {
    struct ms_compaction_slot *old = c->slots;
    size_t old_capacity = c->capacity;
    struct ms_compaction_slot *slots = ms_calloc(capacity, sizeof *slots);
    if (slots == NULL)
        return MS_ENOMEM;
    c->slots = slots;
    c->capacity = capacity;
    c->count = 0;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].newest != 0 && in_range(c, &old[i].key)) {
            *slot_of(c, &old[i].key) = old[i];
            c->count++;
        }
    ms_free(old);
    return 0;
}

static int make_room(struct ms_compaction *c) {
    int rc = 0;
    while (rc == 0 && (c->count + 1) * 4 > c->capacity * 3) {
        if (c->capacity < c->capacity_max) {
            rc = rebuild(c, c->capacity * 2);
            continue;
        }
        uint64_t width = (c->to == 0 ? UINT64_MAX : c->to) - c->from;
        if (width < 2)
            return MS_ENOMEM;
        c->to = c->from + width / 2;
        rc = rebuild(c, c->capacity);
    }
    return rc;
}

/* Offsets come in order. */
static int note(struct ms_compaction *c, const struct ms_hash128 *hash, int64_t offset) {
    if (!in_range(c, hash))
        return 0;
    struct ms_compaction_slot *slot = slot_of(c, hash);
    bool older = slot->newest != 0;
    if (!older) {
        int rc = make_room(c);
        if (rc != 0 || !in_range(c, hash))
            return rc;
        slot = slot_of(c, hash);
        slot->key = *hash;
        c->count++;
    }
    slot->newest = ((uint64_t)offset << 1 | older) + 1;
    return 0;
}

/* ---- the pass ---- */

static bool writer_leaves(struct ms_compaction_writers *writers, int64_t id) {
    for (size_t i = 0; i < writers->count; i++)
        if (writers->ids[i] == id) {
            writers->ids[i] = writers->ids[--writers->count];
            return true;
        }
    return writers->overflown;
}

static void writer_comes(struct ms_compaction_writers *writers, int64_t id) {
    for (size_t i = 0; i < writers->count; i++)
        if (writers->ids[i] == id)
            return;
    if (writers->count < MS_COMPACTION_WRITERS_MAX)
        writers->ids[writers->count++] = id;
    else
        writers->overflown = true;
}

static struct ms_hash128 hash_of_marker(const struct ms_compaction *c,
                                        const struct ms_log_entry *entry) {
    return hash_of(c, OF_MARKER, entry->header.topic, entry->header.partition,
                   ms_bytes_of(&entry->first_offset, sizeof entry->first_offset));
}

static int note_marker(struct ms_compaction *c, const struct ms_log_entry *entry) {
    if (writer_leaves(c->writers, c->batch.header.producer_id))
        return 0;
    struct ms_hash128 hash = hash_of_marker(c, entry);
    return note(c, &hash, entry->first_offset);
}

static int note_producer(struct ms_compaction *c, const struct ms_log_entry *entry) {
    int64_t id = c->batch.header.producer_id;
    if (id < 0 || c->now_ms - entry->commit_time_ms > MS_PRODUCER_IDLE_MS)
        return 0;
    struct ms_hash128 hash = hash_of(c, OF_PRODUCER, entry->header.topic, entry->header.partition,
                                     ms_bytes_of(&id, sizeof id));
    return note(c, &hash, entry->first_offset);
}

static int note_keys(struct ms_compaction *c, const struct ms_log_entry *entry,
                     struct ms_error *err) {
    struct ms_record record;
    int rc = 0;
    while (rc == 0 && (rc = ms_batch_reader_next(&c->batch, &record, err)) > 0) {
        rc = 0;
        if (record.key_is_null)
            continue;
        struct ms_hash128 hash =
            hash_of(c, OF_KEY, entry->header.topic, entry->header.partition, record.key);
        rc = note(c, &hash, record.offset);
        if (rc != 0)
            return ms_error_set(err, rc, "no memory to compact topics");
    }
    return rc;
}

static int visit_entry(void *context, const struct ms_log_entry *entry, struct ms_error *err) {
    struct ms_compaction *c = context;
    if (entry->first_offset >= c->fates->stable)
        return WALK_ENDS;
    int rc = c->on_read != NULL ? c->on_read(c->context, entry->batch.len, err) : 0;
    if (rc == 0)
        rc = ms_batch_reader_init(&c->batch, entry->batch, DECOMPRESSED_MAX, err);
    if (rc != 0)
        return rc;
    bool marker = (entry->header.flags & MS_ENTRY_CONTROL) != 0;
    int64_t producer_id = c->batch.header.producer_id;
    rc = marker ? note_marker(c, entry) : note_producer(c, entry);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory to compact topics");
    if (marker)
        return 0;
    if (entry->header.flags & MS_ENTRY_PENDING) {
        writer_comes(c->writers, producer_id);
        if (ms_fate_of(c->fates, producer_id, entry->first_offset) == MS_FATE_ABORTED)
            return 0;
    }
    return note_keys(c, entry, err);
}

/* From the very beginning: what lies before the start may not be removed yet, and then markers
 * behind it are needed. */
static int read_topic(struct ms_compaction *c, struct ms_partition_reader *reader,
                      struct ms_topic *topic, struct ms_error *err) {
    struct ms_topic_settings settings = ms_topics_settings(c->store, topic);
    int rc = 0;
    if (atomic_load(&topic->deleted) || !ms_compaction_wants(&settings))
        return 0;
    c->any = true;
    for (uint32_t p = 0; rc == 0 && p < settings.partitions; p++) {
        c->writers->count = 0;
        c->writers->overflown = false;
        rc = ms_fates_of(c->fates_table, topic, p, &c->fates, err);
        if (rc == 0)
            rc = ms_partition_walk(reader, topic, p, 0, visit_entry, c, err);
        rc = rc == WALK_ENDS ? 0 : rc;
    }
    return rc;
}

int ms_compaction_build(struct ms_compaction *c, struct ms_error *err) {
    struct ms_partition_reader *reader;
    c->from = c->to;
    c->to = 0;
    c->any = false;
    ms_free(c->slots);
    c->slots = NULL;
    c->capacity = 0;
    if (c->writers == NULL)
        c->writers = ms_alloc(sizeof *c->writers);
    int rc = c->writers != NULL ? rebuild(c, CAPACITY_MIN) : MS_ENOMEM;
    if (rc == 0)
        rc = ms_partition_reader_new(c->store, &reader);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory to compact topics");
    pthread_rwlock_rdlock(&c->store->topics.lock);
    uint32_t end = c->store->topics.next_number;
    pthread_rwlock_unlock(&c->store->topics.lock);
    for (uint32_t number = 1; rc == 0 && number < end; number++) {
        struct ms_topic *topic = ms_topics_at(c->store, number);
        if (topic != NULL)
            rc = read_topic(c, reader, topic, err);
    }
    ms_partition_reader_free(reader);
    return rc;
}

void ms_compaction_init(struct ms_compaction *c, struct ms_store *store,
                        struct ms_fates_table *fates, int64_t now_ms) {
    /* While a table is moved there are two of them. */
    size_t max = store->options.compaction_bytes_max / 2 / sizeof(struct ms_compaction_slot);
    *c = (struct ms_compaction){
        .store = store, .fates_table = fates, .now_ms = now_ms, .capacity_max = CAPACITY_MIN};
    while (c->capacity_max * 2 <= max)
        c->capacity_max *= 2;
}

void ms_compaction_deinit(struct ms_compaction *c) {
    ms_free(c->slots);
    ms_free(c->writers);
    ms_batch_reader_deinit(&c->batch);
    c->slots = NULL;
    c->writers = NULL;
}

/* ---- what it says ---- */

bool ms_compaction_wants(const struct ms_topic_settings *settings) {
    return settings->compact && !settings->streams;
}

bool ms_compaction_removes(const struct ms_compaction *c, const struct ms_topic_settings *settings,
                           const struct ms_log_entry *entry, bool aborted,
                           const struct ms_record *record) {
    int64_t age_ms = c->now_ms - entry->commit_time_ms;
    if (age_ms < settings->compaction_lag_ms)
        return false;
    if (aborted)
        return true;
    if (c->count == 0 || record->key_is_null)
        return false;
    struct ms_hash128 hash =
        hash_of(c, OF_KEY, entry->header.topic, entry->header.partition, record->key);
    if (!in_range(c, &hash))
        return false;
    const struct ms_compaction_slot *slot = slot_of(c, &hash);
    if (slot->newest == 0)
        return false;
    int64_t newest = (int64_t)((slot->newest - 1) >> 1);
    bool older = ((slot->newest - 1) & 1) != 0;
    if (record->offset < newest)
        return true;
    return record->offset == newest && record->value_is_null && !older &&
           age_ms >= settings->delete_retention_ms;
}

/* As long as a producer may go on and nothing but markers tells its epoch, they stay. */
static bool tells_epoch(const struct ms_compaction *c, const struct ms_log_entry *entry,
                        const struct ms_batch_header *header) {
    int64_t id = header->producer_id;
    if (c->now_ms - entry->commit_time_ms > MS_PRODUCER_IDLE_MS)
        return false;
    struct ms_hash128 hash = hash_of(c, OF_PRODUCER, entry->header.topic, entry->header.partition,
                                     ms_bytes_of(&id, sizeof id));
    return !in_range(c, &hash) || slot_of(c, &hash)->newest == 0;
}

bool ms_compaction_removes_marker(const struct ms_compaction *c,
                                  const struct ms_topic_settings *settings,
                                  const struct ms_log_entry *entry,
                                  const struct ms_batch_header *header) {
    int64_t age_ms = c->now_ms - entry->commit_time_ms;
    if (c->count == 0 || age_ms < settings->delete_retention_ms ||
        age_ms < settings->compaction_lag_ms)
        return false;
    struct ms_hash128 hash = hash_of_marker(c, entry);
    return in_range(c, &hash) && slot_of(c, &hash)->newest != 0 && !tells_epoch(c, entry, header);
}

bool ms_compaction_keeps_producer(const struct ms_compaction *c, const struct ms_log_entry *entry,
                                  const struct ms_batch_header *header) {
    int64_t id = header->producer_id;
    if (id < 0 || c->now_ms - entry->commit_time_ms > MS_PRODUCER_IDLE_MS)
        return false;
    struct ms_hash128 hash = hash_of(c, OF_PRODUCER, entry->header.topic, entry->header.partition,
                                     ms_bytes_of(&id, sizeof id));
    if (!in_range(c, &hash) || c->capacity == 0)
        return true;
    const struct ms_compaction_slot *slot = slot_of(c, &hash);
    return slot->newest == 0 || (int64_t)((slot->newest - 1) >> 1) <= entry->first_offset;
}
