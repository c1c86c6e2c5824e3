/*
 * pk_pem.c - keys in PEM (RFC 7468): PKCS#1 and SEC1 with the old OpenSSL encryption (RFC 1421 headers),
 * PKCS#8 plain and encrypted (RFC 5958, RFC 8018), and public keys. The steps are taken one by one, so
 * that an error can say which of them failed. OpenSSH's own format belongs to the keys floor.
 */
#include "crypto/pem.h"

#include <ctype.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PARTS = 16 * 1024 };

typedef struct pem_block {
    char *label;
    char *header;
    uint8_t *data;
    long len;
    bool encrypted;
    bool insecure; /* DSA too */
    nacre_span passphrase;
    char what[NC_PEM_WHAT]; /* how it is encrypted */
    const char *form;       /* "PEM PKCS#1 private key" */
    nacre_error *err;
} pem_block;

/* What a label means where a private key is wanted, or a public one. */
typedef struct pem_kind {
    const char *label;
    int status; /* NACRE_OK: readable here */
    int evp_type;
    const char *text; /* what it is; for the user, what to do when it is not readable */
} pem_kind;

static const pem_kind private_kinds[] = {
    {"RSA PRIVATE KEY", NACRE_OK, EVP_PKEY_RSA, "PEM PKCS#1 private key"},
    {"EC PRIVATE KEY", NACRE_OK, EVP_PKEY_EC, "PEM SEC1 private key"},
    {"DSA PRIVATE KEY", NACRE_OK, EVP_PKEY_DSA, "PEM DSA private key"},
    {"PRIVATE KEY", NACRE_OK, EVP_PKEY_NONE, "PKCS#8 private key"},
    {"ENCRYPTED PRIVATE KEY", NACRE_OK, EVP_PKEY_NONE, "PKCS#8 private key"},
    {"OPENSSH PRIVATE KEY", NACRE_KEY_FORMAT, 0, "This is OpenSSH's own key format, not PEM"},
    {"PUBLIC KEY", NACRE_NOT_PRIVATE, 0, "The file holds a public key, not a private one"},
    {"RSA PUBLIC KEY", NACRE_NOT_PRIVATE, 0, "The file holds a public key, not a private one"},
    {"SSH2 PUBLIC KEY", NACRE_NOT_PRIVATE, 0, "The file holds a public key, not a private one"},
    {"CERTIFICATE", NACRE_NOT_PRIVATE, 0, "The file holds an X.509 certificate, not a private key"},
    {NULL, 0, 0, NULL},
};

static const pem_kind public_kinds[] = {
    {"PUBLIC KEY", NACRE_OK, EVP_PKEY_NONE, "PKCS#8 public key"},
    {"RSA PUBLIC KEY", NACRE_OK, EVP_PKEY_RSA, "PEM PKCS#1 public key"},
    {NULL, 0, 0, NULL},
};

static const pem_kind *kind_of(const pem_kind *kinds, const char *label)
{
    while (kinds->label && strcmp(kinds->label, label) != 0) {
        kinds++;
    }
    return kinds->label ? kinds : NULL;
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

    if (pem.n > NC_PEM_MAX) {
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
                       "The %s is encrypted (%s) and needs a passphrase", b->form, b->what);
    }
    return NACRE_OK;
}

static int wrong_passphrase(pem_block *b)
{
    return nc_fail(b->err, NACRE_WRONG_PASSPHRASE, "The passphrase does not open the %s (%s)",
                   b->form, b->what);
}

/* The cipher that DEK-Info names, in small letters as others write it; and MD5, which makes the key. */
static void describe_headers(pem_block *b)
{
    const char *at = strstr(b->header, "DEK-Info: ");
    char name[40] = "";
    size_t n = 0;

    at = at ? at + strlen("DEK-Info: ") : "";
    while (n + 1 < sizeof name && (isalnum((unsigned char)at[n]) || at[n] == '-')) {
        name[n] = (char)tolower((unsigned char)at[n]);
        n++;
    }
    (void)snprintf(b->what, sizeof b->what, "%s, MD5", n ? name : "no cipher named");
}

/* RFC 1421 style: Proc-Type and DEK-Info headers. Decrypts b->data in place. */
static int open_headers(pem_block *b)
{
    EVP_CIPHER_INFO info;
    int rc;

    if (!b->header || b->header[0] == '\0') {
        return NACRE_OK;
    }
    describe_headers(b);
    memset(&info, 0, sizeof info);
    if (PEM_get_EVP_CIPHER_INFO(b->header, &info) != 1) {
        return nc_fail(b->err, NACRE_KEY_CIPHER,
                       "The %s is encrypted with a cipher that is not known (%s)", b->form,
                       b->what);
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

/*
 * libcrypto takes the bytes of an RSA number for its magnitude, whatever their sign and padding. One key
 * has one encoding here: what it would write must be what stood there.
 */
static int check_numbers(const pem_block *b, EVP_PKEY *key, bool private_key, nacre_span der)
{
    uint8_t *again = NULL;
    int n;
    bool same;

    if (!EVP_PKEY_is_a(key, "RSA")) {
        return NACRE_OK;
    }
    n = private_key ? i2d_PrivateKey(key, &again) : i2d_PublicKey(key, &again);
    same = n > 0 && nc_span_eq(nc_span(again, (size_t)n), der);
    OPENSSL_clear_free(again, n > 0 ? (size_t)n : 0);
    return same ? NACRE_OK
                : nc_fail(b->err, NACRE_BAD_KEY,
                          "The numbers of the %s are negative, padded, or not in DER", b->form);
}

static int open_sealed(pem_block *b, PKCS8_PRIV_KEY_INFO **info)
{
    const uint8_t *p = b->data;
    X509_SIG *sealed = d2i_X509_SIG(NULL, &p, b->len);
    const X509_ALGOR *alg = NULL;
    int rc;

    if (!sealed) {
        return nc_fail(b->err, NACRE_KEY_FORMAT, "The encrypted PKCS#8 structure is broken");
    }
    X509_SIG_get0(sealed, &alg, NULL);
    rc = nc_pbes_inspect(alg, b->what, b->err);
    if (rc == NACRE_OK) {
        rc = need_passphrase(b);
    }
    if (rc == NACRE_OK) {
        ERR_clear_error();
        *info = PKCS8_decrypt(sealed, (const char *)b->passphrase.p, (int)b->passphrase.n);
        if (!*info && cipher_unknown()) {
            rc = nc_fail(b->err, NACRE_KEY_CIPHER,
                         "The PKCS#8 private key is encrypted in a way that is not supported (%s)",
                         b->what);
        } else if (!*info) {
            rc = wrong_passphrase(b);
        }
    }
    X509_SIG_free(sealed);
    return rc;
}

static int open_pkcs8(pem_block *b, EVP_PKEY **key)
{
    const uint8_t *p = b->data;
    PKCS8_PRIV_KEY_INFO *info = NULL;
    int n = 0;
    int rc = NACRE_OK;

    if (strcmp(b->label, "ENCRYPTED PRIVATE KEY") == 0) {
        rc = open_sealed(b, &info);
    } else {
        info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, b->len);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    if (!info) {
        return nc_fail(b->err, NACRE_KEY_FORMAT, "The PKCS#8 structure is broken");
    }
    *key = EVP_PKCS82PKEY(info);
    if (!*key) {
        rc = nc_fail(b->err, NACRE_UNSUPPORTED,
                     "The PKCS#8 key is broken or of a type that libcrypto does not know");
    } else if (PKCS8_pkey_get0(NULL, &p, &n, NULL, info) == 1) {
        rc = check_numbers(b, *key, true, nc_span(p, n > 0 ? (size_t)n : 0));
    } else {
        rc = nc_fail(b->err, NACRE_KEY_FORMAT, "The PKCS#8 structure is broken");
    }
    PKCS8_PRIV_KEY_INFO_free(info);
    return rc;
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
        return check_numbers(b, *key, true, nc_span(b->data, (size_t)b->len));
    }
    /* One wrong passphrase in 256 leaves padding that looks right and an encoding that does not. */
    return b->encrypted
               ? wrong_passphrase(b)
               : nc_fail(b->err, NACRE_KEY_FORMAT, "The ASN.1 of the %s is broken", b->form);
}

/* SubjectPublicKeyInfo; the key inside is what PKCS#1 has alone. */
static int open_info(pem_block *b, EVP_PKEY **key)
{
    const uint8_t *p = b->data;
    const uint8_t *inner = NULL;
    int n = 0;
    X509_PUBKEY *info = d2i_X509_PUBKEY(NULL, &p, b->len);
    int rc = NACRE_KEY_FORMAT;

    *key = info && p == b->data + b->len ? X509_PUBKEY_get(info) : NULL;
    if (*key && X509_PUBKEY_get0_param(NULL, &inner, &n, NULL, info) == 1) {
        rc = check_numbers(b, *key, false, nc_span(inner, n > 0 ? (size_t)n : 0));
    }
    X509_PUBKEY_free(info);
    return rc;
}

static int open_public(pem_block *b, int evp_type, EVP_PKEY **key)
{
    const uint8_t *p = b->data;
    int rc;

    if (evp_type == EVP_PKEY_NONE) {
        rc = open_info(b, key);
    } else {
        *key = d2i_PublicKey(evp_type, NULL, &p, b->len);
        rc = *key ? check_numbers(b, *key, false, nc_span(b->data, (size_t)b->len))
                  : NACRE_KEY_FORMAT;
    }
    return rc == NACRE_OK
               ? rc
               : nc_fail(b->err, rc,
                         "The ASN.1 of the %s is broken, or its type is not known to libcrypto",
                         b->form);
}

static int refuse_dsa(nacre_error *err)
{
    return nc_fail(
        err, NACRE_UNSUPPORTED,
        "This is a DSA key; DSA is no longer secure and not accepted. Make a new key, for "
        "instance of type ed25519");
}

static int convert(nc_pk **out, const nacre_allocator *a, EVP_PKEY *key, bool private_key,
                   bool insecure, nacre_error *err)
{
    nc_pk_parts parts = {0};
    nc_pk_type type;
    nc_buf storage;
    int rc;

    if (!nc_evp_type(key, &type)) {
        const char *name = EVP_PKEY_get0_type_name(key);

        return nc_fail(err, NACRE_UNSUPPORTED,
                       "A key of type %s is not supported for SSH (RSA, ECDSA on the NIST "
                       "curves P-256, P-384, P-521, and Ed25519 are)",
                       name ? name : "unknown");
    }
    if (type == NC_PK_DSA && !insecure) {
        return refuse_dsa(err);
    }
    nc_buf_init(&storage, a, MAX_PARTS);
    rc = nc_evp_get_parts(key, type, &storage, private_key, &parts);
    if (rc == NACRE_OK) {
        rc = nc_pk_from_parts(out, a, &parts, private_key, err);
    } else {
        rc = nc_fail(err, rc, "The key cannot be taken from its PEM form");
    }
    nc_buf_clear(&storage);
    return rc;
}

static int open_kind(pem_block *b, const pem_kind *kinds, EVP_PKEY **key)
{
    bool secret = kinds == private_kinds;
    const pem_kind *kind = kind_of(kinds, b->label);

    if (!kind || kind->status != NACRE_OK) {
        return kind ? nc_fail(b->err, kind->status, "%s", kind->text)
                    : nc_fail(b->err, NACRE_KEY_FORMAT, "A PEM file of type \"%s\" is not a %s key",
                              NC_ESC(nc_span_cstr(b->label)), secret ? "private" : "public");
    }
    b->form = kind->text;
    if (kind->evp_type == EVP_PKEY_DSA && !b->insecure) {
        return refuse_dsa(b->err);
    }
    if (!secret) {
        return open_public(b, kind->evp_type, key);
    }
    return kind->evp_type == EVP_PKEY_NONE ? open_pkcs8(b, key)
                                           : open_traditional(b, kind->evp_type, key);
}

static int from_pem(nc_pk **out, const nacre_allocator *a, nacre_span pem, pem_block *b,
                    const pem_kind *kinds)
{
    EVP_PKEY *key = NULL;
    int rc;

    *out = NULL;
    if (b->passphrase.n > PEM_BUFSIZE) {
        return nc_fail(b->err, NACRE_WRONG_PASSPHRASE,
                       "A passphrase of more than %d bytes opens no PEM file", PEM_BUFSIZE);
    }
    rc = read_block(b, pem);
    if (rc == NACRE_OK) {
        rc = open_kind(b, kinds, &key);
    }
    if (rc == NACRE_OK) {
        rc = convert(out, a, key, kinds == private_kinds, b->insecure, b->err);
    }
    EVP_PKEY_free(key);
    block_clear(b);
    ERR_clear_error();
    return rc;
}

int nc_pk_from_pem(nc_pk **out, const nacre_allocator *a, nacre_span pem, nacre_span passphrase,
                   bool insecure, nacre_error *err)
{
    pem_block b = {.passphrase = passphrase, .insecure = insecure, .err = err};

    return from_pem(out, a, pem, &b, private_kinds);
}

int nc_pk_from_public_pem(nc_pk **out, const nacre_allocator *a, nacre_span pem, bool insecure,
                          nacre_error *err)
{
    pem_block b = {.insecure = insecure, .err = err};

    return from_pem(out, a, pem, &b, public_kinds);
}
