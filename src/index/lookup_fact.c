/*
 * Lookups of facts: newer generation, older generation, RocksDB; the first that knows a name is
 * right.
 *
 * A list merges all three. What the generations say is copied a page at a time under the lock, so
 * that `visit` is called without it.
 *
 * Threads: any.
 */
#include "index/internal.h"

#include "base/alloc.h"

/* Facts copied from the generations at a time; a page has more bytes only when it is one fact. */
#define PAGE_FACTS_MAX 64
#define PAGE_BYTES_WANTED ((size_t)256 << 10)
#define PAGE_BYTES_MAX                                                                             \
    (PAGE_BYTES_WANTED + MS_INDEX_FACT_VALUE_MAX + 2 * (size_t)MS_INDEX_FACT_NAME_MAX)

/* ---- one fact ---- */

/* MS_EAGAIN: the generation doesn't know the name. */
static int get_from(const struct ms_overlay *overlay, struct ms_bytes name, struct ms_buf *out,
                    struct ms_error *err) {
    const struct ms_overlay_fact *fact = overlay ? ms_fact_list_find(&overlay->facts, name) : NULL;
    if (!fact)
        return MS_EAGAIN;
    if (fact->removed)
        return ms_error_set(err, MS_ENOTFOUND, "index: no such fact");
    int rc = ms_buf_append(out, fact->value, fact->value_len);
    return rc ? ms_error_set(err, rc, "index: no room for a fact of %zu bytes", fact->value_len)
              : 0;
}

int ms_index_fact_get(struct ms_index *index, struct ms_bytes name, struct ms_buf *out,
                      struct ms_error *err) {
    uint8_t key[1 + MS_INDEX_FACT_NAME_MAX];
    if (name.len > MS_INDEX_FACT_NAME_MAX)
        return ms_error_set(err, MS_ENOTFOUND, "index: no such fact");
    struct ms_index_view view;
    ms_index_view_take(index, &view);
    ms_index_read_lock(index);
    int rc = get_from(view.newer, name, out, err);
    ms_index_unlock(index);
    if (rc == MS_EAGAIN)
        rc = get_from(view.older, name, out, err);
    if (rc == MS_EAGAIN) {
        key[0] = MS_KEY_FACT;
        if (name.len)
            memcpy(key + 1, name.data, name.len);
        rc = ms_index_db_get(index->db, ms_bytes_of(key, 1 + name.len), out, err);
    }
    ms_index_view_drop(&view);
    return rc;
}

/* ---- lists ---- */

struct page_fact {
    size_t name_at, name_len, value_at, value_len; /* in the page's bytes */
    bool removed;
};

struct fact_list {
    struct ms_index *index;
    struct ms_index_view view;
    struct ms_bytes prefix;
    rocksdb_iterator_t *iterator;
    ms_index_fact_fn *visit;
    void *context;
    struct ms_error *err;
    /* What the generations know next, in name order. */
    struct page_fact facts[PAGE_FACTS_MAX];
    size_t count;
    bool last_page;
    struct ms_buf bytes;
    struct ms_buf after; /* name of the last fact of the page */
};

static int copy_fact(struct fact_list *list, const struct ms_overlay_fact *fact) {
    struct page_fact *copy = &list->facts[list->count];
    copy->name_at = list->bytes.len;
    copy->name_len = fact->name.len;
    int rc = ms_buf_append_bytes(&list->bytes, fact->name);
    copy->value_at = list->bytes.len;
    copy->value_len = fact->value_len;
    copy->removed = fact->removed;
    if (rc == 0)
        rc = ms_buf_append(&list->bytes, fact->value, fact->value_len);
    if (rc == 0)
        list->count++;
    return rc;
}

/* Fills the page with what follows `after` (or, at first, with what begins at the prefix). */
static int copy_page(struct fact_list *list, bool from_prefix) {
    struct ms_bytes from = from_prefix ? list->prefix : ms_buf_bytes(&list->after);
    const struct ms_overlay_fact *newer, *older = NULL;
    int rc = 0;
    list->count = 0;
    ms_buf_clear(&list->bytes);
    ms_index_read_lock(list->index);
    newer = ms_fact_list_seek(&list->view.newer->facts, from, !from_prefix);
    if (list->view.older)
        older = ms_fact_list_seek(&list->view.older->facts, from, !from_prefix);
    while (rc == 0 && (newer || older) && list->count < PAGE_FACTS_MAX &&
           list->bytes.len < PAGE_BYTES_WANTED) {
        int order = !older ? -1 : !newer ? 1 : ms_bytes_compare(newer->name, older->name);
        const struct ms_overlay_fact *fact = order <= 0 ? newer : older;
        if (!ms_bytes_starts_with(fact->name, list->prefix)) {
            newer = older = NULL;
            break;
        }
        rc = copy_fact(list, fact);
        if (order <= 0)
            newer = ms_fact_list_next(newer);
        if (order >= 0)
            older = ms_fact_list_next(older);
    }
    ms_index_unlock(list->index);
    list->last_page = !newer && !older;
    if (rc == 0 && list->count) {
        const struct page_fact *last = &list->facts[list->count - 1];
        ms_buf_clear(&list->after);
        rc = ms_buf_append(&list->after, list->bytes.data + last->name_at, last->name_len);
    }
    return rc ? ms_error_set(list->err, rc, "index: out of memory listing facts") : 0;
}

/* Name of the fact that the iterator stands on; false past the last one of the prefix. */
static bool database_name(const struct fact_list *list, struct ms_bytes *ret_name) {
    if (!rocksdb_iter_valid(list->iterator))
        return false;
    struct ms_bytes key = ms_iterator_key(list->iterator);
    if (key.len == 0 || key.data[0] != MS_KEY_FACT)
        return false;
    *ret_name = ms_bytes_of(key.data + 1, key.len - 1);
    return ms_bytes_starts_with(*ret_name, list->prefix);
}

/* Visits RocksDB's facts up to `until` (all of them when it is NULL); one of that very name is
 * skipped. */
static int visit_database(struct fact_list *list, const struct ms_bytes *until) {
    struct ms_bytes name;
    while (database_name(list, &name)) {
        int order = until ? ms_bytes_compare(name, *until) : -1;
        if (order > 0)
            return 0;
        if (order < 0) {
            int rc = list->visit(list->context, name, ms_iterator_value(list->iterator));
            if (rc)
                return rc;
        }
        rocksdb_iter_next(list->iterator);
    }
    return ms_iterator_status(list->iterator, list->err);
}

static int visit_page(struct fact_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        const struct page_fact *fact = &list->facts[i];
        struct ms_bytes name = ms_bytes_of(list->bytes.data + fact->name_at, fact->name_len);
        int rc = visit_database(list, &name);
        if (rc == 0 && !fact->removed)
            rc = list->visit(list->context, name,
                             ms_bytes_of(list->bytes.data + fact->value_at, fact->value_len));
        if (rc)
            return rc;
    }
    return 0;
}

static int visit_all(struct fact_list *list, struct ms_bytes after) {
    uint8_t key[2 + MS_INDEX_FACT_NAME_MAX] = {MS_KEY_FACT};
    /* From the greater of the two; a name that is `after` itself doesn't count. */
    bool from_prefix = after.len == 0 || ms_bytes_compare(after, list->prefix) < 0;
    struct ms_bytes from = from_prefix ? list->prefix : after;
    if (from.len)
        memcpy(key + 1, from.data, from.len);
    size_t key_len = 1 + from.len + !from_prefix; /* a zero byte more: the next possible name */
    if (!from_prefix) {
        key[key_len - 1] = 0;
        int rc = ms_buf_append_bytes(&list->after, after);
        if (rc)
            return ms_error_set(list->err, rc, "index: out of memory listing facts");
    }
    ms_iterator_seek(list->iterator, ms_bytes_of(key, key_len));
    do {
        int rc = copy_page(list, from_prefix);
        if (rc == 0)
            rc = visit_page(list);
        if (rc)
            return rc;
        from_prefix = false;
    } while (!list->last_page);
    return visit_database(list, NULL);
}

int ms_index_fact_list(struct ms_index *index, struct ms_bytes prefix, struct ms_bytes after,
                       ms_index_fact_fn *visit, void *context, struct ms_error *err) {
    if (prefix.len > MS_INDEX_FACT_NAME_MAX || after.len > MS_INDEX_FACT_NAME_MAX)
        return ms_error_set(err, MS_EINVAL, "index: a fact's name has at most %d bytes",
                            MS_INDEX_FACT_NAME_MAX);
    struct fact_list *list = ms_calloc(1, sizeof *list);
    if (!list)
        return ms_error_set(err, MS_ENOMEM, "index: out of memory listing facts");
    list->index = index;
    list->prefix = prefix;
    list->visit = visit;
    list->context = context;
    list->err = err;
    ms_buf_init(&list->bytes, PAGE_BYTES_MAX);
    ms_buf_init(&list->after, MS_INDEX_FACT_NAME_MAX);
    ms_index_view_take(index, &list->view);
    list->iterator = ms_index_db_iterate(index->db, false);
    int rc = visit_all(list, after);
    rocksdb_iter_destroy(list->iterator);
    ms_index_view_drop(&list->view);
    ms_buf_deinit(&list->after);
    ms_buf_deinit(&list->bytes);
    ms_free(list);
    return rc;
}
