/*
 * pktcipher.h - within src/crypto: what a packet-protection mode provides, and the object that it
 * works on. One object is one direction under one set of keys; libcrypto's contexts in it are keyed
 * once, so a packet costs no key schedule and no allocation of ours.
 */
#ifndef NC_CRYPTO_PKTCIPHER_H
#define NC_CRYPTO_PKTCIPHER_H

#include "crypto/hash.h"

typedef struct nc_pktcipher_keys {
    const nc_cipher_alg *alg;
    const nc_mac_alg *mac; /* NULL for the AEADs */
    const uint8_t *key;
    const uint8_t *iv;
    const uint8_t *mac_key;
} nc_pktcipher_keys;

typedef struct nc_pktcipher_mode {
    /* Fills contexts and layout; what it made before failing is freed by nc_pktcipher_free. */
    int (*init)(nc_pktcipher *c, const nc_pktcipher_keys *k) NACRE_MUST_CHECK;
    int (*peek_len)(nc_pktcipher *c, uint32_t seq, uint8_t *packet,
                    uint32_t *packet_length) NACRE_MUST_CHECK;
    int (*open)(nc_pktcipher *c, uint32_t seq, uint8_t *packet,
                uint32_t packet_length) NACRE_MUST_CHECK;
    int (*seal)(nc_pktcipher *c, uint32_t seq, uint8_t *packet,
                uint32_t packet_length) NACRE_MUST_CHECK;
} nc_pktcipher_mode;

struct nc_pktcipher {
    const nc_pktcipher_mode *mode;
    const nacre_allocator *alloc;
    nc_pktcipher_layout layout;
    bool sealing;
    EVP_CIPHER_CTX *data;   /* the packet's body */
    EVP_CIPHER_CTX *length; /* ChaCha20-Poly1305: K_1, the length bytes */
    EVP_MAC_CTX *mac;
    uint8_t iv[16]; /* GCM: fixed field and invocation counter */
};

enum { NC_LENGTH_BYTES = 4, NC_AEAD_TAG = 16 };

extern const nc_pktcipher_mode nc_pktcipher_ctr_mac, nc_pktcipher_ctr_etm, nc_pktcipher_gcm,
    nc_pktcipher_chachapoly;

/* A keyed context; iv NULL where the mode sets one per packet. */
int nc_cipher_ctx_new(EVP_CIPHER_CTX **out, const EVP_CIPHER *cipher, const uint8_t *key,
                      const uint8_t *iv, bool encrypt) NACRE_MUST_CHECK;
/* n bytes in place through a stream mode (packets are far below INT_MAX). */
int nc_cipher_in_place(EVP_CIPHER_CTX *ctx, uint8_t *p, size_t n) NACRE_MUST_CHECK;

#endif
