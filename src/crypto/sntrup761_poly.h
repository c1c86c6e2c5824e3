/*
 * sntrup761_poly.h - within sntrup761: polynomials modulo x^761 - x - 1, coefficients modulo q = 4591
 * (centred: |c| <= 2295) or modulo 3 ("small": -1, 0, 1).
 */
#ifndef NC_CRYPTO_SNTRUP761_POLY_H
#define NC_CRYPTO_SNTRUP761_POLY_H

#include "crypto/crypto.h"

enum {
    NC_NTRU_P = 761,
    NC_NTRU_Q = 4591,
    NC_NTRU_W = 286, /* the weight of a short polynomial */
    NC_NTRU_HALF = (NC_NTRU_Q - 1) / 2,
    NC_NTRU_SMALL_BYTES = 191,
    NC_NTRU_ROUNDED_BYTES = 1007
};

typedef struct nc_ntru_poly {
    int16_t c[NC_NTRU_P];
} nc_ntru_poly;

typedef struct nc_ntru_small {
    int8_t c[NC_NTRU_P];
} nc_ntru_small;

/* ---- R/q (sntrup761_ring.c) ------------------------------------------------------------------------ */

void nc_ntru_multiply(nc_ntru_poly *out, const nc_ntru_poly *a, const nc_ntru_small *b);
void nc_ntru_times_3(nc_ntru_poly *p);
/* out = 1 / (3 a); all ones when a has no inverse (only 0 has none), else 0. */
uint32_t nc_ntru_inverse_of_3(nc_ntru_poly *out, const nc_ntru_small *a);
/* Each coefficient to the nearest multiple of 3. */
void nc_ntru_round(nc_ntru_poly *p);
void nc_ntru_mod_3(nc_ntru_small *out, const nc_ntru_poly *p);

/* ---- R/3 (sntrup761_small.c) ----------------------------------------------------------------------- */

void nc_ntru_multiply_small(nc_ntru_small *out, const nc_ntru_small *a, const nc_ntru_small *b);
/* out = 1 / a; all ones when a has no inverse, else 0. */
uint32_t nc_ntru_inverse_small(nc_ntru_small *out, const nc_ntru_small *a);
/* All ones when the number of nonzero coefficients is not w, else 0. */
uint32_t nc_ntru_not_short(const nc_ntru_small *p);
int nc_ntru_random_small(const nc_random *rnd, nc_ntru_small *out) NACRE_MUST_CHECK;
int nc_ntru_random_short(const nc_random *rnd, nc_ntru_small *out) NACRE_MUST_CHECK;

/* ---- bytes (sntrup761_code.c) ---------------------------------------------------------------------- */

void nc_ntru_small_encode(const nc_ntru_small *p, uint8_t out[NC_NTRU_SMALL_BYTES]);
void nc_ntru_small_decode(nc_ntru_small *p, const uint8_t in[NC_NTRU_SMALL_BYTES]);
void nc_ntru_encode(const nc_ntru_poly *p, uint8_t *out); /* 1158 bytes */
void nc_ntru_decode(nc_ntru_poly *p,
                    const uint8_t *in); /* of public bytes: may take its own time */
/* Coefficients that are multiples of 3. */
void nc_ntru_rounded_encode(const nc_ntru_poly *p, uint8_t out[NC_NTRU_ROUNDED_BYTES]);
void nc_ntru_rounded_decode(nc_ntru_poly *p, const uint8_t in[NC_NTRU_ROUNDED_BYTES]); /* public */

#endif
