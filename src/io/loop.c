/*
 * loop.c - the poll(2) loop: fds, timers, signals, children, and tasks that run before it waits.
 *
 * Watchers live in two parallel arrays, one of which is what poll wants. Removal only marks the row;
 * rows are closed up after the callbacks of a turn, so callbacks may remove and add at will: a
 * number that is reused within a turn gets a new row, which was not polled yet.
 */
#include "io/loop.h"

#include "io/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct watcher {
    nacre_fd_fn fn;
    void *user;
    int fd; /* -1: removed */
    unsigned events;
} watcher;

typedef struct child_watch {
    struct child_watch *next;
    nacre_loop *loop;
    nacre_child_fn fn;
    void *user;
    pid_t pid;
    int pidfd; /* -1: found by SIGCHLD */
} child_watch;

typedef struct signal_watch {
    nacre_signal_fn fn;
    void *user;
    bool on;
} signal_watch;

struct nacre_loop {
    const nacre_allocator *alloc;
    struct pollfd *polls;
    watcher *watchers;
    size_t len, cap;
    int *row_of; /* by fd; -1: none */
    size_t row_cap;
    bool dirty; /* removed rows are to be closed up */
    nc_timers timers;
    nc_task *tasks; /* ring, or NULL */
    nc_task *naps;  /* ring, or NULL */
    nc_task round;  /* queued behind what a round runs, to mark its end */
    child_watch *children;
    signal_watch signals[NC_SIGNAL_MAX];
    int wake_pipe[2];
    bool sigchld_for_children; /* SIGCHLD was claimed for children without a pidfd */
    atomic_bool stop;
};

const nacre_allocator *nc_loop_allocator(const nacre_loop *loop)
{
    return loop->alloc;
}

uint64_t nacre_loop_now(const nacre_loop *loop)
{
    (void)loop;
    struct timespec ts = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

/* ---- fds ---- */

static int make_room(nacre_loop *loop, int fd)
{
    if (loop->len == loop->cap) {
        size_t cap = loop->cap ? loop->cap * 2 : 16;
        watcher *w = nc_resize(loop->alloc, loop->watchers, cap * sizeof(*w));
        if (!w) {
            return NACRE_NO_MEMORY;
        }
        loop->watchers = w;
        struct pollfd *p = nc_resize(loop->alloc, loop->polls, cap * sizeof(*p));
        if (!p) {
            return NACRE_NO_MEMORY;
        }
        loop->polls = p;
        loop->cap = cap;
    }
    size_t want = (size_t)fd + 1;
    if (want > loop->row_cap) {
        size_t cap = want < 64 ? 64 : want + want / 2;
        int *rows = nc_resize(loop->alloc, loop->row_of, cap * sizeof(*rows));
        if (!rows) {
            return NACRE_NO_MEMORY;
        }
        for (size_t i = loop->row_cap; i < cap; i++) {
            rows[i] = -1;
        }
        loop->row_of = rows;
        loop->row_cap = cap;
    }
    return NACRE_OK;
}

static int row_of(const nacre_loop *loop, int fd)
{
    return fd >= 0 && (size_t)fd < loop->row_cap ? loop->row_of[fd] : -1;
}

static void set_events(nacre_loop *loop, size_t row, unsigned events)
{
    struct pollfd *p = &loop->polls[row];
    loop->watchers[row].events = events;
    p->events = (short)((events & NACRE_READ ? POLLIN : 0) | (events & NACRE_WRITE ? POLLOUT : 0));
    /* poll reports hang-ups even when nothing was asked; only a negative number silences it. */
    p->fd = events ? loop->watchers[row].fd : -1;
}

int nacre_loop_add(nacre_loop *loop, int fd, unsigned events, nacre_fd_fn fn, void *user)
{
    if (fd < 0 || !fn) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (row_of(loop, fd) >= 0) {
        return NACRE_EXISTS;
    }
    if (loop->len >= INT_MAX / 2) {
        return NACRE_LIMIT;
    }
    int rc = make_room(loop, fd);
    if (rc != NACRE_OK) {
        return rc;
    }
    size_t row = loop->len++;
    watcher w = {fn, user, fd, 0};
    loop->watchers[row] = w;
    loop->polls[row].revents = 0;
    set_events(loop, row, events);
    loop->row_of[fd] = (int)row;
    return NACRE_OK;
}

int nacre_loop_modify(nacre_loop *loop, int fd, unsigned events)
{
    int row = row_of(loop, fd);
    if (row < 0) {
        return NACRE_NOT_FOUND;
    }
    set_events(loop, (size_t)row, events);
    return NACRE_OK;
}

void nacre_loop_remove(nacre_loop *loop, int fd)
{
    int row = row_of(loop, fd);
    if (row < 0) {
        return;
    }
    loop->row_of[fd] = -1;
    loop->watchers[row].fd = -1;
    loop->polls[row].fd = -1;
    loop->polls[row].revents = 0;
    loop->dirty = true;
}

static void close_up(nacre_loop *loop)
{
    if (!loop->dirty) {
        return;
    }
    size_t to = 0;
    for (size_t from = 0; from < loop->len; from++) {
        if (loop->watchers[from].fd < 0) {
            continue;
        }
        loop->watchers[to] = loop->watchers[from];
        loop->polls[to] = loop->polls[from];
        loop->row_of[loop->watchers[to].fd] = (int)to;
        to++;
    }
    loop->len = to;
    loop->dirty = false;
}

static unsigned ready_bits(short revents, unsigned asked)
{
    unsigned ready = 0;
    if (revents & (POLLIN | POLLPRI)) {
        ready |= NACRE_READ;
    }
    if (revents & POLLOUT) {
        ready |= NACRE_WRITE;
    }
    /* The reading or writing that was asked for will find out what is wrong. */
    if (revents & (POLLHUP | POLLERR | POLLNVAL)) {
        ready |= asked | NACRE_HUP;
    }
    return ready & (asked | NACRE_HUP);
}

static void dispatch_fds(nacre_loop *loop, int ready)
{
    size_t rows = loop->len;
    for (size_t i = 0; i < rows && ready > 0; i++) {
        short revents = loop->polls[i].revents;
        if (revents == 0) {
            continue;
        }
        loop->polls[i].revents = 0;
        ready--;
        /* What is asked now counts: an earlier callback may have changed or removed it. */
        watcher w = loop->watchers[i];
        unsigned bits = w.fd >= 0 && w.events ? ready_bits(revents, w.events) : 0;
        if (bits & (NACRE_READ | NACRE_WRITE)) {
            w.fn(w.user, w.fd, bits);
        }
    }
    close_up(loop);
}

/* ---- tasks and timers ---- */

void nc_tasks_add(nc_task **ring, nc_task *task)
{
    if (task->queued) {
        return;
    }
    task->queued = true;
    if (!*ring) {
        task->next = task->prev = task;
        *ring = task;
        return;
    }
    task->next = *ring;
    task->prev = (*ring)->prev;
    task->prev->next = task;
    task->next->prev = task;
}

void nc_tasks_remove(nc_task **ring, nc_task *task)
{
    if (!task->queued) {
        return;
    }
    task->queued = false;
    if (task->next == task) {
        *ring = NULL;
        return;
    }
    task->prev->next = task->next;
    task->next->prev = task->prev;
    if (*ring == task) {
        *ring = task->next;
    }
}

void nc_loop_defer(nacre_loop *loop, nc_task *task)
{
    nc_tasks_add(&loop->tasks, task);
}

void nc_loop_undefer(nacre_loop *loop, nc_task *task)
{
    nc_tasks_remove(&loop->tasks, task);
}

static void mark_round(void *user)
{
    (void)user;
}

/* Runs what is queued now; what is queued meanwhile waits for the next turn, which does not sleep. */
static bool run_tasks(nacre_loop *loop)
{
    if (!loop->tasks) {
        return false;
    }
    loop->round.fn = mark_round;
    nc_loop_defer(loop, &loop->round);
    while (loop->round.queued) {
        nc_task *task = loop->tasks;
        nc_loop_undefer(loop, task);
        task->fn(task->user);
    }
    return true;
}

/* ---- naps ---- */

static uint64_t now_ns(void)
{
    struct timespec ts = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static nc_nap *nap_of(nc_task *task)
{
    return (nc_nap *)(void *)((char *)task - offsetof(nc_nap, task));
}

void nc_loop_nap(nacre_loop *loop, nc_nap *nap, unsigned us)
{
    nap->until = now_ns() + (uint64_t)us * 1000u;
    nc_tasks_add(&loop->naps, &nap->task);
}

void nc_loop_unnap(nacre_loop *loop, nc_nap *nap)
{
    nc_tasks_remove(&loop->naps, &nap->task);
}

/* The ring is in order: all naps are equally long. Runs those that are over. */
static void run_naps(nacre_loop *loop)
{
    uint64_t now = loop->naps ? now_ns() : 0;
    while (loop->naps && nap_of(loop->naps)->until <= now) {
        nc_task *task = loop->naps;
        nc_tasks_remove(&loop->naps, task);
        task->fn(task->user);
    }
}

static void run_timers(nacre_loop *loop)
{
    uint64_t limit = loop->timers.last_id;
    uint64_t now = nacre_loop_now(loop);
    nc_timer timer;
    while (nc_timers_pop(&loop->timers, now, limit, &timer)) {
        timer.fn(timer.user);
    }
}

int nacre_loop_timer(nacre_loop *loop, uint64_t delay_ms, nacre_timer_fn fn, void *user,
                     uint64_t *id)
{
    uint64_t now = nacre_loop_now(loop);
    uint64_t at = delay_ms > UINT64_MAX - 1 - now ? UINT64_MAX - 1 : now + delay_ms;
    return fn ? nc_timers_add(&loop->timers, at, fn, user, id) : NACRE_INVALID_ARGUMENT;
}

void nacre_loop_cancel(nacre_loop *loop, uint64_t id)
{
    nc_timers_cancel(&loop->timers, id);
}

/* ---- waking, signals, children ---- */

void nacre_loop_wake(nacre_loop *loop)
{
    int saved = errno;
    ssize_t ignored = write(loop->wake_pipe[1], "w", 1);
    (void)ignored;
    errno = saved;
}

void nacre_loop_stop(nacre_loop *loop)
{
    atomic_store(&loop->stop, true);
    nacre_loop_wake(loop);
}

static bool reap(child_watch *w, int *status)
{
    pid_t got;
    do {
        got = waitpid(w->pid, status, WNOHANG);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        *status = 0; /* somebody else reaped it; nothing more will be known */
    }
    return got != 0;
}

static void drop_child(nacre_loop *loop, child_watch *w)
{
    for (child_watch **at = &loop->children; *at; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            break;
        }
    }
    if (w->pidfd >= 0) {
        nacre_loop_remove(loop, w->pidfd);
        nc_fd_close(&w->pidfd);
    }
    nc_free(loop->alloc, w);
}

static bool finish_child(child_watch *w)
{
    int status = 0;
    if (!reap(w, &status)) {
        return false;
    }
    nacre_child_fn fn = w->fn;
    void *user = w->user;
    pid_t pid = w->pid;
    drop_child(w->loop, w);
    if (fn) {
        fn(user, pid, status);
    }
    return true;
}

static void on_pidfd(void *user, int fd, unsigned ready)
{
    (void)fd;
    (void)ready;
    (void)finish_child(user);
}

static void sweep_children(void *user)
{
    nacre_loop *loop = user;
    child_watch *w = loop->children;
    while (w) {
        /* A callback may change the list anyhow: begin again after each. */
        w = w->pidfd < 0 && finish_child(w) ? loop->children : w->next;
    }
}

static void dispatch_signals(nacre_loop *loop)
{
    for (int signo = 1; signo < NC_SIGNAL_MAX; signo++) {
        bool children = signo == SIGCHLD && loop->sigchld_for_children;
        if ((!loop->signals[signo].on && !children) || !nc_signals_take(signo)) {
            continue;
        }
        if (children) {
            sweep_children(loop);
        }
        if (loop->signals[signo].on && loop->signals[signo].fn) {
            loop->signals[signo].fn(loop->signals[signo].user, signo);
        }
    }
}

static void on_wake(void *user, int fd, unsigned ready)
{
    nacre_loop *loop = user;
    char drain[256];
    (void)ready;
    while (nc_fd_read(fd, NC_FD_PIPE, drain, sizeof(drain)) == (ssize_t)sizeof(drain)) {
    }
    dispatch_signals(loop);
}

int nacre_loop_on_signal(nacre_loop *loop, int signo, nacre_signal_fn fn, void *user)
{
    if (signo <= 0 || signo >= NC_SIGNAL_MAX) {
        return NACRE_INVALID_ARGUMENT;
    }
    signal_watch *w = &loop->signals[signo];
    if (!fn) {
        w->on = false;
        if (!(signo == SIGCHLD && loop->sigchld_for_children)) {
            nc_signals_release(loop, signo);
        }
        return NACRE_OK;
    }
    int rc = nc_signals_claim(loop, signo, loop->wake_pipe[1], NULL);
    if (rc == NACRE_OK) {
        w->fn = fn;
        w->user = user;
        w->on = true;
    }
    return rc;
}

static int open_pidfd(pid_t pid)
{
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
#else
    (void)pid;
    errno = ENOSYS;
    return -1;
#endif
}

/* Without pidfds: SIGCHLD, and one look at once for a child that is dead already. */
static int watch_by_signal(nacre_loop *loop)
{
    int rc = nc_signals_claim(loop, SIGCHLD, loop->wake_pipe[1], NULL);
    if (rc == NACRE_OK) {
        loop->sigchld_for_children = true;
        rc = nacre_loop_timer(loop, 0, sweep_children, loop, NULL);
    }
    return rc;
}

int nacre_loop_on_child(nacre_loop *loop, pid_t pid, nacre_child_fn fn, void *user)
{
    if (pid <= 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    for (child_watch *w = loop->children; w; w = w->next) {
        if (w->pid == pid) {
            w->fn = fn;
            w->user = user;
            return NACRE_OK;
        }
    }
    child_watch *w = nc_zalloc(loop->alloc, sizeof(*w));
    if (!w) {
        return NACRE_NO_MEMORY;
    }
    w->loop = loop;
    w->fn = fn;
    w->user = user;
    w->pid = pid;
    w->pidfd = open_pidfd(pid);
    int rc = w->pidfd >= 0 ? nacre_loop_add(loop, w->pidfd, NACRE_READ, on_pidfd, w)
                           : watch_by_signal(loop);
    if (rc != NACRE_OK) {
        nc_fd_close(&w->pidfd);
        nc_free(loop->alloc, w);
        return rc;
    }
    w->next = loop->children;
    loop->children = w;
    return NACRE_OK;
}

/* ---- life and turns ---- */

int nacre_loop_new(nacre_loop **out, const nacre_allocator *alloc, nacre_error *err)
{
    nc_error_clear(err);
    *out = NULL;
    nacre_loop *loop = nc_zalloc(alloc, sizeof(*loop));
    if (!loop) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a loop");
    }
    loop->alloc = alloc;
    loop->timers.alloc = alloc;
    loop->wake_pipe[0] = loop->wake_pipe[1] = -1;
    atomic_init(&loop->stop, false);
    int rc = NACRE_OK;
    if (nc_fd_pipe(loop->wake_pipe, true) != 0) {
        rc = nc_os_fail(err, NACRE_IO, errno, "cannot make a pipe");
    } else if (nacre_loop_add(loop, loop->wake_pipe[0], NACRE_READ, on_wake, loop) != NACRE_OK) {
        rc = nc_fail(err, NACRE_NO_MEMORY, "no memory for a loop");
    }
    if (rc != NACRE_OK) {
        nacre_loop_free(loop);
        return rc;
    }
    *out = loop;
    return NACRE_OK;
}

void nacre_loop_free(nacre_loop *loop)
{
    if (!loop) {
        return;
    }
    for (int signo = 1; signo < NC_SIGNAL_MAX; signo++) {
        nc_signals_release(loop, signo);
    }
    while (loop->children) {
        drop_child(loop, loop->children);
    }
    nc_fd_close(&loop->wake_pipe[0]);
    nc_fd_close(&loop->wake_pipe[1]);
    nc_timers_clear(&loop->timers);
    nc_free(loop->alloc, loop->polls);
    nc_free(loop->alloc, loop->watchers);
    nc_free(loop->alloc, loop->row_of);
    nc_free(loop->alloc, loop);
}

static int wait_time(const nacre_loop *loop, int timeout_ms)
{
    if (loop->tasks || atomic_load(&loop->stop)) {
        return 0;
    }
    uint64_t next = nc_timers_next(&loop->timers);
    if (next == UINT64_MAX) {
        return timeout_ms;
    }
    uint64_t now = nacre_loop_now(loop);
    uint64_t left = next > now ? next - now : 0;
    int until = left > INT_MAX ? INT_MAX : (int)left;
    return timeout_ms >= 0 && timeout_ms < until ? timeout_ms : until;
}

/* Until the first nap is over: less than any timer needs to be exact. */
static int poll_briefly(const nacre_loop *loop)
{
    uint64_t now = now_ns(), until = nap_of(loop->naps)->until;
    const struct timespec left = {0, until > now ? (long)(until - now) : 0};
    return ppoll(loop->polls, (nfds_t)loop->len, &left, NULL);
}

int nacre_loop_run_once(nacre_loop *loop, int timeout_ms)
{
    /* A task may have been what the caller turns the loop for: then it must get to look. */
    int wait = run_tasks(loop) ? 0 : wait_time(loop, timeout_ms);
    close_up(loop);
    int ready =
        loop->naps && wait != 0 ? poll_briefly(loop) : poll(loop->polls, (nfds_t)loop->len, wait);
    if (ready < 0 && errno != EINTR && errno != EAGAIN) {
        return nc_os_status(errno);
    }
    if (ready > 0) {
        dispatch_fds(loop, ready);
    }
    run_naps(loop);
    run_timers(loop);
    /* What the callbacks deferred leaves now, not after a wait that the caller may never begin. */
    (void)run_tasks(loop);
    close_up(loop);
    return NACRE_OK;
}

int nacre_loop_run(nacre_loop *loop)
{
    int rc = NACRE_OK;
    while (rc == NACRE_OK && !atomic_exchange(&loop->stop, false)) {
        rc = nacre_loop_run_once(loop, -1);
    }
    return rc;
}
