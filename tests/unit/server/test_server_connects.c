/*
 * test_server_connects.c - connections that clients ask a server for, against client engines in the same loop and
 * sockets of this process.
 */
#include "forwards.h"

#include "base/mem.h"
#include "support/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_connection_is_made(void **state)
{
    static const char *const names[] = {"127.0.0.1", "localhost"};
    world *w = *state;
    uint16_t port = 0;
    int listener = listen_here(&port);
    peer *p = forwards_serve(w);
    for (size_t i = 0; i < 2; i++) {
        nacre_channel *ch = ask_tcp(p, names[i], port);
        int fd = accept_here(w, listener);
        assert_int_equal(p->opened ? 0 : forwards_answer(w, p, ch), 0);
        assert_string_equal(J.host, names[i]);
        assert_int_equal(J.port, port);
        assert_string_equal(J.path, "(none)");
        assert_string_equal(J.origin, "192.0.2.7");
        assert_int_equal(J.origin_port, 4711);
        forwards_exchange(w, p, ch, fd);
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
    peer *p = forwards_serve(w);
    nacre_channel *ch = ask_path(p, path);
    assert_int_equal(forwards_answer(w, p, ch), 0);
    assert_string_equal(J.path, path);
    assert_string_equal(J.host, "(none)");
    forwards_exchange(w, p, ch, accept_here(w, listener));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(forwards_answer(w, p, ask_path(p, path)), 2);
    assert_int_equal(forwards_answer(w, p, ask_path(p, dir)), 2);
    assert_int_equal(rmdir(dir), 0);
    (void)close(listener);
    world_leave(p);
}

static void what_is_not_granted_is_not_tried(void **state)
{
    world *w = *state;
    uint16_t port = 0;
    int listener = listen_here(&port);
    peer *p = forwards_serve(w);
    static const nacre_verdict none[] = {NACRE_REFUSE, NACRE_PARTIAL, (nacre_verdict)77};
    for (size_t i = 0; i < 3; i++) {
        J.verdict = none[i];
        assert_int_equal(forwards_answer(w, p, ask_tcp(p, "127.0.0.1", port)), 1);
        assert_int_equal(forwards_answer(w, p, ask_path(p, "/nowhere")), 1);
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
    assert_int_equal(forwards_answer(w, p, ask_tcp(p, "127.0.0.1", 22)), 1);
    assert_int_equal(forwards_answer(w, p, ask_path(p, "/x")), 1);
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
    peer *p = forwards_serve(w);
    (void)close(listener);
    assert_int_equal(forwards_answer(w, p, ask_tcp(p, "127.0.0.1", port)), 2);
    assert_int_equal(forwards_answer(w, p, ask_tcp(p, "no..such.name", port)), 2);
    world_leave(p);
}

static void malformed_requests_to_connect(void **state)
{
    world *w = *state;
    nc_buf b;
    peer *p = forwards_serve(w);
    nc_buf_init(&b, NULL, 4096);
    assert_int_equal(nc_fwd_write_tcp(&b, "h", 1, "o", 2), NACRE_OK);
    int asked = 0;
    for (size_t n = 0; n < b.len; n++, asked++) {
        assert_int_equal(forwards_answer(w, p, open_raw(p, "direct-tcpip", nc_span(b.data, n))), 2);
    }
    assert_int_equal(nc_buf_append(&b, "x", 1), NACRE_OK);
    assert_int_equal(forwards_answer(w, p, open_raw(p, "direct-tcpip", nc_buf_span(&b))), 2);
    b.data[5 + 1] = 1; /* the port: 0x010001 */
    assert_int_equal(forwards_answer(w, p, open_raw(p, "direct-tcpip", nc_span(b.data, b.len - 1))),
                     2);
    b.data[5 + 1] = 0;
    b.data[4] = 0; /* the host: a zero byte */
    assert_int_equal(forwards_answer(w, p, open_raw(p, "direct-tcpip", nc_span(b.data, b.len - 1))),
                     2);
    assert_int_equal(forwards_answer(w, p, ask_tcp(p, "", 1)), 2);
    assert_int_equal(forwards_answer(w, p, ask_tcp(p, "h", 0)), 2);
    nc_buf_reset(&b);
    assert_int_equal(nc_fwd_write_direct_path(&b, "/p"), NACRE_OK);
    for (size_t n = 0; n < b.len; n++) {
        assert_int_equal(
            forwards_answer(w, p,
                            open_raw(p, "direct-streamlocal@openssh.com", nc_span(b.data, n))),
            2);
    }
    assert_int_equal(forwards_answer(w, p, ask_path(p, "")), 2);
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
    peer *p = forwards_serve(w);
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
    peer *p = forwards_serve(w);
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
    peer *p = forwards_serve(w);
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
    assert_int_equal(forwards_answer(w, p, ch), 0);
    forwards_exchange(w, p, ch, accept_here(w, listener));
    (void)close(listener);
    world_leave(p);
}

/* ---- without memory ---- */

/* A round of everything, each allocation of the server failing in turn: refusals, and nothing is left. */
static void every_allocation_may_fail(void **state)
{
    world *w = *state;
    uint16_t port = 0;
    int listener = listen_here(&port);
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        m.paused = true;
        w->cfg.transport.allocator = &m.hooks;
        peer *p = forwards_serve(w);
        p->take = true;
        m.paused = false;
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
        assert_true(m.failed || (yes && p->asked > 0));
        m.paused = true;
        (void)(fd < 0 ? 0 : close(fd));
        (void)ch;
        world_leave(p);
        nacre_server_free(w->server);
        w->server = NULL;
        for (int one = accept(listener, NULL, NULL); one >= 0; one = accept(listener, NULL, NULL)) {
            (void)close(one);
        }
    }
    assert_true(m.round > 10);
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
        WITH_WORLD(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
