/*
 * ec.c - points and scalars of the NIST curves (RFC 5656 3.1, SEC 1 2.3), with every check that a
 * value from a peer or a file needs.
 */
#include "crypto/ec.h"

#include <openssl/obj_mac.h>
#include <string.h>

const nc_curve nc_curve_p256 = {NC_PK_P256,           256,          32,
                                NID_X9_62_prime256v1, "prime256v1", "ecdsa-sha2-nistp256"};
const nc_curve nc_curve_p384 = {NC_PK_P384,    384,         48,
                                NID_secp384r1, "secp384r1", "ecdsa-sha2-nistp384"};
const nc_curve nc_curve_p521 = {NC_PK_P521,    521,         66,
                                NID_secp521r1, "secp521r1", "ecdsa-sha2-nistp521"};
static const nc_curve *const curves[] = {&nc_curve_p256, &nc_curve_p384, &nc_curve_p521};
enum { CURVE_COUNT = sizeof curves / sizeof curves[0] };

const nc_curve *nc_curve_of(nc_pk_type type)
{
    type = type == NC_PK_SK_P256 ? NC_PK_P256 : type;
    for (size_t i = 0; i < CURVE_COUNT; i++) {
        if (curves[i]->type == type) {
            return curves[i];
        }
    }
    return NULL;
}

const nc_curve *nc_curve_by_group(const char *group)
{
    for (size_t i = 0; i < CURVE_COUNT; i++) {
        if (strcmp(curves[i]->group, group) == 0) {
            return curves[i];
        }
    }
    return NULL;
}

int nc_ec_init(nc_ec *ec, const nc_curve *curve)
{
    ec->curve = curve;
    ec->bn = BN_CTX_new();
    ec->group = EC_GROUP_new_by_curve_name(curve->nid);
    return ec->bn && ec->group ? NACRE_OK : NACRE_CRYPTO;
}

void nc_ec_clear(nc_ec *ec)
{
    EC_GROUP_free(ec->group);
    BN_CTX_free(ec->bn);
    memset(ec, 0, sizeof *ec);
}

int nc_ec_point_read(const nc_ec *ec, nacre_span bytes, EC_POINT **out)
{
    EC_POINT *p = NULL;

    *out = NULL;
    if (bytes.n != 1 + 2 * ec->curve->len || bytes.p[0] != POINT_CONVERSION_UNCOMPRESSED) {
        return NACRE_BAD_KEY;
    }
    p = EC_POINT_new(ec->group);
    if (!p) {
        return NACRE_NO_MEMORY;
    }
    /* The cofactor is 1 on all three, so a point on the curve is in the right group. */
    if (EC_POINT_oct2point(ec->group, p, bytes.p, bytes.n, ec->bn) != 1 ||
        EC_POINT_is_at_infinity(ec->group, p) != 0 ||
        EC_POINT_is_on_curve(ec->group, p, ec->bn) != 1) {
        EC_POINT_free(p);
        return NACRE_BAD_KEY;
    }
    *out = p;
    return NACRE_OK;
}

int nc_ec_mul(const nc_ec *ec, const uint8_t *scalar, const EC_POINT *base, EC_POINT **out)
{
    BIGNUM *d = BN_bin2bn(scalar, (int)ec->curve->len, NULL);
    EC_POINT *p = EC_POINT_new(ec->group);
    int rc = NACRE_NO_MEMORY;

    *out = NULL;
    if (!d || !p) {
        goto done;
    }
    BN_set_flags(d, BN_FLG_CONSTTIME);
    if (BN_is_zero(d) || BN_cmp(d, EC_GROUP_get0_order(ec->group)) >= 0) {
        rc = NACRE_BAD_KEY;
        goto done;
    }
    if (EC_POINT_mul(ec->group, p, base ? NULL : d, base, base ? d : NULL, ec->bn) != 1 ||
        EC_POINT_is_at_infinity(ec->group, p) != 0) {
        rc = NACRE_CRYPTO;
        goto done;
    }
    *out = p;
    p = NULL;
    rc = NACRE_OK;
done:
    BN_clear_free(d);
    EC_POINT_clear_free(p);
    return rc;
}

int nc_ec_point_write(const nc_ec *ec, const EC_POINT *p, uint8_t *out)
{
    size_t n = 1 + 2 * ec->curve->len;

    return EC_POINT_point2oct(ec->group, p, POINT_CONVERSION_UNCOMPRESSED, out, n, ec->bn) == n
               ? NACRE_OK
               : NACRE_CRYPTO;
}
