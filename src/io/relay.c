/*
 * relay.c - a channel on one side, file descriptors on the other.
 *
 * Up: an fd is read with readv right into the engine's output buffer. Down (relay_sink.c):
 * what the events of one read bring is written in one call; what the fd does not take is queued, and gives window
 * back only when it is written, so the window bounds the queue. A stopped direction is not polled, so nothing spins.
 *
 * Inherited fds (shared) stay blocking, because other processes use the same open file. Pipes and
 * terminals among them are opened anew through /proc where possible, which makes an open file of our
 * own that may be non-blocking; else every call is preceded by a poll, and is small enough not to wait.
 */
#include "io/relay.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    READ_ONCE = 256 * 1024,  /* asked of the channel at a time */
    READ_TURN = 1024 * 1024, /* per source and turn: the others want to live too */
    ROOMS = 16,              /* 256 KiB in packets of 16 KiB */
    BULK_TURN = 16 * 1024,   /* with so much in a turn */
    BULK_TURNS = 8,          /* so many turns in a row, it is a stream */
    FILTER_CHUNK = 4096,     /* typed input is small */
};

void nacre_relay_options_init(nacre_relay_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->source = o->source_err = o->sink = o->sink_err = -1;
}

/* For courtesies: when they fail, the engine is over and says so itself. */
static void ignore(int rc)
{
    (void)rc;
}

/* ---- polling ---- */

static void on_fd(void *user, int fd, unsigned ready);

static unsigned wanted(const nacre_relay *r, int fd)
{
    unsigned events = 0;
    for (int i = 0; i < 2; i++) {
        const nc_relay_source *s = &r->sources[i];
        if (s->fd == fd && !s->ended && !s->paused) {
            events |= NACRE_READ;
        }
        if (r->sinks[i].fd == fd && r->sinks[i].blocked && !r->sinks[i].dead) {
            events |= NACRE_WRITE;
        }
    }
    return events;
}

static void watch(nacre_relay *r)
{
    const int fds[4] = {r->sources[0].fd, r->sources[1].fd, r->sinks[0].fd, r->sinks[1].fd};
    for (int i = 0; i < 4; i++) {
        if (fds[i] >= 0) {
            (void)nacre_loop_modify(r->loop, fds[i], wanted(r, fds[i]));
        }
    }
}

bool nc_relay_polls(int fd, short events)
{
    struct pollfd p = {fd, events, 0};
    int rc;
    do {
        rc = poll(&p, 1, 0);
    } while (rc < 0 && errno == EINTR);
    return rc > 0;
}

static bool used(const nacre_relay *r, int fd)
{
    for (int i = 0; i < 2; i++) {
        if (r->sources[i].fd == fd || r->sinks[i].fd == fd) {
            return true;
        }
    }
    return false;
}

/* One role of the fd is over; when it was the last, the fd goes. */
void nc_relay_let_go(nacre_relay *r, int *fd, bool own)
{
    int gone = *fd;
    *fd = -1;
    if (gone < 0 || used(r, gone)) {
        return;
    }
    nacre_loop_remove(r->loop, gone);
    if (own) {
        nc_fd_close(&gone);
    }
}

/* ---- what follows from the state ---- */

static bool sources_over(const nacre_relay *r)
{
    return r->sources[0].ended && r->sources[1].ended && r->filtered_at == r->filtered_len;
}

static void send_exit(nacre_relay *r)
{
    r->exit_sent = true;
    if (WIFSIGNALED(r->child_status)) {
        const char *name = nacre_signal_name(WTERMSIG(r->child_status));
        char local[40];
        if (!name) {
            (void)snprintf(local, sizeof(local), "SIG%d@nacre", WTERMSIG(r->child_status));
            name = local;
        }
        ignore(nacre_channel_exit_signal(r->ch, name, nc_wait_core_dumped(r->child_status), ""));
        return;
    }
    ignore(nacre_channel_exit_status(r->ch, (uint32_t)WEXITSTATUS(r->child_status)));
}

/* Draws the conclusions; may be called at any time, as often as one likes. */
static void conclude(nacre_relay *r)
{
    if (r->finished) {
        return;
    }
    if (r->ch && !r->closed) {
        if (sources_over(r) && !r->eof_sent) {
            r->eof_sent = true;
            (void)nacre_channel_eof(r->ch);
        }
        bool child = r->opts.child > 0;
        if (child && r->child_done && sources_over(r) && !r->exit_sent) {
            send_exit(r);
            r->close_sent = true;
            (void)nacre_channel_close(r->ch);
        }
        bool sink_over = (r->eof_received && nc_relay_drained(r)) || r->sinks[0].dead;
        if (!child && !r->opts.peer_closes && !r->close_sent && sources_over(r) && sink_over) {
            r->close_sent = true;
            (void)nacre_channel_close(r->ch);
        }
        nacre_driver_kick(r->d);
    }
    watch(r);
    if (r->closed && nc_relay_drained(r)) {
        nc_loop_defer(r->loop, &r->task);
    }
}

static void end_source(nacre_relay *r, nc_relay_source *s)
{
    if (s->ended) {
        return;
    }
    s->ended = true;
    s->paused = false;
    nc_relay_let_go(r, &s->fd, s->own);
}

/* ---- up: fd to channel ---- */

/*
 * What the source has does not get to the peer: losing a part in silence would be worse than ending. A peer that has
 * closed wants none of it.
 */
static void source_lost(nacre_relay *r, int rc)
{
    if (rc == NACRE_CLOSED) {
        return;
    }
    r->close_sent = true;
    ignore(nacre_channel_close(r->ch));
}

/* Sends what the filter made; false: the channel is full. */
static bool send_filtered(nacre_relay *r, nc_relay_source *s)
{
    while (r->filtered_at < r->filtered_len) {
        size_t took = 0;
        int rc = nacre_channel_write(r->ch, s->stream, r->filtered + r->filtered_at,
                                     r->filtered_len - r->filtered_at, &took);
        if (rc != NACRE_OK) {
            r->filtered_at = r->filtered_len;
            source_lost(r, rc);
            end_source(r, s);
            return false;
        }
        r->filtered_at += took;
        r->result.bytes_out += took;
        if (took == 0) {
            s->paused = true;
            return false;
        }
    }
    return true;
}

static ssize_t read_filtered(nacre_relay *r, nc_relay_source *s)
{
    if (!send_filtered(r, s)) {
        errno = EAGAIN;
        return -1;
    }
    uint8_t in[FILTER_CHUNK];
    ssize_t got = nc_fd_read(s->fd, s->kind, in, sizeof(in));
    if (got > 0) {
        r->filtered_at = 0;
        size_t made = r->opts.filter(r->opts.user, in, (size_t)got, r->filtered);
        r->filtered_len = made & ~NACRE_RELAY_END;
        nc_wipe(in, (size_t)got);
        if (r->ch && !r->closed) {
            (void)send_filtered(r, s);
        }
        got = made & NACRE_RELAY_END ? 0 : got;
    }
    return got;
}

static ssize_t read_straight(nacre_relay *r, nc_relay_source *s)
{
    nacre_room rooms[ROOMS];
    struct iovec iov[ROOMS];
    size_t count = ROOMS;
    int rc = nacre_channel_reserve(r->ch, s->stream, READ_ONCE, rooms, &count);
    if (rc != NACRE_OK && rc != NACRE_AGAIN) {
        source_lost(r, rc);
        return 0;
    }
    if (rc == NACRE_AGAIN || count == 0) {
        s->paused = true;
        errno = EAGAIN;
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        iov[i].iov_base = rooms[i].p;
        iov[i].iov_len = rooms[i].n;
    }
    ssize_t got = nc_fd_readv(s->fd, s->kind, iov, (int)count);
    int saved = errno;
    rc = nacre_channel_commit(r->ch, got > 0 ? (size_t)got : 0);
    if (rc != NACRE_OK && got > 0) {
        source_lost(r, rc);
        return 0;
    }
    r->result.bytes_out += got > 0 ? (uint64_t)got : 0;
    errno = saved;
    return got;
}

static void pump_source(nacre_relay *r, nc_relay_source *s)
{
    size_t total = 0;
    while (!s->ended && !s->paused && !r->closed && r->ch && total < READ_TURN) {
        /* One blocking read is safe after one poll, not two. */
        if (s->blocking && total > 0 && !nc_relay_polls(s->fd, POLLIN)) {
            break;
        }
        ssize_t got =
            r->filtered && s == &r->sources[0] ? read_filtered(r, s) : read_straight(r, s);
        if (got < 0 && errno == EAGAIN) {
            break;
        }
        if (got <= 0) {
            /* A pty master says EIO when its last slave is closed, a socket that it was reset: ends, both. */
            if (got < 0 && (s->kind == NC_FD_PIPE || s->kind == NC_FD_FILE)) {
                source_lost(r, NACRE_IO);
            }
            end_source(r, s);
            break;
        }
        total += (size_t)got;
        r->bulk = 0;
        nacre_driver_kick(r->d);
    }
}

/* ---- events ---- */

static void on_fd(void *user, int fd, unsigned ready)
{
    nacre_relay *r = user;
    for (int i = 0; i < 2; i++) {
        if ((ready & NACRE_WRITE) && r->sinks[i].fd == fd && r->sinks[i].blocked) {
            nc_relay_pump(r, &r->sinks[i]);
        }
    }
    for (int i = 0; i < 2; i++) {
        if ((ready & NACRE_READ) && r->sources[i].fd == fd) {
            pump_source(r, &r->sources[i]);
        }
    }
    conclude(r);
}

static void on_child(void *user, pid_t pid, int wait_status)
{
    nacre_relay *r = user;
    (void)pid;
    r->child_done = true;
    r->child_status = wait_status;
    r->result.exited = WIFEXITED(wait_status);
    if (r->result.exited) {
        r->result.status = (uint32_t)WEXITSTATUS(wait_status);
    } else if (WIFSIGNALED(wait_status)) {
        const char *name = nacre_signal_name(WTERMSIG(wait_status));
        (void)snprintf(r->result.signal, sizeof(r->result.signal), "%s", name ? name : "?");
        r->result.core_dumped = nc_wait_core_dumped(wait_status);
    }
    conclude(r);
}

bool nc_relay_child_done(const nacre_relay *r)
{
    return r->child_done;
}

bool nc_relay_uses(const nacre_relay *r, int fd)
{
    return fd >= 0 && used(r, fd);
}

static void stop(nacre_relay *r)
{
    r->closed = true;
    r->filtered_at = r->filtered_len = 0;
    r->eof_received = true;
    for (int i = 0; i < 2; i++) {
        end_source(r, &r->sources[i]);
        nc_relay_close_sink(r, &r->sinks[i]);
    }
}

/*
 * The peer is gone from the channel, the program is not: it finds its input at an end, its output
 * without a reader and its terminal hung up, and its exit status is still told. The same with a socket: it
 * gets the rest, and the channel is closed behind that.
 */
static void peer_closed(nacre_relay *r)
{
    r->filtered_at = r->filtered_len = 0;
    r->eof_received = true;
    nc_relay_sink *in = &r->sinks[0];
    bool both = in->fd >= 0 && in->fd == r->sources[0].fd;
    for (int i = 0; i < 2; i++) {
        end_source(r, &r->sources[i]);
        nc_relay_close_sink(r, &r->sinks[i]);
    }
    if (both && !in->dead && in->kind == NC_FD_SOCKET) {
        (void)shutdown(in->fd, SHUT_RD); /* input that waits still goes */
    } else if (both && !in->dead) {
        nc_relay_kill_sink(r, in); /* what was typed goes with the terminal */
    }
}

static void take_exit(nacre_relay *r, const nacre_event *ev)
{
    if (ev->type == NACRE_EVENT_EXIT_STATUS) {
        r->result.exited = true;
        r->result.status = ev->u.exit.status;
        return;
    }
    (void)nacre_escape(r->result.signal, sizeof(r->result.signal), ev->u.exit.signal);
    r->result.core_dumped = ev->u.exit.core_dumped;
}

static void take_writable(nacre_relay *r)
{
    for (int i = 0; i < 2; i++) {
        r->sources[i].paused = false;
    }
    /* The fds are polled again from here; only what the filter holds can go at once. */
    if (r->filtered_at < r->filtered_len) {
        (void)send_filtered(r, &r->sources[0]);
    }
}

bool nacre_relay_event(nacre_relay *r, const nacre_event *ev)
{
    if (!r->ch || ev->channel != r->ch) {
        return false;
    }
    if (ev->type == NACRE_EVENT_CHANNEL_DATA) {
        nc_relay_take(r, ev->u.data.stream, ev->u.data.bytes);
        if (r->gathered.count == 0) {
            conclude(r);
        }
        return true;
    }
    nc_relay_flush(r); /* whatever it says, it is said behind the data */
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_WRITABLE:
        take_writable(r);
        break;
    case NACRE_EVENT_CHANNEL_EOF:
        r->eof_received = true;
        nc_relay_close_sink(r, &r->sinks[0]);
        nc_relay_close_sink(r, &r->sinks[1]);
        break;
    case NACRE_EVENT_CHANNEL_PEER_CLOSED:
        peer_closed(r);
        break;
    case NACRE_EVENT_CHANNEL_CLOSED:
        stop(r);
        break;
    case NACRE_EVENT_EXIT_STATUS:
    case NACRE_EVENT_EXIT_SIGNAL:
        take_exit(r, ev);
        break;
    case NACRE_EVENT_CHANNEL_REQUEST:
        if (!nc_span_is(ev->u.request.name, "eow@openssh.com")) {
            return false;
        }
        end_source(r, &r->sources[0]);
        end_source(r, &r->sources[1]);
        break;
    default:
        return false;
    }
    conclude(r);
    return true;
}

void nacre_relay_end_source(nacre_relay *r)
{
    end_source(r, &r->sources[0]);
    end_source(r, &r->sources[1]);
    conclude(r);
}

void nacre_relay_abandon(nacre_relay *r)
{
    nc_relay_flush(r);
    r->ch = NULL;
    r->d = NULL;
    stop(r);
    conclude(r);
}

/* ---- life ---- */

static void after_events(void *user)
{
    nacre_relay *r = user;
    uint64_t before = r->result.bytes_in;
    nc_relay_flush(r);
    conclude(r);
    /* One packet at a time: to sleep for each and to be woken for each costs more than the packet, and costs the peer
       who wakes us, too. */
    r->bulk = r->result.bytes_in - before >= BULK_TURN ? r->bulk + 1 : 0;
    if (r->bulk > BULK_TURNS) {
        nc_driver_rest(r->d);
    }
}

static void release_fds(nacre_relay *r)
{
    for (int i = 0; i < 2; i++) {
        nc_relay_let_go(r, &r->sources[i].fd, r->sources[i].own);
        nc_relay_let_go(r, &r->sinks[i].fd, r->sinks[i].own);
        nc_queue_clear(&r->sinks[i].queue);
    }
}

static void finish(void *user)
{
    nacre_relay *r = user;
    if (r->finished) {
        return;
    }
    r->finished = true;
    if (r->opts.child > 0 && !r->child_done) {
        r->result.child_alive = true;
        /* It is watched already: only the callback goes. */
        ignore(nacre_loop_on_child(r->loop, r->opts.child, NULL, NULL));
    }
    release_fds(r);
    if (r->opts.on_finished) {
        r->opts.on_finished(r->opts.user, r, &r->result);
    }
}

static int watch_all(nacre_relay *r)
{
    const int fds[4] = {r->sources[0].fd, r->sources[1].fd, r->sinks[0].fd, r->sinks[1].fd};
    for (int i = 0; i < 4; i++) {
        bool seen = fds[i] < 0;
        for (int j = 0; j < i; j++) {
            seen = seen || fds[j] == fds[i];
        }
        int rc = seen ? NACRE_OK : nacre_loop_add(r->loop, fds[i], wanted(r, fds[i]), on_fd, r);
        if (rc != NACRE_OK) {
            for (int j = 0; j < i; j++) {
                nacre_loop_remove(r->loop, fds[j]);
            }
            return rc;
        }
    }
    return NACRE_OK;
}

/* Undoes init_* without touching what is still the caller's. */
static void undo(nacre_relay *r)
{
    const int given[4] = {r->opts.source, r->opts.source_err, r->opts.sink, r->opts.sink_err};
    int *now[4] = {&r->sources[0].fd, &r->sources[1].fd, &r->sinks[0].fd, &r->sinks[1].fd};
    for (int i = 0; i < 4; i++) {
        if (*now[i] != given[i]) {
            nc_fd_close(now[i]);
        }
    }
    nc_free(nc_loop_allocator(r->loop), r->filtered);
    nc_free(nc_loop_allocator(r->loop), r);
}

int nacre_relay_new(nacre_relay **out, nacre_loop *loop, nacre_driver *d, nacre_channel *ch,
                    const nacre_relay_options *o, nacre_error *err)
{
    nc_error_clear(err);
    *out = NULL;
    if (!o || o->size == 0 || o->size > sizeof(*o) || !ch) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "a relay needs options and an open channel");
    }
    const nacre_allocator *a = nc_loop_allocator(loop);
    nacre_relay *r = nc_zalloc(a, sizeof(*r));
    if (!r) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a relay");
    }
    nacre_relay_options_init(&r->opts);
    memcpy(&r->opts, o, o->size);
    r->loop = loop;
    r->d = d;
    r->ch = ch;
    r->task.fn = finish;
    r->task.user = r;
    r->after.fn = after_events;
    r->after.user = r;
    int rc = NACRE_OK;
    if (r->opts.filter && !(r->filtered = nc_alloc(a, 2 * FILTER_CHUNK + 8))) {
        rc = nc_fail(err, NACRE_NO_MEMORY, "no memory for a relay");
    }
    int bad = nc_relay_init_source(r, 0, r->opts.source, NACRE_STDOUT);
    bad |= nc_relay_init_source(r, 1, r->opts.source_err, NACRE_STDERR);
    bad |= nc_relay_init_sink(r, 0, r->opts.sink) | nc_relay_init_sink(r, 1, r->opts.sink_err);
    if (rc == NACRE_OK && bad) {
        rc = nc_os_fail(err, NACRE_IO, errno, "cannot use a descriptor for a channel");
    }
    if (rc == NACRE_OK && (rc = watch_all(r)) != NACRE_OK) {
        (void)nc_fail(err, rc, "cannot watch a descriptor of a channel");
    }
    if (rc == NACRE_OK && r->opts.child > 0 &&
        (rc = nacre_loop_on_child(loop, r->opts.child, on_child, r)) != NACRE_OK) {
        (void)nc_fail(err, rc, "cannot wait for process %ld", (long)r->opts.child);
        for (int i = 0; i < 2; i++) {
            nacre_loop_remove(loop, r->sources[i].fd);
            nacre_loop_remove(loop, r->sinks[i].fd);
        }
    }
    if (rc != NACRE_OK) {
        undo(r);
        return rc;
    }
    /* The child has a status to tell; a descriptor of ours is owed what has come, and who hears of the end
       of the channel before it has that may leave, and end the connection. */
    r->holds = r->opts.child > 0 || (!r->opts.shared && !r->opts.peer_closes);
    if (r->holds) {
        ignore(nacre_channel_hold_close(ch, true));
    }
    conclude(r);
    *out = r;
    return NACRE_OK;
}

void nacre_relay_free(nacre_relay *r)
{
    if (!r) {
        return;
    }
    const nacre_allocator *a = nc_loop_allocator(r->loop);
    nc_relay_flush(r);
    nc_loop_undefer(r->loop, &r->task);
    if (r->ch && !r->closed && r->holds) {
        ignore(nacre_channel_hold_close(r->ch, false)); /* nobody waits for anything any more */
    }
    if (!r->finished && r->opts.child > 0 && !r->child_done) {
        ignore(nacre_loop_on_child(r->loop, r->opts.child, NULL, NULL));
    }
    release_fds(r);
    nc_wipe_free(a, r->filtered, r->filtered ? 2 * FILTER_CHUNK + 8 : 0);
    nc_free(a, r);
}
