/*
 * key_ppk.h - what the reading and the writing of PuTTY's private-key files share: the keys that a
 * passphrase gives, and the MAC (PuTTY manual, appendix C).
 */
#ifndef NC_KEYS_KEY_PPK_H
#define NC_KEYS_KEY_PPK_H

#include "keys/key.h"

enum {
    NC_PPK_KEY = 32,   /* AES-256 */
    NC_PPK_IV = 16,    /* and its block */
    NC_PPK_MAC = 32,   /* HMAC-SHA-256; PPK 2: 20 of HMAC-SHA-1 */
    NC_PPK_LINE = 64,  /* base64 */
    NC_PPK_SALT = 1024 /* puttygen writes 16 bytes */
};

/* Everything that stands in the file, as spans. */
typedef struct nc_ppk {
    unsigned version;      /* 2 or 3 */
    nacre_span type;       /* "ssh-ed25519" */
    nacre_span encryption; /* "none" or "aes256-cbc" */
    nacre_span comment;
    nacre_span public_blob;
    nacre_span secret; /* the private part in clear, with its padding */
} nc_ppk;

typedef struct nc_ppk_keys {
    uint8_t cipher[NC_PPK_KEY];
    uint8_t iv[NC_PPK_IV];
    uint8_t mac[NC_PPK_MAC];
    size_t mac_len; /* 0: an empty key */
} nc_ppk_keys;

/* "none": only the MAC's key. argon2 (PPK 3, encrypted): kind, cost and salt. */
int nc_ppk_derive(nc_ppk_keys *k, unsigned version, bool encrypted, nacre_span passphrase,
                  const nc_argon2_params *argon2, const nacre_allocator *a) NACRE_MUST_CHECK;
/* out has room for NC_PPK_MAC bytes; returns how many there are, or a negative status. */
int nc_ppk_mac(const nc_ppk *p, const nc_ppk_keys *k, const nacre_allocator *a, uint8_t *out);
/* AES-256-CBC, the only cipher of these files. */
const nc_file_cipher *nc_ppk_cipher(void);

typedef struct nc_ppk_kdf {
    const char *name; /* as in the file: "Argon2id" */
    nc_argon2_kind kind;
} nc_ppk_kdf;
const nc_ppk_kdf *nc_ppk_find_kdf(nacre_span name); /* any case; NULL: unknown */

#endif
