/* Keys and signatures: Wycheproof, every key with every algorithm, and keys that must be refused. */
#include "vectors.h"

#include "wire/rd.h"
#include "wire/ssh.h"
#include "wire/wr.h"

#include <string.h>

static const nc_pk_type types[] = {NC_PK_ED25519, NC_PK_P256, NC_PK_P384, NC_PK_P521, NC_PK_RSA};
static nc_pk *keys[COUNT(types)];
static const char *const key_names[] = {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
                                        "ecdsa-sha2-nistp521", "ssh-rsa"};
static const uint32_t key_bits[] = {256, 256, 384, 521, 2048};

static int make_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        if (nc_pk_generate(&keys[i], NULL, types[i], 2048) != NACRE_OK) {
            return -1;
        }
    }
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        nc_pk_free(keys[i]);
    }
    return 0;
}

/* The best algorithm of the key of that number. */
static const nc_sig_alg *alg_of(size_t key)
{
    size_t i = 0;

    while (nc_sig_algs[i] && strcmp(nc_sig_algs[i]->key_name, key_names[key]) != 0) {
        i++;
    }
    assert_non_null(nc_sig_algs[i]);
    return nc_sig_algs[i];
}

static const nc_sig_alg *alg_named(const char *name)
{
    const nc_sig_alg *alg = nc_sig_find(nc_span_cstr(name));

    assert_non_null(alg);
    return alg;
}

static void algorithm_table(void **state)
{
    static const char *const names[] = {"ssh-ed25519",
                                        "ecdsa-sha2-nistp256",
                                        "ecdsa-sha2-nistp384",
                                        "ecdsa-sha2-nistp521",
                                        "sk-ssh-ed25519@openssh.com",
                                        "sk-ecdsa-sha2-nistp256@openssh.com",
                                        "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
                                        "rsa-sha2-512",
                                        "rsa-sha2-256",
                                        "ssh-rsa",
                                        "ssh-dss"};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_string_equal(nc_sig_algs[i]->name, names[i]);
        assert_ptr_equal(alg_named(names[i]), nc_sig_algs[i]);
        assert_int_equal(nc_sig_algs[i]->insecure,
                         strcmp(names[i], "ssh-rsa") == 0 || strcmp(names[i], "ssh-dss") == 0);
        assert_int_equal(nc_sig_algs[i]->webauthn, strncmp(names[i], "webauthn", 8) == 0);
    }
    assert_null(nc_sig_algs[COUNT(names)]);
    assert_null(nc_sig_find(nc_span_cstr("ssh-rs")));
    assert_null(nc_sig_find(nc_span_cstr("")));
}

static void every_key_with_every_algorithm(void **state)
{
    nacre_span data = nc_span("what is signed", 14);
    nacre_span other = nc_span("what is signeD", 14);

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        assert_int_equal(nc_pk_bits(keys[i]), key_bits[i]);
        assert_int_equal(nc_pk_get_type(keys[i]), types[i]);
        assert_true(nc_pk_is_private(keys[i]));
        for (size_t j = 0; nc_sig_algs[j]; j++) {
            const nc_sig_alg *alg = nc_sig_algs[j];
            bool fits = strcmp(alg->key_name, key_names[i]) == 0;
            nc_buf sig = empty_buf();

            assert_int_equal(nc_buf_append(&sig, "head", 4), NACRE_OK);
            assert_int_equal(nc_pk_sign(keys[i], alg, data, &sig),
                             fits ? NACRE_OK : NACRE_INVALID_ARGUMENT);
            if (!fits) {
                assert_int_equal(sig.len, 4);
            }
            for (size_t k = 0; fits && k < COUNT(types); k++) {
                for (size_t l = 0; nc_sig_algs[l]; l++) {
                    assert_int_equal(nc_pk_verify(keys[k], nc_sig_algs[l], data,
                                                  nc_span(sig.data + 4, sig.len - 4)),
                                     k == i && l == j ? NACRE_OK : NACRE_BAD_SIGNATURE);
                }
            }
            if (fits) {
                assert_int_equal(
                    nc_pk_verify(keys[i], alg, other, nc_span(sig.data + 4, sig.len - 4)),
                    NACRE_BAD_SIGNATURE);
            }
            nc_buf_clear(&sig);
        }
    }
}

static void damaged_signatures(void **state)
{
    nacre_span data = nc_span("x", 1);

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        const nc_sig_alg *alg = alg_of(i);
        nc_buf sig = empty_buf();

        assert_int_equal(nc_pk_sign(keys[i], alg, data, &sig), NACRE_OK);
        assert_int_equal(nc_pk_verify(keys[i], alg, data, nc_buf_span(&sig)), NACRE_OK);
        for (size_t n = 0; n < sig.len; n++) {
            assert_int_equal(nc_pk_verify(keys[i], alg, data, nc_span(sig.data, n)),
                             NACRE_BAD_SIGNATURE);
        }
        for (size_t bit = 0; bit < sig.len * 8; bit += 3) {
            sig.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(nc_pk_verify(keys[i], alg, data, nc_buf_span(&sig)),
                             NACRE_BAD_SIGNATURE);
            sig.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_int_equal(nc_buf_append(&sig, "", 1), NACRE_OK);
        assert_int_equal(nc_pk_verify(keys[i], alg, data, nc_buf_span(&sig)), NACRE_BAD_SIGNATURE);
        nc_buf_clear(&sig);
    }
}

static void empty_data(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        nc_buf sig = empty_buf();

        assert_int_equal(nc_pk_sign(keys[i], alg_of(i), nc_span(NULL, 0), &sig), NACRE_OK);
        assert_int_equal(nc_pk_verify(keys[i], alg_of(i), nc_span(NULL, 0), nc_buf_span(&sig)),
                         NACRE_OK);
        nc_buf_clear(&sig);
    }
}

/* ECDSA: the two numbers must be canonical, positive and below the order. */
static void ecdsa_numbers(void **state)
{
    static const char *const order =
        "00ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    static const char *const bad[] = {
        "",
        "00000000",
        "0000000000000000",
        "000000010100000000",
        "00000000000000010100",
        "000000020001000000020001", /* padded */
        "00000001ff00000001ff",     /* negative */
        "00000001010000000101ff",   /* more behind */
        "ffffffff0100000001",       /* absurd lengths */
        "800000000100000001",
    };
    const nc_sig_alg *alg = alg_named("ecdsa-sha2-nistp256");
    nc_buf n = hex_buf(order);

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        nc_buf sig = hex_buf(bad[i]);

        assert_int_equal(nc_pk_verify(keys[1], alg, nc_span("x", 1), nc_buf_span(&sig)),
                         NACRE_BAD_SIGNATURE);
        nc_buf_clear(&sig);
    }
    for (int which = 0; which < 2; which++) {
        nc_buf sig = empty_buf();
        nc_wr w = nc_wr_init(&sig);

        nc_wr_mpint(&w, which ? nc_span("\1", 1) : nc_buf_span(&n));
        nc_wr_mpint(&w, which ? nc_buf_span(&n) : nc_span("\1", 1));
        assert_int_equal(nc_pk_verify(keys[1], alg, nc_span("x", 1), nc_buf_span(&sig)),
                         NACRE_BAD_SIGNATURE);
        nc_buf_clear(&sig);
    }
    nc_buf_clear(&n);
}

/* ---- keys and their parts ----------------------------------------------------------------------- */

static void parts_and_back(void **state)
{
    nacre_span data = nc_span("data", 4);

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        for (int secret = 0; secret < 2; secret++) {
            nc_buf storage = empty_buf();
            nc_buf sig = empty_buf();
            nc_pk_parts parts;
            nc_pk *k;

            assert_int_equal(nc_pk_get_parts(keys[i], &storage, secret, &parts), NACRE_OK);
            assert_int_equal(nc_pk_from_parts(&k, NULL, &parts, secret, NULL), NACRE_OK);
            assert_int_equal(nc_pk_bits(k), key_bits[i]);
            assert_int_equal(nc_pk_is_private(k), secret);
            assert_int_equal(nc_pk_sign(secret ? k : keys[i], alg_of(i), data, &sig), NACRE_OK);
            assert_int_equal(nc_pk_verify(k, alg_of(i), data, nc_buf_span(&sig)), NACRE_OK);
            if (!secret) {
                assert_int_equal(nc_pk_sign(k, alg_of(i), data, &sig), NACRE_NOT_PRIVATE);
                assert_int_equal(nc_pk_get_parts(k, &storage, true, &parts), NACRE_NOT_PRIVATE);
            }
            nc_pk_free(k);
            nc_buf_clear(&storage);
            nc_buf_clear(&sig);
        }
    }
    nc_pk_free(NULL);
}

/* Every part in turn: missing, cut, and with one bit changed. */
static void broken_parts(void **state)
{
    static const size_t offsets[] = {
        offsetof(nc_pk_parts, n),         offsetof(nc_pk_parts, e),
        offsetof(nc_pk_parts, d),         offsetof(nc_pk_parts, p),
        offsetof(nc_pk_parts, q),         offsetof(nc_pk_parts, iqmp),
        offsetof(nc_pk_parts, point),     offsetof(nc_pk_parts, scalar),
        offsetof(nc_pk_parts, ed_public), offsetof(nc_pk_parts, ed_seed),
    };

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        nc_buf storage = empty_buf();
        nc_pk_parts parts;

        assert_int_equal(nc_pk_get_parts(keys[i], &storage, true, &parts), NACRE_OK);
        for (size_t j = 0; j < COUNT(offsets); j++) {
            nacre_span *part = (nacre_span *)(void *)((char *)&parts + offsets[j]);
            bool optional = offsets[j] == offsetof(nc_pk_parts, point) ||
                            offsets[j] == offsetof(nc_pk_parts, ed_public);
            nacre_span whole = *part;
            nacre_error err = {0};
            uint8_t *bytes;
            nc_pk *k;

            if (whole.n == 0) {
                continue;
            }
            part->n = 0;
            if (!optional) {
                assert_int_equal(nc_pk_from_parts(&k, NULL, &parts, true, &err), NACRE_BAD_KEY);
                assert_null(k);
                assert_true(err.text[0] != '\0');
                assert_int_equal(err.status, NACRE_BAD_KEY);
            }
            part->n = whole.n - 1;
            assert_int_equal(nc_pk_from_parts(&k, NULL, &parts, true, NULL), NACRE_BAD_KEY);
            *part = whole;
            bytes = storage.data + (whole.p - storage.data);
            for (size_t at = 0; at<whole.n; at += whole.n> 40 ? 17 : 5) {
                bytes[at] ^= 2;
                assert_int_equal(nc_pk_from_parts(&k, NULL, &parts, true, NULL), NACRE_BAD_KEY);
                bytes[at] ^= 2;
            }
        }
        nc_buf_clear(&storage);
    }
}

static int refused_parts(const nc_pk_parts *parts, bool private_key)
{
    nacre_error err = {0};
    nc_pk *k = NULL;
    int rc = nc_pk_from_parts(&k, NULL, parts, private_key, &err);

    assert_null(k);
    assert_int_equal(err.status, rc);
    return rc;
}

/* Keys that lack what their type cannot do without, or have a number that no key of SSH has. */
static void parts_that_are_missing(void **state)
{
    static const uint8_t zeros[NC_MAX_MPINT + 1];
    nacre_span huge = nc_span(zeros, sizeof zeros);
    nc_pk_parts parts = {.type = NC_PK_ED25519};
    nc_buf storage = empty_buf();
    nc_pk *k = NULL;

    (void)state;
    assert_int_equal(refused_parts(&parts, false), NACRE_BAD_KEY);
    assert_int_equal(nc_pk_get_parts(keys[0], &storage, false, &parts), NACRE_OK);
    parts.type = NC_PK_SK_ED25519;
    assert_int_equal(refused_parts(&parts, false), NACRE_BAD_KEY); /* no application */
    parts.application = nc_span("a\0b", 3);
    assert_int_equal(refused_parts(&parts, false), NACRE_BAD_KEY);
    parts.application = nc_span("ssh:", 4);
    assert_int_equal(refused_parts(&parts, true), NACRE_BAD_KEY); /* no handle */
    parts.key_handle = nc_span("handle", 6);
    parts.sk_reserved = nc_span("kept", 4);
    assert_int_equal(nc_pk_from_parts(&k, NULL, &parts, true, NULL), NACRE_OK);
    assert_int_equal(nc_pk_get_parts(k, &storage, true, &parts), NACRE_OK);
    assert_span_eq(parts.sk_reserved, nc_span("kept", 4));
    nc_pk_free(k);

    assert_int_equal(nc_pk_get_parts(keys[4], &storage, true, &parts), NACRE_OK);
    nc_pk_parts rsa = parts;
    rsa.iqmp = huge;
    assert_int_equal(refused_parts(&rsa, true), NACRE_BAD_KEY);
    rsa = parts;
    rsa.n = huge;
    assert_int_equal(refused_parts(&rsa, false), NACRE_BAD_KEY);
    rsa.type = NC_PK_DSA;
    assert_int_equal(refused_parts(&rsa, false), NACRE_BAD_KEY);

    /* a scalar may come with zeros in front of it, as an mpint has them, and without any */
    assert_int_equal(nc_pk_get_parts(keys[1], &storage, true, &parts), NACRE_OK);
    uint8_t padded[40] = {0};
    memcpy(padded + sizeof padded - parts.scalar.n, parts.scalar.p, parts.scalar.n);
    parts.scalar = nc_span(padded, sizeof padded);
    assert_int_equal(nc_pk_from_parts(&k, NULL, &parts, true, NULL), NACRE_OK);
    nc_pk_free(k);
    padded[0] = 1;
    assert_int_equal(refused_parts(&parts, true), NACRE_BAD_KEY);
    nc_buf_clear(&storage);
}

static void rsa_bounds(void **state)
{
    static uint8_t n[2049];
    static const uint8_t e3[] = {3};
    static const uint8_t e_bad[][2] = {{0, 0}, {0, 1}, {0, 2}, {1, 0}};
    static uint8_t e_huge[33];
    static const struct {
        size_t bytes;
        uint8_t top;
        int status;
    } sizes[] = {{1, 0xff, NACRE_BAD_KEY},   {127, 0xff, NACRE_BAD_KEY}, {128, 0x7f, NACRE_BAD_KEY},
                 {128, 0x80, NACRE_OK},      {2048, 0xff, NACRE_OK},     {2049, 1, NACRE_BAD_KEY},
                 {2049, 0xff, NACRE_BAD_KEY}};
    nc_pk_parts parts = {.type = NC_PK_RSA};
    nc_pk *k;

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        memset(n, 0x55, sizeof n);
        n[0] = sizes[i].top;
        parts.n = nc_span(n, sizes[i].bytes);
        parts.e = nc_span(e3, 1);
        assert_int_equal(nc_pk_from_parts(&k, NULL, &parts, false, NULL), sizes[i].status);
        nc_pk_free(k);
    }
    n[0] = 0x80;
    parts.n = nc_span(n, 256);
    for (size_t i = 0; i < COUNT(e_bad); i++) {
        parts.e = nc_span(e_bad[i], 2);
        assert_int_equal(nc_pk_from_parts(&k, NULL, &parts, false, NULL), NACRE_BAD_KEY);
    }
    memset(e_huge, 0xff, sizeof e_huge);
    parts.e = nc_span(e_huge, sizeof e_huge);
    assert_int_equal(nc_pk_from_parts(&k, NULL, &parts, false, NULL), NACRE_BAD_KEY);
    parts.e = nc_span(e3, 1);
    n[255] = 0x54;
    assert_int_equal(nc_pk_from_parts(&k, NULL, &parts, false, NULL), NACRE_BAD_KEY);
    assert_int_equal(nc_pk_generate(&k, NULL, NC_PK_RSA, 1023), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_pk_generate(&k, NULL, NC_PK_RSA, 16385), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_pk_generate(&k, NULL, (nc_pk_type)99, 2048), NACRE_UNSUPPORTED);
    parts.type = (nc_pk_type)99;
    assert_int_equal(nc_pk_from_parts(&k, NULL, &parts, false, NULL), NACRE_UNSUPPORTED);
}

/* A signature that happens to begin with zero bytes may come without them. */
static void rsa_short_signature(void **state)
{
    const nc_sig_alg *alg = alg_named("rsa-sha2-256");
    bool seen = false;

    (void)state;
    for (uint32_t i = 0; i < 20000 && !seen; i++) {
        uint8_t data[4];
        uint8_t longer[257] = {0};
        nc_buf sig = empty_buf();

        nc_put_u32(data, i);
        assert_int_equal(nc_pk_sign(keys[4], alg, nc_span(data, 4), &sig), NACRE_OK);
        if (sig.data[0] == 0) {
            seen = true;
            assert_int_equal(
                nc_pk_verify(keys[4], alg, nc_span(data, 4), nc_span(sig.data + 1, sig.len - 1)),
                NACRE_OK);
            memcpy(longer + 1, sig.data, 256);
            assert_int_equal(
                nc_pk_verify(keys[4], alg, nc_span(data, 4), nc_span(longer, sizeof longer)),
                NACRE_BAD_SIGNATURE);
        }
        nc_buf_clear(&sig);
    }
    assert_true(seen);
}

/* ---- Wycheproof --------------------------------------------------------------------------------- */

typedef struct tally {
    const nc_sig_alg *alg;
    nc_pk_type type;
    size_t good, bad;
} tally;

static void ed25519_vector(const cJSON *group, const cJSON *test, void *user)
{
    tally *t = user;
    nc_buf pub = hex_field(cJSON_GetObjectItem(group, "publicKey"), "pk");
    nc_buf msg = hex_field(test, "msg");
    nc_buf sig = hex_field(test, "sig");
    bool valid = strcmp(text_field(test, "result"), "valid") == 0;
    nc_pk_parts parts = {.type = NC_PK_ED25519, .ed_public = nc_buf_span(&pub)};
    nc_pk *k;

    assert_int_equal(nc_pk_from_parts(&k, NULL, &parts, false, NULL), NACRE_OK);
    assert_int_equal(nc_pk_verify(k, t->alg, nc_buf_span(&msg), nc_buf_span(&sig)),
                     valid ? NACRE_OK : NACRE_BAD_SIGNATURE);
    *(valid ? &t->good : &t->bad) += 1;
    nc_pk_free(k);
    nc_buf_clear(&pub);
    nc_buf_clear(&msg);
    nc_buf_clear(&sig);
}

/* One DER element of the expected tag, strictly: false where DER would not be so written. */
static bool der_element(nc_rd *r, uint8_t tag, nacre_span *value)
{
    uint8_t len;
    size_t n;

    if (nc_rd_u8(r) != tag) {
        return false;
    }
    len = nc_rd_u8(r);
    n = len;
    if (len == 0x81) {
        n = nc_rd_u8(r);
        if (n < 0x80) {
            return false;
        }
    } else if (len > 0x80) {
        return false;
    }
    *value = nc_rd_bytes(r, n);
    return nc_rd_err(r) == NACRE_OK;
}

/* The DER of the vectors, as SSH writes it; false when it is not a signature that SSH could carry. */
static bool der_to_ssh(nacre_span der, nc_buf *out)
{
    nc_rd r = nc_rd_init(der);
    nacre_span body;
    nc_wr w = nc_wr_init(out);

    if (!der_element(&r, 0x30, &body) || nc_rd_end(&r) != NACRE_OK) {
        return false;
    }
    r = nc_rd_init(body);
    for (int i = 0; i < 2; i++) {
        nacre_span v;

        if (!der_element(&r, 2, &v) || v.n == 0) {
            return false;
        }
        /* As a string: two's complement is the same in both, so that verify judges it. */
        nc_wr_str(&w, v.n == 1 && v.p[0] == 0 ? nc_span(NULL, 0) : v);
    }
    return nc_rd_end(&r) == NACRE_OK && nc_wr_err(&w) == NACRE_OK;
}

static void ecdsa_vector(const cJSON *group, const cJSON *test, void *user)
{
    tally *t = user;
    nc_buf point = hex_field(cJSON_GetObjectItem(group, "publicKey"), "uncompressed");
    nc_buf msg = hex_field(test, "msg");
    nc_buf der = hex_field(test, "sig");
    nc_buf sig = empty_buf();
    bool valid = strcmp(text_field(test, "result"), "valid") == 0;
    nc_pk_parts parts = {.type = t->type, .point = nc_buf_span(&point)};
    int rc = NACRE_BAD_SIGNATURE;
    nc_pk *k;

    assert_int_equal(nc_pk_from_parts(&k, NULL, &parts, false, NULL), NACRE_OK);
    if (der_to_ssh(nc_buf_span(&der), &sig)) {
        rc = nc_pk_verify(k, t->alg, nc_buf_span(&msg), nc_buf_span(&sig));
        *(valid ? &t->good : &t->bad) += 1;
    }
    assert_int_equal(rc, valid ? NACRE_OK : NACRE_BAD_SIGNATURE);
    nc_pk_free(k);
    nc_buf_clear(&point);
    nc_buf_clear(&msg);
    nc_buf_clear(&der);
    nc_buf_clear(&sig);
}

static void rsa_vector(const cJSON *group, const cJSON *test, void *user)
{
    tally *t = user;
    const cJSON *pub = cJSON_GetObjectItem(group, "publicKey");
    nc_buf n = hex_field(pub, "modulus");
    nc_buf e = hex_field(pub, "publicExponent");
    nc_buf msg = hex_field(test, "msg");
    nc_buf sig = hex_field(test, "sig");
    /* "acceptable" is a DigestInfo without its NULL: PKCS#1 lets us refuse it, and libcrypto does. */
    bool valid = strcmp(text_field(test, "result"), "valid") == 0;
    nc_pk_parts parts = {.type = NC_PK_RSA, .n = nc_buf_span(&n), .e = nc_buf_span(&e)};
    nc_pk *k;

    assert_int_equal(nc_pk_from_parts(&k, NULL, &parts, false, NULL), NACRE_OK);
    assert_int_equal(nc_pk_verify(k, t->alg, nc_buf_span(&msg), nc_buf_span(&sig)),
                     valid ? NACRE_OK : NACRE_BAD_SIGNATURE);
    *(valid ? &t->good : &t->bad) += 1;
    nc_pk_free(k);
    nc_buf_clear(&n);
    nc_buf_clear(&e);
    nc_buf_clear(&msg);
    nc_buf_clear(&sig);
}

static void run_vectors(const char *file, vector_fn fn, const char *alg, nc_pk_type type)
{
    tally t = {alg_named(alg), type, 0, 0};

    assert_true(each_vector(file, fn, &t) > 100);
    assert_true(t.good >= 5 && t.bad > 30);
}

static void ed25519_vectors(void **state)
{
    (void)state;
    run_vectors("ed25519_test.json", ed25519_vector, "ssh-ed25519", NC_PK_ED25519);
}

static void ecdsa_vectors(void **state)
{
    (void)state;
    run_vectors("ecdsa_secp256r1_sha256_test.json", ecdsa_vector, "ecdsa-sha2-nistp256",
                NC_PK_P256);
    run_vectors("ecdsa_secp384r1_sha384_test.json", ecdsa_vector, "ecdsa-sha2-nistp384",
                NC_PK_P384);
    run_vectors("ecdsa_secp521r1_sha512_test.json", ecdsa_vector, "ecdsa-sha2-nistp521",
                NC_PK_P521);
}

static void rsa_vectors(void **state)
{
    (void)state;
    run_vectors("rsa_signature_2048_sha256_test.json", rsa_vector, "rsa-sha2-256", NC_PK_RSA);
    run_vectors("rsa_signature_3072_sha256_test.json", rsa_vector, "rsa-sha2-256", NC_PK_RSA);
    run_vectors("rsa_signature_2048_sha512_test.json", rsa_vector, "rsa-sha2-512", NC_PK_RSA);
    run_vectors("rsa_signature_4096_sha512_test.json", rsa_vector, "rsa-sha2-512", NC_PK_RSA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(algorithm_table),    cmocka_unit_test(every_key_with_every_algorithm),
        cmocka_unit_test(damaged_signatures), cmocka_unit_test(empty_data),
        cmocka_unit_test(ecdsa_numbers),      cmocka_unit_test(parts_and_back),
        cmocka_unit_test(broken_parts),       cmocka_unit_test(parts_that_are_missing),
        cmocka_unit_test(rsa_bounds),         cmocka_unit_test(rsa_short_signature),
        cmocka_unit_test(ed25519_vectors),    cmocka_unit_test(ecdsa_vectors),
        cmocka_unit_test(rsa_vectors),
    };

    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
