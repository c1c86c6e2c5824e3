/*
 * ct.h - masks for code that must not branch on what it computes with: all ones or all zeros of a word,
 * made by arithmetic. The barrier keeps a compiler from finding out that a mask has two values only and
 * making a branch of it.
 */
#ifndef NC_CRYPTO_CT_H
#define NC_CRYPTO_CT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Where a value that was computed from secrets becomes public (a public key, a ciphertext). It does nothing,
 * but for the test that marks secrets as undefined and looks for branches on them.
 */
#ifdef NC_TIMING_CHECK
void nc_declassify(const void *p, size_t n);
#define NC_DECLASSIFY(p, n) nc_declassify(p, n)
#else
#define NC_DECLASSIFY(p, n) ((void)0)
#endif

static inline uint32_t nc_ct_opaque(uint32_t x)
{
    __asm__("" : "+r"(x));
    return x;
}

/* All ones when x is not 0, else 0. */
static inline uint32_t nc_ct_nonzero(uint32_t x)
{
    return nc_ct_opaque(0u - ((x | (0u - x)) >> 31));
}

/* All ones when x, read as a signed number, is below 0. */
static inline uint32_t nc_ct_negative(uint32_t x)
{
    return nc_ct_opaque(0u - (x >> 31));
}

/* All ones when the n bytes differ anywhere, else 0. */
static inline uint32_t nc_ct_differ(const uint8_t *a, const uint8_t *b, size_t n)
{
    uint32_t diff = 0;

    for (size_t i = 0; i < n; i++) {
        diff |= (uint32_t)(a[i] ^ b[i]);
    }
    return nc_ct_nonzero(diff);
}

/* out = mask ? with : out */
static inline void nc_ct_replace(uint8_t *out, const uint8_t *with, size_t n, uint32_t mask)
{
    uint8_t m = (uint8_t)nc_ct_opaque(mask);

    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(out[i] ^ (m & (out[i] ^ with[i])));
    }
}

#endif
