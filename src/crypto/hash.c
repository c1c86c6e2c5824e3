/*
 * hash.c - hashes and HMAC (FIPS 180-4, RFC 1321, RFC 2104): descriptors, one-shot, incremental.
 * MD5 is here for fingerprints and old key files only.
 */
#include "crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <string.h>

const nc_hash_alg nc_hash_md5 = {"MD5", NC_MD5, 16, 64};
const nc_hash_alg nc_hash_sha1 = {"SHA1", NC_SHA1, 20, 64};
const nc_hash_alg nc_hash_sha224 = {"SHA224", NC_SHA224, 28, 64};
const nc_hash_alg nc_hash_sha256 = {"SHA256", NC_SHA256, 32, 64};
const nc_hash_alg nc_hash_sha384 = {"SHA384", NC_SHA384, 48, 128};
const nc_hash_alg nc_hash_sha512 = {"SHA512", NC_SHA512, 64, 128};

static const struct {
    const nc_hash_alg *alg;
    const EVP_MD *(*evp)(void);
} hashes[] = {
    [NC_MD5] = {&nc_hash_md5, EVP_md5},          [NC_SHA1] = {&nc_hash_sha1, EVP_sha1},
    [NC_SHA224] = {&nc_hash_sha224, EVP_sha224}, [NC_SHA256] = {&nc_hash_sha256, EVP_sha256},
    [NC_SHA384] = {&nc_hash_sha384, EVP_sha384}, [NC_SHA512] = {&nc_hash_sha512, EVP_sha512},
};
enum { HASH_COUNT = sizeof hashes / sizeof hashes[0] };

const nc_hash_alg *nc_hash_get(nc_hash_id id)
{
    return (size_t)id < HASH_COUNT ? hashes[id].alg : &nc_hash_sha512;
}

const EVP_MD *nc_hash_evp(const nc_hash_alg *alg)
{
    return (size_t)alg->id < HASH_COUNT ? hashes[alg->id].evp() : NULL;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool same_name(const char *a, const char *b)
{
    while (*a && upper(*a) == upper(*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

const nc_hash_alg *nc_hash_find(const char *name)
{
    for (size_t i = 0; name && i < HASH_COUNT; i++) {
        if (same_name(name, hashes[i].alg->name)) {
            return hashes[i].alg;
        }
    }
    return NULL;
}

int nc_hash(const nc_hash_alg *alg, const nacre_span *pieces, size_t count, uint8_t *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned int n = 0;
    int rc = NACRE_CRYPTO;

    if (!ctx) {
        return NACRE_NO_MEMORY;
    }
    if (EVP_DigestInit_ex(ctx, nc_hash_evp(alg), NULL) != 1) {
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].n > 0 && EVP_DigestUpdate(ctx, pieces[i].p, pieces[i].n) != 1) {
            goto done;
        }
    }
    if (EVP_DigestFinal_ex(ctx, out, &n) != 1 || n != alg->len) {
        goto done;
    }
    rc = NACRE_OK;
done:
    EVP_MD_CTX_free(ctx);
    return rc;
}

struct nc_hasher {
    const nacre_allocator *alloc;
    const nc_hash_alg *alg;
    EVP_MD_CTX *ctx;
};

int nc_hasher_new(nc_hasher **out, const nacre_allocator *a, const nc_hash_alg *alg)
{
    nc_hasher *h = nc_zalloc(a, sizeof *h);

    *out = NULL;
    if (!h) {
        return NACRE_NO_MEMORY;
    }
    h->alloc = a;
    h->alg = alg;
    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx) {
        nc_hasher_free(h);
        return NACRE_NO_MEMORY;
    }
    if (EVP_DigestInit_ex(h->ctx, nc_hash_evp(alg), NULL) != 1) {
        nc_hasher_free(h);
        return NACRE_CRYPTO;
    }
    *out = h;
    return NACRE_OK;
}

int nc_hasher_update(nc_hasher *h, nacre_span data)
{
    if (data.n == 0) {
        return NACRE_OK;
    }
    return EVP_DigestUpdate(h->ctx, data.p, data.n) == 1 ? NACRE_OK : NACRE_CRYPTO;
}

int nc_hasher_final(nc_hasher *h, uint8_t *out)
{
    unsigned int n = 0;

    if (EVP_DigestFinal_ex(h->ctx, out, &n) != 1 || n != h->alg->len ||
        EVP_DigestInit_ex(h->ctx, NULL, NULL) != 1) {
        return NACRE_CRYPTO;
    }
    return NACRE_OK;
}

void nc_hasher_free(nc_hasher *h)
{
    if (h) {
        EVP_MD_CTX_free(h->ctx);
        nc_free(h->alloc, h);
    }
}

int nc_hmac_ctx_new(EVP_MAC_CTX **out, const nc_hash_alg *alg, nacre_span key)
{
    static const uint8_t empty[1] = {0};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    char digest[16];
    OSSL_PARAM params[2];

    EVP_MAC_free(mac); /* the context keeps its own reference */
    *out = NULL;
    if (!ctx) {
        return NACRE_CRYPTO;
    }
    memcpy(digest, alg->name, strlen(alg->name) + 1);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
    params[1] = OSSL_PARAM_construct_end();
    /* A NULL key would mean "the key you have": an empty one needs an address. */
    if (EVP_MAC_init(ctx, key.n > 0 ? key.p : empty, key.n, params) != 1) {
        EVP_MAC_CTX_free(ctx);
        return NACRE_CRYPTO;
    }
    *out = ctx;
    return NACRE_OK;
}

int nc_hmac(const nc_hash_alg *alg, nacre_span key, const nacre_span *pieces, size_t count,
            uint8_t *out)
{
    EVP_MAC_CTX *ctx = NULL;
    size_t n = 0;
    int rc = nc_hmac_ctx_new(&ctx, alg, key);

    if (rc != NACRE_OK) {
        return rc;
    }
    rc = NACRE_CRYPTO;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].n > 0 && EVP_MAC_update(ctx, pieces[i].p, pieces[i].n) != 1) {
            goto done;
        }
    }
    if (EVP_MAC_final(ctx, out, &n, alg->len) == 1 && n == alg->len) {
        rc = NACRE_OK;
    }
done:
    EVP_MAC_CTX_free(ctx);
    return rc;
}
