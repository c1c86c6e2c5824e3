/*
 * Forwardings of a client from the server: what it grants, what it opens, and what it has no business to open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "forward_peer.h"

#include <string.h>
#include <unistd.h>

static void test_remote(void **state)
{
    stage s;
    nacre_forward *f = NULL;
    int fd = -1;
    uint8_t got[8];
    size_t took;
    (void)state;
    forward_begin(&s);
    target t = listen_here();
    nacre_forward_options o = forward_options(NACRE_FORWARD_REMOTE);
    o.connect.host = "127.0.0.1";
    o.connect.port = t.port;
    assert_int_equal(forward_start(&s, &o, &f), NACRE_OK);
    assert_int_equal(nacre_forward_status(f), NACRE_AGAIN);
    assert_int_equal(nacre_forward_port(f), 0);
    assert_int_equal(nacre_client_forward_wait(s.c, f, 5000), NACRE_OK);
    assert_int_equal(script.ready, NACRE_OK);
    assert_int_equal(nacre_forward_port(f), SERVER_PORT);
    assert_string_equal(script.name, "tcpip-forward");
    assert_string_equal(script.asked.address, "localhost");
    /* By the name that was asked for, and by what a server may make of it. */
    static const char *const names[] = {"localhost", "127.0.0.1", ""};
    for (size_t i = 0; i < 3; i++) {
        script.got_n = 0;
        server_opens_tcp(&s, names[i], SERVER_PORT);
        UNTIL(&s, script.opened || script.failed);
        assert_true(script.opened);
        assert_int_equal(nacre_net_accept(t.fd, &fd, NULL), NACRE_OK);
        assert_int_equal(nacre_channel_write(script.ch, NACRE_STDOUT, "down", 4, &took), NACRE_OK);
        nacre_driver_kick(s.d);
        assert_int_equal(forward_receive(&s, fd, got, 4), 4);
        send_all(fd, "up", 2);
        UNTIL(&s, script.got_n == 2);
        (void)close(fd);
        assert_int_equal(nacre_channel_eof(script.ch), NACRE_OK);
        nacre_driver_kick(s.d);
        UNTIL(&s, script.closed);
    }
    UNTIL(&s, nacre_forward_connections(f) == 0);
    /* Nobody there. */
    (void)close(t.fd);
    server_opens_tcp(&s, "localhost", SERVER_PORT);
    UNTIL(&s, script.failed);
    assert_int_equal(script.reason, 2);
    assert_int_equal(script.failures, 1);
    /* Cancelled: the server is told, and what it opens all the same is refused. */
    nacre_forward_cancel(f);
    UNTIL(&s, script.cancels == 1);
    assert_string_equal(script.name, "cancel-tcpip-forward");
    assert_int_equal(script.asked.port, SERVER_PORT);
    server_opens_tcp(&s, "localhost", SERVER_PORT);
    UNTIL(&s, script.failed);
    assert_int_equal(script.reason, 1);
    forward_end(&s);
}

static void test_unasked(void **state)
{
    stage s;
    nacre_forward *f[3] = {NULL, NULL, NULL};
    (void)state;
    forward_begin(&s);
    static const char *const types[] = {"forwarded-tcpip", "forwarded-streamlocal@openssh.com"};
    static const char *const data[] = {"\0\0\0\1x\0\0\x0f\xb6\0\0\0\1y\0\0\0\1",
                                       "\0\0\0\2/x\0\0\0\0"};
    static const size_t sizes[] = {18, 10};
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 2; i++) {
            /* Good but for nothing that was asked for; cut; longer. */
            for (int k = -1; k <= 0; k++) {
                (void)server_opens(&s, types[i], nc_span(data[i], sizes[i] + (size_t)k));
                UNTIL(&s, script.failed);
                assert_int_equal(script.reason, 1);
            }
        }
        server_opens_tcp(&s, "localhost", 22);
        UNTIL(&s, script.failed);
        /* In the second round the address is one that we asked for, but not with this port. */
        server_opens_tcp(&s, "192.0.2.1", 4023);
        UNTIL(&s, script.failed);
        assert_int_equal(script.reason, 1);
        if (round == 0) { /* and again with others there: two that have one port */
            static const char *const hosts[] = {"192.0.2.1", "192.0.2.2"};
            for (size_t i = 0; i < 2; i++) {
                nacre_forward_options o = forward_options(NACRE_FORWARD_REMOTE);
                o.on_ready = NULL;
                o.listen.host = hosts[i];
                o.listen.port = 4022;
                o.connect.host = "127.0.0.1";
                o.connect.port = 1;
                assert_int_equal(forward_start(&s, &o, &f[i]), NACRE_OK);
                assert_int_equal(nacre_client_forward_wait(s.c, f[i], 5000), NACRE_OK);
            }
            nacre_forward_options o = forward_options(NACRE_FORWARD_REMOTE);
            o.on_ready = NULL;
            o.listen.path = "/y";
            o.connect.host = "127.0.0.1";
            o.connect.port = 1;
            assert_int_equal(forward_start(&s, &o, &f[2]), NACRE_OK);
            assert_int_equal(nacre_client_forward_wait(s.c, f[2], 5000), NACRE_OK);
            assert_int_equal(nacre_forward_port(f[2]), 0);
        }
    }
    assert_int_equal(script.failures, 0);
    server_opens_tcp(&s, "192.0.2.2", 4022);
    UNTIL(&s, script.failed);
    assert_int_equal(script.reason, 2); /* that one is ours: but nobody is there */
    assert_int_equal(script.failures, 1);
    /* What is cancelled is forgotten at once, whatever the server has yet to say to it. */
    nacre_forward_cancel(f[0]);
    nacre_forward_cancel(f[1]);
    server_opens_tcp(&s, "192.0.2.1", 4022);
    UNTIL(&s, script.failed);
    assert_int_equal(script.reason, 1);
    assert_int_equal(script.failures, 1);
    forward_end(&s);
}

static void test_answers(void **state)
{
    static const answer_kind bad[] = {REFUSE, NO_PORT, WILD_PORT, EMPTY_PORT};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        stage s;
        nacre_forward *f = NULL;
        forward_begin(&s);
        script.answer = bad[i];
        nacre_forward_options o = forward_options(NACRE_FORWARD_REMOTE);
        o.connect.host = "here";
        o.connect.port = 1;
        o.listen.host = "*";
        assert_int_equal(forward_start(&s, &o, &f), NACRE_OK);
        assert_int_equal(nacre_client_forward_wait(s.c, f, 5000), NACRE_REQUEST_REFUSED);
        assert_int_equal(script.ready, NACRE_REQUEST_REFUSED);
        assert_string_equal(script.asked.address, "");
        assert_non_null(strstr(nacre_client_error(s.c)->text, "does not listen on port 0"));
        server_opens_tcp(&s, "", 0);
        UNTIL(&s, script.failed);
        assert_int_equal(script.reason, 1);
        nacre_forward_cancel(f);
        forward_settle(&s);
        assert_int_equal(script.cancels, 0);
        forward_end(&s);
    }
}

/* Answers find their asker, whoever else asks; cancelled before the answer, nothing is left behind. */
static void test_order(void **state)
{
    stage s;
    nacre_forward *f[4];
    (void)state;
    forward_begin(&s);
    for (int i = 0; i < 4; i++) {
        nacre_forward_options o = forward_options(NACRE_FORWARD_REMOTE);
        o.on_ready = NULL;
        o.listen.port = (uint16_t)(7000 + i);
        o.connect.host = "here";
        o.connect.port = 1;
        assert_int_equal(nacre_global_request(nacre_client_transport(s.c), "other@example.com",
                                              true, nc_span(NULL, 0)),
                         NACRE_OK);
        assert_int_equal(forward_start(&s, &o, &f[i]), NACRE_OK);
    }
    nacre_forward_cancel(f[1]);
    assert_ptr_equal(nacre_client_next_forward(s.c, f[0]), f[2]);
    assert_int_equal(nacre_client_forward_wait(s.c, f[3], 5000), NACRE_OK);
    assert_int_equal(nacre_forward_port(f[0]), 7000);
    assert_int_equal(nacre_forward_port(f[2]), 7002);
    UNTIL(&s, script.cancels == 1);
    assert_int_equal(script.asked.port, 7001);
    script.answer = SILENT;
    nacre_forward_options o = forward_options(NACRE_FORWARD_REMOTE);
    o.connect.host = "here";
    o.connect.port = 1;
    assert_int_equal(forward_start(&s, &o, &f[1]), NACRE_OK);
    assert_int_equal(nacre_client_forward_wait(s.c, f[1], 30), NACRE_TIMEOUT);
    nacre_forward_cancel(f[1]);
    assert_int_equal(script.ready, 1);
    forward_end(&s);
}

static bool only_here(void *user, nacre_forward *f, const char *host, uint16_t port)
{
    (void)f;
    return strcmp(host, "127.0.0.1") == 0 && port == *(uint16_t *)user;
}

static void test_remote_dynamic(void **state)
{
    stage s;
    nacre_forward *f = NULL;
    int fd = -1;
    size_t took;
    uint8_t got[8], words[32] = "\5\1\0\5\1\0\1\x7f\0\0\1";
    (void)state;
    forward_begin(&s);
    target t = listen_here();
    nacre_forward_options o = forward_options(NACRE_FORWARD_REMOTE_DYNAMIC);
    o.listen.port = 7000;
    o.permit = only_here;
    o.user = &t.port;
    assert_int_equal(forward_start(&s, &o, &f), NACRE_OK);
    assert_int_equal(nacre_client_forward_wait(s.c, f, 5000), NACRE_OK);
    words[11] = (uint8_t)(t.port >> 8);
    words[12] = (uint8_t)t.port;
    memcpy(words + 13, "data", 4);
    server_opens_tcp(&s, "localhost", 7000);
    UNTIL(&s, script.opened);
    for (size_t i = 0; i < 17; i++) {
        assert_int_equal(nacre_channel_write(script.ch, NACRE_STDOUT, words + i, 1, &took),
                         NACRE_OK);
        nacre_driver_kick(s.d);
        forward_turn(&s);
    }
    UNTIL(&s, script.got_n == 12);
    assert_memory_equal(script.got, "\5\0\5\0\0\1\0\0\0\0\0\0", 12);
    assert_int_equal(nacre_net_accept(t.fd, &fd, NULL), NACRE_OK);
    assert_int_equal(forward_receive(&s, fd, got, 4), 4);
    assert_memory_equal(got, "data", 4);
    (void)close(fd);
    assert_int_equal(nacre_channel_close(script.ch), NACRE_OK);
    nacre_driver_kick(s.d);
    UNTIL(&s, script.closed);
    /* What is not permitted; garbage; an end in the middle. */
    static const struct {
        const char *words;
        size_t n;
        size_t answer;
    } rows[] = {{"\5\1\0\5\1\0\1\x7f\0\0\1\0\1", 13, 12}, {"GET /", 5, 0}, {"\5\1", 2, 0}};
    for (size_t i = 0; i < 3; i++) {
        script.got_n = 0;
        server_opens_tcp(&s, "localhost", 7000);
        UNTIL(&s, script.opened);
        assert_int_equal(
            nacre_channel_write(script.ch, NACRE_STDOUT, rows[i].words, rows[i].n, &took),
            NACRE_OK);
        assert_int_equal(nacre_channel_eof(script.ch), NACRE_OK);
        nacre_driver_kick(s.d);
        UNTIL(&s, script.closed);
        assert_int_equal(script.got_n, rows[i].answer);
    }
    assert_int_equal(script.got[3], 2); /* of the one that was not permitted */
    UNTIL(&s, nacre_forward_connections(f) == 0);
    (void)close(t.fd);
    forward_end(&s);
}

/* Whoever is asked may be done with the forwarding: the connection that waits for the word ends with it. */
static bool cancels(void *user, nacre_forward *f, const char *host, uint16_t port)
{
    (void)host;
    (void)port;
    nacre_forward_cancel(f);
    return *(bool *)user;
}

static void test_cancelled_by_who_is_asked(void **state)
{
    static const uint8_t words[] = "\5\1\0\5\1\0\1\x7f\0\0\1\0\1";
    (void)state;
    for (int i = 0; i < 2; i++) {
        stage s;
        nacre_forward *f = NULL;
        bool word = i == 1;
        size_t took;
        forward_begin(&s);
        nacre_forward_options o = forward_options(NACRE_FORWARD_REMOTE_DYNAMIC);
        o.listen.port = 7000;
        o.permit = cancels;
        o.on_ready = NULL;
        o.on_failure = NULL;
        o.user = &word;
        assert_int_equal(forward_start(&s, &o, &f), NACRE_OK);
        assert_int_equal(nacre_client_forward_wait(s.c, f, 5000), NACRE_OK);
        server_opens_tcp(&s, "localhost", 7000);
        UNTIL(&s, script.opened);
        assert_int_equal(nacre_channel_write(script.ch, NACRE_STDOUT, words, 13, &took), NACRE_OK);
        nacre_driver_kick(s.d);
        UNTIL(&s, script.closed);
        assert_int_equal(script.got_n, 12); /* no connection, and it is said */
        assert_int_equal(script.got[3], 2);
        assert_null(nacre_client_next_forward(s.c, NULL));
        forward_end(&s);
    }
}

/* ---- bare ---- */

static void test_bare(void **state)
{
    stage s;
    nacre_forward *f = NULL;
    nacre_channel *ch = NULL;
    nacre_endpoint from;
    nacre_forward_end where = {"127.0.0.1", 0, NULL};
    char got[8] = "";
    size_t n = 0;
    (void)state;
    forward_begin(&s);
    assert_int_equal(nacre_client_listen(s.c, &where, 1, 5000, &f), NACRE_OK);
    assert_int_equal(nacre_forward_port(f), SERVER_PORT);
    assert_int_equal(nacre_client_accept(s.c, f, 20, &ch, NULL), NACRE_TIMEOUT);
    server_opens_tcp(&s, "127.0.0.1", SERVER_PORT);
    nacre_channel *first = script.ch;
    forward_settle(&s);
    assert_false(script.opened);
    server_opens_tcp(&s, "127.0.0.1", SERVER_PORT); /* the queue is full */
    UNTIL(&s, script.failed);
    assert_int_equal(script.reason, 4);
    script.ch = first;
    assert_int_equal(nacre_client_accept(s.c, f, 5000, &ch, &from), NACRE_OK);
    assert_string_equal(from.address, "192.0.2.9");
    assert_int_equal(from.port, 999);
    UNTIL(&s, script.opened);
    assert_int_equal(nacre_channel_write(first, NACRE_STDOUT, "words", 5, &n), NACRE_OK);
    nacre_driver_kick(s.d);
    assert_int_equal(nacre_client_read(s.c, ch, NACRE_STDOUT, got, sizeof(got), 5000, &n),
                     NACRE_OK);
    assert_string_equal(got, "words");
    nacre_client_channel_free(s.c, ch);
    UNTIL(&s, script.closed);
    server_opens_tcp(&s, "127.0.0.1", SERVER_PORT);
    forward_settle(&s);
    nacre_forward_cancel(f);
    UNTIL(&s, script.failed);
    script.answer = REFUSE;
    assert_int_equal(nacre_client_listen(s.c, &where, 1, 5000, &f), NACRE_REQUEST_REFUSED);
    assert_null(f);
    assert_int_equal(nacre_client_direct_tcpip(s.c, "h", 1, "me", 2, 5000, &ch), NACRE_OK);
    assert_string_equal(script.direct.origin, "me");
    nacre_client_channel_free(s.c, ch);
    script.refuse = 2;
    assert_int_equal(nacre_client_direct_streamlocal(s.c, "/x", 5000, &ch), NACRE_CHANNEL_REFUSED);
    assert_int_equal(nacre_client_direct_streamlocal(s.c, "", 5000, &ch), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_client_direct_tcpip(s.c, "", 1, NULL, 0, 5000, &ch),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_client_direct_tcpip(s.c, "h", 0, NULL, 0, 5000, &ch),
                     NACRE_INVALID_ARGUMENT);
    forward_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remote),         cmocka_unit_test(test_unasked),
        cmocka_unit_test(test_answers),        cmocka_unit_test(test_order),
        cmocka_unit_test(test_remote_dynamic), cmocka_unit_test(test_cancelled_by_who_is_asked),
        cmocka_unit_test(test_bare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
