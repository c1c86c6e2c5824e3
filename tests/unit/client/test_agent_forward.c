/*
 * Agent forwarding at the client: what the server may open, what an agent gets to hear before anything else, and what
 * becomes of those who do not keep to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "agentx11.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void ask_agent(world *w)
{
    nacre_agent_forward_options o;
    nacre_agent_forward_options_init(&o);
    o.connect = world_give_agent;
    o.on_refused = world_refused;
    o.user = w;
    unsigned before = w->agent_requests;
    assert_int_equal(nacre_client_forward_agent(w->s.c, w->session, &o, &w->s.err), NACRE_OK);
    UNTIL(w, w->agent_requests > before);
}

/* The agent is told of the session before the channel is even open. */
static void take_binding(world *w)
{
    uint8_t head[9], rest[4096];
    UNTIL(w, w->connects > w->bindings);
    w->bindings++;
    world_read(w, w->agent_end, head, sizeof(head));
    size_t n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    assert_int_equal(head[4], 27);
    assert_int_equal(head[8], 24);
    world_read(w, w->agent_end, rest, n - 5);
    assert_memory_equal(rest, "session-bind@openssh.com", 24);
    assert_int_equal(rest[n - 6], 1); /* forwarding */
}

static void test_agent_not_asked_for(void **state)
{
    static const char *const names[] = {"auth-agent@openssh.com", "agent-connect", "x11"};
    world w;
    (void)state;
    world_start(&w);
    for (size_t i = 0; i < 3; i++) {
        opened *o = world_channel(&w, names[i]);
        UNTIL(&w, o->failed);
        assert_true(o->reason == 1 || o->reason == 3);
    }
    world_stop(&w);
}

static void test_agent(void **state)
{
    static const uint8_t yes[] = {0, 0, 0, 1, 6};
    world w;
    uint8_t in[8];
    (void)state;
    world_start(&w);
    ask_agent(&w);
    /* our engine announces that it knows the standard's names */
    assert_string_equal(w.agent_name, "agent-req");
    for (int i = 0; i < 2; i++) {
        opened *o = world_channel(&w, i ? "agent-connect" : "auth-agent@openssh.com");
        take_binding(&w);
        assert_false(o->open);
        for (size_t k = 0; k < sizeof(yes); k++) { /* in pieces */
            assert_int_equal(send(w.agent_end, yes + k, 1, 0), 1);
            world_turn(&w);
        }
        UNTIL(&w, o->open);
        world_send(&w, o, "request", 7);
        world_read(&w, w.agent_end, in, 7);
        assert_memory_equal(in, "request", 7);
        assert_int_equal(send(w.agent_end, "answer", 6, 0), 6);
        UNTIL(&w, o->n == 6);
        assert_memory_equal(o->in, "answer", 6); /* and nothing of the binding */
        assert_int_equal(nacre_channel_eof(o->ch), NACRE_OK);
        world_turn(&w);
        assert_int_equal(shutdown(w.agent_end, SHUT_WR), 0);
        UNTIL(&w, o->closed);
    }
    assert_int_equal(w.connects, 2);
    world_stop(&w);
}

static void test_agent_that_knows_no_binding(void **state)
{
    static const uint8_t no[2][5] = {{0, 0, 0, 1, 5}, {0, 0, 0, 1, 28}};
    world w;
    (void)state;
    world_start(&w);
    ask_agent(&w);
    for (int i = 0; i < 2; i++) {
        opened *o = world_channel(&w, "auth-agent@openssh.com");
        take_binding(&w);
        assert_int_equal(send(w.agent_end, no[i], 5, 0), 5);
        UNTIL(&w, o->open);
    }
    world_stop(&w);
}

static void test_agent_that_misbehaves(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {
        {"\0\0\0\0", 4},              /* nothing */
        {"\0\4\0\1", 4},              /* longer than any message */
        {"\377\377\377\377\6", 5},    /* absurd */
        {"\0\0\0\1\6\0", 6},          /* more than it was asked */
        {"\0\0\0\1\6\0\0\0\1\6", 10}, /* an answer too many */
        {NULL, 0},                    /* the end */
    };
    world w;
    (void)state;
    world_start(&w);
    ask_agent(&w);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        opened *o = world_channel(&w, "auth-agent@openssh.com");
        take_binding(&w);
        if (rows[i].bytes) {
            assert_int_equal(send(w.agent_end, rows[i].bytes, rows[i].n, 0), (ssize_t)rows[i].n);
        } else {
            (void)shutdown(w.agent_end, SHUT_RDWR);
        }
        UNTIL(&w, o->failed);
        assert_int_equal(o->reason, 2);
        assert_int_equal(w.refusals, i + 1);
    }
    w.no_agent = true;
    opened *o = world_channel(&w, "auth-agent@openssh.com");
    UNTIL(&w, o->failed);
    nacre_client_forward_agent_stop(w.s.c);
    o = world_channel(&w, "auth-agent@openssh.com");
    UNTIL(&w, o->failed);
    assert_int_equal(o->reason, 1);
    world_stop(&w);
}

/* An agent that is stuck costs the connection nothing, and so many waiting opens at most. */
static void test_agent_that_is_stuck(void **state)
{
    world w;
    (void)state;
    world_start(&w);
    ask_agent(&w);
    for (int i = 0; i < 33; i++) {
        (void)world_channel(&w, "auth-agent@openssh.com");
    }
    UNTIL(&w, w.list[32].failed);
    assert_int_equal(w.list[32].reason, 4);
    assert_false(w.list[0].failed || w.list[0].open);
    nacre_channel *another = NULL;
    assert_int_equal(nacre_client_session(w.s.c, 5000, &another), NACRE_OK);
    world_stop(&w); /* with all of them waiting */
}

static void test_agent_in_this_process(void **state)
{
    static const uint8_t list[] = {0, 0, 0, 1, 11};
    world w;
    nacre_keyring *ring = NULL;
    nacre_keyring_server *server = NULL;
    nacre_keyring_options ko;
    nacre_agent_forward_options o;
    (void)state;
    world_start(&w);
    nacre_keyring_options_init(&ko);
    assert_int_equal(nacre_keyring_new(&ring, &ko, nacre_loop_now(w.s.loop), 1), NACRE_OK);
    assert_int_equal(nacre_keyring_add(ring, w.s.user_key, NULL, &w.s.err), NACRE_OK);
    assert_int_equal(nacre_keyring_serve(&server, w.s.loop, ring, "", &w.s.err), NACRE_OK);
    assert_string_equal(nacre_keyring_server_path(server), "");
    nacre_agent_forward_options_init(&o);
    o.keyring = server;
    assert_int_equal(nacre_client_forward_agent(w.s.c, w.session, &o, &w.s.err), NACRE_OK);
    opened *ch = world_channel(&w, "auth-agent@openssh.com");
    UNTIL(&w, ch->open);
    world_send(&w, ch, list, sizeof(list));
    UNTIL(&w, ch->n > 9);
    assert_int_equal(ch->in[4], 12);
    assert_int_equal(ch->in[8], 1); /* one key */
    nacre_keyring_server_free(server);
    UNTIL(&w, ch->eof);
    world_stop(&w);
    nacre_keyring_free(ring);
}

static void test_agent_that_is_not_named(void **state)
{
    world w;
    nacre_agent_forward_options o;
    (void)state;
    world_start(&w);
    (void)unsetenv("SSH_AUTH_SOCK");
    nacre_agent_forward_options_init(&o);
    assert_int_equal(nacre_client_forward_agent(w.s.c, w.session, &o, &w.s.err), NACRE_NOT_FOUND);
    assert_int_equal(nacre_client_forward_agent(w.s.c, w.session, NULL, &w.s.err),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_client_forward_agent(w.s.c, NULL, &o, &w.s.err), NACRE_CLOSED);
    o.path = "/nowhere/at/all"; /* it may come later */
    assert_int_equal(nacre_client_forward_agent(w.s.c, w.session, &o, &w.s.err), NACRE_OK);
    opened *ch = world_channel(&w, "auth-agent@openssh.com");
    UNTIL(&w, ch->failed);
    assert_int_equal(ch->reason, 2);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agent_not_asked_for),
        cmocka_unit_test(test_agent),
        cmocka_unit_test(test_agent_that_knows_no_binding),
        cmocka_unit_test(test_agent_that_misbehaves),
        cmocka_unit_test(test_agent_that_is_stuck),
        cmocka_unit_test(test_agent_in_this_process),
        cmocka_unit_test(test_agent_that_is_not_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
