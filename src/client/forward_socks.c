/*
 * forward_socks.c - dynamic forwardings: who connects says by SOCKS where to, on a socket of ours (DYNAMIC) or on a
 * channel of the server's (REMOTE_DYNAMIC). Not a byte behind the request is taken: those are the connection's.
 */
#include "client/forward.h"
#include "io/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* ---- answers ---- */

/* A few bytes into something that was just connected: when they do not fit, nobody reads there. */
static bool answer(nc_forward_conn *k, const uint8_t *p, size_t n)
{
    if (n == 0) {
        return true;
    }
    if (!k->from_server) {
        return nc_fd_write(k->fd, NC_FD_SOCKET, p, n) == (ssize_t)n;
    }
    size_t took = 0;
    bool sent = nacre_channel_write(k->ch, NACRE_STDOUT, p, n, &took) == NACRE_OK && took == n;
    nacre_driver_kick(k->c->d);
    return sent;
}

bool nc_forward_tell_socks(nc_forward_conn *k, nc_socks_verdict verdict)
{
    uint8_t out[NC_SOCKS_OUT_MAX];
    return answer(k, out, nc_socks_reply(&k->socks, verdict, out));
}

/* ---- the dialogue ---- */

/*
 * As many steps as there are bytes for, from k->in and what follows it; *used of all of them. NACRE_OK: it is known
 * where to; NACRE_AGAIN: more is needed; else it is over.
 */
static int talk(nc_forward_conn *k, nacre_span all, size_t *used)
{
    int rc;
    *used = 0;
    for (;;) {
        uint8_t out[NC_SOCKS_OUT_MAX];
        size_t some = 0, n = 0;
        rc = nc_socks_step(&k->socks, nc_span(all.p + *used, all.n - *used), &some, out, &n);
        *used += some;
        if (!answer(k, out, n)) {
            return NACRE_CLOSED;
        }
        if (rc != NACRE_AGAIN || some == 0) {
            return rc;
        }
    }
}

/* The forwarding may be cancelled in the question: then nobody has anything to permit any more. */
static bool is_permitted(const nc_forward_conn *k)
{
    const nacre_forward_options *o = &k->f->o;
    return !o->permit || (o->permit(o->user, k->f, k->host, k->port) && k->f);
}

static void go_on(nc_forward_conn *k)
{
    nacre_loop_cancel(k->c->loop, k->timer);
    k->timer = 0;
    memcpy(k->host, k->socks.host, sizeof(k->socks.host));
    k->port = k->socks.port;
    if (k->port == 0) {
        (void)nc_forward_tell_socks(k, NC_SOCKS_FAILED);
        nc_forward_conn_fail(k, "a client of SOCKS asked for port 0");
    } else if (!k->from_server) {
        nacre_loop_remove(k->c->loop, k->fd);
        nc_forward_open(k);
    } else if (!is_permitted(k)) {
        (void)nc_forward_tell_socks(k, NC_SOCKS_PROHIBITED);
        nc_forward_conn_fail(k, "connection for the server: %s: not permitted",
                             nc_forward_target(k).text);
    } else {
        nc_forward_connect(k);
    }
}

static void broken(nc_forward_conn *k)
{
    nc_forward_conn_fail(k, "what came from %s%sis no SOCKS that is known here",
                         NC_ESC(nc_span_cstr(k->origin.address)), *k->origin.address ? " " : "");
}

static void on_timer(void *user)
{
    nc_forward_conn *k = user;
    k->timer = 0;
    nc_forward_conn_fail(k, "nothing was said by SOCKS for %d s", NC_FORWARD_SOCKS_MS / 1000);
}

/* ---- on a socket ---- */

/* Takes n bytes off the socket that were looked at before. */
static bool drop_bytes(int fd, size_t n)
{
    uint8_t bytes[NC_SOCKS_IN_MAX];
    while (n > 0) {
        ssize_t got = nc_fd_read(fd, NC_FD_SOCKET, bytes, n);
        if (got <= 0) {
            return false;
        }
        n -= (size_t)got;
    }
    return true;
}

static void on_socket(void *user, int fd, unsigned ready)
{
    nc_forward_conn *k = user;
    size_t used = 0;
    (void)ready;
    if (!k->f) { /* cancelled before it was known where to */
        nc_forward_conn_free(k);
        return;
    }
    ssize_t got = recv(fd, k->in + k->in_n, sizeof(k->in) - k->in_n, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        nc_forward_conn_free(k);
        return;
    }
    size_t all = k->in_n + (size_t)got;
    int rc = talk(k, nc_span(k->in, all), &used);
    if (rc != NACRE_OK && rc != NACRE_AGAIN) {
        broken(k);
        return;
    }
    /* What was there before is part of what was used now: alone it was not enough. */
    size_t take = rc == NACRE_OK ? used - k->in_n : (size_t)got;
    if (!drop_bytes(fd, take)) {
        nc_forward_conn_free(k);
    } else if (rc == NACRE_OK) {
        go_on(k);
    } else {
        memmove(k->in, k->in + used, all - used);
        k->in_n = all - used;
    }
}

/* ---- on a channel ---- */

/* While we connect, what comes is kept for the relay. */
static int while_connecting(void *user, const nacre_event *ev)
{
    nc_forward_conn *k = user;
    if (ev->type == NACRE_EVENT_CHANNEL_DATA) {
        nc_channels_keep(nc_channels_find(k->c, k->ch), ev);
    } else if (ev->type == NACRE_EVENT_CHANNEL_CLOSED) {
        nc_forward_conn_free(k);
    }
    return NACRE_AGAIN;
}

static int on_channel(void *user, const nacre_event *ev)
{
    nc_forward_conn *k = user;
    nc_chan *chan = nc_channels_find(k->c, k->ch);
    nc_queue *q = &chan->in[NACRE_STDOUT];
    size_t used = 0;
    if (ev->type == NACRE_EVENT_CHANNEL_DATA) {
        nc_channels_keep(chan, ev);
    } else if (ev->type != NACRE_EVENT_CHANNEL_EOF && ev->type != NACRE_EVENT_CHANNEL_CLOSED) {
        return NACRE_AGAIN;
    }
    if (!k->f || ev->type != NACRE_EVENT_CHANNEL_DATA) {
        nc_forward_conn_free(k); /* cancelled, or gone before it said where to */
        return NACRE_AGAIN;
    }
    int rc = talk(k, nc_span(nc_queue_front(q), nc_queue_len(q)), &used);
    nc_queue_consume(q, used);
    (void)nacre_channel_consumed(k->ch, used);
    if (rc != NACRE_OK && rc != NACRE_AGAIN) {
        broken(k);
    } else if (rc == NACRE_OK) {
        chan->fn = while_connecting;
        go_on(k);
    }
    return NACRE_AGAIN;
}

void nc_forward_ask_socks(nc_forward_conn *k)
{
    nacre_loop *loop = k->c->loop;
    int rc = nacre_loop_timer(loop, NC_FORWARD_SOCKS_MS, on_timer, k, &k->timer);
    k->stage = NC_FORWARD_SOCKS;
    if (rc == NACRE_OK && k->ch) {
        nc_chan *chan = nc_channels_find(k->c, k->ch);
        chan->fn = on_channel;
        chan->fn_user = k;
    } else if (rc == NACRE_OK) {
        rc = nacre_loop_add(loop, k->fd, NACRE_READ, on_socket, k);
    }
    if (rc != NACRE_OK) {
        nc_forward_conn_fail(k, "no memory for a connection");
    }
}
