/*
 * scp_command.c - from the text of a command to the options and paths of an scp server. What it does not
 * know for certain it leaves to the shell.
 */
#include "server/scp_command.h"

#include "base/mem.h"
#include "io/local_path.h"

#include <dirent.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>

enum {
    PATHS_MAX = 65536,     /* of one command, wildcards included */
    LOOKS_MAX = 100000,    /* names and directories that its wildcards may have looked at */
    LOOKS_OF_A_USER = 1000 /* a user may be asked for over a network */
};

/* A word, twice: as it is, and as a pattern in which what was quoted has a backslash. */
typedef struct word {
    char *text, *pattern;
    size_t text_len, pattern_len;
    bool there, wild;
    bool tilde; /* it begins with one */
    bool whose; /* and what follows up to the slash has nothing quoted in it */
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
    w->there = w->wild = false;
    while (*p == ' ' || *p == '\t') {
        p++;
    }
    if (*p == '#') {
        return NULL;
    }
    w->tilde = w->whose = *p == '~';
    bool in_name = w->tilde;
    while (p && *p && *p != ' ' && *p != '\t') {
        in_name = in_name && *p != '/';
        w->whose = w->whose && !(in_name && strchr("'\"\\", *p));
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

/*
 * What is looked at is counted, because a few names can stand for any number of paths, and nobody else on
 * this thread has a turn meanwhile: what needs more is the shell's own business.
 */
static _Thread_local size_t looks_left;

/* A leading "~", or "~name", as a path. */
static int expand_tilde(const char *text, const char *home, nc_path *out)
{
    size_t n = home ? strlen(home) : 0;
    if (!home || (text[1] != '\0' && text[1] != '/')) {
        looks_left -= looks_left < LOOKS_OF_A_USER ? looks_left : LOOKS_OF_A_USER;
        return looks_left > 0 ? nc_path_expand(out, text) : -1;
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

#ifdef GLOB_ALTDIRFUNC
enum { GLOB_FLAGS = GLOB_ALTDIRFUNC };

static bool may_look(void)
{
    looks_left -= looks_left > 0 ? 1 : 0;
    return looks_left > 0;
}

static void *look_opendir(const char *path)
{
    return may_look() ? opendir(path) : NULL;
}

static struct dirent *look_readdir(void *dir)
{
    return may_look() ? readdir(dir) : NULL;
}

static void look_closedir(void *dir)
{
    (void)closedir(dir);
}

static int look_stat(const char *path, struct stat *st)
{
    return may_look() ? stat(path, st) : -1;
}

static int look_lstat(const char *path, struct stat *st)
{
    return may_look() ? lstat(path, st) : -1;
}

static bool can_glob(glob_t *g, const char *pattern)
{
    (void)pattern;
    memset(g, 0, sizeof(*g));
    g->gl_opendir = look_opendir;
    g->gl_readdir = look_readdir;
    g->gl_closedir = look_closedir;
    g->gl_stat = look_stat;
    g->gl_lstat = look_lstat;
    return looks_left > 0;
}
#else
enum { GLOB_FLAGS = 0, BLIND_LOOKS = 1000 /* what one pattern may cost */ };

/* Wildcards in one name only: that is one directory. */
static bool can_glob(glob_t *g, const char *pattern)
{
    const char *wild = strpbrk(pattern, "*?[");
    const char *slash = wild ? strchr(wild, '/') : NULL;
    memset(g, 0, sizeof(*g));
    looks_left -= looks_left < BLIND_LOOKS ? looks_left : BLIND_LOOKS;
    return looks_left > 0 && !(slash && strpbrk(slash, "*?["));
}
#endif

/* The pattern as a whole path. Relative ones are looked up below start, whose length is *skip then. */
static char *whole_pattern(const nc_scp_args *a, const word *w, const char *start, size_t *skip)
{
    size_t len = 0, n = strlen(start);
    char *whole = nc_alloc(a->alloc, 2 * n + w->pattern_len + 2);
    *skip = 0;
    if (whole && w->pattern[0] != '/') {
        append_quoted(whole, &len, start);
        *skip = n;
        if (n == 0 || start[n - 1] != '/') {
            whole[len++] = '/';
            ++*skip;
        }
    }
    if (whole) {
        memcpy(whole + len, w->pattern, w->pattern_len + 1);
    }
    return whole;
}

/* The matches, relative again where the pattern was. */
static int add_matches(nc_scp_args *a, const word *w, const char *start)
{
    size_t skip = 0;
    glob_t found;
    int rc = NACRE_OK;
    char *whole = whole_pattern(a, w, start, &skip);
    if (!whole) {
        return NACRE_NO_MEMORY;
    }
    int globbed = can_glob(&found, whole) ? glob(whole, GLOB_FLAGS, NULL, &found) : GLOB_ABORTED;
    nc_free(a->alloc, whole);
    if (looks_left == 0) {
        rc = NACRE_UNSUPPORTED;
    } else if (globbed == GLOB_NOSPACE) {
        rc = NACRE_NO_MEMORY;
    } else if (globbed != 0) { /* no match is the word itself, as with sh */
        rc = add_path(a, w->text);
    }
    for (size_t i = 0; i < found.gl_pathc && globbed == 0 && rc == NACRE_OK; i++) {
        rc = add_path(a, found.gl_pathv[i] + skip);
    }
    if (globbed == 0 || globbed == GLOB_NOSPACE) {
        globfree(&found);
    }
    return rc;
}

static int add_word(nc_scp_args *a, const word *w, const char *start, const char *home)
{
    nc_path expanded;
    if (w->tilde) {
        if (w->wild || !w->whose || expand_tilde(w->text, home, &expanded) != 0) {
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
    looks_left = LOOKS_MAX;
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
