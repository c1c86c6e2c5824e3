/* Key agreement: both halves of every method, published vectors, and peers that send rubbish. */
#include "vectors.h"

#include "crypto/dh_groups.h"
#include "support/memory.h"
#include "wire/rd.h"
#include "wire/wr.h"

#include <openssl/bn.h>
#include <stdlib.h>
#include <string.h>

static const nc_kem_alg *const kems[] = {&nc_kem_x25519, &nc_kem_p256,    &nc_kem_p384,
                                         &nc_kem_p521,   &nc_kem_group14, &nc_kem_group16,
                                         &nc_kem_group18};
static const size_t public_len[] = {32, 65, 97, 133, 256, 512, 1024};

static bool is_dh(size_t i)
{
    return i >= 4;
}

static void both_ends_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kems); i++) {
        nc_buf first_pub = empty_buf();
        nc_buf first_secret = empty_buf();

        for (int round = 0; round < 2; round++) {
            uint8_t seed = 3;
            nc_random rnd = {counting_random, &seed};
            nc_buf a = empty_buf();
            nc_buf b = empty_buf();
            nc_buf ka = empty_buf();
            nc_buf kb = empty_buf();
            nc_kem *k;
            nc_rd rd;

            assert_int_equal(kems[i]->start(kems[i], NULL, &rnd, &k, &a), NACRE_OK);
            assert_int_equal(kems[i]->respond(kems[i], NULL, &rnd, nc_buf_span(&a), &b, &kb),
                             NACRE_OK);
            assert_int_equal(kems[i]->finish(k, nc_buf_span(&b), &ka), NACRE_OK);
            assert_span_eq(nc_buf_span(&ka), nc_buf_span(&kb));
            assert_true(a.len <= public_len[i] && b.len <= public_len[i]);
            assert_true(a.len + (is_dh(i) ? 2 : 0) >= public_len[i]);
            rd = nc_rd_init(nc_buf_span(&ka));
            assert_true(nc_rd_mpint(&rd, 1024).n > 20);
            assert_int_equal(nc_rd_end(&rd), NACRE_OK);
            if (round == 0) {
                assert_int_equal(nc_buf_append(&first_pub, a.data, a.len), NACRE_OK);
                assert_int_equal(nc_buf_append(&first_secret, ka.data, ka.len), NACRE_OK);
            } else {
                /* The same random bytes, the same exchange. */
                assert_span_eq(nc_buf_span(&a), nc_buf_span(&first_pub));
                assert_span_eq(nc_buf_span(&ka), nc_buf_span(&first_secret));
            }
            nc_kem_free(k);
            nc_buf_clear(&a);
            nc_buf_clear(&b);
            nc_buf_clear(&ka);
            nc_buf_clear(&kb);
        }
        nc_buf_clear(&first_pub);
        nc_buf_clear(&first_secret);
    }
    nc_kem_free(NULL);
}

static void no_randomness(void **state)
{
    nc_random rnd = {broken_random, NULL};
    uint8_t seed = 9;
    nc_random good = {counting_random, &seed};

    (void)state;
    for (size_t i = 0; i < COUNT(kems); i++) {
        nc_buf a = empty_buf();
        nc_buf b = empty_buf();
        nc_buf secret = empty_buf();
        nc_kem *k;
        nc_kem *none;

        assert_int_equal(kems[i]->start(kems[i], NULL, &good, &k, &a), NACRE_OK);
        assert_int_equal(kems[i]->start(kems[i], NULL, &rnd, &none, &b), NACRE_RANDOM);
        assert_null(none);
        assert_int_equal(kems[i]->respond(kems[i], NULL, &rnd, nc_buf_span(&a), &b, &secret),
                         NACRE_RANDOM);
        assert_int_equal(b.len, 0);
        assert_int_equal(secret.len, 0);
        nc_kem_free(k);
        nc_buf_clear(&a);
        nc_buf_clear(&b);
        nc_buf_clear(&secret);
    }
}

/* A peer value that must be refused by both roles, without a trace in the output. */
static void refused(const nc_kem_alg *alg, nacre_span peer)
{
    uint8_t seed = 4;
    nc_random rnd = {counting_random, &seed};
    nc_buf a = empty_buf();
    nc_buf b = empty_buf();
    nc_buf secret = empty_buf();
    nc_kem *k;

    assert_int_equal(alg->start(alg, NULL, &rnd, &k, &a), NACRE_OK);
    assert_int_equal(nc_buf_append(&secret, "keep", 4), NACRE_OK);
    assert_int_equal(alg->finish(k, peer, &secret), NACRE_KEX_FAILED);
    assert_int_equal(alg->respond(alg, NULL, &rnd, peer, &b, &secret), NACRE_KEX_FAILED);
    assert_int_equal(secret.len, 4);
    assert_int_equal(b.len, 0);
    nc_kem_free(k);
    nc_buf_clear(&a);
    nc_buf_clear(&b);
    nc_buf_clear(&secret);
}

static void points_and_other_bytes(void **state)
{
    static const uint8_t prefixes[] = {0, 1, 2, 3, 5, 6, 7, 0x84, 0xff};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        uint8_t seed = 77;
        nc_random rnd = {counting_random, &seed};
        nc_buf good = empty_buf();
        nc_buf bad = empty_buf();
        nc_kem *k;

        assert_int_equal(kems[i]->start(kems[i], NULL, &rnd, &k, &good), NACRE_OK);
        nc_kem_free(k);
        for (size_t n = 0; n < good.len; n++) {
            refused(kems[i], nc_span(good.data, n));
        }
        assert_int_equal(nc_buf_append(&bad, good.data, good.len), NACRE_OK);
        assert_int_equal(nc_buf_append(&bad, "", 1), NACRE_OK);
        refused(kems[i], nc_buf_span(&bad));
        nc_buf_truncate(&bad, good.len);
        for (size_t j = 0; i > 0 && j < COUNT(prefixes); j++) {
            bad.data[0] = prefixes[j];
            refused(kems[i], nc_buf_span(&bad));
        }
        bad.data[0] = good.data[0];
        bad.data[good.len - 1] ^= 1; /* off the curve */
        if (i > 0) {
            refused(kems[i], nc_buf_span(&bad));
            memset(bad.data + 1, 0, bad.len - 1);
            refused(kems[i], nc_buf_span(&bad));
            memset(bad.data + 1, 0xff, bad.len - 1);
            refused(kems[i], nc_buf_span(&bad));
        }
        nc_buf_clear(&good);
        nc_buf_clear(&bad);
    }
}

/* ---- Wycheproof --------------------------------------------------------------------------------- */

typedef struct agreement {
    const nc_kem_alg *alg;
    size_t len;
    size_t agreed;
    size_t refused;
} agreement;

static void agreement_vector(const cJSON *group, const cJSON *test, void *user)
{
    static const uint8_t zeros[66];
    agreement *g = user;
    nc_buf private_key = hex_field(test, "private");
    nc_buf peer = hex_field(test, "public");
    nc_buf shared = hex_field(test, "shared");
    nc_buf pub = empty_buf();
    nc_buf secret = empty_buf();
    nc_buf want = empty_buf();
    nc_buf padded = empty_buf();
    nacre_span bytes;
    nc_random rnd = {given_random, &bytes};
    nc_wr w = nc_wr_init(&want);
    const char *result = text_field(test, "result");
    /* On X25519 it means a point of small order; a NIST curve has a good point with x = 0. */
    bool zero =
        g->alg == &nc_kem_x25519 && shared.len > 0 && nc_ct_equal(shared.data, zeros, shared.len);
    bool compressed = has_flag(test, "CompressedPoint") || has_flag(test, "CompressedPublic");
    bool good = strcmp(result, "invalid") != 0 && !zero && !compressed;
    size_t skip = private_key.len > g->len ? private_key.len - g->len : 0;
    nc_kem *k;

    (void)group;
    for (size_t i = private_key.len; i < g->len; i++) {
        assert_int_equal(nc_buf_append(&padded, "", 1), NACRE_OK);
    }
    assert_int_equal(nc_buf_append(&padded, private_key.data + skip, private_key.len - skip),
                     NACRE_OK);
    bytes = nc_buf_span(&padded);
    assert_int_equal(g->alg->start(g->alg, NULL, &rnd, &k, &pub), NACRE_OK);
    assert_int_equal(g->alg->finish(k, nc_buf_span(&peer), &secret),
                     good ? NACRE_OK : NACRE_KEX_FAILED);
    if (good) {
        nc_wr_mpint(&w, nc_buf_span(&shared));
        assert_int_equal(nc_wr_err(&w), NACRE_OK);
        assert_span_eq(nc_buf_span(&secret), nc_buf_span(&want));
        g->agreed++;
    } else {
        assert_int_equal(secret.len, 0);
        g->refused++;
    }
    nc_kem_free(k);
    nc_buf_clear(&private_key);
    nc_buf_clear(&peer);
    nc_buf_clear(&shared);
    nc_buf_clear(&pub);
    nc_buf_clear(&secret);
    nc_buf_clear(&want);
    nc_buf_clear(&padded);
}

static void agreement_vectors(void **state)
{
    agreement x25519 = {&nc_kem_x25519, 32, 0, 0};
    agreement p256 = {&nc_kem_p256, 32, 0, 0};
    agreement p384 = {&nc_kem_p384, 48, 0, 0};
    agreement p521 = {&nc_kem_p521, 66, 0, 0};

    (void)state;
    assert_true(each_vector("x25519_test.json", agreement_vector, &x25519) > 500);
    assert_true(each_vector("ecdh_secp256r1_ecpoint_test.json", agreement_vector, &p256) > 200);
    assert_true(each_vector("ecdh_secp384r1_ecpoint_test.json", agreement_vector, &p384) > 200);
    assert_true(each_vector("ecdh_secp521r1_ecpoint_test.json", agreement_vector, &p521) > 200);
    assert_true(x25519.agreed > 400 && x25519.refused > 20);
    assert_true(p256.agreed > 150 && p256.refused > 5);
    assert_true(p384.agreed > 150 && p384.refused > 5);
    assert_true(p521.agreed > 150 && p521.refused > 5);
}

/* A scalar of zero or at the order is drawn again; a source of nothing else is an error. */
static void scalars_out_of_range(void **state)
{
    nc_buf order = hex_buf("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    nc_buf draws = empty_buf();
    nc_buf a = empty_buf();
    nc_buf b = empty_buf();
    uint8_t zero[32] = {0};
    uint8_t all[40 * 32];
    uint8_t two[32] = {0};
    nacre_span bytes;
    nc_random rnd = {given_random, &bytes};
    nc_kem *k;

    (void)state;
    two[31] = 2;
    assert_int_equal(nc_buf_append(&draws, zero, 32), NACRE_OK);
    assert_int_equal(nc_buf_append(&draws, order.data, 32), NACRE_OK);
    assert_int_equal(nc_buf_append(&draws, two, 32), NACRE_OK);
    bytes = nc_buf_span(&draws);
    assert_int_equal(nc_kem_p256.start(&nc_kem_p256, NULL, &rnd, &k, &a), NACRE_OK);
    assert_int_equal(bytes.n, 0);
    nc_kem_free(k);
    bytes = nc_span(two, 32);
    assert_int_equal(nc_kem_p256.start(&nc_kem_p256, NULL, &rnd, &k, &b), NACRE_OK);
    assert_span_eq(nc_buf_span(&a), nc_buf_span(&b));
    nc_kem_free(k);
    memset(all, 0xff, sizeof all);
    bytes = nc_span(all, sizeof all);
    assert_int_equal(nc_kem_p256.start(&nc_kem_p256, NULL, &rnd, &k, &b), NACRE_RANDOM);
    nc_buf_clear(&order);
    nc_buf_clear(&draws);
    nc_buf_clear(&a);
    nc_buf_clear(&b);
}

/* ---- Diffie-Hellman ----------------------------------------------------------------------------- */

static void groups_are_rfc_3526(void **state)
{
    BIGNUM *(*const primes[])(BIGNUM *) = {BN_get_rfc3526_prime_2048, BN_get_rfc3526_prime_3072,
                                           BN_get_rfc3526_prime_4096, BN_get_rfc3526_prime_6144,
                                           BN_get_rfc3526_prime_8192};

    (void)state;
    assert_int_equal(COUNT(primes), NC_DH_GROUP_COUNT);
    for (size_t i = 0; i < COUNT(primes); i++) {
        BIGNUM *want = primes[i](NULL);
        BIGNUM *got = BN_bin2bn(nc_dh_groups[i].p.p, (int)nc_dh_groups[i].p.n, NULL);

        assert_int_equal(BN_cmp(want, got), 0);
        assert_int_equal(nc_dh_groups[i].g.n, 1);
        assert_int_equal(nc_dh_groups[i].g.p[0], 2);
        BN_free(want);
        BN_free(got);
    }
}

static void builtin_choice(void **state)
{
    static const struct {
        uint32_t min, preferred, max;
        size_t bits;
    } rows[] = {{2048, 2048, 8192, 2048}, {2048, 2049, 8192, 3072}, {2048, 3072, 8192, 3072},
                {2048, 9000, 8192, 8192}, {1024, 1024, 8192, 2048}, {2048, 8192, 4096, 4096},
                {5000, 2048, 8192, 6144}, {8193, 8193, 16384, 0},   {1024, 1024, 1536, 0},
                {4096, 4096, 2048, 0},    {0, 0, UINT32_MAX, 2048}, {2100, 2200, 3000, 0}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const nc_dh_group *g = nc_dh_builtin_group(rows[i].min, rows[i].preferred, rows[i].max);

        assert_int_equal(g ? g->p.n * 8 : 0, rows[i].bits);
    }
}

static void dh_public_values(void **state)
{
    const nc_dh_group *g = &nc_dh_groups[NC_DH_2048];
    uint8_t v[258];
    size_t n = g->p.n;

    (void)state;
    refused(&nc_kem_group14, nc_span(NULL, 0));
    memset(v, 0, sizeof v);
    refused(&nc_kem_group14, nc_span(v, 1));
    refused(&nc_kem_group14, nc_span(v, n));
    v[0] = 1;
    refused(&nc_kem_group14, nc_span(v, 1));
    v[0] = 2; /* a generator to the power of one is nobody's key */
    refused(&nc_kem_group14, nc_span(v, 1));
    memcpy(v, g->p.p, n);
    refused(&nc_kem_group14, nc_span(v, n)); /* p */
    v[n - 1] -= 1;
    refused(&nc_kem_group14, nc_span(v, n)); /* p - 1 */
    memset(v, 0xff, sizeof v);
    refused(&nc_kem_group14, nc_span(v, n));
    refused(&nc_kem_group14, nc_span(v, n + 1));
    refused(&nc_kem_group14, nc_span(v, n + 2));
}

typedef struct counted_zeros {
    size_t bytes;
} counted_zeros;

static int zeros(void *user, uint8_t *out, size_t n)
{
    memset(out, 0, n);
    ((counted_zeros *)user)->bytes += n;
    return 0;
}

/*
 * Bits taken for bytes made exponents of a few bits (CVE-2016-0787, CVE-2016-0739): they have twice the strength of
 * the group, and their full length whatever the source of randomness says.
 */
static void dh_exponents_are_long(void **state)
{
    static const struct {
        const nc_kem_alg *alg;
        int group;
        size_t strength; /* bits, NIST SP 800-57 */
    } rows[] = {{&nc_kem_group14, NC_DH_2048, 112},
                {&nc_kem_group16, NC_DH_4096, 152},
                {&nc_kem_group18, NC_DH_8192, 200}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        counted_zeros count = {0};
        nc_random rnd = {zeros, &count};
        nc_buf a = empty_buf();
        nc_kem *k;
        const nc_dh_group *g = &nc_dh_groups[rows[i].group];
        BN_CTX *ctx = BN_CTX_new();
        BIGNUM *prime = BN_bin2bn(g->p.p, (int)g->p.n, NULL);
        BIGNUM *base = BN_bin2bn(g->g.p, (int)g->g.n, NULL);
        BIGNUM *x = BN_new();
        BIGNUM *y = BN_new();
        BIGNUM *made;

        assert_int_equal(rows[i].alg->start(rows[i].alg, NULL, &rnd, &k, &a), NACRE_OK);
        assert_true(count.bytes * 8 >= 2 * rows[i].strength);
        made = BN_bin2bn(a.data, (int)a.len, NULL);
        assert_int_equal(BN_set_bit(x, (int)count.bytes * 8 - 1), 1);
        assert_int_equal(BN_mod_exp(y, base, x, prime, ctx), 1);
        assert_int_equal(BN_cmp(made, y), 0);
        BN_free(made);
        BN_free(x);
        BN_free(y);
        BN_free(base);
        BN_free(prime);
        BN_CTX_free(ctx);
        nc_kem_free(k);
        nc_buf_clear(&a);
    }
}

/* p - 2 is the last value that must be accepted; so is one with a zero byte in front. */
static void dh_last_good_values(void **state)
{
    const nc_dh_group *g = &nc_dh_groups[NC_DH_2048];
    uint8_t seed = 1;
    nc_random rnd = {counting_random, &seed};
    uint8_t v[257] = {0};
    nc_buf b = empty_buf();
    nc_buf s1 = empty_buf();
    nc_buf s2 = empty_buf();

    (void)state;
    memcpy(v + 1, g->p.p, g->p.n);
    v[g->p.n] -= 2;
    assert_int_equal(
        nc_kem_group14.respond(&nc_kem_group14, NULL, &rnd, nc_span(v + 1, g->p.n), &b, &s1),
        NACRE_OK);
    seed = 1;
    assert_int_equal(
        nc_kem_group14.respond(&nc_kem_group14, NULL, &rnd, nc_span(v, sizeof v), &b, &s2),
        NACRE_OK);
    assert_span_eq(nc_buf_span(&s1), nc_buf_span(&s2));
    nc_buf_clear(&b);
    nc_buf_clear(&s1);
    nc_buf_clear(&s2);
}

static void groups_at_run_time(void **state)
{
    const nc_dh_group *real = &nc_dh_groups[NC_DH_2048];
    const nc_kem_alg *kem;
    nc_dh_group g = *real;
    uint8_t p[257];
    uint8_t gen[256] = {0};
    uint8_t seed = 8;
    nc_random rnd = {counting_random, &seed};
    nc_buf a = empty_buf();
    nc_buf b = empty_buf();
    nc_buf s1 = empty_buf();
    nc_buf s2 = empty_buf();
    nc_kem *k;

    (void)state;
    memcpy(p + 1, real->p.p, 256);
    p[0] = 0;
    g.p = nc_span(p, 257); /* a leading zero is no matter */
    assert_int_equal(nc_dh_kem_new(&kem, NULL, &g, 2048, 8192), NACRE_OK);
    memset(p, 0, sizeof p); /* the group was copied */
    assert_int_equal(kem->start(kem, NULL, &rnd, &k, &a), NACRE_OK);
    assert_int_equal(nc_kem_group14.respond(&nc_kem_group14, NULL, &rnd, nc_buf_span(&a), &b, &s1),
                     NACRE_OK);
    assert_int_equal(kem->finish(k, nc_buf_span(&b), &s2), NACRE_OK);
    assert_span_eq(nc_buf_span(&s1), nc_buf_span(&s2));
    nc_kem_free(k);
    nc_dh_kem_free(NULL, kem);
    nc_dh_kem_free(NULL, NULL);

    g = *real;
    assert_int_equal(nc_dh_kem_new(&kem, NULL, &g, 2049, 8192), NACRE_KEX_FAILED);
    assert_null(kem);
    assert_int_equal(nc_dh_kem_new(&kem, NULL, &g, 1024, 2047), NACRE_KEX_FAILED);
    memcpy(p, real->p.p, 256);
    p[255] -= 1;
    g.p = nc_span(p, 256); /* even */
    assert_int_equal(nc_dh_kem_new(&kem, NULL, &g, 2048, 8192), NACRE_KEX_FAILED);
    g.p = nc_span(p, 0);
    assert_int_equal(nc_dh_kem_new(&kem, NULL, &g, 0, 8192), NACRE_KEX_FAILED);
    p[0] = 23;
    g.p = nc_span(p, 1); /* a toy */
    assert_int_equal(nc_dh_kem_new(&kem, NULL, &g, 0, 8192), NACRE_KEX_FAILED);
    g = *real;
    g.g = nc_span(gen, 1); /* 0 */
    assert_int_equal(nc_dh_kem_new(&kem, NULL, &g, 2048, 8192), NACRE_KEX_FAILED);
    g.g = nc_span(gen, 0);
    assert_int_equal(nc_dh_kem_new(&kem, NULL, &g, 2048, 8192), NACRE_KEX_FAILED);
    gen[0] = 1;
    g.g = nc_span(gen, 1);
    assert_int_equal(nc_dh_kem_new(&kem, NULL, &g, 2048, 8192), NACRE_KEX_FAILED);
    memcpy(gen, real->p.p, 256);
    g.g = nc_span(gen, 256); /* p */
    assert_int_equal(nc_dh_kem_new(&kem, NULL, &g, 2048, 8192), NACRE_KEX_FAILED);
    gen[255] -= 1; /* p - 1 */
    assert_int_equal(nc_dh_kem_new(&kem, NULL, &g, 2048, 8192), NACRE_KEX_FAILED);
    nc_buf_clear(&a);
    nc_buf_clear(&b);
    nc_buf_clear(&s1);
    nc_buf_clear(&s2);
}

/* ---- memory that runs out ----------------------------------------------------------------------- */

static void out_of_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kems) - 2; i++) {
        test_memory m;

        for (test_memory_init(&m); test_memory_round(&m);) {
            uint8_t seed = 1;
            nc_random rnd = {counting_random, &seed};
            nc_buf a;
            nc_buf b;
            nc_buf ka;
            nc_buf kb;
            nc_kem *k;

            nc_buf_init(&a, &m.hooks, 4096);
            nc_buf_init(&b, &m.hooks, 4096);
            nc_buf_init(&ka, &m.hooks, 4096);
            nc_buf_init(&kb, &m.hooks, 4096);
            int rc = kems[i]->start(kems[i], &m.hooks, &rnd, &k, &a);
            if (rc == NACRE_OK) {
                rc = kems[i]->respond(kems[i], &m.hooks, &rnd, nc_buf_span(&a), &b, &kb);
            }
            if (rc == NACRE_OK) {
                rc = kems[i]->finish(k, nc_buf_span(&b), &ka);
            }
            test_memory_judge(&m, rc);
            nc_kem_free(k);
            nc_buf_clear(&a);
            nc_buf_clear(&b);
            nc_buf_clear(&ka);
            nc_buf_clear(&kb);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_agree),        cmocka_unit_test(no_randomness),
        cmocka_unit_test(points_and_other_bytes), cmocka_unit_test(agreement_vectors),
        cmocka_unit_test(scalars_out_of_range),   cmocka_unit_test(groups_are_rfc_3526),
        cmocka_unit_test(builtin_choice),         cmocka_unit_test(dh_public_values),
        cmocka_unit_test(dh_last_good_values),    cmocka_unit_test(groups_at_run_time),
        cmocka_unit_test(out_of_memory),          cmocka_unit_test(dh_exponents_are_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
