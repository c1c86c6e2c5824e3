/*
 * sntrup761_ring.c - arithmetic modulo x^761 - x - 1 and q = 4591. The loops over coefficients have no
 * branch and run over neighbours, for vector instructions.
 */
#include <string.h>

#include "crypto/ct.h"
#include "crypto/sntrup761_poly.h"

enum {
    P = NC_NTRU_P,
    Q = NC_NTRU_Q,
    Q_INVERSE = 15631, /* of q, modulo 2^16 */
    R_SQUARED = -433,  /* 2^32 mod q */
    ONE_THIRD = -1530, /* of 1, modulo q */
    ROWS = 12,         /* so many products and one more coefficient stay below 2^15 */
    ROUNDED_P = 768,   /* P, up to a multiple of ROWS and of a vector's length */
    STEPS = 2 * P - 1, /* division steps until the gcd is certain */
    COLUMNS = ROUNDED_P + ROWS
};

static inline int16_t high(int16_t a, int16_t b)
{
    return (int16_t)((int32_t)a * b >> 16);
}

static inline int16_t low(int16_t a, int16_t b)
{
    return (int16_t)((uint32_t)a * (uint32_t)b);
}

/* Barrett, 14618 = round(2^26 / q): centred for |a| < 16000, and |result| <= 2296 for every a. */
static inline int16_t reduce(int16_t a)
{
    int16_t t = (int16_t)((high(a, 14618) + 512) >> 10);

    return (int16_t)(a - low(t, Q));
}

/* Montgomery: a b / 2^16 mod q; |result| <= |a b| / 2^16 + q / 2. */
static inline int16_t product(int16_t a, int16_t b)
{
    int16_t t = low(low(a, b), Q_INVERSE);

    return (int16_t)(high(a, b) - high(t, Q));
}

/* ---- products ------------------------------------------------------------------------------------------ */

/* sum[k] += a[k - t] b[t] over twelve t; a has ROWS - 1 coefficients of 0 before and behind. */
static inline void add_rows(int16_t *sum, const int16_t *a, const int16_t *b)
{
    for (size_t k = 0; k < COLUMNS; k++) {
        int16_t x = sum[k];

        x = (int16_t)(x + low(a[k + 11], b[0]) + low(a[k + 10], b[1]) + low(a[k + 9], b[2]));
        x = (int16_t)(x + low(a[k + 8], b[3]) + low(a[k + 7], b[4]) + low(a[k + 6], b[5]));
        x = (int16_t)(x + low(a[k + 5], b[6]) + low(a[k + 4], b[7]) + low(a[k + 3], b[8]));
        x = (int16_t)(x + low(a[k + 2], b[9]) + low(a[k + 1], b[10]) + low(a[k], b[11]));
        sum[k] = reduce(x);
    }
}

void nc_ntru_multiply(nc_ntru_poly *out, const nc_ntru_poly *a, const nc_ntru_small *b)
{
    int16_t sum[ROUNDED_P + COLUMNS] = {0};
    int16_t padded[COLUMNS + ROWS] = {0};
    int16_t factors[ROUNDED_P] = {0};

    memcpy(padded + ROWS - 1, a->c, sizeof a->c);
    for (size_t i = 0; i < P; i++) {
        factors[i] = b->c[i];
    }
    for (size_t i = 0; i < ROUNDED_P; i += ROWS) {
        add_rows(sum + i, padded, factors + i);
    }
    /* x^p = x + 1. */
    out->c[0] = reduce((int16_t)(sum[0] + sum[P]));
    for (size_t i = 1; i < P; i++) {
        out->c[i] = reduce((int16_t)(sum[i] + sum[i + P] + sum[i + P - 1]));
    }
    nc_wipe(sum, sizeof sum);
    nc_wipe(padded, sizeof padded);
    nc_wipe(factors, sizeof factors);
}

void nc_ntru_times_3(nc_ntru_poly *p)
{
    for (size_t i = 0; i < P; i++) {
        p->c[i] = reduce((int16_t)(3 * p->c[i]));
    }
}

/* The nearest multiple of 3 is 3 times this; 10923 = round(2^15 / 3). */
static inline int16_t thirds(int16_t c)
{
    return (int16_t)((10923 * (int32_t)c + 16384) >> 15);
}

void nc_ntru_round(nc_ntru_poly *p)
{
    for (size_t i = 0; i < P; i++) {
        p->c[i] = (int16_t)(3 * thirds(p->c[i]));
    }
}

void nc_ntru_mod_3(nc_ntru_small *out, const nc_ntru_poly *p)
{
    for (size_t i = 0; i < P; i++) {
        out->c[i] = (int8_t)(p->c[i] - 3 * thirds(p->c[i]));
    }
}

/* ---- inverse -------------------------------------------------------------------------------------------- */

static int16_t power(int16_t a, unsigned exponent)
{
    int16_t base = product(a, R_SQUARED);
    int16_t result = product(1, R_SQUARED);

    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1) {
            result = product(result, base);
        }
        base = product(base, base);
    }
    return product(result, 1);
}

/*
 * One division step on n places of a pair of power series, g standing one place higher than f: f becomes
 * g where swap says so, and g becomes (f0 g - g0 f) / x, but for a factor that is common to all.
 * Montgomery's factor is one more of these; |f0|, |g0| <= 2295 and coefficients below 2^13 give
 * |result| < 5300.
 */
static inline void divide(int16_t *restrict f, int16_t *restrict g, size_t n, int16_t f0,
                          int16_t g0, int16_t swap)
{
    int16_t f0_low = low(f0, Q_INVERSE);
    int16_t g0_low = low(g0, Q_INVERSE);

    for (size_t i = 0; i < n; i++) {
        int16_t x = f[i];
        int16_t y = g[i + 1];
        int16_t a = (int16_t)(high(y, f0) - high(low(y, f0_low), Q));
        int16_t b = (int16_t)(high(x, g0) - high(low(x, g0_low), Q));

        f[i] = (int16_t)(x ^ (swap & (x ^ y)));
        g[i] = (int16_t)(a - b);
    }
    g[n] = 0;
}

/*
 * Both polynomials are turned around, so that x^0 is where the steps work: the modulus is then
 * f = 1 - x^(p-1) - x^p, the polynomial to invert g. v and r, 0 and 1 at first, go through the same steps:
 * always f = v g and g = r g modulo the modulus, with the first g on the right. They are series in 1 / x,
 * with x^0 at place STEPS, and grow downwards by a place a step. Places that no later step can bring into
 * the result are left out; the number of the step, which is public, tells which.
 */
typedef struct division {
    int16_t f[P + 1];
    int16_t g[P + 2]; /* one place higher, and so is r */
    int16_t v[STEPS + 1];
    int16_t r[STEPS + 2];
    uint32_t delta;
} division;

static void step(division *d, size_t n)
{
    size_t rest = STEPS + 1 - n;
    size_t from = STEPS - n;
    size_t to = 3 * P - 1 - n < STEPS ? 3 * P - 1 - n : STEPS;
    int16_t f0 = reduce(d->f[0]);
    int16_t g0 = reduce(d->g[1]);
    /* delta > 0 and g0 != 0 */
    uint32_t swap = nc_ct_negative(0u - d->delta) & nc_ct_nonzero((uint32_t)g0);

    d->delta = (d->delta ^ swap) - swap + 1;
    divide(d->f, d->g, rest < P + 1 ? rest : P + 1, f0, g0, (int16_t)swap);
    divide(d->v + from, d->r + from, to - from + 1, f0, g0, (int16_t)swap);
}

uint32_t nc_ntru_inverse_of_3(nc_ntru_poly *out, const nc_ntru_small *a)
{
    division d;
    int16_t scale;
    uint32_t failed;

    memset(&d, 0, sizeof d);
    d.f[0] = 1;
    d.f[P - 1] = -1;
    d.f[P] = -1;
    for (size_t i = 0; i < P; i++) {
        d.g[i + 1] = a->c[P - 1 - i];
    }
    d.r[STEPS + 1] = 1;
    d.delta = 1;
    for (size_t n = 0; n < STEPS; n++) {
        step(&d, n);
    }
    /* Now f is a constant and v is that constant times the inverse, turned around. */
    scale = product(power(reduce(d.f[0]), Q - 2), ONE_THIRD);
    scale = product(product(scale, R_SQUARED), R_SQUARED);
    for (size_t i = 0; i < P; i++) {
        out->c[i] = reduce(product(d.v[P - i], scale));
    }
    failed = nc_ct_nonzero(d.delta);
    nc_wipe(&d, sizeof d);
    return failed;
}
