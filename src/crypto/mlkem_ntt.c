/*
 * mlkem_ntt.c - arithmetic in Z_q[X]/(X^256 + 1), q = 3329: the number-theoretic transform and products
 * (FIPS 203 4.3). Every loop is over 16 or more neighbours without a branch, for vector instructions.
 */
#include "crypto/mlkem_poly.h"

#include <string.h>

enum {
    Q = NC_MLKEM_Q,
    Q_INVERSE = -3327, /* of q, modulo 2^16 */
    LANES = 16
};

/* 17^BitRev7(k) R mod q, centred, for k = 1 .. 15: one factor for a whole row of 16 or more. */
static const int16_t zeta_rows[16] = {
    -1044, -758, -359, -1517, 1493, 1422, 287, 202, -171, 622, 1577, 182, 962, -1202, -1474, 1468,
};

/*
 * The same for k = 16 .. 127, as the last three layers want them: lane r of row m in the layer that has
 * n rows (1, 2, 4) belongs to block b = n r + m, k = 16 n + b.
 */
static const int16_t zeta_lanes[7][LANES] = {
    {573, -1325, 264, 383, -829, 1458, -1602, -130, -681, 1017, 732, 608, -1542, 411, -205, -1571},
    {1223, -552, -1293, -282, 516, -320, -1618, 126, -853, -271, 107, -247, -398, -1508, 448, 677},
    {652, 1015, 1491, -1544, -8, -666, -1162, 1469, -90, 830, -1421, -951, 961, -725, -1065, -1275},
    {-1103, -1251, 422, -291, -246, -777, -1590, 418, 817, 1322, -1215, -874, -1185, -1510, -108,
     958},
    {430, 871, 587, -460, 778, 1483, 644, 329, 1097, -1285, -136, 220, -1530, -854, -308, -1460},
    {555, 1550, 177, 1574, 1159, -602, -872, -156, 603, -1465, 1218, -1187, -1278, -870, 996, 1522},
    {843, 105, -235, 1653, -147, 1119, 349, -75, 610, 384, -1335, -1659, 794, 478, 991, 1628},
};

/* And backwards, the layer with 4 rows first, k = 32 n - 1 - b: algorithm 10's order is the opposite one. */
static const int16_t zeta_lanes_back[7][LANES] = {
    {1628, 991, 478, 794, -1659, -1335, 384, 610, -75, 349, 1119, -147, 1653, -235, 105, 843},
    {1522, 996, -870, -1278, -1187, 1218, -1465, 603, -156, -872, -602, 1159, 1574, 177, 1550, 555},
    {-1460, -308, -854, -1530, 220, -136, -1285, 1097, 329, 644, 1483, 778, -460, 587, 871, 430},
    {958, -108, -1510, -1185, -874, -1215, 1322, 817, 418, -1590, -777, -246, -291, 422, -1251,
     -1103},
    {-1275, -1065, -725, 961, -951, -1421, 830, -90, 1469, -1162, -666, -8, -1544, 1491, 1015, 652},
    {677, 448, -1508, -398, -247, 107, -271, -853, 126, -1618, -320, 516, -282, -1293, -552, 1223},
    {-1571, -205, 411, -1542, 608, 732, 1017, -681, -130, -1602, 1458, -829, 383, 264, -1325, 573},
};

static inline int16_t high(int16_t a, int16_t b)
{
    return (int16_t)((int32_t)a * b >> 16);
}

static inline int16_t low(int16_t a, int16_t b)
{
    return (int16_t)((uint32_t)a * (uint32_t)b);
}

/* a b / R mod q; |result| <= |a b| / 2^16 + q / 2, so below q whenever |a b| < 2^15 q. */
static inline int16_t product(int16_t a, int16_t b)
{
    int16_t t = low(low(a, b), Q_INVERSE);

    return (int16_t)(high(a, b) - high(t, Q));
}

/* Barrett: the nearest multiple of q is found with 20159 = round(2^26 / q); |result| <= (q + 1) / 2. */
static inline int16_t reduce(int16_t a)
{
    int16_t t = (int16_t)((high(a, 20159) + 512) >> 10);

    return (int16_t)(a - low(t, Q));
}

static void reduce_all(nc_poly *p)
{
    for (size_t i = 0; i < NC_MLKEM_N; i++) {
        p->c[i] = reduce(p->c[i]);
    }
}

static void transpose(nc_poly *p)
{
    nc_poly t = *p;

    for (size_t i = 0; i < LANES; i++) {
        for (size_t j = 0; j < LANES; j++) {
            p->c[i * LANES + j] = t.c[j * LANES + i];
        }
    }
}

/* ---- algorithm 9 ------------------------------------------------------------------------------------ */

static inline void butterfly(int16_t *a, int16_t *b, const int16_t *zeta)
{
    for (size_t i = 0; i < LANES; i++) {
        int16_t t = product(b[i], zeta[i]);

        b[i] = (int16_t)(a[i] - t);
        a[i] = (int16_t)(a[i] + t);
    }
}

static inline void butterfly_row(int16_t *a, int16_t *b, size_t n, int16_t zeta)
{
    for (size_t i = 0; i < n; i++) {
        int16_t t = product(b[i], zeta);

        b[i] = (int16_t)(a[i] - t);
        a[i] = (int16_t)(a[i] + t);
    }
}

void nc_poly_ntt(nc_poly *p)
{
    const int16_t *zeta = zeta_rows + 1;
    const int16_t *lanes;

    /* Seven layers add at most q each to the q at the start: 8 q < 2^15. */
    for (size_t len = 128; len >= LANES; len /= 2) {
        for (size_t at = 0; at < NC_MLKEM_N; at += 2 * len) {
            butterfly_row(p->c + at, p->c + at + len, len, *zeta++);
        }
    }
    transpose(p);
    lanes = zeta_lanes[0];
    for (size_t len = 8; len >= 2; len /= 2) {
        for (size_t row = 0; row < LANES; row += 2 * len, lanes += LANES) {
            for (size_t j = row; j < row + len; j++) {
                butterfly(p->c + j * LANES, p->c + (j + len) * LANES, lanes);
            }
        }
    }
    reduce_all(p);
}

/* ---- algorithm 10 ----------------------------------------------------------------------------------- */

static inline void unbutterfly(int16_t *a, int16_t *b, const int16_t *zeta)
{
    for (size_t i = 0; i < LANES; i++) {
        int16_t t = a[i];

        a[i] = (int16_t)(t + b[i]);
        b[i] = product((int16_t)(b[i] - t), zeta[i]);
    }
}

static inline void unbutterfly_row(int16_t *a, int16_t *b, size_t n, int16_t zeta)
{
    for (size_t i = 0; i < n; i++) {
        int16_t t = a[i];

        a[i] = (int16_t)(t + b[i]);
        b[i] = product((int16_t)(b[i] - t), zeta);
    }
}

void nc_poly_inverse_ntt(nc_poly *p)
{
    const int16_t *zeta = zeta_rows + 15;
    const int16_t *lanes = zeta_lanes_back[0];

    /* Each layer doubles the bound at most: from q / 2, three layers and then four stay below 2^15. */
    for (size_t len = 2; len <= 8; len *= 2) {
        for (size_t row = 0; row < LANES; row += 2 * len, lanes += LANES) {
            for (size_t j = row; j < row + len; j++) {
                unbutterfly(p->c + j * LANES, p->c + (j + len) * LANES, lanes);
            }
        }
    }
    reduce_all(p);
    transpose(p);
    for (size_t len = LANES; len <= 128; len *= 2) {
        for (size_t at = 0; at < NC_MLKEM_N; at += 2 * len) {
            unbutterfly_row(p->c + at, p->c + at + len, len, *zeta--);
        }
    }
    /* 1 / 128, and R twice: once against this product's 1 / R, once as the result's factor. */
    for (size_t i = 0; i < NC_MLKEM_N; i++) {
        p->c[i] = product(p->c[i], 1441);
    }
}

/* ---- products --------------------------------------------------------------------------------------- */

/* Algorithm 12 on 16 pairs: (c0, c1) += (a0, a1) (b0, b1) modulo X^2 - sign zeta. */
static inline void add_products(int16_t *c, const int16_t *a, const int16_t *b, const int16_t *zeta,
                                int16_t sign)
{
    for (size_t i = 0; i < LANES; i++) {
        int16_t a0 = a[i];
        int16_t a1 = a[i + LANES];
        int16_t b0 = b[i];
        int16_t b1 = b[i + LANES];
        int16_t wrapped = product(product(a1, b1), (int16_t)(sign * zeta[i]));

        c[i] = (int16_t)(c[i] + product(a0, b0) + wrapped);
        c[i + LANES] = (int16_t)(c[i + LANES] + product(a0, b1) + product(a1, b0));
    }
}

void nc_poly_dot(nc_poly *out, const nc_poly *a, const nc_poly *b, size_t k)
{
    memset(out, 0, sizeof *out);
    /* Two products below q a term and four terms: below 8 q. */
    for (size_t i = 0; i < k; i++) {
        for (size_t m = 0; m < 4; m++) {
            const int16_t *zeta = zeta_lanes[3 + m];
            size_t at = m * 4 * LANES;

            add_products(out->c + at, a[i].c + at, b[i].c + at, zeta, 1);
            at += 2 * LANES;
            add_products(out->c + at, a[i].c + at, b[i].c + at, zeta, -1);
        }
    }
    reduce_all(out);
}

void nc_poly_times_r(nc_poly *p)
{
    for (size_t i = 0; i < NC_MLKEM_N; i++) {
        p->c[i] = product(p->c[i], 1353); /* R^2 mod q */
    }
}

void nc_poly_add(nc_poly *out, const nc_poly *a, const nc_poly *b)
{
    for (size_t i = 0; i < NC_MLKEM_N; i++) {
        out->c[i] = reduce((int16_t)(a->c[i] + b->c[i]));
    }
}

void nc_poly_sub(nc_poly *out, const nc_poly *a, const nc_poly *b)
{
    for (size_t i = 0; i < NC_MLKEM_N; i++) {
        out->c[i] = reduce((int16_t)(a->c[i] - b->c[i]));
    }
}
