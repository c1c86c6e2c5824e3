/*
 * pk_pem.c - private keys in PEM (RFC 7468): PKCS#1 and SEC1 with the old OpenSSL encryption
 * (RFC 1421 headers), PKCS#8 plain and encrypted (RFC 5958, RFC 8018). The steps are taken one by one,
 * so that an error can say which of them failed. OpenSSH's own format belongs to the keys floor.
 */
#include "crypto/pk.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <string.h>

/* A key file of 1 MiB is no key file. */
enum { MAX_PEM = 1 << 20, MAX_PARTS = 16 * 1024 };

typedef struct pem_block {
    char *label;
    char *header;
    uint8_t *data;
    long len;
    bool encrypted;
    nacre_span passphrase;
    nacre_error *err;
} pem_block;

/* What a label means where a private key is wanted. */
typedef struct pem_kind {
    const char *label;
    int status; /* NACRE_OK: readable here */
    int evp_type;
    const char *text; /* for the user, when it is not */
} pem_kind;

static const pem_kind kinds[] = {
    {"RSA PRIVATE KEY", NACRE_OK, EVP_PKEY_RSA, NULL},
    {"EC PRIVATE KEY", NACRE_OK, EVP_PKEY_EC, NULL},
    {"PRIVATE KEY", NACRE_OK, EVP_PKEY_NONE, NULL},
    {"ENCRYPTED PRIVATE KEY", NACRE_OK, EVP_PKEY_NONE, NULL},
    {"DSA PRIVATE KEY", NACRE_UNSUPPORTED, 0,
     "This is a DSA key; DSA is no longer supported. Make a new key, for instance of type ed25519"},
    {"OPENSSH PRIVATE KEY", NACRE_KEY_FORMAT, 0, "This is OpenSSH's own key format, not PEM"},
    {"PUBLIC KEY", NACRE_NOT_PRIVATE, 0, "The file holds a public key, not a private one"},
    {"RSA PUBLIC KEY", NACRE_NOT_PRIVATE, 0, "The file holds a public key, not a private one"},
    {"SSH2 PUBLIC KEY", NACRE_NOT_PRIVATE, 0, "The file holds a public key, not a private one"},
    {"CERTIFICATE", NACRE_NOT_PRIVATE, 0, "The file holds an X.509 certificate, not a private key"},
};

static const pem_kind *kind_of(const char *label)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].label, label) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* Never the terminal: libcrypto's default would ask there. */
static int give_passphrase(char *buf, int size, int writing, void *user)
{
    const pem_block *b = user;

    (void)writing;
    if (size < 0 || b->passphrase.n > (size_t)size) {
        return -1;
    }
    if (b->passphrase.n > 0) {
        memcpy(buf, b->passphrase.p, b->passphrase.n);
    }
    return (int)b->passphrase.n;
}

static void block_clear(pem_block *b)
{
    OPENSSL_free(b->label);
    OPENSSL_free(b->header);
    OPENSSL_clear_free(b->data, b->len > 0 ? (size_t)b->len : 0);
    b->label = NULL;
    b->header = NULL;
    b->data = NULL;
    b->len = 0;
}

/* The first block that is not the EC PARAMETERS that `openssl ecparam` writes before a key. */
static int read_block(pem_block *b, nacre_span pem)
{
    BIO *bio;
    int rc = NACRE_OK;

    if (pem.n > MAX_PEM) {
        return nc_fail(b->err, NACRE_KEY_FORMAT, "The key file has %zu bytes: too large for a key",
                       pem.n);
    }
    bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (!bio) {
        return nc_fail(b->err, NACRE_NO_MEMORY, "No memory for a key");
    }
    do {
        block_clear(b);
        if (PEM_read_bio(bio, &b->label, &b->header, &b->data, &b->len) != 1) {
            rc = nc_fail(
                b->err, NACRE_KEY_FORMAT,
                "Not PEM: there is no complete -----BEGIN ...----- block with base64 in it");
        }
    } while (rc == NACRE_OK && strcmp(b->label, "EC PARAMETERS") == 0);
    BIO_free(bio);
    return rc;
}

static int need_passphrase(pem_block *b)
{
    b->encrypted = true;
    if (!b->passphrase.p) {
        return nc_fail(b->err, NACRE_NEED_PASSPHRASE,
                       "The private key is encrypted and needs a passphrase");
    }
    return NACRE_OK;
}

static int wrong_passphrase(pem_block *b)
{
    return nc_fail(b->err, NACRE_WRONG_PASSPHRASE, "The passphrase does not open the private key");
}

/* RFC 1421 style: Proc-Type and DEK-Info headers. Decrypts b->data in place. */
static int open_headers(pem_block *b)
{
    EVP_CIPHER_INFO info;
    int rc;

    if (!b->header || b->header[0] == '\0') {
        return NACRE_OK;
    }
    memset(&info, 0, sizeof info);
    if (PEM_get_EVP_CIPHER_INFO(b->header, &info) != 1) {
        return nc_fail(b->err, NACRE_KEY_CIPHER,
                       "The private key is encrypted with a cipher that is not known (%s)",
                       NC_ESC(nc_span_cstr(b->header)));
    }
    if (!info.cipher) {
        return NACRE_OK;
    }
    rc = need_passphrase(b);
    if (rc != NACRE_OK) {
        return rc;
    }
    return PEM_do_header(&info, b->data, &b->len, give_passphrase, b) == 1 ? NACRE_OK
                                                                           : wrong_passphrase(b);
}

/* True when the error queue blames the algorithm rather than the passphrase. */
static bool cipher_unknown(void)
{
    unsigned long e;
    bool unknown = false;

    while ((e = ERR_get_error()) != 0) {
        int reason = ERR_GET_REASON(e);

        unknown = unknown || reason == ERR_R_UNSUPPORTED ||
                  (ERR_GET_LIB(e) == ERR_LIB_EVP &&
                   (reason == EVP_R_UNKNOWN_PBE_ALGORITHM || reason == EVP_R_UNSUPPORTED_CIPHER ||
                    reason == EVP_R_UNSUPPORTED_ALGORITHM ||
                    reason == EVP_R_UNSUPPORTED_KEY_DERIVATION_FUNCTION ||
                    reason == EVP_R_UNSUPPORTED_PRF || reason == EVP_R_UNSUPPORTED_KEYLENGTH));
    }
    return unknown;
}

static int open_pkcs8(pem_block *b, EVP_PKEY **key)
{
    const uint8_t *p = b->data;
    PKCS8_PRIV_KEY_INFO *info = NULL;
    X509_SIG *sealed = NULL;
    int rc = NACRE_OK;

    if (strcmp(b->label, "ENCRYPTED PRIVATE KEY") == 0) {
        rc = need_passphrase(b);
        if (rc != NACRE_OK) {
            return rc;
        }
        sealed = d2i_X509_SIG(NULL, &p, b->len);
        if (!sealed) {
            return nc_fail(b->err, NACRE_KEY_FORMAT, "The encrypted PKCS#8 structure is broken");
        }
        ERR_clear_error();
        info = PKCS8_decrypt(sealed, (const char *)b->passphrase.p, (int)b->passphrase.n);
        X509_SIG_free(sealed);
        if (!info && cipher_unknown()) {
            return nc_fail(b->err, NACRE_KEY_CIPHER,
                           "The PKCS#8 key is encrypted in a way that is not supported");
        }
        if (!info) {
            return wrong_passphrase(b);
        }
    } else {
        info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, b->len);
    }
    if (!info) {
        return nc_fail(b->err, NACRE_KEY_FORMAT, "The PKCS#8 structure is broken");
    }
    *key = EVP_PKCS82PKEY(info);
    PKCS8_PRIV_KEY_INFO_free(info);
    if (!*key) {
        return nc_fail(b->err, NACRE_UNSUPPORTED,
                       "The PKCS#8 key is broken or of a type that libcrypto does not know");
    }
    return NACRE_OK;
}

static int open_traditional(pem_block *b, int evp_type, EVP_PKEY **key)
{
    const uint8_t *p;
    int rc = open_headers(b);

    if (rc != NACRE_OK) {
        return rc;
    }
    p = b->data;
    *key = d2i_PrivateKey(evp_type, NULL, &p, b->len);
    if (*key) {
        return NACRE_OK;
    }
    /* One wrong passphrase in 256 leaves padding that looks right and an encoding that does not. */
    return b->encrypted ? wrong_passphrase(b)
                        : nc_fail(b->err, NACRE_KEY_FORMAT, "The ASN.1 of the %s is broken",
                                  NC_ESC(nc_span_cstr(b->label)));
}

static int convert(nc_pk **out, const nacre_allocator *a, EVP_PKEY *key, nacre_error *err)
{
    nc_pk_parts parts = {0};
    nc_pk_type type;
    nc_buf storage;
    int rc;

    if (!nc_evp_type(key, &type) || type == NC_PK_DSA) {
        const char *name = EVP_PKEY_get0_type_name(key);

        return nc_fail(err, NACRE_UNSUPPORTED,
                       "A private key of type %s is not supported for SSH (RSA, ECDSA on the NIST "
                       "curves P-256, P-384, P-521, and Ed25519 are)",
                       name ? name : "unknown");
    }
    nc_buf_init(&storage, a, MAX_PARTS);
    rc = nc_evp_get_parts(key, type, &storage, true, &parts);
    if (rc == NACRE_OK) {
        rc = nc_pk_from_parts(out, a, &parts, true, err);
    } else {
        rc = nc_fail(err, rc, "The private key cannot be taken from its PEM form");
    }
    nc_buf_clear(&storage);
    return rc;
}

int nc_pk_from_pem(nc_pk **out, const nacre_allocator *a, nacre_span pem, nacre_span passphrase,
                   nacre_error *err)
{
    pem_block b = {.passphrase = passphrase, .err = err};
    const pem_kind *kind;
    EVP_PKEY *key = NULL;
    int rc;

    *out = NULL;
    if (passphrase.n > INT_MAX) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "The passphrase is too long");
    }
    rc = read_block(&b, pem);
    if (rc != NACRE_OK) {
        goto done;
    }
    kind = kind_of(b.label);
    if (!kind || kind->status != NACRE_OK) {
        rc = kind ? nc_fail(err, kind->status, "%s", kind->text)
                  : nc_fail(err, NACRE_KEY_FORMAT, "A PEM file of type \"%s\" is not a private key",
                            NC_ESC(nc_span_cstr(b.label)));
        goto done;
    }
    rc = kind->evp_type == EVP_PKEY_NONE ? open_pkcs8(&b, &key)
                                         : open_traditional(&b, kind->evp_type, &key);
    if (rc == NACRE_OK) {
        rc = convert(out, a, key, err);
    }
done:
    EVP_PKEY_free(key);
    block_clear(&b);
    ERR_clear_error();
    return rc;
}
