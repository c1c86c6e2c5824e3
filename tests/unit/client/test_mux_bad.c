/* A shared connection: clients that lie to its master, and masters that lie to their clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "channel/control.h"
#include "io/control_socket.h"
#include "io/pass_fd.h"
#include "mux_share.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- clients that lie ---- */

typedef struct lie {
    const char *what;
    const char *bytes;
    size_t n;
    int fds;       /* descriptors that follow, each with its byte */
    int plain;     /* bytes without one */
    bool answered; /* it is refused, and may go on */
} lie;

#define HELLO "\0\0\0\x08\0\0\0\x01\0\0\0\x04"
#define SESSION                                                                                    \
    "\0\0\0\x28\x10\0\0\2\0\0\0\1\0\0\0\0"                                                         \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0"
#define LIE(what, bytes, ...)                                                                      \
    {                                                                                              \
        what, bytes, sizeof(bytes) - 1, __VA_ARGS__                                                \
    }
static const lie lies[] = {
    LIE("nothing at all", "", 0, 0, false),
    LIE("half a length", "\0\0", 0, 0, false),
    LIE("a length above all", "\xff\xff\xff\xff", 0, 0, false),
    LIE("one byte too long", "\0\4\0\1", 0, 0, false),
    LIE("no type", "\0\0\0\0", 0, 0, false),
    LIE("half a type", "\0\0\0\2\0\0", 0, 0, false),
    LIE("HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0, 0, false),
    LIE("another version", "\0\0\0\x08\0\0\0\x01\0\0\0\x03", 0, 0, false),
    LIE("hello twice", HELLO HELLO, 0, 0, false),
    LIE("a question before hello", "\0\0\0\x08\x10\0\0\4\0\0\0\1", 0, 0, false),
    LIE("a master's message", HELLO "\0\0\0\x08\x80\0\0\1\0\0\0\1", 0, 0, true),
    LIE("a type nobody knows", HELLO "\0\0\0\x08\x10\0\0\x63\0\0\0\1", 0, 0, true),
    LIE("a question cut off", HELLO "\0\0\0\x06\x10\0\0\4\0\0", 0, 0, false),
    LIE("a question with more", HELLO "\0\0\0\x09\x10\0\0\4\0\0\0\1x", 0, 0, false),
    LIE("a session without descriptors", HELLO SESSION, 0, 0, false),
    LIE("a session with bytes instead", HELLO SESSION, 0, 3, true),
    LIE("a session with two of three", HELLO SESSION, 2, 0, false),
    LIE("a session with two, and a byte", HELLO SESSION, 2, 1, true),
    LIE("a forwarding of no kind",
        HELLO "\0\0\0\x1c\x10\0\0\6\0\0\0\1\0\0\0\x09\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1", 0, 0, true),
    LIE("a connection to nowhere", HELLO "\0\0\0\x14\x10\0\0\x08\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\x16",
        2, 0, true),
};

/* The master's bytes until it hangs up, or for a moment; how many. */
static size_t tell(const char *path, const lie *l, bool *hung_up, share *sh)
{
    uint8_t in[4096];
    size_t got = 0;
    int fd = -1;
    assert_int_equal(nc_control_connect(path, 1000, &fd, NULL), NACRE_OK);
    assert_int_equal(send(fd, l->bytes, l->n, MSG_NOSIGNAL), (ssize_t)l->n);
    for (int i = 0; i < l->fds; i++) {
        assert_int_equal(nc_pass_fd(fd, fd), 0);
    }
    for (int i = 0; i < l->plain; i++) {
        (void)!send(fd, "", 1, MSG_NOSIGNAL);
    }
    if (!l->answered) {
        (void)shutdown(fd, SHUT_WR);
    }
    *hung_up = false;
    for (int i = 0; i < 300 && !*hung_up && !(l->answered && got > 20); i++) {
        assert_int_equal(nacre_loop_run_once(sh->s.loop, 5), NACRE_OK);
        ssize_t n = recv(fd, in + got, sizeof(in) - got, MSG_DONTWAIT);
        *hung_up = n == 0 || (n < 0 && errno == ECONNRESET);
        got += n > 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    return got;
}

static void clients_that_lie(void **state)
{
    share sh;
    bool hung_up;
    (void)state;
    share_up(&sh, false, 0);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        size_t n = tell(sh.path, &lies[i], &hung_up, &sh);
        bool good = lies[i].answered ? n > 20 : hung_up;
        if (!good) {
            fail_msg("%s: %zu bytes came, %s", lies[i].what, n, hung_up ? "hung up" : "it stays");
        }
        share_alone(&sh);
        assert_int_equal(sh.s.opens, 0);
    }
    share_beside(&sh, share_session);
    assert_int_equal(sh.rc, NACRE_OK);
    share_alone(&sh);
    share_down(&sh);
}

/* ---- masters that lie ---- */

typedef struct liar {
    int listener;
    const void *bytes;
    size_t n;
} liar;

static void *play_master(void *arg)
{
    liar *l = arg;
    struct pollfd p = {l->listener, POLLIN, 0};
    int fd = poll(&p, 1, SHARE_MS) == 1 ? accept(l->listener, NULL, NULL) : -1;
    char in[256];
    if (fd < 0) {
        return NULL;
    }
    (void)!send(fd, l->bytes, l->n, MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    while (recv(fd, in, sizeof(in), 0) > 0) {
    }
    (void)close(fd);
    return NULL;
}

/* What becomes of a session, or before that of the greeting. */
static int meet(const char *dir, const void *bytes, size_t n)
{
    char path[160];
    liar l = {-1, bytes, n};
    pthread_t t;
    nacre_mux *x = NULL;
    nacre_mux_session o;
    nacre_mux_result result;
    (void)snprintf(path, sizeof(path), "%s/liar", dir);
    assert_int_equal(nc_control_listen(path, &l.listener, NULL), NACRE_OK);
    assert_int_equal(pthread_create(&t, NULL, play_master, &l), 0);
    nacre_mux_session_init(&o);
    int rc = nacre_mux_connect(&x, path, SHARE_MS, NULL, NULL);
    rc = rc == NACRE_OK ? nacre_mux_open_session(x, &o) : rc;
    rc = rc == NACRE_OK ? nacre_mux_wait(x, SHARE_MS, &result) : rc;
    nacre_mux_free(x);
    assert_int_equal(pthread_join(t, NULL), 0);
    (void)close(l.listener);
    assert_int_equal(unlink(path), 0);
    return rc;
}

#define ALIVE       "\0\0\0\x0c\x80\0\0\5\0\0\0\0\0\0\0\0"
#define OPENED      "\0\0\0\x0c\x80\0\0\6\0\0\0\1\0\0\0\x09"
#define EXITED      "\0\0\0\x0c\x80\0\0\4\0\0\0\x09\0\0\0\0"
#define MEET(bytes) meet(s.dir, bytes, sizeof(bytes) - 1)

static void masters_that_lie(void **state)
{
    stage s;
    (void)state;
    stage_init(&s);
    /* one that does not */
    assert_int_equal(MEET(HELLO ALIVE OPENED EXITED), NACRE_OK);
    assert_int_equal(MEET(HELLO ALIVE OPENED), NACRE_OK);
    assert_int_equal(MEET(""), NACRE_END);
    assert_int_equal(MEET("\0\0\0\x08\0\0"), NACRE_END);
    assert_int_equal(MEET("\x7f\0\0\0"), NACRE_OVERSIZED);
    assert_int_equal(MEET("SSH-2.0-OpenSSH_9.2\r\n"), NACRE_OVERSIZED);
    assert_int_equal(MEET("\0\0\0\0"), NACRE_MALFORMED);
    assert_int_equal(MEET("\0\0\0\x08\0\0\0\x01\0\0\0\x05"), NACRE_VERSION);
    assert_int_equal(MEET("\0\0\0\x08\0\0\0\x02\0\0\0\x04"), NACRE_PROTOCOL);
    assert_int_equal(MEET(ALIVE), NACRE_PROTOCOL);
    assert_int_equal(MEET(HELLO HELLO), NACRE_PROTOCOL);
    /* another request's answer, another answer, a client's message, an end before there is a session */
    assert_int_equal(MEET(HELLO "\0\0\0\x0c\x80\0\0\5\0\0\0\7\0\0\0\0"), NACRE_PROTOCOL);
    assert_int_equal(MEET(HELLO "\0\0\0\x08\x80\0\0\1\0\0\0\0"), NACRE_PROTOCOL);
    assert_int_equal(MEET(HELLO "\0\0\0\x08\x10\0\0\4\0\0\0\0"), NACRE_PROTOCOL);
    assert_int_equal(MEET(HELLO ALIVE EXITED), NACRE_PROTOCOL);
    assert_int_equal(MEET(HELLO ALIVE "\0\0\0\x0f\x80\0\0\3\0\0\0\1\0\0\0\3no!"),
                     NACRE_REQUEST_REFUSED);
    assert_int_equal(MEET(HELLO ALIVE "\0\0\0\x0f\x80\0\0\2\0\0\0\1\0\0\0\x7fno!"),
                     NACRE_MALFORMED);
    /* another session's end, the end twice, an end that is cut off, and what has no place there */
    assert_int_equal(MEET(HELLO ALIVE OPENED "\0\0\0\x0c\x80\0\0\4\0\0\0\x08\0\0\0\0"),
                     NACRE_PROTOCOL);
    assert_int_equal(MEET(HELLO ALIVE OPENED EXITED EXITED), NACRE_PROTOCOL);
    assert_int_equal(MEET(HELLO ALIVE OPENED "\0\0\0\x0c\x80\0\0\4\0\0\0"), NACRE_END);
    assert_int_equal(MEET(HELLO ALIVE OPENED ALIVE), NACRE_PROTOCOL);
    assert_int_equal(MEET(HELLO ALIVE OPENED "\0\0\0\x08\x80\0\0\x08\0\0\0\x01"), NACRE_PROTOCOL);
    stage_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_that_lie),
        cmocka_unit_test(masters_that_lie),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
