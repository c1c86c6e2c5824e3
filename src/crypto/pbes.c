/*
 * pbes.c - what the header of an encrypted PKCS#8 key asks for (RFC 8018, RFC 7914, RFC 7292 appendix
 * C), looked at before anything is computed: names for messages, and caps on the work.
 */
#include "crypto/pem.h"

#include <openssl/objects.h>
#include <stdio.h>
#include <string.h>

static const char *name_of(const ASN1_OBJECT *o)
{
    int nid = OBJ_obj2nid(o);

    return nid == NID_undef ? "an unknown algorithm" : OBJ_nid2ln(nid);
}

/* A positive number up to max; -1: it is another. */
static int64_t small_number(const ASN1_INTEGER *n, int64_t max)
{
    int64_t v = 0;

    return n && ASN1_INTEGER_get_int64(&v, n) == 1 && v >= 1 && v <= max ? v : -1;
}

static int too_many(const char *what, nacre_error *err)
{
    return nc_fail(err, NACRE_KEY_KDF,
                   "PKCS#8 private key (%s): no iterations, or more than the %d that are allowed",
                   what, NC_PBKDF2_MAX);
}

static int inspect_pbkdf2(const X509_ALGOR *kdf, const char *cipher, char *what, nacre_error *err)
{
    PBKDF2PARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), kdf->parameter);
    int rc = NACRE_OK;

    if (!p) {
        return nc_fail(err, NACRE_KEY_FORMAT, "PKCS#8 private key: malformed PBKDF2 parameters");
    }
    /* RFC 8018 A.2: HMAC with SHA-1 when none is named */
    (void)snprintf(what, NC_PEM_WHAT, "PBES2: PBKDF2 with %s, %s",
                   p->prf ? name_of(p->prf->algorithm) : "hmacWithSHA1", cipher);
    if (small_number(p->iter, NC_PBKDF2_MAX) < 0) {
        rc = too_many(what, err);
    }
    PBKDF2PARAM_free(p);
    return rc;
}

static int inspect_scrypt(const X509_ALGOR *kdf, const char *cipher, char *what, nacre_error *err)
{
    SCRYPT_PARAMS *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(SCRYPT_PARAMS), kdf->parameter);
    int rc = NACRE_OK;
    int64_t n;
    int64_t r;
    int64_t par;

    if (!p) {
        return nc_fail(err, NACRE_KEY_FORMAT, "PKCS#8 private key: malformed scrypt parameters");
    }
    (void)snprintf(what, NC_PEM_WHAT, "PBES2: scrypt, %s", cipher);
    n = small_number(p->costParameter, NC_SCRYPT_MAX);
    r = small_number(p->blockSize, NC_SCRYPT_MAX);
    par = small_number(p->parallelizationParameter, NC_SCRYPT_MAX);
    if (n < 0 || r < 0 || par < 0 || n * r > NC_SCRYPT_MAX || n * r * par > NC_SCRYPT_MAX) {
        rc = nc_fail(err, NACRE_KEY_KDF,
                     "PKCS#8 private key (%s): N, r and p of scrypt are zero, or their product is "
                     "above the %d that is allowed",
                     what, NC_SCRYPT_MAX);
    }
    SCRYPT_PARAMS_free(p);
    return rc;
}

static int inspect_pbes2(const X509_ALGOR *alg, char *what, nacre_error *err)
{
    PBE2PARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), alg->parameter);
    const char *cipher;
    int kdf;
    int rc;

    if (!p || !p->keyfunc || !p->encryption) {
        PBE2PARAM_free(p);
        return nc_fail(err, NACRE_KEY_FORMAT, "PKCS#8 private key: malformed PBES2 parameters");
    }
    cipher = name_of(p->encryption->algorithm);
    kdf = OBJ_obj2nid(p->keyfunc->algorithm);
    if (kdf == NID_id_pbkdf2) {
        rc = inspect_pbkdf2(p->keyfunc, cipher, what, err);
    } else if (kdf == NID_id_scrypt) {
        rc = inspect_scrypt(p->keyfunc, cipher, what, err);
    } else {
        rc = nc_fail(err, NACRE_KEY_KDF,
                     "PKCS#8 private key (PBES2, cipher %s): its key derivation %s is not known; "
                     "PBKDF2 and scrypt are",
                     cipher, name_of(p->keyfunc->algorithm));
    }
    if (rc == NACRE_OK && OBJ_obj2nid(p->encryption->algorithm) == NID_undef) {
        rc = nc_fail(err, NACRE_KEY_CIPHER, "PKCS#8 private key (%s): unknown cipher", what);
    }
    PBE2PARAM_free(p);
    return rc;
}

/* PBES1 (RFC 8018 6.1) and PKCS#12's: one object names hash and cipher. */
static int inspect_pbes1(const X509_ALGOR *alg, char *what, nacre_error *err)
{
    PBEPARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), alg->parameter);
    int rc = NACRE_OK;

    (void)snprintf(what, NC_PEM_WHAT, "%s", name_of(alg->algorithm));
    if (!p || OBJ_obj2nid(alg->algorithm) == NID_undef) {
        rc = nc_fail(err, NACRE_KEY_CIPHER,
                     "PKCS#8 private key: encrypted with %s, which is not known; PBES2 is", what);
    } else if (small_number(p->iter, NC_PBKDF2_MAX) < 0) {
        rc = too_many(what, err);
    }
    PBEPARAM_free(p);
    return rc;
}

int nc_pbes_inspect(const X509_ALGOR *alg, char what[NC_PEM_WHAT], nacre_error *err)
{
    what[0] = '\0';
    if (!alg || !alg->algorithm || !alg->parameter) {
        return nc_fail(err, NACRE_KEY_FORMAT, "The encrypted PKCS#8 structure is broken");
    }
    return OBJ_obj2nid(alg->algorithm) == NID_pbes2 ? inspect_pbes2(alg, what, err)
                                                    : inspect_pbes1(alg, what, err);
}
