/*
 * out.c - the output side of both machines: small packets collect in a queue, a large one is laid down
 * in place. It owns the queue; the pipe belongs to the caller.
 */
#include "sftp/sftp.h"

#include <string.h>

void nc_sftp_out_init(nc_sftp_out *o, const nacre_allocator *a, const nacre_pipe *pipe, size_t max)
{
    memset(o, 0, sizeof(*o));
    o->pipe = *pipe;
    nc_queue_init(&o->queue, a, max);
}

void nc_sftp_out_clear(nc_sftp_out *o)
{
    int ignored = nc_sftp_out_abandon(o); /* the session is over: nobody could be told */
    (void)ignored;
    nc_queue_clear(&o->queue);
}

int nc_sftp_out_flush(nc_sftp_out *o)
{
    while (o->lent == NC_SFTP_NOT_LENT && nc_queue_len(&o->queue) > 0) {
        size_t n = nc_queue_len(&o->queue);
        size_t took = 0;
        int rc = o->pipe.write(o->pipe.ctx, nc_queue_front(&o->queue), n, &took);
        if (rc != NACRE_OK) {
            return rc;
        }
        nc_queue_consume(&o->queue, took);
        if (took < n) {
            return NACRE_OK;
        }
    }
    if (o->lent == NC_SFTP_NOT_LENT) {
        nc_queue_shrink(&o->queue, NC_SFTP_KEEP);
    }
    return NACRE_OK;
}

/* Copies the rooms behind the first skip bytes into rooms, at most want bytes; returns how many. */
static size_t rooms_behind(const nc_sftp_out *o, size_t skip, size_t want, nacre_room *rooms,
                           size_t *count)
{
    size_t n = 0;
    size_t total = 0;
    for (size_t i = 0; i < o->room_count && n < *count && total < want; i++) {
        nacre_room r = o->rooms[i];
        size_t cut = skip < r.n ? skip : r.n;
        skip -= cut;
        r.p += cut;
        r.n -= cut;
        if (r.n > want - total) {
            r.n = want - total;
        }
        if (r.n > 0) {
            rooms[n++] = r;
            total += r.n;
        }
    }
    *count = n;
    return total;
}

static int lend_from_pipe(nc_sftp_out *o, nc_sftp_place place, nacre_room *rooms, size_t *count,
                          size_t *granted)
{
    o->room_count = NC_SFTP_ROOMS;
    int rc = o->pipe.reserve(o->pipe.ctx, place.header + place.want, o->rooms, &o->room_count);
    if (rc != NACRE_OK) {
        o->room_count = 0;
        return rc;
    }
    size_t least = place.want < place.least ? place.want : place.least;
    *granted = rooms_behind(o, place.header, place.want, rooms, count);
    if (*granted >= least && *granted > 0) {
        o->lent = NC_SFTP_LENT_BY_PIPE;
        return NACRE_OK;
    }
    rc = o->room_count ? o->pipe.commit(o->pipe.ctx, 0) : NACRE_OK;
    o->room_count = 0;
    return rc == NACRE_OK ? NACRE_AGAIN : rc;
}

static int lend_from_queue(nc_sftp_out *o, nc_sftp_place place, nacre_room *rooms, size_t *count,
                           size_t *granted)
{
    int rc = nc_queue_reserve(&o->queue, place.header + place.want);
    if (rc != NACRE_OK) {
        return rc;
    }
    o->rooms[0].p = o->queue.buf.data + o->queue.buf.len;
    o->rooms[0].n = place.header + place.want;
    o->room_count = 1;
    *granted = rooms_behind(o, place.header, place.want, rooms, count);
    o->lent = NC_SFTP_LENT_BY_QUEUE;
    return NACRE_OK;
}

int nc_sftp_out_reserve(nc_sftp_out *o, nc_sftp_place place, nacre_room *rooms, size_t *count,
                        size_t *granted)
{
    size_t capacity = *count;
    *count = 0;
    *granted = 0;
    if (o->lent != NC_SFTP_NOT_LENT) {
        return NACRE_WRONG_STATE;
    }
    if (capacity == 0 || place.want == 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    int rc = nc_sftp_out_flush(o);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (nc_queue_len(&o->queue) > 0) {
        return NACRE_AGAIN; /* bytes stay in order: what is queued goes first */
    }
    *count = capacity;
    rc = o->pipe.reserve ? lend_from_pipe(o, place, rooms, count, granted) : NACRE_AGAIN;
    if (rc == NACRE_AGAIN && (place.stage || !o->pipe.reserve)) {
        *count = capacity;
        rc = lend_from_queue(o, place, rooms, count, granted);
    }
    if (rc != NACRE_OK) {
        *count = 0;
        *granted = 0;
        return rc;
    }
    o->header = place.header;
    o->granted = *granted;
    return NACRE_OK;
}

/* The header may span rooms: the end of one SSH packet can be shorter than it. */
static void lay_header(nc_sftp_out *o, const uint8_t *header)
{
    size_t done = 0;
    for (size_t i = 0; i < o->room_count && done < o->header; i++) {
        size_t n = o->header - done;
        if (n > o->rooms[i].n) {
            n = o->rooms[i].n;
        }
        memcpy(o->rooms[i].p, header + done, n);
        done += n;
    }
}

int nc_sftp_out_commit(nc_sftp_out *o, const uint8_t *header, size_t n)
{
    if (o->lent == NC_SFTP_NOT_LENT) {
        return NACRE_WRONG_STATE;
    }
    if (n > o->granted) {
        return NACRE_INVALID_ARGUMENT;
    }
    lay_header(o, header);
    int rc = NACRE_OK;
    if (o->lent == NC_SFTP_LENT_BY_PIPE) {
        rc = o->pipe.commit(o->pipe.ctx, o->header + n);
    } else {
        o->queue.buf.len += o->header + n;
    }
    o->lent = NC_SFTP_NOT_LENT;
    o->room_count = 0;
    return rc;
}

int nc_sftp_out_abandon(nc_sftp_out *o)
{
    int rc = NACRE_OK;
    if (o->lent == NC_SFTP_LENT_BY_PIPE) {
        rc = o->pipe.commit(o->pipe.ctx, 0);
    }
    o->lent = NC_SFTP_NOT_LENT;
    o->room_count = 0;
    return rc;
}
