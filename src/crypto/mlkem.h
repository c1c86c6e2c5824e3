/*
 * mlkem.h - ML-KEM-768 and ML-KEM-1024 (FIPS 203), from bytes to bytes.
 *
 * Two providers do the same: libcrypto's from 3.5 on (mlkem_evp.c), and our own for older ones. Ours
 * and sntrup761 are the only primitives written in this house, because no packaged library on the
 * supported systems has them; tests hold both providers against each other where both exist.
 *
 * Where FIPS 203 stands in our own:
 *     4.1, 4.2.1   functions from FIPS 202; ByteEncode, Compress      keccak.c, mlkem_poly.c
 *     4.2.2, 4.3   sampling; the number-theoretic transform           mlkem_poly.c, mlkem_ntt.c
 *     5            K-PKE: key generation, encryption, decryption      mlkem.c
 *     6, 7         ML-KEM with its input checks                       mlkem.c
 *
 * Constant time: the seed, m, the decapsulation key and what is computed from them never decide a
 * branch, an address or the operands of a division. Reductions and Compress are multiplications and
 * shifts; the two ciphertexts of decapsulation are compared as a whole and the key is chosen by a mask.
 * What may take its own time is public: rho and the matrix from it, the encapsulation key, the
 * ciphertext. tests/unit/crypto/timing.c checks it: under valgrind's memcheck, secrets are marked as
 * undefined, and every branch or address that depends on one is then an error. Divisions are looked for
 * in the object code (tests/structure/no_division.py).
 */
#ifndef NC_CRYPTO_MLKEM_H
#define NC_CRYPTO_MLKEM_H

#include "base/mem.h"

enum {
    NC_MLKEM_SEED = 64, /* d, then z */
    NC_MLKEM_M = 32,
    NC_MLKEM_K = 32, /* the shared secret */
    NC_MLKEM_EK_MAX = 1568,
    NC_MLKEM_DK_MAX = 3168,
    NC_MLKEM_CT_MAX = 1568
};

/* FIPS 203 8; eta1 and eta2 are 2 in both sets. */
typedef struct nc_mlkem_params {
    const char *name; /* "ML-KEM-768", as libcrypto spells it too */
    unsigned k;
    unsigned du;
    unsigned dv;
    size_t ek_len;
    size_t dk_len;
    size_t ct_len;
} nc_mlkem_params;

extern const nc_mlkem_params nc_mlkem_768, nc_mlkem_1024;

typedef struct nc_mlkem {
    const char *provider;
    /* FIPS 203 7.1 (6.1): both keys from a seed. ek has room for ek_len bytes, dk for dk_len. */
    int (*keygen)(const nc_mlkem_params *p, const uint8_t seed[NC_MLKEM_SEED], uint8_t *ek,
                  uint8_t *dk) NACRE_MUST_CHECK;
    /* 7.2: NACRE_KEX_FAILED for a key of the wrong length or with a number that is not below q. */
    int (*encaps)(const nc_mlkem_params *p, nacre_span ek, const uint8_t m[NC_MLKEM_M], uint8_t *ct,
                  uint8_t secret[NC_MLKEM_K]) NACRE_MUST_CHECK;
    /*
     * 7.3: NACRE_KEX_FAILED for a ciphertext of the wrong length, NACRE_BAD_KEY for a key of the wrong
     * length or whose hash does not fit. A ciphertext that nobody made with the key gives a secret
     * that nobody knows, and NACRE_OK: the key exchange's signature or MAC fails then.
     */
    int (*decaps)(const nc_mlkem_params *p, nacre_span dk, nacre_span ct,
                  uint8_t secret[NC_MLKEM_K]) NACRE_MUST_CHECK;
} nc_mlkem;

extern const nc_mlkem nc_mlkem_own;
/* libcrypto's; NULL when the one that this was built with is older than 3.5 or leaves ML-KEM out. */
const nc_mlkem *nc_mlkem_libcrypto(void);
/* What key exchanges use: libcrypto's where there is one, else our own. */
const nc_mlkem *nc_mlkem_provider(void);

#endif
