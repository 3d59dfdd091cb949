/*
 * The state of one stream, folded from its events as JSON (src/wire/event_json.h).
 *
 * With an aggregate by its `apply`; without one the fields of the events' data are laid over each
 * other, the newest value of each counts, and data that is no object is passed over.
 *
 * One thread.
 */
#pragma once

#include "domain/module.h"

struct ms_replay;

struct ms_replay_options {
    const struct ms_module_file *files; /* of the app; none: no aggregate */
    size_t count;
    struct ms_bytes aggregate;
    struct ms_bytes key; /* of the instance, for events; must outlive the replay */
    struct ms_clock *clock;
};

/* MS_EINVAL: the files are refused; MS_ENOTFOUND: there is no such aggregate; MS_ENOMEM. */
int ms_replay_new(const struct ms_replay_options *options, struct ms_replay **ret_replay,
                  struct ms_error *err) MS_MUST_CHECK;
void ms_replay_free(struct ms_replay *replay); /* takes NULL */
/* The next event. MS_EINVAL: `apply` has failed, the error says where. */
int ms_replay_event(struct ms_replay *replay, struct ms_bytes event, struct ms_error *err)
    MS_MUST_CHECK;
/* Appends the state, and tells the version of its last event (-1: none). MS_EINVAL: it is nothing
 * that JSON has; MS_ETOOBIG, MS_ENOMEM. */
int ms_replay_state(struct ms_replay *replay, struct ms_buf *out, int64_t *ret_version,
                    struct ms_error *err) MS_MUST_CHECK;
