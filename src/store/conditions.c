/*
 * Conditions: may an append be made, is it a resend, or what is it refused with? Judged under the
 * log's lock, in memory only, from the heads that the append has brought in (append.c).
 *
 * The table of conditions and stream states is in docs/reference/conditions.md; it is the one users
 * of KurrentDB expect.
 */
#include "store/internal.h"

static const char *state_name(enum ms_stream_state state) {
    static const char *const names[] = {"does not exist", "exists", "was deleted",
                                        "was tombstoned"};
    return names[state];
}

static bool is_exact(const struct ms_condition *condition) {
    return condition->kind == MS_EXPECT_VERSION || condition->kind == MS_EXPECT_LIVE_VERSION;
}

static void describe_conflict(struct ms_op *op, const struct ms_op_part *part) {
    const struct ms_append_result *result = &op->result;
    int len = (int)(part->stream.len > 200 ? 200 : part->stream.len);
    const uint8_t *name = part->stream.data;
    char expected[48];
    if (is_exact(&result->expected))
        snprintf(expected, sizeof expected, "%sversion %lld", op->must_reach ? "at least " : "",
                 (long long)result->expected.version);
    else
        snprintf(expected, sizeof expected, "%s",
                 result->expected.kind == MS_EXPECT_NONE     ? "no stream"
                 : result->expected.kind == MS_EXPECT_EXISTS ? "that it exists"
                                                             : "anything");
    if (result->actual_state == MS_STREAM_LIVE)
        (void)ms_error_set(&op->error, result->code,
                           "stream '%.*s' is at version %lld, expected %s", len, name,
                           (long long)result->actual_version, expected);
    else
        (void)ms_error_set(&op->error, result->code, "stream '%.*s' %s, expected %s", len, name,
                           state_name(result->actual_state), expected);
}

void ms_op_refuse_conflict(struct ms_op *op, size_t index, const struct ms_head *head) {
    struct ms_op_part *part = &op->parts[index];
    op->outcome = MS_OP_REFUSED;
    op->result.failed_part = index;
    op->result.expected = part->condition;
    op->result.actual_state = ms_head_state(head->version, &head->rules);
    op->result.actual_version = head->version;
    op->result.code = MS_ECONFLICT;
    if (op->result.actual_state == MS_STREAM_TOMBSTONED)
        op->result.code = MS_ETOMBSTONED;
    else if (op->must_exist && op->result.actual_state == MS_STREAM_NONE)
        op->result.code = MS_ENOTFOUND;
    else if (op->must_exist && op->result.actual_state == MS_STREAM_DELETED)
        op->result.code = MS_EDELETED;
    describe_conflict(op, part);
}

static void refuse_ids(struct ms_op *op, size_t index, const struct ms_head *head) {
    ms_op_refuse_conflict(op, index, head);
    op->result.code =
        ms_error_set(&op->error, MS_EIDCONFLICT,
                     "some of the event ids are in stream '%.*s' already, others are not",
                     (int)op->parts[index].stream.len, op->parts[index].stream.data);
}

/* KurrentDB's table (docs/reference/conditions.md): a soft-deleted stream counts as none, but keeps
 * its last version; a stream that has only metadata exists. */
static bool condition_holds(const struct ms_op *op, const struct ms_condition *condition,
                            const struct ms_head *head) {
    enum ms_stream_state state = ms_head_state(head->version, &head->rules);
    if (op->must_reach && condition->kind == MS_EXPECT_VERSION)
        return state == MS_STREAM_LIVE && head->version >= condition->version;
    if (state == MS_STREAM_TOMBSTONED)
        return false;
    switch (condition->kind) {
    case MS_EXPECT_ANY:
        return true;
    case MS_EXPECT_NONE:
        return state != MS_STREAM_LIVE;
    case MS_EXPECT_EXISTS:
        return state == MS_STREAM_LIVE ||
               (state == MS_STREAM_NONE && head->rules.metadata_version >= 0);
    case MS_EXPECT_VERSION:
        return head->version >= 0 && head->version == condition->version;
    case MS_EXPECT_LIVE_VERSION:
        return state == MS_STREAM_LIVE && head->version == condition->version;
    }
    return false;
}

static bool all_ids_given(const struct ms_op_part *part) {
    return part->count > 0 && part->ids_given == part->count;
}

enum window_verdict { WINDOW_FRESH, WINDOW_REPEAT, WINDOW_MIXED };

static enum window_verdict ask_window(const struct ms_op *op, struct ms_op_part *part) {
    uint32_t known = 0;
    bool in_row = true;
    for (uint32_t i = 0; i < part->count && part->ids_given > 0; i++) {
        int64_t version;
        if (!ms_window_find(&op->store->window, part->id_hashes[i], &version))
            continue;
        if (known == 0)
            part->repeat_version = version;
        in_row = in_row && version == part->repeat_version + i;
        known++;
    }
    if (known == 0 || op->ignore_window)
        return WINDOW_FRESH;
    return known == part->count && in_row ? WINDOW_REPEAT : WINDOW_MIXED;
}

/* Metadata that was put after a deletion has replaced it, and with it the place where the stream
 * was reopened: then a no-stream condition that fails is looked up like a weak one. */
static bool may_repeat_reopening(const struct ms_op *op, struct ms_op_part *part) {
    const struct ms_stream_rules *rules = &part->head->rules;
    return part->condition.kind == MS_EXPECT_NONE && !rules->tombstoned &&
           rules->deleted_head < 0 && rules->metadata_version > 0 &&
           ask_window(op, part) == WINDOW_REPEAT;
}

/* A failed exact or no-stream condition may be a resend: then the events stand behind the version.
 * */
static bool may_repeat_exact(struct ms_op_part *part, const struct ms_head *head) {
    int64_t first = 0;
    if (is_exact(&part->condition)) {
        if (part->condition.version < 0 || part->condition.version >= head->version)
            return false;
        first = part->condition.version + 1;
    } else if (part->condition.kind == MS_EXPECT_NONE) {
        first = head->rules.deleted_head + 1;
    } else {
        return false;
    }
    if (head->rules.tombstoned || first + part->count - 1 > head->version || !all_ids_given(part))
        return false;
    part->repeat_version = first;
    return true;
}

static bool is_weak(const struct ms_condition *condition) {
    return condition->kind == MS_EXPECT_ANY || condition->kind == MS_EXPECT_EXISTS;
}

enum part_verdict { PART_FRESH, PART_CHECKED, PART_REPEAT, PART_MIXED, PART_CONFLICT };

static enum part_verdict judge_part(const struct ms_op *op, struct ms_op_part *part) {
    bool holds = condition_holds(op, &part->condition, part->head);
    part->repeat = part->by_window = false;
    if (!holds) {
        part->by_window = may_repeat_reopening(op, part);
        part->repeat = part->by_window || may_repeat_exact(part, part->head);
        return part->repeat ? PART_REPEAT : PART_CONFLICT;
    }
    if (part->count == 0)
        return PART_CHECKED;
    /* "No stream" also holds for one that was deleted since this append was first made. */
    bool reopens = part->condition.kind == MS_EXPECT_NONE && part->head->version >= 0;
    if (!is_weak(&part->condition) && !reopens)
        return PART_FRESH;
    switch (ask_window(op, part)) {
    case WINDOW_REPEAT:
        part->repeat = part->by_window = true;
        return PART_REPEAT;
    case WINDOW_MIXED:
        return PART_MIXED;
    case WINDOW_FRESH:
        break;
    }
    return PART_FRESH;
}

/* Some parts look like a resend, others are new. */
static void refuse_half_repeat(struct ms_op *op, size_t index) {
    const struct ms_op_part *part = &op->parts[index];
    if (condition_holds(op, &part->condition, part->head))
        refuse_ids(op, index, part->head);
    else /* its condition failed, and the whole append can't be a resend */
        ms_op_refuse_conflict(op, index, part->head);
}

/* Under the lock, all heads known. Sets the outcome when it is not an append. A stream that is only
 * checked does not stand in a resend's way: it held when the append was made. */
bool ms_op_judge(struct ms_op *op) {
    size_t none = op->part_count, first_repeat = none, failed_check = none, fresh = 0;
    for (size_t i = op->part_count; i > 0; i--) {
        struct ms_op_part *part = &op->parts[i - 1];
        if (part->count == 0) /* what a resend is answered with too */
            part->version = part->head->version;
        switch (judge_part(op, part)) {
        case PART_FRESH:
            fresh++;
            break;
        case PART_CHECKED:
            break;
        case PART_REPEAT:
            part->judged = *part->head;
            first_repeat = i - 1;
            break;
        case PART_MIXED:
            refuse_ids(op, i - 1, part->head);
            return false;
        case PART_CONFLICT:
            failed_check = i - 1;
            if (part->count > 0) {
                ms_op_refuse_conflict(op, i - 1, part->head);
                return false;
            }
            break;
        }
    }
    if (first_repeat < none && fresh == 0)
        op->outcome = MS_OP_REPEAT;
    else if (first_repeat < none)
        refuse_half_repeat(op, first_repeat);
    else if (failed_check < none)
        ms_op_refuse_conflict(op, failed_check, op->parts[failed_check].head);
    return first_repeat == none && failed_check == none;
}
