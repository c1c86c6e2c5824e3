/*
 * A shared connection: clients and a master of ours, clients that lie to it, masters that lie to them. The server is
 * one engine in the master's loop; who blocks does it in a thread of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "channel/control.h"
#include "client_server.h"
#include "io/control_socket.h"
#include "io/pass_fd.h"
#include "nacre/mux.h"
#include "support/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONG_MS = 20000 };

typedef struct share {
    stage s;
    test_memory memory; /* of the client that is the master, and of nobody else */
    nacre_mux_master *m;
    char path[160];
    bool deny;
    unsigned asked, terminated, stopped, idle;
    char question[256];

    /* the thread */
    void (*work)(struct share *sh);
    atomic_bool done;
    pthread_t thread;
    int rc;
} share;

/* ---- the master's application ---- */

static bool on_ask(void *user, const char *question)
{
    share *sh = user;
    sh->asked++;
    (void)snprintf(sh->question, sizeof(sh->question), "%s", question);
    return !sh->deny;
}

static bool on_env(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "LANG") == 0;
}

static void on_terminate(void *user)
{
    share *sh = user;
    sh->terminated++;
}

static void on_stopped(void *user)
{
    share *sh = user;
    sh->stopped++;
}

static void on_idle(void *user)
{
    share *sh = user;
    sh->idle++;
}

static void set_up(share *sh, bool ask, uint32_t idle_ms)
{
    nacre_mux_master_options o;
    nacre_error why;
    memset(sh, 0, sizeof(*sh));
    stage_init(&sh->s);
    test_memory_init(&sh->memory);
    sh->s.cfg.transport.allocator = &sh->memory.hooks;
    stage_login(&sh->s);
    (void)snprintf(sh->path, sizeof(sh->path), "%s/control", sh->s.dir);
    nacre_mux_master_options_init(&o);
    o.ask = ask ? on_ask : NULL;
    o.permit_env = on_env;
    o.terminate = on_terminate;
    o.stopped = on_stopped;
    o.idle = on_idle;
    o.idle_ms = idle_ms;
    o.user = sh;
    assert_int_equal(nacre_mux_master_new(&sh->m, sh->s.c, sh->path, &o, &why), NACRE_OK);
}

static void tear_down(share *sh)
{
    struct stat st;
    nacre_mux_master_free(sh->m);
    assert_int_equal(stat(sh->path, &st), -1);
    stage_close(&sh->s);
    stage_clear(&sh->s);
    assert_int_equal(sh->memory.live, 0);
}

static void *run_work(void *arg)
{
    share *sh = arg;
    sh->work(sh);
    atomic_store(&sh->done, true);
    nacre_loop_wake(sh->s.loop);
    return NULL;
}

static void beside(share *sh, void (*work)(share *sh))
{
    sh->work = work;
    atomic_store(&sh->done, false);
    assert_int_equal(pthread_create(&sh->thread, NULL, run_work, sh), 0);
    for (int i = 0; i < 4000 && !atomic_load(&sh->done); i++) {
        assert_int_equal(nacre_loop_run_once(sh->s.loop, 10), NACRE_OK);
    }
    assert_true(atomic_load(&sh->done));
    assert_int_equal(pthread_join(sh->thread, NULL), 0);
}

static void turn_until_alone(share *sh)
{
    for (int i = 0; i < 2000 && nacre_mux_master_clients(sh->m) > 0; i++) {
        assert_int_equal(nacre_loop_run_once(sh->s.loop, 10), NACRE_OK);
    }
    assert_int_equal(nacre_mux_master_clients(sh->m), 0);
}

static nacre_mux *join(share *sh)
{
    nacre_mux *x = NULL;
    nacre_error why;
    sh->rc = nacre_mux_connect(&x, sh->path, LONG_MS, NULL, &why);
    return x;
}

/* ---- what is asked for ---- */

static void ask_all(share *sh)
{
    uint32_t pid = 0;
    char *text = NULL;
    size_t n = 0;
    nacre_mux *x = join(sh);
    int rc = x ? nacre_mux_alive(x, &pid) : sh->rc;
    rc = rc == NACRE_OK && pid != (uint32_t)getpid() ? NACRE_MISMATCH : rc;
    rc = rc == NACRE_OK ? nacre_mux_info(x, "connection", &text, &n) : rc;
    rc = rc == NACRE_OK && !strstr(text, "user \"") ? NACRE_MISMATCH : rc;
    nacre_secret_free(NULL, text, text ? n + 1 : 0);
    text = NULL;
    rc = rc == NACRE_OK ? nacre_mux_info(x, "channels", &text, &n) : rc;
    nacre_secret_free(NULL, text, text ? n + 1 : 0);
    text = NULL;
    if (rc == NACRE_OK && nacre_mux_info(x, "weather", &text, &n) != NACRE_REQUEST_REFUSED) {
        rc = NACRE_MISMATCH;
    }
    rc = rc == NACRE_OK ? nacre_mux_terminate(x) : rc;
    rc = rc == NACRE_OK ? nacre_mux_stop(x) : rc;
    rc = rc == NACRE_OK ? nacre_mux_alive(x, &pid) : rc; /* who is in stays in */
    nacre_mux_free(x);
    sh->rc = rc;
}

static void requests_are_served(void **state)
{
    share sh;
    struct stat st;
    nacre_mux *x = NULL;
    (void)state;
    set_up(&sh, false, 0);
    assert_int_equal(stat(sh.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    beside(&sh, ask_all);
    assert_int_equal(sh.rc, NACRE_OK);
    assert_int_equal(sh.terminated, 1);
    assert_int_equal(sh.stopped, 1);
    assert_int_equal(stat(sh.path, &st), -1);
    assert_int_equal(nacre_mux_connect(&x, sh.path, 100, NULL, NULL), NACRE_NOT_FOUND);
    turn_until_alone(&sh);
    tear_down(&sh);
}

static void ask_denied(share *sh)
{
    int fds[3] = {0, 1, 2};
    const nacre_forward_end where = {.host = "h", .port = 1};
    nacre_mux_session o;
    nacre_mux *x = join(sh);
    nacre_mux_session_init(&o);
    o.command = "echo";
    int fd = -1;
    bool all = nacre_mux_terminate(x) == NACRE_REQUEST_REFUSED &&
               nacre_mux_stop(x) == NACRE_REQUEST_REFUSED &&
               nacre_mux_open_session(x, &o) == NACRE_REQUEST_REFUSED &&
               nacre_mux_open_stdio(x, &where, fds) == NACRE_REQUEST_REFUSED &&
               nacre_mux_proxy(x, &fd) == NACRE_REQUEST_REFUSED;
    sh->rc =
        all && strstr(nacre_mux_error(x)->text, "Permission denied") ? NACRE_OK : NACRE_MISMATCH;
    nacre_mux_free(x);
}

static void people_may_refuse(void **state)
{
    share sh;
    (void)state;
    set_up(&sh, true, 0);
    sh.deny = true;
    beside(&sh, ask_denied);
    assert_int_equal(sh.rc, NACRE_OK);
    assert_int_equal(sh.asked, 5);
    assert_int_equal(sh.terminated + sh.stopped, 0);
    assert_int_equal(sh.s.opens, 0);
    turn_until_alone(&sh);
    tear_down(&sh);
}

/* ---- sessions ---- */

static int read_text(int fd, char *out, size_t size)
{
    size_t n = 0;
    ssize_t got;
    while (n + 1 < size && (got = read(fd, out + n, size - 1 - n)) > 0) {
        n += (size_t)got;
    }
    out[n] = '\0';
    return (int)n;
}

static void one_session(share *sh)
{
    static const char *const env[] = {"LANG=C", "SECRET=1"};
    int in[2], out[2];
    char text[256];
    nacre_mux_result result;
    nacre_mux_session o;
    nacre_mux *x = join(sh);
    if (!x || pipe(in) != 0 || pipe(out) != 0) {
        return;
    }
    nacre_mux_session_init(&o);
    o.command = "cat";
    o.fds[0] = in[0];
    o.fds[1] = out[1];
    o.env = env;
    o.env_count = 2;
    sh->rc = nacre_mux_open_session(x, &o);
    (void)close(in[0]);
    (void)close(out[1]);
    if (sh->rc == NACRE_OK) {
        bool good = write(in[1], "through\n", 8) == 8;
        (void)close(in[1]);
        in[1] = -1;
        good = read_text(out[0], text, sizeof(text)) == 8 && strcmp(text, "through\n") == 0 && good;
        sh->rc = nacre_mux_wait(x, LONG_MS, &result);
        if (sh->rc == NACRE_OK && (!good || !result.exited || result.status != 7)) {
            sh->rc = NACRE_MISMATCH;
        }
    }
    if (in[1] >= 0) {
        (void)close(in[1]);
    }
    (void)close(out[0]);
    nacre_mux_free(x);
}

static bool note_env(stage *s, const nacre_event *ev)
{
    if (ev->type == NACRE_EVENT_CHANNEL_REQUEST && nc_span_is(ev->u.request.name, "env")) {
        char *seen = s->hook_user;
        size_t at = strlen(seen);
        (void)snprintf(seen + at, 256 - at, "%.*s ", (int)ev->u.request.command.n,
                       (const char *)ev->u.request.command.p);
    }
    return false;
}

static void a_session_runs(void **state)
{
    share sh;
    char seen[256] = "";
    (void)state;
    set_up(&sh, true, 0);
    sh.s.hook = note_env;
    sh.s.hook_user = seen;
    for (int i = 0; i < 3; i++) {
        beside(&sh, one_session);
        assert_int_equal(sh.rc, NACRE_OK);
    }
    assert_int_equal(sh.asked, 3);
    assert_non_null(strstr(sh.question, "Allow shared connection"));
    assert_string_equal(seen, "LANG LANG LANG ");
    turn_until_alone(&sh);
    tear_down(&sh);
}

static void refused_session(share *sh)
{
    nacre_mux_session o;
    uint32_t pid;
    nacre_mux *x = join(sh);
    nacre_mux_session_init(&o);
    o.command = "cat";
    sh->rc = nacre_mux_open_session(x, &o) == NACRE_REQUEST_REFUSED &&
                     nacre_mux_alive(x, &pid) == NACRE_OK
                 ? NACRE_OK
                 : NACRE_MISMATCH;
    nacre_mux_free(x);
}

static void the_server_may_refuse(void **state)
{
    share sh;
    (void)state;
    set_up(&sh, false, 0);
    sh.s.refuse_channels = true;
    beside(&sh, refused_session);
    assert_int_equal(sh.rc, NACRE_OK);
    turn_until_alone(&sh);
    tear_down(&sh);
}

/* A client that goes while its session runs, or before it does, takes the session with it. */
static void open_and_leave(share *sh)
{
    int in[2];
    nacre_mux_session o;
    nacre_mux *x = join(sh);
    if (pipe(in) != 0) {
        return;
    }
    nacre_mux_session_init(&o);
    o.command = "cat";
    o.fds[0] = in[0];
    sh->rc = nacre_mux_open_session(x, &o);
    nacre_mux_free(x);
    (void)close(in[0]);
    (void)close(in[1]);
}

static void leaving_ends_a_session(void **state)
{
    share sh;
    nacre_counters n;
    (void)state;
    set_up(&sh, false, 0);
    beside(&sh, open_and_leave);
    assert_int_equal(sh.rc, NACRE_OK);
    turn_until_alone(&sh);
    nacre_transport_counters(nacre_client_transport(sh.s.c), &n);
    for (int i = 0; i < 1000 && n.channels > 0; i++) {
        assert_int_equal(nacre_loop_run_once(sh.s.loop, 10), NACRE_OK);
        nacre_transport_counters(nacre_client_transport(sh.s.c), &n);
    }
    assert_int_equal(n.channels, 0);
    tear_down(&sh);
}

static void wait_cut_off(share *sh)
{
    int in[2];
    nacre_mux_session o;
    nacre_mux_result result;
    nacre_mux *x = join(sh);
    if (pipe(in) != 0) {
        return;
    }
    nacre_mux_session_init(&o);
    o.command = "drop"; /* the server disconnects */
    o.fds[0] = in[0];
    sh->rc = nacre_mux_open_session(x, &o);
    if (sh->rc == NACRE_OK) {
        sh->rc = nacre_mux_wait(x, LONG_MS, &result);
        sh->rc = sh->rc == NACRE_OK && result.exited ? NACRE_MISMATCH : sh->rc;
    }
    nacre_mux_free(x);
    (void)close(in[0]);
    (void)close(in[1]);
}

static void a_lost_connection_ends_sessions(void **state)
{
    share sh;
    (void)state;
    set_up(&sh, false, 0);
    beside(&sh, wait_cut_off);
    assert_int_equal(sh.rc, NACRE_OK);
    turn_until_alone(&sh);
    tear_down(&sh);
}

/* ---- the connection protocol itself ---- */

static void proxied(share *sh)
{
    nacre_client_config cfg;
    nacre_client *c = NULL;
    nacre_exec_result r = {0};
    nacre_error why;
    int fd = -1;
    nacre_mux *x = join(sh);
    if (!x) {
        return;
    }
    nacre_client_config_init(&cfg);
    sh->rc = nacre_mux_proxy(x, &fd);
    nacre_mux_free(x);
    if (sh->rc != NACRE_OK || nacre_client_new(&c, &cfg, &why) != NACRE_OK) {
        return;
    }
    sh->rc = nacre_client_connect_proxied(c, fd, "there", 22);
    for (int i = 0; i < 3 && sh->rc == NACRE_OK; i++) {
        sh->rc = nacre_client_exec(c, "cat", text_span("some words"), LONG_MS, &r);
        if (sh->rc == NACRE_OK && (r.out_len != 10 || !r.exit.exited || r.exit.status != 7)) {
            sh->rc = NACRE_MISMATCH;
        }
        nacre_exec_result_free(&r);
    }
    if (sh->rc == NACRE_OK &&
        nacre_client_exec(c, "refuse", text_span(""), LONG_MS, &r) != NACRE_REQUEST_REFUSED) {
        sh->rc = NACRE_MISMATCH;
    }
    nacre_exec_result_free(&r);
    /* there is no transport here to rekey, or to speak to */
    if (sh->rc == NACRE_OK &&
        (nacre_transport_rekey(nacre_client_transport(c)) != NACRE_WRONG_STATE ||
         nacre_transport_send_ignore(nacre_client_transport(c), text_span("x")) !=
             NACRE_WRONG_STATE ||
         nacre_client_auth_none(c) != NACRE_WRONG_STATE)) {
        sh->rc = NACRE_MISMATCH;
    }
    nacre_client_disconnect(c);
    nacre_client_free(c);
}

static void a_proxied_client_speaks_itself(void **state)
{
    share sh;
    (void)state;
    set_up(&sh, false, 0);
    beside(&sh, proxied);
    assert_int_equal(sh.rc, NACRE_OK);
    turn_until_alone(&sh);
    assert_int_equal(sh.s.opens, 4);
    /* its goodbye was not the server's */
    assert_false(sh.s.gone);
    beside(&sh, one_session);
    assert_int_equal(sh.rc, NACRE_OK);
    turn_until_alone(&sh);
    tear_down(&sh);
}

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
    set_up(&sh, false, 0);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        size_t n = tell(sh.path, &lies[i], &hung_up, &sh);
        bool good = lies[i].answered ? n > 20 : hung_up;
        if (!good) {
            fail_msg("%s: %zu bytes came, %s", lies[i].what, n, hung_up ? "hung up" : "it stays");
        }
        turn_until_alone(&sh);
        assert_int_equal(sh.s.opens, 0);
    }
    beside(&sh, one_session);
    assert_int_equal(sh.rc, NACRE_OK);
    turn_until_alone(&sh);
    tear_down(&sh);
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
    int fd = poll(&p, 1, LONG_MS) == 1 ? accept(l->listener, NULL, NULL) : -1;
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
    int rc = nacre_mux_connect(&x, path, LONG_MS, NULL, NULL);
    rc = rc == NACRE_OK ? nacre_mux_open_session(x, &o) : rc;
    rc = rc == NACRE_OK ? nacre_mux_wait(x, LONG_MS, &result) : rc;
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

/* ---- the socket ---- */

static void sockets_and_names(void **state)
{
    share sh;
    nacre_mux_master *other = NULL;
    nacre_mux *x = NULL;
    nacre_error why;
    char path[300];
    int fd = -1;
    (void)state;
    set_up(&sh, false, 0);
    /* one master a connection, and one socket a name */
    assert_int_equal(nacre_mux_master_new(&other, sh.s.c, sh.path, NULL, &why), NACRE_WRONG_STATE);
    memset(&why, 0, sizeof(why));
    assert_int_equal(nc_control_listen(sh.path, &fd, &why), NACRE_EXISTS);
    assert_non_null(strstr(why.text, "already exists"));
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(nacre_mux_connect(&x, path, 10, NULL, NULL), NACRE_TOO_LARGE);
    assert_int_equal(nacre_mux_connect(&x, "", 10, NULL, NULL), NACRE_TOO_LARGE);
    /* one that nobody serves any more */
    (void)snprintf(path, sizeof(path), "%s/stale", sh.s.dir);
    assert_int_equal(nc_control_listen(path, &fd, NULL), NACRE_OK);
    (void)close(fd);
    assert_int_equal(nacre_mux_connect(&x, path, 10, NULL, NULL), NACRE_CLOSED);
    assert_int_equal(unlink(path), 0);
    /* one that does not answer */
    assert_int_equal(nc_control_listen(path, &fd, NULL), NACRE_OK);
    assert_int_equal(nacre_mux_connect(&x, path, 50, NULL, NULL), NACRE_TIMEOUT);
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
    tear_down(&sh);
}

static void idleness_is_told(void **state)
{
    share sh;
    (void)state;
    set_up(&sh, false, 30);
    beside(&sh, one_session);
    assert_int_equal(sh.rc, NACRE_OK);
    for (int i = 0; i < 1000 && sh.idle == 0; i++) {
        assert_int_equal(nacre_loop_run_once(sh.s.loop, 10), NACRE_OK);
    }
    assert_true(sh.idle > 0);
    tear_down(&sh);
}

/* ---- memory ---- */

/*
 * Each allocation of the master fails in turn. Something that is asked for may be refused, a client hung up on, the
 * connection lost; who waits is never left waiting, and nothing is left behind.
 */
static void without_memory(void (*work)(share *sh))
{
    bool failed = true;
    size_t n = 0;
    while (failed && n < 1000) {
        share sh;
        set_up(&sh, false, 0);
        test_memory_fail(&sh.memory, ++n);
        beside(&sh, work);
        failed = sh.memory.failed;
        sh.memory.fail_at = 0;
        assert_true(failed || sh.rc == NACRE_OK);
        turn_until_alone(&sh);
        tear_down(&sh);
    }
    assert_true(n > 10 && !failed);
}

static void memory_fails_in_sessions(void **state)
{
    (void)state;
    without_memory(one_session);
}

static void memory_fails_in_requests(void **state)
{
    (void)state;
    without_memory(ask_all);
}

static void memory_fails_in_proxies(void **state)
{
    (void)state;
    without_memory(proxied);
}

static void ask_forwarding(share *sh)
{
    nacre_forward_options o;
    nacre_mux *x = join(sh);
    uint16_t port = 0;
    if (!x) {
        return;
    }
    nacre_forward_options_init(&o);
    o.connect = (nacre_forward_end){.host = "there", .port = 80};
    sh->rc = nacre_mux_forward(x, &o, &port);
    sh->rc = sh->rc == NACRE_OK ? nacre_mux_forward(x, &o, &port) : sh->rc;
    sh->rc = sh->rc == NACRE_OK ? nacre_mux_cancel_forward(x, &o) : sh->rc;
    if (sh->rc == NACRE_OK && nacre_mux_cancel_forward(x, &o) != NACRE_REQUEST_REFUSED) {
        sh->rc = NACRE_MISMATCH;
    }
    o.kind = NACRE_FORWARD_REMOTE; /* the server listens for nobody */
    if (sh->rc == NACRE_OK && nacre_mux_forward(x, &o, &port) != NACRE_REQUEST_REFUSED) {
        sh->rc = NACRE_MISMATCH;
    }
    nacre_mux_free(x);
}

static void forwardings_are_asked_for(void **state)
{
    share sh;
    (void)state;
    set_up(&sh, true, 0);
    beside(&sh, ask_forwarding);
    assert_int_equal(sh.rc, NACRE_OK);
    assert_int_equal(sh.asked, 2);
    assert_non_null(strstr(sh.question, "Open remote forward"));
    turn_until_alone(&sh);
    assert_null(nacre_client_next_forward(sh.s.c, NULL));
    tear_down(&sh);
    without_memory(ask_forwarding);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_served),
        cmocka_unit_test(people_may_refuse),
        cmocka_unit_test(a_session_runs),
        cmocka_unit_test(the_server_may_refuse),
        cmocka_unit_test(leaving_ends_a_session),
        cmocka_unit_test(a_lost_connection_ends_sessions),
        cmocka_unit_test(a_proxied_client_speaks_itself),
        cmocka_unit_test(clients_that_lie),
        cmocka_unit_test(masters_that_lie),
        cmocka_unit_test(sockets_and_names),
        cmocka_unit_test(idleness_is_told),
        cmocka_unit_test(forwardings_are_asked_for),
        cmocka_unit_test(memory_fails_in_requests),
        cmocka_unit_test(memory_fails_in_sessions),
        cmocka_unit_test(memory_fails_in_proxies),
    };
    /* These tests write into pipes whose reader may have been refused. */
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
