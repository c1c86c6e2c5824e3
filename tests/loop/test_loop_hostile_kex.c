/*
 * Peers that break the rules of key exchange: each violation ends the connection with
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

/* ---- the first key exchange ------------------------------------------------------------------------ */

static void test_strict_insertions(void **state)
{
    (void)state;
    static const uint8_t ignore[] = {SSH_MSG_IGNORE, 0, 0, 0, 0};
    static const uint8_t debug[] = {SSH_MSG_DEBUG, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t unimplemented[] = {SSH_MSG_UNIMPLEMENTED, 0, 0, 0, 0};
    const nacre_span messages[] = {
        {ignore, sizeof(ignore)}, {debug, sizeof(debug)}, {unimplemented, sizeof(unimplemented)}};
    for (int who = 0; who < 2; who++) {
        for (int rounds = 1; rounds <= 2; rounds++) {
            for (size_t i = 0; i < 3; i++) {
                pair p;
                hostile_start(&p, 20);
                for (int r = 0; r < rounds; r++) {
                    (void)pair_round(&p);
                }
                pair_inject(&p, who, messages[i].p, messages[i].n);
                hostile_end(&p, 1 - who, NACRE_STRICT_KEX);
                assert_int_equal(hostile_error(&p, 1 - who)->disconnect_reason, 3);
                pair_free(&p);
            }
        }
    }
}

/* Terrapin: a packet inserted in clear, one dropped under the new keys; reset numbers tell. */
static void test_dropped_packet(void **state)
{
    (void)state;
    static const char *const ciphers[] = {"chacha20-poly1305@openssh.com", "aes128-ctr"};
    for (size_t i = 0; i < 2; i++) {
        pair p;
        pair_init(&p, 21);
        p.config[0].cipher_c2s = p.config[0].cipher_s2c = ciphers[i];
        p.no_channels = true;
        assert_int_equal(pair_start(&p, NULL), NACRE_OK);
        pair_run(&p);
        assert_int_equal(nacre_transport_send_ignore(p.end[0].t, nc_span("x", 1)), NACRE_OK);
        nacre_transport_sent(p.end[0].t, nacre_transport_output(p.end[0].t).n); /* lost */
        assert_int_equal(nacre_transport_send_ignore(p.end[0].t, nc_span("y", 1)), NACRE_OK);
        pair_run(&p);
        int status = hostile_error(&p, 1)->status;
        /* The length comes out as rubbish with the wrong number or place in the key stream. */
        assert_true(status == NACRE_INTEGRITY || status == NACRE_OVERSIZED ||
                    status == NACRE_MALFORMED);
        pair_free(&p);
    }
}

static void test_flipped_bits(void **state)
{
    (void)state;
    static const char *const ciphers[] = {"chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com",
                                          "aes256-ctr"};
    static const char *const macs[] = {"hmac-sha2-256", "hmac-sha2-512-etm@openssh.com"};
    for (size_t i = 0; i < 3; i++) {
        for (size_t at = 4; at < 60; at++) {
            pair p;
            pair_init(&p, 22);
            p.config[0].cipher_c2s = ciphers[i];
            p.config[0].mac_c2s = macs[at % 2];
            p.no_channels = true;
            assert_int_equal(pair_start(&p, NULL), NACRE_OK);
            pair_run(&p);
            assert_int_equal(nacre_transport_send_ignore(p.end[0].t, nc_span("0123456789", 10)),
                             NACRE_OK);
            nacre_span out = nacre_transport_output(p.end[0].t);
            if (at < out.n) {
                ((uint8_t *)(uintptr_t)out.p)[at] ^= 0x10;
                pair_run(&p);
                assert_true(hostile_error(&p, 1)->status != NACRE_OK);
                assert_true(hostile_error(&p, 1)->by == NACRE_BY_PEER);
                if (at >= 16) {
                    assert_int_equal(hostile_error(&p, 1)->status, NACRE_INTEGRITY);
                }
            }
            pair_free(&p);
        }
    }
}

static uint8_t replaced_number, replacing_number;

/* Changes the number of a cleartext packet on its way. */
static void renumber(pair *p, int from, uint8_t *bytes, size_t n)
{
    int who = *(int *)p->user;
    for (size_t i = 5; from == who && i < n && !p->end[from].core->output_keyed; i++) {
        bool header = bytes[i - 5] == 0 && bytes[i - 4] == 0;
        if (header && bytes[i] == replaced_number) {
            bytes[i] = replacing_number;
            return;
        }
    }
}

static void test_wrong_kex_messages(void **state)
{
    (void)state;
    int client = NACRE_CLIENT;
    static const uint8_t instead[] = {21, 31, 32, 33, 34, 20, 50, 80, 5, 200};
    for (size_t i = 0; i < sizeof(instead); i++) {
        pair p;
        hostile_start(&p, 23);
        p.user = &client;
        replaced_number = SSH_MSG_KEXDH_INIT;
        replacing_number = instead[i];
        p.wire = renumber;
        hostile_end(&p, NACRE_SERVER, NACRE_STRICT_KEX);
        pair_free(&p);
    }
}

static void test_newkeys_early_twice_missing(void **state)
{
    (void)state;
    static const uint8_t newkeys[] = {SSH_MSG_NEWKEYS};
    static const uint8_t service[] = {SSH_MSG_SERVICE_REQUEST};
    pair p;
    /* early */
    hostile_start(&p, 24);
    (void)pair_round(&p);
    pair_inject(&p, 0, newkeys, 1);
    hostile_end(&p, 1, NACRE_STRICT_KEX);
    pair_free(&p);
    /* twice: the second one comes under the new keys, outside of key exchange */
    hostile_until_keyed(&p);
    pair_inject(&p, 0, newkeys, 1);
    hostile_end(&p, 1, NACRE_OUT_OF_PLACE);
    pair_free(&p);
    /* missing: something else stands where it should */
    hostile_until_in(&p);
    assert_int_equal(nacre_transport_rekey(p.end[0].t), NACRE_OK);
    (void)pair_round(&p);
    pair_inject(&p, 0, service, 1);
    hostile_end(&p, 1, NACRE_OUT_OF_PLACE);
    pair_free(&p);
    /* with a body */
    static const uint8_t fat[] = {SSH_MSG_NEWKEYS, 0};
    hostile_start(&p, 25);
    (void)pair_round(&p);
    pair_inject(&p, 0, fat, 2);
    hostile_end(&p, 1, NACRE_STRICT_KEX);
    pair_free(&p);
}

static void test_kexinit_within_kex(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        pair p;
        hostile_until_in(&p);
        pair_end *e = &p.end[0];
        assert_int_equal(nacre_transport_rekey(e->t), NACRE_OK);
        uint8_t copy[8192];
        size_t n = e->core->kex.ours.len;
        assert_true(n < sizeof(copy));
        memcpy(copy, e->core->kex.ours.data, n);
        if (again) {
            (void)pair_round(&p);
        }
        pair_inject(&p, 0, copy, n);
        hostile_end(&p, 1, NACRE_OUT_OF_PLACE);
        pair_free(&p);
    }
}

static void test_signature_flipped(void **state)
{
    (void)state;
    for (int at = 1; at <= 60; at += 7) {
        pair p;
        pair_init(&p, 26);
        assert_int_equal(pair_start(&p, NULL), NACRE_OK);
        (void)pair_round(&p);
        (void)pair_round(&p);
        /* Step the server alone: REPLY, NEWKEYS and what follows lie in its output. */
        nacre_event ev;
        while (nacre_transport_next_event(p.end[1].t, &ev) == NACRE_OK) {
        }
        nacre_span out = nacre_transport_output(p.end[1].t);
        uint32_t length = nc_get_u32(out.p);
        size_t padding = out.p[4];
        assert_int_equal(out.p[5], SSH_MSG_KEXDH_REPLY);
        size_t end = 4 + length - padding;
        ((uint8_t *)(uintptr_t)out.p)[end - (size_t)at] ^= 4;
        hostile_end(&p, 0, NACRE_BAD_SIGNATURE);
        assert_int_equal(p.end[0].seen[NACRE_EVENT_HOST_KEY], 0);
        pair_free(&p);
    }
}

static void test_host_key_refused(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, 27);
    p.refuse_host_key = true;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    hostile_end(&p, 0, NACRE_HOST_KEY_REJECTED);
    assert_int_equal(hostile_error(&p, 0)->disconnect_reason, 9);
    assert_int_equal(hostile_error(&p, 1)->status, NACRE_PEER_DISCONNECTED);
    assert_int_equal(hostile_error(&p, 1)->disconnect_reason, 9);
    assert_int_equal(p.end[1].seen[NACRE_EVENT_AUTH_PASSWORD], 0);
    pair_free(&p);
}

/* Leaves the question open, and lets nothing more of the server's come. */
static bool let_a_person_think(pair *p, int who, const nacre_event *ev)
{
    if (ev->type != NACRE_EVENT_HOST_KEY) {
        return false;
    }
    *(uint32_t *)p->user = ev->ticket;
    p->stalled[1 - who] = true;
    return true;
}

/* Who is asked about a host key may take an hour. The rest of the exchange may not. */
static void test_host_key_that_takes_time(void **state)
{
    (void)state;
    uint32_t ticket = 0;
    pair p;
    pair_init(&p, 28);
    p.hook = let_a_person_think;
    p.user = &ticket;
    p.cut = PAIR_BYTES; /* so that the server's NEWKEYS does not come with its key */
    p.config[1].kex_timeout_ms = p.config[1].login_grace_ms = 0;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    assert_int_not_equal(ticket, 0);
    assert_true(nacre_transport_deadline(p.end[0].t) == UINT64_MAX);
    pair_advance(&p, 3600 * 1000);
    pair_run(&p);
    assert_int_equal(hostile_error(&p, 0)->status, NACRE_OK);
    assert_int_equal(nacre_transport_accept(p.end[0].t, ticket), NACRE_OK);
    pair_run(&p);
    assert_int_equal(p.end[0].seen[NACRE_EVENT_KEX_DONE], 0);
    assert_true(nacre_transport_deadline(p.end[0].t) == p.now + 60000);
    pair_advance(&p, 59999);
    pair_run(&p);
    assert_int_equal(hostile_error(&p, 0)->status, NACRE_OK);
    pair_advance(&p, 1);
    hostile_end(&p, 0, NACRE_TIMEOUT);
    assert_non_null(strstr(hostile_error(&p, 0)->text, "NEWKEYS did not come"));
    pair_free(&p);
}

static void test_host_key_changed_at_rekey(void **state)
{
    (void)state;
    nacre_key *other = NULL;
    nacre_error why;
    assert_int_equal(nacre_key_generate(&other, NULL, "ed25519", 0, &why), NACRE_OK);
    pair p;
    hostile_until_in(&p);
    nacre_key_free(p.end[1].core->host_keys[0]);
    p.end[1].core->host_keys[0] = nacre_key_ref(other);
    assert_int_equal(nacre_transport_rekey(p.end[1].t), NACRE_OK);
    hostile_end(&p, 0, NACRE_HOST_KEY_CHANGED);
    pair_free(&p);
    nacre_key_free(other);
}

static void test_small_rsa_host_key(void **state)
{
    (void)state;
    pair p;
    nacre_event ev;
    pair_init(&p, 28);
    p.config[NACRE_SERVER].min_rsa_bits = 4096;
    assert_int_equal(pair_start(&p, pair_key("rsa", 2048)), NACRE_OK);
    /* The server has no key that it may show, and says so at once. */
    assert_int_equal(nacre_transport_next_event(p.end[1].t, &ev), NACRE_OK);
    assert_int_equal(ev.type, NACRE_EVENT_DISCONNECTED);
    assert_int_equal(nacre_transport_next_event(p.end[1].t, &ev), NACRE_WRONG_STATE);
    pair_free(&p);
    pair_init(&p, 28);
    p.config[NACRE_CLIENT].min_rsa_bits = 4096;
    assert_int_equal(pair_start(&p, pair_key("rsa", 2048)), NACRE_OK);
    hostile_end(&p, 0, NACRE_BAD_KEY);
    pair_free(&p);
}

/* A key of another type than was negotiated, and a good signature by it (CVE-2026-16516): the name decides, not the key. */
static void test_host_key_of_another_type(void **state)
{
    (void)state;
    nacre_key *other = NULL;
    nacre_error why;
    pair p;
    assert_int_equal(nacre_key_generate(&other, NULL, "ecdsa", 256, &why), NACRE_OK);
    hostile_start(&p, 43);
    (void)pair_round(&p);
    (void)pair_round(&p);
    nc_kex *k = &p.end[1].core->kex;
    assert_int_equal(k->step, NC_KEX_WAIT_INIT);
    assert_string_equal(k->choice.host_key, "ssh-ed25519");
    k->signing_key = other;
    k->choice.host_key = "ecdsa-sha2-nistp256";
    hostile_end(&p, 0, NACRE_BAD_KEY);
    assert_int_equal(p.end[0].seen[NACRE_EVENT_HOST_KEY], 0);
    pair_free(&p);
    nacre_key_free(other);
}

static void test_no_common_algorithm(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, 29);
    p.config[0].cipher_c2s = "aes128-ctr";
    p.config[1].cipher_c2s = "aes256-ctr";
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    for (int who = 0; who < 2; who++) {
        assert_int_equal(hostile_error(&p, who)->status, NACRE_NO_COMMON_ALGORITHM);
    }
    pair_free(&p);
}

/* ---- guesses --------------------------------------------------------------------------------------- */

/* Makes the client's KEXINIT claim that a guess follows. The hash must agree, so at the source. */
static void guess(pair *p, bool right)
{
    nc_core *c = p->end[0].core;
    nacre_span out = nacre_transport_output(p->end[0].t);
    size_t line = (size_t)((const uint8_t *)memchr(out.p, '\n', out.n) - out.p) + 1;
    uint8_t *packet = (uint8_t *)(uintptr_t)out.p + line;
    packet[5 + c->kex.ours.len - 5] = 1;
    c->kex.ours.data[c->kex.ours.len - 5] = 1;
    if (!right) {
        static const uint8_t wrong[] = {SSH_MSG_KEXDH_INIT, 0, 0, 0, 3, 1, 2, 3};
        pair_inject(p, 0, wrong, sizeof(wrong));
    }
}

static void test_guesses(void **state)
{
    (void)state;
    for (int right = 0; right < 2; right++) {
        pair p;
        pair_init(&p, 30);
        /* Other first choices: the guess is wrong. Equal ones: it is the exchange itself. */
        p.config[1].kex = right ? NULL : "ecdh-sha2-nistp256,curve25519-sha256";
        p.config[0].kex = right ? NULL : "curve25519-sha256";
        /* The first host key algorithms count too (RFC 4253 7), and the server has one key. */
        p.config[0].host_key = right ? "ssh-ed25519" : NULL;
        assert_int_equal(pair_start(&p, NULL), NACRE_OK);
        guess(&p, right);
        pair_run(&p);
        assert_int_equal(hostile_error(&p, 1)->status, NACRE_OK);
        assert_true(pair_echo_done(&p));
        pair_free(&p);
    }
    /* One packet is dropped, not two. */
    pair p;
    pair_init(&p, 30);
    p.config[1].kex = "ecdh-sha2-nistp256,curve25519-sha256";
    p.config[0].kex = "curve25519-sha256";
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    guess(&p, false);
    static const uint8_t second[] = {SSH_MSG_KEXDH_INIT, 0, 0, 0, 3, 1, 2, 3};
    pair_inject(&p, 0, second, sizeof(second));
    hostile_end(&p, 1, NACRE_KEX_FAILED);
    pair_free(&p);
}
/* ---- values ----------------------------------------------------------------------------------------- */

/* KEXINIT of a re-exchange cut at every length, and with absurd integers in every place. */
static void test_damaged_kexinit(void **state)
{
    (void)state;
    static const uint32_t absurd[] = {0, 1, 0x80000000u, 0xffffffffu};
    pair p;
    uint8_t whole[8192];
    hostile_until_in(&p);
    assert_int_equal(nacre_transport_rekey(p.end[0].t), NACRE_OK);
    size_t n = p.end[0].core->kex.ours.len;
    assert_true(n < sizeof(whole));
    memcpy(whole, p.end[0].core->kex.ours.data, n);
    pair_free(&p);
    for (size_t cut = 1; cut < n; cut += 3) {
        hostile_until_in(&p);
        pair_inject(&p, 0, whole, cut);
        hostile_end(&p, 1, NACRE_MALFORMED);
        pair_free(&p);
    }
    for (size_t at = 17; at + 4 < n; at += 5) {
        uint8_t bad[8192];
        memcpy(bad, whole, n);
        nc_put_u32(bad + at, absurd[at % 4]);
        hostile_until_in(&p);
        pair_inject(&p, 0, bad, n);
        pair_run(&p); /* an error, or other algorithms: never a crash */
        pair_free(&p);
    }
}

static void test_group_exchange_hostile(void **state)
{
    (void)state;
    static const uint32_t asked[][3] = {
        {2048, 1024, 8192}, {8193, 8193, 8193}, {1024, 1024, 1024},
        {0xffffffff, 0, 0}, {0, 0, 0},          {4096, 3072, 2048},
    };
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        pair p;
        uint8_t message[13] = {SSH_MSG_KEX_DH_GEX_REQUEST};
        pair_init(&p, 33);
        p.config[0].kex = "diffie-hellman-group-exchange-sha256";
        assert_int_equal(pair_start(&p, NULL), NACRE_OK);
        (void)pair_round(&p);
        for (size_t k = 0; k < 3; k++) {
            nc_put_u32(message + 1 + 4 * k, asked[i][k]);
        }
        pair_inject(&p, 0, message, sizeof(message));
        hostile_end(&p, 1, NACRE_KEX_FAILED);
        pair_free(&p);
    }
    /* A server's group: too small, even, generator 0 and 1. */
    for (int kind = 0; kind < 4; kind++) {
        pair p;
        uint8_t message[700] = {SSH_MSG_KEX_DH_GEX_GROUP};
        size_t bytes = kind == 0 ? 128 : 256;
        nc_put_u32(message + 1, (uint32_t)bytes + 1);
        memset(message + 6, 0xff, bytes);
        message[5 + bytes] = kind == 1 ? 0xfe : 0xff;
        nc_put_u32(message + 6 + bytes, kind == 2 ? 0 : 1);
        message[10 + bytes] = kind == 3 ? 1 : 2;
        pair_init(&p, 34);
        p.config[0].kex = "diffie-hellman-group-exchange-sha256";
        assert_int_equal(pair_start(&p, NULL), NACRE_OK);
        p.end[1].core->config.kex_timeout_ms = 0;
        (void)pair_round(&p);
        nacre_event ev;
        while (nacre_transport_next_event(p.end[0].t, &ev) == NACRE_OK) {
        }
        pair_inject(&p, 1, message, 10 + bytes + (kind == 2 ? 0 : 1));
        hostile_end(&p, 0, NACRE_KEX_FAILED);
        pair_free(&p);
    }
}

static void test_public_values(void **state)
{
    (void)state;
    static const struct {
        const char *kex;
        uint8_t fill;
        size_t n;
    } rows[] = {
        {"curve25519-sha256", 0, 32}, /* the point of small order */
        {"curve25519-sha256", 9, 31},
        {"curve25519-sha256", 9, 0},
        {"ecdh-sha2-nistp256", 4, 65},
        {"ecdh-sha2-nistp256", 0, 1},
        {"diffie-hellman-group14-sha256", 0, 0},
        {"diffie-hellman-group14-sha256", 1, 1},
        {"diffie-hellman-group14-sha256", 0x7f, 600},
        {"diffie-hellman-group14-sha256", 0x80, 256}, /* negative, as an mpint */
        {"diffie-hellman-group14-sha256", 0, 256},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pair p;
        uint8_t message[700] = {SSH_MSG_KEXDH_INIT};
        nc_put_u32(message + 1, (uint32_t)rows[i].n);
        memset(message + 5, rows[i].fill, rows[i].n);
        pair_init(&p, 35);
        p.config[0].kex = rows[i].kex;
        assert_int_equal(pair_start(&p, NULL), NACRE_OK);
        (void)pair_round(&p);
        pair_inject(&p, 0, message, 5 + rows[i].n);
        hostile_end(&p, 1, NACRE_KEX_FAILED);
        pair_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strict_insertions),
        cmocka_unit_test(test_dropped_packet),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_wrong_kex_messages),
        cmocka_unit_test(test_newkeys_early_twice_missing),
        cmocka_unit_test(test_kexinit_within_kex),
        cmocka_unit_test(test_signature_flipped),
        cmocka_unit_test(test_host_key_refused),
        cmocka_unit_test(test_host_key_that_takes_time),
        cmocka_unit_test(test_host_key_changed_at_rekey),
        cmocka_unit_test(test_small_rsa_host_key),
        cmocka_unit_test(test_host_key_of_another_type),
        cmocka_unit_test(test_no_common_algorithm),
        cmocka_unit_test(test_guesses),
        cmocka_unit_test(test_damaged_kexinit),
        cmocka_unit_test(test_group_exchange_hostile),
        cmocka_unit_test(test_public_values),
    };
    return cmocka_run_group_tests(tests, NULL, hostile_cleanup);
}
