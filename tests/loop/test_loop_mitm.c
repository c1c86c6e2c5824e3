/*
 * A man in the middle of two real engines, on each cipher with each MAC and in each direction: packets that he puts in
 * before there are keys, and packets that he leaves out, repeats, swaps, makes up, reflects, keeps for later or cuts
 * once there are (Terrapin, CVE-2023-48795, and its kin). Nothing behind the first touched byte is acted on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "hostile.h"

enum { MOST_SUITES = 64, NAME = 64, PACKETS = 4, PACKET_ROOM = 512, MOST_TURNS = 100 };

typedef struct suite {
    char cipher[NAME], mac[NAME];
} suite;

static suite suites[MOST_SUITES];
static size_t suite_count;

static bool brings_its_own_mac(const char *cipher)
{
    return strstr(cipher, "gcm") || strstr(cipher, "poly1305");
}

static size_t list(nacre_algorithm_kind kind, char names[][NAME])
{
    char all[2048];
    size_t count = 0;
    size_t n = nacre_algorithms(kind, false, all, sizeof(all));
    nacre_span rest = nc_span(all, n), name;
    assert_true(n > 0 && n < sizeof(all));
    while (nc_namelist_next(&rest, &name)) {
        assert_true(count < MOST_SUITES && name.n < NAME);
        memcpy(names[count], name.p, name.n);
        names[count++][name.n] = '\0';
    }
    return count;
}

static int make_suites(void **state)
{
    (void)state;
    static char ciphers[MOST_SUITES][NAME], macs[MOST_SUITES][NAME];
    size_t cipher_count = list(NACRE_ALG_CIPHER, ciphers);
    size_t mac_count = list(NACRE_ALG_MAC, macs);
    for (size_t c = 0; c < cipher_count; c++) {
        size_t some = brings_its_own_mac(ciphers[c]) ? 1 : mac_count;
        for (size_t m = 0; m < some; m++) {
            assert_true(suite_count < MOST_SUITES);
            suite *s = &suites[suite_count++];
            memcpy(s->cipher, ciphers[c], NAME);
            memcpy(s->mac, macs[m], NAME);
        }
    }
    assert_true(cipher_count >= 6 && mac_count >= 4);
    return 0;
}

/* ---- the two engines ------------------------------------------------------------------------------------ */

typedef struct scene {
    pair p;
    int from, victim;
    char heard[16]; /* the first letters of the DEBUG messages that the victim believed */
    size_t heard_count;
} scene;

static bool listen_in(pair *p, int who, const nacre_event *ev)
{
    scene *s = p->user;
    if (who == s->victim && ev->type == NACRE_EVENT_DEBUG && s->heard_count < sizeof(s->heard)) {
        s->heard[s->heard_count++] = ev->text.n ? (char)ev->text.p[0] : '?';
    }
    return false;
}

static void start(scene *s, const suite *with, int from, uint64_t seed)
{
    memset(s, 0, sizeof(*s));
    s->from = from;
    s->victim = 1 - from;
    pair *p = &s->p;
    pair_init(p, seed);
    p->no_channels = true;
    p->hook = listen_in;
    p->user = s;
    for (int who = 0; who < 2; who++) {
        nacre_config *c = &p->config[who];
        c->kex = "curve25519-sha256";
        c->cipher_c2s = c->cipher_s2c = with->cipher;
        c->mac_c2s = c->mac_s2c = with->mac;
    }
    assert_int_equal(pair_start(p, NULL), NACRE_OK);
}

static void start_in(scene *s, const suite *with, int from, uint64_t seed)
{
    start(s, with, from, seed);
    pair_run(&s->p);
    assert_true(nacre_transport_authenticated(s->p.end[0].t));
    assert_true(nacre_transport_authenticated(s->p.end[1].t));
}

/* ---- packets in his hand --------------------------------------------------------------------------------- */

typedef struct taken {
    uint8_t bytes[PACKET_ROOM];
    size_t n;
} taken;

static void take(scene *s, int who, const char *text, taken *out)
{
    nacre_transport *t = s->p.end[who].t;
    assert_int_equal(nacre_transport_output(t).n, 0);
    assert_int_equal(nacre_transport_send_debug(t, false, text), NACRE_OK);
    nacre_span packet = nacre_transport_output(t);
    assert_true(packet.n > 0 && packet.n <= sizeof(out->bytes));
    memcpy(out->bytes, packet.p, packet.n);
    out->n = packet.n;
    nacre_transport_sent(t, packet.n);
}

static void give(scene *s, const uint8_t *bytes, size_t n)
{
    if (!hostile_over(&s->p, s->victim)) {
        hostile_give(&s->p, s->victim, bytes, n);
        (void)pair_step(&s->p, s->victim);
    }
}

/* A length that came out small by chance may wait for more: it gets more than any packet has. */
static void give_until_it_ends(scene *s)
{
    static const uint8_t zeros[4096];
    for (size_t n = 0; n < 2 * NC_MAX_PACKET; n += sizeof(zeros)) {
        give(s, zeros, sizeof(zeros));
    }
}

/* The victim believed these letters, and nothing else. */
static void expect_end(scene *s, const suite *with, const char *what, const char *believed)
{
    const nacre_error *e = hostile_error(&s->p, s->victim);
    bool named = e->status == NACRE_INTEGRITY || e->status == NACRE_OVERSIZED ||
                 e->status == NACRE_MALFORMED;
    if (!named || s->heard_count != strlen(believed) ||
        memcmp(s->heard, believed, s->heard_count) != 0) {
        fail_msg("%s from %s, %s %s: %s (%s), heard %.*s", what, s->from ? "server" : "client",
                 with->cipher, with->mac, nacre_status_symbol(e->status), e->text,
                 (int)s->heard_count, s->heard);
    }
    assert_int_equal(e->by, NACRE_BY_PEER);
    assert_int_equal(s->p.end[s->victim].seen[NACRE_EVENT_DISCONNECTED], 1);
}

/* ---- what he does with them ------------------------------------------------------------------------------ */

typedef struct trick_row {
    const char *name;
    const char *order; /* letters are packets A to D of the sender; see below for the others */
    const char *believed;
} trick_row;

/* x: one of the victim's own packets; r: random bytes; h: the first half of A, o: A but for its last eight bytes */
static const trick_row tricks[] = {
    {"none", "ABCD", "ABCD"},         {"the first left out", "BCD", ""},
    {"one left out", "ACD", "A"},     {"the first two left out", "CD", ""},
    {"repeated", "AAB", "A"},         {"repeated later", "ABA", "AB"},
    {"swapped", "BACD", ""},          {"two swapped later", "ACBD", "A"},
    {"moved to the end", "BCDA", ""}, {"reflected", "xABCD", ""},
    {"reflected later", "AxB", "A"},  {"made up", "rABCD", ""},
    {"made up later", "ABr", "AB"},   {"half of one left out", "hBCD", ""},
    {"its end left out", "oBCD", ""},
};

static void play(scene *s, const char *order, const taken *packets, const taken *reflected)
{
    taken noise = packets[0];
    for (size_t i = 0; i < noise.n; i++) {
        noise.bytes[i] = (uint8_t)pair_random(&s->p.rng);
    }
    for (; *order; order++) {
        if (*order == 'x') {
            give(s, reflected->bytes, reflected->n);
        } else if (*order == 'r') {
            give(s, noise.bytes, noise.n);
        } else if (*order == 'h') {
            give(s, packets[0].bytes, packets[0].n / 2);
        } else if (*order == 'o') {
            give(s, packets[0].bytes, packets[0].n - 8);
        } else {
            give(s, packets[*order - 'A'].bytes, packets[*order - 'A'].n);
        }
    }
}

static void try_trick(const suite *with, int from, const trick_row *row)
{
    static const char *const texts[PACKETS] = {"A1", "B2", "C3", "D4"};
    scene s;
    taken packets[PACKETS], reflected;
    start_in(&s, with, from, 70);
    for (size_t i = 0; i < PACKETS; i++) {
        take(&s, from, texts[i], &packets[i]);
    }
    take(&s, 1 - from, "X0", &reflected);
    play(&s, row->order, packets, &reflected);
    if (strcmp(row->order, "ABCD") == 0) { /* he carries them as they are: all is well */
        assert_int_equal(hostile_error(&s.p, s.victim)->status, NACRE_OK);
        assert_int_equal(s.heard_count, PACKETS);
    } else {
        give_until_it_ends(&s);
        expect_end(&s, with, row->name, row->believed);
    }
    pair_free(&s.p);
}

static void test_packets_left_out_repeated_swapped_made_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < suite_count; i++) {
        for (int from = 0; from < 2; from++) {
            for (size_t k = 0; k < sizeof(tricks) / sizeof(tricks[0]); k++) {
                try_trick(&suites[i], from, &tricks[k]);
            }
        }
    }
}

/* A packet that was kept until there are other keys. Its number may be the one that is due. */
static void test_packets_of_earlier_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < suite_count; i++) {
        for (int from = 0; from < 2; from++) {
            scene s;
            taken first, kept;
            start_in(&s, &suites[i], from, 71);
            assert_int_equal(nacre_transport_rekey(s.p.end[0].t), NACRE_OK);
            pair_run(&s.p);
            take(&s, from, "A1", &first); /* number 0 of these keys */
            give(&s, first.bytes, first.n);
            kept = first;
            assert_int_equal(nacre_transport_rekey(s.p.end[1].t), NACRE_OK);
            pair_run(&s.p);
            assert_int_equal(s.p.end[s.victim].core->key_exchanges, 3);
            give(&s, kept.bytes, kept.n); /* strict: number 0 again */
            give_until_it_ends(&s);
            expect_end(&s, &suites[i], "of earlier keys", "A");
            pair_free(&s.p);
        }
    }
}

/* ---- before there are keys -------------------------------------------------------------------------------- */

static const uint8_t ignore[] = {SSH_MSG_IGNORE, 0, 0, 0, 0};
static const uint8_t debug[] = {SSH_MSG_DEBUG, 0, 0, 0, 0, 0, 0, 0, 0, 0};
static const uint8_t unimplemented[] = {SSH_MSG_UNIMPLEMENTED, 0, 0, 0, 0};
static const nacre_span chatter[] = {
    {ignore, sizeof(ignore)}, {debug, sizeof(debug)}, {unimplemented, sizeof(unimplemented)}};

/* Goes on until the sender's unit of this place is next: 0 its line, 1 KEXINIT, 2 the method's, 3 NEWKEYS, 4 what
 * comes under keys. */
static void until_unit(scene *s, int place)
{
    int passed = 0;
    for (int turn = 0; turn < MOST_TURNS; turn++) {
        (void)pair_step(&s->p, s->from);
        if (passed == place && hostile_unit(&s->p, s->from).n > 0) {
            return;
        }
        if (passed < place && hostile_carry(&s->p, s->from)) {
            passed++;
        } else {
            (void)hostile_carry(&s->p, s->victim);
        }
        (void)pair_step(&s->p, s->victim);
    }
    fail_msg("the sender never came to its unit %d", place);
}

static void test_packets_put_in_before_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < suite_count; i++) {
        for (int from = 0; from < 2; from++) {
            for (int place = 1; place <= 3; place++) {
                for (size_t k = 0; k < 3; k++) {
                    scene s;
                    start(&s, &suites[i], from, 72);
                    until_unit(&s, place);
                    hostile_say_clear(&s.p, s.victim, chatter[k].p, chatter[k].n);
                    (void)pair_step(&s.p, s.victim);
                    assert_int_equal(hostile_error(&s.p, s.victim)->status, NACRE_STRICT_KEX);
                    assert_int_equal(hostile_error(&s.p, s.victim)->by, NACRE_BY_PEER);
                    assert_int_equal(s.p.end[s.victim].seen[NACRE_EVENT_KEX_DONE], 0);
                    pair_free(&s.p);
                }
            }
        }
    }
}

/* NEWKEYS itself is left out, or comes twice: from there on the two ends mean different keys. */
static void test_newkeys_left_out_or_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < suite_count; i++) {
        for (int from = 0; from < 2; from++) {
            for (int times = 0; times <= 2; times += 2) {
                scene s;
                start(&s, &suites[i], from, 76);
                until_unit(&s, 3);
                nacre_span newkeys = hostile_unit(&s.p, from);
                assert_int_equal(newkeys.p[5], SSH_MSG_NEWKEYS);
                for (int k = 0; k < times; k++) {
                    give(&s, newkeys.p, newkeys.n);
                }
                nacre_transport_sent(s.p.end[from].t, newkeys.n);
                nacre_span rest = nacre_transport_output(s.p.end[from].t);
                give(&s, rest.p, rest.n);
                give_until_it_ends(&s);
                assert_true(hostile_over(&s.p, s.victim));
                assert_int_equal(hostile_error(&s.p, s.victim)->by, NACRE_BY_PEER);
                assert_int_equal(s.p.end[s.victim].seen[NACRE_EVENT_KEX_DONE], times ? 1 : 0);
                assert_int_equal(s.p.end[s.victim].seen[NACRE_EVENT_AUTH_PASSWORD], 0);
                pair_free(&s.p);
            }
        }
    }
}

/* Takes what the sender says first under keys off the wire; how many packets that were. */
static unsigned cut_prefix(scene *s)
{
    nc_packetizer_counters n;
    nacre_transport *t = s->p.end[s->from].t;
    nc_packetizer_get_counters(s->p.end[s->from].core->packetizer, &n);
    nacre_transport_sent(t, nacre_transport_output(t).n);
    return (unsigned)n.key_packets_out;
}

static void say_word(scene *s)
{
    static const uint8_t word[] = {SSH_MSG_DEBUG, 0, 0, 0, 0, 1, 'W', 0, 0, 0, 0};
    pair_inject(&s->p, s->from, word, sizeof(word));
    nacre_span out = nacre_transport_output(s->p.end[s->from].t);
    give(s, out.p, out.n);
}

/* The first packets under keys (EXT_INFO among them) are gone; whatever follows is noticed. */
static void test_prefix_cut_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < suite_count; i++) {
        for (int from = 0; from < 2; from++) {
            scene s;
            start(&s, &suites[i], from, 73);
            until_unit(&s, 4);
            assert_true(cut_prefix(&s) > 0);
            say_word(&s);
            give_until_it_ends(&s);
            expect_end(&s, &suites[i], "prefix cut off", "");
            pair_free(&s.p);
        }
    }
}

/*
 * Terrapin as it was published, against a sender that does not know strict key exchange: as many packets put in as
 * are left out. There it works, and EXT_INFO is lost without a trace, which shows that the test above tries the
 * attack itself; and with strict key exchange the very same steps end at the first packet that was put in.
 */
static void terrapin(scene *s, bool lax)
{
    static const suite chacha = {"chacha20-poly1305@openssh.com", "hmac-sha2-256"};
    start(s, &chacha, NACRE_SERVER, 74);
    s->p.no_login = true;
    (void)pair_step(&s->p, s->from);
    if (lax) {
        hostile_make_lax(&s->p, s->from);
    }
    until_unit(s, 3);
    hostile_say_clear(&s->p, s->victim, ignore, sizeof(ignore));
    (void)pair_step(&s->p, s->victim);
}

static void test_terrapin(void **state)
{
    (void)state;
    scene s;
    nacre_span value;
    terrapin(&s, true);
    assert_int_equal(hostile_error(&s.p, s.victim)->status, NACRE_OK);
    assert_true(hostile_carry(&s.p, s.from)); /* NEWKEYS */
    (void)pair_step(&s.p, s.victim);
    assert_int_equal(cut_prefix(&s), 1);
    say_word(&s);
    assert_int_equal(hostile_error(&s.p, s.victim)->status, NACRE_OK);
    assert_int_equal(s.heard_count, 1);
    assert_false(nc_core_peer_extension(s.p.end[s.victim].core, "server-sig-algs", &value));
    pair_free(&s.p);
    terrapin(&s, false);
    assert_int_equal(hostile_error(&s.p, s.victim)->status, NACRE_STRICT_KEX);
    pair_free(&s.p);
}

/*
 * The rule of the first KEXINIT does not hang on the gate alone, which lets nothing pass before it: a packet that went
 * by the gate all the same shows in the number of the KEXINIT, of either role. Without strict key exchange it is none.
 */
static void test_kexinit_is_the_first_packet(void **state)
{
    (void)state;
    for (int from = 0; from < 2; from++) {
        for (int lax = 0; lax < 2; lax++) {
            scene s;
            nc_packet packet;
            nacre_error why;
            start(&s, &suites[0], from, 76);
            until_unit(&s, 1);
            if (lax) {
                hostile_make_lax(&s.p, from);
            }
            nc_core *victim = s.p.end[s.victim].core;
            hostile_say_clear(&s.p, s.victim, ignore, sizeof(ignore));
            assert_int_equal(nc_packetizer_next(victim->packetizer, &packet, &why), NACRE_OK);
            assert_int_equal(packet.number, SSH_MSG_IGNORE);
            assert_true(hostile_carry(&s.p, from));
            (void)pair_step(&s.p, s.victim);
            const nacre_error *e = hostile_error(&s.p, s.victim);
            assert_int_equal(e->status, lax ? NACRE_OK : NACRE_STRICT_KEX);
            assert_int_equal(victim->strict, !lax);
            assert_true(lax || strstr(e->text, "was not the peer's first packet"));
            pair_free(&s.p);
        }
    }
}

/* Strict key exchange cannot be talked away: the markers are part of what the host key signs. */
static void test_marker_taken_away(void **state)
{
    (void)state;
    static const char marker[] = "kex-strict-";
    for (int from = 0; from < 2; from++) {
        scene s;
        start(&s, &suites[0], from, 75);
        until_unit(&s, 1);
        nacre_span kexinit = hostile_unit(&s.p, from);
        uint8_t *b = (uint8_t *)(uintptr_t)kexinit.p;
        size_t at = 0;
        while (at + sizeof(marker) < kexinit.n && memcmp(b + at, marker, sizeof(marker) - 1) != 0) {
            at++;
        }
        assert_true(at + sizeof(marker) < kexinit.n);
        b[at + 4] = 'S';
        pair_run(&s.p);
        assert_int_equal(hostile_error(&s.p, NACRE_CLIENT)->status, NACRE_BAD_SIGNATURE);
        assert_int_equal(s.p.end[NACRE_CLIENT].seen[NACRE_EVENT_HOST_KEY], 0);
        pair_free(&s.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets_left_out_repeated_swapped_made_up),
        cmocka_unit_test(test_packets_of_earlier_keys),
        cmocka_unit_test(test_packets_put_in_before_keys),
        cmocka_unit_test(test_newkeys_left_out_or_twice),
        cmocka_unit_test(test_prefix_cut_off),
        cmocka_unit_test(test_terrapin),
        cmocka_unit_test(test_kexinit_is_the_first_packet),
        cmocka_unit_test(test_marker_taken_away),
    };
    return cmocka_run_group_tests(tests, make_suites, hostile_cleanup);
}
