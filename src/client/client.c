/*
 * client.c - the life of a client: connecting, waiting, the end.
 *
 * Its copy of the config: client_config.c. Who the server is: verify.c. Who we are: auth.c. What runs
 * over the connection: channels.c.
 */
#include "client/forwards.h"
#include "client/state.h"
#include "client/stream.h"

#include "client/mux_master.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    GOODBYE_MS = 1000,
    LEAVE_MS = 2000,
    DISCONNECT_BY_APPLICATION = 11 /* RFC 4253 11.1 */
};

/* ---- sentences ---- */

void nc_client_begin(nacre_client *c)
{
    nc_error_clear(&c->err);
}

int(nc_client_fail)(nacre_client *c, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = nc_vfail(&c->err, status, NACRE_BY_US, fmt, ap);
    va_end(ap);
    return rc;
}

void nc_client_log(const nacre_client *c, nacre_log_level level, const char *fmt, ...)
{
    const nacre_config *t = &c->cfg.transport;
    if (!t->log || level > t->log_level) {
        return;
    }
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    t->log(t->log_user, level, line);
}

void nc_client_warn(const nacre_client *c, const char *fmt, ...)
{
    char text[1536];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (c->cfg.callbacks.warning) {
        c->cfg.callbacks.warning(c->cfg.callbacks.user, text);
    }
    nc_client_log(c, NACRE_LOG_INFO, "%s", text);
}

/* ---- waiting ---- */

nc_wait nc_client_wait_init(const nacre_client *c, uint32_t timeout_ms, const char *what)
{
    nc_wait w = {nacre_loop_now(c->loop), UINT64_MAX, what};
    uint32_t ms = timeout_ms ? timeout_ms : c->cfg.timeout_ms;
    if (ms != 0 && ms != NACRE_FOREVER) {
        w.deadline = w.began + ms;
    }
    return w;
}

static double elapsed(const nacre_client *c, const nc_wait *w)
{
    return (double)(nacre_loop_now(c->loop) - w->began) / 1000.0;
}

/* The connection is over; the peer's words, if it had any, come first. */
/* A connection that ends is never NACRE_END: who reads would take it for the end of the data. */
static int fail_closed(nacre_client *c, const char *what, double seconds)
{
    bool plain = c->why.status == NACRE_OK || c->why.status == NACRE_END;
    int status = plain ? NACRE_CLOSED : c->why.status;
    const char *text = c->why.text[0] ? c->why.text : nacre_status_text(status);
    nc_error_clear(&c->err);
    (void)nc_fail(&c->err, status, "%s: %s (during %s, after %.1f s)", c->where, text, what,
                  seconds);
    nc_client_add_proxy(c, &c->err);
    c->err.by = c->why.by;
    c->err.disconnect_reason = c->why.disconnect_reason;
    c->err.detail = c->why.detail;
    return status;
}

int nc_client_alive(nacre_client *c, const char *what)
{
    if (!c->t) {
        return nc_client_fail(c, NACRE_WRONG_STATE, "%s: there is no connection yet", what);
    }
    return c->closed ? fail_closed(c, what, 0.0) : NACRE_OK;
}

static int ms_until(uint64_t deadline, uint64_t now)
{
    if (deadline == UINT64_MAX) {
        return -1;
    }
    uint64_t left = deadline > now ? deadline - now : 0;
    return left > INT_MAX ? INT_MAX : (int)left;
}

int nc_client_wait(nacre_client *c, const nc_wait *w, int (*done)(void *user), void *user)
{
    for (;;) {
        int rc = done(user);
        if (rc != NACRE_AGAIN) {
            return rc;
        }
        if (atomic_exchange(&c->cancelled, false)) {
            return nc_client_fail(c, NACRE_CANCELLED, "%s: %s was cancelled after %.1f s", c->where,
                                  w->what, elapsed(c, w));
        }
        if (c->closed) {
            return fail_closed(c, w->what, elapsed(c, w));
        }
        uint64_t now = nacre_loop_now(c->loop);
        if (now >= w->deadline) {
            return nc_client_fail(c, NACRE_TIMEOUT, "%s: %s timed out after %.1f s", c->where,
                                  w->what, elapsed(c, w));
        }
        rc = nacre_loop_run_once(c->loop, ms_until(w->deadline, now));
        if (rc != NACRE_OK) {
            return nc_client_fail(c, rc, "%s: %s: the event loop failed: %s", c->where, w->what,
                                  nacre_status_text(rc));
        }
        if (!c->closed) {
            nc_client_update_step(c);
        }
    }
}

void nc_client_push(nacre_client *c)
{
    nacre_driver_kick(c->d);
    if (nacre_loop_run_once(c->loop, 0) != NACRE_OK) {
        nc_client_log(c, NACRE_LOG_ERROR, "the event loop failed");
    }
}

void nacre_client_cancel(nacre_client *c)
{
    atomic_store(&c->cancelled, true);
    nacre_loop_wake(c->loop);
}

/* ---- life ---- */

int nacre_client_new(nacre_client **out, const nacre_client_config *cfg, nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    if (!cfg || cfg->size < offsetof(nacre_client_config, user) ||
        cfg->size > sizeof(nacre_client_config)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "the config was not made by nacre_client_config_init");
    }
    const nacre_allocator *a = cfg->transport.allocator;
    nacre_client *c = nc_zalloc(a, sizeof(*c));
    if (!c) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    c->alloc = a;
    c->fd = -1;
    nc_proxy_init(&c->proxy);
    c->run_rc = NACRE_AGAIN;
    atomic_init(&c->cancelled, false);
    nc_buf_init(&c->auth.texts, a, 512 * 1024);
    int rc = nc_client_copy_config(c, cfg, err);
    if (rc == NACRE_OK && !c->cfg.loop && c->cfg.via) {
        c->cfg.loop = nacre_client_loop(c->cfg.via);
    }
    if (rc == NACRE_OK && !c->cfg.loop) {
        rc = nacre_loop_new(&c->loop, a, err);
        c->own_loop = rc == NACRE_OK;
    } else {
        c->loop = c->cfg.loop;
    }
    if (rc != NACRE_OK) {
        nacre_client_free(c);
        return rc;
    }
    *out = c;
    return NACRE_OK;
}

/* ---- the connection ---- */

/* Everything of one connection goes; the client can make another. */
static void drop(nacre_client *c)
{
    nacre_net_connect_cancel(c->connecting);
    c->connecting = NULL;
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
    nc_agent_forward_drop(c);
    nc_x11_drop(c);
    nc_forwards_clear(c);
    nc_channels_clear(c);
    nc_openers_clear(c);
    nacre_driver_free(c->d);
    c->d = NULL;
    nc_proxy_stop(&c->proxy); /* its connection is gone: so is its reason to be */
    nc_auth_question_drop(c);
    nc_auth_agent_close(c);
    nacre_key_free(c->auth.loaded);
    nacre_key_free(c->auth.unlocked);
    nc_client_update_drop(c);
    nacre_transport_free(c->t);
    c->t = NULL;
    nacre_key_free(c->host_key);
    c->host_key = NULL;
    c->host_ticket = 0;
    c->closed = c->kex_done = c->connect_over = c->no_passwords = c->may_update = c->proxied =
        false;
    c->run_rc = NACRE_AGAIN;
    nc_buf texts = c->auth.texts;
    memset(&c->auth, 0, sizeof(c->auth));
    c->auth.texts = texts;
    nc_error_clear(&c->why);
    nc_free(c->alloc, c->host);
    c->host = NULL;
}

/* Questions that nobody here answers go to the application, or get the answer no. */
static void hand_on(nacre_client *c, const nacre_event *ev)
{
    if (c->cfg.callbacks.event) {
        c->cfg.callbacks.event(c->cfg.callbacks.user, c, ev);
    } else if (ev->ticket) {
        (void)nacre_transport_refuse(c->t, ev->ticket);
    }
}

static void on_event(void *user, nacre_driver *d, const nacre_event *ev)
{
    nacre_client *c = user;
    (void)d;
    switch (ev->type) {
    case NACRE_EVENT_HOST_KEY:
        nacre_key_free(c->host_key);
        c->host_key = nacre_key_ref((nacre_key *)(uintptr_t)ev->u.host_key.key);
        c->host_ticket = ev->ticket;
        return;
    case NACRE_EVENT_SIGN:
        if (!c->auth.key_path && !c->auth.signer && !(ev->u.sign.host && c->auth.keysign)) {
            break; /* the caller's key */
        }
        nc_auth_event_kept(c, ev);
        return;
    case NACRE_EVENT_AUTH_PROMPTS:
    case NACRE_EVENT_AUTH_CHANGE_PASSWORD:
        nc_auth_event_kept(c, ev);
        return;
    case NACRE_EVENT_AUTH_RESULT:
        nc_auth_event_kept(c, ev);
        break;
    case NACRE_EVENT_AUTH_BANNER:
        if (c->cfg.callbacks.banner) {
            c->cfg.callbacks.banner(c->cfg.callbacks.user, ev->text);
        }
        return;
    case NACRE_EVENT_KEX_DONE:
        c->kex_done = true;
        break;
    case NACRE_EVENT_HOST_KEYS:
    case NACRE_EVENT_HOST_KEYS_PROVEN:
        nc_client_update_event(c, ev);
        break;
    case NACRE_EVENT_GLOBAL_REPLY:
        if (nc_forwards_reply(c, ev)) {
            return;
        }
        break;
    default:
        if (ev->channel && nc_channels_event(c, ev)) {
            return;
        }
        if (ev->type == NACRE_EVENT_CHANNEL_OPEN && nc_openers_event(c, ev)) {
            return;
        }
        break;
    }
    hand_on(c, ev);
}

static void on_closed(void *user, nacre_driver *d, const nacre_error *why)
{
    nacre_client *c = user;
    (void)d;
    c->closed = true;
    c->why = *why;
    for (nc_chan *k = c->chans; k; k = k->next) {
        if (k->relay) {
            nacre_relay_abandon(k->relay);
        }
        if (k->stream) {
            nc_stream_changed(k->stream);
        }
    }
    nc_mux_master_over(c->mux_master);
    nc_forwards_closed(c);
}

static int prepare(nacre_client *c, const char *host, uint16_t port)
{
    if (c->t && !c->closed) {
        return nc_client_fail(c, NACRE_WRONG_STATE, "this client is connected to %s already",
                              c->where);
    }
    if (!host || !*host) {
        return nc_client_fail(c, NACRE_INVALID_ARGUMENT, "no host was named");
    }
    drop(c);
    c->port = port ? port : 22;
    c->host = nc_strdup(c->alloc, host);
    if (!c->host) {
        return nc_client_fail(c, NACRE_NO_MEMORY, "out of memory");
    }
    (void)snprintf(c->where, sizeof(c->where), "%s port %u", NC_ESC(nc_span_cstr(host)),
                   (unsigned)c->port);
    return NACRE_OK;
}

static nc_wait connect_wait(const nacre_client *c, const char *what)
{
    uint32_t ms = c->cfg.connect_timeout_ms;
    return nc_client_wait_init(c, ms ? ms : NACRE_FOREVER, what);
}

static int attach(nacre_client *c, int in_fd, int out_fd)
{
    nacre_config cfg = c->cfg.transport;
    nacre_endpoint peer;
    char *preferred = NULL;
    int rc = c->proxied ? NACRE_OK : nc_client_prefer_known(c, &preferred);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (preferred) {
        cfg.host_key = preferred;
    }
    c->in_fd = in_fd;
    (void)snprintf(c->address, sizeof(c->address), "%s",
                   nacre_net_peer(in_fd, &peer) == NACRE_OK && peer.family ? peer.address : "");
    uint64_t now = nacre_loop_now(c->loop);
    rc = c->proxied ? nacre_transport_new_proxied(&c->t, &cfg, now, &c->err)
                    : nacre_transport_new(&c->t, &cfg, now, &c->err);
    nc_free(c->alloc, preferred);
    if (rc != NACRE_OK) {
        return rc;
    }
    nacre_driver_options o;
    nacre_driver_options_init(&o);
    o.on_event = on_event;
    o.on_closed = on_closed;
    o.user = c;
    rc = nacre_driver_new(&c->d, c->loop, c->t, in_fd, out_fd, &o, &c->err);
    if (rc != NACRE_OK) {
        nacre_transport_free(c->t);
        c->t = NULL;
    }
    return rc;
}

int nacre_client_connect_proxied(nacre_client *c, int fd, const char *host, uint16_t port)
{
    nc_client_begin(c);
    int rc = prepare(c, host, port);
    if (rc == NACRE_OK) {
        c->proxied = c->kex_done = true;
        rc = attach(c, fd, fd);
    }
    return rc;
}

static int host_key_there(void *user)
{
    const nacre_client *c = user;
    return c->host_ticket ? NACRE_OK : NACRE_AGAIN;
}

static int kex_over(void *user)
{
    const nacre_client *c = user;
    return c->kex_done ? NACRE_OK : NACRE_AGAIN;
}

/* A failure on the way in ends the connection, with our reason told to the server. */
static int give_up(nacre_client *c, int rc)
{
    nacre_error kept = c->err;
    nacre_client_disconnect(c);
    c->err = kept;
    return rc;
}

/* Up to the accepted host key: an attempt to log in can be queued now, and leaves with NEWKEYS. */
static int shake_hands(nacre_client *c, int in_fd, int out_fd, const nc_wait *w)
{
    int rc = attach(c, in_fd, out_fd);
    if (rc != NACRE_OK) {
        return rc;
    }
    c->fd = -1;
    rc = nc_client_wait(c, w, host_key_there, c);
    if (rc == NACRE_OK) {
        rc = nc_client_verify(c);
    }
    return rc == NACRE_OK ? rc : give_up(c, rc);
}

static void on_connected(void *user, int fd, const nacre_error *why)
{
    nacre_client *c = user;
    c->connecting = NULL;
    c->connect_over = true;
    c->fd = fd;
    if (fd < 0) {
        c->connect_why = *why;
    }
}

static int connect_over(void *user)
{
    const nacre_client *c = user;
    return c->connect_over ? NACRE_OK : NACRE_AGAIN;
}

static int dial(nacre_client *c, nc_wait *w)
{
    nacre_connect_options o;
    nacre_connect_options_init(&o);
    o.family = c->cfg.family;
    o.bind_address = c->cfg.bind_address;
    o.bind_interface = c->cfg.bind_interface;
    o.timeout_ms = c->cfg.connect_timeout_ms;
    nc_client_log(c, NACRE_LOG_VERBOSE, "Connecting to %s.", c->where);
    int rc = nacre_net_connect_start(&c->connecting, c->loop, c->alloc, c->host, c->port, &o,
                                     on_connected, c, &c->err);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_wait grace = *w;
    if (grace.deadline != UINT64_MAX) {
        grace.deadline += 250; /* the connect's own timer comes first: it knows every address */
    }
    rc = nc_client_wait(c, &grace, connect_over, c);
    nacre_net_connect_cancel(c->connecting);
    c->connecting = NULL;
    if (rc == NACRE_OK && c->fd < 0) {
        c->err = c->connect_why;
        rc = c->err.status;
        size_t n = strlen(c->err.text);
        (void)snprintf(c->err.text + n, sizeof(c->err.text) - n, ", after %.1f s", elapsed(c, w));
    } else if (rc == NACRE_OK) {
        nc_client_log(c, NACRE_LOG_VERBOSE, "Connection established.");
    }
    return rc;
}

static int connect_by_name(nacre_client *c, const char *host, uint16_t port)
{
    nc_client_begin(c);
    int rc = prepare(c, host, port);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_wait w = connect_wait(c, "connecting");
    rc = c->cfg.via               ? nc_client_dial_via(c, &w)
         : nc_client_has_proxy(c) ? nc_client_dial_proxy(c, &w)
                                  : dial(c, &w);
    if (rc != NACRE_OK) {
        nc_proxy_stop(&c->proxy);
        return rc;
    }
    w.what = "the key exchange";
    rc = shake_hands(c, c->fd, c->fd, &w);
    if (rc != NACRE_OK && c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
    if (rc != NACRE_OK) {
        nc_proxy_stop(&c->proxy);
    }
    return rc;
}

static int connect_by_fd(nacre_client *c, int in_fd, int out_fd, const char *host, uint16_t port)
{
    nc_client_begin(c);
    int rc = prepare(c, host, port);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_wait w = connect_wait(c, "the key exchange");
    return shake_hands(c, in_fd, out_fd, &w);
}

static int end_kex(nacre_client *c, int rc)
{
    if (rc == NACRE_OK) {
        nc_wait w = connect_wait(c, "the key exchange");
        rc = nc_client_wait(c, &w, kex_over, c);
        rc = rc == NACRE_OK ? rc : give_up(c, rc);
    }
    return rc;
}

int nacre_client_connect(nacre_client *c, const char *host, uint16_t port)
{
    return end_kex(c, connect_by_name(c, host, port));
}

int nacre_client_connect_fd(nacre_client *c, int in_fd, int out_fd, const char *host, uint16_t port)
{
    return end_kex(c, connect_by_fd(c, in_fd, out_fd, host, port));
}

int nacre_client_login(nacre_client *c, int in_fd, int out_fd, const char *host, uint16_t port)
{
    int rc =
        in_fd >= 0 ? connect_by_fd(c, in_fd, out_fd, host, port) : connect_by_name(c, host, port);
    return rc == NACRE_OK ? nc_client_authenticate(c) : rc;
}

int nacre_client_open(nacre_client **out, const nacre_client_config *cfg, const char *host,
                      uint16_t port, nacre_error *err)
{
    nc_error_clear(err);
    nacre_client *c = NULL;
    *out = NULL;
    int rc = nacre_client_new(&c, cfg, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = nacre_client_login(c, -1, -1, host, port);
    if (rc != NACRE_OK) {
        if (err) {
            *err = c->err;
        }
        nacre_client_disconnect(c);
        nacre_client_free(c);
        return rc;
    }
    *out = c;
    return NACRE_OK;
}

/* ---- the end ---- */

static int is_closed(void *user)
{
    const nacre_client *c = user;
    return c->closed ? NACRE_OK : NACRE_AGAIN;
}

static int channels_are_over(void *user)
{
    const nacre_client *c = user;
    nacre_counters n;
    if (c->closed) {
        return NACRE_CLOSED;
    }
    nacre_transport_counters(c->t, &n);
    return n.channels == 0 ? NACRE_OK : NACRE_AGAIN;
}

/*
 * Who leaves OpenSSH's master before the server has closed, or even opened, every channel takes it along, and the
 * sessions of everybody else with it: what the server says then is for a channel that the master has half forgotten.
 */
static void leave_master(nacre_client *c)
{
    for (nc_chan *k = c->chans; k; k = k->next) {
        (void)nacre_channel_close(k->ch);
    }
    nacre_driver_kick(c->d);
    nc_wait w = nc_client_wait_init(c, LEAVE_MS, "the end of the channels");
    (void)nc_client_wait(c, &w, channels_are_over, c);
}

static void say_goodbye(nacre_client *c)
{
    if (!c->d || c->closed) {
        return;
    }
    nacre_error kept = c->err;
    bool cancelled = atomic_exchange(&c->cancelled, false);
    if (c->proxied) {
        leave_master(c);
    }
    (void)nacre_transport_disconnect(c->t, DISCONNECT_BY_APPLICATION, "disconnected by user");
    nacre_driver_close(c->d);
    nc_wait w = nc_client_wait_init(c, GOODBYE_MS, "the goodbye");
    if (!c->closed && nc_client_wait(c, &w, is_closed, c) != NACRE_OK) {
        nacre_driver_free(c->d); /* the peer takes nothing: not a word more */
        c->d = NULL;
        c->closed = true;
    }
    if (cancelled) {
        atomic_store(&c->cancelled, true); /* meant for another call */
    }
    c->err = kept;
}

void nacre_client_disconnect(nacre_client *c)
{
    if (c) {
        say_goodbye(c);
        nacre_client_disconnect(c->owned_via);
    }
}

void nacre_client_free(nacre_client *c)
{
    if (!c) {
        return;
    }
    drop(c);
    nc_buf_clear(&c->auth.texts);
    for (size_t i = 0; i < c->cfg.key_count; i++) {
        nacre_key_free(c->cfg.keys[i]);
    }
    for (size_t i = 0; i < c->cfg.host_key_count; i++) {
        nacre_key_free(c->cfg.host_keys[i]);
    }
    if (c->cfg.password.p) {
        nc_wipe_free(c->alloc, (void *)(uintptr_t)c->cfg.password.p, c->cfg.password.n + 1);
    }
    for (size_t i = 0; i < c->owned_count; i++) {
        nc_free(c->alloc, c->owned[i]);
    }
    nc_free(c->alloc, c->owned);
    nacre_client_free(c->owned_via);
    if (c->own_loop) {
        nacre_loop_free(c->loop);
    }
    nc_free(c->alloc, c);
}

/* ---- asking about it ---- */

const nacre_error *nacre_client_error(const nacre_client *c)
{
    return &c->err;
}

nacre_transport *nacre_client_transport(nacre_client *c)
{
    return c->t;
}

nacre_driver *nacre_client_driver(nacre_client *c)
{
    return c->d;
}

nacre_loop *nacre_client_loop(nacre_client *c)
{
    return c->loop;
}

void nacre_client_set_log_level(nacre_client *c, nacre_log_level level)
{
    c->cfg.transport.log_level = level;
    if (c->t) {
        nacre_transport_set_log_level(c->t, level);
    }
}
