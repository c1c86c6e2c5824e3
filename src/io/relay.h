/*
 * relay.h - what the two files of the relay share: its state, and how its descriptors are taken.
 */
#ifndef NC_IO_RELAY_H
#define NC_IO_RELAY_H

#include "base/buf.h"
#include "io/fd.h"
#include "io/loop.h"

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

struct nacre_relay {
    nacre_loop *loop;
    nacre_driver *d;
    nacre_channel *ch; /* NULL: abandoned */
    nacre_relay_options opts;
    nc_relay_source sources[2];
    nc_relay_sink sinks[2];
    nc_task task;
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

/* relay_fds.c: makes fd (-1: none) a source or sink of r. 0, or -1 and errno. */
int nc_relay_init_source(nacre_relay *r, int i, int fd, int stream) NACRE_MUST_CHECK;
int nc_relay_init_sink(nacre_relay *r, int i, int fd) NACRE_MUST_CHECK;

#endif
