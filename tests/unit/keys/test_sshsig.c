/*
 * Signatures over messages: what ssh-keygen signed is verified, what we sign we read again, and everything
 * that is cut, bent or meant for another purpose is refused.
 */
#include "keydata.h"

#include "nacre/sshsig.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static nacre_sshsig_message *hashed(const nacre_allocator *a, const char *hash, nacre_span text)
{
    nacre_sshsig_message *m = NULL;
    assert_int_equal(nacre_sshsig_message_new(&m, a, hash, NULL), NACRE_OK);
    /* in pieces of one byte, as a stream may give them */
    for (size_t i = 0; i < text.n; i++) {
        nacre_span one = {text.p + i, 1};
        assert_int_equal(nacre_sshsig_message_add(m, one), NACRE_OK);
    }
    return m;
}

static int verify(nacre_span sig, const char *sig_namespace, nacre_span text, nacre_error *err)
{
    nacre_sshsig *s = NULL;
    int rc = nacre_sshsig_read(&s, NULL, sig, err);
    if (rc != NACRE_OK) {
        assert_null(s);
        assert_true(err->text[0] != '\0');
        return rc;
    }
    nacre_sshsig_message *m = hashed(NULL, nacre_sshsig_hash(s), text);
    rc = nacre_sshsig_verify(s, sig_namespace, m, NULL, err);
    assert_true((rc == NACRE_OK) == (err->status == NACRE_OK));
    nacre_sshsig_message_free(m);
    nacre_sshsig_free(s);
    return rc;
}

static const struct {
    const char *file, *key, *sig_namespace, *hash;
} files[] = {
    {"../sshsig/ed25519.sig", "ed25519", "file", "sha512"},
    {"../sshsig/ed25519_sha256.sig", "ed25519", "git", "sha256"},
    {"../sshsig/ecdsa256.sig", "ecdsa256", "file", "sha512"},
    {"../sshsig/ecdsa521.sig", "ecdsa521", "file", "sha512"},
    {"../sshsig/rsa2048.sig", "rsa2048", "file", "sha512"},
    {"../sshsig/rsa2048_sha256.sig", "rsa2048", "file", "sha256"},
};
enum { FILES = sizeof(files) / sizeof(files[0]) };

static void signatures_of_ssh_keygen_are_good(void **state)
{
    (void)state;
    nacre_span text = keydata_read("../sshsig/message");
    for (size_t i = 0; i < FILES; i++) {
        nacre_span sig = keydata_read(files[i].file);
        nacre_sshsig *s = NULL;
        nacre_error err;
        assert_int_equal(nacre_sshsig_read(&s, NULL, sig, &err), NACRE_OK);
        assert_string_equal(nacre_sshsig_namespace(s), files[i].sig_namespace);
        assert_string_equal(nacre_sshsig_hash(s), files[i].hash);
        nacre_key *key = keydata_public(files[i].key);
        assert_true(nacre_key_equal(nacre_sshsig_key(s), key));
        assert_false(nacre_key_is_private(nacre_sshsig_key(s)));
        nacre_key_free(key);
        nacre_sshsig_free(s);
        assert_int_equal(verify(sig, files[i].sig_namespace, text, &err), NACRE_OK);
        assert_int_equal(verify(sig, "fil", text, &err), NACRE_BAD_SIGNATURE);
        assert_int_equal(verify(sig, "", text, &err), NACRE_BAD_SIGNATURE);
        text.n--;
        assert_int_equal(verify(sig, files[i].sig_namespace, text, &err), NACRE_BAD_SIGNATURE);
        text.n++;
        keydata_free(sig);
    }
    keydata_free(text);
}

/* Ed25519 and PKCS#1 v1.5 have one signature for one message: ours must be ssh-keygen's, to the byte. */
static void the_same_bytes_as_ssh_keygen(void **state)
{
    (void)state;
    nacre_span text = keydata_read("../sshsig/message");
    for (size_t i = 0; i < FILES; i++) {
        nacre_key *key = keydata_private(files[i].key);
        nacre_span theirs = keydata_read(files[i].file);
        nacre_sshsig_message *m = hashed(NULL, files[i].hash, text);
        uint8_t *blob = NULL;
        char *armor = NULL;
        size_t n = 0, len = 0;
        nacre_error err;
        assert_int_equal(
            nacre_sshsig_sign(key, files[i].sig_namespace, m, NULL, NULL, &blob, &n, &err),
            NACRE_OK);
        nacre_span made = {blob, n};
        assert_int_equal(nacre_sshsig_armor(NULL, made, &armor, &len), NACRE_OK);
        assert_int_equal(strlen(armor), len);
        if (strncmp(files[i].key, "ecdsa", 5) != 0) {
            assert_int_equal(len, theirs.n);
            assert_memory_equal(armor, theirs.p, len);
        }
        nacre_span mine = {(const uint8_t *)armor, len};
        assert_int_equal(verify(mine, files[i].sig_namespace, text, &err), NACRE_OK);
        nacre_secret_free(NULL, blob, n);
        nacre_secret_free(NULL, armor, len + 1);
        nacre_sshsig_message_free(m);
        nacre_key_free(key);
        keydata_free(theirs);
    }
    keydata_free(text);
}

static void a_message_ends_with_its_signature(void **state)
{
    (void)state;
    nacre_key *key = keydata_private("ed25519");
    nacre_sshsig_message *m = hashed(NULL, NULL, keydata_cstr("text"));
    uint8_t *one = NULL, *two = NULL;
    size_t n = 0, k = 0;
    assert_int_equal(nacre_sshsig_sign(key, "a", m, NULL, NULL, &one, &n, NULL), NACRE_OK);
    assert_int_equal(nacre_sshsig_message_add(m, keydata_cstr("more")), NACRE_WRONG_STATE);
    /* for another namespace it may be signed again */
    assert_int_equal(nacre_sshsig_sign(key, "b", m, NULL, NULL, &two, &k, NULL), NACRE_OK);
    assert_true(n == k && memcmp(one, two, n) != 0);
    nacre_secret_free(NULL, one, n);
    nacre_secret_free(NULL, two, k);
    nacre_sshsig_message_free(m);
    nacre_key_free(key);
}

/* ---- signing that must fail ------------------------------------------------------------------ */

static int signs_nothing(void *user, const nacre_key *key, const char *algorithm, nacre_span data,
                         uint8_t **sig, size_t *n)
{
    (void)user, (void)key, (void)algorithm, (void)data, (void)sig, (void)n;
    return NACRE_REQUEST_REFUSED;
}

/* As an agent of long ago: SHA-1, whatever was asked for. */
static int signs_sha1(void *user, const nacre_key *key, const char *algorithm, nacre_span data,
                      uint8_t **sig, size_t *n)
{
    (void)key;
    assert_string_equal(algorithm, "rsa-sha2-512");
    return nacre_key_sign(user, "ssh-rsa", data, sig, n);
}

static int signs_something_else(void *user, const nacre_key *key, const char *algorithm,
                                nacre_span data, uint8_t **sig, size_t *n)
{
    (void)key;
    data.n--;
    return nacre_key_sign(user, algorithm, data, sig, n);
}

static int signs_well(void *user, const nacre_key *key, const char *algorithm, nacre_span data,
                      uint8_t **sig, size_t *n)
{
    (void)key;
    return nacre_key_sign(user, algorithm, data, sig, n);
}

static void other_signers(void **state)
{
    (void)state;
    static const struct {
        nacre_sign_fn sign;
        int rc;
    } rows[] = {{NULL, NACRE_NOT_PRIVATE},
                {signs_nothing, NACRE_REQUEST_REFUSED},
                {signs_sha1, NACRE_CRYPTO},
                {signs_something_else, NACRE_CRYPTO},
                {signs_well, NACRE_OK}};
    nacre_key *private_key = keydata_private("rsa2048");
    nacre_key *public_key = keydata_public("rsa2048");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nacre_sshsig_message *m = hashed(NULL, "sha512", keydata_cstr("text"));
        uint8_t *blob = NULL;
        size_t n = 0;
        nacre_error err;
        assert_int_equal(
            nacre_sshsig_sign(public_key, "file", m, rows[i].sign, private_key, &blob, &n, &err),
            rows[i].rc);
        assert_true((blob != NULL) == (rows[i].rc == NACRE_OK));
        nacre_secret_free(NULL, blob, n);
        nacre_sshsig_message_free(m);
    }
    nacre_sshsig_message *m = hashed(NULL, "sha512", keydata_cstr("text"));
    uint8_t *blob = NULL;
    size_t n = 0;
    assert_int_equal(nacre_sshsig_sign(private_key, "", m, NULL, NULL, &blob, &n, NULL),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sshsig_sign(private_key, NULL, m, NULL, NULL, &blob, &n, NULL),
                     NACRE_INVALID_ARGUMENT);
    nacre_sshsig_message_free(m);
    assert_int_equal(nacre_sshsig_message_new(&m, NULL, "sha1", NULL), NACRE_UNKNOWN_NAME);
    assert_int_equal(nacre_sshsig_message_new(&m, NULL, "md5", NULL), NACRE_UNKNOWN_NAME);
    assert_int_equal(nacre_sshsig_message_new(&m, NULL, "", NULL), NACRE_UNKNOWN_NAME);
    nacre_key_free(private_key);
    nacre_key_free(public_key);
}

/* ---- armor ----------------------------------------------------------------------------------- */

static void armor_that_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "missing header"},
        {"\n-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n", "missing header"},
        {"-----BEGIN SSH SIGNATURE----", "missing header"},
        {"-----BEGIN PGP SIGNATURE-----\nAAAA\n-----END PGP SIGNATURE-----\n", "missing header"},
        {"-----BEGIN SSH SIGNATURE-----", "no header eol"},
        {"-----BEGIN SSH SIGNATURE----- \nAAAA\n-----END SSH SIGNATURE-----\n", "no header eol"},
        {"-----BEGIN SSH SIGNATURE-----\nAAAA", "missing footer"},
        {"-----BEGIN SSH SIGNATURE-----\nAAAA-----END SSH SIGNATURE-----\n", "missing footer"},
        {"-----BEGIN SSH SIGNATURE-----\nAA!A\n-----END SSH SIGNATURE-----\n", "not base64"},
        {"-----BEGIN SSH SIGNATURE-----\nAAAAA\n-----END SSH SIGNATURE-----\n", "not base64"},
        {"-----BEGIN SSH SIGNATURE-----\n\n-----END SSH SIGNATURE-----\n", "invalid format"},
        {"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n", "invalid format"},
        {"-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAg==\n-----END SSH SIGNATURE-----\n",
         "Signature version 2 is larger"},
        {"-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAA==\n-----END SSH SIGNATURE-----\n",
         "Signature version 0 is smaller"},
        {"-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----\n",
         "cut short"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nacre_sshsig *s = NULL;
        nacre_error err;
        assert_true(nacre_sshsig_read(&s, NULL, keydata_cstr(rows[i].text), &err) < 0);
        assert_null(s);
        if (!strstr(err.text, rows[i].says)) {
            fail_msg("row %zu: %s", i, err.text);
        }
    }
    static uint8_t large[2 * 1024 * 1024];
    nacre_sshsig *s = NULL;
    nacre_span all = {large, sizeof(large)};
    assert_int_equal(nacre_sshsig_read(&s, NULL, all, NULL), NACRE_TOO_LARGE);
    assert_int_equal(nacre_sshsig_from_blob(&s, NULL, all, NULL), NACRE_TOO_LARGE);
}

static void armor_of_other_shapes(void **state)
{
    (void)state;
    nacre_span text = keydata_read("../sshsig/message");
    nacre_span sig = keydata_read("../sshsig/ed25519.sig");
    char out[2048];
    size_t n = 0;
    /* CRLF, as mail makes it */
    for (size_t i = 0; i < sig.n; i++) {
        if (sig.p[i] == '\n') {
            out[n++] = '\r';
        }
        out[n++] = (char)sig.p[i];
    }
    nacre_span crlf = {(const uint8_t *)out, n};
    nacre_error err;
    assert_int_equal(verify(crlf, "file", text, &err), NACRE_OK);
    n = (size_t)snprintf(out, sizeof(out), "%sbehind it\n", (const char *)sig.p);
    nacre_span more = {(const uint8_t *)out, n};
    assert_int_equal(verify(more, "file", text, &err), NACRE_OK);
    nacre_span no_newline = {sig.p, sig.n - 1};
    assert_int_equal(verify(no_newline, "file", text, &err), NACRE_OK);
    for (size_t cut = 0; cut + 1 < sig.n; cut++) {
        nacre_span part = {sig.p, cut};
        assert_true(verify(part, "file", text, &err) < 0);
    }
    keydata_free(sig);
    keydata_free(text);
}

/* ---- blobs ----------------------------------------------------------------------------------- */

static void make_blob(const char *name, uint8_t **blob, size_t *n)
{
    nacre_key *key = keydata_private(name);
    nacre_sshsig_message *m = hashed(NULL, NULL, keydata_cstr("text"));
    assert_int_equal(nacre_sshsig_sign(key, "file", m, NULL, NULL, blob, n, NULL), NACRE_OK);
    nacre_sshsig_message_free(m);
    nacre_key_free(key);
}

static int verify_blob(const uint8_t *p, size_t n)
{
    nacre_span blob = {p, n};
    nacre_sshsig *s = NULL;
    nacre_error err;
    int rc = nacre_sshsig_from_blob(&s, NULL, blob, &err);
    if (rc != NACRE_OK) {
        assert_null(s);
        return rc;
    }
    nacre_sshsig_message *m = hashed(NULL, nacre_sshsig_hash(s), keydata_cstr("text"));
    rc = nacre_sshsig_verify(s, "file", m, NULL, &err);
    nacre_sshsig_message_free(m);
    nacre_sshsig_free(s);
    return rc;
}

static void bent_blobs_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"ed25519", "ecdsa256", "rsa2048"};
    for (size_t k = 0; k < 3; k++) {
        uint8_t *blob = NULL;
        size_t n = 0;
        make_blob(names[k], &blob, &n);
        assert_int_equal(verify_blob(blob, n), NACRE_OK);
        for (size_t cut = 0; cut < n; cut++) {
            assert_true(verify_blob(blob, cut) < 0);
        }
        for (size_t i = 0; i < n; i++) {
            blob[i] ^= 0x10;
            assert_true(verify_blob(blob, n) < 0);
            blob[i] ^= 0x10;
        }
        uint8_t *longer = malloc(n + 1);
        assert_non_null(longer);
        memcpy(longer, blob, n);
        longer[n] = 0;
        assert_int_equal(verify_blob(longer, n + 1), NACRE_MALFORMED);
        free(longer);
        nacre_secret_free(NULL, blob, n);
    }
}

static size_t put_string(uint8_t *p, const void *s, size_t n)
{
    p[0] = 0, p[1] = 0, p[2] = (uint8_t)(n >> 8), p[3] = (uint8_t)n;
    memcpy(p + 4, s, n);
    return n + 4;
}

/* A blob with these words in it, and any signature. */
static int read_made(const char *sig_namespace, size_t ns_len, const char *reserved,
                     const char *hash)
{
    nacre_key *key = keydata_public("ed25519");
    nacre_span public_blob = nacre_key_blob(key);
    uint8_t blob[1024];
    size_t n = 0;
    memcpy(blob, "SSHSIG\0\0\0\1", 10);
    n += 10;
    n += put_string(blob + n, public_blob.p, public_blob.n);
    n += put_string(blob + n, sig_namespace, ns_len);
    n += put_string(blob + n, reserved, strlen(reserved));
    n += put_string(blob + n, hash, strlen(hash));
    n += put_string(blob + n, "", 0);
    nacre_key_free(key);
    nacre_span all = {blob, n};
    nacre_sshsig *s = NULL;
    int rc = nacre_sshsig_from_blob(&s, NULL, all, NULL);
    nacre_sshsig_free(s);
    return rc;
}

static void fields_with_odd_words(void **state)
{
    (void)state;
    assert_int_equal(read_made("file", 4, "", "sha512"), NACRE_OK);
    assert_int_equal(read_made("file", 4, "later", "sha256"), NACRE_OK);
    assert_int_equal(read_made("", 0, "", "sha512"), NACRE_MALFORMED);
    assert_int_equal(read_made("fi\0e", 4, "", "sha512"), NACRE_MALFORMED);
    assert_int_equal(read_made("file", 4, "", "sha1"), NACRE_UNSUPPORTED);
    assert_int_equal(read_made("file", 4, "", "SHA512"), NACRE_UNSUPPORTED);
    assert_int_equal(read_made("file", 4, "", ""), NACRE_UNSUPPORTED);
}

/* The hash that was said must be the hash that was made. */
static void another_hash_is_no_answer(void **state)
{
    (void)state;
    nacre_span text = keydata_read("../sshsig/message");
    nacre_span sig = keydata_read("../sshsig/ed25519.sig");
    nacre_sshsig *s = NULL;
    nacre_error err;
    assert_int_equal(nacre_sshsig_read(&s, NULL, sig, &err), NACRE_OK);
    nacre_sshsig_message *m = hashed(NULL, "sha256", text);
    assert_int_equal(nacre_sshsig_verify(s, "file", m, NULL, &err), NACRE_BAD_SIGNATURE);
    assert_non_null(strstr(err.text, "hash algorithm mismatch"));
    assert_int_equal(nacre_sshsig_verify(s, NULL, m, NULL, &err), NACRE_BAD_SIGNATURE);
    nacre_sshsig_message_free(m);
    nacre_sshsig_free(s);
    keydata_free(sig);
    keydata_free(text);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static int sign_and_verify(const nacre_allocator *a, nacre_span file)
{
    nacre_key *key = NULL;
    nacre_sshsig_message *m = NULL, *again = NULL;
    nacre_sshsig *s = NULL;
    uint8_t *blob = NULL;
    char *armor = NULL;
    size_t n = 0, len = 0;
    nacre_span none = {NULL, 0};
    int rc = nacre_key_from_private(&key, a, file, none, NULL);
    rc = rc == NACRE_OK ? nacre_sshsig_message_new(&m, a, NULL, NULL) : rc;
    rc = rc == NACRE_OK ? nacre_sshsig_sign(key, "file", m, NULL, NULL, &blob, &n, NULL) : rc;
    nacre_span made = {blob, n};
    rc = rc == NACRE_OK ? nacre_sshsig_armor(a, made, &armor, &len) : rc;
    nacre_span text = {(const uint8_t *)armor, len};
    rc = rc == NACRE_OK ? nacre_sshsig_read(&s, a, text, NULL) : rc;
    rc = rc == NACRE_OK ? nacre_sshsig_message_new(&again, a, NULL, NULL) : rc;
    rc = rc == NACRE_OK ? nacre_sshsig_verify(s, "file", again, NULL, NULL) : rc;
    nacre_sshsig_free(s);
    nacre_secret_free(a, armor, len + 1);
    nacre_secret_free(a, blob, n);
    nacre_sshsig_message_free(m);
    nacre_sshsig_message_free(again);
    nacre_key_free(key);
    return rc;
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    nacre_span file = keydata_read("ed25519");
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        int rc = sign_and_verify(&m.hooks, file);
        /* where verifying what was signed lacked memory, it is the signature that is not good */
        test_memory_judge(&m, m.failed && rc == NACRE_CRYPTO ? NACRE_NO_MEMORY : rc);
    }
    assert_true(m.refused > 10);
    keydata_free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_of_ssh_keygen_are_good),
        cmocka_unit_test(the_same_bytes_as_ssh_keygen),
        cmocka_unit_test(a_message_ends_with_its_signature),
        cmocka_unit_test(other_signers),
        cmocka_unit_test(armor_that_is_none),
        cmocka_unit_test(armor_of_other_shapes),
        cmocka_unit_test(bent_blobs_are_refused),
        cmocka_unit_test(fields_with_odd_words),
        cmocka_unit_test(another_hash_is_no_answer),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
