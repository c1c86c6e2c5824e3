/*
 * sntrup761_small.c - arithmetic modulo x^761 - x - 1 and 3, and random small and short polynomials.
 */
#include <string.h>

#include "crypto/ct.h"
#include "crypto/sntrup761_poly.h"

enum {
    P = NC_NTRU_P,
    WORDS = 12, /* of 64 bits: P + 1 coefficients */
    STEPS = 2 * P - 1,
    ROWS = 8,
    ROUNDED_P = 768,
    COLUMNS = ROUNDED_P + ROWS
};

/* ---- products ------------------------------------------------------------------------------------------ */

/* Sums of 761 products of -1, 0 and 1 need no reduction on the way. */
static inline void add_rows(int16_t *sum, const int16_t *a, const int16_t *b)
{
    for (size_t k = 0; k < COLUMNS; k++) {
        int16_t x =
            (int16_t)(a[k + 7] * b[0] + a[k + 6] * b[1] + a[k + 5] * b[2] + a[k + 4] * b[3]);
        int16_t y = (int16_t)(a[k + 3] * b[4] + a[k + 2] * b[5] + a[k + 1] * b[6] + a[k] * b[7]);

        sum[k] = (int16_t)(sum[k] + x + y);
    }
}

void nc_ntru_multiply_small(nc_ntru_small *out, const nc_ntru_small *a, const nc_ntru_small *b)
{
    int16_t padded[COLUMNS + ROWS] = {0};
    int16_t factors[ROUNDED_P] = {0};
    int16_t sum[ROUNDED_P + COLUMNS] = {0};
    nc_ntru_poly whole;

    for (size_t i = 0; i < P; i++) {
        padded[i + ROWS - 1] = a->c[i];
        factors[i] = b->c[i];
    }
    for (size_t i = 0; i < ROUNDED_P; i += ROWS) {
        add_rows(sum + i, padded, factors + i);
    }
    whole.c[0] = (int16_t)(sum[0] + sum[P]);
    for (size_t i = 1; i < P; i++) {
        whole.c[i] = (int16_t)(sum[i] + sum[i + P] + sum[i + P - 1]);
    }
    nc_ntru_mod_3(out, &whole);
    nc_wipe(padded, sizeof padded);
    nc_wipe(factors, sizeof factors);
    nc_wipe(sum, sizeof sum);
    nc_wipe(&whole, sizeof whole);
}

/* ---- inverse -------------------------------------------------------------------------------------------- */

/* A polynomial modulo 3 in bits: which coefficients are 1, which are -1. */
typedef struct planes {
    uint64_t plus[WORDS];
    uint64_t minus[WORDS];
} planes;

typedef struct division {
    planes f;
    planes g;
    planes v;
    planes r;
    uint32_t delta;
} division;

static void set(planes *p, size_t at, int8_t c)
{
    uint64_t bits = (uint64_t)c;

    p->plus[at / 64] |= (bits & ~bits >> 1 & 1) << at % 64;
    p->minus[at / 64] |= (bits >> 1 & 1) << at % 64;
}

static void swap_if(planes *a, planes *b, uint64_t mask)
{
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t plus = mask & (a->plus[i] ^ b->plus[i]);
        uint64_t minus = mask & (a->minus[i] ^ b->minus[i]);

        a->plus[i] ^= plus;
        b->plus[i] ^= plus;
        a->minus[i] ^= minus;
        b->minus[i] ^= minus;
    }
}

/* a += b where same says so, a -= b where opposite says so. */
static void add_multiple(planes *a, const planes *b, uint64_t same, uint64_t opposite)
{
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t plus = (same & b->plus[i]) | (opposite & b->minus[i]);
        uint64_t minus = (same & b->minus[i]) | (opposite & b->plus[i]);
        uint64_t t = (a->plus[i] | minus) ^ (a->minus[i] | plus);
        uint64_t sum_plus = (a->minus[i] | minus) ^ t;

        a->minus[i] = (a->plus[i] | plus) ^ t;
        a->plus[i] = sum_plus;
    }
}

static void times_x(uint64_t *w)
{
    for (size_t i = WORDS; i-- > 1;) {
        w[i] = w[i] << 1 | w[i - 1] >> 63;
    }
    w[0] <<= 1;
}

static void over_x(uint64_t *w)
{
    for (size_t i = 0; i + 1 < WORDS; i++) {
        w[i] = w[i] >> 1 | w[i + 1] << 63;
    }
    w[WORDS - 1] >>= 1;
}

/* A bit, 0 or 1, as a mask. */
static uint64_t spread(uint64_t bit)
{
    return 0 - (bit & 1);
}

/* A division step as in sntrup761_ring.c, with v times x in place of r over x. */
static void step(division *d)
{
    uint64_t g_set = spread(d->g.plus[0] | d->g.minus[0]);
    uint32_t swap = nc_ct_negative(0u - d->delta) & (uint32_t)g_set;
    uint64_t wide = spread(swap);
    uint64_t opposite;

    times_x(d->v.plus);
    times_x(d->v.minus);
    d->delta = (d->delta ^ swap) - swap + 1;
    swap_if(&d->f, &d->g, wide);
    swap_if(&d->v, &d->r, wide);
    /* f0 is 1 or -1: g - (g0 / f0) f has no constant coefficient. */
    g_set = spread(d->g.plus[0] | d->g.minus[0]);
    opposite = g_set & spread(d->f.minus[0] ^ d->g.minus[0]);
    add_multiple(&d->g, &d->f, opposite, g_set & ~opposite);
    add_multiple(&d->r, &d->v, opposite, g_set & ~opposite);
    over_x(d->g.plus);
    over_x(d->g.minus);
}

uint32_t nc_ntru_inverse_small(nc_ntru_small *out, const nc_ntru_small *a)
{
    division d;
    uint64_t negate;
    uint32_t failed;

    memset(&d, 0, sizeof d);
    set(&d.f, 0, 1);
    set(&d.f, P - 1, -1);
    set(&d.f, P, -1);
    for (size_t i = 0; i < P; i++) {
        set(&d.g, i, a->c[P - 1 - i]);
    }
    set(&d.r, 0, 1);
    d.delta = 1;
    for (size_t n = 0; n < STEPS; n++) {
        step(&d);
    }
    negate = d.f.minus[0] & 1;
    for (size_t i = 0; i < P; i++) {
        size_t at = P - 1 - i;
        int plus = (int)(d.v.plus[at / 64] >> at % 64 & 1);
        int minus = (int)(d.v.minus[at / 64] >> at % 64 & 1);

        out->c[i] = (int8_t)((plus - minus) * (1 - 2 * (int)negate));
    }
    failed = nc_ct_nonzero(d.delta);
    nc_wipe(&d, sizeof d);
    return failed;
}

/* ---- random polynomials --------------------------------------------------------------------------------- */

uint32_t nc_ntru_not_short(const nc_ntru_small *p)
{
    uint32_t weight = 0;

    for (size_t i = 0; i < P; i++) {
        weight += (uint32_t)p->c[i] & 1;
    }
    return nc_ct_nonzero(weight - NC_NTRU_W);
}

static int random_words(const nc_random *rnd, uint32_t *out)
{
    uint8_t bytes[4 * P];
    int rc = nc_random_bytes(rnd, bytes, sizeof bytes);

    for (size_t i = 0; i < P; i++) {
        out[i] = (uint32_t)bytes[4 * i] | (uint32_t)bytes[4 * i + 1] << 8 |
                 (uint32_t)bytes[4 * i + 2] << 16 | (uint32_t)bytes[4 * i + 3] << 24;
    }
    nc_wipe(bytes, sizeof bytes);
    return rc;
}

int nc_ntru_random_small(const nc_random *rnd, nc_ntru_small *out)
{
    uint32_t words[P];
    int rc = random_words(rnd, words);

    for (size_t i = 0; i < P; i++) {
        /* 30 random bits times 3 over 2^30. */
        out->c[i] = (int8_t)((int)((words[i] & 0x3fffffff) * 3 >> 30) - 1);
    }
    nc_wipe(words, sizeof words);
    return rc;
}

/* n neighbouring comparisons: the smaller number of each pair goes to a. */
static inline void order(uint32_t *a, uint32_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t x = a[i];
        uint32_t y = b[i];
        /* The borrow of y - x: all ones when y < x. */
        uint32_t less = 0 - (((~y & x) | (~(x ^ y) & (y - x))) >> 31);

        a[i] = x ^ (less & (x ^ y));
        b[i] = y ^ (less & (x ^ y));
    }
}

/*
 * Batcher's merge exchange (Knuth, The Art of Computer Programming 5.2.2, algorithm M): which places are
 * compared depends on their number alone.
 */
static void sort(uint32_t *x)
{
    for (size_t p = 512; p > 0; p /= 2) {
        size_t r = 0;
        size_t d = p;

        for (size_t q = 512; q >= p; q /= 2) {
            for (size_t i = r; i + d < P; i += 2 * p) {
                size_t n = P - d - i;

                order(x + i, x + i + d, n < p ? n : p);
            }
            d = q - p;
            r = p;
        }
    }
}

/* The first w of P places are to hold 1 or -1, the others 0, in random order: sort under random keys. */
int nc_ntru_random_short(const nc_random *rnd, nc_ntru_small *out)
{
    uint32_t words[P];
    int rc = random_words(rnd, words);

    for (size_t i = 0; i < P; i++) {
        words[i] = i < NC_NTRU_W ? words[i] & ~1u : (words[i] & ~3u) | 1;
    }
    sort(words);
    for (size_t i = 0; i < P; i++) {
        out->c[i] = (int8_t)((int)(words[i] & 3) - 1);
    }
    nc_wipe(words, sizeof words);
    return rc;
}
