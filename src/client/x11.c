/*
 * x11.c - the client's half of X11 forwarding. A connection's first message is read before anything else
 * is done: only a cookie that we made up for one of our sessions leads to a display, and only the display's
 * own cookie goes there.
 */
#include "nacre/x11.h"

#include "channel/forward.h"
#include "channel/x11.h"
#include "client/forwards.h"
#include "client/state.h"
#include "crypto/crypto.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/x11.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Connections that have not shown their cookie, or wait for the display: programs open one each. */
    PENDING_MAX = 64,
    /* Sessions with X11 of one connection: above what any server lets somebody have. */
    GRANTS_MAX = 256,
    COOKIE_SIZE = 16, /* where the display has none of its own */
    PROHIBITED = 1,   /* RFC 4254 5.1 */
    RESOURCE_SHORTAGE = 4
};

static const char magic[] = "MIT-MAGIC-COOKIE-1";

/* What one session asked for. */
typedef struct grant {
    struct grant *next;
    const nacre_channel *session;
    nacre_x11_display display;
    nacre_x11_cookie real; /* size 0: the display wants none */
    char protocol[NC_X11_NAME_MAX];
    uint8_t fake[NC_X11_DATA_MAX];
    size_t fake_size;
    bool single, used;
    uint64_t until; /* of the loop's clock; UINT64_MAX: no end */
    void (*on_refused)(void *user, const char *text);
    void *user;
} grant;

/* A connection between its channel's open and the relay. */
typedef struct pending {
    struct pending *next;
    nacre_client *c;
    nacre_channel *ch;
    nc_x11_setup setup;
    uint8_t first[NC_X11_SETUP_MAX]; /* what the display gets in its place */
    size_t first_size;
    nacre_connecting *dialing;
    bool over;
    nc_task end;
} pending;

struct nc_x11 {
    grant *grants; /* the newest first */
    size_t grant_count;
    pending *list;
    size_t count;
};

void nacre_x11_options_init(nacre_x11_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->want_reply = true;
}

/* ---- the end of a connection that did not get through ---- */

static void say(const nacre_client *c, const char *text)
{
    const grant *g = c->x11->grants;
    nc_client_log(c, NACRE_LOG_VERBOSE, "%s", text);
    if (g && g->on_refused) {
        g->on_refused(g->user, text);
    }
}

/* with_channel: it is closed; else a relay has it. */
static void forget(pending *p, bool with_channel)
{
    nacre_client *c = p->c;
    nacre_channel *ch = p->ch;
    pending **at = &c->x11->list;
    while (*at != p) {
        at = &(*at)->next;
    }
    *at = p->next;
    c->x11->count--;
    nacre_net_connect_cancel(p->dialing);
    nc_loop_undefer(c->loop, &p->end);
    nc_wipe(p, sizeof(*p));
    nc_free(c->alloc, p);
    if (with_channel) {
        nacre_client_channel_free(c, ch);
    }
}

static void end(void *user)
{
    forget(user, true);
}

/* Not at once: an event of this channel may be under way. */
static void end_soon(pending *p)
{
    p->over = true;
    nc_loop_defer(p->c->loop, &p->end);
}

/* The program is told as an X server would tell it. */
static void turn_away(pending *p, const char *reason, const char *text)
{
    uint8_t no[NC_X11_REFUSAL_MAX];
    size_t took = 0, n = nc_x11_refusal(&p->setup, reason, no);
    if (nacre_channel_write(p->ch, NACRE_STDOUT, no, n, &took) != NACRE_OK || took != n) {
        nc_client_log(p->c, NACRE_LOG_DEBUG, "An X11 program was not told why it is refused.");
    }
    say(p->c, text);
    end_soon(p);
}

/* ---- to the display ---- */

static void connected(void *user, int fd, const nacre_error *why)
{
    pending *p = user;
    nacre_relay_options o;
    nacre_error failed;
    const nc_chan *k = nc_channels_find(p->c, p->ch);
    p->dialing = NULL;
    if (fd < 0) {
        turn_away(p, "the display cannot be reached", why->text);
        return;
    }
    nacre_relay_options_init(&o);
    o.source = o.sink = fd;
    bool gone = !k || k->closed;
    if (!gone && nc_fd_write(fd, NC_FD_SOCKET, p->first, p->first_size) == (ssize_t)p->first_size) {
        nacre_net_set_nodelay(fd, true);
        if (nacre_client_attach(p->c, p->ch, &o, &failed) == NACRE_OK) {
            forget(p, false);
            return;
        }
    }
    nc_fd_close(&fd);
    end_soon(p);
}

static void dial(pending *p, const grant *g)
{
    nacre_error why;
    int fd = -1;
    nc_error_clear(&why);
    int rc =
        nc_x11_dial(&g->display, p->c->loop, p->c->alloc, &fd, &p->dialing, connected, p, &why);
    if (rc != NACRE_OK || fd >= 0) {
        connected(p, fd, &why);
    }
}

/* ---- the first message ---- */

static bool is_live(const nacre_client *c, const grant *g)
{
    return !(g->single && g->used) && nacre_loop_now(c->loop) < g->until;
}

/* The session whose cookie it is; the time that this takes says nothing about any of them. */
static grant *find_grant(const nacre_client *c, const nc_x11_setup *s)
{
    nacre_span name, data;
    grant *found = NULL;
    nc_x11_setup_read(s, &name, &data);
    for (grant *g = c->x11->grants; g; g = g->next) {
        bool same = data.n == g->fake_size && nc_ct_equal(data.p, g->fake, g->fake_size);
        if (same && nc_span_is(name, g->protocol) && is_live(c, g)) {
            found = g;
        }
    }
    return found;
}

static void judge(pending *p)
{
    grant *g = find_grant(p->c, &p->setup);
    if (!g) {
        turn_away(p, "wrong authentication",
                  "X11 connection rejected because of wrong authentication.");
        return;
    }
    g->used = true;
    p->first_size =
        nc_x11_setup_write(&p->setup, nc_span_cstr(g->real.size ? g->real.protocol : ""),
                           nc_span(g->real.data, g->real.size), p->first);
    dial(p, g);
}

/* What is behind the first message waits in the channel for the relay. */
static void take_data(pending *p, nc_chan *k, nacre_span bytes)
{
    size_t took = 0;
    int rc = nc_x11_setup_add(&p->setup, bytes, &took);
    (void)nacre_channel_consumed(p->ch, took);
    if (rc == NACRE_AGAIN) {
        return;
    }
    if (rc != NACRE_OK) {
        (void)nacre_channel_consumed(p->ch, bytes.n - took);
        turn_away(p, "this is no X11", "X11 connection rejected: it does not begin as one.");
        return;
    }
    k->fn = NULL; /* from here on the channel keeps what comes */
    if (took < bytes.n && nc_queue_append(&k->in[0], bytes.p + took, bytes.n - took) != NACRE_OK) {
        end_soon(p);
        return;
    }
    judge(p);
}

static int on_channel(void *user, const nacre_event *ev)
{
    pending *p = user;
    nc_chan *k = nc_channels_find(p->c, p->ch);
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_DATA:
        if (p->over || ev->u.data.stream != NACRE_STDOUT) {
            (void)nacre_channel_consumed(p->ch, ev->u.data.bytes.n);
        } else {
            take_data(p, k, ev->u.data.bytes);
        }
        break;
    case NACRE_EVENT_CHANNEL_EOF:
    case NACRE_EVENT_CHANNEL_CLOSED:
        end_soon(p);
        break;
    case NACRE_EVENT_CHANNEL_REQUEST:
        if (ev->ticket) {
            (void)nacre_transport_refuse(p->c->t, ev->ticket);
        }
        break;
    default:
        break;
    }
    return NACRE_AGAIN;
}

/* ---- the open ---- */

static const char *why_not(const nacre_client *c, uint32_t *reason)
{
    const struct nc_x11 *x = c->x11;
    *reason = PROHIBITED;
    for (const grant *g = x->grants; g; g = g->next) {
        if (is_live(c, g)) {
            return NULL;
        }
    }
    return x->grants && x->grants->single && x->grants->used
               ? "X11 connection rejected: only one was asked for."
           : x->grants ? "X11 connection rejected: the time for new ones is over."
                       : "X11 connection rejected: no session wants it any more.";
}

/*
 * Anybody at the server can connect to a display there and say nothing: the one that has done so for longest
 * gives way. Who has shown a cookie stays.
 */
static bool make_room(nacre_client *c)
{
    pending *oldest = NULL;
    for (pending *p = c->x11->list; p; p = p->next) {
        oldest = p->dialing || p->over ? oldest : p;
    }
    if (!oldest) {
        return false;
    }
    forget(oldest, true);
    say(c, "X11 connection rejected: it said nothing, and too many begin at once.");
    return true;
}

static bool on_open(void *user, nacre_client *c, const nacre_event *ev)
{
    uint32_t reason;
    const char *no = why_not(c, &reason);
    (void)user;
    if (!no && c->x11->count >= PENDING_MAX && !make_room(c)) {
        no = "too many X11 connections begin at once";
        reason = RESOURCE_SHORTAGE;
    }
    if (no) {
        say(c, no);
        nc_client_refuse_open(c, ev->ticket, reason, "X11 is not available");
        return true;
    }
    pending *p = nc_zalloc(c->alloc, sizeof(*p));
    if (!p) {
        nc_client_refuse_open(c, ev->ticket, RESOURCE_SHORTAGE, "out of memory");
        return true;
    }
    p->c = c;
    p->ch = ev->channel;
    p->end.fn = end;
    p->end.user = p;
    nc_chan *k = nc_client_accept_open(c, ev->ticket, ev->channel);
    if (!k) {
        nc_free(c->alloc, p);
        return true;
    }
    k->fn = on_channel;
    k->fn_user = p;
    p->next = c->x11->list;
    c->x11->list = p;
    c->x11->count++;
    return true;
}

/* ---- asking for it ---- */

static void free_grant(nacre_client *c, grant **at)
{
    grant *g = *at;
    *at = g->next;
    c->x11->grant_count--;
    nc_wipe_free(c->alloc, g, sizeof(*g));
}

void nc_x11_session_over(nacre_client *c, const nacre_channel *ch)
{
    for (grant **at = c->x11 ? &c->x11->grants : NULL; at && *at;) {
        if ((*at)->session == ch) {
            free_grant(c, at);
        } else {
            at = &(*at)->next;
        }
    }
}

void nc_x11_drop(nacre_client *c)
{
    if (!c->x11) {
        return;
    }
    while (c->x11->list) {
        forget(c->x11->list, true);
    }
    while (c->x11->grants) {
        free_grant(c, &c->x11->grants);
    }
    nc_free(c->alloc, c->x11);
    c->x11 = NULL;
}

static int fill(const nacre_client *c, grant *g, const nacre_x11_options *o, nacre_error *err)
{
    const nc_random random = {c->cfg.transport.random, c->cfg.transport.random_user};
    const char *display = o->display ? o->display : getenv("DISPLAY");
    if (!display || !*display) {
        return nc_fail(err, NACRE_NOT_FOUND, "no X11 is forwarded: DISPLAY is not set");
    }
    int rc = nacre_x11_display_parse(display, &g->display, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (o->cookie) {
        g->real = *o->cookie;
    }
    if (g->real.size > sizeof(g->real.data) ||
        (o->cookie && (!memchr(g->real.protocol, 0, sizeof(g->real.protocol)) ||
                       !nc_x11_is_protocol(nc_span_cstr(g->real.protocol))))) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "this is no cookie of an X display");
    }
    (void)snprintf(g->protocol, sizeof(g->protocol), "%s", g->real.size ? g->real.protocol : magic);
    g->fake_size = g->real.size ? g->real.size : COOKIE_SIZE;
    g->single = o->single_connection;
    g->until = o->timeout_seconds ? nacre_loop_now(c->loop) + (uint64_t)o->timeout_seconds * 1000
                                  : UINT64_MAX;
    g->on_refused = o->on_refused;
    g->user = o->user;
    rc = nc_random_bytes(&random, g->fake, g->fake_size);
    return rc == NACRE_OK ? rc : nc_fail(err, rc, "no randomness for a cookie");
}

static int ask(nacre_channel *ch, const grant *g, bool want_reply, nacre_error *err)
{
    nc_buf b;
    nc_buf_init(&b, NULL, NC_FWD_DATA_MAX);
    int rc = nc_x11_req_write(&b, g->single, g->protocol, nc_span(g->fake, g->fake_size),
                              g->display.screen);
    if (rc == NACRE_OK) {
        rc = nacre_channel_request(ch, "x11-req", want_reply, nc_buf_span(&b));
    }
    nc_buf_clear(&b);
    return rc == NACRE_OK ? rc
                          : nc_fail(err, rc, "X11 cannot be asked for: %s", nacre_status_text(rc));
}

static int add_grant(nacre_client *c, nacre_channel *ch, const nacre_x11_options *o,
                     nacre_error *err)
{
    grant *g = c->x11->grant_count < GRANTS_MAX ? nc_zalloc(c->alloc, sizeof(*g)) : NULL;
    if (!g) {
        return nc_fail(err, NACRE_LIMIT, "no more sessions with X11 can be had");
    }
    g->session = ch;
    g->next = c->x11->grants;
    c->x11->grants = g;
    c->x11->grant_count++;
    int rc = fill(c, g, o, err);
    if (rc == NACRE_OK) {
        rc = nc_client_serve_open(c, "x11", on_open, NULL);
        if (rc != NACRE_OK) {
            rc = nc_fail(err, rc, "too many kinds of channels are served already");
        }
    }
    if (rc == NACRE_OK) {
        rc = ask(ch, g, o->want_reply, err);
    }
    if (rc != NACRE_OK) {
        free_grant(c, &c->x11->grants);
    }
    return rc;
}

int nacre_client_x11(nacre_client *c, nacre_channel *ch, const nacre_x11_options *o,
                     nacre_error *err)
{
    nacre_x11_options all;
    nc_error_clear(err);
    if (!o || o->size == 0 || o->size > sizeof(all)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "options are made by nacre_x11_options_init");
    }
    nacre_x11_options_init(&all);
    memcpy(&all, o, o->size);
    if (!c->t || c->closed || !ch || !nc_channels_find(c, ch)) {
        return nc_fail(err, NACRE_CLOSED, "X11 forwarding needs an open session of this client");
    }
    if (!c->x11 && !(c->x11 = nc_zalloc(c->alloc, sizeof(*c->x11)))) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    nc_x11_session_over(c, ch); /* asked for again: what was asked before is void */
    int rc = add_grant(c, ch, &all, err);
    nacre_driver_kick(c->d);
    return rc;
}
