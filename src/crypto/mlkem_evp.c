/*
 * mlkem_evp.c - ML-KEM by libcrypto 3.5 or newer, where it was found at build time. Keys go in and out as
 * FIPS 203's bytes, and all randomness is given: libcrypto's generator is not asked.
 */
#include "crypto/mlkem.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/opensslv.h>

#if OPENSSL_VERSION_NUMBER >= 0x30500000L && !defined(OPENSSL_NO_ML_KEM)

static int evp_keygen(const nc_mlkem_params *p, const uint8_t seed[NC_MLKEM_SEED], uint8_t *ek,
                      uint8_t *dk)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, p->name, NULL);
    EVP_PKEY *key = NULL;
    size_t ek_len = p->ek_len;
    size_t dk_len = p->dk_len;
    int rc = NACRE_CRYPTO;
    /* The parameter is read only; the interface is older than that promise. */
    OSSL_PARAM params[2] = {OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_ML_KEM_SEED,
                                                              (void *)(uintptr_t)seed,
                                                              NC_MLKEM_SEED),
                            OSSL_PARAM_construct_end()};

    if (ctx && EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_CTX_set_params(ctx, params) == 1 &&
        EVP_PKEY_generate(ctx, &key) == 1 && EVP_PKEY_get_raw_public_key(key, ek, &ek_len) == 1 &&
        ek_len == p->ek_len && EVP_PKEY_get_raw_private_key(key, dk, &dk_len) == 1 &&
        dk_len == p->dk_len) {
        rc = NACRE_OK;
    }
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(ctx);
    return rc;
}

static int evp_encaps(const nc_mlkem_params *p, nacre_span ek, const uint8_t m[NC_MLKEM_M],
                      uint8_t *ct, uint8_t secret[NC_MLKEM_K])
{
    EVP_PKEY *key;
    EVP_PKEY_CTX *ctx;
    size_t ct_len = p->ct_len;
    size_t secret_len = NC_MLKEM_K;
    int rc = NACRE_CRYPTO;
    OSSL_PARAM params[2] = {
        OSSL_PARAM_construct_octet_string(OSSL_KEM_PARAM_IKME, (void *)(uintptr_t)m, NC_MLKEM_M),
        OSSL_PARAM_construct_end()};

    if (ek.n != p->ek_len) {
        return NACRE_KEX_FAILED;
    }
    /* The import makes the modulus check. */
    key = EVP_PKEY_new_raw_public_key_ex(NULL, p->name, NULL, ek.p, ek.n);
    if (!key) {
        return NACRE_KEX_FAILED;
    }
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (ctx && EVP_PKEY_encapsulate_init(ctx, params) == 1 &&
        EVP_PKEY_encapsulate(ctx, ct, &ct_len, secret, &secret_len) == 1 && ct_len == p->ct_len &&
        secret_len == NC_MLKEM_K) {
        rc = NACRE_OK;
    }
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return rc;
}

static int evp_decaps(const nc_mlkem_params *p, nacre_span dk, nacre_span ct,
                      uint8_t secret[NC_MLKEM_K])
{
    EVP_PKEY *key;
    EVP_PKEY_CTX *ctx;
    size_t secret_len = NC_MLKEM_K;
    int rc = NACRE_CRYPTO;

    if (dk.n != p->dk_len) {
        return NACRE_BAD_KEY;
    }
    if (ct.n != p->ct_len) {
        return NACRE_KEX_FAILED;
    }
    /* The import makes the hash check. */
    key = EVP_PKEY_new_raw_private_key_ex(NULL, p->name, NULL, dk.p, dk.n);
    if (!key) {
        return NACRE_BAD_KEY;
    }
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (ctx && EVP_PKEY_decapsulate_init(ctx, NULL) == 1 &&
        EVP_PKEY_decapsulate(ctx, secret, &secret_len, ct.p, ct.n) == 1 &&
        secret_len == NC_MLKEM_K) {
        rc = NACRE_OK;
    }
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return rc;
}

static const nc_mlkem by_libcrypto = {"libcrypto", evp_keygen, evp_encaps, evp_decaps};

const nc_mlkem *nc_mlkem_libcrypto(void)
{
    return &by_libcrypto;
}

#else

const nc_mlkem *nc_mlkem_libcrypto(void)
{
    return NULL;
}

#endif

const nc_mlkem *nc_mlkem_provider(void)
{
    const nc_mlkem *theirs = nc_mlkem_libcrypto();

    return theirs ? theirs : &nc_mlkem_own;
}
