/*
 * words.c - splitting command lines as sftp(1) does, and matching names. A '#' where a word could begin
 * starts a comment. Between single or double quotes everything stands for itself, but a backslash
 * before a backslash or that quote; elsewhere a backslash makes the next character ordinary.
 */
#include "words.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_LINE = 64 * 1024, /* longer than any two paths */
    MAX_WORDS = 4096
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_magic(char c)
{
    return c == '*' || c == '?' || c == '[' || c == ']' || c == '\\';
}

typedef struct building {
    char *text, *pattern;
    size_t text_n, pattern_n;
    bool magic;
} building;

static void put_char(building *b, char c, bool quoted)
{
    b->text[b->text_n++] = c;
    if (is_magic(c) && quoted) {
        b->pattern[b->pattern_n++] = '\\';
    }
    b->pattern[b->pattern_n++] = c;
    b->magic = b->magic || (!quoted && (c == '*' || c == '?' || c == '['));
}

/* From behind the opening quote to behind the closing one; NULL: there is none. */
static const char *take_quoted(const char *p, char quote, building *b)
{
    for (; *p && *p != quote; p++) {
        if (*p == '\\' && (p[1] == '\\' || p[1] == quote)) {
            p++;
        }
        put_char(b, *p, true);
    }
    return *p ? p + 1 : NULL;
}

static const char *take_word(const char *p, building *b, const char **why)
{
    while (*p && !is_blank(*p)) {
        if (*p == '\'' || *p == '"') {
            p = take_quoted(p + 1, *p, b);
            if (!p) {
                *why = "a quote is not closed";
                return NULL;
            }
        } else if (*p == '\\') {
            if (!p[1] || p[1] == '\n') {
                *why = "nothing follows the backslash at the end";
                return NULL;
            }
            put_char(b, p[1], true);
            p += 2;
        } else {
            put_char(b, *p++, false);
        }
    }
    return p;
}

static bool add(words *w, const building *b)
{
    word *more = realloc(w->at, (w->count + 1) * sizeof(*more));
    if (!more) {
        return false;
    }
    w->at = more;
    word *to = &w->at[w->count];
    to->text = strndup(b->text, b->text_n);
    to->pattern = strndup(b->pattern, b->pattern_n);
    to->magic = b->magic;
    w->count++;
    return to->text && to->pattern;
}

static bool split(const char *p, words *out, building *b, const char **why)
{
    for (;;) {
        while (is_blank(*p)) {
            p++;
        }
        if (!*p || *p == '#') {
            return true;
        }
        if (out->count == MAX_WORDS) {
            *why = "too many words";
            return false;
        }
        b->text_n = b->pattern_n = 0;
        b->magic = false;
        p = take_word(p, b, why);
        if (!p) {
            return false;
        }
        if (!add(out, b)) {
            *why = "out of memory";
            return false;
        }
    }
}

bool words_split(const char *line, words *out, const char **why)
{
    size_t n = strlen(line);
    building b = {0};
    bool good = false;
    memset(out, 0, sizeof(*out));
    *why = "out of memory";
    if (n > MAX_LINE) {
        *why = "the line is too long";
        return false;
    }
    b.text = malloc(n + 1);
    b.pattern = malloc(2 * n + 1);
    if (b.text && b.pattern) {
        good = split(line, out, &b, why);
    }
    free(b.text);
    free(b.pattern);
    if (!good) {
        words_free(out);
    }
    return good;
}

void words_free(words *w)
{
    for (size_t i = 0; i < w->count; i++) {
        free(w->at[i].text);
        free(w->at[i].pattern);
    }
    free(w->at);
    memset(w, 0, sizeof(*w));
}

/* ---- matching ----------------------------------------------------------------------------------------- */

/* p at '[': whether c is in the set; *end behind the ']'. Without a ']' the bracket is ordinary. */
static bool in_set(const char *p, char c, const char **end)
{
    const char *q = p + 1;
    bool negated = *q == '!' || *q == '^';
    bool found = false;
    q += negated;
    for (bool first = true; *q && (first || *q != ']'); first = false) {
        q += *q == '\\' && q[1];
        unsigned char low = (unsigned char)*q++;
        unsigned char high = low;
        if (*q == '-' && q[1] && q[1] != ']') {
            q += q[1] == '\\' && q[2] ? 2 : 1;
            high = (unsigned char)*q++;
        }
        found = found || ((unsigned char)c >= low && (unsigned char)c <= high);
    }
    if (*q != ']') {
        *end = p + 1;
        return c == '[';
    }
    *end = q + 1;
    return found != negated;
}

/* One character of the pattern, not '*', against c; *next is the pattern behind it. */
static bool match_one(const char *p, char c, const char **next)
{
    if (*p == '[') {
        return in_set(p, c, next);
    }
    if (*p == '?') {
        *next = p + 1;
        return true;
    }
    p += *p == '\\' && p[1];
    *next = p + 1;
    return *p == c;
}

/* The last star is the only one that need ever be tried again: no recursion, no explosion. */
bool words_match(const char *pattern, const char *name)
{
    const char *star = NULL;
    const char *retry = NULL;
    if (*name == '.' && *pattern != '.' && !(*pattern == '\\' && pattern[1] == '.')) {
        return false;
    }
    while (*name) {
        const char *next = NULL;
        if (*pattern == '*') {
            star = ++pattern;
            retry = name;
        } else if (*pattern && match_one(pattern, *name, &next)) {
            pattern = next;
            name++;
        } else if (star) {
            pattern = star;
            name = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return !*pattern;
}

char *words_quote(const char *text)
{
    char *out = malloc(2 * strlen(text) + 3);
    char *p = out;
    if (!out) {
        return NULL;
    }
    bool plain = *text && !strpbrk(text, " \t\"'\\*?[]#");
    if (!plain) {
        *p++ = '"';
    }
    for (; *text; text++) {
        if (!plain && (*text == '"' || *text == '\\')) {
            *p++ = '\\';
        }
        *p++ = *text;
    }
    if (!plain) {
        *p++ = '"';
    }
    *p = '\0';
    return out;
}
