/*
 * Agent and X11 forwarding at the server: the socket and the display, who may use them, how long they are
 * there, and requests that are none.
 */
#include "world.h"

#include "nacre/agent_forward.h"
#include "nacre/net.h"
#include "nacre/x11.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the callbacks did last. */
static struct {
    nacre_server_conn *c;
    nacre_channel *ch;
    const char *directory;
    nacre_x11_server_options x11;
    int status;
    char path[128], display[300];
} T;

static nacre_verdict on_agent(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    nacre_error err = {0};
    (void)user;
    T.c = c;
    T.status = nacre_server_agent_forward(c, ev, T.directory, &err);
    const char *path = nacre_server_agent_path(c);
    (void)snprintf(T.path, sizeof(T.path), "%s", path ? path : "");
    return T.status == NACRE_OK ? NACRE_ACCEPT : NACRE_REFUSE;
}

static nacre_verdict on_x11(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    nacre_error err = {0};
    nacre_x11_request r;
    (void)user;
    T.c = c;
    T.ch = ev->channel;
    T.status = nacre_x11_request_parse(ev->u.request.data, &r);
    if (T.status == NACRE_OK) {
        T.status = nacre_server_x11(c, ev->channel, &r, &T.x11, &err);
    }
    const char *display = nacre_server_x11_display(c, ev->channel);
    (void)snprintf(T.display, sizeof(T.display), "%s", display ? display : "");
    return T.status == NACRE_OK ? NACRE_ACCEPT : NACRE_REFUSE;
}

static peer *begin(world *w, nacre_channel **ch)
{
    memset(&T, 0, sizeof(T));
    nacre_x11_server_options_init(&T.x11);
    T.x11.display_offset = 2000; /* away from displays that may be there */
    w->cfg.callbacks.auth_none = world_yes;
    w->cfg.callbacks.exec = world_yes;
    world_start(w);
    peer *p = world_login(w);
    *ch = world_session(w, p);
    return p;
}

static void ask(world *w, peer *p, nacre_channel *ch, const char *name, nacre_span data, bool good)
{
    int yes = p->yes, no = p->no;
    assert_int_equal(nacre_channel_request(ch, name, true, data), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, good ? &p->yes : &p->no, (good ? yes : no) + 1);
    assert_int_equal(p->yes, yes + good);
    assert_int_equal(p->no, no + !good);
}

static const nacre_span nothing = {NULL, 0};

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* The program's end of a connection that has come to the client. */
static void exchange(world *w, peer *p, int fd)
{
    size_t took = 0;
    char in[8];
    p->n = 0;
    assert_int_equal(send(fd, "question", 8, 0), 8);
    for (int i = 0; p->n < 8; i++) {
        assert_true(i < 1000);
        assert_int_equal(nacre_loop_run_once(w->loop, 100), NACRE_OK);
    }
    assert_memory_equal(p->out, "question", 8);
    assert_int_equal(nacre_channel_write(p->ask_channel, NACRE_STDOUT, "answer", 6, &took),
                     NACRE_OK);
    nacre_driver_kick(p->d);
    ssize_t got = -1;
    for (int i = 0; got < 0; i++) {
        assert_true(i < 1000);
        assert_int_equal(nacre_loop_run_once(w->loop, 10), NACRE_OK);
        got = recv(fd, in, sizeof(in), MSG_DONTWAIT);
    }
    assert_int_equal(got, 6);
    assert_memory_equal(in, "answer", 6);
}

/* ---- agents ---- */

static void test_agent(void **state)
{
    static const char *const names[][2] = {{"auth-agent-req@openssh.com", "auth-agent@openssh.com"},
                                           {"agent-req", "agent-connect"}};
    world *w = *state;
    nacre_channel *ch;
    struct stat st;
    char dir[128];
    int fd = -1;
    w->cfg.callbacks.agent = on_agent;
    peer *p = begin(w, &ch);
    p->take = true;
    char first[sizeof(T.path)] = "";
    for (int i = 0; i < 2; i++) {
        ask(w, p, ch, names[i][0], nothing, true);
        assert_true(i == 0 || strcmp(first, T.path) == 0); /* one for the connection */
        (void)snprintf(first, sizeof(first), "%s", T.path);
        assert_int_equal(nacre_net_connect_unix(T.path, &fd, NULL), NACRE_OK);
        world_until(w, &p->asked, i + 1);
        assert_string_equal(p->ask_type, names[i][1]);
        assert_int_equal(p->ask_n, 0);
        exchange(w, p, fd);
        (void)close(fd);
    }
    assert_int_equal(lstat(T.path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
    (void)snprintf(dir, sizeof(dir), "%s", T.path);
    *strrchr(dir, '/') = '\0';
    assert_int_equal(lstat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    world_leave(p);
    for (int i = 0; exists(dir); i++) {
        assert_true(i < 1000);
        assert_int_equal(nacre_loop_run_once(w->loop, 10), NACRE_OK);
    }
    assert_false(exists(first));
}

static void test_agent_that_the_client_refuses(void **state)
{
    world *w = *state;
    nacre_channel *ch;
    int fd = -1;
    char byte;
    w->cfg.callbacks.agent = on_agent;
    peer *p = begin(w, &ch);
    ask(w, p, ch, "auth-agent-req@openssh.com", nothing, true);
    assert_int_equal(nacre_net_connect_unix(T.path, &fd, NULL), NACRE_OK);
    world_until(w, &p->asked, 1);
    assert_int_equal(nacre_transport_refuse(p->t, p->ask_ticket), NACRE_OK);
    nacre_driver_kick(p->d);
    ssize_t got = -1;
    for (int i = 0; got < 0; i++) {
        assert_true(i < 1000);
        assert_int_equal(nacre_loop_run_once(w->loop, 10), NACRE_OK);
        got = recv(fd, &byte, 1, MSG_DONTWAIT);
    }
    assert_int_equal(got, 0);
    (void)close(fd);
    /* And one that nobody has answered when the connection ends. */
    assert_int_equal(nacre_net_connect_unix(T.path, &fd, NULL), NACRE_OK);
    world_until(w, &p->asked, 2);
    world_leave(p);
    (void)close(fd);
}

static void test_agent_that_is_not_granted(void **state)
{
    world *w = *state;
    nacre_channel *ch;
    peer *p = begin(w, &ch);
    ask(w, p, ch, "auth-agent-req@openssh.com", nothing, false); /* nobody is asked */
    ask(w, p, ch, "agent-req", nothing, false);
    ask(w, p, ch, "x11-req", nothing, false);
    assert_null(T.c);
    world_leave(p);
}

static void test_agent_requests_that_are_none(void **state)
{
    world *w = *state;
    nacre_channel *ch;
    w->cfg.callbacks.agent = on_agent;
    peer *p = begin(w, &ch);
    ask(w, p, ch, "auth-agent-req@openssh.com", (nacre_span){(const uint8_t *)"x", 1}, false);
    assert_int_equal(T.status, NACRE_INVALID_ARGUMENT);
    T.directory = "/nowhere/at/all";
    ask(w, p, ch, "auth-agent-req@openssh.com", nothing, false);
    assert_int_equal(T.status, NACRE_IO);
    assert_string_equal(T.path, "");
    T.directory = NULL;
    ask(w, p, ch, "auth-agent-req@openssh.com", nothing, true);
    world_leave(p);
}

/* ---- X11 ---- */

static nacre_span x11_data(uint8_t *out, bool single, const char *protocol, const char *cookie,
                           uint8_t screen)
{
    const char *const words[2] = {protocol, cookie};
    size_t at = 0;
    out[at++] = single;
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(words[i]);
        memset(out + at, 0, 3);
        out[at + 3] = (uint8_t)n;
        memcpy(out + at + 4, words[i], n);
        at += 4 + n;
    }
    memset(out + at, 0, 3);
    out[at + 3] = screen;
    return (nacre_span){out, at + 4};
}

static const char magic[] = "MIT-MAGIC-COOKIE-1", cookie[] = "00112233445566778899aabbccddeeff";

static uint16_t port_of(const char *display)
{
    const char *colon = strrchr(display, ':');
    assert_non_null(colon);
    return (uint16_t)(6000 + strtoul(colon + 1, NULL, 10));
}

static int connect_to(const char *display)
{
    int fd = -1;
    nacre_error err = {0};
    return nacre_net_connect("127.0.0.1", port_of(display), NULL, &fd, &err) == NACRE_OK ? fd : -1;
}

static void test_x11(void **state)
{
    world *w = *state;
    nacre_channel *ch, *other;
    uint8_t data[512];
    w->cfg.callbacks.x11 = on_x11;
    peer *p = begin(w, &ch);
    p->take = true;
    ask(w, p, ch, "x11-req", x11_data(data, false, magic, cookie, 7), true);
    assert_non_null(strstr(T.display, ".7"));
    assert_int_equal(strncmp(T.display, "localhost:2", 11), 0);
    assert_string_equal(nacre_server_x11_request(T.c, T.ch)->cookie, cookie);
    char first[sizeof(T.display)];
    (void)snprintf(first, sizeof(first), "%s", T.display);
    for (int i = 0; i < 3; i++) {
        int fd = connect_to(first);
        assert_true(fd >= 0);
        world_until(w, &p->asked, i + 1);
        assert_string_equal(p->ask_type, "x11");
        assert_memory_equal(p->ask_data,
                            "\0\0\0\x09"
                            "127.0.0.1\0\0",
                            15);
        exchange(w, p, fd);
        (void)close(fd);
    }
    ask(w, p, ch, "x11-req", x11_data(data, false, magic, cookie, 0), false);
    assert_int_equal(T.status, NACRE_EXISTS);
    /* another session: another number */
    other = world_session(w, p);
    ask(w, p, other, "x11-req", x11_data(data, false, magic, cookie, 0), true);
    assert_int_not_equal(port_of(first), port_of(T.display));
    /* it ends with its session, the other's stays */
    int closed = p->closed;
    assert_int_equal(nacre_channel_close(ch), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->closed, closed + 1);
    assert_int_equal(connect_to(first), -1);
    int fd = connect_to(T.display);
    assert_true(fd >= 0);
    (void)close(fd);
    world_leave(p);
}

/* Where all addresses are meant, those of one family: AddressFamily counts for displays too. */
static void test_x11_of_one_family(void **state)
{
    world *w = *state;
    nacre_channel *ch;
    uint8_t data[512];
    w->cfg.callbacks.x11 = on_x11;
    peer *p = begin(w, &ch);
    T.x11.family = 4;
    T.x11.any_address = true;
    T.x11.display_host = "here";
    ask(w, p, ch, "x11-req", x11_data(data, false, magic, cookie, 0), true);
    int fd = -1, four = connect_to(T.display);
    nacre_error err = {0};
    assert_true(four >= 0);
    int rc = nacre_net_listen("::", port_of(T.display), 6, 1, &fd, NULL, &err);
    assert_true(rc == NACRE_OK || err.detail != EADDRINUSE); /* a host may have no IPv6 */
    if (fd >= 0) {
        (void)close(fd);
    }
    (void)close(four);
    world_leave(p);
}

static void test_x11_for_one_connection(void **state)
{
    world *w = *state;
    nacre_channel *ch;
    uint8_t data[512];
    w->cfg.callbacks.x11 = on_x11;
    peer *p = begin(w, &ch);
    p->take = true;
    ask(w, p, ch, "x11-req", x11_data(data, true, magic, cookie, 0), true);
    int fd = connect_to(T.display);
    assert_true(fd >= 0);
    world_until(w, &p->asked, 1);
    assert_int_equal(connect_to(T.display), -1);
    exchange(w, p, fd);
    (void)close(fd);
    world_leave(p);
}

static void test_x11_requests_that_are_none(void **state)
{
    world *w = *state;
    nacre_channel *ch;
    uint8_t data[512];
    nacre_x11_request r;
    nacre_error err = {0};
    w->cfg.callbacks.x11 = on_x11;
    peer *p = begin(w, &ch);
    ask(w, p, ch, "x11-req", nothing, false);
    nacre_span good = x11_data(data, false, magic, cookie, 0);
    ask(w, p, ch, "x11-req", (nacre_span){good.p, good.n - 1}, false);
    ask(w, p, ch, "x11-req", x11_data(data, false, magic, "zz", 0), false);
    ask(w, p, ch, "x11-req", x11_data(data, false, "a\nb", cookie, 0), false);
    ask(w, p, ch, "x11-req", x11_data(data, false, magic, "00\nlist", 0), false);
    assert_int_equal(T.status, NACRE_MALFORMED);
    memset(&r, 'x', sizeof(r)); /* by the call, too */
    assert_int_equal(nacre_server_x11(T.c, T.ch, &r, NULL, &err), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_server_x11(T.c, NULL, &r, NULL, &err), NACRE_INVALID_ARGUMENT);
    assert_null(nacre_server_x11_display(T.c, T.ch));
    assert_null(nacre_server_x11_request(T.c, T.ch));
    /* behind the program it is too late */
    assert_int_equal(nacre_channel_exec(ch, (nacre_span){(const uint8_t *)"x", 1}, true), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->yes, 1);
    T.ch = NULL;
    ask(w, p, ch, "x11-req", x11_data(data, false, magic, cookie, 0), false);
    assert_null(T.ch);
    world_leave(p);
}

static void test_x11_without_a_number(void **state)
{
    world *w = *state;
    nacre_channel *ch;
    uint8_t data[512];
    int fd = -1;
    w->cfg.callbacks.x11 = on_x11;
    peer *p = begin(w, &ch);
    assert_int_equal(nacre_net_listen("127.0.0.1", 65535, 4, 0, &fd, NULL, NULL), NACRE_OK);
    T.x11.display_offset = 59535;
    ask(w, p, ch, "x11-req", x11_data(data, false, magic, cookie, 0), false);
    assert_int_equal(T.status, NACRE_LIMIT);
    T.x11.display_offset = 60000;
    ask(w, p, ch, "x11-req", x11_data(data, false, magic, cookie, 0), false);
    assert_int_equal(T.status, NACRE_LIMIT);
    (void)close(fd);
    T.x11.display_offset = 2000;
    T.x11.any_address = true;
    T.x11.display_host = "this.example";
    ask(w, p, ch, "x11-req", x11_data(data, false, magic, cookie, 0), true);
    assert_int_equal(strncmp(T.display, "this.example:2", 14), 0);
    world_leave(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(test_agent),
        WITH_WORLD(test_agent_that_the_client_refuses),
        WITH_WORLD(test_agent_that_is_not_granted),
        WITH_WORLD(test_agent_requests_that_are_none),
        WITH_WORLD(test_x11),
        WITH_WORLD(test_x11_of_one_family),
        WITH_WORLD(test_x11_for_one_connection),
        WITH_WORLD(test_x11_requests_that_are_none),
        WITH_WORLD(test_x11_without_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
