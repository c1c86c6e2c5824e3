/*
 * Files of variables: every pair is NAME=value, no longer than its line, and read again it is itself.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "nacre/sshd_config.h"

/* What was taken from one line, by whichever syntax, is a line of the user's file that says the same. */
static void again(const char *pair)
{
    size_t n = strlen(pair), line = 0;
    nacre_span text = {(const uint8_t *)pair, n};
    char *second = malloc(n + 1);
    if (second && pair[0] != '#' &&
        (nacre_env_next(&text, &line, NACRE_ENV_USER, second, n + 1, NULL) != 1 ||
         strcmp(pair, second) != 0)) {
        abort();
    }
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_span in = {data, size};
    uint8_t how = fuzz_byte(&in);
    size_t room = how & 2 ? 16 : in.n + 1, line = 0, calls = 0, before = 0;
    nacre_error why;
    /* blocks of their own: a reader or writer that goes beyond them is seen */
    uint8_t *copy = malloc(in.n ? in.n : 1);
    char *pair = malloc(room);
    nacre_span rest = {copy, in.n};
    int rc = 1;
    if (copy && in.n) {
        memcpy(copy, in.p, in.n);
    }
    while (copy && pair && rc != 0) {
        rc = nacre_env_next(&rest, &line, how & 1 ? NACRE_ENV_SYSTEM : NACRE_ENV_USER, pair, room,
                            &why);
        if ((rc < 0 && (why.text[0] == '\0' || why.status != rc)) || line > NACRE_ENV_LINES ||
            ++calls > NACRE_ENV_LINES + 2) {
            abort();
        }
        if (rc == 1) {
            const char *equals = strchr(pair, '=');
            if (!equals || equals == pair || strlen(pair) >= room || line <= before) {
                abort();
            }
            again(pair);
        }
        before = line;
    }
    free(pair);
    free(copy);
    return 0;
}
