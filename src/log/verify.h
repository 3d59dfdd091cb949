/*
 * Verifying a shard's files: every byte that counts is read and every checksum, chain link and
 * count is compared. Changes nothing; the log may be closed or open in another process (then the
 * newest blocks may look unfinished). One thread.
 */
#pragma once

#include "os/env.h"

struct ms_verify_finding {
    const char *segment; /* file name */
    uint64_t offset;
    bool damage; /* false: worth knowing, but nothing acknowledged is affected */
    const char *what;
};

struct ms_verify_options {
    const struct ms_env *env;
    const char *dir; /* of the shard */
    struct ms_uuid log_uuid;
    uint32_t shard;
    uint64_t known_end; /* as in ms_log_options */
    void (*on_finding)(void *context, const struct ms_verify_finding *finding);
    void (*on_progress)(void *context, uint64_t bytes_done, uint64_t bytes);
    void *context;
};

struct ms_verify_result {
    uint64_t segments, blocks, entries, events, bytes;
    uint64_t first_position, end_position;
    uint64_t damages;
};

/* 0 also when damage was found: see result->damages. MS_EIO, MS_ENOTFOUND (no such directory),
 * MS_ENOMEM. */
int ms_log_verify(const struct ms_verify_options *options, struct ms_verify_result *ret_result,
                  struct ms_error *err) MS_MUST_CHECK;
