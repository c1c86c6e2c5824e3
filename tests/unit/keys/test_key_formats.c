/*
 * Every format that keys are written in, read back; PuTTY's files; public keys in every form; loading
 * with questions; and what must be refused.
 */
#include "keydata.h"

#include "nacre/cert.h"

#include "keys/key.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = {"ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa2048"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };
static const nacre_span none = {NULL, 0};

static nacre_key_format_options options(nacre_key_format format, const char *passphrase)
{
    nacre_key_format_options o;
    nacre_key_format_options_init(&o, format);
    o.passphrase = passphrase ? keydata_cstr(passphrase) : none;
    o.memory_kib = 64;
    o.rounds = 2;
    return o;
}

static nacre_span write_as(const nacre_key *k, const nacre_key_format_options *o)
{
    char *text = NULL;
    size_t n = 0;
    nacre_error err;
    int rc = nacre_key_write(k, o, &text, &n, &err);
    if (rc != NACRE_OK) {
        fail_msg("%s: %s", nacre_key_type(k), err.text);
    }
    assert_int_equal(strlen(text), n);
    return nc_span(text, n);
}

static void drop(nacre_span text)
{
    nacre_secret_free(NULL, (void *)(uintptr_t)text.p, text.n);
}

static int read_back(nacre_span text, const char *passphrase, const nacre_key *like)
{
    nacre_key *k = NULL;
    nacre_error err;
    int rc =
        nacre_key_from_private(&k, NULL, text, passphrase ? keydata_cstr(passphrase) : none, &err);
    assert_true((rc == NACRE_OK) == (k != NULL));
    assert_true((rc == NACRE_OK) == (err.text[0] == '\0'));
    if (k && like) {
        uint8_t *sig = NULL;
        size_t n = 0;
        assert_true(nacre_key_equal(k, like) && nacre_key_is_private(k));
        assert_int_equal(nacre_key_sign(k, NULL, keydata_cstr("x"), &sig, &n), NACRE_OK);
        assert_int_equal(nacre_key_verify(like, NULL, keydata_cstr("x"), nc_span(sig, n)),
                         NACRE_OK);
        nacre_secret_free(NULL, sig, n);
    }
    nacre_key_free(k);
    return rc;
}

/* ---- written and read ---------------------------------------------------------------------------- */

static void private_formats_come_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        nacre_key *k = keydata_private(names[i]);
        for (int f = NACRE_FORMAT_OPENSSH; f <= NACRE_FORMAT_PPK3; f++) {
            if (f == NACRE_FORMAT_PEM && i == 0) {
                continue;
            }
            nacre_key_format_options o = options((nacre_key_format)f, NULL);
            nacre_span text = write_as(k, &o);
            assert_int_equal(read_back(text, NULL, k), NACRE_OK);
            assert_int_equal(read_back(text, "ignored", k), NACRE_OK);
            drop(text);
            o = options((nacre_key_format)f, "pearl");
            text = write_as(k, &o);
            assert_int_equal(read_back(text, "pearl", k), NACRE_OK);
            assert_int_equal(read_back(text, NULL, k), NACRE_NEED_PASSPHRASE);
            assert_int_equal(read_back(text, "peril", k), NACRE_WRONG_PASSPHRASE);
            assert_int_equal(read_back(text, "", k), NACRE_WRONG_PASSPHRASE);
            drop(text);
        }
        nacre_key_free(k);
    }
}

static void public_formats_come_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        nacre_key *k = keydata_private(names[i]);
        for (int f = NACRE_FORMAT_LINE; f <= NACRE_FORMAT_PUB_PEM; f++) {
            if (f == NACRE_FORMAT_PUB_PEM && i == 0) {
                continue;
            }
            nacre_key_format_options o = options((nacre_key_format)f, NULL);
            nacre_span text = write_as(k, &o);
            nacre_key *back = NULL;
            nacre_error err;
            assert_int_equal(nacre_key_from_public(&back, NULL, text, &err), NACRE_OK);
            assert_true(nacre_key_equal(back, k));
            assert_false(nacre_key_is_private(back));
            bool commented = f == NACRE_FORMAT_LINE || f == NACRE_FORMAT_RFC4716;
            assert_string_equal(nacre_key_comment(back), commented ? nacre_key_comment(k) : "");
            nacre_key_free(back);
            assert_int_equal(read_back(text, NULL, NULL), NACRE_NOT_PRIVATE);
            for (size_t n = 0; n < text.n - 2; n++) {
                int rc = nacre_key_from_public(&back, NULL, nc_span(text.p, n), NULL);
                assert_true(rc < 0 || f == NACRE_FORMAT_LINE);
                nacre_key_free(back);
            }
            drop(text);
        }
        nacre_key_free(k);
    }
}

static void comments_stay_in_their_line(void **state)
{
    static const char wild[] = "two \"words\"\nssh-rsa AAAA\r\x7f and a long tail that goes on for "
                               "more than seventy-two bytes \\";
    nacre_key *k = keydata_private("ed25519");
    (void)state;
    for (int f = NACRE_FORMAT_OPENSSH; f <= NACRE_FORMAT_RFC4716; f++) {
        if (f == NACRE_FORMAT_PEM) {
            continue;
        }
        nacre_key_format_options o = options((nacre_key_format)f, NULL);
        o.comment = wild;
        nacre_span text = write_as(k, &o);
        nacre_key *back = NULL;
        nacre_error err;
        int rc = f < NACRE_FORMAT_LINE ? nacre_key_from_private(&back, NULL, text, none, &err)
                                       : nacre_key_from_public(&back, NULL, text, &err);
        assert_int_equal(rc, NACRE_OK);
        assert_true(nacre_key_equal(back, k));
        if (f != NACRE_FORMAT_PKCS8 && f != NACRE_FORMAT_OPENSSH) {
            assert_null(strchr(nacre_key_comment(back), '\n'));
            assert_non_null(strstr(nacre_key_comment(back), "seventy-two bytes \\"));
        }
        nacre_span rest = text;
        nacre_span line;
        while (f == NACRE_FORMAT_RFC4716 && nc_text_line(&rest, &line)) {
            assert_true(line.n <= 72);
        }
        nacre_key_free(back);
        drop(text);
    }
    nacre_key_free(k);
}

/* ---- refusals of writing ------------------------------------------------------------------------- */

typedef struct refusal {
    const char *key; /* ".pub": the public half */
    nacre_key_format format;
    const char *passphrase, *cipher, *kdf;
    uint32_t rounds, memory, lanes;
    int status;
    const char *says;
} refusal;

static const refusal refusals[] = {
    {"ed25519", NACRE_FORMAT_PEM, NULL, NULL, NULL, 0, 0, 0, NACRE_UNSUPPORTED, "Ed25519"},
    {"ed25519", NACRE_FORMAT_PUB_PEM, NULL, NULL, NULL, 0, 0, 0, NACRE_UNSUPPORTED, "Ed25519"},
    {".pub", NACRE_FORMAT_OPENSSH, NULL, NULL, NULL, 0, 0, 0, NACRE_NOT_PRIVATE, "private"},
    {".pub", NACRE_FORMAT_PKCS8, NULL, NULL, NULL, 0, 0, 0, NACRE_NOT_PRIVATE, "private"},
    {".pub", NACRE_FORMAT_PPK3, NULL, NULL, NULL, 0, 0, 0, NACRE_NOT_PRIVATE, "private"},
    {"rsa2048", (nacre_key_format)0, NULL, NULL, NULL, 0, 0, 0, NACRE_INVALID_ARGUMENT, "format"},
    {"rsa2048", (nacre_key_format)99, NULL, NULL, NULL, 0, 0, 0, NACRE_INVALID_ARGUMENT, "99"},
    {"rsa2048", NACRE_FORMAT_OPENSSH, "p", "rot13", NULL, 2, 0, 0, NACRE_KEY_CIPHER, "rot13"},
    {"rsa2048", NACRE_FORMAT_OPENSSH, "p", "3des-cbc", NULL, 2, 0, 0, NACRE_KEY_CIPHER, "3des"},
    {"rsa2048", NACRE_FORMAT_OPENSSH, "p", NULL, NULL, 20001, 0, 0, NACRE_KEY_KDF, "20001"},
    {"rsa2048", NACRE_FORMAT_PEM, "p", "aes256-ctr", NULL, 0, 0, 0, NACRE_KEY_CIPHER, "aes256-ctr"},
    {"rsa2048", NACRE_FORMAT_PKCS8, "p", "rc4", NULL, 1, 0, 0, NACRE_KEY_CIPHER, "rc4"},
    {"rsa2048", NACRE_FORMAT_PKCS8, "p", NULL, NULL, 10000001, 0, 0, NACRE_KEY_KDF, "10000000"},
    {"rsa2048", NACRE_FORMAT_PPK2, "p", "aes128-cbc", NULL, 0, 0, 0, NACRE_KEY_CIPHER, "aes128"},
    {"rsa2048", NACRE_FORMAT_PPK3, "p", NULL, "scrypt", 1, 0, 0, NACRE_KEY_KDF, "scrypt"},
    {"rsa2048", NACRE_FORMAT_PPK3, "p", NULL, NULL, 1, 524289, 1, NACRE_KEY_KDF, "524288"},
    {"rsa2048", NACRE_FORMAT_PPK3, "p", NULL, NULL, 33, 524288, 1, NACRE_KEY_KDF, "16777216"},
    {"rsa2048", NACRE_FORMAT_PPK3, "p", NULL, NULL, 1, 8192, 65, NACRE_KEY_KDF, "64"},
    {"rsa2048", NACRE_FORMAT_PPK3, "p", NULL, NULL, 1, 15, 2, NACRE_KEY_KDF, "15"},
};

static void what_cannot_be_written_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const refusal *r = &refusals[i];
        nacre_key *k = r->key[0] == '.' ? keydata_public("ed25519") : keydata_private(r->key);
        nacre_key_format_options o = options(r->format, r->passphrase);
        char *text = NULL;
        size_t n = 0;
        nacre_error err;
        o.cipher = r->cipher;
        o.kdf = r->kdf;
        o.rounds = r->rounds;
        o.memory_kib = r->memory;
        o.parallelism = r->lanes;
        assert_int_equal(nacre_key_write(k, &o, &text, &n, &err), r->status);
        assert_null(text);
        assert_int_equal(n, 0);
        assert_non_null(strstr(err.text, r->says));
        nacre_key_free(k);
    }
}

/* ---- PuTTY's files ------------------------------------------------------------------------------- */

static const struct {
    const char *file, *key, *passphrase;
} ppk_files[] = {
    {"ed25519.ppk", "ed25519", NULL},
    {"ed25519_enc.ppk", "ed25519", "nacre"},
    {"rsa2048_v2.ppk", "rsa2048", NULL},
    {"rsa2048_enc_v2.ppk", "rsa2048", "nacre"},
    {"ecdsa256_argon2i.ppk", "ecdsa256", "nacre"},
    {"ecdsa384_argon2d.ppk", "ecdsa384", "nacre"},
    {"ecdsa521_v2.ppk", "ecdsa521", NULL},
};
enum { PPK_FILES = sizeof(ppk_files) / sizeof(ppk_files[0]) };

static void puttygens_files_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < PPK_FILES; i++) {
        nacre_span text = keydata_read(ppk_files[i].file);
        nacre_key *pub = keydata_public(ppk_files[i].key);
        nacre_key *clear = NULL;
        nacre_error err;
        assert_int_equal(read_back(text, ppk_files[i].passphrase, pub), NACRE_OK);
        if (ppk_files[i].passphrase) {
            assert_int_equal(read_back(text, NULL, pub), NACRE_NEED_PASSPHRASE);
            assert_int_equal(read_back(text, "nacr", pub), NACRE_WRONG_PASSPHRASE);
        }
        assert_int_equal(nacre_key_public_of_private(&clear, NULL, text, &err), NACRE_OK);
        assert_true(nacre_key_equal(clear, pub));
        assert_true(strlen(nacre_key_comment(clear)) > 0);
        nacre_key_free(clear);
        nacre_key_free(pub);
        keydata_free(text);
    }
}

static void cut_and_changed_ppks_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < PPK_FILES; i++) {
        nacre_span text = keydata_read(ppk_files[i].file);
        uint8_t *bytes = (uint8_t *)(uintptr_t)text.p;
        nacre_key *pub = keydata_public(ppk_files[i].key);
        bool slow = ppk_files[i].passphrase != NULL;
        for (size_t n = 0; n + 1 < text.n; n += slow && n > 200 ? 3 : 1) {
            assert_true(read_back(nc_span(text.p, n), ppk_files[i].passphrase, pub) < 0);
        }
        for (size_t at = 0; at < text.n; at += slow ? 7 : 2) {
            bytes[at] ^= 1;
            int rc = read_back(text, ppk_files[i].passphrase, NULL);
            /* Letters of hexadecimal numbers may be of either case: nothing else may change. */
            assert_true(rc < 0);
            bytes[at] ^= 1;
        }
        nacre_key_free(pub);
        keydata_free(text);
    }
}

/* Replaces one line's value; the text is small. */
static char *with_line(nacre_span text, const char *name, const char *value)
{
    static char out[8192];
    size_t n = 0;
    nacre_span line;
    while (nc_text_line(&text, &line)) {
        if (nc_text_starts(line, name)) {
            n += (size_t)snprintf(out + n, sizeof(out) - n, "%s: %s\n", name, value);
        } else {
            n += (size_t)snprintf(out + n, sizeof(out) - n, "%.*s\n", (int)line.n,
                                  (const char *)line.p);
        }
    }
    return out;
}

static void absurd_ppks_are_named(void **state)
{
    static const struct {
        const char *name, *value;
        int status;
        const char *says;
    } rows[] = {
        {"Encryption", "aes128-cbc", NACRE_KEY_CIPHER, "aes128-cbc"},
        {"Encryption", "", NACRE_KEY_CIPHER, "unknown cipher"},
        {"Key-Derivation", "bcrypt", NACRE_KEY_KDF, "bcrypt"},
        {"Argon2-Memory", "524289", NACRE_KEY_KDF, "524288"},
        {"Argon2-Memory", "4294967295", NACRE_KEY_KDF, "524288"},
        {"Argon2-Memory", "4294967296", NACRE_KEY_FORMAT, "Argon2-Memory"},
        {"Argon2-Memory", "7", NACRE_KEY_KDF, "7 KiB"},
        {"Argon2-Memory", "-1", NACRE_KEY_FORMAT, "Argon2-Memory"},
        {"Argon2-Passes", "0", NACRE_KEY_KDF, "0 passes"},
        {"Argon2-Passes", "4000000000", NACRE_KEY_KDF, "16777216"},
        {"Argon2-Parallelism", "0", NACRE_KEY_KDF, "0 lanes"},
        {"Argon2-Parallelism", "65", NACRE_KEY_KDF, "64 lanes"},
        {"Argon2-Parallelism", "1000000000", NACRE_KEY_KDF, "64 lanes"},
        {"Argon2-Salt", "0102", NACRE_KEY_FORMAT, "salt"},
        {"Argon2-Salt", "010", NACRE_KEY_FORMAT, "Argon2-Salt"},
        {"Argon2-Salt", "xx020304050607080910111213141516", NACRE_KEY_FORMAT, "Argon2-Salt"},
        {"Public-Lines", "1", NACRE_KEY_FORMAT, NULL},
        {"Public-Lines", "4294967295", NACRE_KEY_FORMAT, "count"},
        {"Public-Lines", "16384", NACRE_KEY_FORMAT, "cut short"},
        {"Private-Lines", "0", NACRE_KEY_FORMAT, NULL},
        {"Private-Lines", "x", NACRE_KEY_FORMAT, "count"},
        {"Private-MAC", "00", NACRE_WRONG_PASSPHRASE, "damaged"},
        {"Private-MAC", "", NACRE_WRONG_PASSPHRASE, "damaged"},
        {"Comment", "another", NACRE_WRONG_PASSPHRASE, "damaged"},
        {"PuTTY-User-Key-File-3", "ssh-rsa", NACRE_WRONG_PASSPHRASE, "damaged"},
    };
    nacre_span text = keydata_read("ed25519_enc.ppk");
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nacre_key *k = NULL;
        nacre_error err;
        char *changed = with_line(text, rows[i].name, rows[i].value);
        int rc =
            nacre_key_from_private(&k, NULL, keydata_cstr(changed), keydata_passphrase(), &err);
        assert_int_equal(rc, rows[i].status);
        assert_null(k);
        assert_true(!rows[i].says || strstr(err.text, rows[i].says));
        assert_non_null(strstr(err.text, "PuTTY"));
    }
    keydata_free(text);
    text = keydata_cstr("PuTTY-User-Key-File-1: ssh-rsa\nEncryption: none\n");
    assert_int_equal(read_back(text, NULL, NULL), NACRE_KEY_FORMAT);
    text = keydata_cstr("PuTTY-User-Key-File-");
    assert_int_equal(read_back(text, NULL, NULL), NACRE_KEY_FORMAT);
}

/* puttygen puts a certificate into the file of the private key (--certificate, PuTTY 0.78). */
static void puttys_files_have_certificates(void **state)
{
    nacre_span text = keydata_read("ed25519_cert.ppk");
    nacre_key *cert = keydata_public("../certs/user_ed25519-cert");
    nacre_key *k = NULL;
    nacre_error err;
    uint8_t *sig = NULL;
    size_t n = 0;
    (void)state;
    assert_int_equal(nacre_key_from_private(&k, NULL, text, nc_span(NULL, 0), &err), NACRE_OK);
    assert_true(nacre_key_is_private(k));
    assert_true(nacre_key_is_cert(k));
    assert_true(nacre_key_equal(k, cert));
    assert_int_equal(nacre_key_sign(k, NULL, keydata_cstr("x"), &sig, &n), NACRE_OK);
    assert_int_equal(nacre_key_verify(cert, NULL, keydata_cstr("x"), nc_span(sig, n)), NACRE_OK);
    nacre_secret_free(NULL, sig, n);
    nacre_key_free(k);
    /* A byte of it changed: the MAC is over the certificate, too. */
    uint8_t *at = (uint8_t *)(uintptr_t)strstr((const char *)text.p, "AAAA");
    at[200] = at[200] == 'A' ? 'B' : 'A';
    k = NULL;
    assert_true(nacre_key_from_private(&k, NULL, text, nc_span(NULL, 0), &err) < 0);
    assert_null(k);
    nacre_key_free(cert);
    keydata_free(text);
}

static void dsa_files_need_the_switch(void **state)
{
    static const char *const files[] = {"dsa", "dsa.ppk", "dsa_new.p8"};
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        nacre_span text = keydata_read(files[i]);
        nacre_key *k = NULL;
        nacre_error err;
        uint8_t *sig = NULL;
        size_t n = 0;
        assert_int_equal(nacre_key_load(&k, NULL, text, NULL, &err), NACRE_UNSUPPORTED);
        nacre_key_load_options o;
        nacre_key_load_options_init(&o);
        o.insecure_dss = true;
        assert_int_equal(nacre_key_load(&k, NULL, text, &o, &err), NACRE_OK);
        assert_string_equal(nacre_key_type(k), "ssh-dss");
        assert_int_equal(nacre_key_sign(k, NULL, keydata_cstr("x"), &sig, &n), NACRE_UNKNOWN_NAME);
        assert_int_equal(nacre_key_sign(k, "ssh-dss", keydata_cstr("x"), &sig, &n),
                         NACRE_UNSUPPORTED);
        for (int f = NACRE_FORMAT_PEM; f <= NACRE_FORMAT_PPK3; f++) {
            nacre_key_format_options w = options((nacre_key_format)f, NULL);
            char *out = NULL;
            assert_int_equal(nacre_key_write(k, &w, &out, &n, &err), NACRE_UNSUPPORTED);
        }
        nacre_key_free(k);
        keydata_free(text);
    }
    nacre_span text = keydata_read("dsa.pub");
    nacre_key *k = NULL;
    assert_int_equal(nacre_key_from_public(&k, NULL, text, NULL), NACRE_UNSUPPORTED);
    assert_int_equal(nacre_key_from_public_insecure(&k, NULL, text, NULL), NACRE_OK);
    nacre_key_free(k);
    keydata_free(text);
}

/* ---- PKCS#8 that asks too much ------------------------------------------------------------------- */

/* The file's DER with a number of iterations in it changed: the same length, so nothing else moves. */
static void absurd_pbkdf2_is_refused(void **state)
{
    nacre_key *k = keydata_private("ed25519");
    nacre_key_format_options o = options(NACRE_FORMAT_PKCS8, "pearl");
    o.rounds = 0x010001; /* three bytes in DER */
    (void)state;
    nacre_span text = write_as(k, &o);
    nacre_span rest = text;
    nacre_span line;
    nc_buf der, pem, base64;
    nc_buf_init(&der, NULL, 1 << 16);
    nc_buf_init(&pem, NULL, 1 << 16);
    nc_buf_init(&base64, NULL, 1 << 16);
    while (nc_text_line(&rest, &line)) {
        if (line.p[0] != '-') {
            assert_int_equal(nc_buf_append(&base64, line.p, line.n), NACRE_OK);
        }
    }
    assert_int_equal(nc_base64_decode(nc_buf_span(&base64), &der), NACRE_OK);
    static const uint8_t number[] = {2, 3, 1, 0, 1};
    uint8_t *at = memmem(der.data, der.len, number, sizeof(number));
    assert_non_null(at);
    static const uint8_t values[][3] = {
        {0xff, 0xff, 0xff}, {0x80, 0, 0}, {0, 0, 0}, {0x98, 0x96, 0x81}};
    for (size_t i = 0; i < 4; i++) {
        nc_wr w = nc_wr_init(&pem);
        memcpy(at + 2, values[i], 3);
        nc_buf_reset(&pem);
        nc_wr_bytes(&w, keydata_cstr("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        assert_int_equal(nc_text_write_base64(nc_buf_span(&der), 64, &w), NACRE_OK);
        nc_wr_bytes(&w, keydata_cstr("-----END ENCRYPTED PRIVATE KEY-----\n"));
        nacre_key *back = NULL;
        nacre_error err;
        int rc =
            nacre_key_from_private(&back, NULL, nc_buf_span(&pem), keydata_cstr("pearl"), &err);
        assert_true(rc == NACRE_KEY_KDF || rc == NACRE_KEY_FORMAT);
        assert_null(back);
    }
    nc_buf_clear(&der);
    nc_buf_clear(&pem);
    nc_buf_clear(&base64);
    drop(text);
    nacre_key_free(k);
}

/* ---- RFC 4716 ------------------------------------------------------------------------------------ */

static void rfc4716_headers(void **state)
{
    char good[4096], body[2048], text[8192];
    nacre_key *k = keydata_public("ed25519");
    nacre_key *back = NULL;
    nacre_error err;
    (void)state;
    assert_true(nacre_key_public_line(k, good, sizeof(good)) > 0);
    snprintf(body, sizeof(body), "%s", strchr(good, ' ') + 1);
#define BEGIN "---- BEGIN SSH2 PUBLIC KEY ----\n"
#define END   "---- END SSH2 PUBLIC KEY ----\n"
    snprintf(text, sizeof(text),
             "leading text\n" BEGIN "Subject: me\r\nx-private: a\\\nb\\\nc\r\n"
             "comment:  \"one \\\r\ntwo\"\nComment: second\n%s\n" END "trailing\n",
             body);
    assert_int_equal(nacre_key_from_public(&back, NULL, keydata_cstr(text), &err), NACRE_OK);
    assert_true(nacre_key_equal(back, k));
    assert_string_equal(nacre_key_comment(back), "one two");
    nacre_key_free(back);
    static const char *const bad[] = {
        BEGIN END,
        BEGIN "Comment: x\n" END,
        BEGIN "Comment: x\\\n",
        BEGIN "Comment: x\\\n" END,
        BEGIN "!!!!\n" END,
        BEGIN "AAAA\n" END,
        BEGIN "AAAAC3NzaC1lZDI1NTE5AAAAIA==\n" END,
        BEGIN,
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(nacre_key_from_public(&back, NULL, keydata_cstr(bad[i]), &err) < 0);
        assert_null(back);
        assert_true(err.text[0] != '\0');
    }
    nacre_key_free(k);
}

static void private_files_are_no_public_ones(void **state)
{
    static const char *const files[] = {"ed25519", "rsa2048.pem", "ecdsa256_enc.p8", "ed25519.ppk"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        nacre_span text = keydata_read(files[i]);
        nacre_key *k = NULL;
        nacre_error err;
        assert_int_equal(nacre_key_from_public(&k, NULL, text, &err), NACRE_KEY_FORMAT);
        assert_non_null(strstr(err.text, "private key"));
        keydata_free(text);
    }
}

/* ---- loading ------------------------------------------------------------------------------------- */

typedef struct asker {
    const char *answers[4];
    size_t asked;
    int status;
    int first, last; /* what it was told */
    char text[256];
} asker;

static int ask(void *user, const nacre_error *why, nacre_room out, size_t *n)
{
    asker *a = user;
    const char *answer = a->answers[a->asked++];
    a->first = a->asked == 1 ? why->status : a->first;
    a->last = why->status;
    snprintf(a->text, sizeof(a->text), "%.200s", why->text);
    if (!answer) {
        return a->status;
    }
    assert_true(strlen(answer) <= out.n);
    memcpy(out.p, answer, strlen(answer));
    *n = strlen(answer);
    return NACRE_OK;
}

static int load_asking(asker *a, nacre_span text, const char *given, unsigned tries)
{
    nacre_key *k = NULL;
    nacre_error err;
    nacre_key_load_options o;
    nacre_key_load_options_init(&o);
    assert_int_equal(o.tries, 3);
    o.passphrase = given ? keydata_cstr(given) : none;
    o.ask = ask;
    o.ask_user = a;
    o.tries = tries;
    int rc = nacre_key_load(&k, NULL, text, &o, &err);
    assert_true((rc == NACRE_OK) == (k != NULL));
    assert_int_equal(err.status, rc);
    nacre_key_free(k);
    return rc;
}

static void passphrases_are_asked_for(void **state)
{
    static const char *const files[] = {"ed25519_enc.ppk", "ecdsa256_enc", "ecdsa256_enc.pem",
                                        "ecdsa256_enc.p8"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        nacre_span text = keydata_read(files[i]);
        asker a = {.answers = {"nacre"}};
        assert_int_equal(load_asking(&a, text, NULL, 3), NACRE_OK);
        assert_true(a.asked == 1 && a.first == NACRE_NEED_PASSPHRASE);
        assert_true(strstr(a.text, "aes") || strstr(a.text, "AES"));
        a = (asker){.answers = {"no", "nacre"}};
        assert_int_equal(load_asking(&a, text, NULL, 3), NACRE_OK);
        assert_true(a.asked == 2 && a.last == NACRE_WRONG_PASSPHRASE);
        a = (asker){.answers = {"no", "no", "nacre"}};
        assert_int_equal(load_asking(&a, text, "wrong", 2), NACRE_WRONG_PASSPHRASE);
        assert_int_equal(a.asked, 2);
        a = (asker){.status = NACRE_CANCELLED};
        assert_int_equal(load_asking(&a, text, NULL, 3), NACRE_CANCELLED);
        a = (asker){.status = NACRE_NEED_PASSPHRASE};
        assert_int_equal(load_asking(&a, text, NULL, 3), NACRE_NEED_PASSPHRASE);
        assert_int_equal(a.asked, 1);
        a = (asker){.answers = {NULL}};
        assert_int_equal(load_asking(&a, text, "nacre", 3), NACRE_OK);
        assert_int_equal(a.asked, 0);
        keydata_free(text);
    }
}

typedef struct pipe_text {
    nacre_span left;
    size_t step;
    int fails;
} pipe_text;

static int read_some(void *user, nacre_room out, size_t *n)
{
    pipe_text *p = user;
    *n = p->left.n < p->step ? p->left.n : p->step;
    *n = *n < out.n ? *n : out.n;
    if (*n) {
        memcpy(out.p, p->left.p, *n);
        p->left = nc_span(p->left.p + *n, p->left.n - *n);
    }
    return p->left.n == 0 && p->fails ? p->fails : NACRE_OK;
}

static int read_endless(void *user, nacre_room out, size_t *n)
{
    (void)user;
    memset(out.p, 'x', out.n);
    *n = out.n;
    return NACRE_OK;
}

static void readers_are_read_to_their_end(void **state)
{
    nacre_span text = keydata_read("ed25519");
    nacre_key *k = NULL;
    nacre_error err;
    (void)state;
    pipe_text p = {text, 7, 0};
    assert_int_equal(nacre_key_load_reader(&k, NULL, read_some, &p, NULL, &err), NACRE_OK);
    nacre_key_free(k);
    p = (pipe_text){text, 100, NACRE_IO};
    assert_int_equal(nacre_key_load_reader(&k, NULL, read_some, &p, NULL, &err), NACRE_IO);
    assert_null(k);
    assert_int_equal(nacre_key_load_reader(&k, NULL, read_endless, NULL, NULL, &err),
                     NACRE_TOO_LARGE);
    p = (pipe_text){none, 1, 0};
    assert_int_equal(nacre_key_load_reader(&k, NULL, read_some, &p, NULL, &err), NACRE_KEY_FORMAT);
    keydata_free(text);
}

/* ---- memory -------------------------------------------------------------------------------------- */

static void failed_allocations_are_survived(void **state)
{
    static const char *const files[] = {"ed25519_enc.ppk", "rsa2048_v2.ppk", "rsa2048.rfc4716",
                                        "ed25519_new.pub.pem"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        nacre_span text = keydata_read(files[i]);
        test_memory m;
        for (test_memory_init(&m); test_memory_round(&m);) {
            nacre_key *k = NULL;
            test_memory_judge(
                &m, i < 2 ? nacre_key_from_private(&k, &m.hooks, text, keydata_passphrase(), NULL)
                          : nacre_key_from_public(&k, &m.hooks, text, NULL));
            nacre_key_free(k);
        }
        assert_true(m.refused > 2);
        keydata_free(text);
    }
}

static void failed_writes_leave_nothing(void **state)
{
    nacre_span text = keydata_read("ecdsa256");
    test_memory m;
    nacre_key *k = NULL;
    (void)state;
    test_memory_init(&m);
    assert_int_equal(nacre_key_from_private(&k, &m.hooks, text, none, NULL), NACRE_OK);
    for (int f = NACRE_FORMAT_OPENSSH; f <= NACRE_FORMAT_PUB_PEM; f++) {
        nacre_key_format_options o = options((nacre_key_format)f, "pearl");
        o.comment = "named anew";
        for (m.round = m.refused = 0; test_memory_round(&m);) {
            char *out = NULL;
            size_t n = 0;
            int rc = nacre_key_write(k, &o, &out, &n, NULL);
            test_memory_judge(&m, rc);
            assert_true(rc == NACRE_OK || !out);
            nacre_secret_free(&m.hooks, out, n);
        }
        assert_true(m.refused > 0);
    }
    nacre_key_free(k);
    assert_int_equal(m.live, 0);
    keydata_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(private_formats_come_back),
        cmocka_unit_test(public_formats_come_back),
        cmocka_unit_test(comments_stay_in_their_line),
        cmocka_unit_test(what_cannot_be_written_is_named),
        cmocka_unit_test(puttygens_files_are_read),
        cmocka_unit_test(cut_and_changed_ppks_are_refused),
        cmocka_unit_test(absurd_ppks_are_named),
        cmocka_unit_test(puttys_files_have_certificates),
        cmocka_unit_test(dsa_files_need_the_switch),
        cmocka_unit_test(absurd_pbkdf2_is_refused),
        cmocka_unit_test(rfc4716_headers),
        cmocka_unit_test(private_files_are_no_public_ones),
        cmocka_unit_test(passphrases_are_asked_for),
        cmocka_unit_test(readers_are_read_to_their_end),
        cmocka_unit_test(failed_allocations_are_survived),
        cmocka_unit_test(failed_writes_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
