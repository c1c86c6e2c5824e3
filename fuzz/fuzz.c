/*
 * fuzz.c - a seeded random source, and taking the input apart.
 */
#include "fuzz.h"

int fuzz_random(void *user, uint8_t *out, size_t n)
{
    uint64_t *state = user;
    for (size_t i = 0; i < n; i++) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        out[i] = (uint8_t)(*state >> 24);
    }
    return 0;
}

nacre_span fuzz_take(nacre_span *in, size_t n)
{
    nacre_span front = {in->p, n < in->n ? n : in->n};
    in->p += front.n;
    in->n -= front.n;
    return front;
}

uint8_t fuzz_byte(nacre_span *in)
{
    nacre_span one = fuzz_take(in, 1);
    return one.n ? one.p[0] : 0;
}
