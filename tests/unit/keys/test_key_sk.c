/*
 * Keys of security keys: blobs, private handles, and signatures with their flags and counters, made
 * here by a device of software; and DSA behind its switch.
 */
#include "keydata.h"

#include "keys/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MESSAGE  "what is signed"
#define WEBAUTHN "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"

static const char *const sk_names[] = {"sk-ssh-ed25519@openssh.com",
                                       "sk-ecdsa-sha2-nistp256@openssh.com"};

/* ---- the device -------------------------------------------------------------------------------- */

typedef struct device {
    nc_pk *pk; /* what it keeps inside */
    bool ecdsa;
    nacre_key *key; /* with its handle */
} device;

static nc_buf buffer(void)
{
    nc_buf b;
    nc_buf_init(&b, NULL, 1 << 20);
    return b;
}

static device device_new(bool ecdsa)
{
    device d = {.ecdsa = ecdsa};
    nc_pk_type type = ecdsa ? NC_PK_P256 : NC_PK_ED25519;
    assert_int_equal(nc_pk_generate(&d.pk, NULL, type, 0), NACRE_OK);
    d.key = keydata_security_key(d.pk, "ssh:", 1, true);
    return d;
}

static void device_free(device *d)
{
    nc_pk_free(d->pk);
    nacre_key_free(d->key);
}

typedef struct claim {
    const char *application;
    uint8_t flags;
    uint32_t counter;
    const char *data;
    const char *origin, *client_data, *extensions; /* webauthn */
} claim;

static void hash_into(nc_buf *out, nacre_span data)
{
    uint8_t digest[NC_MAX_HASH];
    assert_int_equal(nc_hash(nc_hash_get(NC_SHA256), &data, 1, digest), NACRE_OK);
    assert_int_equal(nc_buf_append(out, digest, 32), NACRE_OK);
}

/* A signature blob that says what the claim says. */
static nc_buf device_sign(const device *d, const claim *c)
{
    nc_buf message = buffer();
    nc_buf inner = buffer();
    nc_buf out = buffer();
    nc_wr m = nc_wr_init(&message);
    nc_wr w = nc_wr_init(&out);
    const char *inner_name = d->ecdsa ? "ecdsa-sha2-nistp256" : "ssh-ed25519";
    hash_into(&message, keydata_cstr(c->application));
    nc_wr_u8(&m, c->flags);
    nc_wr_u32(&m, c->counter);
    nc_wr_bytes(&m, keydata_cstr(c->extensions ? c->extensions : ""));
    hash_into(&message, keydata_cstr(c->client_data ? c->client_data : c->data));
    assert_int_equal(
        nc_pk_sign(d->pk, nc_sig_find(keydata_cstr(inner_name)), nc_buf_span(&message), &inner),
        NACRE_OK);
    nc_wr_cstr(&w, c->client_data ? WEBAUTHN : sk_names[d->ecdsa]);
    nc_wr_str(&w, nc_buf_span(&inner));
    nc_wr_u8(&w, c->flags);
    nc_wr_u32(&w, c->counter);
    if (c->client_data) {
        nc_wr_cstr(&w, c->origin);
        nc_wr_cstr(&w, c->client_data);
        nc_wr_cstr(&w, c->extensions ? c->extensions : "");
    }
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    nc_buf_clear(&message);
    nc_buf_clear(&inner);
    return out;
}

static int verify(const nacre_key *k, const char *alg, nacre_span sig)
{
    return nacre_key_verify(k, alg, keydata_cstr(MESSAGE), sig);
}

static int verify_details(const nacre_key *k, const char *alg, nacre_span sig, nacre_sk_details *d)
{
    memset(d, 0xff, sizeof(*d));
    return nacre_key_verify_sk(k, alg, keydata_cstr(MESSAGE), sig, d);
}

/* ---- keys ---------------------------------------------------------------------------------------- */

static void keys_have_names_and_blobs(void **state)
{
    static const char *const labels[] = {"ED25519-SK", "ECDSA-SK"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        device d = device_new(i == 1);
        nacre_key *pub = NULL;
        char line[1024];
        assert_string_equal(nacre_key_type(d.key), sk_names[i]);
        assert_string_equal(nacre_key_label(d.key), labels[i]);
        assert_int_equal(nacre_key_bits(d.key), 256);
        assert_true(nacre_key_is_private(d.key) && nacre_key_is_sk(d.key));
        assert_true(nc_span_is(nacre_key_sk_application(d.key), "ssh:"));
        assert_int_equal(nacre_key_from_blob(&pub, NULL, nacre_key_blob(d.key), NULL), NACRE_OK);
        assert_true(nacre_key_equal(pub, d.key) && nacre_key_is_sk(pub));
        assert_false(nacre_key_is_private(pub));
        nacre_key_free(pub);
        assert_true(nacre_key_public_line(d.key, line, sizeof(line)) > 0);
        assert_int_equal(nacre_key_from_public_line(&pub, NULL, keydata_cstr(line), NULL),
                         NACRE_OK);
        assert_true(nacre_key_equal(pub, d.key));
        nacre_key_free(pub);
        /* The application belongs to the key. */
        nacre_key *other = keydata_security_key(d.pk, "ssh:other", 1, false);
        assert_false(nacre_key_equal(other, d.key));
        nacre_key_free(other);
        device_free(&d);
    }
    nacre_key *plain = keydata_public("ed25519");
    assert_false(nacre_key_is_sk(plain));
    assert_int_equal(nacre_key_sk_application(plain).n, 0);
    nacre_key_free(plain);
}

static void cut_blobs_are_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        device d = device_new(i == 1);
        nacre_span blob = nacre_key_blob(d.key);
        uint8_t copy[512];
        nacre_key *k = NULL;
        for (size_t n = 0; n < blob.n; n++) {
            assert_true(nacre_key_from_blob(&k, NULL, nc_span(blob.p, n), NULL) < 0);
            assert_null(k);
        }
        memcpy(copy, blob.p, blob.n);
        copy[blob.n] = 0;
        assert_int_equal(nacre_key_from_blob(&k, NULL, nc_span(copy, blob.n + 1), NULL),
                         NACRE_BAD_KEY);
        copy[blob.n - 1] = 0; /* a zero byte in the application */
        assert_int_equal(nacre_key_from_blob(&k, NULL, nc_span(copy, blob.n), NULL), NACRE_BAD_KEY);
        nc_put_u32(copy + blob.n - 8, 0); /* none at all */
        assert_int_equal(nacre_key_from_blob(&k, NULL, nc_span(copy, blob.n - 4), NULL),
                         NACRE_BAD_KEY);
        device_free(&d);
    }
}

static void handles_are_kept_and_do_not_sign(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        device d = device_new(i == 1);
        char *text = NULL;
        size_t len = 0;
        uint8_t *sig = NULL;
        nacre_key *again = NULL;
        nacre_span none = {NULL, 0};
        assert_int_equal(nacre_key_to_private(d.key, none, 0, &text, &len), NACRE_OK);
        assert_int_equal(nacre_key_from_private(&again, NULL, nc_span(text, len), none, NULL),
                         NACRE_OK);
        assert_true(nacre_key_equal(again, d.key) && nacre_key_is_private(again));
        assert_string_equal(nacre_key_comment(again), "token");
        nc_buf storage = buffer();
        nc_pk_parts parts;
        assert_int_equal(nc_pk_get_parts(nc_key_pk(again), &storage, true, &parts), NACRE_OK);
        assert_true(nc_span_is(parts.key_handle, "handle") && parts.sk_flags == 1);
        nc_buf_clear(&storage);
        assert_int_equal(nacre_key_sign(again, NULL, keydata_cstr("x"), &sig, &len),
                         NACRE_KEY_NEEDS_AGENT);
        assert_null(sig);
        nacre_key *pub = NULL;
        assert_int_equal(nacre_key_from_blob(&pub, NULL, nacre_key_blob(again), NULL), NACRE_OK);
        assert_int_equal(nacre_key_sign(pub, NULL, keydata_cstr("x"), &sig, &len),
                         NACRE_NOT_PRIVATE);
        nacre_key_free(pub);
        nacre_key_free(again);
        nacre_secret_free(NULL, text, strlen(text) + 1);
        device_free(&d);
    }
}

/* ---- signatures ---------------------------------------------------------------------------------- */

static void signatures_verify_with_their_flags(void **state)
{
    static const uint8_t flags[] = {0x01, 0x05, 0x00, 0x04};
    (void)state;
    for (int i = 0; i < 2; i++) {
        device d = device_new(i == 1);
        for (size_t j = 0; j < sizeof(flags); j++) {
            claim c = {"ssh:", flags[j], 0x01020304, MESSAGE, NULL, NULL, NULL};
            nc_buf sig = device_sign(&d, &c);
            nacre_sk_details got;
            bool touched = flags[j] & NACRE_SK_USER_PRESENT;
            assert_int_equal(verify_details(d.key, NULL, nc_buf_span(&sig), &got), NACRE_OK);
            assert_true(got.sk && got.flags == flags[j] && got.counter == 0x01020304);
            assert_int_equal(verify_details(d.key, sk_names[i], nc_buf_span(&sig), &got), NACRE_OK);
            /* Without a touch only for who asks for the details. */
            assert_int_equal(verify(d.key, NULL, nc_buf_span(&sig)),
                             touched ? NACRE_OK : NACRE_BAD_SIGNATURE);
            assert_int_equal(verify(d.key, sk_names[i], nc_buf_span(&sig)),
                             touched ? NACRE_OK : NACRE_BAD_SIGNATURE);
            assert_int_equal(verify(d.key, sk_names[1 - i], nc_buf_span(&sig)),
                             NACRE_BAD_SIGNATURE);
            assert_int_equal(verify_details(d.key, "ssh-ed25519", nc_buf_span(&sig), &got),
                             NACRE_BAD_SIGNATURE);
            assert_false(got.sk);
            assert_int_equal(got.flags, 0);
            nc_buf_clear(&sig);
        }
        device_free(&d);
    }
}

static void damaged_signatures_are_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        device d = device_new(i == 1);
        claim c = {"ssh:", 1, 7, MESSAGE, NULL, NULL, NULL};
        nc_buf sig = device_sign(&d, &c);
        nacre_sk_details got;
        for (size_t n = 0; n < sig.len; n++) {
            assert_int_equal(verify(d.key, NULL, nc_span(sig.data, n)), NACRE_BAD_SIGNATURE);
        }
        for (size_t at = 0; at < sig.len; at++) {
            sig.data[at] ^= 4;
            assert_int_equal(verify_details(d.key, NULL, nc_buf_span(&sig), &got),
                             NACRE_BAD_SIGNATURE);
            assert_false(got.sk);
            sig.data[at] ^= 4;
        }
        assert_int_equal(nc_buf_append(&sig, "", 1), NACRE_OK);
        assert_int_equal(verify(d.key, NULL, nc_buf_span(&sig)), NACRE_BAD_SIGNATURE);
        nc_buf_clear(&sig);
        c.application = "ssh:other"; /* the same device and secret, for another purpose */
        sig = device_sign(&d, &c);
        assert_int_equal(verify(d.key, NULL, nc_buf_span(&sig)), NACRE_BAD_SIGNATURE);
        nc_buf_clear(&sig);
        device_free(&d);
    }
}

/* A plain signature of the same secret must not pass for one of the device, nor the reverse. */
static void plain_and_device_signatures_stay_apart(void **state)
{
    device d = device_new(false);
    nc_buf storage = buffer();
    nc_pk_parts parts;
    nc_pk *pk = NULL;
    nacre_key *plain = NULL;
    uint8_t *sig = NULL;
    size_t n = 0;
    claim c = {"ssh:", 1, 7, MESSAGE, NULL, NULL, NULL};
    nc_buf from_device = device_sign(&d, &c);
    (void)state;
    assert_int_equal(nc_pk_get_parts(d.pk, &storage, true, &parts), NACRE_OK);
    assert_int_equal(nc_pk_from_parts(&pk, NULL, &parts, true, NULL), NACRE_OK);
    assert_int_equal(nc_key_from_pk(&plain, NULL, pk, keydata_cstr("")), NACRE_OK);
    assert_int_equal(nacre_key_sign(plain, NULL, keydata_cstr(MESSAGE), &sig, &n), NACRE_OK);
    assert_int_equal(verify(plain, NULL, nc_span(sig, n)), NACRE_OK);
    assert_int_equal(verify(d.key, NULL, nc_span(sig, n)), NACRE_BAD_SIGNATURE);
    assert_int_equal(verify(plain, NULL, nc_buf_span(&from_device)), NACRE_BAD_SIGNATURE);
    nacre_sk_details got;
    assert_int_equal(verify_details(plain, NULL, nc_span(sig, n), &got), NACRE_OK);
    assert_false(got.sk);
    nacre_secret_free(NULL, sig, n);
    nc_buf_clear(&from_device);
    nc_buf_clear(&storage);
    nacre_key_free(plain);
    device_free(&d);
}

/* ---- webauthn ------------------------------------------------------------------------------------ */

/* "what is signed" in base64url */
#define CHALLENGE "d2hhdCBpcyBzaWduZWQ"
#define ORIGIN    "https://www.example.com"
#define BEGIN     "{\"type\":\"webauthn.get\",\"challenge\":\"" CHALLENGE "\",\"origin\":\"" ORIGIN "\""

typedef struct web_case {
    const char *origin, *client_data, *extensions;
    uint8_t flags;
    int status;
} web_case;

static const web_case web_cases[] = {
    {ORIGIN, BEGIN "}", NULL, 0x01, NACRE_OK},
    {ORIGIN, BEGIN ",\"crossOrigin\":false}", NULL, 0x01, NACRE_OK},
    {ORIGIN, BEGIN "}", "extension", 0x81, NACRE_OK},
    {ORIGIN, BEGIN "}", "extension", 0x01, NACRE_BAD_SIGNATURE},
    {ORIGIN, BEGIN "}", NULL, 0x81, NACRE_BAD_SIGNATURE},
    {ORIGIN, BEGIN "}", NULL, 0x41, NACRE_BAD_SIGNATURE},
    {ORIGIN, BEGIN "}", NULL, 0x04, NACRE_BAD_SIGNATURE}, /* not touched */
    {"https://evil.example.com", BEGIN "}", NULL, 0x01, NACRE_BAD_SIGNATURE},
    {"https://www.example.co", BEGIN "}", NULL, 0x01, NACRE_BAD_SIGNATURE},
    {ORIGIN, BEGIN, NULL, 0x01, NACRE_BAD_SIGNATURE},
    {ORIGIN, BEGIN "x}", NULL, 0x01, NACRE_BAD_SIGNATURE},
    {ORIGIN, "", NULL, 0x01, NACRE_BAD_SIGNATURE},
    {ORIGIN, "{}", NULL, 0x01, NACRE_BAD_SIGNATURE},
    {ORIGIN, " " BEGIN "}", NULL, 0x01, NACRE_BAD_SIGNATURE},
    {ORIGIN,
     "{\"type\":\"webauthn.create\",\"challenge\":\"" CHALLENGE "\",\"origin\":\"" ORIGIN "\"}",
     NULL, 0x01, NACRE_BAD_SIGNATURE},
    {ORIGIN,
     "{\"type\":\"webauthn.get\",\"challenge\":\"" CHALLENGE "=\",\"origin\":\"" ORIGIN "\"}", NULL,
     0x01, NACRE_BAD_SIGNATURE},
    {ORIGIN, "{\"type\":\"webauthn.get\",\"challenge\":\"AAAA\",\"origin\":\"" ORIGIN "\"}", NULL,
     0x01, NACRE_BAD_SIGNATURE},
    /* a quote in the origin could put another field before the one that is meant */
    {"https://evil\",\"x\":\"", BEGIN "}", NULL, 0x01, NACRE_BAD_SIGNATURE},
    {"x\",\"y\":\"z",
     "{\"type\":\"webauthn.get\",\"challenge\":\"" CHALLENGE "\",\"origin\":\"x\",\"y\":\"z\"}",
     NULL, 0x01, NACRE_BAD_SIGNATURE},
    {"x\\",
     "{\"type\":\"webauthn.get\",\"challenge\":\"" CHALLENGE "\",\"origin\":\"x\\\",\"y\":\"\"}",
     NULL, 0x01, NACRE_BAD_SIGNATURE},
};

static void webauthn_binds_challenge_and_origin(void **state)
{
    device d = device_new(true);
    (void)state;
    for (size_t i = 0; i < sizeof(web_cases) / sizeof(web_cases[0]); i++) {
        const web_case *t = &web_cases[i];
        claim c = {"ssh:", t->flags, 9, MESSAGE, t->origin, t->client_data, t->extensions};
        nc_buf sig = device_sign(&d, &c);
        assert_int_equal(verify(d.key, WEBAUTHN, nc_buf_span(&sig)), t->status);
        /* another algorithm was agreed */
        assert_int_equal(verify(d.key, sk_names[1], nc_buf_span(&sig)), NACRE_BAD_SIGNATURE);
        nc_buf_clear(&sig);
    }
    claim c = {"ssh:", 1, 9, MESSAGE, ORIGIN, BEGIN "}", NULL};
    nc_buf sig = device_sign(&d, &c);
    for (size_t n = 0; n < sig.len; n++) {
        assert_int_equal(verify(d.key, NULL, nc_span(sig.data, n)), NACRE_BAD_SIGNATURE);
    }
    nacre_key *plain = keydata_public("ecdsa256");
    assert_int_equal(verify(plain, NULL, nc_buf_span(&sig)), NACRE_BAD_SIGNATURE);
    nacre_key_free(plain);
    nc_buf_clear(&sig);
    device_free(&d);
}

/* ---- DSA ------------------------------------------------------------------------------------------ */

static void dsa_only_behind_its_switch(void **state)
{
    nacre_span text = keydata_read("dsa.pub");
    nacre_span sig = keydata_read("dsa.sig");
    nacre_span rest = text;
    nc_buf blob = buffer();
    nacre_key *k = NULL;
    nacre_error err;
    uint8_t *out = NULL;
    size_t n = 0;
    (void)state;
    (void)nc_text_word(&rest);
    assert_int_equal(nc_base64_decode(nc_text_word(&rest), &blob), NACRE_OK);
    assert_int_equal(nacre_key_from_blob(&k, NULL, nc_buf_span(&blob), &err), NACRE_UNSUPPORTED);
    assert_non_null(strstr(err.text, "no longer secure"));
    assert_int_equal(nacre_key_from_public_line(&k, NULL, text, &err), NACRE_UNSUPPORTED);
    assert_int_equal(nacre_key_from_blob_insecure(&k, NULL, nc_buf_span(&blob), &err), NACRE_OK);
    assert_string_equal(nacre_key_type(k), "ssh-dss");
    assert_string_equal(nacre_key_label(k), "DSA");
    assert_int_equal(nacre_key_bits(k), 1024);
    assert_int_equal(verify(k, "ssh-dss", sig), NACRE_OK);
    assert_int_equal(verify(k, NULL, sig), NACRE_BAD_SIGNATURE); /* not unless it is named */
    assert_int_equal(verify(k, "ssh-rsa", sig), NACRE_BAD_SIGNATURE);
    for (size_t i = 0; i < sig.n; i++) {
        assert_int_equal(verify(k, "ssh-dss", nc_span(sig.p, i)), NACRE_BAD_SIGNATURE);
        ((uint8_t *)(uintptr_t)sig.p)[i] ^= 1;
        assert_int_equal(verify(k, "ssh-dss", sig), NACRE_BAD_SIGNATURE);
        ((uint8_t *)(uintptr_t)sig.p)[i] ^= 1;
    }
    assert_int_equal(nacre_key_sign(k, "ssh-dss", keydata_cstr("x"), &out, &n), NACRE_NOT_PRIVATE);
    nacre_key_free(k);
    /* every byte of the numbers counts */
    size_t accepted = 0;
    for (size_t i = 0; i < blob.len; i++) {
        blob.data[i] ^= 1;
        if (nacre_key_from_blob_insecure(&k, NULL, nc_buf_span(&blob), NULL) == NACRE_OK) {
            accepted++;
        }
        nacre_key_free(k);
        blob.data[i] ^= 1;
        assert_true(nacre_key_from_blob_insecure(&k, NULL, nc_span(blob.data, i), NULL) < 0);
    }
    assert_int_equal(accepted, 0);
    assert_int_equal(nacre_key_generate(&k, NULL, "dsa", 1024, NULL), NACRE_UNKNOWN_NAME);
    nc_buf_clear(&blob);
    keydata_free(text);
    keydata_free(sig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_have_names_and_blobs),
        cmocka_unit_test(cut_blobs_are_refused),
        cmocka_unit_test(handles_are_kept_and_do_not_sign),
        cmocka_unit_test(signatures_verify_with_their_flags),
        cmocka_unit_test(damaged_signatures_are_refused),
        cmocka_unit_test(plain_and_device_signatures_stay_apart),
        cmocka_unit_test(webauthn_binds_challenge_and_origin),
        cmocka_unit_test(dsa_only_behind_its_switch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
