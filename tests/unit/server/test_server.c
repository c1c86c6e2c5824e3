/*
 * test_server.c - the server's face against client engines in the same loop: what it refuses when nobody
 * says yes, what it keeps, and how many it serves.
 */
#include "world.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

enum { PATIENCE_MS = 30000, MANY = 40 };

/* A word of userauth, and no yes for a channel. */
static nacre_verdict partly(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    (void)user;
    (void)c;
    (void)ev;
    return NACRE_PARTIAL;
}

static void gone(void *user, nacre_server_conn *c, const nacre_error *why)
{
    world *w = user;
    (void)c;
    (void)why;
    w->gone++;
}

/* ---- default deny ------------------------------------------------------------------------------------- */

static void without_callbacks_nobody_gets_in(void **state)
{
    world *w = *state;
    nacre_key *key = NULL;
    nacre_error err = {0};
    world_start(w);
    peer *p = world_join(w);
    assert_int_equal(nacre_key_generate(&key, NULL, "ed25519", 0, &err), NACRE_OK);
    assert_int_equal(nacre_transport_auth_none(p->t, "root"), NACRE_OK);
    world_until(w, &p->auth_failed, 1);
    assert_int_equal(nacre_transport_auth_password(p->t, "root", nc_span_cstr("x")), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->auth_failed, 2);
    assert_int_equal(nacre_transport_auth_publickey(p->t, "root", key, NULL), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->auth_failed, 3);
    assert_int_equal(nacre_transport_auth_interactive(p->t, "root", ""), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->auth_failed, 4);
    assert_int_equal(p->auth_ok, 0);
    assert_false(nacre_transport_authenticated(p->t));
    nacre_key_free(key);
    world_leave(p);
}

static void a_login_alone_grants_nothing(void **state)
{
    world *w = *state;
    nacre_channel *ch = NULL;
    w->cfg.callbacks.auth_none = world_yes;
    world_start(w);
    peer *p = world_login(w);
    assert_int_equal(nacre_channel_open_session(p->t, &ch), NACRE_OK);
    assert_int_equal(nacre_global_request(p->t, "tcpip-forward", true, nc_span(NULL, 0)), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->failed, 1);
    world_until(w, &p->global_no, 1);
    assert_int_equal(p->opened, 0);
    world_leave(p);
}

static void partial_is_no_yes_outside_userauth(void **state)
{
    world *w = *state;
    nacre_channel *ch = NULL;
    w->cfg.callbacks.auth_none = world_yes;
    w->cfg.callbacks.channel_open = partly;
    w->cfg.callbacks.global_request = partly;
    world_start(w);
    peer *p = world_login(w);
    assert_int_equal(nacre_channel_open_session(p->t, &ch), NACRE_OK);
    assert_int_equal(nacre_global_request(p->t, "x@y", true, nc_span(NULL, 0)), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->failed, 1);
    world_until(w, &p->global_no, 1);
    world_leave(p);
}

/* ---- sessions -------------------------------------------------------------------------------------------- */

static nacre_verdict run_shell(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    world *w = user;
    nacre_spawn_options o;
    char command[256], name[] = "sh", flag[] = "-c";
    char *argv[] = {name, flag, command, NULL};
    nacre_error err = {0};
    assert_true(ev->u.request.command.n < sizeof(command));
    memcpy(command, ev->u.request.command.p, ev->u.request.command.n);
    command[ev->u.request.command.n] = '\0';
    w->execs++;
    nacre_spawn_options_init(&o);
    o.program = "/bin/sh";
    o.argv = argv;
    o.envp = nacre_server_session_env(c, ev->channel);
    o.new_session = true;
    assert_int_equal(nacre_server_spawn(c, ev->channel, &o, NULL, &err), NACRE_OK);
    return NACRE_ACCEPT;
}

static void a_command_runs_once_and_reports(void **state)
{
    world *w = *state;
    nacre_channel *ch = NULL;
    nacre_pty pty = {.term = nc_span_cstr("vt100"), .columns = 80, .rows = 24};
    static const char command[] = "echo $ONE; cat; exit 3";
    w->cfg.callbacks.auth_none = world_yes;
    w->cfg.callbacks.exec = run_shell;
    w->cfg.callbacks.env = world_yes;
    world_start(w);
    peer *p = world_login(w);
    ch = world_session(w, p);
    assert_int_equal(nacre_channel_env(ch, "ONE", "first", true), NACRE_OK);
    /* Our own client would not send these: a name with "=" in it, an empty one, a zero byte. */
    static const char odd[] = "\0\0\0\3B=C\0\0\0\1x", empty[] = "\0\0\0\0\0\0\0\1x",
                      zero[] = "\0\0\0\1Z\0\0\0\2a";
    assert_int_equal(nacre_channel_request(ch, "env", true, nc_span(odd, 12)), NACRE_OK);
    assert_int_equal(nacre_channel_request(ch, "env", true, nc_span(empty, 9)), NACRE_OK);
    assert_int_equal(nacre_channel_request(ch, "env", true, nc_span(zero, 11)), NACRE_OK);
    assert_int_equal(nacre_channel_pty(ch, &pty, true), NACRE_OK);
    assert_int_equal(nacre_channel_subsystem(ch, "sftp", true), NACRE_OK);
    assert_int_equal(nacre_channel_exec(ch, nc_span_cstr(command), true), NACRE_OK);
    assert_int_equal(nacre_channel_exec(ch, nc_span_cstr(command), true), NACRE_OK);
    assert_int_equal(nacre_channel_exec(ch, nc_span("a\0b", 3), true), NACRE_OK);
    size_t took = 0;
    assert_int_equal(nacre_channel_write(ch, NACRE_STDOUT, "in\n", 3, &took), NACRE_OK);
    assert_int_equal(nacre_channel_eof(ch), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->closed, 1);
    assert_int_equal(p->yes, 2);
    assert_int_equal(p->no, 7);
    assert_int_equal(w->execs, 1);
    assert_int_equal(p->exit_status, 3);
    assert_int_equal(p->n, 9);
    assert_memory_equal(p->out, "first\nin\n", 9);
    world_leave(p);
}

static nacre_verdict run_scp(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    world *w = user;
    char command[256];
    nacre_error err = {0};
    nacre_server_scp_options o;
    assert_true(ev->u.request.command.n < sizeof(command));
    memcpy(command, ev->u.request.command.p, ev->u.request.command.n);
    command[ev->u.request.command.n] = '\0';
    w->execs++;
    nacre_server_scp_options_init(&o);
    assert_int_equal(nacre_server_scp(c, ev->channel, command, &o, &err), NACRE_OK);
    return NACRE_ACCEPT;
}

/* Says all of it in one breath, as nobody does who waits for answers: the exit status. */
static uint32_t say_to_scp(world *w, const char *command, const char *text, size_t n)
{
    nacre_channel *ch = NULL;
    size_t took = 0;
    peer *p = world_login(w);
    ch = world_session(w, p);
    assert_int_equal(nacre_channel_exec(ch, nc_span_cstr(command), true), NACRE_OK);
    assert_int_equal(nacre_channel_write(ch, NACRE_STDOUT, text, n, &took), NACRE_OK);
    assert_int_equal(took, n);
    assert_int_equal(nacre_channel_eof(ch), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->closed, 1);
    uint32_t status = p->exit_status;
    world_leave(p);
    return status;
}

static void scp_in_one_breath(void **state)
{
    static const char whole[] = "C0644 3 x\nabc", short_file[] = "C0644 9 x\nabc",
                      open_dir[] = "D0755 0 d\n";
    world *w = *state;
    char dir[] = "/tmp/nacre[server]XXXXXX", command[128], path[128];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(command, sizeof(command), "scp -r -t '%s'", dir);
    w->cfg.callbacks.auth_none = world_yes;
    w->cfg.callbacks.exec = run_scp;
    world_start(w);
    assert_int_equal(say_to_scp(w, command, short_file, sizeof(short_file) - 1), 1);
    assert_int_equal(say_to_scp(w, command, open_dir, sizeof(open_dir) - 1), 1);
    (void)snprintf(path, sizeof(path), "%s/d", dir);
    assert_int_equal(rmdir(path), 0);
    (void)snprintf(path, sizeof(path), "%s/x", dir);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(say_to_scp(w, command, whole, sizeof(whole)), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0); /* nothing half made is left */
}

static void sessions_are_counted(void **state)
{
    world *w = *state;
    nacre_channel *ch[3];
    w->cfg.callbacks.auth_none = world_yes;
    w->cfg.callbacks.exec = run_shell;
    w->cfg.max_sessions = 2;
    world_start(w);
    peer *p = world_login(w);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(nacre_channel_open_session(p->t, &ch[i]), NACRE_OK);
    }
    nacre_driver_kick(p->d);
    world_until(w, &p->failed, 1);
    assert_int_equal(p->opened, 2);
    assert_int_equal(p->reason, 4);
    /* A place is free again when one is closed. */
    assert_int_equal(nacre_channel_close(ch[0]), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->closed, 1);
    ch[2] = world_session(w, p);
    world_leave(p);
    nacre_server_counts n = {.size = sizeof(n)};
    nacre_server_get_counts(w->server, &n);
    assert_int_equal(n.refused_sessions, 1);
}

/* ---- many --------------------------------------------------------------------------------------------------- */

static void many_connections_in_one_process(void **state)
{
    world *w = *state;
    peer *p[MANY];
    nacre_channel *ch = NULL;
    w->cfg.callbacks.auth_none = world_yes;
    w->cfg.callbacks.exec = run_shell;
    w->cfg.callbacks.disconnected = gone;
    world_start(w);
    for (size_t i = 0; i < MANY; i++) {
        p[i] = world_join(w);
        assert_int_equal(nacre_transport_auth_none(p[i]->t, "me"), NACRE_OK);
    }
    assert_int_equal(nacre_server_connections(w->server), MANY);
    for (size_t i = 0; i < MANY; i++) {
        world_until(w, &p[i]->auth_ok, 1);
        assert_int_equal(nacre_channel_open_session(p[i]->t, &ch), NACRE_OK);
        assert_int_equal(nacre_channel_exec(ch, nc_span_cstr("exit 5"), true), NACRE_WRONG_STATE);
        nacre_driver_kick(p[i]->d);
    }
    for (size_t i = 0; i < MANY; i++) {
        world_until(w, &p[i]->opened, 1);
        world_leave(p[i]);
    }
    world_until(w, &w->gone, MANY);
    assert_int_equal(nacre_server_connections(w->server), 0);
}

/* ---- MaxStartups ---------------------------------------------------------------------------------------------- */

static void the_dice_of_max_startups(void **state)
{
    (void)state;
    uint32_t dropped = 0;
    assert_false(nacre_startups_refuse(9, 10, 30, 100, 0));
    assert_true(nacre_startups_refuse(100, 10, 30, 100, 99));
    assert_true(nacre_startups_refuse(UINT32_MAX, 10, 30, 100, 99));
    assert_true(nacre_startups_refuse(0, 0, 30, 0, 99));
    assert_true(nacre_startups_refuse(10, 10, 100, 10, 99));
    assert_true(nacre_startups_refuse(5, 10, 30, 5, 99)); /* full holds below begin, too */
    assert_false(nacre_startups_refuse(4, 10, 30, 5, 0));
    assert_true(nacre_startups_refuse(10, 10, 30, 100, 29));
    assert_false(nacre_startups_refuse(10, 10, 30, 100, 30));
    /* Half way: half of what is left above 30 %. */
    for (uint32_t dice = 0; dice < 100; dice++) {
        dropped += nacre_startups_refuse(55, 10, 30, 100, dice) ? 1 : 0;
    }
    assert_int_equal(dropped, 65);
}

static int dial(uint16_t port)
{
    int fd = -1;
    nacre_error err = {0};
    if (nacre_net_connect("127.0.0.1", port, NULL, &fd, &err) != NACRE_OK) {
        fail_msg("%s", err.text);
    }
    return fd;
}

static void above_max_startups_strangers_are_dropped(void **state)
{
    world *w = *state;
    uint16_t port = 0;
    nacre_error err = {0};
    int fds[3];
    char text[64] = "";
    w->cfg.startups_begin = w->cfg.startups_full = 2;
    world_start(w);
    assert_int_equal(nacre_server_listen(w->server, "127.0.0.1", 0, &port, &err), NACRE_OK);
    for (size_t i = 0; i < 3; i++) {
        fds[i] = dial(port);
    }
    ssize_t got = -1;
    uint64_t end = nacre_loop_now(w->loop) + PATIENCE_MS;
    while (got < 0 && nacre_loop_now(w->loop) < end) {
        assert_int_equal(nacre_loop_run_once(w->loop, 20), NACRE_OK);
        got = recv(fds[2], text, sizeof(text) - 1, MSG_DONTWAIT);
    }
    assert_true(got > 0);
    assert_non_null(strstr(text, "MaxStartups"));
    assert_int_equal(nacre_server_connections(w->server), 2);
    for (size_t i = 0; i < 3; i++) {
        (void)close(fds[i]);
    }
}

static void count_line(void *user, nacre_log_level level, const char *line)
{
    int *lines = user;
    *lines += level == NACRE_LOG_ERROR && strstr(line, "cannot accept") ? 1 : 0;
}

/* A connection that cannot be accepted stays where it is, and the listener ready: that must not spin. */
static void without_descriptors_it_waits(void **state)
{
    if (RUNNING_ON_VALGRIND) {
        /* valgrind answers setrlimit itself and does not give the descriptors back. */
        print_message("the limit of descriptors is valgrind's own: tried without it only\n");
        return;
    }
    world *w = *state;
    uint16_t port = 0;
    int lines = 0;
    nacre_error err = {0};
    struct rlimit was, now;
    w->cfg.transport.log = count_line;
    w->cfg.transport.log_user = &lines;
    w->cfg.transport.log_level = NACRE_LOG_ERROR;
    world_start(w);
    assert_int_equal(nacre_server_listen(w->server, "127.0.0.1", 0, &port, &err), NACRE_OK);
    int client = dial(port);
    int next = dup(client); /* the lowest number that is free */
    assert_int_equal(close(next), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    now = was;
    now.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    world_until(w, &lines, 1);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(nacre_loop_run_once(w->loop, 5), NACRE_OK);
    }
    assert_true(lines < 10);
    assert_int_equal(nacre_server_connections(w->server), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    uint64_t end = nacre_loop_now(w->loop) + PATIENCE_MS;
    while (nacre_server_connections(w->server) == 0) {
        assert_true(nacre_loop_now(w->loop) < end);
        assert_int_equal(nacre_loop_run_once(w->loop, 100), NACRE_OK);
    }
    (void)close(client);
}

static void a_server_needs_keys_and_a_config(void **state)
{
    (void)state;
    nacre_server_config cfg;
    nacre_server *s = NULL;
    nacre_error err = {0};
    nacre_server_config_init(&cfg);
    assert_int_equal(nacre_server_new(&s, &cfg, &err), NACRE_INVALID_ARGUMENT);
    assert_null(s);
    memset(&cfg, 0, sizeof(cfg));
    assert_int_equal(nacre_server_new(&s, &cfg, NULL), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_server_new(&s, NULL, NULL), NACRE_INVALID_ARGUMENT);
    nacre_server_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(without_callbacks_nobody_gets_in),
        WITH_WORLD(a_login_alone_grants_nothing),
        WITH_WORLD(partial_is_no_yes_outside_userauth),
        WITH_WORLD(a_command_runs_once_and_reports),
        WITH_WORLD(scp_in_one_breath),
        WITH_WORLD(sessions_are_counted),
        WITH_WORLD(many_connections_in_one_process),
        cmocka_unit_test(the_dice_of_max_startups),
        WITH_WORLD(above_max_startups_strangers_are_dropped),
        WITH_WORLD(without_descriptors_it_waits),
        cmocka_unit_test(a_server_needs_keys_and_a_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
