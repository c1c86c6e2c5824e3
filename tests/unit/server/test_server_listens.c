/*
 * test_server_listens.c - what clients have a server listen on, and who connects there.
 */
#include "forwards.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_port_is_listened_on(void **state)
{
    world *w = *state;
    nc_fwd_tcp m;
    peer *p = forwards_serve(w);
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
        forwards_exchange(w, p, p->ask_channel, fd);
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
    peer *p = forwards_serve(w);
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
    forwards_exchange(w, p, p->ask_channel, fd);
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
    peer *p = forwards_serve(w);
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
    peer *p = forwards_serve(w);
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
    peer *p = forwards_serve(w);
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
    forwards_exchange(w, p, first, fds[0]);
    world_until(w, &p->asked, 3);
    forwards_exchange(w, p, p->ask_channel, fds[2]);
    world_until(w, &p->asked, 4);
    forwards_exchange(w, p, p->ask_channel, fds[3]);
    (void)close(fds[1]);
    world_leave(p);
}

static void cancelled_while_somebody_waits(void **state)
{
    world *w = *state;
    char text[8];
    w->cfg.transport.max_channels = 1;
    peer *p = forwards_serve(w);
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
    assert_int_equal(forwards_hear(w, second, text, 1), 0); /* nobody will come for it */
    forwards_exchange(w, p, p->ask_channel, first);         /* what runs goes on */
    (void)close(second);
    world_leave(p);
}

static nacre_server_conn *last;
static uint32_t last_ticket;

static nacre_verdict listen_later(void *user, nacre_server_conn *c, const nacre_event *ev,
                                  nacre_server_forward *f)
{
    (void)user;
    forwards_note(f);
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
    peer *p = forwards_serve(w);
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
    forwards_exchange(w, p, p->ask_channel, pair[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(nacre_server_carry_path(last, "/p", pair[0], &err), NACRE_OK);
    world_until(w, &p->asked, 2);
    assert_int_equal(nc_fwd_read_path(nc_span(p->ask_data, p->ask_n), &path), NACRE_OK);
    assert_string_equal(path.path, "/p");
    forwards_exchange(w, p, p->ask_channel, pair[1]);
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
    peer *p = forwards_serve(w);
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
    w->cfg.callbacks.global_request = forwards_global;
    peer *p = forwards_serve(w);
    assert_true(ask_listen(w, p, "cancel-tcpip-forward", "localhost", 7));
    assert_true(ask_listen_path(w, p, "cancel-streamlocal-forward@openssh.com", "/x"));
    assert_int_equal(J.globals, 2);
    assert_true(ask_listen(w, p, "tcpip-forward", "localhost", 0));
    uint16_t port = told_port(p);
    assert_true(ask_listen(w, p, "cancel-tcpip-forward", "localhost", port));
    assert_int_equal(J.globals, 2); /* that one was the library's */
    world_leave(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(a_port_is_listened_on),
        WITH_WORLD(a_path_is_listened_on),
        WITH_WORLD(where_gateway_ports_lets_listen),
        WITH_WORLD(so_many_and_no_more),
        WITH_WORLD(who_connects_waits_for_a_channel),
        WITH_WORLD(cancelled_while_somebody_waits),
        WITH_WORLD(the_application_listens_itself),
        WITH_WORLD(the_application_carries_what_it_likes),
        WITH_WORLD(what_is_listened_on_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
