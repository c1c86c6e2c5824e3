/*
 * pk.c - keys and signatures: the algorithm table, making keys, taking them apart, and the dispatch to
 * pk_rsa.c, pk_ecdsa.c, pk_ed25519.c, pk_sk.c and pk_dsa.c. RFC 4253 6.6, RFC 5656 3, RFC 8332,
 * RFC 8709, OpenSSH PROTOCOL.u2f.
 */
#include "crypto/pk.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <string.h>

/* Key handles of devices have up to some 300 bytes; an application is a short URL. */
enum { MAX_SK_FIELD = 16 * 1024 };

/* What a type can do. */
typedef struct pk_ops {
    int (*load)(nc_pk *k, const nc_pk_parts *parts, nacre_error *err);
    int (*sign)(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nc_buf *sig);
    int (*verify)(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nacre_span sig);
    const char *key_name;
} pk_ops;

#define SK_ED25519 "sk-ssh-ed25519@openssh.com"
#define SK_P256    "sk-ecdsa-sha2-nistp256@openssh.com"

static const pk_ops ops[] = {
    [NC_PK_RSA] = {nc_pk_rsa_load, nc_pk_rsa_sign, nc_pk_rsa_verify, "ssh-rsa"},
    [NC_PK_P256] = {nc_pk_ecdsa_load, nc_pk_ecdsa_sign, nc_pk_ecdsa_verify, "ecdsa-sha2-nistp256"},
    [NC_PK_P384] = {nc_pk_ecdsa_load, nc_pk_ecdsa_sign, nc_pk_ecdsa_verify, "ecdsa-sha2-nistp384"},
    [NC_PK_P521] = {nc_pk_ecdsa_load, nc_pk_ecdsa_sign, nc_pk_ecdsa_verify, "ecdsa-sha2-nistp521"},
    [NC_PK_ED25519] = {nc_pk_ed25519_load, nc_pk_ed25519_sign, nc_pk_ed25519_verify, "ssh-ed25519"},
    [NC_PK_SK_ED25519] = {nc_pk_sk_load, nc_pk_sk_sign, nc_pk_ed25519_verify, SK_ED25519},
    [NC_PK_SK_P256] = {nc_pk_sk_load, nc_pk_sk_sign, nc_pk_ecdsa_verify, SK_P256},
    [NC_PK_DSA] = {nc_pk_dsa_load, nc_pk_dsa_sign, nc_pk_dsa_verify, "ssh-dss"},
};

#define SIG(var, name, key, hash, insecure, webauthn)                                              \
    static const nc_sig_alg var = {name, key, hash, insecure, webauthn}

SIG(sig_ed25519, "ssh-ed25519", "ssh-ed25519", NULL, false, false);
SIG(sig_p256, "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", &nc_hash_sha256, false, false);
SIG(sig_p384, "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", &nc_hash_sha384, false, false);
SIG(sig_p521, "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521", &nc_hash_sha512, false, false);
SIG(sig_sk_ed25519, SK_ED25519, SK_ED25519, NULL, false, false);
SIG(sig_sk_p256, SK_P256, SK_P256, &nc_hash_sha256, false, false);
SIG(sig_webauthn, "webauthn-" SK_P256, SK_P256, &nc_hash_sha256, false, true);
SIG(sig_rsa512, "rsa-sha2-512", "ssh-rsa", &nc_hash_sha512, false, false);
SIG(sig_rsa256, "rsa-sha2-256", "ssh-rsa", &nc_hash_sha256, false, false);
SIG(sig_rsa1, "ssh-rsa", "ssh-rsa", &nc_hash_sha1, true, false);
SIG(sig_dss, "ssh-dss", "ssh-dss", &nc_hash_sha1, true, false);

const nc_sig_alg *const nc_sig_algs[] = {&sig_ed25519,    &sig_p256,    &sig_p384,     &sig_p521,
                                         &sig_sk_ed25519, &sig_sk_p256, &sig_webauthn, &sig_rsa512,
                                         &sig_rsa256,     &sig_rsa1,    &sig_dss,      NULL};

const nc_sig_alg *nc_sig_find(nacre_span name)
{
    for (size_t i = 0; nc_sig_algs[i]; i++) {
        if (nc_span_is(name, nc_sig_algs[i]->name)) {
            return nc_sig_algs[i];
        }
    }
    return NULL;
}

int nc_pk_from_parts(nc_pk **out, const nacre_allocator *a, const nc_pk_parts *parts,
                     bool private_key, nacre_error *err)
{
    nc_pk *k;
    int rc;

    *out = NULL;
    if ((unsigned)parts->type > NC_PK_DSA) {
        return nc_fail(err, NACRE_UNSUPPORTED, "Unknown key type %u", (unsigned)parts->type);
    }
    k = nc_zalloc(a, sizeof *k);
    if (!k) {
        return nc_fail(err, NACRE_NO_MEMORY, "No memory for a key");
    }
    k->alloc = a;
    k->type = parts->type;
    k->private_key = private_key;
    nc_buf_init(&k->application, a, MAX_SK_FIELD);
    nc_buf_init(&k->key_handle, a, MAX_SK_FIELD);
    nc_buf_init(&k->sk_reserved, a, MAX_SK_FIELD);
    rc = ops[k->type].load(k, parts, err);
    /* What libcrypto thought of it is said in *err; its queue must not grow with bad input. */
    ERR_clear_error();
    if (rc != NACRE_OK) {
        nc_pk_free(k);
        return rc;
    }
    *out = k;
    return NACRE_OK;
}

static int ed25519_parts(const nc_pk *k, nc_buf *storage, bool seed, nc_pk_parts *parts)
{
    size_t at = storage->len;
    int rc;

    /* One reservation, so that the first span does not die with the second append. */
    rc = nc_buf_reserve(storage, 2 * NC_ED25519_LEN);
    if (rc == NACRE_OK) {
        rc = nc_buf_append(storage, k->ed_public, NC_ED25519_LEN);
    }
    if (rc == NACRE_OK && seed) {
        rc = nc_buf_append(storage, k->ed_secret, NC_ED25519_LEN);
    }
    if (rc != NACRE_OK) {
        nc_buf_truncate(storage, at);
        return rc;
    }
    parts->ed_public = nc_span(storage->data + at, NC_ED25519_LEN);
    if (seed) {
        parts->ed_seed = nc_span(storage->data + at + NC_ED25519_LEN, NC_ED25519_LEN);
    }
    return NACRE_OK;
}

int nc_pk_get_parts(const nc_pk *k, nc_buf *storage, bool private_key, nc_pk_parts *parts)
{
    memset(parts, 0, sizeof *parts);
    parts->type = k->type;
    if (private_key && !k->private_key) {
        return NACRE_NOT_PRIVATE;
    }
    if (nc_pk_is_sk(k)) {
        return nc_pk_sk_parts(k, storage, private_key, parts);
    }
    return k->type == NC_PK_ED25519
               ? ed25519_parts(k, storage, private_key, parts)
               : nc_evp_get_parts(k->pkey, k->type, storage, private_key, parts);
}

static int generate_ed25519(nc_pk *k)
{
    int rc = nc_random_bytes(NULL, k->ed_secret, NC_ED25519_LEN);
    uint8_t seed[NC_ED25519_LEN];

    if (rc != NACRE_OK) {
        return rc;
    }
    memcpy(seed, k->ed_secret, sizeof seed);
    if (sodium_init() < 0 || crypto_sign_seed_keypair(k->ed_public, k->ed_secret, seed) != 0) {
        rc = NACRE_CRYPTO;
    }
    nc_wipe(seed, sizeof seed);
    k->bits = 256;
    return rc;
}

static int generate_evp(nc_pk *k, uint32_t bits)
{
    const nc_curve *curve = nc_curve_of(k->type);

    if (curve) {
        k->pkey = EVP_EC_gen(curve->group);
        k->bits = curve->bits;
    } else if (bits < NC_RSA_MIN_BITS || bits > NC_RSA_MAX_BITS) {
        return NACRE_INVALID_ARGUMENT;
    } else {
        k->pkey = EVP_RSA_gen(bits);
        k->bits = bits;
    }
    return k->pkey ? NACRE_OK : NACRE_CRYPTO;
}

int nc_pk_generate(nc_pk **out, const nacre_allocator *a, nc_pk_type type, uint32_t bits)
{
    nc_pk *k;
    int rc;

    *out = NULL;
    if ((unsigned)type > NC_PK_ED25519) {
        return NACRE_UNSUPPORTED;
    }
    k = nc_zalloc(a, sizeof *k);
    if (!k) {
        return NACRE_NO_MEMORY;
    }
    k->alloc = a;
    k->type = type;
    k->private_key = true;
    rc = type == NC_PK_ED25519 ? generate_ed25519(k) : generate_evp(k, bits);
    if (rc != NACRE_OK) {
        nc_pk_free(k);
        return rc;
    }
    *out = k;
    return NACRE_OK;
}

void nc_pk_free(nc_pk *k)
{
    if (k) {
        EVP_PKEY_free(k->pkey);
        nc_buf_clear(&k->application);
        nc_buf_clear(&k->key_handle);
        nc_buf_clear(&k->sk_reserved);
        nc_wipe_free(k->alloc, k, sizeof *k);
    }
}

nc_pk_type nc_pk_get_type(const nc_pk *k)
{
    return k->type;
}

uint32_t nc_pk_bits(const nc_pk *k)
{
    return k->bits;
}

bool nc_pk_is_private(const nc_pk *k)
{
    return k->private_key;
}

bool nc_pk_is_sk(const nc_pk *k)
{
    return k->type == NC_PK_SK_ED25519 || k->type == NC_PK_SK_P256;
}

nacre_span nc_pk_application(const nc_pk *k)
{
    return nc_buf_span(&k->application);
}

int nc_pk_sign(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nc_buf *sig)
{
    size_t start = sig->len;
    int rc;

    if (!k->private_key) {
        return NACRE_NOT_PRIVATE;
    }
    if (strcmp(alg->key_name, ops[k->type].key_name) != 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    rc = ops[k->type].sign(k, alg, data, sig);
    if (rc != NACRE_OK) {
        nc_buf_truncate(sig, start);
        ERR_clear_error();
    }
    return rc;
}

int nc_pk_verify(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nacre_span sig)
{
    int rc;

    if (strcmp(alg->key_name, ops[k->type].key_name) != 0) {
        return NACRE_BAD_SIGNATURE;
    }
    rc = ops[k->type].verify(k, alg, data, sig);
    if (rc != NACRE_OK) {
        ERR_clear_error();
    }
    return rc;
}
