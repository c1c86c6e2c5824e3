/*
 * names.c - remote paths in a command, and which names may come in answer to them.
 */
#include "scp/line.h"

#include <string.h>

enum { PATTERNS_MAX = 1000 /* that braces make of one */ };

/* ---- in the command ----------------------------------------------------------------------------------- */

typedef struct out_text {
    char *p;
    size_t size, len;
} out_text;

static void put(out_text *o, char c)
{
    if (o->len < o->size) {
        o->p[o->len] = c;
    }
    o->len++;
}

static int end_text(out_text *o)
{
    put(o, '\0');
    if (o->len > o->size) {
        if (o->size > 0) {
            o->p[0] = '\0';
        }
        return NACRE_TOO_LARGE;
    }
    return NACRE_OK;
}

/* What no shell gives a meaning to. Network devices, that have no shell, get such paths unchanged. */
static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_@%+=:,./-", c));
}

static void quote_exact(const char *path, out_text *o)
{
    bool plain = *path != '\0' && *path != '=';
    for (const char *p = path; *p; p++) {
        plain = plain && is_plain(*p);
    }
    if (!plain) {
        put(o, '\'');
    }
    for (const char *p = path; *p; p++) {
        for (const char *q = *p == '\'' ? "'\\''" : ""; *q; q++) {
            put(o, *q);
        }
        if (*p != '\'') {
            put(o, *p);
        }
    }
    if (!plain) {
        put(o, '\'');
    }
}

static void quote_char(char c, out_text *o)
{
    if (c == '\n') { /* a backslash before it would make it vanish */
        put(o, '\'');
        put(o, c);
        put(o, '\'');
        return;
    }
    if (!is_plain(c) && (unsigned char)c < 0x80) {
        put(o, '\\');
    }
    put(o, c);
}

static void quote_pattern(const char *path, out_text *o)
{
    const char *p = path;
    if (*p == '~') { /* with the user's name behind it, up to the slash */
        put(o, *p++);
    }
    for (; *p; p++) {
        if (strchr("*?[]", *p) || (*p == '!' && p > path && p[-1] == '[')) {
            put(o, *p);
        } else if (*p == '\\' && p[1]) {
            quote_char(*++p, o);
        } else {
            quote_char(*p, o);
        }
    }
}

int nacre_scp_quote(nacre_scp_names names, const char *path, char *out, size_t size)
{
    out_text o = {out, size, 0};
    if (*path == '\0') {
        path = "."; /* the remote home */
    }
    if (*path == '-' && names != NACRE_SCP_RAW) { /* else an option of the remote program's */
        put(&o, '.');
        put(&o, '/');
    }
    switch (names) {
    case NACRE_SCP_EXACT:
        quote_exact(path, &o);
        break;
    case NACRE_SCP_PATTERN:
        quote_pattern(path, &o);
        break;
    default:
        for (; *path; path++) {
            put(&o, *path);
        }
        break;
    }
    return end_text(&o);
}

/* ---- what may come ------------------------------------------------------------------------------------ */

/* The same path as a pattern: what quotes or backslashes took the meaning from gets a backslash. */
static void literal(char c, out_text *o)
{
    if (strchr("*?[]{},\\!", c)) {
        put(o, '\\');
    }
    put(o, c);
}

static const char *unquote_raw(const char *p, out_text *o)
{
    char quote = *p++;
    for (; *p && *p != quote; p++) {
        if (quote == '"' && *p == '\\' && p[1]) {
            p++;
        }
        literal(*p, o);
    }
    return *p ? p : p - 1;
}

static void to_pattern(nacre_scp_names names, const char *path, out_text *o)
{
    for (const char *p = path; *p; p++) {
        if (names == NACRE_SCP_EXACT) {
            literal(*p, o);
        } else if (*p == '\\' && p[1]) {
            literal(*++p, o);
        } else if (names == NACRE_SCP_RAW && (*p == '\'' || *p == '"')) {
            p = unquote_raw(p, o);
        } else if (names == NACRE_SCP_PATTERN && strchr("{},", *p)) {
            literal(*p, o);
        } else {
            put(o, *p);
        }
    }
}

static bool has_wildcard(const char *pattern)
{
    for (; *pattern; pattern++) {
        if (*pattern == '\\' && pattern[1]) {
            pattern++;
        } else if (strchr("*?[{", *pattern)) {
            return true;
        }
    }
    return false;
}

int nc_scp_expect(nacre_scp_names names, const char *path, nc_scp_expected *out, nacre_error *err)
{
    char whole[8 * NC_SCP_NAME_MAX];
    out_text o = {whole, sizeof(whole), 0};
    to_pattern(names, path, &o);
    if (end_text(&o) != NACRE_OK) {
        return nc_fail(err, NACRE_TOO_LARGE, "the remote path is too long");
    }
    size_t n = strlen(whole);
    while (n > 1 && whole[n - 1] == '/') {
        whole[--n] = '\0';
    }
    const char *slash = strrchr(whole, '/');
    const char *name = slash ? slash + 1 : whole;
    out->single = !has_wildcard(whole);
    /* Only the server knows what a home directory is called. */
    if (names != NACRE_SCP_EXACT && !slash && *name == '~') {
        name = "*";
    }
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || *name == '\0') {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "remote path \"%s\" ends in no name: name the directory itself, or use a "
                       "pattern, as dir/*",
                       NC_ESC(nc_span_cstr(path)));
    }
    if (strlen(name) >= sizeof(out->pattern)) {
        return nc_fail(err, NACRE_TOO_LARGE, "the remote name is too long");
    }
    memcpy(out->pattern, name, strlen(name) + 1);
    return NACRE_OK;
}

/* ---- matching ----------------------------------------------------------------------------------------- */

/* The set at p, which is behind "[". NULL: it is not closed, so the bracket means itself. */
static const char *in_set(const char *p, unsigned char c, bool *in)
{
    bool negated = *p == '!' || *p == '^', found = false;
    p += negated ? 1 : 0;
    for (bool first = true; *p && (first || *p != ']'); first = false) {
        p += *p == '\\' && p[1] ? 1 : 0;
        unsigned char low = (unsigned char)*p++, high = low;
        if (p[0] == '-' && p[1] && p[1] != ']') {
            p += p[1] == '\\' && p[2] ? 2 : 1;
            high = (unsigned char)*p++;
        }
        found = found || (c >= low && c <= high);
    }
    *in = found != negated;
    return *p == ']' ? p + 1 : NULL;
}

/* One character of the name against what is at p, no star: behind it, or NULL. */
static const char *match_one(const char *p, unsigned char c)
{
    bool in = false;
    const char *behind = *p == '[' ? in_set(p + 1, c, &in) : NULL;
    if (behind) {
        return in ? behind : NULL;
    }
    if (*p == '?') {
        return p + 1;
    }
    p += *p == '\\' && p[1] ? 1 : 0;
    return *p && (unsigned char)*p == c ? p + 1 : NULL;
}

/* Without braces: the last star is the only one that can be wrong, so this is never worse than n * m. */
static bool match_plain(const char *p, nacre_span name)
{
    const char *star = NULL;
    size_t at = 0, star_at = 0;
    if (name.n > 0 && name.p[0] == '.' && *p != '.' && !(*p == '\\' && p[1] == '.')) {
        return false;
    }
    while (at < name.n || *p == '*') {
        const char *next = NULL;
        if (*p == '*') {
            star = ++p;
            star_at = at;
            continue;
        }
        next = match_one(p, name.p[at]);
        if (next) {
            p = next;
            at++;
        } else if (star && star_at < name.n) {
            p = star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    return *p == '\0';
}

/* What ends the alternative at p: the comma or the brace on its own level. NULL: nothing does. */
static const char *alternative_end(const char *p)
{
    for (int deep = 0; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
        } else if (*p == '{') {
            deep++;
        } else if (deep == 0 && (*p == ',' || *p == '}')) {
            return p;
        } else if (*p == '}') {
            deep--;
        }
    }
    return NULL;
}

static const char *first_brace(const char *p)
{
    for (; *p && *p != '{'; p++) {
        p += *p == '\\' && p[1] ? 1 : 0;
    }
    return *p == '{' ? p : NULL;
}

/* Each {a,b} doubles the patterns; *left bounds how many are looked at in all. */
static bool match_braces(const char *pattern, nacre_span name, unsigned *left)
{
    const char *open = first_brace(pattern), *close = open ? open + 1 : NULL;
    while (close && (close = alternative_end(close)) != NULL && *close == ',') {
        close++;
    }
    if (!close) { /* no brace, or one that means itself */
        return match_plain(pattern, name);
    }
    size_t before = (size_t)(open - pattern), behind = strlen(close + 1);
    for (const char *from = open + 1; *left > 0; from++) {
        char text[2 * NC_SCP_NAME_MAX + 1];
        const char *to = alternative_end(from);
        size_t n = (size_t)(to - from);
        memcpy(text, pattern, before); /* what is put together is shorter than pattern */
        memcpy(text + before, from, n);
        memcpy(text + before + n, close + 1, behind + 1);
        --*left;
        if (match_braces(text, name, left)) {
            return true;
        }
        if (*to == '}') {
            break;
        }
        from = to;
    }
    return false;
}

bool nc_scp_match(const char *pattern, nacre_span name)
{
    unsigned left = PATTERNS_MAX;
    return strlen(pattern) <= 2 * (size_t)NC_SCP_NAME_MAX && match_braces(pattern, name, &left);
}
