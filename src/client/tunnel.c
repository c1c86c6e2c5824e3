/*
 * tunnel.c - a connection from the server to somewhere else, as a descriptor here: what ssh -J and -W
 * are made of (RFC 4254 7.2).
 */
#include "client/state.h"
#include "io/fd.h"
#include "wire/wr.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HOST_MAX = 1024,
    /* A connection that nobody made to us: what OpenSSH names as the origin of -W. */
    ORIGIN_PORT = 65535
};

static int request_data(nacre_client *c, nc_buf *b, const char *host, uint16_t port)
{
    nc_wr w = nc_wr_init(b);
    nc_wr_cstr(&w, host);
    nc_wr_u32(&w, port);
    nc_wr_cstr(&w, "127.0.0.1");
    nc_wr_u32(&w, ORIGIN_PORT);
    return nc_wr_err(&w) == NACRE_OK ? NACRE_OK : nc_client_fail(c, nc_wr_err(&w), "out of memory");
}

struct tunnel {
    nacre_client *c;
    nacre_channel *ch;
    nacre_relay *relay;
};
typedef struct tunnel tunnel;

/* Both directions are over, or the connection is: the other end of the pair has read its end by then. */
static void on_finished(void *user, nacre_relay *r, const nacre_relay_result *result)
{
    tunnel *t = user;
    nacre_client *c = t->c;
    nacre_channel *ch = t->ch;
    (void)result;
    (void)r;
    nc_chan *k = nc_channels_find(c, ch);
    nc_tunnel_free(k); /* and with it t */
    if (!c->closed) {
        nacre_client_channel_free(c, ch);
    }
}

void nc_tunnel_free(nc_chan *k)
{
    tunnel *t = k->tunnel;
    if (t) {
        k->tunnel = NULL;
        k->relay = NULL;
        nacre_relay_free(t->relay);
        nc_free(t->c->alloc, t);
    }
}

static void replay(void *user, const nacre_event *ev)
{
    (void)nacre_relay_event(user, ev);
}

static int tie(nacre_client *c, nacre_channel *ch, int fd)
{
    nc_chan *k = nc_channels_find(c, ch);
    tunnel *t = nc_zalloc(c->alloc, sizeof(*t));
    if (!t) {
        return nc_client_fail(c, NACRE_NO_MEMORY, "out of memory");
    }
    nacre_relay_options o;
    nacre_relay_options_init(&o);
    o.source = o.sink = fd;
    o.on_finished = on_finished;
    o.user = t;
    t->c = c;
    t->ch = ch;
    int rc = nacre_relay_new(&t->relay, c->loop, c->d, ch, &o, &c->err);
    if (rc != NACRE_OK) {
        nc_free(c->alloc, t);
        return rc;
    }
    k->relay = t->relay;
    k->tunnel = t;
    nc_channels_replay(c, k, replay, t->relay);
    return NACRE_OK;
}

int nacre_client_tunnel(nacre_client *c, const char *host, uint16_t port, uint32_t timeout_ms,
                        int *fd)
{
    nacre_channel *ch = NULL;
    nc_buf b;
    int pair[2];
    *fd = -1;
    nc_client_begin(c);
    if (!host || !*host || strlen(host) > HOST_MAX || port == 0) {
        return nc_client_fail(c, NACRE_INVALID_ARGUMENT, "a tunnel needs a host and a port");
    }
    nc_buf_init(&b, c->alloc, HOST_MAX + 64);
    int rc = request_data(c, &b, host, port);
    if (rc == NACRE_OK) {
        rc = nc_channels_open(c, "direct-tcpip", nc_buf_span(&b), 0, timeout_ms, &ch);
    }
    nc_buf_clear(&b);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        rc = nc_os_fail(&c->err, NACRE_IO, errno, "a socket pair cannot be made");
    } else {
        rc = tie(c, ch, pair[0]);
        if (rc != NACRE_OK) {
            close(pair[0]);
            close(pair[1]);
        }
    }
    if (rc != NACRE_OK) {
        nacre_error kept = c->err;
        nacre_client_channel_free(c, ch);
        c->err = kept;
        return rc;
    }
    *fd = pair[1];
    return NACRE_OK;
}
