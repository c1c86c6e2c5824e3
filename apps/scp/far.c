/*
 * far.c - the other machines: connections by the options of the command line, and the paths there.
 */
#include "scp.h"

#include "../sftp/words.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- connections ---- */

void far_options(const scp *a, const place *p, connect_options *o)
{
    const scp_args *g = &a->args;
    memset(o, 0, sizeof(*o));
    o->name = "nacre-scp";
    o->program = g->program;
    o->ssh_options = (const char *const *)g->ssh;
    o->ssh_option_count = g->ssh_count;
    o->server = g->server;
    o->user = p->user;
    o->host = p->host;
    o->port = p->port ? p->port : g->port;
    o->config_file = g->config_file;
    o->o = (const char *const *)g->o;
    o->o_count = g->o_count;
    o->batch = g->batch;
    o->verbose = g->verbose;
    o->max_data = g->buffer;
}

bool far_open(scp *a, far *f, const place *p, nacre_loop *loop)
{
    connect_options o;
    memset(f, 0, sizeof(*f));
    far_options(a, p, &o);
    o.loop = loop;
    /* -D is one path here, where nacre-sftp takes a command line. */
    char *server = o.server ? keep(words_quote(o.server)) : NULL;
    o.server = server;
    f->s = connection_open(&f->link, &o);
    free(server);
    if (!f->s) {
        a->status = SCP_NO_CONNECTION; /* it was told why */
        return false;
    }
    f->slot = a->active[0] ? 1 : 0;
    a->active[f->slot] = f->s;
    if (a->interrupted) {
        nacre_sftp_cancel(f->s); /* the signal came before there was something to cancel */
    }
    return true;
}

void far_close(scp *a, far *f)
{
    if (f->s) {
        a->active[f->slot] = NULL;
        connection_close(f->link);
        memset(f, 0, sizeof(*f));
    }
}

/* ---- paths ---- */

char *far_path(scp *a, far *f, const char *path)
{
    const char *plain = name_from_home(path);
    char *expanded = NULL;
    if (plain) {
        return keep(strdup(plain));
    }
    int rc = nacre_sftp_expand(f->s, path, &expanded);
    if (rc == NACRE_OK) {
        char *own = keep(strdup(expanded));
        nacre_sftp_string_free(f->s, expanded);
        return own;
    }
    if (rc == NACRE_UNSUPPORTED) {
        fail_badly(a, "%s: the server's expand-path extension is required for ~user paths",
                   shown(path));
    } else {
        fail_sftp(a, f->s, path);
    }
    return NULL;
}

static void add_name(far_names *n, const char *text, size_t length)
{
    n->at = keep(realloc(n->at, (n->count + 1) * sizeof(*n->at)));
    n->at[n->count++] = keep(strndup(text, length));
}

void far_names_free(far_names *n)
{
    for (size_t i = 0; i < n->count; i++) {
        free(n->at[i]);
    }
    free(n->at);
    memset(n, 0, sizeof(*n));
}

/*
 * A fifo or a device is not opened at all: that could take for ever. Otherwise it was told. attrs may be the
 * link's own.
 */
static bool is_source(scp *a, far *f, const char *path, nacre_sftp_attrs attrs)
{
    uint32_t type = attrs.permissions & S_IFMT;
    if (!(attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS) || type == S_IFLNK) {
        if (nacre_sftp_stat(f->s, path, &attrs) != NACRE_OK) {
            fail_sftp(a, f->s, path);
            return false;
        }
        type = attrs.permissions & S_IFMT;
    }
    if (!(attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS) || type == S_IFREG ||
        (type == S_IFDIR && a->args.recursive)) {
        return true;
    }
    fail(a, "%s: not a regular file", shown(path));
    return false;
}

static bool is_dots(nacre_span name)
{
    return (name.n == 1 && name.p[0] == '.') ||
           (name.n == 2 && name.p[0] == '.' && name.p[1] == '.');
}

/*
 * What matches in one directory. The library's own matching passes over names that could be none; here a
 * server that lists such things has to be told of.
 */
static int match_in(scp *a, far *f, const char *dir, const char *pattern, far_names *out, bool *any)
{
    nacre_sftp_list list;
    int rc = nacre_sftp_listdir_sorted(f->s, *dir ? dir : ".", &list);
    for (size_t i = 0; rc == NACRE_OK && i < list.count; i++) {
        const nacre_sftp_name *entry = &list.entries[i];
        const char *name = (const char *)entry->name.p;
        if (is_dots(entry->name)) {
            continue;
        }
        if (!nacre_sftp_name_is_plain(entry->name)) {
            char text[512];
            (void)nacre_escape(text, sizeof(text), entry->name);
            fail(a, "%s: the server lists \"%s\", which is no name", shown(*dir ? dir : "."), text);
            continue;
        }
        if (words_match(pattern, name)) {
            char *path = keep(name_in(dir, name));
            *any = true;
            if (is_source(a, f, path, entry->attrs)) {
                add_name(out, path, strlen(path));
            }
            free(path);
        }
    }
    if (rc == NACRE_OK) {
        nacre_sftp_list_free(&list);
    }
    return rc;
}

static bool has_magic(const char *pattern)
{
    return strpbrk(pattern, "*?[\\") != NULL;
}

/* The directories that the front of the pattern means, and in each of them the rest of it. */
static int match(scp *a, far *f, const char *pattern, far_names *out, bool *any)
{
    const char *slash = strrchr(pattern, '/');
    const char *last = slash ? slash + 1 : pattern;
    size_t n = (size_t)(last - pattern); /* with the slash: "/" stays what it is */
    nacre_sftp_list list;
    char *front = keep(strndup(pattern, n));
    int rc = NACRE_OK;
    if (!*last || !has_magic(last)) {
        rc = nacre_sftp_glob(f->s, pattern, &list);
        *any = rc == NACRE_OK && list.count > 0;
        for (size_t i = 0; rc == NACRE_OK && i < list.count; i++) {
            const nacre_sftp_name *entry = &list.entries[i];
            if (is_source(a, f, (const char *)entry->name.p, entry->attrs)) {
                add_name(out, (const char *)entry->name.p, entry->name.n);
            }
        }
    } else if (!has_magic(front)) {
        rc = match_in(a, f, front, last, out, any);
        free(front);
        return rc;
    } else {
        front[n - 1] = '\0';
        rc = nacre_sftp_glob(f->s, front, &list);
        for (size_t i = 0; rc == NACRE_OK && i < list.count; i++) {
            /* A file among the directories matches nothing. */
            (void)match_in(a, f, (const char *)list.entries[i].name.p, last, out, any);
        }
    }
    if (rc == NACRE_OK) {
        nacre_sftp_list_free(&list);
    }
    free(front);
    return rc;
}

bool far_sources(scp *a, far *f, const char *path, far_names *out)
{
    nacre_sftp_attrs attrs;
    bool any = false;
    char *pattern = far_path(a, f, path);
    memset(out, 0, sizeof(*out));
    if (!pattern) {
        return false;
    }
    int rc = has_magic(pattern) ? match(a, f, pattern, out, &any) : NACRE_OK;
    if (rc == NACRE_OK && !any) {
        /* Itself, when there is such a thing: also a name that looks like a pattern. */
        rc = nacre_sftp_stat(f->s, pattern, &attrs);
        if (rc == NACRE_OK && is_source(a, f, pattern, attrs)) {
            add_name(out, pattern, strlen(pattern));
        }
    }
    if (rc != NACRE_OK) {
        fail_sftp(a, f->s, path);
    }
    free(pattern);
    return rc == NACRE_OK;
}
