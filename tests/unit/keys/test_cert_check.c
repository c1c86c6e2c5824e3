/*
 * Certificates judged: kind, time, principals, options, the CA's algorithm; and certificates made, of
 * which every rule that refuses has its case.
 */
#include "keydata.h"

#include "keys/cert.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static nacre_key *ca, *subject;

static int setup(void **state)
{
    (void)state;
    ca = keydata_private("ed25519_other");
    subject = keydata_public("ecdsa256");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nacre_key_free(ca);
    nacre_key_free(subject);
    return 0;
}

static nacre_span cstr(const char *s)
{
    return keydata_cstr(s);
}

static nacre_cert_request user_request(void)
{
    static nacre_span alice;
    nacre_cert_request r;
    alice = cstr("alice");
    nacre_cert_request_init(&r, NACRE_CERT_USER);
    r.key_id = cstr("an id");
    r.serial = 5;
    r.principals = &alice;
    r.principal_count = 1;
    r.valid_after = 1000;
    r.valid_before = 2000;
    return r;
}

static nacre_key *issue(const nacre_cert_request *r)
{
    nacre_key *c = NULL;
    nacre_error err;
    if (nacre_cert_issue(&c, subject, ca, r, &err) != NACRE_OK) {
        fail_msg("%s", err.text);
    }
    return c;
}

static nacre_cert_rules user_rules(void)
{
    nacre_cert_rules r;
    nacre_cert_rules_init(&r, NACRE_CERT_USER);
    r.principal = "alice";
    r.now = 1500;
    r.peer_address = "192.0.2.7";
    return r;
}

/* The reason of a refusal must hold the words; NULL: it must be accepted. */
static void expect(const nacre_key *c, const nacre_cert_rules *r, const char *words)
{
    nacre_error why;
    int rc = nacre_cert_check(c, r, &why);
    if (rc != (words ? NACRE_CERT_REFUSED : NACRE_OK)) {
        fail_msg("%s: %s", words ? words : "to be accepted", why.text);
    }
    if (words && !strstr(why.text, words)) {
        fail_msg("\"%s\" does not say \"%s\"", why.text, words);
    }
}

static void time_and_kind_count(void **state)
{
    (void)state;
    nacre_cert_request q = user_request();
    nacre_key *c = issue(&q);
    nacre_cert_rules r = user_rules();
    expect(c, &r, NULL);
    r.now = 999;
    expect(c, &r, "not yet valid");
    r.now = 1000;
    expect(c, &r, NULL);
    r.now = 1999;
    expect(c, &r, NULL);
    r.now = 2000;
    expect(c, &r, "expired");
    r.now = 0;
    expect(c, &r, "clock");
    r = user_rules();
    r.kind = NACRE_CERT_HOST;
    expect(c, &r, "not a host certificate");
    expect(subject, &r, "plain key");
    r = user_rules();
    r.size =
        offsetof(nacre_cert_rules, now); /* an old caller's struct: what it lacks is not known */
    expect(c, &r, "clock");
    nacre_key_free(c);
    q.kind = NACRE_CERT_HOST;
    c = issue(&q);
    r = user_rules();
    expect(c, &r, "not a user certificate");
    nacre_key_free(c);
}

static void users_are_matched_whole(void **state)
{
    (void)state;
    static const char *const names[] = {"alice", "bob,root", "*", "car?l", "!dave", "Eve"};
    nacre_span list[6];
    for (size_t i = 0; i < 6; i++) {
        list[i] = cstr(names[i]);
    }
    nacre_cert_request q = user_request();
    q.principals = list;
    q.principal_count = 6;
    nacre_key *c = issue(&q);
    nacre_cert_rules r = user_rules();
    static const char *const good[] = {"alice", "bob,root", "*", "Eve"};
    static const char *const bad[] = {"root", "bob",  "carol",     "alic", "alicee",
                                      "eve",  "dave", "alice,bob", "",     "ALICE"};
    for (size_t i = 0; i < 4; i++) {
        r.principal = good[i];
        expect(c, &r, NULL);
    }
    for (size_t i = 0; i < 10; i++) {
        r.principal = bad[i];
        expect(c, &r, "none of its principals");
    }
    r.principal = NULL; /* the caller compares */
    expect(c, &r, NULL);
    nacre_key_free(c);
    q.principal_count = 0;
    c = issue(&q);
    expect(c, &r, "no principals");
    r.principal = "alice";
    expect(c, &r, "no principals");
    nacre_key_free(c);
}

static void hosts_are_matched_by_patterns(void **state)
{
    (void)state;
    static const char *const names[] = {"host.example", "*.lan", "db?", "UPPER", "a,b"};
    nacre_span list[5];
    for (size_t i = 0; i < 5; i++) {
        list[i] = cstr(names[i]);
    }
    nacre_cert_request q = user_request();
    q.kind = NACRE_CERT_HOST;
    q.principals = list;
    q.principal_count = 5;
    nacre_key *c = issue(&q);
    nacre_cert_rules r = user_rules();
    r.kind = NACRE_CERT_HOST;
    static const char *const good[] = {"host.example", "Host.Example", "x.lan",
                                       "a.b.lan",      "db1",          "a,b"};
    static const char *const bad[] = {
        "host.example.org", "lan", "db", "db12", "upper", "a", "b", ""};
    for (size_t i = 0; i < 6; i++) {
        r.principal = good[i];
        expect(c, &r, NULL);
    }
    for (size_t i = 0; i < 8; i++) {
        r.principal = bad[i];
        expect(c, &r, "none of its principals");
    }
    char large[NC_CERT_MAX_HOST + 2];
    memset(large, 'x', sizeof(large));
    large[sizeof(large) - 1] = '\0';
    memcpy(large + sizeof(large) - 5, ".lan", 4);
    r.principal = large;
    expect(c, &r, "none of its principals");
    nacre_key_free(c);
    nacre_cert_option option = {cstr("force-command"), cstr("true")};
    q.critical = &option;
    q.critical_count = 1;
    c = issue(&q);
    r.principal = "x.lan";
    expect(c, &r, "critical options");
    nacre_key_free(c);
}

static void ca_algorithms_are_a_list(void **state)
{
    (void)state;
    nacre_cert_rules r;
    nacre_cert_rules_init(&r, NACRE_CERT_USER);
    r.now = 1750000000;
    r.principal = "alice";
    nacre_key *sha1 = keydata_public("../certs/sha1_ca-cert");
    nacre_key *rsa = keydata_public("../certs/rsa_ca-cert");
    nacre_key *ed = keydata_public("../certs/user_ed25519-cert");
    expect(rsa, &r, NULL);
    expect(ed, &r, NULL);
    expect(sha1, &r, "signed with ssh-rsa");
    r.ca_algorithms = "ssh-rsa";
    expect(sha1, &r, NULL);
    expect(rsa, &r, "signed with rsa-sha2-512");
    r.ca_algorithms = "ssh-*,!ssh-rsa";
    expect(ed, &r, NULL);
    expect(sha1, &r, "signed with ssh-rsa");
    r.ca_algorithms = "";
    expect(ed, &r, "signed with ssh-ed25519");
    nacre_key_free(sha1);
    nacre_key_free(rsa);
    nacre_key_free(ed);
}

/* ---- options ------------------------------------------------------------------------------------- */

static nacre_key *with_options(const nacre_cert_option *critical, size_t n,
                               const nacre_cert_option *extensions, size_t m)
{
    nacre_cert_request q = user_request();
    q.critical = critical;
    q.critical_count = n;
    q.extensions = extensions;
    q.extension_count = m;
    return issue(&q);
}

static void options_are_read(void **state)
{
    (void)state;
    nacre_key *c = keydata_public("../certs/options-cert");
    nacre_cert_grant g;
    nacre_error why;
    assert_int_equal(nacre_cert_options(c, &g, &why), NACRE_OK);
    assert_int_equal(g.may, NACRE_MAY_PTY);
    assert_true(g.verify_required && g.no_touch_required);
    assert_int_equal(g.force_command.n, 5);
    assert_memory_equal(g.force_command.p, "ls -l", 5);
    nacre_cert_rules r;
    nacre_cert_rules_init(&r, NACRE_CERT_USER);
    r.now = 1750000000;
    r.principal = "alice";
    r.peer_address = "10.1.2.3";
    expect(c, &r, "verified its user");
    r.user_verified = true;
    expect(c, &r, NULL);
    r.peer_address = "2001:db8:1::1";
    expect(c, &r, NULL);
    r.peer_address = "11.0.0.1";
    expect(c, &r, "source-address");
    r.peer_address = "host.example";
    expect(c, &r, "source-address");
    r.peer_address = NULL;
    expect(c, &r, "source-address");
    nacre_key_free(c);

    c = keydata_public("../certs/user_ed25519-cert"); /* ssh-keygen's default: everything */
    assert_int_equal(nacre_cert_options(c, &g, NULL), NACRE_OK);
    assert_int_equal(g.may, NACRE_MAY_ALL & ~NACRE_MAY_TUNNEL); /* no extension gives those */
    assert_null(g.force_command.p);
    assert_null(g.source_address.p);
    nacre_key_free(c);
    c = keydata_public("../certs/host-cert");
    assert_int_equal(nacre_cert_options(c, &g, &why), NACRE_INVALID_ARGUMENT);
    nacre_key_free(c);
    assert_int_equal(nacre_cert_options(subject, &g, NULL), NACRE_INVALID_ARGUMENT);
}

static void unknown_and_broken_options_refuse(void **state)
{
    (void)state;
    nacre_key *c = keydata_public("../certs/critical-cert");
    nacre_cert_rules r = user_rules();
    r.now = 1750000000;
    expect(c, &r, "who@example.com");
    nacre_key_free(c);

    const nacre_cert_option bad[] = {
        {cstr("source-address"), cstr("10.0.0.0/8,")},
        {cstr("source-address"), cstr("10.0.0.1/8")},
        {cstr("source-address"), cstr("*")},
        {cstr("source-address"), cstr("!10.0.0.0/8")},
        {cstr("source-address"), {NULL, 0}},
        {cstr("force-command"), cstr("")},
        {cstr("force-command"), {NULL, 0}},
        {cstr("force-command"), nc_span("a\0b", 3)},
        {cstr("verify-required"), cstr("yes")},
        {cstr("permit-pty"), {NULL, 0}},        /* an extension, here critical */
        {cstr("no-touch-required"), {NULL, 0}}, /* the same */
        {cstr("Force-command"), cstr("true")},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        c = with_options(&bad[i], 1, NULL, 0);
        r = user_rules();
        expect(c, &r, i < 9 ? "malformed" : "not supported");
        nacre_key_free(c);
    }
    const nacre_cert_option extensions[] = {
        {cstr("permit-pty"), cstr("x")},
        {cstr("no-touch-required"), cstr("x")},
    };
    for (size_t i = 0; i < 2; i++) {
        c = with_options(NULL, 0, &extensions[i], 1);
        expect(c, &r, "malformed");
        nacre_key_free(c);
    }
    /* critical ones mean nothing among extensions, as with sshd */
    const nacre_cert_option elsewhere[] = {{cstr("force-command"), cstr("true")},
                                           {cstr("more@example.com"), cstr("x")}};
    nacre_cert_grant g;
    c = with_options(NULL, 0, elsewhere, 2);
    assert_int_equal(nacre_cert_options(c, &g, NULL), NACRE_OK);
    assert_null(g.force_command.p);
    assert_int_equal(g.may, 0);
    nacre_key_free(c);
}

/* Options that stand there twice come only from somebody else's program: its blob is built by hand. */
static void limits_that_stand_twice_refuse(void **state)
{
    (void)state;
    nacre_cert_request q = user_request();
    nacre_key *priv = keydata_private("ecdsa256");
    nacre_key *c = issue(&q);
    nacre_span blob = nacre_key_blob(c);
    static const char twice[] = "\0\0\0\x0e"
                                "source-address\0\0\0\x0c\0\0\0\x08"
                                "10.0.0.1";
    enum { ONE = sizeof(twice) - 1 };
    /* critical and extensions are the two empty strings behind the times; then reserved, CA, signature */
    nacre_span ca_blob = nacre_key_blob(ca);
    uint8_t *sig = NULL;
    size_t sig_len = 0;
    size_t tail = 4 + 4 + 4 + (4 + ca_blob.n) + 4 + (4 + 11 + 4 + 64);
    nc_buf b;
    nc_buf_init(&b, NULL, NC_MAX_KEY_BLOB);
    nc_wr w = nc_wr_init(&b);
    nc_wr_bytes(&w, nc_span(blob.p, blob.n - tail));
    nc_wr_u32(&w, 2 * ONE);
    nc_wr_bytes(&w, nc_span(twice, ONE));
    nc_wr_bytes(&w, nc_span(twice, ONE));
    nc_wr_cstr(&w, "");
    nc_wr_cstr(&w, "");
    nc_wr_str(&w, ca_blob);
    assert_int_equal(nacre_key_sign(ca, NULL, nc_buf_span(&b), &sig, &sig_len), NACRE_OK);
    nc_wr_str(&w, nc_span(sig, sig_len));
    nacre_key *made = NULL;
    nacre_cert_grant g;
    nacre_error why;
    assert_int_equal(nacre_key_from_blob(&made, NULL, nc_buf_span(&b), &why), NACRE_OK);
    assert_int_equal(nacre_cert_options(made, &g, &why), NACRE_CERT_REFUSED);
    assert_non_null(strstr(why.text, "twice"));
    nacre_key_free(made);
    nacre_secret_free(NULL, sig, sig_len);
    nc_buf_clear(&b);
    nacre_key_free(c);
    nacre_key_free(priv);
}

/* ---- issuing ------------------------------------------------------------------------------------- */

static void options_are_written_sorted(void **state)
{
    (void)state;
    const nacre_cert_option given[] = {{cstr("permit-pty"), {NULL, 0}},
                                       {cstr("no-touch-required"), {NULL, 0}},
                                       {cstr("permit-X11-forwarding"), {NULL, 0}},
                                       {cstr("permit-agent-forwarding"), {NULL, 0}},
                                       {cstr("a"), cstr("")},
                                       {cstr("permit"), cstr("data")}};
    static const char *const want[] = {"a",
                                       "no-touch-required",
                                       "permit",
                                       "permit-X11-forwarding",
                                       "permit-agent-forwarding",
                                       "permit-pty"};
    nacre_key *c = with_options(NULL, 0, given, 6);
    nacre_cert_info i;
    assert_int_equal(nacre_key_cert_info(c, &i), NACRE_OK);
    nacre_span name, data;
    for (size_t k = 0; k < 6; k++) {
        assert_true(nacre_cert_next_option(&i.extensions, &name, &data));
        assert_true(nc_span_is(name, want[k]));
        assert_true(k == 2 ? nc_span_is(data, "data") : data.n == 0);
    }
    nacre_key_free(c);
}

static void all_types_are_certified(void **state)
{
    (void)state;
    static const char *const names[] = {"ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa2048"};
    nacre_cert_request q = user_request();
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < 5; k++) {
            nacre_key *s = keydata_private(names[i]);
            nacre_key *authority = keydata_private(names[k]);
            nacre_key *c = NULL;
            nacre_cert_rules r = user_rules();
            assert_int_equal(nacre_cert_issue(&c, s, authority, &q, NULL), NACRE_OK);
            assert_true(nacre_key_is_private(c));
            expect(c, &r, NULL);
            nacre_key_free(c);
            nacre_key_free(s);
            nacre_key_free(authority);
        }
    }
    nacre_key *rsa = keydata_private("rsa2048");
    nacre_key *c = NULL;
    nacre_cert_info info;
    q.algorithm = "rsa-sha2-256";
    assert_int_equal(nacre_cert_issue(&c, subject, rsa, &q, NULL), NACRE_OK);
    assert_int_equal(nacre_key_cert_info(c, &info), NACRE_OK);
    assert_string_equal(info.ca_algorithm, "rsa-sha2-256");
    nacre_key *again = NULL;
    assert_int_equal(nacre_cert_issue(&again, c, rsa, &q, NULL),
                     NACRE_OK);              /* its certificate is replaced */
    assert_false(nacre_key_equal(c, again)); /* the nonce */
    nacre_key_free(again);
    nacre_key_free(c);
    nacre_key_free(rsa);
}

static int refused_issue(const nacre_key *authority, const nacre_cert_request *q, const char *words)
{
    nacre_key *c = subject;
    nacre_error err;
    int rc = nacre_cert_issue(&c, subject, authority, q, &err);
    assert_null(c);
    if (!strstr(err.text, words)) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    }
    return rc;
}

static void bad_requests_are_refused(void **state)
{
    (void)state;
    nacre_cert_request q = user_request();
    q.valid_before = q.valid_after;
    assert_int_equal(refused_issue(ca, &q, "end before"), NACRE_INVALID_ARGUMENT);
    q = user_request();
    q.kind = (nacre_cert_kind)3;
    assert_int_equal(refused_issue(ca, &q, "for users or"), NACRE_INVALID_ARGUMENT);
    q = user_request();
    q.key_id = nc_span("a\0", 2);
    assert_int_equal(refused_issue(ca, &q, "zero byte"), NACRE_INVALID_ARGUMENT);
    nacre_span names[NC_CERT_MAX_PRINCIPALS + 1] = {{NULL, 0}};
    q = user_request();
    q.principals = names;
    assert_int_equal(refused_issue(ca, &q, "principal"), NACRE_INVALID_ARGUMENT);
    q.principal_count = NC_CERT_MAX_PRINCIPALS + 1;
    assert_int_equal(refused_issue(ca, &q, "more than"), NACRE_TOO_LARGE);
    names[0] = nc_span("a\0b", 3);
    q.principal_count = 1;
    assert_int_equal(refused_issue(ca, &q, "zero byte"), NACRE_INVALID_ARGUMENT);
    const nacre_cert_option twice[] = {{cstr("a"), {NULL, 0}},
                                       {cstr("b"), {NULL, 0}},
                                       {cstr("a"), cstr("x")},
                                       {cstr(""), {NULL, 0}}};
    q = user_request();
    q.extensions = twice;
    q.extension_count = 3;
    assert_int_equal(refused_issue(ca, &q, "twice"), NACRE_INVALID_ARGUMENT);
    q.extension_count = 4;
    assert_int_equal(refused_issue(ca, &q, "no name"), NACRE_INVALID_ARGUMENT);
    q = user_request();
    q.algorithm = "rsa-sha2-512";
    assert_int_equal(refused_issue(ca, &q, "cannot sign with"), NACRE_UNKNOWN_NAME);
    q = user_request();
    assert_int_equal(refused_issue(subject, &q, "could not sign"), NACRE_NOT_PRIVATE);
    nacre_key *nested = keydata_public("../certs/user_ed25519-cert");
    assert_int_equal(refused_issue(nested, &q, "cannot sign certificates"), NACRE_INVALID_ARGUMENT);
    nacre_key_free(nested);
    static uint8_t large[NC_MAX_KEY_BLOB];
    memset(large, 'x', sizeof(large));
    q.key_id = nc_span(large, sizeof(large));
    assert_int_equal(refused_issue(ca, &q, "larger"), NACRE_TOO_LARGE);
}

typedef struct agent {
    int mode; /* 0 signs, 1 refuses, 2 signs other data, 3 names another algorithm */
    unsigned calls;
} agent;

static int agent_sign(void *user, const nacre_key *key, const char *algorithm, nacre_span data,
                      uint8_t **sig, size_t *n)
{
    agent *g = user;
    g->calls++;
    assert_true(nacre_key_equal(key, ca));
    if (g->mode == 1) {
        return NACRE_CANCELLED;
    }
    nacre_span what = g->mode == 2 ? cstr("other") : data;
    int rc = nacre_key_sign(ca, algorithm, what, sig, n);
    if (rc == NACRE_OK && g->mode == 3) {
        (*sig)[4] = 'S';
    }
    return rc;
}

static void a_ca_may_sign_elsewhere(void **state)
{
    (void)state;
    nacre_key *authority = keydata_public("ed25519_other");
    nacre_cert_request q = user_request();
    agent g = {0, 0};
    q.sign = agent_sign;
    q.sign_user = &g;
    nacre_key *c = NULL;
    nacre_cert_rules r = user_rules();
    assert_int_equal(nacre_cert_issue(&c, subject, authority, &q, NULL), NACRE_OK);
    expect(c, &r, NULL);
    nacre_key_free(c);
    g.mode = 1;
    assert_int_equal(refused_issue(authority, &q, "could not sign"), NACRE_CANCELLED);
    g.mode = 2;
    assert_int_equal(refused_issue(authority, &q, "not good"), NACRE_BAD_SIGNATURE);
    g.mode = 3;
    assert_int_equal(refused_issue(authority, &q, "could not sign"), NACRE_BAD_SIGNATURE);
    assert_int_equal(g.calls, 4);
    nacre_key_free(authority);
}

static void memory_may_fail(void **state)
{
    (void)state;
    nacre_cert_request q = user_request();
    const nacre_cert_option option = {cstr("permit-pty"), {NULL, 0}};
    q.extensions = &option;
    q.extension_count = 1;
    nacre_key *plain = keydata_public("ecdsa256");
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_key *s = NULL;
        nacre_key *c = NULL;
        m.paused = true;
        assert_int_equal(nacre_key_from_blob(&s, &m.hooks, nacre_key_blob(plain), NULL), NACRE_OK);
        m.paused = false;
        test_memory_judge(&m, nacre_cert_issue(&c, s, ca, &q, NULL));
        nacre_key_free(c);
        nacre_key_free(s);
    }
    assert_true(m.refused > 12);
    nacre_key_free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_and_kind_count),
        cmocka_unit_test(users_are_matched_whole),
        cmocka_unit_test(hosts_are_matched_by_patterns),
        cmocka_unit_test(ca_algorithms_are_a_list),
        cmocka_unit_test(options_are_read),
        cmocka_unit_test(unknown_and_broken_options_refuse),
        cmocka_unit_test(limits_that_stand_twice_refuse),
        cmocka_unit_test(options_are_written_sorted),
        cmocka_unit_test(all_types_are_certified),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(a_ca_may_sign_elsewhere),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
