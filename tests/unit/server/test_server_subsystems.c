/*
 * test_server_subsystems.c - subsystems by name.
 */
#include "world.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a handler of the tests has seen. */
typedef struct seen {
    int starts, eofs, finished;
    size_t bytes;
    nacre_verdict verdict;
    uint32_t ticket;
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

static void ask(world *w, peer *p, nacre_channel *ch, const char *name, bool granted)
{
    int *what = granted ? &p->yes : &p->no, before = *what;
    assert_int_equal(nacre_channel_subsystem(ch, name, true), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, what, before + 1);
}

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
    nacre_channel *ch = world_session(w, p);
    ask(w, p, ch, "other", false);
    ask(w, p, ch, "ech", false);
    ask(w, p, ch, "echo", true);
    /* One program a channel, and no shell where no callback is. */
    ask(w, p, ch, "echo", false);
    assert_int_equal(s.starts, 1);
    world_say(p, ch, "hello");
    while (p->n < 5) {
        assert_int_equal(nacre_loop_run_once(w->loop, 100), NACRE_OK);
    }
    assert_memory_equal(p->out, "hello", 5);
    assert_int_equal(s.finished, 0);
    world_say(p, ch, "q");
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
    nacre_channel *ch = world_session(w, p);
    ask(w, p, ch, "null", true);
    world_say(p, ch, "dropped");
    assert_int_equal(nacre_channel_eof(ch), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->closed, 1);
    assert_int_equal(p->exit_status, 0);
    ch = world_session(w, p);
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
    w->cfg.callbacks.authenticated = world_note;
    seen s = {0};
    nacre_subsystem h = handler(&s), deaf;
    nacre_answer yes = {.accept = true};
    nacre_subsystem_init(&deaf);
    w->cfg.callbacks.auth_none = w->cfg.callbacks.channel_open = world_yes;
    world_start(w);
    assert_int_equal(nacre_server_subsystem_add(w->server, "deaf", &deaf), NACRE_OK);
    assert_int_equal(nacre_server_subsystem_add(w->server, "echo", &h), NACRE_OK);
    peer *p = world_login(w);
    nacre_channel *ch = world_session(w, p);
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
    world_say(p, ch, "x");
    while (p->n < 1) {
        assert_int_equal(nacre_loop_run_once(w->loop, 100), NACRE_OK);
    }
    ask(w, p, world_session(w, p), "echo", false);
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
    nacre_channel *ch = world_session(w, p);
    ask(w, p, ch, "fd", true);
    assert_true(fd >= 0);
    world_say(p, ch, "in");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(names_of_subsystems),
        WITH_WORLD(a_subsystem_gets_what_comes),
        WITH_WORLD(a_subsystem_that_looks_at_nothing),
        WITH_WORLD(a_subsystem_may_refuse_or_think),
        WITH_WORLD(a_subsystem_on_a_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
