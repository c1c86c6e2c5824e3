/*
 * krl_read.c - revocation lists from their binary form (PROTOCOL.krl) or from a list of public keys.
 *
 * A list counts as a whole or not at all: what could not be understood might have revoked the key at hand.
 */
#include "keys/krl.h"

#include <string.h>

const uint8_t nc_krl_magic[8] = {'S', 'S', 'H', 'K', 'R', 'L', '\n', 0};

/* The list being read; where is what an error names. */
typedef struct krl_read {
    nacre_krl *krl;
    nacre_span file;
    nacre_error *err;
    nc_krl_ca *ca; /* of the certificate section at hand */
} krl_read;

static int bad(krl_read *x, const char *what)
{
    return nc_fail(x->err, NACRE_KEY_FORMAT, "revocation list: %s", what);
}

/* A status of the sets, said in words. */
static int added(krl_read *x, int rc)
{
    if (rc == NACRE_LIMIT) {
        return nc_fail(x->err, NACRE_TOO_LARGE,
                       "revocation list: more than %d separate entries or %d authorities",
                       NC_KRL_MAX_ENTRIES, NC_KRL_MAX_CAS);
    }
    return rc == NACRE_OK ? rc : nc_fail(x->err, rc, "revocation list: %s", nacre_status_text(rc));
}

/* ---- certificates ------------------------------------------------------------------------------- */

static int add_serials(krl_read *x, uint64_t lo, uint64_t hi)
{
    if (lo == 0 || lo > hi) {
        return bad(x, lo ? "a range of serial numbers that ends before it begins"
                         : "serial number 0, which certificates have that have none");
    }
    return added(x, nc_krl_add_range(x->krl, &x->ca->serials, lo, hi));
}

static int read_serial_list(krl_read *x, nc_rd *r)
{
    int rc = NACRE_OK;
    while (rc == NACRE_OK && nc_rd_left(r) >= 8) {
        uint64_t serial = nc_rd_u64(r);
        rc = add_serials(x, serial, serial);
    }
    return rc;
}

static int read_serial_range(krl_read *x, nc_rd *r)
{
    uint64_t lo = nc_rd_u64(r);
    uint64_t hi = nc_rd_u64(r);
    return nc_rd_err(r) == NACRE_OK ? add_serials(x, lo, hi) : bad(x, "a range is cut off");
}

/* Bit n, from the least significant of the last byte, is serial number lo + n. */
static int read_serial_bitmap(krl_read *x, nc_rd *r)
{
    uint64_t lo = nc_rd_u64(r);
    nacre_span bits = nc_rd_mpint(r, NC_KRL_MAX_BITMAP);
    if (nc_rd_err(r) != NACRE_OK) {
        return bad(x, "a bitmap is malformed or too long");
    }
    int rc = NACRE_OK;
    for (size_t n = 0; rc == NACRE_OK && n < bits.n * 8; n++) {
        if (bits.p[bits.n - 1 - n / 8] & (1u << (n % 8))) {
            rc = lo > UINT64_MAX - n ? bad(x, "a bitmap goes beyond the last serial number")
                                     : add_serials(x, lo + n, lo + n);
        }
    }
    return rc;
}

static int read_key_ids(krl_read *x, nc_rd *r)
{
    int rc = NACRE_OK;
    while (rc == NACRE_OK && nc_rd_left(r) > 0) {
        nacre_span id = nc_rd_str(r);
        if (nc_rd_err(r) != NACRE_OK || (id.n && memchr(id.p, 0, id.n))) {
            return bad(x, "a key identity is cut off or holds a zero byte");
        }
        rc = added(x, nc_krl_add_text(x->krl, &x->ca->key_ids, id));
    }
    return rc;
}

/* No extension is known; one that says it matters makes the list unreadable. */
static int read_extension(krl_read *x, nc_rd *r)
{
    nacre_span name = nc_rd_str(r);
    bool critical = nc_rd_bool(r);
    (void)nc_rd_str(r);
    if (nc_rd_err(r) != NACRE_OK) {
        return bad(x, "an extension is cut off");
    }
    if (critical) {
        return nc_fail(x->err, NACRE_UNSUPPORTED,
                       "revocation list: the critical extension %s is not supported", NC_ESC(name));
    }
    return NACRE_OK;
}

typedef struct section_row {
    uint8_t number;
    int (*read)(krl_read *x, nc_rd *r);
} section_row;

/* Reads one section by the table and sees that it was read to its end. */
static int read_section(krl_read *x, const section_row *rows, size_t count, uint8_t number,
                        nacre_span body)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].number == number) {
            nc_rd r = nc_rd_init(body);
            int rc = rows[i].read(x, &r);
            if (rc == NACRE_OK && nc_rd_end(&r) != NACRE_OK) {
                rc = bad(x, "a section has bytes that belong to nothing");
            }
            return rc;
        }
    }
    return nc_fail(x->err, NACRE_UNSUPPORTED, "revocation list: unknown section %u", number);
}

static const section_row cert_rows[] = {
    {NC_KRL_SERIAL_LIST, read_serial_list},     {NC_KRL_SERIAL_RANGE, read_serial_range},
    {NC_KRL_SERIAL_BITMAP, read_serial_bitmap}, {NC_KRL_KEY_ID, read_key_ids},
    {NC_KRL_CERT_EXTENSION, read_extension},
};

/*
 * An authority's key of a type that is not supported here can have signed no certificate that is read here, so that
 * its section does no harm; one that is broken is an error.
 */
static int check_ca(krl_read *x, nacre_span blob)
{
    nacre_key *ca = NULL;
    nacre_error why;
    int rc = blob.n ? nacre_key_from_blob(&ca, x->krl->alloc, blob, &why) : NACRE_OK;
    if (rc == NACRE_OK && ca && nacre_key_is_cert(ca)) {
        rc = bad(x, "an authority's key is a certificate");
    } else if (rc == NACRE_UNSUPPORTED) {
        rc = NACRE_OK;
    } else if (rc != NACRE_OK) {
        rc = nc_fail(x->err, rc == NACRE_NO_MEMORY ? rc : NACRE_KEY_FORMAT,
                     "revocation list: an authority's key: %s", why.text);
    }
    nacre_key_free(ca);
    return rc;
}

static int read_certificates(krl_read *x, nc_rd *r)
{
    nacre_span blob = nc_rd_str(r);
    (void)nc_rd_str(r); /* reserved */
    if (nc_rd_err(r) != NACRE_OK) {
        return bad(x, "a certificate section is cut off");
    }
    int rc = check_ca(x, blob);
    if (rc == NACRE_OK) {
        rc = added(x, nc_krl_get_ca(x->krl, blob, &x->ca));
    }
    while (rc == NACRE_OK && nc_rd_left(r) > 0) {
        uint8_t number = nc_rd_u8(r);
        nacre_span body = nc_rd_str(r);
        rc =
            nc_rd_err(r) == NACRE_OK
                ? read_section(x, cert_rows, sizeof(cert_rows) / sizeof(cert_rows[0]), number, body)
                : bad(x, "a certificate section is cut off");
    }
    return rc;
}

/* ---- keys --------------------------------------------------------------------------------------- */

/*
 * Blobs are compared, not used, so that types which are not supported here stand there as well. A certificate
 * would never be found, and whoever put it there believes it revoked.
 */
static int read_keys(krl_read *x, nc_rd *r)
{
    int rc = NACRE_OK;
    while (rc == NACRE_OK && nc_rd_left(r) > 0) {
        nacre_span blob = nc_rd_str(r);
        if (nc_rd_err(r) != NACRE_OK || nc_blob_type(blob).n == 0) {
            return bad(x, "a key is cut off");
        }
        if (nc_cert_type_find(nc_blob_type(blob))) {
            return bad(x, "a certificate stands where a key should");
        }
        rc = added(x, nc_krl_add_text(x->krl, &x->krl->keys, blob));
    }
    return rc;
}

static int read_digests(krl_read *x, nc_rd *r, nc_krl_texts *set, size_t len)
{
    int rc = NACRE_OK;
    while (rc == NACRE_OK && nc_rd_left(r) > 0) {
        nacre_span digest = nc_rd_str(r);
        if (nc_rd_err(r) != NACRE_OK || digest.n != len) {
            return bad(x, "a fingerprint has the wrong length");
        }
        rc = added(x, nc_krl_add_text(x->krl, set, digest));
    }
    return rc;
}

static int read_sha1s(krl_read *x, nc_rd *r)
{
    return read_digests(x, r, &x->krl->sha1s, nc_hash_get(NC_SHA1)->len);
}

static int read_sha256s(krl_read *x, nc_rd *r)
{
    return read_digests(x, r, &x->krl->sha256s, nc_hash_get(NC_SHA256)->len);
}

/* ---- the whole ---------------------------------------------------------------------------------- */

static const section_row rows[] = {
    {NC_KRL_CERTIFICATES, read_certificates},
    {NC_KRL_EXPLICIT, read_keys},
    {NC_KRL_SHA1, read_sha1s},
    {NC_KRL_SHA256, read_sha256s},
    {NC_KRL_EXTENSION, read_extension},
};

static int read_header(krl_read *x, nc_rd *r)
{
    nacre_krl *k = x->krl;
    (void)nc_rd_bytes(r, sizeof(nc_krl_magic));
    uint32_t format = nc_rd_u32(r);
    if (nc_rd_err(r) == NACRE_OK && format != NC_KRL_FORMAT) {
        return nc_fail(x->err, NACRE_UNSUPPORTED, "revocation list of format %u; 1 is known",
                       format);
    }
    k->version = nc_rd_u64(r);
    k->generated = nc_rd_u64(r);
    k->flags = nc_rd_u64(r);
    (void)nc_rd_str(r); /* reserved */
    nacre_span comment = nc_rd_str(r);
    if (nc_rd_err(r) != NACRE_OK) {
        return bad(x, "its head is cut off");
    }
    if (comment.n > NC_KRL_MAX_COMMENT || (comment.n && memchr(comment.p, 0, comment.n))) {
        return bad(x, "its comment is too long or holds a zero byte");
    }
    k->comment = nc_strndup(k->alloc, comment);
    return k->comment ? NACRE_OK : added(x, NACRE_NO_MEMORY);
}

/*
 * Lists made before OpenSSH 9.4 may be signed: over everything up to and including the signing key. The
 * signature proves nothing about who may revoke; a wrong one proves that the list is not what it was.
 */
static int read_signature(krl_read *x, nc_rd *r, nacre_span key_blob)
{
    nacre_span covered = nc_span(x->file.p, (size_t)(r->p - x->file.p));
    nacre_span sig = nc_rd_str(r);
    if (nc_rd_err(r) != NACRE_OK) {
        return bad(x, "a signature is cut off");
    }
    nacre_key *key = NULL;
    nacre_error why;
    int rc = nacre_key_from_blob(&key, x->krl->alloc, key_blob, &why);
    if (rc != NACRE_OK) {
        return nc_fail(x->err, rc == NACRE_NO_MEMORY ? rc : NACRE_BAD_SIGNATURE,
                       "revocation list: the key of its signature: %s", why.text);
    }
    rc = nc_key_verify(key, nc_span(NULL, 0), covered, sig);
    nacre_key_free(key);
    return rc == NACRE_OK ? rc : nc_fail(x->err, rc, "revocation list: its signature is not good");
}

int nc_krl_read(nacre_krl *k, nacre_span file, nacre_error *err)
{
    krl_read x = {k, file, err, NULL};
    nc_rd r = nc_rd_init(file);
    bool is_signed = false;
    int rc = read_header(&x, &r);
    while (rc == NACRE_OK && nc_rd_left(&r) > 0) {
        uint8_t number = nc_rd_u8(&r);
        nacre_span body = nc_rd_str(&r);
        if (nc_rd_err(&r) != NACRE_OK) {
            return bad(&x, "a section is cut off");
        }
        if (number == NC_KRL_SIGNATURE) {
            is_signed = true;
            rc = read_signature(&x, &r, body);
        } else if (is_signed) {
            rc = bad(&x, "a section stands behind the signature, which does not cover it");
        } else {
            rc = read_section(&x, rows, sizeof(rows) / sizeof(rows[0]), number, body);
        }
    }
    return rc;
}

/* ---- lists of public keys ----------------------------------------------------------------------- */

static int read_lines(nacre_krl *k, nacre_span text, nacre_error *err)
{
    nacre_span line;
    uint32_t number = 0;
    int rc = NACRE_OK;
    while (rc == NACRE_OK && nc_text_line(&text, &line)) {
        nacre_key *key = NULL;
        nacre_error why;
        number++;
        line = nc_text_trim(line);
        if (line.n == 0 || line.p[0] == '#') {
            continue;
        }
        rc = nacre_key_from_public_line(&key, k->alloc, line, &why);
        if (rc == NACRE_OK) {
            rc = nacre_krl_revoke_key(k, key);
        } else if (rc == NACRE_UNSUPPORTED) {
            rc = NACRE_OK; /* DSA and the like: no such key is taken anyway */
        }
        if (rc != NACRE_OK) {
            nc_fail(err, rc, "line %u of the list of revoked keys: %s", number,
                    why.status ? why.text : nacre_status_text(rc));
        }
        nacre_key_free(key);
    }
    return rc;
}

int nacre_krl_parse(nacre_krl **out, const nacre_allocator *a, nacre_span file, nacre_error *err)
{
    nacre_krl *k = NULL;
    *out = NULL;
    nc_error_clear(err);
    if (file.n > NC_KRL_MAX_FILE) {
        return nc_fail(err, NACRE_TOO_LARGE,
                       "a revocation list of %zu bytes is not read (the cap is %d)", file.n,
                       NC_KRL_MAX_FILE);
    }
    int rc = nacre_krl_new(&k, a);
    if (rc != NACRE_OK) {
        return nc_fail(err, rc, "%s", nacre_status_text(rc));
    }
    bool binary =
        file.n >= sizeof(nc_krl_magic) && memcmp(file.p, nc_krl_magic, sizeof(nc_krl_magic)) == 0;
    rc = binary ? nc_krl_read(k, file, err) : read_lines(k, file, err);
    if (rc != NACRE_OK) {
        nacre_krl_free(k);
        return rc;
    }
    nc_krl_settle(k);
    *out = k;
    return NACRE_OK;
}
