/*
 * pk_rsa.c - RSA keys and PKCS#1 v1.5 signatures (RFC 8017, RFC 4253 6.6, RFC 8332).
 */
#include "crypto/pk.h"

#include "wire/ssh.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <string.h>

/* FIPS 186-4 B.3.1's bound. A larger exponent would only make every verification expensive. */
enum { MAX_E_BITS = 256 };

typedef struct rsa_numbers {
    BIGNUM *n, *e, *d, *p, *q, *iqmp, *dp, *dq;
    BN_CTX *bn;
} rsa_numbers;

static void numbers_clear(rsa_numbers *r)
{
    BN_free(r->n);
    BN_free(r->e);
    BN_clear_free(r->d);
    BN_clear_free(r->p);
    BN_clear_free(r->q);
    BN_clear_free(r->iqmp);
    BN_clear_free(r->dp);
    BN_clear_free(r->dq);
    BN_CTX_free(r->bn);
    memset(r, 0, sizeof *r);
}

static BIGNUM *number(nacre_span s)
{
    return s.n <= NC_MAX_MPINT ? BN_bin2bn(s.p, (int)s.n, NULL) : NULL;
}

static BIGNUM *secret_number(nacre_span s)
{
    BIGNUM *b = number(s);

    if (b) {
        BN_set_flags(b, BN_FLG_CONSTTIME);
    }
    return b;
}

static int check_public(const rsa_numbers *r, nacre_error *err)
{
    int bits = BN_num_bits(r->n);

    if (bits < NC_RSA_MIN_BITS || bits > NC_RSA_MAX_BITS) {
        return nc_fail(err, NACRE_BAD_KEY, "The RSA key has %d bits; %d to %d are accepted", bits,
                       NC_RSA_MIN_BITS, NC_RSA_MAX_BITS);
    }
    if (!BN_is_odd(r->n)) {
        return nc_fail(err, NACRE_BAD_KEY, "The RSA modulus is even: not a key");
    }
    if (!BN_is_odd(r->e) || BN_is_one(r->e) || BN_num_bits(r->e) > MAX_E_BITS) {
        return nc_fail(err, NACRE_BAD_KEY, "The RSA exponent is not an odd number from 3 to 2^%d",
                       MAX_E_BITS);
    }
    return NACRE_OK;
}

/* out = d mod (prime - 1), and e * d = 1 modulo the same. */
static int check_exponent(rsa_numbers *r, const BIGNUM *prime, BIGNUM *out, bool *ok)
{
    BIGNUM *m = BN_dup(prime);
    BIGNUM *x = BN_new();
    int rc = NACRE_CRYPTO;

    if (m && x && BN_sub_word(m, 1) == 1 && BN_mod(out, r->d, m, r->bn) == 1 &&
        BN_mod_mul(x, out, r->e, m, r->bn) == 1) {
        *ok = *ok && BN_is_one(x);
        rc = NACRE_OK;
    }
    BN_clear_free(m);
    BN_clear_free(x);
    return rc;
}

/* n = p * q, d inverts e, iqmp inverts q: everything short of primality. */
static int check_private(rsa_numbers *r, bool *ok)
{
    BIGNUM *x = BN_new();
    int rc = x ? NACRE_OK : NACRE_NO_MEMORY;

    *ok = BN_num_bits(r->p) > 1 && BN_num_bits(r->q) > 1 && BN_is_odd(r->p) && BN_is_odd(r->q) &&
          BN_cmp(r->p, r->q) != 0;
    if (rc != NACRE_OK || !*ok) {
        goto done;
    }
    if (BN_mul(x, r->p, r->q, r->bn) != 1) {
        rc = NACRE_CRYPTO;
        goto done;
    }
    *ok = BN_cmp(x, r->n) == 0;
    if (!*ok) {
        goto done;
    }
    if (BN_mod_mul(x, r->q, r->iqmp, r->p, r->bn) != 1) {
        rc = NACRE_CRYPTO;
        goto done;
    }
    *ok = BN_is_one(x) && BN_cmp(r->iqmp, r->p) < 0 && BN_cmp(r->d, r->n) < 0;
    rc = check_exponent(r, r->p, r->dp, ok);
    if (rc == NACRE_OK) {
        rc = check_exponent(r, r->q, r->dq, ok);
    }
done:
    BN_clear_free(x);
    return rc;
}

static int load_private(rsa_numbers *r, const nc_pk_parts *parts, nacre_error *err)
{
    bool ok = false;
    int rc;

    if (parts->d.n == 0 || parts->p.n == 0 || parts->q.n == 0 || parts->iqmp.n == 0) {
        return nc_fail(err, NACRE_BAD_KEY, "The RSA private key is incomplete");
    }
    r->d = secret_number(parts->d);
    r->p = secret_number(parts->p);
    r->q = secret_number(parts->q);
    r->iqmp = secret_number(parts->iqmp);
    r->dp = BN_new();
    r->dq = BN_new();
    r->bn = BN_CTX_new();
    if (!r->d || !r->p || !r->q || !r->iqmp || !r->dp || !r->dq || !r->bn) {
        return nc_fail(err, NACRE_BAD_KEY, "The RSA private key has a number out of bounds");
    }
    rc = check_private(r, &ok);
    if (rc != NACRE_OK) {
        return nc_fail(err, rc, "The RSA private key could not be checked");
    }
    if (!ok) {
        return nc_fail(err, NACRE_BAD_KEY, "The numbers of the RSA private key do not match");
    }
    return NACRE_OK;
}

static bool push_private(OSSL_PARAM_BLD *b, const rsa_numbers *r)
{
    return OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_D, r->d) == 1 &&
           OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_FACTOR1, r->p) == 1 &&
           OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_FACTOR2, r->q) == 1 &&
           OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_EXPONENT1, r->dp) == 1 &&
           OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_EXPONENT2, r->dq) == 1 &&
           OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, r->iqmp) == 1;
}

static EVP_PKEY *build(const rsa_numbers *r, bool private_key)
{
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;

    if (!b || !ctx || OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, r->n) != 1 ||
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, r->e) != 1 ||
        (private_key && !push_private(b, r))) {
        goto done;
    }
    params = OSSL_PARAM_BLD_to_param(b);
    if (!params || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, private_key ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                          params) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
done:
    nc_evp_params_free(params);
    OSSL_PARAM_BLD_free(b);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

int nc_pk_rsa_load(nc_pk *k, const nc_pk_parts *parts, nacre_error *err)
{
    rsa_numbers r = {0};
    int rc;

    r.n = number(parts->n);
    r.e = number(parts->e);
    if (!r.n || !r.e) {
        rc = nc_fail(err, NACRE_BAD_KEY, "The RSA key has a number out of bounds");
        goto done;
    }
    rc = check_public(&r, err);
    if (rc != NACRE_OK) {
        goto done;
    }
    if (k->private_key) {
        rc = load_private(&r, parts, err);
        if (rc != NACRE_OK) {
            goto done;
        }
    }
    k->bits = (uint32_t)BN_num_bits(r.n);
    k->pkey = build(&r, k->private_key);
    if (!k->pkey) {
        rc = nc_fail(err, NACRE_BAD_KEY, "libcrypto refuses the RSA key");
    }
done:
    numbers_clear(&r);
    return rc;
}

int nc_pk_rsa_sign(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nc_buf *sig)
{
    size_t start = sig->len;
    int rc = nc_evp_sign(k->pkey, alg->hash, data, sig);

    /* One wrong signature, from a fault in the CRT computation, gives the factors away. */
    if (rc == NACRE_OK && nc_evp_verify(k->pkey, alg->hash, data,
                                        nc_span(sig->data + start, sig->len - start)) != NACRE_OK) {
        rc = NACRE_CRYPTO;
    }
    return rc;
}

int nc_pk_rsa_verify(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nacre_span sig)
{
    size_t n = ((size_t)k->bits + 7) / 8;
    uint8_t padded[NC_RSA_MAX_BITS / 8];

    if (sig.n == 0 || sig.n > n || n > sizeof padded) {
        return NACRE_BAD_SIGNATURE;
    }
    /* Some implementations send the number without its leading zeros (RFC 4253 6.6 allows no such). */
    memset(padded, 0, n - sig.n);
    memcpy(padded + (n - sig.n), sig.p, sig.n);
    return nc_evp_verify(k->pkey, alg->hash, data, nc_span(padded, n));
}
