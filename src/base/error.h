/*
 * Errors are values.
 *
 * Every fallible function returns 0 or a negative MS_E… code from the one list below; outputs come
 * last, are named `ret_x` and are untouched on failure. Detail for people goes to an optional
 * `struct ms_error *` (NULL is allowed everywhere). The list also maps each code to the HTTP status
 * and problem type that a face answers with; the other faces' codes join as further columns of the
 * same list.
 *
 * Three kinds of failure are kept apart (HACKING.md says more):
 *   operating error    peer, disk full, bad input      return a code
 *   programming error  a broken invariant              MS_ASSERT, on in every build
 *   broken durability  failed sync, damaged log        the log is poisoned, see src/log/log.h
 *
 * Any thread. No I/O but MS_ASSERT's last words on stderr.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define MS_MUST_CHECK __attribute__((warn_unused_result))
#define MS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define MS_LIKELY(x) __builtin_expect(!!(x), 1)
#define MS_UNLIKELY(x) __builtin_expect(!!(x), 0)
#endif

/* X(name, value, HTTP status, problem type, meaning) */
#define MS_ERROR_LIST(X)                                                                           \
    X(MS_EINVAL, -1, 400, "bad-request", "invalid argument or malformed input")                    \
    X(MS_ENOMEM, -2, 503, "out-of-memory", "out of memory, or a memory limit was reached")         \
    X(MS_EIO, -3, 500, "io-error", "the operating system reported an I/O error")                   \
    X(MS_ENOTFOUND, -4, 404, "not-found", "no such stream, topic, event or file")                  \
    X(MS_EEXIST, -5, 409, "already-exists", "it exists already")                                   \
    X(MS_ECONFLICT, -6, 412, "wrong-expected-version",                                             \
      "the stream is not at the expected version")                                                 \
    X(MS_EIDCONFLICT, -7, 409, "event-id-conflict",                                                \
      "an event id was used before for something else")                                            \
    X(MS_EDELETED, -8, 404, "stream-deleted", "the stream was deleted")                            \
    X(MS_ETOMBSTONED, -9, 410, "stream-tombstoned", "the stream was deleted for ever")             \
    X(MS_ETOOBIG, -10, 413, "too-large", "larger than a configured limit")                         \
    X(MS_ELIMIT, -11, 429, "limit-reached", "a configured limit was reached, try later")           \
    X(MS_ENOSPC, -12, 507, "insufficient-storage", "no disk space for further appends")            \
    X(MS_EUNKNOWN, -13, 503, "outcome-unknown",                                                    \
      "the outcome is not known, resend with the same event ids")                                  \
    X(MS_ECORRUPT, -14, 500, "corrupt", "stored data does not match its checksum or its chain")    \
    X(MS_EFORMAT, -15, 500, "format-too-new", "written by a newer version of Mainstem")            \
    X(MS_ERESERVED, -16, 403, "reserved-name", "the name is reserved for the system")              \
    X(MS_EUNSUPPORTED, -17, 501, "unsupported", "not supported")                                   \
    X(MS_EAGAIN, -18, 503, "try-again", "not possible right now, try again")                       \
    X(MS_ECLOSED, -19, 503, "closed", "closed, or the log has stopped")                            \
    X(MS_ETIMEOUT, -20, 504, "timeout", "timed out")                                               \
    X(MS_ELOCKED, -21, 409, "locked", "another process has the data directory open")               \
    X(MS_ENEEDMORE, -22, 400, "truncated", "the input ends before it is complete")                 \
    X(MS_EMEDIATYPE, -23, 415, "unsupported-media-type", "unsupported or missing content type")    \
    X(MS_ECRC, -24, 400, "bad-checksum", "checksum mismatch in input")                             \
    X(MS_ESCAVENGED, -25, 410, "scavenged", "removed by the scavenger")                            \
    X(MS_ECANCELED, -26, 503, "canceled", "canceled")                                              \
    X(MS_EQUERYCONDITION, -27, 412, "query-condition-failed",                                      \
      "an event matching the query condition exists")                                              \
    X(MS_ENOSTREAMS, -28, 409, "topic-without-streams",                                            \
      "the topic's records are not indexed as streams")                                            \
    X(MS_ESEQUENCE, -29, 409, "out-of-sequence",                                                   \
      "a producer's sequence number is not the next one")                                          \
    X(MS_EFENCED, -30, 409, "fenced", "a newer owner has taken over")                              \
    X(MS_ENOTXN, -31, 409, "no-transaction", "there is no transaction for it")                     \
    X(MS_ENOTEMPTY, -32, 409, "group-not-empty", "the group has members")                          \
    X(MS_ETIMESTAMP, -33, 400, "bad-timestamp",                                                    \
      "a record's timestamp is not what its topic takes")                                          \
    X(MS_ENOTAPPLIED, -34, 409, "event-not-applied", "a projection can't apply the event")         \
    X(MS_EINCOMPLETE, -35, 409, "incomplete-past", "events that are needed were removed")

enum ms_error_code {
    MS_OK = 0,
#define X(name, value, http, type, text) name = (value),
    MS_ERROR_LIST(X)
#undef X
};

#define MS_ERROR_TEXT_MAX 512

/* Detail of a failure. `code` repeats the returned code; `message` is a sentence that names what
 * and where. */
struct ms_error {
    int code;
    char message[MS_ERROR_TEXT_MAX];
};

/* Fills *err when it is not NULL (message is cut at MS_ERROR_TEXT_MAX) and returns `code`, so that
 * failing reads `return ms_error_set(err, MS_EINVAL, "…", …);`. */
int ms_error_set(struct ms_error *err, int code, const char *format, ...) MS_PRINTF(3, 4);

/* Puts "context: " before the message that is there; takes NULL. */
void ms_error_prefix(struct ms_error *err, const char *format, ...) MS_PRINTF(2, 3);

/* For the end of what others call: returns `code`, of which *err tells afterwards. What it says of
 * another code, one that was dealt with, or nothing becomes "what: <the code's text>". */
int ms_error_settle(struct ms_error *err, int code, const char *what);

/* The list's columns; an unknown code gives "MS_E?" , 500, "internal", "unknown error". Static
 * strings. */
const char *ms_error_name(int code);
const char *ms_error_text(int code);
const char *ms_error_type(int code);
int ms_error_http_status(int code);

/* The code for an errno value (ENOSPC and EDQUOT -> MS_ENOSPC, ENOENT -> MS_ENOTFOUND, …, else
 * MS_EIO). */
int ms_error_from_errno(int errno_value);

/* For the rare call whose failure changes nothing; the place says why. */
static inline void ms_ignore(int code) { (void)code; }

/* Programming errors stop the process, in every build. */
_Noreturn void ms_assert_failed(const char *expression, const char *file, int line,
                                const char *function);
#define MS_ASSERT(expression)                                                                      \
    (MS_LIKELY(expression) ? (void)0 : ms_assert_failed(#expression, __FILE__, __LINE__, __func__))
