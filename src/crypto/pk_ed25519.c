/*
 * pk_ed25519.c - Ed25519 (RFC 8032, RFC 8709). libsodium refuses signatures with S not below the
 * group order and keys of small order.
 */
#include "crypto/pk.h"

#include <sodium.h>
#include <string.h>

int nc_pk_ed25519_load(nc_pk *k, const nc_pk_parts *parts, nacre_error *err)
{
    if (sodium_init() < 0) {
        return nc_fail(err, NACRE_CRYPTO, "libsodium does not start");
    }
    k->bits = 256;
    if (parts->ed_public.n != 0 && parts->ed_public.n != NC_ED25519_LEN) {
        return nc_fail(err, NACRE_BAD_KEY, "An Ed25519 public key has 32 bytes, this one %zu",
                       parts->ed_public.n);
    }
    if (!k->private_key) {
        if (parts->ed_public.n == 0) {
            return nc_fail(err, NACRE_BAD_KEY, "Ed25519 key without its public half");
        }
        memcpy(k->ed_public, parts->ed_public.p, NC_ED25519_LEN);
        return NACRE_OK;
    }
    if (parts->ed_seed.n != NC_ED25519_LEN) {
        return nc_fail(err, NACRE_BAD_KEY, "An Ed25519 private key has 32 bytes, this one %zu",
                       parts->ed_seed.n);
    }
    if (crypto_sign_seed_keypair(k->ed_public, k->ed_secret, parts->ed_seed.p) != 0) {
        return nc_fail(err, NACRE_CRYPTO, "The Ed25519 public key cannot be derived");
    }
    /* Signing with a public half that is not its own gives the private key away. */
    if (parts->ed_public.n != 0 && !nc_ct_equal(k->ed_public, parts->ed_public.p, NC_ED25519_LEN)) {
        return nc_fail(err, NACRE_BAD_KEY,
                       "The public and the private half of the Ed25519 key do not match");
    }
    return NACRE_OK;
}

int nc_pk_ed25519_sign(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nc_buf *sig)
{
    uint8_t out[NC_ED25519_SIG];

    (void)alg;
    if (crypto_sign_detached(out, NULL, data.p, data.n, k->ed_secret) != 0) {
        return NACRE_CRYPTO;
    }
    return nc_buf_append(sig, out, sizeof out);
}

int nc_pk_ed25519_verify(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nacre_span sig)
{
    (void)alg;
    if (sig.n != NC_ED25519_SIG) {
        return NACRE_BAD_SIGNATURE;
    }
    return crypto_sign_verify_detached(sig.p, data.p, data.n, k->ed_public) == 0
               ? NACRE_OK
               : NACRE_BAD_SIGNATURE;
}
