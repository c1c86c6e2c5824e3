/*
 * scp_command.c - from the text of a command to the options and paths of an scp server. What it does not
 * know for certain it leaves to the shell.
 */
#include "server/scp_command.h"

#include "base/mem.h"
#include "io/local_path.h"

#include <glob.h>
#include <string.h>

enum { PATHS_MAX = 65536 /* of one command, wildcards included */ };

/* A word, twice: as it is, and as a pattern in which what was quoted has a backslash. */
typedef struct word {
    char *text, *pattern;
    size_t text_len, pattern_len;
    bool there, wild, tilde;
} word;

static void add(word *w, char c, bool quoted)
{
    if (quoted && strchr("*?[]\\", c)) {
        w->pattern[w->pattern_len++] = '\\';
    }
    w->pattern[w->pattern_len++] = c;
    w->text[w->text_len++] = c;
    w->there = true;
}

/* What is in quotes, up to behind the closing one; NULL: something that only a shell understands. */
static const char *in_quotes(const char *p, word *w)
{
    char quote = *p++;
    w->there = true;
    for (; *p && *p != quote; p++) {
        if (quote == '"' && (*p == '$' || *p == '`')) {
            return NULL;
        }
        if (quote == '"' && *p == '\\' && p[1] && strchr("$`\"\\\n", p[1])) {
            if (*++p == '\n') {
                return NULL;
            }
        }
        add(w, *p, true);
    }
    return *p ? p + 1 : NULL;
}

static const char *next_word(const char *p, word *w)
{
    w->text_len = w->pattern_len = 0;
    w->there = w->wild = w->tilde = false;
    while (*p == ' ' || *p == '\t') {
        p++;
    }
    if (*p == '#') {
        return NULL;
    }
    w->tilde = *p == '~';
    while (p && *p && *p != ' ' && *p != '\t') {
        if (*p == '\'' || *p == '"') {
            p = in_quotes(p, w);
        } else if (*p == '\\') {
            if (p[1] == '\0' || p[1] == '\n') {
                return NULL;
            }
            add(w, p[1], true);
            p += 2;
        } else if (strchr("$`;&|<>(){}\n", *p)) {
            return NULL;
        } else {
            w->wild = w->wild || strchr("*?[", *p);
            add(w, *p++, false);
        }
    }
    w->text[w->text_len] = w->pattern[w->pattern_len] = '\0';
    return p;
}

/* ---- paths -------------------------------------------------------------------------------------------- */

static int add_path(nc_scp_args *a, const char *path)
{
    if (a->count >= PATHS_MAX) {
        return NACRE_LIMIT;
    }
    if ((a->count & (a->count - 1)) == 0) {
        size_t room = a->count ? 2 * a->count : 1;
        char **more = nc_resize(a->alloc, a->paths, room * sizeof(*more));
        if (!more) {
            return NACRE_NO_MEMORY;
        }
        a->paths = more;
    }
    a->paths[a->count] = nc_strdup(a->alloc, path);
    return a->paths[a->count] ? (int)(a->count++, NACRE_OK) : NACRE_NO_MEMORY;
}

/* A leading "~", or "~name", as a path. */
static int expand_tilde(const char *text, const char *home, nc_path *out)
{
    size_t n = home ? strlen(home) : 0;
    if (!home || (text[1] != '\0' && text[1] != '/')) {
        return nc_path_expand(out, text);
    }
    if (n + strlen(text + 1) >= sizeof(out->text)) {
        return -1;
    }
    memcpy(out->text, home, n);
    memcpy(out->text + n, text + 1, strlen(text + 1) + 1);
    return 0;
}

static void append_quoted(char *out, size_t *len, const char *text)
{
    for (; *text; text++) {
        if (strchr("*?[]\\", *text)) {
            out[(*len)++] = '\\';
        }
        out[(*len)++] = *text;
    }
}

/* Relative patterns are looked up below start, and their matches are relative again. */
static int add_matches(nc_scp_args *a, const word *w, const char *start)
{
    bool relative = w->pattern[0] != '/';
    size_t skip = relative ? strlen(start) + 1 : 0, len = 0;
    char *whole = nc_alloc(a->alloc, 2 * strlen(start) + w->pattern_len + 2);
    glob_t found;
    int rc = NACRE_OK;
    if (!whole) {
        return NACRE_NO_MEMORY;
    }
    if (relative) {
        append_quoted(whole, &len, start);
        whole[len++] = '/';
    }
    memcpy(whole + len, w->pattern, w->pattern_len + 1);
    int globbed = glob(whole, 0, NULL, &found);
    nc_free(a->alloc, whole);
    if (globbed != 0) { /* no match is the word itself, as with sh */
        return globbed == GLOB_NOSPACE ? NACRE_NO_MEMORY : add_path(a, w->text);
    }
    for (size_t i = 0; i < found.gl_pathc && rc == NACRE_OK; i++) {
        rc = add_path(a, found.gl_pathv[i] + skip);
    }
    globfree(&found);
    return rc;
}

static int add_word(nc_scp_args *a, const word *w, const char *start, const char *home)
{
    nc_path expanded;
    if (w->tilde) {
        if (w->wild || expand_tilde(w->text, home, &expanded) != 0) {
            return NACRE_UNSUPPORTED;
        }
        return add_path(a, expanded.text);
    }
    if (w->wild) {
        return a->source ? add_matches(a, w, start) : NACRE_UNSUPPORTED;
    }
    return add_path(a, w->text);
}

/* ---- the command -------------------------------------------------------------------------------------- */

typedef struct flags {
    bool f, t, over; /* over: paths begin */
} flags;

static bool take_flags(nc_scp_args *a, flags *f, const char *text)
{
    for (const char *p = text + 1; *p; p++) {
        switch (*p) {
        case 'f':
            f->f = true;
            break;
        case 't':
            f->t = true;
            break;
        case 'r':
            a->recursive = true;
            break;
        case 'p':
            a->preserve = true;
            break;
        case 'd':
            a->to_directory = true;
            break;
        case 'v':
            break;
        default:
            return false;
        }
    }
    a->source = f->f;
    return true;
}

static int take_word(nc_scp_args *a, flags *f, const word *w, const char *start, const char *home)
{
    if (!f->over && w->text[0] == '-' && w->text[1] != '\0') {
        f->over = strcmp(w->text, "--") == 0;
        return f->over || take_flags(a, f, w->text) ? NACRE_OK : NACRE_UNSUPPORTED;
    }
    f->over = true;
    return f->f != f->t ? add_word(a, w, start, home) : NACRE_UNSUPPORTED;
}

static int parse(nc_scp_args *a, const char *command, word *w, const char *start, const char *home)
{
    flags f = {false, false, false};
    const char *p = next_word(command, w);
    if (!p || w->wild || strcmp(w->text, "scp") != 0) {
        return NACRE_UNSUPPORTED;
    }
    for (;;) {
        p = next_word(p, w);
        if (!p) {
            return NACRE_UNSUPPORTED;
        }
        if (!w->there) {
            break;
        }
        int rc = take_word(a, &f, w, start, home);
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    return a->count > 0 && (a->source || a->count == 1) ? NACRE_OK : NACRE_UNSUPPORTED;
}

int nc_scp_args_parse(nc_scp_args *out, const char *command, const char *start, const char *home,
                      const nacre_allocator *alloc)
{
    word w;
    memset(out, 0, sizeof(*out));
    memset(&w, 0, sizeof(w));
    out->alloc = alloc;
    size_t n = strlen(command);
    w.text = nc_alloc(alloc, n + 1);
    w.pattern = nc_alloc(alloc, 2 * n + 1);
    int rc = w.text && w.pattern ? parse(out, command, &w, start, home) : NACRE_NO_MEMORY;
    nc_free(alloc, w.text);
    nc_free(alloc, w.pattern);
    if (rc != NACRE_OK) {
        nc_scp_args_clear(out);
    }
    return rc;
}

void nc_scp_args_clear(nc_scp_args *a)
{
    for (size_t i = 0; i < a->count; i++) {
        nc_free(a->alloc, a->paths[i]);
    }
    nc_free(a->alloc, a->paths);
    a->paths = NULL;
    a->count = 0;
}
