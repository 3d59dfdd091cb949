/* Appends under exact versions with many in flight; see load.h. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

void load_init(struct load *load, struct mainstem_store *store, struct bench_payloads *payloads,
               uint32_t streams) {
    *load = (struct load){.store = store, .payloads = payloads, .streams = streams, .random = 42};
    load->versions = malloc(streams * sizeof *load->versions);
    if (load->versions == NULL)
        bench_die("no memory for %u versions", streams);
    memset(load->versions, 0xff, streams * sizeof *load->versions); /* all -1 */
    pthread_mutex_init(&load->lock, NULL);
    pthread_cond_init(&load->freed, NULL);
}

void load_free(struct load *load) {
    free(load->versions);
    pthread_cond_destroy(&load->freed);
    pthread_mutex_destroy(&load->lock);
}

/* ---- answers: the store's thread ---- */

static void append_done(void *context, const struct mainstem_completion *completion) {
    struct load_slot *slot = context;
    struct load *load = slot->load;
    if (completion->code != 0)
        bench_die("an append failed: %s", completion->error->message);
    load->versions[slot->stream] = completion->result->version;
    uint64_t took = bench_now_ns() - slot->began_ns;
    pthread_mutex_lock(&load->lock);
    if (load->measuring) {
        bench_samples_add(&load->samples, took);
        load->done_events += load->batch;
    }
    slot->next = load->free_slots;
    load->free_slots = slot;
    /* Waking for every answer would cost a switch each: the submitter takes what there is. */
    if (load->free_count++ == 0)
        pthread_cond_signal(&load->freed);
    pthread_mutex_unlock(&load->lock);
}

/* ---- submitting ---- */

static struct load_slot *take_slots(struct load *load) {
    pthread_mutex_lock(&load->lock);
    while (load->free_slots == NULL)
        pthread_cond_wait(&load->freed, &load->lock);
    struct load_slot *slots = load->free_slots;
    load->free_slots = NULL;
    load->free_count = 0;
    pthread_mutex_unlock(&load->lock);
    return slots;
}

/* Names are not what is measured: printf would take a tenth of the client's time. */
static const char *name_of(uint32_t stream, char out[32]) {
    char *at = out + 31;
    *at = 0;
    do
        *--at = (char)('0' + stream % 10);
    while ((stream /= 10) > 0);
    at -= strlen("order-");
    memcpy(at, "order-", strlen("order-"));
    return at;
}

static void submit(struct load *load, struct load_slot *slot, uint32_t stream) {
    char name[32];
    struct mainstem_error error;
    slot->stream = stream;
    for (size_t i = 0; i < load->batch; i++) {
        load->events[i].type = mainstem_text("order.created");
        load->events[i].data =
            mainstem_bytes_of(bench_payload(load->payloads), load->payloads->size);
    }
    struct mainstem_part part = {name_of(stream, name), load->versions[stream], load->events,
                                 load->batch};
    struct mainstem_append_request request = {
        .struct_size = sizeof request, .wait = 1, .parts = &part, .part_count = 1};
    slot->began_ns = bench_now_ns();
    if (mainstem_append_multi_async(load->store, &request, append_done, slot, &error) != 0)
        bench_die("an append was refused: %s", error.message);
}

static uint32_t random_stream(struct load *load, const struct load_slot *slot) {
    uint32_t per_slot = load->streams / (uint32_t)load->slot_count;
    uint32_t stream = (uint32_t)(bench_random(&load->random) % per_slot);
    return stream * (uint32_t)load->slot_count + slot->index;
}

static void begin_measuring(struct load *load, uint64_t *began_ns, double *cpu_s) {
    pthread_mutex_lock(&load->lock);
    load->measuring = true;
    load->done_events = 0;
    load->samples.count = 0;
    pthread_mutex_unlock(&load->lock);
    *cpu_s = bench_cpu_s(0);
    *began_ns = bench_now_ns();
}

static void end_measuring(struct load *load, uint64_t began_ns, double cpu_s,
                          struct bench_result *result) {
    pthread_mutex_lock(&load->lock);
    load->measuring = false;
    result->events = load->done_events;
    pthread_mutex_unlock(&load->lock);
    result->secs = (double)(bench_now_ns() - began_ns) / 1e9;
    result->cpu_s = bench_cpu_s(0) - cpu_s;
    result->memory_mb = bench_rss_anon_mb(0);
}

static void run_random(struct load *load, const struct load_run *run, struct bench_result *result) {
    uint64_t began = bench_now_ns(), measured = 0;
    uint64_t warm = began + (uint64_t)(run->warm_secs * 1e9);
    uint64_t end = warm + (uint64_t)(run->secs * 1e9);
    double cpu_s = 0;
    bool measuring = false;
    for (;;) {
        struct load_slot *slot = take_slots(load);
        uint64_t now = bench_now_ns();
        if (!measuring && now >= warm) {
            begin_measuring(load, &measured, &cpu_s);
            measuring = true;
        }
        if (now >= end) {
            end_measuring(load, measured, cpu_s, result);
            pthread_mutex_lock(&load->lock); /* hand what was taken back */
            for (struct load_slot *next; slot != NULL; slot = next) {
                next = slot->next;
                slot->next = load->free_slots;
                load->free_slots = slot;
            }
            pthread_mutex_unlock(&load->lock);
            return;
        }
        for (struct load_slot *next; slot != NULL; slot = next) {
            next = slot->next;
            submit(load, slot, random_stream(load, slot));
        }
    }
}

/* The n-th of a permutation of the streams, so that neighbours are not written together. */
static uint32_t scattered(const struct load *load, uint64_t n) {
    return (uint32_t)(n * UINT64_C(2654435761) % load->streams);
}

static void run_sequential(struct load *load, const struct load_run *run,
                           struct bench_result *result) {
    uint64_t began;
    double cpu_s;
    begin_measuring(load, &began, &cpu_s);
    struct load_slot *slots = NULL;
    uint64_t appends = run->rounds * load->streams;
    for (uint64_t n = 0; n < appends; n++) {
        if (slots == NULL)
            slots = take_slots(load);
        struct load_slot *slot = slots;
        slots = slot->next;
        submit(load, slot, scattered(load, n % load->streams));
    }
    pthread_mutex_lock(&load->lock);
    for (struct load_slot *next; slots != NULL; slots = next) {
        next = slots->next;
        slots->next = load->free_slots;
        load->free_slots = slots;
    }
    pthread_mutex_unlock(&load->lock);
    end_measuring(load, began, cpu_s, result);
    result->events = appends * run->batch;
}

static void wait_for_all(struct load *load) {
    pthread_mutex_lock(&load->lock);
    for (;;) {
        size_t free_slots = 0;
        for (struct load_slot *slot = load->free_slots; slot != NULL; slot = slot->next)
            free_slots++;
        if (free_slots == load->slot_count)
            break;
        load->free_count = 0; /* so that the next answer wakes */
        pthread_cond_wait(&load->freed, &load->lock);
    }
    pthread_mutex_unlock(&load->lock);
}

void load_append(struct load *load, const struct load_run *run, struct bench_result *ret_result) {
    load->batch = run->batch;
    load->slot_count = run->inflight;
    load->slots = calloc(run->inflight, sizeof *load->slots);
    load->events = calloc(run->batch, sizeof *load->events);
    if (load->slots == NULL || load->events == NULL || load->streams < run->inflight)
        bench_die("no memory, or fewer streams than appends in flight");
    load->free_slots = NULL;
    load->free_count = 0;
    for (size_t i = 0; i < run->inflight; i++) {
        load->slots[i] =
            (struct load_slot){.load = load, .index = (uint32_t)i, .next = load->free_slots};
        load->free_slots = &load->slots[i];
    }
    load->samples = (struct bench_samples){0};
    if (run->sequential)
        run_sequential(load, run, ret_result);
    else
        run_random(load, run, ret_result);
    wait_for_all(load);
    ret_result->samples = &load->samples;
    free(load->slots);
    free(load->events);
}
