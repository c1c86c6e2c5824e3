/*
 * Peers that break the rules once there are keys, and before there is SSH: each violation ends the connection with
 * the status that names it, and the other end learns why. One end is the real engine; the other one says
 * what no engine would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hostile.h"

/* ---- after the keys -------------------------------------------------------------------------------- */

static void test_messages_before_login(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        for (int number = 80; number < 128; number++) {
            pair p;
            uint8_t message[16] = {(uint8_t)number};
            hostile_until_keyed(&p);
            pair_inject(&p, who, message, sizeof(message));
            hostile_end(&p, 1 - who, NACRE_OUT_OF_PLACE);
            pair_free(&p);
        }
    }
    /* A client that tells the server that it is in. */
    for (int number = 51; number < 54; number++) {
        pair p;
        uint8_t message[1] = {(uint8_t)number};
        hostile_until_keyed(&p);
        pair_inject(&p, 0, message, 1);
        hostile_end(&p, 1, NACRE_OUT_OF_PLACE);
        pair_free(&p);
    }
}

static void test_ext_info_out_of_place(void **state)
{
    (void)state;
    static const uint8_t empty[] = {SSH_MSG_EXT_INFO, 0, 0, 0, 0};
    pair p;
    for (int who = 0; who < 2; who++) {
        hostile_start(&p, 31);
        (void)pair_round(&p);
        pair_inject(&p, who, empty, sizeof(empty));
        hostile_end(&p, 1 - who, NACRE_STRICT_KEX);
        pair_free(&p);
        hostile_until_in(&p);
        pair_inject(&p, who, empty, sizeof(empty));
        hostile_end(&p, 1 - who, NACRE_OUT_OF_PLACE);
        pair_free(&p);
    }
    hostile_until_keyed(&p); /* the client's own EXT_INFO had the slot */
    pair_inject(&p, 0, empty, sizeof(empty));
    hostile_end(&p, 1, NACRE_OUT_OF_PLACE);
    pair_free(&p);
    hostile_until_keyed(&p); /* during authentication a server may, twice */
    pair_inject(&p, 1, empty, sizeof(empty));
    pair_inject(&p, 1, empty, sizeof(empty));
    pair_run(&p);
    assert_int_equal(hostile_error(&p, 0)->status, NACRE_OK);
    pair_inject(&p, 1, empty, sizeof(empty));
    hostile_end(&p, 0, NACRE_OUT_OF_PLACE);
    pair_free(&p);
}

/* NEWKEYS opens the place behind it once: not when keys are exchanged anew, before login or after. */
static void test_ext_info_behind_new_keys(void **state)
{
    (void)state;
    static const uint8_t empty[] = {SSH_MSG_EXT_INFO, 0, 0, 0, 0};
    for (int who = 0; who < 2; who++) {
        for (int login = 0; login < 2; login++) {
            pair p;
            if (login) {
                hostile_until_in(&p);
            } else {
                hostile_until_keyed(&p);
            }
            assert_int_equal(nacre_transport_rekey(p.end[1].t), NACRE_OK);
            while (p.end[who].core->key_exchanges < 2) {
                assert_true(pair_round(&p));
            }
            pair_inject(&p, who, empty, sizeof(empty));
            if (who == NACRE_SERVER && !login) { /* its second place: during authentication */
                pair_run(&p);
                assert_int_equal(hostile_error(&p, 0)->status, NACRE_OK);
            } else {
                hostile_end(&p, 1 - who, NACRE_OUT_OF_PLACE);
            }
            pair_free(&p);
        }
    }
}

/* As many extensions as are looked at, and one more. A name twice is no error; the first counts. */
static void test_ext_info_caps(void **state)
{
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        unsigned count = NC_MAX_EXTENSION_COUNT + more;
        nc_buf b;
        nacre_span value;
        pair p;
        nc_buf_init(&b, NULL, NC_MAX_EXTENSIONS);
        nc_wr w = nc_wr_init(&b);
        for (unsigned i = 0; i < count; i++) {
            nc_wr_cstr(&w, "x@example.com");
            nc_wr_cstr(&w, i ? "later" : "first");
        }
        assert_int_equal(nc_wr_err(&w), NACRE_OK);
        hostile_until_keyed(&p);
        hostile_say(&p, 1, SSH_MSG_EXT_INFO, "ur", count, nc_buf_span(&b));
        if (more) {
            hostile_end(&p, 0, NACRE_MALFORMED);
        } else {
            pair_run(&p);
            assert_int_equal(hostile_error(&p, 0)->status, NACRE_OK);
            assert_true(nacre_transport_peer_extension(p.end[0].t, "x@example.com", &value));
            assert_true(nc_span_is(value, "first"));
            /* The whole of an earlier one is gone (RFC 8308 2.4). */
            assert_false(nacre_transport_peer_extension(p.end[0].t, "server-sig-algs", &value));
        }
        pair_free(&p);
        nc_buf_clear(&b);
    }
}

static void test_ext_info_counts(void **state)
{
    (void)state;
    static const uint8_t bodies[][13] = {
        {SSH_MSG_EXT_INFO, 0xff, 0xff, 0xff, 0xff},                         /* none there */
        {SSH_MSG_EXT_INFO, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},             /* one uncounted */
        {SSH_MSG_EXT_INFO, 0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, /* long value */
        {SSH_MSG_EXT_INFO, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1},
    };
    static const size_t lengths[] = {5, 13, 13, 13};
    for (size_t i = 0; i < 4; i++) {
        pair p;
        hostile_until_keyed(&p);
        pair_inject(&p, 1, bodies[i], lengths[i]);
        hostile_end(&p, 0, NACRE_MALFORMED);
        pair_free(&p);
    }
}

static void test_wrong_service(void **state)
{
    (void)state;
    static const uint8_t request[] = {SSH_MSG_SERVICE_REQUEST, 0, 0, 0, 3, 'f', 'o', 'o'};
    pair p;
    hostile_until_keyed(&p);
    p.end[1].core->service_accepted = false; /* as if the client had not asked yet */
    pair_inject(&p, 0, request, sizeof(request));
    hostile_end(&p, 1, NACRE_SERVICE);
    assert_int_equal(hostile_error(&p, 0)->disconnect_reason, 7);
    pair_free(&p);
}

/* Asking for userauth once more is answered once more, and changes nothing; for anything else it ends the connection. */
static void test_the_service_asked_for_again(void **state)
{
    (void)state;
    static const uint8_t again[] = "\5\0\0\0\14ssh-userauth";
    static const uint8_t other[] = "\5\0\0\0\16ssh-connection";
    pair p;
    hostile_until_keyed(&p);
    const nc_core *server = p.end[1].core;
    pair_inject(&p, 0, again, sizeof(again) - 1);
    (void)pair_round(&p);
    (void)pair_round(&p);
    assert_true(server->service_accepted);
    /* Our own client did not ask, and takes the second answer amiss. */
    hostile_end(&p, 0, NACRE_OUT_OF_PLACE);
    pair_free(&p);
    hostile_until_keyed(&p);
    pair_inject(&p, 0, other, sizeof(other) - 1);
    hostile_end(&p, 1, NACRE_SERVICE);
    pair_free(&p);
    hostile_until_in(&p);
    pair_inject(&p, 0, again, sizeof(again) - 1);
    hostile_end(&p, 1, NACRE_OUT_OF_PLACE);
    pair_free(&p);
}

static void test_unknown_numbers(void **state)
{
    (void)state;
    static const int numbers[] = {8, 19, 128, 191, 194, 255, 101};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        pair p;
        uint8_t message[3] = {(uint8_t)numbers[i], 1, 2};
        hostile_until_in(&p);
        uint64_t before = p.end[1].sent;
        pair_inject(&p, 0, message, sizeof(message));
        pair_run(&p);
        assert_int_equal(hostile_error(&p, 1)->status, NACRE_OK); /* UNIMPLEMENTED is the answer */
        assert_int_equal(hostile_error(&p, 0)->status, NACRE_OK);
        assert_true(p.end[1].sent > before);
        pair_free(&p);
    }
    pair p;
    static const uint8_t zero[] = {0};
    hostile_until_in(&p);
    pair_inject(&p, 0, zero, 1);
    hostile_end(&p, 1, NACRE_OUT_OF_PLACE);
    pair_free(&p);
}

/* Every message of the transport's own, cut at every length, in every place where it may come. */
static void test_truncated_messages(void **state)
{
    (void)state;
    static const uint8_t messages[][16] = {
        {SSH_MSG_UNIMPLEMENTED, 0, 0, 0, 9},
        {SSH_MSG_DEBUG, 1, 0, 0, 0, 2, 'h', 'i', 0, 0, 0, 0},
        {SSH_MSG_PING, 0, 0, 0, 4, 'd', 'a', 't', 'a'},
        {SSH_MSG_PONG, 0, 0, 0, 4, 'd', 'a', 't', 'a'},
    };
    static const size_t lengths[] = {5, 12, 9, 9};
    for (size_t i = 0; i < 4; i++) {
        for (size_t n = 1; n <= lengths[i]; n++) {
            pair p;
            hostile_until_in(&p);
            pair_inject(&p, 1, messages[i], n);
            if (n < lengths[i]) {
                hostile_end(&p, 0, NACRE_MALFORMED);
            } else {
                pair_run(&p);
                assert_int_equal(hostile_error(&p, 0)->status, NACRE_OK);
            }
            pair_free(&p);
        }
    }
}

/* ---- floods and time ------------------------------------------------------------------------------- */

static void test_ping_flood_during_kex(void **state)
{
    (void)state;
    uint8_t ping[1005] = {SSH_MSG_PING, 0, 0, 0x03, 0xe8};
    pair p;
    hostile_until_in(&p);
    /* Our KEXINIT is out; the peer pings on instead of sending its own. */
    assert_int_equal(nacre_transport_rekey(p.end[1].t), NACRE_OK);
    for (int i = 0; i < 100; i++) {
        pair_inject(&p, 0, ping, sizeof(ping));
    }
    hostile_end(&p, 1, NACRE_LIMIT);
    pair_free(&p);
}

/* Replies that nobody reads stop the parsing, not the memory. */
static void test_ping_flood(void **state)
{
    (void)state;
    uint8_t ping[30005] = {SSH_MSG_PING, 0, 0, 0x75, 0x30};
    pair p;
    pair_init(&p, 36);
    p.no_channels = true;
    p.config[1].output_soft = 50000;
    p.config[1].output_hard = 100000;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    for (int i = 0; i < 100; i++) {
        nacre_event ev;
        size_t room = 0;
        pair_inject(&p, 0, ping, sizeof(ping));
        nacre_span out = nacre_transport_output(p.end[0].t);
        uint8_t *to = nacre_transport_recv_buffer(p.end[1].t, &room);
        size_t n = out.n < room ? out.n : room;
        if (to) {
            memcpy(to, out.p, n);
            assert_int_equal(nacre_transport_received(p.end[1].t, n), NACRE_OK);
            nacre_transport_sent(p.end[0].t, n);
        }
        assert_int_equal(nacre_transport_next_event(p.end[1].t, &ev), NACRE_AGAIN);
        assert_true(nacre_transport_output(p.end[1].t).n < 100000 + 31000);
    }
    assert_false(nacre_transport_wants(p.end[1].t) & NACRE_WANT_INPUT);
    nacre_counters c;
    nacre_transport_counters(p.end[1].t, &c);
    assert_true(c.memory_in + c.memory_out < 2 * 1024 * 1024);
    /* Once it drains, all goes on. */
    pair_run(&p);
    assert_int_equal(hostile_error(&p, 1)->status, NACRE_OK);
    assert_true(nacre_transport_wants(p.end[1].t) & NACRE_WANT_INPUT);
    pair_free(&p);
}

static void test_kex_timeout(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, 37);
    p.frozen[1] = true; /* the server is never heard of */
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    assert_int_equal(nacre_transport_deadline(p.end[0].t), p.now + 60000);
    pair_advance(&p, 59999);
    pair_run(&p);
    assert_int_equal(hostile_error(&p, 0)->status, NACRE_OK);
    pair_advance(&p, 1);
    hostile_end(&p, 0, NACRE_TIMEOUT);
    assert_non_null(strstr(hostile_error(&p, 0)->text, "version line"));
    pair_free(&p);
    /* In a re-exchange. */
    hostile_until_in(&p);
    p.frozen[0] = true;
    assert_int_equal(nacre_transport_rekey(p.end[1].t), NACRE_OK);
    pair_run(&p);
    assert_int_equal(nacre_transport_deadline(p.end[1].t), p.now + 60000);
    pair_advance(&p, 60000);
    hostile_end(&p, 1, NACRE_TIMEOUT);
    pair_free(&p);
}

static void test_login_grace(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, 38);
    p.no_login = true;
    p.config[1].login_grace_ms = 5000;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    assert_int_equal(nacre_transport_deadline(p.end[1].t), p.now + 5000);
    pair_advance(&p, 4999);
    pair_run(&p);
    assert_int_equal(hostile_error(&p, 1)->status, NACRE_OK);
    pair_advance(&p, 1);
    hostile_end(&p, 1, NACRE_LOGIN_TIMEOUT);
    pair_free(&p);
    /* Who is in has time. */
    pair_init(&p, 39);
    p.no_channels = true;
    p.config[1].login_grace_ms = 5000;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    assert_int_equal(nacre_transport_deadline(p.end[1].t), UINT64_MAX);
    pair_advance(&p, 100000);
    pair_run(&p);
    assert_int_equal(hostile_error(&p, 1)->status, NACRE_OK);
    pair_free(&p);
}

static void test_not_ssh(void **state)
{
    (void)state;
    static const struct {
        int who; /* that hears it */
        const char *text;
        int status;
    } rows[] = {
        {NACRE_SERVER, "GET / HTTP/1.1\r\n", NACRE_VERSION},
        {NACRE_SERVER, "SSH-1.5-old\r\n", NACRE_VERSION},
        {NACRE_CLIENT, "SSH-1.5-old\n", NACRE_VERSION},
        {NACRE_CLIENT, "SSH-2.0-x\x01\n", NACRE_VERSION},
        {NACRE_CLIENT, "SSH-2.0-ok\r\nbut then text that is no packet at all", NACRE_OVERSIZED},
        {NACRE_SERVER, "SSH-2.0-ok\r\n\x00\x00\x00\x01\x00\x00\x00\x00", NACRE_END},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pair p;
        size_t room = 0;
        nacre_event ev;
        int rc;
        pair_init(&p, 40);
        assert_int_equal(pair_start(&p, NULL), NACRE_OK);
        nacre_transport *t = p.end[rows[i].who].t;
        uint8_t *to = nacre_transport_recv_buffer(t, &room);
        size_t n = strlen(rows[i].text);
        memcpy(to, rows[i].text, n);
        assert_int_equal(nacre_transport_received(t, n), NACRE_OK);
        assert_int_equal(nacre_transport_received(t, 0), NACRE_OK);
        while ((rc = nacre_transport_next_event(t, &ev)) == NACRE_OK) {
        }
        assert_int_equal(rc, rows[i].status);
        pair_free(&p);
    }
    /* A line without end, and lines without end. */
    for (int kind = 0; kind < 2; kind++) {
        pair p;
        nacre_event ev;
        int rc = NACRE_AGAIN;
        pair_init(&p, 41);
        assert_int_equal(pair_start(&p, NULL), NACRE_OK);
        nacre_transport *t = p.end[0].t;
        for (int i = 0; i < 20000 && rc == NACRE_AGAIN; i++) {
            size_t room = 0;
            uint8_t *to = nacre_transport_recv_buffer(t, &room);
            assert_non_null(to);
            memcpy(to, kind ? "x\n" : "xx", 2);
            assert_int_equal(nacre_transport_received(t, 2), NACRE_OK);
            while ((rc = nacre_transport_next_event(t, &ev)) == NACRE_OK) {
            }
        }
        assert_int_equal(rc, NACRE_VERSION);
        pair_free(&p);
    }
}

/* Who closes without a version line is quoted: the wrong port is seen at once. */
static void test_first_line_is_quoted(void **state)
{
    (void)state;
    static const struct {
        int who; /* that hears it */
        const char *text, *wanted;
    } rows[] = {
        {NACRE_CLIENT, "", "before its version line"},
        {NACRE_CLIENT, "\r\n\n", "before its version line"},
        {NACRE_CLIENT, "HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n<html>",
         "version line; it began with \"HTTP/1.1 400 Bad Request\": is that an SSH server?"},
        {NACRE_CLIENT, "\r\nsecond\x1b\nthird\n",
         "began with \"second\\033\": is that an SSH server?"},
        {NACRE_CLIENT, "no line end", "began with \"no line end\": is that an SSH server?"},
        {NACRE_CLIENT, "SSH-2.0-cut", "began with \"SSH-2.0-cut\""},
        {NACRE_SERVER, "GET /", "began with \"GET /\": is that an SSH client?"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pair p;
        size_t room = 0;
        nacre_event ev;
        int rc;
        pair_init(&p, 44);
        assert_int_equal(pair_start(&p, NULL), NACRE_OK);
        nacre_transport *t = p.end[rows[i].who].t;
        uint8_t *to = nacre_transport_recv_buffer(t, &room);
        size_t n = strlen(rows[i].text);
        memcpy(to, rows[i].text, n);
        if (n) {
            assert_int_equal(nacre_transport_received(t, n), NACRE_OK);
        }
        assert_int_equal(nacre_transport_received(t, 0), NACRE_OK);
        while ((rc = nacre_transport_next_event(t, &ev)) == NACRE_OK) {
        }
        assert_int_equal(rc, NACRE_END);
        const char *said = hostile_error(&p, rows[i].who)->text;
        size_t length = strlen(said), end = strlen(rows[i].wanted);
        assert_true(length >= end);
        assert_string_equal(said + length - end, rows[i].wanted);
        pair_free(&p);
    }
    /* A long one is cut. */
    pair p;
    size_t room = 0;
    nacre_event ev;
    pair_init(&p, 45);
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    uint8_t *to = nacre_transport_recv_buffer(p.end[0].t, &room);
    assert_true(room >= 500);
    memset(to, 'x', 500);
    assert_int_equal(nacre_transport_received(p.end[0].t, 500), NACRE_OK);
    assert_int_equal(nacre_transport_received(p.end[0].t, 0), NACRE_OK);
    while (nacre_transport_next_event(p.end[0].t, &ev) == NACRE_OK) {
    }
    const char *quoted = strchr(hostile_error(&p, 0)->text, '"');
    assert_non_null(quoted);
    assert_int_equal(strspn(quoted + 1, "x"), 64);
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_before_login),
        cmocka_unit_test(test_ext_info_out_of_place),
        cmocka_unit_test(test_ext_info_behind_new_keys),
        cmocka_unit_test(test_ext_info_caps),
        cmocka_unit_test(test_ext_info_counts),
        cmocka_unit_test(test_wrong_service),
        cmocka_unit_test(test_the_service_asked_for_again),
        cmocka_unit_test(test_unknown_numbers),
        cmocka_unit_test(test_truncated_messages),
        cmocka_unit_test(test_ping_flood_during_kex),
        cmocka_unit_test(test_ping_flood),
        cmocka_unit_test(test_kex_timeout),
        cmocka_unit_test(test_login_grace),
        cmocka_unit_test(test_not_ssh),
        cmocka_unit_test(test_first_line_is_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, hostile_cleanup);
}
