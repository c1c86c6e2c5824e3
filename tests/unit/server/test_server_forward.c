/*
 * test_server_forward.c - what the server ties to channels that are no sessions, against client engines in the
 * same loop.
 */
#include "world.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- attach ------------------------------------------------------------------------------------------- */

/* The connection, a channel of it that is to be answered, and what its relay said. */
typedef struct tied {
    nacre_server_conn *c;
    nacre_channel *ch;
    uint32_t ticket;
    int asked, finished, closed;
    uint64_t out, in;
    int pair[2];
} tied;
static tied T;

static nacre_verdict later(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    (void)user;
    T.c = c;
    T.ch = ev->channel;
    T.ticket = ev->ticket;
    T.asked++;
    return NACRE_LATER;
}

static void on_finished(void *user, nacre_relay *r, const nacre_relay_result *result)
{
    assert_ptr_equal(user, &T);
    assert_non_null(r);
    T.out = result->bytes_out;
    T.in = result->bytes_in;
    T.finished++;
}

static void channel_closed(void *user, nacre_server_conn *c, nacre_channel *ch)
{
    (void)user;
    (void)c;
    (void)ch;
    T.closed++;
}

static int attach(nacre_channel *ch)
{
    nacre_error err = {0};
    nacre_relay_options o;
    nacre_relay_options_init(&o);
    o.source = o.sink = T.pair[0];
    o.on_finished = on_finished;
    o.user = &T;
    int rc = nacre_server_attach(T.c, ch, &o, &err);
    assert_int_equal(rc, err.status);
    return rc;
}

/* A client with a channel "x@test", which the server has not answered. */
static peer *asking(world *w, nacre_channel **ch)
{
    memset(&T, 0, sizeof(T));
    w->cfg.callbacks.auth_none = world_yes;
    w->cfg.callbacks.channel_open = later;
    w->cfg.callbacks.channel_closed = channel_closed;
    world_start(w);
    peer *p = world_login(w);
    assert_int_equal(nacre_channel_open(p->t, "x@test", nc_span(NULL, 0), 0, 0, ch), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &T.asked, 1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, T.pair), 0);
    return p;
}

static void accept_it(void)
{
    nacre_answer yes = {.accept = true};
    assert_int_equal(nacre_server_answer(T.c, T.ticket, &yes), NACRE_OK);
}

/* Turns the loop until the socket has something: what recv says. */
static ssize_t hear(world *w, int fd, char *out, size_t n)
{
    ssize_t got = -1;
    uint64_t end = nacre_loop_now(w->loop) + 30000;
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

static void both_halves_of_an_attached_channel(void **state)
{
    world *w = *state;
    nacre_channel *ch = NULL;
    char text[64];
    peer *p = asking(w, &ch);
    assert_int_equal(attach(T.ch), NACRE_WRONG_STATE); /* nobody has accepted it */
    accept_it();
    assert_int_equal(attach(T.ch), NACRE_OK);
    assert_int_equal(attach(T.ch), NACRE_WRONG_STATE); /* it is taken */
    world_until(w, &p->opened, 1);
    say(p, ch, "there");
    assert_int_equal(hear(w, T.pair[1], text, sizeof(text)), 5);
    assert_memory_equal(text, "there", 5);
    /* Our half ends; the other goes on. */
    assert_int_equal(nacre_channel_eof(ch), NACRE_OK);
    nacre_driver_kick(p->d);
    assert_int_equal(hear(w, T.pair[1], text, sizeof(text)), 0);
    assert_int_equal(T.finished, 0);
    assert_int_equal(send(T.pair[1], "and back", 8, 0), 8);
    assert_int_equal(close(T.pair[1]), 0);
    world_until(w, &p->closed, 1);
    world_until(w, &T.closed, 1);
    assert_int_equal(p->n, 8);
    assert_memory_equal(p->out, "and back", 8);
    assert_int_equal(T.finished, 1);
    assert_int_equal(T.in, 5);
    assert_int_equal(T.out, 8);
    world_leave(p);
}

/*
 * The client ends its channel while the socket takes nothing: what it has sent is owed to the socket, and the channel
 * is over only then. A client that believed otherwise would leave, and take the rest with it.
 */
static void an_end_waits_for_what_is_owed(void **state)
{
    world *w = *state;
    nacre_channel *ch = NULL;
    static char text[64 * 1024];
    size_t sent = 0, took = 1, heard = 0;
    peer *p = asking(w, &ch);
    accept_it();
    assert_int_equal(attach(T.ch), NACRE_OK);
    world_until(w, &p->opened, 1);
    while (sent < (size_t)1024 * 1024 && took > 0) {
        assert_int_equal(nacre_channel_write(ch, NACRE_STDOUT, text, sizeof(text), &took),
                         NACRE_OK);
        sent += took;
        nacre_driver_kick(p->d);
        assert_int_equal(nacre_loop_run_once(w->loop, 0), NACRE_OK);
    }
    assert_true(sent >= (size_t)512 * 1024); /* more than a socket keeps */
    assert_int_equal(nacre_channel_close(ch), NACRE_OK);
    nacre_driver_kick(p->d);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(nacre_loop_run_once(w->loop, 2), NACRE_OK);
    }
    assert_int_equal(p->closed, 0);
    assert_int_equal(T.finished, 0);
    for (ssize_t got = 1; got > 0; heard += (size_t)got) {
        got = hear(w, T.pair[1], text, sizeof(text));
        assert_true(got >= 0);
    }
    assert_int_equal(heard, sent);
    world_until(w, &p->closed, 1);
    world_until(w, &T.closed, 1);
    assert_int_equal(T.finished, 1);
    (void)close(T.pair[1]);
    world_leave(p);
}

static void hear_event(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    (void)user;
    (void)c;
    (void)ev;
}

static void an_end_that_came_first(void **state)
{
    world *w = *state;
    nacre_channel *ch = NULL;
    char text[64];
    w->cfg.callbacks.event = hear_event;
    peer *p = asking(w, &ch);
    accept_it();
    world_until(w, &p->opened, 1);
    assert_int_equal(nacre_channel_eof(ch), NACRE_OK);
    nacre_driver_kick(p->d);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(nacre_loop_run_once(w->loop, 0), NACRE_OK);
    }
    /* The application has heard of it, and attaches all the same. */
    assert_int_equal(attach(T.ch), NACRE_OK);
    assert_int_equal(hear(w, T.pair[1], text, sizeof(text)), 0);
    assert_int_equal(close(T.pair[1]), 0);
    world_until(w, &p->closed, 1);
    world_until(w, &T.finished, 1);
    world_leave(p);
}

static void the_connection_ends_first(void **state)
{
    world *w = *state;
    nacre_channel *ch = NULL;
    char text[64];
    peer *p = asking(w, &ch);
    w->gone = 0;
    accept_it();
    assert_int_equal(attach(T.ch), NACRE_OK);
    world_until(w, &p->opened, 1);
    world_leave(p);
    world_until(w, &T.finished, 1);
    assert_int_equal(hear(w, T.pair[1], text, sizeof(text)), 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(nacre_loop_run_once(w->loop, 0), NACRE_OK);
    }
    assert_int_equal(T.finished, 1);
    assert_int_equal(T.closed, 1);
    (void)close(T.pair[1]);
}

static void what_cannot_be_attached(void **state)
{
    world *w = *state;
    nacre_channel *ch = NULL;
    nacre_relay_options o;
    nacre_error err = {0};
    peer *p = asking(w, &ch);
    accept_it();
    nacre_relay_options_init(&o);
    o.source = o.sink = T.pair[0];
    assert_int_equal(nacre_server_attach(T.c, T.ch, NULL, &err), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_server_attach(T.c, NULL, &o, &err), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_server_attach(T.c, ch, &o, &err),
                     NACRE_INVALID_ARGUMENT); /* the client's */
    o.size = sizeof(o) + 1;
    assert_int_equal(nacre_server_attach(T.c, T.ch, &o, &err), NACRE_INVALID_ARGUMENT);
    (void)close(T.pair[0]);
    (void)close(T.pair[1]);
    world_leave(p);
}

/* ---- carry -------------------------------------------------------------------------------------------- */

static nacre_server_conn *last;

static nacre_verdict note_login(void *user, nacre_server_conn *c, const char *name,
                                const nacre_key *key)
{
    (void)user;
    (void)name;
    (void)key;
    last = c;
    return NACRE_ACCEPT;
}

static peer *carrying(world *w, bool take)
{
    memset(&T, 0, sizeof(T));
    w->cfg.callbacks.auth_none = world_yes;
    w->cfg.callbacks.authenticated = note_login;
    w->cfg.callbacks.channel_closed = channel_closed;
    world_start(w);
    peer *p = world_login(w);
    p->take = take;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, T.pair), 0);
    return p;
}

static void a_socket_is_carried(void **state)
{
    world *w = *state;
    nacre_error err = {0};
    char text[64];
    peer *p = carrying(w, true);
    assert_int_equal(send(T.pair[1], "early", 5, 0), 5);
    assert_int_equal(nacre_server_carry(last, "y@test", nc_span_cstr("data"), T.pair[0], &err),
                     NACRE_OK);
    world_until(w, &p->asked, 1);
    assert_string_equal(p->ask_type, "y@test");
    assert_int_equal(p->ask_n, 4);
    assert_memory_equal(p->ask_data, "data", 4);
    say(p, p->ask_channel, "back");
    assert_int_equal(hear(w, T.pair[1], text, sizeof(text)), 4);
    assert_int_equal(shutdown(T.pair[1], SHUT_WR), 0);
    world_until(w, &p->eofs, 1);
    assert_memory_equal(p->out, "early", 5);
    assert_int_equal(nacre_channel_eof(p->ask_channel), NACRE_OK);
    nacre_driver_kick(p->d);
    assert_int_equal(hear(w, T.pair[1], text, sizeof(text)), 0);
    world_until(w, &p->closed, 1);
    world_until(w, &T.closed, 1);
    (void)close(T.pair[1]);
    world_leave(p);
}

static void a_refusal_closes_the_socket(void **state)
{
    world *w = *state;
    nacre_error err = {0};
    char text[64];
    peer *p = carrying(w, false);
    assert_int_equal(nacre_server_carry(last, "y@test", nc_span(NULL, 0), T.pair[0], &err),
                     NACRE_OK);
    world_until(w, &p->asked, 1);
    assert_int_equal(recv(T.pair[1], text, 1, MSG_DONTWAIT), -1);
    assert_int_equal(nacre_transport_refuse(p->t, p->ask_ticket), NACRE_OK);
    nacre_driver_kick(p->d);
    assert_int_equal(hear(w, T.pair[1], text, sizeof(text)), 0);
    assert_int_equal(T.closed, 0); /* nobody was told of a channel */
    (void)close(T.pair[1]);
    world_leave(p);
}

static void a_client_that_never_answers(void **state)
{
    world *w = *state;
    nacre_error err = {0};
    char text[64];
    peer *p = carrying(w, false);
    assert_int_equal(nacre_server_carry(last, "y@test", nc_span(NULL, 0), -1, &err),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_server_carry(last, "y@test", nc_span(NULL, 0), T.pair[0], &err),
                     NACRE_OK);
    world_until(w, &p->asked, 1);
    world_leave(p);
    assert_int_equal(hear(w, T.pair[1], text, sizeof(text)), 0);
    (void)close(T.pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(both_halves_of_an_attached_channel),
        WITH_WORLD(an_end_waits_for_what_is_owed),
        WITH_WORLD(an_end_that_came_first),
        WITH_WORLD(the_connection_ends_first),
        WITH_WORLD(what_cannot_be_attached),
        WITH_WORLD(a_socket_is_carried),
        WITH_WORLD(a_refusal_closes_the_socket),
        WITH_WORLD(a_client_that_never_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
