/*
 * Fetch: batches as they are stored, from where the client has got to; waits when there are few.
 *
 *              handler
 *                 |
 *                 v      in memory                    enough, an error, or nothing to wait for
 *     +------> read pass ------------> enough? ---------------------------------------> answer
 *     |           |                       | no                                             ^
 *     |           | on the disk           v                                                |
 *     |           v                armed on every partition, until max_wait ---------------+
 *     |        a reader does it           |  deadline: with what there is
 *     |           |                       | a partition has grown
 *     +-----------+-----------------------+
 *
 * A pass goes on from where the last one stopped: what was read stays in the answer. A partition is
 * read at most once after the byte limits are reached. Sessions (KIP-227) are not kept: every
 * answer is a full one with session 0, which clients take for "send it all each time".
 *
 * Once an answer has round_bytes and the client's min_bytes, no further partition is begun,
 * whatever max_bytes says: it is written, received and parsed while the processors' caches hold it,
 * and what comes behind it has no time to grow cold. The connection's next request begins behind
 * the partition that the last one ended with, so that each has its turn, in whatever order the
 * client lists them.
 */
#include "face/kafka/connection.h"
#include "face/kafka/errors.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/request.h"
#include "face/kafka/server.h"
#include "store/transactions.h"
#include "wire/kafka/messages.h"

#define BY_ID_VERSION 13
#define LEADER_EPOCH 0
#define READ_COMMITTED 1
#define ROUND_BYTES ((size_t)512 << 10)
#define ROUND_BYTES_EACH                                                                           \
    ((size_t)2 << 10) /* of the partitions: each costs something in the answer */

struct fetched { /* one partition of the request */
    const struct ms_kafka_fetch_request_partition *from;
    struct ms_topic *topic;
    struct ms_slice *slices; /* the request's, which releases them */
    size_t slice_count;
    struct ms_partition_state state;
    int64_t next; /* offset to go on from */
    size_t bytes;
    int error;
    bool full; /* its own limit of bytes is reached */
    struct ms_waiter waiter;
};

struct fetching {
    struct ms_kafka_request *request;
    struct fetched *partitions;
    size_t count;
    size_t first;               /* of them to be read */
    const struct fetched *last; /* of them that had something; NULL: none had */
    size_t bytes, bytes_max;
    size_t round_bytes;
    int64_t until_us;
    bool committed; /* only what is committed is read */
    bool failed;    /* a partition has an error: no waiting */
    bool waiting;   /* the waiters are armed */
    bool blocked;   /* the pass came to something that isn't in memory */
};

/* ---- whose turn it is ---- */

static void begin_turn(struct fetching *fetching) {
    const struct ms_kafka_turn *turn = &fetching->request->connection->fetch_turn;
    for (size_t i = 0; i < fetching->count && turn->topic != NULL; i++) {
        const struct fetched *f = &fetching->partitions[i];
        if (f->topic == turn->topic && f->from->partition == turn->partition)
            fetching->first = i + 1;
    }
}

static void end_turn(const struct fetching *fetching) {
    const struct fetched *last = fetching->last;
    if (last != NULL && last->topic != NULL)
        fetching->request->connection->fetch_turn =
            (struct ms_kafka_turn){last->topic, last->from->partition};
}

/* ---- waiting ---- */

static void stop_waiting(struct fetching *fetching) {
    struct ms_store *store = fetching->request->loop->kafka->store;
    for (size_t i = 0; fetching->waiting && i < fetching->count; i++)
        ms_store_stop_waiting(store, &fetching->partitions[i].waiter);
    fetching->waiting = false;
}

static void start_waiting(struct fetching *fetching) {
    struct ms_store *store = fetching->request->loop->kafka->store;
    for (size_t i = 0; i < fetching->count; i++) {
        struct fetched *f = &fetching->partitions[i];
        if (f->topic != NULL && !f->full)
            ms_store_wait_partition(store, f->topic, (uint32_t)f->from->partition, &f->waiter);
    }
    fetching->waiting = true;
}

static void forget(struct ms_kafka_request *request) { stop_waiting(request->context); }

/* ---- reading ---- */

static void fail_partition(struct fetching *fetching, struct fetched *f, int error) {
    f->error = error;
    f->topic = NULL;
    fetching->failed = true;
}

static size_t limit_of(const struct fetching *fetching, const struct fetched *f) {
    size_t own = f->from->partition_max_bytes > 0 ? (size_t)f->from->partition_max_bytes : 0;
    size_t left = fetching->bytes < fetching->bytes_max ? fetching->bytes_max - fetching->bytes : 0;
    own = own > f->bytes ? own - f->bytes : 0;
    return own < left ? own : left;
}

/* Hands what was read over to the request, behind what a pass before has read. */
static int keep_slices(struct fetching *fetching, struct fetched *f, struct ms_slice_list *list) {
    if (list->count == 0)
        return 0;
    size_t count = f->slice_count + list->count;
    struct ms_slice *slices = ms_kafka_request_slices(fetching->request, count);
    if (slices == NULL)
        return MS_ENOMEM;
    if (f->slice_count > 0) {
        memcpy(slices, f->slices, f->slice_count * sizeof *slices);
        memset(f->slices, 0, f->slice_count * sizeof *slices);
    }
    memcpy(slices + f->slice_count, list->items, list->count * sizeof *slices);
    list->count = 0; /* the references went along */
    f->slices = slices;
    f->slice_count = count;
    return 0;
}

static bool is_round(const struct fetching *fetching) {
    return fetching->bytes >= fetching->round_bytes;
}

/* Reads on in one partition. MS_EAGAIN: not in memory. */
static int read_on(struct fetching *fetching, struct fetched *f, struct ms_partition_reader *reader,
                   struct ms_slice_list *list, bool in_memory) {
    struct ms_partition_read read = {
        .topic = f->topic,
        .partition = (uint32_t)f->from->partition,
        .offset = f->next,
        .bytes_max = limit_of(fetching, f),
        .oversized = fetching->bytes == 0,
        .stable = fetching->committed,
        .in_memory = in_memory,
    };
    struct ms_partition_read_result result;
    int code = ms_store_read_partition(reader, &read, list, &result, NULL);
    if (code == MS_EAGAIN)
        return code;
    if (code == 0)
        code = keep_slices(fetching, f, list);
    if (code == MS_ENOTFOUND)
        fail_partition(fetching, f, MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    else if (code != 0)
        fail_partition(fetching, f, ms_kafka_error_of(code));
    if (code != 0)
        return 0;
    f->state = result.state;
    f->next = result.next_offset;
    f->bytes += result.bytes;
    f->full = result.more;
    fetching->bytes += result.bytes;
    if (result.bytes > 0)
        fetching->last = f;
    return 0;
}

static int64_t end_for(const struct fetching *fetching, const struct fetched *f) {
    return fetching->committed ? f->state.stable_offset : f->state.end_offset;
}

static void read_pass(struct fetching *fetching, struct ms_partition_reader *reader,
                      bool in_memory) {
    struct ms_store *store = fetching->request->loop->kafka->store;
    struct ms_slice_list list = {0};
    fetching->blocked = false;
    for (size_t i = 0; i < fetching->count && !fetching->blocked && !is_round(fetching); i++) {
        struct fetched *f = &fetching->partitions[(fetching->first + i) % fetching->count];
        if (f->topic == NULL || f->full)
            continue;
        if (ms_store_partition_state(store, f->topic, (uint32_t)f->from->partition, &f->state) != 0)
            fail_partition(fetching, f, MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        else if (f->next < f->state.start_offset || f->next > f->state.end_offset)
            fail_partition(fetching, f, MS_KAFKA_OFFSET_OUT_OF_RANGE);
        else if (f->next < end_for(fetching, f))
            fetching->blocked = read_on(fetching, f, reader, &list, in_memory) == MS_EAGAIN;
    }
    ms_slice_list_deinit(&list);
}

/* ---- the answer ---- */

/* The aborted transactions that the client has to leave out of what it gets. */
static int fill_aborted(struct fetching *fetching, const struct fetched *f,
                        struct ms_kafka_fetch_response_partition *partition) {
    struct ms_kafka_request *request = fetching->request;
    struct ms_txn_aborted *aborted;
    size_t count;
    int code = ms_store_aborted(request->loop->kafka->store, f->topic, (uint32_t)f->from->partition,
                                f->from->fetch_offset, f->next, &request->arena, &aborted, &count);
    if (code != 0)
        return code;
    partition->aborted_transactions =
        ms_arena_alloc(&request->arena, (count + 1) * sizeof *partition->aborted_transactions);
    if (partition->aborted_transactions == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; i < count; i++)
        partition->aborted_transactions[i] = (struct ms_kafka_fetch_response_aborted_transaction){
            .producer_id = aborted[i].producer_id, .first_offset = aborted[i].first_offset};
    partition->aborted_transactions_count = (int32_t)count;
    return 0;
}

static int fill_partition(struct fetching *fetching, const struct fetched *f,
                          struct ms_kafka_fetch_response_partition *partition) {
    static const uint8_t nothing[1];
    bool known = f->topic != NULL || f->error == MS_KAFKA_OFFSET_OUT_OF_RANGE;
    *partition = ms_kafka_fetch_response_partition_default;
    partition->partition_index = f->from->partition;
    partition->error_code = (int16_t)f->error;
    partition->high_watermark = known ? f->state.end_offset : -1;
    partition->last_stable_offset = known ? f->state.stable_offset : -1;
    partition->log_start_offset = known ? f->state.start_offset : -1;
    partition->aborted_transactions_count = -1;
    partition->records.bytes = ms_bytes_of(nothing, 0);
    if (f->slice_count == 0 || f->error != MS_KAFKA_NONE)
        return 0;
    partition->records.slices = f->slices;
    partition->records.slice_count = f->slice_count;
    partition->records.slice_bytes = f->bytes;
    return fetching->committed ? fill_aborted(fetching, f, partition) : 0;
}

static int fill_answer(struct fetching *fetching, struct ms_kafka_fetch_response *response) {
    struct ms_kafka_request *request = fetching->request;
    const struct ms_kafka_fetch_request *body = request->body;
    const struct fetched *f = fetching->partitions;
    size_t count = body->topics_count > 0 ? (size_t)body->topics_count : 0;
    response->responses =
        ms_arena_zalloc(&request->arena, (count + 1) * sizeof *response->responses);
    if (response->responses == NULL)
        return MS_ENOMEM;
    response->responses_count = (int32_t)count;
    for (size_t t = 0; t < count; t++) {
        const struct ms_kafka_fetch_request_topic *from = &body->topics[t];
        struct ms_kafka_fetch_response_topic *topic = &response->responses[t];
        size_t partitions = from->partitions_count > 0 ? (size_t)from->partitions_count : 0;
        topic->topic = from->topic;
        topic->topic_id = from->topic_id;
        topic->partitions =
            ms_arena_zalloc(&request->arena, (partitions + 1) * sizeof *topic->partitions);
        if (topic->partitions == NULL)
            return MS_ENOMEM;
        topic->partitions_count = (int32_t)partitions;
        for (size_t p = 0; p < partitions; p++)
            if (fill_partition(fetching, f++, &topic->partitions[p]) != 0)
                return MS_ENOMEM;
    }
    return 0;
}

static void answer(struct fetching *fetching) {
    struct ms_kafka_request *request = fetching->request;
    struct ms_kafka_fetch_response *response = ms_arena_zalloc(&request->arena, sizeof *response);
    stop_waiting(fetching);
    end_turn(fetching);
    int code = response != NULL ? fill_answer(fetching, response) : MS_ENOMEM;
    for (size_t i = 0; i < fetching->count; i++)
        if (fetching->partitions[i].error != MS_KAFKA_NONE)
            ms_kafka_request_note_error(request, fetching->partitions[i].error);
    request->forget = NULL;
    if (code == 0)
        ms_kafka_answer(request, response);
    else
        ms_kafka_request_close(request);
}

/* ---- the loop of it ---- */

static void resumed(struct ms_kafka_request *request);

static void run_pass(struct ms_kafka_request *request) {
    struct fetching *fetching = request->context;
    struct ms_partition_reader *reader;
    if (ms_partition_reader_new(request->loop->kafka->store, &reader) != 0) {
        for (size_t i = 0; i < fetching->count; i++)
            fail_partition(fetching, &fetching->partitions[i], MS_KAFKA_STORAGE_ERROR);
        return;
    }
    read_pass(fetching, reader, false);
    ms_partition_reader_free(reader);
}

static bool is_over(const struct fetching *fetching) {
    const struct ms_kafka_request *request = fetching->request;
    const struct ms_kafka_fetch_request *body = request->body;
    bool enough = body->min_bytes <= 0 || fetching->bytes >= (size_t)body->min_bytes ||
                  is_round(fetching) || fetching->bytes >= fetching->bytes_max;
    for (size_t i = 0; i < fetching->count && !enough; i++)
        enough = fetching->partitions[i].full;
    return enough || fetching->failed || request->loop->now_us >= fetching->until_us;
}

static void expired(struct ms_kafka_request *request) { answer(request->context); }

static void woken(struct ms_kafka_request *request);

/* After a pass that has read all there is in memory. */
static void go_on(struct fetching *fetching) {
    struct ms_kafka_request *request = fetching->request;
    if (fetching->blocked && fetching->bytes == 0) {
        stop_waiting(fetching);
        ms_kafka_request_submit(request, run_pass, resumed);
        return;
    }
    if (is_over(fetching) || fetching->blocked) {
        answer(fetching);
        return;
    }
    /* Armed first, then looked once more: what came in between is not missed. */
    start_waiting(fetching);
    size_t before = fetching->bytes;
    read_pass(fetching, request->loop->reader, true);
    if (fetching->bytes > before || fetching->blocked || fetching->failed) {
        stop_waiting(fetching);
        go_on(fetching);
        return;
    }
    ms_kafka_request_wait(request, fetching->until_us, expired);
    ms_kafka_request_arm(request, woken);
}

static void woken(struct ms_kafka_request *request) {
    struct fetching *fetching = request->context;
    ms_counter_add(&request->loop->metrics.fetch_wakes, 1);
    read_pass(fetching, request->loop->reader, true);
    go_on(fetching);
}

static void resumed(struct ms_kafka_request *request) { go_on(request->context); }

/* ---- the request ---- */

static void begin_partition(struct fetching *fetching, struct ms_topic *topic, bool by_id,
                            const struct ms_kafka_fetch_request_partition *from,
                            struct fetched *f) {
    struct ms_store *store = fetching->request->loop->kafka->store;
    *f = (struct fetched){
        .from = from,
        .topic = topic,
        .next = from->fetch_offset,
        .waiter = {.wake = ms_kafka_request_wake, .context = fetching->request},
    };
    if (topic == NULL)
        fail_partition(fetching, f,
                       by_id ? MS_KAFKA_UNKNOWN_TOPIC_ID : MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    else if (from->partition < 0 ||
             ms_store_partition_state(store, topic, (uint32_t)from->partition, &f->state) != 0)
        fail_partition(fetching, f, MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    else if (from->current_leader_epoch > LEADER_EPOCH)
        fail_partition(fetching, f, MS_KAFKA_UNKNOWN_LEADER_EPOCH);
}

static int begin(struct fetching *fetching) {
    struct ms_kafka_request *request = fetching->request;
    const struct ms_kafka_fetch_request *body = request->body;
    struct ms_store *store = request->loop->kafka->store;
    size_t room = ms_kafka_request_room(request), count = 0;
    bool by_id = request->version >= BY_ID_VERSION;
    for (int32_t t = 0; t < body->topics_count; t++)
        count +=
            body->topics[t].partitions_count > 0 ? (size_t)body->topics[t].partitions_count : 0;
    fetching->partitions =
        ms_arena_alloc(&request->arena, (count + 1) * sizeof *fetching->partitions);
    if (fetching->partitions == NULL)
        return MS_ENOMEM;
    fetching->committed = body->isolation_level == READ_COMMITTED;
    fetching->bytes_max = body->max_bytes > 0 ? (size_t)body->max_bytes : 0;
    if (fetching->bytes_max > room)
        fetching->bytes_max = room;
    fetching->round_bytes = ROUND_BYTES + count * ROUND_BYTES_EACH;
    if (body->min_bytes > 0 && (size_t)body->min_bytes > fetching->round_bytes)
        fetching->round_bytes = (size_t)body->min_bytes;
    fetching->until_us = request->loop->now_us + (int64_t)body->max_wait_ms * 1000;
    for (int32_t t = 0; t < body->topics_count; t++) {
        const struct ms_kafka_fetch_request_topic *from = &body->topics[t];
        struct ms_topic *topic = by_id ? ms_store_topic_by_id(store, &from->topic_id)
                                       : ms_store_topic(store, from->topic, false);
        for (int32_t p = 0; p < from->partitions_count; p++)
            begin_partition(fetching, topic, by_id, &from->partitions[p],
                            &fetching->partitions[fetching->count++]);
    }
    begin_turn(fetching);
    return 0;
}

static void refuse_session(struct ms_kafka_request *request) {
    struct ms_kafka_fetch_response response = ms_kafka_fetch_response_default;
    response.error_code = MS_KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    ms_kafka_request_note_error(request, response.error_code);
    ms_kafka_answer(request, &response);
}

void ms_kafka_fetch(struct ms_kafka_request *request) {
    const struct ms_kafka_fetch_request *body = request->body;
    if (body->session_id != 0) {
        refuse_session(request);
        return;
    }
    struct fetching *fetching = ms_arena_zalloc(&request->arena, sizeof *fetching);
    if (fetching == NULL) {
        ms_kafka_request_close(request);
        return;
    }
    fetching->request = request;
    request->context = fetching;
    if (begin(fetching) != 0) {
        ms_kafka_request_close(request);
        return;
    }
    request->forget = forget;
    read_pass(fetching, request->loop->reader, true);
    go_on(fetching);
}
