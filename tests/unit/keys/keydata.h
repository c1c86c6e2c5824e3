/*
 * keydata.h - the fixed key files of tests/data/keys, read whole, and small helpers for key tests.
 */
#ifndef NC_TESTS_KEYDATA_H
#define NC_TESTS_KEYDATA_H

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

#endif
