/*
 * agent_forward.c - the client's half of agent forwarding: the server opens a channel, we connect to the
 * agent, bind that connection to the session, and relay.
 *
 * The agent is another program and may be slow: what it says to the binding is waited for in the loop, and
 * the channel is accepted when it is there. Nothing that comes over the channel is said before.
 */
#include "nacre/agent_forward.h"

#include "client/forwards.h"
#include "client/state.h"
#include "io/agent.h"
#include "io/fd.h"
#include "keys/agent_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    /* Connections that wait for the agent: it answers the binding at once or is stuck. */
    WAITING_MAX = 32,
    BIND_MS = 10 * 1000,
    ANSWER_MAX = 4096, /* it is five bytes; older agents may say a little more */
    PROHIBITED = 1,    /* RFC 4254 5.1 */
    CONNECT_FAILED = 2,
    RESOURCE_SHORTAGE = 4
};

static const char *const types[] = {"auth-agent@openssh.com", "agent-connect"};

/* A connection whose binding is not answered yet. */
typedef struct waiting {
    struct waiting *next;
    struct nc_agent_forward *f;
    nacre_channel *ch;
    uint32_t ticket;
    int fd;
    nc_buf out; /* the binding */
    size_t sent;
    nc_queue in;
    uint64_t timer;
} waiting;

struct nc_agent_forward {
    nacre_client *c;
    nacre_agent_forward_options o;
    char *path; /* NULL: not a path */
    bool stopped;
    waiting *list;
    size_t count;
};
typedef struct nc_agent_forward nc_agent_forward;

void nacre_agent_forward_options_init(nacre_agent_forward_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
}

/* ---- the end of a connection that waits ---- */

static void say(const nc_agent_forward *f, const char *text)
{
    nc_client_log(f->c, NACRE_LOG_VERBOSE, "A connection to the agent is refused: %s.", text);
    if (f->o.on_refused) {
        f->o.on_refused(f->o.user, text);
    }
}

static void refuse(const nc_agent_forward *f, uint32_t ticket, uint32_t reason, const char *text)
{
    say(f, text);
    /* The server learns that there is none, not what we call things here. */
    nc_client_refuse_open(f->c, ticket, reason, "the agent is not available");
}

/* The descriptor stays the caller's. */
static void forget(waiting *w)
{
    nc_agent_forward *f = w->f;
    waiting **at = &f->list;
    while (*at != w) {
        at = &(*at)->next;
    }
    *at = w->next;
    f->count--;
    nacre_loop_remove(f->c->loop, w->fd);
    nacre_loop_cancel(f->c->loop, w->timer);
    nc_buf_clear(&w->out);
    nc_queue_clear(&w->in);
    nc_free(f->c->alloc, w);
}

static void fail(waiting *w, const char *text)
{
    nc_agent_forward *f = w->f;
    int fd = w->fd;
    uint32_t ticket = w->ticket;
    forget(w);
    nc_fd_close(&fd);
    refuse(f, ticket, CONNECT_FAILED, text);
}

/* ---- from socket to channel ---- */

static void carry(const nc_agent_forward *f, uint32_t ticket, nacre_channel *ch, int fd)
{
    nacre_relay_options o;
    nacre_error why;
    nacre_relay_options_init(&o);
    o.source = o.sink = fd;
    if (!nc_client_accept_open(f->c, ticket, ch)) {
        nc_fd_close(&fd);
        return;
    }
    if (nacre_client_attach(f->c, ch, &o, &why) != NACRE_OK) {
        say(f, why.text);
        nacre_client_channel_free(f->c, ch);
        nc_fd_close(&fd);
    }
}

static void bound(waiting *w)
{
    nc_agent_forward *f = w->f;
    nacre_channel *ch = w->ch;
    uint32_t ticket = w->ticket;
    int fd = w->fd;
    forget(w);
    carry(f, ticket, ch, fd);
}

/* False: the agent takes no more for now, or there was an error and w is gone. */
static bool send_binding(waiting *w)
{
    while (w->sent < w->out.len) {
        ssize_t put = nc_fd_write(w->fd, NC_FD_SOCKET, w->out.data + w->sent, w->out.len - w->sent);
        if (put < 0 && errno == EAGAIN) {
            return false;
        }
        if (put <= 0) {
            fail(w, "the agent closed the connection");
            return false;
        }
        w->sent += (size_t)put;
    }
    return true;
}

/*
 * Whatever the answer is, the agent has heard it: one that does not know bindings has no keys that need them,
 * and one that refuses this one shuts such keys off.
 */
static void read_answer(waiting *w)
{
    nacre_span msg;
    uint8_t bytes[512];
    ssize_t got = nc_fd_read(w->fd, NC_FD_SOCKET, bytes, sizeof(bytes));
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0) {
        fail(w, "the agent closed the connection");
        return;
    }
    int rc = nc_queue_append(&w->in, bytes, (size_t)got);
    if (rc == NACRE_OK) {
        rc = nc_agent_frame(&w->in, &msg);
    }
    if (rc == NACRE_AGAIN) {
        return;
    }
    if (rc != NACRE_OK || nc_queue_len(&w->in) != msg.n + 4) {
        fail(w, "the agent answers with nonsense");
        return;
    }
    if (nc_agent_read_status(msg) != NACRE_OK) {
        nc_client_log(w->f->c, NACRE_LOG_DEBUG,
                      "The forwarded agent was not bound to the session.");
    }
    bound(w);
}

static void on_agent(void *user, int fd, unsigned ready)
{
    waiting *w = user;
    if (w->sent < w->out.len) {
        if (!send_binding(w)) {
            return;
        }
        (void)nacre_loop_modify(w->f->c->loop, fd, NACRE_READ);
        return;
    }
    if (ready & (NACRE_READ | NACRE_HUP)) {
        read_answer(w);
    }
}

static void on_time(void *user)
{
    waiting *w = user;
    w->timer = 0;
    fail(w, "the agent does not answer");
}

/* NACRE_NOT_FOUND: there is nothing to bind to. */
static int make_binding(const nacre_client *c, nc_buf *out)
{
    const nacre_key *host_key = nacre_transport_host_key(c->t);
    nacre_span signature = nacre_transport_host_signature(c->t);
    nacre_span id = nacre_transport_session_id(c->t);
    if (!host_key || signature.n == 0 || id.n == 0) {
        return NACRE_NOT_FOUND;
    }
    return nc_agent_ask_bind(out, host_key, id, signature, true);
}

/* ---- from channel to socket ---- */

static int dial(const nc_agent_forward *f, int *fd, nacre_error *why)
{
    int pair[2];
    *fd = -1;
    if (f->o.connect) {
        int rc = f->o.connect(f->o.user, fd);
        if (rc == NACRE_OK && (nc_fd_set_nonblock(*fd, true) != 0 || nc_fd_set_cloexec(*fd) != 0)) {
            rc = NACRE_IO;
        }
        return rc == NACRE_OK ? rc
                              : nc_fail(why, rc, "no connection to the agent was made: %s",
                                        nacre_status_text(rc));
    }
    if (!f->o.keyring) {
        return nc_agent_connect(f->path, fd, why);
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        return nc_os_fail(why, NACRE_IO, errno, "no connection to the keyring");
    }
    int rc = nacre_keyring_serve_fd(f->o.keyring, pair[1]);
    if (rc != NACRE_OK) {
        nc_fd_close(&pair[0]);
        nc_fd_close(&pair[1]);
        return nc_fail(why, rc, "no connection to the keyring: %s", nacre_status_text(rc));
    }
    *fd = pair[0];
    return NACRE_OK;
}

static int wait_for_agent(nc_agent_forward *f, const nacre_event *ev, int fd)
{
    nacre_client *c = f->c;
    waiting *w = nc_zalloc(c->alloc, sizeof(*w));
    if (!w) {
        return NACRE_NO_MEMORY;
    }
    w->f = f;
    w->fd = fd;
    w->ch = ev->channel;
    w->ticket = ev->ticket;
    nc_buf_init(&w->out, c->alloc, NC_AGENT_MAX_MESSAGE + 4);
    nc_queue_init(&w->in, c->alloc, ANSWER_MAX);
    int rc = make_binding(c, &w->out);
    if (rc == NACRE_OK) {
        rc = nacre_loop_timer(c->loop, BIND_MS, on_time, w, &w->timer);
    }
    if (rc == NACRE_OK) {
        rc = nacre_loop_add(c->loop, fd, NACRE_WRITE, on_agent, w);
    }
    if (rc != NACRE_OK) {
        nacre_loop_cancel(c->loop, w->timer);
        nc_buf_clear(&w->out);
        nc_free(c->alloc, w);
        return rc;
    }
    w->next = f->list;
    f->list = w;
    f->count++;
    return NACRE_OK;
}

static bool on_open(void *user, nacre_client *c, const nacre_event *ev)
{
    nc_agent_forward *f = user;
    nacre_error why = {0};
    int fd = -1;
    (void)c;
    if (f->stopped) {
        refuse(f, ev->ticket, PROHIBITED, "it is not forwarded any more");
        return true;
    }
    if (f->count >= WAITING_MAX) {
        refuse(f, ev->ticket, RESOURCE_SHORTAGE, "too many wait for the agent already");
        return true;
    }
    if (dial(f, &fd, &why) != NACRE_OK) {
        refuse(f, ev->ticket, CONNECT_FAILED, why.text);
        return true;
    }
    int rc = wait_for_agent(f, ev, fd);
    if (rc == NACRE_NOT_FOUND) {
        carry(f, ev->ticket, ev->channel, fd);
    } else if (rc != NACRE_OK) {
        nc_fd_close(&fd);
        refuse(f, ev->ticket, RESOURCE_SHORTAGE, nacre_status_text(rc));
    }
    return true;
}

/* ---- asking for it ---- */

void nc_agent_forward_drop(nacre_client *c)
{
    nc_agent_forward *f = c->agent_forward;
    if (!f) {
        return;
    }
    while (f->list) {
        int fd = f->list->fd;
        forget(f->list);
        nc_fd_close(&fd);
    }
    c->agent_forward = NULL;
    nc_free(c->alloc, f->path);
    nc_free(c->alloc, f);
}

void nacre_client_forward_agent_stop(nacre_client *c)
{
    if (c->agent_forward) {
        c->agent_forward->stopped = true;
    }
}

static int take_options(nacre_client *c, nc_agent_forward *f, const nacre_agent_forward_options *o,
                        nacre_error *err)
{
    const char *path = o->path ? o->path : getenv("SSH_AUTH_SOCK");
    char *copy = NULL;
    if (!o->keyring && !o->connect) {
        if (!path || !*path) {
            return nc_fail(err, NACRE_NOT_FOUND, "no agent to forward: SSH_AUTH_SOCK is not set");
        }
        copy = nc_strdup(c->alloc, path);
        if (!copy) {
            return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
        }
    }
    nc_free(c->alloc, f->path);
    f->path = copy;
    f->o = *o;
    f->o.path = copy;
    f->stopped = false;
    return NACRE_OK;
}

static int prepare(nacre_client *c, const nacre_agent_forward_options *o, nacre_error *err)
{
    nc_agent_forward *f = c->agent_forward;
    if (!f) {
        f = nc_zalloc(c->alloc, sizeof(*f));
        if (!f) {
            return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
        }
        f->c = c;
        f->stopped = true;
        c->agent_forward = f;
    }
    int rc = take_options(c, f, o, err);
    for (size_t i = 0; rc == NACRE_OK && i < sizeof(types) / sizeof(types[0]); i++) {
        rc = nc_client_serve_open(c, types[i], on_open, f);
        if (rc != NACRE_OK) {
            rc = nc_fail(err, rc, "too many kinds of channels are served already");
        }
    }
    return rc;
}

int nacre_client_forward_agent(nacre_client *c, nacre_channel *ch,
                               const nacre_agent_forward_options *o, nacre_error *err)
{
    nacre_agent_forward_options all;
    nacre_span version;
    nc_error_clear(err);
    if (!o || o->size == 0 || o->size > sizeof(all)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "options are made by nacre_agent_forward_options_init");
    }
    nacre_agent_forward_options_init(&all);
    memcpy(&all, o, o->size);
    all.size = sizeof(all);
    if (!c->t || c->closed || !ch || nacre_channel_transport(ch) != c->t) {
        return nc_fail(err, NACRE_CLOSED, "agent forwarding needs an open session");
    }
    int rc = prepare(c, &all, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    bool standard = nacre_transport_peer_extension(c->t, "agent-forward", &version);
    rc = nacre_channel_request(ch, standard ? "agent-req" : "auth-agent-req@openssh.com",
                               all.want_reply, nc_span(NULL, 0));
    nacre_driver_kick(c->d);
    return rc == NACRE_OK ? rc
                          : nc_fail(err, rc, "agent forwarding cannot be asked for: %s",
                                    nacre_status_text(rc));
}
