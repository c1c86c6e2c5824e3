/*
 * relay_fds.c - how a relay takes descriptors: its own become non-blocking; inherited ones are left as
 * they are, and opened a second time where that gives an open file which is ours alone.
 */
#include "io/relay.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum {
    TTY_CHUNK = 512,              /* what a terminal that polls writable takes without waiting */
    QUEUE_MAX = 256 * 1024 * 1024 /* far above any window we grant, which is the real bound */
};

/* A second open file of the same pipe or terminal; -1: not possible, use the first one with care. */
static int open_own(int fd, int flags)
{
    char path[48];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

static bool worth_own(int fd, nc_fd_kind kind)
{
    return kind == NC_FD_PIPE || (kind == NC_FD_OTHER && isatty(fd));
}

int nc_relay_init_source(nacre_relay *r, int i, int fd, int stream)
{
    nc_relay_source *s = &r->sources[i];
    s->fd = fd;
    s->stream = stream;
    s->ended = fd < 0;
    if (fd < 0) {
        return 0;
    }
    s->kind = nc_fd_classify(fd);
    s->own = !r->opts.shared;
    if (!r->opts.shared) {
        return nc_fd_set_nonblock(fd, true) != 0 || nc_fd_set_cloexec(fd) != 0 ? -1 : 0;
    }
    s->blocking = worth_own(fd, s->kind);
    int own = s->kind == NC_FD_PIPE ? open_own(fd, O_RDONLY) : -1;
    if (own >= 0) {
        s->fd = own;
        s->own = true;
        s->blocking = false;
    }
    return 0;
}

int nc_relay_init_sink(nacre_relay *r, int i, int fd)
{
    nc_relay_sink *k = &r->sinks[i];
    k->fd = fd;
    nc_queue_init(&k->queue, nc_loop_allocator(r->loop), QUEUE_MAX);
    k->dead = fd < 0;
    if (fd < 0) {
        return 0;
    }
    k->kind = nc_fd_classify(fd);
    k->own = !r->opts.shared;
    if (!r->opts.shared) {
        return nc_fd_set_nonblock(fd, true) != 0 || nc_fd_set_cloexec(fd) != 0 ? -1 : 0;
    }
    if (!worth_own(fd, k->kind)) {
        return 0;
    }
    int own = open_own(fd, O_WRONLY);
    if (own >= 0) {
        k->fd = own;
        k->own = true;
        return 0;
    }
    k->blocking = true;
    k->chunk = k->kind == NC_FD_PIPE ? PIPE_BUF : TTY_CHUNK;
    return 0;
}
