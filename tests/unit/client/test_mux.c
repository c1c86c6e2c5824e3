/*
 * A shared connection: clients and a master of ours. The server is
 * one engine in the master's loop; who blocks does it in a thread of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "channel/control.h"
#include "io/control_socket.h"
#include "mux_share.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what is asked for ---- */

static void requests_are_served(void **state)
{
    share sh;
    struct stat st;
    nacre_mux *x = NULL;
    (void)state;
    share_up(&sh, false, 0);
    assert_int_equal(stat(sh.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    share_beside(&sh, share_ask_all);
    assert_int_equal(sh.rc, NACRE_OK);
    assert_int_equal(sh.terminated, 1);
    assert_int_equal(sh.stopped, 1);
    assert_int_equal(stat(sh.path, &st), -1);
    assert_int_equal(nacre_mux_connect(&x, sh.path, 100, NULL, NULL), NACRE_NOT_FOUND);
    share_alone(&sh);
    share_down(&sh);
}

static void ask_denied(share *sh)
{
    int fds[3] = {0, 1, 2};
    const nacre_forward_end where = {.host = "h", .port = 1};
    nacre_mux_session o;
    nacre_mux *x = share_join(sh);
    nacre_mux_session_init(&o);
    o.command = "echo";
    int fd = -1;
    bool all = nacre_mux_terminate(x) == NACRE_REQUEST_REFUSED &&
               nacre_mux_stop(x) == NACRE_REQUEST_REFUSED &&
               nacre_mux_open_session(x, &o) == NACRE_REQUEST_REFUSED &&
               nacre_mux_open_stdio(x, &where, fds) == NACRE_REQUEST_REFUSED &&
               nacre_mux_proxy(x, &fd) == NACRE_REQUEST_REFUSED;
    sh->rc =
        all && strstr(nacre_mux_error(x)->text, "Permission denied") ? NACRE_OK : NACRE_MISMATCH;
    nacre_mux_free(x);
}

static void people_may_refuse(void **state)
{
    share sh;
    (void)state;
    share_up(&sh, true, 0);
    sh.deny = true;
    share_beside(&sh, ask_denied);
    assert_int_equal(sh.rc, NACRE_OK);
    assert_int_equal(sh.asked, 5);
    assert_int_equal(sh.terminated + sh.stopped, 0);
    assert_int_equal(sh.s.opens, 0);
    share_alone(&sh);
    share_down(&sh);
}

/* ---- sessions ---- */

static bool note_env(stage *s, const nacre_event *ev)
{
    if (ev->type == NACRE_EVENT_CHANNEL_REQUEST && nc_span_is(ev->u.request.name, "env")) {
        char *seen = s->hook_user;
        size_t at = strlen(seen);
        (void)snprintf(seen + at, 256 - at, "%.*s ", (int)ev->u.request.command.n,
                       (const char *)ev->u.request.command.p);
    }
    return false;
}

static void a_session_runs(void **state)
{
    share sh;
    char seen[256] = "";
    (void)state;
    share_up(&sh, true, 0);
    sh.s.hook = note_env;
    sh.s.hook_user = seen;
    for (int i = 0; i < 3; i++) {
        share_beside(&sh, share_session);
        assert_int_equal(sh.rc, NACRE_OK);
    }
    assert_int_equal(sh.asked, 3);
    assert_non_null(strstr(sh.question, "Allow shared connection"));
    assert_string_equal(seen, "LANG LANG LANG ");
    share_alone(&sh);
    share_down(&sh);
}

static void refused_session(share *sh)
{
    nacre_mux_session o;
    uint32_t pid;
    nacre_mux *x = share_join(sh);
    nacre_mux_session_init(&o);
    o.command = "cat";
    sh->rc = nacre_mux_open_session(x, &o) == NACRE_REQUEST_REFUSED &&
                     nacre_mux_alive(x, &pid) == NACRE_OK
                 ? NACRE_OK
                 : NACRE_MISMATCH;
    nacre_mux_free(x);
}

static void the_server_may_refuse(void **state)
{
    share sh;
    (void)state;
    share_up(&sh, false, 0);
    sh.s.refuse_channels = true;
    share_beside(&sh, refused_session);
    assert_int_equal(sh.rc, NACRE_OK);
    share_alone(&sh);
    share_down(&sh);
}

/* A client that goes while its session runs, or before it does, takes the session with it. */
static void open_and_leave(share *sh)
{
    int in[2];
    nacre_mux_session o;
    nacre_mux *x = share_join(sh);
    if (pipe(in) != 0) {
        return;
    }
    nacre_mux_session_init(&o);
    o.command = "cat";
    o.fds[0] = in[0];
    sh->rc = nacre_mux_open_session(x, &o);
    nacre_mux_free(x);
    (void)close(in[0]);
    (void)close(in[1]);
}

static void leaving_ends_a_session(void **state)
{
    share sh;
    nacre_counters n;
    (void)state;
    share_up(&sh, false, 0);
    share_beside(&sh, open_and_leave);
    assert_int_equal(sh.rc, NACRE_OK);
    share_alone(&sh);
    nacre_transport_counters(nacre_client_transport(sh.s.c), &n);
    for (int i = 0; i < 1000 && n.channels > 0; i++) {
        assert_int_equal(nacre_loop_run_once(sh.s.loop, 10), NACRE_OK);
        nacre_transport_counters(nacre_client_transport(sh.s.c), &n);
    }
    assert_int_equal(n.channels, 0);
    share_down(&sh);
}

static void wait_cut_off(share *sh)
{
    int in[2];
    nacre_mux_session o;
    nacre_mux_result result;
    nacre_mux *x = share_join(sh);
    if (pipe(in) != 0) {
        return;
    }
    nacre_mux_session_init(&o);
    o.command = "drop"; /* the server disconnects */
    o.fds[0] = in[0];
    sh->rc = nacre_mux_open_session(x, &o);
    if (sh->rc == NACRE_OK) {
        sh->rc = nacre_mux_wait(x, SHARE_MS, &result);
        sh->rc = sh->rc == NACRE_OK && result.exited ? NACRE_MISMATCH : sh->rc;
    }
    nacre_mux_free(x);
    (void)close(in[0]);
    (void)close(in[1]);
}

static void a_lost_connection_ends_sessions(void **state)
{
    share sh;
    (void)state;
    share_up(&sh, false, 0);
    share_beside(&sh, wait_cut_off);
    assert_int_equal(sh.rc, NACRE_OK);
    share_alone(&sh);
    share_down(&sh);
}

/* ---- the connection protocol itself ---- */

static void a_proxied_client_speaks_itself(void **state)
{
    share sh;
    (void)state;
    share_up(&sh, false, 0);
    share_beside(&sh, share_proxied);
    assert_int_equal(sh.rc, NACRE_OK);
    share_alone(&sh);
    assert_int_equal(sh.s.opens, 4);
    /* its goodbye was not the server's */
    assert_false(sh.s.gone);
    share_beside(&sh, share_session);
    assert_int_equal(sh.rc, NACRE_OK);
    share_alone(&sh);
    share_down(&sh);
}

/* ---- the socket ---- */

static void sockets_and_names(void **state)
{
    share sh;
    nacre_mux_master *other = NULL;
    nacre_mux *x = NULL;
    nacre_error why;
    char path[300];
    int fd = -1;
    (void)state;
    share_up(&sh, false, 0);
    /* one master a connection, and one socket a name */
    assert_int_equal(nacre_mux_master_new(&other, sh.s.c, sh.path, NULL, &why), NACRE_WRONG_STATE);
    memset(&why, 0, sizeof(why));
    assert_int_equal(nc_control_listen(sh.path, &fd, &why), NACRE_EXISTS);
    assert_non_null(strstr(why.text, "already exists"));
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(nacre_mux_connect(&x, path, 10, NULL, NULL), NACRE_TOO_LARGE);
    assert_int_equal(nacre_mux_connect(&x, "", 10, NULL, NULL), NACRE_TOO_LARGE);
    /* one that nobody serves any more */
    (void)snprintf(path, sizeof(path), "%s/stale", sh.s.dir);
    assert_int_equal(nc_control_listen(path, &fd, NULL), NACRE_OK);
    (void)close(fd);
    assert_int_equal(nacre_mux_connect(&x, path, 10, NULL, NULL), NACRE_CLOSED);
    assert_int_equal(unlink(path), 0);
    /* one that does not answer */
    assert_int_equal(nc_control_listen(path, &fd, NULL), NACRE_OK);
    assert_int_equal(nacre_mux_connect(&x, path, 50, NULL, NULL), NACRE_TIMEOUT);
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
    share_down(&sh);
}

static void idleness_is_told(void **state)
{
    share sh;
    (void)state;
    share_up(&sh, false, 30);
    share_beside(&sh, share_session);
    assert_int_equal(sh.rc, NACRE_OK);
    for (int i = 0; i < 1000 && sh.idle == 0; i++) {
        assert_int_equal(nacre_loop_run_once(sh.s.loop, 10), NACRE_OK);
    }
    assert_true(sh.idle > 0);
    share_down(&sh);
}

/* ---- memory ---- */

static void memory_fails_in_sessions(void **state)
{
    (void)state;
    share_without_memory(NULL, share_session);
}

static void memory_fails_in_requests(void **state)
{
    (void)state;
    share_without_memory(NULL, share_ask_all);
}

static void memory_fails_in_proxies(void **state)
{
    (void)state;
    share_without_memory(NULL, share_proxied);
}

static void ask_forwarding(share *sh)
{
    nacre_forward_options o;
    nacre_mux *x = share_join(sh);
    uint16_t port = 0;
    if (!x) {
        return;
    }
    nacre_forward_options_init(&o);
    o.connect = (nacre_forward_end){.host = "there", .port = 80};
    sh->rc = nacre_mux_forward(x, &o, &port);
    sh->rc = sh->rc == NACRE_OK ? nacre_mux_forward(x, &o, &port) : sh->rc;
    sh->rc = sh->rc == NACRE_OK ? nacre_mux_cancel_forward(x, &o) : sh->rc;
    if (sh->rc == NACRE_OK && nacre_mux_cancel_forward(x, &o) != NACRE_REQUEST_REFUSED) {
        sh->rc = NACRE_MISMATCH;
    }
    o.kind = NACRE_FORWARD_REMOTE; /* the server listens for nobody */
    if (sh->rc == NACRE_OK && nacre_mux_forward(x, &o, &port) != NACRE_REQUEST_REFUSED) {
        sh->rc = NACRE_MISMATCH;
    }
    nacre_mux_free(x);
}

static void forwardings_are_asked_for(void **state)
{
    share sh;
    (void)state;
    share_up(&sh, true, 0);
    share_beside(&sh, ask_forwarding);
    assert_int_equal(sh.rc, NACRE_OK);
    assert_int_equal(sh.asked, 2);
    assert_non_null(strstr(sh.question, "Open remote forward"));
    share_alone(&sh);
    assert_null(nacre_client_next_forward(sh.s.c, NULL));
    share_down(&sh);
    share_without_memory(NULL, ask_forwarding);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_served),
        cmocka_unit_test(people_may_refuse),
        cmocka_unit_test(a_session_runs),
        cmocka_unit_test(the_server_may_refuse),
        cmocka_unit_test(leaving_ends_a_session),
        cmocka_unit_test(a_lost_connection_ends_sessions),
        cmocka_unit_test(a_proxied_client_speaks_itself),
        cmocka_unit_test(sockets_and_names),
        cmocka_unit_test(idleness_is_told),
        cmocka_unit_test(forwardings_are_asked_for),
        cmocka_unit_test(memory_fails_in_requests),
        cmocka_unit_test(memory_fails_in_sessions),
        cmocka_unit_test(memory_fails_in_proxies),
    };
    /* These tests write into pipes whose reader may have been refused. */
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
