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
    return c && strchr("*?[]\\{},", c);
}

typedef struct building {
    char *text, *pattern;
    size_t text_n, pattern_n;
    bool magic, braces;
    bool open_ended; /* the end of the line may come within a quote */
    char quote;      /* and did */
} building;

static void put_char(building *b, char c, bool quoted)
{
    b->text[b->text_n++] = c;
    if (is_magic(c) && quoted) {
        b->pattern[b->pattern_n++] = '\\';
    }
    b->pattern[b->pattern_n++] = c;
    b->magic = b->magic || (!quoted && (c == '*' || c == '?' || c == '['));
    b->braces = b->braces || (!quoted && c == '{');
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
    if (!*p && b->open_ended) {
        b->quote = quote;
        return p;
    }
    return *p ? p + 1 : NULL;
}

static const char *take_word(const char *p, building *b, const char **why)
{
    while (*p && !is_blank(*p)) {
        if (*p == '\'' || *p == '"') {
            p = take_quoted(p + 1, *p, b);
            if (!p) {
                *why = "Unterminated quoted argument";
                return NULL;
            }
        } else if (*p == '\\') {
            if ((!p[1] || p[1] == '\n') && b->open_ended) {
                return p + 1;
            }
            if (!p[1] || p[1] == '\n') {
                *why = "Unterminated quoted argument";
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

static bool add(words *w, const building *b, size_t start)
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
    to->braces = b->braces;
    to->start = start;
    w->count++;
    return to->text && to->pattern;
}

static bool split(const char *line, words *out, building *b, const char **why)
{
    for (const char *p = line;;) {
        while (is_blank(*p)) {
            p++;
        }
        if (!*p || *p == '#') {
            return true;
        }
        if (out->count == MAX_WORDS) {
            *why = "Too many arguments.";
            return false;
        }
        b->text_n = b->pattern_n = 0;
        b->magic = b->braces = false;
        size_t start = (size_t)(p - line);
        p = take_word(p, b, why);
        if (!p) {
            return false;
        }
        if (!add(out, b, start)) {
            *why = "out of memory";
            return false;
        }
    }
}

static bool split_line(const char *line, words *out, const char **why, bool open_ended, char *quote)
{
    size_t n = strlen(line);
    building b = {.open_ended = open_ended};
    bool good = false;
    memset(out, 0, sizeof(*out));
    *why = "out of memory";
    if (n > MAX_LINE) {
        *why = "string too long";
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
    *quote = b.quote;
    return good;
}

bool words_split(const char *line, words *out, const char **why)
{
    char quote;
    return split_line(line, out, why, false, &quote);
}

bool words_split_open(const char *line, words *out, char *quote)
{
    const char *why;
    return split_line(line, out, &why, true, quote);
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

/* ---- braces ------------------------------------------------------------------------------------------- */

typedef struct patterns {
    char **at;
    size_t count;
} patterns;

static void patterns_free(patterns *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->at[i]);
    }
    free(l->at);
}

/* Takes text over. */
static bool patterns_add(patterns *l, char *text)
{
    char **more =
        text && l->count < WORDS_MAX_BRACES ? realloc(l->at, (l->count + 2) * sizeof(*more)) : NULL;
    if (!more) {
        free(text);
        return false;
    }
    l->at = more;
    l->at[l->count++] = text;
    l->at[l->count] = NULL;
    return true;
}

/* From a '{' to the '}' that belongs to it; NULL: there is none. *comma: one stands between them. */
static const char *closing(const char *p)
{
    size_t depth = 0;
    for (; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
        } else if (*p == '{') {
            depth++;
        } else if (*p == '}' && --depth == 0) {
            return p;
        }
    }
    return NULL;
}

/* The first '{' that means something. */
static const char *opening(const char *p)
{
    for (; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
        } else if (*p == '{' && p[1] != '}' && closing(p)) {
            return p;
        }
    }
    return NULL;
}

/* Behind one alternative: at its ',' or at the end. */
static const char *alternative_end(const char *p, const char *end)
{
    size_t depth = 0;
    for (; p < end; p++) {
        if (*p == '\\' && p + 1 < end) {
            p++;
        } else if (*p == '{') {
            depth++;
        } else if (*p == '}') {
            depth--;
        } else if (*p == ',' && depth == 0) {
            return p;
        }
    }
    return end;
}

/* One pattern with its first braces replaced by an alternative. */
static char *with_alternative(const char *pattern, const char *open, const char *close,
                              const char *from, const char *to)
{
    char *out = malloc(strlen(pattern) + 1);
    if (out) {
        size_t n = (size_t)(open - pattern);
        memcpy(out, pattern, n);
        memcpy(out + n, from, (size_t)(to - from));
        n += (size_t)(to - from);
        memcpy(out + n, close + 1, strlen(close)); /* with its end */
    }
    return out;
}

/* One round: the first braces of each; *again: there were some. */
static bool expand_once(const patterns *in, patterns *out, bool *again)
{
    *again = false;
    for (size_t i = 0; i < in->count; i++) {
        const char *open = opening(in->at[i]);
        if (!open) {
            if (!patterns_add(out, strdup(in->at[i]))) {
                return false;
            }
            continue;
        }
        const char *close = closing(open);
        *again = true;
        for (const char *p = open + 1; p <= close; p++) {
            const char *end = alternative_end(p, close);
            if (!patterns_add(out, with_alternative(in->at[i], open, close, p, end))) {
                return false;
            }
            p = end;
        }
    }
    return true;
}

char **words_braces(const char *pattern)
{
    patterns now = {0};
    bool again = true;
    if (!patterns_add(&now, strdup(pattern))) {
        return NULL;
    }
    while (again) {
        patterns next = {0};
        bool good = expand_once(&now, &next, &again);
        patterns_free(&now);
        if (!good) {
            patterns_free(&next);
            return NULL;
        }
        now = next;
    }
    return now.at;
}

/* ---- quoting ------------------------------------------------------------------------------------------ */

char *words_pattern(const char *text)
{
    char *out = malloc(2 * strlen(text) + 1);
    char *p = out;
    for (; out && *text; text++) {
        if (is_magic(*text)) {
            *p++ = '\\';
        }
        *p++ = *text;
    }
    if (out) {
        *p = '\0';
    }
    return out;
}

char *words_plain(const char *pattern)
{
    char *out = malloc(strlen(pattern) + 1);
    char *q = out;
    for (; out && *pattern; pattern++) {
        pattern += *pattern == '\\' && pattern[1];
        *q++ = *pattern;
    }
    if (out) {
        *q = '\0';
    }
    return out;
}

char *words_quote_open(const char *text, char quote)
{
    char *out = malloc(2 * strlen(text) + 2);
    char *p = out;
    if (!out) {
        return NULL;
    }
    if (quote) {
        *p++ = quote;
    }
    for (; *text; text++) {
        bool special =
            quote ? *text == quote || *text == '\\' : strchr(" \t\"'\\*?[]{}#", *text) != NULL;
        if (special) {
            *p++ = '\\';
        }
        *p++ = *text;
    }
    *p = '\0';
    return out;
}

char *words_quote(const char *text)
{
    char *out = malloc(2 * strlen(text) + 3);
    char *p = out;
    if (!out) {
        return NULL;
    }
    bool plain = *text && !strpbrk(text, " \t\r\n\"'\\*?[]{}#");
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
