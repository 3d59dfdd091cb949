/* Random histories of transactions, plain batches, appends and deletes, scavenged, reopened and cut
 * off from power at random moments, against a model that forgets nothing (txn_model.h): nothing
 * that is wanted goes, nothing open is touched or seen, and in the end nothing is left of what
 * nobody needs.
 *
 * A history that fails tells its seed; to play it again: MS_STORE_TXN_FIRST=seed and
 * MS_STORE_TXN_SEEDS=1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "txn_model.h"

/* ---- what may be cut off ---- */

static bool is_off(struct model *m) { return !m->w.real && ms_vfs_sim_is_cut(m->w.world.sim); }

static void open_store(struct model *m) {
    if (store_world_open(&m->w) != 0)
        fail_msg("open: %s", m->w.error.message);
    for (int i = 0; i < MODEL_PRODUCERS; i++) {
        const struct txn_producer *own = &m->producers[i].own;
        assert_int_equal(ms_store_txn_set_epoch(m->w.store, own->id, own->epoch), 0);
    }
}

static void reopen(struct model *m) {
    assert_int_equal(store_world_close(&m->w), 0);
    if (m->w.real && pick(m, 2) == 0)
        store_world_drop_index(&m->w);
    open_store(m);
}

static void power_cut(struct model *m) {
    ms_vfs_sim_cut(m->w.world.sim, MS_SIM_CUT_RANDOM);
    ms_ignore(store_world_close(&m->w));
    open_store(m);
}

/* Of an answer that did not come: the power is on again afterwards. */
static bool is_unknown(struct model *m, int code) {
    if (code == 0)
        return false;
    if (!m->shaky || !is_off(m))
        fail_msg("%s: %s", ms_error_name(code), m->w.error.message);
    power_cut(m);
    return true;
}

static int64_t end_of(struct model *m, int partition) {
    return state_of(&m->w, model_places[partition].topic, model_places[partition].number)
        .end_offset;
}

/* ---- batches ---- */

static void make_batch(struct model *m, int partition, int producer, const struct model_sent *sent,
                       struct ms_buf *out) {
    static const enum ms_codec codecs[] = {MS_CODEC_NONE, MS_CODEC_NONE, MS_CODEC_ZSTD};
    struct ms_batch_writer writer;
    assert_int_equal(ms_batch_begin(&writer, out, codecs[pick(m, 3)], now_of(&m->w)), 0);
    if (producer != MODEL_NOBODY) {
        writer.producer_id = m->producers[producer].own.id;
        writer.producer_epoch = m->producers[producer].own.epoch;
        writer.base_sequence = sent->sequence;
    }
    if (producer < MODEL_PRODUCERS)
        writer.attributes |= MS_BATCH_TRANSACTIONAL;
    for (int32_t i = 0; i < sent->count; i++) {
        const struct model_record *record = &m->partitions[partition].records[sent->offset + i];
        struct model_text text = model_text_of(partition, sent->offset + i, record->key);
        struct ms_bytes key = ms_bytes_cstr(text.key), value = ms_bytes_cstr(text.value);
        assert_int_equal(
            ms_batch_add(&writer, now_of(&m->w), &key, record->tombstone ? NULL : &value, NULL, 0),
            0);
    }
    assert_int_equal(ms_batch_end(&writer), 0);
}

static int send_batch(struct model *m, int partition, int producer, const struct model_sent *sent,
                      int64_t *ret_offset) {
    struct produced_outcome outcome = {0};
    struct ms_buf batch;
    int32_t index;
    ms_buf_init(&batch, 1 << 20);
    make_batch(m, partition, producer, sent, &batch);
    struct ms_produce_request request = {
        .topic = topic_named(&m->w, model_places[partition].topic),
        .partition = model_places[partition].number,
        .batch = ms_buf_bytes(&batch),
        .begins = true,
    };
    int code = ms_store_produce(m->w.store, &request, on_produced, &outcome, &index, &m->w.error);
    if (code == 0 && !m->w.real)
        ms_store_run(m->w.store);
    while (code == 0 && !atomic_load(&outcome.done))
        ms_clock_sleep_us(ms_clock_system(), 50);
    ms_buf_deinit(&batch);
    *ret_offset = outcome.first_offset;
    return code != 0 ? code : outcome.code;
}

static void note_sent(struct model *m, int partition, int producer, struct model_sent sent) {
    struct model_producer *p = &m->producers[producer];
    if (producer == MODEL_NOBODY)
        return;
    p->own.sequence[partition] += sent.count;
    if (producer < MODEL_PRODUCERS)
        p->open = p->wrote[partition] = true;
    if (partition >= MODEL_COMPACTED)
        return;
    memmove(p->last[partition] + 1, p->last[partition], (MODEL_LAST - 1) * sizeof sent);
    p->last[partition][0] = sent;
}

static void produce_some(struct model *m, int producer) {
    int partition = (int)pick(m, MODEL_PARTITIONS);
    struct model_partition *p = &m->partitions[partition];
    if (p->end > MODEL_HISTORY - 20)
        return;
    struct model_sent sent = {.offset = p->end,
                              .at_us = ms_clock_now_us(m->w.env.clock),
                              .count = 1 + (int32_t)pick(m, MODEL_BATCH_MAX)};
    if (producer != MODEL_NOBODY)
        sent.sequence = m->producers[producer].own.sequence[partition];
    for (int32_t i = 0; i < sent.count; i++)
        model_add(m, partition, producer < MODEL_PRODUCERS ? OPEN : PLAIN, producer);
    int64_t offset;
    int code = send_batch(m, partition, producer, &sent, &offset);
    if (is_unknown(m, code)) {
        int64_t end = end_of(m, partition);
        assert_true(end == sent.offset || end == sent.offset + sent.count);
        if (producer == MODEL_IDEMPOTENT) { /* sends it again: then it is there once */
            assert_int_equal(send_batch(m, partition, producer, &sent, &offset), 0);
        } else if (end == sent.offset) {
            model_take_back(m, partition, sent.count);
            return;
        } else {
            offset = sent.offset;
        }
    }
    assert_int_equal(offset, sent.offset);
    note_sent(m, partition, producer, sent);
}

static void send_again(struct model *m, int producer) {
    int partition = (int)pick(m, MODEL_COMPACTED);
    const struct model_sent *sent = &m->producers[producer].last[partition][pick(m, MODEL_LAST)];
    int64_t offset, now_us = ms_clock_now_us(m->w.env.clock);
    if (sent->count == 0 || now_us - sent->at_us > MODEL_DAY_US * 9 / 10)
        return;
    assert_int_equal(send_batch(m, partition, producer, sent, &offset), 0);
    assert_int_equal(offset, sent->offset);
}

static void append_event(struct model *m) {
    struct model_partition *p = &m->partitions[MODEL_S];
    char stream[16];
    if (p->end > MODEL_HISTORY - 20)
        return;
    struct model_record *record = model_add(m, MODEL_S, PLAIN, MODEL_NOBODY);
    record->tombstone = false;
    struct model_text text = model_text_of(MODEL_S, p->end - 1, record->key);
    snprintf(stream, sizeof stream, "s-%s", text.key);
    struct ms_event event = {.type = MS_BYTES_LITERAL("happened"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = ms_bytes_cstr(text.value)};
    struct ms_append_part part = {ms_bytes_cstr(stream), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    struct store_answer answer = store_request(&m->w, &request);
    if (is_unknown(m, answer.code) && end_of(m, MODEL_S) < p->end)
        model_take_back(m, MODEL_S, 1);
    else if (answer.code == 0)
        assert_int_equal(answer.parts[0].version, record->version);
}

/* ---- ends ---- */

static int count_open(void *context, const struct ms_txn_open *open) {
    struct model_seen *seen = context; /* `next` counts, `partition` is the producer */
    seen->next += open->producer_id == seen->m->producers[seen->partition].own.id;
    return 0;
}

/* All of it or nothing. */
static bool has_ended(struct model *m, int producer) {
    struct model_seen seen = {.m = m, .partition = producer};
    int wrote = 0;
    for (int i = 0; i < MODEL_PARTITIONS; i++)
        wrote += m->producers[producer].wrote[i];
    assert_int_equal(ms_store_txn_list(m->w.store, count_open, &seen), 0);
    assert_true(seen.next == 0 || seen.next == wrote);
    return seen.next == 0;
}

static void end_one(struct model *m, int producer, bool commit) {
    struct model_producer *p = &m->producers[producer];
    struct produced_outcome outcome = {0};
    if (!p->open)
        return;
    if (pick(m, 2) == 0) { /* as KIP-890 has it */
        p->own.epoch++;
        memset(p->own.sequence, 0, sizeof p->own.sequence);
        memset(p->last, 0, sizeof p->last);
    }
    struct ms_txn_end end = {.producer_id = p->own.id, .epoch = p->own.epoch, .commit = commit};
    int code = ms_store_txn_end(m->w.store, &end, on_produced, &outcome, &m->w.error);
    if (code == 0 && !m->w.real)
        ms_store_run(m->w.store);
    while (code == 0 && !atomic_load(&outcome.done))
        ms_clock_sleep_us(ms_clock_system(), 50);
    code = code != 0 ? code : outcome.code;
    if (!is_unknown(m, code) || has_ended(m, producer))
        model_end(m, producer, commit);
}

/* ---- deletes ---- */

static void trim(struct model *m) {
    struct model_partition *p = &m->partitions[MODEL_D];
    int64_t offset = p->start + pick(m, (uint32_t)(p->end - p->start) / 2 + 1), start;
    int code = ms_store_trim_partition(m->w.store, topic_named(&m->w, "d"), 0, offset, &start,
                                       &m->w.error);
    if (is_unknown(m, code)) {
        start = state_of(&m->w, "d", 0).start_offset;
        assert_true(start == p->start || start == offset);
    } else {
        assert_int_equal(start, offset);
    }
    p->start = start;
}

static void delete_stream(struct model *m) {
    char stream[16];
    int key = (int)pick(m, MODEL_KEYS / 6);
    if (m->heads[key] == m->firsts[key])
        return;
    snprintf(stream, sizeof stream, "s-k%d", key);
    int code = store_delete(&m->w, stream, ANY, false).code;
    if (!is_unknown(m, code) || store_stream(&m->w, stream).deleted_head == m->heads[key] - 1)
        m->firsts[key] = m->heads[key];
}

/* ---- the end ---- */

static void count_wanted(struct model *m, int *ret_pending, int *ret_plain) {
    *ret_pending = *ret_plain = 0;
    for (int i = 0; i < MODEL_COMPACTED; i++) {
        const struct model_partition *p = &m->partitions[i];
        for (int key = 0; key < MODEL_KEYS; key++) {
            const struct model_record *newest = NULL;
            for (int64_t offset = 0; offset < p->end; offset++)
                if (model_is_committed(&p->records[offset]) && p->records[offset].key == key)
                    newest = &p->records[offset];
            if (newest == NULL || newest->tombstone)
                continue;
            *ret_pending += newest->kind == COMMITTED;
            *ret_plain += newest->kind == PLAIN;
        }
    }
}

static size_t aborted_left(struct model *m) {
    size_t sum = 0;
    for (uint32_t i = 0; i < MODEL_COMPACTED; i++) {
        struct ms_arena arena;
        struct ms_txn_aborted *aborted;
        size_t count;
        ms_arena_init(&arena, 1 << 20);
        assert_int_equal(ms_store_aborted(m->w.store, topic_named(&m->w, "t"), i, 0, INT64_MAX,
                                          &arena, &aborted, &count),
                         0);
        ms_arena_deinit(&arena);
        sum += count;
    }
    return sum;
}

/* A day later, everything sealed and decided: of the compacted topic there are no more batches than
 * records that are wanted, but for the partitions' last words. */
static void check_nothing_is_left_over(struct model *m) {
    int pending, plain;
    m->shaky = false;
    for (int i = 0; i < MODEL_PRODUCERS; i++)
        end_one(m, i, i % 2 == 0);
    fill_segment(&m->w);
    ms_clock_manual_advance(&m->w.world.clock, MODEL_DAY_US + 1000000);
    for (int i = 0; i < 5; i++) {
        scavenge_store(&m->w, true);
        model_check(m);
    }
    count_wanted(m, &pending, &plain);
    struct stored_entries stored = entries_of(&m->w, topic_named(&m->w, "t")->number);
    assert_true(stored.pending <= pending);
    assert_int_equal(stored.commits, stored.pending);
    assert_true(stored.others <= plain + MODEL_COMPACTED);
    assert_true(stored.markers <= stored.pending + MODEL_COMPACTED);
    assert_true(aborted_left(m) <= MODEL_COMPACTED);
}

/* ---- a history ---- */

static void scavenge_some(struct model *m) {
    struct ms_scavenge_options options = {.all = pick(m, 2) == 0};
    struct ms_scavenge_result result;
    int code = ms_store_scavenge(m->w.store, &options, &result, &m->w.error);
    is_unknown(m, code);
}

static void take_step(struct model *m) {
    uint32_t what = pick(m, 1000);
    if (what < 130)
        produce_some(m, MODEL_NOBODY);
    else if (what < 230)
        produce_some(m, MODEL_IDEMPOTENT);
    else if (what < 600)
        produce_some(m, (int)pick(m, MODEL_PRODUCERS));
    else if (what < 640)
        send_again(m, (int)pick(m, MODEL_PRODUCERS + 1));
    else if (what < 700)
        append_event(m);
    else if (what < 850)
        end_one(m, (int)pick(m, MODEL_PRODUCERS), pick(m, 3) > 0);
    else if (what < 865)
        delete_stream(m);
    else if (what < 880)
        trim(m);
    else
        scavenge_some(m);
}

static void step(struct model *m) {
    uint32_t what = pick(m, 100);
    m->shaky = !m->w.real && pick(m, 12) == 0;
    if (what < 4)
        fill_segment(&m->w);
    else if (what < 6)
        reopen(m);
    else if (what < 8 && !m->w.real)
        ms_clock_manual_advance(&m->w.world.clock, MODEL_DAY_US / 3);
    if (m->shaky)
        ms_vfs_sim_cut_at(m->w.world.sim, 1 + pick(m, 40));
    take_step(m);
    if (m->shaky)
        power_cut(m); /* also what was not reached calls for one: what was answered is there */
    model_check(m);
}

struct history {
    uint64_t seed;
    int steps;
    bool over;
};

static void run_history(struct history *history, bool real) {
    static const struct {
        const char *topic;
        bool compact, streams;
        uint16_t partitions;
    } topics[] = {
        {"t", true, false, MODEL_COMPACTED}, {"s", false, true, 1}, {"d", false, false, 1}};
    struct model *m = calloc(1, sizeof *m);
    m->random = history->seed;
    if (real)
        store_world_init_real(&m->w);
    else
        store_world_init(&m->w, history->seed);
    m->w.options.compaction_bytes_max = history->seed % 3 == 0 ? 1 : (size_t)1 << 20;
    for (int i = 0; i <= MODEL_PRODUCERS; i++)
        m->producers[i].own.id = 70 + i;
    open_store(m);
    for (size_t i = 0; i < 3; i++) {
        struct ms_topic_settings settings = plain_settings(&m->w, topics[i].partitions);
        settings.compact = settings.retention_ignored = topics[i].compact;
        settings.streams = topics[i].streams;
        settings.delete_retention_ms = history->seed % 2 == 0 ? 0 : MS_DELETE_RETENTION_MS;
        put_topic(&m->w, topics[i].topic, settings);
    }
    for (int i = 0; i < history->steps; i++)
        step(m);
    if (!real)
        check_nothing_is_left_over(m);
    reopen(m);
    model_check(m);
    store_world_deinit(&m->w);
    free(m);
}

static void run_histories(struct history *history, uint64_t first, uint64_t count, bool real) {
    history->steps = (int)world_setting("MS_STORE_TXN_STEPS", 200);
    history->over = false;
    for (uint64_t i = 0; i < count; i++) {
        history->seed = first + i;
        run_history(history, real);
    }
    history->over = true;
}

static void random_histories_are_as_the_model_says(void **state) {
    run_histories(*state, world_setting("MS_STORE_TXN_FIRST", 1),
                  world_setting("MS_STORE_TXN_SEEDS", 6), false);
}

static void random_histories_on_real_files(void **state) {
    run_histories(*state, world_setting("MS_STORE_TXN_FIRST", 101),
                  world_setting("MS_STORE_TXN_SEEDS", 1), true);
}

static int setup(void **state) {
    static struct history history;
    *state = &history;
    return 0;
}

static int tell_seed(void **state) {
    const struct history *history = *state;
    if (!history->over)
        print_message("the history is that of seed %llu\n", (unsigned long long)history->seed);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_histories_are_as_the_model_says, setup, tell_seed),
        cmocka_unit_test_setup_teardown(random_histories_on_real_files, setup, tell_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
