/*
 * pk_dsa.c - DSA keys and "ssh-dss" signatures (RFC 4253 6.6), for who has to read or check what was
 * made long ago. SHA-1 and 160 bits are no security any more: nothing is signed, no key is made, and
 * the keys floor loads such a key only for a caller that names the risk.
 */
#include "crypto/pk.h"

#include "wire/ssh.h"

#include <openssl/core_names.h>
#include <openssl/dsa.h>
#include <openssl/param_build.h>
#include <string.h>

enum {
    MIN_P_BITS = 1024, /* ssh-keygen made no others, */
    MAX_P_BITS = 3072, /* other programs some larger ones */
    Q_BITS = 160,      /* the signature's form fixes it */
    HALF = Q_BITS / 8
};

typedef struct dsa_numbers {
    BIGNUM *p, *q, *g, *y, *x;
    BN_CTX *bn;
} dsa_numbers;

static void numbers_clear(dsa_numbers *d)
{
    BN_free(d->p);
    BN_free(d->q);
    BN_free(d->g);
    BN_free(d->y);
    BN_clear_free(d->x);
    BN_CTX_free(d->bn);
    memset(d, 0, sizeof *d);
}

static BIGNUM *number(nacre_span s)
{
    return s.n && s.n <= NC_MAX_MPINT ? BN_bin2bn(s.p, (int)s.n, NULL) : NULL;
}

/* v is of the subgroup of order q, and not 1. */
static bool of_order_q(const dsa_numbers *d, const BIGNUM *v)
{
    BIGNUM *t = BN_new();
    bool ok = t && !BN_is_zero(v) && !BN_is_one(v) && BN_cmp(v, d->p) < 0 &&
              BN_mod_exp(t, v, d->q, d->p, d->bn) == 1 && BN_is_one(t);

    BN_free(t);
    return ok;
}

static bool sizes_good(const dsa_numbers *d)
{
    int bits = BN_num_bits(d->p);

    return bits >= MIN_P_BITS && bits <= MAX_P_BITS && BN_is_odd(d->p) &&
           BN_num_bits(d->q) == Q_BITS && BN_is_odd(d->q);
}

/* y = g^x mod p with 0 < x < q. */
static bool halves_match(const dsa_numbers *d)
{
    BIGNUM *t = BN_new();
    bool ok = t && !BN_is_zero(d->x) && BN_cmp(d->x, d->q) < 0 &&
              BN_mod_exp_mont_consttime(t, d->g, d->x, d->p, d->bn, NULL) == 1 &&
              BN_cmp(t, d->y) == 0;

    BN_clear_free(t);
    return ok;
}

static EVP_PKEY *build(const dsa_numbers *d)
{
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DSA", NULL);
    EVP_PKEY *key = NULL;

    if (b && ctx && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_FFC_P, d->p) == 1 &&
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_FFC_Q, d->q) == 1 &&
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_FFC_G, d->g) == 1 &&
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PUB_KEY, d->y) == 1 &&
        (!d->x || OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, d->x) == 1)) {
        params = OSSL_PARAM_BLD_to_param(b);
    }
    if (!params || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, d->x ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    nc_evp_params_free(params);
    OSSL_PARAM_BLD_free(b);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

int nc_pk_dsa_load(nc_pk *k, const nc_pk_parts *parts, nacre_error *err)
{
    dsa_numbers d = {0};
    int rc = NACRE_OK;

    d.p = number(parts->p);
    d.q = number(parts->q);
    d.g = number(parts->g);
    d.y = number(parts->y);
    d.x = k->private_key ? number(parts->x) : NULL;
    d.bn = BN_CTX_new();
    if (!d.p || !d.q || !d.g || !d.y || !d.bn || (k->private_key && !d.x)) {
        rc = nc_fail(err, NACRE_BAD_KEY, "The DSA key is incomplete or has a number out of bounds");
    } else if (!sizes_good(&d)) {
        rc = nc_fail(err, NACRE_BAD_KEY,
                     "The DSA key has %d and %d bits; %d to %d and %d are accepted",
                     BN_num_bits(d.p), BN_num_bits(d.q), MIN_P_BITS, MAX_P_BITS, Q_BITS);
    } else if (!of_order_q(&d, d.g) || !of_order_q(&d, d.y) || (d.x && !halves_match(&d))) {
        rc = nc_fail(err, NACRE_BAD_KEY, "The numbers of the DSA key do not match");
    } else {
        k->bits = (uint32_t)BN_num_bits(d.p);
        k->pkey = build(&d);
        rc = k->pkey ? NACRE_OK : nc_fail(err, NACRE_BAD_KEY, "libcrypto refuses the DSA key");
    }
    numbers_clear(&d);
    return rc;
}

int nc_pk_dsa_sign(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nc_buf *sig)
{
    (void)k;
    (void)alg;
    (void)data;
    (void)sig;
    return NACRE_UNSUPPORTED;
}

int nc_pk_dsa_verify(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nacre_span sig)
{
    uint8_t der[4 * HALF];
    uint8_t *o = der;
    DSA_SIG *s = NULL;
    BIGNUM *r_part = NULL;
    BIGNUM *s_part = NULL;
    int n;
    int rc = NACRE_BAD_SIGNATURE;

    if (sig.n != 2 * HALF) {
        return NACRE_BAD_SIGNATURE;
    }
    s = DSA_SIG_new();
    r_part = BN_bin2bn(sig.p, HALF, NULL);
    s_part = BN_bin2bn(sig.p + HALF, HALF, NULL);
    if (!s || !r_part || !s_part || DSA_SIG_set0(s, r_part, s_part) != 1) {
        BN_free(r_part);
        BN_free(s_part);
        DSA_SIG_free(s);
        return NACRE_NO_MEMORY;
    }
    n = i2d_DSA_SIG(s, NULL);
    if (n > 0 && n <= (int)sizeof der && i2d_DSA_SIG(s, &o) == n) {
        rc = nc_evp_verify(k->pkey, alg->hash, data, nc_span(der, (size_t)n));
    }
    DSA_SIG_free(s);
    return rc;
}
