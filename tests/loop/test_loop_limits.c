/*
 * What a stranger can make a server hold (docs/limits.md): every kind of rude input before login, and
 * the peak of memory that it leads to, counted through the allocator hook. And what a login leaves
 * behind: no byte of a password, neither in memory that lives on nor in memory that is given back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "support/counted.h"
#include "support/pair.h"

enum {
    KIB = 1024,
    /* docs/limits.md: before login, whatever comes; above it, with answers that the peer does not read. */
    BEFORE_LOGIN = 640 * KIB,
    BEFORE_LOGIN_UNREAD = 1536 * KIB,
    IDLE = 64 * KIB,
    CHANNEL = KIB / 2,       /* open and idle */
    CHANNEL_ASKING = 2 * KIB /* with as many unanswered requests as there may be */
};

/* ---- before keys: raw bytes ----------------------------------------------------------------------- */

typedef struct raw {
    counted m;
    nacre_allocator a;
    nacre_transport *server;
} raw;

static void raw_start(raw *r)
{
    nacre_config cfg;
    nacre_error why;
    counted_init(&r->m);
    r->a = counted_hook(&r->m);
    nacre_config_init(&cfg, NACRE_SERVER);
    cfg.allocator = &r->a;
    assert_int_equal(nacre_transport_new(&r->server, &cfg, 1000, &why), NACRE_OK);
    assert_int_equal(nacre_transport_add_host_key(r->server, pair_key("ed25519", 0)), NACRE_OK);
}

static void raw_end(raw *r, size_t bound)
{
    if (r->m.peak > bound) {
        print_error("peak %zu\n", r->m.peak);
    }
    assert_true(r->m.peak <= bound);
    nacre_transport_free(r->server);
    assert_int_equal(r->m.live, 0);
}

static void step(raw *r)
{
    nacre_event ev;
    while (nacre_transport_next_event(r->server, &ev) == NACRE_OK) {
        if (ev.ticket) {
            (void)nacre_transport_refuse(r->server, ev.ticket);
        }
    }
}

/* Gives bytes over, read or not by steps in between; false when no more are taken. */
static bool give(raw *r, const uint8_t *p, size_t n, bool stepping)
{
    while (n > 0) {
        size_t room = 0;
        uint8_t *to = nacre_transport_recv_buffer(r->server, &room);
        if (!to) {
            return false;
        }
        size_t take_n = n < room ? n : room;
        memcpy(to, p, take_n);
        assert_int_equal(nacre_transport_received(r->server, take_n), NACRE_OK);
        p += take_n;
        n -= take_n;
        if (stepping) {
            step(r);
        }
    }
    return true;
}

static void test_rubbish_before_keys(void **state)
{
    (void)state;
    static uint8_t bytes[4096];
    static const uint8_t fills[] = {0, 'a', '\n', 0xFF, 0x20};
    for (size_t f = 0; f < sizeof(fills); f++) {
        for (int greeted = 0; greeted < 2; greeted++) {
            for (int stepping = 0; stepping < 2; stepping++) {
                raw r;
                raw_start(&r);
                step(&r);
                if (greeted) {
                    (void)give(&r, (const uint8_t *)"SSH-2.0-x\r\n", 11, true);
                }
                memset(bytes, fills[f], sizeof(bytes));
                for (int i = 0; i < 1000 && give(&r, bytes, sizeof(bytes), stepping); i++) {
                }
                step(&r);
                raw_end(&r, BEFORE_LOGIN);
            }
        }
    }
}

/* The largest packet there is, sent to its last byte but one: it has to be held, and no more than it. */
static void test_largest_packet_never_ends(void **state)
{
    (void)state;
    raw r;
    uint8_t *packet = calloc(1, NC_MAX_PACKET);
    assert_non_null(packet);
    raw_start(&r);
    step(&r);
    assert_true(give(&r, (const uint8_t *)"SSH-2.0-x\r\n", 11, true));
    nc_put_u32(packet, NC_MAX_PACKET - 4);
    packet[4] = 4;
    packet[5] = SSH_MSG_KEXINIT;
    assert_true(give(&r, packet, NC_MAX_PACKET - 1, true));
    assert_false(nacre_transport_wants(r.server) & NACRE_CLOSED_FLAG);
    raw_end(&r, BEFORE_LOGIN);
    free(packet);
}

/* Ten name-lists of the largest size, every name one letter. */
static void test_largest_kexinit(void **state)
{
    (void)state;
    raw r;
    nc_buf b;
    nc_buf_init(&b, NULL, NC_MAX_PACKET);
    nc_wr w = nc_wr_init(&b);
    nc_wr_u32(&w, 0);
    nc_wr_u8(&w, 0);
    nc_wr_u8(&w, SSH_MSG_KEXINIT);
    assert_non_null(nc_wr_room(&w, 16));
    for (int i = 0; i < 10; i++) {
        size_t mark = nc_wr_begin_str(&w);
        for (size_t k = 0; k < NC_MAX_NAMELIST - 1; k++) {
            nc_wr_u8(&w, k % 2 ? ',' : 'x');
        }
        nc_wr_u8(&w, 'x');
        nc_wr_end_str(&w, mark);
    }
    nc_wr_bool(&w, false);
    nc_wr_u32(&w, 0);
    size_t padding = 4 + (8 - (b.len + 4) % 8) % 8;
    assert_non_null(nc_wr_room(&w, padding));
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    nc_put_u32(b.data, (uint32_t)(b.len - 4));
    b.data[4] = (uint8_t)padding;
    raw_start(&r);
    step(&r);
    assert_true(give(&r, (const uint8_t *)"SSH-2.0-x\r\n", 11, true));
    (void)give(&r, b.data, b.len, true);
    assert_int_equal(nacre_transport_error(r.server)->status, NACRE_NO_COMMON_ALGORITHM);
    raw_end(&r, BEFORE_LOGIN);
    nc_buf_clear(&b);
}

/* ---- between keys and login ------------------------------------------------------------------------ */

typedef struct rude {
    counted m;
    nacre_allocator a;
    pair p;
} rude;

static void until_keyed(rude *u)
{
    counted_init(&u->m);
    u->a = counted_hook(&u->m);
    pair_init(&u->p, 70);
    u->p.no_login = true;
    u->p.config[NACRE_SERVER].allocator = &u->a;
    assert_int_equal(pair_start(&u->p, NULL), NACRE_OK);
    pair_run(&u->p);
    assert_int_equal(u->p.end[NACRE_SERVER].seen[NACRE_EVENT_KEX_DONE], 1);
}

static void rude_end(rude *u, size_t bound)
{
    if (u->m.peak > bound) {
        print_error("peak %zu\n", u->m.peak);
    }
    assert_true(u->m.peak <= bound);
    pair_free(&u->p);
    assert_int_equal(u->m.live, 0);
}

/* Messages of number with n bytes of rubbish or of a string; the server's answers are read. */
static void say(rude *u, uint8_t number, size_t n, bool as_string, int times)
{
    nc_buf b;
    nc_buf_init(&b, NULL, NC_MAX_PACKET);
    nc_wr w = nc_wr_init(&b);
    nc_wr_u8(&w, number);
    if (as_string) {
        nc_wr_u32(&w, (uint32_t)n);
    }
    uint8_t *room = n ? nc_wr_room(&w, n) : NULL;
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    if (room) {
        memset(room, 'z', n);
    }
    for (int i = 0; i < times; i++) {
        if (nacre_transport_wants(u->p.end[NACRE_CLIENT].t) & NACRE_CLOSED_FLAG) {
            break;
        }
        pair_inject(&u->p, NACRE_CLIENT, b.data, b.len);
        (void)pair_round(&u->p);
        (void)pair_round(&u->p);
    }
    pair_run(&u->p);
    nc_buf_clear(&b);
}

static void test_every_number_before_login(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 200 * KIB};
    for (unsigned number = 0; number < 256; number++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            rude u;
            until_keyed(&u);
            say(&u, (uint8_t)number, sizes[i], number % 2 == 0, 3);
            assert_false(nacre_transport_authenticated(u.p.end[NACRE_SERVER].t));
            /* One packet in, and a PONG as long out. */
            rude_end(&u, BEFORE_LOGIN + 512 * KIB);
        }
    }
}

/* Requests of any size, again and again, of every method, half of them broken. */
static void test_requests_before_login(void **state)
{
    (void)state;
    static const char *const methods[] = {"none", "password", "publickey", "keyboard-interactive",
                                          "hostbased"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        for (size_t size = 0; size < 250 * (size_t)KIB; size = size * 40 + 7) {
            rude u;
            nc_buf b;
            until_keyed(&u);
            nc_buf_init(&b, NULL, NC_MAX_PACKET);
            nc_wr w = nc_wr_init(&b);
            nc_wr_u8(&w, SSH_MSG_USERAUTH_REQUEST);
            nc_wr_cstr(&w, "alice");
            nc_wr_cstr(&w, "ssh-connection");
            nc_wr_cstr(&w, methods[i]);
            nc_wr_bool(&w, false);
            nc_wr_u32(&w, (uint32_t)size);
            uint8_t *room = size ? nc_wr_room(&w, size) : NULL;
            assert_int_equal(nc_wr_err(&w), NACRE_OK);
            if (room) {
                memset(room, 'p', size);
            }
            for (int k = 0; k < 4; k++) {
                pair_inject(&u.p, NACRE_CLIENT, b.data, b.len);
            }
            /* No answers of the application: requests are to wait. */
            nacre_event ev;
            unsigned asked = 0;
            for (int k = 0; k < 40; k++) {
                nacre_span out = nacre_transport_output(u.p.end[NACRE_CLIENT].t);
                size_t n = 0;
                uint8_t *to = nacre_transport_recv_buffer(u.p.end[NACRE_SERVER].t, &n);
                if (to && out.n) {
                    n = out.n < n ? out.n : n;
                    memcpy(to, out.p, n);
                    assert_int_equal(nacre_transport_received(u.p.end[NACRE_SERVER].t, n),
                                     NACRE_OK);
                    nacre_transport_sent(u.p.end[NACRE_CLIENT].t, n);
                }
                bool told = nacre_transport_next_event(u.p.end[NACRE_SERVER].t, &ev) == NACRE_OK;
                asked += told && ev.ticket ? 1 : 0;
            }
            assert_true(asked <= 1); /* one question at a time */
            nc_buf_clear(&b);
            rude_end(&u, BEFORE_LOGIN);
        }
    }
}

/* Pings whose answers nobody takes: the hard mark stops the reading, and TCP the peer. */
static void test_answers_that_nobody_reads(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 1000, 32 * KIB, 200 * KIB};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        rude u;
        until_keyed(&u);
        nacre_transport *client = u.p.end[NACRE_CLIENT].t;
        nacre_transport *server = u.p.end[NACRE_SERVER].t;
        uint8_t *ping = calloc(1, 5 + sizes[i]);
        assert_non_null(ping);
        ping[0] = SSH_MSG_PING;
        nc_put_u32(ping + 1, (uint32_t)sizes[i]);
        bool stopped = false;
        for (int k = 0; k < 1000000 && !stopped; k++) {
            nacre_event ev;
            pair_inject(&u.p, NACRE_CLIENT, ping, 5 + sizes[i]);
            while (nacre_transport_output(client).n > 0 && !stopped) {
                nacre_span out = nacre_transport_output(client);
                size_t n = 0;
                uint8_t *to = NULL;
                if (nacre_transport_wants(server) & NACRE_WANT_INPUT) {
                    to = nacre_transport_recv_buffer(server, &n);
                }
                stopped = !to;
                n = to && out.n < n ? out.n : n;
                if (to) {
                    memcpy(to, out.p, n);
                    assert_int_equal(nacre_transport_received(server, n), NACRE_OK);
                    nacre_transport_sent(client, n);
                }
                assert_int_equal(nacre_transport_next_event(server, &ev), NACRE_AGAIN);
            }
        }
        assert_true(stopped);
        free(ping);
        rude_end(&u, BEFORE_LOGIN_UNREAD);
    }
}

static void test_idle_connection(void **state)
{
    (void)state;
    rude u;
    until_keyed(&u);
    if (u.m.live > IDLE) {
        print_error("live %zu\n", u.m.live);
    }
    assert_true(u.m.live <= IDLE);
    rude_end(&u, BEFORE_LOGIN);
}

/* ---- after login: channels --------------------------------------------------------------------------- */

enum { MANY = 200, REQUESTS = 60 };

/* The server takes every channel, answers no request, and consumes nothing. */
static bool take_channels_only(pair *p, int who, const nacre_event *ev)
{
    if (who == NACRE_SERVER && ev->type == NACRE_EVENT_CHANNEL_OPEN) {
        assert_int_equal(nacre_transport_accept(p->end[who].t, ev->ticket), NACRE_OK);
        return true;
    }
    return ev->channel != NULL;
}

static void test_memory_of_channels(void **state)
{
    (void)state;
    rude u;
    nacre_channel *ch[MANY];
    counted_init(&u.m);
    u.a = counted_hook(&u.m);
    pair_init(&u.p, 75);
    u.p.no_channels = true;
    u.p.hook = take_channels_only;
    u.p.config[NACRE_SERVER].allocator = &u.a;
    assert_int_equal(pair_start(&u.p, NULL), NACRE_OK);
    pair_run(&u.p);
    size_t before = u.m.live;
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(nacre_channel_open_session(u.p.end[NACRE_CLIENT].t, &ch[i]), NACRE_OK);
    }
    pair_run(&u.p);
    assert_true(u.m.live - before <= (size_t)MANY * CHANNEL);
    for (size_t i = 0; i < MANY; i++) {
        for (int k = 0; k < REQUESTS; k++) {
            assert_int_equal(nacre_channel_shell(ch[i], true), NACRE_OK);
        }
        pair_run(&u.p);
    }
    assert_true(u.m.live > before + (size_t)MANY * REQUESTS * 4); /* so they are kept */
    assert_true(u.m.live - before <= (size_t)MANY * CHANNEL_ASKING);
    for (size_t i = 0; i < MANY; i++) {
        nacre_channel_free(ch[i]);
    }
    pair_run(&u.p);
    pair_free(&u.p);
    assert_int_equal(u.m.live, 0);
}

/* ---- what a login leaves behind -------------------------------------------------------------------- */

static void test_no_password_stays(void **state)
{
    (void)state;
    static const char secret[] = "open sesame"; /* the pair's */
    for (int who = 0; who < 2; who++) {
        counted m;
        pair p;
        counted_init(&m);
        m.secret = secret;
        nacre_allocator a = counted_hook(&m);
        pair_init(&p, 80);
        p.no_channels = true;
        p.config[who].allocator = &a;
        assert_int_equal(pair_start(&p, NULL), NACRE_OK);
        if (who == NACRE_CLIENT) {
            assert_true(counted_with(&m, secret) >
                        0); /* it waits for the keys; so we would see it */
        }
        pair_run(&p);
        assert_true(nacre_transport_authenticated(p.end[who].t));
        assert_int_equal(counted_with(&m, secret), 0);
        pair_free(&p);
        assert_int_equal(m.found, 0);
        assert_int_equal(m.live, 0);
    }
}

/* ---- reading between events ------------------------------------------------------------------------- */

static unsigned looked;

static bool read_on(pair *p, int who, const nacre_event *ev)
{
    size_t room = 0;
    if (ev->type == NACRE_EVENT_CHANNEL_DATA) {
        looked++;
        (void)nacre_transport_recv_buffer(p->end[who].t, &room);
        assert_int_equal(nacre_transport_error(p->end[who].t)->status, NACRE_OK);
    }
    return false;
}

/* A driver that asks for room while an event is out may be told "full"; no more than that. */
static void test_room_between_events(void **state)
{
    (void)state;
    static const pair_cut cuts[] = {PAIR_WHOLE, PAIR_RANDOM};
    for (size_t i = 0; i < 2; i++) {
        pair p;
        pair_init(&p, 90 + i);
        p.hook = read_on;
        p.cut = cuts[i];
        p.bytes = 1000 * 1000;
        p.channels = 3;
        looked = 0;
        assert_int_equal(pair_start(&p, NULL), NACRE_OK);
        pair_run(&p);
        assert_true(looked > 10);
        assert_true(pair_echo_done(&p));
        pair_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rubbish_before_keys),
        cmocka_unit_test(test_largest_packet_never_ends),
        cmocka_unit_test(test_largest_kexinit),
        cmocka_unit_test(test_every_number_before_login),
        cmocka_unit_test(test_requests_before_login),
        cmocka_unit_test(test_answers_that_nobody_reads),
        cmocka_unit_test(test_idle_connection),
        cmocka_unit_test(test_memory_of_channels),
        cmocka_unit_test(test_no_password_stays),
        cmocka_unit_test(test_room_between_events),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    pair_keys_free();
    return rc;
}
