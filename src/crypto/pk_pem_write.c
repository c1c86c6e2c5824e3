/*
 * pk_pem_write.c - keys written as PEM (RFC 7468): PKCS#1 and SEC1, encrypted in the old way when a
 * passphrase is given; PKCS#8, encrypted by PBES2; and public keys.
 */
#include "crypto/pem.h"

#include <limits.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <string.h>

enum { DEFAULT_ITERATIONS = 100000 };

static const struct {
    const char *name;
    const EVP_CIPHER *(*evp)(void);
} ciphers[] = {
    {"aes128-cbc", EVP_aes_128_cbc},
    {"aes192-cbc", EVP_aes_192_cbc},
    {"aes256-cbc", EVP_aes_256_cbc},
    {"des3-cbc", EVP_des_ede3_cbc},
};

static const EVP_CIPHER *find_cipher(const char *name)
{
    for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++) {
        if (strcmp(ciphers[i].name, name) == 0) {
            return ciphers[i].evp();
        }
    }
    return NULL;
}

EVP_PKEY *nc_pk_to_evp(const nc_pk *k)
{
    if (k->type == NC_PK_ED25519 && k->private_key) {
        return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, k->ed_secret, NC_ED25519_LEN);
    }
    if (k->type == NC_PK_ED25519) {
        return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k->ed_public, NC_ED25519_LEN);
    }
    return k->pkey && !nc_pk_is_sk(k) && EVP_PKEY_up_ref(k->pkey) == 1 ? k->pkey : NULL;
}

/* What is to be written, and the hidden wish for a cipher. */
typedef struct pem_job {
    const nc_pk *k;
    EVP_PKEY *key;
    BIO *bio;
    nacre_span passphrase;
    const char *cipher_name;
    uint32_t iterations;
    nacre_error *err;
} pem_job;

static int unsupported(const pem_job *j, const char *form)
{
    static const char *const names[] = {
        [NC_PK_RSA] = "RSA",         [NC_PK_P256] = "ECDSA",
        [NC_PK_P384] = "ECDSA",      [NC_PK_P521] = "ECDSA",
        [NC_PK_ED25519] = "Ed25519", [NC_PK_SK_ED25519] = "security key (Ed25519)",
        [NC_PK_DSA] = "DSA",         [NC_PK_SK_P256] = "security key (ECDSA)",
    };
    return nc_fail(j->err, NACRE_UNSUPPORTED,
                   "There is no %s form of a key of type %s; OpenSSH's format takes every type",
                   form, names[j->k->type]);
}

static int choose_cipher(const pem_job *j, const char *standard, const EVP_CIPHER **out)
{
    *out = NULL;
    if (j->passphrase.n == 0) {
        return NACRE_OK;
    }
    *out = find_cipher(j->cipher_name ? j->cipher_name : standard);
    return *out ? NACRE_OK
                : nc_fail(j->err, NACRE_KEY_CIPHER,
                          "No PEM file is written with the cipher %s; aes128-cbc, aes192-cbc, "
                          "aes256-cbc and des3-cbc are known",
                          NC_ESC(nc_span_cstr(j->cipher_name)));
}

static int write_traditional(const pem_job *j)
{
    const EVP_CIPHER *cipher;
    bool fits = j->k->type == NC_PK_RSA || nc_curve_of(j->k->type);
    int rc;

    if (!fits || !j->key) {
        return unsupported(j, "PEM (PKCS#1, SEC1)");
    }
    rc = choose_cipher(j, "aes128-cbc", &cipher);
    if (rc != NACRE_OK) {
        return rc;
    }
    return PEM_write_bio_PrivateKey_traditional(j->bio, j->key, cipher, j->passphrase.p,
                                                (int)j->passphrase.n, NULL, NULL) == 1
               ? NACRE_OK
               : NACRE_CRYPTO;
}

static int write_sealed(const pem_job *j, const EVP_CIPHER *cipher, PKCS8_PRIV_KEY_INFO *info)
{
    int iterations = j->iterations ? (int)j->iterations : DEFAULT_ITERATIONS;
    X509_ALGOR *pbe = PKCS5_pbe2_set_iv(cipher, iterations, NULL, 16, NULL, NID_hmacWithSHA256);
    X509_SIG *sealed =
        pbe ? PKCS8_set0_pbe((const char *)j->passphrase.p, (int)j->passphrase.n, info, pbe) : NULL;
    int rc = sealed && PEM_write_bio_PKCS8(j->bio, sealed) == 1 ? NACRE_OK : NACRE_CRYPTO;

    if (!sealed) {
        X509_ALGOR_free(pbe);
    }
    X509_SIG_free(sealed);
    return rc;
}

static int write_pkcs8(const pem_job *j)
{
    const EVP_CIPHER *cipher;
    PKCS8_PRIV_KEY_INFO *info;
    int rc;

    if (!j->key || j->k->type == NC_PK_DSA) {
        return unsupported(j, "PKCS#8");
    }
    if (j->iterations > NC_PBKDF2_MAX) {
        return nc_fail(j->err, NACRE_KEY_KDF,
                       "%u iterations of PBKDF2 are more than the %d that are read back",
                       j->iterations, NC_PBKDF2_MAX);
    }
    rc = choose_cipher(j, "aes256-cbc", &cipher);
    if (rc != NACRE_OK) {
        return rc;
    }
    info = EVP_PKEY2PKCS8(j->key);
    if (!info) {
        return NACRE_CRYPTO;
    }
    if (cipher) {
        rc = write_sealed(j, cipher, info);
    } else {
        rc = PEM_write_bio_PKCS8_PRIV_KEY_INFO(j->bio, info) == 1 ? NACRE_OK : NACRE_CRYPTO;
    }
    PKCS8_PRIV_KEY_INFO_free(info);
    return rc;
}

static int write_rsa_public(const pem_job *j)
{
    OSSL_ENCODER_CTX *ctx =
        OSSL_ENCODER_CTX_new_for_pkey(j->key, EVP_PKEY_PUBLIC_KEY, "PEM", "pkcs1", NULL);
    int ok = ctx ? OSSL_ENCODER_to_bio(ctx, j->bio) : 0;

    OSSL_ENCODER_CTX_free(ctx);
    return ok;
}

static int write_public(const pem_job *j, bool pkcs1)
{
    int ok;

    if (!j->key || (pkcs1 && j->k->type == NC_PK_ED25519)) {
        return unsupported(j, pkcs1 ? "PEM public key" : "PKCS#8 public key");
    }
    ok = pkcs1 && j->k->type == NC_PK_RSA ? write_rsa_public(j)
                                          : PEM_write_bio_PUBKEY(j->bio, j->key);
    return ok == 1 ? NACRE_OK : NACRE_CRYPTO;
}

static int write_kind(const pem_job *j, nc_pem_kind kind)
{
    switch (kind) {
    case NC_PEM_TRADITIONAL:
        return write_traditional(j);
    case NC_PEM_PKCS8:
        return write_pkcs8(j);
    case NC_PEM_PUBLIC:
        return write_public(j, false);
    case NC_PEM_PUBLIC_PKCS1:
        return write_public(j, true);
    }
    return NACRE_INVALID_ARGUMENT;
}

int nc_pk_to_pem(const nc_pk *k, nc_pem_kind kind, const nc_pem_options *o, nc_buf *out,
                 nacre_error *err)
{
    bool secret = kind == NC_PEM_TRADITIONAL || kind == NC_PEM_PKCS8;
    pem_job j = {k, NULL, NULL, o->passphrase, o->cipher, o->iterations, err};
    char *text = NULL;
    long n;
    int rc;

    if (secret && !k->private_key) {
        return nc_fail(err, NACRE_NOT_PRIVATE, "A public key cannot be written as a private one");
    }
    if (o->passphrase.n > PEM_BUFSIZE) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "A passphrase of more than %d bytes does not go with PEM", PEM_BUFSIZE);
    }
    j.key = nc_pk_to_evp(k);
    j.bio = BIO_new(BIO_s_mem());
    rc = j.bio ? write_kind(&j, kind) : NACRE_NO_MEMORY;
    if (rc == NACRE_OK) {
        n = BIO_get_mem_data(j.bio, &text);
        rc = n > 0 ? nc_buf_append(out, text, (size_t)n) : NACRE_CRYPTO;
    }
    BIO_free(j.bio); /* wipes */
    EVP_PKEY_free(j.key);
    ERR_clear_error();
    return rc == NACRE_OK
               ? rc
               : nc_fail(err, rc, "The key could not be written as PEM: %s", nacre_status_text(rc));
}
