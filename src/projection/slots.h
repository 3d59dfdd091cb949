/* The versions that a projection has, and how they change places. Whoever calls has the locks. */
#pragma once

#include "projection/projections_internal.h"

/* A copy. False: no memory. */
bool ms_slot_set_text(struct projection_version *version, struct ms_bytes text);
/* Frees what a version that isn't running holds, and empties it. */
void ms_slot_clear(struct projection_version *version);
/* Takes the version over as the candidate, in place of another one. */
void ms_slot_deploy(struct projection *projection, const struct projection_version *version);
/* It becomes the current one, the current one the previous. What falls out was not running. */
void ms_slot_switch(struct projection *projection, unsigned number, int64_t time_ms);
void ms_slot_drop(struct projection *projection, unsigned number);
/* NULL: none of this number. */
struct projection_version *ms_slot_find(struct projection *projection, unsigned number);
