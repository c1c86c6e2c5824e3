/*
 * keccak.c - Keccak-f[1600] and the sponge around it (FIPS 202 3, 4, 6).
 */
#include "crypto/keccak.h"

#include <string.h>

/* FIPS 202 3.2.5: the output of its shift register, a word a round. */
static const uint64_t round_constants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
    0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

static inline uint64_t rotate(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

/* Theta (3.2.1): what each column's neighbours add to it. */
static inline void theta(const uint64_t a[25], uint64_t d[5])
{
    uint64_t c0 = a[0] ^ a[5] ^ a[10] ^ a[15] ^ a[20];
    uint64_t c1 = a[1] ^ a[6] ^ a[11] ^ a[16] ^ a[21];
    uint64_t c2 = a[2] ^ a[7] ^ a[12] ^ a[17] ^ a[22];
    uint64_t c3 = a[3] ^ a[8] ^ a[13] ^ a[18] ^ a[23];
    uint64_t c4 = a[4] ^ a[9] ^ a[14] ^ a[19] ^ a[24];

    d[0] = c4 ^ rotate(c1, 1);
    d[1] = c0 ^ rotate(c2, 1);
    d[2] = c1 ^ rotate(c3, 1);
    d[3] = c2 ^ rotate(c4, 1);
    d[4] = c3 ^ rotate(c0, 1);
}

/* Rho and pi (3.2.2, 3.2.3): every lane turned and moved. Lane x + 5y is the standard's A[x, y]. */
static inline void rho_pi(const uint64_t a[25], const uint64_t d[5], uint64_t b[25])
{
    b[0] = a[0] ^ d[0];
    b[1] = rotate(a[6] ^ d[1], 44);
    b[2] = rotate(a[12] ^ d[2], 43);
    b[3] = rotate(a[18] ^ d[3], 21);
    b[4] = rotate(a[24] ^ d[4], 14);
    b[5] = rotate(a[3] ^ d[3], 28);
    b[6] = rotate(a[9] ^ d[4], 20);
    b[7] = rotate(a[10] ^ d[0], 3);
    b[8] = rotate(a[16] ^ d[1], 45);
    b[9] = rotate(a[22] ^ d[2], 61);
    b[10] = rotate(a[1] ^ d[1], 1);
    b[11] = rotate(a[7] ^ d[2], 6);
    b[12] = rotate(a[13] ^ d[3], 25);
    b[13] = rotate(a[19] ^ d[4], 8);
    b[14] = rotate(a[20] ^ d[0], 18);
    b[15] = rotate(a[4] ^ d[4], 27);
    b[16] = rotate(a[5] ^ d[0], 36);
    b[17] = rotate(a[11] ^ d[1], 10);
    b[18] = rotate(a[17] ^ d[2], 15);
    b[19] = rotate(a[23] ^ d[3], 56);
    b[20] = rotate(a[2] ^ d[2], 62);
    b[21] = rotate(a[8] ^ d[3], 55);
    b[22] = rotate(a[14] ^ d[4], 39);
    b[23] = rotate(a[15] ^ d[0], 41);
    b[24] = rotate(a[21] ^ d[1], 2);
}

/* Chi (3.2.4) on one plane. */
static inline void chi(const uint64_t b[5], uint64_t a[5])
{
    a[0] = b[0] ^ (~b[1] & b[2]);
    a[1] = b[1] ^ (~b[2] & b[3]);
    a[2] = b[2] ^ (~b[3] & b[4]);
    a[3] = b[3] ^ (~b[4] & b[0]);
    a[4] = b[4] ^ (~b[0] & b[1]);
}

static void permute(uint64_t lane[25])
{
    uint64_t a[25];
    uint64_t b[25];
    uint64_t d[5];

    memcpy(a, lane, sizeof a);
    for (size_t i = 0; i < 24; i++) {
        theta(a, d);
        rho_pi(a, d, b);
        chi(b, a);
        chi(b + 5, a + 5);
        chi(b + 10, a + 10);
        chi(b + 15, a + 15);
        chi(b + 20, a + 20);
        a[0] ^= round_constants[i];
    }
    memcpy(lane, a, sizeof a);
}

/* ---- sponge --------------------------------------------------------------------------------------- */

static uint64_t load64(const uint8_t *p)
{
    uint64_t x = 0;

    for (size_t i = 0; i < 8; i++) {
        x |= (uint64_t)p[i] << 8 * i;
    }
    return x;
}

static void add_byte(nc_sponge *s, size_t at, uint8_t value)
{
    s->lane[at / 8] ^= (uint64_t)value << at % 8 * 8;
}

void nc_shake_start(nc_sponge *s, size_t rate)
{
    memset(s, 0, sizeof *s);
    s->rate = rate;
}

void nc_shake_absorb(nc_sponge *s, const uint8_t *p, size_t n)
{
    while (n > 0) {
        if (s->at % 8 == 0 && n >= 8) {
            s->lane[s->at / 8] ^= load64(p);
            s->at += 8;
            p += 8;
            n -= 8;
        } else {
            add_byte(s, s->at++, *p++);
            n--;
        }
        if (s->at == s->rate) {
            permute(s->lane);
            s->at = 0;
        }
    }
}

/* domain: the bits that tell SHA3 from SHAKE, with the first bit of the padding (FIPS 202 B.2). */
static void pad(nc_sponge *s, uint8_t domain)
{
    add_byte(s, s->at, domain);
    add_byte(s, s->rate - 1, 0x80);
    permute(s->lane);
    s->at = 0;
}

void nc_shake_finish(nc_sponge *s)
{
    pad(s, 0x1f);
}

void nc_shake_squeeze(nc_sponge *s, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s->at == s->rate) {
            permute(s->lane);
            s->at = 0;
        }
        out[i] = (uint8_t)(s->lane[s->at / 8] >> s->at % 8 * 8);
        s->at++;
    }
}

static void one_shot(uint8_t *out, size_t n, size_t rate, uint8_t domain, nacre_span a,
                     nacre_span b)
{
    nc_sponge s;

    nc_shake_start(&s, rate);
    nc_shake_absorb(&s, a.p, a.n);
    nc_shake_absorb(&s, b.p, b.n);
    pad(&s, domain);
    nc_shake_squeeze(&s, out, n);
    nc_wipe(&s, sizeof s);
}

void nc_sha3_256(uint8_t out[32], const uint8_t *a, size_t an, const uint8_t *b, size_t bn)
{
    one_shot(out, 32, 136, 0x06, nc_span(a, an), nc_span(b, bn));
}

void nc_sha3_512(uint8_t out[64], const uint8_t *a, size_t an, const uint8_t *b, size_t bn)
{
    one_shot(out, 64, 72, 0x06, nc_span(a, an), nc_span(b, bn));
}

void nc_shake256(uint8_t *out, size_t n, const uint8_t *a, size_t an, const uint8_t *b, size_t bn)
{
    one_shot(out, n, NC_SHAKE256_RATE, 0x1f, nc_span(a, an), nc_span(b, bn));
}
