/*
 * Does a checkpoint still speak of this log? After a restore, positions may hold other events than
 * when they were applied; resuming would leave a hole. So a checkpoint names the store and the
 * event right before it. (Block hashes would not do: the scavenger rewrites blocks, decision 0015.)
 * Any thread. Blocks for I/O.
 */
#pragma once

#include "projection/target.h"

struct ms_hash128 ms_checkpoint_hash(struct ms_bytes event_id);
/* As it stands in targets: 32 hexadecimal digits. False: the text is something else. */
void ms_checkpoint_hash_format(const struct ms_hash128 *hash, char out[33]);
bool ms_checkpoint_hash_parse(const char *text, struct ms_hash128 *ret_hash) MS_MUST_CHECK;
/* The checkpoint behind the last event that stands before `position`; at 0 when there is none. */
int ms_checkpoint_before(struct ms_store *store, uint64_t position,
                         struct ms_checkpoint *ret_checkpoint, struct ms_error *err) MS_MUST_CHECK;
/* *ret_why: NULL when it fits, else what doesn't, a static text. An event that was scavenged since
 * can't be compared, and fits. */
int ms_checkpoint_compare(struct ms_store *store, const struct ms_checkpoint *checkpoint,
                          const char **ret_why, struct ms_error *err) MS_MUST_CHECK;
