/* SQLite's files without a clock; see sqlite_clock.h. */
#include "projection/sqlite_clock.h"

#include <sqlite3.h>
#include <stddef.h>

#include "base/alloc.h"

static const char name[] = "mainstem-no-clock";

static int no_time(sqlite3_vfs *vfs, double *ret_days) {
    (void)vfs;
    *ret_days = 0;
    return SQLITE_ERROR;
}

static int no_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ret_ms) {
    (void)vfs;
    *ret_ms = 0;
    return SQLITE_ERROR;
}

/* SQLite keeps it until the process ends. */
static sqlite3_vfs *make(void) {
    const sqlite3_vfs *system = sqlite3_vfs_find(NULL);
    sqlite3_vfs *vfs = system != NULL ? ms_calloc(1, sizeof *vfs) : NULL;
    if (vfs == NULL)
        return NULL;
    *vfs = *system;
    vfs->pNext = NULL;
    vfs->zName = name;
    vfs->xCurrentTime = no_time;
    if (vfs->iVersion >= 2)
        vfs->xCurrentTimeInt64 = no_time_ms;
    return vfs;
}

const char *ms_sqlite_without_clock(void) {
    bool there = sqlite3_initialize() == SQLITE_OK;
    sqlite3_mutex *mutex = there ? sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_APP1) : NULL;
    sqlite3_mutex_enter(mutex);
    if (there && sqlite3_vfs_find(name) == NULL) {
        sqlite3_vfs *vfs = make();
        there = vfs != NULL && sqlite3_vfs_register(vfs, 0) == SQLITE_OK;
    }
    sqlite3_mutex_leave(mutex);
    return there ? name : NULL;
}
