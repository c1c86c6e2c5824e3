/*
 * paths.c - remote and local paths of nacre-sftp, and the names that a pattern stands for.
 */
#include "app.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
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

bool is_file(const nacre_sftp_attrs *attrs)
{
    return has_type(attrs, NACRE_SFTP_S_IFREG);
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

/* ---- lists of names ----------------------------------------------------------------------------------- */

void names_add(names *n, char *taken)
{
    n->at = keep(realloc(n->at, (n->count + 1) * sizeof(*n->at)));
    n->at[n->count++] = taken;
}

void names_free(names *n)
{
    for (size_t i = 0; i < n->count; i++) {
        free(n->at[i]);
    }
    free(n->at);
    memset(n, 0, sizeof(*n));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void names_sort(names *n)
{
    if (n->count > 1) {
        qsort(n->at, n->count, sizeof(*n->at), by_name);
    }
}

/* ---- remote patterns ---------------------------------------------------------------------------------- */

enum { MAX_MATCHES = 1024 * 1024 };

static bool component_is_magic(const char *p)
{
    for (; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
        } else if (*p == '*' || *p == '?' || *p == '[') {
            return true;
        }
    }
    return false;
}

/* Removes the backslashes of a component that matches only itself. */
static char *plain_text(const char *p)
{
    char *out = keep(malloc(strlen(p) + 1));
    char *q = out;
    for (; *p; p++) {
        p += *p == '\\' && p[1];
        *q++ = *p;
    }
    *q = '\0';
    return out;
}

static int match_in(app *a, const char *dir, const char *component, bool dirs_only, names *out)
{
    nacre_sftp_list list;
    if (nacre_sftp_listdir(a->s, *dir ? dir : ".", &list) != NACRE_OK) {
        /* What cannot be read has no match; a broken session is a failure. */
        return nacre_sftp_error(a->s)->status == NACRE_SFTP_STATUS ? 0 : complain_sftp(a);
    }
    for (size_t i = 0; i < list.count && out->count < MAX_MATCHES; i++) {
        const nacre_sftp_name *e = &list.entries[i];
        const char *name = (const char *)e->name.p;
        bool leads_on = !dirs_only || is_dir(&e->attrs) || !is_file(&e->attrs);
        if (leads_on && nacre_sftp_name_is_plain(e->name) && words_match(component, name)) {
            names_add(out, joined(dir, name));
        }
    }
    nacre_sftp_list_free(&list);
    return 0;
}

/* One component further, for every path found so far. */
static int advance(app *a, names *found, const char *component, bool last)
{
    names next = {0};
    int rc = 0;
    bool magic = component_is_magic(component);
    for (size_t i = 0; i < found->count && rc == 0; i++) {
        if (magic) {
            rc = match_in(a, found->at[i], component, !last, &next);
        } else {
            char *text = plain_text(component);
            names_add(&next, joined(found->at[i], text));
            free(text);
        }
    }
    names_free(found);
    *found = next;
    return rc;
}

/* Behind the last pattern plain components may name nothing: drop those. */
static void drop_missing(app *a, names *found)
{
    size_t kept = 0;
    for (size_t i = 0; i < found->count; i++) {
        bool exists = false;
        if (nacre_sftp_exists(a->s, found->at[i], &exists) == NACRE_OK && exists) {
            found->at[kept++] = found->at[i];
        } else {
            free(found->at[i]);
        }
    }
    found->count = kept;
}

int remote_glob(app *a, const word *w, names *out)
{
    memset(out, 0, sizeof(*out));
    if (!w->magic) {
        names_add(out, absolute(a, w->text));
        return 0;
    }
    char *pattern = keep(strdup(w->pattern));
    char *rest = pattern;
    bool last_magic = true;
    int rc = 0;
    names_add(out, keep(strdup(*pattern == '/' ? "/" : a->pwd)));
    while (rc == 0 && rest) {
        char *component = rest;
        rest = strchr(component, '/');
        if (rest) {
            *rest++ = '\0';
        }
        if (*component) {
            last_magic = component_is_magic(component);
            rc = advance(a, out, component, !rest || !*rest);
        }
    }
    free(pattern);
    if (rc == 0 && !last_magic) {
        drop_missing(a, out);
    }
    if (rc == 0 && out->count == 0) {
        rc = complain("%s: nothing matches", shown(w->text));
    }
    names_sort(out);
    if (rc != 0) {
        names_free(out);
    }
    return rc;
}

int local_glob(const word *w, names *out)
{
    glob_t g;
    memset(out, 0, sizeof(*out));
    if (!w->magic) {
        names_add(out, keep(strdup(w->text)));
        return 0;
    }
    int rc = glob(w->pattern, 0, NULL, &g);
    if (rc == GLOB_NOMATCH) {
        return complain("local %s: nothing matches", shown(w->text));
    }
    if (rc != 0) {
        return complain("local %s: %s", shown(w->text), strerror(errno));
    }
    for (size_t i = 0; i < g.gl_pathc; i++) {
        names_add(out, keep(strdup(g.gl_pathv[i])));
    }
    globfree(&g);
    return 0;
}
