/*
 * Forwardings of a client, with a server that does as it is told: every kind, refusals, a server that lies, cancelling at
 * every moment, and the end of the connection in the middle of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "channel/forward.h"
#include "client_server.h"
#include "nacre/forward.h"
#include "support/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the server does with what it is asked. */
typedef enum answer_kind { GRANT, REFUSE, SILENT, NO_PORT, WILD_PORT, EMPTY_PORT } answer_kind;

enum { SERVER_PORT = 4022 };

static struct script {
    answer_kind answer;
    unsigned requests, cancels;
    char name[64]; /* of the last request */
    nc_fwd_listen asked;
    nc_fwd_tcp direct; /* the last open */
    uint32_t refuse;   /* opens, with this reason; 0: accept */
    nacre_channel *ch; /* that the server opened */
    bool opened, failed, closed;
    uint32_t reason;
    uint8_t got[256]; /* on it */
    size_t got_n;
    int ready; /* of the client's callback: 1: none yet */
    unsigned failures;
    char why[512];
} script;

static void answer_global(stage *s, const nacre_event *ev)
{
    nacre_answer a;
    nc_buf b;
    memset(&a, 0, sizeof(a));
    nc_buf_init(&b, NULL, 16);
    script.requests++;
    (void)snprintf(script.name, sizeof(script.name), "%.*s", (int)ev->u.global.name.n,
                   (const char *)ev->u.global.name.p);
    script.cancels += strncmp(script.name, "cancel", 6) == 0;
    (void)!nc_fwd_read_listen(ev->u.global.data, &script.asked);
    if (!ev->ticket || script.answer == SILENT) {
        return;
    }
    a.accept = script.answer != REFUSE;
    if (a.accept && script.asked.port == 0 && script.answer != NO_PORT) {
        static const uint8_t wild[] = {0, 1, 0, 0}, none[] = {0, 0, 0, 0};
        assert_int_equal(nc_fwd_write_port(&b, SERVER_PORT), NACRE_OK);
        a.data = script.answer == WILD_PORT    ? nc_span(wild, 4)
                 : script.answer == EMPTY_PORT ? nc_span(none, 4)
                                               : nc_buf_span(&b);
    }
    assert_int_equal(nacre_transport_answer(s->t, ev->ticket, &a), NACRE_OK);
    nc_buf_clear(&b);
}

/* The channel that the server opened. */
static bool on_own(const nacre_event *ev)
{
    if (!script.ch || ev->channel != script.ch) {
        return false;
    }
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_OPENED:
        script.opened = true;
        break;
    case NACRE_EVENT_CHANNEL_FAILED:
        script.failed = true;
        script.reason = ev->u.failed.reason;
        nacre_channel_free(script.ch);
        script.ch = NULL;
        break;
    case NACRE_EVENT_CHANNEL_DATA: {
        size_t n = ev->u.data.bytes.n;
        assert_true(script.got_n + n <= sizeof(script.got));
        memcpy(script.got + script.got_n, ev->u.data.bytes.p, n);
        script.got_n += n;
        assert_int_equal(nacre_channel_consumed(ev->channel, n), NACRE_OK);
        break;
    }
    case NACRE_EVENT_CHANNEL_CLOSED:
        script.closed = true;
        nacre_channel_free(script.ch);
        script.ch = NULL;
        break;
    default:
        break;
    }
    return true;
}

static bool hook(stage *s, const nacre_event *ev)
{
    if (ev->type == NACRE_EVENT_GLOBAL_REQUEST) {
        answer_global(s, ev);
        return true;
    }
    if (ev->type == NACRE_EVENT_CHANNEL_OPEN && script.refuse) {
        nacre_answer a;
        memset(&a, 0, sizeof(a));
        a.reason = script.refuse;
        a.text = "because\nof it";
        assert_int_equal(nacre_transport_answer(s->t, ev->ticket, &a), NACRE_OK);
        return true;
    }
    if (ev->type == NACRE_EVENT_CHANNEL_OPEN) {
        (void)!nc_fwd_read_tcp(ev->u.open.data, &script.direct);
    }
    return on_own(ev);
}

static void begin(stage *s)
{
    stage_init(s);
    memset(&script, 0, sizeof(script));
    script.ready = 1;
    s->hook = hook;
    stage_login(s);
}

static void end(stage *s)
{
    stage_close(s);
    stage_clear(s);
}

static void turn(stage *s)
{
    assert_int_equal(nacre_loop_run_once(s->loop, 5), NACRE_OK);
}

#define UNTIL(s, condition)                                                                        \
    do {                                                                                           \
        for (int turns_ = 0; !(condition) && turns_ < 2000; turns_++) {                            \
            turn(s);                                                                               \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

/* So many turns that what was on its way has come. */
static void settle(stage *s)
{
    for (int i = 0; i < 20; i++) {
        assert_int_equal(nacre_loop_run_once(s->loop, 1), NACRE_OK);
    }
}

static void on_ready(void *user, nacre_forward *f, int status, const nacre_error *err)
{
    (void)user;
    (void)f;
    assert_int_equal(script.ready, 1); /* once */
    script.ready = status;
    assert_int_equal(err->status, status);
}

static void on_failure(void *user, nacre_forward *f, const char *text)
{
    (void)user;
    (void)f;
    script.failures++;
    (void)snprintf(script.why, sizeof(script.why), "%s", text);
    assert_null(strchr(text, '\n'));
}

static nacre_forward_options options(nacre_forward_kind kind)
{
    nacre_forward_options o;
    nacre_forward_options_init(&o);
    o.kind = kind;
    o.on_ready = on_ready;
    o.on_failure = on_failure;
    return o;
}

static int start(stage *s, const nacre_forward_options *o, nacre_forward **f)
{
    nacre_error err;
    memset(&err, 0, sizeof(err));
    int rc = nacre_client_forward(s->c, o, f, &err);
    assert_int_equal(rc, err.status);
    return rc;
}

static int dial(uint16_t port)
{
    int fd = -1;
    nacre_error err;
    memset(&err, 0, sizeof(err));
    assert_int_equal(nacre_net_connect("127.0.0.1", port, NULL, &fd, &err), NACRE_OK);
    return fd;
}

/* What comes on fd until its end, or until n bytes are there. */
static size_t receive(stage *s, int fd, void *p, size_t n)
{
    size_t got = 0;
    for (int i = 0; i < 4000 && got < n; i++) {
        ssize_t some = recv(fd, (uint8_t *)p + got, n - got, MSG_DONTWAIT);
        if (some == 0 || (some < 0 && errno != EAGAIN)) {
            return got;
        }
        got += some > 0 ? (size_t)some : 0;
        if (some < 0) {
            turn(s);
        }
    }
    return got;
}

static void send_all(int fd, const void *p, size_t n)
{
    assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), (ssize_t)n);
}

static nacre_channel *server_opens(stage *s, const char *type, nacre_span data)
{
    script.opened = script.failed = script.closed = false;
    script.reason = 0;
    assert_int_equal(nacre_channel_open(s->t, type, data, 0, 0, &script.ch), NACRE_OK);
    nacre_driver_kick(s->d);
    return script.ch;
}

static void server_opens_tcp(stage *s, const char *host, uint16_t port)
{
    nc_buf b;
    nc_buf_init(&b, NULL, NC_FWD_DATA_MAX);
    assert_int_equal(nc_fwd_write_tcp(&b, host, port, "192.0.2.9", 999), NACRE_OK);
    (void)server_opens(s, "forwarded-tcpip", nc_buf_span(&b));
    nc_buf_clear(&b);
}

/* ---- to the server ---- */

static void test_local(void **state)
{
    stage s;
    nacre_forward *f = NULL;
    char got[8] = "";
    (void)state;
    begin(&s);
    nacre_forward_options o = options(NACRE_FORWARD_LOCAL);
    o.connect.host = "there.example";
    o.connect.port = 81;
    assert_int_equal(start(&s, &o, &f), NACRE_OK);
    assert_int_equal(script.ready, NACRE_OK);
    assert_int_not_equal(nacre_forward_port(f), 0);
    assert_ptr_equal(nacre_client_next_forward(s.c, NULL), f);
    assert_null(nacre_client_next_forward(s.c, f));
    assert_int_equal(nacre_client_forward_wait(s.c, f, 1000), NACRE_OK);
    assert_string_equal(nacre_forward_get_options(f)->connect.host, "there.example");
    int fd = dial(nacre_forward_port(f));
    send_all(fd, "hello", 5);
    assert_int_equal(receive(&s, fd, got, 5), 5);
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
    assert_int_equal(receive(&s, fd, got, 5), 5);
    nacre_error err;
    int other = -1;
    memset(&err, 0, sizeof(err));
    assert_int_equal(nacre_net_connect("127.0.0.1", port, NULL, &other, &err), NACRE_CONNECT);
    (void)shutdown(fd, SHUT_WR);
    assert_int_equal(receive(&s, fd, got, 1), 0);
    (void)close(fd);
    end(&s);
}

static void test_refused(void **state)
{
    stage s;
    nacre_forward *f = NULL;
    char byte;
    (void)state;
    begin(&s);
    script.refuse = 1;
    nacre_forward_options o = options(NACRE_FORWARD_LOCAL);
    o.connect.path = "/run/there";
    assert_int_equal(start(&s, &o, &f), NACRE_OK);
    int fd = dial(nacre_forward_port(f));
    assert_int_equal(receive(&s, fd, &byte, 1), 0);
    assert_int_equal(script.failures, 1);
    assert_non_null(strstr(script.why, "/run/there: open failed: administratively prohibited"));
    assert_int_equal(nacre_forward_connections(f), 0);
    (void)close(fd);
    end(&s);
}

static size_t by_socks(stage *s, nacre_forward *f, const char *words, size_t n, uint8_t *got,
                       size_t size)
{
    int fd = dial(nacre_forward_port(f));
    for (size_t i = 0; i < n; i++) { /* as slowly as it can come */
        send_all(fd, words + i, 1);
        if (i % 3 == 0) {
            turn(s);
        }
    }
    size_t have = receive(s, fd, got, size);
    (void)close(fd);
    return have;
}

static void test_dynamic(void **state)
{
    stage s;
    nacre_forward *f = NULL;
    uint8_t got[32];
    (void)state;
    begin(&s);
    nacre_forward_options o = options(NACRE_FORWARD_DYNAMIC);
    assert_int_equal(start(&s, &o, &f), NACRE_OK);
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
    int fd = dial(nacre_forward_port(f));
    send_all(fd, five, 6);
    settle(&s);
    assert_int_equal(nacre_forward_connections(f), 1);
    (void)close(fd);
    UNTIL(&s, nacre_forward_connections(f) == 0);
    assert_int_equal(s.opens, before);
    /* Cancelled while somebody is still speaking. */
    fd = dial(nacre_forward_port(f));
    send_all(fd, five, 6);
    settle(&s);
    nacre_forward_cancel(f);
    send_all(fd, five + 6, 4);
    assert_int_equal(receive(&s, fd, got, 16), 2);
    (void)close(fd);
    end(&s);
}

static void test_as_many_as_allowed(void **state)
{
    stage s;
    nacre_forward *f = NULL;
    char byte;
    (void)state;
    begin(&s);
    nacre_forward_options o = options(NACRE_FORWARD_LOCAL);
    o.connect.host = "there";
    o.connect.port = 1;
    o.max_connections = 2;
    assert_int_equal(start(&s, &o, &f), NACRE_OK);
    int fd[3];
    for (int i = 0; i < 3; i++) {
        fd[i] = dial(nacre_forward_port(f));
        send_all(fd[i], "x", 1);
    }
    assert_int_equal(receive(&s, fd[0], &byte, 1), 1);
    assert_int_equal(receive(&s, fd[1], &byte, 1), 1);
    settle(&s);
    assert_int_equal(s.opens, 2);
    assert_int_equal(nacre_forward_connections(f), 2);
    (void)close(fd[0]);
    assert_int_equal(receive(&s, fd[2], &byte, 1), 1);
    assert_int_equal(s.opens, 3);
    (void)close(fd[1]);
    (void)close(fd[2]);
    end(&s);
}

/* ---- from the server ---- */

typedef struct target {
    int fd;
    uint16_t port;
} target;

static target listen_here(void)
{
    target t;
    nacre_error err;
    memset(&err, 0, sizeof(err));
    assert_int_equal(nacre_net_listen("127.0.0.1", 0, 4, 0, &t.fd, &t.port, &err), NACRE_OK);
    return t;
}

static void test_remote(void **state)
{
    stage s;
    nacre_forward *f = NULL;
    int fd = -1;
    uint8_t got[8];
    size_t took;
    (void)state;
    begin(&s);
    target t = listen_here();
    nacre_forward_options o = options(NACRE_FORWARD_REMOTE);
    o.connect.host = "127.0.0.1";
    o.connect.port = t.port;
    assert_int_equal(start(&s, &o, &f), NACRE_OK);
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
        assert_int_equal(receive(&s, fd, got, 4), 4);
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
    end(&s);
}

static void test_unasked(void **state)
{
    stage s;
    nacre_forward *f[3] = {NULL, NULL, NULL};
    (void)state;
    begin(&s);
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
        if (round == 0) { /* and again with others there: two that have one port */
            static const char *const hosts[] = {"192.0.2.1", "192.0.2.2"};
            for (size_t i = 0; i < 2; i++) {
                nacre_forward_options o = options(NACRE_FORWARD_REMOTE);
                o.on_ready = NULL;
                o.listen.host = hosts[i];
                o.listen.port = 4022;
                o.connect.host = "127.0.0.1";
                o.connect.port = 1;
                assert_int_equal(start(&s, &o, &f[i]), NACRE_OK);
                assert_int_equal(nacre_client_forward_wait(s.c, f[i], 5000), NACRE_OK);
            }
            nacre_forward_options o = options(NACRE_FORWARD_REMOTE);
            o.on_ready = NULL;
            o.listen.path = "/y";
            o.connect.host = "127.0.0.1";
            o.connect.port = 1;
            assert_int_equal(start(&s, &o, &f[2]), NACRE_OK);
            assert_int_equal(nacre_client_forward_wait(s.c, f[2], 5000), NACRE_OK);
            assert_int_equal(nacre_forward_port(f[2]), 0);
        }
    }
    assert_int_equal(script.failures, 0);
    server_opens_tcp(&s, "192.0.2.2", 4022);
    UNTIL(&s, script.failed);
    assert_int_equal(script.reason, 2); /* that one is ours: but nobody is there */
    assert_int_equal(script.failures, 1);
    end(&s);
}

static void test_answers(void **state)
{
    static const answer_kind bad[] = {REFUSE, NO_PORT, WILD_PORT, EMPTY_PORT};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        stage s;
        nacre_forward *f = NULL;
        begin(&s);
        script.answer = bad[i];
        nacre_forward_options o = options(NACRE_FORWARD_REMOTE);
        o.connect.host = "here";
        o.connect.port = 1;
        o.listen.host = "*";
        assert_int_equal(start(&s, &o, &f), NACRE_OK);
        assert_int_equal(nacre_client_forward_wait(s.c, f, 5000), NACRE_REQUEST_REFUSED);
        assert_int_equal(script.ready, NACRE_REQUEST_REFUSED);
        assert_string_equal(script.asked.address, "");
        assert_non_null(strstr(nacre_client_error(s.c)->text, "does not listen on port 0"));
        server_opens_tcp(&s, "", 0);
        UNTIL(&s, script.failed);
        assert_int_equal(script.reason, 1);
        nacre_forward_cancel(f);
        settle(&s);
        assert_int_equal(script.cancels, 0);
        end(&s);
    }
}

/* Answers find their asker, whoever else asks; cancelled before the answer, nothing is left behind. */
static void test_order(void **state)
{
    stage s;
    nacre_forward *f[4];
    (void)state;
    begin(&s);
    for (int i = 0; i < 4; i++) {
        nacre_forward_options o = options(NACRE_FORWARD_REMOTE);
        o.on_ready = NULL;
        o.listen.port = (uint16_t)(7000 + i);
        o.connect.host = "here";
        o.connect.port = 1;
        assert_int_equal(nacre_global_request(nacre_client_transport(s.c), "other@example.com",
                                              true, nc_span(NULL, 0)),
                         NACRE_OK);
        assert_int_equal(start(&s, &o, &f[i]), NACRE_OK);
    }
    nacre_forward_cancel(f[1]);
    assert_ptr_equal(nacre_client_next_forward(s.c, f[0]), f[2]);
    assert_int_equal(nacre_client_forward_wait(s.c, f[3], 5000), NACRE_OK);
    assert_int_equal(nacre_forward_port(f[0]), 7000);
    assert_int_equal(nacre_forward_port(f[2]), 7002);
    UNTIL(&s, script.cancels == 1);
    assert_int_equal(script.asked.port, 7001);
    script.answer = SILENT;
    nacre_forward_options o = options(NACRE_FORWARD_REMOTE);
    o.connect.host = "here";
    o.connect.port = 1;
    assert_int_equal(start(&s, &o, &f[1]), NACRE_OK);
    assert_int_equal(nacre_client_forward_wait(s.c, f[1], 30), NACRE_TIMEOUT);
    nacre_forward_cancel(f[1]);
    assert_int_equal(script.ready, 1);
    end(&s);
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
    begin(&s);
    target t = listen_here();
    nacre_forward_options o = options(NACRE_FORWARD_REMOTE_DYNAMIC);
    o.listen.port = 7000;
    o.permit = only_here;
    o.user = &t.port;
    assert_int_equal(start(&s, &o, &f), NACRE_OK);
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
        turn(&s);
    }
    UNTIL(&s, script.got_n == 12);
    assert_memory_equal(script.got, "\5\0\5\0\0\1\0\0\0\0\0\0", 12);
    assert_int_equal(nacre_net_accept(t.fd, &fd, NULL), NACRE_OK);
    assert_int_equal(receive(&s, fd, got, 4), 4);
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
    end(&s);
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
    begin(&s);
    assert_int_equal(nacre_client_listen(s.c, &where, 1, 5000, &f), NACRE_OK);
    assert_int_equal(nacre_forward_port(f), SERVER_PORT);
    assert_int_equal(nacre_client_accept(s.c, f, 20, &ch, NULL), NACRE_TIMEOUT);
    server_opens_tcp(&s, "127.0.0.1", SERVER_PORT);
    nacre_channel *first = script.ch;
    settle(&s);
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
    settle(&s);
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
    end(&s);
}

/* ---- the end, and what cannot be ---- */

static void make_all(stage *s, int fds[3], target *t)
{
    nacre_forward *f = NULL;
    uint8_t byte;
    *t = listen_here();
    nacre_forward_options o = options(NACRE_FORWARD_LOCAL);
    o.on_ready = NULL;
    o.connect.host = "127.0.0.1";
    o.connect.port = t->port;
    assert_int_equal(start(s, &o, &f), NACRE_OK);
    fds[0] = dial(nacre_forward_port(f));
    send_all(fds[0], "x", 1);
    assert_int_equal(receive(s, fds[0], &byte, 1), 1); /* relayed */
    o.kind = NACRE_FORWARD_DYNAMIC;
    assert_int_equal(start(s, &o, &f), NACRE_OK);
    fds[1] = dial(nacre_forward_port(f)); /* has said nothing yet */
    o.kind = NACRE_FORWARD_REMOTE;
    assert_int_equal(start(s, &o, &f), NACRE_OK);
    assert_int_equal(nacre_client_forward_wait(s->c, f, 5000), NACRE_OK);
    server_opens_tcp(s, "localhost", SERVER_PORT);
    UNTIL(s, script.opened);
    s->open_unanswered = true;
    o.kind = NACRE_FORWARD_LOCAL;
    assert_int_equal(start(s, &o, &f), NACRE_OK);
    fds[2] = dial(nacre_forward_port(f)); /* the server says nothing */
    settle(s);
    script.answer = SILENT;
    o.kind = NACRE_FORWARD_REMOTE;
    assert_int_equal(start(s, &o, &f), NACRE_OK);
    settle(s);
}

static void test_the_end_of_everything(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        stage s;
        int fds[3];
        uint8_t byte;
        target t;
        begin(&s);
        make_all(&s, fds, &t);
        nacre_forward *f = nacre_client_next_forward(s.c, NULL);
        uint16_t port = nacre_forward_port(f);
        if (how == 0) { /* the connection ends */
            nacre_driver_close(s.d);
            UNTIL(&s, nacre_forward_status(f) == NACRE_CLOSED);
            for (f = nacre_client_next_forward(s.c, NULL); f;
                 f = nacre_client_next_forward(s.c, f)) {
                assert_true(nacre_client_forward_wait(s.c, f, 1000) < 0);
            }
            nacre_forward_options o = options(NACRE_FORWARD_DYNAMIC);
            assert_int_equal(start(&s, &o, NULL), NACRE_CLOSED);
        } else if (how == 1) { /* the client is freed */
            nacre_client_free(s.c);
            s.c = NULL;
        } else { /* all of them are cancelled */
            while ((f = nacre_client_next_forward(s.c, NULL)) != NULL) {
                nacre_forward_cancel(f);
            }
            settle(&s);
        }
        nacre_error err;
        int other = -1;
        memset(&err, 0, sizeof(err));
        assert_int_equal(nacre_net_connect("127.0.0.1", port, NULL, &other, &err), NACRE_CONNECT);
        for (int i = 0; i < 3 && how < 2; i++) {
            assert_int_equal(receive(&s, fds[i], &byte, 1), 0);
        }
        for (int i = 0; i < 3; i++) {
            (void)close(fds[i]);
        }
        (void)close(t.fd);
        end(&s);
    }
}

static void test_what_cannot_be(void **state)
{
    static char name[NC_FWD_HOST_MAX + 2];
    stage s;
    nacre_forward *f = NULL;
    (void)state;
    begin(&s);
    memset(name, 'a', sizeof(name) - 1);
    nacre_forward_options good = options(NACRE_FORWARD_LOCAL);
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
        assert_int_equal(start(&s, &o, &f), NACRE_INVALID_ARGUMENT);
        assert_null(f);
    }
    target t = listen_here();
    good.listen.port = t.port;
    assert_int_equal(start(&s, &good, &f), NACRE_IO);
    (void)close(t.fd);
    assert_int_equal(script.ready, 1);
    nacre_forward_cancel(NULL);
    nacre_client_disconnect(s.c);
    assert_int_equal(start(&s, &good, &f), NACRE_CLOSED);
    end(&s);
}

/* Any allocation may fail: the connection or one forwarding suffers, nothing is lost or touched again. */
static void test_no_memory(void **state)
{
    test_memory m;
    (void)state;
    for (unsigned long n = 1; n < 400; n += n < 60 ? 1 : 13) {
        stage s;
        nacre_forward *f = NULL;
        target t = listen_here();
        test_memory_init(&m);
        stage_init(&s);
        memset(&script, 0, sizeof(script));
        script.ready = 1;
        s.hook = hook;
        s.cfg.transport.allocator = &m.hooks;
        stage_login(&s);
        nacre_forward_options o = options(NACRE_FORWARD_LOCAL);
        o.on_ready = NULL;
        o.connect.host = "127.0.0.1";
        o.connect.port = t.port;
        test_memory_fail(&m, n);
        int fd = -1;
        if (nacre_client_forward(s.c, &o, &f, NULL) == NACRE_OK) {
            fd = dial(nacre_forward_port(f));
            send_all(fd, "x", 1);
        }
        o.kind = NACRE_FORWARD_REMOTE;
        if (nacre_client_forward(s.c, &o, &f, NULL) == NACRE_OK &&
            nacre_client_forward_wait(s.c, f, 2000) == NACRE_OK) {
            server_opens_tcp(&s, "localhost", SERVER_PORT);
        }
        settle(&s);
        bool failed = m.failed;
        if (fd >= 0) {
            (void)close(fd);
        }
        (void)close(t.fd);
        end(&s);
        assert_int_equal(m.live, 0);
        if (!failed) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_dynamic),
        cmocka_unit_test(test_as_many_as_allowed),
        cmocka_unit_test(test_remote),
        cmocka_unit_test(test_unasked),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_remote_dynamic),
        cmocka_unit_test(test_bare),
        cmocka_unit_test(test_the_end_of_everything),
        cmocka_unit_test(test_what_cannot_be),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
