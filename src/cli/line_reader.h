/* Lines of a file or of standard input, one after the other, with a limit on their length. One
 * thread. */
#pragma once

#include <stdio.h>

#include "base/bytes.h"

struct ms_line_reader {
    FILE *file;
    bool owns_file;
    char *line;
    size_t capacity, line_bytes_max;
    uint64_t number; /* of the line that was read last, from 1 */
    uint64_t bytes;  /* read so far */
    uint64_t total;  /* of a regular file; else 0 */
};

/* "-" reads `standard_input`. MS_ENOTFOUND, MS_EIO. */
int ms_line_reader_open(struct ms_line_reader *reader, const char *path, FILE *standard_input,
                        size_t line_bytes_max, struct ms_error *err) MS_MUST_CHECK;
void ms_line_reader_close(struct ms_line_reader *reader); /* takes a zeroed struct */
/* 1 and a line without its line break, valid until the next call; 0 at the end. MS_ETOOBIG, MS_EIO,
 * MS_ENOMEM; *err names the line. */
int ms_line_reader_next(struct ms_line_reader *reader, struct ms_bytes *ret_line,
                        struct ms_error *err) MS_MUST_CHECK;

/* The whole of a file, or of standard input for "-". MS_ETOOBIG past the buffer's maximum. */
int ms_read_input(const char *path, FILE *standard_input, struct ms_buf *out, struct ms_error *err)
    MS_MUST_CHECK;
