/*
 * Peers that keep every rule and ask too much: key exchange after key exchange, floods while keys are exchanged, packets
 * that inflate to many times their size, name-lists of 64 KiB. Memory stays where it is stated, and what costs a
 * stranger nothing has an end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hostile.h"
#include "support/counted.h"
#include "transport/compress.h"
#include "transport/packetizer_impl.h"

enum { KIB = 1024, LIST = 64 * KIB };

/* A pair whose end under attack counts its memory. */
typedef struct scene {
    pair p;
    int who, victim;
    counted m;
    nacre_allocator hook;
} scene;

/* Opens are refused, requests granted, nothing else is done. */
static bool answer(pair *p, int who, const nacre_event *ev)
{
    nacre_transport *t = p->end[who].t;
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_OPEN:
        assert_int_equal(nacre_transport_refuse(t, ev->ticket), NACRE_OK);
        return true;
    case NACRE_EVENT_CHANNEL_DATA:
        (void)nacre_channel_consumed(ev->channel, ev->u.data.bytes.n);
        return true;
    default:
        return ev->channel != NULL;
    }
}

static void init(scene *s, int who, bool login)
{
    memset(s, 0, sizeof(*s));
    s->who = who;
    s->victim = 1 - who;
    counted_init(&s->m);
    s->hook = counted_hook(&s->m);
    pair_init(&s->p, 90);
    s->p.no_channels = true;
    s->p.no_login = !login;
    s->p.config[0].kex = s->p.config[1].kex = "curve25519-sha256";
    s->p.config[s->victim].allocator = &s->hook;
}

static void start(scene *s)
{
    assert_int_equal(pair_start(&s->p, NULL), NACRE_OK);
    pair_run(&s->p);
    assert_int_equal(nacre_transport_authenticated(s->p.end[s->victim].t), !s->p.no_login);
}

static void end(scene *s)
{
    pair_free(&s->p);
    assert_int_equal(s->m.live, 0);
}

/* ---- rekey storms -------------------------------------------------------------------------------------- */

static void test_rekey_storm_before_login(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        scene s;
        init(&s, who, false);
        start(&s);
        for (int i = 0; i < NC_MAX_EARLY_REKEYS; i++) {
            assert_int_equal(nacre_transport_rekey(s.p.end[who].t), NACRE_OK);
            pair_run(&s.p);
        }
        assert_int_equal(hostile_error(&s.p, s.victim)->status, NACRE_OK);
        assert_int_equal(s.p.end[s.victim].core->key_exchanges, 1 + NC_MAX_EARLY_REKEYS);
        assert_int_equal(nacre_transport_rekey(s.p.end[who].t), NACRE_OK);
        hostile_end(&s.p, s.victim, NACRE_LIMIT);
        assert_int_equal(hostile_error(&s.p, s.victim)->by, NACRE_BY_PEER);
        end(&s);
    }
}

/* Who is in may, and each exchange leaves no more behind than the one before it; then channels are opened as ever. */
static void test_rekey_storm_after_login(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        scene s;
        init(&s, who, true);
        s.p.hook = answer;
        start(&s);
        size_t live = 0;
        for (int i = 0; i < 200; i++) {
            assert_int_equal(nacre_transport_rekey(s.p.end[who].t), NACRE_OK);
            if (i % 3 == 0) { /* both at once */
                assert_int_equal(nacre_transport_rekey(s.p.end[s.victim].t), NACRE_OK);
            }
            pair_run(&s.p);
            live = i == 10 ? s.m.live : live;
        }
        assert_int_equal(hostile_error(&s.p, s.victim)->status, NACRE_OK);
        assert_int_equal(s.p.end[s.victim].core->key_exchanges, 201);
        assert_true(s.m.live <= live + KIB);
        assert_true(s.m.peak < 512 * KIB);
        nacre_channel *ch = NULL;
        assert_int_equal(nacre_channel_open_session(s.p.end[0].t, &ch), NACRE_OK);
        pair_run(&s.p);
        assert_int_equal(s.p.end[0].seen[NACRE_EVENT_CHANNEL_FAILED], 1); /* asked, and answered */
        end(&s);
    }
}

/* ---- floods while keys are exchanged ---------------------------------------------------------------------- */

typedef struct flood_row {
    const char *name;
    int number;
    unsigned size; /* of its string */
    unsigned times;
    bool ends; /* in NACRE_LIMIT */
} flood_row;

static const flood_row floods[] = {
    {"empty pings", SSH_MSG_PING, 0, 5000, true},
    {"pings", SSH_MSG_PING, 1000, 100, true},
    {"large pings", SSH_MSG_PING, 60000, 2, true},
    {"as many pings as there may be", SSH_MSG_PING, 1000, 64, false},
    {"pongs", SSH_MSG_PONG, 1000, 2000, false},
    {"ignores", SSH_MSG_IGNORE, 1000, 2000, false},
    {"global requests", SSH_MSG_GLOBAL_REQUEST, 20, 20000, false},
    {"opens", SSH_MSG_CHANNEL_OPEN, 20, 20000, false},
    {"unknown numbers", 200, 20, 20000, false},
};

static void say_flood(scene *s, const flood_row *row)
{
    for (unsigned i = 0; i < row->times; i++) {
        if (row->number == SSH_MSG_GLOBAL_REQUEST) {
            hostile_say(&s->p, s->who, row->number, "*b", row->size, 1);
        } else if (row->number == SSH_MSG_CHANNEL_OPEN) {
            hostile_say(&s->p, s->who, row->number, "*uuu", row->size, i, 1000U, 1000U);
        } else {
            hostile_say(&s->p, s->who, row->number, "*", row->size);
        }
    }
}

/* Our KEXINIT is out, so that answers have to be held; the peer puts its own off, or its next message. */
static void test_floods_during_key_exchange(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
        const flood_row *row = &floods[i];
        for (int who = 0; who < 2; who++) {
            scene s;
            init(&s, who, true);
            s.p.hook = answer;
            start(&s);
            counted_peak_here(&s.m);
            size_t before = s.m.live;
            assert_int_equal(nacre_transport_rekey(s.p.end[s.victim].t), NACRE_OK);
            s.p.frozen[s.victim] = true; /* the attacker hears nothing and so never answers */
            say_flood(&s, row);
            pair_run(&s.p);
            const nacre_error *e = hostile_error(&s.p, s.victim);
            if (e->status != (row->ends ? NACRE_LIMIT : NACRE_OK)) {
                fail_msg("%s by %d: %s: %s", row->name, who, nacre_status_symbol(e->status),
                         e->text);
            }
            if (s.m.peak > before + 6 * 1024 * KIB) {
                fail_msg("%s by %d: %zu bytes", row->name, who, s.m.peak - before);
            }
            end(&s);
        }
    }
}

/* The same behind the peer's KEXINIT: now nothing of the connection may come, but pings may. */
static void test_pings_behind_a_kexinit(void **state)
{
    (void)state;
    static const flood_row row = {"pings", SSH_MSG_PING, 1000, 100, true};
    for (int who = 0; who < 2; who++) {
        scene s;
        init(&s, who, true);
        start(&s);
        assert_int_equal(nacre_transport_rekey(s.p.end[who].t), NACRE_OK);
        s.p.frozen[s.victim] = true;
        say_flood(&s, &row);
        hostile_end(&s.p, s.victim, NACRE_LIMIT);
        end(&s);
    }
}

/* ---- bombs ------------------------------------------------------------------------------------------------- */

static uint8_t *zeros_of(size_t n)
{
    uint8_t *zeros = calloc(1, n + 5);
    assert_non_null(zeros);
    zeros[0] = SSH_MSG_IGNORE;
    nc_put_u32(zeros + 1, (uint32_t)n);
    return zeros;
}

static void say_zeros(scene *s, size_t n)
{
    uint8_t *zeros = zeros_of(n);
    pair_inject(&s->p, s->who, zeros, n + 5);
    free(zeros);
}

/* More than our packetizer would send: its stream is used behind its back, and then is not its any more. */
static void say_bomb(scene *s, size_t n)
{
    nc_packetizer *p = s->p.end[s->who].core->packetizer;
    uint8_t *zeros = zeros_of(n);
    nc_buf wire;
    nc_buf_init(&wire, NULL, 2 * (n + KIB)); /* deflate asks for the worst case */
    assert_non_null(p->out.zlib);
    assert_int_equal(nc_zstream_deflate(p->out.zlib, nc_span(zeros, n + 5), &wire), NACRE_OK);
    assert_true(wire.len < 10 * KIB);
    assert_int_equal(nc_packetizer_set_output_compression(p, false), NACRE_OK);
    pair_inject(&s->p, s->who, wire.data, wire.len);
    nc_buf_clear(&wire);
    free(zeros);
}

/* zlib from the first keys on, where it is asked for by name; zlib@openssh.com from login on. */
static void test_bombs(void **state)
{
    (void)state;
    static const size_t sizes[] = {NC_MAX_PACKET, 1024 * KIB, 8 * 1024 * KIB};
    static const struct {
        const char *name;
        bool login;
    } rows[] = {{"zlib", false}, {"zlib", true}, {"zlib@openssh.com", true}};
    for (size_t i = 0; i < 9; i++) {
        for (int who = 0; who < 2; who++) {
            scene s;
            init(&s, who, rows[i % 3].login);
            for (int end_no = 0; end_no < 2; end_no++) {
                nacre_config *c = &s.p.config[end_no];
                c->compression_c2s = c->compression_s2c = rows[i % 3].name;
            }
            start(&s);
            size_t before = s.m.live;
            counted_peak_here(&s.m);
            say_bomb(&s, sizes[i / 3]);
            hostile_end(&s.p, s.victim, NACRE_COMPRESSION);
            assert_non_null(strstr(hostile_error(&s.p, s.victim)->text, "bomb"));
            assert_true(s.m.peak < before + 1024 * KIB);
            end(&s);
        }
    }
}

/* Below the mark each, one behind the other. */
static void test_a_train_of_bombs(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        scene s;
        init(&s, who, true);
        for (int end_no = 0; end_no < 2; end_no++) {
            nacre_config *c = &s.p.config[end_no];
            c->compression_c2s = c->compression_s2c = "zlib@openssh.com";
        }
        start(&s);
        size_t before = s.m.live;
        counted_peak_here(&s.m);
        for (int i = 0; i < 100; i++) {
            say_zeros(&s, 250 * KIB);
        }
        pair_run(&s.p);
        assert_int_equal(hostile_error(&s.p, s.victim)->status, NACRE_OK);
        assert_true(s.m.peak < before + 1024 * KIB);
        end(&s);
    }
}

/* Before login zlib@openssh.com does not inflate anything: a bomb is a packet like others. */
static void test_no_inflate_before_login(void **state)
{
    (void)state;
    scene s;
    init(&s, NACRE_CLIENT, false);
    s.p.config[0].compression_c2s = "zlib@openssh.com";
    start(&s);
    say_zeros(&s, 100 * KIB);
    assert_true(nacre_transport_output(s.p.end[0].t).n > 100 * KIB);
    pair_run(&s.p);
    assert_int_equal(hostile_error(&s.p, NACRE_SERVER)->status, NACRE_OK);
    end(&s);
}

/* ---- name-lists of 64 KiB ------------------------------------------------------------------------------------ */

static nacre_span long_list(size_t n, char *room)
{
    for (size_t i = 0; i < n; i++) {
        room[i] = i % 2 ? ',' : 'x';
    }
    room[n - 1] = 'y';
    return nc_span(room, n);
}

static void test_name_lists_in_kexinit(void **state)
{
    (void)state;
    static char room[LIST];
    static const char *const names[] = {
        "curve25519-sha256", "ssh-ed25519", "aes128-ctr", "aes128-ctr", "hmac-sha2-256",
        "hmac-sha2-256",     "none",        "none",       "",           ""};
    uint8_t cookie[16] = {1};
    nacre_span list = long_list(LIST, room);
    for (int who = 0; who < 2; who++) {
        for (int long_one = 0; long_one < 10; long_one++) {
            nc_msg_kexinit m = {.cookie = nc_span(cookie, sizeof(cookie))};
            nacre_span *const lists[] = {&m.kex,      &m.host_key, &m.cipher_c2s, &m.cipher_s2c,
                                         &m.mac_c2s,  &m.mac_s2c,  &m.comp_c2s,   &m.comp_s2c,
                                         &m.lang_c2s, &m.lang_s2c};
            for (int i = 0; i < 10; i++) {
                *lists[i] = i == long_one ? list : nc_span_cstr(names[i]);
            }
            scene s;
            init(&s, who, true);
            start(&s);
            counted_peak_here(&s.m);
            size_t before = s.m.live;
            nc_wr *w = nc_packetizer_begin(s.p.end[who].core->packetizer, 0);
            NC_ENCODE(kexinit, w, &m);
            assert_int_equal(nc_packetizer_end(s.p.end[who].core->packetizer), NACRE_OK);
            hostile_end(&s.p, s.victim, NACRE_MALFORMED);
            assert_true(s.m.peak < before + 512 * KIB);
            end(&s);
        }
    }
}

static void test_name_lists_elsewhere(void **state)
{
    (void)state;
    static char room[LIST];
    nacre_span list = long_list(LIST, room);
    scene s;
    init(&s, NACRE_SERVER, false); /* what an extension lists */
    start(&s);
    hostile_say(&s.p, 1, SSH_MSG_EXT_INFO, "usS", 1U, "server-sig-algs", list);
    hostile_end(&s.p, 0, NACRE_MALFORMED);
    end(&s);
    init(&s, NACRE_SERVER, false); /* methods that can continue */
    start(&s);
    assert_int_equal(
        nacre_transport_auth_password(s.p.end[0].t, "alice", nc_span_cstr("open sesame")),
        NACRE_OK);
    hostile_say(&s.p, 1, SSH_MSG_USERAUTH_FAILURE, "Sb", list, 0);
    hostile_end(&s.p, 0, NACRE_MALFORMED);
    end(&s);
    init(&s, NACRE_CLIENT, false); /* names that are none: a method, a key type, submethods */
    start(&s);
    hostile_say(&s.p, 0, SSH_MSG_USERAUTH_REQUEST, "ssS", "alice", "ssh-connection", list);
    hostile_say(&s.p, 0, SSH_MSG_USERAUTH_REQUEST, "sssbSs", "alice", "ssh-connection", "publickey",
                0, list, "no key");
    pair_run(&s.p);
    assert_false(nacre_transport_authenticated(s.p.end[1].t));
    assert_int_equal(s.p.end[1].seen[NACRE_EVENT_AUTH_KEY_PROBE], 0);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rekey_storm_before_login),
        cmocka_unit_test(test_rekey_storm_after_login),
        cmocka_unit_test(test_floods_during_key_exchange),
        cmocka_unit_test(test_pings_behind_a_kexinit),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_a_train_of_bombs),
        cmocka_unit_test(test_no_inflate_before_login),
        cmocka_unit_test(test_name_lists_in_kexinit),
        cmocka_unit_test(test_name_lists_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, hostile_cleanup);
}
