/*
 * The command by which a client starts scp on a server: any text. What is taken apart, written down again with every
 * word in quotes, is the same. The first byte chooses whether there is a home.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "server/scp_command.h"

enum { LONGEST = 4096 };
static const char start[] =
    "/dev/null"; /* nothing is below it: no wildcard finds a file of this machine */

static void put(char *out, size_t *n, const char *text)
{
    size_t len = strlen(text);
    memcpy(out + *n, text, len + 1);
    *n += len;
}

/* 'it'\''s': at most five bytes for one. */
static void put_quoted(char *out, size_t *n, const char *text)
{
    put(out, n, " '");
    for (; *text; text++) {
        const char one[2] = {*text, '\0'};
        put(out, n, *text == '\'' ? "'\\''" : one);
    }
    put(out, n, "'");
}

static void again(const nc_scp_args *a)
{
    size_t most = 64, n = 0;
    for (size_t i = 0; i < a->count; i++) {
        most += 4 * strlen(a->paths[i]) + 3;
    }
    char *command = malloc(most);
    nc_scp_args b;
    if (!command) {
        abort();
    }
    put(command, &n, a->source ? "scp -f" : "scp -t");
    put(command, &n, a->recursive ? " -r" : "");
    put(command, &n, a->preserve ? " -p" : "");
    put(command, &n, a->to_directory ? " -d --" : " --");
    for (size_t i = 0; i < a->count; i++) {
        put_quoted(command, &n, a->paths[i]);
    }
    if (nc_scp_args_parse(&b, command, start, NULL, NULL) != NACRE_OK) {
        abort();
    }
    bool same = a->count == b.count && a->source == b.source && a->recursive == b.recursive &&
                a->preserve == b.preserve && a->to_directory == b.to_directory;
    for (size_t i = 0; same && i < a->count; i++) {
        same = strcmp(a->paths[i], b.paths[i]) == 0;
    }
    if (!same) {
        abort();
    }
    nc_scp_args_clear(&b);
    free(command);
}

/* Wildcards in a whole path would look at directories of this machine, "~name" at its users. */
static void keep_away(char *command)
{
    for (char *p = command; (p = strchr(p, '~')) != NULL; p++) {
        *p = p[1] == '\0' || strchr("/ \t", p[1]) ? '~' : '-';
    }
    if (strpbrk(command, "*?[")) {
        for (char *p = command; (p = strchr(p, '/')) != NULL; p++) {
            *p = '_';
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char command[LONGEST + 1];
    nacre_span in = {data, size};
    const char *home = fuzz_byte(&in) & 1 ? "/home/me" : "";
    nacre_span text = fuzz_take(&in, LONGEST);
    nc_scp_args a;
    if (text.n) {
        memcpy(command, text.p, text.n);
    }
    command[text.n] = '\0';
    keep_away(command);
    if (nc_scp_args_parse(&a, command, start, home, NULL) == NACRE_OK) {
        if (a.count == 0 || (!a.source && a.count != 1)) {
            abort();
        }
        again(&a);
        nc_scp_args_clear(&a);
    }
    return 0;
}
