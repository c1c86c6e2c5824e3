/*
 * Certificates: those of ssh-keygen read whole, broken ones refused, and shown by keys that sign.
 */
#include "keydata.h"

#include "keys/cert.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static nacre_key *certificate(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "../certs/%s-cert", name);
    return keydata_public(path);
}

static bool span_is(nacre_span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static const char *const bases[] = {"ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa2048"};
enum { BASES = sizeof(bases) / sizeof(bases[0]) };

static void all_types_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < BASES; i++) {
        char name[64], text[128], want[128];
        snprintf(name, sizeof(name), "user_%s", bases[i]);
        nacre_key *c = certificate(name);
        nacre_key *k = keydata_public(bases[i]);
        nacre_key *ca = keydata_public("ed25519_other");
        assert_true(nacre_key_is_cert(c));
        assert_false(nacre_key_is_cert(k));
        snprintf(want, sizeof(want), "%s-cert-v01@openssh.com", nacre_key_type(k));
        assert_string_equal(nacre_key_type(c), want);
        snprintf(want, sizeof(want), "%s-CERT", nacre_key_label(k));
        assert_string_equal(nacre_key_label(c), want);
        assert_int_equal(nacre_key_bits(c), nacre_key_bits(k));
        assert_string_equal(nacre_key_comment(c), nacre_key_comment(k));
        assert_true(nacre_key_fingerprint(c, NULL, text, sizeof(text)) > 0);
        assert_true(nacre_key_fingerprint(k, NULL, want, sizeof(want)) > 0);
        assert_string_equal(text, want);
        assert_false(nacre_key_equal(c, k));

        nacre_cert_info info;
        assert_int_equal(nacre_key_cert_info(c, &info), NACRE_OK);
        assert_int_equal(info.kind, NACRE_CERT_USER);
        assert_int_equal(info.serial, i + 1);
        snprintf(want, sizeof(want), "user %s", bases[i]);
        assert_true(span_is(info.key_id, want));
        assert_int_equal(info.valid_after, 1704067200);
        assert_int_equal(info.valid_before, 2019686400);
        assert_true(nacre_key_equal(info.ca, ca));
        assert_string_equal(info.ca_algorithm, "ssh-ed25519");
        assert_int_equal(info.critical.n, 0);
        nacre_span one;
        assert_true(nacre_cert_next_principal(&info.principals, &one) && span_is(one, "alice"));
        assert_true(nacre_cert_next_principal(&info.principals, &one) && span_is(one, "bob"));
        assert_false(nacre_cert_next_principal(&info.principals, &one));

        nacre_key *plain = NULL;
        assert_int_equal(nacre_key_plain(&plain, c), NACRE_OK);
        assert_true(nacre_key_equal(plain, k));
        assert_false(nacre_key_is_cert(plain));
        assert_int_equal(nacre_key_cert_info(plain, &info), NACRE_INVALID_ARGUMENT);
        nacre_key_free(c); /* what came from it lives on */
        assert_true(nacre_key_equal(plain, k));
        nacre_key_free(plain);
        nacre_key_free(k);
        nacre_key_free(ca);
    }
    assert_false(nacre_key_is_cert(NULL));
}

static void options_and_cas_are_read(void **state)
{
    (void)state;
    static const char *const want[][2] = {{"force-command", "ls -l"},
                                          {"source-address", "10.0.0.0/8,2001:db8::/32"},
                                          {"verify-required", ""},
                                          {"no-touch-required", ""},
                                          {"permit-pty", ""}};
    nacre_key *c = certificate("options");
    nacre_cert_info info;
    assert_int_equal(nacre_key_cert_info(c, &info), NACRE_OK);
    nacre_span *lists[] = {&info.critical, &info.critical, &info.critical, &info.extensions,
                           &info.extensions};
    nacre_span name, data;
    for (size_t i = 0; i < 5; i++) {
        assert_true(nacre_cert_next_option(lists[i], &name, &data));
        assert_true(span_is(name, want[i][0]));
        assert_true(span_is(data, want[i][1]));
    }
    assert_false(nacre_cert_next_option(&info.critical, &name, &data));
    assert_false(nacre_cert_next_option(&info.extensions, &name, &data));
    nacre_key_free(c);

    static const char *const cas[][2] = {{"rsa_ca", "rsa-sha2-512"},
                                         {"rsa256_ca", "rsa-sha2-256"},
                                         {"sha1_ca", "ssh-rsa"},
                                         {"host", "ecdsa-sha2-nistp384"}};
    for (size_t i = 0; i < 4; i++) {
        c = certificate(cas[i][0]);
        assert_int_equal(nacre_key_cert_info(c, &info), NACRE_OK);
        assert_string_equal(info.ca_algorithm, cas[i][1]);
        nacre_key_free(c);
    }
    assert_int_equal(info.kind, NACRE_CERT_HOST);
}

static void a_line_and_a_blob_come_back(void **state)
{
    (void)state;
    nacre_key *c = certificate("user_rsa2048");
    nacre_key *again = NULL;
    char line[8192];
    assert_true(nacre_key_public_line(c, line, sizeof(line)) > 0);
    assert_int_equal(nacre_key_from_public_line(&again, NULL, keydata_cstr(line), NULL), NACRE_OK);
    assert_true(nacre_key_equal(c, again));
    nacre_key_free(again);
    assert_int_equal(nacre_key_with_comment(&again, c, "named"), NACRE_OK);
    assert_true(nacre_key_is_cert(again) && nacre_key_equal(c, again));
    assert_string_equal(nacre_key_comment(again), "named");
    nacre_key_free(again);
    nacre_key_free(c);
}

static void a_key_that_shows_one_signs_plainly(void **state)
{
    (void)state;
    nacre_span data = keydata_cstr("what is signed");
    for (size_t i = 0; i < BASES; i++) {
        char name[64];
        nacre_key *both = NULL;
        nacre_error err;
        snprintf(name, sizeof(name), "user_%s", bases[i]);
        nacre_key *c = certificate(name);
        nacre_key *k = keydata_private(bases[i]);
        assert_int_equal(nacre_key_attach_cert(&both, k, c, &err), NACRE_OK);
        assert_true(nacre_key_is_private(both) && nacre_key_equal(both, c));
        assert_false(nacre_key_is_private(c));
        nacre_key_free(k);
        uint8_t *sig = NULL;
        size_t n = 0;
        assert_int_equal(nacre_key_sign(both, NULL, data, &sig, &n), NACRE_OK);
        assert_int_equal(nacre_key_verify(c, NULL, data, nc_span(sig, n)), NACRE_OK);
        assert_int_equal(nacre_key_verify(c, nacre_key_type(c), data, nc_span(sig, n)),
                         NACRE_BAD_SIGNATURE);
        nacre_secret_free(NULL, sig, n);
        assert_int_equal(nacre_key_sign(both, nacre_key_type(c), data, &sig, &n),
                         NACRE_UNKNOWN_NAME);
        char *text = NULL;
        assert_int_equal(nacre_key_to_private(both, nc_span(NULL, 0), 1, &text, &n), NACRE_OK);
        assert_int_equal(
            nacre_key_from_private(&k, NULL, keydata_cstr(text), nc_span(NULL, 0), NULL), NACRE_OK);
        assert_false(nacre_key_is_cert(k));
        nacre_key_free(k);
        nacre_secret_free(NULL, text, n);
        nacre_key_free(both);
        nacre_key_free(c);
    }
}

static void only_its_own_key_shows_one(void **state)
{
    (void)state;
    nacre_key *c = certificate("user_ed25519");
    nacre_key *k = keydata_private("ed25519");
    nacre_key *other = keydata_private("ed25519_other");
    nacre_key *out = k;
    nacre_error err;
    assert_int_equal(nacre_key_attach_cert(&out, other, c, &err), NACRE_INVALID_ARGUMENT);
    assert_null(out);
    assert_non_null(strstr(err.text, "another key"));
    assert_int_equal(nacre_key_attach_cert(&out, k, other, &err), NACRE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.text, "plain key"));
    nacre_key_free(other);
    nacre_key_free(k);
    nacre_key_free(c);
}

static void names_go_with_keys(void **state)
{
    (void)state;
    nacre_key *c = certificate("user_rsa2048");
    nacre_key *k = keydata_public("rsa2048");
    static const char *const plain[] = {"rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"};
    static const char *const certs[] = {"rsa-sha2-512-cert-v01@openssh.com",
                                        "rsa-sha2-256-cert-v01@openssh.com",
                                        "ssh-rsa-cert-v01@openssh.com"};
    for (size_t i = 0; i < 3; i++) {
        const nc_sig_alg *alg = nc_key_pubkey_alg(c, nc_span_cstr(certs[i]));
        assert_non_null(alg);
        assert_string_equal(alg->name, plain[i]);
        assert_string_equal(nc_key_pubkey_name(c, alg), certs[i]);
        assert_string_equal(nc_key_pubkey_name(k, alg), plain[i]);
        assert_ptr_equal(nc_key_pubkey_alg(k, nc_span_cstr(plain[i])), alg);
        assert_null(nc_key_pubkey_alg(k, nc_span_cstr(certs[i])));
        assert_null(nc_key_pubkey_alg(c, nc_span_cstr(plain[i])));
    }
    assert_null(nc_key_pubkey_alg(c, nc_span_cstr("ssh-ed25519-cert-v01@openssh.com")));
    assert_null(nc_key_pubkey_alg(c, nc_span_cstr("rsa-sha2-512-cert-v00@openssh.com")));
    nacre_key_free(k);
    nacre_key_free(c);
}

/* ---- broken ones --------------------------------------------------------------------------------- */

static int read_blob(nacre_span blob, nacre_error *err)
{
    nacre_key *k = NULL;
    int rc = nacre_key_from_blob(&k, NULL, blob, err);
    assert_true((rc == NACRE_OK) == (k != NULL));
    assert_true(rc == NACRE_OK || err->text[0]);
    nacre_key_free(k);
    return rc;
}

static void cut_and_lengthened_ones_are_refused(void **state)
{
    (void)state;
    nacre_error err;
    for (size_t i = 0; i < BASES; i++) {
        char name[64];
        uint8_t copy[4096];
        snprintf(name, sizeof(name), "user_%s", bases[i]);
        nacre_key *c = certificate(name);
        nacre_span blob = nacre_key_blob(c);
        assert_true(blob.n < sizeof(copy) - 1);
        for (size_t n = 0; n < blob.n; n++) {
            assert_int_not_equal(read_blob(nc_span(blob.p, n), &err), NACRE_OK);
        }
        memcpy(copy, blob.p, blob.n);
        copy[blob.n] = 0;
        assert_int_equal(read_blob(nc_span(copy, blob.n + 1), &err), NACRE_BAD_KEY);
        nacre_key_free(c);
    }
}

/* Whatever byte is turned, the CA's signature no longer covers it or the layout breaks. */
static void a_turned_bit_is_seen(void **state)
{
    (void)state;
    nacre_error err;
    nacre_key *c = certificate("options");
    nacre_span blob = nacre_key_blob(c);
    uint8_t copy[4096];
    memcpy(copy, blob.p, blob.n);
    for (size_t i = 0; i < blob.n; i++) {
        copy[i] ^= 1u << (i % 8);
        assert_int_not_equal(read_blob(nc_span(copy, blob.n), &err), NACRE_OK);
        copy[i] = blob.p[i];
    }
    nacre_key_free(c);
}

/* A certificate made field by field, so that each can be wrong. */
typedef struct recipe {
    const char *type;
    uint32_t kind;
    nacre_span key_id, principals, critical, extensions, reserved;
    nacre_span ca_blob; /* p NULL: the CA's own */
    const nacre_key *ca;
    nacre_span tail;
} recipe;

static int bake(const recipe *m, nacre_error *err)
{
    nacre_key *subject = keydata_public("ed25519");
    nacre_span plain = nc_key_plain_blob(subject);
    nc_buf b;
    nc_buf_init(&b, NULL, 4 * NC_MAX_KEY_BLOB);
    nc_wr w = nc_wr_init(&b);
    nc_wr_cstr(&w, m->type);
    nc_wr_cstr(&w, "nonce");
    nc_wr_bytes(&w, nc_span(plain.p + 15, plain.n - 15));
    nc_wr_u64(&w, 1);
    nc_wr_u32(&w, m->kind);
    nc_wr_str(&w, m->key_id);
    nc_wr_str(&w, m->principals);
    nc_wr_u64(&w, 0);
    nc_wr_u64(&w, UINT64_MAX);
    nc_wr_str(&w, m->critical);
    nc_wr_str(&w, m->extensions);
    nc_wr_str(&w, m->reserved);
    nc_wr_str(&w, m->ca_blob.p ? m->ca_blob : nacre_key_blob(m->ca));
    uint8_t *sig = NULL;
    size_t n = 0;
    assert_int_equal(nacre_key_sign(m->ca, NULL, nc_buf_span(&b), &sig, &n), NACRE_OK);
    nc_wr_str(&w, nc_span(sig, n));
    nc_wr_bytes(&w, m->tail);
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    int rc = read_blob(nc_buf_span(&b), err);
    nacre_secret_free(NULL, sig, n);
    nc_buf_clear(&b);
    nacre_key_free(subject);
    return rc;
}

static recipe good_recipe(const nacre_key *ca)
{
    recipe m = {.type = "ssh-ed25519-cert-v01@openssh.com", .kind = NACRE_CERT_USER, .ca = ca};
    m.key_id = nc_span_cstr("id");
    return m;
}

static void each_field_is_judged(void **state)
{
    (void)state;
    nacre_key *ca = keydata_private("ecdsa256");
    nacre_key *nested = certificate("user_ecdsa256");
    nacre_key *another = keydata_public("ecdsa384");
    nacre_error err;
    recipe m = good_recipe(ca);
    assert_int_equal(bake(&m, &err), NACRE_OK);
    m.reserved = nc_span_cstr("ignored");
    assert_int_equal(bake(&m, &err), NACRE_OK);

    m = good_recipe(ca);
    m.kind = 0;
    assert_int_equal(bake(&m, &err), NACRE_BAD_KEY);
    m.kind = 3;
    assert_int_equal(bake(&m, &err), NACRE_BAD_KEY);
    assert_non_null(strstr(err.text, "unknown kind 3"));

    m = good_recipe(ca);
    m.key_id = nc_span("a\0b", 3);
    assert_int_equal(bake(&m, &err), NACRE_BAD_KEY);
    m = good_recipe(ca);
    m.principals = nc_span("\0\0\0\5root\0", 9);
    assert_int_equal(bake(&m, &err), NACRE_BAD_KEY);
    m.principals = nc_span("\0\0\0\5root", 8);
    assert_int_equal(bake(&m, &err), NACRE_BAD_KEY);
    assert_non_null(strstr(err.text, "principals"));
    m = good_recipe(ca);
    m.critical = nc_span("\0\0\0\1a", 5);
    assert_int_equal(bake(&m, &err), NACRE_BAD_KEY);
    assert_non_null(strstr(err.text, "options"));
    m = good_recipe(ca);
    m.extensions = nc_span("\0\0\0\1a\0\0\0", 8);
    assert_int_equal(bake(&m, &err), NACRE_BAD_KEY);

    m = good_recipe(ca);
    m.ca_blob = nacre_key_blob(nested);
    assert_int_equal(bake(&m, &err), NACRE_BAD_KEY);
    assert_non_null(strstr(err.text, "certificate itself"));
    m.ca_blob = nacre_key_blob(another);
    assert_int_equal(bake(&m, &err), NACRE_BAD_SIGNATURE);
    m.ca_blob = nc_span_cstr("no key");
    assert_int_equal(bake(&m, &err), NACRE_BAD_KEY);

    m = good_recipe(ca);
    m.tail = nc_span_cstr("more");
    assert_int_equal(bake(&m, &err), NACRE_BAD_KEY);
    m = good_recipe(ca);
    m.type = "ssh-ed25519-cert-v02@openssh.com";
    assert_int_equal(bake(&m, &err), NACRE_UNSUPPORTED);
    m.type = "ecdsa-sha2-nistp256-cert-v01@openssh.com";
    assert_int_equal(bake(&m, &err), NACRE_BAD_KEY);
    nacre_key_free(another);
    nacre_key_free(nested);
    nacre_key_free(ca);
}

static void counts_have_a_cap(void **state)
{
    (void)state;
    nacre_key *ca = keydata_private("ecdsa256");
    nacre_error err;
    static uint8_t names[5 * (NC_CERT_MAX_PRINCIPALS + 1)];
    for (size_t i = 0; i < NC_CERT_MAX_PRINCIPALS + 1; i++) {
        memcpy(names + 5 * i, "\0\0\0\1x", 5);
    }
    recipe m = good_recipe(ca);
    m.principals = nc_span(names, sizeof(names) - 5);
    assert_int_equal(bake(&m, &err), NACRE_OK);
    m.principals = nc_span(names, sizeof(names));
    assert_int_equal(bake(&m, &err), NACRE_BAD_KEY);
    static uint8_t large[NC_MAX_KEY_BLOB];
    m = good_recipe(ca);
    m.reserved = nc_span(large, sizeof(large));
    assert_int_equal(bake(&m, &err), NACRE_TOO_LARGE);
    nacre_key_free(ca);
}

static void memory_may_fail(void **state)
{
    (void)state;
    nacre_key *c = certificate("user_ed25519");
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_key *read = NULL;
        test_memory_judge(&m, nacre_key_from_blob(&read, &m.hooks, nacre_key_blob(c), NULL));
        nacre_key_free(read);
    }
    assert_true(m.refused > 8);
    nacre_key_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_types_are_read),
        cmocka_unit_test(options_and_cas_are_read),
        cmocka_unit_test(a_line_and_a_blob_come_back),
        cmocka_unit_test(a_key_that_shows_one_signs_plainly),
        cmocka_unit_test(only_its_own_key_shows_one),
        cmocka_unit_test(names_go_with_keys),
        cmocka_unit_test(cut_and_lengthened_ones_are_refused),
        cmocka_unit_test(a_turned_bit_is_seen),
        cmocka_unit_test(each_field_is_judged),
        cmocka_unit_test(counts_have_a_cap),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
