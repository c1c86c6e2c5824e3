/*
 * x11.c - the server's half of X11 forwarding: a display for one session, whose connections go to the client
 * as channels. What the cookies are worth is the client's to say.
 */
#include "nacre/x11.h"

#include "channel/forward.h"
#include "channel/x11.h"
#include "io/fd.h"
#include "io/listen.h"
#include "server/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    NUMBERS_TRIED = 1000, /* as OpenSSH: so many sessions with X11 on one host */
    HOST_ROOM = 256
};

struct nc_x11_server {
    nc_chan *k;
    nc_listen *listener; /* NULL: the one connection that was asked for is made */
    nacre_x11_request request;
    char display[HOST_ROOM + 32];
};
typedef struct nc_x11_server nc_x11_server;

void nacre_x11_server_options_init(nacre_x11_server_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->display_offset = 10;
}

static int carry(const nc_x11_server *s, int fd, nacre_error *why)
{
    nacre_server_conn *c = s->k->conn;
    nacre_endpoint from;
    nc_buf b;
    int rc = nacre_net_peer(fd, &from);
    nc_buf_init(&b, c->server->alloc, NC_FWD_DATA_MAX);
    if (rc == NACRE_OK) {
        rc = nc_fwd_write_x11(&b, from.address, from.port);
    }
    rc = rc == NACRE_OK ? nacre_server_carry(c, "x11", nc_buf_span(&b), fd, why)
                        : nc_fail(why, rc, "%s", nacre_status_text(rc));
    nc_buf_clear(&b);
    return rc;
}

static void accepted(void *user, nc_listen *l, int fd)
{
    nc_x11_server *s = user;
    nacre_error why = {0};
    nacre_net_set_nodelay(fd, true);
    if (carry(s, fd, &why) != NACRE_OK) {
        nc_logf(&s->k->conn->server->log, NACRE_LOG_VERBOSE, "an X11 connection: %s", why.text);
        nc_fd_close(&fd);
        return;
    }
    if (s->request.single_connection) {
        s->listener = NULL;
        nc_listen_free(l);
    }
}

void nc_x11_server_drop(nc_chan *k)
{
    nc_x11_server *s = k->x11;
    if (s) {
        k->x11 = NULL;
        nc_listen_free(s->listener);
        nc_wipe_free(k->conn->server->alloc, s, sizeof(*s));
    }
}

/* What this host is called by others. */
static int host_name(const nacre_x11_server_options *o, char *out, size_t size, nacre_error *err)
{
    int n;
    if (!o->any_address) {
        n = snprintf(out, size, "localhost");
    } else if (o->display_host) {
        n = snprintf(out, size, "%s", o->display_host);
    } else if (gethostname(out, size) == 0 && memchr(out, 0, size)) {
        n = (int)strlen(out);
    } else {
        n = -1;
    }
    return n > 0 && (size_t)n < size
               ? NACRE_OK
               : nc_fail(err, NACRE_INVALID_ARGUMENT, "this host has no name for a display");
}

static int find_number(nc_x11_server *s, const nacre_x11_server_options *o, uint16_t *number,
                       nacre_error *err)
{
    const nc_listen_calls calls = {.accepted = accepted, .user = s};
    const char *address = o->any_address ? "*" : "localhost";
    nacre_error why;
    for (uint32_t n = o->display_offset; n < (uint32_t)o->display_offset + NUMBERS_TRIED; n++) {
        if (n > NC_X11_NUMBER_MAX) {
            break;
        }
        nc_error_clear(&why);
        int rc = nc_listen_tcp(&s->listener, s->k->conn->server->loop, address,
                               (uint16_t)(NC_X11_PORT + n), o->family, &calls, &why);
        if (rc == NACRE_OK) {
            *number = (uint16_t)n;
            return rc;
        }
        if (why.detail != EADDRINUSE) {
            return nc_fail(err, rc, "no X11 display can be made: %s", why.text);
        }
    }
    return nc_fail(err, NACRE_LIMIT, "no number of an X11 display is free from %u on",
                   (unsigned)o->display_offset);
}

static int make(nc_x11_server *s, const nacre_x11_server_options *o, nacre_error *err)
{
    char host[HOST_ROOM];
    uint16_t number = 0;
    nacre_x11_display checked;
    int rc = host_name(o, host, sizeof(host), err);
    if (rc == NACRE_OK) {
        rc = find_number(s, o, &number, err);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    (void)snprintf(s->display, sizeof(s->display), "%s:%u.%u", host, (unsigned)number,
                   (unsigned)s->request.screen);
    return nacre_x11_display_parse(s->display, &checked, err);
}

static bool is_fit(const nacre_x11_request *r)
{
    return memchr(r->protocol, 0, sizeof(r->protocol)) && memchr(r->cookie, 0, sizeof(r->cookie)) &&
           nc_x11_is_protocol(nc_span_cstr(r->protocol)) &&
           nc_x11_is_cookie(nc_span_cstr(r->cookie)) && r->screen <= UINT16_MAX;
}

int nacre_server_x11(nacre_server_conn *c, nacre_channel *ch, const nacre_x11_request *request,
                     const nacre_x11_server_options *o, nacre_error *err)
{
    nacre_x11_server_options all;
    nc_error_clear(err);
    nacre_x11_server_options_init(&all);
    if (o && (o->size == 0 || o->size > sizeof(all))) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "options are made by nacre_x11_server_options_init");
    }
    if (o) {
        memcpy(&all, o, o->size);
    }
    nc_chan *k = nc_chan_find(c, ch);
    if (!k || !k->session || k->closed || !is_fit(request)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "X11 needs a session and what its x11-req said");
    }
    if (k->x11) {
        return nc_fail(err, NACRE_EXISTS, "this session has a display already");
    }
    nc_x11_server *s = nc_zalloc(c->server->alloc, sizeof(*s));
    if (!s) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a display");
    }
    s->k = k;
    s->request = *request;
    k->x11 = s;
    int rc = make(s, &all, err);
    if (rc != NACRE_OK) {
        nc_x11_server_drop(k);
    }
    return rc;
}

const char *nacre_server_x11_display(nacre_server_conn *c, nacre_channel *ch)
{
    const nc_chan *k = nc_chan_find(c, ch);
    return k && k->x11 ? k->x11->display : NULL;
}

const nacre_x11_request *nacre_server_x11_request(nacre_server_conn *c, nacre_channel *ch)
{
    const nc_chan *k = nc_chan_find(c, ch);
    return k && k->x11 ? &k->x11->request : NULL;
}
