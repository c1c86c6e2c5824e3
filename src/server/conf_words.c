/*
 * conf_words.c - lines of a configuration file: words, quotes, comments, times and sizes.
 */
#include "server/sshd_config.h"

#include <stdio.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static nacre_span trim(nacre_span s)
{
    while (s.n > 0 && is_blank((char)s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_blank((char)s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

int nc_conf_fail(nacre_error *err, const nc_conf_line *l, int status, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (l->number == 0) {
        return nc_fail(err, status, "%s: %s", l->file, text);
    }
    return nc_fail(err, status, "%s line %u: %s", l->file, l->number, text);
}

/* The keyword ends at a blank, or at one "=" which may have blanks around it. */
static char *cut_keyword(nc_conf_line *l, char *p)
{
    char *end = p;
    while (*end && !is_blank(*end) && *end != '=') {
        end++;
    }
    char *next = end;
    while (is_blank(*next)) {
        next++;
    }
    if (*next == '=') {
        next++;
        while (is_blank(*next)) {
            next++;
        }
    }
    *end = '\0';
    l->words[l->count++] = p;
    return next;
}

/* One word from *at, unquoted in place. NULL: a quote is not closed. */
static char *cut_word(char **at)
{
    char *from = *at, *to = *at, *word = *at;
    char quote = 0;
    for (; *from && (quote || !is_blank(*from)); from++) {
        if (!quote && (*from == '"' || *from == '\'')) {
            quote = *from;
        } else if (quote && *from == quote) {
            quote = 0;
        } else if (*from == '\\' && (from[1] == '"' || from[1] == '\'' || from[1] == '\\')) {
            *to++ = *++from;
        } else {
            *to++ = *from;
        }
    }
    if (quote) {
        return NULL;
    }
    *at = *from ? from + 1 : from;
    *to = '\0';
    return word;
}

static int cut_words(nc_conf_line *l, char *p, nacre_error *err)
{
    for (;;) {
        while (is_blank(*p)) {
            p++;
        }
        if (!*p || *p == '#') {
            return NACRE_OK;
        }
        if (l->count == NC_CONF_MAX_WORDS) {
            return nc_conf_fail(err, l, NACRE_LIMIT, "more than %d words", NC_CONF_MAX_WORDS);
        }
        char *word = cut_word(&p);
        if (!word) {
            return nc_conf_fail(err, l, NACRE_SYNTAX, "a quote is not closed");
        }
        l->words[l->count++] = word;
    }
}

int nc_conf_split(nc_conf_line *l, const nacre_allocator *a, nacre_span text, nacre_error *err)
{
    text = trim(text);
    l->count = 0;
    l->text = l->raw = NULL;
    if (text.n == 0 || text.p[0] == '#') {
        return NACRE_OK;
    }
    if (memchr(text.p, 0, text.n)) {
        return nc_conf_fail(err, l, NACRE_SYNTAX, "there is a zero byte in it");
    }
    l->text = nc_strndup(a, text);
    l->raw = nc_strndup(a, text);
    if (!l->text || !l->raw) {
        return nc_conf_fail(err, l, NACRE_NO_MEMORY, "out of memory");
    }
    char *behind = cut_keyword(l, l->text);
    l->rest = l->raw + (behind - l->text);
    if (l->words[0][0] == '\0') {
        return nc_conf_fail(err, l, NACRE_SYNTAX, "there is no keyword");
    }
    return cut_words(l, behind, err);
}

void nc_conf_clear(nc_conf_line *l, const nacre_allocator *a)
{
    nc_free(a, l->text);
    nc_free(a, l->raw);
    l->text = l->raw = NULL;
    l->count = 0;
}

/* ---- values --------------------------------------------------------------------------------------- */

/* Digits into *out, at most max; returns what follows, NULL when there are none or too many. */
static const char *digits(const char *p, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    const char *first = p;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t d = (uint64_t)(*p - '0');
        if (v > (max - d) / 10) {
            return NULL;
        }
        v = v * 10 + d;
    }
    *out = v;
    return p == first ? NULL : p;
}

bool nc_conf_number(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t v = 0;
    const char *end = digits(text, UINT32_MAX, &v);
    if (!end || *end || v < min || v > max) {
        return false;
    }
    *out = (uint32_t)v;
    return true;
}

static uint64_t unit_of(char c)
{
    switch (c) {
    case 's':
    case 'S':
        return 1;
    case 'm':
    case 'M':
        return 60;
    case 'h':
    case 'H':
        return 3600;
    case 'd':
    case 'D':
        return 86400;
    case 'w':
    case 'W':
        return 604800;
    default:
        return 0;
    }
}

bool nc_conf_time(const char *text, uint32_t *seconds)
{
    uint64_t total = 0;
    const char *p = text;
    do {
        uint64_t v = 0;
        p = digits(p, INT32_MAX, &v);
        if (!p) {
            return false;
        }
        uint64_t unit = *p ? unit_of(*p) : 1;
        if (unit == 0) {
            return false;
        }
        p += *p ? 1 : 0;
        total += v * unit; /* at most 2^31 * 604800 * the length of a line: no wrap */
        if (total > INT32_MAX) {
            return false;
        }
    } while (*p);
    *seconds = (uint32_t)total;
    return true;
}

bool nc_conf_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMG";
    uint64_t v = 0;
    const char *p = digits(text, UINT64_MAX >> 31, &v);
    if (!p) {
        return false;
    }
    if (*p) {
        char c = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
        const char *unit = strchr(units, c);
        if (!unit || p[1]) {
            return false;
        }
        v <<= 10 * (unsigned)(unit - units + 1);
    }
    *bytes = v;
    return true;
}
