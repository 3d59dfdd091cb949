/*
 * Recovery: what a log found at start is worth.
 *
 * Segments with a valid footer are taken as they are; all others are scanned block by block. A
 * block belongs to the chain when its header is whole, it is this store's, this shard's and this
 * segment's, its sequence, position and previous hash continue the block before it, and everything
 * inside it checks. Where the chain ends (offset X of segment S, where the block of sequence n
 * should be), evidence is collected: every 4 KiB behind X, to the end of S and through all later
 * segments.
 *
 *   row  what is found behind X                                               verdict
 *    1 nothing but zeros, no later segment END: go on writing at X
 *    2   a block header of a newer format                                     REFUSE: MS_EFORMAT
 *    3   a block whose header says blocks up to n were durable                DAMAGE: MS_ECORRUPT
 *        (synced through > n: n was acknowledged, or could have been)
 *    4 bytes, or blocks that say n was not yet durable TORN: cut at X, say so
 *    5 a later segment holds nothing as if it were not there
 *    6   a segment's name is not where the one before it ended (a hole; the
 *        first is 0)                                                          DAMAGE
 *    7   a sealed segment's successor does not continue its hash              DAMAGE
 *    8   a block of another store, shard or segment at the start of a segment DAMAGE (foreign file)
 *    9 S is the last block's segment and sealed END: begin a new segment
 *   10   a block that was written anew: such a segment was whole, with a footer,  DAMAGE
 *        before it got its name
 *   11   whatever, when derived state has seen events behind X, and the last     DAMAGE
 *        block is no `os` one (a power cut may take the end of such a log)
 *
 * Row 11 also holds where no segment is left, and where all are sealed. It comes before rows 1, 4,
 * 5 and 9, and before anything is written.
 *
 * Nothing is deleted: a cut shortens the file S to X (what was behind was never acknowledged);
 * later segments that hold only such blocks are renamed to <name>.torn-<epoch>. Known limit: damage
 * to the very last block before an unclean stop looks like a torn tail when the index has not seen
 * it yet; a mark after it (written when the log is idle, at every clean stop and after every
 * recovery) removes the doubt.
 *
 * A last segment that holds nothing but marks, and many of them, is emptied and begins again: it
 * can't be followed by another one, since segments are named by their first position and marks have
 * none.
 *
 * Everything kept is synced before it is served. One thread, before the log is shared.
 */
#pragma once

#include "log/internal.h"

enum ms_recovery_verdict {
    MS_RECOVERY_END,
    MS_RECOVERY_TORN,
    MS_RECOVERY_DAMAGE,
    MS_RECOVERY_REFUSE,
};

/* What was found behind the end of the chain, and what is known about it. */
struct ms_recovery_evidence {
    bool bytes; /* anything but zeros */
    bool newer_format;
    bool rewritten;          /* blocks that the scavenger or repair wrote */
    bool blocks;             /* whole block headers of this shard */
    uint64_t synced_through; /* the highest that any of them says */
    bool missing;            /* ms_recovery_misses */
};

/* Row 11: a chain that ends at `end`, and not with an `os` block, lacks what was seen below
 * `known_end`. */
static inline bool ms_recovery_misses(uint64_t end, bool last_os, uint64_t known_end) {
    return end < known_end && !last_os;
}

/* The decision table's rows 1 to 4, 10 and 11, as data and in order; expected = n above. */
enum ms_recovery_verdict ms_recovery_decide(const struct ms_recovery_evidence *evidence,
                                            uint64_t expected);
