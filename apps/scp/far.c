/*
 * far.c - the other machines: connections by the options of the command line, and the paths there.
 */
#include "scp.h"

#include "../sftp/words.h"

#include <stdlib.h>
#include <string.h>

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

static int match(far *f, const char *pattern, far_names *out)
{
    nacre_sftp_list list;
    int rc = nacre_sftp_glob(f->s, pattern, &list);
    if (rc == NACRE_OK) {
        for (size_t i = 0; i < list.count; i++) {
            add_name(out, (const char *)list.entries[i].name.p, list.entries[i].name.n);
        }
        nacre_sftp_list_free(&list);
    }
    return rc;
}

bool far_sources(scp *a, far *f, const char *path, far_names *out)
{
    nacre_sftp_attrs attrs;
    char *pattern = far_path(a, f, path);
    memset(out, 0, sizeof(*out));
    if (!pattern) {
        return false;
    }
    int rc = strpbrk(pattern, "*?[\\") ? match(f, pattern, out) : NACRE_OK;
    if (rc == NACRE_OK && out->count == 0) {
        /* Itself, when there is such a thing: also a name that looks like a pattern. */
        rc = nacre_sftp_stat(f->s, pattern, &attrs);
        if (rc == NACRE_OK) {
            add_name(out, pattern, strlen(pattern));
        }
    }
    if (rc != NACRE_OK) {
        fail_sftp(a, f->s, path);
    }
    free(pattern);
    return rc == NACRE_OK;
}
