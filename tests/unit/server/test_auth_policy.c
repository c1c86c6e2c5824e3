/*
 * test_auth_policy.c - lists of methods, as sshd reads AuthenticationMethods.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nacre/auth_policy.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

#define ALL "publickey,password,keyboard-interactive,hostbased"

static nacre_auth_policy *make(const char *enabled, const char *a, const char *b)
{
    const char *lists[] = {a, b};
    nacre_auth_policy *p = NULL;
    nacre_error err;
    assert_int_equal(
        nacre_auth_policy_new(&p, NULL, lists, (a ? 1u : 0u) + (b ? 1u : 0u), enabled, &err),
        NACRE_OK);
    assert_non_null(p);
    assert_int_equal(err.status, NACRE_OK);
    return p;
}

static void expect_methods(const nacre_auth_policy *p, const char *methods)
{
    assert_string_equal(nacre_auth_policy_methods(p), methods);
}

static void without_lists_one_method_is_enough(void **state)
{
    (void)state;
    const char *ways[] = {NULL, "any"};
    for (int i = 0; i < 2; i++) {
        nacre_auth_policy *p = make("password,publickey", ways[i], NULL);
        expect_methods(p, "publickey,password");
        assert_true(nacre_auth_policy_allows(p, "publickey", NULL));
        assert_true(nacre_auth_policy_allows(p, "password", "x"));
        assert_false(nacre_auth_policy_allows(p, "hostbased", NULL));
        assert_false(nacre_auth_policy_allows(p, "none", NULL));
        assert_false(nacre_auth_policy_allows(p, "", NULL));
        assert_int_equal(nacre_auth_policy_passed(p, "hostbased", NULL), NACRE_AUTH_FAILED);
        assert_int_equal(nacre_auth_policy_passed(p, "password", NULL), NACRE_OK);
        nacre_auth_policy_free(p);
    }
}

static void order_inside_a_list_counts(void **state)
{
    (void)state;
    nacre_auth_policy *p = make(ALL, "publickey,password", NULL);
    expect_methods(p, "publickey");
    assert_false(nacre_auth_policy_allows(p, "password", NULL));
    assert_int_equal(nacre_auth_policy_passed(p, "password", NULL), NACRE_AUTH_FAILED);
    expect_methods(p, "publickey");
    assert_int_equal(nacre_auth_policy_passed(p, "publickey", NULL), NACRE_AUTH_PARTIAL);
    expect_methods(p, "password");
    assert_int_equal(nacre_auth_policy_passed(p, "publickey", NULL), NACRE_AUTH_FAILED);
    assert_int_equal(nacre_auth_policy_passed(p, "password", NULL), NACRE_OK);
    expect_methods(p, "");
    assert_int_equal(nacre_auth_policy_passed(p, "password", NULL), NACRE_AUTH_FAILED);
    nacre_auth_policy_free(p);
}

static void the_first_complete_list_lets_in(void **state)
{
    (void)state;
    nacre_auth_policy *p = make(ALL, "publickey,password", "publickey,keyboard-interactive");
    expect_methods(p, "publickey");
    assert_int_equal(nacre_auth_policy_passed(p, "publickey", NULL), NACRE_AUTH_PARTIAL);
    expect_methods(p, "password,keyboard-interactive");
    assert_int_equal(nacre_auth_policy_passed(p, "keyboard-interactive", NULL), NACRE_OK);
    nacre_auth_policy_free(p);
    p = make(ALL, "password,publickey", "publickey,password,hostbased");
    expect_methods(p, "publickey,password");
    assert_int_equal(nacre_auth_policy_passed(p, "publickey", NULL), NACRE_AUTH_PARTIAL);
    /* the first list still waits for a password, and then for a key */
    expect_methods(p, "password");
    assert_int_equal(nacre_auth_policy_passed(p, "password", NULL), NACRE_AUTH_PARTIAL);
    expect_methods(p, "publickey,hostbased");
    assert_int_equal(nacre_auth_policy_passed(p, "hostbased", NULL), NACRE_OK);
    nacre_auth_policy_free(p);
}

static void a_method_may_be_wanted_twice(void **state)
{
    (void)state;
    nacre_auth_policy *p = make(ALL, "publickey,publickey", NULL);
    assert_int_equal(nacre_auth_policy_passed(p, "publickey", NULL), NACRE_AUTH_PARTIAL);
    expect_methods(p, "publickey");
    assert_int_equal(nacre_auth_policy_passed(p, "publickey", NULL), NACRE_OK);
    nacre_auth_policy_free(p);
}

static void a_way_of_a_method_can_be_wanted(void **state)
{
    (void)state;
    nacre_auth_policy *p = make(ALL, "keyboard-interactive:pam,publickey", NULL);
    expect_methods(p, "keyboard-interactive");
    assert_true(nacre_auth_policy_allows(p, "keyboard-interactive", NULL));
    assert_true(nacre_auth_policy_allows(p, "keyboard-interactive", "pam"));
    assert_false(nacre_auth_policy_allows(p, "keyboard-interactive", "pa"));
    assert_false(nacre_auth_policy_allows(p, "keyboard-interactive", "pamx"));
    assert_false(nacre_auth_policy_allows(p, "keyboard-interactive", "bsdauth"));
    assert_false(nacre_auth_policy_allows(p, "keyboard-interactive", ""));
    assert_int_equal(nacre_auth_policy_passed(p, "keyboard-interactive", "bsdauth"),
                     NACRE_AUTH_FAILED);
    assert_int_equal(nacre_auth_policy_passed(p, "keyboard-interactive", NULL), NACRE_AUTH_FAILED);
    expect_methods(p, "keyboard-interactive");
    assert_int_equal(nacre_auth_policy_passed(p, "keyboard-interactive", "pam"),
                     NACRE_AUTH_PARTIAL);
    expect_methods(p, "publickey");
    nacre_auth_policy_free(p);
    p = make(ALL, "keyboard-interactive", "keyboard-interactive:pam,password");
    assert_int_equal(nacre_auth_policy_passed(p, "keyboard-interactive", "other"), NACRE_OK);
    nacre_auth_policy_free(p);
}

static void lists_that_cannot_be_completed_are_left_out(void **state)
{
    (void)state;
    nacre_error err;
    nacre_auth_policy *p = make("publickey,password", "publickey,hostbased", "password");
    expect_methods(p, "password"); /* no key, for that way ends nowhere */
    assert_false(nacre_auth_policy_allows(p, "publickey", NULL));
    nacre_auth_policy_free(p);
    const char *lists[] = {"publickey,hostbased", "none", "gssapi-with-mic"};
    for (size_t n = 1; n <= 3; n++) {
        p = (nacre_auth_policy *)(uintptr_t)1;
        assert_int_equal(nacre_auth_policy_new(&p, NULL, lists, n, "publickey,none", &err),
                         NACRE_UNSUPPORTED);
        assert_null(p);
        assert_non_null(strstr(err.text, "not enabled"));
    }
    p = make("", NULL, NULL); /* nothing is enabled: nothing is offered */
    expect_methods(p, "");
    assert_int_equal(nacre_auth_policy_passed(p, "publickey", NULL), NACRE_AUTH_FAILED);
    nacre_auth_policy_free(p);
}

static void what_is_no_list_is_refused(void **state)
{
    (void)state;
    char huge[8192];
    memset(huge, 0, sizeof(huge));
    while (strlen(huge) < 5000) {
        strncat(huge, "publickey,", sizeof(huge) - strlen(huge) - 1);
    }
    strncat(huge, "password", sizeof(huge) - strlen(huge) - 1);
    const char *bad[] = {"",
                         ",",
                         "publickey,",
                         ",publickey",
                         "publickey,,password",
                         "rot13",
                         "Publickey",
                         "publickey password",
                         "publickey:",
                         "keyboard-interactive:,publickey",
                         ":pam",
                         "publickey,any",
                         "any,publickey",
                         "publickey-hostbound-v00@openssh.com",
                         "pass\nword",
                         huge};
    nacre_error err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        nacre_auth_policy *p = NULL;
        assert_int_equal(nacre_auth_policy_check(bad[i], &err), NACRE_SYNTAX);
        assert_true(err.text[0] != '\0');
        assert_null(strchr(err.text, '\n'));
        assert_int_equal(nacre_auth_policy_new(&p, NULL, &bad[i], 1, ALL, &err), NACRE_SYNTAX);
        assert_null(p);
    }
    assert_int_equal(nacre_auth_policy_check(NULL, &err), NACRE_SYNTAX);
    const char *mixed[] = {"publickey", "any"};
    nacre_auth_policy *p = NULL;
    assert_int_equal(nacre_auth_policy_new(&p, NULL, mixed, 2, ALL, &err), NACRE_SYNTAX);
    assert_int_equal(nacre_auth_policy_new(&p, NULL, mixed, 1, "publickey,rot13", &err),
                     NACRE_SYNTAX);
    assert_int_equal(nacre_auth_policy_new(&p, NULL, NULL, 257, ALL, &err), NACRE_LIMIT);
    const char *good[] = {"any", "publickey", "gssapi-with-mic,none",
                          "publickey,password,keyboard-interactive:pam,hostbased:x"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(nacre_auth_policy_check(good[i], &err), NACRE_OK);
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    const char *lists[] = {"publickey,password", "password"};
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_auth_policy *p = NULL;
        nacre_error err;
        int rc = nacre_auth_policy_new(&p, &m.hooks, lists, 2, ALL, &err);
        test_memory_judge(&m, rc);
        assert_true((rc == NACRE_OK) == (p != NULL));
        nacre_auth_policy_free(p);
    }
    assert_true(m.refused >= 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_lists_one_method_is_enough),
        cmocka_unit_test(order_inside_a_list_counts),
        cmocka_unit_test(the_first_complete_list_lets_in),
        cmocka_unit_test(a_method_may_be_wanted_twice),
        cmocka_unit_test(a_way_of_a_method_can_be_wanted),
        cmocka_unit_test(lists_that_cannot_be_completed_are_left_out),
        cmocka_unit_test(what_is_no_list_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("authentication policy", tests, NULL, NULL);
}
