/*
 * keydata.h - the fixed key files of tests/data/keys, read whole, and small helpers for key tests.
 */
#ifndef NC_TESTS_KEYDATA_H
#define NC_TESTS_KEYDATA_H

#include "crypto/crypto.h"
#include "nacre/key.h"
#include "nacre/known_hosts.h"

/* A file of tests/data/keys; zero-terminated, release with free(). Fails the test when missing. */
nacre_span keydata_read(const char *name);
void keydata_free(nacre_span s);
/* The public key of <name>.pub. */
nacre_key *keydata_public(const char *name);
/* The private key of <name>, with the passphrase "nacre" at hand. */
nacre_key *keydata_private(const char *name);
nacre_span keydata_passphrase(void);
nacre_span keydata_cstr(const char *s);
/*
 * What the file of a security key holds, of one whose inside is device (P-256 or Ed25519): the public half, and with
 * private_half the handle "handle" and the flags.
 */
nacre_key *keydata_security_key(const nc_pk *device, const char *application, uint8_t flags,
                                bool private_half);

#endif
