/*
 * sntrup761_code.c - polynomials as bytes: Small_encode, and Encode and Decode for lists of integers, each
 * below a limit of its own. Encode runs over secrets and does not divide; Decode sees public bytes only.
 */
#include <string.h>

#include "crypto/sntrup761_poly.h"

enum {
    P = NC_NTRU_P,
    LIMIT = 16384, /* limits stay below it from one round to the next */
    ROUNDS = 10,   /* 761 halves to 1, rounding up, in so many */
    ALL_LEVELS = 2 * P + ROUNDS
};

/* Four coefficients to a byte, two bits each; the last has a byte of its own. */
void nc_ntru_small_encode(const nc_ntru_small *p, uint8_t out[NC_NTRU_SMALL_BYTES])
{
    for (size_t i = 0; i < P - 1; i += 4) {
        int x = (p->c[i] + 1) | (p->c[i + 1] + 1) << 2 | (p->c[i + 2] + 1) << 4 |
                (p->c[i + 3] + 1) << 6;

        out[i / 4] = (uint8_t)x;
    }
    out[P / 4] = (uint8_t)(p->c[P - 1] + 1);
}

void nc_ntru_small_decode(nc_ntru_small *p, const uint8_t in[NC_NTRU_SMALL_BYTES])
{
    for (size_t i = 0; i < P; i++) {
        p->c[i] = (int8_t)((in[i / 4] >> i % 4 * 2 & 3) - 1);
    }
}

/* ---- Encode ------------------------------------------------------------------------------------------ */

typedef struct pair {
    uint32_t value;
    uint32_t limit;
} pair;

/* Writes the low bytes of a number, until what is left is below end; the limit tells how many. */
static uint8_t *spill(pair *x, uint32_t end, uint8_t *out)
{
    while (x->limit >= end) {
        *out++ = (uint8_t)x->value;
        x->value >>= 8;
        x->limit = (x->limit + 255) >> 8;
    }
    return out;
}

/*
 * Neighbours merge to one number, low bytes of it are written, and so on with the list of half the
 * length. value: P numbers below limit.
 */
static void encode(const uint16_t *value, uint32_t limit, uint8_t *out)
{
    pair list[P];

    for (size_t i = 0; i < P; i++) {
        list[i].value = value[i];
        list[i].limit = limit;
    }
    for (size_t n = P; n > 1; n = (n + 1) / 2) {
        for (size_t i = 0; i + 1 < n; i += 2) {
            pair x = {list[i].value + list[i + 1].value * list[i].limit,
                      list[i].limit * list[i + 1].limit};

            out = spill(&x, LIMIT, out);
            list[i / 2] = x;
        }
        if (n % 2 == 1) {
            list[n / 2] = list[n - 1];
        }
    }
    spill(list, 2, out);
    nc_wipe(list, sizeof list);
}

/* ---- Decode ------------------------------------------------------------------------------------------ */

/* A number of some round: its limit, and the bytes that were written when it was merged. */
typedef struct merged {
    uint32_t limit;
    uint32_t low;   /* the bytes' value */
    uint32_t shift; /* and their bits */
} merged;

static const uint8_t *read_low(merged *x, uint32_t end, const uint8_t *in)
{
    x->low = 0;
    x->shift = 0;
    while (x->limit >= end) {
        x->low |= (uint32_t)*in++ << x->shift;
        x->shift += 8;
        x->limit = (x->limit + 255) >> 8;
    }
    return in;
}

/* The reverse of encode. Bytes that encode never writes give numbers below limit all the same. */
static void decode(uint16_t *value, uint32_t limit, const uint8_t *in)
{
    merged all[ALL_LEVELS];
    size_t level[ROUNDS + 1] = {0};
    size_t count[ROUNDS + 1] = {P};

    for (size_t i = 0; i < P; i++) {
        all[i].limit = limit;
    }
    for (size_t k = 0; k < ROUNDS; k++) {
        const merged *from = all + level[k];
        merged *to = all + level[k] + count[k];

        for (size_t i = 0; i + 1 < count[k]; i += 2) {
            to[i / 2].limit = from[i].limit * from[i + 1].limit;
            in = read_low(&to[i / 2], LIMIT, in);
        }
        if (count[k] % 2 == 1) {
            to[count[k] / 2].limit = from[count[k] - 1].limit;
        }
        level[k + 1] = level[k] + count[k];
        count[k + 1] = (count[k] + 1) / 2;
    }
    merged top = all[level[ROUNDS]];
    read_low(&top, 2, in);
    value[0] = (uint16_t)(top.low % all[level[ROUNDS]].limit);
    for (size_t k = ROUNDS; k-- > 0;) {
        const merged *to = all + level[k];
        const merged *from = all + level[k + 1];

        /* From the end, because the longer list takes the place of the shorter one. */
        if (count[k] % 2 == 1) {
            value[count[k] - 1] = value[count[k] / 2];
        }
        for (size_t i = count[k] / 2; i-- > 0;) {
            uint32_t x = from[i].low + ((uint32_t)value[i] << from[i].shift);

            value[2 * i + 1] = (uint16_t)(x / to[2 * i].limit % to[2 * i + 1].limit);
            value[2 * i] = (uint16_t)(x % to[2 * i].limit);
        }
    }
}

/* ---- polynomials ------------------------------------------------------------------------------------- */

void nc_ntru_encode(const nc_ntru_poly *p, uint8_t *out)
{
    uint16_t value[P];

    for (size_t i = 0; i < P; i++) {
        value[i] = (uint16_t)(p->c[i] + NC_NTRU_HALF);
    }
    encode(value, NC_NTRU_Q, out);
    nc_wipe(value, sizeof value);
}

void nc_ntru_decode(nc_ntru_poly *p, const uint8_t *in)
{
    uint16_t value[P];

    decode(value, NC_NTRU_Q, in);
    for (size_t i = 0; i < P; i++) {
        p->c[i] = (int16_t)(value[i] - NC_NTRU_HALF);
    }
}

void nc_ntru_rounded_encode(const nc_ntru_poly *p, uint8_t out[NC_NTRU_ROUNDED_BYTES])
{
    uint16_t value[P];

    for (size_t i = 0; i < P; i++) {
        /* A third: 10923 = ceil(2^15 / 3) is exact for multiples of 3 below 2^15. */
        value[i] = (uint16_t)((uint32_t)(p->c[i] + NC_NTRU_HALF) * 10923 >> 15);
    }
    encode(value, (NC_NTRU_Q + 2) / 3, out);
    nc_wipe(value, sizeof value);
}

void nc_ntru_rounded_decode(nc_ntru_poly *p, const uint8_t in[NC_NTRU_ROUNDED_BYTES])
{
    uint16_t value[P];

    decode(value, (NC_NTRU_Q + 2) / 3, in);
    for (size_t i = 0; i < P; i++) {
        p->c[i] = (int16_t)(value[i] * 3 - NC_NTRU_HALF);
    }
}
