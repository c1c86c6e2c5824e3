/*
 * mux_forward.c - forwardings that a master's client asks for, and has cancelled (PROTOCOL.mux 6 and 7). They are the
 * connection's, and stay when the client goes.
 */
#include "client/forward.h"
#include "client/mux_master.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct wanted {
    nacre_forward_options o;
    char *listen, *connect; /* owned */
} wanted;

static void wanted_clear(nc_mux_conn *x, wanted *w)
{
    nc_free(x->m->alloc, w->listen);
    nc_free(x->m->alloc, w->connect);
}

static void set_end(nacre_forward_end *e, const char *text, uint32_t port)
{
    if (port == NC_CTL_PORT_PATH) {
        e->path = text;
    } else {
        e->host = *text ? text : NULL;
        e->port = (uint16_t)port;
    }
}

/* What OpenSSH writes for those whose target comes by SOCKS is a host that does not count, and port 0. */
static bool set_kind(nacre_forward_options *o, uint32_t kind, uint32_t connect_port)
{
    switch (kind) {
    case NC_CTL_LOCAL:
        o->kind = NACRE_FORWARD_LOCAL;
        return connect_port != 0;
    case NC_CTL_REMOTE:
        o->kind = connect_port ? NACRE_FORWARD_REMOTE : NACRE_FORWARD_REMOTE_DYNAMIC;
        return true;
    case NC_CTL_DYNAMIC:
        o->kind = NACRE_FORWARD_DYNAMIC;
        return true;
    default:
        return false;
    }
}

/* NACRE_INVALID_ARGUMENT: it makes no sense; NACRE_NO_MEMORY. */
static int read_wanted(nc_mux_conn *x, wanted *w)
{
    const nc_ctl_msg *m = &x->msg;
    memset(w, 0, sizeof(*w));
    nacre_forward_options_init(&w->o);
    w->listen = nc_strndup(x->m->alloc, m->u.forward.listen_host);
    w->connect = nc_strndup(x->m->alloc, m->u.forward.connect_host);
    if (!w->listen || !w->connect) {
        return NACRE_NO_MEMORY;
    }
    if (!set_kind(&w->o, m->u.forward.kind, m->u.forward.connect_port)) {
        return NACRE_INVALID_ARGUMENT;
    }
    set_end(&w->o.listen, w->listen, m->u.forward.listen_port);
    bool target = w->o.kind == NACRE_FORWARD_LOCAL || w->o.kind == NACRE_FORWARD_REMOTE;
    if (target) {
        set_end(&w->o.connect, w->connect, m->u.forward.connect_port);
    }
    bool nowhere = target && !w->o.connect.host && !(w->o.connect.path && *w->o.connect.path);
    bool no_name = w->o.listen.path && !*w->o.listen.path;
    return nowhere || no_name || (w->o.kind == NACRE_FORWARD_DYNAMIC && w->o.listen.path)
               ? NACRE_INVALID_ARGUMENT
               : NACRE_OK;
}

/* ---- those that are there ---- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_end(const nacre_forward_end *a, const nacre_forward_end *b, uint16_t port)
{
    return same_text(a->host, b->host) && same_text(a->path, b->path) &&
           (a->port == b->port || (a->port == 0 && b->port == port));
}

static nacre_forward *find(nc_mux_conn *x, const nacre_forward_options *o)
{
    nacre_client *c = x->m->c;
    for (nacre_forward *f = nacre_client_next_forward(c, NULL); f;
         f = nacre_client_next_forward(c, f)) {
        const nacre_forward_options *have = nacre_forward_get_options(f);
        if (have->kind == o->kind && same_end(&have->listen, &o->listen, nacre_forward_port(f)) &&
            same_end(&have->connect, &o->connect, 0)) {
            return f;
        }
    }
    return NULL;
}

/* ---- answers ---- */

static void listening(nc_mux_conn *x, uint32_t id, const nacre_forward *f)
{
    const nacre_forward_options *o = nacre_forward_get_options(f);
    nc_ctl_msg msg = {.type = NC_CTL_S_PORT, .id = id};
    bool remote = o->kind == NACRE_FORWARD_REMOTE || o->kind == NACRE_FORWARD_REMOTE_DYNAMIC;
    if (!remote || o->listen.path || o->listen.port != 0) {
        nc_mux_ok(x, id);
        return;
    }
    msg.u.number = nacre_forward_port(f);
    nc_mux_send(x, &msg);
}

static void not_listening(nc_mux_conn *x, uint32_t id, const nacre_forward_options *o)
{
    char text[400];
    if (o->listen.path) {
        (void)snprintf(text, sizeof(text), "remote port forwarding failed for listen path %s",
                       NC_ESC(nc_span_cstr(o->listen.path)));
    } else {
        (void)snprintf(text, sizeof(text), "remote port forwarding failed for listen port %u",
                       (unsigned)o->listen.port);
    }
    nc_mux_refuse(x, NC_CTL_S_FAILURE, id, text);
}

/* The server's answer. The client may have gone meanwhile: then nobody is told. */
static void on_ready(void *user, nacre_forward *f, int status, const nacre_error *err)
{
    nacre_mux_master *m = f->c->mux_master;
    (void)user;
    (void)err;
    nc_mux_conn *x = m ? m->conns : NULL;
    while (x && x->forward != f) {
        x = x->next;
    }
    if (x) {
        nc_mux_forward_forget(x);
        if (status == NACRE_OK) {
            listening(x, x->request_id, f);
        } else {
            not_listening(x, x->request_id, nacre_forward_get_options(f));
        }
        nc_mux_resume(x);
    }
    if (status != NACRE_OK) {
        nacre_forward_cancel(f);
    }
}

/* Another client, or the application, cancelled what this one waits for. */
static void on_gone(void *owner, nacre_forward *f)
{
    nc_mux_conn *x = owner;
    (void)f;
    x->forward = NULL;
    nc_mux_refuse(x, NC_CTL_S_FAILURE, x->request_id, "Port forwarding was cancelled");
    nc_mux_resume(x);
}

void nc_mux_forward_forget(nc_mux_conn *x)
{
    if (x->forward) {
        x->forward->gone = NULL;
        x->forward = NULL;
    }
}

static void start(nc_mux_conn *x, nacre_forward_options *o)
{
    const nacre_mux_master_options *opts = &x->m->opts;
    nacre_forward *f = NULL;
    nacre_error why;
    uint32_t id = x->msg.id;
    bool remote = o->kind == NACRE_FORWARD_REMOTE || o->kind == NACRE_FORWARD_REMOTE_DYNAMIC;
    if (opts->forward && !opts->forward(opts->user, o)) {
        nc_mux_refuse(x, NC_CTL_S_DENIED, id, "this master does not forward that");
        return;
    }
    o->on_ready = remote ? on_ready : NULL;
    nc_error_clear(&why);
    int rc = nacre_client_forward(x->m->c, o, &f, &why);
    if (rc != NACRE_OK) {
        nc_client_log(x->m->c, NACRE_LOG_INFO, "a forwarding of the shared connection: %s",
                      why.text);
        nc_mux_refuse(x, NC_CTL_S_FAILURE, id, "Port forwarding failed");
    } else if (remote) {
        x->forward = f;
        f->owner = x;
        f->gone = on_gone;
        x->request_id = id;
        x->paused = true;
    } else {
        listening(x, id, f);
    }
}

static void describe(const nacre_forward_options *o, char *out, size_t size)
{
    static const char *const kinds[] = {"local", "remote", "dynamic", "remote dynamic"};
    char words[2048];
    if (nacre_forward_format(o, words, sizeof(words)) != NACRE_OK) {
        words[0] = '\0';
    }
    (void)snprintf(out, size, "%s forward %s", kinds[o->kind], NC_ESC(nc_span_cstr(words)));
}

bool nc_mux_open_forward(nc_mux_conn *x)
{
    wanted w;
    char text[320];
    nacre_forward *there = NULL;
    uint32_t id = x->msg.id;
    int rc = read_wanted(x, &w);
    if (rc != NACRE_OK) {
        nc_mux_refuse(x, NC_CTL_S_FAILURE, id,
                      rc == NACRE_NO_MEMORY ? "out of memory" : "Invalid forwarding request");
    } else if (x->ch) {
        nc_mux_refuse(x, NC_CTL_S_FAILURE, id, "a session runs here");
    } else if ((there = find(x, &w.o)) && nacre_forward_status(there) == NACRE_OK) {
        listening(x, id, there);
    } else {
        describe(&w.o, text, sizeof(text));
        if (nc_mux_may(x, id, "Open %s on %s?", text, x->m->c->host)) {
            start(x, &w.o);
        }
    }
    wanted_clear(x, &w);
    return true;
}

bool nc_mux_close_forward(nc_mux_conn *x)
{
    wanted w;
    nacre_forward *there = NULL;
    int rc = read_wanted(x, &w);
    if (rc == NACRE_OK && (there = find(x, &w.o))) {
        nacre_forward_cancel(there);
        nc_mux_ok(x, x->msg.id);
    } else {
        nc_mux_refuse(x, NC_CTL_S_FAILURE, x->msg.id, "port not forwarded");
    }
    wanted_clear(x, &w);
    return true;
}
