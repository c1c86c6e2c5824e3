/*
 * mux_serve.c - what a master's client may ask for (PROTOCOL.mux 2 to 9), one function for each.
 */
#include "client/mux_master.h"

#include "nacre/net.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char busy[] = "Multiple sessions not supported";

static bool serve_session(nc_mux_conn *x)
{
    uint32_t id = x->msg.id;
    if (x->ch || x->bridge) {
        nc_mux_refuse(x, NC_CTL_S_FAILURE, id, busy);
    } else if (nc_mux_may(x, id, "Allow shared connection to %s? ", x->m->c->host)) {
        nc_mux_take_fds(x);
        nc_mux_open_session(x);
    }
    return true;
}

static bool serve_stdio(nc_mux_conn *x)
{
    uint32_t id = x->msg.id;
    nacre_span host = x->msg.u.stdio.host;
    bool path = x->msg.u.stdio.port == NC_CTL_PORT_PATH;
    if (x->ch || x->bridge) {
        nc_mux_refuse(x, NC_CTL_S_FAILURE, id, busy);
    } else if (host.n == 0 || x->msg.u.stdio.port == 0) {
        nc_mux_refuse(x, NC_CTL_S_FAILURE, id, "no host and port to connect to");
    } else if (path ? nc_mux_may(x, id, "Allow forward to path %s? ", NC_ESC(host))
                    : nc_mux_may(x, id, "Allow forward to [%s]:%" PRIu32 "? ", NC_ESC(host),
                                 x->msg.u.stdio.port)) {
        nc_mux_take_fds(x);
        nc_mux_open_stdio(x);
    }
    return true;
}

static bool serve_alive(nc_mux_conn *x)
{
    nc_ctl_msg msg = {.type = NC_CTL_S_ALIVE, .id = x->msg.id};
    msg.u.number = (uint32_t)getpid();
    nc_mux_send(x, &msg);
    return true;
}

static bool serve_terminate(nc_mux_conn *x)
{
    const nacre_mux_master_options *o = &x->m->opts;
    if (!o->terminate) {
        nc_mux_refuse(x, NC_CTL_S_DENIED, x->msg.id, "this connection is not for others to end");
    } else if (nc_mux_may(x, x->msg.id, "Terminate shared connection to %s? ", x->m->c->host)) {
        nc_mux_ok(x, x->msg.id);
        x->terminate_due = true;
    }
    return true;
}

static bool serve_stop(nc_mux_conn *x)
{
    nacre_mux_master *m = x->m;
    if (nc_mux_may(x, x->msg.id, "Disable further multiplexing on shared connection to %s? ",
                   m->c->host)) {
        nacre_mux_master_stop(m);
        nc_mux_ok(x, x->msg.id);
        if (m->opts.stopped) {
            m->opts.stopped(m->opts.user);
        }
    }
    return true;
}

static bool serve_proxy(nc_mux_conn *x)
{
    nc_ctl_msg msg = {.type = NC_CTL_S_PROXY, .id = x->msg.id};
    if (x->ch) {
        nc_mux_refuse(x, NC_CTL_S_FAILURE, x->msg.id, busy);
    } else if (nc_mux_may(x, x->msg.id, "Allow multiplex proxy connection?")) {
        nc_mux_send(x, &msg);
        x->proxy_due = x->paused = true;
    }
    return true;
}

/* ---- information (OpenSSH 10.1, MUX_C_EXT_INFO) ---- */

static void tell_connection(const nacre_mux_master *m, nc_buf *b)
{
    nacre_client *c = m->c;
    const nacre_negotiated *n = nacre_transport_negotiated(c->t);
    nacre_counters k;
    char text[2048];
    nacre_transport_counters(c->t, &k);
    int len = snprintf(
        text, sizeof(text),
        "  connection to %s as user \"%s\"\n  kexalgorithm %s\n  hostkeyalgorithm %s\n"
        "  cipher %s\n  mac %s\n  compression %s\n  version %s\n"
        "  traffic %" PRIu64 " bytes in %" PRIu64 " packets received, %" PRIu64 " bytes in %" PRIu64
        " packets sent\n  rekey count %" PRIu32 "\n",
        c->where, nacre_transport_user(c->t), n ? n->kex : "", n ? n->host_key : "",
        n ? n->cipher_c2s : "", n && *n->mac_c2s ? n->mac_c2s : "<implicit>",
        n ? n->compression_c2s : "", NC_ESC(nc_span_cstr(nacre_transport_peer_version(c->t))),
        k.bytes_in, k.packets_in, k.bytes_out, k.packets_out, k.key_exchanges);
    if (len > 0) {
        (void)!nc_buf_append(b, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
    }
}

/* Truncated where the buffer's cap is, which is far above what a person reads. */
static void tell_channels(const nacre_mux_master *m, nc_buf *b)
{
    char line[512];
    size_t count = 0;
    for (const nc_chan *k = m->c->chans; k; k = k->next) {
        count++;
    }
    int len = snprintf(line, sizeof(line), "The following connections are open: %zu\n", count);
    (void)!nc_buf_append(b, line, len > 0 ? (size_t)len : 0);
    for (const nc_chan *k = m->c->chans; k; k = k->next) {
        nacre_channel_info i;
        nacre_channel_get_info(k->ch, &i);
        len = snprintf(line, sizeof(line),
                       "  #%" PRIu32 " %s (%s, peer #%" PRIu32 ", %" PRIu64
                       " bytes received, %" PRIu64 " sent)\n",
                       nacre_channel_id(k->ch), NC_ESC(nc_span_cstr(nacre_channel_type(k->ch))),
                       i.open      ? "open"
                       : k->closed ? "closed"
                                   : "opening",
                       i.peer_id, i.bytes_in, i.bytes_out);
        if (len > 0 && nc_buf_append(b, line, (size_t)len) != NACRE_OK) {
            return;
        }
    }
}

static bool serve_info(nc_mux_conn *x)
{
    nc_ctl_msg msg = {.type = NC_CTL_S_INFO, .id = x->msg.id};
    nc_buf text;
    nc_buf_init(&text, x->m->alloc, NC_CTL_MAX_PACKET / 2);
    msg.u.text.good = true;
    if (nc_span_is(x->msg.u.text.text, "connection")) {
        tell_connection(x->m, &text);
    } else if (nc_span_is(x->msg.u.text.text, "channels")) {
        tell_channels(x->m, &text);
    } else {
        msg.u.text.good = false;
    }
    msg.u.text.text =
        msg.u.text.good ? nc_buf_span(&text) : nc_span_cstr("info request type not supported");
    nc_mux_send(x, &msg);
    nc_buf_clear(&text);
    return true;
}

static const struct {
    uint32_t type;
    bool (*serve)(nc_mux_conn *x);
} requests[] = {
    {NC_CTL_C_NEW_SESSION, serve_session},
    {NC_CTL_C_NEW_STDIO, serve_stdio},
    {NC_CTL_C_ALIVE, serve_alive},
    {NC_CTL_C_TERMINATE, serve_terminate},
    {NC_CTL_C_STOP, serve_stop},
    {NC_CTL_C_PROXY, serve_proxy},
    {NC_CTL_C_INFO, serve_info},
    {NC_CTL_C_OPEN_FORWARD, nc_mux_open_forward},
    {NC_CTL_C_CLOSE_FORWARD, nc_mux_close_forward},
};

bool nc_mux_serve(nc_mux_conn *x)
{
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        if (requests[i].type == x->msg.type) {
            return requests[i].serve(x);
        }
    }
    return false;
}
