/*
 * kem.h - within src/crypto: the key pair between start and finish, the same for every method: its
 * private bytes, and for hybrids the pairs inside it.
 */
#ifndef NC_CRYPTO_KEM_H
#define NC_CRYPTO_KEM_H

#include "crypto/crypto.h"

struct nc_kem {
    const nc_kem_alg *alg;
    const nacre_allocator *alloc;
    nc_kem *inner; /* the other half of a hybrid; NULL: none */
    size_t len;
    uint8_t secret[]; /* len bytes */
};

nc_kem *nc_kem_alloc(const nc_kem_alg *alg, const nacre_allocator *a, size_t len);
/* Appends magnitude to buf as an mpint. */
int nc_kem_put_mpint(nc_buf *buf, const uint8_t *magnitude, size_t n) NACRE_MUST_CHECK;

#endif
