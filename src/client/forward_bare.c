/*
 * forward_bare.c - forwarded connections as channels, for callers who read and write themselves.
 */
#include "client/forward.h"

#include <string.h>

/* ---- to the server ---- */

static int open_with(nacre_client *c, int rc, const char *type, nc_buf *b, uint32_t timeout_ms,
                     nacre_channel **out)
{
    rc = rc == NACRE_OK ? nc_channels_open(c, type, nc_buf_span(b), 0, timeout_ms, out)
                        : nc_client_fail(c, rc, "out of memory");
    nc_buf_clear(b);
    return rc;
}

int nacre_client_direct_tcpip(nacre_client *c, const char *host, uint16_t port, const char *origin,
                              uint16_t origin_port, uint32_t timeout_ms, nacre_channel **out)
{
    nc_buf b;
    *out = NULL;
    nc_client_begin(c);
    if (!host || !*host || strlen(host) > NC_FWD_HOST_MAX || port == 0 ||
        (origin && strlen(origin) > NC_FWD_HOST_MAX)) {
        return nc_client_fail(c, NACRE_INVALID_ARGUMENT, "a tunnel needs a host and a port");
    }
    nc_buf_init(&b, c->alloc, NC_FWD_DATA_MAX);
    int rc = nc_fwd_write_tcp(&b, host, port, origin ? origin : "127.0.0.1",
                              origin ? origin_port : NC_FORWARD_NO_PORT);
    return open_with(c, rc, "direct-tcpip", &b, timeout_ms, out);
}

int nacre_client_direct_streamlocal(nacre_client *c, const char *path, uint32_t timeout_ms,
                                    nacre_channel **out)
{
    nc_buf b;
    *out = NULL;
    nc_client_begin(c);
    if (!path || !*path || strlen(path) > NC_FWD_PATH_MAX) {
        return nc_client_fail(c, NACRE_INVALID_ARGUMENT, "a tunnel needs the path of a socket");
    }
    nc_buf_init(&b, c->alloc, NC_FWD_DATA_MAX);
    int rc = nc_fwd_write_direct_path(&b, path);
    return open_with(c, rc, "direct-streamlocal@openssh.com", &b, timeout_ms, out);
}

/* ---- from the server ---- */

void nc_forward_enqueue(nacre_forward *f, const nacre_event *ev, const nacre_endpoint *origin)
{
    nc_forward_waiting *w = f->queued < f->queue_max ? nc_zalloc(f->c->alloc, sizeof(*w)) : NULL;
    if (!w) {
        nc_client_refuse_open(f->c, ev->ticket, NC_REASON_SHORTAGE, "too many wait already");
        return;
    }
    w->ch = ev->channel;
    w->ticket = ev->ticket;
    w->origin = *origin;
    nc_forward_waiting **at = &f->queue;
    while (*at) {
        at = &(*at)->next;
    }
    *at = w;
    f->queued++;
}

/* Takes the first one off. */
static nc_forward_waiting next_waiting(nacre_forward *f)
{
    nc_forward_waiting *w = f->queue;
    nc_forward_waiting copy = *w;
    f->queue = w->next;
    f->queued--;
    nc_free(f->c->alloc, w);
    return copy;
}

void nc_forward_refuse_queue(nacre_forward *f)
{
    while (f->queue) {
        nc_forward_waiting w = next_waiting(f);
        if (f->c->t) {
            nc_client_refuse_open(f->c, w.ticket, NC_REASON_PROHIBITED, "not wanted any more");
        }
    }
}

int nacre_client_listen(nacre_client *c, const nacre_forward_end *where, unsigned queue,
                        uint32_t timeout_ms, nacre_forward **out)
{
    nacre_forward_options o;
    nacre_forward *f = NULL;
    *out = NULL;
    nc_client_begin(c);
    nacre_forward_options_init(&o);
    o.kind = NACRE_FORWARD_REMOTE;
    if (where) {
        o.listen = *where;
    }
    int rc = nc_forward_new(c, &o, true, &f, &c->err);
    if (rc != NACRE_OK) {
        return rc;
    }
    f->queue_max = queue ? queue : NC_FORWARD_QUEUE;
    rc = nacre_client_forward_wait(c, f, timeout_ms);
    if (rc != NACRE_OK) {
        nacre_forward_cancel(f);
        return rc;
    }
    *out = f;
    return NACRE_OK;
}

typedef struct accept_job {
    nacre_client *c;
    const nacre_forward *f;
} accept_job;

static int has_waiting(void *user)
{
    const accept_job *j = user;
    if (!nc_forward_is_listed(j->c, j->f)) {
        return nc_client_fail(j->c, NACRE_NOT_FOUND, "the forwarding was cancelled");
    }
    return j->f->queue ? NACRE_OK : NACRE_AGAIN;
}

int nacre_client_accept(nacre_client *c, nacre_forward *f, uint32_t timeout_ms, nacre_channel **out,
                        nacre_endpoint *origin)
{
    *out = NULL;
    nc_client_begin(c);
    if (!f || !f->bare) {
        return nc_client_fail(c, NACRE_INVALID_ARGUMENT,
                              "connections are accepted from nacre_client_listen only");
    }
    accept_job j = {c, f};
    nc_wait w = nc_client_wait_init(c, timeout_ms, "waiting for a forwarded connection");
    nacre_driver_kick(c->d);
    for (;;) {
        int rc = nc_client_wait(c, &w, has_waiting, &j);
        if (rc != NACRE_OK) {
            return rc;
        }
        nc_forward_waiting one = next_waiting(f);
        if (nc_client_accept_open(c, one.ticket, one.ch)) {
            *out = one.ch;
            if (origin) {
                *origin = one.origin;
            }
            nc_client_push(c);
            return NACRE_OK;
        }
    }
}
