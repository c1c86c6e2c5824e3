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
    bool braces;   /* pattern has a { that means something, to those who ask for it */
    size_t start;  /* where it stands in the line */
} word;

typedef struct words {
    word *at;
    size_t count;
} words;

/* Splits line; false: *why says what is wrong (static text), and out is empty. */
bool words_split(const char *line, words *out, const char **why);
/*
 * The same for a line that is still being typed: a quote may be open at the end. *quote is how the last
 * word is quoted: '"' or '\'' when it is open, else 0. False: no such line, or no memory.
 */
bool words_split_open(const char *line, words *out, char *quote);
void words_free(words *w);
/* name against a pattern (*, ?, [a-z], [!a-z], \x); a leading dot needs a leading dot. */
bool words_match(const char *pattern, const char *name);
/*
 * pattern with its {a,b} written out, as shells do: patterns, malloc'd, a NULL behind them; NULL: out of
 * memory, or more than anybody means (WORDS_MAX_BRACES).
 */
enum { WORDS_MAX_BRACES = 4096 };
char **words_braces(const char *pattern);
/* Text as a pattern that matches it and nothing else; malloc'd. */
char *words_pattern(const char *text);
/* A pattern without its backslashes; malloc'd. */
char *words_plain(const char *pattern);
/* Text as one word of a command line, quoted where needed; malloc'd. */
char *words_quote(const char *text);
/*
 * Text as the front of a word that is being typed: within that quote when one is open, else with
 * backslashes. The quote itself is written in front and not behind; malloc'd.
 */
char *words_quote_open(const char *text, char quote);

#endif
