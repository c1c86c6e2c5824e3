/*
 * conn.c - one connection: its engine, its driver, its place in the server's list.
 */
#include "server/forward.h"

#include <string.h>

static void on_event(void *user, nacre_driver *d, const nacre_event *ev)
{
    (void)d;
    nc_conn_event(user, ev);
}

/* What its end says of its source. Our own failures are not the peer's. */
static nacre_offence offence_of(const nacre_server_conn *c, const nacre_error *why)
{
    if (c->authenticated || c->blamed) {
        return c->authenticated ? NACRE_OFFENCE_NONE : c->offence;
    }
    if (why->status == NACRE_NO_MEMORY || why->status == NACRE_CRYPTO) {
        return NACRE_OFFENCE_NONE;
    }
    if (why->status == NACRE_LOGIN_TIMEOUT || why->status == NACRE_TIMEOUT) {
        return NACRE_OFFENCE_GRACE;
    }
    return c->attempts > 0 ? NACRE_OFFENCE_AUTH_FAIL : NACRE_OFFENCE_NO_AUTH;
}

/* What a peer that asks for too much is ended with (docs/limits.md). */
static bool is_cap(nacre_status status)
{
    return status == NACRE_LIMIT || status == NACRE_AUTH_LIMIT || status == NACRE_OVERSIZED ||
           status == NACRE_WINDOW;
}

static void judge_end(nacre_server_conn *c, const nacre_error *why)
{
    nacre_server *s = c->server;
    nacre_offence offence = offence_of(c, why);
    s->counts.ended_before_login += c->authenticated ? 0 : 1;
    s->counts.ended_by_cap += is_cap(why->status) ? 1 : 0;
    uint32_t ms = nacre_sources_penalize(s->sources, &c->peer, offence, nacre_loop_now(s->loop));
    if (ms > 0) {
        nc_logf(&s->log, NACRE_LOG_INFO, "server: %s is refused for %u s: %s", c->peer.address,
                (unsigned)(ms / 1000), nacre_offence_name(offence));
    }
}

static void on_closed(void *user, nacre_driver *d, const nacre_error *why)
{
    nacre_server_conn *c = user;
    nacre_server *s = c->server;
    const nacre_server_callbacks *cb = &s->cfg.callbacks;
    (void)d;
    nc_conn_forwards_clear(c);
    /* Programs first: the application may look at its channels' leftovers in the callback. */
    while (c->chans) {
        nc_chan *k = c->chans;
        if (cb->channel_closed) {
            cb->channel_closed(cb->user, c, k->ch);
        }
        nc_chan_free(k);
    }
    if (cb->disconnected) {
        cb->disconnected(cb->user, c, why);
    }
    judge_end(c, why);
    nc_conn_free(c);
    if (s->until_idle && s->conn_count == 0) {
        nacre_loop_stop(s->loop);
    }
}

static int make_transport(nacre_server_conn *c, nacre_error *err)
{
    nacre_server *s = c->server;
    int rc = nacre_transport_new(&c->t, &s->cfg.transport, nacre_loop_now(s->loop), err);
    for (size_t i = 0; rc == NACRE_OK && i < s->key_count; i++) {
        rc = nacre_transport_add_host_key(c->t, s->keys[i]);
        if (rc != NACRE_OK) {
            rc = nc_fail(err, rc, "host key %s cannot be used: %s", nacre_key_type(s->keys[i]),
                         nacre_status_text(rc));
        }
    }
    return rc;
}

int nc_conn_new(nacre_server_conn **out, nacre_server *s, int in_fd, int out_fd, nacre_error *err)
{
    *out = NULL;
    nacre_server_conn *c = nc_zalloc(s->alloc, sizeof(*c));
    if (!c) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a connection");
    }
    c->server = s;
    c->max_sessions = s->cfg.max_sessions;
    (void)nacre_net_peer(in_fd, &c->peer);
    (void)nacre_net_local(in_fd, &c->local);
    if (nacre_sources_enter(s->sources, &c->peer) != NACRE_OK) {
        nc_free(s->alloc, c);
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a connection");
    }
    int rc = make_transport(c, err);
    if (rc == NACRE_OK) {
        nacre_driver_options o;
        nacre_driver_options_init(&o);
        o.on_event = on_event;
        o.on_closed = on_closed;
        o.user = c;
        rc = nacre_driver_new(&c->driver, s->loop, c->t, in_fd, out_fd, &o, err);
    }
    if (rc != NACRE_OK) {
        nacre_sources_leave(s->sources, &c->peer);
        nacre_transport_free(c->t);
        nc_free(s->alloc, c);
        return rc;
    }
    c->next = s->conns;
    if (s->conns) {
        s->conns->prev = c;
    }
    s->conns = c;
    s->conn_count++;
    *out = c;
    return NACRE_OK;
}

void nc_conn_free(nacre_server_conn *c)
{
    nacre_server *s = c->server;
    nc_conn_forwards_clear(c);
    nc_agent_server_free(c->agent);
    c->agent = NULL;
    while (c->chans) {
        nc_chan_free(c->chans);
    }
    nc_timeouts_clear(c);
    nacre_driver_free(c->driver);
    nacre_transport_free(c->t);
    if (c->prev) {
        c->prev->next = c->next;
    } else {
        s->conns = c->next;
    }
    if (c->next) {
        c->next->prev = c->prev;
    }
    s->conn_count--;
    if (!c->authenticated) {
        nacre_sources_leave(s->sources, &c->peer);
    }
    nc_free(s->alloc, c);
}

/* ---- the public side -------------------------------------------------------------------------------- */

nacre_transport *nacre_server_conn_transport(nacre_server_conn *c)
{
    return c->t;
}

nacre_driver *nacre_server_conn_driver(nacre_server_conn *c)
{
    return c->driver;
}

nacre_server *nacre_server_conn_server(nacre_server_conn *c)
{
    return c->server;
}

const nacre_endpoint *nacre_server_conn_peer(const nacre_server_conn *c)
{
    return &c->peer;
}

const nacre_endpoint *nacre_server_conn_local(const nacre_server_conn *c)
{
    return &c->local;
}

void nacre_server_conn_set_user(nacre_server_conn *c, void *user)
{
    c->user = user;
}

void *nacre_server_conn_user(const nacre_server_conn *c)
{
    return c->user;
}

void nacre_server_conn_limit_sessions(nacre_server_conn *c, uint32_t max_sessions)
{
    c->max_sessions = max_sessions;
}

void nacre_server_conn_blame(nacre_server_conn *c, nacre_offence offence)
{
    c->blamed = true;
    c->offence = offence;
}

void nacre_server_conn_disconnect(nacre_server_conn *c, uint32_t reason, const char *text)
{
    (void)nacre_transport_disconnect(c->t, reason, text);
    nacre_driver_kick(c->driver);
}

int nacre_server_answer(nacre_server_conn *c, uint32_t ticket, const nacre_answer *answer)
{
    int rc = nacre_transport_answer(c->t, ticket, answer);
    for (nc_chan *k = c->chans; k && ticket; k = k->next) {
        if (k->open_ticket != ticket) {
            continue;
        }
        k->open_ticket = 0;
        if (rc != NACRE_OK || !answer->accept) {
            nc_chan_free(k); /* a refusal ended the handle */
        }
        break;
    }
    nacre_driver_kick(c->driver);
    return rc;
}
