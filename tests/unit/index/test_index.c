/* Tests of index/index.c and index/db.c: opening, what is moved aside, limits, running out of
 * memory. */
#include "unit/index/model.h"

#include <rocksdb/c.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "unit/os/scratch.h"

static char scratch[MS_PATH_MAX];
static char dir[MS_PATH_MAX];

static int make_scratch(void **state) {
    (void)state;
    if (scratch_make(scratch) != 0)
        return -1;
    return ms_path_join(dir, scratch, "index");
}

static int remove_scratch(void **state) {
    (void)state;
    return scratch_remove(scratch);
}

static struct ms_index_options files(void) {
    return (struct ms_index_options){
        .env = ms_env_system(),
        .dir = dir,
        .store_uuid = model_uuid(1),
        .block_cache_bytes = 1u << 20,
        .manual = true,
    };
}

static struct ms_index *must_open(const struct ms_index_options *options, uint64_t applied) {
    struct ms_index *index = NULL;
    uint64_t found = 12345;
    struct ms_error err = {0};
    assert_int_equal(ms_index_open(options, &index, &found, &err), 0);
    assert_int_equal(found, applied);
    assert_int_equal(ms_index_applied(index), applied);
    assert_int_equal(ms_index_next_position(index), applied);
    return index;
}

static void must_flush(struct ms_index *index) {
    struct ms_error err = {0};
    assert_int_equal(ms_index_flush(index, &err), 0);
}

/* An index of `count` appends that is closed. */
static void make_index(uint64_t count) {
    struct ms_index_options options = files();
    struct ms_index *index = must_open(&options, 0);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t term = i;
        struct ms_index_append append = {
            .position = i,
            .record_count = 1,
            .topic = 1,
            .has_stream = true,
            .stream = model_stream(i),
            .first_offset = (int64_t)i,
            .commit_time_ms = (int64_t)i * 100,
            .terms = &term,
            .term_count = 1,
        };
        assert_int_equal(ms_index_apply(index, &append, 1, NULL, 0, i + 1), 0);
    }
    ms_index_close(index, true);
}

static bool exists(const char *name) {
    struct ms_dir_entry *entries;
    size_t count;
    bool found = false;
    assert_int_equal(ms_vfs_list(ms_vfs_posix(), scratch, &entries, &count, NULL), 0);
    for (size_t i = 0; i < count; i++)
        found |= strcmp(entries[i].name, name) == 0;
    ms_dir_entries_free(entries, count);
    return found;
}

/* Path of the first file in the index whose name ends so. */
static void path_of(const char *suffix, char out[MS_PATH_MAX]) {
    struct ms_dir_entry *entries;
    size_t count;
    bool found = false;
    assert_int_equal(ms_vfs_list(ms_vfs_posix(), dir, &entries, &count, NULL), 0);
    for (size_t i = 0; i < count && !found; i++) {
        size_t len = strlen(entries[i].name);
        if (len >= strlen(suffix) && strcmp(entries[i].name + len - strlen(suffix), suffix) == 0) {
            assert_int_equal(ms_path_join(out, dir, entries[i].name), 0);
            found = true;
        }
    }
    ms_dir_entries_free(entries, count);
    assert_true(found);
}

/* Overwrites `len` bytes at `offset`, or cuts the file there when `len` is 0. */
static void damage(const char *path, uint64_t offset, size_t len) {
    struct ms_file *file;
    uint8_t noise[4096];
    assert_true(len <= sizeof noise);
    memset(noise, 0xa5, sizeof noise);
    assert_int_equal(ms_vfs_open(ms_vfs_posix(), path, MS_OPEN_READ | MS_OPEN_WRITE, &file, NULL),
                     0);
    if (len == 0)
        assert_int_equal(ms_file_truncate(file, offset, NULL), 0);
    else
        assert_int_equal(ms_file_write(file, offset, noise, len, NULL), 0);
    ms_file_close(file);
}

/* The index opens empty, and what was there stands beside it. */
static void assert_moved_aside(const char *name) {
    struct ms_index_options options = files();
    struct ms_index *index = must_open(&options, 0);
    int64_t version;
    uint64_t position;
    struct ms_stream_id stream = model_stream(1);
    assert_int_equal(ms_index_stream_head(index, &stream, &version, &position, NULL), MS_ENOTFOUND);
    ms_index_close(index, false);
    assert_true(exists(name));
}

/* ---- opening ---- */

static void index_keeps_its_position_and_content(void **state) {
    (void)state;
    make_index(50);
    struct ms_index_options options = files();
    struct ms_index *index = must_open(&options, 50);
    struct ms_index_place place;
    size_t count;
    for (uint64_t i = 0; i < 50; i++) {
        struct ms_stream_id stream = model_stream(i);
        assert_int_equal(ms_index_stream_scan(index, &stream, 0, false, 1, &place, &count, NULL),
                         0);
        assert_int_equal(count, 1);
        assert_int_equal(place.position, i);
    }
    ms_index_close(index, true);
    assert_false(exists("index.damaged-1"));
}

static void flush_of_nothing_writes_nothing(void **state) {
    (void)state;
    struct ms_index_options options = files();
    struct ms_index *index = must_open(&options, 0);
    struct ms_index_stats stats;
    must_flush(index);
    ms_index_stats(index, &stats);
    assert_int_equal(stats.flushes, 0);
    assert_int_equal(stats.sst_bytes, 0);
    /* A position alone is something: the next start need not read that part of the log again. */
    assert_int_equal(ms_index_apply(index, NULL, 0, NULL, 0, 10), 0);
    must_flush(index);
    ms_index_stats(index, &stats);
    assert_int_equal(stats.flushes, 1);
    assert_int_equal(stats.applied, 10);
    ms_index_close(index, false);
    ms_index_close(must_open(&options, 10), false);
}

/* RocksDB makes a log at every open, and this version doesn't delete the empty ones. */
static void directory_does_not_grow_with_every_open(void **state) {
    (void)state;
    make_index(5);
    struct ms_index_options options = files();
    size_t counts[2];
    for (int round = 0; round < 2; round++) {
        struct ms_dir_entry *entries;
        for (int i = 0; i < 4; i++)
            ms_index_close(must_open(&options, 5), true);
        assert_int_equal(ms_vfs_list(ms_vfs_posix(), dir, &entries, &counts[round], NULL), 0);
        ms_dir_entries_free(entries, counts[round]);
    }
    assert_int_equal(counts[0], counts[1]);
}

static void second_open_of_a_directory_is_refused(void **state) {
    (void)state;
    struct ms_index_options options = files();
    struct ms_index *index = must_open(&options, 0), *other = NULL;
    uint64_t applied = 7;
    struct ms_error err = {0};
    assert_int_equal(ms_index_open(&options, &other, &applied, &err), MS_ELOCKED);
    assert_null(other);
    assert_int_equal(applied, 7);
    assert_true(err.message[0]);
    ms_index_close(index, false);
    assert_false(exists("index.damaged-1"));
}

static void directory_that_cannot_be_made_is_an_error(void **state) {
    (void)state;
    struct ms_index_options options = files();
    struct ms_index *index;
    uint64_t applied;
    struct ms_error err = {0};
    assert_int_equal(ms_vfs_replace_file(ms_vfs_posix(), dir, MS_BYTES_LITERAL("a file"), NULL), 0);
    assert_true(ms_index_open(&options, &index, &applied, &err) < 0);
    assert_true(exists("index"));
}

static void indexes_in_memory_share_nothing(void **state) {
    (void)state;
    struct ms_index_options options = files();
    options.dir = NULL;
    struct ms_index *first = must_open(&options, 0), *second = must_open(&options, 0);
    assert_int_equal(ms_index_apply(first, NULL, 0, NULL, 0, 5), 0);
    must_flush(first);
    assert_int_equal(ms_index_applied(first), 5);
    assert_int_equal(ms_index_applied(second), 0);
    ms_index_close(second, true);
    ms_index_close(first, true);
    ms_index_close(NULL, true);
    assert_int_equal(ms_index_discard(&options, NULL), 0);
}

/* ---- moved aside ---- */

static void index_of_another_store_is_moved_aside(void **state) {
    (void)state;
    make_index(5);
    struct ms_index_options options = files();
    options.store_uuid = model_uuid(2);
    ms_index_close(must_open(&options, 0), false);
    assert_true(exists("index.damaged-1"));
}

static void put_raw(const char *key, size_t key_len, const uint8_t *value, size_t len) {
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_writeoptions_t *write = rocksdb_writeoptions_create();
    char *message = NULL;
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_t *db = rocksdb_open(options, dir, &message);
    assert_null(message);
    rocksdb_put(db, write, key, key_len, (const char *)value, len, &message);
    assert_null(message);
    rocksdb_close(db);
    rocksdb_writeoptions_destroy(write);
    rocksdb_options_destroy(options);
}

static void index_of_another_format_is_moved_aside(void **state) {
    (void)state;
    uint8_t meta[28];
    struct ms_uuid uuid = model_uuid(1);
    ms_put_be64(meta, 9);
    memcpy(meta + 8, uuid.bytes, 16);
    ms_put_be32(meta + 24, 2);
    put_raw("M", 1, meta, sizeof meta);
    struct ms_index_options options = files();
    ms_index_close(must_open(&options, 9), false); /* this is the format that we know */
    ms_put_be32(meta + 24, 3);
    put_raw("M", 1, meta, sizeof meta);
    assert_moved_aside("index.damaged-1");
}

static void index_without_position_is_moved_aside(void **state) {
    (void)state;
    put_raw("Kname", 5, (const uint8_t *)"x", 1);
    assert_moved_aside("index.damaged-1");
    put_raw("M", 1, (const uint8_t *)"short", 5);
    assert_moved_aside("index.damaged-2");
}

static void index_without_its_table_is_moved_aside(void **state) {
    (void)state;
    char path[MS_PATH_MAX];
    make_index(100);
    path_of(".sst", path);
    assert_int_equal(ms_vfs_unlink(ms_vfs_posix(), path, NULL), 0);
    assert_moved_aside("index.damaged-1");
    make_index(100);
    path_of(".sst", path);
    damage(path, 1000, 0);
    assert_moved_aside("index.damaged-2");
}

static void index_with_broken_bookkeeping_is_moved_aside(void **state) {
    (void)state;
    char path[MS_PATH_MAX];
    make_index(100);
    path_of("CURRENT", path);
    damage(path, 0, 10);
    assert_moved_aside("index.damaged-1");
    make_index(100);
    struct ms_dir_entry *entries;
    size_t count;
    assert_int_equal(ms_vfs_list(ms_vfs_posix(), dir, &entries, &count, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        if (strncmp(entries[i].name, "MANIFEST-", 9) == 0) {
            assert_int_equal(ms_path_join(path, dir, entries[i].name), 0);
            damage(path, 20, 64);
        }
    }
    ms_dir_entries_free(entries, count);
    assert_moved_aside("index.damaged-2");
}

/* RocksDB would take the directory for a new database and delete the tables. */
static void tables_without_current_are_kept(void **state) {
    (void)state;
    char path[MS_PATH_MAX];
    make_index(100);
    path_of("CURRENT", path);
    assert_int_equal(ms_vfs_unlink(ms_vfs_posix(), path, NULL), 0);
    assert_moved_aside("index.damaged-1");
    assert_int_equal(ms_path_join(dir, scratch, "index.damaged-1"), 0);
    path_of(".sst", path);
    assert_int_equal(ms_path_join(dir, scratch, "index"), 0);
}

static void discarded_index_is_empty_and_its_files_are_kept(void **state) {
    (void)state;
    struct ms_index_options options = files();
    assert_int_equal(ms_index_discard(&options, NULL), 0); /* there is none yet */
    make_index(3);
    assert_int_equal(ms_index_discard(&options, NULL), 0);
    assert_false(exists("index"));
    make_index(4);
    assert_int_equal(ms_index_discard(&options, NULL), 0);
    assert_true(exists("index.damaged-1"));
    assert_true(exists("index.damaged-2"));
    ms_index_close(must_open(&options, 0), false);
}

/* A crash between the ingest's hard link and the removal of the first name leaves both. */
static void file_left_over_by_a_crash_is_no_danger_to_the_table_it_became(void **state) {
    (void)state;
    char table[MS_PATH_MAX], left[MS_PATH_MAX], other[MS_PATH_MAX];
    make_index(100);
    path_of(".sst", table);
    assert_int_equal(ms_path_join(left, dir, "000001.sst.tmp"), 0);
    assert_int_equal(ms_path_join(other, dir, "000002.sst.tmp"), 0);
    assert_int_equal(ms_vfs_link(ms_vfs_posix(), table, left, NULL), 0);
    assert_int_equal(ms_vfs_link(ms_vfs_posix(), table, other, NULL), 0);
    struct ms_index_options options = files();
    struct ms_index *index = must_open(&options, 100);
    assert_int_equal(ms_index_apply(index, NULL, 0, NULL, 0, 101), 0);
    must_flush(index);
    ms_index_close(index, false);
    index = must_open(&options, 101);
    uint64_t position, term = 42;
    size_t count;
    assert_int_equal(ms_index_term_scan(index, &term, 1, 0, false, 1, &position, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(position, 42);
    ms_index_close(index, false);
}

static void damaged_table_is_reported_not_answered_from(void **state) {
    (void)state;
    char path[MS_PATH_MAX];
    make_index(2000);
    path_of(".sst", path);
    damage(path, 60000, 4000);
    struct ms_index_options options = files();
    struct ms_index *index = must_open(&options, 2000);
    unsigned corrupt = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        struct ms_stream_id stream = model_stream(i);
        int64_t version = -7;
        uint64_t position;
        struct ms_error err = {0};
        int rc = ms_index_stream_head(index, &stream, &version, &position, &err);
        assert_true(rc == 0 || rc == MS_ECORRUPT);
        if (rc == 0)
            assert_int_equal(position, i);
        corrupt += rc == MS_ECORRUPT && err.code == MS_ECORRUPT;
    }
    assert_true(corrupt > 0);
    ms_index_close(index, false);
}

/* What RocksDB holds is checksummed; what doesn't decode all the same is an error, never an answer.
 * */
static void malformed_values_are_reported(void **state) {
    (void)state;
    static const struct {
        uint8_t key[26];
        size_t key_len;
        uint8_t value[8];
        size_t value_len;
    } entries[] = {
        {{'S', 1, [17] = 255, 255, 255, 255, 255, 255, 255, 250}, 25, {5}, 1},    /* no count */
        {{'S', 2, [17] = 255, 255, 255, 255, 255, 255, 255, 250}, 25, {5, 0}, 2}, /* count 0 */
        {{'S', 3, [17] = 255, 255, 255, 255, 255, 255, 255, 250}, 25, {5, 1, 1, 1}, 4}, /* more */
        {{'S', 4, [17] = 255, 255, 255, 255, 255, 255, 255, 250}, 26, {5, 1}, 2}, /* long key */
        {{'T', [8] = 1, [16] = 9}, 17, {0x80}, 1},                                /* cut */
        {{'T', [8] = 2, [16] = 9}, 17, {1, 0}, 2},                                /* no step */
        {{'T', [8] = 3, [16] = 9}, 18, {1}, 1},                                   /* long key */
        {{'P', [4] = 1}, 15, {0}, 1},                                             /* no extent */
        {{'P', [4] = 2}, 15, {0, 0, 1, 0x80}, 4},                                 /* cut */
        {{'P', [4] = 3}, 16, {0, 0, 1, 2}, 4},                                    /* long key */
        {{'C', [8] = 50}, 9, {0x80}, 1},                                          /* cut */
    };
    uint8_t meta[28] = {0};
    struct ms_uuid uuid = model_uuid(1);
    memcpy(meta + 8, uuid.bytes, 16);
    ms_put_be32(meta + 24, 2);
    put_raw("M", 1, meta, sizeof meta);
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        put_raw((const char *)entries[i].key, entries[i].key_len, entries[i].value,
                entries[i].value_len);
    struct ms_index_options options = files();
    struct ms_index *index = must_open(&options, 0);
    /* Positions from 0 on would be the overlay's business. */
    assert_int_equal(ms_index_apply(index, NULL, 0, NULL, 0, 100), 0);
    must_flush(index);
    struct ms_index_place place;
    size_t count = 77;
    uint64_t position = 77;
    int64_t first;
    for (uint8_t i = 1; i <= 4; i++) {
        struct ms_stream_id stream = {{i}};
        for (int descending = 0; descending < 2; descending++)
            assert_int_equal(
                ms_index_stream_scan(index, &stream, 3, descending, 1, &place, &count, NULL),
                MS_ECORRUPT);
    }
    for (uint64_t term = 1; term <= 3; term++) {
        for (int descending = 0; descending < 2; descending++)
            assert_int_equal(
                ms_index_term_scan(index, &term, 1, 50, descending, 1, &position, &count, NULL),
                MS_ECORRUPT);
    }
    for (uint32_t topic = 1; topic <= 3; topic++) {
        assert_int_equal(ms_index_offset(index, topic, 0, 0, &position, &first, NULL), MS_ECORRUPT);
        /* The flush looks there too. */
        struct ms_index_append append = {.position = 100, .record_count = 1, .topic = topic};
        assert_int_equal(ms_index_apply(index, &append, 1, NULL, 0, 101), 0);
        assert_int_equal(ms_index_flush(index, NULL), MS_ECORRUPT);
        ms_index_close(index, false);
        index = must_open(&options, 100);
    }
    assert_int_equal(ms_index_time_floor(index, 60, &position, NULL), MS_ECORRUPT);
    assert_int_equal(count, 77);
    assert_int_equal(position, 77);
    ms_index_close(index, false);
}

/* ---- folding ---- */

static void facts_beyond_their_limits_are_refused(void **state) {
    (void)state;
    struct ms_index_options options = files();
    options.dir = NULL;
    struct ms_index *index = must_open(&options, 0);
    char *name = malloc(MS_INDEX_FACT_NAME_MAX + 1);
    assert_non_null(name);
    memset(name, 'n', MS_INDEX_FACT_NAME_MAX + 1);
    struct ms_index_fact facts[] = {
        {.name = MS_BYTES_LITERAL("first"), .value = MS_BYTES_LITERAL("1")},
        {.name = ms_bytes_of(name, MS_INDEX_FACT_NAME_MAX + 1)},
    };
    assert_int_equal(ms_index_apply(index, NULL, 0, facts, 2, 5), MS_EINVAL);
    struct ms_buf value;
    ms_buf_init(&value, 100);
    assert_int_equal(ms_index_fact_get(index, facts[0].name, &value, NULL), MS_ENOTFOUND);
    assert_int_equal(ms_index_next_position(index), 0);
    facts[1].value = ms_bytes_of(name, (size_t)MS_INDEX_FACT_VALUE_MAX + 1);
    facts[1].name.len = 1;
    assert_int_equal(ms_index_apply(index, NULL, 0, facts, 2, 5), MS_EINVAL);
    /* The longest name and an empty one, before and after a flush. */
    facts[1] = (struct ms_index_fact){.name = ms_bytes_of(name, MS_INDEX_FACT_NAME_MAX),
                                      .value = MS_BYTES_LITERAL("long")};
    struct ms_index_fact nameless = {.value = MS_BYTES_LITERAL("empty")};
    assert_int_equal(ms_index_apply(index, NULL, 0, facts, 2, 5), 0);
    assert_int_equal(ms_index_apply(index, NULL, 0, &nameless, 1, 5), 0);
    for (int flushed = 0; flushed < 2; flushed++) {
        ms_buf_clear(&value);
        assert_int_equal(ms_index_fact_get(index, facts[1].name, &value, NULL), 0);
        assert_int_equal(ms_index_fact_get(index, nameless.name, &value, NULL), 0);
        assert_true(ms_bytes_equal_cstr(ms_buf_bytes(&value), "longempty"));
        must_flush(index);
    }
    assert_int_equal(
        ms_index_fact_get(index, ms_bytes_of(name, MS_INDEX_FACT_NAME_MAX + 1), &value, NULL),
        MS_ENOTFOUND);
    ms_buf_deinit(&value);
    free(name);
    ms_index_close(index, false);
}

static void terms_are_the_same_for_ever(void **state) {
    (void)state;
    struct ms_bytes value = MS_BYTES_LITERAL("order.created");
    /* XXH3 with the kind as its seed. */
    assert_int_equal(ms_index_term(MS_TERM_TYPE, value), 0x94e4fbbbc0564ba3u);
    assert_int_equal(ms_index_term(MS_TERM_TAG, value), 0x2b2a3f95ae893d4fu);
    assert_int_equal(ms_index_term(MS_TERM_CORRELATION, value), 0x07e008008c9a39abu);
    assert_int_equal(ms_index_term(MS_TERM_TOPIC, value), 0x8ef305b85fcd1562u);
}

static void too_many_terms_in_a_scan_are_refused(void **state) {
    (void)state;
    struct ms_index_options options = files();
    options.dir = NULL;
    struct ms_index *index = must_open(&options, 0);
    static uint64_t terms[MS_INDEX_SCAN_TERMS_MAX + 1];
    for (size_t i = 0; i <= MS_INDEX_SCAN_TERMS_MAX; i++)
        terms[i] = i;
    uint64_t positions[4];
    size_t count = 77;
    struct ms_error err = {0};
    assert_int_equal(ms_index_term_scan(index, terms, MS_INDEX_SCAN_TERMS_MAX + 1, 0, false, 4,
                                        positions, &count, &err),
                     MS_EINVAL);
    assert_int_equal(count, 77);
    assert_int_equal(ms_index_term_scan(index, terms, MS_INDEX_SCAN_TERMS_MAX, 0, false, 4,
                                        positions, &count, &err),
                     0);
    assert_int_equal(count, 0);
    ms_index_close(index, false);
}

/* ---- out of memory ---- */

static void open_survives_every_failed_allocation(void **state) {
    (void)state;
    make_index(20);
    struct ms_index_options options = files();
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        struct ms_index *index = NULL;
        uint64_t applied;
        ms_alloc_fail_nth(n);
        int rc = ms_index_open(&options, &index, &applied, NULL);
        failed = ms_alloc_has_failed();
        ms_alloc_fail_nth(0);
        assert_int_equal(rc, failed ? MS_ENOMEM : 0);
        ms_index_close(index, false);
    }
    assert_false(exists("index.damaged-1"));
    ms_index_close(must_open(&options, 20), false);
}

/* Each fold fails at its first allocation, then at its second, and so on: model_apply repeats it.
 * */
static void folds_survive_every_failed_allocation(void **state) {
    (void)state;
    struct ms_index_options options = files();
    options.dir = NULL;
    struct ms_index *index = must_open(&options, 0);
    struct model *model = model_new(5);
    unsigned failures = 0;
    for (uint64_t n = 1; n < 160; n++) {
        ms_alloc_fail_nth(1 + n % 40);
        model_apply(model, index, 30, n % 16);
        failures += ms_alloc_has_failed();
        ms_alloc_fail_nth(0);
        if (n % 5 == 0)
            must_flush(index);
    }
    assert_true(failures > 25);
    for (int i = 0; i < 100; i++)
        check_all(model, index);
    ms_index_close(index, false);
    model_free(model);
}

static void incomplete_fold_is_not_flushed(void **state) {
    (void)state;
    struct ms_index_options options = files();
    options.dir = NULL;
    struct ms_index *index = must_open(&options, 0);
    uint64_t term = 5;
    struct ms_index_append append = {.record_count = 1, .terms = &term, .term_count = 1};
    assert_int_equal(ms_index_apply(index, &append, 1, NULL, 0, 1), 0);
    for (uint32_t topic = 1; topic < 48; topic++) { /* until the table of partitions has to grow */
        append.topic = topic;
        append.position = topic;
        assert_int_equal(ms_index_apply(index, &append, 1, NULL, 0, topic + 1), 0);
    }
    append.topic = 48;
    append.position = 48;
    ms_alloc_fail_nth(1);
    assert_int_equal(ms_index_apply(index, &append, 1, NULL, 0, 49), MS_ENOMEM);
    ms_alloc_fail_nth(0);
    assert_int_equal(ms_index_next_position(index), 48);
    assert_int_equal(ms_index_flush(index, NULL), MS_EAGAIN);
    struct ms_index_stats stats;
    ms_index_stats(index, &stats);
    assert_int_equal(stats.overlay_entries, 48);
    assert_int_equal(stats.flush_failures, 0);
    assert_int_equal(ms_index_apply(index, &append, 1, NULL, 0, 49), 0);
    must_flush(index);
    assert_int_equal(ms_index_applied(index), 49);
    ms_index_stats(index, &stats);
    assert_int_equal(stats.flushes, 1); /* of one generation: the first call had frozen nothing */
    ms_index_close(index, false);
}

static void flush_survives_every_failed_allocation(void **state) {
    (void)state;
    struct ms_index_options options = files();
    struct ms_index *index = must_open(&options, 0);
    struct model *model = model_new(6);
    model->late_chance = 50;
    bool failed = true;
    uint64_t n = 1;
    for (; failed; n++) {
        struct ms_error err = {0};
        model_apply(model, index, 40, 10);
        ms_alloc_fail_nth(n);
        int rc = ms_index_flush(index, &err);
        failed = ms_alloc_has_failed();
        ms_alloc_fail_nth(0);
        if (rc) {
            assert_int_equal(rc, MS_ENOMEM);
            assert_true(err.message[0]);
            if (n > 1) /* the first is the new generation's: nothing was tried */
                model->flush_failure = MS_EIO;
        }
        for (int i = 0; i < 5; i++)
            check_all(model, index);
        must_flush(index);
        for (int i = 0; i < 5; i++)
            check_all(model, index);
    }
    assert_true(n > 4);
    ms_index_close(index, false);
    struct ms_dir_entry *entries;
    size_t count;
    assert_int_equal(ms_vfs_list(ms_vfs_posix(), dir, &entries, &count, NULL), 0);
    for (size_t i = 0; i < count; i++)
        assert_null(strstr(entries[i].name, ".tmp"));
    ms_dir_entries_free(entries, count);
    model_free(model);
}

static void lookups_survive_failed_allocations(void **state) {
    (void)state;
    make_index(100);
    struct ms_index_options options = files();
    struct ms_index *index = must_open(&options, 100);
    uint64_t term = 3, positions[4];
    size_t count = 77;
    ms_alloc_fail_from(1);
    assert_int_equal(ms_index_term_scan(index, &term, 1, 0, false, 4, positions, &count, NULL),
                     MS_ENOMEM);
    assert_int_equal(ms_index_fact_list(index, ms_bytes_cstr(""), ms_bytes_cstr(""),
                                        model_visit_fact, NULL, NULL),
                     MS_ENOMEM);
    ms_alloc_fail_nth(0);
    assert_int_equal(count, 77);
    ms_index_close(index, false);
}

#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, make_scratch, remove_scratch)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_SCRATCH(index_keeps_its_position_and_content),
        WITH_SCRATCH(flush_of_nothing_writes_nothing),
        WITH_SCRATCH(directory_does_not_grow_with_every_open),
        WITH_SCRATCH(second_open_of_a_directory_is_refused),
        WITH_SCRATCH(directory_that_cannot_be_made_is_an_error),
        WITH_SCRATCH(indexes_in_memory_share_nothing),
        WITH_SCRATCH(index_of_another_store_is_moved_aside),
        WITH_SCRATCH(index_of_another_format_is_moved_aside),
        WITH_SCRATCH(index_without_position_is_moved_aside),
        WITH_SCRATCH(index_without_its_table_is_moved_aside),
        WITH_SCRATCH(index_with_broken_bookkeeping_is_moved_aside),
        WITH_SCRATCH(tables_without_current_are_kept),
        WITH_SCRATCH(discarded_index_is_empty_and_its_files_are_kept),
        WITH_SCRATCH(file_left_over_by_a_crash_is_no_danger_to_the_table_it_became),
        WITH_SCRATCH(damaged_table_is_reported_not_answered_from),
        WITH_SCRATCH(malformed_values_are_reported),
        WITH_SCRATCH(facts_beyond_their_limits_are_refused),
        WITH_SCRATCH(terms_are_the_same_for_ever),
        WITH_SCRATCH(too_many_terms_in_a_scan_are_refused),
        WITH_SCRATCH(open_survives_every_failed_allocation),
        WITH_SCRATCH(folds_survive_every_failed_allocation),
        WITH_SCRATCH(incomplete_fold_is_not_flushed),
        WITH_SCRATCH(flush_survives_every_failed_allocation),
        WITH_SCRATCH(lookups_survive_failed_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
