/*
 * forward_local.c - connections that are made to us and go on at the server (LOCAL, DYNAMIC; RFC 4254 7.2, OpenSSH
 * PROTOCOL 2.4).
 */
#include "client/forward.h"
#include "io/fd.h"

#include <string.h>

/* ---- the channel ---- */

static const char *reason_text(uint32_t reason)
{
    static const char *const texts[] = {"", "administratively prohibited", "connect failed",
                                        "unknown channel type", "resource shortage"};
    return reason < sizeof(texts) / sizeof(texts[0]) ? texts[reason] : "";
}

static void opened(nc_forward_conn *k)
{
    if (k->socks.done && !nc_forward_tell_socks(k, NC_SOCKS_GRANTED)) {
        nc_forward_conn_free(k); /* it went away meanwhile */
        return;
    }
    nc_forward_conn_relay(k);
}

static void refused(nc_forward_conn *k, const nacre_event *ev)
{
    uint32_t reason = ev->u.failed.reason;
    nc_escaped words = nc_escape_span(ev->u.failed.description);
    if (k->socks.done) {
        (void)nc_forward_tell_socks(k, reason == NC_REASON_PROHIBITED       ? NC_SOCKS_PROHIBITED
                                       : reason == NC_REASON_CONNECT_FAILED ? NC_SOCKS_UNREACHABLE
                                                                            : NC_SOCKS_FAILED);
    }
    nc_forward_conn_fail(k, "%s: open failed: %s%s%s", nc_forward_target(k).text,
                         reason_text(reason), words.text[0] ? ": " : "", words.text);
}

static int on_channel(void *user, const nacre_event *ev)
{
    nc_forward_conn *k = user;
    nc_chan *chan = nc_channels_find(k->c, k->ch);
    if (ev->type == NACRE_EVENT_CHANNEL_OPENED) {
        chan->fn = NULL;
        opened(k);
    } else if (ev->type == NACRE_EVENT_CHANNEL_FAILED) {
        refused(k, ev);
    }
    return NACRE_AGAIN;
}

static int write_target(const nc_forward_conn *k, nc_buf *b, const char **type)
{
    bool tcp = k->origin.family != 0;
    *type = *k->host ? "direct-tcpip" : "direct-streamlocal@openssh.com";
    return *k->host ? nc_fwd_write_tcp(b, k->host, k->port, tcp ? k->origin.address : "127.0.0.1",
                                       tcp ? k->origin.port : NC_FORWARD_NO_PORT)
                    : nc_fwd_write_direct_path(b, k->f->o.connect.path);
}

void nc_forward_open(nc_forward_conn *k)
{
    nacre_client *c = k->c;
    const char *type = NULL;
    nc_buf b;
    nc_buf_init(&b, c->alloc, NC_FWD_DATA_MAX);
    k->stage = NC_FORWARD_OPENING;
    int rc = write_target(k, &b, &type);
    nacre_transport_advance(c->t, nacre_loop_now(c->loop));
    if (rc == NACRE_OK) {
        rc = nacre_channel_open(c->t, type, nc_buf_span(&b), 0, 0, &k->ch);
    }
    nc_buf_clear(&b);
    nc_chan *chan = rc == NACRE_OK ? nc_channels_adopt(c, k->ch) : NULL;
    if (rc == NACRE_OK && !chan) {
        nacre_channel_free(k->ch);
        k->ch = NULL;
        rc = NACRE_NO_MEMORY;
    }
    nacre_driver_kick(c->d);
    if (rc != NACRE_OK) {
        nc_forward_conn_fail(k, "%s: no channel: %s", nc_forward_target(k).text,
                             rc == NACRE_LIMIT ? "the connection has as many as it may"
                                               : nacre_status_text(rc));
        return;
    }
    chan->fn = on_channel;
    chan->fn_user = k;
}

/* ---- connections ---- */

static void on_accepted(void *user, nc_listen *l, int fd)
{
    nacre_forward *f = user;
    nc_forward_conn *k = nc_forward_conn_new(f, fd);
    (void)l;
    if (!k) {
        nc_fd_close(&fd);
        return;
    }
    if (nacre_net_peer(fd, &k->origin) != NACRE_OK) {
        memset(&k->origin, 0, sizeof(k->origin)); /* it is gone again: the relay will notice */
    }
    nacre_net_set_nodelay(fd, true);
    if (f->o.kind == NACRE_FORWARD_DYNAMIC) {
        nc_forward_ask_socks(k);
        return;
    }
    if (!f->o.connect.path) {
        memcpy(k->host, f->o.connect.host, strlen(f->o.connect.host) + 1);
        k->port = f->o.connect.port;
    }
    nc_forward_open(k);
}

static void on_trouble(void *user, nc_listen *l, const nacre_error *why)
{
    nacre_forward *f = user;
    (void)l;
    nc_client_log(f->c, NACRE_LOG_ERROR, "forwarding: %s", why->text);
    if (f->o.on_failure) {
        f->o.on_failure(f->o.user, f, why->text);
    }
}

int nc_forward_listen(nacre_forward *f, nacre_error *err)
{
    nacre_loop *loop = f->c->loop;
    const nacre_forward_end *where = &f->o.listen;
    const nc_listen_calls calls = {on_accepted, on_trouble, f};
    const char *host = where->host ? where->host : f->o.gateway_ports ? "" : "localhost";
    int rc = where->path
                 ? nc_listen_unix(&f->listener, loop, where->path, f->o.bind_mask, f->o.bind_unlink,
                                  &calls, err)
                 : nc_listen_tcp(&f->listener, loop, host, where->port, f->o.family, &calls, err);
    if (rc == NACRE_OK) {
        f->status = NACRE_OK;
        f->port = nc_listen_port(f->listener);
    }
    return rc;
}
