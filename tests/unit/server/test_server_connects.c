/*
 * test_server_connects.c - forwarding as the server does it: connections that a client asks for, and what is
 * listened on for it, against client engines in the same loop and sockets of this process.
 */
#include "world.h"

#include "base/mem.h"
#include "channel/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000 };

/* What the callbacks answer, and what they were asked. */
static struct {
    nacre_verdict verdict;
    int gateway_ports;
    unsigned mask;
    bool unlink;
    int directs, forwards, globals;
    char host[300], path[300], origin[300];
    uint16_t port, origin_port;
} J;

static void note(const nacre_server_forward *f)
{
    (void)snprintf(J.host, sizeof(J.host), "%s", f->host ? f->host : "(none)");
    (void)snprintf(J.path, sizeof(J.path), "%s", f->path ? f->path : "(none)");
    (void)snprintf(J.origin, sizeof(J.origin), "%s", f->origin ? f->origin : "(none)");
    J.port = f->port;
    J.origin_port = f->origin_port;
}

static nacre_verdict direct(void *user, nacre_server_conn *c, const nacre_event *ev,
                            nacre_server_forward *f)
{
    (void)user;
    (void)c;
    (void)ev;
    note(f);
    J.directs++;
    return J.verdict;
}

static nacre_verdict forward(void *user, nacre_server_conn *c, const nacre_event *ev,
                             nacre_server_forward *f)
{
    (void)user;
    (void)c;
    (void)ev;
    note(f);
    f->gateway_ports = J.gateway_ports;
    f->bind_mask = J.mask;
    f->bind_unlink = J.unlink;
    J.forwards++;
    return J.verdict;
}

static nacre_verdict global(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    (void)user;
    (void)c;
    (void)ev;
    J.globals++;
    return NACRE_ACCEPT;
}

static peer *serve(world *w)
{
    memset(&J, 0, sizeof(J));
    J.verdict = NACRE_ACCEPT;
    J.mask = 0177;
    w->cfg.callbacks.auth_none = world_yes;
    w->cfg.callbacks.direct_open = direct;
    w->cfg.callbacks.forward_request = forward;
    world_start(w);
    return world_login(w);
}

/* ---- sockets of this process ---- */

static int listen_here(uint16_t *port)
{
    int fd = -1;
    nacre_error err = {0};
    if (nacre_net_listen("127.0.0.1", 0, 4, 0, &fd, port, &err) != NACRE_OK) {
        fail_msg("%s", err.text);
    }
    return fd;
}

static int accept_here(world *w, int fd)
{
    int one = -1;
    uint64_t end = nacre_loop_now(w->loop) + PATIENCE_MS;
    while (one < 0 && nacre_loop_now(w->loop) < end) {
        assert_int_equal(nacre_loop_run_once(w->loop, 10), NACRE_OK);
        one = accept(fd, NULL, NULL);
    }
    assert_true(one >= 0);
    return one;
}

/* A blocking connect to a port of a loopback address: the socket, or -errno. */
static int dial(const char *address, uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(inet_pton(AF_INET, address, &to.sin_addr), 1);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        int why = errno;
        (void)close(fd);
        return -why;
    }
    return fd;
}

static int dial_path(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    (void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        int why = errno;
        (void)close(fd);
        return -why;
    }
    return fd;
}

static ssize_t hear(world *w, int fd, char *out, size_t n)
{
    ssize_t got = -1;
    uint64_t end = nacre_loop_now(w->loop) + PATIENCE_MS;
    while (got < 0 && nacre_loop_now(w->loop) < end) {
        assert_int_equal(nacre_loop_run_once(w->loop, 10), NACRE_OK);
        got = recv(fd, out, n, MSG_DONTWAIT);
        assert_true(got >= 0 || errno == EAGAIN);
    }
    return got;
}

static void say(peer *p, nacre_channel *ch, const char *text)
{
    size_t took = 0;
    assert_int_equal(nacre_channel_write(ch, NACRE_STDOUT, text, strlen(text), &took), NACRE_OK);
    assert_int_equal(took, strlen(text));
    nacre_driver_kick(p->d);
}

/* One word each way, then both ends: what is between is a connection. */
static void exchange(world *w, peer *p, nacre_channel *ch, int fd)
{
    char text[64];
    int closed = p->closed, eofs = p->eofs;
    say(p, ch, "ping");
    assert_int_equal(hear(w, fd, text, sizeof(text)), 4);
    assert_memory_equal(text, "ping", 4);
    p->n = 0;
    assert_int_equal(send(fd, "pong", 4, MSG_NOSIGNAL), 4);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    world_until(w, &p->eofs, eofs + 1);
    assert_int_equal(p->n, 4);
    assert_memory_equal(p->out, "pong", 4);
    say(p, ch, "more"); /* the other half lives */
    assert_int_equal(nacre_channel_eof(ch), NACRE_OK);
    nacre_driver_kick(p->d);
    assert_int_equal(hear(w, fd, text, sizeof(text)), 4);
    assert_int_equal(hear(w, fd, text, sizeof(text)), 0);
    world_until(w, &p->closed, closed + 1);
    (void)close(fd);
    nacre_channel_free(ch);
}

/* ---- what clients ask for ---- */

static nacre_channel *open_raw(peer *p, const char *type, nacre_span data)
{
    nacre_channel *ch = NULL;
    assert_int_equal(nacre_channel_open(p->t, type, data, 0, 0, &ch), NACRE_OK);
    nacre_driver_kick(p->d);
    return ch;
}

static nacre_channel *ask_tcp(peer *p, const char *host, uint16_t port)
{
    nc_buf b;
    nc_buf_init(&b, NULL, NC_FWD_DATA_MAX);
    assert_int_equal(nc_fwd_write_tcp(&b, host, port, "192.0.2.7", 4711), NACRE_OK);
    nacre_channel *ch = open_raw(p, "direct-tcpip", nc_buf_span(&b));
    nc_buf_clear(&b);
    return ch;
}

static nacre_channel *ask_path(peer *p, const char *path)
{
    nc_buf b;
    nc_buf_init(&b, NULL, NC_FWD_DATA_MAX);
    assert_int_equal(nc_fwd_write_direct_path(&b, path), NACRE_OK);
    nacre_channel *ch = open_raw(p, "direct-streamlocal@openssh.com", nc_buf_span(&b));
    nc_buf_clear(&b);
    return ch;
}

/* Waits for the answer: 0 was it yes, else the reason. */
static uint32_t answer(world *w, peer *p, nacre_channel *ch)
{
    int opened = p->opened, failed = p->failed;
    uint64_t end = nacre_loop_now(w->loop) + PATIENCE_MS;
    while (p->opened == opened && p->failed == failed) {
        assert_true(nacre_loop_now(w->loop) < end);
        assert_int_equal(nacre_loop_run_once(w->loop, 100), NACRE_OK);
    }
    if (p->failed > failed) {
        nacre_channel_free(ch);
        return p->reason;
    }
    return 0;
}

static bool ask_global(world *w, peer *p, const char *name, nacre_span data)
{
    int yes = p->global_yes, no = p->global_no;
    uint64_t end = nacre_loop_now(w->loop) + PATIENCE_MS;
    assert_int_equal(nacre_global_request(p->t, name, true, data), NACRE_OK);
    nacre_driver_kick(p->d);
    while (p->global_yes == yes && p->global_no == no) {
        assert_true(nacre_loop_now(w->loop) < end);
        assert_int_equal(nacre_loop_run_once(w->loop, 100), NACRE_OK);
    }
    return p->global_yes > yes;
}

static bool ask_listen(world *w, peer *p, const char *name, const char *address, uint16_t port)
{
    nc_buf b;
    nc_buf_init(&b, NULL, NC_FWD_DATA_MAX);
    assert_int_equal(nc_fwd_write_listen(&b, address, port), NACRE_OK);
    bool yes = ask_global(w, p, name, nc_buf_span(&b));
    nc_buf_clear(&b);
    return yes;
}

static bool ask_listen_path(world *w, peer *p, const char *name, const char *path)
{
    nc_buf b;
    nc_buf_init(&b, NULL, NC_FWD_DATA_MAX);
    assert_int_equal(nc_fwd_write_listen_path(&b, path), NACRE_OK);
    bool yes = ask_global(w, p, name, nc_buf_span(&b));
    nc_buf_clear(&b);
    return yes;
}

static uint16_t told_port(const peer *p)
{
    uint16_t port = 0;
    assert_int_equal(nc_fwd_read_port(nc_span(p->reply_data, p->reply_n), &port), NACRE_OK);
    return port;
}

/* ---- connections ---- */

static void a_connection_is_made(void **state)
{
    static const char *const names[] = {"127.0.0.1", "localhost"};
    world *w = *state;
    uint16_t port = 0;
    int listener = listen_here(&port);
    peer *p = serve(w);
    for (size_t i = 0; i < 2; i++) {
        nacre_channel *ch = ask_tcp(p, names[i], port);
        int fd = accept_here(w, listener);
        assert_int_equal(p->opened ? 0 : answer(w, p, ch), 0);
        assert_string_equal(J.host, names[i]);
        assert_int_equal(J.port, port);
        assert_string_equal(J.path, "(none)");
        assert_string_equal(J.origin, "192.0.2.7");
        assert_int_equal(J.origin_port, 4711);
        exchange(w, p, ch, fd);
        p->opened = 0;
    }
    assert_int_equal(J.directs, 2);
    (void)close(listener);
    world_leave(p);
}

static void a_path_is_connected_to(void **state)
{
    world *w = *state;
    char dir[] = "/tmp/nacre-connects-XXXXXX", path[64];
    int listener = -1;
    nacre_error err = {0};
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    assert_int_equal(nacre_net_listen_unix(path, 0600, false, 0, &listener, &err), NACRE_OK);
    peer *p = serve(w);
    nacre_channel *ch = ask_path(p, path);
    assert_int_equal(answer(w, p, ch), 0);
    assert_string_equal(J.path, path);
    assert_string_equal(J.host, "(none)");
    exchange(w, p, ch, accept_here(w, listener));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(answer(w, p, ask_path(p, path)), 2);
    assert_int_equal(answer(w, p, ask_path(p, dir)), 2);
    assert_int_equal(rmdir(dir), 0);
    (void)close(listener);
    world_leave(p);
}

static void what_is_not_granted_is_not_tried(void **state)
{
    world *w = *state;
    uint16_t port = 0;
    int listener = listen_here(&port);
    peer *p = serve(w);
    static const nacre_verdict none[] = {NACRE_REFUSE, NACRE_PARTIAL, (nacre_verdict)77};
    for (size_t i = 0; i < 3; i++) {
        J.verdict = none[i];
        assert_int_equal(answer(w, p, ask_tcp(p, "127.0.0.1", port)), 1);
        assert_int_equal(answer(w, p, ask_path(p, "/nowhere")), 1);
        assert_false(ask_listen(w, p, "tcpip-forward", "localhost", 0));
        assert_false(ask_listen_path(w, p, "streamlocal-forward@openssh.com", "/tmp/nowhere"));
    }
    assert_int_equal(J.directs, 6);
    assert_int_equal(J.forwards, 6);
    assert_int_equal(accept(listener, NULL, NULL), -1);
    (void)close(listener);
    world_leave(p);
}

/* Before there is a callback that grants something: refused, as everything else. */
static void without_callbacks_nothing_is_forwarded(void **state)
{
    world *w = *state;
    w->cfg.callbacks.auth_none = world_yes;
    world_start(w);
    peer *p = world_login(w);
    assert_int_equal(answer(w, p, ask_tcp(p, "127.0.0.1", 22)), 1);
    assert_int_equal(answer(w, p, ask_path(p, "/x")), 1);
    assert_false(ask_listen(w, p, "tcpip-forward", "localhost", 0));
    assert_false(ask_listen(w, p, "cancel-tcpip-forward", "localhost", 1));
    assert_false(ask_listen_path(w, p, "streamlocal-forward@openssh.com", "/x"));
    world_leave(p);
}

static void what_fails_is_said(void **state)
{
    world *w = *state;
    uint16_t port = 0;
    int listener = listen_here(&port);
    peer *p = serve(w);
    (void)close(listener);
    assert_int_equal(answer(w, p, ask_tcp(p, "127.0.0.1", port)), 2);
    assert_int_equal(answer(w, p, ask_tcp(p, "no..such.name", port)), 2);
    world_leave(p);
}

static void malformed_requests_to_connect(void **state)
{
    world *w = *state;
    nc_buf b;
    peer *p = serve(w);
    nc_buf_init(&b, NULL, 4096);
    assert_int_equal(nc_fwd_write_tcp(&b, "h", 1, "o", 2), NACRE_OK);
    int asked = 0;
    for (size_t n = 0; n < b.len; n++, asked++) {
        assert_int_equal(answer(w, p, open_raw(p, "direct-tcpip", nc_span(b.data, n))), 2);
    }
    assert_int_equal(nc_buf_append(&b, "x", 1), NACRE_OK);
    assert_int_equal(answer(w, p, open_raw(p, "direct-tcpip", nc_buf_span(&b))), 2);
    b.data[5 + 1] = 1; /* the port: 0x010001 */
    assert_int_equal(answer(w, p, open_raw(p, "direct-tcpip", nc_span(b.data, b.len - 1))), 2);
    b.data[5 + 1] = 0;
    b.data[4] = 0; /* the host: a zero byte */
    assert_int_equal(answer(w, p, open_raw(p, "direct-tcpip", nc_span(b.data, b.len - 1))), 2);
    assert_int_equal(answer(w, p, ask_tcp(p, "", 1)), 2);
    assert_int_equal(answer(w, p, ask_tcp(p, "h", 0)), 2);
    nc_buf_reset(&b);
    assert_int_equal(nc_fwd_write_direct_path(&b, "/p"), NACRE_OK);
    for (size_t n = 0; n < b.len; n++) {
        assert_int_equal(
            answer(w, p, open_raw(p, "direct-streamlocal@openssh.com", nc_span(b.data, n))), 2);
    }
    assert_int_equal(answer(w, p, ask_path(p, "")), 2);
    assert_int_equal(J.directs, 0); /* nobody was asked */
    nc_buf_clear(&b);
    world_leave(p);
}

static void malformed_requests_to_listen(void **state)
{
    static const char *const names[] = {"tcpip-forward", "cancel-tcpip-forward",
                                        "streamlocal-forward@openssh.com",
                                        "cancel-streamlocal-forward@openssh.com"};
    world *w = *state;
    nc_buf b;
    peer *p = serve(w);
    nc_buf_init(&b, NULL, 4096);
    for (size_t i = 0; i < 4; i++) {
        nc_buf_reset(&b);
        assert_int_equal(i < 2 ? nc_fwd_write_listen(&b, "localhost", 1)
                               : nc_fwd_write_listen_path(&b, "/p"),
                         NACRE_OK);
        for (size_t n = 0; n < b.len; n++) {
            assert_false(ask_global(w, p, names[i], nc_span(b.data, n)));
        }
        assert_int_equal(nc_buf_append(&b, "x", 1), NACRE_OK);
        assert_false(ask_global(w, p, names[i], nc_buf_span(&b)));
    }
    assert_false(ask_listen_path(w, p, names[2], ""));
    assert_false(ask_listen(w, p, names[1], "localhost", 0));
    assert_int_equal(J.forwards, 0);
    /* A port that nobody would hear of. */
    nc_buf_reset(&b);
    assert_int_equal(nc_fwd_write_listen(&b, "localhost", 0), NACRE_OK);
    assert_int_equal(nacre_global_request(p->t, names[0], false, nc_buf_span(&b)), NACRE_OK);
    assert_false(ask_global(w, p, "x@y", nc_span(NULL, 0)));
    assert_int_equal(J.forwards, 0);
    nc_buf_clear(&b);
    world_leave(p);
}

/* Both are under way when the client is gone. */
static void the_client_leaves_while_it_connects(void **state)
{
    world *w = *state;
    peer *p = serve(w);
    int before = dup(0);
    (void)ask_tcp(p, "localhost", 9);
    (void)ask_tcp(p, "no-such-name.invalid", 9);
    for (int i = 0; i < 1000 && J.directs < 2; i++) {
        assert_int_equal(nacre_loop_run_once(w->loop, 10), NACRE_OK);
    }
    assert_int_equal(J.directs, 2);
    world_leave(p);
    while (nacre_server_connections(w->server) > 0) {
        assert_int_equal(nacre_loop_run_once(w->loop, 10), NACRE_OK);
    }
    (void)close(before);
}

/* All in one breath: what there is room for is tried, the rest refused, and all is as before. */
static void hundreds_of_opens_at_once(void **state)
{
    enum { OPENS = 255, ROOM = 40 };
    world *w = *state;
    uint16_t port = 0;
    int listener = listen_here(&port);
    w->cfg.transport.max_channels = ROOM;
    peer *p = serve(w);
    nacre_channel *all[OPENS];
    for (int i = 0; i < OPENS; i++) {
        all[i] = ask_tcp(p, i % 2 ? "127.0.0.1" : "localhost", i % 3 ? 9 : port);
    }
    uint64_t end = nacre_loop_now(w->loop) + PATIENCE_MS;
    while (p->opened + p->failed < OPENS) {
        assert_true(nacre_loop_now(w->loop) < end);
        assert_int_equal(nacre_loop_run_once(w->loop, 100), NACRE_OK);
    }
    assert_true(p->opened > 0 && p->opened <= ROOM);
    assert_true(p->failed >= OPENS - ROOM);
    assert_false(p->over);
    for (int i = 0; i < OPENS; i++) {
        nacre_channel_free(all[i]);
    }
    nacre_driver_kick(p->d);
    for (int one = accept(listener, NULL, NULL); one >= 0; one = accept(listener, NULL, NULL)) {
        (void)close(one);
    }
    for (int i = 0; i < 50; i++) {
        assert_int_equal(nacre_loop_run_once(w->loop, 2), NACRE_OK);
    }
    nacre_channel *ch = ask_tcp(p, "127.0.0.1", port);
    assert_int_equal(answer(w, p, ch), 0);
    exchange(w, p, ch, accept_here(w, listener));
    (void)close(listener);
    world_leave(p);
}

/* ---- listening ---- */

static void a_port_is_listened_on(void **state)
{
    world *w = *state;
    nc_fwd_tcp m;
    peer *p = serve(w);
    p->take = true;
    assert_true(ask_listen(w, p, "tcpip-forward", "localhost", 0));
    uint16_t port = told_port(p);
    assert_true(port > 0);
    for (int i = 0; i < 2; i++) {
        int fd = dial("127.0.0.1", port);
        assert_true(fd >= 0);
        world_until(w, &p->asked, i + 1);
        assert_string_equal(p->ask_type, "forwarded-tcpip");
        assert_int_equal(nc_fwd_read_tcp(nc_span(p->ask_data, p->ask_n), &m), NACRE_OK);
        assert_string_equal(m.host, "localhost");
        assert_int_equal(m.port, port);
        assert_string_equal(m.origin, "127.0.0.1");
        assert_int_not_equal(m.origin_port, 0);
        exchange(w, p, p->ask_channel, fd);
    }
    /* A port that was named is not told again. */
    assert_false(ask_listen(w, p, "cancel-tcpip-forward", "127.0.0.1", port)); /* another name */
    assert_false(ask_listen_path(w, p, "cancel-streamlocal-forward@openssh.com", "localhost"));
    assert_true(ask_listen(w, p, "cancel-tcpip-forward", "localhost", port));
    assert_int_equal(dial("127.0.0.1", port), -ECONNREFUSED);
    assert_false(ask_listen(w, p, "cancel-tcpip-forward", "localhost", port));
    assert_true(ask_listen(w, p, "tcpip-forward", "localhost", port));
    assert_int_equal(p->reply_n, 0);
    assert_false(ask_listen(w, p, "tcpip-forward", "localhost", port)); /* it is taken */
    world_leave(p);
    while (nacre_server_connections(w->server) > 0) {
        assert_int_equal(nacre_loop_run_once(w->loop, 10), NACRE_OK);
    }
    assert_int_equal(dial("127.0.0.1", port), -ECONNREFUSED);
}

static void a_path_is_listened_on(void **state)
{
    world *w = *state;
    char dir[] = "/tmp/nacre-connects-XXXXXX", path[64];
    struct stat st;
    nc_fwd_path m;
    static const char start[] = "streamlocal-forward@openssh.com",
                      cancel[] = "cancel-streamlocal-forward@openssh.com";
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    peer *p = serve(w);
    p->take = true;
    J.mask = 0117;
    assert_true(ask_listen_path(w, p, start, path));
    assert_int_equal(p->reply_n, 0);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    int fd = dial_path(path);
    assert_true(fd >= 0);
    world_until(w, &p->asked, 1);
    assert_string_equal(p->ask_type, "forwarded-streamlocal@openssh.com");
    assert_int_equal(nc_fwd_read_path(nc_span(p->ask_data, p->ask_n), &m), NACRE_OK);
    assert_string_equal(m.path, path);
    exchange(w, p, p->ask_channel, fd);
    /* Somebody is there; with StreamLocalBindUnlink that is no obstacle. */
    assert_false(ask_listen_path(w, p, start, path));
    assert_true(ask_listen_path(w, p, cancel, path));
    assert_int_equal(lstat(path, &st), -1);
    assert_false(ask_listen_path(w, p, cancel, path));
    int other = -1;
    nacre_error err = {0};
    assert_int_equal(nacre_net_listen_unix(path, 0600, false, 0, &other, &err), NACRE_OK);
    (void)close(other); /* its file stays */
    assert_false(ask_listen_path(w, p, start, path));
    J.unlink = true;
    assert_true(ask_listen_path(w, p, start, path));
    world_leave(p);
    while (nacre_server_connections(w->server) > 0) {
        assert_int_equal(nacre_loop_run_once(w->loop, 10), NACRE_OK);
    }
    assert_int_equal(lstat(path, &st), -1);
    assert_int_equal(rmdir(dir), 0);
}

/* 127.0.0.2 is this host's as well: who listens on 127.0.0.1 does not hear it. */
static void where_gateway_ports_lets_listen(void **state)
{
    static const struct {
        int gateway_ports;
        const char *address;
        bool yes, here, beside;
    } rows[] = {
        {0, "", true, true, false},
        {0, "0.0.0.0", true, true, false},
        {0, "127.0.0.2", true, true, false},
        {0, "127.0.0.1", true, true, false},
        {0, "example.invalid", true, true, false}, /* not looked up either */
        {1, "localhost", true, true, true},
        {1, "127.0.0.1", true, true, true},
        {2, "", true, true, true},
        {2, "*", true, true, true},
        {2, "0.0.0.0", true, true, true},
        {2, "localhost", true, true, false},
        {2, "127.0.0.1", true, true, false},
        {2, "127.0.0.2", true, false, true},
        {2, "example.invalid", false, false, false},
        {2, "127.0.0.1 ", false, false, false},
    };
    world *w = *state;
    peer *p = serve(w);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        J.gateway_ports = rows[i].gateway_ports;
        bool yes = ask_listen(w, p, "tcpip-forward", rows[i].address, 0);
        if (yes != rows[i].yes) {
            fail_msg("row %zu: %d", i, yes);
        }
        if (!yes) {
            continue;
        }
        uint16_t port = told_port(p);
        int here = dial("127.0.0.1", port), beside = dial("127.0.0.2", port);
        if ((here >= 0) != rows[i].here || (beside >= 0) != rows[i].beside) {
            fail_msg("row %zu: %d %d", i, here, beside);
        }
        (void)(here < 0 ? 0 : close(here));
        (void)(beside < 0 ? 0 : close(beside));
        assert_true(ask_listen(w, p, "cancel-tcpip-forward", rows[i].address, port));
    }
    world_leave(p);
}

static void so_many_and_no_more(void **state)
{
    world *w = *state;
    peer *p = serve(w);
    uint16_t last = 0;
    for (int i = 0; i < 128; i++) {
        assert_true(ask_listen(w, p, "tcpip-forward", "127.0.0.1", 0));
        last = told_port(p);
    }
    assert_false(ask_listen(w, p, "tcpip-forward", "127.0.0.1", 0));
    assert_true(ask_listen(w, p, "cancel-tcpip-forward", "127.0.0.1", last));
    assert_true(ask_listen(w, p, "tcpip-forward", "127.0.0.1", last));
    world_leave(p);
}

/* No channel is left: who connects waits until one is. */
static void who_connects_waits_for_a_channel(void **state)
{
    world *w = *state;
    char text[8];
    w->cfg.transport.max_channels = 2;
    peer *p = serve(w);
    p->take = true;
    assert_true(ask_listen(w, p, "tcpip-forward", "localhost", 0));
    uint16_t port = told_port(p);
    int fds[4];
    nacre_channel *first = NULL;
    for (int i = 0; i < 4; i++) {
        fds[i] = dial("127.0.0.1", port);
        assert_true(fds[i] >= 0);
        if (i < 2) {
            world_until(w, &p->asked, i + 1);
            first = first ? first : p->ask_channel;
        }
    }
    for (int i = 0; i < 50; i++) {
        assert_int_equal(nacre_loop_run_once(w->loop, 5), NACRE_OK);
    }
    assert_int_equal(p->asked, 2);
    assert_int_equal(recv(fds[2], text, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    exchange(w, p, first, fds[0]);
    world_until(w, &p->asked, 3);
    exchange(w, p, p->ask_channel, fds[2]);
    world_until(w, &p->asked, 4);
    exchange(w, p, p->ask_channel, fds[3]);
    (void)close(fds[1]);
    world_leave(p);
}

static void cancelled_while_somebody_waits(void **state)
{
    world *w = *state;
    char text[8];
    w->cfg.transport.max_channels = 1;
    peer *p = serve(w);
    p->take = true;
    assert_true(ask_listen(w, p, "tcpip-forward", "localhost", 0));
    uint16_t port = told_port(p);
    int first = dial("127.0.0.1", port);
    world_until(w, &p->asked, 1);
    int second = dial("127.0.0.1", port);
    assert_true(first >= 0 && second >= 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(nacre_loop_run_once(w->loop, 5), NACRE_OK);
    }
    assert_true(ask_listen(w, p, "cancel-tcpip-forward", "localhost", port));
    assert_int_equal(hear(w, second, text, 1), 0); /* nobody will come for it */
    exchange(w, p, p->ask_channel, first);         /* what runs goes on */
    (void)close(second);
    world_leave(p);
}

static nacre_server_conn *last;
static uint32_t last_ticket;

static nacre_verdict listen_later(void *user, nacre_server_conn *c, const nacre_event *ev,
                                  nacre_server_forward *f)
{
    (void)user;
    note(f);
    last = c;
    last_ticket = ev->ticket;
    J.forwards++;
    return NACRE_LATER;
}

/* It has sockets of its own, and says by hand what the library says otherwise. */
static void the_application_carries_what_it_likes(void **state)
{
    world *w = *state;
    nc_fwd_tcp m;
    nc_fwd_path path;
    nacre_error err = {0};
    nacre_server_forward f;
    char name[300];
    int pair[2];
    peer *p = serve(w);
    w->cfg.callbacks.forward_request = listen_later;
    world_leave(p);
    nacre_server_free(w->server);
    world_start(w);
    p = world_login(w);
    p->take = true;
    assert_int_equal(
        nacre_global_request(p->t, "tcpip-forward", true, nc_span("\0\0\0\1h\0\0\0\0", 9)),
        NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &J.forwards, 1);
    assert_string_equal(J.host, "h");
    assert_false(nacre_server_listens(last, 0, &f));
    nacre_answer yes = {.accept = true, .data = nc_span("\0\0\0\7", 4)};
    assert_int_equal(nacre_server_answer(last, last_ticket, &yes), NACRE_OK);
    world_until(w, &p->global_yes, 1);
    assert_int_equal(told_port(p), 7);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(nacre_server_carry_tcp(last, "h", 7, "192.0.2.1", 8, pair[0], &err), NACRE_OK);
    world_until(w, &p->asked, 1);
    assert_string_equal(p->ask_type, "forwarded-tcpip");
    assert_int_equal(nc_fwd_read_tcp(nc_span(p->ask_data, p->ask_n), &m), NACRE_OK);
    assert_string_equal(m.host, "h");
    assert_int_equal(m.port, 7);
    assert_string_equal(m.origin, "192.0.2.1");
    assert_int_equal(m.origin_port, 8);
    exchange(w, p, p->ask_channel, pair[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(nacre_server_carry_path(last, "/p", pair[0], &err), NACRE_OK);
    world_until(w, &p->asked, 2);
    assert_int_equal(nc_fwd_read_path(nc_span(p->ask_data, p->ask_n), &path), NACRE_OK);
    assert_string_equal(path.path, "/p");
    exchange(w, p, p->ask_channel, pair[1]);
    /* What no client could read is not sent. */
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_not_equal(nacre_server_carry_tcp(last, name, 7, name, 8, 0, &err), NACRE_OK);
    assert_int_not_equal(nacre_server_carry_tcp(last, "h", 7, "o", 8, -1, &err), NACRE_OK);
    world_leave(p);
}

static nacre_verdict keep_login(void *user, nacre_server_conn *c, const char *name,
                                const nacre_key *key)
{
    (void)user;
    (void)name;
    (void)key;
    last = c;
    return NACRE_ACCEPT;
}

static void what_is_listened_on_is_listed(void **state)
{
    world *w = *state;
    nacre_server_forward f;
    w->cfg.callbacks.authenticated = keep_login;
    peer *p = serve(w);
    assert_false(nacre_server_listens(last, 0, &f));
    assert_true(ask_listen(w, p, "tcpip-forward", "127.0.0.1", 0));
    uint16_t port = told_port(p);
    assert_true(nacre_server_listens(last, 0, &f));
    assert_string_equal(f.host, "127.0.0.1");
    assert_int_equal(f.port, port);
    assert_null(f.path);
    assert_false(nacre_server_listens(last, 1, &f));
    assert_true(ask_listen(w, p, "cancel-tcpip-forward", "127.0.0.1", port));
    assert_false(nacre_server_listens(last, 0, &f));
    world_leave(p);
}

static void the_application_listens_itself(void **state)
{
    world *w = *state;
    w->cfg.callbacks.global_request = global;
    peer *p = serve(w);
    assert_true(ask_listen(w, p, "cancel-tcpip-forward", "localhost", 7));
    assert_true(ask_listen_path(w, p, "cancel-streamlocal-forward@openssh.com", "/x"));
    assert_int_equal(J.globals, 2);
    assert_true(ask_listen(w, p, "tcpip-forward", "localhost", 0));
    uint16_t port = told_port(p);
    assert_true(ask_listen(w, p, "cancel-tcpip-forward", "localhost", port));
    assert_int_equal(J.globals, 2); /* that one was the library's */
    world_leave(p);
}

/* ---- without memory ---- */

typedef struct meter {
    bool on;
    size_t count, fail_at, live;
} meter;

static bool fails(meter *m)
{
    return m->on && ++m->count == m->fail_at;
}

static void *meter_alloc(void *user, size_t n)
{
    meter *m = user;
    void *p = fails(m) ? NULL : malloc(n);
    m->live += p ? 1 : 0;
    return p;
}

static void *meter_resize(void *user, void *old, size_t n)
{
    meter *m = user;
    void *p = fails(m) ? NULL : realloc(old, n);
    m->live += p && !old ? 1 : 0;
    return p;
}

static void meter_release(void *user, void *p)
{
    meter *m = user;
    m->live -= p ? 1 : 0;
    free(p);
}

/* A round of everything, each allocation of the server failing in turn: refusals, and nothing is left. */
static void every_allocation_may_fail(void **state)
{
    world *w = *state;
    uint16_t port = 0;
    int listener = listen_here(&port);
    bool whole = false;
    for (size_t n = 1; n < 400 && !whole; n++) {
        meter m = {.fail_at = n};
        const nacre_allocator a = {meter_alloc, meter_resize, meter_release, &m};
        w->cfg.transport.allocator = &a;
        peer *p = serve(w);
        p->take = true;
        m.on = true;
        nacre_channel *ch = ask_tcp(p, "127.0.0.1", port);
        for (int i = 0; i < 200 && p->opened + p->failed == 0 && !p->over; i++) {
            assert_int_equal(nacre_loop_run_once(w->loop, 20), NACRE_OK);
        }
        bool yes = p->opened > 0;
        if (!p->over) {
            assert_int_equal(
                nacre_global_request(p->t, "tcpip-forward", true, nc_span("\0\0\0\0\0\0\0\0", 8)),
                NACRE_OK);
            nacre_driver_kick(p->d);
        }
        for (int i = 0; i < 200 && p->global_yes + p->global_no == 0 && !p->over; i++) {
            assert_int_equal(nacre_loop_run_once(w->loop, 20), NACRE_OK);
        }
        int fd = p->global_yes ? dial("127.0.0.1", told_port(p)) : -1;
        for (int i = 0; fd >= 0 && i < 20 && p->asked == 0 && !p->over; i++) {
            assert_int_equal(nacre_loop_run_once(w->loop, 20), NACRE_OK);
        }
        whole = yes && p->asked > 0 && m.count < n;
        m.on = false;
        (void)(fd < 0 ? 0 : close(fd));
        (void)ch;
        world_leave(p);
        nacre_server_free(w->server);
        w->server = NULL;
        assert_int_equal(m.live, 0);
        for (int one = accept(listener, NULL, NULL); one >= 0; one = accept(listener, NULL, NULL)) {
            (void)close(one);
        }
    }
    assert_true(whole);
    (void)close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(a_connection_is_made),
        WITH_WORLD(a_path_is_connected_to),
        WITH_WORLD(what_is_not_granted_is_not_tried),
        WITH_WORLD(without_callbacks_nothing_is_forwarded),
        WITH_WORLD(what_fails_is_said),
        WITH_WORLD(malformed_requests_to_connect),
        WITH_WORLD(malformed_requests_to_listen),
        WITH_WORLD(the_client_leaves_while_it_connects),
        WITH_WORLD(hundreds_of_opens_at_once),
        WITH_WORLD(a_port_is_listened_on),
        WITH_WORLD(a_path_is_listened_on),
        WITH_WORLD(where_gateway_ports_lets_listen),
        WITH_WORLD(so_many_and_no_more),
        WITH_WORLD(who_connects_waits_for_a_channel),
        WITH_WORLD(cancelled_while_somebody_waits),
        WITH_WORLD(the_application_listens_itself),
        WITH_WORLD(the_application_carries_what_it_likes),
        WITH_WORLD(what_is_listened_on_is_listed),
        WITH_WORLD(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
