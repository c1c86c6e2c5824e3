/*
 * words.h - a command line of sftp(1) taken apart: quotes, backslashes, comments. No I/O.
 */
#ifndef SFTP_WORDS_H
#define SFTP_WORDS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct word {
    char *text;    /* what was meant, quoting removed */
    char *pattern; /* the same with quoted *, ?, [, ] and \ behind a backslash */
    bool magic;    /* pattern has a *, ? or [ that means something */
} word;

typedef struct words {
    word *at;
    size_t count;
} words;

/* Splits line; false: *why says what is wrong (static text), and out is empty. */
bool words_split(const char *line, words *out, const char **why);
void words_free(words *w);
/* name against a pattern (*, ?, [a-z], [!a-z], \x); a leading dot needs a leading dot. */
bool words_match(const char *pattern, const char *name);
/* Text as one word of a command line, quoted where needed; malloc'd. */
char *words_quote(const char *text);

#endif
