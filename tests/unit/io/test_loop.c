/*
 * test_loop.c - the poll loop: fds, timers, tasks, signals, children, waking from a thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/fd.h"
#include "io/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static nacre_loop *new_loop(void)
{
    nacre_loop *loop = NULL;
    assert_int_equal(nacre_loop_new(&loop, NULL, NULL), NACRE_OK);
    return loop;
}

typedef struct tally {
    nacre_loop *loop;
    int order[8];
    int count;
    int peer; /* fd to remove */
    unsigned last;
} tally;

typedef struct stamp {
    tally *t;
    int tag;
} stamp;

static void on_timer(void *user)
{
    stamp *s = user;
    s->t->order[s->t->count++] = s->tag;
}

static void test_timers_in_order(void **state)
{
    (void)state;
    tally t = {.loop = new_loop()};
    stamp a = {&t, 1}, b = {&t, 2}, c = {&t, 3}, d = {&t, 4};
    uint64_t id_c = 0;
    uint64_t before = nacre_loop_now(t.loop);
    assert_int_equal(nacre_loop_timer(t.loop, 30, on_timer, &b, NULL), NACRE_OK);
    assert_int_equal(nacre_loop_timer(t.loop, 5, on_timer, &a, NULL), NACRE_OK);
    assert_int_equal(nacre_loop_timer(t.loop, 20, on_timer, &c, &id_c), NACRE_OK);
    assert_int_equal(nacre_loop_timer(t.loop, 30, on_timer, &d, NULL), NACRE_OK);
    assert_int_not_equal(id_c, 0);
    nacre_loop_cancel(t.loop, id_c);
    nacre_loop_cancel(t.loop, id_c);
    nacre_loop_cancel(t.loop, 0);
    nacre_loop_cancel(t.loop, 12345);
    while (t.count < 3) {
        assert_int_equal(nacre_loop_run_once(t.loop, 1000), NACRE_OK);
    }
    assert_true(nacre_loop_now(t.loop) - before >= 30);
    assert_int_equal(t.order[0], 1);
    assert_int_equal(t.order[1], 2);
    assert_int_equal(t.order[2], 4);
    assert_int_equal(nacre_loop_timer(t.loop, 1, NULL, NULL, NULL), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_loop_timer(t.loop, UINT64_MAX, on_timer, &a, NULL), NACRE_OK);
    assert_int_equal(nacre_loop_run_once(t.loop, 0), NACRE_OK);
    assert_int_equal(t.count, 3);
    nacre_loop_free(t.loop);
}

static void test_many_timers(void **state)
{
    (void)state;
    nc_timers heap = {0};
    uint64_t ids[1000];
    unsigned x = 7;
    for (int i = 0; i < 1000; i++) {
        x = x * 1103515245u + 12345u;
        assert_int_equal(nc_timers_add(&heap, (x >> 8) % 500, on_timer, NULL, &ids[i]), NACRE_OK);
    }
    for (int i = 0; i < 1000; i += 3) {
        nc_timers_cancel(&heap, ids[i]);
    }
    nc_timer got;
    uint64_t last = 0, seq = 0;
    size_t n = 0;
    while (nc_timers_pop(&heap, UINT64_MAX, UINT64_MAX, &got)) {
        assert_true(got.at > last || (got.at == last && got.seq > seq));
        last = got.at;
        seq = got.seq;
        n++;
    }
    assert_int_equal(n, 666);
    assert_true(nc_timers_next(&heap) == UINT64_MAX);
    nc_timers_clear(&heap);
}

static void on_read(void *user, int fd, unsigned ready)
{
    tally *t = user;
    char c;
    t->last = ready;
    t->count++;
    if (t->peer >= 0) {
        /* Whichever comes first removes the other, which then must not be called. */
        nacre_loop_remove(t->loop, t->peer == fd ? fd : t->peer);
    }
    (void)!read(fd, &c, 1);
}

static void on_first(void *user, int fd, unsigned ready)
{
    tally *t = user;
    (void)ready;
    t->count++;
    nacre_loop_remove(t->loop, fd);
    nacre_loop_remove(t->loop, t->peer);
}

static void test_fds(void **state)
{
    (void)state;
    tally t = {.loop = new_loop(), .peer = -1};
    int p[2];
    assert_int_equal(nc_fd_pipe(p, true), 0);
    assert_int_equal(nacre_loop_add(t.loop, p[0], NACRE_READ, on_read, &t), NACRE_OK);
    assert_int_equal(nacre_loop_add(t.loop, p[0], NACRE_READ, on_read, &t), NACRE_EXISTS);
    assert_int_equal(nacre_loop_add(t.loop, -1, NACRE_READ, on_read, &t), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_loop_modify(t.loop, p[1], NACRE_READ), NACRE_NOT_FOUND);
    assert_int_equal(nacre_loop_run_once(t.loop, 0), NACRE_OK);
    assert_int_equal(t.count, 0);
    assert_int_equal(write(p[1], "x", 1), 1);
    assert_int_equal(nacre_loop_run_once(t.loop, 1000), NACRE_OK);
    assert_int_equal(t.count, 1);
    assert_int_equal(t.last, NACRE_READ);
    /* Parked: neither data nor hang-up is told. */
    assert_int_equal(nacre_loop_modify(t.loop, p[0], 0), NACRE_OK);
    assert_int_equal(write(p[1], "x", 1), 1);
    close(p[1]);
    assert_int_equal(nacre_loop_run_once(t.loop, 0), NACRE_OK);
    assert_int_equal(t.count, 1);
    assert_int_equal(nacre_loop_modify(t.loop, p[0], NACRE_READ), NACRE_OK);
    assert_int_equal(nacre_loop_run_once(t.loop, 1000), NACRE_OK);
    assert_int_equal(t.count, 2);
    assert_true(t.last & NACRE_READ);
    assert_int_equal(nacre_loop_run_once(t.loop, 1000), NACRE_OK);
    assert_int_equal(t.last, NACRE_READ | NACRE_HUP);
    nacre_loop_remove(t.loop, p[0]);
    nacre_loop_remove(t.loop, p[0]);
    nacre_loop_remove(t.loop, 100000);
    close(p[0]);
    nacre_loop_free(t.loop);
}

static void test_remove_in_callback(void **state)
{
    (void)state;
    tally t = {.loop = new_loop(), .peer = -1};
    int a[2], b[2];
    assert_int_equal(nc_fd_pipe(a, true), 0);
    assert_int_equal(nc_fd_pipe(b, true), 0);
    assert_int_equal(write(a[1], "x", 1), 1);
    assert_int_equal(write(b[1], "x", 1), 1);
    t.peer = b[0];
    assert_int_equal(nacre_loop_add(t.loop, a[0], NACRE_READ, on_first, &t), NACRE_OK);
    assert_int_equal(nacre_loop_add(t.loop, b[0], NACRE_READ, on_read, &t), NACRE_OK);
    assert_int_equal(nacre_loop_run_once(t.loop, 1000), NACRE_OK);
    assert_int_equal(nacre_loop_run_once(t.loop, 0), NACRE_OK);
    assert_int_equal(t.count, 1);
    close(a[0]);
    close(a[1]);
    close(b[0]);
    close(b[1]);
    nacre_loop_free(t.loop);
}

static void test_thousands_of_fds(void **state)
{
    (void)state;
    enum { MANY = 2000 };
    struct rlimit lim;
    tally t = {.loop = new_loop(), .peer = -1};
    static int fds[MANY];
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
    lim.rlim_cur = lim.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &lim);
    int p[2], n = 0;
    assert_int_equal(nc_fd_pipe(p, true), 0);
    while (n < MANY && (fds[n] = fcntl(p[0], F_DUPFD_CLOEXEC, 3)) >= 0) {
        assert_int_equal(nacre_loop_add(t.loop, fds[n], NACRE_READ, on_first, &t), NACRE_OK);
        n++;
    }
    assert_true(n > 200);
    t.peer = -1;
    assert_int_equal(nacre_loop_run_once(t.loop, 0), NACRE_OK);
    assert_int_equal(t.count, 0);
    assert_int_equal(write(p[1], "x", 1), 1);
    assert_int_equal(nacre_loop_run_once(t.loop, 1000), NACRE_OK);
    assert_int_equal(t.count, n);
    for (int i = 0; i < n; i++) {
        close(fds[i]);
    }
    close(p[0]);
    close(p[1]);
    nacre_loop_free(t.loop);
}

static void *stop_later(void *user)
{
    nacre_loop_stop(user);
    return NULL;
}

static void test_stop_from_thread(void **state)
{
    (void)state;
    nacre_loop *loop = new_loop();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_later, loop), 0);
    assert_int_equal(nacre_loop_run(loop), NACRE_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    nacre_loop_stop(loop);
    assert_int_equal(nacre_loop_run(loop), NACRE_OK); /* the stop came before */
    for (int i = 0; i < 100000; i++) {
        nacre_loop_wake(loop); /* a full pipe is no reason to block */
    }
    assert_int_equal(nacre_loop_run_once(loop, 1000), NACRE_OK);
    nacre_loop_free(loop);
}

static void on_signal(void *user, int signo)
{
    tally *t = user;
    t->order[t->count++ % 8] = signo;
}

static void test_signals(void **state)
{
    (void)state;
    tally t = {.loop = new_loop()};
    nacre_loop *other = new_loop();
    struct sigaction sa;
    assert_int_equal(nacre_loop_on_signal(t.loop, SIGUSR1, on_signal, &t), NACRE_OK);
    assert_int_equal(nacre_loop_on_signal(other, SIGUSR1, on_signal, &t), NACRE_EXISTS);
    assert_int_equal(nacre_loop_on_signal(t.loop, SIGKILL, on_signal, &t), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_loop_on_signal(t.loop, 0, on_signal, &t), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_loop_on_signal(t.loop, 1000, on_signal, &t), NACRE_INVALID_ARGUMENT);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    while (t.count == 0) {
        assert_int_equal(nacre_loop_run_once(t.loop, 1000), NACRE_OK);
    }
    assert_int_equal(t.count, 1);
    assert_int_equal(t.order[0], SIGUSR1);
    assert_int_equal(nacre_loop_on_signal(t.loop, SIGUSR1, NULL, NULL), NACRE_OK);
    assert_int_equal(sigaction(SIGUSR1, NULL, &sa), 0);
    assert_true(sa.sa_handler == SIG_DFL);
    assert_int_equal(nacre_loop_on_signal(other, SIGUSR1, on_signal, &t), NACRE_OK);
    nacre_loop_free(other);
    assert_int_equal(sigaction(SIGUSR1, NULL, &sa), 0);
    assert_true(sa.sa_handler == SIG_DFL);
    nacre_loop_free(t.loop);
}

/* The parent's loop does not own a child's signals. */
static int signals_of_a_child(void)
{
    tally t = {.loop = new_loop()};
    if (nacre_loop_on_signal(t.loop, SIGUSR1, on_signal, &t) != NACRE_OK || raise(SIGUSR1) != 0 ||
        nacre_loop_run_once(t.loop, 1000) != NACRE_OK || t.count != 1) {
        return 1;
    }
    nacre_loop_free(t.loop);
    struct sigaction now;
    return sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL ? 0 : 2;
}

static void test_signals_after_fork(void **state)
{
    (void)state;
    tally t = {.loop = new_loop()};
    int status = -1;
    assert_int_equal(nacre_loop_on_signal(t.loop, SIGUSR1, on_signal, &t), NACRE_OK);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(raise(SIGUSR1) == 0 ? signals_of_a_child() : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(nacre_loop_run_once(t.loop, 1000), NACRE_OK);
    assert_int_equal(t.count, 1);
    nacre_loop_free(t.loop);
}

typedef struct child_note {
    int count;
    pid_t pid;
    int status;
} child_note;

static void on_child(void *user, pid_t pid, int status)
{
    child_note *n = user;
    n->count++;
    n->pid = pid;
    n->status = status;
}

static void test_children(void **state)
{
    (void)state;
    nacre_loop *loop = new_loop();
    child_note note = {0};
    for (int early = 0; early < 2; early++) {
        note.count = 0;
        pid_t pid = fork();
        if (pid == 0) {
            _exit(7);
        }
        if (early) {
            siginfo_t info;
            assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
        }
        assert_int_equal(nacre_loop_on_child(loop, pid, on_child, &note), NACRE_OK);
        while (note.count == 0) {
            assert_int_equal(nacre_loop_run_once(loop, 5000), NACRE_OK);
        }
        assert_int_equal(note.pid, pid);
        assert_true(WIFEXITED(note.status));
        assert_int_equal(WEXITSTATUS(note.status), 7);
        assert_int_equal(waitpid(pid, NULL, WNOHANG), -1); /* reaped */
        assert_int_equal(errno, ECHILD);
    }
    assert_int_equal(nacre_loop_on_child(loop, 0, on_child, &note), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_loop_on_child(loop, -5, on_child, &note), NACRE_INVALID_ARGUMENT);
    nacre_loop_free(loop);
}

typedef struct deferred {
    nacre_loop *loop;
    nc_task task, other;
    int count;
} deferred;

static void on_task(void *user)
{
    deferred *d = user;
    d->count++;
    nc_loop_undefer(d->loop, &d->other);
    if (d->count < 3) {
        nc_loop_defer(d->loop, &d->task); /* comes in the next round, not in this one for ever */
    }
}

static void test_tasks(void **state)
{
    (void)state;
    deferred d = {.loop = new_loop()};
    d.task.fn = d.other.fn = on_task;
    d.task.user = d.other.user = &d;
    nc_loop_defer(d.loop, &d.task);
    nc_loop_defer(d.loop, &d.task);
    nc_loop_defer(d.loop, &d.other);
    int turns = 0;
    while (d.count < 3 && turns++ < 5) {
        assert_int_equal(nacre_loop_run_once(d.loop, -1), NACRE_OK);
    }
    assert_int_equal(d.count, 3);
    assert_false(d.task.queued);
    nacre_loop_free(d.loop);
}

typedef struct napper {
    nc_nap nap;
    nacre_loop *loop;
    struct napper *other; /* is called off */
    int count, order;
} napper;

static int naps_ended;

static void on_nap(void *user)
{
    napper *n = user;
    n->count++;
    n->order = ++naps_ended;
    if (n->other) {
        nc_loop_unnap(n->loop, &n->other->nap);
    }
}

static void test_naps(void **state)
{
    (void)state;
    enum { US = 900 };
    nacre_loop *loop = new_loop();
    napper n[3];
    memset(n, 0, sizeof(n));
    for (int i = 0; i < 3; i++) {
        n[i].loop = loop;
        n[i].nap.task.fn = on_nap;
        n[i].nap.task.user = &n[i];
    }
    n[1].other = &n[2];
    nc_loop_unnap(loop, &n[0].nap); /* not begun: no matter */
    uint64_t before = nacre_loop_now(loop);
    nc_loop_nap(loop, &n[0].nap, US);
    nc_loop_nap(loop, &n[0].nap, US);
    nc_loop_nap(loop, &n[1].nap, US);
    nc_loop_nap(loop, &n[2].nap, US);
    for (int turns = 0; n[1].count == 0; turns++) {
        assert_true(turns < 100);
        assert_int_equal(nacre_loop_run_once(loop, 60000), NACRE_OK);
    }
    assert_true(nacre_loop_now(loop) - before < 30000); /* not the wait, but the nap */
    assert_int_equal(n[0].count, 1);
    assert_int_equal(n[1].count, 1);
    assert_true(n[0].order < n[1].order);
    assert_int_equal(n[2].count, 0);
    assert_int_equal(nacre_loop_run_once(loop, 5), NACRE_OK);
    assert_int_equal(n[2].count, 0);
    /* What comes in meanwhile does not wait, and the nap goes on. */
    nc_loop_nap(loop, &n[0].nap, US);
    nacre_loop_wake(loop);
    assert_int_equal(nacre_loop_run_once(loop, -1), NACRE_OK);
    for (int turns = 0; n[0].count == 1; turns++) {
        assert_true(turns < 100);
        assert_int_equal(nacre_loop_run_once(loop, -1), NACRE_OK);
    }
    nacre_loop_free(loop);
}

static void *write_into_closed_pipe(void *user)
{
    int *p = user;
    ssize_t got = nc_fd_write(p[1], NC_FD_PIPE, "x", 1);
    return got == -1 && errno == EPIPE ? user : NULL;
}

static void test_no_sigpipe(void **state)
{
    (void)state;
    int p[2], s[2];
    sigset_t pending;
    void *same = NULL;
    pthread_t thread;
    assert_int_equal(nc_fd_pipe(p, false), 0);
    close(p[0]);
    /* SIGPIPE has its default disposition here: raising it would end the test. */
    assert_int_equal(pthread_create(&thread, NULL, write_into_closed_pipe, p), 0);
    assert_int_equal(pthread_join(thread, &same), 0);
    assert_ptr_equal(same, p);
    assert_ptr_equal(write_into_closed_pipe(p), p);
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGPIPE), 0);
    close(p[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
    close(s[0]);
    assert_int_equal(nc_fd_classify(s[1]), NC_FD_SOCKET);
    assert_int_equal(nc_fd_write(s[1], NC_FD_SOCKET, "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    const struct iovec two[2] = {{(void *)(uintptr_t) "x", 1}, {(void *)(uintptr_t) "y", 1}};
    assert_int_equal(nc_fd_writev(s[1], NC_FD_SOCKET, two, 2), -1);
    assert_int_equal(errno, EPIPE);
    close(s[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_in_order),
        cmocka_unit_test(test_many_timers),
        cmocka_unit_test(test_fds),
        cmocka_unit_test(test_remove_in_callback),
        cmocka_unit_test(test_thousands_of_fds),
        cmocka_unit_test(test_stop_from_thread),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_signals_after_fork),
        cmocka_unit_test(test_children),
        cmocka_unit_test(test_tasks),
        cmocka_unit_test(test_naps),
        cmocka_unit_test(test_no_sigpipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
