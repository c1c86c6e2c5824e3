/*
 * Key objects: blobs, public lines, fingerprints, signatures, and every way in which they are
 * refused.
 */
#include "keydata.h"

#include "keys/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = {"ed25519",  "ecdsa256", "ecdsa384",
                                    "ecdsa521", "rsa2048",  "rsa3072"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static void blob_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        nacre_key *k = keydata_public(names[i]);
        nacre_key *again = NULL;
        assert_int_equal(nacre_key_from_blob(&again, NULL, nacre_key_blob(k), NULL), NACRE_OK);
        assert_true(nacre_key_equal(k, again));
        assert_false(nacre_key_is_private(k));
        assert_string_equal(nacre_key_comment(again), "");
        assert_ptr_equal(nacre_key_ref(again), again);
        nacre_key_free(again);
        nacre_key_free(again);
        nacre_key_free(k);
    }
    nacre_key_free(NULL);
}

static void fingerprints_are_ssh_keygens(void **state)
{
    (void)state;
    nacre_span file = keydata_read("fingerprints");
    nacre_span rest = file;
    nacre_span line;
    size_t count = 0;
    while (nc_text_line(&rest, &line)) {
        char name[64], bits[16], sha[100], md5[100], got[128];
        char text[400];
        snprintf(text, sizeof(text), "%.*s", (int)line.n, (const char *)line.p);
        assert_int_equal(sscanf(text, "%63[^.].pub %15s %99s %99s", name, bits, sha, md5), 4);
        nacre_key *k = keydata_public(name);
        assert_int_equal(nacre_key_fingerprint(k, "sha256", got, sizeof(got)), strlen(sha));
        assert_string_equal(got, sha);
        assert_int_equal(nacre_key_fingerprint(k, "MD5", got, sizeof(got)), strlen(md5));
        assert_string_equal(got, md5);
        assert_int_equal(nacre_key_fingerprint(k, "sha256", got, strlen(sha)), NACRE_TOO_LARGE);
        assert_int_equal(nacre_key_fingerprint(k, "MD5", got, strlen(md5)), NACRE_TOO_LARGE);
        assert_string_equal(got, "");
        (void)snprintf(got, sizeof(got), "what was there");
        assert_int_equal(nacre_key_fingerprint(k, "crc32", got, sizeof(got)), NACRE_UNKNOWN_NAME);
        assert_string_equal(got, "");
        snprintf(text, sizeof(text), "%u", nacre_key_bits(k));
        assert_string_equal(text, bits);
        nacre_key_free(k);
        count++;
    }
    assert_int_equal(count, 8);
    keydata_free(file);
}

static void public_line_is_the_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        char file[64], out[4096];
        snprintf(file, sizeof(file), "%s.pub", names[i]);
        nacre_span text = keydata_read(file);
        nacre_key *k = keydata_public(names[i]);
        int n = nacre_key_public_line(k, out, sizeof(out));
        assert_true(n > 0 && (size_t)n == strlen(out));
        assert_memory_equal(out, text.p, (size_t)n);
        assert_int_equal(text.p[n], ' ');
        size_t comment = strlen(nacre_key_comment(k));
        assert_memory_equal(text.p + n + 1, nacre_key_comment(k), comment);
        assert_int_equal(text.p[(size_t)n + 1 + comment], '\n');
        assert_int_equal(nacre_key_public_line(k, out, (size_t)n), NACRE_TOO_LARGE);
        assert_int_equal(nacre_key_public_line(k, out, (size_t)n + 1), n);
        nacre_key_free(k);
        keydata_free(text);
    }
}

static void bad_public_lines_are_refused(void **state)
{
    (void)state;
    char good[4096];
    nacre_key *k = keydata_public("ed25519");
    assert_true(nacre_key_public_line(k, good, sizeof(good)) > 0);
    const char *b64 = strchr(good, ' ') + 1;
    char lines[7][5000];
    snprintf(lines[0], sizeof(lines[0]), "%s", "");
    snprintf(lines[1], sizeof(lines[1]), "%s", "ssh-ed25519");
    snprintf(lines[2], sizeof(lines[2]), "ssh-rsa %s", b64);
    snprintf(lines[3], sizeof(lines[3]), "no-pty %s", good);
    snprintf(lines[4], sizeof(lines[4]), "ssh-ed25519 %.*s", 20, b64);
    snprintf(lines[5], sizeof(lines[5]), "ssh-ed25519 !%s", b64 + 1);
    snprintf(lines[6], sizeof(lines[6]), "# %s", good);
    for (size_t i = 0; i < 7; i++) {
        nacre_key *out = k;
        nacre_error err;
        assert_true(nacre_key_from_public_line(&out, NULL, keydata_cstr(lines[i]), &err) < 0);
        assert_null(out);
        assert_true(err.text[0] != '\0');
    }
    nacre_key *out = NULL;
    char text[5000];
    snprintf(text, sizeof(text), "\n# made today\r\n\t%s  two words \r\n", good);
    assert_int_equal(nacre_key_from_public_line(&out, NULL, keydata_cstr(text), NULL), NACRE_OK);
    assert_string_equal(nacre_key_comment(out), "two words");
    nacre_key_free(out);
    nacre_key_free(k);
}

/* ---- malformed blobs ------------------------------------------------------------------------- */

static int try_blob(nacre_span blob)
{
    nacre_key *k = NULL;
    nacre_error err;
    int rc = nacre_key_from_blob(&k, NULL, blob, &err);
    assert_true((rc == NACRE_OK) == (k != NULL));
    assert_true(rc == NACRE_OK || err.text[0]);
    nacre_key_free(k);
    return rc;
}

static void cut_and_lengthened_blobs_are_refused(void **state)
{
    (void)state;
    static const uint32_t absurd[] = {0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    for (size_t i = 0; i < NAMES; i++) {
        nacre_key *k = keydata_public(names[i]);
        nacre_span blob = nacre_key_blob(k);
        uint8_t copy[1024];
        assert_true(blob.n + 1 < sizeof(copy));
        for (size_t n = 0; n < blob.n; n++) {
            memcpy(copy, blob.p, n);
            assert_true(try_blob(nc_span(copy, n)) < 0);
        }
        memcpy(copy, blob.p, blob.n);
        copy[blob.n] = 0;
        assert_int_equal(try_blob(nc_span(copy, blob.n + 1)), NACRE_BAD_KEY);
        /* every length field of the blob, made absurd */
        for (size_t at = 0; at < blob.n; at += 4 + nc_get_u32(blob.p + at)) {
            for (size_t v = 0; v < sizeof(absurd) / sizeof(absurd[0]); v++) {
                memcpy(copy, blob.p, blob.n);
                nc_put_u32(copy + at, absurd[v]);
                assert_true(try_blob(nc_span(copy, blob.n)) < 0);
            }
        }
        nacre_key_free(k);
    }
    static uint8_t huge[NC_MAX_KEY_BLOB + 1];
    assert_int_equal(try_blob(nc_span(huge, sizeof(huge))), NACRE_TOO_LARGE);
}

static void unknown_types_are_named(void **state)
{
    (void)state;
    uint8_t blob[64];
    nc_put_u32(blob, 7);
    memcpy(blob + 4, "ssh-\033[m", 7);
    nacre_key *k = NULL;
    nacre_error err;
    assert_int_equal(nacre_key_from_blob(&k, NULL, nc_span(blob, 11), &err), NACRE_UNSUPPORTED);
    assert_null(k);
    assert_non_null(strstr(err.text, "ssh-\\033[m"));
}

static nacre_span build(nc_buf *b, const char *const *strings, const nacre_span *more, size_t count)
{
    nc_buf_reset(b);
    nc_wr w = nc_wr_init(b);
    for (size_t i = 0; strings[i]; i++) {
        nc_wr_cstr(&w, strings[i]);
    }
    for (size_t i = 0; i < count; i++) {
        nc_wr_str(&w, more[i]);
    }
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    return nc_buf_span(b);
}

static void curve_goes_with_type(void **state)
{
    (void)state;
    nc_buf b;
    nc_buf_init(&b, NULL, 4096);
    nacre_key *k = keydata_public("ecdsa256");
    nacre_span blob = nacre_key_blob(k);
    nacre_span point = nc_span(blob.p + blob.n - 65, 65);
    const char *const good[] = {"ecdsa-sha2-nistp256", "nistp256", NULL};
    const char *const other_type[] = {"ecdsa-sha2-nistp384", "nistp256", NULL};
    const char *const other_curve[] = {"ecdsa-sha2-nistp256", "nistp384", NULL};
    const char *const both_other[] = {"ecdsa-sha2-nistp384", "nistp384", NULL};
    assert_int_equal(try_blob(build(&b, good, &point, 1)), NACRE_OK);
    assert_int_equal(try_blob(build(&b, other_type, &point, 1)), NACRE_BAD_KEY);
    assert_int_equal(try_blob(build(&b, other_curve, &point, 1)), NACRE_BAD_KEY);
    assert_int_equal(try_blob(build(&b, both_other, &point, 1)), NACRE_BAD_KEY);
    /* compressed, infinite, and off the curve */
    uint8_t bad[65];
    memcpy(bad, point.p, 65);
    bad[0] = 0x02;
    nacre_span s = nc_span(bad, 33);
    assert_true(try_blob(build(&b, good, &s, 1)) < 0);
    s = nc_span("\0", 1);
    assert_true(try_blob(build(&b, good, &s, 1)) < 0);
    bad[0] = 0x04;
    bad[64] ^= 1;
    s = nc_span(bad, 65);
    assert_true(try_blob(build(&b, good, &s, 1)) < 0);
    nc_buf_clear(&b);
    nacre_key_free(k);
}

static void rsa_numbers_are_canonical(void **state)
{
    (void)state;
    nc_buf b;
    nc_buf_init(&b, NULL, 4096);
    nacre_key *k = keydata_public("rsa2048");
    nc_rd r = nc_rd_init(nacre_key_blob(k));
    (void)nc_rd_str(&r);
    nacre_span e = nc_rd_str(&r);
    nacre_span n = nc_rd_str(&r);
    assert_int_equal(nc_rd_end(&r), NACRE_OK);
    const char *const type[] = {"ssh-rsa", NULL};
    uint8_t padded[300] = {0};
    memcpy(padded + 1, n.p, n.n);
    const nacre_span good[] = {e, n};
    const nacre_span e_padded[] = {nc_span("\0\1\0\1", 4), n};
    const nacre_span n_padded[] = {e, nc_span(padded, n.n + 1)};
    const nacre_span n_negative[] = {e, nc_span(n.p + 1, n.n - 1)};
    const nacre_span e_zero[] = {nc_span("", 0), n};
    const nacre_span e_one[] = {nc_span("\1", 1), n};
    const nacre_span e_even[] = {nc_span("\4", 1), n};
    const nacre_span e_huge[] = {nc_span("\1\1\1\1\1\1\1\1\1", 9), n};
    const nacre_span n_small[] = {e, nc_span("\x7F\1\1\1\1\1\1\1\1", 9)};
    const nacre_span *const bad[] = {e_padded, n_padded, n_negative, e_zero,
                                     e_one,    e_even,   e_huge,     n_small};
    assert_int_equal(try_blob(build(&b, type, good, 2)), NACRE_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(try_blob(build(&b, type, bad[i], 2)) < 0);
    }
    nc_buf_clear(&b);
    nacre_key_free(k);
}

/* ---- signatures ------------------------------------------------------------------------------ */

static void every_key_signs(void **state)
{
    (void)state;
    nacre_span data = keydata_cstr("what was agreed");
    for (size_t i = 0; i < NAMES; i++) {
        nacre_key *k = keydata_private(names[i]);
        nacre_key *pub = keydata_public(names[i]);
        assert_true(nacre_key_is_private(k));
        assert_true(nacre_key_equal(k, pub));
        size_t at = 0;
        size_t count = 0;
        const nc_sig_alg *alg;
        while ((alg = nc_key_next_alg(k, &at)) != NULL) {
            uint8_t *sig = NULL;
            size_t n = 0;
            assert_false(alg->insecure);
            assert_true(nc_key_supports(pub, keydata_cstr(alg->name)));
            assert_int_equal(nacre_key_sign(k, alg->name, data, &sig, &n), NACRE_OK);
            assert_true(nc_span_is(nc_blob_type(nc_span(sig, n)), alg->name));
            assert_int_equal(nacre_key_verify(pub, alg->name, data, nc_span(sig, n)), NACRE_OK);
            assert_int_equal(nacre_key_verify(pub, NULL, data, nc_span(sig, n)), NACRE_OK);
            assert_int_equal(nacre_key_verify(pub, alg->name, keydata_cstr("x"), nc_span(sig, n)),
                             NACRE_BAD_SIGNATURE);
            nacre_secret_free(NULL, sig, n);
            count++;
        }
        assert_int_equal(count, strncmp(names[i], "rsa", 3) == 0 ? 2 : 1);
        nacre_key_free(k);
        nacre_key_free(pub);
    }
}

static void damaged_signatures_are_refused(void **state)
{
    (void)state;
    nacre_span data = keydata_cstr("what was agreed");
    for (size_t i = 0; i < NAMES; i++) {
        nacre_key *k = keydata_private(names[i]);
        uint8_t *sig = NULL;
        uint8_t copy[1024];
        size_t n = 0;
        assert_int_equal(nacre_key_sign(k, NULL, data, &sig, &n), NACRE_OK);
        assert_true(n + 1 < sizeof(copy));
        for (size_t at = 0; at < n; at++) {
            memcpy(copy, sig, n);
            copy[at] ^= (uint8_t)(1u << (at % 8));
            assert_int_equal(nacre_key_verify(k, NULL, data, nc_span(copy, n)),
                             NACRE_BAD_SIGNATURE);
            assert_int_equal(nacre_key_verify(k, NULL, data, nc_span(sig, at)),
                             NACRE_BAD_SIGNATURE);
        }
        memcpy(copy, sig, n);
        copy[n] = 0;
        assert_int_equal(nacre_key_verify(k, NULL, data, nc_span(copy, n + 1)),
                         NACRE_BAD_SIGNATURE);
        nacre_secret_free(NULL, sig, n);
        nacre_key_free(k);
    }
}

static void algorithm_must_be_the_agreed_one(void **state)
{
    (void)state;
    nacre_span data = keydata_cstr("what was agreed");
    nacre_key *rsa = keydata_private("rsa2048");
    uint8_t *sig = NULL;
    size_t n = 0;
    assert_int_equal(nacre_key_sign(rsa, NULL, data, &sig, &n), NACRE_OK);
    assert_true(nc_span_is(nc_blob_type(nc_span(sig, n)), "rsa-sha2-512"));
    assert_int_equal(nacre_key_verify(rsa, "rsa-sha2-256", data, nc_span(sig, n)),
                     NACRE_BAD_SIGNATURE);
    assert_int_equal(nacre_key_verify(rsa, "", data, nc_span(sig, n)), NACRE_BAD_SIGNATURE);
    assert_int_equal(nacre_key_verify(rsa, "ssh-ed25519", data, nc_span(sig, n)),
                     NACRE_BAD_SIGNATURE);
    nacre_secret_free(NULL, sig, n);
    assert_int_equal(nacre_key_sign(rsa, "ssh-ed25519", data, &sig, &n), NACRE_UNKNOWN_NAME);
    assert_null(sig);
    assert_int_equal(nacre_key_sign(rsa, "rsa-sha2-1024", data, &sig, &n), NACRE_UNKNOWN_NAME);
    /* SHA-1 only where it was named */
    if (nc_key_supports(rsa, keydata_cstr("ssh-rsa"))) {
        assert_int_equal(nacre_key_sign(rsa, "ssh-rsa", data, &sig, &n), NACRE_OK);
        assert_int_equal(nacre_key_verify(rsa, "ssh-rsa", data, nc_span(sig, n)), NACRE_OK);
        assert_int_equal(nacre_key_verify(rsa, NULL, data, nc_span(sig, n)), NACRE_BAD_SIGNATURE);
        nacre_secret_free(NULL, sig, n);
    }
    nacre_key *pub = keydata_public("rsa2048");
    assert_int_equal(nacre_key_sign(pub, NULL, data, &sig, &n), NACRE_NOT_PRIVATE);
    nacre_key_free(pub);
    nacre_key_free(rsa);
}

static void signing_into_a_full_buffer_changes_nothing(void **state)
{
    (void)state;
    nacre_key *k = keydata_private("ed25519");
    nc_buf out;
    nc_buf_init(&out, NULL, 40);
    assert_int_equal(nc_buf_append(&out, "abc", 3), NACRE_OK);
    assert_true(nc_key_sign_buf(k, nc_span(NULL, 0), keydata_cstr("x"), &out) < 0);
    assert_int_equal(out.len, 3);
    nc_buf_clear(&out);
    nacre_key_free(k);
}

static void keys_are_made(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        uint32_t bits;
        const char *name;
        uint32_t got;
    } rows[] = {{"ed25519", 0, "ssh-ed25519", 256},
                {"ecdsa", 0, "ecdsa-sha2-nistp256", 256},
                {"ecdsa", 384, "ecdsa-sha2-nistp384", 384},
                {"ecdsa", 521, "ecdsa-sha2-nistp521", 521},
                {"rsa", 2048, "ssh-rsa", 2048}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nacre_key *k = NULL;
        assert_int_equal(nacre_key_generate(&k, NULL, rows[i].type, rows[i].bits, NULL), NACRE_OK);
        assert_string_equal(nacre_key_type(k), rows[i].name);
        assert_int_equal(nacre_key_bits(k), rows[i].got);
        nacre_key *named = NULL;
        assert_int_equal(nacre_key_with_comment(&named, k, "me@here"), NACRE_OK);
        assert_string_equal(nacre_key_comment(named), "me@here");
        assert_true(nacre_key_is_private(named) && nacre_key_equal(k, named));
        nacre_key_free(named);
        nacre_key_free(k);
    }
    nacre_key *k = NULL;
    nacre_error err;
    assert_int_equal(nacre_key_generate(&k, NULL, "dsa", 0, &err), NACRE_UNKNOWN_NAME);
    assert_int_equal(nacre_key_generate(&k, NULL, NULL, 0, &err), NACRE_UNKNOWN_NAME);
    assert_int_equal(nacre_key_generate(&k, NULL, "rsa", 1024, &err), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_key_generate(&k, NULL, "rsa", 16385, &err), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_key_generate(&k, NULL, "ecdsa", 512, &err), NACRE_INVALID_ARGUMENT);
    assert_null(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blob_comes_back),
        cmocka_unit_test(fingerprints_are_ssh_keygens),
        cmocka_unit_test(public_line_is_the_file),
        cmocka_unit_test(bad_public_lines_are_refused),
        cmocka_unit_test(cut_and_lengthened_blobs_are_refused),
        cmocka_unit_test(unknown_types_are_named),
        cmocka_unit_test(curve_goes_with_type),
        cmocka_unit_test(rsa_numbers_are_canonical),
        cmocka_unit_test(every_key_signs),
        cmocka_unit_test(damaged_signatures_are_refused),
        cmocka_unit_test(algorithm_must_be_the_agreed_one),
        cmocka_unit_test(signing_into_a_full_buffer_changes_nothing),
        cmocka_unit_test(keys_are_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
