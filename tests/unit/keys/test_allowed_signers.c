/*
 * allowed_signers: which line allows a key to sign, and which must not; dates as such files write them.
 */
#include "keydata.h"

#include "nacre/cert.h"
#include "nacre/sshsig.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    nacre_key *key, *other;
    char line[512], other_line[512];
    nacre_signer_rules rules;
    nacre_error why;
    char notes[4096];
} fixture;

static const uint64_t now = 1700000000; /* 2023-11-14 22:13:20 UTC */

static void note(void *user, nacre_log_level level, const char *line)
{
    fixture *f = user;
    (void)level;
    size_t n = strlen(f->notes);
    snprintf(f->notes + n, sizeof(f->notes) - n, "%s\n", line);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->key = keydata_public("ed25519");
    f->other = keydata_public("rsa2048");
    assert_true(nacre_key_public_line(f->key, f->line, sizeof(f->line)) > 0);
    assert_true(nacre_key_public_line(f->other, f->other_line, sizeof(f->other_line)) > 0);
    nacre_signer_rules_init(&f->rules);
    f->rules.source = "signers";
    f->rules.principal = "mina@example.org";
    f->rules.sig_namespace = "file";
    f->rules.verify_time = now;
    f->rules.note = note;
    f->rules.note_user = f;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    nacre_key_free(f->key);
    nacre_key_free(f->other);
    free(f);
    return 0;
}

static int check(fixture *f, const char *text)
{
    f->notes[0] = '\0';
    int rc = nacre_allowed_signers_check(keydata_cstr(text), f->key, &f->rules, NULL, &f->why);
    assert_true(rc == NACRE_OK || rc == NACRE_NOT_FOUND);
    assert_int_equal(f->why.status, rc);
    return rc;
}

static int with(fixture *f, const char *front)
{
    static char text[20000];
    snprintf(text, sizeof(text), "%s %s comment\n", front, f->line);
    return check(f, text);
}

static void lines_that_allow(void **state)
{
    fixture *f = *state;
    static const char *const rows[] = {
        "mina@example.org",
        "  mina@example.org",
        "*",
        "*@example.org",
        "other,m?na@*",
        "!other@example.org,*@example.org",
        "\"mina@example.org\"",
        "\"other,mina@example.org\"",
        "mina@\"example.org\"",
        "* namespaces=\"file\"",
        "* NAMESPACES=\"git,fi*\"",
        "* namespaces=\"*,!git\"",
        "* namespaces=\"\\\"x\\\",file\"",
        "* valid-after=\"20231114\"",
        "* valid-before=\"20231115\"",
        "* valid-after=\"20231114Z\",valid-before=\"20231114221321UTC\"",
        "* valid-before=\"20231114221320Z\"",
        "* valid-after=\"20231114221320z\"",
        "* valid-after=\"202311142213\"",
        "* namespaces=\"file\",valid-after=\"19700102\"",
        "* namespaces=\"file\",,valid-after=\"20200101\"",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (with(f, rows[i]) != NACRE_OK) {
            fail_msg("%s: %s", rows[i], f->why.text);
        }
        assert_string_equal(f->notes, "");
    }
    f->rules.sig_namespace = NULL;
    assert_int_equal(with(f, "* namespaces=\"git\""), NACRE_OK);
}

static void lines_that_do_not(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *front, *says; /* NULL: nothing to be said */
    } rows[] = {
        {"other@example.org", NULL},
        {"MINA@example.org", NULL},
        {"*@example.org,!mina@*", NULL},
        {"# *", NULL},
        {"* cert-authority", NULL},
        {"* namespaces=\"git\"", "not permitted for use in signature namespace \"file\""},
        {"* namespaces=\"*,!file\"", "not permitted"},
        {"* namespaces=\"\"", "not permitted"},
        {"* namespaces=\"FILE\"", "not permitted"},
        {"* namespaces=\"\\\"file\\\"\"", "not permitted"},
        {"* namespaces=\"file\",namespaces=\"file\"", "multiple \"namespaces\" clauses"},
        {"* namespaces=file", "missing start quote"},
        {"* namespaces=", "missing start quote"},
        {"* namespaces", "unknown key option"},
        {"* cert-authority=\"yes\"", "unknown key option"},
        {"* no-such-option", "unknown key option"},
        {"* no-touch-required", "unknown key option"},
        {"* namespaces=\"file\",", "unexpected end-of-options"},
        {"* namespaces=\"file\"valid-after=\"20200101\"", "unknown key option"},
        {"* valid-after=\"20231115\"",
         "not yet valid: verify time 2023-11-14T22:13:20 < valid-after 2023-11-15T00:00:00"},
        {"* valid-before=\"20231114\"",
         "expired: verify time 2023-11-14T22:13:20 > valid-before 2023-11-14T00:00:00"},
        {"* valid-before=\"20231114221319Z\"", "expired"},
        {"* valid-after=\"20231115\",valid-before=\"20231114\"", "\"valid-before\" time is before"},
        {"* valid-after=\"20231114\",valid-before=\"20231114\"", "\"valid-before\" time is before"},
        {"* valid-after=\"20231114\",valid-after=\"20231114\"", "multiple \"valid-after\""},
        {"* valid-before=\"20231214\",valid-before=\"20231214\"", "multiple \"valid-before\""},
        {"* valid-after=\"\"", "invalid \"valid-after\""},
        {"* valid-after=\"yesterday\"", "invalid \"valid-after\""},
        {"* valid-after=\"2023-11-14\"", "invalid \"valid-after\""},
        {"* valid-after=\"19700101Z\"", "invalid \"valid-after\""},
        {"* valid-before=\"20231314\"", "invalid \"valid-before\""},
        {"* valid-before=\"20230229\"", "invalid \"valid-before\""},
        {"* valid-before=\"202311142460\"", "invalid \"valid-before\""},
        {"* valid-before=\"+1d\"", "invalid \"valid-before\""},
        {"* namespaces=\"file", "invalid options"},
        {"\"mina@example.org", "invalid line"},
        {"* x y", "invalid key"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (with(f, rows[i].front) != NACRE_NOT_FOUND) {
            fail_msg("%s: allowed", rows[i].front);
        }
        if (rows[i].says &&
            (!strstr(f->notes, rows[i].says) || !strstr(f->why.text, rows[i].says) ||
             strncmp(f->notes, "signers:1: ", 11) != 0)) {
            fail_msg("%s: %s (%s)", rows[i].front, f->why.text, f->notes);
        }
        if (!rows[i].says) {
            assert_string_equal(f->notes, "");
        }
    }
}

static void files_of_several_lines(void **state)
{
    fixture *f = *state;
    char text[4096];
    /* a line that does not serve hides none that does */
    snprintf(text, sizeof(text),
             "# signers\n\n*\n* bad-option %s\n* namespaces=\"git\" %s\n* %s\r\n* %s\n", f->line,
             f->line, f->other_line, f->line);
    assert_int_equal(check(f, text), NACRE_OK);
    assert_non_null(strstr(f->notes, "signers:3: missing key"));
    assert_non_null(strstr(f->notes, "signers:4: bad options"));
    assert_non_null(strstr(f->notes, "signers:5: key is not permitted"));
    snprintf(text, sizeof(text), "* bad-option %s\n* %s\n", f->line, f->other_line);
    assert_int_equal(check(f, text), NACRE_NOT_FOUND);
    assert_int_equal(check(f, ""), NACRE_NOT_FOUND);
    /* cut anywhere in the key, it is no key */
    for (size_t n = 0; n < strlen(f->line); n++) {
        snprintf(text, sizeof(text), "* %.*s", (int)n, f->line);
        assert_int_equal(check(f, text), NACRE_NOT_FOUND);
    }
    size_t n = (size_t)snprintf(text, sizeof(text), "*X%s %s\n", "", f->line);
    text[1] = '\0';
    nacre_span odd = {(const uint8_t *)text, n};
    assert_int_equal(nacre_allowed_signers_check(odd, f->key, &f->rules, NULL, &f->why),
                     NACRE_NOT_FOUND);
    /* nor behind the key: what others read as the end of the line is none */
    n = (size_t)snprintf(text, sizeof(text), "* %s x more\n", f->line);
    assert_int_equal(check(f, text), NACRE_OK);
    text[n - 6] = '\0';
    odd.n = n;
    assert_int_equal(nacre_allowed_signers_check(odd, f->key, &f->rules, NULL, &f->why),
                     NACRE_NOT_FOUND);
}

static void principals_are_found(void **state)
{
    fixture *f = *state;
    char text[4096], *list = NULL;
    f->rules.principal = NULL;
    f->rules.sig_namespace = NULL;
    snprintf(text, sizeof(text), "one %s\ntwo,\"three four\" namespaces=\"git\" %s\nfive %s\n",
             f->other_line, f->line, f->line);
    assert_int_equal(
        nacre_allowed_signers_check(keydata_cstr(text), f->key, &f->rules, &list, &f->why),
        NACRE_OK);
    assert_string_equal(list, "two,three four");
    nacre_secret_free(NULL, list, strlen(list) + 1);
    assert_int_equal(
        nacre_allowed_signers_check(keydata_cstr("one x"), f->key, &f->rules, &list, &f->why),
        NACRE_NOT_FOUND);
    assert_null(list);
}

static void principals_are_matched(void **state)
{
    fixture *f = *state;
    char text[4096], *list = NULL;
    snprintf(text, sizeof(text),
             "mina@example.org %s\nother bad-option %s\n*@example.org %s\nmina@* bad-option %s\n",
             f->line, f->line, f->other_line, f->line);
    nacre_span rest = keydata_cstr(text);
    uint32_t line = 0;
    static const char *const lists[] = {"mina@example.org", "*@example.org"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(nacre_allowed_signers_next(&rest, &line, NULL, &f->rules, &list, &f->why),
                         NACRE_OK);
        assert_string_equal(list, lists[i]);
        nacre_secret_free(NULL, list, strlen(list) + 1);
    }
    assert_int_equal(line, 3);
    assert_int_equal(nacre_allowed_signers_next(&rest, &line, NULL, &f->rules, &list, &f->why),
                     NACRE_SYNTAX);
    assert_int_equal(line, 4);
    assert_null(list);
    assert_int_equal(nacre_allowed_signers_next(&rest, &line, NULL, &f->rules, &list, &f->why),
                     NACRE_END);
}

/* ---- dates ----------------------------------------------------------------------------------- */

/* A zone with summer time: two hours ahead from April to October of 2023, else one. */
static int32_t rome(void *user, int64_t seconds, bool wall)
{
    (void)user;
    int64_t utc = wall ? seconds - 3600 : seconds;
    return utc >= 1680310800 && utc < 1698541200 ? 7200 : 3600;
}

static void dates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t utc, rome; /* -1: no date */
    } rows[] = {
        {"20231114", 1699920000, 1699916400},
        {"202311141530", 1699975800, 1699972200},
        {"20231114153001", 1699975801, 1699972201},
        {"20231114153001Z", 1699975801, 1699975801},
        {"20231114utc", 1699920000, 1699920000},
        {"20230701", 1688169600, 1688162400},
        {"20240229", 1709164800, 1709161200},
        {"20000229Z", 951782400, 951782400},
        {"99991231235959Z", 253402300799, 253402300799},
        {"19700101Z", 0, 0},
        {"19700101", 0, -1},
        {"19691231", -1, -1},
        {"21000229", -1, -1},
        {"2023111", -1, -1},
        {"2023111415", -1, -1},
        {"2023111415300", -1, -1},
        {"202311141530011", -1, -1},
        {"20231114ZZ", -1, -1},
        {"2023-1-4", -1, -1},
        {"20230001", -1, -1},
        {"20230100", -1, -1},
        {"20230132", -1, -1},
        {"202301012400", -1, -1},
        {"202301010060", -1, -1},
        {"20230101000061", -1, -1},
        {"Z", -1, -1},
        {"UTC", -1, -1},
        {"", -1, -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t at = 7;
        int rc = nacre_date_parse(keydata_cstr(rows[i].text), NULL, NULL, &at);
        assert_int_equal(rc, rows[i].utc < 0 ? NACRE_SYNTAX : NACRE_OK);
        assert_int_equal(at, rows[i].utc < 0 ? 7 : rows[i].utc);
        rc = nacre_date_parse(keydata_cstr(rows[i].text), rome, NULL, &at);
        assert_int_equal(rc, rows[i].rome < 0 ? NACRE_SYNTAX : NACRE_OK);
        if (rc == NACRE_OK) {
            assert_int_equal(at, rows[i].rome);
        }
    }
}

static void dates_are_written(void **state)
{
    (void)state;
    char out[32];
    assert_int_equal(nacre_date_write(1699975801, NULL, NULL, out, sizeof(out)), 19);
    assert_string_equal(out, "2023-11-14T15:30:01");
    assert_int_equal(nacre_date_write(1699975801, rome, NULL, out, sizeof(out)), 19);
    assert_string_equal(out, "2023-11-14T16:30:01");
    assert_int_equal(nacre_date_write(1688162400, rome, NULL, out, sizeof(out)), 19);
    assert_string_equal(out, "2023-07-01T00:00:00");
    assert_int_equal(nacre_date_write(0, NULL, NULL, out, sizeof(out)), 19);
    assert_string_equal(out, "1970-01-01T00:00:00");
    assert_int_equal(nacre_date_write(951782400, NULL, NULL, out, sizeof(out)), 19);
    assert_string_equal(out, "2000-02-29T00:00:00");
    assert_int_equal(nacre_date_write(UINT64_MAX, rome, NULL, out, sizeof(out)), 19);
    assert_string_equal(out, "9999-12-31T23:59:59");
    assert_int_equal(nacre_date_write(0, NULL, NULL, out, 19), NACRE_TOO_LARGE);
    uint32_t seconds = 0;
    assert_int_equal(nacre_duration_parse("1w2d", &seconds), NACRE_OK);
    assert_int_equal(seconds, 9 * 86400);
    assert_int_equal(nacre_duration_parse("", &seconds), NACRE_SYNTAX);
    assert_int_equal(nacre_duration_parse("1x", &seconds), NACRE_SYNTAX);
}

static void the_zone_of_the_process(void **state)
{
    (void)state;
    char before[64] = "";
    const char *tz = getenv("TZ");
    if (tz) {
        snprintf(before, sizeof(before), "%s", tz);
    }
    assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
    assert_int_equal(nacre_zone_local(NULL, 1688162400, false), 7200);
    assert_int_equal(nacre_zone_local(NULL, 1688169600, true), 7200);
    assert_int_equal(nacre_zone_local(NULL, 1699916400, false), 3600);
    assert_int_equal(nacre_zone_local(NULL, 1699920000, true), 3600);
    if (tz) {
        assert_int_equal(setenv("TZ", before, 1), 0);
    } else {
        assert_int_equal(unsetenv("TZ"), 0);
    }
}

/* ---- certificates ---------------------------------------------------------------------------- */

static nacre_key *certificate(const char *name)
{
    char path[100];
    nacre_key *key = NULL;
    snprintf(path, sizeof(path), "../certs/%s-cert.pub", name);
    nacre_span text = keydata_read(path);
    assert_int_equal(nacre_key_from_public_line(&key, NULL, text, NULL), NACRE_OK);
    keydata_free(text);
    return key;
}

/* A file of one line "<front> <key of the authority>". */
static int certified(fixture *f, const char *name, const char *front, const char *ca, char **list)
{
    char line[512], text[2048];
    nacre_key *cert = certificate(name);
    nacre_key *authority = keydata_public(ca);
    assert_true(nacre_key_public_line(authority, line, sizeof(line)) > 0);
    snprintf(text, sizeof(text), "%s %s\n", front, line);
    f->notes[0] = '\0';
    int rc = nacre_allowed_signers_check(keydata_cstr(text), cert, &f->rules, list, &f->why);
    nacre_key_free(authority);
    nacre_key_free(cert);
    return rc;
}

static void certificates_speak_for_their_principals(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *cert, *front, *ca, *principal;
        uint64_t at;
        const char *says; /* "": allowed; NULL: nothing is to be said */
    } rows[] = {
        {"user_ecdsa256", "* cert-authority", "ed25519_other", "alice", 1800000000, ""},
        {"user_ecdsa256", "bob,x cert-authority,namespaces=\"f*\"", "ed25519_other", "bob",
         1800000000, ""},
        {"user_ecdsa256", "* cert-authority", "ed25519_other", "carol", 1800000000,
         "not a listed principal"},
        {"user_ecdsa256", "alice cert-authority", "ed25519_other", "bob", 1800000000, NULL},
        {"user_ecdsa256", "*", "ed25519_other", "alice", 1800000000, NULL},
        {"user_ecdsa256", "* cert-authority", "ed25519", "alice", 1800000000, NULL},
        {"user_ecdsa256", "* cert-authority", "ecdsa256", "alice", 1800000000, NULL},
        {"user_ecdsa256", "* cert-authority", "ed25519_other", "alice", 1704067199,
         "not yet valid"},
        {"user_ecdsa256", "* cert-authority", "ed25519_other", "alice", 1704067200, ""},
        {"user_ecdsa256", "* cert-authority", "ed25519_other", "alice", 2019686400, "expired"},
        {"user_ecdsa256", "* cert-authority,namespaces=\"git\"", "ed25519_other", "alice",
         1800000000, "not permitted"},
        {"user_ecdsa256", "* cert-authority,valid-before=\"20200101\"", "ed25519_other", "alice",
         1800000000, "key has expired"},
        {"host", "* cert-authority", "ecdsa384", "host.example", 1800000000,
         "not a user certificate"},
        {"nobody", "* cert-authority", "ed25519_other", "alice", 1800000000,
         "lacks principal list"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        f->rules.principal = rows[i].principal;
        f->rules.verify_time = rows[i].at;
        int rc = certified(f, rows[i].cert, rows[i].front, rows[i].ca, NULL);
        bool allowed = rows[i].says && !*rows[i].says;
        if (rc != (allowed ? NACRE_OK : NACRE_NOT_FOUND) ||
            (rows[i].says && !strstr(f->notes, rows[i].says)) || (!rows[i].says && f->notes[0])) {
            fail_msg("row %zu: %d, %s", i, rc, f->notes);
        }
    }
}

static void principals_of_certificates_are_found(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *cert, *front, *list; /* NULL: none */
        uint64_t at;
    } rows[] = {
        {"user_ecdsa256", "* cert-authority", "alice,bob", 1800000000},
        {"user_ecdsa256", "carol,b?b cert-authority", "bob", 1800000000},
        {"user_ecdsa256", "bob,alice cert-authority", "bob,alice", 1800000000},
        {"user_ecdsa256", "carol cert-authority", NULL, 1800000000},
        {"user_ecdsa256", "* cert-authority", NULL, 1},
        {"nobody", "* cert-authority", NULL, 1800000000},
    };
    f->rules.principal = NULL;
    f->rules.sig_namespace = NULL;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *list = NULL;
        f->rules.verify_time = rows[i].at;
        int rc = certified(f, rows[i].cert, rows[i].front, "ed25519_other", &list);
        assert_int_equal(rc, rows[i].list ? NACRE_OK : NACRE_NOT_FOUND);
        if (rows[i].list) {
            assert_string_equal(list, rows[i].list);
            nacre_secret_free(NULL, list, strlen(list) + 1);
        } else {
            assert_null(list);
            assert_non_null(strstr(f->notes, "no valid principals found"));
        }
    }
}

/* A list of names is written with commas: a name that holds one would be read as two (CVE-2026-35414). */
static void names_with_commas_are_no_names(void **state)
{
    fixture *f = *state;
    const nacre_span names[] = {keydata_cstr("alice,root"), keydata_cstr("bob")};
    nacre_cert_request r;
    nacre_key *ca = keydata_private("ed25519"), *cert = NULL;
    char line[512], text[2048], *list = NULL;
    nacre_cert_request_init(&r, NACRE_CERT_USER);
    r.principals = names;
    r.principal_count = 2;
    assert_int_equal(nacre_cert_issue(&cert, f->other, ca, &r, &f->why), NACRE_OK);
    assert_true(nacre_key_public_line(ca, line, sizeof(line)) > 0);
    snprintf(text, sizeof(text), "* cert-authority %s\n", line);
    static const char *const principals[] = {"root", "alice", "alice,root", "bob"};
    for (size_t i = 0; i < 4; i++) { /* whole, it is a name like others; a part of it is none */
        f->rules.principal = principals[i];
        int rc = nacre_allowed_signers_check(keydata_cstr(text), cert, &f->rules, NULL, &f->why);
        assert_int_equal(rc, i < 2 ? NACRE_NOT_FOUND : NACRE_OK);
    }
    f->rules.principal = NULL;
    assert_int_equal(
        nacre_allowed_signers_check(keydata_cstr(text), cert, &f->rules, &list, &f->why), NACRE_OK);
    assert_string_equal(list, "bob");
    nacre_secret_free(NULL, list, strlen(list) + 1);
    nacre_key_free(cert);
    nacre_key_free(ca);
}

/* ---- fingerprints as words ------------------------------------------------------------------- */

static void fingerprints_as_words(void **state)
{
    (void)state;
    static const struct {
        const char *key, *words;
    } rows[] = {
        {"ed25519", "xecoz-cenob-pemah-febem-lobes-likom-modoc-fivon-vibub-pypuh-byxex"},
        {"rsa2048", "xerez-conac-makup-gatar-pezoc-sulif-kukem-kegym-refuh-peler-tyxix"},
    };
    for (size_t i = 0; i < 2; i++) {
        char out[128];
        nacre_key *key = keydata_public(rows[i].key);
        assert_int_equal(nacre_key_babble(key, out, sizeof(out)), strlen(rows[i].words));
        assert_string_equal(out, rows[i].words);
        assert_int_equal(nacre_key_babble(key, out, strlen(rows[i].words)), NACRE_TOO_LARGE);
        nacre_key_free(key);
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void every_failed_allocation_is_survived(void **state)
{
    fixture *f = *state;
    char text[4096];
    snprintf(text, sizeof(text),
             "* namespaces=\"git\" %s\n* namespaces=\"file\",valid-after=\"20200101\" %s\n",
             f->line, f->line);
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_key *key = NULL;
        char *list = NULL;
        int rc = nacre_key_from_public_line(&key, &m.hooks, keydata_cstr(f->line), NULL);
        if (rc == NACRE_OK) {
            rc = nacre_allowed_signers_check(keydata_cstr(text), key, &f->rules, &list, &f->why);
        }
        test_memory_judge(&m, rc);
        nacre_secret_free(&m.hooks, list, list ? strlen(list) + 1 : 0);
        nacre_key_free(key);
    }
    assert_true(m.refused > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_that_allow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_that_do_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_of_several_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(principals_are_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(principals_are_matched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(certificates_speak_for_their_principals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(principals_of_certificates_are_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_with_commas_are_no_names, set_up, tear_down),
        cmocka_unit_test(fingerprints_as_words),
        cmocka_unit_test(dates),
        cmocka_unit_test(dates_are_written),
        cmocka_unit_test(the_zone_of_the_process),
        cmocka_unit_test_setup_teardown(every_failed_allocation_is_survived, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
