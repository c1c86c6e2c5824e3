/* Global requests in both directions, and the keepalive. */
#include "fake_link.h"

#include <stdlib.h>
#include <string.h>

static fake_link client, server;
static nacre_event ev;

static nacre_span text(const char *s)
{
    return nc_span_cstr(s);
}

static int setup(void **state)
{
    (void)state;
    fake_init(&client, NACRE_CLIENT);
    fake_init(&server, NACRE_SERVER);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_free(&client);
    fake_free(&server);
    return 0;
}

static int answer_data(fake_link *f, uint32_t ticket, nacre_span data)
{
    nacre_answer a = {.accept = true, .data = data};
    return f->service.answer(f->service.ctx, ticket, &a);
}

static void both_ways(void **state)
{
    (void)state;
    assert_int_equal(nc_mux_global_request(client.mux, "tcpip-forward", true, text("args")),
                     NACRE_OK);
    uint32_t number = nc_mux_global_number(client.mux);
    fake_event(&server, &client, NACRE_EVENT_GLOBAL_REQUEST, &ev);
    assert_true(nc_span_is(ev.u.global.name, "tcpip-forward"));
    assert_true(nc_span_is(ev.u.global.data, "args"));
    assert_null(ev.channel);
    assert_int_equal(answer_data(&server, ev.ticket, text("port")), NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_GLOBAL_REPLY, &ev);
    assert_true(ev.u.reply.success);
    assert_true(nc_span_is(ev.u.reply.data, "port"));
    assert_int_equal(ev.u.reply.number, number);
    assert_int_equal(nc_mux_global_request(server.mux, "notice@example.org", false, text("k")),
                     NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_GLOBAL_REQUEST, &ev);
    assert_int_equal(ev.ticket, 0);
    fake_quiet(&server, &client);
    assert_int_equal(nc_mux_global_request(client.mux, "", true, text("")), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_mux_global_request(client.mux, NULL, true, text("")),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_mux_global_request(client.mux, "x", true, nc_span("", 300 * 1024)),
                     NACRE_TOO_LARGE);
    fake_expect_none(&client);
}

static void out_of_order(void **state)
{
    (void)state;
    uint32_t tickets[4];
    static const char *const data[4] = {"zero", "one", "two", "three"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(nc_mux_global_request(client.mux, "r@x", true, text("")), NACRE_OK);
        fake_event(&server, &client, NACRE_EVENT_GLOBAL_REQUEST, &ev);
        tickets[i] = ev.ticket;
    }
    assert_int_equal(nc_mux_global_request(client.mux, "keepalive@openssh.com", true, text("")),
                     NACRE_OK);
    fake_quiet(&server, &client);
    for (size_t i = 4; i-- > 0;) {
        fake_quiet(&client, &server);
        assert_int_equal(answer_data(&server, tickets[i], text(data[i])), NACRE_OK);
    }
    for (size_t i = 0; i < 4; i++) {
        fake_event(&client, &server, NACRE_EVENT_GLOBAL_REPLY, &ev);
        assert_true(nc_span_is(ev.u.reply.data, data[i]));
    }
    fake_event(&client, &server, NACRE_EVENT_GLOBAL_REPLY, &ev);
    assert_false(ev.u.reply.success);
    assert_int_equal(answer_data(&server, tickets[0], text("")), NACRE_NOT_FOUND);
}

/* More than a packet holds is no answer, and the question stays open for one. */
static void an_answer_that_is_too_large(void **state)
{
    (void)state;
    assert_int_equal(nc_mux_global_request(client.mux, "r@x", true, text("")), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_GLOBAL_REQUEST, &ev);
    uint32_t ticket = ev.ticket;
    uint8_t *large = calloc(1, NC_MAX_REQUEST + 1);
    assert_non_null(large);
    assert_int_equal(answer_data(&server, ticket, nc_span(large, NC_MAX_REQUEST + 1)),
                     NACRE_TOO_LARGE);
    assert_int_equal(server.link.open_tickets, 1);
    fake_quiet(&client, &server);
    assert_int_equal(answer_data(&server, ticket, nc_span(large, NC_MAX_REQUEST)), NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_GLOBAL_REPLY, &ev);
    assert_true(ev.u.reply.success);
    assert_int_equal(ev.u.reply.data.n, NC_MAX_REQUEST);
    free(large);
}

/* Whatever the cap is, so many answers wait and none more, and they come out as they went in. */
static void answers_wait_up_to_their_cap(void **state)
{
    (void)state;
    static const uint16_t caps[] = {1, 4, 6, 300, UINT16_MAX};
    for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        nc_replies q = {0};
        nc_reply r;
        const nacre_allocator *a = server.link.alloc;
        for (uint32_t n = 1; n <= caps[i]; n++) {
            assert_int_equal(nc_replies_push(&q, a, n, NC_REPLY_NO, caps[i]), NACRE_OK);
        }
        assert_int_equal(nc_replies_push(&q, a, 0, NC_REPLY_NO, caps[i]), NACRE_LIMIT);
        for (uint32_t n = 1; n <= caps[i]; n++) {
            assert_true(nc_replies_pop(&q, &r));
            assert_int_equal(r.ticket, n);
        }
        assert_false(nc_replies_pop(&q, &r));
        nc_replies_clear(&q, &server.link);
    }
}

static void no_more_sessions(void **state)
{
    (void)state;
    nacre_channel *ch;
    assert_int_equal(
        nc_mux_global_request(client.mux, "no-more-sessions@openssh.com", false, text("")),
        NACRE_OK);
    fake_quiet(&server, &client);
    assert_int_equal(nc_mux_open(client.mux, "session", text(""), 0, 0, &ch), NACRE_OK);
    fake_quiet(&server, &client);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_FAILED, &ev);
    assert_int_equal(ev.u.failed.reason, 1);
    assert_int_equal(nc_mux_open(client.mux, "direct-tcpip", text(""), 0, 0, &ch), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_OPEN, &ev);
}

static void caps(void **state)
{
    (void)state;
    for (int i = 0; i < NC_MAX_GLOBAL_REQUESTS; i++) {
        assert_int_equal(nc_mux_global_request(client.mux, "r@x", true, text("")), NACRE_OK);
        fake_event(&server, &client, NACRE_EVENT_GLOBAL_REQUEST, &ev);
    }
    assert_int_equal(nc_mux_global_request(client.mux, "r@x", true, text("")), NACRE_LIMIT);
    nc_msg_global_request one_more = {.name = text("r@x"), .want_reply = true};
    assert_int_equal(fake_give(&server, &nc_desc_global_request, &one_more, &ev), NACRE_PROTOCOL);
    assert_int_equal(server.error.by, NACRE_BY_PEER);
}

static void reply_that_nobody_asked_for(void **state)
{
    (void)state;
    nc_msg_request_success yes = {0};
    nc_msg_request_failure no = {0};
    assert_int_equal(fake_give(&client, &nc_desc_request_success, &yes, &ev), NACRE_PROTOCOL);
    assert_int_equal(fake_give(&server, &nc_desc_request_failure, &no, &ev), NACRE_PROTOCOL);
}

static int tick(fake_link *f, uint64_t ms)
{
    f->link.now_ms += ms;
    return f->service.poll(f->service.ctx, &ev);
}

static void keepalive(void **state)
{
    (void)state;
    nc_msg_global_request msg;
    assert_true(client.service.deadline(client.service.ctx) == UINT64_MAX);
    client.config.keepalive_ms = 100;
    assert_int_equal(client.service.start(client.service.ctx), NACRE_OK);
    assert_int_equal(client.service.deadline(client.service.ctx), 1100);
    assert_int_equal(tick(&client, 99), NACRE_AGAIN);
    fake_expect_none(&client);
    /* answered ones: the peer's application sees nothing, ours neither */
    for (int i = 0; i < 10; i++) {
        assert_int_equal(tick(&client, 100), NACRE_AGAIN);
        assert_true(fake_waiting(&client) > 0);
        fake_quiet(&server, &client);
        fake_quiet(&client, &server);
    }
    /* our own requests among them keep their replies apart */
    assert_int_equal(tick(&client, 100), NACRE_AGAIN);
    assert_int_equal(nc_mux_global_request(client.mux, "r@x", true, text("")), NACRE_OK);
    assert_int_equal(tick(&client, 100), NACRE_AGAIN);
    fake_event(&server, &client, NACRE_EVENT_GLOBAL_REQUEST, &ev);
    uint32_t ticket = ev.ticket;
    fake_quiet(&server, &client);
    assert_int_equal(answer_data(&server, ticket, text("mine")), NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_GLOBAL_REPLY, &ev);
    assert_true(nc_span_is(ev.u.reply.data, "mine"));
    fake_quiet(&client, &server);
    /* silence: three unanswered, then the end */
    assert_int_equal(client.service.start(client.service.ctx), NACRE_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tick(&client, 100), NACRE_AGAIN);
        fake_expect(&client, &nc_desc_global_request, &msg);
        assert_true(nc_span_is(msg.name, "keepalive@openssh.com"));
        assert_true(msg.want_reply);
    }
    assert_int_equal(tick(&client, 100), NACRE_KEEPALIVE);
    assert_int_equal(client.error.status, NACRE_KEEPALIVE);
    assert_int_equal(client.error.by, NACRE_BY_US);
}

static void keepalive_heard_from(void **state)
{
    (void)state;
    nc_msg_global_request hello = {.name = text("keepalive@openssh.com")};
    client.config.keepalive_ms = 100;
    assert_int_equal(client.service.start(client.service.ctx), NACRE_OK);
    for (int i = 0; i < 20; i++) {
        /* any packet of the peer puts the next one off and forgives the missed */
        assert_int_equal(tick(&client, 100), NACRE_AGAIN);
        assert_int_equal(tick(&client, 100), NACRE_AGAIN);
        assert_int_equal(fake_give(&client, &nc_desc_global_request, &hello, &ev), NACRE_AGAIN);
        assert_int_equal(client.service.deadline(client.service.ctx), client.link.now_ms + 100);
    }
    /* maximum 0: never give up, and never queue without bound */
    client.config.keepalive_max = 0;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(tick(&client, 100), NACRE_AGAIN);
    }
    assert_true(client.mux->asked_count <= NC_MAX_GLOBAL_REQUESTS);
}

/* PONG, IGNORE and key exchange stay in the transport: it says that it has heard the peer. */
static void keepalive_heard_below(void **state)
{
    (void)state;
    nc_msg_global_request msg;
    client.config.keepalive_ms = 100;
    client.config.keepalive_max = 2;
    assert_int_equal(client.service.start(client.service.ctx), NACRE_OK);
    for (int i = 0; i < 20; i++) {
        client.link.now_ms += 99;
        client.link.heard_ms = client.link.now_ms;
        assert_int_equal(client.service.deadline(client.service.ctx), client.link.now_ms + 100);
        assert_int_equal(tick(&client, 0), NACRE_AGAIN);
    }
    fake_expect_none(&client);
    /* heard between two steps: silence counts from then, not from the step */
    client.link.heard_ms = client.link.now_ms + 50;
    assert_int_equal(tick(&client, 149), NACRE_AGAIN);
    fake_expect_none(&client);
    assert_int_equal(tick(&client, 1), NACRE_AGAIN);
    fake_expect(&client, &nc_desc_global_request, &msg);
    assert_int_equal(tick(&client, 100), NACRE_AGAIN);
    fake_expect(&client, &nc_desc_global_request, &msg);
    /* at the last moment, and in the very millisecond of the request: what was missed is forgiven */
    client.link.heard_ms = client.link.now_ms;
    assert_int_equal(tick(&client, 99), NACRE_AGAIN);
    fake_expect_none(&client);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tick(&client, i == 0 ? 1 : 100), NACRE_AGAIN);
        fake_expect(&client, &nc_desc_global_request, &msg);
    }
    assert_int_equal(tick(&client, 100), NACRE_KEEPALIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_order, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_that_is_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_wait_up_to_their_cap, setup, teardown),
        cmocka_unit_test_setup_teardown(no_more_sessions, setup, teardown),
        cmocka_unit_test_setup_teardown(caps, setup, teardown),
        cmocka_unit_test_setup_teardown(reply_that_nobody_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(keepalive, setup, teardown),
        cmocka_unit_test_setup_teardown(keepalive_heard_from, setup, teardown),
        cmocka_unit_test_setup_teardown(keepalive_heard_below, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
