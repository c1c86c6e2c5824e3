/*
 * pk_sk.c - keys that live in a security key (FIDO/U2F; OpenSSH PROTOCOL.u2f). The public half is an
 * ordinary Ed25519 or P-256 key with the name of an application; of the private half a file has only
 * the handle by which the device finds it, so nothing is signed here.
 *
 * Not here: what the device signs instead of the data, flags and counters (src/keys/key_sk.c).
 */
#include "crypto/pk.h"

#include <string.h>

int nc_pk_sk_load(nc_pk *k, const nc_pk_parts *parts, nacre_error *err)
{
    bool handle = k->private_key;
    int rc;

    if (parts->application.n == 0 || memchr(parts->application.p, 0, parts->application.n)) {
        return nc_fail(err, NACRE_BAD_KEY, "A key of a security key without a proper application");
    }
    if (handle && parts->key_handle.n == 0) {
        return nc_fail(err, NACRE_BAD_KEY, "A key of a security key without its key handle");
    }
    k->private_key = false; /* the secret stays in the device */
    rc = k->type == NC_PK_SK_ED25519 ? nc_pk_ed25519_load(k, parts, err)
                                     : nc_pk_ecdsa_load(k, parts, err);
    k->private_key = handle;
    if (rc == NACRE_OK) {
        rc = nc_buf_append(&k->application, parts->application.p, parts->application.n);
    }
    if (rc == NACRE_OK && handle) {
        k->sk_flags = parts->sk_flags;
        rc = nc_buf_append(&k->key_handle, parts->key_handle.p, parts->key_handle.n);
    }
    if (rc == NACRE_OK && handle && parts->sk_reserved.n) {
        rc = nc_buf_append(&k->sk_reserved, parts->sk_reserved.p, parts->sk_reserved.n);
    }
    return rc == NACRE_OK
               ? rc
               : nc_fail(err, rc, "The security key's fields: %s", nacre_status_text(rc));
}

int nc_pk_sk_sign(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nc_buf *sig)
{
    (void)k;
    (void)alg;
    (void)data;
    (void)sig;
    return NACRE_KEY_NEEDS_AGENT;
}

/* The fields need no copy: they live as long as the key, and a key does not change. */
int nc_pk_sk_parts(const nc_pk *k, nc_buf *storage, bool private_key, nc_pk_parts *parts)
{
    size_t at = storage->len;
    int rc = NACRE_OK;

    if (k->type == NC_PK_SK_P256) {
        rc = nc_evp_get_parts(k->pkey, k->type, storage, false, parts);
    } else {
        rc = nc_buf_append(storage, k->ed_public, NC_ED25519_LEN);
        parts->ed_public = nc_span(storage->data + at, rc == NACRE_OK ? NC_ED25519_LEN : 0);
    }
    parts->application = nc_buf_span(&k->application);
    if (private_key) {
        parts->key_handle = nc_buf_span(&k->key_handle);
        parts->sk_reserved = nc_buf_span(&k->sk_reserved);
        parts->sk_flags = k->sk_flags;
    }
    return rc;
}
