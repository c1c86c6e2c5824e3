/*
 * sftp_file_write.c - writing at the position. Small writes are gathered into requests as large as the
 * server takes; requests leave and are not waited for, up to a bound. Their errors come late: the next
 * write, a flush or the close returns them, once.
 */
#include "client/sftp_file.h"

#include <string.h>

enum { FIRST_STAGE = 4 * 1024 };

void nc_behind_init(nacre_sftp_file *f)
{
    nc_sftp_flow_init(&f->out, f->s, nc_file_handle(f), f->path);
}

/* ---- replies ------------------------------------------------------------------------------------------ */

static void on_written(nc_sftp_call *call, nacre_sftp *s, const nacre_sftp_event *ev)
{
    nc_sftp_chunk *c = (nc_sftp_chunk *)call;
    nc_sftp_flow *out = c->flow;
    nc_sftp_chunk_landed(c);
    nc_sftp_chunk_unlink(c);
    if (ev->u.status.code != NACRE_FX_OK) {
        nc_sftp_flow_refused(out, ev, "write", c->offset);
    }
    nc_sftp_chunk_give(s, c);
}

static bool all_written(void *user)
{
    return ((nacre_sftp_file *)user)->out.requests == 0;
}

/* How long nothing is acknowledged is bounded, not how long all of it takes. */
static int wait_all_written(nacre_sftp_file *f)
{
    uint32_t before;
    int rc;
    do {
        before = f->out.requests;
        rc = nc_sftp_wait(f->s, all_written, f, f->s->timeout_ms);
    } while (rc == NACRE_TIMEOUT && f->out.requests < before);
    return rc;
}

/* ---- errors ------------------------------------------------------------------------------------------- */

/*
 * Tells a late error and forgets it. What else is on the way is waited for first: it was sent with it,
 * and would fail for the same reason.
 */
static int tell_late(nacre_sftp_file *f)
{
    nacre_sftp *s = f->s;
    if (f->out.error.status == NACRE_OK) {
        return NACRE_OK;
    }
    if (wait_all_written(f) != NACRE_OK) {
        nc_sftp_flow_stop(&f->out);
    }
    s->error = f->out.error;
    s->status = f->out.code;
    nc_sftp_tidy(s);
    nc_error_clear(&f->out.error);
    f->out.code = NACRE_FX_OK;
    return s->error.status;
}

/* ---- requests ----------------------------------------------------------------------------------------- */

typedef struct sending {
    nacre_sftp_file *f;
    uint64_t offset;
    nacre_span data;
    nc_sftp_chunk *chunk;
    size_t took;
    uint32_t id;
    int rc; /* NACRE_AGAIN: no room yet */
} sending;

static bool within_bound(const nacre_sftp_file *f)
{
    return f->out.requests == 0 || f->out.flying + f->s->max_write <= f->behind_max;
}

/* Asked after each turn of the wire, for room can only be known by trying. */
static bool try_send(void *user)
{
    sending *w = user;
    nacre_sftp_file *f = w->f;
    if (w->rc != NACRE_AGAIN || f->out.error.status != NACRE_OK) {
        return true;
    }
    if (within_bound(f) && f->s->broken.status == NACRE_OK) {
        w->rc = nacre_sftp_req_write(f->s->engine, nc_file_handle(f), w->offset, w->data, &w->took,
                                     &w->id);
    }
    return w->rc != NACRE_AGAIN;
}

/* Makes one request of up to n bytes: *took. Waits for room, of our bound and of the wire. */
static int send(nacre_sftp_file *f, uint64_t offset, const uint8_t *p, size_t n, size_t *took)
{
    nacre_sftp *s = f->s;
    sending w = {.f = f, .offset = offset, .data = nc_span(p, n), .rc = NACRE_AGAIN};
    *took = 0;
    w.chunk = nc_sftp_chunk_take(&f->out);
    int rc = w.chunk ? nc_sftp_wait(s, try_send, &w, s->timeout_ms) : NACRE_NO_MEMORY;
    if (w.rc == NACRE_OK) { /* whatever became of the waiting */
        *took = w.took;
        w.chunk->offset = offset;
        w.chunk->len = (uint32_t)w.took;
        w.chunk->call.on_reply = on_written;
        nc_sftp_chunk_sent(w.chunk, w.id);
        nc_sftp_push(s); /* it leaves while the caller goes on */
        return NACRE_OK;
    }
    if (w.chunk) {
        nc_sftp_chunk_give(s, w.chunk);
    }
    if (f->out.error.status != NACRE_OK) {
        return tell_late(f);
    }
    if (rc == NACRE_OK) {
        rc = nc_sftp_fail(s, w.rc, "%s", nacre_status_text(w.rc));
    }
    return nc_file_fail(f, "write", rc);
}

/* What was gathered leaves; what did not stays gathered. */
static int send_staged(nacre_sftp_file *f)
{
    size_t done = 0;
    int rc = NACRE_OK;
    while (rc == NACRE_OK && done < f->staged_n) {
        size_t took = 0;
        rc = send(f, f->staged_at + done, f->staged + done, f->staged_n - done, &took);
        done += took;
    }
    if (done > 0) {
        memmove(f->staged, f->staged + done, f->staged_n - done);
        f->staged_n -= done;
        f->staged_at += done;
    }
    return rc;
}

static int wait_all(nacre_sftp_file *f)
{
    int rc = f->out.requests > 0 ? wait_all_written(f) : NACRE_OK;
    return rc == NACRE_OK ? tell_late(f) : nc_file_fail(f, "write", rc);
}

int nc_behind_flush(nacre_sftp_file *f)
{
    int rc = tell_late(f);
    if (rc == NACRE_OK && f->staged_n > 0) {
        rc = send_staged(f);
    }
    return rc == NACRE_OK ? wait_all(f) : rc;
}

void nc_behind_free(nacre_sftp_file *f)
{
    nc_sftp_flow_stop(&f->out);
    nc_free(f->s->alloc, f->staged);
    f->staged = NULL;
    f->staged_n = f->staged_size = 0;
}

/* ---- gathering ---------------------------------------------------------------------------------------- */

/* Room for more bytes, up to one request's. */
static int grow_stage(nacre_sftp_file *f, size_t need)
{
    size_t size = f->staged_size ? f->staged_size : FIRST_STAGE;
    while (size < need) {
        size *= 2;
    }
    size = size < f->s->max_write ? size : f->s->max_write;
    if (size <= f->staged_size) {
        return NACRE_OK;
    }
    uint8_t *p = nc_resize(f->s->alloc, f->staged, size);
    if (!p) {
        return nc_sftp_fail(f->s, NACRE_NO_MEMORY, "no memory to write %s",
                            NC_ESC(nc_span_cstr(f->path)));
    }
    f->staged = p;
    f->staged_size = size;
    return NACRE_OK;
}

/* Takes some of n bytes over, gathered or sent: *took. */
static int take_some(nacre_sftp_file *f, const uint8_t *p, size_t n, size_t *took)
{
    size_t most = f->s->max_write;
    *took = 0;
    if (f->staged_n == 0 && n >= most) {
        return send(f, f->position, p, n, took);
    }
    size_t room = most - f->staged_n;
    size_t k = n < room ? n : room;
    int rc = grow_stage(f, f->staged_n + k);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (f->staged_n == 0) {
        f->staged_at = f->position;
    }
    memcpy(f->staged + f->staged_n, p, k);
    f->staged_n += k;
    *took = k;
    return NACRE_OK;
}

static int begin_write(nacre_sftp_file *f, size_t n)
{
    int rc = nc_sftp_begin(f->s);
    if (rc == NACRE_OK && !(f->pflags & (NACRE_FXF_WRITE | NACRE_FXF_APPEND))) {
        return nc_sftp_fail(f->s, NACRE_WRONG_STATE, "write %s: it is open for reading only",
                            NC_ESC(nc_span_cstr(f->path)));
    }
    rc = rc == NACRE_OK ? tell_late(f) : rc;
    if (rc != NACRE_OK) {
        return rc;
    }
    if (f->pflags & NACRE_FXF_APPEND) {
        f->position = f->end;
    }
    if (n > UINT64_MAX - f->position) {
        return nc_sftp_fail(f->s, NACRE_TOO_LARGE, "write %s: the offset is beyond every file",
                            NC_ESC(nc_span_cstr(f->path)));
    }
    nc_ahead_drop(f);
    bool apart = f->staged_n > 0 && f->staged_at + f->staged_n != f->position;
    return apart ? send_staged(f) : NACRE_OK;
}

int nacre_sftp_file_write(nacre_sftp_file *f, const void *p, size_t n)
{
    const uint8_t *from = p;
    int rc = begin_write(f, n);
    while (rc == NACRE_OK && n > 0) {
        size_t took;
        if (f->staged_n >= f->s->max_write) {
            rc = send_staged(f);
            continue;
        }
        rc = take_some(f, from, n, &took);
        from += took;
        n -= took;
        f->position += took;
        f->end = f->pflags & NACRE_FXF_APPEND ? f->position : f->end;
    }
    bool full = f->staged_n >= f->s->max_write;
    if (rc == NACRE_OK && f->behind_max == 0) {
        rc = nc_behind_flush(f);
    } else if (rc == NACRE_OK && full) {
        rc = send_staged(f);
    }
    return rc;
}

int nacre_sftp_file_flush(nacre_sftp_file *f)
{
    int rc = nc_sftp_begin(f->s);
    return rc == NACRE_OK ? nc_behind_flush(f) : rc;
}
