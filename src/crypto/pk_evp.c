/*
 * pk_evp.c - what RSA and ECDSA keys share through libcrypto's EVP: one-shot signatures, and taking a
 * key apart into the numbers that SSH writes.
 */
#include "crypto/pk.h"

#include <openssl/core_names.h>
#include <string.h>

int nc_evp_sign(EVP_PKEY *key, const nc_hash_alg *hash, nacre_span data, nc_buf *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t start = out->len;
    size_t n = (size_t)EVP_PKEY_get_size(key);
    uint8_t *room;
    int rc;

    if (!ctx) {
        return NACRE_NO_MEMORY;
    }
    rc = nc_buf_reserve(out, n);
    if (rc != NACRE_OK) {
        goto done;
    }
    rc = NACRE_CRYPTO;
    room = nc_buf_extend(out, n);
    if (room && EVP_DigestSignInit(ctx, NULL, nc_hash_evp(hash), NULL, key) == 1 &&
        EVP_DigestSign(ctx, room, &n, data.p, data.n) == 1) {
        nc_buf_truncate(out, start + n);
        rc = NACRE_OK;
    } else {
        nc_buf_truncate(out, start);
    }
done:
    EVP_MD_CTX_free(ctx);
    return rc;
}

int nc_evp_verify(EVP_PKEY *key, const nc_hash_alg *hash, nacre_span data, nacre_span sig)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int rc = NACRE_BAD_SIGNATURE;

    if (!ctx) {
        return NACRE_NO_MEMORY;
    }
    if (EVP_DigestVerifyInit(ctx, NULL, nc_hash_evp(hash), NULL, key) == 1 &&
        EVP_DigestVerify(ctx, sig.p, sig.n, data.p, data.n) == 1) {
        rc = NACRE_OK;
    }
    EVP_MD_CTX_free(ctx);
    return rc;
}

void nc_evp_params_free(OSSL_PARAM *params)
{
    for (OSSL_PARAM *p = params; p && p->key; p++) {
        nc_wipe(p->data, p->data_size);
    }
    OSSL_PARAM_free(params);
}

bool nc_evp_type(EVP_PKEY *key, nc_pk_type *type)
{
    char group[64];
    size_t n = 0;
    const nc_curve *curve;

    if (EVP_PKEY_is_a(key, "RSA")) {
        *type = NC_PK_RSA;
        return true;
    }
    if (EVP_PKEY_is_a(key, "ED25519")) {
        *type = NC_PK_ED25519;
        return true;
    }
    if (EVP_PKEY_is_a(key, "DSA")) {
        *type = NC_PK_DSA;
        return true;
    }
    if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, group, sizeof group, &n) != 1) {
        return false;
    }
    curve = nc_curve_by_group(group);
    if (curve) {
        *type = curve->type;
    }
    return curve != NULL;
}

/* One number of a key and where it goes. */
typedef struct number {
    const char *name;
    size_t part; /* offset of the span in nc_pk_parts */
} number;

static const number rsa_numbers[] = {
    {OSSL_PKEY_PARAM_RSA_N, offsetof(nc_pk_parts, n)},
    {OSSL_PKEY_PARAM_RSA_E, offsetof(nc_pk_parts, e)},
    {OSSL_PKEY_PARAM_RSA_D, offsetof(nc_pk_parts, d)},
    {OSSL_PKEY_PARAM_RSA_FACTOR1, offsetof(nc_pk_parts, p)},
    {OSSL_PKEY_PARAM_RSA_FACTOR2, offsetof(nc_pk_parts, q)},
    {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, offsetof(nc_pk_parts, iqmp)},
};

enum { RSA_NUMBERS = sizeof rsa_numbers / sizeof rsa_numbers[0] };

static const number dsa_numbers[] = {
    {OSSL_PKEY_PARAM_FFC_P, offsetof(nc_pk_parts, p)},
    {OSSL_PKEY_PARAM_FFC_Q, offsetof(nc_pk_parts, q)},
    {OSSL_PKEY_PARAM_FFC_G, offsetof(nc_pk_parts, g)},
    {OSSL_PKEY_PARAM_PUB_KEY, offsetof(nc_pk_parts, y)},
    {OSSL_PKEY_PARAM_PRIV_KEY, offsetof(nc_pk_parts, x)},
};

static nacre_span *part_at(nc_pk_parts *parts, size_t offset)
{
    return (nacre_span *)(void *)((char *)parts + offset);
}

/* Appends one number, of len bytes or (0) of as many as it needs. */
static int append_number(EVP_PKEY *key, const char *name, size_t len, nc_buf *storage, size_t *n)
{
    BIGNUM *bn = NULL;
    uint8_t *o;
    int rc = NACRE_CRYPTO;

    if (EVP_PKEY_get_bn_param(key, name, &bn) != 1) {
        return NACRE_CRYPTO;
    }
    *n = len ? len : (size_t)BN_num_bytes(bn);
    rc = nc_buf_reserve(storage, *n);
    if (rc == NACRE_OK) {
        o = nc_buf_extend(storage, *n);
        rc = o && BN_bn2binpad(bn, o, (int)*n) == (int)*n ? NACRE_OK : NACRE_CRYPTO;
    }
    BN_clear_free(bn);
    return rc;
}

static int take_numbers(EVP_PKEY *key, const number *numbers, size_t count, nc_buf *storage,
                        nc_pk_parts *parts)
{
    size_t lens[RSA_NUMBERS] = {0};
    size_t at = storage->len;

    for (size_t i = 0; i < count; i++) {
        int rc = append_number(key, numbers[i].name, 0, storage, &lens[i]);

        if (rc != NACRE_OK) {
            return rc;
        }
    }
    /* Spans only now: the buffer has stopped moving. */
    for (size_t i = 0; i < count; i++) {
        *part_at(parts, numbers[i].part) = nc_span(storage->data + at, lens[i]);
        at += lens[i];
    }
    return NACRE_OK;
}

static int ec_parts(EVP_PKEY *key, const nc_curve *curve, nc_buf *storage, bool private_key,
                    nc_pk_parts *parts)
{
    const uint8_t form = POINT_CONVERSION_UNCOMPRESSED;
    size_t at = storage->len;
    size_t n = 0;
    int rc = nc_buf_append(storage, &form, 1);

    if (rc == NACRE_OK) {
        rc = append_number(key, OSSL_PKEY_PARAM_EC_PUB_X, curve->len, storage, &n);
    }
    if (rc == NACRE_OK) {
        rc = append_number(key, OSSL_PKEY_PARAM_EC_PUB_Y, curve->len, storage, &n);
    }
    if (rc == NACRE_OK && private_key) {
        rc = append_number(key, OSSL_PKEY_PARAM_PRIV_KEY, curve->len, storage, &n);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    parts->point = nc_span(storage->data + at, 1 + 2 * curve->len);
    if (private_key) {
        parts->scalar = nc_span(storage->data + at + 1 + 2 * curve->len, curve->len);
    }
    return NACRE_OK;
}

static int ed_parts(EVP_PKEY *key, nc_buf *storage, bool private_key, nc_pk_parts *parts)
{
    size_t at = storage->len;
    size_t n = NC_ED25519_LEN;
    uint8_t *o;
    int rc = nc_buf_reserve(storage, n);

    if (rc != NACRE_OK) {
        return rc;
    }
    o = nc_buf_extend(storage, n);
    if (!o ||
        (private_key ? EVP_PKEY_get_raw_private_key(key, o, &n)
                     : EVP_PKEY_get_raw_public_key(key, o, &n)) != 1 ||
        n != NC_ED25519_LEN) {
        return NACRE_CRYPTO;
    }
    *(private_key ? &parts->ed_seed : &parts->ed_public) = nc_span(storage->data + at, n);
    return NACRE_OK;
}

int nc_evp_get_parts(EVP_PKEY *key, nc_pk_type type, nc_buf *storage, bool private_key,
                     nc_pk_parts *parts)
{
    size_t at = storage->len;
    int rc;

    parts->type = type;
    if (type == NC_PK_RSA) {
        rc = take_numbers(key, rsa_numbers, private_key ? RSA_NUMBERS : 2, storage, parts);
    } else if (type == NC_PK_DSA) {
        rc = take_numbers(key, dsa_numbers, private_key ? 5 : 4, storage, parts);
    } else if (type == NC_PK_ED25519) {
        rc = ed_parts(key, storage, private_key, parts);
    } else {
        rc = ec_parts(key, nc_curve_of(type), storage, private_key, parts);
    }
    if (rc != NACRE_OK) {
        nc_buf_truncate(storage, at);
        memset(parts, 0, sizeof *parts);
        parts->type = type;
    }
    return rc;
}
