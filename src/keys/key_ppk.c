/*
 * key_ppk.c - PuTTY's private-key files read: PPK 2 and 3 (PuTTY manual, appendix C).
 *
 * A file has lines in one order; the public half stands in clear, the private half as base64, encrypted
 * by AES-256-CBC or not, and a MAC is over all of it. Not here: writing (key_ppk_write.c), Argon2 (crypto).
 */
#include "keys/key_ppk.h"

#include "keys/cert.h"

#include <stdio.h>
#include <string.h>

enum { WHAT = 128, MAX_LINES = 16384 /* of 64 bytes: a megabyte */ };

/* What is known while a file is read. */
typedef struct reading {
    const nacre_allocator *alloc;
    nacre_span rest; /* lines not yet read */
    nc_ppk p;
    nc_argon2_params argon2;
    nc_buf public_blob, secret, salt, mac;
    bool encrypted;
    char what[WHAT]; /* "PuTTY private key (PPK 3, aes256-cbc, Argon2id)" */
    nacre_error *err;
} reading;

static void reading_init(reading *r, const nacre_allocator *a, nacre_span text, nacre_error *err)
{
    memset(r, 0, sizeof(*r));
    r->alloc = a;
    r->rest = text;
    r->err = err;
    nc_buf_init(&r->public_blob, a, NC_MAX_KEY_BLOB);
    nc_buf_init(&r->secret, a, NC_MAX_PRIVATE_SECTION);
    nc_buf_init(&r->salt, a, NC_PPK_SALT);
    nc_buf_init(&r->mac, a, NC_PPK_MAC);
    (void)snprintf(r->what, sizeof(r->what), "PuTTY private key");
}

static void reading_clear(reading *r)
{
    nc_buf_clear(&r->public_blob);
    nc_buf_clear(&r->secret);
    nc_buf_clear(&r->salt);
    nc_buf_clear(&r->mac);
}

/* ---- lines --------------------------------------------------------------------------------------- */

static int malformed(reading *r, const char *what)
{
    return nc_fail(r->err, NACRE_KEY_FORMAT, "%s: %s", r->what, what);
}

/* The next line must be "name: value". */
static int header(reading *r, const char *name, nacre_span *value)
{
    nacre_span line;
    size_t n = strlen(name);
    if (nc_text_line(&r->rest, &line) && nc_text_starts(line, name) && line.n >= n + 2 &&
        line.p[n] == ':' && line.p[n + 1] == ' ') {
        *value = nc_span(line.p + n + 2, line.n - n - 2);
        return NACRE_OK;
    }
    return nc_fail(r->err, NACRE_KEY_FORMAT, "%s: the line \"%s: ...\" is missing", r->what, name);
}

static bool read_number(nacre_span s, uint32_t max, uint32_t *out)
{
    uint64_t v = 0;
    bool good = s.n >= 1 && s.n <= 10;
    for (size_t i = 0; good && i < s.n; i++) {
        good = s.p[i] >= '0' && s.p[i] <= '9';
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *out = good && v <= max ? (uint32_t)v : 0;
    return good && v <= max;
}

static int number(reading *r, const char *name, uint32_t *out)
{
    nacre_span value;
    int rc = header(r, name, &value);
    if (rc == NACRE_OK && !read_number(value, UINT32_MAX, out)) {
        rc = nc_fail(r->err, NACRE_KEY_FORMAT, "%s: %s is no number", r->what, name);
    }
    return rc;
}

static int hex_digit(uint8_t c)
{
    c = nc_text_lower(c);
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int hex(reading *r, const char *name, nc_buf *out)
{
    nacre_span value;
    int rc = header(r, name, &value);
    if (rc == NACRE_OK && value.n % 2 != 0) {
        rc = NACRE_SYNTAX;
    }
    for (size_t i = 0; rc == NACRE_OK && i + 1 < value.n; i += 2) {
        int high = hex_digit(value.p[i]);
        int low = hex_digit(value.p[i + 1]);
        uint8_t byte = (uint8_t)((unsigned)high << 4 | (unsigned)low);
        rc = high < 0 || low < 0 ? NACRE_SYNTAX : nc_buf_append(out, &byte, 1);
    }
    if (rc == NACRE_SYNTAX || rc == NACRE_LIMIT) {
        rc = nc_fail(r->err, NACRE_KEY_FORMAT, "%s: %s is not hexadecimal, or too long", r->what,
                     name);
    }
    return rc;
}

/* "name: N" and N lines of base64. What is there bounds the loop, not what is said. */
static int block(reading *r, const char *name, nc_buf *out)
{
    nacre_span value;
    nacre_span line;
    uint32_t lines = 0;
    int rc = header(r, name, &value);
    if (rc == NACRE_OK && !read_number(value, MAX_LINES, &lines)) {
        rc = malformed(r, "a count of lines is no number, or too large");
    }
    nc_buf text;
    nc_buf_init(&text, r->alloc, NC_MAX_KEY_FILE);
    while (rc == NACRE_OK && lines) {
        rc = nc_text_line(&r->rest, &line) ? nc_buf_append(&text, line.p, line.n)
                                           : malformed(r, "lines are missing; is it cut short?");
        lines--;
    }
    if (rc == NACRE_OK) {
        rc = nc_base64_decode(nc_buf_span(&text), out);
        if (rc == NACRE_SYNTAX || rc == NACRE_LIMIT) {
            rc = nc_fail(r->err, NACRE_KEY_FORMAT, "%s: what follows %s is not base64, or too long",
                         r->what, name);
        }
    }
    nc_buf_clear(&text);
    return rc;
}

/* ---- the parts of a file -------------------------------------------------------------------------- */

static int read_version(reading *r)
{
    static const char mark[] = "PuTTY-User-Key-File-";
    nacre_span line;
    (void)nc_text_line(&r->rest, &line);
    nacre_span tail = nc_span(line.p + sizeof(mark) - 1, line.n - sizeof(mark) + 1);
    bool known = tail.n > 3 && (tail.p[0] == '2' || tail.p[0] == '3') && tail.p[1] == ':' &&
                 tail.p[2] == ' ';
    if (!known) {
        return nc_fail(r->err, NACRE_KEY_FORMAT,
                       "this is a PuTTY private key of version %s; versions 2 and 3 are read (open "
                       "and save it with puttygen)",
                       NC_ESC(nc_span(tail.p, tail.n > 1 ? 1 : tail.n)));
    }
    r->p.version = (unsigned)(tail.p[0] - '0');
    r->p.type = nc_span(tail.p + 3, tail.n - 3);
    return NACRE_OK;
}

/* Version, encryption, comment, public half. */
static int read_head(reading *r)
{
    int rc = read_version(r);
    if (rc == NACRE_OK) {
        rc = header(r, "Encryption", &r->p.encryption);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    r->encrypted = !nc_span_is(r->p.encryption, "none");
    (void)snprintf(r->what, sizeof(r->what), "PuTTY private key (PPK %u, %s)", r->p.version,
                   r->encrypted ? "aes256-cbc" : "not encrypted");
    if (r->encrypted && !nc_span_is(r->p.encryption, nc_ppk_cipher()->name)) {
        return nc_fail(r->err, NACRE_KEY_CIPHER,
                       "PuTTY private key (PPK %u): unknown cipher %s; aes256-cbc is known",
                       r->p.version, NC_ESC(r->p.encryption));
    }
    rc = header(r, "Comment", &r->p.comment);
    if (rc == NACRE_OK) {
        rc = block(r, "Public-Lines", &r->public_blob);
    }
    r->p.public_blob = nc_buf_span(&r->public_blob);
    return rc;
}

static int too_dear(reading *r)
{
    const nc_argon2_params *p = &r->argon2;
    return nc_fail(r->err, NACRE_KEY_KDF,
                   "%s: %u KiB of memory, %u passes and %u lanes are not within what is allowed: "
                   "memory up to %d KiB and 8 a lane at least, %d lanes, passes times memory up to "
                   "%d KiB; save it with puttygen --reencrypt --ppk-param memory=8192,passes=13",
                   r->what, p->memory_kib, p->passes, p->parallelism, NC_ARGON2_MAX_MEMORY,
                   NC_ARGON2_MAX_LANES, NC_ARGON2_MAX_WORK);
}

static int read_kdf(reading *r)
{
    nacre_span name;
    int rc = header(r, "Key-Derivation", &name);
    if (rc != NACRE_OK) {
        return rc;
    }
    const nc_ppk_kdf *kdf = nc_ppk_find_kdf(name);
    if (!kdf) {
        return nc_fail(r->err, NACRE_KEY_KDF,
                       "%s: unknown key derivation %s; Argon2id, Argon2i and Argon2d are known",
                       r->what, NC_ESC(name));
    }
    (void)snprintf(r->what, sizeof(r->what), "PuTTY private key (PPK 3, aes256-cbc, %s)",
                   kdf->name);
    r->argon2.kind = kdf->kind;
    rc = number(r, "Argon2-Memory", &r->argon2.memory_kib);
    rc = rc == NACRE_OK ? number(r, "Argon2-Passes", &r->argon2.passes) : rc;
    rc = rc == NACRE_OK ? number(r, "Argon2-Parallelism", &r->argon2.parallelism) : rc;
    rc = rc == NACRE_OK ? hex(r, "Argon2-Salt", &r->salt) : rc;
    if (rc == NACRE_OK && r->salt.len < 8) {
        rc = malformed(r, "its salt is too short");
    }
    if (rc == NACRE_OK && !nc_argon2_affordable(&r->argon2)) {
        rc = too_dear(r);
    }
    r->argon2.salt = nc_buf_span(&r->salt);
    return rc;
}

static int read_tail(reading *r)
{
    int rc = r->encrypted && r->p.version == 3 ? read_kdf(r) : NACRE_OK;
    if (rc == NACRE_OK) {
        rc = block(r, "Private-Lines", &r->secret);
    }
    if (rc == NACRE_OK) {
        rc = hex(r, "Private-MAC", &r->mac);
    }
    if (rc == NACRE_OK && nc_text_trim(r->rest).n) {
        rc = malformed(r, "something follows its MAC");
    }
    if (rc == NACRE_OK && r->encrypted && r->secret.len % NC_PPK_IV != 0) {
        rc = malformed(r, "its private part is not whole blocks");
    }
    return rc;
}

/* ---- opening ------------------------------------------------------------------------------------- */

static int check_passphrase(reading *r, nacre_span passphrase)
{
    if (r->encrypted && !passphrase.p) {
        return nc_fail(r->err, NACRE_NEED_PASSPHRASE, "the %s needs a passphrase", r->what);
    }
    return NACRE_OK;
}

static int decrypt(reading *r, nacre_span passphrase)
{
    nc_ppk_keys keys;
    uint8_t mac[NC_PPK_MAC];
    int rc = nc_ppk_derive(&keys, r->p.version, r->encrypted,
                           r->encrypted ? passphrase : nc_span(NULL, 0), &r->argon2, r->alloc);
    if (rc == NACRE_OK && r->encrypted && r->secret.len) {
        nacre_room room = {r->secret.data, r->secret.len};
        rc = nc_file_decrypt(nc_ppk_cipher(), keys.cipher, keys.iv, room, NULL);
    }
    r->p.secret = nc_buf_span(&r->secret);
    if (rc == NACRE_OK) {
        int n = nc_ppk_mac(&r->p, &keys, r->alloc, mac);
        bool same = n > 0 && (size_t)n == r->mac.len && nc_ct_equal(mac, r->mac.data, (size_t)n);
        if (n < 0) {
            rc = n;
        } else if (!same && r->encrypted) {
            rc = nc_fail(r->err, NACRE_WRONG_PASSPHRASE,
                         "wrong passphrase for the %s, or its file is damaged", r->what);
        } else if (!same) {
            rc = nc_fail(r->err, NACRE_BAD_KEY, "the %s is damaged: its MAC does not match",
                         r->what);
        }
    }
    nc_wipe(&keys, sizeof(keys));
    return rc;
}

/* The numbers that the public half lacks. */
static void read_secret(nc_pk_type type, nc_rd *r, nc_pk_parts *parts)
{
    switch (type) {
    case NC_PK_RSA:
        parts->d = nc_rd_mpint(r, NC_MAX_MPINT);
        parts->p = nc_rd_mpint(r, NC_MAX_MPINT);
        parts->q = nc_rd_mpint(r, NC_MAX_MPINT);
        parts->iqmp = nc_rd_mpint(r, NC_MAX_MPINT);
        break;
    case NC_PK_P256:
    case NC_PK_P384:
    case NC_PK_P521:
        parts->scalar = nc_rd_mpint(r, NC_MAX_MPINT);
        break;
    case NC_PK_ED25519:
        parts->ed_seed = nc_rd_str(r);
        break;
    case NC_PK_DSA:
        parts->x = nc_rd_mpint(r, NC_MAX_MPINT);
        break;
    case NC_PK_SK_ED25519:
    case NC_PK_SK_P256:
        nc_rd_fail(r); /* PuTTY has none */
        break;
    }
}

static int join_halves(reading *r, const nacre_key *pub, nacre_key **out)
{
    const nc_key_type *type = nc_key_get_type(pub);
    nc_pk_parts parts;
    memset(&parts, 0, sizeof(parts));
    parts.type = type->pk;
    nc_rd halves[2] = {nc_rd_init(nc_key_plain_blob(pub)), nc_rd_init(r->p.secret)};
    (void)nc_rd_str(&halves[0]);
    type->read_public(type, &halves[0], &parts);
    read_secret(type->pk, &halves[1], &parts);
    nacre_span padding = nc_rd_rest(&halves[1]);
    if (nc_rd_end(&halves[0]) != NACRE_OK || nc_rd_end(&halves[1]) != NACRE_OK ||
        padding.n >= (r->encrypted ? NC_PPK_IV : 1)) {
        return nc_fail(r->err, NACRE_BAD_KEY, "%s: its private part is malformed", r->what);
    }
    nc_pk *pk = NULL;
    int rc = nc_pk_from_parts(&pk, r->alloc, &parts, true, r->err);
    if (rc == NACRE_OK) {
        rc = nc_key_from_pk(out, r->alloc, pk, r->p.comment);
    }
    if (rc != NACRE_OK) {
        nc_pk_free(pk);
    }
    return rc;
}

static int read_public(reading *r, bool insecure, nacre_key **out)
{
    int rc = insecure ? nacre_key_from_blob_insecure(out, r->alloc, r->p.public_blob, r->err)
                      : nacre_key_from_blob(out, r->alloc, r->p.public_blob, r->err);
    if (rc == NACRE_OK && !nc_span_is(r->p.type, nacre_key_type(*out))) {
        nacre_key_free(*out);
        *out = NULL;
        rc = nc_fail(r->err, NACRE_BAD_KEY, "%s: it says %s but its key is of another type",
                     r->what, NC_ESC(r->p.type));
    }
    return rc;
}

static int read_private(reading *r, bool insecure, nacre_key **out)
{
    nacre_key *pub = NULL;
    nacre_key *plain = NULL;
    int rc = read_public(r, insecure, &pub);
    if (rc == NACRE_OK) {
        rc = join_halves(r, pub, &plain);
    }
    if (rc == NACRE_OK && nacre_key_is_cert(pub)) {
        rc = nacre_key_attach_cert(out, plain, pub, r->err);
    } else if (rc == NACRE_OK) {
        *out = nacre_key_ref(plain);
    }
    nacre_key_free(plain);
    nacre_key_free(pub);
    return rc;
}

int nc_ppk_read(nacre_key **out, const nacre_allocator *a, nacre_span text, nacre_span passphrase,
                bool insecure, nacre_error *err)
{
    reading r;
    *out = NULL;
    reading_init(&r, a, text, err);
    int rc = read_head(&r);
    rc = rc == NACRE_OK ? read_tail(&r) : rc;
    rc = rc == NACRE_OK ? check_passphrase(&r, passphrase) : rc;
    rc = rc == NACRE_OK ? decrypt(&r, passphrase) : rc;
    rc = rc == NACRE_OK ? read_private(&r, insecure, out) : rc;
    reading_clear(&r);
    return rc == NACRE_OK ? rc : nc_fail(err, rc, "%s: %s", r.what, nacre_status_text(rc));
}

int nc_ppk_read_public(nacre_key **out, const nacre_allocator *a, nacre_span text, nacre_error *err)
{
    reading r;
    nacre_key *plain = NULL;
    *out = NULL;
    reading_init(&r, a, text, err);
    int rc = read_head(&r);
    rc = rc == NACRE_OK ? read_public(&r, false, &plain) : rc;
    rc = rc == NACRE_OK ? nc_key_named(out, plain, r.p.comment) : rc;
    nacre_key_free(plain);
    reading_clear(&r);
    return rc == NACRE_OK ? rc : nc_fail(err, rc, "%s: %s", r.what, nacre_status_text(rc));
}
