/* Write-ahead logs of SQLite; see sqlite_wal.h. */
#include "projection/sqlite_wal.h"

#include <pthread.h>

#include "base/alloc.h"

#define PART_PAGES 250 /* with more at once the log's own writes wait for the disk */
#define FULL_PAGES 8000

struct ms_sqlite_wal {
    struct ms_sqlite_db db; /* the thread's, once it runs */
    sqlite3 *writer;
    pthread_t thread;

    /* ---- under `lock`, a leaf ---- */
    pthread_mutex_t lock;
    pthread_cond_t work;
    bool asked; /* the thread has something to do, or does it */
    bool stopping;

    /* ---- the writer's ---- */
    int asked_at; /* pages of the log, at the last time */
    bool moved;   /* the thread was asked since the writer has moved pages itself */
};

/* Neither waits for readers, nor lets a writer wait. What fails is tried again with the next part;
 * errors of the disk meet the writer too. */
static void move_pages(sqlite3 *handle) {
    (void)sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

static void *wal_main(void *context) {
    struct ms_sqlite_wal *wal = context;
    pthread_mutex_lock(&wal->lock);
    for (;;) {
        while (!wal->asked && !wal->stopping)
            pthread_cond_wait(&wal->work, &wal->lock);
        if (wal->stopping)
            break;
        pthread_mutex_unlock(&wal->lock);
        move_pages(wal->db.handle);
        pthread_mutex_lock(&wal->lock);
        wal->asked = false;
    }
    pthread_mutex_unlock(&wal->lock);
    return NULL;
}

static void ask_thread(struct ms_sqlite_wal *wal, int pages) {
    wal->asked = wal->moved = true;
    wal->asked_at = pages;
    pthread_cond_signal(&wal->work);
}

/* After each commit, with the pages that the log has now. */
static int committed(void *context, sqlite3 *writer, const char *database, int pages) {
    struct ms_sqlite_wal *wal = context;
    (void)database;
    if (pages < wal->asked_at) /* it was begun anew */
        wal->asked_at = 0;
    pthread_mutex_lock(&wal->lock);
    bool busy = wal->asked;
    bool finishes = !busy && wal->moved && pages >= FULL_PAGES;
    if (!busy && !finishes && pages - wal->asked_at >= PART_PAGES)
        ask_thread(wal, pages);
    pthread_mutex_unlock(&wal->lock);
    if (finishes) {
        move_pages(writer);
        wal->asked_at = pages;
        wal->moved = false;
    }
    return SQLITE_OK;
}

static void destroy(struct ms_sqlite_wal *wal) {
    ms_sqlite_db_close(&wal->db);
    pthread_mutex_destroy(&wal->lock);
    pthread_cond_destroy(&wal->work);
    ms_free(wal);
}

int ms_sqlite_wal_start(sqlite3 *writer, const char *path, struct ms_sqlite_wal **ret_wal,
                        struct ms_error *err) {
    struct ms_sqlite_wal *wal = ms_calloc(1, sizeof *wal);
    if (wal == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a projection's target");
    pthread_mutex_init(&wal->lock, NULL);
    pthread_cond_init(&wal->work, NULL);
    wal->writer = writer;
    int code = ms_sqlite_db_open(&wal->db, path, MS_SQLITE_WRITER, err);
    if (code == 0 && pthread_create(&wal->thread, NULL, wal_main, wal) != 0)
        code = ms_error_set(err, MS_EIO, "thread of a projection: %s", ms_error_text(MS_EIO));
    if (code != 0) {
        destroy(wal);
        return code;
    }
    (void)pthread_setname_np(wal->thread, "ms-sqlite-wal");
    sqlite3_wal_hook(writer, committed, wal);
    *ret_wal = wal;
    return 0;
}

void ms_sqlite_wal_free(struct ms_sqlite_wal *wal) {
    if (wal == NULL)
        return;
    sqlite3_wal_hook(wal->writer, NULL, NULL);
    pthread_mutex_lock(&wal->lock);
    wal->stopping = true;
    pthread_cond_signal(&wal->work);
    pthread_mutex_unlock(&wal->lock);
    pthread_join(wal->thread, NULL);
    destroy(wal);
}
