/*
 * pk.h - within src/crypto: the inside of a key.
 */
#ifndef NC_CRYPTO_PK_H
#define NC_CRYPTO_PK_H

#include "crypto/ec.h"
#include "crypto/hash.h"

#include <openssl/params.h>

enum { NC_ED25519_LEN = 32, NC_ED25519_SIG = 64, NC_RSA_MIN_BITS = 1024, NC_RSA_MAX_BITS = 16384 };

struct nc_pk {
    const nacre_allocator *alloc;
    nc_pk_type type;
    uint32_t bits;
    bool private_key;
    EVP_PKEY *pkey;                              /* RSA, ECDSA */
    uint8_t ed_public[NC_ED25519_LEN];           /* Ed25519 */
    uint8_t ed_secret[2 * NC_ED25519_LEN];       /* seed and public half, as libsodium keeps it */
    nc_buf application, key_handle, sk_reserved; /* security keys */
    uint8_t sk_flags;
};

/* Each checks its parts and fills k. */
int nc_pk_rsa_load(nc_pk *k, const nc_pk_parts *parts, nacre_error *err) NACRE_MUST_CHECK;
int nc_pk_ecdsa_load(nc_pk *k, const nc_pk_parts *parts, nacre_error *err) NACRE_MUST_CHECK;
int nc_pk_ed25519_load(nc_pk *k, const nc_pk_parts *parts, nacre_error *err) NACRE_MUST_CHECK;
int nc_pk_sk_load(nc_pk *k, const nc_pk_parts *parts, nacre_error *err) NACRE_MUST_CHECK;
int nc_pk_dsa_load(nc_pk *k, const nc_pk_parts *parts, nacre_error *err) NACRE_MUST_CHECK;

int nc_pk_ecdsa_sign(const nc_pk *k, const nc_sig_alg *alg, nacre_span data,
                     nc_buf *sig) NACRE_MUST_CHECK;
int nc_pk_rsa_sign(const nc_pk *k, const nc_sig_alg *alg, nacre_span data,
                   nc_buf *sig) NACRE_MUST_CHECK;
int nc_pk_ed25519_sign(const nc_pk *k, const nc_sig_alg *alg, nacre_span data,
                       nc_buf *sig) NACRE_MUST_CHECK;
/* They never do; each says why. */
int nc_pk_sk_sign(const nc_pk *k, const nc_sig_alg *alg, nacre_span data,
                  nc_buf *sig) NACRE_MUST_CHECK;
int nc_pk_dsa_sign(const nc_pk *k, const nc_sig_alg *alg, nacre_span data,
                   nc_buf *sig) NACRE_MUST_CHECK;
int nc_pk_ecdsa_verify(const nc_pk *k, const nc_sig_alg *alg, nacre_span data,
                       nacre_span sig) NACRE_MUST_CHECK;
int nc_pk_rsa_verify(const nc_pk *k, const nc_sig_alg *alg, nacre_span data,
                     nacre_span sig) NACRE_MUST_CHECK;
int nc_pk_ed25519_verify(const nc_pk *k, const nc_sig_alg *alg, nacre_span data,
                         nacre_span sig) NACRE_MUST_CHECK;

int nc_pk_dsa_verify(const nc_pk *k, const nc_sig_alg *alg, nacre_span data,
                     nacre_span sig) NACRE_MUST_CHECK;

/* What nc_pk_get_parts gives beyond the public half of a security key, which is in parts already. */
int nc_pk_sk_parts(const nc_pk *k, nc_buf *storage, bool private_key,
                   nc_pk_parts *parts) NACRE_MUST_CHECK;

/* libcrypto's one-shot signature, appended to out / checked. BAD_SIGNATURE for anything but good. */
int nc_evp_sign(EVP_PKEY *key, const nc_hash_alg *hash, nacre_span data,
                nc_buf *out) NACRE_MUST_CHECK;
int nc_evp_verify(EVP_PKEY *key, const nc_hash_alg *hash, nacre_span data,
                  nacre_span sig) NACRE_MUST_CHECK;

/* Frees params after wiping them: OSSL_PARAM_free leaves private numbers behind in freed memory. */
void nc_evp_params_free(OSSL_PARAM *params);

/* The parts of a libcrypto key of any type that we support; storage as in nc_pk_get_parts. */
int nc_evp_get_parts(EVP_PKEY *key, nc_pk_type type, nc_buf *storage, bool private_key,
                     nc_pk_parts *parts) NACRE_MUST_CHECK;
/* Our type for a libcrypto key; false: none. */
bool nc_evp_type(EVP_PKEY *key, nc_pk_type *type);

#endif
