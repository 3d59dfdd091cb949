/* Compaction by key in topics without streams: the newest record of each key stays where it is,
 * older ones go; tombstones, lags, producers, keys that don't fit into memory; and a model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/compaction.h"
#include "topic_records.h"

#define HOUR_US ((int64_t)3600000000)

static void open_world(struct store_world *w, bool real, size_t compaction_bytes) {
    if (real)
        store_world_init_real(w);
    else
        store_world_init(w, 1);
    w->options.compaction_bytes_max = compaction_bytes;
    assert_int_equal(store_world_open(w), 0);
}

static int setup(void **state) {
    static struct store_world w;
    open_world(&w, false, (size_t)1 << 20);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    store_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static struct ms_topic_settings compact_settings(struct store_world *w, uint16_t partitions) {
    struct ms_topic_settings settings = plain_settings(w, partitions);
    settings.compact = settings.retention_ignored = true;
    return settings;
}

static void pass_hours(struct store_world *w, int64_t hours) {
    ms_clock_manual_advance(&w->world.clock, hours * HOUR_US);
}

/* ---- cases ---- */

static void newest_record_of_each_key_stays(void **state) {
    struct store_world *w = *state;
    put_topic(w, "t", compact_settings(w, 2));
    produce_one(w, "t", 0, "a", "0");
    produce_one(w, "t", 0, "b", "1");
    produce_one(w, "t", 1, "a", "0"); /* another partition: another key */
    produce_one(w, "t", 0, "a", "2");
    produce_one(w, "t", 0, "c", "3");
    produce_one(w, "t", 0, "b", "4");
    assert_int_equal(scavenge_store(w, true), 0); /* nothing is sealed */
    fill_segment(w);
    produce_one(w, "t", 0, "c", "5"); /* not sealed, and yet it counts */
    assert_int_equal(scavenge_store(w, true), 3);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(records_of(w, "t", 1, 0), "0:a=0");
        assert_string_equal(records_of(w, "t", 0, 0), "2:a=2 4:b=4 5:c=5");
        store_world_reopen(w);
    }
}

static void start_does_not_move(void **state) {
    struct store_world *w = *state;
    put_topic(w, "t", compact_settings(w, 1));
    for (int i = 0; i < 20; i++)
        produce_one(w, "t", 0, "a", "v");
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 19);
    assert_int_equal(state_of(w, "t", 0).start_offset, 0);
    assert_string_equal(records_of(w, "t", 0, 0), "19:a=v");
    assert_string_equal(records_of(w, "t", 0, 7), "19:a=v");
}

static void tombstone_hides_what_is_stored_and_goes_at_last(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = compact_settings(w, 1);
    settings.delete_retention_ms = 2 * 3600000;
    put_topic(w, "t", settings);
    produce_one(w, "t", 0, "a", "0");
    produce_one(w, "t", 0, "b", "1");
    fill_segment(w);
    produce_one(w, "t", 0, "a", NULL);
    produce_one(w, "t", 0, "b", "3");
    fill_segment(w);
    pass_hours(w, 1);
    scavenge_store(w, true);
    assert_string_equal(records_of(w, "t", 0, 0), "2:a= 3:b=3"); /* not old enough */
    pass_hours(w, 2);
    scavenge_store(w, true);
    assert_string_equal(records_of(w, "t", 0, 0), "3:b=3");
    store_world_reopen(w);
    assert_string_equal(records_of(w, "t", 0, 0), "3:b=3");
}

/* Old enough, but the pass met what it hides. */
static void tombstone_outlives_what_it_hides(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = compact_settings(w, 1);
    settings.delete_retention_ms = 0;
    put_topic(w, "t", settings);
    produce_one(w, "t", 0, "a", "0");
    produce_one(w, "t", 0, "a", NULL);
    produce_one(w, "t", 0, "b", "2");
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 1);
    assert_string_equal(records_of(w, "t", 0, 0), "1:a= 2:b=2");
    assert_int_equal(scavenge_store(w, true), 1);
    assert_string_equal(records_of(w, "t", 0, 0), "2:b=2");
}

static void young_records_are_protected(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = compact_settings(w, 1);
    settings.compaction_lag_ms = 3600000;
    put_topic(w, "t", settings);
    produce_one(w, "t", 0, "a", "0");
    produce_one(w, "t", 0, "a", "1");
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 0);
    pass_hours(w, 2);
    assert_int_equal(scavenge_store(w, true), 1);
    assert_string_equal(records_of(w, "t", 0, 0), "1:a=1");
}

static struct ms_scavenge_result scavenge_as_scheduled(struct store_world *w) {
    struct ms_scavenge_options options = {0};
    struct ms_scavenge_result result;
    assert_int_equal(ms_scavenge_lock(w->store), 0);
    assert_int_equal(ms_scavenge_run(w->store, &options, true, &result, &w->error), 0);
    return result;
}

/* Of keys "n<first>" and on; it hardly compresses. */
static void produce_noise(struct store_world *w, int first, int count) {
    static uint64_t round;
    for (int i = first; i < first + count; i++) {
        char noise[60001], key[16];
        round++;
        for (size_t n = 0; n < sizeof noise - 1; n++)
            noise[n] = (char)(1 + ms_hash64(&n, sizeof n, round) % 255);
        noise[sizeof noise - 1] = 0;
        snprintf(key, sizeof key, "n%d", i);
        produce_one(w, "t", 0, key, noise);
    }
}

static void overdue_records_are_compacted_however_little_is_gained(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = compact_settings(w, 1);
    settings.compaction_lag_max_ms = 3 * 3600000;
    put_topic(w, "t", settings);
    produce_noise(w, 0, 12);
    produce_one(w, "t", 0, "a", "0");
    produce_one(w, "t", 0, "a", "1");
    fill_segment(w);
    assert_int_equal(scavenge_as_scheduled(w).rewritten, 0);
    pass_hours(w, 4);
    assert_true(scavenge_as_scheduled(w).rewritten > 0);
    assert_string_equal(records_of(w, "t", 0, 12), "13:a=1");
    assert_int_equal(scavenge_as_scheduled(w).rewritten, 0); /* and once only */
}

/* What is superseded all the time does not cost a rewrite each time. */
static void overdue_records_cost_one_rewrite_in_the_time_they_may_wait(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = compact_settings(w, 1);
    settings.compaction_lag_max_ms = 3 * 3600000;
    put_topic(w, "t", settings);
    produce_noise(w, 0, 12);
    for (int i = 0; i < 24; i++)
        produce_one(w, "t", 0, (char[]){(char)('a' + i), 0}, "old");
    fill_segment(w);
    pass_hours(w, 4);
    uint64_t rewritten = 0;
    for (int hour = 0; hour < 24; hour++) {
        produce_one(w, "t", 0, (char[]){(char)('a' + hour), 0}, "new");
        rewritten += scavenge_as_scheduled(w).rewritten;
        pass_hours(w, 1);
    }
    assert_in_range(rewritten, 24 / 4, 24 / 3);
}

/* Without such a bound the gain decides: a segment is rewritten when it becomes a fifth smaller. */
static void rewriting_costs_four_bytes_for_each_one_won(void **state) {
    struct store_world *w = *state;
    struct ms_scavenge_result sum = {0};
    uint64_t appended = 0;
    put_topic(w, "t", compact_settings(w, 1));
    produce_noise(w, 0, 90);
    for (int round = 0; round < 60; round++) {
        produce_noise(w, round * 37 % 89, 2);
        appended += 120000;
        while (ms_keeper_step(w->store->log))
            continue;
        struct ms_scavenge_result result = scavenge_as_scheduled(w);
        sum.bytes_written += result.bytes_written;
        sum.bytes_before += result.bytes_before;
        sum.bytes_after += result.bytes_after;
    }
    double won = ms_scavenge_amplification(sum.bytes_written, sum.bytes_before, sum.bytes_after);
    double all = ms_scavenge_amplification(sum.bytes_written, appended, 0);
    if (won > 4.0 || all > 4.0 || won == 0)
        fail_msg("%.2f bytes were written for each won, %.2f for each appended", won, all);
    print_message("%.2f bytes were written for each won, %.2f for each appended\n", won, all);
}

static void retention_is_ignored_or_not(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = compact_settings(w, 1);
    settings.retention_ms = 3600000;
    settings.retention_count = 1;
    settings.retention_bytes = 10;
    put_topic(w, "only", settings);
    settings.retention_ignored = false;
    settings.retention_bytes = settings.retention_count = -1;
    put_topic(w, "both", settings);
    for (int i = 0; i < 2; i++) {
        const char *topic = i == 0 ? "only" : "both";
        produce_one(w, topic, 0, "a", "0");
        produce_one(w, topic, 0, "a", "1");
        produce_one(w, topic, 0, "b", "2");
    }
    fill_segment(w);
    pass_hours(w, 2);
    produce_one(w, "both", 0, "c", "3");
    scavenge_store(w, true);
    assert_string_equal(records_of(w, "only", 0, 0), "1:a=1 2:b=2");
    assert_int_equal(state_of(w, "only", 0).start_offset, 0);
    assert_int_equal(state_of(w, "both", 0).start_offset, 3);
    assert_string_equal(records_of(w, "both", 0, 3), "3:c=3");
}

static void records_without_keys_stay(void **state) {
    struct store_world *w = *state;
    put_topic(w, "t", plain_settings(w, 1));
    struct ms_batch_writer writer;
    struct ms_buf batch;
    ms_buf_init(&batch, 1 << 20);
    struct ms_bytes value = MS_BYTES_LITERAL("v");
    assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_ZSTD, 1000), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ms_batch_add(&writer, 1000, NULL, &value, NULL, 0), 0);
    assert_int_equal(ms_batch_end(&writer), 0);
    produce_batch(w, "t", 0, ms_buf_bytes(&batch));
    ms_buf_deinit(&batch);
    put_topic(w, "t", compact_settings(w, 1));
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 0);
    assert_string_equal(records_of(w, "t", 0, 0), "0:=v 1:=v 2:=v");
}

/* How many batches of this producer are stored, empty ones too. */
static int batches_of_producer(struct store_world *w, int64_t producer_id) {
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    int count = 0;
    ms_log_cursor_init(&cursor, w->store->log, 0);
    while (ms_log_cursor_next(&cursor, &entry, NULL) > 0) {
        struct ms_batch_header header;
        assert_int_equal(ms_batch_read_header(entry.batch, &header, NULL), 0);
        count += header.producer_id == producer_id;
    }
    ms_log_cursor_deinit(&cursor);
    return count;
}

static int64_t produce_numbered(struct store_world *w, int sequence) {
    struct ms_batch_writer writer;
    struct ms_buf batch;
    struct ms_bytes key = MS_BYTES_LITERAL("a");
    ms_buf_init(&batch, 1 << 20);
    assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_NONE, 1000), 0);
    writer.producer_id = 77;
    writer.producer_epoch = 0;
    writer.base_sequence = sequence;
    assert_int_equal(ms_batch_add(&writer, 1000, &key, &key, NULL, 0), 0);
    assert_int_equal(ms_batch_end(&writer), 0);
    int64_t offset = produce_batch(w, "t", 0, ms_buf_bytes(&batch));
    ms_buf_deinit(&batch);
    return offset;
}

/* A client may have five batches under way, and send each of them again after a start. */
static void last_five_batches_of_a_living_producer_stay_without_their_records(void **state) {
    struct store_world *w = *state;
    put_topic(w, "t", compact_settings(w, 1));
    for (int i = 0; i < 8; i++)
        assert_int_equal(produce_numbered(w, i), i);
    produce_one(w, "t", 0, "a", "new");
    fill_segment(w);
    scavenge_store(w, true);
    assert_string_equal(records_of(w, "t", 0, 0), "8:a=new");
    assert_int_equal(batches_of_producer(w, 77), 5);
    store_world_reopen(w);
    for (int i = 3; i < 8; i++)
        assert_int_equal(produce_numbered(w, i), i);
    assert_int_equal(state_of(w, "t", 0).end_offset, 9);
    pass_hours(w, 25);
    scavenge_store(w, true);
    assert_int_equal(batches_of_producer(w, 77), 0);
    assert_string_equal(records_of(w, "t", 0, 0), "8:a=new");
}

static void keys_beyond_the_budget_take_more_rounds(void **state) {
    (void)state;
    struct store_world w;
    open_world(&w, false, 1); /* 64 places: 48 keys a round */
    put_topic(&w, "t", compact_settings(&w, 1));
    char key[16];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 500; i++) {
            snprintf(key, sizeof key, "k%d", i);
            produce_one(&w, "t", 0, key, "v");
        }
    fill_segment(&w);
    struct ms_compaction compaction;
    struct ms_fates_table fates;
    int rounds = 0;
    ms_fates_init(&fates, w.store);
    ms_compaction_init(&compaction, w.store, &fates, now_of(&w));
    do {
        assert_int_equal(ms_compaction_build(&compaction, &w.error), 0);
        assert_true(compaction.count <= 48);
        rounds++;
    } while (compaction.to != 0);
    ms_compaction_deinit(&compaction);
    ms_fates_deinit(&fates);
    assert_true(rounds >= 11);
    scavenge_store(&w, true); /* tells what the last round removed; look at what is there */
    assert_int_equal(state_of(&w, "t", 0).end_offset, 1000);
    for (int64_t offset = 0; offset < 500; offset += 100)
        assert_true(strncmp(records_of(&w, "t", 0, offset), "500:k0=v", 8) == 0);
    store_world_deinit(&w);
}

/* ---- the model ---- */

#define KEYS 90
#define HISTORY 4000
#define PARTITIONS 2

struct history {
    int key[HISTORY]; /* of the record at this offset */
    bool tombstone[HISTORY];
    int64_t end;
};

struct model {
    struct store_world w;
    uint64_t random;
    struct history partitions[PARTITIONS];
};

static uint32_t pick(struct model *m, uint32_t below) {
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(m->random >> 33) % below;
}

/* What a record must be, by its offset. */
static void text_of(int partition, int64_t offset, int key, char out_key[16], char *out_value,
                    size_t *ret_len) {
    size_t len = 20 + (size_t)(offset * 7919 % 3000);
    snprintf(out_key, 16, "k%d", key);
    memset(out_value, 'a' + (int)(offset % 26), len);
    snprintf(out_value, 21, "%019lld", (long long)(offset * PARTITIONS + partition));
    out_value[19] = '.';
    *ret_len = len;
}

static void produce_some(struct model *m) {
    int partition = (int)pick(m, PARTITIONS);
    struct history *h = &m->partitions[partition];
    static const enum ms_codec codecs[] = {MS_CODEC_NONE, MS_CODEC_LZ4, MS_CODEC_ZSTD};
    struct ms_batch_writer writer;
    struct ms_buf batch;
    ms_buf_init(&batch, 1 << 20);
    assert_int_equal(ms_batch_begin(&writer, &batch, codecs[pick(m, 3)], now_of(&m->w)), 0);
    int64_t first = h->end;
    for (uint32_t left = 1 + pick(m, 6); left > 0 && h->end < HISTORY; left--) {
        char key[16], value[4096];
        size_t len;
        int64_t offset = h->end++;
        h->key[offset] = (int)pick(m, pick(m, 4) == 0 ? KEYS : KEYS / 4);
        h->tombstone[offset] = pick(m, 5) == 0;
        text_of(partition, offset, h->key[offset], key, value, &len);
        struct ms_bytes k = ms_bytes_cstr(key), v = ms_bytes_of(value, len);
        assert_int_equal(
            ms_batch_add(&writer, now_of(&m->w), &k, h->tombstone[offset] ? NULL : &v, NULL, 0), 0);
    }
    assert_int_equal(ms_batch_end(&writer), 0);
    assert_int_equal(produce_batch(&m->w, "t", (uint32_t)partition, ms_buf_bytes(&batch)), first);
    ms_buf_deinit(&batch);
}

struct check {
    struct model *m;
    int partition;
    int64_t next;         /* offsets grow */
    int64_t newest[KEYS]; /* read of each key; -1 none */
    int records;
};

static void check_record(void *context, const struct ms_record *record) {
    struct check *check = context;
    struct history *h = &check->m->partitions[check->partition];
    char key[16], value[4096];
    size_t len;
    assert_true(record->offset >= check->next && record->offset < h->end);
    check->next = record->offset + 1;
    int k = h->key[record->offset];
    text_of(check->partition, record->offset, k, key, value, &len);
    assert_true(ms_bytes_equal_cstr(record->key, key));
    assert_int_equal(record->value_is_null, h->tombstone[record->offset]);
    if (!record->value_is_null)
        assert_true(ms_bytes_equal(record->value, ms_bytes_of(value, len)));
    check->newest[k] = record->offset;
    check->records++;
}

/* Order, offsets and bytes are as produced, and who reads from the beginning ends up with the
 * newest value of each key. Returns how many records there are. */
static int check_partition(struct model *m, int partition) {
    struct history *h = &m->partitions[partition];
    struct check check = {.m = m, .partition = partition};
    int64_t newest[KEYS];
    for (int k = 0; k < KEYS; k++)
        newest[k] = check.newest[k] = -1;
    for (int64_t offset = 0; offset < h->end; offset++)
        newest[h->key[offset]] = offset;
    assert_int_equal(state_of(&m->w, "t", (uint32_t)partition).start_offset, 0);
    assert_int_equal(state_of(&m->w, "t", (uint32_t)partition).end_offset, h->end);
    read_records(&m->w, "t", (uint32_t)partition, 0, check_record, &check);
    for (int k = 0; k < KEYS; k++) {
        bool gone = check.newest[k] == -1 && newest[k] >= 0 && h->tombstone[newest[k]];
        if (!gone && check.newest[k] != newest[k])
            fail_msg("partition %d, key %d: the newest is at %lld, read was %lld", partition, k,
                     (long long)newest[k], (long long)check.newest[k]);
    }
    /* From anywhere on, it is the same without what comes before. */
    int64_t from = h->end > 0 ? pick(m, (uint32_t)h->end) : 0;
    struct check later = {.m = m, .partition = partition, .next = from};
    read_records(&m->w, "t", (uint32_t)partition, from, check_record, &later);
    return check.records;
}

static void check_all(struct model *m) {
    for (int p = 0; p < PARTITIONS; p++)
        check_partition(m, p);
}

static void reopen(struct model *m) {
    assert_int_equal(store_world_close(&m->w), 0);
    if (m->w.real && pick(m, 2) == 0)
        store_world_drop_index(&m->w);
    assert_int_equal(store_world_open(&m->w), 0);
}

/* At the end, with everything sealed, nothing superseded is left. */
static void check_nothing_superseded_is_left(struct model *m) {
    fill_segment(&m->w);
    for (int i = 0; i < 2; i++)
        scavenge_store(&m->w, true);
    for (int p = 0; p < PARTITIONS; p++) {
        struct history *h = &m->partitions[p];
        int64_t newest[KEYS];
        int wanted = 0;
        for (int k = 0; k < KEYS; k++)
            newest[k] = -1;
        for (int64_t offset = 0; offset < h->end; offset++)
            newest[h->key[offset]] = offset;
        for (int k = 0; k < KEYS; k++)
            wanted += newest[k] >= 0 && !h->tombstone[newest[k]];
        assert_int_equal(check_partition(m, p), wanted);
    }
}

static void run_model(bool real, uint64_t seed, int steps) {
    struct model *m = calloc(1, sizeof *m);
    m->random = seed;
    open_world(&m->w, real, seed % 2 == 0 ? 1 : (size_t)1 << 20);
    struct ms_topic_settings settings = compact_settings(&m->w, PARTITIONS);
    settings.delete_retention_ms = 0;
    put_topic(&m->w, "t", settings);
    for (int step = 0; step < steps; step++) {
        uint32_t what = pick(m, 100);
        if (what < 85) {
            produce_some(m);
        } else if (what < 90) {
            fill_segment(&m->w);
        } else if (what < 96) {
            scavenge_store(&m->w, pick(m, 2) == 0);
            check_all(m);
        } else if (what < 98) {
            reopen(m);
            check_all(m);
        } else {
            check_all(m);
        }
    }
    check_nothing_superseded_is_left(m);
    reopen(m);
    check_nothing_superseded_is_left(m);
    store_world_deinit(&m->w);
    free(m);
}

static void random_topics_keep_the_newest_of_each_key(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        run_model(false, seed, 300);
}

static void random_topics_on_real_files(void **state) {
    (void)state;
    for (uint64_t seed = 101; seed <= 102; seed++)
        run_model(true, seed, 200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(newest_record_of_each_key_stays),
        test(start_does_not_move),
        test(tombstone_hides_what_is_stored_and_goes_at_last),
        test(tombstone_outlives_what_it_hides),
        test(young_records_are_protected),
        test(overdue_records_are_compacted_however_little_is_gained),
        test(overdue_records_cost_one_rewrite_in_the_time_they_may_wait),
        test(rewriting_costs_four_bytes_for_each_one_won),
        test(retention_is_ignored_or_not),
        test(records_without_keys_stay),
        test(last_five_batches_of_a_living_producer_stay_without_their_records),
        cmocka_unit_test(keys_beyond_the_budget_take_more_rounds),
        cmocka_unit_test(random_topics_keep_the_newest_of_each_key),
        cmocka_unit_test(random_topics_on_real_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
