/*
 * Deciders: commands in, events out, for the aggregates of one module.
 *
 *     decide: state of the instance (kept from before, or folded from its stream) ──handle──>
 *             events, with the version they expect ──> the caller appends them ──> settle
 *
 * What was decided is applied to the kept state at once, so the next command of that instance can
 * be decided before the append has been acknowledged: it expects the version behind it, and fails
 * with it. `settle` with false forgets the state; so does every error in `apply`.
 *
 * The same command (by its id) decided in the same state gives the same events with the same ids.
 *
 * Threads: one at a time. Blocks for I/O when a state is not kept.
 */
#pragma once

#include "domain/module.h"
#include "store/store.h"

struct ms_decider;

struct ms_decider_options {
    struct ms_store *store;
    struct ms_clock *clock;
    struct ms_sandbox_limits limits;
    const struct ms_module_file *files; /* must outlive the decider */
    size_t file_count;
    size_t kept_max; /* states, about; default 10,000 */
};

struct ms_command {
    struct ms_bytes aggregate;
    struct ms_bytes key; /* of the instance */
    struct ms_bytes type;
    struct ms_bytes data; /* JSON; empty: null */
    struct ms_bytes id;   /* not empty */
    struct ms_bytes correlation_id;
    int64_t now_ms;
};

enum ms_decision_kind { MS_DECIDED, MS_DECISION_REJECTED, MS_DECISION_FAILED };

struct ms_decision {
    enum ms_decision_kind kind;
    struct ms_sandbox_failure failure; /* of the other two */
    struct ms_bytes stream;
    int64_t expected; /* the stream's version that was decided on; -1: no stream */
    const struct ms_event *events;
    size_t count;
};

/* MS_EINVAL: the files are refused, *ret_failure says why; MS_ENOMEM. */
int ms_decider_new(const struct ms_decider_options *options, struct ms_decider **ret_decider,
                   struct ms_sandbox_failure *ret_failure) MS_MUST_CHECK;
void ms_decider_free(struct ms_decider *decider); /* takes NULL */

/* What is decided lies in the arena. MS_ENOTFOUND: no such aggregate; MS_ETOMBSTONED and what
 * reading the stream says; MS_ENOMEM. */
int ms_decider_decide(struct ms_decider *decider, const struct ms_command *command,
                      struct ms_arena *arena, struct ms_decision *ret_decision,
                      struct ms_error *err) MS_MUST_CHECK;
/* What came of appending the events. */
void ms_decider_settle(struct ms_decider *decider, struct ms_bytes stream, bool appended);
