/*
 * key_ppk_write.c - PuTTY's private-key files written, and the keys and the MAC that reading needs too
 * (PuTTY manual, appendix C).
 */
#include "keys/key_ppk.h"

#include "keys/cert.h"

#include <stdio.h>
#include <string.h>

enum { SHA1 = 20, SALT = 16, DEFAULT_MEMORY = 8192, DEFAULT_PASSES = 13 };

static const nc_ppk_kdf kdfs[] = {
    {"Argon2id", NC_ARGON2ID},
    {"Argon2i", NC_ARGON2I},
    {"Argon2d", NC_ARGON2D},
};

const nc_ppk_kdf *nc_ppk_find_kdf(nacre_span name)
{
    for (size_t i = 0; i < sizeof(kdfs) / sizeof(kdfs[0]); i++) {
        if (nc_text_is_nocase(name, kdfs[i].name)) {
            return &kdfs[i];
        }
    }
    return NULL;
}

const nc_file_cipher *nc_ppk_cipher(void)
{
    size_t i = 0;
    while (nc_file_ciphers[i] && strcmp(nc_file_ciphers[i]->name, "aes256-cbc") != 0) {
        i++;
    }
    return nc_file_ciphers[i];
}

/* ---- keys ---------------------------------------------------------------------------------------- */

/* PPK 2: SHA-1 of a number and the passphrase, twice, for the cipher; of a text for the MAC. */
static int derive_old(nc_ppk_keys *k, bool encrypted, nacre_span passphrase)
{
    static const char text[] = "putty-private-key-file-mac-key";
    const nc_hash_alg *sha1 = nc_hash_get(NC_SHA1);
    uint8_t digests[2 * SHA1];
    uint8_t count[4] = {0, 0, 0, 0};
    int rc = NACRE_OK;
    for (size_t i = 0; encrypted && rc == NACRE_OK && i < 2; i++) {
        nacre_span pieces[2] = {nc_span(count, sizeof(count)), passphrase};
        count[3] = (uint8_t)i;
        rc = nc_hash(sha1, pieces, 2, digests + i * SHA1);
    }
    if (rc == NACRE_OK && encrypted) {
        memcpy(k->cipher, digests, NC_PPK_KEY);
    }
    nc_wipe(digests, sizeof(digests));
    nacre_span pieces[2] = {nc_span(text, sizeof(text) - 1), passphrase};
    k->mac_len = SHA1;
    return rc == NACRE_OK ? nc_hash(sha1, pieces, 2, k->mac) : rc;
}

static int derive_argon2(nc_ppk_keys *k, nacre_span passphrase, const nc_argon2_params *argon2,
                         const nacre_allocator *a)
{
    uint8_t out[NC_PPK_KEY + NC_PPK_IV + NC_PPK_MAC];
    nc_argon2_params p = *argon2;
    p.password = passphrase;
    int rc = nc_argon2(&p, a, out, sizeof(out));
    if (rc == NACRE_OK) {
        memcpy(k->cipher, out, NC_PPK_KEY);
        memcpy(k->iv, out + NC_PPK_KEY, NC_PPK_IV);
        memcpy(k->mac, out + NC_PPK_KEY + NC_PPK_IV, NC_PPK_MAC);
        k->mac_len = NC_PPK_MAC;
    }
    nc_wipe(out, sizeof(out));
    return rc;
}

int nc_ppk_derive(nc_ppk_keys *k, unsigned version, bool encrypted, nacre_span passphrase,
                  const nc_argon2_params *argon2, const nacre_allocator *a)
{
    memset(k, 0, sizeof(*k));
    if (version == 2) {
        return derive_old(k, encrypted, passphrase);
    }
    return encrypted ? derive_argon2(k, passphrase, argon2, a) : NACRE_OK;
}

int nc_ppk_mac(const nc_ppk *p, const nc_ppk_keys *k, const nacre_allocator *a, uint8_t *out)
{
    const nc_hash_alg *hash = nc_hash_get(p->version == 2 ? NC_SHA1 : NC_SHA256);
    nc_buf data;
    nc_buf_init(&data, a, NC_MAX_KEY_FILE);
    nc_wr w = nc_wr_init(&data);
    nc_wr_str(&w, p->type);
    nc_wr_str(&w, p->encryption);
    nc_wr_str(&w, p->comment);
    nc_wr_str(&w, p->public_blob);
    nc_wr_str(&w, p->secret);
    int rc = nc_wr_err(&w);
    if (rc == NACRE_OK) {
        nacre_span piece = nc_buf_span(&data);
        rc = nc_hmac(hash, nc_span(k->mac, k->mac_len), &piece, 1, out);
    }
    nc_buf_clear(&data);
    return rc == NACRE_OK ? (int)hash->len : rc;
}

/* ---- writing ------------------------------------------------------------------------------------- */

typedef struct writing {
    nc_ppk p;
    nc_argon2_params argon2;
    uint8_t salt[SALT];
    bool encrypted;
    nc_buf secret, comment;
    nacre_error *err;
} writing;

static int check_type(const nacre_key *k, nacre_error *err)
{
    nc_pk_type type = nc_pk_get_type(nc_key_pk(k));
    if (nacre_key_is_sk(k) || type == NC_PK_DSA) {
        return nc_fail(err, NACRE_UNSUPPORTED,
                       "no PuTTY file of a key of type %s is written; OpenSSH's format takes it",
                       nacre_key_type(k));
    }
    return NACRE_OK;
}

static int choose(writing *w, const nacre_key_format_options *o)
{
    w->p.version = o->format == NACRE_FORMAT_PPK2 ? 2 : 3;
    w->encrypted = o->passphrase.n > 0;
    w->p.encryption = nc_span_cstr(w->encrypted ? nc_ppk_cipher()->name : "none");
    if (o->cipher && strcmp(o->cipher, nc_ppk_cipher()->name) != 0) {
        return nc_fail(w->err, NACRE_KEY_CIPHER,
                       "PuTTY's files know the cipher aes256-cbc only, not %s",
                       NC_ESC(nc_span_cstr(o->cipher)));
    }
    const nc_ppk_kdf *kdf = nc_ppk_find_kdf(nc_span_cstr(o->kdf ? o->kdf : "Argon2id"));
    if (!kdf) {
        return nc_fail(w->err, NACRE_KEY_KDF,
                       "PuTTY's files know argon2id, argon2i and argon2d, not %s",
                       NC_ESC(nc_span_cstr(o->kdf)));
    }
    w->argon2.kind = kdf->kind;
    w->argon2.memory_kib = o->memory_kib ? o->memory_kib : DEFAULT_MEMORY;
    w->argon2.passes = o->rounds ? o->rounds : DEFAULT_PASSES;
    w->argon2.parallelism = o->parallelism ? o->parallelism : 1;
    w->argon2.salt = nc_span(w->salt, SALT);
    if (w->p.version == 3 && w->encrypted && !nc_argon2_affordable(&w->argon2)) {
        return nc_fail(w->err, NACRE_KEY_KDF,
                       "%u KiB, %u passes and %u lanes of Argon2 are outside of what is read back: "
                       "up to %d KiB and 8 a lane at least, %d lanes, passes times memory up to %d "
                       "KiB",
                       w->argon2.memory_kib, w->argon2.passes, w->argon2.parallelism,
                       NC_ARGON2_MAX_MEMORY, NC_ARGON2_MAX_LANES, NC_ARGON2_MAX_WORK);
    }
    return w->encrypted ? nc_random_bytes(NULL, w->salt, SALT) : NACRE_OK;
}

static void write_secret(nc_wr *w, const nc_pk_parts *parts)
{
    switch (parts->type) {
    case NC_PK_RSA:
        nc_wr_mpint(w, parts->d);
        nc_wr_mpint(w, parts->p);
        nc_wr_mpint(w, parts->q);
        nc_wr_mpint(w, parts->iqmp);
        break;
    case NC_PK_P256:
    case NC_PK_P384:
    case NC_PK_P521:
        nc_wr_mpint(w, parts->scalar);
        break;
    case NC_PK_ED25519:
        nc_wr_str(w, parts->ed_seed);
        break;
    case NC_PK_DSA:
    case NC_PK_SK_ED25519:
    case NC_PK_SK_P256:
        break;
    }
}

/* Padding is the beginning of the private part's SHA-1, as PuTTY has it: no random bytes leak a choice. */
static int pad(nc_buf *secret)
{
    uint8_t digest[NC_MAX_HASH];
    nacre_span whole = nc_buf_span(secret);
    size_t missing = (NC_PPK_IV - secret->len % NC_PPK_IV) % NC_PPK_IV;
    int rc = nc_hash(nc_hash_get(NC_SHA1), &whole, 1, digest);
    if (rc == NACRE_OK && missing) {
        rc = nc_buf_append(secret, digest, missing);
    }
    nc_wipe(digest, sizeof(digest));
    return rc;
}

static int make_secret(writing *w, const nacre_key *k)
{
    nc_buf storage;
    nc_buf_init(&storage, w->secret.alloc, NC_MAX_PRIVATE_SECTION);
    nc_pk_parts parts;
    int rc = nc_pk_get_parts(nc_key_pk(k), &storage, true, &parts);
    if (rc == NACRE_OK) {
        nc_wr out = nc_wr_init(&w->secret);
        write_secret(&out, &parts);
        rc = nc_wr_err(&out);
    }
    if (rc == NACRE_OK && w->encrypted) {
        rc = pad(&w->secret);
    }
    nc_buf_clear(&storage);
    w->p.secret = nc_buf_span(&w->secret);
    return rc;
}

/* One line: what would end it becomes a blank. */
static int make_comment(writing *w, const nacre_key *k)
{
    const char *text = nacre_key_comment(k);
    int rc = nc_buf_append(&w->comment, text, strlen(text));
    for (size_t i = 0; rc == NACRE_OK && i < w->comment.len; i++) {
        uint8_t c = w->comment.data[i];
        w->comment.data[i] = c == '\n' || c == '\r' ? ' ' : c;
    }
    w->p.comment = nc_buf_span(&w->comment);
    return rc;
}

static void write_hex(nc_wr *w, const char *name, nacre_span bytes)
{
    nc_wr_bytes(w, nc_span_cstr(name));
    for (size_t i = 0; i < bytes.n; i++) {
        char digits[3];
        (void)snprintf(digits, sizeof(digits), "%02x", bytes.p[i]);
        nc_wr_bytes(w, nc_span(digits, 2));
    }
    nc_wr_u8(w, '\n');
}

static int write_block(nc_wr *w, const char *name, nacre_span bytes)
{
    char head[64];
    size_t chars = (bytes.n + 2) / 3 * 4;
    (void)snprintf(head, sizeof(head), "%s: %zu\n", name, (chars + NC_PPK_LINE - 1) / NC_PPK_LINE);
    nc_wr_bytes(w, nc_span_cstr(head));
    return nc_text_write_base64(bytes, NC_PPK_LINE, w);
}

static void write_kdf(nc_wr *w, const writing *job)
{
    const nc_argon2_params *p = &job->argon2;
    char text[160];
    const char *name = kdfs[0].name;
    for (size_t i = 0; i < sizeof(kdfs) / sizeof(kdfs[0]); i++) {
        name = kdfs[i].kind == p->kind ? kdfs[i].name : name;
    }
    (void)snprintf(text, sizeof(text),
                   "Key-Derivation: %s\nArgon2-Memory: %u\nArgon2-Passes: %u\n"
                   "Argon2-Parallelism: %u\n",
                   name, p->memory_kib, p->passes, p->parallelism);
    nc_wr_bytes(w, nc_span_cstr(text));
    write_hex(w, "Argon2-Salt: ", p->salt);
}

static int write_text(writing *job, nacre_span mac, nc_buf *out)
{
    nc_wr w = nc_wr_init(out);
    char head[64];
    (void)snprintf(head, sizeof(head), "PuTTY-User-Key-File-%u: ", job->p.version);
    nc_wr_bytes(&w, nc_span_cstr(head));
    nc_wr_bytes(&w, job->p.type);
    nc_wr_bytes(&w, nc_span_cstr("\nEncryption: "));
    nc_wr_bytes(&w, job->p.encryption);
    nc_wr_bytes(&w, nc_span_cstr("\nComment: "));
    nc_wr_bytes(&w, job->p.comment);
    nc_wr_u8(&w, '\n');
    int rc = write_block(&w, "Public-Lines", job->p.public_blob);
    if (rc == NACRE_OK && job->encrypted && job->p.version == 3) {
        write_kdf(&w, job);
    }
    if (rc == NACRE_OK) {
        rc = write_block(&w, "Private-Lines", job->p.secret);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    write_hex(&w, "Private-MAC: ", mac);
    return nc_wr_err(&w);
}

/* The MAC is over the private part in clear, so it comes first. */
static int seal(writing *w, nacre_span passphrase, nc_buf *out)
{
    nc_ppk_keys keys;
    uint8_t mac[NC_PPK_MAC];
    int n = 0;
    int rc = nc_ppk_derive(&keys, w->p.version, w->encrypted, passphrase, &w->argon2, out->alloc);
    if (rc == NACRE_OK) {
        n = nc_ppk_mac(&w->p, &keys, out->alloc, mac);
        rc = n > 0 ? NACRE_OK : n;
    }
    if (rc == NACRE_OK && w->encrypted) {
        nacre_room room = {w->secret.data, w->secret.len};
        rc = nc_file_encrypt(nc_ppk_cipher(), keys.cipher, keys.iv, room, NULL);
    }
    if (rc == NACRE_OK) {
        rc = write_text(w, nc_span(mac, (size_t)n), out);
    }
    nc_wipe(&keys, sizeof(keys));
    return rc;
}

int nc_ppk_write(const nacre_key *k, const nacre_key_format_options *o, nc_buf *out,
                 nacre_error *err)
{
    writing w;
    memset(&w, 0, sizeof(w));
    w.err = err;
    w.p.type =
        nc_span_cstr(nc_key_get_type(k)->name); /* a certificate lives in a file of its own */
    w.p.public_blob = nc_key_plain_blob(k);
    nc_buf_init(&w.secret, out->alloc, NC_MAX_PRIVATE_SECTION);
    nc_buf_init(&w.comment, out->alloc, NC_MAX_KEY_FILE);
    int rc = check_type(k, err);
    rc = rc == NACRE_OK ? choose(&w, o) : rc;
    rc = rc == NACRE_OK ? make_comment(&w, k) : rc;
    rc = rc == NACRE_OK ? make_secret(&w, k) : rc;
    rc = rc == NACRE_OK ? seal(&w, o->passphrase, out) : rc;
    nc_buf_clear(&w.secret);
    nc_buf_clear(&w.comment);
    return rc;
}
