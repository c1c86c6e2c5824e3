/*
 * pem.h - within src/crypto: what the reading and the writing of PEM share.
 */
#ifndef NC_CRYPTO_PEM_H
#define NC_CRYPTO_PEM_H

#include "crypto/pk.h"

#include <openssl/x509.h>

enum {
    /* A key file of 1 MiB is no key file. */
    NC_PEM_MAX = 1 << 20,
    /* Some seconds of PBKDF2: who wants more uses a slower function, not a larger number. */
    NC_PBKDF2_MAX = 10000000,
    /* N * r * p of scrypt: openssl writes 2^17; libcrypto's own cap on memory is near. */
    NC_SCRYPT_MAX = 1 << 20,
    NC_PEM_WHAT = 200
};

/*
 * How a PKCS#8 file is encrypted (RFC 8018, RFC 7914; PKCS#12's older ways), as words for people in what:
 * "PBES2: PBKDF2 with hmacWithSHA256, aes-256-cbc". NACRE_KEY_KDF, NACRE_KEY_CIPHER with a sentence in err
 * when it is unknown or would cost too much; nothing has been computed yet.
 */
int nc_pbes_inspect(const X509_ALGOR *alg, char what[NC_PEM_WHAT],
                    nacre_error *err) NACRE_MUST_CHECK;

/* A libcrypto key of ours, owned; NULL when there is none. */
EVP_PKEY *nc_pk_to_evp(const nc_pk *k);

#endif
