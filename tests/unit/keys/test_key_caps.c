/*
 * What is too much or too odd for any file of keys: sizes above the caps, callbacks that claim more than there was room
 * for, lists whose newest entries are not in order yet, and names for keys that have none.
 */
#include "keydata.h"

#include "keys/key.h"
#include "keys/krl.h"
#include "nacre/cert.h"
#include "nacre/krl.h"
#include "nacre/sshfp.h"
#include "nacre/sshsig.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static nacre_error err;

/* Above a cap nothing is read: these bytes are not there. */
static nacre_span absurd(size_t n)
{
    static const char beginning[] = "ssh-ed25519 AAAA";
    return nc_span(beginning, n);
}

static void files_above_the_caps_are_not_read(void **state)
{
    nacre_key *k = NULL;
    nacre_krl *krl = NULL;
    (void)state;
    assert_int_equal(nacre_key_from_public(&k, NULL, absurd(NC_MAX_KEY_FILE + 1), &err),
                     NACRE_TOO_LARGE);
    assert_non_null(strstr(err.text, "1048577"));
    assert_int_equal(nacre_key_from_public_line(&k, NULL, absurd(NC_MAX_KEY_FILE + 1), &err),
                     NACRE_TOO_LARGE);
    assert_int_equal(nacre_key_from_public_line(&k, NULL, absurd(SIZE_MAX), &err), NACRE_TOO_LARGE);
    assert_int_equal(nacre_krl_parse(&krl, NULL, absurd((size_t)64 * 1024 * 1024 + 1), &err),
                     NACRE_TOO_LARGE);
    assert_null(k);
    assert_null(krl);
}

/* ---- callbacks that lie ----------------------------------------------------------------------------- */

static int claims_too_much(void *user, nacre_room room, size_t *n)
{
    (void)user;
    memset(room.p, '-', room.n);
    *n = room.n + 1;
    return NACRE_OK;
}

static int endless(void *user, nacre_room room, size_t *n)
{
    size_t *given = user;
    memset(room.p, '-', room.n);
    *n = room.n;
    *given += room.n;
    return NACRE_OK;
}

static int says_too_much(void *user, const nacre_error *why, nacre_room room, size_t *n)
{
    unsigned *asked = user;
    (void)why;
    memset(room.p, 'p', room.n);
    *n = room.n + 1;
    ++*asked;
    return NACRE_OK;
}

static void callbacks_are_not_believed(void **state)
{
    nacre_key *k = NULL;
    nacre_key_load_options o;
    size_t given = 0;
    unsigned asked = 0;
    (void)state;
    assert_int_equal(nacre_key_load_reader(&k, NULL, claims_too_much, NULL, NULL, &err),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_key_load_reader(&k, NULL, endless, &given, NULL, &err), NACRE_TOO_LARGE);
    assert_true(given <= NC_MAX_KEY_FILE + 4096);
    nacre_key_load_options_init(&o);
    o.ask = says_too_much;
    o.ask_user = &asked;
    o.tries = 3;
    nacre_span text = keydata_read("ed25519_aes256-ctr");
    assert_int_equal(nacre_key_load(&k, NULL, text, &o, &err), NACRE_INVALID_ARGUMENT);
    assert_int_equal(asked, 1);
    assert_null(k);
    keydata_free(text);
}

static void what_is_no_private_key(void **state)
{
    static const char *const texts[] = {"", "\n\n", "# a comment\n", "# a comment\n\n# and another",
                                        " \t\n#\n"};
    nacre_key *k = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(
            nacre_key_from_private(&k, NULL, keydata_cstr(texts[i]), keydata_cstr(""), &err),
            NACRE_KEY_FORMAT);
        assert_null(k);
    }
    assert_int_equal(nacre_key_generate(&k, NULL, "rsa", 100, &err), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_key_generate(&k, NULL, "ecdsa", 100, &err), NACRE_INVALID_ARGUMENT);
    assert_null(k);
}

static void keys_are_made_whole_or_not(void **state)
{
    test_memory m;
    (void)state;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_key *k = NULL;
        int rc = nacre_key_generate(&k, &m.hooks, "ed25519", 0, &err);
        test_memory_judge(&m, rc);
        assert_true((rc == NACRE_OK) == (k != NULL));
        assert_int_equal(err.status, rc);
        nacre_key_free(k);
    }
    assert_true(m.refused > 2);
}

/* ---- lists of revoked keys ---------------------------------------------------------------------------- */

static void newest_entries_count_at_once(void **state)
{
    nacre_krl *k = NULL;
    nc_krl_ca *any = NULL;
    char word[16];
    (void)state;
    assert_int_equal(nacre_krl_new(&k, NULL), NACRE_OK);
    nacre_key *key = keydata_public("ed25519");
    /* Downwards, so that nothing is in order when it comes; twice, since twice is once. */
    for (int round = 0; round < 2; round++) {
        for (int i = 300; i > 0; i--) {
            snprintf(word, sizeof(word), "id %03d", i);
            assert_int_equal(nacre_krl_revoke_key_id(k, NULL, keydata_cstr(word)), NACRE_OK);
            assert_int_equal(
                nacre_krl_revoke_serials(k, NULL, (uint64_t)i * 10, (uint64_t)i * 10 + 1),
                NACRE_OK);
            assert_int_equal(nc_krl_add_text(k, &k->keys, keydata_cstr(word)), NACRE_OK);
        }
    }
    assert_int_equal(nc_krl_get_ca(k, nc_span(NULL, 0), &any), NACRE_OK);
    nacre_cert_request r;
    nacre_span name = keydata_cstr("mina");
    nacre_key *ca = NULL;
    assert_int_equal(nacre_key_generate(&ca, NULL, "ed25519", 0, NULL), NACRE_OK);
    nacre_cert_request_init(&r, NACRE_CERT_USER);
    r.principals = &name;
    r.principal_count = 1;
    for (uint64_t serial = 9; serial <= 3002; serial++) {
        if (serial == 100) {
            serial = 2990;
        }
        nacre_key *cert = NULL;
        r.serial = serial;
        r.key_id = keydata_cstr("another id");
        assert_int_equal(nacre_cert_issue(&cert, key, ca, &r, &err), NACRE_OK);
        assert_int_equal(nacre_krl_check(k, cert, &err),
                         serial >= 10 && serial % 10 <= 1 ? NACRE_KEY_REVOKED : NACRE_OK);
        nacre_key_free(cert);
    }
    for (int i = 0; i <= 301; i++) {
        nacre_key *cert = NULL;
        snprintf(word, sizeof(word), "id %03d", i);
        r.serial = 5;
        r.key_id = keydata_cstr(word);
        if (i % 50 == 0 || i > 297 || i < 4) {
            assert_int_equal(nacre_cert_issue(&cert, key, ca, &r, &err), NACRE_OK);
            assert_int_equal(nacre_krl_check(k, cert, &err),
                             i >= 1 && i <= 300 ? NACRE_KEY_REVOKED : NACRE_OK);
            nacre_key_free(cert);
        }
    }
    assert_int_equal(nacre_krl_check(k, key, &err), NACRE_OK);
    assert_int_equal(nacre_krl_revoke_key(k, key), NACRE_OK);
    assert_int_equal(nacre_krl_check(k, key, &err), NACRE_KEY_REVOKED);
    nacre_key_free(key);
    nacre_key_free(ca);
    nacre_krl_free(k);
}

static void lists_have_caps(void **state)
{
    static char comment[NC_KRL_MAX_COMMENT + 2];
    nacre_krl *k = NULL;
    nacre_krl_info info = {1, 2, comment};
    nc_krl_ca *ca = NULL;
    char word[16];
    int rc = NACRE_OK;
    unsigned count = 0;
    (void)state;
    memset(comment, 'c', sizeof(comment) - 1);
    assert_int_equal(nacre_krl_new(&k, NULL), NACRE_OK);
    assert_int_equal(nacre_krl_set_info(k, &info), NACRE_TOO_LARGE);
    comment[NC_KRL_MAX_COMMENT] = '\0';
    assert_int_equal(nacre_krl_set_info(k, &info), NACRE_OK);
    for (; rc == NACRE_OK && count < 2 * NC_KRL_MAX_CAS; count++) {
        snprintf(word, sizeof(word), "ca %u", count);
        rc = nc_krl_get_ca(k, keydata_cstr(word), &ca);
    }
    assert_int_equal(rc, NACRE_LIMIT);
    assert_int_equal(count, NC_KRL_MAX_CAS + 1);
    assert_int_equal(nc_krl_get_ca(k, keydata_cstr("ca 7"), &ca), NACRE_OK); /* there already */
    nacre_krl_free(k);
}

/* ---- pictures and names ---------------------------------------------------------------------------------- */

static void a_title_that_is_too_wide(void **state)
{
    char art[1024];
    nacre_key *c = keydata_public("../certs/user_ed25519-cert");
    (void)state;
    assert_true(nacre_key_randomart(c, NULL, art, sizeof(art)) > 0);
    assert_int_equal(strncmp(art, "+-[ED25519-CERT]--+\n", 20), 0); /* as ssh-keygen -lv has it */
    assert_int_equal(nacre_key_randomart(c, "md17", art, sizeof(art)), NACRE_UNKNOWN_NAME);
    assert_int_equal(nacre_key_randomart(c, NULL, art, 100), NACRE_TOO_LARGE);
    nacre_key_free(c);
}

/* RFC 4255 and its followers number no keys of security keys. */
static void keys_without_a_number(void **state)
{
    static const char point[] = "any 32 bytes are a public key..";
    nc_buf blob;
    char text[1024];
    nacre_key *sk = NULL;
    (void)state;
    nc_buf_init(&blob, NULL, 1000);
    nc_wr w = nc_wr_init(&blob);
    nc_wr_cstr(&w, "sk-ssh-ed25519@openssh.com");
    nc_wr_str(&w, nc_span(point, 32));
    nc_wr_cstr(&w, "ssh:");
    assert_int_equal(nacre_key_from_blob(&sk, NULL, nc_buf_span(&blob), NULL), NACRE_OK);
    assert_true(nacre_sshfp_text(sk, 2, "example.org", false, text, sizeof(text)) < 0);
    nacre_key_free(sk);
    nc_buf_clear(&blob);
}

/* What a security key said is not handed out for a signature that is none. */
static void details_of_nothing(void **state)
{
    static const nacre_sk_details none;
    nacre_sk_details details;
    nacre_sshsig_message *m = NULL;
    nacre_sshsig *s = NULL;
    nacre_span text = keydata_read("../sshsig/ed25519.sig");
    (void)state;
    assert_int_equal(nacre_sshsig_read(&s, NULL, text, &err), NACRE_OK);
    assert_int_equal(nacre_sshsig_message_new(&m, NULL, nacre_sshsig_hash(s), &err), NACRE_OK);
    memset(&details, 0xff, sizeof(details));
    assert_true(nacre_sshsig_verify(s, "another", m, &details, &err) < 0);
    assert_memory_equal(&details, &none, sizeof(none));
    nacre_sshsig_message_free(m);
    nacre_sshsig_free(s);
    keydata_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_above_the_caps_are_not_read),
        cmocka_unit_test(callbacks_are_not_believed),
        cmocka_unit_test(what_is_no_private_key),
        cmocka_unit_test(keys_are_made_whole_or_not),
        cmocka_unit_test(newest_entries_count_at_once),
        cmocka_unit_test(lists_have_caps),
        cmocka_unit_test(a_title_that_is_too_wide),
        cmocka_unit_test(keys_without_a_number),
        cmocka_unit_test(details_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
