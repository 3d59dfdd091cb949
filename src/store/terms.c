/*
 * Terms: what the events of a batch can be found by. Each is a hash of a type, a tag, a correlation
 * id or the topic (ms_index_term); a batch has each of its terms once. Any thread.
 */
#include <stdlib.h>

#include "store/internal.h"

static int add_term(struct ms_term_list *list, uint64_t term) {
    /* Runs of the same type and tags are the common case of a batch. */
    for (size_t i = list->count; i > 0 && i + 4 > list->count; i--)
        if (list->terms[i - 1] == term)
            return 0;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        uint64_t *terms = ms_arena_alloc(list->arena, capacity * sizeof *terms);
        if (terms == NULL)
            return MS_ENOMEM;
        if (list->count > 0)
            memcpy(terms, list->terms, list->count * sizeof *terms);
        list->terms = terms;
        list->capacity = capacity;
    }
    list->terms[list->count++] = term;
    return 0;
}

static int add_tag_terms(struct ms_term_list *list, struct ms_bytes tags) {
    int rc = 0;
    while (rc == 0 && tags.len > 0) {
        const uint8_t *comma = memchr(tags.data, ',', tags.len);
        size_t len = comma != NULL ? (size_t)(comma - tags.data) : tags.len;
        rc = add_term(list, ms_index_term(MS_TERM_TAG, ms_bytes_of(tags.data, len)));
        size_t step = comma != NULL ? len + 1 : len;
        tags = ms_bytes_of(tags.data + step, tags.len - step);
    }
    return rc;
}

int ms_terms_add_event(struct ms_term_list *list, const struct ms_event *event) {
    int rc = 0;
    if (event->type.data != NULL)
        rc = add_term(list, ms_index_term(MS_TERM_TYPE, event->type));
    if (rc == 0 && event->tags.len > 0)
        rc = add_tag_terms(list, event->tags);
    /* An event's own id as its correlation is not stored (event.h), so it isn't a term either. */
    if (rc == 0 && event->correlation_id.data != NULL &&
        !ms_bytes_equal(event->correlation_id, event->id))
        rc = add_term(list, ms_index_term(MS_TERM_CORRELATION, event->correlation_id));
    return rc;
}

int ms_terms_add_topic(struct ms_term_list *list, const struct ms_topic *topic) {
    int rc = add_term(list, ms_index_term(MS_TERM_TOPIC, ms_bytes_of(topic->id.bytes, 16)));
    /* What a record without a type is read back with (decode.c). */
    struct ms_bytes name = ms_bytes_of(topic->name, topic->name_len);
    if (rc == 0 && list->untyped)
        rc = add_term(list, ms_index_term(MS_TERM_TYPE, name));
    return rc;
}

int ms_terms_add_record(struct ms_term_list *list, const struct ms_record *record,
                        struct ms_arena *scratch) {
    struct ms_event event = {0};
    int rc = 0;
    if (record->header_count > 0) {
        ms_arena_reset(scratch);
        rc = ms_event_read_record(record, scratch, &event);
    }
    list->untyped |= event.type.data == NULL;
    return rc == 0 ? ms_terms_add_event(list, &event) : rc;
}

static int compare_terms(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void ms_terms_distinct(struct ms_term_list *list) {
    if (list->count <= 4)
        return; /* add_term has seen to it */
    qsort(list->terms, list->count, sizeof *list->terms, compare_terms);
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++)
        if (list->terms[i] != list->terms[kept - 1])
            list->terms[kept++] = list->terms[i];
    list->count = kept;
}

int ms_batch_terms(struct ms_bytes batch, const struct ms_topic *topic, struct ms_arena *arena,
                   const uint64_t **ret_terms, size_t *ret_count) {
    struct ms_term_list list = {.arena = arena};
    struct ms_batch_reader reader = {0};
    struct ms_arena scratch;
    ms_arena_init(&scratch, (size_t)1 << 20);
    int rc = ms_batch_reader_init(&reader, batch, (size_t)1 << 30, NULL);
    struct ms_record record;
    while (rc == 0 && (rc = ms_batch_reader_next(&reader, &record, NULL)) > 0) {
        rc = ms_terms_add_record(&list, &record, &scratch);
        if (rc != 0)
            break;
    }
    if (rc == 0)
        rc = ms_terms_add_topic(&list, topic);
    ms_batch_reader_deinit(&reader);
    ms_arena_deinit(&scratch);
    if (rc != 0)
        return rc;
    ms_terms_distinct(&list);
    *ret_terms = list.terms;
    *ret_count = list.count;
    return 0;
}
