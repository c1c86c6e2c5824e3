/*
 * sftp_reader.c - reads a remote file with many requests on the way: short replies are asked for again,
 * replies may come in any order, and the end of the file is where the server says EOF.
 */
#include "client/sftp_session.h"

enum {
    /* Requests at or behind the size that the server named: one to find the end, more as they succeed. */
    FIRST_DEPTH = 1
};

static void release(nc_sftp_chunk *c)
{
    nc_sftp_chunk_unlink(c);
    nc_sftp_chunk_landed(c);
    nc_sftp_chunk_give(c->flow->s, c);
}

static void ends_at(nc_sftp_reader *r, uint64_t offset)
{
    if (offset < r->flow.end) {
        r->flow.end = offset;
    }
}

/* total bytes came where c->len were asked for. */
static void short_reply(nc_sftp_reader *r, nc_sftp_chunk *c, uint32_t total)
{
    nc_sftp_flow *f = &r->flow;
    uint64_t behind = c->offset + total;
    if (behind == r->size) {
        ends_at(r, behind); /* the size was right, no need to ask again */
        release(c);
        return;
    }
    nc_sftp_chunk_unlink(c);
    nc_sftp_chunk_landed(c);
    c->offset = behind;
    c->len -= total;
    c->next = f->repair;
    f->repair = c;
}

static void on_data(nc_sftp_reader *r, nc_sftp_chunk *c, const nacre_sftp_event *ev)
{
    nc_sftp_flow *f = &r->flow;
    nacre_span bytes = ev->u.data.bytes;
    uint64_t behind = ev->u.data.position + bytes.n;
    if (f->error.status == NACRE_OK) {
        int rc = r->sink(f->user, ev->u.data.position, bytes, &f->error);
        if (rc != NACRE_OK) {
            nc_sftp_flow_fail(f, rc, "%s: %s", f->path, nacre_status_text(rc));
        }
        f->moved += bytes.n;
    }
    r->top = behind > r->top ? behind : r->top;
    if (!ev->u.data.last) {
        return;
    }
    if (ev->u.data.total < c->len) {
        short_reply(r, c, ev->u.data.total);
        return;
    }
    if (c->offset >= r->size || r->size == UINT64_MAX) {
        r->depth += r->depth < f->max_requests ? r->depth : 0;
    }
    release(c);
}

static void on_reply(nc_sftp_call *call, nacre_sftp *s, const nacre_sftp_event *ev)
{
    (void)s;
    nc_sftp_chunk *c = (nc_sftp_chunk *)call;
    nc_sftp_reader *r = (nc_sftp_reader *)c->flow;
    if (ev->type == NACRE_SFTP_EVENT_DATA) {
        on_data(r, c, ev);
        return;
    }
    if (ev->u.status.code == NACRE_FX_EOF) {
        ends_at(r, c->offset);
    } else {
        nc_sftp_flow_refused(&r->flow, ev, "read", c->offset);
    }
    release(c);
}

/* False: not now. */
static bool request(nc_sftp_reader *r, nc_sftp_chunk *c)
{
    nc_sftp_flow *f = &r->flow;
    uint32_t id = 0;
    size_t asked = 0;
    int rc = nacre_sftp_req_read(f->s->engine, f->handle, c->offset, c->len, &asked, &id);
    if (rc != NACRE_OK) {
        if (rc != NACRE_AGAIN) {
            nc_sftp_flow_fail(f, rc, "read %s: %s", f->path, nacre_status_text(rc));
        }
        return false;
    }
    c->len = (uint32_t)asked;
    c->call.on_reply = on_reply;
    nc_sftp_chunk_sent(c, id);
    return true;
}

/* Rests of short replies, lowest first or not: each has its own offset. */
static bool repair(nc_sftp_reader *r)
{
    nc_sftp_flow *f = &r->flow;
    while (f->repair) {
        nc_sftp_chunk *c = f->repair;
        if (c->offset >= f->end) {
            f->repair = c->next;
            nc_sftp_chunk_give(f->s, c);
            continue;
        }
        if (r->in_order && f->requests > 0) {
            return false;
        }
        nc_sftp_chunk *next = c->next;
        if (!request(r, c)) {
            return false;
        }
        f->repair = next;
    }
    return true;
}

/* Bytes of the next request, 0: none now. */
static uint64_t next_length(nc_sftp_reader *r)
{
    nc_sftp_flow *f = &r->flow;
    uint64_t room = nc_sftp_flow_room(f);
    uint64_t left = f->end - f->next;
    if (room == 0 || left == 0 || (r->in_order && f->requests > 0)) {
        return 0;
    }
    uint64_t n = nc_sftp_flow_most(f, f->s->max_read);
    if (f->next < r->size && r->size != UINT64_MAX) {
        /* One byte more than there should be: a short answer is the end, and saves asking for it. */
        n = r->size - f->next < n ? r->size - f->next + 1 : n;
    } else if (f->requests >= r->depth) {
        return 0; /* where nothing may be, we grope */
    }
    n = left < n ? left : n;
    /* A cut request would cost a round trip's bookkeeping for little: wait for room, unless alone. */
    if (n > room) {
        n = f->requests == 0 ? room : 0;
    }
    return n;
}

static void pump(nc_sftp_flow *f)
{
    nc_sftp_reader *r = (nc_sftp_reader *)f;
    if (f->error.status != NACRE_OK || !repair(r)) {
        return;
    }
    uint64_t n;
    while (f->next < f->end && (n = next_length(r)) > 0) {
        nc_sftp_chunk *c = nc_sftp_chunk_take(f);
        if (!c) {
            return;
        }
        c->offset = f->next;
        c->len = (uint32_t)n;
        if (!request(r, c)) {
            nc_sftp_chunk_give(f->s, c);
            return;
        }
        f->next += c->len;
    }
}

void nc_sftp_reader_init(nc_sftp_reader *r, nacre_sftp *s, nacre_span handle, const char *path,
                         nc_sftp_sink sink, void *user)
{
    nc_sftp_flow_init(&r->flow, s, handle, path);
    r->flow.cap = s->read_ahead;
    r->flow.pump = pump;
    r->flow.user = user;
    r->sink = sink;
    r->size = UINT64_MAX;
    r->top = 0;
    r->depth = FIRST_DEPTH;
    r->in_order = false;
}
