/*
 * Commands; see commands.h.
 *
 * A job is in one place at a time: in its worker's queue (to be decided, or with the answer to its
 * append), with its worker, or on its way through the log, whose committer puts it back into the
 * queue. Answers go before commands: what they free is needed.
 */
#include "domain/commands.h"

#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"

#define WORKERS_DEFAULT 2
#define ATTEMPTS_DEFAULT 8
#define WAITING_DEFAULT 10000
#define JOB_BYTES_MAX ((size_t)64 << 20)

struct job {
    struct job *next;
    struct worker *worker;
    struct ms_arena arena;          /* the command */
    struct ms_arena decision_arena; /* what was decided */
    struct ms_command command;
    bool insists; /* on this version: */
    int64_t expected;
    unsigned attempts;
    ms_command_done_fn *done;
    void *context;
    struct ms_decision decision;
    /* The answer to its append. */
    int code;
    int64_t version;
    uint64_t position;
    struct ms_error error;
};

struct queue {
    struct job *first, **last;
};

struct worker {
    struct ms_commands *commands;
    struct ms_decider *decider;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct queue waiting, answered;
    size_t waiting_count, on_their_way;
    bool stopping;
};

struct ms_commands {
    struct ms_commands_options options;
    struct worker workers[MS_COMMANDS_WORKERS_MAX];
};

/* ---- queues; under the worker's lock ---- */

static void queue_init(struct queue *queue) { *queue = (struct queue){.last = &queue->first}; }

static void queue_put(struct queue *queue, struct job *job) {
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
}

static struct job *queue_take_all(struct queue *queue) {
    struct job *first = queue->first;
    queue_init(queue);
    return first;
}

/* ---- jobs ---- */

static void free_job(struct job *job) {
    ms_arena_deinit(&job->arena);
    ms_arena_deinit(&job->decision_arena);
    ms_free(job);
}

static void finish(struct job *job, const struct ms_command_result *result) {
    job->done(job->context, result);
    free_job(job);
}

static void finish_with_error(struct job *job, int code, struct ms_error *error) {
    (void)ms_error_settle(error, code, "command");
    struct ms_command_result result = {
        .outcome = MS_COMMAND_ERROR, .version = job->version, .error = error};
    finish(job, &result);
}

static void finish_unappended(struct job *job) {
    const struct ms_decision *decision = &job->decision;
    struct ms_command_result result = {.version = decision->expected,
                                       .failure = &decision->failure};
    switch (decision->kind) {
    case MS_DECIDED:
        result.outcome = MS_COMMAND_APPENDED;
        break;
    case MS_DECISION_REJECTED:
        result.outcome = MS_COMMAND_REJECTED;
        break;
    case MS_DECISION_FAILED:
        result.outcome = MS_COMMAND_FAILED;
        break;
    }
    finish(job, &result);
}

/* ---- appending ---- */

/* The committer's thread, or the worker's. */
static void appended(void *context, const struct ms_append_result *result) {
    struct job *job = context;
    struct worker *worker = job->worker;
    job->code = result->code;
    job->position = result->position;
    job->version = result->code == 0 ? result->parts[0].version : result->actual_version;
    if (result->error != NULL)
        job->error = *result->error;
    pthread_mutex_lock(&worker->lock);
    queue_put(&worker->answered, job);
    worker->on_their_way--;
    pthread_cond_signal(&worker->work);
    pthread_mutex_unlock(&worker->lock);
}

static void append(struct job *job) {
    const struct ms_decision *decision = &job->decision;
    struct worker *worker = job->worker;
    bool is_new = decision->expected < 0;
    struct ms_append_part part = {
        .stream = decision->stream,
        .condition = {is_new ? MS_EXPECT_NONE : MS_EXPECT_LIVE_VERSION, decision->expected},
        .events = decision->events,
        .count = decision->count,
    };
    struct ms_append_request request = {.parts = &part, .part_count = 1, .wait = true};
    pthread_mutex_lock(&worker->lock);
    worker->on_their_way++;
    pthread_mutex_unlock(&worker->lock);
    int code = ms_store_append(worker->commands->options.decider.store, &request, appended, job,
                               &job->error);
    if (code == 0)
        return;
    pthread_mutex_lock(&worker->lock);
    worker->on_their_way--;
    pthread_mutex_unlock(&worker->lock);
    ms_decider_settle(worker->decider, decision->stream, false);
    finish_with_error(job, code, &job->error);
}

/* ---- deciding ---- */

static bool misses_its_version(const struct job *job) {
    return job->insists && job->decision.expected != job->expected;
}

static void finish_with_conflict(struct job *job) {
    struct ms_error error = {0};
    ms_error_set(&error, MS_ECONFLICT, "expected version %lld of '%.*s', it is %lld",
                 (long long)job->expected, (int)job->decision.stream.len,
                 (const char *)job->decision.stream.data, (long long)job->decision.expected);
    job->version = job->decision.expected;
    finish_with_error(job, MS_ECONFLICT, &error);
}

static void decide(struct job *job) {
    struct worker *worker = job->worker;
    struct ms_error error = {0};
    job->attempts++;
    ms_arena_reset(&job->decision_arena);
    int code = ms_decider_decide(worker->decider, &job->command, &job->decision_arena,
                                 &job->decision, &error);
    if (code != 0)
        return finish_with_error(job, code, &error);
    bool events = job->decision.kind == MS_DECIDED && job->decision.count > 0;
    if (job->decision.kind == MS_DECIDED && misses_its_version(job)) {
        if (events)
            ms_decider_settle(worker->decider, job->decision.stream, false);
        return finish_with_conflict(job);
    }
    if (events)
        append(job);
    else
        finish_unappended(job);
}

static void settle(struct job *job) {
    struct worker *worker = job->worker;
    /* A stream that was deleted goes on behind its old versions: the state has others then. */
    bool as_decided =
        job->code == 0 && job->version == job->decision.expected + (int64_t)job->decision.count;
    ms_decider_settle(worker->decider, job->decision.stream, as_decided);
    bool again = job->code == MS_ECONFLICT && !job->insists &&
                 job->attempts < worker->commands->options.attempts;
    if (again)
        return decide(job);
    if (job->code != 0)
        return finish_with_error(job, job->code, &job->error);
    struct ms_command_result result = {.outcome = MS_COMMAND_APPENDED,
                                       .version = job->version,
                                       .position = job->position,
                                       .events = job->decision.count};
    finish(job, &result);
}

/* ---- workers ---- */

static void refuse_all(struct job *job) {
    for (struct job *next; job != NULL; job = next) {
        struct ms_error error = {0};
        next = job->next;
        ms_error_set(&error, MS_ECLOSED, "the server is stopping");
        finish_with_error(job, MS_ECLOSED, &error);
    }
}

/* False: there is nothing left, and no more will come. */
static bool take_work(struct worker *worker, struct job **ret_answered, struct job **ret_waiting) {
    pthread_mutex_lock(&worker->lock);
    while (worker->answered.first == NULL && worker->waiting.first == NULL &&
           !(worker->stopping && worker->on_their_way == 0))
        pthread_cond_wait(&worker->work, &worker->lock);
    *ret_answered = queue_take_all(&worker->answered);
    *ret_waiting = queue_take_all(&worker->waiting);
    worker->waiting_count = 0;
    bool stopping = worker->stopping;
    bool any = *ret_answered != NULL || *ret_waiting != NULL;
    pthread_mutex_unlock(&worker->lock);
    if (stopping) {
        refuse_all(*ret_waiting);
        *ret_waiting = NULL;
    }
    return any || !stopping;
}

static void *worker_main(void *context) {
    struct worker *worker = context;
    struct job *answered, *waiting, *next;
    while (take_work(worker, &answered, &waiting)) {
        for (; answered != NULL; answered = next) {
            next = answered->next;
            settle(answered);
        }
        for (; waiting != NULL; waiting = next) {
            next = waiting->next;
            decide(waiting);
        }
    }
    return NULL;
}

static int start_worker(struct ms_commands *commands, struct worker *worker,
                        struct ms_sandbox_failure *ret_failure) {
    worker->commands = commands;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->work, NULL);
    queue_init(&worker->waiting);
    queue_init(&worker->answered);
    int code = ms_decider_new(&commands->options.decider, &worker->decider, ret_failure);
    if (code == 0 && pthread_create(&worker->thread, NULL, worker_main, worker) != 0)
        code = MS_EIO;
    worker->started = code == 0;
    if (worker->started)
        (void)pthread_setname_np(worker->thread, "ms-commands");
    return code;
}

static void stop_worker(struct worker *worker) {
    if (worker->commands == NULL)
        return;
    pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    pthread_cond_signal(&worker->work);
    pthread_mutex_unlock(&worker->lock);
    if (worker->started)
        pthread_join(worker->thread, NULL);
    ms_decider_free(worker->decider);
    pthread_mutex_destroy(&worker->lock);
    pthread_cond_destroy(&worker->work);
}

/* ---- the service ---- */

int ms_commands_new(const struct ms_commands_options *options, struct ms_commands **ret_commands,
                    struct ms_sandbox_failure *ret_failure) {
    struct ms_commands *commands = ms_calloc(1, sizeof *commands);
    if (commands == NULL)
        return MS_ENOMEM;
    struct ms_commands_options *own = &commands->options;
    *own = *options;
    own->workers = own->workers != 0 ? own->workers : WORKERS_DEFAULT;
    own->attempts = own->attempts != 0 ? own->attempts : ATTEMPTS_DEFAULT;
    own->waiting_max = own->waiting_max != 0 ? own->waiting_max : WAITING_DEFAULT;
    MS_ASSERT(own->workers <= MS_COMMANDS_WORKERS_MAX);
    int code = 0;
    for (unsigned i = 0; code == 0 && i < own->workers; i++)
        code = start_worker(commands, &commands->workers[i], ret_failure);
    if (code != 0) {
        ms_commands_free(commands);
        return code;
    }
    *ret_commands = commands;
    return 0;
}

void ms_commands_free(struct ms_commands *commands) {
    if (commands == NULL)
        return;
    for (unsigned i = 0; i < commands->options.workers; i++)
        stop_worker(&commands->workers[i]);
    ms_free(commands);
}

static int copy_text(struct ms_arena *arena, struct ms_bytes *text) {
    char *copy = ms_arena_strdup(arena, *text);
    if (copy == NULL)
        return MS_ENOMEM;
    text->data = (const uint8_t *)copy;
    return 0;
}

static int make_job(const struct ms_command *command, struct job **ret_job) {
    struct job *job = ms_calloc(1, sizeof *job);
    if (job == NULL)
        return MS_ENOMEM;
    ms_arena_init(&job->arena, JOB_BYTES_MAX);
    ms_arena_init(&job->decision_arena, JOB_BYTES_MAX);
    job->command = *command;
    job->version = -1;
    struct ms_bytes *const texts[] = {&job->command.aggregate, &job->command.key,
                                      &job->command.type,      &job->command.data,
                                      &job->command.id,        &job->command.correlation_id};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (copy_text(&job->arena, texts[i]) != 0) {
            free_job(job);
            return MS_ENOMEM;
        }
    *ret_job = job;
    return 0;
}

static struct worker *worker_of(struct ms_commands *commands, const struct ms_command *command) {
    struct ms_hash128 hash = ms_hash128_pair(command->aggregate, command->key, 0);
    uint64_t bits;
    memcpy(&bits, &hash, sizeof bits);
    return &commands->workers[bits % commands->options.workers];
}

int ms_commands_submit(struct ms_commands *commands, const struct ms_command *command,
                       const int64_t *expected, ms_command_done_fn *done, void *context) {
    struct job *job;
    int code = make_job(command, &job);
    if (code != 0)
        return code;
    struct worker *worker = worker_of(commands, command);
    job->worker = worker;
    job->done = done;
    job->context = context;
    job->insists = expected != NULL;
    job->expected = expected != NULL ? *expected : 0;
    pthread_mutex_lock(&worker->lock);
    bool full = worker->waiting_count == commands->options.waiting_max;
    if (!full) {
        queue_put(&worker->waiting, job);
        worker->waiting_count++;
        pthread_cond_signal(&worker->work);
    }
    pthread_mutex_unlock(&worker->lock);
    if (full)
        free_job(job);
    return full ? MS_EAGAIN : 0;
}
