/* Answers as of the past; see travel.h. */
#include "projection/travel.h"

#include <stdio.h>

#include "base/alloc.h"
#include "projection/postgres_target.h"
#include "projection/sqlite_target.h"

#define KEPT 4u
#define SCHEMA_MAX 64
#define SCHEMA_NAME_MAX 36u

/* Tables at one point of the past. */
struct past {
    struct ms_version *version; /* held: its definition is used */
    struct ms_time_travel travel;
    uint64_t end; /* of the log when it was folded: events with earlier times may come later */
    struct ms_missing missing; /* when it was folded */
    struct ms_target *target;
    struct ms_target_reader *reader;
    uint64_t position, used;
    pthread_mutex_t lock; /* of the reader */
    unsigned users;
};

struct ms_travels {
    struct ms_store *store;
    const struct ms_env *env;
    char *dir;
    const char *postgres; /* NULL: no version is there */
    pthread_mutex_t lock;
    struct past *kept[KEPT]; /* NULL: free */
    uint64_t clock;          /* of uses */
    uint64_t made;           /* names files */
    _Atomic bool stopping;
};

/* ---- folding ---- */

struct folding {
    struct ms_travels *travels;
    struct past *past;
    struct ms_error *err;
};

static int apply(void *context, const struct ms_read_event *event,
                 struct ms_matcher_handlers handlers) {
    struct folding *folding = context;
    struct ms_event_values values;
    int code = 0;
    if (atomic_load(&folding->travels->stopping))
        return ms_error_set(folding->err, MS_ECANCELED, "the server stops");
    ms_event_values_init(&values, event);
    for (size_t i = 0; code == 0 && i < handlers.count; i++)
        code = ms_target_apply(folding->past->target, handlers.items[i], &values, folding->err);
    folding->past->position = event->place.position + 1;
    return code;
}

static struct ms_bytes name_of(const struct past *past) {
    return ms_version_definition(past->version)->name;
}

/* Once more behind the fold, which may have missed what was removed meanwhile. */
static int look_back(struct ms_travels *travels, struct past *past, bool allowed,
                     struct ms_error *err) {
    bool bounded = past->travel.kind == MS_AS_OF_POSITION;
    int code = ms_missing_find(travels->store, ms_version_definition(past->version), 0,
                               bounded ? past->travel.position : UINT64_MAX, &past->missing, err);
    if (code == 0 && past->missing.any && !allowed)
        return ms_missing_refuse(&past->missing, name_of(past), err);
    return code;
}

static int fold(struct ms_travels *travels, struct past *past, struct ms_error *err) {
    struct folding folding = {.travels = travels, .past = past, .err = err};
    const struct ms_projection_definition *definition = ms_version_definition(past->version);
    int code = ms_target_begin(past->target, err);
    if (code == 0)
        code = ms_feed_fold(travels->store, definition, &past->travel, apply, &folding, err);
    if (code != 0) {
        ms_target_rollback(past->target);
        return code;
    }
    struct ms_checkpoint to = {.position = past->position};
    return ms_target_commit(past->target, &to, err);
}

/* ---- making and ending ---- */

static void free_past(struct past *past) {
    ms_target_reader_free(past->reader);
    if (past->target != NULL)
        (void)!ms_target_drop(past->target, NULL);
    ms_version_release(past->version);
    pthread_mutex_destroy(&past->lock);
    ms_free(past);
}

/* What an earlier process has left there is removed first. */
static int open_schema(struct ms_travels *travels, struct past *past, uint64_t number,
                       struct ms_error *err) {
    char schema[SCHEMA_MAX];
    const struct ms_projection_definition *definition = ms_version_definition(past->version);
    struct ms_postgres_place place = {.conninfo = travels->postgres, .schema = schema};
    int len =
        (int)(definition->name.len < SCHEMA_NAME_MAX ? definition->name.len : SCHEMA_NAME_MAX);
    snprintf(schema, sizeof schema, "%.*s_past%llu", len, (const char *)definition->name.data,
             (unsigned long long)number);
    int code = ms_postgres_remove(travels->postgres, schema, (struct ms_bytes){0}, err);
    return code == 0 ? ms_postgres_target_open(definition, &place, &past->target, err) : code;
}

static int open_target(struct ms_travels *travels, struct past *past, uint64_t number,
                       struct ms_error *err) {
    char name[32];
    const struct ms_projection_definition *definition = ms_version_definition(past->version);
    snprintf(name, sizeof name, "past-%llu", (unsigned long long)number);
    struct ms_sqlite_place place = {.dir = travels->dir, .name = name, .scratch = true};
    if (definition->target != MS_SQL_SQLITE)
        return open_schema(travels, past, number, err);
    int code = ms_vfs_mkdir_all(travels->env->vfs, travels->dir, err);
    return code == 0 ? ms_sqlite_target_open(definition, &place, &past->target, err) : code;
}

static int make_past(struct ms_travels *travels, struct ms_version *version,
                     const struct ms_travel *travel, uint64_t number, struct past **ret_past,
                     struct ms_error *err) {
    struct past *past = ms_calloc(1, sizeof *past);
    if (past == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory to look at the past");
    pthread_mutex_init(&past->lock, NULL);
    past->version = ms_version_hold(version);
    past->travel = travel->to;
    past->users = 1;
    past->end = ms_store_end(travels->store);
    uint64_t losses = ms_store_losses(travels->store);
    int code = look_back(travels, past, travel->allow_incomplete, err);
    if (code == 0)
        code = open_target(travels, past, number, err);
    if (code == 0)
        code = fold(travels, past, err);
    if (code == 0 && ms_store_losses(travels->store) != losses)
        code = look_back(travels, past, travel->allow_incomplete, err);
    if (code == 0)
        code = ms_target_reader_new(past->target, &past->reader, err);
    if (code != 0) {
        free_past(past);
        return code;
    }
    *ret_past = past;
    return 0;
}

/* ---- what is kept; under the lock ---- */

/* What stood up to a position that the log had reached never changes. */
static bool fits(const struct past *past, const struct ms_version *version,
                 const struct ms_time_travel *travel, uint64_t end) {
    return past->version == version && past->travel.kind == travel->kind &&
           past->travel.time_ms == travel->time_ms && past->travel.position == travel->position &&
           (past->end == end ||
            (past->travel.kind == MS_AS_OF_POSITION && past->travel.position < past->end));
}

static struct past *find_kept(struct ms_travels *travels, const struct ms_version *version,
                              const struct ms_time_travel *travel) {
    uint64_t end = ms_store_end(travels->store);
    for (size_t i = 0; i < KEPT; i++) {
        struct past *past = travels->kept[i];
        if (past == NULL || !fits(past, version, travel, end))
            continue;
        past->users++;
        past->used = ++travels->clock;
        return past;
    }
    return NULL;
}

/* In place of the one that was used longest ago, if nobody uses that now. */
static struct past *keep(struct ms_travels *travels, struct past *past) {
    size_t oldest = 0;
    for (size_t i = 1; i < KEPT; i++)
        if (travels->kept[i] == NULL ||
            (travels->kept[oldest] != NULL && travels->kept[i]->used < travels->kept[oldest]->used))
            oldest = i;
    struct past *gone = travels->kept[oldest];
    if (gone != NULL && gone->users > 0)
        return NULL;
    past->used = ++travels->clock;
    travels->kept[oldest] = past;
    return gone;
}

static bool is_kept(const struct ms_travels *travels, const struct past *past) {
    for (size_t i = 0; i < KEPT; i++)
        if (travels->kept[i] == past)
            return true;
    return false;
}

static void give_back(struct ms_travels *travels, struct past *past) {
    pthread_mutex_lock(&travels->lock);
    bool over = --past->users == 0 && !is_kept(travels, past);
    pthread_mutex_unlock(&travels->lock);
    if (over)
        free_past(past);
}

void ms_travels_forget(struct ms_travels *travels, const struct ms_version *version) {
    struct past *gone[KEPT];
    size_t count = 0;
    pthread_mutex_lock(&travels->lock);
    for (size_t i = 0; i < KEPT; i++) {
        struct past *past = travels->kept[i];
        if (past == NULL || (version != NULL && past->version != version))
            continue;
        travels->kept[i] = NULL;
        if (past->users == 0)
            gone[count++] = past;
    }
    pthread_mutex_unlock(&travels->lock);
    for (size_t i = 0; i < count; i++)
        free_past(gone[i]);
}

/* ---- use ---- */

static int find_or_make(struct ms_travels *travels, struct ms_version *version,
                        const struct ms_travel *travel, struct past **ret_past,
                        struct ms_error *err) {
    struct past *gone = NULL;
    pthread_mutex_lock(&travels->lock);
    *ret_past = find_kept(travels, version, &travel->to);
    uint64_t number = ++travels->made;
    pthread_mutex_unlock(&travels->lock);
    if (*ret_past != NULL)
        return 0;
    int code = make_past(travels, version, travel, number, ret_past, err);
    if (code != 0)
        return code;
    pthread_mutex_lock(&travels->lock);
    if (!ms_version_is_retired(version))
        gone = keep(travels, *ret_past);
    pthread_mutex_unlock(&travels->lock);
    if (gone != NULL)
        free_past(gone);
    return 0;
}

int ms_travels_run(struct ms_travels *travels, struct ms_version *version,
                   const struct ms_travel *travel, const struct ms_query_run *run,
                   const struct ms_row_sink *sink, uint64_t *ret_position, struct ms_error *err) {
    struct past *past;
    int code = find_or_make(travels, version, travel, &past, err);
    if (code != 0)
        return code;
    if (past->missing.any && !travel->allow_incomplete) {
        code = ms_missing_refuse(&past->missing, name_of(past), err);
        give_back(travels, past);
        return code;
    }
    pthread_mutex_lock(&past->lock);
    code = ms_target_run(past->reader, run, sink, ret_position, err);
    pthread_mutex_unlock(&past->lock);
    give_back(travels, past);
    return code;
}

/* ---- life ---- */

static void remove_leftovers(struct ms_travels *travels) {
    struct ms_dir_entry *entries;
    size_t count;
    char path[MS_SQLITE_PATH_MAX];
    struct ms_vfs *vfs = travels->env->vfs;
    if (ms_vfs_list(vfs, travels->dir, &entries, &count, NULL) != 0)
        return;
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", travels->dir, entries[i].name);
        (void)!ms_vfs_unlink(vfs, path, NULL);
    }
    ms_dir_entries_free(entries, count);
}

int ms_travels_new(struct ms_store *store, const struct ms_env *env, const char *dir,
                   const char *postgres, struct ms_travels **ret_travels, struct ms_error *err) {
    struct ms_travels *travels = ms_calloc(1, sizeof *travels);
    char *copy = ms_alloc_strdup(ms_bytes_cstr(dir));
    if (travels == NULL || copy == NULL) {
        ms_free(travels);
        ms_free(copy);
        return ms_error_set(err, MS_ENOMEM, "no memory to look at the past");
    }
    travels->store = store;
    travels->env = env;
    travels->dir = copy;
    travels->postgres = postgres;
    pthread_mutex_init(&travels->lock, NULL);
    remove_leftovers(travels);
    *ret_travels = travels;
    return 0;
}

void ms_travels_stop(struct ms_travels *travels) { atomic_store(&travels->stopping, true); }

void ms_travels_free(struct ms_travels *travels) {
    if (travels == NULL)
        return;
    ms_travels_forget(travels, NULL);
    pthread_mutex_destroy(&travels->lock);
    ms_free(travels->dir);
    ms_free(travels);
}
