/* Two multiplexers in memory: opening, data, windows, requests, half-close, closing. */
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

static void finish_close(nacre_channel *c, nacre_channel *s)
{
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_CLOSED, &ev);
    assert_ptr_equal(ev.channel, s);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_CLOSED, &ev);
    assert_ptr_equal(ev.channel, c);
    assert_int_equal(nc_mux_channels(client.mux), 0);
    assert_int_equal(nc_mux_channels(server.mux), 0);
    nacre_channel_free(c);
    nacre_channel_free(s);
}

static void send_text(fake_link *from, fake_link *to, nacre_channel *ch, int stream, const char *s)
{
    size_t took;
    assert_int_equal(nacre_channel_write(ch, stream, s, strlen(s), &took), NACRE_OK);
    assert_int_equal(took, strlen(s));
    fake_event(to, from, NACRE_EVENT_CHANNEL_DATA, &ev);
    assert_int_equal(ev.u.data.stream, stream);
    assert_true(nc_span_is(ev.u.data.bytes, s));
    assert_int_equal(nacre_channel_consumed(ev.channel, ev.u.data.bytes.n), NACRE_OK);
}

static void session_life(void **state)
{
    (void)state;
    nacre_channel *c, *s;
    nacre_channel_info info;
    fake_session(&client, &server, &c, &s);
    assert_string_equal(nacre_channel_type(c), "session");
    assert_string_equal(nacre_channel_type(s), "session");
    assert_ptr_equal(nacre_channel_transport(c), &client);
    nacre_channel_set_user(c, &info);
    assert_ptr_equal(nacre_channel_user(c), &info);
    assert_int_equal(nacre_channel_exec(c, text("uname"), true), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    assert_true(nc_span_is(ev.u.request.name, "exec"));
    assert_true(nc_span_is(ev.u.request.command, "uname"));
    assert_true(ev.u.request.want_reply);
    assert_int_equal(fake_answer(&server, ev.ticket, true), NACRE_OK);
    assert_int_equal(fake_answer(&server, ev.ticket, true), NACRE_NOT_FOUND);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_REPLY, &ev);
    assert_true(ev.u.reply.success);
    send_text(&server, &client, s, NACRE_STDOUT, "nacre\n");
    send_text(&server, &client, s, NACRE_STDERR, "oops\n");
    send_text(&client, &server, c, NACRE_STDOUT, "input\n");
    nacre_channel_get_info(c, &info);
    assert_true(info.open);
    assert_int_equal(info.bytes_in, 11);
    assert_int_equal(info.bytes_out, 6);
    assert_int_equal(info.window_in, 128 * 1024 - 11);
    assert_int_equal(info.window_out, 128 * 1024 - 6);
    assert_int_equal(info.unconsumed, 0);
    assert_int_equal(nacre_channel_exit_status(s, 0xFFFFFFFF), NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_EXIT_STATUS, &ev);
    assert_int_equal(ev.u.exit.status, 0xFFFFFFFF);
    assert_int_equal(nacre_channel_close(c), NACRE_OK);
    assert_int_equal(nacre_channel_close(c), NACRE_OK);
    finish_close(c, s);
}

static void half_close(void **state)
{
    (void)state;
    nacre_channel *c, *s;
    size_t took;
    fake_session(&client, &server, &c, &s);
    send_text(&client, &server, c, NACRE_STDOUT, "last");
    assert_int_equal(nacre_channel_eof(c), NACRE_OK);
    assert_int_equal(nacre_channel_eof(c), NACRE_OK);
    assert_int_equal(nacre_channel_write(c, 0, "x", 1, &took), NACRE_CLOSED);
    assert_int_equal(nacre_channel_write_room(c), 0);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_EOF, &ev);
    fake_quiet(&server, &client);
    /* The other direction goes on, and so do requests. */
    send_text(&server, &client, s, NACRE_STDOUT, "answer");
    assert_int_equal(nacre_channel_signal(c, "TERM"), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    assert_true(nc_span_is(ev.u.request.command, "TERM"));
    assert_int_equal(ev.ticket, 0);
    assert_int_equal(nacre_channel_eof(s), NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_EOF, &ev);
    assert_int_equal(nacre_channel_close(c), NACRE_OK);
    finish_close(c, s);
}

static void both_close_at_once(void **state)
{
    (void)state;
    nacre_channel *c, *s;
    size_t took;
    fake_session(&client, &server, &c, &s);
    assert_int_equal(nacre_channel_write(s, 0, "late", 4, &took), NACRE_OK);
    assert_int_equal(nacre_channel_close(c), NACRE_OK);
    assert_int_equal(nacre_channel_exit_status(s, 3), NACRE_OK);
    assert_int_equal(nacre_channel_close(s), NACRE_OK);
    assert_int_equal(nacre_channel_write(s, 0, "x", 1, &took), NACRE_CLOSED);
    assert_int_equal(nacre_channel_shell(s, false), NACRE_CLOSED);
    assert_int_equal(nacre_channel_eof(s), NACRE_CLOSED);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_CLOSED, &ev);
    /* Late data is dropped; how the program ended is still told. */
    fake_event(&client, &server, NACRE_EVENT_EXIT_STATUS, &ev);
    assert_int_equal(ev.u.exit.status, 3);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_CLOSED, &ev);
    fake_quiet(&client, &server);
    fake_quiet(&server, &client);
    nacre_channel_free(c);
    nacre_channel_free(s);
}

static void free_early(void **state)
{
    (void)state;
    nacre_channel *c, *s;
    size_t took;
    /* while open: closes, and the peer's data is not told */
    fake_session(&client, &server, &c, &s);
    assert_int_equal(nacre_channel_write(s, 0, "late", 4, &took), NACRE_OK);
    assert_int_equal(nacre_channel_exit_status(s, 3), NACRE_OK);
    assert_int_equal(nacre_channel_request(s, "x@y", true, text("")), NACRE_OK);
    nacre_channel_free(c);
    fake_quiet(&client, &server);
    assert_int_equal(nc_mux_channels(client.mux), 1);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_CLOSED, &ev);
    fake_quiet(&client, &server);
    assert_int_equal(nc_mux_channels(client.mux), 0);
    nacre_channel_free(s);
    /* while opening, and the peer confirms */
    assert_int_equal(nc_mux_open(client.mux, "session", text(""), 0, 0, &c), NACRE_OK);
    nacre_channel_free(c);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_OPEN, &ev);
    s = ev.channel;
    assert_int_equal(fake_answer(&server, ev.ticket, true), NACRE_OK);
    fake_quiet(&client, &server);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_CLOSED, &ev);
    nacre_channel_free(s);
    fake_quiet(&client, &server);
    /* while opening, and the peer refuses by freeing */
    assert_int_equal(nc_mux_open(client.mux, "session", text(""), 0, 0, &c), NACRE_OK);
    nacre_channel_free(c);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_OPEN, &ev);
    nacre_channel_free(ev.channel);
    assert_int_equal(fake_answer(&server, ev.ticket, true), NACRE_NOT_FOUND);
    fake_quiet(&client, &server);
    assert_int_equal(nc_mux_channels(client.mux), 0);
    assert_int_equal(client.memory.live, 2); /* the multiplexer and its table */
    assert_int_equal(server.memory.live, 2);
}

static void close_while_opening(void **state)
{
    (void)state;
    nacre_channel *c, *s;
    size_t took;
    assert_int_equal(nc_mux_open(client.mux, "session", text(""), 0, 0, &c), NACRE_OK);
    assert_int_equal(nacre_channel_write(c, 0, "x", 1, &took), NACRE_WRONG_STATE);
    assert_int_equal(nacre_channel_shell(c, true), NACRE_WRONG_STATE);
    assert_int_equal(nacre_channel_eof(c), NACRE_WRONG_STATE);
    assert_int_equal(nacre_channel_close(c), NACRE_OK);
    assert_int_equal(nacre_channel_write(c, 0, "x", 1, &took), NACRE_CLOSED);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_OPEN, &ev);
    s = ev.channel;
    assert_int_equal(nacre_channel_close(s), NACRE_WRONG_STATE);
    assert_int_equal(nacre_channel_write(s, 0, "x", 1, &took), NACRE_WRONG_STATE);
    assert_int_equal(fake_answer(&server, ev.ticket, true), NACRE_OK);
    fake_quiet(&client, &server);
    finish_close(c, s);
}

static void refused(void **state)
{
    (void)state;
    nacre_channel *c;
    nacre_answer no = {.reason = 2, .text = "no route"};
    assert_int_equal(nc_mux_open(client.mux, "direct-tcpip", text("d"), 0, 0, &c), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_OPEN, &ev);
    assert_true(nc_span_is(ev.u.open.type, "direct-tcpip"));
    assert_true(nc_span_is(ev.u.open.data, "d"));
    assert_int_equal(server.service.answer(server.service.ctx, ev.ticket, &no), NACRE_OK);
    assert_int_equal(server.memory.live, 2);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_FAILED, &ev);
    assert_int_equal(ev.u.failed.reason, 2);
    assert_true(nc_span_is(ev.u.failed.description, "no route"));
    assert_int_equal(nacre_channel_shell(c, false), NACRE_CLOSED);
    nacre_channel_free(c);
    /* the default reason depends on whether anybody knows the type */
    static const struct {
        const char *type;
        uint32_t reason;
    } rows[] = {{"direct-tcpip", 1}, {"session", 1}, {"what@example.com", 3}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(nc_mux_open(client.mux, rows[i].type, text(""), 0, 0, &c), NACRE_OK);
        fake_event(&server, &client, NACRE_EVENT_CHANNEL_OPEN, &ev);
        assert_int_equal(server.service.answer(server.service.ctx, ev.ticket, NULL), NACRE_OK);
        fake_event(&client, &server, NACRE_EVENT_CHANNEL_FAILED, &ev);
        assert_int_equal(ev.u.failed.reason, rows[i].reason);
        nacre_channel_free(c);
    }
}

/* A packet has an end: what no open holds is refused here, and the reason for a refusal is cut. */
static void opens_and_refusals_have_a_largest(void **state)
{
    (void)state;
    nacre_channel *c;
    size_t most = NC_MAX_REQUEST - NC_MAX_NAME;
    char *large = malloc(NC_MAX_REQUEST + 2);
    assert_non_null(large);
    memset(large, 'r', NC_MAX_REQUEST + 1);
    large[NC_MAX_REQUEST + 1] = '\0';
    assert_int_equal(nc_mux_open(client.mux, "direct-tcpip", nc_span(large, most + 1), 0, 0, &c),
                     NACRE_TOO_LARGE);
    assert_null(c);
    assert_int_equal(nc_mux_channels(client.mux), 0);
    fake_expect_none(&client);
    assert_int_equal(nc_mux_open(client.mux, "direct-tcpip", nc_span(large, most), 0, 0, &c),
                     NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_OPEN, &ev);
    assert_int_equal(ev.u.open.data.n, most);
    nacre_answer no = {.reason = 2, .text = large};
    assert_int_equal(server.service.answer(server.service.ctx, ev.ticket, &no), NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_FAILED, &ev);
    assert_int_equal(ev.u.failed.reason, 2);
    assert_int_equal(ev.u.failed.description.n, NC_MAX_REQUEST);
    nacre_channel_free(c);
    nacre_channel_free(NULL);
    free(large);
}

static void role_rules(void **state)
{
    (void)state;
    static const struct {
        nacre_role opener;
        const char *type;
        bool asked;
    } rows[] = {
        {NACRE_SERVER, "session", false},
        {NACRE_SERVER, "direct-tcpip", false},
        {NACRE_SERVER, "tun@openssh.com", false},
        {NACRE_SERVER, "forwarded-tcpip", true},
        {NACRE_SERVER, "x11", true},
        {NACRE_SERVER, "auth-agent@openssh.com", true},
        {NACRE_CLIENT, "forwarded-tcpip", false},
        {NACRE_CLIENT, "x11", false},
        {NACRE_CLIENT, "session", true},
        {NACRE_CLIENT, "direct-tcpip", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fake_link *from = rows[i].opener == NACRE_CLIENT ? &client : &server;
        fake_link *to = rows[i].opener == NACRE_CLIENT ? &server : &client;
        nacre_channel *ch;
        assert_int_equal(nc_mux_open(from->mux, rows[i].type, text(""), 0, 0, &ch), NACRE_OK);
        if (rows[i].asked) {
            fake_event(to, from, NACRE_EVENT_CHANNEL_OPEN, &ev);
            assert_int_equal(fake_answer(to, ev.ticket, false), NACRE_OK);
        } else {
            fake_quiet(to, from);
        }
        fake_event(from, to, NACRE_EVENT_CHANNEL_FAILED, &ev);
        assert_int_equal(ev.u.failed.reason, 1);
        nacre_channel_free(ch);
    }
}

static void typed_requests(void **state)
{
    (void)state;
    nacre_channel *c, *s;
    nacre_pty pty = {text("xterm"), 80, 24, 640, 480, text("\x01")};
    fake_session(&client, &server, &c, &s);
    assert_int_equal(nacre_channel_pty(c, &pty, true), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    assert_true(nc_span_is(ev.u.request.pty.term, "xterm"));
    assert_int_equal(ev.u.request.pty.columns, 80);
    assert_int_equal(ev.u.request.pty.rows, 24);
    assert_int_equal(ev.u.request.pty.width_px, 640);
    assert_int_equal(ev.u.request.pty.height_px, 480);
    assert_int_equal(ev.u.request.pty.modes.n, 1);
    assert_int_equal(fake_answer(&server, ev.ticket, false), NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_REPLY, &ev);
    assert_false(ev.u.reply.success);
    pty.columns = 132;
    assert_int_equal(nacre_channel_window_change(c, &pty), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    assert_int_equal(ev.u.request.pty.columns, 132);
    assert_int_equal(ev.ticket, 0);
    assert_int_equal(nacre_channel_env(c, "LANG", "C", false), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    assert_true(nc_span_is(ev.u.request.command, "LANG"));
    assert_true(nc_span_is(ev.u.request.value, "C"));
    assert_int_equal(nacre_channel_subsystem(c, "sftp", false), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    assert_true(nc_span_is(ev.u.request.command, "sftp"));
    assert_int_equal(nacre_channel_break(c, 500, false), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    assert_int_equal(ev.u.request.number, 500);
    assert_int_equal(nacre_channel_shell(c, false), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    assert_true(nc_span_is(ev.u.request.name, "shell"));
    assert_int_equal(nacre_channel_request(c, "own@example.com", false, text("abc")), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    assert_true(nc_span_is(ev.u.request.data, "abc"));
    assert_int_equal(nacre_channel_request(s, "eow@openssh.com", false, text("")), NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    assert_int_equal(nacre_channel_exit_signal(s, "KILL", true, "gone"), NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_EXIT_SIGNAL, &ev);
    assert_true(nc_span_is(ev.u.exit.signal, "KILL"));
    assert_true(ev.u.exit.core_dumped);
    assert_true(nc_span_is(ev.u.exit.message, "gone"));
    /* usage errors leave the channel as it was */
    assert_int_equal(nacre_channel_subsystem(c, "", true), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_channel_env(c, NULL, "x", true), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_channel_signal(c, NULL), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_channel_pty(c, NULL, true), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_channel_window_change(c, NULL), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_channel_request(c, "bad name", true, text("")), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_channel_exec(c, nc_span("", 300 * 1024), true), NACRE_TOO_LARGE);
    assert_int_equal(nacre_channel_exit_signal(s, "", false, "gone"), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_channel_exit_signal(s, NULL, false, NULL), NACRE_INVALID_ARGUMENT);
    fake_quiet(&client, &server);
    fake_quiet(&server, &client);
    assert_int_equal(nacre_channel_close(c), NACRE_OK);
    finish_close(c, s);
}

static void requests_refused_by_role(void **state)
{
    (void)state;
    nacre_channel *c, *s;
    static const char *const names[] = {
        "exec", "shell", "pty-req", "subsystem", "env", "x11-req", "keepalive@openssh.com"};
    fake_session(&client, &server, &c, &s);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(nacre_channel_request(s, names[i], true, text("?")), NACRE_OK);
        fake_quiet(&client, &server);
        fake_event(&server, &client, NACRE_EVENT_CHANNEL_REPLY, &ev);
        assert_false(ev.u.reply.success);
        assert_int_equal(nacre_channel_request(s, names[i], false, text("?")), NACRE_OK);
        fake_quiet(&client, &server);
        fake_quiet(&server, &client);
    }
    /* an exit report that wants a reply gets one; to a server it means nothing */
    assert_int_equal(nacre_channel_request(s, "exit-status", true, nc_span("\0\0\0\7", 4)),
                     NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_EXIT_STATUS, &ev);
    assert_int_equal(ev.u.exit.status, 7);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REPLY, &ev);
    assert_true(ev.u.reply.success);
    assert_int_equal(nacre_channel_exit_status(c, 1), NACRE_OK);
    fake_quiet(&server, &client);
    assert_int_equal(nacre_channel_close(c), NACRE_OK);
    finish_close(c, s);
    /* no program is started on anything but a session */
    assert_int_equal(nc_mux_open(client.mux, "direct-tcpip", text(""), 0, 0, &c), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_OPEN, &ev);
    assert_int_equal(fake_answer(&server, ev.ticket, true), NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_OPENED, &ev);
    assert_int_equal(nacre_channel_exec(c, text("id"), true), NACRE_OK);
    fake_quiet(&server, &client);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_REPLY, &ev);
    assert_false(ev.u.reply.success);
}

static void answers_out_of_order(void **state)
{
    (void)state;
    nacre_channel *c, *s;
    uint32_t tickets[6];
    static const bool verdict[6] = {true, false, false, true, true, false};
    static const size_t order[6] = {5, 1, 4, 0, 3, 2};
    fake_session(&client, &server, &c, &s);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(nacre_channel_env(c, "A", "B", true), NACRE_OK);
        fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
        tickets[i] = ev.ticket;
    }
    /* one that we answer ourselves takes its place in the row */
    assert_int_equal(nacre_channel_request(c, "keepalive@openssh.com", true, text("")), NACRE_OK);
    fake_quiet(&server, &client);
    assert_int_equal(server.link.open_tickets, 6);
    for (size_t i = 0; i < 6; i++) {
        if (i == 3) {
            fake_quiet(&client, &server); /* the first is not answered yet */
        }
        assert_int_equal(fake_answer(&server, tickets[order[i]], verdict[order[i]]), NACRE_OK);
    }
    for (size_t i = 0; i < 7; i++) {
        fake_event(&client, &server, NACRE_EVENT_CHANNEL_REPLY, &ev);
        assert_int_equal(ev.u.reply.success, i < 6 && verdict[i]);
    }
    fake_quiet(&client, &server);
    /* a close makes open questions void */
    assert_int_equal(nacre_channel_env(c, "A", "B", true), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    uint32_t ticket = ev.ticket;
    assert_int_equal(nacre_channel_close(s), NACRE_OK);
    assert_int_equal(server.link.open_tickets, 0);
    assert_int_equal(fake_answer(&server, ticket, true), NACRE_NOT_FOUND);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_CLOSED, &ev);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_CLOSED, &ev);
}

static void own_request_cap(void **state)
{
    (void)state;
    nacre_channel *c, *s;
    fake_session(&client, &server, &c, &s);
    for (int i = 0; i < NC_MAX_CHANNEL_REQUESTS; i++) {
        assert_int_equal(nacre_channel_env(c, "A", "B", true), NACRE_OK);
    }
    assert_int_equal(nacre_channel_env(c, "A", "B", true), NACRE_LIMIT);
    assert_int_equal(nacre_channel_env(c, "A", "B", false), NACRE_OK);
    nacre_channel_info info;
    nacre_channel_get_info(c, &info);
    assert_int_equal(info.requests_pending, NC_MAX_CHANNEL_REQUESTS);
}

static void connection_over(void **state)
{
    (void)state;
    nacre_channel *c, *s, *more;
    size_t took;
    fake_session(&client, &server, &c, &s);
    assert_int_equal(nacre_channel_exec(c, text("x"), true), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    uint32_t ticket = ev.ticket;
    server.service.closing(server.service.ctx);
    assert_int_equal(server.link.open_tickets, 0);
    assert_int_equal(fake_answer(&server, ticket, true), NACRE_NOT_FOUND);
    assert_int_equal(nacre_channel_write(s, 0, "x", 1, &took), NACRE_CLOSED);
    assert_int_equal(nacre_channel_shell(s, false), NACRE_CLOSED);
    assert_int_equal(nacre_channel_close(s), NACRE_CLOSED);
    assert_int_equal(nacre_channel_consumed(s, 0), NACRE_OK);
    assert_int_equal(nc_mux_open(server.mux, "x11", text(""), 0, 0, &more), NACRE_CLOSED);
    assert_int_equal(nc_mux_global_request(server.mux, "x", true, text("")), NACRE_CLOSED);
    assert_true(server.service.deadline(server.service.ctx) == UINT64_MAX);
    fake_expect_none(&server);
    nacre_channel_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(session_life, setup, teardown),
        cmocka_unit_test_setup_teardown(half_close, setup, teardown),
        cmocka_unit_test_setup_teardown(both_close_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(free_early, setup, teardown),
        cmocka_unit_test_setup_teardown(close_while_opening, setup, teardown),
        cmocka_unit_test_setup_teardown(refused, setup, teardown),
        cmocka_unit_test_setup_teardown(opens_and_refusals_have_a_largest, setup, teardown),
        cmocka_unit_test_setup_teardown(role_rules, setup, teardown),
        cmocka_unit_test_setup_teardown(typed_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_refused_by_role, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_out_of_order, setup, teardown),
        cmocka_unit_test_setup_teardown(own_request_cap, setup, teardown),
        cmocka_unit_test_setup_teardown(connection_over, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
