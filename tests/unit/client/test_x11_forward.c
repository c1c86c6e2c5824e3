/*
 * X11 forwarding at the client: what the server may open, and what a display gets to hear before anything else. And
 * both, the agent's too, while memory runs out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "agentx11.h"
#include "nacre/net.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint8_t real[16] = "the real cookie";

typedef struct display {
    char path[128];
    int listener, fd;
} display;

static void make_display(const world *w, display *d, const char *name)
{
    d->fd = -1;
    (void)snprintf(d->path, sizeof(d->path), "%s/%s", w->s.dir, name);
    assert_int_equal(nacre_net_listen_unix(d->path, 0600, false, 0, &d->listener, NULL), NACRE_OK);
}

static void end_display(display *d)
{
    (void)close(d->listener);
    if (d->fd >= 0) {
        (void)close(d->fd);
    }
    (void)unlink(d->path);
}

static bool is_called(display *d)
{
    return d->fd >= 0 || nacre_net_accept(d->listener, &d->fd, NULL) == NACRE_OK;
}

static void ask_x11(world *w, nacre_channel *session, const char *path, bool single, bool cookie)
{
    nacre_x11_options o;
    nacre_x11_cookie c;
    memset(&c, 0, sizeof(c));
    (void)snprintf(c.protocol, sizeof(c.protocol), "MIT-MAGIC-COOKIE-1");
    memcpy(c.data, real, sizeof(real));
    c.size = sizeof(real);
    nacre_x11_options_init(&o);
    o.display = path;
    o.cookie = cookie ? &c : NULL;
    o.single_connection = single;
    o.on_refused = world_refused;
    o.user = w;
    assert_int_equal(nacre_client_x11(w->s.c, session, &o, &w->s.err), NACRE_OK);
    assert_int_equal(nacre_client_wait_reply(w->s.c, session, 5000), NACRE_OK);
}

static void test_x11(void **state)
{
    world w;
    display d;
    uint8_t first[64], in[64];
    (void)state;
    world_start(&w);
    make_display(&w, &d, "X");
    ask_x11(&w, w.session, d.path, false, true);
    assert_false(w.x11[0].single_connection);
    size_t n = world_first_message(&w.x11[0], first);
    assert_memory_not_equal(first + 32, real, 16); /* the server never sees it */
    memcpy(first + n, "more", 4);
    for (size_t step = 1; step <= n + 4; step += step < 4 ? 1 : 16) {
        opened *o = world_channel(&w, "x11");
        UNTIL(&w, o->open);
        assert_false(is_called(&d));
        for (size_t at = 0; at < n + 4; at += step) {
            world_send(&w, o, first + at, n + 4 - at < step ? n + 4 - at : step);
        }
        UNTIL(&w, is_called(&d));
        world_read(&w, d.fd, in, n + 4);
        assert_memory_equal(in, first, 32);
        assert_memory_equal(in + 32, real, 16);
        assert_memory_equal(in + 48, "more", 4);
        assert_int_equal(send(d.fd, "reply", 5, 0), 5);
        UNTIL(&w, o->n == 5);
        assert_int_equal(nacre_channel_eof(o->ch), NACRE_OK);
        (void)close(d.fd);
        d.fd = -1;
        UNTIL(&w, o->closed);
    }
    assert_int_equal(w.refusals, 0);
    end_display(&d);
    world_stop(&w);
}

static void test_x11_without_a_cookie(void **state)
{
    world w;
    display d;
    uint8_t first[64], in[64];
    (void)state;
    world_start(&w);
    make_display(&w, &d, "X");
    ask_x11(&w, w.session, d.path, false, false);
    opened *o = world_channel(&w, "x11");
    UNTIL(&w, o->open);
    world_send(&w, o, first, world_first_message(&w.x11[0], first));
    UNTIL(&w, is_called(&d));
    world_read(&w, d.fd, in, 12);
    assert_memory_equal(in, "B\0\0\13\0\0\0\0\0\0\0\0", 12);
    end_display(&d);
    world_stop(&w);
}

/* Each is refused, in words of X where it could be X, and the display hears nothing of it. */
static void test_x11_that_is_refused(void **state)
{
    world w;
    display d;
    uint8_t first[64];
    (void)state;
    world_start(&w);
    make_display(&w, &d, "X");
    ask_x11(&w, w.session, d.path, false, true);
    for (int i = 0; i < 6; i++) {
        size_t n = world_first_message(&w.x11[0], first);
        opened *o = world_channel(&w, "x11");
        UNTIL(&w, o->open);
        switch (i) {
        case 0:
            first[47] ^= 1; /* the cookie */
            break;
        case 1:
            first[12] ^= 1; /* the protocol's name */
            break;
        case 2:
            first[9] = 15; /* a byte less of it */
            break;
        case 3:
            memset(first + 7, 0, 3); /* no authorization */
            n = 12;
            break;
        case 4:
            first[6] = 1; /* a name that is too long */
            break;
        default:
            first[0] = 'G';
            break;
        }
        world_send(&w, o, first, n);
        UNTIL(&w, o->closed);
        assert_true(o->n > 8);
        assert_int_equal(o->in[0], 0); /* Failed */
        assert_int_equal(w.refusals, i + 1);
    }
    opened *o = world_channel(&w, "x11"); /* one that says nothing */
    UNTIL(&w, o->open);
    assert_int_equal(nacre_channel_eof(o->ch), NACRE_OK);
    UNTIL(&w, o->closed);
    assert_false(is_called(&d));
    end_display(&d);
    opened *late = world_channel(&w, "x11"); /* the display is gone */
    UNTIL(&w, late->open);
    world_send(&w, late, first, world_first_message(&w.x11[0], first));
    UNTIL(&w, late->closed);
    assert_non_null(strstr((const char *)late->in + 8, "cannot be reached"));
    world_stop(&w);
}

static void test_x11_for_one_connection(void **state)
{
    world w;
    display d;
    uint8_t first[64];
    (void)state;
    world_start(&w);
    make_display(&w, &d, "X");
    ask_x11(&w, w.session, d.path, true, true);
    assert_true(w.x11[0].single_connection);
    opened *one = world_channel(&w, "x11"), *two = world_channel(&w, "x11");
    UNTIL(&w, one->open && two->open);
    size_t n = world_first_message(&w.x11[0], first);
    world_send(&w, two, first, n);
    UNTIL(&w, is_called(&d));
    world_send(&w, one, first, n); /* the right cookie, too late */
    UNTIL(&w, one->closed);
    assert_int_equal(one->in[0], 0);
    opened *three = world_channel(&w, "x11");
    UNTIL(&w, three->failed);
    assert_int_equal(three->reason, 1);
    end_display(&d);
    world_stop(&w);
}

/* Each session's cookie leads to its own display, and ends with the session. */
static void test_x11_of_two_sessions(void **state)
{
    world w;
    display d[2];
    uint8_t first[64];
    nacre_channel *other = NULL;
    (void)state;
    world_start(&w);
    make_display(&w, &d[0], "X0");
    make_display(&w, &d[1], "X1");
    assert_int_equal(nacre_client_session(w.s.c, 5000, &other), NACRE_OK);
    ask_x11(&w, w.session, d[0].path, false, true);
    ask_x11(&w, other, d[1].path, false, true);
    assert_string_not_equal(w.x11[0].cookie, w.x11[1].cookie);
    for (int i = 1; i >= 0; i--) {
        opened *o = world_channel(&w, "x11");
        UNTIL(&w, o->open);
        world_send(&w, o, first, world_first_message(&w.x11[i], first));
        UNTIL(&w, is_called(&d[i]));
    }
    nacre_client_channel_free(w.s.c, other);
    opened *o = world_channel(&w, "x11");
    UNTIL(&w, o->open);
    world_send(&w, o, first, world_first_message(&w.x11[1], first));
    UNTIL(&w, o->closed);
    nacre_client_channel_free(w.s.c, w.session);
    o = world_channel(&w, "x11");
    UNTIL(&w, o->failed);
    assert_int_equal(o->reason, 1);
    end_display(&d[0]);
    end_display(&d[1]);
    world_stop(&w);
}

/* Who says nothing keeps nobody out: anybody at the server can connect to a display there. */
static void test_x11_by_the_dozen(void **state)
{
    world w;
    display d;
    uint8_t first[64];
    (void)state;
    world_start(&w);
    make_display(&w, &d, "X");
    ask_x11(&w, w.session, d.path, false, true);
    for (int i = 0; i < 65; i++) {
        (void)world_channel(&w, "x11");
    }
    UNTIL(&w, w.list[64].open && w.list[0].closed);
    assert_true(w.list[1].open && !w.list[1].closed);
    world_send(&w, &w.list[64], first, world_first_message(&w.x11[0], first));
    UNTIL(&w, is_called(&d));
    end_display(&d);
    world_stop(&w); /* with the others at the beginning */
}

static void test_x11_that_cannot_be_asked_for(void **state)
{
    world w;
    nacre_x11_options o;
    nacre_x11_cookie c;
    (void)state;
    world_start(&w);
    (void)unsetenv("DISPLAY");
    nacre_x11_options_init(&o);
    assert_int_equal(nacre_client_x11(w.s.c, w.session, &o, &w.s.err), NACRE_NOT_FOUND);
    o.display = "no display";
    assert_int_equal(nacre_client_x11(w.s.c, w.session, &o, &w.s.err), NACRE_SYNTAX);
    o.display = ":0";
    memset(&c, 'x', sizeof(c));
    o.cookie = &c;
    assert_int_equal(nacre_client_x11(w.s.c, w.session, &o, &w.s.err), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_client_x11(w.s.c, NULL, &o, &w.s.err), NACRE_CLOSED);
    assert_int_equal(nacre_client_x11(w.s.c, w.session, NULL, &w.s.err), NACRE_INVALID_ARGUMENT);
    opened *ch = world_channel(&w, "x11");
    UNTIL(&w, ch->failed);
    world_stop(&w);
}

/* ---- without memory ---- */

/*
 * Asking for the agent and for X11, and a connection to each, while memory ends at every place in turn: whatever fails,
 * and be it the whole connection, fails without a trace.
 */
static void one_without_memory(test_memory *m)
{
    static const uint8_t yes[] = {0, 0, 0, 1, 6};
    world w;
    uint8_t first[64];
    nacre_agent_forward_options ao;
    nacre_x11_options xo;
    memset(&w, 0, sizeof(w));
    w.agent_end = -1;
    m->paused = true;
    stage_init(&w.s);
    w.s.hook = world_hook;
    w.s.hook_user = &w;
    w.s.cfg.transport.allocator = &m->hooks;
    stage_login(&w.s);
    assert_int_equal(nacre_client_session(w.s.c, 5000, &w.session), NACRE_OK);
    nacre_agent_forward_options_init(&ao);
    ao.connect = world_give_agent;
    ao.user = &w;
    nacre_x11_options_init(&xo);
    xo.display = "/nowhere/X";
    xo.want_reply = false;
    m->paused = false;
    int agent = nacre_client_forward_agent(w.s.c, w.session, &ao, &w.s.err);
    assert_true(agent == NACRE_OK || w.s.err.text[0]);
    int x11 = nacre_client_x11(w.s.c, w.session, &xo, &w.s.err);
    assert_true(x11 == NACRE_OK || w.s.err.text[0]);
    for (int i = 0; i < 20; i++) {
        world_turn(&w);
    }
    opened *o[2] = {world_channel(&w, "auth-agent@openssh.com"), world_channel(&w, "x11")};
    for (int i = 0; i < 40 && !w.s.gone; i++) {
        world_turn(&w);
        if (w.agent_end >= 0 && i == 20) {
            (void)send(w.agent_end, yes, sizeof(yes), MSG_NOSIGNAL);
        }
        if (o[1]->open && w.x11_requests > 0 && i == 20) {
            size_t took = 0;
            (void)!nacre_channel_write(o[1]->ch, NACRE_STDOUT, first,
                                       world_first_message(&w.x11[0], first), &took);
        }
    }
    assert_true(agent == NACRE_OK || !o[0]->open);
    assert_true(x11 == NACRE_OK || !o[1]->open);
    m->paused = true;
    world_stop(&w);
}

static void test_without_memory(void **state)
{
    (void)state;
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        one_without_memory(&m);
    }
    assert_true(m.round > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_x11),
        cmocka_unit_test(test_x11_without_a_cookie),
        cmocka_unit_test(test_x11_that_is_refused),
        cmocka_unit_test(test_x11_for_one_connection),
        cmocka_unit_test(test_x11_of_two_sessions),
        cmocka_unit_test(test_x11_by_the_dozen),
        cmocka_unit_test(test_x11_that_cannot_be_asked_for),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
