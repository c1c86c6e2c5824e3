/*
 * hash.h - within src/crypto: libcrypto's side of our hash descriptors.
 */
#ifndef NC_CRYPTO_HASH_H
#define NC_CRYPTO_HASH_H

#include "crypto/crypto.h"

#include <openssl/evp.h>

/* For tables: what nc_hash_get returns. */
extern const nc_hash_alg nc_hash_md5, nc_hash_sha1, nc_hash_sha224, nc_hash_sha256, nc_hash_sha384,
    nc_hash_sha512;

const EVP_MD *nc_hash_evp(const nc_hash_alg *alg);
/* A keyed HMAC context; EVP_MAC_init(ctx, NULL, 0, NULL) starts the next message. */
int nc_hmac_ctx_new(EVP_MAC_CTX **out, const nc_hash_alg *alg, nacre_span key) NACRE_MUST_CHECK;

#endif
