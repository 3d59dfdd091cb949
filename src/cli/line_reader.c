/* See line_reader.h. The files are those that the user named, not the store's: they are read with
 * stdio. */
#include "cli/line_reader.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/alloc.h"

#define CAPACITY_FIRST 4096

static int open_input(const char *path, FILE *standard_input, FILE **ret_file, bool *ret_owns,
                      struct ms_error *err) {
    *ret_owns = strcmp(path, "-") != 0;
    *ret_file = *ret_owns ? fopen(path, "re") : standard_input;
    if (*ret_file)
        return 0;
    int code = ms_error_from_errno(errno);
    char reason[128];
    return ms_error_set(err, code, "%s can't be opened: %s", path,
                        strerror_r(errno, reason, sizeof reason));
}

int ms_line_reader_open(struct ms_line_reader *reader, const char *path, FILE *standard_input,
                        size_t line_bytes_max, struct ms_error *err) {
    *reader = (struct ms_line_reader){.line_bytes_max = line_bytes_max};
    int rc = open_input(path, standard_input, &reader->file, &reader->owns_file, err);
    if (rc != 0)
        return rc;
    struct stat stat;
    int fd = fileno(reader->file);
    if (fd >= 0 && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_size > 0)
        reader->total = (uint64_t)stat.st_size;
    return 0;
}

void ms_line_reader_close(struct ms_line_reader *reader) {
    if (reader->file && reader->owns_file)
        fclose(reader->file);
    ms_free(reader->line);
    *reader = (struct ms_line_reader){0};
}

static int grow(struct ms_line_reader *reader, struct ms_error *err) {
    if (reader->capacity == reader->line_bytes_max)
        return ms_error_set(err, MS_ETOOBIG, "line %llu is longer than %zu bytes",
                            (unsigned long long)reader->number, reader->line_bytes_max);
    size_t capacity = reader->capacity ? reader->capacity * 2 : CAPACITY_FIRST;
    if (capacity > reader->line_bytes_max)
        capacity = reader->line_bytes_max;
    char *line = ms_realloc(reader->line, capacity);
    if (!line)
        return ms_error_set(err, MS_ENOMEM, "no memory for line %llu",
                            (unsigned long long)reader->number);
    reader->line = line;
    reader->capacity = capacity;
    return 0;
}

int ms_line_reader_next(struct ms_line_reader *reader, struct ms_bytes *ret_line,
                        struct ms_error *err) {
    size_t len = 0;
    reader->number++;
    int c;
    flockfile(reader->file);
    while ((c = getc_unlocked(reader->file)) != EOF && c != '\n') {
        int rc = len < reader->capacity ? 0 : grow(reader, err);
        if (rc != 0) {
            funlockfile(reader->file);
            return rc;
        }
        reader->line[len++] = (char)c;
    }
    funlockfile(reader->file);
    if (ferror(reader->file))
        return ms_error_set(err, MS_EIO, "line %llu can't be read",
                            (unsigned long long)reader->number);
    reader->bytes += len + (c == '\n');
    if (c == EOF && len == 0)
        return 0;
    if (len > 0 && reader->line[len - 1] == '\r')
        len--;
    *ret_line = ms_bytes_of(len ? reader->line : "", len);
    return 1;
}

int ms_read_input(const char *path, FILE *standard_input, struct ms_buf *out,
                  struct ms_error *err) {
    FILE *file;
    bool owns;
    int rc = open_input(path, standard_input, &file, &owns, err);
    if (rc != 0)
        return rc;
    char piece[16384];
    size_t len;
    while (rc == 0 && (len = fread(piece, 1, sizeof piece, file)) > 0)
        rc = ms_buf_append(out, piece, len);
    if (rc != 0)
        ms_error_set(err, rc, "%s is too large", path);
    else if (ferror(file))
        rc = ms_error_set(err, MS_EIO, "%s can't be read", path);
    if (owns)
        fclose(file);
    return rc;
}
