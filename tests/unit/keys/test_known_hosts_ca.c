/*
 * known_hosts and certificates of hosts: for which hosts an authority's line (@cert-authority) speaks, and that a revoked
 * one speaks for nobody; and the caps on what is read.
 */
#include "keydata.h"

#include "keys/known_hosts.h"
#include "nacre/cert.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static nacre_key *ca, *other_ca, *subject, *cert;
static char ca_line[256], other_line[256], subject_line[256];

static nacre_key *make(const char *type, char *line, size_t size)
{
    nacre_key *k = NULL;
    assert_int_equal(nacre_key_generate(&k, NULL, type, 0, NULL), NACRE_OK);
    assert_true(nacre_key_public_line(k, line, size) > 0);
    return k;
}

static int set_up(void **state)
{
    nacre_cert_request r;
    nacre_span name = keydata_cstr("pearl.example.org");
    nacre_error why;
    (void)state;
    ca = make("ed25519", ca_line, sizeof(ca_line));
    other_ca = make("ed25519", other_line, sizeof(other_line));
    subject = make("ed25519", subject_line, sizeof(subject_line));
    nacre_cert_request_init(&r, NACRE_CERT_HOST);
    r.principals = &name;
    r.principal_count = 1;
    return nacre_cert_issue(&cert, subject, ca, &r, &why);
}

static int tear_down(void **state)
{
    (void)state;
    nacre_key_free(ca);
    nacre_key_free(other_ca);
    nacre_key_free(subject);
    nacre_key_free(cert);
    return 0;
}

static nacre_known_hosts *hosts_of(const char *text)
{
    nacre_known_hosts *h = NULL;
    assert_int_equal(nacre_known_hosts_new(&h, NULL), NACRE_OK);
    assert_int_equal(nacre_known_hosts_add_text(h, keydata_cstr(text), "file"), NACRE_OK);
    return h;
}

/* What a file of these lines (words, then a key; NULL-ended pairs) says of the certificate. */
static nacre_host_match ask(const char *host, const char *const *pairs, nacre_host_line *where)
{
    char text[4096];
    size_t n = 0;
    text[0] = '\0';
    for (; pairs[0]; pairs += 2) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %s\n", pairs[0], pairs[1]);
    }
    nacre_known_hosts *h = hosts_of(text);
    nacre_host_match m = nacre_known_hosts_check(h, host, 22, cert, where);
    nacre_known_hosts_free(h);
    return m;
}

static void an_authority_speaks_for_its_hosts(void **state)
{
    const struct {
        const char *host;
        const char *pairs[7];
        nacre_host_match result;
    } rows[] = {
        {"pearl.example.org", {"@cert-authority *.example.org", ca_line}, NACRE_HOST_AUTHORITY},
        {"PEARL.example.org", {"@cert-authority *.example.org", ca_line}, NACRE_HOST_AUTHORITY},
        {"pearl.example.org", {"@cert-authority pearl.example.org", ca_line}, NACRE_HOST_AUTHORITY},
        /* of other hosts, of nobody, and of all but this one */
        {"pearl.example.com", {"@cert-authority *.example.org", ca_line}, NACRE_HOST_UNKNOWN},
        {"pearl.example.org", {"@cert-authority *,!pearl.*", ca_line}, NACRE_HOST_UNKNOWN},
        {"pearl.example.org", {"# nothing", ""}, NACRE_HOST_UNKNOWN},
        /* another authority; the right one, but as a host; the plain key of the host */
        {"pearl.example.org", {"@cert-authority *", other_line}, NACRE_HOST_UNKNOWN},
        {"pearl.example.org", {"*", ca_line}, NACRE_HOST_UNKNOWN},
        {"pearl.example.org", {"pearl.example.org", subject_line}, NACRE_HOST_UNKNOWN},
        {"pearl.example.org", {"@cert-authority *", subject_line}, NACRE_HOST_UNKNOWN},
        /* a line that cannot be read vouches for nobody, and hides no other */
        {"pearl.example.org", {"@cert-authority *", "ssh-ed25519 AAAA"}, NACRE_HOST_UNKNOWN},
        {"pearl.example.org",
         {"@cert-authority *", "ssh-ed25519 AAAA", "@cert-authority *", ca_line},
         NACRE_HOST_AUTHORITY},
        /* revoked: the authority, the key, wherever the line stands */
        {"pearl.example.org",
         {"@cert-authority *", ca_line, "@revoked *", ca_line},
         NACRE_HOST_REVOKED},
        {"pearl.example.org",
         {"@cert-authority *", ca_line, "@revoked *", subject_line},
         NACRE_HOST_REVOKED},
        {"pearl.example.org", {"@revoked *", ca_line}, NACRE_HOST_REVOKED},
        {"pearl.example.org",
         {"@cert-authority *", ca_line, "@revoked other.example.org", ca_line},
         NACRE_HOST_AUTHORITY},
        {"pearl.example.org",
         {"@cert-authority *", ca_line, "@revoked *", other_line},
         NACRE_HOST_AUTHORITY},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nacre_host_line where;
        nacre_host_match m = ask(rows[i].host, rows[i].pairs, &where);
        if (m != rows[i].result) {
            fail_msg("row %zu: %d", i, m);
        }
        if (m == NACRE_HOST_AUTHORITY) {
            assert_true(where.line >= 1);
        }
    }
}

static void whether_an_authority_is_there_at_all(void **state)
{
    char text[2048];
    (void)state;
    snprintf(text, sizeof(text),
             "plain.example.org %s\n@cert-authority *.ca.org,[odd.ca.org]:2222 %s\n", ca_line,
             ca_line);
    nacre_known_hosts *h = hosts_of(text);
    assert_true(nacre_known_hosts_has_authority(h, "a.ca.org", 22));
    assert_true(nacre_known_hosts_has_authority(h, "odd.ca.org", 2222));
    assert_false(nacre_known_hosts_has_authority(h, "odd.ca.net", 2222));
    assert_false(nacre_known_hosts_has_authority(h, "plain.example.org", 22));
    assert_false(nacre_known_hosts_has_authority(h, "", 22));
    nacre_known_hosts_free(h);
}

/* An authority that could not be read for want of memory is not one; a revocation is not passed over. */
static void without_memory_nobody_is_good(void **state)
{
    test_memory m;
    char text[2048];
    unsigned good = 0;
    (void)state;
    snprintf(text, sizeof(text),
             "@revoked other.example.org %s\n@cert-authority * %s\n@revoked pearl.* %s\n", ca_line,
             other_line, ca_line);
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_known_hosts *h = NULL;
        int rc = nacre_known_hosts_new(&h, &m.hooks);
        rc = rc == NACRE_OK ? nacre_known_hosts_add_text(h, keydata_cstr(text), "file") : rc;
        test_memory_judge(&m, rc);
        if (rc == NACRE_OK) {
            nacre_host_match match =
                nacre_known_hosts_check(h, "pearl.example.org", 22, cert, NULL);
            assert_true(match == NACRE_HOST_REVOKED || (match == NACRE_HOST_CHANGED && m.failed));
            good++;
        }
        nacre_known_hosts_free(h);
    }
    assert_true(good >= 2);
}

static void what_is_read_has_caps(void **state)
{
    nacre_known_hosts *h = hosts_of("a.org ssh-ed25519 AAAA\n");
    char *large = calloc(1, NC_HOSTS_MAX_TEXT + 1);
    nacre_span text = nc_span(large, NC_HOSTS_MAX_TEXT + 1);
    size_t lines = 7;
    (void)state;
    assert_non_null(large);
    assert_int_equal(nacre_known_hosts_add_text(h, text, "large"), NACRE_TOO_LARGE);
    assert_int_equal(nacre_known_hosts_replace(h, 0, text), NACRE_TOO_LARGE);
    assert_int_equal(nacre_known_hosts_replace(h, 1, nc_span("x", 1)), NACRE_NOT_FOUND);
    assert_int_equal(nacre_known_hosts_hash(h, 1, &lines), NACRE_NOT_FOUND);
    int rc = NACRE_OK;
    int sources = 1;
    for (; rc == NACRE_OK && sources < 2 * NC_HOSTS_MAX_SOURCES; sources++) {
        rc = nacre_known_hosts_add_text(h, nc_span("# x\n", 4), "more");
    }
    assert_int_equal(rc, NACRE_LIMIT);
    assert_int_equal(sources, NC_HOSTS_MAX_SOURCES + 1);
    free(large);
    nacre_known_hosts_free(h);
}

/* A name that is too long to be one stays as it is: nothing of the file is lost. */
static void names_too_long_to_hash(void **state)
{
    static char text[4096];
    size_t lines = 0;
    (void)state;
    memset(text, 'n', 1500);
    snprintf(text + 1500, sizeof(text) - 1500, ",short.org %s\n", ca_line);
    nacre_known_hosts *h = hosts_of(text);
    assert_int_equal(nacre_known_hosts_hash(h, 0, &lines), NACRE_TOO_LARGE);
    assert_int_equal(nacre_known_hosts_check(h, "short.org", 22, ca, NULL), NACRE_HOST_MATCH);
    nacre_known_hosts_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_authority_speaks_for_its_hosts),
        cmocka_unit_test(whether_an_authority_is_there_at_all),
        cmocka_unit_test(without_memory_nobody_is_good),
        cmocka_unit_test(what_is_read_has_caps),
        cmocka_unit_test(names_too_long_to_hash),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
