/*
 * A crypt(3) that fails: by NULL, as musl's does where a password is too long, by the words that POSIX and libxcrypt
 * have for it, and by giving back what it was given. None of them lets anybody in. The linker puts it in the place of the
 * system's (--wrap, tests/unit/io/meson.build).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <crypt.h>

#include "io/fd.h"
#include "nacre/account.h"

static const char *answer;    /* "=": the setting itself */
static unsigned calls, cheap; /* cheap: with a setting that costs crypt(3) nothing */

char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);

char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
    (void)phrase;
    calls++;
    cheap += setting[0] != '$' || strlen(setting) < 4 ? 1 : 0;
    if (!answer) {
        return NULL;
    }
    (void)snprintf(data->output, sizeof(data->output), "%s",
                   strcmp(answer, "=") == 0 ? setting : answer);
    return data->output;
}

static void no_failure_of_crypt_is_a_yes(void **state)
{
    (void)state;
    static const char *const answers[] = {NULL, "", "*0", "*1", "*"};
    static const char *const stored[] = {NULL, "",  "*",  "*0",
                                         "*1", "!", "!!", "$6$saltsalt$something"};
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        for (size_t k = 0; k < sizeof(stored) / sizeof(stored[0]); k++) {
            answer = answers[i];
            calls = 0;
            assert_int_equal(nacre_password_matches(stored[k], nc_span_cstr("secret")),
                             NACRE_AUTH_FAILED);
            assert_int_equal(nacre_password_matches(stored[k], nc_span(NULL, 0)),
                             NACRE_AUTH_FAILED);
            assert_int_equal(calls, 2); /* the work is done for nobody, too, */
            assert_int_equal(cheap, 0); /* and is as much */
        }
    }
}

/* What is stored for who has no password must not become one because crypt gives it back. */
static void what_is_no_hash_is_never_compared(void **state)
{
    (void)state;
    static const char *const stored[] = {NULL, "", "*", "*0", "!", "!$6$saltsalt$something"};
    answer = "=";
    for (size_t k = 0; k < sizeof(stored) / sizeof(stored[0]); k++) {
        assert_int_equal(nacre_password_matches(stored[k], nc_span_cstr("secret")),
                         NACRE_AUTH_FAILED);
    }
    assert_int_equal(nacre_password_matches("$6$saltsalt$something", nc_span_cstr("secret")),
                     NACRE_OK);
}

/* How long an answer takes says nothing: whoever is asked for, and whatever is said, one derivation that costs something. */
static void the_same_work_for_everybody(void **state)
{
    (void)state;
    static const char *const names[] = {NULL, "", "no-such-user-here", "nobody", "root"};
    static char lengthy[1025];
    memset(lengthy, 'a', sizeof(lengthy));
    const nacre_span said[] = {nc_span_cstr("secret"), nc_span(NULL, 0), nc_span("a\0b", 3),
                               nc_span(lengthy, sizeof(lengthy))};
    answer = NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (size_t k = 0; k < sizeof(said) / sizeof(said[0]); k++) {
            calls = cheap = 0;
            assert_int_equal(nacre_account_check_password(names[i], said[k]), NACRE_AUTH_FAILED);
            assert_int_equal(calls, 1);
            assert_int_equal(cheap, 0);
        }
    }
}

/* What crypt(3) would take for the password, and is none. */
static void what_is_no_password_opens_nothing(void **state)
{
    (void)state;
    static const char stored[] = "$6$saltsalt$something";
    static char lengthy[1025];
    memset(lengthy, 'a', sizeof(lengthy));
    answer = "=";
    assert_int_equal(nacre_password_matches(stored, nc_span(NULL, 0)), NACRE_AUTH_FAILED);
    assert_int_equal(nacre_password_matches(stored, nc_span("a\0b", 3)), NACRE_AUTH_FAILED);
    assert_int_equal(nacre_password_matches(stored, nc_span("", 1)), NACRE_AUTH_FAILED);
    assert_int_equal(nacre_password_matches(stored, nc_span(lengthy, 1025)), NACRE_AUTH_FAILED);
    assert_int_equal(nacre_password_matches(stored, nc_span(lengthy, 1024)), NACRE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_failure_of_crypt_is_a_yes),
        cmocka_unit_test(what_is_no_hash_is_never_compared),
        cmocka_unit_test(the_same_work_for_everybody),
        cmocka_unit_test(what_is_no_password_opens_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
