/*
 * The limits of projection files and of what is kept of them: here and nowhere else.
 *
 * Reaching one is an ordinary error (MS_ETOOBIG) that names it.
 */
#pragma once

#define MS_PROJECTION_FILE_BYTES_MAX ((size_t)1 << 20)
#define MS_PROJECTION_NAME_MAX 63u     /* bytes: names become schemas of PostgreSQL, and files */
#define MS_PROJECTION_PATTERN_MAX 512u /* bytes of a topic, stream, type, or pattern of them */
#define MS_PROJECTION_SOURCES_MAX 100u
#define MS_PROJECTION_HANDLERS_MAX 500u
#define MS_PROJECTION_TYPES_MAX 1000u /* named in all "-- on:" lines together */
#define MS_PROJECTION_QUERIES_MAX 200u
#define MS_PROJECTION_STATEMENTS_MAX 2000u /* in the whole file */
#define MS_PROJECTION_PARAMETERS_MAX 64u   /* different ones of one statement, or of one query */

/* All that is kept of a file: its text, what points into it, at most so much. */
#define MS_PROJECTION_ARENA_MAX ((size_t)32 << 20)

/* The cache of what event types call: whichever is reached first empties it. */
#define MS_PROJECTION_CACHE_TYPES_MAX 4096u
#define MS_PROJECTION_CACHE_BYTES_MAX ((size_t)1 << 20)
