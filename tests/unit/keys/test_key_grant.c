/*
 * test_key_grant.c - certificates against authorized_keys, principals files and files of authorities; what is
 * forwarded under a grant; what signatures of security keys must show.
 */
#include "keydata.h"

#include "nacre/authorized_keys.h"
#include "nacre/cert.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 1700000000 };

typedef struct fixture {
    nacre_key *subject, *ca, *other;
    char ca_line[512], other_line[512], subject_line[512];
    nacre_login_facts facts;
    nacre_key_grant grant;
    nacre_error why;
    nacre_key *cert;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->subject = keydata_public("ed25519");
    f->other = keydata_public("ed25519_other");
    assert_int_equal(nacre_key_generate(&f->ca, NULL, "ed25519", 0, NULL), NACRE_OK);
    assert_true(nacre_key_public_line(f->ca, f->ca_line, sizeof(f->ca_line)) > 0);
    assert_true(nacre_key_public_line(f->other, f->other_line, sizeof(f->other_line)) > 0);
    assert_true(nacre_key_public_line(f->subject, f->subject_line, sizeof(f->subject_line)) > 0);
    f->facts.user = "mina";
    f->facts.peer_address = "192.0.2.7";
    f->facts.now_seconds = NOW;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    nacre_key_free(f->subject);
    nacre_key_free(f->ca);
    nacre_key_free(f->other);
    nacre_key_free(f->cert);
    free(f);
    return 0;
}

static nacre_cert_option option(const char *name, const char *data)
{
    nacre_cert_option o = {keydata_cstr(name), {NULL, 0}};
    if (data) {
        o.data = keydata_cstr(data);
    }
    return o;
}

/* A certificate for these names (NULL-ended), with one critical option and one extension, or none. */
static void issue(fixture *f, nacre_cert_kind kind, const char *const *names, const char *critical,
                  const char *data, const char *extension)
{
    nacre_cert_request r;
    nacre_span principals[8];
    nacre_cert_option c = option(critical ? critical : "", data),
                      e = option(extension ? extension : "", NULL);
    nacre_error why = {0};
    nacre_cert_request_init(&r, kind);
    for (; names[r.principal_count]; r.principal_count++) {
        principals[r.principal_count] = keydata_cstr(names[r.principal_count]);
    }
    r.principals = principals;
    r.key_id = keydata_cstr("id");
    r.critical = &c;
    r.critical_count = critical ? 1 : 0;
    r.extensions = &e;
    r.extension_count = extension ? 1 : 0;
    r.valid_after = NOW - 10;
    r.valid_before = NOW + 10;
    nacre_key_free(f->cert);
    f->cert = NULL;
    if (nacre_cert_issue(&f->cert, f->subject, f->ca, &r, &why) != NACRE_OK) {
        fail_msg("%s", why.text);
    }
}

static int by_line(fixture *f, const char *options, const char *line)
{
    char text[4096];
    (void)snprintf(text, sizeof(text), "# x\n%s %s\n", options, line);
    int rc =
        nacre_authorized_keys_check(keydata_cstr(text), f->cert, &f->facts, &f->grant, &f->why);
    assert_true((rc == NACRE_OK) == (f->why.status == NACRE_OK));
    return rc;
}

static int by_authority(fixture *f, const char *options)
{
    return by_line(f, options, f->ca_line);
}

static int by_names(fixture *f, const char *text)
{
    int rc = nacre_authorized_principals_check(keydata_cstr(text), f->cert, &f->facts, &f->grant,
                                               &f->why);
    static const nacre_key_grant none;
    assert_true((rc == NACRE_OK) == (f->why.status == NACRE_OK));
    if (rc != NACRE_OK) {
        assert_memory_equal(&f->grant, &none, sizeof(none));
    }
    return rc;
}

static void authorities(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"mina", "staff", NULL};
    issue(f, NACRE_CERT_USER, names, NULL, NULL, "permit-pty");
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_OK);
    assert_int_equal(f->grant.may, NACRE_MAY_PTY); /* what is not named is not given */
    assert_int_equal(f->grant.line, 2);
    assert_true(f->grant.certificate);
    assert_int_equal(by_authority(f, "cert-authority,no-pty"), NACRE_OK);
    assert_int_equal(f->grant.may, 0);
    assert_int_equal(by_authority(f, "cert-authority,principals=\"x,staff\""), NACRE_OK);
    /* Not as an authority; another's; the key itself; another key as an authority. */
    assert_int_equal(by_authority(f, ""), NACRE_NOT_FOUND);
    assert_int_equal(by_authority(f, "principals=\"mina\""), NACRE_NOT_FOUND);
    assert_int_equal(by_line(f, "cert-authority", f->other_line), NACRE_NOT_FOUND);
    assert_int_equal(by_line(f, "", f->subject_line), NACRE_NOT_FOUND);
    assert_int_equal(by_line(f, "cert-authority", f->subject_line), NACRE_NOT_FOUND);
    static const char *const refused[] = {
        "cert-authority,principals=\"x\"",
        "cert-authority,principals=\"\"",
        "cert-authority,principals=\"*\"",
        "cert-authority,principals=\"min?\"",
        "cert-authority,principals=\"mina staff\"",
        "cert-authority,principals=\" mina\"",
        "cert-authority,principals=\"!x\"",
        "cert-authority,from=\"10.0.0.0/8\"",
        "cert-authority,expiry-time=\"20000101\"",
        "cert-authority,verify-required",
        "cert-authority,no-such",
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (by_authority(f, refused[i]) != NACRE_NOT_FOUND) {
            fail_msg("%s", refused[i]);
        }
    }
    f->facts.user = "bob"; /* principals= names who may, so that the user's name is not asked for */
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_NOT_FOUND);
    assert_int_equal(by_authority(f, "cert-authority,principals=\"staff\""), NACRE_OK);
    f->facts.user = NULL;
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_NOT_FOUND);
    assert_int_equal(by_authority(f, "cert-authority,principals=\"staff\""), NACRE_NOT_FOUND);
    assert_int_equal(
        nacre_authorized_keys_check(keydata_cstr(f->ca_line), f->cert, NULL, &f->grant, NULL),
        NACRE_NOT_FOUND);
}

/* CVE-2026-35414: a comma in a certificate's name is part of the name. */
static void commas_in_names(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"mina,root", "a b", NULL};
    issue(f, NACRE_CERT_USER, names, NULL, NULL, NULL);
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_NOT_FOUND);
    assert_int_equal(by_authority(f, "cert-authority,principals=\"root\""), NACRE_NOT_FOUND);
    assert_int_equal(by_authority(f, "cert-authority,principals=\"mina,root\""), NACRE_NOT_FOUND);
    assert_int_equal(by_names(f, "root\nmina\n"), NACRE_NOT_FOUND);
    assert_int_equal(by_names(f, "mina,root\n"), NACRE_OK);
    assert_int_equal(by_names(f, "a b\n"), NACRE_NOT_FOUND);
    f->facts.user = "mina,root";
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_OK);
}

static void certificates_that_do_not_count(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"mina", NULL}, *const nobody[] = {NULL};
    issue(f, NACRE_CERT_HOST, names, NULL, NULL, NULL);
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_NOT_FOUND);
    issue(f, NACRE_CERT_USER, nobody, NULL, NULL, NULL);
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_NOT_FOUND);
    assert_int_equal(by_authority(f, "cert-authority,principals=\"mina\""), NACRE_NOT_FOUND);
    issue(f, NACRE_CERT_USER, names, "unknown@example.org", "x", NULL);
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_NOT_FOUND);
    issue(f, NACRE_CERT_USER, names, "verify-required", NULL, NULL);
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_NOT_FOUND);
    issue(f, NACRE_CERT_USER, names, "source-address", "10.0.0.0/8", NULL);
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_NOT_FOUND);
    issue(f, NACRE_CERT_USER, names, "source-address", "10.0.0.0/8,192.0.2.0/24", NULL);
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_OK);
    f->facts.peer_address = NULL;
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_NOT_FOUND);
    f->facts.peer_address = "192.0.2.7";
    issue(f, NACRE_CERT_USER, names, NULL, NULL, NULL);
    for (int64_t now = NOW - 11; now <= NOW + 10; now += 21) {
        f->facts.now_seconds = now;
        assert_int_equal(by_authority(f, "cert-authority"), NACRE_NOT_FOUND);
    }
    f->facts.now_seconds = 0;
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_NOT_FOUND);
    f->facts.now_seconds = NOW;
    f->facts.ca_algorithms = "rsa-sha2-512";
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_NOT_FOUND);
    f->facts.ca_algorithms = "ssh-ed25519";
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_OK);
}

static void forced_commands(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"mina", NULL};
    issue(f, NACRE_CERT_USER, names, "force-command", "one", "permit-pty");
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_OK);
    assert_string_equal(f->grant.command, "one");
    assert_int_equal(by_authority(f, "cert-authority,command=\"one\""), NACRE_OK);
    assert_int_equal(by_authority(f, "cert-authority,command=\"two\""), NACRE_NOT_FOUND);
    assert_int_equal(by_names(f, "command=\"two\" mina\n"), NACRE_NOT_FOUND);
    assert_int_equal(by_names(f, "command=\"two\" mina\nmina\n"), NACRE_OK);
    assert_string_equal(f->grant.command, "one");
    issue(f, NACRE_CERT_USER, names, "force-command", "", NULL);
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_NOT_FOUND);
    /* Longer than what a grant holds: the certificate does not count, rather than a part of the command. */
    static char large[sizeof(f->grant.command) + 1];
    memset(large, 'c', sizeof(large) - 1);
    issue(f, NACRE_CERT_USER, names, "force-command", large, NULL);
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_NOT_FOUND);
    assert_non_null(strstr(f->why.text, "too long"));
    large[sizeof(large) - 2] = '\0';
    issue(f, NACRE_CERT_USER, names, "force-command", large, NULL);
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_OK);
    assert_string_equal(f->grant.command, large);
    issue(f, NACRE_CERT_USER, names, NULL, NULL, NULL);
    assert_int_equal(by_authority(f, "cert-authority,command=\"two\""), NACRE_OK);
    assert_string_equal(f->grant.command, "two");
}

static void principals_files(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"mina", "staff", NULL};
    issue(f, NACRE_CERT_USER, names, NULL, NULL, "permit-pty");
    static const char *const good[] = {
        "staff",
        "# x\n\n  mina  \r\n",
        "other\nstaff\n",
        "from=\"10.0.0.0/8\" staff\nno-pty staff",
        "restrict,pty\tstaff",
        "from=\"192.0.2.7\",environment=\"A=b c\" staff",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (by_names(f, good[i]) != NACRE_OK) {
            fail_msg("%s: %s", good[i], f->why.text);
        }
    }
    f->facts.user = "somebody"; /* who it is does not matter: the file is that user's */
    assert_int_equal(by_names(f, "staff"), NACRE_OK);
    static const char *const bad[] = {
        "",
        "\n\n",
        "#staff",
        "staf",
        "staff2",
        "STAFF",
        "*",
        "staff,mina",
        "\"staff\"",
        "from=\"10.0.0.0/8\" staff",
        "from=\"10.0.0.0/8 staff",
        "no-such staff",
        "no-pty x staff",
        "cert-authority staff",
        "principals=\"staff\" staff",
        "verify-required staff",
        "command=\"\" staff",
        "staff #",
        "staff other",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (by_names(f, bad[i]) == NACRE_OK) {
            fail_msg("%s", bad[i]);
        }
    }
    /* Cut anywhere: no, or the whole name. */
    static const char text[] = "no-user-rc,from=\"192.0.2.0/24\" staff";
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        nacre_span cut = {(const uint8_t *)text, n};
        assert_int_equal(
            nacre_authorized_principals_check(cut, f->cert, &f->facts, &f->grant, &f->why),
            NACRE_NOT_FOUND);
    }
    assert_int_equal(by_names(f, text), NACRE_OK);
    assert_int_equal(nacre_authorized_principals_check(keydata_cstr("staff"), f->subject, &f->facts,
                                                       &f->grant, NULL),
                     NACRE_INVALID_ARGUMENT);
}

static void certificates_alone(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"mina", NULL};
    issue(f, NACRE_CERT_USER, names, "force-command", "x y", "permit-user-rc");
    assert_int_equal(nacre_certificate_grant(f->cert, &f->facts, &f->grant, &f->why), NACRE_OK);
    assert_int_equal(f->grant.may, NACRE_MAY_USER_RC);
    assert_string_equal(f->grant.command, "x y");
    assert_false(f->grant.no_touch_required);
    f->facts.user = "bob";
    assert_int_equal(nacre_certificate_grant(f->cert, &f->facts, &f->grant, &f->why),
                     NACRE_NOT_FOUND);
    f->facts.user = NULL;
    assert_int_equal(nacre_certificate_grant(f->cert, &f->facts, &f->grant, NULL),
                     NACRE_INVALID_ARGUMENT);
    f->facts.user = "mina";
    assert_int_equal(nacre_certificate_grant(f->subject, &f->facts, &f->grant, NULL),
                     NACRE_INVALID_ARGUMENT);
    issue(f, NACRE_CERT_USER, names, NULL, NULL, "no-touch-required");
    assert_int_equal(nacre_certificate_grant(f->cert, &f->facts, &f->grant, &f->why), NACRE_OK);
    assert_true(f->grant.no_touch_required);
    assert_int_equal(f->grant.may, 0);
    /* With a line both must renounce the touch. */
    assert_int_equal(by_authority(f, "cert-authority"), NACRE_OK);
    assert_false(f->grant.no_touch_required);
    assert_int_equal(by_authority(f, "cert-authority,no-touch-required"), NACRE_OK);
    assert_true(f->grant.no_touch_required);
    assert_int_equal(by_names(f, "mina"), NACRE_OK);
    assert_false(f->grant.no_touch_required);
}

static void lists_of_authorities(void **state)
{
    fixture *f = *state;
    char text[2048];
    (void)snprintf(text, sizeof(text), "# authorities\nrubbish\n%s\n  %s comment\n", f->other_line,
                   f->ca_line);
    assert_int_equal(nacre_keys_list_has(keydata_cstr(text), f->ca), NACRE_OK);
    assert_int_equal(nacre_keys_list_has(keydata_cstr(text), f->other), NACRE_OK);
    assert_int_equal(nacre_keys_list_has(keydata_cstr(text), f->subject), NACRE_NOT_FOUND);
    assert_int_equal(nacre_keys_list_has(keydata_cstr(""), f->ca), NACRE_NOT_FOUND);
    (void)snprintf(text, sizeof(text), "restrict %s\n#%s\nx %s\n", f->ca_line, f->ca_line,
                   f->ca_line);
    assert_int_equal(nacre_keys_list_has(keydata_cstr(text), f->ca), NACRE_NOT_FOUND);
    for (size_t n = 0; n < strlen(f->ca_line); n++) {
        nacre_span cut = {(const uint8_t *)f->ca_line, n};
        assert_int_equal(nacre_keys_list_has(cut, f->ca), NACRE_NOT_FOUND);
    }
}

static void signatures_of_security_keys(void **state)
{
    (void)state;
    static const struct {
        bool sk, no_touch, verify; /* the grant's */
        uint8_t flags;
        bool touch_demanded, verify_demanded, good;
    } rows[] = {
        {false, false, false, 0, true, true, true},
        {false, false, true, 0, false, false, false},
        {true, false, false, 0, false, false, false},
        {true, false, false, NACRE_SK_USER_PRESENT, false, false, true},
        {true, true, false, 0, false, false, true},
        {true, true, false, 0, true, false, false},
        {true, true, false, NACRE_SK_USER_PRESENT, true, false, true},
        {true, false, true, NACRE_SK_USER_PRESENT, false, false, false},
        {true, false, true, NACRE_SK_USER_VERIFIED, false, false, false},
        {true, true, true, NACRE_SK_USER_VERIFIED, false, false, true},
        {true, false, false, NACRE_SK_USER_PRESENT, false, true, false},
        {true, false, false, NACRE_SK_USER_PRESENT | NACRE_SK_USER_VERIFIED, true, true, true},
        {true, false, true, NACRE_SK_USER_PRESENT | NACRE_SK_USER_VERIFIED, false, false, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nacre_key_grant g = {.no_touch_required = rows[i].no_touch,
                             .verify_required = rows[i].verify};
        nacre_sk_details sk = {.sk = rows[i].sk, .flags = rows[i].flags};
        nacre_error why = {0};
        int rc = nacre_key_grant_signature(&g, &sk, rows[i].touch_demanded, rows[i].verify_demanded,
                                           &why);
        if (rc != (rows[i].good ? NACRE_OK : NACRE_AUTH_FAILED) ||
            (rc != NACRE_OK) != !!why.text[0]) {
            fail_msg("row %zu: %d", i, rc);
        }
    }
}

static bool permits(fixture *f, const char *options, bool listens, const char *host, uint32_t port)
{
    char text[4096];
    (void)snprintf(text, sizeof(text), "%s %s\n", options, f->subject_line);
    if (nacre_authorized_keys_check(keydata_cstr(text), f->subject, &f->facts, &f->grant,
                                    &f->why) != NACRE_OK) {
        fail_msg("%s", f->why.text);
    }
    return nacre_key_grant_permits(&f->grant, listens, host, port);
}

static bool permits_path(fixture *f, const char *options, bool listens)
{
    (void)permits(f, options, listens, "h", 1);
    return nacre_key_grant_permits_path(&f->grant, listens);
}

static void forwarding_targets(void **state)
{
    fixture *f = *state;
    static const char two[] = "permitopen=\"a:1\",permitopen=\"[::1]:*\"";
    assert_true(permits(f, "no-pty", false, "a", 1));
    assert_true(permits(f, two, false, "a", 1));
    assert_true(permits(f, two, false, "::1", 9));
    assert_false(permits(f, two, false, "a", 2));
    assert_false(permits(f, two, false, "A", 1));
    assert_false(permits(f, two, false, "[::1]", 9));
    assert_false(permits(f, two, false, "b", 1));
    assert_false(permits(f, two, false, "", 1));
    assert_true(permits(f, two, true, "b", 1)); /* what listens is not narrowed by it */
    assert_true(permits(f, "permitopen=\"*:25\"", false, "b", 25));
    assert_false(permits(f, "permitopen=\"b*:25\"", false, "bc", 25));
    assert_true(permits(f, "permitlisten=\"8080\"", true, "any", 8080));
    assert_false(permits(f, "permitlisten=\"8080\"", true, "any", 808));
    assert_true(permits(f, "permitlisten=\"lo*:8080\"", true, "localhost", 8080));
    assert_false(permits(f, "permitlisten=\"lo*:8080\"", true, "0.0.0.0", 8080));
    /* Under restrict, naming a target is no permission to forward. */
    assert_false(permits(f, "restrict,permitopen=\"a:1\"", false, "a", 1));
    assert_true(permits(f, "restrict,port-forwarding,permitopen=\"a:1\"", false, "a", 1));
    assert_false(permits(f, "permitopen=\"a:1\",no-port-forwarding", false, "a", 1));
    assert_true(permits_path(f, "no-pty", false));
    assert_true(permits_path(f, "permitopen=\"a:1\"", true));
    assert_false(permits_path(f, "permitopen=\"a:1\"", false));
    assert_false(permits_path(f, "permitlisten=\"8080\"", true));
    assert_true(permits_path(f, "permitopen=\"a:1\",permitopen=\"*:*\"", false));
    assert_false(permits_path(f, "no-port-forwarding,permitopen=\"*:*\"", false));
    assert_false(permits_path(f, "restrict", true));
    assert_int_equal(permits(f, "tunnel=\"3\"", false, "a", 1), true);
    assert_int_equal(f->grant.tunnel, 4);
    assert_true(permits(f, "tunnel=\"Any\"", false, "a", 1)); /* which narrows nothing */
    assert_int_equal(f->grant.tunnel, 0);
    /* More than fits is no match. */
    static char text[40000];
    size_t n = 0;
    for (size_t i = 0; i < 600; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "permitopen=\"host:%zu\",", i + 1);
    }
    (void)snprintf(text + n, sizeof(text) - n, "no-pty %s", f->subject_line);
    assert_int_equal(
        nacre_authorized_keys_check(keydata_cstr(text), f->subject, &f->facts, &f->grant, &f->why),
        NACRE_NOT_FOUND);
    assert_non_null(strstr(f->why.text, "too long"));
}

/* Lines of a MiB, and quotes that never close: read once, and no match. */
static void long_lines(void **state)
{
    fixture *f = *state;
    static const char *const fill[] = {"a", "\"", ",", "=\"\",", "\\\"", " "};
    size_t size = 1 << 20;
    char *text = malloc(size + 640);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof(fill) / sizeof(fill[0]); i++) {
        size_t n = 0, len = strlen(fill[i]);
        for (; n + len <= size; n += len) {
            memcpy(text + n, fill[i], len);
        }
        text[n++] = ' ';
        (void)snprintf(text + n, 600, "%s\n", f->subject_line);
        int rc = nacre_authorized_keys_check(keydata_cstr(text), f->subject, &f->facts, &f->grant,
                                             &f->why);
        assert_int_equal(rc, *fill[i] == ' ' ? NACRE_OK : NACRE_NOT_FOUND);
    }
    free(text);
}

static void memory_may_end(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"mina", NULL};
    issue(f, NACRE_CERT_USER, names, NULL, NULL, NULL);
    char text[1024];
    (void)snprintf(text, sizeof(text), "cert-authority %s\n", f->ca_line);
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_key *own = NULL;
        m.paused = true;
        assert_int_equal(nacre_key_from_blob(&own, &m.hooks, nacre_key_blob(f->cert), NULL),
                         NACRE_OK);
        m.paused = false;
        test_memory_judge(&m, nacre_authorized_keys_check(keydata_cstr(text), own, &f->facts,
                                                          &f->grant, &f->why));
        nacre_key_free(own);
    }
    assert_true(m.refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(authorities, set_up, tear_down),
        cmocka_unit_test_setup_teardown(commas_in_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(certificates_that_do_not_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forced_commands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(principals_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(certificates_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_of_authorities, set_up, tear_down),
        cmocka_unit_test(signatures_of_security_keys),
        cmocka_unit_test_setup_teardown(forwarding_targets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_may_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
