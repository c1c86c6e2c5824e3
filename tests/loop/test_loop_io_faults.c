/*
 * The operating system as it is on a bad day, by calls that the linker puts in the place of its own: reads and
 * writes that take a little, are interrupted or not ready, each of them failing in turn, and a server that is out
 * of descriptors. A server and a client in one loop, over a socket pair, with a program behind pipes.
 */
#include "world.h"

#include "base/mem.h"
#include "nacre/net.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, PAYLOAD = 3000 };

/* ---- the calls -------------------------------------------------------------------------------------- */

static struct {
    bool torn;             /* short, EINTR, EAGAIN, by chance */
    unsigned long fail_at; /* this call fails hard; 0: none */
    unsigned long count;
    int accept_fails; /* EMFILE so often */
    uint64_t chance;
    pid_t owner; /* a child is left alone */
} fault;

static unsigned pick(unsigned below)
{
    fault.chance = fault.chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(fault.chance >> 33) % below;
}

/* True: the call fails with errno set. Otherwise *n is how much it may take. */
static bool goes_wrong(size_t *n, int hard)
{
    if (getpid() != fault.owner) {
        return false;
    }
    if (fault.fail_at && ++fault.count == fault.fail_at) {
        errno = hard;
        return true;
    }
    if (!fault.torn) {
        return false;
    }
    unsigned what = pick(8);
    if (what < 2) {
        errno = what ? EINTR : EAGAIN;
        return true;
    }
    *n = *n > 1 && what < 6 ? 1 + pick((unsigned)(*n < 700 ? *n : 700)) : *n;
    return false;
}

#define WRAP_IO(name, params, args, hard)                                                          \
    ssize_t __real_##name params;                                                                  \
    ssize_t __wrap_##name params;                                                                  \
    ssize_t __wrap_##name params                                                                   \
    {                                                                                              \
        return goes_wrong(&n, hard) ? -1 : __real_##name args;                                     \
    }

WRAP_IO(send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags), EPIPE)
WRAP_IO(recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags), ECONNRESET)
WRAP_IO(read, (int fd, void *p, size_t n), (fd, p, n), EIO)
WRAP_IO(write, (int fd, const void *p, size_t n), (fd, p, n), EIO)

ssize_t __real_readv(int fd, const struct iovec *iov, int count);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int count);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int count)
{
    size_t n = iov[0].iov_len;
    size_t whole = n;
    if (goes_wrong(&n, EIO)) {
        return -1;
    }
    struct iovec less = {iov[0].iov_base, n};
    return n < whole ? __real_readv(fd, &less, 1) : __real_readv(fd, iov, count);
}

int __real_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    if (fault.accept_fails > 0) {
        fault.accept_fails--;
        errno = EMFILE;
        return -1;
    }
    return __real_accept4(fd, addr, len, flags);
}

static void behave(void)
{
    memset(&fault, 0, sizeof(fault));
    fault.owner = getpid();
}

/* ---- a session -------------------------------------------------------------------------------------- */

static nacre_verdict run_cat(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    char sh[] = "sh", flag[] = "-c", command[] = "cat; exit 3";
    char *argv[] = {sh, flag, command, NULL};
    nacre_spawn_options o;
    nacre_error err = {0};
    (void)user;
    nacre_spawn_options_init(&o);
    o.program = "/bin/sh";
    o.argv = argv;
    o.envp = nacre_server_session_env(c, ev->channel);
    o.new_session = true;
    int rc = nacre_server_spawn(c, ev->channel, &o, NULL, &err);
    return rc == NACRE_OK ? NACRE_ACCEPT : NACRE_REFUSE;
}

/* Until *what is 1 or the connection is over: true for the former. */
static bool reached(world *w, const peer *p, const int *what)
{
    uint64_t end = nacre_loop_now(w->loop) + PATIENCE_MS;
    while (*what < 1 && !p->over && p->failed + p->no + p->auth_failed == 0) {
        assert_true(nacre_loop_now(w->loop) < end);
        assert_int_equal(nacre_loop_run_once(w->loop, 50), NACRE_OK);
    }
    return *what >= 1;
}

static void session(world *w, peer *p)
{
    static char text[PAYLOAD];
    nacre_channel *ch = NULL;
    size_t took = 0;
    memset(text, 'x', sizeof(text));
    if (nacre_transport_auth_none(p->t, "alice") != NACRE_OK) {
        return;
    }
    nacre_driver_kick(p->d);
    if (!reached(w, p, &p->auth_ok) || nacre_channel_open_session(p->t, &ch) != NACRE_OK) {
        return;
    }
    nacre_driver_kick(p->d);
    if (!reached(w, p, &p->opened) ||
        nacre_channel_exec(ch, nc_span_cstr("cat"), true) != NACRE_OK ||
        nacre_channel_write(ch, NACRE_STDOUT, text, sizeof(text), &took) != NACRE_OK ||
        nacre_channel_eof(ch) != NACRE_OK) {
        return;
    }
    nacre_driver_kick(p->d);
    (void)reached(w, p, &p->closed);
}

static void torn_to_pieces(void **state)
{
    world *w = *state;
    w->cfg.callbacks.auth_none = world_yes;
    w->cfg.callbacks.exec = run_cat;
    behave();
    world_start(w);
    for (unsigned i = 0; i < 20; i++) {
        fault.torn = true;
        fault.chance = i;
        peer *p = world_join(w);
        session(w, p);
        behave();
        assert_int_equal(p->closed, 1);
        assert_int_equal(p->exit_status, 3);
        assert_int_equal(p->n, PAYLOAD);
        world_leave(p);
    }
}

static void each_call_fails(void **state)
{
    world *w = *state;
    unsigned long n = 1;
    bool through = false;
    w->cfg.callbacks.auth_none = world_yes;
    w->cfg.callbacks.exec = run_cat;
    behave();
    world_start(w);
    while (!through) {
        fault.fail_at = n;
        fault.count = 0;
        peer *p = world_join(w);
        session(w, p);
        through = fault.count < n;
        behave();
        /* Whatever came of it, nothing came that was not sent. */
        assert_true(p->n <= PAYLOAD);
        for (size_t i = 0; i < p->n; i++) {
            assert_int_equal(p->out[i], 'x');
        }
        if (through) {
            assert_int_equal(p->exit_status, 3);
            assert_int_equal(p->n, PAYLOAD);
        }
        world_leave(p);
        n++;
        assert_true(n < 1000);
    }
    assert_true(n > 15);
}

static void out_of_descriptors(void **state)
{
    world *w = *state;
    nacre_error err = {0};
    uint16_t port = 0;
    int fd = -1;
    char banner[4] = "";
    behave();
    world_start(w);
    assert_int_equal(nacre_server_listen(w->server, "127.0.0.1", 0, &port, &err), NACRE_OK);
    fault.accept_fails = 3;
    assert_int_equal(nacre_net_connect("127.0.0.1", port, NULL, &fd, &err), NACRE_OK);
    uint64_t end = nacre_loop_now(w->loop) + PATIENCE_MS;
    while (__real_recv(fd, banner, sizeof(banner), MSG_DONTWAIT | MSG_PEEK) < 4) {
        assert_true(nacre_loop_now(w->loop) < end);
        assert_int_equal(nacre_loop_run_once(w->loop, 50), NACRE_OK);
    }
    assert_int_equal(fault.accept_fails, 0);
    assert_memory_equal(banner, "SSH-", 4);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(torn_to_pieces),
        WITH_WORLD(each_call_fails),
        WITH_WORLD(out_of_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
