/*
 * key.c - the key object: made from a blob or from parts, shared by count, asked for its names, and
 * made to sign and verify.
 *
 * Not here: text forms (key_text.c), private-key files (key_private.c, key_openssh.c), the layout
 * of blobs (key_blob.c), certificates (cert.c), mathematics (crypto).
 */
#include "keys/cert.h"

#include <stdatomic.h>
#include <string.h>

struct nacre_key {
    const nacre_allocator *alloc;
    atomic_uint refs;
    nacre_key *owner; /* whose pk it is; NULL: our own */
    nc_pk *pk;
    const nc_key_type *type; /* of the plain key */
    nc_buf blob;             /* the plain public half; every fingerprint works on it */
    nc_cert *cert;           /* what the key shows instead of it; NULL: nothing */
    char *comment;
};

static const nacre_span nothing = {NULL, 0};

nacre_key *nacre_key_ref(nacre_key *k)
{
    if (k) {
        atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    }
    return k;
}

void nacre_key_free(nacre_key *k)
{
    if (!k || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    const nacre_allocator *a = k->alloc;
    if (k->owner) {
        nacre_key_free(k->owner); /* one step: an owner owns its pk itself */
    } else {
        nc_pk_free(k->pk);
    }
    nc_cert_free(k->cert);
    nc_buf_clear(&k->blob);
    nc_free(a, k->comment);
    nc_wipe_free(a, k, sizeof(*k));
}

void nacre_secret_free(const nacre_allocator *a, void *p, size_t n)
{
    nc_wipe_free(a, p, n);
}

static int build_blob(nacre_key *k)
{
    nc_buf storage;
    nc_buf_init(&storage, k->alloc, NC_MAX_KEY_BLOB);
    nc_pk_parts parts;
    memset(&parts, 0, sizeof(parts));
    int rc = nc_pk_get_parts(k->pk, &storage, false, &parts);
    if (rc == NACRE_OK) {
        nc_wr w = nc_wr_init(&k->blob);
        nc_wr_cstr(&w, k->type->name);
        k->type->write_public(k->type, &w, &parts);
        rc = nc_wr_err(&w);
    }
    nc_buf_clear(&storage);
    return rc;
}

/* Everything but pk and blob. */
static nacre_key *new_key(const nacre_allocator *a, const nc_key_type *type, nacre_span comment)
{
    nacre_key *k = nc_zalloc(a, sizeof(*k));
    if (!k) {
        return NULL;
    }
    k->alloc = a;
    atomic_init(&k->refs, 1);
    nc_buf_init(&k->blob, a, NC_MAX_KEY_BLOB);
    k->type = type;
    const uint8_t *zero = comment.n ? memchr(comment.p, 0, comment.n) : NULL;
    if (zero) {
        comment.n = (size_t)(zero - comment.p);
    }
    k->comment = nc_strndup(a, comment);
    if (!k->comment) {
        nacre_key_free(k);
        return NULL;
    }
    return k;
}

int nc_key_from_pk(nacre_key **out, const nacre_allocator *a, nc_pk *pk, nacre_span comment)
{
    *out = NULL;
    nacre_key *k = new_key(a, nc_key_type_of(nc_pk_get_type(pk)), comment);
    if (!k) {
        return NACRE_NO_MEMORY;
    }
    k->pk = pk;
    int rc = build_blob(k);
    if (rc != NACRE_OK) {
        k->pk = NULL; /* still the caller's */
        nacre_key_free(k);
        return rc;
    }
    *out = k;
    return NACRE_OK;
}

static int from_blob(nacre_key **out, const nacre_allocator *a, nacre_span blob, bool insecure,
                     nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    if (blob.n > NC_MAX_KEY_BLOB) {
        return nc_fail(err, NACRE_TOO_LARGE,
                       "a public key of %zu bytes is not read (the cap is %d)", blob.n,
                       NC_MAX_KEY_BLOB);
    }
    nc_rd r = nc_rd_init(blob);
    nacre_span name = nc_rd_str(&r);
    if (nc_rd_err(&r) != NACRE_OK || name.n == 0) {
        return nc_fail(err, NACRE_BAD_KEY, "public key blob without a key type");
    }
    const nc_cert_type *cert_type = nc_cert_type_find(name);
    if (cert_type) {
        return nc_cert_key_from_blob(out, a, blob, cert_type, err);
    }
    const nc_key_type *type = nc_key_type_find_any(name);
    if (type && type->insecure && !insecure) {
        return nc_fail(err, NACRE_UNSUPPORTED,
                       "%s keys (%s) are no longer secure and not accepted; make a new one, for "
                       "instance of type ed25519",
                       type->label, type->name);
    }
    if (!type) {
        return nc_fail(err, NACRE_UNSUPPORTED, "key type %s is not supported", NC_ESC(name));
    }
    nc_pk_parts parts;
    memset(&parts, 0, sizeof(parts));
    parts.type = type->pk;
    type->read_public(type, &r, &parts);
    if (nc_rd_end(&r) != NACRE_OK) {
        return nc_fail(err, NACRE_BAD_KEY, "malformed %s public key", type->name);
    }
    nc_pk *pk = NULL;
    int rc = nc_pk_from_parts(&pk, a, &parts, false, err);
    if (rc == NACRE_OK) {
        rc = nc_key_from_pk(out, a, pk, nothing);
    }
    /* One key, one blob: what was accepted must be what we would send. */
    if (rc == NACRE_OK && !nc_span_eq(nacre_key_blob(*out), blob)) {
        nacre_key_free(*out);
        *out = NULL;
        return nc_fail(err, NACRE_BAD_KEY, "%s public key is not in canonical form", type->name);
    }
    if (rc != NACRE_OK) {
        nc_pk_free(pk);
        return nc_fail(err, rc, "%s public key: %s", type->name, nacre_status_text(rc));
    }
    return NACRE_OK;
}

int nacre_key_from_blob(nacre_key **out, const nacre_allocator *a, nacre_span blob,
                        nacre_error *err)
{
    return from_blob(out, a, blob, false, err);
}

int nacre_key_from_blob_insecure(nacre_key **out, const nacre_allocator *a, nacre_span blob,
                                 nacre_error *err)
{
    return from_blob(out, a, blob, true, err);
}

int nc_key_show(nacre_key **out, const nacre_key *k, nc_cert *cert, nacre_span comment)
{
    *out = NULL;
    nacre_key *made = new_key(k->alloc, k->type, comment);
    if (!made) {
        return NACRE_NO_MEMORY;
    }
    int rc = nc_buf_append(&made->blob, k->blob.data, k->blob.len);
    if (rc != NACRE_OK) {
        nacre_key_free(made);
        return rc;
    }
    /* The count of an object is not part of what its users see as constant. */
    made->owner = nacre_key_ref(k->owner ? k->owner : (nacre_key *)k);
    made->pk = k->pk;
    made->cert = nc_cert_ref(cert);
    *out = made;
    return NACRE_OK;
}

int nacre_key_with_comment(nacre_key **out, const nacre_key *k, const char *comment)
{
    return nc_key_show(out, k, k->cert, nc_span_cstr(comment));
}

/* ---- generation ------------------------------------------------------------------------------ */

typedef struct generate_row {
    const char *type;
    uint32_t min, max; /* bits */
    nc_pk_type pk;
} generate_row;

static const generate_row generate_rows[] = {
    {"ed25519", 0, 0, NC_PK_ED25519}, {"ed25519", 256, 256, NC_PK_ED25519},
    {"ecdsa", 0, 0, NC_PK_P256},      {"ecdsa", 256, 256, NC_PK_P256},
    {"ecdsa", 384, 384, NC_PK_P384},  {"ecdsa", 521, 521, NC_PK_P521},
    {"rsa", 0, 0, NC_PK_RSA},         {"rsa", 2048, 16384, NC_PK_RSA},
};

enum { RSA_DEFAULT_BITS = 3072 };

int nacre_key_generate(nacre_key **out, const nacre_allocator *a, const char *type, uint32_t bits,
                       nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    const generate_row *row = NULL;
    bool known = false;
    for (size_t i = 0; i < sizeof(generate_rows) / sizeof(generate_rows[0]); i++) {
        bool same = type && strcmp(type, generate_rows[i].type) == 0;
        known = known || same;
        if (same && bits >= generate_rows[i].min && bits <= generate_rows[i].max) {
            row = &generate_rows[i];
            break;
        }
    }
    if (!known) {
        return nc_fail(err, NACRE_UNKNOWN_NAME,
                       "unknown key type %s; there are ed25519, ecdsa and rsa",
                       NC_ESC(nc_span_cstr(type)));
    }
    if (!row) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "%u bits do not go with %s (ecdsa: 256, 384, 521; rsa: 2048 to 16384)", bits,
                       type);
    }
    nc_pk *pk = NULL;
    uint32_t size = row->pk == NC_PK_RSA && bits == 0 ? RSA_DEFAULT_BITS : bits;
    int rc = nc_pk_generate(&pk, a, row->pk, size);
    if (rc == NACRE_OK) {
        rc = nc_key_from_pk(out, a, pk, nothing);
    }
    if (rc != NACRE_OK) {
        nc_pk_free(pk);
        return nc_fail(err, rc, "no %s key could be made: %s", type, nacre_status_text(rc));
    }
    return NACRE_OK;
}

/* ---- what a key says of itself --------------------------------------------------------------- */

const char *nacre_key_type(const nacre_key *k)
{
    return k->cert ? nc_cert_get_type(k->cert)->name : k->type->name;
}

const char *nacre_key_label(const nacre_key *k)
{
    return k->cert ? nc_cert_get_type(k->cert)->label : k->type->label;
}

uint32_t nacre_key_bits(const nacre_key *k)
{
    return nc_pk_bits(k->pk);
}

bool nacre_key_is_private(const nacre_key *k)
{
    return nc_pk_is_private(k->pk);
}

bool nacre_key_is_sk(const nacre_key *k)
{
    return nc_pk_is_sk(k->pk);
}

bool nc_key_signs(const nacre_key *k)
{
    return nc_pk_is_private(k->pk) && !nc_pk_is_sk(k->pk);
}

nacre_span nacre_key_sk_application(const nacre_key *k)
{
    return nc_pk_application(k->pk);
}

const char *nacre_key_comment(const nacre_key *k)
{
    return k->comment;
}

nacre_span nacre_key_blob(const nacre_key *k)
{
    return k->cert ? nc_cert_blob(k->cert) : nc_buf_span(&k->blob);
}

nacre_span nc_key_plain_blob(const nacre_key *k)
{
    return nc_buf_span(&k->blob);
}

const nc_cert *nc_key_cert(const nacre_key *k)
{
    return k->cert;
}

bool nacre_key_equal(const nacre_key *a, const nacre_key *b)
{
    return a && b && nc_span_eq(nacre_key_blob(a), nacre_key_blob(b));
}

const nc_pk *nc_key_pk(const nacre_key *k)
{
    return k->pk;
}

const nc_key_type *nc_key_get_type(const nacre_key *k)
{
    return k->type;
}

const nacre_allocator *nc_key_allocator(const nacre_key *k)
{
    return k->alloc;
}

/* ---- signatures ------------------------------------------------------------------------------ */

const nc_sig_alg *nc_key_sig_alg(const nacre_key *k, nacre_span name)
{
    const nc_sig_alg *alg = nc_sig_find(name);
    return alg && strcmp(alg->key_name, k->type->name) == 0 ? alg : NULL;
}

bool nc_key_supports(const nacre_key *k, nacre_span name)
{
    return nc_key_sig_alg(k, name) != NULL;
}

bool nc_key_is_rsa(const nacre_key *k)
{
    return nc_pk_get_type(k->pk) == NC_PK_RSA;
}

const nc_sig_alg *nc_type_next_alg(const char *key_type, size_t *at)
{
    while (nc_sig_algs[*at]) {
        const nc_sig_alg *alg = nc_sig_algs[(*at)++];
        if (!alg->insecure && strcmp(alg->key_name, key_type) == 0) {
            return alg;
        }
    }
    return NULL;
}

const nc_sig_alg *nc_key_next_alg(const nacre_key *k, size_t *at)
{
    return nc_type_next_alg(k->type->name, at);
}

/* RFC 8332 lists rsa-sha2-256 too; the larger hash is what OpenSSH prefers, and so do we. */
const nc_sig_alg *nc_key_best_alg(const nacre_key *k)
{
    const nc_sig_alg *rsa = nc_key_sig_alg(k, nc_span_cstr("rsa-sha2-512"));
    size_t at = 0;
    return rsa ? rsa : nc_key_next_alg(k, &at);
}

int nc_key_sign_buf(const nacre_key *k, nacre_span algorithm, nacre_span data, nc_buf *out)
{
    if (!nc_pk_is_private(k->pk)) {
        return NACRE_NOT_PRIVATE;
    }
    const nc_sig_alg *alg = algorithm.p ? nc_key_sig_alg(k, algorithm) : nc_key_best_alg(k);
    if (!alg) {
        return NACRE_UNKNOWN_NAME;
    }
    size_t before = out->len;
    nc_wr w = nc_wr_init(out);
    nc_wr_cstr(&w, alg->name);
    size_t mark = nc_wr_begin_str(&w);
    int rc = nc_wr_err(&w);
    if (rc == NACRE_OK) {
        rc = nc_pk_sign(k->pk, alg, data, out);
    }
    if (rc != NACRE_OK) {
        nc_buf_truncate(out, before);
        return rc;
    }
    nc_wr_end_str(&w, mark);
    return NACRE_OK;
}

int nacre_key_sign(const nacre_key *k, const char *algorithm, nacre_span data, uint8_t **sig,
                   size_t *n)
{
    *sig = NULL;
    *n = 0;
    nc_buf out;
    nc_buf_init(&out, k->alloc, NC_MAX_KEY_BLOB);
    int rc = nc_key_sign_buf(k, nc_span_cstr(algorithm), data, &out);
    if (rc != NACRE_OK) {
        nc_buf_clear(&out);
        return rc;
    }
    *sig = out.data;
    *n = out.len;
    return NACRE_OK;
}

int nc_key_verify_details(const nacre_key *k, nacre_span algorithm, nacre_span data, nacre_span sig,
                          nacre_sk_details *out)
{
    memset(out, 0, sizeof(*out));
    nc_rd r = nc_rd_init(sig);
    nacre_span name = nc_rd_str(&r);
    const nc_sig_alg *alg = nc_key_sig_alg(k, name);
    if (!alg) {
        return NACRE_BAD_SIGNATURE;
    }
    /*
     * A peer that names another algorithm than was agreed could pick the weaker one (RFC 8332 3.2).
     */
    bool as_agreed = algorithm.p ? nc_span_eq(name, algorithm) : !alg->insecure;
    if (!as_agreed) {
        return NACRE_BAD_SIGNATURE;
    }
    if (nc_pk_is_sk(k->pk)) {
        return nc_sk_verify(k, alg, data, &r, out);
    }
    nacre_span inner = nc_rd_str(&r);
    return nc_rd_end(&r) == NACRE_OK ? nc_pk_verify(k->pk, alg, data, inner) : NACRE_BAD_SIGNATURE;
}

int nc_key_verify(const nacre_key *k, nacre_span algorithm, nacre_span data, nacre_span sig)
{
    nacre_sk_details d;
    int rc = nc_key_verify_details(k, algorithm, data, sig, &d);
    bool touched = !d.sk || (d.flags & NACRE_SK_USER_PRESENT);
    return rc == NACRE_OK && !touched ? NACRE_BAD_SIGNATURE : rc;
}

int nacre_key_verify_sk(const nacre_key *k, const char *algorithm, nacre_span data, nacre_span sig,
                        nacre_sk_details *out)
{
    return nc_key_verify_details(k, nc_span_cstr(algorithm), data, sig, out);
}

int nacre_key_verify(const nacre_key *k, const char *algorithm, nacre_span data, nacre_span sig)
{
    return nc_key_verify(k, nc_span_cstr(algorithm), data, sig);
}
