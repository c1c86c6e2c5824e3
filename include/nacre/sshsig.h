/*
 * nacre/sshsig.h - signatures over files and messages (OpenSSH's PROTOCOL.sshsig), and who may sign: the
 * allowed_signers format of ssh-keygen(1).
 *
 * A message is hashed piece by piece, so that its size does not matter, and the hash is what is signed
 * or verified. Nothing here does I/O.
 */
#ifndef NACRE_SSHSIG_H
#define NACRE_SSHSIG_H

#include "nacre/dates.h"
#include "nacre/key.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- messages ---- */

typedef struct nacre_sshsig_message nacre_sshsig_message;

/* hash: "sha256" or "sha512"; NULL: sha512, as ssh-keygen has it. NACRE_UNKNOWN_NAME. */
NACRE_API int nacre_sshsig_message_new(nacre_sshsig_message **out, const nacre_allocator *a,
                                       const char *hash, nacre_error *err) NACRE_MUST_CHECK;
NACRE_API void nacre_sshsig_message_free(nacre_sshsig_message *m);
/* The next piece. A message is whole, and takes no more, once it was signed or verified: NACRE_WRONG_STATE. */
NACRE_API int nacre_sshsig_message_add(nacre_sshsig_message *m, nacre_span piece) NACRE_MUST_CHECK;

/* ---- signing ---- */

/*
 * Signs the message for one use: the namespace ("file", "git", "email"; not empty) is what keeps a
 * signature from being taken for another kind of statement. *blob is owned, of *n bytes: release it with
 * nacre_secret_free. RSA keys sign with rsa-sha2-256 or rsa-sha2-512, as the message's hash is. A key with
 * a certificate puts that into the signature. sign, when given, makes the signature in place of
 * nacre_key_sign (an agent's key); the key may be public then. What comes back is verified before it is used.
 */
NACRE_API int nacre_sshsig_sign(const nacre_key *key, const char *sig_namespace,
                                nacre_sshsig_message *m, nacre_sign_fn sign, void *user,
                                uint8_t **blob, size_t *n, nacre_error *err) NACRE_MUST_CHECK;
/* The text of a signature file ("-----BEGIN SSH SIGNATURE-----" ...), owned, terminated, of *len bytes. */
NACRE_API int nacre_sshsig_armor(const nacre_allocator *a, nacre_span blob, char **text,
                                 size_t *len) NACRE_MUST_CHECK;

/* ---- verifying ---- */

typedef struct nacre_sshsig nacre_sshsig;

/*
 * Reads the text of a signature file; what stands behind its last line is not looked at. NACRE_SYNTAX for
 * text that is no armor, otherwise as nacre_sshsig_from_blob.
 */
NACRE_API int nacre_sshsig_read(nacre_sshsig **out, const nacre_allocator *a, nacre_span text,
                                nacre_error *err) NACRE_MUST_CHECK;
/*
 * NACRE_MALFORMED, NACRE_UNSUPPORTED (version, hash, or key type), NACRE_BAD_KEY. A signature that was read
 * says nothing yet: not even that its key made it.
 */
NACRE_API int nacre_sshsig_from_blob(nacre_sshsig **out, const nacre_allocator *a, nacre_span blob,
                                     nacre_error *err) NACRE_MUST_CHECK;
NACRE_API void nacre_sshsig_free(nacre_sshsig *s);
/* What it says of itself; borrowed until it is freed. The namespace may hold any bytes but zero. */
NACRE_API const nacre_key *nacre_sshsig_key(const nacre_sshsig *s);
NACRE_API const char *nacre_sshsig_namespace(const nacre_sshsig *s);
NACRE_API const char *nacre_sshsig_hash(const nacre_sshsig *s);
/*
 * NACRE_OK only when the key that the signature names signed this message for this namespace. Whether that
 * key is anybody's is another question: nacre_allowed_signers_check. NACRE_BAD_SIGNATURE; the message must
 * have been hashed with nacre_sshsig_hash(s). details NULL: a security key must say that it was touched; given:
 * the caller looks at its flags there.
 */
NACRE_API int nacre_sshsig_verify(const nacre_sshsig *s, const char *sig_namespace,
                                  nacre_sshsig_message *m, nacre_sk_details *details,
                                  nacre_error *err) NACRE_MUST_CHECK;

/* ---- who may sign ---- */

/*
 * Lines of allowed_signers: "principals [options] key", principals being a list of patterns, options
 * cert-authority, namespaces="...", valid-after="..." and valid-before="...".
 */
typedef struct nacre_signer_rules {
    size_t size;               /* set by nacre_signer_rules_init */
    const char *source;        /* name of the file, for messages; NULL: "allowed_signers" */
    const char *principal;     /* who is said to have signed; NULL: whoever the key belongs to */
    const char *sig_namespace; /* NULL: not restricted (the finding of principals) */
    uint64_t verify_time;      /* seconds since 1970: when the signature was made, or now */
    nacre_zone_fn zone;        /* for dates without "Z"; NULL: UTC */
    void *zone_user;
    /* Why lines that might have served do not, as they are read: one call a line. NULL ok. */
    nacre_log_fn note;
    void *note_user;
} nacre_signer_rules;
NACRE_API void nacre_signer_rules_init(nacre_signer_rules *rules);

/*
 * Whether a line allows the key (that of a verified signature; a certificate where its authority stands in
 * a cert-authority line). NACRE_OK, else NACRE_NOT_FOUND with the last reason in err: lines that are
 * malformed, out of their time or for other namespaces allow nothing. principals, NULL ok: the list of that
 * line, or of a certificate its principals that match the line, owned (nacre_secret_free with its length
 * and terminator).
 */
NACRE_API int nacre_allowed_signers_check(nacre_span text, const nacre_key *key,
                                          const nacre_signer_rules *rules, char **principals,
                                          nacre_error *err) NACRE_MUST_CHECK;
/*
 * Steps through the lines that mean rules->principal, whatever their key may be: *text moves on, *list is the
 * line's list of principals (owned, as above). *line counts lines and begins as 0. NACRE_END at the end;
 * NACRE_SYNTAX for a malformed line that means the principal.
 */
NACRE_API int nacre_allowed_signers_next(nacre_span *text, uint32_t *line, const nacre_allocator *a,
                                         const nacre_signer_rules *rules, char **list,
                                         nacre_error *err) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
