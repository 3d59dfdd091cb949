/* From entries back to events, with all that a reader is told of their place. One thread per
 * reader. */
#include <stdio.h>

#include "store/internal.h"

#define DECOMPRESSED_MAX ((size_t)1 << 30)

void ms_entry_reader_init(struct ms_entry_reader *reader, struct ms_store *store) {
    *reader = (struct ms_entry_reader){.store = store};
    ms_versions_reader_init(&reader->versions, store);
    ms_arena_init(&reader->arena, (size_t)1 << 26);
    ms_buf_init(&reader->name, MS_NAME_TEXT_MAX);
    ms_buf_init(&reader->places, (size_t)1 << 28);
}

void ms_entry_reader_deinit(struct ms_entry_reader *reader) {
    ms_log_cursor_deinit(&reader->pending);
    ms_versions_reader_deinit(&reader->versions);
    ms_batch_reader_deinit(&reader->batch);
    ms_arena_deinit(&reader->arena);
    ms_buf_deinit(&reader->name);
    ms_buf_deinit(&reader->places);
}

/* The batch that a commit gives positions to stands where its offsets are. One that retention has
 * removed meanwhile is empty. */
static int find_committed(struct ms_entry_reader *reader, struct ms_error *err) {
    const struct ms_entry_header *header = &reader->entry.header;
    struct ms_store *store = reader->store;
    struct ms_index_offset_place place;
    struct ms_log_entry found;
    int rc = ms_index_offset_find(store->index, header->topic, header->partition,
                                  reader->entry.first_offset, false, &place, err);
    if (rc != 0)
        return rc == MS_ENOTFOUND ? 0 : rc;
    if (reader->pending.log == NULL)
        ms_log_cursor_init(&reader->pending, store->log, place.position);
    ms_log_cursor_seek(&reader->pending, place.position);
    rc = ms_log_cursor_next(&reader->pending, &found, err);
    if (rc > 0 && found.header.topic == header->topic &&
        found.header.partition == header->partition &&
        found.first_offset == reader->entry.first_offset)
        reader->entry.batch = found.batch;
    return rc < 0 ? rc : 0;
}

/* Its records are of streams, and the entry doesn't say so. */
static bool has_versions_apart(const struct ms_entry_reader *reader) {
    const struct ms_entry_header *header = &reader->entry.header;
    return !(header->flags & MS_ENTRY_HAS_STREAM) &&
           header->first_position < atomic_load(&reader->topic->versions_end) &&
           ms_topics_settings(reader->store, reader->topic).streams;
}

int ms_entry_reader_begin(struct ms_entry_reader *reader, const struct ms_log_entry *entry,
                          struct ms_error *err) {
    reader->entry = *entry;
    reader->name_key = (struct ms_bytes){0};
    ms_buf_clear(&reader->places);
    if (reader->topic == NULL || reader->topic->number != entry->header.topic)
        reader->topic = ms_topics_at(reader->store, entry->header.topic);
    if (reader->topic == NULL)
        return ms_error_set(err, MS_ECORRUPT,
                            "position %llu belongs to a topic that was never made",
                            (unsigned long long)entry->header.first_position);
    reader->versions_apart = has_versions_apart(reader);
    int rc = (entry->header.flags & MS_ENTRY_COMMIT) ? find_committed(reader, err) : 0;
    if (rc == 0)
        rc = ms_batch_reader_init(&reader->batch, reader->entry.batch, DECOMPRESSED_MAX, err);
    return rc;
}

/* The stream's text form; the same for all the records of an event-store batch. */
static int name_stream(struct ms_entry_reader *reader, const struct ms_record *record) {
    if (reader->name_key.data != NULL && ms_bytes_equal(reader->name_key, record->key))
        return 0;
    ms_buf_clear(&reader->name);
    reader->name_key = record->key;
    return ms_name_join(ms_bytes_of(reader->topic->name, reader->topic->name_len), record->key,
                        &reader->name);
}

/* A record without envelope is an event too: type = topic, id = topic/partition/offset. */
static void fill_in(struct ms_entry_reader *reader, int64_t offset, struct ms_event *event) {
    if (event->type.data == NULL)
        event->type = ms_bytes_of(reader->topic->name, reader->topic->name_len);
    if (event->id.data != NULL)
        return;
    int len = snprintf(reader->id_text, sizeof reader->id_text, "%s/%u/%lld", reader->topic->name,
                       (unsigned)reader->entry.header.partition, (long long)offset);
    event->id = ms_bytes_of(reader->id_text, (size_t)len);
}

static int find_version(struct ms_entry_reader *reader, const struct ms_record *record,
                        uint64_t position, int64_t *ret_version, struct ms_error *err) {
    const struct ms_entry_header *header = &reader->entry.header;
    *ret_version = -1;
    if (header->flags & MS_ENTRY_HAS_STREAM)
        *ret_version = header->first_version + (int64_t)(position - header->first_position);
    else if (reader->versions_apart && !record->key_is_null)
        return ms_versions_find(&reader->versions, reader->topic, position, ret_version, err);
    return 0;
}

int ms_entry_reader_next(struct ms_entry_reader *reader, struct ms_read_event *ret_event,
                         struct ms_error *err) {
    struct ms_record record;
    int64_t version;
    int rc = ms_batch_reader_next(&reader->batch, &record, err);
    if (rc <= 0)
        return rc;
    const struct ms_log_entry *entry = &reader->entry;
    uint64_t position =
        entry->header.first_position + (uint64_t)(record.offset - entry->first_offset);
    rc = find_version(reader, &record, position, &version, err);
    if (rc != 0)
        return rc;
    ms_arena_reset(&reader->arena);
    rc = ms_event_read_record(&record, &reader->arena, &ret_event->event);
    if (rc == 0 && !record.key_is_null)
        rc = name_stream(reader, &record);
    if (rc != 0)
        return ms_error_set(err, rc, "the event at position %llu can't be decoded",
                            (unsigned long long)position);
    fill_in(reader, record.offset, &ret_event->event);
    ret_event->place = (struct ms_event_place){
        .stream = record.key_is_null ? (struct ms_bytes){0} : ms_buf_bytes(&reader->name),
        .topic = ms_bytes_of(reader->topic->name, reader->topic->name_len),
        .key = record.key,
        .key_is_null = record.key_is_null,
        .partition = entry->header.partition,
        .offset = record.offset,
        .version = version,
        .position = position,
        .recorded_at_us = entry->commit_time_ms * 1000,
    };
    return 1;
}

/* Notes where each record of the batch begins: records can only be found by walking. */
static int note_places(struct ms_entry_reader *reader, struct ms_error *err) {
    struct ms_record record;
    int rc = 1;
    while (rc > 0) {
        size_t at = reader->batch.at;
        rc = ms_batch_reader_next(&reader->batch, &record, err);
        if (rc > 0 && ms_buf_append(&reader->places, &at, sizeof at) != 0)
            rc = ms_error_set(err, MS_ENOMEM, "no memory to read backward");
    }
    return rc;
}

int ms_entry_reader_count(struct ms_entry_reader *reader, size_t *ret_count, struct ms_error *err) {
    int rc = reader->places.len == 0 ? note_places(reader, err) : 0;
    if (rc == 0)
        *ret_count = reader->places.len / sizeof(size_t);
    return rc;
}

int ms_entry_reader_at(struct ms_entry_reader *reader, size_t n, struct ms_read_event *ret_event,
                       struct ms_error *err) {
    MS_ASSERT(n < reader->places.len / sizeof(size_t));
    memcpy(&reader->batch.at, reader->places.data + n * sizeof(size_t), sizeof(size_t));
    reader->batch.next_index = (int32_t)n;
    return ms_entry_reader_next(reader, ret_event, err);
}
