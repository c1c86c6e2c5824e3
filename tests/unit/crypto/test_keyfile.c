/* Key files: PEM in all its forms, bcrypt_pbkdf, the ciphers of OpenSSH's format. */
#include "vectors.h"

#include "crypto/blowfish.h"
#include "wire/rd.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

static const nacre_span no_passphrase = {NULL, 0};

/* ---- bcrypt_pbkdf ------------------------------------------------------------------------------- */

static void blowfish_by_itself(void **state)
{
    /* Schneier's vectors: key, clear, cipher. */
    static const struct {
        const char *key;
        uint32_t clear[2], cipher[2];
    } rows[] = {
        {"0000000000000000", {0, 0}, {0x4ef99745, 0x6198dd78}},
        {"ffffffffffffffff", {0xffffffff, 0xffffffff}, {0x51866fd5, 0xb85ecb8a}},
        {"0123456789abcdef", {0x11111111, 0x11111111}, {0x61f9c380, 0x2281b096}},
    };

    (void)state;
    assert_int_equal(nc_blowfish_pi.p[0], 0x243f6a88);
    for (size_t i = 0; i < COUNT(rows); i++) {
        nc_buf key = hex_buf(rows[i].key);
        nc_blowfish b = nc_blowfish_pi;
        uint32_t words[2] = {rows[i].clear[0], rows[i].clear[1]};

        nc_blowfish_expand(&b, no_passphrase, nc_buf_span(&key));
        nc_blowfish_encrypt(&b, words, 2);
        assert_int_equal(words[0], rows[i].cipher[0]);
        assert_int_equal(words[1], rows[i].cipher[1]);
        nc_buf_clear(&key);
    }
}

static void bcrypt_known_answer(void **state)
{
    nc_buf want = hex_buf("5bbf0cc293587f1c3635555c27796598d47e579071bf427e9d8fbe842aba34d9");
    uint8_t out[32];

    (void)state;
    assert_int_equal(nc_bcrypt_pbkdf(nc_span_cstr("password"), nc_span_cstr("salt"), 4, out, 32),
                     NACRE_OK);
    assert_memory_equal(out, want.data, 32);
    nc_buf_clear(&want);
}

static void bcrypt_bounds(void **state)
{
    const nacre_span p = nc_span_cstr("p");
    const nacre_span s = nc_span_cstr("s");
    uint8_t out[1025];

    (void)state;
    assert_int_equal(nc_bcrypt_pbkdf(p, s, 0, out, 32), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_bcrypt_pbkdf(no_passphrase, s, 1, out, 32), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_bcrypt_pbkdf(p, no_passphrase, 1, out, 32), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_bcrypt_pbkdf(p, s, 1, out, 0), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_bcrypt_pbkdf(p, s, (1u << 16) + 1, out, 32), NACRE_LIMIT);
    assert_int_equal(nc_bcrypt_pbkdf(p, s, UINT32_MAX, out, 32), NACRE_LIMIT);
    assert_int_equal(nc_bcrypt_pbkdf(p, s, 1, out, 1025), NACRE_LIMIT);
    assert_int_equal(nc_bcrypt_pbkdf(p, s, 1, out, 33), NACRE_OK);
}

/* Made by ssh-keygen for this test: the passphrase is "open sesame", the comment "nacre-test". */
static const struct {
    const char *cipher, *base64;
} openssh_files[] = {
    {"aes256-ctr", "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABBAnf5/d/"
                   "FpKHvlQJYZvfkhAAAAAwAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIMDxWbhn2cJYkWY1"
                   "DPZJi9gc3Y3nBFwdsKsCCQ/KQ02EAAAAkIybPZ1SPfsIlVUvIFr0aIGLfclP9N9WBKWgRv"
                   "fP5xwQdyAJJwRK8L0dvVLBIui3LDqWm1iIXJ4OMtZPKjxY2IOKoDSsDDKDkX8VoK3Numa0"
                   "TVUJdzG0xbnSvZlYxVNPlpuftA/9KeCM48Ju62HAAmXEAN11RgM0I6jM0JCfor8gg6i12V"
                   "ZOfYi9l0DsauLuaw=="},
    {"chacha20-poly1305@openssh.com",
     "b3BlbnNzaC1rZXktdjEAAAAAHWNoYWNoYTIwLXBvbHkxMzA1QG9wZW5zc2guY29tAAAABm"
     "JjcnlwdAAAABgAAAAQwfiglg3yBNOFYserKfjZWwAAAAMAAAABAAAAMwAAAAtzc2gtZWQy"
     "NTUxOQAAACDGxxpvauKhdYkwieqG/2wTIryZ3F1AxTs3hvqEPmmaVgAAAJBmkbtVT2FehO"
     "RqRkbdo5f9PCF72vYyCXO+MKISNGpT7DzcoHH9OEpeEeGxEqXQp1nRh3M2Bz9z/Uf06zlv"
     "o3QJTLoSswJ8+rE4gG9OluESvLp1l49jQrgLW3Dvz44JgmvaHwiEVbZlqXuvsOKk1LSp0c"
     "xANy/GM1iav2eRLP+uWCbAH4a/6NDq1qvkZCtJ0QyYWfjMYN1z1w5Q28BVv9LO"},
    {"aes256-gcm@openssh.com",
     "b3BlbnNzaC1rZXktdjEAAAAAFmFlczI1Ni1nY21Ab3BlbnNzaC5jb20AAAAGYmNyeXB0AA"
     "AAGAAAABB8s7TzoV7ewvWPmvdzh3NsAAAAAwAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAA"
     "IDgmrIlLlIlwnD5XiPsfzBze6AKSECLdD/w/2L5fooaXAAAAkAddJFj0sDHvBuhr4/7Knz"
     "ZqHZUrfQ4AGj/RnRvRnF8ObnnIQsAYFVy+CRITDGzcB/0e9Rit5ShdTdlKRWDPiGoym9e1"
     "FrAUV8qiZHaIGiJfMOePMiNu/J80jJvowhYWEMEm1wqVUyDABm4BhQmstYWcZWPI/E0AI4"
     "T84qP69/DOoO3tk1eoO7fK3TVs6V3JTLlCJIy2uC54+fn7008Yfzw="},
    {"3des-cbc", "b3BlbnNzaC1rZXktdjEAAAAACDNkZXMtY2JjAAAABmJjcnlwdAAAABgAAAAQmL7YP0OV36"
                 "ssl52e8bQS2wAAAAMAAAABAAAAMwAAAAtzc2gtZWQyNTUxOQAAACA73u6a3dDwveKcsZKh"
                 "MiaqIYBiTv0WgA8c6NipZe/RXQAAAJDY/vkuSuR6PqOT1h6FJIw3FFr4tF9z4in9SDKOgx"
                 "O4UGMKsxTvnTzPfXvkQ5o/F/xmzKFkV5ZD/qHGMtHN3Ihg+7VnZSXYgfwitcnU2EY+KHeB"
                 "HcDxVcbJTZEpkZgwlUs6EU4XSl5yj5vTkGbXoPneN2IzPz4L/Ndm3MlJMXLgBoITPA/5+S"
                 "ReJO8SLo7w7cw="},
    {"aes192-cbc", "b3BlbnNzaC1rZXktdjEAAAAACmFlczE5Mi1jYmMAAAAGYmNyeXB0AAAAGAAAABCdqDYmDF"
                   "bAOezcvJrg+v98AAAAAwAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIIkmdW6iW/qUejK4"
                   "H3CpyWjAEWTCQvYmwpKkofXtht+QAAAAkIZRcoKS50Qhyxfw7/npQfc04xILygUU6wZaod"
                   "+8p4GLe+JdiJhvSw3vNkHA1NThmx9TbTbKHhjkj8021jNPSurd17sgw8g17FX/r0mviMc3"
                   "PMICu86iXGUZ+/0b8LfIHb5WFbQhcCbvFEznDP2QvGpcHPThYurgZGI88TckWnalPzyTIe"
                   "9rmas1pe49d9K9aQ=="},
};

static const nc_file_cipher *cipher_named(const char *name)
{
    for (size_t i = 0; nc_file_ciphers[i]; i++) {
        if (strcmp(nc_file_ciphers[i]->name, name) == 0) {
            return nc_file_ciphers[i];
        }
    }
    fail_msg("no cipher %s", name);
    return NULL;
}

/* The decrypted private section; PROTOCOL.key. */
static void check_private_section(nacre_span section)
{
    nc_rd r = nc_rd_init(section);
    uint32_t check = nc_rd_u32(&r);
    nacre_span pub;
    nacre_span secret;
    nc_pk_parts parts = {.type = NC_PK_ED25519};
    nc_pk *k;

    assert_int_equal(nc_rd_u32(&r), check);
    assert_true(nc_span_is(nc_rd_str(&r), "ssh-ed25519"));
    pub = nc_rd_str(&r);
    secret = nc_rd_str(&r);
    assert_true(nc_span_is(nc_rd_str(&r), "nacre-test"));
    assert_int_equal(nc_rd_err(&r), NACRE_OK);
    assert_int_equal(secret.n, 64);
    parts.ed_public = pub;
    parts.ed_seed = nc_span(secret.p, 32);
    assert_int_equal(nc_pk_from_parts(&k, NULL, &parts, true, NULL), NACRE_OK);
    nc_pk_free(k);
}

static void openssh_key(const char *name, const char *base64)
{
    const nc_file_cipher *c = cipher_named(name);
    nc_buf blob = empty_buf();
    uint8_t key[96];
    uint8_t wrong[96];
    uint8_t copy[1024];
    nacre_room room;
    nacre_span cipher, kdf, options, sealed, salt, tag;
    uint32_t rounds;
    nc_rd r, o;

    assert_int_equal(nc_base64_decode(nc_span_cstr(base64), &blob), NACRE_OK);
    r = nc_rd_init(nc_buf_span(&blob));
    assert_true(nc_span_is(nc_rd_bytes(&r, 14), "openssh-key-v1"));
    assert_int_equal(nc_rd_u8(&r), 0);
    cipher = nc_rd_str(&r);
    kdf = nc_rd_str(&r);
    options = nc_rd_str(&r);
    assert_int_equal(nc_rd_u32(&r), 1);
    (void)nc_rd_str(&r);
    sealed = nc_rd_str(&r);
    tag = nc_rd_bytes(&r, c->tag_len);
    assert_int_equal(nc_rd_end(&r), NACRE_OK);
    assert_true(nc_span_is(cipher, name));
    assert_true(nc_span_is(kdf, "bcrypt"));
    o = nc_rd_init(options);
    salt = nc_rd_str(&o);
    rounds = nc_rd_u32(&o);
    assert_int_equal(nc_rd_end(&o), NACRE_OK);
    assert_true(sealed.n <= sizeof copy && c->key_len + c->iv_len <= sizeof key);

    memcpy(copy, sealed.p, sealed.n);
    room = (nacre_room){copy, sealed.n};
    assert_int_equal(
        nc_bcrypt_pbkdf(nc_span_cstr("open sesame"), salt, rounds, key, c->key_len + c->iv_len),
        NACRE_OK);
    assert_int_equal(nc_file_decrypt(c, key, key + c->key_len, room, tag.p), NACRE_OK);
    check_private_section(nc_span(copy, sealed.n));

    /* And back: the same bytes, the same tag. */
    memset(wrong, 0, sizeof wrong);
    assert_int_equal(nc_file_encrypt(c, key, key + c->key_len, room, wrong), NACRE_OK);
    assert_memory_equal(copy, sealed.p, sealed.n);
    assert_memory_equal(wrong, tag.p ? tag.p : wrong, c->tag_len);

    memcpy(wrong, key, sizeof wrong);
    wrong[3] ^= 2;
    assert_int_equal(nc_file_decrypt(c, wrong, key + c->key_len, room, tag.p),
                     c->tag_len ? NACRE_INTEGRITY : NACRE_OK);
    if (!c->tag_len) {
        assert_memory_not_equal(copy, copy + 4, 4);
    }
    nc_buf_clear(&blob);
}

static void openssh_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(openssh_files); i++) {
        openssh_key(openssh_files[i].cipher, openssh_files[i].base64);
    }
}

static void file_ciphers(void **state)
{
    static const uint8_t key[64] =
        "a key that is long enough for any of the ciphers of key files..";
    static const uint8_t iv[16] = "and a vector...";
    static const char *const names[] = {"aes256-ctr",
                                        "aes128-ctr",
                                        "aes192-ctr",
                                        "aes256-gcm@openssh.com",
                                        "aes128-gcm@openssh.com",
                                        "chacha20-poly1305@openssh.com",
                                        "aes128-cbc",
                                        "aes192-cbc",
                                        "aes256-cbc",
                                        "3des-cbc"};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        const nc_file_cipher *c = cipher_named(names[i]);
        uint8_t data[96];
        uint8_t tag[16] = {0};
        nacre_room room = {data, sizeof data};

        memset(data, 'x', sizeof data);
        assert_int_equal(nc_file_encrypt(c, key, iv, room, tag), NACRE_OK);
        for (size_t byte = 0; byte < c->tag_len; byte++) {
            uint8_t copy[sizeof data];
            nacre_room copy_room = {copy, sizeof copy};

            memcpy(copy, data, sizeof copy);
            tag[byte] ^= 0x10;
            assert_int_equal(nc_file_decrypt(c, key, iv, copy_room, tag), NACRE_INTEGRITY);
            tag[byte] ^= 0x10;
            memcpy(copy, data, sizeof copy);
            copy[byte * 5] ^= 1;
            assert_int_equal(nc_file_decrypt(c, key, iv, copy_room, tag), NACRE_INTEGRITY);
        }
        assert_int_equal(nc_file_decrypt(c, key, iv, room, tag), NACRE_OK);
        for (size_t j = 0; j < sizeof data; j++) {
            assert_int_equal(data[j], 'x');
        }
        room.n = sizeof data - 1;
        assert_int_equal(nc_file_decrypt(c, key, iv, room, tag), NACRE_INVALID_ARGUMENT);
        assert_int_equal(nc_file_encrypt(c, key, iv, room, tag), NACRE_INVALID_ARGUMENT);
    }
    assert_null(nc_file_ciphers[COUNT(names)]);
}

/* ---- PEM ---------------------------------------------------------------------------------------- */

typedef enum form { TRADITIONAL, PKCS8 } form;

static char pass[] = "open sesame";

static nc_buf pem_text(EVP_PKEY *key, form f, const EVP_CIPHER *cipher)
{
    nc_buf out = empty_buf();
    BIO *bio = BIO_new(BIO_s_mem());
    char *p;
    long n;
    int len = cipher ? (int)strlen(pass) : 0;
    int rc =
        f == PKCS8
            ? PEM_write_bio_PKCS8PrivateKey(bio, key, cipher, cipher ? pass : NULL, len, NULL, NULL)
            : PEM_write_bio_PrivateKey_traditional(
                  bio, key, cipher, cipher ? (unsigned char *)pass : NULL, len, NULL, NULL);

    assert_int_equal(rc, 1);
    n = BIO_get_mem_data(bio, &p);
    assert_int_equal(nc_buf_append(&out, p, (size_t)n), NACRE_OK);
    BIO_free(bio);
    return out;
}

static int load(nc_pk **k, nacre_span pem, nacre_span passphrase, int want)
{
    nacre_error err = {0};
    int rc = nc_pk_from_pem(k, NULL, pem, passphrase, false, &err);

    if (rc != want) {
        print_error("%s: %s\n", nacre_status_symbol(rc), err.text);
    }
    assert_int_equal(rc, want);
    assert_int_equal(err.status, rc);
    assert_int_equal(err.text[0] == '\0', rc == NACRE_OK);
    assert_int_equal(*k == NULL, rc != NACRE_OK);
    return rc;
}

static void good_form(EVP_PKEY *key, nc_pk_type type, form f, const EVP_CIPHER *cipher)
{
    nc_buf pem = pem_text(key, f, cipher);
    nc_pk *k;

    if (cipher) {
        load(&k, nc_buf_span(&pem), no_passphrase, NACRE_NEED_PASSPHRASE);
        load(&k, nc_buf_span(&pem), nc_span("", 0), NACRE_WRONG_PASSPHRASE);
        for (char c = 'a'; c <= 'j'; c++) {
            load(&k, nc_buf_span(&pem), nc_span(&c, 1), NACRE_WRONG_PASSPHRASE);
        }
    }
    load(&k, nc_buf_span(&pem), cipher ? nc_span_cstr(pass) : no_passphrase, NACRE_OK);
    assert_int_equal(nc_pk_get_type(k), type);
    assert_true(nc_pk_is_private(k));
    nc_pk_free(k);
    /* Cut anywhere, it is refused. */
    for (size_t n = 0; n + 2 < pem.len; n += 7) {
        nacre_error err = {0};

        assert_true(
            nc_pk_from_pem(&k, NULL, nc_span(pem.data, n), nc_span_cstr(pass), false, &err) < 0);
        assert_null(k);
    }
    nc_buf_clear(&pem);
}

static void pem_forms(void **state)
{
    static const struct {
        const char *type, *group;
        nc_pk_type ours;
        bool traditional;
    } rows[] = {{"RSA", NULL, NC_PK_RSA, true},
                {"EC", "prime256v1", NC_PK_P256, true},
                {"EC", "secp384r1", NC_PK_P384, true},
                {"EC", "secp521r1", NC_PK_P521, true},
                {"ED25519", NULL, NC_PK_ED25519, false}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        EVP_PKEY *key = rows[i].group ? EVP_EC_gen(rows[i].group)
                        : i == 0      ? EVP_RSA_gen(2048)
                                      : EVP_PKEY_Q_keygen(NULL, NULL, rows[i].type);

        assert_non_null(key);
        if (rows[i].traditional) {
            good_form(key, rows[i].ours, TRADITIONAL, NULL);
            good_form(key, rows[i].ours, TRADITIONAL, EVP_aes_128_cbc());
            good_form(key, rows[i].ours, TRADITIONAL, EVP_des_ede3_cbc());
        }
        good_form(key, rows[i].ours, PKCS8, NULL);
        good_form(key, rows[i].ours, PKCS8, EVP_aes_256_cbc());
        EVP_PKEY_free(key);
    }
}

static void pem_other_types(void **state)
{
    static const char *const types[] = {"ED448", "X25519"};
    EVP_PKEY *key = EVP_EC_gen("secp256k1");
    nc_buf pem = pem_text(key, PKCS8, NULL);
    nc_pk *k;

    (void)state;
    load(&k, nc_buf_span(&pem), no_passphrase, NACRE_UNSUPPORTED);
    EVP_PKEY_free(key);
    nc_buf_clear(&pem);
    for (size_t i = 0; i < COUNT(types); i++) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, types[i]);
        assert_non_null(key);
        pem = pem_text(key, PKCS8, NULL);
        load(&k, nc_buf_span(&pem), no_passphrase, NACRE_UNSUPPORTED);
        EVP_PKEY_free(key);
        nc_buf_clear(&pem);
    }
}

/* The public half in PEM, and an RSA key below the smallest size. */
static void pem_public_and_small(void **state)
{
    EVP_PKEY *key = EVP_RSA_gen(768);
    BIO *bio = BIO_new(BIO_s_mem());
    nc_buf pem;
    char *p;
    long n;
    nc_pk *k;

    (void)state;
    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    n = BIO_get_mem_data(bio, &p);
    load(&k, nc_span(p, (size_t)n), no_passphrase, NACRE_NOT_PRIVATE);
    BIO_free(bio);
    pem = pem_text(key, PKCS8, NULL);
    load(&k, nc_buf_span(&pem), no_passphrase, NACRE_BAD_KEY);
    nc_buf_clear(&pem);
    EVP_PKEY_free(key);
}

#define BLOCK(label, body) "-----BEGIN " label "-----\n" body "\n-----END " label "-----\n"

static void pem_refusals(void **state)
{
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        {"", NACRE_KEY_FORMAT},
        {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", NACRE_KEY_FORMAT},
        {"-----BEGIN RSA PRIVATE KEY-----\n", NACRE_KEY_FORMAT},
        {BLOCK("RSA PRIVATE KEY", "!!!!"), NACRE_KEY_FORMAT},
        {BLOCK("RSA PRIVATE KEY", "AAAA"), NACRE_KEY_FORMAT},
        {BLOCK("EC PRIVATE KEY", "MAA="), NACRE_KEY_FORMAT},
        {BLOCK("PRIVATE KEY", "MAA="), NACRE_KEY_FORMAT},
        {BLOCK("ENCRYPTED PRIVATE KEY", "MAA="), NACRE_KEY_FORMAT},
        {BLOCK("OPENSSH PRIVATE KEY", "AAAA"), NACRE_KEY_FORMAT},
        {BLOCK("SOMETHING ELSE", "AAAA"), NACRE_KEY_FORMAT},
        {BLOCK("DSA PRIVATE KEY", "AAAA"), NACRE_UNSUPPORTED},
        {BLOCK("RSA PUBLIC KEY", "AAAA"), NACRE_NOT_PRIVATE},
        {BLOCK("PUBLIC KEY", "AAAA"), NACRE_NOT_PRIVATE},
        {BLOCK("CERTIFICATE", "AAAA"), NACRE_NOT_PRIVATE},
        {BLOCK("EC PARAMETERS", "BggqhkjOPQMBBw=="), NACRE_KEY_FORMAT},
        {BLOCK("RSA PRIVATE KEY",
               "Proc-Type: 4,ENCRYPTED\nDEK-Info: ROT13-CBC,0123456789ABCDEF\n\nAAAA"),
         NACRE_KEY_CIPHER},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        nc_pk *k;

        load(&k, nc_span_cstr(rows[i].text), nc_span_cstr(pass), rows[i].status);
    }
}

/* The parameters block that `openssl ecparam -genkey` writes first is passed over. */
static void pem_ec_parameters_first(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("prime256v1");
    nc_buf body = pem_text(key, TRADITIONAL, NULL);
    nc_buf pem = empty_buf();
    nacre_span head = nc_span_cstr(BLOCK("EC PARAMETERS", "BggqhkjOPQMBBw=="));
    nc_pk *k;

    (void)state;
    assert_int_equal(nc_buf_append(&pem, head.p, head.n), NACRE_OK);
    assert_int_equal(nc_buf_append(&pem, body.data, body.len), NACRE_OK);
    load(&k, nc_buf_span(&pem), no_passphrase, NACRE_OK);
    nc_pk_free(k);
    nc_buf_clear(&pem);
    nc_buf_clear(&body);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blowfish_by_itself), cmocka_unit_test(bcrypt_known_answer),
        cmocka_unit_test(bcrypt_bounds),      cmocka_unit_test(openssh_keys),
        cmocka_unit_test(file_ciphers),       cmocka_unit_test(pem_forms),
        cmocka_unit_test(pem_other_types),    cmocka_unit_test(pem_public_and_small),
        cmocka_unit_test(pem_refusals),       cmocka_unit_test(pem_ec_parameters_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
