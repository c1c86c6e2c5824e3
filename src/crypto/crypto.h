/*
 * crypto.h - what the floors above may ask of cryptography. Only files of this folder include
 * libcrypto or libsodium headers; everything here is a const descriptor or an opaque object.
 *
 * Every function that can fail says so with a nacre_status and must be checked. A primitive that
 * fails for whatever reason yields NACRE_CRYPTO (or the more specific status named), never success.
 */
#ifndef NC_CRYPTO_CRYPTO_H
#define NC_CRYPTO_CRYPTO_H

#include "base/buf.h"
#include "base/error.h"

/* ---- randomness ------------------------------------------------------------------------------ */

typedef struct nc_random {
    nacre_random_fn fn; /* NULL: libcrypto's generator */
    void *user;
} nc_random;

int nc_random_bytes(const nc_random *r, uint8_t *out, size_t n) NACRE_MUST_CHECK;

/* ---- hashes ---------------------------------------------------------------------------------- */

enum { NC_MAX_HASH = 64 };

typedef enum nc_hash_id { NC_MD5, NC_SHA1, NC_SHA224, NC_SHA256, NC_SHA384, NC_SHA512 } nc_hash_id;

typedef struct nc_hash_alg {
    const char *name; /* "SHA256": as fingerprints spell it */
    nc_hash_id id;
    size_t len;
    size_t block;
} nc_hash_alg;

const nc_hash_alg *nc_hash_get(nc_hash_id id); /* never NULL */
const nc_hash_alg *
nc_hash_find(const char *name); /* case-insensitive "sha256", "md5"; NULL: unknown */

/* One shot over any number of pieces. out has room for alg->len. */
int nc_hash(const nc_hash_alg *alg, const nacre_span *pieces, size_t count,
            uint8_t *out) NACRE_MUST_CHECK;

/* Incremental (file hashes, transcripts). */
typedef struct nc_hasher nc_hasher;
int nc_hasher_new(nc_hasher **out, const nacre_allocator *a,
                  const nc_hash_alg *alg) NACRE_MUST_CHECK;
int nc_hasher_update(nc_hasher *h, nacre_span data) NACRE_MUST_CHECK;
int nc_hasher_final(nc_hasher *h, uint8_t *out) NACRE_MUST_CHECK; /* then starts anew */
void nc_hasher_free(nc_hasher *h);

int nc_hmac(const nc_hash_alg *alg, nacre_span key, const nacre_span *pieces, size_t count,
            uint8_t *out) NACRE_MUST_CHECK;

/* ---- packet protection (RFC 4253 6, RFC 5647, OpenSSH PROTOCOL 1.5-1.7) ------------------------ */

typedef struct nc_mac_alg {
    const char *name;
    const nc_hash_alg *hash;
    size_t key_len;
    size_t tag_len;
    bool etm; /* encrypt-then-mac: length in clear, tag over ciphertext */
} nc_mac_alg;

typedef enum nc_cipher_mode {
    NC_MODE_NONE,
    NC_MODE_CTR,
    NC_MODE_GCM,
    NC_MODE_CHACHAPOLY
} nc_cipher_mode;

typedef struct nc_cipher_alg {
    const char *name;
    nc_cipher_mode mode;
    size_t key_len;
    size_t iv_len;
    size_t block;   /* padding multiple, at least 8 */
    size_t tag_len; /* AEAD tag; 0: a MAC is negotiated apart */
} nc_cipher_alg;

/* Every algorithm that this build supports, NULL-terminated, in OpenSSH's order of preference. */
extern const nc_cipher_alg *const nc_cipher_algs[]; /* without "none" */
extern const nc_mac_alg *const nc_mac_algs[];
extern const nc_cipher_alg nc_cipher_none;

/* One direction of a connection under one set of keys: one MODE, so the packet path is one line. */
typedef struct nc_pktcipher nc_pktcipher;

typedef struct nc_pktcipher_layout {
    size_t block;   /* padding multiple */
    size_t tag_len; /* bytes behind the packet */
    size_t
        head_len; /* bytes needed before peek_len can tell the length: 4, or block for MAC-then... */
    bool
        length_apart; /* the 4 length bytes do not count towards the padding multiple (AEAD, EtM) */
} nc_pktcipher_layout;

/*
 * alg NULL or &nc_cipher_none gives the cleartext mode of the first packets. mac is ignored for AEAD.
 * key, iv, mac_key are at least as long as the descriptors say. seal: true for the sending side.
 */
int nc_pktcipher_new(nc_pktcipher **out, const nacre_allocator *a, const nc_cipher_alg *alg,
                     const nc_mac_alg *mac, const uint8_t *key, const uint8_t *iv,
                     const uint8_t *mac_key, bool seal) NACRE_MUST_CHECK;
void nc_pktcipher_free(nc_pktcipher *c); /* wipes; NULL ok */
const nc_pktcipher_layout *nc_pktcipher_get_layout(const nc_pktcipher *c);

/*
 * packet points at the 4 length bytes; layout.head_len bytes are there. Tells packet_length. May
 * decrypt head in place (CTR with MAC): called exactly once per packet, before open.
 */
int nc_pktcipher_peek_len(nc_pktcipher *c, uint32_t seq, uint8_t *packet,
                          uint32_t *packet_length) NACRE_MUST_CHECK;
/*
 * Verifies the tag at packet + 4 + packet_length and decrypts in place; where the mode allows it, the
 * tag is checked first. NACRE_INTEGRITY when it does not match: the plaintext must not be used.
 */
int nc_pktcipher_open(nc_pktcipher *c, uint32_t seq, uint8_t *packet,
                      uint32_t packet_length) NACRE_MUST_CHECK;
/* Encrypts in place and writes tag_len bytes behind. The length bytes are filled in already. */
int nc_pktcipher_seal(nc_pktcipher *c, uint32_t seq, uint8_t *packet,
                      uint32_t packet_length) NACRE_MUST_CHECK;

/* ---- key agreement, seen as a KEM ---------------------------------------------------------------
 *
 * Every exchange with one message each way is: the client makes a key pair and sends the public half;
 * the server answers with its own value and both know the secret. (EC)DH, X25519 and the
 * post-quantum hybrids all fit, so a new method is a row here and a row in the kex table.
 *
 * Public values are the bytes inside the wire's string or mpint. The secret is appended to *secret as
 * it enters the exchange hash: with its length, as mpint (RFC 4253 8, RFC 8731) or as string (hybrids).
 */
typedef struct nc_kem nc_kem; /* the client's key pair, between start and finish */

typedef struct nc_kem_alg nc_kem_alg;
struct nc_kem_alg {
    const char *name; /* "x25519", "p256", "dh-group14" */
    /* client: makes a pair, appends the public value */
    int (*start)(const nc_kem_alg *alg, const nacre_allocator *a, const nc_random *rnd,
                 nc_kem **out, nc_buf *public_value) NACRE_MUST_CHECK;
    /* server: appends its public value and the secret; NACRE_KEX_FAILED for an invalid peer value */
    int (*respond)(const nc_kem_alg *alg, const nacre_allocator *a, const nc_random *rnd,
                   nacre_span peer, nc_buf *public_value, nc_buf *secret) NACRE_MUST_CHECK;
    /* client: appends the secret */
    int (*finish)(nc_kem *kem, nacre_span peer, nc_buf *secret) NACRE_MUST_CHECK;
    const void *params;
};
void nc_kem_free(nc_kem *kem); /* wipes; NULL ok */

extern const nc_kem_alg nc_kem_x25519, nc_kem_p256, nc_kem_p384, nc_kem_p521;
/* Post-quantum hybrids (draft-ietf-sshm-mlkem-hybrid-kex, RFC 9941); their secret is a string. */
extern const nc_kem_alg nc_kem_mlkem768x25519, nc_kem_sntrup761x25519;
extern const nc_kem_alg nc_kem_mlkem768nistp256, nc_kem_mlkem1024nistp384;
extern const nc_kem_alg nc_kem_group14, nc_kem_group16, nc_kem_group18;

/* Diffie-Hellman in a group given at run time (RFC 4419). */
typedef struct nc_dh_group {
    nacre_span p; /* magnitude, big-endian */
    nacre_span g;
} nc_dh_group;
/* A KEM over a copy of the group; free with nc_dh_kem_free. Checks size, oddness, 1 < g < p-1. */
int nc_dh_kem_new(const nc_kem_alg **out, const nacre_allocator *a, const nc_dh_group *group,
                  uint32_t min_bits, uint32_t max_bits) NACRE_MUST_CHECK;
void nc_dh_kem_free(const nacre_allocator *a, const nc_kem_alg *alg);
/* The smallest built-in safe-prime group of at least bits (RFC 3526: 2048, 3072, 4096, 6144, 8192). */
const nc_dh_group *nc_dh_builtin_group(uint32_t min, uint32_t preferred,
                                       uint32_t max); /* NULL: none */

/* ---- signatures -------------------------------------------------------------------------------- */

typedef enum nc_pk_type {
    NC_PK_RSA,
    NC_PK_P256,
    NC_PK_P384,
    NC_PK_P521,
    NC_PK_ED25519,
    /* Security keys: what the device signs is put together on the keys floor (PROTOCOL.u2f). */
    NC_PK_SK_ED25519,
    NC_PK_SK_P256,
    NC_PK_DSA /* verifies; never signs, never made */
} nc_pk_type;

/* A signature algorithm by its SSH name. */
typedef struct nc_sig_alg {
    const char *name;        /* "rsa-sha2-512" */
    const char *key_name;    /* the key format it goes with: "ssh-rsa" */
    const nc_hash_alg *hash; /* NULL for Ed25519 */
    bool insecure;           /* SHA-1: only when asked for by name */
    bool webauthn;           /* the signature carries what a browser signed (PROTOCOL.u2f) */
} nc_sig_alg;
extern const nc_sig_alg *const nc_sig_algs[];   /* NULL-terminated, in order of preference */
const nc_sig_alg *nc_sig_find(nacre_span name); /* NULL: unknown */

/* A key, public or private, immutable once made (so many connections and threads may share it). */
typedef struct nc_pk nc_pk;

/* Numbers are magnitudes, big-endian. What a type does not have stays empty. */
typedef struct nc_pk_parts {
    nc_pk_type type;
    nacre_span n, e, d, p, q, iqmp; /* RSA (RFC 8017); d..iqmp private */
    nacre_span point;               /* ECDSA: uncompressed point (RFC 5656 3.1) */
    nacre_span scalar;              /* ECDSA: private */
    nacre_span ed_public;           /* Ed25519: 32 bytes */
    nacre_span ed_seed;             /* Ed25519: 32 bytes, private */
    nacre_span g, y, x;             /* DSA, beside p and q; x private */
    nacre_span application;         /* security keys: "ssh:" */
    nacre_span key_handle;          /* security keys, private: what the device finds its key by */
    nacre_span sk_reserved;         /* security keys, private */
    uint8_t sk_flags; /* security keys, private: 0x01 asks for a touch, 0x04 for a PIN */
} nc_pk_parts;

/* Checks everything that can be checked: sizes (RSA 1024..16384), point on curve, halves that match. */
int nc_pk_from_parts(nc_pk **out, const nacre_allocator *a, const nc_pk_parts *parts,
                     bool private_key, nacre_error *err) NACRE_MUST_CHECK;
/* The parts of a key, appended to storage (spans in *parts point into it: do not touch it after). */
int nc_pk_get_parts(const nc_pk *k, nc_buf *storage, bool private_key,
                    nc_pk_parts *parts) NACRE_MUST_CHECK;
int nc_pk_generate(nc_pk **out, const nacre_allocator *a, nc_pk_type type,
                   uint32_t bits) NACRE_MUST_CHECK;
/*
 * PEM: PKCS#1, SEC1, PKCS#8, encrypted or not. passphrase.p NULL: none was given. insecure: DSA too.
 */
int nc_pk_from_pem(nc_pk **out, const nacre_allocator *a, nacre_span pem, nacre_span passphrase,
                   bool insecure, nacre_error *err) NACRE_MUST_CHECK;
/* "PUBLIC KEY" and "RSA PUBLIC KEY". */
int nc_pk_from_public_pem(nc_pk **out, const nacre_allocator *a, nacre_span pem, bool insecure,
                          nacre_error *err) NACRE_MUST_CHECK;

typedef enum nc_pem_kind {
    NC_PEM_TRADITIONAL, /* PKCS#1, SEC1 */
    NC_PEM_PKCS8,
    NC_PEM_PUBLIC,      /* SubjectPublicKeyInfo */
    NC_PEM_PUBLIC_PKCS1 /* RSA; ECDSA as PUBLIC */
} nc_pem_kind;
typedef struct nc_pem_options {
    nacre_span passphrase; /* empty: not encrypted */
    const char *cipher;    /* "aes256-cbc"; NULL: the kind's own */
    uint32_t iterations;   /* PBKDF2; 0: 100000 */
} nc_pem_options;
/* Appends the text. */
int nc_pk_to_pem(const nc_pk *k, nc_pem_kind kind, const nc_pem_options *o, nc_buf *out,
                 nacre_error *err) NACRE_MUST_CHECK;
void nc_pk_free(nc_pk *k);
nc_pk_type nc_pk_get_type(const nc_pk *k);
uint32_t nc_pk_bits(const nc_pk *k);
bool nc_pk_is_private(const nc_pk *k);
bool nc_pk_is_sk(const nc_pk *k);             /* of a security key */
nacre_span nc_pk_application(const nc_pk *k); /* of a security key; else empty */

/*
 * The inner signature (what follows the algorithm name in an SSH signature blob: RSA, Ed25519 the raw
 * bytes, ECDSA mpint r, mpint s) is appended to sig. RSA signatures are verified before they leave.
 * NACRE_KEY_NEEDS_AGENT for a security key, NACRE_UNSUPPORTED for DSA.
 */
int nc_pk_sign(const nc_pk *k, const nc_sig_alg *alg, nacre_span data,
               nc_buf *sig) NACRE_MUST_CHECK;
/* NACRE_OK only for a good signature by this key with this algorithm; NACRE_BAD_SIGNATURE otherwise. */
int nc_pk_verify(const nc_pk *k, const nc_sig_alg *alg, nacre_span data,
                 nacre_span sig) NACRE_MUST_CHECK;

/* ---- key files --------------------------------------------------------------------------------- */

/* bcrypt_pbkdf as OpenSSH's private-key format uses it (PROTOCOL.key). */
int nc_bcrypt_pbkdf(nacre_span passphrase, nacre_span salt, uint32_t rounds, uint8_t *out,
                    size_t n) NACRE_MUST_CHECK;

/* Argon2 (RFC 9106), version 0x13; PuTTY's key files use it. The numbers of the kinds are the RFC's. */
typedef enum nc_argon2_kind { NC_ARGON2D, NC_ARGON2I, NC_ARGON2ID } nc_argon2_kind;
enum {
    /* A key file must not take the memory of others: 64 times what puttygen writes. */
    NC_ARGON2_MAX_MEMORY = 512 * 1024, /* KiB */
    NC_ARGON2_MAX_LANES = 64,
    /* Passes times memory: some twenty seconds. */
    NC_ARGON2_MAX_WORK = 16 * 1024 * 1024 /* KiB */
};
typedef struct nc_argon2_params {
    nc_argon2_kind kind;
    uint32_t memory_kib, passes, parallelism;
    nacre_span password, salt; /* salt: 8 bytes at least */
    nacre_span secret, data;   /* mostly empty */
} nc_argon2_params;
/* Whether memory, passes and lanes are within the RFC's bounds and the caps above. */
bool nc_argon2_affordable(const nc_argon2_params *p);
/* 4 to 1024 bytes. NACRE_LIMIT when not affordable. The memory comes from the allocator. */
int nc_argon2(const nc_argon2_params *p, const nacre_allocator *a, uint8_t *out,
              size_t n) NACRE_MUST_CHECK;

/* A cipher that protects key files. tag is 0 or the AEAD's. */
typedef struct nc_file_cipher {
    const char *name; /* "aes256-ctr" as PROTOCOL.key names it */
    size_t key_len, iv_len, block, tag_len;
    bool read_only; /* opens old files; no new one is written with it */
} nc_file_cipher;
extern const nc_file_cipher *const nc_file_ciphers[];
/* In place over data.n bytes (a multiple of block); the AEADs read or write tag. */
int nc_file_decrypt(const nc_file_cipher *c, const uint8_t *key, const uint8_t *iv, nacre_room data,
                    const uint8_t *tag) NACRE_MUST_CHECK;
int nc_file_encrypt(const nc_file_cipher *c, const uint8_t *key, const uint8_t *iv, nacre_room data,
                    uint8_t *tag) NACRE_MUST_CHECK;

/* Base64 (RFC 4648 4) without line breaks. Decoding is strict and appends to out. */
int nc_base64_encode(nacre_span in, nc_buf *out) NACRE_MUST_CHECK;
int nc_base64_decode(nacre_span text,
                     nc_buf *out) NACRE_MUST_CHECK; /* NACRE_SYNTAX when it is not base64 */

#endif
