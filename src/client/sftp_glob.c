/*
 * sftp_glob.c - patterns on the server: each part of the path is matched against the names of one
 * directory. A part without magic is taken as it is, without asking; what ends in such parts is looked for
 * in the end, all of it together.
 */
#include "client/sftp_session.h"

#include "nacre/sftp_batch.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { MATCHES_MOST = 1024 * 1024, PARTS_MOST = 1024 };

typedef struct paths {
    nacre_sftp_list list;
    size_t room;
} paths;

static int add(paths *p, const char *dir, nacre_span name, const nacre_sftp_attrs *attrs)
{
    const nacre_allocator *a = p->list.allocator;
    if (p->list.count == MATCHES_MOST) {
        return NACRE_LIMIT;
    }
    if (p->list.count == p->room) {
        size_t room = p->room ? 2 * p->room : 16;
        nacre_sftp_name *more = nc_resize(a, p->list.entries, room * sizeof(*more));
        if (!more) {
            return NACRE_NO_MEMORY;
        }
        p->list.entries = more;
        p->room = room;
    }
    size_t n = strlen(dir);
    bool slash = n > 0 && dir[n - 1] != '/';
    uint8_t *text = nc_alloc(a, n + name.n + 3);
    if (!text) {
        return NACRE_NO_MEMORY;
    }
    memcpy(text, dir, n);
    if (slash) {
        text[n++] = '/';
    }
    memcpy(text + n, name.p, name.n);
    text[n + name.n] = 0;
    nacre_sftp_name *to = &p->list.entries[p->list.count++];
    memset(to, 0, sizeof(*to));
    text[n + name.n + 1] = 0; /* room for the slash of a directory */
    to->name = nc_span(text, n + name.n);
    to->longname = nc_span(text + n + name.n, 0);
    if (attrs) {
        to->attrs = *attrs;
        to->attrs.flags &= ~NACRE_SFTP_ATTR_EXTENDED;
        to->attrs.extended_count = 0;
        to->attrs.extended = nc_span(NULL, 0);
    }
    return NACRE_OK;
}

static void clear(paths *p)
{
    const nacre_allocator *a = p->list.allocator;
    nacre_sftp_list_free(&p->list);
    memset(p, 0, sizeof(*p));
    p->list.allocator = a;
}

static const char *text_of(const paths *p, size_t i)
{
    return (const char *)p->list.entries[i].name.p;
}

/* ---- one part of the pattern -------------------------------------------------------------------------- */

static bool has_magic(const char *part)
{
    for (; *part; part++) {
        if (*part == '\\' && part[1]) {
            part++;
        } else if (strchr("*?[", *part)) {
            return true;
        }
    }
    return false;
}

static void unescape(char *part)
{
    char *to = part;
    for (; *part; part++) {
        if (*part == '\\' && part[1]) {
            part++;
        }
        *to++ = *part;
    }
    *to = '\0';
}

static bool may_lead_on(const nacre_sftp_attrs *a)
{
    uint32_t kind = a->flags & NACRE_SFTP_ATTR_PERMISSIONS ? a->permissions & NACRE_SFTP_S_IFMT : 0;
    return kind == 0 || kind == NACRE_SFTP_S_IFDIR || kind == NACRE_SFTP_S_IFLNK;
}

/* The names of one directory that match; what cannot be read matches nothing. */
static int match_in(nacre_sftp *s, const char *dir, const char *part, bool more, paths *out)
{
    nacre_sftp_dir *d = NULL;
    nacre_sftp_name e;
    int rc = nacre_sftp_opendir(s, *dir ? dir : ".", &d);
    while (rc == NACRE_OK && (rc = nacre_sftp_readdir(d, &e)) == NACRE_OK) {
        if (!nacre_sftp_name_is_plain(e.name) || (more && !may_lead_on(&e.attrs)) ||
            fnmatch(part, (const char *)e.name.p, FNM_PERIOD) != 0) {
            continue;
        }
        int added = add(out, dir, e.name, &e.attrs);
        if (added != NACRE_OK) {
            rc = nc_sftp_fail(s, added, "too many matches in %s", *dir ? dir : ".");
        }
    }
    nacre_sftp_closedir(d);
    return rc == NACRE_END || rc == NACRE_SFTP_STATUS ? NACRE_OK : rc;
}

/* out: every path of in, one part longer. */
static int step(nacre_sftp *s, const paths *in, char *part, bool more, paths *out)
{
    int rc = NACRE_OK;
    bool magic = has_magic(part);
    if (!magic) {
        unescape(part);
    }
    for (size_t i = 0; i < in->list.count && rc == NACRE_OK; i++) {
        const char *dir = text_of(in, i);
        if (magic) {
            rc = match_in(s, dir, part, more, out);
        } else if (add(out, dir, nc_span_cstr(part), NULL) != NACRE_OK) {
            rc = nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for what matches");
        }
    }
    return rc;
}

/* ---- what is there ------------------------------------------------------------------------------------ */

static void remove_missing(paths *p, const nacre_sftp_batch *b, bool dirs)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->list.count; i++) {
        const nacre_sftp_result *r = nacre_sftp_batch_result(b, i);
        nacre_sftp_name *e = &p->list.entries[i];
        bool is_dir = r->status == NACRE_OK && (r->attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS) &&
                      (r->attrs.permissions & NACRE_SFTP_S_IFMT) == NACRE_SFTP_S_IFDIR;
        if (r->status != NACRE_OK || (dirs && !is_dir)) {
            nc_free(p->list.allocator, (void *)(uintptr_t)e->name.p);
            continue;
        }
        if (dirs && e->name.p[e->name.n - 1] != '/') {
            ((uint8_t *)(uintptr_t)e->name.p)[e->name.n++] = '/';
        }
        e->attrs = r->attrs;
        e->longname = nc_span(e->name.p + e->name.n, 0);
        p->list.entries[kept++] = *e;
    }
    p->list.count = kept;
}

/* Of paths that end in parts that were not matched against a listing; dirs: a slash stood behind. */
static int check_there(nacre_sftp *s, paths *p, bool dirs)
{
    nacre_sftp_batch *b = NULL;
    int rc = p->list.count ? nacre_sftp_batch_new(&b, s) : NACRE_OK;
    for (size_t i = 0; i < p->list.count && rc == NACRE_OK; i++) {
        rc = dirs ? nacre_sftp_batch_stat(b, text_of(p, i), NULL)
                  : nacre_sftp_batch_lstat(b, text_of(p, i), NULL);
    }
    if (b && rc == NACRE_OK) {
        rc = nacre_sftp_batch_run(b, NULL);
        rc = rc == NACRE_SFTP_STATUS || rc == NACRE_SOME_FAILED ? NACRE_OK : rc;
    }
    if (b && rc == NACRE_OK) {
        remove_missing(p, b, dirs);
    }
    nacre_sftp_batch_free(b);
    return rc;
}

static int compare(const void *a, const void *b)
{
    const nacre_sftp_name *x = a;
    const nacre_sftp_name *y = b;
    return strcmp((const char *)x->name.p, (const char *)y->name.p);
}

/* ---- the pattern -------------------------------------------------------------------------------------- */

/* Cuts the next part off; NULL: there is none. */
static char *next_part(char **rest)
{
    char *part = *rest;
    while (*part == '/') {
        part++;
    }
    if (!*part) {
        *rest = part;
        return NULL;
    }
    char *end = part;
    while (*end && *end != '/') {
        end += *end == '\\' && end[1] && end[1] != '/' ? 2 : 1;
    }
    *rest = end;
    if (*end) {
        *end = '\0';
        *rest = end + 1;
    }
    return part;
}

static int expand(nacre_sftp *s, char *pattern, bool dirs, paths *now)
{
    paths then = {.list = {.allocator = s->alloc}};
    bool listed = false;
    char *rest = pattern;
    int rc = add(now, "", nc_span_cstr(*pattern == '/' ? "/" : ""), NULL);
    rc = rc == NACRE_OK ? rc : nc_sftp_fail(s, rc, "no memory for what matches");
    char *part = next_part(&rest);
    for (int n = 0; part && rc == NACRE_OK; n++) {
        char *after = next_part(&rest);
        listed = has_magic(part);
        rc = n == PARTS_MOST ? nc_sftp_fail(s, NACRE_TOO_LARGE, "the pattern has too many parts")
                             : step(s, now, part, after || dirs, &then);
        paths old = *now;
        *now = then;
        then = old;
        clear(&then);
        part = after;
    }
    clear(&then);
    return rc == NACRE_OK && (!listed || dirs) ? check_there(s, now, dirs) : rc;
}

int nacre_sftp_glob(nacre_sftp *s, const char *pattern, nacre_sftp_list *out)
{
    paths found = {.list = {.allocator = s->alloc}};
    memset(out, 0, sizeof(*out));
    int rc = nc_sftp_begin(s);
    if (rc != NACRE_OK) {
        return rc;
    }
    size_t n = strlen(pattern);
    if (n == 0) {
        return nc_sftp_fail(s, NACRE_INVALID_ARGUMENT, "the pattern is empty");
    }
    char *copy = nc_strdup(s->alloc, pattern);
    if (!copy) {
        return nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for a pattern");
    }
    rc = expand(s, copy, pattern[n - 1] == '/', &found);
    nc_free(s->alloc, copy);
    if (rc != NACRE_OK) {
        clear(&found);
        return rc;
    }
    if (found.list.count > 1) {
        qsort(found.list.entries, found.list.count, sizeof(*found.list.entries), compare);
    }
    nc_error_clear(&s->error);
    s->status = NACRE_FX_OK;
    *out = found.list;
    return NACRE_OK;
}
