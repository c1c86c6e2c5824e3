/*
 * PKCS#8 that is sealed in ways of somebody's choice (RFC 8018, RFC 7914): what it asks for is named and capped before
 * anything is computed, and what is broken, or no key of ours, is told apart from a wrong passphrase.
 */
#include "vectors.h"

#include <stdio.h>
#include <string.h>

typedef struct der {
    uint8_t b[600];
    size_t n;
} der;

static void put(der *d, const void *p, size_t n)
{
    assert_true(d->n + n <= sizeof d->b);
    memcpy(d->b + d->n, p, n);
    d->n += n;
}

/* One element; its length in two bytes, or in one where DER wants that. */
static void put_tag(der *d, uint8_t tag, const void *p, size_t n)
{
    const uint8_t large[] = {tag, 0x82, (uint8_t)(n >> 8), (uint8_t)n};
    const uint8_t middle[] = {tag, 0x81, (uint8_t)n};
    const uint8_t small[] = {tag, (uint8_t)n};

    if (n > 255) {
        put(d, large, sizeof large);
    } else if (n > 127) {
        put(d, middle, sizeof middle);
    } else {
        put(d, small, sizeof small);
    }
    put(d, p, n);
}

static void put_sequence(der *d, const der *inner)
{
    put_tag(d, 0x30, inner->b, inner->n);
}

static void put_number(der *d, uint64_t v)
{
    uint8_t b[9] = {0};

    for (size_t i = 0; i < 8; i++) {
        b[8 - i] = (uint8_t)(v >> 8 * i);
    }
    size_t skip = 0;
    while (skip < 8 && b[skip] == 0 && b[skip + 1] < 0x80) {
        skip++;
    }
    put_tag(d, 2, b + skip, sizeof b - skip);
}

#define OID(name, ...) static const uint8_t name[] = {__VA_ARGS__}
OID(pbes2, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d);
OID(pbkdf2, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c);
OID(md5_des, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x03);
OID(scrypt, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b);
OID(aes256_cbc, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a);
OID(sha256, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
    0x01); /* no key derivation and no cipher */
OID(nobodys, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x7f, 0x7f);

static void put_algorithm(der *d, const uint8_t *oid, size_t oid_n, const der *parameters)
{
    der inner = {.n = 0};

    put_tag(&inner, 6, oid, oid_n);
    if (parameters) {
        put(&inner, parameters->b, parameters->n);
    }
    put_sequence(d, &inner);
}

/* What the reader says to sealed bytes under this algorithm. */
static int open_sealed(const der *algorithm, nacre_span passphrase, nacre_error *err)
{
    static const uint8_t sealed[64] = {1};
    der body = {.n = 0}, whole = {.n = 0};
    nc_buf text = empty_buf();
    nc_pk *k = NULL;
    int rc;

    put(&body, algorithm->b, algorithm->n);
    put_tag(&body, 4, sealed, sizeof sealed);
    put_sequence(&whole, &body);
    assert_int_equal(nc_buf_append(&text, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n", 38), NACRE_OK);
    /* lines of 64, as PEM has them */
    for (size_t at = 0; at < whole.n; at += 48) {
        nacre_span line = nc_span(whole.b + at, whole.n - at < 48 ? whole.n - at : 48);
        assert_int_equal(nc_base64_encode(line, &text), NACRE_OK);
        assert_int_equal(nc_buf_append(&text, "\n", 1), NACRE_OK);
    }
    assert_int_equal(nc_buf_append(&text, "-----END ENCRYPTED PRIVATE KEY-----\n", 36), NACRE_OK);
    rc = nc_pk_from_pem(&k, NULL, nc_buf_span(&text), passphrase, false, err);
    assert_null(k);
    nc_buf_clear(&text);
    return rc;
}

static void refused(const der *algorithm, int status, const char *says)
{
    nacre_error err = {0};
    int rc = open_sealed(algorithm, nc_span_cstr("nacre"), &err);

    if (rc != status || !strstr(err.text, says)) {
        fail_msg("%d (%s), not %d (%s)", rc, err.text, status, says);
    }
}

/* PBES2 with this key derivation and this cipher. */
static void put_pbes2(der *out, const der *kdf, const uint8_t *cipher, size_t cipher_n)
{
    static const uint8_t iv_bytes[16] = {7};
    der iv = {.n = 0}, two = {.n = 0}, parameters = {.n = 0};

    put(&two, kdf->b, kdf->n);
    put_tag(&iv, 4, iv_bytes, sizeof iv_bytes);
    put_algorithm(&two, cipher, cipher_n, &iv);
    put_sequence(&parameters, &two);
    put_algorithm(out, pbes2, sizeof pbes2, &parameters);
}

static void put_scrypt(der *out, uint64_t n, uint64_t r, uint64_t p)
{
    der fields = {.n = 0}, parameters = {.n = 0}, kdf = {.n = 0};

    put_tag(&fields, 4, "saltsalt", 8);
    put_number(&fields, n);
    put_number(&fields, r);
    put_number(&fields, p);
    put_sequence(&parameters, &fields);
    put_algorithm(&kdf, scrypt, sizeof scrypt, &parameters);
    put_pbes2(out, &kdf, aes256_cbc, sizeof aes256_cbc);
}

/* 0: of no iterations. cipher: NULL: AES */
static void put_pbkdf2(der *out, uint64_t iterations, const uint8_t *cipher, size_t cipher_n)
{
    der fields = {.n = 0}, parameters = {.n = 0}, kdf = {.n = 0};

    put_tag(&fields, 4, "saltsalt", 8);
    put_number(&fields, iterations);
    put_sequence(&parameters, &fields);
    put_algorithm(&kdf, pbkdf2, sizeof pbkdf2, &parameters);
    put_pbes2(out, &kdf, cipher ? cipher : aes256_cbc, cipher ? cipher_n : sizeof aes256_cbc);
}

static void scrypt_is_capped(void **state)
{
    static const struct {
        uint64_t n, r, p;
        int status;
        const char *says;
    } rows[] = {
        {1024, 8, 1, NACRE_WRONG_PASSPHRASE, "PBES2: scrypt, aes-256-cbc"},
        {0, 8, 1, NACRE_KEY_KDF, "product"},
        {1024, 0, 1, NACRE_KEY_KDF, "product"},
        {1024, 8, 0, NACRE_KEY_KDF, "product"},
        {1 << 21, 1, 1, NACRE_KEY_KDF, "product"},
        {1 << 18, 8, 1, NACRE_KEY_KDF, "product"},
        {1024, 32, 33, NACRE_KEY_KDF, "product"},
        {1 << 20, 1 << 20, 1 << 20, NACRE_KEY_KDF, "product"},
        {UINT64_MAX, 8, 1, NACRE_KEY_KDF, "product"},
        {1024, UINT32_MAX, UINT32_MAX, NACRE_KEY_KDF, "product"},
        {1 << 16, 8, 2, NACRE_WRONG_PASSPHRASE, "scrypt"}, /* the most */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        der d = {.n = 0};

        put_scrypt(&d, rows[i].n, rows[i].r, rows[i].p);
        refused(&d, rows[i].status, rows[i].says);
    }
}

static void pbkdf2_and_older_ways_are_capped(void **state)
{
    static const uint64_t absurd[] = {0, 10000001, UINT32_MAX, UINT64_MAX};
    der d = {.n = 0};

    (void)state;
    put_pbkdf2(&d, 1000, NULL, 0);
    refused(&d, NACRE_WRONG_PASSPHRASE, "PBKDF2 with hmacWithSHA1");
    for (size_t i = 0; i < COUNT(absurd); i++) {
        der fields = {.n = 0}, parameters = {.n = 0};

        d.n = 0;
        put_pbkdf2(&d, absurd[i], NULL, 0);
        refused(&d, NACRE_KEY_KDF, "iterations");
        put_tag(&fields, 4, "saltsalt", 8);
        put_number(&fields, absurd[i]);
        put_sequence(&parameters, &fields);
        d.n = 0;
        put_algorithm(&d, md5_des, sizeof md5_des, &parameters);
        refused(&d, NACRE_KEY_KDF, "iterations");
    }
}

static void unknown_ways_are_named(void **state)
{
    der d = {.n = 0}, kdf = {.n = 0}, null = {.n = 0};

    (void)state;
    put_tag(&null, 5, "", 0);
    put_algorithm(&kdf, sha256, sizeof sha256, &null);
    put_pbes2(&d, &kdf, aes256_cbc, sizeof aes256_cbc);
    refused(&d, NACRE_KEY_KDF, "its key derivation sha256 is not known");

    d.n = 0;
    put_pbkdf2(&d, 1000, nobodys, sizeof nobodys);
    refused(&d, NACRE_KEY_CIPHER, "unknown cipher");
    d.n = 0;
    put_pbkdf2(&d, 1000, sha256, sizeof sha256); /* known, and no cipher */
    refused(&d, NACRE_KEY_CIPHER, "not supported");
    d.n = 0;
    put_algorithm(&d, nobodys, sizeof nobodys, &null);
    refused(&d, NACRE_KEY_CIPHER, "unknown algorithm");
}

static void broken_parameters(void **state)
{
    der d = {.n = 0}, null = {.n = 0}, kdf = {.n = 0};

    (void)state;
    put_tag(&null, 5, "", 0);
    put_algorithm(&d, pbes2, sizeof pbes2, NULL);
    refused(&d, NACRE_KEY_FORMAT, "structure is broken");
    d.n = 0;
    put_algorithm(&d, pbes2, sizeof pbes2, &null);
    refused(&d, NACRE_KEY_FORMAT, "malformed PBES2");
    d.n = 0;
    put_algorithm(&kdf, scrypt, sizeof scrypt, &null);
    put_pbes2(&d, &kdf, aes256_cbc, sizeof aes256_cbc);
    refused(&d, NACRE_KEY_FORMAT, "malformed scrypt");
    d.n = kdf.n = 0;
    put_algorithm(&kdf, pbkdf2, sizeof pbkdf2, &null);
    put_pbes2(&d, &kdf, aes256_cbc, sizeof aes256_cbc);
    refused(&d, NACRE_KEY_FORMAT, "malformed PBKDF2");
}

/* Nothing is computed for who has no passphrase. */
static void a_passphrase_is_wanted_first(void **state)
{
    der d = {.n = 0};
    nacre_error err = {0};

    (void)state;
    put_scrypt(&d, 1 << 16, 8, 2);
    assert_int_equal(open_sealed(&d, nc_span(NULL, 0), &err), NACRE_NEED_PASSPHRASE);
    assert_non_null(strstr(err.text, "scrypt"));
}

static int read_text(const char *text, size_t n, nacre_span passphrase, nacre_error *err)
{
    nc_pk *k = NULL;
    int rc;

    *err = (nacre_error){0};
    rc = nc_pk_from_pem(&k, NULL, nc_span(text, n), passphrase, false, err);
    assert_true((rc == NACRE_OK) == (k != NULL));
    nc_pk_free(k);
    return rc;
}

static void what_is_no_key(void **state)
{
    static const char plain[] =
        "-----BEGIN PRIVATE KEY-----\nMAMCAQA=\n-----END PRIVATE KEY-----\n";
    static const char sealed[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAMCAQA=\n"
                                 "-----END ENCRYPTED PRIVATE KEY-----\n";
    static char large[(1 << 20) + 1];
    static char passphrase[1025];
    nacre_error err = {0};

    (void)state;
    memset(large, '-', sizeof large);
    memset(passphrase, 'p', sizeof passphrase);
    assert_int_equal(read_text(plain, strlen(plain), nc_span(NULL, 0), &err), NACRE_KEY_FORMAT);
    assert_non_null(strstr(err.text, "structure is broken"));
    assert_int_equal(read_text(sealed, strlen(sealed), nc_span("x", 1), &err), NACRE_KEY_FORMAT);
    assert_int_equal(read_text(large, sizeof large, nc_span(NULL, 0), &err), NACRE_KEY_FORMAT);
    assert_non_null(strstr(err.text, "too large"));
    assert_int_equal(
        read_text(sealed, strlen(sealed), nc_span(passphrase, sizeof passphrase), &err),
        NACRE_WRONG_PASSPHRASE);
    assert_non_null(strstr(err.text, "1024"));
}

/* What cannot be written says so, and writes nothing. */
static int not_written(const nc_pk *k, nc_pem_kind kind, const nc_pem_options *o, nacre_error *err)
{
    nc_buf out = empty_buf();
    int rc;

    *err = (nacre_error){0};
    rc = nc_pk_to_pem(k, kind, o, &out, err);
    assert_int_equal(out.len, 0);
    assert_int_equal(err->status, rc);
    nc_buf_clear(&out);
    return rc;
}

static void what_is_not_written(void **state)
{
    static const char long_one[1025] = {'p'};
    nc_pem_options o = {.passphrase = nc_span(NULL, 0)};
    nc_pk *k = NULL, *half = NULL;
    nc_buf storage = empty_buf();
    nc_pk_parts parts;
    nacre_error err = {0};

    (void)state;
    assert_int_equal(nc_pk_generate(&k, NULL, NC_PK_P256, 0), NACRE_OK);
    assert_int_equal(nc_pk_get_parts(k, &storage, false, &parts), NACRE_OK);
    assert_int_equal(nc_pk_from_parts(&half, NULL, &parts, false, &err), NACRE_OK);
    assert_int_equal(not_written(half, NC_PEM_PKCS8, &o, &err), NACRE_NOT_PRIVATE);
    assert_int_equal(not_written(half, NC_PEM_TRADITIONAL, &o, &err), NACRE_NOT_PRIVATE);
    assert_int_equal(not_written(k, (nc_pem_kind)99, &o, &err), NACRE_INVALID_ARGUMENT);
    o.passphrase = nc_span(long_one, sizeof long_one);
    assert_int_equal(not_written(k, NC_PEM_PKCS8, &o, &err), NACRE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.text, "1024"));
    o.passphrase = nc_span("nacre", 5);
    o.iterations = 10000001;
    assert_int_equal(not_written(k, NC_PEM_PKCS8, &o, &err), NACRE_KEY_KDF);
    nc_buf_clear(&storage);
    nc_pk_free(half);
    nc_pk_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scrypt_is_capped),
        cmocka_unit_test(pbkdf2_and_older_ways_are_capped),
        cmocka_unit_test(unknown_ways_are_named),
        cmocka_unit_test(broken_parameters),
        cmocka_unit_test(a_passphrase_is_wanted_first),
        cmocka_unit_test(what_is_no_key),
        cmocka_unit_test(what_is_not_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
