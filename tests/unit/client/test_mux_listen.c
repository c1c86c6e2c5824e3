/*
 * A shared connection, from its master's side: what two clients do to each other, and the listening of a proxied
 * client. The server is one engine in the master's loop; who blocks does it in a thread of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "channel/control.h"
#include "channel/forward.h"
#include "io/control_socket.h"
#include "io/pass_fd.h"
#include "mux_share.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 4242 };

/* ---- the server ---- */

/* A connection is made to where it listens. */
static void connect_to(stage *s)
{
    nacre_channel *ch = NULL;
    nc_buf b;
    nc_buf_init(&b, NULL, NC_FWD_DATA_MAX);
    assert_int_equal(nc_fwd_write_tcp(&b, "localhost", PORT, "10.0.0.9", 99), NACRE_OK);
    assert_int_equal(nacre_channel_open(s->t, "forwarded-tcpip", nc_buf_span(&b), 0, 0, &ch),
                     NACRE_OK);
    nc_buf_clear(&b);
}

static void listen_for(share *sh, const nacre_event *ev)
{
    static const uint8_t port[4] = {0, 0, PORT >> 8, PORT & 0xff};
    const nacre_answer yes = {.accept = true, .data = {port, sizeof(port)}};
    sh->listens++;
    if (sh->keep) {
        sh->kept = ev->ticket;
    } else if (sh->forbid) {
        assert_int_equal(nacre_transport_refuse(sh->s.t, ev->ticket), NACRE_OK);
    } else {
        assert_int_equal(nacre_transport_answer(sh->s.t, ev->ticket, &yes), NACRE_OK);
        connect_to(&sh->s);
    }
}

static bool on_server(stage *s, const nacre_event *ev)
{
    share *sh = s->hook_user;
    size_t took = 0;
    switch (ev->type) {
    case NACRE_EVENT_GLOBAL_REQUEST:
        if (nc_span_is(ev->u.global.name, "tcpip-forward")) {
            listen_for(sh, ev);
            return true;
        }
        sh->cancels += nc_span_is(ev->u.global.name, "cancel-tcpip-forward");
        return false;
    case NACRE_EVENT_CHANNEL_FAILED:
        sh->refused++;
        nacre_channel_free(ev->channel);
        return true;
    case NACRE_EVENT_CHANNEL_REQUEST: /* its program speaks before it is said that it runs */
        if (nc_span_is(ev->u.request.command, "early")) {
            assert_int_equal(nacre_channel_write(ev->channel, NACRE_STDOUT, "early ", 6, &took),
                             NACRE_OK);
        }
        return false;
    case NACRE_EVENT_CHANNEL_EOF:
        if (strcmp(nacre_channel_type(ev->channel), "forwarded-tcpip") == 0) {
            assert_int_equal(nacre_channel_close(ev->channel), NACRE_OK);
            return true;
        }
        return false;
    default:
        return false;
    }
}

static void let_listen(share *sh)
{
    sh->s.hook = on_server;
    sh->s.hook_user = sh;
}

static void set_up(share *sh)
{
    share_up(sh, false, 0);
    let_listen(sh);
}

static void tear_down(share *sh)
{
    share_alone(sh);
    share_down(sh);
}

/* ---- a client by hand ---- */

static int put(int fd, const nc_ctl_msg *m, const int *fds, size_t count)
{
    nc_buf b;
    nc_buf_init(&b, NULL, NC_CTL_MAX_PACKET);
    int rc = nc_ctl_write(&b, m);
    rc = rc == NACRE_OK && send(fd, b.data, b.len, MSG_NOSIGNAL) == (ssize_t)b.len ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = nc_pass_fd(fd, fds[i]);
    }
    nc_buf_clear(&b);
    return rc;
}

static bool get(int fd, void *out, size_t n)
{
    size_t at = 0;
    while (at < n) {
        struct pollfd p = {fd, POLLIN, 0};
        ssize_t got = poll(&p, 1, SHARE_MS) == 1 ? read(fd, (uint8_t *)out + at, n - at) : 0;
        if (got <= 0) {
            return false;
        }
        at += (size_t)got;
    }
    return true;
}

/* The type of the master's next message; 0: it has hung up. */
static uint32_t hear(int fd)
{
    uint8_t in[1024];
    nc_ctl_msg m;
    uint32_t n = get(fd, in, 4) ? nc_get_u32(in) : 0;
    return n > 0 && n <= sizeof(in) && get(fd, in, n) &&
                   nc_ctl_read(nc_span(in, n), true, &m, NULL) == NACRE_OK
               ? m.type
               : 0;
}

static int greet(const share *sh)
{
    int fd = -1;
    const nc_ctl_msg hello = {.type = NC_CTL_HELLO, .u.hello.version = NC_CTL_VERSION};
    if (nc_control_connect(sh->path, SHARE_MS, &fd, NULL) == NACRE_OK &&
        (put(fd, &hello, NULL, 0) != 0 || hear(fd) != NC_CTL_HELLO)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* ---- two sessions on one line ---- */

static int ask_again(int fd, const nc_ctl_msg *m, const int *fds)
{
    const nc_ctl_msg alive = {.type = NC_CTL_C_ALIVE, .id = 9};
    if (put(fd, m, fds, 3) != 0 || hear(fd) != NC_CTL_S_FAILURE) {
        return NACRE_MISMATCH;
    }
    return put(fd, &alive, NULL, 0) == 0 && hear(fd) == NC_CTL_S_ALIVE ? NACRE_OK : NACRE_PROTOCOL;
}

static void ask_twice(share *sh)
{
    nc_ctl_msg m = {.type = NC_CTL_C_NEW_SESSION, .id = 1};
    int in[2], out[2], fd = greet(sh);
    char back[16] = "";
    m.u.session.escape = NC_CTL_NO_ESCAPE;
    m.u.session.command = text_span("cat");
    if (fd < 0 || pipe(in) != 0 || pipe(out) != 0) {
        return;
    }
    const int fds[3] = {in[0], out[1], 2};
    bool good = put(fd, &m, fds, 3) == 0 && hear(fd) == NC_CTL_S_SESSION;
    good = good && write(in[1], "before", 6) == 6 && get(out[0], back, 6);
    sh->rc = good ? ask_again(fd, &m, fds) : NACRE_PROTOCOL;
    (void)close(in[0]);
    (void)close(out[1]);
    /* what runs goes on, with its own descriptors */
    good = sh->rc == NACRE_OK && write(in[1], "behind", 6) == 6;
    (void)close(in[1]);
    good = good && get(out[0], back, 6) && memcmp(back, "behind", 6) == 0;
    good = good && !get(out[0], back, 1) && hear(fd) == NC_CTL_S_EXIT && hear(fd) == 0;
    sh->rc = sh->rc == NACRE_OK && !good ? NACRE_END : sh->rc;
    (void)close(out[0]);
    (void)close(fd);
}

static void a_second_session_leaves_the_first_alone(void **state)
{
    share sh;
    (void)state;
    set_up(&sh);
    share_beside(&sh, ask_twice);
    assert_int_equal(sh.rc, NACRE_OK);
    assert_int_equal(sh.s.opens, 1);
    tear_down(&sh);
}

static void run_early(share *sh)
{
    nacre_mux_session o;
    nacre_mux_result r;
    int in[2], out[2];
    char text[16] = "";
    nacre_mux *x = share_join(sh);
    if (!x || pipe(in) != 0 || pipe(out) != 0) {
        return;
    }
    nacre_mux_session_init(&o);
    o.command = "early";
    o.fds[0] = in[0];
    o.fds[1] = out[1];
    sh->rc = nacre_mux_open_session(x, &o);
    (void)close(in[0]);
    (void)close(out[1]);
    bool good = sh->rc == NACRE_OK && write(in[1], "late", 4) == 4;
    (void)close(in[1]);
    good = good && get(out[0], text, 10) && memcmp(text, "early late", 10) == 0;
    good = good && nacre_mux_wait(x, SHARE_MS, &r) == NACRE_OK && r.exited && r.status == 7;
    sh->rc = good ? NACRE_OK : NACRE_MISMATCH;
    (void)close(out[0]);
    nacre_mux_free(x);
}

static void what_comes_before_the_answer_is_not_lost(void **state)
{
    share sh;
    (void)state;
    set_up(&sh);
    share_beside(&sh, run_early);
    assert_int_equal(sh.rc, NACRE_OK);
    tear_down(&sh);
}

/* ---- a forwarding that is cancelled before it is there ---- */

static void ask_and_cancel(share *sh)
{
    nc_ctl_msg m = {.type = NC_CTL_C_OPEN_FORWARD, .id = 1};
    int fd = greet(sh);
    m.u.forward.kind = NC_CTL_REMOTE;
    m.u.forward.listen_port = 700;
    m.u.forward.connect_host = text_span("there");
    m.u.forward.connect_port = 80;
    int other = greet(sh);
    if (fd < 0 || other < 0 || put(fd, &m, NULL, 0) != 0) {
        return;
    }
    m.type = NC_CTL_C_CLOSE_FORWARD;
    uint32_t said = NC_CTL_S_FAILURE;
    for (int i = 0; i < 1000 && said == NC_CTL_S_FAILURE;
         i++) { /* until the first has come that far */
        said = put(other, &m, NULL, 0) == 0 ? hear(other) : 0;
    }
    sh->rc = said != NC_CTL_S_OK            ? NACRE_PROTOCOL
             : hear(fd) == NC_CTL_S_FAILURE ? NACRE_OK
                                            : NACRE_MISMATCH;
    (void)close(fd);
    (void)close(other);
}

static void who_waits_for_a_forwarding_hears_of_its_end(void **state)
{
    share sh;
    (void)state;
    set_up(&sh);
    sh.keep = true;
    share_beside(&sh, ask_and_cancel);
    assert_int_equal(sh.rc, NACRE_OK);
    share_alone(&sh);
    /* the server's answer finds nobody */
    assert_int_equal(nacre_transport_accept(sh.s.t, sh.kept), NACRE_OK);
    nacre_driver_kick(sh.s.d);
    for (int i = 0; i < 500 && sh.cancels == 0; i++) {
        assert_int_equal(nacre_loop_run_once(sh.s.loop, 10), NACRE_OK);
    }
    assert_int_equal(sh.cancels, 1);
    assert_null(nacre_client_next_forward(sh.s.c, NULL));
    tear_down(&sh);
}

/* ---- a proxied client that has the server listen ---- */

static int proxied(share *sh, nacre_client **c)
{
    nacre_client_config cfg;
    int fd = -1;
    nacre_mux *x = share_join(sh);
    int rc = x ? nacre_mux_proxy(x, &fd) : NACRE_CONNECT;
    nacre_mux_free(x);
    nacre_client_config_init(&cfg);
    rc = rc == NACRE_OK ? nacre_client_new(c, &cfg, NULL) : rc;
    return rc == NACRE_OK ? nacre_client_connect_proxied(*c, fd, "there", 22) : rc;
}

static int echoed(nacre_client *c, nacre_channel *ch)
{
    char text[16] = "";
    size_t got = 0;
    int rc = nacre_client_write(c, ch, NACRE_STDOUT, "to and fro", 10, SHARE_MS, &got);
    for (size_t n = 0; rc == NACRE_OK && n < 10; n += got) {
        rc = nacre_client_read(c, ch, NACRE_STDOUT, text + n, 10 - n, SHARE_MS, &got);
    }
    rc = rc == NACRE_OK ? nacre_channel_eof(ch) : rc;
    rc = rc == NACRE_OK ? nacre_client_wait_closed(c, ch, SHARE_MS, NULL) : rc;
    return rc == NACRE_OK && memcmp(text, "to and fro", 10) != 0 ? NACRE_MISMATCH : rc;
}

static void listen_and_take(share *sh)
{
    nacre_client *c = NULL;
    nacre_forward *f = NULL;
    nacre_channel *ch = NULL;
    nacre_endpoint origin;
    const nacre_forward_end where = {.port = 0};
    sh->rc = proxied(sh, &c);
    sh->rc = sh->rc == NACRE_OK ? nacre_client_listen(c, &where, 4, SHARE_MS, &f) : sh->rc;
    if (sh->rc == NACRE_OK && nacre_forward_port(f) != PORT) {
        sh->rc = NACRE_MISMATCH;
    }
    bool listens = sh->rc == NACRE_OK;
    sh->rc = listens ? nacre_client_accept(c, f, sh->patience_ms, &ch, &origin) : sh->rc;
    sh->rc = listens && sh->rc == NACRE_TIMEOUT ? NACRE_AGAIN : sh->rc;
    if (sh->rc == NACRE_OK && (strcmp(origin.address, "10.0.0.9") != 0 || origin.port != 99)) {
        sh->rc = NACRE_MISMATCH;
    }
    sh->rc = sh->rc == NACRE_OK ? echoed(c, ch) : sh->rc;
    nacre_client_channel_free(c, ch);
    nacre_client_disconnect(c);
    nacre_client_free(c);
}

static void until_cancelled(share *sh, unsigned times)
{
    for (int i = 0; i < 500 && sh->cancels < times; i++) {
        assert_int_equal(nacre_loop_run_once(sh->s.loop, 10), NACRE_OK);
    }
    assert_int_equal(sh->cancels, times);
    assert_null(nacre_client_next_forward(sh->s.c, NULL));
}

static void a_proxied_client_may_have_the_server_listen(void **state)
{
    share sh;
    (void)state;
    set_up(&sh);
    share_beside(&sh, listen_and_take);
    assert_int_equal(sh.rc, NACRE_OK);
    share_alone(&sh);
    until_cancelled(&sh, 1); /* with who asked for it, it ends */
    /* nobody is there for one that comes now */
    connect_to(&sh.s);
    nacre_driver_kick(sh.s.d);
    for (int i = 0; i < 500 && sh.refused == 0; i++) {
        assert_int_equal(nacre_loop_run_once(sh.s.loop, 10), NACRE_OK);
    }
    assert_int_equal(sh.refused, 1);
    tear_down(&sh);
}

static void listen_in_vain(share *sh)
{
    nacre_client *c = NULL;
    nacre_forward *f = NULL;
    const nacre_forward_end where = {.port = 0};
    sh->rc = proxied(sh, &c);
    sh->rc = sh->rc == NACRE_OK ? nacre_client_listen(c, &where, 4, SHARE_MS, &f) : sh->rc;
    nacre_client_disconnect(c);
    nacre_client_free(c);
}

/* It goes while the server has not answered, with a connection waiting, and when the server would not. */
static void leave_early(share *sh)
{
    const uint8_t ask[] = "\0\0\0\x25\0\x50\0\0\0\x0dtcpip-forward\1\0\0\0\x09localhost\0\0\0\0";
    const nc_ctl_msg m = {.type = NC_CTL_C_PROXY, .id = 1};
    int fd = greet(sh);
    uint8_t in[512];
    bool good = fd >= 0 && put(fd, &m, NULL, 0) == 0 && hear(fd) == NC_CTL_S_PROXY &&
                send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(ask) - 1;
    if (good && !sh->keep) {
        good = get(fd, in, 10 + 16); /* the answer, and some of the open */
    } else if (good) {
        for (int i = 0; i < 1000 && sh->listens < 1; i++) {
            (void)poll(NULL, 0, 5);
        }
    }
    sh->rc = good ? NACRE_OK : NACRE_MISMATCH;
    (void)close(fd);
}

static void listening_ends_whenever_its_client_goes(void **state)
{
    share sh;
    (void)state;
    set_up(&sh);
    sh.forbid = true;
    share_beside(&sh, listen_in_vain);
    assert_int_equal(sh.rc, NACRE_REQUEST_REFUSED);
    assert_int_equal(sh.cancels, 0);
    share_alone(&sh);
    sh.forbid = false;
    share_beside(&sh, leave_early);
    assert_int_equal(sh.rc, NACRE_OK);
    share_alone(&sh);
    until_cancelled(&sh, 1);
    assert_int_equal(sh.refused, 1); /* what it did not answer has an answer */
    sh.listens = 0;
    sh.keep = true;
    share_beside(&sh, leave_early);
    assert_int_equal(sh.rc, NACRE_OK);
    share_alone(&sh);
    const uint8_t port[4] = {0, 0, 1, 0};
    const nacre_answer yes = {.accept = true, .data = {port, sizeof(port)}};
    assert_int_equal(nacre_transport_answer(sh.s.t, sh.kept, &yes), NACRE_OK);
    nacre_driver_kick(sh.s.d);
    until_cancelled(&sh, 2);
    tear_down(&sh);
}

/* ---- memory ---- */

/* A connection whose open fails for want of memory never comes. */
static void let_listen_briefly(share *sh)
{
    let_listen(sh);
    sh->patience_ms = 300;
}

static void memory_fails_while_listening(void **state)
{
    (void)state;
    share_without_memory(let_listen_briefly, listen_and_take);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_session_leaves_the_first_alone),
        cmocka_unit_test(what_comes_before_the_answer_is_not_lost),
        cmocka_unit_test(who_waits_for_a_forwarding_hears_of_its_end),
        cmocka_unit_test(a_proxied_client_may_have_the_server_listen),
        cmocka_unit_test(listening_ends_whenever_its_client_goes),
        cmocka_unit_test(memory_fails_while_listening),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
