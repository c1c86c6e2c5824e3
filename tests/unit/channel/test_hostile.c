/* Wrong peers: every message in every state, cut, absurd, too many; and memory that runs out. */
#include "fake_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The machine under test, one side only: the test speaks for its peer. */
static fake_link us;
static nacre_event ev;

typedef enum state {
    NONE,      /* no channel */
    OPENING,   /* ours, unanswered */
    ASKED,     /* the peer's, unanswered */
    OPEN,      /* open both ways */
    EOF_IN,    /* the peer has sent EOF */
    EOF_OUT,   /* we have */
    CLOSE_OUT, /* we have sent CLOSE */
    DETACHED,  /* and freed the handle */
    CLOSED,    /* closed by both, handle still there */
    STATES
} state;

static nacre_channel *channel;

static nacre_span text(const char *s)
{
    return nc_span_cstr(s);
}

static void drain(void)
{
    while (fake_take(&us, us.incoming, sizeof(us.incoming)) > 0) {
    }
}

static int open_ours(uint32_t window, uint32_t max_packet)
{
    nc_msg_channel_open_confirmation yes = {
        .recipient = 0, .sender = 77, .window = window, .max_packet = max_packet};
    assert_int_equal(nc_mux_open(us.mux, "session", text(""), 0, 0, &channel), NACRE_OK);
    assert_int_equal(nacre_channel_id(channel), 0);
    return fake_give(&us, &nc_desc_channel_open_confirmation, &yes, &ev);
}

static void reach(state st, nacre_role role)
{
    nc_msg_channel_open ask = {.type = text("session"), .window = 1000, .max_packet = 1000};
    nc_msg_channel_eof eof = {0};
    nc_msg_channel_close bye = {0};
    fake_init(&us, role);
    channel = NULL;
    if (st == OPENING) {
        assert_int_equal(nc_mux_open(us.mux, "session", text(""), 0, 0, &channel), NACRE_OK);
    } else if (st == ASKED) {
        ask.type = text("unknown@example.com");
        assert_int_equal(fake_give(&us, &nc_desc_channel_open, &ask, &ev), NACRE_OK);
        channel = ev.channel;
    } else if (st > ASKED) {
        assert_int_equal(open_ours(1000, 1000), NACRE_OK);
    }
    if (st == EOF_IN) {
        assert_int_equal(fake_give(&us, &nc_desc_channel_eof, &eof, &ev), NACRE_OK);
    } else if (st == EOF_OUT) {
        assert_int_equal(nacre_channel_eof(channel), NACRE_OK);
    } else if (st == CLOSE_OUT) {
        assert_int_equal(nacre_channel_close(channel), NACRE_OK);
    } else if (st == DETACHED) {
        nacre_channel_free(channel);
    } else if (st == CLOSED) {
        assert_int_equal(fake_give(&us, &nc_desc_channel_close, &bye, &ev), NACRE_OK);
    }
    drain();
}

/* A plausible body of each message, for channel 0. */
static size_t body_of(int number, uint8_t *out)
{
    nc_buf b;
    nc_buf_init(&b, NULL, 4096);
    nc_wr w = nc_wr_init(&b);
    nc_wr_u8(&w, (uint8_t)number);
    if (number == SSH_MSG_GLOBAL_REQUEST) {
        nc_wr_cstr(&w, "g@x");
        nc_wr_bool(&w, true);
    } else if (number == SSH_MSG_CHANNEL_OPEN) {
        nc_wr_cstr(&w, "other@x");
    }
    if (number >= SSH_MSG_CHANNEL_OPEN) {
        nc_wr_u32(&w, 0);
    }
    static const struct {
        int number;
        size_t words;
    } words[] = {{90, 2}, {91, 3}, {93, 1}};
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; number == words[i].number && k < words[i].words; k++) {
            nc_wr_u32(&w, 100);
        }
    }
    if (number == SSH_MSG_CHANNEL_OPEN_FAILURE) {
        nc_wr_u32(&w, 2);
        nc_wr_cstr(&w, "no");
    } else if (number == SSH_MSG_CHANNEL_DATA) {
        nc_wr_cstr(&w, "data");
    } else if (number == SSH_MSG_CHANNEL_EXTENDED_DATA) {
        nc_wr_u32(&w, 1);
        nc_wr_cstr(&w, "data");
    } else if (number == SSH_MSG_CHANNEL_REQUEST) {
        nc_wr_cstr(&w, "r@x");
        nc_wr_bool(&w, true);
    }
    assert_int_equal(w.err, NACRE_OK);
    size_t n = b.len;
    memcpy(out, b.data, n);
    nc_buf_clear(&b);
    return n;
}

/*
 * What each state makes of each message, 90 to 100: E an event, - nothing, P a protocol error. Only
 * these; 80 to 82 do not depend on a channel, all other numbers are not ours.
 */
static const char *const expected[STATES] = {
    /*             90  91  92  93  94  95  96  97  98  99 100 */
    [NONE] = "EPPPPPPPPPP",      [OPENING] = "EEEPPPPPPPP",  [ASKED] = "EPPPPPPPPPP",
    [OPEN] = "EPP-EEEEEPP",      [EOF_IN] = "EPP----EEPP",   [EOF_OUT] = "EPP-EEEEEPP",
    [CLOSE_OUT] = "EPP----E-PP", [DETACHED] = "EPP------PP", [CLOSED] = "EPP-PPPPPPP",
};

static void every_message_in_every_state(void **unused)
{
    (void)unused;
    for (int role = 0; role < 2; role++) {
        for (int st = 0; st < STATES; st++) {
            for (int number = 80; number < 128; number++) {
                uint8_t packet[256];
                reach((state)st, (nacre_role)role);
                size_t n = body_of(number, packet);
                int rc = fake_give_bytes(&us, nc_span(packet, n), &ev);
                int want = number == 80                   ? 'E'
                           : number == 81 || number == 82 ? 'P'
                           : number < 90 || number > 100  ? 'U'
                                                          : expected[st][number - 90];
                int got = rc == NACRE_OK            ? 'E'
                          : rc == NACRE_AGAIN       ? '-'
                          : rc == NACRE_UNSUPPORTED ? 'U'
                          : rc == NACRE_PROTOCOL    ? 'P'
                                                    : '?';
                if (got != want) {
                    print_error("role %d state %d message %d: %c, not %c\n", role, st, number, got,
                                want);
                }
                assert_int_equal(got, want);
                assert_int_equal(us.error.status, got == 'P' ? NACRE_PROTOCOL : NACRE_OK);
                fake_free(&us);
            }
        }
    }
}

static void cut_everywhere(void **unused)
{
    (void)unused;
    for (int number = 80; number <= 100; number++) {
        uint8_t packet[256];
        bool answer =
            number == SSH_MSG_CHANNEL_OPEN_CONFIRMATION || number == SSH_MSG_CHANNEL_OPEN_FAILURE;
        if (number > 82 && number < 90) {
            continue;
        }
        size_t n = body_of(number, packet);
        for (size_t cut = 1; cut < n; cut++) {
            if (number == SSH_MSG_REQUEST_SUCCESS) {
                break; /* nothing but a rest: cannot be cut */
            }
            reach(answer ? OPENING : OPEN, NACRE_CLIENT);
            assert_int_equal(fake_give_bytes(&us, nc_span(packet, cut), &ev), NACRE_MALFORMED);
            assert_int_equal(us.error.by, NACRE_BY_PEER);
            fake_free(&us);
        }
        /* and one byte too many, where no rest swallows it */
        static const uint8_t closed_form[] = {82, 93, 94, 95, 96, 97, 99, 100};
        if (memchr(closed_form, number, sizeof(closed_form))) {
            packet[n] = 0;
            reach(OPEN, NACRE_CLIENT);
            assert_int_equal(fake_give_bytes(&us, nc_span(packet, n + 1), &ev), NACRE_MALFORMED);
            fake_free(&us);
        }
    }
}

static nacre_channel *serve_session(void)
{
    nc_msg_channel_open ask = {.type = text("session"), .window = 1000, .max_packet = 1000};
    fake_init(&us, NACRE_SERVER);
    assert_int_equal(fake_give(&us, &nc_desc_channel_open, &ask, &ev), NACRE_OK);
    assert_int_equal(fake_answer(&us, ev.ticket, true), NACRE_OK);
    drain();
    return ev.channel;
}

static void typed_requests_cut_everywhere(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        nacre_role role;
        const char *data;
        size_t n;
        bool more; /* a tail is allowed */
    } rows[] = {
        {"pty-req", NACRE_SERVER, "\0\0\0\2vt\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0", 27,
         false},
        {"window-change", NACRE_SERVER, "\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1", 16, false},
        {"env", NACRE_SERVER, "\0\0\0\1A\0\0\0\1B", 10, false},
        {"exec", NACRE_SERVER, "\0\0\0\2id", 6, false},
        {"subsystem", NACRE_SERVER, "\0\0\0\4sftp", 8, false},
        {"signal", NACRE_SERVER, "\0\0\0\3HUP", 7, false},
        {"break", NACRE_SERVER, "\0\0\1\0", 4, false},
        {"shell", NACRE_SERVER, "", 0, false},
        {"exit-status", NACRE_CLIENT, "\0\0\0\0", 4, false},
        {"exit-signal", NACRE_CLIENT, "\0\0\0\3HUP\0\0\0\0\0\0\0\0\0", 16, true},
        {"eow@openssh.com", NACRE_CLIENT, "", 0, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t data[64] = {0};
        memcpy(data, rows[i].data, rows[i].n);
        for (size_t cut = 0; cut <= rows[i].n + 1; cut++) {
            if (rows[i].role == NACRE_SERVER) {
                (void)serve_session();
            } else {
                reach(OPEN, NACRE_CLIENT);
            }
            nc_msg_channel_request msg = {
                .name = text(rows[i].name), .want_reply = true, .data = nc_span(data, cut)};
            int rc = fake_give(&us, &nc_desc_channel_request, &msg, &ev);
            bool good = cut == rows[i].n || (rows[i].more && cut >= 12);
            if (rc != (good ? NACRE_OK : NACRE_MALFORMED)) {
                print_error("%s cut at %zu: %s\n", rows[i].name, cut, nacre_status_symbol(rc));
            }
            assert_int_equal(rc, good ? NACRE_OK : NACRE_MALFORMED);
            fake_free(&us);
        }
    }
}

static const uint32_t absurd[] = {0, 1, 0x80000000, 0xFFFFFFFF};

static void absurd_numbers(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < 4; i++) {
        uint32_t v = absurd[i];
        int open_rc = v < NC_MIN_PEER_PACKET ? NACRE_PROTOCOL : NACRE_OK;
        /* maximum packet size, in both messages that carry it */
        fake_init(&us, NACRE_CLIENT);
        assert_int_equal(open_ours(1000, v), open_rc);
        fake_free(&us);
        fake_init(&us, NACRE_SERVER);
        nc_msg_channel_open ask = {.type = text("session"), .window = 5, .max_packet = v};
        assert_int_equal(fake_give(&us, &nc_desc_channel_open, &ask, &ev), open_rc);
        fake_free(&us);
        /* window and the peer's number: any value is fine, and comes back as it is */
        fake_init(&us, NACRE_SERVER);
        nc_msg_channel_open any = {
            .type = text("session"), .sender = v, .window = v, .max_packet = UINT32_MAX};
        nc_msg_channel_open_confirmation yes;
        size_t took;
        assert_int_equal(fake_give(&us, &nc_desc_channel_open, &any, &ev), NACRE_OK);
        nacre_channel *ch = ev.channel;
        assert_int_equal(fake_answer(&us, ev.ticket, true), NACRE_OK);
        fake_expect(&us, &nc_desc_channel_open_confirmation, &yes);
        assert_int_equal(yes.recipient, v);
        uint8_t *big = calloc(1, 600 * 1024);
        assert_non_null(big);
        assert_int_equal(nacre_channel_write(ch, 0, big, 600 * 1024, &took), NACRE_OK);
        free(big);
        assert_int_equal(took, v < 600 * 1024 ? v : 600 * 1024);
        for (size_t n = fake_take(&us, us.incoming, sizeof(us.incoming)); n > 0;
             n = fake_take(&us, us.incoming, sizeof(us.incoming))) {
            assert_true(n <= NC_MAX_DATA + 9);
            assert_int_equal(nc_get_u32(us.incoming + 1), v);
        }
        /* adjust to the very edge, and beyond it */
        nc_msg_channel_window_adjust rest = {.bytes = UINT32_MAX - ch->window_out};
        nc_msg_channel_window_adjust one = {.bytes = 1};
        nc_msg_channel_window_adjust none = {.bytes = 0};
        assert_int_equal(fake_give(&us, &nc_desc_channel_window_adjust, &rest, &ev), NACRE_AGAIN);
        assert_int_equal(fake_give(&us, &nc_desc_channel_window_adjust, &none, &ev), NACRE_AGAIN);
        assert_int_equal(ch->window_out, UINT32_MAX);
        assert_int_equal(fake_give(&us, &nc_desc_channel_window_adjust, &one, &ev), NACRE_PROTOCOL);
        fake_free(&us);
        /* channel numbers that were never given */
        for (size_t d = 0; nc_msg_all[d]; d++) {
            int number = nc_msg_all[d]->number;
            if (number < 91 || number > 100 || v == 0) {
                continue;
            }
            uint8_t packet[256];
            size_t n = body_of(number, packet);
            nc_put_u32(packet + 1, v);
            reach(OPEN, NACRE_CLIENT);
            assert_int_equal(fake_give_bytes(&us, nc_span(packet, n), &ev), NACRE_PROTOCOL);
            char id[32];
            snprintf(id, sizeof(id), "channel %u", v);
            assert_non_null(strstr(us.error.text, id));
            fake_free(&us);
        }
        /* extended data of types that nobody defined is dropped, and its window comes back */
        reach(OPEN, NACRE_CLIENT);
        nc_msg_channel_extended_data odd = {.stream = v, .data = text("text")};
        assert_int_equal(fake_give(&us, &nc_desc_channel_extended_data, &odd, &ev),
                         v == 1 ? NACRE_OK : NACRE_AGAIN);
        assert_int_equal(channel->unconsumed, v == 1 ? 4 : 0);
        assert_int_equal(channel->owed, v == 1 ? 0 : 4);
        fake_free(&us);
    }
}

static void window_overrun(void **unused)
{
    (void)unused;
    static uint8_t big[40 * 1024];
    for (int closing = 0; closing < 2; closing++) {
        reach(closing ? CLOSE_OUT : OPEN, NACRE_CLIENT);
        nc_msg_channel_data exact = {.data = nc_span(big, 32 * 1024)};
        nc_msg_channel_data one = {.data = nc_span(big, 1)};
        nc_msg_channel_data nothing = {.data = nc_span(big, 0)};
        for (int i = 0; i < 4; i++) {
            assert_int_equal(fake_give(&us, &nc_desc_channel_data, &exact, &ev),
                             closing ? NACRE_AGAIN : NACRE_OK);
        }
        assert_int_equal(fake_give(&us, &nc_desc_channel_data, &nothing, &ev), NACRE_AGAIN);
        assert_int_equal(fake_give(&us, &nc_desc_channel_data, &one, &ev), NACRE_WINDOW);
        fake_free(&us);
    }
    reach(OPEN, NACRE_CLIENT);
    nc_msg_channel_data above = {.data = nc_span(big, 32 * 1024 + 1)};
    assert_int_equal(fake_give(&us, &nc_desc_channel_data, &above, &ev), NACRE_WINDOW);
    assert_int_equal(us.error.status, NACRE_WINDOW);
    fake_free(&us);
    /* what comes after EOF is dropped and accounted for: it may go on for ever, but not overrun */
    reach(EOF_IN, NACRE_CLIENT);
    nc_msg_channel_data exact = {.data = nc_span(big, 32 * 1024)};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(fake_give(&us, &nc_desc_channel_data, &exact, &ev), NACRE_AGAIN);
    }
    assert_int_equal(fake_give(&us, &nc_desc_channel_data, &exact, &ev), NACRE_WINDOW);
    fake_free(&us);
}

static void request_flood(void **unused)
{
    (void)unused;
    nc_msg_channel_request ask = {.name = text("r@x"), .want_reply = true};
    nc_msg_channel_request tell = {.name = text("r@x")};
    reach(OPEN, NACRE_CLIENT);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(fake_give(&us, &nc_desc_channel_request, &tell, &ev), NACRE_OK);
    }
    for (int i = 0; i < NC_MAX_CHANNEL_ANSWERS; i++) {
        assert_int_equal(fake_give(&us, &nc_desc_channel_request, &ask, &ev), NACRE_OK);
    }
    assert_int_equal(us.link.open_tickets, NC_MAX_CHANNEL_ANSWERS);
    assert_int_equal(fake_give(&us, &nc_desc_channel_request, &ask, &ev), NACRE_PROTOCOL);
    assert_int_equal(us.link.open_tickets, NC_MAX_CHANNEL_ANSWERS);
    fake_free(&us);
}

static void channel_cap(void **unused)
{
    (void)unused;
    nc_msg_channel_open ask = {.type = text("session"), .window = 5, .max_packet = 5000};
    nc_msg_channel_open_failure no;
    nacre_channel *mine, *peers[16];
    fake_init(&us, NACRE_SERVER);
    for (uint32_t i = 0; i < 15; i++) {
        ask.sender = i;
        assert_int_equal(fake_give(&us, &nc_desc_channel_open, &ask, &ev), NACRE_OK);
        peers[i] = ev.channel;
    }
    assert_int_equal(nc_mux_open(us.mux, "x11", text(""), 0, 0, &mine), NACRE_OK);
    drain();
    assert_int_equal(nc_mux_open(us.mux, "x11", text(""), 0, 0, &mine), NACRE_LIMIT);
    assert_null(mine);
    ask.sender = 99;
    assert_int_equal(fake_give(&us, &nc_desc_channel_open, &ask, &ev), NACRE_AGAIN);
    fake_expect(&us, &nc_desc_channel_open_failure, &no);
    assert_int_equal(no.recipient, 99);
    assert_int_equal(no.reason, 4);
    /* refusing one makes room for one, with the same number */
    uint32_t id = nacre_channel_id(peers[7]);
    nacre_channel_free(peers[7]);
    assert_int_equal(fake_give(&us, &nc_desc_channel_open, &ask, &ev), NACRE_OK);
    assert_int_equal(nacre_channel_id(ev.channel), id);
    assert_int_equal(nc_mux_channels(us.mux), 16);
    fake_free(&us);
    /* A config that allows any number is not taken at its word: numbers are places in a table. */
    fake_prepare(&us, NACRE_SERVER);
    us.config.max_channels = UINT32_MAX;
    assert_int_equal(fake_start(&us), NACRE_OK);
    assert_int_equal(us.mux->max_channels, NC_MAX_CHANNELS);
    fake_free(&us);
    /* odd names of types are refused without asking: what is shown is what was sent */
    static const struct {
        const char *p;
        size_t n;
    } names[] = {{"session\0x", 9}, {"", 0}, {"a b", 3}, {"\x1b[2J", 4}};
    for (size_t i = 0; i < 4; i++) {
        fake_init(&us, NACRE_SERVER);
        ask.type = nc_span(names[i].p, names[i].n);
        assert_int_equal(fake_give(&us, &nc_desc_channel_open, &ask, &ev), NACRE_AGAIN);
        fake_expect(&us, &nc_desc_channel_open_failure, &no);
        assert_int_equal(no.reason, 3);
        fake_free(&us);
    }
}

static void outside_of_its_time(void **unused)
{
    (void)unused;
    uint8_t packet[256];
    nacre_channel *ch;
    fake_prepare(&us, NACRE_SERVER);
    assert_int_equal(nc_mux_new(&us.mux, &us.link, NULL), NACRE_OK);
    us.service = nc_mux_service(us.mux);
    size_t n = body_of(SSH_MSG_CHANNEL_OPEN, packet);
    assert_int_equal(nc_mux_open(us.mux, "session", text(""), 0, 0, &ch), NACRE_WRONG_STATE);
    assert_int_equal(nc_mux_global_request(us.mux, "x", true, text("")), NACRE_WRONG_STATE);
    assert_int_equal(us.service.poll(us.service.ctx, &ev), NACRE_AGAIN);
    assert_int_equal(fake_give_bytes(&us, nc_span(packet, n), &ev), NACRE_OUT_OF_PLACE);
    fake_free(&us);
    fake_init(&us, NACRE_SERVER);
    us.service.closing(us.service.ctx);
    assert_int_equal(fake_give_bytes(&us, nc_span(packet, n), &ev), NACRE_OUT_OF_PLACE);
    fake_free(&us);
}

/* A life with everything in it; any status is fine, leaks and crashes are not. */
static void whole_life(void)
{
    uint8_t packet[256];
    nacre_answer yes = {.accept = true, .data = text("data")};
    uint32_t tickets[8] = {0};
    if (fake_start(&us) != NACRE_OK) {
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        (void)fake_give_bytes(&us, nc_span(packet, body_of(80, packet)), &ev);
        tickets[i] = ev.ticket;
    }
    (void)us.service.answer(us.service.ctx, tickets[1], &yes);
    (void)us.service.answer(us.service.ctx, tickets[0], &yes);
    for (size_t i = 0; i < 6; i++) {
        if (nc_mux_open(us.mux, "session", text("data"), 0, 0, &channel) != NACRE_OK) {
            assert_null(channel);
        }
        if (fake_give_bytes(&us, nc_span(packet, body_of(90, packet)), &ev) == NACRE_OK) {
            channel = ev.channel;
            (void)us.service.answer(us.service.ctx, ev.ticket, &yes);
            nc_msg_channel_request ask = {
                .recipient = nacre_channel_id(channel), .name = text("r@x"), .want_reply = true};
            for (size_t k = 0; k < 6; k++) {
                (void)fake_give(&us, &nc_desc_channel_request, &ask, &ev);
            }
            (void)us.service.answer(us.service.ctx, ev.ticket, &yes);
        }
    }
}

static void memory_runs_out(void **unused)
{
    (void)unused;
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        fake_prepare(&us, NACRE_SERVER);
        us.link.alloc = &m.hooks;
        whole_life();
        fake_free(&us);
    }
    assert_true(m.round > 10);
}

static void link_fails(void **unused)
{
    (void)unused;
    size_t took;
    reach(OPEN, NACRE_CLIENT);
    us.end_rc = NACRE_NO_MEMORY;
    assert_int_equal(nacre_channel_write(channel, 0, "x", 1, &took), NACRE_NO_MEMORY);
    assert_int_equal(took, 0);
    assert_int_equal(channel->window_out, 1000);
    assert_int_equal(nacre_channel_shell(channel, true), NACRE_NO_MEMORY);
    assert_int_equal(channel->requests_pending, 0);
    assert_int_equal(nacre_channel_eof(channel), NACRE_NO_MEMORY);
    nacre_channel *more;
    assert_int_equal(nc_mux_open(us.mux, "session", text(""), 0, 0, &more), NACRE_NO_MEMORY);
    assert_null(more);
    assert_int_equal(nc_mux_channels(us.mux), 1);
    nacre_channel_free(channel);
    fake_free(&us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_in_every_state),
        cmocka_unit_test(cut_everywhere),
        cmocka_unit_test(typed_requests_cut_everywhere),
        cmocka_unit_test(absurd_numbers),
        cmocka_unit_test(window_overrun),
        cmocka_unit_test(request_flood),
        cmocka_unit_test(channel_cap),
        cmocka_unit_test(outside_of_its_time),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(link_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
