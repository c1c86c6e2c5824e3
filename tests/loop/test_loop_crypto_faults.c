/*
 * Each call of libcrypto and libsodium fails in turn, over whole sessions of every family of algorithms: random
 * bytes, ciphers, MACs, hashes, key agreement, signatures made and checked. Whatever fails, nobody is let in by
 * it, nothing wrong arrives, nothing is said in clear that should not be, and the end says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "support/crypto_faults.h"
#include "support/pair.h"

typedef struct family {
    const char *kex, *cipher, *mac, *key;
    uint32_t bits;
} family;

static const family families[] = {
    {"curve25519-sha256", "chacha20-poly1305@openssh.com", NULL, "ed25519", 0},
    {"ecdh-sha2-nistp256", "aes128-ctr", "hmac-sha2-256", "ecdsa", 256},
    {"ecdh-sha2-nistp521", "aes256-ctr", "hmac-sha2-512-etm@openssh.com", "ecdsa", 521},
    {"diffie-hellman-group14-sha256", "aes256-gcm@openssh.com", NULL, "rsa", 2048},
    {"mlkem768x25519-sha256", "aes128-gcm@openssh.com", NULL, "ed25519", 0},
    {"mlkem768nistp256-sha256", "aes192-ctr", "hmac-sha2-256-etm@openssh.com", "ecdsa", 384},
    {"sntrup761x25519-sha512", "aes256-ctr", "hmac-sha2-512", "rsa", 2048},
};

/* A user's key and password both: as much cryptography as a login has. */
static bool two_methods(pair *p, int who, const nacre_event *ev)
{
    if (who == NACRE_SERVER && ev->type == NACRE_EVENT_AUTH_KEY) {
        p->user = p; /* this key made a good signature */
    }
    return false;
}

static void configure(pair *p, const family *f)
{
    pair_init(p, 60);
    for (int who = 0; who < 2; who++) {
        nacre_config *c = &p->config[who];
        c->kex = f->kex;
        c->cipher_c2s = c->cipher_s2c = f->cipher;
        c->mac_c2s = c->mac_s2c = f->mac;
        c->random = NULL; /* libcrypto's, which may fail */
    }
    p->bytes = 100;
    p->no_login = true;
    p->hook = two_methods;
}

static int start(pair *p, const family *f)
{
    nacre_key *key = pair_key(f->key, f->bits);
    int rc = pair_start(p, key);
    return rc == NACRE_OK ? nacre_transport_auth_publickey(p->end[0].t, "alice", key, NULL) : rc;
}

/* An end that failed to encrypt or to check may not have gone on. */
static void assert_closed(const pair *p, unsigned long n)
{
    bool said = p->refused > 0 || p->end[0].seen[NACRE_EVENT_CHANNEL_FAILED] > 0;
    for (int who = 0; who < 2; who++) {
        said = said || nacre_transport_error(p->end[who].t)->status != NACRE_OK;
    }
    /* "no" to the login */
    said = said || (p->end[0].seen[NACRE_EVENT_AUTH_RESULT] > 0 &&
                    !nacre_transport_authenticated(p->end[0].t));
    if (!said && !pair_echo_done(p)) {
        print_error("call %lu, %s: nobody said anything\n", n, crypto_fault.failed);
    }
    assert_true(said || pair_echo_done(p));
    assert_false(p->mismatch);
    if (nacre_transport_authenticated(p->end[1].t)) {
        assert_non_null(p->user);
    }
}

/* Checks and proofs have no second way: when one fails there is no session. */
static bool is_vital(const char *name)
{
    static const char *const vital[] = {"EVP_DigestVerify",
                                        "EVP_DigestVerifyInit",
                                        "EVP_DigestSign",
                                        "crypto_sign_verify_detached",
                                        "crypto_sign_detached",
                                        "EVP_CipherUpdate",
                                        "EVP_CipherFinal_ex",
                                        "EVP_CipherInit_ex",
                                        "EVP_MAC_final",
                                        "EVP_MAC_update",
                                        "EVP_DigestFinal_ex",
                                        "EVP_DigestUpdate",
                                        "RAND_priv_bytes",
                                        "crypto_onetimeauth",
                                        "crypto_scalarmult_curve25519",
                                        "BN_mod_exp_mont_consttime",
                                        "EC_POINT_mul"};
    for (size_t i = 0; i < sizeof(vital) / sizeof(vital[0]); i++) {
        if (strcmp(vital[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* False when fewer calls were made. */
static bool session_with_failure(const family *f, unsigned long n, bool negative)
{
    pair p;
    configure(&p, f);
    (void)pair_key(f->key, f->bits);
    crypto_faults_begin(n, negative);
    int rc = start(&p, f);
    if (rc == NACRE_OK) {
        pair_run(&p);
    }
    crypto_faults_end();
    const char *failed = crypto_fault.failed;
    if (rc != NACRE_OK) {
        assert_non_null(failed);
    } else if (!failed) {
        assert_true(pair_echo_done(&p));
    } else {
        assert_closed(&p, n);
        if (is_vital(failed) && pair_echo_done(&p)) {
            fail_msg("%s: call %lu, %s: failed, and the session went on", f->kex, n, failed);
        }
    }
    pair_free(&p);
    return failed != NULL;
}

static void test_each_call_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        for (int negative = 0; negative < 2; negative++) {
            unsigned long n = 1;
            while (session_with_failure(&families[i], n, negative)) {
                n++;
                assert_true(n < 5000);
            }
            print_message("%s: %lu calls\n", families[i].kex, n - 1);
            assert_true(n > 60);
        }
    }
}

/* ---- key files -------------------------------------------------------------------------------------- */

static nacre_span passphrase_of(nacre_key_format f)
{
    return f <= NACRE_FORMAT_PPK3 ? nc_span_cstr("open sesame") : nc_span(NULL, 0);
}

static int write_key(const nacre_key *key, nacre_key_format format, char **text, size_t *len)
{
    nacre_key_format_options o;
    nacre_key_format_options_init(&o, format);
    o.passphrase = passphrase_of(format);
    o.rounds = 1;
    o.memory_kib = 8;
    return nacre_key_write(key, &o, text, len, NULL);
}

static int read_key(nacre_key **out, nacre_key_format format, nacre_span text)
{
    return format <= NACRE_FORMAT_PPK3
               ? nacre_key_from_private(out, NULL, text, passphrase_of(format), NULL)
               : nacre_key_from_public(out, NULL, text, NULL);
}

/* Written while a call fails: it fails, or what was written is the key, and needs the passphrase. */
static bool write_with_failure(const nacre_key *key, nacre_key_format format, unsigned long n)
{
    char *text = NULL;
    size_t len = 0;
    nacre_key *back = NULL;
    crypto_faults_begin(n, false);
    int rc = write_key(key, format, &text, &len);
    crypto_faults_end();
    bool failed = crypto_fault.failed != NULL;
    assert_true(rc == NACRE_OK || failed);
    assert_true(rc == NACRE_OK || !text);
    if (rc == NACRE_OK) {
        nacre_span file = nc_span(text, len);
        assert_int_equal(nacre_key_from_private(&back, NULL, file, nc_span(NULL, 0), NULL),
                         format <= NACRE_FORMAT_PPK3 ? NACRE_NEED_PASSPHRASE : NACRE_NOT_PRIVATE);
        assert_int_equal(read_key(&back, format, file), NACRE_OK);
        assert_true(nacre_key_equal(key, back));
        nacre_key_free(back);
    }
    nacre_secret_free(NULL, text, len);
    return failed;
}

static bool read_with_failure(const nacre_key *key, nacre_key_format format, nacre_span file,
                              unsigned long n)
{
    nacre_key *back = NULL;
    crypto_faults_begin(n, false);
    int rc = read_key(&back, format, file);
    crypto_faults_end();
    bool failed = crypto_fault.failed != NULL;
    assert_true(rc == NACRE_OK || failed);
    assert_true(rc != NACRE_OK || nacre_key_equal(key, back));
    assert_true(rc == NACRE_OK || back == NULL);
    nacre_key_free(back);
    return failed;
}

static unsigned long one_format(const nacre_key *key, nacre_key_format format)
{
    char *text = NULL;
    size_t len = 0;
    unsigned long calls = 0;
    if (write_key(key, format, &text, &len) == NACRE_UNSUPPORTED) {
        return 0; /* no place for that type */
    }
    assert_non_null(text);
    for (unsigned long n = 1; write_with_failure(key, format, n); n++) {
        calls++;
    }
    for (unsigned long n = 1; read_with_failure(key, format, nc_span(text, len), n); n++) {
        calls++;
    }
    nacre_secret_free(NULL, text, len);
    return calls;
}

static void test_key_files(void **state)
{
    (void)state;
    static const family kinds[] = {
        {.key = "ed25519"}, {.key = "ecdsa", .bits = 256}, {.key = "rsa", .bits = 2048}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        unsigned long calls = 0;
        for (int f = NACRE_FORMAT_OPENSSH; f <= NACRE_FORMAT_PUB_PEM; f++) {
            calls += one_format(pair_key(kinds[i].key, kinds[i].bits), (nacre_key_format)f);
        }
        print_message("%s: %lu calls in all formats\n", kinds[i].key, calls);
        assert_true(calls > 40);
    }
}

/* Made while a call fails: there is none, or one that signs, and whose signature is good. */
static bool make_with_failure(const family *f, unsigned long n)
{
    nacre_key *key = NULL;
    uint8_t *sig = NULL;
    size_t len = 0;
    const nacre_span data = nc_span_cstr("what is signed");
    crypto_faults_begin(n, false);
    int rc = nacre_key_generate(&key, NULL, f->key, f->bits, NULL);
    rc = rc == NACRE_OK ? nacre_key_sign(key, NULL, data, &sig, &len) : rc;
    crypto_faults_end();
    bool failed = crypto_fault.failed != NULL;
    assert_true(rc == NACRE_OK || (failed && !sig));
    if (rc == NACRE_OK) {
        assert_int_equal(nacre_key_verify(key, NULL, data, nc_span(sig, len)), NACRE_OK);
    }
    nacre_secret_free(NULL, sig, len);
    nacre_key_free(key);
    return failed;
}

static void test_new_keys(void **state)
{
    (void)state;
    static const family kinds[] = {
        {.key = "ed25519"}, {.key = "ecdsa", .bits = 384}, {.key = "rsa", .bits = 2048}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        unsigned long n = 1;
        while (make_with_failure(&kinds[i], n)) {
            n++;
        }
        assert_true(n > 2);
    }
}

/* Of a signature that is not good. False: the last call was passed. */
static bool verify_with_failure(const nacre_key *key, nacre_span sig, unsigned long n,
                                bool negative)
{
    crypto_faults_begin(n, negative);
    int rc = nacre_key_verify(key, NULL, nc_span("what was signed", 15), sig);
    bool failed = crypto_fault.failed != NULL;
    crypto_faults_end();
    assert_int_not_equal(rc, NACRE_OK);
    return failed;
}

/*
 * Others took the error of a primitive for a yes (CVE-2023-2283, CVE-2020-29652). No call that fails in the verification
 * of a bad signature makes it a good one.
 */
static void test_no_failure_makes_a_signature_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        nacre_key *key = pair_key(families[i].key, families[i].bits);
        uint8_t *sig = NULL;
        size_t n = 0;
        assert_int_equal(nacre_key_sign(key, NULL, nc_span("what was signed", 15), &sig, &n),
                         NACRE_OK);
        sig[n - 1] ^= 1;
        for (int negative = 0; negative < 2; negative++) {
            unsigned long call = 1;
            while (verify_with_failure(key, nc_span(sig, n), call, negative)) {
                call++;
            }
            assert_true(call > 1);
        }
        nacre_secret_free(NULL, (char *)sig, n);
    }
}

static int cleanup(void **state)
{
    (void)state;
    pair_keys_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call_fails),
        cmocka_unit_test(test_key_files),
        cmocka_unit_test(test_no_failure_makes_a_signature_good),
        cmocka_unit_test(test_new_keys),
    };
    return cmocka_run_group_tests(tests, NULL, cleanup);
}
