/*
 * sftp_walk.c - directories in sorted order, and walks through trees of them. Links are not followed, so
 * that a walk ends where the tree does.
 */
#include "client/sftp_session.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* A server can make up directories without end: no path that a system takes is deeper. */
    MAX_DEPTH = 4096
};

static int by_name(const void *a, const void *b)
{
    nacre_span x = ((const nacre_sftp_name *)a)->name;
    nacre_span y = ((const nacre_sftp_name *)b)->name;
    int order = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);
    return order != 0 ? order : (x.n > y.n) - (x.n < y.n);
}

int nacre_sftp_listdir_sorted(nacre_sftp *s, const char *path, nacre_sftp_list *out)
{
    int rc = nacre_sftp_listdir(s, path, out);
    if (rc == NACRE_OK && out->count > 1) {
        qsort(out->entries, out->count, sizeof(*out->entries), by_name);
    }
    return rc;
}

/* ---- walking ------------------------------------------------------------------------------------------ */

typedef struct level {
    struct level *up;
    nacre_sftp_list list;
    size_t next;
    size_t path_len; /* of the directory */
} level;

typedef struct walk {
    nacre_sftp *s;
    nacre_sftp_walk_fn file, dir, other;
    void *user;
    bool recurse;
    level *top;
    size_t depth;
    char *path; /* of the entry at hand; room grows */
    size_t room;
} walk;

/* Lists the directory whose path is in w->path. */
static int go_down(walk *w)
{
    if (w->depth == MAX_DEPTH) {
        return nc_sftp_fail(w->s, NACRE_LIMIT, "%s: directories too deep",
                            NC_ESC(nc_span_cstr(w->path)));
    }
    level *l = nc_zalloc(w->s->alloc, sizeof(*l));
    int rc = l ? nacre_sftp_listdir_sorted(w->s, w->path, &l->list)
               : nc_sftp_fail(w->s, NACRE_NO_MEMORY, "no memory to walk a directory");
    if (rc != NACRE_OK) {
        nc_free(w->s->alloc, l);
        return rc;
    }
    l->path_len = strlen(w->path);
    l->up = w->top;
    w->top = l;
    w->depth++;
    return NACRE_OK;
}

static void go_up(walk *w)
{
    level *l = w->top;
    w->top = l->up;
    w->depth--;
    nacre_sftp_list_free(&l->list);
    nc_free(w->s->alloc, l);
}

/* w->path becomes directory + name. */
static int name_entry(walk *w, const level *l, nacre_span name)
{
    size_t need = l->path_len + name.n + 2;
    if (!nacre_sftp_name_is_plain(name)) {
        w->path[l->path_len] = '\0';
        return nc_sftp_fail(w->s, NACRE_SFTP_PROTOCOL,
                            "%s: the server lists a name that is none: '%s'",
                            NC_ESC(nc_span_cstr(w->path)), NC_ESC(name));
    }
    if (need > w->room) {
        char *p = nc_resize(w->s->alloc, w->path, need + 256);
        if (!p) {
            return nc_sftp_fail(w->s, NACRE_NO_MEMORY, "no memory for a path");
        }
        w->path = p;
        w->room = need + 256;
    }
    size_t at = l->path_len;
    if (at > 0 && w->path[at - 1] != '/') {
        w->path[at++] = '/';
    }
    memcpy(w->path + at, name.p, name.n);
    w->path[at + name.n] = '\0';
    return NACRE_OK;
}

static int tell(walk *w, nacre_sftp_walk_fn fn, const nacre_sftp_attrs *a)
{
    if (fn && fn(w->user, w->path, a) != 0) {
        return nc_sftp_fail(w->s, NACRE_CANCELLED, "%s: the walk was ended",
                            NC_ESC(nc_span_cstr(w->path)));
    }
    return NACRE_OK;
}

static int visit(walk *w, nacre_sftp_attrs a)
{
    int rc = NACRE_OK;
    if (!(a.flags & NACRE_SFTP_ATTR_PERMISSIONS) || !(a.permissions & NACRE_SFTP_S_IFMT)) {
        rc = nacre_sftp_lstat(w->s, w->path, &a); /* a listing without types */
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    uint32_t type = a.flags & NACRE_SFTP_ATTR_PERMISSIONS ? a.permissions & NACRE_SFTP_S_IFMT : 0;
    if (type == NACRE_SFTP_S_IFREG) {
        return tell(w, w->file, &a);
    }
    if (type != NACRE_SFTP_S_IFDIR) {
        return tell(w, w->other, &a);
    }
    rc = tell(w, w->dir, &a);
    return rc == NACRE_OK && w->recurse ? go_down(w) : rc;
}

int nacre_sftp_walktree(nacre_sftp *s, const char *path, nacre_sftp_walk_fn file,
                        nacre_sftp_walk_fn dir, nacre_sftp_walk_fn other, void *user, bool recurse)
{
    walk w = {.s = s, .file = file, .dir = dir, .other = other, .user = user, .recurse = recurse};
    w.path = nc_strdup(s->alloc, path);
    w.room = strlen(path) + 1;
    int rc = w.path ? go_down(&w) : nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for a path");
    while (rc == NACRE_OK && w.top) {
        level *l = w.top;
        if (l->next == l->list.count) {
            go_up(&w);
            continue;
        }
        const nacre_sftp_name *e = &l->list.entries[l->next++];
        rc = name_entry(&w, l, e->name);
        rc = rc == NACRE_OK ? visit(&w, e->attrs) : rc;
    }
    while (w.top) {
        go_up(&w);
    }
    nc_free(s->alloc, w.path);
    return rc;
}
