/*
 * test_hostbased.c - which hosts are believed: lines of shosts files, and the files together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nacre/hostbased.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- lines ----------------------------------------------------------------------------------------------- */

static int ask(const char *text, uint32_t *line)
{
    nacre_span s = {(const uint8_t *)text, strlen(text)};
    return nacre_rhosts_check(s, "client.example.org", "192.0.2.7", "bob", "alice", line);
}

static void lines_that_allow(void **state)
{
    (void)state;
    static const char *const good[] = {
        "client.example.org bob\n",
        "CLIENT.example.ORG bob",
        "  client.example.org\tbob  \r\n",
        "192.0.2.7 bob\n",
        "+client.example.org +bob\n",
        "# a comment\n\nother.example.org bob\nclient.example.org bob\n",
        "client.example.org mallory\nclient.example.org bob\n",
        "NO_PLUS\nclient.example.org bob\n",
        "-client.example.org mallory\nclient.example.org bob\n",
        "+ +\nclient.example.org bob\n",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(ask(good[i], NULL), NACRE_OK);
    }
    uint32_t line = 0;
    assert_int_equal(ask(good[5], &line), NACRE_OK);
    assert_int_equal(line, 4);
    /* a line without a user: whoever bears the name of the one who is to log in */
    nacre_span s = {(const uint8_t *)"client.example.org\n", 19};
    assert_int_equal(
        nacre_rhosts_check(s, "client.example.org", "192.0.2.7", "alice", "alice", NULL), NACRE_OK);
}

static void lines_that_do_not(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "\n\n",
        "client.example.org\n", /* bob is not alice */
        "client.example.org alice\n",
        "client.example.org Bob\n",
        "client.example.or bob\n",
        "client.example.org. bob\n",
        "*.example.org bob\n",
        "192.0.2.0/24 bob\n",
        "+\n",
        "+ +\n",
        "+ bob\n",
        "client.example.org +\n",
        "client.example.org -\n",
        "- bob\n",
        "#client.example.org bob\n",
        "client.example.org bob extra\n",
        "client.example.org,bob\n",
        "client.example.org \"bob\"\n",
        "bob client.example.org\n",
        "+@nobody-has-this-netgroup bob\n",
        "client.example.org +@nobody-has-this-netgroup\n",
        "@\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ask(bad[i], NULL), NACRE_NOT_FOUND);
    }
    static const char zero[] = "client.example.org\0x bob\nclient.example.org bo\0b\n";
    nacre_span s = {(const uint8_t *)zero, sizeof(zero) - 1};
    assert_int_equal(nacre_rhosts_check(s, "client.example.org", "a", "bo", "alice", NULL),
                     NACRE_NOT_FOUND);
    char *huge = malloc(4096);
    assert_non_null(huge);
    memset(huge, 'h', 4096);
    memcpy(huge + 4080, " bob\n", 6);
    assert_int_equal(ask(huge, NULL), NACRE_NOT_FOUND);
    free(huge);
}

static void the_first_line_that_fits_decides(void **state)
{
    (void)state;
    uint32_t line = 0;
    static const char *const no[] = {
        "-client.example.org bob\nclient.example.org bob\n",
        "client.example.org -bob\nclient.example.org bob\n",
        "-192.0.2.7 bob\n",
        "other\n-client.example.org -bob\n",
    };
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        assert_int_equal(ask(no[i], &line), NACRE_AUTH_FAILED);
    }
    assert_int_equal(line, 2);
    assert_int_equal(ask("client.example.org bob\n-client.example.org bob\n", NULL), NACRE_OK);
}

/* ---- files ------------------------------------------------------------------------------------------------- */

static char dir[64];
static char home[96];
static char equiv[96];
static char known[96];
static nacre_key *key, *other;
static nacre_account account;
static nacre_hostbased_rules rules;
static nacre_hostbased_claim claim;
static nacre_error why;
static const char *equiv_list[1];
static const char *known_list[1];

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0644), 0);
}

static void put_key(const char *path, const char *host, const nacre_key *k, const char *marker)
{
    char line[1024];
    char text[1200];
    assert_true(nacre_key_public_line(k, line, sizeof(line)) > 0);
    snprintf(text, sizeof(text), "%s%s %s\n", marker, host, line);
    put(path, text);
}

static nacre_span span(const char *s)
{
    nacre_span out = {(const uint8_t *)s, strlen(s)};
    return out;
}

static char *in_home(const char *name)
{
    static char path[160];
    snprintf(path, sizeof(path), "%s/%s", home, name);
    return path;
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/nacre-hostbased-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(home, sizeof(home), "%s/home", dir);
    snprintf(equiv, sizeof(equiv), "%s/shosts.equiv", dir);
    snprintf(known, sizeof(known), "%s/known", dir);
    assert_int_equal(mkdir(home, 0755), 0);
    assert_int_equal(mkdir(in_home(".ssh"), 0700), 0);
    assert_int_equal(nacre_key_generate(&key, NULL, "ed25519", 0, NULL), NACRE_OK);
    assert_int_equal(nacre_key_generate(&other, NULL, "ed25519", 0, NULL), NACRE_OK);
    memset(&account, 0, sizeof(account));
    account.name = "alice";
    account.home = home;
    account.uid = getuid() ? getuid() : 4242;
    nacre_hostbased_rules_init(&rules);
    assert_int_equal(rules.user_files, NACRE_RHOSTS_NONE);
    assert_string_equal(rules.equiv_files[1], "/etc/ssh/shosts.equiv");
    equiv_list[0] = equiv;
    known_list[0] = known;
    rules.equiv_files = equiv_list;
    rules.equiv_count = 1;
    rules.known_hosts_files = known_list;
    rules.known_hosts_count = 1;
    rules.name_from_packet_only = true;
    memset(&claim, 0, sizeof(claim));
    claim.account = &account;
    claim.key = key;
    claim.client_host = span("client.example.org.");
    claim.client_user = span("bob");
    claim.peer_address = "192.0.2.7";
    put(equiv, "client.example.org bob\n");
    put_key(known, "client.example.org", key, "");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(equiv);
    (void)unlink(known);
    (void)unlink(in_home(".shosts"));
    (void)unlink(in_home(".rhosts"));
    (void)unlink(in_home(".ssh/known_hosts"));
    (void)rmdir(in_home(".ssh"));
    (void)rmdir(home);
    (void)rmdir(dir);
    nacre_key_free(key);
    nacre_key_free(other);
    return 0;
}

static int check(void)
{
    int rc = nacre_hostbased_check(&rules, &claim, &why);
    assert_int_equal(rc, why.status);
    assert_int_equal(rc == NACRE_OK, why.text[0] == '\0');
    return rc;
}

static void host_and_key_are_both_wanted(void **state)
{
    (void)state;
    assert_int_equal(check(), NACRE_OK);
    assert_int_equal(nacre_hostbased_check(&rules, &claim, NULL), NACRE_OK);
    claim.key = other;
    assert_int_equal(check(), NACRE_AUTH_FAILED);
    claim.key = key;
    put_key(known, "client.example.org", key, "@revoked ");
    assert_int_equal(check(), NACRE_AUTH_FAILED);
    assert_non_null(strstr(why.text, "revoked"));
    put_key(known, "elsewhere.example.org", key, "");
    assert_int_equal(check(), NACRE_AUTH_FAILED);
    assert_int_equal(unlink(known), 0);
    assert_int_equal(check(), NACRE_AUTH_FAILED);
    put_key(known, "client.example.org", key, "");
    put(equiv, "-client.example.org bob\n");
    assert_int_equal(check(), NACRE_AUTH_FAILED);
    assert_int_equal(unlink(equiv), 0);
    assert_int_equal(check(), NACRE_AUTH_FAILED);
    assert_int_equal(mkfifo(equiv, 0644), 0); /* never waited for */
    assert_int_not_equal(check(), NACRE_OK);
}

static void names_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", ".", "a b", "a\nb", "client.example.org bob", "\x7f"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        claim.client_host = span(bad[i]);
        assert_int_equal(check(), NACRE_AUTH_FAILED);
        claim.client_host = span("client.example.org");
        claim.client_user = span(bad[i][0] == '.' ? "" : bad[i]);
        assert_int_equal(check(), NACRE_AUTH_FAILED);
        claim.client_user = span("bob");
    }
    assert_int_equal(check(), NACRE_OK); /* without the dot as well */
    claim.account = NULL;
    assert_int_equal(check(), NACRE_AUTH_FAILED);
}

static void the_resolved_name_counts_unless_told_otherwise(void **state)
{
    (void)state;
    rules.name_from_packet_only = false;
    assert_int_equal(check(), NACRE_AUTH_FAILED); /* only the address is known */
    claim.peer_name = "client.example.org";
    assert_int_equal(check(), NACRE_OK);
    claim.client_host = span("liar.example.org."); /* what it says of itself does not matter then */
    assert_int_equal(check(), NACRE_OK);
    claim.peer_name = "liar.example.org";
    claim.client_host = span("client.example.org.");
    assert_int_equal(check(), NACRE_AUTH_FAILED);
    claim.peer_name = NULL;
    put(equiv, "192.0.2.7 bob\n");
    put_key(known, "192.0.2.7", key, "");
    assert_int_equal(check(), NACRE_OK);
    rules.name_from_packet_only = true; /* the name from the packet has no address */
    put_key(known, "client.example.org", key, "");
    assert_int_equal(check(), NACRE_AUTH_FAILED);
}

static void root_needs_files_of_its_own(void **state)
{
    (void)state;
    account.uid = 0;
    assert_int_equal(check(), NACRE_AUTH_FAILED);
    put(in_home(".shosts"), "client.example.org bob\n");
    assert_int_equal(check(), NACRE_AUTH_FAILED);
    rules.user_files = NACRE_RHOSTS_SHOSTS_ONLY;
    rules.strict_modes = false;
    assert_int_equal(check(), NACRE_OK);
}

static void user_files_count_when_they_may(void **state)
{
    (void)state;
    assert_int_equal(unlink(equiv), 0);
    account.uid = getuid() ? getuid() : 0;
    put(in_home(".rhosts"), "client.example.org bob\n");
    assert_int_equal(check(), NACRE_AUTH_FAILED);
    rules.user_files = NACRE_RHOSTS_SHOSTS_ONLY;
    assert_int_equal(check(), NACRE_AUTH_FAILED);
    rules.user_files = NACRE_RHOSTS_BOTH;
    assert_int_equal(check(), NACRE_OK);
    assert_int_equal(chmod(in_home(".rhosts"), 0664), 0);
    assert_int_equal(check(), NACRE_KEY_PERMISSIONS);
    rules.strict_modes = false;
    assert_int_equal(check(), NACRE_OK);
    rules.strict_modes = true;
    assert_int_equal(chmod(in_home(".rhosts"), 0644), 0);
    assert_int_equal(chmod(home, 0777), 0);
    assert_int_equal(check(), NACRE_KEY_PERMISSIONS);
    assert_int_equal(chmod(home, 0755), 0);
    /* the user's known_hosts */
    assert_int_equal(unlink(known), 0);
    assert_int_equal(check(), NACRE_AUTH_FAILED);
    put_key(in_home(".ssh/known_hosts"), "client.example.org", key, "");
    assert_int_equal(check(), NACRE_OK);
    rules.user_known_hosts = false;
    assert_int_equal(check(), NACRE_AUTH_FAILED);
    rules.user_known_hosts = true;
    assert_int_equal(chmod(in_home(".ssh/known_hosts"), 0666), 0);
    assert_int_not_equal(check(), NACRE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_that_allow),
        cmocka_unit_test(lines_that_do_not),
        cmocka_unit_test(the_first_line_that_fits_decides),
        cmocka_unit_test_setup_teardown(host_and_key_are_both_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(names_that_are_none_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_resolved_name_counts_unless_told_otherwise, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(root_needs_files_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(user_files_count_when_they_may, setup, teardown),
    };
    return cmocka_run_group_tests_name("hostbased", tests, NULL, NULL);
}
