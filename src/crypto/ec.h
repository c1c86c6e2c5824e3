/*
 * ec.h - within src/crypto: the three NIST curves (RFC 5656), for key agreement and for checking keys.
 */
#ifndef NC_CRYPTO_EC_H
#define NC_CRYPTO_EC_H

#include "crypto/crypto.h"

#include <openssl/bn.h>
#include <openssl/ec.h>

enum { NC_EC_MAX = 66, NC_EC_POINT_MAX = 1 + 2 * NC_EC_MAX };

typedef struct nc_curve {
    nc_pk_type type;
    uint32_t bits;
    size_t len; /* of a coordinate, and of the order: they agree on these curves */
    int nid;
    const char *group;    /* libcrypto's name */
    const char *key_name; /* "ecdsa-sha2-nistp256" */
} nc_curve;

extern const nc_curve nc_curve_p256, nc_curve_p384, nc_curve_p521;
const nc_curve *nc_curve_of(nc_pk_type type);         /* NULL: not a curve's type */
const nc_curve *nc_curve_by_group(const char *group); /* NULL: unknown */

/* What calculating on a curve needs; zero it, and clear it on every path. */
typedef struct nc_ec {
    const nc_curve *curve;
    EC_GROUP *group;
    BN_CTX *bn;
} nc_ec;
int nc_ec_init(nc_ec *ec, const nc_curve *curve) NACRE_MUST_CHECK;
void nc_ec_clear(nc_ec *ec);

/*
 * The point of exactly 1 + 2 * len bytes, uncompressed, on the curve, not infinity. *out is owned.
 * NACRE_BAD_KEY for anything else.
 */
int nc_ec_point_read(const nc_ec *ec, nacre_span bytes, EC_POINT **out) NACRE_MUST_CHECK;
/* scalar (curve->len bytes, 1 <= scalar < order, else NACRE_BAD_KEY) times the base point or *base */
int nc_ec_mul(const nc_ec *ec, const uint8_t *scalar, const EC_POINT *base,
              EC_POINT **out) NACRE_MUST_CHECK;
/* Writes 1 + 2 * len bytes. */
int nc_ec_point_write(const nc_ec *ec, const EC_POINT *p, uint8_t *out) NACRE_MUST_CHECK;

#endif
