/*
 * forward.c - forwardings of a client: the objects, from the first call to the end of the connection.
 */
#include "client/forward.h"

#include <stdio.h>
#include <string.h>

void nacre_forward_options_init(nacre_forward_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->bind_mask = 0177;
}

bool nc_forward_is_remote(const nacre_forward *f)
{
    return f->o.kind == NACRE_FORWARD_REMOTE || f->o.kind == NACRE_FORWARD_REMOTE_DYNAMIC;
}

/* ---- making one ---- */

static bool fits(const char *text, size_t max)
{
    return !text || strlen(text) <= max;
}

static bool is_target(const nacre_forward_end *e)
{
    return e->path ? *e->path != '\0' : e->host && *e->host && e->port != 0;
}

static int check(const nacre_forward_options *o, bool bare, nacre_error *err)
{
    bool dynamic = o->kind == NACRE_FORWARD_DYNAMIC || o->kind == NACRE_FORWARD_REMOTE_DYNAMIC;
    const nacre_forward_end *ends[] = {&o->listen, &o->connect};
    if ((unsigned)o->kind > NACRE_FORWARD_REMOTE_DYNAMIC) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "there is no such kind of forwarding");
    }
    for (size_t i = 0; i < 2; i++) {
        if (!fits(ends[i]->host, NC_FWD_HOST_MAX) || !fits(ends[i]->path, NC_FWD_PATH_MAX)) {
            return nc_fail(err, NACRE_INVALID_ARGUMENT,
                           "a name of a forwarding has %d bytes at most", NC_FWD_HOST_MAX);
        }
    }
    if (o->listen.path && !*o->listen.path) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "a forwarding needs a place to listen on");
    }
    if (!dynamic && !bare && !is_target(&o->connect)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "a forwarding needs a host and a port, or a path, to connect to");
    }
    return NACRE_OK;
}

static const char *keep(char **at, const char *text)
{
    if (!text) {
        return NULL;
    }
    size_t n = strlen(text) + 1;
    char *copy = *at;
    memcpy(copy, text, n);
    *at += n;
    return copy;
}

static size_t room_of(const nacre_forward_end *e)
{
    return (e->host ? strlen(e->host) + 1 : 0) + (e->path ? strlen(e->path) + 1 : 0);
}

static nacre_forward *make(nacre_client *c, const nacre_forward_options *o)
{
    nacre_forward *f = nc_zalloc(c->alloc, sizeof(*f));
    char *at = f ? nc_alloc(c->alloc, room_of(&o->listen) + room_of(&o->connect) + 1) : NULL;
    if (!at) {
        nc_free(c->alloc, f);
        return NULL;
    }
    f->c = c;
    f->o = *o;
    f->names = at;
    f->o.listen.host = keep(&at, o->listen.host);
    f->o.listen.path = keep(&at, o->listen.path);
    f->o.connect.host = keep(&at, o->connect.host);
    f->o.connect.path = keep(&at, o->connect.path);
    f->status = NACRE_AGAIN;
    if (f->o.max_connections == 0) {
        f->o.max_connections = NC_FORWARD_CONNECTIONS;
    }
    return f;
}

/* Whoever keeps it in mind is to forget it. */
static void tell_gone(nacre_forward *f)
{
    void (*gone)(void *owner, nacre_forward *f) = f->gone;
    f->gone = NULL;
    f->take = NULL;
    if (gone) {
        gone(f->owner, f);
    }
}

static void destroy(nacre_forward *f)
{
    nc_listen_free(f->listener);
    nc_free(f->c->alloc, f->names);
    nc_free(f->c->alloc, f);
}

static size_t count(const nacre_client *c)
{
    size_t n = 0;
    for (const nacre_forward *f = c->forwards; f; f = f->next) {
        n++;
    }
    return n;
}

bool nc_forward_is_listed(const nacre_client *c, const nacre_forward *wanted)
{
    const nacre_forward *f = c->forwards;
    while (f && f != wanted) {
        f = f->next;
    }
    return f != NULL;
}

/* At the end: they are listed in the order in which they were made. */
static void enlist(nacre_forward *f)
{
    nacre_forward **at = &f->c->forwards;
    while (*at) {
        at = &(*at)->next;
    }
    *at = f;
}

static void delist(nacre_forward *f)
{
    nacre_forward **at = &f->c->forwards;
    while (*at && *at != f) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = f->next;
    }
}

int nc_forward_new(nacre_client *c, const nacre_forward_options *given, bool bare,
                   nacre_forward **out, nacre_error *err)
{
    nacre_forward_options o;
    *out = NULL;
    if (!given || given->size == 0 || given->size > sizeof(o)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "the options were not made by nacre_forward_options_init");
    }
    nacre_forward_options_init(&o);
    memcpy(&o, given, given->size);
    if (!c->t || c->closed || !nacre_transport_authenticated(c->t)) {
        return nc_fail(err, c->closed ? NACRE_CLOSED : NACRE_WRONG_STATE,
                       "a forwarding needs a connection that is logged in");
    }
    int rc = check(&o, bare, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (count(c) >= NC_FORWARDS_MAX) {
        return nc_fail(err, NACRE_LIMIT, "there are %d forwardings already", NC_FORWARDS_MAX);
    }
    nacre_forward *f = make(c, &o);
    if (!f) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a forwarding");
    }
    f->bare = bare;
    rc = nc_forward_is_remote(f) ? nc_forward_request(f, err) : nc_forward_listen(f, err);
    if (rc != NACRE_OK) {
        destroy(f);
        return rc;
    }
    enlist(f);
    *out = f;
    return NACRE_OK;
}

int nacre_client_forward(nacre_client *c, const nacre_forward_options *o, nacre_forward **out,
                         nacre_error *err)
{
    nacre_forward *f = NULL;
    nc_error_clear(err);
    if (out) {
        *out = NULL;
    }
    int rc = nc_forward_new(c, o, false, &f, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (f->status == NACRE_OK && f->o.on_ready) {
        nacre_error none;
        memset(&none, 0, sizeof(none));
        f->o.on_ready(f->o.user, f, NACRE_OK, &none);
    }
    if (out && nc_forward_is_listed(c, f)) {
        *out = f;
    }
    return NACRE_OK;
}

/* ---- the server's answer ---- */

static nc_forward_name listen_name(const nacre_forward *f)
{
    nc_forward_name n;
    if (f->o.listen.path) {
        (void)snprintf(n.text, sizeof(n.text), "%s", NC_ESC(nc_span_cstr(f->o.listen.path)));
    } else {
        (void)snprintf(n.text, sizeof(n.text), "%s%sport %u", NC_ESC(nc_span_cstr(f->asked_host)),
                       *f->asked_host ? " " : "", (unsigned)f->o.listen.port);
    }
    return n;
}

bool nc_forwards_reply(nacre_client *c, const nacre_event *ev)
{
    nacre_forward *f = c->forwards;
    while (f && (f->status != NACRE_AGAIN || f->number != ev->u.reply.number)) {
        f = f->next;
    }
    if (!f) {
        return false;
    }
    uint16_t port = f->o.listen.port;
    bool good = ev->u.reply.success;
    if (good && !f->o.listen.path && port == 0) {
        good = nc_fwd_read_port(ev->u.reply.data, &port) == NACRE_OK && port != 0;
    }
    f->port = good && !f->o.listen.path ? port : 0;
    f->status = good ? NACRE_OK : NACRE_REQUEST_REFUSED;
    if (!good) {
        (void)nc_fail(&f->why, NACRE_REQUEST_REFUSED, "%s: the server does not listen on %s",
                      c->where, listen_name(f).text);
    }
    if (f->cancelled) {
        if (good) {
            nc_forward_withdraw(f);
        }
        delist(f);
        destroy(f);
    } else if (f->o.on_ready) {
        nacre_error why = f->why;
        f->o.on_ready(f->o.user, f, f->status, &why);
    }
    return true;
}

typedef struct wait_job {
    nacre_client *c;
    const nacre_forward *f;
} wait_job;

static int is_ready(void *user)
{
    const wait_job *j = user;
    if (!nc_forward_is_listed(j->c, j->f) || j->f->cancelled) {
        return nc_client_fail(j->c, NACRE_NOT_FOUND, "the forwarding was cancelled");
    }
    /* Of the end of the connection the waiting itself tells. */
    return j->f->status == NACRE_OK || j->f->status == NACRE_REQUEST_REFUSED ? NACRE_OK
                                                                             : NACRE_AGAIN;
}

int nacre_client_forward_wait(nacre_client *c, nacre_forward *f, uint32_t timeout_ms)
{
    wait_job j = {c, f};
    nc_client_begin(c);
    nacre_driver_kick(c->d);
    nc_wait w = nc_client_wait_init(c, timeout_ms, "a forwarding");
    int rc = nc_client_wait(c, &w, is_ready, &j);
    if (rc == NACRE_OK && f->status != NACRE_OK) {
        c->err = f->why;
        rc = f->status;
    }
    return rc;
}

/* ---- the end ---- */

static void leave_connections(nacre_forward *f)
{
    for (nc_forward_conn *k = f->c->forward_conns; k; k = k->next) {
        if (k->f == f) {
            k->f = NULL;
        }
    }
}

void nacre_forward_cancel(nacre_forward *f)
{
    if (!f || f->cancelled) {
        return;
    }
    nacre_client *c = f->c;
    tell_gone(f);
    leave_connections(f);
    nc_listen_free(f->listener);
    f->listener = NULL;
    nc_forward_refuse_queue(f);
    if (f->status == NACRE_AGAIN && !c->closed) {
        f->cancelled = true; /* what it will say is not known: the answer comes first */
        return;
    }
    if (f->status == NACRE_OK && nc_forward_is_remote(f) && !c->closed) {
        nc_forward_withdraw(f);
    }
    delist(f);
    destroy(f);
}

/* Those that the server has not answered are told; they may cancel each other in it. */
static void end_waiting(nacre_client *c)
{
    nacre_forward *f = c->forwards;
    while (f) {
        if (f->status != NACRE_AGAIN) {
            f = f->next;
            continue;
        }
        f->status = nc_fail(&f->why, NACRE_CLOSED, "%s: the connection is over", c->where);
        if (!f->cancelled && f->o.on_ready) {
            nacre_error why = f->why;
            f->o.on_ready(f->o.user, f, NACRE_CLOSED, &why);
        }
        f = c->forwards;
    }
}

/* The connection is over: nothing can be forwarded any more. Relays end by themselves. */
void nc_forwards_closed(nacre_client *c)
{
    for (nacre_forward *f = c->forwards; f; f = f->next) {
        nc_listen_free(f->listener);
        f->listener = NULL;
        nc_forward_refuse_queue(f);
        f->status = f->status == NACRE_OK ? NACRE_CLOSED : f->status;
    }
    for (nc_forward_conn *k = c->forward_conns, *next; k; k = next) {
        next = k->next;
        if (k->stage != NC_FORWARD_RELAYED) {
            nc_forward_conn_free(k);
        }
    }
    end_waiting(c);
}

void nc_forwards_clear(nacre_client *c)
{
    while (c->forward_conns) {
        nc_forward_conn_free(c->forward_conns);
    }
    while (c->forwards) {
        nacre_forward *f = c->forwards;
        c->forwards = f->next;
        tell_gone(f);
        nc_forward_refuse_queue(f);
        destroy(f);
    }
}

/* ---- asking about it ---- */

nacre_forward *nacre_client_next_forward(nacre_client *c, const nacre_forward *prev)
{
    nacre_forward *f = prev ? prev->next : c->forwards;
    while (f && f->cancelled) {
        f = f->next;
    }
    return f;
}

uint16_t nacre_forward_port(const nacre_forward *f)
{
    return f->status == NACRE_OK ? f->port : 0;
}

const nacre_forward_options *nacre_forward_get_options(const nacre_forward *f)
{
    return &f->o;
}

int nacre_forward_status(const nacre_forward *f)
{
    return f->status;
}

unsigned nacre_forward_connections(const nacre_forward *f)
{
    return f->count;
}
