/*
 * replay.c - stands in for a fuzzing engine: runs every file of the given directories through the
 * target, whole, cut, and in a fixed number of seeded mutations (mutator.h where the input has a form), so
 * that each test run is a small fuzz run with the same inputs everywhere.
 *
 *     fuzz_NAME [--mutations N] DIRECTORY-OR-FILE...
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mutator.h"

enum { LARGEST_INPUT = 1024 * 1024, ROOM_TO_GROW = 16 * 1024 };

static size_t inputs;
static unsigned long mutations = 300;

static void once(const uint8_t *data, size_t n)
{
    /* An exact copy on the heap, so that a read past the end is seen by sanitizers and valgrind. */
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy) {
        abort();
    }
    if (n) {
        memcpy(copy, data, n);
    }
    (void)LLVMFuzzerTestOneInput(copy, n);
    free(copy);
    inputs++;
}

static uint32_t pick(uint64_t *seed, size_t below)
{
    uint8_t b[4];
    fuzz_random(seed, b, sizeof(b));
    uint32_t v = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    return below ? v % (uint32_t)below : 0;
}

static void mutate(uint8_t *data, size_t n, uint64_t *seed)
{
    static const uint8_t odd[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff, ',', '\n'};
    size_t changes = 1 + pick(seed, 4);
    for (size_t i = 0; i < changes && n > 0; i++) {
        size_t at = pick(seed, n);
        switch (pick(seed, 4)) {
        case 0:
            data[at] = (uint8_t)(data[at] ^ (1u << pick(seed, 8)));
            break;
        case 1:
            data[at] = odd[pick(seed, sizeof(odd))];
            break;
        case 2: /* a run of one byte: lengths of 2^32-1 and of 0 */
            memset(data + at, pick(seed, 2) ? 0xff : 0, n - at < 4 ? n - at : 4);
            break;
        default: { /* a piece moved elsewhere */
            size_t from = pick(seed, n);
            size_t len = pick(seed, 32);
            len = len > n - at ? n - at : len;
            len = len > n - from ? n - from : len;
            memmove(data + at, data + from, len);
        }
        }
    }
}

static void run_input(const uint8_t *data, size_t n)
{
    uint64_t seed = 0x9e3779b97f4a7c15u ^ n;
    size_t max = n + ROOM_TO_GROW;
    uint8_t *work = malloc(max);
    if (!work) {
        abort();
    }
    once(data, n);
    for (unsigned long i = 0; i < mutations; i++) {
        if (n) {
            memcpy(work, data, n);
        }
        if (fuzz_input_shape.form != FUZZ_PLAIN && i % 4) {
            once(work, fuzz_mutate(&fuzz_input_shape, work, n, max, &seed));
            continue;
        }
        mutate(work, n, &seed);
        once(work, pick(&seed, 3) ? n : pick(&seed, n + 1));
    }
    free(work);
}

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    uint8_t *data = malloc(LARGEST_INPUT);
    size_t n = data ? fread(data, 1, LARGEST_INPUT, f) : 0;
    (void)fclose(f); /* it was only read */
    run_input(data, n);
    free(data);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int run_path(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        return 1;
    }
    if (!S_ISDIR(st.st_mode)) {
        return run_file(path);
    }
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, NULL, alphasort);
    int failed = n < 0;
    char **names = calloc(n > 0 ? (size_t)n : 1, sizeof(*names));
    size_t count = 0;
    for (int i = 0; i < n; i++) {
        char *full = NULL;
        if (names && entries[i]->d_name[0] != '.' &&
            asprintf(&full, "%s/%s", path, entries[i]->d_name) > 0) {
            names[count++] = full;
        }
        free(entries[i]);
    }
    free(entries);
    qsort(names, count, sizeof(*names), by_name);
    for (size_t i = 0; i < count; i++) {
        failed |= run_path(names[i]);
        free(names[i]);
    }
    free(names);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mutations") == 0 && i + 1 < argc) {
            mutations = strtoul(argv[++i], NULL, 10);
        } else {
            failed |= run_path(argv[i]);
        }
    }
    run_input((const uint8_t *)"", 0);
    printf("%zu inputs\n", inputs);
    return failed || inputs < 2;
}
