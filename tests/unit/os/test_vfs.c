/* Tests of what every file system behind the seam promises: each runs on a real directory and on
 * the simulation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "os/vfs_sim.h"
#include "unit/os/scratch.h"

struct world {
    struct ms_vfs *vfs;
    struct ms_vfs_sim *sim; /* NULL: the real one */
    char dir[MS_PATH_MAX];
    char paths[4][MS_PATH_MAX]; /* what in() returned last */
    unsigned next_path;
};

static int setup_posix(void **state) {
    static struct world world;
    world = (struct world){.vfs = ms_vfs_posix()};
    *state = &world;
    return scratch_make(world.dir);
}

static int teardown_posix(void **state) { return scratch_remove(((struct world *)*state)->dir); }

static int setup_sim(void **state) {
    static struct world world;
    world = (struct world){.dir = "/base"};
    *state = &world;
    if (ms_vfs_sim_new(1, &world.sim) < 0)
        return -1;
    world.vfs = ms_vfs_sim_vfs(world.sim);
    return ms_vfs_mkdir(world.vfs, world.dir, NULL);
}

static int teardown_sim(void **state) {
    ms_vfs_sim_free(((struct world *)*state)->sim);
    return 0;
}

/* A path in the world's directory; good for four calls. */
static const char *in(struct world *world, const char *name) {
    char *path = world->paths[world->next_path++ % 4];
    assert_int_equal(ms_path_join(path, world->dir, name), 0);
    return path;
}

static struct ms_file *open_file(struct world *world, const char *name, int flags) {
    struct ms_file *file;
    struct ms_error err = {0};
    if (ms_vfs_open(world->vfs, in(world, name), flags, &file, &err) < 0)
        fail_msg("%s", err.message);
    return file;
}

static int try_open(struct world *world, const char *name, int flags) {
    struct ms_file *file;
    int code = ms_vfs_open(world->vfs, in(world, name), flags, &file, NULL);
    if (code == 0)
        ms_file_close(file);
    return code;
}

enum {
    RW = MS_OPEN_READ | MS_OPEN_WRITE,
    RWC = MS_OPEN_READ | MS_OPEN_WRITE | MS_OPEN_CREATE,
};

static void put(struct world *world, const char *name, const char *content) {
    struct ms_file *file = open_file(world, name, RWC | MS_OPEN_TRUNCATE);
    assert_int_equal(ms_file_write(file, 0, content, strlen(content), NULL), 0);
    ms_file_close(file);
}

static void assert_content(struct world *world, const char *name, const char *wanted) {
    struct ms_buf buf;
    ms_buf_init(&buf, 1 << 20);
    assert_int_equal(ms_vfs_read_file(world->vfs, in(world, name), &buf, NULL), 0);
    assert_int_equal(buf.len, strlen(wanted));
    assert_true(ms_bytes_equal_cstr(ms_buf_bytes(&buf), wanted));
    ms_buf_deinit(&buf);
}

/* ---- content ---- */

static void read_returns_what_writev_wrote(void **state) {
    struct world *world = *state;
    struct ms_file *file = open_file(world, "f", RWC);
    enum { PIECES = 200 };
    static char data[PIECES * 100], back[PIECES * 100 + 1];
    struct ms_iovec iov[PIECES];
    size_t len = 0;
    for (int i = 0; i < PIECES; i++) {
        size_t piece = (size_t)(i * 31 % 100);
        memset(data + len, 'a' + i % 26, piece);
        iov[i] = (struct ms_iovec){piece ? data + len : NULL, piece};
        len += piece;
    }
    assert_int_equal(ms_file_writev(file, 7, iov, PIECES, NULL), 0);
    size_t got = 0;
    assert_int_equal(ms_file_read(file, 7, back, sizeof back, 0, &got, NULL), 0);
    assert_int_equal(got, len);
    assert_memory_equal(back, data, len);
    assert_int_equal(ms_file_read(file, 0, back, 7, MS_READ_NOWAIT, &got, NULL), 0);
    assert_int_equal(got, 7);
    assert_memory_equal(back, "\0\0\0\0\0\0\0", 7);
    uint64_t size;
    assert_int_equal(ms_file_size(file, &size, NULL), 0);
    assert_int_equal(size, 7 + len);
    ms_file_close(file);
}

static void empty_reads_and_writes_do_nothing(void **state) {
    struct world *world = *state;
    struct ms_file *file = open_file(world, "f", RWC);
    struct ms_iovec empty[2] = {{NULL, 0}, {"x", 0}};
    assert_int_equal(ms_file_writev(file, 100, empty, 2, NULL), 0);
    assert_int_equal(ms_file_writev(file, 100, NULL, 0, NULL), 0);
    assert_int_equal(ms_file_write(file, 100, NULL, 0, NULL), 0);
    uint64_t size = 9;
    assert_int_equal(ms_file_size(file, &size, NULL), 0);
    assert_int_equal(size, 0);
    size_t got = 9;
    assert_int_equal(ms_file_read(file, 0, NULL, 0, 0, &got, NULL), 0);
    assert_int_equal(got, 0);
    ms_file_close(file);
    ms_file_close(NULL);
}

static void reading_ends_at_the_end_of_the_file(void **state) {
    struct world *world = *state;
    put(world, "f", "0123456789");
    struct ms_file *file = open_file(world, "f", MS_OPEN_READ);
    char out[20];
    size_t got = 99;
    assert_int_equal(ms_file_read(file, 6, out, sizeof out, 0, &got, NULL), 0);
    assert_int_equal(got, 4);
    assert_memory_equal(out, "6789", 4);
    assert_int_equal(ms_file_read(file, 10, out, 1, 0, &got, NULL), 0);
    assert_int_equal(got, 0);
    assert_int_equal(ms_file_read(file, 1000000, out, 1, 0, &got, NULL), 0);
    assert_int_equal(got, 0);
    struct ms_error err = {0};
    assert_int_equal(ms_file_read_exact(file, 5, out, 5, &err), 0);
    assert_memory_equal(out, "56789", 5);
    assert_int_equal(ms_file_read_exact(file, 6, out, 5, &err), MS_ECORRUPT);
    assert_int_equal(err.code, MS_ECORRUPT);
    ms_file_close(file);
}

static void truncation_cuts_and_grows_with_zeros(void **state) {
    struct world *world = *state;
    put(world, "f", "0123456789");
    struct ms_file *file = open_file(world, "f", RW);
    assert_int_equal(ms_file_truncate(file, 4, NULL), 0);
    assert_int_equal(ms_file_truncate(file, 6, NULL), 0);
    char out[6];
    assert_int_equal(ms_file_read_exact(file, 0, out, 6, NULL), 0);
    assert_memory_equal(out, "0123\0\0", 6);
    assert_int_equal(ms_file_sync(file, NULL), 0);
    assert_int_equal(ms_file_truncate(file, 0, NULL), 0);
    ms_file_close(file);
    assert_content(world, "f", "");
}

/* Also on the simulation: what was there stays, what is new reads as zeros. */
static void allocation_grows_with_zeros(void **state) {
    struct world *world = *state;
    put(world, "f", "0123456789");
    struct ms_file *file = open_file(world, "f", RW);
    int rc = ms_file_allocate(file, 4, 4, NULL);
    if (rc == MS_EUNSUPPORTED) {
        ms_file_close(file);
        return;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(ms_file_allocate(file, 8, 4, NULL), 0);
    char out[12];
    assert_int_equal(ms_file_read_exact(file, 0, out, 12, NULL), 0);
    assert_memory_equal(out, "0123456789\0\0", 12);
    assert_int_equal(ms_file_sync(file, NULL), 0);
    uint64_t size;
    assert_int_equal(ms_file_size(file, &size, NULL), 0);
    assert_int_equal(size, 12);
    ms_file_close(file);
}

static void several_handles_see_one_file(void **state) {
    struct world *world = *state;
    struct ms_file *a = open_file(world, "f", RWC);
    struct ms_file *b = open_file(world, "f", MS_OPEN_READ);
    struct ms_file *c = open_file(world, "f", MS_OPEN_WRITE | MS_OPEN_DSYNC);
    char out[3];
    assert_int_equal(ms_file_write(a, 0, "abc", 3, NULL), 0);
    assert_int_equal(ms_file_write(c, 1, "X", 1, NULL), 0);
    assert_int_equal(ms_file_read_exact(b, 0, out, 3, NULL), 0);
    assert_memory_equal(out, "aXc", 3);
    ms_file_close(a);
    ms_file_close(c);
    assert_int_equal(ms_vfs_unlink(world->vfs, in(world, "f"), NULL), 0);
    assert_int_equal(ms_file_read_exact(b, 0, out, 3, NULL), 0);
    ms_file_close(b);
    assert_int_equal(try_open(world, "f", MS_OPEN_READ), MS_ENOTFOUND);
}

/* ---- opening ---- */

static void open_flags_mean_what_they_say(void **state) {
    struct world *world = *state;
    assert_int_equal(try_open(world, "f", MS_OPEN_READ), MS_ENOTFOUND);
    assert_int_equal(try_open(world, "f", RW), MS_ENOTFOUND);
    assert_int_equal(try_open(world, "f", RWC | MS_OPEN_EXCL), 0);
    assert_int_equal(try_open(world, "f", RWC | MS_OPEN_EXCL), MS_EEXIST);
    assert_int_equal(try_open(world, "f", RWC), 0);
    put(world, "f", "content");
    assert_int_equal(try_open(world, "f", RWC), 0);
    assert_content(world, "f", "content");
    assert_int_equal(try_open(world, "f", RW | MS_OPEN_TRUNCATE), 0);
    assert_content(world, "f", "");
    assert_int_equal(try_open(world, "none/f", RWC), MS_ENOTFOUND);
    assert_int_equal(try_open(world, "f/f", RWC), MS_ENOTFOUND);
    assert_int_equal(ms_vfs_mkdir(world->vfs, in(world, "d"), NULL), 0);
    assert_int_equal(try_open(world, "d", RW), MS_EINVAL);
    assert_int_equal(try_open(world, "d", RWC | MS_OPEN_EXCL), MS_EEXIST);
}

static void errors_name_the_path(void **state) {
    struct world *world = *state;
    struct ms_error err = {0};
    struct ms_file *file = (struct ms_file *)world;
    const char *path = in(world, "missing");
    assert_int_equal(ms_vfs_open(world->vfs, path, MS_OPEN_READ, &file, &err), MS_ENOTFOUND);
    assert_int_equal(err.code, MS_ENOTFOUND);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, "open"));
    assert_ptr_equal(file, world);
    assert_int_equal(ms_vfs_rename(world->vfs, path, in(world, "x"), &err), MS_ENOTFOUND);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(ms_vfs_sync_dir(world->vfs, path, &err), MS_ENOTFOUND);
    assert_non_null(strstr(err.message, path));
    struct ms_buf buf;
    ms_buf_init(&buf, 10);
    assert_int_equal(ms_vfs_read_file(world->vfs, path, &buf, &err), MS_ENOTFOUND);
    assert_non_null(strstr(err.message, path));
    ms_buf_deinit(&buf);
}

static void direct_writes_read_back(void **state) {
    struct world *world = *state;
    struct ms_file *file;
    int flags = RWC | MS_OPEN_DIRECT | MS_OPEN_DSYNC;
    int code = ms_vfs_open(world->vfs, in(world, "f"), flags, &file, NULL);
    if (code == MS_EUNSUPPORTED)
        skip(); /* for instance an old tmpfs */
    assert_int_equal(code, 0);
    uint8_t *block = ms_alloc_aligned(4096, 16384);
    memset(block, 0xa5, 16384);
    struct ms_iovec iov[2] = {{block, 8192}, {block + 4096, 4096}};
    assert_int_equal(ms_file_writev(file, 4096, iov, 2, NULL), 0);
    memset(block, 0, 16384);
    size_t got = 0;
    assert_int_equal(ms_file_read(file, 0, block, 16384, 0, &got, NULL), 0);
    assert_int_equal(got, 16384);
    assert_int_equal(block[4095], 0);
    assert_int_equal(block[4096], 0xa5);
    assert_int_equal(block[16383], 0xa5);
    /* A file that does not end at a block can still be read to its end. */
    assert_int_equal(ms_file_truncate(file, 5000, NULL), 0);
    assert_int_equal(ms_file_read(file, 4096, block, 8192, 0, &got, NULL), 0);
    assert_int_equal(got, 904);
    assert_int_equal(ms_file_read(file, 0, block, 16384, 0, &got, NULL), 0);
    assert_int_equal(got, 5000);
    ms_file_close(file);
    ms_free(block);
}

/* ---- names ---- */

static void rename_replaces(void **state) {
    struct world *world = *state;
    struct ms_vfs *vfs = world->vfs;
    put(world, "a", "aaa");
    put(world, "b", "bbb");
    assert_int_equal(ms_vfs_rename(vfs, in(world, "a"), in(world, "b"), NULL), 0);
    assert_content(world, "b", "aaa");
    assert_int_equal(try_open(world, "a", MS_OPEN_READ), MS_ENOTFOUND);
    assert_int_equal(ms_vfs_rename(vfs, in(world, "a"), in(world, "b"), NULL), MS_ENOTFOUND);
    assert_int_equal(ms_vfs_rename(vfs, in(world, "b"), in(world, "no/b"), NULL), MS_ENOTFOUND);
    assert_int_equal(ms_vfs_rename(vfs, in(world, "b"), in(world, "b"), NULL), 0);
    assert_content(world, "b", "aaa");
}

static void directories_can_be_renamed_but_not_into_themselves(void **state) {
    struct world *world = *state;
    struct ms_vfs *vfs = world->vfs;
    assert_int_equal(ms_vfs_mkdir_all(vfs, in(world, "d/e/f"), NULL), 0);
    put(world, "d/e/x", "x");
    put(world, "y", "y");
    assert_int_equal(ms_vfs_rename(vfs, in(world, "d"), in(world, "d/e/g"), NULL), MS_EINVAL);
    assert_int_equal(ms_vfs_rename(vfs, in(world, "d"), in(world, "y"), NULL), MS_ENOTFOUND);
    assert_int_equal(ms_vfs_rename(vfs, in(world, "y"), in(world, "d"), NULL), MS_EINVAL);
    assert_int_equal(ms_vfs_rename(vfs, in(world, "d/e"), in(world, "g"), NULL), 0);
    assert_content(world, "g/x", "x");
    assert_int_equal(ms_vfs_rename(vfs, in(world, "d"), in(world, "g"), NULL), MS_EEXIST);
}

static void link_gives_a_second_name(void **state) {
    struct world *world = *state;
    struct ms_vfs *vfs = world->vfs;
    put(world, "a", "one");
    assert_int_equal(ms_vfs_link(vfs, in(world, "a"), in(world, "b"), NULL), 0);
    assert_int_equal(ms_vfs_link(vfs, in(world, "a"), in(world, "b"), NULL), MS_EEXIST);
    assert_int_equal(ms_vfs_link(vfs, in(world, "x"), in(world, "y"), NULL), MS_ENOTFOUND);
    struct ms_file *file = open_file(world, "b", RW);
    assert_int_equal(ms_file_write(file, 3, "+", 1, NULL), 0);
    ms_file_close(file);
    assert_int_equal(ms_vfs_rename(vfs, in(world, "a"), in(world, "b"), NULL), 0);
    assert_content(world, "a", "one+"); /* two names of one file: nothing to rename */
    assert_int_equal(ms_vfs_unlink(vfs, in(world, "a"), NULL), 0);
    assert_content(world, "b", "one+");
    assert_int_equal(ms_vfs_unlink(vfs, in(world, "a"), NULL), MS_ENOTFOUND);
}

static void directories_are_made_and_removed(void **state) {
    struct world *world = *state;
    struct ms_vfs *vfs = world->vfs;
    assert_int_equal(ms_vfs_mkdir(vfs, in(world, "d"), NULL), 0);
    assert_int_equal(ms_vfs_mkdir(vfs, in(world, "d"), NULL), MS_EEXIST);
    assert_int_equal(ms_vfs_mkdir(vfs, in(world, "x/y"), NULL), MS_ENOTFOUND);
    put(world, "f", "");
    assert_int_equal(ms_vfs_mkdir(vfs, in(world, "f"), NULL), MS_EINVAL);
    put(world, "d/f", "");
    assert_int_equal(ms_vfs_rmdir(vfs, in(world, "d"), NULL), MS_EEXIST);
    assert_int_equal(ms_vfs_unlink(vfs, in(world, "d"), NULL), MS_EINVAL);
    assert_int_equal(ms_vfs_rmdir(vfs, in(world, "f"), NULL), MS_ENOTFOUND);
    assert_int_equal(ms_vfs_unlink(vfs, in(world, "d/f"), NULL), 0);
    assert_int_equal(ms_vfs_sync_dir(vfs, in(world, "d"), NULL), 0);
    assert_int_equal(ms_vfs_sync_dir(vfs, in(world, "f"), NULL), MS_ENOTFOUND);
    assert_int_equal(ms_vfs_rmdir(vfs, in(world, "d"), NULL), 0);
    assert_int_equal(ms_vfs_rmdir(vfs, in(world, "d"), NULL), MS_ENOTFOUND);
}

static void mkdir_all_makes_what_is_missing(void **state) {
    struct world *world = *state;
    struct ms_vfs *vfs = world->vfs;
    assert_int_equal(ms_vfs_mkdir_all(vfs, in(world, "a/b//c/"), NULL), 0);
    assert_int_equal(ms_vfs_mkdir_all(vfs, in(world, "a/b/c"), NULL), 0);
    assert_int_equal(ms_vfs_mkdir_all(vfs, world->dir, NULL), 0);
    assert_int_equal(ms_vfs_mkdir_all(vfs, "/", NULL), 0);
    put(world, "a/b/c/f", "x");
    struct ms_error err;
    assert_int_equal(ms_vfs_mkdir_all(vfs, in(world, "a/b/c/f"), &err), MS_EINVAL);
    assert_true(ms_vfs_mkdir_all(vfs, in(world, "a/b/c/f/g"), &err) < 0);
    char path[MS_PATH_MAX + 10];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(ms_vfs_mkdir_all(vfs, path, &err), MS_ETOOBIG);
}

static void lists_are_sorted_and_complete(void **state) {
    struct world *world = *state;
    static const char *const names[] = {"b", "a", "Z", "aa", "10", "9", ".hidden", "d"};
    static const char *const sorted[] = {".hidden", "10", "9", "Z", "a", "aa", "b", "d"};
    for (int i = 0; i < 7; i++)
        put(world, names[i], names[i]);
    assert_int_equal(ms_vfs_mkdir(world->vfs, in(world, "d"), NULL), 0);
    struct ms_dir_entry *entries;
    size_t count;
    assert_int_equal(ms_vfs_list(world->vfs, world->dir, &entries, &count, NULL), 0);
    assert_int_equal(count, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_string_equal(entries[i].name, sorted[i]);
        assert_int_equal(entries[i].is_dir, i == 7);
        assert_int_equal(entries[i].size, i == 7 ? 0 : strlen(sorted[i]));
    }
    ms_dir_entries_free(entries, count);
    assert_int_equal(ms_vfs_list(world->vfs, in(world, "d"), &entries, &count, NULL), 0);
    assert_int_equal(count, 0);
    ms_dir_entries_free(entries, count);
    assert_int_equal(ms_vfs_list(world->vfs, in(world, "x"), &entries, &count, NULL), MS_ENOTFOUND);
    assert_int_equal(ms_vfs_list(world->vfs, in(world, "a"), &entries, &count, NULL), MS_ENOTFOUND);
}

static void many_names_are_listed(void **state) {
    struct world *world = *state;
    for (int i = 0; i < 300; i++) {
        char name[20];
        snprintf(name, sizeof name, "%03d", i * 7 % 300);
        put(world, name, "");
    }
    struct ms_dir_entry *entries;
    size_t count;
    assert_int_equal(ms_vfs_list(world->vfs, world->dir, &entries, &count, NULL), 0);
    assert_int_equal(count, 300);
    for (size_t i = 0; i < 300; i++) {
        char wanted[20];
        snprintf(wanted, sizeof wanted, "%03d", (int)i);
        assert_string_equal(entries[i].name, wanted);
    }
    ms_dir_entries_free(entries, count);
}

static void a_lock_is_exclusive_within_the_process(void **state) {
    struct world *world = *state;
    struct ms_vfs *vfs = world->vfs;
    struct ms_file *lock, *second;
    struct ms_error err;
    assert_int_equal(ms_vfs_lock(vfs, in(world, "LOCK"), &lock, NULL), 0);
    assert_int_equal(ms_vfs_lock(vfs, in(world, "LOCK"), &second, &err), MS_ELOCKED);
    assert_non_null(strstr(err.message, "LOCK"));
    assert_int_equal(try_open(world, "LOCK", RW), 0); /* opening and closing does not drop it */
    assert_int_equal(ms_vfs_lock(vfs, in(world, "LOCK"), &second, NULL), MS_ELOCKED);
    assert_int_equal(ms_vfs_lock(vfs, in(world, "OTHER"), &second, NULL), 0);
    ms_file_close(second);
    ms_file_close(lock);
    assert_int_equal(ms_vfs_lock(vfs, in(world, "LOCK"), &lock, NULL), 0);
    ms_file_close(lock);
    assert_int_equal(ms_vfs_lock(vfs, in(world, "no/LOCK"), &lock, NULL), MS_ENOTFOUND);
}

static void free_space_is_told(void **state) {
    struct world *world = *state;
    uint64_t free_bytes = 0, total = 0;
    assert_int_equal(ms_vfs_free_space(world->vfs, world->dir, &free_bytes, &total, NULL), 0);
    assert_true(total > 0 && free_bytes <= total);
    assert_int_equal(ms_vfs_free_space(world->vfs, in(world, "x"), &free_bytes, &total, NULL),
                     MS_ENOTFOUND);
}

/* ---- whole files ---- */

static void read_file_appends_and_keeps_to_the_maximum(void **state) {
    struct world *world = *state;
    put(world, "f", "0123456789");
    struct ms_buf buf;
    ms_buf_init(&buf, 20);
    assert_int_equal(ms_buf_append_cstr(&buf, "> "), 0);
    assert_int_equal(ms_vfs_read_file(world->vfs, in(world, "f"), &buf, NULL), 0);
    assert_true(ms_bytes_equal_cstr(ms_buf_bytes(&buf), "> 0123456789"));
    struct ms_error err;
    assert_int_equal(ms_vfs_read_file(world->vfs, in(world, "f"), &buf, &err), MS_ETOOBIG);
    assert_int_equal(buf.len, 12);
    put(world, "f", "01234567");
    assert_int_equal(ms_vfs_read_file(world->vfs, in(world, "f"), &buf, NULL), 0);
    assert_int_equal(buf.len, 20);
    put(world, "f", "");
    assert_int_equal(ms_vfs_read_file(world->vfs, in(world, "f"), &buf, NULL), 0);
    assert_int_equal(buf.len, 20);
    ms_buf_deinit(&buf);
}

static void replace_file_leaves_nothing_beside(void **state) {
    struct world *world = *state;
    struct ms_vfs *vfs = world->vfs;
    const char *path = in(world, "state");
    assert_int_equal(ms_vfs_replace_file(vfs, path, ms_bytes_cstr("first, longer"), NULL), 0);
    assert_content(world, "state", "first, longer");
    path = in(world, "state");
    put(world, "state.tmp", "left over from a crash, and longer than what comes");
    assert_int_equal(ms_vfs_replace_file(vfs, path, ms_bytes_cstr("second"), NULL), 0);
    assert_content(world, "state", "second");
    assert_int_equal(try_open(world, "state.tmp", MS_OPEN_READ), MS_ENOTFOUND);
    path = in(world, "state");
    assert_int_equal(ms_vfs_replace_file(vfs, path, (struct ms_bytes){0}, NULL), 0);
    assert_content(world, "state", "");
    path = in(world, "no/state");
    assert_int_equal(ms_vfs_replace_file(vfs, path, ms_bytes_cstr("x"), NULL), MS_ENOTFOUND);
    assert_int_equal(ms_vfs_mkdir(vfs, in(world, "dir"), NULL), 0);
    path = in(world, "dir");
    assert_true(ms_vfs_replace_file(vfs, path, ms_bytes_cstr("x"), NULL) < 0);
    assert_int_equal(try_open(world, "dir.tmp", MS_OPEN_READ), MS_ENOTFOUND);
}

static void failed_allocations_are_reported(void **state) {
    struct world *world = *state;
    put(world, "f", "content");
    for (uint64_t n = 1;; n++) {
        struct ms_buf buf;
        ms_buf_init(&buf, 100);
        struct ms_dir_entry *entries = NULL;
        size_t count = 0;
        const char *path = in(world, "f");
        ms_alloc_fail_nth(n);
        int read_code = ms_vfs_read_file(world->vfs, path, &buf, NULL);
        int list_code = ms_vfs_list(world->vfs, world->dir, &entries, &count, NULL);
        bool failed = ms_alloc_has_failed();
        ms_alloc_fail_nth(0);
        assert_true(read_code == 0 || read_code == MS_ENOMEM);
        assert_true(list_code == 0 || list_code == MS_ENOMEM);
        assert_int_equal(failed, read_code < 0 || list_code < 0);
        assert_int_equal(buf.len, read_code < 0 ? 0 : 7);
        ms_buf_deinit(&buf);
        ms_dir_entries_free(entries, count);
        if (!failed)
            break;
        assert_true(n < 10);
    }
    ms_alloc_fail_nth(1);
    struct ms_file *lock;
    assert_int_equal(ms_vfs_lock(world->vfs, in(world, "L"), &lock, NULL), MS_ENOMEM);
    ms_alloc_fail_nth(0);
    assert_int_equal(ms_vfs_lock(world->vfs, in(world, "L"), &lock, NULL), 0);
    ms_file_close(lock);
}

/* ---- paths ---- */

static void paths_are_joined(void **state) {
    (void)state;
    static char out[MS_PATH_MAX], name[MS_PATH_MAX + 1];
    assert_int_equal(ms_path_join(out, "a", "b"), 0);
    assert_string_equal(out, "a/b");
    assert_int_equal(ms_path_join(out, "/", "b"), 0);
    assert_string_equal(out, "/b");
    assert_int_equal(ms_path_join(out, "a/", "b/c"), 0);
    assert_string_equal(out, "a/b/c");
    assert_int_equal(ms_path_join(out, "", "b"), 0);
    assert_string_equal(out, "b");
    memset(name, 'n', MS_PATH_MAX);
    name[MS_PATH_MAX - 3] = '\0';
    assert_int_equal(ms_path_join(out, "d", name), 0);
    assert_int_equal(strlen(out), MS_PATH_MAX - 1);
    name[MS_PATH_MAX - 3] = 'n';
    name[MS_PATH_MAX - 2] = '\0';
    assert_int_equal(ms_path_join(out, "d", name), MS_ETOOBIG);
    assert_int_equal(ms_path_join(out, "d/", name), MS_ETOOBIG);
    name[MS_PATH_MAX - 2] = 'n';
    assert_int_equal(ms_path_join(out, name, ""), MS_ETOOBIG);
    assert_int_equal(ms_path_join(out, "", name), MS_ETOOBIG);
}

static void parents_are_found(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"a/b/c", "a/b"}, {"a", "."},      {"/a", "/"},  {"/", "/"},   {"a/", "."},
        {"a//b", "a"},    {"/a/b/", "/a"}, {"//a", "/"}, {"./a", "."}, {"a/b//", "a"},
    };
    char out[MS_PATH_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(ms_path_parent(out, cases[i][0]), 0);
        assert_string_equal(out, cases[i][1]);
    }
    static char path[MS_PATH_MAX + 10];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 3] = '/';
    assert_int_equal(ms_path_parent(out, path), MS_ETOOBIG);
}

#define ON_BOTH(test)                                                                              \
    {#test " (real)", test, setup_posix, teardown_posix, NULL}, {                                  \
#test " (simulated)", test, setup_sim, teardown_sim, NULL                                  \
    }

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_BOTH(read_returns_what_writev_wrote),
        ON_BOTH(empty_reads_and_writes_do_nothing),
        ON_BOTH(reading_ends_at_the_end_of_the_file),
        ON_BOTH(truncation_cuts_and_grows_with_zeros),
        ON_BOTH(allocation_grows_with_zeros),
        ON_BOTH(several_handles_see_one_file),
        ON_BOTH(open_flags_mean_what_they_say),
        ON_BOTH(errors_name_the_path),
        ON_BOTH(direct_writes_read_back),
        ON_BOTH(rename_replaces),
        ON_BOTH(directories_can_be_renamed_but_not_into_themselves),
        ON_BOTH(link_gives_a_second_name),
        ON_BOTH(directories_are_made_and_removed),
        ON_BOTH(mkdir_all_makes_what_is_missing),
        ON_BOTH(lists_are_sorted_and_complete),
        ON_BOTH(many_names_are_listed),
        ON_BOTH(a_lock_is_exclusive_within_the_process),
        ON_BOTH(free_space_is_told),
        ON_BOTH(read_file_appends_and_keeps_to_the_maximum),
        ON_BOTH(replace_file_leaves_nothing_beside),
        ON_BOTH(failed_allocations_are_reported),
        cmocka_unit_test(paths_are_joined),
        cmocka_unit_test(parents_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
