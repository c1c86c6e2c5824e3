/*
 * Forwardings of a client towards the server, and all of them together: SOCKS, refusals, as many as allowed, the end of
 * the connection in the middle of it, and no memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "forward_peer.h"
#include "support/memory.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- to the server ---- */

static void test_local(void **state)
{
    stage s;
    nacre_forward *f = NULL;
    char got[8] = "";
    (void)state;
    forward_begin(&s);
    nacre_forward_options o = forward_options(NACRE_FORWARD_LOCAL);
    o.connect.host = "there.example";
    o.connect.port = 81;
    assert_int_equal(forward_start(&s, &o, &f), NACRE_OK);
    assert_int_equal(script.ready, NACRE_OK);
    assert_int_not_equal(nacre_forward_port(f), 0);
    assert_ptr_equal(nacre_client_next_forward(s.c, NULL), f);
    assert_null(nacre_client_next_forward(s.c, f));
    assert_int_equal(nacre_client_forward_wait(s.c, f, 1000), NACRE_OK);
    assert_string_equal(nacre_forward_get_options(f)->connect.host, "there.example");
    int fd = forward_dial(nacre_forward_port(f));
    send_all(fd, "hello", 5);
    assert_int_equal(forward_receive(&s, fd, got, 5), 5);
    assert_string_equal(got, "hello");
    assert_string_equal(script.direct.host, "there.example");
    assert_int_equal(script.direct.port, 81);
    assert_string_equal(script.direct.origin, "127.0.0.1");
    assert_int_equal(nacre_forward_connections(f), 1);
    /* What runs goes on without its forwarding; nobody else is let in. */
    uint16_t port = nacre_forward_port(f);
    nacre_forward_cancel(f);
    assert_null(nacre_client_next_forward(s.c, NULL));
    send_all(fd, "again", 5);
    assert_int_equal(forward_receive(&s, fd, got, 5), 5);
    nacre_error err;
    int other = -1;
    memset(&err, 0, sizeof(err));
    assert_int_equal(nacre_net_connect("127.0.0.1", port, NULL, &other, &err), NACRE_CONNECT);
    (void)shutdown(fd, SHUT_WR);
    assert_int_equal(forward_receive(&s, fd, got, 1), 0);
    (void)close(fd);
    forward_end(&s);
}

static void test_refused(void **state)
{
    stage s;
    nacre_forward *f = NULL;
    char byte;
    (void)state;
    forward_begin(&s);
    script.refuse = 1;
    nacre_forward_options o = forward_options(NACRE_FORWARD_LOCAL);
    o.connect.path = "/run/there";
    assert_int_equal(forward_start(&s, &o, &f), NACRE_OK);
    int fd = forward_dial(nacre_forward_port(f));
    assert_int_equal(forward_receive(&s, fd, &byte, 1), 0);
    assert_int_equal(script.failures, 1);
    assert_non_null(strstr(script.why, "/run/there: open failed: administratively prohibited"));
    assert_int_equal(nacre_forward_connections(f), 0);
    (void)close(fd);
    forward_end(&s);
}

static size_t by_socks(stage *s, nacre_forward *f, const char *words, size_t n, uint8_t *got,
                       size_t size)
{
    int fd = forward_dial(nacre_forward_port(f));
    for (size_t i = 0; i < n; i++) { /* as slowly as it can come */
        send_all(fd, words + i, 1);
        if (i % 3 == 0) {
            forward_turn(s);
        }
    }
    size_t have = forward_receive(s, fd, got, size);
    (void)close(fd);
    return have;
}

static void test_dynamic(void **state)
{
    stage s;
    nacre_forward *f = NULL;
    uint8_t got[32];
    (void)state;
    forward_begin(&s);
    nacre_forward_options o = forward_options(NACRE_FORWARD_DYNAMIC);
    o.on_ready = NULL;
    assert_int_equal(forward_start(&s, &o, &f), NACRE_OK);
    static const char five[] = "\5\1\0\5\1\0\3\5there\0\x50"
                               "data";
    assert_int_equal(by_socks(&s, f, five, sizeof(five) - 1, got, 16), 16);
    assert_memory_equal(got, "\5\0\5\0\0\1\0\0\0\0\0\0data", 16);
    assert_string_equal(script.direct.host, "there");
    assert_int_equal(script.direct.port, 80);
    static const char four[] = "\4\1\0\x51\0\0\0\1\0here\0data";
    assert_int_equal(by_socks(&s, f, four, sizeof(four) - 1, got, 12), 12);
    assert_memory_equal(got, "\0\x5a\0\0\0\0\0\0data", 12);
    assert_string_equal(script.direct.host, "here");
    /* Refused by the server, with an answer. */
    static const struct {
        uint32_t reason;
        uint8_t code;
    } rows[] = {{1, 2}, {2, 5}, {4, 1}};
    for (size_t i = 0; i < 3; i++) {
        script.refuse = rows[i].reason;
        assert_int_equal(by_socks(&s, f, five, 15, got, 16), 12);
        assert_int_equal(got[3], rows[i].code);
    }
    script.refuse = 0;
    unsigned before = s.opens;
    /* No SOCKS, and an end in the middle of it. */
    assert_int_equal(by_socks(&s, f, "GET / HTTP/1.1\r\n", 1, got, 16), 0);
    static const char zero[] = "\5\1\0\5\1\0\3\1x\0\0";
    assert_int_equal(by_socks(&s, f, zero, 11, got, 16), 12);
    assert_int_equal(got[3], 1);
    int fd = forward_dial(nacre_forward_port(f));
    send_all(fd, five, 6);
    forward_settle(&s);
    assert_int_equal(nacre_forward_connections(f), 1);
    (void)close(fd);
    UNTIL(&s, nacre_forward_connections(f) == 0);
    assert_int_equal(s.opens, before);
    /* Cancelled while the server is asked: the answer is still the client's of SOCKS, and not the server's. */
    s.open_unanswered = true;
    fd = forward_dial(nacre_forward_port(f));
    send_all(fd, five, 15);
    UNTIL(&s, s.opens == before + 1);
    nacre_forward_cancel(f);
    s.open_unanswered = false;
    assert_int_equal(nacre_transport_accept(s.t, script.ticket), NACRE_OK);
    nacre_driver_kick(s.d);
    send_all(fd, "data", 4);
    assert_int_equal(forward_receive(&s, fd, got, 16), 16);
    assert_memory_equal(got, "\5\0\5\0\0\1\0\0\0\0\0\0data", 16);
    (void)close(fd);
    assert_int_equal(forward_start(&s, &o, &f), NACRE_OK);
    /* Cancelled while somebody is still speaking. */
    fd = forward_dial(nacre_forward_port(f));
    send_all(fd, five, 6);
    forward_settle(&s);
    nacre_forward_cancel(f);
    send_all(fd, five + 6, 4);
    assert_int_equal(forward_receive(&s, fd, got, 16), 2);
    (void)close(fd);
    forward_end(&s);
}

static void test_as_many_as_allowed(void **state)
{
    stage s;
    nacre_forward *f = NULL;
    char byte;
    (void)state;
    forward_begin(&s);
    nacre_forward_options o = forward_options(NACRE_FORWARD_LOCAL);
    o.connect.host = "there";
    o.connect.port = 1;
    o.max_connections = 2;
    assert_int_equal(forward_start(&s, &o, &f), NACRE_OK);
    int fd[3];
    for (int i = 0; i < 3; i++) {
        fd[i] = forward_dial(nacre_forward_port(f));
        send_all(fd[i], "x", 1);
    }
    assert_int_equal(forward_receive(&s, fd[0], &byte, 1), 1);
    assert_int_equal(forward_receive(&s, fd[1], &byte, 1), 1);
    forward_settle(&s);
    assert_int_equal(s.opens, 2);
    assert_int_equal(nacre_forward_connections(f), 2);
    (void)close(fd[0]);
    assert_int_equal(forward_receive(&s, fd[2], &byte, 1), 1);
    assert_int_equal(s.opens, 3);
    (void)close(fd[1]);
    (void)close(fd[2]);
    forward_end(&s);
}

/* ---- the end, and what cannot be ---- */

static void make_all(stage *s, int fds[3], target *t)
{
    nacre_forward *f = NULL;
    uint8_t byte;
    *t = listen_here();
    nacre_forward_options o = forward_options(NACRE_FORWARD_LOCAL);
    o.on_ready = NULL;
    o.connect.host = "127.0.0.1";
    o.connect.port = t->port;
    assert_int_equal(forward_start(s, &o, &f), NACRE_OK);
    fds[0] = forward_dial(nacre_forward_port(f));
    send_all(fds[0], "x", 1);
    assert_int_equal(forward_receive(s, fds[0], &byte, 1), 1); /* relayed */
    o.kind = NACRE_FORWARD_DYNAMIC;
    assert_int_equal(forward_start(s, &o, &f), NACRE_OK);
    fds[1] = forward_dial(nacre_forward_port(f)); /* has said nothing yet */
    o.kind = NACRE_FORWARD_REMOTE;
    assert_int_equal(forward_start(s, &o, &f), NACRE_OK);
    assert_int_equal(nacre_client_forward_wait(s->c, f, 5000), NACRE_OK);
    server_opens_tcp(s, "localhost", SERVER_PORT);
    UNTIL(s, script.opened);
    s->open_unanswered = true;
    o.kind = NACRE_FORWARD_LOCAL;
    assert_int_equal(forward_start(s, &o, &f), NACRE_OK);
    fds[2] = forward_dial(nacre_forward_port(f)); /* the server says nothing */
    forward_settle(s);
    script.answer = SILENT;
    o.kind = NACRE_FORWARD_REMOTE;
    o.on_ready = forward_ready;
    assert_int_equal(forward_start(s, &o, &f), NACRE_OK);
    forward_settle(s);
}

static void test_the_end_of_everything(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        stage s;
        int fds[3];
        uint8_t byte;
        target t;
        forward_begin(&s);
        make_all(&s, fds, &t);
        nacre_forward *f = nacre_client_next_forward(s.c, NULL);
        uint16_t port = nacre_forward_port(f);
        if (how == 0) { /* the connection ends */
            nacre_driver_close(s.d);
            UNTIL(&s, nacre_forward_status(f) == NACRE_CLOSED);
            assert_int_equal(script.ready, NACRE_CLOSED);
            for (f = nacre_client_next_forward(s.c, NULL); f;
                 f = nacre_client_next_forward(s.c, f)) {
                assert_true(nacre_client_forward_wait(s.c, f, 1000) < 0);
            }
            nacre_forward_options o = forward_options(NACRE_FORWARD_DYNAMIC);
            assert_int_equal(forward_start(&s, &o, NULL), NACRE_CLOSED);
        } else if (how == 1) { /* the client is freed */
            nacre_client_free(s.c);
            s.c = NULL;
        } else { /* all of them are cancelled */
            while ((f = nacre_client_next_forward(s.c, NULL)) != NULL) {
                nacre_forward_cancel(f);
            }
            forward_settle(&s);
        }
        nacre_error err;
        int other = -1;
        memset(&err, 0, sizeof(err));
        assert_int_equal(nacre_net_connect("127.0.0.1", port, NULL, &other, &err), NACRE_CONNECT);
        for (int i = 0; i < 3 && how < 2; i++) {
            assert_int_equal(forward_receive(&s, fds[i], &byte, 1), 0);
        }
        for (int i = 0; i < 3; i++) {
            (void)close(fds[i]);
        }
        (void)close(t.fd);
        forward_end(&s);
    }
}

static void test_what_cannot_be(void **state)
{
    static char name[NC_FWD_HOST_MAX + 2];
    stage s;
    nacre_forward *f = NULL;
    (void)state;
    forward_begin(&s);
    memset(name, 'a', sizeof(name) - 1);
    nacre_forward_options good = forward_options(NACRE_FORWARD_LOCAL);
    good.connect.host = "h";
    good.connect.port = 1;
    for (int i = 0; i < 9; i++) {
        nacre_forward_options o = good;
        o.size = i == 0 ? 0 : i == 1 ? sizeof(o) + 1 : o.size;
        o.kind = i == 2 ? (nacre_forward_kind)9 : o.kind;
        o.connect.host = i == 3 ? NULL : i == 4 ? "" : i == 5 ? name : o.connect.host;
        o.connect.port = i == 6 ? 0 : o.connect.port;
        o.connect.path = i == 7 ? "" : NULL;
        o.listen.path = i == 8 ? "" : NULL;
        assert_int_equal(forward_start(&s, &o, &f), NACRE_INVALID_ARGUMENT);
        assert_null(f);
    }
    target t = listen_here();
    good.listen.port = t.port;
    assert_int_equal(forward_start(&s, &good, &f), NACRE_IO);
    (void)close(t.fd);
    assert_int_equal(script.ready, 1);
    nacre_forward_cancel(NULL);
    nacre_client_disconnect(s.c);
    assert_int_equal(forward_start(&s, &good, &f), NACRE_CLOSED);
    forward_end(&s);
}

/* Any allocation may fail: the connection or one forwarding suffers, nothing is lost or touched again. */
static void test_no_memory(void **state)
{
    test_memory m;
    (void)state;
    for (test_memory_init(&m); test_memory_round(&m);) {
        m.paused = true;
        stage s;
        nacre_forward *f = NULL;
        target t = listen_here();
        stage_init(&s);
        memset(&script, 0, sizeof(script));
        script.ready = 1;
        s.hook = forward_hook;
        s.cfg.transport.allocator = &m.hooks;
        stage_login(&s);
        nacre_forward_options o = forward_options(NACRE_FORWARD_LOCAL);
        o.on_ready = NULL;
        o.connect.host = "127.0.0.1";
        o.connect.port = t.port;
        m.paused = false;
        int fd = -1;
        if (nacre_client_forward(s.c, &o, &f, NULL) == NACRE_OK) {
            fd = forward_dial(nacre_forward_port(f));
            send_all(fd, "x", 1);
        }
        o.kind = NACRE_FORWARD_REMOTE;
        if (nacre_client_forward(s.c, &o, &f, NULL) == NACRE_OK &&
            nacre_client_forward_wait(s.c, f, 2000) == NACRE_OK) {
            server_opens_tcp(&s, "localhost", SERVER_PORT);
        }
        forward_settle(&s);
        if (fd >= 0) {
            (void)close(fd);
        }
        (void)close(t.fd);
        forward_end(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_dynamic),
        cmocka_unit_test(test_as_many_as_allowed),
        cmocka_unit_test(test_the_end_of_everything),
        cmocka_unit_test(test_what_cannot_be),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
