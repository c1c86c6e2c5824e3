/*
 * forward.c - connections that clients ask for: direct-tcpip (RFC 4254 7.2) and direct-streamlocal@openssh.com
 * (OpenSSH PROTOCOL 2.4). The application judges; connecting, relaying and refusing are done here, and nothing
 * waits.
 */
#include "server/forward.h"

#include "channel/forward.h"
#include "io/fd.h"

#include <string.h>

enum {
    CONNECT_FAILED = 2, /* RFC 4254 5.1 */
    RESOURCE_SHORTAGE = 4
};

void nacre_server_forward_init(nacre_server_forward *f)
{
    memset(f, 0, sizeof(*f));
    f->size = sizeof(*f);
    f->timeout_ms = NC_FORWARD_CONNECT_MS;
    f->bind_mask = 0177;
}

/* Ends the handle with a reason; text NULL: the reason's own. */
static void refuse(nc_chan *k, uint32_t ticket, uint32_t reason, const char *text)
{
    nacre_server_conn *c = k->conn;
    nacre_answer no = {.reason = reason, .text = text};
    k->open_ticket = 0;
    nc_chan_free(k); /* before the refusal ends the handle */
    (void)nacre_transport_answer(c->t, ticket, &no);
    nacre_driver_kick(c->driver);
}

/* Takes fd. */
static void connected(nc_chan *k, int fd)
{
    nacre_server_conn *c = k->conn;
    nacre_channel *ch = k->ch;
    nacre_answer yes = {.accept = true};
    nacre_relay_options o;
    uint32_t ticket = k->open_ticket;
    k->open_ticket = 0;
    k->work = NC_WORK_NONE;
    nacre_net_set_nodelay(fd, true);
    if (nacre_transport_answer(c->t, ticket, &yes) != NACRE_OK) {
        nc_fd_close(&fd); /* the connection is over, and clears up behind itself */
        return;
    }
    nacre_relay_options_init(&o);
    o.source = o.sink = fd;
    if (nacre_server_attach(c, ch, &o, NULL) != NACRE_OK) {
        nc_fd_close(&fd);
        (void)nacre_channel_close(ch);
    }
    nacre_driver_kick(c->driver);
}

static void on_connected(void *user, int fd, const nacre_error *why)
{
    nc_chan *k = user;
    k->connecting = NULL;
    if (fd >= 0) {
        connected(k, fd);
        return;
    }
    nc_logf(&k->conn->server->log, NACRE_LOG_INFO, "a forwarded connection failed: %s", why->text);
    refuse(k, k->open_ticket, CONNECT_FAILED, why->text);
}

static void connect_tcp(nc_chan *k, const nacre_server_forward *f, const char *host)
{
    nacre_connect_options o;
    nacre_error why = {0};
    nacre_connect_options_init(&o);
    o.family = f->family;
    o.timeout_ms = f->timeout_ms;
    k->work = NC_WORK_CONNECTING;
    const nacre_server *s = k->conn->server;
    int rc = nacre_net_connect_start(&k->connecting, s->loop, s->alloc, host, f->port, &o,
                                     on_connected, k, &why);
    if (rc != NACRE_OK) {
        refuse(k, k->open_ticket, rc == NACRE_NO_MEMORY ? RESOURCE_SHORTAGE : CONNECT_FAILED,
               why.text);
    }
}

static void connect_path(nc_chan *k, const char *path)
{
    nacre_error why = {0};
    int fd = -1;
    if (nacre_net_connect_unix(path, &fd, &why) == NACRE_OK) {
        connected(k, fd);
        return;
    }
    nc_logf(&k->conn->server->log, NACRE_LOG_INFO, "a forwarded connection failed: %s", why.text);
    refuse(k, k->open_ticket, CONNECT_FAILED, why.text);
}

/* What the client asks for, read into m; false: it is malformed. */
typedef union asked {
    nc_fwd_tcp tcp;
    nc_fwd_path path;
} asked;

static bool read_tcp(nacre_span data, asked *m, nacre_server_forward *f)
{
    int rc = nc_fwd_read_tcp(data, &m->tcp);
    f->host = m->tcp.host;
    f->port = m->tcp.port;
    f->origin = m->tcp.origin;
    f->origin_port = m->tcp.origin_port;
    return rc == NACRE_OK && m->tcp.host[0] && m->tcp.port != 0;
}

static bool read_path(nacre_span data, asked *m, nacre_server_forward *f)
{
    int rc = nc_fwd_read_direct_path(data, &m->path);
    f->path = m->path.path;
    return rc == NACRE_OK && m->path.path[0];
}

static const struct direct_row {
    const char *type;
    bool (*read)(nacre_span data, asked *m, nacre_server_forward *f);
} rows[] = {
    {"direct-tcpip", read_tcp},
    {"direct-streamlocal@openssh.com", read_path},
};

static void judge(nc_chan *k, const nacre_event *ev, const struct direct_row *row)
{
    const nacre_server_callbacks *cb = &k->conn->server->cfg.callbacks;
    asked m;
    nacre_server_forward f;
    nacre_server_forward_init(&f);
    k->open_ticket = ev->ticket;
    if (!row->read(ev->u.open.data, &m, &f)) {
        refuse(k, ev->ticket, CONNECT_FAILED, "the request to connect is malformed");
        return;
    }
    nacre_verdict v = cb->direct_open(cb->user, k->conn, ev, &f);
    if (v == NACRE_LATER) {
        return;
    }
    if (v != NACRE_ACCEPT) {
        refuse(k, ev->ticket, 0, NULL);
    } else if (f.path) {
        connect_path(k, m.path.path);
    } else {
        connect_tcp(k, &f, m.tcp.host);
    }
}

bool nc_direct_open(nc_chan *k, const nacre_event *ev)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (nc_span_is(ev->u.open.type, rows[i].type) &&
            k->conn->server->cfg.callbacks.direct_open) {
            judge(k, ev, &rows[i]);
            return true;
        }
    }
    return false;
}

void nc_direct_drop(nc_chan *k)
{
    nacre_net_connect_cancel(k->connecting);
    k->connecting = NULL;
}
