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

#include "nacre/authorized_keys.h"
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

/* ---- is it good here and now? ------------------------------------------------------------------- */

/* What a user certificate's options say (PROTOCOL.certkeys); spans are borrowed until the key is freed. */
typedef struct nacre_cert_grant {
    uint32_t may;              /* NACRE_MAY_*: only what a permit- extension gives */
    nacre_span force_command;  /* p NULL: none is forced; else not empty */
    nacre_span source_address; /* p NULL: from anywhere; a list that is well-formed */
    bool verify_required;      /* the device must have verified its user */
    bool no_touch_required;    /* a signature without the user's presence is enough */
} nacre_cert_grant;

/*
 * NACRE_OK and *out. NACRE_CERT_REFUSED for a critical option that is unknown, for a known option whose data
 * is malformed, and for one that limits and stands there twice; unknown extensions are passed over, as
 * PROTOCOL.certkeys asks. A plain key or a host certificate: NACRE_INVALID_ARGUMENT.
 */
NACRE_API int nacre_cert_options(const nacre_key *cert, nacre_cert_grant *out,
                                 nacre_error *why) NACRE_MUST_CHECK;

/* What is asked of a certificate. Fill with nacre_cert_rules_init, then change fields. All borrowed. */
typedef struct nacre_cert_rules {
    size_t size;          /* set by nacre_cert_rules_init */
    nacre_cert_kind kind; /* the other kind is refused */
    /*
     * Who wants to use it. A user's name must be one of the principals, byte for byte; a host's name must
     * match one of them as a pattern ("*" and "?"; the name is taken in lower case). NULL: the caller compares
     * names itself. A certificate without principals is good for nobody either way, as with OpenSSH 10.3.
     */
    const char *principal;
    uint64_t now; /* seconds since 1970, UTC; 0: no clock, so that nothing is valid */
    const char
        *peer_address; /* numeric, for source-address; NULL: not known, so that it fits none */
    /*
     * Pattern list of signature algorithms that CAs may use (CASignatureAlgorithms; NACRE_ALG_CA_SIGNATURE lists
     * what there is). NULL: every one that is supported and secure; SHA-1 is not.
     */
    const char *ca_algorithms;
    bool user_verified; /* the signature in hand shows it, as verify-required demands */
} nacre_cert_rules;
NACRE_API void nacre_cert_rules_init(nacre_cert_rules *rules, nacre_cert_kind kind);

/*
 * NACRE_OK when the certificate may be used so; NACRE_CERT_REFUSED and in *why (NULL ok) the reason. Host
 * certificates with critical options are refused, since none are defined. Not asked here: whether the CA is
 * trusted, and whether it or the key is revoked (krl.h).
 */
NACRE_API int nacre_cert_check(const nacre_key *cert, const nacre_cert_rules *rules,
                               nacre_error *why) NACRE_MUST_CHECK;

/* ---- issuing ------------------------------------------------------------------------------------ */

typedef struct nacre_cert_option {
    nacre_span name; /* "force-command", "permit-pty", "name@domain" */
    nacre_span data; /* what it says; p NULL: a mere flag */
} nacre_cert_option;

/* What a certificate shall say. Fill with nacre_cert_request_init, then change fields. All borrowed. */
typedef struct nacre_cert_request {
    size_t size; /* set by nacre_cert_request_init */
    nacre_cert_kind kind;
    uint64_t serial;
    nacre_span key_id;
    const nacre_span *principals; /* at most 256; none: a certificate that is good for nobody */
    size_t principal_count;
    uint64_t valid_after;  /* default 0 */
    uint64_t valid_before; /* default NACRE_CERT_FOREVER; must lie behind valid_after */
    const nacre_cert_option *critical, *extensions; /* in any order; written sorted by name */
    size_t critical_count, extension_count;
    const char *algorithm; /* the CA's signature algorithm; NULL: the best of its key */
    nacre_sign_fn sign;    /* NULL: nacre_key_sign, for which the CA key must be private */
    void *sign_user;
    nacre_random_fn random; /* for the nonce; NULL: libcrypto's generator */
    void *random_user;
} nacre_cert_request;
NACRE_API void nacre_cert_request_init(nacre_cert_request *r, nacre_cert_kind kind);

/*
 * Makes a certificate for subject, signed by ca: *out (owned) is subject showing it. What the CA made is read
 * again and verified before it is handed out. NACRE_INVALID_ARGUMENT for names that hold a zero byte or are
 * empty, options that stand there twice, a validity that ends before it begins, or a CA that is a certificate;
 * NACRE_TOO_LARGE; NACRE_UNKNOWN_NAME when the algorithm does not go with the CA's key.
 */
NACRE_API int nacre_cert_issue(nacre_key **out, const nacre_key *subject, const nacre_key *ca,
                               const nacre_cert_request *request,
                               nacre_error *err) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
