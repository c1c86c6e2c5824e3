/*
 * print.c - what a key is: its public half (-y), its fingerprints (-l, -B).
 */
#include "keygen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int kg_print_public(keygen *g)
{
    struct stat st;
    if (!g->have_file) {
        kg_ask_file(g, "Enter file in which the key is");
    }
    if (stat(g->file, &st) != 0) {
        kg_die("%s: %s", g->file, strerror(errno));
    }
    nacre_key *key = kg_load_identity(g, g->file);
    const char *comment = nacre_key_comment(key);
    if (!kg_put_key(stdout, key)) {
        kg_die("write key: %s", strerror(errno));
    }
    (void)printf("%s%s\n", *comment ? " " : "", comment);
    nacre_key_free(key);
    return 0;
}

static void one_print(const keygen *g, const nacre_key *key, const char *comment)
{
    char print[256];
    kg_print_of(g, key, g->babble, print, sizeof(print));
    (void)printf("%u %s ", (unsigned)nacre_key_bits(key), print);
    kg_put(comment && *comment ? comment : "no comment");
    (void)printf(" (%s)\n", nacre_key_label(key));
    if (g->verbose) {
        kg_put_art(g, key);
    }
}

static int print_private(const keygen *g)
{
    nacre_key *public_key = NULL, *private_key = NULL;
    nacre_error why;
    char comment[KG_COMMENT] = "";
    (void)kg_load_public(g->file, &public_key, comment, &why);
    if (!public_key || !comment[0]) {
        (void)kg_load_private(g->file, "", &private_key, &why);
    }
    if (!public_key && !private_key) {
        kg_die("%s is not a key file.", g->file);
    }
    const char *named = private_key ? nacre_key_comment(private_key) : comment;
    one_print(g, public_key ? public_key : private_key, named);
    nacre_key_free(public_key);
    nacre_key_free(private_key);
    return 0;
}

/* Options or host names before the key: a word, which may have quotes. Zero-ends it; NULL: nothing follows. */
static char *behind_word(char *at)
{
    bool quoted = false;
    for (; *at && (quoted || (*at != ' ' && *at != '\t')); at++) {
        if (*at == '\\' && at[1] == '"') {
            at++;
        } else if (*at == '"') {
            quoted = !quoted;
        }
    }
    if (!*at) {
        return NULL;
    }
    *at = '\0';
    return at + 1;
}

static bool begins_with_number(const char *at)
{
    char *end = NULL;
    long number = strtol(at, &end, 10);
    return number != 0 && (*end == ' ' || *end == '\t');
}

/* A key, or one behind a name or options. False: the line has none. */
static bool print_line(const keygen *g, char *line)
{
    nacre_error why;
    const char *comment = NULL;
    const char *at = line;
    nacre_key *key = kg_key_at(&at, &why);
    if (!key) {
        char *rest = line;
        if (!begins_with_number(line)) {
            comment = line;
            rest = behind_word(line);
        }
        at = rest;
        key = at ? kg_key_at(&at, &why) : NULL;
    }
    if (!key) {
        return false;
    }
    at += strspn(at, " \t");
    if (*at && *at != '#') {
        comment = at;
    }
    one_print(g, key, comment);
    nacre_key_free(key);
    return true;
}

int kg_fingerprint(keygen *g)
{
    if (!g->have_file) {
        kg_ask_file(g, "Enter file in which the key is");
    }
    bool standard = strcmp(g->file, "-") == 0;
    const char *path = standard ? "(stdin)" : g->file;
    FILE *f = standard ? stdin : fopen(path, "re");
    if (!f) {
        kg_die("%s: %s: %s", g->program, path, strerror(errno));
    }
    char *buffer = NULL, *line;
    size_t room = 0;
    unsigned long number = 0;
    bool found = false;
    while ((line = kg_line(f, &buffer, &room)) != NULL) {
        number++;
        line += strspn(line, " \t");
        if (*line == '#' || *line == '\0') {
            continue;
        }
        if (number == 1 && !standard && strstr(line, "PRIVATE KEY")) {
            free(buffer);
            (void)fclose(f);
            return print_private(g);
        }
        if (print_line(g, line)) {
            found = true;
        } else {
            kg_debug(g, "%s:%lu: not a public key", path, number);
        }
    }
    free(buffer);
    if (!standard) {
        (void)fclose(f);
    }
    if (!found) {
        kg_die("%s is not a public key file.", path);
    }
    return 0;
}
