/*
 * words.c - the grammar that ssh_config(5) and sshd_config(5) share. Keywords and what they mean are the
 * client's and the server's own matter; so is Include.
 */
#include "base/words.h"

#include <string.h>

bool nc_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static const char *skip_blanks(const char *p)
{
    while (nc_is_blank(*p)) {
        p++;
    }
    return p;
}

nacre_span nc_trim_blanks(nacre_span s)
{
    while (s.n > 0 && nc_is_blank((char)s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && nc_is_blank((char)s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

/* ---- lines and words ---- */

bool nc_next_line(nacre_span *text, nacre_span *line)
{
    if (text->n == 0) {
        return false;
    }
    const uint8_t *end = memchr(text->p, '\n', text->n);
    line->p = text->p;
    line->n = end ? (size_t)(end - text->p) : text->n;
    size_t taken = line->n + (end ? 1 : 0);
    text->p += taken;
    text->n -= taken;
    return true;
}

nacre_span nc_next_keyword(const char **at)
{
    const char *p = skip_blanks(*at), *end = p;
    while (*end && !nc_is_blank(*end) && *end != '=') {
        end++;
    }
    const char *value = skip_blanks(end);
    *at = *value == '=' ? skip_blanks(value + 1) : value;
    return (nacre_span){(const uint8_t *)p, (size_t)(end - p)};
}

/* Whether the backslash at p makes what follows ordinary; any other stands for itself, as in ssh. */
static bool escapes(const char *p, char quote)
{
    return p[1] == '"' || p[1] == '\'' || p[1] == '\\' || (!quote && p[1] == ' ');
}

int nc_next_word(const char **at, char *out, size_t size)
{
    const char *p = skip_blanks(*at);
    size_t n = 0;
    char quote = 0;
    *at = p;
    if (!*p || *p == '#') {
        return 0;
    }
    for (; *p && (quote || !nc_is_blank(*p)); p++) {
        if (*p == '\\' && escapes(p, quote)) {
            p++;
        } else if (quote ? *p == quote : *p == '"' || *p == '\'') {
            quote = quote ? 0 : *p;
            continue;
        }
        if (n + 1 >= size) {
            return NACRE_TOO_LARGE;
        }
        out[n++] = *p;
    }
    if (quote || size == 0) {
        return quote ? NACRE_SYNTAX : NACRE_TOO_LARGE;
    }
    out[n] = '\0';
    *at = p;
    return 1;
}

/* ---- values ---- */

bool nc_parse_digits(const char **at, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    const char *p = *at;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (digit > max || v > (max - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    if (p == *at) {
        return false;
    }
    *at = p;
    *out = v;
    return true;
}

bool nc_parse_number(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t v;
    const char *p = text;
    if (!nc_parse_digits(&p, max, &v) || *p || v < min) {
        return false;
    }
    *out = (uint32_t)v;
    return true;
}

static uint64_t seconds_of(char unit)
{
    static const struct {
        char unit[3];
        uint32_t seconds;
    } known[] = {{"sS", 1}, {"mM", 60}, {"hH", 3600}, {"dD", 86400}, {"wW", 604800}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (unit == known[i].unit[0] || unit == known[i].unit[1]) {
            return known[i].seconds;
        }
    }
    return unit ? 0 : 1;
}

bool nc_parse_time(const char *text, uint32_t *seconds)
{
    uint64_t total = 0, n;
    const char *p = text;
    do {
        if (!nc_parse_digits(&p, INT32_MAX, &n)) {
            return false;
        }
        uint64_t unit = seconds_of(*p);
        total += n * unit; /* below 2^31 + 2^31 * 604800 */
        if (unit == 0 || total > INT32_MAX) {
            return false;
        }
        p += *p ? 1 : 0;
    } while (*p);
    *seconds = (uint32_t)total;
    return true;
}

bool nc_parse_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "KkMmGg";
    uint64_t n;
    unsigned shift = 0;
    const char *p = text;
    if (!nc_parse_digits(&p, UINT64_MAX, &n)) {
        return false;
    }
    if (*p) {
        const char *unit = strchr(units, *p++);
        shift = unit ? 10 * (unsigned)((unit - units) / 2 + 1) : 64;
    }
    if (*p || shift == 64 || n > UINT64_MAX >> shift) {
        return false;
    }
    *bytes = n << shift;
    return true;
}

/* word in lower case. Not strcasecmp: what a letter is must not depend on the program's locale. */
static bool is_word(const char *text, const char *word)
{
    while (*word && (*text == *word || (*text >= 'A' && *text <= 'Z' && *text + 32 == *word))) {
        text++;
        word++;
    }
    return *text == *word;
}

bool nc_parse_rekey_size(const char *text, uint64_t *bytes)
{
    uint64_t n = 0;
    bool usual = is_word(text, "default") || is_word(text, "none");
    /* Below a block of 16 bytes ssh calls it an error, too. */
    if (!usual && (!nc_parse_size(text, &n) || (n > 0 && n < 16))) {
        return false;
    }
    *bytes = n;
    return true;
}

bool nc_parse_rekey_time(const char *text, uint32_t *seconds)
{
    if (is_word(text, "none")) {
        *seconds = 0;
        return true;
    }
    return nc_parse_time(text, seconds);
}
