/*
 * RocksDB as the index uses it: opened with little memory and no log of its own, read through
 * iterators, written by ingesting sorted files only.
 *
 * Threads: opening and closing from one; ms_index_db_ingest from one at a time; reading from any.
 */
#pragma once

#include <rocksdb/c.h>
#include <stdatomic.h>

#include "index/keys.h"

/* RocksDB's files open at a time. */
#define MS_INDEX_OPEN_FILES_MAX 512
/* A bloom filter's bits for each stream or term of a file: 1% false positives. */
#define MS_INDEX_BLOOM_BITS 10.0
#define MS_INDEX_BLOCK_BYTES 8192
#define MS_INDEX_CACHE_BYTES_DEFAULT ((size_t)64 << 20)

struct ms_index_db {
    const struct ms_env *env;
    char *dir; /* real, or a name inside RocksDB's memory environment */
    bool in_memory;
    rocksdb_env_t *rocks_env;
    rocksdb_cache_t *cache;
    rocksdb_options_t *options;
    rocksdb_envoptions_t *file_options;
    rocksdb_ingestexternalfileoptions_t *ingest_options;
    rocksdb_readoptions_t *read_prefix; /* within one 'S' or 'T' prefix, with bloom filters */
    rocksdb_readoptions_t *read_total;  /* any key, any direction */
    rocksdb_t *db;
    uint64_t file_number; /* of the next file to ingest */
};

/* Opens or makes the database and reads what it is applied to (0 for an empty one). MS_ECORRUPT: it
 * can't be used and should be moved aside; MS_EIO, MS_ENOSPC, MS_ENOMEM, MS_ELOCKED. */
int ms_index_db_open(const struct ms_index_options *options, struct ms_index_db **ret_db,
                     uint64_t *ret_applied, struct ms_error *err) MS_MUST_CHECK;
/* Reads what a database on disk is applied to and leaves it as it is; see ms_index_peek. */
int ms_index_db_peek(const struct ms_index_options *options, uint64_t *ret_applied,
                     struct ms_error *err) MS_MUST_CHECK;
void ms_index_db_close(struct ms_index_db *db); /* takes NULL */
/* Renames the directory to "<dir>.damaged-<n>"; nothing to do when it isn't there. */
int ms_index_db_move_aside(const struct ms_index_options *options, struct ms_error *err)
    MS_MUST_CHECK;

/* A file of sorted keys on its way into the database. */
struct ms_index_file {
    struct ms_index_db *db;
    rocksdb_sstfilewriter_t *writer;
    char path[MS_PATH_MAX];
};
int ms_index_file_open(struct ms_index_db *db, struct ms_index_file *file, struct ms_error *err)
    MS_MUST_CHECK;
/* Keys must rise. */
int ms_index_file_put(struct ms_index_file *file, struct ms_bytes key, struct ms_bytes value,
                      struct ms_error *err) MS_MUST_CHECK;
int ms_index_file_remove(struct ms_index_file *file, struct ms_bytes key, struct ms_error *err)
    MS_MUST_CHECK;
/* Finishes the file and makes it part of the database; durable when it returns. */
int ms_index_file_ingest(struct ms_index_file *file, struct ms_error *err) MS_MUST_CHECK;
/* Ends the use of `file`; what was not ingested is removed. */
void ms_index_file_close(struct ms_index_file *file);

/* ---- reading ---- */

/* An iterator over what is ingested by now. Never NULL; end with rocksdb_iter_destroy. */
static inline rocksdb_iterator_t *ms_index_db_iterate(const struct ms_index_db *db, bool prefix) {
    return rocksdb_create_iterator(db->db, prefix ? db->read_prefix : db->read_total);
}
static inline struct ms_bytes ms_iterator_key(const rocksdb_iterator_t *iterator) {
    size_t len;
    const char *data = rocksdb_iter_key(iterator, &len);
    return ms_bytes_of(data, len);
}
static inline struct ms_bytes ms_iterator_value(const rocksdb_iterator_t *iterator) {
    size_t len;
    const char *data = rocksdb_iter_value(iterator, &len);
    return ms_bytes_of(data, len);
}
static inline void ms_iterator_seek(rocksdb_iterator_t *iterator, struct ms_bytes key) {
    rocksdb_iter_seek(iterator, (const char *)key.data, key.len);
}
static inline void ms_iterator_seek_for_prev(rocksdb_iterator_t *iterator, struct ms_bytes key) {
    rocksdb_iter_seek_for_prev(iterator, (const char *)key.data, key.len);
}
/* True when the iterator stands on a key that begins with `prefix`. */
static inline bool ms_iterator_is_in(const rocksdb_iterator_t *iterator, struct ms_bytes prefix) {
    return rocksdb_iter_valid(iterator) && ms_bytes_starts_with(ms_iterator_key(iterator), prefix);
}
/* 0, or why the iterator stopped: MS_ECORRUPT, MS_EIO, MS_ENOMEM. */
int ms_iterator_status(const rocksdb_iterator_t *iterator, struct ms_error *err) MS_MUST_CHECK;
/* For values that aren't what they must be. */
int ms_index_db_corrupt(const char *what, struct ms_error *err);

/* The value of a key appended to *out; MS_ENOTFOUND, and as ms_iterator_status. */
int ms_index_db_get(const struct ms_index_db *db, struct ms_bytes key, struct ms_buf *out,
                    struct ms_error *err) MS_MUST_CHECK;
/* The newest commit time noted, -1 when there is none. */
int ms_index_db_last_time(const struct ms_index_db *db, int64_t *ret_ms, struct ms_error *err)
    MS_MUST_CHECK;

/* A number that RocksDB keeps, e.g. "rocksdb.num-files-at-level0"; 0 when it doesn't know. */
uint64_t ms_index_db_property(const struct ms_index_db *db, const char *name);
