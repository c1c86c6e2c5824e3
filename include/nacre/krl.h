/*
 * nacre/krl.h - key revocation lists (OpenSSH's PROTOCOL.krl): which keys and certificates no longer count.
 *
 * Made by ssh-keygen -k or nacre-keygen -k, read by RevokedKeys of sshd_config(5) and RevokedHostKeys of
 * ssh_config(5). A file of plain public keys, one a line, serves as well. A list that cannot be read whole
 * is an error and no list: treat it as if everything were revoked.
 */
#ifndef NACRE_KRL_H
#define NACRE_KRL_H

#include "nacre/key.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_krl nacre_krl;

/* An empty list. Owned; one thread at a time may change it, any number may ask it meanwhile unchanged. */
NACRE_API int nacre_krl_new(nacre_krl **out, const nacre_allocator *a) NACRE_MUST_CHECK;
NACRE_API void nacre_krl_free(nacre_krl *k);

/*
 * Reads a list, binary or text. Signatures that old lists carry must be good ones, which says nothing of
 * whether their keys are to be trusted. NACRE_KEY_FORMAT for what is malformed, NACRE_UNSUPPORTED for sections
 * that are unknown or critical, NACRE_BAD_SIGNATURE, NACRE_TOO_LARGE; err (NULL ok) says where.
 */
NACRE_API int nacre_krl_parse(nacre_krl **out, const nacre_allocator *a, nacre_span file,
                              nacre_error *err) NACRE_MUST_CHECK;
/* The same from a file of at most 64 MiB; also NACRE_NOT_FOUND, NACRE_IO. */
NACRE_API int nacre_krl_load_file(nacre_krl **out, const nacre_allocator *a, const char *path,
                                  nacre_error *err) NACRE_MUST_CHECK;

/*
 * NACRE_OK: neither the key nor, for a certificate, the certificate, the key in it or its CA is on the list.
 * NACRE_KEY_REVOKED: one of them is; why (NULL ok) says which. Any other status means that the question could
 * not be answered: refuse the key.
 */
NACRE_API int nacre_krl_check(const nacre_krl *k, const nacre_key *key,
                              nacre_error *why) NACRE_MUST_CHECK;

/* Revokes a key, and with it every certificate for it and every one that it signed. Of a certificate: the key in it. */
NACRE_API int nacre_krl_revoke_key(nacre_krl *k, const nacre_key *key) NACRE_MUST_CHECK;
/* The same by the digest of its plain blob: hash is "sha1" or "sha256", digest has 20 or 32 bytes. */
NACRE_API int nacre_krl_revoke_digest(nacre_krl *k, const char *hash,
                                      nacre_span digest) NACRE_MUST_CHECK;
/* Certificates of a CA (NULL: of any) with a serial from lo to hi. 0 means "no serial" and cannot be revoked. */
NACRE_API int nacre_krl_revoke_serials(nacre_krl *k, const nacre_key *ca, uint64_t lo,
                                       uint64_t hi) NACRE_MUST_CHECK;
/* Certificates of a CA (NULL: of any) with that key identity. */
NACRE_API int nacre_krl_revoke_key_id(nacre_krl *k, const nacre_key *ca,
                                      nacre_span key_id) NACRE_MUST_CHECK;
/* This certificate as ssh-keygen -k does: by its serial, or by its key identity where that is 0. */
NACRE_API int nacre_krl_revoke_cert(nacre_krl *k, const nacre_key *cert) NACRE_MUST_CHECK;

typedef struct nacre_krl_info {
    uint64_t version;    /* of the list, for people */
    uint64_t generated;  /* seconds since 1970, UTC */
    const char *comment; /* never NULL; borrowed until it is set anew or the list is freed */
} nacre_krl_info;
NACRE_API void nacre_krl_get_info(const nacre_krl *k, nacre_krl_info *out);
/* All three are copied. comment NULL: none. */
NACRE_API int nacre_krl_set_info(nacre_krl *k, const nacre_krl_info *info) NACRE_MUST_CHECK;

/*
 * The binary form, which ssh-keygen -Q reads: *out, owned, *n bytes; release it with nacre_secret_free. The same
 * list and info give the same bytes, in whatever order things were revoked (CAs stand as they came).
 */
NACRE_API int nacre_krl_write(nacre_krl *k, uint8_t **out, size_t *n) NACRE_MUST_CHECK;

typedef enum nacre_krl_kind {
    NACRE_KRL_KEY,     /* blob: a public key */
    NACRE_KRL_SHA256,  /* blob: a digest */
    NACRE_KRL_SHA1,    /* blob: a digest */
    NACRE_KRL_CA,      /* blob: the key of the CA for which the next entries count; empty: any CA */
    NACRE_KRL_SERIALS, /* lo to hi */
    NACRE_KRL_KEY_ID   /* blob: text */
} nacre_krl_kind;

typedef struct nacre_krl_entry {
    nacre_krl_kind kind;
    nacre_span blob; /* borrowed until the list changes or is freed */
    uint64_t lo, hi;
} nacre_krl_entry;

/* Where nacre_krl_next stands; begin with all zeros, and do not change the list meanwhile. */
typedef struct nacre_krl_cursor {
    size_t group, part, index;
} nacre_krl_cursor;

/* True and the next entry, in the order of ssh-keygen -Q -l; false at the end. */
NACRE_API bool nacre_krl_next(nacre_krl *k, nacre_krl_cursor *at, nacre_krl_entry *out);

#ifdef __cplusplus
}
#endif
#endif
