/*
 * mux_listen.c - a proxied client has the server listen (RFC 4254 7.1, OpenSSH PROTOCOL 2.4): its global requests
 * become forwardings of the shared connection, whose channels go to that client; when it goes, they end. It may
 * cancel its own only.
 */
#include "client/forward.h"
#include "client/mux_master.h"

#include <string.h>

/* A place where the server listens for one client. */
struct nc_mux_listen {
    nc_mux_listen *next;
    nc_mux_conn *x;
    nacre_forward *f;
    uint32_t ticket; /* of the client's question; 0: answered, or it wants no answer */
};

typedef struct wish {
    bool cancel, path;
    nc_fwd_listen tcp;
    nc_fwd_path socket;
} wish;

/* False: it is none of these, or makes no sense. */
static bool read_wish(const nacre_event *ev, wish *w)
{
    static const struct {
        const char *name;
        bool cancel, path;
    } names[] = {
        {"tcpip-forward", false, false},
        {"cancel-tcpip-forward", true, false},
        {"streamlocal-forward@openssh.com", false, true},
        {"cancel-streamlocal-forward@openssh.com", true, true},
    };
    size_t i = 0;
    while (i < sizeof(names) / sizeof(names[0]) && !nc_span_is(ev->u.global.name, names[i].name)) {
        i++;
    }
    if (i == sizeof(names) / sizeof(names[0])) {
        return false;
    }
    w->cancel = names[i].cancel;
    w->path = names[i].path;
    return w->path ? nc_fwd_read_listen_path(ev->u.global.data, &w->socket) == NACRE_OK &&
                         *w->socket.path
                   : nc_fwd_read_listen(ev->u.global.data, &w->tcp) == NACRE_OK;
}

static void refuse(nc_mux_conn *x, uint32_t ticket)
{
    if (ticket) {
        (void)nacre_transport_refuse(nc_mux_bridge_transport(x->bridge), ticket);
    }
}

/* Takes it off the list; the forwarding itself is somebody else's to end. */
static void forget(nc_mux_listen *l)
{
    nc_mux_conn *x = l->x;
    nc_mux_listen **at = &x->listens;
    while (*at != l) {
        at = &(*at)->next;
    }
    *at = l->next;
    nc_free(x->m->alloc, l);
}

static void drop(nc_mux_listen *l)
{
    nacre_forward *f = l->f;
    f->gone = NULL;
    f->take = NULL;
    forget(l);
    nacre_forward_cancel(f);
}

/* ---- what happens to one ---- */

static void on_ready(void *user, nacre_forward *f, int status, const nacre_error *err)
{
    nc_mux_listen *l = f->owner;
    (void)user;
    (void)err;
    if (!l) {
        return;
    }
    nc_mux_conn *x = l->x;
    uint32_t ticket = l->ticket;
    l->ticket = 0;
    if (status != NACRE_OK) {
        refuse(x, ticket);
        drop(l);
    } else if (ticket) {
        nacre_answer yes = {.accept = true};
        uint8_t port[4] = {0};
        nc_put_u32(port, nacre_forward_port(f));
        if (!f->o.listen.path && f->o.listen.port == 0) {
            yes.data = nc_span(port, sizeof(port));
        }
        (void)nacre_transport_answer(nc_mux_bridge_transport(x->bridge), ticket, &yes);
    }
    nc_mux_bridge_kick(x->bridge);
}

static void on_gone(void *owner, nacre_forward *f)
{
    nc_mux_listen *l = owner;
    nc_mux_conn *x = l->x;
    f->owner = NULL;
    refuse(x, l->ticket);
    forget(l);
    nc_mux_bridge_kick(x->bridge);
}

static void on_take(void *owner, const nacre_event *ev)
{
    const nc_mux_listen *l = owner;
    nc_mux_bridge_offer(l->x->bridge, ev);
}

/* ---- requests ---- */

static int start(nc_mux_conn *x, const wish *w, uint32_t ticket)
{
    const nacre_mux_master_options *opts = &x->m->opts;
    nacre_forward_options o;
    nacre_error why;
    nc_mux_listen *l = nc_zalloc(x->m->alloc, sizeof(*l));
    if (!l) {
        return NACRE_NO_MEMORY;
    }
    nacre_forward_options_init(&o);
    o.kind = NACRE_FORWARD_REMOTE;
    if (w->path) {
        o.listen.path = w->socket.path;
    } else { /* "" is every address, for which the other name is "*" */
        o.listen.host = *w->tcp.address ? w->tcp.address : "*";
        o.listen.port = w->tcp.port;
    }
    int rc = opts->forward && !opts->forward(opts->user, &o) ? NACRE_REQUEST_REFUSED : NACRE_OK;
    o.on_ready = on_ready;
    nc_error_clear(&why);
    rc = rc == NACRE_OK ? nc_forward_new(x->m->c, &o, true, &l->f, &why) : rc;
    if (rc != NACRE_OK) {
        nc_free(x->m->alloc, l);
        return rc;
    }
    l->x = x;
    l->ticket = ticket;
    l->f->owner = l;
    l->f->gone = on_gone;
    l->f->take = on_take;
    l->next = x->listens;
    x->listens = l;
    return NACRE_OK;
}

/* Port 0 was asked for, or the one that the server chose. */
static bool is_it(const nc_mux_listen *l, const wish *w)
{
    const nacre_forward *f = l->f;
    if (f->status != NACRE_OK || (f->o.listen.path != NULL) != w->path) {
        return false;
    }
    return w->path ? strcmp(f->o.listen.path, w->socket.path) == 0
                   : f->port == w->tcp.port && strcmp(f->asked_host, w->tcp.address) == 0;
}

static bool cancel(nc_mux_conn *x, const wish *w)
{
    nc_mux_listen *l = x->listens;
    while (l && !is_it(l, w)) {
        l = l->next;
    }
    if (l) {
        drop(l);
    }
    return l != NULL;
}

void nc_mux_listen_request(nc_mux_conn *x, const nacre_event *ev)
{
    wish w;
    memset(&w, 0, sizeof(w));
    if (!read_wish(ev, &w)) {
        refuse(x, ev->ticket);
    } else if (w.cancel) {
        if (!cancel(x, &w)) {
            refuse(x, ev->ticket);
        } else if (ev->ticket) {
            (void)nacre_transport_accept(nc_mux_bridge_transport(x->bridge), ev->ticket);
        }
    } else if (start(x, &w, ev->ticket) != NACRE_OK) {
        refuse(x, ev->ticket);
    }
}

void nc_mux_listen_clear(nc_mux_conn *x)
{
    while (x->listens) {
        drop(x->listens);
    }
}
