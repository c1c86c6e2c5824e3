/*
 * blowfish.c - Blowfish (Schneier 1993) with the salted key schedule of bcrypt (Provos and Mazieres,
 * "A Future-Adaptable Password Scheme", 1999).
 */
#include "crypto/blowfish.h"

enum { ROUNDS = 16 };

static inline uint32_t mix(const nc_blowfish *b, uint32_t x)
{
    return ((b->s[0][x >> 24] + b->s[1][x >> 16 & 255]) ^ b->s[2][x >> 8 & 255]) + b->s[3][x & 255];
}

static void encipher(const nc_blowfish *b, uint32_t *left, uint32_t *right)
{
    uint32_t l = *left;
    uint32_t r = *right;

    for (size_t i = 0; i < ROUNDS; i += 2) {
        l ^= b->p[i];
        r ^= mix(b, l);
        r ^= b->p[i + 1];
        l ^= mix(b, r);
    }
    *left = r ^ b->p[ROUNDS + 1];
    *right = l ^ b->p[ROUNDS];
}

/* The next four bytes of s, begun again at its end; 0 from an empty one. */
static uint32_t next_word(nacre_span s, size_t *at)
{
    uint32_t w = 0;

    for (int i = 0; i < 4 && s.n > 0; i++) {
        w = w << 8 | s.p[*at];
        *at = *at + 1 < s.n ? *at + 1 : 0;
    }
    return w;
}

void nc_blowfish_expand(nc_blowfish *b, nacre_span salt, nacre_span key)
{
    uint32_t l = 0;
    uint32_t r = 0;
    size_t at = 0;

    for (size_t i = 0; i < 18; i++) {
        b->p[i] ^= next_word(key, &at);
    }
    at = 0;
    for (size_t i = 0; i < 18; i += 2) {
        l ^= next_word(salt, &at);
        r ^= next_word(salt, &at);
        encipher(b, &l, &r);
        b->p[i] = l;
        b->p[i + 1] = r;
    }
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 256; j += 2) {
            l ^= next_word(salt, &at);
            r ^= next_word(salt, &at);
            encipher(b, &l, &r);
            b->s[i][j] = l;
            b->s[i][j + 1] = r;
        }
    }
}

void nc_blowfish_encrypt(const nc_blowfish *b, uint32_t *words, size_t count)
{
    for (size_t i = 0; i + 1 < count; i += 2) {
        encipher(b, &words[i], &words[i + 1]);
    }
}
