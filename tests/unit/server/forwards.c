/*
 * forwards.c - see forwards.h.
 */
#include "forwards.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

judge J;

void forwards_note(const nacre_server_forward *f)
{
    (void)snprintf(J.host, sizeof(J.host), "%s", f->host ? f->host : "(none)");
    (void)snprintf(J.path, sizeof(J.path), "%s", f->path ? f->path : "(none)");
    (void)snprintf(J.origin, sizeof(J.origin), "%s", f->origin ? f->origin : "(none)");
    J.port = f->port;
    J.origin_port = f->origin_port;
}

nacre_verdict forwards_direct(void *user, nacre_server_conn *c, const nacre_event *ev,
                              nacre_server_forward *f)
{
    (void)user;
    (void)c;
    (void)ev;
    forwards_note(f);
    J.directs++;
    return J.verdict;
}

nacre_verdict forwards_forward(void *user, nacre_server_conn *c, const nacre_event *ev,
                               nacre_server_forward *f)
{
    (void)user;
    (void)c;
    (void)ev;
    forwards_note(f);
    f->gateway_ports = J.gateway_ports;
    f->bind_mask = J.mask;
    f->bind_unlink = J.unlink;
    J.forwards++;
    return J.verdict;
}

nacre_verdict forwards_global(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    (void)user;
    (void)c;
    (void)ev;
    J.globals++;
    return NACRE_ACCEPT;
}

peer *forwards_serve(world *w)
{
    memset(&J, 0, sizeof(J));
    J.verdict = NACRE_ACCEPT;
    J.mask = 0177;
    w->cfg.callbacks.auth_none = world_yes;
    w->cfg.callbacks.direct_open = forwards_direct;
    w->cfg.callbacks.forward_request = forwards_forward;
    world_start(w);
    return world_login(w);
}

/* ---- sockets of this process ---- */

int listen_here(uint16_t *port)
{
    int fd = -1;
    nacre_error err = {0};
    if (nacre_net_listen("127.0.0.1", 0, 4, 0, &fd, port, &err) != NACRE_OK) {
        fail_msg("%s", err.text);
    }
    return fd;
}

int accept_here(world *w, int fd)
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
int dial(const char *address, uint16_t port)
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

int dial_path(const char *path)
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

ssize_t forwards_hear(world *w, int fd, char *out, size_t n)
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

void forwards_say(peer *p, nacre_channel *ch, const char *text)
{
    size_t took = 0;
    assert_int_equal(nacre_channel_write(ch, NACRE_STDOUT, text, strlen(text), &took), NACRE_OK);
    assert_int_equal(took, strlen(text));
    nacre_driver_kick(p->d);
}

/* One word each way, then both ends: what is between is a connection. */
void forwards_exchange(world *w, peer *p, nacre_channel *ch, int fd)
{
    char text[64];
    int closed = p->closed, eofs = p->eofs;
    forwards_say(p, ch, "ping");
    assert_int_equal(forwards_hear(w, fd, text, sizeof(text)), 4);
    assert_memory_equal(text, "ping", 4);
    p->n = 0;
    assert_int_equal(send(fd, "pong", 4, MSG_NOSIGNAL), 4);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    world_until(w, &p->eofs, eofs + 1);
    assert_int_equal(p->n, 4);
    assert_memory_equal(p->out, "pong", 4);
    forwards_say(p, ch, "more"); /* the other half lives */
    assert_int_equal(nacre_channel_eof(ch), NACRE_OK);
    nacre_driver_kick(p->d);
    assert_int_equal(forwards_hear(w, fd, text, sizeof(text)), 4);
    assert_int_equal(forwards_hear(w, fd, text, sizeof(text)), 0);
    world_until(w, &p->closed, closed + 1);
    (void)close(fd);
    nacre_channel_free(ch);
}

/* ---- what clients ask for ---- */

nacre_channel *open_raw(peer *p, const char *type, nacre_span data)
{
    nacre_channel *ch = NULL;
    assert_int_equal(nacre_channel_open(p->t, type, data, 0, 0, &ch), NACRE_OK);
    nacre_driver_kick(p->d);
    return ch;
}

nacre_channel *ask_tcp(peer *p, const char *host, uint16_t port)
{
    nc_buf b;
    nc_buf_init(&b, NULL, NC_FWD_DATA_MAX);
    assert_int_equal(nc_fwd_write_tcp(&b, host, port, "192.0.2.7", 4711), NACRE_OK);
    nacre_channel *ch = open_raw(p, "direct-tcpip", nc_buf_span(&b));
    nc_buf_clear(&b);
    return ch;
}

nacre_channel *ask_path(peer *p, const char *path)
{
    nc_buf b;
    nc_buf_init(&b, NULL, NC_FWD_DATA_MAX);
    assert_int_equal(nc_fwd_write_direct_path(&b, path), NACRE_OK);
    nacre_channel *ch = open_raw(p, "direct-streamlocal@openssh.com", nc_buf_span(&b));
    nc_buf_clear(&b);
    return ch;
}

/* Waits for the answer: 0 was it yes, else the reason. */
uint32_t forwards_answer(world *w, peer *p, nacre_channel *ch)
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

bool ask_global(world *w, peer *p, const char *name, nacre_span data)
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

bool ask_listen(world *w, peer *p, const char *name, const char *address, uint16_t port)
{
    nc_buf b;
    nc_buf_init(&b, NULL, NC_FWD_DATA_MAX);
    assert_int_equal(nc_fwd_write_listen(&b, address, port), NACRE_OK);
    bool yes = ask_global(w, p, name, nc_buf_span(&b));
    nc_buf_clear(&b);
    return yes;
}

bool ask_listen_path(world *w, peer *p, const char *name, const char *path)
{
    nc_buf b;
    nc_buf_init(&b, NULL, NC_FWD_DATA_MAX);
    assert_int_equal(nc_fwd_write_listen_path(&b, path), NACRE_OK);
    bool yes = ask_global(w, p, name, nc_buf_span(&b));
    nc_buf_clear(&b);
    return yes;
}

uint16_t told_port(const peer *p)
{
    uint16_t port = 0;
    assert_int_equal(nc_fwd_read_port(nc_span(p->reply_data, p->reply_n), &port), NACRE_OK);
    return port;
}
