/*
 * Iterators: pages read from the store one after the other, handed out event by event.
 *
 * The first page is small, so that short streams cost little, and each next one larger. A forward
 * iterator that is at the end looks again when it is asked again, but reads only if something has
 * been appended since. One thread per iterator.
 */
#include "base/alloc.h"
#include "lib/lib.h"

#define PAGE_FIRST_BYTES ((size_t)8 << 10)
#define PAGE_FIRST_EVENTS 32u
#define PAGE_BYTES_MIN 4096u
#define PAGE_BYTES_DEFAULT ((size_t)128 << 10)
#define PAGE_BYTES_MAX ((size_t)16 << 20)

struct mainstem_iterator {
    struct mainstem_store *store;
    struct ms_arena arena;  /* name and filter */
    struct ms_bytes stream; /* absent: all */
    struct ms_filter filter;
    struct ms_time_travel travel;
    bool backward, from_end;
    bool finished; /* there will never be more */
    bool at_end;   /* there was no more when the store ended at: */
    uint64_t seen_end;
    uint64_t next; /* version or position to go on from */
    uint64_t left; /* of the limit */
    size_t page_bytes, page_bytes_max;
    struct ms_lib_page page;
};

/* ---- pages ---- */

static size_t page_limit(const struct mainstem_iterator *iterator) {
    size_t limit = iterator->page_bytes <= PAGE_FIRST_BYTES ? PAGE_FIRST_EVENTS : SIZE_MAX;
    return iterator->left < limit ? (size_t)iterator->left : limit;
}

static int read_stream(struct mainstem_iterator *iterator, struct ms_error *err) {
    struct ms_stream_read_result result;
    struct ms_stream_read read = {
        .stream = iterator->stream,
        .backward = iterator->backward,
        .from_end = iterator->from_end,
        .from = (int64_t)iterator->next,
        .limit = page_limit(iterator),
        .travel = iterator->travel,
    };
    int rc = ms_store_read_stream(iterator->store->store, &read, ms_lib_page_take, &iterator->page,
                                  &result, err);
    if (rc != 0)
        return rc;
    bool live = result.state == MS_STREAM_LIVE;
    iterator->at_end = result.at_end || !live;
    iterator->finished = iterator->backward && iterator->at_end;
    if (live && result.next >= 0)
        iterator->next = (uint64_t)result.next;
    return 0;
}

static int read_all(struct mainstem_iterator *iterator, struct ms_error *err) {
    struct ms_all_read_result result;
    struct ms_all_read read = {
        .backward = iterator->backward,
        .from_end = iterator->from_end,
        .from = iterator->next,
        .limit = page_limit(iterator),
        .travel = iterator->travel,
        .filter = iterator->filter,
    };
    int rc = ms_store_read_all(iterator->store->store, &read, ms_lib_page_take, &iterator->page,
                               &result, err);
    if (rc != 0)
        return rc;
    iterator->at_end = result.at_end;
    iterator->finished = iterator->backward && result.at_end;
    iterator->next = result.next;
    return 0;
}

static int fill(struct mainstem_iterator *iterator, struct mainstem_error *err) {
    struct ms_error error = {0};
    int rc = ms_lib_enter_blocking(iterator->store, err);
    if (rc != 0)
        return rc;
    if (ms_lib_page_reset(&iterator->page, iterator->page_bytes) != 0)
        return ms_lib_fail(err, MS_ENOMEM, "no memory for a page of events");
    uint64_t end = ms_store_end(iterator->store->store);
    rc = iterator->stream.data != NULL ? read_stream(iterator, &error) : read_all(iterator, &error);
    if (rc != 0) {
        iterator->page.count = 0; /* it is read again, from where the iterator stands */
        return ms_lib_fail_with(err, rc, &error);
    }
    iterator->seen_end = end;
    iterator->from_end = false;
    iterator->left -= iterator->page.count;
    size_t larger = iterator->page_bytes * 8;
    iterator->page_bytes = larger < iterator->page_bytes_max ? larger : iterator->page_bytes_max;
    return 0;
}

static bool can_have_more(const struct mainstem_iterator *iterator) {
    if (iterator->finished || iterator->left == 0)
        return false;
    return !iterator->at_end || ms_store_end(iterator->store->store) != iterator->seen_end;
}

int mainstem_iterator_next(struct mainstem_iterator *iterator,
                           const struct mainstem_recorded_event **ret_event,
                           struct mainstem_error *err) {
    if (MS_UNLIKELY(iterator == NULL || ret_event == NULL))
        return ms_lib_fail(err, MS_EINVAL, "no iterator, or no place for the event");
    struct ms_lib_page *page = &iterator->page;
    while (page->at == page->count) {
        int rc = ms_lib_enter(iterator->store, err);
        if (rc != 0 || !can_have_more(iterator))
            return rc;
        rc = fill(iterator, err);
        if (rc != 0)
            return rc;
    }
    *ret_event = &page->events[page->at++];
    return 1;
}

/* ---- life ---- */

static int take_travel(const struct mainstem_read_options *options, struct ms_time_travel *travel,
                       struct mainstem_error *err) {
    travel->time_ms = options->time_ms;
    travel->position = options->position;
    switch (options->as_of) {
    case MAINSTEM_AS_OF_NOW:
        travel->kind = MS_AS_OF_NOW;
        return 0;
    case MAINSTEM_AS_OF_TIME:
        travel->kind = MS_AS_OF_TIME;
        return 0;
    case MAINSTEM_AS_OF_POSITION:
        travel->kind = MS_AS_OF_POSITION;
        return 0;
    case MAINSTEM_KNOWN_AT:
        travel->kind = MS_KNOWN_AT;
        return 0;
    default: /* any number can come in */
        return ms_lib_fail(err, MS_EINVAL, "read options: as_of %u is none", options->as_of);
    }
}

static int take_page_bytes(struct mainstem_iterator *iterator, uint32_t page_bytes,
                           struct mainstem_error *err) {
    if (page_bytes != 0 && (page_bytes < PAGE_BYTES_MIN || page_bytes > PAGE_BYTES_MAX))
        return ms_lib_fail(err, MS_EINVAL, "read options: page_bytes %u is not within %u to %zu",
                           page_bytes, PAGE_BYTES_MIN, PAGE_BYTES_MAX);
    iterator->page_bytes_max = page_bytes != 0 ? page_bytes : PAGE_BYTES_DEFAULT;
    iterator->page_bytes =
        iterator->page_bytes_max < PAGE_FIRST_BYTES ? iterator->page_bytes_max : PAGE_FIRST_BYTES;
    return 0;
}

static int take_read_options(struct mainstem_iterator *iterator,
                             const struct mainstem_read_options *options,
                             struct mainstem_error *err) {
    struct mainstem_read_options given;
    int rc = ms_lib_take_options("read options", options, &given, sizeof given, err);
    if (rc == 0)
        rc = take_travel(&given, &iterator->travel, err);
    if (rc == 0)
        rc = take_page_bytes(iterator, given.page_bytes, err);
    if (rc == 0)
        rc = ms_lib_filter(given.filter, &iterator->arena, &iterator->filter, err);
    if (rc != 0)
        return rc;
    if (iterator->stream.data != NULL && given.filter != NULL)
        return ms_lib_fail(err, MS_EINVAL, "read options: a filter is for reading all events");
    if (given.from != MAINSTEM_END && given.from > INT64_MAX)
        return ms_lib_fail(err, MS_EINVAL, "read options: no event is at %llu",
                           (unsigned long long)given.from);
    iterator->backward = given.backward != 0;
    iterator->from_end = given.from == MAINSTEM_END;
    iterator->next = given.from == MAINSTEM_END ? 0 : given.from;
    iterator->left = given.limit != 0 ? given.limit : UINT64_MAX;
    return 0;
}

/* Forward from the end means: from the end as it is now, not as it is at the first call of next. */
static int place_at_end(struct mainstem_iterator *iterator, struct mainstem_error *err) {
    struct ms_error error = {0};
    struct ms_stream_read_result result;
    struct ms_stream_read read = {.stream = iterator->stream};
    iterator->from_end = false;
    if (iterator->stream.data == NULL) {
        iterator->next = ms_store_end(iterator->store->store);
        return 0;
    }
    int rc = ms_store_read_stream(iterator->store->store, &read, NULL, NULL, &result, &error);
    if (rc != 0)
        return ms_lib_fail_with(err, rc, &error);
    iterator->next = (uint64_t)(result.head + 1);
    return 0;
}

static int read_new(struct mainstem_store *store, const char *stream,
                    const struct mainstem_read_options *options,
                    struct mainstem_iterator **ret_iterator, struct mainstem_error *err) {
    struct mainstem_iterator *iterator = ms_calloc(1, sizeof *iterator);
    if (iterator == NULL)
        return ms_lib_fail(err, MS_ENOMEM, "no memory for an iterator");
    iterator->store = store;
    ms_arena_init(&iterator->arena, (size_t)1 << 20);
    int rc = 0;
    if (stream != NULL) {
        iterator->stream = ms_bytes_cstr(stream);
        iterator->stream.data =
            (const uint8_t *)ms_arena_strdup(&iterator->arena, iterator->stream);
        if (iterator->stream.data == NULL)
            rc = ms_lib_fail(err, MS_ENOMEM, "no memory for an iterator");
    }
    if (rc == 0)
        rc = take_read_options(iterator, options, err);
    if (rc == 0 && iterator->from_end && !iterator->backward)
        rc = place_at_end(iterator, err);
    if (rc != 0) {
        mainstem_iterator_free(iterator);
        return rc;
    }
    *ret_iterator = iterator;
    return 0;
}

int mainstem_read_stream(struct mainstem_store *store, const char *stream,
                         const struct mainstem_read_options *options,
                         struct mainstem_iterator **ret_iterator, struct mainstem_error *err) {
    int rc = ms_lib_enter_blocking(store, err);
    if (rc != 0)
        return rc;
    if (stream == NULL || ret_iterator == NULL)
        return ms_lib_fail(err, MS_EINVAL, "no stream is named, or no place for the iterator");
    return read_new(store, stream, options, ret_iterator, err);
}

int mainstem_read_all(struct mainstem_store *store, const struct mainstem_read_options *options,
                      struct mainstem_iterator **ret_iterator, struct mainstem_error *err) {
    int rc = ms_lib_enter_blocking(store, err);
    if (rc != 0)
        return rc;
    if (ret_iterator == NULL)
        return ms_lib_fail(err, MS_EINVAL, "no place for the iterator");
    return read_new(store, NULL, options, ret_iterator, err);
}

void mainstem_iterator_free(struct mainstem_iterator *iterator) {
    if (iterator == NULL)
        return;
    ms_lib_page_deinit(&iterator->page);
    ms_arena_deinit(&iterator->arena);
    ms_free(iterator);
}
