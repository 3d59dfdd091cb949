/* Pages of versions: their bytes, finding and folding them; see versions.h. */
#include "store/versions.h"

#include "base/alloc.h"
#include "base/endian.h"
#include "base/varint.h"
#include "store/internal.h"

#define FORM 1u
#define HEAD_LEN 17u
#define RUN_BYTES_MAX (MS_VARINT64_MAX_BYTES * 2 + MS_VARINT32_MAX_BYTES * 3 + MS_STREAM_ID_LEN)
_Static_assert(HEAD_LEN + MS_VERSIONS_RUNS_MAX * RUN_BYTES_MAX <= MS_VERSIONS_PAGE_BYTES_MAX,
               "a page has room for its runs");

/* The streams of a page, by number. */
struct page_streams {
    uint32_t count;
    const struct ms_index_run *newest[MS_VERSIONS_RUNS_MAX]; /* of each; says its id, too */
    uint16_t slots[MS_VERSIONS_RUNS_MAX * 2];                /* number + 1 by id; 0: free */
};

static uint16_t *slot_of(struct page_streams *streams, const struct ms_stream_id *id) {
    uint64_t hash;
    memcpy(&hash, id->bytes, sizeof hash);
    size_t mask = MS_VERSIONS_RUNS_MAX * 2 - 1, i = (size_t)hash & mask;
    while (streams->slots[i] != 0 && memcmp(streams->newest[streams->slots[i] - 1]->stream.bytes,
                                            id->bytes, MS_STREAM_ID_LEN) != 0)
        i = (i + 1) & mask;
    return &streams->slots[i];
}

/* ---- writing ---- */

static size_t write_run(struct page_streams *streams, const struct ms_index_run *run,
                        uint64_t behind, uint8_t *at) {
    uint16_t *slot = slot_of(streams, &run->stream);
    bool appears = *slot == 0;
    if (appears)
        *slot = (uint16_t)++streams->count;
    uint32_t number = *slot - 1u;
    int64_t first_version = run->last_version - (int64_t)run->record_count + 1;
    MS_ASSERT(run->position >= behind && run->record_count > 0 && first_version >= 0);
    MS_ASSERT(appears || streams->newest[number]->last_version + 1 == first_version);
    streams->newest[number] = run;
    size_t len = ms_uvarint_put(at, run->position - behind);
    len += ms_uvarint_put(at + len, run->record_count);
    len += ms_uvarint_put(at + len, run->partition);
    len += ms_uvarint_put(at + len, number);
    if (appears) {
        memcpy(at + len, run->stream.bytes, MS_STREAM_ID_LEN);
        len += MS_STREAM_ID_LEN;
        len += ms_uvarint_put(at + len, (uint64_t)first_version);
    }
    return len;
}

int ms_versions_page_write(const struct ms_versions_page *page, struct ms_buf *out) {
    struct page_streams *streams = ms_calloc(1, sizeof *streams);
    uint8_t head[HEAD_LEN] = {FORM}, bytes[RUN_BYTES_MAX];
    uint64_t behind = page->first;
    ms_put_be64(head + 1, page->first);
    ms_put_be64(head + 9, page->end);
    int rc = streams != NULL ? ms_buf_append(out, head, sizeof head) : MS_ENOMEM;
    for (size_t i = 0; rc == 0 && i < page->run_count; i++) {
        const struct ms_index_run *run = &page->runs[i];
        rc = ms_buf_append(out, bytes, write_run(streams, run, behind, bytes));
        behind = run->position + run->record_count;
    }
    MS_ASSERT(behind <= page->end);
    ms_free(streams);
    return rc;
}

/* ---- reading ---- */

struct page_bytes {
    struct ms_bytes left;
    bool damaged;
};

static uint64_t take_number(struct page_bytes *bytes, uint64_t max) {
    uint64_t number = 0;
    int len = bytes->damaged ? 0 : ms_uvarint_get(bytes->left.data, bytes->left.len, &number);
    if (len <= 0 || number > max) {
        bytes->damaged = true;
        return 0;
    }
    bytes->left = ms_bytes_of(bytes->left.data + len, bytes->left.len - (size_t)len);
    return number;
}

static void take_id(struct page_bytes *bytes, struct ms_stream_id *ret_id) {
    bytes->damaged |= bytes->left.len < MS_STREAM_ID_LEN;
    if (bytes->damaged)
        return;
    memcpy(ret_id->bytes, bytes->left.data, MS_STREAM_ID_LEN);
    bytes->left =
        ms_bytes_of(bytes->left.data + MS_STREAM_ID_LEN, bytes->left.len - MS_STREAM_ID_LEN);
}

static bool read_run(struct page_bytes *bytes, struct page_streams *streams, uint64_t behind,
                     uint64_t end, struct ms_index_run *run) {
    uint64_t first_version;
    run->position = behind + take_number(bytes, end - behind);
    run->record_count = (uint32_t)take_number(bytes, UINT32_MAX);
    run->partition = (uint16_t)take_number(bytes, MS_TOPIC_PARTITIONS_MAX - 1);
    uint32_t number = (uint32_t)take_number(bytes, streams->count);
    if (bytes->damaged || run->record_count == 0 || run->record_count > end - run->position)
        return false;
    if (number == streams->count) {
        take_id(bytes, &run->stream);
        first_version = take_number(bytes, INT64_MAX - UINT32_MAX);
        streams->count++;
    } else {
        run->stream = streams->newest[number]->stream;
        first_version = (uint64_t)streams->newest[number]->last_version + 1;
    }
    run->last_version = (int64_t)(first_version + run->record_count - 1);
    streams->newest[number] = run;
    return !bytes->damaged;
}

static bool read_page(struct ms_bytes value, struct page_streams *streams,
                      struct ms_versions_page *page) {
    if (value.len < HEAD_LEN || value.data[0] != FORM)
        return false;
    page->first = ms_get_be64(value.data + 1);
    page->end = ms_get_be64(value.data + 9);
    page->run_count = 0;
    struct page_bytes bytes = {.left = ms_bytes_of(value.data + HEAD_LEN, value.len - HEAD_LEN)};
    uint64_t behind = page->first;
    bool good = page->first <= page->end;
    while (good && bytes.left.len > 0) {
        struct ms_index_run *run = &page->runs[page->run_count];
        good = page->run_count < MS_VERSIONS_RUNS_MAX &&
               read_run(&bytes, streams, behind, page->end, run);
        behind = good ? run->position + run->record_count : behind;
        page->run_count += good;
    }
    return good;
}

int ms_versions_page_read(struct ms_bytes value, struct ms_versions_page *ret_page) {
    struct page_streams *streams = ms_calloc(1, sizeof *streams);
    if (streams == NULL)
        return MS_ENOMEM;
    bool good = read_page(value, streams, ret_page);
    ms_free(streams);
    return good ? 0 : MS_ECORRUPT;
}

const struct ms_index_run *ms_versions_page_find(const struct ms_versions_page *page,
                                                 uint64_t position) {
    size_t low = 0, high = page->run_count; /* runs before `low` begin at or before it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (page->runs[middle].position <= position)
            low = middle + 1;
        else
            high = middle;
    }
    const struct ms_index_run *run = low > 0 ? &page->runs[low - 1] : NULL;
    return run != NULL && position - run->position < run->record_count ? run : NULL;
}

/* ---- facts ---- */

void ms_versions_fact_name(uint32_t topic, uint64_t end, uint8_t out[MS_VERSIONS_FACT_NAME_LEN]) {
    memcpy(out, "v/", 2);
    ms_put_be32(out + 2, topic);
    ms_put_be64(out + 6, end);
}

void ms_versions_fact_value(uint64_t position, uint64_t first,
                            uint8_t out[MS_VERSIONS_FACT_VALUE_LEN]) {
    ms_put_be64(out, position);
    ms_put_be64(out + 8, first);
}

struct ms_topic *ms_versions_topic(struct ms_store *store, struct ms_bytes key) {
    return key.len == 4 ? ms_topics_at(store, ms_get_be32(key.data)) : NULL;
}

static void note_end(struct ms_topic *topic, uint64_t end) {
    if (end > atomic_load(&topic->versions_end))
        atomic_store(&topic->versions_end, end);
}

static int load_fact(void *context, struct ms_bytes name, struct ms_bytes value) {
    struct ms_store *store = context;
    if (name.len != MS_VERSIONS_FACT_NAME_LEN || value.len != MS_VERSIONS_FACT_VALUE_LEN)
        return MS_ECORRUPT;
    struct ms_topic *topic = ms_topics_at(store, ms_get_be32(name.data + 2));
    if (topic == NULL)
        return MS_ECORRUPT;
    note_end(topic, ms_get_be64(name.data + 6));
    return 0;
}

int ms_versions_load(struct ms_store *store, struct ms_error *err) {
    struct ms_bytes from = {0};
    return ms_index_fact_list(store->index, MS_BYTES_LITERAL("v/"), from, load_fact, store, err);
}

/* ---- folding ---- */

static int fold_page(struct ms_store *store, const struct ms_versions_page *page,
                     struct ms_topic *topic, uint64_t position) {
    uint8_t name[MS_VERSIONS_FACT_NAME_LEN], value[MS_VERSIONS_FACT_VALUE_LEN];
    ms_versions_fact_name(topic->number, page->end, name);
    ms_versions_fact_value(position, page->first, value);
    struct ms_index_fact fact = {.name = ms_bytes_of(name, sizeof name),
                                 .value = ms_bytes_of(value, sizeof value)};
    int rc = ms_index_adopt(store->index, page->runs, page->run_count);
    if (rc == 0)
        rc = ms_index_apply(store->index, NULL, 0, &fact, 1, position);
    if (rc == 0)
        note_end(topic, page->end);
    return rc;
}

int ms_versions_fold_entry(struct ms_store *store, const struct ms_log_entry *entry,
                           struct ms_error *err) {
    struct ms_versions_page *page = ms_alloc(sizeof *page);
    struct ms_batch_reader batch = {0};
    struct ms_record record;
    int rc = page != NULL ? 0 : ms_error_set(err, MS_ENOMEM, "no memory for versions");
    if (rc == 0)
        rc = ms_batch_reader_init(&batch, entry->batch, MS_VERSIONS_PAGE_BYTES_MAX * 2, err);
    while (rc == 0 && (rc = ms_batch_reader_next(&batch, &record, err)) > 0) {
        struct ms_topic *topic = ms_versions_topic(store, record.key);
        rc = topic != NULL ? ms_versions_page_read(record.value, page) : MS_ECORRUPT;
        if (rc == 0)
            rc = fold_page(store, page, topic, entry->header.first_position);
        if (rc != 0)
            rc = ms_error_set(err, rc, "the page of versions at position %llu can't be folded",
                              (unsigned long long)entry->header.first_position);
    }
    ms_batch_reader_deinit(&batch);
    ms_free(page);
    return rc;
}

/* ---- finding ---- */

void ms_versions_reader_init(struct ms_versions_reader *reader, struct ms_store *store) {
    *reader = (struct ms_versions_reader){.store = store};
}

void ms_versions_reader_deinit(struct ms_versions_reader *reader) {
    ms_log_cursor_deinit(&reader->cursor);
    ms_free(reader->page);
    reader->page = NULL;
}

struct found_page {
    uint64_t position, first;
    bool found;
};

static int take_page(void *context, struct ms_bytes name, struct ms_bytes value) {
    struct found_page *found = context;
    if (name.len != MS_VERSIONS_FACT_NAME_LEN || value.len != MS_VERSIONS_FACT_VALUE_LEN)
        return MS_ECORRUPT;
    *found = (struct found_page){ms_get_be64(value.data), ms_get_be64(value.data + 8), true};
    return 1;
}

static int no_page(uint64_t position, int rc, struct ms_error *err) {
    return ms_error_set(err, rc, "the page of versions at position %llu can't be read",
                        (unsigned long long)position);
}

static int load_page(struct ms_versions_reader *reader, uint32_t topic, uint64_t position,
                     struct ms_error *err) {
    struct ms_batch_reader batch = {0};
    struct ms_log_entry entry;
    struct ms_record record;
    reader->page->topic = 0;
    if (reader->cursor.log == NULL)
        ms_log_cursor_init(&reader->cursor, reader->store->log, position);
    ms_log_cursor_seek(&reader->cursor, position);
    int rc = ms_log_cursor_next(&reader->cursor, &entry, err);
    if (rc < 0)
        return rc;
    if (rc == 0 || entry.header.first_position != position ||
        entry.header.topic != MS_TOPIC_VERSIONS)
        return no_page(position, MS_ECORRUPT, err);
    rc = ms_batch_reader_init(&batch, entry.batch, MS_VERSIONS_PAGE_BYTES_MAX * 2, err);
    if (rc == 0)
        rc = ms_batch_reader_next(&batch, &record, err);
    if (rc > 0)
        rc = ms_versions_page_read(record.value, reader->page);
    else if (rc == 0)
        rc = MS_ECORRUPT;
    ms_batch_reader_deinit(&batch);
    if (rc != 0)
        return no_page(position, rc, err);
    reader->page->topic = topic;
    return 0;
}

/* The page that covers the position; *ret_found false: none does. */
static int turn_to(struct ms_versions_reader *reader, const struct ms_topic *topic,
                   uint64_t position, bool *ret_found, struct ms_error *err) {
    const struct ms_versions_page *page = reader->page;
    *ret_found = page != NULL && page->topic == topic->number && position >= page->first &&
                 position < page->end;
    if (*ret_found || position >= atomic_load(&topic->versions_end))
        return 0;
    if (page == NULL && (reader->page = ms_calloc(1, sizeof *reader->page)) == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for versions");
    struct found_page found = {0};
    uint8_t name[MS_VERSIONS_FACT_NAME_LEN]; /* the first page that ends behind the position */
    ms_versions_fact_name(topic->number, position, name);
    int rc = ms_index_fact_list(reader->store->index, ms_bytes_of(name, 6),
                                ms_bytes_of(name, sizeof name), take_page, &found, err);
    if (rc < 0 || !found.found || found.first > position)
        return rc < 0 ? rc : 0;
    rc = load_page(reader, topic->number, found.position, err);
    *ret_found = rc == 0;
    return rc;
}

int ms_versions_find(struct ms_versions_reader *reader, const struct ms_topic *topic,
                     uint64_t position, int64_t *ret_version, struct ms_error *err) {
    bool found;
    *ret_version = -1;
    int rc = turn_to(reader, topic, position, &found, err);
    if (rc != 0 || !found)
        return rc;
    const struct ms_index_run *run = ms_versions_page_find(reader->page, position);
    if (run != NULL)
        *ret_version =
            run->last_version - (int64_t)(run->position + run->record_count - 1 - position);
    return 0;
}
