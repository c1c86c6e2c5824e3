/*
 * mux_session.c - a session of a master's client (PROTOCOL.mux 2), and a connection for its -W (3): the client's
 * descriptors tied to a channel by a relay, its exit status told.
 */
#include "client/mux_master.h"

#include "io/fd.h"
#include "nacre/process.h"
#include "wire/wr.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { MODES_MAX = 1024, ORIGIN_PORT = 65535 };

/* ---- the end ---- */

void nc_mux_session_drop(nc_mux_conn *x)
{
    nacre_client *c = x->m->c;
    if (!x->ch) {
        return;
    }
    nc_chan *k = nc_channels_find(c, x->ch);
    if (k) {
        k->relay = NULL;
        k->fn = NULL;
    }
    nacre_relay_free(x->relay);
    x->relay = NULL;
    nacre_client_channel_free(c, x->ch);
    x->ch = NULL;
    if (!c->closed) {
        nacre_driver_kick(c->d);
    }
    nc_mux_close_fds(x);
}

static void on_finished(void *user, nacre_relay *r, const nacre_relay_result *result)
{
    nc_mux_conn *x = user;
    nc_ctl_msg msg = {.type = NC_CTL_S_EXIT};
    (void)r;
    if (x->is_session && result->exited && !x->hung_up) {
        msg.u.exit.session = nacre_channel_id(x->ch);
        msg.u.exit.status = result->status;
        nc_mux_send(x, &msg);
    }
    nc_mux_session_drop(x);
    nc_mux_hang_up(x);
}

void nc_mux_session_over(nc_mux_conn *x)
{
    if (x->bridge) {
        nc_mux_bridge_end(x->bridge);
    }
    if (!x->ch) {
        return;
    }
    if (!x->relay) {
        nc_mux_session_drop(x);
        nc_mux_hang_up(x);
    }
}

/* Something about this session, where its user sees it. */
static void tell_user(nc_mux_conn *x, const char *text)
{
    struct pollfd p = {x->fds[2], POLLOUT, 0};
    if (x->fds[2] >= 0 && poll(&p, 1, 0) == 1 && (p.revents & POLLOUT)) {
        (void)!nc_fd_write(x->fds[2], nc_fd_classify(x->fds[2]), text, strlen(text));
    }
}

/* ---- its program ---- */

static int send_pty(nc_mux_conn *x)
{
    uint8_t modes[MODES_MAX];
    size_t n = sizeof(modes);
    nacre_pty pty;
    memset(&pty, 0, sizeof(pty));
    if (nacre_tty_size(x->fds[0], &pty) != NACRE_OK) {
        memset(&pty, 0, sizeof(pty));
    }
    if (nacre_tty_modes(x->fds[0], modes, &n) != NACRE_OK) {
        n = 0;
    }
    pty.term = nc_span_cstr(x->term);
    pty.modes = nc_span(modes, n);
    return nacre_channel_pty(x->ch, &pty, true);
}

static int send_env(nc_mux_conn *x)
{
    nacre_span env = nc_buf_span(&x->env), one;
    int rc = NACRE_OK;
    while (rc == NACRE_OK && env.n > 0 && nc_ctl_next_env(&env, &one)) {
        char *name = nc_strndup(x->m->alloc, one);
        char *eq = name ? strchr(name, '=') : NULL;
        if (eq) {
            *eq = '\0';
            rc = nacre_channel_env(x->ch, name, eq + 1, false);
        }
        rc = name ? rc : NACRE_NO_MEMORY;
        nc_free(x->m->alloc, name);
    }
    nc_buf_clear(&x->env);
    return rc;
}

static int send_program(nc_mux_conn *x)
{
    nacre_channel_info info;
    const nacre_mux_master_options *o = &x->m->opts;
    if (o->session) {
        o->session(o->user, x->ch, x->agent, x->x11);
    }
    nacre_channel_get_info(x->ch, &info);
    x->skip_replies = info.requests_pending;
    x->pty_reply_due = x->pty;
    int rc = x->pty ? send_pty(x) : NACRE_OK;
    rc = rc == NACRE_OK ? send_env(x) : rc;
    if (rc != NACRE_OK) {
        return rc;
    }
    if (*x->command == '\0') {
        return nacre_channel_shell(x->ch, true);
    }
    return x->subsystem ? nacre_channel_subsystem(x->ch, x->command, true)
                        : nacre_channel_exec(x->ch, nc_span_cstr(x->command), true);
}

static void replay(void *user, const nacre_event *ev)
{
    (void)nacre_relay_event(user, ev);
}

static int tie(nc_mux_conn *x)
{
    nacre_client *c = x->m->c;
    nacre_relay_options o;
    nacre_error why;
    nc_error_clear(&why);
    nacre_relay_options_init(&o);
    o.source = x->fds[0];
    o.sink = x->fds[1];
    o.sink_err = x->fds[2];
    o.shared = true;
    o.peer_closes = x->is_session;
    o.on_finished = on_finished;
    o.user = x;
    if (x->pty && x->escape >= 0) {
        o.filter = nc_mux_filter;
    }
    int rc = nacre_relay_new(&x->relay, c->loop, c->d, x->ch, &o, &why);
    nc_chan *k = nc_channels_find(c, x->ch);
    if (rc != NACRE_OK || !k) {
        nc_client_log(c, NACRE_LOG_INFO, "a session of the shared connection: %s", why.text);
        return rc != NACRE_OK ? rc : NACRE_NOT_FOUND;
    }
    k->relay = x->relay;
    nc_channels_replay(c, k, replay, x->relay);
    return NACRE_OK;
}

static void give_up(nc_mux_conn *x, const char *why)
{
    char text[128];
    (void)snprintf(text, sizeof(text), "%s on channel %u\r\n", why,
                   (unsigned)nacre_channel_id(x->ch));
    tell_user(x, text);
    nc_mux_session_drop(x);
    nc_mux_hang_up(x);
}

static void take_reply(nc_mux_conn *x, bool success)
{
    if (x->skip_replies > 0) {
        x->skip_replies--;
        return;
    }
    if (x->pty_reply_due) {
        x->pty_reply_due = false;
        if (!success) {
            nc_ctl_msg msg = {.type = NC_CTL_S_TTY_FAILED};
            msg.u.exit.session = nacre_channel_id(x->ch);
            x->pty = false;
            tell_user(x, "PTY allocation request failed\r\n");
            nc_mux_send(x, &msg);
        }
        return;
    }
    if (x->relay) {
        return; /* to a request from within the session */
    }
    if (!success) {
        give_up(x, !*x->command   ? "shell request failed"
                   : x->subsystem ? "subsystem request failed"
                                  : "exec request failed");
    } else if (tie(x) != NACRE_OK) {
        give_up(x, "descriptors cannot be used");
    }
}

/* ---- the channel ---- */

static void refused(nc_mux_conn *x, const char *why)
{
    nc_mux_session_drop(x);
    nc_mux_refuse(x, NC_CTL_S_FAILURE, x->request_id, why);
    nc_mux_resume(x);
}

static void opened(nc_mux_conn *x)
{
    nc_ctl_msg msg = {.type = NC_CTL_S_SESSION, .id = x->request_id};
    int rc = x->is_session ? send_program(x) : tie(x);
    x->opened = true;
    if (rc != NACRE_OK) {
        refused(x, nacre_status_text(rc));
        return;
    }
    msg.u.number = nacre_channel_id(x->ch);
    nc_mux_send(x, &msg);
    nc_mux_resume(x);
    nacre_driver_kick(x->m->c->d);
}

static int on_channel(void *user, const nacre_event *ev)
{
    nc_mux_conn *x = user;
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_OPENED:
        opened(x);
        break;
    case NACRE_EVENT_CHANNEL_FAILED:
        refused(x, "Session open refused by peer");
        break;
    case NACRE_EVENT_CHANNEL_REPLY:
        take_reply(x, ev->u.reply.success);
        break;
    case NACRE_EVENT_CHANNEL_CLOSED: /* before there was a relay */
        nc_mux_session_drop(x);
        nc_mux_hang_up(x);
        break;
    case NACRE_EVENT_CHANNEL_DATA: /* some servers' programs speak before it is said that they run */
        nc_channels_keep(nc_channels_find(x->m->c, x->ch), ev);
        break;
    case NACRE_EVENT_CHANNEL_REQUEST:
        if (ev->ticket) {
            (void)nacre_transport_refuse(x->m->c->t, ev->ticket);
        }
        break;
    default:
        break;
    }
    return NACRE_AGAIN;
}

static void open_channel(nc_mux_conn *x, const char *type, nacre_span data)
{
    nacre_client *c = x->m->c;
    nacre_error kept = c->err; /* some call may be under way, and has its own */
    int rc = c->closed ? NACRE_CLOSED : nacre_channel_open(c->t, type, data, 0, 0, &x->ch);
    if (rc == NACRE_OK && nacre_client_on_channel(c, x->ch, on_channel, x) != NACRE_OK) {
        nacre_channel_free(x->ch);
        x->ch = NULL;
        rc = NACRE_NO_MEMORY;
    }
    c->err = kept;
    if (rc != NACRE_OK) {
        x->ch = NULL;
        nc_mux_close_fds(x);
        nc_mux_refuse(x, NC_CTL_S_FAILURE, x->request_id, nacre_status_text(rc));
        return;
    }
    x->opened = false;
    x->paused = true;
    nacre_driver_kick(c->d);
}

static int keep_env(nc_mux_conn *x)
{
    const nacre_mux_master_options *o = &x->m->opts;
    nacre_span env = x->msg.u.session.env, one;
    nc_wr w = nc_wr_init(&x->env);
    while (env.n > 0 && nc_ctl_next_env(&env, &one)) {
        const uint8_t *eq = one.n ? memchr(one.p, '=', one.n) : NULL;
        if (!eq || eq == one.p || !o->permit_env) {
            continue;
        }
        char *name = nc_strndup(x->m->alloc, nc_span(one.p, (size_t)(eq - one.p)));
        if (!name) {
            return NACRE_NO_MEMORY;
        }
        if (o->permit_env(o->user, name)) {
            nc_wr_str(&w, one);
        }
        nc_free(x->m->alloc, name);
    }
    return nc_wr_err(&w);
}

void nc_mux_open_session(nc_mux_conn *x)
{
    const nc_ctl_msg *m = &x->msg;
    nc_free(x->m->alloc, x->command);
    nc_free(x->m->alloc, x->term);
    x->command = nc_strndup(x->m->alloc, m->u.session.command);
    x->term = nc_strndup(x->m->alloc, m->u.session.term);
    x->request_id = m->id;
    x->is_session = true;
    x->pty = m->u.session.tty;
    x->subsystem = m->u.session.subsystem;
    x->agent = m->u.session.agent;
    x->x11 = m->u.session.x11;
    x->escape = m->u.session.escape <= UINT8_MAX ? (int)m->u.session.escape : -1;
    x->line_start = true;
    x->escaped = x->hung_up = false;
    nc_buf_clear(&x->env);
    if (!x->command || !x->term || keep_env(x) != NACRE_OK) {
        nc_mux_close_fds(x);
        nc_mux_refuse(x, NC_CTL_S_FAILURE, x->request_id, "out of memory");
        return;
    }
    open_channel(x, "session", nc_span(NULL, 0));
}

/* RFC 4254 7.2, and PROTOCOL 2.4 of OpenSSH for a path. */
void nc_mux_open_stdio(nc_mux_conn *x)
{
    nc_buf data;
    bool path = x->msg.u.stdio.port == NC_CTL_PORT_PATH;
    nc_buf_init(&data, x->m->alloc, NC_CTL_MAX_PACKET);
    nc_wr w = nc_wr_init(&data);
    nc_wr_str(&w, x->msg.u.stdio.host);
    if (path) {
        nc_wr_cstr(&w, "");
        nc_wr_u32(&w, 0);
    } else {
        nc_wr_u32(&w, x->msg.u.stdio.port);
        nc_wr_cstr(&w, "127.0.0.1");
        nc_wr_u32(&w, ORIGIN_PORT);
    }
    x->request_id = x->msg.id;
    x->is_session = x->pty = false;
    if (nc_wr_err(&w) != NACRE_OK) {
        nc_mux_close_fds(x);
        nc_mux_refuse(x, NC_CTL_S_FAILURE, x->request_id, "out of memory");
    } else {
        open_channel(x, path ? "direct-streamlocal@openssh.com" : "direct-tcpip",
                     nc_buf_span(&data));
    }
    nc_buf_clear(&data);
}

void nc_mux_session_resized(nc_mux_conn *x)
{
    nacre_pty size;
    memset(&size, 0, sizeof(size));
    if (x->ch && x->opened && x->pty && nacre_tty_size(x->fds[0], &size) == NACRE_OK &&
        nacre_channel_window_change(x->ch, &size) == NACRE_OK) {
        nacre_driver_kick(x->m->c->d);
    }
}
