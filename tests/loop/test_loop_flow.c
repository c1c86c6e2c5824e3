/*
 * A session under every way of cutting its bytes, with noise between its packets, and with key
 * re-exchanges from either side and both at once while channels open and data flows both ways.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "support/memory.h"
#include "support/pair.h"

static void expect_echo(pair *p)
{
    pair_run(p);
    for (int who = 0; who < 2; who++) {
        const nacre_error *e = nacre_transport_error(p->end[who].t);
        if (e->status != NACRE_OK) {
            print_error("%s: %s\n", who == NACRE_CLIENT ? "client" : "server", e->text);
        }
    }
    assert_true(pair_echo_done(p));
}

static uint32_t exchanges(const pair *p)
{
    nacre_counters n;
    nacre_transport_counters(p->end[0].t, &n);
    return n.key_exchanges;
}

static void test_cuts_and_noise(void **state)
{
    (void)state;
    static const char *const ciphers[] = {"aes128-ctr", "aes256-gcm@openssh.com",
                                          "chacha20-poly1305@openssh.com"};
    for (int cut = PAIR_WHOLE; cut <= PAIR_RANDOM; cut++) {
        for (size_t i = 0; i < 3; i++) {
            for (int noise = 0; noise < 2; noise++) {
                pair p;
                pair_init(&p, 100 + i);
                p.cut = (pair_cut)cut;
                p.noise = noise;
                p.channels = 3;
                p.bytes = cut == PAIR_BYTES ? 3000 : 200000;
                p.config[0].cipher_c2s = p.config[0].cipher_s2c = ciphers[i];
                p.config[0].rekey_bytes = noise ? 40000 : 0;
                assert_int_equal(pair_start(&p, NULL), NACRE_OK);
                expect_echo(&p);
                if (noise && cut == PAIR_RANDOM) {
                    assert_true(exchanges(&p) > 2);
                    assert_true(p.end[0].seen[NACRE_EVENT_PONG] + p.end[1].seen[NACRE_EVENT_PONG] >
                                0);
                }
                pair_free(&p);
            }
        }
    }
}

static void rekey_at_random(pair *p)
{
    unsigned who = *(unsigned *)p->user;
    if (pair_random(&p->rng) % 4) {
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        if (who & (1u << i)) {
            assert_int_equal(nacre_transport_rekey(p->end[i].t), NACRE_OK);
        }
    }
}

static void test_rekey_from_every_side(void **state)
{
    (void)state;
    static const char *const compressions[] = {"none", "zlib", "zlib@openssh.com"};
    for (unsigned who = 1; who <= 3; who++) {
        for (size_t z = 0; z < 3; z++) {
            for (uint64_t seed = 0; seed < 6; seed++) {
                pair p;
                pair_init(&p, seed);
                p.cut = PAIR_RANDOM;
                p.channels = PAIR_CHANNELS;
                p.bytes = 60000;
                p.user = &who;
                p.round = rekey_at_random;
                p.config[0].compression_c2s = p.config[0].compression_s2c = compressions[z];
                p.config[1].compression_c2s = p.config[1].compression_s2c = compressions[z];
                /* Small windows: adjusts are always in flight. */
                p.config[0].window = p.config[1].window = 20000;
                p.config[0].max_packet = p.config[1].max_packet = 4096;
                assert_int_equal(pair_start(&p, NULL), NACRE_OK);
                expect_echo(&p);
                assert_true(exchanges(&p) > 2);
                pair_free(&p);
            }
        }
    }
}

static void test_rekey_by_limits(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        for (int kind = 0; kind < 2; kind++) {
            pair p;
            pair_init(&p, 5);
            p.cut = PAIR_RANDOM;
            p.bytes = 100000;
            p.channels = 2;
            p.config[0].max_packet = p.config[1].max_packet = 4096;
            p.config[who].rekey_bytes = kind ? 5000 : 0;
            p.config[who].rekey_packets = kind ? 0 : 5;
            assert_int_equal(pair_start(&p, NULL), NACRE_OK);
            expect_echo(&p);
            assert_true(exchanges(&p) > 2);
            pair_free(&p);
        }
    }
}

/* Whatever the peer sends is a sign of life, also what no channel ever sees. */
static void test_keepalive_hears_everything(void **state)
{
    (void)state;
    pair p;
    nacre_counters before, after;
    pair_init(&p, 7);
    p.config[NACRE_SERVER].keepalive_ms = 100;
    p.no_channels = true;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    nacre_transport *c = p.end[NACRE_CLIENT].t, *s = p.end[NACRE_SERVER].t;
    nacre_transport_counters(s, &before);
    for (int i = 0; i < 10; i++) {
        pair_advance(&p, 99);
        assert_int_equal(nacre_transport_send_ignore(c, nc_span(NULL, 0)), NACRE_OK);
        pair_run(&p);
        assert_int_equal(nacre_transport_deadline(s), p.now + 100);
    }
    nacre_transport_counters(s, &after);
    assert_int_equal(after.packets_out, before.packets_out);
    pair_advance(&p, 99);
    assert_int_equal(nacre_transport_rekey(c), NACRE_OK);
    pair_run(&p);
    assert_int_equal(exchanges(&p), 2);
    assert_int_equal(nacre_transport_deadline(s), p.now + 100);
    /* Silence, and the keepalive that it ends in, whose answer counts as well. */
    nacre_transport_counters(s, &before);
    pair_advance(&p, 100);
    pair_run(&p);
    nacre_transport_counters(s, &after);
    assert_int_equal(after.packets_out, before.packets_out + 1);
    assert_int_equal(nacre_transport_deadline(s), p.now + 100);
    pair_free(&p);
}

static void test_rekey_by_time(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, 6);
    p.config[NACRE_SERVER].rekey_seconds = 10;
    p.no_channels = true;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    assert_int_equal(exchanges(&p), 1);
    assert_int_equal(nacre_transport_deadline(p.end[1].t), p.now + 10000);
    pair_advance(&p, 9999);
    pair_run(&p);
    assert_int_equal(exchanges(&p), 1);
    pair_advance(&p, 1);
    pair_run(&p);
    assert_int_equal(exchanges(&p), 2);
    assert_int_equal(nacre_transport_deadline(p.end[0].t), UINT64_MAX);
    pair_free(&p);
}

/* Limits that follow the user: they hold from the moment they are set, and zero is the default where one is needed. */
static void test_limits_of_a_session(void **state)
{
    (void)state;
    pair p;
    nacre_limits l;
    nacre_counters before, after;
    pair_init(&p, 8);
    p.no_channels = true;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    nacre_transport *s = p.end[NACRE_SERVER].t;
    assert_int_equal(nacre_transport_deadline(s), UINT64_MAX);
    nacre_limits_init(&l);
    assert_int_equal(l.size, sizeof(l));
    assert_true(l.max_auth_tries == 6 && l.keepalive_max == 3 && l.keepalive_ms == 0);
    l.keepalive_ms = 100;
    /* Of who was built when there was less: the rest is not read. */
    l.size = offsetof(nacre_limits, keepalive_ms);
    nacre_transport_set_limits(s, &l);
    assert_int_equal(nacre_transport_deadline(s), UINT64_MAX);
    l.size = sizeof(l);
    l.keepalive_max = 0;
    l.rekey_seconds = 10;
    nacre_transport_set_limits(s, &l);
    nacre_transport_counters(s, &before);
    pair_advance(&p, 100);
    pair_run(&p);
    nacre_transport_counters(s, &after);
    assert_int_equal(after.packets_out, before.packets_out + 1);
    pair_advance(&p, 9900);
    pair_run(&p);
    assert_int_equal(exchanges(&p), 2);
    p.frozen[NACRE_CLIENT] = true; /* three keepalives, none of which is answered */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(nacre_transport_error(s)->status, NACRE_OK);
        pair_advance(&p, 100);
        pair_run(&p);
    }
    assert_int_equal(nacre_transport_error(s)->status, NACRE_KEEPALIVE);
    pair_free(&p);
}

/* Everything of the handshake that can leave together does: round trips until login. */
static void test_round_trips(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, 9);
    p.no_channels = true;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    assert_true(nacre_transport_output(p.end[0].t).n > 500); /* version line and KEXINIT */
    int rounds = 0;
    while (!nacre_transport_authenticated(p.end[0].t) && rounds < 20) {
        (void)pair_round(&p);
        rounds++;
    }
    /*
     * A round steps the client, then the server, then carries both. 1: version and KEXINIT cross;
     * 2: INIT; the server answers in 3 with REPLY, NEWKEYS, EXT_INFO; 4: NEWKEYS, EXT_INFO,
     * SERVICE_REQUEST, USERAUTH_REQUEST; 5: ACCEPT, SUCCESS; 6: the client sees it.
     */
    assert_int_equal(rounds, 6);
    nacre_span value;
    assert_true(nacre_transport_peer_extension(p.end[0].t, "server-sig-algs", &value));
    assert_true(nc_namelist_has(value, "rsa-sha2-512"));
    assert_true(nacre_transport_peer_extension(p.end[1].t, "ping@openssh.com", &value));
    assert_false(nacre_transport_peer_extension(p.end[1].t, "server-sig-algs", &value));
    assert_string_equal(nacre_transport_user(p.end[1].t), "alice");
    pair_free(&p);
}

/* Nothing is held, nothing grows: traffic without end allocates nothing. */
static test_memory memory;
static uint64_t allocations_at[2];

static void note_allocations(pair *p)
{
    if (p->client[0].received > 2000000 && !allocations_at[0]) {
        allocations_at[0] = memory.count;
    }
    if (p->client[0].received < 18000000) {
        allocations_at[1] = memory.count;
    }
}

static void test_no_allocation_per_packet(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, 10);
    p.bytes = 20000000;
    test_memory_init(&memory);
    p.config[0].allocator = p.config[1].allocator = &memory.hooks;
    p.round = note_allocations;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    expect_echo(&p);
    assert_true(allocations_at[0] > 0);
    assert_in_range(allocations_at[1] - allocations_at[0], 0, 8);
    pair_free(&p);
}

static void test_deterministic(void **state)
{
    (void)state;
    uint64_t digests[3][2];
    for (int i = 0; i < 3; i++) {
        pair p;
        pair_init(&p, i < 2 ? 77 : 78);
        p.cut = PAIR_RANDOM;
        p.noise = true;
        p.bytes = 100000;
        p.config[0].kex = "curve25519-sha256";
        p.config[0].rekey_bytes = 30000;
        assert_int_equal(pair_start(&p, NULL), NACRE_OK);
        expect_echo(&p);
        digests[i][0] = p.end[0].digest;
        digests[i][1] = p.end[1].digest;
        pair_free(&p);
    }
    assert_memory_equal(digests[0], digests[1], sizeof(digests[0]));
    assert_memory_not_equal(digests[0], digests[2], sizeof(digests[0]));
}

/* A host key whose private half is elsewhere: SIGN is a question, and may be answered late. */
static uint32_t sign_ticket;
static nacre_span sign_data;

static bool keep_sign(pair *p, int who, const nacre_event *ev)
{
    (void)p;
    if (who != NACRE_SERVER || ev->type != NACRE_EVENT_SIGN) {
        return false;
    }
    sign_ticket = ev->ticket;
    sign_data = ev->u.sign.data;
    assert_string_equal(ev->u.sign.algorithm, "ssh-ed25519");
    return true;
}

static void sign_with(pair *p, bool good)
{
    uint8_t *sig = NULL;
    size_t n = 0;
    nacre_key *key = pair_key("ed25519", 0);
    assert_int_equal(nacre_key_sign(key, NULL, sign_data, &sig, &n), NACRE_OK);
    sig[n - 1] ^= good ? 0 : 1;
    nacre_answer a = {.accept = true, .signature = {sig, n}};
    assert_int_equal(nacre_transport_answer(p->end[1].t, sign_ticket, &a), NACRE_OK);
    assert_int_equal(nacre_transport_answer(p->end[1].t, sign_ticket, &a), NACRE_NOT_FOUND);
    nacre_secret_free(NULL, sig, n);
}

static void test_signature_elsewhere(void **state)
{
    (void)state;
    nacre_key *public_half = NULL;
    assert_int_equal(
        nacre_key_from_blob(&public_half, NULL, nacre_key_blob(pair_key("ed25519", 0)), NULL),
        NACRE_OK);
    for (int good = 0; good < 2; good++) {
        pair p;
        pair_init(&p, 13);
        p.hook = keep_sign;
        assert_int_equal(pair_start(&p, public_half), NACRE_OK);
        pair_run(&p);
        assert_int_equal(p.end[1].seen[NACRE_EVENT_SIGN], 1);
        assert_true(nacre_transport_wants(p.end[1].t) & NACRE_AWAITS_ANSWER);
        assert_true(nacre_transport_wants(p.end[1].t) & NACRE_WANT_INPUT);
        sign_with(&p, good);
        assert_false(nacre_transport_wants(p.end[1].t) & NACRE_AWAITS_ANSWER);
        pair_run(&p);
        assert_int_equal(pair_echo_done(&p), good);
        if (!good) {
            assert_int_equal(nacre_transport_error(p.end[1].t)->status, NACRE_KEX_FAILED);
            assert_int_equal(nacre_transport_error(p.end[0].t)->status, NACRE_PEER_DISCONNECTED);
        }
        pair_free(&p);
    }
    nacre_key_free(public_half);
}

/* Nothing is sent, and nothing read, until the host key is accepted, however late that is. */
static uint32_t verdict_ticket;

static bool keep_verdict(pair *p, int who, const nacre_event *ev)
{
    (void)p;
    if (who != NACRE_CLIENT || ev->type != NACRE_EVENT_HOST_KEY) {
        return false;
    }
    verdict_ticket = ev->ticket;
    return true;
}

static void test_late_verdict(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, 14);
    p.hook = keep_verdict;
    p.config[NACRE_SERVER].kex_timeout_ms = 0;
    p.config[NACRE_SERVER].login_grace_ms = 0;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    uint64_t sent = p.end[0].sent;
    assert_int_equal(p.end[0].seen[NACRE_EVENT_HOST_KEY], 1);
    assert_int_equal(p.end[0].seen[NACRE_EVENT_KEX_DONE], 0);
    assert_int_equal(nacre_transport_wants(p.end[0].t), NACRE_AWAITS_ANSWER);
    assert_int_equal(nacre_transport_deadline(p.end[0].t), UINT64_MAX);
    pair_advance(&p, 3600 * 1000);
    pair_run(&p);
    assert_int_equal(p.end[0].sent, sent);
    assert_int_equal(nacre_transport_accept(p.end[0].t, verdict_ticket), NACRE_OK);
    assert_true(nacre_transport_output(p.end[0].t).n > 0);
    expect_echo(&p);
    pair_free(&p);
}

static void test_disconnect(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        pair p;
        pair_init(&p, 15);
        assert_int_equal(pair_start(&p, NULL), NACRE_OK);
        expect_echo(&p);
        assert_int_equal(nacre_transport_disconnect(p.end[who].t, 11, "done\x1b[2J"), NACRE_OK);
        assert_int_equal(nacre_transport_disconnect(p.end[who].t, 11, "again"), NACRE_OK);
        pair_run(&p);
        const nacre_error *e = nacre_transport_error(p.end[1 - who].t);
        assert_int_equal(p.end[who].status, NACRE_CLOSED);
        assert_int_equal(p.end[1 - who].status, NACRE_PEER_DISCONNECTED);
        assert_int_equal(e->status, NACRE_PEER_DISCONNECTED);
        assert_int_equal(e->by, NACRE_BY_PEER);
        assert_int_equal(e->disconnect_reason, 11);
        assert_non_null(strstr(e->text, "done\\033[2J"));
        for (int i = 0; i < 2; i++) {
            assert_int_equal(p.end[i].seen[NACRE_EVENT_DISCONNECTED], 1);
            assert_true(nacre_transport_wants(p.end[i].t) & NACRE_CLOSED_FLAG);
            assert_false(nacre_transport_wants(p.end[i].t) & NACRE_WANT_INPUT);
        }
        pair_free(&p);
    }
}

static void test_server_banner_lines(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, 16);
    p.config[NACRE_SERVER].banner = "Welcome\nto \x1b\r\n\nus";
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    expect_echo(&p);
    assert_int_equal(p.end[0].seen[NACRE_EVENT_PRE_BANNER], 4);
    assert_int_equal(p.end[0].seen[NACRE_EVENT_VERSION], 1);
    assert_string_equal(nacre_transport_peer_version(p.end[0].t), "SSH-2.0-nacre_0.1.0");
    pair_free(&p);

    nacre_error why;
    nacre_transport *t;
    pair_init(&p, 16);
    p.config[NACRE_SERVER].banner = "hello\nSSH-2.0-fake\n";
    assert_int_equal(nacre_transport_new(&t, &p.config[1], 0, &why), NACRE_INVALID_ARGUMENT);
    p.config[NACRE_SERVER].banner = NULL;
    p.config[NACRE_SERVER].software = "a b";
    assert_int_equal(nacre_transport_new(&t, &p.config[1], 0, &why), NACRE_INVALID_ARGUMENT);
    assert_null(t);
    p.config[NACRE_SERVER].software = NULL;
    p.config[NACRE_SERVER].kex = "curve25519-sha256,nonsense";
    assert_int_equal(nacre_transport_new(&t, &p.config[1], 0, &why), NACRE_UNKNOWN_NAME);
    assert_non_null(strstr(why.text, "nonsense"));
}

static int cleanup(void **state)
{
    (void)state;
    pair_keys_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts_and_noise),
        cmocka_unit_test(test_rekey_from_every_side),
        cmocka_unit_test(test_rekey_by_limits),
        cmocka_unit_test(test_rekey_by_time),
        cmocka_unit_test(test_limits_of_a_session),
        cmocka_unit_test(test_keepalive_hears_everything),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_no_allocation_per_packet),
        cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_signature_elsewhere),
        cmocka_unit_test(test_late_verdict),
        cmocka_unit_test(test_disconnect),
        cmocka_unit_test(test_server_banner_lines),
    };
    return cmocka_run_group_tests(tests, NULL, cleanup);
}
