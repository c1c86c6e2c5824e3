/*
 * forward_listen.c - what clients have listened on: tcpip-forward (RFC 4254 7.1), streamlocal-forward@openssh.com
 * (OpenSSH PROTOCOL 2.4), their cancelling, and the channels of what connects. The application judges each.
 */
#include "server/forward.h"

#include "channel/forward.h"
#include "io/fd.h"
#include "io/listen.h"
#include "io/resolve.h"

#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { FULL_PAUSE_MS = 100 /* no channel is left: somebody waits until one is */ };

struct nc_forward {
    struct nc_forward *next;
    nacre_server_conn *conn;
    nc_listen *listen;
    uint16_t port; /* bound */
    bool local;    /* a Unix-domain socket: name is its path */
    int held;      /* accepted, but there was no channel for it; -1: none */
    uint64_t timer;
    char name[]; /* as the client said it: the channels repeat it */
};

static void forward_free(nc_forward *f)
{
    nacre_server *s = f->conn->server;
    nacre_loop_cancel(s->loop, f->timer);
    nc_fd_close(&f->held);
    nc_listen_free(f->listen);
    nc_free(s->alloc, f);
}

void nc_conn_forwards_clear(nacre_server_conn *c)
{
    while (c->forwards) {
        nc_forward *f = c->forwards;
        c->forwards = f->next;
        c->forward_count--;
        forward_free(f);
    }
}

/* ---- what connects ---------------------------------------------------------------------------------- */

/* Takes fd on success. */
static int carry(nc_forward *f, int fd, nacre_error *why)
{
    nacre_endpoint peer;
    if (f->local) {
        return nacre_server_carry_path(f->conn, f->name, fd, why);
    }
    if (nacre_net_peer(fd, &peer) != NACRE_OK) {
        return nc_fail(why, NACRE_CLOSED, "it is gone again");
    }
    nacre_net_set_nodelay(fd, true);
    return nacre_server_carry_tcp(f->conn, f->name, f->port, peer.address, peer.port, fd, why);
}

static void hold(nc_forward *f, int fd);

/* Takes fd. */
static void dispatch(nc_forward *f, int fd)
{
    nacre_error why = {0};
    int rc = carry(f, fd, &why);
    if (rc == NACRE_LIMIT) {
        hold(f, fd);
        return;
    }
    if (rc != NACRE_OK) {
        nc_logf(&f->conn->server->log, NACRE_LOG_INFO,
                "a connection to %s port %u is not forwarded: %s", NC_ESC(nc_span_cstr(f->name)),
                (unsigned)f->port, why.text[0] ? why.text : nacre_status_text(rc));
        nc_fd_close(&fd);
    }
    nc_listen_pause(f->listen, false);
}

static void on_timer(void *user)
{
    nc_forward *f = user;
    int fd = f->held;
    f->timer = 0;
    f->held = -1;
    dispatch(f, fd);
}

/* Those that come behind it wait in the system's backlog. */
static void hold(nc_forward *f, int fd)
{
    nc_listen_pause(f->listen, true);
    f->held = fd;
    if (nacre_loop_timer(f->conn->server->loop, FULL_PAUSE_MS, on_timer, f, &f->timer) !=
        NACRE_OK) {
        nc_fd_close(&f->held);
        nc_listen_pause(f->listen, false);
    }
}

static void on_accepted(void *user, nc_listen *l, int fd)
{
    (void)l;
    dispatch(user, fd);
}

static void on_trouble(void *user, nc_listen *l, const nacre_error *why)
{
    const nc_forward *f = user;
    (void)l;
    nc_logf(&f->conn->server->log, NACRE_LOG_ERROR, "a forwarding waits: %s", why->text);
}

/* ---- listening ---------------------------------------------------------------------------------------- */

/*
 * Where GatewayPorts lets the client listen (sshd_config(5)). A name would have to be looked up, and who is
 * connected must not be able to make the others wait for that: NULL.
 */
static const char *bind_address(const nacre_server_forward *f)
{
    static const char *const loopback[] = {"127.0.0.1", "::1"};
    nc_address numeric;
    if (f->gateway_ports == 1) {
        return "*";
    }
    for (size_t i = 0; i < 2; i++) {
        if (strcmp(f->host, loopback[i]) == 0) {
            return loopback[i];
        }
    }
    if (f->gateway_ports != 2 || strcasecmp(f->host, "localhost") == 0) {
        return "localhost";
    }
    bool all = !f->host[0] || strcmp(f->host, "*") == 0;
    return all || nc_address_parse(f->host, 0, AF_UNSPEC, &numeric) == NACRE_OK ? f->host : NULL;
}

static int begin(nc_forward *f, const nacre_server_forward *o, nacre_error *why)
{
    nc_listen_calls calls = {on_accepted, on_trouble, f};
    nacre_loop *loop = f->conn->server->loop;
    if (o->path) {
        return nc_listen_unix(&f->listen, loop, f->name, o->bind_mask, o->bind_unlink, &calls, why);
    }
    const char *address = bind_address(o);
    if (!address) {
        return nc_fail(why, NACRE_UNSUPPORTED, "%s is no numeric address",
                       NC_ESC(nc_span_cstr(o->host)));
    }
    return nc_listen_tcp(&f->listen, loop, address, o->port, o->family, &calls, why);
}

static nc_forward *forward_new(nacre_server_conn *c, const nacre_server_forward *o,
                               nacre_error *why)
{
    const char *name = o->path ? o->path : o->host;
    size_t n = strlen(name) + 1;
    if (c->forward_count >= NC_MAX_FORWARDS) {
        (void)nc_fail(why, NACRE_LIMIT, "%d are listened on already", NC_MAX_FORWARDS);
        return NULL;
    }
    nc_forward *f = nc_zalloc(c->server->alloc, sizeof(*f) + n);
    if (!f) {
        (void)nc_fail(why, NACRE_NO_MEMORY, "out of memory");
        return NULL;
    }
    f->conn = c;
    f->held = -1;
    f->local = o->path != NULL;
    memcpy(f->name, name, n);
    if (begin(f, o, why) != NACRE_OK) {
        forward_free(f);
        return NULL;
    }
    f->port = nc_listen_port(f->listen);
    f->next = c->forwards;
    c->forwards = f;
    c->forward_count++;
    return f;
}

static void answer(nacre_server_conn *c, uint32_t ticket, bool accept, nacre_span data)
{
    nacre_answer a = {.accept = accept, .data = data};
    if (ticket) {
        (void)nacre_transport_answer(c->t, ticket, &a);
    }
}

/* port_wanted: the system chose the port, and the client waits to hear which. */
static void answer_port(nacre_server_conn *c, uint32_t ticket, const nc_forward *f,
                        bool port_wanted)
{
    nc_buf data;
    nc_buf_init(&data, c->server->alloc, NC_FWD_DATA_MAX);
    int rc = port_wanted ? nc_fwd_write_port(&data, f->port) : NACRE_OK;
    answer(c, ticket, rc == NACRE_OK, nc_buf_span(&data));
    nc_buf_clear(&data);
}

static void start(nacre_server_conn *c, const nacre_event *ev, nacre_server_forward *o)
{
    const nacre_server_callbacks *cb = &c->server->cfg.callbacks;
    nacre_error why = {0};
    nacre_verdict v = cb->forward_request(cb->user, c, ev, o);
    if (v == NACRE_LATER) {
        return;
    }
    const nc_forward *f = v == NACRE_ACCEPT ? forward_new(c, o, &why) : NULL;
    if (f) {
        answer_port(c, ev->ticket, f, !f->local && o->port == 0);
        return;
    }
    if (v == NACRE_ACCEPT) {
        nc_logf(&c->server->log, NACRE_LOG_INFO, "a client's forwarding of %s port %u fails: %s",
                NC_ESC(nc_span_cstr(o->path ? o->path : o->host)), (unsigned)o->port, why.text);
    }
    answer(c, ev->ticket, false, nc_span(NULL, 0));
}

/* False: it is none of ours. */
static bool cancel(nacre_server_conn *c, bool local, const char *name, uint16_t port)
{
    for (nc_forward **at = &c->forwards; *at; at = &(*at)->next) {
        nc_forward *f = *at;
        if (f->local == local && (local || f->port == port) && strcmp(f->name, name) == 0) {
            *at = f->next;
            c->forward_count--;
            forward_free(f);
            return true;
        }
    }
    return false;
}

bool nacre_server_listens(nacre_server_conn *c, size_t n, nacre_server_forward *out)
{
    const nc_forward *f = c->forwards;
    for (; f && n > 0; n--) {
        f = f->next;
    }
    nacre_server_forward_init(out);
    if (!f) {
        return false;
    }
    out->host = f->local ? NULL : f->name;
    out->path = f->local ? f->name : NULL;
    out->port = f->port;
    return true;
}

/* ---- requests ------------------------------------------------------------------------------------------- */

static bool read_tcp(nacre_span data, nc_fwd_listen *m, nacre_server_forward *f)
{
    int rc = nc_fwd_read_listen(data, m);
    f->host = m->address;
    f->port = m->port;
    return rc == NACRE_OK;
}

static bool read_path(nacre_span data, nc_fwd_path *m, nacre_server_forward *f)
{
    int rc = nc_fwd_read_listen_path(data, m);
    f->path = m->path;
    return rc == NACRE_OK && m->path[0];
}

static const struct request_row {
    const char *name;
    bool local, cancels;
} requests[] = {
    {"tcpip-forward", false, false},
    {"cancel-tcpip-forward", false, true},
    {"streamlocal-forward@openssh.com", true, false},
    {"cancel-streamlocal-forward@openssh.com", true, true},
};

static bool deal(nacre_server_conn *c, const nacre_event *ev, const struct request_row *row)
{
    nc_fwd_listen tcp;
    nc_fwd_path path;
    nacre_server_forward f;
    nacre_server_forward_init(&f);
    bool good = row->local ? read_path(ev->u.global.data, &path, &f)
                           : read_tcp(ev->u.global.data, &tcp, &f);
    /* A port that the system chose, and that nobody hears of, is of no use to anybody. */
    if (!good || (!row->local && f.port == 0 && (row->cancels || !ev->ticket))) {
        answer(c, ev->ticket, false, nc_span(NULL, 0));
        return true;
    }
    if (!row->cancels) {
        start(c, ev, &f);
        return true;
    }
    bool done = cancel(c, row->local, row->local ? f.path : f.host, f.port);
    if (!done && c->server->cfg.callbacks.global_request) {
        return false; /* one that the application listens on itself, perhaps */
    }
    answer(c, ev->ticket, done, nc_span(NULL, 0));
    return true;
}

bool nc_conn_forward_request(nacre_server_conn *c, const nacre_event *ev)
{
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        if (nc_span_is(ev->u.global.name, requests[i].name) &&
            c->server->cfg.callbacks.forward_request) {
            return deal(c, ev, &requests[i]);
        }
    }
    return false;
}
