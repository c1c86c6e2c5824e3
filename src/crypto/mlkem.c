/*
 * mlkem.c - our own ML-KEM: the encryption scheme K-PKE (FIPS 203 5) and the KEM over it (6, 7).
 */
#include "crypto/mlkem.h"

#include <string.h>

#include "crypto/ct.h"
#include "crypto/keccak.h"
#include "crypto/mlkem_poly.h"

const nc_mlkem_params nc_mlkem_768 = {"ML-KEM-768", 3, 10, 4, 1184, 2400, 1088};
const nc_mlkem_params nc_mlkem_1024 = {"ML-KEM-1024", 4, 11, 5, 1568, 3168, 1568};

/* Everything secret that an operation makes on its way; wiped as a whole. */
typedef struct workspace {
    nc_poly s[NC_MLKEM_K_MAX]; /* the secret vector, transformed: s of the key or y of encryption */
    nc_poly row[NC_MLKEM_K_MAX];
    nc_poly sum;
    nc_poly noise;
    uint8_t seeds[64]; /* G's output */
    uint8_t m[NC_MLKEM_M + 32];
    uint8_t ct[NC_MLKEM_CT_MAX];
} workspace;

/* Row i of the matrix A (transposed: of A's transpose), algorithm 13 lines 3-7. */
static void sample_row(const nc_mlkem_params *p, nc_poly *row, const uint8_t rho[32], unsigned i,
                       bool transposed)
{
    for (unsigned j = 0; j < p->k; j++) {
        uint8_t x = (uint8_t)(transposed ? i : j);
        uint8_t y = (uint8_t)(transposed ? j : i);

        nc_poly_sample_uniform(&row[j], rho, x, y);
    }
}

static void sample_secret_vector(const nc_mlkem_params *p, nc_poly *s, const uint8_t seed[32])
{
    for (unsigned i = 0; i < p->k; i++) {
        nc_poly_sample_noise(&s[i], seed, (uint8_t)i);
        nc_poly_ntt(&s[i]);
    }
}

/* Algorithm 13, K-PKE.KeyGen. */
static void pke_keygen(const nc_mlkem_params *p, workspace *w, const uint8_t d[32], uint8_t *ek,
                       uint8_t *dk)
{
    const uint8_t k = (uint8_t)p->k;
    uint8_t *rho = ek + p->k * NC_MLKEM_POLY_BYTES;

    nc_sha3_512(w->seeds, d, 32, &k, 1);
    memcpy(rho, w->seeds, 32);
    NC_DECLASSIFY(rho, 32);
    sample_secret_vector(p, w->s, w->seeds + 32);
    for (unsigned i = 0; i < p->k; i++) {
        sample_row(p, w->row, rho, i, false);
        nc_poly_dot(&w->sum, w->row, w->s, p->k);
        nc_poly_times_r(&w->sum);
        nc_poly_sample_noise(&w->noise, w->seeds + 32, (uint8_t)(p->k + i));
        nc_poly_ntt(&w->noise);
        nc_poly_add(&w->sum, &w->sum, &w->noise);
        nc_poly_encode(&w->sum, ek + i * NC_MLKEM_POLY_BYTES);
        nc_poly_encode(&w->s[i], dk + i * NC_MLKEM_POLY_BYTES);
    }
}

/* Algorithm 14, K-PKE.Encrypt; w->m is the message. */
static void pke_encrypt(const nc_mlkem_params *p, workspace *w, const uint8_t *ek,
                        const uint8_t seed[32], uint8_t *ct)
{
    const uint8_t *rho = ek + p->k * NC_MLKEM_POLY_BYTES;

    sample_secret_vector(p, w->s, seed);
    for (unsigned i = 0; i < p->k; i++) {
        sample_row(p, w->row, rho, i, true);
        nc_poly_dot(&w->sum, w->row, w->s, p->k);
        nc_poly_inverse_ntt(&w->sum);
        nc_poly_sample_noise(&w->noise, seed, (uint8_t)(p->k + i));
        nc_poly_add(&w->sum, &w->sum, &w->noise);
        nc_poly_compress(&w->sum, p->du, ct);
        ct += 32 * p->du;
    }
    for (unsigned i = 0; i < p->k; i++) {
        nc_poly_decode(&w->row[i], ek + i * NC_MLKEM_POLY_BYTES);
    }
    nc_poly_dot(&w->sum, w->row, w->s, p->k);
    nc_poly_inverse_ntt(&w->sum);
    nc_poly_sample_noise(&w->noise, seed, (uint8_t)(2 * p->k));
    nc_poly_add(&w->sum, &w->sum, &w->noise);
    nc_poly_from_message(&w->noise, w->m);
    nc_poly_add(&w->sum, &w->sum, &w->noise);
    nc_poly_compress(&w->sum, p->dv, ct);
}

/* Algorithm 15, K-PKE.Decrypt, into w->m. */
static void pke_decrypt(const nc_mlkem_params *p, workspace *w, const uint8_t *dk,
                        const uint8_t *ct)
{
    for (unsigned i = 0; i < p->k; i++) {
        nc_poly_decompress(&w->row[i], p->du, ct);
        nc_poly_ntt(&w->row[i]);
        nc_poly_decode(&w->s[i], dk + i * NC_MLKEM_POLY_BYTES);
        ct += 32 * p->du;
    }
    nc_poly_dot(&w->sum, w->s, w->row, p->k);
    nc_poly_inverse_ntt(&w->sum);
    nc_poly_decompress(&w->noise, p->dv, ct);
    nc_poly_sub(&w->sum, &w->noise, &w->sum);
    nc_poly_to_message(&w->sum, w->m);
}

/* ---- the KEM ------------------------------------------------------------------------------------------ */

/* Algorithm 16. dk is: K-PKE's key, ek, H(ek), z. */
static int keygen(const nc_mlkem_params *p, const uint8_t seed[NC_MLKEM_SEED], uint8_t *ek,
                  uint8_t *dk)
{
    size_t pke_len = p->k * NC_MLKEM_POLY_BYTES;
    workspace w;

    pke_keygen(p, &w, seed, ek, dk);
    NC_DECLASSIFY(ek, p->ek_len);
    memcpy(dk + pke_len, ek, p->ek_len);
    nc_sha3_256(dk + pke_len + p->ek_len, ek, p->ek_len, NULL, 0);
    memcpy(dk + pke_len + p->ek_len + 32, seed + 32, 32);
    nc_wipe(&w, sizeof w);
    return NACRE_OK;
}

/* 7.2, the modulus check: no number in the key is q or above. The key is public. */
static bool key_is_reduced(const nc_mlkem_params *p, const uint8_t *ek)
{
    nc_poly t;

    for (unsigned i = 0; i < p->k; i++) {
        nc_poly_decode(&t, ek + i * NC_MLKEM_POLY_BYTES);
        for (size_t j = 0; j < NC_MLKEM_N; j++) {
            if (t.c[j] >= NC_MLKEM_Q) {
                return false;
            }
        }
    }
    return true;
}

/* Algorithm 17. */
static int encaps(const nc_mlkem_params *p, nacre_span ek, const uint8_t m[NC_MLKEM_M], uint8_t *ct,
                  uint8_t secret[NC_MLKEM_K])
{
    workspace w;

    if (ek.n != p->ek_len || !key_is_reduced(p, ek.p)) {
        return NACRE_KEX_FAILED;
    }
    memcpy(w.m, m, NC_MLKEM_M);
    nc_sha3_256(w.m + NC_MLKEM_M, ek.p, ek.n, NULL, 0);
    nc_sha3_512(w.seeds, w.m, sizeof w.m, NULL, 0);
    pke_encrypt(p, &w, ek.p, w.seeds + 32, ct);
    memcpy(secret, w.seeds, NC_MLKEM_K);
    nc_wipe(&w, sizeof w);
    return NACRE_OK;
}

/* Algorithm 18. */
static int decaps(const nc_mlkem_params *p, nacre_span dk, nacre_span ct,
                  uint8_t secret[NC_MLKEM_K])
{
    const uint8_t *ek = dk.p + p->k * NC_MLKEM_POLY_BYTES;
    const uint8_t *hash = ek + p->ek_len;
    const uint8_t *z = hash + 32;
    uint32_t differ;
    workspace w;

    if (dk.n != p->dk_len) {
        return NACRE_BAD_KEY;
    }
    if (ct.n != p->ct_len) {
        return NACRE_KEX_FAILED;
    }
    /* 7.3, the hash check. Both sides of it are public. */
    nc_sha3_256(w.m, ek, p->ek_len, NULL, 0);
    if (memcmp(w.m, hash, 32) != 0) {
        return NACRE_BAD_KEY;
    }
    pke_decrypt(p, &w, dk.p, ct.p);
    memcpy(w.m + NC_MLKEM_M, hash, 32);
    nc_sha3_512(w.seeds, w.m, sizeof w.m, NULL, 0);
    pke_encrypt(p, &w, ek, w.seeds + 32, w.ct);
    /* The secret of an unfit ciphertext: J(z || c), told from the good one by nobody without z. */
    nc_shake256(secret, NC_MLKEM_K, z, 32, ct.p, ct.n);
    differ = nc_ct_differ(w.ct, ct.p, ct.n);
    nc_ct_replace(secret, w.seeds, NC_MLKEM_K, ~differ);
    nc_wipe(&w, sizeof w);
    return NACRE_OK;
}

const nc_mlkem nc_mlkem_own = {"nacre", keygen, encaps, decaps};
