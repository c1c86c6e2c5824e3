/*
 * cert.h - what other floors may ask of certificates beyond nacre/cert.h: the part of a key object that
 * is its certificate, and the names of public key algorithms.
 *
 * Three kinds of names meet here. A key format stands in blobs ("ssh-rsa", "ssh-rsa-cert-v01@openssh.com"). A
 * signature algorithm stands in signatures ("rsa-sha2-512"). A public key algorithm is negotiated and stands in
 * userauth requests: a signature algorithm's name, or with a certificate its own ("rsa-sha2-512-cert-v01@...").
 */
#ifndef NC_KEYS_CERT_H
#define NC_KEYS_CERT_H

#include "keys/key.h"
#include "nacre/cert.h"

enum {
    /* OpenSSH reads no more names from one certificate, and issues none with more. */
    NC_CERT_MAX_PRINCIPALS = 256,
    /* A host name that is matched with principals: DNS has none above 253. */
    NC_CERT_MAX_HOST = 1024
};

typedef struct nc_cert_type {
    const char *name;  /* "ssh-ed25519-cert-v01@openssh.com" */
    const char *plain; /* the key format inside: "ssh-ed25519" */
    const char *label; /* "ED25519-CERT" */
} nc_cert_type;

const nc_cert_type *nc_cert_type_find(nacre_span name);  /* NULL: not a certificate's */
const nc_cert_type *nc_cert_type_for(const char *plain); /* NULL: no certificates of it */

/* A certificate, shared by the keys that show it. The spans of info point into blob. */
typedef struct nc_cert nc_cert;
nc_cert *nc_cert_ref(nc_cert *c); /* NULL ok */
void nc_cert_free(nc_cert *c);    /* NULL ok */
nacre_span nc_cert_blob(const nc_cert *c);
const nc_cert_type *nc_cert_get_type(const nc_cert *c);

/* Reads a blob whose type name is t's, and checks the CA's signature. */
int nc_cert_key_from_blob(nacre_key **out, const nacre_allocator *a, nacre_span blob,
                          const nc_cert_type *t, nacre_error *err) NACRE_MUST_CHECK;

/* key.c: the certificate of a key (NULL: plain), and its blob without one. */
const nc_cert *nc_key_cert(const nacre_key *k);
nacre_span nc_key_plain_blob(const nacre_key *k);
/* key.c: another object for the same key, showing cert (NULL: none). */
int nc_key_show(nacre_key **out, const nacre_key *k, nc_cert *cert,
                nacre_span comment) NACRE_MUST_CHECK;

/* ---- public key algorithms --------------------------------------------------------------------- */

/*
 * What a public key algorithm's name means: the signature algorithm, and in *cert_type (NULL ok) the
 * certificate type that it demands, or NULL. NULL: unknown.
 */
const nc_sig_alg *nc_pubkey_alg_find(nacre_span name, const nc_cert_type **cert_type);
/*
 * The signature algorithm of that name if the name goes with the key as it is: a certificate's with a
 * certificate, a plain one with a plain key. Else NULL.
 */
const nc_sig_alg *nc_key_pubkey_alg(const nacre_key *k, nacre_span name);
/* The name under which the key is offered when it signs by alg; static. */
const char *nc_key_pubkey_name(const nacre_key *k, const nc_sig_alg *alg);

#endif
