/* What sessions say beside data: flow control, end of write, no more sessions; and peers with habits. */
#include "fake_link.h"

#include "transport/version.h"

#include <string.h>

static fake_link client, server;
static nacre_channel *c, *s;
static nacre_event ev;

static nacre_span text(const char *t)
{
    return nc_span_cstr(t);
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

/* ---- xon-xoff, eow, no-more-sessions ---- */

static void xon_xoff_reaches_the_client(void **state)
{
    (void)state;
    for (unsigned may = 0; may < 2; may++) {
        assert_int_equal(nacre_channel_xon_xoff(s, may == 1), NACRE_OK);
        fake_event(&client, &server, NACRE_EVENT_CHANNEL_REQUEST, &ev);
        assert_true(nc_span_is(ev.u.request.name, "xon-xoff"));
        assert_int_equal(ev.ticket, 0);
        assert_int_equal(ev.u.request.number, may);
    }
}

static void xon_xoff_is_the_servers_word(void **state)
{
    (void)state;
    const uint8_t yes = 1;
    assert_int_equal(nacre_channel_request(c, "xon-xoff", true, nc_span(&yes, 1)), NACRE_OK);
    fake_quiet(&server, &client);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_REPLY, &ev);
    assert_false(ev.u.reply.success);
}

static void malformed(const char *name, const void *data, size_t n)
{
    nc_msg_channel_request msg = {
        .recipient = nacre_channel_id(c), .name = text(name), .data = nc_span(data, n)};
    assert_int_equal(fake_give(&client, &nc_desc_channel_request, &msg, &ev), NACRE_MALFORMED);
}

static void xon_xoff_without_its_word_is_malformed(void **state)
{
    (void)state;
    malformed("xon-xoff", "", 0);
}

static void xon_xoff_with_more_than_its_word_is_malformed(void **state)
{
    (void)state;
    malformed("xon-xoff", "\1\1", 2);
}

static void eow_with_data_is_malformed(void **state)
{
    (void)state;
    malformed("eow@openssh.com", "x", 1);
}

static void end_of_write_goes_both_ways(void **state)
{
    (void)state;
    assert_int_equal(nacre_channel_end_of_write(c), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    assert_true(nc_span_is(ev.u.request.name, "eow@openssh.com"));
    assert_int_equal(nacre_channel_end_of_write(s), NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    /* The channel is open: data still flows the other way. */
    size_t took = 0;
    assert_int_equal(nacre_channel_write(c, NACRE_STDOUT, "abc", 3, &took), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_DATA, &ev);
    assert_int_equal(nacre_channel_close(c), NACRE_OK);
    assert_int_equal(nacre_channel_end_of_write(c), NACRE_CLOSED);
    assert_int_equal(nacre_channel_xon_xoff(c, true), NACRE_CLOSED);
}

static void no_more_sessions_holds_on_both_ends(void **state)
{
    (void)state;
    nacre_channel *more = NULL;
    assert_int_equal(nc_mux_no_more_sessions(server.mux), NACRE_WRONG_STATE);
    assert_int_equal(nc_mux_no_more_sessions(client.mux), NACRE_OK);
    fake_quiet(&server, &client);
    assert_int_equal(nc_mux_open(client.mux, "session", text(""), 0, 0, &more), NACRE_WRONG_STATE);
    assert_null(more);
    /* A client that forgot it is refused, other types are not. */
    nc_msg_channel_open ask = {
        .type = text("session"), .sender = 5, .window = 1000, .max_packet = 1000};
    nc_msg_channel_open_failure no;
    assert_int_equal(fake_give(&server, &nc_desc_channel_open, &ask, &ev), NACRE_AGAIN);
    fake_expect(&server, &nc_desc_channel_open_failure, &no);
    assert_int_equal(no.reason, NC_OPEN_PROHIBITED);
    assert_int_equal(nc_mux_open(client.mux, "direct-tcpip", text(""), 0, 0, &more), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_OPEN, &ev);
    assert_int_equal(fake_answer(&server, ev.ticket, false), NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_FAILED, &ev);
    /* The session that was open still takes requests. */
    assert_int_equal(nacre_channel_shell(c, true), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    assert_int_equal(fake_answer(&server, ev.ticket, true), NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_REPLY, &ev);
}

/* ---- peers with habits ---- */

static int late_reply(bool success)
{
    nc_msg_channel_success yes = {.recipient = 0};
    nc_msg_channel_failure no = {.recipient = 0};
    return success ? fake_give(&client, &nc_desc_channel_success, &yes, &ev)
                   : fake_give(&client, &nc_desc_channel_failure, &no, &ev);
}

static void closed_by_the_peer(void)
{
    nc_msg_channel_close bye = {.recipient = nacre_channel_id(c)};
    assert_int_equal(nacre_channel_shell(c, true), NACRE_OK);
    assert_int_equal(fake_give(&client, &nc_desc_channel_close, &bye, &ev), NACRE_OK);
    assert_int_equal(ev.type, NACRE_EVENT_CHANNEL_CLOSED);
}

static void a_late_reply_ends_the_connection(void **state)
{
    (void)state;
    closed_by_the_peer();
    assert_int_equal(late_reply(true), NACRE_PROTOCOL);
}

static void a_late_reply_of_those_known_for_it_is_dropped(void **state)
{
    (void)state;
    client.link.quirks = nc_version_quirks(text("OpenSSH_6.6.1p1"));
    assert_true(client.link.quirks & NC_QUIRK_LATE_REPLIES);
    closed_by_the_peer();
    assert_int_equal(late_reply(true), NACRE_AGAIN);
    assert_int_equal(late_reply(false), NACRE_AGAIN);
}

static int large_packet(uint32_t n)
{
    static uint8_t zeros[200 * 1024];
    nc_msg_channel_data msg = {.recipient = nacre_channel_id(c), .data = nc_span(zeros, n)};
    return fake_give(&client, &nc_desc_channel_data, &msg, &ev);
}

static void packets_above_what_was_allowed(void **state)
{
    (void)state;
    nacre_channel_info info;
    nacre_channel_get_info(c, &info);
    client.link.quirks = nc_version_quirks(text("1.36_sshlib"));
    assert_int_equal(large_packet(info.max_packet_in + 1), NACRE_OK);
    /* The window is a bound all the same. */
    client.link.quirks = NC_QUIRK_ANY_PACKET;
    int rc = NACRE_OK;
    for (int i = 0; i < 32 && rc == NACRE_OK; i++) {
        rc = large_packet(200 * 1024);
    }
    assert_int_equal(rc, NACRE_WINDOW);
}

static void packets_above_what_was_allowed_of_others(void **state)
{
    (void)state;
    nacre_channel_info info;
    nacre_channel_get_info(c, &info);
    assert_int_equal(large_packet(info.max_packet_in + 1), NACRE_WINDOW);
}

static void small_packets_for_those_who_need_them(void **state)
{
    (void)state;
    static uint8_t zeros[60 * 1024];
    size_t took = 0;
    nc_msg_channel_data msg;
    client.link.quirks = nc_version_quirks(text("FlowSsh:_Bitvise"));
    assert_int_equal(nacre_channel_write(c, NACRE_STDOUT, zeros, sizeof(zeros), &took), NACRE_OK);
    assert_int_equal(took, sizeof(zeros));
    fake_expect(&client, &nc_desc_channel_data, &msg);
    assert_true(msg.data.n < 32 * 1024);
    fake_expect(&client, &nc_desc_channel_data, &msg);
    assert_int_equal(fake_waiting(&client), 0);
}

static void no_utf8_mode_for_those_who_refuse_it(void **state)
{
    (void)state;
    static const uint8_t modes[] = {36, 0, 0, 0, 1, 42, 0, 0, 0, 1, 53, 0, 0, 0, 1, 0};
    static const uint8_t cut[] = {42, 0, 0, 0, 1, 42, 0, 0};
    nacre_pty pty = {.term = text("xterm"), .modes = nc_span(modes, sizeof(modes))};
    assert_int_equal(nacre_channel_pty(c, &pty, false), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    assert_int_equal(ev.u.request.pty.modes.n, sizeof(modes));
    client.link.quirks = nc_version_quirks(text("ConfD-4.1"));
    assert_int_equal(nacre_channel_pty(c, &pty, false), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    assert_int_equal(ev.u.request.pty.modes.n, sizeof(modes) - 5);
    assert_memory_equal(ev.u.request.pty.modes.p, modes, 5);
    assert_memory_equal(ev.u.request.pty.modes.p + 5, modes + 10, 6);
    /* What does not end as modes do goes as it is. */
    pty.modes = nc_span(cut, sizeof(cut));
    assert_int_equal(nacre_channel_pty(c, &pty, false), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    assert_int_equal(ev.u.request.pty.modes.n, 3);
    test_memory_end(&client.memory, 0);
    assert_int_equal(nacre_channel_pty(c, &pty, false), NACRE_NO_MEMORY);
    test_memory_fail(&client.memory, 0);
}

static void habits_by_software(void **state)
{
    (void)state;
    static const struct {
        const char *software;
        uint32_t quirks;
    } rows[] = {
        {"OpenSSH_9.2p1", 0},
        {"OpenSSH_10.0", 0},
        {"nacre_0.1", 0},
        {"dropbear_2022.83", 0},
        {"PuTTY_Release_0.78", 0},
        {"TTSSH/2.73", 0},
        {"OpenSSH_5.3", NC_QUIRK_GEX_OLD_LIMITS | NC_QUIRK_LATE_REPLIES},
        {"OpenSSH_6.7p1", 0},
        {"dropbear_0.51", NC_QUIRK_LATE_REPLIES},
        {"dropbear_0.52", 0},
        {"TTSSH/2.72", NC_QUIRK_NO_HOST_KEYS},
        {"Sun_SSH_1.1", NC_QUIRK_NO_REKEY},
        {"Sun_SSH_1.1.5", 0},
        {"WinSCP_release_5.7.4", NC_QUIRK_GEX_OLD_LIMITS},
        {"WinSCP_release_5.7.5", 0},
        {"ConfD-6", NC_QUIRK_NO_UTF8_MODE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(nc_version_quirks(text(rows[i].software)), rows[i].quirks);
    }
    for (unsigned i = 0; i < NC_QUIRKS; i++) {
        assert_true(strlen(nc_version_quirk_name(i)) > 0);
    }
    assert_string_equal(nc_version_quirk_name(NC_QUIRKS), "");
}

int main(void)
{
#define SESSION_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        SESSION_TEST(xon_xoff_reaches_the_client),
        SESSION_TEST(xon_xoff_is_the_servers_word),
        SESSION_TEST(xon_xoff_without_its_word_is_malformed),
        SESSION_TEST(xon_xoff_with_more_than_its_word_is_malformed),
        SESSION_TEST(eow_with_data_is_malformed),
        SESSION_TEST(end_of_write_goes_both_ways),
        SESSION_TEST(no_more_sessions_holds_on_both_ends),
        SESSION_TEST(a_late_reply_ends_the_connection),
        SESSION_TEST(a_late_reply_of_those_known_for_it_is_dropped),
        SESSION_TEST(packets_above_what_was_allowed),
        SESSION_TEST(packets_above_what_was_allowed_of_others),
        SESSION_TEST(small_packets_for_those_who_need_them),
        SESSION_TEST(no_utf8_mode_for_those_who_refuse_it),
        SESSION_TEST(habits_by_software),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
