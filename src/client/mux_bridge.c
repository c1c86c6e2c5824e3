/*
 * mux_bridge.c - a client of a master that speaks the connection protocol itself (PROTOCOL.mux 9). To it we are a
 * server, by an engine of its own; each channel that it opens there is opened anew on the shared connection, and the
 * two are joined, and likewise those that the server opens for it (mux_listen.c). Nothing that one side writes reaches the other unread: the server sees messages of our making
 * only, and a client that breaks a rule ends its own connection and nobody else's.
 *
 * Data waits in queues that the windows bound: what is not written gives no window back.
 */
#include "client/mux_master.h"
#include "client/openers.h"

#include <string.h>

enum { CONNECT_FAILED = 2, RESOURCE_SHORTAGE = 4 }; /* RFC 4254 5.1 */
enum {
    TICKETS =
        64 /* requests that a peer may have unanswered on a channel: the engine allows no more */
};

/* One direction of a joined pair. */
typedef struct way {
    nacre_channel *from, *to;
    nacre_transport *from_t; /* whose questions are answered when the other side's reply is there */
    nc_queue waiting[2];     /* by stream */
    bool eof, eof_sent;
    bool closed;               /* from is closed both ways */
    bool close_sent;           /* and to is told */
    uint32_t tickets[TICKETS]; /* questions of from, in order; a ring */
    size_t ticket_at, ticket_count;
} way;

typedef struct pair {
    struct pair *next;
    nc_mux_bridge *b;
    uint32_t open_ticket;   /* of the client's open; 0: answered, or the server's */
    uint32_t server_ticket; /* of the server's open; 0: answered, or the client's */
    way up, down;           /* towards the server, towards the client */
} pair;

struct nc_mux_bridge {
    nc_mux_conn *x;
    nacre_transport *t;
    nacre_driver *d;
    pair *pairs;
};

/* ---- pairs ---- */

static void pair_free(pair *p)
{
    nc_mux_bridge *b = p->b;
    nacre_client *c = b->x->m->c;
    for (pair **at = &b->pairs; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    for (int i = 0; i < 2; i++) {
        nc_queue_clear(&p->up.waiting[i]);
        nc_queue_clear(&p->down.waiting[i]);
    }
    if (p->up.from) {
        nacre_channel_free(p->up.from);
    }
    if (p->server_ticket) {
        nc_client_refuse_open(c, p->server_ticket, CONNECT_FAILED, "the client has gone");
        p->down.from = NULL; /* gone with its refusal */
    }
    if (p->down.from) {
        (void)nacre_client_on_channel(c, p->down.from, NULL, NULL);
        nacre_client_channel_free(c, p->down.from);
    }
    nc_free(b->x->m->alloc, p);
}

void nc_mux_bridge_kick(nc_mux_bridge *b)
{
    nacre_client *c = b->x->m->c;
    if (!c->closed) {
        nacre_driver_kick(c->d);
    }
    nacre_driver_kick(b->d);
}

/* What was read goes on, as far as it may; then the end of it. */
static void pump(way *w)
{
    bool empty = true;
    for (int i = 0; i < 2; i++) {
        nc_queue *q = &w->waiting[i];
        while (nc_queue_len(q) > 0) {
            size_t took = 0;
            int rc = nacre_channel_write(w->to, i, nc_queue_front(q), nc_queue_len(q), &took);
            if (rc != NACRE_OK) { /* it is closed, or closing: nobody reads this any more */
                took = nc_queue_len(q);
            }
            nc_queue_consume(q, took);
            (void)nacre_channel_consumed(w->from, took);
            if (took == 0) {
                break;
            }
        }
        empty = empty && nc_queue_len(q) == 0;
        nc_queue_shrink(q, 64 * 1024);
    }
    if (empty && w->eof && !w->eof_sent) {
        w->eof_sent = true;
        (void)nacre_channel_eof(w->to);
    }
    if (empty && w->closed && !w->close_sent) {
        w->close_sent = true;
        (void)nacre_channel_close(w->to);
    }
}

static void take_data(way *w, const nacre_event *ev)
{
    int stream = ev->u.data.stream == NACRE_STDERR ? 1 : 0;
    nacre_span bytes = ev->u.data.bytes;
    size_t took = 0;
    if (nc_queue_len(&w->waiting[stream]) == 0 &&
        nacre_channel_write(w->to, stream, bytes.p, bytes.n, &took) != NACRE_OK) {
        took = bytes.n;
    }
    (void)nacre_channel_consumed(w->from, took);
    if (took < bytes.n &&
        nc_queue_append(&w->waiting[stream], bytes.p + took, bytes.n - took) != NACRE_OK) {
        /* A hole in a stream would be worse than its end. */
        (void)nacre_channel_close(w->from);
        (void)nacre_channel_close(w->to);
    }
}

static void refuse(way *w, uint32_t ticket)
{
    if (ticket) {
        (void)nacre_transport_refuse(w->from_t, ticket);
    }
}

static void take_request(way *w, const nacre_event *ev)
{
    char name[80];
    nacre_span n = ev->u.request.name;
    bool asks = ev->ticket != 0;
    if (n.n >= sizeof(name) || (asks && w->ticket_count == TICKETS)) {
        refuse(w, ev->ticket);
        return;
    }
    memcpy(name, n.p, n.n);
    name[n.n] = '\0';
    if (nacre_channel_request(w->to, name, asks, ev->u.request.data) != NACRE_OK) {
        refuse(w, ev->ticket);
    } else if (asks) {
        w->tickets[(w->ticket_at + w->ticket_count++) % TICKETS] = ev->ticket;
    }
}

/* The answer to what came the other way. */
static void take_reply(way *back, bool success)
{
    if (back->ticket_count == 0) {
        return;
    }
    uint32_t ticket = back->tickets[back->ticket_at];
    back->ticket_at = (back->ticket_at + 1) % TICKETS;
    back->ticket_count--;
    if (success) {
        (void)nacre_transport_accept(back->from_t, ticket);
    } else {
        refuse(back, ticket);
    }
}

static void copy_text(char *out, size_t size, nacre_span s)
{
    size_t n = s.n < size ? s.n : size - 1;
    if (n) {
        memcpy(out, s.p, n);
    }
    out[n] = '\0';
}

static void take_exit(way *w, const nacre_event *ev)
{
    char name[64], message[1024];
    if (ev->type == NACRE_EVENT_EXIT_STATUS) {
        (void)!nacre_channel_exit_status(w->to, ev->u.exit.status);
        return;
    }
    copy_text(name, sizeof(name), ev->u.exit.signal);
    copy_text(message, sizeof(message), ev->u.exit.message);
    (void)!nacre_channel_exit_signal(w->to, name, ev->u.exit.core_dumped, message);
}

/* An event of w->from. True: the pair may be over. */
static bool carry(way *w, way *back, const nacre_event *ev)
{
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_DATA:
        take_data(w, ev);
        return false;
    case NACRE_EVENT_CHANNEL_WRITABLE: /* from takes more, which is where the way back leads to */
        pump(back);
        return false;
    case NACRE_EVENT_CHANNEL_EOF:
        w->eof = true;
        pump(w);
        return false;
    case NACRE_EVENT_CHANNEL_REQUEST:
        take_request(w, ev);
        return false;
    case NACRE_EVENT_CHANNEL_REPLY:
        take_reply(back, ev->u.reply.success);
        return false;
    case NACRE_EVENT_EXIT_STATUS:
    case NACRE_EVENT_EXIT_SIGNAL:
        take_exit(w, ev);
        return false;
    case NACRE_EVENT_CHANNEL_CLOSED:
        w->closed = true;
        back->close_sent = back->eof_sent = true; /* nobody is left there to tell */
        pump(w);
        return true;
    default:
        return false;
    }
}

/* ---- towards the client ---- */

static void open_failed(pair *p, uint32_t reason, const char *text)
{
    nacre_answer no = {.reason = reason, .text = text};
    (void)nacre_transport_answer(p->b->t, p->open_ticket, &no);
    p->up.from = p->down.to = NULL; /* the refusal has ended that handle */
    pair_free(p);
}

static int on_up(void *user, const nacre_event *ev)
{
    pair *p = user;
    nc_mux_bridge *b = p->b;
    char text[256];
    if (ev->type == NACRE_EVENT_CHANNEL_OPENED) {
        (void)nacre_transport_accept(b->t, p->open_ticket);
        p->open_ticket = 0;
    } else if (ev->type == NACRE_EVENT_CHANNEL_FAILED) {
        (void)nacre_escape(text, sizeof(text), ev->u.failed.description);
        open_failed(p, ev->u.failed.reason, text);
    } else if (carry(&p->down, &p->up, ev) && p->up.closed) {
        pair_free(p);
    }
    nc_mux_bridge_kick(b);
    return NACRE_AGAIN;
}

/* ---- towards the server ---- */

static void way_init(way *w, const nacre_allocator *a, nacre_transport *t, nacre_channel *from,
                     nacre_channel *to)
{
    w->from = from;
    w->to = to;
    w->from_t = t;
    nc_queue_init(&w->waiting[0], a, NC_INBOX_MAX);
    nc_queue_init(&w->waiting[1], a, NC_INBOX_MAX);
}

static void on_open(nc_mux_bridge *b, const nacre_event *ev)
{
    nacre_client *c = b->x->m->c;
    const nacre_answer no = {.reason = RESOURCE_SHORTAGE, .text = "the shared connection"};
    nacre_channel *up = NULL;
    nacre_error kept = c->err;
    pair *p = nc_zalloc(b->x->m->alloc, sizeof(*p));
    int rc = !p ? NACRE_NO_MEMORY : c->closed ? NACRE_CLOSED : NACRE_OK;
    if (rc == NACRE_OK) {
        rc = nacre_channel_open(c->t, nacre_channel_type(ev->channel), ev->u.open.data, 0, 0, &up);
    }
    if (rc == NACRE_OK && (rc = nacre_client_on_channel(c, up, on_up, p)) != NACRE_OK) {
        nacre_channel_free(up);
    }
    c->err = kept;
    if (rc != NACRE_OK) {
        nc_free(b->x->m->alloc, p);
        (void)nacre_transport_answer(b->t, ev->ticket, &no);
        return;
    }
    p->b = b;
    p->open_ticket = ev->ticket;
    way_init(&p->up, b->x->m->alloc, b->t, ev->channel, up);
    way_init(&p->down, b->x->m->alloc, c->t, up, ev->channel);
    p->next = b->pairs;
    b->pairs = p;
    nacre_channel_set_user(ev->channel, p);
}

/* ---- what the server opens ---- */

void nc_mux_bridge_offer(nc_mux_bridge *b, const nacre_event *ev)
{
    nacre_client *c = b->x->m->c;
    nacre_channel *down = NULL;
    pair *p = nc_zalloc(b->x->m->alloc, sizeof(*p));
    int rc =
        p ? nacre_channel_open(b->t, nacre_channel_type(ev->channel), ev->u.open.data, 0, 0, &down)
          : NACRE_NO_MEMORY;
    if (rc != NACRE_OK) {
        nc_free(b->x->m->alloc, p);
        nc_client_refuse_open(c, ev->ticket, RESOURCE_SHORTAGE, "too many channels");
        return;
    }
    p->b = b;
    p->server_ticket = ev->ticket;
    way_init(&p->up, b->x->m->alloc, b->t, down, ev->channel);
    way_init(&p->down, b->x->m->alloc, c->t, ev->channel, down);
    p->next = b->pairs;
    b->pairs = p;
    nacre_channel_set_user(down, p);
    nc_mux_bridge_kick(b);
}

/* The client takes it. */
static void taken(pair *p)
{
    nacre_client *c = p->b->x->m->c;
    nacre_channel *ch = p->down.from;
    uint32_t ticket = p->server_ticket;
    nacre_error kept = c->err;
    p->server_ticket = 0;
    if (!nc_client_accept_open(c, ticket, ch)) {
        p->down.from = NULL; /* refused, or the connection is over */
        pair_free(p);
    } else if (nacre_client_on_channel(c, ch, on_up, p) != NACRE_OK) {
        pair_free(p);
    }
    c->err = kept;
}

static void not_taken(pair *p, const nacre_event *ev)
{
    char text[256];
    uint32_t ticket = p->server_ticket;
    p->server_ticket = 0;
    p->down.from = NULL; /* gone with its refusal */
    (void)nacre_escape(text, sizeof(text), ev->u.failed.description);
    nc_client_refuse_open(p->b->x->m->c, ticket, ev->u.failed.reason, text);
    pair_free(p);
}

static void on_pair(pair *p, const nacre_event *ev)
{
    if (ev->type == NACRE_EVENT_CHANNEL_OPENED) {
        taken(p);
    } else if (ev->type == NACRE_EVENT_CHANNEL_FAILED) {
        not_taken(p, ev);
    } else if (carry(&p->up, &p->down, ev) && p->down.closed) {
        pair_free(p);
    }
}

static void on_event(void *user, nacre_driver *d, const nacre_event *ev)
{
    nc_mux_bridge *b = user;
    (void)d;
    if (ev->type == NACRE_EVENT_CHANNEL_OPEN) {
        on_open(b, ev);
    } else if (ev->channel) {
        pair *p = nacre_channel_user(ev->channel);
        if (p) {
            on_pair(p, ev);
        }
    } else if (ev->type == NACRE_EVENT_GLOBAL_REQUEST) {
        nc_mux_listen_request(b->x, ev);
    } else if (ev->ticket) {
        (void)nacre_transport_refuse(b->t, ev->ticket);
    }
    nc_mux_bridge_kick(b);
}

static void on_closed(void *user, nacre_driver *d, const nacre_error *why)
{
    nc_mux_bridge *b = user;
    (void)d;
    if (why->status != NACRE_OK && why->status != NACRE_CLOSED && why->status != NACRE_END) {
        nc_client_log(b->x->m->c, NACRE_LOG_INFO, "a proxied client of the shared connection: %s",
                      why->text);
    }
    nc_mux_gone(b->x);
}

/* ---- life ---- */

int nc_mux_bridge_start(nc_mux_conn *x)
{
    nacre_client *c = x->m->c;
    nacre_config cfg;
    nacre_driver_options o;
    nacre_error why;
    nc_error_clear(&why);
    nc_mux_bridge *b = nc_zalloc(x->m->alloc, sizeof(*b));
    if (!b) {
        return NACRE_NO_MEMORY;
    }
    b->x = x;
    nacre_config_init(&cfg, NACRE_SERVER);
    cfg.allocator = x->m->alloc;
    cfg.log = c->cfg.transport.log;
    cfg.log_user = c->cfg.transport.log_user;
    cfg.log_level = c->cfg.transport.log_level;
    cfg.max_channels = c->cfg.transport.max_channels;
    nacre_driver_options_init(&o);
    o.on_event = on_event;
    o.on_closed = on_closed;
    o.user = b;
    int rc = nacre_transport_new_proxied(&b->t, &cfg, nacre_loop_now(c->loop), &why);
    if (rc == NACRE_OK) {
        nacre_loop_remove(c->loop, x->fd);
        rc = nacre_driver_new(&b->d, c->loop, b->t, x->fd, x->fd, &o, &why);
    }
    if (rc != NACRE_OK) {
        nc_client_log(c, NACRE_LOG_INFO, "a proxied client of the shared connection: %s", why.text);
        nacre_transport_free(b->t);
        nc_free(x->m->alloc, b);
        return rc;
    }
    x->fd = -1; /* the driver's now */
    x->bridge = b;
    return NACRE_OK;
}

void nc_mux_bridge_end(nc_mux_bridge *b)
{
    (void)nacre_transport_disconnect(b->t, 0, "the shared connection is over");
    nacre_driver_close(b->d);
}

nacre_transport *nc_mux_bridge_transport(const nc_mux_bridge *b)
{
    return b->t;
}

void nc_mux_bridge_free(nc_mux_bridge *b)
{
    if (!b) {
        return;
    }
    nc_mux_listen_clear(b->x);
    while (b->pairs) {
        pair_free(b->pairs);
    }
    nacre_driver_free(b->d);
    nacre_transport_free(b->t);
    nc_free(b->x->m->alloc, b);
}
