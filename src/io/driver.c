/*
 * driver.c - ties an engine to a non-blocking connection in a loop.
 *
 * Reading steps the engine at once, read by read; sending is put off until the loop is about to wait,
 * so that all that one turn queued leaves in one send. Only when much is queued a part goes earlier:
 * then the peer (and the kernel) work while we still encrypt.
 */
#include "io/fd.h"
#include "io/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SEND_EARLY = 256 * 1024,     /* queued output that does not wait for the end of the turn   */
    READ_TURN = 1024 * 1024,     /* read per turn, so that other connections have theirs       */
    SEND_TURN = 4 * 1024 * 1024, /* sent per turn, likewise                                    */
    DISCARD_MAX = 1024 * 1024,   /* read away at the end                                       */
    NAP_BELOW = 128 * 1024,      /* read at once, more is not waited for                       */
    NAP_US = 200,                /* of a stream: 100 KB at 4 Gbit/s                            */
    CLOSE_MS_DEFAULT = 5000
};

struct nacre_driver {
    nacre_loop *loop;
    nacre_transport *t;
    nacre_driver_options opts;
    nc_task task;
    nc_task *after; /* ring: to be run behind the events that there are now */
    int in_fd, out_fd;
    int in_flags, out_flags; /* as they were */
    nc_fd_kind in_kind, out_kind;
    uint64_t timer, timer_at;
    uint64_t close_timer;
    size_t sent_in_turn;
    int io_errno;
    nc_nap nap;
    bool rest;          /* asked for in this turn */
    bool napping;       /* input waits, so that more comes with it */
    bool write_blocked; /* the socket took no more */
    bool write_dead;    /* it never will: what is queued is dropped, input is still read */
    bool read_ended;
    bool ending;  /* the engine is over, or the application wants the end: drain, then close */
    bool expired; /* draining took too long */
    bool finished;
};

void nacre_driver_options_init(nacre_driver_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->close_ms = CLOSE_MS_DEFAULT;
}

nacre_transport *nacre_driver_transport(const nacre_driver *d)
{
    return d->t;
}

nacre_loop *nacre_driver_loop(const nacre_driver *d)
{
    return d->loop;
}

int nacre_driver_fd(const nacre_driver *d)
{
    return d->in_fd;
}

static void give_up(void *user)
{
    nacre_driver *d = user;
    d->close_timer = 0;
    d->expired = true;
    nc_loop_defer(d->loop, &d->task);
}

/* From here on there is a last moment. */
static void bound_the_end(nacre_driver *d)
{
    if (d->close_timer == 0 && !d->expired &&
        nacre_loop_timer(d->loop, d->opts.close_ms, give_up, d, &d->close_timer) != NACRE_OK) {
        d->expired = true;
    }
}

static void break_nap(nacre_driver *d)
{
    if (d->napping) {
        nc_loop_unnap(d->loop, &d->nap);
        d->napping = false;
    }
}

/* ---- sending ---- */

static void drop_output(nacre_driver *d)
{
    for (nacre_span out = nacre_transport_output(d->t); out.n > 0;
         out = nacre_transport_output(d->t)) {
        nacre_transport_sent(d->t, out.n);
    }
}

/* Sends until everything is gone or the socket is full; true when something went. */
static bool flush(nacre_driver *d)
{
    bool any = false;
    while (!d->write_dead && !d->write_blocked && d->out_fd >= 0) {
        nacre_span out = nacre_transport_output(d->t);
        if (out.n == 0) {
            return any;
        }
        ssize_t put = nc_fd_write(d->out_fd, d->out_kind, out.p, out.n);
        if (put > 0) {
            nacre_transport_sent(d->t, (size_t)put);
            d->sent_in_turn += (size_t)put;
            any = true;
            /* Less than asked means full: the next try would only say so. */
            d->write_blocked = (size_t)put < out.n;
        } else if (put < 0 && errno == EAGAIN) {
            d->write_blocked = true;
        } else {
            /* The peer may have said why before it went: keep reading. */
            d->write_dead = true;
            d->io_errno = d->io_errno ? d->io_errno : (put < 0 ? errno : EPIPE);
            bound_the_end(d);
        }
    }
    if (d->write_dead) {
        drop_output(d);
    }
    return any;
}

/* ---- stepping ---- */

void nc_driver_defer(nacre_driver *d, nc_task *task)
{
    nc_tasks_add(&d->after, task);
}

void nc_driver_undefer(nacre_driver *d, nc_task *task)
{
    nc_tasks_remove(&d->after, task);
}

static void run_after(nacre_driver *d)
{
    while (d->after) {
        nc_task *task = d->after;
        nc_driver_undefer(d, task);
        task->fn(task->user);
    }
}

/* All events there are now. False: the engine is over. */
static bool step(nacre_driver *d)
{
    nacre_event ev;
    int rc;
    while (!d->ending && (rc = nacre_transport_next_event(d->t, &ev)) != NACRE_AGAIN) {
        if (rc != NACRE_OK) {
            d->ending = true;
            break;
        }
        if (d->opts.on_event) {
            d->opts.on_event(d->opts.user, d, &ev);
        }
        if (nacre_transport_output(d->t).n >= SEND_EARLY) {
            (void)flush(d);
        }
    }
    run_after(d);
    return !d->ending;
}

static void finish(nacre_driver *d);

static void on_deadline(void *user)
{
    nacre_driver *d = user;
    d->timer = 0;
    nc_loop_defer(d->loop, &d->task);
}

static void arm(nacre_driver *d)
{
    uint64_t at = d->ending ? UINT64_MAX : nacre_transport_deadline(d->t);
    /* Deadlines mostly move away; a timer that fires early looks again, which is cheaper. */
    if (at == UINT64_MAX || (d->timer && d->timer_at <= at)) {
        return;
    }
    uint64_t now = nacre_loop_now(d->loop);
    nacre_loop_cancel(d->loop, d->timer);
    d->timer = 0;
    if (nacre_loop_timer(d->loop, at > now ? at - now : 0, on_deadline, d, &d->timer) == NACRE_OK) {
        d->timer_at = at;
    }
}

static void watch(nacre_driver *d)
{
    unsigned in = 0, out = 0;
    if (!d->ending && !d->read_ended && !d->napping &&
        (nacre_transport_wants(d->t) & NACRE_WANT_INPUT)) {
        in = NACRE_READ;
    }
    if (d->write_blocked && !d->write_dead) {
        out = NACRE_WRITE;
    }
    if (d->in_fd == d->out_fd) {
        (void)nacre_loop_modify(d->loop, d->in_fd, in | out);
        return;
    }
    (void)nacre_loop_modify(d->loop, d->in_fd, in);
    (void)nacre_loop_modify(d->loop, d->out_fd, out);
}

static bool is_over(const nacre_driver *d)
{
    bool drained = d->write_dead || nacre_transport_output(d->t).n == 0;
    if (d->expired) {
        return true;
    }
    return drained && (d->ending || d->read_ended);
}

/* Before the loop waits: step, send, and look whether sending made room for more to happen. */
static void turn(void *user)
{
    nacre_driver *d = user;
    d->sent_in_turn = 0;
    nacre_transport_advance(d->t, nacre_loop_now(d->loop));
    bool more;
    do {
        (void)step(d);
        more = flush(d) && !d->ending;
    } while (more && d->sent_in_turn < SEND_TURN);
    if (d->ending || d->read_ended) {
        bound_the_end(d);
    }
    if (is_over(d)) {
        finish(d);
        return;
    }
    if (more) {
        nc_loop_defer(d->loop, &d->task);
    }
    watch(d);
    arm(d);
}

/* ---- reading ---- */

static void end_input(nacre_driver *d, int errnum)
{
    d->read_ended = true;
    if (errnum && !d->io_errno) {
        d->io_errno = errnum;
    }
    (void)nacre_transport_received(d->t, 0);
}

/* How much. */
static size_t read_some(nacre_driver *d)
{
    size_t total = 0;
    while (total < READ_TURN && !d->ending && !d->read_ended) {
        size_t room = 0;
        run_after(d); /* a callback of an event may turn the loop */
        uint8_t *to = nacre_transport_recv_buffer(d->t, &room);
        if (!to || room == 0) {
            break;
        }
        ssize_t got = nc_fd_read(d->in_fd, d->in_kind, to, room);
        if (got < 0 && errno == EAGAIN) {
            break;
        }
        if (got <= 0) {
            end_input(d, got < 0 ? errno : 0);
            break;
        }
        total += (size_t)got;
        if (nacre_transport_received(d->t, (size_t)got) != NACRE_OK || !step(d) ||
            (size_t)got < room) {
            break;
        }
    }
    return total;
}

void nc_driver_rest(nacre_driver *d)
{
    d->rest = true;
}

static void take_input(nacre_driver *d)
{
    nacre_transport_advance(d->t, nacre_loop_now(d->loop));
    d->sent_in_turn = 0;
    d->rest = false;
    size_t total = read_some(d);
    /* Where much comes at once, we are slower than the peer already: no need to wait for more. */
    if (d->rest && total < NAP_BELOW && !d->ending && !d->read_ended) {
        d->napping = true;
        nc_loop_nap(d->loop, &d->nap, NAP_US);
    }
}

static void end_nap(void *user)
{
    nacre_driver *d = user;
    d->napping = false;
    take_input(d);
    nc_loop_defer(d->loop, &d->task);
}

static void on_fd(void *user, int fd, unsigned ready)
{
    nacre_driver *d = user;
    if (fd == d->out_fd && (ready & NACRE_WRITE)) {
        d->write_blocked = false;
    }
    if (fd == d->in_fd && (ready & NACRE_READ)) {
        take_input(d);
    }
    nc_loop_defer(d->loop, &d->task);
}

void nacre_driver_kick(nacre_driver *d)
{
    if (!d || d->finished) {
        return;
    }
    break_nap(d);
    if (nacre_transport_output(d->t).n >= SEND_EARLY) {
        (void)flush(d);
    }
    nc_loop_defer(d->loop, &d->task);
}

void nacre_driver_close(nacre_driver *d)
{
    if (d && !d->finished) {
        d->ending = true;
        nc_loop_defer(d->loop, &d->task);
    }
}

/* ---- life ---- */

static void detach(nacre_driver *d)
{
    nc_loop_undefer(d->loop, &d->task);
    break_nap(d);
    nacre_loop_cancel(d->loop, d->timer);
    nacre_loop_cancel(d->loop, d->close_timer);
    d->timer = d->close_timer = 0;
    if (d->in_fd >= 0) {
        nacre_loop_remove(d->loop, d->in_fd);
        nacre_loop_remove(d->loop, d->out_fd);
    }
}

/* Unread input at close makes TCP send a reset, which can overtake our last words: read it away. */
static void discard_input(nacre_driver *d)
{
    uint8_t waste[16384];
    for (size_t n = 0; !d->read_ended && d->in_kind == NC_FD_SOCKET && n < DISCARD_MAX;) {
        ssize_t got = nc_fd_read(d->in_fd, d->in_kind, waste, sizeof(waste));
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
    }
    nc_wipe(waste, sizeof(waste));
}

static void let_fds_go(nacre_driver *d)
{
    if (d->opts.keep_fds) {
        if (d->in_fd >= 0) {
            (void)fcntl(d->in_fd, F_SETFL, d->in_flags);
            (void)fcntl(d->out_fd, F_SETFL, d->out_flags);
        }
        d->in_fd = d->out_fd = -1;
        return;
    }
    if (d->out_fd == d->in_fd) {
        d->out_fd = -1;
    }
    nc_fd_close(&d->out_fd);
    nc_fd_close(&d->in_fd);
}

static void finish(nacre_driver *d)
{
    d->finished = true;
    detach(d);
    discard_input(d);
    let_fds_go(d);
    nacre_error why = *nacre_transport_error(d->t);
    bool plain = why.status == NACRE_OK || why.status == NACRE_CLOSED || why.status == NACRE_END;
    if (plain && d->io_errno) {
        nc_error_clear(&why);
        (void)nc_os_fail(&why, NACRE_IO, d->io_errno, "the connection was lost");
    } else if (why.status == NACRE_OK && d->read_ended) {
        (void)nc_fail(&why, NACRE_CLOSED, "the connection was closed by the other end");
    } else if (plain && d->expired) {
        nc_error_clear(&why);
        (void)nc_fail(&why, NACRE_TIMEOUT, "the other end did not take the last of our output");
    }
    if (d->opts.on_closed) {
        d->opts.on_closed(d->opts.user, d, &why);
    }
}

static int prepare_fd(int fd, int *flags)
{
    *flags = fcntl(fd, F_GETFL);
    if (*flags < 0 || nc_fd_set_cloexec(fd) != 0) {
        return -1;
    }
    return nc_fd_set_nonblock(fd, true);
}

int nacre_driver_new(nacre_driver **out, nacre_loop *loop, nacre_transport *t, int in_fd,
                     int out_fd, const nacre_driver_options *o, nacre_error *err)
{
    nc_error_clear(err);
    *out = NULL;
    if (!o || o->size == 0 || o->size > sizeof(*o) || in_fd < 0 || out_fd < 0) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "a driver needs options and two descriptors");
    }
    nacre_driver *d = nc_zalloc(nc_loop_allocator(loop), sizeof(*d));
    if (!d) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a driver");
    }
    nacre_driver_options_init(&d->opts);
    memcpy(&d->opts, o, o->size);
    d->loop = loop;
    d->t = t;
    d->task.fn = turn;
    d->task.user = d;
    d->nap.task.fn = end_nap;
    d->nap.task.user = d;
    d->in_kind = nc_fd_classify(in_fd);
    d->out_kind = nc_fd_classify(out_fd);
    d->in_fd = d->out_fd = -1;
    int rc = NACRE_OK;
    if (prepare_fd(in_fd, &d->in_flags) != 0 || prepare_fd(out_fd, &d->out_flags) != 0) {
        rc = nc_os_fail(err, NACRE_IO, errno, "cannot use descriptor %d", in_fd);
    } else {
        rc = nacre_loop_add(loop, in_fd, 0, on_fd, d);
        if (rc == NACRE_OK && out_fd != in_fd) {
            rc = nacre_loop_add(loop, out_fd, 0, on_fd, d);
            if (rc != NACRE_OK) {
                nacre_loop_remove(loop, in_fd);
            }
        }
        if (rc != NACRE_OK) {
            rc = nc_fail(err, rc, "cannot watch descriptor %d", in_fd);
        }
    }
    if (rc != NACRE_OK) {
        nc_free(nc_loop_allocator(loop), d);
        return rc;
    }
    d->in_fd = in_fd;
    d->out_fd = out_fd;
    int on = 1; /* interactive bytes shall not wait for an acknowledgement; not TCP: no matter */
    (void)setsockopt(out_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    nc_loop_defer(loop, &d->task);
    *out = d;
    return NACRE_OK;
}

void nacre_driver_free(nacre_driver *d)
{
    if (!d) {
        return;
    }
    detach(d);
    let_fds_go(d);
    nc_free(nc_loop_allocator(d->loop), d);
}
