/*
 * Agent and X11 forwarding at the client: what the server may open, what an agent and a display get to hear
 * before anything else, and what becomes of those who do not keep to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "client_server.h"

#include "nacre/agent_forward.h"
#include "nacre/net.h"
#include "nacre/x11.h"
#include "support/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHANNELS = 80 };

/* A channel that the server opened. */
typedef struct opened {
    nacre_channel *ch;
    bool open, failed, eof, closed;
    uint32_t reason;
    uint8_t in[4096];
    size_t n;
} opened;

typedef struct world {
    stage s;
    opened list[CHANNELS];
    size_t count;
    nacre_channel *session;
    unsigned agent_requests, x11_requests;
    char agent_name[64];
    nacre_x11_request x11[4];
    int agent_end; /* the agent's end of the last connection */
    unsigned connects, bindings;
    bool no_agent;
    unsigned refusals;
    char refusal[256];
} world;

static opened *find(world *w, const nacre_channel *ch)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->list[i].ch == ch) {
            return &w->list[i];
        }
    }
    return NULL;
}

static bool is_request(const nacre_event *ev, const char *name)
{
    return ev->u.request.name.n == strlen(name) &&
           memcmp(ev->u.request.name.p, name, strlen(name)) == 0;
}

static bool on_request(world *w, const nacre_event *ev)
{
    bool agent = is_request(ev, "auth-agent-req@openssh.com") || is_request(ev, "agent-req");
    if (agent) {
        w->agent_requests++;
        (void)snprintf(w->agent_name, sizeof(w->agent_name), "%.*s", (int)ev->u.request.name.n,
                       (const char *)ev->u.request.name.p);
        assert_int_equal(ev->u.request.data.n, 0);
    } else if (is_request(ev, "x11-req")) {
        assert_int_equal(
            nacre_x11_request_parse(ev->u.request.data, &w->x11[w->x11_requests++ % 4]), NACRE_OK);
    } else {
        return false;
    }
    if (ev->ticket) {
        assert_int_equal(nacre_transport_accept(w->s.t, ev->ticket), NACRE_OK);
    }
    return true;
}

static bool hook(stage *s, const nacre_event *ev)
{
    world *w = s->hook_user;
    opened *o = ev->channel ? find(w, ev->channel) : NULL;
    if (!o) {
        return ev->type == NACRE_EVENT_CHANNEL_REQUEST && on_request(w, ev);
    }
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_OPENED:
        o->open = true;
        break;
    case NACRE_EVENT_CHANNEL_FAILED:
        o->failed = true;
        o->reason = ev->u.failed.reason;
        break;
    case NACRE_EVENT_CHANNEL_DATA:
        for (size_t i = 0; i < ev->u.data.bytes.n && o->n < sizeof(o->in); i++) {
            o->in[o->n++] = ev->u.data.bytes.p[i];
        }
        assert_int_equal(nacre_channel_consumed(ev->channel, ev->u.data.bytes.n), NACRE_OK);
        break;
    case NACRE_EVENT_CHANNEL_EOF:
        o->eof = true;
        break;
    case NACRE_EVENT_CHANNEL_CLOSED:
        o->closed = true;
        break;
    default:
        break;
    }
    return true;
}

static void start(world *w)
{
    memset(w, 0, sizeof(*w));
    w->agent_end = -1;
    stage_init(&w->s);
    w->s.hook = hook;
    w->s.hook_user = w;
    stage_login(&w->s);
    assert_int_equal(nacre_client_session(w->s.c, 5000, &w->session), NACRE_OK);
}

static void stop(world *w)
{
    if (w->agent_end >= 0) {
        (void)close(w->agent_end);
    }
    stage_close(&w->s);
    stage_clear(&w->s);
}

static void turn(world *w)
{
    nacre_driver_kick(w->s.d);
    assert_int_equal(nacre_loop_run_once(w->s.loop, 5), NACRE_OK);
}

#define UNTIL(w, condition)                                                                        \
    for (int turns = 0; !(condition); turns++) {                                                   \
        assert_true(turns < 5000);                                                                 \
        turn(w);                                                                                   \
    }

static opened *open_channel(world *w, const char *type)
{
    static const uint8_t x11_data[] = {0,   0,   0,   9,   '1', '2', '7', '.', '0',
                                       '.', '0', '.', '1', 0,   0,   4,   0};
    bool x11 = strcmp(type, "x11") == 0;
    opened *o = &w->list[w->count];
    assert_true(w->count < CHANNELS);
    assert_int_equal(nacre_channel_open(w->s.t, type,
                                        (nacre_span){x11_data, x11 ? sizeof(x11_data) : 0}, 0, 0,
                                        &o->ch),
                     NACRE_OK);
    w->count++;
    return o;
}

static void send_to(world *w, const opened *o, const void *p, size_t n)
{
    size_t took = 0;
    assert_int_equal(nacre_channel_write(o->ch, NACRE_STDOUT, p, n, &took), NACRE_OK);
    assert_int_equal(took, n);
    turn(w);
}

/* Turns the loop until fd has n bytes. */
static void read_from(world *w, int fd, uint8_t *p, size_t n)
{
    size_t got = 0;
    for (int i = 0; got < n; i++) {
        ssize_t some = recv(fd, p + got, n - got, MSG_DONTWAIT);
        assert_true(some > 0 || (some < 0 && errno == EAGAIN));
        assert_true(i < 5000);
        got += some > 0 ? (size_t)some : 0;
        turn(w);
    }
}

/* ---- the agent ---- */

static int give_agent(void *user, int *fd)
{
    world *w = user;
    int pair[2];
    w->connects++;
    if (w->no_agent) {
        return NACRE_CONNECT;
    }
    if (w->agent_end >= 0) {
        (void)close(w->agent_end);
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    *fd = pair[0];
    w->agent_end = pair[1];
    return NACRE_OK;
}

static void on_refused(void *user, const char *text)
{
    world *w = user;
    w->refusals++;
    (void)snprintf(w->refusal, sizeof(w->refusal), "%s", text);
}

static void ask_agent(world *w)
{
    nacre_agent_forward_options o;
    nacre_agent_forward_options_init(&o);
    o.connect = give_agent;
    o.on_refused = on_refused;
    o.user = w;
    unsigned before = w->agent_requests;
    assert_int_equal(nacre_client_forward_agent(w->s.c, w->session, &o, &w->s.err), NACRE_OK);
    UNTIL(w, w->agent_requests > before);
}

/* The agent is told of the session before the channel is even open. */
static void take_binding(world *w)
{
    uint8_t head[9], rest[4096];
    UNTIL(w, w->connects > w->bindings);
    w->bindings++;
    read_from(w, w->agent_end, head, sizeof(head));
    size_t n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    assert_int_equal(head[4], 27);
    assert_int_equal(head[8], 24);
    read_from(w, w->agent_end, rest, n - 5);
    assert_memory_equal(rest, "session-bind@openssh.com", 24);
    assert_int_equal(rest[n - 6], 1); /* forwarding */
}

static void test_agent_not_asked_for(void **state)
{
    static const char *const names[] = {"auth-agent@openssh.com", "agent-connect", "x11"};
    world w;
    (void)state;
    start(&w);
    for (size_t i = 0; i < 3; i++) {
        opened *o = open_channel(&w, names[i]);
        UNTIL(&w, o->failed);
        assert_true(o->reason == 1 || o->reason == 3);
    }
    stop(&w);
}

static void test_agent(void **state)
{
    static const uint8_t yes[] = {0, 0, 0, 1, 6};
    world w;
    uint8_t in[8];
    (void)state;
    start(&w);
    ask_agent(&w);
    /* our engine announces that it knows the standard's names */
    assert_string_equal(w.agent_name, "agent-req");
    for (int i = 0; i < 2; i++) {
        opened *o = open_channel(&w, i ? "agent-connect" : "auth-agent@openssh.com");
        take_binding(&w);
        assert_false(o->open);
        for (size_t k = 0; k < sizeof(yes); k++) { /* in pieces */
            assert_int_equal(send(w.agent_end, yes + k, 1, 0), 1);
            turn(&w);
        }
        UNTIL(&w, o->open);
        send_to(&w, o, "request", 7);
        read_from(&w, w.agent_end, in, 7);
        assert_memory_equal(in, "request", 7);
        assert_int_equal(send(w.agent_end, "answer", 6, 0), 6);
        UNTIL(&w, o->n == 6);
        assert_memory_equal(o->in, "answer", 6); /* and nothing of the binding */
        assert_int_equal(nacre_channel_eof(o->ch), NACRE_OK);
        turn(&w);
        assert_int_equal(shutdown(w.agent_end, SHUT_WR), 0);
        UNTIL(&w, o->closed);
    }
    assert_int_equal(w.connects, 2);
    stop(&w);
}

static void test_agent_that_knows_no_binding(void **state)
{
    static const uint8_t no[2][5] = {{0, 0, 0, 1, 5}, {0, 0, 0, 1, 28}};
    world w;
    (void)state;
    start(&w);
    ask_agent(&w);
    for (int i = 0; i < 2; i++) {
        opened *o = open_channel(&w, "auth-agent@openssh.com");
        take_binding(&w);
        assert_int_equal(send(w.agent_end, no[i], 5, 0), 5);
        UNTIL(&w, o->open);
    }
    stop(&w);
}

static void test_agent_that_misbehaves(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {
        {"\0\0\0\0", 4},              /* nothing */
        {"\0\4\0\1", 4},              /* longer than any message */
        {"\377\377\377\377\6", 5},    /* absurd */
        {"\0\0\0\1\6\0", 6},          /* more than it was asked */
        {"\0\0\0\1\6\0\0\0\1\6", 10}, /* an answer too many */
        {NULL, 0},                    /* the end */
    };
    world w;
    (void)state;
    start(&w);
    ask_agent(&w);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        opened *o = open_channel(&w, "auth-agent@openssh.com");
        take_binding(&w);
        if (rows[i].bytes) {
            assert_int_equal(send(w.agent_end, rows[i].bytes, rows[i].n, 0), (ssize_t)rows[i].n);
        } else {
            (void)shutdown(w.agent_end, SHUT_RDWR);
        }
        UNTIL(&w, o->failed);
        assert_int_equal(o->reason, 2);
        assert_int_equal(w.refusals, i + 1);
    }
    w.no_agent = true;
    opened *o = open_channel(&w, "auth-agent@openssh.com");
    UNTIL(&w, o->failed);
    nacre_client_forward_agent_stop(w.s.c);
    o = open_channel(&w, "auth-agent@openssh.com");
    UNTIL(&w, o->failed);
    assert_int_equal(o->reason, 1);
    stop(&w);
}

/* An agent that is stuck costs the connection nothing, and so many waiting opens at most. */
static void test_agent_that_is_stuck(void **state)
{
    world w;
    (void)state;
    start(&w);
    ask_agent(&w);
    for (int i = 0; i < 33; i++) {
        (void)open_channel(&w, "auth-agent@openssh.com");
    }
    UNTIL(&w, w.list[32].failed);
    assert_int_equal(w.list[32].reason, 4);
    assert_false(w.list[0].failed || w.list[0].open);
    nacre_channel *another = NULL;
    assert_int_equal(nacre_client_session(w.s.c, 5000, &another), NACRE_OK);
    stop(&w); /* with all of them waiting */
}

static void test_agent_in_this_process(void **state)
{
    static const uint8_t list[] = {0, 0, 0, 1, 11};
    world w;
    nacre_keyring *ring = NULL;
    nacre_keyring_server *server = NULL;
    nacre_keyring_options ko;
    nacre_agent_forward_options o;
    (void)state;
    start(&w);
    nacre_keyring_options_init(&ko);
    assert_int_equal(nacre_keyring_new(&ring, &ko, nacre_loop_now(w.s.loop), 1), NACRE_OK);
    assert_int_equal(nacre_keyring_add(ring, w.s.user_key, NULL, &w.s.err), NACRE_OK);
    assert_int_equal(nacre_keyring_serve(&server, w.s.loop, ring, "", &w.s.err), NACRE_OK);
    assert_string_equal(nacre_keyring_server_path(server), "");
    nacre_agent_forward_options_init(&o);
    o.keyring = server;
    assert_int_equal(nacre_client_forward_agent(w.s.c, w.session, &o, &w.s.err), NACRE_OK);
    opened *ch = open_channel(&w, "auth-agent@openssh.com");
    UNTIL(&w, ch->open);
    send_to(&w, ch, list, sizeof(list));
    UNTIL(&w, ch->n > 9);
    assert_int_equal(ch->in[4], 12);
    assert_int_equal(ch->in[8], 1); /* one key */
    nacre_keyring_server_free(server);
    UNTIL(&w, ch->eof);
    stop(&w);
    nacre_keyring_free(ring);
}

static void test_agent_that_is_not_named(void **state)
{
    world w;
    nacre_agent_forward_options o;
    (void)state;
    start(&w);
    (void)unsetenv("SSH_AUTH_SOCK");
    nacre_agent_forward_options_init(&o);
    assert_int_equal(nacre_client_forward_agent(w.s.c, w.session, &o, &w.s.err), NACRE_NOT_FOUND);
    assert_int_equal(nacre_client_forward_agent(w.s.c, w.session, NULL, &w.s.err),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_client_forward_agent(w.s.c, NULL, &o, &w.s.err), NACRE_CLOSED);
    o.path = "/nowhere/at/all"; /* it may come later */
    assert_int_equal(nacre_client_forward_agent(w.s.c, w.session, &o, &w.s.err), NACRE_OK);
    opened *ch = open_channel(&w, "auth-agent@openssh.com");
    UNTIL(&w, ch->failed);
    assert_int_equal(ch->reason, 2);
    stop(&w);
}

/* ---- X11 ---- */

static const uint8_t real[16] = "the real cookie";

typedef struct display {
    char path[128];
    int listener, fd;
} display;

static void make_display(const world *w, display *d, const char *name)
{
    d->fd = -1;
    (void)snprintf(d->path, sizeof(d->path), "%s/%s", w->s.dir, name);
    assert_int_equal(nacre_net_listen_unix(d->path, 0600, false, 0, &d->listener, NULL), NACRE_OK);
}

static void end_display(display *d)
{
    (void)close(d->listener);
    if (d->fd >= 0) {
        (void)close(d->fd);
    }
    (void)unlink(d->path);
}

static bool is_called(display *d)
{
    return d->fd >= 0 || nacre_net_accept(d->listener, &d->fd, NULL) == NACRE_OK;
}

static void ask_x11(world *w, nacre_channel *session, const char *path, bool single, bool cookie)
{
    nacre_x11_options o;
    nacre_x11_cookie c;
    memset(&c, 0, sizeof(c));
    (void)snprintf(c.protocol, sizeof(c.protocol), "MIT-MAGIC-COOKIE-1");
    memcpy(c.data, real, sizeof(real));
    c.size = sizeof(real);
    nacre_x11_options_init(&o);
    o.display = path;
    o.cookie = cookie ? &c : NULL;
    o.single_connection = single;
    o.on_refused = on_refused;
    o.user = w;
    assert_int_equal(nacre_client_x11(w->s.c, session, &o, &w->s.err), NACRE_OK);
    assert_int_equal(nacre_client_wait_reply(w->s.c, session, 5000), NACRE_OK);
}

static uint8_t nibble(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* What a program sends first that was told the made-up cookie. */
static size_t first_message(const nacre_x11_request *r, uint8_t *out)
{
    static const uint8_t head[] = {'B', 0, 0, 11, 0, 0, 0, 18, 0, 16, 0, 0};
    memset(out, 0, 48);
    memcpy(out, head, sizeof(head));
    memcpy(out + 12, "MIT-MAGIC-COOKIE-1", 18);
    assert_int_equal(strlen(r->cookie), 32);
    for (size_t i = 0; i < 16; i++) {
        out[32 + i] = (uint8_t)(nibble(r->cookie[2 * i]) << 4 | nibble(r->cookie[2 * i + 1]));
    }
    return 48;
}

static void test_x11(void **state)
{
    world w;
    display d;
    uint8_t first[64], in[64];
    (void)state;
    start(&w);
    make_display(&w, &d, "X");
    ask_x11(&w, w.session, d.path, false, true);
    assert_false(w.x11[0].single_connection);
    size_t n = first_message(&w.x11[0], first);
    assert_memory_not_equal(first + 32, real, 16); /* the server never sees it */
    memcpy(first + n, "more", 4);
    for (size_t step = 1; step <= n + 4; step += step < 4 ? 1 : 16) {
        opened *o = open_channel(&w, "x11");
        UNTIL(&w, o->open);
        assert_false(is_called(&d));
        for (size_t at = 0; at < n + 4; at += step) {
            send_to(&w, o, first + at, n + 4 - at < step ? n + 4 - at : step);
        }
        UNTIL(&w, is_called(&d));
        read_from(&w, d.fd, in, n + 4);
        assert_memory_equal(in, first, 32);
        assert_memory_equal(in + 32, real, 16);
        assert_memory_equal(in + 48, "more", 4);
        assert_int_equal(send(d.fd, "reply", 5, 0), 5);
        UNTIL(&w, o->n == 5);
        assert_int_equal(nacre_channel_eof(o->ch), NACRE_OK);
        (void)close(d.fd);
        d.fd = -1;
        UNTIL(&w, o->closed);
    }
    assert_int_equal(w.refusals, 0);
    end_display(&d);
    stop(&w);
}

static void test_x11_without_a_cookie(void **state)
{
    world w;
    display d;
    uint8_t first[64], in[64];
    (void)state;
    start(&w);
    make_display(&w, &d, "X");
    ask_x11(&w, w.session, d.path, false, false);
    opened *o = open_channel(&w, "x11");
    UNTIL(&w, o->open);
    send_to(&w, o, first, first_message(&w.x11[0], first));
    UNTIL(&w, is_called(&d));
    read_from(&w, d.fd, in, 12);
    assert_memory_equal(in, "B\0\0\13\0\0\0\0\0\0\0\0", 12);
    end_display(&d);
    stop(&w);
}

/* Each is refused, in words of X where it could be X, and the display hears nothing of it. */
static void test_x11_that_is_refused(void **state)
{
    world w;
    display d;
    uint8_t first[64];
    (void)state;
    start(&w);
    make_display(&w, &d, "X");
    ask_x11(&w, w.session, d.path, false, true);
    for (int i = 0; i < 6; i++) {
        size_t n = first_message(&w.x11[0], first);
        opened *o = open_channel(&w, "x11");
        UNTIL(&w, o->open);
        switch (i) {
        case 0:
            first[47] ^= 1; /* the cookie */
            break;
        case 1:
            first[12] ^= 1; /* the protocol's name */
            break;
        case 2:
            first[9] = 15; /* a byte less of it */
            break;
        case 3:
            memset(first + 7, 0, 3); /* no authorization */
            n = 12;
            break;
        case 4:
            first[6] = 1; /* a name that is too long */
            break;
        default:
            first[0] = 'G';
            break;
        }
        send_to(&w, o, first, n);
        UNTIL(&w, o->closed);
        assert_true(o->n > 8);
        assert_int_equal(o->in[0], 0); /* Failed */
        assert_int_equal(w.refusals, i + 1);
    }
    opened *o = open_channel(&w, "x11"); /* one that says nothing */
    UNTIL(&w, o->open);
    assert_int_equal(nacre_channel_eof(o->ch), NACRE_OK);
    UNTIL(&w, o->closed);
    assert_false(is_called(&d));
    end_display(&d);
    opened *late = open_channel(&w, "x11"); /* the display is gone */
    UNTIL(&w, late->open);
    send_to(&w, late, first, first_message(&w.x11[0], first));
    UNTIL(&w, late->closed);
    assert_non_null(strstr((const char *)late->in + 8, "cannot be reached"));
    stop(&w);
}

static void test_x11_for_one_connection(void **state)
{
    world w;
    display d;
    uint8_t first[64];
    (void)state;
    start(&w);
    make_display(&w, &d, "X");
    ask_x11(&w, w.session, d.path, true, true);
    assert_true(w.x11[0].single_connection);
    opened *one = open_channel(&w, "x11"), *two = open_channel(&w, "x11");
    UNTIL(&w, one->open && two->open);
    size_t n = first_message(&w.x11[0], first);
    send_to(&w, two, first, n);
    UNTIL(&w, is_called(&d));
    send_to(&w, one, first, n); /* the right cookie, too late */
    UNTIL(&w, one->closed);
    assert_int_equal(one->in[0], 0);
    opened *three = open_channel(&w, "x11");
    UNTIL(&w, three->failed);
    assert_int_equal(three->reason, 1);
    end_display(&d);
    stop(&w);
}

/* Each session's cookie leads to its own display, and ends with the session. */
static void test_x11_of_two_sessions(void **state)
{
    world w;
    display d[2];
    uint8_t first[64];
    nacre_channel *other = NULL;
    (void)state;
    start(&w);
    make_display(&w, &d[0], "X0");
    make_display(&w, &d[1], "X1");
    assert_int_equal(nacre_client_session(w.s.c, 5000, &other), NACRE_OK);
    ask_x11(&w, w.session, d[0].path, false, true);
    ask_x11(&w, other, d[1].path, false, true);
    assert_string_not_equal(w.x11[0].cookie, w.x11[1].cookie);
    for (int i = 1; i >= 0; i--) {
        opened *o = open_channel(&w, "x11");
        UNTIL(&w, o->open);
        send_to(&w, o, first, first_message(&w.x11[i], first));
        UNTIL(&w, is_called(&d[i]));
    }
    nacre_client_channel_free(w.s.c, other);
    opened *o = open_channel(&w, "x11");
    UNTIL(&w, o->open);
    send_to(&w, o, first, first_message(&w.x11[1], first));
    UNTIL(&w, o->closed);
    nacre_client_channel_free(w.s.c, w.session);
    o = open_channel(&w, "x11");
    UNTIL(&w, o->failed);
    assert_int_equal(o->reason, 1);
    end_display(&d[0]);
    end_display(&d[1]);
    stop(&w);
}

/* Who says nothing keeps nobody out: anybody at the server can connect to a display there. */
static void test_x11_by_the_dozen(void **state)
{
    world w;
    display d;
    uint8_t first[64];
    (void)state;
    start(&w);
    make_display(&w, &d, "X");
    ask_x11(&w, w.session, d.path, false, true);
    for (int i = 0; i < 65; i++) {
        (void)open_channel(&w, "x11");
    }
    UNTIL(&w, w.list[64].open && w.list[0].closed);
    assert_true(w.list[1].open && !w.list[1].closed);
    send_to(&w, &w.list[64], first, first_message(&w.x11[0], first));
    UNTIL(&w, is_called(&d));
    end_display(&d);
    stop(&w); /* with the others at the beginning */
}

static void test_x11_that_cannot_be_asked_for(void **state)
{
    world w;
    nacre_x11_options o;
    nacre_x11_cookie c;
    (void)state;
    start(&w);
    (void)unsetenv("DISPLAY");
    nacre_x11_options_init(&o);
    assert_int_equal(nacre_client_x11(w.s.c, w.session, &o, &w.s.err), NACRE_NOT_FOUND);
    o.display = "no display";
    assert_int_equal(nacre_client_x11(w.s.c, w.session, &o, &w.s.err), NACRE_SYNTAX);
    o.display = ":0";
    memset(&c, 'x', sizeof(c));
    o.cookie = &c;
    assert_int_equal(nacre_client_x11(w.s.c, w.session, &o, &w.s.err), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_client_x11(w.s.c, NULL, &o, &w.s.err), NACRE_CLOSED);
    assert_int_equal(nacre_client_x11(w.s.c, w.session, NULL, &w.s.err), NACRE_INVALID_ARGUMENT);
    opened *ch = open_channel(&w, "x11");
    UNTIL(&w, ch->failed);
    stop(&w);
}

/* ---- without memory ---- */

/*
 * Asking for the agent and for X11, and a connection to each, while memory ends at every place in turn: whatever fails,
 * and be it the whole connection, fails without a trace.
 */
static void one_without_memory(test_memory *m)
{
    static const uint8_t yes[] = {0, 0, 0, 1, 6};
    world w;
    uint8_t first[64];
    nacre_agent_forward_options ao;
    nacre_x11_options xo;
    memset(&w, 0, sizeof(w));
    w.agent_end = -1;
    m->paused = true;
    stage_init(&w.s);
    w.s.hook = hook;
    w.s.hook_user = &w;
    w.s.cfg.transport.allocator = &m->hooks;
    stage_login(&w.s);
    assert_int_equal(nacre_client_session(w.s.c, 5000, &w.session), NACRE_OK);
    nacre_agent_forward_options_init(&ao);
    ao.connect = give_agent;
    ao.user = &w;
    nacre_x11_options_init(&xo);
    xo.display = "/nowhere/X";
    xo.want_reply = false;
    m->paused = false;
    int agent = nacre_client_forward_agent(w.s.c, w.session, &ao, &w.s.err);
    assert_true(agent == NACRE_OK || w.s.err.text[0]);
    int x11 = nacre_client_x11(w.s.c, w.session, &xo, &w.s.err);
    assert_true(x11 == NACRE_OK || w.s.err.text[0]);
    for (int i = 0; i < 20; i++) {
        turn(&w);
    }
    opened *o[2] = {open_channel(&w, "auth-agent@openssh.com"), open_channel(&w, "x11")};
    for (int i = 0; i < 40 && !w.s.gone; i++) {
        turn(&w);
        if (w.agent_end >= 0 && i == 20) {
            (void)send(w.agent_end, yes, sizeof(yes), MSG_NOSIGNAL);
        }
        if (o[1]->open && w.x11_requests > 0 && i == 20) {
            size_t took = 0;
            (void)!nacre_channel_write(o[1]->ch, NACRE_STDOUT, first,
                                       first_message(&w.x11[0], first), &took);
        }
    }
    assert_true(agent == NACRE_OK || !o[0]->open);
    assert_true(x11 == NACRE_OK || !o[1]->open);
    m->paused = true;
    stop(&w);
}

static void test_without_memory(void **state)
{
    (void)state;
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        one_without_memory(&m);
    }
    assert_true(m.round > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agent_not_asked_for),
        cmocka_unit_test(test_agent),
        cmocka_unit_test(test_agent_that_knows_no_binding),
        cmocka_unit_test(test_agent_that_misbehaves),
        cmocka_unit_test(test_agent_that_is_stuck),
        cmocka_unit_test(test_agent_in_this_process),
        cmocka_unit_test(test_agent_that_is_not_named),
        cmocka_unit_test(test_x11),
        cmocka_unit_test(test_x11_without_a_cookie),
        cmocka_unit_test(test_x11_that_is_refused),
        cmocka_unit_test(test_x11_for_one_connection),
        cmocka_unit_test(test_x11_of_two_sessions),
        cmocka_unit_test(test_x11_by_the_dozen),
        cmocka_unit_test(test_x11_that_cannot_be_asked_for),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
