/*
 * sshsig.c - signatures over messages (PROTOCOL.sshsig): the blob that is signed, the blob that is kept,
 * and the check of one against the other.
 *
 * Not here: the armor (sshsig_armor.c), who may sign (allowed_signers.c), files.
 */
#include "nacre/sshsig.h"
#include "keys/key.h"

#include <string.h>

enum {
    SSHSIG_VERSION = 1,
    /* A certificate with all its principals, or RSA 16384, and its signature: below two key blobs. */
    MAX_BLOB = 4 * NC_MAX_KEY_BLOB
};

static const char preamble[] = "SSHSIG";
enum { PREAMBLE_LEN = sizeof(preamble) - 1 };

/* ---- messages -------------------------------------------------------------------------------- */

struct nacre_sshsig_message {
    const nacre_allocator *alloc;
    const char *hash;
    const nc_hash_alg *alg;
    nc_hasher *hasher;
    bool whole;
    uint8_t digest[NC_MAX_HASH];
};

/* The names of PROTOCOL.sshsig section 3, as they stand in blobs. */
static const struct {
    const char *name;
    nc_hash_id id;
    const char *rsa; /* what RSA keys sign with: "MUST NOT use ssh-rsa" */
} hashes[] = {{"sha512", NC_SHA512, "rsa-sha2-512"}, {"sha256", NC_SHA256, "rsa-sha2-256"}};
enum { HASHES = sizeof(hashes) / sizeof(hashes[0]) };

static int find_hash(nacre_span name)
{
    for (int i = 0; i < HASHES; i++) {
        if (nc_span_is(name, hashes[i].name)) {
            return i;
        }
    }
    return -1;
}

int nacre_sshsig_message_new(nacre_sshsig_message **out, const nacre_allocator *a, const char *hash,
                             nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    int row = hash ? find_hash(nc_span_cstr(hash)) : 0;
    if (row < 0) {
        return nc_fail(err, NACRE_UNKNOWN_NAME,
                       "unsupported hash algorithm \"%.100s\" (there are sha256 and sha512)",
                       NC_ESC(nc_span_cstr(hash)));
    }
    nacre_sshsig_message *m = nc_zalloc(a, sizeof(*m));
    if (!m) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a message");
    }
    m->alloc = a;
    m->hash = hashes[row].name;
    m->alg = nc_hash_get(hashes[row].id);
    int rc = nc_hasher_new(&m->hasher, a, m->alg);
    if (rc != NACRE_OK) {
        nacre_sshsig_message_free(m);
        return nc_fail(err, rc, "no %s: %s", hashes[row].name, nacre_status_text(rc));
    }
    *out = m;
    return NACRE_OK;
}

void nacre_sshsig_message_free(nacre_sshsig_message *m)
{
    if (m) {
        nc_hasher_free(m->hasher);
        nc_wipe_free(m->alloc, m, sizeof(*m));
    }
}

int nacre_sshsig_message_add(nacre_sshsig_message *m, nacre_span piece)
{
    return m->whole ? NACRE_WRONG_STATE : nc_hasher_update(m->hasher, piece);
}

static int finish_message(nacre_sshsig_message *m)
{
    int rc = m->whole ? NACRE_OK : nc_hasher_final(m->hasher, m->digest);
    m->whole = m->whole || rc == NACRE_OK;
    return rc;
}

/* ---- the signed blob (PROTOCOL.sshsig 2) ------------------------------------------------------ */

static void write_signed(nc_wr *w, const char *sig_namespace, const nacre_sshsig_message *m)
{
    nc_wr_bytes(w, nc_span(preamble, PREAMBLE_LEN));
    nc_wr_cstr(w, sig_namespace);
    nc_wr_cstr(w, ""); /* reserved */
    nc_wr_cstr(w, m->hash);
    nc_wr_str(w, nc_span(m->digest, m->alg->len));
}

static bool is_rsa(const nacre_key *key)
{
    return nc_key_supports(key, nc_span_cstr("rsa-sha2-512"));
}

/* What an RSA signature says it is must be one of the two; other keys have one algorithm each. */
static bool algorithm_good(const nacre_key *key, nacre_span sig)
{
    nc_rd r = nc_rd_init(sig);
    nacre_span name = nc_rd_str(&r);
    return !is_rsa(key) || nc_span_is(name, "rsa-sha2-512") || nc_span_is(name, "rsa-sha2-256");
}

/* ---- signing --------------------------------------------------------------------------------- */

static int make_signature(const nacre_key *key, const char *algorithm, nacre_span data,
                          nacre_sign_fn sign, void *user, uint8_t **sig, size_t *n,
                          nacre_error *err)
{
    *sig = NULL;
    *n = 0;
    int rc = sign ? sign(user, key, algorithm, data, sig, n)
                  : nacre_key_sign(key, algorithm, data, sig, n);
    if (rc != NACRE_OK) {
        return nc_fail(err, rc, "Couldn't sign message: %s", nacre_status_text(rc));
    }
    nacre_span made = nc_span(*sig, *n);
    nacre_sk_details details; /* whether it must be touched is the matter of who verifies */
    /* An agent that answers with rubbish, or with SHA-1, must not go unseen into a release. */
    if (*n > MAX_BLOB || !algorithm_good(key, made) ||
        nacre_key_verify_sk(key, NULL, data, made, &details) != NACRE_OK) {
        nacre_secret_free(nc_key_allocator(key), *sig, *n);
        *sig = NULL;
        return nc_fail(err, NACRE_CRYPTO,
                       "Couldn't sign message: the signature that was made is not good");
    }
    return NACRE_OK;
}

int nacre_sshsig_sign(const nacre_key *key, const char *sig_namespace, nacre_sshsig_message *m,
                      nacre_sign_fn sign, void *user, uint8_t **blob, size_t *n, nacre_error *err)
{
    *blob = NULL;
    *n = 0;
    nc_error_clear(err);
    if (!sig_namespace || !*sig_namespace) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "a signature needs a namespace");
    }
    const nacre_allocator *a = nc_key_allocator(key);
    uint8_t *sig = NULL;
    size_t sig_len = 0;
    nc_buf data, out;
    nc_buf_init(&data, a, MAX_BLOB);
    nc_buf_init(&out, a, MAX_BLOB);
    int rc = finish_message(m);
    nc_wr w = nc_wr_init(&data);
    write_signed(&w, sig_namespace, m);
    rc = rc == NACRE_OK ? nc_wr_err(&w) : rc;
    if (rc == NACRE_OK) {
        const char *algorithm = is_rsa(key) ? hashes[find_hash(nc_span_cstr(m->hash))].rsa : NULL;
        rc = make_signature(key, algorithm, nc_buf_span(&data), sign, user, &sig, &sig_len, err);
    }
    if (rc == NACRE_OK) {
        w = nc_wr_init(&out);
        nc_wr_bytes(&w, nc_span(preamble, PREAMBLE_LEN));
        nc_wr_u32(&w, SSHSIG_VERSION);
        nc_wr_str(&w, nacre_key_blob(key));
        nc_wr_cstr(&w, sig_namespace);
        nc_wr_cstr(&w, "");
        nc_wr_cstr(&w, m->hash);
        nc_wr_str(&w, nc_span(sig, sig_len));
        rc = nc_wr_err(&w);
    }
    nacre_secret_free(a, sig, sig_len);
    nc_buf_clear(&data);
    if (rc != NACRE_OK) {
        nc_buf_clear(&out);
        return nc_fail(err, rc, "Couldn't sign message: %s", nacre_status_text(rc));
    }
    *blob = out.data;
    *n = out.len;
    return NACRE_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct nacre_sshsig {
    const nacre_allocator *alloc;
    nacre_key *key;
    char *sig_namespace;
    const char *hash; /* static */
    nc_buf sig;
};

void nacre_sshsig_free(nacre_sshsig *s)
{
    if (s) {
        nacre_key_free(s->key);
        nc_free(s->alloc, s->sig_namespace);
        nc_buf_clear(&s->sig);
        nc_free(s->alloc, s);
    }
}

const nacre_key *nacre_sshsig_key(const nacre_sshsig *s)
{
    return s->key;
}

const char *nacre_sshsig_namespace(const nacre_sshsig *s)
{
    return s->sig_namespace;
}

const char *nacre_sshsig_hash(const nacre_sshsig *s)
{
    return s->hash;
}

typedef struct fields {
    nacre_span key, sig_namespace, hash, sig;
} fields;

/* The fields of PROTOCOL.sshsig section 1, as they lie there. */
static int read_fields(nacre_span blob, fields *f, nacre_error *err)
{
    nc_rd r = nc_rd_init(blob);
    nacre_span magic = nc_rd_bytes(&r, PREAMBLE_LEN);
    uint32_t version = nc_rd_u32(&r);
    if (nc_rd_err(&r) != NACRE_OK || !nc_span_is(magic, preamble)) {
        return nc_fail(err, NACRE_MALFORMED, "Couldn't verify signature: invalid format");
    }
    if (version != SSHSIG_VERSION) {
        return nc_fail(err, NACRE_UNSUPPORTED,
                       "Signature version %lu is %s than supported version %d",
                       (unsigned long)version, version ? "larger" : "smaller", SSHSIG_VERSION);
    }
    f->key = nc_rd_str(&r);
    f->sig_namespace = nc_rd_str(&r);
    (void)nc_rd_str(&r); /* reserved: signers write nothing, verifiers ignore what is there */
    f->hash = nc_rd_str(&r);
    f->sig = nc_rd_str(&r);
    if (nc_rd_err(&r) != NACRE_OK) {
        return nc_fail(err, NACRE_MALFORMED, "parse signature object: it is cut short");
    }
    if (nc_rd_end(&r) != NACRE_OK) {
        return nc_fail(err, NACRE_MALFORMED, "Signature contains trailing data");
    }
    if (f->sig_namespace.n == 0 || memchr(f->sig_namespace.p, 0, f->sig_namespace.n)) {
        return nc_fail(err, NACRE_MALFORMED, "parse signature object: bad namespace");
    }
    return NACRE_OK;
}

int nacre_sshsig_from_blob(nacre_sshsig **out, const nacre_allocator *a, nacre_span blob,
                           nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    fields f;
    memset(&f, 0, sizeof(f));
    if (blob.n > MAX_BLOB) {
        return nc_fail(err, NACRE_TOO_LARGE, "a signature of %zu bytes is not read (the cap is %d)",
                       blob.n, MAX_BLOB);
    }
    int rc = read_fields(blob, &f, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    int row = find_hash(f.hash);
    if (row < 0) {
        return nc_fail(err, NACRE_UNSUPPORTED, "unsupported hash algorithm \"%.100s\"",
                       NC_ESC(f.hash));
    }
    nacre_sshsig *s = nc_zalloc(a, sizeof(*s));
    if (!s) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a signature");
    }
    s->alloc = a;
    s->hash = hashes[row].name;
    nc_buf_init(&s->sig, a, MAX_BLOB);
    s->sig_namespace = nc_strndup(a, f.sig_namespace);
    rc = s->sig_namespace ? nc_buf_append(&s->sig, f.sig.p, f.sig.n) : NACRE_NO_MEMORY;
    if (rc == NACRE_OK) {
        rc = nacre_key_from_blob(&s->key, a, f.key, err);
    }
    if (rc != NACRE_OK) {
        nacre_sshsig_free(s);
        return nc_fail(err, rc, "signature: %s", nacre_status_text(rc));
    }
    *out = s;
    return NACRE_OK;
}

/* ---- verifying ------------------------------------------------------------------------------- */

static int check_claims(const nacre_sshsig *s, const char *sig_namespace,
                        const nacre_sshsig_message *m, nacre_error *err)
{
    if (!sig_namespace || strcmp(sig_namespace, s->sig_namespace) != 0) {
        return nc_fail(err, NACRE_BAD_SIGNATURE,
                       "Couldn't verify signature: namespace does not match");
    }
    if (strcmp(m->hash, s->hash) != 0) {
        return nc_fail(err, NACRE_BAD_SIGNATURE,
                       "Couldn't verify signature: hash algorithm mismatch");
    }
    if (!algorithm_good(s->key, nc_buf_span(&s->sig))) {
        nc_rd r = nc_rd_init(nc_buf_span(&s->sig));
        nacre_span name = nc_rd_str(&r);
        return nc_fail(err, NACRE_BAD_SIGNATURE,
                       "Couldn't verify signature: unsupported RSA signature algorithm %s",
                       NC_ESC(name));
    }
    return NACRE_OK;
}

int nacre_sshsig_verify(const nacre_sshsig *s, const char *sig_namespace, nacre_sshsig_message *m,
                        nacre_sk_details *details, nacre_error *err)
{
    nc_error_clear(err);
    if (details) {
        memset(details, 0, sizeof(*details));
    }
    int rc = check_claims(s, sig_namespace, m, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_buf data;
    nc_buf_init(&data, s->alloc, MAX_BLOB);
    rc = finish_message(m);
    nc_wr w = nc_wr_init(&data);
    write_signed(&w, sig_namespace, m);
    rc = rc == NACRE_OK ? nc_wr_err(&w) : rc;
    if (rc == NACRE_OK) {
        nacre_span sig = nc_buf_span(&s->sig);
        rc = details ? nacre_key_verify_sk(s->key, NULL, nc_buf_span(&data), sig, details)
                     : nacre_key_verify(s->key, NULL, nc_buf_span(&data), sig);
    }
    nc_buf_clear(&data);
    if (rc != NACRE_OK) {
        return nc_fail(err, rc, "Signature verification failed: %s",
                       rc == NACRE_BAD_SIGNATURE ? "incorrect signature" : nacre_status_text(rc));
    }
    return NACRE_OK;
}
