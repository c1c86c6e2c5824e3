/*
 * sntrup761.h - Streamlined NTRU Prime with p = 761, q = 4591, w = 286: the KEM inside
 * sntrup761x25519-sha512 (RFC 9941), as submitted to NIST's third round. Our own: no packaged library
 * on every supported system has it. Where the specification stands:
 *     Encode, Decode (lists of small integers as bytes)               sntrup761_code.c
 *     R/q: products, 1/(3f), rounding                                 sntrup761_ring.c
 *     R/3: 1/g; random small and short polynomials, the sorting       sntrup761_small.c
 *     Core and KEM: KeyGen, Hide, Encap, Decap and the hashes         sntrup761.c
 *
 * Constant time: the private key, the random polynomials and the secret never decide a branch, an address
 * or the operands of a division. Inverses come from a fixed number of division steps (Bernstein and Yang,
 * "Fast constant-time gcd computation"), short polynomials from a sorting network. Two things may take
 * their own time: how often key generation draws g until one is invertible (what is drawn again is
 * independent of what is kept), and Decode, which divides, but reads public keys and ciphertexts only.
 * tests/unit/crypto/timing.c checks it as it does for ML-KEM: see mlkem.h.
 */
#ifndef NC_CRYPTO_SNTRUP761_H
#define NC_CRYPTO_SNTRUP761_H

#include "crypto/crypto.h"

enum {
    NC_SNTRUP761_PK = 1158,
    NC_SNTRUP761_SK = 1763,
    NC_SNTRUP761_CT = 1039,
    NC_SNTRUP761_K = 32
};

int nc_sntrup761_keygen(const nc_random *rnd, uint8_t pk[NC_SNTRUP761_PK],
                        uint8_t sk[NC_SNTRUP761_SK]) NACRE_MUST_CHECK;
/* NACRE_KEX_FAILED for a public key of the wrong length. */
int nc_sntrup761_encaps(const nc_random *rnd, nacre_span pk, uint8_t ct[NC_SNTRUP761_CT],
                        uint8_t secret[NC_SNTRUP761_K]) NACRE_MUST_CHECK;
/*
 * NACRE_KEX_FAILED for a ciphertext of the wrong length. One that nobody made with the key gives a
 * secret that nobody knows, and NACRE_OK.
 */
int nc_sntrup761_decaps(const uint8_t sk[NC_SNTRUP761_SK], nacre_span ct,
                        uint8_t secret[NC_SNTRUP761_K]) NACRE_MUST_CHECK;

#endif
