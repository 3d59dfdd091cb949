/*
 * Idempotence: is an append that may be a resend one?
 *
 * `any` and `exists` appends are looked up in the window of event ids (window.c), under the log's
 * lock. Exact and no-stream conditions need no window: the events stand where the condition says;
 * only where a stream was reopened may be forgotten (conditions.c). Either way the final word has a
 * comparison with the stored events, on the worker's thread: same ids, types and data (with their
 * content types) in a row is a resend and gets the first answer; same ids with something else is a
 * conflict of ids; anything else was a conflict of versions. What else an envelope says, such as
 * metadata or the time, is not compared: a client that tries again may well make it anew.
 */
#include "base/alloc.h"
#include "store/internal.h"

#define EVENT_ARENA_MAX ((size_t)1 << 20)

/* ---- comparing with what is stored ---- */

enum comparison { SAME, OTHER_DATA, DIFFERENT }; /* DIFFERENT: another id */

struct comparer {
    struct ms_batch_reader batch; /* what was sent, as encoded */
    struct ms_arena arena;        /* of the event that is compared */
    int64_t version;              /* of the next event that was sent, if it is a resend */
    uint32_t compared;
    uint64_t position; /* of the last stored event */
    enum comparison verdict;
};

static bool says_the_same(const struct ms_event *sent, const struct ms_event *stored) {
    return sent->data_is_null == stored->data_is_null && ms_bytes_equal(sent->data, stored->data) &&
           ms_bytes_equal(sent->type, stored->type) &&
           ms_bytes_equal(sent->content_type, stored->content_type);
}

static int compare_event(void *context, const struct ms_read_event *stored) {
    struct comparer *comparer = context;
    struct ms_record record;
    struct ms_event sent;
    do /* past those that are scavenged */
        if (ms_batch_reader_next(&comparer->batch, &record, NULL) <= 0)
            return 1;
    while (comparer->version++ < stored->place.version);
    ms_arena_reset(&comparer->arena);
    int rc = ms_event_read_record(&record, &comparer->arena, &sent);
    if (rc != 0)
        return rc;
    if (!ms_bytes_equal(sent.id, stored->event.id)) {
        comparer->verdict = DIFFERENT;
        return 1;
    }
    if (!says_the_same(&sent, &stored->event))
        comparer->verdict = OTHER_DATA;
    comparer->position = stored->place.position;
    comparer->compared++;
    return comparer->verdict == SAME ? 0 : 1;
}

/* Of the part's last event, which is gone. The index still says where it stood, unless it was
 * folded anew since: then 0. */
static int position_of_gone(struct ms_op *op, struct ms_op_part *part) {
    struct ms_index_place place = {0};
    size_t count;
    int64_t last = part->repeat_version + part->count - 1;
    int rc = ms_index_stream_scan(op->store->index, &part->ref.id, last, false, 1, &place, &count,
                                  &op->error);
    if (rc != 0)
        return rc;
    int64_t first = place.last_version - (int64_t)place.record_count + 1;
    part->position = count > 0 && first <= last ? place.position + (uint64_t)(last - first) : 0;
    return 0;
}

static enum comparison compare_part(struct ms_op *op, struct ms_op_part *part, int *ret_rc) {
    struct comparer comparer = {.verdict = SAME, .version = part->repeat_version};
    struct ms_bytes batch = ms_bytes_of(op->batches.data + part->batch_at, part->batch_len);
    *ret_rc = ms_batch_reader_init(&comparer.batch, batch, (size_t)1 << 30, &op->error);
    struct ms_stream_read read = {
        .stream = part->stream,
        .from = part->repeat_version,
        .limit = part->count,
        .stored = true, /* a resend is one also after its stream was deleted */
    };
    struct ms_stream_read_result result;
    ms_arena_init(&comparer.arena, EVENT_ARENA_MAX);
    if (*ret_rc == 0)
        *ret_rc =
            ms_store_read_stream(op->store, &read, compare_event, &comparer, &result, &op->error);
    ms_batch_reader_deinit(&comparer.batch);
    ms_arena_deinit(&comparer.arena);
    part->position = comparer.position;
    if (*ret_rc != 0 || comparer.verdict != SAME || comparer.compared == part->count)
        return comparer.verdict;
    /* Scavenged: the window's word stands, a condition's place proves nothing. */
    if (!part->by_window)
        return DIFFERENT;
    *ret_rc = position_of_gone(op, part);
    return SAME;
}

static void answer_repeat(struct ms_op *op) {
    op->result.repeated = true;
    for (size_t i = 0; i < op->part_count; i++) {
        struct ms_op_part *part = &op->parts[i];
        int64_t last = part->count > 0 ? part->repeat_version + part->count - 1 : part->version;
        op->results[i] = (struct ms_append_part_result){
            .first_version = part->count > 0 ? part->repeat_version : last,
            .version = last,
            .partition = part->partition,
            .first_offset = -1,
        };
        if (part->count > 0)
            op->result.position = part->position;
    }
    ms_op_finish(op);
}

static void answer_different(struct ms_op *op, size_t index) {
    struct ms_op_part *part = &op->parts[index];
    if (part->by_window) { /* two ids of one hash: the window knows nothing of the append */
        op->ignore_window = true;
        op->outcome = MS_OP_APPENDED;
        int rc = ms_op_submit(op, &op->error);
        if (rc != 0) {
            op->result.code = rc;
            ms_op_finish(op);
        }
        return;
    }
    /* By now the stream may be one that the condition would hold for. */
    ms_op_refuse_conflict(op, index, &part->judged);
    ms_op_finish(op);
}

void ms_repeat_compare(struct ms_op *op) {
    for (size_t i = 0; i < op->part_count; i++) {
        struct ms_op_part *part = &op->parts[i];
        if (!part->repeat)
            continue;
        int rc;
        enum comparison verdict = compare_part(op, part, &rc);
        if (rc != 0) {
            op->result.code = rc;
            ms_op_finish(op);
            return;
        }
        if (verdict == DIFFERENT) {
            answer_different(op, i);
            return;
        }
        if (verdict == OTHER_DATA) {
            op->result.code =
                ms_error_set(&op->error, MS_EIDCONFLICT,
                             "an event with the same id and another type, content type or data is "
                             "in stream '%.*s' already",
                             (int)part->stream.len, part->stream.data);
            op->result.failed_part = i;
            ms_op_finish(op);
            return;
        }
    }
    answer_repeat(op);
}
