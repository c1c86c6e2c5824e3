/*
 * nacre/key.h - keys: load, name, compare, fingerprint, sign, verify.
 *
 * A nacre_key is one opaque, immutable, reference-counted type with the algorithm inside; keys may
 * be shared between connections and threads. Functions that take bytes do no I/O; the *_file calls do.
 */
#ifndef NACRE_KEY_H
#define NACRE_KEY_H

#include "nacre/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_key nacre_key;

/* One more owner; returns k. */
NACRE_API nacre_key *nacre_key_ref(nacre_key *k);
/* One owner less; the last one wipes and frees. */
NACRE_API void nacre_key_free(nacre_key *k);

/*
 * Reads a private key from memory: OpenSSH's own format (PROTOCOL.key: plain, or bcrypt with
 * aes256-ctr and others), PuTTY's (PPK 2 and 3), PEM PKCS#1, SEC1 and PKCS#8. *out is owned. passphrase.p NULL: none given.
 * Errors (err, NULL ok, names format, cipher and KDF): NACRE_NEED_PASSPHRASE, NACRE_WRONG_PASSPHRASE,
 * NACRE_KEY_FORMAT, NACRE_KEY_CIPHER, NACRE_KEY_KDF, NACRE_NOT_PRIVATE, NACRE_BAD_KEY.
 */
NACRE_API int nacre_key_from_private(nacre_key **out, const nacre_allocator *a, nacre_span file,
                                     nacre_span passphrase, nacre_error *err) NACRE_MUST_CHECK;
/*
 * A public key, or a certificate (cert.h), from its wire blob (RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4,
 * PROTOCOL.u2f).
 */
NACRE_API int nacre_key_from_blob(nacre_key **out, const nacre_allocator *a, nacre_span blob,
                                  nacre_error *err) NACRE_MUST_CHECK;
/*
 * The same for DSA ("ssh-dss") too, which is broken by design today: 1024 bits and SHA-1. Such a key
 * verifies signatures whose algorithm is asked for by name ("ssh-dss"); it never signs, no other
 * function reads one, and no connection uses one.
 */
NACRE_API int nacre_key_from_blob_insecure(nacre_key **out, const nacre_allocator *a,
                                           nacre_span blob, nacre_error *err) NACRE_MUST_CHECK;
/*
 * A public key from text in any form, which is told from its first lines: one line as in id_*.pub,
 * RFC 4716, PEM ("PUBLIC KEY", "RSA PUBLIC KEY"). A comment is kept. NACRE_KEY_FORMAT also for a
 * private key's file.
 */
NACRE_API int nacre_key_from_public(nacre_key **out, const nacre_allocator *a, nacre_span text,
                                    nacre_error *err) NACRE_MUST_CHECK;
/* The same for DSA too; see nacre_key_from_blob_insecure. */
NACRE_API int nacre_key_from_public_insecure(nacre_key **out, const nacre_allocator *a,
                                             nacre_span text, nacre_error *err) NACRE_MUST_CHECK;
/* A public key from a line "ssh-ed25519 AAAA... comment" (id_*.pub). The comment is kept. */
NACRE_API int nacre_key_from_public_line(nacre_key **out, const nacre_allocator *a, nacre_span line,
                                         nacre_error *err) NACRE_MUST_CHECK;
/*
 * A private key from a file. With strict, a file that others may read is refused
 * (NACRE_KEY_PERMISSIONS), as ssh does. NACRE_IO when it cannot be read.
 */
NACRE_API int nacre_key_from_file(nacre_key **out, const nacre_allocator *a, const char *path,
                                  nacre_span passphrase, bool strict,
                                  nacre_error *err) NACRE_MUST_CHECK;

/*
 * The public half that stands in clear in the private files of OpenSSH and PuTTY, so that a client can offer the key
 * before it asks for a passphrase. Other formats: NACRE_UNSUPPORTED. OpenSSH's comment is not known.
 */
NACRE_API int nacre_key_public_of_private(nacre_key **out, const nacre_allocator *a,
                                          nacre_span file, nacre_error *err) NACRE_MUST_CHECK;
/* The same key with another comment. */
NACRE_API int nacre_key_with_comment(nacre_key **out, const nacre_key *k,
                                     const char *comment) NACRE_MUST_CHECK;

/* "ed25519", "ecdsa" (bits 256, 384, 521), "rsa" (bits 2048..16384; 0: 3072). */
NACRE_API int nacre_key_generate(nacre_key **out, const nacre_allocator *a, const char *type,
                                 uint32_t bits, nacre_error *err) NACRE_MUST_CHECK;
/*
 * Writes the private key in OpenSSH's format into *text (owned, of *len bytes; release it with
 * nacre_secret_free). With a passphrase: bcrypt (rounds; 0: 24) and aes256-ctr.
 */
NACRE_API int nacre_key_to_private(const nacre_key *k, nacre_span passphrase, uint32_t rounds,
                                   char **text, size_t *len) NACRE_MUST_CHECK;
/* The same with a cipher of PROTOCOL.key ("aes256-gcm@openssh.com"; NULL: aes256-ctr). */
NACRE_API int nacre_key_to_private_cipher(const nacre_key *k, nacre_span passphrase,
                                          uint32_t rounds, const char *cipher, char **text,
                                          size_t *len) NACRE_MUST_CHECK;
NACRE_API void nacre_secret_free(const nacre_allocator *a, void *p, size_t n); /* wipes */

/* ---- every format -------------------------------------------------------------------------------- */

typedef enum nacre_key_format {
    /* private */
    NACRE_FORMAT_OPENSSH = 1, /* PROTOCOL.key: every type */
    NACRE_FORMAT_PEM,         /* RSA: PKCS#1 (RFC 8017 A.1.2), ECDSA: SEC1 (RFC 5915); no others */
    NACRE_FORMAT_PKCS8,       /* RFC 5958; RSA, ECDSA, Ed25519 (RFC 8410) */
    NACRE_FORMAT_PPK2,        /* PuTTY before 0.75 */
    NACRE_FORMAT_PPK3,        /* PuTTY since 0.75 */
    /* public */
    NACRE_FORMAT_LINE,      /* "ssh-ed25519 AAAA... comment", as in id_*.pub */
    NACRE_FORMAT_RFC4716,   /* "---- BEGIN SSH2 PUBLIC KEY ----" */
    NACRE_FORMAT_PUB_PKCS8, /* "-----BEGIN PUBLIC KEY-----" (RFC 5280 4.1.2.7) */
    NACRE_FORMAT_PUB_PEM    /* RSA: PKCS#1 "-----BEGIN RSA PUBLIC KEY-----"; ECDSA: as PUB_PKCS8 */
} nacre_key_format;

/*
 * How to write a key. Zero and NULL mean the default, which is what ssh-keygen or puttygen would do.
 * A passphrase of no bytes: not encrypted; public formats ignore it.
 */
typedef struct nacre_key_format_options {
    size_t size;
    nacre_key_format format;
    nacre_span passphrase;
    /*
     * OPENSSH: a name of PROTOCOL.key, default aes256-ctr. PEM: "aes128-cbc" (default), "aes192-cbc",
     * "aes256-cbc", "des3-cbc". PKCS8: the same, default aes256-cbc. PPK: aes256-cbc only.
     */
    const char *cipher;
    /* PPK3: "argon2id" (default), "argon2i", "argon2d". */
    const char *kdf;
    /*
     * OPENSSH: rounds of bcrypt, default 24, up to 20000. PKCS8: iterations of PBKDF2 with SHA-256,
     * default 100000, up to 10000000. PPK3: passes of Argon2, default 13. PEM and PPK2 have none.
     */
    uint32_t rounds;
    uint32_t memory_kib;  /* PPK3: default 8192 */
    uint32_t parallelism; /* PPK3: default 1 */
    const char *comment;  /* NULL: the key's own; PEM and PKCS8 have no place for one */
} nacre_key_format_options;
NACRE_API void nacre_key_format_options_init(nacre_key_format_options *o, nacre_key_format format);

/*
 * Writes a key in any format. *text is owned, terminated, *len bytes without the terminator; release it
 * with nacre_secret_free. A private key can be written in public formats too.
 * NACRE_NOT_PRIVATE for a public key in a private format; NACRE_UNSUPPORTED when the format has no
 * place for the type; NACRE_KEY_CIPHER, NACRE_KEY_KDF for names and costs that are not taken.
 */
NACRE_API int nacre_key_write(const nacre_key *k, const nacre_key_format_options *o, char **text,
                              size_t *len, nacre_error *err) NACRE_MUST_CHECK;

enum {
    NACRE_SAVE_REPLACE = 1,  /* what is there under the name; else NACRE_EXISTS */
    NACRE_SAVE_NO_PUBLIC = 2 /* no public file beside a private one */
};
/*
 * Writes a key file that is whole at any moment: made beside path with mode 0600 (public formats: 0644),
 * flushed, then renamed. Beside a private file <path>.pub gets the public line, with mode 0644. A link at
 * path is replaced, not followed. o NULL: OpenSSH's format without a passphrase. NACRE_IO, NACRE_EXISTS
 * with the path in err.
 */
NACRE_API int nacre_key_save_file(const nacre_key *k, const char *path,
                                  const nacre_key_format_options *o, unsigned flags,
                                  nacre_error *err) NACRE_MUST_CHECK;

/* ---- loading from memory, a reader, a file ------------------------------------------------------- */

/*
 * Asked for a passphrase. why says for what, and whether it is the first time (NACRE_NEED_PASSPHRASE) or
 * the last one was wrong (NACRE_WRONG_PASSPHRASE). Write it to out, its length to *n, and return NACRE_OK;
 * any other status gives up and is what the loading returns.
 */
typedef int (*nacre_passphrase_fn)(void *user, const nacre_error *why, nacre_room out, size_t *n);

typedef struct nacre_key_load_options {
    size_t size;
    nacre_span passphrase;   /* tried first; p NULL: none */
    nacre_passphrase_fn ask; /* NULL: nobody to ask */
    void *ask_user;
    unsigned tries; /* how often ask is called at most; default 3 */
    bool strict;    /* files only: refuse one of ours that others may use; default true */
    /* Takes DSA keys as well, which verify but never sign; see nacre_key_from_blob_insecure. */
    bool insecure_dss;
} nacre_key_load_options;
NACRE_API void nacre_key_load_options_init(nacre_key_load_options *o);

/* Reads a private key as nacre_key_from_private does; options NULL: the defaults. */
NACRE_API int nacre_key_load(nacre_key **out, const nacre_allocator *a, nacre_span text,
                             const nacre_key_load_options *options,
                             nacre_error *err) NACRE_MUST_CHECK;
/* A reader: up to out.n bytes, how many in *n (0: the end). A status other than NACRE_OK ends it all. */
typedef int (*nacre_key_read_fn)(void *user, nacre_room out, size_t *n);
NACRE_API int nacre_key_load_reader(nacre_key **out, const nacre_allocator *a,
                                    nacre_key_read_fn read, void *user,
                                    const nacre_key_load_options *options,
                                    nacre_error *err) NACRE_MUST_CHECK;
/* From a file; errors name it. NACRE_KEY_PERMISSIONS when others may read it and strict is set. */
NACRE_API int nacre_key_load_file(nacre_key **out, const nacre_allocator *a, const char *path,
                                  const nacre_key_load_options *options,
                                  nacre_error *err) NACRE_MUST_CHECK;

/* The key format's name, "ssh-ed25519"; static string. And as ssh-keygen -l prints it, "ED25519". */
NACRE_API const char *nacre_key_type(const nacre_key *k);
NACRE_API const char *nacre_key_label(const nacre_key *k);
NACRE_API uint32_t nacre_key_bits(const nacre_key *k);
NACRE_API bool nacre_key_is_private(const nacre_key *k);
/*
 * A key of a security key ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"). Its
 * private half is a handle by which the device finds the secret: nacre_key_sign says
 * NACRE_KEY_NEEDS_AGENT, and an agent that knows the device signs.
 */
NACRE_API bool nacre_key_is_sk(const nacre_key *k);
/* "ssh:"; empty for other keys. Borrowed until the key is freed. */
NACRE_API nacre_span nacre_key_sk_application(const nacre_key *k);
/* Borrowed until the key is freed. */
NACRE_API const char *nacre_key_comment(const nacre_key *k);
NACRE_API nacre_span nacre_key_blob(const nacre_key *k);
/* Same public key, or the same certificate: a certificate equals no plain key. */
NACRE_API bool nacre_key_equal(const nacre_key *a, const nacre_key *b);

/*
 * Fingerprint as ssh-keygen -l prints it: "SHA256:..." or "MD5:aa:bb:...". hash is "sha256" or "md5"
 * (any case). Returns the length written, or a negative status; size 128 is always enough. That of a
 * certificate is that of the key in it; nacre_blob_fingerprint hashes the bytes that it is given. What fails
 * leaves "" in out, here and in the three below.
 */
NACRE_API int nacre_key_fingerprint(const nacre_key *k, const char *hash, char *out, size_t size);
NACRE_API int nacre_blob_fingerprint(nacre_span blob, const char *hash, char *out, size_t size);
/*
 * The fingerprint as a picture, as ssh-keygen -lv draws it: eleven lines, without the last line end. hash as
 * above, NULL: sha256. The length, or NACRE_TOO_LARGE (size 256 is enough), NACRE_UNKNOWN_NAME.
 */
NACRE_API int nacre_key_randomart(const nacre_key *k, const char *hash, char *out, size_t size);
/*
 * The fingerprint as words, as ssh-keygen -B prints it: "xubof-...", bubble babble of SHA-1. The length, or
 * NACRE_TOO_LARGE (size 128 is enough).
 */
NACRE_API int nacre_key_babble(const nacre_key *k, char *out, size_t size);
/* "ssh-ed25519 AAAA..." into out (terminated); the length, or NACRE_TOO_LARGE. */
NACRE_API int nacre_key_public_line(const nacre_key *k, char *out, size_t size);

/*
 * Signs data with the algorithm of that SSH name (NULL: the key's best). The signature blob (string
 * name, string signature) is written to *sig, owned, *n bytes; free it with nacre_secret_free.
 * NACRE_NOT_PRIVATE for a public key, NACRE_KEY_NEEDS_AGENT for one of a security key.
 */
NACRE_API int nacre_key_sign(const nacre_key *k, const char *algorithm, nacre_span data,
                             uint8_t **sig, size_t *n) NACRE_MUST_CHECK;
/*
 * Signing elsewhere (an agent, an HSM): as nacre_key_sign, for the key whose public half is given. *sig comes from
 * the key's allocator, as nacre_key_sign's does: whoever called frees it with nacre_secret_free.
 */
typedef int (*nacre_sign_fn)(void *user, const nacre_key *key, const char *algorithm,
                             nacre_span data, uint8_t **sig, size_t *n);
/*
 * Verifies a signature blob. algorithm, when given, is the one that was negotiated: the blob must name
 * exactly it; NULL: any secure one that goes with the key. NACRE_OK only when good;
 * NACRE_BAD_SIGNATURE when not. A security key must say that it was touched.
 */
NACRE_API int nacre_key_verify(const nacre_key *k, const char *algorithm, nacre_span data,
                               nacre_span sig) NACRE_MUST_CHECK;

/* What a security key says of a signature (PROTOCOL.u2f); flags as the device sent them. */
enum { NACRE_SK_USER_PRESENT = 0x01, NACRE_SK_USER_VERIFIED = 0x04 };
typedef struct nacre_sk_details {
    bool sk;          /* false: not a key of a security key, and the rest is zero */
    uint8_t flags;    /* NACRE_SK_USER_PRESENT: touched; NACRE_SK_USER_VERIFIED: by PIN or finger */
    uint32_t counter; /* of the device's signatures; 0 where it does not count */
} nacre_sk_details;
/*
 * As nacre_key_verify, but without a demand for touch: the caller looks at the flags, for
 * "no-touch-required" and "verify-required" (sshd(8)). *out is filled when the signature is good, and
 * zero otherwise. Any key will do.
 */
NACRE_API int nacre_key_verify_sk(const nacre_key *k, const char *algorithm, nacre_span data,
                                  nacre_span sig, nacre_sk_details *out) NACRE_MUST_CHECK;

/*
 * Signs elsewhere (an agent, a device): data with the algorithm of that SSH name (NULL: the key's best), by the
 * private half of key. *sig is the signature blob, owned, *n bytes, allocated as nacre_key_sign does: with the
 * allocator of key. Returns NACRE_OK or the reason why there is none.
 */
typedef int (*nacre_sign_fn)(void *user, const nacre_key *key, const char *algorithm,
                             nacre_span data, uint8_t **sig, size_t *n);

#ifdef __cplusplus
}
#endif
#endif
