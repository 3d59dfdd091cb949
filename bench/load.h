/*
 * Load on a store through the public library: appends under exact versions with a number of them in
 * flight.
 *
 *   slot     one append in flight: its stream, its events, when it began
 *   streams  split among the slots (stream % slots), so that no two appends in flight meet
 *   version  of each stream, as the client that appends knows it
 *
 * One thread submits; answers come on the store's thread and put their slot back.
 */
#pragma once

#include <mainstem/mainstem.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "measure.h"

struct load_slot {
    struct load *load;
    struct load_slot *next;
    uint32_t stream;
    uint32_t index;
    uint64_t began_ns;
};

struct load {
    struct mainstem_store *store;
    struct bench_payloads *payloads;
    uint32_t streams;
    int64_t *versions; /* -1: not there */
    uint64_t random;
    /* of one run */
    size_t batch;
    struct load_slot *slots;
    size_t slot_count;
    struct mainstem_event *events; /* `batch` of them, for the append being made */
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct load_slot *free_slots;
    size_t free_count;
    struct bench_samples samples; /* under the lock */
    uint64_t done_events;         /* under the lock */
    bool measuring;               /* under the lock */
};

void load_init(struct load *load, struct mainstem_store *store, struct bench_payloads *payloads,
               uint32_t streams);
void load_free(struct load *load);

struct load_run {
    size_t inflight;
    size_t batch;
    double warm_secs, secs; /* of random streams … */
    bool sequential;        /* … or one append to each of `rounds` times all streams */
    uint64_t rounds;
};
/* Fills events, seconds, CPU and samples (the caller frees them) of *ret_result. */
void load_append(struct load *load, const struct load_run *run, struct bench_result *ret_result);
