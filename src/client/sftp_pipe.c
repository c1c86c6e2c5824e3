/*
 * sftp_pipe.c - a session over two file descriptors: the pipes of a program, or a socket. It owns the
 * fds and a small loop that waits for them.
 */
#include "client/sftp_session.h"
#include "io/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    /* One reply of 255 KiB and a bit: fewer reads than with less, nothing gained by more. */
    INPUT = 320 * 1024,
    PIPE_SIZE = 1024 * 1024
};

typedef struct pipe_wire {
    const nacre_allocator *alloc;
    nacre_sftp *s;
    nacre_loop *loop;
    int in, out;
    nc_fd_kind kind; /* of out: a program that died must not end ours by SIGPIPE */
    uint8_t *buffer;
    bool ended;    /* end of input was told */
    bool blocked;  /* output waits for room */
    bool watching; /* for that room */
    bool timed_out;
    atomic_bool cancelled;
} pipe_wire;

/* ---- the machine's pipe ------------------------------------------------------------------------------- */

static int pipe_write(void *ctx, const void *p, size_t n, size_t *took)
{
    pipe_wire *w = ctx;
    *took = 0;
    while (*took < n) {
        ssize_t r = nc_fd_write(w->out, w->kind, (const uint8_t *)p + *took, n - *took);
        if (r < 0 && errno == EAGAIN) {
            w->blocked = true;
            return NACRE_OK;
        }
        if (r < 0) {
            return errno == EPIPE ? NACRE_CLOSED : NACRE_IO;
        }
        *took += (size_t)r;
    }
    return NACRE_OK;
}

/* ---- the loop ----------------------------------------------------------------------------------------- */

static void watch_output(pipe_wire *w)
{
    if (w->blocked == w->watching) {
        return;
    }
    w->watching = w->blocked;
    if (w->in == w->out) {
        nacre_loop_modify(w->loop, w->in, NACRE_READ | (w->blocked ? NACRE_WRITE : 0u));
    } else {
        nacre_loop_modify(w->loop, w->out, w->blocked ? NACRE_WRITE : 0u);
    }
}

static void take_input(pipe_wire *w)
{
    ssize_t n;
    do {
        n = read(w->in, w->buffer, INPUT);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        nc_sftp_feed(w->s, nc_span(w->buffer, (size_t)n));
        return;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return;
    }
    w->ended = true;
    nacre_loop_modify(w->loop, w->in, 0);
    nc_sftp_lost(w->s);
}

static void on_ready(void *user, int fd, unsigned ready)
{
    pipe_wire *w = user;
    if (fd == w->out && (ready & (NACRE_WRITE | NACRE_HUP)) && w->blocked) {
        w->blocked = false;
        nc_sftp_writable(w->s);
    }
    if (fd == w->in && (ready & (NACRE_READ | NACRE_HUP)) && !w->ended) {
        take_input(w);
    }
    watch_output(w);
}

static void on_time(void *user)
{
    ((pipe_wire *)user)->timed_out = true;
}

static int pipe_run(void *ctx, int (*done)(void *user), void *user, uint32_t timeout_ms,
                    nacre_error *err)
{
    pipe_wire *w = ctx;
    uint64_t timer = 0;
    int rc = NACRE_OK;
    w->timed_out = false;
    if (timeout_ms != 0 && timeout_ms != NACRE_FOREVER) {
        rc = nacre_loop_timer(w->loop, timeout_ms, on_time, w, &timer);
    }
    watch_output(w);
    while (rc == NACRE_OK) {
        rc = nacre_loop_run_once(w->loop, -1);
        if (rc != NACRE_OK) {
            nc_fail(err, rc, "the SFTP server's pipes cannot be waited for");
            break;
        }
        rc = done(user);
        if (rc != NACRE_AGAIN) {
            break;
        }
        rc = NACRE_OK;
        if (atomic_exchange(&w->cancelled, false)) {
            rc = NACRE_CANCELLED;
        } else if (w->timed_out) {
            rc = NACRE_TIMEOUT;
        }
    }
    nacre_loop_cancel(w->loop, timer);
    return rc;
}

static void pipe_push(void *ctx)
{
    pipe_wire *w = ctx;
    watch_output(w);
    int rc = nacre_loop_run_once(w->loop, 0);
    (void)rc; /* a loop that fails says so to whoever waits */
}

static void pipe_cancel(void *ctx)
{
    pipe_wire *w = ctx;
    atomic_store(&w->cancelled, true);
    nacre_loop_wake(w->loop);
}

static void pipe_free(void *ctx)
{
    pipe_wire *w = ctx;
    if (w->loop) {
        nacre_loop_free(w->loop);
    }
    if (w->in >= 0) {
        close(w->in);
    }
    if (w->out >= 0 && w->out != w->in) {
        close(w->out);
    }
    nc_free(w->alloc, w->buffer);
    nc_free(w->alloc, w);
}

static const nc_sftp_wire pipe_functions = {pipe_run, pipe_push, pipe_cancel, pipe_free};

/* ---- opening ------------------------------------------------------------------------------------------ */

static void prepare_fd(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0) {
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE); /* fewer turns; what is no pipe says no */
}

static int watch(pipe_wire *w, nacre_error *err)
{
    int rc = nacre_loop_new(&w->loop, w->alloc, err);
    if (rc == NACRE_OK) {
        rc = nacre_loop_add(w->loop, w->in, NACRE_READ, on_ready, w);
    }
    if (rc == NACRE_OK && w->out != w->in) {
        rc = nacre_loop_add(w->loop, w->out, 0, on_ready, w);
    }
    return rc == NACRE_OK ? rc : nc_fail(err, rc, "the SFTP server's pipes cannot be watched");
}

int nacre_sftp_open_pipe(nacre_sftp **out, int in_fd, int out_fd, const nacre_sftp_options *o,
                         nacre_error *err)
{
    nc_error_clear(err);
    nacre_sftp_options opts;
    nacre_sftp_options_init(&opts);
    if (o) {
        opts = *o;
    }
    opts.timeout_ms = opts.timeout_ms ? opts.timeout_ms : NACRE_FOREVER;
    nacre_sftp *s = NULL;
    *out = NULL;
    pipe_wire *w = nc_zalloc(opts.allocator, sizeof(*w));
    if (!w) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for an SFTP session");
    }
    w->alloc = opts.allocator;
    w->in = w->out = -1;
    atomic_init(&w->cancelled, false);
    w->buffer = nc_alloc(w->alloc, INPUT);
    nacre_pipe pipe = {.ctx = w, .write = pipe_write};
    int rc = w->buffer ? nc_sftp_new(&s, &opts, &pipe, err)
                       : nc_fail(err, NACRE_NO_MEMORY, "no memory for an SFTP session");
    if (rc != NACRE_OK) {
        pipe_free(w);
        return rc;
    }
    w->s = s;
    s->wire = &pipe_functions;
    s->wire_ctx = w;
    w->in = in_fd;
    w->out = out_fd;
    w->kind = nc_fd_classify(out_fd);
    prepare_fd(in_fd);
    if (out_fd != in_fd) {
        prepare_fd(out_fd);
    }
    rc = watch(w, err);
    if (rc == NACRE_OK) {
        rc = nc_sftp_start(s);
        if (rc != NACRE_OK && err) {
            *err = s->error;
        }
    }
    if (rc != NACRE_OK) {
        w->in = w->out = -1; /* still the caller's */
        nacre_sftp_close(s);
        return rc;
    }
    *out = s;
    return NACRE_OK;
}
