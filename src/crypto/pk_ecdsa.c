/*
 * pk_ecdsa.c - ECDSA over the NIST curves (RFC 5656 3). Nonces are libcrypto's.
 */
#include "crypto/pk.h"

#include "wire/rd.h"
#include "wire/wr.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>
#include <string.h>

/* The scalar, left-padded to the curve's length; a leading zero byte or a short one is no matter. */
static bool pad_scalar(const nc_curve *curve, nacre_span s, uint8_t *out)
{
    while (s.n > curve->len && s.p[0] == 0) {
        s.p++;
        s.n--;
    }
    if (s.n == 0 || s.n > curve->len) {
        return false;
    }
    memset(out, 0, curve->len - s.n);
    memcpy(out + (curve->len - s.n), s.p, s.n);
    return true;
}

/* The public half that goes with scalar, in point; compared with the one given, if one was. */
static int check_private(const nc_ec *ec, const uint8_t *scalar, nacre_span given, uint8_t *point,
                         nacre_error *err)
{
    EC_POINT *p = NULL;
    size_t n = 1 + 2 * ec->curve->len;
    int rc = nc_ec_mul(ec, scalar, NULL, &p);

    if (rc == NACRE_OK) {
        rc = nc_ec_point_write(ec, p, point);
    }
    EC_POINT_free(p);
    if (rc != NACRE_OK) {
        return nc_fail(err, rc, "The private number of the %s key is out of range",
                       ec->curve->key_name);
    }
    if (given.n != 0 && (given.n != n || !nc_ct_equal(given.p, point, n))) {
        return nc_fail(err, NACRE_BAD_KEY,
                       "The public and the private half of the %s key do not match",
                       ec->curve->key_name);
    }
    return NACRE_OK;
}

static EVP_PKEY *build(const nc_curve *curve, const uint8_t *point, const uint8_t *scalar)
{
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    BIGNUM *d = scalar ? BN_bin2bn(scalar, (int)curve->len, NULL) : NULL;
    EVP_PKEY *key = NULL;

    if (d) {
        BN_set_flags(d, BN_FLG_CONSTTIME);
    }
    if (!b || !ctx || (scalar && !d) ||
        OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * curve->len) !=
            1 ||
        (d && OSSL_PARAM_BLD_push_BN_pad(b, OSSL_PKEY_PARAM_PRIV_KEY, d, curve->len) != 1)) {
        goto done;
    }
    params = OSSL_PARAM_BLD_to_param(b);
    if (!params || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, d ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
done:
    nc_evp_params_free(params);
    OSSL_PARAM_BLD_free(b);
    EVP_PKEY_CTX_free(ctx);
    BN_clear_free(d);
    return key;
}

static int check_parts(const nc_pk *k, const nc_ec *ec, const nc_pk_parts *parts, uint8_t *point,
                       uint8_t *scalar, nacre_error *err)
{
    const nc_curve *curve = ec->curve;
    EC_POINT *p = NULL;
    int rc;

    if (k->private_key) {
        if (!pad_scalar(curve, parts->scalar, scalar)) {
            return nc_fail(err, NACRE_BAD_KEY, "The private number of the %s key has a bad size",
                           curve->key_name);
        }
        return check_private(ec, scalar, parts->point, point, err);
    }
    rc = nc_ec_point_read(ec, parts->point, &p);
    EC_POINT_free(p);
    if (rc != NACRE_OK) {
        return nc_fail(err, rc, "The %s key is not a point of the curve in uncompressed form",
                       curve->key_name);
    }
    memcpy(point, parts->point.p, parts->point.n);
    return NACRE_OK;
}

int nc_pk_ecdsa_load(nc_pk *k, const nc_pk_parts *parts, nacre_error *err)
{
    const nc_curve *curve = nc_curve_of(k->type);
    uint8_t scalar[NC_EC_MAX];
    uint8_t point[NC_EC_POINT_MAX];
    nc_ec ec = {0};
    int rc = nc_ec_init(&ec, curve);

    if (rc != NACRE_OK) {
        rc = nc_fail(err, rc, "libcrypto does not have the curve of %s", curve->key_name);
        goto done;
    }
    rc = check_parts(k, &ec, parts, point, scalar, err);
    if (rc != NACRE_OK) {
        goto done;
    }
    k->bits = curve->bits;
    k->pkey = build(curve, point, k->private_key ? scalar : NULL);
    if (!k->pkey) {
        rc = nc_fail(err, NACRE_BAD_KEY, "libcrypto refuses the %s key", curve->key_name);
    }
done:
    nc_wipe(scalar, sizeof scalar);
    nc_ec_clear(&ec);
    return rc;
}

/* ---- signatures: DER for libcrypto, two mpints for SSH (RFC 5656 3.1.2) -------------------------- */

static int append_mpint(nc_buf *out, const BIGNUM *b)
{
    uint8_t bytes[NC_EC_MAX];
    nc_wr w = nc_wr_init(out);
    int n = BN_num_bytes(b);

    if (n > (int)sizeof bytes || BN_bn2binpad(b, bytes, n) != n) {
        return NACRE_CRYPTO;
    }
    nc_wr_mpint(&w, nc_span(bytes, (size_t)n));
    return nc_wr_err(&w);
}

int nc_pk_ecdsa_sign(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nc_buf *sig)
{
    ECDSA_SIG *s = NULL;
    const uint8_t *p;
    nc_buf der;
    int rc;

    nc_buf_init(&der, k->alloc, 4 * NC_EC_MAX);
    rc = nc_evp_sign(k->pkey, alg->hash, data, &der);
    if (rc != NACRE_OK) {
        goto done;
    }
    p = der.data;
    s = d2i_ECDSA_SIG(NULL, &p, (long)der.len);
    if (!s) {
        rc = NACRE_CRYPTO;
        goto done;
    }
    rc = append_mpint(sig, ECDSA_SIG_get0_r(s));
    if (rc == NACRE_OK) {
        rc = append_mpint(sig, ECDSA_SIG_get0_s(s));
    }
done:
    ECDSA_SIG_free(s);
    nc_buf_clear(&der);
    return rc;
}

int nc_pk_ecdsa_verify(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nacre_span sig)
{
    const nc_curve *curve = nc_curve_of(k->type);
    nc_rd rd = nc_rd_init(sig);
    nacre_span r = nc_rd_mpint(&rd, curve->len);
    nacre_span s = nc_rd_mpint(&rd, curve->len);
    uint8_t der[4 * NC_EC_MAX];
    uint8_t *o = der;
    ECDSA_SIG *es = NULL;
    BIGNUM *rn = NULL;
    BIGNUM *sn = NULL;
    int n;
    int rc = NACRE_BAD_SIGNATURE;

    /* Zero is refused here; at or above the order by libcrypto's verification. */
    if (nc_rd_end(&rd) != NACRE_OK || r.n == 0 || s.n == 0) {
        return NACRE_BAD_SIGNATURE;
    }
    es = ECDSA_SIG_new();
    rn = BN_bin2bn(r.p, (int)r.n, NULL);
    sn = BN_bin2bn(s.p, (int)s.n, NULL);
    if (!es || !rn || !sn || ECDSA_SIG_set0(es, rn, sn) != 1) {
        BN_free(rn);
        BN_free(sn);
        rc = NACRE_NO_MEMORY;
        goto done;
    }
    n = i2d_ECDSA_SIG(es, NULL);
    if (n > 0 && n <= (int)sizeof der && i2d_ECDSA_SIG(es, &o) == n) {
        rc = nc_evp_verify(k->pkey, alg->hash, data, nc_span(der, (size_t)n));
    }
done:
    ECDSA_SIG_free(es);
    return rc;
}
