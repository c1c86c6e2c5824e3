/* A server that counts by source: who gives way, who is refused for a time, and what the counters say. */
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

static uint16_t port;

static void listen_here(world *w)
{
    nacre_error err = {0};
    world_start(w);
    assert_int_equal(nacre_server_listen(w->server, "127.0.0.1", 0, &port, &err), NACRE_OK);
}

static int dial_from(const char *source)
{
    int fd = -1;
    nacre_error err = {0};
    nacre_connect_options o;
    nacre_connect_options_init(&o);
    o.bind_address = source;
    if (nacre_net_connect("127.0.0.1", port, &o, &fd, &err) != NACRE_OK) {
        fail_msg("%s", err.text);
    }
    return fd;
}

/* The first bytes that the server says; "": it closed without a word. */
static const char *first_words(world *w, int fd)
{
    static char text[256];
    ssize_t got = -1;
    uint64_t end = nacre_loop_now(w->loop) + PATIENCE_MS;
    while (got < 0 && nacre_loop_now(w->loop) < end) {
        assert_int_equal(nacre_loop_run_once(w->loop, 20), NACRE_OK);
        got = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
        assert_true(got >= 0 || errno == EAGAIN || errno == ECONNRESET);
        got = got < 0 && errno == ECONNRESET ? 0 : got;
    }
    assert_true(got >= 0);
    text[got] = '\0';
    return text;
}

static bool served(world *w, int fd)
{
    return strncmp(first_words(w, fd), "SSH-2.0-", 8) == 0;
}

/* Reads on to the end. */
static bool ended(world *w, int fd)
{
    while (first_words(w, fd)[0]) {
    }
    return true;
}

static void until_connections(world *w, size_t n)
{
    uint64_t end = nacre_loop_now(w->loop) + PATIENCE_MS;
    while (nacre_server_connections(w->server) != n) {
        assert_true(nacre_loop_now(w->loop) < end);
        assert_int_equal(nacre_loop_run_once(w->loop, 20), NACRE_OK);
    }
}

static nacre_source_counts counts(world *w)
{
    nacre_source_counts c = {.size = sizeof(c)};
    nacre_sources_counts(nacre_server_sources(w->server), &c);
    return c;
}

static void gone(void *user, nacre_server_conn *c, const nacre_error *why)
{
    world *w = user;
    (void)c;
    w->gone++;
    assert_true(w->gone > 1 || why->status == NACRE_LIMIT);
}

static void one_source_does_not_keep_others_out(void **state)
{
    world *w = *state;
    int crowd[5], other = -1;
    w->cfg.startups_begin = w->cfg.startups_full = 4;
    w->cfg.callbacks.disconnected = gone;
    listen_here(w);
    for (size_t i = 0; i < 4; i++) {
        crowd[i] = dial_from("127.0.0.2");
        assert_true(served(w, crowd[i]));
    }
    crowd[4] = dial_from("127.0.0.2");
    assert_string_equal(first_words(w, crowd[4]), "Exceeded MaxStartups\r\n");
    other = dial_from("127.0.0.3");
    assert_true(served(w, other));
    assert_true(ended(w, crowd[0])); /* it had waited longest */
    assert_int_equal(w->gone, 1);    /* what the application kept for it is its to free */
    assert_int_equal(nacre_server_connections(w->server), 4);
    assert_int_equal(counts(w).instead, 1);
    assert_int_equal(counts(w).refused_startups, 1);
    assert_int_equal(counts(w).waiting, 4);
    assert_int_equal(counts(w).offences[NACRE_OFFENCE_NO_AUTH], 0); /* that was not its own doing */
    for (size_t i = 0; i < 5; i++) {
        (void)close(crowd[i]);
    }
    (void)close(other);
    until_connections(w, 0);
    assert_int_equal(w->gone, 5);
    assert_int_equal(counts(w).waiting, 0);
    assert_int_equal(counts(w).offences[NACRE_OFFENCE_NO_AUTH], 4);
}

static void a_limit_of_each_source(void **state)
{
    world *w = *state;
    w->cfg.sources.per_source = 1;
    listen_here(w);
    int one = dial_from("127.0.0.2");
    assert_true(served(w, one));
    int two = dial_from("127.0.0.2");
    assert_string_equal(first_words(w, two), "Exceeded MaxStartups\r\n");
    int other = dial_from("127.0.0.3");
    assert_true(served(w, other));
    assert_int_equal(counts(w).refused_source, 1);
    (void)close(one);
    until_connections(w, 1);
    one = dial_from("127.0.0.2");
    assert_true(served(w, one));
    (void)close(one);
    (void)close(two);
    (void)close(other);
}

static void who_goes_without_a_try_is_refused_for_a_time(void **state)
{
    world *w = *state;
    assert_false(w->cfg.sources.penalties);
    w->cfg.sources.penalties = true;
    w->cfg.sources.penalty_min_ms = 0;
    w->cfg.sources.penalty_ms[NACRE_OFFENCE_NO_AUTH] = 60000;
    w->cfg.sources.exempt = "127.0.0.9";
    listen_here(w);
    for (int i = 0; i < 2; i++) {
        const char *source = i ? "127.0.0.9" : "127.0.0.2";
        int fd = dial_from(source);
        assert_true(served(w, fd));
        (void)close(fd);
        until_connections(w, 0);
        fd = dial_from(source);
        if (i) {
            assert_true(served(w, fd));
        } else {
            assert_string_equal(first_words(w, fd), "Not allowed at this time\r\n");
        }
        (void)close(fd);
    }
    int fd = dial_from("127.0.0.3");
    assert_true(served(w, fd));
    assert_int_equal(counts(w).refused_penalty, 1);
    (void)close(fd);
}

static nacre_verdict blame_it(void *user, nacre_server_conn *c)
{
    (void)user;
    nacre_server_conn_blame(c, NACRE_OFFENCE_REFUSED);
    return NACRE_ACCEPT;
}

static void the_application_blames(void **state)
{
    world *w = *state;
    w->cfg.callbacks.connected = blame_it;
    listen_here(w);
    int fd = dial_from("127.0.0.2");
    assert_true(served(w, fd));
    (void)close(fd);
    until_connections(w, 0);
    assert_int_equal(counts(w).offences[NACRE_OFFENCE_REFUSED], 1);
    assert_int_equal(counts(w).offences[NACRE_OFFENCE_NO_AUTH], 0);
}

static void a_grace_that_is_over(void **state)
{
    world *w = *state;
    w->cfg.transport.login_grace_ms = 50;
    listen_here(w);
    int fd = dial_from("127.0.0.2");
    assert_true(served(w, fd));
    assert_true(ended(w, fd));
    (void)close(fd);
    until_connections(w, 0);
    assert_int_equal(counts(w).offences[NACRE_OFFENCE_GRACE], 1);
}

/* One that logs in is nobody's offence, whatever its end; tries that failed are. */
static void what_is_counted_of_logins(void **state)
{
    world *w = *state;
    nacre_server_counts n = {.size = sizeof(n)};
    w->cfg.callbacks.auth_none = world_yes;
    world_start(w);
    peer *in = world_login(w);
    peer *out = world_join(w);
    assert_int_equal(
        nacre_transport_auth_password(out->t, "me", (nacre_span){(const uint8_t *)"wrong", 5}),
        NACRE_OK);
    nacre_driver_kick(out->d);
    world_until(w, &out->auth_failed, 1);
    world_leave(in);
    world_leave(out);
    until_connections(w, 0);
    nacre_server_get_counts(w->server, &n);
    assert_int_equal(n.size, sizeof(n));
    assert_int_equal(n.adopted, 2);
    assert_int_equal(n.accepted, 0);
    assert_int_equal(n.logins, 1);
    assert_int_equal(n.attempts, 1);
    assert_int_equal(n.ended_before_login, 1);
    assert_int_equal(counts(w).offences[NACRE_OFFENCE_AUTH_FAIL], 1);
    assert_int_equal(counts(w).sources4, 0); /* a socket pair has no address */
}

static nacre_server_counts server_counts(world *w)
{
    nacre_server_counts n = {.size = sizeof(n)};
    nacre_server_get_counts(w->server, &n);
    return n;
}

typedef struct dice {
    uint8_t side;
    bool broken;
} dice;

static int throw(void *user, uint8_t *out, size_t n)
{
    const dice *d = user;
    memset(out, 0, n);
    out[0] = d->side; /* the machines that tests run on have the low byte first */
    return d->broken ? -1 : 0;
}

/* Between begin and full it is the dice that decide, and no dice are bad ones. */
static void the_dice_decide_who_is_dropped_early(void **state)
{
    world *w = *state;
    dice d = {.side = 0};
    w->cfg.startups_begin = 1;
    w->cfg.startups_rate = 30;
    w->cfg.startups_full = 1000;
    w->cfg.sources.no_instead = true;
    w->cfg.transport.random = throw;
    w->cfg.transport.random_user = &d;
    listen_here(w);
    static const struct {
        dice d;
        bool served;
    } rows[] = {{{0, false}, true}, /* nobody waits yet */
                {{0, false}, false}, {{29, false}, false}, {{40, false}, true},
                {{99, false}, true}, {{99, true}, false}};
    int fds[sizeof(rows) / sizeof(rows[0])];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        d = rows[i].d;
        fds[i] = dial_from("127.0.0.2");
        assert_int_equal(served(w, fds[i]), rows[i].served);
    }
    assert_int_equal(counts(w).refused_startups, 3);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)close(fds[i]);
    }
}

/* In all, logged in or not, of whatever source; a place is free again when one ends. */
static void above_max_connections_nobody_is_served(void **state)
{
    world *w = *state;
    int fd[2];
    w->cfg.max_connections = 2;
    listen_here(w);
    for (size_t i = 0; i < 2; i++) {
        fd[i] = dial_from(i ? "127.0.0.3" : "127.0.0.2");
        assert_true(served(w, fd[i]));
    }
    int more = dial_from("127.0.0.4");
    assert_false(served(w, more));
    (void)close(more);
    assert_int_equal(nacre_server_connections(w->server), 2);
    assert_int_equal(server_counts(w).refused_full, 1);
    assert_int_equal(server_counts(w).accepted, 2);
    (void)close(fd[0]);
    until_connections(w, 1);
    fd[0] = dial_from("127.0.0.4");
    assert_true(served(w, fd[0]));
    assert_int_equal(server_counts(w).refused_full, 1);
    (void)close(fd[0]);
    (void)close(fd[1]);
}

/* A password too many is a cap that was passed; who went by himself passed none. */
static void caps_that_end_connections_are_counted(void **state)
{
    world *w = *state;
    w->cfg.transport.max_auth_tries = 2;
    world_start(w);
    peer *p = world_join(w), *other = world_join(w);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            nacre_transport_auth_password(p->t, "me", (nacre_span){(const uint8_t *)"wrong", 5}),
            NACRE_OK);
        nacre_driver_kick(p->d);
        if (i == 0) {
            world_until(w, &p->auth_failed, 1);
        }
    }
    until_connections(w, 1);
    assert_int_equal(server_counts(w).ended_by_cap, 1);
    world_leave(other);
    until_connections(w, 0);
    assert_int_equal(server_counts(w).ended_by_cap, 1);
    assert_int_equal(server_counts(w).ended_before_login, 2);
    assert_int_equal(server_counts(w).attempts, 2);
    world_leave(p);
}

/* Who was built with an older header has less room, and gets as much. */
static void counters_fit_the_callers_room(void **state)
{
    world *w = *state;
    nacre_server_counts n;
    memset(&n, 0x5a, sizeof(n));
    n.size = offsetof(nacre_server_counts, ended_by_cap);
    world_start(w);
    nacre_server_get_counts(w->server, &n);
    assert_int_equal(n.size, offsetof(nacre_server_counts, ended_by_cap));
    assert_int_equal(n.logins, 0);
    assert_int_equal(n.ended_by_cap, 0x5a5a5a5a5a5a5a5a);
    assert_int_equal(n.idle_channels, 0x5a5a5a5a5a5a5a5a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(one_source_does_not_keep_others_out),
        WITH_WORLD(a_limit_of_each_source),
        WITH_WORLD(who_goes_without_a_try_is_refused_for_a_time),
        WITH_WORLD(the_application_blames),
        WITH_WORLD(a_grace_that_is_over),
        WITH_WORLD(what_is_counted_of_logins),
        WITH_WORLD(the_dice_decide_who_is_dropped_early),
        WITH_WORLD(above_max_connections_nobody_is_served),
        WITH_WORLD(caps_that_end_connections_are_counted),
        WITH_WORLD(counters_fit_the_callers_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
