/*
 * sftp_writer.c - writes a remote file with many requests on the way. The source fills the very bytes
 * that will be encrypted; every request's acknowledgement is awaited.
 */
#include "client/sftp_session.h"

enum {
    ROOMS = 16, /* 255 KiB in SSH packets of 32 KiB are 8 or 9 */
    /* Asked of the source when all that was expected has come: is there more? */
    PROBE = 32 * 1024
};

/* Acknowledged ones at the front are through for good. */
static void drop_done(nc_sftp_flow *f)
{
    while (f->first && f->first->done) {
        nc_sftp_chunk *c = f->first;
        nc_sftp_chunk_unlink(c);
        nc_sftp_chunk_give(f->s, c);
    }
}

static void on_reply(nc_sftp_call *call, nacre_sftp *s, const nacre_sftp_event *ev)
{
    (void)s;
    nc_sftp_chunk *c = (nc_sftp_chunk *)call;
    nc_sftp_flow *f = c->flow;
    nc_sftp_chunk_landed(c);
    if (ev->u.status.code == NACRE_FX_OK) {
        f->moved += c->len;
        c->done = true;
    } else {
        nc_sftp_flow_refused(f, ev, "write", c->offset);
    }
    drop_done(f);
}

static uint64_t next_length(const nc_sftp_writer *w, uint64_t room)
{
    const nc_sftp_flow *f = &w->flow;
    uint64_t n = nc_sftp_flow_most(f, f->s->max_write);
    if (w->size != UINT64_MAX) {
        uint64_t left = f->next < w->size ? w->size - f->next : PROBE;
        n = left < n ? left : n;
    }
    n = f->end - f->next < n ? f->end - f->next : n;
    if (n > room) {
        n = f->requests == 0 ? room : 0;
    }
    return n;
}

/* One request of up to n bytes; false: not now, or no more. */
static bool request(nc_sftp_writer *w, uint64_t n)
{
    nc_sftp_flow *f = &w->flow;
    nacre_room rooms[ROOMS];
    size_t count = ROOMS;
    size_t granted = 0;
    size_t got = 0;
    uint32_t id = 0;
    int rc = nacre_sftp_reserve_write(f->s->engine, f->handle, f->next, (size_t)n, rooms, &count,
                                      &granted);
    if (rc != NACRE_OK) {
        if (rc != NACRE_AGAIN) {
            nc_sftp_flow_fail(f, rc, "write %s: %s", f->path, nacre_status_text(rc));
        }
        return false;
    }
    int source_rc = w->source(f->user, f->next, rooms, count, granted, &got, &f->error);
    rc = nacre_sftp_commit_write(f->s->engine, source_rc == NACRE_OK ? got : 0, &id);
    if (source_rc != NACRE_OK || rc != NACRE_OK) {
        int bad = source_rc != NACRE_OK ? source_rc : rc;
        nc_sftp_flow_fail(f, bad, "write %s: %s", f->path, nacre_status_text(bad));
        return false;
    }
    if (got == 0) {
        w->ended = true;
        f->end = f->next;
        return false;
    }
    nc_sftp_chunk *c = nc_sftp_chunk_take(f);
    if (!c) {
        nacre_sftp_engine_forget(f->s->engine, id);
        return false;
    }
    c->offset = f->next;
    c->len = (uint32_t)got;
    c->call.on_reply = on_reply;
    nc_sftp_chunk_sent(c, id);
    f->next += got;
    return true;
}

static void pump(nc_sftp_flow *f)
{
    nc_sftp_writer *w = (nc_sftp_writer *)f;
    while (f->error.status == NACRE_OK && f->next < f->end) {
        uint64_t room = nc_sftp_flow_room(f);
        uint64_t n = room ? next_length(w, room) : 0;
        if (n == 0 || !request(w, n)) {
            return;
        }
    }
}

void nc_sftp_writer_init(nc_sftp_writer *w, nacre_sftp *s, nacre_span handle, const char *path,
                         nc_sftp_source source, void *user)
{
    nc_sftp_flow_init(&w->flow, s, handle, path);
    w->flow.pump = pump;
    w->flow.user = user;
    w->source = source;
    w->size = UINT64_MAX;
    w->ended = false;
}
