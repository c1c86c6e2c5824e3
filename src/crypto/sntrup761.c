/*
 * sntrup761.c - Streamlined NTRU Prime 761: key generation, encapsulation and decapsulation with the
 * hashes that bind them (specification: "Core" and "KEM"; hash functions by prefix byte).
 */
#include "crypto/sntrup761.h"

#include <string.h>

#include "crypto/ct.h"
#include "crypto/sntrup761_poly.h"

enum {
    SMALL = NC_NTRU_SMALL_BYTES,
    CONFIRM = 32,
    HASH = 32,
    /* The private key: f, 1/g, the public key, rho, the public key's hash. */
    SK_GINV = SMALL,
    SK_PK = 2 * SMALL,
    SK_RHO = SK_PK + NC_SNTRUP761_PK,
    SK_HASH = SK_RHO + SMALL,
    /* Few g have no inverse; so many in a row mean a broken random source. */
    MAX_TRIES = 32
};

/* The first half of SHA-512 over the prefix byte and two pieces. */
static int hash(uint8_t prefix, nacre_span a, nacre_span b, uint8_t out[HASH])
{
    const nacre_span pieces[3] = {nc_span(&prefix, 1), a, b};
    uint8_t whole[NC_MAX_HASH];
    int rc = nc_hash(nc_hash_get(NC_SHA512), pieces, 3, whole);

    memcpy(out, whole, HASH);
    nc_wipe(whole, sizeof whole);
    return rc;
}

/* HashConfirm: of the hashed input (prefix 3) and the public key's hash (prefix 4), prefix 2. */
static int hash_confirm(const uint8_t input_hash[HASH], const uint8_t pk_hash[HASH],
                        uint8_t out[CONFIRM])
{
    return hash(2, nc_span(input_hash, HASH), nc_span(pk_hash, HASH), out);
}

/* HashSession: prefix 1 for an input that was encrypted, 0 for the one that stands in. */
static int hash_session(uint8_t prefix, const uint8_t input_hash[HASH],
                        const uint8_t ct[NC_SNTRUP761_CT], uint8_t out[NC_SNTRUP761_K])
{
    return hash(prefix, nc_span(input_hash, HASH), nc_span(ct, NC_SNTRUP761_CT), out);
}

/* ---- key generation ---------------------------------------------------------------------------------- */

static int invertible_small(const nc_random *rnd, nc_ntru_small *g, nc_ntru_small *inverse)
{
    int rc = NACRE_RANDOM;

    for (int i = 0; i < MAX_TRIES; i++) {
        uint32_t failed;

        rc = nc_ntru_random_small(rnd, g);
        if (rc != NACRE_OK) {
            return rc;
        }
        failed = nc_ntru_inverse_small(inverse, g);
        NC_DECLASSIFY(&failed, sizeof failed); /* says nothing about the g that is kept */
        if (!failed) {
            return NACRE_OK;
        }
        rc = NACRE_RANDOM;
    }
    return rc;
}

typedef struct key_pair {
    nc_ntru_small f;
    nc_ntru_small g;
    nc_ntru_small g_inverse;
    nc_ntru_poly h;
    nc_ntru_poly f_inverse; /* of 3 f */
} key_pair;

static int core_keygen(const nc_random *rnd, key_pair *k)
{
    int rc = invertible_small(rnd, &k->g, &k->g_inverse);
    uint32_t failed;

    if (rc == NACRE_OK) {
        rc = nc_ntru_random_short(rnd, &k->f);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    failed = nc_ntru_inverse_of_3(&k->f_inverse, &k->f);
    NC_DECLASSIFY(&failed, sizeof failed); /* R/q is a field: it never does */
    if (failed) {
        return NACRE_CRYPTO;
    }
    nc_ntru_multiply(&k->h, &k->f_inverse, &k->g);
    return NACRE_OK;
}

int nc_sntrup761_keygen(const nc_random *rnd, uint8_t pk[NC_SNTRUP761_PK],
                        uint8_t sk[NC_SNTRUP761_SK])
{
    key_pair k;
    int rc = core_keygen(rnd, &k);

    if (rc == NACRE_OK) {
        rc = nc_random_bytes(rnd, sk + SK_RHO, SMALL);
    }
    if (rc == NACRE_OK) {
        nc_ntru_encode(&k.h, pk);
        NC_DECLASSIFY(pk, NC_SNTRUP761_PK);
        nc_ntru_small_encode(&k.f, sk);
        nc_ntru_small_encode(&k.g_inverse, sk + SK_GINV);
        memcpy(sk + SK_PK, pk, NC_SNTRUP761_PK);
        rc = hash(4, nc_span(pk, NC_SNTRUP761_PK), nc_span(NULL, 0), sk + SK_HASH);
    }
    nc_wipe(&k, sizeof k);
    return rc;
}

/* ---- encapsulation ----------------------------------------------------------------------------------- */

/*
 * Hide: the ciphertext of r, deterministically; input_hash is the hash of r's bytes, which HashConfirm and
 * HashSession both want.
 */
static int hide(const nc_ntru_small *r, const uint8_t *pk, const uint8_t pk_hash[HASH], uint8_t *ct,
                uint8_t input_hash[HASH])
{
    uint8_t bytes[SMALL];
    nc_ntru_poly h;
    nc_ntru_poly c;
    int rc;

    nc_ntru_decode(&h, pk);
    nc_ntru_multiply(&c, &h, r);
    nc_ntru_round(&c);
    nc_ntru_rounded_encode(&c, ct);
    nc_ntru_small_encode(r, bytes);
    rc = hash(3, nc_span(bytes, SMALL), nc_span(NULL, 0), input_hash);
    if (rc == NACRE_OK) {
        rc = hash_confirm(input_hash, pk_hash, ct + NC_NTRU_ROUNDED_BYTES);
    }
    nc_wipe(&c, sizeof c);
    nc_wipe(bytes, sizeof bytes);
    return rc;
}

int nc_sntrup761_encaps(const nc_random *rnd, nacre_span pk, uint8_t ct[NC_SNTRUP761_CT],
                        uint8_t secret[NC_SNTRUP761_K])
{
    uint8_t pk_hash[HASH];
    uint8_t input_hash[HASH];
    nc_ntru_small r;
    int rc;

    if (pk.n != NC_SNTRUP761_PK) {
        return NACRE_KEX_FAILED;
    }
    rc = nc_ntru_random_short(rnd, &r);
    if (rc == NACRE_OK) {
        rc = hash(4, pk, nc_span(NULL, 0), pk_hash);
    }
    if (rc == NACRE_OK) {
        rc = hide(&r, pk.p, pk_hash, ct, input_hash);
    }
    if (rc == NACRE_OK) {
        NC_DECLASSIFY(ct, NC_SNTRUP761_CT);
        rc = hash_session(1, input_hash, ct, secret);
    }
    nc_wipe(&r, sizeof r);
    nc_wipe(input_hash, sizeof input_hash);
    return rc;
}

/* ---- decapsulation ----------------------------------------------------------------------------------- */

/* Core Decrypt: r of a good ciphertext; one of fixed form, weight w, for any other. */
static void core_decrypt(nc_ntru_small *r, const uint8_t *sk, const uint8_t *ct)
{
    nc_ntru_small f;
    nc_ntru_small e;
    nc_ntru_small g_inverse;
    nc_ntru_poly c;
    uint32_t bad;

    nc_ntru_small_decode(&f, sk);
    nc_ntru_small_decode(&g_inverse, sk + SK_GINV);
    nc_ntru_rounded_decode(&c, ct);
    nc_ntru_multiply(&c, &c, &f);
    nc_ntru_times_3(&c);
    nc_ntru_mod_3(&e, &c);
    nc_ntru_multiply_small(r, &e, &g_inverse);
    bad = nc_ntru_not_short(r);
    for (size_t i = 0; i < NC_NTRU_P; i++) {
        int8_t stand_in = i < NC_NTRU_W;

        r->c[i] = (int8_t)(r->c[i] ^ ((int8_t)bad & (r->c[i] ^ stand_in)));
    }
    nc_wipe(&f, sizeof f);
    nc_wipe(&e, sizeof e);
    nc_wipe(&g_inverse, sizeof g_inverse);
    nc_wipe(&c, sizeof c);
}

int nc_sntrup761_decaps(const uint8_t sk[NC_SNTRUP761_SK], nacre_span ct,
                        uint8_t secret[NC_SNTRUP761_K])
{
    uint8_t again[NC_SNTRUP761_CT];
    uint8_t input_hash[HASH];
    uint8_t stand_in[HASH];
    nc_ntru_small r;
    uint32_t differ;
    int rc;

    if (ct.n != NC_SNTRUP761_CT) {
        return NACRE_KEX_FAILED;
    }
    core_decrypt(&r, sk, ct.p);
    rc = hide(&r, sk + SK_PK, sk + SK_HASH, again, input_hash);
    if (rc == NACRE_OK) {
        rc = hash(3, nc_span(sk + SK_RHO, SMALL), nc_span(NULL, 0), stand_in);
    }
    if (rc == NACRE_OK) {
        /* What does not encrypt to the same ciphertext is replaced by rho, which nobody else knows. */
        differ = nc_ct_differ(again, ct.p, sizeof again);
        nc_ct_replace(input_hash, stand_in, HASH, differ);
        rc = hash_session((uint8_t)(1 + differ), input_hash, ct.p, secret);
    }
    nc_wipe(&r, sizeof r);
    nc_wipe(again, sizeof again);
    nc_wipe(input_hash, sizeof input_hash);
    nc_wipe(stand_in, sizeof stand_in);
    return rc;
}
