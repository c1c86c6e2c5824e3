/*
 * sftp_reader.c - reads a remote file with many requests on the way: short replies are asked for again,
 * replies may come in any order (for a sink that cannot seek, early ones wait in a ring), and the end of
 * the file is where the server says EOF.
 */
#include "client/sftp_session.h"

#include <string.h>

enum {
    /* Requests at or behind the size that the server named: one to find the end, more as they succeed. */
    FIRST_DEPTH = 1,
    /* How far a sink in order may lag behind what is asked for: 1 Gbit/s over 60 ms. */
    REORDER = 8 * 1024 * 1024,
    /* A server that gives less than asked is asked for as much as it gives, and now and then for more. */
    LEAST = 512,
    TRY_MORE = 256
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

/* ---- in order ----------------------------------------------------------------------------------------- */

static void to_sink(nc_sftp_reader *r, uint64_t offset, nacre_span bytes)
{
    nc_sftp_flow *f = &r->flow;
    int rc = r->sink(f->user, offset, bytes, &f->error);
    if (rc != NACRE_OK) {
        nc_sftp_flow_fail(f, rc, "%s: %s", f->path, nacre_status_text(rc));
    }
    f->moved += bytes.n;
}

/* The part of the ring at this offset, as far as it goes in one piece. */
static nacre_room ring(const nc_sftp_reader *r, uint64_t offset, size_t n)
{
    size_t at = (size_t)(offset % REORDER);
    return (nacre_room){r->early + at, n < REORDER - at ? n : REORDER - at};
}

/* No request goes further ahead than the ring holds, so nothing that waits in it is overwritten. */
static void keep(nc_sftp_reader *r, uint64_t offset, nacre_span bytes)
{
    nc_sftp_flow *f = &r->flow;
    if (!r->early) {
        r->early = nc_alloc(f->s->alloc, REORDER);
    }
    if (!r->early) {
        nc_sftp_flow_fail(f, NACRE_NO_MEMORY, "no memory for what came early");
        return;
    }
    while (bytes.n > 0) {
        nacre_room room = ring(r, offset, bytes.n);
        memcpy(room.p, bytes.p, room.n);
        bytes.p += room.n;
        bytes.n -= room.n;
        offset += room.n;
    }
}

/* An early answer is there as a whole; c stands for it in the list. */
static void kept(nc_sftp_reader *r, nc_sftp_chunk *c)
{
    nc_sftp_chunk **at = &r->kept;
    while (*at && (*at)->offset < c->offset) {
        at = &(*at)->next;
    }
    c->next = *at;
    *at = c;
}

static void drain(nc_sftp_reader *r)
{
    while (r->kept && r->kept->offset == r->delivered && r->flow.error.status == NACRE_OK) {
        nc_sftp_chunk *c = r->kept;
        nacre_room room = ring(r, c->offset, c->len);
        to_sink(r, c->offset, nc_span(room.p, room.n));
        r->delivered += room.n;
        c->offset += room.n;
        c->len -= (uint32_t)room.n;
        if (c->len == 0) {
            r->kept = c->next;
            nc_sftp_chunk_give(r->flow.s, c);
        }
    }
}

static void drop(nc_sftp_flow *f)
{
    nc_sftp_reader *r = (nc_sftp_reader *)f;
    while (r->kept) {
        nc_sftp_chunk *c = r->kept;
        r->kept = c->next;
        nc_sftp_chunk_give(f->s, c);
    }
    nc_free(f->s->alloc, r->early);
    r->early = NULL;
}

/* Behind the last piece of an answer that began at offset. */
static void arrived(nc_sftp_reader *r, uint64_t offset, uint32_t total)
{
    if (!r->in_order || r->flow.error.status != NACRE_OK) {
        return;
    }
    if (offset < r->delivered) {
        drain(r);
        return;
    }
    nc_sftp_chunk *c = nc_sftp_chunk_take(&r->flow);
    if (c) {
        c->offset = offset;
        c->len = total;
        kept(r, c);
    }
}

static void take_bytes(nc_sftp_reader *r, uint64_t offset, nacre_span bytes)
{
    if (!r->in_order) {
        to_sink(r, offset, bytes);
    } else if (offset == r->delivered) {
        r->delivered += bytes.n;
        to_sink(r, offset, bytes);
    } else {
        keep(r, offset, bytes);
    }
}

/* ---- answers ------------------------------------------------------------------------------------------ */

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
    r->most = total < LEAST ? LEAST : total;
    r->whole = 0;
    nc_sftp_chunk_unlink(c);
    nc_sftp_chunk_landed(c);
    c->offset = behind;
    c->len -= total;
    c->next = f->repair;
    f->repair = c;
}

static void whole_reply(nc_sftp_reader *r, nc_sftp_chunk *c)
{
    if (++r->whole >= TRY_MORE && r->most < SIZE_MAX / 2) {
        r->most *= 2;
        r->whole = 0;
    }
    if (c->offset >= r->size || r->size == UINT64_MAX) {
        r->depth += r->depth < r->flow.max_requests ? r->depth : 0;
    }
    release(c);
}

static void on_data(nc_sftp_reader *r, nc_sftp_chunk *c, const nacre_sftp_event *ev)
{
    nacre_span bytes = ev->u.data.bytes;
    uint64_t behind = ev->u.data.position + bytes.n;
    if (r->flow.error.status == NACRE_OK) {
        take_bytes(r, ev->u.data.position, bytes);
    }
    r->top = behind > r->top ? behind : r->top;
    if (!ev->u.data.last) {
        return;
    }
    arrived(r, c->offset, ev->u.data.total);
    if (ev->u.data.total < c->len) {
        short_reply(r, c, ev->u.data.total);
    } else {
        whole_reply(r, c);
    }
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
    if (r->in_order) {
        uint64_t ahead = f->next - r->delivered;
        room = REORDER - ahead < room ? REORDER - ahead : room;
    }
    if (r->gate) {
        uint64_t open = *r->gate > f->next ? *r->gate - f->next : 0;
        room = open < room ? open : room;
    }
    if (room == 0 || left == 0) {
        return 0;
    }
    uint64_t n = nc_sftp_flow_most(f, f->s->max_read < r->most ? f->s->max_read : r->most);
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
    if (!r->begun) {
        r->begun = true;
        r->delivered = f->next;
    }
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
    r->flow.pump = pump;
    r->flow.user = user;
    r->sink = sink;
    r->size = UINT64_MAX;
    r->top = 0;
    r->depth = FIRST_DEPTH;
    r->most = SIZE_MAX;
    r->whole = 0;
    r->in_order = r->begun = false;
    r->gate = NULL;
    r->delivered = 0;
    r->early = NULL;
    r->kept = NULL;
    r->flow.drop = drop;
}
