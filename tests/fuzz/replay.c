/*
 * Runs stored inputs through a fuzz target, in builds without libFuzzer.
 *
 *     replay_<target> DIRECTORY…
 *
 * Every regular file of the directories is one test, and so is the empty input. A directory that is
 * missing holds no inputs. An input that breaks the target ends the program; its name is then the
 * last line on standard output. One thread.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define INPUT_BYTES_MAX (64u << 20)
#define INPUT_PATH_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path, size_t size) {
    /* Exactly as large as the input, so that the sanitizer sees a read past its end. */
    uint8_t *data = malloc(size ? size : 1);
    FILE *file = fopen(path, "rb");
    int ok = data && file && fread(data, 1, size, file) == size;
    if (ok)
        LLVMFuzzerTestOneInput(data, size);
    else
        fprintf(stderr, "%s: can't be read\n", path);
    if (file)
        fclose(file);
    free(data);
    return ok;
}

static void run_directory(const char *name, unsigned *passed, unsigned *failed) {
    DIR *directory = opendir(name);
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        char path[INPUT_PATH_MAX];
        struct stat status;
        int length = snprintf(path, sizeof path, "%s/%s", name, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof path || stat(path, &status) != 0) {
            fprintf(stderr, "%s/%s: can't be looked at\n", name, entry->d_name);
            (*failed)++;
            continue;
        }
        if (!S_ISREG(status.st_mode))
            continue;
        printf("input %s\n", path);
        fflush(stdout);
        if (status.st_size <= INPUT_BYTES_MAX && run_file(path, (size_t)status.st_size))
            (*passed)++;
        else
            (*failed)++;
    }
    closedir(directory);
}

int main(int argc, char **argv) {
    static const uint8_t nothing[1];
    unsigned passed = 1, failed = 0;
    printf("the empty input\n");
    fflush(stdout);
    LLVMFuzzerTestOneInput(nothing, 0);
    for (int i = 1; i < argc; i++)
        run_directory(argv[i], &passed, &failed);
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
