/*
 * test_server_session.c - subsystems by name, time limits of channels and connections, breaks.
 */
#include "world.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a handler of the tests has seen. */
typedef struct seen {
    int starts, eofs, finished, writable;
    size_t bytes;
    nacre_verdict verdict;
    uint32_t ticket;
    bool flood;
} seen;

static nacre_verdict on_start(void *user, nacre_server_conn *c, const nacre_event *ev,
                              void **session)
{
    seen *s = user;
    (void)c;
    assert_null(*session);
    *session = s;
    s->starts++;
    s->ticket = ev->ticket;
    return s->verdict;
}

/* An echo that ends with "q". */
static void on_data(void *session, nacre_server_conn *c, nacre_channel *ch, nacre_span bytes)
{
    seen *s = session;
    size_t took = 0;
    (void)c;
    s->bytes += bytes.n;
    assert_int_equal(nacre_channel_write(ch, NACRE_STDOUT, bytes.p, bytes.n, &took), NACRE_OK);
    assert_int_equal(nacre_channel_consumed(ch, bytes.n), NACRE_OK);
    if (memchr(bytes.p, 'q', bytes.n)) {
        assert_int_equal(nacre_channel_exit_status(ch, 9), NACRE_OK);
        assert_int_equal(nacre_channel_close(ch), NACRE_OK);
    }
}

static void on_eof(void *session, nacre_server_conn *c, nacre_channel *ch)
{
    seen *s = session;
    (void)c;
    s->eofs++;
    assert_int_equal(nacre_channel_exit_status(ch, 11), NACRE_OK);
    assert_int_equal(nacre_channel_close(ch), NACRE_OK);
}

static void on_finish(void *session)
{
    seen *s = session;
    s->finished++;
}

static nacre_subsystem handler(seen *s)
{
    nacre_subsystem h;
    nacre_subsystem_init(&h);
    h.start = on_start;
    h.data = on_data;
    h.finish = on_finish;
    h.user = s;
    s->verdict = NACRE_ACCEPT;
    return h;
}

static nacre_channel *session_of(world *w, peer *p, int so_many)
{
    nacre_channel *ch = NULL;
    assert_int_equal(nacre_channel_open_session(p->t, &ch), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->opened, so_many);
    return ch;
}

static void say(peer *p, nacre_channel *ch, const char *text)
{
    size_t took = 0;
    assert_int_equal(nacre_channel_write(ch, NACRE_STDOUT, text, strlen(text), &took), NACRE_OK);
    assert_int_equal(took, strlen(text));
    nacre_driver_kick(p->d);
}

static void ask(world *w, peer *p, nacre_channel *ch, const char *name, bool granted)
{
    int *what = granted ? &p->yes : &p->no, before = *what;
    assert_int_equal(nacre_channel_subsystem(ch, name, true), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, what, before + 1);
}

/* ---- subsystems by name ---- */

static void names_of_subsystems(void **state)
{
    world *w = *state;
    seen s = {0};
    nacre_subsystem h = handler(&s), none;
    char name[80];
    world_start(w);
    memset(name, 'n', sizeof(name));
    name[65] = '\0';
    assert_int_equal(nacre_server_subsystem_add(w->server, name, &h), NACRE_INVALID_ARGUMENT);
    name[64] = '\0';
    assert_int_equal(nacre_server_subsystem_add(w->server, name, &h), NACRE_OK);
    assert_int_equal(nacre_server_subsystem_add(w->server, "", &h), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_server_subsystem_add(w->server, NULL, &h), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_server_subsystem_add(w->server, "a b", &h), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_server_subsystem_add(w->server, "\x7f", &h), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_server_subsystem_add(w->server, "x", NULL), NACRE_INVALID_ARGUMENT);
    memset(&none, 0, sizeof(none));
    assert_int_equal(nacre_server_subsystem_add(w->server, "x", &none), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_server_subsystem_add(w->server, name, &h), NACRE_WRONG_STATE);
    assert_int_equal(nacre_server_subsystem_remove(w->server, "other"), NACRE_NOT_FOUND);
    assert_int_equal(nacre_server_subsystem_remove(w->server, name), NACRE_OK);
    assert_int_equal(nacre_server_subsystem_remove(w->server, name), NACRE_NOT_FOUND);
    int rc = NACRE_OK;
    for (int i = 0; i < 70 && rc == NACRE_OK; i++) {
        name[0] = (char)('!' + i);
        rc = nacre_server_subsystem_add(w->server, name, &h);
    }
    assert_int_equal(rc, NACRE_LIMIT);
    assert_int_equal(s.starts, 0);
}

static void a_subsystem_gets_what_comes(void **state)
{
    world *w = *state;
    seen s = {0};
    nacre_subsystem h = handler(&s);
    w->cfg.callbacks.auth_none = w->cfg.callbacks.channel_open = world_yes;
    world_start(w);
    assert_int_equal(nacre_server_subsystem_add(w->server, "echo", &h), NACRE_OK);
    peer *p = world_login(w);
    nacre_channel *ch = session_of(w, p, 1);
    ask(w, p, ch, "other", false);
    ask(w, p, ch, "ech", false);
    ask(w, p, ch, "echo", true);
    /* One program a channel, and no shell where no callback is. */
    ask(w, p, ch, "echo", false);
    assert_int_equal(s.starts, 1);
    say(p, ch, "hello");
    while (p->n < 5) {
        assert_int_equal(nacre_loop_run_once(w->loop, 100), NACRE_OK);
    }
    assert_memory_equal(p->out, "hello", 5);
    assert_int_equal(s.finished, 0);
    say(p, ch, "q");
    world_until(w, &p->closed, 1);
    world_until(w, &s.finished, 1);
    assert_int_equal(p->exit_status, 9);
    assert_int_equal(s.bytes, 6);
    world_leave(p);
}

static void a_subsystem_that_looks_at_nothing(void **state)
{
    world *w = *state;
    seen s = {0}, t = {0};
    nacre_subsystem h = handler(&s), e = handler(&t);
    h.data = NULL;
    h.finish = NULL;
    e.eof = on_eof;
    w->cfg.callbacks.auth_none = w->cfg.callbacks.channel_open = world_yes;
    world_start(w);
    assert_int_equal(nacre_server_subsystem_add(w->server, "null", &h), NACRE_OK);
    assert_int_equal(nacre_server_subsystem_add(w->server, "eof", &e), NACRE_OK);
    peer *p = world_login(w);
    nacre_channel *ch = session_of(w, p, 1);
    ask(w, p, ch, "null", true);
    say(p, ch, "dropped");
    assert_int_equal(nacre_channel_eof(ch), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->closed, 1);
    assert_int_equal(p->exit_status, 0);
    ch = session_of(w, p, 2);
    ask(w, p, ch, "eof", true);
    assert_int_equal(nacre_channel_eof(ch), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->closed, 2);
    assert_int_equal(p->exit_status, 11);
    assert_int_equal(t.eofs, 1);
    world_until(w, &t.finished, 1);
    world_leave(p);
}

static void a_subsystem_may_refuse_or_think(void **state)
{
    world *w = *state;
    seen s = {0};
    nacre_subsystem h = handler(&s), deaf;
    nacre_answer yes = {.accept = true};
    nacre_subsystem_init(&deaf);
    w->cfg.callbacks.auth_none = w->cfg.callbacks.channel_open = world_yes;
    world_start(w);
    assert_int_equal(nacre_server_subsystem_add(w->server, "deaf", &deaf), NACRE_OK);
    assert_int_equal(nacre_server_subsystem_add(w->server, "echo", &h), NACRE_OK);
    peer *p = world_login(w);
    nacre_channel *ch = session_of(w, p, 1);
    ask(w, p, ch, "deaf", false);
    s.verdict = NACRE_REFUSE;
    ask(w, p, ch, "echo", false);
    s.verdict = NACRE_PARTIAL; /* a word of userauth */
    ask(w, p, ch, "echo", false);
    assert_int_equal(s.finished, 0);
    s.verdict = NACRE_LATER;
    assert_int_equal(nacre_channel_subsystem(ch, "echo", true), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &s.starts, 3);
    assert_int_equal(nacre_transport_answer(nacre_server_conn_transport(w->conn), s.ticket, &yes),
                     NACRE_OK);
    nacre_driver_kick(nacre_server_conn_driver(w->conn));
    world_until(w, &p->yes, 1);
    /* Removed: who runs goes on, nobody else starts. */
    assert_int_equal(nacre_server_subsystem_remove(w->server, "echo"), NACRE_OK);
    say(p, ch, "x");
    while (p->n < 1) {
        assert_int_equal(nacre_loop_run_once(w->loop, 100), NACRE_OK);
    }
    ask(w, p, session_of(w, p, 2), "echo", false);
    world_leave(p); /* without a goodbye */
    world_until(w, &s.finished, 1);
}

static nacre_verdict start_fd(void *user, nacre_server_conn *c, const nacre_event *ev,
                              void **session)
{
    nacre_error err = {0};
    (void)session;
    assert_int_equal(nacre_server_channel_fd(c, ev->channel, user, &err), NACRE_OK);
    int second = 5;
    assert_int_equal(nacre_server_channel_fd(c, ev->channel, &second, &err), NACRE_WRONG_STATE);
    assert_int_equal(second, -1);
    return NACRE_ACCEPT;
}

static void a_subsystem_on_a_descriptor(void **state)
{
    world *w = *state;
    int fd = -1;
    char buf[16];
    nacre_subsystem h;
    nacre_subsystem_init(&h);
    h.start = start_fd;
    h.user = &fd;
    w->cfg.callbacks.auth_none = w->cfg.callbacks.channel_open = world_yes;
    world_start(w);
    assert_int_equal(nacre_server_subsystem_add(w->server, "fd", &h), NACRE_OK);
    peer *p = world_login(w);
    nacre_channel *ch = session_of(w, p, 1);
    ask(w, p, ch, "fd", true);
    assert_true(fd >= 0);
    say(p, ch, "in");
    assert_int_equal(write(fd, "out", 3), 3);
    while (p->n < 3) {
        assert_int_equal(nacre_loop_run_once(w->loop, 100), NACRE_OK);
    }
    assert_memory_equal(p->out, "out", 3);
    assert_int_equal(read(fd, buf, sizeof(buf)), 2);
    assert_int_equal(close(fd), 0);
    world_until(w, &p->eofs, 1);
    assert_int_equal(nacre_channel_eof(ch), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->closed, 1);
    world_leave(p);
}

/* ---- time limits ---- */

static nacre_verdict note_conn(void *user, nacre_server_conn *c, const char *name,
                               const nacre_key *key)
{
    world *w = user;
    (void)name;
    (void)key;
    w->conn = c;
    return NACRE_ACCEPT;
}

static nacre_verdict run_cat(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    nacre_spawn_options o;
    char name[] = "cat";
    char *argv[] = {name, NULL};
    nacre_error err = {0};
    (void)user;
    nacre_spawn_options_init(&o);
    o.argv = argv;
    o.new_session = true;
    assert_int_equal(nacre_server_spawn(c, ev->channel, &o, NULL, &err), NACRE_OK);
    return NACRE_ACCEPT;
}

static void gone(void *user, nacre_server_conn *c, const nacre_error *why)
{
    world *w = user;
    (void)c;
    (void)why;
    w->gone++;
}

static nacre_server_counts counts(world *w)
{
    nacre_server_counts n = {.size = sizeof(n)};
    nacre_server_get_counts(w->server, &n);
    return n;
}

static peer *limited(world *w)
{
    w->cfg.callbacks.auth_none = w->cfg.callbacks.channel_open = world_yes;
    w->cfg.callbacks.exec = w->cfg.callbacks.shell = run_cat;
    w->cfg.callbacks.disconnected = gone;
    world_start(w);
    return world_login(w);
}

static void start_cat(world *w, peer *p, nacre_channel *ch, bool shell)
{
    int before = p->yes;
    assert_int_equal(shell ? nacre_channel_shell(ch, true)
                           : nacre_channel_exec(ch, nc_span_cstr("cat"), true),
                     NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->yes, before + 1);
}

/*
 * Says something every few milliseconds for half as long again as the limit, which has run since. False: this machine was so busy that
 * there were gaps, and what the limit made of them proves nothing.
 */
static bool keep_talking(world *w, peer *p, nacre_channel *ch, uint64_t since, uint32_t limit_ms)
{
    uint64_t now = nacre_loop_now(w->loop), end = now + limit_ms + limit_ms / 2, last = now;
    bool steady = now - since < limit_ms / 2;
    while (now < end && p->closed == 0) {
        p->n = 0;
        say(p, ch, "x");
        last = now;
        while (now < last + limit_ms / 20) {
            assert_int_equal(nacre_loop_run_once(w->loop, 5), NACRE_OK);
            now = nacre_loop_now(w->loop);
        }
        steady = steady && now - last < limit_ms / 4;
    }
    return steady;
}

static void limits_that_are_none(void **state)
{
    world *w = *state;
    peer *p = limited(w);
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "", 5), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, NULL, 5), NACRE_INVALID_ARGUMENT);
    for (int i = 0; i < 32; i++) { /* docs/limits.md */
        assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "direct-*", 5), NACRE_OK);
    }
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "direct-*", 5), NACRE_LIMIT);
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "global", 0), NACRE_OK);
    world_leave(p);
}

static void an_idle_program_is_ended_and_its_neighbour_is_not(void **state)
{
    world *w = *state;
    peer *p = limited(w);
    uint64_t since = nacre_loop_now(w->loop);
    nacre_channel *shell = session_of(w, p, 1), *command = session_of(w, p, 2);
    start_cat(w, p, shell, true);
    start_cat(w, p, command, false);
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "session:command", 400), NACRE_OK);
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "session", 0), NACRE_OK);
    /* As long as something goes over it, it stays. */
    assert_true(!keep_talking(w, p, command, since, 400) || p->closed == 0);
    world_until(w, &p->closed, 1);
    nacre_channel_info info;
    nacre_channel_get_info(shell, &info);
    assert_true(info.open && !info.close_received);
    assert_int_equal(counts(w).idle_channels, 1);
    say(p, shell, "still here");
    p->n = 0;
    while (p->n < 10) {
        assert_int_equal(nacre_loop_run_once(w->loop, 100), NACRE_OK);
    }
    world_leave(p);
}

/* Channels that come and go all the time put no look at the others off. */
static void an_idle_program_is_ended_however_busy_its_neighbours_are(void **state)
{
    world *w = *state;
    peer *p = limited(w);
    nacre_channel *command = session_of(w, p, 1);
    start_cat(w, p, command, false);
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "session:command", 400), NACRE_OK);
    nacre_channel_info info = {0};
    for (int i = 2; i < 150 && !info.close_received; i++) {
        int closed = p->closed;
        nacre_channel *other = session_of(w, p, i);
        uint64_t until = nacre_loop_now(w->loop) + 20;
        assert_int_equal(nacre_channel_close(other), NACRE_OK);
        nacre_driver_kick(p->d);
        world_until(w, &p->closed, closed + 1);
        while (nacre_loop_now(w->loop) < until) {
            assert_int_equal(nacre_loop_run_once(w->loop, 5), NACRE_OK);
        }
        nacre_channel_get_info(command, &info);
    }
    assert_true(info.close_received);
    world_leave(p);
}

static void all_sessions_by_one_word(void **state)
{
    world *w = *state;
    peer *p = limited(w);
    start_cat(w, p, session_of(w, p, 1), true);
    (void)session_of(w, p, 2); /* on which nothing runs */
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "session:sub*", 1), NACRE_OK);
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "session", 60), NACRE_OK);
    world_until(w, &p->closed, 2);
    world_leave(p);
}

/* What counts is the command's own time: that of the session before it belongs to nobody. */
static void to_ask_for_a_program_is_to_use_the_channel(void **state)
{
    world *w = *state;
    peer *p = limited(w);
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "session:command", 300), NACRE_OK);
    nacre_channel *ch = session_of(w, p, 1);
    uint64_t until = nacre_loop_now(w->loop) + 350;
    while (nacre_loop_now(w->loop) < until) {
        assert_int_equal(nacre_loop_run_once(w->loop, 10), NACRE_OK);
    }
    uint64_t asked = nacre_loop_now(w->loop);
    start_cat(w, p, ch, false);
    world_until(w, &p->closed, 1);
    assert_true(nacre_loop_now(w->loop) - asked >= 300);
    assert_int_equal(counts(w).idle_channels, 1);
    world_leave(p);
}

static void all_channels_when_all_are_silent(void **state)
{
    world *w = *state;
    peer *p = limited(w);
    uint64_t since = nacre_loop_now(w->loop);
    nacre_channel *one = session_of(w, p, 1), *two = session_of(w, p, 2);
    start_cat(w, p, one, true);
    start_cat(w, p, two, true);
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "global", 400), NACRE_OK);
    /* The other one lives by it, too, whichever it is. */
    assert_true(!keep_talking(w, p, one, since, 400) || p->closed == 0);
    since = nacre_loop_now(w->loop);
    assert_true(!keep_talking(w, p, two, since, 400) || p->closed == 0);
    world_until(w, &p->closed, 2);
    assert_false(p->over);
    world_leave(p);
}

static void a_connection_that_is_not_used(void **state)
{
    world *w = *state;
    peer *p = limited(w);
    nacre_server_conn_unused_timeout(w->conn, 150);
    /* A limit of channels has the clock go on, which alone would not while there is one. */
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "session", 1000), NACRE_OK);
    nacre_channel *ch = session_of(w, p, 1);
    uint64_t until = nacre_loop_now(w->loop) + 400;
    while (nacre_loop_now(w->loop) < until) {
        assert_int_equal(nacre_loop_run_once(w->loop, 10), NACRE_OK);
    }
    if (counts(w).idle_channels ==
        0) { /* else this machine is so busy that the channel's time was over */
        assert_int_equal(w->gone, 0); /* a channel is use enough */
        assert_int_equal(counts(w).ended_unused, 0);
    }
    uint64_t closed = nacre_loop_now(w->loop);
    bool in_time = counts(w).idle_channels == 0 && nacre_channel_close(ch) == NACRE_OK;
    nacre_driver_kick(p->d);
    world_until(w, &w->gone, 1);
    assert_true(!in_time || nacre_loop_now(w->loop) - closed >= 150); /* from then on */
    assert_int_equal(counts(w).ended_unused, 1);
    world_leave(p);
}

static nacre_verdict unused_from_the_beginning(void *user, nacre_server_conn *c)
{
    (void)user;
    nacre_server_conn_unused_timeout(c, 40);
    return NACRE_ACCEPT;
}

/* Who has not logged in has the time of a login, whatever is to come then. */
static void what_is_not_logged_in_is_not_unused(void **state)
{
    world *w = *state;
    w->cfg.callbacks.connected = unused_from_the_beginning;
    w->cfg.callbacks.disconnected = gone;
    world_start(w);
    peer *p = world_join(w);
    uint64_t until = nacre_loop_now(w->loop) + 150;
    while (nacre_loop_now(w->loop) < until) {
        assert_int_equal(nacre_loop_run_once(w->loop, 10), NACRE_OK);
    }
    assert_int_equal(w->gone, 0);
    assert_int_equal(counts(w).ended_unused, 0);
    world_leave(p);
}

/* ---- break ---- */

static nacre_verdict pass_break(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    (void)user;
    return nacre_server_break(c, ev->channel) == NACRE_OK ? NACRE_ACCEPT : NACRE_REFUSE;
}

static void a_break_needs_a_terminal(void **state)
{
    world *w = *state;
    w->cfg.callbacks.signal = pass_break;
    peer *p = limited(w);
    nacre_channel *ch = session_of(w, p, 1);
    assert_int_equal(nacre_channel_break(ch, 500, true), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->no, 1);
    start_cat(w, p, ch, true);
    assert_int_equal(nacre_channel_break(ch, 500, true), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->no, 2);
    world_leave(p);
}

static int setup(void **state)
{
    int rc = world_setup(state);
    world *w = *state;
    w->cfg.callbacks.authenticated = note_conn;
    return rc;
}

int main(void)
{
#define SESSION_TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
    const struct CMUnitTest tests[] = {
        SESSION_TEST(names_of_subsystems),
        SESSION_TEST(a_subsystem_gets_what_comes),
        SESSION_TEST(a_subsystem_that_looks_at_nothing),
        SESSION_TEST(a_subsystem_may_refuse_or_think),
        SESSION_TEST(a_subsystem_on_a_descriptor),
        SESSION_TEST(limits_that_are_none),
        SESSION_TEST(an_idle_program_is_ended_and_its_neighbour_is_not),
        SESSION_TEST(an_idle_program_is_ended_however_busy_its_neighbours_are),
        SESSION_TEST(all_sessions_by_one_word),
        SESSION_TEST(to_ask_for_a_program_is_to_use_the_channel),
        SESSION_TEST(all_channels_when_all_are_silent),
        SESSION_TEST(a_connection_that_is_not_used),
        SESSION_TEST(what_is_not_logged_in_is_not_unused),
        SESSION_TEST(a_break_needs_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
