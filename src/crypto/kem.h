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
/*
 * Diffie-Hellman on a curve, as bytes of fixed length: what the methods of their own and the hybrids share.
 * Lengths are the curve's. agree gives NACRE_KEX_FAILED for a peer's value that is not a good point.
 */
typedef struct nc_raw_dh nc_raw_dh;
struct nc_raw_dh {
    size_t private_len;
    size_t public_len;
    size_t shared_len;
    int (*pair)(const nc_raw_dh *dh, const nc_random *rnd, uint8_t *private_value,
                uint8_t *public_value) NACRE_MUST_CHECK;
    int (*agree)(const nc_raw_dh *dh, const uint8_t *private_value, nacre_span peer,
                 uint8_t *shared) NACRE_MUST_CHECK;
    const void *params;
};
extern const nc_raw_dh nc_raw_x25519, nc_raw_p256, nc_raw_p384;
enum { NC_RAW_DH_PUBLIC_MAX = 97, NC_RAW_DH_SHARED_MAX = 48 };

/* Appends magnitude to buf as an mpint. */
int nc_kem_put_mpint(nc_buf *buf, const uint8_t *magnitude, size_t n) NACRE_MUST_CHECK;

#endif
