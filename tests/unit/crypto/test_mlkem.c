/* ML-KEM: every provider on published vectors, against each other, and on input of any length. */
#include "vectors.h"

#include "crypto/keccak.h"
#include "crypto/mlkem.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Our own, and libcrypto's where there is one. */
static const nc_mlkem *providers[2] = {&nc_mlkem_own, NULL};
static size_t provider_count = 1;
static const nc_mlkem_params *const sets[] = {&nc_mlkem_768, &nc_mlkem_1024};

/* What one provider is asked with one parameter set, and what came of it. */
typedef struct asked {
    const nc_mlkem *kem;
    const nc_mlkem_params *set;
    size_t good;
    size_t refused;
} asked;

/* A libcrypto that has ML-KEM is among the providers, or what follows says nothing about it. */
static void libcrypto_takes_part(void **state)
{
    size_t want = 1;

    (void)state;
/* What the headers do not know is not built, whatever the library at run time has. */
#ifdef OSSL_PKEY_PARAM_ML_KEM_SEED
    EVP_KEM *kem = EVP_KEM_fetch(NULL, "ML-KEM-768", NULL);

    want += kem != NULL;
    EVP_KEM_free(kem);
#endif
    assert_int_equal(provider_count, want);
}

static void sponges(void **state)
{
    /* FIPS 202's examples, and an input as long as a block. */
    nc_buf sha3 = hex_buf("a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a");
    nc_buf shake = hex_buf("46b9dd2b0ba88d13233b3feb743eeb24"
                           "3fcd52ea62b81b82b50c27646ed5762f");
    uint8_t out[32];
    uint8_t parts[32];
    uint8_t long_input[500];

    (void)state;
    nc_sha3_256(out, NULL, 0, NULL, 0);
    assert_memory_equal(out, sha3.data, 32);
    nc_shake256(out, 32, NULL, 0, NULL, 0);
    assert_memory_equal(out, shake.data, 32);
    memset(long_input, 0xa3, sizeof long_input);
    for (size_t cut = 0; cut <= sizeof long_input; cut++) {
        nc_sha3_256(out, long_input, sizeof long_input, NULL, 0);
        nc_sha3_256(parts, long_input, cut, long_input + cut, sizeof long_input - cut);
        assert_memory_equal(out, parts, 32);
    }
    nc_buf_clear(&sha3);
    nc_buf_clear(&shake);
}

/* ---- Wycheproof --------------------------------------------------------------------------------- */

static void keygen_vector(const cJSON *group, const cJSON *test, void *user)
{
    asked *a = user;
    nc_buf seed = hex_field(test, "seed");
    nc_buf ek = hex_field(test, "ek");
    nc_buf dk = hex_field(test, "dk");
    uint8_t got_ek[NC_MLKEM_EK_MAX];
    uint8_t got_dk[NC_MLKEM_DK_MAX];

    (void)group;
    assert_int_equal(seed.len, NC_MLKEM_SEED);
    assert_int_equal(a->kem->keygen(a->set, seed.data, got_ek, got_dk), NACRE_OK);
    assert_span_eq(nc_span(got_ek, a->set->ek_len), nc_buf_span(&ek));
    assert_span_eq(nc_span(got_dk, a->set->dk_len), nc_buf_span(&dk));
    a->good++;
    nc_buf_clear(&seed);
    nc_buf_clear(&ek);
    nc_buf_clear(&dk);
}

static void encaps_vector(const cJSON *group, const cJSON *test, void *user)
{
    asked *a = user;
    nc_buf ek = hex_field(test, "ek");
    nc_buf m = hex_field(test, "m");
    nc_buf c = hex_field(test, "c");
    nc_buf k = hex_field(test, "K");
    bool good = strcmp(text_field(test, "result"), "valid") == 0;
    uint8_t ct[NC_MLKEM_CT_MAX];
    uint8_t secret[NC_MLKEM_K];

    (void)group;
    assert_int_equal(m.len, NC_MLKEM_M);
    assert_int_equal(a->kem->encaps(a->set, nc_buf_span(&ek), m.data, ct, secret),
                     good ? NACRE_OK : NACRE_KEX_FAILED);
    if (good) {
        assert_span_eq(nc_span(ct, a->set->ct_len), nc_buf_span(&c));
        assert_span_eq(nc_span(secret, sizeof secret), nc_buf_span(&k));
        a->good++;
    } else {
        a->refused++;
    }
    nc_buf_clear(&ek);
    nc_buf_clear(&m);
    nc_buf_clear(&c);
    nc_buf_clear(&k);
}

/* From a seed: our interface has no length for seeds, so those of another length are not asked. */
static void seed_vector(const cJSON *group, const cJSON *test, void *user)
{
    asked *a = user;
    nc_buf seed = hex_field(test, "seed");
    nc_buf c = hex_field(test, "c");
    bool good = strcmp(text_field(test, "result"), "valid") == 0;
    uint8_t ek[NC_MLKEM_EK_MAX];
    uint8_t dk[NC_MLKEM_DK_MAX];
    uint8_t secret[NC_MLKEM_K];
    nacre_span key = nc_span(dk, a->set->dk_len);

    (void)group;
    if (seed.len != NC_MLKEM_SEED) {
        assert_false(good);
        goto done;
    }
    assert_int_equal(a->kem->keygen(a->set, seed.data, ek, dk), NACRE_OK);
    assert_int_equal(a->kem->decaps(a->set, key, nc_buf_span(&c), secret),
                     good ? NACRE_OK : NACRE_KEX_FAILED);
    if (good) {
        nc_buf want_ek = hex_field(test, "ek");
        nc_buf k = hex_field(test, "K");

        assert_span_eq(nc_span(ek, a->set->ek_len), nc_buf_span(&want_ek));
        assert_span_eq(nc_span(secret, sizeof secret), nc_buf_span(&k));
        nc_buf_clear(&want_ek);
        nc_buf_clear(&k);
        a->good++;
    } else {
        a->refused++;
    }
done:
    nc_buf_clear(&seed);
    nc_buf_clear(&c);
}

static void expanded_vector(const cJSON *group, const cJSON *test, void *user)
{
    asked *a = user;
    nc_buf dk = hex_field(test, "dk");
    nc_buf c = hex_field(test, "c");
    bool good = strcmp(text_field(test, "result"), "valid") == 0;
    uint8_t secret[NC_MLKEM_K];
    int rc = a->kem->decaps(a->set, nc_buf_span(&dk), nc_buf_span(&c), secret);

    (void)group;
    if (good) {
        nc_buf k = hex_field(test, "K");

        assert_int_equal(rc, NACRE_OK);
        assert_span_eq(nc_span(secret, sizeof secret), nc_buf_span(&k));
        nc_buf_clear(&k);
        a->good++;
    } else {
        assert_int_equal(rc, has_flag(test, "IncorrectCiphertextLength") ? NACRE_KEX_FAILED
                                                                         : NACRE_BAD_KEY);
        a->refused++;
    }
    nc_buf_clear(&dk);
    nc_buf_clear(&c);
}

static void published_vectors(void **state)
{
    static const struct {
        const char *file;
        vector_fn fn;
        const nc_mlkem_params *set;
        size_t good;
        size_t refused;
    } rows[] = {
        {"mlkem_768_keygen_seed_test.json", keygen_vector, &nc_mlkem_768, 100, 0},
        {"mlkem_768_encaps_test.json", encaps_vector, &nc_mlkem_768, 133, 132},
        {"mlkem_1024_encaps_test.json", encaps_vector, &nc_mlkem_1024, 133, 136},
        {"mlkem_768_test.json", seed_vector, &nc_mlkem_768, 153, 20},
        {"mlkem_1024_test.json", seed_vector, &nc_mlkem_1024, 153, 20},
        {"mlkem_768_semi_expanded_decaps_test.json", expanded_vector, &nc_mlkem_768, 3, 6},
        {"mlkem_1024_semi_expanded_decaps_test.json", expanded_vector, &nc_mlkem_1024, 3, 6},
    };

    (void)state;
    for (size_t p = 0; p < provider_count; p++) {
        for (size_t i = 0; i < COUNT(rows); i++) {
            asked a = {providers[p], rows[i].set, 0, 0};

            each_vector(rows[i].file, rows[i].fn, &a);
            assert_int_equal(a.good, rows[i].good);
            assert_int_equal(a.refused, rows[i].refused);
        }
    }
}

/* ---- against each other -------------------------------------------------------------------------- */

typedef struct exchange {
    uint8_t ek[NC_MLKEM_EK_MAX];
    uint8_t dk[NC_MLKEM_DK_MAX];
    uint8_t ct[NC_MLKEM_CT_MAX];
    uint8_t sent[NC_MLKEM_K];
    uint8_t got[NC_MLKEM_K];
    uint8_t rejected[NC_MLKEM_K];
} exchange;

static void run(const nc_mlkem *kem, const nc_mlkem_params *set, uint8_t start, exchange *x)
{
    uint8_t state = start;
    uint8_t seed[NC_MLKEM_SEED];
    uint8_t m[NC_MLKEM_M];
    nacre_span dk = nc_span(x->dk, set->dk_len);
    nacre_span ct = nc_span(x->ct, set->ct_len);
    size_t flip = (size_t)start * 37 % (set->ct_len * 8);

    memset(x, 0, sizeof *x);
    assert_int_equal(counting_random(&state, seed, sizeof seed), 0);
    assert_int_equal(counting_random(&state, m, sizeof m), 0);
    assert_int_equal(kem->keygen(set, seed, x->ek, x->dk), NACRE_OK);
    assert_int_equal(kem->encaps(set, nc_span(x->ek, set->ek_len), m, x->ct, x->sent), NACRE_OK);
    assert_int_equal(kem->decaps(set, dk, ct, x->got), NACRE_OK);
    assert_memory_equal(x->sent, x->got, sizeof x->got);
    x->ct[flip / 8] ^= (uint8_t)(1u << flip % 8);
    assert_int_equal(kem->decaps(set, dk, ct, x->rejected), NACRE_OK);
    assert_memory_not_equal(x->rejected, x->got, sizeof x->got);
}

static void providers_agree(void **state)
{
    exchange first;
    exchange other;

    (void)state;
    for (size_t s = 0; s < COUNT(sets); s++) {
        for (int start = 0; start < 256; start++) {
            run(providers[0], sets[s], (uint8_t)start, &first);
            for (size_t p = 1; p < provider_count; p++) {
                run(providers[p], sets[s], (uint8_t)start, &other);
                assert_memory_equal(&first, &other, sizeof first);
            }
        }
    }
}

/* Exactly sized blocks on the heap, so that a sanitizer sees any look beyond them. */
static uint8_t *exactly(const uint8_t *from, size_t n)
{
    uint8_t *p = malloc(n ? n : 1);

    assert_non_null(p);
    memcpy(p, from, n);
    return p;
}

static void every_length(void **state)
{
    uint8_t secret[NC_MLKEM_K];
    uint8_t ct[NC_MLKEM_CT_MAX];
    uint8_t m[NC_MLKEM_M] = {1};
    uint8_t padded[NC_MLKEM_DK_MAX + 1] = {0};
    exchange x;

    (void)state;
    for (size_t p = 0; p < provider_count; p++) {
        const nc_mlkem *kem = providers[p];

        for (size_t s = 0; s < COUNT(sets); s++) {
            const nc_mlkem_params *set = sets[s];

            run(kem, set, 1, &x);
            for (size_t n = 0; n <= set->ek_len + 1; n++) {
                uint8_t *ek = n > set->ek_len ? exactly(padded, n) : exactly(x.ek, n);

                if (n != set->ek_len) {
                    assert_int_equal(kem->encaps(set, nc_span(ek, n), m, ct, secret),
                                     NACRE_KEX_FAILED);
                }
                free(ek);
            }
            for (size_t n = 0; n <= set->ct_len + 1; n++) {
                uint8_t *c = n > set->ct_len ? exactly(padded, n) : exactly(x.ct, n);

                assert_int_equal(
                    kem->decaps(set, nc_span(x.dk, set->dk_len), nc_span(c, n), secret),
                    n == set->ct_len ? NACRE_OK : NACRE_KEX_FAILED);
                free(c);
            }
        }
    }
}

/* Each coefficient of a key set to q, to its largest, and to the last good value. */
static void every_coefficient(void **state)
{
    uint8_t secret[NC_MLKEM_K];
    uint8_t ct[NC_MLKEM_CT_MAX];
    uint8_t m[NC_MLKEM_M] = {2};
    exchange x;

    (void)state;
    run(&nc_mlkem_own, &nc_mlkem_768, 9, &x);
    for (size_t p = 0; p < provider_count; p++) {
        for (size_t i = 0; i < 768; i += p ? 13 : 1) {
            static const struct {
                unsigned value;
                int rc;
            } rows[] = {{3328, NACRE_OK}, {3329, NACRE_KEX_FAILED}, {4095, NACRE_KEX_FAILED}};

            for (size_t r = 0; r < COUNT(rows); r++) {
                uint8_t ek[NC_MLKEM_EK_MAX];
                uint8_t *at = ek + i / 2 * 3 + i % 2;

                memcpy(ek, x.ek, 1184);
                if (i % 2 == 0) {
                    at[0] = (uint8_t)rows[r].value;
                    at[1] = (uint8_t)((at[1] & 0xf0) | rows[r].value >> 8);
                } else {
                    at[0] = (uint8_t)((at[0] & 0x0f) | (rows[r].value & 15) << 4);
                    at[1] = (uint8_t)(rows[r].value >> 4);
                }
                assert_int_equal(
                    providers[p]->encaps(&nc_mlkem_768, nc_span(ek, 1184), m, ct, secret),
                    rows[r].rc);
            }
        }
    }
}

/* The hash check: a change anywhere in the public part of a decapsulation key is seen. */
static void damaged_key(void **state)
{
    uint8_t secret[NC_MLKEM_K];
    exchange x;

    (void)state;
    run(&nc_mlkem_own, &nc_mlkem_768, 5, &x);
    for (size_t p = 0; p < provider_count; p++) {
        for (size_t at = 1152; at < 2400 - 32; at += 31) {
            x.dk[at] ^= 4;
            assert_int_equal(providers[p]->decaps(&nc_mlkem_768, nc_span(x.dk, 2400),
                                                  nc_span(x.ct, 1088), secret),
                             NACRE_BAD_KEY);
            x.dk[at] ^= 4;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libcrypto_takes_part), cmocka_unit_test(sponges),
        cmocka_unit_test(published_vectors),    cmocka_unit_test(providers_agree),
        cmocka_unit_test(every_length),         cmocka_unit_test(every_coefficient),
        cmocka_unit_test(damaged_key),
    };

    providers[1] = nc_mlkem_libcrypto();
    provider_count += providers[1] != NULL;
    print_message("providers: %zu\n", provider_count);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
