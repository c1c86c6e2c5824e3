/*
 * kem_x25519.c - X25519 (RFC 7748) as SSH uses it (RFC 8731).
 */
#include "crypto/kem.h"

#include <sodium.h>

enum { X25519_LEN = crypto_scalarmult_curve25519_BYTES };

static int make_pair(const nc_random *rnd, uint8_t *scalar, uint8_t *public_value)
{
    int rc = nc_random_bytes(rnd, scalar, X25519_LEN);

    if (rc != NACRE_OK) {
        return rc;
    }
    /* Chooses libsodium's code for this processor; it is idempotent and safe among threads. */
    if (sodium_init() < 0) {
        return NACRE_CRYPTO;
    }
    return crypto_scalarmult_curve25519_base(public_value, scalar) == 0 ? NACRE_OK : NACRE_CRYPTO;
}

static int make_shared(const uint8_t *scalar, nacre_span peer, uint8_t *shared)
{
    static const uint8_t zero[X25519_LEN];

    /* RFC 8731 3: a secret of all zeros means a point of small order; libsodium refuses it too. */
    if (peer.n != X25519_LEN || crypto_scalarmult_curve25519(shared, scalar, peer.p) != 0 ||
        nc_ct_equal(shared, zero, X25519_LEN)) {
        return NACRE_KEX_FAILED;
    }
    return NACRE_OK;
}

static int agree(const uint8_t *scalar, nacre_span peer, nc_buf *secret)
{
    uint8_t shared[X25519_LEN];
    size_t start = secret->len;
    int rc = make_shared(scalar, peer, shared);

    if (rc == NACRE_OK) {
        rc = nc_kem_put_mpint(secret, shared, sizeof shared);
    }
    if (rc != NACRE_OK) {
        nc_buf_truncate(secret, start);
    }
    nc_wipe(shared, sizeof shared);
    return rc;
}

static int x25519_start(const nc_kem_alg *alg, const nacre_allocator *a, const nc_random *rnd,
                        nc_kem **out, nc_buf *public_value)
{
    uint8_t pub[X25519_LEN];
    nc_kem *k = nc_kem_alloc(alg, a, X25519_LEN);
    int rc;

    *out = NULL;
    if (!k) {
        return NACRE_NO_MEMORY;
    }
    rc = make_pair(rnd, k->secret, pub);
    if (rc == NACRE_OK) {
        rc = nc_buf_append(public_value, pub, sizeof pub);
    }
    if (rc != NACRE_OK) {
        nc_kem_free(k);
        return rc;
    }
    *out = k;
    return NACRE_OK;
}

static int x25519_respond(const nc_kem_alg *alg, const nacre_allocator *a, const nc_random *rnd,
                          nacre_span peer, nc_buf *public_value, nc_buf *secret)
{
    uint8_t scalar[X25519_LEN];
    uint8_t pub[X25519_LEN];
    size_t start = secret->len;
    int rc;

    (void)alg;
    (void)a;
    rc = make_pair(rnd, scalar, pub);
    if (rc == NACRE_OK) {
        rc = agree(scalar, peer, secret);
    }
    if (rc == NACRE_OK) {
        rc = nc_buf_append(public_value, pub, sizeof pub);
    }
    if (rc != NACRE_OK) {
        nc_buf_truncate(secret, start);
    }
    nc_wipe(scalar, sizeof scalar);
    return rc;
}

static int x25519_finish(nc_kem *kem, nacre_span peer, nc_buf *secret)
{
    return agree(kem->secret, peer, secret);
}

const nc_kem_alg nc_kem_x25519 = {"x25519", x25519_start, x25519_respond, x25519_finish, NULL};

static int raw_pair(const nc_raw_dh *dh, const nc_random *rnd, uint8_t *private_value,
                    uint8_t *public_value)
{
    (void)dh;
    return make_pair(rnd, private_value, public_value);
}

static int raw_agree(const nc_raw_dh *dh, const uint8_t *private_value, nacre_span peer,
                     uint8_t *shared)
{
    (void)dh;
    return make_shared(private_value, peer, shared);
}

const nc_raw_dh nc_raw_x25519 = {X25519_LEN, X25519_LEN, X25519_LEN, raw_pair, raw_agree, NULL};
