/*
 * kem_ecdh.c - ECDH over the NIST curves (RFC 5656 4). Private scalars come from the random hook, so
 * that an engine with a seeded hook is deterministic.
 */
#include "crypto/ec.h"
#include "crypto/kem.h"

#include <string.h>

/*
 * A candidate at or above the order comes up once in 2^32 on P-256 and never in practice elsewhere;
 * this many in a row mean a broken random source.
 */
enum { MAX_TRIES = 32 };

static int make_pair(const nc_ec *ec, const nc_random *rnd, uint8_t *scalar, uint8_t *point)
{
    EC_POINT *p = NULL;
    int rc = NACRE_RANDOM;

    for (int i = 0; i < MAX_TRIES; i++) {
        rc = nc_random_bytes(rnd, scalar, ec->curve->len);
        if (rc != NACRE_OK) {
            return rc;
        }
        if (ec->curve->bits % 8 != 0) {
            scalar[0] &= (uint8_t)((1u << ec->curve->bits % 8) - 1);
        }
        rc = nc_ec_mul(ec, scalar, NULL, &p);
        if (rc != NACRE_BAD_KEY) {
            break;
        }
        rc = NACRE_RANDOM;
    }
    if (rc == NACRE_OK) {
        rc = nc_ec_point_write(ec, p, point);
    }
    EC_POINT_free(p);
    return rc;
}

/* RFC 5656 4: the secret is the x coordinate of the product. */
static int make_shared(const nc_ec *ec, const uint8_t *scalar, nacre_span peer, uint8_t *shared)
{
    uint8_t product[NC_EC_POINT_MAX];
    EC_POINT *q = NULL;
    EC_POINT *p = NULL;
    int rc = nc_ec_point_read(ec, peer, &q);

    if (rc == NACRE_OK) {
        rc = nc_ec_mul(ec, scalar, q, &p);
    }
    if (rc == NACRE_OK) {
        rc = nc_ec_point_write(ec, p, product);
    }
    if (rc == NACRE_OK) {
        memcpy(shared, product + 1, ec->curve->len);
    }
    nc_wipe(product, sizeof product);
    EC_POINT_free(q);
    EC_POINT_clear_free(p);
    return rc == NACRE_BAD_KEY ? NACRE_KEX_FAILED : rc;
}

static int agree(const nc_ec *ec, const uint8_t *scalar, nacre_span peer, nc_buf *secret)
{
    uint8_t shared[NC_EC_MAX];
    int rc = make_shared(ec, scalar, peer, shared);

    if (rc == NACRE_OK) {
        rc = nc_kem_put_mpint(secret, shared, ec->curve->len);
    }
    nc_wipe(shared, sizeof shared);
    return rc;
}

static int ecdh_start(const nc_kem_alg *alg, const nacre_allocator *a, const nc_random *rnd,
                      nc_kem **out, nc_buf *public_value)
{
    const nc_curve *curve = alg->params;
    uint8_t point[NC_EC_POINT_MAX];
    nc_ec ec = {0};
    nc_kem *k = nc_kem_alloc(alg, a, curve->len);
    int rc;

    *out = NULL;
    if (!k) {
        return NACRE_NO_MEMORY;
    }
    rc = nc_ec_init(&ec, curve);
    if (rc == NACRE_OK) {
        rc = make_pair(&ec, rnd, k->secret, point);
    }
    if (rc == NACRE_OK) {
        rc = nc_buf_append(public_value, point, 1 + 2 * curve->len);
    }
    nc_ec_clear(&ec);
    if (rc != NACRE_OK) {
        nc_kem_free(k);
        return rc;
    }
    *out = k;
    return NACRE_OK;
}

static int ecdh_respond(const nc_kem_alg *alg, const nacre_allocator *a, const nc_random *rnd,
                        nacre_span peer, nc_buf *public_value, nc_buf *secret)
{
    const nc_curve *curve = alg->params;
    uint8_t point[NC_EC_POINT_MAX];
    uint8_t scalar[NC_EC_MAX];
    size_t start = secret->len;
    nc_ec ec = {0};
    int rc = nc_ec_init(&ec, curve);

    (void)a;
    if (rc == NACRE_OK) {
        rc = make_pair(&ec, rnd, scalar, point);
    }
    if (rc == NACRE_OK) {
        rc = agree(&ec, scalar, peer, secret);
    }
    if (rc == NACRE_OK) {
        rc = nc_buf_append(public_value, point, 1 + 2 * curve->len);
    }
    if (rc != NACRE_OK) {
        nc_buf_truncate(secret, start);
    }
    nc_wipe(scalar, sizeof scalar);
    nc_ec_clear(&ec);
    return rc;
}

static int ecdh_finish(nc_kem *kem, nacre_span peer, nc_buf *secret)
{
    nc_ec ec = {0};
    size_t start = secret->len;
    int rc = nc_ec_init(&ec, kem->alg->params);

    if (rc == NACRE_OK) {
        rc = agree(&ec, kem->secret, peer, secret);
    }
    if (rc != NACRE_OK) {
        nc_buf_truncate(secret, start);
    }
    nc_ec_clear(&ec);
    return rc;
}

const nc_kem_alg nc_kem_p256 = {"p256", ecdh_start, ecdh_respond, ecdh_finish, &nc_curve_p256};
const nc_kem_alg nc_kem_p384 = {"p384", ecdh_start, ecdh_respond, ecdh_finish, &nc_curve_p384};
const nc_kem_alg nc_kem_p521 = {"p521", ecdh_start, ecdh_respond, ecdh_finish, &nc_curve_p521};

static int raw_pair(const nc_raw_dh *dh, const nc_random *rnd, uint8_t *private_value,
                    uint8_t *public_value)
{
    nc_ec ec = {0};
    int rc = nc_ec_init(&ec, dh->params);

    if (rc == NACRE_OK) {
        rc = make_pair(&ec, rnd, private_value, public_value);
    }
    nc_ec_clear(&ec);
    return rc;
}

static int raw_agree(const nc_raw_dh *dh, const uint8_t *private_value, nacre_span peer,
                     uint8_t *shared)
{
    nc_ec ec = {0};
    int rc = nc_ec_init(&ec, dh->params);

    if (rc == NACRE_OK) {
        rc = make_shared(&ec, private_value, peer, shared);
    }
    nc_ec_clear(&ec);
    return rc;
}

const nc_raw_dh nc_raw_p256 = {32, 65, 32, raw_pair, raw_agree, &nc_curve_p256};
const nc_raw_dh nc_raw_p384 = {48, 97, 48, raw_pair, raw_agree, &nc_curve_p384};
