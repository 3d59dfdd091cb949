/*
 * Heap memory for everything in Mainstem: malloc and its family behind names that tests can make
 * fail.
 *
 * A failed allocation is an ordinary error (MS_ENOMEM), so every caller's error path has to be run.
 * A test arms ms_alloc_fail_nth(n), runs an operation, and repeats with n + 1 until the operation
 * finishes before the n-th allocation came. The counter is process-wide: the one exception to "no
 * mutable file-scope state", because an allocator handed to every function would cost more than it
 * tells. It is off by default and then costs one relaxed load an allocation.
 *
 * Any thread. Arming is for tests that know which threads allocate.
 */
#pragma once

#include "base/bytes.h"

#if defined(__GNUC__)
#define MS_ALLOC_LIKE __attribute__((malloc, warn_unused_result))
#else
#define MS_ALLOC_LIKE
#endif

/* NULL when memory is exhausted (or a test says so). A size of 0 gives a pointer that can be
 * freed. */
void *ms_alloc(size_t size) MS_ALLOC_LIKE;
/* Zeroed; NULL also when count * size overflows. */
void *ms_calloc(size_t count, size_t size) MS_ALLOC_LIKE;
/* As realloc, but a size of 0 is treated as 1. On NULL the old block is still there. */
void *ms_realloc(void *old, size_t size) MS_MUST_CHECK;
/* `alignment` is a power of two and at least sizeof(void *). */
void *ms_alloc_aligned(size_t alignment, size_t size) MS_ALLOC_LIKE;
/* A terminated copy. */
char *ms_alloc_strdup(struct ms_bytes text) MS_ALLOC_LIKE;
/* Frees what any of the above returned; takes NULL. */
void ms_free(void *memory);

/* ---- for tests ---- */

/* Gives what is free back to the system, where the C library keeps it. May take milliseconds. */
void ms_alloc_trim(void);

/* The n-th allocation from now (1 = the next) fails, those after it succeed again. 0 switches it
 * off. */
void ms_alloc_fail_nth(uint64_t n);
/* The n-th allocation from now and all after it fail, until ms_alloc_fail_nth(0). */
void ms_alloc_fail_from(uint64_t n);
/* True when an allocation has failed on purpose since the last call of one of the two above. */
bool ms_alloc_has_failed(void);
