/*
 * test_environment.c - files of variables: what the user's and the system's say, and what they cannot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nacre/sshd_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All of a text on one line: pairs with "|" behind each, "!LINE|" for a line that is none. */
static const char *all(const char *bytes, size_t n, nacre_env_syntax syntax)
{
    static char out[4096];
    char pair[128];
    size_t line = 0, used = 0;
    nacre_error why;
    int rc;
    uint8_t *copy = malloc(n + 1); /* no zero behind it: valgrind sees who looks there */
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    nacre_span rest = {copy, n};
    while ((rc = nacre_env_next(&rest, &line, syntax, pair, sizeof(pair), &why)) != 0) {
        int more = rc == 1 ? snprintf(out + used, sizeof(out) - used, "%s|", pair)
                           : snprintf(out + used, sizeof(out) - used, "!%zu|", line);
        used += (size_t)more;
        assert_in_range(used, 1, sizeof(out) - 1);
        if (rc != 1) {
            char where[32];
            (void)snprintf(where, sizeof(where), "line %zu", line);
            assert_non_null(strstr(why.text, where));
            assert_int_equal(why.status, rc);
        }
    }
    free(copy);
    out[used] = '\0';
    return out;
}

typedef struct row {
    const char *text, *user, *system;
} row;

static void lines(void **state)
{
    (void)state;
    static const row rows[] = {
        {"", "", ""},
        {"\n\n", "", ""},
        {"A=1", "A=1|", "A=1|"},
        {"A=1\nB=2\n", "A=1|B=2|", "A=1|B=2|"},
        {"# A=1\n  # B=2\n \t\nC=3\n", "C=3|", "C=3|"},
        {"  A=1\n\tB=2\n", "A=1|B=2|", "A=1|B=2|"},
        {"A=\n", "A=|", "A=|"},
        {"A=b=c\n", "A=b=c|", "A=b=c|"},
        {"A=1 # not a comment\n", "A=1 # not a comment|", "A=1 # not a comment|"},
        /* only the system's file is written as for a shell */
        {"A= 1 \r\n", "A= 1 \r|", "A= 1|"},
        {"A=\"x y\"\n", "A=\"x y\"|", "A=x y|"},
        {"A='x y' \t\n", "A='x y' \t|", "A=x y|"},
        {"A='\"x\"'\n", "A='\"x\"'|", "A=\"x\"|"},
        {"A=\"x'\n", "A=\"x'|", "A=\"x'|"},
        {"A=\"\n", "A=\"|", "A=\"|"},
        {"A=\"\"\n", "A=\"\"|", "A=|"},
        {"export A=1\n", "export A=1|", "A=1|"},
        {"export\tA=1\n", "export\tA=1|", "A=1|"},
        {"export=1\n", "export=1|", "export=1|"},
        {"exports=1\n", "exports=1|", "exports=1|"},
        /* what is none */
        {"nothing\n", "!1|", "!1|"},
        {"=\n", "!1|", "!1|"},
        {"=x\nB=1\n", "!1|B=1|", "!1|B=1|"},
        {"A=1\nrubbish\nB=1\n", "A=1|!2|B=1|", "A=1|!2|B=1|"},
        {"export \n", "!1|", "!1|"},
        {"export =x\n", "export =x|", "!1|"},
        {"A B=1\n", "A B=1|", "!1|"},
        {"A =1\n", "A =1|", "!1|"},
        {"A-B=1\n", "A-B=1|", "!1|"},
        {"\xc3\xa4=1\n", "\xc3\xa4=1|", "!1|"},
        {"\r\n", "!1|", "!1|"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t n = strlen(rows[i].text);
        assert_string_equal(all(rows[i].text, n, NACRE_ENV_USER), rows[i].user);
        assert_string_equal(all(rows[i].text, n, NACRE_ENV_SYSTEM), rows[i].system);
    }
}

/* A pair that ends at a zero byte would be another than the one that is written there. */
static void zero_bytes(void **state)
{
    (void)state;
    assert_string_equal(all("A=1\0B\nC=2\n", 10, NACRE_ENV_USER), "!1|C=2|");
    assert_string_equal(all("A\0=1\n", 5, NACRE_ENV_USER), "!1|");
    assert_string_equal(all("\0\nA=1", 5, NACRE_ENV_SYSTEM), "!1|A=1|");
    assert_string_equal(all("#\0\nA=1", 6, NACRE_ENV_SYSTEM), "A=1|");
}

static void cut_at_every_byte(void **state)
{
    (void)state;
    static const char text[] = "# x\nexport A=\"b c\"\n B=1\nrubbish\nC='";
    for (size_t n = 0; n < sizeof(text); n++) {
        for (int system = 0; system < 2; system++) {
            const char *got = all(text, n, system ? NACRE_ENV_SYSTEM : NACRE_ENV_USER);
            /* whole lines stay what they are */
            if (n >= 18) {
                const char *first = system ? "A=b c|" : "export A=\"b c\"|";
                assert_memory_equal(got, first, strlen(first));
            }
        }
    }
}

static void too_long(void **state)
{
    (void)state;
    char text[300], pair[8];
    size_t line = 0;
    nacre_error why;
    memset(text, 'x', sizeof(text));
    text[1] = '=';
    text[299] = '\n';
    assert_string_equal(all(text, sizeof(text), NACRE_ENV_USER), "!1|");
    /* the longest that fits, and one more */
    nacre_span rest = {(const uint8_t *)"A=12345\nA=123456\nB=1", 20};
    assert_int_equal(nacre_env_next(&rest, &line, NACRE_ENV_USER, pair, sizeof(pair), &why), 1);
    assert_string_equal(pair, "A=12345");
    assert_int_equal(nacre_env_next(&rest, &line, NACRE_ENV_USER, pair, sizeof(pair), &why),
                     NACRE_TOO_LARGE);
    assert_string_equal(why.text, "line 2 is longer than 8 bytes");
    assert_int_equal(nacre_env_next(&rest, &line, NACRE_ENV_USER, pair, sizeof(pair), NULL), 1);
    assert_string_equal(pair, "B=1");
    assert_int_equal(nacre_env_next(&rest, &line, NACRE_ENV_USER, pair, sizeof(pair), NULL), 0);
    /* no room at all */
    rest = (nacre_span){(const uint8_t *)"A=", 2};
    assert_int_equal(nacre_env_next(&rest, &line, NACRE_ENV_USER, pair, 0, NULL), NACRE_TOO_LARGE);
}

static void too_many(void **state)
{
    (void)state;
    enum { MANY = NACRE_ENV_LINES + 5 };
    static char text[4 * MANY];
    char pair[8];
    size_t line = 0, pairs = 0;
    nacre_error why;
    int rc;
    for (size_t i = 0; i < MANY; i++) {
        memcpy(text + 4 * i, "A=1\n", 4);
    }
    nacre_span rest = {(const uint8_t *)text, sizeof(text)};
    while ((rc = nacre_env_next(&rest, &line, NACRE_ENV_USER, pair, sizeof(pair), &why)) == 1) {
        pairs++;
    }
    assert_int_equal(pairs, NACRE_ENV_LINES);
    assert_int_equal(rc, NACRE_LIMIT);
    assert_non_null(strstr(why.text, "1000 lines"));
    assert_int_equal(nacre_env_next(&rest, &line, NACRE_ENV_USER, pair, sizeof(pair), &why), 0);
    /* comments count as well: they cost as much */
    memset(text, '\n', sizeof(text));
    rest = (nacre_span){(const uint8_t *)text, sizeof(text)};
    line = 0;
    assert_int_equal(nacre_env_next(&rest, &line, NACRE_ENV_USER, pair, sizeof(pair), &why),
                     NACRE_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(zero_bytes),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(too_long),
        cmocka_unit_test(too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
