/*
 * The full matrix: key exchange x host key x cipher x MAC x compression, every combination a whole session
 * (login, channel, echo, close), and delivery in five manners: whole, byte by byte, in random cuts, with
 * IGNORE and DEBUG between the packets, and with new keys every few packets. Quick exchanges meet every
 * manner in every combination; slow ones (large groups) one manner each, in turn.
 *
 * Under a sanitizer, which sees the same lines run again and again, there are fewer: one manner in each combination of
 * the quick exchanges, and every eleventh combination of the slow ones. Eleven has no factor in common with the
 * lengths of the lists, so each of their entries still meets each of the others' over the slow exchanges together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/pair.h"

enum { NAMES = 24, NAME = 64 };

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif
enum { SLOW_STRIDE = SANITIZED ? 11 : 1 };

typedef struct names {
    char name[NAMES][NAME];
    size_t count;
} names;

typedef enum manner { WHOLE, BYTES, RANDOM, NOISE, REKEYS, MANNERS } manner;

static names all_of(nacre_algorithm_kind kind)
{
    static char text[4096];
    names n = {.count = 0};
    assert_true(nacre_algorithms(kind, false, text, sizeof(text)) < sizeof(text));
    for (const char *p = text; *p && n.count < NAMES; n.count++) {
        size_t len = strcspn(p, ",");
        assert_true(len < NAME);
        memcpy(n.name[n.count], p, len);
        n.name[n.count][len] = '\0';
        p += len + (p[len] == ',' ? 1 : 0);
    }
    return n;
}

static nacre_key *key_for(const char *algorithm)
{
    static const struct {
        const char *algorithm, *type;
        uint32_t bits;
    } rows[] = {
        {"ssh-ed25519", "ed25519", 0},
        {"ecdsa-sha2-nistp256", "ecdsa", 256},
        {"ecdsa-sha2-nistp384", "ecdsa", 384},
        {"ecdsa-sha2-nistp521", "ecdsa", 521},
        {"rsa-sha2-256", "rsa", 2048},
        {"rsa-sha2-512", "rsa", 2048},
        {"ssh-rsa", "rsa", 2048},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].algorithm, algorithm) == 0) {
            return pair_key(rows[i].type, rows[i].bits);
        }
    }
    fail_msg("no key for %s", algorithm);
    return NULL;
}

typedef struct combination {
    const char *kex, *host_key, *cipher, *mac, *compression;
} combination;

static void session(const combination *c, manner how)
{
    pair p;
    pair_init(&p, (uint64_t)how + 1);
    p.bytes = how == BYTES ? 300 : 3000;
    p.cut = how == BYTES ? PAIR_BYTES : how == RANDOM ? PAIR_RANDOM : PAIR_WHOLE;
    p.noise = how == NOISE;
    for (int who = 0; who < 2; who++) {
        nacre_config *cfg = &p.config[who];
        cfg->kex = c->kex;
        cfg->host_key = c->host_key;
        cfg->cipher_c2s = cfg->cipher_s2c = c->cipher;
        cfg->mac_c2s = cfg->mac_s2c = c->mac;
        cfg->compression_c2s = cfg->compression_s2c = c->compression;
        cfg->rekey_packets = how == REKEYS ? 6 : 0;
    }
    assert_int_equal(pair_start(&p, key_for(c->host_key)), NACRE_OK);
    pair_run(&p);
    const nacre_negotiated *n = nacre_transport_negotiated(p.end[1].t);
    if (!pair_echo_done(&p) || !n || strcmp(n->kex, c->kex) != 0 ||
        strcmp(n->host_key, c->host_key) != 0 || strcmp(n->cipher_s2c, c->cipher) != 0 ||
        strcmp(n->compression_c2s, c->compression) != 0) {
        fail_msg("%s %s %s %s %s, manner %d: %s", c->kex, c->host_key, c->cipher, c->mac,
                 c->compression, (int)how, nacre_transport_error(p.end[0].t)->text);
    }
    if (how == REKEYS) {
        assert_true(p.end[0].seen[NACRE_EVENT_KEX_DONE] > 1);
    }
    pair_free(&p);
}

static bool quick(const char *kex)
{
    static const char *const rows[] = {"curve25519-sha256", "ecdh-sha2-nistp256",
                                       "mlkem768x25519-sha256"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(kex, rows[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* shift: blocks of a host key are a multiple of the manners long; each begins with another one. */
static size_t run(const combination *c, size_t turn, size_t shift)
{
    if (!quick(c->kex)) {
        if (turn % SLOW_STRIDE != 0) {
            return 0;
        }
        session(c, (manner)(turn / SLOW_STRIDE % REKEYS));
        return 1;
    }
    if (SANITIZED) {
        session(c, (manner)((turn + shift) % MANNERS));
        return 1;
    }
    for (int how = 0; how < MANNERS; how++) {
        session(c, (manner)how);
    }
    return MANNERS;
}

static void test_every_combination(void **state)
{
    (void)state;
    static names kexes, keys, ciphers, macs, compressions;
    kexes = all_of(NACRE_ALG_KEX);
    keys = all_of(NACRE_ALG_HOST_KEY);
    ciphers = all_of(NACRE_ALG_CIPHER);
    macs = all_of(NACRE_ALG_MAC);
    compressions = all_of(NACRE_ALG_COMPRESSION);
    size_t turn = 0;
    size_t sessions = 0;
    for (size_t k = 0; k < kexes.count; k++) {
        for (size_t h = 0; h < keys.count; h++) {
            /* Certificates have a test of their own (test_loop_certs.c); devices sign elsewhere. */
            if (strchr(keys.name[h], '@')) {
                continue;
            }
            for (size_t c = 0; c < ciphers.count; c++) {
                bool aead = strstr(ciphers.name[c], "gcm") || strstr(ciphers.name[c], "poly");
                /* An AEAD brings its own: the MAC list plays no part. */
                for (size_t m = 0; m < (aead ? 1 : macs.count); m++) {
                    for (size_t z = 0; z < compressions.count; z++) {
                        combination row = {kexes.name[k], keys.name[h], ciphers.name[c],
                                           macs.name[m], compressions.name[z]};
                        sessions += run(&row, turn++, h);
                    }
                }
            }
        }
    }
    print_message("%zu combinations, %zu sessions\n", turn, sessions);
    assert_true(turn >= 9 * 6 * 15 * 3);
}

static int cleanup(void **state)
{
    (void)state;
    pair_keys_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_combination)};
    return cmocka_run_group_tests(tests, NULL, cleanup);
}
