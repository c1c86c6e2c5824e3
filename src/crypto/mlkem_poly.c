/*
 * mlkem_poly.c - ML-KEM's polynomials as bytes (FIPS 203 4.2.1) and from random bytes (4.2.2).
 */
#include "crypto/mlkem_poly.h"

#include <string.h>

#include "crypto/ct.h"
#include "crypto/keccak.h"

enum { Q = NC_MLKEM_Q };

/* From -q < c < q to 0 <= c < q. */
static inline uint32_t canonical(int16_t c)
{
    return (uint32_t)(c + ((c >> 15) & Q));
}

/* ---- ByteEncode, ByteDecode ------------------------------------------------------------------------- */

void nc_poly_encode(const nc_poly *p, uint8_t out[NC_MLKEM_POLY_BYTES])
{
    for (size_t i = 0; i < NC_MLKEM_N; i += 2, out += 3) {
        uint32_t x = canonical(p->c[nc_poly_place(i)]) | canonical(p->c[nc_poly_place(i + 1)])
                                                             << 12;

        out[0] = (uint8_t)x;
        out[1] = (uint8_t)(x >> 8);
        out[2] = (uint8_t)(x >> 16);
    }
}

void nc_poly_decode(nc_poly *p, const uint8_t in[NC_MLKEM_POLY_BYTES])
{
    for (size_t i = 0; i < NC_MLKEM_N; i += 2, in += 3) {
        p->c[nc_poly_place(i)] = (int16_t)(in[0] | (in[1] & 15) << 8);
        p->c[nc_poly_place(i + 1)] = (int16_t)(in[1] >> 4 | in[2] << 4);
    }
}

/* ---- Compress, Decompress --------------------------------------------------------------------------- */

/*
 * round(2^d c / q) mod 2^d without a division: the quotient by q is a product with 2^s / q, rounded,
 * and a shift. The constants were tried with every c below q.
 */
static inline uint32_t compress(uint32_t c, unsigned d)
{
    uint64_t wide = (uint64_t)c * 2580335;

    if (d <= 5) {
        return (c * 315 + (1u << (19 - d))) >> (20 - d) & ((1u << d) - 1);
    }
    return (uint32_t)((wide + (1u << (32 - d))) >> (33 - d)) & ((1u << d) - 1);
}

static inline void put_bits(const nc_poly *p, unsigned d, uint8_t *out)
{
    uint64_t bits = 0;
    unsigned have = 0;

    for (size_t i = 0; i < NC_MLKEM_N; i++) {
        bits |= (uint64_t)compress(canonical(p->c[i]), d) << have;
        for (have += d; have >= 8; have -= 8) {
            *out++ = (uint8_t)bits;
            bits >>= 8;
        }
    }
}

static inline void get_bits(nc_poly *p, unsigned d, const uint8_t *in)
{
    uint32_t bits = 0;
    unsigned have = 0;

    for (size_t i = 0; i < NC_MLKEM_N; i++) {
        for (; have < d; have += 8) {
            bits |= (uint32_t)*in++ << have;
        }
        p->c[i] = (int16_t)(((bits & ((1u << d) - 1)) * Q + (1u << (d - 1))) >> d);
        bits >>= d;
        have -= d;
    }
}

/* The four widths apart, so that each is compiled with its constants. */
void nc_poly_compress(const nc_poly *p, unsigned d, uint8_t *out)
{
    switch (d) {
    case 4:
        put_bits(p, 4, out);
        break;
    case 5:
        put_bits(p, 5, out);
        break;
    case 10:
        put_bits(p, 10, out);
        break;
    default:
        put_bits(p, 11, out);
        break;
    }
}

void nc_poly_decompress(nc_poly *p, unsigned d, const uint8_t *in)
{
    switch (d) {
    case 4:
        get_bits(p, 4, in);
        break;
    case 5:
        get_bits(p, 5, in);
        break;
    case 10:
        get_bits(p, 10, in);
        break;
    default:
        get_bits(p, 11, in);
        break;
    }
}

void nc_poly_from_message(nc_poly *p, const uint8_t m[32])
{
    for (size_t i = 0; i < NC_MLKEM_N; i++) {
        uint32_t mask = nc_ct_nonzero(m[i / 8] >> i % 8 & 1u);

        p->c[i] = (int16_t)(mask & ((Q + 1) / 2));
    }
}

void nc_poly_to_message(const nc_poly *p, uint8_t m[32])
{
    memset(m, 0, 32);
    for (size_t i = 0; i < NC_MLKEM_N; i++) {
        m[i / 8] = (uint8_t)(m[i / 8] | compress(canonical(p->c[i]), 1) << i % 8);
    }
}

/* ---- sampling ---------------------------------------------------------------------------------------- */

void nc_poly_sample_uniform(nc_poly *p, const uint8_t rho[32], uint8_t x, uint8_t y)
{
    const uint8_t index[2] = {x, y};
    uint8_t block[NC_SHAKE128_RATE];
    nc_sponge s;
    size_t have = 0;

    nc_shake_start(&s, NC_SHAKE128_RATE);
    nc_shake_absorb(&s, rho, 32);
    nc_shake_absorb(&s, index, sizeof index);
    nc_shake_finish(&s);
    while (have < NC_MLKEM_N) {
        nc_shake_squeeze(&s, block, sizeof block);
        for (size_t i = 0; i < sizeof block && have < NC_MLKEM_N; i += 3) {
            int16_t first = (int16_t)(block[i] | (block[i + 1] & 15) << 8);
            int16_t second = (int16_t)(block[i + 1] >> 4 | block[i + 2] << 4);

            if (first < Q) {
                p->c[nc_poly_place(have++)] = first;
            }
            if (second < Q && have < NC_MLKEM_N) {
                p->c[nc_poly_place(have++)] = second;
            }
        }
    }
}

void nc_poly_sample_noise(nc_poly *p, const uint8_t seed[32], uint8_t nonce)
{
    uint8_t bytes[NC_MLKEM_N / 2];

    nc_shake256(bytes, sizeof bytes, seed, 32, &nonce, 1);
    for (size_t i = 0; i < sizeof bytes; i++) {
        /* Each pair of bits becomes its sum; a coefficient is the difference of two such sums. */
        int sums = (bytes[i] & 0x55) + (bytes[i] >> 1 & 0x55);

        p->c[2 * i] = (int16_t)((sums & 3) - (sums >> 2 & 3));
        p->c[2 * i + 1] = (int16_t)((sums >> 4 & 3) - (sums >> 6 & 3));
    }
    nc_wipe(bytes, sizeof bytes);
}
