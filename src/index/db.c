/* RocksDB as the index uses it; see db.h. Threads: as said there. */
#include "index/db.h"

#include <stdio.h>

#include "base/alloc.h"

/* Sizes for a database that is only ever ingested into: the memtable stays empty. */
#define MEMTABLE_BYTES ((size_t)64 << 10)
#define TARGET_FILE_BYTES ((uint64_t)32 << 20)
#define LEVEL_1_BYTES ((uint64_t)256 << 20)
#define LEVEL_0_COMPACT_FILES 4
/* Far above the index's own bound, which stalls appends visibly (flush.c): RocksDB itself never
 * does. */
#define LEVEL_0_STOP_FILES 64
#define MANIFEST_BYTES_MAX ((size_t)4 << 20)
#define MANIFEST_PREALLOCATED ((size_t)64 << 10)
#define INFO_LOG_BYTES_MAX ((size_t)256 << 10)
#define INFO_LOG_ERRORS_ONLY 3
#define SYNC_STEP_BYTES ((uint64_t)1 << 20)
#define TABLE_FORMAT_VERSION 5
#define CACHE_SHARD_BITS 2
#define TEMPORARY_SUFFIX ".sst.tmp"

/* ---- errors ---- */

static bool says(const char *message, const char *words) { return strstr(message, words) != NULL; }

/* RocksDB's C interface tells kinds of failure apart by words only. */
static int code_of(const char *message) {
    if (says(message, "No space left") || says(message, "Disk quota exceeded"))
        return MS_ENOSPC;
    if (says(message, "lock hold by") || says(message, "Resource temporarily unavailable"))
        return MS_ELOCKED;
    if (says(message, "Cannot allocate memory"))
        return MS_ENOMEM;
    if (strncmp(message, "IO error", 8) == 0 && !says(message, "No such file or directory"))
        return MS_EIO;
    return MS_ECORRUPT;
}

/* Takes over and frees `message`. */
static int fail(char *message, const char *what, struct ms_error *err) {
    int rc = ms_error_set(err, code_of(message), "index: %s: %s", what, message);
    rocksdb_free(message);
    return rc;
}

int ms_index_db_corrupt(const char *what, struct ms_error *err) {
    return ms_error_set(err, MS_ECORRUPT, "index: malformed %s", what);
}

int ms_iterator_status(const rocksdb_iterator_t *iterator, struct ms_error *err) {
    char *message = NULL;
    rocksdb_iter_get_error(iterator, &message);
    return message ? fail(message, "reading", err) : 0;
}

/* ---- bloom filters hold prefixes ---- */

static size_t prefix_len(const char *key, size_t len) {
    if (len >= MS_KEY_STREAM_PREFIX && key[0] == MS_KEY_STREAM)
        return MS_KEY_STREAM_PREFIX;
    if (len >= MS_KEY_TERM_PREFIX && key[0] == MS_KEY_TERM)
        return MS_KEY_TERM_PREFIX;
    return 0;
}

static char *prefix_transform(void *state, const char *key, size_t len, size_t *ret_len) {
    (void)state;
    *ret_len = prefix_len(key, len);
    return (char *)key;
}

static unsigned char prefix_in_domain(void *state, const char *key, size_t len) {
    (void)state;
    return prefix_len(key, len) != 0;
}

static unsigned char prefix_in_range(void *state, const char *key, size_t len) {
    (void)state;
    return len != 0 && prefix_len(key, len) == len;
}

/* On disk: RocksDB uses a file's filter only while the name is the same. */
static const char *prefix_name(void *state) {
    (void)state;
    return "mainstem.index.prefix.1";
}

static void prefix_destroy(void *state) { (void)state; }

/* ---- options ---- */

static void set_table_options(struct ms_index_db *db) {
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_size(table, MS_INDEX_BLOCK_BYTES);
    rocksdb_block_based_options_set_format_version(table, TABLE_FORMAT_VERSION);
    rocksdb_block_based_options_set_block_cache(table, db->cache);
    rocksdb_block_based_options_set_filter_policy(
        table, rocksdb_filterpolicy_create_bloom_full(MS_INDEX_BLOOM_BITS));
    /* Whole filters, not partitioned ones: with those this version's SeekForPrev within a prefix
     * can miss keys at a partition's edge. */
    rocksdb_block_based_options_set_whole_key_filtering(table, 0);
    /* Filters and indexes count against the cache, so that memory is bounded however large it all
     * gets. */
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
    rocksdb_options_set_block_based_table_factory(db->options, table);
    rocksdb_block_based_options_destroy(table);
}

static void set_size_options(rocksdb_options_t *options) {
    rocksdb_options_set_write_buffer_size(options, MEMTABLE_BYTES);
    rocksdb_options_set_max_write_buffer_number(options, 2);
    rocksdb_options_set_target_file_size_base(options, TARGET_FILE_BYTES);
    rocksdb_options_set_max_bytes_for_level_base(options, LEVEL_1_BYTES);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
    rocksdb_options_set_level0_file_num_compaction_trigger(options, LEVEL_0_COMPACT_FILES);
    rocksdb_options_set_level0_slowdown_writes_trigger(options, LEVEL_0_STOP_FILES);
    rocksdb_options_set_level0_stop_writes_trigger(options, LEVEL_0_STOP_FILES);
    rocksdb_options_set_max_manifest_file_size(options, MANIFEST_BYTES_MAX);
    rocksdb_options_set_manifest_preallocation_size(options, MANIFEST_PREALLOCATED);
    rocksdb_options_set_max_open_files(options, MS_INDEX_OPEN_FILES_MAX);
    rocksdb_options_set_max_log_file_size(options, INFO_LOG_BYTES_MAX);
    rocksdb_options_set_keep_log_file_num(options, 1);
}

static void set_options(struct ms_index_db *db) {
    rocksdb_options_t *options = db->options;
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_env(options, db->rocks_env);
    rocksdb_options_set_info_log_level(options, INFO_LOG_ERRORS_ONLY);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    rocksdb_options_set_stats_persist_period_sec(options, 0);
    rocksdb_options_set_max_background_jobs(options, 2);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_options_set_bytes_per_sync(options, SYNC_STEP_BYTES);
    rocksdb_options_set_skip_stats_update_on_db_open(options, 1);
    set_size_options(options);
    rocksdb_options_set_prefix_extractor(
        options, rocksdb_slicetransform_create(NULL, prefix_destroy, prefix_transform,
                                               prefix_in_domain, prefix_in_range, prefix_name));
    set_table_options(db);
}

/* Few shards: a file's filter is one block of a megabyte or more, and one that doesn't fit into a
 * shard would be read again by every lookup. */
static rocksdb_cache_t *make_cache(size_t bytes) {
    rocksdb_lru_cache_options_t *options = rocksdb_lru_cache_options_create();
    rocksdb_lru_cache_options_set_capacity(options, bytes ? bytes : MS_INDEX_CACHE_BYTES_DEFAULT);
    rocksdb_lru_cache_options_set_num_shard_bits(options, CACHE_SHARD_BITS);
    rocksdb_cache_t *cache = rocksdb_cache_create_lru_opts(options);
    rocksdb_lru_cache_options_destroy(options);
    return cache;
}

/* A function of its own, so that tests/tsan.supp can name it: the library's last step is a tail
 * call that the thread sanitizer takes for ours. */
static void lower_compaction_priority(const struct ms_index_db *db) {
    rocksdb_env_lower_thread_pool_cpu_priority(db->rocks_env);
}

static void make_objects(struct ms_index_db *db, size_t cache_bytes) {
    db->rocks_env = db->in_memory ? rocksdb_create_mem_env() : rocksdb_create_default_env();
    if (!db->in_memory)
        lower_compaction_priority(db);
    db->cache = make_cache(cache_bytes);
    db->options = rocksdb_options_create();
    set_options(db);
    db->file_options = rocksdb_envoptions_create();
    db->ingest_options = rocksdb_ingestexternalfileoptions_create();
    rocksdb_ingestexternalfileoptions_set_move_files(db->ingest_options, 1);
    db->read_prefix = rocksdb_readoptions_create();
    rocksdb_readoptions_set_prefix_same_as_start(db->read_prefix, 1);
    db->read_total = rocksdb_readoptions_create();
    rocksdb_readoptions_set_total_order_seek(db->read_total, 1);
}

void ms_index_db_close(struct ms_index_db *db) {
    if (!db)
        return;
    if (db->db) {
        rocksdb_cancel_all_background_work(db->db, 1);
        rocksdb_close(db->db);
    }
    if (db->options) {
        rocksdb_readoptions_destroy(db->read_total);
        rocksdb_readoptions_destroy(db->read_prefix);
        rocksdb_ingestexternalfileoptions_destroy(db->ingest_options);
        rocksdb_envoptions_destroy(db->file_options);
        rocksdb_options_destroy(db->options);
        rocksdb_cache_destroy(db->cache);
        rocksdb_env_destroy(db->rocks_env);
    }
    ms_free(db->dir);
    ms_free(db);
}

/* ---- opening ---- */

static bool ends_with(const char *name, const char *suffix) {
    size_t name_len = strlen(name), suffix_len = strlen(suffix);
    return name_len >= suffix_len && strcmp(name + name_len - suffix_len, suffix) == 0;
}

/* Files to remove before the database is opened: those that were being written when the process
 * ended (before one of that name is written again: its content may by now be a table of the
 * database under another name), and RocksDB's own logs, always empty here, of which this version
 * forgets one an open. */
static bool is_left_over(const struct ms_dir_entry *entry) {
    return ends_with(entry->name, TEMPORARY_SUFFIX) ||
           (ends_with(entry->name, ".log") && entry->size == 0);
}

/* A directory with tables but without CURRENT is damaged, and RocksDB would delete the tables. */
static int look_at_dir(const struct ms_index_db *db, struct ms_error *err) {
    struct ms_dir_entry *entries = NULL;
    size_t count = 0;
    int rc = ms_vfs_list(db->env->vfs, db->dir, &entries, &count, err);
    if (rc)
        return rc;
    bool tables = false, current = false;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        char path[MS_PATH_MAX];
        tables |= ends_with(entries[i].name, ".sst");
        current |= strcmp(entries[i].name, "CURRENT") == 0;
        if (!is_left_over(&entries[i]))
            continue;
        if (ms_path_join(path, db->dir, entries[i].name) != 0)
            rc = ms_error_set(err, MS_EINVAL, "index: path too long");
        else
            rc = ms_vfs_unlink(db->env->vfs, path, err);
    }
    ms_dir_entries_free(entries, count);
    if (rc == 0 && tables && !current)
        rc = ms_error_set(err, MS_ECORRUPT, "index: %s: tables, but no file CURRENT", db->dir);
    return rc;
}

static int read_meta(const struct ms_index_db *db, const struct ms_uuid *store_uuid,
                     uint64_t *ret_applied, struct ms_error *err) {
    rocksdb_iterator_t *iterator = ms_index_db_iterate(db, false);
    rocksdb_iter_seek_to_first(iterator);
    bool empty = !rocksdb_iter_valid(iterator);
    int rc = ms_iterator_status(iterator, err);
    rocksdb_iter_destroy(iterator);
    if (rc)
        return rc;
    if (empty) {
        *ret_applied = 0;
        return 0;
    }
    struct ms_buf meta;
    ms_buf_init(&meta, 1024);
    rc = ms_index_db_get(db, MS_BYTES_LITERAL("M"), &meta, err);
    if (rc == MS_ENOTFOUND || (rc == 0 && meta.len != MS_META_LEN))
        rc = ms_index_db_corrupt("applied position", err);
    if (rc == 0 && memcmp(meta.data + 8, store_uuid->bytes, sizeof store_uuid->bytes) != 0)
        rc = ms_error_set(err, MS_ECORRUPT, "index: %s: of another store", db->dir);
    if (rc == 0 && ms_get_be32(meta.data + 24) != MS_INDEX_FORMAT)
        rc = ms_error_set(err, MS_ECORRUPT, "index: %s: of another format", db->dir);
    if (rc == 0)
        *ret_applied = ms_get_be64(meta.data);
    ms_buf_deinit(&meta);
    return rc;
}

static int open_database(struct ms_index_db *db, const struct ms_uuid *store_uuid,
                         uint64_t *ret_applied, struct ms_error *err) {
    if (!db->in_memory) {
        int rc = ms_vfs_mkdir_all(db->env->vfs, db->dir, err);
        if (rc == 0)
            rc = look_at_dir(db, err);
        if (rc)
            return rc;
    }
    char *message = NULL;
    db->db = rocksdb_open(db->options, db->dir, &message);
    if (message) {
        bool unreadable = says(message, "Input/output error");
        int rc = fail(message, "opening", err);
        return unreadable ? ms_error_set(err, MS_ECORRUPT, "index: %s: can't be read", db->dir)
                          : rc;
    }
    return read_meta(db, store_uuid, ret_applied, err);
}

static int db_new(const struct ms_index_options *options, struct ms_index_db **ret_db,
                  struct ms_error *err) {
    struct ms_index_db *db = ms_calloc(1, sizeof *db);
    char *dir = ms_alloc_strdup(ms_bytes_cstr(options->dir ? options->dir : "/index"));
    if (!db || !dir) {
        ms_free(db);
        ms_free(dir);
        return ms_error_set(err, MS_ENOMEM, "index: out of memory");
    }
    db->env = options->env;
    db->dir = dir;
    db->in_memory = !options->dir;
    make_objects(db, options->block_cache_bytes);
    *ret_db = db;
    return 0;
}

int ms_index_db_open(const struct ms_index_options *options, struct ms_index_db **ret_db,
                     uint64_t *ret_applied, struct ms_error *err) {
    struct ms_index_db *db;
    int rc = db_new(options, &db, err);
    if (rc)
        return rc;
    rc = open_database(db, &options->store_uuid, ret_applied, err);
    if (rc) {
        ms_index_db_close(db);
        return rc;
    }
    *ret_db = db;
    return 0;
}

static int check_there(const struct ms_index_options *options, struct ms_error *err) {
    char path[MS_PATH_MAX];
    struct ms_file *file;
    if (ms_path_join(path, options->dir, "CURRENT") != 0)
        return ms_error_set(err, MS_EINVAL, "index: path too long");
    int rc = ms_vfs_open(options->env->vfs, path, MS_OPEN_READ, &file, err);
    if (rc == 0)
        ms_file_close(file);
    return rc;
}

/* RocksDB keeps a log of its own also where it only reads, unless it has no place for it. */
int ms_index_db_peek(const struct ms_index_options *options, uint64_t *ret_applied,
                     struct ms_error *err) {
    struct ms_index_db *db;
    int rc = check_there(options, err);
    if (rc == 0)
        rc = db_new(options, &db, err);
    if (rc)
        return rc;
    char *message = NULL;
    rocksdb_options_set_db_log_dir(db->options, "/dev/null");
    db->db = rocksdb_open_for_read_only(db->options, db->dir, 0, &message);
    rc = message ? fail(message, "looking into it", err)
                 : read_meta(db, &options->store_uuid, ret_applied, err);
    ms_index_db_close(db);
    return rc;
}

/* The directory that holds `path`. */
static int parent_of(const char *path, char out[MS_PATH_MAX]) {
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len >= MS_PATH_MAX)
        return MS_ETOOBIG;
    bool bare = len <= 1 && path[0] != '/';
    memcpy(out, bare ? "." : path, bare ? 1 : len);
    out[bare ? 1 : len] = '\0';
    return 0;
}

int ms_index_db_move_aside(const struct ms_index_options *options, struct ms_error *err) {
    char parent[MS_PATH_MAX], to[MS_PATH_MAX];
    if (!options->dir)
        return 0;
    if (parent_of(options->dir, parent) != 0)
        return ms_error_set(err, MS_EINVAL, "index: path too long");
    const char *name = strrchr(options->dir, '/');
    name = name ? name + 1 : options->dir;
    size_t name_len = strlen(name);
    struct ms_dir_entry *entries = NULL;
    size_t count = 0;
    int rc = ms_vfs_list(options->env->vfs, parent, &entries, &count, err);
    if (rc)
        return rc;
    bool found = false;
    uint64_t number = 0; /* the highest that is taken */
    for (size_t i = 0; i < count; i++) {
        struct ms_bytes entry = ms_bytes_cstr(entries[i].name);
        uint64_t taken;
        found |= ms_bytes_equal_cstr(entry, name);
        if (entry.len <= name_len + 9 || memcmp(entry.data, name, name_len) != 0 ||
            memcmp(entry.data + name_len, ".damaged-", 9) != 0)
            continue;
        struct ms_bytes digits = {entry.data + name_len + 9, entry.len - name_len - 9};
        if (ms_parse_u64(digits, &taken) == 0 && taken > number)
            number = taken;
    }
    ms_dir_entries_free(entries, count);
    if (!found)
        return 0;
    int len =
        snprintf(to, sizeof to, "%s.damaged-%llu", options->dir, (unsigned long long)number + 1);
    if (len < 0 || (size_t)len >= sizeof to)
        return ms_error_set(err, MS_EINVAL, "index: path too long");
    rc = ms_vfs_rename(options->env->vfs, options->dir, to, err);
    return rc ? rc : ms_vfs_sync_dir(options->env->vfs, parent, err);
}

/* ---- files to ingest ---- */

int ms_index_file_open(struct ms_index_db *db, struct ms_index_file *file, struct ms_error *err) {
    int len = snprintf(file->path, sizeof file->path, "%s/%06llu" TEMPORARY_SUFFIX, db->dir,
                       (unsigned long long)++db->file_number);
    if (len < 0 || (size_t)len >= sizeof file->path)
        return ms_error_set(err, MS_EINVAL, "index: path too long");
    file->db = db;
    file->writer = rocksdb_sstfilewriter_create(db->file_options, db->options);
    char *message = NULL;
    rocksdb_sstfilewriter_open(file->writer, file->path, &message);
    if (!message)
        return 0;
    rocksdb_sstfilewriter_destroy(file->writer);
    return fail(message, "writing", err);
}

int ms_index_file_put(struct ms_index_file *file, struct ms_bytes key, struct ms_bytes value,
                      struct ms_error *err) {
    char *message = NULL;
    rocksdb_sstfilewriter_put(file->writer, (const char *)key.data, key.len,
                              (const char *)value.data, value.len, &message);
    return MS_UNLIKELY(message) ? fail(message, "writing", err) : 0;
}

int ms_index_file_remove(struct ms_index_file *file, struct ms_bytes key, struct ms_error *err) {
    char *message = NULL;
    rocksdb_sstfilewriter_delete(file->writer, (const char *)key.data, key.len, &message);
    return message ? fail(message, "writing", err) : 0;
}

int ms_index_file_ingest(struct ms_index_file *file, struct ms_error *err) {
    char *message = NULL;
    rocksdb_sstfilewriter_finish(file->writer, &message);
    if (message)
        return fail(message, "finishing a file", err);
    const char *paths[] = {file->path};
    rocksdb_ingest_external_file(file->db->db, paths, 1, file->db->ingest_options, &message);
    return message ? fail(message, "ingesting", err) : 0;
}

void ms_index_file_close(struct ms_index_file *file) {
    rocksdb_sstfilewriter_destroy(file->writer);
    /* After an ingest the name is gone already. A name that stays is removed by the next open. */
    if (!file->db->in_memory && ms_vfs_unlink(file->db->env->vfs, file->path, NULL) != 0)
        return;
}

/* ---- reading ---- */

int ms_index_db_get(const struct ms_index_db *db, struct ms_bytes key, struct ms_buf *out,
                    struct ms_error *err) {
    char *message = NULL;
    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned(db->db, db->read_total, (const char *)key.data, key.len, &message);
    if (message)
        return fail(message, "reading", err);
    if (!slice)
        return ms_error_set(err, MS_ENOTFOUND, "index: no such key");
    size_t len;
    const char *value = rocksdb_pinnableslice_value(slice, &len);
    int rc = ms_buf_append(out, value, len);
    rocksdb_pinnableslice_destroy(slice);
    return rc ? ms_error_set(err, rc, "index: no room for a value of %zu bytes", len) : 0;
}

int ms_index_db_last_time(const struct ms_index_db *db, int64_t *ret_ms, struct ms_error *err) {
    uint8_t key[MS_KEY_TIME_LEN];
    ms_key_time(key, INT64_MAX);
    rocksdb_iterator_t *iterator = ms_index_db_iterate(db, false);
    ms_iterator_seek_for_prev(iterator, ms_bytes_of(key, sizeof key));
    int64_t ms = -1;
    if (ms_iterator_is_in(iterator, ms_bytes_of(key, 1)) &&
        ms_iterator_key(iterator).len == MS_KEY_TIME_LEN)
        ms = (int64_t)ms_get_be64(ms_iterator_key(iterator).data + 1);
    int rc = ms_iterator_status(iterator, err);
    rocksdb_iter_destroy(iterator);
    if (rc == 0)
        *ret_ms = ms;
    return rc;
}

uint64_t ms_index_db_property(const struct ms_index_db *db, const char *name) {
    uint64_t value = 0;
    if (rocksdb_property_int(db->db, name, &value) == 0)
        return value;
    /* Some numbers are known as text only: the files of a level. */
    char *text = rocksdb_property_value(db->db, name);
    if (text && ms_parse_u64(ms_bytes_cstr(text), &value) != 0)
        value = 0;
    rocksdb_free(text);
    return value;
}
