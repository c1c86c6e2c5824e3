/*
 * forward_remote.c - connections that are made to the server and go on here (REMOTE, REMOTE_DYNAMIC; RFC 4254 7.1 and
 * 7.2, OpenSSH PROTOCOL 2.4). A channel that belongs to nothing that was asked for is the application's to
 * judge, and without one refused.
 */
#include "client/forward.h"
#include "io/fd.h"

#include <stdlib.h>
#include <string.h>

static const char tcp_type[] = "forwarded-tcpip";
static const char path_type[] = "forwarded-streamlocal@openssh.com";

/* ---- what the server is asked ---- */

static int send_request(nacre_forward *f, const char *tcp, const char *path, uint16_t port,
                        bool want_reply)
{
    nacre_client *c = f->c;
    nc_buf b;
    nc_buf_init(&b, c->alloc, NC_FWD_DATA_MAX);
    int rc = f->o.listen.path ? nc_fwd_write_listen_path(&b, f->o.listen.path)
                              : nc_fwd_write_listen(&b, f->asked_host, port);
    if (rc == NACRE_OK) {
        rc = nacre_global_request(c->t, f->o.listen.path ? path : tcp, want_reply, nc_buf_span(&b));
    }
    nc_buf_clear(&b);
    nacre_driver_kick(c->d);
    return rc;
}

void nc_forward_withdraw(nacre_forward *f)
{
    int rc = send_request(f, "cancel-tcpip-forward", "cancel-streamlocal-forward@openssh.com",
                          f->port, false);
    if (rc != NACRE_OK) {
        /* Connections that still come are refused all the same. */
        nc_client_log(f->c, NACRE_LOG_INFO, "a forwarding could not be cancelled: %s",
                      nacre_status_text(rc));
    }
}

/* ---- a channel of the server's ---- */

/* Who would connect here is told what happened; what remains is the server's. */
static void failed(nc_forward_conn *k, uint32_t reason, const char *text)
{
    nc_forward_name name = nc_forward_target(k);
    if (k->ticket) {
        nc_client_refuse_open(k->c, k->ticket, reason, text);
        k->ticket = 0;
        k->ch = NULL; /* gone with its refusal */
    } else {
        (void)nc_forward_tell_socks(k, reason == NC_REASON_PROHIBITED ? NC_SOCKS_PROHIBITED
                                                                      : NC_SOCKS_UNREACHABLE);
    }
    nc_forward_conn_fail(k, "connection for the server: %s: %s", name.text, text);
}

static void connected(nc_forward_conn *k)
{
    if (k->ticket) {
        uint32_t ticket = k->ticket;
        k->ticket = 0;
        if (!nc_client_accept_open(k->c, ticket, k->ch)) {
            k->ch = NULL;
            nc_forward_conn_free(k);
            return;
        }
    } else if (!nc_forward_tell_socks(k, NC_SOCKS_GRANTED)) {
        nc_forward_conn_free(k);
        return;
    } else {
        nc_channels_find(k->c, k->ch)->fn = NULL;
    }
    nc_forward_conn_relay(k);
}

static void on_connected(void *user, int fd, const nacre_error *why)
{
    nc_forward_conn *k = user;
    k->connecting = NULL;
    if (fd < 0) {
        failed(k, NC_REASON_CONNECT_FAILED, why->text);
        return;
    }
    k->fd = fd;
    nacre_net_set_nodelay(fd, true);
    connected(k);
}

void nc_forward_connect(nc_forward_conn *k)
{
    nacre_client *c = k->c;
    nacre_error why;
    nacre_connect_options o;
    memset(&why, 0, sizeof(why));
    k->stage = NC_FORWARD_CONNECTING;
    int rc;
    if (*k->host) {
        nacre_connect_options_init(&o);
        o.family = k->f->o.family;
        rc = nacre_net_connect_start(&k->connecting, c->loop, c->alloc, k->host, k->port, &o,
                                     on_connected, k, &why);
    } else {
        rc = nacre_net_connect_unix(k->f->o.connect.path, &k->fd, &why);
    }
    if (rc != NACRE_OK) {
        failed(k, NC_REASON_CONNECT_FAILED, why.text);
    } else if (k->fd >= 0) {
        connected(k);
    }
}

static void origin_of(const nc_fwd_tcp *m, nacre_endpoint *out)
{
    size_t n = strlen(m->origin);
    memset(out, 0, sizeof(*out));
    n = n < sizeof(out->address) ? n : sizeof(out->address) - 1;
    memcpy(out->address, m->origin, n);
    out->port = m->origin_port;
    out->family = strchr(out->address, ':') ? 6 : strchr(out->address, '.') ? 4 : 0;
}

/* Takes the server's channel for f; its ticket is answered now or later. */
static void take(nacre_forward *f, const nacre_event *ev, const nacre_endpoint *origin)
{
    nacre_client *c = f->c;
    if (f->take) {
        f->take(f->owner, ev);
        return;
    }
    if (f->bare) {
        nc_forward_enqueue(f, ev, origin);
        return;
    }
    nc_forward_conn *k = f->count < f->o.max_connections ? nc_forward_conn_new(f, -1) : NULL;
    if (!k) {
        nc_client_refuse_open(c, ev->ticket, NC_REASON_SHORTAGE, "too many connections");
        return;
    }
    k->from_server = true;
    k->ch = ev->channel;
    k->origin = *origin;
    if (f->o.kind == NACRE_FORWARD_REMOTE_DYNAMIC) {
        if (!nc_client_accept_open(c, ev->ticket, k->ch)) {
            k->ch = NULL;
            nc_forward_conn_free(k);
            return;
        }
        nc_forward_ask_socks(k);
        return;
    }
    k->ticket = ev->ticket;
    if (!f->o.connect.path) {
        memcpy(k->host, f->o.connect.host, strlen(f->o.connect.host) + 1);
        k->port = f->o.connect.port;
    }
    nc_forward_connect(k);
}

/*
 * The forwarding with this port. Some servers name the address that they were asked for, others what they made of
 * it: with another address it counts if there is one forwarding with this port only.
 */
static nacre_forward *find_tcp(nacre_client *c, const nc_fwd_tcp *m)
{
    nacre_forward *only = NULL;
    size_t n = 0;
    for (nacre_forward *f = c->forwards; f; f = f->next) {
        if (f->status != NACRE_OK || f->cancelled || !nc_forward_is_remote(f) || f->port == 0 ||
            f->port != m->port) {
            continue;
        }
        if (strcmp(f->asked_host, m->host) == 0) {
            return f;
        }
        only = f;
        n++;
    }
    return n == 1 ? only : NULL;
}

static bool on_tcp(void *user, nacre_client *c, const nacre_event *ev)
{
    nc_fwd_tcp m;
    nacre_endpoint origin;
    (void)user;
    if (nc_fwd_read_tcp(ev->u.open.data, &m) != NACRE_OK) {
        nc_client_refuse_open(c, ev->ticket, NC_REASON_PROHIBITED, "cannot be read");
        return true;
    }
    nacre_forward *f = find_tcp(c, &m);
    if (!f) {
        return false;
    }
    origin_of(&m, &origin);
    take(f, ev, &origin);
    return true;
}

static bool on_path(void *user, nacre_client *c, const nacre_event *ev)
{
    nc_fwd_path m;
    nacre_endpoint origin;
    (void)user;
    if (nc_fwd_read_path(ev->u.open.data, &m) != NACRE_OK) {
        nc_client_refuse_open(c, ev->ticket, NC_REASON_PROHIBITED, "cannot be read");
        return true;
    }
    nacre_forward *f = c->forwards;
    while (f && (f->status != NACRE_OK || f->cancelled || !nc_forward_is_remote(f) ||
                 !f->o.listen.path || strcmp(f->o.listen.path, m.path) != 0)) {
        f = f->next;
    }
    if (!f) {
        return false;
    }
    memset(&origin, 0, sizeof(origin));
    take(f, ev, &origin);
    return true;
}

int nc_forward_request(nacre_forward *f, nacre_error *err)
{
    nacre_client *c = f->c;
    const char *host = f->o.listen.host;
    /* As OpenSSH says it: nothing is every address of every family (RFC 4254 7.1). */
    f->asked_host = !host ? "localhost" : strcmp(host, "*") == 0 ? "" : host;
    int rc = nc_client_serve_open(c, tcp_type, on_tcp, NULL);
    rc = rc == NACRE_OK ? nc_client_serve_open(c, path_type, on_path, NULL) : rc;
    rc = rc == NACRE_OK ? send_request(f, "tcpip-forward", "streamlocal-forward@openssh.com",
                                       f->o.listen.port, true)
                        : rc;
    if (rc != NACRE_OK) {
        return nc_fail(err, rc, "%s: the server cannot be asked for a forwarding: %s", c->where,
                       nacre_status_text(rc));
    }
    f->number = nacre_global_request_number(c->t);
    return NACRE_OK;
}
