/*
 * test_server_session.c - time limits of channels and connections, and breaks.
 */
#include "world.h"

#include "base/mem.h"
#include "support/memory.h"

/* ---- time limits ---- */

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
    w->cfg.callbacks.auth_none = world_yes;
    if (!w->cfg.callbacks.channel_open) {
        w->cfg.callbacks.channel_open = world_yes;
    }
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
        world_say(p, ch, "x");
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
    nacre_channel *shell = world_session(w, p), *command = world_session(w, p);
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
    world_say(p, shell, "still here");
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
    nacre_channel *command = world_session(w, p);
    start_cat(w, p, command, false);
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "session:command", 400), NACRE_OK);
    nacre_channel_info info = {0};
    for (int i = 2; i < 150 && !info.close_received; i++) {
        int closed = p->closed;
        nacre_channel *other = world_session(w, p);
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
    start_cat(w, p, world_session(w, p), true);
    (void)world_session(w, p); /* on which nothing runs */
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
    nacre_channel *ch = world_session(w, p);
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
    nacre_channel *one = world_session(w, p), *two = world_session(w, p);
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

/* A client that keeps its side of a closed channel is told once, and counted once, however often we look. */
static void a_close_that_is_not_answered(void **state)
{
    world *w = *state;
    peer *p = limited(w);
    nacre_channel *deaf = world_session(w, p);
    nacre_channel_info info = {0};
    assert_int_equal(nacre_channel_hold_close(deaf, true), NACRE_OK);
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "session", 40), NACRE_OK);
    while (!info.close_received) {
        assert_int_equal(nacre_loop_run_once(w->loop, 10), NACRE_OK);
        nacre_channel_get_info(deaf, &info);
    }
    (void)world_session(w, p); /* when this one is closed the other has been looked at again */
    world_until(w, &p->closed, 1);
    nacre_channel_get_info(deaf, &info);
    assert_false(info.close_sent);
    assert_int_equal(counts(w).idle_channels, 2);
    assert_int_equal(nacre_channel_hold_close(deaf, false), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->closed, 2);
    world_leave(p);
}

static nacre_verdict think_about_it(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    world *w = user;
    (void)c;
    if (w->execs++ > 0) {
        return NACRE_ACCEPT;
    }
    w->asked = ev->ticket;
    return NACRE_LATER;
}

/* A channel is none before it is open: what the server thinks about for long is not idle. */
static void an_open_that_is_not_answered(void **state)
{
    world *w = *state;
    nacre_channel *slow = NULL, *quick;
    nacre_answer yes = {.accept = true};
    w->cfg.callbacks.channel_open = think_about_it;
    peer *p = limited(w);
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "session", 40), NACRE_OK);
    assert_int_equal(nacre_channel_open_session(p->t, &slow), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &w->execs, 1);
    quick = world_session(w, p);
    world_until(w, &p->closed, 1);
    nacre_channel_info info;
    nacre_channel_get_info(quick, &info);
    assert_true(info.close_received); /* and not the other one, which is older */
    assert_int_equal(counts(w).idle_channels, 1);
    assert_int_equal(nacre_server_answer(w->conn, w->asked, &yes), NACRE_OK);
    world_until(w, &p->opened, 2);
    world_until(w, &p->closed, 2); /* now it is one, with the same limit */
    assert_int_equal(counts(w).idle_channels, 2);
    world_leave(p);
}

static void a_connection_that_is_not_used(void **state)
{
    world *w = *state;
    peer *p = limited(w);
    nacre_server_conn_unused_timeout(w->conn, 150);
    /* A limit of channels has the clock go on, which alone would not while there is one. */
    assert_int_equal(nacre_server_conn_channel_timeout(w->conn, "session", 1000), NACRE_OK);
    nacre_channel *ch = world_session(w, p);
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

static void nothing(void *user)
{
    (void)user;
}

/* A limit for which no clock can be set is not forgotten: who relies on it would wait for ever. */
static void a_limit_without_memory(void **state)
{
    world *w = *state;
    test_memory m;
    nacre_error err;
    nacre_loop_free(w->loop);
    test_memory_init(&m);
    assert_int_equal(nacre_loop_new(&w->loop, &m.hooks, &err), NACRE_OK);
    peer *p = limited(w);
    test_memory_end(&m, 0);
    while (nacre_loop_timer(w->loop, 3600 * 1000, nothing, NULL, NULL) == NACRE_OK) {
    }
    nacre_server_conn_unused_timeout(w->conn, 3600 * 1000);
    test_memory_fail(&m, 0);
    world_until(w, &w->gone, 1);
    assert_int_equal(counts(w).ended_unused, 0);
    world_leave(p);
    nacre_server_free(w->server);
    w->server = NULL;
    nacre_loop_free(w->loop);
    w->loop = NULL;
    assert_int_equal(m.live, 0);
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
    nacre_channel *ch = world_session(w, p);
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
    w->cfg.callbacks.authenticated = world_note;
    return rc;
}

int main(void)
{
#define SESSION_TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
    const struct CMUnitTest tests[] = {
        SESSION_TEST(limits_that_are_none),
        SESSION_TEST(an_idle_program_is_ended_and_its_neighbour_is_not),
        SESSION_TEST(an_idle_program_is_ended_however_busy_its_neighbours_are),
        SESSION_TEST(all_sessions_by_one_word),
        SESSION_TEST(to_ask_for_a_program_is_to_use_the_channel),
        SESSION_TEST(all_channels_when_all_are_silent),
        SESSION_TEST(a_close_that_is_not_answered),
        SESSION_TEST(an_open_that_is_not_answered),
        SESSION_TEST(a_connection_that_is_not_used),
        SESSION_TEST(what_is_not_logged_in_is_not_unused),
        SESSION_TEST(a_limit_without_memory),
        SESSION_TEST(a_break_needs_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
