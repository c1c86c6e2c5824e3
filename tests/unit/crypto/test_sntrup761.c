/* sntrup761: vectors made with another implementation, both ends, and ciphertexts that nobody made. */
#include "vectors.h"

#include "crypto/sntrup761.h"
#include "crypto/sntrup761_poly.h"

#include <stdlib.h>
#include <string.h>

#ifdef HAVE_NTRUPRIME
#include <ntruprime.h>
#endif

typedef struct keys {
    uint8_t pk[NC_SNTRUP761_PK];
    uint8_t sk[NC_SNTRUP761_SK];
    uint8_t ct[NC_SNTRUP761_CT];
    uint8_t sent[NC_SNTRUP761_K];
    uint8_t got[NC_SNTRUP761_K];
} keys;

/* A generator with a longer period than vectors.h has: sntrup761 draws thousands of bytes at once. */
static int xorshift(void *user, uint8_t *out, size_t n)
{
    uint64_t *x = user;

    for (size_t i = 0; i < n; i++) {
        *x ^= *x << 13;
        *x ^= *x >> 7;
        *x ^= *x << 17;
        out[i] = (uint8_t)(*x >> 32);
    }
    return 0;
}

static void make(keys *k, uint64_t seed)
{
    uint64_t x = seed;
    nc_random rnd = {xorshift, &x};

    memset(k, 0, sizeof *k);
    assert_int_equal(nc_sntrup761_keygen(&rnd, k->pk, k->sk), NACRE_OK);
    assert_int_equal(nc_sntrup761_encaps(&rnd, nc_span(k->pk, sizeof k->pk), k->ct, k->sent),
                     NACRE_OK);
    assert_int_equal(nc_sntrup761_decaps(k->sk, nc_span(k->ct, sizeof k->ct), k->got), NACRE_OK);
}

static void decaps_vector(const cJSON *group, const cJSON *test, void *user)
{
    nc_buf sk = hex_field(test, "sk");
    nc_buf pk = hex_field(test, "pk");
    nc_buf c = hex_field(test, "c");
    nc_buf k = hex_field(test, "K");
    uint8_t secret[NC_SNTRUP761_K];

    (void)group;
    (void)user;
    assert_int_equal(sk.len, NC_SNTRUP761_SK);
    assert_memory_equal(sk.data + 2 * NC_NTRU_SMALL_BYTES, pk.data, NC_SNTRUP761_PK);
    assert_int_equal(nc_sntrup761_decaps(sk.data, nc_buf_span(&c), secret), NACRE_OK);
    assert_span_eq(nc_span(secret, sizeof secret), nc_buf_span(&k));
    nc_buf_clear(&sk);
    nc_buf_clear(&pk);
    nc_buf_clear(&c);
    nc_buf_clear(&k);
}

static void published_vectors(void **state)
{
    (void)state;
    assert_int_equal(each_vector("sntrup761_decaps.json", decaps_vector, NULL), 24);
}

/* The vectors' private keys are what our arithmetic gives for the polynomials in them. */
static void key_equation(const cJSON *group, const cJSON *test, void *user)
{
    nc_buf sk = hex_field(test, "sk");
    nc_buf pk = hex_field(test, "pk");
    uint8_t again[NC_SNTRUP761_PK];
    nc_ntru_small f;
    nc_ntru_small g_inverse;
    nc_ntru_small g;
    nc_ntru_poly h;

    (void)group;
    (void)user;
    nc_ntru_small_decode(&f, sk.data);
    nc_ntru_small_decode(&g_inverse, sk.data + NC_NTRU_SMALL_BYTES);
    assert_int_equal(nc_ntru_not_short(&f), 0);
    assert_int_equal(nc_ntru_inverse_small(&g, &g_inverse), 0);
    assert_int_equal(nc_ntru_inverse_of_3(&h, &f), 0);
    nc_ntru_multiply(&h, &h, &g);
    nc_ntru_encode(&h, again);
    assert_memory_equal(again, pk.data, sizeof again);
    nc_buf_clear(&sk);
    nc_buf_clear(&pk);
}

static void keys_of_the_vectors(void **state)
{
    (void)state;
    assert_int_equal(each_vector("sntrup761_decaps.json", key_equation, NULL), 24);
}

static void both_ends_agree(void **state)
{
    keys a;
    keys b;

    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        make(&a, seed * 0x9e3779b97f4a7c15);
        assert_memory_equal(a.sent, a.got, sizeof a.got);
        if (seed <= 5) {
            /* The same random bytes, the same exchange. */
            make(&b, seed * 0x9e3779b97f4a7c15);
            assert_memory_equal(&a, &b, sizeof a);
        }
    }
}

/* Any change of a ciphertext gives another secret, always the same for the same change. */
static void implicit_rejection(void **state)
{
    keys k;
    uint8_t first[NC_SNTRUP761_K];
    uint8_t again[NC_SNTRUP761_K];
    uint8_t before[NC_SNTRUP761_K] = {0};

    (void)state;
    make(&k, 77);
    for (size_t bit = 0; bit < 8 * sizeof k.ct; bit += 29) {
        k.ct[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(nc_sntrup761_decaps(k.sk, nc_span(k.ct, sizeof k.ct), first), NACRE_OK);
        assert_int_equal(nc_sntrup761_decaps(k.sk, nc_span(k.ct, sizeof k.ct), again), NACRE_OK);
        assert_memory_equal(first, again, sizeof first);
        assert_memory_not_equal(first, k.sent, sizeof first);
        assert_memory_not_equal(first, before, sizeof first);
        memcpy(before, first, sizeof first);
        k.ct[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    memset(k.ct, 0xff, sizeof k.ct);
    assert_int_equal(nc_sntrup761_decaps(k.sk, nc_span(k.ct, sizeof k.ct), first), NACRE_OK);
    memset(k.ct, 0, sizeof k.ct);
    assert_int_equal(nc_sntrup761_decaps(k.sk, nc_span(k.ct, sizeof k.ct), again), NACRE_OK);
    assert_memory_not_equal(first, again, sizeof first);
}

static void every_length(void **state)
{
    uint64_t x = 5;
    nc_random rnd = {xorshift, &x};
    uint8_t ct[NC_SNTRUP761_CT];
    uint8_t secret[NC_SNTRUP761_K];
    keys k;

    (void)state;
    make(&k, 78);
    for (size_t n = 0; n < sizeof k.pk + 2; n++) {
        uint8_t *p = calloc(1, n ? n : 1);

        assert_non_null(p);
        if (n != sizeof k.pk) {
            assert_int_equal(nc_sntrup761_encaps(&rnd, nc_span(p, n), ct, secret),
                             NACRE_KEX_FAILED);
        }
        if (n != sizeof k.ct) {
            assert_int_equal(nc_sntrup761_decaps(k.sk, nc_span(p, n), secret), NACRE_KEX_FAILED);
        }
        free(p);
    }
}

/* Public keys of rubbish are decoded to something in range. */
static void rubbish(void **state)
{
    uint64_t x = 9;
    nc_random rnd = {xorshift, &x};
    uint8_t ct[NC_SNTRUP761_CT];
    uint8_t secret[NC_SNTRUP761_K];
    uint8_t pk[NC_SNTRUP761_PK];
    nc_ntru_poly h;

    (void)state;
    for (int i = 0; i < 20; i++) {
        if (i < 2) {
            memset(pk, i ? 0xff : 0, sizeof pk);
        } else {
            xorshift(&x, pk, sizeof pk);
        }
        nc_ntru_decode(&h, pk);
        for (size_t j = 0; j < NC_NTRU_P; j++) {
            assert_in_range(h.c[j] + NC_NTRU_HALF, 0, NC_NTRU_Q - 1);
        }
        assert_int_equal(nc_sntrup761_encaps(&rnd, nc_span(pk, sizeof pk), ct, secret), NACRE_OK);
    }
}

static void no_randomness(void **state)
{
    nc_random rnd = {broken_random, NULL};
    nacre_span nothing = {0};
    nc_random ended = {given_random, &nothing};
    keys k;

    (void)state;
    assert_int_equal(nc_sntrup761_keygen(&rnd, k.pk, k.sk), NACRE_RANDOM);
    assert_int_equal(nc_sntrup761_keygen(&ended, k.pk, k.sk), NACRE_RANDOM);
    make(&k, 3);
    assert_int_equal(nc_sntrup761_encaps(&rnd, nc_span(k.pk, sizeof k.pk), k.ct, k.sent),
                     NACRE_RANDOM);
}

/* A source that yields one byte for ever ends in an error, not in a loop. */
static int one_byte(void *user, uint8_t *out, size_t n)
{
    memset(out, *(uint8_t *)user, n);
    return 0;
}

static void stuck_randomness(void **state)
{
    uint8_t byte = 0x20; /* every coefficient 0 */
    nc_random rnd = {one_byte, &byte};
    keys k;

    (void)state;
    assert_int_equal(nc_sntrup761_keygen(&rnd, k.pk, k.sk), NACRE_RANDOM);
}

/* ---- the parts ----------------------------------------------------------------------------------- */

static int modulo(long a, int m)
{
    return (int)((a % m + m) % m);
}

/* The definition: products in the ring, term by term. */
static void slow_product(const int *a, const int *b, int m, int *out)
{
    long sum[2 * NC_NTRU_P] = {0};

    for (size_t i = 0; i < NC_NTRU_P; i++) {
        for (size_t j = 0; j < NC_NTRU_P; j++) {
            sum[i + j] += (long)a[i] * b[j];
        }
    }
    for (size_t i = 2 * NC_NTRU_P - 1; i >= NC_NTRU_P; i--) {
        sum[i - NC_NTRU_P] += sum[i];
        sum[i - NC_NTRU_P + 1] += sum[i];
    }
    for (size_t i = 0; i < NC_NTRU_P; i++) {
        out[i] = modulo(sum[i], m);
    }
}

static void products(void **state)
{
    uint64_t x = 31;
    int a[NC_NTRU_P];
    int b[NC_NTRU_P];
    int want[NC_NTRU_P];
    nc_ntru_poly big;
    nc_ntru_poly product;
    nc_ntru_small s;
    nc_ntru_small t;
    nc_ntru_small u;

    (void)state;
    for (int round = 0; round < 12; round++) {
        for (size_t i = 0; i < NC_NTRU_P; i++) {
            uint8_t r[4];

            xorshift(&x, r, 4);
            /* The extremes first: they are where sums could run over. */
            a[i] = round == 0 ? 2295 : round == 1 ? -2295 : (r[0] | r[1] << 8) % 4591 - 2295;
            b[i] = round < 2 ? 1 : round == 2 ? -1 : r[2] % 3 - 1;
            big.c[i] = (int16_t)a[i];
            s.c[i] = (int8_t)b[i];
            t.c[i] = (int8_t)(round < 3 ? 1 : r[3] % 3 - 1);
        }
        slow_product(a, b, NC_NTRU_Q, want);
        nc_ntru_multiply(&product, &big, &s);
        for (size_t i = 0; i < NC_NTRU_P; i++) {
            assert_in_range(product.c[i] + NC_NTRU_HALF, 0, NC_NTRU_Q - 1);
            assert_int_equal(modulo(product.c[i], NC_NTRU_Q), want[i]);
            a[i] = t.c[i];
        }
        slow_product(a, b, 3, want);
        nc_ntru_multiply_small(&u, &t, &s);
        for (size_t i = 0; i < NC_NTRU_P; i++) {
            assert_in_range(u.c[i] + 1, 0, 2);
            assert_int_equal(modulo(u.c[i], 3), want[i]);
        }
    }
}

static void inverses(void **state)
{
    uint64_t x = 41;
    nc_random rnd = {xorshift, &x};
    nc_ntru_small a;
    nc_ntru_small b;
    nc_ntru_poly c;
    int good = 0;

    (void)state;
    for (int round = 0; round < 60; round++) {
        assert_int_equal(nc_ntru_random_small(&rnd, &a), NACRE_OK);
        if (nc_ntru_inverse_small(&b, &a) == 0) {
            nc_ntru_multiply_small(&b, &b, &a);
            for (size_t i = 0; i < NC_NTRU_P; i++) {
                assert_int_equal(b.c[i], i == 0);
            }
            good++;
        }
        assert_int_equal(nc_ntru_inverse_of_3(&c, &a), 0);
        nc_ntru_multiply(&c, &c, &a);
        nc_ntru_times_3(&c);
        for (size_t i = 0; i < NC_NTRU_P; i++) {
            assert_int_equal(c.c[i], i == 0);
        }
    }
    assert_in_range(good, 40, 60);
    memset(&a, 0, sizeof a);
    assert_int_not_equal(nc_ntru_inverse_small(&b, &a), 0);
    assert_int_not_equal(nc_ntru_inverse_of_3(&c, &a), 0);
}

static void short_polynomials(void **state)
{
    uint64_t x = 51;
    nc_random rnd = {xorshift, &x};
    unsigned hits[NC_NTRU_P] = {0};
    nc_ntru_small s;
    int balance = 0;

    (void)state;
    for (int round = 0; round < 400; round++) {
        assert_int_equal(nc_ntru_random_short(&rnd, &s), NACRE_OK);
        assert_int_equal(nc_ntru_not_short(&s), 0);
        for (size_t i = 0; i < NC_NTRU_P; i++) {
            hits[i] += s.c[i] != 0;
            balance += s.c[i];
        }
    }
    /* Every place is nonzero about 286 times in 761: 150 of 400, deviation 10. */
    for (size_t i = 0; i < NC_NTRU_P; i++) {
        assert_in_range(hits[i], 95, 205);
    }
    assert_in_range(balance + 3000, 0, 6000);
    s.c[0] = (int8_t)!s.c[0];
    assert_int_not_equal(nc_ntru_not_short(&s), 0);
}

static void codes(void **state)
{
    uint64_t x = 61;
    nc_ntru_poly a;
    nc_ntru_poly b;
    uint8_t bytes[NC_SNTRUP761_PK];

    (void)state;
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < NC_NTRU_P; i++) {
            uint8_t r[2];

            xorshift(&x, r, 2);
            a.c[i] = (int16_t)((r[0] | r[1] << 8) % 4591 - 2295);
            a.c[i] = round == 0 ? 2295 : round == 1 ? -2295 : a.c[i];
        }
        nc_ntru_encode(&a, bytes);
        nc_ntru_decode(&b, bytes);
        assert_memory_equal(&a, &b, sizeof a);
        nc_ntru_round(&a);
        nc_ntru_rounded_encode(&a, bytes);
        nc_ntru_rounded_decode(&b, bytes);
        assert_memory_equal(&a, &b, sizeof a);
    }
}

/* ---- a second opinion, where a package has one --------------------------------------------------- */

#ifdef HAVE_NTRUPRIME
static void second_opinion(void **state)
{
    keys k;
    uint8_t theirs[NC_SNTRUP761_K];
    nc_random rnd = {0};

    (void)state;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(nc_sntrup761_keygen(&rnd, k.pk, k.sk), NACRE_OK);
        sntrup761_enc(k.ct, theirs, k.pk);
        assert_int_equal(nc_sntrup761_decaps(k.sk, nc_span(k.ct, sizeof k.ct), k.got), NACRE_OK);
        assert_memory_equal(k.got, theirs, sizeof theirs);
        k.ct[i * 20] ^= 1;
        sntrup761_dec(theirs, k.ct, k.sk);
        assert_int_equal(nc_sntrup761_decaps(k.sk, nc_span(k.ct, sizeof k.ct), k.got), NACRE_OK);
        assert_memory_equal(k.got, theirs, sizeof theirs);

        sntrup761_keypair(k.pk, k.sk);
        assert_int_equal(nc_sntrup761_encaps(&rnd, nc_span(k.pk, sizeof k.pk), k.ct, k.sent),
                         NACRE_OK);
        sntrup761_dec(theirs, k.ct, k.sk);
        assert_memory_equal(k.sent, theirs, sizeof theirs);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors), cmocka_unit_test(keys_of_the_vectors),
        cmocka_unit_test(both_ends_agree),   cmocka_unit_test(implicit_rejection),
        cmocka_unit_test(every_length),      cmocka_unit_test(rubbish),
        cmocka_unit_test(no_randomness),     cmocka_unit_test(stuck_randomness),
        cmocka_unit_test(products),          cmocka_unit_test(inverses),
        cmocka_unit_test(short_polynomials), cmocka_unit_test(codes),
#ifdef HAVE_NTRUPRIME
        cmocka_unit_test(second_opinion),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
