/* The reader pool: order, the two lines, many threads. */
#include <semaphore.h>
#include <stdatomic.h>

#include "face/net/readers.h"
#include "net_cmocka.h"

#define JOBS 20
#define MANY 5000
#define THREADS 4

struct task {
    struct ms_net_job job; /* first, so that a job is its task */
    unsigned number;
};

static sem_t gate, done;
static unsigned order[JOBS], ran; /* by the pool's only thread */

static void wait_at_the_gate(struct ms_net_job *job) {
    (void)job;
    sem_wait(&gate);
}

static void note(struct ms_net_job *job) {
    order[ran++] = ((const struct task *)(const void *)job)->number;
    sem_post(&done);
}

static void patient_jobs_let_others_pass_and_get_every_fifth_turn(void **state) {
    (void)state;
    sem_init(&gate, 0, 0);
    sem_init(&done, 0, 0);
    struct ms_net_readers readers;
    assert_int_equal(ms_net_readers_start(&readers, 1, "test", NULL), 0);
    struct ms_net_job first = {.run = wait_at_the_gate};
    ms_net_readers_push(&readers, &first, false);
    struct task tasks[JOBS];
    for (unsigned i = 0; i < JOBS; i++) { /* 0..9 patient, 10..19 prompt */
        tasks[i] = (struct task){.job.run = note, .number = i};
        ms_net_readers_push(&readers, &tasks[i].job, i < 10);
    }
    sem_post(&gate);
    for (unsigned i = 0; i < JOBS; i++)
        sem_wait(&done);
    ms_net_readers_stop(&readers);
    unsigned patient = 0, prompt = 10, run = 0;
    for (unsigned i = 0; i < JOBS; i++) {
        bool is_patient = order[i] < 10;
        assert_int_equal(order[i], is_patient ? patient++ : prompt++); /* each in its order */
        if (is_patient && prompt < 20 && patient > 1)
            assert_int_equal(run, 4);
        run = is_patient ? 0 : run + 1;
        assert_true(run <= 4 || patient == 10);
    }
    sem_destroy(&gate);
    sem_destroy(&done);
}

static atomic_uint counted;
static void count(struct ms_net_job *job) {
    (void)job;
    if (atomic_fetch_add(&counted, 1) + 1 == MANY)
        sem_post(&done);
}

static void every_job_runs_once(void **state) {
    (void)state;
    sem_init(&done, 0, 0);
    atomic_store(&counted, 0);
    struct ms_net_readers readers;
    assert_int_equal(ms_net_readers_start(&readers, THREADS, "test", NULL), 0);
    static struct task tasks[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        tasks[i].job.run = count;
        ms_net_readers_push(&readers, &tasks[i].job, i % 3 == 0);
    }
    sem_wait(&done);
    ms_net_readers_stop(&readers);
    assert_int_equal(atomic_load(&counted), MANY);
    sem_destroy(&done);
}

static void a_pool_that_was_not_started_can_be_stopped(void **state) {
    (void)state;
    struct ms_net_readers readers = {0};
    ms_net_readers_stop(&readers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patient_jobs_let_others_pass_and_get_every_fifth_turn),
        cmocka_unit_test(every_job_runs_once),
        cmocka_unit_test(a_pool_that_was_not_started_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
