/* Heap memory with a switch that makes the n-th allocation fail; see alloc.h. Any thread. */
#include "base/alloc.h"

#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* Allocations left until one fails; 0 = off. */
static _Atomic uint64_t fail_countdown;
static atomic_bool fail_sticky;
static atomic_bool fail_happened;

static void arm(uint64_t n, bool sticky) {
    atomic_store(&fail_countdown, 0);
    atomic_store(&fail_sticky, sticky);
    atomic_store(&fail_happened, false);
    atomic_store(&fail_countdown, n);
}

void ms_alloc_fail_nth(uint64_t n) { arm(n, false); }

void ms_alloc_fail_from(uint64_t n) { arm(n, true); }

bool ms_alloc_has_failed(void) { return atomic_load(&fail_happened); }

/* Compare-and-swap and not a plain decrement: of two threads at 1 only one may take the step to 0.
 * */
static bool countdown_says_fail(uint64_t left) {
    while (left != 0) {
        if (left == 1 && atomic_load(&fail_sticky)) {
            atomic_store(&fail_happened, true);
            return true;
        }
        if (atomic_compare_exchange_weak(&fail_countdown, &left, left - 1)) {
            if (left == 1)
                atomic_store(&fail_happened, true);
            return left == 1;
        }
    }
    return false;
}

static inline bool must_fail(void) {
    uint64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    return MS_UNLIKELY(left != 0) && countdown_says_fail(left);
}

/* No object is larger than PTRDIFF_MAX. The C library knows that too, but sanitizers take such a
 * request for a bug of the caller's. */
static inline bool cannot_be(size_t size) { return size > PTRDIFF_MAX || must_fail(); }

static inline size_t at_least_one(size_t size) { return size ? size : 1; }

void *ms_alloc(size_t size) { return cannot_be(size) ? NULL : malloc(at_least_one(size)); }

void *ms_calloc(size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total) || cannot_be(total))
        return NULL;
    return calloc(1, at_least_one(total));
}

void *ms_realloc(void *old, size_t size) {
    return cannot_be(size) ? NULL : realloc(old, at_least_one(size));
}

void *ms_alloc_aligned(size_t alignment, size_t size) {
    void *memory;
    if (cannot_be(size) || posix_memalign(&memory, alignment, at_least_one(size)) != 0)
        return NULL;
    return memory;
}

char *ms_alloc_strdup(struct ms_bytes text) {
    if (text.len == SIZE_MAX)
        return NULL;
    char *copy = ms_alloc(text.len + 1);
    if (!copy)
        return NULL;
    if (text.len)
        memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return copy;
}

void ms_free(void *memory) { free(memory); }

void ms_alloc_trim(void) {
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}
