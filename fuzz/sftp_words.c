/*
 * A command line of sftp, and a name in a directory against its words: what is quoted comes back as one word, and a
 * pattern made of a text matches that text and nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include "../apps/sftp/words.h"
#include "fuzz.h"

enum { LONGEST = 1024 };

static void insist(bool truth)
{
    if (!truth) {
        abort();
    }
}

static void quoted(const char *text)
{
    const char *why = NULL;
    words w;
    char *line = words_quote(text);
    char *pattern = words_pattern(text);
    insist(line && pattern);
    insist(words_match(pattern, text));
    insist(words_split(line, &w, &why) && w.count == 1 && strcmp(w.at[0].text, text) == 0);
    insist(!w.at[0].magic && !w.at[0].braces);
    words_free(&w);
    char *plain = words_plain(pattern);
    insist(plain && strcmp(plain, text) == 0);
    free(plain);
    free(pattern);
    free(line);
}

static void look(const word *w, const char *name)
{
    char **all = w->braces ? words_braces(w->pattern) : NULL;
    (void)words_match(w->pattern, name);
    for (size_t i = 0; all && all[i]; i++) {
        insist(i < WORDS_MAX_BRACES);
        (void)words_match(all[i], name);
        free(all[i]);
    }
    free(all);
}

static void one_line(const char *line, const char *name)
{
    words w;
    const char *why = NULL;
    char quote = 0;
    if (words_split(line, &w, &why)) {
        for (size_t i = 0; i < w.count; i++) {
            insist(w.at[i].start <= strlen(line));
            look(&w.at[i], name);
        }
        words_free(&w);
    } else {
        insist(why != NULL && w.count == 0);
    }
    if (words_split_open(line, &w, &quote)) {
        insist(quote == 0 || quote == '"' || quote == '\'');
        words_free(&w);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char line[LONGEST + 1], name[65];
    nacre_span in = {data, size};
    nacre_span front = fuzz_take(&in, fuzz_byte(&in) % sizeof(name));
    nacre_span text = fuzz_take(&in, LONGEST);
    if (front.n) {
        memcpy(name, front.p, front.n);
    }
    if (text.n) {
        memcpy(line, text.p, text.n);
    }
    name[front.n] = line[text.n] = '\0';
    quoted(line);
    one_line(line, name);
    return 0;
}
