/*
 * key.h - what other floors may ask of key objects beyond nacre/key.h: signature algorithms as
 * spans, signing into a buffer, and how the parts of each key type lie on the wire.
 *
 * The object itself (key.c) is immutable once made, so it needs no lock; only its count is atomic.
 */
#ifndef NC_KEYS_KEY_H
#define NC_KEYS_KEY_H

#include "crypto/crypto.h"
#include "nacre/key.h"
#include "wire/rd.h"
#include "wire/ssh.h"
#include "wire/wr.h"

enum {
    /* Key files: an RSA 16384 private key in PEM is below 16 KiB; leading text may come with it. */
    NC_MAX_KEY_FILE = 1024 * 1024,
    /* Private section of an OpenSSH file: RSA 16384 with all its numbers is below 12 KiB. */
    NC_MAX_PRIVATE_SECTION = 256 * 1024,
    /* A comment is shown and stored with the key, never parsed. */
    NC_MAX_KEY_COMMENT = 4096
};

/* ---- key types and their encodings (RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4, PROTOCOL.key) ---- */

typedef struct nc_key_type nc_key_type;
struct nc_key_type {
    const char *name;  /* in blobs: "ssh-ed25519" */
    const char *label; /* as ssh-keygen -l prints it: "ED25519" */
    nc_pk_type pk;
    const char *curve; /* ECDSA: the curve name that must stand in the blob */
    size_t point_len;  /* ECDSA: length of an uncompressed point */
    bool insecure;     /* DSA: read only by the functions that are named so */
    void (*read_public)(const nc_key_type *t, nc_rd *r, nc_pk_parts *parts);
    void (*write_public)(const nc_key_type *t, nc_wr *w, const nc_pk_parts *parts);
    /* the fields of PROTOCOL.key's private section that follow the type name */
    void (*read_private)(const nc_key_type *t, nc_rd *r, nc_pk_parts *parts);
    void (*write_private)(const nc_key_type *t, nc_wr *w, const nc_pk_parts *parts);
};

extern const nc_key_type *const nc_key_types[];       /* NULL-terminated */
const nc_key_type *nc_key_type_find(nacre_span name); /* no insecure one */
const nc_key_type *nc_key_type_find_any(nacre_span name);
const nc_key_type *nc_key_type_of(nc_pk_type pk); /* never NULL */

/* The type name that a public key blob begins with; empty when there is none. */
nacre_span nc_blob_type(nacre_span blob);

/* ---- objects --------------------------------------------------------------------------------- */

/* Takes pk on success. The comment is copied up to its first zero byte. */
int nc_key_from_pk(nacre_key **out, const nacre_allocator *a, nc_pk *pk,
                   nacre_span comment) NACRE_MUST_CHECK;
const nc_pk *nc_key_pk(const nacre_key *k);
/* Private, and not in a security key: signatures are made here and not asked for. */
bool nc_key_signs(const nacre_key *k);
const nc_key_type *nc_key_get_type(const nacre_key *k);
const nacre_allocator *nc_key_allocator(const nacre_key *k);

/* ---- signature algorithms -------------------------------------------------------------------- */

/*
 * The signature algorithm of that name if it goes with the key, else NULL. An insecure one
 * (ssh-rsa) is found as well, because it was asked for by name: policy is the caller's.
 */
const nc_sig_alg *nc_key_sig_alg(const nacre_key *k, nacre_span name);
bool nc_key_supports(const nacre_key *k, nacre_span name);
bool nc_key_is_rsa(const nacre_key *k); /* with a certificate or without */
/*
 * Steps through the secure signature algorithms that go with the key, best first. Start with
 * *at = 0; NULL at the end.
 */
const nc_sig_alg *nc_key_next_alg(const nacre_key *k, size_t *at);
/* What nacre_key_sign takes when none is named; never NULL. */
const nc_sig_alg *nc_key_best_alg(const nacre_key *k);
/* The same for a key format by name, before there is a key: nc_type_next_alg("ssh-rsa", &at). */
const nc_sig_alg *nc_type_next_alg(const char *key_type, size_t *at);

/*
 * Appends the signature blob (string name, string signature) to out. algorithm.p NULL: the best. On
 * failure out is as it was. NACRE_UNKNOWN_NAME when the algorithm does not go with the key,
 * NACRE_NOT_PRIVATE for a public key.
 */
int nc_key_sign_buf(const nacre_key *k, nacre_span algorithm, nacre_span data,
                    nc_buf *out) NACRE_MUST_CHECK;
/* As nacre_key_verify, with the negotiated name as a span; p NULL: any secure one. */
int nc_key_verify(const nacre_key *k, nacre_span algorithm, nacre_span data,
                  nacre_span sig) NACRE_MUST_CHECK;
/* The same without the demand for touch, which is the caller's then (nacre_key_verify_sk). */
int nc_key_verify_details(const nacre_key *k, nacre_span algorithm, nacre_span data, nacre_span sig,
                          nacre_sk_details *out) NACRE_MUST_CHECK;

/*
 * The signature of a security key (PROTOCOL.u2f) behind its algorithm name: rest holds the inner
 * signature as string, flags, counter, and what webauthn adds. NACRE_OK only when it is good; whether
 * its flags are enough is the caller's to say.
 */
int nc_sk_verify(const nacre_key *k, const nc_sig_alg *alg, nacre_span data, nc_rd *rest,
                 nacre_sk_details *out) NACRE_MUST_CHECK;

/* ---- text ------------------------------------------------------------------------------------ */

/* Next word separated by blanks and tabs; empty at the end. *rest moves behind it. */
nacre_span nc_text_word(nacre_span *rest);
nacre_span nc_text_trim(nacre_span s); /* blanks, tabs, CR, LF at both ends */
/* What is written for people begins as "": whoever prints it without a look at the status prints nothing. */
static inline void nc_text_empty(char *out, size_t size)
{
    if (size) {
        out[0] = '\0';
    }
}
/* Next line without its LF or CRLF; false at the end. */
bool nc_text_line(nacre_span *rest, nacre_span *line);
bool nc_text_starts(nacre_span s, const char *prefix);
bool nc_text_is_nocase(nacre_span s, const char *word); /* ASCII only, whatever the locale */
uint8_t nc_text_lower(uint8_t c);

/* Base64 in many lines: blanks and line ends do not count. Appends; NACRE_SYNTAX when it is none. */
int nc_text_base64(nacre_span text, nc_buf *out) NACRE_MUST_CHECK;
/* In lines of width bytes. */
int nc_text_write_base64(nacre_span bytes, size_t width, nc_wr *w) NACRE_MUST_CHECK;
/* The text from the first line on that begins with mark; empty when none does. */
nacre_span nc_text_find_line(nacre_span text, const char *mark);
/* Without the byte-order mark that editors on Windows put in front. */
nacre_span nc_text_skip_bom(nacre_span text);

/* ---- public keys as text --------------------------------------------------------------------- */

/* nacre_key_from_public_line; insecure: DSA too. */
int nc_public_line(nacre_key **out, const nacre_allocator *a, nacre_span text, bool insecure,
                   nacre_error *err) NACRE_MUST_CHECK;
/* The same key with a comment that came from a file: cut at NC_MAX_KEY_COMMENT and at a zero byte. */
int nc_key_named(nacre_key **out, const nacre_key *k, nacre_span comment) NACRE_MUST_CHECK;
/* Append a line with its end, an RFC 4716 file. */
int nc_public_line_write(const nacre_key *k, nc_buf *out) NACRE_MUST_CHECK;
int nc_rfc4716_write(const nacre_key *k, nc_buf *out) NACRE_MUST_CHECK;

/* ---- private-key files ----------------------------------------------------------------------- */

/* text begins at "-----BEGIN OPENSSH PRIVATE KEY-----". */
int nc_openssh_read(nacre_key **out, const nacre_allocator *a, nacre_span text,
                    nacre_span passphrase, bool insecure, nacre_error *err) NACRE_MUST_CHECK;
/* Appends. NACRE_UNKNOWN_NAME: no such cipher to write with; NACRE_TOO_LARGE: too many rounds. */
int nc_openssh_write(const nacre_key *k, nacre_span passphrase, uint32_t rounds, const char *cipher,
                     nc_buf *out) NACRE_MUST_CHECK;
/* The public half, which stands in clear. */
int nc_openssh_read_public(nacre_key **out, const nacre_allocator *a, nacre_span text,
                           nacre_error *err) NACRE_MUST_CHECK;

/* PuTTY's files; text begins at "PuTTY-User-Key-File-". */
int nc_ppk_read(nacre_key **out, const nacre_allocator *a, nacre_span text, nacre_span passphrase,
                bool insecure, nacre_error *err) NACRE_MUST_CHECK;
int nc_ppk_read_public(nacre_key **out, const nacre_allocator *a, nacre_span text,
                       nacre_error *err) NACRE_MUST_CHECK;
int nc_ppk_write(const nacre_key *k, const nacre_key_format_options *o, nc_buf *out,
                 nacre_error *err) NACRE_MUST_CHECK;

/* The options as given over the defaults, whatever size the caller knows. */
void nc_key_load_options(nacre_key_load_options *out, const nacre_key_load_options *given);
/* nacre_key_from_private; insecure: DSA too. */
int nc_key_read_private(nacre_key **out, const nacre_allocator *a, nacre_span file,
                        nacre_span passphrase, bool insecure, nacre_error *err) NACRE_MUST_CHECK;

#endif
