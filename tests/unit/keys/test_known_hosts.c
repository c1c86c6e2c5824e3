/*
 * known_hosts: who is known, by which key, and what must never look known.
 */
#include "keydata.h"

#include "base/mem.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    nacre_key *ed, *ed2, *ec, *rsa, *rsa2;
    char ed_line[512], ed2_line[512], ec_line[512], rsa_line[1024];
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->ed = keydata_public("ed25519");
    f->ed2 = keydata_public("ed25519_other");
    f->ec = keydata_public("ecdsa256");
    f->rsa = keydata_public("rsa2048");
    f->rsa2 = keydata_public("rsa2048_other");
    assert_true(nacre_key_public_line(f->ed, f->ed_line, sizeof(f->ed_line)) > 0);
    assert_true(nacre_key_public_line(f->ed2, f->ed2_line, sizeof(f->ed2_line)) > 0);
    assert_true(nacre_key_public_line(f->ec, f->ec_line, sizeof(f->ec_line)) > 0);
    assert_true(nacre_key_public_line(f->rsa, f->rsa_line, sizeof(f->rsa_line)) > 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    nacre_key_free(f->ed);
    nacre_key_free(f->ed2);
    nacre_key_free(f->ec);
    nacre_key_free(f->rsa);
    nacre_key_free(f->rsa2);
    free(f);
    return 0;
}

/* A file of one line "<names> <key>". */
static nacre_known_hosts *hosts_of(const char *text)
{
    nacre_known_hosts *h = NULL;
    assert_int_equal(nacre_known_hosts_new(&h, NULL), NACRE_OK);
    assert_int_equal(nacre_known_hosts_add_text(h, keydata_cstr(text), "file"), NACRE_OK);
    return h;
}

static nacre_host_match ask(const char *names, const char *key_line, const char *host,
                            uint16_t port, const nacre_key *key)
{
    char text[2048];
    snprintf(text, sizeof(text), "%s %s\n", names, key_line);
    nacre_known_hosts *h = hosts_of(text);
    nacre_host_match m = nacre_known_hosts_check(h, host, port, key, NULL);
    nacre_known_hosts_free(h);
    return m;
}

static void names_match_as_ssh_does(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *names, *host;
        uint16_t port;
        bool same;
    } rows[] = {
        {"example.org", "example.org", 22, true},
        {"example.org", "example.org", 0, true},
        {"example.org", "EXAMPLE.org", 22, true},
        {"Example.ORG", "example.org", 22, true},
        {"example.org", "example.org", 2222, false},
        {"[example.org]:2222", "example.org", 2222, true},
        {"[example.org]:2222", "example.org", 22, false},
        {"[example.org]:2222", "example.org", 222, false},
        {"[*]:2222", "example.org", 2222, true},
        {"a,b,example.org", "b", 22, true},
        {"a,b,example.org", "a,b", 22, false},
        {"*.example.org", "w.example.org", 22, true},
        {"*.example.org", "example.org", 22, false},
        {"*.example.org,!w.example.org", "w.example.org", 22, false},
        {"!w.example.org", "x.example.org", 22, false},
        {"2001:db8::1", "2001:db8::1", 22, true},
        {"[2001:db8::1]:23", "2001:db8::1", 23, true},
        {"example.org", "", 22, false},
        {"@unknown example.org", "example.org", 22, false},
        {"@cert-authority example.org", "example.org", 22, false},
        {"# example.org", "example.org", 22, false},
        {"|1|", "|1|", 22, false},
        {"|1|AAAA", "example.org", 22, false},
        {"|1|AAAA|AAAA", "example.org", 22, false},
        {"|1||", "example.org", 22, false},
        {"|2|AAAA|AAAA", "example.org", 22, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nacre_host_match m = ask(rows[i].names, f->ed_line, rows[i].host, rows[i].port, f->ed);
        if (m != (rows[i].same ? NACRE_HOST_MATCH : NACRE_HOST_UNKNOWN)) {
            fail_msg("%s: %s %u: %d", rows[i].names, rows[i].host, rows[i].port, (int)m);
        }
    }
    char longest[5000];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(ask("*", f->ed_line, longest, 22, f->ed), NACRE_HOST_UNKNOWN);
    assert_int_equal(ask("*", f->ed_line, NULL, 22, f->ed), NACRE_HOST_UNKNOWN);
}

static void verdicts(void **state)
{
    fixture *f = *state;
    nacre_host_line where;
    char text[4096];
    snprintf(text, sizeof(text), "# mine\n\nh %s one\nh %s\nother %s\n", f->ed_line, f->ec_line,
             f->rsa_line);
    nacre_known_hosts *h = hosts_of(text);
    assert_int_equal(nacre_known_hosts_check(h, "h", 22, f->ed, &where), NACRE_HOST_MATCH);
    assert_int_equal(where.line, 3);
    assert_string_equal(where.source, "file");
    assert_true(nacre_key_equal(where.key, f->ed));
    assert_int_equal(nacre_known_hosts_check(h, "h", 22, f->ec, &where), NACRE_HOST_MATCH);
    assert_int_equal(where.line, 4);
    assert_int_equal(nacre_known_hosts_check(h, "h", 22, f->ed2, &where), NACRE_HOST_CHANGED);
    assert_int_equal(where.line, 3);
    assert_int_equal(nacre_known_hosts_check(h, "h", 22, f->rsa, &where), NACRE_HOST_OTHER_TYPE);
    assert_int_equal(where.line, 3);
    assert_int_equal(nacre_known_hosts_check(h, "g", 22, f->rsa, &where), NACRE_HOST_UNKNOWN);
    assert_int_equal(where.line, 0);
    assert_null(where.key);
    assert_int_equal(nacre_known_hosts_check(h, "h", 22, NULL, NULL), NACRE_HOST_OTHER_TYPE);
    char types[128];
    assert_int_equal(nacre_known_hosts_types(h, "h", 22, types, sizeof(types)),
                     strlen("ssh-ed25519,ecdsa-sha2-nistp256"));
    assert_string_equal(types, "ssh-ed25519,ecdsa-sha2-nistp256");
    assert_int_equal(nacre_known_hosts_types(h, "h", 22, types, 5),
                     strlen("ssh-ed25519,ecdsa-sha2-nistp256"));
    assert_string_equal(types, "ssh-");
    assert_int_equal(nacre_known_hosts_types(h, "g", 22, types, sizeof(types)), 0);
    assert_string_equal(types, "");
    nacre_known_hosts_free(h);
}

/* A second line with the right key makes the first, older one no change. */
static void any_line_may_match(void **state)
{
    fixture *f = *state;
    char text[4096];
    snprintf(text, sizeof(text), "h %s\nh %s", f->ed2_line, f->ed_line);
    nacre_known_hosts *h = hosts_of(text);
    assert_int_equal(nacre_known_hosts_check(h, "h", 22, f->ed, NULL), NACRE_HOST_MATCH);
    assert_int_equal(nacre_known_hosts_check(h, "h", 22, f->ed2, NULL), NACRE_HOST_MATCH);
    nacre_known_hosts_free(h);
}

static void revocation_comes_first(void **state)
{
    fixture *f = *state;
    char text[4096];
    snprintf(text, sizeof(text), "h %s\n@revoked * %s\n@revoked g %s\n", f->ed_line, f->ed_line,
             f->rsa_line);
    nacre_known_hosts *h = hosts_of(text);
    nacre_host_line where;
    assert_int_equal(nacre_known_hosts_check(h, "h", 22, f->ed, &where), NACRE_HOST_REVOKED);
    assert_int_equal(where.line, 2);
    assert_int_equal(nacre_known_hosts_check(h, "elsewhere", 2222, f->ed, NULL),
                     NACRE_HOST_REVOKED);
    assert_int_equal(nacre_known_hosts_check(h, "g", 22, f->rsa, NULL), NACRE_HOST_REVOKED);
    assert_int_equal(nacre_known_hosts_check(h, "x", 22, f->rsa, NULL), NACRE_HOST_UNKNOWN);
    /* a revoked line says nothing of other keys of its type */
    assert_int_equal(nacre_known_hosts_check(h, "x", 22, f->ed2, NULL), NACRE_HOST_UNKNOWN);
    char types[64];
    assert_int_equal(nacre_known_hosts_types(h, "x", 22, types, sizeof(types)), 0);
    nacre_known_hosts_free(h);
}

static void bad_lines_are_kept_and_say_nothing(void **state)
{
    fixture *f = *state;
    char text[4096];
    snprintf(text, sizeof(text),
             "h\nh ssh-ed25519\nh ssh-ed25519 AAAA\nh ssh-ed25519 ????\n1024 35 12345\n"
             "h ssh-rsa %s\n@revoked\n@revoked h\r\n\th\t%s\tkept comment \r\n",
             strchr(f->ed_line, ' ') + 1, f->ec_line);
    nacre_known_hosts *h = hosts_of(text);
    nacre_host_line where;
    nacre_host_entry e;
    assert_int_equal(nacre_known_hosts_count(h), 9);
    assert_int_equal(nacre_known_hosts_check(h, "h", 22, f->ed, &where), NACRE_HOST_OTHER_TYPE);
    assert_int_equal(where.line, 9);
    assert_int_equal(nacre_known_hosts_check(h, "h", 22, f->rsa, NULL), NACRE_HOST_OTHER_TYPE);
    assert_int_equal(nacre_known_hosts_get(h, 8, &e), NACRE_OK);
    assert_int_equal(e.comment.n, strlen("kept comment"));
    assert_true(nacre_key_equal(e.key, f->ec));
    assert_true(nacre_known_hosts_entry_is(h, 8, "H", 22));
    assert_false(nacre_known_hosts_entry_is(h, 8, "g", 22));
    assert_false(nacre_known_hosts_entry_is(h, 9, "h", 22));
    assert_int_equal(nacre_known_hosts_get(h, 2, &e), NACRE_OK);
    assert_null(e.key);
    assert_int_equal(nacre_known_hosts_get(h, 6, &e), NACRE_OK);
    assert_memory_equal(e.text.p, "@revoked", 8);
    assert_int_equal(nacre_known_hosts_get(h, 9, &e), NACRE_NOT_FOUND);
    nacre_known_hosts_free(h);
}

/* A host known by a kind of key that we cannot use is known all the same. */
static void unsupported_types_make_no_host_new(void **state)
{
    fixture *f = *state;
    static const char dss[] = "ssh-dss AAAAB3NzaC1kc3MAAAABAQAAAAEBAAAAAQEAAAABAQ==";
    assert_int_equal(ask("h", dss, "h", 22, f->ed), NACRE_HOST_OTHER_TYPE);
}

static void lines_hashed_by_ssh_keygen(void **state)
{
    fixture *f = *state;
    nacre_known_hosts *h = NULL;
    nacre_span text = keydata_read("known_hosts.hashed");
    assert_int_equal(nacre_known_hosts_new(&h, NULL), NACRE_OK);
    assert_int_equal(nacre_known_hosts_add_text(h, text, NULL), NACRE_OK);
    assert_int_equal(nacre_known_hosts_check(h, "plain.Example.org", 22, f->ed, NULL),
                     NACRE_HOST_MATCH);
    assert_int_equal(nacre_known_hosts_check(h, "plain.example.org", 22, f->ed2, NULL),
                     NACRE_HOST_CHANGED);
    assert_int_equal(nacre_known_hosts_check(h, "ported.example.org", 2222, f->ec, NULL),
                     NACRE_HOST_MATCH);
    assert_int_equal(nacre_known_hosts_check(h, "ported.example.org", 22, f->ec, NULL),
                     NACRE_HOST_UNKNOWN);
    assert_int_equal(nacre_known_hosts_check(h, "192.0.2.7", 0, f->rsa, NULL), NACRE_HOST_MATCH);
    assert_int_equal(nacre_known_hosts_check(h, "192.0.2.7", 0, f->rsa2, NULL), NACRE_HOST_CHANGED);
    assert_int_equal(nacre_known_hosts_check(h, "2001:db8::7", 2200, f->ed2, NULL),
                     NACRE_HOST_MATCH);
    nacre_known_hosts_free(h);
    keydata_free(text);
}

static void added_lines_are_found(void **state)
{
    fixture *f = *state;
    char line[2048];
    nacre_known_hosts *h = hosts_of("");
    for (int hash = 0; hash < 2; hash++) {
        const char *host = hash ? "Hidden.example.org" : "Shown.example.org";
        int n = nacre_known_hosts_add(h, host, 2200, f->ed, hash, line, sizeof(line));
        assert_true(n > 0 && (size_t)n == strlen(line) && line[n - 1] == '\n');
        assert_int_equal(strncmp(line, hash ? "|1|" : "[shown.example.org]:2200 ssh-ed25519 ", 3),
                         0);
        assert_null(strstr(line, "idden"));
        assert_int_equal(nacre_known_hosts_check(h, host, 2200, f->ed, NULL), NACRE_HOST_MATCH);
        assert_int_equal(nacre_known_hosts_check(h, host, 22, f->ed, NULL), NACRE_HOST_UNKNOWN);
        nacre_known_hosts *again = hosts_of(line);
        assert_int_equal(nacre_known_hosts_check(again, host, 2200, f->ed, NULL), NACRE_HOST_MATCH);
        nacre_known_hosts_free(again);
        assert_int_equal(nacre_known_hosts_add(NULL, host, 2200, f->ed, hash, line, (size_t)n),
                         NACRE_TOO_LARGE);
    }
    static const char *const evil[] = {"",    "*",    "a,b",      "a b", "a\nb", "a?b",
                                       "!ab", "|1|x", "@revoked", "#x",  "a\tb"};
    size_t before = nacre_known_hosts_count(h);
    for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
        assert_int_equal(nacre_known_hosts_add(h, evil[i], 22, f->ed, false, line, sizeof(line)),
                         NACRE_INVALID_ARGUMENT);
    }
    assert_int_equal(nacre_known_hosts_count(h), before);
    nacre_known_hosts_free(h);
}

/* ---- memory: a failure must make no host look new or good ------------------------------------ */

static void lack_of_memory_trusts_nobody(void **state)
{
    fixture *f = *state;
    nacre_span text = keydata_read("known_hosts.hashed");
    nacre_known_hosts *h = NULL;
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        m.paused = true;
        assert_int_equal(nacre_known_hosts_new(&h, &m.hooks), NACRE_OK);
        assert_int_equal(nacre_known_hosts_add_text(h, text, "f"), NACRE_OK);
        m.paused = false;
        assert_int_equal(nacre_known_hosts_check(h, "plain.example.org", 22, f->ed2, NULL),
                         NACRE_HOST_CHANGED);
        nacre_known_hosts_free(h);
    }
    assert_true(m.round > 2);
    for (test_memory_init(&m); test_memory_round(&m);) {
        m.paused = true;
        assert_int_equal(nacre_known_hosts_new(&h, &m.hooks), NACRE_OK);
        m.paused = false;
        int rc = nacre_known_hosts_add_text(h, text, "f");
        test_memory_judge(&m, rc);
        assert_int_equal(nacre_known_hosts_count(h), rc == NACRE_OK ? 4 : 0);
        nacre_known_hosts_free(h);
    }
    assert_true(m.refused > 4);
    keydata_free(text);
}

static void lack_of_memory_revokes_no_revocation(void **state)
{
    fixture *f = *state;
    test_memory m;
    char line[4096];
    char text[8192];
    int n = nacre_known_hosts_add(NULL, "a.example.org", 22, f->ed, false, line, sizeof(line));
    assert_true(n > 0);
    assert_true(snprintf(text, sizeof(text), "@revoked %s%s", line, line) > n);
    bool told = false;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_known_hosts *h = NULL;
        nacre_host_line where;
        m.paused = true;
        assert_int_equal(nacre_known_hosts_new(&h, &m.hooks), NACRE_OK);
        assert_int_equal(nacre_known_hosts_add_text(h, nc_span_cstr(text), "f"), NACRE_OK);
        m.paused = false;
        nacre_host_match got = nacre_known_hosts_check(h, "a.example.org", 22, f->ed, &where);
        assert_true(got == NACRE_HOST_REVOKED || (m.failed && got == NACRE_HOST_CHANGED));
        told = got == NACRE_HOST_REVOKED;
        assert_int_equal(where.line, 1);
        nacre_known_hosts_free(h);
    }
    assert_true(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_match_as_ssh_does),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(any_line_may_match),
        cmocka_unit_test(revocation_comes_first),
        cmocka_unit_test(bad_lines_are_kept_and_say_nothing),
        cmocka_unit_test(unsupported_types_make_no_host_new),
        cmocka_unit_test(lines_hashed_by_ssh_keygen),
        cmocka_unit_test(added_lines_are_found),
        cmocka_unit_test(lack_of_memory_trusts_nobody),
        cmocka_unit_test(lack_of_memory_revokes_no_revocation),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
