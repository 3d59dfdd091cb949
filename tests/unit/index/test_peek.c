/* Looking into an index on disk without opening it: what it says, and that nothing is changed. */
#include "unit/index/model.h"

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

#define test(f) cmocka_unit_test_setup_teardown(f, make_scratch, remove_scratch)

static struct ms_index_options files(void) {
    return (struct ms_index_options){
        .env = ms_env_system(),
        .dir = dir,
        .store_uuid = model_uuid(1),
        .block_cache_bytes = 1u << 20,
        .manual = true,
    };
}

static struct ms_index *make_index(uint64_t applied) {
    struct ms_index_options options = files();
    struct ms_index *index;
    uint64_t before;
    assert_int_equal(ms_index_open(&options, &index, &before, NULL), 0);
    assert_int_equal(ms_index_apply(index, NULL, 0, NULL, 0, applied), 0);
    assert_int_equal(ms_index_flush(index, NULL), 0);
    return index;
}

/* A hash of the names and the content of everything in the scratch directory and in the index. */
static uint64_t fingerprint(const char *place, uint64_t hash) {
    struct ms_dir_entry *entries;
    size_t count;
    assert_int_equal(ms_vfs_list(ms_vfs_posix(), place, &entries, &count, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        char path[MS_PATH_MAX];
        struct ms_buf content;
        assert_int_equal(ms_path_join(path, place, entries[i].name), 0);
        hash = ms_hash64(entries[i].name, strlen(entries[i].name), hash);
        if (entries[i].is_dir) {
            hash = fingerprint(path, hash);
            continue;
        }
        ms_buf_init(&content, 64u << 20);
        assert_int_equal(ms_vfs_read_file(ms_vfs_posix(), path, &content, NULL), 0);
        hash = ms_hash64(content.data, content.len, hash);
        ms_buf_deinit(&content);
    }
    ms_dir_entries_free(entries, count);
    return hash;
}

static int peek(uint64_t *ret_applied) {
    struct ms_index_options options = files();
    struct ms_error err;
    uint64_t before = fingerprint(scratch, 0);
    int rc = ms_index_peek(&options, ret_applied, &err);
    assert_int_equal(fingerprint(scratch, 0), before);
    return rc;
}

static void closed_index_says_what_it_is_applied_to(void **state) {
    (void)state;
    uint64_t applied = 0;
    ms_index_close(make_index(77), true);
    assert_int_equal(peek(&applied), 0);
    assert_int_equal(applied, 77);
}

static void open_index_is_not_disturbed(void **state) {
    (void)state;
    uint64_t applied = 0;
    struct ms_index *index = make_index(77);
    assert_int_equal(peek(&applied), 0);
    assert_int_equal(applied, 77);
    assert_int_equal(ms_index_apply(index, NULL, 0, NULL, 0, 78), 0);
    assert_int_equal(ms_index_flush(index, NULL), 0);
    ms_index_close(index, true);
    assert_int_equal(peek(&applied), 0);
    assert_int_equal(applied, 78);
}

static void missing_index_is_not_made(void **state) {
    (void)state;
    uint64_t applied = 5;
    assert_int_equal(peek(&applied), MS_ENOTFOUND);
    assert_int_equal(applied, 5);
}

static void empty_index_is_applied_to_nothing(void **state) {
    (void)state;
    struct ms_index_options options = files();
    struct ms_index *index;
    uint64_t applied = 5;
    assert_int_equal(ms_index_open(&options, &index, &applied, NULL), 0);
    ms_index_close(index, true);
    applied = 5;
    assert_int_equal(peek(&applied), 0);
    assert_int_equal(applied, 0);
}

static void index_of_another_store_is_told(void **state) {
    (void)state;
    struct ms_index_options options = files();
    uint64_t applied = 5;
    ms_index_close(make_index(77), true);
    options.store_uuid = model_uuid(2);
    uint64_t before = fingerprint(scratch, 0);
    assert_int_equal(ms_index_peek(&options, &applied, NULL), MS_ECORRUPT);
    assert_int_equal(fingerprint(scratch, 0), before);
    assert_int_equal(applied, 5);
}

static void damaged_index_is_told(void **state) {
    (void)state;
    char path[MS_PATH_MAX];
    uint64_t applied = 5;
    ms_index_close(make_index(77), true);
    assert_int_equal(ms_path_join(path, dir, "CURRENT"), 0);
    assert_int_equal(ms_vfs_replace_file(ms_vfs_posix(), path, MS_BYTES_LITERAL("nonsense"), NULL),
                     0);
    assert_int_equal(peek(&applied), MS_ECORRUPT);
    assert_int_equal(applied, 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(closed_index_says_what_it_is_applied_to),
        test(open_index_is_not_disturbed),
        test(missing_index_is_not_made),
        test(empty_index_is_applied_to_nothing),
        test(index_of_another_store_is_told),
        test(damaged_index_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
