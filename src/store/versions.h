/*
 * Versions of records that were appended while their topic had no streams (docs/decisions/0014).
 *
 * Such a record stands in a batch with records of other keys, and its entry says nothing of
 * versions. When the topic's streams are switched on (adopt.c), pages that say them are appended to
 * the system topic "$versions": the version of a record is then in the log for good, as it is for
 * records that are appended to a stream. A page is final once it is there, also when the switch
 * isn't made after all: the next attempt goes on behind it.
 *
 *   "$versions"  records; key: the topic's number (4, big endian), value: a page
 *   the index    the page's runs as streams' runs (ms_index_adopt), and a fact "v/", topic's number
 *                (4), page's end (8) -> position of the page's record (8), page's first one (8)
 *
 * A page, integers big endian, uvarints as in base/varint.h:
 *
 *   offset size  meaning
 *   0      1     1, the form of what follows
 *   1      8     first position that the page covers
 *   9      8     end: one past the last one
 *   17           runs, in the order of their positions, up to the end of the value; each is
 *                  distance of its first position from the end of the run before (of the first one:
 *                    from the page's first position)                                  uvarint
 *                  number of records, which stand at consecutive positions            uvarint
 *                  partition                                                          uvarint
 *                  number of the stream in this page, from 0 on in the order of appearance uvarint
 *                  and where the stream appears: its id (16), version of the record   uvarint
 *                A run's first version is one past the last one of the stream's run before.
 *
 *   Example: records at the positions 100 and 101 are the versions 0 and 1 of the stream with the
 *   id aa…aa, 102 is that of no stream, 103 is version 2; all in partition 3:
 *     01 0000000000000064 0000000000000068 00020300 aa…aa 00 01010300
 *
 * What covers no run is of no stream. Threads: any; one per reader.
 */
#pragma once

#include "index/index.h"
#include "log/log.h"

struct ms_store;
struct ms_topic;

#define MS_VERSIONS_RUNS_MAX 1024u /* of a page */
#define MS_VERSIONS_PAGE_BYTES_MAX ((size_t)64 << 10)

struct ms_versions_page {
    uint32_t topic;      /* number; 0: nothing was read yet */
    uint64_t first, end; /* positions that it covers */
    size_t run_count;
    struct ms_index_run runs[MS_VERSIONS_RUNS_MAX];
};

/* Appends the page's value. MS_ENOMEM. */
int ms_versions_page_write(const struct ms_versions_page *page, struct ms_buf *out) MS_MUST_CHECK;
/* The topic is left as it is. MS_ECORRUPT, MS_ENOMEM. */
int ms_versions_page_read(struct ms_bytes value, struct ms_versions_page *ret_page) MS_MUST_CHECK;
/* The run that holds the position, or NULL. */
const struct ms_index_run *ms_versions_page_find(const struct ms_versions_page *page,
                                                 uint64_t position);

/* Says versions, page by page: quick for positions that lie near each other. */
struct ms_versions_reader {
    struct ms_store *store;
    struct ms_log_cursor cursor;
    struct ms_versions_page *page; /* NULL: none was needed yet */
};
void ms_versions_reader_init(struct ms_versions_reader *reader, struct ms_store *store);
void ms_versions_reader_deinit(struct ms_versions_reader *reader);
/* -1: the record has none. Blocks for I/O. MS_EIO, MS_ECORRUPT, MS_ENOMEM. */
int ms_versions_find(struct ms_versions_reader *reader, const struct ms_topic *topic,
                     uint64_t position, int64_t *ret_version, struct ms_error *err) MS_MUST_CHECK;

#define MS_VERSIONS_FACT_NAME_LEN 14u
#define MS_VERSIONS_FACT_VALUE_LEN 16u
void ms_versions_fact_name(uint32_t topic, uint64_t end, uint8_t out[MS_VERSIONS_FACT_NAME_LEN]);
void ms_versions_fact_value(uint64_t position, uint64_t first,
                            uint8_t out[MS_VERSIONS_FACT_VALUE_LEN]);

/* Start: how far topics' records have versions, from the facts. */
int ms_versions_load(struct ms_store *store, struct ms_error *err) MS_MUST_CHECK;
/* Replay: an entry of "$versions". */
int ms_versions_fold_entry(struct ms_store *store, const struct ms_log_entry *entry,
                           struct ms_error *err) MS_MUST_CHECK;
/* The topic whose versions a record of "$versions" says; NULL: none that is known. */
struct ms_topic *ms_versions_topic(struct ms_store *store, struct ms_bytes key);
