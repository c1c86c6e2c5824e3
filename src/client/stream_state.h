/*
 * stream_state.h - the inside of a nacre_stream, for stream.c and stream_start.c.
 */
#ifndef NC_CLIENT_STREAM_STATE_H
#define NC_CLIENT_STREAM_STATE_H

#include "client/state.h"
#include "nacre/stream.h"

enum {
    NC_STREAM_LINE = 1024 * 1024, /* by default: far above what people write in a line */
    NC_STREAM_KEEP = 64 * 1024    /* of an emptied queue: what a packet holds */
};

struct nacre_stream {
    const nacre_allocator *alloc;
    nacre_client *c; /* both NULL: the client has dropped it, and may be gone */
    nc_chan *k;
    char *name;
    void *user;
    uint32_t timeout_ms;
    size_t line_max;
    nc_buf line[2];     /* by stream: of the line that is read */
    bool line_given[2]; /* it was handed out, and is gone with the next call */
    bool read_over;     /* the application reads no more */
    int notify[2];      /* the event descriptor and its other end; -1 */
    bool notified;      /* there is a byte in it */
};

/* A call begins. NACRE_CLOSED, and no client to tell a sentence to: it is done with this channel. */
int nc_stream_alive(nacre_stream *s);

#endif
