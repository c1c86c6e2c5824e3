#include "crypto_faults.h"

#include <openssl/dsa.h>
#include <openssl/ec.h>
#include <openssl/encoder.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <sodium.h>

#include <stdarg.h>
#include <string.h>

crypto_faults crypto_fault;
static bool armed;

void crypto_faults_begin(unsigned long fail_at, bool negative)
{
    crypto_fault = (crypto_faults){0, fail_at, negative, NULL};
    armed = true;
}

void crypto_faults_end(void)
{
    armed = false;
}

static bool fails(const char *name)
{
    if (!armed || ++crypto_fault.count != crypto_fault.fail_at) {
        return false;
    }
    crypto_fault.failed = name;
    return true;
}

/* A row: what it gives, its name, parameters, arguments, and how it fails. */
#define WRAP(type, name, params, args, failure)                                                    \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        return fails(#name) ? (failure) : __real_##name args;                                      \
    }
#define INT(name, params, args)       WRAP(int, name, params, args, crypto_fault.negative ? -1 : 0)
#define PTR(type, name, params, args) WRAP(type *, name, params, args, NULL)
#define SODIUM(name, params, args)    WRAP(int, name, params, args, -1)

typedef unsigned char byte;

/* ---- random ---- */
INT(RAND_priv_bytes, (byte * out, int n), (out, n))

/* ---- ciphers ---- */
PTR(EVP_CIPHER_CTX, EVP_CIPHER_CTX_new, (void), ())
INT(EVP_CipherInit_ex,
    (EVP_CIPHER_CTX * c, const EVP_CIPHER *t, ENGINE *e, const byte *k, const byte *iv, int enc),
    (c, t, e, k, iv, enc))
INT(EVP_CIPHER_CTX_set_padding, (EVP_CIPHER_CTX * c, int on), (c, on))
INT(EVP_CIPHER_CTX_ctrl, (EVP_CIPHER_CTX * c, int type, int arg, void *p), (c, type, arg, p))
INT(EVP_CipherUpdate, (EVP_CIPHER_CTX * c, byte *out, int *outl, const byte *in, int n),
    (c, out, outl, in, n))
INT(EVP_CipherFinal_ex, (EVP_CIPHER_CTX * c, byte *out, int *outl), (c, out, outl))

/* ---- MACs ---- */
PTR(EVP_MAC, EVP_MAC_fetch, (OSSL_LIB_CTX * l, const char *alg, const char *props), (l, alg, props))
PTR(EVP_MAC_CTX, EVP_MAC_CTX_new, (EVP_MAC * m), (m))
INT(EVP_MAC_init, (EVP_MAC_CTX * c, const byte *key, size_t n, const OSSL_PARAM *p), (c, key, n, p))
INT(EVP_MAC_update, (EVP_MAC_CTX * c, const byte *in, size_t n), (c, in, n))
INT(EVP_MAC_final, (EVP_MAC_CTX * c, byte *out, size_t *n, size_t room), (c, out, n, room))

/* ---- hashes ---- */
PTR(EVP_MD_CTX, EVP_MD_CTX_new, (void), ())
INT(EVP_DigestInit_ex, (EVP_MD_CTX * c, const EVP_MD *t, ENGINE *e), (c, t, e))
INT(EVP_DigestUpdate, (EVP_MD_CTX * c, const void *in, size_t n), (c, in, n))
INT(EVP_DigestFinal_ex, (EVP_MD_CTX * c, byte *out, unsigned *n), (c, out, n))

/* ---- signatures ---- */
INT(EVP_DigestSignInit, (EVP_MD_CTX * c, EVP_PKEY_CTX **p, const EVP_MD *t, ENGINE *e, EVP_PKEY *k),
    (c, p, t, e, k))
INT(EVP_DigestSign, (EVP_MD_CTX * c, byte *sig, size_t *n, const byte *in, size_t len),
    (c, sig, n, in, len))
INT(EVP_DigestVerifyInit,
    (EVP_MD_CTX * c, EVP_PKEY_CTX **p, const EVP_MD *t, ENGINE *e, EVP_PKEY *k), (c, p, t, e, k))
INT(EVP_DigestVerify, (EVP_MD_CTX * c, const byte *sig, size_t n, const byte *in, size_t len),
    (c, sig, n, in, len))
PTR(ECDSA_SIG, d2i_ECDSA_SIG, (ECDSA_SIG * *s, const byte **p, long n), (s, p, n))
PTR(ECDSA_SIG, ECDSA_SIG_new, (void), ())
INT(ECDSA_SIG_set0, (ECDSA_SIG * s, BIGNUM *r, BIGNUM *v), (s, r, v))
WRAP(int, i2d_ECDSA_SIG, (const ECDSA_SIG *s, byte **p), (s, p), -1)

PTR(DSA_SIG, DSA_SIG_new, (void), ())
INT(DSA_SIG_set0, (DSA_SIG * s, BIGNUM *r, BIGNUM *v), (s, r, v))
WRAP(int, i2d_DSA_SIG, (const DSA_SIG *s, byte **p), (s, p), -1)

/* ---- keys ---- */
INT(EVP_PKEY_up_ref, (EVP_PKEY * k), (k))
INT(EVP_PKEY_get_group_name, (const EVP_PKEY *k, char *name, size_t room, size_t *n),
    (k, name, room, n))
INT(EVP_PKEY_get_raw_private_key, (const EVP_PKEY *k, byte *out, size_t *n), (k, out, n))
INT(OSSL_PARAM_BLD_push_BN_pad, (OSSL_PARAM_BLD * b, const char *k, const BIGNUM *n, size_t len),
    (b, k, n, len))

EVP_PKEY *__real_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *l, const char *props, const char *type, ...);
EVP_PKEY *__wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *l, const char *props, const char *type, ...);
EVP_PKEY *__wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *l, const char *props, const char *type, ...)
{
    va_list ap;
    if (fails("EVP_PKEY_Q_keygen")) {
        return NULL;
    }
    va_start(ap, type);
    EVP_PKEY *k =
        strcmp(type, "RSA") == 0  ? __real_EVP_PKEY_Q_keygen(l, props, type, va_arg(ap, size_t))
        : strcmp(type, "EC") == 0 ? __real_EVP_PKEY_Q_keygen(l, props, type, va_arg(ap, char *))
                                  : __real_EVP_PKEY_Q_keygen(l, props, type);
    va_end(ap);
    return k;
}

/* ---- key files ---- */
PTR(EVP_PKEY, EVP_PKCS82PKEY, (const PKCS8_PRIV_KEY_INFO *p), (p))
PTR(PKCS8_PRIV_KEY_INFO, EVP_PKEY2PKCS8, (const EVP_PKEY *k), (k))
PTR(OSSL_ENCODER_CTX, OSSL_ENCODER_CTX_new_for_pkey,
    (const EVP_PKEY *k, int what, const char *type, const char *structure, const char *props),
    (k, what, type, structure, props))
INT(OSSL_ENCODER_to_bio, (OSSL_ENCODER_CTX * c, BIO *out), (c, out))
PTR(X509_ALGOR, PKCS5_pbe2_set_iv,
    (const EVP_CIPHER *t, int n, byte *salt, int salt_n, byte *iv, int prf),
    (t, n, salt, salt_n, iv, prf))
PTR(PKCS8_PRIV_KEY_INFO, PKCS8_decrypt, (const X509_SIG *s, const char *pass, int n), (s, pass, n))
INT(PKCS8_pkey_get0,
    (const ASN1_OBJECT **alg, const byte **p, int *n, const X509_ALGOR **a,
     const PKCS8_PRIV_KEY_INFO *k),
    (alg, p, n, a, k))
PTR(X509_SIG, PKCS8_set0_pbe, (const char *pass, int n, PKCS8_PRIV_KEY_INFO *k, X509_ALGOR *a),
    (pass, n, k, a))
PTR(PKCS8_PRIV_KEY_INFO, d2i_PKCS8_PRIV_KEY_INFO,
    (PKCS8_PRIV_KEY_INFO * *k, const byte **p, long n), (k, p, n))
PTR(EVP_PKEY, d2i_PrivateKey, (int type, EVP_PKEY **k, const byte **p, long n), (type, k, p, n))
PTR(EVP_PKEY, d2i_PublicKey, (int type, EVP_PKEY **k, const byte **p, long n), (type, k, p, n))
PTR(X509_PUBKEY, d2i_X509_PUBKEY, (X509_PUBKEY * *k, const byte **p, long n), (k, p, n))
PTR(X509_SIG, d2i_X509_SIG, (X509_SIG * *s, const byte **p, long n), (s, p, n))
WRAP(int, i2d_PrivateKey, (const EVP_PKEY *k, byte **p), (k, p), -1)
WRAP(int, i2d_PublicKey, (const EVP_PKEY *k, byte **p), (k, p), -1)
PTR(EVP_PKEY_CTX, EVP_PKEY_CTX_new_from_name,
    (OSSL_LIB_CTX * l, const char *name, const char *props), (l, name, props))
INT(EVP_PKEY_fromdata_init, (EVP_PKEY_CTX * c), (c))
INT(EVP_PKEY_fromdata, (EVP_PKEY_CTX * c, EVP_PKEY **k, int what, OSSL_PARAM *p), (c, k, what, p))
PTR(EVP_PKEY, EVP_PKEY_new_raw_public_key, (int type, ENGINE *e, const byte *k, size_t n),
    (type, e, k, n))
PTR(EVP_PKEY, EVP_PKEY_new_raw_private_key, (int type, ENGINE *e, const byte *k, size_t n),
    (type, e, k, n))
INT(EVP_PKEY_get_raw_public_key, (const EVP_PKEY *k, byte *out, size_t *n), (k, out, n))
INT(EVP_PKEY_get_bn_param, (const EVP_PKEY *k, const char *name, BIGNUM **n), (k, name, n))
PTR(OSSL_PARAM_BLD, OSSL_PARAM_BLD_new, (void), ())
PTR(OSSL_PARAM, OSSL_PARAM_BLD_to_param, (OSSL_PARAM_BLD * b), (b))
INT(OSSL_PARAM_BLD_push_BN, (OSSL_PARAM_BLD * b, const char *k, const BIGNUM *n), (b, k, n))
INT(OSSL_PARAM_BLD_push_octet_string, (OSSL_PARAM_BLD * b, const char *k, const void *p, size_t n),
    (b, k, p, n))
INT(OSSL_PARAM_BLD_push_utf8_string, (OSSL_PARAM_BLD * b, const char *k, const char *p, size_t n),
    (b, k, p, n))

/* ---- numbers and curves ---- */
PTR(BIGNUM, BN_dup, (const BIGNUM *n), (n))
INT(BN_div, (BIGNUM * q, BIGNUM *r, const BIGNUM *a, const BIGNUM *d, BN_CTX *c), (q, r, a, d, c))
INT(BN_mul, (BIGNUM * r, const BIGNUM *a, const BIGNUM *b, BN_CTX *c), (r, a, b, c))
INT(BN_mod_mul, (BIGNUM * r, const BIGNUM *a, const BIGNUM *b, const BIGNUM *m, BN_CTX *c),
    (r, a, b, m, c))
INT(BN_mod_exp, (BIGNUM * r, const BIGNUM *a, const BIGNUM *p, const BIGNUM *m, BN_CTX *c),
    (r, a, p, m, c))
INT(BN_sub_word, (BIGNUM * n, BN_ULONG w), (n, w))
PTR(BIGNUM, BN_new, (void), ())
PTR(BN_CTX, BN_CTX_new, (void), ())
PTR(BIGNUM, BN_bin2bn, (const byte *p, int n, BIGNUM *out), (p, n, out))
WRAP(int, BN_bn2binpad, (const BIGNUM *n, byte *out, int len), (n, out, len), -1)
INT(BN_mod_exp_mont_consttime,
    (BIGNUM * r, const BIGNUM *a, const BIGNUM *p, const BIGNUM *m, BN_CTX *c, BN_MONT_CTX *t),
    (r, a, p, m, c, t))
PTR(EC_GROUP, EC_GROUP_new_by_curve_name, (int nid), (nid))
PTR(EC_POINT, EC_POINT_new, (const EC_GROUP *g), (g))
INT(EC_POINT_oct2point, (const EC_GROUP *g, EC_POINT *p, const byte *in, size_t n, BN_CTX *c),
    (g, p, in, n, c))
INT(EC_POINT_mul,
    (const EC_GROUP *g, EC_POINT *r, const BIGNUM *n, const EC_POINT *q, const BIGNUM *m,
     BN_CTX *c),
    (g, r, n, q, m, c))
WRAP(size_t, EC_POINT_point2oct,
     (const EC_GROUP *g, const EC_POINT *p, point_conversion_form_t f, byte *out, size_t n,
      BN_CTX *c),
     (g, p, f, out, n, c), 0)
INT(EC_POINT_is_on_curve, (const EC_GROUP *g, const EC_POINT *p, BN_CTX *c), (g, p, c))

/* ---- libsodium ---- */
SODIUM(crypto_generichash,
       (byte * out, size_t room, const byte *in, unsigned long long n, const byte *k, size_t key_n),
       (out, room, in, n, k, key_n))
SODIUM(crypto_generichash_init,
       (crypto_generichash_state * s, const byte *k, size_t n, size_t room), (s, k, n, room))
SODIUM(crypto_generichash_update,
       (crypto_generichash_state * s, const byte *in, unsigned long long n), (s, in, n))
SODIUM(crypto_generichash_final, (crypto_generichash_state * s, byte *out, size_t n), (s, out, n))
SODIUM(crypto_sign_seed_keypair, (byte * pk, byte *sk, const byte *seed), (pk, sk, seed))
SODIUM(sodium_init, (void), ())
SODIUM(crypto_scalarmult_curve25519, (byte * q, const byte *n, const byte *p), (q, n, p))
SODIUM(crypto_scalarmult_curve25519_base, (byte * q, const byte *n), (q, n))
SODIUM(crypto_sign_detached,
       (byte * sig, unsigned long long *n, const byte *m, unsigned long long len, const byte *sk),
       (sig, n, m, len, sk))
SODIUM(crypto_sign_verify_detached,
       (const byte *sig, const byte *m, unsigned long long len, const byte *pk), (sig, m, len, pk))
SODIUM(crypto_onetimeauth, (byte * out, const byte *in, unsigned long long n, const byte *k),
       (out, in, n, k))
SODIUM(crypto_stream_chacha20, (byte * c, unsigned long long n, const byte *nonce, const byte *k),
       (c, n, nonce, k))
SODIUM(crypto_stream_chacha20_xor_ic,
       (byte * c, const byte *m, unsigned long long n, const byte *nonce, uint64_t ic,
        const byte *k),
       (c, m, n, nonce, ic, k))
