/*
 * paths.c - remote and local paths of nacre-sftp, and what patterns stand for.
 */
#include "app.h"

#include "nacre/sftp_batch.h"

#include <glob.h>
#include <libgen.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *joined(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    if (n == 0) {
        return keep(strdup(name));
    }
    return text_of("%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

char *absolute(const app *a, const char *path)
{
    return *path == '/' ? keep(strdup(path)) : joined(a->pwd, path);
}

char *absolute_pattern(const app *a, const char *pattern)
{
    if (*pattern == '/') {
        return keep(strdup(pattern));
    }
    char *here = keep(words_pattern(a->pwd));
    char *out = joined(here, pattern);
    free(here);
    return out;
}

char *last_name(const char *path)
{
    char *copy = keep(strdup(path));
    char *name = keep(strdup(basename(copy))); /* libgen.h's, which may write into its argument */
    free(copy);
    return name;
}

static bool has_type(const nacre_sftp_attrs *attrs, uint32_t type)
{
    return (attrs->flags & NACRE_SFTP_ATTR_PERMISSIONS) &&
           (attrs->permissions & NACRE_SFTP_S_IFMT) == type;
}

bool is_dir(const nacre_sftp_attrs *attrs)
{
    return has_type(attrs, NACRE_SFTP_S_IFDIR);
}

bool is_link(const nacre_sftp_attrs *attrs)
{
    return has_type(attrs, NACRE_SFTP_S_IFLNK);
}

bool remote_is_dir(app *a, const char *path)
{
    nacre_sftp_attrs attrs;
    return nacre_sftp_stat(a->s, path, &attrs) == NACRE_OK && is_dir(&attrs);
}

bool local_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *tilde(const char *path)
{
    if (*path != '~') {
        return keep(strdup(path));
    }
    size_t n = strcspn(path + 1, "/");
    const char *home = n == 0 ? getenv("HOME") : NULL;
    if (!home) {
        char *name = keep(strndup(path + 1, n));
        struct passwd *pw = n == 0 ? getpwuid(getuid()) : getpwnam(name);
        free(name);
        home = pw ? pw->pw_dir : NULL;
    }
    return home ? text_of("%s%s", home, path + 1 + n) : keep(strdup(path));
}

/* ---- lists -------------------------------------------------------------------------------------------- */

void matches_add(matches *m, char *taken)
{
    m->at = keep(realloc(m->at, (m->count + 1) * sizeof(*m->at)));
    memset(&m->at[m->count], 0, sizeof(*m->at));
    m->at[m->count++].path = taken;
}

void matches_free(matches *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free(m->at[i].path);
    }
    free(m->at);
    memset(m, 0, sizeof(*m));
}

/* ---- remote ------------------------------------------------------------------------------------------- */

/* Not told by a listing: links, and what was never listed. */
static bool is_open(const match *m)
{
    return !(m->attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS) || is_link(&m->attrs);
}

/* A link that leads nowhere keeps its own attributes. */
static void settle(match *m, const nacre_sftp_result *itself, const nacre_sftp_result *target)
{
    m->there = itself->status == NACRE_OK;
    if (target->status == NACRE_OK) {
        m->attrs = target->attrs;
        m->dir = is_dir(&target->attrs);
    } else if (itself->status == NACRE_OK) {
        m->attrs = itself->attrs;
    }
}

/* All asked for together. */
static int look_at(app *a, matches *m, size_t from)
{
    nacre_sftp_batch *b = NULL;
    size_t n = 0;
    int rc = nacre_sftp_batch_new(&b, a->s);
    for (size_t i = from; i < m->count && rc == NACRE_OK; i++) {
        m->at[i].dir = is_dir(&m->at[i].attrs);
        if (is_open(&m->at[i])) {
            rc = nacre_sftp_batch_lstat(b, m->at[i].path, NULL);
            rc = rc == NACRE_OK ? nacre_sftp_batch_stat(b, m->at[i].path, NULL) : rc;
        }
    }
    rc = rc == NACRE_OK ? nacre_sftp_batch_run(b, NULL) : rc;
    for (size_t i = from; i < m->count && rc == NACRE_OK; i++) {
        if (is_open(&m->at[i])) {
            settle(&m->at[i], nacre_sftp_batch_result(b, 2 * n),
                   nacre_sftp_batch_result(b, 2 * n + 1));
            n++;
        }
    }
    nacre_sftp_batch_free(b);
    return rc == NACRE_OK ? 0 : complain_sftp(a);
}

/* What cannot be read has no match; a broken session is a failure. */
static int no_match(app *a)
{
    return nacre_sftp_error(a->s)->status == NACRE_SFTP_STATUS ? 0 : complain_sftp(a);
}

/* The names in one directory. One that is none is told, and the command fails in the end. */
static int match_in(app *a, const char *dir, const char *part, matches *out)
{
    nacre_sftp_dir *d;
    nacre_sftp_name e;
    if (nacre_sftp_opendir(a->s, dir, &d) != NACRE_OK) {
        return no_match(a);
    }
    int rc;
    while ((rc = nacre_sftp_readdir(d, &e)) == NACRE_OK) {
        const char *name = (const char *)e.name.p;
        if (nacre_sftp_name_is_plain(e.name)) {
            if (words_match(part, name)) {
                matches_add(out, joined(dir, name));
                out->at[out->count - 1].attrs = e.attrs;
                out->at[out->count - 1].attrs.extended = (nacre_span){NULL, 0};
            }
        } else if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            complain("Server sent suspect path \"%s\" during readdir of \"%s\"", shown(name),
                     shown(dir));
            out->refused++;
        }
    }
    int told = rc == NACRE_END ? 0 : no_match(a);
    nacre_sftp_closedir(d);
    return told;
}

/* The library's patterns, for all but a last part with magic in it. */
static int match_whole(app *a, const char *pattern, matches *out)
{
    nacre_sftp_list list;
    if (nacre_sftp_glob(a->s, pattern, &list) != NACRE_OK) {
        return no_match(a);
    }
    for (size_t i = 0; i < list.count; i++) {
        const nacre_span *name = &list.entries[i].name;
        matches_add(out, keep(strndup((const char *)name->p, name->n)));
    }
    nacre_sftp_list_free(&list);
    return 0;
}

/* In every directory that the front of the pattern means. */
static int match_last(app *a, const char *pattern, const char *last, matches *out)
{
    matches dirs = {0};
    int rc = 0;
    char *front = keep(strndup(pattern, (size_t)(last - pattern)));
    if (strpbrk(front, "*?[")) {
        rc = match_whole(a, front, &dirs);
    } else {
        matches_add(&dirs, keep(words_plain(front)));
    }
    for (size_t i = 0; i < dirs.count && rc == 0 && !a->interrupted; i++) {
        rc = match_in(a, dirs.at[i].path, last, out);
    }
    matches_free(&dirs);
    free(front);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const match *)a)->path, ((const match *)b)->path);
}

/* The same for what is no pattern: only the looking tells whether it is there. */
static int match_plain(app *a, const char *pattern, matches *out)
{
    size_t at = out->count;
    matches_add(out, keep(words_plain(pattern)));
    int rc = look_at(a, out, at);
    if (rc == 0 && !out->at[at].there) {
        free(out->at[at].path);
        out->count = at;
    }
    return rc;
}

int remote_matches(app *a, const char *pattern, bool look, matches *out)
{
    size_t from = out->count;
    const char *last = strrchr(pattern, '/') + 1;
    if (look && *last && !strpbrk(pattern, "*?[") && !strstr(pattern, "//")) {
        return match_plain(a, pattern, out);
    }
    int rc = *last && strpbrk(last, "*?[") ? match_last(a, pattern, last, out)
                                           : match_whole(a, pattern, out);
    if (rc == 0 && out->count > from + 1) {
        qsort(out->at + from, out->count - from, sizeof(*out->at), by_path);
    }
    return rc == 0 && look && out->count > from ? look_at(a, out, from) : rc;
}

/* ---- here --------------------------------------------------------------------------------------------- */

int local_matches(const word *w, matches *out)
{
    glob_t g;
    int rc = w->magic ? glob(w->pattern, 0, NULL, &g) : GLOB_NOMATCH;
    if (rc == GLOB_NOMATCH) {
        matches_add(out, keep(strdup(w->text)));
    } else if (rc != 0) {
        return complain("File \"%s\" not found.", shown(w->text));
    } else {
        for (size_t i = 0; i < g.gl_pathc; i++) {
            matches_add(out, keep(strdup(g.gl_pathv[i])));
        }
        globfree(&g);
    }
    for (size_t i = 0; i < out->count; i++) {
        out->at[i].dir = local_is_dir(out->at[i].path);
    }
    return 0;
}
