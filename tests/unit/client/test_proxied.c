/*
 * test_proxied.c - how a client leaves a connection that a master holds: not before the server has closed, or refused,
 * every channel, and in the end even so.
 */
#include "base/mem.h"
#include "nacre/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { THINKS_MS = 50 };

/* The master's end, and a server behind it that thinks before it answers. */
typedef struct master {
    nacre_loop *loop;
    nacre_transport *t;
    nacre_driver *d;
    nacre_client *c;
    bool never;        /* it does not answer at all */
    bool slow_open;    /* it thinks about an open; otherwise about a close */
    uint32_t ticket;   /* the open that it thinks about, */
    nacre_channel *ch; /* or the channel to be closed */
    unsigned opened, closed;
    bool gone;
} master;

static void has_thought(void *user)
{
    master *m = user;
    if (m->ticket) {
        m->opened++;
        assert_int_equal(nacre_transport_accept(m->t, m->ticket), NACRE_OK);
    } else {
        m->closed++;
        assert_int_equal(nacre_channel_close(m->ch), NACRE_OK);
    }
    m->ticket = 0;
    nacre_driver_kick(m->d);
}

static void think(master *m)
{
    if (!m->never) {
        assert_int_equal(nacre_loop_timer(m->loop, THINKS_MS, has_thought, m, NULL), NACRE_OK);
    }
}

static void on_event(void *user, nacre_driver *d, const nacre_event *ev)
{
    master *m = user;
    (void)d;
    if (ev->type == NACRE_EVENT_CHANNEL_OPEN) {
        m->ch = ev->channel;
        if (m->slow_open) {
            m->ticket = ev->ticket;
            think(m);
            return;
        }
        m->opened++;
        assert_int_equal(nacre_channel_hold_close(m->ch, true), NACRE_OK);
        assert_int_equal(nacre_transport_accept(m->t, ev->ticket), NACRE_OK);
    } else if (ev->type == NACRE_EVENT_CHANNEL_PEER_CLOSED) {
        think(m);
    } else if (ev->type == NACRE_EVENT_CHANNEL_CLOSED) {
        nacre_channel_free(ev->channel);
    }
}

static void on_closed(void *user, nacre_driver *d, const nacre_error *why)
{
    master *m = user;
    (void)d;
    (void)why;
    m->gone = true;
}

static void begin(master *m)
{
    int pair[2];
    nacre_config cfg;
    nacre_client_config cc;
    nacre_driver_options o;
    nacre_error err;
    assert_int_equal(nacre_loop_new(&m->loop, NULL, &err), NACRE_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    nacre_config_init(&cfg, NACRE_SERVER);
    assert_int_equal(nacre_transport_new_proxied(&m->t, &cfg, nacre_loop_now(m->loop), &err),
                     NACRE_OK);
    nacre_driver_options_init(&o);
    o.on_event = on_event;
    o.on_closed = on_closed;
    o.user = m;
    assert_int_equal(nacre_driver_new(&m->d, m->loop, m->t, pair[0], pair[0], &o, &err), NACRE_OK);
    nacre_client_config_init(&cc);
    cc.loop = m->loop;
    assert_int_equal(nacre_client_new(&m->c, &cc, &err), NACRE_OK);
    assert_int_equal(nacre_client_connect_proxied(m->c, pair[1], "there", 22), NACRE_OK);
}

static void end(master *m)
{
    nacre_client_free(m->c);
    while (!m->gone) {
        assert_int_equal(nacre_loop_run_once(m->loop, 100), NACRE_OK);
    }
    nacre_driver_free(m->d);
    nacre_transport_free(m->t);
    nacre_loop_free(m->loop);
}

static void channels_are_closed_first(void **state)
{
    (void)state;
    for (int freed = 0; freed < 2; freed++) { /* whether the application still has it or not */
        master m = {0};
        nacre_channel *ch;
        begin(&m);
        assert_int_equal(nacre_client_session(m.c, 0, &ch), NACRE_OK);
        if (freed) {
            nacre_client_channel_free(m.c, ch);
        }
        nacre_client_disconnect(m.c);
        assert_int_equal(m.closed, 1);
        nacre_client_disconnect(m.c);
        end(&m);
    }
}

static void an_open_is_waited_for(void **state)
{
    (void)state;
    master m = {.slow_open = true};
    nacre_channel *ch;
    begin(&m);
    assert_int_equal(nacre_client_session(m.c, 1, &ch), NACRE_TIMEOUT);
    assert_int_equal(m.opened, 0);
    nacre_client_disconnect(m.c);
    assert_int_equal(m.opened, 1);
    end(&m);
}

static void but_not_for_ever(void **state)
{
    (void)state;
    master m = {.never = true};
    nacre_channel *ch;
    begin(&m);
    assert_int_equal(nacre_client_session(m.c, 0, &ch), NACRE_OK);
    nacre_client_disconnect(m.c);
    assert_int_equal(m.closed, 0);
    end(&m);
}

/* Nobody is waited for who has gone. */
static void a_master_that_goes(void **state)
{
    (void)state;
    master m = {.never = true};
    nacre_channel *ch;
    begin(&m);
    assert_int_equal(nacre_client_session(m.c, 0, &ch), NACRE_OK);
    nacre_driver_close(m.d);
    nacre_client_disconnect(m.c);
    assert_int_not_equal(nacre_client_session(m.c, 0, &ch), NACRE_OK);
    end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_are_closed_first),
        cmocka_unit_test(an_open_is_waited_for),
        cmocka_unit_test(but_not_for_ever),
        cmocka_unit_test(a_master_that_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
