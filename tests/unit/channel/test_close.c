/* A CLOSE of the peer that the application holds until its program has ended. */
#include "fake_link.h"

#include <string.h>

static fake_link client, server;
static nacre_event ev;
static nacre_channel *c, *s;

static nacre_span text(const char *p)
{
    return nc_span_cstr(p);
}

static int setup(void **state)
{
    (void)state;
    fake_init(&client, NACRE_CLIENT);
    fake_init(&server, NACRE_SERVER);
    fake_session(&client, &server, &c, &s);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_free(&client);
    fake_free(&server);
    return 0;
}

static void peer_closes(void)
{
    assert_int_equal(nacre_channel_hold_close(s, true), NACRE_OK);
    assert_int_equal(nacre_channel_close(c), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_PEER_CLOSED, &ev);
    assert_ptr_equal(ev.channel, s);
    fake_quiet(&server, &client);
    fake_expect_none(&server);
    assert_int_equal(nc_mux_channels(server.mux), 1);
}

static void both_closed(void)
{
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_CLOSED, &ev);
    assert_ptr_equal(ev.channel, s);
    fake_quiet(&server, &client);
    assert_int_equal(nc_mux_channels(server.mux), 0);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_CLOSED, &ev);
    assert_ptr_equal(ev.channel, c);
    fake_quiet(&client, &server);
}

static void status_after_close(void **state)
{
    (void)state;
    nacre_channel_info info;
    peer_closes();
    nacre_channel_get_info(s, &info);
    assert_true(info.close_received);
    assert_false(info.open || info.close_sent);
    assert_int_equal(nacre_channel_exit_status(s, 3), NACRE_OK);
    assert_int_equal(nacre_channel_close(s), NACRE_OK);
    assert_int_equal(nacre_channel_exit_status(s, 4), NACRE_CLOSED);
    assert_int_equal(nacre_channel_hold_close(s, true), NACRE_CLOSED);
    fake_event(&client, &server, NACRE_EVENT_EXIT_STATUS, &ev);
    assert_int_equal(ev.u.exit.status, 3);
    both_closed();
}

static void signal_after_close(void **state)
{
    (void)state;
    peer_closes();
    assert_int_equal(nacre_channel_exit_signal(s, "TERM", false, ""), NACRE_OK);
    assert_int_equal(nacre_channel_close(s), NACRE_OK);
    assert_int_equal(nacre_channel_close(s), NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_EXIT_SIGNAL, &ev);
    both_closed();
}

static void nothing_else_goes_out(void **state)
{
    (void)state;
    size_t took, count = 1;
    nacre_room room;
    nacre_pty pty = {0};
    assert_int_equal(nacre_channel_write(c, 0, "unread", 6, &took), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_DATA, &ev);
    peer_closes();
    assert_int_equal(nacre_channel_write(s, 0, "x", 1, &took), NACRE_CLOSED);
    assert_int_equal(took, 0);
    assert_int_equal(nacre_channel_write(s, NACRE_STDERR, "x", 1, &took), NACRE_CLOSED);
    assert_int_equal(nacre_channel_reserve(s, 0, 1, &room, &count), NACRE_CLOSED);
    assert_int_equal(count, 0);
    assert_int_equal(nacre_channel_write_room(s), 0);
    assert_int_equal(nacre_channel_eof(s), NACRE_CLOSED);
    assert_int_equal(nacre_channel_request(s, "eow@openssh.com", false, text("")), NACRE_CLOSED);
    assert_int_equal(nacre_channel_signal(s, "HUP"), NACRE_CLOSED);
    assert_int_equal(nacre_channel_window_change(s, &pty), NACRE_CLOSED);
    assert_int_equal(nacre_channel_consumed(s, 6), NACRE_OK);
    fake_expect_none(&server);
    assert_int_equal(nacre_channel_close(s), NACRE_OK);
    both_closed();
}

static void questions_become_void(void **state)
{
    (void)state;
    assert_int_equal(nacre_channel_exec(c, text("late"), true), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    uint32_t ticket = ev.ticket;
    peer_closes();
    assert_int_equal(server.link.open_tickets, 0);
    assert_int_equal(fake_answer(&server, ticket, true), NACRE_NOT_FOUND);
    assert_int_equal(nacre_channel_close(s), NACRE_OK);
    both_closed();
}

/* Who waited to write is not told WRITABLE: the write would be refused. */
static void writers_stop_waiting(void **state)
{
    (void)state;
    size_t took;
    server.room = 0;
    assert_int_equal(nacre_channel_write(s, 0, "x", 1, &took), NACRE_OK);
    assert_int_equal(took, 0);
    peer_closes();
    server.room = 4096;
    fake_quiet(&server, &client);
    assert_int_equal(nacre_channel_close(s), NACRE_OK);
    both_closed();
}

static void letting_go_answers(void **state)
{
    (void)state;
    peer_closes();
    assert_int_equal(nacre_channel_hold_close(s, true), NACRE_OK);
    fake_expect_none(&server);
    assert_int_equal(nacre_channel_hold_close(s, false), NACRE_OK);
    both_closed();
}

static void let_go_before(void **state)
{
    (void)state;
    assert_int_equal(nacre_channel_hold_close(s, true), NACRE_OK);
    assert_int_equal(nacre_channel_hold_close(s, false), NACRE_OK);
    assert_int_equal(nacre_channel_close(c), NACRE_OK);
    both_closed();
    assert_int_equal(nacre_channel_hold_close(s, true), NACRE_CLOSED);
}

/* Ours went first: there is nothing to hold. */
static void our_close_first(void **state)
{
    (void)state;
    assert_int_equal(nacre_channel_hold_close(s, true), NACRE_OK);
    assert_int_equal(nacre_channel_close(s), NACRE_OK);
    assert_int_equal(nacre_channel_close(c), NACRE_OK);
    both_closed();
}

static void free_while_held(void **state)
{
    (void)state;
    peer_closes();
    nacre_channel_free(s);
    fake_quiet(&server, &client);
    assert_int_equal(nc_mux_channels(server.mux), 0);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_CLOSED, &ev);
}

/* Between our close and the event, in the middle of others. */
static void free_before_it_is_told(void **state)
{
    (void)state;
    nacre_channel *cs[3], *ss[3];
    for (size_t i = 0; i < 3; i++) {
        fake_session(&client, &server, &cs[i], &ss[i]);
        assert_int_equal(nacre_channel_hold_close(ss[i], true), NACRE_OK);
        assert_int_equal(nacre_channel_close(cs[i]), NACRE_OK);
        fake_event(&server, &client, NACRE_EVENT_CHANNEL_PEER_CLOSED, &ev);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(nacre_channel_close(ss[i]), NACRE_OK);
    }
    nacre_channel_free(ss[1]);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_CLOSED, &ev);
    assert_ptr_equal(ev.channel, ss[0]);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_CLOSED, &ev);
    assert_ptr_equal(ev.channel, ss[2]);
    fake_quiet(&server, &client);
    assert_int_equal(nc_mux_channels(server.mux), 1);
    for (size_t i = 0; i < 3; i++) {
        fake_event(&client, &server, NACRE_EVENT_CHANNEL_CLOSED, &ev);
    }
}

static size_t walk(const nc_mux *m, const nacre_channel *wanted, bool *found)
{
    size_t n = 0;
    *found = false;
    for (nacre_channel *ch = nc_mux_next(m, NULL); ch; ch = nc_mux_next(m, ch)) {
        *found = *found || ch == wanted;
        n++;
    }
    return n;
}

/* Every handle that the application has, and none that it has given up. */
static void walks_the_handles(void **state)
{
    (void)state;
    nacre_channel *cs[3], *ss[3];
    bool found;
    assert_int_equal(walk(server.mux, s, &found), 1);
    assert_true(found);
    for (size_t i = 0; i < 3; i++) {
        fake_session(&client, &server, &cs[i], &ss[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(walk(server.mux, ss[i], &found), 4);
        assert_true(found);
    }
    nacre_channel *gone = ss[1];
    nacre_channel_free(gone); /* the peer has not closed: its number is still remembered */
    assert_int_equal(nc_mux_channels(server.mux), 4);
    assert_int_equal(walk(server.mux, gone, &found), 3);
    assert_false(found);
}

static void connection_ends_while_held(void **state)
{
    (void)state;
    peer_closes();
    server.service.closing(server.service.ctx);
    assert_int_equal(nacre_channel_exit_status(s, 0), NACRE_CLOSED);
    assert_int_equal(nacre_channel_close(s), NACRE_CLOSED);
    assert_int_equal(nacre_channel_hold_close(s, false), NACRE_CLOSED);
    fake_quiet(&server, &client);
    nacre_channel_free(s);
}

static void connection_ends_before_it_is_told(void **state)
{
    (void)state;
    peer_closes();
    assert_int_equal(nacre_channel_close(s), NACRE_OK);
    server.service.closing(server.service.ctx);
    fake_quiet(&server, &client);
    nacre_channel_free(s);
}

/* Holding must not make legal what comes behind a CLOSE; libssh2's window adjusts pass as ever. */
static void peer_goes_on(void **state)
{
    (void)state;
    peer_closes();
    uint32_t id = nacre_channel_id(s);
    nc_msg_channel_window_adjust adjust = {.recipient = id, .bytes = 100};
    nc_msg_channel_data data = {.recipient = id, .data = text("x")};
    nc_msg_channel_eof eof = {.recipient = id};
    nc_msg_channel_close again = {.recipient = id};
    nc_msg_channel_request request = {.recipient = id, .name = text("exec"), .want_reply = true};
    nc_msg_channel_success success = {.recipient = id};
    assert_int_equal(fake_give(&server, &nc_desc_channel_window_adjust, &adjust, &ev), NACRE_AGAIN);
    assert_int_equal(fake_give(&server, &nc_desc_channel_data, &data, &ev), NACRE_PROTOCOL);
    assert_int_equal(fake_give(&server, &nc_desc_channel_eof, &eof, &ev), NACRE_PROTOCOL);
    assert_int_equal(fake_give(&server, &nc_desc_channel_close, &again, &ev), NACRE_PROTOCOL);
    assert_int_equal(fake_give(&server, &nc_desc_channel_request, &request, &ev), NACRE_PROTOCOL);
    assert_int_equal(fake_give(&server, &nc_desc_channel_success, &success, &ev), NACRE_PROTOCOL);
    assert_int_equal(server.error.by, NACRE_BY_PEER);
    fake_expect_none(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(status_after_close, setup, teardown),
        cmocka_unit_test_setup_teardown(signal_after_close, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_else_goes_out, setup, teardown),
        cmocka_unit_test_setup_teardown(questions_become_void, setup, teardown),
        cmocka_unit_test_setup_teardown(writers_stop_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(letting_go_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(let_go_before, setup, teardown),
        cmocka_unit_test_setup_teardown(our_close_first, setup, teardown),
        cmocka_unit_test_setup_teardown(free_while_held, setup, teardown),
        cmocka_unit_test_setup_teardown(free_before_it_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(walks_the_handles, setup, teardown),
        cmocka_unit_test_setup_teardown(connection_ends_while_held, setup, teardown),
        cmocka_unit_test_setup_teardown(connection_ends_before_it_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(peer_goes_on, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
