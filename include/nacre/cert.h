/*
 * nacre/cert.h - OpenSSH certificates (PROTOCOL.certkeys): a key, what it may be used for, and the
 * signature of an authority (CA) over both.
 *
 * A certificate is a nacre_key: nacre_key_from_blob and nacre_key_from_public_line (id_*-cert.pub) read
 * it, nacre_key_type is "ssh-ed25519-cert-v01@openssh.com", nacre_key_label "ED25519-CERT", nacre_key_blob
 * the certificate itself; it equals no plain key. Its fingerprint is that of the key in it, as ssh-keygen -l
 * has it. It verifies and (with a private key attached) signs by the plain algorithms: where
 * "rsa-sha2-512-cert-v01@openssh.com" is negotiated, the signature says "rsa-sha2-512".
 *
 * Reading one checks that it is well-formed and that its CA signed it. It does not say that the CA is to be
 * trusted, nor that the certificate is good here and now: compare nacre_cert_info.ca, and call
 * nacre_cert_check. A server that never heard of certificates stays safe as long as it compares keys.
 */
#ifndef NACRE_CERT_H
#define NACRE_CERT_H

#include "nacre/key.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum nacre_cert_kind { NACRE_CERT_USER = 1, NACRE_CERT_HOST = 2 } nacre_cert_kind;

/* valid_before of a certificate that does not end. */
#define NACRE_CERT_FOREVER UINT64_MAX

/* A view of a certificate; everything in it is borrowed until the key is freed. */
typedef struct nacre_cert_info {
    nacre_cert_kind kind;
    uint64_t serial;
    nacre_span key_id;        /* text for logs; may be empty, never holds a zero byte */
    uint64_t valid_after;     /* seconds since 1970, UTC: the first that counts */
    uint64_t valid_before;    /* the first that no longer counts */
    nacre_span principals;    /* for nacre_cert_next_principal; empty: none are named */
    nacre_span critical;      /* for nacre_cert_next_option */
    nacre_span extensions;    /* for nacre_cert_next_option */
    const nacre_key *ca;      /* who signed */
    const char *ca_algorithm; /* how: "rsa-sha2-512"; static */
} nacre_cert_info;

NACRE_API bool nacre_key_is_cert(const nacre_key *k);
/* NACRE_INVALID_ARGUMENT when it is a plain key. */
NACRE_API int nacre_key_cert_info(const nacre_key *k, nacre_cert_info *out) NACRE_MUST_CHECK;

/* Steps through the names: true and the next one, false at the end. *rest begins as info.principals. */
NACRE_API bool nacre_cert_next_principal(nacre_span *rest, nacre_span *name);
/*
 * Steps through options: "force-command" with its command as data, "permit-pty" with none. The data of an
 * option that has some is a string within a string (PROTOCOL.certkeys); *data is the inner one. Data in another
 * form, as only unknown options may have it, is handed out as it is.
 */
NACRE_API bool nacre_cert_next_option(nacre_span *rest, nacre_span *name, nacre_span *data);

/* The key without its certificate (a private one stays private); of a plain key one more owner's copy. */
NACRE_API int nacre_key_plain(nacre_key **out, const nacre_key *k) NACRE_MUST_CHECK;
/*
 * The key, private or held elsewhere (an agent, an HSM), showing a certificate: what to hand to
 * nacre_transport_auth_publickey, to a server as host key (which then offers the certificate and the plain key),
 * or to nacre_key_sign. NACRE_INVALID_ARGUMENT when cert is no certificate or is for another key.
 */
NACRE_API int nacre_key_attach_cert(nacre_key **out, const nacre_key *key, const nacre_key *cert,
                                    nacre_error *err) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
