/*
 * forward_conn.c - one forwarded connection, from the first word to the relay.
 */
#include "client/forward.h"
#include "io/fd.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

nc_forward_conn *nc_forward_conn_new(nacre_forward *f, int fd)
{
    nacre_client *c = f->c;
    nc_forward_conn *k = nc_zalloc(c->alloc, sizeof(*k));
    if (!k) {
        return NULL;
    }
    k->c = c;
    k->f = f;
    k->fd = fd;
    k->next = c->forward_conns;
    c->forward_conns = k;
    f->count++;
    if (f->listener && f->count >= f->o.max_connections) {
        nc_listen_pause(f->listener, true); /* the rest waits in the system's queue */
    }
    return k;
}

void nc_forward_conn_free(nc_forward_conn *k)
{
    nacre_client *c = k->c;
    nc_forward_conn **at = &c->forward_conns;
    while (*at != k) {
        at = &(*at)->next;
    }
    *at = k->next;
    nacre_net_connect_cancel(k->connecting);
    nacre_loop_cancel(c->loop, k->timer);
    if (k->fd >= 0) {
        nacre_loop_remove(c->loop, k->fd); /* unknown unless it speaks SOCKS */
        nc_fd_close(&k->fd);
    }
    if (k->ticket) {
        nc_client_refuse_open(c, k->ticket, NC_REASON_CONNECT_FAILED, "no connection");
    } else {
        nacre_client_channel_free(c, k->ch);
    }
    if (k->f) {
        k->f->count--;
        if (k->f->listener && k->f->count < k->f->o.max_connections) {
            nc_listen_pause(k->f->listener, false);
        }
    }
    nc_wipe_free(c->alloc, k, sizeof(*k));
}

void nc_forward_conn_fail(nc_forward_conn *k, const char *fmt, ...)
{
    char text[1024];
    nacre_client *c = k->c;
    nacre_forward *f = k->f;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    nc_forward_conn_free(k);
    nc_client_log(c, NACRE_LOG_VERBOSE, "forwarding: %s", text);
    if (f && f->o.on_failure) {
        f->o.on_failure(f->o.user, f, text);
    }
}

nc_forward_name nc_forward_target(const nc_forward_conn *k)
{
    nc_forward_name n;
    if (*k->host) {
        (void)snprintf(n.text, sizeof(n.text), "%s port %u", NC_ESC(nc_span_cstr(k->host)),
                       (unsigned)k->port);
    } else {
        const char *path = k->f && k->f->o.connect.path ? k->f->o.connect.path : "";
        (void)snprintf(n.text, sizeof(n.text), "%s", NC_ESC(nc_span_cstr(path)));
    }
    return n;
}

static void on_finished(void *user, nacre_relay *r, const nacre_relay_result *result)
{
    (void)r;
    (void)result;
    nc_forward_conn_free(user);
}

void nc_forward_conn_relay(nc_forward_conn *k)
{
    nacre_relay_options o;
    nacre_error why;
    memset(&why, 0, sizeof(why));
    nacre_relay_options_init(&o);
    o.source = o.sink = k->fd;
    o.on_finished = on_finished;
    o.user = k;
    nacre_loop_cancel(k->c->loop, k->timer);
    k->timer = 0;
    nacre_channel *ch = k->ch;
    int fd = k->fd;
    k->stage = NC_FORWARD_RELAYED;
    k->ch = NULL;
    k->fd = -1;
    if (nacre_client_attach(k->c, ch, &o, &why) != NACRE_OK) {
        k->ch = ch;
        k->fd = fd;
        nc_forward_conn_fail(k, "%s: %s", nc_forward_target(k).text, why.text);
    }
}
