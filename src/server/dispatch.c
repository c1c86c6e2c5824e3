/*
 * dispatch.c - events to callbacks, verdicts to answers. What is not granted here by a callback's own
 * word is refused: a callback that is NULL, a verdict that is none, an event that nobody knows.
 */
#include "server/forward.h"

#include <string.h>

typedef nacre_verdict (*verdict_fn)(void *user, nacre_server_conn *c, const nacre_event *ev);

enum {
    RESOURCE_SHORTAGE = 4, /* RFC 4254 5.1 */
    BY_APPLICATION = 11    /* RFC 4253 11.1 */
};

static void answer(nacre_server_conn *c, uint32_t ticket, nacre_verdict v)
{
    if (ticket == 0 || v == NACRE_LATER) {
        return;
    }
    nacre_answer a = {.accept = v == NACRE_ACCEPT || v == NACRE_PARTIAL,
                      .partial = v == NACRE_PARTIAL};
    /* Void when the callback answered itself, or ended the connection. */
    (void)nacre_transport_answer(c->t, ticket, &a);
}

static nacre_verdict ask(nacre_server_conn *c, verdict_fn fn, const nacre_event *ev)
{
    return fn ? fn(c->server->cfg.callbacks.user, c, ev) : NACRE_REFUSE;
}

/* Partial success is a word of userauth; elsewhere it is no yes. */
static nacre_verdict plain(nacre_verdict v)
{
    return v == NACRE_ACCEPT || v == NACRE_LATER ? v : NACRE_REFUSE;
}

/* ---- userauth --------------------------------------------------------------------------------------- */

static void on_auth(nacre_server_conn *c, const nacre_event *ev)
{
    const nacre_server_callbacks *cb = &c->server->cfg.callbacks;
    nacre_verdict v = NACRE_REFUSE;
    bool attempt = ev->type == NACRE_EVENT_AUTH_PASSWORD || ev->type == NACRE_EVENT_AUTH_KEY ||
                   ev->type == NACRE_EVENT_AUTH_RESPONSES || ev->type == NACRE_EVENT_AUTH_HOSTBASED;
    c->attempts += attempt ? 1 : 0;
    c->server->counts.attempts += attempt ? 1 : 0;
    switch (ev->type) {
    case NACRE_EVENT_AUTH_NONE:
        v = ask(c, cb->auth_none, ev);
        break;
    case NACRE_EVENT_AUTH_PASSWORD:
        v = ask(c, cb->auth_password, ev);
        break;
    case NACRE_EVENT_AUTH_KEY_PROBE:
    case NACRE_EVENT_AUTH_KEY:
        v = cb->auth_key ? cb->auth_key(cb->user, c, ev, ev->type == NACRE_EVENT_AUTH_KEY)
                         : NACRE_REFUSE;
        break;
    case NACRE_EVENT_AUTH_HOSTBASED:
        v = ask(c, cb->auth_hostbased, ev);
        break;
    default:
        v = ask(c, cb->auth_interactive, ev);
        break;
    }
    answer(c, ev->ticket, v);
}

static void on_authenticated(nacre_server_conn *c, const nacre_event *ev)
{
    const nacre_server_callbacks *cb = &c->server->cfg.callbacks;
    if (!c->authenticated) {
        c->authenticated = true;
        nacre_sources_leave(c->server->sources, &c->peer);
        c->server->counts.logins++;
    }
    nc_timeouts_no_channel(c);
    if (cb->authenticated && cb->authenticated(cb->user, c, nacre_transport_user(c->t),
                                               ev->u.auth.key) != NACRE_ACCEPT) {
        (void)nacre_transport_disconnect(c->t, BY_APPLICATION, "login refused");
    }
}

/* ---- channels ---------------------------------------------------------------------------------------- */

static nacre_verdict judge_open(nacre_server_conn *c, const nacre_event *ev, bool session)
{
    const nacre_server_callbacks *cb = &c->server->cfg.callbacks;
    if (cb->channel_open) {
        return plain(cb->channel_open(cb->user, c, ev));
    }
    return session && (cb->exec || cb->shell || cb->subsystem) ? NACRE_ACCEPT : NACRE_REFUSE;
}

static void refuse_open(nacre_server_conn *c, const nacre_event *ev, const char *text)
{
    nacre_answer no = {.accept = false, .reason = RESOURCE_SHORTAGE, .text = text};
    (void)nacre_transport_answer(c->t, ev->ticket, &no);
}

static void on_open(nacre_server_conn *c, const nacre_event *ev)
{
    bool session = strcmp(nacre_channel_type(ev->channel), "session") == 0;
    if (session && c->sessions >= c->max_sessions) {
        c->server->counts.refused_sessions++;
        refuse_open(c, ev, "too many sessions on this connection");
        return;
    }
    nc_chan *k = nc_chan_new(c, ev->channel);
    if (!k) {
        refuse_open(c, ev, "out of memory");
        return;
    }
    if (nc_direct_open(k, ev)) {
        return;
    }
    k->open_ticket = ev->ticket;
    nacre_verdict v = judge_open(c, ev, session);
    if (v == NACRE_LATER) {
        return;
    }
    k->open_ticket = 0;
    if (v != NACRE_ACCEPT) {
        nc_chan_free(k); /* before the refusal ends the handle */
    }
    answer(c, ev->ticket, v);
}

/* ---- requests of a session ---------------------------------------------------------------------------- */

static nacre_verdict on_pty(nc_chan *k, const nacre_event *ev)
{
    const nacre_server_callbacks *cb = &k->conn->server->cfg.callbacks;
    const nacre_pty *pty = &ev->u.request.pty;
    if (k->has_pty || k->work != NC_WORK_NONE || pty->term.n > NC_MAX_PTY_BYTES / 2 ||
        pty->modes.n > NC_MAX_PTY_BYTES / 2 ||
        (pty->term.n && memchr(pty->term.p, 0, pty->term.n))) {
        return NACRE_REFUSE;
    }
    nacre_verdict v = plain(ask(k->conn, cb->pty, ev));
    if (v == NACRE_ACCEPT && nc_chan_keep_pty(k, pty) != NACRE_OK) {
        v = NACRE_REFUSE;
    }
    return v;
}

static bool fit_env(nacre_span name, nacre_span value)
{
    return name.n > 0 && !memchr(name.p, 0, name.n) && !memchr(name.p, '=', name.n) &&
           !(value.n && memchr(value.p, 0, value.n));
}

static nacre_verdict on_env(nc_chan *k, const nacre_event *ev)
{
    const nacre_server_callbacks *cb = &k->conn->server->cfg.callbacks;
    if (k->work != NC_WORK_NONE || !fit_env(ev->u.request.command, ev->u.request.value)) {
        return NACRE_REFUSE;
    }
    nacre_verdict v = plain(ask(k->conn, cb->env, ev));
    if (v == NACRE_ACCEPT &&
        nc_chan_keep_env(k, ev->u.request.command, ev->u.request.value) != NACRE_OK) {
        v = NACRE_REFUSE;
    }
    return v;
}

static nacre_verdict start(nc_chan *k, const nacre_event *ev, verdict_fn fn)
{
    /* RFC 4254 6.5: only one of them can succeed per channel. */
    if (k->work != NC_WORK_NONE) {
        return NACRE_REFUSE;
    }
    nacre_verdict v = plain(ask(k->conn, fn, ev));
    if (v != NACRE_REFUSE && k->work == NC_WORK_NONE) {
        k->work = NC_WORK_OTHER;
    }
    return v;
}

static nacre_verdict on_exec(nc_chan *k, const nacre_event *ev)
{
    nacre_span command = ev->u.request.command;
    if (command.n && memchr(command.p, 0, command.n)) {
        return NACRE_REFUSE; /* what runs must be what was asked, and was logged */
    }
    nc_timeouts_kind(k, "session:command", nc_span(NULL, 0));
    return start(k, ev, k->conn->server->cfg.callbacks.exec);
}

static nacre_verdict on_shell(nc_chan *k, const nacre_event *ev)
{
    nc_timeouts_kind(k, "session:shell", nc_span(NULL, 0));
    return start(k, ev, k->conn->server->cfg.callbacks.shell);
}

static nacre_verdict on_subsystem(nc_chan *k, const nacre_event *ev)
{
    nacre_span name = ev->u.request.command;
    if (name.n == 0 || memchr(name.p, 0, name.n)) {
        return NACRE_REFUSE;
    }
    nc_timeouts_kind(k, "session:subsystem:", name);
    const nc_subsystem *sub = nc_subsystem_find(k->conn->server, name);
    if (sub && k->work == NC_WORK_NONE) {
        return plain(nc_subsystem_start(k, sub, ev));
    }
    return start(k, ev, k->conn->server->cfg.callbacks.subsystem);
}

static nacre_verdict on_window_change(nc_chan *k, const nacre_event *ev)
{
    if (k->has_pty) {
        const nacre_pty *now = &ev->u.request.pty;
        k->pty.columns = now->columns;
        k->pty.rows = now->rows;
        k->pty.width_px = now->width_px;
        k->pty.height_px = now->height_px;
    }
    return plain(ask(k->conn, k->conn->server->cfg.callbacks.window_change, ev));
}

static nacre_verdict on_signal(nc_chan *k, const nacre_event *ev)
{
    return plain(ask(k->conn, k->conn->server->cfg.callbacks.signal, ev));
}

static nacre_verdict on_agent(nc_chan *k, const nacre_event *ev)
{
    const nacre_server_callbacks *cb = &k->conn->server->cfg.callbacks;
    return plain(ask(k->conn, cb->agent ? cb->agent : cb->other_request, ev));
}

static nacre_verdict on_x11(nc_chan *k, const nacre_event *ev)
{
    const nacre_server_callbacks *cb = &k->conn->server->cfg.callbacks;
    if (k->work != NC_WORK_NONE) {
        return NACRE_REFUSE; /* whatever runs would not hear of it */
    }
    return plain(ask(k->conn, cb->x11 ? cb->x11 : cb->other_request, ev));
}

static const struct request_row {
    const char *name;
    nacre_verdict (*fn)(nc_chan *k, const nacre_event *ev);
} requests[] = {
    {"pty-req", on_pty},         {"env", on_env},
    {"exec", on_exec},           {"shell", on_shell},
    {"subsystem", on_subsystem}, {"window-change", on_window_change},
    {"signal", on_signal},       {"break", on_signal},
    {"agent-req", on_agent},     {"auth-agent-req@openssh.com", on_agent},
    {"x11-req", on_x11},
};

static void on_request(nacre_server_conn *c, nc_chan *k, const nacre_event *ev)
{
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        if (k && k->session && nc_span_is(ev->u.request.name, requests[i].name)) {
            answer(c, ev->ticket, requests[i].fn(k, ev));
            return;
        }
    }
    answer(c, ev->ticket, plain(ask(c, c->server->cfg.callbacks.other_request, ev)));
}

/* ---- the rest ------------------------------------------------------------------------------------------ */

/* Channels that no part of ours serves: the application's, or nobody's. */
static void on_other(nacre_server_conn *c, nc_chan *k, const nacre_event *ev)
{
    const nacre_server_callbacks *cb = &c->server->cfg.callbacks;
    if (cb->event) {
        cb->event(cb->user, c, ev);
    } else if (ev->type == NACRE_EVENT_CHANNEL_DATA) {
        /* Nobody reads it, and nobody will: it must not cost the peer its window. */
        (void)nacre_channel_consumed(ev->channel, ev->u.data.bytes.n);
    } else if (ev->type == NACRE_EVENT_CHANNEL_PEER_CLOSED) {
        (void)nacre_channel_close(ev->channel);
    } else if (ev->type == NACRE_EVENT_CHANNEL_EOF && k && k->work == NC_WORK_NONE && !k->session) {
        (void)nacre_channel_close(ev->channel);
    }
    if (ev->type == NACRE_EVENT_CHANNEL_CLOSED && k) {
        nc_chan_over(k);
    }
}

static void on_channel(nacre_server_conn *c, const nacre_event *ev)
{
    nc_chan *k = nc_chan_find(c, ev->channel);
    if (k && ev->type == NACRE_EVENT_CHANNEL_EOF) {
        k->eof = true;
    }
    if (k &&
        (ev->type == NACRE_EVENT_CHANNEL_CLOSED || ev->type == NACRE_EVENT_CHANNEL_PEER_CLOSED)) {
        k->closed = true;
    }
    if (k && (k->work == NC_WORK_RELAY || k->work == NC_WORK_OPENING) && nc_attach_event(k, ev)) {
        return;
    }
    if (k && k->work == NC_WORK_PROGRAM && nc_program_event(k, ev)) {
        return;
    }
    if (k && k->work == NC_WORK_SCP && nc_scp_event(k, ev)) {
        return;
    }
    if (k && k->work == NC_WORK_SFTP && nc_sftp_event(k, ev)) {
        return;
    }
    if (ev->type == NACRE_EVENT_CHANNEL_REQUEST) {
        on_request(c, k, ev);
        return;
    }
    if (k && k->subsystem && k->work == NC_WORK_OTHER && nc_subsystem_event(k, ev)) {
        return;
    }
    on_other(c, k, ev);
}

void nc_conn_event(nacre_server_conn *c, const nacre_event *ev)
{
    const nacre_server_callbacks *cb = &c->server->cfg.callbacks;
    switch (ev->type) {
    case NACRE_EVENT_AUTH_NONE:
    case NACRE_EVENT_AUTH_PASSWORD:
    case NACRE_EVENT_AUTH_KEY_PROBE:
    case NACRE_EVENT_AUTH_KEY:
    case NACRE_EVENT_AUTH_INTERACTIVE:
    case NACRE_EVENT_AUTH_RESPONSES:
    case NACRE_EVENT_AUTH_HOSTBASED:
        on_auth(c, ev);
        break;
    case NACRE_EVENT_AUTHENTICATED:
        on_authenticated(c, ev);
        break;
    case NACRE_EVENT_CHANNEL_OPEN:
        on_open(c, ev);
        break;
    case NACRE_EVENT_GLOBAL_REQUEST:
        if (!nc_conn_forward_request(c, ev)) {
            answer(c, ev->ticket, plain(ask(c, cb->global_request, ev)));
        }
        break;
    default:
        if (ev->channel) {
            on_channel(c, ev);
        } else if (cb->event) {
            cb->event(cb->user, c, ev);
        }
        break;
    }
}
