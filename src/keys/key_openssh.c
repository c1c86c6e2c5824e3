/*
 * key_openssh.c - OpenSSH's own private-key format (PROTOCOL.key), read and written: the armour,
 * the public header, key derivation, and the private section with its check words and padding.
 *
 * Not here: other formats and telling them apart (key_private.c); ciphers and bcrypt (crypto).
 */
#include "keys/cert.h"

#include <string.h>

static const char armour_begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
static const char armour_end[] = "-----END OPENSSH PRIVATE KEY-----";
static const char magic[] = "openssh-key-v1"; /* its zero byte belongs to it */

enum {
    ARMOUR_WIDTH = 70,
    /* bcrypt takes about 10 ms a round: a file that asks for more is not made to be opened. */
    MAX_ROUNDS = 20000,
    DEFAULT_ROUNDS = 24,
    SALT_LEN = 16,
    MAX_SALT = 1024,
    MAX_CIPHER_KEY = 64,
    MAX_CIPHER_IV = 32,
    MAX_TAG = 16,
    PLAIN_BLOCK = 8 /* padding multiple when nothing is encrypted */
};

/* What stands in clear, as spans into the decoded bytes. */
typedef struct envelope {
    nacre_span cipher_name;
    nacre_span kdf_name;
    nacre_span kdf_options;
    nacre_span public_blob;
    nacre_span section;
    nacre_span tag;
    const nc_file_cipher *cipher; /* NULL: not encrypted */
    nacre_span salt;
    uint32_t rounds;
} envelope;

static const nacre_span nothing = {NULL, 0};

/* ---- armour ---------------------------------------------------------------------------------- */

static const uint8_t *find_text(nacre_span s, const char *text)
{
    return s.n ? memmem(s.p, s.n, text, strlen(text)) : NULL;
}

/* The base64 between the marks, decoded into out. Line ends of any kind and blanks do not count. */
static int unarmour(nacre_span text, nc_buf *out, nacre_error *err)
{
    size_t skip = sizeof(armour_begin) - 1;
    nacre_span body = nc_span(text.p + skip, text.n - skip);
    const uint8_t *end = find_text(body, armour_end);
    if (!end) {
        return nc_fail(err, NACRE_KEY_FORMAT,
                       "OpenSSH private key: the line \"%s\" is missing; is the file cut short?",
                       armour_end);
    }
    body.n = (size_t)(end - body.p);
    int rc = nc_text_base64(body, out);
    return rc == NACRE_SYNTAX
               ? nc_fail(err, NACRE_KEY_FORMAT, "OpenSSH private key: its body is not base64")
               : rc;
}

static int write_armour(nacre_span bytes, nc_buf *out)
{
    nc_wr w = nc_wr_init(out);
    nc_wr_bytes(&w, nc_span_cstr(armour_begin));
    nc_wr_u8(&w, '\n');
    int rc = nc_text_write_base64(bytes, ARMOUR_WIDTH, &w);
    nc_wr_bytes(&w, nc_span_cstr(armour_end));
    nc_wr_u8(&w, '\n');
    return rc == NACRE_OK ? nc_wr_err(&w) : rc;
}

/* ---- the envelope ---------------------------------------------------------------------------- */

static const nc_file_cipher *find_cipher(nacre_span name)
{
    for (size_t i = 0; nc_file_ciphers[i]; i++) {
        if (nc_span_is(name, nc_file_ciphers[i]->name)) {
            return nc_file_ciphers[i];
        }
    }
    return NULL;
}

static int check_kdf(envelope *e, nacre_error *err)
{
    bool plain_kdf = nc_span_is(e->kdf_name, "none");
    if (!plain_kdf && !nc_span_is(e->kdf_name, "bcrypt")) {
        return nc_fail(
            err, NACRE_KEY_KDF,
            "OpenSSH private key: unknown key derivation %s (cipher %s); bcrypt is known",
            NC_ESC(e->kdf_name), NC_ESC(e->cipher_name));
    }
    if (plain_kdf != (e->cipher == NULL) || (plain_kdf && e->kdf_options.n)) {
        return nc_fail(err, NACRE_KEY_FORMAT,
                       "OpenSSH private key: cipher %s does not go with key derivation %s",
                       NC_ESC(e->cipher_name), NC_ESC(e->kdf_name));
    }
    if (plain_kdf) {
        return NACRE_OK;
    }
    nc_rd r = nc_rd_init(e->kdf_options);
    e->salt = nc_rd_str(&r);
    e->rounds = nc_rd_u32(&r);
    if (nc_rd_end(&r) != NACRE_OK || e->salt.n == 0 || e->salt.n > MAX_SALT || e->rounds == 0) {
        return nc_fail(err, NACRE_KEY_FORMAT, "OpenSSH private key: malformed bcrypt options");
    }
    if (e->rounds > MAX_ROUNDS) {
        return nc_fail(err, NACRE_KEY_KDF,
                       "OpenSSH private key: %u rounds of bcrypt are more than the %d that are "
                       "allowed; write it anew with ssh-keygen -p -a 100",
                       e->rounds, MAX_ROUNDS);
    }
    return NACRE_OK;
}

static int open_envelope(envelope *e, nacre_span bytes, nacre_error *err)
{
    memset(e, 0, sizeof(*e));
    nc_rd r = nc_rd_init(bytes);
    nacre_span m = nc_rd_bytes(&r, sizeof(magic));
    if (nc_rd_err(&r) != NACRE_OK || memcmp(m.p, magic, sizeof(magic)) != 0) {
        return nc_fail(err, NACRE_KEY_FORMAT,
                       "OpenSSH private key: not in the form openssh-key-v1");
    }
    e->cipher_name = nc_rd_str(&r);
    e->kdf_name = nc_rd_str(&r);
    e->kdf_options = nc_rd_str(&r);
    uint32_t count = nc_rd_u32(&r);
    if (nc_rd_err(&r) == NACRE_OK && count != 1) {
        return nc_fail(err, NACRE_KEY_FORMAT,
                       "OpenSSH private key: %u keys in one file; exactly one is read", count);
    }
    e->public_blob = nc_rd_str(&r);
    e->section = nc_rd_str(&r);
    if (nc_rd_err(&r) != NACRE_OK) {
        return nc_fail(err, NACRE_KEY_FORMAT,
                       "OpenSSH private key: malformed; is the file cut short?");
    }
    if (!nc_span_is(e->cipher_name, "none")) {
        e->cipher = find_cipher(e->cipher_name);
        if (!e->cipher) {
            return nc_fail(err, NACRE_KEY_CIPHER,
                           "OpenSSH private key: unknown cipher %s (key derivation %s)",
                           NC_ESC(e->cipher_name), NC_ESC(e->kdf_name));
        }
    }
    int rc = check_kdf(e, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    e->tag = nc_rd_bytes(&r, e->cipher ? e->cipher->tag_len : 0);
    size_t block = e->cipher ? e->cipher->block : PLAIN_BLOCK;
    bool whole =
        e->section.n && e->section.n <= NC_MAX_PRIVATE_SECTION && e->section.n % block == 0;
    if (nc_rd_end(&r) != NACRE_OK || !whole) {
        return nc_fail(err, NACRE_KEY_FORMAT,
                       "OpenSSH private key: the private section has a wrong length (cipher %s)",
                       NC_ESC(e->cipher_name));
    }
    return NACRE_OK;
}

/* ---- the private section --------------------------------------------------------------------- */

/* Key and IV come from one run of bcrypt, in that order. */
static int derive(const nc_file_cipher *c, nacre_span passphrase, nacre_span salt, uint32_t rounds,
                  uint8_t out[MAX_CIPHER_KEY + MAX_CIPHER_IV])
{
    if (c->key_len > MAX_CIPHER_KEY || c->iv_len > MAX_CIPHER_IV || c->tag_len > MAX_TAG) {
        return NACRE_KEY_CIPHER;
    }
    return nc_bcrypt_pbkdf(passphrase, salt, rounds, out, c->key_len + c->iv_len);
}

static int decrypt_section(const envelope *e, nacre_span passphrase, nc_buf *plain,
                           nacre_error *err)
{
    int rc = nc_buf_append(plain, e->section.p, e->section.n);
    if (rc != NACRE_OK || !e->cipher) {
        return rc;
    }
    if (!passphrase.p) {
        return nc_fail(err, NACRE_NEED_PASSPHRASE,
                       "the OpenSSH private key is encrypted (%s, bcrypt): it needs a passphrase",
                       e->cipher->name);
    }
    if (passphrase.n == 0) {
        return nc_fail(
            err, NACRE_WRONG_PASSPHRASE,
            "the OpenSSH private key is encrypted (%s, bcrypt): an empty passphrase does "
            "not open it",
            e->cipher->name);
    }
    uint8_t secret[MAX_CIPHER_KEY + MAX_CIPHER_IV];
    rc = derive(e->cipher, passphrase, e->salt, e->rounds, secret);
    if (rc != NACRE_OK) {
        nc_fail(err, rc, "OpenSSH private key: bcrypt failed (%s)", nacre_status_text(rc));
        goto done;
    }
    nacre_room room = {plain->data, plain->len};
    rc = nc_file_decrypt(e->cipher, secret, secret + e->cipher->key_len, room, e->tag.p);
    if (rc == NACRE_INTEGRITY) {
        rc = nc_fail(err, NACRE_WRONG_PASSPHRASE,
                     "wrong passphrase for the OpenSSH private key (%s, bcrypt), or its file is "
                     "damaged",
                     e->cipher->name);
    } else if (rc != NACRE_OK) {
        nc_fail(err, rc, "OpenSSH private key: decryption with %s failed", e->cipher->name);
    }
done:
    nc_wipe(secret, sizeof(secret));
    return rc;
}

/* Padding is 1, 2, 3 ... and shorter than a block (RFC-less: PROTOCOL.key section 3). */
static bool padding_good(nacre_span pad, size_t block)
{
    for (size_t i = 0; i < pad.n; i++) {
        if (pad.p[i] != (uint8_t)(i + 1)) {
            return false;
        }
    }
    return pad.n < block;
}

static int corrupted(const envelope *e, nacre_error *err, const char *what)
{
    return nc_fail(err, NACRE_BAD_KEY, "OpenSSH private key (cipher %s) is corrupted: %s",
                   NC_ESC(e->cipher_name), what);
}

static int read_section(nacre_key **out, const nacre_allocator *a, const envelope *e,
                        nacre_span plain, bool insecure, nacre_error *err)
{
    nc_rd r = nc_rd_init(plain);
    uint32_t check1 = nc_rd_u32(&r);
    uint32_t check2 = nc_rd_u32(&r);
    if (nc_rd_err(&r) != NACRE_OK || check1 != check2) {
        /* Under a cipher without a tag the check words are all that tells a wrong passphrase. */
        return e->cipher ? nc_fail(err, NACRE_WRONG_PASSPHRASE,
                                   "wrong passphrase for the OpenSSH private key (%s, bcrypt)",
                                   e->cipher->name)
                         : corrupted(e, err, "its check words differ");
    }
    nacre_span name = nc_rd_str(&r);
    const nc_key_type *type = insecure ? nc_key_type_find_any(name) : nc_key_type_find(name);
    if (nc_rd_err(&r) == NACRE_OK && !type) {
        return nc_fail(err, NACRE_UNSUPPORTED, "OpenSSH private key: key type %s is not supported",
                       NC_ESC(name));
    }
    nc_pk_parts parts;
    memset(&parts, 0, sizeof(parts));
    if (type) {
        parts.type = type->pk;
        type->read_private(type, &r, &parts);
    }
    nacre_span comment = nc_rd_str(&r);
    nacre_span pad = nc_rd_rest(&r);
    if (nc_rd_end(&r) != NACRE_OK || !type) {
        return corrupted(e, err, "its private section is malformed");
    }
    if (!padding_good(pad, e->cipher ? e->cipher->block : PLAIN_BLOCK)) {
        return corrupted(e, err, "its padding is wrong");
    }
    nc_pk *pk = NULL;
    int rc = nc_pk_from_parts(&pk, a, &parts, true, err);
    if (rc == NACRE_OK) {
        rc = nc_key_from_pk(out, a, pk, comment);
    }
    if (rc != NACRE_OK) {
        nc_pk_free(pk);
        return nc_fail(err, rc, "OpenSSH private key (%s): %s", type->name, nacre_status_text(rc));
    }
    if (!nc_span_eq(nacre_key_blob(*out), e->public_blob)) {
        nacre_key_free(*out);
        *out = NULL;
        return corrupted(e, err, "its public half belongs to another key");
    }
    return NACRE_OK;
}

int nc_openssh_read(nacre_key **out, const nacre_allocator *a, nacre_span text,
                    nacre_span passphrase, bool insecure, nacre_error *err)
{
    *out = NULL;
    envelope e;
    nc_buf bytes, plain;
    nc_buf_init(&bytes, a, NC_MAX_KEY_FILE);
    nc_buf_init(&plain, a, NC_MAX_PRIVATE_SECTION);
    int rc = unarmour(text, &bytes, err);
    if (rc == NACRE_OK) {
        rc = open_envelope(&e, nc_buf_span(&bytes), err);
    }
    if (rc == NACRE_OK) {
        rc = decrypt_section(&e, passphrase, &plain, err);
    }
    if (rc == NACRE_OK) {
        rc = read_section(out, a, &e, nc_buf_span(&plain), insecure, err);
    }
    nc_buf_clear(&plain);
    nc_buf_clear(&bytes);
    return rc;
}

int nc_openssh_read_public(nacre_key **out, const nacre_allocator *a, nacre_span text,
                           nacre_error *err)
{
    *out = NULL;
    envelope e;
    nc_buf bytes;
    nc_buf_init(&bytes, a, NC_MAX_KEY_FILE);
    int rc = unarmour(text, &bytes, err);
    if (rc == NACRE_OK) {
        rc = open_envelope(&e, nc_buf_span(&bytes), err);
    }
    if (rc == NACRE_OK) {
        rc = nacre_key_from_blob(out, a, e.public_blob, err);
    }
    nc_buf_clear(&bytes);
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int write_section(const nacre_key *k, size_t block, nc_buf *out)
{
    const nc_key_type *type = nc_key_get_type(k);
    nc_buf storage;
    nc_buf_init(&storage, out->alloc, NC_MAX_PRIVATE_SECTION);
    nc_pk_parts parts;
    memset(&parts, 0, sizeof(parts));
    uint8_t check[4];
    int rc = nc_random_bytes(NULL, check, sizeof(check));
    if (rc == NACRE_OK) {
        rc = nc_pk_get_parts(nc_key_pk(k), &storage, true, &parts);
    }
    if (rc == NACRE_OK) {
        nc_wr w = nc_wr_init(out);
        nc_wr_bytes(&w, nc_span(check, sizeof(check)));
        nc_wr_bytes(&w, nc_span(check, sizeof(check)));
        nc_wr_cstr(&w, type->name);
        type->write_private(type, &w, &parts);
        nc_wr_cstr(&w, nacre_key_comment(k));
        for (uint8_t i = 1; nc_wr_err(&w) == NACRE_OK && out->len % block != 0; i++) {
            nc_wr_u8(&w, i);
        }
        rc = nc_wr_err(&w);
    }
    nc_buf_clear(&storage);
    return rc;
}

/* Fills in kdf_options and encrypts the section in place. */
static int encrypt_section(const nc_file_cipher *c, nacre_span passphrase, uint32_t rounds,
                           nc_buf *section, nc_buf *options, uint8_t tag[MAX_TAG])
{
    uint8_t salt[SALT_LEN];
    uint8_t secret[MAX_CIPHER_KEY + MAX_CIPHER_IV];
    int rc = nc_random_bytes(NULL, salt, sizeof(salt));
    if (rc == NACRE_OK) {
        nc_wr w = nc_wr_init(options);
        nc_wr_str(&w, nc_span(salt, sizeof(salt)));
        nc_wr_u32(&w, rounds);
        rc = nc_wr_err(&w);
    }
    if (rc == NACRE_OK) {
        rc = derive(c, passphrase, nc_span(salt, sizeof(salt)), rounds, secret);
    }
    if (rc == NACRE_OK) {
        nacre_room room = {section->data, section->len};
        rc = nc_file_encrypt(c, secret, secret + c->key_len, room, tag);
    }
    nc_wipe(secret, sizeof(secret));
    return rc;
}

static int write_file(const nacre_key *k, const nc_file_cipher *c, nacre_span options,
                      nacre_span section, const uint8_t *tag, nc_buf *text)
{
    nc_buf bytes;
    nc_buf_init(&bytes, text->alloc, NC_MAX_KEY_FILE);
    nc_wr w = nc_wr_init(&bytes);
    nc_wr_bytes(&w, nc_span(magic, sizeof(magic)));
    nc_wr_cstr(&w, c ? c->name : "none");
    nc_wr_cstr(&w, c ? "bcrypt" : "none");
    nc_wr_str(&w, options);
    nc_wr_u32(&w, 1);
    nc_wr_str(&w, nc_key_plain_blob(k)); /* a certificate lives in a file of its own */
    nc_wr_str(&w, section);
    nc_wr_bytes(&w, c ? nc_span(tag, c->tag_len) : nothing);
    int rc = nc_wr_err(&w);
    if (rc == NACRE_OK) {
        rc = write_armour(nc_buf_span(&bytes), text);
    }
    nc_buf_clear(&bytes);
    return rc;
}

int nc_openssh_write(const nacre_key *k, nacre_span passphrase, uint32_t rounds, const char *cipher,
                     nc_buf *out)
{
    if (!nacre_key_is_private(k)) {
        return NACRE_NOT_PRIVATE;
    }
    bool plain = passphrase.n == 0;
    const nc_file_cipher *c =
        plain ? NULL : find_cipher(nc_span_cstr(cipher ? cipher : "aes256-ctr"));
    if (!plain && (!c || c->read_only)) {
        return NACRE_UNKNOWN_NAME;
    }
    if (rounds > MAX_ROUNDS) {
        return NACRE_TOO_LARGE; /* a file that we would not read */
    }
    const nacre_allocator *a = nc_key_allocator(k);
    uint8_t tag[MAX_TAG] = {0};
    nc_buf section, options;
    nc_buf_init(&section, a, NC_MAX_PRIVATE_SECTION);
    nc_buf_init(&options, a, 2 * MAX_SALT);
    int rc = write_section(k, c ? c->block : PLAIN_BLOCK, &section);
    if (rc == NACRE_OK && c) {
        rc = encrypt_section(c, passphrase, rounds ? rounds : DEFAULT_ROUNDS, &section, &options,
                             tag);
    }
    if (rc == NACRE_OK) {
        rc = write_file(k, c, nc_buf_span(&options), nc_buf_span(&section), tag, out);
    }
    nc_buf_clear(&section);
    nc_buf_clear(&options);
    return rc;
}

int nacre_key_to_private_cipher(const nacre_key *k, nacre_span passphrase, uint32_t rounds,
                                const char *cipher, char **text, size_t *len)
{
    *text = NULL;
    *len = 0;
    nc_buf out;
    nc_buf_init(&out, nc_key_allocator(k), NC_MAX_KEY_FILE);
    int rc = nc_openssh_write(k, passphrase, rounds, cipher, &out);
    if (rc == NACRE_OK) {
        rc = nc_buf_append(&out, "", 1);
    }
    if (rc != NACRE_OK) {
        nc_buf_clear(&out);
        return rc;
    }
    *text = (char *)out.data;
    *len = out.len - 1; /* without the terminator */
    return NACRE_OK;
}

int nacre_key_to_private(const nacre_key *k, nacre_span passphrase, uint32_t rounds, char **text,
                         size_t *len)
{
    return nacre_key_to_private_cipher(k, passphrase, rounds, NULL, text, len);
}
