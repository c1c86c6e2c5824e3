/*
 * cert.c - certificates: read, held, and shown by keys (PROTOCOL.certkeys).
 *
 * A certificate is judged as a whole before it exists: layout, the key in it, the CA's key, the CA's
 * signature. What it is good for is cert_check.c's business.
 */
#include "keys/cert.h"

#include <stdatomic.h>
#include <string.h>

struct nc_cert {
    const nacre_allocator *alloc;
    atomic_uint refs;
    nc_buf blob; /* as it came: the CA signed these bytes */
    const nc_cert_type *type;
    nacre_key *ca;
    nacre_cert_info info;
};

static const nc_cert_type cert_types[] = {
    {"ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", "ED25519-CERT"},
    {"ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256", "ECDSA-CERT"},
    {"ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384", "ECDSA-CERT"},
    {"ecdsa-sha2-nistp521-cert-v01@openssh.com", "ecdsa-sha2-nistp521", "ECDSA-CERT"},
    {"sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com", "ED25519-SK-CERT"},
    {"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
     "ECDSA-SK-CERT"},
    {"ssh-rsa-cert-v01@openssh.com", "ssh-rsa", "RSA-CERT"},
};

enum { CERT_TYPES = sizeof(cert_types) / sizeof(cert_types[0]) };

const nc_cert_type *nc_cert_type_find(nacre_span name)
{
    for (size_t i = 0; i < CERT_TYPES; i++) {
        if (nc_span_is(name, cert_types[i].name)) {
            return &cert_types[i];
        }
    }
    return NULL;
}

const nc_cert_type *nc_cert_type_for(const char *plain)
{
    for (size_t i = 0; i < CERT_TYPES; i++) {
        if (strcmp(plain, cert_types[i].plain) == 0) {
            return &cert_types[i];
        }
    }
    return NULL;
}

/* ---- the shared part --------------------------------------------------------------------------- */

nc_cert *nc_cert_ref(nc_cert *c)
{
    if (c) {
        atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    }
    return c;
}

void nc_cert_free(nc_cert *c)
{
    if (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
        nacre_key_free(c->ca);
        nc_buf_clear(&c->blob);
        nc_free(c->alloc, c);
    }
}

nacre_span nc_cert_blob(const nc_cert *c)
{
    return nc_buf_span(&c->blob);
}

const nc_cert_type *nc_cert_get_type(const nc_cert *c)
{
    return c->type;
}

static int new_cert(nc_cert **out, const nacre_allocator *a, nacre_span blob, const nc_cert_type *t)
{
    nc_cert *c = nc_zalloc(a, sizeof(*c));
    *out = c;
    if (!c) {
        return NACRE_NO_MEMORY;
    }
    c->alloc = a;
    c->type = t;
    atomic_init(&c->refs, 1);
    nc_buf_init(&c->blob, a, NC_MAX_KEY_BLOB);
    return nc_buf_append(&c->blob, blob.p, blob.n);
}

/* ---- reading ----------------------------------------------------------------------------------- */

/* The fields behind the type name, in their order. */
typedef struct cert_fields {
    nacre_span public_fields; /* as they stand in the plain blob behind its type name */
    uint32_t kind;
    nacre_span ca;
    nacre_span signed_part;
    nacre_span signature;
} cert_fields;

/* Text that others will show, log or compare as a C string may not go on behind a zero byte. */
static nacre_span read_text(nc_rd *r)
{
    nacre_span s = nc_rd_str(r);
    if (s.n && memchr(s.p, 0, s.n)) {
        nc_rd_fail(r);
    }
    return s;
}

static int read_fields(nc_cert *c, const nc_key_type *plain, cert_fields *f)
{
    nacre_span blob = nc_buf_span(&c->blob);
    nacre_cert_info *i = &c->info;
    nc_rd r = nc_rd_init(blob);
    (void)nc_rd_str(&r); /* type */
    (void)nc_rd_str(&r); /* nonce */
    const uint8_t *from = r.p;
    nc_pk_parts parts;
    memset(&parts, 0, sizeof(parts));
    plain->read_public(plain, &r, &parts);
    f->public_fields = nc_span(from, (size_t)(r.p - from));
    i->serial = nc_rd_u64(&r);
    f->kind = nc_rd_u32(&r);
    i->key_id = read_text(&r);
    i->principals = nc_rd_str(&r);
    i->valid_after = nc_rd_u64(&r);
    i->valid_before = nc_rd_u64(&r);
    i->critical = nc_rd_str(&r);
    i->extensions = nc_rd_str(&r);
    (void)nc_rd_str(&r); /* reserved: ignored, as PROTOCOL.certkeys asks */
    f->ca = nc_rd_str(&r);
    f->signed_part = nc_span(blob.p, (size_t)(r.p - blob.p));
    f->signature = nc_rd_str(&r);
    return nc_rd_end(&r);
}

/* Lists are walked once here, so that what steps through them later meets no broken one. */
static bool principals_good(nacre_span list)
{
    nc_rd r = nc_rd_init(list);
    size_t count = 0;
    while (nc_rd_left(&r) > 0 && nc_rd_err(&r) == NACRE_OK) {
        (void)read_text(&r);
        if (++count > NC_CERT_MAX_PRINCIPALS) {
            return false;
        }
    }
    return nc_rd_err(&r) == NACRE_OK;
}

static bool options_good(nacre_span list)
{
    nc_rd r = nc_rd_init(list);
    while (nc_rd_left(&r) > 0 && nc_rd_err(&r) == NACRE_OK) {
        (void)read_text(&r);
        (void)nc_rd_str(&r);
    }
    return nc_rd_err(&r) == NACRE_OK;
}

static int check_fields(nc_cert *c, const cert_fields *f, nacre_error *err)
{
    const char *name = c->type->name;
    if (f->kind != NACRE_CERT_USER && f->kind != NACRE_CERT_HOST) {
        return nc_fail(err, NACRE_BAD_KEY, "%s: certificate of unknown kind %u", name, f->kind);
    }
    c->info.kind = (nacre_cert_kind)f->kind;
    if (!principals_good(c->info.principals)) {
        return nc_fail(err, NACRE_BAD_KEY, "%s: malformed principals, or more than %d", name,
                       NC_CERT_MAX_PRINCIPALS);
    }
    if (!options_good(c->info.critical) || !options_good(c->info.extensions)) {
        return nc_fail(err, NACRE_BAD_KEY, "%s: malformed options", name);
    }
    return NACRE_OK;
}

/*
 * The CA must be a plain key (a chain is not a certificate), and must have signed everything before
 * its signature. SHA-1 is let through here by name only: nacre_cert_check refuses it.
 */
static int check_ca(nc_cert *c, const cert_fields *f, nacre_error *err)
{
    const char *name = c->type->name;
    nacre_span type = nc_blob_type(f->ca);
    if (nc_cert_type_find(type)) {
        return nc_fail(err, NACRE_BAD_KEY, "%s: its CA key is a certificate itself", name);
    }
    nacre_error why;
    int rc = nacre_key_from_blob(&c->ca, c->alloc, f->ca, &why);
    if (rc != NACRE_OK) {
        rc = rc == NACRE_NO_MEMORY ? rc : NACRE_BAD_KEY;
        return nc_fail(err, rc, "%s: its CA key cannot be used: %s", name, why.text);
    }
    nacre_span alg_name = nc_blob_type(f->signature);
    const nc_sig_alg *alg = nc_key_sig_alg(c->ca, alg_name);
    /* How a security key was used by the CA is the CA's affair, as with ssh. */
    nacre_sk_details details;
    rc = alg ? nc_key_verify_details(c->ca, alg_name, f->signed_part, f->signature, &details)
             : NACRE_BAD_SIGNATURE;
    if (rc != NACRE_OK) {
        return nc_fail(err, rc, "%s: the CA's signature (%s) is not good", name, NC_ESC(alg_name));
    }
    c->info.ca = c->ca;
    c->info.ca_algorithm = alg->name;
    return NACRE_OK;
}

/* The key inside, through the one reader of plain blobs, which knows what a good key is. */
static int read_subject(nacre_key **out, const nc_cert *c, nacre_span public_fields,
                        nacre_error *err)
{
    nc_buf plain;
    nc_buf_init(&plain, c->alloc, NC_MAX_KEY_BLOB);
    nc_wr w = nc_wr_init(&plain);
    nc_wr_cstr(&w, c->type->plain);
    nc_wr_bytes(&w, public_fields);
    int rc = nc_wr_err(&w);
    if (rc == NACRE_OK) {
        rc = nacre_key_from_blob(out, c->alloc, nc_buf_span(&plain), err);
    } else {
        nc_fail(err, rc, "%s: %s", c->type->name, nacre_status_text(rc));
    }
    nc_buf_clear(&plain);
    return rc;
}

int nc_cert_key_from_blob(nacre_key **out, const nacre_allocator *a, nacre_span blob,
                          const nc_cert_type *t, nacre_error *err)
{
    *out = NULL;
    const nc_key_type *plain = nc_key_type_find(nc_span_cstr(t->plain));
    if (!plain) {
        return nc_fail(err, NACRE_UNSUPPORTED, "key type %s is not supported", t->name);
    }
    nc_cert *c = NULL;
    nacre_key *subject = NULL;
    cert_fields f;
    memset(&f, 0, sizeof(f));
    int rc = new_cert(&c, a, blob, t);
    if (rc != NACRE_OK) {
        nc_fail(err, rc, "%s: %s", t->name, nacre_status_text(rc));
    } else if (read_fields(c, plain, &f) != NACRE_OK) {
        rc = nc_fail(err, NACRE_BAD_KEY, "malformed %s certificate", t->name);
    } else {
        rc = check_fields(c, &f, err);
    }
    if (rc == NACRE_OK) {
        rc = read_subject(&subject, c, f.public_fields, err);
    }
    if (rc == NACRE_OK) {
        rc = check_ca(c, &f, err);
    }
    if (rc == NACRE_OK) {
        rc = nc_key_show(out, subject, c, nc_span(NULL, 0));
        if (rc != NACRE_OK) {
            nc_fail(err, rc, "%s: %s", t->name, nacre_status_text(rc));
        }
    }
    nacre_key_free(subject);
    nc_cert_free(c);
    return rc;
}

/* ---- what a certificate says ------------------------------------------------------------------- */

bool nacre_key_is_cert(const nacre_key *k)
{
    return k && nc_key_cert(k) != NULL;
}

int nacre_key_cert_info(const nacre_key *k, nacre_cert_info *out)
{
    memset(out, 0, sizeof(*out));
    if (!nacre_key_is_cert(k)) {
        return NACRE_INVALID_ARGUMENT;
    }
    *out = nc_key_cert(k)->info;
    return NACRE_OK;
}

bool nacre_cert_next_principal(nacre_span *rest, nacre_span *name)
{
    nc_rd r = nc_rd_init(*rest);
    bool more = nc_rd_left(&r) > 0;
    *name = nc_rd_str(&r);
    bool good = more && nc_rd_err(&r) == NACRE_OK;
    *rest = good ? nc_rd_rest(&r) : nc_span(NULL, 0);
    return good;
}

/* Data is a string within the string; what is not is left as it stands. */
static nacre_span unpack(nacre_span data)
{
    nc_rd r = nc_rd_init(data);
    nacre_span inner = nc_rd_str(&r);
    return nc_rd_end(&r) == NACRE_OK ? inner : data;
}

bool nacre_cert_next_option(nacre_span *rest, nacre_span *name, nacre_span *data)
{
    nc_rd r = nc_rd_init(*rest);
    bool more = nc_rd_left(&r) > 0;
    *name = nc_rd_str(&r);
    *data = unpack(nc_rd_str(&r));
    bool good = more && nc_rd_err(&r) == NACRE_OK;
    *rest = good ? nc_rd_rest(&r) : nc_span(NULL, 0);
    return good;
}

/* ---- with and without -------------------------------------------------------------------------- */

int nacre_key_plain(nacre_key **out, const nacre_key *k)
{
    return nc_key_show(out, k, NULL, nc_span_cstr(nacre_key_comment(k)));
}

int nacre_key_attach_cert(nacre_key **out, const nacre_key *key, const nacre_key *cert,
                          nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    if (!nacre_key_is_cert(cert)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "a plain key was given for a certificate");
    }
    if (!nc_span_eq(nc_key_plain_blob(key), nc_key_plain_blob(cert))) {
        char shown[128];
        (void)nacre_key_fingerprint(cert, "sha256", shown, sizeof(shown));
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "the certificate is for another key (%s) than this one", shown);
    }
    const char *comment =
        nacre_key_comment(key)[0] ? nacre_key_comment(key) : nacre_key_comment(cert);
    int rc = nc_key_show(out, key, (nc_cert *)nc_key_cert(cert), nc_span_cstr(comment));
    return rc == NACRE_OK ? rc : nc_fail(err, rc, "%s", nacre_status_text(rc));
}

/* ---- public key algorithms --------------------------------------------------------------------- */

typedef struct alg_row {
    const char *name;      /* as negotiated */
    const char *signature; /* as in the signature */
    const char *format;    /* as in the blob */
} alg_row;

static const alg_row alg_rows[] = {
    {"ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"},
    {"ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256",
     "ecdsa-sha2-nistp256-cert-v01@openssh.com"},
    {"ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384",
     "ecdsa-sha2-nistp384-cert-v01@openssh.com"},
    {"ecdsa-sha2-nistp521-cert-v01@openssh.com", "ecdsa-sha2-nistp521",
     "ecdsa-sha2-nistp521-cert-v01@openssh.com"},
    {"sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com",
     "sk-ssh-ed25519-cert-v01@openssh.com"},
    {"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
     "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"},
    {"webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
     "webauthn-sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"},
    {"rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-512", "ssh-rsa-cert-v01@openssh.com"},
    {"rsa-sha2-256-cert-v01@openssh.com", "rsa-sha2-256", "ssh-rsa-cert-v01@openssh.com"},
    /* SHA-1, for those who name it. */
    {"ssh-rsa-cert-v01@openssh.com", "ssh-rsa", "ssh-rsa-cert-v01@openssh.com"},
};

const nc_sig_alg *nc_pubkey_alg_find(nacre_span name, const nc_cert_type **cert_type)
{
    const nc_cert_type *type = NULL;
    const nc_sig_alg *alg = nc_sig_find(name);
    for (size_t i = 0; !alg && i < sizeof(alg_rows) / sizeof(alg_rows[0]); i++) {
        if (nc_span_is(name, alg_rows[i].name)) {
            alg = nc_sig_find(nc_span_cstr(alg_rows[i].signature));
            type = nc_cert_type_find(nc_span_cstr(alg_rows[i].format));
            break;
        }
    }
    if (cert_type) {
        *cert_type = type;
    }
    return alg;
}

const nc_sig_alg *nc_key_pubkey_alg(const nacre_key *k, nacre_span name)
{
    const nc_cert_type *type = NULL;
    const nc_sig_alg *alg = nc_pubkey_alg_find(name, &type);
    const nc_cert *cert = nc_key_cert(k);
    bool fits = alg && type == (cert ? cert->type : NULL);
    return fits ? nc_key_sig_alg(k, nc_span_cstr(alg->name)) : NULL;
}

const char *nc_key_pubkey_name(const nacre_key *k, const nc_sig_alg *alg)
{
    for (size_t i = 0; nc_key_cert(k) && i < sizeof(alg_rows) / sizeof(alg_rows[0]); i++) {
        if (strcmp(alg_rows[i].signature, alg->name) == 0) {
            return alg_rows[i].name;
        }
    }
    return alg->name;
}
