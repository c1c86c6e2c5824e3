/*
 * keccak.h - the sponge functions of FIPS 202 that ML-KEM is made of, for our own ML-KEM only.
 *
 * libcrypto has them too. But ML-KEM calls them some thirty times an operation on a few bytes each, and
 * there every call fetches an algorithm and allocates a context: that would cost as much again as the
 * operation itself; and before 3.3 it cannot squeeze step by step, which the sampling of the matrix
 * needs. Ours cannot fail and allocates nothing.
 *
 * Constant time by construction: no branch, index or shift count depends on the data.
 */
#ifndef NC_CRYPTO_KECCAK_H
#define NC_CRYPTO_KECCAK_H

#include "base/mem.h"

enum { NC_SHAKE128_RATE = 168, NC_SHAKE256_RATE = 136 };

typedef struct nc_sponge {
    uint64_t lane[25];
    size_t rate;
    size_t at; /* bytes of the block that are absorbed or squeezed already */
} nc_sponge;

/* SHAKE: start, absorb any number of times, finish, squeeze any number of times. Wipe it yourself. */
void nc_shake_start(nc_sponge *s, size_t rate);
void nc_shake_absorb(nc_sponge *s, const uint8_t *p, size_t n);
void nc_shake_finish(nc_sponge *s);
void nc_shake_squeeze(nc_sponge *s, uint8_t *out, size_t n);

/* One shot over one or two pieces (b may be NULL with n 0); these wipe what they used. */
void nc_sha3_256(uint8_t out[32], const uint8_t *a, size_t an, const uint8_t *b, size_t bn);
void nc_sha3_512(uint8_t out[64], const uint8_t *a, size_t an, const uint8_t *b, size_t bn);
void nc_shake256(uint8_t *out, size_t n, const uint8_t *a, size_t an, const uint8_t *b, size_t bn);

#endif
