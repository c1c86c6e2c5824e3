/*
 * Private-key files: every format that ssh-keygen and openssl write, what we write ourselves, and
 * files that are cut, bent or not private at all.
 */
#include "keydata.h"

#include "keys/key.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char armour_begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
static const char armour_end[] = "\n-----END OPENSSH PRIVATE KEY-----\n";

typedef struct file_row {
    const char *file;
    const char *same_as; /* name of the public key */
    bool encrypted;
    const char *comment;
} file_row;

static const file_row files[] = {
    {"ed25519", "ed25519", false, "ed25519 plain"},
    {"ecdsa256", "ecdsa256", false, "ecdsa 256"},
    {"ecdsa384", "ecdsa384", false, "ecdsa 384"},
    {"ecdsa521", "ecdsa521", false, "ecdsa 521"},
    {"rsa2048", "rsa2048", false, "rsa 2048"},
    {"rsa3072", "rsa3072", false, "rsa 3072"},
    {"ed25519_aes256-ctr", "ed25519", true, "ed25519 plain"},
    {"ed25519_aes192-ctr", "ed25519", true, "ed25519 plain"},
    {"ed25519_aes128-cbc", "ed25519", true, "ed25519 plain"},
    {"ed25519_aes256-cbc", "ed25519", true, "ed25519 plain"},
    {"ed25519_aes128-gcm", "ed25519", true, "ed25519 plain"},
    {"ed25519_aes256-gcm", "ed25519", true, "ed25519 plain"},
    {"ed25519_chacha20-poly1305", "ed25519", true, "ed25519 plain"},
    {"rsa2048_enc", "rsa2048", true, "rsa 2048"},
    {"ecdsa256_enc", "ecdsa256", true, "ecdsa 256"},
    {"ecdsa384_enc", "ecdsa384", true, "ecdsa 384"},
    {"ecdsa521_enc", "ecdsa521", true, "ecdsa 521"},
    {"rsa2048.pem", "rsa2048", false, ""},
    {"ecdsa256.pem", "ecdsa256", false, ""},
    {"ecdsa384.pem", "ecdsa384", false, ""},
    {"ecdsa521.pem", "ecdsa521", false, ""},
    {"rsa2048_enc.pem", "rsa2048", true, ""},
    {"ecdsa256_enc.pem", "ecdsa256", true, ""},
    {"ecdsa384_enc.pem", "ecdsa384", true, ""},
    {"ecdsa521_enc.pem", "ecdsa521", true, ""},
    {"rsa2048.p8", "rsa2048", false, ""},
    {"ecdsa256.p8", "ecdsa256", false, ""},
    {"ecdsa384.p8", "ecdsa384", false, ""},
    {"ecdsa521.p8", "ecdsa521", false, ""},
    {"rsa2048_enc.p8", "rsa2048", true, ""},
    {"ecdsa256_enc.p8", "ecdsa256", true, ""},
    {"ecdsa384_enc.p8", "ecdsa384", true, ""},
    {"ecdsa521_enc.p8", "ecdsa521", true, ""},
    {"ecdsa256_params.pem", NULL, false, ""},
    {"ed25519_new.p8", NULL, false, ""},
    {"ed25519_new_enc.p8", NULL, true, ""},
    {"ed25519_new_scrypt.p8", NULL, true, ""},
};
enum { FILES = sizeof(files) / sizeof(files[0]) };

static int read_key(nacre_key **out, nacre_span text, const char *passphrase, nacre_error *err)
{
    nacre_span p = passphrase ? keydata_cstr(passphrase) : nc_span(NULL, 0);
    int rc = nacre_key_from_private(out, NULL, text, p, err);
    assert_true((rc == NACRE_OK) == (*out != NULL));
    if (rc != NACRE_OK) {
        assert_int_equal(err->status, rc);
        assert_true(err->text[0] != '\0');
    }
    return rc;
}

/* The status, and the key thrown away. */
static int try_key(nacre_span text, const char *passphrase)
{
    nacre_key *k = NULL;
    nacre_error err;
    int rc = read_key(&k, text, passphrase, &err);
    nacre_key_free(k);
    return rc;
}

static void check_same(const nacre_key *k, const file_row *row)
{
    assert_true(nacre_key_is_private(k));
    assert_string_equal(nacre_key_comment(k), row->comment);
    if (row->same_as) {
        nacre_key *pub = keydata_public(row->same_as);
        assert_true(nacre_key_equal(k, pub));
        nacre_key_free(pub);
    }
    uint8_t *sig = NULL;
    size_t n = 0;
    nacre_span data = keydata_cstr("data");
    assert_int_equal(nacre_key_sign(k, NULL, data, &sig, &n), NACRE_OK);
    assert_int_equal(nacre_key_verify(k, NULL, data, nc_span(sig, n)), NACRE_OK);
    nacre_secret_free(NULL, sig, n);
}

static void every_format_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILES; i++) {
        nacre_span text = keydata_read(files[i].file);
        nacre_key *k = NULL;
        nacre_error err;
        int rc = read_key(&k, text, files[i].encrypted ? "nacre" : NULL, &err);
        if (rc != NACRE_OK) {
            fail_msg("%s: %s", files[i].file, err.text);
        }
        check_same(k, &files[i]);
        nacre_key_free(k);
        keydata_free(text);
    }
}

static void passphrases_are_asked_for_and_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILES; i++) {
        nacre_span text = keydata_read(files[i].file);
        if (files[i].encrypted) {
            assert_int_equal(try_key(text, NULL), NACRE_NEED_PASSPHRASE);
            assert_int_equal(try_key(text, "perlmutt"), NACRE_WRONG_PASSPHRASE);
            assert_int_equal(try_key(text, ""), NACRE_WRONG_PASSPHRASE);
        } else {
            assert_int_equal(try_key(text, "needless"), NACRE_OK);
        }
        keydata_free(text);
    }
}

/* Files that went through Windows, mail or an editor. */
static void line_ends_and_leading_text_are_tolerated(void **state)
{
    (void)state;
    static const char *const some[] = {"ed25519", "rsa2048.pem", "ecdsa256.p8", "rsa2048_enc.pem",
                                       "ecdsa256_enc"};
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        nacre_span text = keydata_read(some[i]);
        uint8_t *copy = malloc(2 * text.n + 64);
        assert_non_null(copy);
        size_t n = (size_t)sprintf((char *)copy, "\xEF\xBB\xBF# my key\r\n\r\n");
        for (size_t at = 0; at < text.n; at++) {
            if (text.p[at] == '\n') {
                copy[n++] = '\r';
            }
            copy[n++] = text.p[at];
        }
        assert_int_equal(try_key(nc_span(copy, n), "nacre"), NACRE_OK);
        free(copy);
        keydata_free(text);
    }
}

static void what_is_no_private_key_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
        const char *says;
    } rows[] = {
        {"", NACRE_KEY_FORMAT, "empty"},
        {"hello\n", NACRE_KEY_FORMAT, "known format"},
        {"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", NACRE_KEY_FORMAT, "PuTTY"},
        {"PuTTY-User-Key-File-2: ssh-rsa\r\nEncryption: none\r\n", NACRE_KEY_FORMAT, "PuTTY"},
        {"-----BEGIN DSA PRIVATE KEY-----\n", NACRE_UNSUPPORTED, "DSA"},
        {"SSH PRIVATE KEY FILE FORMAT 1.1\n", NACRE_KEY_FORMAT, "version 1"},
        {"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n", NACRE_KEY_FORMAT, "ssh.com"},
        {"-----BEGIN CERTIFICATE-----\n", NACRE_NOT_PRIVATE, "certificate"},
        {"-----BEGIN PGP MESSAGE-----\n", NACRE_KEY_FORMAT, "PEM"},
        {"-----BEGIN OPENSSH PRIVATE KEY-----\n", NACRE_KEY_FORMAT, "cut short"},
        {"-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----\n",
         NACRE_KEY_FORMAT, "openssh-key-v1"},
        {"-----BEGIN OPENSSH PRIVATE KEY-----\n!!!!\n-----END OPENSSH PRIVATE KEY-----\n",
         NACRE_KEY_FORMAT, "base64"},
        {"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", 0, ""},
        {"-----BEGIN PRIVATE KEY-----\n", 0, ""},
        {"sk-ssh-ed25519@openssh.com AAAAGnNr me\n", NACRE_NOT_PRIVATE, "public key"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nacre_key *k = NULL;
        nacre_error err;
        int rc = read_key(&k, keydata_cstr(rows[i].text), NULL, &err);
        assert_true(rc < 0);
        if (rows[i].status) {
            assert_int_equal(rc, rows[i].status);
            assert_non_null(strstr(err.text, rows[i].says));
        }
    }
    static const char *const public_files[] = {"ed25519.pub", "rsa2048.rfc4716",
                                               "ed25519_new.pub.pem"};
    for (size_t i = 0; i < 3; i++) {
        nacre_span text = keydata_read(public_files[i]);
        assert_int_equal(try_key(text, NULL), NACRE_NOT_PRIVATE);
        keydata_free(text);
    }
    static uint8_t huge[NC_MAX_KEY_FILE + 1];
    assert_int_equal(try_key(nc_span(huge, sizeof(huge)), NULL), NACRE_TOO_LARGE);
}

/* 3des-cbc may or may not be built in: either it opens, or the error names it. */
static void unknown_ciphers_are_named(void **state)
{
    (void)state;
    nacre_span text = keydata_read("ed25519_3des-cbc");
    nacre_key *k = NULL;
    nacre_error err;
    int rc = read_key(&k, text, "nacre", &err);
    if (rc != NACRE_OK) {
        assert_int_equal(rc, NACRE_KEY_CIPHER);
        assert_non_null(strstr(err.text, "3des-cbc"));
        assert_non_null(strstr(err.text, "bcrypt"));
    }
    nacre_key_free(k);
    keydata_free(text);
}

/* ---- the decoded form, cut and bent ---------------------------------------------------------- */

static void decode(const char *file, nc_buf *out)
{
    nacre_span text = keydata_read(file);
    nc_buf flat;
    nc_buf_init(&flat, NULL, 65536);
    nc_buf_init(out, NULL, 65536);
    size_t end = text.n - strlen(armour_end) + 1;
    for (size_t i = strlen(armour_begin); i < end; i++) {
        if (text.p[i] != '\n') {
            assert_int_equal(nc_buf_append(&flat, &text.p[i], 1), NACRE_OK);
        }
    }
    assert_int_equal(nc_base64_decode(nc_buf_span(&flat), out), NACRE_OK);
    nc_buf_clear(&flat);
    keydata_free(text);
}

static int try_bytes(nacre_span bytes, const char *passphrase, nacre_error *err)
{
    nc_buf text;
    nc_buf_init(&text, NULL, 65536);
    assert_int_equal(nc_buf_append(&text, armour_begin, strlen(armour_begin)), NACRE_OK);
    assert_int_equal(nc_base64_encode(bytes, &text), NACRE_OK);
    assert_int_equal(nc_buf_append(&text, armour_end, strlen(armour_end)), NACRE_OK);
    nacre_key *k = NULL;
    int rc = read_key(&k, nc_buf_span(&text), passphrase, err);
    nacre_key_free(k);
    nc_buf_clear(&text);
    return rc;
}

static const char *const bent[] = {"ed25519", "ecdsa256", "ecdsa521", "rsa2048"};
enum { BENT = sizeof(bent) / sizeof(bent[0]) };

static void cut_files_are_refused(void **state)
{
    (void)state;
    nacre_error err;
    for (size_t i = 0; i < BENT; i++) {
        nc_buf b;
        decode(bent[i], &b);
        assert_int_equal(try_bytes(nc_buf_span(&b), NULL, &err), NACRE_OK);
        for (size_t n = 0; n < b.len; n++) {
            assert_true(try_bytes(nc_span(b.data, n), NULL, &err) < 0);
        }
        assert_int_equal(nc_buf_append(&b, "", 1), NACRE_OK);
        assert_int_equal(try_bytes(nc_buf_span(&b), NULL, &err), NACRE_KEY_FORMAT);
        nc_buf_clear(&b);
    }
    /* with a tag behind the blob */
    nc_buf b;
    decode("ed25519_aes256-gcm", &b);
    for (size_t n = b.len - 20; n < b.len; n++) {
        assert_int_equal(try_bytes(nc_span(b.data, n), "nacre", &err), NACRE_KEY_FORMAT);
    }
    nc_buf_clear(&b);
}

/* Where the comment lies: flips there make another comment, and nothing tells. */
static bool flip_is_harmless(const nc_buf *b, size_t at, const char *comment)
{
    size_t n = strlen(comment);
    const uint8_t *p = memmem(b->data, b->len, comment, n);
    assert_non_null(p);
    size_t from = (size_t)(p - b->data);
    return at >= from && at < from + n;
}

static void flipped_bits_are_noticed(void **state)
{
    (void)state;
    static const char *const comments[] = {"ed25519 plain", "ecdsa 256", "ecdsa 521", "rsa 2048"};
    nacre_error err;
    for (size_t i = 0; i < BENT; i++) {
        nc_buf b;
        decode(bent[i], &b);
        for (size_t at = 0; at < b.len; at++) {
            if (flip_is_harmless(&b, at, comments[i])) {
                continue;
            }
            uint8_t bit = (uint8_t)(1u << (at % 8));
            b.data[at] ^= bit;
            int rc = try_bytes(nc_buf_span(&b), NULL, &err);
            b.data[at] ^= bit;
            if (rc == NACRE_OK) {
                fail_msg("%s: a flip at %zu of %zu is not noticed", bent[i], at, b.len);
            }
        }
        nc_buf_clear(&b);
    }
    /* under an AEAD no byte of section or tag may be touched */
    nc_buf b;
    decode("ed25519_chacha20-poly1305", &b);
    for (size_t at = b.len - 40; at < b.len; at++) {
        b.data[at] ^= 0x10;
        assert_int_equal(try_bytes(nc_buf_span(&b), "nacre", &err), NACRE_WRONG_PASSPHRASE);
        b.data[at] ^= 0x10;
    }
    nc_buf_clear(&b);
}

static void absurd_lengths_are_refused(void **state)
{
    (void)state;
    static const uint32_t absurd[] = {0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF};
    nacre_error err;
    nc_buf b;
    decode("rsa2048", &b);
    /* every offset: whatever integer lies there, length or count or number, is made absurd */
    for (size_t at = 15; at + 4 <= b.len; at++) {
        uint32_t was = nc_get_u32(b.data + at);
        for (size_t v = 0; v < sizeof(absurd) / sizeof(absurd[0]); v++) {
            nc_put_u32(b.data + at, absurd[v]);
            int rc = try_bytes(nc_buf_span(&b), NULL, &err);
            bool comment = at + 4 > b.len - 24; /* comment and padding */
            assert_true(rc < 0 || comment || absurd[v] == was);
        }
        nc_put_u32(b.data + at, was);
    }
    nc_buf_clear(&b);
}

/* A file that says it is encrypted and that no key is derived, or the other way round: it is neither. */
static void cipher_and_kdf_go_together(void **state)
{
    static const struct {
        const char *cipher, *kdf, *options;
        int status;
    } rows[] = {
        {"aes256-ctr", "none", "", NACRE_KEY_FORMAT}, {"none", "bcrypt", "", NACRE_KEY_FORMAT},
        {"none", "none", "x", NACRE_KEY_FORMAT},      {"none", "scrypt", "", NACRE_KEY_KDF},
        {"rot13", "bcrypt", "", NACRE_KEY_CIPHER},
    };
    nacre_error err;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nacre_key *pub = keydata_public("ed25519");
        nc_buf b;
        nc_buf_init(&b, NULL, 65536);
        nc_wr w = nc_wr_init(&b);
        nc_wr_bytes(&w, nc_span("openssh-key-v1", 15));
        nc_wr_cstr(&w, rows[i].cipher);
        nc_wr_cstr(&w, rows[i].kdf);
        nc_wr_cstr(&w, rows[i].options);
        nc_wr_u32(&w, 1);
        nc_wr_str(&w, nacre_key_blob(pub));
        nc_wr_cstr(&w, "sixteen bytes..,sixteen bytes..,");
        assert_int_equal(nc_wr_err(&w), NACRE_OK);
        assert_int_equal(try_bytes(nc_buf_span(&b), "nacre", &err), rows[i].status);
        nc_buf_clear(&b);
        nacre_key_free(pub);
    }
}

static void bcrypt_rounds_are_capped(void **state)
{
    (void)state;
    nacre_error err;
    nc_buf b;
    decode("ed25519_aes256-ctr", &b);
    /* magic, cipher, kdf, options: string salt, rounds */
    size_t at = 15 + 4 + 10 + 4 + 6 + 4 + 4 + 16;
    assert_int_equal(nc_get_u32(b.data + at), 4);
    nc_put_u32(b.data + at, 0xFFFFFFFF);
    assert_int_equal(try_bytes(nc_buf_span(&b), "nacre", &err), NACRE_KEY_KDF);
    assert_non_null(strstr(err.text, "rounds"));
    nc_put_u32(b.data + at, 0);
    assert_int_equal(try_bytes(nc_buf_span(&b), "nacre", &err), NACRE_KEY_FORMAT);
    nc_put_u32(b.data + at, 4);
    memcpy(b.data + 15 + 4 + 10 + 4, "scrypt", 6);
    assert_int_equal(try_bytes(nc_buf_span(&b), "nacre", &err), NACRE_KEY_KDF);
    assert_non_null(strstr(err.text, "scrypt"));
    nc_buf_clear(&b);
}

static void a_public_half_of_another_key_is_refused(void **state)
{
    (void)state;
    nacre_error err;
    nc_buf b, other;
    decode("ed25519", &b);
    decode("ed25519_other", &other);
    /* header up to the count, then string public blob: 4 + 51 bytes */
    size_t at = 15 + 8 + 8 + 4 + 4 + 4;
    assert_int_equal(nc_get_u32(b.data + at - 4), 51);
    memcpy(b.data + at, other.data + at, 51);
    assert_int_equal(try_bytes(nc_buf_span(&b), NULL, &err), NACRE_BAD_KEY);
    assert_non_null(strstr(err.text, "another key"));
    nc_buf_clear(&b);
    nc_buf_clear(&other);
}

static void the_public_half_is_there_without_passphrase(void **state)
{
    (void)state;
    nacre_span text = keydata_read("ed25519_aes256-gcm");
    nacre_key *k = NULL;
    nacre_key *pub = keydata_public("ed25519");
    nacre_error err;
    assert_int_equal(nacre_key_public_of_private(&k, NULL, text, &err), NACRE_OK);
    assert_true(nacre_key_equal(k, pub));
    assert_false(nacre_key_is_private(k));
    nacre_key_free(k);
    nacre_key_free(pub);
    keydata_free(text);
    text = keydata_read("rsa2048.pem");
    assert_int_equal(nacre_key_public_of_private(&k, NULL, text, &err), NACRE_UNSUPPORTED);
    assert_null(k);
    keydata_free(text);
}

/* ---- what we write --------------------------------------------------------------------------- */

static void what_we_write_we_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        nacre_key *k = keydata_private(files[i].file);
        for (size_t c = 0; nc_file_ciphers[c]; c++) {
            char *text = NULL;
            size_t n = 0;
            nacre_key *back = NULL;
            nacre_error err;
            if (nc_file_ciphers[c]->read_only) {
                assert_int_equal(nacre_key_to_private_cipher(k, keydata_cstr("pearl"), 2,
                                                             nc_file_ciphers[c]->name, &text, &n),
                                 NACRE_UNKNOWN_NAME);
                continue;
            }
            assert_int_equal(nacre_key_to_private_cipher(k, keydata_cstr("pearl"), 2,
                                                         nc_file_ciphers[c]->name, &text, &n),
                             NACRE_OK);
            assert_int_equal(strlen(text), n);
            assert_int_equal(read_key(&back, nc_span(text, n), "pearl", &err), NACRE_OK);
            check_same(back, &files[i]);
            assert_int_equal(try_key(nc_span(text, n), "peril"), NACRE_WRONG_PASSPHRASE);
            nacre_key_free(back);
            nacre_secret_free(NULL, text, n);
        }
        nacre_key_free(k);
    }
    nacre_key *pub = keydata_public("ed25519");
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(nacre_key_to_private(pub, nc_span(NULL, 0), 0, &text, &n), NACRE_NOT_PRIVATE);
    nacre_key_free(pub);
    nacre_key *k = keydata_private("ed25519");
    assert_int_equal(nacre_key_to_private(k, keydata_cstr("x"), 0xFFFFFFFF, &text, &n),
                     NACRE_TOO_LARGE);
    assert_int_equal(nacre_key_to_private_cipher(k, keydata_cstr("x"), 1, "rot13", &text, &n),
                     NACRE_UNKNOWN_NAME);
    assert_null(text);
    nacre_key_free(k);
}

/* ssh-keygen -y on our file prints the public line. */
static void ask_ssh_keygen(const char *dir, const nacre_key *k, const char *passphrase)
{
    char path[256], command[600], want[4096], got[4096] = "";
    char *text = NULL;
    size_t n = 0;
    snprintf(path, sizeof(path), "%s/key", dir);
    assert_int_equal(nacre_key_to_private(k, keydata_cstr(passphrase), 2, &text, &n), NACRE_OK);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    nacre_secret_free(NULL, text, n);
    snprintf(command, sizeof(command), "ssh-keygen -y -P '%s' -f %s", passphrase, path);
    f = popen(command, "r");
    assert_non_null(f);
    assert_non_null(fgets(got, sizeof(got), f));
    assert_int_equal(pclose(f), 0);
    int len = nacre_key_public_line(k, want, sizeof(want));
    assert_true(len > 0);
    assert_int_equal(strncmp(got, want, (size_t)len), 0);
    unlink(path);
}

static void ssh_keygen_reads_what_we_write(void **state)
{
    (void)state;
    char dir[] = "/tmp/nacre-keys-XXXXXX";
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < 6; i++) {
        nacre_key *k = keydata_private(files[i].file);
        ask_ssh_keygen(dir, k, "");
        ask_ssh_keygen(dir, k, "pearl");
        nacre_key_free(k);
    }
    assert_int_equal(rmdir(dir), 0);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    static const char *const some[] = {"ed25519_aes256-gcm", "rsa2048", "ecdsa256.p8"};
    for (size_t i = 0; i < 3; i++) {
        nacre_span text = keydata_read(some[i]);
        test_memory m;
        for (test_memory_init(&m); test_memory_round(&m);) {
            nacre_key *k = NULL;
            nacre_error err;
            int rc = nacre_key_from_private(&k, &m.hooks, text, keydata_passphrase(), &err);
            test_memory_judge(&m, rc);
            assert_true((rc == NACRE_OK) == (k != NULL));
            nacre_key_free(k);
        }
        assert_true(m.refused > 2);
        keydata_free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_is_read),
        cmocka_unit_test(passphrases_are_asked_for_and_checked),
        cmocka_unit_test(line_ends_and_leading_text_are_tolerated),
        cmocka_unit_test(what_is_no_private_key_is_named),
        cmocka_unit_test(unknown_ciphers_are_named),
        cmocka_unit_test(cut_files_are_refused),
        cmocka_unit_test(flipped_bits_are_noticed),
        cmocka_unit_test(absurd_lengths_are_refused),
        cmocka_unit_test(bcrypt_rounds_are_capped),
        cmocka_unit_test(cipher_and_kdf_go_together),
        cmocka_unit_test(a_public_half_of_another_key_is_refused),
        cmocka_unit_test(the_public_half_is_there_without_passphrase),
        cmocka_unit_test(what_we_write_we_read),
        cmocka_unit_test(ssh_keygen_reads_what_we_write),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
