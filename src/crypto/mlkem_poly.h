/*
 * mlkem_poly.h - within our ML-KEM: polynomials of 256 coefficients modulo q = 3329.
 *
 * A coefficient is a signed 16-bit number, reduced lazily: each function says what it takes and gives.
 * Products carry Montgomery's factor 1/R, R = 2^16.
 *
 * Two orders of the coefficients occur. An ordinary polynomial has coefficient i at place i. A
 * transformed one (its 128 residues modulo X^2 - gamma, FIPS 203 4.3) has number i of the standard's
 * order at place 16 (i mod 16) + i / 16, so that the short layers of the transform and the products run
 * over sixteen neighbours at once, as a compiler's vectors want it.
 */
#ifndef NC_CRYPTO_MLKEM_POLY_H
#define NC_CRYPTO_MLKEM_POLY_H

#include <stddef.h>
#include <stdint.h>

enum { NC_MLKEM_N = 256, NC_MLKEM_Q = 3329, NC_MLKEM_K_MAX = 4, NC_MLKEM_POLY_BYTES = 384 };

typedef struct nc_poly {
    int16_t c[NC_MLKEM_N];
} nc_poly;

static inline size_t nc_poly_place(size_t i)
{
    return i % 16 * 16 + i / 16;
}

/* ---- arithmetic (mlkem_ntt.c) ---------------------------------------------------------------------- */

/* FIPS 203 algorithm 9: from |c| < q; gives |c| <= (q + 1) / 2 in transformed order. */
void nc_poly_ntt(nc_poly *p);
/* Algorithm 10, times R: from |c| <= (q + 1) / 2 in transformed order; gives |c| < q. */
void nc_poly_inverse_ntt(nc_poly *p);
/* Algorithm 11 over a vector: out = sum of a[i] b[i] / R, from |c| < q, |c| <= (q + 1) / 2; k <= 4. */
void nc_poly_dot(nc_poly *out, const nc_poly *a, const nc_poly *b, size_t k);
/* Times R: undoes the 1 / R of a product that is not transformed back. From any, gives |c| < q. */
void nc_poly_times_r(nc_poly *p);
/* The sum or difference, brought to |c| <= (q + 1) / 2; needs |a| + |b| < 2^15. */
void nc_poly_add(nc_poly *out, const nc_poly *a, const nc_poly *b);
void nc_poly_sub(nc_poly *out, const nc_poly *a, const nc_poly *b);

/* ---- bytes (mlkem_poly.c) -------------------------------------------------------------------------- */

/* ByteEncode12 and ByteDecode12 of a transformed polynomial; |c| < q. Decoding gives 0 <= c < 4096. */
void nc_poly_encode(const nc_poly *p, uint8_t out[NC_MLKEM_POLY_BYTES]);
void nc_poly_decode(nc_poly *p, const uint8_t in[NC_MLKEM_POLY_BYTES]);
/* Compress and ByteEncode with d bits (4, 5, 10, 11), 32 d bytes; and back. |c| < q. */
void nc_poly_compress(const nc_poly *p, unsigned d, uint8_t *out);
void nc_poly_decompress(nc_poly *p, unsigned d, const uint8_t *in);
void nc_poly_from_message(nc_poly *p, const uint8_t m[32]);
void nc_poly_to_message(const nc_poly *p, uint8_t m[32]);
/* Algorithm 7 on rho || x || y: a transformed polynomial, 0 <= c < q. Takes its time: rho is public. */
void nc_poly_sample_uniform(nc_poly *p, const uint8_t rho[32], uint8_t x, uint8_t y);
/* PRF and algorithm 8 with eta = 2: |c| <= 2. */
void nc_poly_sample_noise(nc_poly *p, const uint8_t seed[32], uint8_t nonce);

#endif
