/*
 * relay.h - what the files of the relay share: its state, how its descriptors are taken (relay_fds.c), and the way
 * down (relay_sink.c).
 */
#ifndef NC_IO_RELAY_H
#define NC_IO_RELAY_H

#include "base/buf.h"
#include "io/fd.h"
#include "io/loop.h"

#include <poll.h>

typedef struct nc_relay_source {
    int fd;
    nc_fd_kind kind;
    int stream;
    bool ended;
    bool paused; /* the channel takes no more; WRITABLE resumes */
    bool blocking;
    bool own; /* the fd is ours to close */
} nc_relay_source;

typedef struct nc_relay_sink {
    int fd;
    nc_fd_kind kind;
    nc_queue queue;
    size_t chunk; /* most that is written at once; 0: no limit */
    bool blocked;
    bool dead; /* cannot be written any more, or was closed after the peer's EOF */
    bool blocking;
    bool own;
} nc_relay_sink;

enum { NC_RELAY_SPANS = 32 }; /* gathered at most: a read of 256 KiB holds 8 full packets */

/* Data that came and is not written yet; only until the driver is through with its events. */
typedef struct nc_relay_gathered {
    nc_relay_sink *sink;
    size_t count;
    nacre_span spans[NC_RELAY_SPANS];
} nc_relay_gathered;

struct nacre_relay {
    nacre_loop *loop;
    nacre_driver *d;
    nacre_channel *ch; /* NULL: abandoned */
    nacre_relay_options opts;
    nc_relay_source sources[2];
    nc_relay_sink sinks[2];
    nc_task task;
    nc_task after; /* of the driver: writes what is gathered */
    nc_relay_gathered gathered;
    unsigned bulk;     /* turns in a row in which much came down and nothing went up */
    uint8_t *filtered; /* with filter: what it made of the last chunk */
    size_t filtered_at, filtered_len;
    bool eof_sent, eof_received;
    bool exit_sent, close_sent, closed, finished, eow_sent;
    bool holds; /* the peer's CLOSE, until nothing is owed any more */
    bool child_done;
    int child_status;
    nacre_relay_result result;
};

/* Reaped: its number may be another process's by now. */
bool nc_relay_child_done(const nacre_relay *r);
/* Is fd still open here? When not, its number may be another file's by now. */
bool nc_relay_uses(const nacre_relay *r, int fd);

bool nc_relay_polls(int fd, short events);
/* One role of the fd is over; when it was the last, the fd goes. */
void nc_relay_let_go(nacre_relay *r, int *fd, bool own);

/* relay_sink.c */
void nc_relay_take(nacre_relay *r, int stream, nacre_span bytes); /* of a data event */
void nc_relay_flush(nacre_relay *r);                              /* writes what is gathered */
void nc_relay_pump(nacre_relay *r, nc_relay_sink *k);             /* the fd takes more */
void nc_relay_close_sink(nacre_relay *r, nc_relay_sink *k); /* when the peer's EOF is through */
void nc_relay_kill_sink(nacre_relay *r, nc_relay_sink *k);
bool nc_relay_drained(const nacre_relay *r); /* nothing waits to be written */

/* relay_fds.c: makes fd (-1: none) a source or sink of r. 0, or -1 and errno. */
int nc_relay_init_source(nacre_relay *r, int i, int fd, int stream) NACRE_MUST_CHECK;
int nc_relay_init_sink(nacre_relay *r, int i, int fd) NACRE_MUST_CHECK;

#endif
